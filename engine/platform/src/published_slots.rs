//! Two words a core that every core may read at any time and only their owner stores: how a core's
//! promises (the oldest undecided commit timestamp, for one) reach the others without a message.
//!
//! A slot is a sequence lock over two words: the owner makes the sequence odd, stores, makes it
//! even; a reader retries while it is odd or changed. Written in atomics only, so there is nothing
//! undefined about a race; a reader never sees a torn pair. Stored once a loop, before that loop's
//! outputs leave.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use types::ShardId;

/// What a core publishes: 128 bits as two words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublishedSlot {
    /// High word.
    pub high: u64,
    /// Low word.
    pub low: u64,
}

#[repr(align(128))]
#[derive(Default)]
struct Slot {
    sequence: AtomicU64,
    high: AtomicU64,
    low: AtomicU64,
}

/// The slots of all shard cores of a node. Cloning shares them.
#[derive(Clone)]
pub struct PublishedSlots {
    slots: Arc<[Slot]>,
}

impl PublishedSlots {
    /// Zeroed slots for `shard_count` cores.
    pub fn new(shard_count: u16) -> PublishedSlots {
        PublishedSlots { slots: (0..shard_count).map(|_| Slot::default()).collect() }
    }

    /// Cores that have a slot.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// True for a node without shard cores.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Stores a core's slot. Only the core that owns it calls this.
    ///
    /// # Panics
    /// If another store to the same slot is under way: two cores claim to be one.
    pub fn publish(&self, own: ShardId, value: PublishedSlot) {
        let slot = &self.slots[own.index()];
        let sequence = slot.sequence.load(Ordering::Relaxed);
        assert!(sequence.is_multiple_of(2), "slot of shard {own} has two writers");
        slot.sequence.store(sequence + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        slot.high.store(value.high, Ordering::Relaxed);
        slot.low.store(value.low, Ordering::Relaxed);
        slot.sequence.store(sequence + 2, Ordering::Release);
    }

    /// The last whole value published by `shard`.
    pub fn read(&self, shard: ShardId) -> PublishedSlot {
        let slot = &self.slots[shard.index()];
        loop {
            let before = slot.sequence.load(Ordering::Acquire);
            let value = PublishedSlot {
                high: slot.high.load(Ordering::Relaxed),
                low: slot.low.load(Ordering::Relaxed),
            };
            fence(Ordering::Acquire);
            let after = slot.sequence.load(Ordering::Relaxed);
            if before == after && before.is_multiple_of(2) {
                return value;
            }
            std::hint::spin_loop();
        }
    }

    /// Every core's slot in shard order; each is whole, together they are not one moment.
    pub fn read_all(&self) -> impl Iterator<Item = PublishedSlot> + '_ {
        (0..self.slots.len())
            .map(|index| self.read(ShardId(u16::try_from(index).expect("made from a u16 count"))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_never_see_a_torn_pair() {
        let slots = PublishedSlots::new(2);
        let writer = slots.clone();
        let rounds = if cfg!(miri) { 200 } else { 100_000 };
        let thread = std::thread::spawn(move || {
            for round in 1..=rounds {
                writer.publish(ShardId(1), PublishedSlot { high: round, low: !round });
            }
        });
        let mut last = 0;
        while last < rounds {
            let seen = slots.read(ShardId(1));
            if seen.high == 0 && seen.low == 0 {
                std::thread::yield_now();
                continue;
            }
            assert_eq!(seen.low, !seen.high);
            assert!(seen.high >= last);
            last = seen.high;
        }
        thread.join().expect("the writer ends");
        assert_eq!(slots.read_all().count(), 2);
    }
}
