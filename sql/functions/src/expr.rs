//! The one bound, typed expression of the house: `sql/plan` produces it, `sql/oltp` evaluates it, `sql/olap` lowers it.
//!
//! Every node knows its type; every operand has been cast to exactly what its function takes, so evaluation never looks for a conversion. Operators are
//! functions. [`Expr::Outer`] and [`Expr::Subquery`] are understood by plan and olap only: the subquery itself lives in plan's side table.

mod codec;
mod portable;
mod walk;

pub use codec::{decode_expr, encode_expr};
pub use portable::NotPortable;
pub(crate) use walk::too_deep;

use crate::registry::{FunctionId, Volatility};
use crate::{CastKind, find_cast};
use alloc::boxed::Box;
use alloc::vec::Vec;
use types::{ColumnType, SqlType, Value};

/// A bound expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// A constant.
    Literal {
        /// Its value.
        value: Value,
        /// Its type; `unknown` never leaves plan.
        column_type: ColumnType,
    },
    /// A column of the input row.
    Column {
        /// Position in the input row, from zero.
        index: u32,
        /// Its type.
        column_type: ColumnType,
    },
    /// A parameter of the statement.
    Parameter {
        /// `$1` is 0.
        index: u32,
        /// Its type.
        column_type: ColumnType,
    },
    /// A function or an operator.
    Call {
        /// Which.
        function: FunctionId,
        /// Already of the types the definition takes; variadic ones spread.
        arguments: Vec<Expr>,
        /// What it returns here (polymorphic definitions differ by call).
        column_type: ColumnType,
    },
    /// A conversion, and the modifier of the target (`varchar(3)`, `numeric(4,1)`).
    Cast {
        /// What is converted.
        argument: Box<Expr>,
        /// To what.
        to: ColumnType,
        /// Explicit casts truncate where assignments refuse.
        kind: CastKind,
    },
    /// Three-valued AND; stops at the first false.
    And(Vec<Expr>),
    /// Three-valued OR; stops at the first true.
    Or(Vec<Expr>),
    /// Three-valued NOT.
    Not(Box<Expr>),
    /// A test that is never NULL.
    Test {
        /// Which.
        test: Test,
        /// Of what.
        argument: Box<Expr>,
    },
    /// `IS [NOT] DISTINCT FROM`.
    Distinct {
        /// The `=` of the operands' type.
        equality: FunctionId,
        /// One side.
        left: Box<Expr>,
        /// The other.
        right: Box<Expr>,
        /// `IS NOT DISTINCT FROM`.
        negated: bool,
    },
    /// `CASE WHEN … THEN … ELSE … END`; a simple CASE has been written out with `=`.
    Case {
        /// Condition and result, in order.
        branches: Vec<(Expr, Expr)>,
        /// NULL if there is none.
        otherwise: Option<Box<Expr>>,
        /// Common type of the results.
        column_type: ColumnType,
    },
    /// The first that is not NULL.
    Coalesce {
        /// In order.
        arguments: Vec<Expr>,
        /// Common type.
        column_type: ColumnType,
    },
    /// NULL if equal, else the left.
    NullIf {
        /// `=` of the operands.
        equality: FunctionId,
        /// What is returned.
        left: Box<Expr>,
        /// What it is compared with.
        right: Box<Expr>,
        /// Type of the left.
        column_type: ColumnType,
    },
    /// `GREATEST`, `LEAST`: NULLs are passed over.
    Extreme {
        /// Whether the largest is wanted.
        greatest: bool,
        /// All of one type.
        arguments: Vec<Expr>,
        /// That type.
        column_type: ColumnType,
    },
    /// `x [NOT] IN (a, b, …)`.
    InList {
        /// `=` between the operand and each element; all elements have its right type.
        equality: FunctionId,
        /// What is looked for.
        argument: Box<Expr>,
        /// Where.
        list: Vec<Expr>,
        /// `NOT IN`.
        negated: bool,
    },
    /// `ARRAY[…]`.
    ArrayLiteral {
        /// All of the element type.
        elements: Vec<Expr>,
        /// The array's type.
        column_type: ColumnType,
    },
    /// `x op ANY (array)`, `x op ALL (array)`.
    Quantified {
        /// Any or all.
        quantifier: Quantifier,
        /// A function of (left, element) that returns boolean.
        operator: FunctionId,
        /// The left operand.
        left: Box<Expr>,
        /// The array.
        array: Box<Expr>,
    },
    /// A column of an enclosing query's row; plan and olap only.
    Outer {
        /// 1 is the next query out.
        level: u32,
        /// Position in its row.
        index: u32,
        /// Its type.
        column_type: ColumnType,
    },
    /// A subquery; plan and olap only.
    Subquery {
        /// Position in plan's side table.
        index: u32,
        /// What is asked of it.
        kind: SubqueryKind,
        /// Type of the answer.
        column_type: ColumnType,
    },
}

