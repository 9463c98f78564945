//! One core's links to the cores of other nodes: dialled, accepted, kept alive, redialled.
//!
//! ```text
//! send ─▶ queue of the link ─▶ (once every task of this round has run) one send of all that waits
//! Received ◀─ callback, in the link's task; its Credit, when dropped, lets the sender go on
//! ```
//! [`Links::send`] never waits. A full queue **refuses** the message, it does not drop an older one: whoever sends learns at once and for certain that
//! this message will not arrive, and nothing that was taken is dropped behind its sender's back. What a link held when it went down is lost, is
//! counted, and is said with the reason ([`LinkChange::Down`]). A link that is down refuses.
//!
//! A node that shows a higher incarnation has started again: every link of its past ends at once. Cost of a frame: see `frame`; of a loop with frames:
//! two polls of the link's task and one send, however many frames.

mod conversation;
mod incoming;
mod outgoing;
mod shared;
mod statistics;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use platform::{Listener, Platform, Prng, SchedulingClass, SocketError, TaskKey, spawn};
use types::NodeId;

use super::backoff::Backoff;
use super::frame::Destination;
use super::handshake::{Greeting, GreetingError, HeardRefusal, Refusal, Versions};
use super::identity::{ClusterId, IdentityError, NodeIdentity, PeerBook, PeerCore, Sighting};
use super::receiving::ReceiveError;
use super::sending::{Absence, QueueError};
use crate::limits::{LINK_SETUP_MILLIS_MAX, RECEIVE_WINDOW_BYTES};
use crate::tls::{PeerTls, TlsError};

pub use conversation::{Credit, Received};
pub use statistics::{Direction, LinkStatistics};

use shared::LinkShared;

/// How links are protected.
#[derive(Clone)]
pub enum LinkSecurity {
    /// Mutual TLS, anywhere.
    Tls(PeerTls),
    /// Nothing, and therefore this machine only.
    LoopbackOnly,
    /// Nothing, anywhere: the operator has said that the network is trusted.
    TrustedNetwork,
}

impl LinkSecurity {
    /// Whether an address may be spoken to.
    fn allows(&self, address: SocketAddr) -> bool {
        !matches!(self, LinkSecurity::LoopbackOnly) || address.ip().to_canonical().is_loopback()
    }
}

impl fmt::Debug for LinkSecurity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LinkSecurity::Tls(_) => "Tls",
            LinkSecurity::LoopbackOnly => "LoopbackOnly",
            LinkSecurity::TrustedNetwork => "TrustedNetwork",
        })
    }
}

/// What a core's links are set up from.
#[derive(Clone, Debug)]
pub struct LinksOptions {
    /// The cluster.
    pub cluster: ClusterId,
    /// This node.
    pub identity: NodeIdentity,
    /// This core.
    pub core: PeerCore,
    /// The versions to speak: [`Versions::OWN`], but in tests of upgrades.
    pub versions: Versions,
    /// How links are protected.
    pub security: LinkSecurity,
    /// Bytes of messages that each peer may have on its way here, unconsumed.
    pub window_bytes: u64,
}

impl LinksOptions {
    /// Links of the program as it is shipped.
    pub fn new(
        cluster: ClusterId,
        identity: NodeIdentity,
        core: PeerCore,
        security: LinkSecurity,
    ) -> LinksOptions {
        let (versions, window_bytes) = (Versions::OWN, RECEIVE_WINDOW_BYTES);
        LinksOptions { cluster, identity, core, versions, security, window_bytes }
    }

    /// What is said in every handshake.
    fn greeting(&self, other: PeerCore) -> Greeting {
        Greeting {
            cluster: self.cluster,
            versions: self.versions,
            identity: self.identity,
            core: self.core,
            other,
            window_bytes: self.window_bytes,
        }
    }
}

