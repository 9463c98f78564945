//! What nodes say to each other about one range. Requests are idempotent: they may arrive twice, late, or never.

use alloc::sync::Arc;

use types::Timestamp;

use super::deps::Deps;
use super::status::{Ballot, Status};
use crate::footprint::Footprint;
use crate::rows::Rows;
use crate::txn::TxnId;
use crate::workload::{Record, Workload};
use alloc::vec::Vec;

/// What a transaction touches and does; the same on every node.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// What it touches, on all ranges.
    pub footprint: Footprint,
    /// What it does.
    pub workload: Arc<dyn Workload>,
}

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
#[derive(Clone, Debug)]
pub enum Request {
    /// Witness it, vote for its id as its timestamp if nothing conflicting was seen above, and say what it depends on.
    PreAccept(Arc<Transaction>),
    /// Accept a timestamp and dependencies.
    Accept {
        ballot: Ballot,
        proposal: Proposal,
        agreement: Agreement,
        transaction: Arc<Transaction>,
    },
    /// Accept that it never takes effect.
    AcceptInvalidate { ballot: Ballot },
    /// Timestamp and dependencies are agreed; keep them.
    Commit { ballot: Ballot, agreement: Agreement, transaction: Arc<Transaction> },
    /// They survive; and, if asked, read when everything before is applied.
    Stable { agreement: Agreement, transaction: Arc<Transaction>, read: bool },
    /// Its writes.
    Apply { agreement: Agreement, transaction: Arc<Transaction>, record: Arc<Record> },
    /// It never takes effect.
    Invalidate,
    /// Every replica of every range has its writes.
    Durable,
    /// Promise a ballot and say what you know of it and of what it conflicts with.
    Recover { ballot: Ballot, transaction: Arc<Transaction> },
    /// Promise a ballot though nobody here knows what it does.
    PromiseUnknown { ballot: Ballot },
    /// What do you know of it?
    Inquire,
}

/// What a replica says in a recovery.
#[derive(Clone, Debug)]
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
#[derive(Clone, Debug)]
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
#[derive(Clone, Debug)]
pub enum Answer {
    /// To [`Request::PreAccept`].
    PreAccepted { witnessed: Timestamp, deps: Deps },
    /// To [`Request::Accept`]; dependencies that nobody proposed yet.
    Accepted { extra: Deps },
    /// To [`Request::AcceptInvalidate`].
    InvalidateAccepted,
    /// To [`Request::Commit`].
    Committed,
    /// To [`Request::Stable`] with a read.
    Read(Rows),
    /// To [`Request::Apply`]: the writes are kept.
    Applied,
    /// To [`Request::Recover`].
    Recovered(RecoveryVote),
    /// To [`Request::PromiseUnknown`] and [`Request::Inquire`].
    Known(Known),
    /// A higher ballot was promised.
    Preempted { promised: Ballot },
    /// It is decided already; ask again by recovery.
    Decided { status: Status, execute_at: Timestamp },
}

/// One message.
#[derive(Clone, Debug)]
pub enum Message {
    /// To a replica.
    Request(Request),
    /// To a coordinator, with the ballot of the request.
    Answer { ballot: Ballot, answer: Answer },
}
