//! The short list of functions that are computed on whole columns.
//!
//! A kernel returns nothing for a row that it is not sure of; [`super::run`] asks the row evaluator for that row. So a kernel has to be right only where it
//! answers, and never raises an error of its own. `tests/both_paths.rs` compares every entry with the evaluator over the corner values of its types.

use std::cmp::Ordering;
use std::collections::HashSet;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, BinaryViewArray, BooleanArray, Datum,
    FixedSizeBinaryArray, PrimitiveArray, Scalar, StringViewArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::kernels::cmp;
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type};
use types::value::float_cmp;
use types::{Interval, Numeric, SqlType, Value};

use crate::error::AnalyticsError;

/// A function on whole columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kernel {
    Compare(Comparison, Order),
    Integer(Operation),
    Float(Operation),
    IntegerSign(Sign),
    FloatSign(Sign),
    /// Between integers; narrowing is unsure of what does not fit.
    IntegerCast,
    /// Integer or real to double precision or real.
    FloatCast,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What order a comparison goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// That of the arrays' own values; both of one array type.
    Native,
    /// Integers of two widths.
    Integers,
    /// −0 equals 0, NaN above all.
    Floats,
    /// Strings without trailing blanks.
    Trimmed,
    Spans,
    Numerics,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Negate,
    Absolute,
    Plus,
}

impl Comparison {
    fn of_suffix(name: &str) -> Option<(&str, Comparison)> {
        let split = name.len().checked_sub(2)?;
        let (base, suffix) = name.split_at_checked(split)?;
        let comparison = match suffix {
            "eq" => Comparison::Equal,
            "ne" => Comparison::NotEqual,
            "lt" => Comparison::Less,
            "le" => Comparison::LessOrEqual,
            "gt" => Comparison::Greater,
            "ge" => Comparison::GreaterOrEqual,
            _ => return None,
        };
        Some((base.strip_suffix('_').unwrap_or(base), comparison))
    }

    pub(super) fn holds(self, order: Ordering) -> bool {
        match self {
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
        }
    }
}

fn order_of(base: &str, sql_types: &[SqlType]) -> Option<Order> {
    let &[left, right] = sql_types else { return None };
    match base {
        "int2" | "int4" | "int8" => (left == right).then_some(Order::Native),
        "int24" | "int28" | "int42" | "int48" | "int82" | "int84" => {
            (left.is_integer() && right.is_integer()).then_some(Order::Integers)
        }
        "float4" | "float8" | "float48" | "float84" => Some(Order::Floats),
        "text" | "name" | "char" | "bytea" | "bool" | "date" | "timestamp" | "timestamptz"
        | "uuid" | "oid" => {
            let same = crate::physical::arrow_type(left) == crate::physical::arrow_type(right);
            let padded = left == SqlType::Bpchar || right == SqlType::Bpchar;
            (same && !padded).then_some(Order::Native)
        }
        "bpchar" => Some(Order::Trimmed),
        "interval" => Some(Order::Spans),
        "numeric" => Some(Order::Numerics),
        _ => None,
    }
}

fn operation_of(name: &str) -> Option<(&str, Operation)> {
    let of = |suffix: &str, operation| name.strip_suffix(suffix).map(|base| (base, operation));
    of("pl", Operation::Add)
        .or_else(|| of("mi", Operation::Subtract))
        .or_else(|| of("mul", Operation::Multiply))
        .or_else(|| of("div", Operation::Divide))
        .or_else(|| of("mod", Operation::Remainder))
}

impl Kernel {
    /// The kernel of a function, by its name in `pg_proc` and the types that it is called with.
    pub(super) fn of(name: &str, sql_types: &[SqlType], output: SqlType) -> Option<Kernel> {
        if let [only] = sql_types {
            return Kernel::unary(name, *only, output);
        }
        if sql_types.len() != 2 {
            return None;
        }
        if let Some((base, comparison)) = Comparison::of_suffix(name)
            && let Some(order) = order_of(base, sql_types)
        {
            return Some(Kernel::Compare(comparison, order));
        }
        let (base, operation) = operation_of(name)?;
        let integers = sql_types.iter().all(|sql_type| sql_type.is_integer());
        match base {
            "int2" | "int4" | "int8" | "int24" | "int28" | "int42" | "int48" | "int82"
            | "int84"
                if integers && output.is_integer() =>
            {
                Some(Kernel::Integer(operation))
            }
            "float4" | "float8" | "float48" | "float84" if operation != Operation::Remainder => {
                Some(Kernel::Float(operation))
            }
            _ => None,
        }
    }

