//! Statements that change more rows than a transaction buffers, in bounded memory.
//!
//! INSERT … SELECT becomes a load in bulk, as a large COPY is. UPDATE and DELETE write the whole table anew, as ALTER TABLE does when a column changes its
//! type: neither the rows read nor those made leave the background cores, and COMMIT finds the table as it was at the snapshot or fails. A table into which the
//! open block has loaded is changed in the same two ways.

use std::sync::Arc;

use functions::{Expr, Test, Volatility};
use oltp::{Changed, TableRows};
use plan::query::Rel;
use plan::statement::{AlterAction, Ddl, Insert, InsertSource, Statement};
use types::{SqlState, SqlType, TableSchema, Value, limits};

use crate::analytics::{QueryPart, RowStream};
use crate::block::State;
use crate::compiled::Compiled;
use crate::error::SqlError;
use crate::functions::SessionContext;
use crate::node::{BulkLoad, BulkRequest, Loaded, Node};
use crate::output::Output;
use crate::session::Session;

/// Rows of an INSERT … SELECT that are written like those of any INSERT.
const SMALL_ROWS: usize = 16_384;
/// The same in bytes.
const SMALL_BYTES: u64 = limits::TRANSACTION_BYTES_BUFFERED_MAX / 2;

/// What a query found.
pub(crate) enum Queried {
    /// The rows.
    Few(Vec<Vec<Value>>),
    /// So many; they are more than a transaction buffers.
    Many(u64),
}

/// About as many bytes as a transaction counts for a row.
fn row_bytes(row: &[Value]) -> u64 {
    let bytes = row.iter().map(|value| match value {
        Value::Text(text) => text.len(),
        Value::Bytea(bytes) => bytes.len(),
        _ => 16,
    });
    bytes.sum::<usize>() as u64
}

/// An UPDATE or a DELETE as a change of every row of its table; nothing if it takes more than the row itself to know what becomes of it.
fn as_rewrite(statement: &Statement) -> Option<AlterAction> {
    let (target, footprint, returning) = match statement {
        Statement::Update(update) => (&update.target, &update.footprint, &update.returning),
        Statement::Delete(delete) => (&delete.target, &delete.footprint, &delete.returning),
        _ => return None,
    };
    let footprint = footprint.as_ref()?;
    if returning.is_some() || footprint.columns.len() != target.table.columns.len() {
        return None;
    }
    let is_stored = |rel: &Rel| match rel {
        Rel::Scan(_) => true,
        Rel::Project { input, .. } => matches!(**input, Rel::Scan(_)),
        _ => false,
    };
    let condition = match &footprint.root {
        Rel::Filter { input, condition } if is_stored(input) => Some(condition),
        root if is_stored(root) => None,
        _ => return None,
    };
    let unfit = |expr: &Expr| expr.needs_query() || expr.volatility() == Volatility::Volatile;
    if condition.is_some_and(unfit) {
        return None;
    }
    let Statement::Update(update) = statement else {
        let keep = match condition {
            Some(condition) => {
                Expr::Test { test: Test::NotTrue, argument: Box::new(condition.clone()) }
            }
            None => Expr::literal(Value::Bool(false), SqlType::Bool),
        };
        let (values, checks, not_null) = (Vec::new(), Vec::new(), Vec::new());
        return Some(AlterAction::Rewrite { values, keep: Some(keep), checks, not_null });
    };
    let columns = &target.table.columns;
    let mut values = Vec::with_capacity(update.assignments.len());
    let mut not_null = Vec::new();
    for (position, new) in &update.assignments {
        if new.needs_query() {
            return None;
        }
        let column = &columns[usize::from(*position)];
        if column.not_null {
            not_null.push(*position);
        }
        let column_type = column.column_type;
        let value = match condition {
            None => new.clone(),
            Some(condition) => Expr::Case {
                branches: vec![(condition.clone(), new.clone())],
                otherwise: Some(Box::new(Expr::Column {
                    index: u32::from(*position),
                    column_type,
                })),
                column_type,
            },
        };
        values.push((*position, value));
    }
    let checks = update.checks.clone();
    Some(AlterAction::Rewrite { values, keep: None, checks, not_null })
}

fn too_many() -> SqlError {
    SqlError::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!(
            "the statement changes more than {} rows or {} bytes",
            limits::TRANSACTION_ROWS_BUFFERED_MAX,
            limits::TRANSACTION_BYTES_BUFFERED_MAX
        ),
    )
    .with_hint("Change rows in parts, or without RETURNING, ON CONFLICT, FROM and subqueries.")
}

