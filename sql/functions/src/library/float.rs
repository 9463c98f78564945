//! `real` and `double precision`: arithmetic that refuses to overflow or vanish, powers, logarithms, trigonometry, and conversions.

use super::numeric::bucket_error;
use super::real;
use crate::EvalError;
use types::SqlState;
use types::value::float_cmp;

#[cold]
pub(crate) fn overflow() -> EvalError {
    EvalError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow")
}

#[cold]
pub(super) fn underflow() -> EvalError {
    EvalError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: underflow")
}

#[cold]
fn input_range() -> EvalError {
    EvalError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "input is out of range")
}

/// Arithmetic of two floats, computed in the wider type.
macro_rules! arithmetic {
    ($($left:ty, $right:ty => $wide:ty: $add:ident $sub:ident $mul:ident $div:ident;)*) => {$(
        functions! {
            fn $add(a: $left, b: $right) -> $wide {
                let (a, b) = (<$wide>::from(a), <$wide>::from(b));
                let sum = a + b;
                if sum.is_infinite() && !a.is_infinite() && !b.is_infinite() {
                    return Err(overflow());
                }
                Ok(sum)
            }
            fn $sub(a: $left, b: $right) -> $wide {
                let (a, b) = (<$wide>::from(a), <$wide>::from(b));
                let difference = a - b;
                if difference.is_infinite() && !a.is_infinite() && !b.is_infinite() {
                    return Err(overflow());
                }
                Ok(difference)
            }
            fn $mul(a: $left, b: $right) -> $wide {
                let (a, b) = (<$wide>::from(a), <$wide>::from(b));
                let product = a * b;
                if product.is_infinite() && !a.is_infinite() && !b.is_infinite() {
                    return Err(overflow());
                }
                if product == 0.0 && a != 0.0 && b != 0.0 {
                    return Err(underflow());
                }
                Ok(product)
            }
            fn $div(a: $left, b: $right) -> $wide {
                let (a, b) = (<$wide>::from(a), <$wide>::from(b));
                if b == 0.0 && !a.is_nan() {
                    return Err(EvalError::division_by_zero());
                }
                let quotient = a / b;
                if quotient.is_infinite() && !a.is_infinite() {
                    return Err(overflow());
                }
                if quotient == 0.0 && a != 0.0 && !b.is_infinite() {
                    return Err(underflow());
                }
                Ok(quotient)
            }
        }
    )*};
}

arithmetic! {
    f32, f32 => f32: float4pl float4mi float4mul float4div;
    f32, f64 => f64: float48pl float48mi float48mul float48div;
    f64, f32 => f64: float84pl float84mi float84mul float84div;
    f64, f64 => f64: float8pl float8mi float8mul float8div;
}

/// A double rounded to an integer type.
macro_rules! to_integers {
    ($($from:ty => $to:ty, $low:literal, $high:literal, $name:literal: $function:ident;)*) => {$(
        functions! {
            fn $function(a: $from) -> $to {
                let rounded = libm::rint(f64::from(a));
                // Not the type's maximum: 2^63 is the first double beyond it.
                if !($low..$high).contains(&rounded) {
                    return Err(EvalError::out_of_range($name));
                }
                Ok(rounded as $to)
            }
        }
    )*};
}

to_integers! {
    f32 => i16, -32_768.0, 32_768.0, "smallint": ftoi2;
    f32 => i32, -2_147_483_648.0, 2_147_483_648.0, "integer": ftoi4;
    f32 => i64, -9_223_372_036_854_775_808.0, 9_223_372_036_854_775_808.0, "bigint": ftoi8;
    f64 => i16, -32_768.0, 32_768.0, "smallint": dtoi2;
    f64 => i32, -2_147_483_648.0, 2_147_483_648.0, "integer": dtoi4;
    f64 => i64, -9_223_372_036_854_775_808.0, 9_223_372_036_854_775_808.0, "bigint": dtoi8;
}

