//! How many files and connections the process may have open at once.

use crate::error::RuntimeError;
use crate::sys;

/// Raises the limit of open files to what the system allows the process, and gives it. The limit that a shell hands on is often 1,024.
///
/// # Errors
/// [`RuntimeError::OpenFiles`] if the system refuses.
pub fn raise_open_files() -> Result<u64, RuntimeError> {
    sys::raise_open_files().map_err(|source| RuntimeError::OpenFiles { source })
}
