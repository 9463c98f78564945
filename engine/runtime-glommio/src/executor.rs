//! [`platform::Spawner`] over glommio's task queues and timers.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use glommio::{Latency, Shares, Task, TaskQueueHandle};
use platform::{Clock, MonotonicNanos, SchedulingClass, Spawner, TaskKey, TimerKey};

use crate::outbox::Outbox;

/// The machine's clocks.
pub(crate) struct SystemClock {
    started: Instant,
}

impl SystemClock {
    pub(crate) fn new() -> SystemClock {
        SystemClock { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn wall_micros(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }

    fn monotonic(&self) -> MonotonicNanos {
        MonotonicNanos(u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

/// Tasks of one core by key. A task takes itself out when it ends; dropping one cancels it.
#[derive(Default)]
struct Tasks {
    running: RefCell<BTreeMap<u64, Task<()>>>,
    next: Cell<u64>,
}

impl Tasks {
    fn next_key(&self) -> u64 {
        self.next.replace(self.next.get() + 1)
    }

    fn ended(&self, key: u64) {
        let task = self.running.borrow_mut().remove(&key);
        // Detached, not dropped: it is this very task, at its last step.
        task.map(Task::detach);
    }

    fn cancel(&self, key: u64) {
        let task = self.running.borrow_mut().remove(&key);
        drop(task);
    }

    fn cancel_all(&self) {
        let running = self.running.take();
        drop(running);
    }
}

/// One core's tasks and timers.
pub(crate) struct GlommioSpawner {
    queues: [TaskQueueHandle; 3],
    tasks: Rc<Tasks>,
    timers: Rc<Tasks>,
    clock: Arc<dyn Clock>,
    outbox: Rc<Outbox>,
}

impl GlommioSpawner {
    /// Inside a running executor.
    pub(crate) fn new(clock: Arc<dyn Clock>, outbox: Rc<Outbox>) -> GlommioSpawner {
        let queue = |shares, latency, name| {
            glommio::executor().create_task_queue(Shares::Static(shares), latency, name)
        };
        let soon = Latency::Matters(Duration::from_millis(1));
        GlommioSpawner {
            queues: [
                queue(400, soon, "foreground"),
                queue(1000, soon, "journal"),
                queue(60, Latency::NotImportant, "maintenance"),
            ],
            tasks: Rc::default(),
            timers: Rc::default(),
            clock,
            outbox,
        }
    }

    pub(crate) fn end(&self) {
        self.tasks.cancel_all();
        self.timers.cancel_all();
        self.outbox.flush();
        self.outbox.clear();
    }
}

impl Spawner for GlommioSpawner {
    fn spawn_boxed(
        &self,
        class: SchedulingClass,
        _name: &'static str,
        task: Pin<Box<dyn Future<Output = ()>>>,
    ) -> TaskKey {
        let queue = match class {
            SchedulingClass::Foreground => self.queues[0],
            SchedulingClass::Journal => self.queues[1],
            SchedulingClass::Maintenance => self.queues[2],
        };
        let key = self.tasks.next_key();
        let tasks = self.tasks.clone();
        let whole = async move {
            task.await;
            tasks.ended(key);
        };
        let spawned = glommio::spawn_local_into(whole, queue);
        let spawned = spawned.expect("the queues live as long as the executor");
        self.tasks.running.borrow_mut().insert(key, spawned);
        TaskKey(key)
    }

    fn cancel(&self, task: TaskKey) {
        self.tasks.cancel(task.0);
    }

    fn now(&self) -> MonotonicNanos {
        self.clock.monotonic()
    }

    fn add_timer(&self, deadline: MonotonicNanos, waker: Waker) -> TimerKey {
        let key = self.timers.next_key();
        let rest = deadline.since(self.clock.monotonic());
        let timers = self.timers.clone();
        let timer = glommio::spawn_local(async move {
            glommio::timer::Timer::new(rest).await;
            waker.wake();
            timers.ended(key);
        });
        self.timers.running.borrow_mut().insert(key, timer);
        TimerKey(key)
    }

    fn cancel_timer(&self, timer: TimerKey) {
        self.timers.cancel(timer.0);
    }

    fn should_yield(&self) -> bool {
        glommio::executor().need_preempt()
    }

    fn on_loop_end(&self, hook: Box<dyn FnMut()>) {
        self.outbox.add_hook(hook);
    }
}
