//! Exponential, logarithm and power of [`Numeric`], computed with enough guard digits that the rounded answer is the correctly rounded one.
//!
//! Fixed point: a [`Magnitude`] with `places` base-10000 digits after the point. The scale of an answer follows PostgreSQL's estimates of its weight
//! (sixteen significant digits at least, never fewer decimals than the inputs have).

use super::arithmetic::{SCALE_MAX, SIGNIFICANT_DIGITS_MIN};
use super::magnitude::Magnitude;
use super::text::overflows_format;
use super::{DECIMALS_PER_DIGIT, DISPLAY_SCALE_MAX, Numeric, NumericKind};
use crate::{SqlState, ValueError};
use alloc::vec::Vec;

/// Beyond three times this exponent of e an answer is refused or zero.
const RESULT_SCALE_MAX: f64 = 2000.0;
const LOG10_E: f64 = core::f64::consts::LOG10_E;
/// Base-10000 digits beyond the answer's scale.
const GUARD_PLACES: usize = 6;

/// A number with a sign in fixed point.
struct Fixed {
    negative: bool,
    magnitude: Magnitude,
}

impl Fixed {
    fn to_numeric(&self, places: usize, scale: i32) -> Result<Numeric, ValueError> {
        let (weight, digits) = self.magnitude.to_parts(places);
        if weight > i32::from(i16::MAX) {
            return Err(overflows_format());
        }
        let number = Numeric::from_parts(self.negative, weight, DISPLAY_SCALE_MAX, digits);
        let rounded = number.rounded(scale);
        if rounded.is_finite() { Ok(rounded) } else { Err(overflows_format()) }
    }
}

fn clamp_scale(scale: i32, inputs: &[&Numeric]) -> i32 {
    let least = inputs.iter().map(|input| i32::from(input.display_scale())).max().unwrap_or(0);
    scale.max(least).clamp(0, SCALE_MAX)
}

fn places_for(scale: i32) -> usize {
    (scale.max(0) / DECIMALS_PER_DIGIT) as usize + GUARD_PLACES
}

/// e^y for y in fixed point.
fn exp_fixed(exponent: &Magnitude, places: usize, halvings: u32) -> Magnitude {
    let mut reduced = exponent.clone();
    for _ in 0..halvings {
        reduced = reduced.div_small(2).0;
    }
    let one = Magnitude::from_small(1).shifted_up(places);
    let mut sum = one.clone();
    let mut term = one;
    let mut count = 1;
    while !term.is_zero() {
        term = term.mul(&reduced).shifted_down(places).div_small(count).0;
        sum = sum.add(&term);
        count += 1;
    }
    for _ in 0..halvings {
        sum = sum.mul(&sum).shifted_down(places);
    }
    sum
}

/// ln of a number that is at least one, in fixed point.
fn ln_above_one(number: &Magnitude, places: usize) -> Magnitude {
    let one = Magnitude::from_small(1).shifted_up(places);
    let near = one.add(&one.div_small(20).0);
    let mut root = number.clone();
    let mut halvings = 0;
    while root.compare(&near).is_gt() {
        root = root.shifted_up(places).sqrt();
        halvings += 1;
    }
    // 2 artanh((z − 1) / (z + 1))
    let step = root.sub(&one).shifted_up(places).div_rem(&root.add(&one)).0;
    let square = step.mul(&step).shifted_down(places);
    let mut sum = step.clone();
    let mut power = step;
    let mut odd = 3;
    while !power.is_zero() {
        power = power.mul(&square).shifted_down(places);
        sum = sum.add(&power.div_small(odd).0);
        odd += 2;
    }
    for _ in 0..=halvings {
        sum = sum.mul_small(2);
    }
    sum
}

/// ln of a finite number above zero.
fn ln_fixed(number: &Numeric, places: usize) -> Fixed {
    let weight = i32::from(number.weight());
    let mantissa = Numeric::from_parts(false, 0, DISPLAY_SCALE_MAX, number.digits().to_vec());
    let mantissa = ln_above_one(&Magnitude::from_numeric(&mantissa, places), places);
    if weight == 0 {
        return Fixed { negative: false, magnitude: mantissa };
    }
    let base = Magnitude::from_small(10_000).shifted_up(places);
    let shift = ln_above_one(&base, places).mul_small(weight.unsigned_abs());
    if weight > 0 {
        return Fixed { negative: false, magnitude: mantissa.add(&shift) };
    }
    if mantissa.compare(&shift).is_ge() {
        Fixed { negative: false, magnitude: mantissa.sub(&shift) }
    } else {
        Fixed { negative: true, magnitude: shift.sub(&mantissa) }
    }
}

