//! What a session's core sees of the whole node: transactions, snapshots, reads. Any core may ask for any key.

use std::sync::Arc;

use accord::{Event, Footprint, Response, Rows, SnapshotAt, Workload};
use storage::{StorageErrorKind, TableSnapshot};
use types::schema::TableSchema;
use types::token::SliceCount;
use types::{ShardId, SliceId, TableId, Timestamp};

use crate::error::ShardError;
use crate::inbox::{ShardMessage, WantedTable};
use crate::lease::LeaseId;
use crate::requests::Answer;
use crate::shard::{LOG_RETRY, Pending, Shard};

/// How often a transaction is submitted again for which the log had no room.
const LOG_RETRIES_MAX: u32 = 100;

/// A transaction that took effect, durably.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// When.
    pub execute_at: Timestamp,
    /// What its workload replied.
    pub reply: Vec<u8>,
}

/// One shard's frozen tables, in the order asked for.
pub(crate) type FrozenParts = Vec<(ShardId, Vec<TableSnapshot>)>;

/// The node, from one core. Clones are the same. Not `Send`.
#[derive(Clone)]
pub struct ShardClient {
    shard: Shard,
}

impl ShardClient {
    pub(crate) const fn new(shard: Shard) -> ShardClient {
        ShardClient { shard }
    }

    /// This core's shard.
    pub fn shard(&self) -> &Shard {
        &self.shard
    }

    /// Slices of the data directory.
    pub fn slices(&self) -> SliceCount {
        self.shard.inner.placement.slices()
    }

    /// Requests of this core that are under way.
    pub fn open_requests(&self) -> usize {
        self.shard.inner.requests.open_count()
    }

    /// Schema version of a table as the next transaction on this core finds it.
    pub fn schema_version(&self, table: TableId) -> Option<types::SchemaVersion> {
        self.shard.schema_version(table)
    }

    /// Runs a transaction and waits until it is durable.
    ///
    /// # Errors
    /// [`ShardError::Aborted`] if it took no effect; [`ShardError::Stopped`] if that is not known.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the transaction: it may still take effect.
    ///
    /// Others may have used up the room in the log that a transaction was admitted to; it took no effect then and is submitted again.
    pub async fn submit(
        &self,
        footprint: Arc<Footprint>,
        workload: Arc<dyn Workload>,
    ) -> Result<Committed, ShardError> {
        self.submit_holding(None, footprint, workload).await
    }

    /// As [`ShardClient::submit`]: a transaction that may hold rows by lease. It waits, for a bounded time, for rows that others hold.
    ///
    /// # Errors
    /// As [`ShardClient::submit`].
    ///
    /// # Cancel safety
    /// As [`ShardClient::submit`].
    pub async fn submit_holding(
        &self,
        lease: Option<LeaseId>,
        footprint: Arc<Footprint>,
        workload: Arc<dyn Workload>,
    ) -> Result<Committed, ShardError> {
        for _ in 0..LOG_RETRIES_MAX {
            let answer = self.submit_once(lease, footprint.clone(), workload.clone()).await;
            match answer {
                Err(ShardError::Failed(failure)) if failure.kind == StorageErrorKind::NoSpace => {
                    // Refused at once while the disk is full.
                    let admitted = self.shard.inner.tree.admit(0).await;
                    admitted.map_err(|error| ShardError::from(&error))?;
                    platform::sleep(&self.shard.inner.platform.spawner, LOG_RETRY).await;
                }
                answer => return answer,
            }
        }
        self.submit_once(lease, footprint, workload).await
    }

    async fn submit_once(
        &self,
        lease: Option<LeaseId>,
        footprint: Arc<Footprint>,
        workload: Arc<dyn Workload>,
    ) -> Result<Committed, ShardError> {
        let inner = &self.shard.inner;
        let home = inner.placement.home(&footprint, inner.shard);
        let home = home.ok_or(ShardError::NothingTouched)?;
        let mut pending = self.shard.open(1)?;
        let request = pending.request;
        if home == inner.shard {
            self.shard.submit_leased(lease, request, footprint, workload);
        } else {
            self.shard.send(home, ShardMessage::Submit { request, footprint, workload, lease });
        }
        match response(&mut pending).await? {
            Response::Committed { execute_at, reply } => Ok(Committed { execute_at, reply }),
            Response::Aborted(abort) => Err(ShardError::of_abort(abort)),
            other => panic!("a transaction is answered by its outcome, not {other:?}"),
        }
    }

    /// Takes a snapshot that sees everything acknowledged before, and keeps what it needs until [`ShardClient::end_snapshot`].
    ///
    /// # Errors
    /// [`ShardError::Overloaded`], [`ShardError::Stopped`].
    ///
    /// # Cancel safety
    /// Not safe: a snapshot that was taken by then stays open. It needs no waiting but at the end of a reservation of timestamps.
    pub async fn begin(&self) -> Result<Timestamp, ShardError> {
        let mut pending = self.shard.open(1)?;
        self.shard.handle(Event::Begin { request: pending.request });
        match response(&mut pending).await? {
            Response::Began(at) => Ok(at),
            other => panic!("BEGIN is answered by its snapshot, not {other:?}"),
        }
    }

