//! A bound query: a tree of relations with positional columns.
//!
//! Every relation yields rows whose columns are counted from zero. An expression of a node sees the row of the node's input: `Column(i)` is its i-th
//! column. A join's row is the left row followed by the right row. Where an expression holds a subquery, the subquery lives in
//! [`Subqueries`], the one side table of the statement, and its `Outer { level: 1, index }` names a column of the row that the expression sees;
//! level 2 is the row that the expression around *that* subquery sees, and so on. The right side of a lateral join counts as a subquery of the join: its
//! level 1 is the left row.
//!
//! Names are gone, except in [`OutputColumn`]. Every type is known; casts are explicit.

mod walk;

use crate::catalog::VirtualTable;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use functions::{AggregateId, Expr};
use types::{ColumnType, SqlType, TableId, TableSchema};

/// A whole query.
#[derive(Clone, Debug)]
pub struct Query {
    /// The tree; its columns are [`Query::columns`].
    pub root: Rel,
    /// What a client sees of each column.
    pub columns: Vec<OutputColumn>,
}

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputColumn {
    /// Name as PostgreSQL gives it (`?column?` included).
    pub name: Box<str>,
    /// Type with modifier.
    pub column_type: ColumnType,
    /// The table column that it is, unchanged: table and attribute number.
    pub origin: Option<(TableId, i16)>,
}

/// All subqueries and WITH queries of a statement.
#[derive(Clone, Debug, Default)]
pub struct Subqueries {
    /// `Expr::Subquery { index, .. }` counts these.
    pub queries: Vec<Query>,
    /// [`Rel::WithScan`] and [`Rel::WorkTable`] count these; each names only earlier ones (or itself, when recursive).
    pub with: Vec<WithQuery>,
}

/// A query of a WITH clause.
#[derive(Clone, Debug)]
pub struct WithQuery {
    /// Its name, for EXPLAIN.
    pub name: Box<str>,
    /// What it computes.
    pub body: WithBody,
    /// Types of its columns.
    pub types: Vec<ColumnType>,
    /// How many places scan it; evaluated once when more than one, or when it is volatile.
    pub references: usize,
}

/// What a WITH query computes.
#[derive(Clone, Debug)]
pub enum WithBody {
    /// A query.
    Plain(Rel),
    /// `start UNION [ALL] step`, where `step` scans the rows of the round before as [`Rel::WorkTable`].
    Recursive {
        /// The first round.
        start: Rel,
        /// The next rounds, until one is empty.
        step: Rel,
        /// UNION ALL keeps duplicates.
        all: bool,
    },
}

/// A relation.
#[derive(Clone, Debug)]
pub enum Rel {
    /// One row without columns: a SELECT without FROM.
    OneRow,
    /// A table.
    Scan(Scan),
    /// A table that is computed: `pg_catalog`, `information_schema`, `ringfence`.
    VirtualScan(VirtualScan),
    /// Literal rows; all of one width.
    Values {
        /// Types of the columns.
        types: Vec<ColumnType>,
        /// The rows. The expressions see no columns.
        rows: Vec<Vec<Expr>>,
    },
    /// A set-returning function in FROM. Arguments see no columns but outer ones.
    FunctionScan(FunctionScan),
    /// New columns from old ones.
    Project {
        /// Where rows come from.
        input: Box<Rel>,
        /// One for each column.
        expressions: Vec<Expr>,
    },
    /// Set-returning functions of a select list: input columns, then one column for each function; rows are
    /// repeated, shorter functions give NULL.
    ProjectSet {
        /// Where rows come from.
        input: Box<Rel>,
        /// The functions.
        functions: Vec<SetFunction>,
    },
    /// Rows for which the condition is true.
    Filter {
        /// Where rows come from.
        input: Box<Rel>,
        /// Of type boolean.
        condition: Expr,
    },
    /// Two relations.
    Join(Box<Join>),
    /// Groups: one row each, the keys then the calls.
    Aggregate(Aggregate),
    /// Window functions: input columns, then one for each call.
    Window {
        /// Where rows come from.
        input: Box<Rel>,
        /// The calls; partition, order and arguments see the input row.
        calls: Vec<WindowCall>,
    },
    /// Rows in order.
    Sort {
        /// Where rows come from.
        input: Box<Rel>,
        /// Most significant first.
        keys: Vec<SortKey>,
    },
    /// Some of the rows. NULL means no limit, no offset.
    Limit {
        /// Where rows come from.
        input: Box<Rel>,
        /// LIMIT, a bigint; sees no columns.
        limit: Option<Expr>,
        /// OFFSET, a bigint; sees no columns.
        offset: Option<Expr>,
    },
    /// No two equal rows; or, with keys, the first row of each group (the input is sorted by them first).
    Distinct {
        /// Where rows come from.
        input: Box<Rel>,
        /// DISTINCT ON: key columns of the input.
        on: Option<Vec<usize>>,
    },
    /// UNION, INTERSECT, EXCEPT. Both sides have the same types.
    SetOperation {
        /// Which.
        operation: SetOperation,
        /// Keeps duplicates.
        all: bool,
        /// Left side.
        left: Box<Rel>,
        /// Right side.
        right: Box<Rel>,
    },
    /// The rows of a WITH query.
    WithScan {
        /// Into [`Subqueries::with`].
        index: usize,
        /// Types of its columns.
        types: Vec<ColumnType>,
    },
    /// Inside the step of a recursive WITH query: the rows of the round before.
    WorkTable {
        /// Into [`Subqueries::with`].
        index: usize,
        /// Types of its columns.
        types: Vec<ColumnType>,
    },
}

