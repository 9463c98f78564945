//! `bytea`, the binary forms of text (`encode`, `decode`), and digests.

use super::digest;
use super::text::{check_length, negative_length, window};
use crate::EvalError;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use types::SqlState;
use types::text_format::parse_hex;

fn substring(bytes: &[u8], start: i32, length: Option<i32>) -> Result<&[u8], EvalError> {
    let (first, end) = window(start, length)?;
    let end = end.min(bytes.len());
    Ok(if first >= end { &[] } else { &bytes[first..end] })
}

fn overlay(bytes: &[u8], with: &[u8], start: i32, length: i32) -> Result<Vec<u8>, EvalError> {
    if start <= 0 {
        return Err(negative_length());
    }
    let after = start.checked_add(length).ok_or_else(|| EvalError::out_of_range("integer"))?;
    Ok([substring(bytes, 1, Some(start - 1))?, with, substring(bytes, after, None)?].concat())
}

fn find(bytes: &[u8], wanted: &[u8]) -> i32 {
    if wanted.is_empty() {
        return 1;
    }
    bytes.windows(wanted.len()).position(|window| window == wanted).map_or(0, |at| at as i32 + 1)
}

#[cold]
fn bad_index(index: i64, length: i64) -> EvalError {
    EvalError::new(
        SqlState::ARRAY_SUBSCRIPT_ERROR,
        format!("index {index} out of valid range, 0..{}", length - 1),
    )
}

fn byte_index(bytes: &[u8], index: i32) -> Result<usize, EvalError> {
    usize::try_from(index)
        .ok()
        .filter(|at| *at < bytes.len())
        .ok_or_else(|| bad_index(i64::from(index), bytes.len() as i64))
}

fn bit_index(bytes: &[u8], index: i64) -> Result<(usize, u32), EvalError> {
    let bits = bytes.len() as i64 * 8;
    if !(0..bits).contains(&index) {
        return Err(bad_index(index, bits));
    }
    Ok(((index / 8) as usize, (index % 8) as u32))
}

