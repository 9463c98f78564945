//! Operators, casts, functions and aggregates with PostgreSQL 15's answers, and the one bound expression that every path evaluates.
//!
//! `sql/plan` resolves names to [`FunctionId`]s and produces [`Expr`]; `sql/oltp` evaluates it row by row ([`evaluate`]); `sql/olap` lowers it and calls
//! the same functions. Values, their order and their text and binary forms live in `engine/types`.
//!
//! Nothing here sees a clock, a generator of random numbers or a catalog: they are handed in with [`EvalContext`]. An error is a [`EvalError`] with
//! PostgreSQL's SQLSTATE and words; no input makes a function panic.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod aggregate;
pub mod cast;
mod context;
mod evaluate;
pub mod expr;
mod library;
mod registry;
mod resolve;

pub use aggregate::{
    AggregateDefinition, AggregateId, AggregateResolution, AggregateState, resolve_aggregate,
};
pub use cast::{CastKind, CastMethod, cast_value, find_cast};
pub use context::{CatalogFunctions, EvalContext, NoCatalog, NoVolatile, VolatileSource};
pub use evaluate::{apply, evaluate, evaluate_predicate};
pub use expr::{Expr, NotPortable, Quantifier, SubqueryKind, Test};
pub use library::RegexCache;
pub use registry::{
    ArgumentType, FunctionDefinition, FunctionId, Nulls, OperatorDefinition, Volatility, functions,
    operators,
};
pub use resolve::{
    CallTarget, Resolution, common_type, resolve_call, resolve_function, resolve_operator,
    resolve_prefix_operator,
};

/// Why an expression has no value: SQLSTATE, message, detail and hint.
pub type EvalError = types::ValueError;

/// What encoded expressions carry; grows whenever the answer of a function that may be deferred changes, so that a node which would answer otherwise
/// refuses to take part.
/// The tables of time zones are a part of it.
pub const LIBRARY_VERSION: u16 = 1;

/// The oldest version whose answers this library still gives: what a node that is newer than others plans and evaluates until all are.
pub const LIBRARY_VERSION_OLDEST: u16 = 1;

const _: () = assert!(LIBRARY_VERSION_OLDEST <= LIBRARY_VERSION);
