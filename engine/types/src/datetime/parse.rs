//! Reading dates and timestamps in the forms that PostgreSQL takes: ISO 8601, SQL, month names, run-together digits, `now` and its like.
//!
//! A string is cut into tokens by shape alone, then each token finds its place by what is already known (appendix B.1 of PostgreSQL's documentation).

use super::fields::{DateParts, days_in_month};
use super::{
    DATE_INFINITY, DATE_NEGATIVE_INFINITY, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE,
    MICROS_PER_SECOND, TIMESTAMP_INFINITY, TIMESTAMP_NEGATIVE_INFINITY, UNIX_EPOCH_DAYS,
    date_in_range, from_local, timestamp_in_range, to_local,
};
use crate::time_zone::{DateOrder, TextSettings, abbreviation_offset, parse_offset};
use crate::{SqlState, TimeZone, ValueError};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Why a string is not a date or time; becomes an error once the type's name is known.
#[derive(Debug)]
pub(super) enum Fault {
    /// 22007
    Format,
    /// 22008
    Field,
    /// 22008 with a hint about `datestyle`
    MonthDay,
    /// 22009
    Displacement,
    /// 22023
    Zone(ValueError),
}

pub(super) fn fault_error(fault: Fault, text: &str, type_name: &str) -> ValueError {
    let out_of_range = || {
        ValueError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("date/time field value out of range: \"{text}\""),
        )
    };
    match fault {
        Fault::Format => ValueError::new(
            SqlState::INVALID_DATETIME_FORMAT,
            format!("invalid input syntax for type {type_name}: \"{text}\""),
        ),
        Fault::Field => out_of_range(),
        Fault::MonthDay => {
            out_of_range().with_hint("Perhaps you need a different \"datestyle\" setting.")
        }
        Fault::Displacement => ValueError::new(
            SqlState::INVALID_TIME_ZONE_DISPLACEMENT,
            format!("time zone displacement out of range: \"{text}\""),
        ),
        Fault::Zone(error) => error,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Digits, perhaps with one point.
    Number,
    /// Letters.
    Word,
    /// Digits and letters with `-`, `/` or `.` between.
    Date,
    /// Digits with colons.
    Time,
    /// A sign and digits.
    Offset,
    /// A sign and letters.
    SignedWord,
}

/// Longest input that is looked at; longer ones are no date.
const TOKENS_MAX: usize = 25;

