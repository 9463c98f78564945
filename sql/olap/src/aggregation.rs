//! Aggregates: ours all, none of the engine below.
//!
//! Counts, sums, averages and extremes of numbers are columns of states ([`native`]); every other aggregate wraps the state of `functions`, one for each group
//! ([`stateful`]); DISTINCT and ORDER BY collect the rows of a group first ([`collected`]). All of them can be taken out half-way and merged, so grouping runs
//! in parallel and spills. `sum(bigint)` and averages of integers are exact numerics, sums of smaller integers are bigint and refuse to overflow (22003).

mod adapter;
mod collected;
mod first;
mod native;
mod numeric;
mod stateful;
mod strings;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::EmitTo;
use functions::AggregateId;
use types::SqlType;

use crate::evaluation::StatementContext;
use crate::physical::arrow_type;

pub(crate) use adapter::AggregateFunction;

/// An aggregate as a query calls it. Its arguments are followed by the keys of its ORDER BY.
#[derive(Debug)]
pub(crate) struct Call {
    number: u64,
    function: Function,
    arguments: Vec<SqlType>,
    output: SqlType,
    distinct: bool,
    order: Vec<OrderKey>,
    context: Arc<StatementContext>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    /// One of `functions`.
    Library(AggregateId),
    /// The value of the group's first row: what is shown of a grouping key.
    First,
    /// The same of a group that may have one row only: a scalar subquery.
    Single,
}

/// How many rows a group of [`Function::First`] may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rows {
    Any,
    One,
}

/// A key of an ORDER BY inside a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OrderKey {
    pub(crate) sql_type: SqlType,
    pub(crate) descending: bool,
    pub(crate) nulls_first: bool,
}

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(0);

impl Call {
    pub(crate) fn library(
        function: AggregateId,
        arguments: Vec<SqlType>,
        output: SqlType,
        context: Arc<StatementContext>,
    ) -> Call {
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        let function = Function::Library(function);
        Call { number, function, arguments, output, distinct: false, order: Vec::new(), context }
    }

    pub(crate) fn first(sql_type: SqlType, context: Arc<StatementContext>) -> Call {
        let number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        let (function, arguments) = (Function::First, vec![sql_type]);
        Call {
            number,
            function,
            arguments,
            output: sql_type,
            distinct: false,
            order: Vec::new(),
            context,
        }
    }

    /// The value of the only row of each group; 21000 for a second one.
    pub(crate) fn single(sql_type: SqlType, context: Arc<StatementContext>) -> Call {
        Call { function: Function::Single, ..Call::first(sql_type, context) }
    }

    /// The type of the answer.
    pub(crate) fn output(&self) -> SqlType {
        self.output
    }

    pub(crate) fn collecting(mut self, distinct: bool, order: Vec<OrderKey>) -> Call {
        self.distinct = distinct;
        self.order = order;
        self
    }

    /// An empty set of groups.
    fn groups(self: &Arc<Call>) -> Box<dyn Groups> {
        let aggregate = match self.function {
            Function::First => return Box::new(first::FirstGroups::new(self.output, Rows::Any)),
            Function::Single => return Box::new(first::FirstGroups::new(self.output, Rows::One)),
            Function::Library(aggregate) => aggregate,
        };
        if self.distinct || !self.order.is_empty() {
            return Box::new(collected::CollectedGroups::new(self.clone()));
        }
        let name = aggregate.definition().map_or("", |definition| definition.name);
        match native::groups(name, &self.arguments, self.output) {
            Some(groups) => groups,
            None => Box::new(stateful::StatefulGroups::new(self.clone())),
        }
    }

    /// Types of the columns of [`Groups::state`].
    fn state_types(self: &Arc<Call>) -> Vec<DataType> {
        self.groups().state_types()
    }

    fn output_type(&self) -> DataType {
        arrow_type(self.output)
    }

    fn new_state(&self) -> Result<Box<dyn functions::AggregateState>> {
        let Function::Library(aggregate) = self.function else {
            panic!("only the library's aggregates have states of their own");
        };
        let definition = aggregate.definition().ok_or_else(|| {
            crate::error::raised(types::ValueError::internal("an unknown aggregate was planned"))
        })?;
        Ok(definition.new_state(&self.arguments))
    }
}

/// The states of all groups of one aggregate.
trait Groups: Send {
    /// Types of the columns of `state`.
    fn state_types(&self) -> Vec<DataType>;

    /// The same aggregate without groups.
    fn fresh(&self) -> Box<dyn Groups>;

    /// Makes room for groups below `count`.
    fn resize(&mut self, count: usize) -> Result<()>;

    /// Adds rows: `rows` gives (row, group), in order.
    fn update(
        &mut self,
        values: &[ArrayRef],
        rows: &mut dyn Iterator<Item = (usize, usize)>,
    ) -> Result<()>;

    /// Adds states of another.
    fn merge(
        &mut self,
        states: &[ArrayRef],
        rows: &mut dyn Iterator<Item = (usize, usize)>,
    ) -> Result<()>;

    /// Takes out the answers of the first groups.
    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef>;

    /// Takes out the states of the first groups.
    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>>;

    /// Bytes held.
    fn size(&self) -> usize;
}

/// The rows that pass a filter, with their groups.
fn chosen<'a>(
    group_indices: &'a [usize],
    filter: Option<&'a BooleanArray>,
) -> impl Iterator<Item = (usize, usize)> + 'a {
    group_indices.iter().copied().enumerate().filter(move |(row, _)| {
        filter.is_none_or(|filter| filter.is_valid(*row) && filter.value(*row))
    })
}

fn down<T: 'static>(array: &ArrayRef) -> &T {
    array.as_any().downcast_ref().expect("the array has the type that lowering gave it")
}
