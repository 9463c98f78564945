//! What a transaction touches, declared before it runs.
//!
//! Points and bounded ranges, each read, written or both. Two transactions conflict if one writes a token of a table that
//! the other reads or writes; a range stands for every token it covers. Keys serve reading and loading, not conflicts.
//! The schema versions at which the transaction was planned travel with it and are checked when it runs.

use alloc::vec::Vec;

use types::token::SliceCount;
use types::{SchemaVersion, TableId, Timestamp, Token};

/// How an entry is touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Observed only.
    Read,
    /// Written without being observed.
    Write,
    /// Both.
    ReadWrite,
}

impl Access {
    /// Whether the entry is observed.
    pub const fn reads(self) -> bool {
        matches!(self, Access::Read | Access::ReadWrite)
    }

    /// Whether the entry is written.
    pub const fn writes(self) -> bool {
        matches!(self, Access::Write | Access::ReadWrite)
    }

    /// Two accesses to one token conflict unless both only read.
    pub const fn conflicts(self, other: Access) -> bool {
        self.writes() || other.writes()
    }
}

/// Tokens from `first` to `last`, both included, so that the whole ring has a form. Never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenRange {
    /// Lowest token.
    pub first: Token,
    /// Highest token; not below `first`.
    pub last: Token,
}

impl TokenRange {
    /// Every token.
    pub const ALL: TokenRange = TokenRange { first: Token(0), last: Token(u64::MAX) };

    /// One token.
    pub const fn one(token: Token) -> TokenRange {
        TokenRange { first: token, last: token }
    }

    /// Whether `token` is inside.
    pub fn contains(self, token: Token) -> bool {
        self.first <= token && token <= self.last
    }

    /// The common part, if there is one.
    pub fn intersection(self, other: TokenRange) -> Option<TokenRange> {
        let first = self.first.max(other.first);
        let last = self.last.min(other.last);
        (first <= last).then_some(TokenRange { first, last })
    }
}

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PointEntry {
    /// Table or index.
    pub table: TableId,
    /// Position of the row's key on the ring.
    pub token: Token,
    /// How it is touched.
    pub access: Access,
    key_start: u32,
    key_end: u32,
}

/// What a range entry that is read must deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeNeed {
    /// Only the time of the last change of the slices it covers: enough to validate what was read before.
    ChangedAt,
    /// Its rows, in (slice, key) order, at most this many of each shard; and the time of the last change.
    Rows {
        /// Bound on the rows that one shard delivers.
        limit: u32,
    },
}

/// Rows of one table whose token is in `tokens` and whose key is in `[low, high)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeEntry {
    /// Table or index.
    pub table: TableId,
    /// Tokens covered; one token for a range inside a partition.
    pub tokens: TokenRange,
    /// How it is touched.
    pub access: Access,
    /// What it delivers if it is read.
    pub need: RangeNeed,
    low_start: u32,
    low_end: u32,
    /// `u32::MAX` for no upper bound.
    high_end: u32,
}

/// Everything that a transaction touches. Two are equal if they touch the same in the same order, however their entries were added.
#[derive(Clone, Debug, Default)]
pub struct Footprint {
    points: Vec<PointEntry>,
    ranges: Vec<RangeEntry>,
    keys: Vec<u8>,
    schema: Vec<(TableId, SchemaVersion)>,
    above: Timestamp,
}

impl Footprint {
    /// An empty footprint.
    pub const fn new() -> Footprint {
        Footprint {
            points: Vec::new(),
            ranges: Vec::new(),
            keys: Vec::new(),
            schema: Vec::new(),
            above: Timestamp::ZERO,
        }
    }

    /// Adds a row and returns its index among the points.
    pub fn point(&mut self, table: TableId, token: Token, key: &[u8], access: Access) -> usize {
        let (key_start, key_end) = self.push_key(key);
        self.points.push(PointEntry { table, token, access, key_start, key_end });
        self.points.len() - 1
    }

