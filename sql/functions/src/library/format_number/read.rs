//! `to_number`: reading a number along a template.

use super::template::{Item, Template, TrailingSign};
use crate::EvalError;
use alloc::string::String;
use types::{Numeric, SqlState};

/// Reads as far as the template and the text go; NULL for an empty template.
pub(super) fn read(text: &str, format: &str) -> Result<Option<Numeric>, EvalError> {
    if format.is_empty() {
        return Ok(None);
    }
    let template = Template::parse(format)?;
    if template.roman {
        return Err(EvalError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "\"RN\" not supported for input",
        ));
    }
    if template.scientific {
        return Err(EvalError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "\"EEEE\" not supported for input",
        ));
    }
    let mut reader =
        Reader { rest: text, number: String::new(), negative: false, point: false, digits: 0 };
    for item in &template.items {
        if reader.rest.is_empty() {
            break;
        }
        reader.item(item, &template);
    }
    // A sign behind the digits.
    let signed = template.trailing == TrailingSign::Sign
        || template.leading_sign
        || template.minus
        || template.bracket;
    if signed && reader.rest.trim_start().starts_with('-') {
        reader.negative = true;
    }
    let mut number = reader.number;
    if number.ends_with('.') {
        number.pop();
    }
    if number.is_empty() || number == "." {
        let shown = if reader.negative { "-" } else { " " };
        return Err(EvalError::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            alloc::format!("invalid input syntax for type numeric: \"{shown}\""),
        ));
    }
    let value = Numeric::parse(&number)?;
    let value = if reader.negative { value.negated() } else { value };
    let value = match template.shift {
        0 => value,
        shift => value.div(&Numeric::parse(&alloc::format!("1e{shift}"))?)?,
    };
    Ok(Some(value))
}

struct Reader<'a> {
    rest: &'a str,
    number: String,
    negative: bool,
    point: bool,
    digits: usize,
}

impl Reader<'_> {
    fn skip(&mut self) {
        let mut letters = self.rest.chars();
        letters.next();
        self.rest = letters.as_str();
    }

    fn item(&mut self, item: &Item, template: &Template) {
        match item {
            Item::Nine | Item::Zero => self.digit(template),
            Item::Point => {
                if self.rest.starts_with('.') && !self.point {
                    self.skip();
                    self.point = true;
                    self.number.push('.');
                }
            }
            Item::Comma => {
                if self.rest.starts_with(',') {
                    self.skip();
                }
            }
            Item::Minus | Item::SignHere | Item::Plus | Item::Sign => {
                if let Some(sign @ ('-' | '+')) = self.rest.chars().next() {
                    self.negative |= sign == '-';
                    self.skip();
                }
            }
            Item::Ordinal { .. } => {
                if self.rest.bytes().take(2).all(|byte| byte.is_ascii_alphabetic()) {
                    self.skip();
                    self.skip();
                }
            }
            Item::Currency | Item::Literal(_) | Item::Roman { .. } => {
                // One character of text for one of the template, unless it belongs to the number.
                let belongs = self.rest.starts_with(|c: char| {
                    c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | ',')
                });
                if !belongs {
                    self.skip();
                }
            }
        }
    }

    fn digit(&mut self, template: &Template) {
        while self.rest.starts_with(' ') {
            self.skip();
        }
        if self.digits == 0 && self.number.is_empty() {
            match self.rest.chars().next() {
                Some('-') => {
                    self.negative = true;
                    self.skip();
                }
                Some('+') => self.skip(),
                Some('<') if template.bracket => {
                    self.negative = true;
                    self.skip();
                }
                _ => {}
            }
        }
        match self.rest.chars().next() {
            Some(digit) if digit.is_ascii_digit() => {
                self.number.push(digit);
                self.digits += 1;
                self.skip();
            }
            Some('.') if template.point && !self.point => {
                self.point = true;
                self.number.push('.');
                self.skip();
            }
            _ => {}
        }
    }
}
