//! A bounded queue between threads of any kind: plain threads block on it, tasks of any executor
//! await it.
//!
//! Results of analytics travel from background threads to the session's shard core on it. A full
//! queue holds the sender, so memory stays bounded; a dropped receiver fails the sender at once, so
//! a cancelled query stops. One lock; it carries row batches, not requests.
#![expect(
    clippy::disallowed_types,
    reason = "plain threads block on it; a core awaits it, and the lock is held for a push or a pop"
)]

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::ChannelClosed;

struct State<T> {
    queue: VecDeque<T>,
    capacity: usize,
    senders: usize,
    receiver_alive: bool,
    receiver_waker: Option<Waker>,
    sender_wakers: Vec<Waker>,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    /// Signalled when room or the receiver's end appears.
    room: Condvar,
    /// Signalled when a message or the senders' end appears.
    arrived: Condvar,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // No code of ours panics while it holds the lock, so a poisoned state is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sending end; cloned freely.
pub struct ChannelSender<T> {
    shared: Arc<Shared<T>>,
}

/// The receiving end.
pub struct ChannelReceiver<T> {
    shared: Arc<Shared<T>>,
}

/// Why a message was not queued.
#[derive(Debug, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// No room now.
    Full(T),
    /// The receiver is gone.
    Closed(T),
}

/// A queue of at most `capacity` messages.
///
/// # Panics
/// If `capacity` is zero.
pub fn channel<T>(capacity: usize) -> (ChannelSender<T>, ChannelReceiver<T>) {
    assert!(capacity > 0, "a channel without room cannot carry anything");
    let state = State {
        queue: VecDeque::with_capacity(capacity.min(64)),
        capacity,
        senders: 1,
        receiver_alive: true,
        receiver_waker: None,
        sender_wakers: Vec::new(),
    };
    let shared = Arc::new(Shared {
        state: Mutex::new(state),
        room: Condvar::new(),
        arrived: Condvar::new(),
    });
    (ChannelSender { shared: shared.clone() }, ChannelReceiver { shared })
}

impl<T> ChannelSender<T> {
    /// Queues without waiting.
    ///
    /// # Errors
    /// The message, when there is no room or no receiver.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        let mut state = self.shared.lock();
        if !state.receiver_alive {
            return Err(TrySendError::Closed(message));
        }
        if state.queue.len() >= state.capacity {
            return Err(TrySendError::Full(message));
        }
        self.push(&mut state, message);
        Ok(())
    }

    /// Queues, blocking the thread until there is room. Never on a shard core.
    ///
    /// # Errors
    /// [`ChannelClosed`] when the receiver is gone.
    pub fn send_blocking(&self, message: T) -> Result<(), ChannelClosed> {
        let mut state = self.shared.lock();
        loop {
            if !state.receiver_alive {
                return Err(ChannelClosed);
            }
            if state.queue.len() < state.capacity {
                self.push(&mut state, message);
                return Ok(());
            }
            state = self.shared.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Queues, waiting for room; in any executor.
    ///
    /// # Errors
    /// [`ChannelClosed`] when the receiver is gone.
    ///
    /// # Cancel safety
    /// A message whose send was dropped before it was done is dropped with it.
    pub async fn send(&self, message: T) -> Result<(), ChannelClosed> {
        let mut waiting = Some(message);
        poll_fn(|cx| {
            let message =
                waiting.take().expect("polled again only while pending, which puts it back");
            match self.try_send(message) {
                Ok(()) => Poll::Ready(Ok(())),
                Err(TrySendError::Closed(_)) => Poll::Ready(Err(ChannelClosed)),
                Err(TrySendError::Full(message)) => {
                    waiting = Some(message);
                    self.wait_for_room(cx)
                }
            }
        })
        .await
    }

    /// True when the receiver is gone.
    pub fn is_closed(&self) -> bool {
        !self.shared.lock().receiver_alive
    }

    /// Waits for room; with one sender, the next [`ChannelSender::try_send`] then finds it.
    ///
    /// # Errors
    /// [`ChannelClosed`] when the receiver is gone.
    pub fn poll_room(&self, cx: &mut Context<'_>) -> Poll<Result<(), ChannelClosed>> {
        let mut state = self.shared.lock();
        if !state.receiver_alive {
            return Poll::Ready(Err(ChannelClosed));
        }
        if state.queue.len() < state.capacity {
            return Poll::Ready(Ok(()));
        }
        if !state.sender_wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.sender_wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Registers for room. Room that came since the failed try wakes at once.
    fn wait_for_room(&self, cx: &mut Context<'_>) -> Poll<Result<(), ChannelClosed>> {
        let mut state = self.shared.lock();
        if state.queue.len() < state.capacity || !state.receiver_alive {
            cx.waker().wake_by_ref();
        } else if !state.sender_wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.sender_wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    fn push(&self, state: &mut MutexGuard<'_, State<T>>, message: T) {
        state.queue.push_back(message);
        assert!(state.queue.len() <= state.capacity, "a channel holds at most its capacity");
        if let Some(waker) = state.receiver_waker.take() {
            waker.wake();
        }
        self.shared.arrived.notify_one();
    }
}

impl<T> Clone for ChannelSender<T> {
    fn clone(&self) -> Self {
        self.shared.lock().senders += 1;
        ChannelSender { shared: self.shared.clone() }
    }
}

impl<T> Drop for ChannelSender<T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.senders -= 1;
        if state.senders == 0 {
            if let Some(waker) = state.receiver_waker.take() {
                waker.wake();
            }
            self.shared.arrived.notify_all();
        }
    }
}

impl<T> ChannelReceiver<T> {
    /// The next message; `None` once all senders are gone and the queue is empty.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = self.shared.lock();
        if let Some(message) = state.queue.pop_front() {
            self.made_room(&mut state);
            return Poll::Ready(Some(message));
        }
        if state.senders == 0 {
            return Poll::Ready(None);
        }
        state.receiver_waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Waits for the next message; `None` once all senders are gone and the queue is empty.
    ///
    /// # Cancel safety
    /// Safe: a message is taken only by a poll that returns it.
    pub async fn recv(&mut self) -> Option<T> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Blocks the thread for the next message. Never on a shard core.
    pub fn recv_blocking(&mut self) -> Option<T> {
        let mut state = self.shared.lock();
        loop {
            if let Some(message) = state.queue.pop_front() {
                self.made_room(&mut state);
                return Some(message);
            }
            if state.senders == 0 {
                return None;
            }
            state = self.shared.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn made_room(&self, state: &mut MutexGuard<'_, State<T>>) {
        for waker in state.sender_wakers.drain(..) {
            waker.wake();
        }
        self.shared.room.notify_one();
    }
}

impl<T> Drop for ChannelReceiver<T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.receiver_alive = false;
        let unread = std::mem::take(&mut state.queue);
        self.made_room(&mut state);
        self.shared.room.notify_all();
        drop(state);
        // Messages may run code of their own when they drop; that code must not find the lock held.
        drop(unread);
    }
}

#[cfg(test)]
mod tests;
