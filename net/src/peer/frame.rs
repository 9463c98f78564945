//! The frame: what everything between two nodes is wrapped in. All integers are little-endian.
//!
//! ```text
//!  byte  0      4     5     6     7          8             16           24         28         32
//!        ┌──────┬─────┬─────┬─────┬──────────┬─────────────┬────────────┬──────────┬──────────┬─────────┐
//!        │length│vers-│kind │dest-│reserved, │destination: │sequence,   │CRC32C of │CRC32C of │ payload │
//!        │ u32  │ion  │     │kind │zero      │range or core│by lane     │bytes 0-23│0-27, then│ length  │
//!        │      │ u8  │ u8  │ u8  │ u8       │ u64         │ u64        │ u32      │payload   │ bytes   │
//!        └──────┴─────┴─────┴─────┴──────────┴─────────────┴────────────┴──────────┴──────────┴─────────┘
//! ```
//! - `length` counts the payload. It is trusted only once the header's own checksum agrees, so a damaged length is found at once and not after waiting
//!   for bytes that never come; and nothing is reserved for a payload before its bytes arrive.
//! - `version` is zero in the handshake, whose form never changes, and the version agreed on after it.
//! - `sequence` counts up from zero in each of two lanes: messages, and everything else. A gap or a repetition ends the connection.
//! - The second checksum covers the header, its first checksum included, and the payload.
//!
//! Cost of a frame: one copy of the payload, two checksums (one pass over the bytes), no allocation.

use types::checksum::{checksum, checksum_append};
use types::mutants::live;

use crate::limits::FRAME_PAYLOAD_BYTES_MAX;
use crate::mutants;

/// Bytes of a header.
pub const HEADER_BYTES: usize = 32;
/// Bytes of a header that its own checksum covers.
const COVERED_BYTES: usize = 24;
/// The version of a frame of the handshake.
pub const HANDSHAKE_VERSION: u8 = 0;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// The first frame of who dialled.
    Hello,
    /// The first frame of who was dialled: come in.
    Welcome,
    /// Or: stay out, and why.
    Refuse,
    /// Bytes for a range or a core.
    Message,
    /// Are you there?
    Heartbeat,
    /// Yes.
    HeartbeatAnswer,
    /// So many bytes of messages may have been sent in all.
    Credit,
    /// This end stops.
    Goodbye,
}

impl FrameKind {
    /// All of them.
    pub const ALL: [FrameKind; 8] = [
        FrameKind::Hello,
        FrameKind::Welcome,
        FrameKind::Refuse,
        FrameKind::Message,
        FrameKind::Heartbeat,
        FrameKind::HeartbeatAnswer,
        FrameKind::Credit,
        FrameKind::Goodbye,
    ];

    const fn number(self) -> u8 {
        match self {
            FrameKind::Hello => 1,
            FrameKind::Welcome => 2,
            FrameKind::Refuse => 3,
            FrameKind::Message => 4,
            FrameKind::Heartbeat => 5,
            FrameKind::HeartbeatAnswer => 6,
            FrameKind::Credit => 7,
            FrameKind::Goodbye => 8,
        }
    }

    fn from_number(number: u8) -> Option<FrameKind> {
        FrameKind::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// Longest payload of the kind in bytes.
    pub const fn payload_bytes_max(self) -> usize {
        match self {
            FrameKind::Message => FRAME_PAYLOAD_BYTES_MAX,
            FrameKind::Hello | FrameKind::Welcome | FrameKind::Refuse => 1_024,
            FrameKind::Heartbeat | FrameKind::HeartbeatAnswer | FrameKind::Credit => 8,
            FrameKind::Goodbye => 0,
        }
    }
}

/// Whom a message is for at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Destination {
    /// Nobody in particular: the other end itself.
    Link,
    /// The replica of a token range.
    Range(u64),
    /// What a core waits for.
    Core(u64),
}

impl Destination {
    const fn parts(self) -> (u8, u64) {
        match self {
            Destination::Link => (0, 0),
            Destination::Range(range) => (1, range),
            Destination::Core(core) => (2, core),
        }
    }
}

/// A header, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of payload that follow.
    pub payload_bytes: usize,
    /// Version of the frame.
    pub version: u8,
    /// What it is.
    pub kind: FrameKind,
    /// Whom it is for.
    pub destination: Destination,
    /// Its number in its lane.
    pub sequence: u64,
    /// The checksum of header and payload that it claims.
    claimed: u32,
    /// The checksum of the header's part of it.
    computed: u32,
}

