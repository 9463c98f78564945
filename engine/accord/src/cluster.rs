//! The whole protocol over several nodes: leaderless, one round trip to a decision when nothing conflicts.
//!
//! Accord (Elliott et al., CEP-15) as restated in the specification that this crate follows; section numbers in these files
//! are its. One topology for now; membership, durability rounds and truncation come with it.
//!
//! [`Node`] is the whole of one member: [`replica::RangeReplica`] answers for one range, [`coordinator::Coordination`]
//! drives one transaction. The environment gives it events and performs its effects (`tests/burn.rs` is one).

pub mod command;
pub mod coordinator;
pub mod deps;
pub mod message;
pub mod node;
pub mod replica;
pub mod status;
pub mod topology;

pub use node::{Effect, Event, LogEntry, Node, Pace, Response};
pub use topology::{RangeId, ReplicatedRange, Topology};
