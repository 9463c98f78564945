//! What a shard holds in memory: the active memtable, the frozen ones that are on their way to files, and the highest version of each slice.
//!
//! A record is applied to the active memtable as a whole; only between records does a full memtable become a frozen one. Frozen memtables are
//! flushed in order, so that the positions in their edits only rise.

use std::collections::VecDeque;
use std::rc::Rc;

use hashbrown::HashMap;
use types::{SliceId, TableId, Timestamp};

use crate::memtable::{FrozenTable, Memtable, RowVersion};

pub(crate) struct Memory {
    pub(crate) active: Memtable,
    /// Oldest first.
    pub(crate) frozen: VecDeque<Rc<Memtable>>,
    highest: HashMap<TableId, Vec<Timestamp>, foldhash::fast::FixedState>,
    chunk_bytes_first: usize,
}

impl Memory {
    pub(crate) fn new(chunk_bytes_first: usize) -> Memory {
        Memory {
            active: Memtable::new(chunk_bytes_first),
            frozen: VecDeque::new(),
            highest: HashMap::with_hasher(foldhash::fast::FixedState::default()),
            chunk_bytes_first,
        }
    }

    /// Notes that a slice of a table holds a version of that time.
    pub(crate) fn raise_highest(&mut self, table: TableId, slice: SliceId, at: Timestamp) {
        let slices = self.highest.entry(table).or_default();
        if slices.len() <= slice.index() {
            slices.resize(slice.index() + 1, Timestamp::ZERO);
        }
        slices[slice.index()] = slices[slice.index()].max(at);
    }

    /// The highest execute_at in a slice of a table, files included.
    pub(crate) fn highest(&self, table: TableId, slice: SliceId) -> Timestamp {
        let slices = self.highest.get(&table);
        slices.and_then(|slices| slices.get(slice.index()).copied()).unwrap_or_default()
    }

    /// Makes the active memtable the newest frozen one. Nothing if it holds neither rows nor positions.
    pub(crate) fn rotate(&mut self) -> bool {
        if self.active.version_count() == 0 && self.active.through().is_empty() {
            return false;
        }
        self.active.seal();
        let full = std::mem::replace(&mut self.active, Memtable::new(self.chunk_bytes_first));
        self.frozen.push_back(Rc::new(full));
        true
    }

    /// The newest version at or below `at` in memory.
    pub(crate) fn get(
        &self,
        table: TableId,
        slice: SliceId,
        key: &[u8],
        at: Timestamp,
    ) -> Option<RowVersion> {
        let mut found = self.active.get(table, slice, key, at);
        for memtable in self.frozen.iter().rev() {
            // Records of other shards may arrive late, so an older memtable can hold a newer version.
            let newest = found.as_ref().map_or(Timestamp::ZERO, |found| found.execute_at);
            let worth_asking = memtable
                .execute_at_bounds(table)
                .is_some_and(|(lowest, highest)| highest > newest && lowest <= at);
            if found.is_some() && !worth_asking {
                continue;
            }
            if let Some(other) = memtable.get(table, slice, key, at)
                && (found.is_none() || other.execute_at > newest)
            {
                found = Some(other);
            }
        }
        found
    }

    /// A view of a table as it is now.
    pub(crate) fn freeze(&self, table: TableId) -> FrozenTable {
        let mut view = FrozenTable::empty(table);
        for memtable in self.memtables() {
            memtable.freeze_into(&mut view);
        }
        view
    }

    /// Oldest first.
    pub(crate) fn memtables(&self) -> impl Iterator<Item = &Memtable> {
        self.frozen.iter().map(|memtable| &**memtable).chain([&self.active])
    }

    /// Bytes of all chunks.
    pub(crate) fn chunk_bytes(&self) -> usize {
        self.memtables().map(Memtable::chunk_bytes).sum()
    }
}
