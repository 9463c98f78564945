//! The executor: tasks and readiness, nothing about who wakes them.
//!
//! Production wraps it in [`crate::core_loop`], which waits on a ring; the simulator wraps it in
//! its world. Both run this code. Tasks are local to one thread; their wakers are not. A task woken
//! during its own poll (a yield) runs again only in the next round, after all others that are
//! ready.
//!
//! No borrow is held while a task is polled or dropped, so a task may spawn, cancel and wake as it
//! likes.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use platform::{SchedulingClass, TaskKey};

use crate::scheduling_class::{ReadyQueues, TaskOrder};
use crate::task::{ExecutorId, LocalScope, RemoteQueue, TaskWaker, Unpark, drain_local};

type BoxedTask = Pin<Box<dyn Future<Output = ()>>>;

/// What a poll cost and whether the round goes on; see [`Executor::run_round`].
#[derive(Clone, Copy, Debug)]
pub struct PollCharge {
    /// Added to the class's account.
    pub cost: u64,
    /// Whether to go on with the next ready task.
    pub next: RoundStep,
}

/// Whether a round goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoundStep {
    /// Poll the next ready task.
    Continue,
    /// End the round; ready tasks stay ready.
    Stop,
}

/// What a round left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundEnd {
    /// Tasks polled.
    pub polls: usize,
    /// True when a task is ready to run: the caller must not sleep.
    pub ready_left: bool,
}

struct TaskBody {
    future: BoxedTask,
    waker: Waker,
    state: Arc<TaskWaker>,
}

enum Slot {
    Vacant,
    Idle(TaskBody),
    /// Being polled; its body is on the stack of the round.
    Polled,
    /// Cancelled while being polled; dropped when the poll returns.
    CancelledWhilePolled,
}

struct TaskSlot {
    generation: u32,
    class: SchedulingClass,
    name: &'static str,
    slot: Slot,
}

/// One core's tasks.
pub struct Executor {
    id: ExecutorId,
    slots: RefCell<Vec<TaskSlot>>,
    vacant: RefCell<Vec<u32>>,
    ready: RefCell<ReadyQueues>,
    /// Scratch for draining wakes; empty between uses.
    woken: RefCell<Vec<TaskKey>>,
    /// Tasks that yielded in this round.
    yielded: RefCell<Vec<TaskKey>>,
    polled: Cell<Option<TaskKey>>,
    live_tasks: Cell<usize>,
    remote: Arc<RemoteQueue>,
}

/// Ids only tell executors of one process apart; nothing orders or prints them.
static NEXT_EXECUTOR: AtomicU64 = AtomicU64::new(1);

fn key(index: u32, generation: u32) -> TaskKey {
    TaskKey(u64::from(generation) << 32 | u64::from(index))
}

fn index_of(task: TaskKey) -> usize {
    (task.0 & u64::from(u32::MAX)) as usize
}

fn generation_of(task: TaskKey) -> u32 {
    (task.0 >> 32) as u32
}

impl Executor {
    /// An executor without tasks. `unpark` is called after every wake from another thread.
    pub fn new(order: TaskOrder, unpark: Arc<dyn Unpark>) -> Executor {
        Executor {
            id: ExecutorId(NEXT_EXECUTOR.fetch_add(1, Ordering::Relaxed)),
            slots: RefCell::default(),
            vacant: RefCell::default(),
            ready: RefCell::new(ReadyQueues::new(order)),
            woken: RefCell::default(),
            yielded: RefCell::default(),
            polled: Cell::new(None),
            live_tasks: Cell::new(0),
            remote: Arc::new(RemoteQueue::new(unpark)),
        }
    }

    /// Starts a task; it is ready at once and first polled by a round.
    pub fn spawn(&self, class: SchedulingClass, name: &'static str, future: BoxedTask) -> TaskKey {
        let mut slots = self.slots.borrow_mut();
        let index = match self.vacant.borrow_mut().pop() {
            Some(index) => index,
            None => {
                let index = u32::try_from(slots.len()).expect("fewer than 2^32 tasks a core");
                slots.push(TaskSlot { generation: 0, class, name, slot: Slot::Vacant });
                index
            }
        };
        let slot = &mut slots[index as usize];
        let task = key(index, slot.generation);
        let state = Arc::new(TaskWaker::new(self.id, task, self.remote.clone()));
        let waker = Waker::from(state.clone());
        slot.class = class;
        slot.name = name;
        slot.slot = Slot::Idle(TaskBody { future, waker, state });
        self.live_tasks.set(self.live_tasks.get() + 1);
        self.ready.borrow_mut().push(class, task);
        task
    }

