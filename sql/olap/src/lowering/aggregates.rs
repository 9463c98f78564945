//! Grouping.
//!
//! Groups are made by keys ([`crate::sort_key`]); where a key is not the value itself, the group shows its first row's value. Each grouping set is a
//! grouping of
//! its own, and the answer is all of them. With a domain, a grouping without keys has a row for every element of it, groups or none.

use std::sync::Arc;

use datafusion::common::{Column, JoinType};
use datafusion::logical_expr::{Aggregate as EngineAggregate, Expr as EngineExpr, LogicalPlan};
use functions::Expr;
use plan::query::{Aggregate, AggregateCall};
use types::{ColumnType, SqlType, Value};

use super::domain::Domain;
use super::joins::all_plain;
use super::{Lowering, Relation, Result, literal, movable};
use crate::aggregation::{AggregateFunction, Call, OrderKey};
use crate::expression::udf::KeyFunction;
use crate::sort_key::needs_key;

const INTEGER: ColumnType = ColumnType::plain(SqlType::Int4);

/// Everything that a grouping reads, as columns of its input.
struct Prepared {
    input: Relation,
    keys: Vec<Expr>,
    calls: Vec<PreparedCall>,
}

#[derive(Clone)]
struct PreparedCall {
    arguments: Vec<Expr>,
    filter: Option<Expr>,
    order: Vec<Expr>,
}

/// Whether a call counts distinct values of one argument in any order, so that grouping by the argument first gives the same answer.
fn counts_twice(call: &AggregateCall, prepared: &PreparedCall) -> bool {
    call.distinct
        && call.order.is_empty()
        && call.filter.is_none()
        && prepared.arguments.len() == 1
        && movable(&prepared.arguments[0])
        // These care in which order values come.
        && !matches!(
            call.function.definition().map_or("", |definition| definition.name),
            "array_agg" | "string_agg"
        )
}

