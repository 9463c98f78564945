//! Statements that are one turn: known rows, evaluated at the transaction's own timestamp where they are.

mod codec;

use std::collections::BTreeSet;
use std::sync::Arc;

use accord::{Access, Commit, Footprint, Outcome, RangeNeed, TokenRange, View, Workload, Write};
use functions::{EvalContext, evaluate, evaluate_predicate};
use plan::statement::{BoundStatement, Delete, Insert, OnConflict, Statement, Update};
use types::schema::{Partitioning, RowAddress};
use types::{SqlState, Timestamp, Token, Value};

use crate::engine::Engine;
use crate::error::{OltpError, StatementError};
use crate::evaluation::Surroundings;
use crate::reply::Changed;
use crate::row::TableRows;

/// A statement ready to be submitted.
#[derive(Debug)]
pub struct PointWrite {
    statement: Arc<BoundStatement>,
    table: TableRows,
    parameters: Vec<Value>,
    surroundings: Surroundings,
    addresses: Vec<RowAddress>,
    /// INSERT: the proposed stored rows, one for each address.
    rows: Vec<Vec<Value>>,
}

impl PointWrite {
    /// An INSERT of stored rows whose defaults, sequences and row ids are filled in.
    ///
    /// # Errors
    /// NOT NULL and CHECK violations, rows and keys that are too long.
    ///
    /// # Panics
    /// If `statement` is no INSERT.
    pub fn insert(
        statement: &Arc<BoundStatement>,
        table: TableRows,
        rows: Vec<Vec<Value>>,
        parameters: Vec<Value>,
        surroundings: Surroundings,
    ) -> Result<PointWrite, StatementError> {
        let insert = as_insert(statement);
        let context = surroundings.context(&functions::NoVolatile);
        let mut addresses = Vec::with_capacity(rows.len());
        for row in &rows {
            table.check(row, &insert.checks, &parameters, &context)?;
            addresses.push(table.address(row)?);
        }
        let statement = statement.clone();
        Ok(PointWrite { statement, table, parameters, surroundings, addresses, rows })
    }

    /// An UPDATE or DELETE of rows by key.
    pub fn of_rows(
        statement: &Arc<BoundStatement>,
        table: TableRows,
        addresses: Vec<RowAddress>,
        parameters: Vec<Value>,
        surroundings: Surroundings,
    ) -> PointWrite {
        let statement = statement.clone();
        PointWrite { statement, table, parameters, surroundings, addresses, rows: Vec::new() }
    }

    /// Submits it.
    ///
    /// # Errors
    /// Those of the statement and of the engine.
    pub async fn run<E: Engine>(self, engine: &E) -> Result<Changed, OltpError> {
        if self.addresses.is_empty() {
            return Ok(Changed::default());
        }
        let footprint = Arc::new(self.footprint());
        let committed = engine.submit(footprint, Arc::new(self)).await?;
        Changed::decode(&committed.reply).map_err(|error| {
            OltpError::Statement(StatementError::new(
                SqlState::INTERNAL_ERROR,
                format!("a reply between cores could not be decoded: {error}"),
            ))
        })
    }

    pub(crate) fn footprint(&self) -> Footprint {
        let mut footprint = Footprint::new();
        for (table, version) in &self.statement.tables {
            footprint.planned_at(*table, *version);
        }
        // A fresh row id is in nobody's way: nothing is read for it.
        let blind = self.table.schema.partitioning == Partitioning::RowId && !self.rows.is_empty();
        let access = if blind { Access::Write } else { Access::ReadWrite };
        for address in &self.addresses {
            footprint.point(self.table.schema.storage_id, address.token, &address.key, access);
        }
        index_ranges(&mut footprint, &self.table, self.addresses.iter().map(|a| a.token));
        footprint
    }

