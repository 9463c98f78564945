//! Time zones as the value formats see them: an offset from UTC and a short name at every instant.
//!
//! Fixed offsets and POSIX zones without daylight saving are complete here. Zones of the IANA database come as tables that are compiled in ([`NamedZone`]); a
//! POSIX zone with daylight saving rules of its own is refused, never approximated.

mod named;

use crate::codec::{DecodeError, Decoder, Encoder};
use crate::{SqlState, ValueError};
pub use named::NamedZone;

/// A zone. Its offset from UTC is that of an instant ([`TimeZone::at`]) or of a wall clock ([`TimeZone::at_local`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeZone {
    /// One offset for all time.
    Fixed(FixedZone),
    /// A zone of the IANA database.
    Named(NamedZone),
}

/// A zone with one offset for all time; also what any zone is at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FixedZone {
    /// Seconds east of UTC.
    offset_seconds: i32,
    /// Name in bytes, for `TZ` in `to_char`; `UTC` if none was given.
    abbreviation: [u8; 8],
    abbreviation_bytes: u8,
}

/// Largest distance from UTC that PostgreSQL accepts, in seconds (exclusive).
pub const OFFSET_SECONDS_MAX: i32 = 16 * 3600;

impl FixedZone {
    /// Coordinated universal time.
    pub const UTC: FixedZone =
        FixedZone { offset_seconds: 0, abbreviation: *b"UTC\0\0\0\0\0", abbreviation_bytes: 3 };

    /// `seconds` east of UTC, under a name of one to eight bytes.
    fn named(offset_seconds: i32, name: &str) -> Option<FixedZone> {
        let mut abbreviation = [0; 8];
        if name.is_empty() || name.len() > abbreviation.len() {
            return None;
        }
        for (to, from) in abbreviation.iter_mut().zip(name.bytes()) {
            *to = from.to_ascii_uppercase();
        }
        Some(FixedZone { offset_seconds, abbreviation, abbreviation_bytes: name.len() as u8 })
    }

    fn of_seconds(seconds: i32) -> Option<FixedZone> {
        if seconds.abs() >= OFFSET_SECONDS_MAX {
            return None;
        }
        let mut zone = FixedZone { offset_seconds: seconds, ..FixedZone::UTC };
        if seconds != 0 {
            let magnitude = seconds.unsigned_abs();
            let (hours, minutes) = (magnitude / 3600, magnitude % 3600 / 60);
            let digit = |n: u32| b'0' + (n % 10) as u8;
            zone.abbreviation[0] = if seconds < 0 { b'-' } else { b'+' };
            zone.abbreviation[1] = digit(hours / 10);
            zone.abbreviation[2] = digit(hours);
            zone.abbreviation_bytes = 3;
            if minutes != 0 {
                zone.abbreviation[3] = b':';
                zone.abbreviation[4] = digit(minutes / 10);
                zone.abbreviation[5] = digit(minutes);
                zone.abbreviation_bytes = 6;
            }
        }
        Some(zone)
    }

    /// Seconds east of UTC.
    pub const fn offset_seconds(&self) -> i32 {
        self.offset_seconds
    }

    /// What `to_char(…, 'TZ')` prints.
    pub fn abbreviation(&self) -> &str {
        core::str::from_utf8(&self.abbreviation[..usize::from(self.abbreviation_bytes)])
            .unwrap_or("UTC")
    }
}

impl TimeZone {
    /// Coordinated universal time.
    pub const UTC: TimeZone = TimeZone::Fixed(FixedZone::UTC);

    /// A zone `seconds` east of UTC; nothing if it is farther than PostgreSQL allows.
    pub fn fixed(seconds: i32) -> Option<TimeZone> {
        FixedZone::of_seconds(seconds).map(TimeZone::Fixed)
    }

    /// What it is at an instant: microseconds since 2000-01-01 00:00 UTC.
    pub fn at(&self, micros: i64) -> FixedZone {
        match self {
            TimeZone::Fixed(zone) => *zone,
            TimeZone::Named(zone) => zone.at(micros),
        }
    }

