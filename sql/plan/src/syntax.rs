//! The syntax tree: what was written, with the place of every name. Nothing is resolved here.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// A name and where it stands.
#[derive(Clone, Debug)]
pub struct Ident {
    /// Folded to lower case unless quoted.
    pub name: Box<str>,
    /// Byte offset.
    pub position: u32,
}

/// A name of one, two or three parts.
#[derive(Clone, Debug)]
pub struct Name {
    /// The parts; at least one.
    pub parts: Vec<Ident>,
}

/// An expression and where it begins (an operator's place is the operator).
#[derive(Clone, Debug)]
pub struct Expr {
    /// What.
    pub kind: ExprKind,
    /// Byte offset.
    pub position: u32,
}

impl Expr {
    /// Where its text begins: what errors about its value point at.
    pub fn place(&self) -> u32 {
        let first = match &self.kind {
            ExprKind::Binary { left: first, .. }
            | ExprKind::Is { operand: first, .. }
            | ExprKind::IsDistinct { left: first, .. }
            | ExprKind::In { operand: first, .. }
            | ExprKind::InQuery { operand: first, .. }
            | ExprKind::Cast { operand: first, .. }
            | ExprKind::Collate { operand: first, .. }
            | ExprKind::Subscript { operand: first, .. }
            | ExprKind::Slice { operand: first, .. }
            | ExprKind::Field { operand: first, .. } => &**first,
            ExprKind::Like(like) => &like.operand,
            ExprKind::Between(between) => &between.operand,
            ExprKind::Quantified(quantified) => &quantified.left,
            ExprKind::And(operands) | ExprKind::Or(operands) => match operands.first() {
                Some(first) => first,
                None => return self.position,
            },
            _ => return self.position,
        };
        self.position.min(first.place())
    }
}

/// Kinds of expression.
#[derive(Clone, Debug)]
pub enum ExprKind {
    Null,
    Bool(bool),
    Number(Box<str>),
    String(Box<str>),
    Parameter(u32),
    Column(Name),
    /// `*`, `t.*`, `s.t.*`: the parts before the star.
    Star(Vec<Ident>),
    Field {
        operand: Box<Expr>,
        field: Ident,
    },
    Subscript {
        operand: Box<Expr>,
        index: Box<Expr>,
    },
    Slice {
        operand: Box<Expr>,
        lower: Option<Box<Expr>>,
        upper: Option<Box<Expr>>,
    },
    Unary {
        operator: Box<str>,
        operand: Box<Expr>,
    },
    Binary {
        operator: Box<str>,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Is {
        operand: Box<Expr>,
        test: IsTest,
        negated: bool,
    },
    IsDistinct {
        left: Box<Expr>,
        right: Box<Expr>,
        negated: bool,
    },
    Like(Box<Like>),
    Between(Box<Between>),
    In {
        operand: Box<Expr>,
        list: Vec<Expr>,
        negated: bool,
    },
    InQuery {
        operand: Box<Expr>,
        query: Box<Query>,
        negated: bool,
    },
    Quantified(Box<Quantified>),
    Exists(Box<Query>),
    Scalar(Box<Query>),
    ArrayQuery(Box<Query>),
    Array(Vec<Expr>),
    Row(Vec<Expr>),
    Case(Box<Case>),
    Cast {
        operand: Box<Expr>,
        type_name: TypeName,
    },
    Collate {
        operand: Box<Expr>,
        collation: Name,
    },
    Call(Box<Call>),
    Coalesce(Vec<Expr>),
    NullIf(Box<Expr>, Box<Expr>),
    Extreme {
        greatest: bool,
        arguments: Vec<Expr>,
    },
    Grouping(Vec<Expr>),
    /// DEFAULT, in VALUES and SET only.
    Default,
}

/// Tests after IS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsTest {
    Null,
    True,
    False,
    Unknown,
}

/// LIKE and its kin.
#[derive(Clone, Debug)]
pub struct Like {
    pub kind: LikeKind,
    pub operand: Expr,
    pub pattern: Expr,
    pub escape: Option<Expr>,
    pub negated: bool,
}

/// Which pattern language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LikeKind {
    Like,
    ILike,
    Similar,
}

/// BETWEEN.
#[derive(Clone, Debug)]
pub struct Between {
    pub operand: Expr,
    pub low: Expr,
    pub high: Expr,
    pub negated: bool,
    pub symmetric: bool,
}

/// `x op ANY (…)`.
#[derive(Clone, Debug)]
pub struct Quantified {
    pub left: Expr,
    pub operator: Box<str>,
    pub all: bool,
    pub right: QuantifiedRight,
}

/// What stands after ANY or ALL.
#[derive(Clone, Debug)]
pub enum QuantifiedRight {
    Array(Expr),
    Query(Box<Query>),
}

/// CASE.
#[derive(Clone, Debug)]
pub struct Case {
    pub operand: Option<Expr>,
    pub branches: Vec<(Expr, Expr)>,
    pub otherwise: Option<Expr>,
}

