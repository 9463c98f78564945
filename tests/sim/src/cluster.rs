//! Several nodes in one thread: a world each, with its own disk and clocks, and the network between them.
//!
//! Every node keeps its own virtual time. The next step is always that of the node whose next moment is the earliest, so times stay within one poll of
//! each other and a packet never arrives before it was sent. A node that is crashed loses its world and leaves an [`Image`] of its disk, with which it
//! may start again, now or later; its new world begins at the cluster's time, with whatever wall clock it is given. From one seed follows everything.
//!
//! ```text
//! Cluster::run_until ─▶ the node with the earliest moment ─▶ one step of its World
//!                                                              └─ end of a turn: packets depart ─▶ event of the target's World
//! ```

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use types::prng::Prng;
use types::{NodeId, ShardId};

use crate::image::{Image, Survival};
use crate::network::{Ending, LinkOptions, Net, SimNetwork};
use crate::world::{Step, World, WorldOptions};

/// Steps after which a wait counts as endless.
const STEPS_MAX: u64 = 50_000_000;

/// What a cluster is like.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Everything that is drawn follows from it.
    pub seed: u64,
    /// Nodes, all of which run at the start, with empty disks.
    pub nodes: u32,
    /// What every node is like; its seed is replaced.
    pub world: WorldOptions,
    /// What every link is like at the start.
    pub link: LinkOptions,
}

impl ClusterOptions {
    /// A cluster on a quiet network.
    pub fn new(seed: u64, nodes: u32, cores: u16) -> ClusterOptions {
        let world = WorldOptions::new(seed, cores);
        ClusterOptions { seed, nodes, world, link: LinkOptions::default() }
    }
}

/// A node froze ([`World::crash_at`], [`World::freeze`]) before what was waited for came. [`Cluster::crash`] it, and go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeStopped(pub NodeId);

/// Nodes, their disks, their clocks, their network.
pub struct Cluster {
    options: ClusterOptions,
    net: Arc<Net>,
    worlds: Vec<Option<World>>,
    prng: Prng,
    now: u64,
    /// Traces of worlds that have ended.
    ended: u128,
}

impl Cluster {
    /// A cluster whose nodes all run, with empty disks.
    pub fn new(options: ClusterOptions) -> Cluster {
        assert!(options.nodes > 0, "a cluster has a node");
        let mut prng = Prng::new(options.seed);
        let net = Net::new(prng.next_u64(), options.nodes, options.link);
        let worlds = (0..options.nodes).map(|_| None).collect();
        let mut cluster = Cluster { options, net, worlds, prng, now: 1, ended: 0 };
        cluster.nodes().for_each(|node| cluster.start(node, Image::default()));
        cluster
    }

