//! Which expressions give the same answer wherever they are evaluated, given their row, their parameters and the settings that travel with them.
//!
//! Time zone, date order, the times of transaction and statement, and the names of the user travel ([`crate::EvalContext`]'s plain fields). The clock, random
//! numbers, sequences, the catalog and the rest of the session do not: such an expression is evaluated where its session is, and its value travels.

use super::Expr;
use crate::registry::{FunctionId, Volatility};
use crate::{find_cast, library};
use types::SqlType;

/// Why an expression must be evaluated where its session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPortable {
    /// Its answer is another one at each call.
    #[error("{function}() gives another answer at each call: evaluate it where the statement runs")]
    Volatile {
        /// Its name.
        function: &'static str,
    },
    /// The catalog or the session answers.
    #[error("{function}() asks the session or the catalog: evaluate it where the statement runs")]
    Session {
        /// Its name.
        function: &'static str,
    },
    /// A relation's name is looked up.
    #[error(
        "a conversion from or to regclass looks up a name: evaluate it where the statement runs"
    )]
    RelationName,
    /// A function or a conversion that this library does not have.
    #[error("a function or a conversion that does not exist here")]
    Unknown,
    /// A subquery or a column of an enclosing query.
    #[error("a subquery does not travel: run it first")]
    Query,
}

impl Expr {
    /// Whether it may travel.
    ///
    /// # Errors
    /// The first part that may not.
    pub fn check_portable(&self) -> Result<(), NotPortable> {
        let mut verdict = Ok(());
        self.walk(&mut |part| {
            if verdict.is_ok() {
                verdict = part.own_portability();
            }
        });
        verdict
    }

    fn own_portability(&self) -> Result<(), NotPortable> {
        match self {
            Expr::Outer { .. } | Expr::Subquery { .. } => Err(NotPortable::Query),
            Expr::Call { function, .. } => self.function_portability(*function),
            Expr::Distinct { equality, .. }
            | Expr::NullIf { equality, .. }
            | Expr::InList { equality, .. } => self.function_portability(*equality),
            Expr::Quantified { operator, .. } => self.function_portability(*operator),
            Expr::Cast { argument, to, kind } => {
                let (from, to) = (argument.sql_type(), to.sql_type);
                let cast = find_cast(from, to, *kind).ok_or(NotPortable::Unknown)?;
                let names = from == SqlType::Regclass || to == SqlType::Regclass;
                match cast.volatility() {
                    Volatility::Immutable => Ok(()),
                    _ if names => Err(NotPortable::RelationName),
                    Volatility::Stable => Ok(()),
                    Volatility::Volatile => Err(NotPortable::Unknown),
                }
            }
            _ => Ok(()),
        }
    }

    fn function_portability(&self, function: FunctionId) -> Result<(), NotPortable> {
        let definition = function.definition().ok_or(NotPortable::Unknown)?;
        let function = definition.name;
        if definition.volatility == Volatility::Volatile {
            return Err(NotPortable::Volatile { function });
        }
        if library::asks_session(function) {
            return Err(NotPortable::Session { function });
        }
        let names = self.sql_type() == SqlType::Regclass
            || self.children().iter().any(|part| part.sql_type() == SqlType::Regclass);
        if names && definition.volatility == Volatility::Stable {
            return Err(NotPortable::RelationName);
        }
        Ok(())
    }
}
