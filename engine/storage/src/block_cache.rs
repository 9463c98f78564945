//! Decoded pages of table files, bounded in bytes. One a shard, private to its core.
//!
//! A page is the rows of all columns between two places of the key index. Pages that somebody holds (a load that has to survive until its turn) are not
//! evicted. Eviction is by second chance: a page that was used since the hand last passed stays for another round.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;
use sstable::{GroupRows, PageId};
use types::{SliceId, SstableId, Timestamp};

/// The rows of one page of one file.
#[derive(Debug)]
pub struct CachedPage {
    pub(crate) rows: GroupRows,
    bytes: usize,
}

impl CachedPage {
    pub(crate) fn new(rows: GroupRows) -> CachedPage {
        let columns: usize = rows.columns().iter().map(|column| column.byte_count()).sum();
        // Keys, slices, times and flags beside the columns.
        let bytes = columns + rows.len() * 40 + 256;
        CachedPage { rows, bytes }
    }

    /// First row at or after (slice, key, execute_at descending).
    pub(crate) fn seek(
        &self,
        slice: SliceId,
        key: &[u8],
        at: Timestamp,
        scratch: &mut Vec<u8>,
    ) -> usize {
        let rows = &self.rows;
        let (mut low, mut high) = (0, rows.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let order = rows.slice(middle).cmp(&slice).then_with(|| {
                rows.key_into(middle, scratch);
                scratch.as_slice().cmp(key).then_with(|| at.cmp(&rows.execute_at(middle)))
            });
            if order.is_lt() {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// Name of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PageName {
    pub(crate) file: SstableId,
    pub(crate) page: PageId,
}

struct Slot {
    page: Arc<CachedPage>,
    used: bool,
}

/// Counters of a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheCounters {
    /// Look-ups that found their page.
    pub hits: u64,
    /// Look-ups that did not.
    pub misses: u64,
    /// Bytes held.
    pub bytes: u64,
}

/// The cache.
pub(crate) struct BlockCache {
    bytes_max: usize,
    bytes: usize,
    pages: HashMap<PageName, Slot, foldhash::fast::FixedState>,
    hand: VecDeque<PageName>,
    hits: u64,
    misses: u64,
    /// What a look uses, while somebody wants to know.
    touched: Option<Vec<Arc<CachedPage>>>,
}

impl BlockCache {
    pub(crate) fn new(bytes_max: usize) -> BlockCache {
        BlockCache {
            bytes_max,
            bytes: 0,
            pages: HashMap::with_hasher(foldhash::fast::FixedState::default()),
            hand: VecDeque::new(),
            hits: 0,
            misses: 0,
            touched: None,
        }
    }

    /// From now on, what is found is remembered.
    pub(crate) fn remember_touched(&mut self) {
        self.touched = Some(Vec::new());
    }

    /// What was found since [`BlockCache::remember_touched`], and no more from now on.
    pub(crate) fn take_touched(&mut self) -> Vec<Arc<CachedPage>> {
        self.touched.take().unwrap_or_default()
    }

    pub(crate) fn get(&mut self, name: PageName) -> Option<Arc<CachedPage>> {
        match self.pages.get_mut(&name) {
            Some(slot) => {
                slot.used = true;
                self.hits += 1;
                self.touched.iter_mut().for_each(|touched| touched.push(slot.page.clone()));
                Some(slot.page.clone())
            }
            None => {
                self.misses += 1;
                None
            }
        }
    }

    /// Takes a page in, and gives the one to hold: the one that is there already if two loads met, since somebody may hold that.
    pub(crate) fn insert(&mut self, name: PageName, page: Arc<CachedPage>) -> Arc<CachedPage> {
        if let Some(slot) = self.pages.get_mut(&name) {
            slot.used = true;
            return slot.page.clone();
        }
        self.bytes += page.bytes;
        self.pages.insert(name, Slot { page: page.clone(), used: true });
        self.hand.push_back(name);
        self.evict();
        page
    }

    fn evict(&mut self) {
        // Twice around: once to take away the second chances, once to find pages that nobody holds.
        let mut steps = 2 * self.hand.len();
        while self.bytes > self.bytes_max && steps > 0 {
            steps -= 1;
            let Some(name) = self.hand.pop_front() else { break };
            let Some(slot) = self.pages.get_mut(&name) else { continue };
            if slot.used || Arc::strong_count(&slot.page) > 1 {
                slot.used = false;
                self.hand.push_back(name);
                continue;
            }
            self.bytes -= slot.page.bytes;
            self.pages.remove(&name);
        }
    }

    pub(crate) fn counters(&self) -> CacheCounters {
        CacheCounters { hits: self.hits, misses: self.misses, bytes: self.bytes as u64 }
    }
}
