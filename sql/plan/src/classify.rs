//! Which path runs a statement, and why. EXPLAIN prints it.

use crate::point_plan::Access;
use crate::query::{Query, Rel, Subqueries, WithBody};
use crate::statement::{CopyDirection, Ddl, InsertSource, ShortRead, Statement, TableAccess};
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
    /// Rows whose keys are in an array.
    Array,
    /// Neighbouring rows of one partition.
    KeyRange,
    /// Rows found by a prefix of an index.
    Index,
    /// It inserts rows that are in its text or its parameters.
    Insert,
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
    /// It reads computed tables only: no snapshot is needed.
    Catalog,
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
            Path::Oltp(OltpReason::Array) => f.write_str("path: oltp (points of an array)"),
            Path::Oltp(OltpReason::KeyRange) => f.write_str("path: oltp (key range, 1 shard)"),
            Path::Oltp(OltpReason::Index) => f.write_str("path: oltp (index, all shards)"),
            Path::Oltp(OltpReason::Insert) => f.write_str("path: oltp (insert)"),
            Path::Oltp(OltpReason::NoTable) => f.write_str("path: oltp (no table)"),
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
            OlapReason::Catalog => "catalog",
            OlapReason::FootprintByReading => "rows to change are found by reading",
        })
    }
}

/// The path of a bound statement.
pub(crate) fn classify(statement: &Statement, subqueries: &Subqueries) -> Path {
    match statement {
        Statement::Select(select) => match &select.short {
            Some(short) => Path::Oltp(short_reason(short)),
            None => Path::Olap(query_reason(&select.query, subqueries)),
        },
        Statement::Insert(insert) => match &insert.source {
            InsertSource::Rows(_) => Path::Oltp(OltpReason::Insert),
            InsertSource::Query { query, .. } => Path::Olap(query_reason(query, subqueries)),
        },
        Statement::Update(update) => change_path(&update.target),
        Statement::Delete(delete) => change_path(&delete.target),
        Statement::Copy(copy) => match &copy.direction {
            CopyDirection::From { .. } => Path::Oltp(OltpReason::Insert),
            CopyDirection::To { query } => Path::Olap(query_reason(query, subqueries)),
        },
        Statement::Ddl(ddl) => match &**ddl {
            Ddl::CreateTable { source: Some(query), .. } => {
                Path::Olap(query_reason(query, subqueries))
            }
            _ => Path::Session,
        },
        _ => Path::Session,
    }
}

fn change_path(target: &TableAccess) -> Path {
    if matches!(target.access, Access::Whole) {
        return Path::Olap(OlapReason::FootprintByReading);
    }
    Path::Oltp(access_reason(&target.access))
}

fn access_reason(access: &Access) -> OltpReason {
    match access {
        Access::Points(keys) => OltpReason::Point { keys: keys.len() },
        Access::Among(_) => OltpReason::Array,
        Access::KeyRange(_) => OltpReason::KeyRange,
        Access::IndexRange { .. } => OltpReason::Index,
        Access::Nothing | Access::Whole => OltpReason::Point { keys: 0 },
    }
}

fn short_reason(short: &ShortRead) -> OltpReason {
    short.source.as_ref().map_or(OltpReason::NoTable, |source| access_reason(&source.access))
}

/// What makes a query analytic: the first of these that its tree has, from the outside in.
fn query_reason(query: &Query, subqueries: &Subqueries) -> OlapReason {
    let mut shape = Shape::default();
    shape.look(&query.root);
    for inner in &subqueries.queries {
        shape.look(&inner.root);
    }
    for with in &subqueries.with {
        match &with.body {
            WithBody::Plain(rel) => shape.look(rel),
            WithBody::Recursive { start, step, .. } => {
                shape.look(start);
                shape.look(step);
            }
        }
    }
    if shape.computed && !shape.stored {
        return OlapReason::Catalog;
    }
    if let Some(reason) = shape.reason {
        return reason;
    }
    if !subqueries.queries.is_empty() {
        return OlapReason::Subquery;
    }
    OlapReason::WholeTable
}

#[derive(Default)]
struct Shape {
    reason: Option<OlapReason>,
    stored: bool,
    computed: bool,
}

impl Shape {
    fn look(&mut self, rel: &Rel) {
        let found = match rel {
            Rel::OneRow | Rel::Values { .. } => None,
            Rel::Scan(_) => {
                self.stored = true;
                None
            }
            Rel::VirtualScan(_) => {
                self.computed = true;
                None
            }
            Rel::FunctionScan(_) => Some(OlapReason::SetFunction),
            Rel::ProjectSet { input, .. } => {
                self.note(OlapReason::SetFunction);
                self.look(input);
                None
            }
            Rel::Project { input, .. }
            | Rel::Filter { input, .. }
            | Rel::Sort { input, .. }
            | Rel::Limit { input, .. } => {
                self.look(input);
                None
            }
            Rel::Join(join) => {
                self.note(OlapReason::Join);
                self.look(&join.left);
                self.look(&join.right);
                None
            }
            Rel::Aggregate(aggregate) => {
                self.note(OlapReason::Aggregate);
                self.look(&aggregate.input);
                None
            }
            Rel::Window { input, .. } => {
                self.note(OlapReason::Window);
                self.look(input);
                None
            }
            Rel::Distinct { input, .. } => {
                self.note(OlapReason::Distinct);
                self.look(input);
                None
            }
            Rel::SetOperation { left, right, .. } => {
                self.note(OlapReason::SetOperation);
                self.look(left);
                self.look(right);
                None
            }
            Rel::WithScan { .. } | Rel::WorkTable { .. } => Some(OlapReason::With),
        };
        if let Some(reason) = found {
            self.note(reason);
        }
    }

    fn note(&mut self, reason: OlapReason) {
        self.reason.get_or_insert(reason);
    }
}
