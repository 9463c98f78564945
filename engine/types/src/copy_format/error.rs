//! What can be wrong with COPY's options and with its data.

use alloc::string::String;

use crate::SqlState;

/// An option that COPY cannot take; the text and code are PostgreSQL's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CopyOptionError {
    /// The code.
    pub sqlstate: SqlState,
    /// The message.
    pub message: String,
}

/// Data that is not in the format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CopyFormatError {
    /// A record has more fields than there are columns.
    #[error("extra data after last expected column")]
    ExtraData,
    /// A record ends before all columns have a field.
    #[error("missing data for column \"{column}\"")]
    MissingData {
        /// The first column without a field.
        column: String,
    },
    /// A bare newline where lines end otherwise.
    #[error("{} newline found in data", quoting(*.is_csv))]
    Newline {
        /// Whether the format is CSV.
        is_csv: bool,
    },
    /// A bare carriage return where lines end otherwise.
    #[error("{} carriage return found in data", quoting(*.is_csv))]
    CarriageReturn {
        /// Whether the format is CSV.
        is_csv: bool,
    },
    /// `\.` with something behind it.
    #[error("end-of-copy marker corrupt")]
    EndMarkerCorrupt,
    /// `\.` on a line that ends in another way than those before it.
    #[error("end-of-copy marker does not match previous newline style")]
    EndMarkerNewline,
    /// The data ends inside quotes.
    #[error("unterminated CSV quoted field")]
    UnterminatedQuote,
    /// The header line has another number of fields.
    #[error("wrong number of fields in header line: field count is {found}, expected {expected}")]
    HeaderFieldCount {
        /// Fields of the line.
        found: usize,
        /// Columns.
        expected: usize,
    },
    /// A field of the header line is not its column's name.
    #[error(
        "column name mismatch in header line field {number}: got {found}, expected \"{expected}\""
    )]
    HeaderName {
        /// Which field, from 1.
        number: usize,
        /// What it holds, in quotes, or that it is null.
        found: String,
        /// The column's name.
        expected: String,
    },
    /// One record is longer than the reader may hold.
    #[error("a record of COPY data is longer than {bytes_max} bytes")]
    RecordTooLong {
        /// How long it may be.
        bytes_max: usize,
    },
    /// The binary signature is missing.
    #[error("COPY file signature not recognized")]
    BinarySignature,
    /// The binary flags say that rows carry oids.
    #[error("invalid COPY file header (WITH OIDS)")]
    BinaryOids,
    /// The binary flags have a bit that must be understood and is not.
    #[error("unrecognized critical flags in COPY file header")]
    BinaryFlags,
    /// The length of the binary header's extension is a lie.
    #[error("invalid COPY file header (wrong length)")]
    BinaryHeaderLength,
    /// A binary row has another number of fields.
    #[error("row field count is {found}, expected {expected}")]
    BinaryFieldCount {
        /// Fields of the row.
        found: i16,
        /// Columns.
        expected: usize,
    },
    /// A length that no field can have.
    #[error("invalid field size")]
    BinaryFieldLength,
    /// The data ends inside a row, or without its trailer.
    #[error("unexpected EOF in COPY data")]
    UnexpectedEnd,
    /// Something follows the binary trailer.
    #[error("received copy data after EOF marker")]
    DataAfterEnd,
}

fn quoting(is_csv: bool) -> &'static str {
    if is_csv { "unquoted" } else { "literal" }
}

impl CopyFormatError {
    /// The SQLSTATE.
    pub fn sqlstate(&self) -> SqlState {
        match self {
            CopyFormatError::RecordTooLong { .. } => SqlState::PROGRAM_LIMIT_EXCEEDED,
            _ => SqlState::BAD_COPY_FILE_FORMAT,
        }
    }

    /// What to do about it, if PostgreSQL has advice.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            CopyFormatError::Newline { is_csv: true } => {
                Some("Use quoted CSV field to represent newline.")
            }
            CopyFormatError::Newline { is_csv: false } => Some("Use \"\\n\" to represent newline."),
            CopyFormatError::CarriageReturn { is_csv: true } => {
                Some("Use quoted CSV field to represent carriage return.")
            }
            CopyFormatError::CarriageReturn { is_csv: false } => {
                Some("Use \"\\r\" to represent carriage return.")
            }
            _ => None,
        }
    }
}
