//! `to_timestamp` and `to_date`: reading text along a template.
//!
//! Blanks before a field do not matter; a separator in the template takes any separators of the text; fields must not contradict each other.

use super::print::{DAYS, MONTHS, ROMAN};
use super::template::{Case, Field, Ordinal, Piece, pieces};
use crate::EvalError;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use types::SqlState;
use types::datetime::{
    DateParts, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND,
    date_in_range, days_in_month, timestamp_in_range,
};

/// What was read, checked.
pub(super) struct Found {
    days: i64,
    time: i64,
    pub(super) zone_seconds: Option<i32>,
}

impl Found {
    /// The wall clock.
    pub(super) fn micros(&self) -> Result<i64, EvalError> {
        self.days
            .checked_mul(MICROS_PER_DAY)
            .and_then(|start| start.checked_add(self.time))
            .filter(|micros| timestamp_in_range(*micros))
            .ok_or_else(|| {
                EvalError::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range")
            })
    }

    pub(super) fn date(&self, text: &str) -> Result<i32, EvalError> {
        if !date_in_range(self.days) {
            return Err(EvalError::new(
                SqlState::DATETIME_FIELD_OVERFLOW,
                format!("date out of range: \"{text}\""),
            ));
        }
        Ok(self.days as i32)
    }
}

#[cold]
fn invalid(message: impl Into<String>) -> EvalError {
    EvalError::new(SqlState::INVALID_DATETIME_FORMAT, message)
}

#[cold]
fn field_range(text: &str) -> EvalError {
    EvalError::new(
        SqlState::DATETIME_FIELD_OVERFLOW,
        format!("date/time field value out of range: \"{text}\""),
    )
}

#[derive(Default)]
struct Fields {
    hour: Option<i64>,
    twelve_hours: bool,
    afternoon: Option<bool>,
    minute: Option<i64>,
    second: Option<i64>,
    millis: Option<i64>,
    micros: Option<i64>,
    seconds_of_day: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    day_of_week: Option<i64>,
    month: Option<i64>,
    year: Option<i64>,
    year_digits: usize,
    before_christ: bool,
    century: Option<i64>,
    week: Option<i64>,
    week_of_month: Option<i64>,
    julian: Option<i64>,
    iso: bool,
    gregorian: bool,
    zone_sign: i32,
    zone_hour: Option<i64>,
    zone_minute: Option<i64>,
}

struct Reader<'a> {
    rest: &'a str,
    /// Of the pattern that is being read, for messages.
    case: Case,
    exact: bool,
    fields: Fields,
}

fn set(slot: &mut Option<i64>, value: i64, name: &str) -> Result<(), EvalError> {
    if slot.is_some_and(|old| old != value) {
        return Err(invalid(format!(
            "conflicting values for \"{name}\" field in formatting string"
        ))
        .with_detail("This value contradicts a previous setting for the same field type."));
    }
    *slot = Some(value);
    Ok(())
}

/// The pattern's name as messages spell it, and the most digits it takes beside another number.
fn described(field: Field) -> (&'static str, usize) {
    match field {
        Field::Hour12 => ("HH12", 2),
        Field::Hour24 => ("HH24", 2),
        Field::Minute => ("MI", 2),
        Field::Second => ("SS", 2),
        Field::Milliseconds => ("MS", 3),
        Field::Microseconds => ("US", 6),
        Field::Fraction(1) => ("FF1", 1),
        Field::Fraction(2) => ("FF2", 2),
        Field::Fraction(3) => ("FF3", 3),
        Field::Fraction(4) => ("FF4", 4),
        Field::Fraction(5) => ("FF5", 5),
        Field::Fraction(_) => ("FF6", 6),
        Field::SecondsOfDay => ("SSSS", 5),
        Field::ZoneHour => ("TZH", 2),
        Field::ZoneMinute => ("TZM", 2),
        Field::Month => ("MM", 2),
        Field::DayOfMonth => ("DD", 2),
        Field::DayOfYear => ("DDD", 3),
        Field::IsoDayOfYear => ("IDDD", 3),
        Field::DayOfWeek => ("D", 1),
        Field::IsoDayOfWeek => ("ID", 1),
        Field::Week => ("WW", 2),
        Field::IsoWeek => ("IW", 2),
        Field::WeekOfMonth => ("W", 1),
        Field::Quarter => ("Q", 1),
        Field::Century => ("CC", 2),
        Field::Julian => ("J", usize::MAX),
        Field::Year(4) => ("YYYY", 4),
        Field::Year(3) => ("YYY", 3),
        Field::Year(2) => ("YY", 2),
        Field::Year(_) => ("Y", 1),
        Field::IsoYear(4) => ("IYYY", 4),
        Field::IsoYear(3) => ("IYY", 3),
        Field::IsoYear(2) => ("IY", 2),
        Field::IsoYear(_) => ("I", 1),
        _ => ("", 0),
    }
}

