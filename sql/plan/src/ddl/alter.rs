//! ALTER TABLE: its actions one after the other, as one new version of the table.

use super::{Ids, Outcome, Work, feed, make_sequence, new_storage, next_version, row_id_column};
use crate::catalog::{Catalog, CatalogChange};
use crate::statement::{AlterAction, BoundCheck};
use alloc::sync::Arc;
use alloc::vec::Vec;
use functions::{CastKind, Expr, resolve_function};
use types::schema::Partitioning;
use types::{ColumnType, SqlType, TableId, TableSchema, Value};

/// What the actions add up to.
struct Alteration {
    table: TableSchema,
    /// Rows must move to a new storage.
    rebuild: bool,
    values: Vec<(u16, Expr)>,
    keep: Option<Expr>,
    checks: Vec<BoundCheck>,
    not_null: Vec<u16>,
}

pub(super) fn alter_table(
    table: &Arc<TableSchema>,
    actions: &[AlterAction],
    catalog: &Catalog,
    ids: &mut Ids<'_>,
    outcome: &mut Outcome,
) {
    if actions.iter().all(|action| matches!(action, AlterAction::Kept)) {
        return;
    }
    let mut altered = Alteration {
        table: next_version(table),
        rebuild: false,
        values: Vec::new(),
        keep: None,
        checks: Vec::new(),
        not_null: Vec::new(),
    };
    for action in actions {
        apply(action, &mut altered, catalog, ids, outcome);
    }
    let Alteration { table: mut next, rebuild, values, keep, checks, not_null } = altered;
    if rebuild {
        new_storage(&mut next, ids);
    }
    let next = Arc::new(next);
    outcome.changes.push(CatalogChange::PutTable(next.clone()));
    if rebuild {
        let from = table.clone();
        outcome.work.push(Work::Rebuild { from, to: next.clone(), values, keep });
    }
    if !checks.is_empty() || !not_null.is_empty() {
        outcome.work.push(Work::Validate { table: next, checks, not_null });
    }
}

fn apply(
    action: &AlterAction,
    altered: &mut Alteration,
    catalog: &Catalog,
    ids: &mut Ids<'_>,
    outcome: &mut Outcome,
) {
    let table = &mut altered.table;
    match action {
        AlterAction::AddColumn { .. } => add_column(action, altered, ids, outcome),
        AlterAction::DropColumn { position } => drop_column(*position, table, catalog, outcome),
        AlterAction::AddPrimaryKey { name, columns, partitioning } => {
            for key in columns {
                let column = &mut table.columns[usize::from(key.position)];
                if !column.not_null {
                    column.not_null = true;
                    altered.not_null.push(key.position);
                }
            }
            for column in table.columns.iter_mut().filter(|column| column.hidden) {
                column.dropped = true;
                column.not_null = false;
            }
            table.primary_key = Some(name.clone());
            table.key = columns.clone();
            table.partitioning = *partitioning;
            altered.rebuild = true;
        }
        AlterAction::DropPrimaryKey => {
            let (column, key) = row_id_column(table.columns.len());
            table.columns.push(column);
            table.primary_key = None;
            table.key = alloc::vec![key];
            table.partitioning = Partitioning::RowId;
            altered.rebuild = true;
        }
        AlterAction::Rewrite { values, keep, checks, not_null } => {
            altered.values.extend(values.iter().cloned());
            altered.keep.clone_from(keep);
            altered.checks.extend(checks.iter().cloned());
            altered.not_null.extend(not_null);
            altered.rebuild = true;
        }
        AlterAction::SetType { position, column_type, value, checks } => {
            let column = &mut table.columns[usize::from(*position)];
            column.column_type = *column_type;
            if let Some(value) = value {
                // Every row is written anew, so none lacks the column.
                column.missing = Value::Null;
                altered.values.push((*position, value.clone()));
                altered.checks.extend(checks.iter().cloned());
                altered.rebuild = true;
            }
        }
        AlterAction::AddCheck { check, condition } => {
            table.checks.push(check.clone());
            let check = BoundCheck { name: check.name.clone(), condition: condition.clone() };
            altered.checks.push(check);
        }
        AlterAction::DropCheck { name } => table.checks.retain(|check| check.name != *name),
        AlterAction::SetNotNull { position } => {
            let column = &mut table.columns[usize::from(*position)];
            if !column.not_null {
                column.not_null = true;
                altered.not_null.push(*position);
            }
        }
        AlterAction::DropNotNull { position } => {
            table.columns[usize::from(*position)].not_null = false;
        }
        AlterAction::SetDefault { position, default } => {
            let column = &mut table.columns[usize::from(*position)];
            column.default = default.clone();
            column.sequence = None;
        }
        AlterAction::RenameTable { name } => table.name = name.clone(),
        AlterAction::RenameColumn { position, name } => {
            table.columns[usize::from(*position)].name = name.clone();
        }
        AlterAction::Kept => {}
    }
}

fn add_column(
    action: &AlterAction,
    altered: &mut Alteration,
    ids: &mut Ids<'_>,
    outcome: &mut Outcome,
) {
    let AlterAction::AddColumn { column, rewrite, sequence, checks } = action else { return };
    let table = &mut altered.table;
    let position = table.columns.len() as u16;
    let mut column = (**column).clone();
    column.id = types::ColumnId(position);
    let mut value = rewrite.clone();
    if let Some((generation, definition)) = sequence {
        let sequence_id = ids.next();
        let made = make_sequence(definition, sequence_id, Some((table.table_id, position)));
        feed(&mut column, sequence_id, *generation);
        outcome.changes.push(CatalogChange::PutSequence(Arc::new(made)));
        value = next_value(sequence_id, column.column_type);
    }
    if column.not_null && value.is_none() && column.missing.is_null() {
        altered.not_null.push(position);
    }
    if let Some(value) = value {
        altered.values.push((position, value));
        altered.rebuild = true;
    }
    table.columns.push(column);
    table.checks.extend(checks.iter().cloned());
}

/// `nextval` of a sequence that was just made.
fn next_value(sequence_id: TableId, to: ColumnType) -> Option<Expr> {
    let found = resolve_function("nextval", &[SqlType::Regclass]).ok()?;
    let name = Expr::literal(Value::Oid(sequence_id.0), SqlType::Regclass);
    let call = Expr::Call {
        function: found.function,
        arguments: alloc::vec![name],
        column_type: ColumnType::plain(found.returns),
    };
    Some(call.cast_to(to, CastKind::Assignment))
}

/// A column goes with the indexes on it and its sequence; CHECKs that name it are actions of their own.
fn drop_column(position: u16, table: &mut TableSchema, catalog: &Catalog, outcome: &mut Outcome) {
    table.indexes.retain(|index| index.columns.iter().all(|column| column.position != position));
    let column = &mut table.columns[usize::from(position)];
    column.dropped = true;
    column.not_null = false;
    column.default = None;
    if let Some(sequence) = column.sequence.take() {
        let owner = catalog.sequence(sequence.sequence_id).and_then(|found| found.owned_by);
        if owner == Some((table.table_id, position)) {
            outcome.changes.push(CatalogChange::DropSequence(sequence.sequence_id));
        }
    }
}