impl<N: Node> Session<N> {
    /// The rows of a query of a statement, if they are within what the open transaction may still buffer; else their number.
    pub(crate) async fn queried<O: Output>(
        &mut self,
        compiled: &Arc<Compiled>,
        part: QueryPart,
        parameters: &[Value],
        out: &O,
    ) -> Result<Queried, SqlError> {
        let (rows_max, bytes_max) = self.transaction().await?.room();
        let mut stream = self.analyse(compiled, part, parameters.to_vec(), out).await?;
        let (mut rows, mut bytes, mut count) = (Vec::new(), 0, 0);
        while let Some(batch) = self.interruptible(stream.next(), out).await?? {
            count += batch.len() as u64;
            bytes += batch.iter().map(|row| row_bytes(row)).sum::<u64>();
            if count > rows_max as u64 || bytes > bytes_max {
                // From here on they are only counted.
                rows = Vec::new();
            } else {
                rows.extend(batch);
            }
        }
        Ok(if count as usize == rows.len() { Queried::Few(rows) } else { Queried::Many(count) })
    }

    /// UPDATE or DELETE of so many rows that the table is written anew.
    pub(crate) async fn rewrite<O: Output>(
        &mut self,
        compiled: &Arc<Compiled>,
        parameters: &[Value],
        count: u64,
        out: &mut O,
    ) -> Result<Changed, SqlError> {
        let action = as_rewrite(&compiled.bound.statement).ok_or_else(too_many)?;
        let table = compiled.table.as_ref().expect("a statement of rows has its table prepared");
        let table = Some(table.schema.clone());
        self.wrote_anew = true;
        let ddl = Ddl::AlterTable { table, actions: vec![action] };
        self.change_in_block(&ddl, compiled, parameters, out).await?;
        Ok(Changed { row_count: count, rows: Vec::new() })
    }

    /// UPDATE or DELETE of a table into which the open block has loaded: the rows are counted by a query, and the table is written anew.
    pub(crate) async fn rewrite_loaded<O: Output>(
        &mut self,
        compiled: &Arc<Compiled>,
        parameters: &[Value],
        out: &mut O,
    ) -> Result<Changed, SqlError> {
        let count = match &compiled.bound.statement {
            Statement::Update(update) if update.footprint.is_some() => None,
            Statement::Delete(delete) if delete.footprint.is_some() => None,
            _ => Some("changing rows by key in"),
        };
        if let Some(what) = count {
            return Err(self.refused_loaded(compiled, what));
        }
        let count = match self.queried(compiled, QueryPart::Footprint, parameters, out).await? {
            Queried::Few(rows) => rows.len() as u64,
            Queried::Many(count) => count,
        };
        self.rewrite(compiled, parameters, count, out).await
    }

    /// The rows that the open block has added to a table, which go the way of the load that follows them: their keys are met there.
    pub(crate) async fn own_inserted(
        &mut self,
        schema: &TableSchema,
        what: &str,
    ) -> Result<Vec<Vec<Value>>, SqlError> {
        let transaction = self.transaction().await?;
        if schema.primary_key.is_none() || !transaction.has_written(schema.storage_id) {
            return Ok(Vec::new());
        }
        transaction.take_inserted(schema.storage_id).ok_or_else(|| {
            SqlError::not_supported(format!(
                "{what} of many rows into table \"{}\", of which the same transaction has updated or deleted rows,",
                schema.name
            ))
        })
    }

    pub(crate) fn refused_loaded(&self, compiled: &Compiled, what: &str) -> SqlError {
        let table = compiled.table.as_ref().map_or("", |table| &*table.schema.name);
        SqlError::not_supported(format!(
            "{what} table \"{table}\" in the transaction that has loaded rows into it in bulk"
        ))
        .with_hint("Commit first.")
    }