impl Reader<'_> {
    /// A pattern's name as the template wrote it.
    fn spelled(&self, pattern: &str) -> String {
        match self.case {
            Case::Upper => pattern.into(),
            Case::Lower => pattern.to_lowercase(),
            Case::Capital => {
                let rest = pattern.get(1..).unwrap_or("").to_lowercase();
                format!("{}{rest}", pattern.get(..1).unwrap_or(""))
            }
        }
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// An integer: all its digits if nothing numeric follows in the template, else at most the pattern's.
    fn integer(
        &mut self,
        field: Field,
        next_is_number: bool,
        fill: bool,
    ) -> Result<(i64, usize), EvalError> {
        let (name, most) = described(field);
        let name = self.spelled(name);
        self.skip_blanks();
        let limited = fill && next_is_number && most != usize::MAX;
        let sign = usize::from(self.rest.starts_with(['+', '-']));
        let digits = self.rest.bytes().skip(sign).take_while(u8::is_ascii_digit).count();
        let most = if limited { most } else { usize::MAX };
        let used = if limited { (sign + digits).min(most) } else { sign + digits };
        let taken = &self.rest[..used];
        if limited && used < most && self.rest.len() >= used && digits > 0 {
            // Fewer digits than the pattern wants, with more template to come.
            if self.rest.chars().count() < most {
                return Err(invalid(format!(
                    "source string too short for \"{name}\" formatting field"
                ))
                .with_detail(format!(
                    "Field requires {most} characters, but only {} remain.",
                    self.rest.chars().count()
                ))
                .with_hint(
                    "If your source string is not fixed-width, try using the \"FM\" modifier.",
                ));
            }
            return Err(invalid(format!(
                "invalid value \"{}\" for \"{name}\"",
                first_characters(self.rest, most)
            ))
            .with_detail(format!(
                "Field requires {most} characters, but only {used} could be parsed."
            ))
            .with_hint(
                "If your source string is not fixed-width, try using the \"FM\" modifier.",
            ));
        }
        if digits == 0 {
            let shown = if limited {
                first_characters(self.rest, most)
            } else {
                first_characters(self.rest, described(field).1)
            };
            return Err(invalid(format!("invalid value \"{shown}\" for \"{name}\""))
                .with_detail("Value must be an integer."));
        }
        let value: i64 =
            taken.parse().ok().filter(|value| i32::try_from(*value).is_ok()).ok_or_else(|| {
                EvalError::new(
                    SqlState::DATETIME_FIELD_OVERFLOW,
                    format!("value for \"{name}\" in source string is out of range"),
                )
                .with_detail("Value must be in the range -2147483648 to 2147483647.")
            })?;
        self.rest = &self.rest[used..];
        Ok((value, used))
    }

    /// One of a list of names; `short` is how many letters of each count.
    fn name(
        &mut self,
        names: &[&str],
        short: Option<usize>,
        pattern: &str,
    ) -> Result<i64, EvalError> {
        self.skip_blanks();
        let found = names
            .iter()
            .enumerate()
            .filter_map(|(position, name)| {
                let name = short.map_or(*name, |letters| &name[..letters]);
                let head = self.rest.get(..name.len())?;
                head.eq_ignore_ascii_case(name).then_some((position, name.len()))
            })
            .max_by_key(|(_, length)| *length);
        match found {
            Some((position, length)) => {
                self.rest = &self.rest[length..];
                Ok(position as i64)
            }
            None => {
                let word: String = self.rest.chars().take_while(|c| !c.is_whitespace()).collect();
                let pattern = self.spelled(pattern);
                Err(invalid(format!("invalid value \"{word}\" for \"{pattern}\"")).with_detail(
                    "The given value did not match any of the allowed values for this field.",
                ))
            }
        }
    }

    fn pattern(
        &mut self,
        field: Field,
        fill: bool,
        ordinal: Ordinal,
        next_is_number: bool,
    ) -> Result<(), EvalError> {
        match field {
            Field::Exact => {
                self.exact = true;
                return Ok(());
            }
            Field::Meridian { dots } => {
                let names: &[&str] = if dots { &["a.m.", "p.m."] } else { &["am", "pm"] };
                let pattern = if dots { "A.M." } else { "AM" };
                let found = self.name(names, None, pattern)?;
                self.fields.afternoon = Some(found == 1);
                self.fields.twelve_hours = true;
                return Ok(());
            }
            Field::Era { dots } => {
                let names: &[&str] = if dots { &["a.d.", "b.c."] } else { &["ad", "bc"] };
                let found = self.name(names, None, if dots { "A.D." } else { "AD" })?;
                self.fields.before_christ = found == 1;
                return Ok(());
            }
            Field::MonthName => {
                let month = self.name(&MONTHS, None, "MONTH")? + 1;
                return set(&mut self.fields.month, month, "MONTH");
            }
            Field::MonthShort => {
                let month = self.name(&MONTHS, Some(3), "MON")? + 1;
                return set(&mut self.fields.month, month, "MON");
            }
            Field::Roman => {
                let month = self.name(&ROMAN, None, "RM")? + 1;
                return set(&mut self.fields.month, month, "RM");
            }
            Field::Day => {
                let day = self.name(&DAYS, None, "DAY")?;
                return set(&mut self.fields.day_of_week, day, "DAY");
            }
            Field::DayShort => {
                let day = self.name(&DAYS, Some(3), "DY")?;
                return set(&mut self.fields.day_of_week, day, "DY");
            }
            Field::Zone | Field::Offset => {
                let name = if field == Field::Zone { "TZ" } else { "OF" };
                return Err(EvalError::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    format!("formatting field \"{name}\" is only supported in to_char"),
                ));
            }
            Field::ZoneHour => {
                // PostgreSQL also takes the sign from the separator that was skipped last; here it stands in the text.
                self.skip_blanks();
                self.fields.zone_sign = if self.rest.starts_with('-') { -1 } else { 1 };
                self.rest = self.rest.strip_prefix(['+', '-']).unwrap_or(self.rest);
            }
            _ => {}
        }
        if field == Field::YearWithComma {
            return self.year_with_comma();
        }
        let iso = matches!(
            field,
            Field::IsoYear(_) | Field::IsoWeek | Field::IsoDayOfWeek | Field::IsoDayOfYear
        );
        let gregorian = matches!(field, Field::Year(_) | Field::Week | Field::DayOfYear);
        if iso && self.fields.gregorian || gregorian && self.fields.iso {
            return Err(invalid("invalid combination of date conventions").with_hint(
                "Do not mix Gregorian and ISO week date conventions in a formatting template.",
            ));
        }
        let (value, used) = self.integer(field, next_is_number, fill)?;
        self.numeric(field, value, used)?;
        if ordinal != Ordinal::None {
            self.rest = self.rest.get(2..).unwrap_or("");
        }
        Ok(())
    }

    fn year_with_comma(&mut self) -> Result<(), EvalError> {
        self.skip_blanks();
        let invalid_year = || invalid("invalid input string for \"Y,YYY\"");
        let length =
            self.rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b',').count();
        let (head, tail) = self.rest[..length].split_once(',').ok_or_else(invalid_year)?;
        let thousands: i64 = head.parse().map_err(|_| invalid_year())?;
        let units: i64 = tail.get(..3).and_then(|t| t.parse().ok()).ok_or_else(invalid_year)?;
        let consumed = head.len() + 4;
        self.rest = &self.rest[consumed..];
        self.fields.year_digits = 4;
        self.fields.gregorian = true;
        set(&mut self.fields.year, thousands * 1000 + units, "Y,YYY")
    }

    fn numeric(&mut self, field: Field, value: i64, used: usize) -> Result<(), EvalError> {
        let name = described(field).0;
        let fields = &mut self.fields;
        let fraction = |digits: usize, value: i64| {
            // What was read are the digits after the point: 5 of MS is half a second.
            value * 10i64.pow(digits.saturating_sub(used) as u32)
        };
        match field {
            Field::Hour12 => {
                fields.twelve_hours = true;
                set(&mut fields.hour, value, name)
            }
            Field::Hour24 => set(&mut fields.hour, value, name),
            Field::Minute => set(&mut fields.minute, value, name),
            Field::Second => set(&mut fields.second, value, name),
            Field::SecondsOfDay => set(&mut fields.seconds_of_day, value, name),
            Field::Milliseconds => set(&mut fields.millis, fraction(3, value), name),
            Field::Microseconds => set(&mut fields.micros, fraction(6, value), name),
            Field::Fraction(_) => set(&mut fields.micros, fraction(6, value), name),
            Field::ZoneHour => set(&mut fields.zone_hour, value, name),
            Field::ZoneMinute => set(&mut fields.zone_minute, value, name),
            Field::Month => set(&mut fields.month, value, name),
            Field::DayOfMonth => set(&mut fields.day, value, name),
            Field::DayOfYear => {
                fields.gregorian = true;
                set(&mut fields.day_of_year, value, name)
            }
            Field::IsoDayOfYear => {
                fields.iso = true;
                set(&mut fields.day_of_year, value, name)
            }
            Field::DayOfWeek => set(&mut fields.day_of_week, value - 1, name),
            Field::IsoDayOfWeek => {
                fields.iso = true;
                set(&mut fields.day_of_week, value % 7, name)
            }
            Field::Week => {
                fields.gregorian = true;
                set(&mut fields.week, value, name)
            }
            Field::IsoWeek => {
                fields.iso = true;
                set(&mut fields.week, value, name)
            }
            Field::WeekOfMonth => set(&mut fields.week_of_month, value, name),
            Field::Century => set(&mut fields.century, value, name),
            Field::Julian => set(&mut fields.julian, value, name),
            Field::Year(digits) | Field::IsoYear(digits) => {
                if matches!(field, Field::IsoYear(_)) {
                    fields.iso = true;
                } else {
                    fields.gregorian = true;
                }
                fields.year_digits = digits;
                let value =
                    if digits < 4 && used < 4 { nearest_century(value, digits) } else { value };
                set(&mut fields.year, value, name)
            }
            // The quarter is read and forgotten.
            _ => Ok(()),
        }
    }
}

