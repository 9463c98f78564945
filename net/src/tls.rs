//! TLS over the sockets of a shard core: a [`platform::Socket`] inside another, rustls between them.
//!
//! rustls does no input or output of its own, so nothing here knows a ring or a runtime. What is received is decrypted into the caller's buffer; what is
//! sent is encrypted as one batch and leaves as one send. rustls' buffered connection is used, which copies each byte once more than its unbuffered
//! one: the state machine is theirs and tested, and a copy is small beside the cipher.
//!
//! Bounds: one TLS record (16 KiB) each way beside the caller's own buffers. No session is kept, no ticket is sent: cores share nothing.

mod certificates;
mod config;
mod socket;

pub use certificates::{CertificateError, ClusterAuthority, PemPair, Validity};
pub use config::{PeerTls, TlsConfigError, node_name};
pub use socket::{TlsError, TlsSocket};
