//! Values in PostgreSQL's binary format, as its send and receive functions write and read them. Big-endian.
//!
//! | type | bytes |
//! |---|---|
//! | bool 1 · int2 2 · int4, date, oid 4 · int8, timestamp, timestamptz 8 | two's complement; dates and times since 2000-01-01 |
//! | float4 4 · float8 8 | IEEE 754 |
//! | numeric | digit count (2), weight (2), sign (2), display scale (2), digits (2 each) |
//! | interval 16 | microseconds (8), days (4), months (4) |
//! | uuid 16, text, bytea | as they are |
//! | arrays | dimensions (4), has NULL (4), element OID (4), then length (4) and lower bound (4) of each dimension, then length (4) and bytes of each element |
//!
//! Source: PostgreSQL 15, `src/backend/utils/adt/*` send and receive functions; RFC 9562 for uuid.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use crate::datetime::{
    date_in_range, date_is_finite, timestamp_in_range, timestamp_is_finite, timestamp_out_of_range,
};
use crate::numeric::{DIGIT_BASE, DISPLAY_SCALE_MAX, Numeric, NumericKind};
use crate::value::{Interval, Value, ValueRef};
use crate::{SqlState, SqlType, ValueError};

const SIGN_NEGATIVE: u16 = 0x4000;
const SIGN_NAN: u16 = 0xC000;
const SIGN_POSITIVE_INFINITY: u16 = 0xD000;
const SIGN_NEGATIVE_INFINITY: u16 = 0xF000;

