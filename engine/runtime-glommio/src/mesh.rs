//! [`platform::Mesh`] as one locked queue a core, filled once a flush.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use platform::{Mesh, MeshFull};
use types::ShardId;

use crate::outbox::Outbox;

/// Messages on their way from one core to another at most.
const PAIR_MESSAGES_MAX: usize = 4096;

struct InboxState<M> {
    queue: VecDeque<(ShardId, M)>,
    /// Messages in the queue by sender.
    from: Vec<usize>,
    waker: Option<Waker>,
}

/// What has arrived for one core.
pub(crate) struct Inbox<M> {
    state: Mutex<InboxState<M>>,
}

impl<M> Inbox<M> {
    pub(crate) fn new(shard_count: usize) -> Inbox<M> {
        let from = vec![0; shard_count];
        Inbox { state: Mutex::new(InboxState { queue: VecDeque::new(), from, waker: None }) }
    }

    fn lock(&self) -> MutexGuard<'_, InboxState<M>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One core's end.
pub(crate) struct GlommioMesh<M> {
    own: ShardId,
    inboxes: Arc<Vec<Inbox<M>>>,
    /// Sent and not flushed, by target.
    pending: Rc<RefCell<Vec<Vec<M>>>>,
    outbox: Rc<Outbox>,
}

impl<M: Send + 'static> GlommioMesh<M> {
    pub(crate) fn new(own: ShardId, inboxes: Arc<Vec<Inbox<M>>>, outbox: Rc<Outbox>) -> Self {
        let pending = (0..inboxes.len()).map(|_| Vec::new()).collect();
        GlommioMesh { own, inboxes, pending: Rc::new(RefCell::new(pending)), outbox }
    }
}

fn deliver<M>(own: ShardId, inbox: &Inbox<M>, messages: Vec<M>) {
    let waker = {
        let mut state = inbox.lock();
        state.from[own.index()] += messages.len();
        state.queue.extend(messages.into_iter().map(|message| (own, message)));
        state.waker.take()
    };
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl<M: Send + 'static> Mesh<M> for GlommioMesh<M> {
    fn own_shard(&self) -> ShardId {
        self.own
    }

    fn shard_count(&self) -> u16 {
        self.inboxes.len() as u16
    }

    fn send(&self, target: ShardId, message: M) -> Result<(), MeshFull<M>> {
        if self.room(target) == 0 {
            return Err(MeshFull { target, message });
        }
        let first = {
            let mut pending = self.pending.borrow_mut();
            pending[target.index()].push(message);
            pending[target.index()].len() == 1
        };
        if first {
            let (own, inboxes, pending) = (self.own, self.inboxes.clone(), self.pending.clone());
            self.outbox.push(move || {
                let messages = std::mem::take(&mut pending.borrow_mut()[target.index()]);
                deliver(own, &inboxes[target.index()], messages);
            });
        }
        Ok(())
    }

    fn room(&self, target: ShardId) -> usize {
        let pending = self.pending.borrow()[target.index()].len();
        let queued = self.inboxes[target.index()].lock().from[self.own.index()];
        PAIR_MESSAGES_MAX.saturating_sub(pending + queued)
    }

    fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<(ShardId, M)> {
        let mut state = self.inboxes[self.own.index()].lock();
        match state.queue.pop_front() {
            Some((source, message)) => {
                state.from[source.index()] -= 1;
                Poll::Ready((source, message))
            }
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}
