//! Elementary functions of doubles, rounded correctly in all but the rarest cases, so that answers agree with the C library that PostgreSQL uses (whose
//! own error is below 0.52 units in the last place).
//!
//! The work is done on unevaluated sums of two doubles (about 106 bits). Source: Dekker 1971; Hida, Li, Bailey 2001.

/// `high + low`, `low` below half a unit of `high`.
#[derive(Clone, Copy)]
struct Pair {
    high: f64,
    low: f64,
}

const LN_2: Pair = Pair { high: core::f64::consts::LN_2, low: 2.3190468138462996e-17 };

fn two_sum(a: f64, b: f64) -> Pair {
    let high = a + b;
    let part = high - a;
    Pair { high, low: (a - (high - part)) + (b - part) }
}

fn quick_two_sum(a: f64, b: f64) -> Pair {
    let high = a + b;
    Pair { high, low: b - (high - a) }
}

fn two_product(a: f64, b: f64) -> Pair {
    let high = a * b;
    Pair { high, low: libm::fma(a, b, -high) }
}

impl Pair {
    const fn of(value: f64) -> Pair {
        Pair { high: value, low: 0.0 }
    }

    fn add(self, other: Pair) -> Pair {
        let high = two_sum(self.high, other.high);
        let low = two_sum(self.low, other.low);
        let carried = quick_two_sum(high.high, high.low + low.high);
        quick_two_sum(carried.high, carried.low + low.low)
    }

    fn negate(self) -> Pair {
        Pair { high: -self.high, low: -self.low }
    }

    fn mul(self, other: Pair) -> Pair {
        let product = two_product(self.high, other.high);
        quick_two_sum(product.high, product.low + (self.high * other.low + self.low * other.high))
    }

    fn div(self, other: Pair) -> Pair {
        let first = self.high / other.high;
        let rest = self.add(other.mul(Pair::of(first)).negate());
        let second = rest.high / other.high;
        let rest = rest.add(other.mul(Pair::of(second)).negate());
        let third = rest.high / other.high;
        quick_two_sum(first, second).add(Pair::of(third))
    }

    fn scaled(self, exponent: i32) -> Pair {
        Pair { high: libm::scalbn(self.high, exponent), low: libm::scalbn(self.low, exponent) }
    }

    fn value(self) -> f64 {
        self.high + self.low
    }
}

/// e^x as a pair and a power of two: `pair · 2^exponent`.
fn exp_pair(x: Pair) -> (Pair, i32) {
    let exponent = libm::rint(x.high / LN_2.high);
    let reduced = x.add(LN_2.mul(Pair::of(exponent)).negate());
    // e^r = (e^(r/512))^512; the series of a small argument is short.
    let small = reduced.scaled(-9);
    let mut term = small;
    let mut sum = small;
    for count in 2..12 {
        term = term.mul(small).div(Pair::of(f64::from(count)));
        sum = sum.add(term);
    }
    // Squaring s = e^y − 1 keeps the digits that 1 + s would lose: (1+s)² − 1 = 2s + s².
    for _ in 0..9 {
        sum = sum.scaled(1).add(sum.mul(sum));
    }
    (sum.add(Pair::of(1.0)), exponent as i32)
}

fn finish(pair: Pair, exponent: i32) -> f64 {
    // Two steps, so that a subnormal answer rounds once and an overflow shows.
    if exponent > 1000 {
        return libm::scalbn(libm::scalbn(pair.value(), 1000), exponent - 1000);
    }
    libm::scalbn(pair.value(), exponent)
}

/// e^x.
pub(super) fn exp(x: f64) -> f64 {
    if !(-745.2..=709.8).contains(&x) {
        return libm::exp(x);
    }
    if x == 0.0 {
        return 1.0;
    }
    let (pair, exponent) = exp_pair(Pair::of(x));
    finish(pair, exponent)
}

/// ln of a finite number above zero.
fn ln_pair(x: f64) -> Pair {
    // One Newton step from the machine's logarithm doubles its digits: y + x·e^(−y) − 1.
    let (mantissa, exponent) = libm::frexp(x);
    let (mantissa, exponent) = if mantissa < core::f64::consts::FRAC_1_SQRT_2 {
        (mantissa * 2.0, exponent - 1)
    } else {
        (mantissa, exponent)
    };
    let mut guess = Pair::of(libm::log(mantissa));
    for _ in 0..2 {
        let (inverse, power) = exp_pair(guess.negate());
        let product = inverse.scaled(power).mul(Pair::of(mantissa));
        guess = guess.add(product.add(Pair::of(-1.0)));
    }
    LN_2.mul(Pair::of(f64::from(exponent))).add(guess)
}

/// The natural logarithm; the argument is not below zero.
pub(super) fn ln(x: f64) -> f64 {
    if !x.is_finite() || x <= 0.0 {
        return libm::log(x);
    }
    ln_pair(x).value()
}

