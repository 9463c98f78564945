//! The binary form of every type, as PostgreSQL's send and receive functions have it: bind parameters, binary results and binary COPY. Big-endian.

use crate::datetime::{
    date_in_range, date_is_finite, timestamp_in_range, timestamp_is_finite, timestamp_out_of_range,
};
use crate::numeric::{DIGIT_BASE, DISPLAY_SCALE_MAX, NumericKind};
use crate::{Interval, Numeric, SqlState, SqlType, Value, ValueError, ValueRef};
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

const SIGN_NEGATIVE: u16 = 0x4000;
const SIGN_NAN: u16 = 0xC000;
const SIGN_INFINITY: u16 = 0xD000;
const SIGN_NEGATIVE_INFINITY: u16 = 0xF000;

/// Appends the binary form of a value; nothing for NULL (the caller writes length −1).
pub fn append_binary(value: &Value, sql_type: SqlType, out: &mut Vec<u8>) {
    match value {
        Value::Null => {}
        Value::Bool(truth) => out.push(u8::from(*truth)),
        Value::Int2(number) => out.extend_from_slice(&number.to_be_bytes()),
        Value::Int4(number) | Value::Date(number) => {
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Int8(number) | Value::Timestamp(number) | Value::Timestamptz(number) => {
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Float4(number) => out.extend_from_slice(&number.to_bits().to_be_bytes()),
        Value::Float8(number) => out.extend_from_slice(&number.to_bits().to_be_bytes()),
        Value::Numeric(number) => append_numeric(number, out),
        Value::Text(text) => out.extend_from_slice(text.as_bytes()),
        Value::Bytea(bytes) => out.extend_from_slice(bytes),
        Value::Interval(interval) => append_interval(*interval, out),
        Value::Uuid(bytes) => out.extend_from_slice(bytes),
        Value::Oid(oid) => out.extend_from_slice(&oid.to_be_bytes()),
        Value::Array(elements) => append_array(elements, sql_type, out),
    }
}

/// Appends the binary form of a borrowed value; nothing for NULL.
pub fn append_binary_ref(value: &ValueRef<'_>, sql_type: SqlType, out: &mut Vec<u8>) {
    match value {
        ValueRef::Text(text) => out.extend_from_slice(text.as_bytes()),
        ValueRef::Bytea(bytes) => out.extend_from_slice(bytes),
        plain => {
            if let Some(value) = plain.to_value() {
                append_binary(&value, sql_type, out);
            }
        }
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
        NumericKind::PositiveInfinity => SIGN_INFINITY,
        NumericKind::NegativeInfinity => SIGN_NEGATIVE_INFINITY,
    };
    // A number has fewer than 2^15 digits by the limits of its format.
    out.extend_from_slice(&(number.digits().len() as u16).to_be_bytes());
    out.extend_from_slice(&number.weight().to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&number.display_scale().to_be_bytes());
    for digit in number.digits() {
        out.extend_from_slice(&digit.to_be_bytes());
    }
}

fn append_array(elements: &[Value], array_type: SqlType, out: &mut Vec<u8>) {
    let element_type = array_type.element().unwrap_or(SqlType::Text);
    let dimensions = i32::from(!elements.is_empty());
    let has_null = i32::from(elements.iter().any(Value::is_null));
    out.extend_from_slice(&dimensions.to_be_bytes());
    out.extend_from_slice(&has_null.to_be_bytes());
    out.extend_from_slice(&element_type.oid().to_be_bytes());
    if elements.is_empty() {
        return;
    }
    out.extend_from_slice(&(elements.len() as i32).to_be_bytes());
    out.extend_from_slice(&1i32.to_be_bytes());
    for element in elements {
        let length_at = out.len();
        out.extend_from_slice(&(-1i32).to_be_bytes());
        if !element.is_null() {
            append_binary(element, element_type, out);
            let bytes = (out.len() - length_at - 4) as i32;
            out[length_at..length_at + 4].copy_from_slice(&bytes.to_be_bytes());
        }
    }
}

#[cold]
fn insufficient() -> ValueError {
    ValueError::new(SqlState::PROTOCOL_VIOLATION, "insufficient data left in message")
}

#[cold]
fn malformed(message: impl Into<alloc::string::String>) -> ValueError {
    ValueError::new(SqlState::INVALID_BINARY_REPRESENTATION, message)
}

/// Reads fields from the front.
struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], ValueError> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or_else(insufficient)?;
        self.rest = tail;
        Ok(*head)
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8], ValueError> {
        let (head, tail) = self.rest.split_at_checked(count).ok_or_else(insufficient)?;
        self.rest = tail;
        Ok(head)
    }

    fn i16(&mut self) -> Result<i16, ValueError> {
        self.take().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Result<i32, ValueError> {
        self.take().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Result<i64, ValueError> {
        self.take().map(i64::from_be_bytes)
    }
}

/// Reads a value from its binary form, which must be used up.
///
/// # Errors
/// 22P03 if bytes are left or a field is impossible, 08P01 if they end early, 22021 for text that is not UTF-8, 22008 for times out of range.
pub fn parse_binary(bytes: &[u8], sql_type: SqlType) -> Result<Value, ValueError> {
    let mut fields = Fields { rest: bytes };
    let value = match sql_type {
        SqlType::Bool => Value::Bool(fields.take::<1>()?[0] != 0),
        SqlType::Int2 => Value::Int2(fields.i16()?),
        SqlType::Int4 => Value::Int4(fields.i32()?),
        SqlType::Int8 => Value::Int8(fields.i64()?),
        SqlType::Float4 => Value::Float4(f32::from_bits(fields.i32()? as u32)),
        SqlType::Float8 => Value::Float8(f64::from_bits(fields.i64()? as u64)),
        SqlType::Numeric => Value::Numeric(Box::new(parse_numeric(&mut fields)?)),
        SqlType::Text
        | SqlType::Varchar
        | SqlType::Bpchar
        | SqlType::Name
        | SqlType::Char
        | SqlType::Unknown
        | SqlType::Void => Value::Text(parse_utf8(fields.bytes(bytes.len())?)?.into()),
        SqlType::Bytea => Value::Bytea(fields.bytes(bytes.len())?.into()),
        SqlType::Date => {
            let days = fields.i32()?;
            if date_is_finite(days) && !date_in_range(i64::from(days)) {
                return Err(ValueError::new(
                    SqlState::DATETIME_FIELD_OVERFLOW,
                    "date out of range",
                ));
            }
            Value::Date(days)
        }
        SqlType::Timestamp => Value::Timestamp(timestamp(fields.i64()?)?),
        SqlType::Timestamptz => Value::Timestamptz(timestamp(fields.i64()?)?),
        SqlType::Interval => {
            let micros = fields.i64()?;
            let days = fields.i32()?;
            Value::Interval(Interval { months: fields.i32()?, days, micros })
        }
        SqlType::Uuid => Value::Uuid(fields.take()?),
        SqlType::Oid | SqlType::Regclass | SqlType::Regtype | SqlType::Regproc => {
            Value::Oid(fields.i32()? as u32)
        }
        SqlType::TextArray
        | SqlType::Int2Array
        | SqlType::Int4Array
        | SqlType::Int8Array
        | SqlType::OidArray => parse_array(&mut fields, sql_type)?,
    };
    if fields.rest.is_empty() { Ok(value) } else { Err(malformed("incorrect binary data format")) }
}

fn timestamp(micros: i64) -> Result<i64, ValueError> {
    if timestamp_is_finite(micros) && !timestamp_in_range(micros) {
        return Err(timestamp_out_of_range());
    }
    Ok(micros)
}

/// Text as the client sent it: UTF-8 without zero bytes.
///
/// # Errors
/// 22021
pub fn parse_utf8(bytes: &[u8]) -> Result<&str, ValueError> {
    let invalid = |rest: &[u8]| {
        let wanted = match rest.first() {
            Some(0xC0..=0xDF) => 2,
            Some(0xE0..=0xEF) => 3,
            Some(0xF0..=0xF7) => 4,
            _ => 1,
        };
        let mut message =
            alloc::string::String::from("invalid byte sequence for encoding \"UTF8\":");
        for byte in rest.iter().take(wanted) {
            message.push_str(&format!(" 0x{byte:02x}"));
        }
        ValueError::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, message)
    };
    match core::str::from_utf8(bytes) {
        Ok(text) if !bytes.contains(&0) => Ok(text),
        Ok(_) => Err(invalid(&[0])),
        Err(error) => Err(invalid(&bytes[error.valid_up_to()..])),
    }
}

