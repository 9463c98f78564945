//! The mesh: one bounded ring for each ordered pair of cores, written at any time in a turn and
//! published once, at its end.
//!
//! Cost of a message: one slot written, one read, and for a whole batch one release store, one
//! fence and, only if the target sleeps, one system call. Both indexes live in their own cache
//! lines, and each side keeps a private copy of the other's, so that a batch moves few lines
//! between cores.
//!
//! Safety argument: slot `n % capacity` is written by the producer only while `tail <= n < head +
//! capacity`, that is after the consumer's release store of `head` (read with acquire) gave it up,
//! and read by the consumer only while `head <= n < tail`, after the producer's release store of
//! `tail`. There is one producer and one consumer: each is one value, not `Clone` and not `Sync`.
//! loom checks the ring in `mesh/tests.rs` (`--cfg loom`), Miri in the same file.
#![expect(unsafe_code, reason = "a slot changes owner by index, which references cannot express")]

use std::cell::{Cell, RefCell};
use std::mem::MaybeUninit;
use std::sync::Arc as StdArc;
use std::task::{Context, Poll, Waker};

#[cfg(loom)]
use loom::{
    cell::UnsafeCell,
    sync::Arc,
    sync::atomic::{AtomicUsize, Ordering, fence},
};
#[cfg(not(loom))]
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering, fence},
};

use platform::{Mesh, MeshFull};
use types::ShardId;

use crate::task::Unpark;

/// The standard cell with loom's way to reach inside, so that one source serves both.
#[cfg(not(loom))]
struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    fn new(value: T) -> UnsafeCell<T> {
        UnsafeCell(std::cell::UnsafeCell::new(value))
    }
    fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
        read(self.0.get())
    }
    fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
        write(self.0.get())
    }
}

#[repr(align(128))]
struct Line(AtomicUsize);

struct Ring<M> {
    slots: Box<[UnsafeCell<MaybeUninit<M>>]>,
    /// Messages taken so far; stored by the consumer.
    head: Line,
    /// Messages published so far; stored by the producer.
    tail: Line,
}

// SAFETY: a message is reached by one thread at a time, by the module's argument; so sharing the
// ring only moves messages, which are `Send`.
unsafe impl<M: Send> Sync for Ring<M> {}
// SAFETY: as above.
unsafe impl<M: Send> Send for Ring<M> {}

impl<M> Ring<M> {
    fn slot(&self, position: usize) -> &UnsafeCell<MaybeUninit<M>> {
        &self.slots[position % self.slots.len()]
    }
}

impl<M> Drop for Ring<M> {
    fn drop(&mut self) {
        let head = self.head.0.load(Ordering::Acquire);
        let tail = self.tail.0.load(Ordering::Acquire);
        let mut position = head;
        while position != tail {
            // SAFETY: positions between head and tail hold messages, and `&mut self` says that
            // neither end exists any more.
            self.slot(position).with_mut(|slot| unsafe { (*slot).assume_init_drop() });
            position = position.wrapping_add(1);
        }
    }
}

/// The writing end of a ring. Positions count up for ever and wrap with the machine word; the
/// capacity is a power of two, so slots wrap with them.
pub(crate) struct Producer<M> {
    ring: Arc<Ring<M>>,
    next: Cell<usize>,
    published: Cell<usize>,
    head_seen: Cell<usize>,
}

/// The reading end of a ring.
pub(crate) struct Consumer<M> {
    ring: Arc<Ring<M>>,
    next: Cell<usize>,
    tail_seen: Cell<usize>,
}

/// An empty ring of `capacity` messages, a power of two.
pub(crate) fn ring<M>(capacity: usize) -> (Producer<M>, Consumer<M>) {
    assert!(capacity.is_power_of_two(), "positions wrap with the machine word");
    let slots = (0..capacity).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect();
    let ring =
        Arc::new(Ring { slots, head: Line(AtomicUsize::new(0)), tail: Line(AtomicUsize::new(0)) });
    let producer = Producer {
        ring: ring.clone(),
        next: Cell::new(0),
        published: Cell::new(0),
        head_seen: Cell::new(0),
    };
    (producer, Consumer { ring, next: Cell::new(0), tail_seen: Cell::new(0) })
}

impl<M> Producer<M> {
    /// Messages that fit now.
    pub(crate) fn room(&self) -> usize {
        let capacity = self.ring.slots.len();
        let used = self.next.get().wrapping_sub(self.head_seen.get());
        if used < capacity {
            return capacity - used;
        }
        self.head_seen.set(self.ring.head.0.load(Ordering::Acquire));
        capacity - self.next.get().wrapping_sub(self.head_seen.get())
    }

    /// Writes a message without publishing it.
    pub(crate) fn push(&self, message: M) -> Result<(), M> {
        if self.room() == 0 {
            return Err(message);
        }
        let position = self.next.get();
        // SAFETY: there is room, so the consumer has given the slot up (acquire in `room`), and its
        // old message was moved out.
        self.ring.slot(position).with_mut(|slot| unsafe { (*slot).write(message) });
        self.next.set(position.wrapping_add(1));
        Ok(())
    }

    /// Makes everything pushed visible to the consumer; true if there was anything.
    pub(crate) fn publish(&self) -> bool {
        if self.published.get() == self.next.get() {
            return false;
        }
        self.ring.tail.0.store(self.next.get(), Ordering::Release);
        self.published.set(self.next.get());
        true
    }
}

