//! Aggregates that keep one value and replace it: min, max, bool_and, bool_or, bit_and, bit_or, bit_xor, and sums whose sum is of the input's type.
//!
//! The transition is the SQL function that PostgreSQL uses, so ties (−0 and 0, 1.0 and 1.00) and overflow come out as there.

use super::{bad_partial, combine};
use crate::aggregate::AggregateState;
use crate::registry::FunctionId;
use crate::{EvalContext, EvalError};
use alloc::boxed::Box;
use alloc::vec::Vec;
use types::{SqlType, Value};

#[derive(Debug)]
struct Fold {
    transition: FunctionId,
    value: Value,
}

impl Fold {
    fn add(&mut self, value: &Value, context: &EvalContext<'_>) -> Result<(), EvalError> {
        if value.is_null() {
            return Ok(());
        }
        self.value = if self.value.is_null() {
            value.clone()
        } else {
            combine(self.transition, &self.value, value, context)?
        };
        Ok(())
    }
}

impl AggregateState for Fold {
    fn accumulate(
        &mut self,
        arguments: &[&Value],
        context: &EvalContext<'_>,
    ) -> Result<(), EvalError> {
        match arguments {
            [value] => self.add(value, context),
            _ => Err(bad_partial()),
        }
    }

    fn finish(&self) -> Result<Value, EvalError> {
        Ok(self.value.clone())
    }

    fn partial(&self) -> Vec<Value> {
        Vec::from([self.value.clone()])
    }

    fn merge(&mut self, partial: &[Value]) -> Result<(), EvalError> {
        match partial {
            [value] => self.add(value, &EvalContext::PURE),
            _ => Err(bad_partial()),
        }
    }
}

macro_rules! folds {
    ($($make:ident = $transition:literal;)*) => {$(
        pub(in crate::aggregate) fn $make(_types: &[SqlType]) -> Box<dyn AggregateState> {
            Box::new(Fold { transition: FunctionId($transition), value: Value::Null })
        }
    )*};
}

folds! {
    // pg_proc bit_and(smallint) => int2and
    int2and = 1892;
    // pg_proc bit_and(integer) => int4and
    int4and = 1898;
    // pg_proc bit_and(bigint) => int8and
    int8and = 1904;
    // pg_proc bit_or(smallint) => int2or
    int2or = 1893;
    // pg_proc bit_or(integer) => int4or
    int4or = 1899;
    // pg_proc bit_or(bigint) => int8or
    int8or = 1905;
    // pg_proc bit_xor(smallint) => int2xor
    int2xor = 1894;
    // pg_proc bit_xor(integer) => int4xor
    int4xor = 1900;
    // pg_proc bit_xor(bigint) => int8xor
    int8xor = 1906;
    // pg_proc bool_and(boolean) => booland_statefunc
    booland_statefunc = 2515;
    // pg_proc bool_or(boolean) => boolor_statefunc
    boolor_statefunc = 2516;
    // pg_proc every(boolean) => booland_statefunc
    // pg_proc max(anyarray) => array_larger
    array_larger = 515;
    // pg_proc max(bigint) => int8larger
    int8larger = 1236;
    // pg_proc max(integer) => int4larger
    int4larger = 768;
    // pg_proc max(smallint) => int2larger
    int2larger = 770;
    // pg_proc max(oid) => oidlarger
    oidlarger = 1965;
    // pg_proc max(real) => float4larger
    float4larger = 209;
    // pg_proc max(double precision) => float8larger
    float8larger = 223;
    // pg_proc max(date) => date_larger
    date_larger = 1138;
    // pg_proc max(timestamp without time zone) => timestamp_larger
    timestamp_larger = 2036;
    // pg_proc max(timestamp with time zone) => timestamptz_larger
    timestamptz_larger = 1196;
    // pg_proc max(interval) => interval_larger
    interval_larger = 1198;
    // pg_proc max(text) => text_larger
    text_larger = 458;
    // pg_proc max(numeric) => numeric_larger
    numeric_larger = 1767;
    // pg_proc max(character) => bpchar_larger
    bpchar_larger = 1063;
    // pg_proc min(anyarray) => array_smaller
    array_smaller = 516;
    // pg_proc min(bigint) => int8smaller
    int8smaller = 1237;
    // pg_proc min(integer) => int4smaller
    int4smaller = 769;
    // pg_proc min(smallint) => int2smaller
    int2smaller = 771;
    // pg_proc min(oid) => oidsmaller
    oidsmaller = 1966;
    // pg_proc min(real) => float4smaller
    float4smaller = 211;
    // pg_proc min(double precision) => float8smaller
    float8smaller = 224;
    // pg_proc min(date) => date_smaller
    date_smaller = 1139;
    // pg_proc min(timestamp without time zone) => timestamp_smaller
    timestamp_smaller = 2035;
    // pg_proc min(timestamp with time zone) => timestamptz_smaller
    timestamptz_smaller = 1195;
    // pg_proc min(interval) => interval_smaller
    interval_smaller = 1197;
    // pg_proc min(text) => text_smaller
    text_smaller = 459;
    // pg_proc min(numeric) => numeric_smaller
    numeric_smaller = 1766;
    // pg_proc min(character) => bpchar_smaller
    bpchar_smaller = 1064;
    // pg_proc sum(real) => sum_float4pl
    sum_float4pl = 204;
    // pg_proc sum(double precision) => sum_float8pl
    sum_float8pl = 218;
    // pg_proc sum(interval) => sum_interval_pl
    sum_interval_pl = 1169;
}
