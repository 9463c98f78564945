//! What goes wrong with a disk, besides crashes: errors of the device, no space, flushes that lie.

use std::io;
use std::path::Path;

use platform::{DiskError, DiskOperation};
use types::ByteOffset;

/// EIO, EROFS, ENOSPC as the kernel numbers them.
const EIO: i32 = 5;
const EROFS: i32 = 30;
const ENOSPC: i32 = 28;

/// How long a fault lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// One operation fails.
    Once,
    /// Every later operation of the kind fails, until healed.
    Persistent,
}

/// An error of the device, planned.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Which operation fails: read, write or sync.
    pub operation: DiskOperation,
    /// Operations of that kind that still succeed.
    pub after: u64,
    /// How long it lasts.
    pub kind: FaultKind,
}

/// What goes wrong with the disk of a world.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    planned: Vec<Fault>,
    /// Bytes that all files may have together.
    pub(crate) capacity: Option<u64>,
    /// A failed write or flush made the file system read-only, for ever: that is what ext4 does.
    read_only: bool,
    /// Flushes answer "done" and do nothing.
    pub(crate) flushes_lie: bool,
}

/// True for what a read-only file system refuses.
fn changes(operation: DiskOperation) -> bool {
    !matches!(operation, DiskOperation::Read | DiskOperation::Stat | DiskOperation::List)
}

impl Faults {
    pub(crate) fn plan(&mut self, fault: Fault) {
        self.planned.push(fault);
    }

    /// The device answers again; a file system that became read-only stays so.
    pub(crate) fn heal(&mut self) {
        self.planned.clear();
    }

    /// The error that an operation meets, if it meets one.
    pub(crate) fn meet(
        &mut self,
        operation: DiskOperation,
        path: &Path,
        offset: u64,
    ) -> Result<(), DiskError> {
        let error = |code: i32| {
            let source = io::Error::from_raw_os_error(code);
            Err(DiskError::from_io(operation, path, ByteOffset(offset), source))
        };
        let mut failed = false;
        for fault in self.planned.iter_mut().filter(|fault| fault.operation == operation) {
            failed |= fault.after == 0;
            fault.after = fault.after.saturating_sub(1);
        }
        if failed {
            self.planned.retain(|fault| {
                fault.operation != operation || fault.after > 0 || fault.kind != FaultKind::Once
            });
            self.read_only |= changes(operation);
            return error(EIO);
        }
        if self.read_only && changes(operation) {
            return error(EROFS);
        }
        Ok(())
    }

    /// The error of a file system that is full.
    pub(crate) fn no_space(operation: DiskOperation, path: &Path, offset: u64) -> DiskError {
        let source = io::Error::from_raw_os_error(ENOSPC);
        DiskError::from_io(operation, path, ByteOffset(offset), source)
    }
}
