//! Relations over one input, and set operations.

use std::sync::Arc;

use datafusion::common::{Column, JoinType};
use datafusion::logical_expr::{
    Aggregate, Expr as EngineExpr, Limit, LogicalPlan, Sort, SortExpr, Union,
};
use functions::{Expr, evaluate};
use plan::query::{Rel, SetOperation, SortKey};
use types::{SqlState, SqlType, Value, ValueError};

use super::domain::Domain;
use super::windows::Numbering;
use super::{Carried, Lowering, Relation, Result, literal, project};
use crate::aggregation::{AggregateFunction, Call};
use crate::error::AnalyticsError;
use crate::sort_key::needs_key;

impl Lowering<'_> {
    /// New columns from substituted expressions over a relation.
    pub(super) fn projected(
        &self,
        relation: Relation,
        expressions: &[Expr],
        domain: Option<&Domain>,
    ) -> Result<Relation> {
        let types = expressions.iter().map(Expr::sql_type).collect();
        let (mut relation, expressions) =
            self.with_subqueries(relation, expressions.to_vec(), domain)?;
        let scalars = expressions
            .iter()
            .map(|expression| self.scalar(expression, &relation, domain))
            .collect::<Result<Vec<EngineExpr>>>()?;
        relation.columns = self.extend(&mut relation, scalars)?;
        relation.types = types;
        Ok(relation)
    }

    /// Sort keys as columns of a relation, in the form that sorts.
    pub(super) fn sort_columns(
        &self,
        relation: Relation,
        keys: &[SortKey],
        domain: Option<&Domain>,
    ) -> Result<(Relation, Vec<SortExpr>)> {
        let (width, expressions) = (
            relation.columns.len(),
            keys.iter().map(|key| self.substitute(&key.expression)).collect(),
        );
        let (mut relation, expressions) = self.with_subqueries(relation, expressions, domain)?;
        let mut scalars = Vec::with_capacity(keys.len());
        for expression in &expressions {
            let scalar = self.scalar(expression, &relation, domain)?;
            scalars.push(self.key(scalar, expression.sql_type()));
        }
        let columns = self.extend(&mut relation, scalars)?;
        relation.columns.truncate(width);
        relation.types.truncate(width);
        let sorts = columns
            .into_iter()
            .zip(keys)
            .map(|(column, key)| SortExpr {
                expr: EngineExpr::Column(column),
                asc: !key.descending,
                nulls_first: key.nulls_first,
            })
            .collect();
        Ok((relation, sorts))
    }

    pub(super) fn sort(
        &self,
        relation: Relation,
        keys: &[SortKey],
        domain: Option<&Domain>,
    ) -> Result<Relation> {
        let (mut relation, sorts) = self.sort_columns(relation, keys, domain)?;
        relation.plan = sorted(relation.plan, sorts);
        Ok(relation)
    }

    /// A bigint that sees no columns: LIMIT, OFFSET, the bounds of frames.
    pub(super) fn count(
        &self,
        expr: Option<&Expr>,
        negative: (SqlState, &str),
    ) -> Result<Option<usize>> {
        let Some(expr) = expr else { return Ok(None) };
        let expr = self.substitute(expr);
        let value = match expr {
            Expr::Subquery { index, .. } => match self.answers.get(&index) {
                Some(answer) => answer.clone()?,
                None => return Err(AnalyticsError::not_supported("a correlated LIMIT")),
            },
            expr => evaluate(&expr, &[], &self.context.parameters, &self.context.borrow())?,
        };
        match value {
            Value::Null => Ok(None),
            Value::Int8(count) => match usize::try_from(count) {
                Ok(count) => Ok(Some(count)),
                Err(_) => Err(ValueError::new(negative.0, negative.1).into()),
            },
            other => Err(ValueError::internal(format!("a limit of {other:?}")).into()),
        }
    }

    pub(super) fn limit(
        &self,
        input: &Rel,
        limit: Option<&Expr>,
        offset: Option<&Expr>,
        domain: Option<&Domain>,
    ) -> Result<Relation> {
        const LIMIT: (SqlState, &str) =
            (SqlState::INVALID_ROW_COUNT_IN_LIMIT, "LIMIT must not be negative");
        const OFFSET: (SqlState, &str) =
            (SqlState::INVALID_ROW_COUNT_IN_OFFSET, "OFFSET must not be negative");
        let fetch = self.count(limit, LIMIT)?;
        let skip = self.count(offset, OFFSET)?.unwrap_or(0);
        let mut relation = self.plain(input, domain)?;
        if fetch.is_none() && skip == 0 {
            return Ok(relation);
        }
        if relation.carried.is_some() {
            return self.limit_each(relation, input, fetch, skip, domain);
        }
        let number = |count: usize| {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            literal(&Value::Int8(count), SqlType::Int8).map(Box::new)
        };
        relation.plan = LogicalPlan::Limit(Limit {
            skip: if skip == 0 { None } else { Some(number(skip)?) },
            fetch: fetch.map(number).transpose()?,
            input: Arc::new(relation.plan),
        });
        Ok(relation)
    }

    /// LIMIT within each element of the domain, in the order of a sort below it.
    fn limit_each(
        &self,
        relation: Relation,
        input: &Rel,
        fetch: Option<usize>,
        skip: usize,
        domain: Option<&Domain>,
    ) -> Result<Relation> {
        let (relation, sorts) = match sort_below(input) {
            Some(keys) => self.sort_columns(relation, keys, domain)?,
            None => (relation, Vec::new()),
        };
        let carried = relation.carried.as_ref().expect("checked by the caller");
        let partition = vec![carried.key.clone()];
        let first = i64::try_from(skip).unwrap_or(i64::MAX);
        let last =
            fetch.map(|fetch| first.saturating_add(i64::try_from(fetch).unwrap_or(i64::MAX)));
        self.numbered(relation, partition, sorts, Numbering { first, last })
    }

    pub(super) fn distinct(
        &self,
        input: &Rel,
        on: Option<&[usize]>,
        domain: Option<&Domain>,
    ) -> Result<Relation> {
        let Some(on) = on else {
            let relation = self.plain(input, domain)?;
            return self.distinct_rows(relation, domain);
        };
        let relation = self.plain(input, domain)?;
        let (mut relation, sorts) = match sort_below(input) {
            Some(keys) => self.sort_columns(relation, keys, domain)?,
            None => (relation, Vec::new()),
        };
        let keys = on
            .iter()
            .map(|position| {
                let column = EngineExpr::Column(relation.columns[*position].clone());
                self.key(column, relation.types[*position])
            })
            .collect();
        let mut partition = self.extend(&mut relation, keys)?;
        partition.extend(relation.carried.iter().map(|carried| carried.key.clone()));
        let first = Numbering { first: 0, last: Some(1) };
        let mut relation = self.numbered(relation, partition, sorts.clone(), first)?;
        if !sorts.is_empty() {
            relation.plan = sorted(relation.plan, sorts);
        }
        Ok(relation)
    }

    /// No two equal rows; of equal ones the first is shown.
    pub(super) fn distinct_rows(
        &self,
        relation: Relation,
        domain: Option<&Domain>,
    ) -> Result<Relation> {
        let mut relation = relation;
        let keys = self.row_keys(&mut relation)?;
        if keys.is_empty() && relation.carried.is_none() {
            // No columns: one row if there is any.
            relation.plan = LogicalPlan::Limit(Limit {
                skip: None,
                fetch: Some(Box::new(literal(&Value::Int8(1), SqlType::Int8)?)),
                input: Arc::new(relation.plan),
            });
            return Ok(relation);
        }
        let mut groups: Vec<Column> = Vec::new();
        for key in &keys {
            if !groups.contains(key) {
                groups.push(key.clone());
            }
        }
        let mut firsts = Vec::new();
        let mut columns = Vec::with_capacity(keys.len());
        for ((column, sql_type), key) in relation.columns.iter().zip(&relation.types).zip(&keys) {
            if needs_key(*sql_type) {
                columns.push(self.first(column, *sql_type, &mut firsts));
            } else {
                columns.push(key.clone());
            }
        }
        let carried = self.carry(&relation, domain, &mut groups, &mut firsts);
        let groups = groups.into_iter().map(EngineExpr::Column).collect();
        let plan = Aggregate::try_new(Arc::new(relation.plan), groups, firsts)?;
        Ok(Relation { plan: LogicalPlan::Aggregate(plan), columns, types: relation.types, carried })
    }

    /// The keys of all columns, as columns.
    fn row_keys(&self, relation: &mut Relation) -> Result<Vec<Column>> {
        let keys = relation
            .columns
            .iter()
            .zip(&relation.types)
            .map(|(column, sql_type)| self.key(EngineExpr::Column(column.clone()), *sql_type))
            .collect();
        self.extend(relation, keys)
    }

    /// Adds an aggregate that gives a group's first value; its column.
    pub(super) fn first(
        &self,
        column: &Column,
        sql_type: SqlType,
        aggregates: &mut Vec<EngineExpr>,
    ) -> Column {
        let call = Call::first(sql_type, self.context.clone());
        let name = self.name();
        let argument = vec![EngineExpr::Column(column.clone())];
        aggregates.push(AggregateFunction::call(call, argument, None).alias(&name));
        Column::new_unqualified(name)
    }

    /// Groups by the domain too, and carries it through the grouping.
    pub(super) fn carry(
        &self,
        relation: &Relation,
        domain: Option<&Domain>,
        groups: &mut Vec<Column>,
        aggregates: &mut Vec<EngineExpr>,
    ) -> Option<Carried> {
        let carried = relation.carried.as_ref()?;
        groups.push(carried.key.clone());
        let outers = domain.map_or(&[][..], |domain| &domain.outers);
        let columns = carried
            .columns
            .iter()
            .zip(outers)
            .map(|(column, outer)| self.first(column, outer.sql_type, aggregates))
            .collect();
        Some(Carried { key: carried.key.clone(), columns })
    }

    pub(super) fn set_operation(
        &self,
        operation: SetOperation,
        all: bool,
        left: &Rel,
        right: &Rel,
        domain: Option<&Domain>,
    ) -> Result<Relation> {
        let left = self.plain(left, domain)?;
        let right = self.plain(right, domain)?;
        match (operation, all) {
            (SetOperation::Union, true) => self.union(left, right, domain),
            (SetOperation::Union, false) => {
                let both = self.union(left, right, domain)?;
                self.distinct_rows(both, domain)
            }
            (SetOperation::Intersect, _) => {
                self.matched(left, right, all, JoinType::LeftSemi, domain)
            }
            (SetOperation::Except, _) => self.matched(left, right, all, JoinType::LeftAnti, domain),
        }
    }

    pub(super) fn union(
        &self,
        left: Relation,
        right: Relation,
        domain: Option<&Domain>,
    ) -> Result<Relation> {
        let (left, right) = self.alike(left, right, domain)?;
        let names: Vec<String> = left.columns.iter().map(|_| self.name()).collect();
        let carried_names: Option<Vec<String>> = left
            .carried
            .as_ref()
            .map(|carried| (0..=carried.columns.len()).map(|_| self.name()).collect());
        let aligned = |relation: &Relation| {
            let mut columns: Vec<EngineExpr> = relation
                .columns
                .iter()
                .zip(&names)
                .map(|(column, name)| EngineExpr::Column(column.clone()).alias(name))
                .collect();
            if let (Some(carried), Some(names)) = (&relation.carried, &carried_names) {
                let all = std::iter::once(&carried.key).chain(&carried.columns);
                columns.extend(
                    all.zip(names)
                        .map(|(column, name)| EngineExpr::Column(column.clone()).alias(name)),
                );
            }
            project(relation.plan.clone(), columns).map(Arc::new)
        };
        let plan = Union::try_new(vec![aligned(&left)?, aligned(&right)?])?;
        let unqualified = |name: &String| Column::new_unqualified(name);
        Ok(Relation {
            plan: LogicalPlan::Union(plan),
            columns: names.iter().map(unqualified).collect(),
            types: left.types,
            carried: carried_names.map(|names| Carried {
                key: unqualified(&names[0]),
                columns: names[1..].iter().map(unqualified).collect(),
            }),
        })
    }

    /// Both dependent, or none.
    fn alike(
        &self,
        left: Relation,
        right: Relation,
        domain: Option<&Domain>,
    ) -> Result<(Relation, Relation)> {
        if left.carried.is_none() && right.carried.is_none() {
            return Ok((left, right));
        }
        Ok((self.dependent(left, domain)?, self.dependent(right, domain)?))
    }

    /// INTERSECT and EXCEPT: left rows with or without an equal right row. With ALL, the n-th of equal rows is matched with the n-th.
    fn matched(
        &self,
        left: Relation,
        right: Relation,
        all: bool,
        join_type: JoinType,
        domain: Option<&Domain>,
    ) -> Result<Relation> {
        let (left, right) = self.alike(left, right, domain)?;
        let left = if all { left } else { self.distinct_rows(left, domain)? };
        let (left, left_key) = self.occurrence_key(left, all)?;
        let (right, right_key) = self.occurrence_key(right, all)?;
        let keys = vec![(EngineExpr::Column(left_key), EngineExpr::Column(right_key))];
        let mut relation = left.clone();
        relation.plan = self.joined(left, right, join_type, keys, None)?;
        Ok(relation)
    }

    /// One key for a whole row, the domain's key and, with `numbered`, the row's number among its equals included.
    fn occurrence_key(&self, relation: Relation, numbered: bool) -> Result<(Relation, Column)> {
        let mut relation = relation;
        let (width, mut columns, mut types) =
            (relation.columns.len(), relation.columns.clone(), relation.types.clone());
        if let Some(carried) = &relation.carried {
            columns.push(carried.key.clone());
            types.push(SqlType::Bytea);
        }
        if numbered {
            let mut partition = self.row_keys(&mut relation)?;
            partition.extend(relation.carried.iter().map(|carried| carried.key.clone()));
            let (with, number) = self.row_numbers(relation, partition, Vec::new())?;
            relation = with;
            columns.push(number);
            types.push(SqlType::Int8);
        }
        let values = columns.into_iter().map(EngineExpr::Column).collect();
        let key = crate::expression::udf::KeyFunction::tuple(types, values);
        let key = self.extend(&mut relation, vec![key])?.remove(0);
        relation.columns.truncate(width);
        relation.types.truncate(width);
        Ok((relation, key))
    }

    /// A relation restricted to rows whose number within their partition lies in a range.
    fn numbered(
        &self,
        relation: Relation,
        partition: Vec<Column>,
        sorts: Vec<SortExpr>,
        numbering: Numbering,
    ) -> Result<Relation> {
        let (mut relation, number) = self.row_numbers(relation, partition, sorts)?;
        let bound = |value: i64| literal(&Value::Int8(value), SqlType::Int8);
        let number = EngineExpr::Column(number);
        // Row numbers begin with one and are never NULL: comparing integers of one type has one answer in every database.
        let mut condition = number.clone().gt(bound(numbering.first)?);
        if let Some(last) = numbering.last {
            condition = condition.and(number.lt_eq(bound(last)?));
        }
        relation.plan = super::filter(relation.plan, condition)?;
        Ok(relation)
    }
}

/// The keys of the sort that a relation's rows come out of.
fn sort_below(rel: &Rel) -> Option<&[SortKey]> {
    match rel {
        Rel::Sort { keys, .. } => Some(keys),
        _ => None,
    }
}

fn sorted(plan: LogicalPlan, sorts: Vec<SortExpr>) -> LogicalPlan {
    if sorts.is_empty() {
        return plan;
    }
    LogicalPlan::Sort(Sort { expr: sorts, input: Arc::new(plan), fetch: None })
}
