//! Operations on names, lengths and descriptors: blocking, rare, and the same for shards and
//! background jobs.
//!
//! A shard's requests run on one thread of the node, the file thread, which also closes files: the
//! last close of a removed table file frees its extents, which can take long enough to be seen in a
//! shard's latency. Its queue is bounded by the tasks that wait and by the number of open files.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use platform::{
    AlignedBuf, Completion, DirectoryEntry, DiskError, DiskOperation, FileCloser, FileHandle,
    OpenMode, assert_direct, completion,
};
use types::{ByteCount, ByteOffset, MIB};

/// Whether files bypass the page cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectIo {
    /// O_DIRECT; a file system without it is refused at start.
    Required,
    /// Through the page cache, where the operator asked for it (a file system that cannot do direct
    /// I/O). Durability is the same, pacing is not.
    Buffered,
}

/// Zeroes written by one call when a log is preallocated.
const ZERO_BYTES: usize = MIB as usize;

enum FileMessage {
    Work(Box<dyn FnOnce() + Send>),
    End,
}

/// Closes one descriptor on the file thread.
struct Descriptor {
    owned: Mutex<Option<OwnedFd>>,
    closing: Sender<FileMessage>,
}

impl FileCloser for Descriptor {
    fn close(&self, _raw: u64) {
        let owned = self.owned.lock().unwrap_or_else(PoisonError::into_inner).take();
        // If the file thread has ended, the work comes back in the error and the descriptor closes
        // here.
        let _ = self.closing.send(FileMessage::Work(Box::new(move || drop(owned))));
    }
}

/// The blocking operations. Cloned into whatever thread needs them.
#[derive(Clone)]
pub(crate) struct Files {
    direct_io: DirectIo,
    closing: Sender<FileMessage>,
}

pub(crate) fn raw_descriptor(file: &FileHandle) -> RawFd {
    RawFd::try_from(file.raw()).expect("a handle of this driver holds a descriptor")
}

fn failed(operation: DiskOperation, path: &Path) -> impl FnOnce(io::Error) -> DiskError + '_ {
    move |error| DiskError::from_io(operation, path, ByteOffset(0), error)
}

impl Files {
    pub(crate) fn open(&self, path: &Path, mode: OpenMode) -> Result<FileHandle, DiskError> {
        let mut options = OpenOptions::new();
        options.read(true);
        match mode {
            OpenMode::ReadOnly => {}
            OpenMode::ReadWrite => {
                options.write(true);
            }
            OpenMode::CreateNew => {
                options.write(true).create_new(true);
            }
            OpenMode::CreateOrOpen => {
                options.write(true).create(true);
            }
        }
        if self.direct_io == DirectIo::Required {
            options.custom_flags(libc::O_DIRECT);
        }
        let file = options.open(path).map_err(failed(DiskOperation::Open, path))?;
        let raw = u64::try_from(file.as_raw_fd()).expect("an open descriptor is not negative");
        let closer = Descriptor {
            owned: Mutex::new(Some(OwnedFd::from(file))),
            closing: self.closing.clone(),
        };
        Ok(FileHandle::new(raw, path.to_path_buf(), Arc::new(closer)))
    }

    pub(crate) fn file_bytes(&self, file: &FileHandle) -> Result<ByteCount, DiskError> {
        let bytes = crate::sys::file_bytes(raw_descriptor(file));
        bytes.map(ByteCount).map_err(failed(DiskOperation::Stat, file.path()))
    }

    pub(crate) fn set_file_bytes(
        &self,
        file: &FileHandle,
        bytes: ByteCount,
    ) -> Result<(), DiskError> {
        crate::sys::set_file_bytes(raw_descriptor(file), bytes.0)
            .map_err(failed(DiskOperation::Allocate, file.path()))
    }

