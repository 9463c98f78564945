//! `to_char` of times and intervals, `to_timestamp` and `to_date`. Source: PostgreSQL 15 documentation, 9.8, and the answers of a running server.
//!
//! A template is read once into [`Piece`]s ([`template`]); [`print`] writes them, [`read`] reads along them.

mod print;
mod read;
mod template;

use super::convert::{Date, Timestamp, Timestamptz};
use alloc::string::String;
use print::Printed;
use types::datetime::{from_local, timestamp_is_finite, to_local};
use types::{Interval, TimeZone};

functions! {
    fn timestamp_to_char(a: Timestamp, format: &str) -> Option<String> {
        if !timestamp_is_finite(a.0) || format.is_empty() {
            return Ok(None);
        }
        print::print(&Printed::of_wall_clock(a.0, None), format).map(Some)
    }
    fn timestamptz_to_char[context](a: Timestamptz, format: &str) -> Option<String> {
        if !timestamp_is_finite(a.0) || format.is_empty() {
            return Ok(None);
        }
        let zone = TimeZone::Fixed(context.settings.time_zone.at(a.0));
        print::print(&Printed::of_wall_clock(to_local(a.0, &zone), Some(zone)), format).map(Some)
    }
    fn interval_to_char(a: Interval, format: &str) -> Option<String> {
        if format.is_empty() {
            return Ok(None);
        }
        print::print(&Printed::of_interval(a), format).map(Some)
    }
    fn to_timestamp[context](text: &str, format: &str) -> Timestamptz {
        let found = read::read(text, format)?;
        let zone = match found.zone_seconds {
            Some(seconds) => TimeZone::fixed(seconds).unwrap_or(TimeZone::UTC),
            None => context.settings.time_zone,
        };
        from_local(found.micros()?, &zone).map(Timestamptz)
    }
    fn to_date(text: &str, format: &str) -> Date { read::read(text, format)?.date(text).map(Date) }
}
