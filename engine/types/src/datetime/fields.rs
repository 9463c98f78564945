//! Days and microseconds taken apart into calendar and clock fields, and put together.

use super::{MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND};

/// A date by its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateParts {
    /// Astronomical: 0 is 1 BC.
    pub year: i32,
    /// 1 to 12
    pub month: u32,
    /// 1 to 31
    pub day: u32,
}

const DAYS_PER_ERA: i64 = 146_097;
/// Days from 0000-03-01 to 2000-01-01.
const DAYS_TO_2000: i64 = 730_425;

impl DateParts {
    /// The fields of a day counted from 2000-01-01.
    ///
    /// # Panics
    /// If the year leaves 32 bits, which no day of 40 bits does.
    pub fn of_days(days: i64) -> DateParts {
        let shifted = days + DAYS_TO_2000;
        let era = shifted.div_euclid(DAYS_PER_ERA);
        let day_of_era = shifted.rem_euclid(DAYS_PER_ERA);
        // Leap days that precede the day within the era.
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u32;
        let month =
            if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 } as u32;
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        DateParts { year: i32::try_from(year).expect("years of 40-bit days fit"), month, day }
    }

    /// The day counted from 2000-01-01. The fields need not be normalised days of month: day 0 is the day before.
    pub fn to_days(self) -> i64 {
        let year = i64::from(self.year) - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let month_from_march = i64::from((self.month + 9) % 12);
        let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(self.day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * DAYS_PER_ERA + day_of_era - DAYS_TO_2000
    }

    /// 1 is the first of January.
    pub fn day_of_year(self) -> u32 {
        let first = DateParts { year: self.year, month: 1, day: 1 };
        (self.to_days() - first.to_days() + 1) as u32
    }

    /// Year and week of ISO 8601.
    pub fn iso_week(self) -> (i32, u32) {
        let days = self.to_days();
        // The Thursday of the week decides its year. 2000-01-01 was a Saturday.
        let monday = days - (days + 5).rem_euclid(7);
        let thursday = DateParts::of_days(monday + 3);
        (thursday.year, (thursday.day_of_year() - 1) / 7 + 1)
    }
}

/// Whether a year has a 29th of February.
pub const fn is_leap_year(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days of a month; 31 for a month that does not exist.
pub const fn days_in_month(year: i32, month: u32) -> u32 {
    match month {
        2 if is_leap_year(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A time of day by its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeParts {
    /// 0 to 23
    pub hour: u32,
    /// 0 to 59
    pub minute: u32,
    /// 0 to 59
    pub second: u32,
    /// 0 to 999,999
    pub micros: u32,
}

impl TimeParts {
    /// The fields of a time of day, in `0..86_400_000_000` microseconds.
    pub fn of_micros(micros: i64) -> TimeParts {
        TimeParts {
            hour: (micros / MICROS_PER_HOUR) as u32,
            minute: (micros / MICROS_PER_MINUTE % 60) as u32,
            second: (micros / MICROS_PER_SECOND % 60) as u32,
            micros: (micros % MICROS_PER_SECOND) as u32,
        }
    }

    /// Microseconds since midnight.
    pub fn to_micros(self) -> i64 {
        i64::from(self.hour) * MICROS_PER_HOUR
            + i64::from(self.minute) * MICROS_PER_MINUTE
            + i64::from(self.second) * MICROS_PER_SECOND
            + i64::from(self.micros)
    }
}

#[cfg(test)]
mod tests {
    use super::{DateParts, days_in_month};

    #[test]
    fn days_and_fields_are_inverses() {
        let mut days = -2_500_000i64;
        while days < 2_200_000_000 {
            let parts = DateParts::of_days(days);
            assert_eq!(parts.to_days(), days);
            assert!(parts.day >= 1 && parts.day <= days_in_month(parts.year, parts.month));
            days += if days < 4_000_000 { 1 } else { 999_983 };
        }
        let epoch = DateParts { year: 2000, month: 1, day: 1 };
        assert_eq!(epoch.to_days(), 0);
        assert_eq!(epoch.iso_week(), (1999, 52));
    }
}