    /// INSERT … SELECT; and INSERT into a table into which the open block has loaded.
    pub(crate) async fn insert_many<O: Output>(
        &mut self,
        compiled: &Arc<Compiled>,
        insert: &Insert,
        parameters: &[Value],
        out: &mut O,
    ) -> Result<Option<Changed>, SqlError> {
        let table = compiled.table.clone().expect("a statement of rows has its table prepared");
        let loaded = self.has_load(&compiled.bound);
        let plain = insert.on_conflict.is_none() && insert.returning.is_none();
        if loaded && !plain {
            let what = "INSERT with ON CONFLICT or RETURNING into";
            return Err(self.refused_loaded(compiled, what));
        }
        let mut inserting = Inserting::<N>::new(&table, insert, plain);
        match &insert.source {
            InsertSource::Rows(_) if !loaded => return Ok(None),
            InsertSource::Rows(_) => {
                let rows = self.literal_rows(insert, &table, parameters).await?;
                inserting.rows = rows;
                inserting.go_over(self, parameters).await?;
            }
            InsertSource::Query { values, .. } => {
                let surroundings = self.surroundings();
                let parts = parameters.to_vec();
                let mut stream = self.analyse(compiled, QueryPart::Source, parts, out).await?;
                if loaded {
                    inserting.go_over(self, parameters).await?;
                }
                while let Some(batch) = self.interruptible(stream.next(), out).await?? {
                    let mut rows = Vec::with_capacity(batch.len());
                    for input in batch {
                        rows.push(
                            self.evaluated_row(values, &input, parameters, &surroundings).await?,
                        );
                    }
                    inserting.add(self, rows, parameters).await?;
                }
            }
        }
        inserting.finish(self, compiled, parameters).await.map(Some)
    }
}

/// Rows of an INSERT on their way: into the transaction's buffer while they are few.
struct Inserting<'a, N: Node> {
    table: TableRows,
    insert: &'a Insert,
    /// Whether they may become a load.
    plain: bool,
    rows: Vec<Vec<Value>>,
    bytes: u64,
    load: Option<N::Bulk>,
    /// Rows of the load that earlier statements have inserted.
    own_count: u64,
}

impl<'a, N: Node> Inserting<'a, N> {
    fn new(table: &TableRows, insert: &'a Insert, plain: bool) -> Inserting<'a, N> {
        let (rows, load) = (Vec::new(), None);
        Inserting { table: table.clone(), insert, plain, rows, bytes: 0, load, own_count: 0 }
    }

    async fn add(
        &mut self,
        session: &mut Session<N>,
        rows: Vec<Vec<Value>>,
        parameters: &[Value],
    ) -> Result<(), SqlError> {
        if self.load.is_some() {
            return self.hand_over(session, rows, parameters).await;
        }
        self.bytes += rows.iter().map(|row| row_bytes(row)).sum::<u64>();
        self.rows.extend(rows);
        let many = self.rows.len() > SMALL_ROWS || self.bytes > SMALL_BYTES;
        if many && self.plain {
            return self.go_over(session, parameters).await;
        }
        if self.rows.len() > limits::TRANSACTION_ROWS_BUFFERED_MAX {
            return Err(too_many());
        }
        Ok(())
    }

    /// From here on the rows go to the background.
    async fn go_over(
        &mut self,
        session: &mut Session<N>,
        parameters: &[Value],
    ) -> Result<(), SqlError> {
        let schema = &self.table.schema;
        let existing = session.committed(schema);
        let own = session.own_inserted(schema, "an INSERT").await?;
        let request = BulkRequest {
            table: schema.clone(),
            loaded: Loaded::Rows,
            copy: None,
            surroundings: session.surroundings(),
            existing,
        };
        let mut load = session.node.start_bulk(request)?;
        self.own_count = own.len() as u64;
        if !own.is_empty() {
            load.rows(own).await?;
        }
        self.load = Some(load);
        let rows = std::mem::take(&mut self.rows);
        self.hand_over(session, rows, parameters).await
    }

    async fn hand_over(
        &mut self,
        session: &Session<N>,
        rows: Vec<Vec<Value>>,
        parameters: &[Value],
    ) -> Result<(), SqlError> {
        {
            let surroundings = session.surroundings();
            let context = SessionContext::new(session, &surroundings);
            let context = context.context();
            for row in &rows {
                self.table.check(row, &self.insert.checks, parameters, &context)?;
            }
        }
        let load = self.load.as_mut().expect("asked for when there is one");
        load.rows(rows).await
    }

    async fn finish(
        mut self,
        session: &mut Session<N>,
        compiled: &Arc<Compiled>,
        parameters: &[Value],
    ) -> Result<Changed, SqlError> {
        let Some(mut load) = self.load.take() else {
            session.give_row_ids(&self.table, &mut self.rows).await?;
            return session.insert_rows(compiled, self.rows, parameters).await;
        };
        let row_count = load.finish().await? - self.own_count;
        if let State::Open(block) = &mut session.state {
            block.loads.push(load);
        }
        Ok(Changed { row_count, rows: Vec::new() })
    }
}
