//! What one replica knows of one transaction on one range, and how that grows.
//!
//! Every change goes through a method here, which notes the fields that it changed: the log gets the changes
//! ([`Command::take_change`]), not the command, and a restart folds them in the order in which they were logged
//! ([`Command::fold`]).

use alloc::sync::Arc;
use alloc::vec::Vec;

use types::Timestamp;
use types::mutants::live;

use super::deps::Deps;
use super::message::{Agreement, Known};
use super::status::{Ballot, Durability, Status};
use super::transaction::Transaction;
use crate::mutants;
use crate::txn::TxnId;
use crate::workload::Record;

/// The durable state, and what it waits for.
#[derive(Clone, Debug, Default)]
pub struct Command {
    status: Status,
    promised: Ballot,
    accepted: Ballot,
    transaction: Option<Arc<Transaction>>,
    execute_at: Timestamp,
    voted: bool,
    deps: Deps,
    record: Option<Arc<Record>>,
    durability: Durability,
    /// Dependencies that are undecided, or execute before and are not applied. Only while stable; rebuilt at a restart.
    pub(super) waiting_on: Vec<TxnId>,
    unlogged: Fields,
}

/// Fields that changed since the log was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Fields(u8);

impl Fields {
    const STATUS: Fields = Fields(1);
    const BALLOTS: Fields = Fields(1 << 1);
    const TRANSACTION: Fields = Fields(1 << 2);
    const EXECUTE_AT: Fields = Fields(1 << 3);
    const DEPS: Fields = Fields(1 << 4);
    const RECORD: Fields = Fields(1 << 5);
    const DURABILITY: Fields = Fields(1 << 6);

    const fn has(self, fields: Fields) -> bool {
        self.0 & fields.0 != 0
    }

    const fn add(&mut self, fields: Fields) {
        self.0 |= fields.0;
    }
}

/// What changed of a command: one log entry. A field that is `None` stays as it was.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// How far it came, and whether this replica voted for the id as the timestamp.
    pub status: Option<(Status, bool)>,
    /// Promised, and of the last acceptance or commit.
    pub ballots: Option<(Ballot, Ballot)>,
    /// What it does.
    pub transaction: Option<Arc<Transaction>>,
    /// Witnessed, accepted or agreed, by status.
    pub execute_at: Option<Timestamp>,
    /// Accepted, committed or stable, by status.
    pub deps: Option<Deps>,
    /// Its writes.
    pub record: Option<Arc<Record>>,
    /// Who has them.
    pub durability: Option<Durability>,
}

impl Command {
    /// How far it came.
    pub const fn status(&self) -> Status {
        self.status
    }

    /// Highest ballot promised; nothing below it is accepted any more.
    pub const fn promised(&self) -> Ballot {
        self.promised
    }

    /// Ballot of the last acceptance or commit. Kept apart from the promise: one register for both is a published bug of a
    /// sibling protocol (section 1.5).
    pub const fn accepted(&self) -> Ballot {
        self.accepted
    }

    /// What it does; nothing if only its id is known.
    pub const fn transaction(&self) -> Option<&Arc<Transaction>> {
        self.transaction.as_ref()
    }

    /// Witnessed, accepted or agreed, by status.
    pub const fn execute_at(&self) -> Timestamp {
        self.execute_at
    }

    /// Whether this replica voted for the id as the timestamp. Never set later.
    pub const fn voted(&self) -> bool {
        self.voted
    }

    /// Accepted, committed or stable, by status.
    pub const fn deps(&self) -> &Deps {
        &self.deps
    }

    /// Its writes.
    pub const fn record(&self) -> Option<&Arc<Record>> {
        self.record.as_ref()
    }

    /// Who is known to have its writes.
    pub const fn durability(&self) -> Durability {
        self.durability
    }

    /// Dependencies that it waits for, while it is stable.
    pub fn waiting_on(&self) -> &[TxnId] {
        &self.waiting_on
    }

