//! A shard core's files: direct I/O, explicit durability, results by [`Completion`].
//!
//! What is promised, and what the simulator therefore may take away:
//! - A completed write is **visible** to later reads. It is **durable** only once a flush covers
//!   it. A flush ([`Disk::sync`], or the one inside [`Disk::write_and_sync`]) covers the writes
//!   linked before it in the same call, and every write that had **completed before the flush was
//!   submitted**. Nothing else.
//! - A crash keeps any subset of the uncovered 512-byte sectors, in any order, torn inside a 4 KiB
//!   block.
//! - A created, renamed or removed name is durable only after [`Disk::sync_directory`] of its
//!   parent.
//! - A device error is final: it is never retried, and after it no flush of that file may be
//!   believed. "No space" is a different error ([`crate::DiskErrorKind`]).
//! - Writes in flight at one time are not ordered, except inside one [`Disk::write_and_sync`],
//!   whose flush follows its writes.
//!
//! Offsets and lengths of reads and writes are multiples of [`crate::DISK_ALIGNMENT`]; anything
//! else is our own bug and panics.
//!
//! # Cancel safety
//! Dropping a completion cancels nothing: the driver owns the buffers until the kernel is done with
//! them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use types::{ByteCount, ByteOffset};

use crate::{AlignedBuf, Completion, DISK_ALIGNMENT, DiskError};

/// How a file is opened. Always for direct I/O.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Must exist; reads only.
    ReadOnly,
    /// Must exist; reads and writes.
    ReadWrite,
    /// Must not exist; reads and writes.
    CreateNew,
    /// Made when missing, kept as it is when there; reads and writes.
    CreateOrOpen,
}

/// Closes a driver's file when the last [`FileHandle`] of it drops; from any thread, without
/// waiting.
pub trait FileCloser: Send + Sync {
    /// Closes the file known to the driver as `raw`.
    fn close(&self, raw: u64);
}

struct OpenFile {
    raw: u64,
    path: PathBuf,
    closer: Arc<dyn FileCloser>,
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        self.closer.close(self.raw);
    }
}

/// An open file. Cheap to clone; closed when the last clone drops (operations in flight keep one).
/// Valid for the [`Disk`] and the [`crate::BlockIo`] of the node that opened it, on any core.
#[derive(Clone)]
pub struct FileHandle {
    file: Arc<OpenFile>,
}

impl FileHandle {
    /// For drivers: wraps what `closer` closes.
    pub fn new(raw: u64, path: PathBuf, closer: Arc<dyn FileCloser>) -> FileHandle {
        FileHandle { file: Arc::new(OpenFile { raw, path, closer }) }
    }

    /// For drivers: their own name of the file (a descriptor, an index).
    pub fn raw(&self) -> u64 {
        self.file.raw
    }

    /// The path it was opened by. A later rename does not change it.
    pub fn path(&self) -> &Path {
        &self.file.path
    }
}

impl fmt::Debug for FileHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileHandle({})", self.file.path.display())
    }
}

/// The result of a read: the caller's buffer back, and how much of it was filled.
#[derive(Debug)]
pub struct ReadDone {
    /// The buffer given, its length set to `bytes_read`.
    pub buffer: AlignedBuf,
    /// Fewer than asked only where the file ends.
    pub bytes_read: usize,
}

/// Buffers to write at offsets, then one flush that covers them.
pub type WriteAndSync = Vec<(ByteOffset, AlignedBuf)>;

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirectoryEntry {
    /// The last part of the path.
    pub name: String,
    /// Length of a file; zero for a directory.
    pub bytes: ByteCount,
    /// True for a directory.
    pub is_directory: bool,
}

/// The files of one node as one shard core sees them. See the module page for what each operation
/// promises.
pub trait Disk {
    /// Opens a file for direct I/O. A created name is durable after [`Self::sync_directory`].
    fn open(&self, path: &Path, mode: OpenMode) -> Completion<Result<FileHandle, DiskError>>;

    /// Fills `buffer[..buffer.len()]` from `offset`. Short only at the end of the file.
    fn read_at(
        &self,
        file: &FileHandle,
        offset: ByteOffset,
        buffer: AlignedBuf,
    ) -> Completion<Result<ReadDone, DiskError>>;

    /// Writes the whole buffer and gives it back. Visible, not durable.
    fn write_at(
        &self,
        file: &FileHandle,
        offset: ByteOffset,
        buffer: AlignedBuf,
    ) -> Completion<Result<AlignedBuf, DiskError>>;

    /// Writes the buffers, then flushes: completes when all of them are durable. Gives the buffers
    /// back in the order given. An error says nothing about which of the writes reached the device.
    fn write_and_sync(
        &self,
        file: &FileHandle,
        writes: WriteAndSync,
    ) -> Completion<Result<Vec<AlignedBuf>, DiskError>>;

    /// Flushes the file's data and its length (fdatasync).
    fn sync(&self, file: &FileHandle) -> Completion<Result<(), DiskError>>;

    /// The file's length.
    fn file_bytes(&self, file: &FileHandle) -> Completion<Result<ByteCount, DiskError>>;

    /// **Writes** zeroes over `[offset, offset + bytes)` and flushes, so that later writes there
    /// neither allocate nor change the length. Slow; done when a log segment is made, never per
    /// record.
    fn allocate_zeroed(
        &self,
        file: &FileHandle,
        offset: ByteOffset,
        bytes: ByteCount,
    ) -> Completion<Result<(), DiskError>>;

    /// Makes a directory and its missing parents; one that exists is fine.
    fn create_directory(&self, path: &Path) -> Completion<Result<(), DiskError>>;

    /// Gives the file another name, replacing what had it, atomically as seen by other readers.
    /// Durable after [`Self::sync_directory`].
    fn rename(&self, source: &Path, target: &Path) -> Completion<Result<(), DiskError>>;

    /// Removes a file's name. Durable after [`Self::sync_directory`]; open handles keep working.
    fn remove(&self, path: &Path) -> Completion<Result<(), DiskError>>;

    /// Makes the names in `directory` durable.
    fn sync_directory(&self, directory: &Path) -> Completion<Result<(), DiskError>>;

    /// The names in `directory`, sorted.
    fn list(&self, directory: &Path) -> Completion<Result<Vec<DirectoryEntry>, DiskError>>;
}

/// For drivers: asserts what direct I/O demands of its caller.
///
/// # Panics
/// If the offset or the length is not a multiple of [`DISK_ALIGNMENT`].
pub fn assert_direct(offset: ByteOffset, bytes: usize) {
    let alignment = DISK_ALIGNMENT as u64;
    assert!(offset.0.is_multiple_of(alignment), "unaligned file offset {}", offset.0);
    assert!(bytes.is_multiple_of(DISK_ALIGNMENT), "unaligned length {bytes}");
}
