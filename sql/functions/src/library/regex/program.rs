//! The automaton: states that run side by side, so that no text makes matching slow.

use super::parse::{Assertion, CharacterSet, Node, Options, lower};
use crate::EvalError;
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use types::SqlState;

/// States of a program; PostgreSQL bounds its own at a comparable size.
const STATES_MAX: usize = 20_000;

#[derive(Debug)]
enum State {
    Character(char),
    Any,
    Set(CharacterSet),
    Assertion(Assertion),
    Look {
        program: Box<Program>,
        negated: bool,
    },
    /// Goes on at both.
    Split(usize, usize),
    Jump(usize),
    Match,
}

/// A compiled pattern or part of one. States follow each other unless they say where they go.
#[derive(Debug, Default)]
pub(super) struct Program {
    states: Vec<State>,
}

pub(super) fn compile(tree: &Node) -> Result<Program, EvalError> {
    let mut program = Program::default();
    program.push_node(tree)?;
    program.push(State::Match)?;
    Ok(program)
}

impl Program {
    fn push(&mut self, state: State) -> Result<usize, EvalError> {
        if self.states.len() >= STATES_MAX {
            return Err(EvalError::new(
                SqlState::INVALID_REGULAR_EXPRESSION,
                "invalid regular expression: regular expression is too complex",
            ));
        }
        self.states.push(state);
        Ok(self.states.len() - 1)
    }

    fn push_node(&mut self, node: &Node) -> Result<(), EvalError> {
        match node {
            Node::Empty => {}
            Node::Character(character) => {
                self.push(State::Character(*character))?;
            }
            Node::Any => {
                self.push(State::Any)?;
            }
            Node::Set(set) => {
                self.push(State::Set(set.clone()))?;
            }
            Node::Assertion(assertion) => {
                self.push(State::Assertion(*assertion))?;
            }
            Node::Concatenation(parts) => {
                for part in parts {
                    self.push_node(part)?;
                }
            }
            Node::Alternation(branches) => self.push_alternation(branches)?,
            Node::Repeat { node, least, most, .. } => self.push_repeat(node, *least, *most)?,
            Node::Group { node, .. } | Node::Plain(node) => self.push_node(node)?,
            Node::Look { node, negated } => {
                let program = Box::new(compile(node)?);
                self.push(State::Look { program, negated: *negated })?;
            }
        }
        Ok(())
    }

    fn push_alternation(&mut self, branches: &[Node]) -> Result<(), EvalError> {
        let mut jumps = Vec::new();
        for (position, branch) in branches.iter().enumerate() {
            let last = position + 1 == branches.len();
            let split = if last { None } else { Some(self.push(State::Split(0, 0))?) };
            self.push_node(branch)?;
            if !last {
                jumps.push(self.push(State::Jump(0))?);
            }
            if let Some(split) = split {
                self.states[split] = State::Split(split + 1, self.states.len());
            }
        }
        for jump in jumps {
            self.states[jump] = State::Jump(self.states.len());
        }
        Ok(())
    }

    fn push_repeat(&mut self, node: &Node, least: u32, most: Option<u32>) -> Result<(), EvalError> {
        for _ in 0..least {
            self.push_node(node)?;
        }
        match most {
            None => {
                let split = self.push(State::Split(0, 0))?;
                self.push_node(node)?;
                self.push(State::Jump(split))?;
                self.states[split] = State::Split(split + 1, self.states.len());
            }
            Some(most) => {
                let mut splits = Vec::new();
                for _ in least..most {
                    splits.push(self.push(State::Split(0, 0))?);
                    self.push_node(node)?;
                }
                for split in splits {
                    self.states[split] = State::Split(split + 1, self.states.len());
                }
            }
        }
        Ok(())
    }

    /// The character that every match begins with, if that is known.
    fn first_character(&self, options: Options) -> Option<char> {
        match self.states.first() {
            Some(State::Character(character)) if !options.ignore_case => Some(*character),
            _ => None,
        }
    }

    /// Whether a match begins at or after `from`.
    pub(super) fn matches_anywhere(&self, text: &[char], from: usize, options: Options) -> bool {
        let mut run = Run::new(self, text, options);
        let first = self.first_character(options);
        for at in from..=text.len() {
            // A start that its first character ends at once is none.
            if first.is_none() || text.get(at).copied() == first {
                run.enter(0, at, 0);
            }
            if run.matched {
                return true;
            }
            run.step(at);
        }
        false
    }

    /// The first position at or after `from` where a match begins.
    pub(super) fn first_start(
        &self,
        text: &[char],
        from: usize,
        options: Options,
    ) -> Option<usize> {
        if !self.matches_anywhere(text, from, options) {
            return None;
        }
        // Each state remembers the earliest start that reached it; the smallest one that matches at all wins.
        let mut run = Run::new(self, text, options);
        let mut best: Option<usize> = None;
        for at in from..=text.len() {
            if best.is_none() {
                run.enter(0, at, at);
            }
            if run.matched {
                let start = run.matched_start;
                best = Some(best.map_or(start, |best| best.min(start)));
                run.matched = false;
            }
            // Only starts before the best one can still win.
            if let Some(best) = best
                && !run.has_start_before(best)
            {
                return Some(best);
            }
            run.step(at);
        }
        best
    }