/// A scan of a stored table.
#[derive(Clone, Debug)]
pub struct Scan {
    /// The table at the version planned at.
    pub table: Arc<TableSchema>,
    /// Stored positions of the columns wanted, in output order.
    pub columns: Vec<u16>,
}

/// A scan of a computed table.
#[derive(Clone, Debug)]
pub struct VirtualScan {
    /// Which.
    pub table: VirtualTable,
    /// Positions of the columns wanted, in output order.
    pub columns: Vec<u16>,
}

/// A function that returns rows.
#[derive(Clone, Debug)]
pub struct FunctionScan {
    /// The function.
    pub function: SetFunction,
    /// A last column that counts the rows from one.
    pub ordinality: bool,
}

/// A call of a function that returns any number of rows.
#[derive(Clone, Debug)]
pub struct SetFunction {
    /// Which.
    pub kind: SetFunctionKind,
    /// Arguments, cast to what the kind says.
    pub arguments: Vec<Expr>,
    /// Type of its one column.
    pub column_type: ColumnType,
}

/// The functions that return sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetFunctionKind {
    /// `generate_series(start, stop[, step])` of int4, int8, numeric, timestamp or timestamptz (the step of the last two is an interval).
    GenerateSeries,
    /// `unnest(array)`
    Unnest,
    /// `generate_subscripts(array, dimension)`
    GenerateSubscripts,
    /// `regexp_split_to_table(text, pattern[, flags])`
    RegexpSplitToTable,
    /// `string_to_table(text, delimiter[, null])`
    StringToTable,
}

/// How two relations are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// Matching pairs (a cross join has no condition).
    Inner,
    /// And left rows without match.
    Left,
    /// And right rows without match.
    Right,
    /// And both.
    Full,
}

/// A join.
#[derive(Clone, Debug)]
pub struct Join {
    /// Left side.
    pub left: Rel,
    /// Right side.
    pub right: Rel,
    /// Kind.
    pub kind: JoinKind,
    /// Sees the left row, then the right row.
    pub condition: Option<Expr>,
    /// Whether the right side names columns of the left row (as `Outer` of level 1).
    pub lateral: Lateral,
}

/// Whether the right side of a join depends on the left row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lateral {
    /// It does not.
    Independent,
    /// It does, through `Outer` of level 1.
    Dependent,
}

/// Grouping.
#[derive(Clone, Debug)]
pub struct Aggregate {
    /// Where rows come from.
    pub input: Box<Rel>,
    /// All grouping keys; they are the first columns of the output. Without keys there is exactly one group, even of no rows.
    pub keys: Vec<Expr>,
    /// GROUPING SETS, ROLLUP, CUBE: the keys (by position) that count in each set, the others being NULL; empty for plain GROUP BY.
    pub sets: Vec<Vec<usize>>,
    /// The calls; their results follow the keys.
    pub calls: Vec<AggregateCall>,
    /// `GROUPING(…)`: for each, the keys it asks about; int4 columns after the calls.
    pub groupings: Vec<Vec<usize>>,
}

/// A call of an aggregate. Everything in it sees the row of the aggregate's input.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregateCall {
    /// Which.
    pub function: AggregateId,
    /// Of the types its definition takes; none for `count(*)`.
    pub arguments: Vec<Expr>,
    /// DISTINCT: equal arguments count once.
    pub distinct: bool,
    /// ORDER BY inside the call.
    pub order: Vec<SortKey>,
    /// FILTER.
    pub filter: Option<Expr>,
    /// Type of the answer.
    pub column_type: ColumnType,
}

/// A call of a window function.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowCall {
    /// Which.
    pub function: WindowFunction,
    /// Arguments, cast.
    pub arguments: Vec<Expr>,
    /// FILTER, of aggregates.
    pub filter: Option<Expr>,
    /// PARTITION BY.
    pub partition: Vec<Expr>,
    /// ORDER BY.
    pub order: Vec<SortKey>,
    /// Which rows of the partition count.
    pub frame: Frame,
    /// Type of the answer.
    pub column_type: ColumnType,
}

