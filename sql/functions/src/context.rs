//! What an expression may know besides its row and parameters, handed in by whoever evaluates.

use crate::EvalError;
use crate::library::RegexCache;
use alloc::boxed::Box;
use alloc::format;
use types::{SqlState, TextSettings, Value};

/// The surroundings of one evaluation.
#[derive(Clone, Copy)]
pub struct EvalContext<'a> {
    /// Time zone, date order, `bytea_output`, and the transaction's time (`now()`).
    pub settings: TextSettings,
    /// Microseconds since 2000-01-01 UTC at which the statement arrived.
    pub statement_micros: i64,
    /// `session_user`
    pub session_user: &'a str,
    /// `current_user`
    pub current_user: &'a str,
    /// `current_database()`
    pub database: &'a str,
    /// What only the catalog and the session know.
    pub catalog: &'a dyn CatalogFunctions,
    /// The clock and the random numbers of volatile functions.
    pub volatile: &'a dyn VolatileSource,
    /// Keeps regular expressions compiled from one row to the next, if there are many.
    pub regexes: Option<&'a RegexCache>,
}

impl core::fmt::Debug for EvalContext<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("EvalContext").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl EvalContext<'static> {
    /// UTC at the epoch, no catalog, nothing volatile: what constant folding and deferred writes on a replica may see.
    pub const PURE: EvalContext<'static> = EvalContext {
        settings: TextSettings::DEFAULT,
        statement_micros: 0,
        session_user: "",
        current_user: "",
        database: "",
        catalog: &NoCatalog,
        volatile: &NoVolatile,
        regexes: None,
    };
}

/// Functions whose answer comes from the catalog or the session.
pub trait CatalogFunctions {
    /// Calls a function by its `pg_proc.proname`; `arguments` have the types of its definition. Reached by every definition that is answered outside
    /// (`format_type` is not: it needs no catalog).
    ///
    /// # Errors
    /// Whatever the function raises; 0A000 if nobody answers it here.
    fn call(&self, function: &'static str, arguments: &[&Value]) -> Result<Value, EvalError>;

    /// The table, index or sequence of a (possibly qualified, possibly quoted) name: `regclass` input.
    fn find_relation(&self, name: &str) -> Option<u32>;

    /// Its name as `regclass` prints it: qualified only if the search path does not find it.
    fn relation_name(&self, oid: u32) -> Option<Box<str>>;
}

/// No catalog at all.
#[derive(Clone, Copy, Debug)]
pub struct NoCatalog;

impl CatalogFunctions for NoCatalog {
    fn call(&self, function: &'static str, _arguments: &[&Value]) -> Result<Value, EvalError> {
        Err(EvalError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("function {function} cannot be evaluated here"),
        ))
    }

    fn find_relation(&self, _name: &str) -> Option<u32> {
        None
    }

    fn relation_name(&self, _oid: u32) -> Option<Box<str>> {
        None
    }
}

/// The clock and the generator behind `clock_timestamp()`, `random()` and `gen_random_uuid()`.
pub trait VolatileSource {
    /// Microseconds since 2000-01-01 UTC, now.
    fn wall_micros(&self) -> Result<i64, EvalError>;

    /// Sixty-four uniformly distributed bits.
    fn random_bits(&self) -> Result<u64, EvalError>;
}

/// Refuses: a volatile function must be evaluated where the statement runs, and its value travels.
#[derive(Clone, Copy, Debug)]
pub struct NoVolatile;

impl VolatileSource for NoVolatile {
    fn wall_micros(&self) -> Result<i64, EvalError> {
        Err(EvalError::internal("a volatile function cannot be evaluated here"))
    }

    fn random_bits(&self) -> Result<u64, EvalError> {
        Err(EvalError::internal("a volatile function cannot be evaluated here"))
    }
}
