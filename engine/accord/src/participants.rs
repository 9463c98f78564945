//! Which shards take part in a transaction: the owners of the tokens that it touches.

use types::token::SliceCount;
use types::{ShardId, SliceId, Token};

use crate::footprint::{Footprint, RangeEntry, TokenRange};

/// A set of shards of one node; as many bits as `limits::SHARDS_MAX`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardSet(u64);

const _: () = assert!(types::limits::SHARDS_MAX as u32 <= u64::BITS);

impl ShardSet {
    /// No shard.
    pub const EMPTY: ShardSet = ShardSet(0);

    /// Shards `0..count`.
    pub const fn all(count: u16) -> ShardSet {
        if count as u32 == u64::BITS { ShardSet(u64::MAX) } else { ShardSet((1 << count) - 1) }
    }

    /// Adds one.
    pub fn insert(&mut self, shard: ShardId) {
        self.0 |= 1 << shard.0;
    }

    /// Takes one out; whether it was there.
    pub fn remove(&mut self, shard: ShardId) -> bool {
        let was_there = self.contains(shard);
        self.0 &= !(1 << shard.0);
        was_there
    }

    /// Whether `shard` is in the set.
    pub const fn contains(self, shard: ShardId) -> bool {
        self.0 >> shard.0 & 1 == 1
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many.
    pub const fn count(self) -> u32 {
        self.0.count_ones()
    }

    /// The lowest shard of the set.
    pub const fn first(self) -> Option<ShardId> {
        if self.0 == 0 { None } else { Some(ShardId(self.0.trailing_zeros() as u16)) }
    }

    /// Ascending.
    pub fn iter(self) -> impl Iterator<Item = ShardId> {
        (0..64u16).map(ShardId).filter(move |shard| self.contains(*shard))
    }
}

/// Who owns which token, at the present number of shards. Shards own contiguous runs of slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    slices: SliceCount,
    shard_count: u16,
}

impl Placement {
    /// # Panics
    /// If there is no shard, or more than slices or than `limits::SHARDS_MAX`.
    pub fn new(slices: SliceCount, shard_count: u16) -> Placement {
        assert!(shard_count > 0, "a node has at least one shard");
        assert!(shard_count <= slices.get(), "more shards than slices");
        assert!(shard_count <= types::limits::SHARDS_MAX, "more shards than a set holds");
        Placement { slices, shard_count }
    }

    /// Slices of the data directory.
    pub const fn slices(self) -> SliceCount {
        self.slices
    }

    /// Shards of the node.
    pub const fn shard_count(self) -> u16 {
        self.shard_count
    }

    /// The slice of a token.
    pub const fn slice_of(self, token: Token) -> SliceId {
        self.slices.slice_of(token)
    }

    /// The shard that owns a token.
    pub fn owner(self, token: Token) -> ShardId {
        self.slices.owner(self.slice_of(token), self.shard_count)
    }

    /// The tokens that a shard owns.
    pub fn owned(self, shard: ShardId) -> TokenRange {
        let mut owned = self.slices.owned_by(shard, self.shard_count);
        let first = owned.next().expect("every shard owns a slice: there are not more shards");
        let last = owned.last().unwrap_or(first);
        TokenRange {
            first: Token::in_slice(self.slices, first, 0),
            last: Token::in_slice(self.slices, last, u64::MAX),
        }
    }

    /// The shards that own a part of a range.
    pub fn owners(self, range: &RangeEntry) -> ShardSet {
        let mut set = ShardSet::EMPTY;
        let last = self.owner(range.tokens.last).0;
        for shard in self.owner(range.tokens.first).0..=last {
            set.insert(ShardId(shard));
        }
        set
    }

    /// The shards that take part in a transaction.
    pub fn participants(self, footprint: &Footprint) -> ShardSet {
        let mut set = ShardSet::EMPTY;
        if self.shard_count == 1 && !footprint.is_empty() {
            set.insert(ShardId(0));
            return set;
        }
        for point in footprint.points() {
            set.insert(self.owner(point.token));
        }
        for range in footprint.ranges() {
            set.0 |= self.owners(range).0;
        }
        set
    }

    /// The shard that drives a transaction: the asking one if it takes part, which saves a hop; else the lowest.
    pub fn home(self, footprint: &Footprint, asking: ShardId) -> Option<ShardId> {
        let participants = self.participants(footprint);
        if participants.contains(asking) { Some(asking) } else { participants.first() }
    }
}

#[cfg(test)]
mod tests {
    use types::token::SliceCount;
    use types::{ShardId, TableId, Token};

    use super::{Placement, ShardSet};
    use crate::footprint::{Access, Footprint};

    #[test]
    fn owned_ranges_cover_the_ring_without_overlap() {
        for shards in 1..=64 {
            let placement = Placement::new(SliceCount::DEFAULT, shards);
            let mut next = 0u64;
            for shard in 0..shards {
                let owned = placement.owned(ShardId(shard));
                assert_eq!(owned.first, Token(next));
                assert_eq!(placement.owner(owned.first), ShardId(shard));
                assert_eq!(placement.owner(owned.last), ShardId(shard));
                next = owned.last.0.wrapping_add(1);
            }
            assert_eq!(next, 0);
        }
    }

    #[test]
    fn participants_of_points_and_tables() {
        let placement = Placement::new(SliceCount::DEFAULT, 4);
        let mut footprint = Footprint::new();
        footprint.point(TableId(1), Token(u64::MAX), b"", Access::Read);
        assert_eq!(placement.participants(&footprint).first(), Some(ShardId(3)));
        assert_eq!(placement.home(&footprint, ShardId(0)), Some(ShardId(3)));
        footprint.whole_table(TableId(1), Access::Write);
        assert_eq!(placement.participants(&footprint), ShardSet::all(4));
        assert_eq!(placement.home(&footprint, ShardId(2)), Some(ShardId(2)));
        assert_eq!(ShardSet::all(64).count(), 64);
    }
}