fn first_characters(text: &str, count: usize) -> String {
    text.chars().take(count).collect()
}

/// A year of fewer than four digits means the one nearest to 2020.
const fn nearest_century(year: i64, digits: usize) -> i64 {
    if year < 0 {
        return year;
    }
    match digits {
        _ if year < 70 => year + 2000,
        _ if year < 100 => year + 1900,
        3 if year < 520 => year + 2000,
        3 if year < 1000 => year + 1000,
        _ => year,
    }
}

fn is_number(field: Field) -> bool {
    !described(field).0.is_empty()
}

fn is_mark(character: char) -> bool {
    character.is_ascii_graphic() && !character.is_ascii_alphanumeric()
}

pub(super) fn read(text: &str, template: &str) -> Result<Found, EvalError> {
    let pieces: Vec<Piece> = pieces(template);
    let mut reader =
        Reader { rest: text, case: Case::Upper, exact: false, fields: Fields::default() };
    for (position, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Pattern { field, fill, ordinal, case } => {
                reader.case = *case;
                if !reader.exact && *field != Field::Exact {
                    reader.skip_blanks();
                }
                if reader.rest.is_empty() && *field != Field::Exact {
                    break;
                }
                let next_is_number = match pieces.get(position + 1) {
                    Some(Piece::Pattern { field, .. }) => is_number(*field),
                    Some(Piece::Literal(character)) => character.is_ascii_digit(),
                    _ => false,
                } && *ordinal == Ordinal::None;
                reader.pattern(*field, *fill, *ordinal, next_is_number)?;
                if !reader.exact {
                    // Marks that the template does not have are passed over before the next field.
                    let next_is_pattern =
                        matches!(pieces.get(position + 1), Some(Piece::Pattern { .. }));
                    if next_is_pattern && !next_is_number {
                        reader.rest = reader.rest.trim_start();
                    }
                }
            }
            Piece::Separator(_) => {
                if reader.exact {
                    let mut letters = reader.rest.chars();
                    letters.next();
                    reader.rest = letters.as_str();
                    continue;
                }
                let next_is_zone = matches!(
                    pieces.get(position + 1),
                    Some(Piece::Pattern { field: Field::ZoneHour, .. })
                );
                let before = reader.rest.trim_start();
                let zone_sign = |c: char| next_is_zone && matches!(c, '+' | '-');
                reader.rest = match before.chars().next() {
                    Some(first) if is_mark(first) && !zone_sign(first) => {
                        &before[first.len_utf8()..]
                    }
                    _ => before,
                };
            }
            Piece::Literal(_) => {
                // One character of text for one of the template, whatever it is.
                let mut letters = reader.rest.chars();
                letters.next();
                reader.rest = letters.as_str();
            }
        }
    }
    assemble(text, &reader.fields)
}

