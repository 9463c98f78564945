//! A core's life: complete what has finished, run what is ready, run the end-of-loop hooks, let the
//! outputs leave, sleep if there is nothing to do.
//!
//! A turn costs one system call, whatever it did. The order inside a turn is a promise
//! (`platform::Spawner::on_loop_end`): hooks run before the mesh is flushed and before the ring is
//! submitted, so what a core publishes is there before any output of that turn can be seen. An idle
//! core looks again for a moment if that has paid lately, and sleeps otherwise ([`IdleSpin`]).

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use platform::{Clock, MonotonicNanos, SchedulingClass, Spawner, TaskKey, TimerKey};

use crate::executor::{Executor, PollCharge, RoundEnd, RoundStep};
use crate::idle_spin::IdleSpin;
use crate::mesh::MeshPort;
use crate::stall_detector::StallDetector;
use crate::timer_wheel::TimerWheel;
use crate::uring::ring::Wait;
use crate::uring::{CoreSignal, SharedDriver};

/// How long a turn runs tasks before it looks at the ring again.
const TURN: Duration = Duration::from_micros(500);
/// How long one task may run before [`Spawner::should_yield`] says so.
const TASK_SLICE: Duration = Duration::from_micros(200);

/// One core's tasks, timers and hooks.
pub(crate) struct CoreSpawner {
    executor: Executor,
    timers: RefCell<TimerWheel>,
    clock: Arc<dyn Clock>,
    poll_started: Cell<MonotonicNanos>,
    hooks: RefCell<Vec<Box<dyn FnMut()>>>,
}

impl CoreSpawner {
    pub(crate) fn new(executor: Executor, clock: Arc<dyn Clock>) -> CoreSpawner {
        let now = clock.monotonic();
        CoreSpawner {
            executor,
            timers: RefCell::new(TimerWheel::new(now)),
            clock,
            poll_started: Cell::new(now),
            hooks: RefCell::new(Vec::new()),
        }
    }

    fn run_hooks(&self) {
        // A hook may add a hook; it runs from the next turn on.
        let mut hooks = self.hooks.take();
        for hook in &mut hooks {
            hook();
        }
        let mut added = self.hooks.replace(hooks);
        self.hooks.borrow_mut().append(&mut added);
    }
}

impl Spawner for CoreSpawner {
    fn spawn_boxed(
        &self,
        class: SchedulingClass,
        name: &'static str,
        task: Pin<Box<dyn Future<Output = ()>>>,
    ) -> TaskKey {
        self.executor.spawn(class, name, task)
    }

    fn cancel(&self, task: TaskKey) {
        self.executor.cancel(task);
    }

    fn now(&self) -> MonotonicNanos {
        self.clock.monotonic()
    }

    fn add_timer(&self, deadline: MonotonicNanos, waker: Waker) -> TimerKey {
        self.timers.borrow_mut().add(deadline, waker)
    }

    fn cancel_timer(&self, timer: TimerKey) {
        self.timers.borrow_mut().cancel(timer);
    }

    fn should_yield(&self) -> bool {
        self.clock.monotonic().since(self.poll_started.get()) >= TASK_SLICE
    }

    fn on_loop_end(&self, hook: Box<dyn FnMut()>) {
        self.hooks.borrow_mut().push(hook);
    }
}

/// Everything one core's thread drives.
pub(crate) struct CoreLoop {
    pub(crate) spawner: Rc<CoreSpawner>,
    pub(crate) driver: SharedDriver,
    pub(crate) mesh: Rc<dyn MeshPort>,
    pub(crate) signal: Arc<CoreSignal>,
}

impl CoreLoop {
    /// Starts the core's first task.
    pub(crate) fn start(&self, class: SchedulingClass, main: impl Future<Output = ()> + 'static) {
        self.spawner.spawn_boxed(class, "main", Box::pin(main));
    }

    /// Runs until `done` is set, then lets the last outputs leave and drops all tasks.
    ///
    /// # Errors
    /// When the kernel refuses the ring itself, after which nothing on this core can be trusted.
    pub(crate) fn run(&self, done: &Cell<bool>) -> std::io::Result<()> {
        let mut stalls = StallDetector::default();
        let mut spin = IdleSpin::default();
        let executor = &self.spawner.executor;
        while !done.get() {
            executor.local_wakes(|| {
                self.spawner.timers.borrow_mut().fire(self.spawner.clock.monotonic());
                self.mesh.wake_receiver();
            });
            let round = self.run_tasks(&mut stalls);
            if round.polls > 0 {
                self.spawner.run_hooks();
                self.mesh.flush();
                spin.found_work();
            }
            let wait = self.how_to_wait(round, done, &mut spin);
            let result = executor.local_wakes(|| self.driver.turn(wait));
            self.signal.unparked();
            result?;
        }
        executor.clear();
        // Hooks may hold handles to this very core.
        self.spawner.hooks.take();
        self.driver.close();
        self.mesh.flush();
        executor.local_wakes(|| self.driver.turn(Wait::No))
    }

    fn run_tasks(&self, stalls: &mut StallDetector) -> RoundEnd {
        let clock = &self.spawner.clock;
        let turn_started = clock.monotonic();
        let mut poll_started = turn_started;
        self.spawner.poll_started.set(turn_started);
        self.spawner.executor.run_round(|name| {
            let now = clock.monotonic();
            let held = now.since(poll_started);
            stalls.observe(name, held, now);
            poll_started = now;
            self.spawner.poll_started.set(now);
            let next =
                if now.since(turn_started) < TURN { RoundStep::Continue } else { RoundStep::Stop };
            PollCharge { cost: u64::try_from(held.as_nanos()).unwrap_or(u64::MAX), next }
        })
    }

    /// Announces the sleep, then looks once more: whoever queues work either sees the announcement
    /// or is seen here.
    fn how_to_wait(&self, round: RoundEnd, done: &Cell<bool>, spin: &mut IdleSpin) -> Wait {
        if round.ready_left || done.get() {
            return Wait::No;
        }
        let now = self.spawner.clock.monotonic();
        if spin.look_again(now) {
            return Wait::No;
        }
        let wait = match self.spawner.timers.borrow().next_wake() {
            None => Wait::ForCompletion,
            Some(wake) => match wake.since(now) {
                Duration::ZERO => Wait::No,
                rest => Wait::AtMost(rest),
            },
        };
        if wait == Wait::No {
            return wait;
        }
        self.signal.park();
        if self.spawner.executor.has_remote_wakes() || self.mesh.has_incoming() {
            self.signal.unparked();
            return Wait::No;
        }
        wait
    }
}
