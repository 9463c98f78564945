//! The background threads of a node: bounded queues by class, fixed threads by weight.
//!
//! One thread runs flushes only, so that a long compaction never holds one up; one a background
//! core runs flushes and compactions; one a background core runs scans and optional work, in the
//! idle class where the core is shared with a shard. The kernel's scheduler does the weighing: no
//! thread changes its class.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use platform::{Background, BlockIo, CancelFlag, Job, JobClass, JobError, JobRefused};

use super::block_ring::{BlockRings, PacedBlockIo};
use crate::cpu::CpuSharing;
use crate::sys::{ThreadWeight, pin_current_thread, weigh_current_thread};

/// Jobs that may wait in one class.
const QUEUED_JOBS_MAX: usize = 1024;
/// Nice values: batch work yields to shards on a shared core; scans yield to flushes on their own.
const FLUSH_NICE: i32 = 0;
const SCAN_NICE: i32 = 10;

struct Queues {
    by_class: [VecDeque<(CancelFlag, Job)>; JobClass::ALL.len()],
    ending: bool,
}

struct Shared {
    queues: Mutex<Queues>,
    arrived: Condvar,
    rings: Arc<BlockRings>,
    cpus: Vec<usize>,
    sharing: CpuSharing,
    pinning: Pinning,
}

/// Whether threads stay on their CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pinning {
    /// Each shard on one CPU, the background on its own set.
    Pinned,
    /// Wherever the kernel likes; for tests and for machines shared with other programs.
    Floating,
}

/// The pool; jobs come in through [`Background`].
pub(crate) struct BackgroundPool {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

fn class_index(class: JobClass) -> usize {
    class as usize
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queues> {
        // Jobs run outside the lock, and nothing inside it panics.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn weight(&self, class: JobClass) -> ThreadWeight {
        match (class, self.sharing) {
            (JobClass::Flush | JobClass::Compaction, _) => ThreadWeight::Batch { nice: FLUSH_NICE },
            (JobClass::Scan | JobClass::Optional, CpuSharing::Shared) => ThreadWeight::Idle,
            (JobClass::Scan | JobClass::Optional, CpuSharing::Apart) => {
                ThreadWeight::Batch { nice: SCAN_NICE }
            }
        }
    }

    fn settle_current_thread(&self, class: JobClass) {
        let pinned = match self.pinning {
            Pinning::Pinned => pin_current_thread(&self.cpus),
            Pinning::Floating => Ok(()),
        };
        if let Err(error) = pinned.and_then(|()| weigh_current_thread(self.weight(class))) {
            // Slower neighbours, not wrong answers: worth a line, not a refusal.
            tracing::warn!(%error, ?class, "a background thread kept its default weight");
        }
    }

    fn run(&self, classes: &[JobClass]) {
        let mut queues = self.lock();
        loop {
            let next = classes.iter().find_map(|class| {
                queues.by_class[class_index(*class)].pop_front().map(|job| (*class, job))
            });
            let Some((class, (cancel, job))) = next else {
                if queues.ending {
                    return;
                }
                queues = self.arrived.wait(queues).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(queues);
            self.run_one(class, cancel, job);
            queues = self.lock();
        }
    }

    fn run_one(&self, class: JobClass, cancel: CancelFlag, job: Job) {
        let block_io = PacedBlockIo { rings: self.rings.clone(), class, cancel: cancel.clone() };
        // `run_job` turns a panic into a result; a bare job that panics must not take its thread
        // along.
        if catch_unwind(AssertUnwindSafe(|| job(&block_io, &cancel))).is_err() {
            tracing::error!(?class, "a background job panicked");
        }
    }
}

impl BackgroundPool {
    pub(crate) fn start(
        rings: Arc<BlockRings>,
        cpus: &[usize],
        sharing: CpuSharing,
        pinning: Pinning,
    ) -> io::Result<BackgroundPool> {
        let queues = Queues { by_class: Default::default(), ending: false };
        let shared = Arc::new(Shared {
            queues: Mutex::new(queues),
            arrived: Condvar::new(),
            rings,
            cpus: cpus.to_vec(),
            sharing,
            pinning,
        });
        let pool = BackgroundPool { shared, threads: Mutex::new(Vec::new()) };
        pool.start_thread("flush", &[JobClass::Flush])?;
        for _ in cpus {
            pool.start_thread("compact", &[JobClass::Flush, JobClass::Compaction])?;
            pool.start_thread("scan", &[JobClass::Scan, JobClass::Optional])?;
        }
        Ok(pool)
    }

    fn start_thread(&self, name: &str, classes: &'static [JobClass]) -> io::Result<()> {
        let shared = self.shared.clone();
        let thread = std::thread::Builder::new().name(name.to_string()).spawn(move || {
            shared.settle_current_thread(classes[0]);
            shared.run(classes);
        })?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    /// Drops what is queued, waits for what runs.
    pub(crate) fn end(&self) {
        let dropped = {
            let mut queues = self.shared.lock();
            queues.ending = true;
            std::mem::take(&mut queues.by_class)
        };
        self.shared.arrived.notify_all();
        // Their completers say that the pool has closed.
        drop(dropped);
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // Panics of jobs are caught; nothing else on these threads panics.
            let _ = thread.join();
        }
    }
}

impl Background for BackgroundPool {
    fn spawn(&self, class: JobClass, cancel: CancelFlag, job: Job) -> Result<(), JobRefused> {
        let mut queues = self.shared.lock();
        if queues.ending {
            return Err(JobRefused { job, reason: JobError::Closed });
        }
        let queue = &mut queues.by_class[class_index(class)];
        if queue.len() >= QUEUED_JOBS_MAX {
            return Err(JobRefused { job, reason: JobError::Refused });
        }
        queue.push_back((cancel, job));
        drop(queues);
        // All, because a thread of another weight might be the one that wakes.
        self.shared.arrived.notify_all();
        Ok(())
    }

    fn block_io(&self, class: JobClass) -> Arc<dyn BlockIo> {
        let rings = self.shared.rings.clone();
        Arc::new(PacedBlockIo { rings, class, cancel: CancelFlag::new() })
    }

    fn adopt_current_thread(&self, class: JobClass) {
        self.shared.settle_current_thread(class);
    }

    fn core_count(&self) -> usize {
        self.shared.cpus.len()
    }
}
