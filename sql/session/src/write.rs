//! INSERT, UPDATE, DELETE: as one turn where that is possible, else in a transaction; and COMMIT.

use std::sync::Arc;
use std::time::Duration;

use functions::evaluate;
use oltp::modify::{self, Evaluation, FoundRow};
use oltp::statement::PointWrite;
use oltp::transaction::DeferredUpdate;
use oltp::{
    Changed, Engine, OltpError, StatementError, Surroundings, TableRows, Targets, Transaction,
    resolve,
};
use plan::point_plan::Access;
use plan::statement::{Deferred, Insert, InsertSource, Statement, Update};
use types::schema::{Partitioning, make_row_id};
use types::{SqlState, Value};

use crate::analytics::QueryPart;
use crate::block::{Block, Opener, State};
use crate::compiled::Compiled;
use crate::error::SqlError;
use crate::execute::STATEMENT_TRIES_MAX;
use crate::functions::SessionContext;
use crate::large::Queried;
use crate::node::{BulkLoad, Node};
use crate::output::Output;
use crate::session::Session;
use crate::settings::Ending;

/// Tries of a statement that reads a whole table beside its write: more would not help while others write.
const WHOLE_TABLE_TRIES_MAX: u32 = 2;
/// Rows that one turn of a shard changes, when their keys come in an array.
const ONE_TURN_ROWS_MAX: usize = 1_024;
/// How long writers of a table that is written anew wait, once they have come first.
const HOLD_MAX: Duration = Duration::from_secs(60);

impl<N: Node> Session<N> {
    /// Runs a statement that changes rows.
    pub(crate) async fn modify<O: Output>(
        &mut self,
        compiled: &Arc<Compiled>,
        parameters: Vec<Value>,
        out: &mut O,
    ) -> Result<Changed, SqlError> {
        if self.is_read_only() {
            let command = match &compiled.bound.statement {
                Statement::Insert(_) => "INSERT",
                Statement::Update(_) => "UPDATE",
                _ => "DELETE",
            };
            return Err(SqlError::new(
                SqlState::READ_ONLY_SQL_TRANSACTION,
                format!("cannot execute {command} in a read-only transaction"),
            ));
        }
        if matches!(self.state, State::Open(_)) {
            return self.modify_in_block(compiled, parameters, out).await;
        }
        if is_one_turn(compiled)
            && let Some(changed) = self.one_turn(compiled, &parameters).await?
        {
            return Ok(changed);
        }
        let tries = if reads_whole(compiled) { WHOLE_TABLE_TRIES_MAX } else { STATEMENT_TRIES_MAX };
        self.wrote_anew = false;
        for attempt in 1.. {
            let is_insert = matches!(compiled.bound.statement, Statement::Insert(_));
            let holds = self.wrote_anew || attempt > 1 && reads_whole(compiled) && !is_insert;
            if holds {
                // Others came first: this time they wait until the table is written.
                let table = compiled.table.as_ref().map(|table| table.schema.storage_id);
                let tables: Vec<_> = table.into_iter().collect();
                self.holds.push(self.node.engine().hold_writers(&tables, HOLD_MAX));
            }
            self.open_block(Opener::Batch, plan::statement::TransactionModes::default());
            let outcome = match self.modify_in_block(compiled, parameters.clone(), out).await {
                Ok(changed) => {
                    if holds && let Some(table) = &compiled.table {
                        self.transaction().await?.claim(table.schema.storage_id);
                    }
                    self.commit_block(out).await.map(|()| changed)
                }
                Err(error) => {
                    self.roll_back().await;
                    self.state = State::Idle;
                    self.end_settings(Ending::Rollback, out);
                    Err(error)
                }
            };
            match outcome {
                // Nothing has been returned yet, so the server tries again by itself.
                Err(error)
                    if error.sqlstate == SqlState::SERIALIZATION_FAILURE
                        && !error.schema_moved
                        && attempt < tries => {}
                other => return other,
            }
        }
        unreachable!("the loop above returns at its last try")
    }

