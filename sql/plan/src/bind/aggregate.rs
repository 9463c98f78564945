//! Calls of aggregates. Each is kept in its scope once; the expression names it by a marked column until the query's shape is known (`bind/group.rs`).

use super::Binder;
use super::scope::{AGGREGATE_MARK, Clause, GROUPING_MARK};
use crate::error::{PlanError, Result};
use crate::query::{AggregateCall, SortKey};
use crate::syntax::{Call, Expr as Syntax, OrderItem};
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use functions::{Expr, resolve_aggregate};
use types::{ColumnType, SqlState, SqlType};

impl Binder<'_> {
    pub(super) fn aggregate_call(
        &mut self,
        name: &str,
        call: &Call,
        position: u32,
    ) -> Result<Expr> {
        self.check_aggregate_place(position)?;
        let bound = self.bind_aggregate(name, call, position)?;
        let column_type = bound.column_type;
        let scope = self.scopes.last_mut().expect("a clause that allows aggregates has a scope");
        let known = scope.aggregates.iter().position(|one| *one == bound);
        let index = known.unwrap_or_else(|| {
            scope.aggregates.push(bound);
            scope.aggregates.len() - 1
        });
        Ok(Expr::Column { index: AGGREGATE_MARK + index as u32, column_type })
    }

    fn check_aggregate_place(&self, position: u32) -> Result<()> {
        let clause = self.clause();
        if clause.allows_aggregates() {
            return Ok(());
        }
        let message = match clause {
            Clause::AggregateArgument => "aggregate function calls cannot be nested".into(),
            Clause::JoinOn => "aggregate functions are not allowed in JOIN conditions".into(),
            other => format!("aggregate functions are not allowed in {}", other.name()),
        };
        Err(PlanError::at(SqlState::GROUPING_ERROR, position as usize, message))
    }

    /// An aggregate with everything inside its parentheses.
    pub(super) fn bind_aggregate(
        &mut self,
        name: &str,
        call: &Call,
        position: u32,
    ) -> Result<AggregateCall> {
        if !call.within_group.is_empty() {
            return Err(PlanError::unsupported("WITHIN GROUP").or_at(position as usize));
        }
        if call.variadic {
            return Err(PlanError::unsupported("VARIADIC").or_at(position as usize));
        }
        let window = self.clause() == Clause::WindowArgument;
        let inside = if window { Clause::WindowArgument } else { Clause::AggregateArgument };
        let arguments = self.within(inside, |binder| binder.arguments(&call.arguments))?;
        if arguments.is_empty() && !call.star {
            let message =
                format!("{name}(*) must be used to call a parameterless aggregate function");
            let plain = functions::aggregate::aggregates()
                .iter()
                .any(|found| found.name == name && found.arguments.is_empty());
            if plain {
                let state = SqlState::WRONG_OBJECT_TYPE;
                return Err(PlanError::at(state, position as usize, message));
            }
        }
        let mut arguments = arguments;
        if name == "array_agg"
            && let [(argument, place)] = arguments.as_mut_slice()
            && argument.sql_type().is_string()
        {
            // There is one array of strings.
            let taken = core::mem::replace(argument, Expr::And(Vec::new()));
            *argument = self.operand(taken, SqlType::Text, *place)?;
        }
        let types: Vec<SqlType> = arguments.iter().map(|(one, _)| one.sql_type()).collect();
        let found = resolve_aggregate(name, &types)
            .map_err(|error| Box::<PlanError>::from(error).or_at(position as usize))?;
        let mut cast = Vec::with_capacity(arguments.len());
        for ((argument, place), wanted) in arguments.into_iter().zip(&found.arguments) {
            if !window {
                self.check_aggregate_argument(&argument, position)?;
            }
            cast.push(self.operand(argument, *wanted, place)?);
        }
        let order = self.within(inside, |binder| binder.sort_keys(&call.order_by))?;
        if call.distinct {
            self.check_distinct_order(&cast, &order, call)?;
        }
        let filter = match &call.filter {
            Some(filter) => {
                let bound = self.within(Clause::Filter, |binder| binder.expression(filter))?;
                Some(self.boolean(bound, "FILTER", filter.place())?)
            }
            None => None,
        };
        Ok(AggregateCall {
            function: found.aggregate,
            arguments: cast,
            distinct: call.distinct,
            order,
            filter,
            column_type: ColumnType::plain(found.returns),
        })
    }

    /// An aggregate of nothing but an outer query's columns belongs to that query; that is not built.
    fn check_aggregate_argument(&self, argument: &Expr, position: u32) -> Result<()> {
        let mut own = false;
        let mut outer = false;
        argument.walk(&mut |part| match part {
            Expr::Column { .. } => own = true,
            Expr::Outer { .. } => outer = true,
            _ => {}
        });
        if outer && !own {
            return Err(PlanError::unsupported("an aggregate of an outer query's columns")
                .or_at(position as usize));
        }
        Ok(())
    }

    fn check_distinct_order(
        &self,
        arguments: &[Expr],
        order: &[SortKey],
        call: &Call,
    ) -> Result<()> {
        for (key, item) in order.iter().zip(&call.order_by) {
            if !arguments.contains(&key.expression) {
                return Err(PlanError::at(
                    SqlState::INVALID_COLUMN_REFERENCE,
                    item.expression.place() as usize,
                    "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list",
                ));
            }
        }
        Ok(())
    }

    /// ORDER BY inside a call or a window: plain expressions, no ordinals.
    pub(super) fn sort_keys(&mut self, items: &[OrderItem]) -> Result<Vec<SortKey>> {
        let mut keys = Vec::with_capacity(items.len());
        for item in items {
            let bound = self.expression(&item.expression)?;
            let expression = self.text_if_unknown(bound)?;
            keys.push(sort_key(expression, item)?);
        }
        Ok(keys)
    }

    /// `GROUPING(a, b)`: which keys do not count in this row's grouping set.
    pub(super) fn grouping(&mut self, arguments: &[Syntax], position: u32) -> Result<Expr> {
        self.check_aggregate_place(position)?;
        if arguments.len() > 31 {
            return Err(PlanError::at(
                SqlState::TOO_MANY_ARGUMENTS,
                position as usize,
                "GROUPING must have fewer than 32 arguments",
            ));
        }
        let bound = self.within(Clause::AggregateArgument, |binder| binder.arguments(arguments))?;
        let scope = self.scopes.last_mut().expect("a clause that allows aggregates has a scope");
        scope.groupings.push(bound);
        let index = GROUPING_MARK + (scope.groupings.len() - 1) as u32;
        Ok(Expr::Column { index, column_type: ColumnType::plain(SqlType::Int4) })
    }
}

/// A sort key with PostgreSQL's default for NULLs: as if they were larger than everything.
pub(super) fn sort_key(expression: Expr, item: &OrderItem) -> Result<SortKey> {
    let descending = match item.using.as_deref() {
        None => item.descending,
        Some("<") => false,
        Some(">") => true,
        Some(operator) => {
            return Err(PlanError::at(
                SqlState::WRONG_OBJECT_TYPE,
                item.expression.place() as usize,
                format!("operator {operator} is not a valid ordering operator"),
            ));
        }
    };
    let nulls_first = item.nulls_first.unwrap_or(descending);
    Ok(SortKey { expression, descending, nulls_first })
}
