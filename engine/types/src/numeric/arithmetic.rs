//! Exact arithmetic on [`Numeric`], with the scale of every answer chosen as PostgreSQL chooses it. Source: PostgreSQL 15 documentation, 9.3, and the
//! answers of a running server.
//!
//! Small operands (a coefficient below 10^36) are computed in machine words; others in [`Magnitude`]s.

use super::magnitude::Magnitude;
use super::text::overflows_format;
use super::{DECIMALS_PER_DIGIT, DISPLAY_SCALE_MAX, Numeric, NumericKind};
use crate::{SqlState, ValueError};
use alloc::vec::Vec;
use core::cmp::Ordering;

/// Significant digits that an inexact answer has at least.
pub(super) const SIGNIFICANT_DIGITS_MIN: i32 = 16;
/// Decimals that an inexact answer has at most.
pub(super) const SCALE_MAX: i32 = 1000;
/// Base-10000 digits of a coefficient in machine words: 10000^9 < 2^127.
const WORD_DIGITS: usize = 9;
/// Base-10000 digits of a number that a running sum takes in machine words; a thousand million such sums fit.
pub(super) const SPILL_DIGITS: usize = 6;

/// The coefficient of a small number with `fraction` digits after the point; the caller has made sure that it fits.
pub(super) fn coefficient(number: &Numeric, fraction: usize) -> i128 {
    let mut value: i128 = 0;
    for digit in number.digits() {
        value = value * 10_000 + i128::from(*digit);
    }
    for _ in Magnitude::fraction_of(number)..fraction {
        value *= 10_000;
    }
    // Digits below the weight that are zero were cut; bring the value to the weight's place.
    let trailing = i64::from(number.weight()) + 1 - number.digits().len() as i64;
    for _ in 0..trailing.max(0) {
        value *= 10_000;
    }
    if number.is_negative() { -value } else { value }
}

/// Base-10000 digits of the coefficient with `fraction` digits after the point.
pub(super) fn coefficient_digits(number: &Numeric, fraction: usize) -> usize {
    (i64::from(number.weight()) + 1 + fraction as i64).max(0) as usize
}

pub(super) fn from_coefficient(value: i128, fraction: usize, display_scale: u16) -> Numeric {
    let mut rest = value.unsigned_abs();
    let mut reversed = [0i16; 10];
    let mut count = 0;
    while rest > 0 {
        reversed[count] = (rest % 10_000) as i16;
        rest /= 10_000;
        count += 1;
    }
    let digits: Vec<i16> = reversed[..count].iter().rev().copied().collect();
    let weight = count as i32 - 1 - fraction as i32;
    Numeric::from_parts(value < 0, weight, display_scale, digits)
}

fn from_magnitude(
    negative: bool,
    magnitude: &Magnitude,
    fraction: usize,
    display_scale: i32,
) -> Result<Numeric, ValueError> {
    let (weight, digits) = magnitude.to_parts(fraction);
    Numeric::try_from_parts(negative, weight, display_scale, digits)
}

impl Numeric {
    /// The sum; its scale is the larger of the two.
    ///
    /// # Errors
    /// 22003 beyond the format.
    pub fn add(&self, other: &Numeric) -> Result<Numeric, ValueError> {
        if !self.is_finite() || !other.is_finite() {
            return Ok(match (self.kind(), other.kind()) {
                (NumericKind::NaN, _) | (_, NumericKind::NaN) => Numeric::NAN,
                (NumericKind::PositiveInfinity, NumericKind::NegativeInfinity)
                | (NumericKind::NegativeInfinity, NumericKind::PositiveInfinity) => Numeric::NAN,
                (a, _) if !self.is_finite() => {
                    Numeric::infinity(a == NumericKind::NegativeInfinity)
                }
                (_, b) => Numeric::infinity(b == NumericKind::NegativeInfinity),
            });
        }
        let fraction = Magnitude::fraction_of(self).max(Magnitude::fraction_of(other));
        let display_scale = self.display_scale().max(other.display_scale());
        let digits = coefficient_digits(self, fraction).max(coefficient_digits(other, fraction));
        if digits < WORD_DIGITS {
            let sum = coefficient(self, fraction) + coefficient(other, fraction);
            return Ok(from_coefficient(sum, fraction, display_scale));
        }
        let a = Magnitude::from_numeric(self, fraction);
        let b = Magnitude::from_numeric(other, fraction);
        let scale = i32::from(display_scale);
        if self.is_negative() == other.is_negative() {
            return from_magnitude(self.is_negative(), &a.add(&b), fraction, scale);
        }
        match a.compare(&b) {
            Ordering::Less => from_magnitude(other.is_negative(), &b.sub(&a), fraction, scale),
            _ => from_magnitude(self.is_negative(), &a.sub(&b), fraction, scale),
        }
    }

