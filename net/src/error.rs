//! What can go wrong below the conversation itself. What clients are told is [`crate::pg::error_response::PgError`].

use platform::SocketError;

/// The operating system gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct SecretsUnavailable;

/// The client is gone: nothing can be received from it or sent to it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientGone {
    /// It ended its side, in the middle of something or not.
    #[error("the client ended the connection")]
    Ended,
    /// The socket failed.
    #[error("the connection to the client failed")]
    Socket(#[from] SocketError),
}
