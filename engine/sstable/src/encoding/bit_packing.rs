//! Unsigned numbers in as few bits as the largest of them needs.
//!
//! Blocks of 256 numbers are laid out in lanes, so that the inner loop is the same shift and mask on neighbouring words and becomes vector instructions:
//!
//! ```text
//! 64-bit form: 4 lanes of 64 numbers.   number i is row i / 4 of lane i % 4; a lane is a stream of 64 · width bits, its word k at word 4 · k + lane
//! 32-bit form: 8 lanes of 32 numbers.   number i is row i / 8 of lane i % 8; word k of a lane at word 8 · k + lane
//! ```
//! Either block takes 32 · width bytes. What is left over after the last whole block is one stream of bits, lowest first.
//! Sketch: three vector operations for each four (eight) numbers and no branch, so it runs at the speed of writing the result.

use alloc::vec::Vec;

/// Numbers of a block.
pub(crate) const BLOCK: usize = 256;

/// Bytes of `count` numbers of `width` bits, in either form.
pub(crate) const fn packed_bytes(count: usize, width: u32) -> usize {
    count / BLOCK * 32 * width as usize + (count % BLOCK * width as usize).div_ceil(8)
}

/// Bits that `value` needs.
pub(crate) const fn bits_of(value: u64) -> u32 {
    64 - value.leading_zeros()
}

fn mask(width: u32) -> u64 {
    if width >= 64 { u64::MAX } else { (1 << width) - 1 }
}

/// Packs in the 64-bit form. No number has more than `width` bits.
pub(crate) fn pack_64(values: &[u64], width: u32, out: &mut Vec<u8>) {
    let (blocks, tail) = values.as_chunks::<BLOCK>();
    for block in blocks {
        let mut words = [0u64; BLOCK];
        for (index, value) in block.iter().enumerate() {
            let (row, lane) = (index / 4, index % 4);
            let (word, shift) = (row * width as usize / 64, row * width as usize % 64);
            words[word * 4 + lane] |= value << shift;
            if shift + width as usize > 64 {
                words[(word + 1) * 4 + lane] |= value >> (64 - shift);
            }
        }
        for word in &words[..4 * width as usize] {
            out.extend_from_slice(&word.to_le_bytes());
        }
    }
    pack_tail(tail.iter().copied(), width, out);
}

/// Packs in the 32-bit form. No number has more than `width` ≤ 32 bits.
pub(crate) fn pack_32(values: &[u32], width: u32, out: &mut Vec<u8>) {
    let (blocks, tail) = values.as_chunks::<BLOCK>();
    for block in blocks {
        let mut words = [0u32; BLOCK];
        for (index, value) in block.iter().enumerate() {
            let (row, lane) = (index / 8, index % 8);
            let (word, shift) = (row * width as usize / 32, row * width as usize % 32);
            words[word * 8 + lane] |= value << shift;
            if shift + width as usize > 32 {
                words[(word + 1) * 8 + lane] |= value >> (32 - shift);
            }
        }
        for word in &words[..8 * width as usize] {
            out.extend_from_slice(&word.to_le_bytes());
        }
    }
    pack_tail(tail.iter().map(|value| u64::from(*value)), width, out);
}

fn pack_tail(values: impl Iterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    let mut pending = 0u128;
    let mut pending_bits = 0;
    for value in values {
        pending |= u128::from(value) << pending_bits;
        pending_bits += width;
        while pending_bits >= 8 {
            out.push(pending as u8);
            pending >>= 8;
            pending_bits -= 8;
        }
    }
    if pending_bits > 0 {
        out.push(pending as u8);
    }
}

