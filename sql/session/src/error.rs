//! What a client is told when something goes wrong. The SQLSTATE of every failure is chosen here and nowhere else.

use core::fmt;
use types::SqlState;

/// An error as the wire carries it. Source: PostgreSQL 15, "Error and Notice Message Fields".
#[derive(Clone, Debug)]
pub struct SqlError {
    /// The five characters.
    pub sqlstate: SqlState,
    /// One line.
    pub message: String,
    /// More about this case.
    pub detail: Option<String>,
    /// What to do.
    pub hint: Option<String>,
    /// Where in the statement, in characters from 1.
    pub position: Option<u32>,
    /// Name of the violated constraint.
    pub constraint: Option<String>,
    /// Where it happened when that is not plain (line of a COPY).
    pub context: Option<String>,
    /// The connection ends with it.
    pub fatal: bool,
}

impl SqlError {
    /// An error of a message only.
    pub fn new(sqlstate: SqlState, message: impl Into<String>) -> SqlError {
        SqlError {
            sqlstate,
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
            constraint: None,
            context: None,
            fatal: false,
        }
    }

    /// Something that is not built, by its name.
    pub fn not_supported(feature: impl fmt::Display) -> SqlError {
        SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("{feature} is not supported"))
    }

    /// Adds detail.
    pub fn with_detail(mut self, detail: impl Into<String>) -> SqlError {
        self.detail = Some(detail.into());
        self
    }

    /// Adds a hint.
    pub fn with_hint(mut self, hint: impl Into<String>) -> SqlError {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a position.
    pub fn with_position(mut self, position: Option<u32>) -> SqlError {
        self.position = position;
        self
    }

    /// Adds the constraint's name.
    pub fn with_constraint(mut self, constraint: impl Into<String>) -> SqlError {
        self.constraint = Some(constraint.into());
        self
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.sqlstate, self.message)
    }
}

impl std::error::Error for SqlError {}
