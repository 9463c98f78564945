//! A bell between the tasks of one core: whoever waits is woken when something may have changed, and looks again.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

#[derive(Default)]
pub(crate) struct Notify {
    rung: Cell<u64>,
    waiting: RefCell<Vec<Waker>>,
}

impl Notify {
    /// Wakes everybody who waits.
    pub(crate) fn ring(&self) {
        self.rung.set(self.rung.get() + 1);
        let waiting = std::mem::take(&mut *self.waiting.borrow_mut());
        waiting.into_iter().for_each(Waker::wake);
    }

    /// How often it has rung: to be read before looking, and given to [`Notify::after`].
    pub(crate) fn count(&self) -> u64 {
        self.rung.get()
    }

    /// Waits until it has rung again since `count`.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn after(&self, count: u64) {
        poll_fn(|cx| {
            if self.rung.get() != count {
                return Poll::Ready(());
            }
            let mut waiting = self.waiting.borrow_mut();
            if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                waiting.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}
