//! The trace of a run in 128 bits: every event is folded in, so that two runs that differ anywhere differ here.

/// Multipliers with well spread bits (the fractions of the golden ratio and of the square root of two).
const FIRST: u64 = 0x9E37_79B9_7F4A_7C15;
const SECOND: u64 = 0x6A09_E667_F3BC_C909;

/// A running hash. Not for secrets.
#[derive(Clone, Debug, Default)]
pub(crate) struct TraceHash {
    high: u64,
    low: u64,
}

impl TraceHash {
    /// Folds one word in; order counts.
    pub(crate) fn fold(&mut self, word: u64) {
        self.low = (self.low.rotate_left(23) ^ word).wrapping_mul(FIRST);
        self.high = (self.high.rotate_left(31) ^ self.low ^ (self.low >> 29)).wrapping_mul(SECOND);
    }

    /// The hash so far.
    pub(crate) fn value(&self) -> u128 {
        u128::from(self.high) << 64 | u128::from(self.low)
    }
}

#[cfg(test)]
mod tests {
    use super::TraceHash;

    #[test]
    fn order_and_value_count() {
        let hash = |words: &[u64]| {
            let mut trace = TraceHash::default();
            words.iter().for_each(|word| trace.fold(*word));
            trace.value()
        };
        assert_eq!(hash(&[1, 2]), hash(&[1, 2]));
        assert_ne!(hash(&[1, 2]), hash(&[2, 1]));
        assert_ne!(hash(&[0]), hash(&[0, 0, 1]));
    }
}
