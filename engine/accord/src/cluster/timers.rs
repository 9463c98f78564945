//! When something is looked at next. Nothing but patience depends on these times: they are wall clock times of a clock that may step.

use alloc::collections::{BTreeMap, BTreeSet};

use super::topology::RangeId;
use crate::txn::TxnId;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// A coordination sends again, or goes on without those that did not answer.
    Coordination(TxnId),
    /// A transaction of a range has not ended.
    Watch(RangeId, TxnId),
    /// A durability round of a range.
    Round(RangeId),
}

/// Set timers: at most one time for each. Setting and taking cost a search of those set.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers {
    due: BTreeMap<Timer, u64>,
    order: BTreeSet<(u64, Timer)>,
}

impl Timers {
    pub(super) fn set(&mut self, timer: Timer, due_micros: u64) {
        if let Some(before) = self.due.insert(timer, due_micros) {
            self.order.remove(&(before, timer));
        }
        self.order.insert((due_micros, timer));
    }

    pub(super) fn is_set(&self, timer: Timer) -> bool {
        self.due.contains_key(&timer)
    }

    pub(super) fn cancel(&mut self, timer: Timer) {
        if let Some(before) = self.due.remove(&timer) {
            self.order.remove(&(before, timer));
        }
    }

    /// Takes the one that is due longest, if one is.
    pub(super) fn pop_due(&mut self, now_micros: u64) -> Option<Timer> {
        let (due, timer) = *self.order.first()?;
        if due > now_micros {
            return None;
        }
        self.order.pop_first();
        self.due.remove(&timer);
        Some(timer)
    }

    /// When the next is due.
    pub(super) fn next_due(&self) -> Option<u64> {
        self.order.first().map(|(due, _)| *due)
    }

    /// Those set, in no order that means anything.
    pub(super) fn all(&self) -> impl Iterator<Item = Timer> + '_ {
        self.due.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::{Timer, Timers};
    use crate::cluster::topology::RangeId;

    #[test]
    fn each_is_due_once_at_its_last_time() {
        let round = |range| Timer::Round(RangeId(range));
        let mut timers = Timers::default();
        timers.set(round(1), 10);
        timers.set(round(2), 20);
        timers.set(round(3), 5);
        timers.set(round(1), 30);
        timers.cancel(round(3));
        assert_eq!(timers.next_due(), Some(20));
        assert_eq!(timers.pop_due(19), None);
        assert_eq!(timers.pop_due(40), Some(round(2)));
        assert_eq!(timers.pop_due(40), Some(round(1)));
        assert_eq!((timers.pop_due(40), timers.next_due()), (None, None));
    }
}
