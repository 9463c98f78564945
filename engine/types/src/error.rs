//! What went wrong with a value, as the client will see it: SQLSTATE, message, detail, hint.
//!
//! Text and binary input, arithmetic and functions all fail in PostgreSQL's words, so the words travel with the error from where it is raised;
//! no caller rewrites them.

use crate::SqlState;
use alloc::boxed::Box;
use alloc::string::String;

/// A value could not be read, converted or computed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sqlstate}: {message}")]
pub struct ValueError {
    /// PostgreSQL's code.
    pub sqlstate: SqlState,
    /// PostgreSQL's primary message.
    pub message: Box<str>,
    /// Its detail line.
    pub detail: Option<Box<str>>,
    /// Its hint line.
    pub hint: Option<Box<str>>,
}

impl ValueError {
    /// An error without detail and hint.
    #[cold]
    pub fn new(sqlstate: SqlState, message: impl Into<String>) -> ValueError {
        let message = message.into().into_boxed_str();
        ValueError { sqlstate, message, detail: None, hint: None }
    }

    /// Adds the detail line.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> ValueError {
        self.detail = Some(detail.into().into_boxed_str());
        self
    }

    /// Adds the hint line.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> ValueError {
        self.hint = Some(hint.into().into_boxed_str());
        self
    }

    /// `value out of range` of a named type: 22003.
    #[cold]
    pub fn out_of_range(type_name: &str) -> ValueError {
        ValueError::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            alloc::format!("{type_name} out of range"),
        )
    }

    /// 22012.
    #[cold]
    pub fn division_by_zero() -> ValueError {
        ValueError::new(SqlState::DIVISION_BY_ZERO, "division by zero")
    }

    /// An invariant of ours was broken by the caller; a defect, reported instead of a panic because the input may come from another node.
    #[cold]
    pub fn internal(message: impl Into<String>) -> ValueError {
        ValueError::new(SqlState::INTERNAL_ERROR, message)
    }
}
