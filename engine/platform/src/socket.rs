//! Stream sockets of one core: accepted or dialled here, served here, never moved.
//!
//! Bounds: a driver holds at most a few receive buffers for a connection that does not read, then
//! stops receiving, so that TCP pushes back. One send is in flight a connection, and its bytes are
//! the caller's own batch: the caller collects all answers of a batch and sends once. Nothing is
//! allocated per request: the received bytes are appended to the caller's buffer, and the sent
//! buffer comes back.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::{SocketError, Spawner, sleep};

/// Where connections of this core begin.
pub trait Network {
    /// Listens on `address`. Cores of one node may listen on the same address; the kernel spreads
    /// connections over them. Port zero takes a free port ([`Listener::local_address`]).
    ///
    /// # Errors
    /// [`SocketError::AddressUnavailable`].
    fn listen(&self, address: SocketAddr) -> Result<Rc<dyn Listener>, SocketError>;

    /// Begins to connect to `address`; nothing leaves before the end of this loop. Use [`connect`],
    /// which bounds the time.
    ///
    /// # Errors
    /// [`SocketError::Refused`] when the system has no socket to give. What the other end says
    /// comes from [`Connecting::poll_connected`].
    fn start_connect(&self, address: SocketAddr) -> Result<Box<dyn Connecting>, SocketError>;
}

/// An attempt to connect. Dropping it gives the attempt up.
pub trait Connecting {
    /// The connection, or why there is none. One task polls, until it is ready.
    ///
    /// # Panics
    /// May panic if polled after it was ready.
    fn poll_connected(&mut self, cx: &mut Context<'_>)
    -> Poll<Result<Rc<dyn Socket>, SocketError>>;
}

/// A listening socket on one core. Dropping the last reference stops listening.
pub trait Listener {
    /// The address bound.
    fn local_address(&self) -> SocketAddr;

    /// The next connection. One task accepts. An error is about one connection, or about open
    /// files; the listener goes on.
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Result<Rc<dyn Socket>, SocketError>>;
}

/// A connection. Dropping the last reference closes it, after the send in flight is done or failed.
pub trait Socket {
    /// The other end's address.
    fn peer_address(&self) -> SocketAddr;

    /// Appends what has arrived to `received` and gives the number of bytes; zero means the peer
    /// ended its side. One task receives.
    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        received: &mut Vec<u8>,
    ) -> Poll<Result<usize, SocketError>>;

    /// Begins sending all of `batch`; it leaves at the end of this loop.
    ///
    /// # Panics
    /// If the previous send has not been awaited to its end by [`Self::poll_sent`].
    fn start_send(&self, batch: Vec<u8>);

    /// The outcome of the send in flight: the emptied buffer, for reuse. Ready with an empty buffer
    /// when none is in flight.
    fn poll_sent(&self, cx: &mut Context<'_>) -> Poll<Result<Vec<u8>, SocketError>>;

    /// Ends both directions: pending and later receives give end of stream, sends fail. The
    /// session's task notices and ends.
    fn shutdown(&self);
}

/// Connects to `address` within `patience`.
///
/// # Errors
/// [`SocketError::Unreachable`] when the other end refuses, [`SocketError::NoAnswer`] when the time
/// is over, [`SocketError::Refused`] when the system has no socket to give.
///
/// # Cancel safety
/// Dropping it gives the attempt up; a connection that was made meanwhile is closed.
pub async fn connect(
    network: &dyn Network,
    spawner: &Rc<dyn Spawner>,
    address: SocketAddr,
    patience: Duration,
) -> Result<Rc<dyn Socket>, SocketError> {
    let mut connecting = network.start_connect(address)?;
    let mut deadline = pin!(sleep(spawner, patience));
    poll_fn(|cx| {
        if let Poll::Ready(outcome) = connecting.poll_connected(cx) {
            return Poll::Ready(outcome);
        }
        deadline.as_mut().poll(cx).map(|()| Err(SocketError::NoAnswer { address }))
    })
    .await
}

/// Waits for the next connection.
///
/// # Cancel safety
/// Safe: a connection is taken only by a poll that returns it.
pub async fn accept(listener: &dyn Listener) -> Result<Rc<dyn Socket>, SocketError> {
    poll_fn(|cx| listener.poll_accept(cx)).await
}

/// Waits for bytes, appends them to `received`, gives their number; zero at the end of the stream.
///
/// # Cancel safety
/// Safe: bytes are taken only by a poll that appends them.
pub async fn recv(socket: &dyn Socket, received: &mut Vec<u8>) -> Result<usize, SocketError> {
    poll_fn(|cx| socket.poll_recv(cx, received)).await
}

/// Sends the whole batch as one and gives the emptied buffer back.
///
/// # Cancel safety
/// Dropping it leaves the send running; the next `send` waits for it first.
pub async fn send(socket: &dyn Socket, batch: Vec<u8>) -> Result<Vec<u8>, SocketError> {
    poll_fn(|cx| socket.poll_sent(cx)).await?;
    socket.start_send(batch);
    poll_fn(|cx| socket.poll_sent(cx)).await
}
