//! A node on glommio: one executor a shard core, the file threads, the background threads.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use glommio::{LocalExecutorBuilder, Placement};
use platform::{Background, Clock, Core, Platform, PublishedSlots, Shutdown};
use types::{KIB, ShardId};

use crate::error::GlommioError;
use crate::executor::{GlommioSpawner, SystemClock};
use crate::files::{DirectIo, Files};
use crate::mesh::{GlommioMesh, Inbox};
use crate::outbox::Outbox;
use crate::socket::GlommioNetwork;
use crate::threads::{BackgroundThreads, ThreadedDisk, Threads};

/// Memory that glommio registers for its own files, of which this driver opens none.
const REGISTERED_BYTES: usize = 64 * KIB as usize;
/// Threads that do the shards' disk operations.
const FILE_THREADS: usize = 4;

/// Settings of the driver.
#[derive(Clone, Debug)]
pub struct GlommioOptions {
    /// The CPU of each shard; `None` leaves one unpinned.
    pub shard_cpus: Vec<Option<usize>>,
    /// Threads for scans, and as many for flushes and compactions.
    pub background_threads: usize,
    /// Whether files bypass the page cache.
    pub direct_io: DirectIo,
}

/// A running node.
pub struct GlommioNode {
    cores: Vec<JoinHandle<()>>,
    background: Arc<BackgroundThreads>,
    disk: Arc<Threads>,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
}

impl GlommioNode {
    /// The background threads, for the node's other parts.
    pub fn background(&self) -> Arc<dyn Background> {
        self.background.clone()
    }

    /// The node's clock.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    /// What ends the node when requested.
    pub fn shutdown(&self) -> &Shutdown {
        &self.shutdown
    }

    /// Waits until every core's main future has ended, then ends the other threads.
    pub fn join(self) {
        for core in self.cores {
            core.join().expect("a core that panics has ended the process");
        }
        self.background.urgent.end();
        self.background.patient.end();
        self.disk.end();
    }
}

/// What one core's thread is built from.
struct CoreParts<M> {
    shard: ShardId,
    cpu: Option<usize>,
    inboxes: Arc<Vec<Inbox<M>>>,
    files: Files,
    disk: Arc<Threads>,
    background: Arc<dyn Background>,
    clock: Arc<dyn Clock>,
    slots: PublishedSlots,
    shutdown: Shutdown,
}

/// Starts all threads and runs `main` on each shard core. The node ends when every main future has.
///
/// # Errors
/// When threads or executors cannot be made. A panic on a core ends the process.
pub fn start<M, F, Main>(options: &GlommioOptions, main: F) -> Result<GlommioNode, GlommioError>
where
    M: Send + 'static,
    F: Fn(Core<M>) -> Main + Send + Sync + 'static,
    Main: Future<Output = ()> + 'static,
{
    let thread = |source| GlommioError::Thread { source };
    probe()?;
    let count = options.shard_cpus.len();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let files = Files::new(options.direct_io);
    let disk = Arc::new(Threads::start("files", FILE_THREADS).map_err(thread)?);
    let cores = options.background_threads.max(1);
    let background = Arc::new(BackgroundThreads {
        urgent: Threads::start("flush", cores).map_err(thread)?,
        patient: Threads::start("scan", cores).map_err(thread)?,
        files: files.clone(),
        cores,
    });
    let inboxes = Arc::new((0..count).map(|_| Inbox::new(count)).collect::<Vec<_>>());
    let slots = PublishedSlots::new(count as u16);
    let shutdown = Shutdown::new();
    let main = Arc::new(main);
    let mut threads = Vec::with_capacity(count);
    for (index, cpu) in options.shard_cpus.iter().enumerate() {
        let parts = CoreParts {
            shard: ShardId(index as u16),
            cpu: *cpu,
            inboxes: inboxes.clone(),
            files: files.clone(),
            disk: disk.clone(),
            background: background.clone(),
            clock: clock.clone(),
            slots: slots.clone(),
            shutdown: shutdown.clone(),
        };
        let main = main.clone();
        let named = std::thread::Builder::new().name(format!("shard-{index}"));
        threads.push(named.spawn(move || core_thread(parts, &*main)).map_err(thread)?);
    }
    Ok(GlommioNode { cores: threads, background, disk, clock, shutdown })
}

fn builder(cpu: Option<usize>) -> LocalExecutorBuilder {
    let placement = cpu.map_or(Placement::Unbound, Placement::Fixed);
    LocalExecutorBuilder::new(placement).io_memory(REGISTERED_BYTES)
}

/// Makes and drops one executor, so that a refusal is an answer to the operator.
fn probe() -> Result<(), GlommioError> {
    let probing = std::thread::Builder::new().spawn(|| builder(None).make().map(drop));
    let probing = probing.map_err(|source| GlommioError::Thread { source })?;
    let made = probing.join().expect("making an executor does not panic");
    made.map_err(|source| GlommioError::Executor { source: Box::new(source) })
}

fn core_thread<M, F, Main>(parts: CoreParts<M>, main: &F)
where
    M: Send + 'static,
    F: Fn(Core<M>) -> Main,
    Main: Future<Output = ()> + 'static,
{
    let shard = parts.shard;
    let run = || match builder(parts.cpu).make() {
        Ok(executor) => executor.run(run_core(parts, main)),
        Err(error) => end_process(shard, &error.to_string()),
    };
    if catch_unwind(AssertUnwindSafe(run)).is_err() {
        end_process(shard, "it panicked");
    }
}

fn end_process(shard: ShardId, why: &str) -> ! {
    eprintln!("shard core {shard} cannot go on: {why}; the process ends");
    std::process::abort()
}

async fn run_core<M, F, Main>(parts: CoreParts<M>, main: &F)
where
    M: Send + 'static,
    F: Fn(Core<M>) -> Main,
    Main: Future<Output = ()> + 'static,
{
    let outbox = Rc::new(Outbox::default());
    let spawner = Rc::new(GlommioSpawner::new(parts.clock.clone(), outbox.clone()));
    let core = Core {
        shard: parts.shard,
        platform: Platform {
            disk: Rc::new(ThreadedDisk {
                files: parts.files,
                threads: parts.disk,
                outbox: outbox.clone(),
            }),
            clock: parts.clock,
            spawner: spawner.clone(),
            network: Rc::new(GlommioNetwork { outbox: outbox.clone() }),
            background: parts.background,
            slots: parts.slots,
        },
        mesh: Rc::new(GlommioMesh::new(parts.shard, parts.inboxes, outbox)),
        shutdown: parts.shutdown,
    };
    main(core).await;
    spawner.end();
}
