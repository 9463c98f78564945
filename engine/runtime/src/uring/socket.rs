//! [`platform::Network`] on a core's ring: multishot accept and receive, provided buffers, one send
//! a batch.
//!
//! Received bytes are copied from the ring's buffer into the connection's own vector, which is
//! swapped with the caller's when that is empty, so the usual request costs one copy and no
//! allocation. A connection that is not read from holds at most about [`STAGED_BYTES_MAX`]; then
//! its receive is cancelled and TCP pushes back.
//!
//! A connection that is dialled is in a table of its own until the kernel has answered; dropping the
//! attempt cancels it, and the socket closes with its last completion.
//!
//! A connection's place in the table is freed only when its handle is gone and the kernel has
//! finished with it, so an index in a completion is never stale.

use std::collections::VecDeque;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use platform::{Connecting, Listener, Network, Socket, SocketError};
use types::KIB;

use super::SharedDriver;
use super::ring::{Finished, Operation, OperationId, Ring, Tag};
use crate::slab::Slab;
use crate::sys::{self, RawAddress};

/// Bytes a connection may hold that its task has not taken; beyond it receiving stops.
const STAGED_BYTES_MAX: usize = 128 * KIB as usize;
/// An emptied vector larger than this is given back to the allocator.
const IDLE_BYTES_MAX: usize = 64 * KIB as usize;
/// Connections accepted by the kernel and not yet taken by the listener's task; more are closed at
/// once.
const ACCEPTED_MAX: usize = 1_024;
/// Connections that the kernel queues for a listening socket.
const LISTEN_BACKLOG: i32 = 1024;

/// A waker that is kept between waits, so that waiting again costs nothing.
#[derive(Default)]
struct Waiter {
    waker: Option<Waker>,
    waiting: bool,
}

impl Waiter {
    fn wait(&mut self, cx: &Context<'_>) {
        self.waiting = true;
        match &mut self.waker {
            Some(known) => known.clone_from(cx.waker()),
            None => self.waker = Some(cx.waker().clone()),
        }
    }

    fn wake(&mut self) {
        if std::mem::replace(&mut self.waiting, false)
            && let Some(waker) = &self.waker
        {
            waker.wake_by_ref();
        }
    }
}

/// Where a multishot operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Multishot {
    Idle,
    Armed(OperationId),
    /// Cancelled; its last completion is still to come.
    Cancelling,
}

enum SendState {
    Idle(Vec<u8>),
    InFlight,
    Failed(SocketError),
}

/// How the receiving side ended.
#[derive(Clone)]
enum ReceiveEnd {
    EndOfStream,
    Failed(SocketError),
}

struct Connection {
    socket: Arc<TcpStream>,
    staged: Vec<u8>,
    receive: Multishot,
    ended: Option<ReceiveEnd>,
    receiver: Waiter,
    send: SendState,
    sender: Waiter,
    handle_alive: bool,
}

struct Listening {
    listener: Arc<TcpListener>,
    accept: Multishot,
    accepted: VecDeque<Result<TcpStream, SocketError>>,
    acceptor: Waiter,
    handle_alive: bool,
}

/// An attempt to connect.
struct Dialling {
    socket: Arc<TcpStream>,
    /// The kernel's, from the moment it is started.
    operation: Option<OperationId>,
    /// What the kernel said.
    outcome: Option<Result<(), io::Error>>,
    dialler: Waiter,
    handle_alive: bool,
}

pub(crate) struct SocketTable {
    connections: Slab<Connection>,
    dialling: Slab<Dialling>,
    listeners: Slab<Listening>,
}

fn disconnected(error: io::Error) -> SocketError {
    SocketError::Disconnected { source: Arc::new(error) }
}

impl Connection {
    fn arm(&mut self, index: u32, ring: &mut Ring) {
        if self.receive == Multishot::Idle && self.ended.is_none() && self.handle_alive {
            let operation = Operation::Receive { socket: self.socket.clone() };
            self.receive = Multishot::Armed(ring.start(Tag::Receive(index), operation));
        }
    }

    fn disarm(&mut self, ring: &mut Ring) {
        if let Multishot::Armed(operation) = self.receive {
            ring.cancel(operation);
            self.receive = Multishot::Cancelling;
        }
    }

