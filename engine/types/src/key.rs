//! Order-preserving encoding of keys: `memcmp` of two encoded keys orders them as SQL orders the rows.
//!
//! | type | bytes |
//! |---|---|
//! | bool | 1 |
//! | integers, date, timestamps, oid | big-endian with the sign bit flipped |
//! | floats | big-endian IEEE bits; negative ones complemented, others with the sign bit set; −0 as 0, every NaN as the highest |
//! | uuid | its 16 bytes |
//! | interval | its comparison span in microseconds, 16 bytes big-endian, sign flipped |
//! | text, varchar, char, bytea | bytes with `00` written `00 FF`, ended by `00 00`; `char` without its trailing blanks |
//! | numeric | class byte; weight and digits big-endian, ended by `00 00`; complemented when negative |
//!
//! A nullable column has a byte in front: `01` a value, `02` NULL (after all values), `00` NULL (before all values). A descending column is complemented as a
//! whole, the byte in front excepted. The encoding is a part of the disk format. Rows hold the values; a key is decoded ([`take_key_column`]) only where
//! there is no row, for a tombstone.

use crate::numeric::{DIGIT_BASE, Numeric, NumericKind};
use crate::sql_type::SqlType;
use crate::value::{Interval, Value, ValueRef};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

/// How one column takes part in a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyOrder {
    /// Highest first.
    pub descending: bool,
    /// Whether the column may be NULL, and then where NULLs go.
    pub nulls: Nulls,
}

/// Where NULLs go in a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Nulls {
    /// The column is NOT NULL; nothing is spent on the possibility.
    Never,
    /// Before all values.
    First,
    /// After all values.
    Last,
}

impl KeyOrder {
    /// An ascending column that is never NULL, as in primary keys.
    pub const PRIMARY: KeyOrder = KeyOrder { descending: false, nulls: Nulls::Never };
}

/// Appends one column of a key.
///
/// # Panics
/// If the value is NULL in a column that is never NULL, or an array (no key column has an array type).
pub fn append_key_column(value: &Value, order: KeyOrder, out: &mut Vec<u8>) {
    match (value.is_null(), order.nulls) {
        (true, Nulls::Never) => panic!("NULL in a key column that is declared NOT NULL"),
        (true, Nulls::First) => return out.push(0),
        (true, Nulls::Last) => return out.push(2),
        (false, Nulls::Never) => {}
        (false, Nulls::First | Nulls::Last) => out.push(1),
    }
    let start = out.len();
    append_value(value, out);
    if order.descending {
        for byte in &mut out[start..] {
            *byte = !*byte;
        }
    }
}

/// Appends one column of a key from a borrowed value: the same bytes as [`append_key_column`]. False, and nothing appended, if a `numeric` does not
/// decode (damaged bytes).
///
/// # Panics
/// As [`append_key_column`].
pub fn append_key_column_ref(value: ValueRef<'_>, order: KeyOrder, out: &mut Vec<u8>) -> bool {
    let scalar = match value {
        ValueRef::Text(text) => return append_variable(text.as_bytes(), order, out),
        ValueRef::Bytea(bytes) => return append_variable(bytes, order, out),
        ValueRef::Numeric(bytes) => return append_encoded_numeric(bytes, order, out),
        // Every other variant is copied without an allocation.
        other => match other.to_value() {
            Some(scalar) => scalar,
            None => return false,
        },
    };
    append_key_column(&scalar, order, out);
    true
}

fn append_variable(bytes: &[u8], order: KeyOrder, out: &mut Vec<u8>) -> bool {
    if order.nulls != Nulls::Never {
        out.push(1);
    }
    let start = out.len();
    append_terminated(bytes, out);
    if order.descending {
        for byte in &mut out[start..] {
            *byte = !*byte;
        }
    }
    true
}

