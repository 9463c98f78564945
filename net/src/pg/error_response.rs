//! What a client is told when something goes wrong: the fields of ErrorResponse and NoticeResponse, and how they become bytes.
//!
//! [`PgError`] is one pointer wide, so that a `Result` on the hot path stays small; it is made rarely and read once. The wire form is a list of
//! one-letter fields, each a C string, ended by a zero byte.
//! Source: PostgreSQL 15, "Error and Notice Message Fields".

use types::SqlState;

/// How bad it is; decides between ErrorResponse and NoticeResponse, and whether the connection lives on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The statement failed; the connection lives on.
    Error,
    /// The connection is closed after this message.
    Fatal,
    /// A notice: likely to be a mistake.
    Warning,
    /// A notice: worth knowing.
    Notice,
    /// A notice: information that was asked for.
    Info,
}

impl Severity {
    /// The word on the wire, never translated.
    pub const fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "ERROR",
            Severity::Fatal => "FATAL",
            Severity::Warning => "WARNING",
            Severity::Notice => "NOTICE",
            Severity::Info => "INFO",
        }
    }
}

/// The schema objects that an error is about, for clients that look constraints up by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorSubject {
    /// Schema name.
    pub schema: Option<String>,
    /// Table name.
    pub table: Option<String>,
    /// Column name.
    pub column: Option<String>,
    /// Data type name.
    pub data_type: Option<String>,
    /// Constraint name.
    pub constraint: Option<String>,
}

/// All fields of an error or notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorFields {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of thing went wrong.
    pub sqlstate: SqlState,
    /// One line, what went wrong.
    pub message: String,
    /// More facts, if any.
    pub detail: Option<String>,
    /// What to do, if anything.
    pub hint: Option<String>,
    /// Where in the statement, in characters from 1.
    pub position: Option<u32>,
    /// Where it happened, one line per frame ("COPY t, line 3: …").
    pub where_: Option<String>,
    /// What it is about.
    pub subject: ErrorSubject,
}

/// An error or notice for a client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}: {}", .0.severity.as_str(), .0.sqlstate, .0.message)]
pub struct PgError(Box<ErrorFields>);

impl PgError {
    /// An error with severity ERROR.
    pub fn new(sqlstate: SqlState, message: impl Into<String>) -> PgError {
        PgError::with_severity(Severity::Error, sqlstate, message)
    }

    /// An error after which the connection is closed.
    pub fn fatal(sqlstate: SqlState, message: impl Into<String>) -> PgError {
        PgError::with_severity(Severity::Fatal, sqlstate, message)
    }

    /// An error or notice of the given severity.
    pub fn with_severity(
        severity: Severity,
        sqlstate: SqlState,
        message: impl Into<String>,
    ) -> PgError {
        PgError(Box::new(ErrorFields {
            severity,
            sqlstate,
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
            where_: None,
            subject: ErrorSubject::default(),
        }))
    }

    /// A protocol violation, 08P01.
    pub fn protocol(message: impl Into<String>) -> PgError {
        PgError::new(SqlState::PROTOCOL_VIOLATION, message)
    }

    /// The same error, with more facts.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> PgError {
        self.0.detail = Some(detail.into());
        self
    }

    /// The same error, with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> PgError {
        self.0.hint = Some(hint.into());
        self
    }

    /// The same error, with a position in the statement, in characters from 1.
    #[must_use]
    pub fn position(mut self, position: u32) -> PgError {
        self.0.position = Some(position);
        self
    }

    /// The same error, with the place where it happened.
    #[must_use]
    pub fn in_context(mut self, place: impl Into<String>) -> PgError {
        self.0.where_ = Some(place.into());
        self
    }

    /// The same error, with the objects that it is about.
    #[must_use]
    pub fn about(mut self, subject: ErrorSubject) -> PgError {
        self.0.subject = subject;
        self
    }

    /// The same error as FATAL.
    #[must_use]
    pub fn into_fatal(mut self) -> PgError {
        self.0.severity = Severity::Fatal;
        self
    }

    /// All fields.
    pub fn fields(&self) -> &ErrorFields {
        &self.0
    }

    /// The SQLSTATE.
    pub fn sqlstate(&self) -> SqlState {
        self.0.sqlstate
    }

    /// Whether the connection must be closed after this error.
    pub fn is_fatal(&self) -> bool {
        self.0.severity == Severity::Fatal
    }
}

/// Appends the body of an ErrorResponse or NoticeResponse.
pub(crate) fn encode_fields(fields: &ErrorFields, buffer: &mut Vec<u8>) {
    put_field(buffer, b'S', Some(fields.severity.as_str()));
    put_field(buffer, b'V', Some(fields.severity.as_str()));
    put_field(buffer, b'C', Some(fields.sqlstate.as_str()));
    put_field(buffer, b'M', Some(&fields.message));
    put_field(buffer, b'D', fields.detail.as_deref());
    put_field(buffer, b'H', fields.hint.as_deref());
    if let Some(position) = fields.position {
        put_field(buffer, b'P', Some(&position.to_string()));
    }
    put_field(buffer, b'W', fields.where_.as_deref());
    put_field(buffer, b's', fields.subject.schema.as_deref());
    put_field(buffer, b't', fields.subject.table.as_deref());
    put_field(buffer, b'c', fields.subject.column.as_deref());
    put_field(buffer, b'd', fields.subject.data_type.as_deref());
    put_field(buffer, b'n', fields.subject.constraint.as_deref());
    buffer.push(0);
}

fn put_field(buffer: &mut Vec<u8>, letter: u8, text: Option<&str>) {
    if let Some(text) = text {
        buffer.push(letter);
        put_cstring(buffer, text);
    }
}

/// Appends a C string. A zero byte inside would shift the rest of the message, so the text ends there.
pub(crate) fn put_cstring(buffer: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    buffer.extend_from_slice(&bytes[..end]);
    buffer.push(0);
}
