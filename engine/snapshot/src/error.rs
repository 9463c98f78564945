//! Why a snapshot could not be taken, or a block of it not read.

use types::{ShardId, SstableId, TableId, Timestamp};

/// Why a snapshot could not be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The timestamp lies below what is kept (SQLSTATE 72000).
    #[error("the snapshot {asked} is older than the history kept, which begins at {floor}")]
    TooOld {
        /// Asked for.
        asked: Timestamp,
        /// Lowest that can be read.
        floor: Timestamp,
    },
    /// The table was planned at another schema version; plan again.
    #[error("table {table} was changed since the statement was planned")]
    SchemaChanged {
        /// The table.
        table: TableId,
    },
    /// The table does not exist at the timestamp.
    #[error("table {table} does not exist")]
    UnknownTable {
        /// The table.
        table: TableId,
    },
    /// A shard is fenced or stopping.
    #[error("shard {shard} cannot serve reads: {reason}")]
    ShardUnavailable {
        /// The shard.
        shard: ShardId,
        /// Why.
        reason: &'static str,
    },
}

/// Why blocks of a table file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// The device failed, or the file ends too early. Never retried.
    #[error("reading table file {sstable_id} at offset {offset} failed")]
    Device {
        /// The file.
        sstable_id: SstableId,
        /// Byte offset in the file.
        offset: u64,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The query was cancelled while it waited.
    #[error("the read was cancelled")]
    Cancelled,
}
