//! Why the runtime does not start. Each text is the one sentence that an operator reads, and says
//! what to change.

use std::io;
use std::path::PathBuf;

use platform::DiskError;

/// A refusal to start.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The kernel was built or booted without io_uring.
    #[error("this kernel has no io_uring: run on Linux 6.1 or later, built with CONFIG_IO_URING")]
    IoUringAbsent {
        /// What the kernel said.
        source: io::Error,
    },
    /// A container profile or a sysctl forbids io_uring.
    #[error(
        "io_uring is forbidden here: in a container allow it (the default seccomp profile blocks \
         it; use --security-opt seccomp=unconfined or a profile with io_uring_setup, \
         io_uring_enter and io_uring_register), otherwise set sysctl kernel.io_uring_disabled=0"
    )]
    IoUringForbidden {
        /// What the kernel said.
        source: io::Error,
    },
    /// Rings and buffers do not fit the limit of locked memory.
    #[error(
        "too little locked memory for the rings: raise it (ulimit -l unlimited, \
         LimitMEMLOCK=infinity in a systemd unit, --ulimit memlock=-1 in a container)"
    )]
    LockedMemory {
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel's io_uring lacks something.
    #[error("this kernel's io_uring lacks {missing}: run on Linux 6.1 or later")]
    KernelTooOld {
        /// What it lacks.
        missing: &'static str,
    },
    /// The data directory's file system refuses direct I/O, or cannot be written.
    #[error(
        "no direct I/O in {}: put the data directory on ext4 or xfs, or allow buffered I/O explicitly", directory.display()
    )]
    DirectIo {
        /// The data directory.
        directory: PathBuf,
        /// What failed.
        source: DiskError,
    },
    /// Something else about the ring.
    #[error("io_uring failed")]
    Ring {
        /// What the kernel said.
        source: io::Error,
    },
    /// The limit of open files could not be read or raised.
    #[error(
        "the limit of open files cannot be raised: set it (ulimit -n, LimitNOFILE, --ulimit nofile)"
    )]
    OpenFiles {
        /// What the kernel said.
        source: io::Error,
    },
    /// A thread could not be started.
    #[error("a thread could not be started")]
    Thread {
        /// What the kernel said.
        source: io::Error,
    },
    /// The split of cores asked for cannot be had.
    #[error("{asked} shards were asked for; this build serves 1 to {most}")]
    ShardCount {
        /// What was asked.
        asked: u16,
        /// What is possible.
        most: u16,
    },
    /// The set of CPUs could not be read or set.
    #[error("the process's CPUs could not be read")]
    Cpus {
        /// What the kernel said.
        source: io::Error,
    },
}