fn assemble(text: &str, fields: &Fields) -> Result<Found, EvalError> {
    let time = time_of_day(text, fields)?;
    let days = date_of(text, fields)?;
    let zone_seconds = match (fields.zone_hour, fields.zone_minute) {
        (None, None) => None,
        (hour, minute) => {
            let (hour, minute) = (hour.unwrap_or(0), minute.unwrap_or(0));
            if !(0..=15).contains(&hour) || !(0..60).contains(&minute) {
                return Err(EvalError::new(
                    SqlState::INVALID_TIME_ZONE_DISPLACEMENT,
                    format!("time zone displacement out of range: \"{text}\""),
                ));
            }
            let sign = if fields.zone_sign < 0 { -1 } else { 1 };
            Some(sign * (hour * 3600 + minute * 60) as i32)
        }
    };
    Ok(Found { days, time, zone_seconds })
}

fn time_of_day(text: &str, fields: &Fields) -> Result<i64, EvalError> {
    let (mut hour, mut minute, mut second) =
        (fields.hour.unwrap_or(0), fields.minute.unwrap_or(0), fields.second.unwrap_or(0));
    if let Some(seconds) = fields.seconds_of_day {
        if !(0..86_400).contains(&seconds) {
            return Err(field_range(text));
        }
        hour = seconds / 3600;
        minute = seconds / 60 % 60;
        second = seconds % 60;
    }
    if fields.twelve_hours && (fields.hour.is_some() || fields.afternoon.is_some()) {
        let clock = fields.hour.is_some();
        if clock && !(1..=12).contains(&hour) {
            return Err(invalid(format!("hour \"{hour}\" is invalid for the 12-hour clock"))
                .with_hint("Use the 24-hour clock, or give an hour between 1 and 12."));
        }
        match fields.afternoon {
            Some(true) if hour < 12 => hour += 12,
            Some(false) | None if hour == 12 => hour = 0,
            _ => {}
        }
    }
    let fraction = fields.millis.unwrap_or(0) * 1000 + fields.micros.unwrap_or(0);
    let in_range = (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..60).contains(&second)
        && (0..=1_000_000).contains(&fraction);
    if !in_range {
        return Err(field_range(text));
    }
    Ok(hour * MICROS_PER_HOUR + minute * MICROS_PER_MINUTE + second * MICROS_PER_SECOND + fraction)
}

