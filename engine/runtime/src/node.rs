//! A node's threads: one for each shard core, the background pool, the file thread. Started
//! together, ended together.
//!
//! A panic on a shard core ends the process: its shard's state cannot be trusted half way, and the
//! commit log is what survives.

use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use platform::{Background, Clock, Core, Platform, PublishedSlots, SchedulingClass, Shutdown};
use types::ShardId;

use crate::background::block_ring::BlockRings;
use crate::background::io_budget::{IoBudget, ShardLatency};
use crate::background::pool::{BackgroundPool, Pinning};
use crate::clock::SystemClock;
use crate::core_loop::{CoreLoop, CoreSpawner};
use crate::cpu::{self, CpuPlan};
use crate::error::RuntimeError;
use crate::executor::Executor;
use crate::files::{DirectIo, FileThread};
use crate::mesh::{MeshEnd, mesh};
use crate::scheduling_class::{Shares, TaskOrder};
use crate::task::Unpark;
use crate::uring::disk::UringDisk;
use crate::uring::probe::{probe, ring_refused};
use crate::uring::socket::UringNetwork;
use crate::uring::{CoreSignal, Driver};

/// Messages that fit the ring of one ordered pair of cores.
const MESH_RING_MESSAGES: usize = 4096;

/// Node settings of the runtime.
#[derive(Clone, Debug)]
pub struct RuntimeOptions {
    /// Shard cores; by default what the background leaves.
    pub shards: Option<u16>,
    /// Background cores; by default a quarter, at least one.
    pub background_cores: Option<u16>,
    /// Whether threads are pinned to their CPUs.
    pub pinning: Pinning,
    /// Whether files bypass the page cache.
    pub direct_io: DirectIo,
    /// Where direct I/O is tried at start; `None` tries nothing.
    pub data_directory: Option<PathBuf>,
}

impl Default for RuntimeOptions {
    fn default() -> RuntimeOptions {
        RuntimeOptions {
            shards: None,
            background_cores: None,
            pinning: Pinning::Pinned,
            direct_io: DirectIo::Required,
            data_directory: None,
        }
    }
}

/// A running node.
pub struct Node {
    cores: Vec<JoinHandle<()>>,
    pool: Arc<BackgroundPool>,
    files: Arc<FileThread>,
    clock: Arc<dyn Clock>,
    plan: CpuPlan,
    shutdown: Shutdown,
}

impl Node {
    /// The background threads, for the node's other parts.
    pub fn background(&self) -> Arc<dyn Background> {
        self.pool.clone()
    }

    /// The node's clock.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    /// Which cores serve what.
    pub fn cpu_plan(&self) -> &CpuPlan {
        &self.plan
    }

    /// What ends the node when requested.
    pub fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// Waits until every core's main future has ended, then ends the background threads.
    pub fn join(self) {
        for core in self.cores {
            core.join().expect("a core that panics has ended the process");
        }
        self.pool.end();
        self.files.end();
    }
}

/// The split of this machine's CPUs that [`start`] would use.
///
/// # Errors
/// When the numbers asked for are impossible.
pub fn plan_cpus(options: &RuntimeOptions) -> Result<CpuPlan, RuntimeError> {
    let cpus = crate::sys::allowed_cpus().map_err(|source| RuntimeError::Cpus { source })?;
    cpu::plan(&cpus, options.shards, options.background_cores)
}

/// What one core's thread is built from.
struct CoreParts<M: Send> {
    shard: ShardId,
    cpu: Option<usize>,
    end: MeshEnd<M>,
    signal: Arc<CoreSignal>,
    latency: Arc<ShardLatency>,
    files: Arc<FileThread>,
    background: Arc<dyn Background>,
    clock: Arc<dyn Clock>,
    slots: PublishedSlots,
    shutdown: Shutdown,
}

