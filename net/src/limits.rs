//! The bounds of the network's own: what a peer may make us hold, with compile-time assertions between them.
//!
//! Bounds shared with other crates are in `types::limits`.

use types::limits::STATEMENT_BYTES_MAX;

/// Longest startup packet in bytes, its length field included. Source: PostgreSQL's `MAX_STARTUP_PACKET_LENGTH`.
pub const STARTUP_PACKET_BYTES_MAX: usize = 10_000;
/// Longest message of the authentication exchange in bytes, its length field included. A SCRAM message is a few hundred.
pub const AUTHENTICATION_MESSAGE_BYTES_MAX: usize = 4_096;
/// Longest message of a kind that holds only names, in bytes. Source: PostgreSQL's `PQ_SMALL_MESSAGE_LIMIT`.
pub const SMALL_MESSAGE_BYTES_MAX: usize = 10_000;
/// Longest message of a kind that holds a statement or values, in bytes.
pub const LARGE_MESSAGE_BYTES_MAX: usize = STATEMENT_BYTES_MAX;
/// Bytes that the receive buffers of one core hold together, those of ordinary length not counted; above it a client with a long message is refused.
pub const LARGE_MESSAGES_BYTES_MAX: usize = 4 * LARGE_MESSAGE_BYTES_MAX;

/// Bytes of answers at which a session waits for its client to take some.
pub const RESPONSE_BYTES_BOUND: usize = 128 * 1024;
/// Bytes of receive memory that an idle connection keeps.
pub const RECEIVE_BYTES_KEPT: usize = 8 * 1024;
/// Bytes of answer memory that an idle connection keeps.
pub const RESPONSE_BYTES_KEPT: usize = 8 * 1024;
/// Bytes of statement text that an idle connection keeps.
pub const STATEMENT_BYTES_KEPT: usize = 4 * 1024;
/// Bytes of memory of an idle connection, without its session.
pub const IDLE_CONNECTION_BYTES_MAX: usize = 32 * 1024;

/// Seconds from accept to the end of authentication. Source: PostgreSQL's `authentication_timeout`.
pub const AUTHENTICATION_SECONDS_MAX: u64 = 60;
/// Connections of one core, when the settings say nothing.
pub const CONNECTIONS_PER_CORE_DEFAULT: u32 = 10_000;
/// Connections of one core that have not authenticated yet; above it new ones are closed unread.
pub const UNAUTHENTICATED_PER_CORE_MAX: u32 = 1_024;
/// Cancel requests with a wrong key that one core looks at per second.
pub const CANCEL_MISSES_PER_SECOND_MAX: u32 = 100;

const _: () = {
    assert!(AUTHENTICATION_MESSAGE_BYTES_MAX <= STARTUP_PACKET_BYTES_MAX);
    assert!(SMALL_MESSAGE_BYTES_MAX <= LARGE_MESSAGE_BYTES_MAX);
    assert!(LARGE_MESSAGE_BYTES_MAX <= i32::MAX as usize);
    assert!(
        RECEIVE_BYTES_KEPT + RESPONSE_BYTES_KEPT + STATEMENT_BYTES_KEPT
            <= IDLE_CONNECTION_BYTES_MAX
    );
};
