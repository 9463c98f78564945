//! The network as the programs of one core see it.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use platform::{Connecting, Listener, Network, Socket, SocketError};
use types::NodeId;

use super::Net;
use super::packet::{ConnectionNumber, Content, Side};
use super::state::{End, Sending};

type Output = Box<dyn FnOnce(&Arc<Net>)>;

/// What a core has asked of the network in this turn.
#[derive(Default)]
struct Outbox {
    outputs: RefCell<Vec<Output>>,
}

/// One core's end of the network.
pub(crate) struct SimNetwork {
    node: NodeId,
    net: Arc<Net>,
    outbox: Rc<Outbox>,
}

impl SimNetwork {
    pub(crate) fn new(node: NodeId, net: Arc<Net>) -> SimNetwork {
        SimNetwork { node, net, outbox: Rc::default() }
    }

    /// Lets what was asked in this turn leave.
    pub(crate) fn flush(&self) {
        for output in self.outbox.outputs.take() {
            output(&self.net);
        }
    }

    fn socket(&self, number: ConnectionNumber, side: Side) -> Rc<dyn Socket> {
        let peer = self.net.with(|state| {
            let connection = state.connections.get(&number);
            connection.map(|connection| connection.addresses[side.other().index()])
        });
        // A connection that is broken already tells so when it is used.
        let peer_address = peer.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)));
        let (net, outbox) = (self.net.clone(), self.outbox.clone());
        Rc::new(SimSocket { net, outbox, number, side, peer_address })
    }
}

impl Network for SimNetwork {
    fn listen(&self, address: SocketAddr) -> Result<Rc<dyn Listener>, SocketError> {
        let listening = self.net.with(|state| state.listen(self.node, address));
        let Some((key, local_address)) = listening else {
            let source = Arc::new(io::Error::from(io::ErrorKind::AddrNotAvailable));
            return Err(SocketError::AddressUnavailable { address, source });
        };
        let network = SimNetwork::clone_of(self);
        Ok(Rc::new(SimListener { network, key, local_address }))
    }

    fn start_connect(&self, address: SocketAddr) -> Result<Box<dyn Connecting>, SocketError> {
        let number = self.net.with(|state| state.dial(self.node, address));
        if let Some(number) = number {
            self.outbox.outputs.borrow_mut().push(Box::new(move |net| {
                net.with(|state| {
                    if state.connections.contains_key(&number) {
                        state.send(number, Side::Acceptor, Content::Knock(address));
                    }
                });
            }));
        }
        let network = SimNetwork::clone_of(self);
        Ok(Box::new(SimConnecting { network, number, address }))
    }
}

impl SimNetwork {
    fn clone_of(other: &SimNetwork) -> SimNetwork {
        let (net, outbox) = (other.net.clone(), other.outbox.clone());
        SimNetwork { node: other.node, net, outbox }
    }
}

struct SimListener {
    network: SimNetwork,
    key: u64,
    local_address: SocketAddr,
}

impl Listener for SimListener {
    fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Result<Rc<dyn Socket>, SocketError>> {
        let number = self.network.net.with(|state| {
            let listener = state.listeners.get_mut(&self.key)?;
            let number = listener.waiting.pop_front();
            if number.is_none() {
                listener.acceptor = Some(cx.waker().clone());
            }
            number
        });
        match number {
            Some(number) => Poll::Ready(Ok(self.network.socket(number, Side::Acceptor))),
            None => Poll::Pending,
        }
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        self.network.net.with(|state| state.close_listener(self.key));
    }
}

struct SimConnecting {
    network: SimNetwork,
    /// Taken once it is a socket's; none if no host has the address.
    number: Option<ConnectionNumber>,
    address: SocketAddr,
}

impl Connecting for SimConnecting {
    fn poll_connected(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Rc<dyn Socket>, SocketError>> {
        let unreachable = |kind: io::ErrorKind| {
            Poll::Ready(Err(SocketError::from_connect(self.address, kind.into())))
        };
        let Some(number) = self.number else {
            return unreachable(io::ErrorKind::HostUnreachable);
        };
        let outcome = self.network.net.with(|state| {
            let connection = state.connections.get_mut(&number)?;
            let end = &mut connection.ends[Side::Dialler.index()];
            end.receiver = Some(cx.waker().clone());
            Some((end.is_open, end.is_refused || end.is_broken))
        });
        match outcome {
            Some((_, true)) | None => unreachable(io::ErrorKind::ConnectionRefused),
            Some((false, false)) => Poll::Pending,
            Some((true, false)) => {
                self.number = None;
                Poll::Ready(Ok(self.network.socket(number, Side::Dialler)))
            }
        }
    }
}

impl Drop for SimConnecting {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.network.net.with(|state| state.drop_end(number, Side::Dialler));
        }
    }
}

