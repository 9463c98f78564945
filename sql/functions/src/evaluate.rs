//! Evaluating an expression on one row.
//!
//! Values of columns, parameters and literals are borrowed, never copied; a call of up to [`INLINE_ARGUMENTS`] arguments allocates nothing of its own.
//! Recursion is bounded by `EXPRESSION_DEPTH_MAX`, as in PostgreSQL by `max_stack_depth` (54001).

use crate::cast::cast_value;
use crate::expr::{Expr, Quantifier, Test, too_deep};
use crate::registry::{FunctionId, Nulls};
use crate::{EvalContext, EvalError};
use alloc::vec::Vec;
use core::cmp::Ordering;
use types::limits::EXPRESSION_DEPTH_MAX;
use types::{SqlType, Value};

/// Calls with at most this many arguments keep them on the stack.
const INLINE_ARGUMENTS: usize = 3;

/// The value of an expression on a row.
///
/// # Errors
/// What the expression raises; XX000 for an index outside the row or the parameters, a type that does not match, or a subquery.
pub fn evaluate(
    expr: &Expr,
    row: &[Value],
    parameters: &[Value],
    context: &EvalContext<'_>,
) -> Result<Value, EvalError> {
    Ok(Evaluation { row, parameters, context }.value(expr, 0)?.into_owned())
}

/// Whether a condition holds: NULL counts as false, as in WHERE.
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_predicate(
    expr: &Expr,
    row: &[Value],
    parameters: &[Value],
    context: &EvalContext<'_>,
) -> Result<bool, EvalError> {
    let evaluation = Evaluation { row, parameters, context };
    Ok(evaluation.truth(expr, 0)? == Some(true))
}

/// A value that is borrowed when it can be.
enum Held<'a> {
    Borrowed(&'a Value),
    Owned(Value),
}

impl Held<'_> {
    fn get(&self) -> &Value {
        match self {
            Held::Borrowed(value) => value,
            Held::Owned(value) => value,
        }
    }

    fn into_owned(self) -> Value {
        match self {
            Held::Borrowed(value) => value.clone(),
            Held::Owned(value) => value,
        }
    }
}

struct Evaluation<'a> {
    row: &'a [Value],
    parameters: &'a [Value],
    context: &'a EvalContext<'a>,
}

const TRUE: Value = Value::Bool(true);
const FALSE: Value = Value::Bool(false);

fn boolean<'a>(truth: Option<bool>) -> Held<'a> {
    Held::Owned(match truth {
        Some(true) => TRUE,
        Some(false) => FALSE,
        None => Value::Null,
    })
}

fn truth_of(value: &Value) -> Result<Option<bool>, EvalError> {
    match value {
        Value::Bool(truth) => Ok(Some(*truth)),
        Value::Null => Ok(None),
        _ => Err(EvalError::internal("a condition is not boolean")),
    }
}