functions! {
    fn byteaoctetlen(a: &[u8]) -> i32 { Ok(a.len() as i32) }
    // pg_proc 1810
    fn bytea_bit_length(a: &[u8]) -> i32 { Ok(a.len() as i32 * 8) }
    fn bytea_bit_count(a: &[u8]) -> i64 {
        Ok(a.iter().map(|byte| i64::from(byte.count_ones())).sum())
    }
    fn byteacat(a: &[u8], b: &[u8]) -> Vec<u8> {
        check_length(a.len() + b.len())?;
        Ok([a, b].concat())
    }
    fn bytea_substr(a: &[u8], start: i32, length: i32) -> Vec<u8> {
        substring(a, start, Some(length)).map(<[u8]>::to_vec)
    }
    fn bytea_substr_no_len(a: &[u8], start: i32) -> Vec<u8> {
        substring(a, start, None).map(<[u8]>::to_vec)
    }
    fn byteaoverlay(a: &[u8], b: &[u8], start: i32, length: i32) -> Vec<u8> {
        overlay(a, b, start, length)
    }
    fn byteaoverlay_no_len(a: &[u8], b: &[u8], start: i32) -> Vec<u8> {
        overlay(a, b, start, b.len() as i32)
    }
    fn byteapos(a: &[u8], b: &[u8]) -> i32 { Ok(find(a, b)) }
    fn byteatrim(a: &[u8], set: &[u8]) -> Vec<u8> { Ok(trim(a, set, true, true).to_vec()) }
    fn bytealtrim(a: &[u8], set: &[u8]) -> Vec<u8> { Ok(trim(a, set, true, false).to_vec()) }
    fn byteartrim(a: &[u8], set: &[u8]) -> Vec<u8> { Ok(trim(a, set, false, true).to_vec()) }
    // pg_proc 721
    fn bytea_get_byte(a: &[u8], index: i32) -> i32 { Ok(i32::from(a[byte_index(a, index)?])) }
    // pg_proc 722
    fn bytea_set_byte(a: &[u8], index: i32, byte: i32) -> Vec<u8> {
        let at = byte_index(a, index)?;
        let mut changed = a.to_vec();
        changed[at] = byte as u8;
        Ok(changed)
    }
    // pg_proc 723
    fn bytea_get_bit(a: &[u8], index: i64) -> i32 {
        let (at, bit) = bit_index(a, index)?;
        Ok(i32::from(a[at] >> bit & 1))
    }
    // pg_proc 724
    fn bytea_set_bit(a: &[u8], index: i64, value: i32) -> Vec<u8> {
        let (at, bit) = bit_index(a, index)?;
        if !(0..=1).contains(&value) {
            return Err(EvalError::new(SqlState::INVALID_PARAMETER_VALUE, "new bit must be 0 or 1"));
        }
        let mut changed = a.to_vec();
        changed[at] = changed[at] & !(1 << bit) | (value as u8) << bit;
        Ok(changed)
    }
    fn md5_text(a: &str) -> String { Ok(hex(&digest::md5(a.as_bytes()))) }
    fn md5_bytea(a: &[u8]) -> String { Ok(hex(&digest::md5(a))) }
    fn sha224_bytea(a: &[u8]) -> Vec<u8> { Ok(digest::sha224(a)) }
    fn sha256_bytea(a: &[u8]) -> Vec<u8> { Ok(digest::sha256(a)) }
    fn sha384_bytea(a: &[u8]) -> Vec<u8> { Ok(digest::sha384(a)) }
    fn sha512_bytea(a: &[u8]) -> Vec<u8> { Ok(digest::sha512(a)) }
    fn binary_encode(a: &[u8], form: &str) -> String {
        match Form::of(form)? {
            Form::Hex => Ok(hex(a)),
            Form::Base64 => Ok(base64(a)),
            Form::Escape => Ok(escape(a)),
        }
    }
    fn binary_decode(a: &str, form: &str) -> Vec<u8> {
        match Form::of(form)? {
            Form::Hex => parse_hex(a),
            Form::Base64 => from_base64(a),
            Form::Escape => from_escape(a),
        }
    }
    fn pg_convert_from(a: &[u8], encoding: &str) -> String {
        known_encoding(encoding, true)?;
        match core::str::from_utf8(a) {
            Ok(text) if !text.contains('\0') => Ok(text.into()),
            Ok(_) => Err(invalid_bytes(&[0])),
            Err(error) => Err(invalid_bytes(&a[error.valid_up_to()..])),
        }
    }
    fn pg_convert_to(a: &str, encoding: &str) -> Vec<u8> {
        known_encoding(encoding, false)?;
        Ok(a.as_bytes().to_vec())
    }
}

#[cold]
fn invalid_bytes(rest: &[u8]) -> EvalError {
    let wanted = match rest.first() {
        Some(0xC0..=0xDF) => 2,
        Some(0xE0..=0xEF) => 3,
        Some(0xF0..=0xF7) => 4,
        _ => 1,
    };
    let shown: Vec<String> = rest.iter().take(wanted).map(|byte| format!("0x{byte:02x}")).collect();
    EvalError::new(
        SqlState::CHARACTER_NOT_IN_REPERTOIRE,
        format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")),
    )
}

fn known_encoding(name: &str, source: bool) -> Result<(), EvalError> {
    let bare: String =
        name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    if matches!(&*bare, "utf8" | "unicode") {
        return Ok(());
    }
    let side = if source { "source" } else { "destination" };
    Err(EvalError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("invalid {side} encoding name \"{name}\""),
    ))
}