    /// Adds a range of keys `[low, high)` (no `high`: to the end) and returns its index among the ranges.
    pub fn range(
        &mut self,
        table: TableId,
        tokens: TokenRange,
        (low, high): (&[u8], Option<&[u8]>),
        access: Access,
        need: RangeNeed,
    ) -> usize {
        assert!(tokens.first <= tokens.last, "a token range is never empty");
        let (low_start, low_end) = self.push_key(low);
        let high_end = high.map_or(u32::MAX, |high| self.push_key(high).1);
        self.ranges.push(RangeEntry { table, tokens, access, need, low_start, low_end, high_end });
        self.ranges.len() - 1
    }

    /// Adds a whole table: with [`Access::Write`] it excludes everything else on the table (DDL).
    pub fn whole_table(&mut self, table: TableId, access: Access) -> usize {
        self.range(table, TokenRange::ALL, (&[], None), access, RangeNeed::ChangedAt)
    }

    /// States the schema version at which the transaction was planned; it aborts if the version differs when it runs.
    pub fn planned_at(&mut self, table: TableId, version: SchemaVersion) {
        if !self.schema.iter().any(|(known, _)| *known == table) {
            self.schema.push((table, version));
        }
    }

    /// As [`Footprint::planned_at`] for each of many; false if a table is among them twice.
    pub(crate) fn plan_at_all(&mut self, planned: Vec<(TableId, SchemaVersion)>) -> bool {
        let mut tables: Vec<TableId> = planned.iter().map(|(table, _)| *table).collect();
        tables.sort_unstable();
        self.schema = planned;
        tables.windows(2).all(|pair| pair[0] != pair[1])
    }

    /// The transaction will execute above `timestamp`: the snapshot of an interactive transaction.
    pub fn execute_above(&mut self, timestamp: Timestamp) {
        self.above = self.above.max(timestamp);
    }

    /// Widens each range of which only the time of the last change is read to whole slices: what is known of that time is known by slice, so that
    /// whoever changes the slice must conflict. On several nodes the answer is then the same at every replica.
    pub fn widen_to_slices(&mut self, slices: SliceCount) {
        for range in &mut self.ranges {
            if range.access.reads() && range.need == RangeNeed::ChangedAt {
                let (first, last) = (range.tokens.first, range.tokens.last);
                range.tokens.first = Token::in_slice(slices, slices.slice_of(first), 0);
                range.tokens.last = Token::in_slice(slices, slices.slice_of(last), u64::MAX);
            }
        }
    }

    /// The rows, in the order in which they were added.
    pub fn points(&self) -> &[PointEntry] {
        &self.points
    }

    /// The ranges, in the order in which they were added.
    pub fn ranges(&self) -> &[RangeEntry] {
        &self.ranges
    }

    /// The schema versions that it was planned at.
    pub fn schema(&self) -> &[(TableId, SchemaVersion)] {
        &self.schema
    }

    /// What it executes above.
    pub const fn above(&self) -> Timestamp {
        self.above
    }

    /// Whether anything is written.
    pub fn writes(&self) -> bool {
        self.points.iter().any(|point| point.access.writes())
            || self.ranges.iter().any(|range| range.access.writes())
    }

    /// Bytes of all keys: a first guess of what a transaction that writes them will log.
    pub fn key_byte_count(&self) -> usize {
        self.keys.len()
    }

    /// Whether nothing is touched.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty() && self.ranges.is_empty()
    }

    /// The encoded key of a point.
    pub fn key_of(&self, point: &PointEntry) -> &[u8] {
        &self.keys[point.key_start as usize..point.key_end as usize]
    }

    /// The encoded bounds of a range: inclusive low, exclusive high.
    pub fn bounds_of(&self, range: &RangeEntry) -> (&[u8], Option<&[u8]>) {
        let low = &self.keys[range.low_start as usize..range.low_end as usize];
        let high = (range.high_end != u32::MAX)
            .then(|| &self.keys[range.low_end as usize..range.high_end as usize]);
        (low, high)
    }

    /// Whether a write to this row was declared.
    pub fn covers_write(&self, table: TableId, token: Token, key: &[u8]) -> bool {
        self.points.iter().any(|point| {
            point.access.writes()
                && point.table == table
                && point.token == token
                && self.key_of(point) == key
        }) || self.ranges.iter().any(|range| {
            let (low, high) = self.bounds_of(range);
            range.access.writes()
                && range.table == table
                && range.tokens.contains(token)
                && low <= key
                && high.is_none_or(|high| key < high)
        })
    }

    fn push_key(&mut self, key: &[u8]) -> (u32, u32) {
        let start = self.keys.len();
        self.keys.extend_from_slice(key);
        let end = self.keys.len();
        assert!(end < u32::MAX as usize, "the keys of one transaction fit its size limit");
        (start as u32, end as u32)
    }
}

