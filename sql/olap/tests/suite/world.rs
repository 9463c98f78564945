//! A small world without a server: tables with files and frozen rows made by hand, statements bound by `plan`, answers as text.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc;
use std::task::{Context, Poll};

use functions::{EvalContext, EvalError, NoCatalog, VolatileSource};
use olap::{
    Analytics, AnalyticsError, QueryBudget, QueryRequest, QueryStatistics, ResultBatch, ResultSink,
    RunningQuery, SinkError, StatementContext, VirtualTables, WorkerPoolOptions,
};
use plan::catalog::{Catalog, CatalogChange, SearchPath, VirtualTable, catalog_rows};
use plan::statement::{BoundStatement, Statement};
use plan::{BindInput, bind, parse};
use snapshot::{
    BlockError, BlockSource, FrozenRows, Part, PinnedFile, SliceRange, Snapshot, SnapshotPin,
    TableSnapshot,
};
use sstable::{
    ByteRange, ColumnSpec, RowContent, RowVersion, SortedRun, TableBuilder, TableOptions,
    TableShape, Versioning,
};
use types::key::KeyOrder;
use types::modifier::{Overflow, apply_modifier};
use types::schema::{KeyColumn, Partitioning};
use types::text_format::{append_text, parse_text};
use types::token::SliceCount;
use types::{
    ByteCount, ColumnId, ColumnSchema, ColumnType, MIB, SchemaVersion, ShardId, SliceId, SqlType,
    SstableId, TableId, TableSchema, TextSettings, Timestamp, Value, ValueError,
};

/// How NULL is written in rows and answers.
pub const NULL: &str = "NULL";

const SLICES: SliceCount = SliceCount::DEFAULT;

/// One row version.
#[derive(Clone)]
struct Version {
    slice: SliceId,
    key: Vec<u8>,
    execute_at: Timestamp,
    row: Option<Vec<u8>>,
}

struct Table {
    schema: Arc<TableSchema>,
    pending: Vec<Version>,
    files: Vec<PinnedFile>,
    frozen: Vec<Arc<dyn FrozenRows>>,
    own: Vec<Version>,
    /// Made by the asking transaction: no shard knows it.
    only_own: bool,
}

/// Tables, their rows, and analytics over them.
pub struct World {
    tables: BTreeMap<String, Table>,
    clock: u64,
    next_id: u32,
    pub options: TableOptions,
    analytics: Analytics,
}

#[derive(Debug)]
struct MemoryFile {
    bytes: Arc<[u8]>,
}

impl BlockSource for MemoryFile {
    fn read(&self, ranges: &[ByteRange]) -> Result<Vec<Arc<[u8]>>, BlockError> {
        let cut =
            |range: &ByteRange| Arc::from(&self.bytes[range.offset as usize..range.end() as usize]);
        Ok(ranges.iter().map(cut).collect())
    }
}

#[derive(Debug)]
struct Frozen {
    run: Arc<SortedRun>,
}

impl FrozenRows for Frozen {
    fn row_count(&self) -> usize {
        self.run.len()
    }

    fn byte_count(&self) -> usize {
        self.run.byte_count()
    }

    fn run(&self) -> Arc<SortedRun> {
        self.run.clone()
    }
}

#[derive(Debug)]
struct NoPin;

impl SnapshotPin for NoPin {}

/// Answers with the same numbers each time, so that answers can be written down.
struct Fixed;

impl VolatileSource for Fixed {
    fn wall_micros(&self) -> Result<i64, EvalError> {
        Ok(0)
    }

    fn random_bits(&self) -> Result<u64, EvalError> {
        Ok(1 << 63)
    }
}

struct CatalogTables {
    catalog: Catalog,
}

impl VirtualTables for CatalogTables {
    fn rows(&self, table: VirtualTable) -> Result<Vec<Box<[Value]>>, ValueError> {
        Ok(catalog_rows(table, &self.catalog).into_iter().map(Into::into).collect())
    }
}

/// Collects an answer.
struct Collect {
    rows: Vec<Vec<Value>>,
    types: Vec<SqlType>,
    done: mpsc::Sender<Outcome>,
}