    /// The difference; its scale is the larger of the two.
    ///
    /// # Errors
    /// 22003 beyond the format.
    pub fn sub(&self, other: &Numeric) -> Result<Numeric, ValueError> {
        self.add(&other.clone().negated())
    }

    /// The product; its scale is the sum of the two.
    ///
    /// # Errors
    /// 22003 beyond the format.
    pub fn mul(&self, other: &Numeric) -> Result<Numeric, ValueError> {
        if !self.is_finite() || !other.is_finite() {
            let nan = self.kind() == NumericKind::NaN || other.kind() == NumericKind::NaN;
            return Ok(if nan || self.is_zero() || other.is_zero() {
                Numeric::NAN
            } else {
                Numeric::infinity(self.is_negative() != other.is_negative())
            });
        }
        let scale = i32::from(self.display_scale()) + i32::from(other.display_scale());
        let (fa, fb) = (Magnitude::fraction_of(self), Magnitude::fraction_of(other));
        let digits = coefficient_digits(self, fa) + coefficient_digits(other, fb);
        if digits < WORD_DIGITS {
            let product = coefficient(self, fa) * coefficient(other, fb);
            return Ok(from_coefficient(product, fa + fb, scale as u16));
        }
        let product = Magnitude::from_numeric(self, fa).mul(&Magnitude::from_numeric(other, fb));
        let negative = self.is_negative() != other.is_negative();
        let limit = i32::from(DISPLAY_SCALE_MAX);
        if scale > limit {
            let (weight, digits) = product.to_parts(fa + fb);
            if weight > i32::from(i16::MAX) {
                return Err(overflows_format());
            }
            let cut = cut_low_digits(weight, digits);
            return Ok(Numeric::from_parts(negative, weight, DISPLAY_SCALE_MAX, cut).rounded(limit));
        }
        from_magnitude(negative, &product, fa + fb, scale)
    }

    /// The quotient, rounded half away from zero to a scale that shows at least sixteen significant digits.
    ///
    /// # Errors
    /// 22012; 22003 beyond the format.
    pub fn div(&self, other: &Numeric) -> Result<Numeric, ValueError> {
        if let Some(special) = self.div_special(other)? {
            return Ok(special);
        }
        self.div_to_scale(other, self.quotient_scale(other))
    }

    /// The quotient without its fraction.
    ///
    /// # Errors
    /// 22012; 22003 beyond the format.
    pub fn div_truncated(&self, other: &Numeric) -> Result<Numeric, ValueError> {
        if let Some(special) = self.div_special(other)? {
            return Ok(special);
        }
        let fraction = Magnitude::fraction_of(self).max(Magnitude::fraction_of(other));
        let a = Magnitude::from_numeric(self, fraction);
        let b = Magnitude::from_numeric(other, fraction);
        from_magnitude(self.is_negative() != other.is_negative(), &a.div_rem(&b).0, 0, 0)
    }

    fn div_special(&self, other: &Numeric) -> Result<Option<Numeric>, ValueError> {
        if self.kind() == NumericKind::NaN || other.kind() == NumericKind::NaN {
            return Ok(Some(Numeric::NAN));
        }
        if !self.is_finite() {
            if !other.is_finite() {
                return Ok(Some(Numeric::NAN));
            }
            if other.is_zero() {
                return Err(ValueError::division_by_zero());
            }
            return Ok(Some(Numeric::infinity(self.is_negative() != other.is_negative())));
        }
        if !other.is_finite() {
            return Ok(Some(Numeric::ZERO));
        }
        if other.is_zero() {
            return Err(ValueError::division_by_zero());
        }
        Ok(None)
    }

