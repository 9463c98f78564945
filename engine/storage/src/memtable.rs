//! Row versions in memory: an ordered index over append-only chunks. One writer, no locks; what leaves the core is a frozen view.
//!
//! Point read and insert cost well under a microsecond: one map look-up for the table, one B+ tree descent in its (table, slice), no allocation for a
//! look-up. A chunk holds one table; the first is small, because most tables are, and each next one twice as large up to a bound.
//! A memtable remembers through which position of each log it holds everything for its shard, which is what its flush edit will say.

pub(crate) mod arena;
mod frozen;
mod index;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use hashbrown::HashMap;
use types::{LogId, SliceId, TableId, Timestamp};

pub use arena::{Chunk, Entry};
pub use frozen::{FrozenChunk, FrozenTable};

use crate::position::{LogAddress, LogPosition};
use crate::write_batch::RowWrite;
use arena::ChunkWriter;
use index::{Cursor, EntryRef, VersionIndex, VersionKey};

/// Capacity of a table's first chunk in a memtable.
const CHUNK_BYTES_MIN: usize = 64 * 1024;
/// Capacity of its later ones, rows larger than that excepted.
const CHUNK_BYTES_MAX: usize = 1024 * 1024;

/// A row's bytes, held where they are: in a chunk of a memtable or in a buffer of its own.
#[derive(Clone, Debug)]
pub enum RowBytes {
    /// In a chunk.
    Chunk {
        /// The chunk.
        chunk: Arc<Chunk>,
        /// Where the entry begins.
        offset: u32,
    },
    /// Put together from the pages of a table file.
    Owned(Arc<[u8]>),
}

impl Deref for RowBytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            RowBytes::Chunk { chunk, offset } => {
                chunk.entry(*offset).row.expect("row bytes are made of rows only")
            }
            RowBytes::Owned(bytes) => bytes,
        }
    }
}

/// A row version found. Nothing in `row` means a tombstone.
#[derive(Clone, Debug)]
pub struct RowVersion {
    /// When it took effect.
    pub execute_at: Timestamp,
    /// Its record in this shard's log if that may not be durable yet; [`LogPosition::NONE`] otherwise.
    pub position: LogPosition,
    /// The row, or nothing for a tombstone.
    pub row: Option<RowBytes>,
}

struct TableVersions {
    table: TableId,
    chunks: Vec<Arc<Chunk>>,
    writer: ChunkWriter,
    slices: Vec<Option<Box<VersionIndex>>>,
    lowest: Timestamp,
    highest: Timestamp,
    /// Highest execute_at by slice; zero for none.
    slice_highest: Vec<Timestamp>,
}

impl TableVersions {
    fn new(table: TableId, chunk_bytes: usize) -> TableVersions {
        let writer = ChunkWriter::new(table, chunk_bytes);
        TableVersions {
            table,
            chunks: vec![writer.chunk().clone()],
            writer,
            slices: Vec::new(),
            lowest: Timestamp::MAX,
            highest: Timestamp::ZERO,
            slice_highest: Vec::new(),
        }
    }

    /// Appends; gives the entry and the bytes newly allocated for chunks.
    fn append(&mut self, entry: &Entry<'_>) -> (EntryRef, usize) {
        let mut allocated = 0;
        let offset = match self.writer.append(entry) {
            Some(offset) => offset,
            None => {
                self.writer.seal();
                let next = (self.writer.chunk().capacity() * 2).min(CHUNK_BYTES_MAX);
                self.writer = ChunkWriter::new(self.table, next.max(entry.bytes_needed()));
                self.chunks.push(self.writer.chunk().clone());
                allocated = self.writer.chunk().capacity();
                self.writer.append(entry).expect("the chunk was made to hold it")
            }
        };
        (EntryRef { chunk: (self.chunks.len() - 1) as u32, offset }, allocated)
    }

    fn index(&self, slice: SliceId) -> Option<&VersionIndex> {
        self.slices.get(slice.index())?.as_deref()
    }

    fn version(&self, entry: EntryRef) -> RowVersion {
        let chunk = &self.chunks[entry.chunk as usize];
        let read = chunk.entry(entry.offset);
        RowVersion {
            execute_at: read.execute_at,
            position: read.position,
            row: read
                .row
                .is_some()
                .then(|| RowBytes::Chunk { chunk: chunk.clone(), offset: entry.offset }),
        }
    }
}

/// Sorted row versions in memory.
pub struct Memtable {
    tables: HashMap<TableId, TableVersions, foldhash::fast::FixedState>,
    through: BTreeMap<LogId, LogPosition>,
    chunk_bytes_first: usize,
    chunk_bytes: usize,
    version_count: usize,
}

impl Memtable {
    /// An empty one. `chunk_bytes_first` is the capacity of each table's first chunk, 64 KiB at most.
    pub fn new(chunk_bytes_first: usize) -> Memtable {
        Memtable {
            tables: HashMap::with_hasher(foldhash::fast::FixedState::default()),
            through: BTreeMap::new(),
            chunk_bytes_first: chunk_bytes_first.clamp(256, CHUNK_BYTES_MIN),
            chunk_bytes: 0,
            version_count: 0,
        }
    }

