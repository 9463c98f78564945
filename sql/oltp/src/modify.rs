//! INSERT, UPDATE and DELETE inside a transaction: rows are read at its snapshot and what becomes of them is buffered.

use std::collections::{BTreeMap, BTreeSet};

use functions::{EvalContext, Expr, evaluate_predicate};
use plan::statement::{Delete, Insert, OnConflict, Update};
use types::Value;
use types::schema::{Partitioning, RowAddress};

use crate::access::Targets;
use crate::engine::Engine;
use crate::error::{OltpError, StatementError};
use crate::read::project;
use crate::reply::Changed;
use crate::row::TableRows;
use crate::statement::{assign, second_time};
use crate::transaction::{OwnRow, Transaction};

/// What the expressions of a statement may know.
#[derive(Clone, Copy)]
pub struct Evaluation<'a> {
    /// Values of `$1`, `$2`, …
    pub parameters: &'a [Value],
    /// The rest.
    pub context: &'a EvalContext<'a>,
}

/// A row to change, with the columns that the statement's own query gave beside it.
#[derive(Clone, Debug)]
pub struct FoundRow {
    /// The row as the transaction sees it.
    pub row: OwnRow,
    /// Further columns, after the stored ones.
    pub further: Vec<Value>,
    /// Whether a query has found it: the statement's condition holds.
    pub is_tested: bool,
}

impl From<OwnRow> for FoundRow {
    fn from(row: OwnRow) -> FoundRow {
        FoundRow { row, further: Vec::new(), is_tested: false }
    }
}

/// Inserts stored rows.
///
/// # Errors
/// Constraint violations; those of the engine.
pub async fn insert<E: Engine>(
    engine: &E,
    transaction: &mut Transaction,
    table: &TableRows,
    insert: &Insert,
    rows: Vec<Vec<Value>>,
    evaluation: Evaluation<'_>,
) -> Result<Changed, OltpError> {
    let mut addresses = Vec::with_capacity(rows.len());
    for row in &rows {
        table.check(row, &insert.checks, evaluation.parameters, evaluation.context)?;
        addresses.push(table.address(row)?);
    }
    // A fresh row id is in nobody's way: nothing is read for it.
    let existing = if table.schema.partitioning == Partitioning::RowId {
        Vec::new()
    } else {
        let mut distinct = addresses.clone();
        distinct.sort_by(|a, b| a.key.cmp(&b.key));
        distinct.dedup_by(|a, b| a.key == b.key);
        transaction.rows(engine, table, &Targets::Points(distinct)).await?
    };
    let existing: BTreeMap<&[u8], &OwnRow> =
        existing.iter().map(|own| (own.address.key.as_slice(), own)).collect();
    let mut written: BTreeSet<Vec<u8>> = BTreeSet::new();
    let mut changed = Changed::default();
    for (row, address) in rows.into_iter().zip(addresses) {
        let second = !written.insert(address.key.clone());
        let there = existing.get(address.key.as_slice());
        if there.is_none() && !second {
            count(&mut changed, insert.returning.as_deref(), &row, evaluation)?;
            transaction.put(table, address, None, row)?;
            continue;
        }
        match &insert.on_conflict {
            None => return Err(table.duplicate(&row, evaluation.context).into()),
            Some(OnConflict::DoNothing) => {}
            Some(OnConflict::DoUpdate { .. }) if second => return Err(second_time().into()),
            Some(OnConflict::DoUpdate { assignments, filter }) => {
                let old = &there.expect("the row is there or was proposed twice").values;
                let both: Vec<Value> = old.iter().chain(&row).cloned().collect();
                if !passes(filter.as_ref(), &both, evaluation)? {
                    continue;
                }
                let Evaluation { parameters, context } = evaluation;
                let new = assign(old, &both, assignments, parameters, context)?;
                table.check(&new, &insert.checks, parameters, context)?;
                count(&mut changed, insert.returning.as_deref(), &new, evaluation)?;
                transaction.put(table, address, Some(old.clone()), new)?;
            }
        }
    }
    Ok(changed)
}

/// Updates rows that were found.
///
/// # Errors
/// Constraint violations; those of the engine.
pub async fn update<E: Engine>(
    engine: &E,
    transaction: &mut Transaction,
    table: &TableRows,
    update: &Update,
    found: Vec<FoundRow>,
    evaluation: Evaluation<'_>,
) -> Result<Changed, OltpError> {
    let Evaluation { parameters, context } = evaluation;
    let mut changed = Changed::default();
    let mut moved: Vec<(RowAddress, Vec<Value>)> = Vec::new();
    let mut done: BTreeSet<Vec<u8>> = BTreeSet::new();
    for FoundRow { row: OwnRow { address, values: old }, further, is_tested } in found {
        let filter = update.filter.as_ref().filter(|_| !is_tested);
        // A row that joins several others is updated once, as in PostgreSQL.
        if !done.insert(address.key.clone()) {
            continue;
        }
        let mut seen = old.clone();
        seen.extend(further.iter().cloned());
        if !passes(filter, &seen, evaluation)? {
            continue;
        }
        let new = assign(&old, &seen, &update.assignments, parameters, context)?;
        table.check(&new, &update.checks, parameters, context)?;
        let mut shown = new.clone();
        shown.extend(further);
        count(&mut changed, update.returning.as_deref(), &shown, evaluation)?;
        let target = table.address(&new)?;
        if target.key == address.key {
            transaction.put(table, address, Some(old), new)?;
        } else {
            transaction.delete(table, address, old);
            moved.push((target, new));
        }
    }
    // Rows with new keys come after all old ones have gone, so that keys may be exchanged.
    for (address, row) in moved {
        let targets = Targets::Points(vec![address.clone()]);
        if !transaction.rows(engine, table, &targets).await?.is_empty() {
            return Err(table.duplicate(&row, context).into());
        }
        transaction.put(table, address, None, row)?;
    }
    Ok(changed)
}

/// Deletes rows that were found.
///
/// # Errors
/// What RETURNING raises.
pub fn delete(
    transaction: &mut Transaction,
    table: &TableRows,
    delete: &Delete,
    found: Vec<FoundRow>,
    evaluation: Evaluation<'_>,
) -> Result<Changed, OltpError> {
    let mut changed = Changed::default();
    let mut done: BTreeSet<Vec<u8>> = BTreeSet::new();
    for FoundRow { row: OwnRow { address, values: old }, further, is_tested } in found {
        let filter = delete.filter.as_ref().filter(|_| !is_tested);
        if !done.insert(address.key.clone()) {
            continue;
        }
        let mut seen = old.clone();
        seen.extend(further);
        if !passes(filter, &seen, evaluation)? {
            continue;
        }
        count(&mut changed, delete.returning.as_deref(), &seen, evaluation)?;
        transaction.delete(table, address, old);
    }
    Ok(changed)
}

fn passes(
    filter: Option<&Expr>,
    row: &[Value],
    evaluation: Evaluation<'_>,
) -> Result<bool, StatementError> {
    match filter {
        None => Ok(true),
        Some(filter) => {
            Ok(evaluate_predicate(filter, row, evaluation.parameters, evaluation.context)?)
        }
    }
}

fn count(
    changed: &mut Changed,
    returning: Option<&[Expr]>,
    row: &[Value],
    evaluation: Evaluation<'_>,
) -> Result<(), OltpError> {
    changed.row_count += 1;
    if let Some(output) = returning {
        changed.rows.push(project(output, row, evaluation.parameters, evaluation.context)?);
    }
    Ok(())
}