impl PartialEq for Footprint {
    fn eq(&self, other: &Footprint) -> bool {
        let point = |of: &Footprint, at: usize| {
            let point = &of.points[at];
            (point.table, point.token, point.access)
        };
        let range = |of: &Footprint, at: usize| {
            let range = &of.ranges[at];
            (range.table, range.tokens, range.access, range.need)
        };
        self.above == other.above
            && self.schema == other.schema
            && self.points.len() == other.points.len()
            && self.ranges.len() == other.ranges.len()
            && (0..self.points.len()).all(|at| {
                point(self, at) == point(other, at)
                    && self.key_of(&self.points[at]) == other.key_of(&other.points[at])
            })
            && (0..self.ranges.len()).all(|at| {
                range(self, at) == range(other, at)
                    && self.bounds_of(&self.ranges[at]) == other.bounds_of(&other.ranges[at])
            })
    }
}

impl Eq for Footprint {}

#[cfg(test)]
mod tests {
    use types::token::SliceCount;
    use types::{TableId, Token};

    use super::{Access, Footprint, RangeNeed, TokenRange};

    #[test]
    fn keys_and_bounds_come_back() {
        let mut footprint = Footprint::new();
        let tokens = TokenRange::one(Token(9));
        let point = footprint.point(TableId(1), Token(7), b"abc", Access::Write);
        let bounded = footprint.range(
            TableId(2),
            tokens,
            (b"b", Some(b"d")),
            Access::ReadWrite,
            RangeNeed::Rows { limit: 10 },
        );
        let open = footprint.whole_table(TableId(3), Access::Read);
        assert_eq!(footprint.key_of(&footprint.points()[point]), b"abc");
        let ranges = footprint.ranges();
        assert_eq!(footprint.bounds_of(&ranges[bounded]), (&b"b"[..], Some(&b"d"[..])));
        assert_eq!(footprint.bounds_of(&ranges[open]), (&b""[..], None));
        assert!(footprint.covers_write(TableId(1), Token(7), b"abc"));
        assert!(!footprint.covers_write(TableId(1), Token(7), b"abd"));
        assert!(footprint.covers_write(TableId(2), Token(9), b"c"));
        assert!(!footprint.covers_write(TableId(2), Token(9), b"d"));
        assert!(!footprint.covers_write(TableId(3), Token(9), b"x"), "only read");
    }

    #[test]
    fn a_time_of_change_is_asked_of_whole_slices() {
        let slices = SliceCount::DEFAULT;
        let slice = slices.slice_of(Token(1 << 60));
        let one = TokenRange::one(Token(1 << 60));
        let mut footprint = Footprint::new();
        let keys = (&b""[..], None);
        footprint.range(TableId(1), one, keys, Access::Read, RangeNeed::ChangedAt);
        footprint.range(TableId(1), one, keys, Access::Read, RangeNeed::Rows { limit: 1 });
        footprint.range(TableId(1), one, keys, Access::Write, RangeNeed::ChangedAt);
        footprint.widen_to_slices(slices);
        let widened = footprint.ranges()[0].tokens;
        assert_eq!(widened.first, Token::in_slice(slices, slice, 0));
        assert_eq!(widened.last, Token::in_slice(slices, slice, u64::MAX));
        assert_eq!(footprint.ranges()[1].tokens, one);
        assert_eq!(footprint.ranges()[2].tokens, one);
    }

    #[test]
    fn reads_do_not_conflict_with_reads() {
        assert!(!Access::Read.conflicts(Access::Read));
        assert!(Access::Read.conflicts(Access::Write));
        assert!(Access::Write.conflicts(Access::Write));
    }
}