functions! {
    fn i2tof(a: i16) -> f32 { Ok(f32::from(a)) }
    fn i4tof(a: i32) -> f32 { Ok(a as f32) }
    fn i8tof(a: i64) -> f32 { Ok(a as f32) }
    fn i2tod(a: i16) -> f64 { Ok(f64::from(a)) }
    fn i4tod(a: i32) -> f64 { Ok(f64::from(a)) }
    fn i8tod(a: i64) -> f64 { Ok(a as f64) }
    fn ftod(a: f32) -> f64 { Ok(f64::from(a)) }
    fn dtof(a: f64) -> f32 {
        let narrow = a as f32;
        if narrow.is_infinite() && !a.is_infinite() {
            return Err(overflow());
        }
        if narrow == 0.0 && a != 0.0 {
            return Err(underflow());
        }
        Ok(narrow)
    }
    fn float4um(a: f32) -> f32 { Ok(-a) }
    fn float4up(a: f32) -> f32 { Ok(a) }
    fn float4abs(a: f32) -> f32 { Ok(a.abs()) }
    fn float8um(a: f64) -> f64 { Ok(-a) }
    fn float8up(a: f64) -> f64 { Ok(a) }
    fn float8abs(a: f64) -> f64 { Ok(a.abs()) }
    fn dround(a: f64) -> f64 { Ok(libm::rint(a)) }
    fn dceil(a: f64) -> f64 { Ok(libm::ceil(a)) }
    fn dfloor(a: f64) -> f64 { Ok(libm::floor(a)) }
    fn dtrunc(a: f64) -> f64 { Ok(libm::trunc(a)) }
    fn dsign(a: f64) -> f64 {
        Ok(if a > 0.0 { 1.0 } else if a < 0.0 { -1.0 } else { 0.0 })
    }
    fn dsqrt(a: f64) -> f64 {
        if a < 0.0 {
            return Err(EvalError::new(
                SqlState::INVALID_ARGUMENT_FOR_POWER,
                "cannot take square root of a negative number",
            ));
        }
        Ok(libm::sqrt(a))
    }
    fn dcbrt(a: f64) -> f64 { Ok(real::cbrt(a)) }
    fn dpow(a: f64, b: f64) -> f64 { power(a, b) }
    fn dexp(a: f64) -> f64 {
        if a.is_nan() {
            return Ok(a);
        }
        let answer = real::exp(a);
        checked(answer, a.is_infinite(), a == f64::NEG_INFINITY)
    }
    fn dlog1(a: f64) -> f64 {
        refuse_logarithm(a)?;
        Ok(real::ln(a))
    }
    fn dlog10(a: f64) -> f64 {
        refuse_logarithm(a)?;
        Ok(real::log10(a))
    }
    fn dpi() -> f64 { Ok(core::f64::consts::PI) }
    fn degrees(a: f64) -> f64 {
        let answer = a / (core::f64::consts::PI / 180.0);
        checked(answer, a.is_infinite(), a == 0.0)
    }
    fn radians(a: f64) -> f64 {
        let answer = a * (core::f64::consts::PI / 180.0);
        checked(answer, a.is_infinite(), a == 0.0)
    }
    fn dsin(a: f64) -> f64 { finite(a).map(real::sin) }
    fn dcos(a: f64) -> f64 { finite(a).map(real::cos) }
    fn dtan(a: f64) -> f64 { finite(a).map(real::tan) }
    fn dcot(a: f64) -> f64 {
        let tangent = finite(a).map(real::tan)?;
        Ok(1.0 / tangent)
    }
    fn dasin(a: f64) -> f64 { within_one(a).map(real::asin) }
    fn dacos(a: f64) -> f64 { within_one(a).map(real::acos) }
    fn datan(a: f64) -> f64 { Ok(real::atan(a)) }
    fn datan2(a: f64, b: f64) -> f64 { Ok(libm::atan2(a, b)) }
    fn dsinh(a: f64) -> f64 { Ok(libm::sinh(a)) }
    fn dcosh(a: f64) -> f64 { Ok(libm::cosh(a)) }
    fn dtanh(a: f64) -> f64 { Ok(libm::tanh(a)) }
    fn dasinh(a: f64) -> f64 { Ok(libm::asinh(a)) }
    fn dacosh(a: f64) -> f64 {
        if a < 1.0 { Err(input_range()) } else { Ok(libm::acosh(a)) }
    }
    fn datanh(a: f64) -> f64 {
        within_one(a)?;
        Ok(if a == 1.0 { f64::INFINITY } else if a == -1.0 { f64::NEG_INFINITY } else { libm::atanh(a) })
    }
    fn width_bucket_float8(a: f64, low: f64, high: f64, count: i32) -> i32 {
        bucket(a, low, high, count)
    }
}