/// The decimal logarithm; the argument is not below zero.
pub(super) fn log10(x: f64) -> f64 {
    if !x.is_finite() || x <= 0.0 {
        return libm::log10(x);
    }
    // The C library splits off the power of two and multiplies; its last digit is reproduced rather than the exact one.
    const LOG10_2_HIGH: f64 = 3.010_299_956_636_117_7e-1;
    const LOG10_2_LOW: f64 = 3.694_239_077_158_931e-13;
    use core::f64::consts::LOG10_E;
    let (mantissa, exponent) = libm::frexp(x);
    let exponent = exponent - 1;
    let below_one = exponent < 0;
    let whole = f64::from(exponent + i32::from(below_one));
    let reduced = if below_one { mantissa } else { mantissa * 2.0 };
    let low = whole * LOG10_2_LOW + LOG10_E * ln(reduced);
    low + whole * LOG10_2_HIGH
}

/// a^b for finite numbers; a negative base has an integer exponent.
pub(super) fn pow(a: f64, b: f64) -> f64 {
    if b == 0.0 || a == 1.0 {
        return 1.0;
    }
    if a == 0.0 {
        return libm::pow(a, b);
    }
    let magnitude = a.abs();
    let negative = a < 0.0 && libm::fmod(b, 2.0) != 0.0;
    let rough = b * libm::log(magnitude);
    if !(-745.2..=709.9).contains(&rough) {
        return libm::pow(a, b);
    }
    let (pair, exponent) = exp_pair(ln_pair(magnitude).mul(Pair::of(b)));
    let answer = finish(pair, exponent);
    if negative { -answer } else { answer }
}

/// The cube root.
pub(super) fn cbrt(x: f64) -> f64 {
    libm::cbrt(x)
}

/// π/2 in four parts, so that a large argument keeps its digits.
const HALF_PI: [f64; 4] = [
    core::f64::consts::FRAC_PI_2,
    6.123_233_995_736_766e-17,
    -1.497_384_904_859_16e-33,
    4.320_574_262_296_449e-50,
];

/// Beyond this the reduction below would lose digits.
const REDUCTION_MAX: f64 = 1e15;

/// The argument less a multiple of π/2, and that multiple modulo four.
fn reduced(x: f64) -> (Pair, u8) {
    let multiple = libm::rint(x / HALF_PI[0]);
    let mut rest = Pair::of(x);
    for part in HALF_PI {
        rest = rest.add(two_product(-multiple, part));
    }
    (rest, (multiple.rem_euclid(4.0)) as u8)
}

/// Sine and cosine of a small argument by their series.
fn sine_cosine(x: Pair) -> (Pair, Pair) {
    let square = x.mul(x);
    let series = |first: Pair, start: f64| {
        let (mut term, mut sum, mut count) = (first, first, start);
        for _ in 0..14 {
            term = term.mul(square).div(Pair::of(-(count * (count + 1.0))));
            sum = sum.add(term);
            count += 2.0;
        }
        sum
    };
    (series(x, 2.0), series(Pair::of(1.0), 1.0))
}

fn sine_cosine_of(x: f64) -> (Pair, Pair) {
    let (rest, quadrant) = reduced(x);
    let (sine, cosine) = sine_cosine(rest);
    match quadrant {
        0 => (sine, cosine),
        1 => (cosine, sine.negate()),
        2 => (sine.negate(), cosine.negate()),
        _ => (cosine.negate(), sine),
    }
}

/// The sine of a number that is not infinite.
pub(super) fn sin(x: f64) -> f64 {
    if x.is_nan() || x.abs() > REDUCTION_MAX || x.abs() < 1e-8 {
        return libm::sin(x);
    }
    sine_cosine_of(x).0.value()
}

/// The cosine of a number that is not infinite.
pub(super) fn cos(x: f64) -> f64 {
    if x.is_nan() || x.abs() > REDUCTION_MAX {
        return libm::cos(x);
    }
    sine_cosine_of(x).1.value()
}

/// The tangent of a number that is not infinite.
pub(super) fn tan(x: f64) -> f64 {
    if x.is_nan() || x.abs() > REDUCTION_MAX || x.abs() < 1e-8 {
        return libm::tan(x);
    }
    let (sine, cosine) = sine_cosine_of(x);
    sine.div(cosine).value()
}

/// The arc tangent: one Newton step from the machine's answer.
pub(super) fn atan(x: f64) -> f64 {
    let guess = libm::atan(x);
    if !x.is_finite() || guess.abs() < 1e-8 || x.abs() > 1e15 {
        return guess;
    }
    let (sine, cosine) = sine_cosine_of(guess);
    let x = Pair::of(x);
    let top = x.mul(cosine).add(sine.negate());
    let step = top.div(cosine.add(x.mul(sine)));
    Pair::of(guess).add(step).value()
}

/// The arc sine of a number of magnitude at most one.
pub(super) fn asin(x: f64) -> f64 {
    let guess = libm::asin(x);
    if x.is_nan() || x.abs() == 1.0 || x.abs() < 1e-8 {
        return guess;
    }
    let (sine, cosine) = sine_cosine_of(guess);
    let step = Pair::of(x).add(sine.negate()).div(cosine);
    Pair::of(guess).add(step).value()
}

/// The arc cosine of a number of magnitude at most one.
pub(super) fn acos(x: f64) -> f64 {
    let guess = libm::acos(x);
    if x.is_nan() || x.abs() == 1.0 {
        return guess;
    }
    let (sine, cosine) = sine_cosine_of(guess);
    let step = cosine.add(Pair::of(-x)).div(sine);
    Pair::of(guess).add(step).value()
}