fn tokens(text: &str) -> Result<Vec<(Kind, String)>, Fault> {
    let bytes = text.as_bytes();
    let mut found: Vec<(Kind, String)> = Vec::new();
    let mut at = 0;
    let peek = |at: usize| bytes.get(at).copied().unwrap_or(0);
    while at < bytes.len() {
        let start = at;
        let byte = bytes[at];
        if matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c) {
            at += 1;
            continue;
        }
        if found.len() >= TOKENS_MAX {
            return Err(Fault::Format);
        }
        let mut token = String::new();
        let kind = if byte.is_ascii_digit() {
            while peek(at).is_ascii_digit() {
                at += 1;
            }
            match peek(at) {
                b':' => {
                    while peek(at).is_ascii_digit() || matches!(peek(at), b':' | b'.') {
                        at += 1;
                    }
                    Kind::Time
                }
                delimiter @ (b'-' | b'/' | b'.') => {
                    at += 1;
                    if peek(at).is_ascii_digit() {
                        let mut kind = if delimiter == b'.' { Kind::Number } else { Kind::Date };
                        while peek(at).is_ascii_digit() {
                            at += 1;
                        }
                        if peek(at) == delimiter {
                            kind = Kind::Date;
                            while peek(at).is_ascii_digit() || peek(at) == delimiter {
                                at += 1;
                            }
                        }
                        kind
                    } else {
                        while peek(at).is_ascii_alphanumeric() || peek(at) == delimiter {
                            at += 1;
                        }
                        Kind::Date
                    }
                }
                _ => Kind::Number,
            }
        } else if byte == b'.' {
            at += 1;
            while peek(at).is_ascii_digit() {
                at += 1;
            }
            Kind::Number
        } else if byte.is_ascii_alphabetic() {
            while peek(at).is_ascii_alphabetic() {
                at += 1;
            }
            let mut kind = Kind::Word;
            if matches!(peek(at), b'-' | b'/' | b'.' | b'+') {
                // A date that begins with a month, or a zone.
                let word = text[start..at].to_ascii_lowercase();
                let month = month_of(&word).is_some();
                let delimiter = peek(at);
                if delimiter == b'+' || !month && delimiter != b'.' {
                    while peek(at).is_ascii_alphanumeric()
                        || matches!(peek(at), b'+' | b'-' | b'/' | b'_' | b'.' | b':')
                    {
                        at += 1;
                    }
                } else if month {
                    while peek(at).is_ascii_alphanumeric() || peek(at) == delimiter {
                        at += 1;
                    }
                    kind = Kind::Date;
                }
            }
            kind
        } else if matches!(byte, b'+' | b'-') {
            token.push(byte as char);
            at += 1;
            while matches!(peek(at), b' ' | b'\t' | b'\n' | b'\r') {
                at += 1;
            }
            let rest = at;
            if peek(at).is_ascii_digit() {
                while peek(at).is_ascii_digit() || matches!(peek(at), b':' | b'.' | b'-') {
                    at += 1;
                }
                token.push_str(&text[rest..at]);
                found.push((Kind::Offset, token));
            } else if peek(at).is_ascii_alphabetic() {
                while peek(at).is_ascii_alphabetic() {
                    at += 1;
                }
                token.push_str(&text[rest..at].to_ascii_lowercase());
                found.push((Kind::SignedWord, token));
            } else {
                return Err(Fault::Format);
            }
            continue;
        } else if byte.is_ascii_punctuation() {
            at += 1;
            continue;
        } else {
            return Err(Fault::Format);
        };
        token.push_str(&text[start..at]);
        if matches!(kind, Kind::Date | Kind::Word) && !token.contains('/') {
            token.make_ascii_lowercase();
        }
        found.push((kind, token));
    }
    Ok(found)
}

fn month_of(word: &str) -> Option<u32> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    if word == "sept" {
        return Some(9);
    }
    MONTHS
        .iter()
        .position(|month| word == *month || word.len() == 3 && month.starts_with(word))
        .map(|position| position as u32 + 1)
}

