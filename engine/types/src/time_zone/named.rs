//! Zones of the IANA database, from tables that are compiled in.
//!
//! The tables end before 2100. Later years are looked up as an earlier year with the same calendar, so that a rule such as "last Sunday in March" goes on for
//! ever, as PostgreSQL's zones do.

use alloc::format;

use chrono::{DateTime, NaiveDateTime, Offset, TimeZone as _};
use chrono_tz::{OffsetName, TZ_VARIANTS, Tz};

use super::FixedZone;
use crate::datetime::{DateParts, MICROS_PER_DAY, MICROS_PER_SECOND, days_in_month};

/// Seconds from 1970-01-01 to 2000-01-01.
const UNIX_SECONDS_AT_EPOCH: i64 = 946_684_800;
/// First year that is looked up as another.
const FIRST_YEAR_BEYOND: i32 = 2080;
/// First of 28 years that have every calendar.
const FIRST_YEAR_LIKE: i32 = 2044;
/// Before this year every zone has its first offset.
const FIRST_YEAR: i32 = 1800;

/// A zone of the IANA database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NamedZone(Tz);

impl NamedZone {
    /// Finds a zone by its name, in whatever case.
    pub(super) fn parse(name: &str) -> Option<NamedZone> {
        let exact = name.parse::<Tz>().ok();
        let folded = || TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(name));
        exact.or_else(|| folded().copied()).map(NamedZone)
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        self.0.name()
    }

    pub(super) fn at(self, micros: i64) -> FixedZone {
        let offset = self.0.offset_from_utc_datetime(&moment(micros));
        zone_of(offset.fix().local_minus_utc(), offset.abbreviation())
    }

    pub(super) fn at_local(self, micros: i64) -> FixedZone {
        let local = moment(micros);
        match self.0.offset_from_local_datetime(&local).latest() {
            Some(offset) => zone_of(offset.fix().local_minus_utc(), offset.abbreviation()),
            // The wall clock skips this time: what held a day before it.
            None => self.at(micros.saturating_sub(MICROS_PER_DAY)),
        }
    }
}

fn zone_of(seconds: i32, abbreviation: Option<&str>) -> FixedZone {
    let numeric = FixedZone { offset_seconds: seconds, ..FixedZone::UTC };
    match abbreviation {
        Some(name) => FixedZone::named(seconds, name).unwrap_or(numeric),
        None => {
            let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.abs() / 60);
            let name = match minutes % 60 {
                0 => format!("{sign}{:02}", minutes / 60),
                rest => format!("{sign}{:02}{rest:02}", minutes / 60),
            };
            FixedZone::named(seconds, &name).unwrap_or(numeric)
        }
    }
}

/// A time as the tables take it; years that they do not reach become years with the same calendar.
fn moment(micros: i64) -> NaiveDateTime {
    let seconds = micros.rem_euclid(MICROS_PER_DAY) / MICROS_PER_SECOND;
    let mut date = DateParts::of_days(micros.div_euclid(MICROS_PER_DAY));
    if date.year < FIRST_YEAR {
        date = DateParts { year: FIRST_YEAR, month: 1, day: 1 };
    } else if date.year >= FIRST_YEAR_BEYOND {
        date.year = year_like(date.year);
    }
    let unix = date.to_days() * 86_400 + seconds + UNIX_SECONDS_AT_EPOCH;
    DateTime::from_timestamp(unix, 0).map_or(NaiveDateTime::MIN, |moment| moment.naive_utc())
}

/// A year within the tables whose days fall on the same days of the week.
fn year_like(year: i32) -> i32 {
    let week_day = |year| DateParts { year, month: 1, day: 1 }.to_days().rem_euclid(7);
    (FIRST_YEAR_LIKE..FIRST_YEAR_LIKE + 28)
        .find(|like| {
            days_in_month(*like, 2) == days_in_month(year, 2) && week_day(*like) == week_day(year)
        })
        .unwrap_or(FIRST_YEAR_LIKE)
}

#[cfg(test)]
mod tests {
    use crate::time_zone::{TextSettings, TimeZone};
    use crate::{SqlType, text_format};
    use alloc::string::String;

    fn shown(text: &str, zone: &str) -> String {
        let time_zone = TimeZone::parse(zone).expect("known");
        let settings = TextSettings { time_zone, ..TextSettings::DEFAULT };
        let value =
            text_format::parse_text(text, SqlType::Timestamptz, &settings).expect("an instant");
        let mut out = alloc::vec::Vec::new();
        text_format::append_text(&value, SqlType::Timestamptz, &settings, &mut out);
        String::from_utf8(out).expect("text")
    }

    /// Every answer is PostgreSQL 15's.
    #[test]
    fn named_zones_answer_as_postgresql() {
        for (zone, text, expected) in [
            ("Europe/Berlin", "2024-07-01 12:00", "2024-07-01 12:00:00+02"),
            ("europe/berlin", "2024-01-01 12:00", "2024-01-01 12:00:00+01"),
            ("Europe/Berlin", "2024-03-31 02:30", "2024-03-31 03:30:00+02"),
            ("Europe/Berlin", "2024-10-27 02:30", "2024-10-27 02:30:00+01"),
            ("Europe/Berlin", "2024-10-27 00:30+00", "2024-10-27 02:30:00+02"),
            ("Europe/Berlin", "2024-07-01 12:00 America/New_York", "2024-07-01 18:00:00+02"),
            ("America/New_York", "2024-03-10 02:30", "2024-03-10 03:30:00-04"),
            ("Asia/Kolkata", "2024-07-01 12:00", "2024-07-01 12:00:00+05:30"),
            ("UTC", "2024-07-01 12:00 Europe/Berlin", "2024-07-01 10:00:00+00"),
            ("Europe/Berlin", "2150-07-01 12:00", "2150-07-01 12:00:00+02"),
            ("Europe/Berlin", "2999-12-01 12:00", "2999-12-01 12:00:00+01"),
            ("Europe/Berlin", "1800-01-01 12:00", "1800-01-01 12:00:00+00:53:28"),
            ("Europe/Berlin", "infinity", "infinity"),
            ("Etc/GMT+5", "2024-07-01 12:00", "2024-07-01 12:00:00-05"),
        ] {
            assert_eq!(shown(text, zone), expected, "{text} in {zone}");
        }
        let error = TimeZone::parse("Nowhere/Else").expect_err("unknown");
        assert_eq!(error.sqlstate.as_str(), "22023");
    }
}
