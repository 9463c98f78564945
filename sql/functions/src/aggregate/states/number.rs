//! Sums, averages and variances of `numeric` (and of `bigint`, whose squares leave 128 bits).

use super::bad_partial;
use crate::aggregate::AggregateState;
use crate::{EvalContext, EvalError};
use alloc::boxed::Box;
use alloc::vec::Vec;
use types::numeric::NumericSum;
use types::{Numeric, SqlType, Value};

/// What is asked about the spread of the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::aggregate) enum Statistic {
    /// `var_pop`
    Variance,
    /// `var_samp`, `variance`
    VarianceOfSample,
    /// `stddev_pop`
    Deviation,
    /// `stddev_samp`, `stddev`
    DeviationOfSample,
}

impl Statistic {
    pub(in crate::aggregate) const fn of_sample(self) -> bool {
        matches!(self, Statistic::VarianceOfSample | Statistic::DeviationOfSample)
    }

    pub(in crate::aggregate) const fn is_deviation(self) -> bool {
        matches!(self, Statistic::Deviation | Statistic::DeviationOfSample)
    }
}

/// (n·Σx² − (Σx)²) / (n·n or n·(n − 1)), and its root for a deviation. Nothing for too few values.
pub(super) fn variance(
    count: i64,
    sum: &Numeric,
    squares: &Numeric,
    statistic: Statistic,
) -> Result<Option<Numeric>, EvalError> {
    if count < if statistic.of_sample() { 2 } else { 1 } {
        return Ok(None);
    }
    let numeric = |value: i64| Numeric::from_i128(i128::from(value));
    let top = numeric(count).mul(squares)?.sub(&sum.mul(sum)?)?;
    if top.is_zero() || top.is_negative() {
        return Ok(Some(Numeric::ZERO));
    }
    let other = if statistic.of_sample() { count - 1 } else { count };
    let variance = top.div(&numeric(count).mul(&numeric(other))?)?;
    if !statistic.is_deviation() {
        return Ok(Some(variance));
    }
    let scale = i32::from(variance.display_scale());
    Ok(Some(variance.sqrt_to_scale(scale)))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Sum,
    Average,
    Spread(Statistic),
}

#[derive(Debug)]
struct Numbers {
    answer: Answer,
    count: i64,
    sum: NumericSum,
    squares: NumericSum,
}

impl Numbers {
    fn add(&mut self, number: &Numeric) -> Result<(), EvalError> {
        self.count += 1;
        self.sum.add(number)?;
        if matches!(self.answer, Answer::Spread(_)) && number.is_finite() {
            self.squares.add(&number.mul(number)?)?;
        }
        Ok(())
    }
}

impl AggregateState for Numbers {
    fn accumulate(
        &mut self,
        arguments: &[&Value],
        _context: &EvalContext<'_>,
    ) -> Result<(), EvalError> {
        match arguments {
            [Value::Null] => Ok(()),
            [Value::Numeric(number)] => self.add(number),
            [Value::Int8(number)] => self.add(&Numeric::from_i128(i128::from(*number))),
            _ => Err(EvalError::internal("an aggregate of numbers was given something else")),
        }
    }

    fn finish(&self) -> Result<Value, EvalError> {
        if self.count == 0 {
            return Ok(Value::Null);
        }
        let total = self.sum.total()?;
        let answer = match self.answer {
            Answer::Sum => Some(total),
            Answer::Average => Some(total.div(&Numeric::from_i128(i128::from(self.count)))?),
            Answer::Spread(statistic) if self.sum.has_special() => {
                let least = if statistic.of_sample() { 2 } else { 1 };
                (self.count >= least).then_some(Numeric::NAN)
            }
            Answer::Spread(statistic) => {
                variance(self.count, &total, &self.squares.total()?, statistic)?
            }
        };
        Ok(answer.map_or(Value::Null, |number| Value::Numeric(Box::new(number))))
    }

    fn partial(&self) -> Vec<Value> {
        // A sum beyond the format cannot travel; NaN says so.
        let total =
            |sum: &NumericSum| Value::Numeric(Box::new(sum.total().unwrap_or(Numeric::NAN)));
        Vec::from([Value::Int8(self.count), total(&self.sum), total(&self.squares)])
    }

    fn merge(&mut self, partial: &[Value]) -> Result<(), EvalError> {
        let [Value::Int8(count), Value::Numeric(sum), Value::Numeric(squares)] = partial else {
            return Err(bad_partial());
        };
        self.count += count;
        self.sum.add(sum)?;
        self.squares.add(squares)
    }
}

macro_rules! numbers {
    ($($make:ident = $answer:expr;)*) => {$(
        pub(in crate::aggregate) fn $make(_types: &[SqlType]) -> Box<dyn AggregateState> {
            Box::new(Numbers {
                answer: $answer,
                count: 0,
                sum: NumericSum::default(),
                squares: NumericSum::default(),
            })
        }
    )*};
}

numbers! {
    // pg_proc sum(numeric) => sum_numeric
    sum_numeric = Answer::Sum;
    // pg_proc avg(numeric) => avg_numeric
    avg_numeric = Answer::Average;
    // pg_proc variance(numeric) => var_samp_numeric
    // pg_proc var_samp(numeric) => var_samp_numeric
    // pg_proc variance(bigint) => var_samp_numeric
    // pg_proc var_samp(bigint) => var_samp_numeric
    var_samp_numeric = Answer::Spread(Statistic::VarianceOfSample);
    // pg_proc var_pop(numeric) => var_pop_numeric
    // pg_proc var_pop(bigint) => var_pop_numeric
    var_pop_numeric = Answer::Spread(Statistic::Variance);
    // pg_proc stddev(numeric) => stddev_samp_numeric
    // pg_proc stddev_samp(numeric) => stddev_samp_numeric
    // pg_proc stddev(bigint) => stddev_samp_numeric
    // pg_proc stddev_samp(bigint) => stddev_samp_numeric
    stddev_samp_numeric = Answer::Spread(Statistic::DeviationOfSample);
    // pg_proc stddev_pop(numeric) => stddev_pop_numeric
    // pg_proc stddev_pop(bigint) => stddev_pop_numeric
    stddev_pop_numeric = Answer::Spread(Statistic::Deviation);
}
