//! `numeric`: arithmetic, rounding, and conversion to and from the other numbers. The algorithms are in `types::numeric`.

use crate::EvalError;
use alloc::format;
use alloc::vec::Vec;
use core::fmt::Write;
use types::numeric::{DISPLAY_SCALE_MAX, NumericKind};
use types::text_format::{parse_float4, parse_float8};
use types::{Numeric, SqlState};

/// Decimals that `round` and `trunc` accept, either side of the point.
const RESULT_SCALE_MAX: i32 = 2000;

functions! {
    fn numeric_add(a: &Numeric, b: &Numeric) -> Numeric { a.add(b) }
    fn numeric_sub(a: &Numeric, b: &Numeric) -> Numeric { a.sub(b) }
    fn numeric_mul(a: &Numeric, b: &Numeric) -> Numeric { a.mul(b) }
    fn numeric_div(a: &Numeric, b: &Numeric) -> Numeric { a.div(b) }
    fn numeric_div_trunc(a: &Numeric, b: &Numeric) -> Numeric { a.div_truncated(b) }
    fn numeric_mod(a: &Numeric, b: &Numeric) -> Numeric { a.rem(b) }
    fn numeric_uminus(a: &Numeric) -> Numeric { Ok(a.clone().negated()) }
    fn numeric_uplus(a: &Numeric) -> Numeric { Ok(a.clone()) }
    fn numeric_inc(a: &Numeric) -> Numeric { a.add(&Numeric::from_i128(1)) }
    fn numeric_abs(a: &Numeric) -> Numeric { Ok(a.clone().abs()) }
    fn numeric_sign(a: &Numeric) -> Numeric { Ok(a.signum()) }
    fn numeric_ceil(a: &Numeric) -> Numeric { a.ceil() }
    fn numeric_floor(a: &Numeric) -> Numeric { a.floor() }
    fn numeric_sqrt(a: &Numeric) -> Numeric { a.sqrt() }
    fn numeric_exp(a: &Numeric) -> Numeric { a.exp() }
    fn numeric_ln(a: &Numeric) -> Numeric { a.ln() }
    fn numeric_log(base: &Numeric, a: &Numeric) -> Numeric { base.log(a) }
    fn numeric_power(a: &Numeric, b: &Numeric) -> Numeric { a.power(b) }
    // pg_proc 1741, 1481
    fn numeric_log10(a: &Numeric) -> Numeric { Numeric::from_i128(10).log(a) }
    fn numeric_round(a: &Numeric, scale: i32) -> Numeric {
        fits(a.rounded(scale.clamp(-RESULT_SCALE_MAX, RESULT_SCALE_MAX)), a)
    }
    fn numeric_trunc(a: &Numeric, scale: i32) -> Numeric {
        Ok(a.truncated(scale.clamp(-RESULT_SCALE_MAX, RESULT_SCALE_MAX)))
    }
    // pg_proc 1708
    fn numeric_round_whole(a: &Numeric) -> Numeric { fits(a.rounded(0), a) }
    // pg_proc 1710
    fn numeric_trunc_whole(a: &Numeric) -> Numeric { Ok(a.truncated(0)) }
    fn numeric_scale(a: &Numeric) -> Option<i32> {
        Ok(a.is_finite().then(|| i32::from(a.display_scale())))
    }
    fn numeric_min_scale(a: &Numeric) -> Option<i32> {
        Ok(a.is_finite().then(|| i32::from(a.min_scale())))
    }
    fn numeric_trim_scale(a: &Numeric) -> Numeric {
        let scale = a.min_scale();
        Ok(a.clone().with_display_scale(scale))
    }
    fn numeric_gcd(a: &Numeric, b: &Numeric) -> Numeric {
        if !a.is_finite() || !b.is_finite() {
            return Ok(Numeric::NAN);
        }
        let scale = a.display_scale().max(b.display_scale());
        Ok(divisor(a, b)?.with_display_scale(scale))
    }
    fn numeric_lcm(a: &Numeric, b: &Numeric) -> Numeric {
        if !a.is_finite() || !b.is_finite() {
            return Ok(Numeric::NAN);
        }
        let scale = a.display_scale().max(b.display_scale());
        if a.is_zero() || b.is_zero() {
            return Ok(Numeric::ZERO.with_display_scale(scale));
        }
        let multiple = a.div_truncated(&divisor(a, b)?)?.mul(b)?.abs();
        Ok(multiple.rounded(i32::from(scale)))
    }
    fn numeric_fac(count: i64) -> Numeric {
        if count < 0 {
            return Err(EvalError::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                "factorial of a negative number is undefined",
            ));
        }
        if count > 32_177 {
            return Err(EvalError::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                "value overflows numeric format",
            ));
        }
        let mut product = Numeric::from_i128(1);
        for factor in 2..=count {
            product = product.mul(&Numeric::from_i128(i128::from(factor)))?;
        }
        Ok(product)
    }
    fn int2_numeric(a: i16) -> Numeric { Ok(Numeric::from_i128(i128::from(a))) }
    fn int4_numeric(a: i32) -> Numeric { Ok(Numeric::from_i128(i128::from(a))) }
    fn int8_numeric(a: i64) -> Numeric { Ok(Numeric::from_i128(i128::from(a))) }
    fn numeric_int2(a: &Numeric) -> i16 { to_integer(a, "smallint") }
    fn numeric_int4(a: &Numeric) -> i32 { to_integer(a, "integer") }
    fn numeric_int8(a: &Numeric) -> i64 { to_integer(a, "bigint") }
    fn float4_numeric(a: f32) -> Numeric { from_float(f64::from(a), 6) }
    fn float8_numeric(a: f64) -> Numeric { from_float(a, 15) }
    fn numeric_float4(a: &Numeric) -> f32 { parse_float4(&text(a)) }
    fn numeric_float8(a: &Numeric) -> f64 { parse_float8(&text(a)) }
    fn width_bucket_numeric(a: &Numeric, low: &Numeric, high: &Numeric, count: i32) -> i32 {
        bucket(a, low, high, count)
    }
}

