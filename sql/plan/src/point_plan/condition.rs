//! What a WHERE says about single columns: its conjuncts, and those that compare a column with a value known before reading.

use alloc::boxed::Box;
use alloc::vec::Vec;
use functions::{CastKind, Expr, FunctionId, Quantifier, Volatility, operators};
use types::{ColumnType, SqlType, TableSchema, Value};

/// One condition of an AND.
#[derive(Clone, Debug)]
pub(super) struct Conjunct {
    pub(super) expression: Expr,
    pub(super) test: Option<ColumnTest>,
    /// It can be seen that it is never true.
    pub(super) never: bool,
}

/// A column compared with values that are known before reading, of the column's own type.
#[derive(Clone, Debug)]
pub(super) struct ColumnTest {
    /// Stored position.
    pub(super) position: u16,
    pub(super) kind: TestKind,
    /// One, or for equality any number: the column equals one of them.
    pub(super) values: Vec<Expr>,
}

/// How a column is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TestKind {
    Equal,
    Above {
        inclusive: bool,
    },
    Below {
        inclusive: bool,
    },
    /// The column equals an element of one array, which is known when the statement runs.
    Among,
}

pub(super) fn conjuncts(table: &TableSchema, filter: &Expr) -> Vec<Conjunct> {
    let mut found = Vec::new();
    split(table, filter, &mut found);
    found
}

fn split(table: &TableSchema, filter: &Expr, found: &mut Vec<Conjunct>) {
    match filter {
        Expr::And(operands) => operands.iter().for_each(|one| split(table, one, found)),
        // True is no condition.
        Expr::Literal { value: Value::Bool(true), .. } => {}
        other => {
            let test = column_test(table, other);
            let literal =
                matches!(other, Expr::Literal { value: Value::Bool(false) | Value::Null, .. });
            let empty = test.as_ref().is_some_and(|test| test.values.is_empty());
            found.push(Conjunct { expression: other.clone(), test, never: literal || empty });
        }
    }
}

fn column_test(table: &TableSchema, expression: &Expr) -> Option<ColumnTest> {
    match expression {
        Expr::Call { function, arguments, .. } => {
            let [left, right] = arguments.as_slice() else { return None };
            comparison(table, *function, left, right)
        }
        Expr::InList { equality, argument, list, negated: false } => {
            if !is_operator("=", *equality) {
                return None;
            }
            let position = column_of(argument)?;
            let to = table.columns.get(usize::from(position))?.column_type;
            let mut values = Vec::with_capacity(list.len());
            for value in list {
                values.extend(key_value(value, to)?);
            }
            Some(ColumnTest { position, kind: TestKind::Equal, values })
        }
        Expr::Quantified { quantifier: Quantifier::Any, operator, left, array } => {
            among(table, *operator, left, array)
        }
        Expr::Or(operands) => {
            // `a = 1 OR a = 2` is a list.
            let mut all: Option<ColumnTest> = None;
            for operand in operands {
                let test =
                    column_test(table, operand).filter(|test| test.kind == TestKind::Equal)?;
                match &mut all {
                    None => all = Some(test),
                    Some(known) if known.position == test.position => {
                        known.values.extend(test.values);
                    }
                    Some(_) => return None,
                }
            }
            all
        }
        // A boolean column by itself.
        Expr::Column { index, column_type } if column_type.sql_type == SqlType::Bool => {
            let position = u16::try_from(*index).ok()?;
            let value = Expr::literal(Value::Bool(true), SqlType::Bool);
            let values = alloc::vec![value];
            Some(ColumnTest { position, kind: TestKind::Equal, values })
        }
        _ => None,
    }
}

/// `column = ANY (array)`.
fn among(
    table: &TableSchema,
    operator: FunctionId,
    left: &Expr,
    array: &Expr,
) -> Option<ColumnTest> {
    if !is_operator("=", operator) {
        return None;
    }
    let position = column_of(left)?;
    let to = table.columns.get(usize::from(position))?.column_type;
    if let Expr::ArrayLiteral { elements, .. } = array {
        let mut values = Vec::with_capacity(elements.len());
        for value in elements {
            values.extend(key_value(value, to)?);
        }
        return Some(ColumnTest { position, kind: TestKind::Equal, values });
    }
    let element = array.sql_type().element()?;
    let strings = |one| matches!(one, SqlType::Text | SqlType::Varchar);
    let alike = element == to.sql_type
        || element.is_integer() && to.sql_type.is_integer()
        || strings(element) && strings(to.sql_type);
    let known = alike && is_known_before_reading(array);
    known.then(|| ColumnTest {
        position,
        kind: TestKind::Among,
        values: alloc::vec![array.clone()],
    })
}