impl<M> Drop for Producer<M> {
    fn drop(&mut self) {
        // What was pushed belongs to the ring, which drops what nobody takes.
        self.publish();
    }
}

impl<M> Consumer<M> {
    pub(crate) fn has_message(&self) -> bool {
        if self.next.get() != self.tail_seen.get() {
            return true;
        }
        self.tail_seen.set(self.ring.tail.0.load(Ordering::Acquire));
        self.next.get() != self.tail_seen.get()
    }

    pub(crate) fn pop(&self) -> Option<M> {
        if !self.has_message() {
            return None;
        }
        let position = self.next.get();
        // SAFETY: the position is below a tail read with acquire, so the message is written; it is
        // moved out once, since `next` moves past it.
        let message = self.ring.slot(position).with(|slot| unsafe { (*slot).assume_init_read() });
        let next = position.wrapping_add(1);
        self.next.set(next);
        self.ring.head.0.store(next, Ordering::Release);
        Some(message)
    }
}

/// What the core's loop does with the mesh, whatever the messages are.
pub(crate) trait MeshPort {
    /// Publishes what was sent in this turn and wakes the targets that sleep.
    fn flush(&self);
    /// Wakes the receiving task if a message waits.
    fn wake_receiver(&self);
    /// True when a message waits.
    fn has_incoming(&self) -> bool;
}

/// One core's end of the mesh.
pub(crate) struct MeshEnd<M> {
    own: ShardId,
    producers: Vec<Producer<M>>,
    consumers: Vec<Consumer<M>>,
    unparks: Vec<StdArc<dyn Unpark>>,
    /// Bit `n` is set when something was pushed towards core `n` in this turn.
    dirty: Cell<u64>,
    /// Where the next receive looks first, so that no sender starves the others.
    cursor: Cell<usize>,
    waker: RefCell<Option<Waker>>,
}

/// The ends of a mesh between as many cores as there are `unparks`, each for its own thread.
pub(crate) fn mesh<M: Send>(
    unparks: Vec<StdArc<dyn Unpark>>,
    ring_capacity: usize,
) -> Vec<MeshEnd<M>> {
    let count = unparks.len();
    assert!(count <= usize::from(types::limits::SHARDS_MAX), "more cores than the limit");
    let mut producers: Vec<Vec<Producer<M>>> = (0..count).map(|_| Vec::new()).collect();
    let mut consumers: Vec<Vec<Consumer<M>>> = (0..count).map(|_| Vec::new()).collect();
    for source in &mut producers {
        for target in &mut consumers {
            let (producer, consumer) = ring(ring_capacity);
            source.push(producer);
            target.push(consumer);
        }
    }
    let ends = producers.into_iter().zip(consumers).enumerate();
    ends.map(|(index, (producers, consumers))| MeshEnd {
        own: ShardId(u16::try_from(index).expect("checked against the limit")),
        producers,
        consumers,
        unparks: unparks.clone(),
        dirty: Cell::new(0),
        cursor: Cell::new(0),
        waker: RefCell::new(None),
    })
    .collect()
}

impl<M> MeshEnd<M> {
    fn pop(&self) -> Option<(ShardId, M)> {
        let count = self.consumers.len();
        for step in 0..count {
            let index = (self.cursor.get() + step) % count;
            if let Some(message) = self.consumers[index].pop() {
                self.cursor.set(index + 1);
                return Some((ShardId(index as u16), message));
            }
        }
        None
    }
}

impl<M: Send> Mesh<M> for MeshEnd<M> {
    fn own_shard(&self) -> ShardId {
        self.own
    }

    fn shard_count(&self) -> u16 {
        self.producers.len() as u16
    }

    fn send(&self, target: ShardId, message: M) -> Result<(), MeshFull<M>> {
        self.producers[target.index()]
            .push(message)
            .map_err(|message| MeshFull { target, message })?;
        self.dirty.set(self.dirty.get() | 1 << target.index());
        Ok(())
    }

    fn room(&self, target: ShardId) -> usize {
        self.producers[target.index()].room()
    }

    fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<(ShardId, M)> {
        if let Some(received) = self.pop() {
            return Poll::Ready(received);
        }
        let mut waker = self.waker.borrow_mut();
        match &mut *waker {
            Some(known) => known.clone_from(cx.waker()),
            None => *waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

impl<M: Send> MeshPort for MeshEnd<M> {
    fn flush(&self) {
        let mut dirty = self.dirty.replace(0);
        if dirty == 0 {
            return;
        }
        let targets = dirty;
        while dirty != 0 {
            self.producers[dirty.trailing_zeros() as usize].publish();
            dirty &= dirty - 1;
        }
        // Pairs with the sleeper's own: either it sees the message after announcing its sleep, or
        // we see the announcement.
        fence(Ordering::SeqCst);
        let mut waking = targets & !(1 << self.own.index());
        while waking != 0 {
            self.unparks[waking.trailing_zeros() as usize].unpark();
            waking &= waking - 1;
        }
    }

    fn wake_receiver(&self) {
        if self.has_incoming()
            && let Some(waker) = &*self.waker.borrow()
        {
            waker.wake_by_ref();
        }
    }

    fn has_incoming(&self) -> bool {
        self.consumers.iter().any(Consumer::has_message)
    }
}

#[cfg(test)]
mod tests;
