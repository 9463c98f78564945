//! What a write to a table needs beside the statement's own text: defaults, CHECK constraints, and names of stored columns.

use super::Binder;
use super::scope::{Clause, ColumnValue, Entry, Scope, ScopeColumn};
use crate::error::{PlanError, Result};
use crate::parse::parse_expression;
use crate::query::{OutputColumn, Rel, Scan};
use crate::statement::BoundCheck;
use crate::syntax::{Ident, SelectItem};
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use functions::{Expr, resolve_function};
use types::schema::ColumnSequence;
use types::{ColumnSchema, ColumnType, SqlState, SqlType, TableSchema, Value};

impl Binder<'_> {
    /// Names of a table's visible columns at their stored positions, `offset` columns into the row.
    pub(super) fn stored_entry(&self, table: &Arc<TableSchema>, offset: u32) -> Entry {
        let columns = table
            .visible_columns()
            .map(|(position, column)| ScopeColumn {
                name: column.name.clone(),
                column_type: column.column_type,
                value: ColumnValue::At(offset + u32::from(position)),
                origin: Some((table.table_id, position as i16 + 1)),
            })
            .collect();
        Entry {
            name: Some(table.name.clone()),
            namespace: Some(table.namespace.clone()),
            columns,
            unqualified: true,
            scalar_function: false,
            table: Some(table.clone()),
        }
    }

    /// The same under an alias.
    pub(super) fn target_entry(&self, table: &Arc<TableSchema>, alias: Option<&Ident>) -> Entry {
        let mut entry = self.stored_entry(table, 0);
        if let Some(alias) = alias {
            entry.name = Some(alias.name.clone());
            entry.namespace = None;
        }
        entry
    }

    /// All stored columns of a table's rows, NULL for dropped ones.
    pub(super) fn stored_rows(&self, table: &Arc<TableSchema>) -> Rel {
        let mut positions = Vec::with_capacity(table.columns.len());
        let mut expressions = Vec::with_capacity(table.columns.len());
        for (position, column) in table.columns.iter().enumerate() {
            let column_type = column.column_type;
            if column.dropped {
                expressions.push(Expr::Literal { value: Value::Null, column_type });
            } else {
                expressions.push(Expr::Column { index: positions.len() as u32, column_type });
                positions.push(position as u16);
            }
        }
        let whole = positions.len() == table.columns.len();
        let scan = Rel::Scan(Scan { table: table.clone(), columns: positions });
        if whole { scan } else { Rel::Project { input: Box::new(scan), expressions } }
    }

    /// What a column holds when nothing is said: its default, its sequence's next value, or NULL.
    pub(super) fn default_of(&mut self, column: &ColumnSchema) -> Result<Expr> {
        if column.dropped || column.hidden {
            return Ok(null_of(column.column_type));
        }
        if let Some(sequence) = &column.sequence {
            return self.next_value(*sequence, column);
        }
        match &column.default {
            None => Ok(null_of(column.column_type)),
            Some(text) => {
                let syntax = parse_expression(text)?;
                let bound = self.alone(Clause::Default, |binder| binder.expression(&syntax))?;
                self.assign(bound, column, 0, "default expression").map_err(unplaced)
            }
        }
    }

    fn next_value(&mut self, sequence: ColumnSequence, column: &ColumnSchema) -> Result<Expr> {
        if let Some(found) = self.catalog.sequence(sequence.sequence_id) {
            self.depend(found.sequence_id, found.version);
        }
        let found = resolve_function("nextval", &[SqlType::Regclass])?;
        let name = Expr::literal(Value::Oid(sequence.sequence_id.0), SqlType::Regclass);
        let call = Expr::Call {
            function: found.function,
            arguments: alloc::vec![name],
            column_type: ColumnType::plain(found.returns),
        };
        self.assign(call, column, 0, "default expression").map_err(unplaced)
    }

    /// Binds something that sees no columns and nothing of the statement around it.
    pub(super) fn alone<T>(
        &mut self,
        clause: Clause,
        body: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        self.over(Vec::new(), clause, body)
    }

    /// Binds something that sees these names only.
    pub(super) fn over<T>(
        &mut self,
        entries: Vec<Entry>,
        clause: Clause,
        body: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let around = core::mem::take(&mut self.scopes);
        self.scopes.push(Scope::new(entries, clause));
        let result = body(self);
        self.scopes = around;
        result
    }

    /// The table's CHECK constraints; only those that name one of these stored columns, if there is a list.
    pub(super) fn checks(
        &mut self,
        table: &Arc<TableSchema>,
        changed: Option<&[u16]>,
    ) -> Result<Vec<BoundCheck>> {
        let mut checks = Vec::with_capacity(table.checks.len());
        for check in &table.checks {
            let syntax = parse_expression(&check.expression)?;
            let condition = self.check_condition(table, &syntax).map_err(unplaced)?;
            let touched = changed.is_none_or(|changed| {
                condition
                    .columns_read()
                    .iter()
                    .any(|index| changed.iter().any(|one| u32::from(*one) == *index))
            });
            if touched {
                checks.push(BoundCheck { name: check.name.clone(), condition });
            }
        }
        Ok(checks)
    }

    pub(super) fn check_condition(
        &mut self,
        table: &Arc<TableSchema>,
        syntax: &crate::syntax::Expr,
    ) -> Result<Expr> {
        let entry = self.stored_entry(table, 0);
        let bound = self.over(alloc::vec![entry], Clause::Check, |binder| {
            let bound = binder.expression(syntax)?;
            binder.boolean(bound, "CHECK", syntax.position)
        })?;
        Ok(bound)
    }

    /// A column that a statement assigns to.
    pub(super) fn target_column(&self, table: &TableSchema, name: &Ident) -> Result<u16> {
        table.column_position(&name.name).ok_or_else(|| {
            PlanError::at(
                SqlState::UNDEFINED_COLUMN,
                name.position as usize,
                format!("column \"{}\" of relation \"{}\" does not exist", name.name, table.name),
            )
        })
    }

    /// RETURNING over the innermost scope.
    pub(super) fn returning(
        &mut self,
        items: &[SelectItem],
    ) -> Result<Option<(Vec<Expr>, Vec<OutputColumn>)>> {
        if items.is_empty() {
            return Ok(None);
        }
        let targets = self.within(Clause::Returning, |binder| binder.select_list(items))?;
        let mut expressions = Vec::with_capacity(targets.len());
        let mut columns = Vec::with_capacity(targets.len());
        for target in targets {
            let expression = self.text_if_unknown(target.expression)?;
            if expression.needs_query() {
                return Err(PlanError::unsupported("a subquery in RETURNING")
                    .or_at(target.position as usize));
            }
            columns.push(OutputColumn {
                name: target.name,
                column_type: expression.column_type(),
                origin: target.origin,
            });
            expressions.push(expression);
        }
        Ok(Some((expressions, columns)))
    }
}

pub(super) fn null_of(column_type: ColumnType) -> Expr {
    Expr::Literal { value: Value::Null, column_type }
}

/// A place in a stored text means nothing to the client.
pub(super) fn unplaced(mut error: Box<PlanError>) -> Box<PlanError> {
    error.position = None;
    error
}
