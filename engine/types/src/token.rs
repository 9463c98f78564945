//! Key → token → slice → shard.
//!
//! A token is a position in `[0, 2^64)`. A slice is its top bits. Shards own contiguous runs of slices, so that a data directory opens with any
//! number of shards: files and logs name slices only.

use crate::{ShardId, SliceId};

/// Hash position of a key (or, in an ordered table, the first eight bytes of the encoded key).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Token(pub u64);

impl Token {
    /// Token of the encoded partition-key columns of a hashed table (XXH3, 64 bits, seed zero; part of the disk format).
    pub fn of_bytes(partition_key: &[u8]) -> Token {
        Token(xxhash_rust::xxh3::xxh3_64(partition_key))
    }

    /// Token of an ordered table's encoded key: its first eight bytes, zero-padded.
    pub fn of_ordered_key(key: &[u8]) -> Token {
        let mut first = [0u8; 8];
        let length = key.len().min(8);
        first[..length].copy_from_slice(&key[..length]);
        Token(u64::from_be_bytes(first))
    }

    /// A token inside `slice`, whose remaining bits are those of `within`.
    pub fn in_slice(slices: SliceCount, slice: SliceId, within: u64) -> Token {
        let shift = slices.shift();
        Token((u64::from(slice.0) << shift) | (within & ((1u64 << shift) - 1)))
    }
}

/// How many slices a data directory has; fixed when it is made; a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceCount(u16);

impl SliceCount {
    /// What a new data directory gets.
    pub const DEFAULT: SliceCount = SliceCount(64);

    /// A power of two in `2..=1024`, or nothing.
    pub const fn new(count: u16) -> Option<SliceCount> {
        if count.is_power_of_two() && count >= 2 && count <= 1024 {
            Some(SliceCount(count))
        } else {
            None
        }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }

    const fn shift(self) -> u32 {
        64 - self.0.trailing_zeros()
    }

    /// The slice that holds `token`.
    pub const fn slice_of(self, token: Token) -> SliceId {
        SliceId((token.0 >> self.shift()) as u16)
    }

    /// Present owner of `slice` on a node of `shard_count` shards. Contiguous and even: the counts differ by at most one.
    ///
    /// # Panics
    /// If `shard_count` is zero or above the number of slices.
    pub fn owner(self, slice: SliceId, shard_count: u16) -> ShardId {
        assert!(shard_count > 0, "a node has at least one shard");
        assert!(shard_count <= self.0, "more shards than slices");
        ShardId((u32::from(slice.0) * u32::from(shard_count) / u32::from(self.0)) as u16)
    }

    /// The slices that `shard` owns, ascending.
    pub fn owned_by(self, shard: ShardId, shard_count: u16) -> impl Iterator<Item = SliceId> {
        (0..self.0).map(SliceId).filter(move |slice| self.owner(*slice, shard_count) == shard)
    }
}

#[cfg(test)]
mod tests {
    use super::{SliceCount, Token};
    use crate::{ShardId, SliceId};

    #[test]
    fn every_slice_has_one_owner_and_shares_are_even() {
        let slices = SliceCount::DEFAULT;
        for shards in 1..=64u16 {
            let mut total = 0;
            for shard in 0..shards {
                let owned = slices.owned_by(ShardId(shard), shards).count();
                assert!(owned >= usize::from(64 / shards));
                assert!(owned <= usize::from(64 / shards) + 1);
                total += owned;
            }
            assert_eq!(total, 64);
        }
    }

    #[test]
    fn a_token_made_for_a_slice_is_in_it() {
        let slices = SliceCount::DEFAULT;
        for slice in 0..64 {
            let token = Token::in_slice(slices, SliceId(slice), u64::MAX);
            assert_eq!(slices.slice_of(token), SliceId(slice));
        }
        assert_eq!(Token::of_ordered_key(&[1]), Token(1 << 56));
    }
}