/// Unpacks the 64-bit form, hands each number to `make` and stores the result.
///
/// # Panics
/// If `packed` is not as long as [`packed_bytes`] says for `out`, or `width` is above 64.
pub(crate) fn unpack_64<T>(packed: &[u8], width: u32, out: &mut [T], make: impl Fn(u64) -> T) {
    assert_eq!(packed.len(), packed_bytes(out.len(), width), "one packed number for each slot");
    assert!(width <= 64, "a number has at most 64 bits");
    if width == 0 {
        return out.iter_mut().for_each(|slot| *slot = make(0));
    }
    let mask = mask(width);
    let (blocks, tail) = out.as_chunks_mut::<BLOCK>();
    let (packed_blocks, packed_tail) = packed.split_at(blocks.len() * 32 * width as usize);
    for (block, packed) in blocks.iter_mut().zip(packed_blocks.chunks_exact(32 * width as usize)) {
        let (words, _) = packed.as_chunks::<32>();
        let last = words.len() - 1;
        let (rows, _) = block.as_chunks_mut::<4>();
        for (row, slots) in rows.iter_mut().enumerate() {
            let bit = (row as u32).wrapping_mul(width);
            let (word, shift) = ((bit >> 6) as usize, bit & 63);
            let (low, high) = (load_64(&words[word]), load_64(&words[last.min(word + 1)]));
            for lane in 0..4 {
                // The two shifts instead of one keep a shift of zero from becoming a shift by 64.
                let high = (high[lane] << 1).wrapping_shl(63 - shift);
                slots[lane] = make((low[lane].wrapping_shr(shift) | high) & mask);
            }
        }
    }
    unpack_tail(packed_tail, width, tail, make);
}

/// Unpacks the 32-bit form, hands each number to `make` and stores the result.
///
/// # Panics
/// If `packed` is not as long as [`packed_bytes`] says for `out`, or `width` is above 32.
pub(crate) fn unpack_32<T>(packed: &[u8], width: u32, out: &mut [T], make: impl Fn(u32) -> T) {
    assert_eq!(packed.len(), packed_bytes(out.len(), width), "one packed number for each slot");
    assert!(width <= 32, "a number has at most 32 bits");
    if width == 0 {
        return out.iter_mut().for_each(|slot| *slot = make(0));
    }
    let mask = mask(width) as u32;
    let (blocks, tail) = out.as_chunks_mut::<BLOCK>();
    let (packed_blocks, packed_tail) = packed.split_at(blocks.len() * 32 * width as usize);
    for (block, packed) in blocks.iter_mut().zip(packed_blocks.chunks_exact(32 * width as usize)) {
        let (words, _) = packed.as_chunks::<32>();
        let last = words.len() - 1;
        let (rows, _) = block.as_chunks_mut::<8>();
        for (row, slots) in rows.iter_mut().enumerate() {
            let bit = (row as u32).wrapping_mul(width);
            let (word, shift) = ((bit >> 5) as usize, bit & 31);
            let (low, high) = (load_32(&words[word]), load_32(&words[last.min(word + 1)]));
            for lane in 0..8 {
                let high = (high[lane] << 1).wrapping_shl(31 - shift);
                slots[lane] = make((low[lane].wrapping_shr(shift) | high) & mask);
            }
        }
    }
    unpack_tail(packed_tail, width, tail, |value| make(value as u32));
}

#[inline(always)]
fn load_64(bytes: &[u8; 32]) -> [u64; 4] {
    let (words, _) = bytes.as_chunks::<8>();
    [0, 1, 2, 3].map(|lane: usize| u64::from_le_bytes(words[lane]))
}

#[inline(always)]
fn load_32(bytes: &[u8; 32]) -> [u32; 8] {
    let (words, _) = bytes.as_chunks::<4>();
    [0, 1, 2, 3, 4, 5, 6, 7].map(|lane: usize| u32::from_le_bytes(words[lane]))
}

fn unpack_tail<T>(packed: &[u8], width: u32, out: &mut [T], make: impl Fn(u64) -> T) {
    let mask = mask(width);
    let mut bit = 0usize;
    for slot in out {
        *slot = make(bits_at(packed, bit, width) & mask);
        bit = bit.wrapping_add(width as usize);
    }
}

/// At least `width` bits from a bit position on; zeroes after the end.
#[inline(always)]
fn bits_at(packed: &[u8], bit: usize, width: u32) -> u64 {
    let rest = &packed[bit >> 3..];
    if width <= 57
        && let Some(window) = rest.first_chunk::<8>()
    {
        return u64::from_le_bytes(*window) >> (bit & 7);
    }
    let mut window = [0u8; 16];
    let length = rest.len().min(16);
    window[..length].copy_from_slice(&rest[..length]);
    (u128::from_le_bytes(window) >> (bit & 7)) as u64
}