/// Why a link could not be set up, or ended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LinkEnd {
    /// The address does not answer, or the connection broke.
    #[error("the connection failed: {source}")]
    Socket {
        /// Why.
        #[from]
        source: SocketError,
    },
    /// TLS could not be agreed on.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Connecting, TLS and handshake took too long.
    #[error("the handshake did not end within {LINK_SETUP_MILLIS_MAX} ms")]
    SetupTooLong,
    /// The other end speaks something else.
    #[error(transparent)]
    Greeting(#[from] GreetingError),
    /// The other end refused us.
    #[error("the peer refuses this node: {}", .0.sentence)]
    Refused(HeardRefusal),
    /// We refuse the other end.
    #[error("this node refuses the peer: {0}")]
    Refuses(#[from] Refusal),
    /// What came is damaged or against the rules.
    #[error("what the peer sent cannot be: {0}")]
    Receive(#[from] ReceiveError),
    /// Nobody is there.
    #[error(transparent)]
    Absent(#[from] Absence),
    /// The other end closed the connection.
    #[error("the peer closed the connection")]
    Closed,
    /// The other end stops in order.
    #[error("the peer stops")]
    Goodbye,
    /// The other end's node has started again.
    #[error("the peer's node has started again")]
    Restarted,
    /// The other end has dialled anew.
    #[error("the peer has dialled anew")]
    Superseded,
    /// This node stops.
    #[error("this node stops")]
    Stopping,
}

/// A message was not taken. It has not left and never will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendRefused {
    /// The core was never opened.
    #[error("there is no link to {target}")]
    NoLink {
        /// Whom it was for.
        target: PeerCore,
    },
    /// The link is down.
    #[error("the link to {target} is down")]
    Down {
        /// Whom it was for.
        target: PeerCore,
    },
    /// See [`QueueError`].
    #[error("the link to {target} takes no more: {reason}")]
    Queue {
        /// Whom it was for.
        target: PeerCore,
        /// Why.
        reason: QueueError,
    },
}

/// A link cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Peers without TLS stay on one machine.
    #[error(
        "{address} is another machine, and without TLS peers may only be on this one; give certificates, or say that the network is trusted"
    )]
    Unprotected {
        /// Where.
        address: SocketAddr,
    },
    /// A link to this very node.
    #[error("node {node} is this node; a link to it makes no sense")]
    OwnNode {
        /// The id.
        node: NodeId,
    },
}

/// What happened to a link.
#[derive(Clone, Debug)]
pub enum LinkChange {
    /// A link that we dialled is up: messages are taken.
    Up {
        /// To whom.
        peer: PeerCore,
        /// Who answered.
        identity: NodeIdentity,
        /// The version spoken.
        version: u8,
    },
    /// A link that we dialled went down, or could not be set up for a new kind of reason.
    Down {
        /// To whom.
        peer: PeerCore,
        /// Why.
        reason: LinkEnd,
        /// Messages that were taken and never left, because of it.
        messages_lost: u64,
    },
    /// A peer's core has dialled us.
    Accepted {
        /// Who.
        peer: PeerCore,
    },
    /// A link that we accepted ended, or was refused.
    AcceptedEnded {
        /// Who; none before the handshake.
        peer: Option<PeerCore>,
        /// From where.
        address: SocketAddr,
        /// Why.
        reason: LinkEnd,
    },
    /// A peer's identity is new, or newer: keep [`Links::book`] durably, and tell the other cores ([`Links::witness`]).
    Identity(NodeIdentity),
}

/// Who hears of what arrives and of what happens. Called in the links' tasks; may call [`Links`], and must not wait.
pub trait PeerEvents {
    /// A message has arrived whole.
    fn received(&self, message: Received<'_>);

    /// Something happened to a link.
    fn changed(&self, change: LinkChange);
}

/// A link that this core dials.
struct Dialled {
    shared: Rc<LinkShared>,
    task: TaskKey,
}

/// All links of one core. Cloning shares them.
#[derive(Clone)]
pub struct Links {
    inner: Rc<LinksInner>,
}

struct LinksInner {
    platform: Platform,
    options: LinksOptions,
    events: Rc<dyn PeerEvents>,
    book: RefCell<PeerBook>,
    prng: RefCell<Prng>,
    dialled: RefCell<BTreeMap<PeerCore, Dialled>>,
    accepted: RefCell<BTreeMap<PeerCore, Rc<LinkShared>>>,
    /// Accepted connections, and those of them in their handshake.
    accepted_count: Cell<usize>,
    handshake_count: Cell<usize>,
    is_stopping: Cell<bool>,
}

impl Links {
    /// The links of a core; none yet. `book` is what this node has kept of its peers; `prng` spreads redialling.
    pub fn new(
        platform: Platform,
        options: LinksOptions,
        book: PeerBook,
        events: Rc<dyn PeerEvents>,
        prng: Prng,
    ) -> Links {
        let inner = LinksInner {
            platform,
            options,
            events,
            book: RefCell::new(book),
            prng: RefCell::new(prng),
            dialled: RefCell::default(),
            accepted: RefCell::default(),
            accepted_count: Cell::new(0),
            handshake_count: Cell::new(0),
            is_stopping: Cell::new(false),
        };
        Links { inner: Rc::new(inner) }
    }

    /// Dials a core of another node, now and whenever the link is down, until [`Links::close`]. Nothing if it is open already with this address; with
    /// another, the link is dialled anew there.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(&self, target: PeerCore, address: SocketAddr) -> Result<(), OpenError> {
        let inner = &self.inner;
        if target.node() == inner.options.identity.node {
            return Err(OpenError::OwnNode { node: target.node() });
        }
        if !inner.options.security.allows(address) {
            return Err(OpenError::Unprotected { address });
        }
        let known = inner.dialled.borrow().get(&target).map(|known| known.shared.address());
        match known {
            Some(known) if known == address => return Ok(()),
            Some(_) => self.close(target),
            None => {}
        }
        let shared = Rc::new(LinkShared::new(inner.now(), address));
        let backoff = Backoff::new(inner.prng.borrow_mut().fork());
        let dialling = outgoing::dial_for_ever(inner.clone(), target, shared.clone(), backoff);
        let class = SchedulingClass::Foreground;
        let task = spawn(&*inner.platform.spawner, class, "peer link", dialling);
        inner.dialled.borrow_mut().insert(target, Dialled { shared, task });
        Ok(())
    }

