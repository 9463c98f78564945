//! `to_char` of numbers and `to_number`. Source: PostgreSQL 15 documentation, 9.8, tables 9.30 and 9.31, and the answers of a running server.

mod read;
mod template;

use super::{float, numeric};
use crate::EvalError;
use alloc::format;
use alloc::string::{String, ToString};
use template::{Item, Template, TrailingSign};
use types::numeric::NumericKind;
use types::{Numeric, SqlState};

functions! {
    fn numeric_to_char(a: &Numeric, format: &str) -> String { of_numeric(a, format) }
    fn int4_to_char(a: i32, format: &str) -> String {
        of_numeric(&Numeric::from_i128(i128::from(a)), format)
    }
    fn int8_to_char(a: i64, format: &str) -> String {
        of_numeric(&Numeric::from_i128(i128::from(a)), format)
    }
    fn float4_to_char(a: f32, format: &str) -> String { of_float(f64::from(a), format, 6) }
    fn float8_to_char(a: f64, format: &str) -> String { of_float(a, format, 15) }
    fn numeric_to_number(text: &str, format: &str) -> Option<Numeric> { read::read(text, format) }
}

/// Digits of a number before and after the point, as they will be laid out.
struct Digits {
    negative: bool,
    whole: String,
    fraction: String,
}

impl Digits {
    fn of_text(text: &str, fraction_digits: usize) -> Digits {
        let (negative, magnitude) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = magnitude.split_once('.').unwrap_or((magnitude, ""));
        let mut fraction = fraction.to_string();
        if whole.bytes().all(|byte| byte.is_ascii_digit()) {
            while fraction.len() < fraction_digits {
                fraction.push('0');
            }
        }
        Digits { negative, whole: whole.to_string(), fraction }
    }
}

fn refuse_ordinal_of_nan(template: &Template, nan: bool) -> Result<(), EvalError> {
    let ordinal = template.items.iter().any(|item| matches!(item, Item::Ordinal { .. }));
    if nan && ordinal && !template.point && !template.roman {
        return Err(EvalError::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            "\"NaN\" is not a number",
        ));
    }
    Ok(())
}

fn ten_to(power: usize) -> Result<Numeric, EvalError> {
    Numeric::parse(&format!("1e{power}"))
}

fn of_numeric(number: &Numeric, format: &str) -> Result<String, EvalError> {
    let template = Template::parse(format)?;
    refuse_ordinal_of_nan(&template, number.kind() == NumericKind::NaN)?;
    if template.roman {
        return Ok(roman(&template, numeric::to_integer(number, "integer")?));
    }
    if template.scientific {
        return Ok(scientific_numeric(&template, number));
    }
    let scaled = number.mul(&ten_to(template.shift)?)?;
    let rounded = scaled.rounded(template.fraction as i32);
    let digits = Digits::of_text(&numeric::text(&rounded), template.fraction);
    Ok(lay_out(&template, digits, template.fraction))
}

fn of_float(number: f64, format: &str, precision: usize) -> Result<String, EvalError> {
    let template = Template::parse(format)?;
    refuse_ordinal_of_nan(&template, number.is_nan())?;
    if template.roman {
        let rounded = libm::rint(number);
        let known = (-2_147_483_648.0..2_147_483_648.0).contains(&rounded);
        return Ok(roman(&template, if known { rounded as i32 } else { 0 }));
    }
    if template.scientific {
        if !number.is_finite() {
            return Ok(scientific_hashes(&template));
        }
        let text = format!("{:.*e}", template.fraction, number);
        return Ok(scientific(&text));
    }
    let scaled = number * libm::exp10(template.shift as f64);
    if scaled.is_infinite() && number.is_finite() {
        return Err(float::overflow());
    }
    // Decimals beyond what the type can tell are not asked for.
    let whole_digits = if scaled.is_finite() {
        format!("{:.0}", scaled.abs()).len()
    } else if scaled.is_nan() {
        "NaN".len()
    } else {
        "Infinity".len()
    };
    let decimals =
        if whole_digits >= precision { 0 } else { template.fraction.min(precision - whole_digits) };
    let text = if scaled.is_nan() {
        "NaN".to_string()
    } else if scaled.is_infinite() {
        if scaled < 0.0 { "-Infinity".to_string() } else { "Infinity".to_string() }
    } else {
        format!("{scaled:.decimals$}")
    };
    Ok(lay_out(&template, Digits::of_text(&text, decimals), decimals))
}

