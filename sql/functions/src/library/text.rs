//! `text`, `varchar`, `char(n)`, `name`: everything that cuts, joins, pads and searches. Positions and lengths count characters, from one.
//!
//! Case follows Unicode's simple mappings, one character to one, as the C library does under `C.UTF-8`.

use super::convert::Padded;
use crate::EvalError;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use types::SqlState;
use types::limits::STATEMENT_BYTES_MAX;
use types::text_format::truncate_name;

/// Refuses answers that no message could carry.
pub(crate) fn check_length(bytes: usize) -> Result<(), EvalError> {
    if bytes > STATEMENT_BYTES_MAX {
        return Err(EvalError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "requested length too large"));
    }
    Ok(())
}

/// Byte position of a character, or the end.
pub(crate) fn byte_of(text: &str, character: usize) -> usize {
    if text.is_ascii() {
        return character.min(text.len());
    }
    text.char_indices().nth(character).map_or(text.len(), |(position, _)| position)
}

fn characters(text: &str) -> i32 {
    // Bytes of a value are bounded far below 2^31.
    if text.is_ascii() { text.len() as i32 } else { text.chars().count() as i32 }
}

#[cold]
pub(super) fn negative_length() -> EvalError {
    EvalError::new(SqlState::SUBSTRING_ERROR, "negative substring length not allowed")
}

/// First and one past the last position, from zero, of SQL's `substring(… from start for length)`.
pub(super) fn window(start: i32, length: Option<i32>) -> Result<(usize, usize), EvalError> {
    let first = i64::from(start) - 1;
    let end = match length {
        Some(length) => first + i64::from(length),
        None => i64::MAX,
    };
    if length.is_some_and(|length| length < 0) {
        return Err(negative_length());
    }
    Ok((first.max(0) as usize, end.max(0) as usize))
}

fn substring(text: &str, start: i32, length: Option<i32>) -> Result<&str, EvalError> {
    let (first, end) = window(start, length)?;
    if first >= end {
        return Ok("");
    }
    let from = byte_of(text, first);
    let rest = &text[from..];
    Ok(&rest[..byte_of(rest, end - first)])
}

fn overlay(text: &str, with: &str, start: i32, length: i32) -> Result<String, EvalError> {
    if start <= 0 {
        return Err(negative_length());
    }
    let after = start.checked_add(length).ok_or_else(|| EvalError::out_of_range("integer"))?;
    let mut answer = String::from(substring(text, 1, Some(start - 1))?);
    answer.push_str(with);
    answer.push_str(substring(text, after, None)?);
    Ok(answer)
}

fn single(mut mapped: impl Iterator<Item = char>, same: char) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(only), None) => only,
        _ => same,
    }
}

pub(super) fn to_lower(character: char) -> char {
    single(character.to_lowercase(), character)
}

pub(super) fn to_upper(character: char) -> char {
    single(character.to_uppercase(), character)
}

fn repeated(text: &str, count: i32) -> Result<String, EvalError> {
    let count = count.max(0) as usize;
    check_length(text.len().saturating_mul(count))?;
    Ok(text.repeat(count))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

fn pad(text: &str, length: i32, fill: &str, side: Side) -> Result<String, EvalError> {
    let wanted = length.max(0) as usize;
    let have = characters(text) as usize;
    if have >= wanted || fill.is_empty() {
        return Ok(text[..byte_of(text, wanted)].into());
    }
    check_length(wanted.saturating_mul(4))?;
    let padding = fill.chars().cycle().take(wanted - have);
    let mut answer = String::with_capacity(text.len() + wanted - have);
    if side == Side::Left {
        answer.extend(padding);
        answer.push_str(text);
    } else {
        answer.push_str(text);
        answer.extend(padding);
    }
    Ok(answer)
}

/// The first (or with a negative count all but the last) characters.
fn left_part(text: &str, count: i32) -> &str {
    let length = i64::from(characters(text));
    let kept = if count < 0 { length + i64::from(count) } else { i64::from(count) };
    &text[..byte_of(text, kept.max(0) as usize)]
}

fn right_part(text: &str, count: i32) -> &str {
    let length = i64::from(characters(text));
    let dropped = if count < 0 { -i64::from(count) } else { length - i64::from(count) };
    &text[byte_of(text, dropped.max(0) as usize)..]
}

fn field(text: &str, delimiter: &str, position: i32) -> Result<String, EvalError> {
    if position == 0 {
        return Err(EvalError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "field position must not be zero",
        ));
    }
    if text.is_empty() {
        return Ok(String::new());
    }
    if delimiter.is_empty() {
        return Ok(if position == 1 || position == -1 { text.into() } else { String::new() });
    }
    let index = position.unsigned_abs() as usize - 1;
    let found = if position > 0 {
        text.split(delimiter).nth(index)
    } else {
        // From the end, but cut where the search from the start cuts.
        let fields: Vec<&str> = text.split(delimiter).collect();
        fields.len().checked_sub(index + 1).map(|at| fields[at])
    };
    Ok(found.unwrap_or("").into())
}

