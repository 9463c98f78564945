//! What one replica knows of one transaction on one range.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;

use types::Timestamp;

use super::deps::Deps;
use super::message::{Agreement, Known, Transaction};
use super::status::{Ballot, Status};
use crate::txn::TxnId;
use crate::workload::Record;

/// The durable state, and what it waits for.
#[derive(Clone, Debug, Default)]
pub struct Command {
    /// How far it came.
    pub status: Status,
    /// Highest ballot promised; nothing below it is accepted any more.
    pub promised: Ballot,
    /// Ballot of the last acceptance or commit. Kept apart from the promise: one register for both is a published bug of
    /// a sibling protocol (section 1.5).
    pub accepted: Ballot,
    /// What it does; nothing if only its id is known.
    pub transaction: Option<Arc<Transaction>>,
    /// Witnessed, accepted or agreed, by status.
    pub execute_at: Timestamp,
    /// Whether this replica voted for the id as the timestamp. Never set later.
    pub voted: bool,
    /// Accepted, committed or stable, by status.
    pub deps: Deps,
    /// Its writes.
    pub record: Option<Arc<Record>>,
    /// Whether every replica is known to have its writes. The home range keeps at it until then.
    pub durable: bool,
    /// Dependencies that are undecided, or execute before and are not applied. Only while stable; rebuilt at a restart.
    pub waiting_on: BTreeSet<TxnId>,
}

impl Command {
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
