//! Who has a data directory open: a file locked by the process, with its name and pid inside, so that a second process is told by whom it is refused.
//!
//! The lock belongs to the process, not to storage's world of blocks and logs, so it is taken with the standard library before anything of the
//! directory is opened, and held until the process ends. It goes with the process however that dies; the file stays and means nothing by itself.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the lock is taken before any core runs"
)]

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use platform::{DiskError, DiskOperation};
use types::ByteOffset;

use crate::error::StorageError;

/// Name of the lock file.
pub const LOCK_FILE_NAME: &str = "lock";

/// Holds a data directory for this process until dropped.
#[derive(Debug)]
pub struct DirectoryLock {
    file: File,
}

impl DirectoryLock {
    /// Takes the directory, making it if it is missing. `holder` says who we are (`ringfence serve`).
    ///
    /// # Errors
    /// [`StorageError::InUse`] with name and pid of the process that has it, or what the system says.
    pub fn acquire(directory: &Path, holder: &str) -> Result<DirectoryLock, StorageError> {
        let path = directory.join(LOCK_FILE_NAME);
        let failed = |operation, error| {
            StorageError::Disk(DiskError::from_io(operation, &path, ByteOffset(0), error))
        };
        std::fs::create_dir_all(directory)
            .map_err(|error| failed(DiskOperation::CreateDirectory, error))?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| failed(DiskOperation::Open, error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Whoever holds it may not have written its name yet.
                let _ = file.read_to_string(&mut holder);
                let holder = if holder.is_empty() { "another process" } else { holder.trim() };
                let path = directory.to_path_buf();
                return Err(StorageError::InUse { path, holder: holder.to_string() });
            }
            Err(TryLockError::Error(source)) => {
                return Err(StorageError::Disk(DiskError::Refused {
                    operation: DiskOperation::Open,
                    path: path.clone(),
                    source: Arc::new(source),
                }));
            }
        }
        let name = format!("{holder} (pid {})\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(name.as_bytes()))
            .map_err(|error| failed(DiskOperation::Write, error))?;
        Ok(DirectoryLock { file })
    }
}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // Closing the file gives the lock up as well; this only does it a moment earlier.
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_who_has_it() {
        let directory = std::env::temp_dir().join(format!("storage-lock-{}", std::process::id()));
        let lock = DirectoryLock::acquire(&directory, "first").expect("free");
        let Err(StorageError::InUse { holder, .. }) = DirectoryLock::acquire(&directory, "second")
        else {
            panic!("the directory is held");
        };
        assert!(holder.starts_with("first (pid "));
        drop(lock);
        DirectoryLock::acquire(&directory, "second").expect("free again");
        std::fs::remove_dir_all(&directory).expect("ours");
    }
}
