//! Timers of one core: a hierarchical wheel, constant time to add and to cancel.
//!
//! A tick is 2^20 ns, about a millisecond. Level `n` has 64 slots of 64^n ticks; a timer lies in
//! the level of the highest 6-bit digit in which its tick differs from now, and moves down a level
//! when the wheel reaches its slot. Each slot is a doubly linked list through one slab, so that a
//! cancelled timer (most statement timeouts) leaves nothing behind. Timers never fire early; they
//! fire at most one tick late, plus what the core was late.

use std::task::Waker;

use platform::{MonotonicNanos, TimerKey};

use crate::slab::Slab;

const TICK_BITS: u32 = 20;
const DIGIT_BITS: u32 = 6;
const SLOTS: usize = 1 << DIGIT_BITS;
/// Covers 64^7 ticks, well over a century.
const LEVELS: usize = 7;
const NIL: u32 = u32::MAX;

struct Timer {
    tick: u64,
    serial: u32,
    waker: Waker,
    level: usize,
    slot: usize,
    previous: u32,
    next: u32,
}

struct Level {
    heads: [u32; SLOTS],
    /// Bit `n` is set when slot `n` holds a timer.
    occupied: u64,
}

pub(crate) struct TimerWheel {
    timers: Slab<Timer>,
    levels: [Level; LEVELS],
    current_tick: u64,
    next_serial: u32,
}

fn tick_after(deadline: MonotonicNanos) -> u64 {
    (deadline.0 >> TICK_BITS) + 1
}

impl TimerWheel {
    pub(crate) fn new(now: MonotonicNanos) -> TimerWheel {
        let level = || Level { heads: [NIL; SLOTS], occupied: 0 };
        TimerWheel {
            timers: Slab::new(),
            levels: std::array::from_fn(|_| level()),
            current_tick: now.0 >> TICK_BITS,
            next_serial: 0,
        }
    }

    /// Timers that have neither fired nor been cancelled.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.timers.len()
    }

    pub(crate) fn add(&mut self, deadline: MonotonicNanos, waker: Waker) -> TimerKey {
        let tick = tick_after(deadline).max(self.current_tick + 1);
        let serial = self.next_serial;
        // Wraps after 2^32 timers; a stale key would have to survive exactly so many, in the same
        // place.
        self.next_serial = self.next_serial.wrapping_add(1);
        let timer = Timer { tick, serial, waker, level: 0, slot: 0, previous: NIL, next: NIL };
        let index = self.timers.insert(timer);
        self.link(index);
        TimerKey(u64::from(serial) << 32 | u64::from(index))
    }

    pub(crate) fn cancel(&mut self, key: TimerKey) {
        let index = (key.0 & u64::from(u32::MAX)) as u32;
        let serial = (key.0 >> 32) as u32;
        if self.timers.get(index).is_some_and(|timer| timer.serial == serial) {
            self.unlink(index);
            self.timers.remove(index);
        }
    }

    /// Wakes every timer whose deadline has passed, in the order of their ticks.
    pub(crate) fn fire(&mut self, now: MonotonicNanos) {
        let target = now.0 >> TICK_BITS;
        while self.current_tick < target {
            // Nothing between here and the next occupied slot needs a look.
            match self.next_tick() {
                Some(tick) if tick <= target => self.advance_to(tick),
                _ => self.current_tick = target,
            }
        }
    }

    /// When [`Self::fire`] next has something to do, at the earliest.
    pub(crate) fn next_wake(&self) -> Option<MonotonicNanos> {
        self.next_tick().map(|tick| MonotonicNanos(tick << TICK_BITS))
    }

    /// The first tick after the current one at which a timer fires or moves down a level.
    fn next_tick(&self) -> Option<u64> {
        for (number, level) in self.levels.iter().enumerate() {
            let shift = DIGIT_BITS * number as u32;
            let digit = (self.current_tick >> shift) as usize % SLOTS;
            // Timers of a level lie in slots after the current digit: below it they would be in a
            // higher level.
            let later = if digit + 1 == SLOTS { 0 } else { level.occupied >> (digit + 1) };
            if later != 0 {
                let slot = digit as u64 + 1 + u64::from(later.trailing_zeros());
                let above = self.current_tick >> (shift + DIGIT_BITS) << (shift + DIGIT_BITS);
                return Some(above + (slot << shift));
            }
        }
        None
    }

    fn advance_to(&mut self, tick: u64) {
        assert!(tick > self.current_tick, "the wheel turns forward only");
        self.current_tick = tick;
        for number in (0..LEVELS).rev() {
            let shift = DIGIT_BITS * number as u32;
            if tick & ((1 << shift) - 1) != 0 {
                continue;
            }
            let slot = (tick >> shift) as usize % SLOTS;
            while self.levels[number].heads[slot] != NIL {
                let index = self.levels[number].heads[slot];
                self.unlink(index);
                self.fire_or_move_down(index);
            }
        }
    }

    fn fire_or_move_down(&mut self, index: u32) {
        let due = self.timers.get(index).is_some_and(|timer| timer.tick <= self.current_tick);
        if due {
            let timer = self.timers.remove(index).expect("just found there");
            timer.waker.wake();
        } else {
            self.link(index);
        }
    }

    fn link(&mut self, index: u32) {
        let tick = self.timers.get(index).expect("linked timers are in the slab").tick;
        let differing = (tick ^ self.current_tick).max(1);
        let level = ((differing.ilog2() / DIGIT_BITS) as usize).min(LEVELS - 1);
        let slot = (tick >> (DIGIT_BITS * level as u32)) as usize % SLOTS;
        let head = self.levels[level].heads[slot];
        let timer = self.timers.get_mut(index).expect("linked timers are in the slab");
        (timer.level, timer.slot, timer.previous, timer.next) = (level, slot, NIL, head);
        if let Some(next) = self.timers.get_mut(head) {
            next.previous = index;
        }
        self.levels[level].heads[slot] = index;
        self.levels[level].occupied |= 1 << slot;
    }

    fn unlink(&mut self, index: u32) {
        let timer = self.timers.get(index).expect("unlinked timers are in the slab");
        let (level, slot, previous, next) = (timer.level, timer.slot, timer.previous, timer.next);
        match self.timers.get_mut(previous) {
            Some(previous) => previous.next = next,
            None => self.levels[level].heads[slot] = next,
        }
        if let Some(next) = self.timers.get_mut(next) {
            next.previous = previous;
        }
        if self.levels[level].heads[slot] == NIL {
            self.levels[level].occupied &= !(1 << slot);
        }
    }
}

#[cfg(test)]
mod tests;
