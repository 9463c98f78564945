//! Hosts, links, listeners and connections, and what each packet does to them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Waker;

use types::NodeId;
use types::prng::Prng;

use super::packet::{ConnectionNumber, Content, Packet, Side};
use super::{Departure, Ending, LinkOptions, host_address};
use crate::machine::Machine;

/// Connections that a listener holds for its task at most; a further one is not answered.
const BACKLOG_MAX: usize = 128;
/// The first port that is given to those who ask for any.
const FIRST_FREE_PORT: u16 = 40_000;

/// One end's send.
#[derive(Default)]
pub(crate) enum Sending {
    #[default]
    Idle,
    InFlight {
        bytes: Vec<u8>,
        sent: usize,
    },
    /// Everything has been let through; the buffer waits to be fetched.
    Done(Vec<u8>),
}

/// One end of a connection, as its kernel knows it.
#[derive(Default)]
pub(crate) struct End {
    pub(crate) node: NodeId,
    pub(crate) arrived: VecDeque<u8>,
    pub(crate) is_open: bool,
    pub(crate) is_ended: bool,
    /// Nobody listened.
    pub(crate) is_refused: bool,
    pub(crate) is_broken: bool,
    /// The program has shut it.
    pub(crate) is_shut: bool,
    /// The program has let go of it.
    pub(crate) is_dropped: bool,
    /// The kernel that knew it is gone.
    pub(crate) is_forgotten: bool,
    pub(crate) sending: Sending,
    pub(crate) receiver: Option<Waker>,
    pub(crate) sender: Option<Waker>,
    /// Bytes let through and not taken by the other program.
    untaken: usize,
    /// When the last packet for this end arrives.
    arrival: u64,
}

pub(crate) struct Connection {
    pub(crate) ends: [End; 2],
    pub(crate) addresses: [SocketAddr; 2],
}

pub(crate) struct ListenerState {
    node: NodeId,
    address: SocketAddr,
    pub(crate) waiting: VecDeque<ConnectionNumber>,
    pub(crate) acceptor: Option<Waker>,
}

#[derive(Default)]
struct Host {
    /// Present while it runs.
    machine: Option<Arc<Machine>>,
    /// How it ended, when it does not run.
    ending: Option<Ending>,
    next_port: u16,
}

#[derive(Default)]
struct Link {
    options: LinkOptions,
    is_blocked: bool,
    held: VecDeque<Packet>,
}

pub(crate) struct NetworkState {
    prng: Prng,
    hosts: Vec<Host>,
    links: BTreeMap<(NodeId, NodeId), Link>,
    pub(crate) listeners: BTreeMap<u64, ListenerState>,
    pub(crate) connections: BTreeMap<ConnectionNumber, Connection>,
    next_number: u64,
    wakers: Vec<Waker>,
    departures: Vec<Departure>,
}

impl NetworkState {
    pub(crate) fn new(prng: Prng, nodes: u32, options: LinkOptions) -> NetworkState {
        let ids = || (0..nodes).map(NodeId);
        let pairs = ids().flat_map(|from| ids().map(move |to| (from, to)));
        let link = |pair| (pair, Link { options, ..Link::default() });
        let host = |_| Host { next_port: FIRST_FREE_PORT, ..Host::default() };
        NetworkState {
            prng,
            hosts: ids().map(host).collect(),
            links: pairs.map(link).collect(),
            listeners: BTreeMap::new(),
            connections: BTreeMap::new(),
            next_number: 0,
            wakers: Vec::new(),
            departures: Vec::new(),
        }
    }

