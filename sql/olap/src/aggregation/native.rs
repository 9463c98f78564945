//! Counts, sums, averages and extremes of numbers, a column of states each.
//!
//! Sums of `smallint` and `integer` are bigint; of `bigint`, and averages of all integers, exact: 128-bit sums made numeric at the end. Averages and
//! variances of floats use PostgreSQL's running N, Σx, Σ(x−mean)² (Youngs and Cramer), with its overflow rule. Source: PostgreSQL 15, `float8_accum`.

use std::cmp::Ordering;
use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, Decimal128Array, Float64Array, Int64Array, PrimitiveArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type};
use datafusion::common::Result;
use datafusion::logical_expr::EmitTo;
use functions::{EvalContext, FunctionId, apply};
use types::value::float_cmp;
use types::{Numeric, SqlState, SqlType, Value, ValueError};

use super::numeric::NumericSum;
use super::strings::StringExtreme;
use super::{Groups, down};
use crate::error::raised;
use crate::physical::ColumnBuilder;

/// `numeric_div`: averages have its scale.
pub(super) const NUMERIC_DIV: FunctionId = FunctionId(1727);

/// The native form of an aggregate, if it has one.
pub(super) fn groups(
    name: &str,
    arguments: &[SqlType],
    output: SqlType,
) -> Option<Box<dyn Groups>> {
    match (name, arguments) {
        ("count", _) => Some(Box::new(Count { counts: Vec::new() })),
        ("sum", [SqlType::Int2]) => Some(Box::new(Sum::<Int16Type>::new())),
        ("sum", [SqlType::Int4]) => Some(Box::new(Sum::<Int32Type>::new())),
        ("sum", [SqlType::Int8]) => Some(Box::new(WideSum::new(SqlType::Int8, Answer::Sum))),
        ("avg", [sql_type]) if sql_type.is_integer() => {
            Some(Box::new(WideSum::new(*sql_type, Answer::Average)))
        }
        ("sum", [SqlType::Float4]) => Some(Box::new(FloatSum::<Float32Type>::new())),
        ("sum", [SqlType::Float8]) => Some(Box::new(FloatSum::<Float64Type>::new())),
        ("avg", [SqlType::Float4 | SqlType::Float8]) if output == SqlType::Float8 => {
            Some(Box::new(Moments { states: Vec::new(), double: arguments[0] == SqlType::Float8 }))
        }
        ("sum", [SqlType::Numeric]) => Some(Box::new(NumericSum::new(Answer::Sum))),
        ("avg", [SqlType::Numeric]) => Some(Box::new(NumericSum::new(Answer::Average))),
        ("min", [sql_type]) => extreme(*sql_type, Ordering::Less),
        ("max", [sql_type]) => extreme(*sql_type, Ordering::Greater),
        _ => None,
    }
}

fn extreme(sql_type: SqlType, wanted: Ordering) -> Option<Box<dyn Groups>> {
    match sql_type {
        SqlType::Int2 => Some(Box::new(Extreme::<Int16Type>::new(wanted))),
        SqlType::Int4 | SqlType::Date => Some(Box::new(Extreme::<Int32Type>::new(wanted))),
        SqlType::Int8 | SqlType::Timestamp | SqlType::Timestamptz | SqlType::Oid => {
            Some(Box::new(Extreme::<Int64Type>::new(wanted)))
        }
        SqlType::Float4 => Some(Box::new(Extreme::<Float32Type>::new(wanted))),
        SqlType::Float8 => Some(Box::new(Extreme::<Float64Type>::new(wanted))),
        SqlType::Text | SqlType::Varchar => Some(Box::new(StringExtreme::new(wanted))),
        _ => None,
    }
}

type Rows<'a> = &'a mut dyn Iterator<Item = (usize, usize)>;

/// `count`
struct Count {
    counts: Vec<i64>,
}

impl Groups for Count {
    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::Int64]
    }

    fn fresh(&self) -> Box<dyn Groups> {
        Box::new(Count { counts: Vec::new() })
    }

    fn resize(&mut self, count: usize) -> Result<()> {
        self.counts.resize(count.max(self.counts.len()), 0);
        Ok(())
    }

    fn update(&mut self, values: &[ArrayRef], rows: Rows<'_>) -> Result<()> {
        match values.first().and_then(|array| array.logical_nulls()) {
            None => rows.for_each(|(_, group)| self.counts[group] += 1),
            Some(nulls) => rows.for_each(|(row, group)| {
                self.counts[group] += i64::from(nulls.is_valid(row));
            }),
        }
        Ok(())
    }

    fn merge(&mut self, states: &[ArrayRef], rows: Rows<'_>) -> Result<()> {
        let partials: &Int64Array = down(&states[0]);
        rows.for_each(|(row, group)| self.counts[group] += partials.value(row));
        Ok(())
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        Ok(Arc::new(Int64Array::from(emit.take_needed(&mut self.counts))))
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit)?])
    }

    fn size(&self) -> usize {
        self.counts.capacity() * 8
    }
}

