//! Text to tokens, by the rules of PostgreSQL's scanner (`standard_conforming_strings` on). A token is a kind and a byte range; values are cut out of the
//! text when the parser asks, so that a short statement costs one vector.

use super::keyword::Keyword;
use crate::error::{PlanError, Result};
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use types::SqlState;

/// Kinds of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An unquoted word that is a key word.
    Keyword(Keyword),
    /// An unquoted word.
    Word,
    /// `"…"`
    Quoted,
    /// `'…'`, adjacent parts on further lines included
    String,
    /// `E'…'`
    Escaped,
    /// `$tag$…$tag$`
    Dollar,
    /// `B'…'`, `X'…'`
    Bits,
    /// Digits only.
    Integer,
    /// A number with a point or an exponent.
    Decimal,
    /// `$1`
    Parameter,
    /// Operator characters.
    Operator,
    /// `( ) [ ] , ; : .`
    Mark(u8),
    /// `::`
    TypeCast,
    /// `:=`, `=>`
    Assign,
    /// The end of the text.
    End,
}

/// A token.
#[derive(Clone, Copy, Debug)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// First byte.
    pub start: u32,
    /// The byte after its last.
    pub end: u32,
}

/// Cuts a text into tokens; the last is [`Kind::End`].
pub fn tokenize(text: &str) -> Result<Vec<Token>> {
    let mut lexer = Lexer { text, bytes: text.as_bytes(), at: 0 };
    let mut tokens = Vec::with_capacity(text.len() / 4 + 4);
    loop {
        lexer.skip_blank()?;
        let start = lexer.at;
        let kind = lexer.next_kind()?;
        tokens.push(Token { kind, start: start as u32, end: lexer.at as u32 });
        if kind == Kind::End {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

const fn is_operator(byte: u8) -> bool {
    matches!(
        byte,
        b'+' | b'-'
            | b'*'
            | b'/'
            | b'<'
            | b'>'
            | b'='
            | b'~'
            | b'!'
            | b'@'
            | b'#'
            | b'%'
            | b'^'
            | b'&'
            | b'|'
            | b'`'
            | b'?'
    )
}

const fn is_word_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

const fn is_word_part(byte: u8) -> bool {
    is_word_start(byte) || byte.is_ascii_digit() || byte == b'$'
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// Skips white space and comments; true if a line ended in it.
    fn skip_blank(&mut self) -> Result<bool> {
        let mut newline = false;
        loop {
            let byte = self.peek(0);
            if is_space(byte) {
                newline |= byte == b'\n' || byte == b'\r';
                self.at += 1;
            } else if byte == b'-' && self.peek(1) == b'-' {
                while self.at < self.bytes.len() && !matches!(self.peek(0), b'\n' | b'\r') {
                    self.at += 1;
                }
            } else if byte == b'/' && self.peek(1) == b'*' {
                self.skip_block_comment()?;
            } else {
                return Ok(newline);
            }
        }
    }

    fn skip_block_comment(&mut self) -> Result<()> {
        let start = self.at;
        let mut depth = 0usize;
        loop {
            if self.at >= self.bytes.len() {
                return Err(self.unterminated("unterminated /* comment", start));
            }
            match (self.peek(0), self.peek(1)) {
                (b'/', b'*') => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                _ => self.at += 1,
            }
        }
    }

    fn unterminated(&self, what: &str, start: usize) -> alloc::boxed::Box<PlanError> {
        PlanError::syntax(start, format!("{what} at or near \"{}\"", &self.text[start..]))
    }

    fn next_kind(&mut self) -> Result<Kind> {
        if self.at >= self.bytes.len() {
            return Ok(Kind::End);
        }
        let byte = self.peek(0);
        let next = self.peek(1);
        match byte {
            b'e' | b'E' if next == b'\'' => {
                self.at += 1;
                self.quoted_string(true)?;
                Ok(Kind::Escaped)
            }
            b'b' | b'B' | b'x' | b'X' if next == b'\'' => {
                self.at += 1;
                self.quoted_string(false)?;
                Ok(Kind::Bits)
            }
            b'n' | b'N' if next == b'\'' => {
                self.at += 1;
                self.quoted_string(false)?;
                Ok(Kind::String)
            }
            b'u' | b'U' if next == b'&' && matches!(self.peek(2), b'\'' | b'"') => {
                Err(PlanError::unsupported("a literal with Unicode escapes (U&)").or_at(self.at))
            }
            _ if is_word_start(byte) => Ok(self.word()),
            b'"' => self.quoted_identifier(),
            b'\'' => {
                self.quoted_string(false)?;
                Ok(Kind::String)
            }
            b'$' => self.dollar(),
            b'0'..=b'9' => self.number(),
            b'.' if next.is_ascii_digit() => self.number(),
            b'(' | b')' | b'[' | b']' | b',' | b';' | b'.' => {
                self.at += 1;
                Ok(Kind::Mark(byte))
            }
            b':' => Ok(self.colon()),
            _ if is_operator(byte) => Ok(self.operator()),
            0 => Err(PlanError::at(
                SqlState::CHARACTER_NOT_IN_REPERTOIRE,
                self.at,
                "invalid byte sequence for encoding \"UTF8\": 0x00",
            )),
            _ => Err(self.near(self.at, self.at + 1)),
        }
    }

    fn near(&self, start: usize, end: usize) -> alloc::boxed::Box<PlanError> {
        let token = &self.text[start..end];
        PlanError::syntax(start, format!("syntax error at or near \"{token}\""))
    }

    fn word(&mut self) -> Kind {
        let start = self.at;
        while is_word_part(self.peek(0)) {
            self.at += 1;
        }
        Keyword::find(&self.text[start..self.at]).map_or(Kind::Word, Kind::Keyword)
    }

    fn quoted_identifier(&mut self) -> Result<Kind> {
        let start = self.at;
        self.at += 1;
        loop {
            if self.at >= self.bytes.len() {
                return Err(self.unterminated("unterminated quoted identifier", start));
            }
            match (self.peek(0), self.peek(1)) {
                (b'"', b'"') => self.at += 2,
                (b'"', _) => {
                    self.at += 1;
                    if self.at == start + 2 {
                        return Err(PlanError::syntax(
                            start,
                            "zero-length delimited identifier at or near \"\"\"\"",
                        ));
                    }
                    return Ok(Kind::Quoted);
                }
                _ => self.at += 1,
            }
        }
    }

    /// At the quotation mark. A part on a later line continues the string.
    fn quoted_string(&mut self, escapes: bool) -> Result<()> {
        let start = self.at;
        loop {
            self.at += 1;
            loop {
                if self.at >= self.bytes.len() {
                    return Err(self.unterminated("unterminated quoted string", start));
                }
                match (self.peek(0), self.peek(1)) {
                    (b'\'', b'\'') => self.at += 2,
                    (b'\'', _) => break,
                    (b'\\', _) if escapes => self.at += 2,
                    _ => self.at += 1,
                }
            }
            self.at += 1;
            let end = self.at;
            if !(self.skip_blank()? && self.peek(0) == b'\'') {
                self.at = end;
                return Ok(());
            }
        }
    }

    fn dollar(&mut self) -> Result<Kind> {
        let start = self.at;
        if self.peek(1).is_ascii_digit() {
            self.at += 1;
            while self.peek(0).is_ascii_digit() {
                self.at += 1;
            }
            if is_word_start(self.peek(0)) {
                let message = "trailing junk after parameter at or near";
                return Err(self.junk(message, start));
            }
            return Ok(Kind::Parameter);
        }
        let mut end = self.at + 1;
        while self.bytes.get(end).is_some_and(|byte| is_word_part(*byte) && *byte != b'$') {
            end += 1;
        }
        if self.bytes.get(end) != Some(&b'$') {
            return Err(self.near(start, start + 1));
        }
        let tag = &self.text[start..=end];
        let Some(found) = self.text[end + 1..].find(tag) else {
            return Err(self.unterminated("unterminated dollar-quoted string", start));
        };
        self.at = end + 1 + found + tag.len();
        Ok(Kind::Dollar)
    }

    fn junk(&mut self, message: &str, start: usize) -> alloc::boxed::Box<PlanError> {
        while is_word_part(self.peek(0)) {
            self.at += 1;
        }
        PlanError::syntax(start, format!("{message} \"{}\"", &self.text[start..self.at]))
    }

    fn number(&mut self) -> Result<Kind> {
        let start = self.at;
        let mut kind = Kind::Integer;
        while self.peek(0).is_ascii_digit() {
            self.at += 1;
        }
        if self.peek(0) == b'.' && self.peek(1) != b'.' {
            kind = Kind::Decimal;
            self.at += 1;
            while self.peek(0).is_ascii_digit() {
                self.at += 1;
            }
        }
        if matches!(self.peek(0), b'e' | b'E') {
            let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
            if self.peek(1 + sign).is_ascii_digit() {
                kind = Kind::Decimal;
                self.at += 1 + sign;
                while self.peek(0).is_ascii_digit() {
                    self.at += 1;
                }
            }
        }
        if is_word_start(self.peek(0)) {
            return Err(self.junk("trailing junk after numeric literal at or near", start));
        }
        Ok(kind)
    }

    fn colon(&mut self) -> Kind {
        match self.peek(1) {
            b':' => {
                self.at += 2;
                Kind::TypeCast
            }
            b'=' => {
                self.at += 2;
                Kind::Assign
            }
            _ => {
                self.at += 1;
                Kind::Mark(b':')
            }
        }
    }

    fn operator(&mut self) -> Kind {
        let start = self.at;
        let mut end = start;
        while self.bytes.get(end).is_some_and(|byte| is_operator(*byte)) {
            let rest = &self.bytes[end..];
            if end > start && (rest.starts_with(b"--") || rest.starts_with(b"/*")) {
                break;
            }
            end += 1;
        }
        // A longer operator may end in + or - only if it holds a character that SQL's own operators do not have.
        let special = |byte: &u8| {
            matches!(byte, b'~' | b'!' | b'@' | b'#' | b'%' | b'^' | b'&' | b'|' | b'`' | b'?')
        };
        while end > start + 1
            && matches!(self.bytes[end - 1], b'+' | b'-')
            && !self.bytes[start..end - 1].iter().any(special)
        {
            end -= 1;
        }
        self.at = end;
        if &self.bytes[start..end] == b"=>" { Kind::Assign } else { Kind::Operator }
    }
}

/// The name that a word or a quoted identifier is: lower case or unescaped, cut to what an identifier may hold.
pub fn identifier(token: Token, text: &str) -> Cow<'_, str> {
    let raw = &text[token.start as usize..token.end as usize];
    let name = if token.kind == Kind::Quoted {
        let inner = &raw[1..raw.len() - 1];
        if inner.contains('"') { inner.replace("\"\"", "\"").into() } else { Cow::Borrowed(inner) }
    } else if raw.bytes().any(|byte| byte.is_ascii_uppercase()) {
        raw.to_ascii_lowercase().into()
    } else {
        Cow::Borrowed(raw)
    };
    let limit = types::limits::IDENTIFIER_BYTES_MAX;
    if name.len() <= limit {
        return name;
    }
    let end = (0..=limit).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
    String::from(&name[..end]).into()
}

/// The value of a string token.
pub fn string_value(token: Token, text: &str) -> Result<String> {
    let start = token.start as usize;
    let raw = &text[start..token.end as usize];
    match token.kind {
        Kind::Dollar => {
            let tag = raw[1..].find('$').map_or(1, |end| end + 2);
            Ok(raw[tag..raw.len() - tag].into())
        }
        Kind::Escaped => escaped_value(&raw[1..], start + 1),
        _ => Ok(plain_value(raw)),
    }
}

/// The parts between quotation marks, with doubled marks undone.
fn plain_value(raw: &str) -> String {
    let raw = raw.strip_prefix(['n', 'N', 'b', 'B', 'x', 'X']).unwrap_or(raw);
    let simple = &raw[1..raw.len() - 1];
    if !simple.contains('\'') {
        return simple.into();
    }
    let mut value = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(begin) = rest.find('\'') {
        rest = &rest[begin + 1..];
        while let Some(end) = rest.find('\'') {
            value.push_str(&rest[..end]);
            rest = &rest[end + 1..];
            match rest.strip_prefix('\'') {
                Some(after) => {
                    value.push('\'');
                    rest = after;
                }
                None => break,
            }
        }
        rest = skip_to_quote(rest);
    }
    value
}

/// Skips what may stand between the parts of one string: white space and comments.
fn skip_to_quote(text: &str) -> &str {
    let mut lexer = Lexer { text, bytes: text.as_bytes(), at: 0 };
    match lexer.skip_blank() {
        Ok(_) => &text[lexer.at..],
        Err(_) => "",
    }
}

fn escaped_value(raw: &str, offset: usize) -> Result<String> {
    let mut value: Vec<u8> = Vec::with_capacity(raw.len());
    let bytes = raw.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\'' if bytes.get(at + 1) == Some(&b'\'') => {
                value.push(b'\'');
                at += 2;
            }
            b'\'' => {
                let rest = skip_to_quote(&raw[at + 1..]);
                at = raw.len() - rest.len() + 1;
            }
            b'\\' => at = escape(raw, at, offset, &mut value)?,
            byte => {
                value.push(byte);
                at += 1;
            }
        }
    }
    match String::from_utf8(value) {
        Ok(value) if !value.contains('\0') => Ok(value),
        Ok(_) => Err(PlanError::at(
            SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            offset,
            "invalid byte sequence for encoding \"UTF8\": 0x00",
        )),
        Err(error) => {
            let byte = error.as_bytes()[error.utf8_error().valid_up_to()];
            Err(PlanError::at(
                SqlState::CHARACTER_NOT_IN_REPERTOIRE,
                offset,
                format!("invalid byte sequence for encoding \"UTF8\": 0x{byte:02x}"),
            ))
        }
    }
}

