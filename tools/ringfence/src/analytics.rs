//! Where `session` meets `olap`: a bound query, a snapshot over all shards and the session's own writes go in; rows come back through a bounded channel.
//!
//! The snapshot is taken on the session's core (one round over the cores); everything after that happens on background threads, up to the bytes that the
//! client takes: the session's core only hands them to its socket.

mod answer;
mod form;

use std::collections::BTreeMap;
use std::sync::Arc;

use olap::{
    Analytics as Olap, AnalyticsError, QueryBudget, QueryRequest, StatementContext, VirtualTables,
    WorkerPoolOptions,
};
use oltp::Seeded;
use plan::catalog::VirtualTable;
use platform::{JobClass, Platform};
use session::SqlError;
use session::analytics::{
    Analytics, AnalyticsRequest, EncodedRows, OwnWrites, RowEncoding, query_of,
};
use shard::ShardClient;
use snapshot::{
    FrozenRows, Part, PinnedFile, ReadAt, Snapshot, SnapshotError, SnapshotPin, SnapshotSource,
    TableSnapshot,
};
use sstable::{RowContent, RowVersion, SortedRun};
use storage::sealed::SealedFiles;
use types::row::encode_row;
use types::token::SliceCount;
use types::{ByteCount, ShardId, SqlState, TableSchema, Timestamp, Value, ValueError};

use crate::node::state::NodeState;
use answer::Answer;
use form::{Form, OwnedValues, WireRows};

/// Queries that run at once; each has an equal share of analytics' memory.
const QUERIES_MAX: usize = 4;
/// Queries that may wait for those.
const QUEUED_MAX: usize = 64;
/// Bytes that one query may spill.
const SPILL_BYTES_MAX: u64 = 64 << 30;

/// Starts the analytics of a node.
///
/// # Errors
/// If the system refuses the threads.
pub fn start(state: &NodeState, platform: &Platform) -> Result<Olap, AnalyticsError> {
    let background = platform.background.clone();
    let pool = WorkerPoolOptions {
        threads: state.background_count.max(1),
        queries_max: QUERIES_MAX,
        queued_max: QUEUED_MAX,
        on_thread_start: Arc::new(move |_| background.adopt_current_thread(JobClass::Scan)),
    };
    let bytes = state.settings.analytics_bytes();
    let cache = bytes / 4;
    let budget = QueryBudget {
        memory: ByteCount((bytes - cache) / QUERIES_MAX as u64),
        spill_directory: Some(state.settings.data.join("spill")),
        spill: ByteCount(SPILL_BYTES_MAX),
    };
    Olap::start(pool, budget, ByteCount(cache))
}

/// Analytics from one core.
pub struct CoreAnalytics {
    client: ShardClient,
    olap: Arc<Olap>,
}

impl CoreAnalytics {
    /// From one core.
    pub fn new(client: ShardClient, olap: Arc<Olap>) -> CoreAnalytics {
        CoreAnalytics { client, olap }
    }

    /// Pins the tables of a query at one timestamp.
    async fn snapshot(
        &self,
        request: &AnalyticsRequest<SealedFiles>,
    ) -> Result<Snapshot, SqlError> {
        let committed: Vec<Arc<TableSchema>> =
            request.tables.iter().filter_map(|(_, committed)| committed.clone()).collect();
        let at = match request.at {
            None => ReadAt::Strict,
            Some(at) => ReadAt::Exactly(at),
        };
        let mut snapshot = if committed.is_empty() {
            Snapshot { timestamp: request.at.unwrap_or(Timestamp::ZERO), tables: Vec::new() }
        } else {
            self.client.take(&committed, at).await.map_err(|error| of_snapshot(&error))?
        };
        let slices = self.client.slices();
        for (planned, committed) in &request.tables {
            let own = request.own_writes.iter().find(|own| own.table == planned.storage_id);
            let own_writes = own.map(|own| own_run(own, planned, slices, snapshot.timestamp));
            let found = snapshot
                .tables
                .iter_mut()
                .find(|table| committed.is_some() && table.schema.storage_id == planned.storage_id);
            match found {
                Some(table) => {
                    table.schema = planned.clone();
                    table.own_writes = own_writes;
                }
                None => snapshot.tables.push(TableSnapshot {
                    schema: planned.clone(),
                    parts: Vec::new(),
                    own_writes,
                }),
            }
        }
        for (storage, files) in &request.loads {
            let mut tables = snapshot.tables.iter_mut();
            if let Some(table) = tables.find(|table| table.schema.storage_id == *storage) {
                self.add_load(table, files, snapshot.timestamp);
            }
        }
        Ok(snapshot)
    }

    /// Adds what the asking transaction has loaded in bulk, as a part of its own for each shard.
    fn add_load(&self, table: &mut TableSnapshot, files: &SealedFiles, at: Timestamp) {
        let mut parts: BTreeMap<ShardId, Vec<PinnedFile>> = BTreeMap::new();
        for (shard, piece) in files.pieces_at(at) {
            parts.entry(shard).or_default().push(self.client.pinned_file(&piece));
        }
        for (shard, mut pinned) in parts {
            match table.parts.iter_mut().find(|part| part.shard == shard) {
                Some(part) => part.files.append(&mut pinned),
                None => table.parts.push(Part {
                    shard,
                    slices: self.client.slices_of(shard),
                    files: pinned,
                    frozen: Vec::new(),
                    pin: Arc::new(Loaded(files.clone())),
                }),
            }
        }
    }
}