/// A column with NULL where nothing was seen.
fn optional<T: ArrowPrimitiveType>(values: Vec<T::Native>, seen: Vec<bool>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(values.into(), Some(NullBuffer::from(seen))))
}

/// Sum of `smallint` or `integer`: bigint.
struct Sum<T> {
    sums: Vec<i64>,
    seen: Vec<bool>,
    input: PhantomData<fn(T)>,
}

impl<T> Sum<T> {
    fn new() -> Sum<T> {
        Sum { sums: Vec::new(), seen: Vec::new(), input: PhantomData }
    }

    fn add(&mut self, group: usize, value: i64) -> Result<()> {
        let sum = self.sums[group].checked_add(value);
        self.sums[group] = sum.ok_or_else(|| raised(ValueError::out_of_range("bigint")))?;
        self.seen[group] = true;
        Ok(())
    }
}

impl<T> Groups for Sum<T>
where
    T: ArrowPrimitiveType,
    T::Native: Into<i64>,
{
    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::Int64]
    }

    fn fresh(&self) -> Box<dyn Groups> {
        Box::new(Sum::<T>::new())
    }

    fn resize(&mut self, count: usize) -> Result<()> {
        let count = count.max(self.sums.len());
        self.sums.resize(count, 0);
        self.seen.resize(count, false);
        Ok(())
    }

    fn update(&mut self, values: &[ArrayRef], rows: Rows<'_>) -> Result<()> {
        let array: &PrimitiveArray<T> = down(&values[0]);
        for (row, group) in rows {
            if array.is_valid(row) {
                self.add(group, array.value(row).into())?;
            }
        }
        Ok(())
    }

    fn merge(&mut self, states: &[ArrayRef], rows: Rows<'_>) -> Result<()> {
        let partials: &Int64Array = down(&states[0]);
        for (row, group) in rows {
            if partials.is_valid(row) {
                self.add(group, partials.value(row))?;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let seen = emit.take_needed(&mut self.seen);
        Ok(optional::<Int64Type>(emit.take_needed(&mut self.sums), seen))
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit)?])
    }

    fn size(&self) -> usize {
        self.sums.capacity() * 9
    }
}

/// What is asked of a sum.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Sum,
    Average,
}

/// Sums too wide for a bigint, and averages of integers.
struct WideSum {
    input: SqlType,
    answer: Answer,
    sums: Vec<i128>,
    counts: Vec<i64>,
}

/// Digits of the type in which 128-bit sums travel; a sum of 2^63 rows of 64 bits stays below ten to this.
const SUM_DIGITS: u8 = 38;

impl WideSum {
    fn new(input: SqlType, answer: Answer) -> WideSum {
        WideSum { input, answer, sums: Vec::new(), counts: Vec::new() }
    }

    fn add<T>(&mut self, array: &ArrayRef, rows: Rows<'_>)
    where
        T: ArrowPrimitiveType,
        T::Native: Into<i128>,
    {
        let array: &PrimitiveArray<T> = down(array);
        for (row, group) in rows {
            if array.is_valid(row) {
                self.sums[group] += array.value(row).into();
                self.counts[group] += 1;
            }
        }
    }
}

impl Groups for WideSum {
    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::Decimal128(SUM_DIGITS, 0), DataType::Int64]
    }

    fn fresh(&self) -> Box<dyn Groups> {
        Box::new(WideSum::new(self.input, self.answer))
    }

    fn resize(&mut self, count: usize) -> Result<()> {
        let count = count.max(self.sums.len());
        self.sums.resize(count, 0);
        self.counts.resize(count, 0);
        Ok(())
    }

    fn update(&mut self, values: &[ArrayRef], rows: Rows<'_>) -> Result<()> {
        match self.input {
            SqlType::Int2 => self.add::<Int16Type>(&values[0], rows),
            SqlType::Int4 => self.add::<Int32Type>(&values[0], rows),
            _ => self.add::<Int64Type>(&values[0], rows),
        }
        Ok(())
    }

    fn merge(&mut self, states: &[ArrayRef], rows: Rows<'_>) -> Result<()> {
        let (sums, counts): (&Decimal128Array, &Int64Array) = (down(&states[0]), down(&states[1]));
        for (row, group) in rows {
            self.sums[group] += sums.value(row);
            self.counts[group] += counts.value(row);
        }
        Ok(())
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let (sums, counts) = (emit.take_needed(&mut self.sums), emit.take_needed(&mut self.counts));
        let mut builder = ColumnBuilder::new(SqlType::Numeric, sums.len());
        let number = |value: i128| Value::Numeric(Box::new(Numeric::from_i128(value)));
        for (sum, count) in sums.into_iter().zip(counts) {
            let answer = match (count, self.answer) {
                (0, _) => Value::Null,
                (_, Answer::Sum) => number(sum),
                (_, Answer::Average) => {
                    let operands = [&number(sum), &number(i128::from(count))];
                    apply(NUMERIC_DIV, &operands, &EvalContext::PURE).map_err(raised)?
                }
            };
            builder.push(&answer).map_err(raised)?;
        }
        Ok(builder.finish())
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        let sums = Decimal128Array::from(emit.take_needed(&mut self.sums))
            .with_precision_and_scale(SUM_DIGITS, 0)?;
        let counts = Int64Array::from(emit.take_needed(&mut self.counts));
        Ok(vec![Arc::new(sums), Arc::new(counts)])
    }

    fn size(&self) -> usize {
        self.sums.capacity() * 24
    }
}