    fn changes(&self, view: &dyn View) -> Result<(Vec<Write>, Changed), StatementError> {
        let context = self.surroundings.context(&functions::NoVolatile);
        let mut writes = Vec::new();
        let mut changed = Changed::default();
        match &self.statement.statement {
            Statement::Insert(insert) => {
                self.insert_rows(insert, view, &context, &mut writes, &mut changed)?;
            }
            Statement::Update(update) => {
                self.update_rows(update, view, &context, &mut writes, &mut changed)?;
            }
            Statement::Delete(delete) => {
                self.delete_rows(delete, view, &context, &mut writes, &mut changed)?;
            }
            other => unreachable!("no statement of rows: {other:?}"),
        }
        Ok((writes, changed))
    }

    fn insert_rows(
        &self,
        insert: &Insert,
        view: &dyn View,
        context: &EvalContext<'_>,
        writes: &mut Vec<Write>,
        changed: &mut Changed,
    ) -> Result<(), StatementError> {
        let blind = self.table.schema.partitioning == Partitioning::RowId;
        let mut taken: BTreeSet<&[u8]> = BTreeSet::new();
        for (point, (row, address)) in self.rows.iter().zip(&self.addresses).enumerate() {
            let second = !taken.insert(&address.key);
            let existing = if blind { None } else { view.point(point) };
            if existing.is_none() && !second {
                put(&self.table, address, None, row, writes)?;
                self.count(insert.returning.as_deref(), row, context, changed)?;
                continue;
            }
            match &insert.on_conflict {
                None => return Err(self.table.duplicate(row, context)),
                Some(OnConflict::DoNothing) => {}
                Some(OnConflict::DoUpdate { .. }) if second => return Err(second_time()),
                Some(OnConflict::DoUpdate { assignments, filter }) => {
                    let bytes = existing.expect("the row is there or was proposed twice").row;
                    let old = decode(&self.table, &bytes)?;
                    let both: Vec<Value> = old.iter().chain(row).cloned().collect();
                    if let Some(filter) = filter
                        && !evaluate_predicate(filter, &both, &self.parameters, context)?
                    {
                        continue;
                    }
                    let new = assign(&old, &both, assignments, &self.parameters, context)?;
                    self.table.check(&new, &insert.checks, &self.parameters, context)?;
                    put(&self.table, address, Some(&old), &new, writes)?;
                    self.count(insert.returning.as_deref(), &new, context, changed)?;
                }
            }
        }
        Ok(())
    }

    fn update_rows(
        &self,
        update: &Update,
        view: &dyn View,
        context: &EvalContext<'_>,
        writes: &mut Vec<Write>,
        changed: &mut Changed,
    ) -> Result<(), StatementError> {
        for (point, address) in self.addresses.iter().enumerate() {
            let Some(version) = view.point(point) else { continue };
            let old = decode(&self.table, &version.row)?;
            if let Some(filter) = &update.filter
                && !evaluate_predicate(filter, &old, &self.parameters, context)?
            {
                continue;
            }
            let new = assign(&old, &old, &update.assignments, &self.parameters, context)?;
            self.table.check(&new, &update.checks, &self.parameters, context)?;
            put(&self.table, address, Some(&old), &new, writes)?;
            self.count(update.returning.as_deref(), &new, context, changed)?;
        }
        Ok(())
    }

    fn delete_rows(
        &self,
        delete: &Delete,
        view: &dyn View,
        context: &EvalContext<'_>,
        writes: &mut Vec<Write>,
        changed: &mut Changed,
    ) -> Result<(), StatementError> {
        for (point, address) in self.addresses.iter().enumerate() {
            let Some(version) = view.point(point) else { continue };
            let old = decode(&self.table, &version.row)?;
            if let Some(filter) = &delete.filter
                && !evaluate_predicate(filter, &old, &self.parameters, context)?
            {
                continue;
            }
            remove(&self.table, address, &old, writes);
            self.count(delete.returning.as_deref(), &old, context, changed)?;
        }
        Ok(())
    }

    fn count(
        &self,
        returning: Option<&[functions::Expr]>,
        row: &[Value],
        context: &EvalContext<'_>,
        changed: &mut Changed,
    ) -> Result<(), StatementError> {
        changed.row_count += 1;
        if let Some(output) = returning {
            let values: Result<Vec<Value>, _> =
                output.iter().map(|expr| evaluate(expr, row, &self.parameters, context)).collect();
            changed.rows.push(values?);
        }
        Ok(())
    }
}