    /// Drops a task: at once, or when its poll returns if it is the one being polled. Nothing if it
    /// has ended.
    pub fn cancel(&self, task: TaskKey) {
        let body = {
            let mut slots = self.slots.borrow_mut();
            let Some(slot) = slots.get_mut(index_of(task)) else { return };
            if slot.generation != generation_of(task) {
                return;
            }
            match &slot.slot {
                Slot::Polled => {
                    slot.slot = Slot::CancelledWhilePolled;
                    return;
                }
                Slot::Vacant | Slot::CancelledWhilePolled => return,
                Slot::Idle(_) => self.vacate(&mut slots, task),
            }
        };
        // Its key may still be queued; the generation makes that a no-op. The future drops here,
        // with nothing borrowed.
        drop(body);
    }

    /// Tasks that have not ended.
    pub fn live_tasks(&self) -> usize {
        self.live_tasks.get()
    }

    /// True when a round would poll something.
    pub fn has_ready(&self) -> bool {
        self.collect_wakes();
        !self.ready.borrow().is_empty() || !self.yielded.borrow().is_empty()
    }

    /// True when another thread has woken a task that no round has seen yet.
    pub fn has_remote_wakes(&self) -> bool {
        !self.remote.is_empty()
    }

    /// Runs `work` so that wakes it causes on this thread are local and cheap; for drivers that
    /// complete operations between rounds.
    pub fn local_wakes<T>(&self, work: impl FnOnce() -> T) -> T {
        let scope = LocalScope::enter(self.id);
        let result = work();
        self.collect_wakes_in_scope();
        drop(scope);
        result
    }