    fn on_receive(&mut self, index: u32, done: &Finished, ring: &mut Ring) {
        if let Some(buffer) = done.buffer {
            let length = usize::try_from(done.result).unwrap_or(0);
            if self.handle_alive {
                self.staged.extend_from_slice(ring.received(buffer, length));
            }
            ring.give_back(buffer);
        }
        let last = done.operation.is_some();
        if last {
            self.receive = Multishot::Idle;
        }
        match done.error() {
            Some(error) => match error.raw_os_error() {
                // Cancelled by us, or the ring was out of buffers, or interrupted: what comes next
                // arms it again.
                Some(libc::ECANCELED | libc::ENOBUFS | libc::EINTR | libc::EAGAIN) => {}
                _ => self.ended = Some(ReceiveEnd::Failed(disconnected(error))),
            },
            None if done.result == 0 => self.ended = Some(ReceiveEnd::EndOfStream),
            None => {}
        }
        if self.staged.len() >= STAGED_BYTES_MAX {
            self.disarm(ring);
        } else if last {
            self.arm(index, ring);
        }
        if !self.staged.is_empty() || self.ended.is_some() {
            self.receiver.wake();
        }
    }

    fn take_staged(&mut self, received: &mut Vec<u8>) -> usize {
        let bytes = self.staged.len();
        if received.is_empty() {
            std::mem::swap(received, &mut self.staged);
        } else {
            received.extend_from_slice(&self.staged);
            self.staged.clear();
        }
        if self.staged.capacity() > IDLE_BYTES_MAX {
            self.staged = Vec::new();
        }
        bytes
    }

    fn is_finished(&self) -> bool {
        !self.handle_alive
            && self.receive == Multishot::Idle
            && !matches!(self.send, SendState::InFlight)
    }
}

impl SocketTable {
    pub(crate) fn new() -> SocketTable {
        SocketTable { connections: Slab::new(), dialling: Slab::new(), listeners: Slab::new() }
    }

    pub(crate) fn on_finished(&mut self, done: Finished, ring: &mut Ring) {
        match done.tag {
            Tag::Accept(index) => self.on_accept(index, &done),
            Tag::Connect(index) => self.on_connect(index, &done),
            Tag::Receive(index) => {
                let connection = self.connections.get_mut(index);
                let connection = connection.expect("kept while the kernel uses it");
                connection.on_receive(index, &done, ring);
                self.remove_if_finished(index);
            }
            Tag::Send(index) => self.on_send(index, done, ring),
            _ => unreachable!("dispatched by tag"),
        }
    }

    fn on_send(&mut self, index: u32, done: Finished, ring: &mut Ring) {
        let error = done.error();
        let Some(Operation::Send { socket, mut bytes, mut sent }) = done.operation else {
            unreachable!("a send's only completion gives the send back")
        };
        let connection = self.connections.get_mut(index).expect("kept while the kernel uses it");
        let again = match error {
            Some(error) => match error.raw_os_error() {
                Some(libc::EINTR | libc::EAGAIN) => true,
                _ => {
                    connection.send = SendState::Failed(disconnected(error));
                    false
                }
            },
            None => {
                sent += done.result as usize;
                sent < bytes.len()
            }
        };
        if again {
            ring.start(Tag::Send(index), Operation::Send { socket, bytes, sent });
            return;
        }
        if matches!(connection.send, SendState::InFlight) {
            bytes.clear();
            connection.send = SendState::Idle(bytes);
        }
        connection.sender.wake();
        self.remove_if_finished(index);
    }

    fn on_accept(&mut self, index: u32, done: &Finished) {
        let listening = self.listeners.get_mut(index).expect("kept while the kernel uses it");
        if done.operation.is_some() {
            listening.accept = Multishot::Idle;
        }
        let accepted = match done.error() {
            Some(error) => match error.raw_os_error() {
                // A client that went away, or our own cancellation, is nobody's error.
                Some(libc::ECANCELED | libc::ECONNABORTED | libc::EINTR | libc::EAGAIN) => None,
                _ => Some(Err(SocketError::Refused { source: Arc::new(error) })),
            },
            None => Some(Ok(TcpStream::from(crate::sys::adopt_descriptor(done.result)))),
        };
        if let Some(accepted) = accepted
            && listening.handle_alive
            && listening.accepted.len() < ACCEPTED_MAX
        {
            listening.accepted.push_back(accepted);
        }
        // Woken without a connection, the acceptor arms the accept again.
        listening.acceptor.wake();
        if !listening.handle_alive && listening.accept == Multishot::Idle {
            self.listeners.remove(index);
        }
    }

    fn on_connect(&mut self, index: u32, done: &Finished) {
        let dialling = self.dialling.get_mut(index).expect("kept while the kernel uses it");
        if !dialling.handle_alive {
            self.dialling.remove(index);
            return;
        }
        dialling.outcome = Some(done.error().map_or(Ok(()), Err));
        dialling.dialler.wake();
    }

