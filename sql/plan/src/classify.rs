//! Which path runs a statement, and why. EXPLAIN prints it.

use core::fmt;

/// The path of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Short: the shard core runs it from the cached plan.
    Oltp(OltpReason),
    /// Analytics: background cores run it over a snapshot.
    Olap(OlapReason),
    /// A statement about the session or the schema; no path.
    Session,
}

/// Why a statement is short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OltpReason {
    /// It reads no table.
    NoTable,
    /// It reads or writes rows by their whole keys.
    Point {
        /// How many keys.
        keys: usize,
    },
    /// Neighbouring rows of one partition.
    KeyRange,
    /// Rows found by a prefix of an index.
    Index,
    /// It inserts rows that are in its text or its parameters.
    Insert,
    /// It reads computed tables only.
    Catalog,
}

/// Why a statement is not short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OlapReason {
    /// More than one relation.
    Join,
    /// GROUP BY or an aggregate.
    Aggregate,
    /// A window function.
    Window,
    /// UNION, INTERSECT, EXCEPT.
    SetOperation,
    /// A subquery.
    Subquery,
    /// WITH.
    With,
    /// DISTINCT.
    Distinct,
    /// A set-returning function.
    SetFunction,
    /// No condition fixes the key.
    WholeTable,
    /// Rows to change are found by reading the table; then they are changed by key.
    FootprintByReading,
}

impl Path {
    /// Whether the shard core runs it.
    pub const fn is_oltp(self) -> bool {
        matches!(self, Path::Oltp(_))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Oltp(OltpReason::Point { keys: 1 }) => f.write_str("path: oltp (point, 1 shard)"),
            Path::Oltp(OltpReason::Point { keys }) => write!(f, "path: oltp ({keys} points)"),
            Path::Oltp(OltpReason::KeyRange) => f.write_str("path: oltp (key range, 1 shard)"),
            Path::Oltp(OltpReason::Index) => f.write_str("path: oltp (index, all shards)"),
            Path::Oltp(OltpReason::Insert) => f.write_str("path: oltp (insert)"),
            Path::Oltp(OltpReason::NoTable) => f.write_str("path: oltp (no table)"),
            Path::Oltp(OltpReason::Catalog) => f.write_str("path: oltp (catalog)"),
            Path::Olap(reason) => write!(f, "path: olap ({reason})"),
            Path::Session => f.write_str("path: session"),
        }
    }
}

impl fmt::Display for OlapReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            OlapReason::Join => "join",
            OlapReason::Aggregate => "aggregate",
            OlapReason::Window => "window function",
            OlapReason::SetOperation => "set operation",
            OlapReason::Subquery => "subquery",
            OlapReason::With => "WITH query",
            OlapReason::Distinct => "DISTINCT",
            OlapReason::SetFunction => "set-returning function",
            OlapReason::WholeTable => "no condition fixes the key",
            OlapReason::FootprintByReading => "rows to change are found by reading",
        })
    }
}