    pub(super) fn define(&mut self, transaction: &Arc<Transaction>) {
        self.transaction = Some(transaction.clone());
        self.unlogged.add(Fields::TRANSACTION);
    }

    /// The first that this replica hears of it from a coordinator or, without a vote, from a recovery.
    pub(super) fn pre_accept(&mut self, witnessed: Timestamp, voted: bool) {
        self.voted = voted;
        self.set_status(Status::PreAccepted);
        self.set_execute_at(witnessed);
    }

    pub(super) fn promise(&mut self, ballot: Ballot) {
        if self.promised != ballot {
            self.promised = ballot;
            self.unlogged.add(Fields::BALLOTS);
        }
    }

    pub(super) fn accept(&mut self, ballot: Ballot, agreement: Agreement) {
        self.take_ballot(ballot);
        self.set_status(Status::Accepted);
        self.agree(agreement);
    }

    pub(super) fn accept_invalidate(&mut self, ballot: Ballot) {
        self.take_ballot(ballot);
        self.set_status(Status::AcceptedInvalidate);
    }

    pub(super) fn commit(&mut self, ballot: Ballot, agreement: Agreement) {
        self.take_ballot(ballot);
        self.set_status(Status::Committed);
        self.agree(agreement);
    }

    pub(super) fn stabilise(&mut self, agreement: Agreement) {
        self.set_status(Status::Stable);
        self.agree(agreement);
    }

    pub(super) fn pre_apply(&mut self, record: Arc<Record>) {
        self.set_status(Status::PreApplied);
        self.record = Some(record);
        self.unlogged.add(Fields::RECORD);
    }

    pub(super) fn applied(&mut self) {
        self.set_status(Status::Applied);
    }

    pub(super) fn invalidate(&mut self) {
        self.set_status(Status::Invalidated);
        self.deps = Deps::default();
    }

    /// Returns whether that is news.
    pub(super) fn raise_durability(&mut self, durability: Durability) -> bool {
        let news = durability > self.durability;
        if news {
            self.durability = durability;
            self.unlogged.add(Fields::DURABILITY);
        }
        news
    }

    fn set_status(&mut self, status: Status) {
        self.status = status;
        self.unlogged.add(Fields::STATUS);
    }

    fn set_execute_at(&mut self, execute_at: Timestamp) {
        if self.execute_at != execute_at {
            self.execute_at = execute_at;
            self.unlogged.add(Fields::EXECUTE_AT);
        }
    }

    fn take_ballot(&mut self, ballot: Ballot) {
        if (self.promised, self.accepted) != (ballot, ballot) {
            (self.promised, self.accepted) = (ballot, ballot);
            self.unlogged.add(Fields::BALLOTS);
        }
    }

    fn agree(&mut self, agreement: Agreement) {
        self.set_execute_at(agreement.execute_at);
        if self.deps != agreement.deps {
            self.deps = agreement.deps;
            self.unlogged.add(Fields::DEPS);
        }
    }

    /// What changed since the last call; nothing if nothing did.
    pub fn take_change(&mut self) -> Option<Change> {
        let fields = core::mem::take(&mut self.unlogged);
        if fields == Fields::default() {
            return None;
        }
        let has = |field| fields.has(field);
        Some(Change {
            status: has(Fields::STATUS).then_some((self.status, self.voted)),
            ballots: (has(Fields::BALLOTS) && !live(mutants::BALLOTS_NOT_LOGGED))
                .then_some((self.promised, self.accepted)),
            transaction: self.transaction.clone().filter(|_| has(Fields::TRANSACTION)),
            execute_at: has(Fields::EXECUTE_AT).then_some(self.execute_at),
            deps: has(Fields::DEPS).then(|| self.deps.clone()),
            record: self.record.clone().filter(|_| has(Fields::RECORD)),
            durability: has(Fields::DURABILITY).then_some(self.durability),
        })
    }

