//! What is computed before a statement's query begins: WITH queries that several places scan, and subqueries that depend on nothing.
//!
//! A subquery's error is kept with its answer and raised only where a row asks for it, as PostgreSQL does; running out of memory or being cancelled ends the
//! statement at once.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, BinaryViewArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::logical_expr::LogicalPlan;
use functions::EvalError;
use futures::TryStreamExt;
use plan::catalog::VirtualTable;
use plan::query::{Rel, Subqueries, WithBody};
use snapshot::Snapshot;
use types::{SqlState, SqlType, TableSchema, Value, ValueError};

use crate::column_cache::ColumnCache;
use crate::engine::Engine;
use crate::error::AnalyticsError;
use crate::evaluation::StatementContext;
use crate::lowering::{
    AnswerKind, Lowering, Sources, answered_beforehand, batch_of, free_outers, schema_of,
};
use crate::physical::Cells;
use crate::query::VirtualTables;
use crate::sort_key::tuple_key;
use crate::statistics::Counters;
use crate::table::SnapshotTable;

/// One statement while its queries are lowered and run.
pub(crate) struct Statement {
    engine: Engine,
    subqueries: Arc<Subqueries>,
    context: Arc<StatementContext>,
    answers: BTreeMap<u32, Result<Value, EvalError>>,
    places: Places,
    /// What WITH queries hold in memory.
    reservation: MemoryReservation,
}

/// Where rows come from.
struct Places {
    snapshot: Snapshot,
    virtual_tables: Arc<dyn VirtualTables>,
    cache: Arc<ColumnCache>,
    counters: Arc<Counters>,
    with: BTreeMap<usize, Arc<dyn TableProvider>>,
    work: BTreeMap<usize, Arc<dyn TableProvider>>,
}

impl Sources for Places {
    fn table(
        &self,
        table: &Arc<TableSchema>,
        columns: &[u16],
    ) -> Result<Arc<dyn TableProvider>, AnalyticsError> {
        let found =
            self.snapshot.tables.iter().find(|found| found.schema.table_id == table.table_id);
        let found = found.ok_or_else(|| {
            ValueError::internal(format!("the snapshot does not hold table {}", table.name))
        })?;
        Ok(Arc::new(SnapshotTable::new(
            found.clone(),
            self.snapshot.timestamp,
            columns.to_vec(),
            self.cache.clone(),
            self.counters.clone(),
        )))
    }

    fn virtual_table(
        &self,
        table: VirtualTable,
        columns: &[u16],
    ) -> Result<Arc<dyn TableProvider>, AnalyticsError> {
        let definition = table.columns();
        let types: Vec<SqlType> =
            columns.iter().map(|position| definition[usize::from(*position)].sql_type).collect();
        let rows = self.virtual_tables.rows(table)?;
        let rows = rows.iter().map(|row| {
            let wanted = columns.iter().map(|position| row[usize::from(*position)].clone());
            wanted.collect::<Vec<Value>>()
        });
        let schema = schema_of(&types);
        let batch = batch_of(&schema, &types, rows)?;
        memory_table(schema, vec![batch])
    }

    fn with(&self, index: usize) -> Option<Arc<dyn TableProvider>> {
        self.with.get(&index).cloned()
    }

    fn work_table(&self, index: usize) -> Option<Arc<dyn TableProvider>> {
        self.work.get(&index).cloned()
    }
}

fn memory_table(
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
) -> Result<Arc<dyn TableProvider>, AnalyticsError> {
    Ok(Arc::new(MemTable::try_new(schema, vec![batches])?))
}

impl Statement {
    pub(crate) fn new(
        engine: Engine,
        subqueries: Arc<Subqueries>,
        context: Arc<StatementContext>,
        snapshot: Snapshot,
        virtual_tables: Arc<dyn VirtualTables>,
        cache: Arc<ColumnCache>,
        counters: Arc<Counters>,
    ) -> Statement {
        let reservation = MemoryConsumer::new("With").register(&engine.pool().memory_pool);
        let places = Places {
            snapshot,
            virtual_tables,
            cache,
            counters,
            with: BTreeMap::new(),
            work: BTreeMap::new(),
        };
        Statement { engine, subqueries, context, answers: BTreeMap::new(), places, reservation }
    }

