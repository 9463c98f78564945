//! Loads in bulk: rows on their way into sealed table files, built on background cores, invisible until their transaction commits.
//!
//! ```text
//! session ── bytes, rows ──▶ CoreBulk ── one job at a time ──▶ Builder: parse, check, encode, gather ── full ──▶ sealed files
//!                               ▲  └── the next piece gathers meanwhile, then waits: that is the back-pressure
//!                               └── blocks of hidden row ids
//! ```
//!
//! A job works on what it was given and ends; nothing on a background thread ever waits for a client. What a load holds is bounded: two pieces of input and one
//! batch of rows, whose size is a share of `--memory`. Dropping a load cancels its job and lets its files go.
//!
//! Duplicate keys: within a batch they are met when it is sorted, across batches by merging the files, and against rows that are
//! there by looking the keys up; what
//! others write between that and COMMIT is looked at again in rounds, each of which has less to look at.

mod builder;
mod scan;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use accord::{Abort, Access, Footprint, Workload};
use oltp::{Committed, OltpError, Unchanged};
use platform::{Background, JobClass, JobError, JobHandle, run_job};
use session::SqlError;
use session::node::{BulkLoad, BulkRequest, Loaded};
use session::rebuild::RowChange;
use shard::{Hold, ShardClient, ShardError};
use storage::sealed::SealedFiles;
use storage::{StorageError, StorageErrorKind};
use types::schema::Partitioning;
use types::{MIB, SqlState, TableSchema, Timestamp, Value};

use crate::node::core::CoreNode;
use builder::{Builder, Input, Need};
pub use scan::CoreScan;

/// Loads of a node that may be built at one time.
const LOADS_MAX: usize = 8;
/// Bytes of COPY input that a job is given.
const PIECE_BYTES: usize = MIB as usize;
/// Hidden row ids that a job is given.
const IDS_AT_ONCE: u64 = 65_536;
/// Bytes of the largest batch of rows.
const BATCH_BYTES_MAX: u64 = 64 * MIB;
/// Rounds in which keys written since the last one are looked at before COMMIT gives up.
const ROUNDS_MAX: usize = 8;
/// From this round on writers of the table are held back while it lasts.
const ROUND_HELD: usize = 2;
/// How long writers are held back at most.
const HOLD_MAX: Duration = Duration::from_secs(10);

/// Counts a load while it lives.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Option<Counted> {
        let counted = Counted(count.clone());
        (count.fetch_add(1, Ordering::Relaxed) < LOADS_MAX).then_some(counted)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

type Step = (Box<Builder>, Result<Need, SqlError>);

/// A load.
pub struct CoreBulk {
    client: ShardClient,
    background: Arc<dyn Background>,
    request: BulkRequest,
    /// Nothing while a job has it.
    builder: Option<Box<Builder>>,
    running: Option<JobHandle<Step>>,
    gathered: Vec<u8>,
    finished: Option<Finished>,
    /// While it is being built.
    counted: Option<Counted>,
}

/// What a finished load has.
struct Finished {
    files: SealedFiles,
    /// Rows that were there are known not to have its keys up to this moment.
    checked: Option<Timestamp>,
}

impl std::fmt::Debug for CoreBulk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CoreBulk").field("table", &self.request.table.name).finish_non_exhaustive()
    }
}

/// A failed job as a client is told.
fn of_job(error: &JobError) -> SqlError {
    match error {
        JobError::Panicked { .. } => SqlError::new(SqlState::INTERNAL_ERROR, error.to_string()),
        JobError::Refused => SqlError::new(
            SqlState::INSUFFICIENT_RESOURCES,
            "too many jobs wait for the background cores",
        ),
        JobError::Closed => SqlError::new(SqlState::ADMIN_SHUTDOWN, "the node is stopping"),
    }
}

