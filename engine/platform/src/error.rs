//! What can go wrong outside, told apart by what the caller does next. Facts (operation, path,
//! offset) and the source travel with each error.
//!
//! Errors are `Clone` (their source is shared), because one failed flush answers every transaction
//! of its cohort.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use types::ByteOffset;

/// What was asked of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskOperation {
    /// Open or create a file.
    Open,
    /// Read.
    Read,
    /// Write.
    Write,
    /// Flush data, or a directory's names, to the device.
    Sync,
    /// Grow a file with written zeroes, or set its length.
    Allocate,
    /// Ask for a length or for free space.
    Stat,
    /// Rename.
    Rename,
    /// Remove.
    Remove,
    /// Make a directory.
    CreateDirectory,
    /// List a directory.
    List,
}

/// What the caller does about a [`DiskError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskErrorKind {
    /// The file system is full or over quota: stop the job, remove its file, refuse writes with
    /// 53100, go on reading.
    NoSpace,
    /// The device or file system failed: fence. Never retried, since a second flush may lie.
    Device,
    /// No such file or directory.
    NotFound,
    /// The name is taken.
    AlreadyExists,
    /// Permission, open-file limit, memory, or an unsupported operation: the operator's to change.
    Refused,
    /// A read went past the end of the file.
    PastEnd,
    /// The runtime is shutting down.
    Closed,
    /// The job that asked was cancelled.
    Cancelled,
}

/// A failed disk operation.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DiskError {
    /// See [`DiskErrorKind::NoSpace`].
    #[error("no space left on the device: {operation:?} of {} at {}", path.display(), offset.0)]
    NoSpace {
        /// What was asked.
        operation: DiskOperation,
        /// Of which file.
        path: PathBuf,
        /// Where; zero where an operation has no offset.
        offset: ByteOffset,
        /// What the kernel said.
        source: Arc<io::Error>,
    },
    /// See [`DiskErrorKind::Device`].
    #[error("the device failed: {operation:?} of {} at {}", path.display(), offset.0)]
    Device {
        /// What was asked.
        operation: DiskOperation,
        /// Of which file.
        path: PathBuf,
        /// Where; zero where an operation has no offset.
        offset: ByteOffset,
        /// What the kernel said.
        source: Arc<io::Error>,
    },
    /// See [`DiskErrorKind::NotFound`].
    #[error("{} does not exist", path.display())]
    NotFound {
        /// What was named.
        path: PathBuf,
    },
    /// See [`DiskErrorKind::AlreadyExists`].
    #[error("{} exists already", path.display())]
    AlreadyExists {
        /// What was named.
        path: PathBuf,
    },
    /// See [`DiskErrorKind::Refused`].
    #[error("the system refused {operation:?} of {}", path.display())]
    Refused {
        /// What was asked.
        operation: DiskOperation,
        /// Of which file.
        path: PathBuf,
        /// What the kernel said.
        source: Arc<io::Error>,
    },
    /// See [`DiskErrorKind::PastEnd`].
    #[error("{} ends at {bytes_there} bytes after offset {}, {bytes_asked} were asked", path.display(), offset.0)]
    PastEnd {
        /// Of which file.
        path: PathBuf,
        /// Where the read began.
        offset: ByteOffset,
        /// How much was asked.
        bytes_asked: usize,
        /// How much there was.
        bytes_there: usize,
    },
    /// See [`DiskErrorKind::Closed`].
    #[error("the disk driver has shut down")]
    Closed,
    /// See [`DiskErrorKind::Cancelled`].
    #[error("cancelled while waiting for the disk")]
    Cancelled,
}

impl DiskError {
    /// What the caller does next.
    pub fn kind(&self) -> DiskErrorKind {
        match self {
            DiskError::NoSpace { .. } => DiskErrorKind::NoSpace,
            DiskError::Device { .. } => DiskErrorKind::Device,
            DiskError::NotFound { .. } => DiskErrorKind::NotFound,
            DiskError::AlreadyExists { .. } => DiskErrorKind::AlreadyExists,
            DiskError::Refused { .. } => DiskErrorKind::Refused,
            DiskError::PastEnd { .. } => DiskErrorKind::PastEnd,
            DiskError::Closed => DiskErrorKind::Closed,
            DiskError::Cancelled => DiskErrorKind::Cancelled,
        }
    }

    /// Sorts what the kernel said. Everything that is not known to be harmless is a device error.
    pub fn from_io(
        operation: DiskOperation,
        path: &Path,
        offset: ByteOffset,
        error: io::Error,
    ) -> DiskError {
        let path = path.to_path_buf();
        match error.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => {
                DiskError::NoSpace { operation, path, offset, source: Arc::new(error) }
            }
            io::ErrorKind::NotFound => DiskError::NotFound { path },
            io::ErrorKind::AlreadyExists => DiskError::AlreadyExists { path },
            _ if refused(operation, &error) => {
                DiskError::Refused { operation, path, source: Arc::new(error) }
            }
            _ => DiskError::Device { operation, path, offset, source: Arc::new(error) },
        }
    }
}

