//! The pure half of a connection: bytes in, frontend messages out, and which messages are allowed when.
//!
//! ```text
//! Startup ── startup packet ──▶ Authentication ── accepted ──▶ Ready ◀── Sync ── SkippingToSync
//!    │ encryption asked: refuse, stay                            │  ▲                  ▲
//!    │ cancel request: hand out, close               CopyIn begins  ends      error in an extended message
//!    ▼                                                           ▼  │
//!  Closed ◀── any framing violation, Terminate ────────────────  CopyIn
//! ```
//!
//! A frame whose length or type is a lie ends the connection (FATAL 08P01): behind it nothing can be trusted. A sound frame with a broken body is an
//! ERROR and the conversation goes on. No clock, no socket, no await: [`crate::pg::client`] drives it.
//! Source: PostgreSQL 15, "Message Flow".

use std::ops::Range;

use types::SqlState;

use super::error_response::PgError;
use super::frontend::{FrontendMessage, Kind, decode};
use super::input::InputBuffer;
use super::startup::{FirstPacket, StartupRequest, decode_first_packet};
use crate::limits::{
    AUTHENTICATION_MESSAGE_BYTES_MAX, LARGE_MESSAGE_BYTES_MAX, SMALL_MESSAGE_BYTES_MAX,
    STARTUP_PACKET_BYTES_MAX,
};

/// Where the conversation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Startup(Negotiated),
    Authentication,
    Ready,
    SkippingToSync,
    CopyIn,
    Closed,
}

/// Which kinds of encryption the client has already asked for; each may be asked once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Negotiated {
    pub(crate) tls: bool,
    pub(crate) gss: bool,
}

/// What the client wants next.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Encryption was asked for; answer that there is none.
    EncryptionRequested,
    /// Another connection's statement is to be cancelled; then close without an answer.
    Cancel {
        /// The process id in its key.
        process_id: u32,
        /// The secret in its key.
        secret: &'a [u8],
    },
    /// The client says who it is.
    Startup(StartupRequest),
    /// A message of the authentication exchange.
    Authentication(&'a [u8]),
    /// A message of the query phase.
    Message(FrontendMessage<'a>),
}

/// One step of a copy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CopyStep {
    /// Copied bytes.
    Chunk(Range<usize>),
    /// There are no more.
    Done,
    /// The client gives up, and why.
    Failed(String),
    /// The client leaves.
    Terminated,
}

/// A message that was refused.
#[derive(Debug, PartialEq, Eq)]
pub struct Rejected {
    /// What the client is told.
    pub error: PgError,
    /// How the conversation goes on.
    pub then: AfterError,
}

/// How the conversation goes on after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterError {
    /// It does not.
    Close,
    /// Everything up to the next Sync is skipped; it is answered with ReadyForQuery.
    SkipToSync,
    /// ReadyForQuery follows at once.
    ReadyForQuery,
}

/// The pure state of one connection.
#[derive(Debug)]
pub struct Connection {
    phase: Phase,
    input: InputBuffer,
}

impl Default for Connection {
    fn default() -> Connection {
        Connection::new()
    }
}

/// Bytes of the length field.
const LENGTH_BYTES: usize = 4;
/// Bytes of the type letter and of the length field.
const HEADER_BYTES: usize = 1 + LENGTH_BYTES;

impl Connection {
    /// A connection just accepted.
    pub fn new() -> Connection {
        Connection { phase: Phase::Startup(Negotiated::default()), input: InputBuffer::default() }
    }

    /// Where the socket appends what has arrived. Events handed out before are void.
    #[inline]
    pub fn receive_buffer(&mut self) -> &mut Vec<u8> {
        self.input.receive_buffer()
    }