    /// All of it, as one change: for a log that lets go of the older ones.
    pub fn whole(&self) -> Change {
        Change {
            status: Some((self.status, self.voted)),
            ballots: Some((self.promised, self.accepted)),
            transaction: self.transaction.clone(),
            execute_at: Some(self.execute_at),
            deps: Some(self.deps.clone()),
            record: self.record.clone(),
            durability: Some(self.durability),
        }
    }

    /// Takes back a change from the log; changes come in the order in which they were logged.
    pub fn fold(&mut self, change: Change) {
        if let Some((status, voted)) = change.status {
            (self.status, self.voted) = (status, voted);
            if status == Status::Invalidated {
                self.deps = Deps::default();
            }
        }
        if let Some((promised, accepted)) = change.ballots {
            (self.promised, self.accepted) = (promised, accepted);
        }
        self.transaction = change.transaction.or_else(|| self.transaction.take());
        self.execute_at = change.execute_at.unwrap_or(self.execute_at);
        self.deps = change.deps.unwrap_or_else(|| core::mem::take(&mut self.deps));
        self.record = change.record.or_else(|| self.record.take());
        self.durability = change.durability.unwrap_or(self.durability);
    }

    /// Whether what this replica would have to read or write is all there.
    pub fn is_ready(&self) -> bool {
        self.status >= Status::Stable
            && self.status != Status::Invalidated
            && self.waiting_on.is_empty()
    }

    /// What is agreed, once it survives.
    pub fn agreement(&self) -> Option<Agreement> {
        let stable = self.status >= Status::Stable && self.status != Status::Invalidated;
        stable.then(|| Agreement { execute_at: self.execute_at, deps: self.deps.clone() })
    }

    /// What may be handed on.
    pub fn known(&self) -> Known {
        Known {
            status: self.status,
            transaction: self.transaction.clone(),
            agreement: self.agreement(),
            record: self.record.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;

    use types::Timestamp;

    use super::{Change, Command};
    use crate::cluster::deps::{Deps, Evidence};
    use crate::cluster::message::Agreement;
    use crate::cluster::status::{Ballot, Durability, Status};
    use crate::cluster::topology::RangeId;
    use crate::cluster::transaction::Transaction;
    use crate::txn::TxnId;

    /// What is folded from the changes is what was changed, whatever the cut.
    #[test]
    fn the_changes_add_up_to_the_command() {
        let at = |hlc| Timestamp::new(0, hlc, 1);
        let deps = Deps::of(vec![(TxnId(at(3)), Evidence::Unstable)]);
        let agreement = Agreement { execute_at: at(9), deps };
        let mut command = Command::default();
        let mut folded = Command::default();
        let same = |command: &Command, folded: &Command| {
            let shown = |command: &Command| alloc::format!("{:?}", command.whole());
            assert_eq!(shown(command), shown(folded));
        };
        assert_eq!(command.take_change(), None);
        type Step = Box<dyn Fn(&mut Command)>;
        let of = agreement.clone();
        let steps: Vec<Step> = vec![
            Box::new(|command| command.define(&Arc::new(Transaction::sync_point([RangeId(0)])))),
            Box::new(move |command| command.pre_accept(at(5), false)),
            Box::new(move |command| command.promise(Ballot(at(6)))),
            Box::new(move |command| command.accept(Ballot(at(6)), of.clone())),
            Box::new(move |command| command.commit(Ballot(at(7)), agreement.clone())),
            Box::new(|command| assert!(command.raise_durability(Durability::Majority))),
            Box::new(|command| command.applied()),
            Box::new(|command| command.invalidate()),
        ];
        for step in steps {
            step(&mut command);
            let change = command.take_change().expect("it changed");
            assert_ne!(change, Change::default());
            folded.fold(change);
            same(&command, &folded);
            let mut anew = Command::default();
            anew.fold(command.whole());
            same(&command, &anew);
        }
        assert_eq!(folded.status(), Status::Invalidated);
    }
}
