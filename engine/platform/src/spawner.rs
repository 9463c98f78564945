//! Tasks and timers of one core.
//!
//! A task belongs to a [`SchedulingClass`]; classes share the core by weight. A task that computes
//! for long calls [`maybe_yield`] in its loop.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::{Completion, MonotonicNanos, completion};

/// Who gets the core, and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SchedulingClass {
    /// Statements of clients and messages of other cores.
    Foreground,
    /// The commit log: many wait for it.
    Journal,
    /// Flush hand-over, housekeeping, statistics.
    Maintenance,
}

/// A spawned task of one core; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskKey(pub u64);

/// A registered timer of one core; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerKey(pub u64);

/// One core's executor and timers, as its own tasks see them.
pub trait Spawner {
    /// Starts a task. `name` appears in the log when the task holds the core too long.
    fn spawn_boxed(
        &self,
        class: SchedulingClass,
        name: &'static str,
        task: Pin<Box<dyn Future<Output = ()>>>,
    ) -> TaskKey;

    /// Drops a task at the end of the current poll, as if its future had been dropped; nothing if
    /// it has ended.
    fn cancel(&self, task: TaskKey);

    /// Now, on this core's monotonic clock; may be as old as the current turn's start.
    fn now(&self) -> MonotonicNanos;

    /// Wakes `waker` once, at `deadline` or a little later (a millisecond at most on a core that is
    /// not stalled).
    fn add_timer(&self, deadline: MonotonicNanos, waker: Waker) -> TimerKey;

    /// Forgets a timer; nothing if it has fired.
    fn cancel_timer(&self, timer: TimerKey);

    /// True when the running task has used its share of this turn and others wait.
    fn should_yield(&self) -> bool;

    /// Calls `hook` at the end of every turn in which anything ran, **before** that turn's outputs
    /// (mesh messages, socket sends, disk writes) leave the core: where published slots are stored.
    /// Hooks live as long as the core and run in the order added.
    fn on_loop_end(&self, hook: Box<dyn FnMut()>);
}

/// Starts a task whose result nobody awaits.
pub fn spawn(
    spawner: &dyn Spawner,
    class: SchedulingClass,
    name: &'static str,
    task: impl Future<Output = ()> + 'static,
) -> TaskKey {
    spawner.spawn_boxed(class, name, Box::pin(task))
}

/// Starts a task and gives a future of its result, which is `None` if the task was cancelled.
/// Dropping the future detaches the task.
pub fn spawn_with_result<T: 'static>(
    spawner: &dyn Spawner,
    class: SchedulingClass,
    name: &'static str,
    task: impl Future<Output = T> + 'static,
) -> (TaskKey, Completion<Option<T>>) {
    let (completer, completion) = completion(|| None);
    let key = spawn(spawner, class, name, async move { completer.complete(Some(task.await)) });
    (key, completion)
}

/// A timer as a future.
///
/// # Cancel safety
/// Safe: dropping it forgets the timer.
#[must_use = "a sleep does nothing until awaited"]
pub struct Sleep {
    spawner: Rc<dyn Spawner>,
    deadline: MonotonicNanos,
    timer: Option<(TimerKey, Waker)>,
}

/// Waits until `deadline` on the core's monotonic clock.
pub fn sleep_until(spawner: &Rc<dyn Spawner>, deadline: MonotonicNanos) -> Sleep {
    Sleep { spawner: spawner.clone(), deadline, timer: None }
}

/// Waits for `duration` from now.
pub fn sleep(spawner: &Rc<dyn Spawner>, duration: Duration) -> Sleep {
    sleep_until(spawner, spawner.now() + duration)
}

impl Future for Sleep {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.spawner.now() >= self.deadline {
            return Poll::Ready(());
        }
        if let Some((timer, waker)) = &self.timer {
            if waker.will_wake(cx.waker()) {
                return Poll::Pending;
            }
            self.spawner.cancel_timer(*timer);
        }
        let timer = self.spawner.add_timer(self.deadline, cx.waker().clone());
        self.timer = Some((timer, cx.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some((timer, _)) = self.timer.take() {
            self.spawner.cancel_timer(timer);
        }
    }
}

/// Lets every other ready task of the class run once.
pub async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Yields if the running task has had its share of the turn. The simulator may switch here at any
/// time.
pub async fn maybe_yield(spawner: &dyn Spawner) {
    if spawner.should_yield() {
        yield_now().await;
    }
}
