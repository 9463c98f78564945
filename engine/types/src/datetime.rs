//! The calendar, and dates, timestamps and intervals as text.
//!
//! Days and microseconds count from 2000-01-01 in the proleptic Gregorian calendar; `i32`/`i64` extremes are infinities. Source: PostgreSQL 15
//! documentation, sections 8.5 and appendix B. Year 0 here is 1 BC, as in ISO 8601; text says `BC`.

mod fields;
mod interval_text;
mod parse;

pub use fields::{DateParts, TimeParts, days_in_month};
pub use interval_text::{append_interval, parse_interval};
pub use parse::{parse_date, parse_timestamp, parse_timestamptz};

use crate::text_format::append_integer;
use crate::{Interval, SqlState, TimeZone, ValueError};
use alloc::vec::Vec;

/// Microseconds in a second.
pub const MICROS_PER_SECOND: i64 = 1_000_000;
/// Microseconds in a minute.
pub const MICROS_PER_MINUTE: i64 = 60 * MICROS_PER_SECOND;
/// Microseconds in an hour.
pub const MICROS_PER_HOUR: i64 = 60 * MICROS_PER_MINUTE;
/// Microseconds in a day of 24 hours.
pub const MICROS_PER_DAY: i64 = 24 * MICROS_PER_HOUR;
/// Days from 1970-01-01 to 2000-01-01.
pub const UNIX_EPOCH_DAYS: i32 = -10_957;
/// 4714-11-24 BC, the first date.
pub const DATE_MIN: i32 = -2_451_545;
/// 5874898-01-01, the first that is no date.
pub const DATE_END: i32 = 2_145_031_949;
/// 4714-11-24 00:00 BC, the first timestamp.
pub const TIMESTAMP_MIN: i64 = DATE_MIN as i64 * MICROS_PER_DAY;
/// 294277-01-01, the first that is no timestamp.
pub const TIMESTAMP_END: i64 = 9_223_371_331_200_000_000;
/// `infinity` of `date`.
pub const DATE_INFINITY: i32 = i32::MAX;
/// `-infinity` of `date`.
pub const DATE_NEGATIVE_INFINITY: i32 = i32::MIN;
/// `infinity` of timestamps.
pub const TIMESTAMP_INFINITY: i64 = i64::MAX;
/// `-infinity` of timestamps.
pub const TIMESTAMP_NEGATIVE_INFINITY: i64 = i64::MIN;

/// Neither infinity.
pub const fn date_is_finite(days: i32) -> bool {
    days != DATE_INFINITY && days != DATE_NEGATIVE_INFINITY
}

/// Neither infinity.
pub const fn timestamp_is_finite(micros: i64) -> bool {
    micros != TIMESTAMP_INFINITY && micros != TIMESTAMP_NEGATIVE_INFINITY
}

/// A finite timestamp that PostgreSQL can hold.
pub const fn timestamp_in_range(micros: i64) -> bool {
    micros >= TIMESTAMP_MIN && micros < TIMESTAMP_END
}

/// A finite date that PostgreSQL can hold.
pub const fn date_in_range(days: i64) -> bool {
    days >= DATE_MIN as i64 && days < DATE_END as i64
}

/// `timestamp out of range`: 22008.
#[cold]
pub fn timestamp_out_of_range() -> ValueError {
    ValueError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range")
}

/// Midnight of a date; infinities stay.
///
/// # Errors
/// 22008 for dates beyond the timestamps.
pub fn date_to_timestamp(days: i32) -> Result<i64, ValueError> {
    match days {
        DATE_INFINITY => Ok(TIMESTAMP_INFINITY),
        DATE_NEGATIVE_INFINITY => Ok(TIMESTAMP_NEGATIVE_INFINITY),
        _ => i64::from(days)
            .checked_mul(MICROS_PER_DAY)
            .filter(|micros| timestamp_in_range(*micros))
            .ok_or_else(|| {
                ValueError::new(
                    SqlState::DATETIME_FIELD_OVERFLOW,
                    "date out of range for timestamp",
                )
            }),
    }
}

/// The date of a timestamp; infinities stay.
pub fn timestamp_to_date(micros: i64) -> i32 {
    match micros {
        TIMESTAMP_INFINITY => DATE_INFINITY,
        TIMESTAMP_NEGATIVE_INFINITY => DATE_NEGATIVE_INFINITY,
        _ => micros.div_euclid(MICROS_PER_DAY) as i32,
    }
}

/// The wall clock of a zone at an instant.
pub fn to_local(micros: i64, zone: &TimeZone) -> i64 {
    if timestamp_is_finite(micros) {
        micros.saturating_add(i64::from(zone.at(micros).offset_seconds()) * MICROS_PER_SECOND)
    } else {
        micros
    }
}

/// The instant at which a zone's wall clock shows a timestamp.
///
/// # Errors
/// 22008 if it leaves the range.
pub fn from_local(micros: i64, zone: &TimeZone) -> Result<i64, ValueError> {
    if !timestamp_is_finite(micros) {
        return Ok(micros);
    }
    micros
        .checked_sub(i64::from(zone.at_local(micros).offset_seconds()) * MICROS_PER_SECOND)
        .filter(|utc| timestamp_in_range(*utc))
        .ok_or_else(timestamp_out_of_range)
}