fn is_week_day(word: &str) -> bool {
    const DAYS: [&str; 7] =
        ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
    matches!(word, "tues" | "weds" | "thur" | "thurs")
        || DAYS.iter().any(|day| word == *day || word.len() == 3 && day.starts_with(word))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Special {
    Epoch,
    Infinity,
    NegativeInfinity,
    Now,
    /// Midnight of a day so far from today.
    Day(i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meridian {
    Am,
    Pm,
}

#[derive(Debug, Default)]
struct Reading {
    year: Option<i32>,
    year_is_short: bool,
    month: Option<i32>,
    month_is_text: bool,
    day: Option<i32>,
    day_of_year: Option<i32>,
    time: Option<Time>,
    zone: Option<TimeZone>,
    before_christ: bool,
    meridian: Option<Meridian>,
    special: Option<Special>,
    /// A word such as `T` that says what the next number is.
    time_follows: bool,
    /// `J` in front of a Julian day number.
    julian_follows: bool,
    julian_days: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
struct Time {
    hour: i32,
    minute: i32,
    second: i32,
    micros: i64,
}

/// What a string means: a wall clock (or an instant, if it names a zone), or an infinity.
enum Meaning {
    Infinity { negative: bool },
    Local { micros: i64, days: i64, zone: Option<TimeZone> },
}

fn number(text: &str) -> Result<i32, Fault> {
    text.parse().map_err(|_| Fault::Field)
}

/// `.ffffff…` in microseconds, rounded.
pub(super) fn fraction_micros(text: &str) -> Result<i64, Fault> {
    let digits = text.strip_prefix('.').ok_or(Fault::Format)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::Format);
    }
    if digits.is_empty() {
        return Ok(0);
    }
    let fraction: f64 = text.parse().map_err(|_| Fault::Format)?;
    // Rounds to even at exact halves, as C's rint.
    Ok(round_half_even(fraction * 1e6))
}

/// C's `rint` for numbers well inside 63 bits.
pub(super) fn round_half_even(number: f64) -> i64 {
    let whole = number as i64;
    let rest = number - whole as f64;
    let away = if number < 0.0 { -1 } else { 1 };
    let magnitude = if rest < 0.0 { -rest } else { rest };
    if magnitude > 0.5 || (magnitude == 0.5 && whole % 2 != 0) { whole + away } else { whole }
}

impl Reading {
    fn date_known(&self) -> bool {
        self.day_of_year.is_some()
            || self.julian_days.is_some()
            || self.year.is_some() && self.month.is_some() && self.day.is_some()
    }

    /// A number on its own or within a date: its place follows from what is known and from the session's order.
    fn place_number(&mut self, text: &str, order: DateOrder) -> Result<(), Fault> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return Err(Fault::Format);
        }
        if digits < text.len() {
            if digits > 2 {
                return self.place_run_together(text);
            }
            return Err(Fault::Format);
        }
        let value = number(text)?;
        let long = digits >= 3;
        let have = (self.year.is_some(), self.month.is_some(), self.day.is_some());
        if digits == 3 && have.0 && !have.1 && (1..=366).contains(&value) {
            self.day_of_year = Some(value);
            return Ok(());
        }
        match have {
            (false, false, false) => {
                if long || order == DateOrder::YearMonthDay {
                    self.set_year(value, digits);
                } else if order == DateOrder::DayMonthYear {
                    self.day = Some(value);
                } else {
                    self.month = Some(value);
                }
            }
            (true, false, _) => self.month = Some(value),
            (false, true, false) if self.month_is_text => {
                if long || order == DateOrder::YearMonthDay {
                    self.set_year(value, digits);
                } else {
                    self.day = Some(value);
                }
            }
            (false, true, false) => self.day = Some(value),
            (true, true, false) => {
                if self.month_is_text && long && self.year_is_short {
                    self.day = self.year;
                    self.set_year(value, digits);
                } else {
                    self.day = Some(value);
                }
            }
            (false, false, true) => self.month = Some(value),
            (false, true, true) => self.set_year(value, digits),
            (true, true, true) => return self.place_run_together(text),
        }
        Ok(())
    }

    fn set_year(&mut self, value: i32, digits: usize) {
        self.year = Some(value);
        self.year_is_short = digits <= 2;
    }

    /// `yyyymmdd`, `yymmdd`, `hhmmss`, `hhmm`, each perhaps with a fraction.
    fn place_run_together(&mut self, text: &str) -> Result<(), Fault> {
        let (digits, fraction) = match text.find('.') {
            Some(point) => (&text[..point], Some(&text[point..])),
            None => (text, None),
        };
        let part = |range: core::ops::Range<usize>| number(&digits[range]);
        let length = digits.len();
        if fraction.is_none() && !self.date_known() && length >= 6 {
            self.day = Some(part(length - 2..length)?);
            self.month = Some(part(length - 4..length - 2)?);
            self.set_year(part(0..length - 4)?, length - 4);
            return Ok(());
        }
        if self.time.is_some() {
            return Err(Fault::Format);
        }
        let micros = fraction.map_or(Ok(0), fraction_micros)?;
        let second = match length {
            6 => part(4..6)?,
            4 => 0,
            _ => return Err(Fault::Format),
        };
        self.time = Some(Time { hour: part(0..2)?, minute: part(2..4)?, second, micros });
        Ok(())
    }

    /// `2003-04-05`, `5/4/03`, `05-Apr-2003`, …
    fn place_date(&mut self, text: &str, order: DateOrder) -> Result<(), Fault> {
        let parts: Vec<&str> = text
            .split(|character: char| !character.is_ascii_alphanumeric())
            .filter(|part| !part.is_empty())
            .collect();
        if parts.len() > 3 {
            return Err(Fault::Format);
        }
        for part in parts.iter().filter(|part| part.as_bytes()[0].is_ascii_alphabetic()) {
            if self.month_is_text {
                return Err(Fault::Format);
            }
            self.month = Some(month_of(part).ok_or(Fault::Format)? as i32);
            self.month_is_text = true;
        }
        for part in parts.iter().filter(|part| !part.as_bytes()[0].is_ascii_alphabetic()) {
            if !part.bytes().all(|byte| byte.is_ascii_digit()) || self.date_known() {
                return Err(Fault::Format);
            }
            self.place_number(part, order)?;
        }
        if self.date_known() { Ok(()) } else { Err(Fault::Format) }
    }

    fn place_time(&mut self, text: &str) -> Result<(), Fault> {
        if self.time.is_some() {
            return Err(Fault::Format);
        }
        self.time = Some(read_time(text)?);
        Ok(())
    }

    fn place_offset(&mut self, text: &str) -> Result<(), Fault> {
        if self.zone.is_some() {
            return Err(Fault::Format);
        }
        self.zone = Some(TimeZone::fixed(offset(text)?).ok_or(Fault::Field)?);
        Ok(())
    }

    fn place_word(&mut self, word: &str) -> Result<(), Fault> {
        if let Some(month) = month_of(word) {
            // A month after a lone number: the number was the day.
            if self.month.is_some() && !self.month_is_text && self.day.is_none() {
                self.day = self.month.take();
            }
            if self.month.is_some() {
                return Err(Fault::Format);
            }
            self.month = Some(month as i32);
            self.month_is_text = true;
            return Ok(());
        }
        if is_week_day(word) {
            return Ok(());
        }
        let special = match word {
            "epoch" => Some(Special::Epoch),
            "infinity" => Some(Special::Infinity),
            "now" => Some(Special::Now),
            "today" => Some(Special::Day(0)),
            "tomorrow" => Some(Special::Day(1)),
            "yesterday" => Some(Special::Day(-1)),
            _ => None,
        };
        if let Some(special) = special {
            if self.special.is_some() {
                return Err(Fault::Format);
            }
            self.special = Some(special);
            return Ok(());
        }
        match word {
            "am" => self.meridian = Some(Meridian::Am),
            "pm" => self.meridian = Some(Meridian::Pm),
            "bc" => self.before_christ = true,
            "ad" | "at" | "on" => {}
            "j" | "jd" | "julian" => self.julian_follows = true,
            "allballs" => {
                self.time = Some(Time { hour: 0, minute: 0, second: 0, micros: 0 });
                self.zone = Some(TimeZone::UTC);
            }
            "t" if self.date_known() => self.time_follows = true,
            _ => {
                if self.zone.is_some() {
                    return Err(Fault::Format);
                }
                self.zone = Some(match abbreviation_offset(word).and_then(TimeZone::fixed) {
                    Some(zone) => zone,
                    None if word.contains('/') || word.len() > 3 && word.contains(['+', '-']) => {
                        TimeZone::parse(&word.to_ascii_lowercase()).map_err(Fault::Zone)?
                    }
                    None => TimeZone::parse(word).map_err(|_| Fault::Format)?,
                });
            }
        }
        Ok(())
    }

    fn validate(mut self, settings: &TextSettings) -> Result<Meaning, Fault> {
        let mut time = self.time.unwrap_or(Time { hour: 0, minute: 0, second: 0, micros: 0 });
        if let Some(meridian) = self.meridian {
            if time.hour > 12 {
                return Err(Fault::Field);
            }
            match meridian {
                Meridian::Am if time.hour == 12 => time.hour = 0,
                Meridian::Pm if time.hour != 12 => time.hour += 12,
                _ => {}
            }
        }
        let overflows = !(0..=24).contains(&time.hour)
            || !(0..60).contains(&time.minute)
            || !(0..=60).contains(&time.second)
            || time.hour == 24 && (time.minute > 0 || time.second > 0 || time.micros > 0);
        if overflows {
            return Err(Fault::Field);
        }
        let clock = i64::from(time.hour) * MICROS_PER_HOUR
            + i64::from(time.minute) * MICROS_PER_MINUTE
            + i64::from(time.second) * MICROS_PER_SECOND
            + time.micros;
        let today = || to_local(settings.transaction_micros, &settings.time_zone);
        match self.special {
            Some(Special::Infinity) => return Ok(Meaning::Infinity { negative: false }),
            Some(Special::NegativeInfinity) => return Ok(Meaning::Infinity { negative: true }),
            Some(Special::Epoch) => {
                let days = i64::from(UNIX_EPOCH_DAYS);
                return Ok(Meaning::Local { micros: 0, days, zone: Some(TimeZone::UTC) });
            }
            Some(Special::Now) => {
                let now = today();
                return Ok(Meaning::Local {
                    micros: now.rem_euclid(MICROS_PER_DAY),
                    days: now.div_euclid(MICROS_PER_DAY),
                    zone: self.zone,
                });
            }
            Some(Special::Day(distance)) => {
                let days = today().div_euclid(MICROS_PER_DAY) + distance;
                return Ok(Meaning::Local { micros: clock, days, zone: self.zone });
            }
            None => {}
        }
        if !self.date_known() {
            return Err(Fault::Format);
        }
        let days = self.days()?;
        Ok(Meaning::Local { micros: clock, days, zone: self.zone })
    }

    fn days(&mut self) -> Result<i64, Fault> {
        if let Some(days) = self.julian_days {
            return Ok(days);
        }
        let mut year = self.year.ok_or(Fault::Format)?;
        if self.before_christ {
            if year <= 0 {
                return Err(Fault::Field);
            }
            year = 1 - year;
        } else if self.year_is_short {
            year += if year < 70 { 2000 } else { 1900 };
        } else if year <= 0 {
            return Err(Fault::Field);
        }
        if let Some(day_of_year) = self.day_of_year {
            let last = if super::fields::is_leap_year(year) { 366 } else { 365 };
            if day_of_year > last {
                return Err(Fault::Field);
            }
            let first = DateParts { year, month: 1, day: 1 };
            return Ok(first.to_days() + i64::from(day_of_year) - 1);
        }
        let (month, day) = (self.month.ok_or(Fault::Format)?, self.day.ok_or(Fault::Format)?);
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(Fault::MonthDay);
        }
        let (month, day) = (month as u32, day as u32);
        if day > days_in_month(year, month) {
            return Err(Fault::Field);
        }
        Ok(DateParts { year, month, day }.to_days())
    }
}

