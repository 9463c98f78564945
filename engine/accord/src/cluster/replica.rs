//! One replica of one range: what it knows of every transaction there, and the answers it gives.
//!
//! Every handler is a turn: it changes the state and says what to answer; whatever it changed is durable before the answer
//! leaves, because an output waits for everything that was logged before it. A handler that is asked twice answers twice
//! the same.
//!
//! What a replica knows of a transaction is in one place at any time: among its commands; settled (applied by every replica,
//! [`super::settled`]); or gone, which its bounds say ([`Bounds`]). A transaction of which nothing is known is new only if it
//! is above them.

mod cleanup;
mod execution;
mod recovery;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use types::mutants::live;
use types::{CoreId, Timestamp};

use super::command::{Change, Command};
use super::counters::Counters;
use super::deps::{Deps, Evidence};
use super::message::{Agreement, Answer, Proposal, Request};
use super::settled::Settled;
use super::status::{Ballot, Durability, Status};
use super::topology::RangeId;
use super::transaction::Transaction;
use crate::conflicts::{ConflictIndex, Treat};
use crate::footprint::TokenRange;
use crate::mutants;
use crate::txn::TxnId;
use crate::workload::Record;

pub use cleanup::Bounds;

/// Gives timestamps above everything seen.
pub trait Minter {
    /// Above `floor` and everything minted or received; `None` while no reservation is durable.
    fn mint_above(&mut self, floor: Timestamp) -> Option<Timestamp>;
}

/// What a turn wants done besides its answer.
#[derive(Clone, Debug)]
pub enum Task {
    /// Everything before it is applied: read its rows below its timestamp and answer this core.
    Read { txn_id: TxnId, transaction: Arc<Transaction>, execute_at: Timestamp, to: CoreId },
    /// Apply its writes.
    Apply { txn_id: TxnId, transaction: Arc<Transaction>, record: Arc<Record> },
    /// They are applied: answer this core.
    Applied { txn_id: TxnId, to: CoreId },
}

/// Who waits for a transaction, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiter {
    Rows(CoreId),
    Applied(CoreId),
}

/// A replica of a range.
#[derive(Clone, Debug)]
pub struct RangeReplica {
    range: RangeId,
    tokens: TokenRange,
    commands: BTreeMap<TxnId, Command>,
    /// The commands that are sync points.
    sync_points: BTreeSet<TxnId>,
    conflicts: ConflictIndex,
    settled: Settled,
    /// The ids of what is settled.
    truncated: BTreeSet<TxnId>,
    bounds: Bounds,
    /// By what is waited for.
    blocked: BTreeMap<TxnId, Vec<TxnId>>,
    waiters: BTreeMap<TxnId, Vec<Waiter>>,
    /// Changed since the environment last took them.
    changed: Vec<TxnId>,
    /// Of commands that were let go of since.
    last_changes: Vec<(TxnId, Change)>,
    bounds_changed: bool,
    /// Begun to be waited for since.
    newly_blocking: Vec<TxnId>,
    /// Let go of since: the log need not keep them.
    forgotten: Vec<TxnId>,
    tasks: Vec<Task>,
    counters: Counters,
}

