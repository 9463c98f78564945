//! Taking a snapshot.

use crate::error::SnapshotError;
use crate::part::{FrozenRows, Part};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use types::Timestamp;
use types::schema::TableSchema;

/// At which moment a snapshot is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadAt {
    /// Everything acknowledged before the request is included: age zero.
    Strict,
    /// Any safe timestamp at or above this one; without coordination where one is published already.
    AtLeast(Timestamp),
    /// This very timestamp: a transaction's snapshot, or history.
    Exactly(Timestamp),
}

/// One timestamp over some tables.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Everything at or below is included, nothing above.
    pub timestamp: Timestamp,
    /// In the order asked for.
    pub tables: Vec<TableSnapshot>,
}

/// One table at the snapshot.
#[derive(Clone, Debug)]
pub struct TableSnapshot {
    /// The schema that holds at the timestamp: the one asked for.
    pub schema: Arc<TableSchema>,
    /// One for each shard.
    pub parts: Vec<Part>,
    /// The asking transaction's buffered writes, which hide what the parts hold of the same keys. Their execute_at is the snapshot's timestamp, and where a
    /// committed version has the same one they come first: give them to a merge before all other runs.
    pub own_writes: Option<Arc<dyn FrozenRows>>,
}

/// What [`SnapshotSource::take`] returns: polled on the core that asked, so it need not be `Send`; what it yields is.
pub type SnapshotFuture<'a> = Pin<Box<dyn Future<Output = Result<Snapshot, SnapshotError>> + 'a>>;

/// Takes snapshots over all shards of this node.
pub trait SnapshotSource {
    /// Chooses the timestamp, waits until nothing at or below it can change and all of it is durable, and pins what holds it. `tables` are as planned; if one
    /// has changed by then the answer is an error and nothing is pinned.
    ///
    /// # Cancel safety
    /// Dropping the future unpins what was pinned by then.
    fn take(&self, tables: &[Arc<TableSchema>], at: ReadAt) -> SnapshotFuture<'_>;
}

const _: () = {
    const fn crosses_threads<T: Send + Sync>() {}
    crosses_threads::<Snapshot>();
};
