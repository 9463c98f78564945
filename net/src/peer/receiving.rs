//! Bytes in, frames out: the receiving half of a connection. Pure.
//!
//! A frame is handed out only when all of it has arrived and both its checksums agree, its version is the agreed one, its number is the next of its lane,
//! and its sender had credit for it. Anything else is an error, and the connection ends. Memory: the bytes of the frame that is arriving, and whatever
//! one receive brought beyond it.

use types::mutants::live;

use super::frame::{Destination, FrameError, FrameKind, HANDSHAKE_VERSION, HEADER_BYTES, Header};
use crate::limits::LINK_BUFFER_BYTES_KEPT;
use crate::mutants;

/// Why what was received ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiveError {
    /// The bytes are no frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A frame of another version than the one agreed on.
    #[error("a frame has version {found}, {expected} was agreed on")]
    Version {
        /// What it says.
        found: u8,
        /// What was agreed.
        expected: u8,
    },
    /// A frame is missing, or came twice.
    #[error("frame {found} came where frame {expected} should have been")]
    Sequence {
        /// Which came.
        found: u64,
        /// Which should have come.
        expected: u64,
    },
    /// The other end sent more than it was granted.
    #[error("the other end sent {bytes} bytes in all, {granted} were granted")]
    Overrun {
        /// What it has sent.
        bytes: u64,
        /// What it might have sent.
        granted: u64,
    },
    /// A frame of the handshake after it, or another before its end.
    #[error("a frame of kind {kind:?} does not belong here")]
    Unexpected {
        /// Its kind.
        kind: FrameKind,
    },
}

/// What arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceivedFrame<'a> {
    /// What it is.
    pub kind: FrameKind,
    /// Whom it is for.
    pub destination: Destination,
    /// What it carries.
    pub payload: &'a [u8],
}

impl ReceivedFrame<'_> {
    /// Bytes of the whole frame, which is what credit is counted in.
    pub fn frame_bytes(&self) -> u64 {
        (HEADER_BYTES + self.payload.len()) as u64
    }

    /// The payload as a number, for the kinds that carry one; zero if there is none.
    pub fn number(&self) -> u64 {
        self.payload.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }
}

/// Which bytes of messages the other end may send: what was consumed, and a window beyond.
#[derive(Clone, Copy, Debug)]
pub struct ReceiveWindow {
    window: u64,
    received: u64,
    consumed: u64,
    announced: u64,
}

impl ReceiveWindow {
    /// A window of which the other end was told in the handshake.
    pub fn new(window_bytes: u64) -> ReceiveWindow {
        ReceiveWindow { window: window_bytes, received: 0, consumed: 0, announced: window_bytes }
    }

    /// A message begins while credit is left, so it may overdraw it once.
    fn receive(&mut self, bytes: u64) -> Result<(), ReceiveError> {
        if self.received >= self.announced {
            let bytes = self.received + bytes;
            return Err(ReceiveError::Overrun { bytes, granted: self.announced });
        }
        self.received += bytes;
        Ok(())
    }

    /// A message has been consumed. Gives what the other end must be told once it is worth a frame: at half a window.
    ///
    /// # Panics
    /// If more is consumed than came.
    pub fn consume(&mut self, bytes: u64) -> Option<u64> {
        self.consumed += bytes;
        assert!(self.consumed <= self.received, "more was consumed than came");
        let granted = self.consumed + self.window;
        if live(mutants::CREDIT_NOT_RETURNED) || (granted - self.announced) * 2 < self.window.max(1)
        {
            return None;
        }
        self.announced = granted;
        Some(granted)
    }

    /// Bytes that came and were not consumed.
    pub fn held_bytes(&self) -> u64 {
        self.received - self.consumed
    }
}

/// The receiving half.
#[derive(Debug)]
pub struct Receiving {
    buffer: Vec<u8>,
    /// Bytes of the buffer that were handed out.
    taken: usize,
    /// The header at `taken`, once it has been checked.
    header: Option<Header>,
    version: u8,
    /// Next number of messages, and of the rest.
    sequences: [u64; 2],
    broken: Option<ReceiveError>,
}

impl Default for Receiving {
    fn default() -> Receiving {
        Receiving::new()
    }
}

impl Receiving {
    /// A connection that begins with its handshake.
    pub fn new() -> Receiving {
        Receiving {
            buffer: Vec::new(),
            taken: 0,
            header: None,
            version: HANDSHAKE_VERSION,
            sequences: [0; 2],
            broken: None,
        }
    }

    /// The handshake is over: from the next frame on this version is spoken.
    pub fn agree(&mut self, version: u8) {
        self.version = version;
    }

    /// Where received bytes are appended. Frames handed out before are gone.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        if self.buffer.is_empty() && self.buffer.capacity() > LINK_BUFFER_BYTES_KEPT {
            self.buffer = Vec::new();
        }
        &mut self.buffer
    }

    /// Bytes that are held, for bounds and tests.
    pub fn held_bytes(&self) -> usize {
        self.buffer.capacity()
    }

    /// The next whole frame; `None` until more bytes come.
    ///
    /// # Errors
    /// [`ReceiveError`], again and again: a stream that is broken stays so.
    pub fn next(
        &mut self,
        window: &mut ReceiveWindow,
    ) -> Result<Option<ReceivedFrame<'_>>, ReceiveError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        let header = match self.whole_header(window) {
            Ok(Some(header)) => header,
            Ok(None) => return Ok(None),
            Err(error) => {
                self.broken = Some(error);
                return Err(error);
            }
        };
        let start = self.taken + HEADER_BYTES;
        self.taken = start + header.payload_bytes;
        self.header = None;
        let payload = &self.buffer[start..self.taken];
        Ok(Some(ReceivedFrame { kind: header.kind, destination: header.destination, payload }))
    }

    /// The header of the frame that comes next, if all of the frame is there; checked and accounted for.
    fn whole_header(&mut self, window: &mut ReceiveWindow) -> Result<Option<Header>, ReceiveError> {
        let held = &self.buffer[self.taken..];
        let header = match self.header {
            Some(header) => header,
            None => {
                let Some(bytes) = held.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
                let header = Header::read(bytes)?;
                self.check(&header)?;
                self.header = Some(header);
                header
            }
        };
        let Some(payload) = held[HEADER_BYTES..].get(..header.payload_bytes) else {
            return Ok(None);
        };
        header.check_payload(payload)?;
        let lane = usize::from(header.kind != FrameKind::Message);
        self.sequences[lane] = self.sequences[lane].wrapping_add(1);
        if header.kind == FrameKind::Message {
            window.receive((HEADER_BYTES + header.payload_bytes) as u64)?;
        }
        Ok(Some(header))
    }

    /// Whether the frame may come now.
    fn check(&self, header: &Header) -> Result<(), ReceiveError> {
        if header.version != self.version {
            let (found, expected) = (header.version, self.version);
            return Err(ReceiveError::Version { found, expected });
        }
        let greets =
            matches!(header.kind, FrameKind::Hello | FrameKind::Welcome | FrameKind::Refuse);
        if greets != (self.version == HANDSHAKE_VERSION) {
            return Err(ReceiveError::Unexpected { kind: header.kind });
        }
        let lane = usize::from(header.kind != FrameKind::Message);
        let (found, expected) = (header.sequence, self.sequences[lane]);
        if found != expected && !live(mutants::SEQUENCE_NOT_COMPARED) {
            return Err(ReceiveError::Sequence { found, expected });
        }
        Ok(())
    }
}
