//! A seeded workload over several shards and its model.
#![allow(dead_code, reason = "each test file uses a part of the workload")]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use platform::JobClass;
use storage::commit_log::segment::SegmentBlocks;
use storage::sealed::{SealBatch, SealError, SealedFiles, seal};
use storage::{
    DataDirectory, LayoutColumn, LogAddress, LogPosition, Lookup, RangeLookup, RangeRead,
    RowVersion, StorageError, StorageOptions, TableLayout, TableScan, TableSnapshot, Tree,
    WriteBatchBuilder,
};
use types::key::{KeyOrder, append_key_column};
use types::prng::Prng;
use types::row::encode_row;
use types::schema::KeyColumn;
use types::token::{SliceCount, Token};
use types::{ByteCount, ColumnId, KIB, ShardId, SliceId, SqlType, TableId, Timestamp, Value};

use crate::double::{Crashed, Image, Machine};

/// Whether the power goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Crashes {
    Never,
    Often,
}

const SLICES: u16 = 8;
const TABLES: [TableId; 2] = [TableId(20), TableId(21)];

fn slices() -> SliceCount {
    SliceCount::new(SLICES).expect("a power of two")
}

pub fn options(prng: &mut Prng) -> StorageOptions {
    StorageOptions {
        slices: slices(),
        segment_blocks: SegmentBlocks(2 + prng.below(6) as u32),
        segments_per_shard: 2 + prng.below(3) as u32,
        segments_per_shard_max: 40,
        memtable_bytes: ByteCount(8 * KIB + prng.below(64 * KIB)),
        frozen_memtables_max: 1 + prng.below(3) as usize,
        chunk_bytes_first: 256 + prng.below(4000) as usize,
        block_cache_bytes: ByteCount(prng.below(100 * KIB)),
        level_zero_files: 2 + prng.below(3) as usize,
        level_one_bytes: ByteCount(4 * KIB + prng.below(64 * KIB)),
        file_bytes: ByteCount(4 * KIB + prng.below(16 * KIB)),
        row_group_rows: 64,
        page_rows: 4 + prng.below(28) as usize,
        manifest_bytes: ByteCount(64 * KIB),
        reserve_bytes: ByteCount(8 * KIB),
    }
}

pub fn layout(table: TableId) -> TableLayout {
    let column = |id, sql_type| LayoutColumn { id: ColumnId(id), sql_type, missing: Value::Null };
    TableLayout {
        table,
        columns: vec![column(0, SqlType::Int8), column(1, SqlType::Int8), column(2, SqlType::Text)],
        key: vec![KeyColumn { position: 0, order: KeyOrder::PRIMARY }],
    }
}

pub fn key_of(number: i64) -> Vec<u8> {
    let mut key = Vec::new();
    append_key_column(&Value::Int8(number), KeyOrder::PRIMARY, &mut key);
    key
}

pub fn slice_of(key: &[u8]) -> SliceId {
    slices().slice_of(Token::of_bytes(key))
}

pub fn row_of(number: i64, value: i64, text: usize) -> Vec<u8> {
    let types = [SqlType::Int8, SqlType::Int8, SqlType::Text];
    let values = [Value::Int8(number), Value::Int8(value), Value::text("x".repeat(text))];
    let mut row = Vec::new();
    encode_row(&types, &values, &mut row);
    row
}

type Key = (TableId, i64);
type Versions = BTreeMap<u64, Option<Vec<u8>>>;

/// One transaction as the client sees it.
struct Transaction {
    at: u64,
    home: ShardId,
    position: LogPosition,
    rows: Vec<(Key, Option<Vec<u8>>)>,
    acknowledged: Rc<RefCell<bool>>,
}

#[derive(Default)]
pub struct Model {
    rows: BTreeMap<Key, Versions>,
    clock: u64,
    floor: u64,
    /// The highest floor that was said to be durable.
    durable_floor: u64,
    /// Those of the present start.
    transactions: Vec<Transaction>,
}