/// The year as astronomers count, from its digits, its century and its era.
fn astronomical_year(fields: &Fields) -> i64 {
    let year = match (fields.year, fields.century) {
        (Some(year), Some(century)) if fields.year_digits <= 2 => {
            let century = if fields.before_christ { -century } else { century };
            let within = year % 100;
            if century >= 0 {
                return if within == 0 { century * 100 } else { (century - 1) * 100 + within };
            }
            return (century + 1) * 100 - within + 1;
        }
        (Some(year), _) => year,
        (None, Some(century)) => {
            let century = if fields.before_christ { -century } else { century };
            return if century >= 0 { (century - 1) * 100 + 1 } else { century * 100 + 1 };
        }
        (None, None) => 0,
    };
    let year = if fields.before_christ { -year } else { year };
    if year < 0 { year + 1 } else { year }
}

fn date_of(text: &str, fields: &Fields) -> Result<i64, EvalError> {
    if let Some(julian) = fields.julian {
        return Ok(julian - 2_451_545);
    }
    let year = i32::try_from(astronomical_year(fields)).map_err(|_| field_range(text))?;
    let january = DateParts { year, month: 1, day: 1 }.to_days();
    // Monday of the ISO year's first week.
    let iso_start = {
        let fourth = DateParts { year, month: 1, day: 4 }.to_days();
        fourth - (fourth + 5).rem_euclid(7)
    };
    if let Some(week) = fields.week {
        if fields.iso {
            let weekday = fields.day_of_week.map_or(0, |day| (day + 6).rem_euclid(7));
            return Ok(iso_start + (week - 1) * 7 + weekday);
        }
        return Ok(january + (week - 1) * 7);
    }
    let mut day = fields.day;
    if let Some(week) = fields.week_of_month {
        day = Some((week - 1) * 7 + 1);
    }
    if let Some(day_of_year) = fields.day_of_year
        && (fields.month.is_none() || day.is_none())
    {
        if fields.year.is_none() && fields.century.is_none() {
            return Err(invalid("cannot calculate day of year without year information"));
        }
        if fields.iso {
            return Ok(iso_start + day_of_year - 1);
        }
        let last = 365 + i64::from(days_in_month(year, 2) == 29);
        if !(1..=last).contains(&day_of_year) {
            return Err(field_range(text));
        }
        return Ok(january + day_of_year - 1);
    }
    let (month, day) = (fields.month.unwrap_or(1), day.unwrap_or(1));
    let in_calendar = (1..=12).contains(&month)
        && day >= 1
        && day <= i64::from(days_in_month(year, month as u32));
    if !in_calendar {
        return Err(field_range(text));
    }
    Ok(DateParts { year, month: month as u32, day: day as u32 }.to_days())
}
