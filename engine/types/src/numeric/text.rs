//! Numbers as text, and rounding to a declared precision.

use super::{DECIMALS_PER_DIGIT, DISPLAY_SCALE_MAX, Numeric, NumericKind};
use crate::text_format::{invalid_input, trim};
use crate::{SqlState, ValueError};
use alloc::format;
use alloc::vec::Vec;

/// Largest weight of a first digit.
pub(super) const WEIGHT_MAX: i32 = i16::MAX as i32;

/// 22003
#[cold]
pub(super) fn overflows_format() -> ValueError {
    ValueError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format")
}

impl Numeric {
    /// As [`Numeric::from_parts`], with the limits of the format as errors.
    ///
    /// # Errors
    /// 22003 if the number or its scale is too large.
    ///
    /// # Panics
    /// If a digit is outside the base.
    pub fn try_from_parts(
        negative: bool,
        weight: i32,
        display_scale: i32,
        digits: Vec<i16>,
    ) -> Result<Numeric, ValueError> {
        let leading = digits.iter().take_while(|digit| **digit == 0).count();
        let display_scale = u16::try_from(display_scale)
            .ok()
            .filter(|scale| *scale <= DISPLAY_SCALE_MAX)
            .ok_or_else(overflows_format)?;
        if leading < digits.len() {
            let first = weight - leading as i32;
            if !(i32::from(i16::MIN)..=WEIGHT_MAX).contains(&first) {
                return Err(overflows_format());
            }
        }
        Ok(Numeric::from_parts(negative, weight, display_scale, digits))
    }

    /// Appends the number with its display scale.
    pub fn append_text(&self, out: &mut Vec<u8>) {
        match self.kind {
            NumericKind::NaN => return out.extend_from_slice(b"NaN"),
            NumericKind::PositiveInfinity => return out.extend_from_slice(b"Infinity"),
            NumericKind::NegativeInfinity => return out.extend_from_slice(b"-Infinity"),
            NumericKind::Negative => out.push(b'-'),
            NumericKind::Positive => {}
        }
        let digit_at = |position: i32| -> i16 {
            usize::try_from(position).ok().and_then(|p| self.digits.get(p)).copied().unwrap_or(0)
        };
        let push = |digit: i16, from: usize, count: usize, out: &mut Vec<u8>| {
            let shown = [
                b'0' + (digit / 1000) as u8,
                b'0' + (digit / 100 % 10) as u8,
                b'0' + (digit / 10 % 10) as u8,
                b'0' + (digit % 10) as u8,
            ];
            out.extend_from_slice(&shown[from..from + count]);
        };
        let weight = i32::from(self.weight);
        if self.digits.is_empty() || weight < 0 {
            out.push(b'0');
        } else {
            let first = digit_at(0);
            let skip = if first >= 1000 {
                0
            } else if first >= 100 {
                1
            } else if first >= 10 {
                2
            } else {
                3
            };
            push(first, skip, 4 - skip, out);
            for position in 1..=weight {
                push(digit_at(position), 0, 4, out);
            }
        }
        if self.display_scale == 0 {
            return;
        }
        out.push(b'.');
        let mut left = usize::from(self.display_scale);
        if self.digits.is_empty() {
            out.resize(out.len() + left, b'0');
            return;
        }
        let mut group = -1;
        while left > 0 {
            let count = left.min(4);
            push(digit_at(weight - group), 0, count, out);
            group -= 1;
            left -= count;
        }
    }

