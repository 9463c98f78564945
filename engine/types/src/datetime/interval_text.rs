//! Intervals as text: `1 year 2 mons -3 days 04:05:06.7`, and on input also `@ 1 day ago`, `1-2` and ISO 8601 durations.

use super::parse::{Fault, fraction_micros, round_half_even};
use super::{
    MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND, append_seconds,
    append_two,
};
use crate::text_format::append_integer;
use crate::{Interval, SqlState, ValueError};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Appends an interval as `IntervalStyle` `postgres` prints it.
pub fn append_interval(interval: Interval, out: &mut Vec<u8>) {
    let mut first = true;
    let mut after_negative = false;
    let mut part = |number: i32, unit: &str, out: &mut Vec<u8>| {
        if number == 0 {
            return;
        }
        if !first {
            out.push(b' ');
        }
        if after_negative && number > 0 {
            out.push(b'+');
        }
        append_integer(i64::from(number), out);
        out.push(b' ');
        out.extend_from_slice(unit.as_bytes());
        if number != 1 {
            out.push(b's');
        }
        after_negative = number < 0;
        first = false;
    };
    part(interval.months / 12, "year", out);
    part(interval.months % 12, "mon", out);
    part(interval.days, "day", out);
    if interval.micros == 0 && !first {
        return;
    }
    if !first {
        out.push(b' ');
    }
    if interval.micros < 0 {
        out.push(b'-');
    } else if after_negative {
        out.push(b'+');
    }
    let magnitude = interval.micros.unsigned_abs();
    let hours = magnitude / MICROS_PER_HOUR as u64;
    if hours < 10 {
        out.push(b'0');
    }
    append_integer(hours as i64, out);
    out.push(b':');
    append_two((magnitude / MICROS_PER_MINUTE as u64 % 60) as u32, out);
    out.push(b':');
    let second = (magnitude / MICROS_PER_SECOND as u64 % 60) as u32;
    append_seconds(second, (magnitude % MICROS_PER_SECOND as u64) as u32, out);
}

/// Sums whose parts may overflow.
#[derive(Debug, Default)]
struct Sum {
    months: i64,
    days: i64,
    micros: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Micros,
    Millis,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
    Decade,
    Century,
    Millennium,
}

fn unit_of(word: &str) -> Option<Unit> {
    Some(match word {
        "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecon" | "microsecond"
        | "microseconds" => Unit::Micros,
        "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisecon" | "millisecond"
        | "milliseconds" => Unit::Millis,
        "s" | "sec" | "secs" | "second" | "seconds" => Unit::Second,
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Minute,
        "h" | "hr" | "hrs" | "hour" | "hours" => Unit::Hour,
        "d" | "day" | "days" => Unit::Day,
        "w" | "week" | "weeks" => Unit::Week,
        "mon" | "mons" | "month" | "months" => Unit::Month,
        "y" | "yr" | "yrs" | "year" | "years" => Unit::Year,
        "dec" | "decs" | "decade" | "decades" => Unit::Decade,
        "c" | "cent" | "century" | "centuries" => Unit::Century,
        "mil" | "mils" | "millennia" | "millennium" => Unit::Millennium,
        _ => return None,
    })
}

impl Sum {
    fn add_months(&mut self, number: i64, months: i64) -> Option<()> {
        self.months = self.months.checked_add(number.checked_mul(months)?)?;
        i32::try_from(self.months).ok().map(|_| ())
    }

    fn add_days(&mut self, days: i64) -> Option<()> {
        self.days = self.days.checked_add(days)?;
        i32::try_from(self.days).ok().map(|_| ())
    }

    fn add_micros(&mut self, number: i64, unit: i64) -> Option<()> {
        self.micros = self.micros.checked_add(number.checked_mul(unit)?)?;
        Some(())
    }

    fn add_fraction_micros(&mut self, fraction: f64, unit: i64) -> Option<()> {
        self.add_micros(round_half_even(fraction * unit as f64), 1)
    }

    fn add_fraction_days(&mut self, fraction: f64, days: i64) -> Option<()> {
        let all = fraction * days as f64;
        let whole = all as i64;
        self.add_days(whole)?;
        self.add_fraction_micros(all - whole as f64, MICROS_PER_DAY)
    }

