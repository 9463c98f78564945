//! Queries around the SELECT: WITH, VALUES, set operations, ORDER BY and LIMIT of those.

use super::Binder;
use super::aggregate::sort_key;
use super::label::plain_column;
use super::scope::{Clause, ColumnValue, Entry, Scope, ScopeColumn, Visibility};
use crate::error::{PlanError, Result};
use crate::query::{OutputColumn, Query, Rel, SetOperation, WithBody, WithQuery};
use crate::statement::{RowLock, Select, Statement};
use crate::syntax::{self, ExprKind, OrderItem, QueryBody, With, WithItem};
use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;
use functions::{CastKind, Expr, common_type};
use types::{ColumnType, SqlState, SqlType};

/// A name that WITH gives to a query.
#[derive(Clone, Debug)]
pub(super) struct WithName {
    name: Box<str>,
    index: usize,
    columns: Rc<[OutputColumn]>,
    /// Whether its own step is being bound: then it means the rows of the round before.
    recursing: bool,
}

/// What happens to columns whose type nothing decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknowns {
    /// They are text.
    Text,
    /// Whoever uses the query decides.
    Keep,
}

const LOCK_REFUSALS: &str = "is not allowed with";

impl Binder<'_> {
    pub(super) fn select_statement(
        &mut self,
        query: &syntax::Query,
    ) -> Result<(Statement, Vec<OutputColumn>)> {
        let lock = self.row_lock(query)?;
        let bound = self.query_with(query, Unknowns::Text)?;
        let columns = bound.columns.clone();
        let short = crate::point_plan::short_read(&bound, lock);
        if lock.is_some() && short.is_none() {
            return Err(PlanError::unsupported("a row lock on rows that are found by reading"));
        }
        Ok((Statement::Select(Box::new(Select { query: bound, short })), columns))
    }

    /// The strongest lock asked for. Only the outermost query may ask for one.
    fn row_lock(&self, query: &syntax::Query) -> Result<Option<RowLock>> {
        let Some(clause) = query.locks.iter().max_by_key(|clause| clause.strength) else {
            return Ok(None);
        };
        let name = match clause.strength {
            crate::statement::LockStrength::Update => "FOR UPDATE",
            crate::statement::LockStrength::NoKeyUpdate => "FOR NO KEY UPDATE",
            crate::statement::LockStrength::Share => "FOR SHARE",
            crate::statement::LockStrength::KeyShare => "FOR KEY SHARE",
        };
        let refuse = |what: &str| {
            Err(PlanError::at(
                SqlState::FEATURE_NOT_SUPPORTED,
                clause.position as usize,
                format!("{name} {LOCK_REFUSALS} {what}"),
            ))
        };
        let select = match &query.body {
            QueryBody::Select(select) => select,
            QueryBody::Values(_) => return refuse("VALUES"),
            QueryBody::Set { .. } => return refuse("UNION/INTERSECT/EXCEPT"),
        };
        if !matches!(select.distinct, syntax::Distinct::No) {
            return refuse("DISTINCT clause");
        }
        if !select.group_by.is_empty() {
            return refuse("GROUP BY clause");
        }
        if select.having.is_some() {
            return refuse("HAVING clause");
        }
        for of in query.locks.iter().flat_map(|clause| &clause.of) {
            let known = select.from.iter().any(|one| match one {
                syntax::TableRef::Table { name, alias } => match alias {
                    Some(alias) => alias.name.name == of.name,
                    None => name.parts.last().is_some_and(|part| part.name == of.name),
                },
                _ => false,
            });
            if !known {
                return Err(PlanError::at(
                    SqlState::UNDEFINED_TABLE,
                    of.position as usize,
                    format!("relation \"{}\" in {name} clause not found in FROM clause", of.name),
                ));
            }
        }
        Ok(Some(RowLock { strength: clause.strength, wait: clause.wait }))
    }

    /// A query whose columns all have types.
    pub(super) fn query(&mut self, query: &syntax::Query) -> Result<Query> {
        if let Some(lock) = query.locks.first() {
            return Err(
                PlanError::unsupported("a row lock in a subquery").or_at(lock.position as usize)
            );
        }
        self.query_with(query, Unknowns::Text)
    }

    pub(super) fn query_with(
        &mut self,
        query: &syntax::Query,
        unknowns: Unknowns,
    ) -> Result<Query> {
        let names = self.with_names.len();
        if let Some(with) = &query.with {
            self.with_clause(with)?;
        }
        let bound = match &query.body {
            QueryBody::Select(select) => self.select(select, query, unknowns),
            QueryBody::Values(rows) => {
                let bound = self.values(rows, unknowns)?;
                self.order_and_limit(bound, query, "VALUES")
            }
            QueryBody::Set { operation, all, left, right } => {
                let bound = self.set_operation(*operation, *all, left, right, unknowns)?;
                self.order_and_limit(bound, query, set_name(*operation))
            }
        }?;
        self.with_names.truncate(names);
        Ok(bound)
    }

    // --- WITH

    pub(super) fn with_clause(&mut self, with: &With) -> Result<()> {
        for (position, item) in with.queries.iter().enumerate() {
            if with.queries[..position].iter().any(|other| other.name.name == item.name.name) {
                return Err(PlanError::at(
                    SqlState::DUPLICATE_ALIAS,
                    item.name.position as usize,
                    format!("WITH query name \"{}\" specified more than once", item.name.name),
                ));
            }
            // It sees nothing of the queries around it.
            let before: Vec<Visibility> =
                self.scopes.iter().map(|scope| scope.visibility).collect();
            for scope in &mut self.scopes {
                scope.visibility = Visibility::Hidden;
            }
            self.with_item(item, with.recursive)?;
            for (scope, visibility) in self.scopes.iter_mut().zip(before) {
                scope.visibility = visibility;
            }
        }
        Ok(())
    }

    fn with_item(&mut self, item: &WithItem, recursive: bool) -> Result<()> {
        if recursive
            && let QueryBody::Set { operation: SetOperation::Union, all, left, right } =
                &item.query.body
            && item.query.with.is_none()
        {
            return self.recursive_item(item, *all, left, right);
        }
        let query = self.query(&item.query)?;
        let columns = self.with_columns(item, query.columns)?;
        self.push_with(item, WithBody::Plain(query.root), columns);
        Ok(())
    }

    fn push_with(&mut self, item: &WithItem, body: WithBody, columns: Rc<[OutputColumn]>) -> usize {
        let index = self.subqueries.with.len();
        let types = columns.iter().map(|column| column.column_type).collect();
        let name = item.name.name.clone();
        self.subqueries.with.push(WithQuery { name: name.clone(), body, types, references: 0 });
        self.with_names.push(WithName { name, index, columns, recursing: false });
        index
    }

    fn with_columns(
        &self,
        item: &WithItem,
        mut columns: Vec<OutputColumn>,
    ) -> Result<Rc<[OutputColumn]>> {
        if item.columns.len() > columns.len() {
            return Err(PlanError::at(
                SqlState::INVALID_COLUMN_REFERENCE,
                item.name.position as usize,
                format!(
                    "WITH query \"{}\" has {} columns available but {} columns specified",
                    item.name.name,
                    columns.len(),
                    item.columns.len()
                ),
            ));
        }
        for (column, alias) in columns.iter_mut().zip(&item.columns) {
            column.name = alias.name.clone();
        }
        Ok(columns.into())
    }

    fn recursive_item(
        &mut self,
        item: &WithItem,
        all: bool,
        left: &syntax::Query,
        right: &syntax::Query,
    ) -> Result<()> {
        let start = self.query(left)?;
        let names = start.columns.clone();
        let columns = self.with_columns(item, start.columns)?;
        let types: Vec<ColumnType> = columns.iter().map(|column| column.column_type).collect();
        let index = self.push_with(item, WithBody::Plain(Rel::OneRow), columns);
        if let Some(name) = self.with_names.last_mut() {
            name.recursing = true;
        }
        let step = self.query_with(right, Unknowns::Keep)?;
        let used = self.subqueries.with[index].references > 0;
        let clothed = !item.query.order_by.is_empty()
            || item.query.limit.is_some()
            || item.query.offset.is_some();
        if used && clothed {
            let clause = if item.query.order_by.is_empty() { "LIMIT" } else { "ORDER BY" };
            let place = item.query.order_by.first().map(|key| key.expression.place());
            let message = format!("{clause} in a recursive query is not implemented");
            let error = PlanError::new(SqlState::FEATURE_NOT_SUPPORTED, message);
            return Err(match place {
                Some(place) => error.or_at(place as usize),
                None => error,
            });
        }
        if step.columns.len() != types.len() {
            return Err(PlanError::syntax(
                target_place(right, 0) as usize,
                "each UNION query must have the same number of columns",
            ));
        }
        for (position, (found, wanted)) in step.columns.iter().zip(&types).enumerate() {
            let found = found.column_type.sql_type;
            let place = target_place(right, position) as usize;
            let common = common_type(&[wanted.sql_type, found], "UNION")
                .map_err(|error| Box::<PlanError>::from(error).or_at(place))?;
            if common != wanted.sql_type {
                return Err(PlanError::at(
                    SqlState::DATATYPE_MISMATCH,
                    target_place(left, position) as usize,
                    format!(
                        "recursive query \"{}\" column {} has type {} in non-recursive term but type {} overall",
                        item.name.name,
                        position + 1,
                        wanted.sql_type.name(),
                        common.name()
                    ),
                )
                .hint("Cast the output of the non-recursive term to the correct type."));
            }
        }
        let step = self.with_types(step, &types, right)?;
        let body = if used {
            WithBody::Recursive { start: start.root, step: step.root, all }
        } else {
            let whole = Query {
                root: Rel::SetOperation {
                    operation: SetOperation::Union,
                    all,
                    left: Box::new(start.root),
                    right: Box::new(step.root),
                },
                columns: names,
            };
            WithBody::Plain(self.order_and_limit(whole, &item.query, "UNION")?.root)
        };
        let with = &mut self.subqueries.with[index];
        with.body = body;
        with.references = 0;
        if let Some(name) = self.with_names.last_mut() {
            name.recursing = false;
        }
        Ok(())
    }

    /// The relation that a WITH name means, and its columns.
    pub(super) fn with_scan(&mut self, name: &str) -> Option<(Rel, Rc<[OutputColumn]>)> {
        let found = self.with_names.iter().rev().find(|known| &*known.name == name)?.clone();
        let with = &mut self.subqueries.with[found.index];
        with.references += 1;
        let types = found.columns.iter().map(|column| column.column_type).collect();
        let rel = if found.recursing {
            Rel::WorkTable { index: found.index, types }
        } else {
            Rel::WithScan { index: found.index, types }
        };
        Some((rel, found.columns))
    }

    // --- VALUES

    fn values(&mut self, rows: &[Vec<syntax::Expr>], unknowns: Unknowns) -> Result<Query> {
        let width = rows[0].len();
        self.scopes.push(Scope::new(Vec::new(), Clause::Values));
        let mut by_column: Vec<Vec<(Expr, u32)>> =
            (0..width).map(|_| Vec::with_capacity(rows.len())).collect();
        for row in rows {
            if row.len() != width {
                return Err(PlanError::syntax(
                    row[0].position as usize,
                    "VALUES lists must all be the same length",
                ));
            }
            for (column, value) in by_column.iter_mut().zip(row) {
                column.push((self.expression(value)?, value.position));
            }
        }
        let mut columns = Vec::with_capacity(width);
        let mut types = Vec::with_capacity(width);
        let mut cast_rows: Vec<Vec<Expr>> =
            rows.iter().map(|_| Vec::with_capacity(width)).collect();
        for (position, column) in by_column.into_iter().enumerate() {
            let open = column.iter().all(|(value, _)| value.sql_type() == SqlType::Unknown);
            let (values, common) = if open && unknowns == Unknowns::Keep {
                let values = column.into_iter().map(|(value, _)| value).collect();
                (values, ColumnType::plain(SqlType::Unknown))
            } else {
                self.unify(column, "VALUES")?
            };
            for (row, value) in cast_rows.iter_mut().zip(values) {
                row.push(value);
            }
            types.push(common);
            columns.push(plain_column(&format!("column{}", position + 1), common));
        }
        self.scopes.pop();
        Ok(Query { root: Rel::Values { types, rows: cast_rows }, columns })
    }

    // --- set operations

    fn set_operation(
        &mut self,
        operation: SetOperation,
        all: bool,
        left: &syntax::Query,
        right: &syntax::Query,
        unknowns: Unknowns,
    ) -> Result<Query> {
        let left_bound = self.query_with(left, Unknowns::Keep)?;
        let right_bound = self.query_with(right, Unknowns::Keep)?;
        let name = set_name(operation);
        if left_bound.columns.len() != right_bound.columns.len() {
            return Err(PlanError::syntax(
                target_place(right, 0) as usize,
                format!("each {name} query must have the same number of columns"),
            ));
        }
        let mut types = Vec::with_capacity(left_bound.columns.len());
        let pairs = left_bound.columns.iter().zip(&right_bound.columns);
        for (position, (a, b)) in pairs.enumerate() {
            let (a, b) = (a.column_type, b.column_type);
            if a == b && (a.sql_type != SqlType::Unknown || unknowns == Unknowns::Keep) {
                types.push(a);
                continue;
            }
            let place = target_place(right, position) as usize;
            let common = common_type(&[a.sql_type, b.sql_type], name)
                .map_err(|error| Box::<PlanError>::from(error).or_at(place))?;
            types.push(ColumnType::plain(common));
        }
        let left_bound = self.with_types(left_bound, &types, left)?;
        let right_bound = self.with_types(right_bound, &types, right)?;
        let columns = left_bound
            .columns
            .into_iter()
            .map(|column| OutputColumn { origin: None, ..column })
            .collect();
        let root = Rel::SetOperation {
            operation,
            all,
            left: Box::new(left_bound.root),
            right: Box::new(right_bound.root),
        };
        Ok(Query { root, columns })
    }

    /// The query with columns of these types: open ones are decided where they are written, others cast.
    pub(super) fn with_types(
        &mut self,
        mut query: Query,
        types: &[ColumnType],
        syntax: &syntax::Query,
    ) -> Result<Query> {
        for (index, to) in types.iter().enumerate() {
            let column = &mut query.columns[index];
            if column.column_type.sql_type == SqlType::Unknown && to.sql_type != SqlType::Unknown {
                column.column_type = *to;
                self.settle(&mut query.root, index, *to)
                    .map_err(|error| error.or_at(target_place(syntax, index) as usize))?;
            }
        }
        self.cast_columns(query, types)
    }

    /// Decides the type of a column where its values are written.
    fn settle(&mut self, rel: &mut Rel, index: usize, to: ColumnType) -> Result<()> {
        match rel {
            Rel::Project { input, expressions } => {
                let taken = core::mem::replace(&mut expressions[index], Expr::And(Vec::new()));
                expressions[index] = match taken {
                    Expr::Column { index: inner, column_type }
                        if column_type.sql_type == SqlType::Unknown =>
                    {
                        self.settle(input, inner as usize, to)?;
                        Expr::Column { index: inner, column_type: to }
                    }
                    other => self.try_coerce(other, to, CastKind::Implicit)?.ok_or_else(|| {
                        PlanError::new(SqlState::DATATYPE_MISMATCH, "no such cast")
                    })?,
                };
                Ok(())
            }
            Rel::Values { types, rows } => {
                types[index] = to;
                for row in rows {
                    let taken = core::mem::replace(&mut row[index], Expr::And(Vec::new()));
                    row[index] =
                        self.try_coerce(taken, to, CastKind::Implicit)?.ok_or_else(|| {
                            PlanError::new(SqlState::DATATYPE_MISMATCH, "no such cast")
                        })?;
                }
                Ok(())
            }
            Rel::Sort { input, keys } => {
                for key in keys {
                    if let Expr::Column { index: named, column_type } = &mut key.expression
                        && *named as usize == index
                    {
                        *column_type = to;
                    }
                }
                self.settle(input, index, to)
            }
            Rel::Limit { input, .. } | Rel::Distinct { input, .. } => self.settle(input, index, to),
            Rel::SetOperation { left, right, .. } => {
                self.settle(left, index, to)?;
                self.settle(right, index, to)
            }
            _ => Ok(()),
        }
    }

    // --- ORDER BY and LIMIT of queries that are no SELECT

    fn order_and_limit(
        &mut self,
        bound: Query,
        query: &syntax::Query,
        name: &str,
    ) -> Result<Query> {
        if query.order_by.is_empty() && query.limit.is_none() && query.offset.is_none() {
            return Ok(bound);
        }
        let columns: Rc<[ScopeColumn]> = bound
            .columns
            .iter()
            .enumerate()
            .map(|(index, column)| ScopeColumn {
                name: column.name.clone(),
                column_type: column.column_type,
                value: ColumnValue::At(index as u32),
                origin: None,
            })
            .collect();
        let entry = Entry::unnamed(columns);
        self.scopes.push(Scope::new(alloc::vec![entry], Clause::OrderBy));
        let Query { mut root, columns } = bound;
        if !query.order_by.is_empty() {
            let mut keys = Vec::with_capacity(query.order_by.len());
            for item in &query.order_by {
                let expression = self.output_key(item, &columns, name)?;
                keys.push(sort_key(expression, item)?);
            }
            root = Rel::Sort { input: Box::new(root), keys };
        }
        let root = self.limit(root, query)?;
        self.scopes.pop();
        Ok(Query { root, columns })
    }

    /// A sort key that is a column of the result, by name or position.
    fn output_key(
        &mut self,
        item: &OrderItem,
        columns: &[OutputColumn],
        name: &str,
    ) -> Result<Expr> {
        let place = item.expression.place();
        if let Some(index) = ordinal(&item.expression, columns.len(), "ORDER BY")? {
            return Ok(Expr::Column {
                index: index as u32,
                column_type: columns[index].column_type,
            });
        }
        let bound = self.expression(&item.expression);
        if name == "VALUES" || matches!(bound, Ok(Expr::Column { .. })) {
            return bound.and_then(|bound| self.text_if_unknown(bound));
        }
        if item.expression.as_plain_column().is_some() {
            return bound;
        }
        Err(PlanError::at(
            SqlState::FEATURE_NOT_SUPPORTED,
            place as usize,
            "invalid UNION/INTERSECT/EXCEPT ORDER BY clause",
        )
        .detail("Only result column names can be used, not expressions or functions.")
        .hint("Add the expression/function to every SELECT, or move the UNION into a FROM clause."))
    }

    /// LIMIT and OFFSET over a relation; the innermost scope is the query's own.
    pub(super) fn limit(&mut self, input: Rel, query: &syntax::Query) -> Result<Rel> {
        let limit = match &query.limit {
            Some(syntax::Expr { kind: ExprKind::Null, .. }) | None => None,
            Some(limit) => Some(self.row_count(limit, Clause::Limit)?),
        };
        let offset = match &query.offset {
            Some(offset) => Some(self.row_count(offset, Clause::Offset)?),
            None => None,
        };
        if limit.is_none() && offset.is_none() {
            return Ok(input);
        }
        Ok(Rel::Limit { input: Box::new(input), limit, offset })
    }

    fn row_count(&mut self, syntax: &syntax::Expr, clause: Clause) -> Result<Expr> {
        let bound = self.within(clause, |binder| binder.expression(syntax))?;
        let bound = self.exactly(bound, SqlType::Int8, clause.name(), syntax.position)?;
        let mut names = false;
        bound.walk(&mut |part| names |= matches!(part, Expr::Column { .. }));
        if names {
            return Err(PlanError::at(
                SqlState::INVALID_COLUMN_REFERENCE,
                syntax.position as usize,
                format!("argument of {} must not contain variables", clause.name()),
            ));
        }
        Ok(bound)
    }
}

