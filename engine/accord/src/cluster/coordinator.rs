//! One attempt of one node to bring a transaction to its end: an enum of steps, none of which knows another's fields.
//!
//! ```text
//! PreAccept ─┬─ fast ──────────────────────────────▶ Execute ─▶ Persist ─▶ done
//!            ├─ medium ─▶ Propose ─────────────────▶ Execute
//!            └─ slow ───▶ Propose ─▶ Stabilise ────▶ Execute
//! Recover ───┬─ nothing proposed ─▶ Propose (the id as timestamp) or Invalidate, or wait for others and begin again
//!            ├─ proposed ─▶ Propose
//!            ├─ agreed ───▶ Propose where dependencies are missing ─▶ Stabilise ─▶ Execute
//!            └─ applied ──▶ Persist
//! Inquire ───┬─ somebody knows what it does ─▶ Recover
//!            └─ nobody does ─▶ Invalidate
//! ```
//!
//! Whoever meets a higher ballot stops and says that it cannot tell; the transaction is then somebody else's.

mod decide;
mod finish;
mod recover;
mod tally;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use types::{NodeId, Timestamp};

use super::deps::Deps;
use super::message::{Agreement, Answer, Known, Proposal, RecoveryVote, Request, Transaction};
use super::node::{Node, Pace, Response};
use super::status::{Ballot, Status};
use super::topology::RangeId;
use crate::effect::RequestId;
use crate::rows::Rows;
use crate::txn::TxnId;
use crate::workload::Record;

/// Answers by range and node.
type Answers<T> = BTreeMap<(RangeId, NodeId), T>;

/// One attempt.
#[derive(Clone, Debug)]
pub struct Coordination {
    txn_id: TxnId,
    ballot: Ballot,
    transaction: Option<Arc<Transaction>>,
    /// All of the transaction's, or the only one known.
    participants: Vec<RangeId>,
    client: Option<RequestId>,
    step: Step,
    resend_micros: u64,
    /// When it is left to others.
    give_up_micros: u64,
}

#[derive(Clone, Debug)]
enum Step {
    PreAccept {
        answers: Answers<(Timestamp, Deps)>,
        /// When the fast path is waited for no longer.
        slow_micros: u64,
    },
    Propose {
        proposal: Proposal,
        execute_at: Timestamp,
        deps: BTreeMap<RangeId, Deps>,
        /// Where dependencies must be agreed on; elsewhere they are.
        ranges: Vec<RangeId>,
        answers: Answers<Deps>,
    },
    Stabilise {
        execute_at: Timestamp,
        deps: BTreeMap<RangeId, Deps>,
        answers: Answers<()>,
    },
    Execute {
        execute_at: Timestamp,
        deps: BTreeMap<RangeId, Deps>,
        rows: BTreeMap<RangeId, Rows>,
        /// Which replica of a range is asked for rows next.
        turn: usize,
    },
    Persist {
        execute_at: Timestamp,
        deps: BTreeMap<RangeId, Deps>,
        record: Arc<Record>,
        answers: Answers<()>,
    },
    Recover {
        votes: Answers<RecoveryVote>,
    },
    /// Others must be decided before this one can be; then it begins again.
    Wait {
        until_micros: u64,
    },
    Invalidate {
        answers: Answers<()>,
    },
    Inquire {
        answers: Answers<Known>,
    },
}

impl Coordination {
    /// The first attempt, for a client.
    pub(super) fn new(
        txn_id: TxnId,
        transaction: Arc<Transaction>,
        participants: Vec<RangeId>,
        client: RequestId,
        (now_micros, pace): (u64, Pace),
    ) -> Coordination {
        let slow_micros = now_micros + pace.resend_micros;
        Coordination {
            txn_id,
            ballot: Ballot::ZERO,
            transaction: Some(transaction),
            participants,
            client: Some(client),
            step: Step::PreAccept { answers: BTreeMap::new(), slow_micros },
            resend_micros: 0,
            give_up_micros: now_micros + 20 * pace.patience_micros,
        }
    }

    /// A later attempt.
    pub(super) fn recovery(
        txn_id: TxnId,
        transaction: Arc<Transaction>,
        participants: Vec<RangeId>,
        ballot: Ballot,
        (now_micros, pace): (u64, Pace),
    ) -> Coordination {
        Coordination {
            txn_id,
            ballot,
            transaction: Some(transaction),
            participants,
            client: None,
            step: Step::Recover { votes: BTreeMap::new() },
            resend_micros: 0,
            give_up_micros: now_micros + 10 * pace.patience_micros,
        }
    }

    /// A transaction of which only the id and a range are known.
    pub(super) fn inquiry(
        txn_id: TxnId,
        range: RangeId,
        ballot: Ballot,
        (now_micros, pace): (u64, Pace),
    ) -> Coordination {
        Coordination {
            txn_id,
            ballot,
            transaction: None,
            participants: Vec::from([range]),
            client: None,
            step: Step::Inquire { answers: BTreeMap::new() },
            resend_micros: 0,
            give_up_micros: now_micros + 10 * pace.patience_micros,
        }
    }

    fn home(&self) -> RangeId {
        self.participants[0]
    }

    fn transaction(&self) -> &Arc<Transaction> {
        self.transaction.as_ref().expect("this step knows what the transaction does")
    }

    fn agreement(
        &self,
        execute_at: Timestamp,
        deps: &BTreeMap<RangeId, Deps>,
        range: RangeId,
    ) -> Agreement {
        Agreement { execute_at, deps: deps.get(&range).cloned().unwrap_or_default() }
    }