/// Appends a value that is not NULL.
///
/// # Panics
/// If the value is NULL: NULL has no bytes, its length says so.
pub fn append_binary(value: &Value, sql_type: SqlType, out: &mut Vec<u8>) {
    match value {
        Value::Null => panic!("NULL has no binary form"),
        Value::Bool(v) => out.push(u8::from(*v)),
        Value::Int2(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Int4(v) | Value::Date(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Int8(v) | Value::Timestamp(v) | Value::Timestamptz(v) => {
            out.extend_from_slice(&v.to_be_bytes());
        }
        Value::Float4(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Float8(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Numeric(v) => append_numeric(v, out),
        Value::Text(v) => out.extend_from_slice(v.as_bytes()),
        Value::Bytea(v) => out.extend_from_slice(v),
        Value::Interval(v) => append_interval(*v, out),
        Value::Uuid(v) => out.extend_from_slice(v),
        Value::Oid(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Array(values) => append_array(values, sql_type, out),
    }
}

/// Appends a borrowed value that is not NULL. A `numeric` whose bytes are damaged becomes NaN; the checksum around them is what detects damage.
///
/// # Panics
/// If the value is NULL.
pub fn append_binary_ref(value: ValueRef<'_>, sql_type: SqlType, out: &mut Vec<u8>) {
    match value {
        ValueRef::Text(v) => out.extend_from_slice(v.as_bytes()),
        ValueRef::Bytea(v) => out.extend_from_slice(v),
        ValueRef::Numeric(bytes) => {
            append_numeric(&Numeric::decode(bytes).unwrap_or(Numeric::NAN), out);
        }
        other => append_binary(&other.to_value().unwrap_or(Value::Null), sql_type, out),
    }
}

fn append_interval(interval: Interval, out: &mut Vec<u8>) {
    out.extend_from_slice(&interval.micros.to_be_bytes());
    out.extend_from_slice(&interval.days.to_be_bytes());
    out.extend_from_slice(&interval.months.to_be_bytes());
}

fn append_numeric(number: &Numeric, out: &mut Vec<u8>) {
    let sign = match number.kind() {
        NumericKind::Positive => 0,
        NumericKind::Negative => SIGN_NEGATIVE,
        NumericKind::NaN => SIGN_NAN,
        NumericKind::PositiveInfinity => SIGN_POSITIVE_INFINITY,
        NumericKind::NegativeInfinity => SIGN_NEGATIVE_INFINITY,
    };
    out.extend_from_slice(&(number.digits().len() as u16).to_be_bytes());
    out.extend_from_slice(&number.weight().to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&number.display_scale().to_be_bytes());
    for digit in number.digits() {
        out.extend_from_slice(&digit.to_be_bytes());
    }
}

fn append_array(values: &[Value], sql_type: SqlType, out: &mut Vec<u8>) {
    let element = sql_type.element().unwrap_or(SqlType::Text);
    let dimensions = u32::from(!values.is_empty());
    out.extend_from_slice(&dimensions.to_be_bytes());
    out.extend_from_slice(&u32::from(values.iter().any(Value::is_null)).to_be_bytes());
    out.extend_from_slice(&element.oid().to_be_bytes());
    if values.is_empty() {
        return;
    }
    out.extend_from_slice(&(values.len() as u32).to_be_bytes());
    out.extend_from_slice(&1u32.to_be_bytes());
    for value in values {
        if value.is_null() {
            out.extend_from_slice(&(-1i32).to_be_bytes());
            continue;
        }
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        append_binary(value, element, out);
        let length = (out.len() - start - 4) as u32;
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }
}

fn wrong(sql_type: SqlType) -> ValueError {
    ValueError::new(
        SqlState::INVALID_BINARY_REPRESENTATION,
        format!("incorrect binary data format for type {}", sql_type.name()),
    )
}

fn checked_date(days: i32) -> Result<i32, ValueError> {
    if date_is_finite(days) && !date_in_range(i64::from(days)) {
        return Err(ValueError::new(SqlState::DATETIME_FIELD_OVERFLOW, "date out of range"));
    }
    Ok(days)
}

fn checked_timestamp(micros: i64) -> Result<i64, ValueError> {
    if timestamp_is_finite(micros) && !timestamp_in_range(micros) {
        return Err(timestamp_out_of_range());
    }
    Ok(micros)
}

/// Reads a value.
///
/// # Errors
/// 22P03 for bytes that are no value of the type, 22008 for times beyond PostgreSQL's calendar, 22021 for text that is not UTF-8 or holds a zero
/// byte, 0A000 for types that cannot be sent.
pub fn receive(bytes: &[u8], sql_type: SqlType) -> Result<Value, ValueError> {
    macro_rules! number {
        ($raw:ty) => {
            <$raw>::from_be_bytes(bytes.try_into().map_err(|_| wrong(sql_type))?)
        };
    }
    Ok(match sql_type {
        SqlType::Bool => match bytes {
            [byte] => Value::Bool(*byte != 0),
            _ => return Err(wrong(sql_type)),
        },
        SqlType::Int2 => Value::Int2(number!(i16)),
        SqlType::Int4 => Value::Int4(number!(i32)),
        SqlType::Int8 => Value::Int8(number!(i64)),
        SqlType::Float4 => Value::Float4(number!(f32)),
        SqlType::Float8 => Value::Float8(number!(f64)),
        SqlType::Date => Value::Date(checked_date(number!(i32))?),
        SqlType::Timestamp => Value::Timestamp(checked_timestamp(number!(i64))?),
        SqlType::Timestamptz => Value::Timestamptz(checked_timestamp(number!(i64))?),
        SqlType::Oid | SqlType::Regclass | SqlType::Regtype | SqlType::Regproc => {
            Value::Oid(number!(u32))
        }
        SqlType::Uuid => Value::Uuid(bytes.try_into().map_err(|_| wrong(sql_type))?),
        SqlType::Interval => {
            let fields: [u8; 16] = bytes.try_into().map_err(|_| wrong(sql_type))?;
            let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = fields;
            Value::Interval(Interval {
                micros: i64::from_be_bytes([a, b, c, d, e, f, g, h]),
                days: i32::from_be_bytes([i, j, k, l]),
                months: i32::from_be_bytes([m, n, o, p]),
            })
        }
        SqlType::Numeric => Value::Numeric(Box::new(receive_numeric(bytes)?)),
        SqlType::Bytea => Value::Bytea(bytes.into()),
        SqlType::Text
        | SqlType::Varchar
        | SqlType::Bpchar
        | SqlType::Name
        | SqlType::Char
        | SqlType::Unknown => Value::Text(receive_text(bytes)?.into()),
        SqlType::TextArray
        | SqlType::Int2Array
        | SqlType::Int4Array
        | SqlType::Int8Array
        | SqlType::OidArray => receive_array(bytes, sql_type)?,
        SqlType::Void => {
            return Err(ValueError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("cannot accept a value of type {}", sql_type.name()),
            ));
        }
    })
}

fn receive_text(bytes: &[u8]) -> Result<&str, ValueError> {
    let text = core::str::from_utf8(bytes).map_err(|error| {
        let byte = bytes.get(error.valid_up_to()).copied().unwrap_or_default();
        ValueError::new(
            SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            format!("invalid byte sequence for encoding \"UTF8\": 0x{byte:02x}"),
        )
    })?;
    if text.as_bytes().contains(&0) {
        return Err(ValueError::new(
            SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            "invalid byte sequence for encoding \"UTF8\": 0x00",
        ));
    }
    Ok(text)
}

fn receive_numeric(bytes: &[u8]) -> Result<Numeric, ValueError> {
    let invalid = |what: &str| {
        let message = format!("invalid {what} in external \"numeric\" value");
        ValueError::new(SqlState::INVALID_BINARY_REPRESENTATION, message)
    };
    let (head, tail) = bytes.split_first_chunk::<8>().ok_or_else(|| invalid("length"))?;
    let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    let (count, weight, sign, scale) = (word(0), word(2) as i16, word(4), word(6));
    if tail.len() != usize::from(count) * 2 {
        return Err(invalid("length"));
    }
    if scale > DISPLAY_SCALE_MAX {
        return Err(invalid("scale"));
    }
    let negative = match sign {
        0 => false,
        SIGN_NEGATIVE => true,
        SIGN_NAN => return Ok(Numeric::NAN),
        SIGN_POSITIVE_INFINITY => return Ok(Numeric::infinity(false)),
        SIGN_NEGATIVE_INFINITY => return Ok(Numeric::infinity(true)),
        _ => return Err(invalid("sign")),
    };
    let mut digits = Vec::with_capacity(usize::from(count));
    for pair in tail.chunks_exact(2) {
        let digit = i16::from_be_bytes([pair[0], pair[1]]);
        if !(0..DIGIT_BASE as i16).contains(&digit) {
            return Err(invalid("digit"));
        }
        digits.push(digit);
    }
    // Leading zeroes lower the weight; one that would leave its 16 bits belongs to no number that PostgreSQL sends.
    let leading = digits.iter().take_while(|digit| **digit == 0).count() as i32;
    if i32::from(weight) - leading < i32::from(i16::MIN) {
        return Err(invalid("weight"));
    }
    Ok(Numeric::from_parts(negative, i32::from(weight), scale, digits))
}

fn receive_array(bytes: &[u8], sql_type: SqlType) -> Result<Value, ValueError> {
    let element = sql_type.element().ok_or_else(|| wrong(sql_type))?;
    let mut rest = bytes;
    let mut word = || -> Result<i32, ValueError> {
        let (head, tail) = rest.split_first_chunk::<4>().ok_or_else(|| wrong(sql_type))?;
        rest = tail;
        Ok(i32::from_be_bytes(*head))
    };
    let dimensions = word()?;
    let _has_null = word()?;
    let oid = word()? as u32;
    if dimensions == 0 {
        return Ok(Value::Array(Box::new([])));
    }
    if dimensions != 1 {
        return Err(ValueError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "arrays of more than one dimension are not supported",
        ));
    }
    if oid != element.oid() {
        return Err(wrong(sql_type));
    }
    let count = usize::try_from(word()?).map_err(|_| wrong(sql_type))?;
    let _lower_bound = word()?;
    if count > rest.len() / 4 {
        return Err(wrong(sql_type));
    }
    let mut values = Vec::with_capacity(count);
    for _ in 0..count {
        let (head, tail) = rest.split_first_chunk::<4>().ok_or_else(|| wrong(sql_type))?;
        match usize::try_from(i32::from_be_bytes(*head)) {
            Err(_) => {
                values.push(Value::Null);
                rest = tail;
            }
            Ok(length) => {
                let (value, after) =
                    tail.split_at_checked(length).ok_or_else(|| wrong(sql_type))?;
                values.push(receive(value, element)?);
                rest = after;
            }
        }
    }
    if rest.is_empty() { Ok(Value::Array(values.into())) } else { Err(wrong(sql_type)) }
}

#[cfg(test)]
mod tests {
    use super::{append_binary, receive};
    use crate::{Interval, Numeric, SqlType, Value};
    use alloc::boxed::Box;
    use alloc::vec;
    use alloc::vec::Vec;

    #[test]
    fn values_round_trip_and_truncations_are_errors() {
        let number = Numeric::from_parts(true, 1, 3, vec![12, 3400, 5000]);
        let cases = [
            (SqlType::Bool, Value::Bool(true)),
            (SqlType::Int2, Value::Int2(-2)),
            (SqlType::Int4, Value::Int4(1 << 20)),
            (SqlType::Int8, Value::Int8(i64::MIN)),
            (SqlType::Float4, Value::Float4(1.5)),
            (SqlType::Float8, Value::Float8(f64::NAN)),
            (SqlType::Numeric, Value::Numeric(Box::new(number))),
            (SqlType::Date, Value::Date(9)),
            (SqlType::Timestamptz, Value::Timestamptz(-9)),
            (SqlType::Interval, Value::Interval(Interval { months: 1, days: 2, micros: 3 })),
            (SqlType::Uuid, Value::Uuid([7; 16])),
            (SqlType::TextArray, Value::Array(vec![Value::text("a"), Value::Null].into())),
        ];
        for (sql_type, value) in cases {
            let mut bytes = Vec::new();
            append_binary(&value, sql_type, &mut bytes);
            assert_eq!(receive(&bytes, sql_type).expect("round trip"), value);
            for end in 0..bytes.len() {
                assert!(receive(&bytes[..end], sql_type).is_err(), "{sql_type:?} {end}");
            }
        }
    }

    #[test]
    fn known_bytes() {
        // PostgreSQL 15: select numeric_send(-12.5)
        let mut bytes = Vec::new();
        let number = Numeric::from_parts(true, 0, 1, vec![12, 5000]);
        append_binary(&Value::Numeric(Box::new(number)), SqlType::Numeric, &mut bytes);
        assert_eq!(bytes, [0, 2, 0, 0, 0x40, 0, 0, 1, 0, 12, 0x13, 0x88]);
        assert_eq!(
            receive(b"a\0b", SqlType::Text).expect_err("zero byte").sqlstate.as_str(),
            "22021"
        );
        assert_eq!(receive(b"\xff", SqlType::Text).expect_err("UTF-8").sqlstate.as_str(), "22021");
    }
}
