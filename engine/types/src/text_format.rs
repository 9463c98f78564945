//! The text form of every type, as PostgreSQL's input and output functions have it: what the wire, COPY, casts and literals use.
//!
//! Output appends to the caller's buffer and allocates nothing for numbers, strings, times and UUIDs. Input knows no modifier: [`crate::modifier`] applies
//! `varchar(n)` and its like afterwards.

mod array;
mod float;

pub use array::{append_array_text, parse_array};
pub use float::{append_float4, append_float8, parse_float4, parse_float8};

use crate::datetime;
use crate::time_zone::{ByteaOutput, TextSettings};
use crate::{Numeric, SqlState, SqlType, Value, ValueError, ValueRef};
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

/// Appends the text form of a value; nothing for NULL.
pub fn append_text(value: &Value, sql_type: SqlType, settings: &TextSettings, out: &mut Vec<u8>) {
    match value {
        Value::Null => {}
        Value::Bool(truth) => out.push(if *truth { b't' } else { b'f' }),
        Value::Int2(number) => append_integer(i64::from(*number), out),
        Value::Int4(number) => append_integer(i64::from(*number), out),
        Value::Int8(number) => append_integer(*number, out),
        Value::Float4(number) => append_float4(*number, out),
        Value::Float8(number) => append_float8(*number, out),
        Value::Numeric(number) => number.append_text(out),
        Value::Text(text) => out.extend_from_slice(text.as_bytes()),
        Value::Bytea(bytes) => append_bytea(bytes, settings.bytea_output, out),
        Value::Date(days) => datetime::append_date(*days, out),
        Value::Timestamp(micros) => datetime::append_timestamp(*micros, out),
        Value::Timestamptz(micros) => {
            datetime::append_timestamptz(*micros, &settings.time_zone, out);
        }
        Value::Interval(interval) => datetime::append_interval(*interval, out),
        Value::Uuid(bytes) => append_uuid(bytes, out),
        Value::Oid(oid) => match (sql_type, SqlType::from_oid(*oid)) {
            (SqlType::Regtype, Some(named)) => out.extend_from_slice(named.name().as_bytes()),
            (SqlType::Regtype | SqlType::Regproc | SqlType::Regclass, None) if *oid == 0 => {
                out.push(b'-');
            }
            _ => append_integer(i64::from(*oid), out),
        },
        Value::Array(elements) => append_array_text(elements, sql_type, settings, out),
    }
}

/// Appends the text form of a borrowed value; nothing for NULL.
pub fn append_text_ref(
    value: &ValueRef<'_>,
    sql_type: SqlType,
    settings: &TextSettings,
    out: &mut Vec<u8>,
) {
    match value {
        ValueRef::Text(text) => out.extend_from_slice(text.as_bytes()),
        ValueRef::Bytea(bytes) => append_bytea(bytes, settings.bytea_output, out),
        ValueRef::Numeric(encoded) => {
            if let Some(number) = Numeric::decode(encoded) {
                number.append_text(out);
            }
        }
        // The other variants copy without allocation.
        plain => {
            if let Some(value) = plain.to_value() {
                append_text(&value, sql_type, settings, out);
            }
        }
    }
}

