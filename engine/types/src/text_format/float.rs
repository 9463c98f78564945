//! Floats as text: the shortest digits that read back as the same number, as PostgreSQL prints them with `extra_float_digits` at 1.
//!
//! Among shortest forms PostgreSQL takes only those strictly inside the rounding interval; the standard library takes its end points too when the
//! significand is even. [`strictly_inside`] tells the two apart (1e23 is the classic).

use super::{invalid_input, trim};
use crate::{SqlState, ValueError};
use alloc::format;
use alloc::vec::Vec;
use core::fmt::Write;

/// Fits any `{:e}` form of a float with up to 17 digits.
struct Buffer {
    bytes: [u8; 40],
    used: usize,
}

impl Buffer {
    fn new() -> Buffer {
        Buffer { bytes: [0; 40], used: 0 }
    }

    fn text(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.used]).unwrap_or("0e0")
    }
}

impl Write for Buffer {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let end = self.used + text.len();
        let room = self.bytes.get_mut(self.used..end).ok_or(core::fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.used = end;
        Ok(())
    }
}

/// Appends a `double precision`.
pub fn append_float8(number: f64, out: &mut Vec<u8>) {
    if append_special(number, out) {
        return;
    }
    if number.abs() < 1e15 && number == number as i64 as f64 {
        if number == 0.0 && number.is_sign_negative() {
            out.push(b'-');
        }
        super::append_integer(number as i64, out);
        return;
    }
    let mut buffer = Buffer::new();
    // The buffer holds any float in this form.
    let _ = write!(buffer, "{:e}", number.abs());
    let even = number.to_bits() & 1 == 0;
    if even
        && !strictly_inside(buffer.text(), |text| text.parse::<f64>().ok() == Some(number.abs()))
    {
        for digits in 1..17 {
            let mut longer = Buffer::new();
            let _ = write!(longer, "{:.*e}", digits, number.abs());
            let same = |text: &str| text.parse::<f64>().ok() == Some(number.abs());
            if same(longer.text()) && strictly_inside(longer.text(), same) {
                buffer = longer;
                break;
            }
        }
    }
    let exact = |form: &mut Buffer80| write!(form, "{:.40e}", number.abs());
    even_tie(&mut buffer, exact, |text| text.parse::<f64>().ok() == Some(number.abs()));
    append_scientific(number < 0.0, buffer.text(), 15, out);
}

/// Appends a `real`.
pub fn append_float4(number: f32, out: &mut Vec<u8>) {
    if append_special(f64::from(number), out) {
        return;
    }
    let mut buffer = Buffer::new();
    let _ = write!(buffer, "{:e}", number.abs());
    let even = number.to_bits() & 1 == 0;
    if even
        && !strictly_inside(buffer.text(), |text| text.parse::<f32>().ok() == Some(number.abs()))
    {
        for digits in 1..9 {
            let mut longer = Buffer::new();
            let _ = write!(longer, "{:.*e}", digits, number.abs());
            let same = |text: &str| text.parse::<f32>().ok() == Some(number.abs());
            if same(longer.text()) && strictly_inside(longer.text(), same) {
                buffer = longer;
                break;
            }
        }
    }
    let exact = |form: &mut Buffer80| write!(form, "{:.40e}", number.abs());
    even_tie(&mut buffer, exact, |text| text.parse::<f32>().ok() == Some(number.abs()));
    append_scientific(number.is_sign_negative(), buffer.text(), 6, out);
}

fn append_special(number: f64, out: &mut Vec<u8>) -> bool {
    let word: &[u8] = if number.is_nan() {
        b"NaN"
    } else if number == f64::INFINITY {
        b"Infinity"
    } else if number == f64::NEG_INFINITY {
        b"-Infinity"
    } else {
        return false;
    };
    out.extend_from_slice(word);
    true
}

/// Whether a decimal of the form `d.ddde±x` is not an end point of the interval of decimals that read as the number: if it were, a little more on one
/// side would read as another.
fn strictly_inside(text: &str, reads_back: impl Fn(&str) -> bool) -> bool {
    let Some((digits, exponent)) = text.split_once('e') else { return true };
    // End points have few digits only for significands scaled by a small power of five; all others are long.
    let mut above: Buffer80 = Buffer80::new();
    let point = if digits.contains('.') { "" } else { "." };
    let _ = write!(above, "{digits}{point}{FILL}1e{exponent}");
    if !reads_back(above.text()) {
        return false;
    }
    let mut below = Buffer80::new();
    let _ = write!(below, "{digits}{point}");
    below.decrement();
    let _ = write!(below, "{NINES}e{exponent}");
    reads_back(below.text())
}

const FILL: &str = "000000000000000000000000";
const NINES: &str = "999999999999999999999999";

struct Buffer80 {
    bytes: [u8; 80],
    used: usize,
}

impl Buffer80 {
    fn new() -> Buffer80 {
        Buffer80 { bytes: [0; 80], used: 0 }
    }

    fn text(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.used]).unwrap_or("0")
    }

    /// Takes one from the last digit; the digits are not all zero.
    fn decrement(&mut self) {
        for byte in self.bytes[..self.used].iter_mut().rev() {
            match *byte {
                b'.' => {}
                b'0' => *byte = b'9',
                _ => {
                    *byte -= 1;
                    return;
                }
            }
        }
    }
}

