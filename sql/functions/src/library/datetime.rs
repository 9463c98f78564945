//! `date`, `timestamp`, `timestamptz`, `interval`: arithmetic and conversions. Taking apart is in [`super::datetime_fields`].
//!
//! Months are added first, then days, then time; a day that the month does not have becomes its last.

use super::convert::{Date, Stamp, Timestamp, Timestamptz};
use crate::{EvalContext, EvalError};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;
use types::datetime::{
    DateParts, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND,
    TIMESTAMP_INFINITY, TIMESTAMP_NEGATIVE_INFINITY, UNIX_EPOCH_DAYS, date_in_range,
    date_is_finite, date_to_timestamp, days_in_month, from_local, timestamp_in_range,
    timestamp_is_finite, timestamp_out_of_range, timestamp_to_date, to_local,
};
use types::time_zone::{abbreviation_offset, parse_offset};
use types::{Interval, SqlState, TimeZone, Value};

#[cold]
pub(super) fn overflow(message: impl Into<String>) -> EvalError {
    EvalError::new(SqlState::DATETIME_FIELD_OVERFLOW, message)
}

#[cold]
fn interval_range() -> EvalError {
    overflow("interval out of range")
}

fn checked_timestamp(micros: Option<i64>) -> Result<i64, EvalError> {
    micros.filter(|micros| timestamp_in_range(*micros)).ok_or_else(timestamp_out_of_range)
}

/// A wall clock plus an interval.
pub(super) fn plus(micros: i64, span: Interval) -> Result<i64, EvalError> {
    if !timestamp_is_finite(micros) {
        return Ok(micros);
    }
    let mut days = micros.div_euclid(MICROS_PER_DAY);
    let time = micros.rem_euclid(MICROS_PER_DAY);
    if span.months != 0 {
        let date = DateParts::of_days(days);
        let months = i64::from(date.year) * 12 + i64::from(date.month) - 1 + i64::from(span.months);
        let year = i32::try_from(months.div_euclid(12)).map_err(|_| timestamp_out_of_range())?;
        let month = months.rem_euclid(12) as u32 + 1;
        let day = date.day.min(days_in_month(year, month));
        days = DateParts { year, month, day }.to_days();
        checked_timestamp(days.checked_mul(MICROS_PER_DAY))?;
    }
    days += i64::from(span.days);
    let midnight = days.checked_mul(MICROS_PER_DAY).and_then(|start| start.checked_add(time));
    let moved = checked_timestamp(midnight)?;
    checked_timestamp(moved.checked_add(span.micros))
}

fn negated(span: Interval) -> Result<Interval, EvalError> {
    let (Some(months), Some(days), Some(micros)) =
        (span.months.checked_neg(), span.days.checked_neg(), span.micros.checked_neg())
    else {
        return Err(interval_range());
    };
    Ok(Interval { months, days, micros })
}

/// An instant plus an interval, on the wall clock of a zone.
fn plus_zoned(micros: i64, span: Interval, zone: &TimeZone) -> Result<i64, EvalError> {
    if !timestamp_is_finite(micros) {
        return Ok(micros);
    }
    from_local(plus(to_local(micros, zone), span)?, zone)
}

/// Hours beyond a day become days; the signs agree.
fn justify_hours(span: Interval) -> Result<Interval, EvalError> {
    let whole = span.micros / MICROS_PER_DAY;
    let mut micros = span.micros % MICROS_PER_DAY;
    let mut days = i32::try_from(whole)
        .ok()
        .and_then(|whole| span.days.checked_add(whole))
        .ok_or_else(interval_range)?;
    if days > 0 && micros < 0 {
        micros += MICROS_PER_DAY;
        days -= 1;
    } else if days < 0 && micros > 0 {
        micros -= MICROS_PER_DAY;
        days += 1;
    }
    Ok(Interval { days, micros, ..span })
}

