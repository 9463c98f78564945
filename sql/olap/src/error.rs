//! Why an analytic query failed, and with which SQLSTATE.
//!
//! Our own errors travel through the engine below as boxed sources and come out as they went in; only what is left becomes an internal error.

use std::error::Error;
use std::io;
use std::sync::Arc;

use arrow::error::ArrowError;
use datafusion::common::DataFusionError;
use types::{SqlState, SstableId, ValueError};

/// What the caller does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The statement or its input is wrong: tell the client.
    Statement,
    /// Not built.
    NotSupported,
    /// A bound was reached: another time, or with a larger budget, it would have worked.
    Resources,
    /// The client went away or asked to stop.
    Cancelled,
    /// The device, the files or we ourselves failed.
    System,
}

/// Why an analytic query failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AnalyticsError {
    /// An expression had no value.
    #[error("{0}")]
    Value(#[from] ValueError),
    /// Not built: 0A000.
    #[error("{feature} is not supported")]
    NotSupported {
        /// What, as a client would call it.
        feature: String,
    },
    /// The query's memory did not suffice, spilling included: 53200.
    #[error("out of memory: {reason}")]
    OutOfMemory {
        /// Who needed how much.
        reason: String,
    },
    /// Too many queries wait already: 53000.
    #[error("more than {queued_max} analytic queries are waiting")]
    TooManyQueries {
        /// The bound.
        queued_max: usize,
    },
    /// Stopped on request, or because nobody reads the answer: 57014.
    #[error("canceling statement due to user request")]
    Cancelled,
    /// A file of the snapshot could not be read.
    #[error("{} could not be read", named(*file))]
    Read {
        /// Which, once known.
        file: Option<SstableId>,
        /// SQLSTATE by its kind.
        sqlstate: SqlState,
        /// What the file layer says.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// A file could not be written: an export or a spill.
    #[error("writing failed")]
    Write {
        /// What the system says.
        source: Arc<io::Error>,
    },
    /// The client took no rows while other queries waited for this one's place.
    #[error("canceling statement because its client took no rows while other queries waited")]
    Stalled,
    /// The threads could not be started.
    #[error("analytics threads could not be started")]
    Threads {
        /// What the system says.
        source: Arc<io::Error>,
    },
    /// A task of the query panicked.
    #[error("a task of the query panicked")]
    Panicked,
    /// The engine below failed in a way that a statement should never cause.
    #[error("internal error of the query engine: {message}")]
    Engine {
        /// Its words.
        message: String,
        /// Itself.
        source: Arc<dyn Error + Send + Sync>,
    },
}

fn named(file: Option<SstableId>) -> String {
    file.map_or_else(|| "a table file".to_owned(), |file| format!("file table-{}.sst", file.0))
}

/// Whether the system said that there is no space; layers below wrap its error more than once.
fn is_disk_full(error: &io::Error) -> bool {
    let full = |error: &io::Error| {
        matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    };
    let mut cause = error.source();
    while let Some(inner) = cause {
        if inner.downcast_ref::<io::Error>().is_some_and(full) {
            return true;
        }
        cause = inner.source();
    }
    full(error)
}

impl AnalyticsError {
    /// What the caller does about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            AnalyticsError::Value(_) => ErrorKind::Statement,
            AnalyticsError::NotSupported { .. } => ErrorKind::NotSupported,
            AnalyticsError::OutOfMemory { .. } | AnalyticsError::TooManyQueries { .. } => {
                ErrorKind::Resources
            }
            AnalyticsError::Cancelled | AnalyticsError::Stalled => ErrorKind::Cancelled,
            AnalyticsError::Read { .. }
            | AnalyticsError::Write { .. }
            | AnalyticsError::Threads { .. }
            | AnalyticsError::Panicked
            | AnalyticsError::Engine { .. } => ErrorKind::System,
        }
    }

    /// The code that the client sees.
    pub fn sqlstate(&self) -> SqlState {
        match self {
            AnalyticsError::Value(error) => error.sqlstate,
            AnalyticsError::NotSupported { .. } => SqlState::FEATURE_NOT_SUPPORTED,
            AnalyticsError::OutOfMemory { .. } => SqlState::OUT_OF_MEMORY,
            AnalyticsError::TooManyQueries { .. } => SqlState::INSUFFICIENT_RESOURCES,
            AnalyticsError::Cancelled | AnalyticsError::Stalled => SqlState::QUERY_CANCELED,
            AnalyticsError::Read { sqlstate, .. } => *sqlstate,
            AnalyticsError::Write { source } if is_disk_full(source) => SqlState::DISK_FULL,
            AnalyticsError::Write { .. } => SqlState::IO_ERROR,
            AnalyticsError::Threads { .. }
            | AnalyticsError::Panicked
            | AnalyticsError::Engine { .. } => SqlState::INTERNAL_ERROR,
        }
    }

    pub(crate) fn not_supported(feature: impl Into<String>) -> AnalyticsError {
        AnalyticsError::NotSupported { feature: feature.into() }
    }

    fn from_boxed(source: Box<dyn Error + Send + Sync>) -> AnalyticsError {
        let source = match source.downcast::<AnalyticsError>() {
            Ok(own) => return *own,
            Err(other) => other,
        };
        let source = match source.downcast::<ValueError>() {
            Ok(value) => return AnalyticsError::Value(*value),
            Err(other) => other,
        };
        match source.downcast::<DataFusionError>() {
            Ok(inner) => AnalyticsError::from(*inner),
            Err(other) => {
                AnalyticsError::Engine { message: other.to_string(), source: Arc::from(other) }
            }
        }
    }

    /// The error inside one that several partitions share.
    fn from_shared(error: &DataFusionError) -> AnalyticsError {
        match error {
            DataFusionError::Shared(inner) => AnalyticsError::from_shared(inner),
            DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
                AnalyticsError::from_shared(inner)
            }
            DataFusionError::Collection(errors) if !errors.is_empty() => {
                AnalyticsError::from_shared(&errors[0])
            }
            DataFusionError::External(source) => {
                if let Some(own) = source.downcast_ref::<AnalyticsError>() {
                    return own.clone();
                }
                if let Some(value) = source.downcast_ref::<ValueError>() {
                    return AnalyticsError::Value(value.clone());
                }
                AnalyticsError::engine(error.to_string())
            }
            DataFusionError::ArrowError(inner, _) => match &**inner {
                ArrowError::ExternalError(source) => {
                    if let Some(own) = source.downcast_ref::<AnalyticsError>() {
                        return own.clone();
                    }
                    AnalyticsError::engine(error.to_string())
                }
                _ => AnalyticsError::engine(error.to_string()),
            },
            DataFusionError::ResourcesExhausted(reason) => {
                AnalyticsError::OutOfMemory { reason: reason.clone() }
            }
            DataFusionError::IoError(inner) => {
                let kind =
                    if is_disk_full(inner) { io::ErrorKind::StorageFull } else { inner.kind() };
                AnalyticsError::Write { source: Arc::new(io::Error::new(kind, inner.to_string())) }
            }
            _ => AnalyticsError::engine(error.to_string()),
        }
    }

    fn engine(message: String) -> AnalyticsError {
        AnalyticsError::Engine {
            source: Arc::from(Box::<dyn Error + Send + Sync>::from(&*message)),
            message,
        }
    }
}

