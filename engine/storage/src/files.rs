//! Table files as the shards share them: opened once, immutable, deleted when no version of any shard and no pin names them.
//!
//! A [`TableFile`] counts the pieces of it that durable versions name. When the last is gone the file is doomed; when also the last `Arc` is gone (a
//! snapshot, a job, a read in flight) its name is queued, and the next shard that does housekeeping removes it. A crash before that leaves an orphan,
//! which the next start removes.
#![expect(
    clippy::disallowed_types,
    reason = "the last holder may be on any thread; the lock is held for a push or a take"
)]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use platform::{BlockIo, BlockRead, FileHandle, OpenMode};
use sstable::{Metadata, Opened};
use types::limits::BLOCK_BYTES;
use types::{ByteOffset, SliceId, SstableId};

use crate::error::StorageError;
use crate::version_edit::FileEntry;

/// Name of a table file in its directory.
pub fn table_file_name(file: SstableId) -> String {
    format!("table-{}.sst", file.0)
}

/// Inverse of [`table_file_name`].
pub fn parse_table_file_name(name: &str) -> Option<SstableId> {
    let file = SstableId(name.strip_prefix("table-")?.strip_suffix(".sst")?.parse().ok()?);
    (table_file_name(file) == name).then_some(file)
}

/// What all shards know of the table files of their data directory.
#[derive(Debug)]
pub struct FileRegistry {
    directory: PathBuf,
    next_file: AtomicU64,
    doomed: Mutex<Vec<PathBuf>>,
    /// The disk was full when last written to; cleared by a write that succeeds.
    disk_full: AtomicBool,
}

impl FileRegistry {
    /// For a directory in which no file has `next_file` or a higher id.
    pub fn new(directory: PathBuf, next_file: SstableId) -> FileRegistry {
        FileRegistry {
            directory,
            next_file: AtomicU64::new(next_file.0),
            doomed: Mutex::new(Vec::new()),
            disk_full: AtomicBool::new(false),
        }
    }

    /// An id that no file had before.
    pub fn next_file(&self) -> SstableId {
        SstableId(self.next_file.fetch_add(1, Ordering::Relaxed))
    }

    /// Where the files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where a file is.
    pub fn path_of(&self, file: SstableId) -> PathBuf {
        self.directory.join(table_file_name(file))
    }

    /// Files to remove now; the caller removes them.
    pub fn take_doomed(&self) -> Vec<PathBuf> {
        std::mem::take(&mut self.doomed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn doom(&self, path: PathBuf) {
        self.doomed.lock().unwrap_or_else(PoisonError::into_inner).push(path);
    }

    /// Whether the disk was full when a table file was last written.
    pub fn is_disk_full(&self) -> bool {
        self.disk_full.load(Ordering::Relaxed)
    }

    /// Notes whether the disk is full.
    pub fn set_disk_full(&self, full: bool) {
        self.disk_full.store(full, Ordering::Relaxed);
    }
}

/// An open table file.
pub struct TableFile {
    /// Its id.
    pub id: SstableId,
    /// The open file; for any disk and block I/O of the node.
    pub handle: FileHandle,
    /// Footer, key index, filter, zone maps.
    pub metadata: Arc<Metadata>,
    registry: Arc<FileRegistry>,
    pieces_named: AtomicU32,
    /// It goes with its last `Arc` if no version names it then: a version has named it, or a bulk write has made it.
    goes: AtomicBool,
}

impl std::fmt::Debug for TableFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TableFile({})", self.id)
    }
}

impl TableFile {
    /// A file that has just been written or opened; no version names it yet.
    pub fn new(
        id: SstableId,
        handle: FileHandle,
        metadata: Metadata,
        registry: Arc<FileRegistry>,
    ) -> TableFile {
        TableFile {
            id,
            handle,
            metadata: Arc::new(metadata),
            registry,
            pieces_named: AtomicU32::new(0),
            goes: AtomicBool::new(false),
        }
    }

    /// A durable version names one more piece of it.
    pub fn name_piece(&self) {
        self.pieces_named.fetch_add(1, Ordering::Relaxed);
        self.goes.store(true, Ordering::Relaxed);
    }

    /// Nobody but a bulk write knows the file: it goes with its last `Arc`, unless a version names it first.
    pub(crate) fn belongs_to_bulk_write(&self) {
        self.goes.store(true, Ordering::Relaxed);
    }

    /// No durable version names that piece any more.
    pub fn forget_piece(&self) {
        let before = self.pieces_named.fetch_sub(1, Ordering::Relaxed);
        assert!(before > 0, "a piece is forgotten once");
    }

    /// Opens a table file whose length the manifest knows.
    ///
    /// # Errors
    /// The disk's, or what is wrong with the file.
    pub fn open(
        io: &dyn BlockIo,
        registry: &Arc<FileRegistry>,
        entry: &FileEntry,
    ) -> Result<TableFile, StorageError> {
        let damage = |error: sstable::SstableError| table_damage(entry, error);
        let handle = io.open(&registry.path_of(entry.file), OpenMode::ReadOnly)?;
        let tail = sstable::tail_range(entry.byte_count);
        let bytes = read_range(io, &handle, tail)?;
        let metadata = match sstable::open(entry.byte_count, &bytes).map_err(damage)? {
            Opened::Ready(metadata) => metadata,
            Opened::Needs(opening) => {
                let bytes = read_range(io, &handle, opening.range())?;
                opening.supply(&bytes).map_err(damage)?
            }
        };
        Ok(TableFile::new(entry.file, handle, metadata, registry.clone()))
    }
}

impl Drop for TableFile {
    fn drop(&mut self) {
        let named = self.pieces_named.load(Ordering::Relaxed) > 0;
        if !named && self.goes.load(Ordering::Relaxed) {
            self.registry.doom(self.registry.path_of(self.id));
        }
    }
}

/// A piece of a table file, as versions, snapshots and jobs hold it.
#[derive(Debug, Clone)]
pub struct Piece {
    /// What the manifest says of it.
    pub entry: FileEntry,
    /// The file.
    pub file: Arc<TableFile>,
}

impl Piece {
    /// Whether a key may be in it, by slice and first and last position.
    pub fn covers(&self, slice: SliceId, key: &[u8]) -> bool {
        self.entry.holds(slice) && self.file.metadata.covers(slice, key)
    }
}

/// The error for damage in a table file.
pub(crate) fn table_damage(entry: &FileEntry, source: sstable::SstableError) -> StorageError {
    StorageError::TableDamage {
        file: entry.file,
        table: entry.table,
        slices: entry.slices,
        source: Arc::new(source),
    }
}

/// The aligned run of blocks that covers a range, and where the range begins in it.
pub(crate) fn cover(range: sstable::ByteRange) -> (ByteOffset, usize, usize) {
    let block = BLOCK_BYTES as u64;
    let start = range.offset / block * block;
    let end = range.end().next_multiple_of(block);
    (ByteOffset(start), (end - start) as usize, (range.offset - start) as usize)
}

/// Reads bytes of a file by whole blocks.
pub(crate) fn read_range(
    io: &dyn BlockIo,
    handle: &FileHandle,
    range: sstable::ByteRange,
) -> Result<Vec<u8>, StorageError> {
    let (offset, bytes, skip) = cover(range);
    let read = BlockRead { file: handle.clone(), offset, bytes };
    let buffers = io.read_many(&[read])?;
    let available = buffers[0].get(skip..).unwrap_or(&[]);
    // A file that is too short is noticed by whoever checks the bytes.
    Ok(available[..available.len().min(range.bytes as usize)].to_vec())
}
