//! The transaction protocol as a pure state machine: event in, ordered effects out.
//!
//! On one node (RF = 1) every quorum is the node itself, and Accord collapses to what is here: a [`Replica`] for each
//! shard that takes timestamps, registers what is in flight, and lets nothing leave before what it observed is durable.
//! The full protocol joins the same types later: [`TxnId`], [`Footprint`], [`Workload`], [`Effect`] and the conflict index
//! keep their names and meaning.
//!
//! # The rules, in the order in which a transaction meets them
//!
//! 1. **Clocks.** A timestamp is taken above every core's published slot ([`Now::slots`]) and above everything that this
//!    core minted or received. A slot holds the highest timestamp of any reply that left ([`Replica::slot`]). Timestamps
//!    are minted within a durable reservation only ([`Effect::Reserve`]).
//! 2. **One core.** Rows are loaded first; then, in one call, the timestamp is taken and the transaction is read,
//!    evaluated, logged and applied (`replica/turn.rs`). A turn that meets a registered transaction registers at once, with
//!    its timestamp.
//! 3. **Several cores.** Prepare registers and answers with a floor; Commit(t) queues until every conflicting registered
//!    transaction is decided and those below t are applied; one record on the home core's log; Apply in log order after it
//!    is durable (`replica/prepare.rs`, `replica/coordinate.rs`).
//! 4. **Reads at a snapshot** wait for what is undecided or open at or below it on the rows they read, and raise the floor
//!    (`replica/read.rs`). **Analytic snapshots** are announced, wait for what was registered before, and freeze when the
//!    log is durable through it (`replica/snapshot.rs`).
//! 5. **Durability.** Every output carries the log position through which it has seen this core's log, absences included,
//!    and waits for it in one place, the [`outbox`].
//!
//! # Several nodes
//!
//! [`cluster`] is the whole protocol over replicated ranges: votes, dependencies, recovery. Its environment is
//! `tests/burn.rs` for now; the node does not use it yet.
//!
//! # What this crate never does
//!
//! It reads no clock, file, socket or random number and starts no thread: time is an argument, rows come from a [`Store`]
//! that answers from memory, and what is not in memory is asked for by [`Effect::Load`]. It does not know SQL: a
//! transaction is a [`Footprint`] and a [`Workload`].
//!
//! # Cost of an uncontended single-core turn
//!
//! No search of registered transactions when there is none; one lookup for each table; no allocation of its own: the
//! row versions are borrowed from the store, the reply is the workload's buffer.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod clock;
pub mod cluster;
mod codec;
mod conflicts;
mod effect;
mod event;
mod footprint;
mod message;
pub mod mutants;
pub mod outbox;
mod part;
mod participants;
mod replica;
mod rows;
mod store;
mod tables;
mod txn;
mod validation;
mod view;
mod workload;

pub use clock::Now;
pub use effect::{Effect, LoadId, RequestId, Response};
pub use event::{Event, SnapshotAt};
pub use footprint::{Access, Footprint, PointEntry, RangeEntry, RangeNeed, TokenRange};
pub use message::{Answer, Message};
pub use part::{LastChange, NotLoaded, Observed, read_part};
pub use participants::{Placement, ShardSet};
pub use replica::{Replica, ReplicaOptions};
pub use rows::Rows;
pub use store::{LogPosition, NotLogged, PointRead, RangeQuery, RangeRead, Store};
pub use txn::TxnId;
pub use validation::{Expected, Validation};
pub use view::{RowVersion, RowVisitor, View};
pub use workload::{
    Abort, Commit, Installs, Outcome, Record, SchemaChange, Workload, WorkloadCodec,
    WorkloadDecodeError, Write,
};
