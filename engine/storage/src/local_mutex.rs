//! A fair lock between the tasks of one core, held across awaits. Not `Send`; no thread ever blocks on it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::ops::{Deref, DerefMut};
use std::task::{Poll, Waker};

pub(crate) struct LocalMutex<T> {
    /// Nothing while the lock is held: the guard owns the value, so that no borrow lives across an await.
    value: RefCell<Option<T>>,
    held: Cell<bool>,
    next_ticket: Cell<u64>,
    waiting: RefCell<VecDeque<(u64, Option<Waker>)>>,
}

/// Removes the ticket of a waiter that is dropped, and wakes the next if it was its turn.
struct Ticket<'a, T> {
    mutex: &'a LocalMutex<T>,
    number: u64,
}

impl<T> Drop for Ticket<'_, T> {
    fn drop(&mut self) {
        self.mutex.waiting.borrow_mut().retain(|(number, _)| *number != self.number);
        if !self.mutex.held.get() {
            self.mutex.wake_next();
        }
    }
}

/// Holds the lock until dropped.
pub(crate) struct LocalGuard<'a, T> {
    mutex: &'a LocalMutex<T>,
    value: Option<T>,
}

impl<T> LocalMutex<T> {
    pub(crate) fn new(value: T) -> LocalMutex<T> {
        LocalMutex {
            value: RefCell::new(Some(value)),
            held: Cell::new(false),
            next_ticket: Cell::new(0),
            waiting: RefCell::new(VecDeque::new()),
        }
    }

    fn wake_next(&self) {
        let waker = self.waiting.borrow_mut().front_mut().and_then(|(_, waker)| waker.take());
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Waits for the lock; first come, first served.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn lock(&self) -> LocalGuard<'_, T> {
        let number = self.next_ticket.get();
        self.next_ticket.set(number + 1);
        self.waiting.borrow_mut().push_back((number, None));
        let ticket = Ticket { mutex: self, number };
        poll_fn(|cx| {
            let mut waiting = self.waiting.borrow_mut();
            let first = waiting.front().is_some_and(|(front, _)| *front == number);
            if first && !self.held.get() {
                return Poll::Ready(());
            }
            let own = waiting.iter_mut().find(|(waiter, _)| *waiter == number);
            own.expect("a waiter stands in the queue").1 = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
        self.held.set(true);
        drop(ticket);
        LocalGuard { mutex: self, value: self.value.borrow_mut().take() }
    }
}

impl<T> Deref for LocalGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.value.as_ref().expect("held until dropped")
    }
}

impl<T> DerefMut for LocalGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("held until dropped")
    }
}

impl<T> Drop for LocalGuard<'_, T> {
    fn drop(&mut self) {
        *self.mutex.value.borrow_mut() = self.value.take();
        self.mutex.held.set(false);
        self.mutex.wake_next();
    }
}
