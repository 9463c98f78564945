//! One LSM tree a shard: commit log, memtable, columnar table files, flush, compaction, recovery.
//!
//! **Write path.** [`Tree::commit`] → [`commit_log::writer`] (the record joins the gathering cohort) and [`memtable`] (its rows are visible at once), in
//! one turn → whoever wants to tell somebody waits for [`Tree::wait_durable`] → a full memtable is frozen → `flush` on a background thread → an edit in
//! the [`manifest`].
//!
//! **Read path.** [`Tree::get`] → memtables → [`version`] (which files can hold the key, newest first) → `table_reader` → `block_cache`; what is
//! missing there, [`Tree::load`] brings in one submission. A read stops only where no source left can hold a newer version at or below its timestamp.
//!
//! **Opening.** [`directory::open`] → [`recovery`] (manifests and all logs of the last start, on a background thread) → new manifests for any number of
//! shards → the identity file names the new start: from then on it counts. Then [`Tree::start`] on each shard's core.
//!
//! Invariants:
//! - Memory advances at once; nothing leaves a shard before the log is durable through what it observed ([`Tree::wait_durable`]).
//! - A block of the log that holds acknowledged bytes is never written again; a record of an earlier use of a segment never passes for one of a later.
//! - Files are complete through a position of each log, named in the same edit as the files; replay skips what is at or below.
//! - Table files never change. A file is removed when no durable version, no snapshot and no job names it.
//! - The floor is durable before anything below it is dropped, and reads below it are refused before that.
//!
//! Units: bytes unless a name says rows, blocks (4 KiB) or segments. All positions in logs are [`LogPosition`]s.
#![deny(unsafe_code)]

mod block_cache;
pub mod commit_log;
pub mod compaction;
pub mod directory;
pub mod directory_lock;
mod error;
mod files;
mod flush;
pub mod identity;
pub mod inspect;
mod key_check;
mod layout;
mod local_mutex;
mod maintenance;
pub mod manifest;
mod memory;
pub mod memtable;
pub mod mutants;
mod notify;
mod options;
mod pins;
mod position;
mod publication;
pub mod recovery;
mod scan;
mod scrub;
pub mod sealed;
mod stats;
mod table_reader;
mod table_scan;
mod table_writer;
mod tree;
pub mod version;
pub mod version_edit;
mod write_batch;

pub use block_cache::{CacheCounters, CachedPage};
pub use commit_log::record::RecordKind;
pub use directory::{DataDirectory, OpenedDirectory, ShardStart};
pub use error::{StorageError, StorageErrorKind};
pub use files::{FileRegistry, Piece, TableFile, parse_table_file_name, table_file_name};
pub use key_check::existing_key;
pub use layout::{LayoutColumn, TableLayout};
pub use memtable::{FrozenChunk, FrozenTable, RowBytes, RowVersion};
pub use options::{OptionError, StorageOptions};
pub use pins::{Pin, PinSummary};
pub use position::{LogAddress, LogPosition};
pub use publication::Publication;
pub use scan::{RangeRead, RangeRows};
pub use stats::TreeStats;
pub use table_scan::TableScan;
pub use tree::{Loaded, Lookup, RangeLookup, TableSnapshot, Tree};
pub use write_batch::{RowWrite, WriteBatch, WriteBatchBuilder};
