//! Which functions and operators exist. A function's identity is its OID in PostgreSQL's `pg_proc`, so it is the same on every node and in every version;
//! ours that PostgreSQL has not (`current_date` as a function) take numbers from [`OWN_IDS_FROM`] on, which `pg_proc` does not use.
//!
//! The tables are generated from `pg_proc` and `pg_operator` for exactly the functions that `library` implements (`tests/generate/registry.py`), and sorted:
//! functions by name, operators by symbol.

mod function_table;
mod operator_table;

use crate::{EvalContext, EvalError};
use types::{SqlType, Value};

/// First id of functions that PostgreSQL does not have; built-in ones are below 10,000.
pub const OWN_IDS_FROM: u16 = 16_000;

/// A function's stable identity: `pg_proc.oid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FunctionId(pub u16);

impl FunctionId {
    /// What it is; nothing if this library does not have it.
    pub fn definition(self) -> Option<&'static FunctionDefinition> {
        let position = *POSITION_OF_ID.get(usize::from(self.0))?;
        function_table::FUNCTIONS.get(usize::from(position).checked_sub(1)?)
    }
}

/// One more than the position in the table; zero for ids that do not exist.
static POSITION_OF_ID: [u16; OWN_IDS_FROM as usize + 256] = {
    let mut positions = [0u16; OWN_IDS_FROM as usize + 256];
    let mut position = 0;
    while position < function_table::FUNCTIONS.len() {
        positions[function_table::FUNCTIONS[position].id.0 as usize] = position as u16 + 1;
        position += 1;
    }
    positions
};

/// What a parameter of a function accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentType {
    /// One type.
    Exactly(SqlType),
    /// Anything, each argument for itself (`"any"`).
    Any,
    /// `anyelement`, `anycompatible`: anything, all such arguments of one type.
    AnyElement,
    /// `anynonarray`: the same, but no array.
    AnyNonArray,
    /// `anyarray`, `anycompatiblearray`: an array of that type.
    AnyArray,
}

impl ArgumentType {
    /// Its OID for `pg_proc.proargtypes`.
    pub const fn oid(self) -> u32 {
        match self {
            ArgumentType::Exactly(sql_type) => sql_type.oid(),
            ArgumentType::Any => 2276,
            ArgumentType::AnyElement => 2283,
            ArgumentType::AnyNonArray => 2776,
            ArgumentType::AnyArray => 2277,
        }
    }
}

/// Whether a NULL argument decides the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nulls {
    /// NULL in, NULL out; the function is not called.
    Strict,
    /// The function sees NULLs.
    Called,
}

/// How long an answer stays true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Volatility {
    /// For ever.
    Immutable,
    /// Within a statement.
    Stable,
    /// Not at all.
    Volatile,
}

/// The code of a function. Arguments have the types of its definition; NULLs come only to those that are [`Nulls::Called`].
pub type EvaluateFunction = fn(&EvalContext<'_>, &[&Value]) -> Result<Value, EvalError>;

/// One function.
#[derive(Clone, Copy, Debug)]
pub struct FunctionDefinition {
    /// `pg_proc.oid`
    pub id: FunctionId,
    /// `pg_proc.proname`
    pub name: &'static str,
    /// Its parameters; the last repeats if it is variadic (then it is the element's type).
    pub arguments: &'static [ArgumentType],
    /// Whether the last parameter takes any number of arguments (at least one).
    pub variadic: bool,
    /// What it returns.
    pub returns: ArgumentType,
    /// Whether it is called with NULLs.
    pub nulls: Nulls,
    /// `pg_proc.provolatile`
    pub volatility: Volatility,
    /// Its code.
    pub evaluate: EvaluateFunction,
}

/// One operator: another name of a function.
#[derive(Clone, Copy, Debug)]
pub struct OperatorDefinition {
    /// `pg_operator.oid`
    pub oid: u16,
    /// `pg_operator.oprname`
    pub symbol: &'static str,
    /// Nothing for a prefix operator.
    pub left: Option<ArgumentType>,
    /// The operand on the right.
    pub right: ArgumentType,
    /// Its function.
    pub function: FunctionId,
    /// The operator with sides exchanged and the same answer; zero if none.
    pub commutator: u16,
    /// The operator with the opposite answer; zero if none.
    pub negator: u16,
}

/// Every function, sorted by name.
pub fn functions() -> &'static [FunctionDefinition] {
    &function_table::FUNCTIONS
}

/// Every operator, sorted by symbol.
pub fn operators() -> &'static [OperatorDefinition] {
    &operator_table::OPERATORS
}

/// The functions of a name.
pub(crate) fn functions_named(name: &str) -> &'static [FunctionDefinition] {
    let all = functions();
    let start = all.partition_point(|function| function.name < name);
    let end = start + all[start..].partition_point(|function| function.name == name);
    &all[start..end]
}

/// The operators of a symbol.
pub(crate) fn operators_named(symbol: &str) -> &'static [OperatorDefinition] {
    let all = operators();
    let start = all.partition_point(|operator| operator.symbol < symbol);
    let end = start + all[start..].partition_point(|operator| operator.symbol == symbol);
    &all[start..end]
}