fn justify_days(span: Interval) -> Result<Interval, EvalError> {
    let whole = span.days / 30;
    let mut days = span.days % 30;
    let mut months = span.months.checked_add(whole).ok_or_else(interval_range)?;
    if months > 0 && days < 0 {
        days += 30;
        months -= 1;
    } else if months < 0 && days > 0 {
        days -= 30;
        months += 1;
    }
    Ok(Interval { months, days, ..span })
}

fn justify(span: Interval) -> Result<Interval, EvalError> {
    let mut early = span;
    if span.days > 0 && span.micros > 0 || span.days < 0 && span.micros < 0 {
        let whole = span.days / 30;
        early.days -= whole * 30;
        early.months = span.months.checked_add(whole).ok_or_else(interval_range)?;
    }
    let whole_days = i32::try_from(early.micros / MICROS_PER_DAY).map_err(|_| interval_range())?;
    let mut micros = early.micros % MICROS_PER_DAY;
    let mut days = early.days.checked_add(whole_days).ok_or_else(interval_range)?;
    let whole = days / 30;
    days -= whole * 30;
    let mut months = early.months.checked_add(whole).ok_or_else(interval_range)?;
    if months > 0 && (days < 0 || days == 0 && micros < 0) {
        days += 30;
        months -= 1;
    } else if months < 0 && (days > 0 || days == 0 && micros > 0) {
        days -= 30;
        months += 1;
    }
    if days > 0 && micros < 0 {
        micros += MICROS_PER_DAY;
        days -= 1;
    } else if days < 0 && micros > 0 {
        micros -= MICROS_PER_DAY;
        days += 1;
    }
    Ok(Interval { months, days, micros })
}

/// Seconds rounded to microseconds.
fn round_seconds(seconds: f64) -> f64 {
    libm::rint(seconds * 1e6) / 1e6
}

/// An interval times a number: fractions of months go to days of a thirtieth, fractions of days to time.
fn scaled(span: Interval, scale: impl Fn(f64) -> f64) -> Result<Interval, EvalError> {
    let whole = |number: i32| -> Result<i32, EvalError> {
        let scaled = scale(f64::from(number));
        if scaled.is_nan() || scaled >= 2_147_483_648.0 || scaled <= -2_147_483_649.0 {
            return Err(interval_range());
        }
        Ok(scaled as i32)
    };
    let (months, mut days) = (whole(span.months)?, whole(span.days)?);
    let month_days = round_seconds((scale(f64::from(span.months)) - f64::from(months)) * 30.0);
    let mut seconds = round_seconds(
        (scale(f64::from(span.days)) - f64::from(days) + month_days - libm::trunc(month_days))
            * 86_400.0,
    );
    if libm::fabs(seconds) >= 86_400.0 {
        let extra = libm::trunc(seconds / 86_400.0);
        days = days.checked_add(extra as i32).ok_or_else(interval_range)?;
        seconds -= extra * 86_400.0;
    }
    days = days.checked_add(month_days as i32).ok_or_else(interval_range)?;
    let micros = libm::rint(scale(span.micros as f64) + seconds * 1e6);
    if micros.is_nan() || !(-9.223_372_036_854_775e18..9.223_372_036_854_775e18).contains(&micros) {
        return Err(interval_range());
    }
    Ok(Interval { months, days, micros: micros as i64 })
}

fn days_between(a: Date, b: Date) -> Result<i32, EvalError> {
    if !date_is_finite(a.0) || !date_is_finite(b.0) {
        return Err(overflow("cannot subtract infinite dates"));
    }
    Ok(a.0.wrapping_sub(b.0))
}

fn plus_days(date: Date, days: i64) -> Result<Date, EvalError> {
    if !date_is_finite(date.0) {
        return Ok(date);
    }
    let sum = i64::from(date.0) + days;
    if date_in_range(sum) { Ok(Date(sum as i32)) } else { Err(overflow("date out of range")) }
}

