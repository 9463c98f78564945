//! `extract`, `date_part`, `date_trunc`, `date_bin`: the fields of dates, timestamps and intervals.

use super::convert::{Date, Timestamp, Timestamptz};
use super::datetime::{overflow, zone_named};
use crate::EvalError;
use alloc::format;
use alloc::vec::Vec;
use types::datetime::{
    DATE_INFINITY, DateParts, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE,
    MICROS_PER_SECOND, TIMESTAMP_INFINITY, TimeParts, UNIX_EPOCH_DAYS, date_is_finite,
    date_to_timestamp, from_local, timestamp_in_range, timestamp_is_finite, timestamp_out_of_range,
    to_local,
};
use types::{Interval, Numeric, SqlState, SqlType, TimeZone};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Microseconds,
    Milliseconds,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    Julian,
    IsoYear,
    DayOfWeek,
    IsoDayOfWeek,
    DayOfYear,
    Epoch,
    Timezone,
    TimezoneHour,
    TimezoneMinute,
}

fn field_of(name: &str) -> Option<Field> {
    Some(match name.to_ascii_lowercase().as_str() {
        "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecon" | "microsecond"
        | "microseconds" => Field::Microseconds,
        "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisecon" | "millisecond"
        | "milliseconds" => Field::Milliseconds,
        "s" | "sec" | "secs" | "second" | "seconds" => Field::Second,
        "m" | "min" | "mins" | "minute" | "minutes" => Field::Minute,
        "h" | "hr" | "hrs" | "hour" | "hours" => Field::Hour,
        "d" | "day" | "days" => Field::Day,
        "w" | "week" | "weeks" => Field::Week,
        "mon" | "mons" | "month" | "months" => Field::Month,
        "qtr" | "quarter" => Field::Quarter,
        "y" | "yr" | "yrs" | "year" | "years" => Field::Year,
        "dec" | "decs" | "decade" | "decades" => Field::Decade,
        "c" | "cent" | "century" | "centuries" => Field::Century,
        "mil" | "mils" | "millennia" | "millennium" => Field::Millennium,
        "j" | "jd" | "julian" => Field::Julian,
        "isoyear" => Field::IsoYear,
        "dow" => Field::DayOfWeek,
        "isodow" => Field::IsoDayOfWeek,
        "doy" => Field::DayOfYear,
        "epoch" => Field::Epoch,
        "timezone" => Field::Timezone,
        "timezone_h" | "timezone_hour" => Field::TimezoneHour,
        "timezone_m" | "timezone_minute" => Field::TimezoneMinute,
        _ => return None,
    })
}

impl Field {
    /// Whether it is a unit that time is counted in, rather than a way to number days.
    const fn truncates(self) -> bool {
        !matches!(
            self,
            Field::Julian
                | Field::IsoYear
                | Field::DayOfWeek
                | Field::IsoDayOfWeek
                | Field::DayOfYear
                | Field::Epoch
        )
    }
}

fn lower(name: &str) -> alloc::string::String {
    name.to_lowercase()
}

#[cold]
fn not_recognized(name: &str, sql_type: SqlType) -> EvalError {
    EvalError::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("unit \"{}\" not recognized for type {}", lower(name), sql_type.name()),
    )
}

#[cold]
fn not_supported(name: &str, sql_type: SqlType) -> EvalError {
    EvalError::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("unit \"{}\" not supported for type {}", lower(name), sql_type.name()),
    )
}

/// `value · 10^-scale` with that scale, which is at most eight.
fn decimal(value: i128, scale: u16) -> Result<Numeric, EvalError> {
    let hundred_millionth = Numeric::from_parts(false, -2, 8, Vec::from([1]));
    let up = Numeric::from_i128(10i128.pow(8 - u32::from(scale)));
    let exact = Numeric::from_i128(value).mul(&up)?.mul(&hundred_millionth)?;
    Ok(exact.rounded(i32::from(scale)))
}

