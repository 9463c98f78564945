//! Where a record stands in a commit log. Positions of one log are totally ordered and never reused, because a segment gets a fresh generation
//! every time it is taken into use; they replace the log sequence number of other engines.

use types::LogId;

/// (generation of the segment, byte offset in it) as one ordered number. Generations begin at one, so zero means "before everything".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogPosition(u64);

impl LogPosition {
    /// Before every record: what it stands for has nothing to wait for.
    pub const NONE: LogPosition = LogPosition(0);
    /// After every record.
    pub const MAX: LogPosition = LogPosition(u64::MAX);

    /// A position.
    pub const fn new(generation: u32, offset: u32) -> LogPosition {
        LogPosition(((generation as u64) << 32) | offset as u64)
    }

    /// Which use of which segment.
    pub const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Bytes from the start of the segment.
    pub const fn offset(self) -> u32 {
        self.0 as u32
    }

    /// The number, for encoded forms and atomics.
    pub const fn to_raw(self) -> u64 {
        self.0
    }

    /// Inverse of [`LogPosition::to_raw`].
    pub const fn from_raw(raw: u64) -> LogPosition {
        LogPosition(raw)
    }
}

impl std::fmt::Display for LogPosition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.generation(), self.offset())
    }
}

/// A position in one of the logs of a data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogAddress {
    /// Which log.
    pub log: LogId,
    /// Where in it.
    pub position: LogPosition,
}

impl std::fmt::Display for LogAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "log {} at {}", self.log, self.position)
    }
}
