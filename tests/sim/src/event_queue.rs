//! What will happen, in order of virtual time; what falls on one moment, in an order drawn from the seed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

use crate::machine::Machine;

/// Something that happens at a moment. Run with nothing locked.
pub(crate) type Event = Box<dyn FnOnce(&Arc<Machine>) + Send>;

/// Moment, drawn tie-break, number in order of scheduling.
type Place = (u64, u64, u64);

enum Planned {
    Event(Event),
    Timer(Waker),
}

/// What comes next.
pub(crate) enum Due {
    /// To be run.
    Event(Event),
    /// To be woken.
    Timer(Waker),
}

/// The one queue of a world.
#[derive(Default)]
pub(crate) struct EventQueue {
    planned: BTreeMap<Place, Planned>,
    timers: BTreeMap<u64, Place>,
    next_number: u64,
}

impl EventQueue {
    fn place(&mut self, due: u64, tie: u64) -> Place {
        self.next_number += 1;
        (due, tie, self.next_number)
    }

    pub(crate) fn add(&mut self, due: u64, tie: u64, event: Event) {
        let place = self.place(due, tie);
        self.planned.insert(place, Planned::Event(event));
    }

    /// Gives the timer's key.
    pub(crate) fn add_timer(&mut self, due: u64, tie: u64, waker: Waker) -> u64 {
        let place = self.place(due, tie);
        self.planned.insert(place, Planned::Timer(waker));
        self.timers.insert(place.2, place);
        place.2
    }

    /// Takes a timer out, for the caller to drop with nothing locked.
    pub(crate) fn cancel_timer(&mut self, key: u64) -> Option<Waker> {
        let place = self.timers.remove(&key)?;
        match self.planned.remove(&place) {
            Some(Planned::Timer(waker)) => Some(waker),
            _ => unreachable!("a timer's place holds it"),
        }
    }

    /// When the next thing happens.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.planned.keys().next().map(|place| place.0)
    }

    /// Takes the next thing and its moment.
    pub(crate) fn pop(&mut self) -> Option<(u64, Due)> {
        let (place, planned) = self.planned.pop_first()?;
        let due = match planned {
            Planned::Event(event) => Due::Event(event),
            Planned::Timer(waker) => {
                self.timers.remove(&place.2);
                Due::Timer(waker)
            }
        };
        Some((place.0, due))
    }

    /// Takes everything, for the caller to drop with nothing locked.
    pub(crate) fn take_all(&mut self) -> EventQueue {
        std::mem::take(self)
    }
}