    /// One transaction of known rows, evaluated where they are; nothing if they are too many for one turn.
    async fn one_turn(
        &mut self,
        compiled: &Arc<Compiled>,
        parameters: &[Value],
    ) -> Result<Option<Changed>, SqlError> {
        let table = compiled.table.clone().expect("a statement of rows has its table prepared");
        let statement = &compiled.bound;
        let write = match &statement.statement {
            Statement::Insert(insert) => {
                let rows = self.literal_rows(insert, &table, parameters).await?;
                let surroundings = self.surroundings();
                PointWrite::insert(statement, table, rows, parameters.to_vec(), surroundings)?
            }
            Statement::Update(update) => {
                let surroundings = self.surroundings();
                let access = &update.target.access;
                let Some(addresses) = self.points(&table, access, parameters, &surroundings)?
                else {
                    return Ok(None);
                };
                let parameters = parameters.to_vec();
                PointWrite::of_rows(statement, table, addresses, parameters, surroundings)
            }
            Statement::Delete(delete) => {
                let surroundings = self.surroundings();
                let access = &delete.target.access;
                let Some(addresses) = self.points(&table, access, parameters, &surroundings)?
                else {
                    return Ok(None);
                };
                let parameters = parameters.to_vec();
                PointWrite::of_rows(statement, table, addresses, parameters, surroundings)
            }
            other => unreachable!("no statement of rows: {other:?}"),
        };
        Ok(Some(write.run(self.node.engine()).await?))
    }

    fn points(
        &self,
        table: &TableRows,
        access: &Access,
        parameters: &[Value],
        surroundings: &Surroundings,
    ) -> Result<Option<Vec<types::schema::RowAddress>>, SqlError> {
        let session = SessionContext::new(self, surroundings);
        match resolve(table, access, parameters, &session.context())? {
            Targets::Points(addresses) if addresses.len() <= ONE_TURN_ROWS_MAX => {
                Ok(Some(addresses))
            }
            Targets::Points(_) | Targets::Whole => Ok(None),
            other => unreachable!("one-turn statements name their rows by key: {other:?}"),
        }
    }

    /// The stored rows of INSERT … VALUES: defaults, sequences and hidden row ids filled in.
    pub(crate) async fn literal_rows(
        &self,
        insert: &Insert,
        table: &TableRows,
        parameters: &[Value],
    ) -> Result<Vec<Vec<Value>>, SqlError> {
        let InsertSource::Rows(expressions) = &insert.source else {
            unreachable!("asked for literal rows of a query")
        };
        let surroundings = self.surroundings();
        let mut rows = Vec::with_capacity(expressions.len());
        for expressions in expressions {
            rows.push(self.evaluated_row(expressions, &[], parameters, &surroundings).await?);
        }
        self.give_row_ids(table, &mut rows).await?;
        Ok(rows)
    }