fn between(a: Stamp, b: Stamp) -> Result<Interval, EvalError> {
    if !timestamp_is_finite(a.0) || !timestamp_is_finite(b.0) {
        return Err(overflow("cannot subtract infinite timestamps"));
    }
    // PostgreSQL 15 lets distances beyond 292,471 years wrap.
    let micros = a.0.wrapping_sub(b.0);
    justify_hours(Interval { months: 0, days: 0, micros })
}

/// Calendar distance of two wall clocks, field by field.
fn age(a: i64, b: i64) -> Result<Interval, EvalError> {
    if !timestamp_is_finite(a) || !timestamp_is_finite(b) {
        return Err(overflow("timestamp out of range"));
    }
    let negative = a < b;
    let (late, early) = if negative { (b, a) } else { (a, b) };
    let split = |micros: i64| {
        (DateParts::of_days(micros.div_euclid(MICROS_PER_DAY)), micros.rem_euclid(MICROS_PER_DAY))
    };
    let ((late_date, late_time), (early_date, early_time)) = (split(late), split(early));
    let mut micros = late_time - early_time;
    let mut days = late_date.day as i32 - early_date.day as i32;
    let mut months =
        (late_date.year - early_date.year) * 12 + late_date.month as i32 - early_date.month as i32;
    if micros < 0 {
        micros += MICROS_PER_DAY;
        days -= 1;
    }
    while days < 0 {
        // Borrow the earlier date's month.
        days += days_in_month(early_date.year, early_date.month) as i32;
        months -= 1;
    }
    let span = Interval { months, days, micros };
    if negative { negated(span) } else { Ok(span) }
}

/// A date against a wall clock, for dates that no timestamp reaches too.
fn date_against(date: Date, micros: i64) -> Ordering {
    match date_to_timestamp(date.0) {
        Ok(midnight) => midnight.cmp(&micros),
        Err(_) if micros == TIMESTAMP_INFINITY => Ordering::Less,
        Err(_) => Ordering::Greater,
    }
}

fn date_against_zoned(date: Date, micros: i64, zone: &TimeZone) -> Ordering {
    match date_to_timestamp(date.0).ok().map(|midnight| from_local(midnight, zone)) {
        Some(Ok(instant)) => instant.cmp(&micros),
        _ if micros == TIMESTAMP_INFINITY => Ordering::Less,
        _ if micros == TIMESTAMP_NEGATIVE_INFINITY => Ordering::Greater,
        Some(Err(_)) if date.0 < 0 => Ordering::Less,
        _ => Ordering::Greater,
    }
}

fn wall_against_instant(wall: i64, instant: i64, zone: &TimeZone) -> Ordering {
    match from_local(wall, zone) {
        Ok(own) => own.cmp(&instant),
        Err(_) if wall < 0 => {
            instant.cmp(&TIMESTAMP_NEGATIVE_INFINITY).reverse().then(Ordering::Less)
        }
        Err(_) => instant.cmp(&TIMESTAMP_INFINITY).reverse().then(Ordering::Greater),
    }
}

/// The six comparisons and the btree one of two types, from their order.
macro_rules! mixed {
    ($($left:ident, $right:ident, $order:ident: $eq:ident $ne:ident $lt:ident $le:ident $gt:ident $ge:ident $cmp:ident;)*) => {$(
        functions! {
            fn $eq[context](a: $left, b: $right) -> bool { Ok($order(a, b, context).is_eq()) }
            fn $ne[context](a: $left, b: $right) -> bool { Ok($order(a, b, context).is_ne()) }
            fn $lt[context](a: $left, b: $right) -> bool { Ok($order(a, b, context).is_lt()) }
            fn $le[context](a: $left, b: $right) -> bool { Ok($order(a, b, context).is_le()) }
            fn $gt[context](a: $left, b: $right) -> bool { Ok($order(a, b, context).is_gt()) }
            fn $ge[context](a: $left, b: $right) -> bool { Ok($order(a, b, context).is_ge()) }
            fn $cmp[context](a: $left, b: $right) -> i32 { Ok($order(a, b, context) as i32) }
        }
    )*};
}