impl<'a> Evaluation<'a> {
    fn value(&self, expr: &'a Expr, depth: usize) -> Result<Held<'a>, EvalError> {
        if depth >= EXPRESSION_DEPTH_MAX {
            return Err(too_deep());
        }
        let depth = depth + 1;
        match expr {
            Expr::Literal { value, .. } => Ok(Held::Borrowed(value)),
            Expr::Column { index, .. } => borrowed(self.row, *index, "column"),
            Expr::Parameter { index, .. } => borrowed(self.parameters, *index, "parameter"),
            Expr::Call { function, arguments, .. } => self.call(*function, arguments, depth),
            Expr::Cast { argument, to, kind } => {
                let held = self.value(argument, depth)?;
                if held.get().is_null() {
                    return Ok(held);
                }
                cast_value(held.get(), argument.sql_type(), *to, *kind, self.context)
                    .map(Held::Owned)
            }
            Expr::And(_)
            | Expr::Or(_)
            | Expr::Not(_)
            | Expr::Test { .. }
            | Expr::Distinct { .. }
            | Expr::InList { .. }
            | Expr::Quantified { .. } => Ok(boolean(self.truth_compound(expr, depth)?)),
            _ => self.choice(expr, depth),
        }
    }

    fn truth(&self, expr: &'a Expr, depth: usize) -> Result<Option<bool>, EvalError> {
        truth_of(self.value(expr, depth)?.get())
    }

    fn truth_compound(&self, expr: &'a Expr, depth: usize) -> Result<Option<bool>, EvalError> {
        match expr {
            Expr::And(parts) => self.connect(parts, depth, false),
            Expr::Or(parts) => self.connect(parts, depth, true),
            Expr::Not(argument) => Ok(self.truth(argument, depth)?.map(|truth| !truth)),
            Expr::Test { test, argument } => self.test(*test, argument, depth).map(Some),
            Expr::Distinct { equality, left, right, negated } => {
                let (left, right) = (self.value(left, depth)?, self.value(right, depth)?);
                let distinct = match (left.get().is_null(), right.get().is_null()) {
                    (true, true) => false,
                    (true, false) | (false, true) => true,
                    (false, false) => {
                        self.compare(*equality, left.get(), right.get())? != Some(true)
                    }
                };
                Ok(Some(distinct != *negated))
            }
            Expr::InList { equality, argument, list, negated } => {
                let left = self.value(argument, depth)?;
                if left.get().is_null() {
                    return Ok(None);
                }
                let mut found = Some(false);
                for element in list {
                    let right = self.value(element, depth)?;
                    match self.compare(*equality, left.get(), right.get())? {
                        Some(true) => return Ok(Some(!*negated)),
                        Some(false) => {}
                        None => found = None,
                    }
                }
                Ok(found.map(|found| found != *negated))
            }
            Expr::Quantified { quantifier, operator, left, array } => {
                self.quantified(*quantifier, *operator, left, array, depth)
            }
            _ => Err(EvalError::internal("not a boolean node")),
        }
    }

    /// AND (`decisive` false) and OR (`decisive` true).
    fn connect(
        &self,
        parts: &'a [Expr],
        depth: usize,
        decisive: bool,
    ) -> Result<Option<bool>, EvalError> {
        let mut answer = Some(!decisive);
        for part in parts {
            match self.truth(part, depth)? {
                Some(truth) if truth == decisive => return Ok(Some(decisive)),
                Some(_) => {}
                None => answer = None,
            }
        }
        Ok(answer)
    }

    fn test(&self, test: Test, argument: &'a Expr, depth: usize) -> Result<bool, EvalError> {
        let held = self.value(argument, depth)?;
        let truth = |wanted: Option<bool>| Ok::<bool, EvalError>(truth_of(held.get())? == wanted);
        match test {
            Test::Null => Ok(held.get().is_null()),
            Test::NotNull => Ok(!held.get().is_null()),
            Test::True => truth(Some(true)),
            Test::NotTrue => truth(Some(true)).map(|is| !is),
            Test::False => truth(Some(false)),
            Test::NotFalse => truth(Some(false)).map(|is| !is),
            Test::Unknown => truth(None),
            Test::NotUnknown => truth(None).map(|is| !is),
        }
    }

    fn quantified(
        &self,
        quantifier: Quantifier,
        operator: FunctionId,
        left: &'a Expr,
        array: &'a Expr,
        depth: usize,
    ) -> Result<Option<bool>, EvalError> {
        let (left, array) = (self.value(left, depth)?, self.value(array, depth)?);
        let elements = match array.get() {
            Value::Null => return Ok(None),
            Value::Array(elements) => elements,
            _ => return Err(EvalError::internal("op ANY/ALL without an array")),
        };
        let decisive = quantifier == Quantifier::Any;
        let mut answer = Some(!decisive);
        for element in elements.iter() {
            match self.compare(operator, left.get(), element)? {
                Some(truth) if truth == decisive => return Ok(Some(decisive)),
                Some(_) => {}
                None => answer = None,
            }
        }
        Ok(answer)
    }

    fn compare(
        &self,
        function: FunctionId,
        left: &Value,
        right: &Value,
    ) -> Result<Option<bool>, EvalError> {
        truth_of(&apply(function, &[left, right], self.context)?)
    }

    fn call(
        &self,
        function: FunctionId,
        arguments: &'a [Expr],
        depth: usize,
    ) -> Result<Held<'a>, EvalError> {
        const NULL: Value = Value::Null;
        if arguments.len() <= INLINE_ARGUMENTS {
            let mut held: [Held<'a>; INLINE_ARGUMENTS] =
                [const { Held::Borrowed(&NULL) }; INLINE_ARGUMENTS];
            for (slot, argument) in held.iter_mut().zip(arguments) {
                *slot = self.value(argument, depth)?;
            }
            let values = [held[0].get(), held[1].get(), held[2].get()];
            return apply(function, &values[..arguments.len()], self.context).map(Held::Owned);
        }
        let mut held = Vec::with_capacity(arguments.len());
        for argument in arguments {
            held.push(self.value(argument, depth)?);
        }
        let values: Vec<&Value> = held.iter().map(Held::get).collect();
        apply(function, &values, self.context).map(Held::Owned)
    }

    /// The nodes that choose among their parts, and arrays.
    fn choice(&self, expr: &'a Expr, depth: usize) -> Result<Held<'a>, EvalError> {
        match expr {
            Expr::Case { branches, otherwise, .. } => {
                for (condition, result) in branches {
                    if self.truth(condition, depth)? == Some(true) {
                        return self.value(result, depth);
                    }
                }
                match otherwise {
                    Some(result) => self.value(result, depth),
                    None => Ok(Held::Owned(Value::Null)),
                }
            }
            Expr::Coalesce { arguments, .. } => {
                for argument in arguments {
                    let held = self.value(argument, depth)?;
                    if !held.get().is_null() {
                        return Ok(held);
                    }
                }
                Ok(Held::Owned(Value::Null))
            }
            Expr::NullIf { equality, left, right, .. } => {
                let (left, right) = (self.value(left, depth)?, self.value(right, depth)?);
                if self.compare(*equality, left.get(), right.get())? == Some(true) {
                    return Ok(Held::Owned(Value::Null));
                }
                Ok(left)
            }
            Expr::Extreme { greatest, arguments, column_type } => {
                let mut best: Option<Held<'a>> = None;
                let wanted = if *greatest { Ordering::Greater } else { Ordering::Less };
                for argument in arguments {
                    let held = self.value(argument, depth)?;
                    let better = best.as_ref().is_none_or(|best| {
                        compare_values(held.get(), best.get(), column_type.sql_type) == wanted
                    });
                    if !held.get().is_null() && better {
                        best = Some(held);
                    }
                }
                Ok(best.unwrap_or(Held::Owned(Value::Null)))
            }
            Expr::ArrayLiteral { elements, .. } => {
                let mut values = Vec::with_capacity(elements.len());
                for element in elements {
                    values.push(self.value(element, depth)?.into_owned());
                }
                Ok(Held::Owned(Value::Array(values.into_boxed_slice())))
            }
            Expr::Outer { .. } | Expr::Subquery { .. } => {
                Err(EvalError::internal("a subquery cannot be evaluated on a row alone"))
            }
            _ => Err(EvalError::internal("not a choosing node")),
        }
    }
}

fn borrowed<'a>(
    values: &'a [Value],
    index: u32,
    what: &'static str,
) -> Result<Held<'a>, EvalError> {
    values.get(index as usize).map(Held::Borrowed).ok_or_else(|| {
        EvalError::internal(alloc::format!("{what} {index} is outside {}", values.len()))
    })
}

/// The order of two values of a type: [`Value::sql_cmp`], but trailing blanks of `char(n)` do not count.
pub(crate) fn compare_values(left: &Value, right: &Value, sql_type: SqlType) -> Ordering {
    match (left, right) {
        (Value::Text(left), Value::Text(right)) if sql_type == SqlType::Bpchar => {
            left.trim_end_matches(' ').as_bytes().cmp(right.trim_end_matches(' ').as_bytes())
        }
        _ => left.sql_cmp(right),
    }
}

/// Calls a function: NULL handling, then its code.
///
/// # Errors
/// What it raises; XX000 for an unknown id or a wrong number of arguments.
pub fn apply(
    function: FunctionId,
    arguments: &[&Value],
    context: &EvalContext<'_>,
) -> Result<Value, EvalError> {
    let Some(definition) = function.definition() else {
        return Err(EvalError::internal(alloc::format!("no function has the id {}", function.0)));
    };
    if definition.nulls == Nulls::Strict && arguments.iter().any(|value| value.is_null()) {
        return Ok(Value::Null);
    }
    (definition.evaluate)(context, arguments)
}

const _: () = assert!(size_of::<Result<Value, EvalError>>() <= 64, "results travel on the stack");

#[cfg(test)]
mod tests;
