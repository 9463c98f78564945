//! A filter over a file's distinct keys: says "certainly not here" for all but one in 256 of the keys that are not.
//!
//! Binary fuse filter of 8-bit fingerprints: three slots of a window of the array, whose sum (XOR) is the key's fingerprint. About nine bits a key, three
//! loads a look-up, no false negative. Source: T. M. Graf, D. Lemire, "Binary Fuse Filters: Fast and Smaller Than Xor Filters", 2022.
//!
//! ```text
//! | kind (1): 1 = binary fuse, 8 bits | log2 of segment length (1) | reserved (2) | segment count (4) | seed (8) | fingerprints |
//! ```
//! Building needs about 25 bytes a key for a moment. A key is known by XXH3 of its bytes; equal hashes count once.

use crate::error::{Section, SstableError};
use alloc::vec;
use alloc::vec::Vec;
use types::mutants::{self, Mutant};
use xxhash_rust::xxh3::xxh3_64;

/// Planted bug: the last key does not enter the filter.
pub const MUTANT_FILTER_WITHOUT_LAST_KEY: Mutant = Mutant(302);

const KIND_BINARY_FUSE_8: u8 = 1;
const HEADER_BYTES: usize = 16;
const SEGMENT_LOG2_MAX: u32 = 18;
/// A seed fails about once in a hundred tries; so many failures in a row mean a defect.
const TRIES_MAX: u64 = 100;

/// A filter, ready to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFilter {
    segment_log2: u32,
    segment_count: u32,
    seed: u64,
    fingerprints: Vec<u8>,
}

/// What a filter knows a key by.
pub(crate) fn key_hash(key: &[u8]) -> u64 {
    xxh3_64(key)
}

