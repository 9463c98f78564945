//! From a pattern to a tree. Source: PostgreSQL 15 documentation, 9.7.3 (regular expression details).

use crate::EvalError;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use types::SqlState;

/// What the flags of a call and the options within a pattern say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::library) struct Options {
    /// `i`
    pub(in crate::library) ignore_case: bool,
    /// `n`, `m`, `p`: `.` and `[^…]` stop at line ends.
    pub(in crate::library) dot_stops: bool,
    /// `n`, `m`, `w`: `^` and `$` match at line ends.
    pub(in crate::library) anchors_lines: bool,
    /// `x`: blanks and comments are nothing.
    pub(in crate::library) expanded: bool,
    /// `q`: no character is special.
    pub(in crate::library) literal: bool,
}

/// Largest number in `{m,n}`.
const REPEAT_MAX: u32 = 255;
/// Nesting of parentheses.
const DEPTH_MAX: usize = 100;

/// A set of characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CharacterSet {
    ranges: Vec<(char, char)>,
    classes: Vec<(Class, bool)>,
    negated: bool,
    stops_at_newline: bool,
}

/// A named class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Alpha,
    Digit,
    Alnum,
    Upper,
    Lower,
    Space,
    Blank,
    Punct,
    Print,
    Graph,
    Cntrl,
    Xdigit,
    Word,
    Ascii,
}

impl Class {
    fn named(name: &str) -> Option<Class> {
        Some(match name {
            "alpha" => Class::Alpha,
            "digit" => Class::Digit,
            "alnum" => Class::Alnum,
            "upper" => Class::Upper,
            "lower" => Class::Lower,
            "space" => Class::Space,
            "blank" => Class::Blank,
            "punct" => Class::Punct,
            "print" => Class::Print,
            "graph" => Class::Graph,
            "cntrl" => Class::Cntrl,
            "xdigit" => Class::Xdigit,
            "word" => Class::Word,
            "ascii" => Class::Ascii,
            _ => return None,
        })
    }

    fn holds(self, character: char) -> bool {
        match self {
            Class::Alpha => character.is_alphabetic(),
            Class::Digit => character.is_ascii_digit(),
            Class::Alnum => character.is_alphanumeric(),
            Class::Upper => character.is_uppercase(),
            Class::Lower => character.is_lowercase(),
            Class::Space => character.is_whitespace(),
            Class::Blank => matches!(character, ' ' | '\t'),
            Class::Punct => character.is_ascii_punctuation(),
            Class::Print => !character.is_control(),
            Class::Graph => !character.is_control() && !character.is_whitespace(),
            Class::Cntrl => character.is_control(),
            Class::Xdigit => character.is_ascii_hexdigit(),
            Class::Word => character.is_alphanumeric() || character == '_',
            Class::Ascii => character.is_ascii(),
        }
    }
}

impl CharacterSet {
    pub(super) fn holds(&self, character: char, ignore_case: bool) -> bool {
        if self.stops_at_newline && self.negated && character == '\n' {
            return false;
        }
        let one = |c: char| {
            self.ranges.iter().any(|(low, high)| (*low..=*high).contains(&c))
                || self.classes.iter().any(|(class, negated)| class.holds(c) != *negated)
        };
        let mut inside = one(character);
        if !inside && ignore_case {
            inside = one(lower(character)) || one(upper(character));
        }
        inside != self.negated
    }
}

pub(super) fn lower(character: char) -> char {
    super::super::text::to_lower(character)
}

fn upper(character: char) -> char {
    super::super::text::to_upper(character)
}

