//! Columns of few distinct strings: a function of one is computed once for each of them.
//!
//! Strings that a table file kept in a dictionary point to the same bytes, so their views are equal; short strings lie in their views. Counting distinct views
//! therefore costs a few instructions a row, and nothing is compared. A column with many is given up early.

use arrow::array::{Array, ArrayRef, BinaryViewArray, StringViewArray, UInt32Array};
use arrow::buffer::NullBuffer;
use arrow::compute::take;

/// Below this a function is simply called for every row.
const ROWS_MIN: usize = 64;
/// Slots of the table of views; it is given up when half of them are taken.
const SLOTS: usize = 1024;
/// An odd number with well-mixed bits.
const MIX: u64 = 0x9E37_79B9_7F4A_7C15;

/// The distinct values of a column and, for each row, which of them it is.
pub(super) struct Distinct {
    pub(super) values: ArrayRef,
    pub(super) codes: UInt32Array,
}

impl Distinct {
    /// Nothing if there are too many, or the column does not hold views.
    pub(super) fn of(array: &ArrayRef) -> Option<Distinct> {
        if array.len() < ROWS_MIN {
            return None;
        }
        let any = array.as_any();
        let views: &[u128] = if let Some(strings) = any.downcast_ref::<StringViewArray>() {
            strings.views()
        } else {
            any.downcast_ref::<BinaryViewArray>()?.views()
        };
        let (first_rows, codes) = coded(views, array.nulls())?;
        let values = take(array, &UInt32Array::from(first_rows), None).ok()?;
        Some(Distinct { values, codes: UInt32Array::from(codes) })
    }

    /// A result for each distinct value, spread over the rows.
    pub(super) fn spread(&self, results: &ArrayRef) -> Result<ArrayRef, arrow::error::ArrowError> {
        take(results, &self.codes, None)
    }
}

/// The first row of each distinct view, and a number for each row.
fn coded(views: &[u128], nulls: Option<&NullBuffer>) -> Option<(Vec<u32>, Vec<u32>)> {
    let mut table: Vec<Option<(u128, u32)>> = vec![None; SLOTS];
    let mut first_rows: Vec<u32> = Vec::new();
    let mut codes: Vec<u32> = Vec::with_capacity(views.len());
    let mut null_code = None;
    for (row, view) in views.iter().enumerate() {
        if first_rows.len() > SLOTS / 2 {
            return None;
        }
        if nulls.is_some_and(|nulls| nulls.is_null(row)) {
            codes.push(*null_code.get_or_insert_with(|| {
                first_rows.push(row as u32);
                first_rows.len() as u32 - 1
            }));
            continue;
        }
        let mixed = ((*view as u64) ^ ((*view >> 64) as u64)).wrapping_mul(MIX);
        let mut slot = (mixed >> 54) as usize;
        let code = loop {
            match &table[slot] {
                Some((held, code)) if held == view => break *code,
                Some(_) => slot = (slot + 1) % SLOTS,
                None => {
                    let code = first_rows.len() as u32;
                    first_rows.push(row as u32);
                    table[slot] = Some((*view, code));
                    break code;
                }
            }
        };
        codes.push(code);
    }
    // Hardly fewer than rows: not worth the second step.
    (first_rows.len() * 2 < views.len()).then_some((first_rows, codes))
}

const _: () = assert!(SLOTS == 1 << (64 - 54), "the mixed bits number the slots");

#[cfg(test)]
mod tests {
    use super::Distinct;
    use arrow::array::{Array, ArrayRef, StringViewArray};
    use std::sync::Arc;

    #[test]
    fn every_row_finds_its_own_value_again() {
        let strings: Vec<Option<String>> = (0..5_000)
            .map(|row| (row % 7 != 3).then(|| format!("a longer string, number {}", row % 90)))
            .collect();
        let plain: ArrayRef = Arc::new(StringViewArray::from_iter(strings.clone()));
        // Built row by row, long strings have views of their own; short ones do not.
        assert!(Distinct::of(&plain).is_none());
        let short: ArrayRef = Arc::new(StringViewArray::from_iter(
            strings.iter().map(|string| string.as_ref().map(|s| &s[s.len() - 3..])),
        ));
        let distinct = Distinct::of(&short).expect("few values");
        assert!(distinct.values.len() <= 101);
        let back = distinct.spread(&distinct.values).expect("codes are rows");
        assert_eq!(&back, &short);
    }
}
