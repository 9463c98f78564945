//! One core's share of the database: the transaction protocol's effects run against one LSM tree.
//!
//! ```text
//! sql/oltp ── ShardClient ──▶ Shard ── handle(event) ──▶ accord::Replica ──▶ effects
//!                              │  ▲                                            │
//!                              │  └── mesh inbox, loads, durable log ◀─────────┤
//!                              └───── storage::Tree (rows, log, snapshots) ◀───┘
//! ```
//!
//! - [`Shard::handle`] is the one place where the protocol advances: one event in, its effects performed in order, no await. Everything that waits (a
//!   load, the log, another core) is a task or a message, and comes back as an event.
//! - [`ShardClient`] is what a session's core sees of the whole node: it finds the shard, and answers come back to where they were asked.
//! - Nothing is acknowledged before it is durable: outputs come out of the protocol only then (see `accord::outbox`).
//! - Every queue is bounded: requests at the door ([`options`]), writes by the tree's admission, messages by the rings.
#![deny(unsafe_code)]

mod attachment;
mod bulk;
mod client;
mod error;
mod hold;
mod inbox;
mod join;
mod lease;
mod memory;
mod options;
mod outgoing;
mod requests;
mod row_ids;
mod shard;
mod snapshot_source;
mod workloads;

pub use attachment::Attachment;
pub use client::{Committed, ShardClient};
pub use error::{Failure, ShardError};
pub use hold::{Hold, HoldId};
pub use inbox::ShardMessage;
pub use lease::{Lease, LeaseId, LeaseOutcome, LeaseTake, LeaseWait};
pub use options::{NodeShared, ShardOptions};
pub use row_ids::{ROW_IDS, row_ids_layout};
pub use shard::Shard;
pub use workloads::{WORKLOAD_KINDS, decode_workload};