/// True for what an operator can change. A refused read, write or flush of an open file stays a
/// device error: nothing of ours explains it.
fn refused(operation: DiskOperation, error: &io::Error) -> bool {
    /// EMFILE and ENFILE: too many open files, in this process or on this machine.
    const TOO_MANY_FILES: [i32; 2] = [24, 23];
    if matches!(operation, DiskOperation::Read | DiskOperation::Write | DiskOperation::Sync) {
        return matches!(error.kind(), io::ErrorKind::OutOfMemory);
    }
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::Unsupported
            | io::ErrorKind::OutOfMemory
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::DirectoryNotEmpty
            | io::ErrorKind::InvalidFilename
            | io::ErrorKind::CrossesDevices
    ) || error.raw_os_error().is_some_and(|code| TOO_MANY_FILES.contains(&code))
}

/// Why a background job gave no result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JobError {
    /// The job panicked: its query fails with XX000, the node lives.
    #[error("a background job panicked: {message}")]
    Panicked {
        /// What the panic said.
        message: String,
    },
    /// The queue of its class is full: try later or refuse the work that needs it.
    #[error("the queue of background jobs is full")]
    Refused,
    /// The pool shut down before the job ran or ended.
    #[error("the background threads have shut down")]
    Closed,
}

/// What the caller does about a [`SocketError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketErrorKind {
    /// The peer is gone or the connection broke: end the session.
    Disconnected,
    /// The address cannot be listened on: refuse to start.
    AddressUnavailable,
    /// The system refuses (open files, memory): shed.
    Refused,
    /// Nobody answers at the address, or nobody in time: try later.
    Unreachable,
}

/// A failed socket operation.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SocketError {
    /// See [`SocketErrorKind::Disconnected`].
    #[error("the connection is gone")]
    Disconnected {
        /// What the kernel said.
        source: Arc<io::Error>,
    },
    /// See [`SocketErrorKind::AddressUnavailable`].
    #[error("cannot listen on {address}")]
    AddressUnavailable {
        /// Where.
        address: std::net::SocketAddr,
        /// What the kernel said.
        source: Arc<io::Error>,
    },
    /// See [`SocketErrorKind::Refused`].
    #[error("the system refused a socket operation")]
    Refused {
        /// What the kernel said.
        source: Arc<io::Error>,
    },
    /// See [`SocketErrorKind::Unreachable`].
    #[error("{address} cannot be reached")]
    Unreachable {
        /// Where.
        address: std::net::SocketAddr,
        /// What the kernel said.
        source: Arc<io::Error>,
    },
    /// See [`SocketErrorKind::Unreachable`].
    #[error("{address} did not answer in time")]
    NoAnswer {
        /// Where.
        address: std::net::SocketAddr,
    },
}

impl SocketError {
    /// Sorts what the kernel said to an attempt to connect.
    pub fn from_connect(address: std::net::SocketAddr, error: io::Error) -> SocketError {
        /// EMFILE and ENFILE: too many open files, in this process or on this machine.
        const TOO_MANY_FILES: [i32; 2] = [24, 23];
        let shed = error.raw_os_error().is_some_and(|code| TOO_MANY_FILES.contains(&code))
            || error.kind() == io::ErrorKind::OutOfMemory;
        let source = Arc::new(error);
        if shed {
            SocketError::Refused { source }
        } else {
            SocketError::Unreachable { address, source }
        }
    }

    /// What the caller does next.
    pub fn kind(&self) -> SocketErrorKind {
        match self {
            SocketError::Disconnected { .. } => SocketErrorKind::Disconnected,
            SocketError::AddressUnavailable { .. } => SocketErrorKind::AddressUnavailable,
            SocketError::Refused { .. } => SocketErrorKind::Refused,
            SocketError::Unreachable { .. } | SocketError::NoAnswer { .. } => {
                SocketErrorKind::Unreachable
            }
        }
    }
}

/// The other end of a channel is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the other end of the channel is gone")]
pub struct ChannelClosed;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_errors_are_sorted_by_what_to_do() {
        let sort = |operation, code| {
            DiskError::from_io(
                operation,
                Path::new("f"),
                ByteOffset(0),
                io::Error::from_raw_os_error(code),
            )
            .kind()
        };
        assert_eq!(sort(DiskOperation::Write, 28), DiskErrorKind::NoSpace);
        assert_eq!(sort(DiskOperation::Write, 122), DiskErrorKind::NoSpace);
        assert_eq!(sort(DiskOperation::Sync, 5), DiskErrorKind::Device);
        assert_eq!(sort(DiskOperation::Write, 30), DiskErrorKind::Device);
        assert_eq!(sort(DiskOperation::Write, 22), DiskErrorKind::Device);
        assert_eq!(sort(DiskOperation::Open, 2), DiskErrorKind::NotFound);
        assert_eq!(sort(DiskOperation::Open, 17), DiskErrorKind::AlreadyExists);
        assert_eq!(sort(DiskOperation::Open, 24), DiskErrorKind::Refused);
        assert_eq!(sort(DiskOperation::Open, 13), DiskErrorKind::Refused);
    }
}