    /// Decimals of a quotient.
    fn quotient_scale(&self, other: &Numeric) -> i32 {
        let head = |number: &Numeric| {
            number.digits().first().map_or((0, 0), |digit| (i32::from(number.weight()), *digit))
        };
        let ((weight_a, first_a), (weight_b, first_b)) = (head(self), head(other));
        let weight = weight_a - weight_b - i32::from(first_a <= first_b);
        (SIGNIFICANT_DIGITS_MIN - weight * DECIMALS_PER_DIGIT)
            .max(i32::from(self.display_scale()))
            .max(i32::from(other.display_scale()))
            .clamp(0, SCALE_MAX)
    }

    /// The quotient of finite numbers rounded to `scale` decimals; the divisor is not zero.
    pub(super) fn div_to_scale(&self, other: &Numeric, scale: i32) -> Result<Numeric, ValueError> {
        let fraction = Magnitude::fraction_of(self).max(Magnitude::fraction_of(other));
        // One digit group beyond the scale decides the rounding: what follows it cannot change a half.
        let places = (scale / DECIMALS_PER_DIGIT + 1) as usize;
        let negative = self.is_negative() != other.is_negative();
        if coefficient_digits(self, fraction + places) < WORD_DIGITS
            && coefficient_digits(other, fraction) < WORD_DIGITS
        {
            let dividend = coefficient(self, fraction) * 10_000i128.pow(places as u32);
            let quotient = dividend / coefficient(other, fraction);
            return Ok(from_coefficient(quotient, places, DISPLAY_SCALE_MAX).rounded(scale));
        }
        let a = Magnitude::from_numeric(self, fraction + places);
        let b = Magnitude::from_numeric(other, fraction);
        let (quotient, _) = a.div_rem(&b);
        let (weight, digits) = quotient.to_parts(places);
        if weight > i32::from(i16::MAX) {
            return Err(overflows_format());
        }
        let rounded =
            Numeric::from_parts(negative, weight, DISPLAY_SCALE_MAX, digits).rounded(scale);
        if rounded.is_finite() { Ok(rounded) } else { Err(overflows_format()) }
    }

    /// The remainder of [`Numeric::div_truncated`], with the sign of the dividend.
    ///
    /// # Errors
    /// 22012
    pub fn rem(&self, other: &Numeric) -> Result<Numeric, ValueError> {
        if self.kind() == NumericKind::NaN || other.kind() == NumericKind::NaN {
            return Ok(Numeric::NAN);
        }
        if !self.is_finite() {
            if other.is_zero() {
                return Err(ValueError::division_by_zero());
            }
            return Ok(Numeric::NAN);
        }
        if !other.is_finite() {
            return Ok(self.clone());
        }
        if other.is_zero() {
            return Err(ValueError::division_by_zero());
        }
        let fraction = Magnitude::fraction_of(self).max(Magnitude::fraction_of(other));
        let scale = self.display_scale().max(other.display_scale());
        let a = Magnitude::from_numeric(self, fraction);
        let b = Magnitude::from_numeric(other, fraction);
        from_magnitude(self.is_negative(), &a.div_rem(&b).1, fraction, i32::from(scale))
    }

    /// The square root, correctly rounded.
    ///
    /// # Errors
    /// 2201F for numbers below zero.
    pub fn sqrt(&self) -> Result<Numeric, ValueError> {
        match self.kind() {
            NumericKind::NaN | NumericKind::PositiveInfinity => return Ok(self.clone()),
            NumericKind::Negative | NumericKind::NegativeInfinity => {
                return Err(ValueError::new(
                    SqlState::INVALID_ARGUMENT_FOR_POWER,
                    "cannot take square root of a negative number",
                ));
            }
            NumericKind::Positive => {}
        }
        let before = i32::from(self.weight()) * DECIMALS_PER_DIGIT / 2 + 1;
        let scale = (SIGNIFICANT_DIGITS_MIN - before)
            .max(i32::from(self.display_scale()))
            .clamp(0, SCALE_MAX);
        Ok(self.sqrt_to_scale(scale))
    }