/// The key of a number from its encoded form, without building the number.
fn append_encoded_numeric(bytes: &[u8], order: KeyOrder, out: &mut Vec<u8>) -> bool {
    let Some((head, digits)) = bytes.split_first_chunk::<5>() else {
        return false;
    };
    let class = match (head[0], digits.is_empty()) {
        (0, true) => 1,
        (1, false) => 2,
        (2, true) => 3,
        (2, false) => 4,
        (3, true) => 5,
        (4, true) => 6,
        _ => return false,
    };
    if order.nulls != Nulls::Never {
        out.push(1);
    }
    let start = out.len();
    out.push(class);
    if !digits.is_empty() {
        out.extend_from_slice(&[head[2] ^ 0x80, head[1]]);
        for digit in digits.chunks_exact(2) {
            let digit = u16::from_le_bytes([digit[0], digit[1]]);
            out.extend_from_slice(&digit.wrapping_add(1).to_be_bytes());
        }
        out.extend_from_slice(&[0, 0]);
        if class == 2 {
            out[start + 1..].iter_mut().for_each(|byte| *byte = !*byte);
        }
    }
    if order.descending {
        out[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
    true
}

/// Takes one column off the front of an encoded key. What comes back encodes to the same bytes, but need not be the value that was encoded: −0 is 0, an
/// interval has other units, a numeric lost its scale, a `char` its blanks. That is enough to say which row is gone. Nothing if the bytes are no key.
pub fn take_key_column(sql_type: SqlType, order: KeyOrder, key: &mut &[u8]) -> Option<Value> {
    if order.nulls != Nulls::Never {
        match take(key, 1)?[0] {
            1 => {}
            0 | 2 => return Some(Value::Null),
            _ => return None,
        }
    }
    let flip = if order.descending { 0xFF } else { 0 };
    Some(match sql_type {
        SqlType::Bool => Value::Bool(take_array::<1>(key, flip)?[0] == 1),
        SqlType::Int2 => Value::Int2((u16::from_be_bytes(take_array(key, flip)?) ^ 0x8000) as i16),
        SqlType::Int4 => Value::Int4(take_i32(key, flip)?),
        SqlType::Date => Value::Date(take_i32(key, flip)?),
        SqlType::Int8 => Value::Int8(take_i64(key, flip)?),
        SqlType::Timestamp => Value::Timestamp(take_i64(key, flip)?),
        SqlType::Timestamptz => Value::Timestamptz(take_i64(key, flip)?),
        SqlType::Oid | SqlType::Regclass | SqlType::Regtype | SqlType::Regproc => {
            Value::Oid(u32::from_be_bytes(take_array(key, flip)?))
        }
        SqlType::Float4 => {
            let ordered = u32::from_be_bytes(take_array(key, flip)?);
            let positive = ordered >> 31 == 1;
            Value::Float4(f32::from_bits(if positive { ordered & !(1 << 31) } else { !ordered }))
        }
        SqlType::Float8 => {
            let ordered = u64::from_be_bytes(take_array(key, flip)?);
            let positive = ordered >> 63 == 1;
            Value::Float8(f64::from_bits(if positive { ordered & !(1 << 63) } else { !ordered }))
        }
        SqlType::Uuid => Value::Uuid(take_array(key, flip)?),
        SqlType::Interval => {
            let span = (u128::from_be_bytes(take_array(key, flip)?) ^ (1 << 127)) as i128;
            const MONTH_MICROS: i128 = 30 * 86_400_000_000;
            let months = (span / MONTH_MICROS).clamp(i128::from(i32::MIN), i128::from(i32::MAX));
            let rest = span - months * MONTH_MICROS;
            let days = (rest / 86_400_000_000).clamp(i128::from(i32::MIN), i128::from(i32::MAX));
            let micros = i64::try_from(rest - days * 86_400_000_000).ok()?;
            Value::Interval(Interval { months: months as i32, days: days as i32, micros })
        }
        SqlType::Bytea => Value::Bytea(take_terminated(key, flip)?.into()),
        SqlType::Numeric => Value::Numeric(Box::new(take_numeric(key, flip)?)),
        _ if sql_type.is_string() => {
            Value::Text(String::from_utf8(take_terminated(key, flip)?).ok()?.into())
        }
        _ => return None,
    })
}

fn take<'k>(key: &mut &'k [u8], count: usize) -> Option<&'k [u8]> {
    let (head, rest) = key.split_at_checked(count)?;
    *key = rest;
    Some(head)
}

