//! What a replica answers a recovery: its own vote, and what the conflicting transactions say about the fast path
//! (sections 4.3 and 4.4).

use alloc::sync::Arc;
use alloc::vec::Vec;

use types::mutants::live;

use super::{Minter, RangeReplica};
use crate::cluster::command::Command;
use crate::cluster::counters::RecoveryRow;
use crate::cluster::message::{Answer, RecoveryVote};
use crate::cluster::status::{Ballot, Status};
use crate::cluster::transaction::Transaction;
use crate::mutants;
use crate::txn::TxnId;

/// What another transaction's dependencies say about whether this one was decided on the fast path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Testimony {
    /// Its dependencies were not collected over a time in which this one must have been seen.
    NotEligible,
    /// It was seen.
    Witnessed,
    /// It was not seen, though a fast decision would have been.
    NotWitnessed,
}

impl RangeReplica {
    pub(super) fn recover(
        &mut self,
        txn_id: TxnId,
        ballot: Ballot,
        transaction: &Arc<Transaction>,
        minter: &mut dyn Minter,
    ) -> Option<Answer> {
        let known = self.commands.get(&txn_id);
        let (status, promised) =
            known.map_or(Default::default(), |known| (known.status(), known.promised()));
        if promised > ballot {
            return Some(Answer::Preempted { promised });
        }
        if status == Status::NotDefined {
            // Never a vote: a recovery is under way.
            let witnessed = if transaction.is_sync_point() {
                txn_id.0
            } else {
                let floor = self.max_conflict(txn_id, transaction).max(txn_id.0);
                minter.mint_above(floor)?
            };
            self.define(txn_id, transaction);
            let voted = live(mutants::RECOVERY_VOTES);
            self.change(txn_id).pre_accept(if voted { txn_id.0 } else { witnessed }, voted);
            self.note(witnessed);
        }
        self.define(txn_id, transaction);
        if !live(mutants::RECOVERY_DOES_NOT_PROMISE) {
            self.change(txn_id).promise(ballot);
        }
        Some(Answer::Recovered(self.vote(txn_id, transaction)))
    }

    fn vote(&mut self, txn_id: TxnId, transaction: &Transaction) -> RecoveryVote {
        let command = &self.commands[&txn_id];
        let mut vote = RecoveryVote {
            status: command.status(),
            accepted: command.accepted(),
            execute_at: command.execute_at(),
            deps: command.deps().clone(),
            local_deps: self.deps_below(txn_id, transaction, txn_id.0),
            voted: command.voted(),
            superseded: false,
            earlier_wait: Vec::new(),
            earlier_no_wait: Vec::new(),
            record: command.record().cloned(),
        };
        let nothing_accepted =
            matches!(vote.status, Status::PreAccepted | Status::AcceptedInvalidate);
        if !nothing_accepted || transaction.is_sync_point() {
            return vote;
        }
        let mut rows = Vec::new();
        let mut hear = |other: TxnId, known: &Command| {
            let row = says(txn_id, other, known);
            rows.push(row);
            match row {
                RecoveryRow::EarlierNotWitnessed => {
                    vote.superseded |= !live(mutants::RECOVERY_IGNORES_EARLIER_COMMITTED);
                }
                RecoveryRow::LaterNotWitnessed => {
                    vote.superseded |= !live(mutants::RECOVERY_IGNORES_LATER_ACCEPTED);
                }
                RecoveryRow::EarlierWitnessed | RecoveryRow::EarlierInvalidated => {
                    vote.earlier_no_wait.push(other);
                }
                RecoveryRow::EarlierAcceptedAfter if !live(mutants::RECOVERY_DOES_NOT_WAIT) => {
                    vote.earlier_wait.push(other);
                }
                _ => {}
            }
        };
        self.visit_conflicts(txn_id, transaction, &mut hear);
        if !live(mutants::RECOVERY_IGNORES_SYNC_POINTS) {
            for sync_point in self.sync_points.range(txn_id..) {
                hear(*sync_point, &self.commands[sync_point]);
            }
        }
        for ids in [&mut vote.earlier_wait, &mut vote.earlier_no_wait] {
            ids.sort_unstable();
            ids.dedup();
        }
        if self.last_settled_conflict(transaction) > txn_id.0
            && !live(mutants::RECOVERY_IGNORES_SETTLED)
        {
            vote.superseded = true;
            rows.push(RecoveryRow::SettledLater);
        }
        rows.into_iter().for_each(|row| self.counters.meet(row));
        vote
    }
}

/// The row of table 4.4.
fn says(txn_id: TxnId, other: TxnId, known: &Command) -> RecoveryRow {
    let earlier = other < txn_id;
    match testimony(txn_id, other, known) {
        Testimony::NotWitnessed if earlier => RecoveryRow::EarlierNotWitnessed,
        Testimony::NotWitnessed => RecoveryRow::LaterNotWitnessed,
        _ if !earlier => RecoveryRow::LaterHarmless,
        Testimony::Witnessed => RecoveryRow::EarlierWitnessed,
        Testimony::NotEligible => match known.status() {
            Status::Invalidated => RecoveryRow::EarlierInvalidated,
            Status::Accepted if known.execute_at() > txn_id.0 => RecoveryRow::EarlierAcceptedAfter,
            _ => RecoveryRow::EarlierSilent,
        },
    }
}

fn testimony(txn_id: TxnId, other: TxnId, known: &Command) -> Testimony {
    let eligible = match known.status() {
        Status::Accepted => other > txn_id || live(mutants::ACCEPTED_EARLIER_TESTIFIES),
        Status::Committed | Status::Stable | Status::PreApplied | Status::Applied => {
            known.execute_at() > txn_id.0 || live(mutants::EXECUTED_BEFORE_TESTIFIES)
        }
        Status::NotDefined
        | Status::PreAccepted
        | Status::AcceptedInvalidate
        | Status::Invalidated => false,
    };
    if !eligible {
        Testimony::NotEligible
    } else if known.deps().witnesses(txn_id) {
        Testimony::Witnessed
    } else {
        Testimony::NotWitnessed
    }
}
