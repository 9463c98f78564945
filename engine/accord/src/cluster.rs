//! The whole protocol over several nodes: leaderless, one round trip to a decision when nothing conflicts.
//!
//! Accord (Elliott et al., CEP-15) as restated in the specification that this crate follows; section numbers in these files
//! are its. One topology for now; membership changes come with it. What is built, how it deviates and how it is proved is on
//! `docs/protocol.md`.
//!
//! [`Member`] is one shard core of a member: [`replica::RangeReplica`] answers for one range, [`coordinator::Coordination`]
//! drives one transaction. The environment gives it events and performs its effects (`tests/burn.rs` is one).

pub mod codec;
pub mod command;
pub mod coordinator;
pub mod counters;
pub mod deps;
pub mod member;
pub mod message;
pub mod replica;
mod settled;
pub mod status;
mod timers;
pub mod topology;
pub mod transaction;

pub use counters::{Counters, RecoveryRow};
pub use member::{Address, Effect, Event, Identity, LogEntry, Member, Pace, Response};
pub use topology::{RangeId, ReplicatedRange, Topology};
pub use transaction::Transaction;
