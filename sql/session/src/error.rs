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
    /// A table changed between planning and running: the statement may be planned anew and run again.
    pub schema_moved: bool,
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
            schema_moved: false,
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

impl From<oltp::StatementError> for SqlError {
    fn from(error: oltp::StatementError) -> SqlError {
        SqlError {
            detail: error.detail,
            hint: error.hint,
            constraint: error.constraint,
            ..SqlError::new(error.sqlstate, error.message)
        }
    }
}

impl From<functions::EvalError> for SqlError {
    fn from(error: functions::EvalError) -> SqlError {
        oltp::StatementError::from(error).into()
    }
}

impl From<oltp::OltpError> for SqlError {
    fn from(error: oltp::OltpError) -> SqlError {
        use oltp::OltpError;
        match error {
            OltpError::Statement(error) => error.into(),
            OltpError::Aborted(abort) => of_abort(&abort),
            OltpError::TooManyRows => SqlError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!(
                    "the statement changes or reads more than {} rows by key",
                    oltp::READ_ROWS_MAX
                ),
            )
            .with_hint("Narrow its condition."),
            OltpError::Damaged { table, column } => SqlError::new(
                SqlState::DATA_CORRUPTED,
                format!("a row of storage table {table} is damaged at column {column}"),
            )
            .with_hint("Stop the node and run `ringfence verify` on its data directory."),
            OltpError::Unavailable { sqlstate, message } => SqlError::new(sqlstate, message),
        }
    }
}

/// A transaction that took no effect.
fn of_abort(abort: &accord::Abort) -> SqlError {
    use accord::Abort;
    let conflict = |detail: &str| {
        SqlError::new(
            SqlState::SERIALIZATION_FAILURE,
            "could not serialize access due to concurrent update",
        )
        .with_detail(detail)
    };
    match abort {
        Abort::PointChanged(_) => conflict("A row that the transaction had read was changed by another transaction.")
            .with_hint("The transaction might succeed if retried."),
        Abort::RangeChanged(_) => {
            conflict("Rows of a table that the transaction had read as a whole were changed by another transaction.")
                .with_hint("Retry, or use SET LOCAL ringfence.read_consistency = 'snapshot' if write skew is acceptable.")
        }
        Abort::SchemaChanged { .. } => {
            let mut error =
                conflict("The schema of a table was changed by another transaction.")
                    .with_hint("The transaction might succeed if retried.");
            error.schema_moved = true;
            error
        }
        Abort::SnapshotTooOld => SqlError::new(SqlState::SNAPSHOT_TOO_OLD, "snapshot too old")
            .with_hint("The history that the transaction reads is no longer kept; begin a new transaction."),
        Abort::ReadFailed(reason) => SqlError::new(
            SqlState::IO_ERROR,
            format!("rows could not be read: {}", String::from_utf8_lossy(reason)),
        ),
        Abort::NotLogged(reason) => match oltp::StatementError::decode(reason) {
            Ok(error) => error.into(),
            Err(_) => SqlError::new(
                SqlState::IO_ERROR,
                format!("the transaction could not be logged: {}", String::from_utf8_lossy(reason)),
            ),
        },
        Abort::Refused(bytes) => match oltp::StatementError::decode(bytes) {
            Ok(error) => error.into(),
            Err(error) => SqlError::new(
                SqlState::INTERNAL_ERROR,
                format!("a refusal could not be decoded: {error}"),
            ),
        },
    }
}