/// Decimal weight of ln(number), as PostgreSQL estimates it.
fn ln_weight(number: &Numeric) -> i32 {
    if number.is_negative() || number.is_zero() {
        return 0;
    }
    let one = Numeric::from_i128(1);
    let low = Numeric::from_parts(false, -1, 1, Vec::from([9_000]));
    let high = Numeric::from_parts(false, 0, 1, Vec::from([1, 1_000]));
    if (&low..=&high).contains(&number) {
        let Ok(distance) = number.sub(&one) else { return 0 };
        return match distance.digits().first() {
            Some(first) => {
                i32::from(distance.weight()) * DECIMALS_PER_DIGIT
                    + libm::log10(f64::from(*first)) as i32
            }
            None => 0,
        };
    }
    let mut leading = f64::from(number.digits()[0]);
    let mut exponent = i32::from(number.weight()) * DECIMALS_PER_DIGIT;
    if let Some(second) = number.digits().get(1) {
        leading = leading * 10_000.0 + f64::from(*second);
        exponent -= DECIMALS_PER_DIGIT;
    }
    let estimate = libm::log(leading) + f64::from(exponent) * core::f64::consts::LN_10;
    libm::log10(libm::fabs(estimate)) as i32
}

#[cold]
fn log_error(number: &Numeric) -> ValueError {
    let what = if number.is_zero() { "zero" } else { "a negative number" };
    ValueError::new(
        SqlState::INVALID_ARGUMENT_FOR_LOG,
        alloc::format!("cannot take logarithm of {what}"),
    )
}

impl Numeric {
    /// e to the power of the number.
    ///
    /// # Errors
    /// 22003 beyond the format.
    pub fn exp(&self) -> Result<Numeric, ValueError> {
        match self.kind() {
            NumericKind::NaN | NumericKind::PositiveInfinity => return Ok(self.clone()),
            NumericKind::NegativeInfinity => return Ok(Numeric::ZERO),
            _ => {}
        }
        let estimate = self.to_f64() * LOG10_E;
        let limited = estimate.clamp(-RESULT_SCALE_MAX, RESULT_SCALE_MAX);
        let scale = clamp_scale(SIGNIFICANT_DIGITS_MIN - limited as i32, &[self]);
        if libm::fabs(self.to_f64()) >= RESULT_SCALE_MAX * 3.0 {
            if self.is_negative() {
                return Ok(Numeric::ZERO.with_display_scale(scale as u16));
            }
            return Err(overflows_format());
        }
        self.exp_to_scale(scale)
    }

    fn exp_to_scale(&self, scale: i32) -> Result<Numeric, ValueError> {
        let estimate = libm::fabs(self.to_f64());
        let halvings = libm::ceil(libm::log2(estimate.max(1e-3)) + 6.0).max(0.0) as u32;
        let weight_places = (estimate * LOG10_E) as usize / 4 + 1;
        let places = places_for(scale) + weight_places + halvings as usize / 12 + 1;
        let exponent = Magnitude::from_numeric(self, places);
        let power = exp_fixed(&exponent, places, halvings);
        if !self.is_negative() {
            return Fixed { negative: false, magnitude: power }.to_numeric(places, scale);
        }
        let one = Magnitude::from_small(1).shifted_up(2 * places);
        let inverse = one.div_rem(&power).0;
        Fixed { negative: false, magnitude: inverse }.to_numeric(places, scale)
    }

    /// The natural logarithm.
    ///
    /// # Errors
    /// 2201E for numbers not above zero.
    pub fn ln(&self) -> Result<Numeric, ValueError> {
        if matches!(self.kind(), NumericKind::NaN | NumericKind::PositiveInfinity) {
            return Ok(self.clone());
        }
        if self.is_negative() || self.is_zero() {
            return Err(log_error(self));
        }
        let scale = clamp_scale(SIGNIFICANT_DIGITS_MIN - ln_weight(self), &[self]);
        let places = places_for(scale);
        ln_fixed(self, places).to_numeric(places, scale)
    }

    /// The logarithm of `number` to the base `self`.
    ///
    /// # Errors
    /// 2201E for numbers not above zero; 22012 for base one.
    pub fn log(&self, number: &Numeric) -> Result<Numeric, ValueError> {
        if self.kind() == NumericKind::NaN || number.kind() == NumericKind::NaN {
            return Ok(Numeric::NAN);
        }
        for operand in [self, number] {
            if operand.is_negative() || operand.is_zero() {
                return Err(log_error(operand));
            }
        }
        match (self.is_finite(), number.is_finite()) {
            (false, false) => return Ok(Numeric::NAN),
            (false, true) => return Ok(Numeric::ZERO),
            (true, false) => return Ok(Numeric::infinity(false)),
            (true, true) => {}
        }
        let weight = ln_weight(number) - ln_weight(self);
        let scale = clamp_scale(SIGNIFICANT_DIGITS_MIN - weight, &[self, number]);
        // The quotient's relative error is the sum of the operands'.
        let lost = (ln_weight(number).unsigned_abs() + 2 * ln_weight(self).unsigned_abs()) as usize;
        let places = places_for(scale) + lost / 4 + 1;
        let (base, top) = (ln_fixed(self, places), ln_fixed(number, places));
        if base.magnitude.is_zero() {
            return Err(ValueError::division_by_zero());
        }
        let quotient = top.magnitude.shifted_up(places).div_rem(&base.magnitude).0;
        Fixed { negative: top.negative != base.negative, magnitude: quotient }
            .to_numeric(places, scale)
    }