    /// Ends a link that this core dials; nothing more is said about it.
    pub fn close(&self, target: PeerCore) {
        let known = self.inner.dialled.borrow_mut().remove(&target);
        if let Some(known) = known {
            self.inner.platform.spawner.cancel(known.task);
        }
    }

    /// Accepts the links of other nodes until [`Links::stop`].
    ///
    /// # Cancel safety
    /// Dropping it stops accepting; links that were accepted live on.
    pub async fn accept_on(&self, listener: Rc<dyn Listener>) {
        incoming::accept_for_ever(&self.inner, listener).await;
    }

    /// Queues a message; it leaves with everything else that is queued for the link in this loop.
    ///
    /// # Errors
    /// [`SendRefused`]: the message will not arrive.
    pub fn send(
        &self,
        target: PeerCore,
        destination: Destination,
        payload: &[u8],
    ) -> Result<(), SendRefused> {
        let dialled = self.inner.dialled.borrow();
        let Some(link) = dialled.get(&target) else {
            return Err(SendRefused::NoLink { target });
        };
        if !link.shared.is_up() {
            link.shared.count_refused();
            return Err(SendRefused::Down { target });
        }
        link.shared.message(destination, payload).map_err(|reason| {
            link.shared.count_refused();
            SendRefused::Queue { target, reason }
        })
    }

    /// Whether messages to a core are taken now.
    pub fn is_up(&self, target: PeerCore) -> bool {
        self.inner.dialled.borrow().get(&target).is_some_and(|link| link.shared.is_up())
    }

    /// Learns of an identity from elsewhere: another core, the cluster's metadata.
    ///
    /// # Errors
    /// [`IdentityError`] if more is known here than is shown.
    pub fn witness(&self, identity: NodeIdentity) -> Result<(), IdentityError> {
        let sighting = self.inner.book.borrow_mut().meet(identity)?;
        if sighting == Sighting::Raised {
            self.inner.end_past_of(&identity);
        }
        Ok(())
    }

    /// What is known of the peers, to be kept durably.
    pub fn book(&self) -> PeerBook {
        self.inner.book.borrow().clone()
    }

    /// Figures of every link.
    pub fn statistics(&self) -> Vec<(Direction, PeerCore, LinkStatistics)> {
        let dialled = self.inner.dialled.borrow();
        let accepted = self.inner.accepted.borrow();
        let out = dialled.iter().map(|(peer, link)| (Direction::Dialled, *peer, &link.shared));
        let into = accepted.iter().map(|(peer, link)| (Direction::Accepted, *peer, link));
        let figures =
            |(direction, peer, link): (_, _, &Rc<LinkShared>)| (direction, peer, link.statistics());
        out.chain(into).map(figures).collect()
    }

    /// Stops: accepts and dials no more; every link says goodbye once what is queued has left, and ends. Watch [`Links::is_stopped`].
    pub fn stop(&self) {
        self.inner.is_stopping.set(true);
        let dialled = self.inner.dialled.borrow();
        let accepted = self.inner.accepted.borrow();
        let links = dialled.values().map(|link| &link.shared).chain(accepted.values());
        links.for_each(|link| link.stop());
    }

    /// Whether no link is up any more.
    pub fn is_stopped(&self) -> bool {
        let is_quiet = self.inner.accepted.borrow().is_empty();
        is_quiet && self.inner.dialled.borrow().values().all(|link| !link.shared.is_up())
    }
}

impl LinksInner {
    /// Nanoseconds on the core's clock.
    fn now(&self) -> u64 {
        self.platform.spawner.now().0
    }

    fn setup_time() -> Duration {
        Duration::from_millis(LINK_SETUP_MILLIS_MAX)
    }

    /// After a handshake that went well: remembers who it was.
    fn met(&self, identity: &NodeIdentity, sighting: Sighting) {
        if sighting == Sighting::Raised {
            self.end_past_of(identity);
            self.events.changed(LinkChange::Identity(*identity));
        }
    }

    /// Ends the links to earlier starts of a node.
    fn end_past_of(&self, identity: &NodeIdentity) {
        let dialled = self.dialled.borrow();
        let accepted = self.accepted.borrow();
        let links = dialled.values().map(|link| &link.shared).chain(accepted.values());
        links.for_each(|link| link.end_if_older(identity));
    }
}
