//! `LIKE`, `ILIKE`, their escapes, and `SIMILAR TO` as a regular expression.
//!
//! Matching keeps one place to return to: on a mismatch only the last `%` can usefully take more, so the work is at most |text| · |pattern|.

use super::text::to_lower;
use crate::EvalError;
use alloc::string::String;
use alloc::vec::Vec;
use types::SqlState;

#[cold]
fn ends_with_escape() -> EvalError {
    EvalError::new(
        SqlState::INVALID_ESCAPE_SEQUENCE,
        "LIKE pattern must not end with escape character",
    )
}

/// Bytes of the character that begins with this byte.
const fn width(first: u8) -> usize {
    match first {
        0..=0xBF => 1,
        0xC0..=0xDF => 2,
        0xE0..=0xEF => 3,
        _ => 4,
    }
}

/// Whether the whole text matches; `_` takes `one(byte)` bytes.
fn like(text: &[u8], pattern: &[u8], one: fn(u8) -> usize) -> Result<bool, EvalError> {
    let (mut at, mut in_pattern) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    loop {
        let matched = match pattern.get(in_pattern) {
            Some(b'%') => {
                in_pattern += 1;
                back = Some((at, in_pattern));
                continue;
            }
            Some(b'_') if at < text.len() => {
                at += one(text[at]);
                in_pattern += 1;
                true
            }
            Some(b'_') => false,
            // At the end of the text nobody looks at what the escape escapes.
            Some(b'\\') if at >= text.len() => false,
            Some(b'\\') => {
                let literal = pattern.get(in_pattern + 1).ok_or_else(ends_with_escape)?;
                let same = text.get(at) == Some(literal);
                at += 1;
                in_pattern += 2;
                same
            }
            Some(literal) => {
                let same = text.get(at) == Some(literal);
                at += 1;
                in_pattern += 1;
                same
            }
            None => at >= text.len(),
        };
        if matched {
            if in_pattern >= pattern.len() && at >= text.len() {
                return Ok(true);
            }
            if in_pattern < pattern.len() || at < text.len() {
                continue;
            }
        }
        // The last % takes one more.
        match back {
            Some((from, resume)) if from < text.len() => {
                let next = from + one(text[from]);
                back = Some((next, resume));
                at = next;
                in_pattern = resume;
            }
            _ => return Ok(false),
        }
    }
}

fn text_like(text: &str, pattern: &str) -> Result<bool, EvalError> {
    like(text.as_bytes(), pattern.as_bytes(), width)
}

fn text_ilike(text: &str, pattern: &str) -> Result<bool, EvalError> {
    let text: String = text.chars().map(to_lower).collect();
    let pattern: String = pattern.chars().map(to_lower).collect();
    text_like(&text, &pattern)
}

