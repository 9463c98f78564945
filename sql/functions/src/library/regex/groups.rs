//! What the groups of a pattern matched, once the whole match is known.
//!
//! [`Dissection::ends`] says for a node and a start all the ends at which it could stop, and remembers it. Taking the tree apart then goes left to
//! right: each part of a concatenation takes its preferred end from which the rest can still reach the end of the whole.

use super::Span;
use super::parse::{Node, Options};
use super::program::{compile, holds, leaf_takes};
use crate::EvalError;
use alloc::collections::BTreeMap;
use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;
use types::SqlState;

/// Remembered ends; beyond this the pattern and the text are refused.
const ENDS_MAX: usize = 4_000_000;

pub(super) fn groups(
    tree: &Node,
    text: &[char],
    whole: Span,
    count: usize,
    options: Options,
) -> Result<Vec<Option<Span>>, EvalError> {
    let mut dissection = Dissection {
        text,
        limit: whole.end,
        options,
        known: BTreeMap::new(),
        remembered: 0,
        found: vec![None; count],
    };
    dissection.dissect(tree, whole.start, whole.end)?;
    Ok(dissection.found)
}

struct Dissection<'a> {
    text: &'a [char],
    limit: usize,
    options: Options,
    /// By the address of the node (the tree does not move meanwhile), a part of it, and the start.
    known: BTreeMap<(usize, usize, usize), BTreeSet<usize>>,
    remembered: usize,
    found: Vec<Option<Span>>,
}

impl Dissection<'_> {
    fn remember(
        &mut self,
        key: (usize, usize, usize),
        ends: BTreeSet<usize>,
    ) -> Result<BTreeSet<usize>, EvalError> {
        self.remembered += ends.len() + 1;
        if self.remembered > ENDS_MAX {
            return Err(EvalError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                "regular expression failed: out of memory",
            ));
        }
        self.known.insert(key, ends.clone());
        Ok(ends)
    }

    /// Every end at which `node` can stop if it begins at `start`.
    fn ends(&mut self, node: &Node, start: usize) -> Result<BTreeSet<usize>, EvalError> {
        let key = (core::ptr::from_ref(node) as usize, usize::MAX, start);
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        let ends = match node {
            Node::Empty => BTreeSet::from([start]),
            Node::Character(_) | Node::Any | Node::Set(_) => {
                let taken = start < self.limit && leaf_takes(node, self.text[start], self.options);
                if taken { BTreeSet::from([start + 1]) } else { BTreeSet::new() }
            }
            Node::Assertion(assertion) => {
                if holds(*assertion, self.text, start, self.options) {
                    BTreeSet::from([start])
                } else {
                    BTreeSet::new()
                }
            }
            Node::Look { node, negated } => {
                let program = compile(node)?;
                let found = program.end_from(self.text, start, true, self.options).is_some();
                if found != *negated { BTreeSet::from([start]) } else { BTreeSet::new() }
            }
            Node::Group { node, .. } | Node::Plain(node) => self.ends(node, start)?,
            Node::Alternation(branches) => {
                let mut ends = BTreeSet::new();
                for branch in branches {
                    ends.extend(self.ends(branch, start)?);
                }
                ends
            }
            Node::Concatenation(parts) => self.ends_of_parts(parts, 0, start)?,
            Node::Repeat { node, least, most, .. } => {
                self.ends_of_repeat(node, *least, *most, start)?
            }
        };
        self.remember(key, ends)
    }

    fn ends_of_parts(
        &mut self,
        parts: &[Node],
        from: usize,
        start: usize,
    ) -> Result<BTreeSet<usize>, EvalError> {
        let mut ends = BTreeSet::from([start]);
        for part in &parts[from..] {
            let mut next = BTreeSet::new();
            for at in ends {
                next.extend(self.ends(part, at)?);
            }
            ends = next;
        }
        Ok(ends)
    }

    fn ends_of_repeat(
        &mut self,
        node: &Node,
        least: u32,
        most: Option<u32>,
        start: usize,
    ) -> Result<BTreeSet<usize>, EvalError> {
        let mut ends = BTreeSet::new();
        let mut frontier = BTreeSet::from([start]);
        let mut round = 0;
        loop {
            if round >= least {
                let before = ends.len();
                ends.extend(frontier.iter().copied());
                if round > least && ends.len() == before {
                    break;
                }
            }
            if frontier.is_empty() || most.is_some_and(|most| round >= most) {
                break;
            }
            let mut next = BTreeSet::new();
            for at in frontier {
                next.extend(self.ends(node, at)?);
            }
            frontier = next;
            round += 1;
        }
        Ok(ends)
    }

    /// The preferred order of ends of a node.
    fn ordered(node: &Node, ends: BTreeSet<usize>) -> Vec<usize> {
        let mut ends: Vec<usize> = ends.into_iter().collect();
        if !node.prefers_short() {
            ends.reverse();
        }
        ends
    }

    fn dissect(&mut self, node: &Node, start: usize, end: usize) -> Result<(), EvalError> {
        match node {
            Node::Group { node, index } => {
                self.found[index - 1] = Some(Span { start, end });
                self.dissect(node, start, end)
            }
            Node::Plain(node) => self.dissect(node, start, end),
            Node::Alternation(branches) => {
                for branch in branches {
                    if self.ends(branch, start)?.contains(&end) {
                        return self.dissect(branch, start, end);
                    }
                }
                Ok(())
            }
            Node::Concatenation(parts) => {
                let mut at = start;
                for (position, part) in parts.iter().enumerate() {
                    let ends = self.ends(part, at)?;
                    for candidate in Dissection::ordered(part, ends) {
                        if self.ends_of_parts(parts, position + 1, candidate)?.contains(&end) {
                            self.dissect(part, at, candidate)?;
                            at = candidate;
                            break;
                        }
                    }
                }
                Ok(())
            }
            Node::Repeat { node, least, most, .. } => {
                self.dissect_repeat(node, *least, *most, start, end)
            }
            _ => Ok(()),
        }
    }

    fn dissect_repeat(
        &mut self,
        node: &Node,
        least: u32,
        most: Option<u32>,
        start: usize,
        end: usize,
    ) -> Result<(), EvalError> {
        let mut at = start;
        let mut round = 0;
        // An empty last round is taken only if the count still needs it.
        while at < end || round < least {
            if most.is_some_and(|most| round >= most) {
                break;
            }
            let left = |count: u32| count.saturating_sub(round + 1);
            let ends = self.ends(node, at)?;
            let mut chosen = None;
            for candidate in Dissection::ordered(node, ends) {
                let progress = candidate > at || round < least;
                let rest = self.ends_of_repeat(node, left(least), most.map(left), candidate)?;
                if progress && rest.contains(&end) {
                    chosen = Some(candidate);
                    break;
                }
            }
            let Some(candidate) = chosen else { break };
            self.dissect(node, at, candidate)?;
            if candidate == at && at == end {
                break;
            }
            at = candidate;
            round += 1;
        }
        Ok(())
    }
}
