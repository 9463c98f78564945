//! The functions of regular expressions: `~` and its like, `regexp_…`, `substring … from pattern`.

use super::regex::{Options, Regex, Span, characters, slice};
use super::text::check_length;
use crate::EvalError;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use types::{SqlState, Value};

const IGNORE_CASE: Options = Options {
    ignore_case: true,
    dot_stops: false,
    anchors_lines: false,
    expanded: false,
    literal: false,
};

fn matches(text: &str, pattern: &str, options: Options) -> Result<bool, EvalError> {
    Ok(Regex::new(pattern, options)?.is_match(&characters(text)))
}

struct Flags {
    options: Options,
    global: bool,
}

fn flags(letters: &str) -> Result<Flags, EvalError> {
    let mut read = Flags { options: Options::default(), global: false };
    for letter in letters.chars() {
        if letter == 'g' {
            read.global = true;
        } else if !read.options.apply(letter) {
            return Err(EvalError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("invalid regular expression option: \"{letter}\""),
            ));
        }
    }
    Ok(read)
}

/// The flags of a function that has its own idea of how many matches it wants.
fn local_flags(letters: &str, function: &str) -> Result<Options, EvalError> {
    let read = flags(letters)?;
    if read.global {
        return Err(EvalError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("{function} does not support the \"global\" option"),
        ));
    }
    Ok(read.options)
}

fn positive(name: &str, value: i32) -> Result<usize, EvalError> {
    if value > 0 {
        return Ok(value as usize);
    }
    Err(EvalError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("invalid value for parameter \"{name}\": {value}"),
    ))
}

fn not_negative(name: &str, value: i32) -> Result<usize, EvalError> {
    usize::try_from(value).map_err(|_| {
        EvalError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("invalid value for parameter \"{name}\": {value}"),
        )
    })
}

/// Every match from a character on, without overlap; an empty one moves the next a character on.
fn all_matches(regex: &Regex, text: &[char], from: usize) -> Vec<Span> {
    let mut found = Vec::new();
    let mut at = from;
    while at <= text.len() {
        let Some(span) = regex.find(text, at) else { break };
        at = if span.end == span.start { span.end + 1 } else { span.end };
        found.push(span);
    }
    found
}

/// What of a match a substitution takes: the groups and the whole.
fn substitute(
    regex: &Regex,
    text: &[char],
    whole: Span,
    replacement: &str,
    out: &mut String,
) -> Result<(), EvalError> {
    if !replacement.contains('\\') {
        out.push_str(replacement);
        return Ok(());
    }
    let groups = regex.groups(text, whole)?;
    let mut letters = replacement.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        match letters.peek().copied() {
            Some('&') => {
                letters.next();
                out.push_str(&slice(text, whole));
            }
            Some(digit @ '1'..='9') => {
                letters.next();
                let index = digit as usize - '1' as usize;
                if let Some(Some(span)) = groups.get(index) {
                    out.push_str(&slice(text, *span));
                }
            }
            Some('\\') => {
                letters.next();
                out.push('\\');
            }
            _ => out.push('\\'),
        }
    }
    Ok(())
}

/// Which matches are replaced.
enum Which {
    All,
    Nth(usize),
}

fn replace(
    text: &str,
    pattern: &str,
    replacement: &str,
    options: Options,
    start: usize,
    which: Which,
) -> Result<String, EvalError> {
    let regex = Regex::new(pattern, options)?;
    let text = characters(text);
    if start > text.len() + 1 {
        return Ok(text.iter().collect());
    }
    let mut answer = String::new();
    let mut copied = 0;
    let mut at = start - 1;
    let mut count = 0;
    while at <= text.len() {
        let Some(span) = regex.find(&text, at) else { break };
        count += 1;
        let wanted = match which {
            Which::All => true,
            Which::Nth(nth) => nth == count,
        };
        if wanted {
            answer.push_str(&slice(&text, Span { start: copied, end: span.start }));
            substitute(&regex, &text, span, replacement, &mut answer)?;
            check_length(answer.len())?;
            copied = span.end;
            if matches!(which, Which::Nth(_)) {
                break;
            }
        }
        at = if span.end == span.start { span.end + 1 } else { span.end };
    }
    answer.push_str(&slice(&text, Span { start: copied, end: text.len() }));
    Ok(answer)
}

/// The groups of a match, or the whole if there are none, as `regexp_match` returns them.
fn match_texts(regex: &Regex, text: &[char], whole: Span) -> Result<Vec<Value>, EvalError> {
    if regex.group_count() == 0 {
        return Ok(Vec::from([Value::text(slice(text, whole))]));
    }
    let groups = regex.groups(text, whole)?;
    Ok(groups
        .into_iter()
        .map(|span| span.map_or(Value::Null, |span| Value::text(slice(text, span))))
        .collect())
}

fn first_match(
    text: &str,
    pattern: &str,
    options: Options,
) -> Result<Option<Vec<Value>>, EvalError> {
    let regex = Regex::new(pattern, options)?;
    let text = characters(text);
    match regex.find(&text, 0) {
        Some(whole) => match_texts(&regex, &text, whole).map(Some),
        None => Ok(None),
    }
}