/// One number of `count` packed in the 64-bit form.
///
/// # Panics
/// If `packed` is not as long as [`packed_bytes`] says, or `index` is not below `count`.
pub(crate) fn get_64(packed: &[u8], width: u32, count: usize, index: usize) -> u64 {
    assert_eq!(packed.len(), packed_bytes(count, width), "one packed number for each slot");
    assert!(index < count, "a number that is there");
    if width == 0 {
        return 0;
    }
    let block = index / BLOCK;
    if block == count / BLOCK {
        let tail = &packed[block * 32 * width as usize..];
        return bits_at(tail, index % BLOCK * width as usize, width) & mask(width);
    }
    let (words, _) = packed[block * 32 * width as usize..].as_chunks::<8>();
    let (row, lane) = (index % BLOCK / 4, index % 4);
    let (word, shift) = (row * width as usize / 64, (row * width as usize % 64) as u32);
    let low = u64::from_le_bytes(words[word * 4 + lane]);
    let crosses = shift + width > 64;
    let high = if crosses { u64::from_le_bytes(words[word * 4 + 4 + lane]) } else { 0 };
    (low.wrapping_shr(shift) | (high << 1).wrapping_shl(63 - shift)) & mask(width)
}

/// One number of `count` packed in the 32-bit form.
///
/// # Panics
/// As [`get_64`].
pub(crate) fn get_32(packed: &[u8], width: u32, count: usize, index: usize) -> u32 {
    assert_eq!(packed.len(), packed_bytes(count, width), "one packed number for each slot");
    assert!(index < count, "a number that is there");
    if width == 0 {
        return 0;
    }
    let block = index / BLOCK;
    if block == count / BLOCK {
        let tail = &packed[block * 32 * width as usize..];
        return (bits_at(tail, index % BLOCK * width as usize, width) & mask(width)) as u32;
    }
    let (words, _) = packed[block * 32 * width as usize..].as_chunks::<4>();
    let (row, lane) = (index % BLOCK / 8, index % 8);
    let (word, shift) = (row * width as usize / 32, (row * width as usize % 32) as u32);
    let low = u32::from_le_bytes(words[word * 8 + lane]);
    let crosses = shift + width > 32;
    let high = if crosses { u32::from_le_bytes(words[word * 8 + 8 + lane]) } else { 0 };
    (low.wrapping_shr(shift) | (high << 1).wrapping_shl(31 - shift)) & mask(width) as u32
}

#[cfg(test)]
mod tests {
    use super::{get_32, get_64, pack_32, pack_64, packed_bytes, unpack_32, unpack_64};
    use types::prng::Prng;

    #[test]
    fn every_width_round_trips_at_every_kind_of_length() {
        let mut prng = Prng::new(5);
        for width in 0..=64u32 {
            for count in [0, 1, 7, 255, 256, 257, 700, 1024] {
                let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
                let values: Vec<u64> = (0..count).map(|_| prng.next_u64() & mask).collect();
                let mut packed = Vec::new();
                pack_64(&values, width, &mut packed);
                assert_eq!(packed.len(), packed_bytes(count, width));
                let mut back = vec![0u64; count];
                unpack_64(&packed, width, &mut back, |value| value);
                assert_eq!(back, values, "width {width}");
                for (index, value) in values.iter().enumerate() {
                    assert_eq!(get_64(&packed, width, count, index), *value);
                }
                if width > 32 {
                    continue;
                }
                let values: Vec<u32> = values.iter().map(|value| *value as u32).collect();
                let mut packed = Vec::new();
                pack_32(&values, width, &mut packed);
                assert_eq!(packed.len(), packed_bytes(count, width));
                let mut back = vec![0u32; count];
                unpack_32(&packed, width, &mut back, |value| value);
                assert_eq!(back, values, "width {width}");
                for (index, value) in values.iter().enumerate() {
                    assert_eq!(get_32(&packed, width, count, index), *value);
                }
            }
        }
    }
}