    /// Where a match that begins at `start` ends: as early or as late as possible.
    pub(super) fn end_from(
        &self,
        text: &[char],
        start: usize,
        short: bool,
        options: Options,
    ) -> Option<usize> {
        let mut run = Run::new(self, text, options);
        run.enter(0, start, start);
        let mut end = None;
        for at in start..=text.len() {
            if run.matched {
                end = Some(at);
                run.matched = false;
                if short {
                    break;
                }
            }
            if run.current.is_empty() {
                break;
            }
            run.step(at);
        }
        end
    }
}

/// The live states at one position.
struct Run<'a> {
    program: &'a Program,
    text: &'a [char],
    options: Options,
    current: Vec<(usize, usize)>,
    following: Vec<(usize, usize)>,
    /// Position plus one at which a state was last entered, and from what start.
    entered: Vec<(usize, usize)>,
    /// States that [`Run::enter`] has still to look at; kept for its memory.
    pending: Vec<usize>,
    matched: bool,
    matched_start: usize,
}

impl<'a> Run<'a> {
    fn new(program: &'a Program, text: &'a [char], options: Options) -> Run<'a> {
        Run {
            program,
            text,
            options,
            current: Vec::new(),
            following: Vec::new(),
            entered: vec![(0, 0); program.states.len()],
            pending: Vec::new(),
            matched: false,
            matched_start: usize::MAX,
        }
    }

    fn has_start_before(&self, start: usize) -> bool {
        self.current.iter().any(|(_, from)| *from < start)
    }

    /// Adds a state and what it reaches without a character.
    fn enter(&mut self, state: usize, at: usize, start: usize) {
        let mut pending = core::mem::take(&mut self.pending);
        pending.push(state);
        while let Some(state) = pending.pop() {
            let mark = self.entered[state];
            if mark.0 == at + 1 && mark.1 <= start {
                continue;
            }
            let again = mark.0 == at + 1;
            self.entered[state] = (at + 1, start);
            match &self.program.states[state] {
                State::Match => {
                    if !self.matched || start < self.matched_start {
                        self.matched_start = start;
                    }
                    self.matched = true;
                }
                State::Jump(target) => pending.push(*target),
                State::Split(first, second) => {
                    pending.push(*second);
                    pending.push(*first);
                }
                State::Assertion(assertion) => {
                    if holds(*assertion, self.text, at, self.options) {
                        pending.push(state + 1);
                    }
                }
                State::Look { program, negated } => {
                    let found = program.end_from(self.text, at, true, self.options).is_some();
                    if found != *negated {
                        pending.push(state + 1);
                    }
                }
                State::Character(_) | State::Any | State::Set(_) => {
                    if again {
                        // An earlier start took the place of a later one.
                        if let Some(live) = self.current.iter_mut().find(|live| live.0 == state) {
                            live.1 = start;
                        }
                    } else {
                        self.current.push((state, start));
                    }
                }
            }
        }
        self.pending = pending;
    }

    /// Takes the character at `at`.
    fn step(&mut self, at: usize) {
        let Some(&character) = self.text.get(at) else { return };
        core::mem::swap(&mut self.current, &mut self.following);
        self.current.clear();
        let live = core::mem::take(&mut self.following);
        for (state, start) in &live {
            if self.takes(*state, character) {
                self.enter(state + 1, at + 1, *start);
            }
        }
        self.following = live;
    }

    fn takes(&self, state: usize, character: char) -> bool {
        let options = self.options;
        match &self.program.states[state] {
            State::Character(wanted) => {
                *wanted == character || options.ignore_case && lower(*wanted) == lower(character)
            }
            State::Any => !(options.dot_stops && character == '\n'),
            State::Set(set) => set.holds(character, options.ignore_case),
            _ => false,
        }
    }
}

/// Whether one character matches a leaf of the tree.
pub(super) fn leaf_takes(node: &Node, character: char, options: Options) -> bool {
    match node {
        Node::Character(wanted) => {
            *wanted == character || options.ignore_case && lower(*wanted) == lower(character)
        }
        Node::Any => !(options.dot_stops && character == '\n'),
        Node::Set(set) => set.holds(character, options.ignore_case),
        _ => false,
    }
}

/// Whether a condition holds between two characters.
pub(super) fn holds(assertion: Assertion, text: &[char], at: usize, options: Options) -> bool {
    let before = at.checked_sub(1).and_then(|at| text.get(at)).copied();
    let after = text.get(at).copied();
    let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    match assertion {
        Assertion::LineStart => before.is_none() || options.anchors_lines && before == Some('\n'),
        Assertion::LineEnd => after.is_none() || options.anchors_lines && after == Some('\n'),
        Assertion::TextStart => before.is_none(),
        Assertion::TextEnd => after.is_none(),
        Assertion::WordStart => !word(before) && word(after),
        Assertion::WordEnd => word(before) && !word(after),
        Assertion::WordEdge => word(before) != word(after),
        Assertion::NotWordEdge => word(before) == word(after),
    }
}
