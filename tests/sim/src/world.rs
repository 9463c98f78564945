//! The world: cores, one queue, one disk; run step by step.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use platform::{Core, Mesh, Platform, PublishedSlots, SchedulingClass, Shutdown, Spawner};
use runtime::{Executor, NoUnpark, TaskOrder};
use types::ShardId;

use crate::background::SimBackground;
use crate::clock::{SimClock, WallError};
use crate::disk::SimDisk;
use crate::event_queue::Due;
use crate::faults::Fault;
use crate::image::{CrashPoint, Image, Survival};
use crate::machine::Machine;
use crate::mesh::{SharedMesh, SimMesh};
use crate::network::{NoNetwork, SimNetwork};
use crate::spawner::SimSpawner;

/// Virtual nanoseconds that one poll takes at most.
const POLL_NANOS: u64 = 2_000;
/// Steps after which a wait counts as endless.
const STEPS_MAX: u64 = 5_000_000;

/// What a world is like.
#[derive(Clone, Debug)]
pub struct WorldOptions {
    /// Everything that is drawn follows from it.
    pub seed: u64,
    /// Cores of the node.
    pub cores: u16,
    /// What a disk operation takes at most, as a rule; some take several times as long.
    pub disk_nanos_max: u64,
    /// What a rare disk operation takes at most; zero: there is none.
    pub stall_nanos_max: u64,
    /// Of a hundred background jobs, those that run step by step.
    pub stepped_jobs_percent: u8,
    /// Messages that a ring of the mesh holds.
    pub ring_capacity: usize,
}

impl WorldOptions {
    /// A world without surprises beyond the order of things.
    pub fn new(seed: u64, cores: u16) -> WorldOptions {
        WorldOptions {
            seed,
            cores,
            disk_nanos_max: 200_000,
            stall_nanos_max: 50_000_000,
            stepped_jobs_percent: 50,
            ring_capacity: 64,
        }
    }
}

/// The world was frozen before what was waited for came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Ran,
    /// Nothing is ready and nothing will come.
    Idle,
}

struct SimCore {
    spawner: Rc<SimSpawner>,
    disk: Rc<SimDisk>,
    /// Present in a node of a cluster.
    network: Option<Rc<SimNetwork>>,
    /// Lets the messages of this turn leave.
    mesh: RefCell<Vec<Box<dyn Fn()>>>,
    /// Something was polled in this turn.
    ran: Cell<bool>,
}

type Observer = Box<dyn FnMut(CrashPoint)>;

/// A node of simulated cores, its disk, and everything that happens to it.
pub struct World {
    machine: Arc<Machine>,
    cores: Vec<SimCore>,
    slots: PublishedSlots,
    observer: Option<Observer>,
}

impl World {
    /// A node that starts with this disk.
    pub fn new(options: WorldOptions, image: Image) -> World {
        World::with_network(options, image, 1, |_| None)
    }

    /// A node that starts at a moment, with an end of a network for each core.
    pub(crate) fn with_network(
        options: WorldOptions,
        image: Image,
        now: u64,
        network: impl Fn(&Arc<Machine>) -> Option<SimNetwork>,
    ) -> World {
        let count = options.cores;
        assert!(count > 0, "a node has a core");
        let machine = Arc::new(Machine::new(options, image.disk));
        machine.lock().now = now;
        let core = |_| {
            let order = TaskOrder::Seeded(machine.lock().prng.fork());
            let executor = Executor::new(order, Arc::new(NoUnpark));
            let hooks = RefCell::default();
            SimCore {
                spawner: Rc::new(SimSpawner { machine: machine.clone(), executor, hooks }),
                disk: Rc::new(SimDisk::new(machine.clone())),
                network: network(&machine).map(Rc::new),
                mesh: RefCell::default(),
                ran: Cell::new(false),
            }
        };
        let cores = (0..count).map(core).collect();
        World { machine, cores, slots: PublishedSlots::new(count), observer: None }
    }

    // --- what the engine sees

    /// What a core sees of the world.
    pub fn platform(&self, core: ShardId) -> Platform {
        let own = &self.cores[core.index()];
        Platform {
            disk: own.disk.clone(),
            clock: Arc::new(SimClock(self.machine.clone())),
            spawner: own.spawner.clone(),
            network: match &own.network {
                Some(network) => network.clone(),
                None => Rc::new(NoNetwork),
            },
            background: Arc::new(SimBackground(self.machine.clone())),
            slots: self.slots.clone(),
        }
    }

