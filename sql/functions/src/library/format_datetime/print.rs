//! `to_char`: a time or an interval along a template.

use super::template::{Case, Field, Ordinal, Piece, pieces};
use crate::EvalError;
use alloc::format;
use alloc::string::String;
use types::datetime::{
    DateParts, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND,
};
use types::{Interval, SqlState, TimeZone};

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(super) const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
pub(super) const ROMAN: [&str; 12] =
    ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];
/// Longest name of a month or a day; shorter ones are filled with blanks.
const NAME_WIDTH: usize = 9;

/// The fields that are printed.
pub(super) struct Printed {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    micros: i64,
    day_of_year: i64,
    /// Days since 2000-01-01; nothing for an interval.
    days: Option<i64>,
    zone: Option<TimeZone>,
}

impl Printed {
    pub(super) fn of_wall_clock(wall: i64, zone: Option<TimeZone>) -> Printed {
        let days = wall.div_euclid(MICROS_PER_DAY);
        let time = wall.rem_euclid(MICROS_PER_DAY);
        let date = DateParts::of_days(days);
        Printed {
            year: i64::from(date.year),
            month: i64::from(date.month),
            day: i64::from(date.day),
            hour: time / MICROS_PER_HOUR,
            minute: time / MICROS_PER_MINUTE % 60,
            second: time / MICROS_PER_SECOND % 60,
            micros: time % MICROS_PER_SECOND,
            day_of_year: i64::from(date.day_of_year()),
            days: Some(days),
            zone,
        }
    }

    pub(super) fn of_interval(span: Interval) -> Printed {
        let (year, month, day) =
            (i64::from(span.months / 12), i64::from(span.months % 12), i64::from(span.days));
        Printed {
            year,
            month,
            day,
            hour: span.micros / MICROS_PER_HOUR,
            minute: span.micros / MICROS_PER_MINUTE % 60,
            second: span.micros / MICROS_PER_SECOND % 60,
            micros: span.micros % MICROS_PER_SECOND,
            day_of_year: (year * 12 + month) * 30 + day,
            days: None,
            zone: None,
        }
    }

    fn is_interval(&self) -> bool {
        self.days.is_none()
    }

    /// Refuses patterns that need a calendar date.
    fn date(&self) -> Result<i64, EvalError> {
        self.days.ok_or_else(|| {
            EvalError::new(
                SqlState::INVALID_DATETIME_FORMAT,
                "invalid format specification for an interval value",
            )
            .with_hint("Intervals are not tied to specific calendar dates.")
        })
    }

    /// Years as people count them.
    fn shown_year(&self, year: i64) -> i64 {
        if !self.is_interval() && year <= 0 { 1 - year } else { year }
    }
}

/// `st`, `nd`, `rd`, `th` after the last digit of what was printed.
fn push_ordinal(out: &mut String, from: usize, ordinal: Ordinal) {
    if ordinal == Ordinal::None {
        return;
    }
    let digits = &out.as_bytes()[from..];
    let last = digits.last().copied().unwrap_or(b'0');
    let teen = digits.len() > 1 && digits[digits.len() - 2] == b'1';
    let suffix = match last {
        b'1' if !teen => "st",
        b'2' if !teen => "nd",
        b'3' if !teen => "rd",
        _ => "th",
    };
    if ordinal == Ordinal::Upper {
        out.push_str(&suffix.to_ascii_uppercase());
    } else {
        out.push_str(suffix);
    }
}

fn push_name(out: &mut String, name: &str, case: Case, width: usize) {
    let shown = match case {
        Case::Upper => name.to_uppercase(),
        Case::Capital => name.into(),
        Case::Lower => name.to_lowercase(),
    };
    out.push_str(&shown);
    out.extend(core::iter::repeat_n(' ', width.saturating_sub(shown.len())));
}

/// With at least so many digits, and one more place for a sign.
fn push_number(out: &mut String, number: i64, digits: usize, fill: bool) {
    let width = match (fill, number < 0) {
        (false, _) => 0,
        (true, false) => digits,
        (true, true) => digits + 1,
    };
    out.push_str(&format!("{number:0width$}"));
}

