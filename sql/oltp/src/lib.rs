//! Short transactions: a bound plan becomes a footprint and a function of the rows that it names, and its result becomes rows again.
//!
//! Two ways lead to a commit, and nothing else writes:
//!
//! 1. **One turn** ([`statement`]). A statement outside BEGIN whose rows are known by key is one transaction, evaluated at its timestamp where the
//!    rows are. It cannot
//!    conflict: no check of what was read before, no 40001, one round trip.
//! 2. **Read, then commit** ([`transaction`]). Statements inside BEGIN, and those whose rows are found by reading, read at a snapshot and buffer what
//!    they change;
//!    COMMIT is one transaction that validates what was seen and writes. Updates of one row by its key that show the client nothing are kept as functions
//!    ([`transaction::Buffered::Deferred`]) and evaluated on the row as it is then, so hot rows do not conflict.
//!
//! Cost of a point read: one footprint (two allocations), one copy of the row from the store, one into the client's buffer. Of a point update:
//! decode, evaluate,
//! encode of one row, one log record. Nothing here grows with the data: reads are bounded by [`READ_ROWS_MAX`] and go to the other path beyond.
//!
//! The engine is seen through [`Engine`]; `engine/shard`'s client is the one that ships, and tests have a small one in memory.

mod access;
mod codec;
mod engine;
mod error;
mod evaluation;
pub mod modify;
mod moved;
mod read;
mod reply;
mod row;
pub mod statement;
pub mod transaction;
mod unchanged;

pub use access::{Bounds, Targets, resolve};
pub use codec::{SqlWorkloads, WORKLOAD_KINDS};
pub use engine::{Committed, Engine, LeaseOutcome, LeaseWait};
pub use error::{OltpError, StatementError};
pub use evaluation::{Seeded, Surroundings};
pub use read::{ReadOutcome, StoredRows, candidates, finish_read, read_now};
pub use reply::Changed;
pub use row::TableRows;
pub use transaction::Transaction;
pub use unchanged::Unchanged;

/// Rows that a shard core reads for one statement before it gives the statement to analytics.
pub const READ_ROWS_MAX: u32 = 10_000;