/// Rows and how they were found, or why not.
pub type Outcome = Result<(Vec<Vec<Value>>, Vec<SqlType>, QueryStatistics), AnalyticsError>;

impl ResultSink for Collect {
    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), SinkError>> {
        Poll::Ready(Ok(()))
    }

    fn send(&mut self, batch: ResultBatch) -> Result<(), SinkError> {
        self.types = batch.columns().iter().map(|column| column.column_type.sql_type).collect();
        let reader = batch.reader();
        for row in 0..batch.row_count() {
            let values = (0..self.types.len()).map(|column| reader.value(row, column));
            let values = values.collect::<Result<Vec<Value>, _>>();
            self.rows.push(values.map_err(|error| SinkError::Failed(error.into()))?);
        }
        Ok(())
    }

    fn finish(self: Box<Self>, outcome: Result<QueryStatistics, AnalyticsError>) {
        let own = *self;
        let outcome = outcome.map(|statistics| (own.rows, own.types, statistics));
        own.done.send(outcome).expect("the test waits for the answer");
    }
}

/// Threads and bytes of a test's analytics.
pub fn budget(memory: u64) -> QueryBudget {
    QueryBudget {
        memory: ByteCount(memory),
        spill_directory: Some(std::env::temp_dir()),
        spill: ByteCount(4 << 30),
    }
}

impl World {
    pub fn new() -> World {
        World::with(budget(256 * MIB), 2)
    }

    pub fn with(budget: QueryBudget, threads: usize) -> World {
        let pool = WorkerPoolOptions {
            threads,
            queries_max: 2,
            queued_max: 4,
            on_thread_start: Arc::new(|_| {}),
        };
        let analytics = Analytics::start(pool, budget, ByteCount(64 * MIB)).expect("threads start");
        let options = TableOptions { page_rows: 8, group_rows: 64, ..TableOptions::default() };
        World { tables: BTreeMap::new(), clock: 1_000, next_id: 20_000, options, analytics }
    }

    /// `columns` as `name type`, key columns first and `key` of them.
    pub fn table(&mut self, name: &str, columns: &[(&str, SqlType)], key: usize) {
        self.next_id += 1;
        let columns: Vec<ColumnSchema> = columns
            .iter()
            .enumerate()
            .map(|(at, (name, sql_type))| ColumnSchema {
                id: ColumnId(at as u16),
                name: (*name).into(),
                column_type: ColumnType::plain(*sql_type),
                not_null: at < key,
                default: None,
                missing: Value::Null,
                dropped: false,
                hidden: false,
                sequence: None,
            })
            .collect();
        let schema = TableSchema {
            table_id: TableId(self.next_id),
            storage_id: TableId(self.next_id),
            version: SchemaVersion(1),
            namespace: "public".into(),
            name: name.into(),
            columns,
            key: (0..key as u16)
                .map(|position| KeyColumn { position, order: KeyOrder::PRIMARY })
                .collect(),
            primary_key: Some(format!("{name}_pkey").into()),
            partitioning: Partitioning::Hash { columns: 1 },
            indexes: Vec::new(),
            checks: Vec::new(),
        };
        self.put(Arc::new(schema));
    }

    /// Makes the table of a CREATE TABLE.
    pub fn create(&mut self, sql: &str) {
        let catalog = self.catalog();
        let bound = bound(sql, &catalog).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let Statement::Ddl(ddl) = &bound.statement else { panic!("not a CREATE TABLE: {sql}") };
        let outcome = plan::ddl::changes(ddl, &catalog, &mut self.next_id)
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        for change in outcome.changes {
            if let CatalogChange::PutTable(schema) = change {
                self.put(schema);
            }
        }
    }

    fn put(&mut self, schema: Arc<TableSchema>) {
        let name = schema.name.to_string();
        let table = Table {
            schema,
            pending: Vec::new(),
            files: Vec::new(),
            frozen: Vec::new(),
            own: Vec::new(),
            only_own: false,
        };
        self.tables.insert(name, table);
    }