fn at(clock: u64) -> Timestamp {
    Timestamp::new(0, clock, 0)
}

impl Model {
    fn expected(&self, key: &Key, clock: u64) -> Option<(u64, &Option<Vec<u8>>)> {
        let (at, row) = self.rows.get(key)?.range(..=clock).next_back()?;
        Some((*at, row))
    }
}

/// The shards of one start.
pub struct Node {
    pub trees: Vec<Tree>,
    pub directory: std::sync::Arc<DataDirectory>,
}

impl Node {
    pub fn tree_of(&self, slice: SliceId) -> &Tree {
        let owner = slices().owner(slice, self.trees.len() as u16);
        &self.trees[owner.index()]
    }
}

pub fn path() -> PathBuf {
    PathBuf::from("/data")
}

pub fn open(
    machine: &mut Machine,
    shards: u16,
    options: &StorageOptions,
) -> Result<Result<Node, StorageError>, Crashed> {
    let platform = machine.platform();
    let options = options.clone();
    machine.run(async move {
        let opened = storage::directory::open(&platform, &path(), shards, options.clone()).await?;
        let mut trees = Vec::new();
        for start in opened.shards {
            let tree = Tree::start(platform.clone(), opened.directory.clone(), start).await?;
            trees.push(tree);
        }
        Ok(Node { trees, directory: opened.directory })
    })
}

struct Run {
    machine: Machine,
    node: Node,
    model: Model,
    prng: Prng,
    options: StorageOptions,
    crashes: Crashes,
}

/// Says which seed it was when a test fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}", self.0);
        }
    }
}

/// Runs one seed.
pub fn run_seed(seed: u64, crashes: Crashes) {
    let _seed = Seed(seed);
    let mut prng = Prng::new(seed);
    let options = options(&mut prng);
    let mut machine = Machine::new(prng.next_u64(), Image::default());
    let shards = 1 + prng.below(4) as u16;
    let Ok(Ok(node)) = open(&mut machine, shards, &options) else {
        panic!("a new directory opens")
    };
    let mut run = Run {
        machine,
        node,
        model: Model { clock: 100, ..Model::default() },
        prng,
        options,
        crashes,
    };
    for _ in 0..4 {
        if run.crashes == Crashes::Often {
            let operations = run.prng.below(900);
            run.machine.crash_after(operations);
        }
        match run.work() {
            Ok(()) => run = run.restart(true),
            Err(Crashed) => run = run.restart(false),
        }
        run.check_everything().expect("nothing stops the machine while everything is checked");
    }
}

impl Run {
    fn work(&mut self) -> Result<(), Crashed> {
        let steps = 50 + self.prng.below(250);
        for _ in 0..steps {
            match self.prng.below(100) {
                0..55 => self.transaction()?,
                55..75 => self.read_some()?,
                75..83 => self.read_a_range()?,
                83..87 => self.flush()?,
                87..89 => self.compact()?,
                89..92 => self.raise_floor()?,
                92..95 => self.publish()?,
                _ => {
                    let nanos = self.prng.below(300_000_000);
                    self.machine.pass(nanos)?;
                }
            }
        }
        Ok(())
    }