    /// The next thing the client wants, or `None` until more bytes arrive.
    ///
    /// # Errors
    /// [`Rejected`]: the error for the client and how to go on. After [`AfterError::Close`] everything received is dropped.
    #[inline]
    pub fn next_event(&mut self) -> Result<Option<Event<'_>>, Rejected> {
        match self.phase {
            Phase::Ready | Phase::SkippingToSync => self.next_message(),
            Phase::Startup(negotiated) => self.next_startup(negotiated),
            Phase::Authentication => self.next_authentication(),
            Phase::CopyIn => unreachable!("inside a copy its own steps are read"),
            Phase::Closed => Ok(None),
        }
    }

    fn next_startup(&mut self, negotiated: Negotiated) -> Result<Option<Event<'_>>, Rejected> {
        let Some(announced) = announced_bytes(self.input.pending()) else {
            return Ok(None);
        };
        let range = 2 * LENGTH_BYTES..=STARTUP_PACKET_BYTES_MAX;
        let Some(bytes) = announced.filter(|bytes| range.contains(bytes)) else {
            return Err(self.close(PgError::protocol("invalid length of startup packet")));
        };
        if self.input.pending().len() < bytes {
            self.input.expect(bytes);
            return Ok(None);
        }
        let body = self.input.take(LENGTH_BYTES, bytes);
        let more_is_buffered = !self.input.pending().is_empty();
        match decode_first_packet(self.input.slice(body.clone()), negotiated) {
            Err(error) => Err(self.close(error)),
            Ok(FirstPacket::Encryption(negotiated)) => {
                if more_is_buffered {
                    // Bytes sent before the answer were not meant for us: an attacker in the middle may have put them there.
                    let error = PgError::protocol("received unencrypted data after SSL request");
                    return Err(self.close(error));
                }
                self.phase = Phase::Startup(negotiated);
                Ok(Some(Event::EncryptionRequested))
            }
            Ok(FirstPacket::Cancel { process_id, secret }) => {
                let secret_start = body.end - secret.len();
                self.phase = Phase::Closed;
                let secret = self.input.slice(secret_start..body.end);
                Ok(Some(Event::Cancel { process_id, secret }))
            }
            Ok(FirstPacket::Startup(request)) => {
                self.phase = Phase::Authentication;
                Ok(Some(Event::Startup(request)))
            }
        }
    }

    fn next_authentication(&mut self) -> Result<Option<Event<'_>>, Rejected> {
        let Some(kind) = self.input.pending().first().copied() else { return Ok(None) };
        if kind != b'p' {
            let text = format!("expected SASL response, got message type {kind}");
            return Err(self.close(PgError::protocol(text)));
        }
        let Some(body) = self.next_frame(AUTHENTICATION_MESSAGE_BYTES_MAX)? else {
            return Ok(None);
        };
        Ok(Some(Event::Authentication(self.input.slice(body))))
    }

    #[inline]
    fn next_message(&mut self) -> Result<Option<Event<'_>>, Rejected> {
        let Some((kind, body)) = self.next_admitted()? else { return Ok(None) };
        if kind == Kind::Terminate {
            self.phase = Phase::Closed;
            return Ok(Some(Event::Message(FrontendMessage::Terminate)));
        }
        match decode(kind, self.input.slice(body)) {
            Ok(message) => Ok(Some(Event::Message(message))),
            Err(error) => Err(refuse(&mut self.phase, kind, error)),
        }
    }

    /// The next step of a copy that [`Connection::begin_copy_in`] began, or `None` until more bytes arrive.
    ///
    /// # Errors
    /// As [`Connection::next_event`].
    pub(crate) fn next_copy_step(&mut self) -> Result<Option<CopyStep>, Rejected> {
        assert_eq!(self.phase, Phase::CopyIn, "copied bytes are read inside a copy");
        let Some((kind, body)) = self.next_admitted()? else { return Ok(None) };
        let step = match decode(kind, self.input.slice(body.clone())) {
            Ok(FrontendMessage::CopyData(_)) => return Ok(Some(CopyStep::Chunk(body))),
            Ok(FrontendMessage::CopyDone) => CopyStep::Done,
            Ok(FrontendMessage::CopyFail(reason)) => CopyStep::Failed(reason.to_owned()),
            Ok(FrontendMessage::Terminate) => {
                self.phase = Phase::Closed;
                return Ok(Some(CopyStep::Terminated));
            }
            Ok(_) => unreachable!("nothing else is admitted inside a copy"),
            Err(error) => return Err(refuse(&mut self.phase, kind, error)),
        };
        self.phase = Phase::Ready;
        Ok(Some(step))
    }

    /// Whether a Sync is next in what has arrived: then the message before it was a transaction of its own, if no other came before it.
    #[inline]
    pub(crate) fn sync_follows(&self) -> bool {
        self.input.pending().first() == Some(&b'S')
    }

    /// The bytes of a [`CopyStep::Chunk`].
    pub(crate) fn chunk(&self, body: Range<usize>) -> &[u8] {
        self.input.slice(body)
    }

    /// The next frame that is for the session: its kind and body.
    #[inline]
    fn next_admitted(&mut self) -> Result<Option<(Kind, Range<usize>)>, Rejected> {
        loop {
            let Some(byte) = self.input.pending().first().copied() else { return Ok(None) };
            let Some(kind) = Kind::of(byte) else {
                let text = format!("invalid frontend message type {byte}");
                return Err(self.close(PgError::protocol(text)));
            };
            let limit =
                if kind.is_large() { LARGE_MESSAGE_BYTES_MAX } else { SMALL_MESSAGE_BYTES_MAX };
            let Some(body) = self.next_frame(limit)? else { return Ok(None) };
            match self.admit(kind) {
                Admission::Skip => {}
                Admission::Violation(error) => return Err(self.close(error)),
                Admission::HandOut => return Ok(Some((kind, body))),
            }
        }
    }

    /// Whether a message of this kind is for the session in this phase.
    #[inline]
    fn admit(&mut self, kind: Kind) -> Admission {
        match (self.phase, kind) {
            // The rest of a copy whose statement has failed.
            (Phase::Ready, Kind::CopyData | Kind::CopyDone | Kind::CopyFail) => Admission::Skip,
            (Phase::Ready, _) => Admission::HandOut,
            (Phase::SkippingToSync, Kind::Sync) => {
                self.phase = Phase::Ready;
                Admission::HandOut
            }
            (Phase::SkippingToSync, Kind::Terminate) => Admission::HandOut,
            (Phase::SkippingToSync, _) => Admission::Skip,
            (Phase::CopyIn, Kind::CopyData | Kind::CopyDone | Kind::CopyFail | Kind::Terminate) => {
                Admission::HandOut
            }
            // Clients send these behind Execute before they know that it copies.
            (Phase::CopyIn, Kind::Flush | Kind::Sync) => Admission::Skip,
            (Phase::CopyIn, other) => Admission::Violation(PgError::protocol(format!(
                "unexpected message {other:?} during COPY from stdin"
            ))),
            (Phase::Startup(_) | Phase::Authentication | Phase::Closed, _) => {
                unreachable!("messages are read in the query phase only")
            }
        }
    }

    /// The body of the frame at the front, once it is all there.
    #[inline]
    fn next_frame(&mut self, limit_bytes: usize) -> Result<Option<Range<usize>>, Rejected> {
        let Some(announced) = announced_bytes(&self.input.pending()[1..]) else {
            return Ok(None);
        };
        let Some(bytes) = announced.filter(|bytes| (LENGTH_BYTES..=limit_bytes).contains(bytes))
        else {
            return Err(self.close(PgError::protocol("invalid message length")));
        };
        if self.input.pending().len() < 1 + bytes {
            self.input.expect(1 + bytes);
            return Ok(None);
        }
        Ok(Some(self.input.take(HEADER_BYTES, 1 + bytes)))
    }

    #[cold]
    fn close(&mut self, error: PgError) -> Rejected {
        self.phase = Phase::Closed;
        self.input.clear();
        Rejected { error: error.into_fatal(), then: AfterError::Close }
    }

    /// Authentication is done; the query phase begins.
    pub fn authenticated(&mut self) {
        assert_eq!(self.phase, Phase::Authentication, "only a startup leads to a session");
        self.phase = Phase::Ready;
    }

    /// An extended message has failed: everything up to the next Sync is skipped.
    pub fn skip_to_sync(&mut self) {
        assert_ne!(self.phase, Phase::CopyIn, "a copy ends before its statement");
        if self.phase == Phase::Ready {
            self.phase = Phase::SkippingToSync;
        }
    }

    /// The statement wants copied bytes.
    pub fn begin_copy_in(&mut self) {
        assert_eq!(self.phase, Phase::Ready, "copies do not nest");
        self.phase = Phase::CopyIn;
    }

    /// The statement wants no more copied bytes, whether they have ended or not.
    pub fn end_copy_in(&mut self) {
        if self.phase == Phase::CopyIn {
            self.phase = Phase::Ready;
        }
    }

    /// Nothing more is read.
    pub fn set_closed(&mut self) {
        self.phase = Phase::Closed;
    }

    /// Whether the conversation is over.
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Bytes received that are not a whole frame yet.
    pub fn pending_bytes(&self) -> usize {
        self.input.pending().len()
    }

    /// Bytes of memory held for received bytes.
    pub fn capacity_bytes(&self) -> usize {
        self.input.capacity()
    }

    /// Frees the memory of a long message, once there is nothing left of it.
    pub fn shrink(&mut self, bytes_kept: usize) {
        self.input.shrink(bytes_kept);
    }
}

