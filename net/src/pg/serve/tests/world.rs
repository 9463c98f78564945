//! A core in memory: sockets that are two queues, a clock that moves when told, tasks that run until they stall.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use platform::{
    Listener, MonotonicNanos, SchedulingClass, Socket, SocketError, Spawner, TaskKey, TimerKey,
};

/// One end's view of a connection; the server holds it as a `Socket`, the test as the client.
#[derive(Default)]
pub struct Wire {
    to_server: RefCell<VecDeque<u8>>,
    to_client: RefCell<Vec<u8>>,
    client_left: Cell<bool>,
    /// Bytes that the client still takes; a send beyond them waits.
    window: Cell<usize>,
    in_flight: RefCell<Option<Vec<u8>>>,
    waker: RefCell<Option<Waker>>,
    pub sends: Cell<u32>,
    /// The largest batch that was ever sent.
    pub largest_batch: Cell<usize>,
}

impl Wire {
    pub fn new() -> Rc<Wire> {
        let wire = Wire::default();
        wire.window.set(usize::MAX);
        Rc::new(wire)
    }

    pub fn write(&self, bytes: &[u8]) {
        self.to_server.borrow_mut().extend(bytes);
        self.wake();
    }

    pub fn leave(&self) {
        self.client_left.set(true);
        self.wake();
    }

    pub fn set_window(&self, bytes: usize) {
        self.window.set(bytes);
        self.wake();
    }

    pub fn take(&self) -> Vec<u8> {
        self.to_client.take()
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Socket for Wire {
    fn peer_address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 50_000))
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        received: &mut Vec<u8>,
    ) -> Poll<Result<usize, SocketError>> {
        let mut queue = self.to_server.borrow_mut();
        if queue.is_empty() && !self.client_left.get() {
            self.waker.replace(Some(cx.waker().clone()));
            return Poll::Pending;
        }
        let bytes = queue.len().min(16 * 1024);
        received.extend(queue.drain(..bytes));
        Poll::Ready(Ok(bytes))
    }

    fn start_send(&self, batch: Vec<u8>) {
        assert!(self.in_flight.borrow().is_none(), "one send at a time");
        self.sends.set(self.sends.get() + 1);
        self.largest_batch.set(self.largest_batch.get().max(batch.len()));
        self.in_flight.replace(Some(batch));
    }

    fn poll_sent(&self, cx: &mut Context<'_>) -> Poll<Result<Vec<u8>, SocketError>> {
        let mut in_flight = self.in_flight.borrow_mut();
        let Some(batch) = in_flight.as_mut() else { return Poll::Ready(Ok(Vec::new())) };
        let bytes = batch.len().min(self.window.get());
        self.window.set(self.window.get() - bytes);
        self.to_client.borrow_mut().extend(batch.drain(..bytes));
        if batch.is_empty() {
            return Poll::Ready(Ok(in_flight.take().expect("there is one")));
        }
        self.waker.replace(Some(cx.waker().clone()));
        Poll::Pending
    }

    fn shutdown(&self) {
        self.leave();
    }
}

/// A listening socket that accepts what the test connects.
#[derive(Default)]
pub struct Door {
    waiting: RefCell<VecDeque<Rc<Wire>>>,
    waker: RefCell<Option<Waker>>,
}

impl Door {
    pub fn connect(&self) -> Rc<Wire> {
        let wire = Wire::new();
        self.waiting.borrow_mut().push_back(wire.clone());
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
        wire
    }
}

impl Listener for Door {
    fn local_address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 5_433))
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Result<Rc<dyn Socket>, SocketError>> {
        match self.waiting.borrow_mut().pop_front() {
            Some(wire) => Poll::Ready(Ok(wire)),
            None => {
                self.waker.replace(Some(cx.waker().clone()));
                Poll::Pending
            }
        }
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

type Task = (Arc<Flag>, Pin<Box<dyn Future<Output = ()>>>);

/// Tasks and timers.
#[derive(Default)]
pub struct Tasks {
    spawned: RefCell<Vec<Task>>,
    live: RefCell<Vec<Task>>,
    timers: RefCell<BTreeMap<(MonotonicNanos, u64), Waker>>,
    now: Cell<u64>,
    sequence: Cell<u64>,
}

impl Tasks {
    /// Polls what is ready until nothing is.
    pub fn run(&self) {
        loop {
            self.live.borrow_mut().append(&mut self.spawned.borrow_mut());
            let mut progressed = false;
            let mut live = self.live.take();
            live.retain_mut(|(flag, task)| {
                if !flag.0.swap(false, Ordering::Relaxed) {
                    return true;
                }
                progressed = true;
                let waker = Waker::from(flag.clone());
                task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()
            });
            self.live.replace(live);
            if !progressed && self.spawned.borrow().is_empty() {
                return;
            }
        }
    }

    pub fn advance(&self, seconds: u64) {
        self.now.set(self.now.get() + seconds * 1_000_000_000);
        let mut timers = self.timers.borrow_mut();
        let later = timers.split_off(&(MonotonicNanos(self.now.get()), u64::MAX));
        for waker in std::mem::replace(&mut *timers, later).into_values() {
            waker.wake();
        }
        drop(timers);
        self.run();
    }
}

impl Spawner for Tasks {
    fn spawn_boxed(
        &self,
        _class: SchedulingClass,
        _name: &'static str,
        task: Pin<Box<dyn Future<Output = ()>>>,
    ) -> TaskKey {
        self.spawned.borrow_mut().push((Arc::new(Flag(AtomicBool::new(true))), task));
        TaskKey(0)
    }

    fn cancel(&self, _task: TaskKey) {}

    fn now(&self) -> MonotonicNanos {
        MonotonicNanos(self.now.get())
    }

    fn add_timer(&self, deadline: MonotonicNanos, waker: Waker) -> TimerKey {
        let key = self.sequence.get() + 1;
        self.sequence.set(key);
        self.timers.borrow_mut().insert((deadline, key), waker);
        TimerKey(key)
    }

    fn cancel_timer(&self, timer: TimerKey) {
        self.timers.borrow_mut().retain(|(_, key), _| *key != timer.0);
    }

    fn should_yield(&self) -> bool {
        false
    }

    fn on_loop_end(&self, _hook: Box<dyn FnMut()>) {}
}
