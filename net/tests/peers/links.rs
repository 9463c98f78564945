//! Whole links on a simulated network that delays, cuts, breaks and damages.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use net::peer::frame::Destination;
use net::peer::identity::{
    ClusterId, Incarnation, NodeIdentity, PeerBook, PeerCore, StartNumber, core_address,
};
use net::peer::links::{
    LinkChange, LinkEnd, LinkSecurity, Links, LinksOptions, OpenError, PeerEvents, Received,
    SendRefused,
};
use net::tls::{ClusterAuthority, PeerTls, Validity};
use sim::{Cluster, ClusterOptions, Ending, LinkOptions, Survival, host_address};
use types::prng::Prng;
use types::{NodeId, ShardId};

use crate::{Case, ensure};

pub const CASES: &[Case] = &[
    ("messages cross a drawn network in order", messages_cross_a_drawn_network),
    ("a cut in one direction is noticed by both", a_one_way_cut_is_noticed),
    ("a node that starts again takes over", a_restart_takes_over),
    ("an old disk is refused", an_old_disk_is_refused),
    ("a wrong certificate is refused", certificates_are_compared),
    ("without certificates peers stay on one machine", peers_stay_on_one_machine),
    ("a peer that does not consume is not drowned", a_slow_peer_is_not_drowned),
];

const CORE: ShardId = ShardId(0);

fn core(node: u32) -> PeerCore {
    PeerCore::Shard(NodeId(node), CORE)
}

fn identity(node: u32, incarnation: u64) -> NodeIdentity {
    NodeIdentity {
        node: NodeId(node),
        incarnation: Incarnation(incarnation),
        start: StartNumber(incarnation * 100 + u64::from(node)),
        address: SocketAddr::new(host_address(NodeId(node)), 7_000),
        shard_count: 1,
    }
}

/// What a node's core heard of.
#[derive(Default)]
struct Heard {
    messages: RefCell<Vec<(PeerCore, Destination, Vec<u8>)>>,
    ups: RefCell<u32>,
    downs: RefCell<Vec<LinkEnd>>,
    accepted_ended: RefCell<Vec<LinkEnd>>,
    /// Whether messages are kept unconsumed.
    hoards: bool,
    hoard: RefCell<Vec<net::peer::links::Credit>>,
}

impl PeerEvents for Heard {
    fn received(&self, message: Received<'_>) {
        let said = (message.from, message.destination, message.payload.to_vec());
        self.messages.borrow_mut().push(said);
        if self.hoards {
            self.hoard.borrow_mut().push(message.credit);
        }
    }

    fn changed(&self, change: LinkChange) {
        match change {
            LinkChange::Up { .. } => *self.ups.borrow_mut() += 1,
            LinkChange::Down { reason, .. } => self.downs.borrow_mut().push(reason),
            LinkChange::AcceptedEnded { reason, .. } => {
                self.accepted_ended.borrow_mut().push(reason);
            }
            LinkChange::Accepted { .. } | LinkChange::Identity(_) => {}
        }
    }
}

struct Node {
    links: Links,
    heard: Rc<Heard>,
}

/// Starts the links of a node's one core; nothing is dialled yet.
fn start(
    cluster: &mut Cluster,
    (node, incarnation): (u32, u64),
    security: LinkSecurity,
    book: PeerBook,
    heard: Heard,
) -> Node {
    let platform = cluster.world(NodeId(node)).platform(CORE);
    let own = identity(node, incarnation);
    let options = LinksOptions::new(ClusterId(7), own, core(node), security);
    let heard = Rc::new(heard);
    let prng = Prng::new(u64::from(node) + incarnation);
    let links = Links::new(platform.clone(), options, book, heard.clone(), prng);
    let address = core_address(own.address, core(node)).expect("a port");
    let accepting = links.clone();
    cluster.world(NodeId(node)).spawn(CORE, async move {
        let listener = platform.network.listen(address).expect("the node's own address");
        accepting.accept_on(listener).await;
    });
    Node { links, heard }
}

fn plain(cluster: &mut Cluster, node: u32) -> Node {
    let (security, book) = (LinkSecurity::TrustedNetwork, PeerBook::default());
    start(cluster, (node, 1), security, book, Heard::default())
}

fn dial(cluster: &mut Cluster, from: u32, node: &Node, to: u32) -> Result<(), OpenError> {
    // Tasks are spawned from inside the world.
    let links = node.links.clone();
    let address = core_address(identity(to, 1).address, core(to)).expect("a port");
    let opened = Rc::new(RefCell::new(None));
    let told = opened.clone();
    cluster.world(NodeId(from)).spawn(CORE, async move {
        *told.borrow_mut() = Some(links.open(core(to), address));
    });
    let asked = opened.clone();
    cluster.run_until(move || asked.borrow().is_some()).expect("alive");
    opened.take().expect("just opened")
}

