//! How a node is asked to end, and how its cores learn of it.
#![expect(
    clippy::disallowed_types,
    reason = "asked once, from any thread; the lock is held for a look"
)]

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

#[derive(Default)]
struct ShutdownState {
    requested: bool,
    wakers: Vec<Waker>,
}

/// Asks a node to end, and tells its cores. Cloned freely, from any thread.
#[derive(Clone, Default)]
pub struct Shutdown {
    state: Arc<Mutex<ShutdownState>>,
}

impl Shutdown {
    /// Not requested yet.
    pub fn new() -> Shutdown {
        Shutdown::default()
    }

    fn lock(&self) -> MutexGuard<'_, ShutdownState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks every core to end. Not for signal handlers: it takes a lock.
    pub fn request(&self) {
        let wakers = {
            let mut state = self.lock();
            state.requested = true;
            std::mem::take(&mut state.wakers)
        };
        for waker in wakers {
            waker.wake();
        }
    }

    /// True once the node should end.
    pub fn is_requested(&self) -> bool {
        self.lock().requested
    }

    /// Waits until the node should end.
    ///
    /// # Cancel safety
    /// Safe; a waker of a dropped wait stays until the request, one a task.
    pub async fn requested(&self) {
        poll_fn(|cx| {
            let mut state = self.lock();
            if state.requested {
                return Poll::Ready(());
            }
            if !state.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
                state.wakers.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}
