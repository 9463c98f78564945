//! A socket whose bytes are encrypted on another.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use platform::{Socket, SocketError};
use types::{KIB, NodeId};

use super::config::names_node;

/// An emptied buffer larger than this is given back to the allocator.
const IDLE_BYTES_MAX: usize = 64 * KIB as usize;
/// Bytes of a TLS handshake, all messages together, after which it is none of ours.
const HANDSHAKE_BYTES_MAX: usize = 256 * KIB as usize;

/// TLS could not be agreed on.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TlsError {
    /// The other end broke the rules, or is not trusted.
    #[error("TLS failed: {source}")]
    Protocol {
        /// Why.
        source: Arc<rustls::Error>,
    },
    /// The connection ended before.
    #[error("the connection ended during the TLS handshake")]
    Ended,
    /// The handshake does not end.
    #[error("the TLS handshake is longer than any of ours")]
    TooLong,
    /// The socket failed.
    #[error("the connection failed during the TLS handshake")]
    Socket(#[from] SocketError),
}

fn protocol(error: rustls::Error) -> TlsError {
    TlsError::Protocol { source: Arc::new(error) }
}

fn disconnected(
    kind: io::ErrorKind,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> SocketError {
    SocketError::Disconnected { source: Arc::new(io::Error::new(kind, error)) }
}

struct State {
    connection: rustls::Connection,
    /// Encrypted bytes that came and were not looked at.
    wire_in: Vec<u8>,
    /// Memory for encrypted bytes that leave.
    wire_out: Vec<u8>,
    /// The caller's emptied batch, to be given back.
    emptied: Vec<u8>,
    is_in_flight: bool,
}

impl State {
    /// Decrypts what came, into `received`; gives the number of bytes.
    fn decrypt(&mut self, received: &mut Vec<u8>) -> Result<usize, rustls::Error> {
        let mut total = self.drain(received)?;
        let mut looked_at = 0;
        while looked_at < self.wire_in.len() {
            let mut rest = &self.wire_in[looked_at..];
            // Room is made by draining, so it takes some, or says that it has seen the end.
            match self.connection.read_tls(&mut rest) {
                Ok(0) | Err(_) => break,
                Ok(bytes) => looked_at += bytes,
            }
            total += self.drain(received)?;
        }
        self.wire_in.drain(..looked_at);
        Ok(total)
    }

    fn drain(&mut self, received: &mut Vec<u8>) -> Result<usize, rustls::Error> {
        let bytes = self.connection.process_new_packets()?.plaintext_bytes_to_read();
        if bytes > 0 {
            let start = received.len();
            received.resize(start + bytes, 0);
            let read = self.connection.reader().read_exact(&mut received[start..]);
            read.expect("so many bytes are there");
        }
        Ok(bytes)
    }

    /// Appends what rustls wants to send.
    fn encrypted(&mut self, out: &mut Vec<u8>) {
        while self.connection.wants_write() {
            self.connection.write_tls(out).expect("a vector takes everything");
        }
    }

    fn has_peer_closed(&mut self) -> bool {
        self.connection
            .process_new_packets()
            .is_ok_and(|state| state.peer_has_closed() && state.plaintext_bytes_to_read() == 0)
    }
}

/// A connection under TLS.
pub struct TlsSocket {
    inner: Rc<dyn Socket>,
    state: RefCell<State>,
}

impl TlsSocket {
    /// Shakes hands over a connection on which nothing, or nothing unencrypted, has been received. The caller bounds the time.
    ///
    /// # Errors
    /// [`TlsError`]; the other end is told by an alert if it still listens.
    ///
    /// # Cancel safety
    /// Dropping it drops the connection.
    pub(crate) async fn shake_hands(
        inner: Rc<dyn Socket>,
        connection: rustls::Connection,
    ) -> Result<TlsSocket, TlsError> {
        let mut connection = connection;
        // What is encrypted at one time is what the caller has collected, and the caller has bounds.
        connection.set_buffer_limit(None);
        let mut state = State {
            connection,
            wire_in: Vec::new(),
            wire_out: Vec::new(),
            emptied: Vec::new(),
            is_in_flight: false,
        };
        let mut total = 0;
        loop {
            let mut out = Vec::new();
            state.encrypted(&mut out);
            if !out.is_empty() {
                platform::send(&*inner, out).await?;
            }
            if !state.connection.is_handshaking() {
                return Ok(TlsSocket { inner, state: RefCell::new(state) });
            }
            let bytes = platform::recv(&*inner, &mut state.wire_in).await?;
            if bytes == 0 {
                return Err(TlsError::Ended);
            }
            total += bytes;
            if total > HANDSHAKE_BYTES_MAX {
                return Err(TlsError::TooLong);
            }
            if let Err(error) = state.advance() {
                let mut alert = Vec::new();
                state.encrypted(&mut alert);
                // Who does not listen any more does not hear why.
                let _told = platform::send(&*inner, alert).await;
                return Err(protocol(error));
            }
        }
    }

    /// Whether the other end has shown a certificate that names this node. Its signature was checked in the handshake.
    pub(crate) fn is_node(&self, node: NodeId) -> bool {
        let state = self.state.borrow();
        let shown = state.connection.peer_certificates().and_then(<[_]>::first);
        shown.is_some_and(|certificate| names_node(certificate, node))
    }
}

impl State {
    /// Goes on with the handshake; bytes behind it stay for later.
    fn advance(&mut self) -> Result<(), rustls::Error> {
        let mut looked_at = 0;
        while self.connection.is_handshaking() && looked_at < self.wire_in.len() {
            let mut rest = &self.wire_in[looked_at..];
            match self.connection.read_tls(&mut rest) {
                Ok(0) | Err(_) => break,
                Ok(bytes) => looked_at += bytes,
            }
            self.connection.process_new_packets()?;
        }
        self.wire_in.drain(..looked_at);
        Ok(())
    }
}

impl Socket for TlsSocket {
    fn peer_address(&self) -> SocketAddr {
        self.inner.peer_address()
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        received: &mut Vec<u8>,
    ) -> Poll<Result<usize, SocketError>> {
        let state = &mut *self.state.borrow_mut();
        loop {
            let bytes = state.decrypt(received);
            let bytes = bytes.map_err(|error| disconnected(io::ErrorKind::InvalidData, error))?;
            if bytes > 0 {
                return Poll::Ready(Ok(bytes));
            }
            if state.has_peer_closed() {
                return Poll::Ready(Ok(0));
            }
            if state.wire_in.capacity() > IDLE_BYTES_MAX && state.wire_in.is_empty() {
                state.wire_in = Vec::new();
            }
            if ready!(self.inner.poll_recv(cx, &mut state.wire_in))? == 0 {
                // Without its farewell the stream may have been cut by somebody in between.
                let error = "the stream ended without TLS's farewell";
                return Poll::Ready(Err(disconnected(io::ErrorKind::UnexpectedEof, error)));
            }
        }
    }

    fn start_send(&self, mut batch: Vec<u8>) {
        let state = &mut *self.state.borrow_mut();
        let mut wire = std::mem::take(&mut state.wire_out);
        // It has no limit and takes everything; a connection that has failed drops it, and says so when it is received from.
        let taken = state.connection.writer().write_all(&batch);
        debug_assert!(taken.is_ok(), "a writer without a limit takes everything");
        state.encrypted(&mut wire);
        batch.clear();
        state.emptied = batch;
        state.is_in_flight = true;
        self.inner.start_send(wire);
    }

    fn poll_sent(&self, cx: &mut Context<'_>) -> Poll<Result<Vec<u8>, SocketError>> {
        let sent = ready!(self.inner.poll_sent(cx));
        let state = &mut *self.state.borrow_mut();
        if !std::mem::replace(&mut state.is_in_flight, false) {
            return Poll::Ready(sent.map(|_| Vec::new()));
        }
        let buffer = sent?;
        if buffer.capacity() <= IDLE_BYTES_MAX {
            state.wire_out = buffer;
        }
        Poll::Ready(Ok(std::mem::take(&mut state.emptied)))
    }

    fn shutdown(&self) {
        self.inner.shutdown();
    }
}

impl Drop for TlsSocket {
    /// Says TLS's farewell, unless bytes are still leaving: then the end of the stream has to do.
    fn drop(&mut self) {
        let state = self.state.get_mut();
        if !state.is_in_flight {
            let mut farewell = Vec::new();
            state.connection.send_close_notify();
            state.encrypted(&mut farewell);
            self.inner.start_send(farewell);
        }
    }
}