/// One backslash escape; returns where it ends.
fn escape(raw: &str, at: usize, offset: usize, value: &mut Vec<u8>) -> Result<usize> {
    let bytes = raw.as_bytes();
    let take = |from: usize, most: usize, radix: u32| {
        let end = (from..bytes.len().min(from + most))
            .find(|index| !char::from(bytes[*index]).is_digit(radix))
            .unwrap_or(bytes.len().min(from + most));
        (u32::from_str_radix(&raw[from..end], radix).ok(), end)
    };
    let plain = match bytes.get(at + 1) {
        Some(b'b') => 8,
        Some(b'f') => 12,
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        Some(b'0'..=b'7') => {
            let (code, end) = take(at + 1, 3, 8);
            value.push(code.unwrap_or(0) as u8);
            return Ok(end);
        }
        Some(b'x') if bytes.get(at + 2).is_some_and(u8::is_ascii_hexdigit) => {
            let (code, end) = take(at + 2, 2, 16);
            value.push(code.unwrap_or(0) as u8);
            return Ok(end);
        }
        Some(mark @ (b'u' | b'U')) => {
            let digits = if *mark == b'u' { 4 } else { 8 };
            let (code, mut end) = take(at + 2, digits, 16);
            let bad = || {
                PlanError::at(
                    SqlState::INVALID_ESCAPE_SEQUENCE,
                    offset + at,
                    "invalid Unicode escape",
                )
                .hint("Unicode escapes must be \\uXXXX or \\UXXXXXXXX.")
            };
            let mut code = code.filter(|_| end == at + 2 + digits).ok_or_else(bad)?;
            if (0xd800..0xdc00).contains(&code) && raw[end..].starts_with("\\u") {
                let (low, after) = take(end + 2, 4, 16);
                let low = low.filter(|low| (0xdc00..0xe000).contains(low)).ok_or_else(bad)?;
                code = 0x1_0000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                end = after;
            }
            let character = char::from_u32(code).ok_or_else(bad)?;
            value.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            return Ok(end);
        }
        Some(_) => {
            let length = raw[at + 1..].chars().next().map_or(1, char::len_utf8);
            value.extend_from_slice(&bytes[at + 1..at + 1 + length]);
            return Ok(at + 1 + length);
        }
        None => b'\\',
    };
    value.push(plain);
    Ok(at + 2)
}
