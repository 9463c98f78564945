//! What is registered on this core, and who waits for whom.
//!
//! Each waiter watches one transaction that blocks it and looks again when that one is decided or gone, so a long queue
//! on a hot token wakes one after the other, not all at once.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use types::{ShardId, Timestamp};

use crate::conflicts::{ConflictIndex, Treat};
use crate::effect::RequestId;
use crate::footprint::{Footprint, TokenRange};
use crate::replica::coordinate::Home;
use crate::replica::read::ReadId;
use crate::txn::TxnId;
use crate::workload::Workload;

/// Who is to be woken.
#[derive(Clone, Copy, Debug)]
pub(super) enum Waiter {
    Txn(TxnId),
    Read(ReadId),
    Snapshot(RequestId),
}

/// When a registered transaction executes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Not known yet, but above this.
    Undecided { floor: Timestamp },
    /// At this timestamp.
    Decided { execute_at: Timestamp },
}

/// How far a registered transaction is on this core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It waits for its decision or for others.
    Queued,
    /// Its turn has come; its rows are being loaded.
    Loading,
    /// Its turn has come and its part is done, but it holds its tokens until Apply or Release.
    Executed,
}

/// What this core is to a registered transaction.
#[derive(Clone, Debug)]
pub(super) enum Role {
    /// Its only participant; it queued behind others.
    Turn { request: RequestId, workload: Arc<dyn Workload> },
    /// One of several.
    Participant { home: ShardId },
    /// The one that drives it.
    Home(Home),
}

#[derive(Clone, Debug)]
pub(super) struct Registered {
    pub(super) footprint: Arc<Footprint>,
    pub(super) decision: Decision,
    pub(super) stage: Stage,
    pub(super) role: Role,
    waiters: Vec<Waiter>,
}

impl Registered {
    pub(super) const fn new(
        footprint: Arc<Footprint>,
        decision: Decision,
        role: Role,
    ) -> Registered {
        Registered { footprint, decision, stage: Stage::Queued, role, waiters: Vec::new() }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Registry {
    index: ConflictIndex,
    txns: BTreeMap<TxnId, Registered>,
}

impl Registry {
    pub(super) const fn new(owned: TokenRange) -> Registry {
        Registry { index: ConflictIndex::new(owned), txns: BTreeMap::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.txns.is_empty()
    }

    pub(super) fn get(&self, txn_id: TxnId) -> Option<&Registered> {
        self.txns.get(&txn_id)
    }

    pub(super) fn get_mut(&mut self, txn_id: TxnId) -> Option<&mut Registered> {
        self.txns.get_mut(&txn_id)
    }

    /// Registers a transaction on its tokens.
    pub(super) fn insert(&mut self, txn_id: TxnId, registered: Registered) {
        self.index.insert(txn_id, &registered.footprint);
        let earlier = self.txns.insert(txn_id, registered);
        assert!(earlier.is_none(), "a transaction registers once");
    }

    /// Registers without claiming any token: a planted bug.
    #[cfg(mutants)]
    pub(super) fn insert_unclaimed(&mut self, txn_id: TxnId, registered: Registered) {
        self.txns.insert(txn_id, registered);
    }

    /// Claims the tokens after all.
    #[cfg(mutants)]
    pub(super) fn claim(&mut self, txn_id: TxnId) {
        if let Some(registered) = self.txns.get(&txn_id) {
            self.index.insert(txn_id, &registered.footprint);
        }
    }

    /// Takes a transaction out, and hands out who waited for it.
    pub(super) fn remove(&mut self, txn_id: TxnId) -> Option<(Registered, Vec<Waiter>)> {
        let mut registered = self.txns.remove(&txn_id)?;
        self.index.remove(txn_id, &registered.footprint);
        let waiters = core::mem::take(&mut registered.waiters);
        Some((registered, waiters))
    }

    /// Notes the decision, and hands out who waited.
    pub(super) fn decide(&mut self, txn_id: TxnId, execute_at: Timestamp) -> Vec<Waiter> {
        let Some(registered) = self.txns.get_mut(&txn_id) else { return Vec::new() };
        registered.decision = Decision::Decided { execute_at };
        core::mem::take(&mut registered.waiters)
    }

    /// Wakes `waiter` when `txn_id` is decided or gone.
    pub(super) fn watch(&mut self, txn_id: TxnId, waiter: Waiter) {
        let registered = self.txns.get_mut(&txn_id).expect("one watches what is registered");
        registered.waiters.push(waiter);
    }

    /// Whether anything registered conflicts.
    pub(super) fn conflicts(&self, footprint: &Footprint) -> bool {
        !self.index.is_empty() && self.blocker(footprint, Treat::AsDeclared, |_, _| true).is_some()
    }

    /// A conflicting registered transaction that blocks.
    pub(super) fn blocker(
        &self,
        footprint: &Footprint,
        treat: Treat,
        blocks: impl Fn(TxnId, &Registered) -> bool,
    ) -> Option<TxnId> {
        let mut found = None;
        let _ = self.index.visit_conflicts(footprint, treat, &mut |txn_id| {
            let registered = self.txns.get(&txn_id).expect("a claim is of a registered one");
            if blocks(txn_id, registered) {
                found = Some(txn_id);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        found
    }

    /// Everything registered, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = (TxnId, &Registered)> {
        self.txns.iter().map(|(txn_id, registered)| (*txn_id, registered))
    }
}