pub(super) const fn set_name(operation: SetOperation) -> &'static str {
    match operation {
        SetOperation::Union => "UNION",
        SetOperation::Intersect => "INTERSECT",
        SetOperation::Except => "EXCEPT",
    }
}

/// Where the text of a query's column begins.
pub(super) fn target_place(query: &syntax::Query, index: usize) -> u32 {
    let mut query = query;
    loop {
        match &query.body {
            QueryBody::Select(select) => {
                return select
                    .items
                    .get(index)
                    .or(select.items.last())
                    .map_or(query.position, |item| item.expression.place());
            }
            QueryBody::Values(rows) => {
                return rows[0].get(index).map_or(query.position, syntax::Expr::place);
            }
            QueryBody::Set { left, .. } => query = left,
        }
    }
}

/// A whole number in ORDER BY or GROUP BY names a column of the select list, counted from one.
pub(super) fn ordinal(
    expression: &syntax::Expr,
    width: usize,
    clause: &str,
) -> Result<Option<usize>> {
    let place = expression.position as usize;
    match &expression.kind {
        ExprKind::Number(digits) => {
            let Ok(number) = digits.parse::<i32>() else {
                let message = format!("non-integer constant in {clause}");
                return Err(PlanError::syntax(place, message));
            };
            if number < 1 || number as usize > width {
                return Err(PlanError::at(
                    SqlState::INVALID_COLUMN_REFERENCE,
                    place,
                    format!("{clause} position {number} is not in select list"),
                ));
            }
            Ok(Some(number as usize - 1))
        }
        ExprKind::String(_) | ExprKind::Null | ExprKind::Bool(_) => {
            Err(PlanError::syntax(place, format!("non-integer constant in {clause}")))
        }
        _ => Ok(None),
    }
}
