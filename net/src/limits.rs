//! The bounds of the network's own: what a peer may make us hold, with compile-time assertions between them.
//!
//! Bounds shared with other crates are in `types::limits`.

use types::limits::{RECORD_BYTES_MAX, STATEMENT_BYTES_MAX};

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

/// Longest payload of a frame between nodes in bytes: the longest record of a transaction, and what a message says around it.
pub const FRAME_PAYLOAD_BYTES_MAX: usize = RECORD_BYTES_MAX + 1024 * 1024;
/// Bytes of messages that a link's receiver lets be on their way and not consumed. A frame may begin while any of it is left, so a receiver holds at
/// most this and one frame.
pub const RECEIVE_WINDOW_BYTES: u64 = 4 * 1024 * 1024;
/// Bytes of frames that a link holds for sending; a message that would go beyond is refused, unless the queue is empty.
pub const LINK_QUEUE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes that leave a link in one send, at most; what is left follows when they are gone.
pub const LINK_SEND_BYTES_MAX: usize = 256 * 1024;
/// Bytes of memory that an idle link keeps for each of its buffers.
pub const LINK_BUFFER_BYTES_KEPT: usize = 64 * 1024;
/// Links that one core accepts, handshakes included.
pub const LINKS_ACCEPTED_MAX: usize = 4_096;
/// Links that one core accepts and that are still in their handshake.
pub const LINKS_IN_HANDSHAKE_MAX: usize = 256;
/// Milliseconds between heartbeats of a link.
pub const HEARTBEAT_MILLIS: u64 = 250;
/// Milliseconds after which a peer that is not heard, or that does not hear, is down.
pub const SILENCE_MILLIS_MAX: u64 = 1_000;
/// A peer that is heard and leaves a heartbeat unanswered for this long is given up. Longer than silence: on a slow link an answer waits behind what
/// was sent before it, and a peer that does not hear us ends the link itself, by silence.
pub const UNANSWERED_MILLIS_MAX: u64 = 5_000;
/// Milliseconds for connecting, TLS and handshake together.
pub const LINK_SETUP_MILLIS_MAX: u64 = 3_000;
/// Milliseconds before a link is dialled again, the first time.
pub const REDIAL_MILLIS_FIRST: u64 = 20;
/// Milliseconds before a link is dialled again, at most.
pub const REDIAL_MILLIS_MAX: u64 = 1_000;

const _: () = {
    assert!(FRAME_PAYLOAD_BYTES_MAX < u32::MAX as usize);
    assert!(2 * HEARTBEAT_MILLIS < SILENCE_MILLIS_MAX);
    assert!(REDIAL_MILLIS_FIRST / 2 < REDIAL_MILLIS_MAX);
    assert!(LINKS_IN_HANDSHAKE_MAX <= LINKS_ACCEPTED_MAX);
    assert!(LINK_SEND_BYTES_MAX <= LINK_QUEUE_BYTES_MAX);
};