    fn lowering(&self) -> Lowering<'_> {
        Lowering::new(&self.subqueries, &self.context, &self.answers, &self.places)
    }

    /// Computes what comes first; the logical plan of the rest.
    pub(crate) async fn prepare(&mut self, root: &Rel) -> Result<LogicalPlan, AnalyticsError> {
        let subqueries = self.subqueries.clone();
        for (index, with) in subqueries.with.iter().enumerate() {
            let types: Vec<SqlType> = with.types.iter().map(|column| column.sql_type).collect();
            match &with.body {
                WithBody::Plain(body)
                    if with.references > 1 && free_outers(body, &subqueries).is_empty() =>
                {
                    self.answer(body).await?;
                    let batches = self.rows(body).await?;
                    let batches = renamed(&types, batches)?;
                    let table = memory_table(schema_of(&types), batches)?;
                    self.places.with.insert(index, table);
                }
                WithBody::Plain(_) => {}
                WithBody::Recursive { start, step, all } if with.references > 0 => {
                    let table = self.recursive(index, &types, (start, step), *all).await?;
                    self.places.with.insert(index, table);
                }
                WithBody::Recursive { .. } => {}
            }
        }
        self.answer(root).await?;
        self.lowering().rel(root)
    }

    /// The logical plan, without computing anything: for EXPLAIN.
    pub(crate) fn outline(mut self, root: &Rel) -> Result<LogicalPlan, AnalyticsError> {
        let subqueries = self.subqueries.clone();
        let unknown = || ValueError::internal("EXPLAIN does not compute subqueries");
        for (index, with) in subqueries.with.iter().enumerate() {
            let types: Vec<SqlType> = with.types.iter().map(|column| column.sql_type).collect();
            if with.references > 1 || matches!(with.body, WithBody::Recursive { .. }) {
                let table = memory_table(schema_of(&types), Vec::new())?;
                self.places.with.insert(index, table);
            }
        }
        for (index, _) in answered_beforehand(root, &subqueries) {
            self.answers.insert(index, Err(unknown()));
        }
        self.lowering().rel(root)
    }

    /// Answers the subqueries of a relation that depend on nothing.
    async fn answer(&mut self, rel: &Rel) -> Result<(), AnalyticsError> {
        let subqueries = self.subqueries.clone();
        for (index, kind) in answered_beforehand(rel, &subqueries) {
            if self.answers.contains_key(&index) {
                continue;
            }
            let query = &subqueries.queries[index as usize];
            let sql_type = query.columns.first().map_or(SqlType::Bool, |c| c.column_type.sql_type);
            let answer = match self.value(&query.root, kind, sql_type).await {
                Ok(value) => Ok(value),
                Err(AnalyticsError::Value(error)) => Err(error),
                Err(other) => return Err(other),
            };
            self.answers.insert(index, answer);
        }
        Ok(())
    }

    async fn value(
        &self,
        root: &Rel,
        kind: AnswerKind,
        sql_type: SqlType,
    ) -> Result<Value, AnalyticsError> {
        let wanted = match kind {
            AnswerKind::Scalar => 2,
            AnswerKind::Exists => 1,
            AnswerKind::Array => usize::MAX,
        };
        let logical = self.lowering().rel(root)?;
        let mut rows = self.engine.start(self.engine.plan(&logical).await?)?;
        let mut values = Vec::new();
        let held = MemoryConsumer::new("Subquery").register(&self.engine.pool().memory_pool);
        let mut count = 0;
        while count < wanted {
            let Some(batch) = rows.try_next().await? else { break };
            count += batch.num_rows();
            if kind == AnswerKind::Exists {
                continue;
            }
            held.try_grow(batch.get_array_memory_size())?;
            let cells = Cells::new(batch.column(0), sql_type);
            for row in 0..batch.num_rows() {
                values.push(cells.owned(row)?);
            }
        }
        held.free();
        match kind {
            AnswerKind::Exists => Ok(Value::Bool(count > 0)),
            AnswerKind::Array => Ok(Value::Array(values.into())),
            AnswerKind::Scalar if values.len() > 1 => Err(ValueError::new(
                SqlState::CARDINALITY_VIOLATION,
                "more than one row returned by a subquery used as an expression",
            )
            .into()),
            AnswerKind::Scalar => Ok(values.pop().unwrap_or(Value::Null)),
        }
    }

    /// All rows of a relation, within the budget.
    async fn rows(&mut self, rel: &Rel) -> Result<Vec<RecordBatch>, AnalyticsError> {
        let logical = self.lowering().rel(rel)?;
        let mut rows = self.engine.start(self.engine.plan(&logical).await?)?;
        let mut batches = Vec::new();
        while let Some(batch) = rows.try_next().await? {
            if batch.num_rows() > 0 {
                self.reservation.try_grow(batch.get_array_memory_size())?;
                batches.push(batch);
            }
        }
        Ok(batches)
    }

    async fn recursive(
        &mut self,
        index: usize,
        types: &[SqlType],
        (start, step): (&Rel, &Rel),
        all: bool,
    ) -> Result<Arc<dyn TableProvider>, AnalyticsError> {
        self.answer(start).await?;
        let schema = schema_of(types);
        let mut seen = HashSet::new();
        let mut result = Vec::new();
        let mut round = self.rows(start).await?;
        loop {
            if !all {
                round = unseen(round, types, &mut seen)?;
            }
            let round_rows = renamed(types, round)?;
            if round_rows.iter().all(|batch| batch.num_rows() == 0) {
                break;
            }
            result.extend(round_rows.iter().cloned());
            self.places.work.insert(index, memory_table(schema.clone(), round_rows)?);
            // A subquery of the step may scan the work table, so its answer is of this round only.
            let subqueries = self.subqueries.clone();
            for (subquery, _) in answered_beforehand(step, &subqueries) {
                self.answers.remove(&subquery);
            }
            self.answer(step).await?;
            round = self.rows(step).await?;
        }
        self.places.work.remove(&index);
        memory_table(schema, result)
    }
}

/// The batches under the names `c0`, `c1`, ….
fn renamed(
    types: &[SqlType],
    batches: Vec<RecordBatch>,
) -> Result<Vec<RecordBatch>, AnalyticsError> {
    let schema = schema_of(types);
    batches
        .into_iter()
        .map(|batch| {
            let options =
                arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            let columns = batch.columns().to_vec();
            Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
        })
        .collect()
}

/// The rows that were not seen before, each once.
fn unseen(
    batches: Vec<RecordBatch>,
    types: &[SqlType],
    seen: &mut HashSet<Box<[u8]>>,
) -> Result<Vec<RecordBatch>, AnalyticsError> {
    let mut fresh = Vec::with_capacity(batches.len());
    for batch in batches {
        let keys = tuple_key(batch.columns(), types, batch.num_rows())?;
        let keys: &BinaryViewArray =
            keys.as_any().downcast_ref().expect("tuple keys are byte strings");
        let mut rows = Vec::new();
        for row in 0..keys.len() {
            if seen.insert(keys.value(row).into()) {
                rows.push(row as u32);
            }
        }
        fresh.push(take_record_batch(&batch, &UInt32Array::from(rows))?);
    }
    Ok(fresh)
}