    /// Names of all tables.
    pub fn table_names(&self) -> Vec<String> {
        self.tables.keys().cloned().collect()
    }

    /// Adds a column to a table that has rows; they then hold `missing`.
    pub fn add_column(&mut self, name: &str, column: &str, sql_type: SqlType, missing: Value) {
        let table = self.tables.get_mut(name).expect("a table of this world");
        let mut schema = (*table.schema).clone();
        schema.columns.push(ColumnSchema {
            id: ColumnId(schema.columns.len() as u16),
            name: column.into(),
            column_type: ColumnType::plain(sql_type),
            not_null: false,
            default: None,
            missing,
            dropped: false,
            hidden: false,
            sequence: None,
        });
        table.schema = Arc::new(schema);
    }

    /// Now; rows written later are newer.
    pub fn now(&self) -> Timestamp {
        Timestamp::new(1, self.clock, 1)
    }

    fn version(&mut self, name: &str, row: &str, content: bool) -> Version {
        self.clock += 1;
        let execute_at = self.now();
        let table = &self.tables[name];
        let values: Vec<Value> = row
            .split('|')
            .zip(&table.schema.columns)
            .map(|(text, column)| match text {
                NULL => Value::Null,
                text => parse_text(text, column.column_type.sql_type, &TextSettings::DEFAULT)
                    .and_then(|value| apply_modifier(value, column.column_type, Overflow::Refuse))
                    .unwrap_or_else(|error| panic!("{text}: {error}")),
            })
            .collect();
        self.version_of(name, &values, content, execute_at)
    }

    fn version_of(
        &self,
        name: &str,
        values: &[Value],
        content: bool,
        execute_at: Timestamp,
    ) -> Version {
        let schema = &self.tables[name].schema;
        let address = schema.address_of_row(SLICES, values);
        let row = content.then(|| {
            let mut bytes = Vec::new();
            types::row::encode_row(&schema.stored_types()[..values.len()], values, &mut bytes);
            bytes
        });
        Version { slice: address.slice, key: address.key, execute_at, row }
    }

    /// Writes rows, columns separated by `|`.
    pub fn insert(&mut self, name: &str, rows: &[&str]) {
        for row in rows {
            let version = self.version(name, row, true);
            self.tables.get_mut(name).expect("a table of this world").pending.push(version);
        }
    }

    /// Writes rows of values.
    pub fn insert_values(&mut self, name: &str, rows: impl IntoIterator<Item = Vec<Value>>) {
        for row in rows {
            self.clock += 1;
            let version = self.version_of(name, &row, true, self.now());
            self.tables.get_mut(name).expect("a table of this world").pending.push(version);
        }
    }

    /// Deletes the row with this key (given as a whole row).
    pub fn delete(&mut self, name: &str, row: &str) {
        let version = self.version(name, row, false);
        self.tables.get_mut(name).expect("a table of this world").pending.push(version);
    }

    /// Rows of the asking transaction.
    pub fn own_write(&mut self, name: &str, row: &str, content: bool) {
        let version = self.version(name, row, content);
        self.tables.get_mut(name).expect("a table of this world").own.push(version);
    }

    /// The asking transaction made the table itself.
    pub fn uncommitted(&mut self, name: &str) {
        self.tables.get_mut(name).expect("a table of this world").only_own = true;
    }

    /// What was written since the last flush or freeze becomes a table file.
    pub fn flush(&mut self, name: &str) {
        let options = self.options;
        self.next_id += 1;
        let sstable_id = SstableId(u64::from(self.next_id));
        let table = self.tables.get_mut(name).expect("a table of this world");
        let versions = sorted(std::mem::take(&mut table.pending));
        let columns = specs(&table.schema);
        let shape = TableShape {
            table_id: table.schema.storage_id,
            salt: sstable_id.0,
            columns,
            key: table.schema.key.clone(),
            versioning: Versioning::PerRow,
        };
        let mut builder = TableBuilder::new(options, shape);
        for version in &versions {
            let content = match &version.row {
                Some(row) => RowContent::Row(row),
                None => RowContent::Tombstone,
            };
            builder
                .push(version.slice, &version.key, Some(version.execute_at), content)
                .expect("rows of the table");
        }
        let mut bytes = builder.take_bytes();
        let finished = builder.finish().expect("a whole table");
        bytes.extend_from_slice(&finished.bytes);
        let file = PinnedFile {
            sstable_id,
            metadata: Arc::new(finished.metadata),
            slices: all_slices(),
            published_at: None,
            blocks: Arc::new(MemoryFile { bytes: bytes.into() }),
        };
        table.files.insert(0, file);
    }