fn parse_numeric(fields: &mut Fields<'_>) -> Result<Numeric, ValueError> {
    let count = fields.i16()? as u16;
    let weight = fields.i16()?;
    let sign = fields.i16()? as u16;
    let display_scale = fields.i16()? as u16;
    if !matches!(sign, 0 | SIGN_NEGATIVE | SIGN_NAN | SIGN_INFINITY | SIGN_NEGATIVE_INFINITY) {
        return Err(malformed("invalid sign in external \"numeric\" value"));
    }
    if display_scale > DISPLAY_SCALE_MAX {
        return Err(malformed("invalid scale in external \"numeric\" value"));
    }
    let mut digits = Vec::with_capacity(usize::from(count).min(fields.rest.len() / 2));
    for _ in 0..count {
        let digit = fields.i16()?;
        if !(0..DIGIT_BASE as i16).contains(&digit) {
            return Err(malformed("invalid digit in external \"numeric\" value"));
        }
        digits.push(digit);
    }
    Ok(match sign {
        SIGN_NAN => Numeric::NAN,
        SIGN_INFINITY => Numeric::infinity(false),
        SIGN_NEGATIVE_INFINITY => Numeric::infinity(true),
        _ => {
            let scale = i32::from(display_scale);
            let number =
                Numeric::try_from_parts(sign == SIGN_NEGATIVE, i32::from(weight), scale, digits)?;
            // Digits that the scale hides are dropped, so that what is shown is what is stored.
            number.truncated(scale)
        }
    })
}

