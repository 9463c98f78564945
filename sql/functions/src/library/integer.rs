//! `smallint`, `integer`, `bigint`: arithmetic that refuses to wrap, bits, and conversion among them.

use super::convert::Oid;
use crate::EvalError;
use types::SqlState;

#[cold]
fn range(type_name: &'static str) -> EvalError {
    EvalError::out_of_range(type_name)
}

/// Operations on two integers, computed in the wider type.
macro_rules! arithmetic {
    ($($left:ty, $right:ty => $wide:ty, $name:literal: $add:ident $sub:ident $mul:ident $div:ident;)*) => {$(
        functions! {
            fn $add(a: $left, b: $right) -> $wide {
                <$wide>::from(a).checked_add(<$wide>::from(b)).ok_or_else(|| range($name))
            }
            fn $sub(a: $left, b: $right) -> $wide {
                <$wide>::from(a).checked_sub(<$wide>::from(b)).ok_or_else(|| range($name))
            }
            fn $mul(a: $left, b: $right) -> $wide {
                <$wide>::from(a).checked_mul(<$wide>::from(b)).ok_or_else(|| range($name))
            }
            fn $div(a: $left, b: $right) -> $wide {
                if b == 0 {
                    return Err(EvalError::division_by_zero());
                }
                <$wide>::from(a).checked_div(<$wide>::from(b)).ok_or_else(|| range($name))
            }
        }
    )*};
}

arithmetic! {
    i16, i16 => i16, "smallint": int2pl int2mi int2mul int2div;
    i16, i32 => i32, "integer": int24pl int24mi int24mul int24div;
    i16, i64 => i64, "bigint": int28pl int28mi int28mul int28div;
    i32, i16 => i32, "integer": int42pl int42mi int42mul int42div;
    i32, i32 => i32, "integer": int4pl int4mi int4mul int4div;
    i32, i64 => i64, "bigint": int48pl int48mi int48mul int48div;
    i64, i16 => i64, "bigint": int82pl int82mi int82mul int82div;
    i64, i32 => i64, "bigint": int84pl int84mi int84mul int84div;
    i64, i64 => i64, "bigint": int8pl int8mi int8mul int8div;
}

/// Operations within one integer type.
macro_rules! integers {
    ($($rust:ty, $name:literal: $modulo:ident $minus:ident $plus:ident $abs:ident $and:ident $or:ident $xor:ident $not:ident $left:ident $right:ident;)*) => {$(
        functions! {
            fn $modulo(a: $rust, b: $rust) -> $rust {
                if b == 0 {
                    return Err(EvalError::division_by_zero());
                }
                Ok(a.wrapping_rem(b))
            }
            fn $minus(a: $rust) -> $rust { a.checked_neg().ok_or_else(|| range($name)) }
            fn $plus(a: $rust) -> $rust { Ok(a) }
            fn $abs(a: $rust) -> $rust { a.checked_abs().ok_or_else(|| range($name)) }
            fn $and(a: $rust, b: $rust) -> $rust { Ok(a & b) }
            fn $or(a: $rust, b: $rust) -> $rust { Ok(a | b) }
            fn $xor(a: $rust, b: $rust) -> $rust { Ok(a ^ b) }
            fn $not(a: $rust) -> $rust { Ok(!a) }
            // The processor's shift that PostgreSQL relies on: the count modulo the width of an int (smallint is shifted as one).
            fn $left(a: $rust, bits: i32) -> $rust { Ok(shift_left(i64::from(a), bits, size_of::<$rust>()) as $rust) }
            fn $right(a: $rust, bits: i32) -> $rust { Ok(shift_right(i64::from(a), bits, size_of::<$rust>()) as $rust) }
        }
    )*};
}

fn shift_left(value: i64, bits: i32, bytes: usize) -> i64 {
    if bytes == 8 {
        value.wrapping_shl(bits as u32)
    } else {
        i64::from((value as i32).wrapping_shl(bits as u32))
    }
}

fn shift_right(value: i64, bits: i32, bytes: usize) -> i64 {
    if bytes == 8 {
        value.wrapping_shr(bits as u32)
    } else {
        i64::from((value as i32).wrapping_shr(bits as u32))
    }
}

integers! {
    i16, "smallint": int2mod int2um int2up int2abs int2and int2or int2xor int2not int2shl int2shr;
    i32, "integer": int4mod int4um int4up int4abs int4and int4or int4xor int4not int4shl int4shr;
    i64, "bigint": int8mod int8um int8up int8abs int8and int8or int8xor int8not int8shl int8shr;
}

/// Conversions that may not fit.
macro_rules! narrow {
    ($($from:ty => $to:ty, $name:literal: $function:ident;)*) => {$(
        functions! {
            fn $function(a: $from) -> $to { <$to>::try_from(a).map_err(|_| range($name)) }
        }
    )*};
}

narrow! {
    i16 => i32, "integer": i2toi4;
    i32 => i16, "smallint": i4toi2;
    i32 => i64, "bigint": int48;
    i64 => i32, "integer": int84;
    i16 => i64, "bigint": int28;
    i64 => i16, "smallint": int82;
}

/// Greatest common divisor of magnitudes.
fn divisor(a: i64, b: i64) -> u64 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

functions! {
    fn int4gcd(a: i32, b: i32) -> i32 {
        i32::try_from(divisor(i64::from(a), i64::from(b))).map_err(|_| range("integer"))
    }
    fn int8gcd(a: i64, b: i64) -> i64 {
        i64::try_from(divisor(a, b)).map_err(|_| range("bigint"))
    }
    fn int4lcm(a: i32, b: i32) -> i32 {
        if a == 0 || b == 0 {
            return Ok(0);
        }
        let gcd = i64::try_from(divisor(i64::from(a), i64::from(b))).map_err(|_| range("integer"))?;
        let product = (i64::from(a) / gcd).checked_mul(i64::from(b)).ok_or_else(|| range("integer"))?;
        i32::try_from(product.unsigned_abs()).map_err(|_| range("integer"))
    }
    fn int8lcm(a: i64, b: i64) -> i64 {
        if a == 0 || b == 0 {
            return Ok(0);
        }
        let gcd = i128::from(divisor(a, b));
        let product = i128::from(a) / gcd * i128::from(b);
        i64::try_from(product.unsigned_abs()).map_err(|_| range("bigint"))
    }
    fn int4inc(a: i32) -> i32 { a.checked_add(1).ok_or_else(|| range("integer")) }
    fn int8inc(a: i64) -> i64 { a.checked_add(1).ok_or_else(|| range("bigint")) }
    fn i8tooid(a: i64) -> Oid { u32::try_from(a).map(Oid).map_err(|_| range("OID")) }
    fn oidtoi8(a: Oid) -> i64 { Ok(i64::from(a.0)) }
    fn chartoi4(a: &str) -> i32 { Ok(i32::from(a.bytes().next().unwrap_or(0) as i8)) }
    fn i4tochar(a: i32) -> &'static str {
        let byte = u8::try_from(a).ok().filter(u8::is_ascii).ok_or_else(|| {
            EvalError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "\"char\" out of range")
        })?;
        Ok(crate::library::convert::ascii_text(byte))
    }
}