    /// Adds `number` units and `fraction` of one; nothing if a field overflows.
    fn add(&mut self, unit: Unit, number: i64, fraction: f64) -> Option<()> {
        match unit {
            Unit::Micros => self.add_micros(number + round_half_even(fraction), 1),
            Unit::Millis => {
                self.add_micros(number, 1000)?;
                self.add_fraction_micros(fraction, 1000)
            }
            Unit::Second => {
                self.add_micros(number, MICROS_PER_SECOND)?;
                self.add_fraction_micros(fraction, MICROS_PER_SECOND)
            }
            Unit::Minute => {
                self.add_micros(number, MICROS_PER_MINUTE)?;
                self.add_fraction_micros(fraction, MICROS_PER_MINUTE)
            }
            Unit::Hour => {
                self.add_micros(number, MICROS_PER_HOUR)?;
                self.add_fraction_micros(fraction, MICROS_PER_HOUR)
            }
            Unit::Day => {
                self.add_days(number)?;
                self.add_fraction_micros(fraction, MICROS_PER_DAY)
            }
            Unit::Week => {
                self.add_days(number.checked_mul(7)?)?;
                self.add_fraction_days(fraction, 7)
            }
            Unit::Month => {
                self.add_months(number, 1)?;
                self.add_fraction_days(fraction, 30)
            }
            Unit::Year => self.add_years(number, fraction, 12),
            Unit::Decade => self.add_years(number, fraction, 120),
            Unit::Century => self.add_years(number, fraction, 1200),
            Unit::Millennium => self.add_years(number, fraction, 12_000),
        }
    }

    fn add_years(&mut self, number: i64, fraction: f64, months: i64) -> Option<()> {
        self.add_months(number, months)?;
        self.add_months(round_half_even(fraction * months as f64), 1)
    }

    fn finish(&self, negate: bool) -> Option<Interval> {
        let sign = |number: i64| if negate { number.checked_neg() } else { Some(number) };
        Some(Interval {
            months: i32::try_from(sign(self.months)?).ok()?,
            days: i32::try_from(sign(self.days)?).ok()?,
            micros: sign(self.micros)?,
        })
    }
}

/// Reads an interval.
///
/// # Errors
/// 22007 for a form it does not know, 22015 if a field overflows.
pub fn parse_interval(text: &str) -> Result<Interval, ValueError> {
    let overflow = || {
        ValueError::new(
            SqlState::INTERVAL_FIELD_OVERFLOW,
            format!("interval field value out of range: \"{text}\""),
        )
    };
    let invalid = || {
        ValueError::new(
            SqlState::INVALID_DATETIME_FORMAT,
            format!("invalid input syntax for type interval: \"{text}\""),
        )
    };
    let trimmed = crate::text_format::trim(text);
    let answer = if trimmed.starts_with('P') { parse_iso(trimmed) } else { parse_words(trimmed) };
    match answer {
        Ok(interval) => Ok(interval),
        Err(Fault::Format | Fault::Zone(_)) => Err(invalid()),
        Err(_) => Err(overflow()),
    }
}

/// A decimal number: sign, whole part, fraction with the sign.
struct Decimal {
    negative: bool,
    whole: i64,
    fraction: f64,
}

fn decimal(text: &str) -> Result<Decimal, Fault> {
    let (negative, magnitude) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, fraction) = match magnitude.find('.') {
        Some(point) => (&magnitude[..point], &magnitude[point..]),
        None => (magnitude, ""),
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction.get(1..).unwrap_or("")) || magnitude.is_empty() {
        return Err(Fault::Format);
    }
    let whole_number: i64 =
        if whole.is_empty() { 0 } else { whole.parse().map_err(|_| Fault::Field)? };
    let fraction: f64 =
        if fraction.len() > 1 { fraction.parse().map_err(|_| Fault::Format)? } else { 0.0 };
    let sign = if negative { -1.0 } else { 1.0 };
    let signed = if negative { -whole_number } else { whole_number };
    Ok(Decimal { negative, whole: signed, fraction: fraction * sign })
}

/// One token: a number (with its sign), a word, a clock time, or years-months.
fn split_words(text: &str) -> Result<Vec<String>, Fault> {
    let mut tokens: Vec<String> = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(&first) = rest.peek() {
        let mut token = String::new();
        if first.is_whitespace() || first == '@' || first == ',' {
            rest.next();
            continue;
        }
        if first.is_ascii_alphabetic() {
            while let Some(letter) = rest.next_if(char::is_ascii_alphabetic) {
                token.push(letter.to_ascii_lowercase());
            }
        } else if first.is_ascii_digit() || matches!(first, '+' | '-' | '.') {
            rest.next();
            token.push(first);
            if matches!(first, '+' | '-') {
                while rest.next_if(|space| space.is_whitespace()).is_some() {}
            }
            while let Some(character) =
                rest.next_if(|c| c.is_ascii_digit() || matches!(c, '.' | ':'))
            {
                token.push(character);
            }
            // Years-months: 1-2
            if token.bytes().any(|byte| byte.is_ascii_digit())
                && !token.contains([':', '.'])
                && rest.peek() == Some(&'-')
            {
                let mut ahead = rest.clone();
                ahead.next();
                if ahead.peek().is_some_and(char::is_ascii_digit) {
                    rest.next();
                    token.push('-');
                    while let Some(digit) = rest.next_if(char::is_ascii_digit) {
                        token.push(digit);
                    }
                }
            }
        } else {
            return Err(Fault::Format);
        }
        if tokens.len() > 25 {
            return Err(Fault::Format);
        }
        tokens.push(token);
    }
    Ok(tokens)
}