fn parse_array(fields: &mut Fields<'_>, array_type: SqlType) -> Result<Value, ValueError> {
    let element_type = array_type.element().unwrap_or(SqlType::Text);
    let dimensions = fields.i32()?;
    let flags = fields.i32()?;
    if !(0..=1).contains(&flags) {
        return Err(malformed("invalid array flags"));
    }
    let element_oid = fields.i32()? as u32;
    if element_oid != element_type.oid() {
        return Err(ValueError::new(
            SqlState::DATATYPE_MISMATCH,
            format!(
                "binary data has array element type {element_oid} ({}) instead of expected {} ({})",
                SqlType::from_oid(element_oid).map_or("???", SqlType::name),
                element_type.oid(),
                element_type.name()
            ),
        ));
    }
    match dimensions {
        0 => return Ok(Value::Array(Box::default())),
        1 => {}
        2..=6 => {
            return Err(ValueError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "arrays of more than one dimension are not supported",
            ));
        }
        _ => return Err(malformed(format!("invalid number of dimensions: {dimensions}"))),
    }
    let count = usize::try_from(fields.i32()?).map_err(|_| malformed("invalid array size"))?;
    let _lower_bound = fields.i32()?;
    let mut elements = Vec::with_capacity(count.min(fields.rest.len() / 4));
    for _ in 0..count {
        let length = fields.i32()?;
        elements.push(match usize::try_from(length) {
            Ok(length) => parse_binary(fields.bytes(length)?, element_type)?,
            Err(_) if length == -1 => Value::Null,
            Err(_) => return Err(insufficient()),
        });
    }
    Ok(Value::Array(elements.into_boxed_slice()))
}

#[cfg(test)]
mod tests {
    use super::{append_binary, parse_binary};
    use crate::{Interval, Numeric, SqlType, Value};

    #[test]
    fn round_trip_and_every_truncation_is_an_error() {
        let numeric = |text: &str| Value::Numeric(Box::new(Numeric::parse(text).expect(text)));
        let cases = [
            (SqlType::Bool, Value::Bool(true)),
            (SqlType::Int2, Value::Int2(-2)),
            (SqlType::Int4, Value::Int4(i32::MIN)),
            (SqlType::Int8, Value::Int8(i64::MAX)),
            (SqlType::Float4, Value::Float4(1.5)),
            (SqlType::Float8, Value::Float8(f64::NEG_INFINITY)),
            (SqlType::Numeric, numeric("-12345.67890")),
            (SqlType::Numeric, numeric("NaN")),
            (SqlType::Numeric, numeric("-Infinity")),
            (SqlType::Date, Value::Date(-5)),
            (SqlType::Timestamptz, Value::Timestamptz(i64::MAX)),
            (SqlType::Interval, Value::Interval(Interval { months: 1, days: -2, micros: 3 })),
            (SqlType::Uuid, Value::Uuid([7; 16])),
            (SqlType::Oid, Value::Oid(u32::MAX)),
            (SqlType::TextArray, Value::Array([Value::text("a"), Value::Null].into())),
            (SqlType::Int4Array, Value::Array(Box::default())),
        ];
        for (sql_type, value) in cases {
            let mut bytes = Vec::new();
            append_binary(&value, sql_type, &mut bytes);
            assert_eq!(parse_binary(&bytes, sql_type).expect("round trip"), value);
            for end in 0..bytes.len() {
                assert!(parse_binary(&bytes[..end], sql_type).is_err());
            }
            bytes.push(0);
            assert!(parse_binary(&bytes, sql_type).is_err());
        }
        assert!(parse_binary(&[0xff], SqlType::Text).is_err());
        assert!(parse_binary(&[0], SqlType::Text).is_err());
    }
}
