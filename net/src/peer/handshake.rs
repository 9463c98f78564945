//! The handshake: who calls, who is wanted, which version both speak; or one sentence why not. Pure.
//!
//! ```text
//! dialler                                  acceptor
//!   Hello  (frames 0, version 0) ─────────▶  cluster, node, core, versions, incarnation, certificate compared
//!          ◀───────── Welcome (version chosen) or Refuse (code, sentence), then the end
//!   node, core, incarnation compared
//! ```
//! The form of these payloads never changes at its front; a later program may append, and an earlier one ignores what follows.
//!
//! ```text
//!        Hello and Welcome: magic 8 · cluster 16 · oldest version 1 · newest version 1 · node 4 · incarnation 8 · start 8 · shard count 2
//!                           · own port offset 2 · other's node 4 · other's port offset 2 · receive window 8 · base address 1 + 16 + 2
//!        Refuse:            magic 8 · code 1 · length 2 · sentence
//! ```
//! In a Welcome oldest and newest version are both the chosen one.

use std::net::{IpAddr, SocketAddr};

use types::mutants::live;
use types::{NodeId, ShardId};

use super::identity::{
    ClusterId, IdentityError, Incarnation, NodeIdentity, PeerBook, PeerCore, Sighting, StartNumber,
};
use crate::mutants;

/// What every payload of a handshake begins with.
const MAGIC: [u8; 8] = *b"RINGPEER";
/// Longest sentence of a refusal in bytes.
const SENTENCE_BYTES_MAX: usize = 800;

/// The versions that a program speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The oldest.
    pub oldest: u8,
    /// The newest.
    pub newest: u8,
}

impl Versions {
    /// What this program speaks.
    pub const OWN: Versions = Versions { oldest: 1, newest: 1 };

    /// The newest version that both speak.
    pub fn common(self, other: Versions) -> Option<u8> {
        let newest = match live(mutants::NEWEST_VERSION_UNBOUNDED) {
            true => other.newest,
            false => self.newest.min(other.newest),
        };
        (newest >= self.oldest.max(other.oldest)).then_some(newest)
    }
}

/// What one end says of itself, and whom it believes to speak to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// Its cluster.
    pub cluster: ClusterId,
    /// The versions that it speaks; in a Welcome, twice the one chosen.
    pub versions: Versions,
    /// Its node.
    pub identity: NodeIdentity,
    /// Its core.
    pub core: PeerCore,
    /// The core that it wants, or answers.
    pub other: PeerCore,
    /// Bytes of messages that it lets be on their way to it.
    pub window_bytes: u64,
}

/// Why a payload of a handshake cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GreetingError {
    /// It does not begin as one.
    #[error("the other end does not speak the protocol of peers; check the address")]
    NotAPeer,
    /// It ends inside a field.
    #[error("the handshake ends inside the field {field}")]
    Truncated {
        /// Which field.
        field: &'static str,
    },
    /// A field has a value without a meaning.
    #[error("the field {field} of the handshake has a value that means nothing")]
    Meaningless {
        /// Which field.
        field: &'static str,
    },
}

/// Why a caller is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another cluster's node.
    #[error("this node belongs to cluster {here} and you to cluster {yours}; check the address")]
    WrongCluster {
        /// Ours.
        here: ClusterId,
        /// The caller's.
        yours: ClusterId,
    },
    /// The caller wants somebody else.
    #[error("you want {wanted} and reached {here}; check the addresses")]
    WrongCore {
        /// Who was called.
        here: PeerCore,
        /// Who was wanted.
        wanted: PeerCore,
    },
    /// The caller says that it is this very node.
    #[error(
        "you call yourself node {node}, which is this node at {address}; give each node an id of its own"
    )]
    IsThisNode {
        /// The id.
        node: NodeId,
        /// Where this one is.
        address: SocketAddr,
    },
    /// No version in common.
    #[error("this node speaks versions {}-{} and you speak {}-{}; upgrade the older one", here.oldest, here.newest, yours.oldest, yours.newest)]
    NoCommonVersion {
        /// Ours.
        here: Versions,
        /// The caller's.
        yours: Versions,
    },
    /// The caller's disk is not what it was.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The caller's certificate names another node.
    #[error("your certificate does not name node {node}; give each node its own")]
    Certificate {
        /// Who it says it is.
        node: NodeId,
    },
    /// As many links as this core takes.
    #[error("this core has as many links as it takes; try later")]
    Full,
}

/// What a refusal is, for the end that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalCode {
    /// See [`Refusal::WrongCluster`].
    WrongCluster,
    /// See [`Refusal::WrongCore`].
    WrongCore,
    /// See [`Refusal::IsThisNode`].
    IsThisNode,
    /// See [`Refusal::NoCommonVersion`].
    NoCommonVersion,
    /// See [`IdentityError::Restored`]: **this node must stop**.
    Restored,
    /// See [`IdentityError::Cloned`]: **this node must stop**.
    Cloned,
    /// See [`Refusal::Certificate`].
    Certificate,
    /// See [`Refusal::Full`].
    Full,
    /// A reason that a later program has.
    Other(u8),
}