impl RangeReplica {
    /// A replica that knows nothing.
    pub fn new(range: RangeId, tokens: TokenRange) -> RangeReplica {
        RangeReplica {
            range,
            tokens,
            commands: BTreeMap::new(),
            sync_points: BTreeSet::new(),
            conflicts: ConflictIndex::new(tokens),
            settled: Settled::default(),
            truncated: BTreeSet::new(),
            bounds: Bounds::default(),
            blocked: BTreeMap::new(),
            waiters: BTreeMap::new(),
            changed: Vec::new(),
            last_changes: Vec::new(),
            bounds_changed: false,
            newly_blocking: Vec::new(),
            forgotten: Vec::new(),
            tasks: Vec::new(),
            counters: Counters::default(),
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

    /// Whether it was applied by every replica, and only that is remembered.
    pub fn is_settled(&self, txn_id: TxnId) -> bool {
        self.truncated.contains(&txn_id)
    }

    /// Every such id, ascending.
    pub fn settled(&self) -> impl Iterator<Item = TxnId> + '_ {
        self.truncated.iter().copied()
    }

    /// Commands, settled ids and tokens that are remembered: what must stay bounded.
    pub fn remembered(&self) -> usize {
        self.commands.len() + self.truncated.len() + self.settled.len()
    }

    /// What a stable transaction here waits for.
    pub fn blocking(&self) -> impl Iterator<Item = TxnId> + '_ {
        self.blocked.keys().copied()
    }

    /// Whether something here waits for it.
    pub fn is_blocking(&self, txn_id: TxnId) -> bool {
        self.blocked.contains_key(&txn_id)
    }