    fn unary(name: &str, input: SqlType, output: SqlType) -> Option<Kernel> {
        let float = |sql_type: SqlType| matches!(sql_type, SqlType::Float4 | SqlType::Float8);
        match name {
            "int2um" | "int4um" | "int8um" if input.is_integer() => {
                Some(Kernel::IntegerSign(Sign::Negate))
            }
            "int2abs" | "int4abs" | "int8abs" | "abs" if input.is_integer() => {
                Some(Kernel::IntegerSign(Sign::Absolute))
            }
            "int2up" | "int4up" | "int8up" if input.is_integer() => {
                Some(Kernel::IntegerSign(Sign::Plus))
            }
            "float4um" | "float8um" if float(input) => Some(Kernel::FloatSign(Sign::Negate)),
            "float4abs" | "float8abs" | "abs" if float(input) => {
                Some(Kernel::FloatSign(Sign::Absolute))
            }
            "float4up" | "float8up" if float(input) => Some(Kernel::FloatSign(Sign::Plus)),
            "int2" | "int4" | "int8" if input.is_integer() && output.is_integer() => {
                Some(Kernel::IntegerCast)
            }
            "float8" if input.is_integer() || input == SqlType::Float4 => Some(Kernel::FloatCast),
            "float4" if matches!(input, SqlType::Int2 | SqlType::Int4 | SqlType::Int8) => {
                Some(Kernel::FloatCast)
            }
            _ => None,
        }
    }

    /// Whether it may be unsure of a row (the evaluator may then raise an error).
    pub(super) fn can_fail(self) -> bool {
        match self {
            Kernel::Compare(..) | Kernel::FloatCast | Kernel::FloatSign(_) => false,
            Kernel::Integer(_)
            | Kernel::Float(_)
            | Kernel::IntegerSign(_)
            | Kernel::IntegerCast => true,
        }
    }
}

/// A column, or a value that all rows share (an array of length one).
#[derive(Clone, Debug)]
pub(super) enum Vector {
    Array(ArrayRef),
    Scalar(ArrayRef),
}

impl Vector {
    pub(super) fn array(&self) -> &ArrayRef {
        match self {
            Vector::Array(array) | Vector::Scalar(array) => array,
        }
    }

    /// Step from one row's slot to the next.
    fn stride(&self) -> usize {
        match self {
            Vector::Array(_) => 1,
            Vector::Scalar(_) => 0,
        }
    }

    fn slot(&self, row: usize) -> usize {
        row * self.stride()
    }

    fn is_null(&self, row: usize) -> bool {
        self.array().is_null(self.slot(row))
    }
}

/// Asks the row evaluator for a row.
pub(super) type Unsure<'a> = &'a dyn Fn(usize) -> Result<Value, AnalyticsError>;

fn down<T: 'static>(array: &ArrayRef) -> &T {
    array.as_any().downcast_ref().expect("the array has the type that its data type says")
}

/// Which of `row_count` rows are NULL because an argument is.
fn nulls_of(arguments: &[&Vector], row_count: usize) -> Option<NullBuffer> {
    let mut nulls: Option<NullBuffer> = None;
    for argument in arguments {
        let own = match argument {
            Vector::Array(array) => array.nulls().cloned(),
            Vector::Scalar(array) if array.is_null(0) => Some(NullBuffer::new_null(row_count)),
            Vector::Scalar(_) => None,
        };
        nulls = NullBuffer::union(nulls.as_ref(), own.as_ref());
    }
    nulls
}