type Context<'a> = &'a EvalContext<'a>;

fn date_timestamp_order(a: Date, b: Timestamp, _: Context<'_>) -> Ordering {
    date_against(a, b.0)
}

fn timestamp_date_order(a: Timestamp, b: Date, _: Context<'_>) -> Ordering {
    date_against(b, a.0).reverse()
}

fn date_timestamptz_order(a: Date, b: Timestamptz, context: Context<'_>) -> Ordering {
    date_against_zoned(a, b.0, &context.settings.time_zone)
}

fn timestamptz_date_order(a: Timestamptz, b: Date, context: Context<'_>) -> Ordering {
    date_against_zoned(b, a.0, &context.settings.time_zone).reverse()
}

fn timestamp_timestamptz_order(a: Timestamp, b: Timestamptz, context: Context<'_>) -> Ordering {
    wall_against_instant(a.0, b.0, &context.settings.time_zone)
}

fn timestamptz_timestamp_order(a: Timestamptz, b: Timestamp, context: Context<'_>) -> Ordering {
    wall_against_instant(b.0, a.0, &context.settings.time_zone).reverse()
}

mixed! {
    Date, Timestamp, date_timestamp_order:
        date_eq_timestamp date_ne_timestamp date_lt_timestamp date_le_timestamp date_gt_timestamp date_ge_timestamp
        date_cmp_timestamp;
    Timestamp, Date, timestamp_date_order:
        timestamp_eq_date timestamp_ne_date timestamp_lt_date timestamp_le_date timestamp_gt_date timestamp_ge_date
        timestamp_cmp_date;
    Date, Timestamptz, date_timestamptz_order:
        date_eq_timestamptz date_ne_timestamptz date_lt_timestamptz date_le_timestamptz date_gt_timestamptz date_ge_timestamptz
        date_cmp_timestamptz;
    Timestamptz, Date, timestamptz_date_order:
        timestamptz_eq_date timestamptz_ne_date timestamptz_lt_date timestamptz_le_date timestamptz_gt_date timestamptz_ge_date
        timestamptz_cmp_date;
    Timestamp, Timestamptz, timestamp_timestamptz_order:
        timestamp_eq_timestamptz timestamp_ne_timestamptz timestamp_lt_timestamptz timestamp_le_timestamptz
        timestamp_gt_timestamptz timestamp_ge_timestamptz timestamp_cmp_timestamptz;
    Timestamptz, Timestamp, timestamptz_timestamp_order:
        timestamptz_eq_timestamp timestamptz_ne_timestamp timestamptz_lt_timestamp timestamptz_le_timestamp
        timestamptz_gt_timestamp timestamptz_ge_timestamp timestamptz_cmp_timestamp;
}

