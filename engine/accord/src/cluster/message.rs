//! What cores say to each other about one transaction on one range. Requests are idempotent: they may arrive twice, late, or
//! never.
//!
//! A request goes to the replica of a range on a node, whichever core holds it there; its answer goes to the core that asked.
//! What the recipient provably has does not travel again: what a transaction does is sent by those who witness it
//! ([`Request::PreAccept`], [`Request::Recover`]) and afterwards only to replicas that did not answer them.

use alloc::sync::Arc;
use alloc::vec::Vec;

use types::Timestamp;

use super::deps::Deps;
use super::status::{Ballot, Durability, Status};
use super::transaction::Transaction;
use crate::rows::Rows;
use crate::txn::TxnId;
use crate::workload::Record;

/// What is agreed on: when it executes, and after whom on one range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// When it takes effect.
    pub execute_at: Timestamp,
    /// What it waits for on the range of the message.
    pub deps: Deps,
}

/// How a timestamp is proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proposal {
    /// The initial timestamp, voted for by a slow quorum of the electorate: the dependencies are fixed.
    Medium,
    /// Any timestamp: answers may add dependencies.
    Slow,
}

/// To a replica of a range.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Witness it, vote for its id as its timestamp if nothing conflicting was seen above, and say what it depends on.
    PreAccept { transaction: Arc<Transaction> },
    /// Accept a timestamp and dependencies.
    Accept {
        ballot: Ballot,
        proposal: Proposal,
        agreement: Agreement,
        transaction: Option<Arc<Transaction>>,
    },
    /// Accept that it never takes effect.
    AcceptInvalidate { ballot: Ballot },
    /// Timestamp and dependencies are agreed; keep them.
    Commit { ballot: Ballot, agreement: Agreement, transaction: Option<Arc<Transaction>> },
    /// They survive: read when everything before is applied.
    Read { agreement: Agreement, transaction: Option<Arc<Transaction>> },
    /// Its writes: answer when they and everything before are applied.
    Apply { agreement: Agreement, transaction: Option<Arc<Transaction>>, record: Arc<Record> },
    /// It never takes effect.
    Invalidate,
    /// So many replicas have its writes.
    Durable { durability: Durability },
    /// To every core of a node: every replica of the range has applied this sync point, so everything below it there.
    UniversallyApplied,
    /// Promise a ballot and say what you know of it and of what it conflicts with.
    Recover { ballot: Ballot, transaction: Arc<Transaction> },
    /// Promise a ballot though nobody here knows what it does.
    PromiseUnknown { ballot: Ballot },
}

/// What a replica says in a recovery.
#[derive(Clone, Debug, PartialEq)]
pub struct RecoveryVote {
    /// How far it came here.
    pub status: Status,
    /// Ballot of the last acceptance or commit.
    pub accepted: Ballot,
    /// Witnessed, accepted or agreed, by status.
    pub execute_at: Timestamp,
    /// Accepted, committed or stable dependencies, by status.
    pub deps: Deps,
    /// What this replica would answer a PreAccept.
    pub local_deps: Deps,
    /// Whether this replica voted for the id as the timestamp.
    pub voted: bool,
    /// A conflicting transaction is decided, or being decided, in a way that excludes the fast path.
    pub superseded: bool,
    /// Undecided transactions that must be decided first.
    pub earlier_wait: Vec<TxnId>,
    /// Earlier transactions known to be harmless.
    pub earlier_no_wait: Vec<TxnId>,
    /// Its writes, if they are known.
    pub record: Option<Arc<Record>>,
}

/// Knowledge that may be handed on: never votes.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// How far it came.
    pub status: Status,
    /// What it does.
    pub transaction: Option<Arc<Transaction>>,
    /// If stable.
    pub agreement: Option<Agreement>,
    /// If known.
    pub record: Option<Arc<Record>>,
}

/// From a replica of a range.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// To [`Request::PreAccept`].
    PreAccepted { witnessed: Timestamp, deps: Deps },
    /// To [`Request::PreAccept`]: a sync point above has been here first.
    Rejected,
    /// To [`Request::Accept`]; dependencies that nobody proposed yet.
    Accepted { extra: Deps },
    /// To [`Request::AcceptInvalidate`].
    InvalidateAccepted,
    /// To [`Request::Commit`].
    Committed,
    /// To [`Request::Read`].
    Rows(Rows),
    /// To [`Request::Apply`]: the writes are in the store, and so are those of everything before.
    Applied,
    /// To [`Request::Recover`].
    Recovered(RecoveryVote),
    /// To [`Request::PromiseUnknown`].
    Known(Known),
    /// A higher ballot was promised.
    Preempted { promised: Ballot },
    /// It is decided already. With the dependencies that are agreed here, if it is to execute.
    Decided { status: Status, execute_at: Timestamp, deps: Deps },
    /// Nothing is known of it here any more: it is applied on every replica of all its ranges, or can never be decided.
    Truncated,
    /// What the transaction does did not come along and is not known here.
    Insufficient,
}

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// To a replica.
    Request(Request),
    /// To a coordinator, with the ballot of the request.
    Answer { ballot: Ballot, answer: Answer },
}
