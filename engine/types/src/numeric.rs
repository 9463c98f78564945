//! Arbitrary-precision decimal numbers in PostgreSQL's own shape, so that scales and roundings come out as there.
//!
//! A number is `± Σ digits[i] · 10000^(weight − i)`, shown with `display_scale` digits after the point. Source: PostgreSQL 15,
//! `src/include/utils/numeric.h` (documented limits: 131,072 digits before the point, 16,383 after).
//!
//! Invariants of a finite value: each digit is in `0..10000`; neither the first nor the last is zero; zero has no digits, weight 0 and sign plus.
//! `Eq` and `Ord` are by value (1.0 = 1.00; NaN equals itself and is above everything), so they say nothing about the display scale.
//!
//! Encoded form (rows, pages): `kind (1) | weight (2) | display scale (2) | digits (2 each)`, little-endian.

mod arithmetic;
mod magnitude;
mod sum;
mod text;
mod transcendental;

pub use sum::NumericSum;

use alloc::vec::Vec;
use core::cmp::Ordering;

/// What kind of number it is; the order of the variants is the order of the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum NumericKind {
    /// `-Infinity`
    NegativeInfinity = 0,
    /// Finite and below zero
    Negative = 1,
    /// Finite and at least zero
    Positive = 2,
    /// `Infinity`
    PositiveInfinity = 3,
    /// `NaN`, above all others
    NaN = 4,
}

/// One number.
#[derive(Clone, Debug)]
pub struct Numeric {
    kind: NumericKind,
    weight: i16,
    display_scale: u16,
    digits: Vec<i16>,
}

/// The base of a digit.
pub const DIGIT_BASE: i32 = 10_000;
/// Decimal digits in one base-10000 digit.
pub const DECIMALS_PER_DIGIT: i32 = 4;
/// Largest number of decimal digits after the point.
pub const DISPLAY_SCALE_MAX: u16 = 16_383;

impl Numeric {
    /// Zero with no digits after the point.
    pub const ZERO: Numeric =
        Numeric { kind: NumericKind::Positive, weight: 0, display_scale: 0, digits: Vec::new() };
    /// Not a number.
    pub const NAN: Numeric =
        Numeric { kind: NumericKind::NaN, weight: 0, display_scale: 0, digits: Vec::new() };

    /// Positive or negative infinity.
    pub const fn infinity(negative: bool) -> Numeric {
        let kind =
            if negative { NumericKind::NegativeInfinity } else { NumericKind::PositiveInfinity };
        Numeric { kind, weight: 0, display_scale: 0, digits: Vec::new() }
    }

    /// A finite number from its parts, brought into canonical form.
    ///
    /// # Panics
    /// If a digit is outside `0..10000`, or the weight leaves 16 bits after leading zeroes are stripped.
    pub fn from_parts(
        negative: bool,
        weight: i32,
        display_scale: u16,
        mut digits: Vec<i16>,
    ) -> Numeric {
        for digit in &digits {
            assert!((0..DIGIT_BASE as i16).contains(digit), "a digit of base 10000");
        }
        let leading = digits.iter().take_while(|digit| **digit == 0).count();
        digits.drain(..leading);
        while digits.last() == Some(&0) {
            digits.pop();
        }
        if digits.is_empty() {
            return Numeric { display_scale, ..Numeric::ZERO };
        }
        let weight = i16::try_from(weight - leading as i32).expect("weight fits 16 bits");
        let kind = if negative { NumericKind::Negative } else { NumericKind::Positive };
        Numeric { kind, weight, display_scale, digits }
    }

    /// An integer, shown without a point.
    pub fn from_i128(value: i128) -> Numeric {
        let mut rest = value.unsigned_abs();
        let mut digits = Vec::new();
        while rest > 0 {
            digits.push((rest % DIGIT_BASE as u128) as i16);
            rest /= DIGIT_BASE as u128;
        }
        digits.reverse();
        let weight = digits.len() as i32 - 1;
        Numeric::from_parts(value < 0, weight, 0, digits)
    }

    /// What kind of number it is.
    pub const fn kind(&self) -> NumericKind {
        self.kind
    }

    /// Exponent of the first digit, in base 10000.
    pub const fn weight(&self) -> i16 {
        self.weight
    }

    /// Decimal digits shown after the point.
    pub const fn display_scale(&self) -> u16 {
        self.display_scale
    }

    /// The digits, most significant first; empty for zero and for special values.
    pub fn digits(&self) -> &[i16] {
        &self.digits
    }

    /// Neither infinite nor NaN.
    pub const fn is_finite(&self) -> bool {
        matches!(self.kind, NumericKind::Negative | NumericKind::Positive)
    }

    /// Equal to zero.
    pub fn is_zero(&self) -> bool {
        self.is_finite() && self.digits.is_empty()
    }