#[cold]
fn overflow() -> datafusion::common::DataFusionError {
    raised(ValueError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow"))
}

/// Arithmetic that both float widths share.
trait Float: Copy + Default + std::ops::Add<Output = Self> {
    fn infinite(self) -> bool;
}

impl Float for f32 {
    fn infinite(self) -> bool {
        self.is_infinite()
    }
}

impl Float for f64 {
    fn infinite(self) -> bool {
        self.is_infinite()
    }
}

/// The sum, or 22003 for an infinity out of finite operands.
fn float_add<F: Float>(a: F, b: F) -> Result<F> {
    let sum = a + b;
    if sum.infinite() && !a.infinite() && !b.infinite() { Err(overflow()) } else { Ok(sum) }
}

/// Sum of floats, in their own width.
struct FloatSum<T: ArrowPrimitiveType> {
    sums: Vec<T::Native>,
    seen: Vec<bool>,
}

impl<T: ArrowPrimitiveType> FloatSum<T> {
    fn new() -> FloatSum<T> {
        FloatSum { sums: Vec::new(), seen: Vec::new() }
    }
}

impl<T> Groups for FloatSum<T>
where
    T: ArrowPrimitiveType,
    T::Native: Float,
{
    fn state_types(&self) -> Vec<DataType> {
        vec![T::DATA_TYPE]
    }

    fn fresh(&self) -> Box<dyn Groups> {
        Box::new(FloatSum::<T>::new())
    }

    fn resize(&mut self, count: usize) -> Result<()> {
        let count = count.max(self.sums.len());
        self.sums.resize(count, T::Native::default());
        self.seen.resize(count, false);
        Ok(())
    }

    fn update(&mut self, values: &[ArrayRef], rows: Rows<'_>) -> Result<()> {
        let array: &PrimitiveArray<T> = down(&values[0]);
        for (row, group) in rows {
            if !array.is_valid(row) {
                continue;
            }
            // The first value is the sum itself: −0 stays −0.
            let value = array.value(row);
            self.sums[group] =
                if self.seen[group] { float_add(self.sums[group], value)? } else { value };
            self.seen[group] = true;
        }
        Ok(())
    }

    fn merge(&mut self, states: &[ArrayRef], rows: Rows<'_>) -> Result<()> {
        self.update(states, rows)
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let seen = emit.take_needed(&mut self.seen);
        Ok(optional::<T>(emit.take_needed(&mut self.sums), seen))
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit)?])
    }

    fn size(&self) -> usize {
        self.sums.capacity() * (size_of::<T::Native>() + 1)
    }
}

/// N, Σx and Σ(x−mean)² of one group.
#[derive(Clone, Copy, Default)]
struct Moment {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Moment {
    fn add(&mut self, value: f64) -> Result<()> {
        let before = *self;
        self.count += 1.0;
        self.sum += value;
        if before.count > 0.0 {
            let deviation = value * self.count - self.sum;
            self.squares += deviation * deviation / (self.count * before.count);
            if self.sum.is_infinite() || self.squares.is_infinite() {
                if !before.sum.is_infinite() && !value.is_infinite() {
                    return Err(overflow());
                }
                self.squares = f64::NAN;
            }
        } else if !value.is_finite() {
            self.squares = f64::NAN;
        }
        Ok(())
    }