/// What to do with a frame.
enum Admission {
    HandOut,
    Skip,
    Violation(PgError),
}

/// A sound frame with a broken body: how the conversation goes on depends on which kind of exchange it belongs to.
#[cold]
fn refuse(phase: &mut Phase, kind: Kind, error: PgError) -> Rejected {
    let then = if kind.is_extended() {
        *phase = Phase::SkippingToSync;
        AfterError::SkipToSync
    } else if *phase == Phase::CopyIn {
        // A statement waits for these bytes: it cannot be told apart from a lie about the framing.
        *phase = Phase::Closed;
        AfterError::Close
    } else {
        AfterError::ReadyForQuery
    };
    let error = if then == AfterError::Close { error.into_fatal() } else { error };
    Rejected { error, then }
}

/// The length field at the front: `None` until it is there, `Some(None)` if it is negative.
#[inline]
fn announced_bytes(bytes: &[u8]) -> Option<Option<usize>> {
    let length = bytes.first_chunk::<LENGTH_BYTES>()?;
    Some(usize::try_from(i32::from_be_bytes(*length)).ok())
}

/// The error for a FunctionCall, which is not built.
pub(crate) fn function_call_refused() -> PgError {
    let text = "the function call sub-protocol is not supported";
    PgError::new(SqlState::FEATURE_NOT_SUPPORTED, text).hint("Use SELECT function(…).")
}

#[cfg(test)]
mod tests;
