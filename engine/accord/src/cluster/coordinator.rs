//! One attempt of one core to bring a transaction to its end: an enum of steps, none of which knows another's fields.
//!
//! ```text
//! Lag (sync points) ─▶ PreAccept ─┬─ fast ──────────────────────────────▶ Execute ─▶ Persist ─▶ done
//!                                 ├─ medium ─▶ Propose ─────────────────▶ Execute
//!                                 ├─ slow ───▶ Propose ─▶ Stabilise ────▶ Execute
//!                                 └─ rejected ─▶ Invalidate
//! Recover ───┬─ nothing proposed ─▶ Propose (the id as timestamp) or Invalidate, or wait for others and begin again
//!            ├─ proposed ─▶ Propose
//!            ├─ agreed ───▶ Propose where dependencies are missing ─▶ Stabilise ─▶ Execute
//!            └─ applied ──▶ Persist
//! Inquire ───┬─ somebody knows what it does ─▶ Recover
//!            └─ nobody does ─▶ Invalidate
//! ```
//!
//! Whoever meets a higher ballot stops and says that it cannot tell; the transaction is then somebody else's. A sync point does not read: it goes
//! from Stabilise to Persist.

mod answers;
mod decide;
mod finish;
mod recover;
mod tally;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use types::{NodeId, Timestamp};

use super::deps::Deps;
use super::member::{Member, Pace, Response};
use super::message::{Agreement, Known, Proposal, RecoveryVote, Request};
use super::status::{Ballot, Durability};
use super::timers::Timer;
use super::topology::RangeId;
use super::transaction::Transaction;
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
    /// Replicas that are known to know what it does.
    holders: BTreeSet<(RangeId, NodeId)>,
    /// Times that the present step was sent again.
    resends: u32,
    /// When it is left to others.
    give_up_micros: u64,
}

#[derive(Clone, Debug)]
enum Step {
    /// A sync point lets those that began before it be decided, so that it rejects hardly any.
    Lag,
    PreAccept {
        answers: Answers<Vote>,
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
    Wait,
    Invalidate {
        answers: Answers<()>,
    },
    Inquire {
        answers: Answers<Known>,
    },
}

/// An answer to PreAccept.
#[derive(Clone, Debug)]
enum Vote {
    Witnessed(Timestamp, Deps),
    Rejected,
}

impl Vote {
    fn witnessed(&self) -> Option<Timestamp> {
        match self {
            Vote::Witnessed(at, _) => Some(*at),
            Vote::Rejected => None,
        }
    }

    /// Whether it is a vote for the id as the timestamp.
    fn is_for(&self, txn_id: TxnId) -> bool {
        matches!(self, Vote::Witnessed(at, _) if *at == txn_id.0)
    }
}

impl Coordination {
    fn of(
        (txn_id, ballot): (TxnId, Ballot),
        transaction: Option<Arc<Transaction>>,
        participants: Vec<RangeId>,
        step: Step,
        give_up_micros: u64,
    ) -> Coordination {
        let (holders, client, resends) = (BTreeSet::new(), None, 0);
        Coordination {
            txn_id,
            ballot,
            transaction,
            participants,
            client,
            step,
            holders,
            resends,
            give_up_micros,
        }
    }

    /// The first attempt, for a client.
    pub(super) fn new(
        txn_id: TxnId,
        transaction: Arc<Transaction>,
        client: RequestId,
        (now_micros, pace): (u64, Pace),
    ) -> Coordination {
        let slow_micros = now_micros + pace.resend_micros;
        let step = Step::PreAccept { answers: BTreeMap::new(), slow_micros };
        let participants = transaction.route().to_vec();
        let give_up = now_micros + 20 * pace.patience_micros;
        let first = (txn_id, Ballot::ZERO);
        let mut this = Coordination::of(first, Some(transaction), participants, step, give_up);
        this.client = Some(client);
        this
    }

    /// A sync point, which waits a while before anybody hears of it.
    pub(super) fn sync_point(
        txn_id: TxnId,
        transaction: Arc<Transaction>,
        (now_micros, pace): (u64, Pace),
    ) -> Coordination {
        let participants = transaction.route().to_vec();
        let give_up = now_micros + pace.sync_point_lag_micros + 20 * pace.patience_micros;
        let first = (txn_id, Ballot::ZERO);
        Coordination::of(first, Some(transaction), participants, Step::Lag, give_up)
    }

    /// A later attempt.
    pub(super) fn recovery(
        txn_id: TxnId,
        transaction: Arc<Transaction>,
        ballot: Ballot,
        (now_micros, pace): (u64, Pace),
    ) -> Coordination {
        let participants = transaction.route().to_vec();
        let step = Step::Recover { votes: BTreeMap::new() };
        let give_up = now_micros + 10 * pace.patience_micros;
        Coordination::of((txn_id, ballot), Some(transaction), participants, step, give_up)
    }

    /// A transaction of which only the id and a range are known.
    pub(super) fn inquiry(
        txn_id: TxnId,
        range: RangeId,
        ballot: Ballot,
        (now_micros, pace): (u64, Pace),
    ) -> Coordination {
        let step = Step::Inquire { answers: BTreeMap::new() };
        let give_up = now_micros + 10 * pace.patience_micros;
        Coordination::of((txn_id, ballot), None, Vec::from([range]), step, give_up)
    }

    /// Whether it is somebody else's transaction, and not agreed on yet. Afterwards it may wait for others, and must not keep them out.
    pub(super) fn is_deciding_anothers(&self) -> bool {
        let agreed = matches!(self.step, Step::Execute { .. } | Step::Persist { .. });
        self.ballot > Ballot::ZERO && !agreed
    }