impl Lowering<'_> {
    pub(super) fn aggregate(
        &self,
        aggregate: &Aggregate,
        domain: Option<&Domain>,
    ) -> Result<Relation> {
        let prepared = self.prepared(aggregate, domain)?;
        if aggregate.sets.is_empty() {
            if let Some(relation) = self.grouped_apart(&prepared, aggregate)? {
                return Ok(relation);
            }
            let mut relation =
                self.grouped(prepared.input, &prepared.keys, aggregate, &prepared.calls, domain)?;
            self.add_groupings(&mut relation, &vec![Value::Int4(0); aggregate.groupings.len()])?;
            return Ok(relation);
        }
        self.grouping_sets(prepared, aggregate, domain)
    }

    fn prepared(&self, aggregate: &Aggregate, domain: Option<&Domain>) -> Result<Prepared> {
        let input = self.plain(&aggregate.input, domain)?;
        let mut expressions: Vec<Expr> = aggregate.keys.clone();
        for call in &aggregate.calls {
            expressions.extend(call.arguments.iter().chain(&call.filter).cloned());
            expressions.extend(call.order.iter().map(|key| key.expression.clone()));
        }
        let (input, expressions) = self.with_subqueries(input, expressions, domain)?;
        let mut rest = expressions.into_iter();
        let keys = rest.by_ref().take(aggregate.keys.len()).collect();
        let calls = aggregate
            .calls
            .iter()
            .map(|call| PreparedCall {
                arguments: rest.by_ref().take(call.arguments.len()).collect(),
                filter: call.filter.as_ref().and_then(|_| rest.next()),
                order: rest.by_ref().take(call.order.len()).collect(),
            })
            .collect();
        Ok(Prepared { input, keys, calls })
    }

    /// Where calls of several kinds of DISTINCT (or of none) stand side by side: a grouping for each kind, joined by the keys. Collecting distinct values for
    /// each group instead would need all of them in memory.
    fn grouped_apart(
        &self,
        prepared: &Prepared,
        aggregate: &Aggregate,
    ) -> Result<Option<Relation>> {
        let types: Vec<SqlType> = prepared.keys.iter().map(Expr::sql_type).collect();
        if prepared.input.carried.is_some()
            || !aggregate.groupings.is_empty()
            || !all_plain(&types)
            || !prepared.keys.iter().all(movable)
        {
            return Ok(None);
        }
        // The first call of each kind, and the calls of the kind.
        let mut kinds: Vec<(Option<&Vec<Expr>>, Vec<usize>)> = Vec::new();
        for (at, (call, own)) in aggregate.calls.iter().zip(&prepared.calls).enumerate() {
            let distinct = counts_twice(call, own).then_some(&own.arguments);
            match kinds.iter_mut().find(|(kind, _)| *kind == distinct) {
                Some((_, calls)) => calls.push(at),
                None => kinds.push((distinct, vec![at])),
            }
        }
        if kinds.len() < 2 {
            return Ok(None);
        }
        let keys = prepared.keys.len();
        let mut columns: Vec<Option<Column>> = vec![None; aggregate.calls.len()];
        let mut result: Option<(Relation, Column)> = None;
        for (_, calls) in kinds {
            let own = Aggregate {
                input: aggregate.input.clone(),
                keys: aggregate.keys.clone(),
                sets: Vec::new(),
                calls: calls.iter().map(|at| aggregate.calls[*at].clone()).collect(),
                groupings: Vec::new(),
            };
            let own_prepared: Vec<PreparedCall> =
                calls.iter().map(|at| prepared.calls[*at].clone()).collect();
            let grouped =
                self.grouped(prepared.input.clone(), &prepared.keys, &own, &own_prepared, None)?;
            let mut grouped = self.renamed(grouped)?;
            for (at, column) in calls.into_iter().zip(&grouped.columns[keys..]) {
                columns[at] = Some(column.clone());
            }
            let values = grouped.columns[..keys].iter().cloned().map(EngineExpr::Column).collect();
            let key = KeyFunction::tuple(types.clone(), values);
            let key = self.extend(&mut grouped, vec![key])?.remove(0);
            result = Some(match result {
                None => (grouped, key),
                Some((before, before_key)) => {
                    let on =
                        vec![(EngineExpr::Column(before_key.clone()), EngineExpr::Column(key))];
                    let mut joined = before.clone();
                    joined.plan = self.joined(before, grouped, JoinType::Inner, on, None)?;
                    (joined, before_key)
                }
            });
        }
        let (mut relation, _) = result.expect("there are two kinds at least");
        relation.columns.truncate(keys);
        relation.columns.extend(columns.into_iter().flatten());
        relation.types = aggregate.types().iter().map(|column| column.sql_type).collect();
        Ok(Some(relation))
    }

    /// One grouping.
    fn grouped(
        &self,
        input: Relation,
        keys: &[Expr],
        aggregate: &Aggregate,
        prepared: &[PreparedCall],
        domain: Option<&Domain>,
    ) -> Result<Relation> {
        let mut input = input;
        let types: Vec<SqlType> = keys.iter().map(Expr::sql_type).collect();
        let values = self.scalars(keys, &input, domain)?;
        let values = self.extend(&mut input, values)?;
        let forms = values
            .iter()
            .zip(&types)
            .map(|(column, sql_type)| self.key(EngineExpr::Column(column.clone()), *sql_type))
            .collect();
        let forms = self.extend(&mut input, forms)?;
        if let Some(relation) =
            self.distinct_twice(&input, &forms, &values, &types, aggregate, prepared, domain)?
        {
            return Ok(relation);
        }
        let mut calls = Vec::with_capacity(prepared.len());
        for (call, prepared) in aggregate.calls.iter().zip(prepared) {
            calls.push(self.call(call, prepared, &mut input, domain)?);
        }
        let static_domain = keys.is_empty() && input.carried.is_some();
        let relation = self.group_by(input, &forms, &values, &types, calls, aggregate, domain)?;
        if static_domain {
            return self.with_empty_groups(relation, aggregate, domain);
        }
        Ok(relation)
    }

    fn scalars(
        &self,
        expressions: &[Expr],
        relation: &Relation,
        domain: Option<&Domain>,
    ) -> Result<Vec<EngineExpr>> {
        expressions.iter().map(|expression| self.scalar(expression, relation, domain)).collect()
    }

    /// A call over columns of the input, which it extends.
    fn call(
        &self,
        call: &AggregateCall,
        prepared: &PreparedCall,
        input: &mut Relation,
        domain: Option<&Domain>,
    ) -> Result<EngineExpr> {
        let types: Vec<SqlType> = prepared.arguments.iter().map(Expr::sql_type).collect();
        let mut arguments = self.scalars(&prepared.arguments, input, domain)?;
        if arguments.is_empty() {
            // `count(*)` counts a value that is never NULL.
            arguments.push(literal(&Value::Int8(1), SqlType::Int8)?);
        } else {
            arguments.extend(self.scalars(&prepared.order, input, domain)?);
            let columns = self.extend(input, arguments)?;
            arguments = columns.into_iter().map(EngineExpr::Column).collect();
        }
        let filter = match &prepared.filter {
            Some(filter) => {
                let scalar = self.scalar(filter, input, domain)?;
                Some(EngineExpr::Column(self.extend(input, vec![scalar])?.remove(0)))
            }
            None => None,
        };
        let order = call
            .order
            .iter()
            .zip(&prepared.order)
            .map(|(key, expression)| OrderKey {
                sql_type: expression.sql_type(),
                descending: key.descending,
                nulls_first: key.nulls_first,
            })
            .collect();
        let own =
            Call::library(call.function, types, call.column_type.sql_type, self.context.clone());
        let own =
            if prepared.arguments.is_empty() { own } else { own.collecting(call.distinct, order) };
        Ok(AggregateFunction::call(own, arguments, filter))
    }

    /// The grouping itself: keys, then calls.
    #[expect(clippy::too_many_arguments, reason = "the parts of one grouping, named by the caller")]
    fn group_by(
        &self,
        input: Relation,
        forms: &[Column],
        values: &[Column],
        types: &[SqlType],
        calls: Vec<EngineExpr>,
        aggregate: &Aggregate,
        domain: Option<&Domain>,
    ) -> Result<Relation> {
        let mut groups: Vec<Column> = Vec::new();
        for form in forms {
            if !groups.contains(form) {
                groups.push(form.clone());
            }
        }
        let mut aggregates = Vec::new();
        let mut columns = Vec::new();
        for ((form, value), sql_type) in forms.iter().zip(values).zip(types) {
            columns.push(if needs_key(*sql_type) {
                self.first(value, *sql_type, &mut aggregates)
            } else {
                form.clone()
            });
        }
        for call in calls {
            let name = self.name();
            columns.push(Column::new_unqualified(&name));
            aggregates.push(call.alias(name));
        }
        let carried = self.carry(&input, domain, &mut groups, &mut aggregates);
        let mut types = types.to_vec();
        types.extend(aggregate.calls.iter().map(|call| call.column_type.sql_type));
        let groups: Vec<EngineExpr> = groups.into_iter().map(EngineExpr::Column).collect();
        if groups.is_empty() && aggregates.is_empty() {
            // One group without columns: `SELECT 1 FROM t HAVING true`.
            return Ok(self.one_row());
        }
        let plan = EngineAggregate::try_new(Arc::new(input.plan), groups, aggregates)?;
        Ok(Relation { plan: LogicalPlan::Aggregate(plan), columns, types, carried })
    }

    /// DISTINCT of one argument list in all calls: group by it first, then count each value once. It spills, where collecting values could not.
    #[expect(clippy::too_many_arguments, reason = "the parts of one grouping, named by the caller")]
    fn distinct_twice(
        &self,
        input: &Relation,
        forms: &[Column],
        values: &[Column],
        types: &[SqlType],
        aggregate: &Aggregate,
        prepared: &[PreparedCall],
        domain: Option<&Domain>,
    ) -> Result<Option<Relation>> {
        let Some(first) = prepared.first() else { return Ok(None) };
        let simple = aggregate
            .calls
            .iter()
            .zip(prepared)
            .all(|(call, own)| counts_twice(call, own) && own.arguments == first.arguments);
        let argument_type = match &first.arguments[..] {
            [argument] => argument.sql_type(),
            _ => return Ok(None),
        };
        if !simple || input.carried.is_some() || !all_plain(types) {
            return Ok(None);
        }
        let mut input = input.clone();
        let scalar = self.scalar(&first.arguments[0], &input, domain)?;
        let value = self.extend(&mut input, vec![scalar])?.remove(0);
        let form = self.key(EngineExpr::Column(value.clone()), argument_type);
        let form = self.extend(&mut input, vec![form])?.remove(0);
        let mut groups: Vec<Column> = Vec::new();
        for column in forms.iter().chain([&form]) {
            if !groups.contains(column) {
                groups.push(column.clone());
            }
        }
        let mut firsts = Vec::new();
        let shown = if needs_key(argument_type) {
            self.first(&value, argument_type, &mut firsts)
        } else {
            form
        };
        let groups = groups.into_iter().map(EngineExpr::Column).collect();
        let plan = EngineAggregate::try_new(Arc::new(input.plan), groups, firsts)?;
        let inner = Relation {
            plan: LogicalPlan::Aggregate(plan),
            columns: Vec::new(),
            types: Vec::new(),
            carried: None,
        };
        let calls = aggregate
            .calls
            .iter()
            .map(|call| {
                let own = Call::library(
                    call.function,
                    vec![argument_type],
                    call.column_type.sql_type,
                    self.context.clone(),
                );
                AggregateFunction::call(own, vec![EngineExpr::Column(shown.clone())], None)
            })
            .collect();
        self.group_by(inner, forms, values, types, calls, aggregate, domain).map(Some)
    }

    /// A row for every element of the domain; an aggregate of no rows where there was no group.
    fn with_empty_groups(
        &self,
        groups: Relation,
        aggregate: &Aggregate,
        domain: Option<&Domain>,
    ) -> Result<Relation> {
        let domain = domain.expect("a dependent relation has a domain");
        let all = self.domain_alone(domain)?;
        let carried = all.carried.clone();
        let (Some(left), Some(right)) = (&all.carried, &groups.carried) else {
            panic!("both are occurrences of the domain");
        };
        let keys =
            vec![(EngineExpr::Column(left.key.clone()), EngineExpr::Column(right.key.clone()))];
        let (columns, types) = (groups.columns.clone(), groups.types.clone());
        let plan = self.joined(all, groups, JoinType::Left, keys, None)?;
        let mut relation = Relation { plan, columns, types, carried };
        let mut shown = Vec::with_capacity(aggregate.calls.len());
        for (index, call) in aggregate.calls.iter().enumerate() {
            let column_type = call.column_type;
            let column = Expr::Column { index: index as u32, column_type };
            let empty = self.of_no_rows(call)?;
            let value = if empty.is_null() {
                column
            } else {
                let empty = Expr::Literal { value: empty, column_type };
                Expr::Coalesce { arguments: vec![column, empty], column_type }
            };
            shown.push(self.scalar(&value, &relation, None)?);
        }
        relation.columns = self.extend(&mut relation, shown)?;
        Ok(relation)
    }

    fn of_no_rows(&self, call: &AggregateCall) -> Result<Value> {
        let definition = call
            .function
            .definition()
            .ok_or_else(|| types::ValueError::internal("an unknown aggregate was planned"))?;
        let types: Vec<SqlType> = call.arguments.iter().map(Expr::sql_type).collect();
        Ok(definition.new_state(&types).finish()?)
    }

    fn grouping_sets(
        &self,
        prepared: Prepared,
        aggregate: &Aggregate,
        domain: Option<&Domain>,
    ) -> Result<Relation> {
        let Prepared { input, keys, calls } = prepared;
        let mut result: Option<Relation> = None;
        for set in &aggregate.sets {
            // One grouping a set over its own copy of the input; the keys that do not count are NULL.
            let own: Vec<Expr> = set.iter().map(|key| keys[*key].clone()).collect();
            let grouped = self.grouped(input.clone(), &own, aggregate, &calls, domain)?;
            let mut expressions = Vec::with_capacity(keys.len() + calls.len());
            for (at, key) in keys.iter().enumerate() {
                let column_type = key.column_type();
                expressions.push(match set.iter().position(|position| *position == at) {
                    Some(index) => Expr::Column { index: index as u32, column_type },
                    None => Expr::Literal { value: Value::Null, column_type },
                });
            }
            for (at, call) in aggregate.calls.iter().enumerate() {
                let index = (set.len() + at) as u32;
                expressions.push(Expr::Column { index, column_type: call.column_type });
            }
            let mut relation = self.projected(grouped, &expressions, domain)?;
            let groupings: Vec<Value> = aggregate
                .groupings
                .iter()
                .map(|asked| {
                    let bits = asked
                        .iter()
                        .fold(0, |bits, key| (bits << 1) | i32::from(!set.contains(key)));
                    Value::Int4(bits)
                })
                .collect();
            self.add_groupings(&mut relation, &groupings)?;
            result = Some(match result {
                Some(before) => self.union(before, relation, domain)?,
                None => relation,
            });
        }
        Ok(result.expect("grouping sets are not empty here"))
    }

    /// Columns of `GROUPING(…)`: the same for all rows of a set.
    fn add_groupings(&self, relation: &mut Relation, values: &[Value]) -> Result<()> {
        let mut scalars = Vec::with_capacity(values.len());
        for value in values {
            scalars.push(literal(value, INTEGER.sql_type)?);
        }
        let columns = self.extend(relation, scalars)?;
        relation.columns.extend(columns);
        relation.types.extend(values.iter().map(|_| INTEGER.sql_type));
        Ok(())
    }
}
