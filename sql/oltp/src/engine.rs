//! What short transactions ask of the engine. Every call may be made on any core; the engine finds the shards.
#![expect(async_fn_in_trait, reason = "one core: no future here is Send")]

use std::sync::Arc;

use accord::{Footprint, Rows, Workload};
use types::token::SliceCount;
use types::{SliceId, Timestamp};

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

    /// `count` hidden row ids in a slice of this core, never given before; the first of them, the others follow.
    ///
    /// # Errors
    /// Unavailability.
    async fn allocate_row_ids(&self, count: u64) -> Result<(SliceId, u64), OltpError>;
}