impl Workload for PointWrite {
    fn evaluate(&self, _execute_at: Timestamp, view: &dyn View) -> Outcome {
        match self.changes(view) {
            Ok((writes, changed)) => {
                Outcome::Commit(Commit { writes, reply: changed.encode(), ..Commit::default() })
            }
            Err(error) => Outcome::Abort(error.into_abort()),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.append(out);
    }
}

fn as_insert(statement: &BoundStatement) -> &Insert {
    match &statement.statement {
        Statement::Insert(insert) => insert,
        other => panic!("an INSERT was promised, not {other:?}"),
    }
}

pub(crate) fn second_time() -> StatementError {
    StatementError::new(
        SqlState::CARDINALITY_VIOLATION,
        "ON CONFLICT DO UPDATE command cannot affect row a second time",
    )
    .with_hint(
        "Ensure that no rows proposed for insertion within the same command have duplicate constrained values.",
    )
}

fn decode(table: &TableRows, bytes: &[u8]) -> Result<Vec<Value>, StatementError> {
    table
        .decode_to_change(bytes)
        .map_err(|error| StatementError::new(SqlState::DATA_CORRUPTED, error.to_string()))
}

/// The row after some assignments, which all see the row before (and what follows it).
pub(crate) fn assign(
    old: &[Value],
    seen: &[Value],
    assignments: &[(u16, functions::Expr)],
    parameters: &[Value],
    context: &EvalContext<'_>,
) -> Result<Vec<Value>, StatementError> {
    let mut new = old.to_vec();
    for (position, expr) in assignments {
        new[usize::from(*position)] = evaluate(expr, seen, parameters, context)?;
    }
    Ok(new)
}

/// Every entry that rows of these tokens may have or get in the table's indexes.
pub(crate) fn index_ranges(
    footprint: &mut Footprint,
    table: &TableRows,
    tokens: impl Iterator<Item = Token> + Clone,
) {
    for index in &table.schema.indexes {
        let distinct: BTreeSet<Token> = tokens.clone().collect();
        for token in distinct {
            let tokens = TokenRange::one(token);
            let need = RangeNeed::ChangedAt;
            footprint.range(index.index_id, tokens, (&[], None), Access::Write, need);
        }
    }
}

/// Writes a row and its index entries; `old` is the row that was there.
pub(crate) fn put(
    table: &TableRows,
    address: &RowAddress,
    old: Option<&[Value]>,
    new: &[Value],
    writes: &mut Vec<Write>,
) -> Result<(), StatementError> {
    let row = Some(table.encode(new)?);
    let storage = table.schema.storage_id;
    writes.push(Write { table: storage, token: address.token, key: address.key.clone(), row });
    if table.schema.indexes.is_empty() {
        return Ok(());
    }
    let new_keys = table.index_keys(new, &address.key);
    let old_keys = old.map(|old| table.index_keys(old, &address.key));
    for (position, (index, key)) in table.schema.indexes.iter().zip(new_keys).enumerate() {
        let same = old_keys.as_ref().is_some_and(|old| old[position] == key);
        if same {
            continue;
        }
        if let Some(old) = &old_keys {
            let key = old[position].clone();
            writes.push(Write { table: index.index_id, token: address.token, key, row: None });
        }
        let row = Some(table.index_row(position, new));
        writes.push(Write { table: index.index_id, token: address.token, key, row });
    }
    Ok(())
}

/// Removes a row and its index entries.
pub(crate) fn remove(
    table: &TableRows,
    address: &RowAddress,
    old: &[Value],
    writes: &mut Vec<Write>,
) {
    let storage = table.schema.storage_id;
    let key = address.key.clone();
    writes.push(Write { table: storage, token: address.token, key, row: None });
    for (index, key) in table.schema.indexes.iter().zip(table.index_keys(old, &address.key)) {
        writes.push(Write { table: index.index_id, token: address.token, key, row: None });
    }
}
