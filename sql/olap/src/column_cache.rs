//! Encoded column chunks kept in memory, so that a scan asked again runs at memory speed.
//!
//! Bounded in bytes. A chunk enters on its second use within memory of the first (a list of recent misses), so one pass over a large table evicts nothing.
//! Eviction is by turns: a chunk that was used since the hand passed it last stays once more. What is in it was verified against its checksum when it was first
//! decoded. It belongs to analytics alone: it never evicts the shards' block cache, nor they it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sstable::ByteRange;
use types::{ByteCount, SstableId};

type Chunk = (SstableId, ByteRange);

/// Misses remembered.
const MISSES_MAX: usize = 16 * 1024;

/// The cache of one node's analytics.
#[derive(Debug)]
pub struct ColumnCache {
    bytes_max: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    chunks: HashMap<Chunk, Held>,
    /// The order in which the hand passes chunks.
    turns: VecDeque<Chunk>,
    bytes: u64,
    missed: HashSet<Chunk>,
    miss_order: VecDeque<Chunk>,
}

#[derive(Debug)]
struct Held {
    bytes: Arc<[u8]>,
    used: bool,
}

impl ColumnCache {
    /// A cache of at most so many bytes; zero keeps nothing.
    pub fn new(bytes_max: ByteCount) -> ColumnCache {
        ColumnCache { bytes_max: bytes_max.0, state: Mutex::default() }
    }

    /// Bytes held.
    pub fn byte_count(&self) -> ByteCount {
        ByteCount(self.lock().bytes)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the lock is held, so a poisoned state is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, file: SstableId, range: ByteRange) -> Option<Arc<[u8]>> {
        let mut state = self.lock();
        let held = state.chunks.get_mut(&(file, range))?;
        held.used = true;
        Some(held.bytes.clone())
    }

    /// Offers a chunk that was read and verified.
    pub(crate) fn offer(&self, file: SstableId, range: ByteRange, bytes: &Arc<[u8]>) {
        let length = bytes.len() as u64;
        if length > self.bytes_max / 8 {
            return;
        }
        let chunk = (file, range);
        let mut state = self.lock();
        if state.chunks.contains_key(&chunk) {
            return;
        }
        if !state.missed.remove(&chunk) {
            state.remember_miss(chunk);
            return;
        }
        while state.bytes + length > self.bytes_max && state.evict() {}
        state.bytes += length;
        state.turns.push_back(chunk);
        state.chunks.insert(chunk, Held { bytes: bytes.clone(), used: false });
    }
}

impl State {
    fn remember_miss(&mut self, chunk: Chunk) {
        self.missed.insert(chunk);
        self.miss_order.push_back(chunk);
        while self.miss_order.len() > MISSES_MAX {
            if let Some(oldest) = self.miss_order.pop_front() {
                self.missed.remove(&oldest);
            }
        }
    }

    /// Removes the chunk whose turn it is, passing over those used since. False if there is none.
    fn evict(&mut self) -> bool {
        while let Some(chunk) = self.turns.pop_front() {
            let Some(held) = self.chunks.get_mut(&chunk) else { continue };
            if held.used {
                held.used = false;
                self.turns.push_back(chunk);
                continue;
            }
            self.bytes -= held.bytes.len() as u64;
            self.chunks.remove(&chunk);
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::ColumnCache;
    use sstable::ByteRange;
    use std::sync::Arc;
    use types::{ByteCount, SstableId};

    #[test]
    fn a_chunk_enters_on_its_second_use_and_bytes_stay_bounded() {
        let cache = ColumnCache::new(ByteCount(1_000));
        let bytes: Arc<[u8]> = vec![7; 100].into();
        let range = |offset| ByteRange { offset, bytes: 100 };
        cache.offer(SstableId(1), range(0), &bytes);
        assert!(cache.get(SstableId(1), range(0)).is_none());
        cache.offer(SstableId(1), range(0), &bytes);
        assert!(cache.get(SstableId(1), range(0)).is_some());
        for turn in 0..50 {
            for _ in 0..2 {
                cache.offer(SstableId(2), range(turn), &bytes);
            }
            // Used every time, so the hand passes over it.
            assert!(cache.get(SstableId(1), range(0)).is_some());
        }
        assert!(cache.byte_count().0 <= 1_000);
    }
}