/// Keeps the files of a load from being deleted while they are read.
#[derive(Debug)]
struct Loaded(#[expect(dead_code, reason = "it is held, not read")] SealedFiles);

impl SnapshotPin for Loaded {}

fn of_snapshot(error: &SnapshotError) -> SqlError {
    match error {
        SnapshotError::TooOld { .. } => {
            SqlError::new(SqlState::SNAPSHOT_TOO_OLD, error.to_string())
        }
        SnapshotError::SchemaChanged { .. } | SnapshotError::UnknownTable { .. } => {
            let mut moved = SqlError::new(SqlState::SERIALIZATION_FAILURE, error.to_string());
            moved.schema_moved = true;
            moved
        }
        SnapshotError::ShardUnavailable { .. } => {
            SqlError::new(SqlState::CRASH_SHUTDOWN, error.to_string())
        }
    }
}

fn of_analytics(error: &AnalyticsError) -> SqlError {
    if let AnalyticsError::Value(error) = error {
        return error.clone().into();
    }
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    SqlError::new(error.sqlstate(), text)
}

/// The asking transaction's rows of one table.
#[derive(Debug)]
struct OwnRun(Arc<SortedRun>, usize);

impl FrozenRows for OwnRun {
    fn row_count(&self) -> usize {
        self.0.len()
    }

    fn byte_count(&self) -> usize {
        self.1
    }

    fn run(&self) -> Arc<SortedRun> {
        self.0.clone()
    }
}

fn own_run(
    own: &OwnWrites,
    schema: &TableSchema,
    slices: SliceCount,
    at: Timestamp,
) -> Arc<dyn FrozenRows> {
    let types = schema.stored_types();
    let mut rows: Vec<_> = own.rows.iter().collect();
    rows.sort_by(|(a, _), (b, _)| (a.slice, &a.key).cmp(&(b.slice, &b.key)));
    let mut run = SortedRun::new();
    let mut bytes = 0;
    for (address, values) in rows {
        let mut encoded = Vec::new();
        if let Some(values) = values {
            encode_row(&types, values, &mut encoded);
        }
        bytes += address.key.len() + encoded.len();
        let content = match values {
            Some(_) => RowContent::Row(&encoded),
            None => RowContent::Tombstone,
        };
        let slice = slices.slice_of(address.token);
        run.push(RowVersion { slice, key: &address.key, execute_at: at, content });
    }
    Arc::new(OwnRun(Arc::new(run), bytes))
}

/// Rows of computed tables, gathered by the session.
struct Gathered(Vec<(VirtualTable, Vec<Vec<Value>>)>);

impl VirtualTables for Gathered {
    fn rows(&self, table: VirtualTable) -> Result<Vec<Box<[Value]>>, ValueError> {
        let found = self.0.iter().find(|(known, _)| *known == table);
        let rows = found.map(|(_, rows)| rows.as_slice()).unwrap_or_default();
        Ok(rows.iter().map(|row| row.clone().into_boxed_slice()).collect())
    }
}

impl CoreAnalytics {
    /// Takes the snapshot and starts the query; its rows take a form on the query's own threads.
    async fn start<F: Form>(
        &self,
        request: AnalyticsRequest<SealedFiles>,
        form: F,
    ) -> Result<Answer<F::Rows>, SqlError> {
        let clock = std::time::Instant::now();
        let snapshot = self.snapshot(&request).await?;
        let snapshot_wait = clock.elapsed();
        let Some((query, subqueries)) = query_of(&request.statement, request.part) else {
            return Err(SqlError::new(SqlState::INTERNAL_ERROR, "the statement has no such query"));
        };
        let surroundings = request.surroundings;
        let context = StatementContext {
            settings: surroundings.settings,
            statement_micros: surroundings.statement_micros,
            session_user: surroundings.user.clone(),
            current_user: surroundings.user.clone(),
            database: surroundings.database.clone(),
            catalog: surroundings.catalog.clone(),
            volatile: Arc::new(Seeded::new(&surroundings)),
            parameters: request.parameters.into(),
            stop: olap::StopFlag::default(),
        };
        let asked = QueryRequest {
            query: Arc::new(query.clone()),
            subqueries: Arc::new(subqueries.clone()),
            context,
            snapshot,
            virtual_tables: Arc::new(Gathered(request.virtual_rows)),
        };
        let (sink, receiver) = answer::channel(form);
        let query = self.olap.run(asked, sink).map_err(|error| of_analytics(&error))?;
        Ok(Answer::new(receiver, query, snapshot_wait))
    }
}

impl Analytics for CoreAnalytics {
    type Values = Answer<Vec<Vec<Value>>>;
    type Encoded = Answer<EncodedRows>;
    type Files = SealedFiles;

    async fn run(&self, request: AnalyticsRequest<SealedFiles>) -> Result<Self::Values, SqlError> {
        self.start(request, OwnedValues).await
    }

    async fn run_encoded(
        &self,
        request: AnalyticsRequest<SealedFiles>,
        encoding: RowEncoding,
    ) -> Result<Self::Encoded, SqlError> {
        self.start(request, WireRows::new(encoding)).await
    }
}