    pub(crate) fn take_wakers(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.wakers)
    }

    pub(crate) fn take_departures(&mut self) -> Vec<Departure> {
        std::mem::take(&mut self.departures)
    }

    pub(crate) fn wake_all(&mut self, wakers: impl Iterator<Item = Waker>) {
        self.wakers.extend(wakers);
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    fn link(&mut self, from: NodeId, to: NodeId) -> &mut Link {
        self.links.get_mut(&(from, to)).expect("both are nodes of this cluster")
    }

    // --- what happens to hosts and links

    pub(crate) fn start_host(&mut self, node: NodeId, machine: Arc<Machine>) {
        let host = &mut self.hosts[node.0 as usize];
        assert!(host.machine.is_none(), "node {node} runs already");
        host.machine = Some(machine);
        host.ending = None;
    }

    pub(crate) fn stop_host(&mut self, node: NodeId, ending: Ending) {
        self.listeners.retain(|_, listener| listener.node != node);
        let mut told = Vec::new();
        for (number, connection) in &mut self.connections {
            for side in [Side::Dialler, Side::Acceptor] {
                let end = &mut connection.ends[side.index()];
                if end.node == node && !end.is_forgotten {
                    end.is_forgotten = true;
                    told.push((*number, side));
                }
            }
        }
        if ending == Ending::Process {
            for (number, side) in told {
                self.send(number, side.other(), Content::Reset);
            }
        }
        let host = &mut self.hosts[node.0 as usize];
        host.machine = None;
        host.ending = Some(ending);
        self.connections.retain(|_, connection| !connection.is_over());
    }

    pub(crate) fn set_link(&mut self, from: NodeId, to: NodeId, options: LinkOptions) {
        self.link(from, to).options = options;
    }

    pub(crate) fn block(&mut self, from: NodeId, to: NodeId) {
        self.link(from, to).is_blocked = true;
    }

    pub(crate) fn open(&mut self, from: NodeId, to: NodeId) {
        let link = self.link(from, to);
        link.is_blocked = false;
        for packet in std::mem::take(&mut link.held) {
            self.depart(packet);
        }
    }

    pub(crate) fn open_all(&mut self) {
        let pairs: Vec<_> = self.links.keys().copied().collect();
        pairs.into_iter().for_each(|(from, to)| self.open(from, to));
    }

    /// Breaks every connection between two nodes, at both ends and at once; gives their number.
    pub(crate) fn reset(&mut self, nodes: [NodeId; 2]) -> usize {
        let between = |connection: &Connection| {
            let ends = [connection.ends[0].node, connection.ends[1].node];
            ends == nodes || ends == [nodes[1], nodes[0]]
        };
        let broken: Vec<_> = self
            .connections
            .iter()
            .filter(|(_, connection)| between(connection))
            .map(|(number, _)| *number)
            .collect();
        for number in &broken {
            self.break_end(*number, Side::Dialler);
            self.break_end(*number, Side::Acceptor);
        }
        broken.len()
    }

    // --- packets

    /// Sends a packet to one end of a connection, from the other.
    pub(crate) fn send(&mut self, connection: ConnectionNumber, to: Side, content: Content) {
        let ends = &self.connections[&connection].ends;
        let (from_node, to_node) = (ends[to.other().index()].node, ends[to.index()].node);
        self.depart(Packet { connection, to, from_node, to_node, content });
    }

    fn depart(&mut self, packet: Packet) {
        let link = self.link(packet.from_node, packet.to_node);
        if link.is_blocked {
            link.held.push_back(packet);
            return;
        }
        let options = link.options;
        let spread = options.delay_nanos_max.saturating_sub(options.delay_nanos_min) + 1;
        let delay = options.delay_nanos_min + self.prng.below(spread);
        let source = self.hosts[packet.from_node.0 as usize].machine.clone();
        let target = self.hosts[packet.to_node.0 as usize].machine.clone();
        // What is held for a host that has ended, or by one, leaves by the clock of the other.
        let Some(clock) = source.as_ref().or(target.as_ref()) else { return };
        let sent_at = clock.now();
        let Some(connection) = self.connections.get_mut(&packet.connection) else { return };
        let end = &mut connection.ends[packet.to.index()];
        end.arrival = end.arrival.max(sent_at + delay) + 1;
        let due = end.arrival;
        match target {
            Some(machine) => self.departures.push(Departure { machine, due, packet }),
            None => self.answer_for_the_dead(packet, due),
        }
    }

    /// Where a process was killed its kernel answers; where a machine died nobody does.
    fn answer_for_the_dead(&mut self, packet: Packet, due: u64) {
        let connection = self.connections.get_mut(&packet.connection);
        connection.expect("looked up by the caller").ends[packet.to.index()].is_forgotten = true;
        let ending = self.hosts[packet.to_node.0 as usize].ending;
        if ending != Some(Ending::Process) {
            return;
        }
        let content = match packet.content {
            Content::Knock(_) => Content::Refuse,
            Content::Reset | Content::Refuse => return,
            _ => Content::Reset,
        };
        let machine = self.hosts[packet.from_node.0 as usize].machine.clone();
        let Some(machine) = machine else { return };
        let answer = Packet {
            connection: packet.connection,
            to: packet.to.other(),
            from_node: packet.to_node,
            to_node: packet.from_node,
            content,
        };
        let link = self.link(answer.from_node, answer.to_node);
        if link.is_blocked {
            link.held.push_back(answer);
            return;
        }
        let due = due + link.options.delay_nanos_min;
        self.departures.push(Departure { machine, due, packet: answer });
    }

    /// A packet arrives.
    pub(crate) fn deliver(&mut self, packet: Packet) {
        let (number, to) = (packet.connection, packet.to);
        let Some(connection) = self.connections.get_mut(&number) else { return };
        let end = &mut connection.ends[to.index()];
        let is_unknown = end.is_forgotten || (end.is_dropped && !end.is_broken);
        match packet.content {
            Content::Knock(address) => self.knock(number, address),
            Content::Reset => self.break_end(number, to),
            Content::Bytes(_) if is_unknown => self.send(number, to.other(), Content::Reset),
            _ if is_unknown && end.is_forgotten => {}
            Content::Refuse => {
                end.is_refused = true;
                self.wake_receiver(number, to);
            }
            Content::Open => {
                end.is_open = true;
                self.wake_receiver(number, to);
            }
            Content::Bytes(bytes) => {
                end.arrived.extend(bytes);
                self.wake_receiver(number, to);
            }
            Content::End => {
                end.is_ended = true;
                self.wake_receiver(number, to);
            }
            Content::Taken(bytes) => {
                end.untaken = end.untaken.saturating_sub(bytes);
                self.pump(number, to);
            }
        }
        self.remove_if_over(number);
    }

    fn knock(&mut self, number: ConnectionNumber, address: SocketAddr) {
        let here: Vec<u64> = self
            .listeners
            .iter()
            .filter(|(_, listener)| listener.address == address)
            .map(|(key, _)| *key)
            .collect();
        if here.is_empty() {
            self.send(number, Side::Dialler, Content::Refuse);
            return;
        }
        let chosen = here[self.prng.index(here.len())];
        let listener = self.listeners.get_mut(&chosen).expect("just found");
        if listener.waiting.len() >= BACKLOG_MAX {
            return;
        }
        listener.waiting.push_back(number);
        self.wakers.extend(listener.acceptor.take());
        let end = self.connections.get_mut(&number).expect("looked up by the caller");
        end.ends[Side::Acceptor.index()].is_open = true;
        self.send(number, Side::Dialler, Content::Open);
    }

    fn break_end(&mut self, number: ConnectionNumber, side: Side) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        let end = &mut connection.ends[side.index()];
        end.is_broken = true;
        end.arrived.clear();
        end.sending = Sending::Idle;
        self.wakers.extend(end.receiver.take());
        self.wakers.extend(end.sender.take());
        self.remove_if_over(number);
    }

    fn wake_receiver(&mut self, number: ConnectionNumber, side: Side) {
        let connection = self.connections.get_mut(&number).expect("looked up by the caller");
        self.wakers.extend(connection.ends[side.index()].receiver.take());
    }

    /// Lets through what the window of one end allows.
    pub(crate) fn pump(&mut self, number: ConnectionNumber, side: Side) {
        loop {
            let Some(connection) = self.connections.get_mut(&number) else { return };
            let (node, target) =
                (connection.ends[side.index()].node, connection.ends[side.other().index()].node);
            let options = self.links[&(node, target)].options;
            let end = &mut connection.ends[side.index()];
            let Sending::InFlight { bytes, sent } = &mut end.sending else { return };
            if end.is_forgotten {
                return;
            }
            let room = options.window_bytes.saturating_sub(end.untaken);
            if room == 0 {
                return;
            }
            let longest = options.segment_bytes_max.min(room).min(bytes.len() - *sent);
            let length = 1 + self.prng.index(longest);
            let mut segment = bytes[*sent..*sent + length].to_vec();
            *sent += length;
            end.untaken += length;
            if *sent == bytes.len() {
                let mut buffer = std::mem::take(bytes);
                buffer.clear();
                end.sending = Sending::Done(buffer);
                self.wakers.extend(end.sender.take());
            }
            let is_last = end.is_dropped && !matches!(end.sending, Sending::InFlight { .. });
            if self.prng.below(1_000_000) < u64::from(options.damages_in_million) {
                let byte = self.prng.index(length);
                segment[byte] ^= 1 << self.prng.below(8);
            }
            if self.prng.below(1_000_000) < u64::from(options.resets_in_million) {
                segment.truncate(self.prng.index(length));
                self.send(number, side.other(), Content::Bytes(segment));
                self.send(number, side.other(), Content::Reset);
                self.break_end(number, side);
                return;
            }
            self.send(number, side.other(), Content::Bytes(segment));
            if is_last {
                self.send(number, side.other(), Content::End);
            }
        }
    }

    // --- what programs ask

    pub(crate) fn listen(
        &mut self,
        node: NodeId,
        address: SocketAddr,
    ) -> Option<(u64, SocketAddr)> {
        let own = host_address(node);
        if address.ip() != own && !address.ip().is_unspecified() {
            return None;
        }
        let port = if address.port() == 0 { self.free_port(node) } else { address.port() };
        let address = SocketAddr::new(own, port);
        let key = self.number();
        let state = ListenerState { node, address, waiting: VecDeque::new(), acceptor: None };
        self.listeners.insert(key, state);
        Some((key, address))
    }

    fn free_port(&mut self, node: NodeId) -> u16 {
        let taken: BTreeSet<u16> = self
            .listeners
            .values()
            .filter(|listener| listener.node == node)
            .map(|listener| listener.address.port())
            .collect();
        let host = &mut self.hosts[node.0 as usize];
        loop {
            let port = host.next_port;
            host.next_port = port.checked_add(1).unwrap_or(FIRST_FREE_PORT);
            if !taken.contains(&port) {
                return port;
            }
        }
    }

    /// Forgets a listener; who waits there is reset.
    pub(crate) fn close_listener(&mut self, key: u64) {
        let Some(listener) = self.listeners.remove(&key) else { return };
        for number in listener.waiting {
            if self.connections.contains_key(&number) {
                self.send(number, Side::Dialler, Content::Reset);
                self.connections.get_mut(&number).expect("just seen").ends[1].is_forgotten = true;
            }
        }
    }

    /// Begins a connection; `None` if no host has the address.
    pub(crate) fn dial(&mut self, node: NodeId, address: SocketAddr) -> Option<ConnectionNumber> {
        let hosts = 0..self.hosts.len() as u32;
        let target = hosts.map(NodeId).find(|node| host_address(*node) == address.ip())?;
        let number = ConnectionNumber(self.number());
        let from = SocketAddr::new(host_address(node), self.free_port(node));
        let end = |node| End { node, ..End::default() };
        let connection = Connection { ends: [end(node), end(target)], addresses: [from, address] };
        self.connections.insert(number, connection);
        Some(number)
    }

    /// A program lets go of its end.
    pub(crate) fn drop_end(&mut self, number: ConnectionNumber, side: Side) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        let end = &mut connection.ends[side.index()];
        end.is_dropped = true;
        if end.is_forgotten || end.is_broken {
            self.remove_if_over(number);
            return;
        }
        if !end.arrived.is_empty() {
            end.is_broken = true;
            self.send(number, side.other(), Content::Reset);
        } else if !matches!(end.sending, Sending::InFlight { .. }) {
            self.send(number, side.other(), Content::End);
        }
        self.remove_if_over(number);
    }

    fn remove_if_over(&mut self, number: ConnectionNumber) {
        if self.connections.get(&number).is_some_and(Connection::is_over) {
            self.connections.remove(&number);
        }
    }
}

impl Connection {
    /// Nobody will ask about it again.
    fn is_over(&self) -> bool {
        self.ends.iter().all(|end| {
            end.is_forgotten
                || (end.is_dropped
                    && (end.is_broken
                        || end.is_ended && !matches!(end.sending, Sending::InFlight { .. })))
        })
    }
}