/// A storage failure as a client is told.
fn of_storage(error: &StorageError) -> SqlError {
    let sqlstate = match error.kind() {
        StorageErrorKind::NoSpace => SqlState::DISK_FULL,
        StorageErrorKind::Damage => SqlState::DATA_CORRUPTED,
        StorageErrorKind::TooLarge => SqlState::PROGRAM_LIMIT_EXCEEDED,
        StorageErrorKind::SnapshotTooOld => SqlState::SNAPSHOT_TOO_OLD,
        StorageErrorKind::Unavailable => SqlState::QUERY_CANCELED,
        _ => SqlState::IO_ERROR,
    };
    SqlError::new(sqlstate, crate::node::boot::describe(error))
}

fn of_read(error: ShardError) -> SqlError {
    OltpError::of_read(error).into()
}

impl CoreBulk {
    /// Starts a load.
    ///
    /// # Errors
    /// 53000 when too many loads run.
    pub fn start(node: &CoreNode, request: BulkRequest) -> Result<CoreBulk, SqlError> {
        let state = node.state();
        let Some(counted) = Counted::new(&state.bulk_loads) else {
            let message = format!("more than {LOADS_MAX} bulk loads at one time");
            return Err(SqlError::new(SqlState::INSUFFICIENT_RESOURCES, message));
        };
        // A batch, its order and the file that is made of it take about twice its bytes.
        let share = state.settings.memory.0 / (16 * LOADS_MAX as u64);
        let batch_bytes = (share * 2).clamp(2 * MIB, BATCH_BYTES_MAX) as usize;
        let slices = node.client().slices();
        let directory = node.directory().clone();
        let builder = Box::new(Builder::new(&request, slices, directory, batch_bytes)?);
        Ok(CoreBulk {
            client: node.client().clone(),
            background: node.platform().background.clone(),
            request,
            builder: Some(builder),
            running: None,
            gathered: Vec::new(),
            finished: None,
            counted: Some(counted),
        })
    }

    fn run(&mut self, input: Input) -> Result<(), SqlError> {
        let Some(mut builder) = self.builder.take() else {
            return Err(SqlError::new(SqlState::INTERNAL_ERROR, "the load has failed before"));
        };
        let background = self.background.clone();
        self.running = Some(run_job(&*background, JobClass::Flush, move |io, cancel| {
            let outcome = builder.step(io, cancel, input);
            (builder, outcome)
        }));
        Ok(())
    }

    /// Waits until the job that is under way has done all it can.
    async fn settle(&mut self) -> Result<(), SqlError> {
        while let Some(running) = self.running.take() {
            let (builder, outcome) = running.await.map_err(|error| of_job(&error))?;
            let need = outcome?;
            self.builder = Some(builder);
            match need {
                Need::Input => {}
                Need::More => self.run(Input::Nothing)?,
                Need::RowIds => {
                    self.give_row_ids().await?;
                    self.run(Input::Nothing)?;
                }
            }
        }
        Ok(())
    }

    async fn give_row_ids(&mut self) -> Result<(), SqlError> {
        if let Some(builder) = &mut self.builder {
            let allocated = self.client.allocate_row_ids(IDS_AT_ONCE).await;
            let (slice, first) = allocated.map_err(of_read)?;
            builder.add_row_ids(slice, first, IDS_AT_ONCE);
        }
        Ok(())
    }

    /// Hands over the next piece of input when the last one is done with.
    async fn hand_over(&mut self, input: Input) -> Result<(), SqlError> {
        self.settle().await?;
        if self.builder.as_ref().is_some_and(|builder| builder.wants_row_ids(IDS_AT_ONCE / 2)) {
            self.give_row_ids().await?;
        }
        self.run(input)
    }

    /// Whether rows that are there, written above `since`, have keys of the load; gives the moment at which none had.
    async fn check_existing(
        client: &ShardClient,
        background: &Arc<dyn Background>,
        (request, existing): (&BulkRequest, &TableSchema),
        files: &SealedFiles,
        since: Timestamp,
    ) -> Result<Timestamp, SqlError> {
        let (at, parts) = client.freeze_table(existing, None).await.map_err(of_read)?;
        let files = files.clone();
        let job = run_job(&**background, JobClass::Compaction, move |io, cancel| {
            storage::existing_key(io, cancel, &files, &parts, (since, at))
        });
        let found = job.await.map_err(|error| of_job(&error))?;
        match found.map_err(|error| of_storage(&error))? {
            None => Ok(at),
            Some(duplicate) => Err(builder::duplicate(request, client.slices(), &duplicate)),
        }
    }
}

