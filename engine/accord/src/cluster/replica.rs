//! One replica of one range: what it knows of every transaction there, and the answers it gives.
//!
//! Every handler is a turn: it changes the state and says what to answer; whatever it changed is durable before the answer
//! leaves, because an output waits for everything that was logged before it. A handler that is asked twice answers twice
//! the same.

mod execution;
mod recovery;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use types::mutants::live;
use types::{NodeId, Timestamp};

use super::command::Command;
use super::deps::{Deps, Evidence};
use super::message::{Agreement, Answer, Proposal, Request, Transaction};
use super::status::{Ballot, Status};
use super::topology::RangeId;
use crate::conflicts::{ConflictIndex, Treat};
use crate::footprint::TokenRange;
use crate::mutants;
use crate::txn::TxnId;
use crate::workload::Record;

/// Gives timestamps above everything seen.
pub trait Minter {
    /// Above `floor` and everything minted or received; `None` while no reservation is durable.
    fn mint_above(&mut self, floor: Timestamp) -> Option<Timestamp>;
}

/// What a turn wants done besides its answer.
#[derive(Clone, Debug)]
pub enum Task {
    /// Everything before it is applied: read its rows below its timestamp and answer this node.
    Read { txn_id: TxnId, to: NodeId, ballot: Ballot },
    /// Apply its writes.
    Apply { txn_id: TxnId, record: Arc<Record> },
}

/// A replica of a range.
#[derive(Clone, Debug)]
pub struct RangeReplica {
    range: RangeId,
    commands: BTreeMap<TxnId, Command>,
    conflicts: ConflictIndex,
    /// By what is waited for.
    blocked: BTreeMap<TxnId, BTreeSet<TxnId>>,
    /// Who asked for rows that cannot be read yet.
    readers: BTreeMap<TxnId, Vec<(NodeId, Ballot)>>,
    /// Changed since the environment last took them; it logs them whole.
    changed: BTreeSet<TxnId>,
    tasks: Vec<Task>,
}

impl RangeReplica {
    /// A replica that knows nothing.
    pub fn new(range: RangeId, tokens: TokenRange) -> RangeReplica {
        RangeReplica {
            range,
            commands: BTreeMap::new(),
            conflicts: ConflictIndex::new(tokens),
            blocked: BTreeMap::new(),
            readers: BTreeMap::new(),
            changed: BTreeSet::new(),
            tasks: Vec::new(),
        }
    }

    /// Its range.
    pub const fn range(&self) -> RangeId {
        self.range
    }

    /// What is known of a transaction.
    pub fn command(&self, txn_id: TxnId) -> Option<&Command> {
        self.commands.get(&txn_id)
    }

    /// Everything known.
    pub fn commands(&self) -> impl Iterator<Item = (TxnId, &Command)> {
        self.commands.iter().map(|(txn_id, command)| (*txn_id, command))
    }