/// Tests that answer true or false, never NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// `IS NULL`
    Null,
    /// `IS NOT NULL`
    NotNull,
    /// `IS TRUE`
    True,
    /// `IS NOT TRUE`
    NotTrue,
    /// `IS FALSE`
    False,
    /// `IS NOT FALSE`
    NotFalse,
    /// `IS UNKNOWN`
    Unknown,
    /// `IS NOT UNKNOWN`
    NotUnknown,
}

/// Of `op ANY` and `op ALL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantifier {
    /// True if one comparison is.
    Any,
    /// True if all are.
    All,
}

/// What is asked of a subquery.
#[derive(Clone, Debug, PartialEq)]
pub enum SubqueryKind {
    /// Its one row's one column, NULL if it has no row, 21000 if more than one.
    Scalar,
    /// Whether it has a row.
    Exists,
    /// `(left, …) op ANY/ALL (query)`; `IN` is `= ANY`, `NOT IN` is `<> ALL`. Columns compare pairwise, all must hold (for `=`), or any differ (for `<>`).
    Quantified {
        /// Any or all.
        quantifier: Quantifier,
        /// One for each column, of the operators' left types.
        left: Vec<Expr>,
        /// One for each column: a function of (left, column) that returns boolean.
        operators: Vec<FunctionId>,
    },
    /// `ARRAY(query)`
    Array,
}

const BOOLEAN: ColumnType = ColumnType::plain(SqlType::Bool);

impl Expr {
    /// A constant of a type without modifier.
    pub fn literal(value: Value, sql_type: SqlType) -> Expr {
        Expr::Literal { value, column_type: ColumnType::plain(sql_type) }
    }

    /// The type of its value.
    pub fn column_type(&self) -> ColumnType {
        match self {
            Expr::Literal { column_type, .. }
            | Expr::Column { column_type, .. }
            | Expr::Parameter { column_type, .. }
            | Expr::Call { column_type, .. }
            | Expr::Case { column_type, .. }
            | Expr::Coalesce { column_type, .. }
            | Expr::NullIf { column_type, .. }
            | Expr::Extreme { column_type, .. }
            | Expr::ArrayLiteral { column_type, .. }
            | Expr::Outer { column_type, .. }
            | Expr::Subquery { column_type, .. } => *column_type,
            Expr::Cast { to, .. } => *to,
            Expr::And(_)
            | Expr::Or(_)
            | Expr::Not(_)
            | Expr::Test { .. }
            | Expr::Distinct { .. }
            | Expr::InList { .. }
            | Expr::Quantified { .. } => BOOLEAN,
        }
    }

    /// The same without modifier.
    pub fn sql_type(&self) -> SqlType {
        self.column_type().sql_type
    }

    /// Whether it reads nothing: no column, parameter, subquery, and only immutable functions. Such an expression may be folded.
    pub fn is_constant(&self) -> bool {
        let mut constant = true;
        self.walk(&mut |expr| {
            constant &= !matches!(
                expr,
                Expr::Column { .. }
                    | Expr::Parameter { .. }
                    | Expr::Outer { .. }
                    | Expr::Subquery { .. }
            );
        });
        constant && self.volatility() == Volatility::Immutable
    }

    /// The worst volatility of its parts. A subquery counts as volatile, because it is not looked into.
    pub fn volatility(&self) -> Volatility {
        let mut worst = Volatility::Immutable;
        self.walk(&mut |expr| worst = worst.max(expr.own_volatility()));
        worst
    }

    fn own_volatility(&self) -> Volatility {
        let of = |function: &FunctionId| {
            function.definition().map_or(Volatility::Volatile, |found| found.volatility)
        };
        match self {
            Expr::Call { function, .. } => of(function),
            Expr::Distinct { equality, .. }
            | Expr::NullIf { equality, .. }
            | Expr::InList { equality, .. } => of(equality),
            Expr::Quantified { operator, .. } => of(operator),
            Expr::Cast { argument, to, kind } => find_cast(argument.sql_type(), to.sql_type, *kind)
                .map_or(Volatility::Volatile, |cast| cast.volatility()),
            Expr::Subquery { .. } => Volatility::Volatile,
            _ => Volatility::Immutable,
        }
    }

    /// Whether a subquery or an outer column occurs: then only olap can evaluate it.
    pub fn needs_query(&self) -> bool {
        let mut needs = false;
        self.walk(&mut |expr| {
            needs |= matches!(expr, Expr::Outer { .. } | Expr::Subquery { .. });
        });
        needs
    }
}