    /// Polls ready tasks until none is ready, or `after_poll` says stop. Tasks that yield wait for
    /// the next round. `after_poll` is told the name of the task polled and gives the cost of the
    /// poll.
    pub fn run_round(&self, mut after_poll: impl FnMut(&'static str) -> PollCharge) -> RoundEnd {
        let scope = LocalScope::enter(self.id);
        self.release_yielded();
        let mut polls = 0;
        loop {
            self.collect_wakes_in_scope();
            let next = self.ready.borrow_mut().pop();
            let Some(task) = next else { break };
            let Some((class, name)) = self.poll_task(task) else { continue };
            polls += 1;
            let charge = after_poll(name);
            self.ready.borrow_mut().charge(class, charge.cost);
            if charge.next == RoundStep::Stop {
                break;
            }
        }
        self.collect_wakes_in_scope();
        drop(scope);
        let ready_left = !self.ready.borrow().is_empty() || !self.yielded.borrow().is_empty();
        RoundEnd { polls, ready_left }
    }

    /// Runs rounds until no task is ready, yielded ones included. For the simulator and for tests;
    /// each poll costs one unit. Gives the number of polls. A task that yields for ever makes it
    /// run for ever.
    pub fn run_until_stalled(&self) -> usize {
        let mut polls = 0;
        while self.has_ready() {
            polls += self.run_round(|_| PollCharge { cost: 1, next: RoundStep::Continue }).polls;
        }
        polls
    }

    /// Polls one ready task, if there is one; for the simulator, which may do anything between two
    /// polls.
    pub fn run_one(&self) -> bool {
        if !self.has_ready() {
            return false;
        }
        self.run_round(|_| PollCharge { cost: 1, next: RoundStep::Stop }).polls > 0
    }

    /// Drops all tasks, as the end of a process would, though destructors run. Tasks that
    /// destructors spawn are dropped too.
    pub fn clear(&self) {
        let scope = LocalScope::enter(self.id);
        while self.live_tasks.get() > 0 {
            let live: Vec<TaskKey> = self
                .slots
                .borrow()
                .iter()
                .enumerate()
                .filter(|(_, slot)| matches!(slot.slot, Slot::Idle(_)))
                .map(|(index, slot)| key(index as u32, slot.generation))
                .collect();
            assert!(!live.is_empty(), "clear is not called from inside a task");
            for task in live {
                self.cancel(task);
            }
        }
        self.collect_wakes_in_scope();
        drop(scope);
    }

    /// The task being polled, if any.
    pub fn polled_task(&self) -> Option<TaskKey> {
        self.polled.get()
    }

    fn poll_task(&self, task: TaskKey) -> Option<(SchedulingClass, &'static str)> {
        let (mut body, class, name) = {
            let mut slots = self.slots.borrow_mut();
            let slot = &mut slots[index_of(task)];
            if slot.generation != generation_of(task) {
                return None;
            }
            let Slot::Idle(body) = std::mem::replace(&mut slot.slot, Slot::Polled) else {
                unreachable!("a live queued task is idle: only this function takes bodies out")
            };
            (body, slot.class, slot.name)
        };
        body.state.begin_poll();
        self.polled.set(Some(task));
        let polled = body.future.as_mut().poll(&mut Context::from_waker(&body.waker));
        self.polled.set(None);
        let mut slots = self.slots.borrow_mut();
        let slot = &mut slots[index_of(task)];
        let cancelled = matches!(slot.slot, Slot::CancelledWhilePolled);
        slot.slot = Slot::Idle(body);
        if polled == Poll::Ready(()) || cancelled {
            let body = self.vacate(&mut slots, task);
            drop(slots);
            drop(body);
            return Some((class, name));
        }
        drop(slots);
        self.hold_back_if_yielded(task);
        Some((class, name))
    }

    fn vacate(&self, slots: &mut [TaskSlot], task: TaskKey) -> Option<TaskBody> {
        let slot = &mut slots[index_of(task)];
        let taken = std::mem::replace(&mut slot.slot, Slot::Vacant);
        self.live_tasks.set(self.live_tasks.get() - 1);
        // A slot whose generation is used up is retired, so that no key is ever used twice.
        if slot.generation < u32::MAX {
            slot.generation += 1;
            self.vacant.borrow_mut().push(index_of(task) as u32);
        }
        match taken {
            Slot::Idle(body) => Some(body),
            Slot::Vacant | Slot::Polled | Slot::CancelledWhilePolled => None,
        }
    }

    /// If the poll that just ended woke its own task, the task waits for the next round.
    fn hold_back_if_yielded(&self, task: TaskKey) {
        let mut woken = self.woken.borrow_mut();
        drain_local(&mut woken);
        for waking in woken.drain(..) {
            if waking == task {
                self.yielded.borrow_mut().push(task);
            } else {
                self.make_ready(waking);
            }
        }
    }

    fn release_yielded(&self) {
        let yielded = std::mem::take(&mut *self.yielded.borrow_mut());
        for task in &yielded {
            self.make_ready(*task);
        }
        // Keeps the allocation.
        let mut emptied = yielded;
        emptied.clear();
        *self.yielded.borrow_mut() = emptied;
    }

    fn collect_wakes(&self) {
        let mut woken = self.woken.borrow_mut();
        self.remote.drain(&mut woken);
        for task in woken.drain(..) {
            self.make_ready(task);
        }
    }

    fn collect_wakes_in_scope(&self) {
        let mut woken = self.woken.borrow_mut();
        drain_local(&mut woken);
        self.remote.drain(&mut woken);
        for task in woken.drain(..) {
            self.make_ready(task);
        }
    }

    fn make_ready(&self, task: TaskKey) {
        let slots = self.slots.borrow();
        let slot = &slots[index_of(task)];
        if slot.generation == generation_of(task) && !matches!(slot.slot, Slot::Vacant) {
            self.ready.borrow_mut().push(slot.class, task);
        }
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        // While a task's panic unwinds, its slot is still marked as polled; a second panic here
        // would hide the first.
        if !std::thread::panicking() {
            self.clear();
        }
    }
}

#[cfg(test)]
mod tests;
