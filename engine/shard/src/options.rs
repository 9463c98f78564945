//! What a shard is started with.

use std::time::Duration;

use crate::bulk::SealedRegister;
use platform::PublishedSlots;
use types::{SchemaVersion, TableId, Timestamp};

/// Words that all shards of a node share; cloned to each core.
#[derive(Clone)]
pub struct NodeShared {
    /// Each core's lowest timestamp that an open snapshot may read.
    pub(crate) floors: PublishedSlots,
    /// Sealed files whose transactions are under way.
    pub(crate) sealed: SealedRegister,
}

impl NodeShared {
    /// For a node of so many shards.
    pub fn new(shard_count: u16) -> NodeShared {
        NodeShared { floors: PublishedSlots::new(shard_count), sealed: SealedRegister::default() }
    }
}

/// Settings of one shard.
#[derive(Clone, Debug)]
pub struct ShardOptions {
    /// Number of this node in its cluster; part of every timestamp.
    pub host: u32,
    /// Above every timestamp of the node's past (`storage::directory::OpenedDirectory::reservation`).
    pub reservation: Timestamp,
    /// Schema version of every table of the catalog.
    pub schema: Vec<(TableId, SchemaVersion)>,
    /// How long history is kept for reads in the past.
    pub history_retention: Duration,
    /// Requests of this core's sessions that may be under way at one time.
    pub requests_max: usize,
    /// How long a snapshot's pin holds if nobody renews it.
    pub snapshot_lease: Duration,
}

impl ShardOptions {
    /// What a node uses unless told otherwise.
    pub fn new(reservation: Timestamp) -> ShardOptions {
        ShardOptions {
            host: 0,
            reservation,
            schema: Vec::new(),
            history_retention: Duration::from_secs(600),
            requests_max: 65_536,
            snapshot_lease: Duration::from_secs(3_600),
        }
    }
}
