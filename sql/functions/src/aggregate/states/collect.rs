//! Aggregates that keep every value: `string_agg`, `array_agg`; and `avg(interval)`.

use super::bad_partial;
use crate::aggregate::AggregateState;
use crate::library::{datetime, text};
use crate::{EvalContext, EvalError};
use alloc::boxed::Box;
use alloc::vec::Vec;
use types::{Interval, SqlType, Value};

/// `string_agg`: the values joined, each but the first after its own row's delimiter.
#[derive(Debug)]
struct Joined {
    bytes: bool,
    /// With the first row's delimiter in front.
    body: Vec<u8>,
    first_delimiter_bytes: usize,
    seen: bool,
}

fn bytes_of(value: &Value) -> Result<&[u8], EvalError> {
    match value {
        Value::Null => Ok(&[]),
        Value::Text(text) => Ok(text.as_bytes()),
        Value::Bytea(bytes) => Ok(bytes),
        _ => Err(EvalError::internal("string_agg was given something else")),
    }
}

impl Joined {
    fn value(&self, bytes: &[u8]) -> Result<Value, EvalError> {
        if self.bytes {
            return Ok(Value::Bytea(bytes.into()));
        }
        core::str::from_utf8(bytes)
            .map(|text| Value::Text(text.into()))
            .map_err(|_| EvalError::internal("joined texts are not UTF-8"))
    }
}

impl AggregateState for Joined {
    fn accumulate(
        &mut self,
        arguments: &[&Value],
        _context: &EvalContext<'_>,
    ) -> Result<(), EvalError> {
        let [value, delimiter] = arguments else { return Err(bad_partial()) };
        if value.is_null() {
            return Ok(());
        }
        let delimiter = bytes_of(delimiter)?;
        if !self.seen {
            self.first_delimiter_bytes = delimiter.len();
            self.seen = true;
        }
        self.body.extend_from_slice(delimiter);
        self.body.extend_from_slice(bytes_of(value)?);
        text::check_length(self.body.len())
    }

    fn finish(&self) -> Result<Value, EvalError> {
        if !self.seen {
            return Ok(Value::Null);
        }
        self.value(&self.body[self.first_delimiter_bytes..])
    }

    fn partial(&self) -> Vec<Value> {
        let delimiter = if self.seen { self.first_delimiter_bytes as i64 } else { -1 };
        Vec::from([Value::Bytea(self.body.as_slice().into()), Value::Int8(delimiter)])
    }

    fn merge(&mut self, partial: &[Value]) -> Result<(), EvalError> {
        let [Value::Bytea(body), Value::Int8(delimiter)] = partial else {
            return Err(bad_partial());
        };
        let Ok(delimiter) = usize::try_from(*delimiter) else { return Ok(()) };
        if delimiter > body.len() {
            return Err(bad_partial());
        }
        if !self.seen {
            self.first_delimiter_bytes = delimiter;
            self.seen = true;
        }
        self.body.extend_from_slice(body);
        text::check_length(self.body.len())
    }

    fn heap_bytes(&self) -> usize {
        self.body.capacity()
    }
}

fn joined(bytes: bool) -> Box<dyn AggregateState> {
    Box::new(Joined { bytes, body: Vec::new(), first_delimiter_bytes: 0, seen: false })
}

// pg_proc string_agg(text,text) => string_agg
pub(in crate::aggregate) fn string_agg(_types: &[SqlType]) -> Box<dyn AggregateState> {
    joined(false)
}

// pg_proc string_agg(bytea,bytea) => bytea_agg
pub(in crate::aggregate) fn bytea_agg(_types: &[SqlType]) -> Box<dyn AggregateState> {
    joined(true)
}

/// `array_agg`: NULLs are elements.
#[derive(Debug, Default)]
struct Elements {
    values: Vec<Value>,
    bytes: usize,
}

impl AggregateState for Elements {
    fn accumulate(
        &mut self,
        arguments: &[&Value],
        _context: &EvalContext<'_>,
    ) -> Result<(), EvalError> {
        let [value] = arguments else { return Err(bad_partial()) };
        self.bytes += size_of::<Value>() + bytes_of(value).map_or(0, <[u8]>::len);
        text::check_length(self.bytes)?;
        self.values.push((*value).clone());
        Ok(())
    }

    fn finish(&self) -> Result<Value, EvalError> {
        if self.values.is_empty() {
            return Ok(Value::Null);
        }
        Ok(Value::Array(self.values.clone().into_boxed_slice()))
    }

    fn partial(&self) -> Vec<Value> {
        Vec::from([Value::Array(self.values.clone().into_boxed_slice())])
    }

    fn merge(&mut self, partial: &[Value]) -> Result<(), EvalError> {
        let [Value::Array(values)] = partial else { return Err(bad_partial()) };
        self.values.extend_from_slice(values);
        Ok(())
    }

    fn heap_bytes(&self) -> usize {
        self.bytes
    }
}

// pg_proc array_agg(anynonarray) => array_agg
pub(in crate::aggregate) fn array_agg(_types: &[SqlType]) -> Box<dyn AggregateState> {
    Box::new(Elements::default())
}

#[derive(Debug, Default)]
struct Spans {
    count: i64,
    sum: Interval,
}

impl AggregateState for Spans {
    fn accumulate(
        &mut self,
        arguments: &[&Value],
        _context: &EvalContext<'_>,
    ) -> Result<(), EvalError> {
        match arguments {
            [Value::Null] => Ok(()),
            [Value::Interval(span)] => {
                self.count += 1;
                self.sum = datetime::sum(self.sum, *span)?;
                Ok(())
            }
            _ => Err(bad_partial()),
        }
    }

    fn finish(&self) -> Result<Value, EvalError> {
        if self.count == 0 {
            return Ok(Value::Null);
        }
        datetime::divided(self.sum, self.count as f64).map(Value::Interval)
    }

    fn partial(&self) -> Vec<Value> {
        Vec::from([Value::Int8(self.count), Value::Interval(self.sum)])
    }

    fn merge(&mut self, partial: &[Value]) -> Result<(), EvalError> {
        let [Value::Int8(count), Value::Interval(sum)] = partial else {
            return Err(bad_partial());
        };
        self.count += count;
        self.sum = datetime::sum(self.sum, *sum)?;
        Ok(())
    }
}

// pg_proc avg(interval) => avg_interval
pub(in crate::aggregate) fn avg_interval(_types: &[SqlType]) -> Box<dyn AggregateState> {
    Box::new(Spans::default())
}
