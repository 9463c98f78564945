//! The narrow gate: everything that analytics may know of the engine.
//!
//! A [`Snapshot`] is one timestamp and, for each table of a query, one [`Part`] for each shard: pinned table files with their metadata, a way to read their
//! bytes, frozen rows of the memtables, and the asking transaction's own writes. It is immutable and `Send`; dropping it unpins.
//!
//! **Promise.** Every transaction with execute_at at or below the timestamp is included, none other is, and it never changes.
//!
//! Not in here: memtables, command stores, locks, executors, tasks, caches. If analytics needs more, this crate changes, in the open.
#![forbid(unsafe_code)]

mod error;
mod part;
mod source;

pub use error::{BlockError, SnapshotError};
pub use part::{BlockSource, FrozenRows, Part, PinnedFile, SliceRange, SnapshotPin};
pub use source::{ReadAt, Snapshot, SnapshotFuture, SnapshotSource, TableSnapshot};
