//! A template of `to_char` and `to_timestamp` as pieces.

use alloc::vec::Vec;

/// What a pattern stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Era { dots: bool },
    Meridian { dots: bool },
    Century,
    Day,
    DayShort,
    DayOfYear,
    IsoDayOfYear,
    DayOfMonth,
    DayOfWeek,
    IsoDayOfWeek,
    Fraction(usize),
    Exact,
    Hour24,
    Hour12,
    Week,
    IsoWeek,
    WeekOfMonth,
    IsoYear(usize),
    Year(usize),
    YearWithComma,
    Julian,
    Minute,
    Month,
    MonthName,
    MonthShort,
    Roman,
    Milliseconds,
    Microseconds,
    Offset,
    Quarter,
    SecondsOfDay,
    Second,
    Zone,
    ZoneHour,
    ZoneMinute,
}

/// How letters are written: `DAY`, `Day`, `day`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    Upper,
    Capital,
    Lower,
}

/// `TH`, `th`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ordinal {
    None,
    Upper,
    Lower,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Pattern {
        field: Field,
        case: Case,
        fill: bool,
        ordinal: Ordinal,
    },
    /// A blank or a mark that may stand for any other in input.
    Separator(char),
    /// Anything else, and what was quoted.
    Literal(char),
}

/// Patterns, longest first among those with a common beginning. Matched without regard to case, except that the case of letters is remembered.
const PATTERNS: &[(&str, Field)] = &[
    ("A.D.", Field::Era { dots: true }),
    ("B.C.", Field::Era { dots: true }),
    ("A.M.", Field::Meridian { dots: true }),
    ("P.M.", Field::Meridian { dots: true }),
    ("AD", Field::Era { dots: false }),
    ("BC", Field::Era { dots: false }),
    ("AM", Field::Meridian { dots: false }),
    ("PM", Field::Meridian { dots: false }),
    ("CC", Field::Century),
    ("DAY", Field::Day),
    ("DDD", Field::DayOfYear),
    ("DD", Field::DayOfMonth),
    ("DY", Field::DayShort),
    ("D", Field::DayOfWeek),
    ("FF1", Field::Fraction(1)),
    ("FF2", Field::Fraction(2)),
    ("FF3", Field::Fraction(3)),
    ("FF4", Field::Fraction(4)),
    ("FF5", Field::Fraction(5)),
    ("FF6", Field::Fraction(6)),
    ("FX", Field::Exact),
    ("HH24", Field::Hour24),
    ("HH12", Field::Hour12),
    ("HH", Field::Hour12),
    ("IDDD", Field::IsoDayOfYear),
    ("ID", Field::IsoDayOfWeek),
    ("IW", Field::IsoWeek),
    ("IYYY", Field::IsoYear(4)),
    ("IYY", Field::IsoYear(3)),
    ("IY", Field::IsoYear(2)),
    ("I", Field::IsoYear(1)),
    ("J", Field::Julian),
    ("MI", Field::Minute),
    ("MM", Field::Month),
    ("MONTH", Field::MonthName),
    ("MON", Field::MonthShort),
    ("MS", Field::Milliseconds),
    ("OF", Field::Offset),
    ("Q", Field::Quarter),
    ("RM", Field::Roman),
    ("SSSSS", Field::SecondsOfDay),
    ("SSSS", Field::SecondsOfDay),
    ("SS", Field::Second),
    ("TZH", Field::ZoneHour),
    ("TZM", Field::ZoneMinute),
    ("TZ", Field::Zone),
    ("US", Field::Microseconds),
    ("WW", Field::Week),
    ("W", Field::WeekOfMonth),
    ("Y,YYY", Field::YearWithComma),
    ("YYYY", Field::Year(4)),
    ("YYY", Field::Year(3)),
    ("YY", Field::Year(2)),
    ("Y", Field::Year(1)),
];

/// Letters of a pattern whose case matters must be all of one case, or capitalised for names.
fn case_of(text: &str, field: Field) -> Option<Case> {
    let named = matches!(
        field,
        Field::Era { .. }
            | Field::Meridian { .. }
            | Field::Day
            | Field::DayShort
            | Field::MonthName
            | Field::MonthShort
            | Field::Roman
            | Field::Zone
    );
    if text.bytes().all(|byte| !byte.is_ascii_lowercase()) {
        return Some(Case::Upper);
    }
    if text.bytes().all(|byte| !byte.is_ascii_uppercase()) {
        return Some(Case::Lower);
    }
    if !named {
        // `Hh24` is no pattern: numbers come all upper or all lower.
        return None;
    }
    let rest_lower = text.bytes().skip(1).all(|byte| !byte.is_ascii_uppercase());
    let days_and_months =
        matches!(field, Field::Day | Field::DayShort | Field::MonthName | Field::MonthShort);
    (rest_lower && days_and_months).then_some(Case::Capital)
}

fn pattern_at(text: &str) -> Option<(Field, Case, usize)> {
    PATTERNS.iter().find_map(|(name, field)| {
        let head = text.get(..name.len())?;
        if !head.eq_ignore_ascii_case(name) {
            return None;
        }
        case_of(head, *field).map(|case| (*field, case, name.len()))
    })
}

fn is_separator(character: char) -> bool {
    character.is_ascii_graphic() && !character.is_ascii_alphanumeric()
}

/// Cuts a template into pieces.
pub(super) fn pieces(format: &str) -> Vec<Piece> {
    let mut found = Vec::new();
    let mut rest = format;
    while !rest.is_empty() {
        let mut fill = true;
        let mut body = rest;
        // FM and TM stand before a pattern.
        loop {
            let prefix = body.get(..2).unwrap_or("");
            if prefix.eq_ignore_ascii_case("FM") && prefix != "fM" && prefix != "Fm" {
                fill = false;
            } else if prefix == "TM" || prefix == "tm" {
                // Translated names are not padded.
                fill = false;
            } else {
                break;
            }
            body = &body[2..];
        }
        if let Some((field, case, length)) = pattern_at(body) {
            body = &body[length..];
            let ordinal = match body.get(..2) {
                Some("TH") => Ordinal::Upper,
                Some("th") => Ordinal::Lower,
                _ => Ordinal::None,
            };
            if ordinal != Ordinal::None {
                body = &body[2..];
            }
            found.push(Piece::Pattern { field, case, fill, ordinal });
            rest = body;
            continue;
        }
        let mut letters = body.char_indices();
        let Some((_, first)) = letters.next() else { break };
        if first == '"' {
            let mut end = body.len();
            let mut escaped = false;
            for (at, letter) in letters {
                if escaped {
                    found.push(Piece::Literal(letter));
                    escaped = false;
                } else if letter == '\\' {
                    escaped = true;
                } else if letter == '"' {
                    end = at + 1;
                    break;
                } else {
                    found.push(Piece::Literal(letter));
                }
            }
            rest = &body[end..];
            continue;
        }
        if first == '\\' && body[1..].starts_with('"') {
            found.push(Piece::Literal('"'));
            rest = &body[2..];
            continue;
        }
        found.push(if first == ' ' || is_separator(first) {
            Piece::Separator(first)
        } else {
            Piece::Literal(first)
        });
        rest = &body[first.len_utf8()..];
    }
    found
}
