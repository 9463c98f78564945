//! The history judge: was what the clients saw strictly serializable?
//!
//! Three judges that share nothing but the form of a history (`history.rs`; as text `json.rs`) and the form of a verdict (`anomaly.rs`):
//!
//! - [`Judge`], the black box: client-visible results only, lists that grow and registers, cycles of dependencies with their names;
//! - [`Online`], the same in bounded memory while the history goes on;
//! - [`Replay`], the white box: executes the transactions in the order of the timestamps that the system gave them and compares every answer.
//!
//! `generate.rs` makes histories that are right by construction, and spoils them; [`record`] drives real clients and records them. The crate depends on nothing of Ringfence: what it
//! says about the database cannot share a mistake with it. `docs/checker.md` says how the judge itself was judged.

#![forbid(unsafe_code)]

mod anomaly;
mod blackbox;
mod cycle;
mod error;
pub mod generate;
mod graph;
mod history;
pub mod json;
mod keys;
pub mod mutants;
mod packed;
mod random;
pub mod record;
mod replay;
mod table;

pub use anomaly::{Anomaly, Kind, Level, Verdict};
pub use blackbox::{Bounds, Judge, Online, Settled};
pub use error::HistoryError;
pub use history::{KeyRange, Operation, Outcome, Transaction};
pub use random::Random;
pub use replay::{RealTime, Replay};
