//! Why the glommio driver does not start.

use std::io;

/// A refusal to start.
#[derive(Debug, thiserror::Error)]
pub enum GlommioError {
    /// glommio could not make an executor.
    #[error(
        "glommio could not start: it needs io_uring and locked memory \
         (ulimit -l unlimited; in a container a seccomp profile that allows io_uring)"
    )]
    Executor {
        /// What glommio said.
        source: Box<glommio::GlommioError<()>>,
    },
    /// A thread could not be started.
    #[error("a thread could not be started")]
    Thread {
        /// What the kernel said.
        source: io::Error,
    },
}