    fn transaction(&mut self) -> Result<(), Crashed> {
        self.model.clock += 1 + self.prng.below(3);
        let clock = self.model.clock;
        let mut builder = WriteBatchBuilder::new();
        let mut rows = Vec::new();
        let mut touched = BTreeSet::new();
        for table in TABLES {
            builder.define(&layout(table));
        }
        for _ in 0..1 + self.prng.below(5) {
            let key = (TABLES[self.prng.index(2)], self.prng.below(60) as i64);
            if !touched.insert(key) {
                continue;
            }
            let encoded = key_of(key.1);
            let slice = slice_of(&encoded);
            if self.prng.below(4) == 0 {
                builder.delete(key.0, slice, &encoded);
                rows.push((key, None));
            } else {
                let text = if self.prng.below(30) == 0 { 9000 } else { self.prng.below(40) };
                let row = row_of(key.1, clock as i64, text as usize);
                builder.put(key.0, slice, &encoded, &row);
                rows.push((key, Some(row)));
            }
        }
        let home = ShardId(self.prng.below(self.node.trees.len() as u64) as u16);
        let tree = self.node.trees[home.index()].clone();
        let payload = builder.encode(at(clock));
        let admitted = tree.clone();
        let bytes = payload.len();
        self.machine
            .run(async move { admitted.admit(bytes).await })?
            .expect("a healthy disk admits");
        let position = tree.commit(1, &payload).expect("a healthy log takes it");
        for (key, row) in &rows {
            self.model.rows.entry(*key).or_default().insert(clock, row.clone());
        }
        let acknowledged = Rc::new(RefCell::new(false));
        let address = LogAddress { log: tree.log_id(), position };
        // Conflicting transactions wait for Apply; the test waits for every cross-shard record, sometimes for others too.
        let shard_count = self.node.trees.len() as u16;
        let participants: BTreeSet<ShardId> = rows
            .iter()
            .map(|(key, _)| slices().owner(slice_of(&key_of(key.1)), shard_count))
            .collect();
        let foreign: Vec<Tree> = participants
            .into_iter()
            .filter(|shard| *shard != home)
            .map(|shard| self.node.trees[shard.index()].clone())
            .collect();
        self.model.transactions.push(Transaction {
            at: clock,
            home,
            position,
            rows,
            acknowledged: acknowledged.clone(),
        });
        if foreign.is_empty() && self.prng.below(3) > 0 {
            let platform = self.machine.platform();
            platform::spawn(
                &*platform.spawner,
                platform::SchedulingClass::Foreground,
                "client",
                async move {
                    if tree.wait_durable(position).await.is_ok() {
                        *acknowledged.borrow_mut() = true;
                    }
                },
            );
            return Ok(());
        }
        if self.prng.below(4) == 0 {
            // A flush that races with the log: half of the transaction must not come to a file first.
            let flushed = tree.clone();
            let platform = self.machine.platform();
            platform::spawn(
                &*platform.spawner,
                platform::SchedulingClass::Maintenance,
                "racing flush",
                async move {
                    // The machine may stop on the way.
                    let _ = flushed.flush().await;
                },
            );
        }
        self.machine.run(async move {
            if tree.wait_durable(position).await.is_ok() {
                for other in foreign {
                    other.apply_foreign(address, &payload).expect("the batch is whole");
                }
                *acknowledged.borrow_mut() = true;
            }
        })
    }

    fn check(&self, key: &Key, clock: u64, found: Option<RowVersion>) {
        let expected = self.model.expected(key, clock);
        match (&expected, &found) {
            // A tombstone may be gone, or be there.
            (None | Some((_, None)), None) => {}
            (Some((at_clock, row)), Some(version)) => {
                assert_eq!(version.execute_at, at(*at_clock), "{key:?} at {clock}");
                assert_eq!(version.row.as_deref(), row.as_deref(), "{key:?} at {clock}");
            }
            _ => panic!("{key:?} at {clock}: expected {expected:?}, found {found:?}"),
        }
    }

    fn read_some(&mut self) -> Result<(), Crashed> {
        for _ in 0..10 {
            let key = (TABLES[self.prng.index(2)], self.prng.below(60) as i64);
            let clock = self.some_clock();
            let encoded = key_of(key.1);
            let slice = slice_of(&encoded);
            let tree = self.node.tree_of(slice).clone();
            let found = if self.prng.below(2) == 0 {
                self.machine
                    .run(async move { tree.read(key.0, slice, &encoded, at(clock)).await })?
            } else {
                self.machine.run(async move {
                    let loaded = tree.load(key.0, slice, &encoded, at(clock)).await?;
                    let answer = tree.get(key.0, slice, &encoded, at(clock))?;
                    drop(loaded);
                    match answer {
                        Lookup::Version(version) => Ok(Some(version)),
                        Lookup::Absent => Ok(None),
                        Lookup::NotInMemory => panic!("it was just loaded and is held"),
                    }
                })?
            };
            self.check(&key, clock, found.expect("above the floor"));
        }
        Ok(())
    }

