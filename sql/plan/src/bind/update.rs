//! UPDATE.

use super::Binder;
use super::scope::{Clause, Scope};
use crate::error::{PlanError, Result};
use crate::point_plan::{Access, plan_access};
use crate::query::{Join, JoinKind, Lateral, OutputColumn, Query, Rel};
use crate::statement::{Deferred, Statement, TableAccess, Update};
use crate::syntax::{self, Assignment, ExprKind, TableRef};
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use functions::{Expr, Volatility};
use types::schema::Generation;
use types::{SqlState, TableSchema};

impl Binder<'_> {
    pub(super) fn update(
        &mut self,
        update: &syntax::Update,
    ) -> Result<(Statement, Vec<OutputColumn>)> {
        if let Some(with) = &update.with {
            self.with_clause(with)?;
        }
        let table = self.stored_table(&update.table)?;
        let target = self.target_entry(&table, update.alias.as_ref());
        let more = self.changed_rows_scope(&table, target, &update.from)?;
        let mut assignments =
            self.within(Clause::Update, |binder| binder.assignments(&update.assignments, &table))?;
        let filter = match &update.filter {
            Some(filter) => Some(self.condition(filter, Clause::Where)?),
            None => None,
        };
        let returning = self.returning(&update.returning)?;
        self.scopes.pop();
        let (returning, output) = match returning {
            Some((expressions, columns)) => (Some(expressions), columns),
            None => (None, Vec::new()),
        };
        let changed: Vec<u16> = assignments.iter().map(|(position, _)| *position).collect();
        let checks = self.checks(&table, Some(&changed))?;
        let mut computed: Vec<&mut Expr> = assignments
            .iter_mut()
            .map(|(_, value)| value)
            .filter(|value| value.needs_query())
            .collect();
        let (target, filter, footprint) = self.changed_rows(&table, more, filter, &mut computed);
        let deferred = deferred(&target, filter.as_ref(), &assignments, returning.is_some());
        let update = Update { target, filter, footprint, assignments, checks, returning, deferred };
        Ok((Statement::Update(Box::new(update)), output))
    }

    /// Opens the scope of UPDATE and DELETE: the table's stored row, then the columns of FROM or USING, whose relation is returned.
    pub(super) fn changed_rows_scope(
        &mut self,
        table: &Arc<TableSchema>,
        target: super::scope::Entry,
        from: &[TableRef],
    ) -> Result<Option<Rel>> {
        let mut entries = alloc::vec![target];
        let mut more = None;
        if !from.is_empty() {
            let (rel, from_entries) = self.from_clause(from)?;
            let offset = table.columns.len() as u32;
            for entry in from_entries {
                if entry.name.is_some() && entry.name == entries[0].name {
                    return Err(PlanError::new(
                        SqlState::DUPLICATE_ALIAS,
                        format!(
                            "table name \"{}\" specified more than once",
                            entry.name.as_deref().unwrap_or_default()
                        ),
                    ));
                }
                entries.push(entry.shifted(offset));
            }
            more = Some(rel);
        }
        self.scopes.push(Scope::new(entries, Clause::Where));
        Ok(more)
    }

    /// How the rows to change are found. `computed` are expressions that only a query can compute: they become columns of the footprint.
    pub(super) fn changed_rows(
        &mut self,
        table: &Arc<TableSchema>,
        more: Option<Rel>,
        filter: Option<Expr>,
        computed: &mut [&mut Expr],
    ) -> (TableAccess, Option<Expr>, Option<Query>) {
        let needs_query = more.is_some()
            || !computed.is_empty()
            || filter.as_ref().is_some_and(Expr::needs_query);
        let mut target = (TableAccess::whole(table), None);
        if !needs_query {
            target = plan_access(table, filter.as_ref());
            if matches!(target.0.access, Access::Points(_) | Access::Nothing) {
                return (target.0, target.1, None);
            }
            if matches!(target.0.access, Access::Whole) {
                target.1 = None;
            }
        }
        let mut root = self.stored_rows(table);
        if let Some(right) = more {
            root = Rel::Join(Box::new(Join {
                left: root,
                right,
                kind: JoinKind::Inner,
                condition: None,
                lateral: Lateral::Independent,
            }));
        }
        if let Some(condition) = filter {
            root = Rel::Filter { input: Box::new(root), condition };
        }
        if !computed.is_empty() {
            let types = root.types();
            let mut expressions: Vec<Expr> = types
                .iter()
                .enumerate()
                .map(|(index, column_type)| Expr::Column {
                    index: index as u32,
                    column_type: *column_type,
                })
                .collect();
            for value in computed {
                let column_type = value.column_type();
                let index = expressions.len() as u32;
                let column = Expr::Column { index, column_type };
                expressions.push(core::mem::replace(*value, column));
            }
            root = Rel::Project { input: Box::new(root), expressions };
        }
        let columns = root
            .types()
            .into_iter()
            .map(|column_type| super::label::plain_column("?column?", column_type))
            .collect();
        (target.0, target.1, Some(Query { root, columns }))
    }

    /// SET: stored positions and values of the columns' types.
    pub(super) fn assignments(
        &mut self,
        assignments: &[Assignment],
        table: &Arc<TableSchema>,
    ) -> Result<Vec<(u16, Expr)>> {
        let mut bound: Vec<(u16, Expr)> = Vec::with_capacity(assignments.len());
        for assignment in assignments {
            let values: Vec<&syntax::Expr> = match (&assignment.value.kind, assignment.row) {
                (ExprKind::Row(fields), true) => fields.iter().collect(),
                (ExprKind::Scalar(_), true) if assignment.columns.len() > 1 => {
                    return Err(PlanError::unsupported("assignment of a subquery's row")
                        .or_at(assignment.value.place() as usize));
                }
                (_, true) if assignment.columns.len() > 1 => {
                    return Err(PlanError::at(
                        SqlState::FEATURE_NOT_SUPPORTED,
                        assignment.value.place() as usize,
                        "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression",
                    ));
                }
                _ => alloc::vec![&assignment.value],
            };
            if values.len() != assignment.columns.len() {
                return Err(PlanError::syntax(
                    assignment.value.place() as usize,
                    "number of columns does not match number of values",
                ));
            }
            for (name, value) in assignment.columns.iter().zip(values) {
                let position = self.target_column(table, name)?;
                if bound.iter().any(|(known, _)| *known == position) {
                    return Err(PlanError::syntax(
                        name.position as usize,
                        format!("multiple assignments to same column \"{}\"", name.name),
                    ));
                }
                let column = &table.columns[usize::from(position)];
                let value = if matches!(value.kind, ExprKind::Default) {
                    self.default_of(column)?
                } else {
                    check_identity(column, value.position)?;
                    let expression = self.expression(value)?;
                    self.assign(expression, column, value.position, "expression")?
                };
                bound.push((position, value));
            }
        }
        Ok(bound)
    }
}

