//! What can go wrong in a shard, told apart by what the caller does next.

use accord::Abort;
use storage::{StorageError, StorageErrorKind};
use types::codec::{DecodeError, Decoder, Encoder};
use types::{TableId, Timestamp};

/// A storage failure in the form in which it travels between cores and through the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What the caller does about it.
    pub kind: StorageErrorKind,
    /// What happened, with its causes.
    pub message: String,
}

const KINDS: [StorageErrorKind; 8] = [
    StorageErrorKind::Fenced,
    StorageErrorKind::NoSpace,
    StorageErrorKind::Damage,
    StorageErrorKind::SnapshotTooOld,
    StorageErrorKind::TooLarge,
    StorageErrorKind::Foreign,
    StorageErrorKind::Unavailable,
    StorageErrorKind::Unknown,
];

impl Failure {
    /// The opaque form inside an [`Abort`].
    pub(crate) fn encode(&self) -> Vec<u8> {
        let kind = KINDS.iter().position(|kind| *kind == self.kind);
        let mut encoder = Encoder::new();
        encoder.u8(kind.expect("every kind is in the list") as u8);
        encoder.str(&self.message);
        encoder.into_bytes()
    }

    /// From the opaque form of [`Abort::ReadFailed`] and [`Abort::NotLogged`].
    ///
    /// # Errors
    /// If it was not made by a shard.
    pub fn decode(bytes: &[u8]) -> Result<Failure, DecodeError> {
        let decoder = &mut Decoder::new(bytes);
        let error = decoder.invalid("failure kind");
        let kind = *KINDS.get(usize::from(decoder.u8()?)).ok_or(error)?;
        Ok(Failure { kind, message: decoder.string("failure message")? })
    }
}

impl From<&StorageError> for Failure {
    fn from(error: &StorageError) -> Failure {
        let mut message = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            message.push_str(": ");
            message.push_str(&cause.to_string());
            source = cause.source();
        }
        Failure { kind: error.kind(), message }
    }
}

/// Why a request to a shard failed. `Clone` and `Send`: it crosses cores.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// The transaction took no effect, because of the state of the database. Storage failures are [`ShardError::Failed`] instead.
    #[error("the transaction took no effect: {0:?}")]
    Aborted(Abort),
    /// The snapshot is older than the history that is kept (72000).
    #[error("the snapshot is older than the history that is kept")]
    SnapshotTooOld,
    /// A table is not what it was when the statement was planned: plan again.
    #[error("table {table} was changed since the statement was planned")]
    SchemaChanged {
        /// Which.
        table: TableId,
    },
    /// Storage failed; a transaction took no effect.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// Too many requests are under way; nothing was done.
    #[error("too many requests are under way on this core (limit {limit})")]
    Overloaded {
        /// The bound.
        limit: usize,
    },
    /// The shard has failed or is stopping while the request was under way: whether a transaction took effect is not known.
    #[error("the shard has stopped: {0}")]
    Stopped(Failure),
    /// The transaction touches nothing.
    #[error("a transaction must touch at least one key")]
    NothingTouched,
    /// An analytic snapshot was asked for in the future.
    #[error("the snapshot {asked} lies in the future")]
    InTheFuture {
        /// What was asked for.
        asked: Timestamp,
    },
}

impl ShardError {
    /// A refusal of the protocol, storage failures inside it decoded.
    pub(crate) fn of_abort(abort: Abort) -> ShardError {
        match &abort {
            Abort::SnapshotTooOld => ShardError::SnapshotTooOld,
            Abort::ReadFailed(bytes) | Abort::NotLogged(bytes) => match Failure::decode(bytes) {
                Ok(failure) if failure.kind == StorageErrorKind::SnapshotTooOld => {
                    ShardError::SnapshotTooOld
                }
                Ok(failure) => ShardError::Failed(failure),
                Err(_) => ShardError::Aborted(abort),
            },
            _ => ShardError::Aborted(abort),
        }
    }
}

impl From<&StorageError> for ShardError {
    fn from(error: &StorageError) -> ShardError {
        match error.kind() {
            StorageErrorKind::SnapshotTooOld => ShardError::SnapshotTooOld,
            _ => ShardError::Failed(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, KINDS, ShardError};
    use accord::Abort;
    use storage::StorageErrorKind;

    #[test]
    fn failures_survive_the_protocol() {
        for kind in KINDS {
            let failure = Failure { kind, message: "disk 1: on fire".into() };
            assert_eq!(Failure::decode(&failure.encode()), Ok(failure.clone()));
            let error = ShardError::of_abort(Abort::NotLogged(failure.encode()));
            if kind == StorageErrorKind::SnapshotTooOld {
                assert_eq!(error, ShardError::SnapshotTooOld);
            } else {
                assert_eq!(error, ShardError::Failed(failure));
            }
        }
        assert!(Failure::decode(&[99]).is_err());
    }
}
