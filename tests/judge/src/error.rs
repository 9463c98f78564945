//! Why a history cannot be judged. An anomaly is no error: it is a verdict.

use std::fmt;

/// The history is not one. The recorder or the file is at fault, not the system under test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryError {
    /// A line that does not follow the format.
    Syntax {
        /// Byte within the line.
        column: usize,
        /// What stands there in the format.
        expected: &'static str,
    },
    /// A value was written twice to one key, so a read of it would not say whose it was.
    ValueNotUnique {
        /// The key.
        key: u64,
        /// The value.
        value: u64,
    },
    /// One key is used as a list and as a register.
    MixedKey {
        /// The key.
        key: u64,
    },
    /// An operation that this judge does not know the meaning of.
    NotJudged {
        /// Its name in the format.
        operation: &'static str,
        /// Who judges it.
        instead: &'static str,
    },
    /// Completed before it was invoked.
    Backwards {
        /// When it was invoked.
        invoked: u64,
        /// When it completed.
        completed: u64,
    },
    /// A process had two transactions open.
    Overlap {
        /// The process.
        process: u32,
        /// Of the later one.
        invoked: u64,
    },
    /// A transaction that took effect without saying where, given to the judge that replays.
    NoTimestamp,
    /// A transaction below the watermark arrived after it.
    Late {
        /// Its timestamp.
        execute_at: u128,
        /// What the caller had promised.
        watermark: u128,
    },
    /// More than the judge may hold; for the online judge: come to a quiescent point more often.
    TooMany {
        /// Of what.
        of: &'static str,
        /// The bound.
        bound: usize,
    },
}

impl fmt::Display for HistoryError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HistoryError::Syntax { column, expected } => {
                write!(out, "byte {column}: expected {expected}")
            }
            HistoryError::ValueNotUnique { key, value } => write!(
                out,
                "value {value} was written to key {key} before; every write needs a value of its own"
            ),
            HistoryError::MixedKey { key } => {
                write!(out, "key {key} is used as a list and as a register; give them two keys")
            }
            HistoryError::NotJudged { operation, instead } => {
                write!(out, "operation {operation} is not judged here; use {instead}")
            }
            HistoryError::Backwards { invoked, completed } => write!(
                out,
                "completed at {completed}, before it was invoked at {invoked}; record one monotonic clock"
            ),
            HistoryError::Overlap { process, invoked } => write!(
                out,
                "process {process} invoked a transaction at {invoked} with another open; give each client its number"
            ),
            HistoryError::NoTimestamp => {
                write!(
                    out,
                    "a committed transaction without its timestamp (\"at\") cannot be replayed"
                )
            }
            HistoryError::Late { execute_at, watermark } => {
                write!(out, "timestamp {execute_at} arrives after the watermark {watermark}")
            }
            HistoryError::TooMany { of, bound } => {
                write!(out, "more than {bound} {of}; judge shorter histories, or settle more often")
            }
        }
    }
}

impl std::error::Error for HistoryError {}
