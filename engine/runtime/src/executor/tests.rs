//! Spawning, waking from here and from other threads, yielding, cancelling, seeded order.

use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use platform::{Prng, completion, yield_now};

use super::*;
use crate::scheduling_class::Shares;
use crate::task::NoUnpark;

fn executor() -> Executor {
    Executor::new(TaskOrder::Shares(Shares::default()), Arc::new(NoUnpark))
}

fn seeded(seed: u64) -> Executor {
    Executor::new(TaskOrder::Seeded(Prng::new(seed)), Arc::new(NoUnpark))
}

const CLASS: SchedulingClass = SchedulingClass::Foreground;

#[test]
fn tasks_run_wake_each_other_and_end() {
    let executor = executor();
    let (completer, waiting) = completion(|| 0_u32);
    let seen = Rc::new(Cell::new(0));
    let result = seen.clone();
    executor.spawn(CLASS, "waits", Box::pin(async move { result.set(waiting.await) }));
    assert_eq!(executor.run_until_stalled(), 1);
    executor.spawn(CLASS, "completes", Box::pin(async move { completer.complete(5) }));
    assert_eq!(executor.run_until_stalled(), 2);
    assert_eq!(seen.get(), 5);
    assert_eq!(executor.live_tasks(), 0);
    assert_eq!(executor.run_until_stalled(), 0);
}

#[test]
fn a_yielding_task_lets_others_run_and_ends_its_round() {
    let executor = executor();
    let trace = Rc::new(RefCell::new(Vec::new()));
    for name in ['a', 'b'] {
        let trace = trace.clone();
        executor.spawn(
            CLASS,
            "yields",
            Box::pin(async move {
                for _ in 0..3 {
                    trace.borrow_mut().push(name);
                    yield_now().await;
                }
            }),
        );
    }
    let end = executor.run_round(|_| PollCharge { cost: 1, next: RoundStep::Continue });
    assert_eq!(end, RoundEnd { polls: 2, ready_left: true });
    executor.run_until_stalled();
    assert_eq!(*trace.borrow(), ['a', 'b', 'a', 'b', 'a', 'b']);
}

#[test]
fn a_stopped_round_keeps_what_is_ready() {
    let executor = executor();
    for _ in 0..3 {
        executor.spawn(CLASS, "one", Box::pin(async {}));
    }
    let end = executor.run_round(|_| PollCharge { cost: 1, next: RoundStep::Stop });
    assert_eq!(end, RoundEnd { polls: 1, ready_left: true });
    assert!(executor.run_one());
    assert!(executor.run_one());
    assert!(!executor.run_one());
}

struct DropFlag(Rc<Cell<u32>>);
impl Drop for DropFlag {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn cancelling_drops_the_future_even_from_inside() {
    let executor = Rc::new(executor());
    let drops = Rc::new(Cell::new(0));
    let flag = DropFlag(drops.clone());
    let task = executor.spawn(
        CLASS,
        "other",
        Box::pin(async move {
            let _flag = flag;
            std::future::pending::<()>().await;
        }),
    );
    executor.run_until_stalled();
    executor.cancel(task);
    assert_eq!(drops.get(), 1);
    executor.cancel(task);