    /// Inserts one version. `position` is that of its record in this shard's own log, or [`LogPosition::NONE`]. The same (key, execute_at) again replaces.
    pub fn insert(&mut self, write: &RowWrite<'_>, execute_at: Timestamp, position: LogPosition) {
        let first = self.chunk_bytes_first;
        let mut allocated = 0;
        let table = self.tables.entry(write.table).or_insert_with(|| {
            allocated += first;
            TableVersions::new(write.table, first)
        });
        let entry =
            Entry { slice: write.slice, key: write.key, execute_at, position, row: write.row };
        let (entry, grown) = table.append(&entry);
        self.chunk_bytes += allocated + grown;
        self.version_count += 1;
        let slice = write.slice.index();
        if table.slices.len() <= slice {
            table.slices.resize_with(slice + 1, || None);
            table.slice_highest.resize(slice + 1, Timestamp::ZERO);
        }
        table.lowest = table.lowest.min(execute_at);
        table.highest = table.highest.max(execute_at);
        table.slice_highest[slice] = table.slice_highest[slice].max(execute_at);
        let TableVersions { chunks, slices, .. } = table;
        slices[slice].get_or_insert_with(|| Box::new(VersionIndex::new())).insert(
            &VersionKey::new(write.key, execute_at),
            entry,
            chunks,
        );
    }

    /// Everything of `address.log` through its position that concerns this shard is in this memtable or an older one.
    pub fn raise_through(&mut self, address: LogAddress) {
        let through = self.through.entry(address.log).or_default();
        *through = (*through).max(address.position);
    }

    /// Through which position of each log everything for this shard is here or older.
    pub fn through(&self) -> &BTreeMap<LogId, LogPosition> {
        &self.through
    }

    /// The newest version of a key at or below `at`.
    pub fn get(
        &self,
        table: TableId,
        slice: SliceId,
        key: &[u8],
        at: Timestamp,
    ) -> Option<RowVersion> {
        let table = self.tables.get(&table)?;
        let index = table.index(slice)?;
        let entry = index.get(index.seek(&VersionKey::new(key, at), &table.chunks))?;
        let chunk = &table.chunks[entry.chunk as usize];
        (chunk.key(entry.offset) == key).then(|| table.version(entry))
    }

    /// A cursor over the versions of a slice from `from` on, in the order (key, execute_at descending).
    pub fn scan(&self, table: TableId, slice: SliceId, from: &[u8]) -> MemtableScan<'_> {
        let found = self
            .tables
            .get(&table)
            .and_then(|table| table.index(slice).map(|index| (table, index)));
        MemtableScan {
            place: found.map(|(table, index)| {
                let start = VersionKey::new(from, Timestamp::MAX);
                (table, index, index.seek(&start, &table.chunks))
            }),
        }
    }

    /// Highest execute_at in a slice of a table, if it has versions there.
    pub fn highest_in_slice(&self, table: TableId, slice: SliceId) -> Option<Timestamp> {
        let highest = *self.tables.get(&table)?.slice_highest.get(slice.index())?;
        (highest > Timestamp::ZERO).then_some(highest)
    }

    /// Lowest and highest execute_at of a table, if it has versions here.
    pub fn execute_at_bounds(&self, table: TableId) -> Option<(Timestamp, Timestamp)> {
        self.tables.get(&table).map(|table| (table.lowest, table.highest))
    }

    /// Adds a table's chunks, as they are now, to a view.
    pub fn freeze_into(&self, view: &mut FrozenTable) {
        if let Some(table) = self.tables.get(&view.table()) {
            for chunk in &table.chunks {
                view.add_chunk(chunk);
            }
            view.widen(table.lowest, table.highest);
        }
    }

    /// Says that nothing is inserted any more, so that the order of every chunk can be kept.
    pub fn seal(&self) {
        for table in self.tables.values() {
            table.writer.seal();
        }
    }

    /// Tables with versions here, ascending.
    pub fn tables(&self) -> Vec<TableId> {
        let mut tables: Vec<TableId> = self.tables.keys().copied().collect();
        tables.sort_unstable();
        tables
    }

    /// Bytes that chunks and index take.
    pub fn byte_count(&self) -> usize {
        let nodes: usize = self
            .tables
            .values()
            .flat_map(|table| table.slices.iter().flatten())
            .map(|index| index.node_bytes())
            .sum();
        self.chunk_bytes + nodes
    }

    /// Bytes of chunks alone; cheap.
    pub const fn chunk_bytes(&self) -> usize {
        self.chunk_bytes
    }

    /// Versions inserted.
    pub const fn version_count(&self) -> usize {
        self.version_count
    }
}

/// Walks the versions of one slice.
pub struct MemtableScan<'a> {
    place: Option<(&'a TableVersions, &'a VersionIndex, Cursor)>,
}

impl<'a> MemtableScan<'a> {
    /// The version at the cursor.
    pub fn head(&self) -> Option<Entry<'a>> {
        let (table, index, cursor) = self.place?;
        let entry = index.get(cursor)?;
        Some(table.chunks[entry.chunk as usize].entry(entry.offset))
    }

    /// The version at the cursor, in a form that outlives the memtable's borrow.
    pub fn head_version(&self) -> Option<RowVersion> {
        let (table, index, cursor) = self.place?;
        Some(table.version(index.get(cursor)?))
    }

    /// Moves to the next version.
    pub fn advance(&mut self) {
        if let Some((_, index, cursor)) = &mut self.place {
            *cursor = index.next(*cursor);
        }
    }
}
