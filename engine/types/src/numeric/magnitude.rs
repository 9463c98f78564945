//! Natural numbers of any length in base 10,000: the working form of exact decimal arithmetic.
//!
//! Digits are little-endian and the highest is not zero. A fixed-point number is a magnitude and a count of digits after the point, kept by the caller.
//! Multiplication and division are the schoolbook ones: numbers of a database have a few dozen digits.

use super::{DIGIT_BASE, Numeric};
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;

const BASE: u64 = DIGIT_BASE as u64;

/// A natural number.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Magnitude {
    digits: Vec<u32>,
}

impl Magnitude {
    pub(super) fn from_small(mut value: u64) -> Magnitude {
        let mut digits = Vec::new();
        while value > 0 {
            digits.push((value % BASE) as u32);
            value /= BASE;
        }
        Magnitude { digits }
    }

    /// |number| · 10000^`fraction`, what is beyond cut off.
    pub(super) fn from_numeric(number: &Numeric, fraction: usize) -> Magnitude {
        // Position of the last digit that is kept, counted from the first of the number.
        let wanted = i64::from(number.weight()) + fraction as i64 + 1;
        let have = number.digits().len() as i64;
        if wanted <= 0 || have == 0 {
            return Magnitude::default();
        }
        let kept = wanted.min(have) as usize;
        let mut digits = vec![0u32; (wanted - kept as i64) as usize];
        digits.extend(number.digits()[..kept].iter().rev().map(|digit| *digit as u32));
        Magnitude { digits }.trimmed()
    }

    /// Base-10000 digits after the point of a number.
    pub(super) fn fraction_of(number: &Numeric) -> usize {
        (number.digits().len() as i64 - 1 - i64::from(number.weight())).max(0) as usize
    }

    /// Weight of the first digit and the digits, most significant first, for a fixed-point number.
    pub(super) fn to_parts(&self, fraction: usize) -> (i32, Vec<i16>) {
        let weight = self.digits.len() as i32 - 1 - fraction as i32;
        (weight, self.digits.iter().rev().map(|digit| *digit as i16).collect())
    }

    fn trimmed(mut self) -> Magnitude {
        while self.digits.last() == Some(&0) {
            self.digits.pop();
        }
        self
    }