fn until(cluster: &mut Cluster, what: &str, done: impl Fn() -> bool) -> Result<(), String> {
    for _ in 0..600 {
        if done() {
            return Ok(());
        }
        cluster.pass(Duration::from_millis(50)).map_err(|stopped| format!("{stopped:?}"))?;
    }
    Err(format!("half a minute passes and {what} does not happen"))
}

fn messages_cross_a_drawn_network() -> Result<(), String> {
    for seed in 0..12 {
        let prng = &mut Prng::new(seed);
        let mut options = ClusterOptions::new(seed, 2, 1);
        options.link = LinkOptions { resets_in_million: 0, ..LinkOptions::drawn(prng) };
        // A narrower window takes longer for a message than a peer may be silent.
        options.link.window_bytes = options.link.window_bytes.max(2_000);
        let mut cluster = Cluster::new(options);
        let (one, two) = (plain(&mut cluster, 0), plain(&mut cluster, 1));
        dial(&mut cluster, 0, &one, 1).map_err(|error| error.to_string())?;
        until(&mut cluster, "a link", || one.links.is_up(core(1)))?;
        let mut sent = Vec::new();
        while sent.len() < 200 {
            let mut payload = vec![0; prng.index(2_000)];
            prng.fill(&mut payload);
            let destination = Destination::Range(prng.below(64));
            if one.links.send(core(1), destination, &payload).is_ok() {
                sent.push((core(0), destination, payload));
            }
            if prng.below(10) == 0 {
                cluster.pass(Duration::from_millis(prng.below(20))).expect("alive");
            }
        }
        until(&mut cluster, "the last message", || two.heard.messages.borrow().len() == 200)
            .map_err(|late| format!("seed {seed}: {late}: {:?}", one.heard.downs.borrow()))?;
        ensure(*two.heard.messages.borrow() == sent, format!("seed {seed}: other messages"))?;
        let nothing = one.links.send(core(5), Destination::Link, b"");
        ensure(matches!(nothing, Err(SendRefused::NoLink { .. })), "a link to nobody")?;
    }
    Ok(())
}

/// What one end says is held, what the other says arrives: both ends notice, the one by silence and the other by heartbeats without an answer.
fn a_one_way_cut_is_noticed() -> Result<(), String> {
    for (from, to) in [(0, 1), (1, 0)] {
        let mut cluster = Cluster::new(ClusterOptions::new(3, 2, 1));
        let (one, two) = (plain(&mut cluster, 0), plain(&mut cluster, 1));
        dial(&mut cluster, 0, &one, 1).map_err(|error| error.to_string())?;
        until(&mut cluster, "a link", || one.links.is_up(core(1)))?;
        cluster.block(NodeId(from), NodeId(to));
        until(&mut cluster, "the dialling end's notice", || {
            !one.heard.downs.borrow().is_empty() && !one.links.is_up(core(1))
        })?;
        until(&mut cluster, "the other end's notice", || {
            !two.heard.accepted_ended.borrow().is_empty()
        })?;
        // Why it went down, not why it does not come up again.
        let first = format!("{:?}", one.heard.downs.borrow()[0]);
        ensure(first.contains("Absent") || first == "Closed", format!("a link ends: {first}"))?;
        let refused = one.links.send(core(1), Destination::Link, b"lost");
        ensure(matches!(refused, Err(SendRefused::Down { .. })), "a link that is down takes")?;
        cluster.open(NodeId(from), NodeId(to));
        until(&mut cluster, "a new link", || one.links.is_up(core(1)))?;
        ensure(*one.heard.ups.borrow() == 2, "a link came up and nobody was told")?;
    }
    Ok(())
}

fn a_restart_takes_over() -> Result<(), String> {
    let mut cluster = Cluster::new(ClusterOptions::new(4, 2, 1));
    let one = plain(&mut cluster, 0);
    let _two = plain(&mut cluster, 1);
    dial(&mut cluster, 0, &one, 1).map_err(|error| error.to_string())?;
    until(&mut cluster, "a link", || one.links.is_up(core(1)))?;
    let image = cluster.crash(NodeId(1), Ending::Machine, Survival::All);
    cluster.pass(Duration::from_millis(10)).expect("alive");
    cluster.start(NodeId(1), image);
    let security = LinkSecurity::TrustedNetwork;
    let two = start(&mut cluster, (1, 2), security, PeerBook::default(), Heard::default());
    until(&mut cluster, "a link to the new start", || {
        one.links.book().get(NodeId(1)) == Some(&identity(1, 2)) && one.links.is_up(core(1))
    })?;
    one.links.send(core(1), Destination::Link, b"again").map_err(|error| error.to_string())?;
    until(&mut cluster, "a message", || two.heard.messages.borrow().len() == 1)
}