fn check_identity(column: &types::ColumnSchema, position: u32) -> Result<()> {
    let always = column.sequence.is_some_and(|sequence| sequence.generation == Generation::Always);
    if !always {
        return Ok(());
    }
    Err(PlanError::at(
        SqlState::GENERATED_ALWAYS,
        position as usize,
        format!("column \"{}\" can only be updated to DEFAULT", column.name),
    )
    .detail(format!(
        "Column \"{}\" is an identity column defined as GENERATED ALWAYS.",
        column.name
    )))
}

/// A write may wait until COMMIT if it shows the client nothing but that its one row exists, and its value is a function of that row.
fn deferred(
    target: &TableAccess,
    filter: Option<&Expr>,
    assignments: &[(u16, Expr)],
    returning: bool,
) -> Deferred {
    let one_key = matches!(&target.access, Access::Points(keys) if keys.len() == 1);
    let table = &target.table;
    let plain = assignments.iter().all(|(position, value)| {
        let in_key = table.key.iter().any(|key| key.position == *position);
        let in_index = table
            .indexes
            .iter()
            .any(|index| index.columns.iter().any(|column| column.position == *position));
        !in_key && !in_index && value.volatility() != Volatility::Volatile
    });
    if one_key && filter.is_none() && !returning && plain {
        Deferred::Possible
    } else {
        Deferred::Impossible
    }
}