/// Computes a kernel. All arguments have `row_count` rows or are scalars; at least one is a column.
pub(super) fn compute(
    kernel: Kernel,
    arguments: &[Vector],
    output: SqlType,
    row_count: usize,
    unsure: Unsure<'_>,
) -> Result<ArrayRef, AnalyticsError> {
    match (kernel, arguments) {
        (Kernel::Compare(comparison, order), [left, right]) => {
            Ok(std::sync::Arc::new(compare(comparison, order, left, right, row_count)?))
        }
        (Kernel::Integer(operation), [left, right]) => match output {
            SqlType::Int2 => integers::<Int16Type>(operation, left, right, row_count, unsure),
            SqlType::Int4 => integers::<Int32Type>(operation, left, right, row_count, unsure),
            _ => integers::<Int64Type>(operation, left, right, row_count, unsure),
        },
        (Kernel::Float(operation), [left, right]) => match output {
            SqlType::Float4 => floats32(operation, left, right, row_count, unsure),
            _ => floats64(operation, left, right, row_count, unsure),
        },
        (Kernel::IntegerSign(sign), [argument]) => match output {
            SqlType::Int2 => integer_sign::<Int16Type>(sign, argument, row_count, unsure),
            SqlType::Int4 => integer_sign::<Int32Type>(sign, argument, row_count, unsure),
            _ => integer_sign::<Int64Type>(sign, argument, row_count, unsure),
        },
        (Kernel::IntegerCast, [argument]) => match output {
            SqlType::Int2 => integer_cast::<Int16Type>(argument, row_count, unsure),
            SqlType::Int4 => integer_cast::<Int32Type>(argument, row_count, unsure),
            _ => integer_cast::<Int64Type>(argument, row_count, unsure),
        },
        (Kernel::FloatSign(sign), [argument]) => Ok(float_sign(sign, argument)),
        (Kernel::FloatCast, [argument]) => Ok(float_cast(argument, output)),
        (kernel, arguments) => panic!("{kernel:?} of {} arguments", arguments.len()),
    }
}

/// Fills a primitive column; rows that `op` is not sure of come from the evaluator.
fn fill<O: ArrowPrimitiveType>(
    arguments: &[&Vector],
    row_count: usize,
    unsure: Unsure<'_>,
    op: impl Fn(usize) -> Option<O::Native>,
) -> Result<ArrayRef, AnalyticsError>
where
    O::Native: FromValue,
{
    let nulls = nulls_of(arguments, row_count);
    let mut values: Vec<O::Native> = Vec::with_capacity(row_count);
    for row in 0..row_count {
        if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            values.push(O::Native::default());
            continue;
        }
        match op(row) {
            Some(value) => values.push(value),
            None => values.push(O::Native::from_value(&unsure(row)?)?),
        }
    }
    Ok(std::sync::Arc::new(PrimitiveArray::<O>::new(values.into(), nulls)))
}

/// A number out of the evaluator's answer.
trait FromValue: Default {
    fn from_value(value: &Value) -> Result<Self, AnalyticsError>;
}

macro_rules! from_value {
    ($native:ty, $variant:ident) => {
        impl FromValue for $native {
            fn from_value(value: &Value) -> Result<$native, AnalyticsError> {
                match value {
                    Value::$variant(value) => Ok(*value),
                    other => Err(types::ValueError::internal(format!(
                        "a kernel's function answered {other:?}"
                    ))
                    .into()),
                }
            }
        }
    };
}

from_value!(i16, Int2);
from_value!(i32, Int4);
from_value!(i64, Int8);
from_value!(f32, Float4);
from_value!(f64, Float8);