impl Write for Buffer80 {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let end = self.used + text.len();
        let room = self.bytes.get_mut(self.used..end).ok_or(core::fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.used = end;
        Ok(())
    }
}

/// If the number lies exactly between the last digit and the one below it, the even digit is taken, as PostgreSQL does.
fn even_tie(
    buffer: &mut Buffer,
    write_exact: impl Fn(&mut Buffer80) -> core::fmt::Result,
    reads_back: impl Fn(&str) -> bool,
) {
    let Some(end) = buffer.text().find('e') else { return };
    let last = buffer.bytes[end - 1];
    // A tie needs nearly all digits of the number, and an odd last one.
    if end < 8 || last.is_multiple_of(2) {
        return;
    }
    let mut exact = Buffer80::new();
    if write_exact(&mut exact).is_err() {
        return;
    }
    let text = exact.text();
    let Some(rest) = text.get(end..).and_then(|tail| tail.split('e').next()) else { return };
    let tie = rest.starts_with('5') && rest[1..].bytes().all(|digit| digit == b'0');
    if tie && text.as_bytes()[end - 1] + 1 == last {
        buffer.bytes[end - 1] = last - 1;
        if !reads_back(buffer.text()) {
            buffer.bytes[end - 1] = last;
        }
    }
}

/// Lays out `d.ddde±x`: plain between 1e-4 and 10^`plain_below`, else with an exponent of at least two digits.
fn append_scientific(negative: bool, text: &str, plain_below: i32, out: &mut Vec<u8>) {
    if negative {
        out.push(b'-');
    }
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let mut digits = [0u8; 20];
    let mut count = 0;
    for byte in mantissa.bytes().filter(u8::is_ascii_digit).take(digits.len()) {
        digits[count] = byte;
        count += 1;
    }
    while count > 1 && digits[count - 1] == b'0' {
        count -= 1;
    }
    let digits = &digits[..count];
    if digits == b"0" {
        out.push(b'0');
    } else if (-4..0).contains(&exponent) {
        out.extend_from_slice(b"0.");
        for _ in 1..-exponent {
            out.push(b'0');
        }
        out.extend_from_slice(digits);
    } else if (0..plain_below).contains(&exponent) {
        let whole = exponent as usize + 1;
        if count <= whole {
            out.extend_from_slice(digits);
            out.resize(out.len() + whole - count, b'0');
        } else {
            out.extend_from_slice(&digits[..whole]);
            out.push(b'.');
            out.extend_from_slice(&digits[whole..]);
        }
    } else {
        out.push(digits[0]);
        if count > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        out.push(b'e');
        out.push(if exponent < 0 { b'-' } else { b'+' });
        if exponent.abs() < 10 {
            out.push(b'0');
        }
        super::append_integer(i64::from(exponent.abs()), out);
    }
}

/// The words and the shape that C's `strtod` takes; hexadecimal floats are read too.
fn shape(text: &str) -> Option<Shape<'_>> {
    let word = trim(text);
    let (negative, magnitude) = match word.as_bytes().first()? {
        b'-' => (true, &word[1..]),
        b'+' => (false, &word[1..]),
        _ => (false, word),
    };
    let is = |name: &str| magnitude.eq_ignore_ascii_case(name);
    if is("nan") {
        return Some(Shape::NaN);
    }
    if is("inf") || is("infinity") {
        return Some(Shape::Infinity { negative });
    }
    let (mantissa, exponent) = match magnitude.find(['e', 'E']) {
        Some(position) => (&magnitude[..position], Some(&magnitude[position + 1..])),
        None => (magnitude, None),
    };
    let mut digits = 0;
    let mut points = 0;
    let mut zero = true;
    for byte in mantissa.bytes() {
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                zero &= byte == b'0';
            }
            b'.' => points += 1,
            _ => return None,
        }
    }
    let exponent_is_right = exponent.is_none_or(|exponent| {
        let bare = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit())
    });
    if digits == 0 || points > 1 || !exponent_is_right {
        return None;
    }
    Some(Shape::Number { word, zero })
}

enum Shape<'a> {
    NaN,
    Infinity { negative: bool },
    Number { word: &'a str, zero: bool },
}

#[cold]
fn out_of_range(text: &str, type_name: &str) -> ValueError {
    ValueError::new(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        format!("\"{text}\" is out of range for type {type_name}"),
    )
}

macro_rules! parse {
    ($name:ident, $rust:ty, $type_name:literal, $doc:literal) => {
        #[doc = $doc]
        ///
        /// # Errors
        /// 22P02; 22003 if it overflows, or underflows to zero.
        pub fn $name(text: &str) -> Result<$rust, ValueError> {
            match shape(text).ok_or_else(|| invalid_input($type_name, text))? {
                Shape::NaN => Ok(<$rust>::NAN),
                Shape::Infinity { negative: true } => Ok(<$rust>::NEG_INFINITY),
                Shape::Infinity { negative: false } => Ok(<$rust>::INFINITY),
                Shape::Number { word, zero } => {
                    let number: $rust =
                        word.parse().map_err(|_| invalid_input($type_name, text))?;
                    if number.is_infinite() || (number == 0.0 && !zero) {
                        return Err(out_of_range(trim(text), $type_name));
                    }
                    Ok(number)
                }
            }
        }
    };
}

parse!(parse_float4, f32, "real", "Reads a `real`.");
parse!(parse_float8, f64, "double precision", "Reads a `double precision`.");