fn take_array<const N: usize>(key: &mut &[u8], flip: u8) -> Option<[u8; N]> {
    let mut array = [0u8; N];
    for (to, from) in array.iter_mut().zip(take(key, N)?) {
        *to = from ^ flip;
    }
    Some(array)
}

fn take_i32(key: &mut &[u8], flip: u8) -> Option<i32> {
    Some((u32::from_be_bytes(take_array(key, flip)?) ^ 0x8000_0000) as i32)
}

fn take_i64(key: &mut &[u8], flip: u8) -> Option<i64> {
    Some((u64::from_be_bytes(take_array(key, flip)?) ^ (1 << 63)) as i64)
}

fn take_terminated(key: &mut &[u8], flip: u8) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        match take_array::<1>(key, flip)?[0] {
            0 => match take_array::<1>(key, flip)?[0] {
                0 => return Some(bytes),
                0xFF => bytes.push(0),
                _ => return None,
            },
            byte => bytes.push(byte),
        }
    }
}

fn take_numeric(key: &mut &[u8], flip: u8) -> Option<Numeric> {
    let class = take_array::<1>(key, flip)?[0];
    let (negative, flip) = match class {
        1 => return Some(Numeric::infinity(true)),
        2 => (true, !flip),
        3 => return Some(Numeric::ZERO),
        4 => (false, flip),
        5 => return Some(Numeric::infinity(false)),
        6 => return Some(Numeric::NAN),
        _ => return None,
    };
    let weight = (u16::from_be_bytes(take_array(key, flip)?) ^ 0x8000) as i16;
    let mut digits = Vec::new();
    loop {
        match u16::from_be_bytes(take_array(key, flip)?) {
            0 => break,
            digit if i32::from(digit) <= DIGIT_BASE => digits.push(digit as i16 - 1),
            _ => return None,
        }
    }
    if digits.is_empty() || digits[0] == 0 || digits[digits.len() - 1] == 0 {
        return None;
    }
    Some(Numeric::from_parts(negative, i32::from(weight), 0, digits))
}

/// Appends the ascending form of a value that is not NULL.
fn append_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Bool(v) => out.push(u8::from(*v)),
        Value::Int2(v) => out.extend_from_slice(&(*v as u16 ^ 0x8000).to_be_bytes()),
        Value::Int4(v) | Value::Date(v) => {
            out.extend_from_slice(&(*v as u32 ^ 0x8000_0000).to_be_bytes());
        }
        Value::Int8(v) | Value::Timestamp(v) | Value::Timestamptz(v) => {
            out.extend_from_slice(&(*v as u64 ^ (1 << 63)).to_be_bytes());
        }
        Value::Float4(v) => {
            let value = if *v == 0.0 { 0.0f32 } else { *v };
            let bits = if value.is_nan() { 0x7fc0_0000 } else { value.to_bits() };
            let ordered = if bits >> 31 == 1 { !bits } else { bits | 0x8000_0000 };
            out.extend_from_slice(&ordered.to_be_bytes());
        }
        Value::Float8(v) => {
            let value = if *v == 0.0 { 0.0f64 } else { *v };
            let bits = if value.is_nan() { 0x7ff8_0000_0000_0000 } else { value.to_bits() };
            let ordered = if bits >> 63 == 1 { !bits } else { bits | (1 << 63) };
            out.extend_from_slice(&ordered.to_be_bytes());
        }
        Value::Numeric(v) => append_numeric(v, out),
        Value::Text(v) => append_terminated(v.as_bytes(), out),
        Value::Bytea(v) => append_terminated(v, out),
        Value::Interval(v) => {
            let span = v.comparison_micros() as u128 ^ (1 << 127);
            out.extend_from_slice(&span.to_be_bytes());
        }
        Value::Uuid(v) => out.extend_from_slice(v),
        Value::Oid(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Null | Value::Array(_) => panic!("no key column holds NULL here or an array"),
    }
}

