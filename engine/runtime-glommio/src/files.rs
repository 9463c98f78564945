//! Files by number, and the blocking operations on them, in `std` alone.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use platform::{
    AlignedBuf, BlockIo, BlockRead, DirectoryEntry, DiskError, DiskOperation, FileCloser,
    FileHandle, OpenMode, assert_direct,
};
use types::{ByteCount, ByteOffset, MIB};

/// Whether files bypass the page cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectIo {
    /// O_DIRECT.
    Required,
    /// Through the page cache.
    Buffered,
}

/// All open files of a node.
pub(crate) struct OpenFiles {
    files: Mutex<BTreeMap<u64, Arc<File>>>,
    next: AtomicU64,
    direct_io: DirectIo,
}

impl FileCloser for OpenFiles {
    fn close(&self, raw: u64) {
        let file = self.files.lock().unwrap_or_else(PoisonError::into_inner).remove(&raw);
        drop(file);
    }
}

/// The operations; shared by shards (through their file threads) and background jobs.
#[derive(Clone)]
pub(crate) struct Files {
    open: Arc<OpenFiles>,
}

fn failed(operation: DiskOperation, path: &Path) -> impl FnOnce(io::Error) -> DiskError + '_ {
    move |error| DiskError::from_io(operation, path, ByteOffset(0), error)
}

fn failed_at<'a>(
    operation: DiskOperation,
    file: &'a FileHandle,
    offset: u64,
) -> impl FnOnce(io::Error) -> DiskError + 'a {
    move |error| DiskError::from_io(operation, file.path(), ByteOffset(offset), error)
}

impl Files {
    pub(crate) fn new(direct_io: DirectIo) -> Files {
        let (files, next) = (Mutex::default(), AtomicU64::new(1));
        Files { open: Arc::new(OpenFiles { files, next, direct_io }) }
    }

    fn file(&self, handle: &FileHandle) -> Arc<File> {
        let files = self.open.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.get(&handle.raw()).expect("a handle keeps its file open").clone()
    }

    /// Fills the buffer; shorter only at the end of the file.
    pub(crate) fn read_at(
        &self,
        handle: &FileHandle,
        offset: ByteOffset,
        buffer: &mut AlignedBuf,
    ) -> Result<usize, DiskError> {
        assert_direct(offset, buffer.len());
        let file = self.file(handle);
        let mut filled = 0;
        while filled < buffer.len() {
            let at = offset.0 + filled as u64;
            match file.read_at(&mut buffer[filled..], at) {
                Ok(0) => break,
                Ok(bytes) => filled += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed_at(DiskOperation::Read, handle, at)(error)),
            }
            if !filled.is_multiple_of(platform::DISK_ALIGNMENT) {
                break;
            }
        }
        buffer.set_len(filled);
        Ok(filled)
    }

    pub(crate) fn allocate_zeroed(
        &self,
        file: &FileHandle,
        offset: ByteOffset,
        bytes: ByteCount,
    ) -> Result<(), DiskError> {
        let mut zeroes = AlignedBuf::zeroed(MIB as usize);
        let mut written = 0;
        while written < bytes.0 {
            zeroes.set_len((bytes.0 - written).min(MIB) as usize);
            self.write_at(file, offset + ByteCount(written), &zeroes)?;
            written += zeroes.len() as u64;
        }
        self.sync(file)
    }
}

impl BlockIo for Files {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<FileHandle, DiskError> {
        let mut options = OpenOptions::new();
        options.read(true).write(mode != OpenMode::ReadOnly);
        options.create(mode == OpenMode::CreateOrOpen).create_new(mode == OpenMode::CreateNew);
        if self.open.direct_io == DirectIo::Required {
            options.custom_flags(libc::O_DIRECT);
        }
        let file = options.open(path).map_err(failed(DiskOperation::Open, path))?;
        let raw = self.open.next.fetch_add(1, Ordering::Relaxed);
        let mut files = self.open.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.insert(raw, Arc::new(file));
        Ok(FileHandle::new(raw, path.to_path_buf(), self.open.clone()))
    }

    fn read_many(&self, reads: &[BlockRead]) -> Result<Vec<AlignedBuf>, DiskError> {
        let read = |read: &BlockRead| {
            let mut buffer = AlignedBuf::zeroed(read.bytes);
            self.read_at(&read.file, read.offset, &mut buffer)?;
            Ok(buffer)
        };
        reads.iter().map(read).collect()
    }

    fn write_at(
        &self,
        file: &FileHandle,
        offset: ByteOffset,
        buffer: &AlignedBuf,
    ) -> Result<(), DiskError> {
        assert_direct(offset, buffer.len());
        let written = self.file(file).write_all_at(buffer, offset.0);
        written.map_err(failed_at(DiskOperation::Write, file, offset.0))
    }

    fn sync(&self, file: &FileHandle) -> Result<(), DiskError> {
        self.file(file).sync_data().map_err(failed_at(DiskOperation::Sync, file, 0))
    }

    fn file_bytes(&self, file: &FileHandle) -> Result<ByteCount, DiskError> {
        let about = self.file(file).metadata();
        about.map(|about| ByteCount(about.len())).map_err(failed_at(DiskOperation::Stat, file, 0))
    }

    fn set_file_bytes(&self, file: &FileHandle, bytes: ByteCount) -> Result<(), DiskError> {
        self.file(file).set_len(bytes.0).map_err(failed_at(DiskOperation::Allocate, file, 0))
    }

    fn create_directory(&self, path: &Path) -> Result<(), DiskError> {
        fs::create_dir_all(path).map_err(failed(DiskOperation::CreateDirectory, path))
    }

    fn rename(&self, source: &Path, target: &Path) -> Result<(), DiskError> {
        fs::rename(source, target).map_err(failed(DiskOperation::Rename, source))
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        fs::remove_file(path).map_err(failed(DiskOperation::Remove, path))
    }

    fn sync_directory(&self, directory: &Path) -> Result<(), DiskError> {
        File::open(directory)
            .and_then(|opened| opened.sync_all())
            .map_err(failed(DiskOperation::Sync, directory))
    }

    fn list(&self, directory: &Path) -> Result<Vec<DirectoryEntry>, DiskError> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(directory).map_err(failed(DiskOperation::List, directory))? {
            let entry = entry.map_err(failed(DiskOperation::List, directory))?;
            let Ok(about) = entry.metadata() else { continue };
            let Ok(name) = entry.file_name().into_string() else { continue };
            let is_directory = about.is_dir();
            let bytes = ByteCount(if is_directory { 0 } else { about.len() });
            entries.push(DirectoryEntry { name, bytes, is_directory });
        }
        entries.sort();
        Ok(entries)
    }

    fn free_bytes(&self, directory: &Path) -> Result<ByteCount, DiskError> {
        let space = nix::sys::statvfs::statvfs(directory);
        let space = space.map_err(|error| failed(DiskOperation::Stat, directory)(error.into()))?;
        Ok(ByteCount(space.blocks_available() * space.fragment_size()))
    }
}