    /// Takes a stream that is connected into the table.
    fn insert(&mut self, socket: Arc<TcpStream>) -> Result<(u32, SocketAddr), SocketError> {
        // Answers are batched already; waiting for more to send would only delay them.
        socket.set_nodelay(true).map_err(disconnected)?;
        sys::keep_alive(socket.as_raw_fd()).map_err(disconnected)?;
        let peer_address = socket.peer_addr().map_err(disconnected)?;
        let index = self.connections.insert(Connection {
            socket,
            staged: Vec::new(),
            receive: Multishot::Idle,
            ended: None,
            receiver: Waiter::default(),
            send: SendState::Idle(Vec::new()),
            sender: Waiter::default(),
            handle_alive: true,
        });
        Ok((index, peer_address))
    }

    fn remove_if_finished(&mut self, index: u32) {
        if self.connections.get(index).is_some_and(Connection::is_finished) {
            self.connections.remove(index);
        }
    }
}

/// A core's network.
pub(crate) struct UringNetwork {
    driver: SharedDriver,
}

impl UringNetwork {
    pub(crate) fn new(driver: SharedDriver) -> Rc<UringNetwork> {
        Rc::new(UringNetwork { driver })
    }
}

impl Network for UringNetwork {
    fn listen(&self, address: SocketAddr) -> Result<Rc<dyn Listener>, SocketError> {
        let unavailable =
            |error| SocketError::AddressUnavailable { address, source: Arc::new(error) };
        let listener = crate::sys::listen_shared(address, LISTEN_BACKLOG).map_err(unavailable)?;
        let local_address = listener.local_addr().map_err(unavailable)?;
        let index = self.driver.sockets.borrow_mut().listeners.insert(Listening {
            listener: Arc::new(listener),
            accept: Multishot::Idle,
            accepted: VecDeque::new(),
            acceptor: Waiter::default(),
            handle_alive: true,
        });
        Ok(Rc::new(UringListener { driver: self.driver.clone(), index, local_address }))
    }

    fn start_connect(&self, address: SocketAddr) -> Result<Box<dyn Connecting>, SocketError> {
        let socket = sys::stream_socket(address);
        let socket = socket.map_err(|error| SocketError::from_connect(address, error))?;
        let socket = Arc::new(socket);
        let mut table = self.driver.sockets.borrow_mut();
        let index = table.dialling.insert(Dialling {
            socket: socket.clone(),
            operation: None,
            outcome: None,
            dialler: Waiter::default(),
            handle_alive: true,
        });
        let connect = Operation::Connect { socket, address: Box::new(RawAddress::new(address)) };
        let operation = self.driver.ring.borrow_mut().start(Tag::Connect(index), connect);
        table.dialling.get_mut(index).expect("just inserted").operation = Some(operation);
        Ok(Box::new(UringConnecting { driver: self.driver.clone(), index, address }))
    }
}

struct UringConnecting {
    driver: SharedDriver,
    index: u32,
    address: SocketAddr,
}

