//! Whether this machine can run the runtime at all; if not, one sentence that says what to change.

use std::io;
use std::path::Path;

use io_uring::{Probe, opcode};
use platform::{AlignedBuf, OpenMode};
use types::ByteOffset;

use super::ring::{Finished, Operation, Ring, RingUse, Tag, Wait};
use crate::error::RuntimeError;
use crate::files::{DirectIo, FileThread};

/// Refuses a kernel or container that lacks what the driver uses, and a directory whose file system
/// does not do direct I/O.
///
/// # Errors
/// One variant for each thing to change; its text is the sentence for the operator.
pub fn probe(data_directory: Option<&Path>, direct_io: DirectIo) -> Result<(), RuntimeError> {
    let mut ring = Ring::new(RingUse::Core).map_err(ring_refused)?;
    check_operations(&ring)?;
    if let Some(directory) = data_directory {
        check_direct_io(&mut ring, directory, direct_io)?;
    }
    Ok(())
}

/// Whether a seccomp filter stands between this process and the kernel.
fn is_filtered() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mode = status.lines().find_map(|line| line.strip_prefix("Seccomp:"));
    mode.is_some_and(|mode| mode.trim() == "2")
}

pub(crate) fn ring_refused(error: io::Error) -> RuntimeError {
    match error.raw_os_error() {
        // Profiles of container engines answer as a kernel without it would.
        Some(libc::ENOSYS) if is_filtered() => RuntimeError::IoUringForbidden { source: error },
        Some(libc::ENOSYS) => RuntimeError::IoUringAbsent { source: error },
        Some(libc::EPERM | libc::EACCES) => RuntimeError::IoUringForbidden { source: error },
        Some(libc::ENOMEM) => RuntimeError::LockedMemory { source: error },
        Some(libc::EINVAL) => RuntimeError::KernelTooOld { missing: "deferred task run" },
        _ => RuntimeError::Ring { source: error },
    }
}

fn check_operations(ring: &Ring) -> Result<(), RuntimeError> {
    let mut probe = Probe::new();
    ring.io_uring()
        .submitter()
        .register_probe(&mut probe)
        .map_err(|source| RuntimeError::Ring { source })?;
    let needed = [
        (opcode::Read::CODE, "read"),
        (opcode::Write::CODE, "write"),
        (opcode::Fsync::CODE, "fsync"),
        (opcode::AcceptMulti::CODE, "accept"),
        (opcode::Connect::CODE, "connect"),
        (opcode::RecvMulti::CODE, "receive"),
        (opcode::Send::CODE, "send"),
        (opcode::AsyncCancel::CODE, "cancel"),
    ];
    for (code, missing) in needed {
        if !probe.is_supported(code) {
            return Err(RuntimeError::KernelTooOld { missing });
        }
    }
    let parameters = ring.io_uring().params();
    if !parameters.is_feature_ext_arg() || !parameters.is_feature_nodrop() {
        return Err(RuntimeError::KernelTooOld { missing: "waiting with a time limit" });
    }
    Ok(())
}

/// Writes one block of a file of our own and removes it.
fn check_direct_io(
    ring: &mut Ring,
    directory: &Path,
    direct_io: DirectIo,
) -> Result<(), RuntimeError> {
    let refused = |source| RuntimeError::DirectIo { directory: directory.to_path_buf(), source };
    let files = FileThread::start(direct_io).map_err(|source| RuntimeError::Thread { source })?;
    let path = directory.join(format!(".probe-{}", std::process::id()));
    let result = (|| {
        let file = files.files().open(&path, OpenMode::CreateOrOpen).map_err(refused)?;
        let buffer = AlignedBuf::zeroed(platform::DISK_ALIGNMENT);
        let operation =
            Operation::Write { file: file.clone(), offset: ByteOffset(0), buffer, written: 0 };
        ring.start(Tag::Read(0), operation);
        let mut finished: Vec<Finished> = Vec::new();
        while finished.is_empty() {
            ring.submit(Wait::ForCompletion).map_err(|source| RuntimeError::Ring { source })?;
            ring.reap(&mut finished);
        }
        match finished[0].error() {
            Some(error) => Err(refused(platform::DiskError::from_io(
                platform::DiskOperation::Write,
                file.path(),
                ByteOffset(0),
                error,
            ))),
            None => Ok(()),
        }
    })();
    // The file may never have been made.
    let _ = files.files().remove(&path);
    files.end();
    result
}
