//! What a message between two cores costs on the shipping runtime: batches of 100-byte messages over a link, one message back for each batch.
//!
//! ```text
//! cargo run --release -p bench --example peer_links
//! ```
//!
//! One line for each batch size, without and with TLS: messages a second, round trip of a batch, and CPU time of **both** ends by message (two cores of one
//! process, loopback). Busy polling of idle cores counts, so the figures of small batches are upper bounds.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use net::peer::frame::Destination;
use net::peer::identity::{
    ClusterId, Incarnation, NodeIdentity, PeerBook, PeerCore, StartNumber, core_address,
};
use net::peer::links::{
    LinkChange, LinkSecurity, Links, LinksOptions, PeerEvents, Received, SendRefused,
};
use net::tls::{ClusterAuthority, PeerTls, Validity};
use platform::{Prng, sleep};
use runtime::{Core, RuntimeOptions, start};
use types::{NodeId, ShardId};

const RUN: Duration = Duration::from_secs(2);
const VALID: Validity = Validity { from: (2020, 1, 1), until: (2090, 1, 1) };

struct End {
    links: RefCell<Option<Links>>,
    heard: Cell<u64>,
    /// Answer each message that is the last of its batch.
    answers: bool,
}

impl PeerEvents for End {
    fn received(&self, message: Received<'_>) {
        self.heard.set(self.heard.get() + 1);
        if self.answers && message.destination == Destination::Link {
            let links = self.links.borrow();
            let links = links.as_ref().expect("set before anybody dials");
            // A peer that is not up yet hears of it by the next batch.
            let _refused = links.send(message.from, Destination::Link, b"");
        }
    }

    fn changed(&self, _: LinkChange) {}
}

fn core_of(node: u32) -> PeerCore {
    PeerCore::Shard(NodeId(node), ShardId(0))
}

fn identity(node: u32, base: u16) -> NodeIdentity {
    NodeIdentity {
        node: NodeId(node),
        incarnation: Incarnation(1),
        start: StartNumber(u64::from(node)),
        address: SocketAddr::from(([127, 0, 0, 1], base + node as u16 * 4)),
        shard_count: 1,
    }
}

fn cpu_micros() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("procfs");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a name").split(' ').collect();
    let ticks: u64 = [12, 13].iter().map(|at| fields[*at].parse::<u64>().expect("a number")).sum();
    ticks * 10_000
}

async fn run(core: Core<()>, base: u16, security: LinkSecurity, label: &'static str) {
    let (own, other) = (u32::from(core.shard.0), 1 - u32::from(core.shard.0));
    let end = Rc::new(End { links: RefCell::new(None), heard: Cell::new(0), answers: own == 1 });
    let options = LinksOptions::new(ClusterId(1), identity(own, base), core_of(own), security);
    let prng = Prng::new(u64::from(own));
    let platform = core.platform.clone();
    let links = Links::new(platform.clone(), options, PeerBook::default(), end.clone(), prng);
    *end.links.borrow_mut() = Some(links.clone());
    let address = core_address(identity(own, base).address, core_of(own)).expect("a port");
    let listener = core.platform.network.listen(address).expect("the address is free");
    let accepting = links.clone();
    let class = platform::SchedulingClass::Foreground;
    platform::spawn(&*platform.spawner, class, "accept", async move {
        accepting.accept_on(listener).await;
    });
    let there = core_address(identity(other, base).address, core_of(other)).expect("a port");
    links.open(core_of(other), there).expect("loopback");
    if own == 1 {
        core.shutdown.requested().await;
        return;
    }
    let pause = || sleep(&platform.spawner, Duration::from_micros(50));
    while !links.is_up(core_of(1)) {
        pause().await;
    }
    // The other end's link must be up, too, for answers.
    sleep(&platform.spawner, Duration::from_millis(200)).await;
    for batch in [1_u64, 8, 64] {
        let (began, cpu, mut batches) = (Instant::now(), cpu_micros(), 0_u64);
        while began.elapsed() < RUN {
            let before = end.heard.get();
            for at in 0..batch {
                let last = at + 1 == batch;
                let destination = if last { Destination::Link } else { Destination::Range(at) };
                match links.send(core_of(1), destination, &[7; 100]) {
                    Ok(()) => {}
                    Err(SendRefused::Queue { .. }) => panic!("a batch fills no queue"),
                    Err(refused) => panic!("{refused}"),
                }
            }
            while end.heard.get() == before {
                std::future::poll_fn(yield_once()).await;
            }
            batches += 1;
        }
        let (took, cpu) = (began.elapsed().as_secs_f64(), cpu_micros() - cpu);
        let messages = batches * batch;
        println!(
            "{label:8} batch {batch:2}: {:9.0} messages/s, {:6.1} us a round trip, {:5.2} CPU-us a message",
            messages as f64 / took,
            took * 1e6 / batches as f64,
            cpu as f64 / messages as f64,
        );
    }
    core.shutdown.request();
}

/// Ready the second time, so that other tasks run in between.
fn yield_once() -> impl FnMut(&mut std::task::Context<'_>) -> std::task::Poll<()> {
    let mut yielded = false;
    move |context| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let authority = ClusterAuthority::found("bench", VALID)?;
    for (base, label) in [(7_400, "plain"), (7_410, "TLS 1.3")] {
        let root = authority.pem().certificate.clone();
        let pairs = [0, 1].map(|node| authority.node(NodeId(node), VALID).expect("a certificate"));
        let options = RuntimeOptions { shards: Some(2), ..RuntimeOptions::default() };
        let node = start(&options, move |core: Core<()>| {
            let number = u32::from(core.shard.0);
            let pair = &pairs[number as usize];
            let security = if base == 7_400 {
                LinkSecurity::LoopbackOnly
            } else {
                let (certificate, key) = (&pair.certificate, &pair.key);
                let tls = PeerTls::new(NodeId(number), &root, certificate, key);
                LinkSecurity::Tls(tls.expect("its own certificate"))
            };
            run(core, base, security, label)
        })?;
        node.join();
    }
    Ok(())
}
