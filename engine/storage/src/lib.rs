//! One LSM tree a shard: commit log, memtable, flush, compaction, recovery.
#![deny(unsafe_code)]

pub mod commit_log;
mod error;
pub mod memtable;
pub mod mutants;
mod position;
mod write_batch;

pub use commit_log::record::RecordKind;
pub use error::{StorageError, StorageErrorKind};
pub use position::{LogAddress, LogPosition};
pub use write_batch::{RowWrite, TableLayout, WriteBatch, WriteBatchBuilder};
