//! What happens to a replica.

use alloc::sync::Arc;
use alloc::vec::Vec;

use types::{ShardId, Timestamp};

use crate::effect::{LoadId, RequestId};
use crate::footprint::Footprint;
use crate::message::Message;
use crate::store::LogPosition;
use crate::txn::TxnId;
use crate::workload::Workload;

/// Which moment an analytic snapshot shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotAt {
    /// Everything acknowledged before the request, and nothing that changes later.
    Strict,
    /// The moment of an open interactive transaction, or of history that is kept; not in the future.
    Exactly(Timestamp),
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A client asks for a transaction; this core takes part in it and becomes its home.
    Submit {
        /// Named in the reply.
        request: RequestId,
        /// What it touches.
        footprint: Arc<Footprint>,
        /// What it does.
        workload: Arc<dyn Workload>,
    },
    /// An interactive transaction begins on this core.
    Begin {
        /// Named in the reply.
        request: RequestId,
    },
    /// A statement of an interactive transaction reads this shard's part of a footprint.
    ReadAt {
        /// Named in the reply.
        request: RequestId,
        /// The transaction's snapshot; versions at or below it are seen.
        at: Timestamp,
        /// What to read.
        footprint: Arc<Footprint>,
    },
    /// A client asks for an analytic snapshot; this core coordinates it.
    TakeSnapshot {
        /// Named in the reply and in every shard's frozen part.
        request: RequestId,
        /// Its moment.
        at: SnapshotAt,
    },
    /// A snapshot that began here, interactive or analytic, is no longer read.
    EndSnapshot {
        /// Its timestamp.
        at: Timestamp,
    },
    /// Another core of this node says something.
    Message {
        /// The other core.
        from: ShardId,
        /// What it says.
        message: Message,
    },
    /// A load is done and its rows are in memory now.
    Loaded {
        /// Which.
        load: LoadId,
    },
    /// A load failed.
    LoadFailed {
        /// Which.
        load: LoadId,
        /// Why, for the client.
        failure: Vec<u8>,
    },
    /// What a record attaches is installed here ([`crate::Effect::Install`]).
    Installed {
        /// Its transaction.
        txn_id: TxnId,
    },
    /// This core's log is durable through `position`.
    Durable {
        /// The position.
        position: LogPosition,
    },
    /// A reservation is durable.
    Reserved {
        /// Its end.
        through: Timestamp,
    },
}
