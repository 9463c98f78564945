//! Bits in bytes, lowest bit first, as Arrow has them: validity (set = a value is there) and booleans.
//!
//! Invariant: bits at and after the length are zero, so that bytes can be appended and counted without masks.

use alloc::vec;
use alloc::vec::Vec;

/// A growable bit vector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bitmap {
    bytes: Vec<u8>,
    length: usize,
}

impl Bitmap {
    /// No bits.
    pub const fn new() -> Bitmap {
        Bitmap { bytes: Vec::new(), length: 0 }
    }

    /// `length` bits of one value.
    pub fn filled(value: bool, length: usize) -> Bitmap {
        let mut bitmap = Bitmap::new();
        bitmap.append_filled(value, length);
        bitmap
    }

    /// Number of bits.
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The bytes; ⌈length / 8⌉ of them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes, for a buffer of another library.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// One bit.
    ///
    /// # Panics
    /// If `index` is not below the length.
    pub fn get(&self, index: usize) -> bool {
        assert!(index < self.length, "bit {index} of {}", self.length);
        self.bytes[index >> 3] >> (index & 7) & 1 == 1
    }

    /// Appends a bit.
    pub fn push(&mut self, value: bool) {
        if self.length.is_multiple_of(8) {
            self.bytes.push(0);
        }
        if value {
            self.bytes[self.length >> 3] |= 1 << (self.length & 7);
        }
        self.length += 1;
    }

    /// Sets a bit.
    ///
    /// # Panics
    /// If `index` is not below the length.
    pub fn set(&mut self, index: usize, value: bool) {
        assert!(index < self.length, "bit {index} of {}", self.length);
        let mask = 1 << (index & 7);
        if value {
            self.bytes[index >> 3] |= mask;
        } else {
            self.bytes[index >> 3] &= !mask;
        }
    }

    /// Appends `count` bits of one value.
    pub fn append_filled(&mut self, value: bool, count: usize) {
        let end = self.length + count;
        if value {
            while self.length < end && !self.length.is_multiple_of(8) {
                self.push(true);
            }
            self.bytes.resize(end.div_ceil(8).max(self.bytes.len()), 0xFF);
            self.length = end;
            self.clear_tail();
        } else {
            self.bytes.resize(end.div_ceil(8), 0);
            self.length = end;
        }
    }

    fn clear_tail(&mut self) {
        if !self.length.is_multiple_of(8)
            && let Some(last) = self.bytes.last_mut()
        {
            *last &= (1u8 << (self.length & 7)) - 1;
        }
    }

    /// Appends the first `count` bits of `bits`.
    ///
    /// # Panics
    /// If `bits` is shorter than that.
    pub fn append_bits(&mut self, bits: &[u8], count: usize) {
        let bits = &bits[..count.div_ceil(8)];
        let shift = self.length & 7;
        if shift == 0 {
            self.bytes.extend_from_slice(bits);
        } else {
            for byte in bits {
                if let Some(last) = self.bytes.last_mut() {
                    *last |= byte << shift;
                }
                self.bytes.push(byte >> (8 - shift));
            }
        }
        self.length += count;
        self.bytes.truncate(self.length.div_ceil(8));
        self.clear_tail();
    }

    /// The bits of `start .. start + count`, shifted to begin at bit zero.
    pub fn slice(&self, start: usize, count: usize) -> Bitmap {
        assert!(start + count <= self.length, "a slice inside the bitmap");
        let shift = start & 7;
        let first = start >> 3;
        let length = count.div_ceil(8);
        let mut bytes = vec![0u8; length];
        for (index, byte) in bytes.iter_mut().enumerate() {
            let low = self.bytes[first + index] >> shift;
            let high = match self.bytes.get(first + index + 1) {
                Some(next) if shift > 0 => next << (8 - shift),
                _ => 0,
            };
            *byte = low | high;
        }
        let mut slice = Bitmap { bytes, length: count };
        slice.clear_tail();
        slice
    }

    /// How many bits are set.
    pub fn count_ones(&self) -> usize {
        self.bytes.iter().map(|byte| byte.count_ones() as usize).sum()
    }

    /// The bits at `rows`, in that order.
    pub fn gather(&self, rows: &[u32]) -> Bitmap {
        let mut gathered = Bitmap::new();
        for row in rows {
            gathered.push(self.get(*row as usize));
        }
        gathered
    }

    /// Every bit in order.
    pub fn iter(&self) -> impl Iterator<Item = bool> + '_ {
        (0..self.length).map(|index| self.bytes[index >> 3] >> (index & 7) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::Bitmap;
    use types::prng::Prng;

    #[test]
    fn appending_slicing_and_gathering_agree_with_a_vector_of_bools() {
        let mut prng = Prng::new(11);
        for _ in 0..200 {
            let mut bitmap = Bitmap::new();
            let mut model: Vec<bool> = Vec::new();
            for _ in 0..prng.below(6) {
                let count = prng.below(40) as usize;
                match prng.below(3) {
                    0 => {
                        let value = prng.below(2) == 1;
                        bitmap.append_filled(value, count);
                        model.extend(core::iter::repeat_n(value, count));
                    }
                    1 => {
                        let mut bits = vec![0u8; count.div_ceil(8)];
                        prng.fill(&mut bits);
                        bitmap.append_bits(&bits, count);
                        model.extend((0..count).map(|i| bits[i / 8] >> (i % 8) & 1 == 1));
                    }
                    _ => {
                        bitmap.push(true);
                        model.push(true);
                    }
                }
            }
            assert!(bitmap.iter().eq(model.iter().copied()));
            assert_eq!(bitmap.count_ones(), model.iter().filter(|bit| **bit).count());
            assert_eq!(bitmap.as_bytes().len(), model.len().div_ceil(8));
            if !model.is_empty() {
                let start = prng.index(model.len());
                let count = prng.index(model.len() - start + 1).min(model.len() - start);
                let slice = bitmap.slice(start, count);
                assert!(slice.iter().eq(model[start..start + count].iter().copied()));
            }
        }
    }
}
