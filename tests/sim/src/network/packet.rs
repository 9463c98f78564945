//! What travels between two hosts.

use std::net::SocketAddr;

use types::NodeId;
use types::checksum::checksum;

/// Names a connection; never reused within a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConnectionNumber(pub(crate) u64);

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Dialler,
    Acceptor,
}

impl Side {
    pub(crate) fn other(self) -> Side {
        match self {
            Side::Dialler => Side::Acceptor,
            Side::Acceptor => Side::Dialler,
        }
    }

    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

/// What a packet says.
pub(crate) enum Content {
    /// Somebody wants to connect to the address.
    Knock(SocketAddr),
    /// The connection is made.
    Open,
    /// Nobody listens there.
    Refuse,
    /// Bytes of the stream.
    Bytes(Vec<u8>),
    /// The sender's program has taken so many bytes.
    Taken(usize),
    /// No more bytes will come.
    End,
    /// The connection is broken.
    Reset,
}

/// One packet.
pub(crate) struct Packet {
    pub(crate) connection: ConnectionNumber,
    /// The end that it is for.
    pub(crate) to: Side,
    pub(crate) from_node: NodeId,
    pub(crate) to_node: NodeId,
    pub(crate) content: Content,
}

impl Packet {
    /// A number that differs where packets do, for the trace.
    pub(crate) fn digest(&self) -> u64 {
        let content = match &self.content {
            Content::Knock(address) => u64::from(address.port()),
            Content::Open => 1 << 32,
            Content::Refuse => 2 << 32,
            Content::Bytes(bytes) => 3 << 32 | u64::from(checksum(bytes)),
            Content::Taken(bytes) => 4 << 32 | *bytes as u64,
            Content::End => 5 << 32,
            Content::Reset => 6 << 32,
        };
        content ^ (self.connection.0 << 36) ^ ((self.to as u64) << 63)
    }
}
