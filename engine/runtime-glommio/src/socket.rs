//! [`platform::Network`] over glommio's streams.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_lite::{AsyncRead, AsyncWrite};
use glommio::net::{TcpListener, TcpStream};
use platform::{Connecting, Listener, Network, Socket, SocketError};
use types::KIB;

use crate::outbox::Outbox;

/// Bytes taken from a connection at one time.
const RECEIVE_BYTES: usize = 16 * KIB as usize;

fn disconnected(error: impl Into<std::io::Error>) -> SocketError {
    SocketError::Disconnected { source: Arc::new(error.into()) }
}

/// One core's network.
pub(crate) struct GlommioNetwork {
    pub(crate) outbox: Rc<Outbox>,
}

impl Network for GlommioNetwork {
    fn listen(&self, address: SocketAddr) -> Result<Rc<dyn Listener>, SocketError> {
        let unavailable = |error: glommio::GlommioError<()>| SocketError::AddressUnavailable {
            address,
            source: Arc::new(error.into()),
        };
        let listener = TcpListener::bind(address).map_err(unavailable)?;
        let local_address = listener.local_addr().map_err(unavailable)?;
        let scratch = Rc::new(RefCell::new(vec![0; RECEIVE_BYTES]));
        let outbox = self.outbox.clone();
        Ok(Rc::new(GlommioListener { listener, local_address, scratch, outbox }))
    }

    fn start_connect(&self, address: SocketAddr) -> Result<Box<dyn Connecting>, SocketError> {
        Ok(Box::new(GlommioConnecting {
            attempt: Box::pin(TcpStream::connect(address)),
            address,
            scratch: Rc::new(RefCell::new(vec![0; RECEIVE_BYTES])),
            outbox: self.outbox.clone(),
        }))
    }
}

struct GlommioListener {
    listener: TcpListener,
    local_address: SocketAddr,
    /// Where received bytes land first; shared by the connections of the core.
    scratch: Rc<RefCell<Vec<u8>>>,
    outbox: Rc<Outbox>,
}

impl Listener for GlommioListener {
    fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Result<Rc<dyn Socket>, SocketError>> {
        self.listener.poll_accept(cx).map(|accepted| {
            let refused = |error: glommio::GlommioError<()>| SocketError::Refused {
                source: Arc::new(error.into()),
            };
            let stream = accepted.map_err(refused)?;
            open(stream, &self.scratch, &self.outbox)
        })
    }
}

/// A connected stream as a socket.
fn open(
    stream: TcpStream,
    scratch: &Rc<RefCell<Vec<u8>>>,
    outbox: &Rc<Outbox>,
) -> Result<Rc<dyn Socket>, SocketError> {
    stream.set_nodelay(true).map_err(disconnected)?;
    let peer_address = stream.peer_addr().map_err(disconnected)?;
    Ok(Rc::new(GlommioSocket {
        connection: Rc::new(Connection {
            stream: RefCell::new(stream),
            send: RefCell::new(SendState::Idle(Vec::new())),
            sender: RefCell::new(None),
            receiver: RefCell::new(None),
            shut: Cell::new(false),
        }),
        peer_address,
        scratch: scratch.clone(),
        outbox: outbox.clone(),
    }))
}

/// The driver's own attempt; dropping it cancels.
type Attempt = Pin<Box<dyn Future<Output = glommio::Result<TcpStream, ()>>>>;

struct GlommioConnecting {
    attempt: Attempt,
    address: SocketAddr,
    scratch: Rc<RefCell<Vec<u8>>>,
    outbox: Rc<Outbox>,
}

impl Connecting for GlommioConnecting {
    fn poll_connected(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Rc<dyn Socket>, SocketError>> {
        self.attempt.as_mut().poll(cx).map(|connected| {
            let unreachable = |error: glommio::GlommioError<()>| {
                SocketError::from_connect(self.address, error.into())
            };
            open(connected.map_err(unreachable)?, &self.scratch, &self.outbox)
        })
    }
}

enum SendState {
    Idle(Vec<u8>),
    InFlight,
    Failed(SocketError),
}

struct Connection {
    stream: RefCell<TcpStream>,
    send: RefCell<SendState>,
    sender: RefCell<Option<Waker>>,
    receiver: RefCell<Option<Waker>>,
    shut: Cell<bool>,
}

impl Connection {
    fn poll_write(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        sent: &mut usize,
    ) -> Poll<std::io::Result<()>> {
        let mut stream = self.stream.borrow_mut();
        while *sent < bytes.len() {
            match Pin::new(&mut *stream).poll_write(cx, &bytes[*sent..]) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
                }
                Poll::Ready(Ok(count)) => *sent += count,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn sent(&self, mut batch: Vec<u8>, result: std::io::Result<()>) {
        batch.clear();
        self.send.replace(match result {
            Ok(()) => SendState::Idle(batch),
            Err(error) => SendState::Failed(disconnected(error)),
        });
        let waker = self.sender.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Sends at once what the socket takes; a task does the rest.
fn send_now(connection: Rc<Connection>, batch: Vec<u8>) {
    glommio::spawn_local(async move {
        let mut sent = 0;
        let result = poll_fn(|cx| connection.poll_write(cx, &batch, &mut sent)).await;
        connection.sent(batch, result);
    })
    .detach();
}

struct GlommioSocket {
    connection: Rc<Connection>,
    peer_address: SocketAddr,
    scratch: Rc<RefCell<Vec<u8>>>,
    outbox: Rc<Outbox>,
}

impl Socket for GlommioSocket {
    fn peer_address(&self) -> SocketAddr {
        self.peer_address
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        received: &mut Vec<u8>,
    ) -> Poll<Result<usize, SocketError>> {
        if self.connection.shut.get() {
            return Poll::Ready(Ok(0));
        }
        let mut scratch = self.scratch.borrow_mut();
        let mut stream = self.connection.stream.borrow_mut();
        match Pin::new(&mut *stream).poll_read(cx, &mut scratch) {
            Poll::Pending => {
                self.connection.receiver.replace(Some(cx.waker().clone()));
                Poll::Pending
            }
            Poll::Ready(Ok(bytes)) => {
                received.extend_from_slice(&scratch[..bytes]);
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(disconnected(error))),
        }
    }

    fn start_send(&self, batch: Vec<u8>) {
        let mut send = self.connection.send.borrow_mut();
        match &*send {
            SendState::InFlight => panic!("the previous send has not been awaited"),
            SendState::Failed(_) => {}
            SendState::Idle(_) if batch.is_empty() => *send = SendState::Idle(batch),
            SendState::Idle(_) => {
                *send = SendState::InFlight;
                let connection = self.connection.clone();
                self.outbox.push(move || send_now(connection, batch));
            }
        }
    }

    fn poll_sent(&self, cx: &mut Context<'_>) -> Poll<Result<Vec<u8>, SocketError>> {
        match &mut *self.connection.send.borrow_mut() {
            SendState::Idle(batch) => Poll::Ready(Ok(std::mem::take(batch))),
            SendState::Failed(error) => Poll::Ready(Err(error.clone())),
            SendState::InFlight => {
                self.connection.sender.replace(Some(cx.waker().clone()));
                Poll::Pending
            }
        }
    }

    fn shutdown(&self) {
        self.connection.shut.set(true);
        let connection = self.connection.clone();
        glommio::spawn_local(async move {
            let shut =
                |cx: &mut Context<'_>| connection.stream.borrow().poll_shutdown(cx, Shutdown::Both);
            // It fails only on a connection that is gone already.
            let _ = poll_fn(shut).await;
        })
        .detach();
        let waker = self.connection.receiver.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
