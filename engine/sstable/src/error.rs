//! Why a table file could not be written or read.
//!
//! [`SstableError::kind`] is what a caller acts on: damage fences the range or asks a replica; a request error is the caller's own mistake.

use alloc::boxed::Box;
use types::row::RowError;

/// What the caller does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The bytes are not what was written: fence the range or repair it from a replica.
    Damage,
    /// The file was written by a program that knows more than this one.
    UnknownFormat,
    /// The row given to the builder does not have the shape of its table.
    Row,
    /// The request does not fit the file.
    Request,
}

/// Why a table file could not be written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SstableError {
    /// The file does not begin or end as a table file does.
    #[error("this is not a table file: {reason}")]
    NotATable {
        /// Which mark is missing.
        reason: &'static str,
    },
    /// The format version is not known here.
    #[error("table file format {found} is not known; this program reads up to {known}")]
    UnknownFormat {
        /// In the file.
        found: u16,
        /// Highest known.
        known: u16,
    },
    /// A checksum does not agree with its bytes.
    #[error("checksum of the {section} at offset {offset} does not agree with its bytes")]
    Checksum {
        /// What is damaged.
        section: Section,
        /// Byte offset in the file.
        offset: u64,
    },
    /// Bytes whose checksum agrees break the format.
    #[error("the {section} at offset {offset} is malformed: {reason}")]
    Malformed {
        /// What is damaged.
        section: Section,
        /// Byte offset in the file.
        offset: u64,
        /// Which rule is broken.
        reason: &'static str,
    },
    /// Bytes that were asked for did not come, or came in another length.
    #[error("{expected} bytes at offset {offset} were asked for and {found} came")]
    WrongLength {
        /// Byte offset in the file.
        offset: u64,
        /// Asked for.
        expected: u64,
        /// Came.
        found: u64,
    },
    /// A sealed file has no timestamps of its own and none was given.
    #[error("the table file is sealed and no version edit has published it")]
    Unpublished,
    /// A column that the caller must decode first was not given.
    #[error("column {column} of the page was not given")]
    ColumnNotGiven {
        /// Slot of the column in its file.
        column: u16,
    },
    /// The row given to the builder is damaged or has the wrong shape.
    #[error("a row given to the table builder does not fit its table")]
    Row {
        /// Where.
        #[source]
        source: RowError,
    },
    /// The row given to the builder has more columns than its table.
    #[error("a row of {found} columns was given to the builder of a table of {expected}")]
    RowTooWide {
        /// Columns of the table.
        expected: usize,
        /// Columns of the row.
        found: usize,
    },
    /// A key given to the builder is not one of its table.
    #[error("a key given to the table builder does not decode as a key of its table: {key:?}")]
    Key {
        /// The encoded key.
        key: Box<[u8]>,
    },
}

/// Parts of a file, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// The first bytes.
    Header,
    /// A page of a column chunk.
    Page,
    /// The key filter.
    KeyFilter,
    /// The metadata.
    Metadata,
    /// The last bytes.
    Trailer,
}

impl core::fmt::Display for Section {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Section::Header => "header",
            Section::Page => "page",
            Section::KeyFilter => "key filter",
            Section::Metadata => "metadata",
            Section::Trailer => "trailer",
        })
    }
}

impl SstableError {
    /// What the caller does about it.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            SstableError::NotATable { .. }
            | SstableError::Checksum { .. }
            | SstableError::Malformed { .. } => ErrorKind::Damage,
            SstableError::UnknownFormat { .. } => ErrorKind::UnknownFormat,
            SstableError::Row { .. }
            | SstableError::RowTooWide { .. }
            | SstableError::Key { .. } => ErrorKind::Row,
            SstableError::WrongLength { .. }
            | SstableError::Unpublished
            | SstableError::ColumnNotGiven { .. } => ErrorKind::Request,
        }
    }
}