    /// What was written since the last flush or freeze becomes frozen rows of a memtable.
    pub fn freeze(&mut self, name: &str) {
        let table = self.tables.get_mut(name).expect("a table of this world");
        let versions = sorted(std::mem::take(&mut table.pending));
        table.frozen.insert(0, Arc::new(Frozen { run: Arc::new(run_of(&versions)) }));
    }

    fn catalog(&self) -> Catalog {
        let changes: Vec<CatalogChange> = self
            .tables
            .values()
            .map(|table| CatalogChange::PutTable(table.schema.clone()))
            .collect();
        Catalog::initial().apply(SchemaVersion(2), &changes)
    }

    fn snapshot(&self, at: Timestamp) -> Snapshot {
        let tables = self
            .tables
            .values()
            .map(|table| TableSnapshot {
                schema: table.schema.clone(),
                parts: if table.only_own {
                    Vec::new()
                } else {
                    vec![Part {
                        shard: ShardId(0),
                        slices: all_slices(),
                        files: table.files.clone(),
                        frozen: table.frozen.clone(),
                        pin: Arc::new(NoPin),
                    }]
                },
                own_writes: own_writes(table, at),
            })
            .collect();
        Snapshot { timestamp: at, tables }
    }

    fn request(&self, sql: &str, at: Timestamp) -> QueryRequest {
        let catalog = self.catalog();
        let bound = bound(sql, &catalog).unwrap_or_else(|error| panic!("{sql}: {error}"));
        let Statement::Select(select) = bound.statement else { panic!("not a query: {sql}") };
        QueryRequest {
            query: Arc::new(select.query),
            subqueries: Arc::new(bound.subqueries),
            context: StatementContext {
                settings: TextSettings::DEFAULT,
                statement_micros: 0,
                session_user: "postgres".into(),
                current_user: "postgres".into(),
                database: "postgres".into(),
                catalog: Arc::new(NoCatalog),
                volatile: Arc::new(Fixed),
                parameters: Arc::from([]),
                stop: olap::StopFlag::default(),
            },
            snapshot: self.snapshot(at),
            virtual_tables: Arc::new(CatalogTables { catalog }),
        }
    }

    /// Begins a query; its answer comes through the channel.
    pub fn begin(
        &self,
        sql: &str,
    ) -> (Result<RunningQuery, AnalyticsError>, mpsc::Receiver<Outcome>) {
        let (done, outcome) = mpsc::channel();
        let sink = Collect { rows: Vec::new(), types: Vec::new(), done };
        (self.analytics.run(self.request(sql, self.now()), Box::new(sink)), outcome)
    }

    /// Runs a query at a moment.
    pub fn run_at(&self, sql: &str, at: Timestamp) -> Outcome {
        let (done, outcome) = mpsc::channel();
        let sink = Collect { rows: Vec::new(), types: Vec::new(), done };
        let _running = self.analytics.run(self.request(sql, at), Box::new(sink))?;
        outcome.recv().expect("a query ends")
    }

    /// Rows of an answer as text, columns separated by `|`.
    pub fn query(&self, sql: &str) -> Result<Vec<String>, AnalyticsError> {
        self.run_at(sql, self.now()).map(|(rows, types, _)| as_text(&rows, &types))
    }

    /// As [`World::query`]; an error is its SQLSTATE, a colon and the message, whoever raised it.
    pub fn try_query(&self, sql: &str) -> Result<Vec<String>, String> {
        bound(sql, &self.catalog())?;
        self.query(sql).map_err(|error| format!("{}:{error}", error.sqlstate()))
    }

