//! Frozen views: what leaves the shard core. A list of chunks and how much of each belongs to the view; taking one copies and sorts nothing.
//!
//! Turning a chunk into a sorted run is for background cores. That of a sealed chunk is made once, by whoever needs it first, and kept with the
//! chunk for every later view; only the chunk that was still open is decoded anew for each view. Order: slice, key, execute_at descending.

use std::cmp::Ordering;
use std::sync::{Arc, OnceLock};

use sstable::{RowContent, SortedRun};
use types::{TableId, Timestamp};

use super::arena::{Chunk, Entry};

/// A chunk and how much of it belongs to a view. `Send`, immutable, cheap to clone.
#[derive(Clone, Debug)]
pub struct FrozenChunk {
    chunk: Arc<Chunk>,
    length: usize,
    row_count: usize,
    /// For a chunk that was still open: its rows as this view has them, shared by the view's clones.
    own_run: Arc<OnceLock<Arc<SortedRun>>>,
}

impl FrozenChunk {
    fn of(chunk: &Arc<Chunk>) -> FrozenChunk {
        let (length, row_count) = chunk.published_rows();
        FrozenChunk { chunk: chunk.clone(), length, row_count, own_run: Arc::default() }
    }

    /// Row versions, without sorting; a version that was written twice in one turn counts twice.
    pub fn row_count(&self) -> usize {
        self.row_count
    }

    /// Bytes of the row versions.
    pub fn byte_count(&self) -> usize {
        self.length
    }

    /// The versions in order. Work for a background core: made once, by whoever asks first, and shared from then on.
    pub fn run(&self) -> Arc<SortedRun> {
        let whole = self.chunk.is_sealed() && self.length == self.chunk.published();
        let kept = if whole { &self.chunk.run } else { &self.own_run };
        kept.get_or_init(|| self.sort()).clone()
    }

    fn sort(&self) -> Arc<SortedRun> {
        let mut offsets: Vec<u32> = self.chunk.entry_offsets(self.length).collect();
        // Of two entries for the very same version the later one counts.
        offsets.sort_unstable_by(|a, b| {
            compare(&self.chunk.entry(*a), &self.chunk.entry(*b)).then(b.cmp(a))
        });
        offsets.dedup_by(|later, kept| {
            compare(&self.chunk.entry(*later), &self.chunk.entry(*kept)) == Ordering::Equal
        });
        let mut run = SortedRun::new();
        for offset in offsets {
            let entry = self.chunk.entry(offset);
            run.push(sstable::RowVersion {
                slice: entry.slice,
                key: entry.key,
                execute_at: entry.execute_at,
                content: entry.row.map_or(RowContent::Tombstone, RowContent::Row),
            });
        }
        Arc::new(run)
    }
}

fn compare(a: &Entry<'_>, b: &Entry<'_>) -> Ordering {
    a.slice
        .cmp(&b.slice)
        .then_with(|| a.key.cmp(b.key))
        .then_with(|| b.execute_at.cmp(&a.execute_at))
}

/// The rows of one table in one or several memtables, as they were at one moment. `Send`, immutable, cheap to clone.
#[derive(Clone, Debug)]
pub struct FrozenTable {
    table: TableId,
    chunks: Vec<FrozenChunk>,
    lowest: Timestamp,
    highest: Timestamp,
}

impl FrozenTable {
    /// A view without rows.
    pub fn empty(table: TableId) -> FrozenTable {
        FrozenTable { table, chunks: Vec::new(), lowest: Timestamp::MAX, highest: Timestamp::ZERO }
    }

    /// Adds a chunk of the same table, newer than those added before.
    pub(super) fn add_chunk(&mut self, chunk: &Arc<Chunk>) {
        assert_eq!(chunk.table(), self.table, "a view is of one table");
        let frozen = FrozenChunk::of(chunk);
        if frozen.row_count > 0 {
            self.chunks.push(frozen);
        }
    }

    pub(super) fn widen(&mut self, lowest: Timestamp, highest: Timestamp) {
        self.lowest = self.lowest.min(lowest);
        self.highest = self.highest.max(highest);
    }

    /// Adds the chunks of a newer view of the same table.
    pub fn append(&mut self, newer: &FrozenTable) {
        assert_eq!(newer.table, self.table, "a view is of one table");
        self.chunks.extend(newer.chunks.iter().cloned());
        self.widen(newer.lowest, newer.highest);
    }

    /// Whose rows.
    pub fn table(&self) -> TableId {
        self.table
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Lowest execute_at of a row.
    pub fn lowest_execute_at(&self) -> Timestamp {
        self.lowest
    }

    /// Highest execute_at of a row.
    pub fn highest_execute_at(&self) -> Timestamp {
        self.highest
    }

    /// Bytes of row versions in the view.
    pub fn byte_count(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.length).sum()
    }

    /// The chunks, newest first: of two with the very same version, that of the first counts.
    pub fn chunks(&self) -> impl Iterator<Item = &FrozenChunk> {
        self.chunks.iter().rev()
    }

    /// The rows as sorted runs, one a chunk, newest chunk first. Work for a background core.
    pub fn runs(&self) -> Vec<Arc<SortedRun>> {
        self.chunks().map(FrozenChunk::run).collect()
    }
}