functions! {
    fn date_mi(a: Date, b: Date) -> i32 { days_between(a, b) }
    fn date_pli(a: Date, days: i32) -> Date { plus_days(a, i64::from(days)) }
    fn date_mii(a: Date, days: i32) -> Date { plus_days(a, -i64::from(days)) }
    // pg_proc 2550
    fn integer_pl_date(days: i32, a: Date) -> Date { plus_days(a, i64::from(days)) }
    fn date_pl_interval(a: Date, span: Interval) -> Timestamp {
        plus(date_to_timestamp(a.0)?, span).map(Timestamp)
    }
    fn date_mi_interval(a: Date, span: Interval) -> Timestamp {
        plus(date_to_timestamp(a.0)?, negated(span)?).map(Timestamp)
    }
    // pg_proc 2546
    fn interval_pl_date(span: Interval, a: Date) -> Timestamp {
        plus(date_to_timestamp(a.0)?, span).map(Timestamp)
    }
    fn timestamp_pl_interval(a: Timestamp, span: Interval) -> Timestamp {
        plus(a.0, span).map(Timestamp)
    }
    fn timestamp_mi_interval(a: Timestamp, span: Interval) -> Timestamp {
        plus(a.0, negated(span)?).map(Timestamp)
    }
    // pg_proc 2548
    fn interval_pl_timestamp(span: Interval, a: Timestamp) -> Timestamp {
        plus(a.0, span).map(Timestamp)
    }
    fn timestamptz_pl_interval[context](a: Timestamptz, span: Interval) -> Timestamptz {
        plus_zoned(a.0, span, &context.settings.time_zone).map(Timestamptz)
    }
    fn timestamptz_mi_interval[context](a: Timestamptz, span: Interval) -> Timestamptz {
        plus_zoned(a.0, negated(span)?, &context.settings.time_zone).map(Timestamptz)
    }
    // pg_proc 2549
    fn interval_pl_timestamptz[context](span: Interval, a: Timestamptz) -> Timestamptz {
        plus_zoned(a.0, span, &context.settings.time_zone).map(Timestamptz)
    }
    fn timestamp_mi(a: Stamp, b: Stamp) -> Interval { between(a, b) }
    fn interval_pl(a: Interval, b: Interval) -> Interval { sum(a, b) }
    fn interval_mi(a: Interval, b: Interval) -> Interval {
        let (Some(months), Some(days), Some(micros)) = (
            a.months.checked_sub(b.months),
            a.days.checked_sub(b.days),
            a.micros.checked_sub(b.micros),
        ) else {
            return Err(interval_range());
        };
        Ok(Interval { months, days, micros })
    }
    fn interval_um(a: Interval) -> Interval { negated(a) }
    fn interval_mul(a: Interval, factor: f64) -> Interval { scaled(a, |part| part * factor) }
    fn mul_d_interval(factor: f64, a: Interval) -> Interval { scaled(a, |part| part * factor) }
    fn interval_div(a: Interval, divisor: f64) -> Interval {
        if divisor == 0.0 {
            return Err(EvalError::division_by_zero());
        }
        scaled(a, |part| part / divisor)
    }
    fn interval_justify_hours(a: Interval) -> Interval { justify_hours(a) }
    fn interval_justify_days(a: Interval) -> Interval { justify_days(a) }
    fn interval_justify_interval(a: Interval) -> Interval { justify(a) }
    fn date_finite(a: Date) -> bool { Ok(date_is_finite(a.0)) }
    fn timestamp_finite(a: Stamp) -> bool { Ok(timestamp_is_finite(a.0)) }
    fn interval_finite(_a: Interval) -> bool { Ok(true) }
    fn timestamp_age(a: Timestamp, b: Timestamp) -> Interval { age(a.0, b.0) }
    fn timestamptz_age[context](a: Timestamptz, b: Timestamptz) -> Interval {
        let zone = &context.settings.time_zone;
        age(to_local(a.0, zone), to_local(b.0, zone))
    }
    // pg_proc 2059
    fn timestamp_age_today[context](a: Timestamp) -> Interval { age(midnight(context), a.0) }
    // pg_proc 1386
    fn timestamptz_age_today[context](a: Timestamptz) -> Interval {
        age(midnight(context), to_local(a.0, &context.settings.time_zone))
    }
    fn date_timestamp(a: Date) -> Timestamp { date_to_timestamp(a.0).map(Timestamp) }
    fn date_timestamptz[context](a: Date) -> Timestamptz {
        from_local(date_to_timestamp(a.0)?, &context.settings.time_zone).map(Timestamptz)
    }
    fn timestamp_date(a: Timestamp) -> Date { Ok(Date(timestamp_to_date(a.0))) }
    fn timestamptz_date[context](a: Timestamptz) -> Date {
        Ok(Date(timestamp_to_date(to_local(a.0, &context.settings.time_zone))))
    }
    fn timestamp_timestamptz[context](a: Timestamp) -> Timestamptz {
        from_local(a.0, &context.settings.time_zone).map(Timestamptz)
    }
    fn timestamptz_timestamp[context](a: Timestamptz) -> Timestamp {
        Ok(Timestamp(to_local(a.0, &context.settings.time_zone)))
    }
    fn timestamp_zone(name: &str, a: Timestamp) -> Timestamptz {
        if !timestamp_is_finite(a.0) {
            return Ok(Timestamptz(a.0));
        }
        from_local(a.0, &zone_named(name)?).map(Timestamptz)
    }
    fn timestamptz_zone(name: &str, a: Timestamptz) -> Timestamp {
        if !timestamp_is_finite(a.0) {
            return Ok(Timestamp(a.0));
        }
        Ok(Timestamp(to_local(a.0, &zone_named(name)?)))
    }
    fn timestamp_izone(offset: Interval, a: Timestamp) -> Timestamptz {
        shifted_by(a.0, offset, -1).map(Timestamptz)
    }
    fn timestamptz_izone(offset: Interval, a: Timestamptz) -> Timestamp {
        shifted_by(a.0, offset, 1).map(Timestamp)
    }
    fn now[context]() -> Timestamptz { Ok(Timestamptz(context.settings.transaction_micros)) }
    fn statement_timestamp[context]() -> Timestamptz { Ok(Timestamptz(context.statement_micros)) }
    fn clock_timestamp[context]() -> Timestamptz { context.volatile.wall_micros().map(Timestamptz) }
    // own 16000 current_date() Date stable
    fn current_date[context]() -> Date { Ok(Date(timestamp_to_date(midnight(context)))) }
    // own 16001 localtimestamp() Timestamp stable
    fn localtimestamp[context]() -> Timestamp {
        Ok(Timestamp(to_local(context.settings.transaction_micros, &context.settings.time_zone)))
    }
    fn float8_timestamptz(seconds: f64) -> Timestamptz { from_epoch(seconds).map(Timestamptz) }
    fn make_date(year: i32, month: i32, day: i32) -> Date { date_of(year, month, day) }
    fn make_timestamp(year: i32, month: i32, day: i32, hour: i32, minute: i32, second: f64) -> Timestamp {
        clock_of((year, month, day), hour, minute, second).map(Timestamp)
    }
    fn make_timestamptz[context](year: i32, month: i32, day: i32, hour: i32, minute: i32, second: f64) -> Timestamptz {
        let wall = clock_of((year, month, day), hour, minute, second)?;
        from_local(wall, &context.settings.time_zone).map(Timestamptz)
    }
    fn make_timestamptz_at_timezone(year: i32, month: i32, day: i32, hour: i32, minute: i32, second: f64, zone: &str) -> Timestamptz {
        let wall = clock_of((year, month, day), hour, minute, second)?;
        from_local(wall, &zone_of_literal(zone)?).map(Timestamptz)
    }
    fn make_interval(years: i32, months: i32, weeks: i32, days: i32, hours: i32, minutes: i32, seconds: f64) -> Interval {
        interval_of([years, months, weeks, days, hours, minutes], seconds)
    }
}