    /// Reads a number.
    ///
    /// # Errors
    /// 22P02; 22003 if it is beyond the format.
    pub fn parse(text: &str) -> Result<Numeric, ValueError> {
        let invalid = || invalid_input("numeric", text);
        if let Some(plain) = parse_plain(text.as_bytes()) {
            return Ok(plain);
        }
        let word = trim(text);
        let (negative, magnitude) = match word.as_bytes().first() {
            Some(b'-') => (true, &word[1..]),
            Some(b'+') => (false, &word[1..]),
            _ => (false, word),
        };
        if !magnitude.as_bytes().first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'.')
        {
            if word.eq_ignore_ascii_case("nan") {
                return Ok(Numeric::NAN);
            }
            if magnitude.eq_ignore_ascii_case("inf") || magnitude.eq_ignore_ascii_case("infinity") {
                return Ok(Numeric::infinity(negative));
            }
            return Err(invalid());
        }
        let (mantissa, exponent) = match magnitude.find(['e', 'E']) {
            Some(position) => {
                let exponent = &magnitude[position + 1..];
                let bare = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
                if bare.is_empty() || !bare.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(invalid());
                }
                let value: i64 = bare.parse().unwrap_or(i64::MAX);
                if value >= i64::from(i32::MAX / 2) {
                    return Err(overflows_format());
                }
                let signed = if exponent.starts_with('-') { -value } else { value };
                (&magnitude[..position], signed)
            }
            None => (magnitude, 0),
        };
        let point = mantissa.find('.');
        let bytes = mantissa.bytes().filter(|byte| *byte != b'.');
        let decimal_digits: Vec<u8> = bytes.collect();
        let shaped = decimal_digits.iter().all(u8::is_ascii_digit)
            && decimal_digits.len() + usize::from(point.is_some()) == mantissa.len()
            && !decimal_digits.is_empty();
        if !shaped {
            return Err(invalid());
        }
        let whole = point.unwrap_or(mantissa.len()) as i64;
        let after_point = decimal_digits.len() as i64 - whole;
        let display_scale = (after_point - exponent).max(0);
        // Decimal position of the first digit: 0 is the ones.
        let first_position = whole - 1 + exponent;
        Numeric::from_decimal(negative, first_position, display_scale, &decimal_digits)
    }

    /// A number from ASCII decimal digits, the first of which has the weight 10^`first_position`.
    fn from_decimal(
        negative: bool,
        first_position: i64,
        display_scale: i64,
        decimal_digits: &[u8],
    ) -> Result<Numeric, ValueError> {
        let zeroes = decimal_digits.iter().take_while(|digit| **digit == b'0').count();
        let decimal_digits = &decimal_digits[zeroes..];
        let display_scale = i32::try_from(display_scale).map_err(|_| overflows_format())?;
        if decimal_digits.is_empty() {
            return Numeric::try_from_parts(false, 0, display_scale, Vec::new());
        }
        let first_position = first_position - zeroes as i64;
        let group = i64::from(DECIMALS_PER_DIGIT);
        let weight = first_position.div_euclid(group);
        let lead = first_position.rem_euclid(group) as usize + 1;
        let weight = i32::try_from(weight)
            .ok()
            .filter(|weight| *weight <= WEIGHT_MAX)
            .ok_or_else(overflows_format)?;
        let mut digits = Vec::with_capacity(decimal_digits.len() / 4 + 2);
        let (head, tail) = decimal_digits.split_at(lead.min(decimal_digits.len()));
        let value = |chunk: &[u8], width: usize| -> i16 {
            let mut value = 0i16;
            for position in 0..width {
                let digit = chunk.get(position).map_or(0, |byte| i16::from(byte - b'0'));
                value = value * 10 + digit;
            }
            value
        };
        digits.push(value(head, lead));
        for chunk in tail.chunks(4) {
            digits.push(value(chunk, 4));
        }
        Numeric::try_from_parts(negative, weight, display_scale, digits)
    }

    /// Rounds to `scale` decimals (negative: to tens, hundreds, …), halves away from zero; the display scale becomes `scale`, at least zero.
    pub fn rounded(&self, scale: i32) -> Numeric {
        self.cut(scale, Cut::Round)
    }

    /// Drops what is beyond `scale` decimals.
    pub fn truncated(&self, scale: i32) -> Numeric {
        self.cut(scale, Cut::Truncate)
    }

    fn cut(&self, scale: i32, how: Cut) -> Numeric {
        if !self.is_finite() {
            return self.clone();
        }
        let shown = scale.clamp(0, i32::from(DISPLAY_SCALE_MAX)) as u16;
        let kept = (i32::from(self.weight) + 1) * DECIMALS_PER_DIGIT + scale;
        if self.digits.is_empty() || kept < 0 {
            return Numeric::ZERO.with_display_scale(shown);
        }
        let (whole, part) = (kept as usize / 4, kept as usize % 4);
        if whole >= self.digits.len() {
            return self.clone().with_display_scale(shown);
        }
        let unit = 10i16.pow(4 - part as u32);
        let split = self.digits[whole];
        let mut digits = self.digits[..whole].to_vec();
        let (low, up) = if part == 0 {
            (0, split >= 5000)
        } else {
            (split - split % unit, split % unit >= unit / 2)
        };
        digits.push(low);
        let mut weight = i32::from(self.weight);
        if how == Cut::Round && up {
            let mut carry = if part == 0 { 0 } else { unit };
            if part == 0 {
                digits.pop();
                carry = 1;
            }
            for digit in digits.iter_mut().rev() {
                *digit += carry;
                carry = if *digit >= 10_000 { 1 } else { 0 };
                *digit -= carry * 10_000;
                if carry == 0 {
                    break;
                }
            }
            if carry > 0 {
                digits.insert(0, carry);
                weight += 1;
            }
        }
        let negative = self.kind == NumericKind::Negative;
        if weight > WEIGHT_MAX {
            return Numeric::infinity(negative);
        }
        Numeric::from_parts(negative, weight, shown, digits)
    }

    /// The value as a `numeric(precision, scale)` column holds it.
    ///
    /// # Errors
    /// 22003 if more than `precision - scale` digits stand before the point.
    pub fn with_precision(self, precision: u16, scale: i16) -> Result<Numeric, ValueError> {
        let overflow = |bound: alloc::string::String| {
            ValueError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow")
                .with_detail(format!(
                    "A field with precision {precision}, scale {scale} must round to an absolute value less than {bound}."
                ))
        };
        match self.kind {
            NumericKind::NaN => return Ok(self),
            NumericKind::PositiveInfinity | NumericKind::NegativeInfinity => {
                return Err(ValueError::new(
                    SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                    "numeric field overflow",
                )
                .with_detail(format!(
                    "A field with precision {precision}, scale {scale} cannot hold an infinite value."
                )));
            }
            _ => {}
        }
        let rounded = if i32::from(self.display_scale) == i32::from(scale) {
            self
        } else {
            self.rounded(i32::from(scale))
        };
        let before_max = i32::from(precision) - i32::from(scale);
        if rounded.decimal_digits_before_point() > before_max {
            let bound = if before_max == 0 { "1".into() } else { format!("10^{before_max}") };
            return Err(overflow(bound));
        }
        Ok(rounded)
    }

    /// Decimal position of the first digit plus one: 2 for 12.3, 0 for 0.1, −1 for 0.01; very small for zero.
    fn decimal_digits_before_point(&self) -> i32 {
        let Some(first) = self.digits.first() else { return i32::MIN };
        let width = match first {
            1000.. => 4,
            100.. => 3,
            10.. => 2,
            _ => 1,
        };
        i32::from(self.weight) * DECIMALS_PER_DIGIT + width
    }

    /// Fewest decimals that show the value exactly.
    pub fn min_scale(&self) -> u16 {
        let Some(last) = self.digits.last() else { return 0 };
        let trailing = if last % 1000 == 0 {
            3
        } else if last % 100 == 0 {
            2
        } else if last % 10 == 0 {
            1
        } else {
            0
        };
        let groups = self.digits.len() as i32 - 1 - i32::from(self.weight);
        (groups * DECIMALS_PER_DIGIT - trailing).max(0) as u16
    }
}