struct SimSocket {
    net: Arc<Net>,
    outbox: Rc<Outbox>,
    number: ConnectionNumber,
    side: Side,
    peer_address: SocketAddr,
}

fn broken() -> SocketError {
    let source = Arc::new(io::Error::from(io::ErrorKind::ConnectionReset));
    SocketError::Disconnected { source }
}

impl SimSocket {
    /// Works on this end; `None` if the connection is gone altogether.
    fn end<T>(&self, work: impl FnOnce(&mut End) -> T) -> Option<T> {
        self.net.with(|state| {
            let connection = state.connections.get_mut(&self.number)?;
            Some(work(&mut connection.ends[self.side.index()]))
        })
    }
}

impl Socket for SimSocket {
    fn peer_address(&self) -> SocketAddr {
        self.peer_address
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        received: &mut Vec<u8>,
    ) -> Poll<Result<usize, SocketError>> {
        let outcome = self.end(|end| {
            if end.is_shut {
                return Poll::Ready(Ok(0));
            }
            if end.is_broken {
                return Poll::Ready(Err(broken()));
            }
            if !end.arrived.is_empty() {
                let bytes = end.arrived.len();
                received.extend(end.arrived.drain(..));
                return Poll::Ready(Ok(bytes));
            }
            if end.is_ended {
                return Poll::Ready(Ok(0));
            }
            end.receiver = Some(cx.waker().clone());
            Poll::Pending
        });
        let outcome = outcome.unwrap_or_else(|| Poll::Ready(Err(broken())));
        if let Poll::Ready(Ok(bytes @ 1..)) = outcome {
            self.net.with(|state| {
                state.send(self.number, self.side.other(), Content::Taken(bytes));
            });
        }
        outcome
    }

    fn start_send(&self, batch: Vec<u8>) {
        let begun = self.end(|end| {
            let idle = !matches!(end.sending, Sending::InFlight { .. });
            assert!(idle, "the previous send has not been awaited");
            if end.is_broken || end.is_shut {
                return false;
            }
            end.sending = match batch.is_empty() {
                true => Sending::Done(batch),
                false => Sending::InFlight { bytes: batch, sent: 0 },
            };
            true
        });
        if begun == Some(true) {
            let (number, side) = (self.number, self.side);
            let pump = move |net: &Arc<Net>| net.with(|state| state.pump(number, side));
            self.outbox.outputs.borrow_mut().push(Box::new(pump));
        }
    }

    fn poll_sent(&self, cx: &mut Context<'_>) -> Poll<Result<Vec<u8>, SocketError>> {
        let outcome = self.end(|end| {
            if end.is_broken || end.is_shut {
                return Poll::Ready(Err(broken()));
            }
            match &mut end.sending {
                Sending::InFlight { .. } => {
                    end.sender = Some(cx.waker().clone());
                    Poll::Pending
                }
                Sending::Done(buffer) => Poll::Ready(Ok(std::mem::take(buffer))),
                Sending::Idle => Poll::Ready(Ok(Vec::new())),
            }
        });
        outcome.unwrap_or_else(|| Poll::Ready(Err(broken())))
    }

    fn shutdown(&self) {
        self.net.with(|state| {
            let Some(connection) = state.connections.get_mut(&self.number) else { return };
            let end = &mut connection.ends[self.side.index()];
            if end.is_shut || end.is_broken || end.is_forgotten {
                return;
            }
            end.is_shut = true;
            end.sending = Sending::Idle;
            let wakers = [end.receiver.take(), end.sender.take()];
            state.wake_all(wakers.into_iter().flatten());
            state.send(self.number, self.side.other(), Content::End);
        });
    }
}

impl Drop for SimSocket {
    fn drop(&mut self) {
        self.net.with(|state| state.drop_end(self.number, self.side));
    }
}