fn read_time(text: &str) -> Result<Time, Fault> {
    let mut parts = text.splitn(3, ':');
    let whole = |part: Option<&str>| -> Result<i32, Fault> {
        let part = part.ok_or(Fault::Format)?;
        if !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Fault::Format);
        }
        if part.is_empty() { Ok(0) } else { number(part) }
    };
    let with_fraction = |part: &str| -> Result<(i32, i64), Fault> {
        let point = part.find('.').unwrap_or(part.len());
        let micros = if point < part.len() { fraction_micros(&part[point..])? } else { 0 };
        Ok((whole(Some(&part[..point]))?, micros))
    };
    let first = whole(parts.next())?;
    let middle = parts.next().ok_or(Fault::Format)?;
    match parts.next() {
        Some(last) => {
            let (second, micros) = with_fraction(last)?;
            Ok(Time { hour: first, minute: whole(Some(middle))?, second, micros })
        }
        None if middle.contains('.') => {
            let (second, micros) = with_fraction(middle)?;
            Ok(Time { hour: 0, minute: first, second, micros })
        }
        None => Ok(Time { hour: first, minute: whole(Some(middle))?, second: 0, micros: 0 }),
    }
}

/// `±hh[:mm[:ss]]`, `±hhmm` in seconds east.
fn offset(text: &str) -> Result<i32, Fault> {
    parse_offset(text).ok_or_else(|| {
        let digits = text.get(1..).unwrap_or("");
        let shaped =
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
        if shaped { Fault::Displacement } else { Fault::Format }
    })
}

