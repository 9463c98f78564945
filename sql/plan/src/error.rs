//! Why a statement cannot be planned: a SQLSTATE, PostgreSQL's message, and where in the text.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use types::SqlState;

/// What a caller does with it is the same for all: it tells the client. So there is one shape, and the SQLSTATE is its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PlanError {
    /// The kind.
    pub state: SqlState,
    /// The primary message, in PostgreSQL's words where it has some.
    pub message: Cow<'static, str>,
    /// Byte offset in the statement string, from zero.
    pub position: Option<usize>,
    /// DETAIL.
    pub detail: Option<Box<str>>,
    /// HINT.
    pub hint: Option<Box<str>>,
}

/// Boxed: the success path stays small.
pub type Result<T> = core::result::Result<T, Box<PlanError>>;

impl PlanError {
    /// An error without a place.
    pub fn new(state: SqlState, message: impl Into<Cow<'static, str>>) -> Box<PlanError> {
        Box::new(PlanError {
            state,
            message: message.into(),
            position: None,
            detail: None,
            hint: None,
        })
    }

    /// An error at a byte offset.
    pub fn at(
        state: SqlState,
        position: usize,
        message: impl Into<Cow<'static, str>>,
    ) -> Box<PlanError> {
        let mut error = PlanError::new(state, message);
        error.position = Some(position);
        error
    }

    /// 0A000 naming the feature.
    pub fn unsupported(feature: impl core::fmt::Display) -> Box<PlanError> {
        PlanError::new(SqlState::FEATURE_NOT_SUPPORTED, format!("{feature} is not supported yet"))
    }

    /// 42601.
    pub fn syntax(position: usize, message: impl Into<Cow<'static, str>>) -> Box<PlanError> {
        PlanError::at(SqlState::SYNTAX_ERROR, position, message)
    }

    /// With a HINT.
    pub fn hint(mut self: Box<Self>, hint: impl Into<String>) -> Box<PlanError> {
        self.hint = Some(hint.into().into_boxed_str());
        self
    }

    /// With a DETAIL.
    pub fn detail(mut self: Box<Self>, detail: impl Into<String>) -> Box<PlanError> {
        self.detail = Some(detail.into().into_boxed_str());
        self
    }

    /// With a place, unless it has one.
    pub fn or_at(mut self: Box<Self>, position: usize) -> Box<PlanError> {
        self.position.get_or_insert(position);
        self
    }

    /// The place as clients count: characters from one.
    pub fn character_position(&self, text: &str) -> Option<usize> {
        let offset = self.position?;
        let end = (0..=offset.min(text.len())).rev().find(|end| text.is_char_boundary(*end))?;
        Some(text[..end].chars().count() + 1)
    }
}