    /// Reads at a snapshot, from every shard that the footprint touches.
    ///
    /// # Errors
    /// [`ShardError::SnapshotTooOld`] when the history it needs is gone; storage failures.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn read_at(
        &self,
        at: Timestamp,
        footprint: Arc<Footprint>,
    ) -> Result<Rows, ShardError> {
        let inner = &self.shard.inner;
        let owners = inner.placement.participants(&footprint);
        let mut pending = self.shard.open(owners.count() as usize)?;
        let request = pending.request;
        for owner in owners.iter() {
            let footprint = Arc::clone(&footprint);
            if owner == inner.shard {
                self.shard.handle(Event::ReadAt { request, at, footprint });
            } else {
                self.shard.send(owner, ShardMessage::ReadAt { request, at, footprint });
            }
        }
        let mut rows: Option<Rows> = None;
        for _ in 0..owners.count() {
            match response(&mut pending).await? {
                Response::Rows(part) => match &mut rows {
                    None => rows = Some(part),
                    Some(rows) => rows.absorb(&part),
                },
                Response::ReadRefused(abort) => return Err(ShardError::of_abort(abort)),
                other => panic!("a read is answered by rows, not {other:?}"),
            }
        }
        Ok(rows.unwrap_or_default())
    }

    /// Gives a snapshot of [`ShardClient::begin`] back. On the core where it began.
    pub fn end_snapshot(&self, at: Timestamp) {
        self.shard.handle(Event::EndSnapshot { at });
    }

    /// `count` hidden row ids in a slice of this core, never given before: the slice and the first number; the others follow it.
    ///
    /// # Errors
    /// As [`ShardClient::submit`].
    ///
    /// # Cancel safety
    /// Safe; numbers may be lost.
    pub async fn allocate_row_ids(&self, count: u64) -> Result<(SliceId, u64), ShardError> {
        self.shard.inner.row_ids.allocate(self, count).await
    }

    /// Freezes one table on every shard, for a bulk write: at a transaction's snapshot, or at a moment that sees everything acknowledged before.
    ///
    /// # Errors
    /// [`ShardError::SchemaChanged`] if the table is not at the version of `schema`; as [`ShardClient::read_at`].
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn freeze_table(
        &self,
        schema: &TableSchema,
        at: Option<Timestamp>,
    ) -> Result<(Timestamp, Vec<(ShardId, TableSnapshot)>), ShardError> {
        let wanted = WantedTable {
            table: schema.table_id,
            storage: schema.storage_id,
            version: schema.version,
        };
        let moment = at.map_or(SnapshotAt::Strict, SnapshotAt::Exactly);
        let (at, parts) = self.freeze([wanted].into(), moment).await?;
        let one = |(shard, mut tables): (ShardId, Vec<TableSnapshot>)| {
            (shard, tables.pop().expect("one was asked for"))
        };
        Ok((at, parts.into_iter().map(one).collect()))
    }

    /// Freezes tables on every shard at one timestamp.
    pub(crate) async fn freeze(
        &self,
        tables: Arc<[WantedTable]>,
        at: SnapshotAt,
    ) -> Result<(Timestamp, FrozenParts), ShardError> {
        let inner = &self.shard.inner;
        let shards = usize::from(inner.placement.shard_count());
        let mut pending = self.shard.open(shards + 1)?;
        let request = pending.request;
        for shard in (0..inner.placement.shard_count()).map(ShardId) {
            let tables = Arc::clone(&tables);
            if shard == inner.shard {
                self.shard.want_tables(request, tables);
            } else {
                self.shard.send(shard, ShardMessage::FreezeTables { request, tables });
            }
        }
        self.shard.handle(Event::TakeSnapshot { request, at });
        let mut opened = OpenSnapshot { client: self, at: None };
        let mut parts = FrozenParts::new();
        for _ in 0..=shards {
            match pending.next().await? {
                Answer::Response(Response::SnapshotAt(at)) => opened.at = Some(at),
                Answer::Part(shard, part) => parts.push((shard, part?)),
                other => panic!("a snapshot is not answered by {other:?}"),
            }
        }
        parts.sort_by_key(|(shard, _)| *shard);
        Ok((opened.at.expect("the timestamp is told with the announcement"), parts))
    }
}

/// Gives an analytic snapshot's timestamp back to the protocol; by then every shard has its own pin, or the query is gone.
struct OpenSnapshot<'a> {
    client: &'a ShardClient,
    at: Option<Timestamp>,
}

impl Drop for OpenSnapshot<'_> {
    fn drop(&mut self) {
        if let Some(at) = self.at {
            self.client.end_snapshot(at);
        }
    }
}

async fn response(pending: &mut Pending) -> Result<Response, ShardError> {
    match pending.next().await? {
        Answer::Response(response) => Ok(response),
        other => panic!("a request of the protocol is not answered by {other:?}"),
    }
}