fn fits(rounded: Numeric, from: &Numeric) -> Result<Numeric, EvalError> {
    if rounded.is_finite() == from.is_finite() {
        return Ok(rounded);
    }
    Err(EvalError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format"))
}

/// The greatest common divisor of finite numbers.
fn divisor(a: &Numeric, b: &Numeric) -> Result<Numeric, EvalError> {
    let (mut a, mut b) = (a.clone().abs(), b.clone().abs());
    while !b.is_zero() {
        let rest = a.rem(&b)?;
        a = b;
        b = rest;
    }
    Ok(a)
}

pub(super) fn text(number: &Numeric) -> alloc::string::String {
    let mut out = Vec::new();
    number.append_text(&mut out);
    out.into_iter().map(char::from).collect()
}

pub(super) fn to_integer<T: TryFrom<i128>>(
    number: &Numeric,
    type_name: &'static str,
) -> Result<T, EvalError> {
    let special = match number.kind() {
        NumericKind::NaN => "NaN",
        NumericKind::PositiveInfinity | NumericKind::NegativeInfinity => "infinity",
        _ => {
            return number
                .to_i128()
                .and_then(|value| T::try_from(value).ok())
                .ok_or_else(|| EvalError::out_of_range(type_name));
        }
    };
    Err(EvalError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("cannot convert {special} to {type_name}"),
    ))
}

/// As C's `%.{digits}g` would print it, read back.
pub(crate) fn from_float(number: f64, digits: usize) -> Result<Numeric, EvalError> {
    if number.is_nan() {
        return Ok(Numeric::NAN);
    }
    if number.is_infinite() {
        return Ok(Numeric::infinity(number < 0.0));
    }
    let mut shown = alloc::string::String::new();
    let _ = write!(shown, "{:.*e}", digits - 1, number);
    let (mantissa, exponent) = shown.split_once('e').unwrap_or((&shown, "0"));
    let short = mantissa.trim_end_matches('0').trim_end_matches('.');
    Numeric::parse(&format!("{short}e{exponent}"))
}

#[cold]
pub(super) fn bucket_error(message: &'static str) -> EvalError {
    EvalError::new(SqlState::INVALID_ARGUMENT_FOR_WIDTH_BUCKET, message)
}

fn bucket(a: &Numeric, low: &Numeric, high: &Numeric, count: i32) -> Result<i32, EvalError> {
    if count <= 0 {
        return Err(bucket_error("count must be greater than zero"));
    }
    let nan = |number: &Numeric| number.kind() == NumericKind::NaN;
    if nan(a) || nan(low) || nan(high) {
        return Err(bucket_error("operand, lower bound, and upper bound cannot be NaN"));
    }
    if !low.is_finite() || !high.is_finite() {
        return Err(bucket_error("lower and upper bounds must be finite"));
    }
    let last = || count.checked_add(1).ok_or_else(|| EvalError::out_of_range("integer"));
    let position = |distance: Numeric, width: Numeric| -> Result<i32, EvalError> {
        let scaled = distance.mul(&Numeric::from_i128(i128::from(count)))?;
        // Rounded as a quotient is, so that the last share may become the whole.
        let whole = scaled.div(&width)?.floor()?.add(&Numeric::from_i128(1))?;
        to_integer(&whole, "integer")
    };
    match low.cmp(high) {
        core::cmp::Ordering::Equal => Err(bucket_error("lower bound cannot equal upper bound")),
        core::cmp::Ordering::Less if a < low => Ok(0),
        core::cmp::Ordering::Less if a >= high => last(),
        core::cmp::Ordering::Less => position(a.sub(low)?, high.sub(low)?),
        core::cmp::Ordering::Greater if a > low => Ok(0),
        core::cmp::Ordering::Greater if a <= high => last(),
        core::cmp::Ordering::Greater => position(low.sub(a)?, low.sub(high)?),
    }
}

const _: () = assert!(DISPLAY_SCALE_MAX as i32 > RESULT_SCALE_MAX);