    /// What it is when its wall clock shows a time. One that is skipped counts as before the change, one that comes twice as after it.
    pub fn at_local(&self, micros: i64) -> FixedZone {
        match self {
            TimeZone::Fixed(zone) => *zone,
            TimeZone::Named(zone) => zone.at_local(micros),
        }
    }

    /// Its name in the IANA database, if it has one.
    pub fn name(&self) -> Option<&'static str> {
        match self {
            TimeZone::Fixed(_) => None,
            TimeZone::Named(zone) => Some(zone.name()),
        }
    }

    /// Reads the value of `TimeZone` or the zone of `AT TIME ZONE`: `UTC`, `Z`, `+02`, `UTC+3` (POSIX: west is positive), `Europe/Berlin`.
    ///
    /// # Errors
    /// 22023 for anything else.
    pub fn parse(name: &str) -> Result<TimeZone, ValueError> {
        let unknown = || {
            let message = alloc::format!("time zone \"{name}\" not recognized");
            ValueError::new(SqlState::INVALID_PARAMETER_VALUE, message)
        };
        let letters = name.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (word, rest) = name.split_at(letters);
        if rest.is_empty() && ["utc", "z"].iter().any(|zone| word.eq_ignore_ascii_case(zone)) {
            return Ok(TimeZone::UTC);
        }
        if let Some(zone) = NamedZone::parse(name) {
            return Ok(TimeZone::Named(zone));
        }
        if rest.is_empty() {
            return Err(unknown());
        }
        let west = parse_offset(rest).ok_or_else(unknown)?;
        let zone = FixedZone::of_seconds(-west).ok_or_else(unknown)?;
        Ok(TimeZone::Fixed(FixedZone::named(-west, word).unwrap_or(zone)))
    }
}

/// `[+-]h[h][:mm[:ss]]` or `[+-]hhmm` in seconds; a missing sign is plus.
pub fn parse_offset(text: &str) -> Option<i32> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let mut parts = digits.split(':');
    let hours_text = parts.next()?;
    let number = |part: &str| -> Option<i32> {
        if part.is_empty() || part.len() > 4 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        part.parse().ok()
    };
    let first = number(hours_text)?;
    let (mut hours, mut minutes) = (first, 0);
    let second = parts.next();
    if hours_text.len() > 2 {
        if second.is_some() {
            return None;
        }
        (hours, minutes) = (first / 100, first % 100);
    }
    if let Some(text) = second {
        minutes = number(text)?;
    }
    let seconds = parts.next().map_or(Some(0), number)?;
    if parts.next().is_some() || hours > 15 || minutes > 59 || seconds > 59 {
        return None;
    }
    let total = hours * 3600 + minutes * 60 + seconds;
    Some(if negative { -total } else { total })
}

/// Offsets of PostgreSQL's default abbreviations, in seconds east, that name one offset for all time; lower case.
pub fn abbreviation_offset(word: &str) -> Option<i32> {
    const HOUR: i32 = 3600;
    Some(match word {
        "utc" | "gmt" | "z" | "zulu" | "ut" | "uct" | "wet" => 0,
        "bst" | "cet" | "met" | "west" => HOUR,
        "cest" | "eet" | "mest" | "sast" => 2 * HOUR,
        "eest" | "msk" => 3 * HOUR,
        "ist" => 2 * HOUR,
        "jst" | "kst" => 9 * HOUR,
        "est" => -5 * HOUR,
        "edt" => -4 * HOUR,
        "cst" => -6 * HOUR,
        "cdt" => -5 * HOUR,
        "mst" => -7 * HOUR,
        "mdt" => -6 * HOUR,
        "pst" => -8 * HOUR,
        "pdt" => -7 * HOUR,
        "hst" => -10 * HOUR,
        "akst" => -9 * HOUR,
        "akdt" => -8 * HOUR,
        _ => return None,
    })
}

