//! A simulated core's tasks, timers and hooks: the shipping executor with a seeded order.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Waker;

use platform::{MonotonicNanos, SchedulingClass, Spawner, TaskKey, TimerKey};
use runtime::Executor;

use crate::machine::Machine;

/// Nanoseconds that a timer may be late: the promise of `platform::Spawner`.
const TIMER_LATE_NANOS: u64 = 1_000_000;

pub(crate) struct SimSpawner {
    pub(crate) machine: Arc<Machine>,
    pub(crate) executor: Executor,
    pub(crate) hooks: RefCell<Vec<Box<dyn FnMut()>>>,
}

impl SimSpawner {
    pub(crate) fn run_hooks(&self) {
        // A hook may add a hook; it runs from the next turn on.
        let mut hooks = self.hooks.take();
        hooks.iter_mut().for_each(|hook| hook());
        let mut added = self.hooks.replace(hooks);
        self.hooks.borrow_mut().append(&mut added);
    }
}

impl Spawner for SimSpawner {
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
        MonotonicNanos(self.machine.now())
    }

    fn add_timer(&self, deadline: MonotonicNanos, waker: Waker) -> TimerKey {
        let late = self.machine.draw(TIMER_LATE_NANOS);
        let mut state = self.machine.lock();
        let due = deadline.0.max(state.now).saturating_add(late);
        let tie = state.prng.next_u64();
        TimerKey(state.queue.add_timer(due, tie, waker))
    }

    fn cancel_timer(&self, timer: TimerKey) {
        let waker = self.machine.lock().queue.cancel_timer(timer.0);
        drop(waker);
    }

    fn should_yield(&self) -> bool {
        self.machine.draw(3) == 0
    }

    fn on_loop_end(&self, hook: Box<dyn FnMut()>) {
        self.hooks.borrow_mut().push(hook);
    }
}
