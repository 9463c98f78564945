//! What a scan's conditions say to zone maps.
//!
//! Only comparisons of a column with a constant of its own type, NULL tests, IN lists and LIKE prefixes are understood; everything else may be true. The scan
//! evaluates its conditions on the rows that are left, so being too generous here costs time and never an answer.

use datafusion::logical_expr::Expr as EngineExpr;
use functions::{Expr, Test};
use sstable::{Comparison, Predicate};
use types::{SqlType, Value, ValueRef};

use crate::expression::udf::ProgramFunction;

/// The predicate of a condition over a provider's columns; `position` gives the stored position and type of a column by name.
pub(crate) fn predicate_of(
    condition: &EngineExpr,
    position: &dyn Fn(&str) -> Option<(u16, SqlType)>,
) -> Predicate {
    let EngineExpr::ScalarFunction(call) = condition else { return Predicate::Always };
    let Some(function) = call.func.inner().downcast_ref::<ProgramFunction>() else {
        return Predicate::Always;
    };
    let mut columns = Vec::with_capacity(call.args.len());
    for argument in &call.args {
        let EngineExpr::Column(column) = argument else { return Predicate::Always };
        let Some(found) = position(&column.name) else { return Predicate::Always };
        columns.push(found);
    }
    part(&function.program.source, &columns)
}

fn part(expr: &Expr, columns: &[(u16, SqlType)]) -> Predicate {
    match expr {
        Expr::And(parts) => Predicate::And(parts.iter().map(|p| part(p, columns)).collect()),
        Expr::Or(parts) => Predicate::Or(parts.iter().map(|p| part(p, columns)).collect()),
        Expr::Test { test, argument } => match (test, column_of(argument, columns)) {
            (Test::Null, Some((column, _))) => Predicate::IsNull { column },
            (Test::NotNull, Some((column, _))) => Predicate::IsNotNull { column },
            _ => Predicate::Always,
        },
        Expr::Call { function, arguments, .. } => {
            let name = function.definition().map_or("", |definition| definition.name);
            let [left, right] = &arguments[..] else { return Predicate::Always };
            if name == "textlike" {
                return prefix(left, right, columns);
            }
            let Some(comparison) = comparison_of(name) else { return Predicate::Always };
            match (column_of(left, columns), column_of(right, columns)) {
                (Some(column), None) => compare(column, comparison, right),
                (None, Some(column)) => compare(column, turned(comparison), left),
                _ => Predicate::Always,
            }
        }
        Expr::InList { equality, argument, list, negated: false } => {
            let name = equality.definition().map_or("", |definition| definition.name);
            let Some(column) = column_of(argument, columns) else { return Predicate::Always };
            if comparison_of(name) != Some(Comparison::Equal) {
                return Predicate::Always;
            }
            let equal = |value| compare(column, Comparison::Equal, value);
            Predicate::Or(list.iter().map(equal).collect())
        }
        _ => Predicate::Always,
    }
}

fn column_of(expr: &Expr, columns: &[(u16, SqlType)]) -> Option<(u16, SqlType)> {
    match expr {
        Expr::Column { index, .. } => columns.get(*index as usize).copied(),
        _ => None,
    }
}

/// The comparisons that go by the order in which keys are encoded.
fn comparison_of(name: &str) -> Option<Comparison> {
    let (base, suffix) = name.split_at_checked(name.len().checked_sub(2)?)?;
    let comparison = match suffix {
        "eq" => Comparison::Equal,
        "ne" => Comparison::NotEqual,
        "lt" => Comparison::Less,
        "le" => Comparison::LessOrEqual,
        "gt" => Comparison::Greater,
        "ge" => Comparison::GreaterOrEqual,
        _ => return None,
    };
    let known = matches!(
        base.strip_suffix('_').unwrap_or(base),
        "int2"
            | "int4"
            | "int8"
            | "int24"
            | "int28"
            | "int42"
            | "int48"
            | "int82"
            | "int84"
            | "float4"
            | "float8"
            | "text"
            | "bpchar"
            | "bytea"
            | "bool"
            | "date"
            | "timestamp"
            | "timestamptz"
            | "uuid"
            | "interval"
            | "numeric"
    );
    known.then_some(comparison)
}