    /// All nodes, running or not.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.options.nodes).map(NodeId)
    }

    /// A running node.
    ///
    /// # Panics
    /// If it does not run.
    pub fn world(&mut self, node: NodeId) -> &mut World {
        self.worlds[node.0 as usize].as_mut().expect("the node runs")
    }

    /// Whether a node runs.
    pub fn is_running(&self, node: NodeId) -> bool {
        self.worlds[node.0 as usize].is_some()
    }

    // --- lives of nodes

    /// Starts a node that does not run, with this disk and an unset wall clock.
    ///
    /// # Panics
    /// If it runs.
    pub fn start(&mut self, node: NodeId, image: Image) {
        let options = WorldOptions { seed: self.prng.next_u64(), ..self.options.world.clone() };
        let net = self.net.clone();
        let end = |_: &_| Some(SimNetwork::new(node, net.clone()));
        let world = World::with_network(options, image, self.now, end);
        self.net.with(|state| state.start_host(node, world.machine().clone()));
        self.worlds[node.0 as usize] = Some(world);
    }

    /// Ends a running node at once and gives what is left on its disk. A killed process leaves all that it wrote.
    ///
    /// # Panics
    /// If it does not run.
    pub fn crash(&mut self, node: NodeId, ending: Ending, survival: Survival) -> Image {
        let survival = match ending {
            Ending::Process => Survival::All,
            Ending::Machine => survival,
        };
        let world = self.worlds[node.0 as usize].take().expect("the node runs");
        let image = world.image(survival);
        self.ended = self.ended.rotate_left(1) ^ world.trace();
        self.net.with(|state| state.stop_host(node, ending));
        drop(world);
        image
    }

    // --- running

    /// Runs until the condition holds.
    ///
    /// # Errors
    /// [`NodeStopped`] if a node froze first.
    ///
    /// # Panics
    /// If it can never hold, and with whatever a task panics with.
    pub fn run_until(&mut self, done: impl Fn() -> bool) -> Result<(), NodeStopped> {
        for _ in 0..STEPS_MAX {
            if done() {
                return Ok(());
            }
            let stepped = self.step(u64::MAX)?;
            assert!(stepped || done(), "every task of every node waits for what will not come");
        }
        panic!("nothing makes progress");
    }

    /// Runs until the future is done on its core.
    ///
    /// # Errors
    /// As [`Cluster::run_until`].
    ///
    /// # Panics
    /// As [`Cluster::run_until`], and if the node does not run.
    pub fn run<T: 'static>(
        &mut self,
        node: NodeId,
        core: ShardId,
        future: impl Future<Output = T> + 'static,
    ) -> Result<T, NodeStopped> {
        let result: Rc<RefCell<Option<T>>> = Rc::default();
        let slot = result.clone();
        self.world(node).spawn(core, async move {
            let value = future.await;
            *slot.borrow_mut() = Some(value);
        });
        self.run_until(|| result.borrow().is_some())?;
        Ok(result.take().expect("just seen"))
    }

    /// Lets so much virtual time pass.
    ///
    /// # Errors
    /// As [`Cluster::run_until`].
    pub fn pass(&mut self, duration: Duration) -> Result<(), NodeStopped> {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let end = self.now.saturating_add(nanos);
        while self.step(end)? {}
        self.now = self.now.max(end);
        Ok(())
    }

    /// One step of the node whose turn it is; false if none has anything to do through `end`.
    fn step(&mut self, end: u64) -> Result<bool, NodeStopped> {
        let moments = self.worlds.iter().enumerate().filter_map(|(index, world)| {
            let moment = world.as_ref()?.next_moment()?;
            (moment <= end).then_some((moment, index))
        });
        let Some((moment, index)) = moments.min() else { return Ok(false) };
        self.now = self.now.max(moment);
        let world = self.worlds[index].as_mut().expect("it has a next moment");
        let step = world.step();
        assert_eq!(step, Step::Ran, "it had something to do");
        match world.is_frozen() {
            true => Err(NodeStopped(NodeId(index as u32))),
            false => Ok(true),
        }
    }

    /// Virtual nanoseconds since the start.
    pub fn now_nanos(&self) -> u64 {
        self.now
    }

    /// Everything that happened, in one number.
    pub fn trace(&self) -> u128 {
        let worlds = self.worlds.iter().flatten();
        worlds.fold(self.ended, |sum, world| sum.rotate_left(1) ^ world.trace())
    }

    // --- the network

    /// Changes what one direction between two nodes is like.
    pub fn set_link(&self, from: NodeId, to: NodeId, options: LinkOptions) {
        self.net.with(|state| state.set_link(from, to, options));
    }

    /// Holds everything from one node to another from now on, until [`Cluster::open`]. The other direction stays as it is.
    pub fn block(&self, from: NodeId, to: NodeId) {
        self.net.with(|state| state.block(from, to));
    }

    /// Opens one direction: what it held goes on its way.
    pub fn open(&self, from: NodeId, to: NodeId) {
        self.net.with(|state| state.open(from, to));
    }

    /// Blocks both directions between a node and every other.
    pub fn isolate(&self, node: NodeId) {
        for other in self.nodes().filter(|other| *other != node) {
            self.block(node, other);
            self.block(other, node);
        }
    }

    /// Opens every direction.
    pub fn open_all(&self) {
        self.net.with(|state| state.open_all());
    }

    /// Breaks all connections between two nodes; gives how many there were.
    pub fn reset(&self, one: NodeId, other: NodeId) -> usize {
        self.net.with(|state| state.reset([one, other]))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for (index, world) in self.worlds.iter_mut().enumerate() {
            if let Some(world) = world.take() {
                self.net.with(|state| state.stop_host(NodeId(index as u32), Ending::Machine));
                drop(world);
            }
        }
    }
}
