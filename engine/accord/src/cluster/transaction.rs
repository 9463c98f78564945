//! What is agreed on: a transaction of a client, or a sync point of the protocol itself.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::topology::{RangeId, Topology};
use crate::footprint::Footprint;
use crate::workload::Workload;

/// What a transaction touches and does; the same on every node.
#[derive(Clone)]
pub struct Transaction {
    /// Ascending, never empty. The first is the home range: its replicas see to it that the transaction ends.
    route: Vec<RangeId>,
    body: Body,
}

#[derive(Clone)]
enum Body {
    Ordinary { footprint: Footprint, workload: Arc<dyn Workload> },
    SyncPoint,
}

impl Transaction {
    /// A client's transaction.
    ///
    /// # Panics
    /// If the footprint is empty.
    pub fn new(
        topology: &Topology,
        footprint: Footprint,
        workload: Arc<dyn Workload>,
    ) -> Transaction {
        let route = topology.participants(&footprint);
        assert!(!route.is_empty(), "a transaction touches something");
        Transaction { route, body: Body::Ordinary { footprint, workload } }
    }

    /// An exclusive sync point (section 3.4): it depends on every transaction of its ranges below it, and once a quorum
    /// knows of it none below it begins. When it is applied on a replica, everything below it is decided there.
    ///
    /// # Panics
    /// If there is no range.
    pub fn sync_point(ranges: impl IntoIterator<Item = RangeId>) -> Transaction {
        let mut route: Vec<RangeId> = ranges.into_iter().collect();
        route.sort_unstable();
        route.dedup();
        assert!(!route.is_empty(), "a sync point is of some range");
        Transaction { route, body: Body::SyncPoint }
    }

    /// What [`Transaction::route`] was of a transaction that travelled.
    pub(super) fn of_route(
        route: Vec<RangeId>,
        ordinary: Option<(Footprint, Arc<dyn Workload>)>,
    ) -> Transaction {
        let body = match ordinary {
            Some((footprint, workload)) => Body::Ordinary { footprint, workload },
            None => Body::SyncPoint,
        };
        Transaction { route, body }
    }

    /// The ranges that it touches, ascending.
    pub fn route(&self) -> &[RangeId] {
        &self.route
    }

    /// The range whose replicas see to its end.
    pub fn home(&self) -> RangeId {
        self.route[0]
    }

    /// Whether it is an exclusive sync point.
    pub const fn is_sync_point(&self) -> bool {
        matches!(self.body, Body::SyncPoint)
    }

    /// What it touches; nothing for a sync point, which touches everything.
    pub const fn footprint(&self) -> Option<&Footprint> {
        match &self.body {
            Body::Ordinary { footprint, .. } => Some(footprint),
            Body::SyncPoint => None,
        }
    }

    /// What it does; nothing for a sync point.
    pub const fn workload(&self) -> Option<&Arc<dyn Workload>> {
        match &self.body {
            Body::Ordinary { workload, .. } => Some(workload),
            Body::SyncPoint => None,
        }
    }
}

/// Two are the same if they travel as the same bytes.
impl PartialEq for Transaction {
    fn eq(&self, other: &Transaction) -> bool {
        let bytes = |transaction: &Transaction| {
            let mut bytes = Vec::new();
            if let Some(workload) = transaction.workload() {
                workload.encode(&mut bytes);
            }
            bytes
        };
        self.route == other.route
            && self.footprint() == other.footprint()
            && bytes(self) == bytes(other)
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.body {
            Body::Ordinary { workload, .. } => write!(formatter, "{workload:?}"),
            Body::SyncPoint => write!(formatter, "SyncPoint({:?})", self.route),
        }
    }
}