/// The parts between the matches; empty matches at the ends or beside another match do not split.
fn split(text: &str, pattern: &str, options: Options) -> Result<Vec<Value>, EvalError> {
    let regex = Regex::new(pattern, options)?;
    let text = characters(text);
    let mut parts = Vec::new();
    let mut from = 0;
    let mut at = 0;
    while at <= text.len() {
        let Some(span) = regex.find(&text, at) else { break };
        let empty = span.start == span.end;
        let ignored = empty && (span.start >= text.len() || span.start == from);
        if !ignored {
            parts.push(Value::text(slice(&text, Span { start: from, end: span.start })));
            from = span.end;
        }
        at = if empty { span.end + 1 } else { span.end };
    }
    parts.push(Value::text(slice(&text, Span { start: from, end: text.len() })));
    Ok(parts)
}

/// What `regexp_substr` and `regexp_instr` look for.
struct Search<'a> {
    text: &'a str,
    pattern: &'a str,
    start: usize,
    nth: usize,
    options: Options,
    group: usize,
}

impl Search<'_> {
    fn find(&self) -> Result<(Vec<char>, Option<Span>), EvalError> {
        let regex = Regex::new(self.pattern, self.options)?;
        let text = characters(self.text);
        // Without groups the whole match counts as the first one.
        let group = if regex.group_count() == 0 && self.group == 1 { 0 } else { self.group };
        if group > regex.group_count() {
            return Ok((text, None));
        }
        let found = all_matches(&regex, &text, self.start - 1);
        let Some(&whole) = found.get(self.nth - 1) else { return Ok((text, None)) };
        let span = match group {
            0 => Some(whole),
            group => regex.groups(&text, whole)?.get(group - 1).copied().flatten(),
        };
        Ok((text, span))
    }

    fn text(&self) -> Result<Option<String>, EvalError> {
        let (text, span) = self.find()?;
        Ok(span.map(|span| slice(&text, span)))
    }

    fn position(&self, after: bool) -> Result<i32, EvalError> {
        let (_, span) = self.find()?;
        Ok(span.map_or(0, |span| (if after { span.end } else { span.start }) as i32 + 1))
    }
}

fn count(text: &str, pattern: &str, start: i32, letters: &str) -> Result<i32, EvalError> {
    let start = positive("start", start)?;
    let options = local_flags(letters, "regexp_count()")?;
    let regex = Regex::new(pattern, options)?;
    Ok(all_matches(&regex, &characters(text), start - 1).len() as i32)
}

fn instr(
    text: &str,
    pattern: &str,
    start: i32,
    nth: i32,
    after: i32,
    letters: &str,
    group: i32,
) -> Result<i32, EvalError> {
    let (start, nth) = (positive("start", start)?, positive("n", nth)?);
    if !(0..=1).contains(&after) {
        return Err(EvalError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("invalid value for parameter \"endoption\": {after}"),
        ));
    }
    let group = not_negative("subexpr", group)?;
    let options = local_flags(letters, "regexp_instr()")?;
    Search { text, pattern, start, nth, options, group }.position(after == 1)
}

fn substr(
    text: &str,
    pattern: &str,
    start: i32,
    nth: i32,
    letters: &str,
    group: i32,
) -> Result<Option<String>, EvalError> {
    let (start, nth) = (positive("start", start)?, positive("n", nth)?);
    let group = not_negative("subexpr", group)?;
    let options = local_flags(letters, "regexp_substr()")?;
    Search { text, pattern, start, nth, options, group }.text()
}

/// The first group of the first match, or the whole match if there are no groups.
fn substring(text: &str, pattern: &str) -> Result<Option<String>, EvalError> {
    let regex = Regex::new(pattern, Options::default())?;
    let group = usize::from(regex.group_count() > 0);
    Search { text, pattern, start: 1, nth: 1, options: Options::default(), group }.text()
}

fn replace_extended(
    text: &str,
    pattern: &str,
    replacement: &str,
    start: i32,
    nth: i32,
    letters: Option<&str>,
) -> Result<String, EvalError> {
    let (start, nth) = (positive("start", start)?, not_negative("n", nth)?);
    let read = flags(letters.unwrap_or(""))?;
    let which = if nth == 0 { Which::All } else { Which::Nth(nth) };
    replace(text, pattern, replacement, read.options, start, which)
}

