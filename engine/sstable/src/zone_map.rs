//! Zone maps: the lowest and highest value of a page or a row group, and how many NULLs.
//!
//! Bounds are kept in the order-preserving form of `types::key`, so one comparison of bytes serves every type, and are cut to a few bytes: a lower bound by
//! dropping its end, an upper bound by taking the smallest string above all that begin like it. A cut bound is never wrong, only wider.

use crate::column::{ColumnVector, Values};
use crate::key_schema::comparable;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::ops::Range;
use types::key::{KeyOrder, append_key_column_ref, prefix_end};
use types::mutants::{self, Mutant};
use types::value::float_cmp;
use types::{SqlType, ValueRef};

/// Planted bug: the last row of a page does not enter its zone map.
pub const MUTANT_ZONE_OFF_BY_ONE: Mutant = Mutant(301);

/// What is known of the values of one column in some rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone<'a> {
    /// No value is below this. Encoded as a key column that is never NULL.
    pub lowest: &'a [u8],
    /// No value is above this; empty: nothing is known.
    pub highest: &'a [u8],
    /// Rows without a value, tombstones included.
    pub null_count: u64,
    /// Rows.
    pub row_count: u64,
}

/// A zone before its bounds are cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) lowest: Vec<u8>,
    pub(crate) highest: Vec<u8>,
    pub(crate) null_count: u64,
}

/// The encoded form in which bounds and literals are compared; nothing if the value is NULL or damaged.
pub(crate) fn bound_of(sql_type: SqlType, value: ValueRef<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    if value.is_null() {
        return None;
    }
    append_key_column_ref(comparable(sql_type, value), KeyOrder::PRIMARY, &mut out).then_some(out)
}

/// The bounds of `column[rows]`.
pub(crate) fn bounds(column: &ColumnVector, rows: Range<usize>, sql_type: SqlType) -> Bounds {
    let rows = if mutants::live(MUTANT_ZONE_OFF_BY_ONE) {
        rows.start..rows.end.saturating_sub(1)
    } else {
        rows
    };
    let null_count = match &column.validity {
        Some(validity) => rows.clone().filter(|row| !validity.get(*row)).count() as u64,
        None => 0,
    };
    let valid = |row: &usize| null_count == 0 || !column.is_null(*row);
    let rows = rows.filter(valid);
    let extremes = match &column.values {
        Values::Int16(values) => extremes(rows, |a, b| values[a].cmp(&values[b])),
        Values::Int32(values) => extremes(rows, |a, b| values[a].cmp(&values[b])),
        Values::Int64(values) => extremes(rows, |a, b| values[a].cmp(&values[b])),
        Values::Float32(values) => {
            extremes(rows, |a, b| float_cmp(f64::from(values[a]), f64::from(values[b])))
        }
        Values::Float64(values) => extremes(rows, |a, b| float_cmp(values[a], values[b])),
        Values::Bool(values) => extremes(rows, |a, b| values.get(a).cmp(&values.get(b))),
        Values::Bytes(values) if !matches!(sql_type, SqlType::Numeric | SqlType::Bpchar) => {
            extremes(rows, |a, b| values.get(a).cmp(values.get(b)))
        }
        _ => return encoded_bounds(column, rows, sql_type, null_count),
    };
    let encode = |row: usize| column.value(sql_type, row).and_then(|v| bound_of(sql_type, v));
    match extremes.and_then(|(low, high)| Some((encode(low)?, encode(high)?))) {
        Some((lowest, highest)) => Bounds { lowest, highest, null_count },
        None => Bounds { null_count, ..Bounds::default() },
    }
}

fn extremes(
    mut rows: impl Iterator<Item = usize>,
    compare: impl Fn(usize, usize) -> Ordering,
) -> Option<(usize, usize)> {
    let first = rows.next()?;
    Some(rows.fold((first, first), |(low, high), row| {
        (
            if compare(row, low).is_lt() { row } else { low },
            if compare(row, high).is_gt() { row } else { high },
        )
    }))
}

/// Types whose bytes do not compare as they lie: each value is encoded.
fn encoded_bounds(
    column: &ColumnVector,
    rows: impl Iterator<Item = usize>,
    sql_type: SqlType,
    null_count: u64,
) -> Bounds {
    let mut bounds = Bounds { null_count, ..Bounds::default() };
    let mut encoded = Vec::new();
    for row in rows {
        encoded.clear();
        let Some(value) = column.value(sql_type, row) else { continue };
        if !append_key_column_ref(comparable(sql_type, value), KeyOrder::PRIMARY, &mut encoded) {
            continue;
        }
        if bounds.lowest.is_empty() || encoded < bounds.lowest {
            bounds.lowest.clone_from(&encoded);
        }
        if encoded > bounds.highest {
            bounds.highest.clone_from(&encoded);
        }
    }
    bounds
}

impl Bounds {
    /// Widens to hold another's values.
    pub(crate) fn merge(&mut self, other: &Bounds) {
        self.null_count += other.null_count;
        if other.lowest.is_empty() {
            return;
        }
        if self.lowest.is_empty() || other.lowest < self.lowest {
            self.lowest.clone_from(&other.lowest);
        }
        if other.highest > self.highest {
            self.highest.clone_from(&other.highest);
        }
    }

    /// The bounds cut to about `limit` bytes each.
    pub(crate) fn cut(&self, limit: usize) -> (Vec<u8>, Vec<u8>) {
        let lowest = self.lowest[..self.lowest.len().min(limit)].to_vec();
        let highest = if self.highest.len() > limit {
            prefix_end(&self.highest[..limit]).unwrap_or_default()
        } else {
            self.highest.clone()
        };
        (lowest, highest)
    }
}

impl Zone<'_> {
    /// Whether no row has a value.
    pub const fn all_null(&self) -> bool {
        self.null_count >= self.row_count
    }
}