    /// What a stable transaction here waits for and nobody here has decided.
    pub fn blocking(&self) -> impl Iterator<Item = TxnId> + '_ {
        self.blocked.keys().copied()
    }

    /// The commands that changed since this was last asked.
    pub fn take_changed(&mut self) -> BTreeSet<TxnId> {
        core::mem::take(&mut self.changed)
    }

    /// What is to be done, in order.
    pub fn take_tasks(&mut self) -> Vec<Task> {
        core::mem::take(&mut self.tasks)
    }

    /// Handles a request; `None` if it cannot be answered now (no timestamp can be minted, or rows are read later).
    pub fn handle(
        &mut self,
        from: NodeId,
        txn_id: TxnId,
        request: Request,
        minter: &mut dyn Minter,
    ) -> Option<(Ballot, Answer)> {
        match request {
            Request::PreAccept(transaction) => {
                let answer = self.pre_accept(txn_id, &transaction, minter)?;
                Some((Ballot::ZERO, answer))
            }
            Request::Accept { ballot, proposal, agreement, transaction } => {
                Some((ballot, self.accept(txn_id, ballot, proposal, agreement, &transaction)))
            }
            Request::AcceptInvalidate { ballot } => {
                Some((ballot, self.accept_invalidate(txn_id, ballot)))
            }
            Request::Commit { ballot, agreement, transaction } => {
                Some((ballot, self.commit(txn_id, ballot, agreement, &transaction)))
            }
            Request::Stable { agreement, transaction, read } => {
                self.stable(txn_id, agreement, &transaction);
                if read {
                    self.read_when_ready(txn_id, from);
                }
                None
            }
            Request::Apply { agreement, transaction, record } => {
                self.apply(txn_id, agreement, &transaction, record);
                Some((Ballot::ZERO, Answer::Applied))
            }
            Request::Invalidate => {
                self.invalidate(txn_id);
                None
            }
            Request::Durable => {
                if self.commands.get(&txn_id).is_some_and(|known| !known.durable) {
                    self.change(txn_id).durable = true;
                }
                None
            }
            Request::Recover { ballot, transaction } => {
                let answer = self.recover(txn_id, ballot, &transaction, minter)?;
                Some((ballot, answer))
            }
            Request::PromiseUnknown { ballot } => {
                Some((ballot, self.promise_unknown(txn_id, ballot)))
            }
            Request::Inquire => {
                let known = self.commands.get(&txn_id).cloned().unwrap_or_default().known();
                Some((Ballot::ZERO, Answer::Known(known)))
            }
        }
    }

    /// Section 2.3.
    fn pre_accept(
        &mut self,
        txn_id: TxnId,
        transaction: &Arc<Transaction>,
        minter: &mut dyn Minter,
    ) -> Option<Answer> {
        let known = self.commands.get(&txn_id).cloned().unwrap_or_default();
        if known.status > Status::PreAccepted {
            return Some(decided_or_preempted(&known));
        }
        if known.promised > Ballot::ZERO {
            return Some(Answer::Preempted { promised: known.promised });
        }
        let witnessed = if known.status == Status::PreAccepted {
            known.execute_at
        } else {
            let floor = self.max_conflict(txn_id, transaction);
            let witnessed = if floor < txn_id.0 || live(mutants::VOTE_BELOW_CONFLICTS) {
                txn_id.0
            } else {
                minter.mint_above(floor)?
            };
            self.define(txn_id, transaction);
            let command = self.change(txn_id);
            command.status = Status::PreAccepted;
            command.execute_at = witnessed;
            command.voted = witnessed == txn_id.0;
            witnessed
        };
        let deps = self.deps_below(txn_id, transaction, txn_id.0);
        Some(Answer::PreAccepted { witnessed, deps })
    }

    /// Section 2.6.
    fn accept(
        &mut self,
        txn_id: TxnId,
        ballot: Ballot,
        proposal: Proposal,
        agreement: Agreement,
        transaction: &Arc<Transaction>,
    ) -> Answer {
        let known = self.commands.entry(txn_id).or_default();
        if known.status.is_decided() {
            return decided_or_preempted(known);
        }
        if known.promised > ballot && !live(mutants::ACCEPT_IGNORES_PROMISE) {
            return Answer::Preempted { promised: known.promised };
        }
        self.define(txn_id, transaction);
        let execute_at = agreement.execute_at;
        let proposed = agreement.deps.clone();
        let command = self.change(txn_id);
        command.promised = ballot;
        command.accepted = ballot;
        command.status = Status::Accepted;
        command.execute_at = execute_at;
        command.deps = agreement.deps;
        let mut extra = Deps::default();
        if proposal == Proposal::Slow && !live(mutants::ACCEPT_ADDS_NO_DEPS) {
            for found in self.deps_below(txn_id, transaction, execute_at).iter() {
                if !proposed.contains(found) {
                    let evidence = if found < txn_id && !live(mutants::EXTRA_DEPS_ARE_EVIDENCE) {
                        Evidence::Unstable
                    } else {
                        Evidence::Stable
                    };
                    extra.insert(found, evidence);
                }
            }
        }
        Answer::Accepted { extra }
    }

    fn accept_invalidate(&mut self, txn_id: TxnId, ballot: Ballot) -> Answer {
        let known = self.commands.entry(txn_id).or_default();
        if known.status.is_decided() {
            return decided_or_preempted(known);
        }
        if known.promised > ballot {
            return Answer::Preempted { promised: known.promised };
        }
        let command = self.change(txn_id);
        command.promised = ballot;
        command.accepted = ballot;
        command.status = Status::AcceptedInvalidate;
        Answer::InvalidateAccepted
    }

    fn commit(
        &mut self,
        txn_id: TxnId,
        ballot: Ballot,
        agreement: Agreement,
        transaction: &Arc<Transaction>,
    ) -> Answer {
        let known = self.commands.entry(txn_id).or_default();
        if known.promised > ballot {
            return Answer::Preempted { promised: known.promised };
        }
        if known.status == Status::Invalidated {
            return decided_or_preempted(known);
        }
        if known.status >= Status::Stable {
            self.check_agreement(txn_id, &agreement);
            return Answer::Committed;
        }
        self.define(txn_id, transaction);
        let command = self.change(txn_id);
        command.promised = ballot;
        command.accepted = ballot;
        command.status = Status::Committed;
        command.execute_at = agreement.execute_at;
        command.deps = agreement.deps;
        self.unblock(txn_id);
        Answer::Committed
    }

    /// Section 2.6: states a fact, so ballots do not matter.
    fn stable(&mut self, txn_id: TxnId, agreement: Agreement, transaction: &Arc<Transaction>) {
        let known = self.commands.entry(txn_id).or_default();
        assert_ne!(known.status, Status::Invalidated, "{txn_id} is both stable and invalidated");
        if known.status >= Status::Stable {
            self.check_agreement(txn_id, &agreement);
            return;
        }
        self.define(txn_id, transaction);
        let command = self.change(txn_id);
        command.status = Status::Stable;
        command.execute_at = agreement.execute_at;
        command.deps = agreement.deps;
        self.start_waiting(txn_id);
        self.unblock(txn_id);
    }

    fn apply(
        &mut self,
        txn_id: TxnId,
        agreement: Agreement,
        transaction: &Arc<Transaction>,
        record: Arc<Record>,
    ) {
        self.stable(txn_id, agreement, transaction);
        let known = self.commands.get(&txn_id).expect("stable just now");
        if known.status >= Status::PreApplied {
            let same = known.record.as_deref() == Some(&*record);
            assert!(same, "{txn_id} has one outcome");
            return;
        }
        let command = self.change(txn_id);
        command.status = Status::PreApplied;
        command.record = Some(record);
        self.apply_if_ready(txn_id);
    }

    fn invalidate(&mut self, txn_id: TxnId) {
        let known = self.commands.entry(txn_id).or_default();
        assert!(!known.status.is_committed(), "{txn_id} is both committed and invalidated");
        if known.status != Status::Invalidated {
            self.change(txn_id).status = Status::Invalidated;
            self.readers.remove(&txn_id);
            self.unblock(txn_id);
        }
    }

    fn promise_unknown(&mut self, txn_id: TxnId, ballot: Ballot) -> Answer {
        let known = self.commands.entry(txn_id).or_default();
        if known.promised > ballot {
            return Answer::Preempted { promised: known.promised };
        }
        let command = self.change(txn_id);
        command.promised = ballot;
        Answer::Known(command.known())
    }

    /// Agreed facts never change.
    fn check_agreement(&self, txn_id: TxnId, agreement: &Agreement) {
        let known = &self.commands[&txn_id];
        assert_eq!(known.execute_at, agreement.execute_at, "{txn_id} executes at one time");
    }

    /// Notes what it does, so that others find it.
    fn define(&mut self, txn_id: TxnId, transaction: &Arc<Transaction>) {
        let command = self.commands.entry(txn_id).or_default();
        if command.transaction.is_none() {
            command.transaction = Some(transaction.clone());
            self.conflicts.insert(txn_id, &transaction.footprint);
            self.changed.insert(txn_id);
        }
    }

    fn change(&mut self, txn_id: TxnId) -> &mut Command {
        self.changed.insert(txn_id);
        self.commands.entry(txn_id).or_default()
    }

    /// Other transactions here that conflict with it.
    fn conflicting(&self, txn_id: TxnId, transaction: &Transaction) -> BTreeSet<TxnId> {
        let mut found = BTreeSet::new();
        let _ended = self.conflicts.visit_conflicts(
            &transaction.footprint,
            Treat::AsDeclared,
            &mut |other| {
                if other != txn_id {
                    found.insert(other);
                }
                ControlFlow::Continue(())
            },
        );
        found
    }

    /// The highest timestamp that a conflicting transaction has here.
    fn max_conflict(&self, txn_id: TxnId, transaction: &Transaction) -> Timestamp {
        let others = self.conflicting(txn_id, transaction).into_iter();
        let highest = others.map(|other| other.0.max(self.commands[&other].execute_at));
        highest.max().unwrap_or(Timestamp::ZERO)
    }

    /// Section 2.4: everything conflicting whose id is below `bound` and that may take effect.
    fn deps_below(&self, txn_id: TxnId, transaction: &Transaction, bound: Timestamp) -> Deps {
        let mut deps = Deps::default();
        for other in self.conflicting(txn_id, transaction) {
            let ended = self.commands[&other].status == Status::Invalidated;
            if other.0 < bound && !ended {
                deps.insert(other, Evidence::Stable);
            }
        }
        deps
    }
}

fn decided_or_preempted(known: &Command) -> Answer {
    if known.status.is_decided() {
        Answer::Decided { status: known.status, execute_at: known.execute_at }
    } else {
        Answer::Preempted { promised: known.promised }
    }
}