    /// A mesh between the cores: one end for each.
    pub fn mesh<M: Send + 'static>(&self) -> Vec<Rc<dyn Mesh<M>>> {
        let count = self.cores.len() as u16;
        let capacity = self.machine.lock().options.ring_capacity;
        let shared = Arc::new(SharedMesh::new(count, capacity));
        let end = |own: u16| {
            let own = ShardId(own);
            let machine = self.machine.clone();
            let outgoing = RefCell::default();
            let end = Rc::new(SimMesh { own, machine, shared: shared.clone(), outgoing });
            let leaving = end.clone();
            self.cores[own.index()].mesh.borrow_mut().push(Box::new(move || leaving.flush()));
            end as Rc<dyn Mesh<M>>
        };
        (0..count).map(end).collect()
    }

    /// What the main future of each core is given.
    pub fn cores<M: Send + 'static>(&self) -> Vec<Core<M>> {
        let shutdown = Shutdown::new();
        let core = |(index, mesh)| {
            let shard = ShardId(index as u16);
            let (platform, shutdown) = (self.platform(shard), shutdown.clone());
            Core { shard, platform, mesh, shutdown }
        };
        self.mesh().into_iter().enumerate().map(core).collect()
    }

    // --- running it

    /// Starts a task on a core.
    pub fn spawn(&self, core: ShardId, task: impl Future<Output = ()> + 'static) {
        let spawner = &self.cores[core.index()].spawner;
        spawner.spawn_boxed(SchedulingClass::Foreground, "test", Box::pin(task));
    }

    /// Runs until the future is done on its core.
    ///
    /// # Errors
    /// [`Stopped`] if the world was frozen first.
    ///
    /// # Panics
    /// If it can never be done, and with whatever a task panics with.
    pub fn run<T: 'static>(
        &mut self,
        core: ShardId,
        future: impl Future<Output = T> + 'static,
    ) -> Result<T, Stopped> {
        let result: Rc<RefCell<Option<T>>> = Rc::default();
        let slot = result.clone();
        self.spawn(core, async move {
            let value = future.await;
            *slot.borrow_mut() = Some(value);
        });
        self.run_until(|| result.borrow().is_some())?;
        Ok(result.take().expect("just seen"))
    }

    /// Runs until the condition holds.
    ///
    /// # Errors
    /// [`Stopped`] if the world was frozen first.
    ///
    /// # Panics
    /// If it can never hold, and with whatever a task panics with.
    pub fn run_until(&mut self, done: impl Fn() -> bool) -> Result<(), Stopped> {
        for _ in 0..STEPS_MAX {
            if self.is_frozen() {
                return Err(Stopped);
            }
            if done() {
                return Ok(());
            }
            let step = self.step();
            assert!(step == Step::Ran || done(), "every task waits for what will not come");
        }
        panic!("nothing makes progress");
    }

    /// Lets so much virtual time pass.
    ///
    /// # Errors
    /// [`Stopped`] if the world was frozen first.
    pub fn pass(&mut self, duration: Duration) -> Result<(), Stopped> {
        let spawner: Rc<dyn Spawner> = self.cores[0].spawner.clone();
        self.run(ShardId(0), async move { platform::sleep(&spawner, duration).await })
    }

    /// When something happens next; `None` if nothing will.
    pub(crate) fn next_moment(&self) -> Option<u64> {
        let state = self.machine.lock();
        if self.cores.iter().any(SimCore::is_ready) {
            return Some(state.now);
        }
        state.queue.next_due().map(|due| due.max(state.now))
    }

    pub(crate) fn machine(&self) -> &Arc<Machine> {
        &self.machine
    }

    pub(crate) fn step(&mut self) -> Step {
        let step = self.step_once();
        if let Some(observer) = &mut self.observer {
            let points = std::mem::take(&mut self.machine.lock().crash_points);
            points.into_iter().for_each(observer);
        }
        step
    }

    fn step_once(&self) -> Step {
        let ready: Vec<usize> =
            (0..self.cores.len()).filter(|index| self.cores[*index].is_ready()).collect();
        let due = {
            let mut state = self.machine.lock();
            let next = state.queue.next_due();
            let event_first = match next {
                None => false,
                Some(_) if ready.is_empty() => true,
                Some(due) => due <= state.now && state.prng.below(2) == 0,
            };
            let due = if event_first { state.queue.pop() } else { None };
            if let Some((moment, _)) = &due {
                state.now = state.now.max(*moment);
                let now = state.now;
                state.trace.fold(now);
            }
            due
        };
        match due {
            Some((_, Due::Event(event))) => event(&self.machine),
            Some((_, Due::Timer(waker))) => waker.wake(),
            None if ready.is_empty() => return Step::Idle,
            None => {
                let chosen = ready[self.machine.draw(ready.len() as u64) as usize];
                self.machine.lock().trace.fold(chosen as u64);
                self.cores[chosen].run_one(&self.machine);
            }
        }
        Step::Ran
    }

    // --- faults

    /// Freezes the world just before its disk event of that number, counted from zero.
    pub fn crash_at(&self, event: u64) {
        self.machine.lock().crash_at = Some(event);
    }

    /// Disk events so far.
    pub fn disk_events(&self) -> u64 {
        self.machine.lock().disk_events
    }

    /// True after the crash.
    pub fn is_frozen(&self) -> bool {
        self.machine.lock().frozen
    }

    /// Freezes the world now.
    pub fn freeze(&self) {
        self.machine.lock().frozen = true;
    }

    /// Calls `observer` for every disk event to come, right after the step in which it happened: nothing was polled in between, so what the tasks know
    /// then is what they knew before the event.
    pub fn watch_crash_points(&mut self, observer: impl FnMut(CrashPoint) + 'static) {
        self.machine.lock().watching = true;
        self.observer = Some(Box::new(observer));
    }

    /// Ends [`World::watch_crash_points`].
    pub fn unwatch(&mut self) {
        self.machine.lock().watching = false;
        self.observer = None;
    }

    /// What the disk can hold now.
    pub fn crash_point(&self) -> CrashPoint {
        let state = self.machine.lock();
        CrashPoint { event: state.disk_events, disk: state.disk.clone() }
    }

    /// The disk after a crash now; the world itself goes on.
    pub fn image(&self, survival: Survival) -> Image {
        let mut prng = self.machine.lock().prng.fork();
        self.crash_point().image(survival, &mut prng)
    }

    /// Plans an error of the device.
    pub fn inject(&self, fault: Fault) {
        self.machine.lock().faults.plan(fault);
    }

    /// The device answers again; what became read-only stays so.
    pub fn heal(&self) {
        self.machine.lock().faults.heal();
    }

    /// Bounds the bytes of all files.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.machine.lock().faults.capacity = bytes;
    }

    /// Bytes of all files.
    pub fn disk_bytes(&self) -> u64 {
        self.machine.lock().disk.byte_count()
    }

    /// From now on every flush answers "done" and does nothing: no engine survives it, so tests must notice.
    pub fn make_flushes_lie(&self) {
        self.machine.lock().faults.flushes_lie = true;
    }

    /// Sets the wall clock's error: parts in a million that it is too fast, and microseconds that it is ahead.
    pub fn set_wall_clock(&self, drift: i64, offset_micros: i64) {
        self.machine.lock().wall = WallError { drift, offset: offset_micros };
    }

    /// Steps the wall clock.
    pub fn step_wall_clock(&self, micros: i64) {
        self.machine.lock().wall.offset += micros;
    }

    /// Virtual nanoseconds since the start.
    pub fn now_nanos(&self) -> u64 {
        self.machine.now()
    }

    /// Everything that happened, in one number.
    pub fn trace(&self) -> u128 {
        self.machine.lock().trace.value()
    }
}

