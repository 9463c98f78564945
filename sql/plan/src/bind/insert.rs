//! INSERT.

use super::Binder;
use super::query::{Unknowns, target_place};
use super::scope::{Clause, Scope};
use crate::error::{PlanError, Result};
use crate::query::{OutputColumn, Query, Rel};
use crate::statement::{Insert, InsertSource, OnConflict, Statement};
use crate::syntax::{self, ConflictTarget, ExprKind, Overriding, QueryBody};
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use functions::Expr;
use types::schema::Generation;
use types::{ColumnType, SqlState, SqlType, TableSchema};

impl Binder<'_> {
    pub(super) fn insert(
        &mut self,
        insert: &syntax::Insert,
    ) -> Result<(Statement, Vec<OutputColumn>)> {
        if let Some(with) = &insert.with {
            self.with_clause(with)?;
        }
        let table = self.stored_table(&insert.table)?;
        let columns = self.insert_columns(insert, &table)?;
        let source = self.insert_source(insert, &table, &columns)?;
        let entry = self.target_entry(&table, insert.alias.as_ref());
        let on_conflict = match &insert.on_conflict {
            Some(conflict) => Some(self.on_conflict(conflict, &table, &entry)?),
            None => None,
        };
        let returning = self.over(alloc::vec![entry], Clause::Returning, |binder| {
            binder.returning(&insert.returning)
        })?;
        let (returning, output) = match returning {
            Some((expressions, columns)) => (Some(expressions), columns),
            None => (None, Vec::new()),
        };
        let checks = self.checks(&table, None)?;
        let statement = Insert { table, source, checks, on_conflict, returning };
        Ok((Statement::Insert(Box::new(statement)), output))
    }

    /// Stored positions that the values go to, in order.
    fn insert_columns(&self, insert: &syntax::Insert, table: &TableSchema) -> Result<Vec<u16>> {
        if insert.columns.is_empty() {
            return Ok(table.visible_columns().map(|(position, _)| position).collect());
        }
        let mut columns = Vec::with_capacity(insert.columns.len());
        for name in &insert.columns {
            let position = self.target_column(table, name)?;
            if columns.contains(&position) {
                return Err(PlanError::at(
                    SqlState::DUPLICATE_COLUMN,
                    name.position as usize,
                    format!("column \"{}\" specified more than once", name.name),
                ));
            }
            columns.push(position);
        }
        Ok(columns)
    }

    fn insert_source(
        &mut self,
        insert: &syntax::Insert,
        table: &Arc<TableSchema>,
        columns: &[u16],
    ) -> Result<InsertSource> {
        let Some(source) = &insert.source else {
            let mut row = Vec::with_capacity(table.columns.len());
            for column in &table.columns {
                row.push(self.default_of(column)?);
            }
            return Ok(InsertSource::Rows(alloc::vec![row]));
        };
        match &source.body {
            QueryBody::Values(rows)
                if source.with.is_none()
                    && source.order_by.is_empty()
                    && source.limit.is_none()
                    && source.offset.is_none() =>
            {
                self.insert_rows(insert, table, columns, rows)
            }
            _ => self.insert_query(insert, table, columns, source),
        }
    }

    fn insert_rows(
        &mut self,
        insert: &syntax::Insert,
        table: &Arc<TableSchema>,
        columns: &[u16],
        rows: &[Vec<syntax::Expr>],
    ) -> Result<InsertSource> {
        self.scopes.push(Scope::new(Vec::new(), Clause::Values));
        let mut defaults: Vec<Option<Expr>> = alloc::vec![None; table.columns.len()];
        let mut stored = Vec::with_capacity(rows.len());
        for row in rows {
            if row.len() != rows[0].len() {
                return Err(PlanError::syntax(
                    row[0].position as usize,
                    "VALUES lists must all be the same length",
                ));
            }
            check_width(insert, columns.len(), row.len(), |index| row[index].place())?;
            let mut given: Vec<Option<Expr>> = alloc::vec![None; table.columns.len()];
            for (syntax, position) in row.iter().zip(columns) {
                let position = usize::from(*position);
                let column = &table.columns[position];
                if matches!(syntax.kind, ExprKind::Default) {
                    continue;
                }
                if !self.takes_value(column, insert.overriding, syntax.position)? {
                    continue;
                }
                let bound = self.expression(syntax)?;
                given[position] =
                    Some(self.assign(bound, column, syntax.position, "expression")?);
            }
            let mut full = Vec::with_capacity(given.len());
            for (position, value) in given.into_iter().enumerate() {
                let value = match (value, &defaults[position]) {
                    (Some(value), _) => value,
                    (None, Some(known)) => known.clone(),
                    (None, None) => {
                        let default = self.default_of(&table.columns[position])?;
                        defaults[position] = Some(default.clone());
                        default
                    }
                };
                full.push(value);
            }
            stored.push(full);
        }
        self.scopes.pop();
        if !stored.iter().flatten().any(Expr::needs_query) {
            return Ok(InsertSource::Rows(stored));
        }
        // Values with subqueries are computed by a query.
        let types: Vec<ColumnType> =
            table.columns.iter().map(|column| column.column_type).collect();
        let values = whole_row(&types);
        let columns = types
            .iter()
            .map(|column_type| super::label::plain_column("?column?", *column_type))
            .collect();
        let query = Query { root: Rel::Values { types, rows: stored }, columns };
        Ok(InsertSource::Query { query, values })
    }

    fn insert_query(
        &mut self,
        insert: &syntax::Insert,
        table: &Arc<TableSchema>,
        columns: &[u16],
        source: &syntax::Query,
    ) -> Result<InsertSource> {
        if let Some(lock) = source.locks.first() {
            return Err(
                PlanError::unsupported("a row lock in a subquery").or_at(lock.position as usize)
            );
        }
        let query = self.query_with(source, Unknowns::Keep)?;
        let place = |index| target_place(source, index);
        check_width(insert, columns.len(), query.columns.len(), place)?;
        // Open types become the columns' own.
        let types: Vec<ColumnType> = query
            .columns
            .iter()
            .zip(columns)
            .map(|(column, position)| {
                if column.column_type.sql_type == SqlType::Unknown {
                    table.columns[usize::from(*position)].column_type
                } else {
                    column.column_type
                }
            })
            .collect();
        let query = self.with_types(query, &types, source)?;
        let mut given: Vec<Option<Expr>> = alloc::vec![None; table.columns.len()];
        for (index, position) in columns.iter().enumerate().take(types.len()) {
            let column = &table.columns[usize::from(*position)];
            if !self.takes_value(column, insert.overriding, place(index))? {
                continue;
            }
            let value = Expr::Column { index: index as u32, column_type: types[index] };
            let value = self.assign(value, column, place(index), "expression")?;
            given[usize::from(*position)] = Some(value);
        }
        let mut values = Vec::with_capacity(given.len());
        for (position, value) in given.into_iter().enumerate() {
            values.push(match value {
                Some(value) => value,
                None => self.default_of(&table.columns[position])?,
            });
        }
        Ok(InsertSource::Query { query, values })
    }

    /// Whether a value written for a column is used. An identity column decides for itself.
    fn takes_value(
        &self,
        column: &types::ColumnSchema,
        overriding: Overriding,
        position: u32,
    ) -> Result<bool> {
        let Some(sequence) = &column.sequence else { return Ok(true) };
        match (sequence.generation, overriding) {
            (Generation::Serial, _) => Ok(true),
            (_, Overriding::User) => Ok(false),
            (Generation::Always, Overriding::No) => Err(PlanError::at(
                SqlState::GENERATED_ALWAYS,
                position as usize,
                format!("cannot insert a non-DEFAULT value into column \"{}\"", column.name),
            )
            .detail(format!(
                "Column \"{}\" is an identity column defined as GENERATED ALWAYS.",
                column.name
            ))
            .hint("Use OVERRIDING SYSTEM VALUE to override.")),
            _ => Ok(true),
        }
    }

    // --- ON CONFLICT

    fn on_conflict(
        &mut self,
        conflict: &syntax::OnConflict,
        table: &Arc<TableSchema>,
        entry: &super::scope::Entry,
    ) -> Result<OnConflict> {
        self.conflict_target(conflict, table)?;
        let Some((assignments, filter)) = &conflict.update else {
            return Ok(OnConflict::DoNothing);
        };
        if matches!(conflict.target, ConflictTarget::Any) {
            return Err(PlanError::syntax(
                conflict.position as usize,
                "ON CONFLICT DO UPDATE requires inference specification or constraint name",
            )
            .hint("For example, ON CONFLICT (column_name)."));
        }
        let mut excluded = self.stored_entry(table, table.columns.len() as u32);
        excluded.name = Some("excluded".into());
        excluded.namespace = None;
        let entries = alloc::vec![entry.clone(), excluded];
        self.over(entries, Clause::Update, |binder| {
            let assignments = binder.assignments(assignments, table)?;
            let filter = match filter {
                Some(filter) => Some(binder.condition(filter, Clause::Where)?),
                None => None,
            };
            let needs = assignments.iter().any(|(_, value)| value.needs_query())
                || filter.as_ref().is_some_and(Expr::needs_query);
            if needs {
                return Err(PlanError::unsupported("a subquery in ON CONFLICT DO UPDATE"));
            }
            Ok(OnConflict::DoUpdate { assignments, filter })
        })
    }

    /// The one thing that may conflict is the primary key.
    fn conflict_target(&self, conflict: &syntax::OnConflict, table: &TableSchema) -> Result<()> {
        let no_match = || {
            PlanError::new(
                SqlState::INVALID_COLUMN_REFERENCE,
                "there is no unique or exclusion constraint matching the ON CONFLICT specification",
            )
        };
        match &conflict.target {
            ConflictTarget::Any => Ok(()),
            ConflictTarget::Constraint(name) => {
                if table.primary_key.as_deref() == Some(&*name.name) {
                    return Ok(());
                }
                Err(PlanError::at(
                    SqlState::UNDEFINED_OBJECT,
                    name.position as usize,
                    format!(
                        "constraint \"{}\" for table \"{}\" does not exist",
                        name.name, table.name
                    ),
                ))
            }
            // A partial specification also matches a whole unique index, so its filter does not matter.
            ConflictTarget::Columns { columns, position: place, .. } => {
                let mut positions = Vec::with_capacity(columns.len());
                for column in columns {
                    let Some(name) = column.as_plain_column() else { return Err(no_match()) };
                    let position = table.column_position(&name.name).ok_or_else(|| {
                        PlanError::at(
                            SqlState::UNDEFINED_COLUMN,
                            *place as usize,
                            format!("column \"{}\" does not exist", name.name),
                        )
                    })?;
                    if !positions.contains(&position) {
                        positions.push(position);
                    }
                }
                let matches = table.primary_key.is_some()
                    && positions.len() == table.key.len()
                    && table.key.iter().all(|key| positions.contains(&key.position));
                if matches { Ok(()) } else { Err(no_match()) }
            }
        }
    }
}

fn check_width(
    insert: &syntax::Insert,
    columns: usize,
    values: usize,
    place: impl Fn(usize) -> u32,
) -> Result<()> {
    if values > columns {
        return Err(PlanError::syntax(
            place(columns) as usize,
            "INSERT has more expressions than target columns",
        ));
    }
    if values < columns && !insert.columns.is_empty() {
        return Err(PlanError::syntax(
            insert.columns[values].position as usize,
            "INSERT has more target columns than expressions",
        ));
    }
    Ok(())
}

/// Every column of a row, as it is.
fn whole_row(types: &[ColumnType]) -> Vec<Expr> {
    types
        .iter()
        .enumerate()
        .map(|(index, column_type)| Expr::Column { index: index as u32, column_type: *column_type })
        .collect()
}