/// An answer with its scale, so that one computation serves `extract` (numeric) and `date_part` (float).
enum Answer {
    Null,
    Infinite {
        negative: bool,
    },
    Whole(i64),
    Scaled {
        value: i128,
        scale: u16,
    },
    /// A Julian date with a fraction.
    Julian {
        days: i64,
        micros: i64,
    },
}

impl Answer {
    fn numeric(self) -> Result<Option<Numeric>, EvalError> {
        Ok(Some(match self {
            Answer::Null => return Ok(None),
            Answer::Infinite { negative } => Numeric::infinity(negative),
            Answer::Whole(value) => Numeric::from_i128(i128::from(value)),
            Answer::Scaled { value, scale } => decimal(value, scale)?,
            Answer::Julian { days, micros } => {
                let fraction = Numeric::from_i128(i128::from(micros))
                    .div(&Numeric::from_i128(i128::from(MICROS_PER_DAY)))?;
                Numeric::from_i128(i128::from(days)).add(&fraction)?
            }
        }))
    }

    fn float(self) -> Option<f64> {
        Some(match self {
            Answer::Null => return None,
            Answer::Infinite { negative: true } => f64::NEG_INFINITY,
            Answer::Infinite { negative: false } => f64::INFINITY,
            Answer::Whole(value) => value as f64,
            Answer::Scaled { value, scale } => value as f64 / if scale == 3 { 1e3 } else { 1e6 },
            Answer::Julian { days, micros } => days as f64 + micros as f64 / MICROS_PER_DAY as f64,
        })
    }
}

const fn century(year: i32) -> i32 {
    if year > 0 { (year + 99) / 100 } else { -((99 - (year - 1)) / 100) }
}

const fn millennium(year: i32) -> i32 {
    if year > 0 { (year + 999) / 1000 } else { -((999 - (year - 1)) / 1000) }
}

const fn decade(year: i32) -> i32 {
    if year >= 0 { year / 10 } else { -((8 - (year - 1)) / 10) }
}

/// Years as people count them: no year zero.
const fn shown_year(year: i32) -> i32 {
    if year > 0 { year } else { year - 1 }
}

fn date_field(field: Field, days: i64) -> Option<i64> {
    let date = DateParts::of_days(days);
    Some(match field {
        Field::Day => i64::from(date.day),
        Field::Month => i64::from(date.month),
        Field::Quarter => i64::from((date.month - 1) / 3 + 1),
        Field::Week => i64::from(date.iso_week().1),
        Field::Year => i64::from(shown_year(date.year)),
        Field::Decade => i64::from(decade(date.year)),
        Field::Century => i64::from(century(date.year)),
        Field::Millennium => i64::from(millennium(date.year)),
        Field::Julian => days + 2_451_545,
        Field::IsoYear => i64::from(shown_year(date.iso_week().0)),
        Field::DayOfWeek => (days + 6).rem_euclid(7),
        Field::IsoDayOfWeek => (days + 5).rem_euclid(7) + 1,
        Field::DayOfYear => i64::from(date.day_of_year()),
        _ => return None,
    })
}

/// Which fields of an infinite time are infinite; the others are NULL.
fn infinite(field: Field, negative: bool) -> Answer {
    match field {
        Field::Year
        | Field::Decade
        | Field::Century
        | Field::Millennium
        | Field::Julian
        | Field::IsoYear
        | Field::Epoch => Answer::Infinite { negative },
        _ => Answer::Null,
    }
}