fn trim<'a>(bytes: &'a [u8], set: &[u8], left: bool, right: bool) -> &'a [u8] {
    let keep = |byte: &u8| !set.contains(byte);
    let start = if left { bytes.iter().position(keep).unwrap_or(bytes.len()) } else { 0 };
    let end =
        if right { bytes.iter().rposition(keep).map_or(start, |at| at + 1) } else { bytes.len() };
    &bytes[start..end.max(start)]
}

enum Form {
    Hex,
    Base64,
    Escape,
}

impl Form {
    fn of(name: &str) -> Result<Form, EvalError> {
        match name.to_ascii_lowercase().as_str() {
            "hex" => Ok(Form::Hex),
            "base64" => Ok(Form::Base64),
            "escape" => Ok(Form::Escape),
            _ => Err(EvalError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("unrecognized encoding: \"{name}\""),
            )),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Characters of a line, as MIME has it.
const BASE64_LINE: usize = 76;

fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 4 / 3 + 8);
    let mut column = 0;
    for chunk in bytes.chunks(3) {
        if column == BASE64_LINE {
            text.push('\n');
            column = 0;
        }
        let word = u32::from(chunk[0]) << 16
            | u32::from(*chunk.get(1).unwrap_or(&0)) << 8
            | u32::from(*chunk.get(2).unwrap_or(&0));
        for place in 0..4 {
            if place <= chunk.len() {
                text.push(char::from(BASE64[(word >> (18 - 6 * place) & 63) as usize]));
            } else {
                text.push('=');
            }
        }
        column += 4;
    }
    // PostgreSQL ends a line as soon as it is full.
    if column == BASE64_LINE {
        text.push('\n');
    }
    text
}

fn from_base64(text: &str) -> Result<Vec<u8>, EvalError> {
    let invalid = |message: String| EvalError::new(SqlState::INVALID_PARAMETER_VALUE, message);
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut word, mut place, mut padding) = (0u32, 0, 0);
    for character in text.chars() {
        if matches!(character, ' ' | '\t' | '\n' | '\r') {
            continue;
        }
        let value = if character == '=' {
            if padding == 0 {
                if place < 2 {
                    return Err(invalid("unexpected \"=\" while decoding base64 sequence".into()));
                }
                padding = if place == 2 { 2 } else { 1 };
            }
            0
        } else {
            let found = u8::try_from(character)
                .ok()
                .and_then(|byte| BASE64.iter().position(|digit| *digit == byte));
            found.ok_or_else(|| {
                invalid(format!(
                    "invalid symbol \"{character}\" found while decoding base64 sequence"
                ))
            })? as u32
        };
        word = word << 6 | value;
        place += 1;
        if place == 4 {
            bytes.push((word >> 16) as u8);
            if padding < 2 {
                bytes.push((word >> 8) as u8);
            }
            if padding < 1 {
                bytes.push(word as u8);
            }
            word = 0;
            place = 0;
        }
    }
    if place != 0 {
        return Err(invalid("invalid base64 end sequence".into())
            .with_hint("Input data is missing padding, is truncated, or is otherwise corrupted."));
    }
    Ok(bytes)
}

fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'\\' => text.push_str("\\\\"),
            0 | 0x80.. => text.push_str(&format!("\\{byte:03o}")),
            _ => text.push(char::from(byte)),
        }
    }
    text
}

fn from_escape(text: &str) -> Result<Vec<u8>, EvalError> {
    let invalid = || {
        EvalError::new(SqlState::INVALID_TEXT_REPRESENTATION, "invalid input syntax for type bytea")
    };
    let bytes = text.as_bytes();
    let mut answer = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte != b'\\' {
            answer.push(byte);
            at += 1;
            continue;
        }
        match bytes.get(at + 1..at + 4) {
            Some([a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7']) => {
                answer.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                at += 4;
            }
            _ if bytes.get(at + 1) == Some(&b'\\') => {
                answer.push(b'\\');
                at += 2;
            }
            _ => return Err(invalid()),
        }
    }
    Ok(answer)
}