impl SimCore {
    fn is_ready(&self) -> bool {
        self.spawner.executor.has_ready() || self.disk.has_submissions()
    }

    /// Polls one task, and ends the turn if nothing is left to do in it, or by lot.
    fn run_one(&self, machine: &Arc<Machine>) {
        if self.spawner.executor.run_one() {
            self.ran.set(true);
            let mut state = machine.lock();
            state.now += 1 + state.prng.below(POLL_NANOS);
        }
        let busy = self.spawner.executor.has_ready();
        if busy && machine.draw(4) > 0 {
            return;
        }
        if self.ran.replace(false) {
            self.spawner.run_hooks();
        }
        self.mesh.borrow().iter().for_each(|leave| leave());
        if let Some(network) = &self.network {
            network.flush();
        }
        self.disk.flush();
    }
}

impl Drop for World {
    /// As the end of a process, though destructors run: they find the disk closed.
    fn drop(&mut self) {
        let (batons, queue) = {
            let mut state = self.machine.lock();
            state.frozen = true;
            (std::mem::take(&mut state.batons), state.queue.take_all())
        };
        batons.iter().for_each(|baton| baton.end());
        if std::thread::panicking() {
            // A second panic would hide the first.
            std::mem::forget(queue);
            return;
        }
        for core in &self.cores {
            core.disk.clear();
            core.spawner.executor.clear();
            let hooks = core.spawner.hooks.take();
            drop(hooks);
            core.mesh.take();
        }
        drop(queue);
        let left = self.machine.lock().queue.take_all();
        drop(left);
    }
}