/// A field of a wall clock; `zone` is that of an instant.
fn timestamp_field(
    name: &str,
    wall: i64,
    zone: Option<&TimeZone>,
    instant: i64,
) -> Result<Answer, EvalError> {
    let sql_type = if zone.is_some() { SqlType::Timestamptz } else { SqlType::Timestamp };
    let field = field_of(name).ok_or_else(|| not_recognized(name, sql_type))?;
    if !timestamp_is_finite(wall) {
        return Ok(infinite(field, wall != TIMESTAMP_INFINITY));
    }
    let zoned = matches!(field, Field::Timezone | Field::TimezoneHour | Field::TimezoneMinute);
    if zoned && zone.is_none() {
        return Err(not_supported(name, sql_type));
    }
    let days = wall.div_euclid(MICROS_PER_DAY);
    let time = wall.rem_euclid(MICROS_PER_DAY);
    let clock = TimeParts::of_micros(time);
    let within_minute = time % MICROS_PER_MINUTE;
    let offset = zone.map_or(0, |zone| zone.at(instant).offset_seconds());
    Ok(match field {
        Field::Microseconds => Answer::Whole(within_minute),
        Field::Milliseconds => Answer::Scaled { value: i128::from(within_minute), scale: 3 },
        Field::Second => Answer::Scaled { value: i128::from(within_minute), scale: 6 },
        Field::Minute => Answer::Whole(i64::from(clock.minute)),
        Field::Hour => Answer::Whole(i64::from(clock.hour)),
        Field::Julian => Answer::Julian { days: days + 2_451_545, micros: time },
        Field::Epoch => {
            let since =
                i128::from(instant) - i128::from(UNIX_EPOCH_DAYS) * i128::from(MICROS_PER_DAY);
            Answer::Scaled { value: since, scale: 6 }
        }
        Field::Timezone => Answer::Whole(i64::from(offset)),
        Field::TimezoneHour => Answer::Whole(i64::from(offset / 3600)),
        Field::TimezoneMinute => Answer::Whole(i64::from(offset / 60 % 60)),
        _ => Answer::Whole(date_field(field, days).ok_or_else(|| not_supported(name, sql_type))?),
    })
}

fn of_date(name: &str, date: Date) -> Result<Answer, EvalError> {
    let field = field_of(name).ok_or_else(|| not_recognized(name, SqlType::Date))?;
    let supported = !matches!(
        field,
        Field::Microseconds
            | Field::Milliseconds
            | Field::Second
            | Field::Minute
            | Field::Hour
            | Field::Timezone
            | Field::TimezoneHour
            | Field::TimezoneMinute
    );
    if !supported {
        return Err(not_supported(name, SqlType::Date));
    }
    if !date_is_finite(date.0) {
        return Ok(infinite(field, date.0 != DATE_INFINITY));
    }
    let days = i64::from(date.0);
    if field == Field::Epoch {
        return Ok(Answer::Whole((days - i64::from(UNIX_EPOCH_DAYS)) * 86_400));
    }
    Ok(date_field(field, days).map_or(Answer::Null, Answer::Whole))
}

fn of_interval(name: &str, span: Interval) -> Result<Answer, EvalError> {
    let field = field_of(name).ok_or_else(|| not_recognized(name, SqlType::Interval))?;
    let within_minute = span.micros % MICROS_PER_MINUTE;
    let years = i64::from(span.months / 12);
    Ok(match field {
        Field::Microseconds => Answer::Whole(within_minute),
        Field::Milliseconds => Answer::Scaled { value: i128::from(within_minute), scale: 3 },
        Field::Second => Answer::Scaled { value: i128::from(within_minute), scale: 6 },
        Field::Minute => Answer::Whole(span.micros / MICROS_PER_MINUTE % 60),
        Field::Hour => Answer::Whole(span.micros / MICROS_PER_HOUR),
        Field::Day => Answer::Whole(i64::from(span.days)),
        Field::Month => Answer::Whole(i64::from(span.months % 12)),
        Field::Quarter => Answer::Whole(i64::from(span.months % 12 / 3 + 1)),
        Field::Year => Answer::Whole(years),
        Field::Decade => Answer::Whole(years / 10),
        Field::Century => Answer::Whole(years / 100),
        Field::Millennium => Answer::Whole(years / 1000),
        Field::Epoch => {
            // A year counts 365.25 days, a month 30.
            let quarter_days = i128::from(years) * 1461
                + i128::from(span.months % 12) * 120
                + i128::from(span.days) * 4;
            let micros = quarter_days * i128::from(MICROS_PER_DAY / 4) + i128::from(span.micros);
            Answer::Scaled { value: micros, scale: 6 }
        }
        _ => return Err(not_supported(name, SqlType::Interval)),
    })
}