/// `YYYY-MM-DD`, perhaps with `[ T]HH:MM:SS[.ffffff]` and `Z` or `±HH[:MM]`: what programs write, read without tokens. Anything else, and any field out of
/// range, is left to the general reading and its messages.
fn read_iso(text: &[u8]) -> Option<Meaning> {
    fn number(digits: &[u8]) -> Option<u32> {
        digits.iter().try_fold(0, |sum, byte| {
            byte.is_ascii_digit().then(|| sum * 10 + u32::from(byte - b'0'))
        })
    }
    let (date, rest) = text.split_at_checked(10)?;
    if date[4] != b'-' || date[7] != b'-' {
        return None;
    }
    let (year, month, day) = (number(&date[..4])?, number(&date[5..7])?, number(&date[8..])?);
    let year = year as i32;
    if year == 0 || !(1..=12).contains(&month) || day == 0 || day > days_in_month(year, month) {
        return None;
    }
    let days = DateParts { year, month, day }.to_days();
    let Some((separator, rest)) = rest.split_first() else {
        return Some(Meaning::Local { micros: 0, days, zone: None });
    };
    let (clock, rest) = rest.split_at_checked(8)?;
    if !matches!(separator, b' ' | b'T') || clock[2] != b':' || clock[5] != b':' {
        return None;
    }
    let (hour, minute, second) =
        (number(&clock[..2])?, number(&clock[3..5])?, number(&clock[6..])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut micros = i64::from(hour) * MICROS_PER_HOUR
        + i64::from(minute) * MICROS_PER_MINUTE
        + i64::from(second) * MICROS_PER_SECOND;
    let mut rest = rest;
    if let Some(fraction) = rest.strip_prefix(b".") {
        let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=6).contains(&digits) {
            return None;
        }
        micros += i64::from(number(&fraction[..digits])?) * 10i64.pow(6 - digits as u32);
        rest = &fraction[digits..];
    }
    let zone = match rest {
        [] => None,
        b"Z" => Some(TimeZone::UTC),
        [sign @ (b'+' | b'-'), offset @ ..] => {
            let (hours, minutes) = match offset {
                [a, b] => (number(&[*a, *b])?, 0),
                [a, b, b':', c, d] => (number(&[*a, *b])?, number(&[*c, *d])?),
                _ => return None,
            };
            if hours > 15 || minutes > 59 {
                return None;
            }
            let seconds = (hours * 3600 + minutes * 60) as i32;
            Some(TimeZone::fixed(if *sign == b'-' { -seconds } else { seconds })?)
        }
        _ => return None,
    };
    Some(Meaning::Local { micros, days, zone })
}

