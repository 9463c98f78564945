//! Adding many numbers: a machine-word coefficient as long as it fits, one [`Numeric`] for the rest.
//!
//! The sum is exact; its scale is the largest seen. Specials are counted, so that the order of the rows does not matter.

use super::arithmetic::{SPILL_DIGITS, coefficient, coefficient_digits, from_coefficient};
use super::magnitude::Magnitude;
use super::{Numeric, NumericKind};
use crate::ValueError;

/// A running sum.
#[derive(Clone, Debug)]
pub struct NumericSum {
    small: i128,
    fraction: usize,
    large: Numeric,
    display_scale: u16,
    nan_count: u64,
    infinity_count: u64,
    negative_infinity_count: u64,
}

impl Default for NumericSum {
    fn default() -> NumericSum {
        NumericSum {
            small: 0,
            fraction: 0,
            large: Numeric::ZERO,
            display_scale: 0,
            nan_count: 0,
            infinity_count: 0,
            negative_infinity_count: 0,
        }
    }
}

impl NumericSum {
    /// Adds a number.
    ///
    /// # Errors
    /// 22003 beyond the format.
    pub fn add(&mut self, number: &Numeric) -> Result<(), ValueError> {
        match number.kind() {
            NumericKind::NaN => self.nan_count += 1,
            NumericKind::PositiveInfinity => self.infinity_count += 1,
            NumericKind::NegativeInfinity => self.negative_infinity_count += 1,
            _ => return self.add_finite(number),
        }
        Ok(())
    }

    fn add_finite(&mut self, number: &Numeric) -> Result<(), ValueError> {
        self.display_scale = self.display_scale.max(number.display_scale());
        let fraction = Magnitude::fraction_of(number);
        if fraction > self.fraction && fraction <= SPILL_DIGITS {
            self.spill()?;
            self.fraction = fraction;
        }
        if fraction <= self.fraction && coefficient_digits(number, self.fraction) <= SPILL_DIGITS {
            let coefficient = coefficient(number, self.fraction);
            match self.small.checked_add(coefficient) {
                Some(sum) => self.small = sum,
                None => {
                    self.spill()?;
                    self.small = coefficient;
                }
            }
            return Ok(());
        }
        self.large = self.large.add(number)?;
        Ok(())
    }

    /// Adds an integer.
    ///
    /// # Errors
    /// 22003 beyond the format.
    pub fn add_integer(&mut self, number: i128) -> Result<(), ValueError> {
        if self.fraction == 0
            && let Some(sum) = self.small.checked_add(number)
        {
            self.small = sum;
            return Ok(());
        }
        self.large = self.large.add(&Numeric::from_i128(number))?;
        Ok(())
    }

    fn spill(&mut self) -> Result<(), ValueError> {
        if self.small != 0 {
            self.large = self.large.add(&self.small_part())?;
            self.small = 0;
        }
        Ok(())
    }

    fn small_part(&self) -> Numeric {
        from_coefficient(self.small, self.fraction, 0)
    }

    /// The sum so far.
    ///
    /// # Errors
    /// 22003 beyond the format.
    pub fn total(&self) -> Result<Numeric, ValueError> {
        if self.nan_count > 0 || self.infinity_count > 0 && self.negative_infinity_count > 0 {
            return Ok(Numeric::NAN);
        }
        if self.infinity_count > 0 || self.negative_infinity_count > 0 {
            return Ok(Numeric::infinity(self.negative_infinity_count > 0));
        }
        let total = self.large.add(&self.small_part())?;
        Ok(total.with_display_scale(self.display_scale))
    }

    /// Whether a NaN or an infinity was added.
    pub const fn has_special(&self) -> bool {
        self.nan_count > 0 || self.infinity_count > 0 || self.negative_infinity_count > 0
    }
}