fn turned(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Less => Comparison::Greater,
        Comparison::LessOrEqual => Comparison::GreaterOrEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterOrEqual => Comparison::LessOrEqual,
        same => same,
    }
}

fn compare((column, sql_type): (u16, SqlType), comparison: Comparison, expr: &Expr) -> Predicate {
    let Expr::Literal { value, .. } = expr else { return Predicate::Always };
    let Some(value) = in_type(value, sql_type) else { return Predicate::Always };
    let mut number = Vec::new();
    let borrowed = match &value {
        Value::Null => ValueRef::Null,
        Value::Bool(v) => ValueRef::Bool(*v),
        Value::Int2(v) => ValueRef::Int2(*v),
        Value::Int4(v) => ValueRef::Int4(*v),
        Value::Int8(v) => ValueRef::Int8(*v),
        Value::Float4(v) => ValueRef::Float4(*v),
        Value::Float8(v) => ValueRef::Float8(*v),
        Value::Numeric(v) => {
            v.encode(&mut number);
            ValueRef::Numeric(&number)
        }
        Value::Text(v) => ValueRef::Text(v),
        Value::Bytea(v) => ValueRef::Bytea(v),
        Value::Date(v) => ValueRef::Date(*v),
        Value::Timestamp(v) => ValueRef::Timestamp(*v),
        Value::Timestamptz(v) => ValueRef::Timestamptz(*v),
        Value::Interval(v) => ValueRef::Interval(*v),
        Value::Uuid(v) => ValueRef::Uuid(*v),
        Value::Oid(_) | Value::Array(_) => return Predicate::Always,
    };
    Predicate::compare(column, comparison, sql_type, borrowed)
}

/// The constant in the column's type, if it is one of its values.
fn in_type(value: &Value, sql_type: SqlType) -> Option<Value> {
    let integer = match value {
        Value::Int2(v) => Some(i64::from(*v)),
        Value::Int4(v) => Some(i64::from(*v)),
        Value::Int8(v) => Some(*v),
        _ => None,
    };
    match (value, sql_type) {
        (Value::Null, _) => Some(Value::Null),
        (_, SqlType::Int2) => integer.and_then(|v| i16::try_from(v).ok()).map(Value::Int2),
        (_, SqlType::Int4) => integer.and_then(|v| i32::try_from(v).ok()).map(Value::Int4),
        (_, SqlType::Int8) => integer.map(Value::Int8),
        (Value::Bool(_), SqlType::Bool)
        | (Value::Float4(_), SqlType::Float4)
        | (Value::Float8(_), SqlType::Float8)
        | (Value::Numeric(_), SqlType::Numeric)
        | (Value::Text(_), SqlType::Text | SqlType::Varchar | SqlType::Bpchar)
        | (Value::Bytea(_), SqlType::Bytea)
        | (Value::Date(_), SqlType::Date)
        | (Value::Timestamp(_), SqlType::Timestamp)
        | (Value::Timestamptz(_), SqlType::Timestamptz)
        | (Value::Interval(_), SqlType::Interval)
        | (Value::Uuid(_), SqlType::Uuid) => Some(value.clone()),
        _ => None,
    }
}

fn prefix(left: &Expr, right: &Expr, columns: &[(u16, SqlType)]) -> Predicate {
    let Some((column, SqlType::Text | SqlType::Varchar)) = column_of(left, columns) else {
        return Predicate::Always;
    };
    let Expr::Literal { value: Value::Text(pattern), .. } = right else {
        return Predicate::Always;
    };
    let end = pattern.find(['%', '_', '\\']).unwrap_or(pattern.len());
    if end == 0 { Predicate::Always } else { Predicate::prefix(column, &pattern[..end]) }
}
