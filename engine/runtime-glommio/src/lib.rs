//! The traits of `platform` over glommio: the second driver, which proves the seam.
//!
//! glommio gives the executor, the timers and the sockets. Files and background jobs run on plain
//! threads ([`threads`]): a file handle here serves every core and every job, which glommio's own
//! files cannot do, so a durable write costs two thread switches more than on io_uring. That is the
//! price of a fallback that must stay small; it has no pacing of background I/O either.
//!
//! glommio has no end of a loop to hook into. Outputs are therefore collected in an [`outbox`],
//! which runs the hooks and then lets them leave, once for all tasks that were ready together.
#![deny(unsafe_code)]

mod error;
mod executor;
mod files;
mod mesh;
mod node;
mod outbox;
mod socket;
mod threads;

pub use error::GlommioError;
pub use files::DirectIo;
pub use node::{GlommioNode, GlommioOptions, start};