fn scientific_hashes(template: &Template) -> String {
    let mut out = String::from(" ");
    for place in 0..template.whole + template.fraction + 5 {
        out.push(if place == template.whole { '.' } else { '#' });
    }
    out
}

/// `d.ddde±xx` with a blank in front of what is not negative.
fn scientific(text: &str) -> String {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let blank = if mantissa.starts_with('-') { "" } else { " " };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{blank}{mantissa}e{sign}{:02}", exponent.abs())
}

fn scientific_numeric(template: &Template, number: &Numeric) -> String {
    if !number.is_finite() {
        return scientific_hashes(template);
    }
    let decimals = template.fraction as i32;
    let Some(first) = number.digits().first() else {
        return scientific(&format!("{:.*e}", template.fraction, 0.0));
    };
    let lead = if *first >= 1000 {
        3
    } else if *first >= 100 {
        2
    } else {
        i32::from(*first >= 10)
    };
    let exponent = i32::from(number.weight()) * 4 + lead;
    let mantissa = |exponent: i32| {
        let power = Numeric::parse(&format!("1e{exponent}")).unwrap_or(Numeric::ZERO);
        // A power of ten divides exactly; many decimals keep the rounding to the last one.
        number.rounded(decimals - exponent).div(&power).map(|quotient| quotient.rounded(decimals))
    };
    // PostgreSQL does not carry a mantissa that rounds up to ten into the exponent.
    let shown = mantissa(exponent).unwrap_or(Numeric::ZERO);
    scientific(&format!("{}e{exponent}", numeric::text(&shown)))
}

fn roman(template: &Template, number: i32) -> String {
    const PLACES: [[&str; 10]; 3] = [
        ["", "C", "CC", "CCC", "CD", "D", "DC", "DCC", "DCCC", "CM"],
        ["", "X", "XX", "XXX", "XL", "L", "LX", "LXX", "LXXX", "XC"],
        ["", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"],
    ];
    const WIDTH: usize = 15;
    let upper = if (1..4000).contains(&number) {
        let mut text = "M".repeat((number / 1000) as usize);
        for (place, names) in PLACES.iter().enumerate() {
            let digit = number / 10i32.pow(2 - place as u32) % 10;
            text.push_str(names[digit as usize]);
        }
        text
    } else {
        "#".repeat(WIDTH)
    };
    let mut out = String::new();
    for item in &template.items {
        match item {
            Item::Roman { upper: wants_upper } => {
                let text = if *wants_upper { upper.clone() } else { upper.to_lowercase() };
                if template.fill {
                    out.push_str(&format!("{text:>WIDTH$}"));
                } else {
                    out.push_str(&text);
                }
            }
            Item::Literal(character) => out.push(*character),
            _ => {}
        }
    }
    out
}

/// What is known while the digits are laid out.
struct Layout<'a> {
    template: &'a Template,
    digits: Digits,
    /// Places before the number's first digit.
    pad: usize,
    /// Digits after the point that are written (with FM, trailing zeroes are not).
    fraction_kept: usize,
    sign_written: bool,
    /// Whether the place before was a digit: decides between a comma and a blank.
    inside: bool,
    hashes: bool,
    out: String,
}

fn lay_out(template: &Template, mut digits: Digits, decimals: usize) -> String {
    let places = template.whole + template.shift;
    let hashes = digits.whole.len() > places;
    if hashes {
        digits.whole = "#".repeat(places);
        digits.fraction = "#".repeat(decimals);
    }
    let pad = places - digits.whole.len();
    let relevant = digits.fraction.bytes().rposition(|digit| digit != b'0').map_or(0, |at| at + 1);
    let forced = template.last_zero.saturating_sub(template.whole).min(digits.fraction.len());
    let fraction_kept =
        if template.fill || !template.point { digits.fraction.len() } else { relevant.max(forced) };
    let mut layout = Layout {
        template,
        digits,
        pad,
        fraction_kept,
        sign_written: template.sign_outside(),
        inside: false,
        hashes,
        out: String::new(),
    };
    let mut place = 0;
    for item in &template.items {
        match item {
            Item::Nine | Item::Zero => {
                layout.digit(place, *item == Item::Zero);
                place += 1;
                if place == places + template.fraction {
                    layout.trailing_sign();
                }
            }
            Item::Point => {
                layout.point();
                if place == places + template.fraction {
                    layout.trailing_sign();
                }
            }
            _ => layout.other(item),
        }
    }
    layout.out
}

