//! Messages between the cores of one node: bounded rings, one for each ordered pair of cores,
//! batched per loop.
//!
//! A message sent during a loop leaves at the loop's end, after the end-of-loop hooks ran
//! ([`crate::Spawner::on_loop_end`]), so what a core publishes there is visible to whoever reads
//! the message. Messages of one pair keep their order; there is no order between pairs. A core may
//! send to itself.

use std::future::poll_fn;
use std::task::{Context, Poll};

use types::ShardId;

/// The ring to `target` has no room; the message comes back. The caller sheds load or waits, it
/// never queues without bound.
#[derive(Debug, thiserror::Error)]
#[error("the ring to shard {target} is full")]
pub struct MeshFull<M> {
    /// Where it should have gone.
    pub target: ShardId,
    /// The message that was not sent.
    pub message: M,
}

/// One core's end of the mesh. Not `Send`.
pub trait Mesh<M: Send> {
    /// The core this end belongs to.
    fn own_shard(&self) -> ShardId;

    /// Shard cores of the node; ids are dense from zero.
    fn shard_count(&self) -> u16;

    /// Puts a message into the ring to `target`. It leaves at the end of this loop.
    ///
    /// # Errors
    /// [`MeshFull`] with the message when the ring is full.
    fn send(&self, target: ShardId, message: M) -> Result<(), MeshFull<M>>;

    /// Room left in the ring to `target`, in messages: at least so many sends succeed now.
    fn room(&self, target: ShardId) -> usize;

    /// The next message from any core and its sender. One task per core receives.
    fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<(ShardId, M)>;
}

impl<M: Send> dyn Mesh<M> + '_ {
    /// Waits for the next message.
    ///
    /// # Cancel safety
    /// Safe: a message is taken only by a poll that returns it.
    pub async fn recv(&self) -> (ShardId, M) {
        poll_fn(|cx| self.poll_recv(cx)).await
    }
}
