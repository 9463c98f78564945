//! Frames in, bytes out: the sending half of a connection, and whether anybody is there. Pure; time is an argument, in nanoseconds of one clock.
//!
//! Two lanes: messages, which wait for credit, and everything else, which goes first. A message begins while any credit is left, so the longest frame
//! passes whatever the window. Frames are encoded as they are queued; handing a batch out moves the buffer when all of it may go.
//!
//! **Liveness**, both ways: a peer that is silent for [`SILENCE_MILLIS_MAX`] is not heard; one that leaves a heartbeat unanswered for
//! [`UNANSWERED_MILLIS_MAX`] does not hear us, or cannot make itself heard. Under a one-way network partition each end notices one of the two, whatever
//! TCP still delivers.

use types::mutants::live;

use super::frame::{
    Destination, FrameHead, FrameKind, HANDSHAKE_VERSION, HEADER_BYTES, write_frame,
    written_frame_bytes,
};
use crate::limits::{
    FRAME_PAYLOAD_BYTES_MAX, HEARTBEAT_MILLIS, LINK_BUFFER_BYTES_KEPT, LINK_QUEUE_BYTES_MAX,
    LINK_SEND_BYTES_MAX, SILENCE_MILLIS_MAX, UNANSWERED_MILLIS_MAX,
};
use crate::mutants;

const NANOS_A_MILLI: u64 = 1_000_000;
const HEARTBEAT_NANOS: u64 = HEARTBEAT_MILLIS * NANOS_A_MILLI;
const SILENCE_NANOS_MAX: u64 = SILENCE_MILLIS_MAX * NANOS_A_MILLI;
const UNANSWERED_NANOS_MAX: u64 = UNANSWERED_MILLIS_MAX * NANOS_A_MILLI;
/// Heartbeats on their way at once, at most.
const HEARTBEATS_MAX: usize = (UNANSWERED_MILLIS_MAX / HEARTBEAT_MILLIS) as usize + 1;

/// A message was not queued. It has not left and never will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// The queue is full: the peer, or the network, is slower than what is said to it.
    #[error("the link's queue holds {bytes} bytes; the peer does not keep up")]
    Full {
        /// What it holds.
        bytes: usize,
    },
    /// A message that no frame can carry.
    #[error("a message of {bytes} bytes is longer than a frame may be ({FRAME_PAYLOAD_BYTES_MAX})")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
}

/// Nobody is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Absence {
    /// Nothing comes from it.
    #[error("the peer has been silent for {millis} ms")]
    Silent {
        /// For how long.
        millis: u64,
    },
    /// It does not hear us: our heartbeats stay unanswered.
    #[error("the peer has not answered for {millis} ms, though it is heard")]
    Unanswered {
        /// For how long.
        millis: u64,
    },
}

/// The sending half.
#[derive(Debug)]
pub struct Sending {
    version: u8,
    control: Vec<u8>,
    messages: Vec<u8>,
    /// Bytes of `messages` that have been handed out.
    messages_taken: usize,
    sequences: [u64; 2],
    sent: u64,
    granted: u64,
    /// When heartbeats left that have not been answered, oldest first.
    heartbeats: Vec<u64>,
    next_heartbeat: u64,
    last_heard: u64,
    round_trip_nanos: Option<u64>,
}

impl Sending {
    /// A connection that begins now, with its handshake.
    pub fn new(now: u64) -> Sending {
        Sending {
            version: HANDSHAKE_VERSION,
            control: Vec::new(),
            messages: Vec::new(),
            messages_taken: 0,
            sequences: [0; 2],
            sent: 0,
            granted: 0,
            heartbeats: Vec::new(),
            next_heartbeat: now,
            last_heard: now,
            round_trip_nanos: None,
        }
    }

    /// The handshake is over: this version is spoken, and the other end grants so many bytes at first.
    pub fn agree(&mut self, version: u8, window_bytes: u64, now: u64) {
        self.version = version;
        self.granted = window_bytes;
        self.next_heartbeat = now;
        self.last_heard = now;
    }

    /// The one frame of the handshake was sent by its own code; frames queued here follow it.
    pub(crate) fn handshake_sent(&mut self) {
        assert_eq!(self.sequences, [0; 2], "the handshake comes first");
        self.sequences[1] = 1;
    }

    /// Queues a frame that is no message.
    pub fn control(&mut self, kind: FrameKind, payload: &[u8]) {
        assert_ne!(kind, FrameKind::Message, "messages have their own queue");
        let head = FrameHead {
            version: self.version,
            kind,
            destination: Destination::Link,
            sequence: self.sequences[1],
        };
        self.sequences[1] += 1;
        write_frame(head, payload, &mut self.control);
    }

    /// Queues a message. An empty queue takes any; otherwise the bound holds.
    ///
    /// # Errors
    /// [`QueueError`]: the message was not queued.
    pub fn message(&mut self, destination: Destination, payload: &[u8]) -> Result<(), QueueError> {
        if payload.len() > FRAME_PAYLOAD_BYTES_MAX {
            return Err(QueueError::TooLong { bytes: payload.len() });
        }
        let bytes = self.queued_bytes();
        if bytes > 0 && bytes + HEADER_BYTES + payload.len() > LINK_QUEUE_BYTES_MAX {
            return match live(mutants::OVERFLOW_NOT_SAID) {
                true => Ok(()),
                false => Err(QueueError::Full { bytes }),
            };
        }
        let head = FrameHead {
            version: self.version,
            kind: FrameKind::Message,
            destination,
            sequence: self.sequences[0],
        };
        self.sequences[0] += 1;
        write_frame(head, payload, &mut self.messages);
        Ok(())
    }

