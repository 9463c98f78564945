//! Aggregates: their definitions, how a call resolves, and their states.
//!
//! DISTINCT, ORDER BY and FILTER are the caller's: it chooses which rows reach [`AggregateState::accumulate`], and in what order.

mod aggregate_table;
mod states;

use crate::registry::ArgumentType;
use crate::resolve::{Candidate, Failure, choose, function_failure};
use crate::{EvalContext, EvalError};
use alloc::boxed::Box;
use alloc::vec::Vec;
use types::{SqlType, Value};

/// An aggregate's stable identity: `pg_proc.oid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AggregateId(pub u16);

/// `count(*)`
pub const COUNT_ROWS: AggregateId = AggregateId(2803);

impl AggregateId {
    /// What it is; nothing if this library does not have it.
    pub fn definition(self) -> Option<&'static AggregateDefinition> {
        aggregate_table::AGGREGATES.iter().find(|definition| definition.id == self)
    }
}

/// One aggregate.
#[derive(Clone, Copy, Debug)]
pub struct AggregateDefinition {
    /// `pg_proc.oid`
    pub id: AggregateId,
    /// `pg_proc.proname`
    pub name: &'static str,
    /// Its parameters; none for `count(*)`.
    pub arguments: &'static [ArgumentType],
    /// What it returns.
    pub returns: ArgumentType,
    /// Whether rows with a NULL argument are passed over by the state itself (callers need not).
    pub skips_nulls: bool,
    make: fn(&[SqlType]) -> Box<dyn AggregateState>,
}

impl AggregateDefinition {
    /// An empty state for arguments of these types.
    pub fn new_state(&self, arguments: &[SqlType]) -> Box<dyn AggregateState> {
        (self.make)(arguments)
    }
}

/// What has been seen so far.
pub trait AggregateState: Send + core::fmt::Debug {
    /// Adds one row. `arguments` have the resolved types.
    ///
    /// # Errors
    /// 22003 where PostgreSQL raises it while accumulating.
    fn accumulate(
        &mut self,
        arguments: &[&Value],
        context: &EvalContext<'_>,
    ) -> Result<(), EvalError>;

    /// The answer for the rows seen so far; the state may go on.
    ///
    /// # Errors
    /// 22003 if the answer does not fit its type.
    fn finish(&self) -> Result<Value, EvalError>;

    /// Everything seen so far as values of their own, for partial aggregation elsewhere.
    fn partial(&self) -> Vec<Value>;

    /// Adds what another state of the same aggregate saw, from its [`AggregateState::partial`].
    ///
    /// # Errors
    /// 22003; XX000 if the values are not such a partial.
    fn merge(&mut self, partial: &[Value]) -> Result<(), EvalError>;

    /// Bytes held beyond the state's own size.
    fn heap_bytes(&self) -> usize {
        0
    }
}

/// What a call of an aggregate means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AggregateResolution {
    /// The aggregate.
    pub aggregate: AggregateId,
    /// The type to which each argument is to be cast implicitly.
    pub arguments: Vec<SqlType>,
    /// The type of the answer.
    pub returns: SqlType,
}

/// Every aggregate, sorted by name.
pub fn aggregates() -> &'static [AggregateDefinition] {
    &aggregate_table::AGGREGATES
}

/// Whether a function name is an aggregate's.
pub fn is_aggregate(name: &str) -> bool {
    aggregates().iter().any(|definition| definition.name == name)
}

/// The aggregate that `name(types…)` means; no types for `count(*)`.
///
/// # Errors
/// 42883 if there is none, 42725 if several are as good.
pub fn resolve_aggregate(name: &str, actual: &[SqlType]) -> Result<AggregateResolution, EvalError> {
    let candidates: Vec<Candidate> = aggregates()
        .iter()
        .filter(|definition| definition.name == name)
        .filter(|definition| definition.arguments.len() == actual.len())
        .map(|definition| Candidate {
            function: definition.id.0,
            arguments: definition.arguments.to_vec(),
            returns: definition.returns,
        })
        .collect();
    let chosen =
        choose(candidates, actual).map_err(|failure| function_failure(name, actual, &failure))?;
    let found = crate::resolve::resolved(&chosen, actual)
        .ok_or_else(|| function_failure(name, actual, &Failure::None))?;
    Ok(AggregateResolution {
        aggregate: AggregateId(found.function.0),
        arguments: found.arguments,
        returns: found.returns,
    })
}