/// Decimal digits of an integer, without allocation.
pub fn append_integer(number: i64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut start = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        start -= 1;
        digits[start] = b'-';
    }
    out.extend_from_slice(&digits[start..]);
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn append_bytea(bytes: &[u8], output: ByteaOutput, out: &mut Vec<u8>) {
    match output {
        ByteaOutput::Hex => {
            out.extend_from_slice(b"\\x");
            for byte in bytes {
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
        }
        ByteaOutput::Escape => {
            for &byte in bytes {
                match byte {
                    b'\\' => out.extend_from_slice(b"\\\\"),
                    0x20..=0x7e => out.push(byte),
                    _ => {
                        out.push(b'\\');
                        out.push(b'0' + (byte >> 6));
                        out.push(b'0' + (byte >> 3 & 7));
                        out.push(b'0' + (byte & 7));
                    }
                }
            }
        }
    }
}

fn append_uuid(bytes: &[u8; 16], out: &mut Vec<u8>) {
    for (position, byte) in bytes.iter().enumerate() {
        if matches!(position, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        out.push(HEX[usize::from(byte >> 4)]);
        out.push(HEX[usize::from(byte & 15)]);
    }
}

/// `invalid input syntax for type …`: 22P02.
#[cold]
pub(crate) fn invalid_input(type_name: &str, text: &str) -> ValueError {
    ValueError::new(
        SqlState::INVALID_TEXT_REPRESENTATION,
        format!("invalid input syntax for type {type_name}: \"{text}\""),
    )
}

/// Reads a value from its text form. Names of relations (`regclass` and its like) are read as numbers only.
///
/// # Errors
/// 22P02, 22003, 22007, 22008 and their like, in PostgreSQL's words.
pub fn parse_text(
    text: &str,
    sql_type: SqlType,
    settings: &TextSettings,
) -> Result<Value, ValueError> {
    Ok(match sql_type {
        SqlType::Bool => Value::Bool(parse_bool(text)?),
        SqlType::Int2 => Value::Int2(parse_integer(text, "smallint")?),
        SqlType::Int4 => Value::Int4(parse_integer(text, "integer")?),
        SqlType::Int8 => Value::Int8(parse_integer(text, "bigint")?),
        SqlType::Float4 => Value::Float4(parse_float4(text)?),
        SqlType::Float8 => Value::Float8(parse_float8(text)?),
        SqlType::Numeric => Value::Numeric(Box::new(Numeric::parse(text)?)),
        SqlType::Text | SqlType::Varchar | SqlType::Bpchar | SqlType::Unknown => {
            Value::Text(text.into())
        }
        SqlType::Name => Value::Text(truncate_name(text).into()),
        SqlType::Char => Value::Text(text.chars().next().map_or_else(Box::default, |first| {
            let mut buffer = [0u8; 4];
            Box::from(&*first.encode_utf8(&mut buffer))
        })),
        SqlType::Bytea => Value::Bytea(parse_bytea(text)?.into_boxed_slice()),
        SqlType::Date => Value::Date(datetime::parse_date(text, settings)?),
        SqlType::Timestamp => Value::Timestamp(datetime::parse_timestamp(text, settings)?),
        SqlType::Timestamptz => Value::Timestamptz(datetime::parse_timestamptz(text, settings)?),
        SqlType::Interval => Value::Interval(datetime::parse_interval(text)?),
        SqlType::Uuid => Value::Uuid(parse_uuid(text)?),
        SqlType::Oid | SqlType::Regclass | SqlType::Regtype | SqlType::Regproc => {
            Value::Oid(parse_oid(text)?)
        }
        SqlType::TextArray
        | SqlType::Int2Array
        | SqlType::Int4Array
        | SqlType::Int8Array
        | SqlType::OidArray => parse_array(text, sql_type, settings)?,
        SqlType::Void => Value::Text(text.into()),
    })
}

/// The longest prefix of at most 63 bytes that does not cut a character.
pub fn truncate_name(text: &str) -> &str {
    let mut end = text.len().min(crate::limits::IDENTIFIER_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

const SPACE: [char; 6] = [' ', '\t', '\n', '\r', '\x0b', '\x0c'];

/// Without the whitespace that C's `isspace` knows, on both sides.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(SPACE)
}

fn parse_bool(text: &str) -> Result<bool, ValueError> {
    let word = trim(text);
    let starts = |whole: &str, least: usize| {
        word.len() >= least
            && word.len() <= whole.len()
            && whole.as_bytes()[..word.len()].eq_ignore_ascii_case(word.as_bytes())
    };
    if starts("true", 1) || starts("yes", 1) || starts("on", 2) || word == "1" {
        Ok(true)
    } else if starts("false", 1) || starts("no", 1) || starts("off", 2) || word == "0" {
        Ok(false)
    } else {
        Err(invalid_input("boolean", text))
    }
}

fn parse_integer<T: TryFrom<i128>>(text: &str, type_name: &str) -> Result<T, ValueError> {
    let word = trim(text);
    let (negative, digits) = match word.as_bytes().first() {
        Some(b'-') => (true, &word[1..]),
        Some(b'+') => (false, &word[1..]),
        _ => (false, word),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid_input(type_name, text));
    }
    let range = || {
        ValueError::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("value \"{text}\" is out of range for type {type_name}"),
        )
    };
    let mut number: i128 = 0;
    for byte in digits.bytes() {
        number = number * 10 + i128::from(byte - b'0');
        if number > i128::from(u64::MAX) {
            return Err(range());
        }
    }
    T::try_from(if negative { -number } else { number }).map_err(|_| range())
}

fn parse_oid(text: &str) -> Result<u32, ValueError> {
    let number: i64 = parse_integer::<i64>(text, "oid").map_err(|error| ValueError {
        message: error.message.replace("bigint", "oid").into(),
        ..error
    })?;
    // The C library's strtoul takes negative numbers of 32 bits too.
    u32::try_from(number).or_else(|_| i32::try_from(number).map(|low| low as u32)).map_err(|_| {
        ValueError::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("value \"{text}\" is out of range for type oid"),
        )
    })
}

