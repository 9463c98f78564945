//! What an answer means to the present step.

use super::{Member, Step, Vote};
use crate::cluster::message::Answer;
use crate::cluster::status::{Ballot, Status};
use crate::cluster::topology::RangeId;
use crate::txn::TxnId;

use types::NodeId;

impl Member {
    pub(in crate::cluster) fn on_answer(
        &mut self,
        (range, from): (RangeId, NodeId),
        txn_id: TxnId,
        ballot: Ballot,
        answer: Answer,
    ) {
        let Some(coordination) = self.coordinations.get_mut(&txn_id) else { return };
        let at = (range, from);
        let current = ballot == coordination.ballot;
        if matches!(
            answer,
            Answer::PreAccepted { .. }
                | Answer::Accepted { .. }
                | Answer::Committed
                | Answer::Recovered(_)
                | Answer::Rows(_)
        ) {
            coordination.holders.insert(at);
        }
        match (&mut coordination.step, answer) {
            (Step::PreAccept { answers, .. }, Answer::PreAccepted { witnessed, deps }) => {
                answers.insert(at, Vote::Witnessed(witnessed, deps));
                self.decide_pre_accept(txn_id);
            }
            (Step::PreAccept { answers, .. }, Answer::Rejected) => {
                answers.insert(at, Vote::Rejected);
                self.decide_pre_accept(txn_id);
            }
            (Step::Propose { answers, .. }, Answer::Accepted { extra }) if current => {
                answers.insert(at, extra);
                self.decide_propose(txn_id);
            }
            (Step::Stabilise { answers, .. }, Answer::Committed) if current => {
                answers.insert(at, ());
                self.decide_stabilise(txn_id);
            }
            (Step::Execute { rows, .. }, Answer::Rows(read)) => {
                rows.insert(range, read);
                self.decide_execute(txn_id);
            }
            (Step::Persist { answers, .. }, Answer::Applied) => {
                answers.insert(at, ());
                self.decide_persist(txn_id);
            }
            (Step::Recover { votes }, Answer::Recovered(vote)) if current => {
                votes.insert(at, vote);
                self.decide_recover(txn_id);
            }
            (Step::Invalidate { answers }, Answer::InvalidateAccepted) if current => {
                answers.insert(at, ());
                self.decide_invalidate(txn_id);
            }
            (Step::Inquire { answers }, Answer::Known(known)) if current => {
                answers.insert(at, known);
                self.decide_inquire(txn_id);
            }
            (
                Step::Propose { ranges, execute_at, answers, .. },
                Answer::Decided { status, execute_at: found, deps: agreed },
            ) if current
                && status != Status::Invalidated
                && found == *execute_at
                && ranges.contains(&range) =>
            {
                // It holds what was agreed already, which may name more than is proposed: had it accepted, it would have added that.
                answers.insert(at, agreed);
                self.decide_propose(txn_id);
            }
            (_, Answer::Insufficient) => {
                coordination.holders.remove(&at);
            }
            (_, Answer::Truncated) => self.on_truncated(txn_id),
            (Step::Execute { .. } | Step::Persist { .. }, _) => {}
            (_, Answer::Preempted { promised }) if promised > coordination.ballot => {
                self.leave(txn_id);
            }
            (_, Answer::Decided { .. }) if current => self.leave(txn_id),
            _ => {}
        }
    }
}