fn append_terminated(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        out.push(*byte);
        if *byte == 0 {
            out.push(0xFF);
        }
    }
    out.extend_from_slice(&[0, 0]);
}

fn append_numeric(number: &Numeric, out: &mut Vec<u8>) {
    let start = out.len();
    match number.kind() {
        NumericKind::NegativeInfinity => return out.push(1),
        NumericKind::PositiveInfinity => return out.push(5),
        NumericKind::NaN => return out.push(6),
        _ if number.is_zero() => return out.push(3),
        NumericKind::Positive => out.push(4),
        NumericKind::Negative => out.push(2),
    }
    out.extend_from_slice(&(number.weight() as u16 ^ 0x8000).to_be_bytes());
    for digit in number.digits() {
        // One more than the digit, so that the end (0) sorts below every continuation.
        out.extend_from_slice(&(*digit as u16 + 1).to_be_bytes());
    }
    out.extend_from_slice(&[0, 0]);
    if number.is_negative() {
        for byte in &mut out[start + 1..] {
            *byte = !*byte;
        }
    }
}

/// The smallest byte string above every string that begins with `prefix`; nothing if there is none.
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xFF {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{
        KeyOrder, Nulls, append_key_column, append_key_column_ref, prefix_end, take_key_column,
    };
    use crate::{Interval, Numeric, SqlType, Value, ValueRef};
    use alloc::boxed::Box;
    use alloc::vec;
    use alloc::vec::Vec;

    fn encode(value: &Value, order: KeyOrder) -> Vec<u8> {
        let mut out = Vec::new();
        append_key_column(value, order, &mut out);
        // Another column follows in real keys; its bytes must never decide.
        out.extend_from_slice(&[0x80]);
        out
    }

    fn type_of(value: &Value) -> SqlType {
        match value {
            Value::Bool(_) => SqlType::Bool,
            Value::Int2(_) => SqlType::Int2,
            Value::Int4(_) => SqlType::Int4,
            Value::Int8(_) => SqlType::Int8,
            Value::Float4(_) => SqlType::Float4,
            Value::Float8(_) => SqlType::Float8,
            Value::Numeric(_) => SqlType::Numeric,
            Value::Text(_) => SqlType::Text,
            Value::Bytea(_) => SqlType::Bytea,
            Value::Interval(_) => SqlType::Interval,
            other => panic!("not in these tests: {other:?}"),
        }
    }

    /// Decoding, and encoding from a borrowed value, give the same bytes back.
    fn check_inverse(value: &Value, order: KeyOrder) {
        let mut bytes = Vec::new();
        append_key_column(value, order, &mut bytes);
        let mut rest = &bytes[..];
        let decoded = take_key_column(type_of(value), order, &mut rest).expect("it was encoded");
        assert!(rest.is_empty());
        assert_eq!(&decoded, value);
        for end in 0..bytes.len() {
            assert!(take_key_column(type_of(value), order, &mut &bytes[..end]).is_none());
        }
        if let Value::Text(text) = value {
            let mut again = Vec::new();
            assert!(append_key_column_ref(ValueRef::Text(text), order, &mut again));
            assert_eq!(again, bytes);
        }
        if let Value::Numeric(number) = value {
            let (mut encoded, mut again) = (Vec::new(), Vec::new());
            number.encode(&mut encoded);
            assert!(append_key_column_ref(ValueRef::Numeric(&encoded), order, &mut again));
            assert_eq!(again, bytes);
        }
    }

    fn numeric(digits: &[i16], weight: i32, negative: bool) -> Value {
        Value::Numeric(Box::new(Numeric::from_parts(negative, weight, 0, digits.to_vec())))
    }

    #[test]
    fn memcmp_is_sql_order_for_every_type() {
        let groups: Vec<Vec<Value>> = vec![
            vec![Value::Bool(false), Value::Bool(true)],
            [i16::MIN, -1, 0, 1, i16::MAX].map(Value::Int2).into(),
            [i32::MIN, -1, 0, 1, i32::MAX].map(Value::Int4).into(),
            [i64::MIN, -1, 0, 1, i64::MAX].map(Value::Int8).into(),
            [f64::NEG_INFINITY, -1.5, -1e-300, 0.0, 1e-300, 2.0, f64::INFINITY, f64::NAN]
                .map(Value::Float8)
                .into(),
            [f32::NEG_INFINITY, -1.5, 0.0, 2.0, f32::INFINITY, f32::NAN].map(Value::Float4).into(),
            ["", "\u{1}", "a", "aa", "ab", "b", "é"].map(Value::text).into(),
            [&[][..], &[0], &[0, 0], &[0, 1], &[1], &[255]]
                .map(|bytes| Value::Bytea(bytes.into()))
                .into(),
            vec![
                Value::Numeric(Box::new(Numeric::infinity(true))),
                numeric(&[1, 1], 3, true),
                numeric(&[1], 3, true),
                numeric(&[9999], 0, true),
                numeric(&[1], -2, true),
                numeric(&[], 0, false),
                numeric(&[1], -2, false),
                numeric(&[5], -1, false),
                numeric(&[1], 0, false),
                numeric(&[1, 5000], 0, false),
                numeric(&[1], 1, false),
                Value::Numeric(Box::new(Numeric::infinity(false))),
                Value::Numeric(Box::new(Numeric::NAN)),
            ],
            vec![
                Value::Interval(Interval { months: -1, days: 0, micros: 0 }),
                Value::Interval(Interval { months: 0, days: 1, micros: 0 }),
                Value::Interval(Interval { months: 1, days: 0, micros: 1 }),
            ],
        ];
        let nullable = KeyOrder { descending: false, nulls: Nulls::Last };
        let descending = KeyOrder { descending: true, nulls: Nulls::Never };
        for group in groups {
            for value in &group {
                for order in [KeyOrder::PRIMARY, nullable, descending] {
                    check_inverse(value, order);
                }
            }
            for pair in group.windows(2) {
                assert!(pair[0].sql_cmp(&pair[1]).is_lt(), "{pair:?}");
                for order in [KeyOrder::PRIMARY, nullable] {
                    assert!(encode(&pair[0], order) < encode(&pair[1], order), "{pair:?}");
                }
                assert!(encode(&pair[0], descending) > encode(&pair[1], descending), "{pair:?}");
            }
            assert!(encode(&group[group.len() - 1], nullable) < encode(&Value::Null, nullable));
        }
    }

    #[test]
    fn equal_values_have_equal_keys() {
        let pairs = [
            (Value::Float8(-0.0), Value::Float8(0.0)),
            (
                Value::Interval(Interval { months: 1, days: 0, micros: 0 }),
                Value::Interval(Interval { months: 0, days: 30, micros: 0 }),
            ),
        ];
        for (a, b) in pairs {
            assert_eq!(encode(&a, KeyOrder::PRIMARY), encode(&b, KeyOrder::PRIMARY));
        }
    }

    #[test]
    fn prefix_end_is_above_all_continuations() {
        assert_eq!(prefix_end(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(prefix_end(&[1, 255]), Some(vec![2]));
        assert_eq!(prefix_end(&[255, 255]), None);
    }
}