/// Functions over a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowFunction {
    /// An aggregate over the frame.
    Aggregate(AggregateId),
    /// `row_number()`: bigint
    RowNumber,
    /// `rank()`: bigint
    Rank,
    /// `dense_rank()`: bigint
    DenseRank,
    /// `percent_rank()`: double precision
    PercentRank,
    /// `cume_dist()`: double precision
    CumeDist,
    /// `ntile(integer)`: integer
    Ntile,
    /// `lag(value[, integer[, default]])`
    Lag,
    /// `lead(value[, integer[, default]])`
    Lead,
    /// `first_value(value)`
    FirstValue,
    /// `last_value(value)`
    LastValue,
    /// `nth_value(value, integer)`
    NthValue,
}

/// Which rows around the current one count.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// What bounds count.
    pub units: FrameUnits,
    /// First row.
    pub start: FrameBound,
    /// Last row.
    pub end: FrameBound,
    /// EXCLUDE
    pub exclude: FrameExclude,
}

/// What the bounds of a frame count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameUnits {
    /// Rows.
    Rows,
    /// Values of the one sort key; without offsets, peers.
    Range,
    /// Groups of peers.
    Groups,
}

/// A bound of a frame.
#[derive(Clone, Debug, PartialEq)]
pub enum FrameBound {
    /// The partition's first row.
    UnboundedPreceding,
    /// This many before; a bigint for rows and groups, a value added to the sort key for ranges. Sees no columns.
    Preceding(Expr),
    /// The current row (its peers, for ranges and groups).
    CurrentRow,
    /// This many after.
    Following(Expr),
    /// The partition's last row.
    UnboundedFollowing,
}

/// Rows left out of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameExclude {
    /// None.
    NoOthers,
    /// The current row.
    CurrentRow,
    /// It and its peers.
    Group,
    /// Its peers.
    Ties,
}

/// Kinds of set operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetOperation {
    /// Rows of either side.
    Union,
    /// Rows of both sides.
    Intersect,
    /// Rows of the left side only.
    Except,
}

/// One key of a sort.
#[derive(Clone, Debug, PartialEq)]
pub struct SortKey {
    /// Sees the input row.
    pub expression: Expr,
    /// Highest first.
    pub descending: bool,
    /// NULL before all values (PostgreSQL's default: only when descending).
    pub nulls_first: bool,
}

impl Rel {
    /// Types of its columns, in order.
    pub fn types(&self) -> Vec<ColumnType> {
        match self {
            Rel::OneRow => Vec::new(),
            Rel::Scan(scan) => scan
                .columns
                .iter()
                .map(|position| scan.table.columns[usize::from(*position)].column_type)
                .collect(),
            Rel::VirtualScan(scan) => {
                let columns = scan.table.columns();
                scan.columns
                    .iter()
                    .map(|position| ColumnType::plain(columns[usize::from(*position)].sql_type))
                    .collect()
            }
            Rel::Values { types, .. }
            | Rel::WithScan { types, .. }
            | Rel::WorkTable { types, .. } => types.clone(),
            Rel::FunctionScan(scan) => {
                let mut types = alloc::vec![scan.function.column_type];
                if scan.ordinality {
                    types.push(ColumnType::plain(SqlType::Int8));
                }
                types
            }
            Rel::Project { expressions, .. } => {
                expressions.iter().map(|expression| expression.column_type()).collect()
            }
            Rel::ProjectSet { input, functions } => {
                let mut types = input.types();
                types.extend(functions.iter().map(|function| function.column_type));
                types
            }
            Rel::Filter { input, .. }
            | Rel::Sort { input, .. }
            | Rel::Limit { input, .. }
            | Rel::Distinct { input, .. } => input.types(),
            Rel::Join(join) => {
                let mut types = join.left.types();
                types.extend(join.right.types());
                types
            }
            Rel::Aggregate(aggregate) => aggregate.types(),
            Rel::Window { input, calls } => {
                let mut types = input.types();
                types.extend(calls.iter().map(|call| call.column_type));
                types
            }
            Rel::SetOperation { left, .. } => left.types(),
        }
    }
}

impl Aggregate {
    /// Types of its columns: keys, calls, groupings.
    pub fn types(&self) -> Vec<ColumnType> {
        let mut types: Vec<ColumnType> =
            self.keys.iter().map(|expression| expression.column_type()).collect();
        types.extend(self.calls.iter().map(|call| call.column_type));
        types.extend(self.groupings.iter().map(|_| ColumnType::plain(SqlType::Int4)));
        types
    }
}
