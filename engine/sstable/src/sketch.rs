//! About how many distinct values a column has: the K smallest hashes seen tell the density of all of them.
//!
//! Exact up to K distinct values, within about six per cent above.

use crate::column::{ColumnVector, Values};
use alloc::vec::Vec;
use xxhash_rust::xxh3::xxh3_64;

const KEPT: usize = 256;

/// Keeps the smallest distinct hashes.
#[derive(Clone, Debug, Default)]
pub(crate) struct DistinctSketch {
    smallest: Vec<u64>,
}

impl DistinctSketch {
    fn insert(&mut self, hash: u64) {
        if self.smallest.len() == KEPT && self.smallest.last().is_some_and(|last| hash >= *last) {
            return;
        }
        if let Err(at) = self.smallest.binary_search(&hash) {
            self.smallest.insert(at, hash);
            self.smallest.truncate(KEPT);
        }
    }

    /// Looks at the values of a column that are not NULL.
    pub(crate) fn add(&mut self, column: &ColumnVector) {
        for row in (0..column.len()).filter(|row| !column.is_null(*row)) {
            let hash = match &column.values {
                Values::Bool(values) => mix(u64::from(values.get(row))),
                Values::Int16(values) => mix(values[row] as u64),
                Values::Int32(values) => mix(values[row] as u64),
                Values::Int64(values) => mix(values[row] as u64),
                Values::Float32(values) => mix(u64::from(values[row].to_bits())),
                Values::Float64(values) => mix(values[row].to_bits()),
                Values::Fixed16(values) => xxh3_64(&values[row]),
                Values::Bytes(values) => xxh3_64(values.get(row)),
                Values::Dictionary(values) => xxh3_64(values.get(row)),
            };
            self.insert(hash);
        }
    }

    /// The estimate.
    pub(crate) fn estimate(&self) -> u64 {
        match self.smallest.last() {
            Some(last) if self.smallest.len() == KEPT => {
                let density = (KEPT as u128 - 1) << 64;
                (density / (u128::from(*last) + 1)).min(u128::from(u64::MAX)) as u64
            }
            _ => self.smallest.len() as u64,
        }
    }
}

fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::DistinctSketch;
    use crate::column::{ColumnVector, Values};

    #[test]
    fn estimates_are_near() {
        for distinct in [1i64, 20, 255, 5_000, 100_000] {
            let values = (0..100_000).map(|row| row % distinct).collect();
            let mut sketch = DistinctSketch::default();
            sketch.add(&ColumnVector { values: Values::Int64(values), validity: None });
            let estimate = sketch.estimate() as i64;
            assert!((estimate - distinct).abs() * 5 <= distinct, "{estimate} for {distinct}");
        }
    }
}