    /// What to send to a replica of a range, if it has not answered.
    fn request(&self, range: RangeId, node: NodeId, reader: Option<NodeId>) -> Option<Request> {
        let ballot = self.ballot;
        let at = (range, node);
        match &self.step {
            Step::PreAccept { answers, .. } if !answers.contains_key(&at) => {
                Some(Request::PreAccept(self.transaction().clone()))
            }
            Step::Propose { proposal, execute_at, deps, ranges, answers }
                if ranges.contains(&range) && !answers.contains_key(&at) =>
            {
                Some(Request::Accept {
                    ballot,
                    proposal: *proposal,
                    agreement: self.agreement(*execute_at, deps, range),
                    transaction: self.transaction().clone(),
                })
            }
            Step::Stabilise { execute_at, deps, answers } if !answers.contains_key(&at) => {
                Some(Request::Commit {
                    ballot,
                    agreement: self.agreement(*execute_at, deps, range),
                    transaction: self.transaction().clone(),
                })
            }
            Step::Execute { execute_at, deps, rows, .. } if !rows.contains_key(&range) => {
                Some(Request::Stable {
                    agreement: self.agreement(*execute_at, deps, range),
                    transaction: self.transaction().clone(),
                    read: reader == Some(node),
                })
            }
            Step::Persist { execute_at, deps, record, answers } if !answers.contains_key(&at) => {
                Some(Request::Apply {
                    agreement: self.agreement(*execute_at, deps, range),
                    transaction: self.transaction().clone(),
                    record: record.clone(),
                })
            }
            Step::Recover { votes } if !votes.contains_key(&at) => {
                Some(Request::Recover { ballot, transaction: self.transaction().clone() })
            }
            Step::Invalidate { answers } if range == self.home() && !answers.contains_key(&at) => {
                Some(Request::AcceptInvalidate { ballot })
            }
            Step::Inquire { answers } if !answers.contains_key(&at) => {
                Some(Request::PromiseUnknown { ballot })
            }
            _ => None,
        }
    }
}

impl Node {
    /// Takes up an attempt and sends its first requests.
    pub(super) fn begin(&mut self, coordination: Coordination) {
        let txn_id = coordination.txn_id;
        self.coordinations.insert(txn_id, coordination);
        self.send_step(txn_id);
    }

    /// Goes to another step and sends its requests.
    fn go_to(&mut self, txn_id: TxnId, step: Step) {
        let coordination = self.coordinations.get_mut(&txn_id).expect("it is coordinated here");
        coordination.step = step;
        self.send_step(txn_id);
    }

    /// Sends the requests of the present step that have no answer.
    fn send_step(&mut self, txn_id: TxnId) {
        let now = self.clock.wall_micros;
        let Some(coordination) = self.coordinations.get_mut(&txn_id) else { return };
        coordination.resend_micros = now + self.pace.resend_micros;
        let mut requests = Vec::new();
        for range in &coordination.participants {
            let replicas = self.topology.range(*range).replicas();
            let reader = match &coordination.step {
                // The replica here first: it costs no round trip.
                Step::Execute { turn, .. } => {
                    let first = replicas.iter().position(|node| *node == self.node).unwrap_or(0);
                    Some(replicas[(first + turn) % replicas.len()])
                }
                _ => None,
            };
            for node in replicas {
                if let Some(request) = coordination.request(*range, *node, reader) {
                    requests.push((*node, *range, request));
                }
            }
        }
        for (node, range, request) in requests {
            self.send(node, range, txn_id, request);
        }
    }

    /// Sends again what got no answer; leaves to others what takes too long.
    pub(super) fn resend(&mut self) {
        let now = self.clock.wall_micros;
        let all: Vec<TxnId> = self.coordinations.keys().copied().collect();
        for txn_id in all {
            let Some(coordination) = self.coordinations.get_mut(&txn_id) else { continue };
            if coordination.give_up_micros <= now {
                self.leave(txn_id);
                continue;
            }
            if let Step::Wait { until_micros } = coordination.step {
                if until_micros <= now {
                    // Its watch begins a new attempt, with a higher ballot.
                    self.leave(txn_id);
                }
                continue;
            }
            if coordination.resend_micros > now {
                continue;
            }
            if let Step::Execute { turn, .. } = &mut coordination.step {
                *turn += 1;
            }
            self.send_step(txn_id);
            self.decide_pre_accept(txn_id);
        }
    }

    /// Stops coordinating; the client is told that nobody here knows.
    fn leave(&mut self, txn_id: TxnId) {
        if let Some(coordination) = self.coordinations.remove(&txn_id)
            && let Some(request) = coordination.client
        {
            self.reply(request, Response::Unknown { txn_id });
        }
    }

    pub(super) fn on_answer(
        &mut self,
        from: NodeId,
        range: RangeId,
        txn_id: TxnId,
        ballot: Ballot,
        answer: Answer,
    ) {
        let Some(coordination) = self.coordinations.get_mut(&txn_id) else { return };
        let at = (range, from);
        let current = ballot == coordination.ballot;
        match (&mut coordination.step, answer) {
            (Step::PreAccept { answers, .. }, Answer::PreAccepted { witnessed, deps }) => {
                answers.insert(at, (witnessed, deps));
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
            (Step::Execute { rows, .. }, Answer::Read(read)) => {
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
                Answer::Decided { status, execute_at: found },
            ) if current
                && status != Status::Invalidated
                && found == *execute_at
                && ranges.contains(&range) =>
            {
                // It holds what was agreed already.
                answers.insert(at, Deps::default());
                self.decide_propose(txn_id);
            }
            (Step::Execute { .. } | Step::Persist { .. }, _) => {}
            (_, Answer::Preempted { promised }) if promised > coordination.ballot => {
                self.leave(txn_id);
            }
            (_, Answer::Decided { .. }) if current => self.leave(txn_id),
            _ => {}
        }
    }
}
