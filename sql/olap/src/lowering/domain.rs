//! The outer values that a dependent relation is computed for.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::Column;
use datafusion::logical_expr::{Aggregate, Expr as EngineExpr, LogicalPlan};
use functions::Expr;
use plan::query::{Lateral, Rel, Subqueries, WithBody};
use types::SqlType;

use super::{Carried, Lowering, Relation, Result, project};
use crate::aggregation::{AggregateFunction, Call};
use crate::error::AnalyticsError;
use crate::expression::udf::KeyFunction;

/// An outer column that a relation reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outer {
    pub(super) level: u32,
    pub(super) index: u32,
    pub(super) sql_type: SqlType,
}

/// Distinct outer values, with their key.
#[derive(Debug)]
pub(super) struct Domain {
    pub(super) outers: Vec<Outer>,
    /// Columns: the key, then the outers' values.
    plan: LogicalPlan,
    key: Column,
    columns: Vec<Column>,
}

impl Domain {
    /// Which value an outer column is.
    pub(super) fn position(&self, level: u32, index: u32) -> Option<usize> {
        self.outers.iter().position(|outer| outer.level == level && outer.index == index)
    }
}

/// The outer columns that a relation reads, seen from outside it: level 1 is the row of the expression that holds it.
pub(crate) fn free_outers(rel: &Rel, subqueries: &Subqueries) -> BTreeMap<(u32, u32), SqlType> {
    let mut found = BTreeMap::new();
    collect(rel, subqueries, 0, &mut found);
    found
}

type Found = BTreeMap<(u32, u32), SqlType>;

fn collect(rel: &Rel, subqueries: &Subqueries, depth: u32, found: &mut Found) {
    for expr in expressions_of(rel) {
        collect_expr(expr, subqueries, depth, found);
    }
    for (input, deeper) in inputs_of(rel) {
        collect(input, subqueries, depth + deeper, found);
    }
    if let Rel::WithScan { index, .. } = rel
        && let WithBody::Plain(body) = &subqueries.with[*index].body
    {
        collect(body, subqueries, depth, found);
    }
}

/// The expressions of a relation itself.
pub(super) fn expressions_of(rel: &Rel) -> Vec<&Expr> {
    match rel {
        Rel::Values { rows, .. } => rows.iter().flatten().collect(),
        Rel::FunctionScan(scan) => scan.function.arguments.iter().collect(),
        Rel::Project { expressions, .. } => expressions.iter().collect(),
        Rel::ProjectSet { functions, .. } => {
            functions.iter().flat_map(|function| &function.arguments).collect()
        }
        Rel::Filter { condition, .. } => vec![condition],
        Rel::Join(join) => join.condition.iter().collect(),
        Rel::Aggregate(aggregate) => {
            let calls = aggregate.calls.iter().flat_map(|call| {
                let order = call.order.iter().map(|key| &key.expression);
                call.arguments.iter().chain(&call.filter).chain(order)
            });
            aggregate.keys.iter().chain(calls).collect()
        }
        Rel::Window { calls, .. } => calls
            .iter()
            .flat_map(|call| {
                let order = call.order.iter().map(|key| &key.expression);
                call.arguments.iter().chain(&call.filter).chain(&call.partition).chain(order)
            })
            .collect(),
        Rel::Sort { keys, .. } => keys.iter().map(|key| &key.expression).collect(),
        Rel::Limit { limit, offset, .. } => limit.iter().chain(offset).collect(),
        Rel::OneRow
        | Rel::Scan(_)
        | Rel::VirtualScan(_)
        | Rel::Distinct { .. }
        | Rel::SetOperation { .. }
        | Rel::WithScan { .. }
        | Rel::WorkTable { .. } => Vec::new(),
    }
}

/// The inputs of a relation, and how many levels of outer rows each has more than the relation.
pub(super) fn inputs_of(rel: &Rel) -> Vec<(&Rel, u32)> {
    match rel {
        Rel::Project { input, .. }
        | Rel::ProjectSet { input, .. }
        | Rel::Filter { input, .. }
        | Rel::Window { input, .. }
        | Rel::Sort { input, .. }
        | Rel::Limit { input, .. }
        | Rel::Distinct { input, .. } => vec![(input, 0)],
        Rel::Aggregate(aggregate) => vec![(&aggregate.input, 0)],
        Rel::Join(join) => {
            let deeper = u32::from(join.lateral == Lateral::Dependent);
            vec![(&join.left, 0), (&join.right, deeper)]
        }
        Rel::SetOperation { left, right, .. } => vec![(left, 0), (right, 0)],
        _ => Vec::new(),
    }
}

fn collect_expr(expr: &Expr, subqueries: &Subqueries, depth: u32, found: &mut Found) {
    expr.walk(&mut |part| match part {
        Expr::Outer { level, index, column_type } if *level > depth => {
            found.insert((level - depth, *index), column_type.sql_type);
        }
        Expr::Subquery { index, .. } => {
            collect(&subqueries.queries[*index as usize].root, subqueries, depth + 1, found);
        }
        _ => {}
    });
}