fn hex_digit(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).map(|digit| digit as u8)
}

fn parse_bytea(text: &str) -> Result<Vec<u8>, ValueError> {
    let invalid = || {
        ValueError::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            "invalid input syntax for type bytea",
        )
    };
    if let Some(digits) = text.strip_prefix("\\x") {
        return parse_hex(digits);
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut position = 0;
    while let Some(&byte) = bytes.get(position) {
        if byte != b'\\' {
            out.push(byte);
            position += 1;
        } else if bytes.get(position + 1) == Some(&b'\\') {
            out.push(b'\\');
            position += 2;
        } else {
            let octal = bytes.get(position + 1..position + 4).ok_or_else(invalid)?;
            let in_range = matches!(octal[0], b'0'..=b'3')
                && octal[1..].iter().all(|digit| matches!(digit, b'0'..=b'7'));
            if !in_range {
                return Err(invalid());
            }
            out.push((octal[0] - b'0') << 6 | (octal[1] - b'0') << 3 | (octal[2] - b'0'));
            position += 4;
        }
    }
    Ok(out)
}

/// Pairs of hexadecimal digits, whitespace between pairs allowed: `decode(…, 'hex')` and `bytea` input.
///
/// # Errors
/// 22023 in PostgreSQL's words.
pub fn parse_hex(digits: &str) -> Result<Vec<u8>, ValueError> {
    let mut out = Vec::with_capacity(digits.len() / 2);
    let mut rest = digits.chars();
    let invalid = |character: char| {
        ValueError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("invalid hexadecimal digit: \"{character}\""),
        )
    };
    let value = |character: char| {
        u8::try_from(character).ok().and_then(hex_digit).ok_or_else(|| invalid(character))
    };
    while let Some(first) = rest.next() {
        if matches!(first, ' ' | '\n' | '\t' | '\r') {
            continue;
        }
        let high = value(first)?;
        let Some(second) = rest.next() else {
            return Err(ValueError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "invalid hexadecimal data: odd number of digits",
            ));
        };
        out.push(high << 4 | value(second)?);
    }
    Ok(out)
}

/// Thirty-two hexadecimal digits, a hyphen allowed after every fourth, braces around.
fn parse_uuid(text: &str) -> Result<[u8; 16], ValueError> {
    let invalid = || invalid_input("uuid", text);
    let bytes = text.as_bytes();
    let inner = match bytes {
        [b'{', inner @ .., b'}'] => inner,
        _ => bytes,
    };
    let mut uuid = [0u8; 16];
    let mut position = 0;
    for (index, slot) in uuid.iter_mut().enumerate() {
        let pair = inner.get(position..position + 2).ok_or_else(invalid)?;
        let high = hex_digit(pair[0]).ok_or_else(invalid)?;
        *slot = high << 4 | hex_digit(pair[1]).ok_or_else(invalid)?;
        position += 2;
        if index % 2 == 1 && index < 15 && inner.get(position) == Some(&b'-') {
            position += 1;
        }
    }
    if position == inner.len() { Ok(uuid) } else { Err(invalid()) }
}