    fn merge(&mut self, other: Moment) -> Result<()> {
        if other.count == 0.0 {
            return Ok(());
        }
        if self.count == 0.0 {
            *self = other;
            return Ok(());
        }
        let count = self.count + other.count;
        let sum = float_add(self.sum, other.sum)?;
        let apart = self.sum / self.count - other.sum / other.count;
        let squares =
            self.squares + other.squares + self.count * other.count * apart * apart / count;
        if squares.is_infinite() && !self.squares.is_infinite() && !other.squares.is_infinite() {
            return Err(overflow());
        }
        *self = Moment { count, sum, squares };
        Ok(())
    }
}

/// Average of floats.
struct Moments {
    states: Vec<Moment>,
    /// Whether the input is double precision.
    double: bool,
}

impl Groups for Moments {
    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::Float64; 3]
    }

    fn fresh(&self) -> Box<dyn Groups> {
        Box::new(Moments { states: Vec::new(), double: self.double })
    }

    fn resize(&mut self, count: usize) -> Result<()> {
        self.states.resize(count.max(self.states.len()), Moment::default());
        Ok(())
    }

    fn update(&mut self, values: &[ArrayRef], rows: Rows<'_>) -> Result<()> {
        if self.double {
            let array: &PrimitiveArray<Float64Type> = down(&values[0]);
            for (row, group) in rows {
                if array.is_valid(row) {
                    self.states[group].add(array.value(row))?;
                }
            }
        } else {
            let array: &PrimitiveArray<Float32Type> = down(&values[0]);
            for (row, group) in rows {
                if array.is_valid(row) {
                    self.states[group].add(f64::from(array.value(row)))?;
                }
            }
        }
        Ok(())
    }

    fn merge(&mut self, states: &[ArrayRef], rows: Rows<'_>) -> Result<()> {
        let [counts, sums, squares] = states else { panic!("three columns of state") };
        let (counts, sums, squares): (&Float64Array, &Float64Array, &Float64Array) =
            (down(counts), down(sums), down(squares));
        for (row, group) in rows {
            self.states[group].merge(Moment {
                count: counts.value(row),
                sum: sums.value(row),
                squares: squares.value(row),
            })?;
        }
        Ok(())
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let states = emit.take_needed(&mut self.states);
        let averages =
            states.iter().map(|state| (state.count > 0.0).then(|| state.sum / state.count));
        Ok(Arc::new(averages.collect::<Float64Array>()))
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        let states = emit.take_needed(&mut self.states);
        let column = |of: fn(&Moment) -> f64| -> ArrayRef {
            Arc::new(states.iter().map(of).map(Some).collect::<Float64Array>())
        };
        Ok(vec![column(|s| s.count), column(|s| s.sum), column(|s| s.squares)])
    }

    fn size(&self) -> usize {
        self.states.capacity() * size_of::<Moment>()
    }
}

/// What extremes compare by.
trait SqlOrder: Copy + Default {
    fn order(self, other: Self) -> Ordering;
}

macro_rules! integer_order {
    ($($native:ty),*) => {
        $(impl SqlOrder for $native {
            fn order(self, other: Self) -> Ordering {
                self.cmp(&other)
            }
        })*
    };
}

integer_order!(i16, i32, i64);

impl SqlOrder for f32 {
    fn order(self, other: f32) -> Ordering {
        float_cmp(f64::from(self), f64::from(other))
    }
}

impl SqlOrder for f64 {
    fn order(self, other: f64) -> Ordering {
        float_cmp(self, other)
    }
}

/// `min` and `max` of what lies in a primitive column.
struct Extreme<T: ArrowPrimitiveType> {
    wanted: Ordering,
    values: Vec<T::Native>,
    seen: Vec<bool>,
}

impl<T: ArrowPrimitiveType> Extreme<T> {
    fn new(wanted: Ordering) -> Extreme<T> {
        Extreme { wanted, values: Vec::new(), seen: Vec::new() }
    }
}

impl<T> Groups for Extreme<T>
where
    T: ArrowPrimitiveType,
    T::Native: SqlOrder,
{
    fn state_types(&self) -> Vec<DataType> {
        vec![T::DATA_TYPE]
    }

    fn fresh(&self) -> Box<dyn Groups> {
        Box::new(Extreme::<T>::new(self.wanted))
    }

    fn resize(&mut self, count: usize) -> Result<()> {
        let count = count.max(self.values.len());
        self.values.resize(count, T::Native::default());
        self.seen.resize(count, false);
        Ok(())
    }

    fn update(&mut self, values: &[ArrayRef], rows: Rows<'_>) -> Result<()> {
        let array: &PrimitiveArray<T> = down(&values[0]);
        for (row, group) in rows {
            if !array.is_valid(row) {
                continue;
            }
            let value = array.value(row);
            if !self.seen[group] || value.order(self.values[group]) == self.wanted {
                self.values[group] = value;
                self.seen[group] = true;
            }
        }
        Ok(())
    }

    fn merge(&mut self, states: &[ArrayRef], rows: Rows<'_>) -> Result<()> {
        self.update(states, rows)
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let seen = emit.take_needed(&mut self.seen);
        Ok(optional::<T>(emit.take_needed(&mut self.values), seen))
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit)?])
    }

    fn size(&self) -> usize {
        self.values.capacity() * (size_of::<T::Native>() + 1)
    }
}
