//! The functions of regular expressions: `~` and its like, `regexp_…`, `substring … from pattern`.

use super::regex::{Options, Regex, Span, characters, slice};
use super::text::check_length;
use crate::{EvalContext, EvalError};
use alloc::format;
use alloc::rc::Rc;
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

/// A pattern and how it is read. Where a cache is at hand, the same pattern is compiled once for many rows.
#[derive(Clone, Copy)]
struct Pattern<'a> {
    text: &'a str,
    options: Options,
    surroundings: &'a EvalContext<'a>,
}

impl<'a> Pattern<'a> {
    /// Read as it says itself.
    fn plain(text: &'a str, surroundings: &'a EvalContext<'a>) -> Pattern<'a> {
        Pattern { text, options: Options::default(), surroundings }
    }

    /// The same, read otherwise.
    fn with(self, options: Options) -> Self {
        Pattern { options, ..self }
    }

    fn compiled(&self) -> Result<Rc<Regex>, EvalError> {
        match self.surroundings.regexes {
            Some(cache) => cache.compiled(self.text, self.options),
            None => Ok(Rc::new(Regex::new(self.text, self.options)?)),
        }
    }
}

fn matches(text: &str, pattern: Pattern<'_>) -> Result<bool, EvalError> {
    Ok(pattern.compiled()?.is_match(&characters(text)))
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
    pattern: Pattern<'_>,
    replacement: &str,
    start: usize,
    which: Which,
) -> Result<String, EvalError> {
    let regex = pattern.compiled()?;
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

fn first_match(text: &str, pattern: Pattern<'_>) -> Result<Option<Vec<Value>>, EvalError> {
    let regex = pattern.compiled()?;
    let text = characters(text);
    match regex.find(&text, 0) {
        Some(whole) => match_texts(&regex, &text, whole).map(Some),
        None => Ok(None),
    }
}

/// The parts between the matches; empty matches at the ends or beside another match do not split.
fn split(text: &str, pattern: Pattern<'_>) -> Result<Vec<Value>, EvalError> {
    let regex = pattern.compiled()?;
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
    pattern: Pattern<'a>,
    start: usize,
    nth: usize,
    group: usize,
}

impl Search<'_> {
    fn find(&self) -> Result<(Vec<char>, Option<Span>), EvalError> {
        let regex = self.pattern.compiled()?;
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

fn count(text: &str, pattern: Pattern<'_>, start: i32, letters: &str) -> Result<i32, EvalError> {
    let start = positive("start", start)?;
    let options = local_flags(letters, "regexp_count()")?;
    let regex = pattern.with(options).compiled()?;
    Ok(all_matches(&regex, &characters(text), start - 1).len() as i32)
}

fn instr(
    text: &str,
    pattern: Pattern<'_>,
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
    Search { text, pattern: pattern.with(options), start, nth, group }.position(after == 1)
}

fn substr(
    text: &str,
    pattern: Pattern<'_>,
    start: i32,
    nth: i32,
    letters: &str,
    group: i32,
) -> Result<Option<String>, EvalError> {
    let (start, nth) = (positive("start", start)?, positive("n", nth)?);
    let group = not_negative("subexpr", group)?;
    let options = local_flags(letters, "regexp_substr()")?;
    Search { text, pattern: pattern.with(options), start, nth, group }.text()
}

/// The first group of the first match, or the whole match if there are no groups.
fn substring(text: &str, pattern: Pattern<'_>) -> Result<Option<String>, EvalError> {
    let group = usize::from(pattern.compiled()?.group_count() > 0);
    Search { text, pattern, start: 1, nth: 1, group }.text()
}

fn replace_extended(
    text: &str,
    pattern: Pattern<'_>,
    replacement: &str,
    start: i32,
    nth: i32,
    letters: Option<&str>,
) -> Result<String, EvalError> {
    let (start, nth) = (positive("start", start)?, not_negative("n", nth)?);
    let read = flags(letters.unwrap_or(""))?;
    let which = if nth == 0 { Which::All } else { Which::Nth(nth) };
    replace(text, pattern.with(read.options), replacement, start, which)
}

functions! {
    fn textregexeq[surroundings](a: &str, b: &str) -> bool { matches(a, Pattern::plain(b, surroundings)) }
    fn textregexne[surroundings](a: &str, b: &str) -> bool { Ok(!matches(a, Pattern::plain(b, surroundings))?) }
    fn texticregexeq[surroundings](a: &str, b: &str) -> bool { matches(a, Pattern::plain(b, surroundings).with(IGNORE_CASE)) }
    fn texticregexne[surroundings](a: &str, b: &str) -> bool { Ok(!matches(a, Pattern::plain(b, surroundings).with(IGNORE_CASE))?) }
    fn nameregexeq[surroundings](a: &str, b: &str) -> bool { matches(a, Pattern::plain(b, surroundings)) }
    fn nameregexne[surroundings](a: &str, b: &str) -> bool { Ok(!matches(a, Pattern::plain(b, surroundings))?) }
    fn nameicregexeq[surroundings](a: &str, b: &str) -> bool { matches(a, Pattern::plain(b, surroundings).with(IGNORE_CASE)) }
    fn nameicregexne[surroundings](a: &str, b: &str) -> bool { Ok(!matches(a, Pattern::plain(b, surroundings).with(IGNORE_CASE))?) }
    fn textregexsubstr[surroundings](a: &str, b: &str) -> Option<String> { substring(a, Pattern::plain(b, surroundings)) }
    // pg_proc 2074
    fn similar_substring[surroundings](a: &str, pattern: &str, escape: &str) -> Option<String> {
        let pattern = super::pattern::similar(pattern, escape)?;
        substring(a, Pattern::plain(&pattern, surroundings))
    }
    fn textregexreplace_noopt[surroundings](a: &str, b: &str, c: &str) -> String {
        replace(a, Pattern::plain(b, surroundings), c, 1, Which::Nth(1))
    }
    fn textregexreplace[surroundings](a: &str, b: &str, c: &str, letters: &str) -> String {
        if letters.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(EvalError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("invalid regular expression option: \"{}\"", &letters[..1]),
            )
            .with_hint("If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly."));
        }
        let read = flags(letters)?;
        let which = if read.global { Which::All } else { Which::Nth(1) };
        replace(a, Pattern::plain(b, surroundings).with(read.options), c, 1, which)
    }
    fn textregexreplace_extended[surroundings](a: &str, b: &str, c: &str, start: i32, nth: i32, letters: &str) -> String {
        replace_extended(a, Pattern::plain(b, surroundings), c, start, nth, Some(letters))
    }
    fn textregexreplace_extended_no_flags[surroundings](a: &str, b: &str, c: &str, start: i32, nth: i32) -> String {
        replace_extended(a, Pattern::plain(b, surroundings), c, start, nth, None)
    }
    fn textregexreplace_extended_no_n[surroundings](a: &str, b: &str, c: &str, start: i32) -> String {
        replace_extended(a, Pattern::plain(b, surroundings), c, start, 1, None)
    }
    fn regexp_match_no_flags[surroundings](a: &str, b: &str) -> Option<Vec<Value>> {
        first_match(a, Pattern::plain(b, surroundings))
    }
    fn regexp_match[surroundings](a: &str, b: &str, letters: &str) -> Option<Vec<Value>> {
        let read = flags(letters)?;
        if read.global {
            return Err(EvalError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                "regexp_match() does not support the \"global\" option",
            )
            .with_hint("Use the regexp_matches function instead."));
        }
        first_match(a, Pattern::plain(b, surroundings).with(read.options))
    }
    fn regexp_like_no_flags[surroundings](a: &str, b: &str) -> bool { matches(a, Pattern::plain(b, surroundings)) }
    fn regexp_like[surroundings](a: &str, b: &str, letters: &str) -> bool {
        matches(a, Pattern::plain(b, surroundings).with(local_flags(letters, "regexp_like()")?))
    }
    fn regexp_split_to_array_no_flags[surroundings](a: &str, b: &str) -> Vec<Value> {
        split(a, Pattern::plain(b, surroundings))
    }
    fn regexp_split_to_array[surroundings](a: &str, b: &str, letters: &str) -> Vec<Value> {
        split(a, Pattern::plain(b, surroundings).with(local_flags(letters, "regexp_split_to_array()")?))
    }
    fn regexp_count_no_start[surroundings](a: &str, b: &str) -> i32 { count(a, Pattern::plain(b, surroundings), 1, "") }
    fn regexp_count_no_flags[surroundings](a: &str, b: &str, start: i32) -> i32 { count(a, Pattern::plain(b, surroundings), start, "") }
    fn regexp_count[surroundings](a: &str, b: &str, start: i32, letters: &str) -> i32 {
        count(a, Pattern::plain(b, surroundings), start, letters)
    }
    fn regexp_instr_no_start[surroundings](a: &str, b: &str) -> i32 { instr(a, Pattern::plain(b, surroundings), 1, 1, 0, "", 0) }
    fn regexp_instr_no_n[surroundings](a: &str, b: &str, start: i32) -> i32 { instr(a, Pattern::plain(b, surroundings), start, 1, 0, "", 0) }
    fn regexp_instr_no_endoption[surroundings](a: &str, b: &str, start: i32, nth: i32) -> i32 {
        instr(a, Pattern::plain(b, surroundings), start, nth, 0, "", 0)
    }
    fn regexp_instr_no_flags[surroundings](a: &str, b: &str, start: i32, nth: i32, after: i32) -> i32 {
        instr(a, Pattern::plain(b, surroundings), start, nth, after, "", 0)
    }
    fn regexp_instr_no_subexpr[surroundings](a: &str, b: &str, start: i32, nth: i32, after: i32, letters: &str) -> i32 {
        instr(a, Pattern::plain(b, surroundings), start, nth, after, letters, 0)
    }
    fn regexp_instr[surroundings](a: &str, b: &str, start: i32, nth: i32, after: i32, letters: &str, group: i32) -> i32 {
        instr(a, Pattern::plain(b, surroundings), start, nth, after, letters, group)
    }
    fn regexp_substr_no_start[surroundings](a: &str, b: &str) -> Option<String> { substr(a, Pattern::plain(b, surroundings), 1, 1, "", 0) }
    fn regexp_substr_no_n[surroundings](a: &str, b: &str, start: i32) -> Option<String> {
        substr(a, Pattern::plain(b, surroundings), start, 1, "", 0)
    }
    fn regexp_substr_no_flags[surroundings](a: &str, b: &str, start: i32, nth: i32) -> Option<String> {
        substr(a, Pattern::plain(b, surroundings), start, nth, "", 0)
    }
    fn regexp_substr_no_subexpr[surroundings](a: &str, b: &str, start: i32, nth: i32, letters: &str) -> Option<String> {
        substr(a, Pattern::plain(b, surroundings), start, nth, letters, 0)
    }
    fn regexp_substr[surroundings](a: &str, b: &str, start: i32, nth: i32, letters: &str, group: i32) -> Option<String> {
        substr(a, Pattern::plain(b, surroundings), start, nth, letters, group)
    }
}
