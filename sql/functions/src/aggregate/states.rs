//! The states of aggregates.

mod collect;
mod extremes;
mod float;
mod integer;
mod number;

use super::AggregateState;
use crate::registry::FunctionId;
use crate::{EvalContext, EvalError};
use alloc::boxed::Box;
use alloc::vec::Vec;
use types::{SqlType, Value};

pub(super) use collect::*;
pub(super) use extremes::*;
pub(super) use float::*;
pub(super) use integer::*;
pub(super) use number::*;

/// A partial that another version of the program wrote, or damaged bytes.
#[cold]
pub(super) fn bad_partial() -> EvalError {
    EvalError::internal("the partial state of an aggregate has another shape")
}

/// `count(*)` and `count(x)`.
#[derive(Debug, Default)]
struct Count {
    rows: i64,
}

impl AggregateState for Count {
    fn accumulate(
        &mut self,
        arguments: &[&Value],
        _context: &EvalContext<'_>,
    ) -> Result<(), EvalError> {
        if arguments.first().is_none_or(|value| !value.is_null()) {
            self.rows += 1;
        }
        Ok(())
    }

    fn finish(&self) -> Result<Value, EvalError> {
        Ok(Value::Int8(self.rows))
    }

    fn partial(&self) -> Vec<Value> {
        Vec::from([Value::Int8(self.rows)])
    }

    fn merge(&mut self, partial: &[Value]) -> Result<(), EvalError> {
        let [Value::Int8(rows)] = partial else { return Err(bad_partial()) };
        self.rows += rows;
        Ok(())
    }
}

// pg_proc count() => count
// pg_proc count("any") => count
pub(super) fn count(_types: &[SqlType]) -> Box<dyn AggregateState> {
    Box::new(Count::default())
}

/// Calls a function of two arguments in place, as a transition.
pub(super) fn combine(
    function: FunctionId,
    left: &Value,
    right: &Value,
    context: &EvalContext<'_>,
) -> Result<Value, EvalError> {
    crate::evaluate::apply(function, &[left, right], context)
}