/// The settings of a session that decide how values read and print. All others that PostgreSQL has are fixed: `DateStyle` prints ISO, `IntervalStyle` is
/// `postgres`, `extra_float_digits` is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextSettings {
    /// `TimeZone`
    pub time_zone: TimeZone,
    /// How `01/02/2003` is read.
    pub date_order: DateOrder,
    /// `bytea_output`
    pub bytea_output: ByteaOutput,
    /// What `now`, `today`, … mean in literals: microseconds since 2000-01-01 UTC at which the transaction began.
    pub transaction_micros: i64,
}

impl TextSettings {
    /// PostgreSQL's defaults, in UTC, at its epoch.
    pub const DEFAULT: TextSettings = TextSettings {
        time_zone: TimeZone::UTC,
        date_order: DateOrder::MonthDayYear,
        bytea_output: ByteaOutput::Hex,
        transaction_micros: 0,
    };
}

impl TextSettings {
    /// Appends the settings but for the transaction's time: `zone (0 for UTC, 1 and offset and name, 2 and name) | date order and bytea_output (1)`.
    pub fn encode(&self, encoder: &mut Encoder) {
        match self.time_zone {
            TimeZone::UTC => encoder.u8(0),
            TimeZone::Fixed(zone) => {
                encoder.u8(1);
                encoder.i32(zone.offset_seconds);
                encoder.var_bytes(&zone.abbreviation[..usize::from(zone.abbreviation_bytes)]);
            }
            TimeZone::Named(zone) => {
                encoder.u8(2);
                encoder.var_bytes(zone.name().as_bytes());
            }
        }
        let date_order = match self.date_order {
            DateOrder::MonthDayYear => 0,
            DateOrder::DayMonthYear => 1,
            DateOrder::YearMonthDay => 2,
        };
        encoder.u8(date_order << 1 | u8::from(self.bytea_output == ByteaOutput::Escape));
    }

    /// Reads what [`TextSettings::encode`] appended; the transaction's time is that of [`TextSettings::DEFAULT`].
    ///
    /// # Errors
    /// Bytes that it does not make, or a zone that is not in the tables here.
    pub fn decode(decoder: &mut Decoder<'_>) -> Result<TextSettings, DecodeError> {
        let error = decoder.invalid("time zone");
        let time_zone = match decoder.u8()? {
            0 => TimeZone::UTC,
            1 => {
                let offset_seconds = decoder.i32()?;
                let name = decoder.var_str("time zone")?;
                let zone = FixedZone::named(offset_seconds, name).ok_or(error)?;
                let as_written = zone.abbreviation() == name && zone != FixedZone::UTC;
                if !as_written || offset_seconds.unsigned_abs() >= OFFSET_SECONDS_MAX as u32 {
                    return Err(error);
                }
                TimeZone::Fixed(zone)
            }
            2 => {
                let name = decoder.var_str("time zone")?;
                let zone = NamedZone::parse(name).filter(|zone| zone.name() == name);
                TimeZone::Named(zone.ok_or(error)?)
            }
            _ => return Err(error),
        };
        let error = decoder.invalid("settings");
        let bits = decoder.u8()?;
        let date_order = match bits >> 1 {
            0 => DateOrder::MonthDayYear,
            1 => DateOrder::DayMonthYear,
            2 => DateOrder::YearMonthDay,
            _ => return Err(error),
        };
        let bytea_output = if bits & 1 == 1 { ByteaOutput::Escape } else { ByteaOutput::Hex };
        Ok(TextSettings { time_zone, date_order, bytea_output, ..TextSettings::DEFAULT })
    }
}

/// `DateStyle`'s second half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateOrder {
    /// `MDY`
    MonthDayYear,
    /// `DMY`
    DayMonthYear,
    /// `YMD`
    YearMonthDay,
}

/// `bytea_output`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteaOutput {
    /// `\x…`
    Hex,
    /// Octal escapes.
    Escape,
}
