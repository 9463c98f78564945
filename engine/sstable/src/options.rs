//! What a builder is told: the shape of the table, which readers depend on, and sizes, which they do not.

use crate::page::Compression;
use alloc::vec::Vec;
use types::schema::KeyColumn;
use types::{ColumnId, SqlType, TableId, Value};

/// How pages are ordered in a row group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutChoice {
    /// Together by rows where all columns of a page's rows take at most this many bytes, so that a point read is one range; else together by column. Pages
    /// get
    /// down to a quarter of their rows if that is what makes them fit, judged by the row group before.
    ByWidth {
        /// Encoded bytes of a page's rows.
        point_read_bytes: usize,
    },
    /// Together by column.
    Columns,
    /// Together by rows.
    Rows,
}

/// Sizes; no reader depends on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableOptions {
    /// Rows of a page, at least one. A key's versions stay in one page up to twice as many.
    pub page_rows: usize,
    /// Bytes of rows after which a page ends even so.
    pub page_row_bytes: usize,
    /// Rows of a row group.
    pub group_rows: usize,
    /// Bytes of rows after which a row group ends even so.
    pub group_row_bytes: usize,
    /// Order of pages.
    pub layout: LayoutChoice,
    /// Compression on top of encodings.
    pub compression: Compression,
}

impl Default for TableOptions {
    fn default() -> TableOptions {
        TableOptions {
            page_rows: 1024,
            page_row_bytes: 1 << 20,
            group_rows: 32 * 1024,
            group_row_bytes: 32 << 20,
            layout: LayoutChoice::ByWidth { point_read_bytes: 16 * 1024 },
            compression: Compression::Lz4,
        }
    }
}

/// One stored column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnSpec {
    /// Identity.
    pub id: ColumnId,
    /// Type.
    pub sql_type: SqlType,
    /// What rows hold that were written before the column was added.
    pub missing: Value,
}

/// Whether rows carry their execute_at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versioning {
    /// Each row has its own.
    PerRow,
    /// None has one: a bulk write's file, one version a key, published by a version edit.
    Sealed,
}

/// What the rows of a file are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableShape {
    /// The table.
    pub table_id: TableId,
    /// Mixed into every checksum, so that a block of another file is noticed: the file's id.
    pub salt: u64,
    /// All stored columns in order, dropped ones included.
    pub columns: Vec<ColumnSpec>,
    /// The key columns in key order.
    pub key: Vec<KeyColumn>,
    /// Whether rows carry their execute_at.
    pub versioning: Versioning,
}
