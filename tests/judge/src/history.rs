//! What clients asked and were told: the transactions of a history, as every part of this crate takes them.
//!
//! Times are of one monotonic clock, in any unit (the recorder uses nanoseconds). A transaction takes effect, if at all, at one moment: after `invoked`, and, if
//! it is committed, before `completed`. One that completed before another was invoked (strictly less) comes before it in real time; equal times are concurrent.
//! Written values are unique for their key over the whole history; that is what makes a read say whose write it saw.

/// Half-open range of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// First key in it.
    pub start: u64,
    /// First key after it.
    pub end: u64,
}

/// One step of a transaction, in program order, with its answer. A read without an answer is not recorded; a write without an answer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Adds a value at the end of a list.
    Append {
        /// The list.
        key: u64,
        /// Never appended to this key by anybody else.
        value: u64,
    },
    /// Reads a whole list; a list nobody appended to is empty.
    List {
        /// The list.
        key: u64,
        /// Oldest first, with the transaction's own appends so far.
        values: Vec<u64>,
    },
    /// Replaces the value of a register.
    Write {
        /// The register.
        key: u64,
        /// Never written to this key by anybody else.
        value: u64,
    },
    /// Reads a register.
    Read {
        /// The register.
        key: u64,
        /// `None` before the first write and after a delete.
        value: Option<u64>,
    },
    /// Removes a register. White box only.
    Delete {
        /// The register.
        key: u64,
    },
    /// Reads all registers of a range. White box only.
    Scan {
        /// Where.
        range: KeyRange,
        /// Key and value, by key.
        rows: Vec<(u64, u64)>,
    },
    /// Counts the registers that exist in a range. White box only.
    Count {
        /// Where.
        range: KeyRange,
        /// How many.
        count: u64,
    },
}

/// What the client was told in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It took effect.
    Committed,
    /// It did not and never will: a definite error.
    Failed,
    /// Nobody said: it took effect once, at any time after `invoked` (also after `completed`), or not at all.
    Unknown,
}

/// One transaction as a client saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// The client, which has one transaction open at a time.
    pub process: u32,
    /// Before the first byte was sent.
    pub invoked: u64,
    /// After the last byte was received, or the client gave up. At least `invoked`.
    pub completed: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Where the system says that it took effect. White box only.
    pub execute_at: Option<u128>,
    /// In program order.
    pub operations: Vec<Operation>,
}

impl Operation {
    /// The single key it names, unless it names a range.
    pub fn key(&self) -> Option<u64> {
        match self {
            Operation::Append { key, .. }
            | Operation::List { key, .. }
            | Operation::Write { key, .. }
            | Operation::Read { key, .. }
            | Operation::Delete { key } => Some(*key),
            Operation::Scan { .. } | Operation::Count { .. } => None,
        }
    }
}