    /// The number to the power of `exponent`.
    ///
    /// # Errors
    /// 2201F where there is no real answer; 22003 beyond the format.
    pub fn power(&self, exponent: &Numeric) -> Result<Numeric, ValueError> {
        if !self.is_finite() || !exponent.is_finite() {
            return self.power_special(exponent);
        }
        if self.is_zero() && exponent.is_negative() {
            return Err(power_error("zero raised to a negative power is undefined"));
        }
        if self.is_negative() && !exponent.is_integer() {
            return Err(power_error(
                "a negative number raised to a non-integer power yields a complex result",
            ));
        }
        if exponent.is_integer()
            && let Some(small) = exponent.to_i128().and_then(|value| i32::try_from(value).ok())
        {
            let scale = clamp_scale(SIGNIFICANT_DIGITS_MIN, &[self]);
            return self.power_integer(small, scale);
        }
        self.power_general(exponent)
    }

    fn power_special(&self, exponent: &Numeric) -> Result<Numeric, ValueError> {
        let one = Numeric::from_i128(1);
        if self.kind() == NumericKind::NaN {
            return Ok(if exponent.is_zero() { one } else { Numeric::NAN });
        }
        if exponent.kind() == NumericKind::NaN {
            return Ok(if *self == one { one } else { Numeric::NAN });
        }
        if self.is_zero() && exponent.is_negative() {
            return Err(power_error("zero raised to a negative power is undefined"));
        }
        if self.is_negative() && exponent.is_finite() && !exponent.is_integer() {
            return Err(power_error(
                "a negative number raised to a non-integer power yields a complex result",
            ));
        }
        if *self == one || exponent.is_zero() {
            return Ok(one);
        }
        if self.is_zero() {
            return Ok(Numeric::ZERO);
        }
        if !exponent.is_finite() {
            let magnitude = self.clone().abs();
            if magnitude == one {
                return Ok(one);
            }
            let grows = (magnitude > one) != exponent.is_negative();
            return Ok(if grows { Numeric::infinity(false) } else { Numeric::ZERO });
        }
        if exponent.is_negative() {
            return Ok(Numeric::ZERO);
        }
        let odd = Magnitude::from_numeric(exponent, 0).is_odd();
        Ok(Numeric::infinity(self.is_negative() && odd))
    }

    fn power_integer(&self, exponent: i32, scale: i32) -> Result<Numeric, ValueError> {
        let one = Numeric::from_i128(1);
        match exponent {
            0 => return Ok(one.with_display_scale(scale as u16)),
            1 => return Ok(self.rounded(scale)),
            -1 => return one.div_to_scale(self, scale),
            _ => {}
        }
        if self.is_zero() {
            return Ok(Numeric::ZERO.with_display_scale(scale as u16));
        }
        let mut leading = f64::from(self.digits()[0]);
        let mut position = i32::from(self.weight()) * DECIMALS_PER_DIGIT;
        for digit in self.digits().iter().skip(1).take(3) {
            leading = leading * 10_000.0 + f64::from(*digit);
            position -= DECIMALS_PER_DIGIT;
        }
        let estimate = f64::from(exponent) * (libm::log10(leading) + f64::from(position));
        if estimate > 3.0 * f64::from(i16::MAX) * f64::from(DECIMALS_PER_DIGIT) {
            return Err(overflows_format());
        }
        if estimate + 1.0 < f64::from(-scale) || estimate + 1.0 < f64::from(-SCALE_MAX) {
            return Ok(Numeric::ZERO.with_display_scale(scale as u16));
        }
        // Significant digits that survive repeated multiplication.
        let significant =
            1 + scale + estimate as i32 + libm::log(libm::fabs(f64::from(exponent))) as i32 + 8;
        let kept = (significant.max(16) as usize) / 4 + 3;
        let mut power = Floating::of(&one, kept);
        let mut square = Floating::of(self, kept);
        let mut bits = exponent.unsigned_abs();
        while bits > 0 {
            if bits & 1 == 1 {
                power = power.mul(&square, kept);
            }
            bits >>= 1;
            if bits > 0 {
                square = square.mul(&square, kept);
            }
            if square.too_large() || power.too_large() {
                if exponent > 0 {
                    return Err(overflows_format());
                }
                return Ok(Numeric::ZERO.with_display_scale(scale as u16));
            }
        }
        let negative = self.is_negative() && exponent & 1 != 0;
        if exponent < 0 {
            power.inverse(negative, kept, scale)
        } else {
            power.finish(negative, scale)
        }
    }

