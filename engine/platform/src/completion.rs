//! The one concrete future for everything a driver completes later, so that the traits of this
//! crate stay object safe.
//!
//! A [`Completer`] is held by the driver, the [`Completion`] by whoever asked. Completing from any
//! thread wakes the asker. A completer that is dropped unused (a driver shutting down, a job queue
//! cleared) completes with the value of the function given at creation, so nobody waits for ever.
//! Cost: one allocation and two uncontended locks an operation, which is small beside any disk
//! operation; sockets do not use it.
#![expect(
    clippy::disallowed_types,
    reason = "completed from any thread; the lock is held for an exchange"
)]

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

enum State<T> {
    Pending(Option<Waker>),
    Done(T),
    Taken,
}

/// The driver's end: gives the value, once.
pub struct Completer<T> {
    shared: Option<Arc<Mutex<State<T>>>>,
    abandoned: fn() -> T,
}

/// The asker's end: a future of the value.
///
/// # Cancel safety
/// Dropping it does not cancel the operation; the driver keeps what the kernel still uses and the
/// result is dropped when it comes.
#[must_use = "a completion does nothing for its holder until awaited; the operation runs all the same"]
pub struct Completion<T> {
    shared: Arc<Mutex<State<T>>>,
}

/// A connected pair. `abandoned` gives the result if the completer is dropped without completing.
pub fn completion<T>(abandoned: fn() -> T) -> (Completer<T>, Completion<T>) {
    let shared = Arc::new(Mutex::new(State::Pending(None)));
    (Completer { shared: Some(shared.clone()), abandoned }, Completion { shared })
}

fn guard<T>(shared: &Mutex<State<T>>) -> MutexGuard<'_, State<T>> {
    // No code of ours panics while it holds the lock, so a poisoned state is still whole.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn finish<T>(shared: &Mutex<State<T>>, value: T) {
    let previous = std::mem::replace(&mut *guard(shared), State::Done(value));
    match previous {
        State::Pending(Some(waker)) => waker.wake(),
        State::Pending(None) => {}
        State::Done(_) | State::Taken => unreachable!("a completer completes once: it is consumed"),
    }
}

impl<T> Completer<T> {
    /// Gives the value and wakes the asker. From any thread.
    pub fn complete(mut self, value: T) {
        let shared =
            self.shared.take().expect("taken only here and in drop, and this consumes self");
        finish(&shared, value);
    }

    /// True when the asker dropped its end, so that the result interests nobody.
    pub fn is_abandoned(&self) -> bool {
        self.shared.as_ref().is_none_or(|shared| Arc::strong_count(shared) == 1)
    }
}

impl<T> Drop for Completer<T> {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            finish(&shared, (self.abandoned)());
        }
    }
}

impl<T> Completion<T> {
    /// A completion that is already there.
    pub fn ready(value: T) -> Completion<T> {
        Completion { shared: Arc::new(Mutex::new(State::Done(value))) }
    }

    /// The value if it is there, without waiting. Takes it: a later poll would panic.
    pub fn try_take(&mut self) -> Option<T> {
        let mut state = guard(&self.shared);
        match std::mem::replace(&mut *state, State::Taken) {
            State::Done(value) => Some(value),
            other => {
                *state = other;
                None
            }
        }
    }
}

impl<T> Future for Completion<T> {
    type Output = T;

    /// # Panics
    /// If polled again after it gave its value.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let mut state = guard(&self.shared);
        match &mut *state {
            State::Pending(waker) => {
                match waker {
                    Some(known) => known.clone_from(cx.waker()),
                    None => *waker = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
            State::Done(_) => match std::mem::replace(&mut *state, State::Taken) {
                State::Done(value) => Poll::Ready(value),
                _ => unreachable!("matched as done under the same lock"),
            },
            State::Taken => panic!("a completion was polled after it gave its value"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn completes_from_another_thread_and_wakes_once() {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(count.clone());
        let mut cx = Context::from_waker(&waker);
        let (completer, mut completion) = completion(|| 0_u32);
        assert!(Pin::new(&mut completion).poll(&mut cx).is_pending());
        std::thread::spawn(move || completer.complete(7)).join().expect("the thread ends");
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert_eq!(Pin::new(&mut completion).poll(&mut cx), Poll::Ready(7));
    }

    #[test]
    fn a_dropped_completer_gives_the_abandoned_value() {
        let (completer, mut completion) = completion(|| 9_u32);
        assert!(!completer.is_abandoned());
        drop(completer);
        assert_eq!(completion.try_take(), Some(9));
        assert_eq!(completion.try_take(), None);
    }
}
