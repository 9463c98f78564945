//! Window calls, grouped by what they partition and order by.

use std::sync::Arc;

use datafusion::common::Column;
use datafusion::logical_expr::{Expr as EngineExpr, SortExpr};
use functions::{CastKind, Expr};
use plan::query::{
    Frame, FrameBound, FrameExclude, FrameUnits, Rel, SortKey, WindowCall, WindowFunction,
};
use types::{ColumnType, SqlState, SqlType};

use super::domain::Domain;
use super::{Lowering, Relation, Result};
use crate::error::AnalyticsError;
use crate::operators::{Bound, FrameSpec, OwnNode, Shape, WindowCallSpec, WindowSpec};
use crate::physical::field;

/// `invalid_preceding_or_following_size`
const INVALID_FRAME_OFFSET: SqlState = SqlState(*b"22013");

/// Row numbers wanted: above `first`, up to `last`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbering {
    pub(super) first: i64,
    pub(super) last: Option<i64>,
}

/// The columns that one window operator reads.
struct Reads {
    columns: Vec<Column>,
}

impl Reads {
    fn add(&mut self, column: Column) -> usize {
        self.columns.push(column);
        self.columns.len() - 1
    }
}

impl Lowering<'_> {
    pub(super) fn window(
        &self,
        input: &Rel,
        calls: &[WindowCall],
        domain: Option<&Domain>,
    ) -> Result<Relation> {
        let mut relation = self.plain(input, domain)?;
        let own = relation.columns.len();
        let mut done: Vec<Option<(Column, SqlType)>> = vec![None; calls.len()];
        for first in 0..calls.len() {
            if done[first].is_some() {
                continue;
            }
            let together: Vec<usize> = (first..calls.len())
                .filter(|at| {
                    calls[*at].partition == calls[first].partition
                        && calls[*at].order == calls[first].order
                })
                .collect();
            let group: Vec<&WindowCall> = together.iter().map(|at| &calls[*at]).collect();
            let columns = self.window_group(&mut relation, &group, domain)?;
            relation.columns.truncate(own);
            relation.types.truncate(own);
            for (at, column) in together.into_iter().zip(columns) {
                done[at] = Some((column, calls[at].column_type.sql_type));
            }
        }
        for (column, sql_type) in done.into_iter().flatten() {
            relation.columns.push(column);
            relation.types.push(sql_type);
        }
        Ok(relation)
    }

    /// Calls of one partitioning and order; their columns.
    fn window_group(
        &self,
        relation: &mut Relation,
        calls: &[&WindowCall],
        domain: Option<&Domain>,
    ) -> Result<Vec<Column>> {
        let width = relation.columns.len();
        let partition = self.window_columns(relation, &calls[0].partition, domain, Form::Key)?;
        let order: Vec<Expr> = calls[0].order.iter().map(|key| key.expression.clone()).collect();
        let order = self.window_columns(relation, &order, domain, Form::Key)?;
        let mut reads = Reads { columns: partition };
        reads.columns.extend(relation.carried.iter().map(|carried| carried.key.clone()));
        let partition = reads.columns.len();
        reads.columns.extend(order);
        let mut specs = Vec::with_capacity(calls.len());
        for call in calls {
            let arguments = self.window_columns(relation, &call.arguments, domain, Form::Value)?;
            let types = call.arguments.iter().map(Expr::sql_type);
            let arguments = arguments
                .into_iter()
                .zip(types)
                .map(|(column, t)| (reads.add(column), t))
                .collect();
            let filter = match &call.filter {
                Some(filter) => {
                    let filter = std::slice::from_ref(filter);
                    let column = self.window_columns(relation, filter, domain, Form::Value)?;
                    column.into_iter().next().map(|column| reads.add(column))
                }
                None => None,
            };
            let frame = self.frame(&call.frame, &call.order, relation, &mut reads, domain)?;
            specs.push(WindowCallSpec {
                function: call.function,
                arguments,
                filter,
                frame,
                output: call.column_type.sql_type,
            });
        }
        relation.columns.truncate(width);
        relation.types.truncate(width);
        let order = calls[0].order.iter().map(|key| (key.descending, key.nulls_first)).collect();
        self.window_node(
            relation,
            WindowSpec { partition, order, calls: specs, context: self.context.clone() },
            reads,
        )
    }

    fn window_node(
        &self,
        relation: &mut Relation,
        spec: WindowSpec,
        reads: Reads,
    ) -> Result<Vec<Column>> {
        let names: Vec<String> = spec.calls.iter().map(|_| self.name()).collect();
        let appended = names
            .iter()
            .zip(&spec.calls)
            .map(|(name, call)| field(name.clone(), call.output))
            .collect();
        let shape = Shape::Window(Arc::new(spec));
        relation.plan = OwnNode::plan(relation.plan.clone(), shape, reads.columns, appended)?;
        Ok(names.into_iter().map(Column::new_unqualified).collect())
    }

    fn window_columns(
        &self,
        relation: &mut Relation,
        expressions: &[Expr],
        domain: Option<&Domain>,
        form: Form,
    ) -> Result<Vec<Column>> {
        let (mut with, expressions) =
            self.with_subqueries(relation.clone(), expressions.to_vec(), domain)?;
        let mut scalars = Vec::with_capacity(expressions.len());
        for expression in &expressions {
            let scalar = self.scalar(expression, &with, domain)?;
            scalars.push(match form {
                Form::Key => self.key(scalar, expression.sql_type()),
                Form::Value => scalar,
            });
        }
        let columns = self.extend(&mut with, scalars)?;
        *relation = with;
        Ok(columns)
    }

    fn frame(
        &self,
        frame: &Frame,
        order: &[SortKey],
        relation: &mut Relation,
        reads: &mut Reads,
        domain: Option<&Domain>,
    ) -> Result<FrameSpec> {
        let start = self.bound(frame, &frame.start, order, relation, reads, domain)?;
        let end = self.bound(frame, &frame.end, order, relation, reads, domain)?;
        Ok(FrameSpec { units: frame.units, start, end, exclude: frame.exclude })
    }

    fn bound(
        &self,
        frame: &Frame,
        bound: &FrameBound,
        order: &[SortKey],
        relation: &mut Relation,
        reads: &mut Reads,
        domain: Option<&Domain>,
    ) -> Result<Bound> {
        let (offset, following) = match bound {
            FrameBound::UnboundedPreceding => return Ok(Bound::UnboundedPreceding),
            FrameBound::UnboundedFollowing => return Ok(Bound::UnboundedFollowing),
            FrameBound::CurrentRow => return Ok(Bound::CurrentRow),
            FrameBound::Preceding(offset) => (offset, false),
            FrameBound::Following(offset) => (offset, true),
        };
        if frame.units != FrameUnits::Range {
            let negative = (INVALID_FRAME_OFFSET, "frame starting offset must not be negative");
            let count = self.count(Some(offset), negative)?.ok_or_else(|| {
                types::ValueError::new(
                    SqlState::NULL_VALUE_NOT_ALLOWED,
                    "frame starting offset must not be null",
                )
            })?;
            return Ok(if following { Bound::Following(count) } else { Bound::Preceding(count) });
        }
        let [key] = order else {
            return Err(AnalyticsError::not_supported("RANGE with an offset over several keys"));
        };
        self.value_bound(key, offset, following, relation, reads, domain)
    }

    /// The sort key moved by the offset, beside the sort key in the same type.
    fn value_bound(
        &self,
        key: &SortKey,
        offset: &Expr,
        following: bool,
        relation: &mut Relation,
        reads: &mut Reads,
        domain: Option<&Domain>,
    ) -> Result<Bound> {
        // Later rows have larger keys, unless the order is descending.
        let symbol = if following != key.descending { "+" } else { "-" };
        let (left, right) = (key.expression.sql_type(), offset.sql_type());
        let operator = functions::resolve_operator(symbol, left, right)?;
        let cast = |expr: &Expr, to: SqlType| {
            expr.clone().cast_to(ColumnType::plain(to), CastKind::Implicit)
        };
        let moved = Expr::Call {
            function: operator.function,
            arguments: vec![
                cast(&key.expression, operator.arguments[0]),
                cast(offset, operator.arguments[1]),
            ],
            column_type: ColumnType::plain(operator.returns),
        };
        let beside = cast(&key.expression, operator.returns);
        let columns = self.window_columns(relation, &[beside, moved], domain, Form::Key)?;
        let mut columns = columns.into_iter().map(|column| reads.add(column));
        match (columns.next(), columns.next()) {
            (Some(own), Some(bound)) => {
                Ok(Bound::Value { key: own, bound, descending: key.descending })
            }
            _ => panic!("two columns were made"),
        }
    }

    /// Numbers rows within partitions, in order; the column of the numbers.
    pub(super) fn row_numbers(
        &self,
        relation: Relation,
        partition: Vec<Column>,
        sorts: Vec<SortExpr>,
    ) -> Result<(Relation, Column)> {
        let mut relation = relation;
        let order = sorts.iter().map(|sort| (!sort.asc, sort.nulls_first)).collect();
        let count = partition.len();
        let mut reads = Reads { columns: partition };
        for sort in sorts {
            match sort.expr {
                EngineExpr::Column(column) => reads.columns.push(column),
                other => {
                    let column = self.extend(&mut relation, vec![other])?.remove(0);
                    reads.columns.push(column);
                }
            }
        }
        let call = WindowCallSpec {
            function: WindowFunction::RowNumber,
            arguments: Vec::new(),
            filter: None,
            frame: FrameSpec {
                units: FrameUnits::Rows,
                start: Bound::UnboundedPreceding,
                end: Bound::CurrentRow,
                exclude: FrameExclude::NoOthers,
            },
            output: SqlType::Int8,
        };
        let spec = WindowSpec {
            partition: count,
            order,
            calls: vec![call],
            context: self.context.clone(),
        };
        let number = self.window_node(&mut relation, spec, reads)?.remove(0);
        Ok((relation, number))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Key,
    Value,
}