    /// Which rows of the recovery table it met.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(super) const fn has_news(&self) -> bool {
        !self.changed.is_empty()
            || !self.last_changes.is_empty()
            || !self.tasks.is_empty()
            || !self.newly_blocking.is_empty()
            || !self.forgotten.is_empty()
            || self.bounds_changed
    }

    /// The changes since this was last asked, one for each command, in the order in which commands first changed.
    pub(super) fn take_changes(&mut self) -> Vec<(TxnId, Change)> {
        let changed = core::mem::take(&mut self.changed);
        let of = |txn_id: TxnId| {
            let change = self.commands.get_mut(&txn_id)?.take_change()?;
            Some((txn_id, change))
        };
        let mut changes: Vec<(TxnId, Change)> = changed.into_iter().filter_map(of).collect();
        changes.append(&mut self.last_changes);
        changes
    }

    pub(super) fn take_tasks(&mut self) -> Vec<Task> {
        core::mem::take(&mut self.tasks)
    }

    pub(super) fn take_newly_blocking(&mut self) -> Vec<TxnId> {
        core::mem::take(&mut self.newly_blocking)
    }

    /// Handles a request; `None` if it cannot be answered now (no timestamp can be minted, or it is answered later).
    pub fn handle(
        &mut self,
        from: CoreId,
        txn_id: TxnId,
        request: Request,
        minter: &mut dyn Minter,
    ) -> Option<(Ballot, Answer)> {
        if let Some(answer) = self.answer_for_the_gone(txn_id, &request) {
            return answer;
        }
        match request {
            Request::PreAccept { transaction } => {
                let answer = self.pre_accept(txn_id, &transaction, minter)?;
                Some((Ballot::ZERO, answer))
            }
            Request::Accept { ballot, proposal, agreement, transaction } => {
                let answer = self.accept(txn_id, ballot, (proposal, agreement), transaction);
                Some((ballot, answer))
            }
            Request::AcceptInvalidate { ballot } => {
                Some((ballot, self.accept_invalidate(txn_id, ballot)))
            }
            Request::Commit { ballot, agreement, transaction } => {
                Some((ballot, self.commit(txn_id, ballot, agreement, transaction)))
            }
            Request::Read { agreement, transaction } => {
                if !self.stable(txn_id, agreement, transaction) {
                    return Some((Ballot::ZERO, Answer::Insufficient));
                }
                self.serve_when_ready(txn_id, Waiter::Rows(from));
                None
            }
            Request::Apply { agreement, transaction, record } => {
                if !self.apply(txn_id, agreement, transaction, record) {
                    return Some((Ballot::ZERO, Answer::Insufficient));
                }
                self.serve_when_ready(txn_id, Waiter::Applied(from));
                None
            }
            Request::Invalidate => {
                self.invalidate(txn_id);
                None
            }
            Request::Durable { durability } => {
                self.is_durable(txn_id, durability);
                None
            }
            Request::UniversallyApplied => None,
            Request::Recover { ballot, transaction } => {
                let answer = self.recover(txn_id, ballot, &transaction, minter)?;
                Some((ballot, answer))
            }
            Request::PromiseUnknown { ballot } => {
                Some((ballot, self.promise_unknown(txn_id, ballot)))
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
        let known = self.commands.get(&txn_id);
        let (status, promised) =
            known.map_or(Default::default(), |known| (known.status(), known.promised()));
        if status > Status::PreAccepted {
            return known.map(decided_or_preempted);
        }
        if promised > Ballot::ZERO {
            return Some(Answer::Preempted { promised });
        }
        if status == Status::PreAccepted {
            return Some(self.pre_accepted(txn_id, transaction));
        }
        if txn_id < self.bounds.rejected_below && !live(mutants::SYNC_POINT_DOES_NOT_REJECT) {
            return Some(Answer::Rejected);
        }
        let witnessed = if transaction.is_sync_point() {
            txn_id.0
        } else {
            let floor = self.max_conflict(txn_id, transaction);
            if floor < txn_id.0 || live(mutants::VOTE_BELOW_CONFLICTS) {
                txn_id.0
            } else {
                minter.mint_above(floor)?
            }
        };
        self.define(txn_id, transaction);
        let voted = witnessed == txn_id.0 && !transaction.is_sync_point();
        self.change(txn_id).pre_accept(witnessed, voted);
        self.note(witnessed);
        Some(self.pre_accepted(txn_id, transaction))
    }

    /// What was witnessed, and what it depends on. A sync point is told the highest timestamp here instead: it is where it is, and whoever asked for it
    /// may want to know whether everything that was acknowledged is below.
    fn pre_accepted(&self, txn_id: TxnId, transaction: &Transaction) -> Answer {
        let witnessed = match transaction.is_sync_point() {
            true => self.bounds.highest.max(txn_id.0),
            false => self.commands[&txn_id].execute_at(),
        };
        let deps = self.deps_below(txn_id, transaction, txn_id.0);
        Answer::PreAccepted { witnessed, deps }
    }

    /// Something was witnessed, accepted or agreed at this timestamp.
    fn note(&mut self, timestamp: Timestamp) {
        self.bounds.highest = self.bounds.highest.max(timestamp);
    }

    /// Section 2.6.
    fn accept(
        &mut self,
        txn_id: TxnId,
        ballot: Ballot,
        (proposal, agreement): (Proposal, Agreement),
        transaction: Option<Arc<Transaction>>,
    ) -> Answer {
        if let Some(known) = self.commands.get(&txn_id) {
            if known.status().is_decided() {
                return decided_or_preempted(known);
            }
            if known.promised() > ballot && !live(mutants::ACCEPT_IGNORES_PROMISE) {
                return Answer::Preempted { promised: known.promised() };
            }
        }
        let Some(transaction) = self.defined(txn_id, transaction) else {
            return Answer::Insufficient;
        };
        let execute_at = agreement.execute_at;
        let proposed = agreement.deps.clone();
        self.change(txn_id).accept(ballot, agreement);
        self.note(execute_at);
        if proposal != Proposal::Slow || live(mutants::ACCEPT_ADDS_NO_DEPS) {
            return Answer::Accepted { extra: Deps::default() };
        }
        let found = self.deps_below(txn_id, &transaction, execute_at);
        let extra = found.iter().filter(|found| !proposed.contains(*found)).map(|found| {
            let weak = found < txn_id && !live(mutants::EXTRA_DEPS_ARE_EVIDENCE);
            (found, if weak { Evidence::Unstable } else { Evidence::Stable })
        });
        Answer::Accepted { extra: Deps::of(extra.collect()) }
    }

    fn accept_invalidate(&mut self, txn_id: TxnId, ballot: Ballot) -> Answer {
        let known = self.commands.entry(txn_id).or_default();
        if known.status().is_decided() {
            return decided_or_preempted(known);
        }
        if known.promised() > ballot && !live(mutants::INVALIDATE_IGNORES_PROMISE) {
            return Answer::Preempted { promised: known.promised() };
        }
        self.change(txn_id).accept_invalidate(ballot);
        Answer::InvalidateAccepted
    }

    fn commit(
        &mut self,
        txn_id: TxnId,
        ballot: Ballot,
        agreement: Agreement,
        transaction: Option<Arc<Transaction>>,
    ) -> Answer {
        if let Some(known) = self.commands.get(&txn_id) {
            if known.promised() > ballot && !live(mutants::COMMIT_IGNORES_PROMISE) {
                return Answer::Preempted { promised: known.promised() };
            }
            if known.status() == Status::Invalidated {
                return decided_or_preempted(known);
            }
            if known.status() >= Status::Stable {
                self.check_agreement(txn_id, &agreement);
                return Answer::Committed;
            }
        }
        if self.defined(txn_id, transaction).is_none() {
            return Answer::Insufficient;
        }
        let news = !self.commands[&txn_id].status().is_committed();
        self.note(agreement.execute_at);
        self.change(txn_id).commit(ballot, agreement);
        if news {
            self.unblock(txn_id);
        }
        Answer::Committed
    }

    /// Section 2.6: states a fact, so ballots do not matter. Returns whether it could be taken in.
    fn stable(
        &mut self,
        txn_id: TxnId,
        agreement: Agreement,
        transaction: Option<Arc<Transaction>>,
    ) -> bool {
        let status = self.commands.get(&txn_id).map_or(Status::NotDefined, Command::status);
        assert_ne!(status, Status::Invalidated, "{txn_id} is both stable and invalidated");
        if status >= Status::Stable {
            self.check_agreement(txn_id, &agreement);
            return true;
        }
        if self.defined(txn_id, transaction).is_none() {
            return false;
        }
        self.note(agreement.execute_at);
        self.change(txn_id).stabilise(agreement);
        self.start_waiting(txn_id);
        if !status.is_committed() {
            self.unblock(txn_id);
        }
        true
    }

    fn apply(
        &mut self,
        txn_id: TxnId,
        agreement: Agreement,
        transaction: Option<Arc<Transaction>>,
        record: Arc<Record>,
    ) -> bool {
        if !self.stable(txn_id, agreement, transaction) {
            return false;
        }
        let known = &self.commands[&txn_id];
        if known.status() >= Status::PreApplied {
            let same = known.record().is_some_and(|known| **known == *record);
            assert!(same, "{txn_id} has one outcome");
            return true;
        }
        self.change(txn_id).pre_apply(record);
        self.apply_if_ready(txn_id);
        true
    }

    fn invalidate(&mut self, txn_id: TxnId) {
        let known = self.commands.entry(txn_id).or_default();
        assert!(!known.status().is_committed(), "{txn_id} is both committed and invalidated");
        if known.status() != Status::Invalidated {
            self.change(txn_id).invalidate();
            self.waiters.remove(&txn_id);
            self.unblock(txn_id);
        }
    }

    fn promise_unknown(&mut self, txn_id: TxnId, ballot: Ballot) -> Answer {
        let known = self.commands.entry(txn_id).or_default();
        if known.promised() > ballot {
            return Answer::Preempted { promised: known.promised() };
        }
        let command = self.change(txn_id);
        if !live(mutants::UNKNOWN_IS_NOT_PROMISED) {
            command.promise(ballot);
        }
        Answer::Known(command.known())
    }

    pub(super) fn is_durable(&mut self, txn_id: TxnId, durability: Durability) {
        if let Some(command) = self.commands.get_mut(&txn_id)
            && command.raise_durability(durability)
        {
            self.changed.push(txn_id);
            self.settle(txn_id);
        }
    }

    /// Agreed facts never change.
    fn check_agreement(&self, txn_id: TxnId, agreement: &Agreement) {
        let known = &self.commands[&txn_id];
        assert_eq!(known.execute_at(), agreement.execute_at, "{txn_id} executes at one time");
    }

    /// What it does, noted so that others find it; `None` if that is not known here and did not come along.
    fn defined(
        &mut self,
        txn_id: TxnId,
        transaction: Option<Arc<Transaction>>,
    ) -> Option<Arc<Transaction>> {
        if let Some(known) = self.commands.get(&txn_id).and_then(Command::transaction) {
            return Some(known.clone());
        }
        let transaction = transaction?;
        self.define(txn_id, &transaction);
        Some(transaction)
    }

    fn define(&mut self, txn_id: TxnId, transaction: &Arc<Transaction>) {
        if self.commands.get(&txn_id).is_some_and(|known| known.transaction().is_some()) {
            return;
        }
        self.change(txn_id).define(transaction);
        self.index(txn_id, transaction);
    }

    /// Others find it from now on; a sync point keeps out what is below it.
    fn index(&mut self, txn_id: TxnId, transaction: &Transaction) {
        match transaction.footprint() {
            Some(footprint) => self.conflicts.insert(txn_id, footprint),
            None => {
                self.sync_points.insert(txn_id);
                self.bounds.rejected_below = self.bounds.rejected_below.max(txn_id);
            }
        }
    }

    fn change(&mut self, txn_id: TxnId) -> &mut Command {
        if self.changed.last() != Some(&txn_id) {
            self.changed.push(txn_id);
        }
        self.commands.entry(txn_id).or_default()
    }

    /// Visits the others that it conflicts with by what they touch, sync points left out; some more than once.
    fn visit_conflicts(
        &self,
        txn_id: TxnId,
        transaction: &Transaction,
        visit: &mut dyn FnMut(TxnId, &Command),
    ) {
        let Some(footprint) = transaction.footprint() else {
            for (other, command) in &self.commands {
                if *other != txn_id {
                    visit(*other, command);
                }
            }
            return;
        };
        let all = &mut |other| {
            if other != txn_id {
                visit(other, &self.commands[&other]);
            }
            ControlFlow::Continue(())
        };
        let _ended = self.conflicts.visit_conflicts(footprint, Treat::AsDeclared, all);
    }

    /// The highest timestamp that a conflicting transaction has here.
    fn max_conflict(&self, txn_id: TxnId, transaction: &Transaction) -> Timestamp {
        let mut highest = self.last_settled_conflict(transaction);
        self.visit_conflicts(txn_id, transaction, &mut |other, command| {
            highest = highest.max(other.0).max(command.execute_at());
        });
        highest
    }

    fn last_settled_conflict(&self, transaction: &Transaction) -> Timestamp {
        transaction
            .footprint()
            .map_or(Timestamp::ZERO, |footprint| self.settled.last_conflict(footprint, self.tokens))
    }

    /// Section 2.4: everything conflicting whose id is below `bound` and that may take effect, less what every replica has
    /// applied.
    fn deps_below(&self, txn_id: TxnId, transaction: &Transaction, bound: Timestamp) -> Deps {
        let mut found = Vec::new();
        self.visit_conflicts(txn_id, transaction, &mut |other, command| {
            let ended = command.status() == Status::Invalidated
                || (live(mutants::DEPS_OMIT_UNDECIDED) && command.status() < Status::Accepted);
            if other.0 < bound && !ended && command.transaction().is_some() {
                found.push((other, Evidence::Stable));
            }
        });
        Deps::of(found)
    }
}

fn decided_or_preempted(known: &Command) -> Answer {
    if known.status().is_decided() {
        let (status, deps) = (known.status(), known.deps().clone());
        Answer::Decided { status, execute_at: known.execute_at(), deps }
    } else {
        Answer::Preempted { promised: known.promised() }
    }
}