/// A function call with all its clauses.
#[derive(Clone, Debug)]
pub struct Call {
    pub name: Name,
    pub arguments: Vec<Expr>,
    /// `f(*)`
    pub star: bool,
    /// `f(VARIADIC array)`
    pub variadic: bool,
    pub distinct: bool,
    pub order_by: Vec<OrderItem>,
    pub within_group: Vec<OrderItem>,
    pub filter: Option<Expr>,
    pub over: Option<Over>,
}

/// OVER.
#[derive(Clone, Debug)]
pub enum Over {
    Name(Ident),
    Window(Window),
}

/// A window.
#[derive(Clone, Debug)]
pub struct Window {
    pub base: Option<Ident>,
    pub partition_by: Vec<Expr>,
    pub order_by: Vec<OrderItem>,
    pub frame: Option<Frame>,
    pub position: u32,
}

/// The frame of a window.
#[derive(Clone, Debug)]
pub struct Frame {
    pub units: crate::query::FrameUnits,
    pub start: FrameBound,
    pub end: FrameBound,
    pub exclude: crate::query::FrameExclude,
    /// Of the frame, its start and its end.
    pub positions: [u32; 3],
}

/// A bound of a frame.
#[derive(Clone, Debug)]
pub enum FrameBound {
    UnboundedPreceding,
    Preceding(Box<Expr>),
    CurrentRow,
    Following(Box<Expr>),
    UnboundedFollowing,
}

/// A type as written.
#[derive(Clone, Debug)]
pub struct TypeName {
    pub name: Name,
    pub modifiers: Vec<Expr>,
    pub array: bool,
    pub interval_fields: Option<Box<str>>,
    pub position: u32,
}

/// One item of ORDER BY.
#[derive(Clone, Debug)]
pub struct OrderItem {
    pub expression: Expr,
    pub descending: bool,
    pub nulls_first: Option<bool>,
    /// `USING operator`
    pub using: Option<Box<str>>,
}

/// A query with all that may stand around it.
#[derive(Clone, Debug)]
pub struct Query {
    pub with: Option<With>,
    pub body: QueryBody,
    pub order_by: Vec<OrderItem>,
    pub limit: Option<Expr>,
    pub with_ties: bool,
    pub offset: Option<Expr>,
    pub locks: Vec<LockClause>,
    pub position: u32,
}

/// The core of a query.
#[derive(Clone, Debug)]
pub enum QueryBody {
    Select(Box<Select>),
    Values(Vec<Vec<Expr>>),
    Set { operation: crate::query::SetOperation, all: bool, left: Box<Query>, right: Box<Query> },
}

/// SELECT … HAVING.
#[derive(Clone, Debug)]
pub struct Select {
    pub distinct: Distinct,
    pub items: Vec<SelectItem>,
    pub from: Vec<TableRef>,
    pub filter: Option<Expr>,
    pub group_by: Vec<GroupItem>,
    pub having: Option<Expr>,
    pub windows: Vec<(Ident, Window)>,
    pub into: Option<u32>,
}

/// DISTINCT.
#[derive(Clone, Debug)]
pub enum Distinct {
    No,
    Yes,
    On(Vec<Expr>),
}

/// An item of a select list.
#[derive(Clone, Debug)]
pub struct SelectItem {
    pub expression: Expr,
    pub alias: Option<Ident>,
}

/// An item of GROUP BY.
#[derive(Clone, Debug)]
pub enum GroupItem {
    Expression(Expr),
    Empty,
    Rollup(Vec<Vec<Expr>>),
    Cube(Vec<Vec<Expr>>),
    Sets(Vec<GroupItem>),
    /// A parenthesised list inside GROUPING SETS.
    List(Vec<Expr>),
}

/// WITH.
#[derive(Clone, Debug)]
pub struct With {
    pub recursive: bool,
    pub queries: Vec<WithItem>,
}

/// A query of WITH.
#[derive(Clone, Debug)]
pub struct WithItem {
    pub name: Ident,
    pub columns: Vec<Ident>,
    pub query: Query,
}

/// Something in FROM.
#[derive(Clone, Debug)]
pub enum TableRef {
    Table { name: Name, alias: Option<Alias> },
    Subquery { query: Box<Query>, alias: Option<Alias>, lateral: bool, position: u32 },
    Function { call: Box<Expr>, ordinality: bool, alias: Option<Alias>, lateral: bool },
    Join(Box<JoinRef>),
}

/// A join.
#[derive(Clone, Debug)]
pub struct JoinRef {
    pub left: TableRef,
    pub right: TableRef,
    pub kind: crate::query::JoinKind,
    pub on: JoinOn,
    pub alias: Option<Alias>,
    pub position: u32,
}

/// What joins.
#[derive(Clone, Debug)]
pub enum JoinOn {
    Cross,
    Natural,
    Using(Vec<Ident>),
    On(Expr),
}

/// `AS name (columns)`.
#[derive(Clone, Debug)]
pub struct Alias {
    pub name: Ident,
    pub columns: Vec<Ident>,
}

/// FOR UPDATE and its kin.
#[derive(Clone, Debug)]
pub struct LockClause {
    pub strength: crate::statement::LockStrength,
    pub of: Vec<Ident>,
    pub wait: crate::statement::LockWait,
    pub position: u32,
}

pub use statement::*;
mod statement;
