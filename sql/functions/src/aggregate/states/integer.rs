//! Sums, averages and variances of integers: exact, in 128 bits.

use super::bad_partial;
use super::number::{Statistic, variance};
use crate::aggregate::AggregateState;
use crate::{EvalContext, EvalError};
use alloc::boxed::Box;
use alloc::vec::Vec;
use types::{Numeric, SqlType, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// `sum(smallint)`, `sum(integer)`
    Bigint,
    /// `sum(bigint)`
    Numeric,
    /// `avg`
    Average,
    /// Variance and its like; integers of at most 32 bits.
    Spread(Statistic),
}

#[derive(Debug)]
struct Integers {
    answer: Answer,
    count: i64,
    sum: i128,
    /// Of 32-bit integers: 2^62 · 2^64 rows fit.
    squares: i128,
}

fn integer(value: &Value) -> Result<Option<i64>, EvalError> {
    match value {
        Value::Null => Ok(None),
        Value::Int2(number) => Ok(Some(i64::from(*number))),
        Value::Int4(number) => Ok(Some(i64::from(*number))),
        Value::Int8(number) => Ok(Some(*number)),
        _ => Err(EvalError::internal("an aggregate of integers was given something else")),
    }
}

fn numeric_value(number: Numeric) -> Value {
    Value::Numeric(Box::new(number))
}

impl AggregateState for Integers {
    fn accumulate(
        &mut self,
        arguments: &[&Value],
        _context: &EvalContext<'_>,
    ) -> Result<(), EvalError> {
        let [value] = arguments else { return Err(bad_partial()) };
        if let Some(number) = integer(value)? {
            self.count += 1;
            self.sum += i128::from(number);
            if matches!(self.answer, Answer::Spread(_)) {
                self.squares += i128::from(number) * i128::from(number);
            }
        }
        Ok(())
    }

    fn finish(&self) -> Result<Value, EvalError> {
        if self.count == 0 {
            return Ok(Value::Null);
        }
        let sum = || Numeric::from_i128(self.sum);
        let count = Numeric::from_i128(i128::from(self.count));
        match self.answer {
            Answer::Bigint => i64::try_from(self.sum)
                .map(Value::Int8)
                .map_err(|_| EvalError::out_of_range("bigint")),
            Answer::Numeric => Ok(numeric_value(sum())),
            Answer::Average => Ok(numeric_value(sum().div(&count)?)),
            Answer::Spread(statistic) => {
                let squares = Numeric::from_i128(self.squares);
                let answer = variance(self.count, &sum(), &squares, statistic)?;
                Ok(answer.map_or(Value::Null, numeric_value))
            }
        }
    }

    fn partial(&self) -> Vec<Value> {
        Vec::from([
            Value::Int8(self.count),
            numeric_value(Numeric::from_i128(self.sum)),
            numeric_value(Numeric::from_i128(self.squares)),
        ])
    }

    fn merge(&mut self, partial: &[Value]) -> Result<(), EvalError> {
        let [Value::Int8(count), Value::Numeric(sum), Value::Numeric(squares)] = partial else {
            return Err(bad_partial());
        };
        let overflow = || EvalError::out_of_range("numeric");
        self.count += count;
        let sum = sum.to_i128().ok_or_else(bad_partial)?;
        let squares = squares.to_i128().ok_or_else(bad_partial)?;
        self.sum = self.sum.checked_add(sum).ok_or_else(overflow)?;
        self.squares = self.squares.checked_add(squares).ok_or_else(overflow)?;
        Ok(())
    }
}

fn state(answer: Answer) -> Box<dyn AggregateState> {
    Box::new(Integers { answer, count: 0, sum: 0, squares: 0 })
}

macro_rules! integers {
    ($($make:ident = $answer:expr;)*) => {$(
        pub(in crate::aggregate) fn $make(_types: &[SqlType]) -> Box<dyn AggregateState> {
            state($answer)
        }
    )*};
}

integers! {
    // pg_proc sum(smallint) => sum_to_bigint
    // pg_proc sum(integer) => sum_to_bigint
    sum_to_bigint = Answer::Bigint;
    // pg_proc sum(bigint) => sum_bigint
    sum_bigint = Answer::Numeric;
    // pg_proc avg(smallint) => avg_integer
    // pg_proc avg(integer) => avg_integer
    // pg_proc avg(bigint) => avg_integer
    avg_integer = Answer::Average;
    // pg_proc variance(smallint) => var_samp_integer
    // pg_proc variance(integer) => var_samp_integer
    // pg_proc var_samp(smallint) => var_samp_integer
    // pg_proc var_samp(integer) => var_samp_integer
    var_samp_integer = Answer::Spread(Statistic::VarianceOfSample);
    // pg_proc var_pop(smallint) => var_pop_integer
    // pg_proc var_pop(integer) => var_pop_integer
    var_pop_integer = Answer::Spread(Statistic::Variance);
    // pg_proc stddev(smallint) => stddev_samp_integer
    // pg_proc stddev(integer) => stddev_samp_integer
    // pg_proc stddev_samp(smallint) => stddev_samp_integer
    // pg_proc stddev_samp(integer) => stddev_samp_integer
    stddev_samp_integer = Answer::Spread(Statistic::DeviationOfSample);
    // pg_proc stddev_pop(smallint) => stddev_pop_integer
    // pg_proc stddev_pop(integer) => stddev_pop_integer
    stddev_pop_integer = Answer::Spread(Statistic::Deviation);
}
