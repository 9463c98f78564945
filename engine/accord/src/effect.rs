//! What the protocol asks the shard to do. Effects are performed in the order in which they come out.
//!
//! By the time an effect comes out, everything it depends on is durable (see [`crate::outbox`]); before the first
//! [`Effect::Reply`] or [`Effect::Freeze`] of a loop leaves, the shard publishes [`crate::Replica::slot`].

use alloc::sync::Arc;
use alloc::vec::Vec;

use types::{LogId, ShardId, Timestamp};

use crate::footprint::Footprint;
use crate::message::Message;
use crate::rows::Rows;
use crate::store::LogPosition;
use crate::txn::TxnId;
use crate::workload::{Abort, Record};

/// Names a request of a client to the whole node; given by the shard that asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Names a load under way on one core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LoadId(pub u64);

/// One thing to do.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Bring the rows that `footprint` reads on this shard into memory, as of `at`, and keep them there until
    /// [`crate::Event::Loaded`] has been handled.
    Load {
        /// To be named when it is done.
        load: LoadId,
        /// What to load.
        footprint: Arc<Footprint>,
        /// Newest versions at or below this.
        at: Timestamp,
    },
    /// Deliver to another core. Messages from one core to another arrive in the order in which they came out.
    Send {
        /// The other core.
        to: ShardId,
        /// What to deliver.
        message: Message,
    },
    /// Answer a request.
    Reply {
        /// The request.
        request: RequestId,
        /// Its answer.
        response: Response,
    },
    /// Pin the files and chunks of this shard as one frozen view, now, and hand it to whoever asked for the snapshot.
    /// Readers of it filter by execute_at at or below `at`.
    Freeze {
        /// The request for the snapshot.
        request: RequestId,
        /// Its timestamp.
        at: Timestamp,
    },
    /// A record with [`crate::Installs::WhenDurable`] is durable: install what it attaches, then say so by
    /// [`crate::Event::Installed`].
    Install {
        /// To be named when it is done.
        txn_id: TxnId,
        /// The record.
        record: Arc<Record>,
        /// The log that holds it.
        log: LogId,
        /// Where.
        position: LogPosition,
    },
    /// Make a reservation of timestamps durable, then say so by [`crate::Event::Reserved`].
    Reserve {
        /// Timestamps up to this may be used.
        through: Timestamp,
    },
}

/// Answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// The transaction took effect, durably.
    Committed {
        /// When.
        execute_at: Timestamp,
        /// The workload's reply.
        reply: Vec<u8>,
    },
    /// The transaction took no effect.
    Aborted(Abort),
    /// The snapshot of an interactive transaction, open until [`crate::Event::EndSnapshot`].
    Began(Timestamp),
    /// This shard's part of a read at a snapshot.
    Rows(Rows),
    /// A read at a snapshot failed.
    ReadRefused(Abort),
    /// The timestamp of an analytic snapshot, open until [`crate::Event::EndSnapshot`]; the parts come by
    /// [`Effect::Freeze`] from every shard.
    SnapshotAt(Timestamp),
}
