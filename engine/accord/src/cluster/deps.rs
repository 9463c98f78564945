//! What a transaction must wait for on one range.

use alloc::collections::BTreeMap;

use crate::txn::TxnId;

/// What a dependency says in a later recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Evidence {
    /// Found only while a timestamp was being accepted: it orders execution, and proves nothing about the other's fast path
    /// (section 2.6).
    Unstable,
    /// It was witnessed.
    Stable,
}

/// Conflicting transactions that may execute before, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deps(BTreeMap<TxnId, Evidence>);

impl Deps {
    /// Adds one; of two opinions the stronger stays.
    pub fn insert(&mut self, txn_id: TxnId, evidence: Evidence) {
        let known = self.0.entry(txn_id).or_insert(evidence);
        *known = (*known).max(evidence);
    }

    /// Adds all of another.
    pub fn merge(&mut self, other: &Deps) {
        for (txn_id, evidence) in &other.0 {
            self.insert(*txn_id, *evidence);
        }
    }

    /// Whether it is among them at all.
    pub fn contains(&self, txn_id: TxnId) -> bool {
        self.0.contains_key(&txn_id)
    }

    /// Whether it was witnessed.
    pub fn witnesses(&self, txn_id: TxnId) -> bool {
        self.0.get(&txn_id) == Some(&Evidence::Stable)
    }

    /// Ascending.
    pub fn iter(&self) -> impl Iterator<Item = TxnId> + '_ {
        self.0.keys().copied()
    }

    /// The highest.
    pub fn last(&self) -> Option<TxnId> {
        self.0.keys().next_back().copied()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