impl Layout<'_> {
    fn sign(&self) -> char {
        if self.digits.negative { '-' } else { '+' }
    }

    /// The sign stands directly before the first digit.
    fn leading_sign(&mut self) {
        if self.sign_written {
            return;
        }
        let template = self.template;
        if template.trailing == TrailingSign::Sign {
            return;
        }
        self.sign_written = true;
        if template.leading_sign {
            self.out.push(self.sign());
        } else if template.bracket {
            if template.fill || self.digits.negative {
                self.out.push(if self.digits.negative { '<' } else { ' ' });
            }
        } else if self.digits.negative {
            self.out.push('-');
        } else if template.fill {
            self.out.push(' ');
        }
    }

    fn trailing_sign(&mut self) {
        match self.template.trailing {
            TrailingSign::Sign => self.out.push(self.sign()),
            TrailingSign::None if self.template.bracket => {
                if self.digits.negative {
                    self.out.push('>');
                } else if self.template.fill {
                    self.out.push(' ');
                }
            }
            TrailingSign::None => {}
        }
    }

    /// One place of a digit: blank, zero, or the number's own.
    fn digit(&mut self, place: usize, forced_zero: bool) {
        let template = self.template;
        let places = template.whole + template.shift;
        self.inside = false;
        if place < self.pad {
            if template.first_zero.is_some_and(|first| first <= place) {
                self.leading_sign();
                self.out.push('0');
                self.inside = true;
            } else if template.fill {
                self.out.push(' ');
            }
            return;
        }
        if place < places {
            let digit = self.digits.whole.as_bytes().get(place - self.pad).copied().unwrap_or(b'0');
            // A lone zero before decimals is not written, unless nothing would be.
            let lone_zero =
                self.digits.whole == "0" && template.fraction > 0 && template.first_zero.is_none();
            if lone_zero {
                if template.fill {
                    self.out.push(' ');
                } else if self.fraction_kept == 0 {
                    self.leading_sign();
                    self.out.push('0');
                }
                return;
            }
            self.leading_sign();
            self.out.push(char::from(digit));
            self.inside = true;
            return;
        }
        let at = place - places;
        if at < self.fraction_kept || forced_zero && at < self.digits.fraction.len() {
            self.leading_sign();
            if let Some(digit) = self.digits.fraction.as_bytes().get(at) {
                self.out.push(char::from(*digit));
                self.inside = true;
            }
        }
    }

    fn point(&mut self) {
        self.leading_sign();
        // Without decimals there is nothing to separate, but hashes keep the shape of the template.
        if self.hashes || !self.digits.fraction.is_empty() {
            self.out.push('.');
        }
        self.inside = false;
    }

    fn other(&mut self, item: &Item) {
        let negative = self.digits.negative;
        match item {
            Item::Comma => {
                if self.inside {
                    self.out.push(',');
                } else if self.template.fill {
                    self.out.push(' ');
                }
            }
            Item::Currency => self.out.push(' '),
            Item::Minus => {
                if negative {
                    self.out.push('-');
                } else if self.template.fill {
                    self.out.push(' ');
                }
            }
            Item::Plus => {
                if !negative {
                    self.out.push('+');
                } else if self.template.fill {
                    self.out.push(' ');
                }
            }
            Item::SignHere => self.out.push(self.sign()),
            Item::Ordinal { upper } if !self.hashes && !negative && !self.template.point => {
                let suffix = ordinal(&self.digits.whole);
                if *upper {
                    self.out.push_str(&suffix.to_ascii_uppercase());
                } else {
                    self.out.push_str(suffix);
                }
            }
            Item::Literal(character) => self.out.push(*character),
            _ => {}
        }
    }
}

fn ordinal(digits: &str) -> &'static str {
    let bytes = digits.as_bytes();
    let teen = bytes.len() > 1 && bytes[bytes.len() - 2] == b'1';
    match bytes.last() {
        Some(b'1') if !teen => "st",
        Some(b'2') if !teen => "nd",
        Some(b'3') if !teen => "rd",
        _ => "th",
    }
}