/// Why bytes are no frame. The connection ends: what follows cannot be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The header is damaged, or the other end speaks something else.
    #[error("a frame's header is damaged: checksum {found:#010x}, {expected:#010x} expected")]
    HeaderDamaged {
        /// What it says.
        found: u32,
        /// What its bytes give.
        expected: u32,
    },
    /// The payload is damaged.
    #[error("a frame's payload is damaged: checksum {found:#010x}, {expected:#010x} expected")]
    PayloadDamaged {
        /// What it says.
        found: u32,
        /// What its bytes give.
        expected: u32,
    },
    /// A whole header with a value that has no meaning.
    #[error("a frame's {field} has the value {value}, which means nothing")]
    Meaningless {
        /// Which field.
        field: &'static str,
        /// What it holds.
        value: u64,
    },
    /// A payload longer than its kind allows.
    #[error("a frame of {bytes} bytes is longer than the {bytes_max} that its kind allows")]
    TooLong {
        /// How long it says it is.
        bytes: usize,
        /// How long it may be.
        bytes_max: usize,
    },
}

/// What a frame says besides its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    /// Version of the frame.
    pub version: u8,
    /// What it is.
    pub kind: FrameKind,
    /// Whom it is for.
    pub destination: Destination,
    /// Its number in its lane.
    pub sequence: u64,
}

/// Appends a frame.
///
/// # Panics
/// If the payload is longer than its kind allows: callers check what others give them.
pub fn write_frame(head: FrameHead, payload: &[u8], out: &mut Vec<u8>) {
    assert!(payload.len() <= head.kind.payload_bytes_max(), "a frame of {} bytes", payload.len());
    let length = u32::try_from(payload.len()).expect("bounded just above");
    let (destination_kind, destination) = head.destination.parts();
    let mut header = [0; HEADER_BYTES];
    header[0..4].copy_from_slice(&length.to_le_bytes());
    header[4] = head.version;
    header[5] = head.kind.number();
    header[6] = destination_kind;
    header[8..16].copy_from_slice(&destination.to_le_bytes());
    header[16..24].copy_from_slice(&head.sequence.to_le_bytes());
    let own = checksum(&header[..COVERED_BYTES]);
    header[24..28].copy_from_slice(&own.to_le_bytes());
    // Continued, not begun anew: one pass over the header.
    let whole = checksum_append(checksum_append(own, &header[24..28]), payload);
    header[28..32].copy_from_slice(&whole.to_le_bytes());
    out.extend_from_slice(&header);
    out.extend_from_slice(payload);
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

impl Header {
    /// Reads and checks a header.
    ///
    /// # Errors
    /// [`FrameError`] if it is none, or asks for more than its kind may have.
    pub fn read(bytes: &[u8; HEADER_BYTES]) -> Result<Header, FrameError> {
        let (found, expected) = (u32_at(bytes, 24), checksum(&bytes[..COVERED_BYTES]));
        if found != expected && !live(mutants::HEADER_CHECKSUM_SKIPPED) {
            return Err(FrameError::HeaderDamaged { found, expected });
        }
        let meaningless = |field, value| Err(FrameError::Meaningless { field, value });
        let Some(kind) = FrameKind::from_number(bytes[5]) else {
            return meaningless("kind", u64::from(bytes[5]));
        };
        if bytes[7] != 0 {
            return meaningless("reserved byte", u64::from(bytes[7]));
        }
        let number = u64_at(bytes, 8);
        let destination = match bytes[6] {
            0 if number == 0 => Destination::Link,
            0 => return meaningless("destination", number),
            1 => Destination::Range(number),
            2 => Destination::Core(number),
            other => return meaningless("kind of destination", u64::from(other)),
        };
        let payload_bytes = u32_at(bytes, 0) as usize;
        let bytes_max = kind.payload_bytes_max();
        if payload_bytes > bytes_max && !live(mutants::LENGTH_NOT_BOUNDED) {
            return Err(FrameError::TooLong { bytes: payload_bytes, bytes_max });
        }
        Ok(Header {
            payload_bytes,
            version: bytes[4],
            kind,
            destination,
            sequence: u64_at(bytes, 16),
            claimed: u32_at(bytes, 28),
            computed: checksum_append(expected, &bytes[24..28]),
        })
    }

    /// Checks the payload that follows.
    ///
    /// # Errors
    /// [`FrameError::PayloadDamaged`].
    pub fn check_payload(&self, payload: &[u8]) -> Result<(), FrameError> {
        let expected = checksum_append(self.computed, payload);
        if self.claimed == expected || live(mutants::PAYLOAD_CHECKSUM_SKIPPED) {
            return Ok(());
        }
        Err(FrameError::PayloadDamaged { found: self.claimed, expected })
    }
}

/// Bytes of the frame that begins at `bytes`, which [`write_frame`] wrote.
pub(crate) fn written_frame_bytes(bytes: &[u8]) -> usize {
    HEADER_BYTES + u32_at(bytes, 0) as usize
}
