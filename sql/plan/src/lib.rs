//! Text to bound, typed statement: parse, resolve names and types the way PostgreSQL 15 does, decide which path runs it and say why.
//!
//! ```text
//! text ─ parse ─▶ syntax::Statement ─ bind (catalog) ─▶ BoundStatement { statement, path, columns, parameters, tables }
//! ```
//! Pure: no clock, no file, no session. What a session knows (search path, user, parameter types that the client declared) is an argument.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod bind;
pub mod catalog;
pub mod classify;
pub mod ddl;
pub mod error;
pub mod parse;
pub mod point_plan;
pub mod query;
pub mod statement;
pub mod syntax;

pub use bind::{BindInput, bind, coerce_arguments};
pub use error::{PlanError, Result};
pub use parse::{Parsed, parse};
