//! One LSM tree a shard: commit log, memtable, flush, compaction, recovery.
#![deny(unsafe_code)]

pub mod commit_log;
mod error;
pub mod identity;
mod layout;
mod local_mutex;
pub mod manifest;
pub mod memtable;
pub mod mutants;
mod options;
mod position;
pub mod version_edit;
mod write_batch;

pub use commit_log::record::RecordKind;
pub use error::{StorageError, StorageErrorKind};
pub use layout::{LayoutColumn, TableLayout};
pub use options::{OptionError, StorageOptions};
pub use position::{LogAddress, LogPosition};
pub use write_batch::{RowWrite, WriteBatch, WriteBatchBuilder};
