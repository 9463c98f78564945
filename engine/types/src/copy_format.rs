//! The three formats of COPY: bytes ↔ records of fields, as PostgreSQL 15 reads and writes them.
//!
//! | format | a record | NULL |
//! |---|---|---|
//! | text | fields between delimiters, a line end; `\` escapes | `\N`, or as told, unescaped |
//! | CSV | fields between delimiters, quoted where needed, a line end | nothing, or as told, unquoted |
//! | binary | int16 field count, then int32 length and bytes a field | length −1 |
//!
//! Pure and incremental: bytes come in pieces that end anywhere, records go out one at a time, lent. What the fields mean is the caller's affair, and
//! so is their encoding: text fields may hold any bytes. A line ends as the first one did: `\n`, `\r` or `\r\n`. `\.` alone on a line ends the data.
//! Source: PostgreSQL 15, COPY, "File Formats", and the answers of a running server.

mod error;
mod options;
mod reader;
mod writer;

pub use error::{CopyFormatError, CopyOptionError};
pub use options::{
    ColumnChoice, CopyDirection, CopyFormat, CopyHeader, CopyOptionTexts, CopyOptions,
};
pub use reader::{CopyReader, CopyRecord};
pub use writer::{CopyRow, CopyWriter};

/// What every binary file begins with.
const BINARY_SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

#[cfg(test)]
mod tests;
