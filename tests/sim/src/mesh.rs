//! The mesh of simulated cores: what is sent leaves at the end of the turn, takes a while, and keeps its order within a pair of cores.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use platform::{Mesh, MeshFull};
use types::ShardId;

use crate::machine::Machine;

/// Nanoseconds that a batch travels at most.
const TRAVEL_NANOS: u64 = 20_000;

struct Inbox<M> {
    arrived: VecDeque<(ShardId, M)>,
    waker: Option<Waker>,
    /// Messages of each sender that have not been taken.
    untaken: Vec<usize>,
    /// When the last batch of each sender arrives.
    arrival: Vec<u64>,
}

pub(crate) struct SharedMesh<M> {
    inboxes: Vec<Mutex<Inbox<M>>>,
    capacity: usize,
}

impl<M: Send + 'static> SharedMesh<M> {
    pub(crate) fn new(cores: u16, capacity: usize) -> SharedMesh<M> {
        let senders = usize::from(cores);
        let inbox = || Inbox {
            arrived: VecDeque::new(),
            waker: None,
            untaken: vec![0; senders],
            arrival: vec![0; senders],
        };
        let inboxes = (0..cores).map(|_| Mutex::new(inbox())).collect();
        SharedMesh { inboxes, capacity }
    }

    fn inbox(&self, core: ShardId) -> MutexGuard<'_, Inbox<M>> {
        self.inboxes[core.index()].lock().expect("nothing panics while it holds the lock")
    }
}

/// One core's end.
pub(crate) struct SimMesh<M> {
    pub(crate) own: ShardId,
    pub(crate) machine: Arc<Machine>,
    pub(crate) shared: Arc<SharedMesh<M>>,
    pub(crate) outgoing: RefCell<Vec<(ShardId, M)>>,
}

impl<M: Send + 'static> SimMesh<M> {
    /// Lets what was sent in this turn leave.
    pub(crate) fn flush(self: &Rc<Self>) {
        let mut outgoing = self.outgoing.take();
        for target in (0..self.shared.inboxes.len()).map(|index| ShardId(index as u16)) {
            let batch: Vec<M> = outgoing
                .extract_if(.., |(to, _)| *to == target)
                .map(|(_, message)| message)
                .collect();
            if batch.is_empty() {
                continue;
            }
            let own = self.own;
            let travel = self.machine.draw(TRAVEL_NANOS);
            let due = {
                let mut inbox = self.shared.inbox(target);
                let due = inbox.arrival[own.index()].max(self.machine.now() + travel) + 1;
                inbox.arrival[own.index()] = due;
                due
            };
            let shared = self.shared.clone();
            self.machine.schedule_at(due, move |_| {
                let waker = {
                    let mut inbox = shared.inbox(target);
                    inbox.arrived.extend(batch.into_iter().map(|message| (own, message)));
                    inbox.waker.take()
                };
                if let Some(waker) = waker {
                    waker.wake();
                }
            });
        }
    }
}

impl<M: Send + 'static> Mesh<M> for SimMesh<M> {
    fn own_shard(&self) -> ShardId {
        self.own
    }

    fn shard_count(&self) -> u16 {
        self.shared.inboxes.len() as u16
    }

    fn send(&self, target: ShardId, message: M) -> Result<(), MeshFull<M>> {
        let mut inbox = self.shared.inbox(target);
        let untaken = &mut inbox.untaken[self.own.index()];
        if *untaken >= self.shared.capacity {
            return Err(MeshFull { target, message });
        }
        *untaken += 1;
        self.outgoing.borrow_mut().push((target, message));
        Ok(())
    }

    fn room(&self, target: ShardId) -> usize {
        self.shared.capacity - self.shared.inbox(target).untaken[self.own.index()]
    }

    fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<(ShardId, M)> {
        let mut inbox = self.shared.inbox(self.own);
        match inbox.arrived.pop_front() {
            Some((from, message)) => {
                inbox.untaken[from.index()] -= 1;
                Poll::Ready((from, message))
            }
            None => {
                inbox.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}