pub(crate) fn sum(a: Interval, b: Interval) -> Result<Interval, EvalError> {
    let (Some(months), Some(days), Some(micros)) = (
        a.months.checked_add(b.months),
        a.days.checked_add(b.days),
        a.micros.checked_add(b.micros),
    ) else {
        return Err(interval_range());
    };
    Ok(Interval { months, days, micros })
}

/// An interval over a number, as `avg(interval)` needs it.
pub(crate) fn divided(a: Interval, divisor: f64) -> Result<Interval, EvalError> {
    scaled(a, |part| part / divisor)
}

/// Midnight that began the transaction's day, on the session's wall clock.
fn midnight(context: &EvalContext<'_>) -> i64 {
    let local = to_local(context.settings.transaction_micros, &context.settings.time_zone);
    local - local.rem_euclid(MICROS_PER_DAY)
}

/// The zone of `AT TIME ZONE`: an abbreviation, or what `SET TIME ZONE` takes.
pub(super) fn zone_named(name: &str) -> Result<TimeZone, EvalError> {
    match abbreviation_offset(&name.to_ascii_lowercase()).and_then(TimeZone::fixed) {
        Some(zone) => Ok(zone),
        None => TimeZone::parse(name),
    }
}

/// As [`zone_named`], but a signed number counts east, as in literals.
fn zone_of_literal(name: &str) -> Result<TimeZone, EvalError> {
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(EvalError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("invalid input syntax for type numeric time zone: \"{name}\""),
        )
        .with_hint("Numeric time zones must have \"-\" or \"+\" as first character."));
    }
    if !name.starts_with(['+', '-']) {
        return zone_named(name);
    }
    parse_offset(name).and_then(TimeZone::fixed).ok_or_else(|| {
        EvalError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("numeric time zone \"{name}\" out of range"),
        )
    })
}