/// Reads an integer column of any width.
#[derive(Clone, Copy)]
enum Integers<'a> {
    Int16(&'a [i16]),
    Int32(&'a [i32]),
    Int64(&'a [i64]),
}

impl<'a> Integers<'a> {
    fn of(vector: &'a Vector) -> Integers<'a> {
        let array = vector.array();
        match array.data_type() {
            DataType::Int16 => Integers::Int16(down::<PrimitiveArray<Int16Type>>(array).values()),
            DataType::Int32 => Integers::Int32(down::<PrimitiveArray<Int32Type>>(array).values()),
            DataType::Int64 => Integers::Int64(down::<PrimitiveArray<Int64Type>>(array).values()),
            other => panic!("{other} where lowering promised an integer"),
        }
    }

    #[inline]
    fn get(self, slot: usize) -> i64 {
        match self {
            Integers::Int16(values) => i64::from(values[slot]),
            Integers::Int32(values) => i64::from(values[slot]),
            Integers::Int64(values) => values[slot],
        }
    }
}

/// Reads a float column of either width; integers too, for casts.
#[derive(Clone, Copy)]
enum Floats<'a> {
    Float32(&'a [f32]),
    Float64(&'a [f64]),
}

impl<'a> Floats<'a> {
    fn of(vector: &'a Vector) -> Floats<'a> {
        let array = vector.array();
        match array.data_type() {
            DataType::Float32 => {
                Floats::Float32(down::<PrimitiveArray<Float32Type>>(array).values())
            }
            DataType::Float64 => {
                Floats::Float64(down::<PrimitiveArray<Float64Type>>(array).values())
            }
            other => panic!("{other} where lowering promised a float"),
        }
    }

    #[inline]
    fn get(self, slot: usize) -> f64 {
        match self {
            Floats::Float32(values) => f64::from(values[slot]),
            Floats::Float64(values) => values[slot],
        }
    }
}

fn integers<O: ArrowPrimitiveType>(
    operation: Operation,
    left: &Vector,
    right: &Vector,
    row_count: usize,
    unsure: Unsure<'_>,
) -> Result<ArrayRef, AnalyticsError>
where
    O::Native: FromValue + TryFrom<i64>,
{
    let (a, b) = (Integers::of(left), Integers::of(right));
    let (step_a, step_b) = (left.stride(), right.stride());
    let both = [left, right];
    let narrow = |value: Option<i64>| value.and_then(|value| O::Native::try_from(value).ok());
    macro_rules! run {
        ($method:ident) => {
            fill::<O>(&both, row_count, unsure, |row| {
                narrow(a.get(row * step_a).$method(b.get(row * step_b)))
            })
        };
    }
    match operation {
        Operation::Add => run!(checked_add),
        Operation::Subtract => run!(checked_sub),
        Operation::Multiply => run!(checked_mul),
        Operation::Divide => run!(checked_div),
        Operation::Remainder => run!(checked_rem),
    }
}

/// PostgreSQL refuses an infinity out of finite operands, and a zero out of others by multiplication and division.
macro_rules! float_operation {
    ($name:ident, $native:ty, $arrow:ty, $get:expr) => {
        fn $name(
            operation: Operation,
            left: &Vector,
            right: &Vector,
            row_count: usize,
            unsure: Unsure<'_>,
        ) -> Result<ArrayRef, AnalyticsError> {
            let (a, b) = (Floats::of(left), Floats::of(right));
            let (step_a, step_b) = (left.stride(), right.stride());
            let sure = |value: $native| (value.is_finite() && value != 0.0).then_some(value);
            let finite = |value: $native| value.is_finite().then_some(value);
            let both = [left, right];
            macro_rules! run {
                ($check:expr, $op:tt) => {
                    fill::<$arrow>(&both, row_count, unsure, |row| {
                        let x: $native = $get(a.get(row * step_a));
                        let y: $native = $get(b.get(row * step_b));
                        $check(x $op y)
                    })
                };
            }
            match operation {
                Operation::Add => run!(finite, +),
                Operation::Subtract => run!(finite, -),
                Operation::Multiply => run!(sure, *),
                Operation::Divide => run!(sure, /),
                Operation::Remainder => panic!("floats have no remainder"),
            }
        }
    };
}

float_operation!(floats64, f64, Float64Type, |value: f64| value);
float_operation!(floats32, f32, Float32Type, |value: f64| value as f32);

fn integer_sign<O: ArrowPrimitiveType>(
    sign: Sign,
    argument: &Vector,
    row_count: usize,
    unsure: Unsure<'_>,
) -> Result<ArrayRef, AnalyticsError>
where
    O::Native: FromValue + TryFrom<i64>,
{
    let values = Integers::of(argument);
    let step = argument.stride();
    fill::<O>(&[argument], row_count, unsure, |row| {
        let value = values.get(row * step);
        let signed = match sign {
            Sign::Negate => value.checked_neg(),
            Sign::Absolute => value.checked_abs(),
            Sign::Plus => Some(value),
        };
        signed.and_then(|value| O::Native::try_from(value).ok())
    })
}

fn integer_cast<O: ArrowPrimitiveType>(
    argument: &Vector,
    row_count: usize,
    unsure: Unsure<'_>,
) -> Result<ArrayRef, AnalyticsError>
where
    O::Native: FromValue + TryFrom<i64>,
{
    let values = Integers::of(argument);
    let step = argument.stride();
    fill::<O>(&[argument], row_count, unsure, |row| {
        O::Native::try_from(values.get(row * step)).ok()
    })
}

fn float_sign(sign: Sign, argument: &Vector) -> ArrayRef {
    let array = argument.array();
    macro_rules! run {
        ($arrow:ty) => {{
            let array: &PrimitiveArray<$arrow> = down(array);
            std::sync::Arc::new(array.unary::<_, $arrow>(|value| match sign {
                Sign::Negate => -value,
                Sign::Absolute => value.abs(),
                Sign::Plus => value,
            }))
        }};
    }
    match array.data_type() {
        DataType::Float32 => run!(Float32Type),
        _ => run!(Float64Type),
    }
}

fn float_cast(argument: &Vector, output: SqlType) -> ArrayRef {
    let array = argument.array();
    macro_rules! run {
        ($from:ty, $to:ty, $native:ty) => {{
            let array: &PrimitiveArray<$from> = down(array);
            std::sync::Arc::new(array.unary::<_, $to>(|value| value as $native))
        }};
    }
    match (array.data_type(), output) {
        (DataType::Int16, SqlType::Float4) => run!(Int16Type, Float32Type, f32),
        (DataType::Int32, SqlType::Float4) => run!(Int32Type, Float32Type, f32),
        (DataType::Int64, SqlType::Float4) => run!(Int64Type, Float32Type, f32),
        (DataType::Int16, _) => run!(Int16Type, Float64Type, f64),
        (DataType::Int32, _) => run!(Int32Type, Float64Type, f64),
        (DataType::Int64, _) => run!(Int64Type, Float64Type, f64),
        (DataType::Float32, _) => run!(Float32Type, Float64Type, f64),
        (other, _) => panic!("{other} where lowering promised a number"),
    }
}

fn compare(
    comparison: Comparison,
    order: Order,
    left: &Vector,
    right: &Vector,
    row_count: usize,
) -> Result<BooleanArray, AnalyticsError> {
    match order {
        Order::Native => native(comparison, left, right),
        Order::Integers => {
            let (a, b) = (Integers::of(left), Integers::of(right));
            let (step_a, step_b) = (left.stride(), right.stride());
            Ok(decide(left, right, row_count, |row| {
                comparison.holds(a.get(row * step_a).cmp(&b.get(row * step_b)))
            }))
        }
        Order::Floats => {
            let (a, b) = (Floats::of(left), Floats::of(right));
            let (step_a, step_b) = (left.stride(), right.stride());
            Ok(decide(left, right, row_count, |row| {
                comparison.holds(float_cmp(a.get(row * step_a), b.get(row * step_b)))
            }))
        }
        Order::Trimmed => {
            let (a, b): (&StringViewArray, &StringViewArray) =
                (down(left.array()), down(right.array()));
            Ok(decide(left, right, row_count, |row| {
                let x = a.value(left.slot(row)).trim_end_matches(' ');
                let y = b.value(right.slot(row)).trim_end_matches(' ');
                comparison.holds(x.as_bytes().cmp(y.as_bytes()))
            }))
        }
        Order::Spans => {
            let (a, b): (&FixedSizeBinaryArray, &FixedSizeBinaryArray) =
                (down(left.array()), down(right.array()));
            Ok(decide(left, right, row_count, |row| {
                comparison.holds(span(a, left.slot(row)).cmp(&span(b, right.slot(row))))
            }))
        }
        Order::Numerics => numerics(comparison, left, right, row_count),
    }
}

fn span(array: &FixedSizeBinaryArray, slot: usize) -> Interval {
    Interval::from_bytes(array.value(slot).try_into().expect("intervals have sixteen bytes"))
}

fn decide(
    left: &Vector,
    right: &Vector,
    row_count: usize,
    holds: impl Fn(usize) -> bool,
) -> BooleanArray {
    let nulls = nulls_of(&[left, right], row_count);
    BooleanArray::new(BooleanBuffer::collect_bool(row_count, holds), nulls)
}

fn numerics(
    comparison: Comparison,
    left: &Vector,
    right: &Vector,
    row_count: usize,
) -> Result<BooleanArray, AnalyticsError> {
    let (a, b): (&BinaryViewArray, &BinaryViewArray) = (down(left.array()), down(right.array()));
    let read = |array: &BinaryViewArray, slot: usize| {
        Numeric::decode(array.value(slot)).ok_or_else(|| {
            types::ValueError::new(
                types::SqlState::DATA_CORRUPTED,
                "a stored number does not decode",
            )
        })
    };
    let fixed = match right {
        Vector::Scalar(array) if !array.is_null(0) => Some(read(b, 0)?),
        _ => None,
    };
    let mut answers = Vec::with_capacity(row_count);
    for row in 0..row_count {
        if left.is_null(row) || right.is_null(row) {
            answers.push(None);
            continue;
        }
        let x = read(a, left.slot(row))?;
        let order = match &fixed {
            Some(y) => x.cmp(y),
            None => x.cmp(&read(b, right.slot(row))?),
        };
        answers.push(Some(comparison.holds(order)));
    }
    Ok(BooleanArray::from(answers))
}

fn native(
    comparison: Comparison,
    left: &Vector,
    right: &Vector,
) -> Result<BooleanArray, AnalyticsError> {
    let scalar = |vector: &Vector| Scalar::new(vector.array().clone());
    let (held_left, held_right);
    let a: &dyn Datum = match left {
        Vector::Array(array) => array,
        Vector::Scalar(_) => {
            held_left = scalar(left);
            &held_left
        }
    };
    let b: &dyn Datum = match right {
        Vector::Array(array) => array,
        Vector::Scalar(_) => {
            held_right = scalar(right);
            &held_right
        }
    };
    Ok(match comparison {
        Comparison::Equal => cmp::eq(a, b)?,
        Comparison::NotEqual => cmp::neq(a, b)?,
        Comparison::Less => cmp::lt(a, b)?,
        Comparison::LessOrEqual => cmp::lt_eq(a, b)?,
        Comparison::Greater => cmp::gt(a, b)?,
        Comparison::GreaterOrEqual => cmp::gt_eq(a, b)?,
    })
}

/// The constants of an IN list, of one type.
#[derive(Debug)]
pub(super) struct ConstantSet {
    members: Members,
    /// NULL was among them: no match is then NULL instead of false.
    has_null: bool,
}

#[derive(Debug)]
enum Members {
    Integers(HashSet<i64>),
    Strings(HashSet<Box<str>>),
}

impl ConstantSet {
    /// A set for the `=` of a type whose equality is that of its bytes.
    pub(super) fn of(name: &str, sql_type: SqlType, values: Vec<Value>) -> Option<ConstantSet> {
        let strings = matches!((name, sql_type), ("texteq", SqlType::Text | SqlType::Varchar));
        let integers = matches!(
            (name, sql_type),
            ("int2eq", SqlType::Int2)
                | ("int4eq", SqlType::Int4)
                | ("int8eq", SqlType::Int8)
                | ("date_eq", SqlType::Date)
                | ("timestamp_eq", SqlType::Timestamp)
                | ("timestamptz_eq", SqlType::Timestamptz)
        );
        if !strings && !integers {
            return None;
        }
        let has_null = values.iter().any(Value::is_null);
        let values = values.into_iter().filter(|value| !value.is_null());
        let members = if strings {
            let strings = values.map(|value| match value {
                Value::Text(text) => Some(text),
                _ => None,
            });
            Members::Strings(strings.collect::<Option<_>>()?)
        } else {
            let integers = values.map(|value| match value {
                Value::Int2(v) => Some(i64::from(v)),
                Value::Int4(v) | Value::Date(v) => Some(i64::from(v)),
                Value::Int8(v) | Value::Timestamp(v) | Value::Timestamptz(v) => Some(v),
                _ => None,
            });
            Members::Integers(integers.collect::<Option<_>>()?)
        };
        Some(ConstantSet { members, has_null })
    }

    /// Whether each row is among the members.
    pub(super) fn contains(
        &self,
        argument: &Vector,
        negated: bool,
        row_count: usize,
    ) -> BooleanArray {
        let mut answers = Vec::with_capacity(row_count);
        let answer = |found: bool| match found {
            true => Some(!negated),
            false if self.has_null => None,
            false => Some(negated),
        };
        match &self.members {
            Members::Integers(set) => {
                let values = Integers::of(argument);
                answers.extend((0..row_count).map(|row| match argument.is_null(row) {
                    true => None,
                    false => answer(set.contains(&values.get(argument.slot(row)))),
                }));
            }
            Members::Strings(set) => {
                let values: &StringViewArray = down(argument.array());
                answers.extend((0..row_count).map(|row| match argument.is_null(row) {
                    true => None,
                    false => answer(set.contains(values.value(argument.slot(row)))),
                }));
            }
        }
        BooleanArray::from(answers)
    }
}