/// The wall clock cut to a field.
fn truncate(name: &str, wall: i64, sql_type: SqlType) -> Result<i64, EvalError> {
    if !timestamp_is_finite(wall) {
        return Ok(wall);
    }
    let field = field_of(name)
        .filter(|field| field.truncates())
        .ok_or_else(|| not_recognized(name, sql_type))?;
    let days = wall.div_euclid(MICROS_PER_DAY);
    let date = DateParts::of_days(days);
    let first_of = |year: i32, month: u32| DateParts { year, month, day: 1 }.to_days();
    let unit = match field {
        Field::Microseconds => return Ok(wall),
        Field::Milliseconds => Some(1_000),
        Field::Second => Some(MICROS_PER_SECOND),
        Field::Minute => Some(MICROS_PER_MINUTE),
        Field::Hour => Some(MICROS_PER_HOUR),
        Field::Day => Some(MICROS_PER_DAY),
        _ => None,
    };
    if let Some(unit) = unit {
        return wall.checked_sub(wall.rem_euclid(unit)).ok_or_else(timestamp_out_of_range);
    }
    let year = date.year;
    let first = match field {
        Field::Week => days - (days + 5).rem_euclid(7),
        Field::Month => first_of(year, date.month),
        Field::Quarter => first_of(year, (date.month - 1) / 3 * 3 + 1),
        Field::Year => first_of(year, 1),
        Field::Decade if year > 0 => first_of(year / 10 * 10, 1),
        Field::Decade => first_of(-((8 - (year - 1)) / 10) * 10, 1),
        Field::Century if year > 0 => first_of((year + 99) / 100 * 100 - 99, 1),
        Field::Century => first_of(-((99 - (year - 1)) / 100) * 100 + 1, 1),
        Field::Millennium if year > 0 => first_of((year + 999) / 1000 * 1000 - 999, 1),
        Field::Millennium => first_of(-((999 - (year - 1)) / 1000) * 1000 + 1, 1),
        _ => return Err(not_supported(name, sql_type)),
    };
    first
        .checked_mul(MICROS_PER_DAY)
        .filter(|micros| timestamp_in_range(*micros))
        .ok_or_else(timestamp_out_of_range)
}

fn truncate_zoned(name: &str, instant: i64, zone: &TimeZone) -> Result<i64, EvalError> {
    if !timestamp_is_finite(instant) {
        return truncate(name, instant, SqlType::Timestamptz);
    }
    from_local(truncate(name, to_local(instant, zone), SqlType::Timestamptz)?, zone)
}

fn truncate_interval(name: &str, span: Interval) -> Result<Interval, EvalError> {
    let field = field_of(name)
        .filter(|field| field.truncates())
        .ok_or_else(|| not_recognized(name, SqlType::Interval))?;
    let months = |unit: i32| Interval { months: span.months / unit * unit, days: 0, micros: 0 };
    let micros = |unit: i64| Interval { micros: span.micros / unit * unit, ..span };
    Ok(match field {
        Field::Microseconds => span,
        Field::Milliseconds => micros(1_000),
        Field::Second => micros(MICROS_PER_SECOND),
        Field::Minute => micros(MICROS_PER_MINUTE),
        Field::Hour => micros(MICROS_PER_HOUR),
        Field::Day => Interval { micros: 0, ..span },
        Field::Month => months(1),
        Field::Quarter => months(3),
        Field::Year => months(12),
        Field::Decade => months(120),
        Field::Century => months(1_200),
        Field::Millennium => months(12_000),
        Field::Week => {
            return Err(not_supported(name, SqlType::Interval)
                .with_detail("Months usually have fractional weeks."));
        }
        _ => return Err(not_supported(name, SqlType::Interval)),
    })
}