    /// Evaluates one row, again when a sequence had to be asked for more numbers.
    pub(crate) async fn evaluated_row(
        &self,
        expressions: &[functions::Expr],
        input: &[Value],
        parameters: &[Value],
        surroundings: &Surroundings,
    ) -> Result<Vec<Value>, SqlError> {
        loop {
            let attempt = {
                let session = SessionContext::new(self, surroundings);
                let context = session.context();
                let values: Result<Vec<Value>, _> = expressions
                    .iter()
                    .map(|expr| evaluate(expr, input, parameters, &context))
                    .collect();
                if values.is_ok() {
                    session.settle();
                }
                values
            };
            match attempt.map_err(StatementError::from) {
                Ok(values) => return Ok(values),
                Err(error) if self.resolve_pending(&error).await? => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Fills in the hidden row ids of a table without primary key.
    pub(crate) async fn give_row_ids(
        &self,
        table: &TableRows,
        rows: &mut [Vec<Value>],
    ) -> Result<(), SqlError> {
        if table.schema.partitioning != Partitioning::RowId || rows.is_empty() {
            return Ok(());
        }
        let position = usize::from(table.schema.key[0].position);
        let (slice, first) = self.node.engine().allocate_row_ids(rows.len() as u64).await?;
        for (number, row) in (first..).zip(rows) {
            row[position] = Value::Int8(make_row_id(table.slices, slice, number));
        }
        Ok(())
    }

    /// Runs a statement inside the open block.
    pub(crate) async fn modify_in_block<O: Output>(
        &mut self,
        compiled: &Arc<Compiled>,
        parameters: Vec<Value>,
        out: &mut O,
    ) -> Result<Changed, SqlError> {
        let table = compiled.table.clone().expect("a statement of rows has its table prepared");
        self.transaction().await?.planned_at(&compiled.bound.tables);
        if let Statement::Insert(insert) = &compiled.bound.statement
            && let Some(changed) = self.insert_many(compiled, insert, &parameters, out).await?
        {
            return Ok(changed);
        }
        if self.has_load(&compiled.bound) {
            return self.rewrite_loaded(compiled, &parameters, out).await;
        }
        let surroundings = self.surroundings();
        let source = self.source(compiled, &table, &parameters, &surroundings, out).await?;
        if let SourceRows::Many(count) = source {
            return self.rewrite(compiled, &parameters, count, out).await;
        }
        self.buffered(compiled, &table, source, &parameters, &surroundings).await
    }

    /// What a statement of rows works on: rows to insert, or rows to change.
    async fn source<O: Output>(
        &mut self,
        compiled: &Arc<Compiled>,
        table: &TableRows,
        parameters: &[Value],
        surroundings: &Surroundings,
        out: &O,
    ) -> Result<SourceRows, SqlError> {
        let access = match &compiled.bound.statement {
            Statement::Insert(insert) => match &insert.source {
                InsertSource::Rows(_) => {
                    return Ok(SourceRows::New(
                        self.literal_rows(insert, table, parameters).await?,
                    ));
                }
                InsertSource::Query { .. } => unreachable!("inserted by the caller"),
            },
            Statement::Update(update) => &update.target.access,
            Statement::Delete(delete) => &delete.target.access,
            other => unreachable!("no statement of rows: {other:?}"),
        };
        let targets = {
            let session = SessionContext::new(self, surroundings);
            resolve(table, access, parameters, &session.context())?
        };
        let engine = self.node.clone();
        match targets {
            Targets::Points(addresses) if may_defer(compiled) => {
                Ok(SourceRows::Deferrable(addresses))
            }
            targets => {
                if let Targets::Points(addresses) = &targets {
                    self.take_hot(table, addresses).await?;
                }
                let transaction = self.transaction().await?;
                match transaction.rows(engine.engine(), table, &targets).await {
                    // A query finds them.
                    Err(OltpError::TooManyRows) => {}
                    rows => return Ok(SourceRows::Named(rows?)),
                }
                let part = QueryPart::Footprint;
                Ok(match self.queried(compiled, part, parameters, out).await? {
                    Queried::Few(rows) => SourceRows::Found(rows),
                    Queried::Many(count) => SourceRows::Many(count),
                })
            }
        }
    }

    /// Rows to insert, given their ids, into the transaction's buffer.
    pub(crate) async fn insert_rows(
        &mut self,
        compiled: &Arc<Compiled>,
        rows: Vec<Vec<Value>>,
        parameters: &[Value],
    ) -> Result<Changed, SqlError> {
        let table = compiled.table.clone().expect("a statement of rows has its table prepared");
        let surroundings = self.surroundings();
        self.buffered(compiled, &table, SourceRows::New(rows), parameters, &surroundings).await
    }

    async fn buffered(
        &mut self,
        compiled: &Arc<Compiled>,
        table: &TableRows,
        source: SourceRows,
        parameters: &[Value],
        surroundings: &Surroundings,
    ) -> Result<Changed, SqlError> {
        let State::Open(block) = &mut self.state else { unreachable!("checked by the caller") };
        let mut transaction = block.transaction.take().expect("made above");
        let outcome = self
            .apply_source(compiled, table, source, parameters, surroundings, &mut transaction)
            .await;
        let State::Open(block) = &mut self.state else { unreachable!("checked by the caller") };
        block.transaction = Some(transaction);
        outcome
    }

    async fn apply_source(
        &self,
        compiled: &Arc<Compiled>,
        table: &TableRows,
        source: SourceRows,
        parameters: &[Value],
        surroundings: &Surroundings,
        transaction: &mut Transaction,
    ) -> Result<Changed, SqlError> {
        let engine = self.node.engine();
        let statement = &compiled.bound.statement;
        let found = match source {
            SourceRows::New(rows) => {
                let Statement::Insert(insert) = statement else {
                    unreachable!("only INSERT has new rows")
                };
                let session = SessionContext::new(self, surroundings);
                let context = session.context();
                let evaluation = Evaluation { parameters, context: &context };
                return Ok(
                    modify::insert(engine, transaction, table, insert, rows, evaluation).await?
                );
            }
            SourceRows::Deferrable(addresses) => {
                return self
                    .defer(compiled, table, addresses, parameters, surroundings, transaction)
                    .await;
            }
            SourceRows::Many(_) => unreachable!("the table is written anew"),
            SourceRows::Named(rows) => rows.into_iter().map(FoundRow::from).collect(),
            SourceRows::Found(rows) => {
                let width = table.types.len();
                let mut further: Vec<(Vec<u8>, Vec<Value>)> = Vec::with_capacity(rows.len());
                let mut addresses = Vec::with_capacity(rows.len());
                for mut row in rows {
                    let rest = row.split_off(width);
                    let address = table.address(&row)?;
                    further.push((address.key.clone(), rest));
                    addresses.push(address);
                }
                let targets = Targets::Points(addresses);
                let own = transaction.rows(engine, table, &targets).await?;
                let mut rest = further.into_iter().collect::<std::collections::BTreeMap<_, _>>();
                own.into_iter()
                    .map(|row| {
                        let further = rest.remove(&row.address.key).unwrap_or_default();
                        FoundRow { row, further, is_tested: true }
                    })
                    .collect()
            }
        };
        let session = SessionContext::new(self, surroundings);
        let context = session.context();
        let evaluation = Evaluation { parameters, context: &context };
        let changed = match statement {
            Statement::Update(update) => {
                modify::update(engine, transaction, table, update, found, evaluation).await?
            }
            Statement::Delete(delete) => {
                modify::delete(transaction, table, delete, found, evaluation)?
            }
            other => unreachable!("no statement of found rows: {other:?}"),
        };
        session.settle();
        Ok(changed)
    }

    /// Keeps an UPDATE as a function of its rows until COMMIT.
    async fn defer(
        &self,
        compiled: &Arc<Compiled>,
        table: &TableRows,
        addresses: Vec<types::schema::RowAddress>,
        parameters: &[Value],
        surroundings: &Surroundings,
        transaction: &mut Transaction,
    ) -> Result<Changed, SqlError> {
        let update = DeferredUpdate {
            statement: compiled.bound.clone(),
            parameters: parameters.into(),
            surroundings: Arc::new(surroundings.clone()),
        };
        let mut changed = Changed::default();
        for address in addresses {
            let engine = self.node.engine();
            if transaction.defer(engine, table, address, update.clone()).await? {
                changed.row_count += 1;
            }
        }
        Ok(changed)
    }

    /// COMMIT of a block's contents: rows, schema, loads.
    pub(crate) async fn commit_contents(
        &mut self,
        mut block: Block<N::Bulk>,
    ) -> Result<(), SqlError> {
        let Some(transaction) = block.transaction.take() else {
            return match block.catalog.take() {
                None => Ok(()),
                Some(_) => unreachable!("a change of the schema begins a transaction"),
            };
        };
        let snapshot = transaction.snapshot();
        let node = self.node.clone();
        let outcome = if block.loads.is_empty() {
            if transaction.is_read_only() {
                Ok(())
            } else {
                let (footprint, workload) = transaction.into_commit();
                let footprint = Arc::new(footprint);
                let lease = self.lease.as_ref();
                let submitted = node.engine().submit_holding(lease, footprint.clone(), workload);
                let outcome = submitted.await;
                if let Err(OltpError::Aborted(abort)) = &outcome {
                    self.note_conflict(abort, &footprint);
                }
                outcome.map(drop).map_err(SqlError::from)
            }
        } else {
            let (footprint, workload) = transaction.into_commit();
            let loads = std::mem::take(&mut block.loads);
            N::Bulk::commit(loads, footprint, workload).await.map(drop)
        };
        node.engine().end_snapshot(snapshot);
        outcome?;
        if let Some(pending) = block.catalog.take() {
            node.publish_catalog(pending.committed()).await?;
        }
        Ok(())
    }
}

/// What a statement of rows works on.
enum SourceRows {
    /// Rows to insert.
    New(Vec<Vec<Value>>),
    /// Rows to change, each known by its key, whose change may wait until COMMIT.
    Deferrable(Vec<types::schema::RowAddress>),
    /// Rows to change, found by key or range.
    Named(Vec<oltp::transaction::OwnRow>),
    /// Rows to change, as an analytic query found them: stored columns, then further ones.
    Found(Vec<Vec<Value>>),
    /// So many rows to change; more than a transaction buffers.
    Many(u64),
}

/// Whether a statement is one transaction of rows known by key.
fn is_one_turn(compiled: &Compiled) -> bool {
    if !compiled.is_portable {
        return false;
    }
    match &compiled.bound.statement {
        Statement::Insert(insert) => {
            matches!(&insert.source, InsertSource::Rows(rows) if rows.len() <= oltp::READ_ROWS_MAX as usize)
        }
        Statement::Update(update) => {
            matches!(update.target.access, Access::Points(_) | Access::Among(_) | Access::Nothing)
                && !changes_key(update)
        }
        Statement::Delete(delete) => {
            matches!(delete.target.access, Access::Points(_) | Access::Among(_) | Access::Nothing)
        }
        _ => false,
    }
}

fn changes_key(update: &Update) -> bool {
    let key = &update.target.table.key;
    update
        .assignments
        .iter()
        .any(|(position, _)| key.iter().any(|column| column.position == *position))
}

fn may_defer(compiled: &Compiled) -> bool {
    compiled.is_portable
        && matches!(&compiled.bound.statement,
            Statement::Update(update) if update.deferred == Deferred::Possible)
}

fn reads_whole(compiled: &Compiled) -> bool {
    match &compiled.bound.statement {
        Statement::Update(update) => matches!(update.target.access, Access::Whole),
        Statement::Delete(delete) => matches!(delete.target.access, Access::Whole),
        Statement::Insert(insert) => matches!(insert.source, InsertSource::Query { .. }),
        _ => false,
    }
}