functions! {
    fn textlen(a: &str) -> i32 { Ok(characters(a)) }
    fn bpcharlen(a: Padded<'_>) -> i32 { Ok(characters(a.trimmed())) }
    fn textoctetlen(a: &str) -> i32 { Ok(a.len() as i32) }
    fn bpcharoctetlen(a: &str) -> i32 { Ok(a.len() as i32) }
    // pg_proc 1811
    fn text_bit_length(a: &str) -> i32 { Ok(a.len() as i32 * 8) }
    fn textcat(a: &str, b: &str) -> String {
        check_length(a.len() + b.len())?;
        Ok([a, b].concat())
    }
    fn lower(a: &str) -> String { Ok(a.chars().map(to_lower).collect()) }
    fn upper(a: &str) -> String { Ok(a.chars().map(to_upper).collect()) }
    fn initcap(a: &str) -> String {
        let mut inside = false;
        Ok(a.chars()
            .map(|character| {
                let mapped = if inside { to_lower(character) } else { to_upper(character) };
                inside = character.is_alphanumeric();
                mapped
            })
            .collect())
    }
    fn text_substr(a: &str, start: i32, length: i32) -> String {
        substring(a, start, Some(length)).map(String::from)
    }
    fn text_substr_no_len(a: &str, start: i32) -> String {
        substring(a, start, None).map(String::from)
    }
    fn textoverlay(a: &str, b: &str, start: i32, length: i32) -> String {
        overlay(a, b, start, length)
    }
    fn textoverlay_no_len(a: &str, b: &str, start: i32) -> String {
        overlay(a, b, start, characters(b))
    }
    fn textpos(a: &str, b: &str) -> i32 {
        Ok(a.find(b).map_or(0, |position| characters(&a[..position]) + 1))
    }
    fn text_starts_with(a: &str, b: &str) -> bool { Ok(a.starts_with(b)) }
    fn btrim(a: &str, set: &str) -> String { Ok(a.trim_matches(|c| set.contains(c)).into()) }
    fn ltrim(a: &str, set: &str) -> String { Ok(a.trim_start_matches(|c| set.contains(c)).into()) }
    fn rtrim(a: &str, set: &str) -> String { Ok(a.trim_end_matches(|c| set.contains(c)).into()) }
    fn btrim1(a: &str) -> String { Ok(a.trim_matches(' ').into()) }
    fn ltrim1(a: &str) -> String { Ok(a.trim_start_matches(' ').into()) }
    fn rtrim1(a: &str) -> String { Ok(a.trim_end_matches(' ').into()) }
    fn lpad(a: &str, length: i32, fill: &str) -> String { pad(a, length, fill, Side::Left) }
    fn rpad(a: &str, length: i32, fill: &str) -> String { pad(a, length, fill, Side::Right) }
    // pg_proc 879
    fn lpad_blank(a: &str, length: i32) -> String { pad(a, length, " ", Side::Left) }
    // pg_proc 880
    fn rpad_blank(a: &str, length: i32) -> String { pad(a, length, " ", Side::Right) }
    fn repeat(a: &str, count: i32) -> String { repeated(a, count) }
    fn text_reverse(a: &str) -> String { Ok(a.chars().rev().collect()) }
    fn text_left(a: &str, count: i32) -> String { Ok(left_part(a, count).into()) }
    fn text_right(a: &str, count: i32) -> String { Ok(right_part(a, count).into()) }
    fn split_part(a: &str, delimiter: &str, position: i32) -> String {
        field(a, delimiter, position)
    }
    fn replace_text(a: &str, from: &str, to: &str) -> String {
        if from.is_empty() {
            return Ok(a.into());
        }
        check_length(a.len() + a.matches(from).count().saturating_mul(to.len()))?;
        Ok(a.replace(from, to))
    }
    fn translate(a: &str, from: &str, to: &str) -> String {
        let mut answer = String::with_capacity(a.len());
        for character in a.chars() {
            match from.chars().position(|other| other == character) {
                None => answer.push(character),
                Some(position) => answer.extend(to.chars().nth(position)),
            }
        }
        Ok(answer)
    }
    fn ascii(a: &str) -> i32 { Ok(a.chars().next().map_or(0, |first| first as i32)) }
    fn chr(code: i32) -> String { character(code).map(String::from) }
    fn to_hex32(a: i32) -> String { Ok(format!("{:x}", a as u32)) }
    fn to_hex64(a: i64) -> String { Ok(format!("{:x}", a as u64)) }
    fn text_name(a: &str) -> String { Ok(truncate_name(a).into()) }
    fn bpchar_name(a: Padded<'_>) -> String { Ok(truncate_name(a.trimmed()).trim_end_matches(' ').into()) }
    fn name_text(a: &str) -> String { Ok(a.into()) }
    fn name_bpchar(a: &str) -> String { Ok(a.into()) }
    fn text_char(a: &str) -> String { Ok(a.chars().take(1).collect()) }
    fn char_text(a: &str) -> String { Ok(a.into()) }
    fn char_bpchar(a: &str) -> String { Ok(a.into()) }
    fn nameconcatoid(a: &str, b: super::convert::Oid) -> String {
        let suffix = format!("_{}", b.0);
        let mut kept = a.len().min(63 - suffix.len());
        while !a.is_char_boundary(kept) {
            kept -= 1;
        }
        Ok(format!("{}{suffix}", &a[..kept]))
    }
    fn unistr(a: &str) -> String { unescape(a) }
}

fn character(code: i32) -> Result<char, EvalError> {
    let refuse = |message: String| Err(EvalError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
    if code < 0 {
        return Err(EvalError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "character number must be positive",
        ));
    }
    if code == 0 {
        return refuse("null character not permitted".into());
    }
    if code > 0x0010_FFFF {
        return refuse(format!("requested character too large for encoding: {code}"));
    }
    match char::from_u32(code as u32) {
        Some(character) => Ok(character),
        None => refuse(format!("requested character not valid for encoding: {code}")),
    }
}

/// `\XXXX`, `\+XXXXXX`, `\uXXXX`, `\UXXXXXXXX`, `\\`.
fn unescape(text: &str) -> Result<String, EvalError> {
    let invalid = || {
        EvalError::new(SqlState::SYNTAX_ERROR, "invalid Unicode escape")
            .with_hint("Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.")
    };
    let mut answer = String::with_capacity(text.len());
    let mut rest = text;
    let mut pending: Option<u32> = None;
    while let Some(position) = rest.find('\\') {
        if position > 0 && pending.is_some() {
            return Err(invalid_pair());
        }
        answer.push_str(&rest[..position]);
        rest = &rest[position + 1..];
        if let Some(tail) = rest.strip_prefix('\\') {
            if pending.is_some() {
                return Err(invalid_pair());
            }
            answer.push('\\');
            rest = tail;
            continue;
        }
        let (skip, digits) = match rest.as_bytes().first() {
            Some(b'u') => (1, 4),
            Some(b'U') => (1, 8),
            Some(b'+') => (1, 6),
            _ => (0, 4),
        };
        let hex = rest.get(skip..skip + digits).ok_or_else(invalid)?;
        if !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(invalid());
        }
        let code = u32::from_str_radix(hex, 16).map_err(|_| invalid())?;
        rest = &rest[skip + digits..];
        let combined = match (pending.take(), code) {
            (None, 0xD800..=0xDBFF) => {
                pending = Some(code);
                continue;
            }
            (Some(high), 0xDC00..=0xDFFF) => 0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00),
            (Some(_), _) | (None, 0xDC00..=0xDFFF) => return Err(invalid_pair()),
            (None, code) => code,
        };
        let character = char::from_u32(combined).filter(|c| *c != '\0').ok_or_else(|| {
            EvalError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("invalid Unicode code point: {combined:04X}"),
            )
        })?;
        answer.push(character);
    }
    if pending.is_some() {
        return Err(invalid_pair());
    }
    answer.push_str(rest);
    Ok(answer)
}

#[cold]
fn invalid_pair() -> EvalError {
    EvalError::new(SqlState::SYNTAX_ERROR, "invalid Unicode surrogate pair")
}