/// A condition on a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Assertion {
    /// `^`
    LineStart,
    /// `$`
    LineEnd,
    /// `\A`
    TextStart,
    /// `\Z`
    TextEnd,
    /// `\m`
    WordStart,
    /// `\M`
    WordEnd,
    /// `\y`
    WordEdge,
    /// `\Y`
    NotWordEdge,
}

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Empty,
    Character(char),
    /// `.`
    Any,
    Set(CharacterSet),
    Assertion(Assertion),
    Concatenation(Vec<Node>),
    Alternation(Vec<Node>),
    Repeat {
        node: Box<Node>,
        least: u32,
        most: Option<u32>,
        short: bool,
    },
    Group {
        node: Box<Node>,
        index: usize,
    },
    /// Parentheses that capture nothing; they keep the preference inside.
    Plain(Box<Node>),
    Look {
        node: Box<Node>,
        negated: bool,
    },
}

impl Node {
    /// Whether it would rather match less: decided by its first quantified part; alternation always prefers more.
    pub(super) fn prefers_short(&self) -> bool {
        self.preference() == Some(true)
    }

    /// Nothing if it has no preference.
    pub(super) fn preference(&self) -> Option<bool> {
        match self {
            Node::Repeat { least, most, .. } if *most == Some(*least) => {
                // A fixed count prefers what its part prefers.
                match self {
                    Node::Repeat { node, .. } => node.preference(),
                    _ => None,
                }
            }
            Node::Repeat { short, .. } => Some(*short),
            Node::Group { node, .. } | Node::Plain(node) => node.preference(),
            Node::Concatenation(parts) => parts.iter().find_map(Node::preference),
            Node::Alternation(_) => Some(false),
            _ => None,
        }
    }
}

pub(super) struct Parsed {
    pub(super) tree: Node,
    pub(super) group_count: usize,
    pub(super) options: Options,
}

struct Parser {
    pattern: Vec<char>,
    at: usize,
    groups: usize,
    options: Options,
    depth: usize,
}

#[cold]
fn invalid(why: &str) -> EvalError {
    EvalError::new(
        SqlState::INVALID_REGULAR_EXPRESSION,
        format!("invalid regular expression: {why}"),
    )
}

#[cold]
fn unsupported(what: &str) -> EvalError {
    EvalError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("{what} are not supported in regular expressions"),
    )
}