    fn some_clock(&mut self) -> u64 {
        if self.prng.below(2) == 0 {
            return self.model.clock;
        }
        let span = self.model.clock - self.model.floor;
        self.model.floor + self.prng.below(span + 1)
    }

    fn read_a_range(&mut self) -> Result<(), Crashed> {
        let table = TABLES[self.prng.index(2)];
        let slice = SliceId(self.prng.below(u64::from(SLICES)) as u16);
        let clock = self.some_clock();
        let low = self.prng.below(60) as i64;
        let high = low + self.prng.below(40) as i64;
        self.check_range(table, slice, clock, low, high)
    }

    fn check_range(
        &mut self,
        table: TableId,
        slice: SliceId,
        clock: u64,
        low: i64,
        high: i64,
    ) -> Result<(), Crashed> {
        let mut start = key_of(low);
        let mut rows = Vec::new();
        loop {
            let read = RangeRead {
                table,
                slice,
                start: start.clone(),
                end: Some(key_of(high)),
                at: at(clock),
                rows_max: 1 + self.prng.below(8) as usize,
                bytes_max: 4000,
            };
            let tree = self.node.tree_of(slice).clone();
            let found = self.machine.run(async move {
                let loaded = tree.load_range(&read).await?;
                let answer = tree.read_range(&read)?;
                drop(loaded);
                match answer {
                    RangeLookup::Rows(rows) => Ok::<_, StorageError>(rows),
                    RangeLookup::NotInMemory => panic!("it was just loaded and is held"),
                }
            })?;
            let found = found.expect("above the floor");
            rows.extend(found.rows);
            match found.resume {
                Some(resume) => start = resume,
                None => break,
            }
        }
        let expected: Vec<(Vec<u8>, u64, Vec<u8>)> = (low..high)
            .filter(|number| slice_of(&key_of(*number)) == slice)
            .filter_map(|number| {
                let (at, row) = self.model.expected(&(table, number), clock)?;
                Some((key_of(number), at, row.clone()?))
            })
            .collect();
        let found: Vec<(Vec<u8>, Timestamp, Vec<u8>)> = rows
            .into_iter()
            .map(|(key, version)| {
                (key, version.execute_at, version.row.expect("ranges give rows").to_vec())
            })
            .collect();
        let expected: Vec<(Vec<u8>, Timestamp, Vec<u8>)> =
            expected.into_iter().map(|(key, clock, row)| (key, at(clock), row)).collect();
        assert_eq!(found, expected, "range {low}..{high} of {table} in slice {slice} at {clock}");
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Crashed> {
        let tree = self.node.trees[self.prng.index(self.node.trees.len())].clone();
        self.machine.run(async move { tree.flush().await })?.expect("a healthy disk flushes");
        Ok(())
    }

    fn compact(&mut self) -> Result<(), Crashed> {
        let tree = self.node.trees[self.prng.index(self.node.trees.len())].clone();
        let table = TABLES[self.prng.index(2)];
        if tree.layout(table).is_none() {
            return Ok(());
        }
        self.machine
            .run(async move { tree.compact_table(table).await })?
            .expect("a healthy disk compacts");
        Ok(())
    }

    fn raise_floor(&mut self) -> Result<(), Crashed> {
        // Only below what is acknowledged: a crash must not take back what compaction has built on.
        let open = self.model.transactions.iter().filter(|txn| !*txn.acknowledged.borrow());
        let highest = open.map(|txn| txn.at - 1).min().unwrap_or(self.model.clock);
        let span = highest.saturating_sub(self.model.floor);
        if span == 0 {
            return Ok(());
        }
        let floor = self.model.floor + self.prng.below(span) + 1;
        // From now on no read of ours goes below, whether or not the machine stops on the way.
        self.model.floor = floor;
        for tree in self.node.trees.clone() {
            let raised = self.machine.run(async move { tree.raise_floor(at(floor)).await })?;
            assert_eq!(raised.expect("no pins"), at(floor));
        }
        self.model.durable_floor = floor;
        Ok(())
    }

    /// A bulk write: sealed files of one table and rows of the other in one record.
    fn publish(&mut self) -> Result<(), Crashed> {
        self.model.clock += 1;
        let clock = self.model.clock;
        let first = self.prng.index(2);
        let (table, other) = (TABLES[first], TABLES[1 - first]);
        let Some((sealed, mut written)) = self.sealed_rows(table, clock)? else { return Ok(()) };
        self.check_existing_keys(table, &sealed, &written)?;
        if self.prng.below(5) == 0 {
            // Rolled back: the files go with whoever held them.
            drop(sealed);
            return Ok(());
        }
        let mut beside = WriteBatchBuilder::new();
        for _ in 0..self.prng.below(3) {
            let number = self.prng.below(60) as i64;
            if written.iter().any(|((of, known), _)| *of == other && *known == number) {
                continue;
            }
            let (key, row) = (key_of(number), row_of(number, clock as i64, 5));
            beside.put(other, slice_of(&key), &key, &row);
            written.push(((other, number), Some(row)));
        }
        let home = ShardId(self.prng.below(self.node.trees.len() as u64) as u16);
        let tree = self.node.trees[home.index()].clone();
        let mut publication = sealed.publication(at(clock), TABLES.map(layout).to_vec());
        if !beside.is_empty() {
            TABLES.iter().for_each(|table| beside.define(&layout(*table)));
            publication.rows = beside.encode(at(clock));
        }
        let (admitted, bytes) = (tree.clone(), publication.encode().len());
        self.machine
            .run(async move { admitted.admit(bytes).await })?
            .expect("a healthy disk admits");
        let position = tree.log_publication(1, &publication).expect("a healthy log takes it");
        let address = LogAddress { log: tree.log_id(), position };
        let acknowledged = Rc::new(RefCell::new(false));
        for (key, row) in &written {
            self.model.rows.entry(*key).or_default().insert(clock, row.clone());
        }
        self.model.transactions.push(Transaction {
            at: clock,
            home,
            position,
            rows: written,
            acknowledged: acknowledged.clone(),
        });
        let trees = self.node.trees.clone();
        let files = sealed.table_files();
        self.machine.run(async move {
            if tree.wait_durable(position).await.is_err() {
                return;
            }
            *acknowledged.borrow_mut() = true;
            // Every shard takes part; on each the transaction holds its tokens until its files are in.
            for other in &trees {
                if other.shard() != home {
                    let received = other.receive_publication(address, &publication);
                    received.expect("the batch is whole");
                }
                if other.publish(address, &publication, &files).await.is_err() {
                    return;
                }
            }
        })
    }

    /// Keys of a bulk write that are taken are found, and no others.
    fn check_existing_keys(
        &mut self,
        table: TableId,
        sealed: &SealedFiles,
        rows: &[(Key, Option<Vec<u8>>)],
    ) -> Result<(), Crashed> {
        let now = self.some_clock();
        let since = if self.prng.below(2) == 0 { 0 } else { self.prng.below(now) };
        let snapshots = self.snapshots(table, now);
        let sealed = sealed.clone();
        let background = self.machine.platform().background;
        let found = self.machine.run(async move {
            platform::run_job(&*background, JobClass::Compaction, move |io, cancel| {
                storage::existing_key(io, cancel, &sealed, &snapshots, (at(since), at(now)))
            })
            .await
        })?;
        let found = found.expect("the pool runs").expect("the files are sound");
        let taken = |key: &Key| {
            let version = self.model.expected(key, now);
            version.is_some_and(|(written, row)| row.is_some() && written > since)
        };
        match found {
            Some(found) => {
                let key = rows.iter().find(|((_, number), _)| key_of(*number) == found.key);
                assert!(taken(&key.expect("a key of the bulk write").0), "{found:?}");
            }
            None => assert!(!rows.iter().any(|(key, _)| taken(key)), "above {since} at {now}"),
        }
        Ok(())
    }

    fn snapshots(&self, table: TableId, clock: u64) -> Vec<(ShardId, TableSnapshot)> {
        let trees = self.node.trees.iter().filter(|tree| tree.layout(table).is_some());
        let lease = Duration::from_secs(60);
        let freeze = |tree: &Tree| {
            let frozen = tree.freeze(table, at(clock), "test", lease).expect("above the floor");
            (tree.shard(), frozen)
        };
        trees.map(freeze).collect()
    }

    /// A scan gives what the model holds, and rows of sealed files that nobody else sees.
    fn check_scan(&mut self, table: TableId, clock: u64) -> Result<(), Crashed> {
        let Some((sealed, own)) = self.sealed_rows(table, clock)? else { return Ok(()) };
        let own: Vec<i64> = own.into_iter().map(|((_, number), _)| number).collect();
        let there = |number: &i64| {
            let version = self.model.expected(&(table, *number), clock);
            own.contains(number) || version.is_some_and(|(_, row)| row.is_some())
        };
        let wanted: Vec<(Vec<u8>, usize)> =
            (0..60).filter(there).map(|number| (key_of(number), 1)).collect();
        let snapshots = self.snapshots(table, clock);
        let io = self.machine.platform().background.block_io(JobClass::Compaction);
        let mut scan = TableScan::new(io, at(clock), snapshots, &[&sealed]);
        let mut found: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        loop {
            let more = scan.visit(1 + self.prng.below(9) as usize, |slice, key, _| {
                assert_eq!(slice, slice_of(key));
                *found.entry(key.to_vec()).or_default() += 1;
                Ok::<_, StorageError>(())
            });
            if !more.expect("the files are sound") {
                break;
            }
        }
        assert_eq!(found.into_iter().collect::<Vec<_>>(), wanted, "scan of {table} at {clock}");
        Ok(())
    }

    /// Seals some rows of a table, in one batch or two.
    #[expect(clippy::type_complexity, reason = "rows as a transaction holds them")]
    fn sealed_rows(
        &mut self,
        table: TableId,
        clock: u64,
    ) -> Result<Option<(SealedFiles, Vec<(Key, Option<Vec<u8>>)>)>, Crashed> {
        let mut rows: BTreeMap<i64, Vec<u8>> = BTreeMap::new();
        for _ in 0..1 + self.prng.below(40) {
            let number = self.prng.below(60) as i64;
            rows.insert(number, row_of(number, clock as i64, self.prng.below(30) as usize));
        }
        let mut batches = [SealBatch::default(), SealBatch::default()];
        let twice = self.prng.below(6) == 0;
        for (number, row) in &rows {
            let key = key_of(*number);
            batches[self.prng.index(2)].push(slice_of(&key), &key, row);
        }
        if let Some((number, row)) = rows.first_key_value()
            && twice
        {
            let key = key_of(*number);
            batches.iter_mut().for_each(|batch| batch.push(slice_of(&key), &key, row));
        }
        let directory = self.node.directory.clone();
        let background = self.machine.platform().background;
        let sealed = self
            .machine
            .run(async move {
                platform::run_job(&*background, JobClass::Flush, move |io, cancel| {
                    let mut sealed = SealedFiles::default();
                    for batch in &batches {
                        sealed.join(seal(io, cancel, &directory, &layout(table), batch)?);
                    }
                    sealed.check_distinct(io, cancel)?;
                    Ok::<_, SealError>(sealed)
                })
                .await
            })?
            .expect("the pool runs");
        match sealed {
            Ok(sealed) => {
                assert!(!twice, "a key stands twice");
                assert_eq!(sealed.row_count(), rows.len() as u64);
                let rows = rows.into_iter().map(|(number, row)| ((table, number), Some(row)));
                Ok(Some((sealed, rows.collect())))
            }
            Err(SealError::Duplicate(duplicate)) => {
                assert!(twice, "no key stands twice: {duplicate:?}");
                Ok(None)
            }
            Err(error) => {
                assert!(crate::rows::double_is_stopping(&error), "{error}");
                Err(Crashed)
            }
        }
    }

    /// Opens the directory again, with another number of shards; after a crash works out what survived.
    fn restart(self, clean: bool) -> Run {
        let Run { mut machine, node, mut model, mut prng, options, crashes } = self;
        let mut image = if clean {
            for tree in node.trees.clone() {
                // Everything acknowledged or not: a clean stop loses nothing.
                match machine.run(async move { tree.close().await }) {
                    Ok(closed) => closed.expect("a healthy log closes"),
                    Err(Crashed) => {}
                }
            }
            machine.power_cut()
        } else if prng.below(3) == 0 {
            machine.kill()
        } else {
            machine.power_cut()
        };
        drop(node);
        loop {
            let mut machine = Machine::new(prng.next_u64(), image.clone());
            let shards = 1 + prng.below(4) as u16;
            if crashes == Crashes::Often && prng.below(2) == 0 {
                machine.crash_after(prng.below(120));
            }
            match open(&mut machine, shards, &options) {
                Ok(opened) => {
                    let node = opened.unwrap_or_else(|error| panic!("it opens: {error}"));
                    machine.crash_after(u64::MAX);
                    let mut run = Run { machine, node, model, prng, options, crashes };
                    run.settle_transactions();
                    return run;
                }
                Err(Crashed) => {
                    image = machine.power_cut();
                    model.clock += 1;
                }
            }
        }
    }

    /// What was not acknowledged is there as a whole or not at all, and what survived of each log is a prefix of it.
    fn settle_transactions(&mut self) {
        // Compaction has used no floor that the crash took back: whatever reads are allowed now give the right answer.
        let floor = self.node.trees.iter().map(Tree::floor).max().unwrap_or_default().hlc();
        assert!(floor >= self.model.durable_floor, "a durable floor was lost");
        assert!(floor <= self.model.floor, "a floor that nobody asked for");
        self.model.floor = floor;
        let transactions = std::mem::take(&mut self.model.transactions);
        let mut lost_from: BTreeMap<ShardId, LogPosition> = BTreeMap::new();
        for transaction in &transactions {
            let mut present = Vec::new();
            for (key, _) in &transaction.rows {
                let encoded = key_of(key.1);
                let slice = slice_of(&encoded);
                let tree = self.node.tree_of(slice).clone();
                let (table, clock) = (key.0, transaction.at);
                if clock < self.model.floor {
                    // Below the floor only what is acknowledged was ever built on; versions may be gone.
                    continue;
                }
                let found = self
                    .machine
                    .run(async move { tree.read(table, slice, &encoded, at(clock)).await })
                    .expect("the machine runs")
                    .expect("above the floor");
                let newest = found.map(|version| version.execute_at);
                present.push((*key, newest == Some(at(clock))));
            }
            let there = present.iter().filter(|(_, there)| *there).count();
            let acknowledged = *transaction.acknowledged.borrow();
            // A tombstone that compaction dropped looks as if it was never there.
            let tombstones = |key: &Key| {
                transaction.rows.iter().any(|(other, row)| other == key && row.is_none())
            };
            let rows_missing =
                present.iter().filter(|(key, there)| !there && !tombstones(key)).count();
            if acknowledged {
                assert_eq!(rows_missing, 0, "an acknowledged transaction is lost in part");
                continue;
            }
            if there == 0 && (rows_missing > 0 || present.is_empty()) {
                let lost = lost_from.entry(transaction.home).or_insert(transaction.position);
                *lost = (*lost).min(transaction.position);
                for (key, _) in &transaction.rows {
                    let versions = self.model.rows.get_mut(key).expect("it was written");
                    versions.remove(&transaction.at);
                }
                continue;
            }
            assert_eq!(rows_missing, 0, "a transaction survives in part: {present:?}");
            if there == 0 {
                // Nothing but tombstones that left no trace: the same as lost.
                for (key, _) in &transaction.rows {
                    let versions = self.model.rows.get_mut(key).expect("it was written");
                    versions.remove(&transaction.at);
                }
            }
        }
        for transaction in &transactions {
            if let Some(lost) = lost_from.get(&transaction.home)
                && transaction.position > *lost
            {
                let survives = transaction.rows.iter().any(|(key, row)| {
                    let versions = self.model.rows.get(key);
                    row.is_some()
                        && versions.is_some_and(|versions| versions.contains_key(&transaction.at))
                });
                assert!(!survives, "a later record of a log survived an earlier one");
            }
        }
    }

    fn check_everything(&mut self) -> Result<(), Crashed> {
        for table in TABLES {
            for slice in (0..SLICES).map(SliceId) {
                if self.node.tree_of(slice).layout(table).is_none() {
                    continue;
                }
                self.check_range(table, slice, self.model.clock, 0, 60)?;
                let old = self.some_clock();
                self.check_range(table, slice, old, 0, 60)?;
            }
        }
        self.check_snapshots()?;
        let directory = self.node.directory.path.clone();
        let io = self.machine.platform().background.block_io(JobClass::Optional);
        let report = storage::inspect::verify(&*io, &platform::CancelFlag::new(), &directory)
            .expect("the identity is readable");
        assert!(report.damage.is_empty(), "{:?}", report.damage);
        Ok(())
    }

    /// A frozen table, merged from chunks and files, is the model.
    fn check_snapshots(&mut self) -> Result<(), Crashed> {
        let clock = self.some_clock();
        for table in TABLES {
            if self.prng.below(4) == 0 {
                self.check_scan(table, clock)?;
            }
            let mut found: BTreeMap<i64, (Timestamp, bool)> = BTreeMap::new();
            for tree in self.node.trees.clone() {
                if tree.layout(table).is_none() {
                    continue;
                }
                let lease = Duration::from_secs(60);
                let snapshot =
                    tree.freeze(table, at(clock), "test", lease).expect("above the floor");
                let mut seen: BTreeMap<Vec<u8>, (Timestamp, bool)> = BTreeMap::new();
                let mut note = |key: &[u8], when: Timestamp, tombstone: bool| {
                    if when <= at(clock) {
                        let entry = seen.entry(key.to_vec()).or_insert((when, tombstone));
                        if when > entry.0 {
                            *entry = (when, tombstone);
                        }
                    }
                };
                for run in snapshot.frozen.runs() {
                    for row in 0..run.len() {
                        let version = run.version(row);
                        let tombstone = version.content == sstable::RowContent::Tombstone;
                        note(version.key, version.execute_at, tombstone);
                    }
                }
                let io = self.machine.platform().background.block_io(JobClass::Scan);
                for piece in &snapshot.pieces {
                    for (key, when, tombstone) in crate::rows::rows_of(&*io, piece) {
                        note(&key, when, tombstone);
                    }
                }
                for number in 0..60 {
                    if let Some(version) = seen.get(&key_of(number)) {
                        found.insert(number, *version);
                    }
                }
            }
            for number in 0..60 {
                let expected = self.model.expected(&(table, number), clock);
                let expected =
                    expected.filter(|(_, row)| row.is_some()).map(|(clock, _)| at(clock));
                let found =
                    found.get(&number).filter(|version| !version.1).map(|version| version.0);
                assert_eq!(found, expected, "snapshot of {table}, key {number}, at {clock}");
            }
        }
        Ok(())
    }
}
