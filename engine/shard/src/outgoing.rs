//! Messages on their way to other cores. A full ring never loses or reorders one: the rest waits here, in order.
//!
//! What can wait is bounded by the requests under way: each causes a bounded number of messages.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use platform::{Mesh, MeshFull};
use types::ShardId;

use crate::inbox::ShardMessage;

pub(crate) struct Outgoing {
    mesh: Rc<dyn Mesh<ShardMessage>>,
    waiting: RefCell<Vec<VecDeque<ShardMessage>>>,
}

impl Outgoing {
    pub(crate) fn new(mesh: Rc<dyn Mesh<ShardMessage>>) -> Outgoing {
        let waiting = (0..mesh.shard_count()).map(|_| VecDeque::new()).collect();
        Outgoing { mesh, waiting: RefCell::new(waiting) }
    }

    /// Sends behind everything sent before to the same core.
    pub(crate) fn send(&self, target: ShardId, message: ShardMessage) {
        let mut waiting = self.waiting.borrow_mut();
        let queue = &mut waiting[target.index()];
        if !queue.is_empty() {
            queue.push_back(message);
            return;
        }
        if let Err(MeshFull { message, .. }) = self.mesh.send(target, message) {
            queue.push_back(message);
        }
    }

    /// Whether something waits for room.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.borrow().iter().any(|queue| !queue.is_empty())
    }

    /// Sends what has room now.
    pub(crate) fn retry(&self) {
        let mut waiting = self.waiting.borrow_mut();
        for (target, queue) in waiting.iter_mut().enumerate() {
            let target = ShardId(target as u16);
            while let Some(message) = queue.pop_front() {
                if let Err(MeshFull { message, .. }) = self.mesh.send(target, message) {
                    queue.push_front(message);
                    break;
                }
            }
        }
    }
}
