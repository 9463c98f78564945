//! What a turn needs of the shard's storage: answers from memory, at once.
//!
//! Nothing here waits. A row that is not in memory is [`PointRead::NotLoaded`]; the replica then asks for it by
//! `Effect::Load` and runs the turn again when it is there.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use types::{LogId, TableId, Timestamp, Token};

use crate::footprint::TokenRange;
use crate::view::RowVisitor;
use crate::workload::Record;

/// A position in this core's own commit log, of the present start of the node. Zero: nothing to wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogPosition(pub u64);

impl LogPosition {
    /// Durable since ever.
    pub const NONE: LogPosition = LogPosition(0);
}

/// Answer to a point read.
#[derive(Debug)]
pub enum PointRead<'a> {
    /// The newest version at or below the timestamp.
    Found {
        /// When it was written.
        execute_at: Timestamp,
        /// The encoded row.
        row: Cow<'a, [u8]>,
        /// Where this core's own log holds it, if that may not be durable yet; else [`LogPosition::NONE`].
        position: LogPosition,
    },
    /// There is no row.
    Absent {
        /// Of the tombstone, by the same rule; [`LogPosition::NONE`] if there is none.
        position: LogPosition,
    },
    /// Not known without waiting.
    NotLoaded,
}

/// A bounded range of keys of one table.
#[derive(Clone, Copy, Debug)]
pub struct RangeQuery<'a> {
    /// Table or index.
    pub table: TableId,
    /// Tokens, all owned by this shard.
    pub tokens: TokenRange,
    /// Lowest key.
    pub low: &'a [u8],
    /// First key behind the range, if it is bounded.
    pub high: Option<&'a [u8]>,
    /// Newest versions at or below this.
    pub at: Timestamp,
    /// Rows to visit at most.
    pub limit: u32,
}

/// Answer to a range read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeRead {
    /// Every row up to the limit was visited, in (slice, key) order.
    Visited {
        /// Highest position of any version or tombstone met, by the rule of [`PointRead::Found`].
        position: LogPosition,
    },
    /// Not known without waiting; what was visited is void.
    NotLoaded,
}

/// A record was not appended. The reason is for the client and opaque here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotLogged(pub Vec<u8>);

/// The shard's memory.
pub trait Store {
    /// The newest version of a row at or below `at`.
    fn point(&self, table: TableId, token: Token, key: &[u8], at: Timestamp) -> PointRead<'_>;

    /// Visits the rows of a range: key, execute_at, row.
    fn range(&self, query: RangeQuery<'_>, visit: &mut RowVisitor<'_>) -> RangeRead;

    /// Reads below this are no longer answered: compaction may have dropped what they would see.
    fn history_floor(&self, table: TableId, tokens: TokenRange) -> Timestamp;

    /// Appends a record to this core's log and returns the position through which the log must be durable for it.
    /// Positions only rise.
    ///
    /// # Errors
    /// [`NotLogged`] if nothing was appended (too large, no room, the device has failed); the transaction aborts.
    fn append(&mut self, record: &Record) -> Result<LogPosition, NotLogged>;

    /// Applies the writes of a record to the rows that this shard owns. `log` is where the record was appended.
    fn apply(&mut self, record: &Record, log: LogId, position: LogPosition);
}