impl RefusalCode {
    const NAMED: [(RefusalCode, u8); 8] = [
        (RefusalCode::WrongCluster, 1),
        (RefusalCode::WrongCore, 2),
        (RefusalCode::IsThisNode, 3),
        (RefusalCode::NoCommonVersion, 4),
        (RefusalCode::Restored, 5),
        (RefusalCode::Cloned, 6),
        (RefusalCode::Certificate, 7),
        (RefusalCode::Full, 8),
    ];

    fn number(self) -> u8 {
        let named = RefusalCode::NAMED.into_iter().find(|(code, _)| *code == self);
        match (self, named) {
            (RefusalCode::Other(number), _) => number,
            (_, Some((_, number))) => number,
            (_, None) => unreachable!("every other code is in the table"),
        }
    }

    fn from_number(number: u8) -> RefusalCode {
        let named = RefusalCode::NAMED.into_iter().find(|(_, named)| *named == number);
        named.map_or(RefusalCode::Other(number), |(code, _)| code)
    }

    /// Whether time alone may heal it.
    pub fn is_passing(self) -> bool {
        matches!(self, RefusalCode::Full | RefusalCode::Other(_))
    }
}

impl Refusal {
    /// What the caller is told besides the sentence.
    pub fn code(&self) -> RefusalCode {
        match self {
            Refusal::WrongCluster { .. } => RefusalCode::WrongCluster,
            Refusal::WrongCore { .. } => RefusalCode::WrongCore,
            Refusal::IsThisNode { .. } => RefusalCode::IsThisNode,
            Refusal::NoCommonVersion { .. } => RefusalCode::NoCommonVersion,
            Refusal::Identity(IdentityError::Restored { .. }) => RefusalCode::Restored,
            Refusal::Identity(IdentityError::Cloned { .. }) => RefusalCode::Cloned,
            Refusal::Certificate { .. } => RefusalCode::Certificate,
            Refusal::Full => RefusalCode::Full,
        }
    }

    /// The payload of the frame that says it.
    pub fn encode(&self) -> Vec<u8> {
        let mut sentence = self.to_string();
        let mut end = sentence.len().min(SENTENCE_BYTES_MAX);
        while !sentence.is_char_boundary(end) {
            end -= 1;
        }
        sentence.truncate(end);
        let mut out = MAGIC.to_vec();
        out.push(self.code().number());
        let length = u16::try_from(sentence.len()).expect("bounded just above");
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(sentence.as_bytes());
        out
    }
}

/// A refusal as it was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeardRefusal {
    /// Why.
    pub code: RefusalCode,
    /// Why, for an operator.
    pub sentence: String,
}

impl HeardRefusal {
    /// Reads the payload of a refusal.
    ///
    /// # Errors
    /// [`GreetingError`] if it is none.
    pub fn decode(payload: &[u8]) -> Result<HeardRefusal, GreetingError> {
        let mut fields = Fields::begin(payload)?;
        let [code] = fields.take("code")?;
        let length = usize::from(u16::from_le_bytes(fields.take("length")?));
        let sentence = fields.rest.get(..length);
        let sentence = sentence.ok_or(GreetingError::Truncated { field: "sentence" })?;
        let sentence = String::from_utf8_lossy(sentence).into_owned();
        Ok(HeardRefusal { code: RefusalCode::from_number(code), sentence })
    }
}

struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn begin(payload: &'a [u8]) -> Result<Fields<'a>, GreetingError> {
        let rest = payload.strip_prefix(&MAGIC).ok_or(GreetingError::NotAPeer)?;
        Ok(Fields { rest })
    }

    fn take<const BYTES: usize>(
        &mut self,
        field: &'static str,
    ) -> Result<[u8; BYTES], GreetingError> {
        let taken = self.rest.first_chunk::<BYTES>();
        let taken = *taken.ok_or(GreetingError::Truncated { field })?;
        self.rest = &self.rest[BYTES..];
        Ok(taken)
    }

    fn core(&mut self, field: &'static str) -> Result<PeerCore, GreetingError> {
        let node = NodeId(u32::from_le_bytes(self.take(field)?));
        let offset = u16::from_le_bytes(self.take(field)?);
        Ok(PeerCore::from_port_offset(node, offset))
    }
}

fn write_address(address: SocketAddr, out: &mut Vec<u8>) {
    let (family, octets) = match address.ip() {
        IpAddr::V4(ip) => (4, ip.to_ipv6_mapped().octets()),
        IpAddr::V6(ip) => (6, ip.octets()),
    };
    out.push(family);
    out.extend_from_slice(&octets);
    out.extend_from_slice(&address.port().to_le_bytes());
}