    /// Whether the answer is this, in this order.
    #[track_caller]
    pub fn check(&self, sql: &str, expected: &[&str]) {
        match self.query(sql) {
            Ok(rows) => assert_eq!(rows, expected, "{sql}"),
            Err(error) => panic!("{sql}: {error} ({error:?})"),
        }
    }

    /// Whether the query fails with this SQLSTATE.
    #[track_caller]
    pub fn check_error(&self, sql: &str, sqlstate: &str) {
        match self.query(sql) {
            Ok(rows) => panic!("{sql} answered {rows:?}"),
            Err(error) => assert_eq!(error.sqlstate().as_str(), sqlstate, "{sql}: {error}"),
        }
    }

    /// What the query read and took.
    pub fn statistics(&self, sql: &str) -> QueryStatistics {
        self.run_at(sql, self.now()).unwrap_or_else(|error| panic!("{sql}: {error}")).2
    }

    /// The execution plan.
    pub fn explain(&self, sql: &str) -> Vec<String> {
        let (done, lines) = mpsc::channel();
        self.analytics.explain(self.request(sql, self.now()), move |plan| {
            done.send(plan).expect("the test waits for the plan");
        });
        lines.recv().expect("planning ends").unwrap_or_else(|error| panic!("{sql}: {error}"))
    }
}

fn bound(sql: &str, catalog: &Catalog) -> Result<BoundStatement, String> {
    let text = |error: Box<plan::PlanError>| format!("{}:{error}", error.state);
    let parsed = parse(sql).map_err(text)?;
    let search_path = SearchPath::new([Box::from("public")], "postgres");
    let input = BindInput {
        text: sql,
        catalog,
        search_path: &search_path,
        context: EvalContext::PURE,
        parameters: &[],
    };
    bind(&parsed[0], &input).map_err(text)
}

fn all_slices() -> SliceRange {
    SliceRange { first: SliceId(0), last: SliceId(SLICES.get() - 1) }
}

fn specs(schema: &TableSchema) -> Vec<ColumnSpec> {
    let columns = schema.columns.iter();
    columns
        .map(|column| ColumnSpec {
            id: column.id,
            sql_type: column.column_type.sql_type,
            missing: column.missing.clone(),
        })
        .collect()
}

fn sorted(mut versions: Vec<Version>) -> Vec<Version> {
    versions.sort_by(|a, b| {
        (a.slice, &a.key, std::cmp::Reverse(a.execute_at)).cmp(&(
            b.slice,
            &b.key,
            std::cmp::Reverse(b.execute_at),
        ))
    });
    versions
}

fn run_of(versions: &[Version]) -> SortedRun {
    let mut run = SortedRun::new();
    for version in versions {
        let content = match &version.row {
            Some(row) => RowContent::Row(row),
            None => RowContent::Tombstone,
        };
        run.push(RowVersion {
            slice: version.slice,
            key: &version.key,
            execute_at: version.execute_at,
            content,
        });
    }
    run
}

fn own_writes(table: &Table, at: Timestamp) -> Option<Arc<dyn FrozenRows>> {
    if table.own.is_empty() {
        return None;
    }
    let at_snapshot: Vec<Version> =
        table.own.iter().map(|version| Version { execute_at: at, ..version.clone() }).collect();
    Some(Arc::new(Frozen { run: Arc::new(run_of(&sorted(at_snapshot))) }))
}

/// Rows as text, columns separated by `|`.
pub fn as_text(rows: &[Vec<Value>], types: &[SqlType]) -> Vec<String> {
    let cell = |value: &Value, sql_type: SqlType| {
        if value.is_null() {
            return NULL.to_string();
        }
        let mut text = Vec::new();
        append_text(value, sql_type, &TextSettings::DEFAULT, &mut text);
        String::from_utf8(text).expect("text form is UTF-8")
    };
    rows.iter()
        .map(|row| {
            let cells = row.iter().zip(types).map(|(value, sql_type)| cell(value, *sql_type));
            cells.collect::<Vec<String>>().join("|")
        })
        .collect()
}