functions! {
    fn textregexeq(a: &str, b: &str) -> bool { matches(a, b, Options::default()) }
    fn textregexne(a: &str, b: &str) -> bool { Ok(!matches(a, b, Options::default())?) }
    fn texticregexeq(a: &str, b: &str) -> bool { matches(a, b, IGNORE_CASE) }
    fn texticregexne(a: &str, b: &str) -> bool { Ok(!matches(a, b, IGNORE_CASE)?) }
    fn nameregexeq(a: &str, b: &str) -> bool { matches(a, b, Options::default()) }
    fn nameregexne(a: &str, b: &str) -> bool { Ok(!matches(a, b, Options::default())?) }
    fn nameicregexeq(a: &str, b: &str) -> bool { matches(a, b, IGNORE_CASE) }
    fn nameicregexne(a: &str, b: &str) -> bool { Ok(!matches(a, b, IGNORE_CASE)?) }
    fn textregexsubstr(a: &str, b: &str) -> Option<String> { substring(a, b) }
    // pg_proc 2074
    fn similar_substring(a: &str, pattern: &str, escape: &str) -> Option<String> {
        substring(a, &super::pattern::similar(pattern, escape)?)
    }
    fn textregexreplace_noopt(a: &str, b: &str, c: &str) -> String {
        replace(a, b, c, Options::default(), 1, Which::Nth(1))
    }
    fn textregexreplace(a: &str, b: &str, c: &str, letters: &str) -> String {
        if letters.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(EvalError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("invalid regular expression option: \"{}\"", &letters[..1]),
            )
            .with_hint("If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly."));
        }
        let read = flags(letters)?;
        replace(a, b, c, read.options, 1, if read.global { Which::All } else { Which::Nth(1) })
    }
    fn textregexreplace_extended(a: &str, b: &str, c: &str, start: i32, nth: i32, letters: &str) -> String {
        replace_extended(a, b, c, start, nth, Some(letters))
    }
    fn textregexreplace_extended_no_flags(a: &str, b: &str, c: &str, start: i32, nth: i32) -> String {
        replace_extended(a, b, c, start, nth, None)
    }
    fn textregexreplace_extended_no_n(a: &str, b: &str, c: &str, start: i32) -> String {
        replace_extended(a, b, c, start, 1, None)
    }
    fn regexp_match_no_flags(a: &str, b: &str) -> Option<Vec<Value>> {
        first_match(a, b, Options::default())
    }
    fn regexp_match(a: &str, b: &str, letters: &str) -> Option<Vec<Value>> {
        let read = flags(letters)?;
        if read.global {
            return Err(EvalError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "regexp_match() does not support the \"global\" option",
            )
            .with_hint("Use the regexp_matches function instead."));
        }
        first_match(a, b, read.options)
    }
    fn regexp_like_no_flags(a: &str, b: &str) -> bool { matches(a, b, Options::default()) }
    fn regexp_like(a: &str, b: &str, letters: &str) -> bool {
        matches(a, b, local_flags(letters, "regexp_like()")?)
    }
    fn regexp_split_to_array_no_flags(a: &str, b: &str) -> Vec<Value> {
        split(a, b, Options::default())
    }
    fn regexp_split_to_array(a: &str, b: &str, letters: &str) -> Vec<Value> {
        split(a, b, local_flags(letters, "regexp_split_to_array()")?)
    }
    fn regexp_count_no_start(a: &str, b: &str) -> i32 { count(a, b, 1, "") }
    fn regexp_count_no_flags(a: &str, b: &str, start: i32) -> i32 { count(a, b, start, "") }
    fn regexp_count(a: &str, b: &str, start: i32, letters: &str) -> i32 {
        count(a, b, start, letters)
    }
    fn regexp_instr_no_start(a: &str, b: &str) -> i32 { instr(a, b, 1, 1, 0, "", 0) }
    fn regexp_instr_no_n(a: &str, b: &str, start: i32) -> i32 { instr(a, b, start, 1, 0, "", 0) }
    fn regexp_instr_no_endoption(a: &str, b: &str, start: i32, nth: i32) -> i32 {
        instr(a, b, start, nth, 0, "", 0)
    }
    fn regexp_instr_no_flags(a: &str, b: &str, start: i32, nth: i32, after: i32) -> i32 {
        instr(a, b, start, nth, after, "", 0)
    }
    fn regexp_instr_no_subexpr(a: &str, b: &str, start: i32, nth: i32, after: i32, letters: &str) -> i32 {
        instr(a, b, start, nth, after, letters, 0)
    }
    fn regexp_instr(a: &str, b: &str, start: i32, nth: i32, after: i32, letters: &str, group: i32) -> i32 {
        instr(a, b, start, nth, after, letters, group)
    }
    fn regexp_substr_no_start(a: &str, b: &str) -> Option<String> { substr(a, b, 1, 1, "", 0) }
    fn regexp_substr_no_n(a: &str, b: &str, start: i32) -> Option<String> {
        substr(a, b, start, 1, "", 0)
    }
    fn regexp_substr_no_flags(a: &str, b: &str, start: i32, nth: i32) -> Option<String> {
        substr(a, b, start, nth, "", 0)
    }
    fn regexp_substr_no_subexpr(a: &str, b: &str, start: i32, nth: i32, letters: &str) -> Option<String> {
        substr(a, b, start, nth, letters, 0)
    }
    fn regexp_substr(a: &str, b: &str, start: i32, nth: i32, letters: &str, group: i32) -> Option<String> {
        substr(a, b, start, nth, letters, group)
    }
}