/// Microseconds east of UTC that an interval means as a zone.
fn offset_of_interval(offset: Interval) -> Result<i64, EvalError> {
    if offset.months == 0 && offset.days == 0 {
        return Ok(offset.micros / MICROS_PER_SECOND * MICROS_PER_SECOND);
    }
    let mut text = Vec::new();
    types::datetime::append_interval(offset, &mut text);
    let shown: String = text.into_iter().map(char::from).collect();
    Err(EvalError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("interval time zone \"{shown}\" must not include months or days"),
    ))
}

fn shifted_by(micros: i64, offset: Interval, sign: i64) -> Result<i64, EvalError> {
    if !timestamp_is_finite(micros) {
        return Ok(micros);
    }
    let shift = offset_of_interval(offset)?.checked_mul(sign);
    checked_timestamp(shift.and_then(|shift| micros.checked_add(shift)))
}

fn from_epoch(seconds: f64) -> Result<i64, EvalError> {
    let range = || {
        let mut text = Vec::new();
        types::text_format::append_float8(seconds, &mut text);
        let shown: String = text.into_iter().map(char::from).collect();
        overflow(format!("timestamp out of range: \"{shown}\""))
    };
    if seconds.is_nan() {
        return Err(overflow("timestamp cannot be NaN"));
    }
    if seconds.is_infinite() {
        return Ok(if seconds > 0.0 { TIMESTAMP_INFINITY } else { TIMESTAMP_NEGATIVE_INFINITY });
    }
    let shifted = seconds + f64::from(UNIX_EPOCH_DAYS) * 86_400.0;
    let micros = libm::rint(shifted * 1e6);
    if !(-9.3e18..9.3e18).contains(&micros) || !timestamp_in_range(micros as i64) {
        return Err(range());
    }
    Ok(micros as i64)
}

fn date_of(year: i32, month: i32, day: i32) -> Result<Date, EvalError> {
    let shown = year.checked_add(i32::from(year < 0)).unwrap_or(year);
    let invalid = |kind: &str| overflow(format!("date {kind}: {shown}-{month:02}-{day:02}"));
    let astronomical = if year < 0 { year.checked_add(1) } else { Some(year).filter(|y| *y != 0) };
    let Some(astronomical) = astronomical else {
        return Err(invalid("field value out of range"));
    };
    let in_calendar = (1..=12).contains(&month)
        && day >= 1
        && day <= days_in_month(astronomical, month as u32) as i32;
    if !in_calendar {
        return Err(invalid("field value out of range"));
    }
    let days = DateParts { year: astronomical, month: month as u32, day: day as u32 }.to_days();
    if date_in_range(days) { Ok(Date(days as i32)) } else { Err(invalid("out of range")) }
}

