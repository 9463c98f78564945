//! Who a node is, and who it was: ids, incarnations, and the book in which a node keeps what it knows of its peers.
//!
//! A node raises its **incarnation** at each start of its data directory, durably, before it speaks to anybody, and draws a **start number**. A peer
//! that has seen a higher incarnation knows that the disk went back in time (an old copy was restored); one that has seen the same incarnation with
//! another start number knows that the directory was cloned and both copies run. Either way the caller's promises of the past are not on its disk, so
//! it may not take part. An honest restart shows a higher incarnation, and takes over.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use types::mutants::live;
use types::{NodeId, ShardId};

use crate::mutants;

/// Which cluster; drawn when it was founded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(pub u128);

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Which start of a data directory; raised by one at each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Drawn at each start; tells apart two starts that claim one incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StartNumber(pub u64);

/// A core of a node: what a link leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PeerCore {
    /// The control thread of a node.
    Control(NodeId),
    /// A shard core of a node.
    Shard(NodeId, ShardId),
}

impl PeerCore {
    /// The node.
    pub const fn node(self) -> NodeId {
        match self {
            PeerCore::Control(node) | PeerCore::Shard(node, _) => node,
        }
    }

    /// Ports above the base port: zero for control, one more than its number for a shard core.
    pub const fn port_offset(self) -> u16 {
        match self {
            PeerCore::Control(_) => 0,
            PeerCore::Shard(_, shard) => shard.0.saturating_add(1),
        }
    }

    /// The core of a node that listens so many ports above the base port.
    pub const fn from_port_offset(node: NodeId, offset: u16) -> PeerCore {
        match offset {
            0 => PeerCore::Control(node),
            _ => PeerCore::Shard(node, ShardId(offset - 1)),
        }
    }
}

impl fmt::Display for PeerCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerCore::Control(node) => write!(f, "the control thread of node {node}"),
            PeerCore::Shard(node, shard) => write!(f, "core {shard} of node {node}"),
        }
    }
}

/// Where a core listens, given its node's peer base address; `None` if the port would not exist.
pub fn core_address(base: SocketAddr, core: PeerCore) -> Option<SocketAddr> {
    let port = base.port().checked_add(core.port_offset())?;
    Some(SocketAddr::new(base.ip(), port))
}

/// What a node says of itself in every handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeIdentity {
    /// Its id.
    pub node: NodeId,
    /// Which start of its data directory this is.
    pub incarnation: Incarnation,
    /// Tells this start from another of the same incarnation.
    pub start: StartNumber,
    /// Its peer base address.
    pub address: SocketAddr,
    /// Its shard cores.
    pub shard_count: u16,
}

/// A node is not what it was. Both names are given so that an operator finds both machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Its disk went back in time.
    #[error(
        "node {node} at {} shows incarnation {}, but incarnation {} was seen at {}: its data directory is an old copy; wipe it and add the node anew",
        shown.address, shown.incarnation, known.incarnation, known.address, node = shown.node
    )]
    Restored {
        /// What was shown now.
        shown: NodeIdentity,
        /// What was known.
        known: NodeIdentity,
    },
    /// Two processes run on copies of one data directory.
    #[error(
        "node {node} runs twice with incarnation {}, at {} and at {}: its data directory was cloned; stop the copy and wipe it",
        shown.incarnation, shown.address, known.address, node = shown.node
    )]
    Cloned {
        /// What was shown now.
        shown: NodeIdentity,
        /// What was known.
        known: NodeIdentity,
    },
}

/// What was learned from an identity that is in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// Nothing.
    Known,
    /// The node is new, or started again: what is kept of the book must be kept anew.
    Raised,
}

/// What a node knows of its peers' identities. Kept durably by its owner: a book that forgets cannot recognise an old disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerBook {
    known: BTreeMap<NodeId, NodeIdentity>,
}

impl PeerBook {
    /// A book that holds these identities.
    pub fn new(known: impl IntoIterator<Item = NodeIdentity>) -> PeerBook {
        PeerBook { known: known.into_iter().map(|identity| (identity.node, identity)).collect() }
    }

    /// All that is known, by node.
    pub fn identities(&self) -> impl Iterator<Item = &NodeIdentity> {
        self.known.values()
    }

    /// What is known of a node.
    pub fn get(&self, node: NodeId) -> Option<&NodeIdentity> {
        self.known.get(&node)
    }

    /// Compares what a node shows with what is known, and remembers it if it is newer.
    ///
    /// # Errors
    /// [`IdentityError`] if its past is not on its disk.
    pub fn meet(&mut self, shown: NodeIdentity) -> Result<Sighting, IdentityError> {
        if let Some(known) = self.known.get(&shown.node).copied() {
            let restored = shown.incarnation < known.incarnation;
            if restored && !live(mutants::INCARNATION_NOT_COMPARED) {
                return Err(IdentityError::Restored { shown, known });
            }
            if shown.incarnation == known.incarnation {
                if shown.start != known.start && !live(mutants::START_NOT_COMPARED) {
                    return Err(IdentityError::Cloned { shown, known });
                }
                return Ok(Sighting::Known);
            }
        }
        self.known.insert(shown.node, shown);
        Ok(Sighting::Raised)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(incarnation: u64, start: u64) -> NodeIdentity {
        NodeIdentity {
            node: NodeId(4),
            incarnation: Incarnation(incarnation),
            start: StartNumber(start),
            address: SocketAddr::from(([10, 0, 0, 4], 7000 + start as u16)),
            shard_count: 2,
        }
    }

    #[test]
    fn an_old_disk_and_a_clone_are_recognised_and_both_are_named() {
        let mut book = PeerBook::default();
        assert_eq!(book.meet(identity(3, 1)), Ok(Sighting::Raised));
        assert_eq!(book.meet(identity(3, 1)), Ok(Sighting::Known));
        let cloned = book.meet(identity(3, 2)).expect_err("a clone");
        assert!(matches!(cloned, IdentityError::Cloned { .. }));
        assert!(cloned.to_string().contains("10.0.0.4:7001"), "{cloned}");
        assert!(cloned.to_string().contains("10.0.0.4:7002"), "{cloned}");
        assert_eq!(book.meet(identity(5, 3)), Ok(Sighting::Raised));
        let restored = book.meet(identity(4, 4)).expect_err("an old copy");
        assert!(matches!(restored, IdentityError::Restored { .. }));
        for part in ["incarnation 4", "incarnation 5", "10.0.0.4:7004", "10.0.0.4:7003"] {
            assert!(restored.to_string().contains(part), "{restored}");
        }
        assert_eq!(book.get(NodeId(4)), Some(&identity(5, 3)), "a refusal teaches nothing");
        let kept = PeerBook::new(book.identities().copied());
        assert_eq!(kept, book);
    }

    #[test]
    fn addresses_follow_the_base() {
        let base = SocketAddr::from(([127, 0, 0, 1], 7000));
        let (control, shard) =
            (PeerCore::Control(NodeId(1)), PeerCore::Shard(NodeId(1), ShardId(3)));
        assert_eq!(core_address(base, control).expect("in range").port(), 7000);
        assert_eq!(core_address(base, shard).expect("in range").port(), 7004);
        assert_eq!(core_address(SocketAddr::new(base.ip(), 65_533), shard), None);
        for core in [control, shard] {
            assert_eq!(PeerCore::from_port_offset(core.node(), core.port_offset()), core);
        }
    }
}