pub(super) fn parse(pattern: &str, options: Options) -> Result<Parsed, EvalError> {
    let mut parser =
        Parser { pattern: pattern.chars().collect(), at: 0, groups: 0, options, depth: 0 };
    parser.director()?;
    let tree = if parser.options.literal {
        let rest = parser.pattern[parser.at..].iter().map(|c| Node::Character(*c)).collect();
        Node::Concatenation(rest)
    } else {
        let tree = parser.alternation()?;
        if parser.at < parser.pattern.len() {
            return Err(invalid("parentheses () not balanced"));
        }
        tree
    };
    Ok(Parsed { tree, group_count: parser.groups, options: parser.options })
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.pattern.get(self.at).copied()
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn starts_with(&self, prefix: &str) -> bool {
        let mut at = self.at;
        prefix.chars().all(|wanted| {
            at += 1;
            self.pattern.get(at - 1) == Some(&wanted)
        })
    }

    /// `***=`, `***:` and `(?flags)` in front.
    fn director(&mut self) -> Result<(), EvalError> {
        if self.options.literal {
            return Ok(());
        }
        if self.starts_with("***=") {
            self.at += 4;
            self.options.literal = true;
            return Ok(());
        }
        if self.starts_with("***:") {
            self.at += 4;
        } else if self.starts_with("***") {
            return Err(invalid("quantifier operand invalid"));
        }
        if self.starts_with("(?")
            && self.pattern.get(self.at + 2).is_some_and(char::is_ascii_alphabetic)
        {
            self.at += 2;
            loop {
                match self.peek() {
                    Some(')') => break,
                    Some(letter) if self.options.apply(letter) => {}
                    _ => return Err(invalid("invalid embedded option")),
                }
                self.at += 1;
            }
            self.at += 1;
        }
        Ok(())
    }

    fn alternation(&mut self) -> Result<Node, EvalError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(invalid("regular expression is too complex"));
        }
        let mut branches = Vec::from([self.branch()?]);
        while self.take('|') {
            branches.push(self.branch()?);
        }
        self.depth -= 1;
        Ok(if branches.len() == 1 {
            branches.pop().unwrap_or(Node::Empty)
        } else {
            Node::Alternation(branches)
        })
    }

    fn skip_expanded(&mut self) {
        while self.options.expanded {
            match self.peek() {
                Some(blank) if blank.is_whitespace() => self.at += 1,
                Some('#') => {
                    while self.peek().is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                }
                _ => break,
            }
        }
        while self.starts_with("(?#") {
            while self.peek().is_some_and(|c| c != ')') {
                self.at += 1;
            }
            self.at += 1;
        }
    }

    fn branch(&mut self) -> Result<Node, EvalError> {
        let mut parts = Vec::new();
        loop {
            self.skip_expanded();
            match self.peek() {
                None | Some('|') => break,
                Some(')') if self.depth > 1 => break,
                _ => {
                    let atom = self.atom()?;
                    self.skip_expanded();
                    parts.push(self.quantified(atom)?);
                }
            }
        }
        Ok(match parts.len() {
            0 => Node::Empty,
            1 => parts.pop().unwrap_or(Node::Empty),
            _ => Node::Concatenation(parts),
        })
    }

    fn quantified(&mut self, atom: Node) -> Result<Node, EvalError> {
        let (least, most) = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') if self.pattern.get(self.at + 1).is_some_and(char::is_ascii_digit) => {
                self.at += 1;
                let least = self.number()?;
                let most = if self.take(',') {
                    if self.peek() == Some('}') { None } else { Some(self.number()?) }
                } else {
                    Some(least)
                };
                if self.peek().is_none() {
                    return Err(invalid("braces {} not balanced"));
                }
                if self.peek() != Some('}') {
                    return Err(invalid("invalid repetition count(s)"));
                }
                if most.is_some_and(|most| most < least) {
                    return Err(invalid("invalid repetition count(s)"));
                }
                (least, most)
            }
            _ => return Ok(atom),
        };
        self.at += 1;
        if matches!(atom, Node::Assertion(_) | Node::Look { .. }) {
            return Err(invalid("quantifier operand invalid"));
        }
        let short = self.take('?');
        if matches!(self.peek(), Some('*' | '+' | '?')) {
            return Err(invalid("quantifier operand invalid"));
        }
        Ok(Node::Repeat { node: Box::new(atom), least, most, short })
    }

    fn number(&mut self) -> Result<u32, EvalError> {
        let mut value = 0;
        let start = self.at;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
            value = value * 10 + digit;
            if value > REPEAT_MAX {
                return Err(invalid("invalid repetition count(s)"));
            }
            self.at += 1;
        }
        if self.at == start {
            return Err(invalid("invalid repetition count(s)"));
        }
        Ok(value)
    }

    fn atom(&mut self) -> Result<Node, EvalError> {
        let Some(character) = self.peek() else { return Ok(Node::Empty) };
        self.at += 1;
        match character {
            '(' => self.parentheses(),
            '[' => self.brackets(),
            '.' => Ok(Node::Any),
            '^' => Ok(Node::Assertion(Assertion::LineStart)),
            '$' => Ok(Node::Assertion(Assertion::LineEnd)),
            '\\' => self.escape(),
            '*' | '+' | '?' => Err(invalid("quantifier operand invalid")),
            '{' if self.peek().is_some_and(|c| c.is_ascii_digit()) => {
                Err(invalid("quantifier operand invalid"))
            }
            ')' => Err(invalid("parentheses () not balanced")),
            other => Ok(Node::Character(other)),
        }
    }

    fn parentheses(&mut self) -> Result<Node, EvalError> {
        enum Kind {
            Group(usize),
            Plain,
            Look(bool),
        }
        let kind = if self.take('?') {
            let letter = self.peek();
            self.at += 1;
            match letter {
                Some(':') => Kind::Plain,
                Some('=') => Kind::Look(false),
                Some('!') => Kind::Look(true),
                Some('<') => return Err(unsupported("lookbehind constraints")),
                _ => return Err(invalid("quantifier operand invalid")),
            }
        } else {
            self.groups += 1;
            Kind::Group(self.groups)
        };
        let node = Box::new(self.alternation()?);
        if !self.take(')') {
            return Err(invalid("parentheses () not balanced"));
        }
        Ok(match kind {
            Kind::Group(index) => Node::Group { node, index },
            Kind::Plain => Node::Plain(node),
            Kind::Look(negated) => Node::Look { node, negated },
        })
    }

    fn hexadecimal(&mut self, digits: usize) -> Result<char, EvalError> {
        let escape = || invalid("invalid escape \\ sequence");
        let mut code = 0;
        for _ in 0..digits {
            let digit = self.peek().and_then(|c| c.to_digit(16)).ok_or_else(escape)?;
            code = code * 16 + digit;
            self.at += 1;
        }
        char::from_u32(code).ok_or_else(escape)
    }

    /// A character named by an escape, valid in and out of brackets; nothing if the letter names something else.
    fn character_escape(&mut self, letter: char) -> Result<Option<char>, EvalError> {
        Ok(Some(match letter {
            'a' => '\x07',
            'b' => '\x08',
            'B' => '\\',
            'c' => {
                let control = self.peek().ok_or_else(|| invalid("invalid escape \\ sequence"))?;
                self.at += 1;
                char::from((control as u32 & 0x1f) as u8)
            }
            'e' => '\x1b',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            'u' => self.hexadecimal(4)?,
            'U' => self.hexadecimal(8)?,
            'x' => {
                let mut code = 0u32;
                let start = self.at;
                while let Some(digit) = self.peek().and_then(|c| c.to_digit(16)) {
                    code = code.saturating_mul(16).saturating_add(digit);
                    self.at += 1;
                }
                if start == self.at {
                    return Err(invalid("invalid escape \\ sequence"));
                }
                char::from_u32(code).ok_or_else(|| invalid("invalid escape \\ sequence"))?
            }
            '0' => {
                let mut code = 0;
                for _ in 0..2 {
                    let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) else { break };
                    code = code * 8 + digit;
                    self.at += 1;
                }
                char::from_u32(code).ok_or_else(|| invalid("invalid escape \\ sequence"))?
            }
            other if !other.is_ascii_alphanumeric() => other,
            _ => return Ok(None),
        }))
    }

    fn class_escape(letter: char) -> Option<(Class, bool)> {
        Some(match letter {
            'd' => (Class::Digit, false),
            's' => (Class::Space, false),
            'w' => (Class::Word, false),
            'D' => (Class::Digit, true),
            'S' => (Class::Space, true),
            'W' => (Class::Word, true),
            _ => return None,
        })
    }

    fn escape(&mut self) -> Result<Node, EvalError> {
        let letter = self.peek().ok_or_else(|| invalid("invalid escape \\ sequence"))?;
        self.at += 1;
        if let Some((class, negated)) = Parser::class_escape(letter) {
            return Ok(Node::Set(CharacterSet {
                classes: Vec::from([(class, false)]),
                negated,
                stops_at_newline: self.options.dot_stops,
                ..CharacterSet::default()
            }));
        }
        let assertion = match letter {
            'A' => Some(Assertion::TextStart),
            'Z' => Some(Assertion::TextEnd),
            'm' => Some(Assertion::WordStart),
            'M' => Some(Assertion::WordEnd),
            'y' => Some(Assertion::WordEdge),
            'Y' => Some(Assertion::NotWordEdge),
            _ => None,
        };
        if let Some(assertion) = assertion {
            return Ok(Node::Assertion(assertion));
        }
        if matches!(letter, '1'..='9') {
            return Err(unsupported("back references"));
        }
        match self.character_escape(letter)? {
            Some(character) => Ok(Node::Character(character)),
            None => Err(invalid("invalid escape \\ sequence")),
        }
    }

    fn brackets(&mut self) -> Result<Node, EvalError> {
        for (text, assertion) in [("[:<:]]", Assertion::WordStart), ("[:>:]]", Assertion::WordEnd)]
        {
            if self.starts_with(text) {
                self.at += text.len();
                return Ok(Node::Assertion(assertion));
            }
        }
        let mut set = CharacterSet {
            negated: self.take('^'),
            stops_at_newline: self.options.dot_stops,
            ..CharacterSet::default()
        };
        let mut first = true;
        loop {
            let character = self.peek().ok_or_else(|| invalid("brackets [] not balanced"))?;
            if character == ']' && !first {
                self.at += 1;
                return Ok(Node::Set(set));
            }
            first = false;
            let Some(low) = self.bracket_element(&mut set)? else { continue };
            let ranged = self.peek() == Some('-')
                && self.pattern.get(self.at + 1).is_some_and(|c| *c != ']');
            if !ranged {
                set.ranges.push((low, low));
                continue;
            }
            self.at += 1;
            let high = self
                .bracket_element(&mut set)?
                .ok_or_else(|| invalid("invalid character range"))?;
            if high < low {
                return Err(invalid("invalid character range"));
            }
            set.ranges.push((low, high));
        }
    }

    /// One character, or nothing if a class was added.
    fn bracket_element(&mut self, set: &mut CharacterSet) -> Result<Option<char>, EvalError> {
        let character = self.peek().ok_or_else(|| invalid("brackets [] not balanced"))?;
        self.at += 1;
        if character == '\\' {
            let letter = self.peek().ok_or_else(|| invalid("invalid escape \\ sequence"))?;
            self.at += 1;
            if let Some(class) = Parser::class_escape(letter) {
                set.classes.push(class);
                return Ok(None);
            }
            return match self.character_escape(letter)? {
                Some(character) => Ok(Some(character)),
                None => Err(invalid("invalid escape \\ sequence")),
            };
        }
        let kind = match (character, self.peek()) {
            ('[', Some(kind @ (':' | '.' | '='))) => kind,
            _ => return Ok(Some(character)),
        };
        self.at += 1;
        let start = self.at;
        let close = [kind, ']'];
        while !self.pattern[self.at.min(self.pattern.len())..].starts_with(&close) {
            if self.at >= self.pattern.len() {
                return Err(invalid("brackets [] not balanced"));
            }
            self.at += 1;
        }
        let name: String = self.pattern[start..self.at].iter().collect();
        self.at += 2;
        if kind == ':' {
            let class = Class::named(&name).ok_or_else(|| invalid("invalid character class"))?;
            set.classes.push((class, false));
            return Ok(None);
        }
        let mut letters = name.chars();
        match (letters.next(), letters.next()) {
            (Some(only), None) => Ok(Some(only)),
            _ => Err(invalid("invalid collating element")),
        }
    }
}

impl Options {
    /// Applies one letter; false if it is not an option.
    pub(in crate::library) fn apply(&mut self, letter: char) -> bool {
        match letter {
            'i' => self.ignore_case = true,
            'c' => self.ignore_case = false,
            'n' | 'm' => (self.dot_stops, self.anchors_lines) = (true, true),
            'p' => (self.dot_stops, self.anchors_lines) = (true, false),
            'w' => (self.dot_stops, self.anchors_lines) = (false, true),
            's' => (self.dot_stops, self.anchors_lines) = (false, false),
            'x' => self.expanded = true,
            't' => self.expanded = false,
            'q' => self.literal = true,
            'e' | 'b' => {}
            _ => return false,
        }
        true
    }
}