    /// Bytes of messages that wait.
    pub fn queued_bytes(&self) -> usize {
        self.messages.len() - self.messages_taken
    }

    /// Frames of messages that wait.
    pub fn queued_frames(&self) -> u64 {
        let mut at = self.messages_taken;
        let mut frames = 0;
        while at < self.messages.len() {
            at += written_frame_bytes(&self.messages[at..]);
            frames += 1;
        }
        frames
    }

    /// Whether [`Sending::take`] would give anything.
    pub fn has_output(&self) -> bool {
        !self.control.is_empty() || (self.queued_bytes() > 0 && self.may_send())
    }

    fn may_send(&self) -> bool {
        self.sent < self.granted || live(mutants::CREDIT_NOT_OBEYED)
    }

    /// Moves what may leave now into an empty buffer; gives the number of messages in it.
    pub fn take(&mut self, out: &mut Vec<u8>) -> u64 {
        assert!(out.is_empty(), "a batch begins empty");
        std::mem::swap(out, &mut self.control);
        self.control.clear();
        if self.control.capacity() > LINK_BUFFER_BYTES_KEPT {
            self.control = Vec::new();
        }
        let (mut end, mut frames) = (self.messages_taken, 0);
        while end < self.messages.len() && self.may_send() {
            let bytes = written_frame_bytes(&self.messages[end..]);
            let is_long = end + bytes - self.messages_taken > LINK_SEND_BYTES_MAX;
            if is_long && end > self.messages_taken {
                break;
            }
            end += bytes;
            self.sent += bytes as u64;
            frames += 1;
        }
        let is_everything = end == self.messages.len();
        if out.is_empty() && is_everything && self.messages_taken == 0 {
            std::mem::swap(out, &mut self.messages);
        } else {
            out.extend_from_slice(&self.messages[self.messages_taken..end]);
            self.messages_taken = end;
        }
        if is_everything {
            self.messages.clear();
            self.messages_taken = 0;
            if self.messages.capacity() > LINK_BUFFER_BYTES_KEPT {
                self.messages = Vec::new();
            }
        } else if self.messages_taken >= LINK_SEND_BYTES_MAX {
            self.messages.drain(..self.messages_taken);
            self.messages_taken = 0;
        }
        frames
    }

    /// The other end grants so many bytes in all. Grants never shrink.
    pub fn grant(&mut self, granted: u64) {
        self.granted = self.granted.max(granted);
    }

    // --- liveness

    /// Something came from the other end.
    pub fn heard(&mut self, now: u64) {
        self.last_heard = self.last_heard.max(now);
    }

    /// A heartbeat was answered: it and all before it are settled.
    pub fn answered(&mut self, sent_at: u64, now: u64) {
        if let Some(place) = self.heartbeats.iter().position(|sent| *sent == sent_at) {
            self.heartbeats.drain(..=place);
            let trip = now.saturating_sub(sent_at);
            // As TCP smooths it (RFC 6298, section 2.3).
            let smooth = |known: u64| known - known / 8 + trip / 8;
            self.round_trip_nanos = Some(self.round_trip_nanos.map_or(trip, smooth));
        }
    }

    /// How long a heartbeat and its answer take.
    pub fn round_trip_nanos(&self) -> Option<u64> {
        self.round_trip_nanos
    }

    /// Sends a heartbeat when one is due; says who is gone. Call it again at [`Sending::next_deadline`].
    ///
    /// # Errors
    /// [`Absence`], when the link has to end.
    pub fn tick(&mut self, now: u64) -> Result<(), Absence> {
        let silent = now.saturating_sub(self.last_heard);
        if silent >= SILENCE_NANOS_MAX && !live(mutants::SILENCE_NOT_NOTICED) {
            return Err(Absence::Silent { millis: silent / NANOS_A_MILLI });
        }
        let unanswered = self.heartbeats.first().map_or(0, |sent| now.saturating_sub(*sent));
        if unanswered >= UNANSWERED_NANOS_MAX && !live(mutants::ONE_SIDED_HEARTBEAT) {
            return Err(Absence::Unanswered { millis: unanswered / NANOS_A_MILLI });
        }
        if now >= self.next_heartbeat {
            self.next_heartbeat = now + HEARTBEAT_NANOS;
            if self.heartbeats.len() < HEARTBEATS_MAX {
                self.heartbeats.push(now);
                self.control(FrameKind::Heartbeat, &now.to_le_bytes());
            }
        }
        Ok(())
    }

    /// When [`Sending::tick`] has something to do next.
    pub fn next_deadline(&self) -> u64 {
        let silence = self.last_heard + SILENCE_NANOS_MAX;
        let unanswered =
            self.heartbeats.first().map_or(u64::MAX, |sent| sent + UNANSWERED_NANOS_MAX);
        self.next_heartbeat.min(silence).min(unanswered)
    }
}
