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
//! whole, the byte in front excepted. The encoding is a part of the disk format. It is not meant to be decoded: rows hold the values.

use crate::numeric::{Numeric, NumericKind};
use crate::value::Value;
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
    use super::{KeyOrder, Nulls, append_key_column, prefix_end};
    use crate::{Interval, Numeric, Value};
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
