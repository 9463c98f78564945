//! The machine, driven: a thread-per-core executor on io_uring behind the traits of `platform`.

mod executor;
mod scheduling_class;
mod task;

pub use executor::{Executor, PollCharge, RoundEnd, RoundStep};
pub use scheduling_class::{Shares, TaskOrder};
pub use task::{NoUnpark, Unpark};
