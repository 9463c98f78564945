//! How the rows of a short statement are reached: whole primary keys, a range of clustering columns, a prefix of an index.
//!
//! The expressions of an access path see no columns: they are literals, parameters and functions of them that are stable within the statement. They
//! have the types of the key columns, casts included. A key expression that is NULL at run time matches nothing.

use alloc::vec::Vec;
use functions::Expr;

/// How rows are reached.
#[derive(Clone, Debug)]
pub enum Access {
    /// The rows with these whole keys (in key order); the same key may occur twice and counts once.
    Points(Vec<Vec<Expr>>),
    /// Rows of one partition, neighbours in key order.
    KeyRange(KeyRange),
    /// Rows whose index entries are neighbours; the entries lie in every slice, unless the range also fixes the partition.
    IndexRange {
        /// Into `TableSchema::indexes`.
        index: usize,
        /// Columns of the index.
        range: KeyRange,
    },
    /// The condition is never true.
    Nothing,
    /// Every row must be looked at.
    Whole,
}

/// A range of keys that share leading columns.
#[derive(Clone, Debug, Default)]
pub struct KeyRange {
    /// Values of the leading key columns.
    pub equal: Vec<Expr>,
    /// Where the next key column begins, in the column's own order (not the key's).
    pub lower: Option<RangeBound>,
    /// Where it ends.
    pub upper: Option<RangeBound>,
}

/// One end of a range.
#[derive(Clone, Debug)]
pub struct RangeBound {
    /// Value of the key column after the equal ones.
    pub value: Expr,
    /// Whether the value itself is in the range.
    pub inclusive: bool,
}

/// In what order an access path gives its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOrder {
    /// No order was asked for, or the sort keys remain to be applied.
    Any,
    /// Key order is the order asked for.
    Forward,
    /// Reverse key order is the order asked for.
    Backward,
}

/// What bounds the number of rows of an access path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowBound {
    /// The keys themselves.
    Keys,
    /// A LIMIT, with rows coming in the order asked for and no other condition.
    Limit,
    /// Nothing that is known before reading; the reader stops at a bound of its own and gives the statement to the other path.
    Unknown,
}