fn read(text: &str, settings: &TextSettings) -> Result<Meaning, Fault> {
    if let Some(meaning) = read_iso(text.as_bytes()) {
        return Ok(meaning);
    }
    let mut reading = Reading::default();
    let order = settings.date_order;
    let all = tokens(text)?;
    if all.is_empty() {
        return Err(Fault::Format);
    }
    for (kind, token) in &all {
        match kind {
            Kind::Number if reading.julian_follows => {
                reading.julian_follows = false;
                let days: i64 = token.parse().map_err(|_| Fault::Format)?;
                reading.julian_days = Some(days - 2_451_545);
            }
            Kind::Number if reading.time_follows => {
                reading.time_follows = false;
                reading.place_run_together(token)?;
            }
            Kind::Number => {
                let run_together = token.len() > 4 && !token.contains('.');
                if token.contains('.') && !reading.date_known() {
                    reading.place_date(token, order)?;
                } else if reading.date_known()
                    || run_together && !(reading.month.is_some() || reading.year.is_some())
                {
                    reading.place_run_together(token)?;
                } else {
                    reading.place_number(token, order)?;
                }
            }
            Kind::Date => {
                if reading.date_known() {
                    // hhmmss-zz
                    let position = token.find('-').ok_or(Fault::Format)?;
                    reading.place_run_together(&token[..position])?;
                    reading.place_offset(&token[position..])?;
                } else {
                    reading.place_date(token, order)?;
                }
            }
            Kind::Time => reading.place_time(token)?,
            Kind::Offset => {
                if reading.time.is_none() && reading.date_known() && token.contains('.') {
                    return Err(Fault::Format);
                }
                reading.place_offset(token)?;
            }
            Kind::Word => reading.place_word(token)?,
            Kind::SignedWord => match token.as_str() {
                "-infinity" => reading.special = Some(Special::NegativeInfinity),
                "+infinity" => reading.special = Some(Special::Infinity),
                _ => return Err(Fault::Format),
            },
        }
    }
    if matches!(reading.special, Some(Special::Infinity | Special::NegativeInfinity))
        && all.len() > 1
    {
        return Err(Fault::Format);
    }
    reading.validate(settings)
}