impl Greeting {
    /// The payload of a Hello or a Welcome.
    pub fn encode(&self) -> Vec<u8> {
        let identity = &self.identity;
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&self.cluster.0.to_le_bytes());
        out.extend_from_slice(&[self.versions.oldest, self.versions.newest]);
        out.extend_from_slice(&identity.node.0.to_le_bytes());
        out.extend_from_slice(&identity.incarnation.0.to_le_bytes());
        out.extend_from_slice(&identity.start.0.to_le_bytes());
        out.extend_from_slice(&identity.shard_count.to_le_bytes());
        out.extend_from_slice(&self.core.port_offset().to_le_bytes());
        out.extend_from_slice(&self.other.node().0.to_le_bytes());
        out.extend_from_slice(&self.other.port_offset().to_le_bytes());
        out.extend_from_slice(&self.window_bytes.to_le_bytes());
        write_address(identity.address, &mut out);
        out
    }

    /// Reads the payload of a Hello or a Welcome.
    ///
    /// # Errors
    /// [`GreetingError`] if it is none.
    pub fn decode(payload: &[u8]) -> Result<Greeting, GreetingError> {
        let mut fields = Fields::begin(payload)?;
        let cluster = ClusterId(u128::from_le_bytes(fields.take("cluster")?));
        let [oldest, newest] = fields.take("versions")?;
        if oldest == 0 || oldest > newest {
            return Err(GreetingError::Meaningless { field: "versions" });
        }
        let node = NodeId(u32::from_le_bytes(fields.take("node")?));
        let incarnation = Incarnation(u64::from_le_bytes(fields.take("incarnation")?));
        let start = StartNumber(u64::from_le_bytes(fields.take("start")?));
        let shard_count = u16::from_le_bytes(fields.take("shard count")?);
        let offset = u16::from_le_bytes(fields.take("core")?);
        let core = PeerCore::from_port_offset(node, offset);
        if let PeerCore::Shard(_, ShardId(shard)) = core
            && shard >= shard_count
        {
            return Err(GreetingError::Meaningless { field: "core" });
        }
        let other = fields.core("other core")?;
        let window_bytes = u64::from_le_bytes(fields.take("receive window")?);
        let [family] = fields.take("address")?;
        let octets: [u8; 16] = fields.take("address")?;
        let ip = std::net::Ipv6Addr::from(octets);
        let ip = match (family, ip.to_ipv4_mapped()) {
            (4, Some(ip)) => IpAddr::V4(ip),
            (6, _) => IpAddr::V6(ip),
            _ => return Err(GreetingError::Meaningless { field: "address" }),
        };
        let port = u16::from_le_bytes(fields.take("port")?);
        let address = SocketAddr::new(ip, port);
        let identity = NodeIdentity { node, incarnation, start, address, shard_count };
        let versions = Versions { oldest, newest };
        Ok(Greeting { cluster, versions, identity, core, other, window_bytes })
    }

    /// What the end that was dialled answers to a Hello. `certificate` says whether the caller's certificate names a node; without TLS it says yes.
    ///
    /// # Errors
    /// [`Refusal`], to be sent to the caller; nothing of it is remembered.
    pub fn answer(
        &self,
        hello: &Greeting,
        book: &mut PeerBook,
        certificate: impl FnOnce(NodeId) -> bool,
    ) -> Result<(Greeting, Sighting), Refusal> {
        self.compare(hello, certificate)?;
        if hello.other != self.core && !live(mutants::CORE_NOT_COMPARED) {
            return Err(Refusal::WrongCore { here: self.core, wanted: hello.other });
        }
        let Some(chosen) = self.versions.common(hello.versions) else {
            let (here, yours) = (self.versions, hello.versions);
            return Err(Refusal::NoCommonVersion { here, yours });
        };
        let sighting = book.meet(hello.identity)?;
        let versions = Versions { oldest: chosen, newest: chosen };
        Ok((Greeting { versions, other: hello.core, ..*self }, sighting))
    }

    /// What the end that dialled makes of the Welcome to its own Hello: the version to speak.
    ///
    /// # Errors
    /// [`Refusal`], with the words of the end that refuses.
    pub fn accept(
        &self,
        welcome: &Greeting,
        book: &mut PeerBook,
        certificate: impl FnOnce(NodeId) -> bool,
    ) -> Result<(u8, Sighting), Refusal> {
        self.compare(welcome, certificate)?;
        if welcome.core != self.other || welcome.other != self.core {
            return Err(Refusal::WrongCore { here: welcome.core, wanted: self.other });
        }
        let (here, yours) = (self.versions, welcome.versions);
        let Some(version) = here.common(yours).filter(|version| *version == yours.newest) else {
            return Err(Refusal::NoCommonVersion { here, yours });
        };
        Ok((version, book.meet(welcome.identity)?))
    }

    /// What both ends compare.
    fn compare(
        &self,
        shown: &Greeting,
        certificate: impl FnOnce(NodeId) -> bool,
    ) -> Result<(), Refusal> {
        if shown.cluster != self.cluster && !live(mutants::CLUSTER_NOT_COMPARED) {
            return Err(Refusal::WrongCluster { here: self.cluster, yours: shown.cluster });
        }
        let node = shown.identity.node;
        if node == self.identity.node {
            return Err(Refusal::IsThisNode { node, address: self.identity.address });
        }
        if !certificate(node) && !live(mutants::CERTIFICATE_NOT_COMPARED) {
            return Err(Refusal::Certificate { node });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