impl BulkLoad for CoreBulk {
    type Scan = CoreScan;
    type Files = SealedFiles;

    async fn bytes(&mut self, bytes: Vec<u8>) -> Result<(), SqlError> {
        if self.gathered.is_empty() {
            self.gathered = bytes;
        } else {
            self.gathered.extend_from_slice(&bytes);
        }
        if self.gathered.len() < PIECE_BYTES {
            return Ok(());
        }
        let piece = std::mem::take(&mut self.gathered);
        self.hand_over(Input::Bytes(piece)).await
    }

    async fn rows(&mut self, rows: Vec<Vec<Value>>) -> Result<(), SqlError> {
        self.hand_over(Input::Rows(rows)).await
    }

    async fn rest(&mut self, scan: CoreScan, change: Arc<RowChange>) -> Result<(), SqlError> {
        if let Some(rows) = scan.into_rows() {
            self.hand_over(Input::Scan(rows, change)).await?;
        }
        self.settle().await
    }

    async fn finish(&mut self) -> Result<u64, SqlError> {
        let piece = std::mem::take(&mut self.gathered);
        self.hand_over(Input::Bytes(piece)).await?;
        self.hand_over(Input::End).await?;
        self.settle().await?;
        let Some(builder) = self.builder.take() else {
            return Err(SqlError::new(SqlState::INTERNAL_ERROR, "the load has failed before"));
        };
        let (mut files, count) = builder.into_files();
        let mut checked = None;
        match &self.request.existing {
            None => files.settle_below(),
            Some(existing) if existing.primary_key.is_some() && !files.is_empty() => {
                let of = (&self.request, &**existing);
                let since = Timestamp::ZERO;
                let at =
                    CoreBulk::check_existing(&self.client, &self.background, of, &files, since);
                checked = Some(at.await?);
            }
            Some(_) => {}
        }
        self.finished = Some(Finished { files, checked });
        self.counted = None;
        Ok(count)
    }

    async fn commit(
        loads: Vec<CoreBulk>,
        footprint: Footprint,
        workload: Arc<dyn Workload>,
    ) -> Result<Committed, SqlError> {
        let mut commit = BulkCommit::new(loads, footprint, workload)?;
        commit.check_together().await?;
        let mut held = None;
        for round in 0..ROUNDS_MAX {
            if round == ROUND_HELD {
                held = Some(commit.hold_writers());
            }
            match commit.attempt().await {
                Err(ShardError::Aborted(Abort::RangeChanged(range)))
                    if commit.is_own_range(range) =>
                {
                    commit.look_again().await?;
                }
                Ok(committed) => {
                    let shard::Committed { execute_at, reply } = committed;
                    return Ok(Committed { execute_at, reply });
                }
                Err(error) => return Err(OltpError::of_commit(error).into()),
            }
        }
        drop(held);
        Err(SqlError::new(
            SqlState::SERIALIZATION_FAILURE,
            "could not serialize a bulk load: others kept writing into its table",
        ))
    }

    fn files(&self) -> Option<SealedFiles> {
        let finished = self.finished.as_ref()?;
        let table = self.request.table.storage_id;
        (self.request.loaded == Loaded::Rows).then(|| finished.files.of_table(table))
    }

    fn table(&self) -> &Arc<TableSchema> {
        &self.request.table
    }
}

/// A load whose keys must be looked at again if its table changes before COMMIT.
struct Watched {
    request: BulkRequest,
    existing: Arc<TableSchema>,
    files: SealedFiles,
    /// Index among the footprint's ranges.
    range: usize,
    checked: Timestamp,
}