fn an_old_disk_is_refused() -> Result<(), String> {
    let mut cluster = Cluster::new(ClusterOptions::new(5, 2, 1));
    let security = LinkSecurity::TrustedNetwork;
    let known = PeerBook::new([identity(1, 5)]);
    let _one = start(&mut cluster, (0, 1), security.clone(), known, Heard::default());
    let old = start(&mut cluster, (1, 4), security, PeerBook::default(), Heard::default());
    dial(&mut cluster, 1, &old, 0).map_err(|error| error.to_string())?;
    until(&mut cluster, "a refusal", || !old.heard.downs.borrow().is_empty())?;
    let downs = old.heard.downs.borrow();
    let said = downs[0].to_string();
    ensure(said.contains("old copy"), format!("an old disk hears: {said}"))?;
    ensure(*old.heard.ups.borrow() == 0, "an old disk takes part")
}

fn tls(authority: &ClusterAuthority, node: u32, named: u32) -> PeerTls {
    let pair = authority.node(NodeId(named), VALID).expect("a certificate");
    let root = &authority.pem().certificate;
    PeerTls::new(NodeId(node), root, &pair.certificate, &pair.key).expect("a configuration")
}

const VALID: Validity = Validity { from: (2020, 1, 1), until: (2090, 1, 1) };

fn certificates_are_compared() -> Result<(), String> {
    let authority = ClusterAuthority::found("test", VALID).expect("an authority");
    let other = ClusterAuthority::found("test", VALID).expect("an authority");
    let pair = authority.node(NodeId(1), VALID).expect("a certificate");
    let root = &authority.pem().certificate;
    let misnamed = PeerTls::new(NodeId(0), root, &pair.certificate, &pair.key);
    ensure(misnamed.is_err(), "a node starts with another's certificate")?;
    for (caller, comes_up) in [(&authority, true), (&other, false)] {
        let mut cluster = Cluster::new(ClusterOptions::new(6, 2, 1));
        let security = LinkSecurity::Tls(tls(caller, 0, 0));
        let one = start(&mut cluster, (0, 1), security, PeerBook::default(), Heard::default());
        let security = LinkSecurity::Tls(tls(&authority, 1, 1));
        let two = start(&mut cluster, (1, 1), security, PeerBook::default(), Heard::default());
        dial(&mut cluster, 0, &one, 1).map_err(|error| error.to_string())?;
        if comes_up {
            until(&mut cluster, "a link", || one.links.is_up(core(1)))?;
            let long = vec![5; 300_000];
            one.links.send(core(1), Destination::Core(3), &long).expect("room enough");
            until(&mut cluster, "a long message", || two.heard.messages.borrow().len() == 1)?;
            ensure(two.heard.messages.borrow()[0].2 == long, "TLS changes a message")?;
        } else {
            until(&mut cluster, "a refusal", || !one.heard.downs.borrow().is_empty())?;
            ensure(*one.heard.ups.borrow() == 0, "another authority's node takes part")?;
        }
    }
    Ok(())
}

fn peers_stay_on_one_machine() -> Result<(), String> {
    let mut cluster = Cluster::new(ClusterOptions::new(8, 2, 1));
    let book = PeerBook::default();
    let one = start(&mut cluster, (0, 1), LinkSecurity::LoopbackOnly, book, Heard::default());
    let opened = dial(&mut cluster, 0, &one, 1);
    ensure(matches!(opened, Err(OpenError::Unprotected { .. })), format!("{opened:?}"))?;
    let itself = dial(&mut cluster, 0, &one, 0);
    ensure(matches!(itself, Err(OpenError::OwnNode { .. })), format!("{itself:?}"))
}

/// The queue fills, says so, and goes on when the peer consumes.
fn a_slow_peer_is_not_drowned() -> Result<(), String> {
    let mut cluster = Cluster::new(ClusterOptions::new(9, 2, 1));
    let one = plain(&mut cluster, 0);
    let hoarder = Heard { hoards: true, ..Heard::default() };
    let (security, book) = (LinkSecurity::TrustedNetwork, PeerBook::default());
    let two = start(&mut cluster, (1, 1), security, book, hoarder);
    dial(&mut cluster, 0, &one, 1).map_err(|error| error.to_string())?;
    until(&mut cluster, "a link", || one.links.is_up(core(1)))?;
    let payload = vec![0; 200_000];
    let mut taken = 0;
    for _ in 0..200 {
        match one.links.send(core(1), Destination::Link, &payload) {
            Ok(()) => taken += 1,
            Err(SendRefused::Queue { .. }) => {}
            Err(other) => return Err(other.to_string()),
        }
        cluster.pass(Duration::from_millis(10)).expect("alive");
    }
    let heard = two.heard.messages.borrow().len();
    ensure(heard < taken && taken < 100, format!("{taken} are taken, {heard} are held"))?;
    until(&mut cluster, "the rest", || {
        two.heard.hoard.borrow_mut().clear();
        two.heard.messages.borrow().len() == taken
    })
}
