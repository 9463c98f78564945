//! Why a short transaction did not take effect.

use accord::Abort;
use types::codec::{DecodeError, Decoder, Encoder};
use types::{SqlState, TableId};

/// A refusal with its SQLSTATE, as a statement raises it. It travels between cores in encoded form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sqlstate}: {message}")]
pub struct StatementError {
    /// The kind.
    pub sqlstate: SqlState,
    /// PostgreSQL's primary message.
    pub message: String,
    /// DETAIL.
    pub detail: Option<String>,
    /// HINT.
    pub hint: Option<String>,
    /// The violated constraint.
    pub constraint: Option<String>,
}

impl StatementError {
    /// An error of a message only.
    pub fn new(sqlstate: SqlState, message: impl Into<String>) -> StatementError {
        StatementError {
            sqlstate,
            message: message.into(),
            detail: None,
            hint: None,
            constraint: None,
        }
    }

    /// Adds DETAIL.
    pub fn with_detail(mut self, detail: impl Into<String>) -> StatementError {
        self.detail = Some(detail.into());
        self
    }

    /// Adds HINT.
    pub fn with_hint(mut self, hint: impl Into<String>) -> StatementError {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the constraint's name.
    pub fn with_constraint(mut self, constraint: impl Into<String>) -> StatementError {
        self.constraint = Some(constraint.into());
        self
    }

    /// As an abort of a workload.
    pub(crate) fn into_abort(self) -> Abort {
        let mut encoder = Encoder::new();
        encoder.raw(&self.sqlstate.0);
        encoder.str(&self.message);
        for field in [&self.detail, &self.hint, &self.constraint] {
            encoder.bool(field.is_some());
            if let Some(text) = field {
                encoder.str(text);
            }
        }
        Abort::Refused(encoder.into_bytes())
    }

    /// From the bytes of [`Abort::Refused`].
    pub fn decode(bytes: &[u8]) -> Result<StatementError, DecodeError> {
        let decoder = &mut Decoder::new(bytes);
        let error = decoder.invalid("SQLSTATE");
        let sqlstate = SqlState(decoder.raw(5)?.try_into().map_err(|_| error)?);
        let message = decoder.string("message")?;
        let mut fields = [None, None, None];
        for field in &mut fields {
            if decoder.bool("field")? {
                *field = Some(decoder.string("field")?);
            }
        }
        let [detail, hint, constraint] = fields;
        Ok(StatementError { sqlstate, message, detail, hint, constraint })
    }
}

impl From<functions::EvalError> for StatementError {
    fn from(error: functions::EvalError) -> StatementError {
        StatementError {
            sqlstate: error.sqlstate,
            message: error.message.into(),
            detail: error.detail.map(Into::into),
            hint: error.hint.map(Into::into),
            constraint: None,
        }
    }
}

/// What a caller does next is in the variant.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OltpError {
    /// The statement is refused; tell the client.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// The transaction took no effect, because of the state of the database.
    #[error("the transaction took no effect: {0:?}")]
    Aborted(Abort),
    /// More rows than a shard core reads for one statement: run it as analytics.
    #[error("more rows than a shard core reads for one statement")]
    TooManyRows,
    /// A row's bytes do not have the shape of its table.
    #[error("a row of table {table} is damaged at column {column}")]
    Damaged {
        /// The storage table.
        table: TableId,
        /// Stored position of the column.
        column: usize,
    },
    /// The engine cannot answer now; whether a transaction took effect is stated.
    #[error("{message}")]
    Unavailable {
        /// SQLSTATE of the condition: 53xxx, 57P01, 58030 …
        sqlstate: SqlState,
        /// What is the matter and what to do.
        message: String,
    },
}

impl OltpError {
    /// The refusal inside an abort, decoded.
    pub fn of_abort(abort: Abort) -> OltpError {
        match abort {
            Abort::Refused(bytes) => match StatementError::decode(&bytes) {
                Ok(error) => OltpError::Statement(error),
                Err(error) => OltpError::Statement(StatementError::new(
                    SqlState::INTERNAL_ERROR,
                    format!("a refusal could not be decoded: {error}"),
                )),
            },
            other => OltpError::Aborted(other),
        }
    }
}