/// A pattern with `escape` as its escape character, rewritten to use the backslash.
fn with_escape(pattern: &str, escape: &str) -> Result<String, EvalError> {
    let mut letters = escape.chars();
    let own = letters.next();
    if letters.next().is_some() {
        return Err(EvalError::new(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid escape string")
            .with_hint("Escape string must be empty or one character."));
    }
    let mut answer = String::with_capacity(pattern.len() + 4);
    let mut escaped = false;
    for character in pattern.chars() {
        if own == Some(character) && !escaped {
            answer.push('\\');
            escaped = true;
        } else if character == '\\' && own != Some('\\') {
            answer.push('\\');
            if !escaped {
                answer.push('\\');
            }
            escaped = false;
        } else {
            answer.push(character);
            escaped = false;
        }
    }
    Ok(answer)
}

functions! {
    fn textlike(a: &str, b: &str) -> bool { text_like(a, b) }
    fn textnlike(a: &str, b: &str) -> bool { Ok(!text_like(a, b)?) }
    fn texticlike(a: &str, b: &str) -> bool { text_ilike(a, b) }
    fn texticnlike(a: &str, b: &str) -> bool { Ok(!text_ilike(a, b)?) }
    fn namelike(a: &str, b: &str) -> bool { text_like(a, b) }
    fn namenlike(a: &str, b: &str) -> bool { Ok(!text_like(a, b)?) }
    fn nameiclike(a: &str, b: &str) -> bool { text_ilike(a, b) }
    fn nameicnlike(a: &str, b: &str) -> bool { Ok(!text_ilike(a, b)?) }
    fn bytealike(a: &[u8], b: &[u8]) -> bool { like(a, b, |_| 1) }
    fn byteanlike(a: &[u8], b: &[u8]) -> bool { Ok(!like(a, b, |_| 1)?) }
    fn like_escape(pattern: &str, escape: &str) -> String { with_escape(pattern, escape) }
    fn similar_to_escape_1(pattern: &str) -> String { similar_pattern(pattern, Some('\\')) }
    fn similar_to_escape_2(pattern: &str, escape: &str) -> String { similar(pattern, escape) }
}

/// A `SIMILAR TO … ESCAPE …` pattern as a regular expression.
pub(super) fn similar(pattern: &str, escape: &str) -> Result<String, EvalError> {
    let mut letters = escape.chars();
    let own = letters.next();
    if letters.next().is_some() {
        return Err(EvalError::new(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid escape string")
            .with_hint("Escape string must be empty or one character."));
    }
    similar_pattern(pattern, own)
}

/// A `SIMILAR TO` pattern as a regular expression.
fn similar_pattern(pattern: &str, escape: Option<char>) -> Result<String, EvalError> {
    let mut answer = String::from("^(?:");
    let letters: Vec<char> = pattern.chars().collect();
    let mut position = 0;
    let mut in_brackets = false;
    let mut separators = 0;
    while position < letters.len() {
        let character = letters[position];
        position += 1;
        if Some(character) == escape && position < letters.len() {
            let next = letters[position];
            position += 1;
            if next == '"' && !in_brackets {
                // Separators of substring(… similar … escape …).
                match separators {
                    0 => answer.push_str("){1,1}?("),
                    1 => answer.push_str("){1,1}(?:"),
                    _ => {
                        return Err(EvalError::new(
                            SqlState::INVALID_USE_OF_ESCAPE_CHARACTER,
                            "SQL regular expression may not contain more than two escape-double-quote separators",
                        ));
                    }
                }
                separators += 1;
            } else {
                answer.push('\\');
                answer.push(next);
            }
        } else if Some(character) == escape {
            // A last escape is dropped.
        } else if in_brackets {
            if character == '\\' {
                answer.push('\\');
            }
            answer.push(character);
            in_brackets = character != ']';
        } else {
            match character {
                '[' => {
                    answer.push('[');
                    in_brackets = true;
                }
                '%' => answer.push_str(".*"),
                '_' => answer.push('.'),
                '(' => answer.push_str("(?:"),
                '\\' | '.' | '^' | '$' => {
                    answer.push('\\');
                    answer.push(character);
                }
                _ => answer.push(character),
            }
        }
    }
    answer.push_str(")$");
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::text_like;

    #[test]
    fn percent_takes_as_much_as_is_needed() {
        for (text, pattern, answer) in [
            ("abc", "a%c", true),
            ("abc", "%", true),
            ("", "%", true),
            ("", "_", false),
            ("abcabc", "%abc", true),
            ("abcabd", "%abc", false),
            ("a%b", "a\\%b", true),
            ("axb", "a\\%b", false),
            ("äöü", "_ö_", true),
            ("äöü", "__", false),
            ("mississippi", "m%iss%p_", true),
            ("mississippi", "m%issx%", false),
            ("a", "a%%%", true),
            ("ab", "a", false),
            ("a", "ab", false),
        ] {
            assert_eq!(text_like(text, pattern).expect(pattern), answer, "{text} LIKE {pattern}");
        }
        assert!(text_like("a", "a\\").is_err() || text_like("ab", "a\\").is_err());
    }
}
