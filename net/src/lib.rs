//! Bytes and messages, for Postgres clients ([`pg`]: listener, connection (pure), codec) and between nodes ([`peer`], with mutual TLS). What the
//! messages mean is the backend's affair.
//!
//! ```text
//! listener ── accepts ──▶ serve ── drives ──▶ connection (pure): bytes in ─▶ events
//!                           │                  response  (pure): answers  ─▶ bytes
//!                           ▼
//!                 PgBackend / PgSession: the composition root's, over `sql/session`
//! ```
//!
//! One received batch is executed whole before one send, so a pipelined exchange costs one system call each way. Memory is bounded: a frame's length is
//! checked before anything is reserved, an answer over the bound waits for the client, an idle connection gives long buffers back.
//!
//! Of pgwire this crate uses the message layer only, for the messages of the handshake (and, in tests, as a second opinion on everything else). Query
//! messages are ours: pgwire's own copy their strings, replace bad UTF-8 silently and trust lengths inside a body.
//!
//! Cost of one prepared Bind, Execute, Sync: one receive, one send, no allocation in this crate.
#![forbid(unsafe_code)]

pub mod error;
pub mod limits;
pub mod mutants;
pub mod peer;
pub mod pg;
pub mod tls;
