//! A task's waker, and the two ways a wake travels to its executor.
//!
//! A wake on the thread that is running the task's executor goes into a thread-local list: no lock,
//! no atomic read-modify-write but the task's own `queued` flag. Any other wake goes through the
//! executor's remote queue (one short lock) and unparks its core. The flag makes either list hold a
//! task at most once, so both are bounded by the number of tasks.
//!
//! The thread-local is the one piece of ambient state in the engine. It is needed because
//! [`std::task::Waker`] carries no thread, and a system call to learn the thread would cost more
//! than the wake. It holds keys only, is empty whenever no executor runs, and cannot change what is
//! run, only how the key gets there. All of it is safe code.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Wake;

use platform::TaskKey;

/// Wakes a core that sleeps; called after a remote wake was queued. From any thread.
pub trait Unpark: Send + Sync {
    /// Makes the core's current or next sleep end soon.
    fn unpark(&self);
}

/// For executors whose owner looks at them anyway, as the simulator does.
pub struct NoUnpark;

impl Unpark for NoUnpark {
    fn unpark(&self) {}
}

/// Names an executor of this process; zero is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExecutorId(pub(crate) u64);

pub(crate) const NO_EXECUTOR: ExecutorId = ExecutorId(0);

struct Running {
    executor: Cell<ExecutorId>,
    woken: RefCell<Vec<TaskKey>>,
}

thread_local! {
    static RUNNING: Running =
        const { Running { executor: Cell::new(NO_EXECUTOR), woken: RefCell::new(Vec::new()) } };
}

/// While it lives, wakes on this thread of tasks of one executor are local. Scopes nest; the inner
/// one hides the outer.
pub(crate) struct LocalScope {
    outer: ExecutorId,
    outer_woken: Vec<TaskKey>,
}

impl LocalScope {
    pub(crate) fn enter(executor: ExecutorId) -> LocalScope {
        RUNNING.with(|running| {
            let outer = running.executor.replace(executor);
            let outer_woken = if outer == NO_EXECUTOR || outer == executor {
                Vec::new()
            } else {
                running.woken.take()
            };
            LocalScope { outer, outer_woken }
        })
    }
}

impl Drop for LocalScope {
    fn drop(&mut self) {
        RUNNING.with(|running| {
            let inner = running.executor.replace(self.outer);
            if inner != self.outer && self.outer != NO_EXECUTOR {
                running.woken.replace(std::mem::take(&mut self.outer_woken));
            }
        });
    }
}

/// Moves the keys woken locally since the last call into `target`, in the order of their wakes.
pub(crate) fn drain_local(target: &mut Vec<TaskKey>) {
    RUNNING.with(|running| target.append(&mut running.woken.borrow_mut()));
}

fn wake_locally(executor: ExecutorId, task: TaskKey) -> bool {
    RUNNING
        .try_with(|running| {
            if running.executor.get() != executor {
                return false;
            }
            running.woken.borrow_mut().push(task);
            true
        })
        .unwrap_or(false)
}

/// Wakes that came from other threads.
pub(crate) struct RemoteQueue {
    woken: Mutex<Vec<TaskKey>>,
    any: AtomicBool,
    unpark: Arc<dyn Unpark>,
}

impl RemoteQueue {
    pub(crate) fn new(unpark: Arc<dyn Unpark>) -> RemoteQueue {
        RemoteQueue { woken: Mutex::new(Vec::new()), any: AtomicBool::new(false), unpark }
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.any.load(Ordering::SeqCst)
    }

    pub(crate) fn drain(&self, target: &mut Vec<TaskKey>) {
        if self.is_empty() {
            return;
        }
        let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        self.any.store(false, Ordering::SeqCst);
        target.append(&mut woken);
    }

    fn push(&self, task: TaskKey) {
        {
            let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
            woken.push(task);
            self.any.store(true, Ordering::SeqCst);
        }
        self.unpark.unpark();
    }
}

/// What a [`std::task::Waker`] of a task points to.
pub(crate) struct TaskWaker {
    executor: ExecutorId,
    task: TaskKey,
    queued: AtomicBool,
    remote: Arc<RemoteQueue>,
}

impl TaskWaker {
    /// A waker of a task that is about to be queued by its executor.
    pub(crate) fn new(executor: ExecutorId, task: TaskKey, remote: Arc<RemoteQueue>) -> TaskWaker {
        TaskWaker { executor, task, queued: AtomicBool::new(true), remote }
    }

    /// Called just before a poll: from here on a wake queues the task again.
    pub(crate) fn begin_poll(&self) {
        // Acquire: the poll sees what whoever woke it had written before the wake.
        let was_queued = self.queued.swap(false, Ordering::AcqRel);
        debug_assert!(was_queued, "only queued tasks are polled");
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        if !wake_locally(self.executor, self.task) {
            self.remote.push(self.task);
        }
    }
}
