//! What a replica lets go of, and what it says of it afterwards (section 6).
//!
//! ```text
//! applied here, and by every replica of all its ranges        → settled: one id, and the times of its tokens
//! a sync point above it is applied here                       → decided: if nobody had, it never can be
//! … and on every replica of each of its ranges                → gone: the bounds say so
//! ```
//!
//! The order matters. A sync point's dependencies are everything below it that may take effect, so when it is applied, whatever is below
//! and undecided here is dead (section 3.4). When every replica of a range has applied it, nothing there waits for anything below, and nobody
//! who could ask is undecided: an asker that **is** undecided below may conclude that the transaction never takes effect. Multi-range
//! transactions go when that holds for each of their ranges.
//!
//! Cleaning up is a function of the command and of the bounds, the same at a restart as before it.

use alloc::vec::Vec;

use types::Timestamp;
use types::mutants::live;

use super::RangeReplica;
use crate::cluster::command::Command;
use crate::cluster::message::{Answer, Request};
use crate::cluster::settled::Settled;
use crate::cluster::status::{Ballot, Durability, Status};
use crate::cluster::topology::RangeId;
use crate::mutants;
use crate::txn::TxnId;

/// What one replica will not take up again. Each only rises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// No transaction below begins here: a sync point was here before it.
    pub rejected_below: TxnId,
    /// Everything below is decided here, and applied if it takes effect: this sync point is applied.
    pub applied_below: TxnId,
    /// At least the highest timestamp that anything here was witnessed, accepted or agreed at when this was logged.
    pub highest: Timestamp,
}

impl RangeReplica {
    /// Its bounds.
    pub const fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Whether a sync point is known that has not ended here, and whose end is seen to here. Of others the next one sees to it that they end.
    pub(in crate::cluster) fn has_open_sync_point(&self) -> bool {
        self.sync_points.iter().any(|sync_point| {
            let command = &self.commands[sync_point];
            let home = command.transaction().is_some_and(|all| all.home() == self.range);
            home && !command.status().is_over()
        })
    }

    /// Takes back bounds from the log.
    pub(in crate::cluster) fn restore_bounds(&mut self, bounds: Bounds) {
        self.bounds.rejected_below = self.bounds.rejected_below.max(bounds.rejected_below);
        self.bounds.applied_below = self.bounds.applied_below.max(bounds.applied_below);
        self.bounds.highest = self.bounds.highest.max(bounds.highest);
    }

    /// The bounds, if they rose since this was last asked.
    pub(in crate::cluster) fn take_changed_bounds(&mut self) -> Option<Bounds> {
        core::mem::take(&mut self.bounds_changed).then_some(self.bounds)
    }

    pub(in crate::cluster) fn take_forgotten(&mut self) -> Vec<TxnId> {
        core::mem::take(&mut self.forgotten)
    }

    /// The answer to a request about a transaction that is settled or gone: never as if it were new.
    pub(super) fn answer_for_the_gone(
        &self,
        txn_id: TxnId,
        request: &Request,
    ) -> Option<Option<(Ballot, Answer)>> {
        let settled = self.truncated.contains(&txn_id);
        let below = txn_id < self.bounds.applied_below && !live(mutants::GONE_IS_NEW);
        if self.commands.contains_key(&txn_id) || !(settled || below) {
            return None;
        }
        Some(match request {
            Request::Apply { .. } => Some((Ballot::ZERO, Answer::Applied)),
            Request::Invalidate => {
                assert!(!settled, "{txn_id} is both applied and invalidated");
                None
            }
            Request::Durable { .. } | Request::UniversallyApplied => None,
            Request::PreAccept { .. } | Request::Read { .. } => {
                Some((Ballot::ZERO, Answer::Truncated))
            }
            Request::Accept { ballot, .. }
            | Request::AcceptInvalidate { ballot }
            | Request::Commit { ballot, .. }
            | Request::Recover { ballot, .. }
            | Request::PromiseUnknown { ballot } => Some((*ballot, Answer::Truncated)),
        })
    }

    /// Lets go of a transaction that every replica has applied, if its tokens say enough of it.
    pub(super) fn settle(&mut self, txn_id: TxnId) {
        let Some(command) = self.commands.get(&txn_id) else { return };
        if command.status() != Status::Applied || command.durability() != Durability::Universal {
            return;
        }
        let Some(transaction) = command.transaction().cloned() else { return };
        let Some(footprint) = transaction.footprint() else { return };
        if !Settled::can_hold(footprint) {
            return;
        }
        if !live(mutants::SETTLED_LEAVES_NO_TRACE) {
            self.settled.insert(footprint, self.tokens, command.execute_at());
        }
        self.conflicts.remove(txn_id, footprint);
        let mut command = self.commands.remove(&txn_id).expect("just seen");
        self.last_changes.extend(command.take_change().map(|change| (txn_id, change)));
        self.truncated.insert(txn_id);
        self.counters.settled += 1;
    }

    /// A sync point is applied here: whatever is below and undecided never takes effect.
    pub(super) fn sync_point_applied(&mut self, sync_point: TxnId) {
        if sync_point <= self.bounds.applied_below {
            return;
        }
        self.bounds.applied_below = sync_point;
        self.bounds_changed = true;
        let undecided: Vec<TxnId> = self
            .commands
            .range(..sync_point)
            .filter(|(_, command)| !command.status().is_over())
            .map(|(txn_id, _)| *txn_id)
            .collect();
        for txn_id in undecided {
            let status = self.commands[&txn_id].status();
            assert!(
                !status.is_committed(),
                "{txn_id} is {status:?} behind the sync point {sync_point}"
            );
            self.invalidate(txn_id);
        }
        // Nobody waits for what was never heard of and never will be.
        let unknown: Vec<TxnId> = self.blocked.range(..sync_point).map(|(id, _)| *id).collect();
        for txn_id in unknown {
            self.unblock(txn_id);
        }
    }

    /// Lets go of what is below a sync point that every replica of each of its ranges has applied; `universal` are those
    /// sync points by range.
    pub(in crate::cluster) fn expunge(&mut self, universal: &[TxnId]) {
        let here = universal[usize::from(self.range.0)].min(self.bounds.applied_below);
        let is_gone = |txn_id: TxnId, command: &Command| {
            let everywhere = command.transaction().is_none_or(|transaction| {
                let mut route = transaction.route().iter();
                let below = |range: &RangeId| txn_id < universal[usize::from(range.0)];
                if live(mutants::ONE_RANGE_IS_ENOUGH) { true } else { route.all(below) }
            });
            command.status().is_over() && everywhere
        };
        let gone: Vec<TxnId> = self
            .commands
            .range(..here)
            .filter(|(txn_id, command)| is_gone(**txn_id, command))
            .map(|(txn_id, _)| *txn_id)
            .collect();
        for txn_id in gone {
            let command = self.commands.remove(&txn_id).expect("just listed");
            let footprint = command.transaction().and_then(|transaction| transaction.footprint());
            if let Some(footprint) = footprint {
                self.conflicts.remove(txn_id, footprint);
                // It may execute above the sync point, where undecided ones are.
                if command.status() == Status::Applied && !live(mutants::EXPUNGED_LEAVES_NO_TRACE) {
                    self.settled.insert(footprint, self.tokens, command.execute_at());
                }
            }
            self.sync_points.remove(&txn_id);
            self.waiters.remove(&txn_id);
            self.forgotten.push(txn_id);
            self.counters.expunged += 1;
        }
        let kept = self.truncated.split_off(&here);
        self.forgotten.extend(core::mem::replace(&mut self.truncated, kept));
        self.settled.forget_below(here.0);
    }
}
