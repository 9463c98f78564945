//! One core's io_uring and what hangs on it: disk operations, sockets, the wake-up counter.
//!
//! A loop costs one system call: everything queued in a turn is submitted, and everything completed
//! is reaped, by one enter ([`Driver::turn`]).

pub(crate) mod buffers;
pub(crate) mod disk;
pub(crate) mod probe;
pub(crate) mod ring;
pub(crate) mod socket;

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::background::io_budget::ShardLatency;
use crate::task::Unpark;
use disk::DiskTable;
use ring::{Finished, Operation, Ring, RingUse, Tag, Wait};
use socket::SocketTable;

/// How other threads wake a core: a flag that says that it sleeps, and a counter that its ring
/// reads.
pub(crate) struct CoreSignal {
    parked: AtomicBool,
    event: Arc<File>,
}

impl CoreSignal {
    pub(crate) fn new() -> io::Result<CoreSignal> {
        Ok(CoreSignal {
            parked: AtomicBool::new(false),
            event: Arc::new(crate::sys::event_descriptor()?),
        })
    }

    /// Announces that the core is about to sleep; it must look for work once more after this.
    pub(crate) fn park(&self) {
        self.parked.store(true, Ordering::SeqCst);
        std::sync::atomic::fence(Ordering::SeqCst);
    }

    /// The core is awake.
    pub(crate) fn unparked(&self) {
        self.parked.store(false, Ordering::Relaxed);
    }
}

impl Unpark for CoreSignal {
    fn unpark(&self) {
        if self.parked.load(Ordering::SeqCst) && self.parked.swap(false, Ordering::SeqCst) {
            let result = (&*self.event).write_all(&1_u64.to_ne_bytes());
            // It fails only when the counter is about to overflow, and then the core is being woken
            // already.
            debug_assert!(result.is_ok(), "raising an event counter: {result:?}");
        }
    }
}

/// One core's ring and the state of everything in flight on it.
pub(crate) struct Driver {
    ring: RefCell<Ring>,
    disk: RefCell<DiskTable>,
    sockets: RefCell<SocketTable>,
    signal: Arc<CoreSignal>,
    /// Scratch for completions; empty between turns.
    finished: RefCell<Vec<Finished>>,
}

impl Driver {
    pub(crate) fn new(signal: Arc<CoreSignal>, latency: Arc<ShardLatency>) -> io::Result<Driver> {
        let driver = Driver {
            ring: RefCell::new(Ring::new(RingUse::Core)?),
            disk: RefCell::new(DiskTable::new(latency)),
            sockets: RefCell::new(SocketTable::new()),
            signal,
            finished: RefCell::new(Vec::new()),
        };
        driver.arm_wake(Box::new([0; 8]));
        Ok(driver)
    }

    pub(crate) fn ring(&self) -> &RefCell<Ring> {
        &self.ring
    }

    /// Submits what the turn queued, waits as asked, and completes what has finished. Called inside
    /// the executor's local scope.
    pub(crate) fn turn(&self, wait: Wait) -> io::Result<()> {
        let mut finished = self.finished.take();
        {
            let mut ring = self.ring.borrow_mut();
            ring.submit(wait)?;
            ring.reap(&mut finished);
        }
        for done in finished.drain(..) {
            self.dispatch(done);
        }
        self.finished.replace(finished);
        Ok(())
    }

    /// Fails what tasks still wait for, so that a core that ends leaves nothing hanging.
    pub(crate) fn close(&self) {
        self.disk.borrow_mut().close();
    }

    fn dispatch(&self, mut done: Finished) {
        match done.tag {
            Tag::Read(_) | Tag::WritePart { .. } | Tag::Sync(_) => {
                self.disk.borrow_mut().on_finished(done, &mut self.ring.borrow_mut());
            }
            Tag::Accept(_) | Tag::Connect(_) | Tag::Receive(_) | Tag::Send(_) => {
                self.sockets.borrow_mut().on_finished(done, &mut self.ring.borrow_mut());
            }
            Tag::Wake => {
                if let Some(Operation::Wake { counter, .. }) = done.operation.take() {
                    self.arm_wake(counter);
                }
            }
            Tag::Cancel => {}
        }
    }

    fn arm_wake(&self, counter: Box<[u8; 8]>) {
        let event = self.signal.event.clone();
        self.ring.borrow_mut().start(Tag::Wake, Operation::Wake { event, counter });
    }
}

/// The driver as its disk, network and loop hold it.
pub(crate) type SharedDriver = Rc<Driver>;
