//! Frozen views: what leaves the shard core. A list of chunks and how much of each belongs to the view; taking one copies and sorts nothing.
//!
//! Sorting is for background cores. The order of a sealed chunk is worked out once, by whoever needs it first, and kept with the chunk for every later
//! view; only the chunk that was still open is sorted anew for each view. Rows are ordered by (slice, key, execute_at descending).

use std::cmp::Ordering;
use std::sync::Arc;

use types::{TableId, Timestamp};

use super::arena::{Chunk, Entry};

/// Offsets of a chunk's entries in row order.
type SortedOrder = Arc<[u32]>;

/// A chunk and how much of it belongs to a view.
#[derive(Clone, Debug)]
struct FrozenChunk {
    chunk: Arc<Chunk>,
    length: usize,
}

impl FrozenChunk {
    fn order(&self) -> SortedOrder {
        let whole = self.chunk.is_sealed() && self.length == self.chunk.published();
        if whole {
            return self.chunk.order.get_or_init(|| self.sort()).clone();
        }
        self.sort()
    }

    fn sort(&self) -> SortedOrder {
        let mut order: Vec<u32> = self.chunk.entry_offsets(self.length).collect();
        order.sort_unstable_by(|a, b| {
            compare(&self.chunk.entry(*a), &self.chunk.entry(*b)).then(b.cmp(a))
        });
        order.into()
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
        let length = chunk.published();
        if length > 0 {
            self.chunks.push(FrozenChunk { chunk: chunk.clone(), length });
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

    /// The rows in order. Work for a background core: sorts what is not sorted yet.
    pub fn sorted(&self) -> SortedRows {
        let mut order = Vec::new();
        for (number, chunk) in self.chunks.iter().enumerate() {
            order.extend(chunk.order().iter().map(|offset| (number as u32, *offset)));
        }
        let entry = |place: &(u32, u32)| self.chunks[place.0 as usize].chunk.entry(place.1);
        // The order of each chunk is a sorted run, which the stable sort merges.
        order.sort_by(|a, b| compare(&entry(a), &entry(b)).then(b.cmp(a)));
        order.dedup_by(|later, kept| compare(&entry(later), &entry(kept)) == Ordering::Equal);
        SortedRows { chunks: self.chunks.clone(), order }
    }
}

/// The rows of a view in the order (slice, key, execute_at descending), without duplicates.
#[derive(Clone, Debug)]
pub struct SortedRows {
    chunks: Vec<FrozenChunk>,
    order: Vec<(u32, u32)>,
}

impl SortedRows {
    /// Row versions.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The version at `index`.
    pub fn get(&self, index: usize) -> Entry<'_> {
        let (chunk, offset) = self.order[index];
        self.chunks[chunk as usize].chunk.entry(offset)
    }

    /// All versions in order.
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        (0..self.order.len()).map(|index| self.get(index))
    }
}
