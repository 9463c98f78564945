//! What a replica answers a recovery: its own vote, and what the conflicting transactions say about the fast path
//! (sections 4.3 and 4.4).

use alloc::sync::Arc;
use alloc::vec::Vec;

use types::mutants::live;

use super::{Minter, RangeReplica};
use crate::cluster::command::Command;
use crate::cluster::message::{Answer, RecoveryVote, Transaction};
use crate::cluster::status::{Ballot, Status};
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
        let known = self.commands.get(&txn_id).cloned().unwrap_or_default();
        if known.promised > ballot {
            return Some(Answer::Preempted { promised: known.promised });
        }
        if known.status == Status::NotDefined {
            // Never a vote: a recovery is under way.
            let floor = self.max_conflict(txn_id, transaction).max(txn_id.0);
            let witnessed = minter.mint_above(floor)?;
            self.define(txn_id, transaction);
            let command = self.change(txn_id);
            command.status = Status::PreAccepted;
            command.execute_at = witnessed;
        }
        self.define(txn_id, transaction);
        let command = self.change(txn_id);
        if !live(mutants::RECOVERY_DOES_NOT_PROMISE) {
            command.promised = ballot;
        }
        let command = self.commands[&txn_id].clone();
        Some(Answer::Recovered(self.vote(txn_id, &command, transaction)))
    }

    fn vote(&self, txn_id: TxnId, command: &Command, transaction: &Transaction) -> RecoveryVote {
        let mut vote = RecoveryVote {
            status: command.status,
            accepted: command.accepted,
            execute_at: command.execute_at,
            deps: command.deps.clone(),
            local_deps: self.deps_below(txn_id, transaction, txn_id.0),
            voted: command.voted,
            superseded: false,
            earlier_wait: Vec::new(),
            earlier_no_wait: Vec::new(),
            record: command.record.clone(),
        };
        if command.status.phase() != Status::PreAccepted.phase()
            && command.status != Status::AcceptedInvalidate
        {
            return vote;
        }
        for other in self.conflicting(txn_id, transaction) {
            let known = &self.commands[&other];
            match (testimony(txn_id, other, known), other < txn_id) {
                (Testimony::NotWitnessed, earlier) => {
                    let ignored = if earlier {
                        live(mutants::RECOVERY_IGNORES_EARLIER_COMMITTED)
                    } else {
                        live(mutants::RECOVERY_IGNORES_LATER_ACCEPTED)
                    };
                    vote.superseded |= !ignored;
                }
                (Testimony::Witnessed, true) => vote.earlier_no_wait.push(other),
                (Testimony::NotEligible, true) if known.status == Status::Invalidated => {
                    vote.earlier_no_wait.push(other);
                }
                (Testimony::NotEligible, true)
                    if known.status == Status::Accepted
                        && known.execute_at > txn_id.0
                        && !live(mutants::RECOVERY_DOES_NOT_WAIT) =>
                {
                    vote.earlier_wait.push(other);
                }
                _ => {}
            }
        }
        vote
    }
}

fn testimony(txn_id: TxnId, other: TxnId, known: &Command) -> Testimony {
    let eligible = match known.status {
        Status::Accepted => other > txn_id,
        Status::Committed | Status::Stable | Status::PreApplied | Status::Applied => {
            known.execute_at > txn_id.0
        }
        Status::NotDefined
        | Status::PreAccepted
        | Status::AcceptedInvalidate
        | Status::Invalidated => false,
    };
    if !eligible {
        Testimony::NotEligible
    } else if known.deps.witnesses(txn_id) {
        Testimony::Witnessed
    } else {
        Testimony::NotWitnessed
    }
}