    fn power_general(&self, exponent: &Numeric) -> Result<Numeric, ValueError> {
        if self.is_zero() {
            return Ok(Numeric::ZERO.with_display_scale(SIGNIFICANT_DIGITS_MIN as u16));
        }
        let magnitude = self.clone().abs();
        let negative = self.is_negative() && Magnitude::from_numeric(exponent, 0).is_odd();
        let places = places_for(8 - ln_weight(&magnitude));
        let rough = ln_fixed(&magnitude, places)
            .to_numeric(places, (8 - ln_weight(&magnitude)).clamp(0, SCALE_MAX))?
            .mul(exponent)?;
        let value = rough.to_f64();
        if libm::fabs(value) > RESULT_SCALE_MAX * 3.01 {
            if value > 0.0 {
                return Err(overflows_format());
            }
            return Ok(Numeric::ZERO.with_display_scale(SCALE_MAX as u16));
        }
        let estimate = value * LOG10_E;
        let scale = clamp_scale(SIGNIFICANT_DIGITS_MIN - estimate as i32, &[&magnitude, exponent]);
        // The product's absolute error becomes the answer's relative error.
        let significant = (scale + estimate as i32).max(0) + 12;
        let exponent_digits = (i32::from(exponent.weight()).max(0) * DECIMALS_PER_DIGIT) as usize;
        let places = places_for(significant) + exponent_digits / 4 + 1;
        let ln = ln_fixed(&magnitude, places);
        let full = places.min(usize::from(DISPLAY_SCALE_MAX) / 4);
        let product = ln
            .to_numeric(places, (full * 4) as i32)?
            .mul(exponent)?
            .rounded(significant.clamp(0, i32::from(DISPLAY_SCALE_MAX)));
        if libm::fabs(product.to_f64()) >= RESULT_SCALE_MAX * 3.0 {
            if product.is_negative() {
                return Ok(Numeric::ZERO.with_display_scale(scale as u16));
            }
            return Err(overflows_format());
        }
        let answer = product.exp_to_scale(scale)?;
        Ok(if negative { answer.negated() } else { answer })
    }
}

#[cold]
fn power_error(message: &'static str) -> ValueError {
    ValueError::new(SqlState::INVALID_ARGUMENT_FOR_POWER, message)
}

/// A magnitude times a power of the base: `magnitude · 10000^exponent`, kept to so many digits.
struct Floating {
    magnitude: Magnitude,
    exponent: i64,
}

impl Floating {
    fn of(number: &Numeric, kept: usize) -> Floating {
        let fraction = Magnitude::fraction_of(number);
        let magnitude = Magnitude::from_numeric(number, fraction);
        Floating { magnitude, exponent: -(fraction as i64) }.cut(kept)
    }

    fn cut(self, kept: usize) -> Floating {
        let excess = self.magnitude.len().saturating_sub(kept);
        if excess == 0 {
            return self;
        }
        Floating {
            magnitude: self.magnitude.shifted_down(excess),
            exponent: self.exponent + excess as i64,
        }
    }

    fn mul(&self, other: &Floating, kept: usize) -> Floating {
        Floating {
            magnitude: self.magnitude.mul(&other.magnitude),
            exponent: self.exponent + other.exponent,
        }
        .cut(kept)
    }

    fn too_large(&self) -> bool {
        self.magnitude.len() as i64 + self.exponent > 3 * i64::from(i16::MAX)
    }

    fn finish(&self, negative: bool, scale: i32) -> Result<Numeric, ValueError> {
        let (magnitude, places) = if self.exponent >= 0 {
            (self.magnitude.shifted_up(self.exponent as usize), 0)
        } else {
            let places = -self.exponent as usize;
            // Far below the scale only whether it rounds up matters, which one guard group decides.
            let needed = scale as usize / 4 + 2;
            if places > needed {
                (self.magnitude.shifted_down(places - needed), needed)
            } else {
                (self.magnitude.clone(), places)
            }
        };
        Fixed { negative, magnitude }.to_numeric(places, scale)
    }

    fn inverse(&self, negative: bool, kept: usize, scale: i32) -> Result<Numeric, ValueError> {
        let top = self.magnitude.len() + kept;
        let magnitude = Magnitude::from_small(1).shifted_up(top).div_rem(&self.magnitude).0;
        Floating { magnitude, exponent: -(top as i64) - self.exponent }.finish(negative, scale)
    }
}