fn comparison(
    table: &TableSchema,
    function: FunctionId,
    left: &Expr,
    right: &Expr,
) -> Option<ColumnTest> {
    let (position, value, swapped) = match (column_of(left), column_of(right)) {
        (Some(position), None) => (position, right, false),
        (None, Some(position)) => (position, left, true),
        _ => return None,
    };
    let above = |inclusive| TestKind::Above { inclusive };
    let below = |inclusive| TestKind::Below { inclusive };
    let kind = if is_operator("=", function) {
        TestKind::Equal
    } else if is_operator("<", function) {
        if swapped { above(false) } else { below(false) }
    } else if is_operator("<=", function) {
        if swapped { above(true) } else { below(true) }
    } else if is_operator(">", function) {
        if swapped { below(false) } else { above(false) }
    } else if is_operator(">=", function) {
        if swapped { below(true) } else { above(true) }
    } else {
        return None;
    };
    let to = table.columns.get(usize::from(position))?.column_type;
    let converted = key_value(value, to)?;
    // A bound that the column's type cannot hold says something else than equality does: it stays a condition.
    if converted.is_none() && kind != TestKind::Equal {
        return None;
    }
    if kind != TestKind::Equal
        && value.sql_type() != to.sql_type
        && matches!(converted, Some(Expr::Case { .. }))
    {
        return None;
    }
    Some(ColumnTest { position, kind, values: converted.into_iter().collect() })
}

/// Whether a function is behind an operator of this symbol.
pub(super) fn is_operator(symbol: &str, function: FunctionId) -> bool {
    let all = operators();
    let start = all.partition_point(|operator| operator.symbol < symbol);
    all[start..]
        .iter()
        .take_while(|operator| operator.symbol == symbol)
        .any(|operator| operator.function == function)
}

/// The stored column that an expression is, seen through casts that keep order and equality.
fn column_of(expression: &Expr) -> Option<u16> {
    match expression {
        Expr::Column { index, .. } => u16::try_from(*index).ok(),
        Expr::Cast { argument, to, .. } => {
            let from = argument.sql_type();
            let strings = |one| matches!(one, SqlType::Text | SqlType::Varchar);
            let keeps = (strings(from) && strings(to.sql_type) && to.modifier < 0)
                || widens(from, to.sql_type);
            if keeps { column_of(argument) } else { None }
        }
        _ => None,
    }
}

/// Whether every value of one integer type is one of the other.
fn widens(from: SqlType, to: SqlType) -> bool {
    matches!(
        (from, to),
        (SqlType::Int2, SqlType::Int4 | SqlType::Int8) | (SqlType::Int4, SqlType::Int8)
    )
}

/// A value as a column of type `to` would hold it; `Some(None)` if no value of the column can equal it, nothing if that cannot be known here.
fn key_value(value: &Expr, to: ColumnType) -> Option<Option<Expr>> {
    if !is_known_before_reading(value) {
        return None;
    }
    if let Expr::Literal { value: Value::Null, .. } = value {
        return Some(None);
    }
    let from = value.sql_type();
    if from == to.sql_type {
        return Some(Some(value.clone()));
    }
    let strings = |one| matches!(one, SqlType::Text | SqlType::Varchar);
    if strings(from) && strings(to.sql_type) {
        return Some(Some(value.clone()));
    }
    if !from.is_integer() || !to.sql_type.is_integer() {
        return None;
    }
    let plain = ColumnType::plain(to.sql_type);
    if let Expr::Literal { value, .. } = value {
        let number = match value {
            Value::Int2(number) => i64::from(*number),
            Value::Int4(number) => i64::from(*number),
            Value::Int8(number) => *number,
            _ => return None,
        };
        let held = match to.sql_type {
            SqlType::Int2 => i16::try_from(number).ok().map(Value::Int2),
            SqlType::Int4 => i32::try_from(number).ok().map(Value::Int4),
            _ => Some(Value::Int8(number)),
        };
        return Some(held.map(|value| Expr::Literal { value, column_type: plain }));
    }
    if widens(from, to.sql_type) {
        return Some(Some(value.clone().cast_to(plain, CastKind::Implicit)));
    }
    narrowed(value, plain).map(Some)
}

/// `CASE WHEN value BETWEEN least AND most THEN value::type END`: NULL, which equals nothing, where the type cannot hold the value.
fn narrowed(value: &Expr, to: ColumnType) -> Option<Expr> {
    let (least, most) = match to.sql_type {
        SqlType::Int2 => (i64::from(i16::MIN), i64::from(i16::MAX)),
        _ => (i64::from(i32::MIN), i64::from(i32::MAX)),
    };
    let compare = |symbol: &str, limit: i64| {
        let found = functions::resolve_operator(symbol, value.sql_type(), SqlType::Int8).ok()?;
        let limit = Expr::literal(Value::Int8(limit), SqlType::Int8);
        let left = value.clone().cast_to(ColumnType::plain(found.arguments[0]), CastKind::Implicit);
        Some(Expr::Call {
            function: found.function,
            arguments: alloc::vec![left, limit],
            column_type: ColumnType::plain(SqlType::Bool),
        })
    };
    let fits = Expr::And(alloc::vec![compare(">=", least)?, compare("<=", most)?]);
    let cast = Expr::Cast { argument: Box::new(value.clone()), to, kind: CastKind::Explicit };
    let branches = alloc::vec![(fits, cast)];
    Some(Expr::Case { branches, otherwise: None, column_type: to })
}

/// Whether a value can be computed once, before any row is read.
fn is_known_before_reading(value: &Expr) -> bool {
    match value {
        Expr::Literal { .. } | Expr::Parameter { .. } => true,
        Expr::Column { .. } | Expr::Outer { .. } | Expr::Subquery { .. } => false,
        other => {
            other.children().into_iter().all(is_known_before_reading)
                && other.volatility() != Volatility::Volatile
        }
    }
}
