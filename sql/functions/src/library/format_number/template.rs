//! A template of `to_char` and `to_number` for numbers.

use crate::EvalError;
use alloc::vec::Vec;
use types::SqlState;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Nine,
    Zero,
    Point,
    Comma,
    Currency,
    /// `MI`
    Minus,
    /// `PL`
    Plus,
    /// `SG`
    SignHere,
    /// `S`, which stands before the first or after the last digit.
    Sign,
    Roman {
        upper: bool,
    },
    Ordinal {
        upper: bool,
    },
    Literal(char),
}

/// What follows the last digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TrailingSign {
    None,
    Sign,
}

#[derive(Debug)]
pub(super) struct Template {
    pub(super) items: Vec<Item>,
    /// Digits before the point, without those after `V`.
    pub(super) whole: usize,
    pub(super) fraction: usize,
    /// Digits after `V`.
    pub(super) shift: usize,
    pub(super) point: bool,
    /// Place of the first `0` before the point.
    pub(super) first_zero: Option<usize>,
    /// One past the place of the last `0`.
    pub(super) last_zero: usize,
    /// Without `FM`.
    pub(super) fill: bool,
    pub(super) leading_sign: bool,
    pub(super) trailing: TrailingSign,
    pub(super) bracket: bool,
    pub(super) minus: bool,
    pub(super) plus: bool,
    pub(super) roman: bool,
    pub(super) scientific: bool,
    multiplied: bool,
    /// Digits before the `S`.
    sign_at: usize,
}

#[cold]
fn refuse(message: &'static str) -> EvalError {
    EvalError::new(SqlState::SYNTAX_ERROR, message)
}

/// Patterns with their lengths, longest first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Item(Item),
    Fill,
    Sign,
    Bracket,
    Multiply,
    Scientific,
    Blank,
}

fn word_at(text: &str) -> Option<(Word, usize)> {
    const WORDS: &[(&str, Word)] = &[
        ("EEEE", Word::Scientific),
        ("FM", Word::Fill),
        ("MI", Word::Item(Item::Minus)),
        ("PL", Word::Item(Item::Plus)),
        ("PR", Word::Bracket),
        ("RN", Word::Item(Item::Roman { upper: true })),
        ("SG", Word::Item(Item::SignHere)),
        ("SP", Word::Blank),
        ("TH", Word::Item(Item::Ordinal { upper: true })),
        ("9", Word::Item(Item::Nine)),
        ("0", Word::Item(Item::Zero)),
        (".", Word::Item(Item::Point)),
        (",", Word::Item(Item::Comma)),
        ("B", Word::Blank),
        ("D", Word::Item(Item::Point)),
        ("G", Word::Item(Item::Comma)),
        ("L", Word::Item(Item::Currency)),
        ("S", Word::Sign),
        ("V", Word::Multiply),
    ];
    for (name, word) in WORDS {
        let Some(head) = text.get(..name.len()) else { continue };
        if head == *name || head == name.to_ascii_lowercase() {
            let lower = head != *name;
            let word = match word {
                Word::Item(Item::Roman { .. }) => Word::Item(Item::Roman { upper: !lower }),
                Word::Item(Item::Ordinal { .. }) => Word::Item(Item::Ordinal { upper: !lower }),
                other => *other,
            };
            return Some((word, name.len()));
        }
    }
    None
}

impl Template {
    /// # Errors
    /// 42601 for patterns that exclude each other.
    pub(super) fn parse(format: &str) -> Result<Template, EvalError> {
        let mut template = Template {
            items: Vec::new(),
            whole: 0,
            fraction: 0,
            shift: 0,
            point: false,
            first_zero: None,
            last_zero: 0,
            fill: true,
            leading_sign: false,
            trailing: TrailingSign::None,
            bracket: false,
            minus: false,
            plus: false,
            roman: false,
            scientific: false,
            multiplied: false,
            sign_at: 0,
        };
        let mut rest = format;
        while !rest.is_empty() {
            if let Some((word, length)) = word_at(rest) {
                template.word(word)?;
                rest = &rest[length..];
                continue;
            }
            rest = template.literal(rest);
        }
        // S after all digits stands behind them.
        let places = template.whole + template.shift;
        if template.leading_sign && template.sign_at == places && !template.point {
            template.leading_sign = false;
            template.trailing = TrailingSign::Sign;
        }
        Ok(template)
    }