/// Probes the machine, starts all threads and runs `main` on each shard core. The node ends when
/// every main future has ended.
///
/// # Errors
/// When this machine cannot run it, with a sentence that says what to change. Later failures of a
/// ring end the process.
pub fn start<M, F, Main>(options: &RuntimeOptions, main: F) -> Result<Node, RuntimeError>
where
    M: Send + 'static,
    F: Fn(Core<M>) -> Main + Send + Sync + 'static,
    Main: Future<Output = ()> + 'static,
{
    let plan = plan_cpus(options)?;
    probe(options.data_directory.as_deref(), options.direct_io)?;
    let thread = |source| RuntimeError::Thread { source };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let files = Arc::new(FileThread::start(options.direct_io).map_err(thread)?);
    let count = plan.shard_cpus.len();
    let latencies: Vec<_> = (0..count).map(|_| Arc::new(ShardLatency::default())).collect();
    let budget = Arc::new(IoBudget::new(latencies.clone(), clock.clone()));
    let rings = Arc::new(BlockRings::new(files.files().clone(), budget));
    let pool = BackgroundPool::start(rings, &plan.background_cpus, plan.sharing, options.pinning);
    let pool = Arc::new(pool.map_err(thread)?);
    let signals: Result<Vec<_>, _> = (0..count).map(|_| CoreSignal::new().map(Arc::new)).collect();
    let signals = signals.map_err(thread)?;
    let unparks = signals.iter().map(|signal| signal.clone() as Arc<dyn Unpark>).collect();
    let ends = mesh::<M>(unparks, MESH_RING_MESSAGES);
    let slots = PublishedSlots::new(count as u16);
    let shutdown = Shutdown::new();
    let main = Arc::new(main);
    let mut cores = Vec::with_capacity(count);
    for (index, end) in ends.into_iter().enumerate() {
        let parts = CoreParts {
            shard: ShardId(index as u16),
            cpu: (options.pinning == Pinning::Pinned).then_some(plan.shard_cpus[index]),
            end,
            signal: signals[index].clone(),
            latency: latencies[index].clone(),
            files: files.clone(),
            background: pool.clone(),
            clock: clock.clone(),
            slots: slots.clone(),
            shutdown: shutdown.clone(),
        };
        let main = main.clone();
        let core = std::thread::Builder::new()
            .name(format!("shard-{index}"))
            .spawn(move || core_thread(parts, &*main))
            .map_err(thread)?;
        cores.push(core);
    }
    Ok(Node { cores, pool, files, clock, plan, shutdown })
}

/// A core's whole thread. Anything that goes wrong here ends the process with a message.
fn core_thread<M, F, Main>(parts: CoreParts<M>, main: &F)
where
    M: Send + 'static,
    F: Fn(Core<M>) -> Main,
    Main: Future<Output = ()> + 'static,
{
    let shard = parts.shard;
    match catch_unwind(AssertUnwindSafe(|| run_core(parts, main))) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => end_process(shard, &error.to_string()),
        // The panic hook has printed where and why.
        Err(_) => end_process(shard, "it panicked"),
    }
}

fn end_process(shard: ShardId, why: &str) -> ! {
    eprintln!("shard core {shard} cannot go on: {why}; the process ends");
    std::process::abort()
}

fn run_core<M, F, Main>(parts: CoreParts<M>, main: &F) -> Result<(), RuntimeError>
where
    M: Send + 'static,
    F: Fn(Core<M>) -> Main,
    Main: Future<Output = ()> + 'static,
{
    if let Some(cpu) = parts.cpu {
        let pinned = crate::sys::pin_current_thread(&[cpu]);
        pinned.map_err(|source| RuntimeError::Cpus { source })?;
    }
    let driver = Rc::new(Driver::new(parts.signal.clone(), parts.latency).map_err(ring_refused)?);
    if let Some(cpu) = parts.cpu {
        let pinned = crate::sys::pin_ring_workers(driver.ring().borrow().io_uring(), &[cpu]);
        pinned.map_err(|source| RuntimeError::Cpus { source })?;
    }
    let order = TaskOrder::Shares(Shares::default());
    let executor = Executor::new(order, parts.signal.clone());
    let spawner = Rc::new(CoreSpawner::new(executor, parts.clock.clone()));
    let end = Rc::new(parts.end);
    let core = Core {
        shard: parts.shard,
        platform: Platform {
            disk: UringDisk::new(driver.clone(), parts.files),
            clock: parts.clock,
            spawner: spawner.clone(),
            network: UringNetwork::new(driver.clone()),
            background: parts.background,
            slots: parts.slots,
        },
        mesh: end.clone(),
        shutdown: parts.shutdown,
    };
    let done = Rc::new(Cell::new(false));
    let (future, ended) = (main(core), done.clone());
    let whole = async move {
        future.await;
        ended.set(true);
    };
    let core_loop = CoreLoop { spawner, driver, mesh: end, signal: parts.signal };
    core_loop.start(SchedulingClass::Foreground, whole);
    core_loop.run(&done).map_err(|source| RuntimeError::Ring { source })
}
