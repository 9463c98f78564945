//! Averages, variances and regressions of floats, by the updating formulas of Youngs and Cramer, which PostgreSQL uses since version 12.

use super::bad_partial;
use super::number::Statistic;
use crate::aggregate::AggregateState;
use crate::library::float::overflow;
use crate::{EvalContext, EvalError};
use alloc::boxed::Box;
use alloc::vec::Vec;
use types::{SqlType, Value};

fn float(value: &Value) -> Result<f64, EvalError> {
    match value {
        Value::Float4(number) => Ok(f64::from(*number)),
        Value::Float8(number) => Ok(*number),
        _ => Err(EvalError::internal("an aggregate of floats was given something else")),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Average,
    Spread(Statistic),
}

#[derive(Debug)]
struct Floats {
    answer: Answer,
    count: f64,
    sum: f64,
    /// Σ (x − mean)²
    spread: f64,
}

impl AggregateState for Floats {
    fn accumulate(
        &mut self,
        arguments: &[&Value],
        _context: &EvalContext<'_>,
    ) -> Result<(), EvalError> {
        let [value] = arguments else { return Err(bad_partial()) };
        if value.is_null() {
            return Ok(());
        }
        let number = float(value)?;
        let (count_before, sum_before) = (self.count, self.sum);
        self.count += 1.0;
        self.sum += number;
        if count_before > 0.0 {
            let distance = number * self.count - self.sum;
            self.spread += distance * distance / (self.count * count_before);
            if self.sum.is_infinite() || self.spread.is_infinite() {
                if !sum_before.is_infinite() && !number.is_infinite() {
                    return Err(overflow());
                }
                self.spread = f64::NAN;
            }
        } else if !number.is_finite() {
            self.spread = f64::NAN;
        }
        Ok(())
    }

    fn finish(&self) -> Result<Value, EvalError> {
        let answer = match self.answer {
            Answer::Average => (self.count > 0.0).then(|| self.sum / self.count),
            Answer::Spread(statistic) => {
                let divisor = if statistic.of_sample() { self.count - 1.0 } else { self.count };
                (divisor > 0.0).then(|| {
                    let variance = self.spread / divisor;
                    if statistic.is_deviation() { libm::sqrt(variance) } else { variance }
                })
            }
        };
        Ok(answer.map_or(Value::Null, Value::Float8))
    }

    fn partial(&self) -> Vec<Value> {
        Vec::from([self.count, self.sum, self.spread].map(Value::Float8))
    }

    fn merge(&mut self, partial: &[Value]) -> Result<(), EvalError> {
        let [Value::Float8(count), Value::Float8(sum), Value::Float8(spread)] = *partial else {
            return Err(bad_partial());
        };
        if count == 0.0 {
            return Ok(());
        }
        if self.count == 0.0 {
            (self.count, self.sum, self.spread) = (count, sum, spread);
            return Ok(());
        }
        let total = self.count + count;
        let distance = self.sum / self.count - sum / count;
        let merged = self.sum + sum;
        if merged.is_infinite() && !self.sum.is_infinite() && !sum.is_infinite() {
            return Err(overflow());
        }
        let joined = self.spread + spread + self.count * count * distance * distance / total;
        if joined.is_infinite() && !self.spread.is_infinite() && !spread.is_infinite() {
            return Err(overflow());
        }
        (self.count, self.sum, self.spread) = (total, merged, joined);
        Ok(())
    }
}

macro_rules! floats {
    ($($make:ident = $answer:expr;)*) => {$(
        pub(in crate::aggregate) fn $make(_types: &[SqlType]) -> Box<dyn AggregateState> {
            Box::new(Floats { answer: $answer, count: 0.0, sum: 0.0, spread: 0.0 })
        }
    )*};
}

floats! {
    // pg_proc avg(real) => avg_float
    // pg_proc avg(double precision) => avg_float
    avg_float = Answer::Average;
    // pg_proc variance(real) => var_samp_float
    // pg_proc variance(double precision) => var_samp_float
    // pg_proc var_samp(real) => var_samp_float
    // pg_proc var_samp(double precision) => var_samp_float
    var_samp_float = Answer::Spread(Statistic::VarianceOfSample);
    // pg_proc var_pop(real) => var_pop_float
    // pg_proc var_pop(double precision) => var_pop_float
    var_pop_float = Answer::Spread(Statistic::Variance);
    // pg_proc stddev(real) => stddev_samp_float
    // pg_proc stddev(double precision) => stddev_samp_float
    // pg_proc stddev_samp(real) => stddev_samp_float
    // pg_proc stddev_samp(double precision) => stddev_samp_float
    stddev_samp_float = Answer::Spread(Statistic::DeviationOfSample);
    // pg_proc stddev_pop(real) => stddev_pop_float
    // pg_proc stddev_pop(double precision) => stddev_pop_float
    stddev_pop_float = Answer::Spread(Statistic::Deviation);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Regression {
    Count,
    SpreadX,
    SpreadY,
    SpreadXy,
    AverageX,
    AverageY,
    R2,
    Slope,
    Intercept,
    Covariance,
    CovarianceOfSample,
    Correlation,
}

/// Count, Σx, Σ(x − x̄)², Σy, Σ(y − ȳ)², Σ(x − x̄)(y − ȳ).
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    count: f64,
    x: f64,
    xx: f64,
    y: f64,
    yy: f64,
    xy: f64,
}

#[derive(Debug)]
struct Pairs {
    answer: Regression,
    sums: Sums,
}

impl Sums {
    fn add(&mut self, x: f64, y: f64) -> Result<(), EvalError> {
        let before = *self;
        self.count += 1.0;
        self.x += x;
        self.y += y;
        if before.count == 0.0 {
            if !x.is_finite() {
                (self.xx, self.xy) = (f64::NAN, f64::NAN);
            }
            if !y.is_finite() {
                (self.yy, self.xy) = (f64::NAN, f64::NAN);
            }
            return Ok(());
        }
        let (dx, dy) = (x * self.count - self.x, y * self.count - self.y);
        let scale = 1.0 / (self.count * before.count);
        self.xx += dx * dx * scale;
        self.yy += dy * dy * scale;
        self.xy += dx * dy * scale;
        let x_was_finite = !before.x.is_infinite() && !x.is_infinite();
        let y_was_finite = !before.y.is_infinite() && !y.is_infinite();
        let overflowed = (self.x.is_infinite() || self.xx.is_infinite()) && x_was_finite
            || (self.y.is_infinite() || self.yy.is_infinite()) && y_was_finite
            || self.xy.is_infinite() && x_was_finite && y_was_finite;
        if overflowed {
            return Err(overflow());
        }
        for sum in [&mut self.xx, &mut self.yy, &mut self.xy] {
            if sum.is_infinite() {
                *sum = f64::NAN;
            }
        }
        Ok(())
    }

    fn answer(&self, wanted: Regression) -> Option<f64> {
        let Sums { count, x, xx, y, yy, xy } = *self;
        if count < 1.0 {
            return None;
        }
        match wanted {
            Regression::Count => Some(count),
            Regression::SpreadX => Some(xx),
            Regression::SpreadY => Some(yy),
            Regression::SpreadXy => Some(xy),
            Regression::AverageX => Some(x / count),
            Regression::AverageY => Some(y / count),
            Regression::Covariance => Some(xy / count),
            Regression::CovarianceOfSample => (count >= 2.0).then(|| xy / (count - 1.0)),
            Regression::Correlation => (xx != 0.0 && yy != 0.0).then(|| xy / libm::sqrt(xx * yy)),
            Regression::R2 if xx == 0.0 => None,
            Regression::R2 if yy == 0.0 => Some(1.0),
            Regression::R2 => Some(xy * xy / (xx * yy)),
            Regression::Slope => (xx != 0.0).then(|| xy / xx),
            Regression::Intercept => (xx != 0.0).then(|| (y - x * xy / xx) / count),
        }
    }
}

impl AggregateState for Pairs {
    fn accumulate(
        &mut self,
        arguments: &[&Value],
        _context: &EvalContext<'_>,
    ) -> Result<(), EvalError> {
        let [y, x] = arguments else { return Err(bad_partial()) };
        if y.is_null() || x.is_null() {
            return Ok(());
        }
        self.sums.add(float(x)?, float(y)?)
    }

    fn finish(&self) -> Result<Value, EvalError> {
        if self.answer == Regression::Count {
            return Ok(Value::Int8(self.sums.count as i64));
        }
        Ok(self.sums.answer(self.answer).map_or(Value::Null, Value::Float8))
    }

    fn partial(&self) -> Vec<Value> {
        let Sums { count, x, xx, y, yy, xy } = self.sums;
        Vec::from([count, x, xx, y, yy, xy].map(Value::Float8))
    }

    fn merge(&mut self, partial: &[Value]) -> Result<(), EvalError> {
        let numbers: Vec<f64> = partial.iter().map(float).collect::<Result<_, _>>()?;
        let [count, x, xx, y, yy, xy] = numbers[..] else { return Err(bad_partial()) };
        let own = self.sums;
        if count == 0.0 {
            return Ok(());
        }
        if own.count == 0.0 {
            self.sums = Sums { count, x, xx, y, yy, xy };
            return Ok(());
        }
        let total = own.count + count;
        let (dx, dy) = (own.x / own.count - x / count, own.y / own.count - y / count);
        let weight = own.count * count / total;
        self.sums = Sums {
            count: total,
            x: own.x + x,
            xx: own.xx + xx + weight * dx * dx,
            y: own.y + y,
            yy: own.yy + yy + weight * dy * dy,
            xy: own.xy + xy + weight * dx * dy,
        };
        Ok(())
    }
}

macro_rules! pairs {
    ($($make:ident = $answer:ident;)*) => {$(
        pub(in crate::aggregate) fn $make(_types: &[SqlType]) -> Box<dyn AggregateState> {
            Box::new(Pairs { answer: Regression::$answer, sums: Sums::default() })
        }
    )*};
}

pairs! {
    // pg_proc regr_count(double precision,double precision) => regr_count
    regr_count = Count;
    // pg_proc regr_sxx(double precision,double precision) => regr_sxx
    regr_sxx = SpreadX;
    // pg_proc regr_syy(double precision,double precision) => regr_syy
    regr_syy = SpreadY;
    // pg_proc regr_sxy(double precision,double precision) => regr_sxy
    regr_sxy = SpreadXy;
    // pg_proc regr_avgx(double precision,double precision) => regr_avgx
    regr_avgx = AverageX;
    // pg_proc regr_avgy(double precision,double precision) => regr_avgy
    regr_avgy = AverageY;
    // pg_proc regr_r2(double precision,double precision) => regr_r2
    regr_r2 = R2;
    // pg_proc regr_slope(double precision,double precision) => regr_slope
    regr_slope = Slope;
    // pg_proc regr_intercept(double precision,double precision) => regr_intercept
    regr_intercept = Intercept;
    // pg_proc covar_pop(double precision,double precision) => covar_pop
    covar_pop = Covariance;
    // pg_proc covar_samp(double precision,double precision) => covar_samp
    covar_samp = CovarianceOfSample;
    // pg_proc corr(double precision,double precision) => corr
    corr = Correlation;
}
