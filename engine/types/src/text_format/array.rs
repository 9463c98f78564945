//! One-dimensional arrays as text: `{a,"b c",NULL}`.

use super::{append_text, parse_text};
use crate::time_zone::TextSettings;
use crate::{SqlState, SqlType, Value, ValueError};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Appends an array; `int2vector` and `oidvector` print as arrays here.
pub fn append_array_text(
    elements: &[Value],
    array_type: SqlType,
    settings: &TextSettings,
    out: &mut Vec<u8>,
) {
    let element_type = array_type.element().unwrap_or(SqlType::Text);
    out.push(b'{');
    let mut scratch = Vec::new();
    for (position, element) in elements.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        match element {
            Value::Null => out.extend_from_slice(b"NULL"),
            Value::Array(inner) => append_array_text(inner, array_type, settings, out),
            _ => {
                scratch.clear();
                append_text(element, element_type, settings, &mut scratch);
                append_quoted(&scratch, out);
            }
        }
    }
    out.push(b'}');
}

fn append_quoted(text: &[u8], out: &mut Vec<u8>) {
    let special = |byte: &u8| {
        matches!(
            byte,
            b'"' | b'\\' | b'{' | b'}' | b',' | b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c
        )
    };
    let quote = text.is_empty() || text.eq_ignore_ascii_case(b"null") || text.iter().any(special);
    if !quote {
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    for byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

#[cold]
fn malformed(text: &str, detail: &str) -> ValueError {
    ValueError::new(
        SqlState::INVALID_TEXT_REPRESENTATION,
        format!("malformed array literal: \"{text}\""),
    )
    .with_detail(detail)
}

/// Reads a one-dimensional array.
///
/// # Errors
/// 22P02, what an element raises, and 0A000 for more dimensions.
pub fn parse_array(
    text: &str,
    array_type: SqlType,
    settings: &TextSettings,
) -> Result<Value, ValueError> {
    let element_type = array_type.element().unwrap_or(SqlType::Text);
    let trimmed = super::trim(text);
    let Some(body) = trimmed.strip_prefix('{') else {
        return Err(malformed(text, "Array value must start with \"{\" or dimension information."));
    };
    let mut elements = Vec::new();
    let mut rest = body.char_indices().peekable();
    let skip_space = |rest: &mut core::iter::Peekable<core::str::CharIndices<'_>>| {
        while rest.next_if(|(_, character)| super::SPACE.contains(character)).is_some() {}
    };
    skip_space(&mut rest);
    if rest.next_if(|(_, character)| *character == '}').is_none() {
        loop {
            skip_space(&mut rest);
            let mut element = String::new();
            let mut quoted = false;
            let mut kept = 0;
            let mut closed = false;
            loop {
                let Some((_, character)) = rest.next() else {
                    return Err(malformed(text, "Unexpected end of input."));
                };
                match character {
                    '"' => {
                        if quoted || !super::trim(&element).is_empty() {
                            return Err(malformed(text, "Unexpected array element."));
                        }
                        quoted = true;
                        element.clear();
                        read_quoted(&mut rest, &mut element)
                            .ok_or_else(|| malformed(text, "Unexpected end of input."))?;
                        kept = element.len();
                        closed = true;
                    }
                    '\\' => {
                        let Some((_, escaped)) = rest.next() else {
                            return Err(malformed(text, "Unexpected end of input."));
                        };
                        element.push(escaped);
                        kept = element.len();
                        quoted = true;
                    }
                    '{' => {
                        return Err(ValueError::new(
                            SqlState::FEATURE_NOT_SUPPORTED,
                            "arrays of more than one dimension are not supported",
                        ));
                    }
                    ',' | '}' => {
                        element.truncate(kept);
                        if element.is_empty() && !quoted {
                            return Err(malformed(
                                text,
                                &format!("Unexpected \"{character}\" character."),
                            ));
                        }
                        elements.push(if !quoted && element.eq_ignore_ascii_case("null") {
                            Value::Null
                        } else {
                            parse_text(&element, element_type, settings)?
                        });
                        if character == ',' {
                            break;
                        }
                        return finish(text, rest, elements);
                    }
                    _ => {
                        element.push(character);
                        if !super::SPACE.contains(&character) {
                            if closed {
                                return Err(malformed(text, "Unexpected array element."));
                            }
                            kept = element.len();
                        }
                    }
                }
            }
        }
    }
    finish(text, rest, elements)
}

fn read_quoted(
    rest: &mut core::iter::Peekable<core::str::CharIndices<'_>>,
    element: &mut String,
) -> Option<()> {
    loop {
        match rest.next()?.1 {
            '"' => return Some(()),
            '\\' => element.push(rest.next()?.1),
            character => element.push(character),
        }
    }
}

fn finish(
    text: &str,
    rest: core::iter::Peekable<core::str::CharIndices<'_>>,
    elements: Vec<Value>,
) -> Result<Value, ValueError> {
    for (_, character) in rest {
        if !super::SPACE.contains(&character) {
            return Err(malformed(text, "Junk after closing right brace."));
        }
    }
    Ok(Value::Array(elements.into_boxed_slice()))
}
