//! Sums and averages of numerics: 128-bit integers at a power of ten while they fit, which is nearly always; else `functions`' own addition.
//!
//! The display scale of a sum is the largest among its operands, as in PostgreSQL.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryViewArray, Int64Array};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::EmitTo;
use functions::{EvalContext, FunctionId, apply};
use types::numeric::NumericKind;
use types::{Numeric, SqlState, SqlType, Value, ValueError};

use super::native::{Answer, NUMERIC_DIV};
use super::{Groups, down};
use crate::error::raised;
use crate::physical::ColumnBuilder;

/// `numeric_add`
const NUMERIC_ADD: FunctionId = FunctionId(1724);
/// Bytes of an encoded number before its digits.
const HEAD_BYTES: usize = 5;
/// The base of a digit.
const BASE: i128 = 10_000;

/// A sum so far.
#[derive(Clone, Debug)]
enum Sum {
    /// `units · 10000 ^ exponent`
    Small {
        units: i128,
        exponent: i16,
        display_scale: u16,
    },
    Large(Box<Numeric>),
}

#[derive(Clone, Debug)]
struct State {
    sum: Sum,
    count: i64,
}

impl Default for State {
    fn default() -> State {
        State { sum: Sum::Small { units: 0, exponent: 0, display_scale: 0 }, count: 0 }
    }
}

/// An encoded number as units of a power of 10000; nothing for special and very long ones.
fn units_of(bytes: &[u8]) -> Option<(i128, i16, u16)> {
    let (head, digits) = bytes.split_first_chunk::<HEAD_BYTES>()?;
    let negative = head[0] == NumericKind::Negative as u8;
    if !negative && head[0] != NumericKind::Positive as u8 {
        return None;
    }
    // Eight digits of base 10000 leave room for adding many of them.
    if digits.len() > 16 {
        return None;
    }
    let weight = i16::from_le_bytes([head[1], head[2]]);
    let display_scale = u16::from_le_bytes([head[3], head[4]]);
    let mut units: i128 = 0;
    for digit in digits.chunks_exact(2) {
        units = units * BASE + i128::from(i16::from_le_bytes([digit[0], digit[1]]));
    }
    let exponent = weight.checked_sub(digits.len() as i16 / 2)?.checked_add(1)?;
    Some((if negative { -units } else { units }, exponent, display_scale))
}

/// Units at a lower exponent.
fn lowered(units: i128, from: i16, to: i16) -> Option<i128> {
    let steps = u32::try_from(i32::from(from) - i32::from(to)).ok()?;
    if units == 0 {
        return Some(0);
    }
    units.checked_mul(BASE.checked_pow(steps)?)
}

fn numeric_of(units: i128, exponent: i16, display_scale: u16) -> Numeric {
    let mut rest = units.unsigned_abs();
    let mut digits: Vec<i16> = Vec::new();
    while rest > 0 {
        digits.push((rest % BASE as u128) as i16);
        rest /= BASE as u128;
    }
    digits.reverse();
    let weight = digits.len() as i32 - 1 + i32::from(exponent);
    Numeric::from_parts(units < 0, weight, display_scale, digits)
}

impl Sum {
    fn add_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        if let (Sum::Small { units, exponent, display_scale }, Some((more, at, scale))) =
            (&mut *self, units_of(bytes))
        {
            let low = (*exponent).min(at);
            let sum = lowered(*units, *exponent, low)
                .zip(lowered(more, at, low))
                .and_then(|(a, b)| a.checked_add(b));
            if let Some(sum) = sum {
                *units = sum;
                *exponent = low;
                *display_scale = (*display_scale).max(scale);
                return Ok(());
            }
        }
        let number = Numeric::decode(bytes).ok_or_else(|| {
            let message = "a stored number does not decode";
            raised(ValueError::new(SqlState::DATA_CORRUPTED, message))
        })?;
        self.add(number)
    }

    fn add(&mut self, number: Numeric) -> Result<()> {
        let before = Value::Numeric(Box::new(self.value()));
        let operands = [&before, &Value::Numeric(Box::new(number))];
        match apply(NUMERIC_ADD, &operands, &EvalContext::PURE).map_err(raised)? {
            Value::Numeric(sum) => *self = Sum::Large(sum),
            other => {
                let message = format!("a sum of numerics is {other:?}");
                return Err(raised(ValueError::internal(message)));
            }
        }
        Ok(())
    }

    fn value(&self) -> Numeric {
        match self {
            Sum::Small { units, exponent, display_scale } => {
                numeric_of(*units, *exponent, *display_scale)
            }
            Sum::Large(sum) => (**sum).clone(),
        }
    }
}

/// `sum(numeric)`, `avg(numeric)`
pub(super) struct NumericSum {
    answer: Answer,
    states: Vec<State>,
}

impl NumericSum {
    pub(super) fn new(answer: Answer) -> NumericSum {
        NumericSum { answer, states: Vec::new() }
    }
}

impl Groups for NumericSum {
    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::BinaryView, DataType::Int64]
    }

    fn fresh(&self) -> Box<dyn Groups> {
        Box::new(NumericSum::new(self.answer))
    }

    fn resize(&mut self, count: usize) -> Result<()> {
        self.states.resize(count.max(self.states.len()), State::default());
        Ok(())
    }

    fn update(
        &mut self,
        values: &[ArrayRef],
        rows: &mut dyn Iterator<Item = (usize, usize)>,
    ) -> Result<()> {
        let numbers: &BinaryViewArray = down(&values[0]);
        for (row, group) in rows {
            if numbers.is_valid(row) {
                let state = &mut self.states[group];
                state.count += 1;
                state.sum.add_bytes(numbers.value(row))?;
            }
        }
        Ok(())
    }

    fn merge(
        &mut self,
        states: &[ArrayRef],
        rows: &mut dyn Iterator<Item = (usize, usize)>,
    ) -> Result<()> {
        let (sums, counts): (&BinaryViewArray, &Int64Array) = (down(&states[0]), down(&states[1]));
        for (row, group) in rows {
            let state = &mut self.states[group];
            state.count += counts.value(row);
            state.sum.add_bytes(sums.value(row))?;
        }
        Ok(())
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let states = emit.take_needed(&mut self.states);
        let mut builder = ColumnBuilder::new(SqlType::Numeric, states.len());
        for state in states {
            let sum = Value::Numeric(Box::new(state.sum.value()));
            let answer = match (state.count, self.answer) {
                (0, _) => Value::Null,
                (_, Answer::Sum) => sum,
                (count, Answer::Average) => {
                    let count = Value::Numeric(Box::new(Numeric::from_i128(i128::from(count))));
                    apply(NUMERIC_DIV, &[&sum, &count], &EvalContext::PURE).map_err(raised)?
                }
            };
            builder.push(&answer).map_err(raised)?;
        }
        Ok(builder.finish())
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        let states = emit.take_needed(&mut self.states);
        let mut sums = ColumnBuilder::new(SqlType::Numeric, states.len());
        let mut counts = Vec::with_capacity(states.len());
        for state in states {
            sums.push(&Value::Numeric(Box::new(state.sum.value()))).map_err(raised)?;
            counts.push(state.count);
        }
        Ok(vec![sums.finish(), Arc::new(Int64Array::from(counts))])
    }

    fn size(&self) -> usize {
        self.states.capacity() * size_of::<State>()
    }
}