pub(super) fn print(time: &Printed, template: &str) -> Result<String, EvalError> {
    let mut out = String::new();
    for piece in pieces(template) {
        match piece {
            Piece::Separator(character) | Piece::Literal(character) => out.push(character),
            Piece::Pattern { field, case, fill, ordinal } => {
                let from = out.len();
                if push_field(&mut out, time, field, case, fill)? {
                    push_ordinal(&mut out, from, ordinal);
                }
            }
        }
    }
    Ok(out)
}

/// Appends a field; true if it is a number that takes an ordinal suffix.
fn push_field(
    out: &mut String,
    time: &Printed,
    field: Field,
    case: Case,
    fill: bool,
) -> Result<bool, EvalError> {
    let name_width = if fill { NAME_WIDTH } else { 0 };
    match field {
        Field::Era { dots } => {
            time.date()?;
            let name = match (time.year <= 0, dots) {
                (true, true) => "B.C.",
                (true, false) => "BC",
                (false, true) => "A.D.",
                (false, false) => "AD",
            };
            push_name(out, name, case, 0);
        }
        Field::Meridian { dots } => {
            let name = match (time.hour.rem_euclid(24) >= 12, dots) {
                (true, true) => "P.M.",
                (true, false) => "PM",
                (false, true) => "A.M.",
                (false, false) => "AM",
            };
            push_name(out, name, case, 0);
        }
        Field::MonthName | Field::MonthShort | Field::Roman => {
            return push_month(out, time, field, case, fill);
        }
        Field::Day => {
            push_name(out, DAYS[(time.date()? + 6).rem_euclid(7) as usize], case, name_width);
        }
        Field::DayShort => {
            push_name(out, &DAYS[(time.date()? + 6).rem_euclid(7) as usize][..3], case, 0);
        }
        Field::Zone | Field::ZoneHour | Field::ZoneMinute | Field::Offset => {
            return push_zone(out, time, field, case);
        }
        Field::Exact => {}
        _ => {
            push_numeric_field(out, time, field, fill)?;
            return Ok(true);
        }
    }
    Ok(false)
}

fn push_month(
    out: &mut String,
    time: &Printed,
    field: Field,
    case: Case,
    fill: bool,
) -> Result<bool, EvalError> {
    if field == Field::Roman {
        // An interval without months counts as the year's end, or its beginning if negative; negative months count back from the end.
        let position = match (time.month, time.year) {
            (0, 0) => return Ok(false),
            (0, 1..) => 12,
            (0, _) => 1,
            (month @ 1.., _) => month,
            (month, _) => 13 + month,
        };
        let name = ROMAN[(position.clamp(1, 12) - 1) as usize];
        push_name(out, name, case, if fill { 4 } else { 0 });
        return Ok(false);
    }
    time.date()?;
    let name = MONTHS[(time.month - 1).clamp(0, 11) as usize];
    if field == Field::MonthName {
        push_name(out, name, case, if fill { NAME_WIDTH } else { 0 });
    } else {
        push_name(out, &name[..3], case, 0);
    }
    Ok(false)
}

fn push_zone(
    out: &mut String,
    time: &Printed,
    field: Field,
    case: Case,
) -> Result<bool, EvalError> {
    time.date()?;
    // The zone is what it is at the instant that is printed.
    let offset = time.zone.map_or(0, |zone| zone.at(0).offset_seconds());
    let sign = if offset < 0 { '-' } else { '+' };
    let (hours, minutes) = (offset.unsigned_abs() / 3600, offset.unsigned_abs() / 60 % 60);
    match field {
        Field::Zone => {
            if let Some(zone) = &time.zone {
                push_name(out, zone.at(0).abbreviation(), case, 0);
            }
        }
        Field::ZoneHour => out.push_str(&format!("{sign}{hours:02}")),
        Field::ZoneMinute => out.push_str(&format!("{minutes:02}")),
        _ => {
            out.push_str(&format!("{sign}{hours:02}"));
            if minutes != 0 {
                out.push_str(&format!(":{minutes:02}"));
            }
        }
    }
    Ok(false)
}