    pub(crate) fn allocate_zeroed(
        &self,
        file: &FileHandle,
        offset: ByteOffset,
        bytes: ByteCount,
    ) -> Result<(), DiskError> {
        let zeroes = AlignedBuf::zeroed(ZERO_BYTES);
        let end = offset.0 + bytes.0;
        assert_direct(offset, 0);
        assert_direct(ByteOffset(end), 0);
        let mut position = offset.0;
        while position < end {
            let length = (end - position).min(ZERO_BYTES as u64) as usize;
            match crate::sys::write_at(raw_descriptor(file), &zeroes[..length], position) {
                Ok(0) => {
                    let error = io::Error::from(io::ErrorKind::WriteZero);
                    let (operation, at) = (DiskOperation::Allocate, ByteOffset(position));
                    return Err(DiskError::from_io(operation, file.path(), at, error));
                }
                Ok(written) => position += written as u64,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let (operation, at) = (DiskOperation::Allocate, ByteOffset(position));
                    return Err(DiskError::from_io(operation, file.path(), at, error));
                }
            }
        }
        crate::sys::sync_data(raw_descriptor(file))
            .map_err(failed(DiskOperation::Sync, file.path()))
    }

    pub(crate) fn create_directory(&self, path: &Path) -> Result<(), DiskError> {
        fs::create_dir_all(path).map_err(failed(DiskOperation::CreateDirectory, path))
    }

    pub(crate) fn rename(&self, source: &Path, target: &Path) -> Result<(), DiskError> {
        fs::rename(source, target).map_err(failed(DiskOperation::Rename, source))
    }

    pub(crate) fn remove(&self, path: &Path) -> Result<(), DiskError> {
        fs::remove_file(path).map_err(failed(DiskOperation::Remove, path))
    }

    pub(crate) fn sync_directory(&self, directory: &Path) -> Result<(), DiskError> {
        File::open(directory)
            .and_then(|opened| opened.sync_all())
            .map_err(failed(DiskOperation::Sync, directory))
    }

    pub(crate) fn list(&self, directory: &Path) -> Result<Vec<DirectoryEntry>, DiskError> {
        let mut entries = Vec::new();
        let listed = fs::read_dir(directory).map_err(failed(DiskOperation::List, directory))?;
        for entry in listed {
            let entry = entry.map_err(failed(DiskOperation::List, directory))?;
            let about = match entry.metadata() {
                Ok(about) => about,
                // Removed since the directory was read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(DiskOperation::List, directory)(error)),
            };
            // Our own names are ASCII; a foreign one that is not text is no file of ours.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let is_directory = about.is_dir();
            let bytes = ByteCount(if is_directory { 0 } else { about.len() });
            entries.push(DirectoryEntry { name, bytes, is_directory });
        }
        entries.sort();
        Ok(entries)
    }

    pub(crate) fn free_bytes(&self, directory: &Path) -> Result<ByteCount, DiskError> {
        let bytes = crate::sys::free_bytes(directory);
        bytes.map(ByteCount).map_err(failed(DiskOperation::Stat, directory))
    }
}

/// The node's file thread.
pub(crate) struct FileThread {
    files: Files,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl FileThread {
    pub(crate) fn start(direct_io: DirectIo) -> io::Result<FileThread> {
        let (closing, queue) = channel();
        let thread = std::thread::Builder::new().name("files".to_string()).spawn(move || {
            while let Ok(FileMessage::Work(work)) = queue.recv() {
                work();
            }
        })?;
        let files = Files { direct_io, closing };
        Ok(FileThread { files, thread: Mutex::new(Some(thread)) })
    }

    /// The operations, for a thread that may block.
    pub(crate) fn files(&self) -> &Files {
        &self.files
    }

    pub(crate) fn open(
        &self,
        path: &Path,
        mode: OpenMode,
    ) -> Completion<Result<FileHandle, DiskError>> {
        let path = path.to_path_buf();
        self.run(move |files| files.open(&path, mode))
    }

    /// Runs an operation on the file thread.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Files) -> Result<T, DiskError> + Send + 'static,
    ) -> Completion<Result<T, DiskError>> {
        let (completer, completion) = completion(|| Err(DiskError::Closed));
        let files = self.files.clone();
        let message = FileMessage::Work(Box::new(move || completer.complete(work(&files))));
        // If the thread has ended, the message comes back in the error and its completer says so.
        let _ = self.files.closing.send(message);
        completion
    }

    /// Runs an operation that takes long on a thread of its own, so that it holds up neither a
    /// shard nor a close.
    pub(crate) fn run_apart<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Files) -> Result<T, DiskError> + Send + 'static,
    ) -> Completion<Result<T, DiskError>> {
        let (completer, completion) = completion(|| Err(DiskError::Closed));
        let files = self.files.clone();
        let run = move || completer.complete(work(&files));
        // If no thread can be made, the closure is dropped and its completer says so.
        let _ = std::thread::Builder::new().name("allocate".to_string()).spawn(run);
        completion
    }

    /// Ends the thread after what is queued. Files closed later close where they are dropped.
    pub(crate) fn end(&self) {
        let _ = self.files.closing.send(FileMessage::End);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // Its work does not panic; if it did, the files it held are closed all the same.
            let _ = thread.join();
        }
    }
}
