//! The machine, driven: a thread-per-core executor on io_uring behind the traits of `platform`.
//!
//! Threads: one pinned **shard core** each with its own ring ([`start`] runs a main future on it),
//! a **pool** of low-priority background threads, and one **file thread** for operations on names
//! and for closing. Nothing on a shard core blocks but the one system call at the end of a turn.
//!
//! What runs where: [`Executor`] knows tasks and readiness only, and the simulator runs it too.
//! `core_loop` gives it life on a ring; `uring` is the ring with its disk and sockets; `mesh` joins
//! the cores; `background` is everything that may take long. This is the only crate that names
//! io-uring.

mod background;
mod clock;
mod core_loop;
mod cpu;
mod error;
mod executor;
mod files;
mod idle_spin;
mod mesh;
mod node;
mod open_files;
mod scheduling_class;
mod slab;
mod stall_detector;
mod sys;
mod task;
mod timer_wheel;
mod uring;

pub use background::pool::Pinning;
pub use cpu::{CpuPlan, CpuSharing};
pub use error::RuntimeError;
pub use executor::{Executor, PollCharge, RoundEnd, RoundStep};
pub use files::DirectIo;
pub use node::{Node, RuntimeOptions, plan_cpus, start};
pub use open_files::raise_open_files;
pub use platform::{Core, Shutdown};
pub use scheduling_class::{Shares, TaskOrder};
pub use task::{NoUnpark, Unpark};
pub use uring::probe::probe;
