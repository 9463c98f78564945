//! The beginnings of interactive transactions, and analytic snapshots.
//!
//! An analytic snapshot T is above all slots and every core's highest timestamp (one round of the mesh), then announced.
//! From then on a core gives out nothing at or below T. It waits for what was registered before the announcement and is
//! undecided or at or below T, and for its log to be durable through all that; then the shard freezes. Nobody is paused.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use types::mutants::live;
use types::{ShardId, Timestamp};

use crate::effect::{Effect, RequestId, Response};
use crate::event::SnapshotAt;
use crate::message::Message;
use crate::mutants;
use crate::participants::ShardSet;
use crate::replica::registry::{Decision, Waiter};
use crate::replica::{Replica, Step, send};
use crate::store::{LogPosition, Store};
use crate::txn::TxnId;

/// The mesh round before T is chosen.
#[derive(Clone, Copy, Debug)]
struct Round {
    awaiting: ShardSet,
    highest: Timestamp,
}

/// A snapshot that was announced and waits for what was registered before.
#[derive(Clone, Debug)]
struct Announced {
    at: Timestamp,
    awaiting: Vec<TxnId>,
}

/// Snapshots of this core, open and on their way.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshots {
    /// How many readers each open snapshot has that began here.
    open: BTreeMap<Timestamp, u32>,
    rounds: BTreeMap<RequestId, Round>,
    announced: BTreeMap<RequestId, Announced>,
}

impl Snapshots {
    pub(super) fn is_idle(&self) -> bool {
        self.rounds.is_empty() && self.announced.is_empty()
    }

    pub(super) fn oldest_open(&self) -> Option<Timestamp> {
        if live(mutants::FLOOR_IGNORES_SNAPSHOTS) {
            return None;
        }
        self.open.first_key_value().map(|(at, _)| *at)
    }

    fn open(&mut self, at: Timestamp) {
        *self.open.entry(at).or_insert(0) += 1;
    }

    pub(super) fn close(&mut self, at: Timestamp) {
        let readers = self.open.get_mut(&at).expect("a snapshot ends where it began, once");
        *readers -= 1;
        if *readers == 0 {
            self.open.remove(&at);
        }
    }
}

impl Replica {
    /// BEGIN: a snapshot above every slot.
    pub(super) fn begin<S: Store>(&mut self, request: RequestId, step: &mut Step<'_, S>) {
        let at = self.clock.mint(step.now.wall_micros);
        self.snapshots.open(at);
        let effect = Effect::Reply { request, response: Response::Began(at) };
        self.outbox.put(LogPosition::NONE, Timestamp::ZERO, effect, step.out);
    }

    pub(super) fn take_snapshot<S: Store>(
        &mut self,
        request: RequestId,
        at: SnapshotAt,
        step: &mut Step<'_, S>,
    ) {
        let mut others = ShardSet::all(self.placement.shard_count());
        others.remove(self.shard);
        match at {
            SnapshotAt::Exactly(at) => self.announce_all(request, at, step),
            SnapshotAt::Strict if others.is_empty() => {
                let at = self.clock.mint(step.now.wall_micros);
                self.announce_all(request, at, step);
            }
            SnapshotAt::Strict => {
                let round = Round { awaiting: others, highest: Timestamp::ZERO };
                self.snapshots.rounds.insert(request, round);
                for other in others.iter() {
                    send(other, Message::Highest { request }, step);
                }
            }
        }
    }

    pub(super) fn highest_ok<S: Store>(
        &mut self,
        from: ShardId,
        request: RequestId,
        highest: Timestamp,
        step: &mut Step<'_, S>,
    ) {
        let rounds = &mut self.snapshots.rounds;
        let round = rounds.get_mut(&request).expect("a round ends when all have answered");
        assert!(round.awaiting.remove(from), "each core answers a round once");
        round.highest = round.highest.max(highest);
        if !round.awaiting.is_empty() {
            return;
        }
        let highest = round.highest;
        rounds.remove(&request);
        self.clock.receive(highest);
        let at = self.clock.mint(step.now.wall_micros);
        self.announce_all(request, at, step);
    }

    fn announce_all<S: Store>(
        &mut self,
        request: RequestId,
        at: Timestamp,
        step: &mut Step<'_, S>,
    ) {
        self.snapshots.open(at);
        let response = Response::SnapshotAt(at);
        let effect = Effect::Reply { request, response };
        self.outbox.put(LogPosition::NONE, Timestamp::ZERO, effect, step.out);
        for shard in ShardSet::all(self.placement.shard_count()).iter() {
            if shard != self.shard {
                send(shard, Message::Announce { request, at }, step);
            }
        }
        self.announce(request, at, step);
    }

    /// From now on nothing at or below `at` is given out here.
    pub(super) fn announce<S: Store>(
        &mut self,
        request: RequestId,
        at: Timestamp,
        step: &mut Step<'_, S>,
    ) {
        if !live(mutants::ANNOUNCE_DOES_NOT_RAISE_CLOCK) {
            self.clock.receive(at);
            self.floors.note_snapshot(at);
        }
        let awaiting = self.registry.iter().filter(|(_, registered)| match registered.decision {
            Decision::Undecided { .. } => !live(mutants::SNAPSHOT_IGNORES_UNDECIDED),
            Decision::Decided { execute_at } => {
                execute_at <= at && !live(mutants::SNAPSHOT_IGNORES_OPEN)
            }
        });
        let awaiting = awaiting.map(|(txn_id, _)| txn_id).collect();
        self.snapshots.announced.insert(request, Announced { at, awaiting });
        self.check_freeze(request, step);
    }

    /// Freezes if nothing is awaited any more.
    pub(super) fn check_freeze<S: Store>(&mut self, request: RequestId, step: &mut Step<'_, S>) {
        let Some(announced) = self.snapshots.announced.get_mut(&request) else { return };
        let at = announced.at;
        while let Some(txn_id) = announced.awaiting.last().copied() {
            let open =
                self.registry.get(txn_id).is_some_and(|registered| match registered.decision {
                    Decision::Undecided { .. } => true,
                    Decision::Decided { execute_at } => execute_at <= at,
                });
            if open {
                self.registry.watch(txn_id, Waiter::Snapshot(request));
                return;
            }
            announced.awaiting.pop();
        }
        self.snapshots.announced.remove(&request);
        let early = live(mutants::FREEZE_NOT_HELD);
        let needs = if early { LogPosition::NONE } else { self.log_end };
        let effect = Effect::Freeze { request, at };
        self.outbox.put(needs, at, effect, step.out);
    }
}