impl From<DataFusionError> for AnalyticsError {
    fn from(error: DataFusionError) -> AnalyticsError {
        match error {
            DataFusionError::External(source) => AnalyticsError::from_boxed(source),
            DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
                AnalyticsError::from(*inner)
            }
            DataFusionError::Collection(mut errors) if !errors.is_empty() => {
                AnalyticsError::from(errors.swap_remove(0))
            }
            DataFusionError::Shared(inner) => AnalyticsError::from_shared(&inner),
            DataFusionError::ResourcesExhausted(reason) => AnalyticsError::OutOfMemory { reason },
            DataFusionError::IoError(source) => AnalyticsError::Write { source: Arc::new(source) },
            DataFusionError::ArrowError(inner, _) => AnalyticsError::from(*inner),
            DataFusionError::ExecutionJoin(join) if join.is_panic() => AnalyticsError::Panicked,
            DataFusionError::ExecutionJoin(_) => AnalyticsError::Cancelled,
            other => AnalyticsError::Engine { message: other.to_string(), source: Arc::new(other) },
        }
    }
}

impl From<ArrowError> for AnalyticsError {
    fn from(error: ArrowError) -> AnalyticsError {
        match error {
            ArrowError::ExternalError(source) => AnalyticsError::from_boxed(source),
            ArrowError::IoError(_, source) => AnalyticsError::Write { source: Arc::new(source) },
            other => AnalyticsError::Engine { message: other.to_string(), source: Arc::new(other) },
        }
    }
}

impl From<AnalyticsError> for DataFusionError {
    fn from(error: AnalyticsError) -> DataFusionError {
        match error {
            // Operators ask for this variant to know that they may spill and try again.
            AnalyticsError::OutOfMemory { reason } => DataFusionError::ResourcesExhausted(reason),
            other => DataFusionError::External(Box::new(other)),
        }
    }
}

/// An expression's error on its way through the engine below.
pub(crate) fn raised(error: ValueError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