    /// The square root of a finite number not below zero, rounded to so many decimals.
    pub fn sqrt_to_scale(&self, scale: i32) -> Numeric {
        if self.is_zero() {
            return Numeric::ZERO.with_display_scale(scale as u16);
        }
        let places = (scale / DECIMALS_PER_DIGIT + 1) as usize;
        let places = places.max(Magnitude::fraction_of(self).div_ceil(2));
        let root = Magnitude::from_numeric(self, 2 * places).sqrt();
        let (weight, digits) = root.to_parts(places);
        Numeric::from_parts(false, weight, DISPLAY_SCALE_MAX, digits).rounded(scale)
    }

    /// The magnitude.
    #[must_use]
    pub fn abs(self) -> Numeric {
        if self.is_negative() { self.negated() } else { self }
    }

    /// −1, 0, 1 or NaN.
    pub fn signum(&self) -> Numeric {
        match self.kind() {
            NumericKind::NaN => Numeric::NAN,
            _ if self.is_zero() => Numeric::ZERO,
            _ => Numeric::from_i128(if self.is_negative() { -1 } else { 1 }),
        }
    }

    /// The largest integer that is not larger.
    pub fn floor(&self) -> Result<Numeric, ValueError> {
        let cut = self.truncated(0);
        if self.is_negative() && self.is_finite() && cut != *self {
            return cut.sub(&Numeric::from_i128(1));
        }
        Ok(cut)
    }

    /// The smallest integer that is not smaller.
    pub fn ceil(&self) -> Result<Numeric, ValueError> {
        let cut = self.truncated(0);
        if !self.is_negative() && self.is_finite() && cut != *self {
            return cut.add(&Numeric::from_i128(1));
        }
        Ok(cut)
    }

    /// The value rounded to an integer, if it fits.
    pub fn to_i128(&self) -> Option<i128> {
        if !self.is_finite() {
            return None;
        }
        let rounded = self.rounded(0);
        if !rounded.is_finite() || coefficient_digits(&rounded, 0) > WORD_DIGITS {
            return None;
        }
        Some(coefficient(&rounded, 0))
    }

    /// Whether nothing stands after the point.
    pub fn is_integer(&self) -> bool {
        self.is_finite() && Magnitude::fraction_of(self) == 0
    }

    /// The nearest `double precision`; too large a number is infinite.
    pub fn to_f64(&self) -> f64 {
        match self.kind() {
            NumericKind::NaN => return f64::NAN,
            NumericKind::PositiveInfinity => return f64::INFINITY,
            NumericKind::NegativeInfinity => return f64::NEG_INFINITY,
            _ => {}
        }
        let mut text = Vec::new();
        self.append_text(&mut text);
        core::str::from_utf8(&text).ok().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
    }

    /// The nearest `real`; too large a number is infinite.
    pub fn to_f32(&self) -> f32 {
        match self.kind() {
            NumericKind::NaN => return f32::NAN,
            NumericKind::PositiveInfinity => return f32::INFINITY,
            NumericKind::NegativeInfinity => return f32::NEG_INFINITY,
            _ => {}
        }
        let mut text = Vec::new();
        self.append_text(&mut text);
        core::str::from_utf8(&text).ok().and_then(|text| text.parse().ok()).unwrap_or(f32::NAN)
    }
}

/// Drops digits so far below the scale limit that they cannot matter to rounding there.
fn cut_low_digits(weight: i32, mut digits: Vec<i16>) -> Vec<i16> {
    let kept = weight + 1 + i32::from(DISPLAY_SCALE_MAX) / DECIMALS_PER_DIGIT + 2;
    digits.truncate(kept.max(0) as usize);
    digits
}
