//! [`BlockIo`] of background jobs: each operation happens when it is called; a job that is a thread of its own lets the world go on before each.

use std::path::Path;
use std::sync::Arc;

use platform::{AlignedBuf, BlockIo, BlockRead, DirectoryEntry, DiskError, FileHandle, OpenMode};
use types::{ByteCount, ByteOffset};

use crate::background::Baton;
use crate::machine::Machine;

pub(crate) struct SimBlockIo {
    pub(crate) machine: Arc<Machine>,
    /// Present in a job that is a thread.
    pub(crate) baton: Option<Arc<Baton>>,
}

impl SimBlockIo {
    fn step(&self) -> &Machine {
        if let Some(baton) = &self.baton {
            baton.hand_to_world();
        }
        &self.machine
    }
}

impl BlockIo for SimBlockIo {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<FileHandle, DiskError> {
        self.step().open(path, mode, None)
    }

    fn read_many(&self, reads: &[BlockRead]) -> Result<Vec<AlignedBuf>, DiskError> {
        let machine = self.step();
        let read = |read: &BlockRead| {
            let mut buffer = AlignedBuf::zeroed(read.bytes);
            machine.read(&read.file, read.offset.0, &mut buffer)?;
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
        self.step().write(file, offset.0, buffer, None)
    }

    fn sync(&self, file: &FileHandle) -> Result<(), DiskError> {
        let machine = self.step();
        let coverage = machine.lock().coverage();
        machine.sync(file, &coverage)
    }

    fn file_bytes(&self, file: &FileHandle) -> Result<ByteCount, DiskError> {
        self.step().file_bytes(file)
    }

    fn set_file_bytes(&self, file: &FileHandle, bytes: ByteCount) -> Result<(), DiskError> {
        self.step().set_file_bytes(file, bytes.0)
    }

    fn create_directory(&self, path: &Path) -> Result<(), DiskError> {
        self.step().create_directory(path, None)
    }

    fn rename(&self, source: &Path, target: &Path) -> Result<(), DiskError> {
        self.step().rename(source, target, None)
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        self.step().remove(path, None)
    }

    fn sync_directory(&self, directory: &Path) -> Result<(), DiskError> {
        let machine = self.step();
        let coverage = machine.lock().coverage();
        machine.sync_directory(directory, &coverage)
    }

    fn list(&self, directory: &Path) -> Result<Vec<DirectoryEntry>, DiskError> {
        self.step().list(directory)
    }

    fn free_bytes(&self, _directory: &Path) -> Result<ByteCount, DiskError> {
        Ok(self.step().free_bytes())
    }
}