fn clock(token: &str) -> Result<i64, Fault> {
    let (negative, magnitude) = match token.as_bytes().first() {
        Some(b'-') => (true, &token[1..]),
        Some(b'+') => (false, &token[1..]),
        _ => (false, token),
    };
    let mut parts = magnitude.splitn(3, ':');
    let (first, middle) = (parts.next().ok_or(Fault::Format)?, parts.next().ok_or(Fault::Format)?);
    let number = |part: &str| -> Result<i64, Fault> {
        if part.is_empty() {
            return Ok(0);
        }
        if !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Fault::Format);
        }
        part.parse().map_err(|_| Fault::Field)
    };
    let seconds = |part: &str| -> Result<(i64, i64), Fault> {
        let point = part.find('.').unwrap_or(part.len());
        let micros = if point < part.len() { fraction_micros(&part[point..])? } else { 0 };
        Ok((number(&part[..point])?, micros))
    };
    let (hour, minute, (second, micros)) = match parts.next() {
        Some(last) => (number(first)?, number(middle)?, seconds(last)?),
        None if middle.contains('.') => (0, number(first)?, seconds(middle)?),
        None => (number(first)?, number(middle)?, (0, 0)),
    };
    if minute > 59 || second > 60 {
        return Err(Fault::Field);
    }
    let total = hour
        .checked_mul(MICROS_PER_HOUR)
        .and_then(|sum| sum.checked_add(minute * MICROS_PER_MINUTE))
        .and_then(|sum| sum.checked_add(second * MICROS_PER_SECOND + micros))
        .ok_or(Fault::Field)?;
    Ok(if negative { -total } else { total })
}

fn parse_words(text: &str) -> Result<Interval, Fault> {
    let mut tokens = split_words(text)?;
    let mut ago = false;
    if tokens.last().is_some_and(|last| last == "ago") {
        ago = true;
        tokens.pop();
    }
    if tokens.is_empty() {
        return Err(Fault::Format);
    }
    let mut sum = Sum::default();
    let mut seen: Vec<Unit> = Vec::new();
    let mut clock_seen = false;
    // From the end, as a unit stands after its number; a bare last number is seconds, one before a clock is days.
    let mut unit: Option<Unit> = None;
    let mut after = Unit::Second;
    for token in tokens.iter().rev() {
        if token.as_bytes()[0].is_ascii_alphabetic() {
            if unit.is_some() {
                return Err(Fault::Format);
            }
            unit = Some(unit_of(token).ok_or(Fault::Format)?);
        } else if token.contains(':') {
            if unit.is_some() || clock_seen {
                return Err(Fault::Format);
            }
            clock_seen = true;
            sum.add_micros(clock(token)?, 1).ok_or(Fault::Field)?;
            after = Unit::Day;
        } else if let Some(dash) = token.get(1..).and_then(|tail| tail.find('-')) {
            if unit.is_some() {
                return Err(Fault::Format);
            }
            let years = decimal(&token[..=dash])?;
            let months: i64 = token[dash + 2..].parse().map_err(|_| Fault::Field)?;
            if months >= 12 {
                return Err(Fault::Field);
            }
            let signed = if years.negative { -months } else { months };
            sum.add_months(years.whole, 12).ok_or(Fault::Field)?;
            sum.add_months(signed, 1).ok_or(Fault::Field)?;
            after = Unit::Year;
        } else {
            let unit = unit.take().unwrap_or(after);
            if seen.contains(&unit)
                || clock_seen && matches!(unit, Unit::Hour | Unit::Minute | Unit::Second)
            {
                return Err(Fault::Format);
            }
            seen.push(unit);
            let number = decimal(token)?;
            sum.add(unit, number.whole, number.fraction).ok_or(Fault::Field)?;
            after = unit;
        }
    }
    if unit.is_some() {
        return Err(Fault::Format);
    }
    sum.finish(ago).ok_or(Fault::Field)
}

/// `P1Y2M3DT4H5M6S`
fn parse_iso(text: &str) -> Result<Interval, Fault> {
    let mut sum = Sum::default();
    let mut rest = &text[1..];
    let mut in_time = false;
    let mut any = false;
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix('T') {
            if in_time {
                return Err(Fault::Format);
            }
            in_time = true;
            rest = tail;
            continue;
        }
        let length = rest
            .bytes()
            .take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.'))
            .count();
        if length == 0 {
            return Err(Fault::Format);
        }
        let number = decimal(&rest[..length])?;
        let letter = rest.as_bytes().get(length).ok_or(Fault::Format)?;
        let unit = match (in_time, letter) {
            (false, b'Y') => Unit::Year,
            (false, b'M') => Unit::Month,
            (false, b'W') => Unit::Week,
            (false, b'D') => Unit::Day,
            (true, b'H') => Unit::Hour,
            (true, b'M') => Unit::Minute,
            (true, b'S') => Unit::Second,
            _ => return Err(Fault::Format),
        };
        sum.add(unit, number.whole, number.fraction).ok_or(Fault::Field)?;
        any = true;
        rest = &rest[length + 1..];
    }
    if any || in_time { sum.finish(false).ok_or(Fault::Field) } else { Err(Fault::Format) }
}
