//! The durability rule, in its one place.
//!
//! Memory advances at once; what leaves the core waits. Every output carries the position through which this core's log
//! must be durable: the highest position of anything it observed, absences included. Outputs that need nothing pass;
//! the others are held, ordered by position, and released as the log becomes durable. Two outputs with the same need
//! keep their order, so Apply messages leave in log order.
//!
//! The published slot rises here too: with each reply, read or frozen view at the moment it may leave.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use types::Timestamp;
use types::mutants::live;

use crate::effect::Effect;
use crate::mutants;
use crate::store::LogPosition;

#[derive(Clone, Debug)]
struct Held {
    needs: LogPosition,
    shows: Timestamp,
    effect: Effect,
}

/// Outputs on their way out of one core.
#[derive(Clone, Debug)]
pub struct Outbox {
    durable: LogPosition,
    slot: Timestamp,
    /// Ascending by `needs`.
    held: VecDeque<Held>,
}

impl Outbox {
    /// Nothing is held; the slot starts at the floor of the node's start.
    pub fn new(slot: Timestamp) -> Outbox {
        Outbox { durable: LogPosition::NONE, slot, held: VecDeque::new() }
    }

    /// The highest timestamp that any output has shown.
    pub const fn slot(&self) -> Timestamp {
        self.slot
    }

    /// How many outputs wait for the log.
    pub fn held_count(&self) -> usize {
        self.held.len()
    }

    /// The first log position that an output waits for.
    pub fn first_held(&self) -> Option<LogPosition> {
        self.held.front().map(|held| held.needs)
    }

    /// The log is durable through this.
    pub const fn durable(&self) -> LogPosition {
        self.durable
    }

    /// Puts out `effect`, which shows a client the state at `shows` ([`Timestamp::ZERO`] if it stays inside the node),
    /// as soon as the log is durable through `needs`.
    pub fn put(
        &mut self,
        needs: LogPosition,
        shows: Timestamp,
        effect: Effect,
        out: &mut Vec<Effect>,
    ) {
        if needs <= self.durable {
            self.slot = self.slot.max(shows);
            out.push(effect);
            return;
        }
        let held = Held { needs, shows, effect };
        let mut at = self.held.len();
        while at > 0 && self.held[at - 1].needs > needs {
            at -= 1;
        }
        if at == self.held.len() {
            self.held.push_back(held);
        } else {
            self.held.insert(at, held);
        }
    }

    /// The log became durable through `position`.
    pub fn release(&mut self, position: LogPosition, out: &mut Vec<Effect>) {
        self.durable = self.durable.max(position);
        let start = out.len();
        while self.held.front().is_some_and(|held| held.needs <= self.durable) {
            let held = self.held.pop_front().expect("there is a front");
            self.slot = self.slot.max(held.shows);
            out.push(held.effect);
        }
        if live(mutants::APPLY_OUT_OF_ORDER) {
            out[start..].reverse();
        }
    }
}

#[cfg(test)]
mod tests {
    use types::{TableId, Timestamp};

    use super::Outbox;
    use crate::effect::{Effect, RequestId, Response};
    use crate::store::LogPosition;
    use crate::workload::Abort;

    fn reply(request: u64) -> Effect {
        let abort = Abort::SchemaChanged { table: TableId(0), found: None };
        Effect::Reply { request: RequestId(request), response: Response::Aborted(abort) }
    }

    fn requests(out: &[Effect]) -> Vec<u64> {
        let request = |effect: &Effect| match effect {
            Effect::Reply { request, .. } => request.0,
            other => panic!("only replies were put: {other:?}"),
        };
        out.iter().map(request).collect()
    }

    #[test]
    fn outputs_wait_for_what_they_observed_and_keep_their_order() {
        let mut outbox = Outbox::new(Timestamp::ZERO);
        let at = |hlc| Timestamp::new(0, hlc, 0);
        let mut out = Vec::new();
        outbox.put(LogPosition(20), at(20), reply(1), &mut out);
        outbox.put(LogPosition(10), at(10), reply(2), &mut out);
        outbox.put(LogPosition(20), at(5), reply(3), &mut out);
        outbox.put(LogPosition::NONE, at(7), reply(4), &mut out);
        assert_eq!(requests(&out), [4]);
        assert_eq!(outbox.slot(), at(7));
        outbox.release(LogPosition(19), &mut out);
        assert_eq!(requests(&out), [4, 2]);
        assert_eq!(outbox.slot(), at(10));
        outbox.release(LogPosition(20), &mut out);
        assert_eq!(requests(&out), [4, 2, 1, 3]);
        assert_eq!(outbox.slot(), at(20));
        outbox.put(LogPosition(20), at(30), reply(5), &mut out);
        assert_eq!(requests(&out), [4, 2, 1, 3, 5]);
        assert_eq!(outbox.held_count(), 0);
    }
}