impl Connecting for UringConnecting {
    fn poll_connected(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Rc<dyn Socket>, SocketError>> {
        let mut table = self.driver.sockets.borrow_mut();
        let dialling = table.dialling.get_mut(self.index).expect("kept while its handle lives");
        match &dialling.outcome {
            None => {
                dialling.dialler.wait(cx);
                Poll::Pending
            }
            Some(Err(error)) => {
                let error = error.raw_os_error().map(io::Error::from_raw_os_error);
                let error = error.expect("the kernel answers with numbers");
                Poll::Ready(Err(SocketError::from_connect(self.address, error)))
            }
            Some(Ok(())) => {
                let socket = dialling.socket.clone();
                Poll::Ready(table.insert(socket).map(|(index, peer_address)| {
                    let driver = self.driver.clone();
                    Rc::new(UringSocket { driver, index, peer_address }) as Rc<dyn Socket>
                }))
            }
        }
    }
}

impl Drop for UringConnecting {
    fn drop(&mut self) {
        let mut table = self.driver.sockets.borrow_mut();
        let dialling = table.dialling.get_mut(self.index).expect("kept while its handle lives");
        dialling.handle_alive = false;
        if dialling.outcome.is_some() {
            table.dialling.remove(self.index);
        } else {
            let operation = dialling.operation.expect("started when the attempt was made");
            self.driver.ring.borrow_mut().cancel(operation);
        }
    }
}

struct UringListener {
    driver: SharedDriver,
    index: u32,
    local_address: SocketAddr,
}

impl Listener for UringListener {
    fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Result<Rc<dyn Socket>, SocketError>> {
        let mut table = self.driver.sockets.borrow_mut();
        let listening = table.listeners.get_mut(self.index).expect("kept while its handle lives");
        let Some(accepted) = listening.accepted.pop_front() else {
            listening.acceptor.wait(cx);
            if listening.accept == Multishot::Idle {
                let operation = Operation::Accept { listener: listening.listener.clone() };
                let mut ring = self.driver.ring.borrow_mut();
                listening.accept = Multishot::Armed(ring.start(Tag::Accept(self.index), operation));
            }
            return Poll::Pending;
        };
        Poll::Ready(accepted.and_then(|stream| {
            let (index, peer_address) = table.insert(Arc::new(stream))?;
            let driver = self.driver.clone();
            Ok(Rc::new(UringSocket { driver, index, peer_address }) as Rc<dyn Socket>)
        }))
    }
}

impl Drop for UringListener {
    fn drop(&mut self) {
        let mut table = self.driver.sockets.borrow_mut();
        let listening = table.listeners.get_mut(self.index).expect("kept while its handle lives");
        listening.handle_alive = false;
        listening.accepted.clear();
        match listening.accept {
            Multishot::Armed(operation) => {
                self.driver.ring.borrow_mut().cancel(operation);
                listening.accept = Multishot::Cancelling;
            }
            Multishot::Idle => {
                table.listeners.remove(self.index);
            }
            Multishot::Cancelling => {}
        }
    }
}

struct UringSocket {
    driver: SharedDriver,
    index: u32,
    peer_address: SocketAddr,
}

impl UringSocket {
    fn with<T>(&self, work: impl FnOnce(&mut Connection, &mut Ring) -> T) -> T {
        let mut table = self.driver.sockets.borrow_mut();
        let connection =
            table.connections.get_mut(self.index).expect("kept while its handle lives");
        work(connection, &mut self.driver.ring.borrow_mut())
    }
}

impl Socket for UringSocket {
    fn peer_address(&self) -> SocketAddr {
        self.peer_address
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        received: &mut Vec<u8>,
    ) -> Poll<Result<usize, SocketError>> {
        self.with(|connection, ring| {
            if !connection.staged.is_empty() {
                let bytes = connection.take_staged(received);
                connection.arm(self.index, ring);
                return Poll::Ready(Ok(bytes));
            }
            match &connection.ended {
                Some(ReceiveEnd::EndOfStream) => Poll::Ready(Ok(0)),
                Some(ReceiveEnd::Failed(error)) => Poll::Ready(Err(error.clone())),
                None => {
                    connection.receiver.wait(cx);
                    connection.arm(self.index, ring);
                    Poll::Pending
                }
            }
        })
    }

    fn start_send(&self, batch: Vec<u8>) {
        self.with(|connection, ring| match &connection.send {
            SendState::InFlight => panic!("the previous send has not been awaited"),
            SendState::Failed(_) => {}
            SendState::Idle(_) if batch.is_empty() => connection.send = SendState::Idle(batch),
            SendState::Idle(_) => {
                connection.send = SendState::InFlight;
                let socket = connection.socket.clone();
                let operation = Operation::Send { socket, bytes: batch, sent: 0 };
                ring.start(Tag::Send(self.index), operation);
            }
        });
    }

    fn poll_sent(&self, cx: &mut Context<'_>) -> Poll<Result<Vec<u8>, SocketError>> {
        self.with(|connection, _| match &mut connection.send {
            SendState::InFlight => {
                connection.sender.wait(cx);
                Poll::Pending
            }
            SendState::Idle(buffer) => Poll::Ready(Ok(std::mem::take(buffer))),
            SendState::Failed(error) => Poll::Ready(Err(error.clone())),
        })
    }

    fn shutdown(&self) {
        self.with(|connection, _| {
            // It fails only on a connection that is gone already.
            let _ = connection.socket.shutdown(Shutdown::Both);
            if connection.ended.is_none() {
                connection.ended = Some(ReceiveEnd::EndOfStream);
            }
            connection.receiver.wake();
        });
    }
}

impl Drop for UringSocket {
    fn drop(&mut self) {
        self.with(|connection, ring| {
            connection.handle_alive = false;
            connection.disarm(ring);
        });
        self.driver.sockets.borrow_mut().remove_if_finished(self.index);
    }
}