    pub(super) fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.digits.len()
    }

    pub(super) fn is_odd(&self) -> bool {
        self.digits.first().is_some_and(|digit| digit % 2 == 1)
    }

    pub(super) fn compare(&self, other: &Magnitude) -> Ordering {
        self.digits
            .len()
            .cmp(&other.digits.len())
            .then_with(|| self.digits.iter().rev().cmp(other.digits.iter().rev()))
    }

    pub(super) fn add(&self, other: &Magnitude) -> Magnitude {
        let (long, short) = if self.digits.len() >= other.digits.len() {
            (&self.digits, &other.digits)
        } else {
            (&other.digits, &self.digits)
        };
        let mut digits = Vec::with_capacity(long.len() + 1);
        let mut carry = 0;
        for (position, digit) in long.iter().enumerate() {
            let sum = digit + short.get(position).copied().unwrap_or(0) + carry;
            carry = u32::from(sum >= BASE as u32);
            digits.push(sum - carry * BASE as u32);
        }
        if carry > 0 {
            digits.push(carry);
        }
        Magnitude { digits }
    }

    /// `self - other`, which must not be negative.
    pub(super) fn sub(&self, other: &Magnitude) -> Magnitude {
        debug_assert!(self.compare(other).is_ge(), "a natural number is not negative");
        let mut digits = Vec::with_capacity(self.digits.len());
        let mut borrow = 0;
        for (position, digit) in self.digits.iter().enumerate() {
            let taken = other.digits.get(position).copied().unwrap_or(0) + borrow;
            borrow = u32::from(*digit < taken);
            digits.push(digit + borrow * BASE as u32 - taken);
        }
        Magnitude { digits }.trimmed()
    }

    pub(super) fn mul(&self, other: &Magnitude) -> Magnitude {
        if self.is_zero() || other.is_zero() {
            return Magnitude::default();
        }
        // Each place sums fewer than 2^32 products below 10^8, which fits; carries are resolved once.
        let mut places = vec![0u64; self.digits.len() + other.digits.len()];
        for (low, a) in self.digits.iter().enumerate() {
            if *a == 0 {
                continue;
            }
            for (place, b) in places[low..].iter_mut().zip(&other.digits) {
                *place += u64::from(*a) * u64::from(*b);
            }
        }
        let mut carry = 0;
        let mut digits = Vec::with_capacity(places.len());
        for place in places {
            let value = place + carry;
            digits.push((value % BASE) as u32);
            carry = value / BASE;
        }
        Magnitude { digits }.trimmed()
    }

    pub(super) fn mul_small(&self, factor: u32) -> Magnitude {
        let mut carry = 0u64;
        let mut digits = Vec::with_capacity(self.digits.len() + 2);
        for digit in &self.digits {
            let value = u64::from(*digit) * u64::from(factor) + carry;
            digits.push((value % BASE) as u32);
            carry = value / BASE;
        }
        while carry > 0 {
            digits.push((carry % BASE) as u32);
            carry /= BASE;
        }
        Magnitude { digits }.trimmed()
    }

    /// Quotient and remainder of a small divisor, which is not zero.
    pub(super) fn div_small(&self, divisor: u32) -> (Magnitude, u32) {
        let mut rest = 0u64;
        let mut digits = vec![0u32; self.digits.len()];
        for (position, digit) in self.digits.iter().enumerate().rev() {
            let value = rest * BASE + u64::from(*digit);
            digits[position] = (value / u64::from(divisor)) as u32;
            rest = value % u64::from(divisor);
        }
        (Magnitude { digits }.trimmed(), rest as u32)
    }

    /// Multiplied by 10000^`places`.
    pub(super) fn shifted_up(&self, places: usize) -> Magnitude {
        if self.is_zero() {
            return Magnitude::default();
        }
        let mut digits = vec![0u32; places];
        digits.extend_from_slice(&self.digits);
        Magnitude { digits }
    }

    /// Divided by 10000^`places`, the rest cut off.
    pub(super) fn shifted_down(&self, places: usize) -> Magnitude {
        Magnitude { digits: self.digits.get(places..).unwrap_or(&[]).to_vec() }
    }

    /// Quotient and remainder; the divisor is not zero. Source: Knuth, volume 2, 4.3.1, algorithm D.
    pub(super) fn div_rem(&self, divisor: &Magnitude) -> (Magnitude, Magnitude) {
        assert!(!divisor.is_zero(), "the caller has refused a division by zero");
        if self.compare(divisor).is_lt() {
            return (Magnitude::default(), self.clone());
        }
        if let [only] = divisor.digits[..] {
            let (quotient, rest) = self.div_small(only);
            return (quotient, Magnitude::from_small(u64::from(rest)));
        }
        let length = divisor.digits.len();
        let scale = (BASE as u32) / (divisor.digits[length - 1] + 1);
        let divisor = divisor.mul_small(scale).digits;
        let mut rest = self.mul_small(scale).digits;
        rest.resize(rest.len().max(self.digits.len() + 1), 0);
        let places = rest.len() - length;
        let mut quotient = vec![0u32; places];
        let (first, second) = (u64::from(divisor[length - 1]), u64::from(divisor[length - 2]));
        for place in (0..places).rev() {
            let head = u64::from(rest[place + length]) * BASE + u64::from(rest[place + length - 1]);
            let next = u64::from(rest[place + length - 2]);
            let mut guess = (head / first).min(BASE - 1);
            let mut left = head - guess * first;
            while left < BASE && guess * second > left * BASE + next {
                guess -= 1;
                left += first;
            }
            if !subtract_product(&mut rest[place..=place + length], &divisor, guess as u32) {
                guess -= 1;
                add_back(&mut rest[place..=place + length], &divisor);
            }
            quotient[place] = guess as u32;
        }
        let (rest, _) = Magnitude { digits: rest }.trimmed().div_small(scale);
        (Magnitude { digits: quotient }.trimmed(), rest)
    }

    /// The largest number whose square is not larger.
    pub(super) fn sqrt(&self) -> Magnitude {
        if self.is_zero() {
            return Magnitude::default();
        }
        // Newton from above: the guess never falls below the root until it stops.
        let mut guess = Magnitude::from_small(1).shifted_up(self.len().div_ceil(2));
        loop {
            let (quotient, _) = self.div_rem(&guess);
            let (better, _) = guess.add(&quotient).div_small(2);
            if better.compare(&guess).is_ge() {
                return guess;
            }
            guess = better;
        }
    }
}

