//! What short transactions ask of the engine. Every call may be made on any core; the engine finds the shards.
#![expect(async_fn_in_trait, reason = "one core: no future here is Send")]

use std::sync::Arc;
use std::time::Duration;

use accord::{Abort, Footprint, Rows, Workload};
use shard::ShardError;
pub use shard::{LeaseOutcome, LeaseWait};
use storage::StorageErrorKind;
use types::schema::RowAddress;
use types::token::SliceCount;
use types::{SliceId, SqlState, TableId, Timestamp};

use crate::OltpError;

/// A transaction that took effect.
#[derive(Clone, Debug)]
pub struct Committed {
    /// When.
    pub execute_at: Timestamp,
    /// What its workload replied.
    pub reply: Vec<u8>,
}

/// The engine, from one core.
pub trait Engine {
    /// Writers are held back while it lives, and its time has not run out.
    type Hold;

    /// Rows that a transaction has taken until it ends; dropping it gives them back.
    type Lease;

    /// How many slices the data directory has.
    fn slices(&self) -> SliceCount;

    /// Runs a transaction and waits until it is durable.
    ///
    /// # Errors
    /// [`OltpError::Aborted`] with the reason if it took no effect; unavailability otherwise.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the transaction: it may still take effect.
    async fn submit(
        &self,
        footprint: Arc<Footprint>,
        workload: Arc<dyn Workload>,
    ) -> Result<Committed, OltpError>;

    /// As [`Engine::submit`], for a transaction that may have a lease.
    ///
    /// # Errors
    /// As [`Engine::submit`].
    ///
    /// # Cancel safety
    /// As [`Engine::submit`].
    async fn submit_holding(
        &self,
        lease: Option<&Self::Lease>,
        footprint: Arc<Footprint>,
        workload: Arc<dyn Workload>,
    ) -> Result<Committed, OltpError>;

    /// A lease without rows.
    fn open_lease(&self) -> Self::Lease;

    /// Takes a row; waits while another has it, as long as asked for. Correctness never rests on it.
    ///
    /// # Errors
    /// Unavailability.
    ///
    /// # Cancel safety
    /// Safe.
    async fn take_row(
        &self,
        lease: &mut Self::Lease,
        table: TableId,
        row: &RowAddress,
        wait: LeaseWait,
    ) -> Result<LeaseOutcome, OltpError>;

    /// Takes a snapshot that sees everything acknowledged before, and pins the history it needs until [`Engine::end_snapshot`].
    ///
    /// # Errors
    /// Unavailability.
    async fn begin(&self) -> Result<Timestamp, OltpError>;

    /// Reads at a snapshot.
    ///
    /// # Errors
    /// 72000 when the snapshot is older than the history kept; unavailability otherwise.
    async fn read_at(&self, at: Timestamp, footprint: Arc<Footprint>) -> Result<Rows, OltpError>;

    /// Gives a snapshot of [`Engine::begin`] back. Never fails: a shard that cannot be told lets the lease run out.
    fn end_snapshot(&self, at: Timestamp);

    /// Holds back new transactions that write rows of some storage tables, so that one that must find them unchanged comes to its end. Those that name such a
    /// table whole are not held back. Correctness never rests on it.
    fn hold_writers(&self, tables: &[TableId], at_most: Duration) -> Self::Hold;

    /// `count` hidden row ids in a slice of this core, never given before; the first of them, the others follow.
    ///
    /// # Errors
    /// Unavailability.
    async fn allocate_row_ids(&self, count: u64) -> Result<(SliceId, u64), OltpError>;
}

impl Engine for shard::ShardClient {
    type Hold = shard::Hold;
    type Lease = shard::Lease;

    fn slices(&self) -> SliceCount {
        shard::ShardClient::slices(self)
    }

    async fn submit(
        &self,
        footprint: Arc<Footprint>,
        workload: Arc<dyn Workload>,
    ) -> Result<Committed, OltpError> {
        Engine::submit_holding(self, None, footprint, workload).await
    }

