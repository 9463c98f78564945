//! The network between the nodes of a cluster: streams that keep their order, over links that delay, cut, hold, damage and break.
//!
//! **Modelled**, as TCP does it: bytes of one connection arrive in order, in segments of drawn lengths; connections overtake one another. A sender is
//! let through up to a window of bytes that the other end's program has not taken. A blocked direction holds what enters it, as retransmission would,
//! and lets it go when the direction opens, so that a one-way network partition stops acknowledgements too: the sender's window closes. A reset breaks
//! a connection in the middle of a segment. A killed process resets its connections; a machine that dies says nothing, and answers what still comes
//! for its past with a reset once it is back. Damage that a checksum of TCP misses is a flipped bit.
//!
//! What a core sends leaves at the end of its turn. Every node has one address ([`host_address`]); a world on its own has no network.

mod packet;
mod socket;
mod state;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use platform::{Connecting, Listener, Network, SocketError};
use types::NodeId;
use types::prng::Prng;

pub(crate) use socket::SimNetwork;

use crate::machine::Machine;
use packet::Packet;
use state::NetworkState;

/// What the links of a cluster are like.
#[derive(Clone, Copy, Debug)]
pub struct LinkOptions {
    /// Nanoseconds that a segment travels at least.
    pub delay_nanos_min: u64,
    /// Nanoseconds that a segment travels at most.
    pub delay_nanos_max: u64,
    /// Bytes of a segment at most; one makes every byte travel alone.
    pub segment_bytes_max: usize,
    /// Bytes on their way and not taken by the receiving program, at most; a small number is a slow receiver.
    pub window_bytes: usize,
    /// Of a million segments, those in the middle of which the connection breaks.
    pub resets_in_million: u32,
    /// Of a million segments, those of which a bit flips unnoticed.
    pub damages_in_million: u32,
}

impl Default for LinkOptions {
    /// A quiet local network.
    fn default() -> LinkOptions {
        LinkOptions {
            delay_nanos_min: 20_000,
            delay_nanos_max: 200_000,
            segment_bytes_max: 16 * 1024,
            window_bytes: 256 * 1024,
            resets_in_million: 0,
            damages_in_million: 0,
        }
    }
}

impl LinkOptions {
    /// Links of a drawn character.
    pub fn drawn(prng: &mut Prng) -> LinkOptions {
        let delay_nanos_min = [1_000, 50_000, 1_000_000][prng.index(3)];
        LinkOptions {
            delay_nanos_min,
            delay_nanos_max: delay_nanos_min * (1 + prng.below(20)),
            segment_bytes_max: [1, 7, 100, 1_460, 65_536][prng.index(5)],
            window_bytes: [64, 2_000, 65_536, 1 << 20][prng.index(4)],
            resets_in_million: [0, 0, 1_000][prng.index(3)],
            damages_in_million: 0,
        }
    }
}

/// How a node ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its process is killed: the kernel resets its connections, and refuses new ones.
    Process,
    /// Its machine stops: nobody hears anything.
    Machine,
}

/// Where a node of a cluster listens.
///
/// # Panics
/// For a node number that does not fit the simulated network.
pub fn host_address(node: NodeId) -> IpAddr {
    assert!(node.0 < 1 << 16, "the simulated network has 2^16 hosts");
    let [_, _, high, low] = node.0.to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(10, 0, high, low))
}

/// The network of one cluster, shared by its nodes.
pub(crate) struct Net {
    state: Mutex<NetworkState>,
}

impl Net {
    pub(crate) fn new(seed: u64, nodes: u32, link: LinkOptions) -> Arc<Net> {
        Arc::new(Net { state: Mutex::new(NetworkState::new(Prng::new(seed), nodes, link)) })
    }

    /// Works on the state, then schedules what was sent and wakes who waits, with nothing locked.
    pub(crate) fn with<T>(self: &Arc<Self>, work: impl FnOnce(&mut NetworkState) -> T) -> T {
        let (result, wakers, departures) = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let result = work(&mut state);
            (result, state.take_wakers(), state.take_departures())
        };
        self.release(wakers, departures);
        result
    }

    fn release(self: &Arc<Self>, wakers: Vec<Waker>, departures: Vec<Departure>) {
        for departure in departures {
            let net = self.clone();
            let packet = departure.packet;
            departure.machine.schedule_at(departure.due, move |machine| {
                machine.lock().trace.fold(packet.digest());
                net.deliver(packet);
            });
        }
        wakers.into_iter().for_each(Waker::wake);
    }

    fn deliver(self: &Arc<Self>, packet: Packet) {
        self.with(|state| state.deliver(packet));
    }
}

/// A packet that has been given its moment of arrival.
pub(crate) struct Departure {
    pub(crate) machine: Arc<Machine>,
    pub(crate) due: u64,
    pub(crate) packet: Packet,
}

/// What a world that stands alone has.
pub(crate) struct NoNetwork;

impl Network for NoNetwork {
    fn listen(&self, address: SocketAddr) -> Result<Rc<dyn Listener>, SocketError> {
        let source = Arc::new(std::io::Error::other("a world on its own has no network"));
        Err(SocketError::AddressUnavailable { address, source })
    }

    fn start_connect(&self, address: SocketAddr) -> Result<Box<dyn Connecting>, SocketError> {
        let source = std::io::Error::other("a world on its own has no network");
        Err(SocketError::from_connect(address, source))
    }
}