    fn literal<'a>(&mut self, text: &'a str) -> &'a str {
        let mut letters = text.char_indices();
        let Some((_, first)) = letters.next() else { return "" };
        if first == '\\' && text[1..].starts_with('"') {
            self.items.push(Item::Literal('"'));
            return &text[2..];
        }
        if first != '"' {
            self.items.push(Item::Literal(first));
            return &text[first.len_utf8()..];
        }
        let mut escaped = false;
        for (at, letter) in letters {
            if escaped {
                escaped = false;
                self.items.push(Item::Literal(letter));
            } else if letter == '\\' {
                escaped = true;
            } else if letter == '"' {
                return &text[at + 1..];
            } else {
                self.items.push(Item::Literal(letter));
            }
        }
        ""
    }

    fn word(&mut self, word: Word) -> Result<(), EvalError> {
        if self.scientific && word != Word::Scientific {
            return Err(refuse("\"EEEE\" must be the last pattern used"));
        }
        match word {
            Word::Item(item @ (Item::Nine | Item::Zero)) => {
                if self.bracket {
                    return Err(refuse(if item == Item::Zero {
                        "\"0\" must be ahead of \"PR\""
                    } else {
                        "\"9\" must be ahead of \"PR\""
                    }));
                }
                self.digit(item);
            }
            Word::Item(item) => {
                self.item(item)?;
                self.items.push(item);
            }
            Word::Fill => self.fill = false,
            Word::Blank => {}
            Word::Sign => {
                if self.leading_sign || self.trailing == TrailingSign::Sign {
                    return Err(refuse("cannot use \"S\" twice"));
                }
                if self.plus || self.minus || self.bracket {
                    return Err(refuse(
                        "cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together",
                    ));
                }
                self.items.push(Item::Sign);
                if self.point {
                    self.trailing = TrailingSign::Sign;
                } else {
                    self.leading_sign = true;
                    self.sign_at = self.whole + self.shift;
                }
            }
            Word::Bracket => {
                if self.signed() || self.plus || self.minus {
                    return Err(refuse(
                        "cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together",
                    ));
                }
                self.bracket = true;
            }
            Word::Multiply => {
                if self.point {
                    return Err(refuse("cannot use \"V\" and decimal point together"));
                }
                self.multiplied = true;
            }
            Word::Scientific => {
                if self.scientific {
                    return Err(refuse("cannot use \"EEEE\" twice"));
                }
                if !self.fill
                    || self.signed()
                    || self.bracket
                    || self.minus
                    || self.plus
                    || self.roman
                    || self.multiplied
                {
                    return Err(refuse("\"EEEE\" is incompatible with other formats").with_detail(
                        "\"EEEE\" may only be used together with digit and decimal point patterns.",
                    ));
                }
                self.scientific = true;
            }
        }
        Ok(())
    }

    const fn signed(&self) -> bool {
        self.leading_sign || matches!(self.trailing, TrailingSign::Sign)
    }

    /// Whether a pattern of its own writes the sign: then the digits carry none.
    pub(super) const fn sign_outside(&self) -> bool {
        self.minus
    }

    fn digit(&mut self, item: Item) {
        let place = self.whole + self.shift + self.fraction;
        if item == Item::Zero {
            if !self.point && self.first_zero.is_none() {
                self.first_zero = Some(place);
            }
            self.last_zero = place + 1;
        }
        if self.point {
            self.fraction += 1;
        } else if self.multiplied {
            self.shift += 1;
        } else {
            self.whole += 1;
        }
        self.items.push(item);
    }

    fn item(&mut self, item: Item) -> Result<(), EvalError> {
        match item {
            Item::Point => {
                if self.point {
                    return Err(refuse("multiple decimal points"));
                }
                if self.multiplied {
                    return Err(refuse("cannot use \"V\" and decimal point together"));
                }
                self.point = true;
            }
            Item::Minus => {
                if self.signed() {
                    return Err(refuse("cannot use \"S\" and \"MI\" together"));
                }
                self.minus = true;
            }
            Item::Plus => {
                if self.signed() {
                    return Err(refuse("cannot use \"S\" and \"PL\" together"));
                }
                self.plus = true;
            }
            Item::SignHere => {
                if self.signed() {
                    return Err(refuse("cannot use \"S\" and \"SG\" together"));
                }
                (self.minus, self.plus) = (true, true);
            }
            Item::Roman { .. } => self.roman = true,
            _ => {}
        }
        Ok(())
    }
}