    /// Below zero, −infinity included.
    pub const fn is_negative(&self) -> bool {
        matches!(self.kind, NumericKind::Negative | NumericKind::NegativeInfinity)
    }

    /// The same value shown with another scale. Does not round: the caller has made sure that no digit is hidden.
    pub fn with_display_scale(mut self, display_scale: u16) -> Numeric {
        if self.is_finite() {
            self.display_scale = display_scale;
        }
        self
    }

    /// Changes the sign; zero and NaN stay.
    pub fn negated(mut self) -> Numeric {
        self.kind = match self.kind {
            NumericKind::NegativeInfinity => NumericKind::PositiveInfinity,
            NumericKind::PositiveInfinity => NumericKind::NegativeInfinity,
            NumericKind::Negative => NumericKind::Positive,
            NumericKind::Positive if !self.digits.is_empty() => NumericKind::Negative,
            same => same,
        };
        self
    }

    /// Appends the encoded form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.kind as u8);
        out.extend_from_slice(&self.weight.to_le_bytes());
        out.extend_from_slice(&self.display_scale.to_le_bytes());
        for digit in &self.digits {
            out.extend_from_slice(&digit.to_le_bytes());
        }
    }

    /// Reads the encoded form; nothing if the bytes break an invariant.
    pub fn decode(bytes: &[u8]) -> Option<Numeric> {
        let (head, tail) = bytes.split_first_chunk::<5>()?;
        let kind = match head[0] {
            0 => NumericKind::NegativeInfinity,
            1 => NumericKind::Negative,
            2 => NumericKind::Positive,
            3 => NumericKind::PositiveInfinity,
            4 => NumericKind::NaN,
            _ => return None,
        };
        if !tail.len().is_multiple_of(2) {
            return None;
        }
        let weight = i16::from_le_bytes([head[1], head[2]]);
        let display_scale = u16::from_le_bytes([head[3], head[4]]);
        let digits: Vec<i16> =
            tail.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        let in_base = digits.iter().all(|digit| (0..DIGIT_BASE as i16).contains(digit));
        let canonical = digits.first() != Some(&0) && digits.last() != Some(&0);
        let finite = matches!(kind, NumericKind::Negative | NumericKind::Positive);
        let empty_is_plain = !digits.is_empty() || (weight == 0 && kind != NumericKind::Negative);
        if !in_base || !canonical || !empty_is_plain || (!finite && !digits.is_empty()) {
            return None;
        }
        Some(Numeric { kind, weight, display_scale, digits })
    }

    /// Compares magnitudes of two finite numbers.
    fn magnitude_cmp(&self, other: &Numeric) -> Ordering {
        match (self.digits.is_empty(), other.digits.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => {
                self.weight.cmp(&other.weight).then_with(|| self.digits.cmp(&other.digits))
            }
        }
    }
}

impl Ord for Numeric {
    fn cmp(&self, other: &Numeric) -> Ordering {
        self.kind.cmp(&other.kind).then_with(|| match self.kind {
            NumericKind::Positive => self.magnitude_cmp(other),
            NumericKind::Negative => other.magnitude_cmp(self),
            _ => Ordering::Equal,
        })
    }
}

impl PartialOrd for Numeric {
    fn partial_cmp(&self, other: &Numeric) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Numeric {
    fn eq(&self, other: &Numeric) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Numeric {}

impl core::hash::Hash for Numeric {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.kind.hash(state);
        self.weight.hash(state);
        self.digits.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::Numeric;
    use alloc::vec;
    use alloc::vec::Vec;

    #[test]
    fn canonical_form_and_round_trip() {
        let number = Numeric::from_parts(true, 1, 3, vec![0, 12, 5000, 0]);
        assert_eq!(number.weight(), 0);
        assert_eq!(number.digits(), &[12, 5000]);
        let mut bytes = Vec::new();
        number.encode(&mut bytes);
        let back = Numeric::decode(&bytes).expect("what was encoded decodes");
        assert_eq!(back, number);
        assert_eq!(back.display_scale(), 3);
        assert!(Numeric::decode(&bytes[..4]).is_none());
    }

    #[test]
    fn order_is_by_value() {
        let mut numbers: Vec<Numeric> =
            [0, -1, 1, 10_000, 9_999, -10_000, 100_000_000, i128::MAX, i128::MIN]
                .map(Numeric::from_i128)
                .into();
        numbers.push(Numeric::NAN);
        numbers.push(Numeric::infinity(true));
        numbers.push(Numeric::infinity(false));
        numbers.sort();
        assert_eq!(numbers.first(), Some(&Numeric::infinity(true)));
        assert_eq!(numbers.last(), Some(&Numeric::NAN));
        assert_eq!(numbers[2], Numeric::from_i128(-10_000));
        assert_eq!(Numeric::ZERO.with_display_scale(2), Numeric::ZERO);
    }
}