/// The answer of a function that may leave the range; `infinite` and `zero` say where it may be either.
fn checked(answer: f64, infinite: bool, zero: bool) -> Result<f64, EvalError> {
    if answer.is_infinite() && !infinite {
        return Err(overflow());
    }
    if answer == 0.0 && !zero {
        return Err(underflow());
    }
    Ok(answer)
}

fn finite(a: f64) -> Result<f64, EvalError> {
    if a.is_infinite() { Err(input_range()) } else { Ok(a) }
}

fn within_one(a: f64) -> Result<f64, EvalError> {
    if !(-1.0..=1.0).contains(&a) && !a.is_nan() { Err(input_range()) } else { Ok(a) }
}

fn refuse_logarithm(a: f64) -> Result<(), EvalError> {
    let message = if a == 0.0 {
        "cannot take logarithm of zero"
    } else if a < 0.0 {
        "cannot take logarithm of a negative number"
    } else {
        return Ok(());
    };
    Err(EvalError::new(SqlState::INVALID_ARGUMENT_FOR_LOG, message))
}

fn power(a: f64, b: f64) -> Result<f64, EvalError> {
    let refuse = |message| Err(EvalError::new(SqlState::INVALID_ARGUMENT_FOR_POWER, message));
    if a.is_nan() {
        return Ok(if b == 0.0 { 1.0 } else { f64::NAN });
    }
    if b.is_nan() {
        return Ok(if a == 1.0 { 1.0 } else { f64::NAN });
    }
    if a == 0.0 && b < 0.0 {
        return refuse("zero raised to a negative power is undefined");
    }
    if a < 0.0 && libm::floor(b) != b {
        return refuse("a negative number raised to a non-integer power yields a complex result");
    }
    if a.is_infinite() || b.is_infinite() {
        return Ok(libm::pow(a, b));
    }
    let answer = real::pow(a, b);
    if answer.is_infinite() {
        return Err(overflow());
    }
    if answer == 0.0 && a != 0.0 {
        return Err(underflow());
    }
    Ok(answer)
}

fn bucket(a: f64, low: f64, high: f64, count: i32) -> Result<i32, EvalError> {
    if count <= 0 {
        return Err(bucket_error("count must be greater than zero"));
    }
    if a.is_nan() || low.is_nan() || high.is_nan() {
        return Err(bucket_error("operand, lower bound, and upper bound cannot be NaN"));
    }
    if low.is_infinite() || high.is_infinite() {
        return Err(bucket_error("lower and upper bounds must be finite"));
    }
    let last = || count.checked_add(1).ok_or_else(|| EvalError::out_of_range("integer"));
    // Halving both sides keeps the distance of far bounds finite. The last share may round up to the whole.
    let place = |from: f64, to: f64| -> Result<i32, EvalError> {
        let share = if (to - from).is_finite() {
            (a - from) / (to - from)
        } else {
            (a / 2.0 - from / 2.0) / (to / 2.0 - from / 2.0)
        };
        let whole = share * f64::from(count);
        (whole as i32).checked_add(1).ok_or_else(|| EvalError::out_of_range("integer"))
    };
    if low < high {
        if a < low {
            Ok(0)
        } else if a >= high {
            last()
        } else {
            place(low, high)
        }
    } else if low > high {
        if a > low {
            Ok(0)
        } else if a <= high {
            last()
        } else {
            place(low, high)
        }
    } else {
        Err(bucket_error("lower bound cannot equal upper bound"))
    }
}

functions! {
    fn width_bucket_array(a: &types::Value, bounds: &[types::Value]) -> i32 {
        let order = |bound: &types::Value| match (bound, a) {
            (types::Value::Float8(bound), types::Value::Float8(a)) => float_cmp(*bound, *a),
            _ => bound.sql_cmp(a),
        };
        if bounds.iter().any(types::Value::is_null) {
            return Err(EvalError::new(
                SqlState::NULL_VALUE_NOT_ALLOWED,
                "thresholds array must not contain NULLs",
            ));
        }
        Ok(bounds.partition_point(|bound| order(bound).is_le()) as i32)
    }
}
