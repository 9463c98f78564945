//! The threads that analytics runs on: one tokio runtime, fenced here, whose threads start with a hook of the caller (pinning, SCHED_IDLE).
//!
//! At most `queries_max` queries run at once, so that the memory of each is known before it starts; at most `queued_max` wait in order, and one more is
//! refused at once (53000). A query whose client takes no rows for a while gives up its place if others wait (57014), so that idle clients cannot hold all.
//! Dropping a query's handle, or its `cancel`, stops it at its next batch; the runtime is told to yield between batches.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use crate::error::AnalyticsError;

/// Called on each thread before it does anything, with the thread's number (threads for blocking reads of spilled rows continue the count).
pub type ThreadStart = Arc<dyn Fn(usize) + Send + Sync>;

/// Blocking threads beside the workers: spilled runs are read back on them.
const SPILL_READ_THREADS_MAX: usize = 2;

/// Stack of a thread. The engine below walks plans and expressions by recursion; what the parser lets through must fit. Only what is used takes memory.
const STACK_BYTES: usize = 32 << 20;

/// How many threads and queries.
#[derive(Clone)]
pub struct WorkerPoolOptions {
    /// Threads; also the partitions of a query.
    pub threads: usize,
    /// Queries that run at once.
    pub queries_max: usize,
    /// Queries that may wait for those.
    pub queued_max: usize,
    /// Pins and lowers a thread.
    pub on_thread_start: ThreadStart,
}

impl std::fmt::Debug for WorkerPoolOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerPoolOptions")
            .field("threads", &self.threads)
            .field("queries_max", &self.queries_max)
            .field("queued_max", &self.queued_max)
            .finish_non_exhaustive()
    }
}

/// Least time between two queries that give up their place because their clients take nothing.
const EVICTIONS_APART: Duration = Duration::from_secs(1);

/// Says whether a query whose client takes no rows should give up its place: one that waits can have it, and no other was just given up.
#[derive(Clone, Debug)]
pub(crate) struct Demand {
    queued: Arc<AtomicUsize>,
    last: Arc<Mutex<Option<Instant>>>,
}

impl Demand {
    /// Claims the next eviction.
    pub(crate) fn claim(&self) -> bool {
        if self.queued.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if last.is_some_and(|last| now - last < EVICTIONS_APART) {
            return false;
        }
        *last = Some(now);
        true
    }
}

/// The threads.
#[derive(Debug)]
pub struct WorkerPool {
    /// Taken only by `drop`.
    runtime: Option<Runtime>,
    running: Arc<Semaphore>,
    queued: Arc<AtomicUsize>,
    demand: Demand,
    queued_max: usize,
    threads: usize,
}

impl WorkerPool {
    /// Starts the threads.
    ///
    /// # Errors
    /// If the system refuses a thread.
    ///
    /// # Panics
    /// If a count is zero.
    pub fn start(options: WorkerPoolOptions) -> Result<WorkerPool, AnalyticsError> {
        assert!(options.threads > 0, "analytics needs a thread");
        assert!(options.queries_max > 0, "analytics runs at least one query");
        let next = AtomicUsize::new(0);
        let hook = options.on_thread_start;
        let runtime = Builder::new_multi_thread()
            .worker_threads(options.threads)
            .max_blocking_threads(SPILL_READ_THREADS_MAX)
            .thread_name("analytics")
            .thread_stack_size(STACK_BYTES)
            .on_thread_start(move || hook(next.fetch_add(1, Ordering::Relaxed)))
            .enable_time()
            .build()
            .map_err(|source| AnalyticsError::Threads { source: Arc::new(source) })?;
        let queued = Arc::new(AtomicUsize::new(0));
        let demand = Demand { queued: queued.clone(), last: Arc::default() };
        Ok(WorkerPool {
            runtime: Some(runtime),
            running: Arc::new(Semaphore::new(options.queries_max)),
            queued,
            demand,
            queued_max: options.queued_max,
            threads: options.threads,
        })
    }

    /// Worker threads.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Whether others want the place of a query that does not move.
    pub(crate) fn demand(&self) -> Demand {
        self.demand.clone()
    }

    /// Takes a place in the queue, or refuses.
    pub(crate) fn enter(&self) -> Result<Place, AnalyticsError> {
        if let Ok(permit) = self.running.clone().try_acquire_owned() {
            return Ok(Place::Running(permit));
        }
        let before = self.queued.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting { running: self.running.clone(), queued: self.queued.clone() };
        if before >= self.queued_max {
            drop(waiting);
            return Err(AnalyticsError::TooManyQueries { queued_max: self.queued_max });
        }
        Ok(Place::Waiting(waiting))
    }

    /// Runs a task on the threads.
    pub(crate) fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.runtime.as_ref().expect("the runtime lives until drop").spawn(task)
    }
}

impl Drop for WorkerPool {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Queries in flight are dropped at their next await; a shard core that drops the pool must not wait for them.
            runtime.shutdown_background();
        }
    }
}

/// A place in the queue of queries.
#[derive(Debug)]
pub(crate) enum Place {
    Running(OwnedSemaphorePermit),
    Waiting(Waiting),
}

#[derive(Debug)]
pub(crate) struct Waiting {
    running: Arc<Semaphore>,
    queued: Arc<AtomicUsize>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.queued.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Place {
    /// Waits for its turn; the permit is held while the query runs.
    pub(crate) async fn turn(self) -> OwnedSemaphorePermit {
        match self {
            Place::Running(permit) => permit,
            Place::Waiting(waiting) => waiting
                .running
                .clone()
                .acquire_owned()
                .await
                .expect("the semaphore is never closed"),
        }
    }
}