/// Rounds to a number of digits after the second's point, halves away from zero.
///
/// # Errors
/// None: like PostgreSQL, rounding up at the end of the range may leave it.
pub fn round_timestamp(micros: i64, digits: i32) -> Result<i64, ValueError> {
    if !timestamp_is_finite(micros) || digits >= 6 {
        return Ok(micros);
    }
    Ok(round_micros(micros, digits))
}

/// Rounds the time part to a number of digits after the second's point.
///
/// # Errors
/// None yet: the range cannot be left.
pub fn round_interval(interval: Interval, modifier: i32) -> Result<Interval, ValueError> {
    let digits = modifier & 0xffff;
    if digits >= 6 {
        return Ok(interval);
    }
    Ok(Interval { micros: round_micros(interval.micros, digits), ..interval })
}

fn round_micros(micros: i64, digits: i32) -> i64 {
    let unit = 10i64.pow((6 - digits.clamp(0, 6)) as u32);
    let half = unit / 2;
    if micros >= 0 {
        (micros.saturating_add(half)) / unit * unit
    } else {
        -((-micros.max(-i64::MAX)).saturating_add(half) / unit * unit)
    }
}

/// Two digits at least.
pub(crate) fn append_two(number: u32, out: &mut Vec<u8>) {
    if number < 10 {
        out.push(b'0');
    }
    append_integer(i64::from(number), out);
}

/// `:SS[.ffffff]` without trailing zeroes, `SS` first.
pub(crate) fn append_seconds(seconds: u32, micros: u32, out: &mut Vec<u8>) {
    append_two(seconds, out);
    if micros == 0 {
        return;
    }
    let mut digits = [0u8; 6];
    let mut rest = micros;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let used = digits.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
    out.push(b'.');
    out.extend_from_slice(&digits[..used]);
}

fn append_date_parts(parts: DateParts, out: &mut Vec<u8>) {
    let shown = if parts.year > 0 { parts.year } else { 1 - parts.year };
    let mut limit = 1000;
    while shown < limit && limit > 1 {
        out.push(b'0');
        limit /= 10;
    }
    append_integer(i64::from(shown), out);
    out.push(b'-');
    append_two(parts.month, out);
    out.push(b'-');
    append_two(parts.day, out);
}

/// `YYYY-MM-DD[ BC]`
pub fn append_date(days: i32, out: &mut Vec<u8>) {
    match days {
        DATE_INFINITY => return out.extend_from_slice(b"infinity"),
        DATE_NEGATIVE_INFINITY => return out.extend_from_slice(b"-infinity"),
        _ => {}
    }
    let parts = DateParts::of_days(i64::from(days));
    append_date_parts(parts, out);
    if parts.year <= 0 {
        out.extend_from_slice(b" BC");
    }
}

fn append_infinite(micros: i64, out: &mut Vec<u8>) -> bool {
    match micros {
        TIMESTAMP_INFINITY => out.extend_from_slice(b"infinity"),
        TIMESTAMP_NEGATIVE_INFINITY => out.extend_from_slice(b"-infinity"),
        _ => return false,
    }
    true
}

fn append_wall_clock(micros: i64, out: &mut Vec<u8>) -> DateParts {
    let date = DateParts::of_days(micros.div_euclid(MICROS_PER_DAY));
    let time = TimeParts::of_micros(micros.rem_euclid(MICROS_PER_DAY));
    append_date_parts(date, out);
    out.push(b' ');
    append_two(time.hour, out);
    out.push(b':');
    append_two(time.minute, out);
    out.push(b':');
    append_seconds(time.second, time.micros, out);
    date
}

/// `YYYY-MM-DD HH:MM:SS[.ffffff][ BC]`
pub fn append_timestamp(micros: i64, out: &mut Vec<u8>) {
    if append_infinite(micros, out) {
        return;
    }
    if append_wall_clock(micros, out).year <= 0 {
        out.extend_from_slice(b" BC");
    }
}

/// `YYYY-MM-DD HH:MM:SS[.ffffff]±HH[:MM[:SS]][ BC]` on the wall clock of the zone.
pub fn append_timestamptz(micros: i64, zone: &TimeZone, out: &mut Vec<u8>) {
    if append_infinite(micros, out) {
        return;
    }
    let zone = TimeZone::Fixed(zone.at(micros));
    let year = append_wall_clock(to_local(micros, &zone), out).year;
    append_offset(zone.at(micros).offset_seconds(), out);
    if year <= 0 {
        out.extend_from_slice(b" BC");
    }
}

/// `±HH[:MM[:SS]]`
pub fn append_offset(offset_seconds: i32, out: &mut Vec<u8>) {
    out.push(if offset_seconds < 0 { b'-' } else { b'+' });
    let magnitude = offset_seconds.unsigned_abs();
    append_two(magnitude / 3600, out);
    let (minutes, seconds) = (magnitude / 60 % 60, magnitude % 60);
    if minutes != 0 || seconds != 0 {
        out.push(b':');
        append_two(minutes, out);
    }
    if seconds != 0 {
        out.push(b':');
        append_two(seconds, out);
    }
}