impl Lowering<'_> {
    /// A fresh occurrence of the domain, as a relation without columns of its own.
    fn occurrence(&self, domain: &Domain) -> Result<Relation> {
        let key = self.name();
        let names: Vec<String> = domain.columns.iter().map(|_| self.name()).collect();
        let mut expressions = vec![EngineExpr::Column(domain.key.clone()).alias(&key)];
        for (column, name) in domain.columns.iter().zip(&names) {
            expressions.push(EngineExpr::Column(column.clone()).alias(name));
        }
        let columns = names.iter().map(Column::new_unqualified).collect();
        Ok(Relation {
            plan: project(domain.plan.clone(), expressions)?,
            columns: Vec::new(),
            types: Vec::new(),
            carried: Some(Carried { key: Column::new_unqualified(key), columns }),
        })
    }

    /// The relation for each element of the domain.
    pub(super) fn dependent(
        &self,
        relation: Relation,
        domain: Option<&Domain>,
    ) -> Result<Relation> {
        if relation.carried.is_some() {
            return Ok(relation);
        }
        let domain = domain.ok_or_else(|| {
            AnalyticsError::not_supported("a reference to an outer query that is not there")
        })?;
        let occurrence = self.occurrence(domain)?;
        let carried = occurrence.carried.clone();
        let plan = self.cross(relation.plan, occurrence.plan)?;
        Ok(Relation { plan, carried, ..relation })
    }

    /// The same relation with fresh names for all its columns, so that two occurrences of it can be joined to one.
    pub(super) fn renamed(&self, relation: Relation) -> Result<Relation> {
        let mut expressions = Vec::new();
        let mut fresh = |column: &Column| {
            let name = self.name();
            expressions.push(EngineExpr::Column(column.clone()).alias(&name));
            Column::new_unqualified(name)
        };
        let columns = relation.columns.iter().map(&mut fresh).collect();
        let carried = relation.carried.as_ref().map(|carried| Carried {
            key: fresh(&carried.key),
            columns: carried.columns.iter().map(&mut fresh).collect(),
        });
        let plan = project(relation.plan, expressions)?;
        Ok(Relation { plan, columns, types: relation.types, carried })
    }

    /// Only the domain: what a relation of one row becomes for it.
    pub(super) fn domain_alone(&self, domain: &Domain) -> Result<Relation> {
        self.occurrence(domain)
    }

    /// Prepares a relation for joining with what depends on its rows: adds the key of the outer values that `rel` reads, and makes the domain of them.
    /// `rel` reads at least one.
    pub(super) fn domain_of(
        &self,
        relation: Relation,
        outers: &BTreeMap<(u32, u32), SqlType>,
        enclosing: Option<&Domain>,
    ) -> Result<(Relation, Column, Domain)> {
        let mut relation = relation;
        if outers.keys().any(|(level, _)| *level > 1) {
            relation = self.dependent(relation, enclosing)?;
        }
        let mut columns = Vec::with_capacity(outers.len());
        for (level, index) in outers.keys() {
            columns.push(match level {
                1 => relation.columns[*index as usize].clone(),
                _ => {
                    let position = enclosing.and_then(|domain| domain.position(level - 1, *index));
                    let carried = relation.carried.as_ref();
                    match (position, carried) {
                        (Some(position), Some(carried)) => carried.columns[position].clone(),
                        _ => {
                            return Err(AnalyticsError::not_supported(
                                "a reference to an outer query that is not there",
                            ));
                        }
                    }
                }
            });
        }
        let types: Vec<SqlType> = outers.values().copied().collect();
        let values: Vec<EngineExpr> = columns.iter().cloned().map(EngineExpr::Column).collect();
        let key = KeyFunction::tuple(types.clone(), values);
        let key = self.extend(&mut relation, vec![key])?.remove(0);
        let domain = self.distinct_values(&relation, &key, &columns, outers)?;
        Ok((relation, key, domain))
    }

    fn distinct_values(
        &self,
        relation: &Relation,
        key: &Column,
        columns: &[Column],
        outers: &BTreeMap<(u32, u32), SqlType>,
    ) -> Result<Domain> {
        let mut firsts = Vec::with_capacity(columns.len());
        let mut names = Vec::with_capacity(columns.len());
        for (column, sql_type) in columns.iter().zip(outers.values()) {
            let call = Call::first(*sql_type, self.context.clone());
            let argument = vec![EngineExpr::Column(column.clone())];
            let name = self.name();
            firsts.push(AggregateFunction::call(call, argument, None).alias(&name));
            names.push(Column::new_unqualified(name));
        }
        let groups = vec![EngineExpr::Column(key.clone())];
        let plan = Aggregate::try_new(Arc::new(relation.plan.clone()), groups, firsts)?;
        Ok(Domain {
            outers: outers
                .iter()
                .map(|((level, index), sql_type)| Outer {
                    level: *level,
                    index: *index,
                    sql_type: *sql_type,
                })
                .collect(),
            plan: LogicalPlan::Aggregate(plan),
            key: key.clone(),
            columns: names,
        })
    }
}
