//! Everything that one core of a node says to another's shard.

use std::sync::Arc;
use std::time::Duration;

use accord::{Footprint, Message, RequestId, Response, Workload};
use storage::TableSnapshot;
use types::{SchemaVersion, TableId, Timestamp};

use crate::error::ShardError;
use crate::hold::HoldId;
use crate::lease::{LeaseId, LeaseOutcome, LeaseTake};

/// A table of an analytic snapshot: what to freeze, and what it was planned at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedTable {
    /// The table of the catalog.
    pub table: TableId,
    /// Where its rows are.
    pub storage: TableId,
    /// Its version when the statement was planned.
    pub version: SchemaVersion,
}

/// One message of the mesh.
#[derive(Debug)]
pub enum ShardMessage {
    /// The protocol's own.
    Protocol(Message),
    /// A session of the sending core asks for a transaction whose home is this shard.
    Submit {
        /// To be named in the answer.
        request: RequestId,
        /// What it touches.
        footprint: Arc<Footprint>,
        /// What it does.
        workload: Arc<dyn Workload>,
        /// The lease of its transaction.
        lease: Option<LeaseId>,
    },
    /// A lease of the sending core asks for a row of this shard.
    TakeLease {
        /// To be named in the answer.
        request: RequestId,
        /// Which lease, and how long it waits.
        take: LeaseTake,
        /// Storage table and key.
        row: (TableId, Vec<u8>),
    },
    /// How that ended.
    Leased {
        /// The request.
        request: RequestId,
        /// Its outcome.
        outcome: LeaseOutcome,
    },
    /// A lease gives its rows of this shard back.
    EndLease {
        /// Which.
        lease: LeaseId,
    },
    /// A session of the sending core reads this shard's part of a footprint at its snapshot.
    ReadAt {
        /// To be named in the answer.
        request: RequestId,
        /// The snapshot.
        at: Timestamp,
        /// What to read.
        footprint: Arc<Footprint>,
    },
    /// The sending core asks to hold back writers of some storage tables.
    Hold {
        /// To be named when they may go on.
        hold: HoldId,
        /// The tables.
        tables: Arc<[TableId]>,
        /// For how long at most.
        at_most: Duration,
    },
    /// They may go on.
    Release {
        /// The hold.
        hold: HoldId,
    },
    /// The answer to a request of this core.
    Answer {
        /// The request.
        request: RequestId,
        /// Its answer.
        response: Response,
    },
    /// An analytic snapshot that the sending core is about to announce will freeze these tables.
    FreezeTables {
        /// The snapshot's request.
        request: RequestId,
        /// The tables.
        tables: Arc<[WantedTable]>,
    },
    /// A shard's frozen part of an analytic snapshot of this core, one for each table.
    Part {
        /// The snapshot's request.
        request: RequestId,
        /// The tables, frozen.
        part: Result<Vec<TableSnapshot>, ShardError>,
    },
}
