//! PostgreSQL's advanced regular expressions, without backtracking.
//!
//! A pattern is parsed ([`parse`]) into a tree, the tree compiled ([`program`]) into a nondeterministic automaton. Where a match begins and ends is found
//! by running all of the automaton's states side by side: |text| · |pattern| steps. What its groups matched is found by taking the tree apart over the
//! matched part alone ([`groups`]), by the rule of PostgreSQL's documentation, 9.7.3.5: the match begins as early as it can; then each part, left
//! before right, takes as much (or, if it prefers, as little) as the whole allows.
//!
//! Not built, and refused with 0A000: back references and lookbehind.

mod groups;
mod parse;
mod program;

pub(super) use parse::Options;

use crate::EvalError;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use parse::Node;
use program::Program;

/// A compiled expression.
#[derive(Debug)]
pub(super) struct Regex {
    tree: Node,
    program: Program,
    prefers_short: bool,
    group_count: usize,
    options: Options,
}

/// Characters of a text from `start` to `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Regex {
    /// # Errors
    /// 2201B for a pattern that is none, 0A000 for what is not built.
    pub(super) fn new(pattern: &str, options: Options) -> Result<Regex, EvalError> {
        let parsed = parse::parse(pattern, options)?;
        let program = program::compile(&parsed.tree)?;
        Ok(Regex {
            prefers_short: parsed.tree.prefers_short(),
            tree: parsed.tree,
            program,
            group_count: parsed.group_count,
            options: parsed.options,
        })
    }

    /// Parenthesised groups.
    pub(super) fn group_count(&self) -> usize {
        self.group_count
    }

    /// Whether it matches anywhere.
    pub(super) fn is_match(&self, text: &[char]) -> bool {
        self.program.matches_anywhere(text, 0, self.options)
    }

    /// The first match that begins at or after a character.
    pub(super) fn find(&self, text: &[char], from: usize) -> Option<Span> {
        let start = self.program.first_start(text, from, self.options)?;
        let end = self.program.end_from(text, start, self.prefers_short, self.options)?;
        Some(Span { start, end })
    }

    /// What each group matched within a match.
    ///
    /// # Errors
    /// 54000 if the matched part and the pattern are too large to be taken apart.
    pub(super) fn groups(
        &self,
        text: &[char],
        whole: Span,
    ) -> Result<Vec<Option<Span>>, EvalError> {
        if self.group_count == 0 {
            return Ok(Vec::new());
        }
        groups::groups(&self.tree, text, whole, self.group_count, self.options)
    }
}

/// Compiled expressions kept at once: a condition has a few, not hundreds.
const COMPILED_MAX: usize = 8;

/// The expressions compiled last, for whoever evaluates one for many rows.
#[derive(Default)]
pub struct RegexCache {
    /// The one compiled last is last.
    compiled: RefCell<Vec<(String, Options, Rc<Regex>)>>,
}

impl RegexCache {
    /// # Errors
    /// As [`Regex::new`]; failures are not kept.
    pub(super) fn compiled(&self, pattern: &str, options: Options) -> Result<Rc<Regex>, EvalError> {
        let mut kept = self.compiled.borrow_mut();
        let found = kept.iter().rposition(|(text, read, _)| text == pattern && *read == options);
        if let Some(at) = found {
            return Ok(kept[at].2.clone());
        }
        let regex = Rc::new(Regex::new(pattern, options)?);
        if kept.len() == COMPILED_MAX {
            kept.remove(0);
        }
        kept.push((String::from(pattern), options, regex.clone()));
        Ok(regex)
    }
}

/// The characters of a text: matching indexes them.
pub(super) fn characters(text: &str) -> Vec<char> {
    text.chars().collect()
}

/// A part of a text.
pub(super) fn slice(text: &[char], span: Span) -> String {
    text[span.start..span.end].iter().collect()
}

#[cfg(test)]
mod tests;
