//! The rows that a set-returning function returns, one at a time.
//!
//! Steps and comparisons of numerics and timestamps are `functions`' own, so a series ends, overflows and rounds as elsewhere.

use functions::{EvalContext, EvalError, FunctionId, apply, resolve_operator};
use plan::query::SetFunctionKind;
use types::{Interval, SqlState, SqlType, Value, ValueError};

/// What is still to come.
#[derive(Debug)]
pub(crate) enum SetRows {
    Integers { next: Option<i64>, stop: i64, step: i64, output: SqlType },
    Stepped(Stepped),
    Values(std::vec::IntoIter<Value>),
}

/// A series whose steps are additions of `functions`.
#[derive(Debug)]
pub(crate) struct Stepped {
    next: Option<Value>,
    stop: Value,
    step: Value,
    add: FunctionId,
    rising: bool,
}

impl SetRows {
    pub(crate) fn open(
        kind: SetFunctionKind,
        arguments: &[Value],
        context: &EvalContext<'_>,
    ) -> Result<SetRows, EvalError> {
        // All of them are strict but unnest, which has no rows for NULL either, and string_to_table's last argument.
        let strict = match kind {
            SetFunctionKind::StringToTable => arguments.len().min(1),
            _ => arguments.len(),
        };
        if arguments[..strict].iter().any(Value::is_null) {
            return Ok(SetRows::Values(Vec::new().into_iter()));
        }
        match kind {
            SetFunctionKind::GenerateSeries => series(arguments, context),
            SetFunctionKind::Unnest => Ok(SetRows::Values(elements(&arguments[0])?.into_iter())),
            SetFunctionKind::GenerateSubscripts => subscripts(arguments),
            SetFunctionKind::StringToTable => split(arguments),
            SetFunctionKind::RegexpSplitToTable => {
                let resolved = functions::resolve_function(
                    "regexp_split_to_array",
                    &vec![SqlType::Text; arguments.len()],
                )?;
                let borrowed: Vec<&Value> = arguments.iter().collect();
                let array = apply(resolved.function, &borrowed, context)?;
                Ok(SetRows::Values(elements(&array)?.into_iter()))
            }
        }
    }

    /// The next row's value; nothing after the last one.
    pub(crate) fn next(&mut self, context: &EvalContext<'_>) -> Result<Option<Value>, EvalError> {
        match self {
            SetRows::Values(values) => Ok(values.next()),
            SetRows::Integers { next, stop, step, output } => {
                let Some(value) = *next else { return Ok(None) };
                let over = if *step > 0 { value > *stop } else { value < *stop };
                if over {
                    *next = None;
                    return Ok(None);
                }
                // A series that would leave bigint ends there.
                *next = value.checked_add(*step);
                Ok(Some(match output {
                    SqlType::Int4 => Value::Int4(
                        i32::try_from(value).map_err(|_| ValueError::out_of_range("integer"))?,
                    ),
                    _ => Value::Int8(value),
                }))
            }
            SetRows::Stepped(stepped) => {
                let Some(value) = stepped.next.take() else { return Ok(None) };
                let order = value.sql_cmp(&stepped.stop);
                let over = if stepped.rising { order.is_gt() } else { order.is_lt() };
                if over {
                    return Ok(None);
                }
                stepped.next = Some(apply(stepped.add, &[&value, &stepped.step], context)?);
                Ok(Some(value))
            }
        }
    }
}

fn zero_step() -> EvalError {
    ValueError::new(SqlState::INVALID_PARAMETER_VALUE, "step size cannot equal zero")
}

fn series(arguments: &[Value], _context: &EvalContext<'_>) -> Result<SetRows, EvalError> {
    let integer = |value: &Value| match value {
        Value::Int2(v) => Some(i64::from(*v)),
        Value::Int4(v) => Some(i64::from(*v)),
        Value::Int8(v) => Some(*v),
        _ => None,
    };
    let (start, stop) = (&arguments[0], &arguments[1]);
    if let (Some(next), Some(end)) = (integer(start), integer(stop)) {
        let step = match arguments.get(2) {
            None => 1,
            Some(step) => integer(step)
                .ok_or_else(|| ValueError::internal("a series' step of another type"))?,
        };
        if step == 0 {
            return Err(zero_step());
        }
        let output = if matches!(start, Value::Int8(_)) { SqlType::Int8 } else { SqlType::Int4 };
        return Ok(SetRows::Integers { next: Some(next), stop: end, step, output });
    }
    let (left, right, step, rising) = match (start, arguments.get(2)) {
        (Value::Numeric(_), step) => {
            let one = Value::Numeric(Box::new(types::Numeric::from_i128(1)));
            let step = step.cloned().unwrap_or(one);
            let zero = Value::Numeric(Box::new(types::Numeric::ZERO));
            let order = step.sql_cmp(&zero);
            if order.is_eq() {
                return Err(zero_step());
            }
            (SqlType::Numeric, SqlType::Numeric, step, order.is_gt())
        }
        (Value::Timestamp(_) | Value::Timestamptz(_), Some(Value::Interval(step))) => {
            let order = step.cmp(&Interval::default());
            if order.is_eq() {
                return Err(zero_step());
            }
            let left = match start {
                Value::Timestamp(_) => SqlType::Timestamp,
                _ => SqlType::Timestamptz,
            };
            (left, SqlType::Interval, Value::Interval(*step), order.is_gt())
        }
        _ => return Err(ValueError::internal("a series of another type")),
    };
    let add = resolve_operator("+", left, right)?.function;
    let next = Some(start.clone());
    Ok(SetRows::Stepped(Stepped { next, stop: stop.clone(), step, add, rising }))
}

fn elements(array: &Value) -> Result<Vec<Value>, EvalError> {
    match array {
        Value::Array(values) => Ok(values.to_vec()),
        Value::Null => Ok(Vec::new()),
        _ => Err(ValueError::internal("not an array")),
    }
}

fn subscripts(arguments: &[Value]) -> Result<SetRows, EvalError> {
    let count = elements(&arguments[0])?.len() as i64;
    let first_dimension = matches!(arguments.get(1), Some(Value::Int4(1)));
    let backwards = matches!(arguments.get(2), Some(Value::Bool(true)));
    let (next, stop, step) = match (first_dimension, backwards) {
        (false, _) => (None, 0, 1),
        (true, false) => (Some(1), count, 1),
        (true, true) => (Some(count), 1, -1),
    };
    Ok(SetRows::Integers { next, stop, step, output: SqlType::Int4 })
}

/// `string_to_table`: a NULL delimiter splits into characters, an empty one does not split, pieces equal to the last argument are NULL.
fn split(arguments: &[Value]) -> Result<SetRows, EvalError> {
    let Value::Text(text) = &arguments[0] else {
        return Err(ValueError::internal("not a string"));
    };
    let pieces: Vec<String> = match arguments.get(1) {
        _ if text.is_empty() => Vec::new(),
        Some(Value::Text(delimiter)) if delimiter.is_empty() => vec![text.to_string()],
        Some(Value::Text(delimiter)) => text.split(&**delimiter).map(String::from).collect(),
        _ => text.chars().map(String::from).collect(),
    };
    let null = match arguments.get(2) {
        Some(Value::Text(null)) => Some(null),
        _ => None,
    };
    let values: Vec<Value> = pieces
        .into_iter()
        .map(|piece| match null {
            Some(null) if **null == *piece => Value::Null,
            _ => Value::text(piece),
        })
        .collect();
    Ok(SetRows::Values(values.into_iter()))
}
