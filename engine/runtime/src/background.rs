//! Background cores: a pool of low-priority threads, their deep-queue block I/O, and the budget
//! that paces it.

pub(crate) mod block_ring;
pub(crate) mod io_budget;
pub(crate) mod pool;