fn push_numeric_field(
    out: &mut String,
    time: &Printed,
    field: Field,
    fill: bool,
) -> Result<(), EvalError> {
    let date = || -> DateParts { DateParts::of_days(time.days.unwrap_or(0)) };
    let iso_year = || {
        if time.is_interval() { time.year } else { i64::from(date().iso_week().0) }
    };
    let number =
        |out: &mut String, value: i64, digits: usize| push_number(out, value, digits, fill);
    match field {
        Field::Hour12 => {
            let hour = time.hour % 12;
            // An interval's sign decides the width even where the hour shown has none.
            let shown = if hour == 0 { 12 } else { hour };
            let width = if !fill {
                0
            } else if time.hour >= 0 {
                2
            } else {
                3
            };
            out.push_str(&format!("{shown:0width$}"));
        }
        Field::Hour24 => number(out, time.hour, 2),
        Field::Minute => number(out, time.minute, 2),
        Field::Second => number(out, time.second, 2),
        Field::SecondsOfDay => {
            out.push_str(&format!("{}", time.hour * 3600 + time.minute * 60 + time.second));
        }
        Field::Milliseconds => out.push_str(&format!("{:03}", time.micros / 1000)),
        Field::Microseconds => out.push_str(&format!("{:06}", time.micros)),
        Field::Fraction(digits) => {
            let scaled = time.micros / 10i64.pow(6 - digits as u32);
            out.push_str(&format!("{scaled:0digits$}"));
        }
        Field::Month => number(out, time.month, 2),
        Field::DayOfMonth => {
            let width = if fill { 2 } else { 0 };
            out.push_str(&format!("{:0width$}", time.day));
        }
        Field::DayOfYear => number(out, time.day_of_year, 3),
        Field::IsoDayOfYear => {
            let days = time.days.unwrap_or(0);
            let (_, week) = date().iso_week();
            let weekday = (days + 5).rem_euclid(7) + 1;
            number(out, (i64::from(week) - 1) * 7 + weekday, 3);
        }
        Field::DayOfWeek => out.push_str(&format!("{}", (time.date()? + 6).rem_euclid(7) + 1)),
        Field::IsoDayOfWeek => out.push_str(&format!("{}", (time.date()? + 5).rem_euclid(7) + 1)),
        Field::Week => number(out, (time.day_of_year - 1) / 7 + 1, 2),
        Field::IsoWeek => number(out, i64::from(date().iso_week().1), 2),
        Field::WeekOfMonth => out.push_str(&format!("{}", (time.day - 1) / 7 + 1)),
        Field::Quarter if time.month == 0 => {}
        Field::Quarter => out.push_str(&format!("{}", (time.month - 1) / 3 + 1)),
        Field::Century => {
            let century = if time.is_interval() {
                time.year / 100
            } else if time.year > 0 {
                (time.year - 1) / 100 + 1
            } else {
                time.year / 100 - 1
            };
            if (-99..=99).contains(&century) {
                number(out, century, 2);
            } else {
                out.push_str(&format!("{century}"));
            }
        }
        Field::Julian => {
            let days = match time.days {
                Some(days) => days,
                None => {
                    let month = u32::try_from(time.month.clamp(1, 12)).unwrap_or(1);
                    DateParts { year: time.year as i32, month, day: 1 }.to_days() + time.day - 1
                }
            };
            out.push_str(&format!("{}", days + 2_451_545));
        }
        Field::YearWithComma => {
            let year = time.shown_year(time.year);
            out.push_str(&format!("{},{:03}", year / 1000, year % 1000));
        }
        Field::Year(digits) => push_year(out, time.shown_year(time.year), digits, fill),
        Field::IsoYear(digits) => push_year(out, time.shown_year(iso_year()), digits, fill),
        _ => {}
    }
    Ok(())
}

fn push_year(out: &mut String, year: i64, digits: usize, fill: bool) {
    let shown = if digits == 4 { year } else { year % 10i64.pow(digits as u32) };
    if digits == 1 {
        out.push_str(&format!("{shown:01}"));
    } else {
        push_number(out, shown, digits, fill);
    }
}
