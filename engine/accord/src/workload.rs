//! What a transaction does: a deterministic function from the rows it reads to writes and a reply, or a refusal.
//!
//! A workload travels: to every replica that may have to evaluate it, and into what a recovery finds. So it has a form in bytes, whose first byte is
//! its kind, and whoever composes the program gives each node one [`WorkloadCodec`] that knows every kind. What is decoded encodes to the same bytes and
//! gives the same outcome. Kinds are never used twice: 1 to 15 are `engine/shard`'s, 16 to 63 `sql/oltp`'s, 64 to 199 free, those from 200 belong to tests.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use types::codec::DecodeError;
use types::{SchemaVersion, TableId, Timestamp, Token};

use crate::view::View;

/// A transaction's function. It must give the same outcome for the same arguments on every node, now and in a replay.
pub trait Workload: fmt::Debug + Send + Sync {
    /// Evaluates on the rows as they are at `execute_at`.
    fn evaluate(&self, execute_at: Timestamp, view: &dyn View) -> Outcome;

    /// Appends its form in bytes: its kind, then what [`WorkloadCodec::decode`] needs to make one that does the same. It runs to the end of the bytes.
    fn encode(&self, out: &mut Vec<u8>);
}

/// Makes workloads from bytes that another node, or this one before it fell, has encoded.
pub trait WorkloadCodec: Send + Sync {
    /// Inverse of [`Workload::encode`]: `decode(bytes)` encodes to `bytes` again.
    ///
    /// # Errors
    /// Whatever the bytes are, never a panic. After [`WorkloadDecodeError::UnknownKind`] and [`WorkloadDecodeError::UnknownLibraryVersion`] the node must
    /// not take part in the transaction: it could not evaluate it, or would evaluate it otherwise.
    fn decode(&self, bytes: &[u8]) -> Result<Arc<dyn Workload>, WorkloadDecodeError>;
}

/// Why a workload could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkloadDecodeError {
    /// A newer program, or another one.
    #[error("a transaction has the kind {kind}, which this program does not know: update it")]
    UnknownKind {
        /// The first byte.
        kind: u8,
    },
    /// Its expressions were bound by a library of functions whose answers may differ from those here.
    #[error(
        "a transaction was planned with version {found} of the function library, and this \
         program evaluates {oldest} to {newest}: update the older node, or let the newer one \
         plan for it"
    )]
    UnknownLibraryVersion {
        /// What it carries.
        found: u16,
        /// The oldest that is evaluated here.
        oldest: u16,
        /// The newest.
        newest: u16,
    },
    /// No encoding made these bytes.
    #[error("the bytes of a transaction are malformed")]
    Malformed(#[from] DecodeError),
}

/// Result of an evaluation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It takes effect.
    Commit(Commit),
    /// It takes no effect.
    Abort(Abort),
}

/// What takes effect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// Writes of rows; each declared in the footprint; at most one for a row. None for a transaction that only reads.
    pub writes: Vec<Write>,
    /// Changes of schema versions; the footprint covers each such table whole, with [`crate::Access::Write`].
    pub schema: Vec<SchemaChange>,
    /// What else the stores of the participants are to do (define a layout, publish sealed files); opaque here. It changes
    /// the ranges that the footprint declares as written.
    pub attachment: Vec<u8>,
    /// Whether the stores can do it at once.
    pub installs: Installs,
    /// For whoever asked; opaque here.
    pub reply: Vec<u8>,
}

impl Commit {
    /// Whether nothing is written.
    pub fn is_read_only(&self) -> bool {
        self.writes.is_empty() && self.schema.is_empty() && self.attachment.is_empty()
    }
}

/// A new version of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Table or index.
    pub table: TableId,
    /// Position of the key on the ring.
    pub token: Token,
    /// Encoded key.
    pub key: Vec<u8>,
    /// Encoded row; a tombstone if there is none.
    pub row: Option<Vec<u8>>,
}

/// A table has a new schema version, or none any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaChange {
    /// The table.
    pub table: TableId,
    /// Its version from now on; nothing if it was dropped.
    pub version: Option<SchemaVersion>,
}

/// The one record of a transaction in the commit log of its home core; carries every shard's writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When it takes effect.
    pub execute_at: Timestamp,
    /// Every write.
    pub writes: Vec<Write>,
    /// Every change of a schema version.
    pub schema: Vec<SchemaChange>,
    /// What else the participants' stores are to do; opaque here.
    pub attachment: Vec<u8>,
    /// Whether the stores can do it at once.
    pub installs: Installs,
}

/// When the stores have done what a record asks of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Installs {
    /// When [`crate::Store::apply`] returns.
    #[default]
    AtOnce,
    /// Some time after the record is durable, by [`crate::Effect::Install`]; until then the transaction holds its tokens on
    /// each participant, so that nobody sees it half installed. It is acknowledged as soon as it is durable.
    WhenDurable,
}

/// Why a transaction took no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Abort {
    /// A row that was read before is no longer what it was (index among the points).
    PointChanged(usize),
    /// A range that was read before has changed (index among the ranges).
    RangeChanged(usize),
    /// A table is not at the version at which the transaction was planned.
    SchemaChanged {
        /// The table.
        table: TableId,
        /// Its version now; nothing if there is no such table.
        found: Option<SchemaVersion>,
    },
    /// The workload's own refusal: a duplicate key, a constraint, a division by zero; opaque here.
    Refused(Vec<u8>),
    /// The snapshot is older than the history that is kept.
    SnapshotTooOld,
    /// Rows could not be read; opaque here.
    ReadFailed(Vec<u8>),
    /// Its record could not be logged; opaque here.
    NotLogged(Vec<u8>),
}