/// One transaction's loads on their way to COMMIT.
struct BulkCommit {
    client: ShardClient,
    background: Arc<dyn Background>,
    footprint: Arc<Footprint>,
    workload: Arc<dyn Workload>,
    /// Requests and files of loads into the same table: their keys must differ.
    together: Vec<(BulkRequest, SealedFiles, usize)>,
    files: SealedFiles,
    watched: Vec<Watched>,
    first_range: usize,
}

impl BulkCommit {
    fn new(
        loads: Vec<CoreBulk>,
        mut footprint: Footprint,
        workload: Arc<dyn Workload>,
    ) -> Result<BulkCommit, SqlError> {
        let Some(first) = loads.first() else {
            return Err(SqlError::new(SqlState::INTERNAL_ERROR, "no load is to be committed"));
        };
        let (client, background) = (first.client.clone(), first.background.clone());
        let first_range = footprint.ranges().len();
        let mut files = SealedFiles::default();
        let mut together: Vec<(BulkRequest, SealedFiles, usize)> = Vec::new();
        let mut watched = Vec::new();
        for load in loads {
            let Some(finished) = load.finished else {
                return Err(SqlError::new(SqlState::INTERNAL_ERROR, "a load has not ended"));
            };
            let schema = &load.request.table;
            footprint.whole_table(schema.storage_id, Access::Write);
            for index in &schema.indexes {
                footprint.whole_table(index.index_id, Access::Write);
            }
            if let (Some(existing), Some(checked)) = (&load.request.existing, finished.checked) {
                let range = footprint.whole_table(schema.storage_id, Access::Read);
                watched.push(Watched {
                    request: load.request.clone(),
                    existing: existing.clone(),
                    files: finished.files.clone(),
                    range,
                    checked,
                });
            }
            files.join(finished.files.clone());
            let storage = schema.storage_id;
            match together.iter_mut().find(|(known, ..)| known.table.storage_id == storage) {
                Some((_, joined, count)) => {
                    joined.join(finished.files);
                    *count += 1;
                }
                None => together.push((load.request.clone(), finished.files, 1)),
            }
        }
        Ok(BulkCommit {
            client,
            background,
            footprint: Arc::new(footprint),
            workload,
            together,
            files,
            watched,
            first_range,
        })
    }

    /// Keys of several loads into one table.
    async fn check_together(&mut self) -> Result<(), SqlError> {
        for (request, files, count) in std::mem::take(&mut self.together) {
            if count < 2 || request.table.partitioning == Partitioning::RowId {
                continue;
            }
            let files = files.of_table(request.table.storage_id);
            let job = run_job(&*self.background, JobClass::Compaction, move |io, cancel| {
                files.check_distinct(io, cancel)
            });
            let outcome = job.await.map_err(|error| of_job(&error))?;
            outcome.map_err(|error| builder::of_seal(&request, self.client.slices(), &error))?;
        }
        Ok(())
    }

    fn hold_writers(&self) -> Hold {
        let tables = self.watched.iter().map(|watched| watched.existing.storage_id).collect();
        self.client.hold_writers(tables, HOLD_MAX)
    }

    fn is_own_range(&self, range: usize) -> bool {
        range >= self.first_range
    }

    async fn attempt(&self) -> Result<shard::Committed, ShardError> {
        let ranges = self.watched.iter().map(|watched| (watched.range, watched.checked)).collect();
        let workload = Arc::new(Unchanged { workload: self.workload.clone(), ranges });
        self.client.commit_bulk(self.files.clone(), self.footprint.clone(), workload).await
    }

    /// Looks at what others have written since the last look.
    async fn look_again(&mut self) -> Result<(), SqlError> {
        for watched in &mut self.watched {
            let of = (&watched.request, &*watched.existing);
            let (files, since) = (&watched.files, watched.checked);
            let at =
                CoreBulk::check_existing(&self.client, &self.background, of, files, since).await;
            watched.checked = at?;
        }
        Ok(())
    }
}