/// `window -= divisor · factor`; false if it went below zero (then it is off by the base's power).
fn subtract_product(window: &mut [u32], divisor: &[u32], factor: u32) -> bool {
    let mut borrow = 0i64;
    for (position, place) in window.iter_mut().enumerate() {
        let digit = divisor.get(position).copied().unwrap_or(0);
        let value = i64::from(*place) - i64::from(digit) * i64::from(factor) - borrow;
        let digit = value.rem_euclid(BASE as i64);
        borrow = (digit - value) / BASE as i64;
        *place = digit as u32;
    }
    borrow == 0
}

fn add_back(window: &mut [u32], divisor: &[u32]) {
    let mut carry = 0;
    for (position, place) in window.iter_mut().enumerate() {
        let sum = *place + divisor.get(position).copied().unwrap_or(0) + carry;
        carry = u32::from(sum >= BASE as u32);
        *place = sum - carry * BASE as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::Magnitude;
    use crate::prng::Prng;

    fn number(value: u128) -> Magnitude {
        let base = Magnitude::from_small(1 << 32);
        let mut sum = Magnitude::default();
        for shift in [96, 64, 32, 0] {
            sum = sum.mul(&base).add(&Magnitude::from_small((value >> shift) as u32 as u64));
        }
        sum
    }

    #[test]
    fn agrees_with_machine_integers() {
        let mut prng = Prng::new(7);
        for _ in 0..3_000 {
            let mut draw = |bits: u32| {
                u128::from(prng.next_u64()) >> (prng.next_u64() % 64).min(63)
                    << (prng.next_u64() % u64::from(bits))
            };
            let (a, b) = (draw(60), draw(30));
            assert_eq!(number(a).add(&number(b)), number(a + b));
            assert_eq!(number(a.max(b)).sub(&number(a.min(b))), number(a.max(b) - a.min(b)));
            if let Some(product) = a.checked_mul(b) {
                assert_eq!(number(a).mul(&number(b)), number(product));
            }
            if b > 0 {
                assert_eq!(number(a).div_rem(&number(b)), (number(a / b), number(a % b)));
            }
            assert_eq!(number(a).sqrt(), number(a.isqrt()));
        }
    }

    #[test]
    fn long_division_is_the_inverse_of_multiplication() {
        let mut prng = Prng::new(11);
        for _ in 0..300 {
            let mut draw = |most: u64| {
                let mut value = Magnitude::default();
                for _ in 0..=prng.next_u64() % most {
                    // Extreme digits are where quotient guesses go wrong.
                    let digit = match prng.next_u64() % 4 {
                        0 => 0,
                        1 => 9_999,
                        _ => prng.next_u64() % 10_000,
                    };
                    value = value.shifted_up(1).add(&Magnitude::from_small(digit));
                }
                value
            };
            let (a, b) = (draw(40), draw(20));
            if b.is_zero() {
                continue;
            }
            let (quotient, rest) = a.div_rem(&b);
            assert!(rest.compare(&b).is_lt());
            assert_eq!(quotient.mul(&b).add(&rest), a);
        }
    }
}
