//! A simulated world for the engine: everything of `platform` in memory, on virtual time, from one seed.
//!
//! **Real**: the code under test, and [`runtime::Executor`], which polls its tasks here in an order drawn from the seed. **Simulated**: the disk
//! with all that a crash may do to it, background jobs, the clocks, timers, the mesh between cores. Sockets of a world on its own are
//! refused; a [`Cluster`] is several worlds, a node each, and the network between them.
//!
//! ```text
//! World::step ── poll one ready task of one core ─┐        ┌─ end of its turn: hooks, then mesh and disk submissions leave
//!             └─ run the next event ◀── one heap on virtual time, ties by seed ◀┘
//! ```
//! - One thread runs at a time. A background job runs in one piece, or as a thread of its own that holds the baton from one disk operation to the
//!   next, so that the shards' work comes in between.
//! - Every change of the disk is a **disk event**, counted from the start of the world. [`World::crash_at`] freezes the world at one;
//!   [`World::watch_crash_points`] hands out what the disk could hold just before each, at the cost of a few reference counts, so that one run of a
//!   workload gives as many crashes as it has events.
//! - Everything is folded into [`World::trace`]: two runs of one seed that differ are a bug of the code under test or of this crate.

mod background;
mod block_io;
mod clock;
mod cluster;
mod disk;
mod event_queue;
mod faults;
mod image;
mod machine;
mod mesh;
mod network;
mod spawner;
mod trace_hash;
mod world;

pub use cluster::{Cluster, ClusterOptions, NodeStopped};
pub use faults::{Fault, FaultKind, Faults};
pub use image::{CrashPoint, Image, Survival};
pub use network::{Ending, LinkOptions, host_address};
pub use world::{Stopped, World, WorldOptions};
