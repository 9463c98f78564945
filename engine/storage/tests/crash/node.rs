//! The trees of one start of a node, each on its own simulated core, over small settings that make everything happen soon.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use platform::Platform;
use sim::{Stopped, World};
use storage::commit_log::segment::SegmentBlocks;
use storage::recovery::RecoveryReport;
use storage::{DataDirectory, LayoutColumn, StorageError, StorageOptions, TableLayout, Tree};
use types::key::{KeyOrder, append_key_column};
use types::prng::Prng;
use types::row::{decode_row, encode_row};
use types::schema::KeyColumn;
use types::token::{SliceCount, Token};
use types::{ByteCount, ColumnId, KIB, ShardId, SliceId, SqlType, TableId, Timestamp, Value};

pub const SLICES: u16 = 8;
/// Keys of a table; few, so that they are written again and again.
pub const KEYS: i64 = 36;
/// Columns that a table begins with, and those it may grow to.
pub const COLUMNS_FIRST: usize = 3;
pub const COLUMNS_MAX: usize = 5;
/// What rows hold that are older than a column.
const MISSING: i64 = -7;

/// Nothing is there before the first clock.
pub const CLOCK_FIRST: u64 = 100;

pub fn at(clock: u64) -> Timestamp {
    Timestamp::new(0, clock, 0)
}

pub fn slices() -> SliceCount {
    SliceCount::new(SLICES).expect("a power of two")
}

/// Settings of a new directory.
pub fn options(prng: &mut Prng) -> StorageOptions {
    StorageOptions {
        slices: slices(),
        segment_blocks: SegmentBlocks(2 + prng.below(6) as u32),
        segments_per_shard: 2 + prng.below(2) as u32,
        segments_per_shard_max: 4 + prng.below(30) as u32,
        memtable_bytes: ByteCount(4 * KIB + prng.below(24 * KIB)),
        frozen_memtables_max: 1 + prng.below(3) as usize,
        chunk_bytes_first: 256 + prng.below(4000) as usize,
        block_cache_bytes: ByteCount(prng.below(100 * KIB)),
        level_zero_files: 2 + prng.below(3) as usize,
        level_one_bytes: ByteCount(1 + prng.below(12 * KIB)),
        file_bytes: ByteCount(4 * KIB + prng.below(16 * KIB)),
        row_group_rows: 64,
        page_rows: 4 + prng.below(28) as usize,
        manifest_bytes: ByteCount(64 * KIB),
        reserve_bytes: ByteCount(8 * KIB),
    }
}

fn types_of(columns: usize) -> Vec<SqlType> {
    (0..columns).map(|column| if column == 2 { SqlType::Text } else { SqlType::Int8 }).collect()
}

pub fn layout(table: TableId, columns: usize) -> TableLayout {
    let column = |(id, sql_type)| {
        let missing = if id < COLUMNS_FIRST { Value::Null } else { Value::Int8(MISSING) };
        LayoutColumn { id: ColumnId(id as u16), sql_type, missing }
    };
    TableLayout {
        table,
        columns: types_of(columns).into_iter().enumerate().map(column).collect(),
        key: vec![KeyColumn { position: 0, order: KeyOrder::PRIMARY }],
    }
}

pub fn key_of(number: i64) -> Vec<u8> {
    let mut key = Vec::new();
    append_key_column(&Value::Int8(number), KeyOrder::PRIMARY, &mut key);
    key
}

pub fn slice_of(number: i64) -> SliceId {
    slices().slice_of(Token::of_bytes(&key_of(number)))
}

pub fn row_of(columns: usize, number: i64, value: i64, text: usize) -> Vec<u8> {
    let mut values = vec![Value::Int8(number), Value::Int8(value), Value::text("x".repeat(text))];
    values.extend((COLUMNS_FIRST..columns).map(|column| Value::Int8(value + column as i64)));
    let mut row = Vec::new();
    encode_row(&types_of(columns), &values, &mut row);
    row
}

/// The values of a row, with what it misses of the columns that came after it.
pub fn values_of(row: &[u8]) -> Vec<Value> {
    const MISSES: Value = Value::Int8(MISSING);
    decode_row(&types_of(COLUMNS_MAX), row, |_| &MISSES).expect("a row that was written")
}

/// One start of a node.
pub struct Node {
    pub trees: Vec<Tree>,
    pub platforms: Vec<Platform>,
    pub directory: Arc<DataDirectory>,
    pub reservation: Timestamp,
    /// What its recovery found.
    pub report: RecoveryReport,
}

impl Node {
    pub fn owner(&self, slice: SliceId) -> ShardId {
        slices().owner(slice, self.trees.len() as u16)
    }

    pub fn tree_of(&self, slice: SliceId) -> &Tree {
        &self.trees[self.owner(slice).index()]
    }
}

pub fn path() -> PathBuf {
    PathBuf::from("/data")
}

/// Opens the directory with as many shards as the world has cores.
pub fn open(
    world: &mut World,
    shards: u16,
    options: &StorageOptions,
) -> Result<Result<Rc<Node>, StorageError>, Stopped> {
    let platforms: Vec<Platform> = (0..shards).map(|core| world.platform(ShardId(core))).collect();
    let options = options.clone();
    world.run(ShardId(0), async move {
        let first = platforms[0].clone();
        let opened = storage::directory::open(&first, &path(), shards, options).await?;
        let mut trees = Vec::new();
        for (platform, start) in platforms.iter().zip(opened.shards) {
            trees.push(Tree::start(platform.clone(), opened.directory.clone(), start).await?);
        }
        let (directory, report) = (opened.directory, opened.report);
        let reservation = opened.reservation;
        Ok(Rc::new(Node { trees, platforms, directory, reservation, report }))
    })
}
