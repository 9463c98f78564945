//! The whole outside world as the engine sees it: disk, background threads, clock, tasks, sockets,
//! the mesh between cores. Traits only.
//!
//! Every trait is object safe and the engine holds one [`Platform`] of `dyn` handles, passed by
//! hand and never ambient, so that the same compiled code runs on io_uring, on glommio and under
//! the simulator. What waits on a disk or a job returns a [`Completion`], one concrete future type;
//! what waits on a socket or a ring has a `poll_` method, so that a request costs no allocation.
//!
//! A shard's own handles are `Rc` and never leave its core; those given to background jobs are
//! `Arc` and `Send`. Wakers are plain [`std::task::Waker`]s and may be woken from any thread.
#![deny(unsafe_code)]

mod aligned_buf;
mod background;
mod channel;
mod clock;
mod completion;
mod disk;
mod error;
mod mesh;
mod published_slots;
mod shutdown;
mod socket;
mod spawner;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

pub use aligned_buf::{AlignedBuf, DISK_ALIGNMENT};
pub use background::{
    Background, BlockIo, BlockRead, CancelFlag, Job, JobClass, JobHandle, JobRefused, run_job,
};
pub use channel::{ChannelReceiver, ChannelSender, TrySendError, channel};
pub use clock::{Clock, MonotonicNanos};
pub use completion::{Completer, Completion, completion};
pub use disk::{
    DirectoryEntry, Disk, FileCloser, FileHandle, OpenMode, ReadDone, WriteAndSync, assert_direct,
};
pub use error::{
    ChannelClosed, DiskError, DiskErrorKind, DiskOperation, JobError, SocketError, SocketErrorKind,
};
pub use mesh::{Mesh, MeshFull};
pub use published_slots::{PublishedSlot, PublishedSlots};
pub use shutdown::Shutdown;
pub use socket::{Connecting, Listener, Network, Socket, accept, connect, recv, send};
pub use spawner::{
    SchedulingClass, Sleep, Spawner, TaskKey, TimerKey, maybe_yield, sleep, sleep_until, spawn,
    spawn_with_result, yield_now,
};
pub use types::prng::Prng;

use types::ShardId;

/// Everything outside one shard, as handles. Cloned freely within a core; not `Send`.
#[derive(Clone)]
pub struct Platform {
    /// This core's files.
    pub disk: Rc<dyn Disk>,
    /// Wall and monotonic time.
    pub clock: Arc<dyn Clock>,
    /// This core's tasks and timers.
    pub spawner: Rc<dyn Spawner>,
    /// Sockets of this core, accepted and dialled.
    pub network: Rc<dyn Network>,
    /// The node's background threads.
    pub background: Arc<dyn Background>,
    /// One word pair a core, readable by all, stored by its owner.
    pub slots: PublishedSlots,
}

/// What a core's main future is given. Not `Send`.
pub struct Core<M: Send> {
    /// This core.
    pub shard: ShardId,
    /// The world outside.
    pub platform: Platform,
    /// The other cores.
    pub mesh: Rc<dyn Mesh<M>>,
    /// Set when the node should end; the main future watches it.
    pub shutdown: Shutdown,
}

impl<M: Send> Core<M> {
    /// Listens on `address`, together with the other cores.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub fn listener(&self, address: SocketAddr) -> Result<Rc<dyn Listener>, SocketError> {
        self.platform.network.listen(address)
    }
}