/// SplitMix64's finisher: every bit of the sum reaches every bit of the result.
fn mix(hash: u64, seed: u64) -> u64 {
    let mut z = hash.wrapping_add(seed);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn fingerprint(mixed: u64) -> u8 {
    (mixed ^ (mixed >> 32)) as u8
}

/// Logarithm to base two in 1/256, linear between powers: exact enough to size an array.
fn log2_256ths(count: u64) -> u64 {
    let whole = u64::from(count.ilog2());
    let fraction = ((count << 8) >> whole) & 0xFF;
    whole * 256 + fraction
}

impl KeyFilter {
    /// A filter over hashes of keys, in any order.
    ///
    /// # Panics
    /// If a hundred seeds fail, which has no probability worth a name.
    pub(crate) fn build(mut hashes: Vec<u64>) -> KeyFilter {
        if mutants::live(MUTANT_FILTER_WITHOUT_LAST_KEY) {
            hashes.pop();
        }
        // Sorted hashes walk the array in order: the peeling below stays in the cache.
        hashes.sort_unstable();
        hashes.dedup();
        let count = hashes.len().max(2) as u64;
        let log2 = log2_256ths(count);
        // Segment length and array size from section 3.1 of the paper: 2^⌊log n / log 3.33 + 2.25⌋ and n · max(1.125, 0.875 + 0.25 · log 10^6 / log n).
        let segment_log2 = (((log2 * 1000 / 1736) + 576) / 256).min(u64::from(SEGMENT_LOG2_MAX));
        let per_mille = (875 + 4983 * 256 / log2).max(1125);
        let capacity = (count * per_mille / 1000).max(1 << segment_log2);
        let segment_count = capacity.div_ceil(1 << segment_log2).saturating_sub(2).max(1) as u32;
        let mut filter = KeyFilter {
            segment_log2: segment_log2 as u32,
            segment_count,
            seed: 0,
            fingerprints: vec![0; (segment_count as usize + 2) << segment_log2],
        };
        let mut seeds = types::prng::Prng::new(count);
        for _ in 0..TRIES_MAX {
            filter.seed = seeds.next_u64();
            if filter.assign(&hashes) {
                return filter;
            }
        }
        panic!("no seed of {TRIES_MAX} separates {count} keys");
    }

    /// The three slots of a mixed hash.
    fn slots(&self, mixed: u64) -> [usize; 3] {
        let length = u64::from(self.segment_count) << self.segment_log2;
        let mask = (1u64 << self.segment_log2) - 1;
        let first = ((u128::from(mixed) * u128::from(length)) >> 64) as u64;
        let second = (first + mask + 1) ^ ((mixed >> 18) & mask);
        let third = (first + 2 * (mask + 1)) ^ (mixed & mask);
        [first as usize, second as usize, third as usize]
    }

    /// Peels: as long as some slot is used by one key only, that key can be placed last. False if some keys remain.
    fn assign(&mut self, hashes: &[u64]) -> bool {
        let slot_count = self.fingerprints.len();
        let mut users = vec![0u8; slot_count];
        let mut sums = vec![0u64; slot_count];
        for hash in hashes {
            let mixed = mix(*hash, self.seed);
            for slot in self.slots(mixed) {
                if users[slot] == u8::MAX {
                    return false;
                }
                users[slot] += 1;
                sums[slot] ^= mixed;
            }
        }
        let mut alone: Vec<u32> =
            (0..slot_count as u32).filter(|slot| users[*slot as usize] == 1).collect();
        let mut order: Vec<(u64, u32)> = Vec::with_capacity(hashes.len());
        while let Some(slot) = alone.pop() {
            if users[slot as usize] != 1 {
                continue;
            }
            let mixed = sums[slot as usize];
            order.push((mixed, slot));
            for other in self.slots(mixed) {
                users[other] -= 1;
                sums[other] ^= mixed;
                if users[other] == 1 {
                    alone.push(other as u32);
                }
            }
        }
        if order.len() != hashes.len() {
            return false;
        }
        self.fingerprints.fill(0);
        for (mixed, slot) in order.into_iter().rev() {
            let others = self.slots(mixed).map(|slot| self.fingerprints[slot]);
            // The slot itself is still zero.
            self.fingerprints[slot as usize] =
                fingerprint(mixed) ^ others[0] ^ others[1] ^ others[2];
        }
        true
    }

    /// False: the key is certainly not in the file.
    pub fn may_contain(&self, key: &[u8]) -> bool {
        let mixed = mix(key_hash(key), self.seed);
        let [a, b, c] = self.slots(mixed).map(|slot| self.fingerprints[slot]);
        fingerprint(mixed) == a ^ b ^ c
    }

    /// Bytes held.
    pub fn byte_count(&self) -> usize {
        self.fingerprints.len()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + self.fingerprints.len());
        bytes.extend_from_slice(&[KIND_BINARY_FUSE_8, self.segment_log2 as u8, 0, 0]);
        bytes.extend_from_slice(&self.segment_count.to_le_bytes());
        bytes.extend_from_slice(&self.seed.to_le_bytes());
        bytes.extend_from_slice(&self.fingerprints);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8], offset: u64) -> Result<KeyFilter, SstableError> {
        let malformed =
            |reason| SstableError::Malformed { section: Section::KeyFilter, offset, reason };
        let (head, fingerprints) = bytes
            .split_first_chunk::<HEADER_BYTES>()
            .ok_or(malformed("shorter than its header"))?;
        if head[0] != KIND_BINARY_FUSE_8 {
            return Err(malformed("a kind that is not known"));
        }
        let segment_log2 = u32::from(head[1]);
        let segment_count = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        let (_, seed) = head.split_at(8);
        let seed = seed.first_chunk::<8>().map_or(0, |seed| u64::from_le_bytes(*seed));
        let expected = (u64::from(segment_count) + 2) << segment_log2.min(SEGMENT_LOG2_MAX);
        if segment_log2 > SEGMENT_LOG2_MAX
            || segment_count == 0
            || expected != fingerprints.len() as u64
        {
            return Err(malformed("sizes that do not agree"));
        }
        Ok(KeyFilter { segment_log2, segment_count, seed, fingerprints: fingerprints.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::{KeyFilter, key_hash};

    #[test]
    fn no_key_is_missed_and_few_strangers_pass() {
        for count in [0u32, 1, 2, 3, 10, 100, 1_000, 50_000] {
            let hashes = (0..count).map(|key| key_hash(&key.to_be_bytes())).collect();
            let filter = KeyFilter::build(hashes);
            assert!((0..count).all(|key| filter.may_contain(&key.to_be_bytes())));
            let strangers =
                (count..count + 20_000).filter(|key| filter.may_contain(&key.to_be_bytes()));
            assert!(strangers.count() < 250, "about 78 of 20,000 are expected");
            if count >= 50_000 {
                assert!(filter.byte_count() * 8 < count as usize * 10);
            }
            let back = KeyFilter::decode(&filter.encode(), 0).expect("round trip");
            assert_eq!(back, filter);
        }
    }
}
