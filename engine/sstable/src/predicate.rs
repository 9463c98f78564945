//! What a zone map can decide about a condition: no row, some rows, every row.
//!
//! A predicate here is a hint for skipping; the engine above still filters rows. Conditions on NULL are never true, as in a WHERE.

use crate::zone_map::{Zone, bound_of};
use alloc::boxed::Box;
use alloc::vec::Vec;
use types::key::{KeyOrder, append_key_column_ref, prefix_end};
use types::{SqlType, ValueRef};

/// Comparison with a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// A condition on stored columns. Literals are held in the form in which zone maps compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Predicate {
    /// True for every row.
    Always,
    /// True for no row.
    Never,
    /// `column op literal`
    Compare {
        /// Stored position.
        column: u16,
        /// Which comparison.
        comparison: Comparison,
        /// Encoded literal.
        bound: Box<[u8]>,
    },
    /// The column's text begins with a prefix: from `start` on, below `end`.
    Prefix {
        /// Stored position.
        column: u16,
        /// Encoded prefix without its end mark.
        start: Box<[u8]>,
        /// The first encoded text above; nothing if there is none.
        end: Option<Box<[u8]>>,
    },
    /// `column IS NULL`
    IsNull {
        /// Stored position.
        column: u16,
    },
    /// `column IS NOT NULL`
    IsNotNull {
        /// Stored position.
        column: u16,
    },
    /// All of them.
    And(Vec<Predicate>),
    /// At least one of them.
    Or(Vec<Predicate>),
}

/// For how many rows of a zone a predicate is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// For none.
    NoRow,
    /// Nobody knows.
    SomeRows,
    /// For all.
    EveryRow,
}

impl Predicate {
    /// `column op literal`, where the literal has the column's type. NULL, or a damaged literal, makes it [`Predicate::Never`] or [`Predicate::Always`].
    pub fn compare(
        column: u16,
        comparison: Comparison,
        sql_type: SqlType,
        literal: ValueRef<'_>,
    ) -> Predicate {
        if literal.is_null() {
            return Predicate::Never;
        }
        match bound_of(sql_type, literal) {
            Some(bound) => Predicate::Compare { column, comparison, bound: bound.into() },
            None => Predicate::Always,
        }
    }

    /// `column IN (literals)`; NULLs in the list make no row true.
    pub fn in_list<'v>(
        column: u16,
        sql_type: SqlType,
        literals: impl IntoIterator<Item = ValueRef<'v>>,
    ) -> Predicate {
        let equal = |literal| Predicate::compare(column, Comparison::Equal, sql_type, literal);
        Predicate::Or(literals.into_iter().map(equal).collect())
    }

    /// `column LIKE 'prefix%'`. For text and `varchar` only: blanks at the end of a `char` do not count, which no range of bytes expresses.
    pub fn prefix(column: u16, prefix: &str) -> Predicate {
        let mut start = Vec::new();
        append_key_column_ref(ValueRef::Text(prefix), KeyOrder::PRIMARY, &mut start);
        start.truncate(start.len() - 2);
        let end = prefix_end(&start).map(Vec::into_boxed_slice);
        Predicate::Prefix { column, start: start.into(), end }
    }

    /// What the zones of the columns decide. `zone` gives nothing for a column that is not in the file.
    pub fn evaluate<'z>(&self, zone: &dyn Fn(u16) -> Option<Zone<'z>>) -> Outcome {
        match self {
            Predicate::Always => Outcome::EveryRow,
            Predicate::Never => Outcome::NoRow,
            Predicate::And(parts) => {
                parts.iter().map(|part| part.evaluate(zone)).min().unwrap_or(Outcome::EveryRow)
            }
            Predicate::Or(parts) => {
                parts.iter().map(|part| part.evaluate(zone)).max().unwrap_or(Outcome::NoRow)
            }
            Predicate::Compare { column, comparison, bound } => match zone(*column) {
                Some(zone) => zone.with_values(|zone| compare(*comparison, bound, zone)),
                None => Outcome::SomeRows,
            },
            Predicate::Prefix { column, start, end } => match zone(*column) {
                Some(zone) => zone.with_values(|zone| {
                    let below = !zone.highest.is_empty() && *zone.highest < **start;
                    let above = end.as_ref().is_some_and(|end| *zone.lowest >= **end);
                    if below || above { Outcome::NoRow } else { Outcome::SomeRows }
                }),
                None => Outcome::SomeRows,
            },
            Predicate::IsNull { column } => match zone(*column) {
                Some(zone) if zone.null_count == 0 => Outcome::NoRow,
                Some(zone) if zone.all_null() => Outcome::EveryRow,
                _ => Outcome::SomeRows,
            },
            Predicate::IsNotNull { column } => match zone(*column) {
                Some(zone) if zone.null_count == 0 => Outcome::EveryRow,
                Some(zone) if zone.all_null() => Outcome::NoRow,
                _ => Outcome::SomeRows,
            },
        }
    }

    /// The same with every condition on a column that `keep` refuses replaced by one that may be true: what may still be skipped by the columns kept.
    pub fn weakened(&self, keep: &dyn Fn(u16) -> bool) -> Predicate {
        match self {
            Predicate::And(parts) => {
                Predicate::And(parts.iter().map(|part| part.weakened(keep)).collect())
            }
            Predicate::Or(parts) => {
                Predicate::Or(parts.iter().map(|part| part.weakened(keep)).collect())
            }
            Predicate::Compare { column, .. }
            | Predicate::Prefix { column, .. }
            | Predicate::IsNull { column }
            | Predicate::IsNotNull { column }
                if !keep(*column) =>
            {
                Predicate::Always
            }
            other => other.clone(),
        }
    }
}

impl<'a> Zone<'a> {
    /// Nothing is true of NULLs, so a condition cannot hold for every row where there are some.
    fn with_values(self, decide: impl Fn(Zone<'a>) -> Outcome) -> Outcome {
        if self.all_null() {
            return Outcome::NoRow;
        }
        if self.lowest.is_empty() {
            return Outcome::SomeRows;
        }
        match decide(self) {
            Outcome::EveryRow if self.null_count > 0 => Outcome::SomeRows,
            outcome => outcome,
        }
    }
}

fn compare(comparison: Comparison, bound: &[u8], zone: Zone<'_>) -> Outcome {
    let lowest = zone.lowest;
    // An unknown upper bound is above everything.
    let highest_below = !zone.highest.is_empty() && zone.highest < bound;
    let highest_up_to = !zone.highest.is_empty() && zone.highest <= bound;
    let decide = |no_row: bool, every_row: bool| match (no_row, every_row) {
        (true, _) => Outcome::NoRow,
        (false, true) => Outcome::EveryRow,
        (false, false) => Outcome::SomeRows,
    };
    let apart = bound < lowest || highest_below;
    let same = bound <= lowest && highest_up_to;
    match comparison {
        Comparison::Equal => decide(apart, same),
        Comparison::NotEqual => decide(same, apart),
        Comparison::Less => decide(lowest >= bound, highest_below),
        Comparison::LessOrEqual => decide(lowest > bound, highest_up_to),
        Comparison::Greater => decide(highest_up_to, lowest > bound),
        Comparison::GreaterOrEqual => decide(highest_below, lowest >= bound),
    }
}