/// Reads a `date`; a time of day is checked and dropped.
///
/// # Errors
/// 22007, 22008, 22009, 22023.
pub fn parse_date(text: &str, settings: &TextSettings) -> Result<i32, ValueError> {
    match read(text, settings).map_err(|fault| fault_error(fault, text, "date"))? {
        Meaning::Infinity { negative: true } => Ok(DATE_NEGATIVE_INFINITY),
        Meaning::Infinity { negative: false } => Ok(DATE_INFINITY),
        Meaning::Local { days, .. } if date_in_range(days) => Ok(days as i32),
        Meaning::Local { .. } => Err(ValueError::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("date out of range: \"{text}\""),
        )),
    }
}

fn out_of_range(text: &str) -> ValueError {
    ValueError::new(
        SqlState::DATETIME_FIELD_OVERFLOW,
        format!("timestamp out of range: \"{text}\""),
    )
}

/// Reads a `timestamp`; a zone is checked and dropped.
///
/// # Errors
/// 22007, 22008, 22009, 22023.
pub fn parse_timestamp(text: &str, settings: &TextSettings) -> Result<i64, ValueError> {
    match read(text, settings).map_err(|fault| fault_error(fault, text, "timestamp"))? {
        Meaning::Infinity { negative: true } => Ok(TIMESTAMP_NEGATIVE_INFINITY),
        Meaning::Infinity { negative: false } => Ok(TIMESTAMP_INFINITY),
        Meaning::Local { micros, days, .. } => days
            .checked_mul(MICROS_PER_DAY)
            .and_then(|midnight| midnight.checked_add(micros))
            .filter(|sum| timestamp_in_range(*sum))
            .ok_or_else(|| out_of_range(text)),
    }
}

/// Reads a `timestamptz`; without a zone the session's applies.
///
/// # Errors
/// 22007, 22008, 22009, 22023.
pub fn parse_timestamptz(text: &str, settings: &TextSettings) -> Result<i64, ValueError> {
    let meaning = read(text, settings)
        .map_err(|fault| fault_error(fault, text, "timestamp with time zone"))?;
    match meaning {
        Meaning::Infinity { negative: true } => Ok(TIMESTAMP_NEGATIVE_INFINITY),
        Meaning::Infinity { negative: false } => Ok(TIMESTAMP_INFINITY),
        Meaning::Local { micros, days, zone } => {
            let zone = zone.unwrap_or(settings.time_zone);
            days.checked_mul(MICROS_PER_DAY)
                .and_then(|midnight| midnight.checked_add(micros))
                .and_then(|local| from_local(local, &zone).ok())
                .ok_or_else(|| out_of_range(text))
        }
    }
}