    fn home(&self) -> RangeId {
        self.participants[0]
    }

    fn transaction(&self) -> &Arc<Transaction> {
        self.transaction.as_ref().expect("this step knows what the transaction does")
    }

    fn is_sync_point(&self) -> bool {
        self.transaction.as_ref().is_some_and(|transaction| transaction.is_sync_point())
    }

    fn agreement(
        &self,
        execute_at: Timestamp,
        deps: &BTreeMap<RangeId, Deps>,
        range: RangeId,
    ) -> Agreement {
        Agreement { execute_at, deps: deps.get(&range).cloned().unwrap_or_default() }
    }

    /// What it does, for a replica that may not know it.
    fn definition(&self, at: (RangeId, NodeId)) -> Option<Arc<Transaction>> {
        (!self.holders.contains(&at)).then(|| self.transaction().clone())
    }

    /// What to send to a replica of a range, if it has not answered.
    fn request(&self, range: RangeId, node: NodeId, reader: Option<NodeId>) -> Option<Request> {
        let ballot = self.ballot;
        let at = (range, node);
        match &self.step {
            Step::PreAccept { answers, .. } if !answers.contains_key(&at) => {
                Some(Request::PreAccept { transaction: self.transaction().clone() })
            }
            Step::Propose { proposal, execute_at, deps, ranges, answers }
                if ranges.contains(&range) && !answers.contains_key(&at) =>
            {
                Some(Request::Accept {
                    ballot,
                    proposal: *proposal,
                    agreement: self.agreement(*execute_at, deps, range),
                    transaction: self.definition(at),
                })
            }
            Step::Stabilise { execute_at, deps, answers } if !answers.contains_key(&at) => {
                Some(Request::Commit {
                    ballot,
                    agreement: self.agreement(*execute_at, deps, range),
                    transaction: self.definition(at),
                })
            }
            Step::Execute { execute_at, deps, rows, .. }
                if !rows.contains_key(&range) && reader == Some(node) =>
            {
                Some(Request::Read {
                    agreement: self.agreement(*execute_at, deps, range),
                    transaction: self.definition(at),
                })
            }
            Step::Persist { execute_at, deps, record, answers } if !answers.contains_key(&at) => {
                Some(Request::Apply {
                    agreement: self.agreement(*execute_at, deps, range),
                    transaction: self.definition(at),
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

impl Member {
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
        coordination.resends = 0;
        self.send_step(txn_id);
    }

    /// Sends the requests of the present step that have no answer.
    fn send_step(&mut self, txn_id: TxnId) {
        let now = self.clock.wall_micros;
        let Some(coordination) = self.coordinations.get(&txn_id) else { return };
        let patience = match coordination.step {
            Step::Lag => self.pace.sync_point_lag_micros,
            // Whoever is away for long is not asked as often.
            _ => self.pace.resend_micros << coordination.resends.min(RESEND_DOUBLINGS_MAX),
        };
        self.timers.set(Timer::Coordination(txn_id), now + patience);
        let mut requests = Vec::new();
        for range in &coordination.participants {
            let replicas = self.topology.range(*range).replicas();
            let reader = match &coordination.step {
                // The replica here first: it costs no round trip.
                Step::Execute { turn, .. } => {
                    let node = self.core.node();
                    let first = replicas.iter().position(|replica| *replica == node);
                    Some(replicas[(first.unwrap_or(0) + turn) % replicas.len()])
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

    /// A step has waited: it sends again what got no answer, or is left to others because it takes too long.
    pub(super) fn coordination_is_due(&mut self, txn_id: TxnId) {
        let now = self.clock.wall_micros;
        let Some(coordination) = self.coordinations.get_mut(&txn_id) else { return };
        coordination.resends += 1;
        // What is agreed on executes when those before it have: that takes as long as it takes, and asking anew would not hasten it.
        let long = coordination.give_up_micros <= now
            && !matches!(coordination.step, Step::Execute { .. });
        if long || matches!(coordination.step, Step::Wait) {
            // A watch begins a new attempt, with a higher ballot.
            self.leave(txn_id);
            return;
        }
        match &mut coordination.step {
            Step::Lag => {
                let slow_micros = now + self.pace.resend_micros;
                self.go_to(txn_id, Step::PreAccept { answers: BTreeMap::new(), slow_micros });
                return;
            }
            Step::Execute { turn, .. } => *turn += 1,
            Step::Persist { .. } => self.notice_majority(txn_id),
            _ => {}
        }
        self.send_step(txn_id);
        self.decide_pre_accept(txn_id);
    }

    /// Stops coordinating; the client is told that nobody here knows.
    pub(super) fn leave(&mut self, txn_id: TxnId) {
        if let Some(request) = self.forget(txn_id).and_then(|coordination| coordination.client) {
            self.reply(request, Response::Unknown { txn_id });
        }
    }

    fn forget(&mut self, txn_id: TxnId) -> Option<Coordination> {
        self.timers.cancel(Timer::Coordination(txn_id));
        self.coordinations.remove(&txn_id)
    }

    /// Tells the home range that no minority's loss takes the writes away, if so: it need not see to the end.
    fn notice_majority(&mut self, txn_id: TxnId) {
        let Some(coordination) = self.coordinations.get(&txn_id) else { return };
        let Step::Persist { answers, .. } = &coordination.step else { return };
        let ranges = &coordination.participants;
        if tally::slow_quorum_everywhere(&self.topology, ranges, answers) {
            let home = coordination.home();
            let durability = Durability::Majority;
            for node in self.topology.clone().range(home).replicas() {
                self.send(*node, home, txn_id, Request::Durable { durability });
            }
        }
    }
}

const RESEND_DOUBLINGS_MAX: u32 = 5;
