//! What can go wrong in storage, told apart by what the caller does next. `Clone`, because one failed flush answers a whole cohort.

use std::path::PathBuf;

use platform::{DiskError, DiskErrorKind, JobError};
use types::codec::DecodeError;
use types::{LogId, SliceId, SstableId, TableId, Timestamp};

use crate::position::LogPosition;

/// What the caller does about a [`StorageError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageErrorKind {
    /// The device failed or the log cannot be trusted any more: tell every client, exit.
    Fenced,
    /// No space left (53100): refuse writes, go on reading, try again later.
    NoSpace,
    /// Stored bytes are wrong: fence what the error names.
    Damage,
    /// The version asked for is gone (72000).
    SnapshotTooOld,
    /// Something exceeds its bound (54000).
    TooLarge,
    /// The directory is not ours, or is of a format that this program does not know: refuse to start.
    Foreign,
    /// Shutting down, cancelled, or a queue is full: the caller may try again.
    Unavailable,
    /// The caller asked for what does not exist.
    Unknown,
}

/// A failed storage operation.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StorageError {
    /// A disk operation failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A background job gave no result.
    #[error(transparent)]
    Job(#[from] JobError),
    /// The log of this shard met a device error earlier; nothing more is accepted.
    #[error("the shard is fenced after a device error in its commit log")]
    Fenced {
        /// The error that fenced it.
        source: DiskError,
    },
    /// The log is damaged below what was acknowledged.
    #[error(
        "log {log} is damaged at {position} (block {block} of {}), although {claimed} was durable when a later block was written",
        path.display()
    )]
    LogDamage {
        /// The log file.
        path: PathBuf,
        /// Which log.
        log: LogId,
        /// First position that cannot be read.
        position: LogPosition,
        /// Its 4 KiB block in the file, or that of the segment that should follow.
        block: u64,
        /// The highest durable claim found.
        claimed: LogPosition,
    },
    /// A file other than the log holds wrong bytes.
    #[error("{} is damaged at offset {offset}: {what}", path.display())]
    Damage {
        /// Which file.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// A table file holds wrong bytes.
    #[error("table file {file} of table {table}, slices {} to {}, is damaged: {source}", slices.0, slices.1)]
    TableDamage {
        /// Which file.
        file: SstableId,
        /// Whose rows.
        table: TableId,
        /// First and last slice.
        slices: (SliceId, SliceId),
        /// What the format's reader found, with the offset.
        source: std::sync::Arc<dyn std::error::Error + Send + Sync>,
    },
    /// A checksummed payload does not decode: written by another program or damaged in memory.
    #[error("a record does not decode")]
    Decode(#[from] DecodeError),
    /// The log has no free segment: admission was not asked, or the disk is full.
    #[error("the commit log has no free segment")]
    LogFull,
    /// Table files cannot be written because the disk is full.
    #[error("the disk is full; writes are refused until space returns")]
    DiskFull,
    /// The data directory was made by another program or another version of this one.
    #[error("{} is not a data directory of this version: {what}", path.display())]
    Foreign {
        /// The directory or file.
        path: PathBuf,
        /// What is different.
        what: &'static str,
    },
    /// Another process has the directory open.
    #[error("{} is in use by {holder}", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Name and pid of the holder.
        holder: String,
    },
    /// A read below the retention floor.
    #[error("the read timestamp {at} is below the retention floor {floor}")]
    BelowFloor {
        /// The timestamp of the read.
        at: Timestamp,
        /// The floor.
        floor: Timestamp,
    },
    /// The lease of a pin ran out.
    #[error("the snapshot of {holder} has expired")]
    PinExpired {
        /// Who held it.
        holder: String,
    },
    /// Something exceeds its bound.
    #[error("{what} has {bytes} bytes, the limit is {bytes_max}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// No layout is known for a table.
    #[error("table {table} is not defined")]
    UnknownTable {
        /// Which.
        table: TableId,
    },
    /// A row does not fit its table's layout.
    #[error("a row of table {table} does not fit the table's columns")]
    RowShape {
        /// Which table.
        table: TableId,
    },
    /// The tree is closing.
    #[error("storage is closing")]
    Closing,
}

impl StorageError {
    /// What the caller does next.
    pub fn kind(&self) -> StorageErrorKind {
        match self {
            StorageError::Disk(error) => match error.kind() {
                DiskErrorKind::NoSpace => StorageErrorKind::NoSpace,
                DiskErrorKind::Device | DiskErrorKind::Refused => StorageErrorKind::Fenced,
                DiskErrorKind::NotFound | DiskErrorKind::AlreadyExists | DiskErrorKind::PastEnd => {
                    StorageErrorKind::Damage
                }
                DiskErrorKind::Closed | DiskErrorKind::Cancelled => StorageErrorKind::Unavailable,
            },
            StorageError::Fenced { .. } => StorageErrorKind::Fenced,
            StorageError::LogDamage { .. }
            | StorageError::Damage { .. }
            | StorageError::TableDamage { .. }
            | StorageError::RowShape { .. }
            | StorageError::Decode(_) => StorageErrorKind::Damage,
            StorageError::LogFull | StorageError::DiskFull => StorageErrorKind::NoSpace,
            StorageError::Foreign { .. } | StorageError::InUse { .. } => StorageErrorKind::Foreign,
            StorageError::BelowFloor { .. } | StorageError::PinExpired { .. } => {
                StorageErrorKind::SnapshotTooOld
            }
            StorageError::TooLarge { .. } => StorageErrorKind::TooLarge,
            StorageError::UnknownTable { .. } => StorageErrorKind::Unknown,
            StorageError::Job(_) | StorageError::Closing => StorageErrorKind::Unavailable,
        }
    }
}