/// Digits of a number that [`parse_plain`] takes: 10^18 and four digits of alignment fit.
const PLAIN_DIGITS_MAX: usize = 18;

/// `[-]digits[.digits]` of moderate length, read into one machine word; anything else is left to the general reading.
fn parse_plain(text: &[u8]) -> Option<Numeric> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    if !digits.first()?.is_ascii_digit() || digits.len() > PLAIN_DIGITS_MAX + 1 {
        return None;
    }
    let mut value: i128 = 0;
    let mut scale: Option<u16> = None;
    for byte in digits {
        match byte {
            b'0'..=b'9' => {
                value = value * 10 + i128::from(byte - b'0');
                scale = scale.map(|scale| scale + 1);
            }
            b'.' if scale.is_none() => scale = Some(0),
            _ => return None,
        }
    }
    let shown = scale.unwrap_or(0);
    let groups = usize::from(shown).div_ceil(4);
    for _ in usize::from(shown)..groups * 4 {
        value *= 10;
    }
    let signed = if negative { -value } else { value };
    Some(super::arithmetic::from_coefficient(signed, groups, shown))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    Round,
    Truncate,
}

#[cfg(test)]
mod tests {
    use super::Numeric;
    use alloc::string::String;
    use alloc::vec::Vec;

    fn shown(number: &Numeric) -> String {
        let mut out = Vec::new();
        number.append_text(&mut out);
        String::from_utf8(out).expect("digits are ASCII")
    }

    #[test]
    fn text_round_trips() {
        for text in [
            "0",
            "0.00",
            "-1.50",
            "12345.678900",
            "0.00001",
            "100000000",
            "-0.1",
            "NaN",
            "Infinity",
            "99999999999999999999.999",
            "0.00000000000000000001000",
        ] {
            assert_eq!(shown(&Numeric::parse(text).expect(text)), text);
        }
        assert_eq!(shown(&Numeric::parse("1e3").expect("1e3")), "1000");
        assert_eq!(shown(&Numeric::parse("1.5e-3").expect("1.5e-3")), "0.0015");
    }

    #[test]
    fn rounding() {
        for (text, scale, answer) in [
            ("1.005", 2, "1.01"),
            ("-1.5", 0, "-2"),
            ("9999.9999", 3, "10000.000"),
            ("0.5", 0, "1"),
            ("0.4999", 0, "0"),
            ("12345", -2, "12300"),
            ("15000", -4, "20000"),
            ("5000", -4, "10000"),
            ("4999", -4, "0"),
            ("5", -1, "10"),
            ("1.23456789", 5, "1.23457"),
        ] {
            assert_eq!(shown(&Numeric::parse(text).expect(text).rounded(scale)), answer, "{text}");
        }
        assert_eq!(shown(&Numeric::parse("1.999").expect("1.999").truncated(1)), "1.9");
    }
}