fn clock_of(date: (i32, i32, i32), hour: i32, minute: i32, second: f64) -> Result<i64, EvalError> {
    let (year, month, day) = date;
    // This function shows the year as it was given, make_date as it counts.
    let days = date_of(year, month, day).map_err(|error| {
        let counted = format!(": {}-", year.saturating_add(i32::from(year < 0)));
        let message = error.message.replacen(&counted, &format!(": {year}-"), 1);
        EvalError { message: message.into(), ..error }
    })?;
    let micros = libm::rint(second * 1e6);
    let in_day = (0..=24).contains(&hour)
        && (0..60).contains(&minute)
        && (0.0..=60_000_000.0).contains(&micros)
        && (hour < 24 || minute == 0 && micros == 0.0);
    if !in_day {
        let mut shown = String::new();
        let _ = core::fmt::Write::write_fmt(&mut shown, format_args!("{}", Seconds(second)));
        return Err(overflow(format!("time field value out of range: {hour}:{minute:02}:{shown}")));
    }
    let time =
        i64::from(hour) * MICROS_PER_HOUR + i64::from(minute) * MICROS_PER_MINUTE + micros as i64;
    let whole =
        i64::from(days.0).checked_mul(MICROS_PER_DAY).and_then(|start| start.checked_add(time));
    whole.filter(|micros| timestamp_in_range(*micros)).ok_or_else(|| {
        overflow(format!(
            "timestamp out of range: {year}-{month:02}-{day:02} {hour}:{minute:02}:{}",
            Seconds(second)
        ))
    })
}

/// C's `%02g`.
struct Seconds(f64);

impl core::fmt::Display for Seconds {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let shown = super::numeric::from_float(self.0, 6)
            .map(|number| super::numeric::text(&number))
            .unwrap_or_default();
        if shown.len() < 2 { write!(f, "0{shown}") } else { f.write_str(&shown) }
    }
}

fn interval_of(parts: [i32; 6], seconds: f64) -> Result<Interval, EvalError> {
    let [years, months, weeks, days, hours, minutes] = parts;
    if !seconds.is_finite() {
        return Err(interval_range());
    }
    let months = years.checked_mul(12).and_then(|sum| sum.checked_add(months));
    let days = weeks.checked_mul(7).and_then(|sum| sum.checked_add(days));
    let micros = libm::rint(seconds * 1e6);
    let time = i64::from(hours) * MICROS_PER_HOUR + i64::from(minutes) * MICROS_PER_MINUTE;
    if !(-9.2e18..9.2e18).contains(&micros) {
        return Err(interval_range());
    }
    match (months, days, time.checked_add(micros as i64)) {
        (Some(months), Some(days), Some(micros)) => Ok(Interval { months, days, micros }),
        _ => Err(interval_range()),
    }
}

/// Whether two periods, each given by its ends in either order, share an instant; NULL ends follow SQL.
pub(crate) fn overlaps_timestamp(
    _context: &EvalContext<'_>,
    arguments: &[&Value],
) -> Result<Value, EvalError> {
    let [a, b, c, d] = arguments else {
        return Err(super::convert::wrong_count("overlaps", arguments.len()));
    };
    let order = |first: &'_ Value, second: &'_ Value| -> Option<(Value, Value)> {
        match (first.is_null(), second.is_null()) {
            (true, true) => None,
            (true, false) => Some((second.clone(), Value::Null)),
            (false, true) => Some((first.clone(), Value::Null)),
            (false, false) if first.sql_cmp(second).is_gt() => {
                Some((second.clone(), first.clone()))
            }
            (false, false) => Some((first.clone(), second.clone())),
        }
    };
    let (Some((start_a, end_a)), Some((start_b, end_b))) = (order(a, b), order(c, d)) else {
        return Ok(Value::Null);
    };
    let decide = |later: &Value, end_of_earlier: &Value, other_end: &Value| {
        if end_of_earlier.is_null() {
            return Value::Null;
        }
        if later.sql_cmp(end_of_earlier).is_lt() {
            return Value::Bool(true);
        }
        if other_end.is_null() { Value::Null } else { Value::Bool(false) }
    };
    Ok(match start_a.sql_cmp(&start_b) {
        Ordering::Greater => decide(&start_a, &end_b, &end_a),
        Ordering::Less => decide(&start_b, &end_a, &end_b),
        Ordering::Equal if end_a.is_null() || end_b.is_null() => Value::Null,
        Ordering::Equal => Value::Bool(true),
    })
}
