//! `ringfence demo`: live telemetry, questions over it while it comes in, transactions, and what all that does to a point read. One table at the end,
//! beside the figures
//! of the ten-container stack that it replaces (measured on a seven-core laptop; `docs/benchmarks` has comparisons on one machine).

pub mod figures;
pub mod ingest;
pub mod prober;
pub mod questions;
pub mod schema;
pub mod telemetry;
pub mod transactions;