fn bin(stride: Interval, wall: i64, origin: i64) -> Result<i64, EvalError> {
    if !timestamp_is_finite(wall) {
        return Ok(wall);
    }
    if !timestamp_is_finite(origin) {
        return Err(overflow("origin out of range"));
    }
    if stride.months != 0 {
        return Err(EvalError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "timestamps cannot be binned into intervals containing months or years",
        ));
    }
    let width = i64::from(stride.days)
        .checked_mul(MICROS_PER_DAY)
        .and_then(|days| days.checked_add(stride.micros))
        .ok_or_else(|| overflow("interval out of range"))?;
    if width <= 0 {
        return Err(overflow("stride must be greater than zero"));
    }
    let distance = wall.checked_sub(origin).ok_or_else(|| overflow("interval out of range"))?;
    let mut start = distance - distance % width;
    if distance < 0 && distance % width != 0 {
        start = start.checked_sub(width).ok_or_else(timestamp_out_of_range)?;
    }
    origin
        .checked_add(start)
        .filter(|micros| timestamp_in_range(*micros))
        .ok_or_else(timestamp_out_of_range)
}

functions! {
    fn extract_date(name: &str, a: Date) -> Option<Numeric> { of_date(name, a)?.numeric() }
    fn extract_timestamp(name: &str, a: Timestamp) -> Option<Numeric> {
        timestamp_field(name, a.0, None, a.0)?.numeric()
    }
    fn extract_timestamptz[context](name: &str, a: Timestamptz) -> Option<Numeric> {
        let zone = &context.settings.time_zone;
        timestamp_field(name, to_local(a.0, zone), Some(zone), a.0)?.numeric()
    }
    fn extract_interval(name: &str, a: Interval) -> Option<Numeric> {
        of_interval(name, a)?.numeric()
    }
    // pg_proc 1384
    fn date_part_date(name: &str, a: Date) -> Option<f64> {
        let wall = date_to_timestamp(a.0)?;
        Ok(timestamp_field(name, wall, None, wall)?.float())
    }
    fn timestamp_part(name: &str, a: Timestamp) -> Option<f64> {
        Ok(timestamp_field(name, a.0, None, a.0)?.float())
    }
    fn timestamptz_part[context](name: &str, a: Timestamptz) -> Option<f64> {
        let zone = &context.settings.time_zone;
        Ok(timestamp_field(name, to_local(a.0, zone), Some(zone), a.0)?.float())
    }
    fn interval_part(name: &str, a: Interval) -> Option<f64> { Ok(of_interval(name, a)?.float()) }
    fn timestamp_trunc(name: &str, a: Timestamp) -> Timestamp {
        truncate(name, a.0, SqlType::Timestamp).map(Timestamp)
    }
    fn timestamptz_trunc[context](name: &str, a: Timestamptz) -> Timestamptz {
        truncate_zoned(name, a.0, &context.settings.time_zone).map(Timestamptz)
    }
    fn timestamptz_trunc_zone(name: &str, a: Timestamptz, zone: &str) -> Timestamptz {
        if !timestamp_is_finite(a.0) {
            return Ok(a);
        }
        truncate_zoned(name, a.0, &zone_named(zone)?).map(Timestamptz)
    }
    fn interval_trunc(name: &str, a: Interval) -> Interval { truncate_interval(name, a) }
    fn timestamp_bin(stride: Interval, a: Timestamp, origin: Timestamp) -> Timestamp {
        bin(stride, a.0, origin.0).map(Timestamp)
    }
    fn timestamptz_bin(stride: Interval, a: Timestamptz, origin: Timestamptz) -> Timestamptz {
        bin(stride, a.0, origin.0).map(Timestamptz)
    }
}