    let own = Rc::new(Cell::new(TaskKey(0)));
    let (inner, own_key, flag) = (executor.clone(), own.clone(), DropFlag(drops.clone()));
    own.set(executor.spawn(
        CLASS,
        "itself",
        Box::pin(async move {
            let _flag = flag;
            inner.cancel(own_key.get());
            std::future::pending::<()>().await;
        }),
    ));
    executor.run_until_stalled();
    assert_eq!(drops.get(), 2);
    assert_eq!(executor.live_tasks(), 0);
}

#[test]
fn a_stale_waker_wakes_nobody() {
    let executor = executor();
    let (completer, waiting) = completion(|| ());
    let task = executor.spawn(CLASS, "first", Box::pin(waiting));
    executor.run_until_stalled();
    executor.cancel(task);
    let polls = Rc::new(Cell::new(0));
    let counting = polls.clone();
    executor.spawn(
        CLASS,
        "second, in the same slot",
        Box::pin(std::future::poll_fn(move |_| {
            counting.set(counting.get() + 1);
            Poll::Pending
        })),
    );
    executor.run_until_stalled();
    completer.complete(());
    assert_eq!(executor.run_until_stalled(), 0);
    assert_eq!(polls.get(), 1);
}

struct Signal(mpsc::Sender<()>);
impl Unpark for Signal {
    fn unpark(&self) {
        // A receiver that is gone means that the test has ended.
        let _ = self.0.send(());
    }
}

#[test]
fn wakes_from_other_threads_arrive_and_unpark() {
    let (sender, unparked) = mpsc::channel();
    let executor = Executor::new(TaskOrder::Shares(Shares::default()), Arc::new(Signal(sender)));
    let rounds = if cfg!(miri) { 10 } else { 1000 };
    let done = Rc::new(Cell::new(0));
    let mut completers = Vec::new();
    for _ in 0..rounds {
        let (completer, waiting) = completion(|| ());
        completers.push(completer);
        let done = done.clone();
        executor.spawn(
            CLASS,
            "waits for a thread",
            Box::pin(async move {
                waiting.await;
                done.set(done.get() + 1);
            }),
        );
    }
    executor.run_until_stalled();
    let thread = std::thread::spawn(move || {
        for completer in completers {
            completer.complete(());
        }
    });
    while done.get() < rounds {
        unparked.recv_timeout(Duration::from_secs(60)).expect("each wake unparks");
        executor.run_until_stalled();
    }
    thread.join().expect("the thread ends");
}

#[test]
fn a_seed_orders_tasks_and_replays() {
    let run = |seed| {
        let executor = seeded(seed);
        let trace = Rc::new(RefCell::new(Vec::new()));
        for number in 0..10 {
            let trace = trace.clone();
            executor.spawn(
                CLASS,
                "yields",
                Box::pin(async move {
                    trace.borrow_mut().push(number);
                    yield_now().await;
                    trace.borrow_mut().push(100 + number);
                }),
            );
        }
        executor.run_until_stalled();
        Rc::try_unwrap(trace).expect("all tasks have ended").into_inner()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
    assert_eq!(run(3).len(), 20);
}

#[test]
fn two_executors_on_one_thread_keep_their_wakes_apart() {
    let (first, second) = (executor(), Rc::new(executor()));
    let (completer, waiting) = completion(|| ());
    second.spawn(CLASS, "waits", Box::pin(waiting));
    second.run_until_stalled();
    let (to_first, first_waiting) = completion(|| ());
    let inner = second.clone();
    first.spawn(CLASS, "waits too", Box::pin(first_waiting));
    first.spawn(
        CLASS,
        "runs the other executor",
        Box::pin(async move {
            to_first.complete(());
            completer.complete(());
            assert_eq!(inner.run_until_stalled(), 1);
        }),
    );
    first.run_until_stalled();
    assert_eq!((first.live_tasks(), second.live_tasks()), (0, 0));
}

#[test]
fn dropping_the_executor_drops_tasks_that_spawn_on_drop() {
    struct SpawnsOnDrop(Rc<Executor>, Rc<Cell<u32>>);
    impl Drop for SpawnsOnDrop {
        fn drop(&mut self) {
            let flag = DropFlag(self.1.clone());
            self.0.spawn(CLASS, "late", Box::pin(async move { drop(flag) }));
        }
    }
    let executor = Rc::new(executor());
    let drops = Rc::new(Cell::new(0));
    let spawns = SpawnsOnDrop(executor.clone(), drops.clone());
    executor.spawn(
        CLASS,
        "spawns when dropped",
        Box::pin(async move {
            let _spawns = spawns;
            std::future::pending::<()>().await;
        }),
    );
    executor.run_until_stalled();
    executor.clear();
    assert_eq!(drops.get(), 1);
    assert_eq!(executor.live_tasks(), 0);
}