    async fn submit_holding(
        &self,
        lease: Option<&shard::Lease>,
        footprint: Arc<Footprint>,
        workload: Arc<dyn Workload>,
    ) -> Result<Committed, OltpError> {
        let lease = lease.map(shard::Lease::id);
        let committed = shard::ShardClient::submit_holding(self, lease, footprint, workload).await;
        let committed = committed.map_err(|error| of_shard(error, Unknown::Outcome))?;
        Ok(Committed { execute_at: committed.execute_at, reply: committed.reply })
    }

    fn open_lease(&self) -> shard::Lease {
        shard::ShardClient::open_lease(self)
    }

    async fn take_row(
        &self,
        lease: &mut shard::Lease,
        table: TableId,
        row: &RowAddress,
        wait: LeaseWait,
    ) -> Result<LeaseOutcome, OltpError> {
        let taken = lease.take((table, row.token, &row.key), wait).await;
        taken.map_err(|error| of_shard(error, Unknown::Nothing))
    }

    async fn begin(&self) -> Result<Timestamp, OltpError> {
        shard::ShardClient::begin(self).await.map_err(|error| of_shard(error, Unknown::Nothing))
    }

    async fn read_at(&self, at: Timestamp, footprint: Arc<Footprint>) -> Result<Rows, OltpError> {
        let rows = shard::ShardClient::read_at(self, at, footprint).await;
        rows.map_err(|error| of_shard(error, Unknown::Nothing))
    }

    fn end_snapshot(&self, at: Timestamp) {
        shard::ShardClient::end_snapshot(self, at);
    }

    fn hold_writers(&self, tables: &[TableId], at_most: Duration) -> shard::Hold {
        shard::ShardClient::hold_writers(self, tables.into(), at_most)
    }

    async fn allocate_row_ids(&self, count: u64) -> Result<(SliceId, u64), OltpError> {
        let allocated = shard::ShardClient::allocate_row_ids(self, count).await;
        allocated.map_err(|error| of_shard(error, Unknown::Nothing))
    }
}

impl OltpError {
    /// Of a transaction that was submitted beside [`Engine::submit`].
    pub fn of_commit(error: ShardError) -> OltpError {
        of_shard(error, Unknown::Outcome)
    }

    /// Of a read beside [`Engine::read_at`].
    pub fn of_read(error: ShardError) -> OltpError {
        of_shard(error, Unknown::Nothing)
    }
}

/// What is not known when a shard stops under a request.
enum Unknown {
    /// Whether the transaction took effect.
    Outcome,
    /// Nothing: it only read.
    Nothing,
}

fn of_shard(error: ShardError, unknown: Unknown) -> OltpError {
    let message = error.to_string();
    let sqlstate = match error {
        ShardError::Aborted(abort) => return OltpError::of_abort(abort),
        ShardError::SnapshotTooOld | ShardError::InTheFuture { .. } => {
            return OltpError::Aborted(Abort::SnapshotTooOld);
        }
        ShardError::SchemaChanged { table } => {
            return OltpError::Aborted(Abort::SchemaChanged { table, found: None });
        }
        ShardError::Overloaded { .. } => SqlState::INSUFFICIENT_RESOURCES,
        ShardError::NothingTouched => SqlState::INTERNAL_ERROR,
        ShardError::Stopped(_) => match unknown {
            Unknown::Outcome => SqlState::STATEMENT_COMPLETION_UNKNOWN,
            Unknown::Nothing => SqlState::CRASH_SHUTDOWN,
        },
        ShardError::Failed(failure) => match failure.kind {
            StorageErrorKind::NoSpace => SqlState::DISK_FULL,
            StorageErrorKind::Damage => SqlState::DATA_CORRUPTED,
            StorageErrorKind::TooLarge => SqlState::PROGRAM_LIMIT_EXCEEDED,
            StorageErrorKind::SnapshotTooOld => SqlState::SNAPSHOT_TOO_OLD,
            StorageErrorKind::Unavailable => SqlState::CANNOT_CONNECT_NOW,
            _ => SqlState::IO_ERROR,
        },
    };
    OltpError::Unavailable { sqlstate, message }
}
