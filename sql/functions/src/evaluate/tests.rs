//! Evaluation by hand: operators, three-valued logic, coding, and the bound on nesting.

use super::{evaluate, evaluate_predicate};
use crate::expr::{decode_expr, encode_expr};
use crate::{CastKind, EvalContext, Expr, Test, resolve_operator};
use types::codec::{Decoder, Encoder};
use types::{ColumnType, SqlState, SqlType, Value};

fn int(value: i32) -> Expr {
    Expr::literal(Value::Int4(value), SqlType::Int4)
}

fn binary(symbol: &str, left: Expr, right: Expr) -> Expr {
    let found = resolve_operator(symbol, left.sql_type(), right.sql_type()).expect(symbol);
    Expr::Call {
        function: found.function,
        arguments: vec![left, right],
        column_type: ColumnType::plain(found.returns),
    }
}

fn value(expr: &Expr) -> Result<Value, crate::EvalError> {
    evaluate(expr, &[Value::Int8(40)], &[Value::Int4(2)], &EvalContext::PURE)
}

#[test]
fn operators_on_columns_and_parameters() {
    let column = Expr::Column { index: 0, column_type: ColumnType::plain(SqlType::Int8) };
    let parameter = Expr::Parameter { index: 0, column_type: ColumnType::plain(SqlType::Int4) };
    let sum = binary("+", column, parameter);
    assert_eq!(sum.sql_type(), SqlType::Int8);
    assert_eq!(value(&sum).expect("40 + 2"), Value::Int8(42));
    let overflow = binary("+", int(i32::MAX), int(1));
    let error = value(&overflow).expect_err("overflow");
    assert_eq!(error.sqlstate, SqlState::NUMERIC_VALUE_OUT_OF_RANGE);
    assert_eq!(&*error.message, "integer out of range");
    let zero = value(&binary("/", int(1), int(0))).expect_err("1/0");
    assert_eq!(zero.sqlstate, SqlState::DIVISION_BY_ZERO);
}

#[test]
fn three_valued_logic_stops_early() {
    let null = Expr::literal(Value::Null, SqlType::Bool);
    let no = Expr::literal(Value::Bool(false), SqlType::Bool);
    let fails = binary("=", binary("/", int(1), int(0)), int(1));
    assert_eq!(value(&Expr::And(vec![null.clone(), no.clone()])).expect("and"), Value::Bool(false));
    assert_eq!(value(&Expr::Or(vec![null.clone(), no.clone()])).expect("or"), Value::Null);
    assert_eq!(value(&Expr::And(vec![no, fails])).expect("early"), Value::Bool(false));
    let is_null = Expr::Test { test: Test::Null, argument: Box::new(null.clone()) };
    assert!(evaluate_predicate(&is_null, &[], &[], &EvalContext::PURE).expect("test"));
    assert!(!evaluate_predicate(&null, &[], &[], &EvalContext::PURE).expect("null is not true"));
}

#[test]
fn encoded_expressions_come_back_and_truncated_ones_do_not() {
    let cast =
        binary("*", int(6), int(7)).cast_to(ColumnType::plain(SqlType::Text), CastKind::Explicit);
    let case = Expr::Case {
        branches: vec![(binary("<", int(1), int(2)), cast)],
        otherwise: None,
        column_type: ColumnType::plain(SqlType::Text),
    };
    let mut encoder = Encoder::new();
    assert_eq!(encode_expr(&case, &mut encoder), Ok(()));
    let bytes = encoder.into_bytes();
    let back = decode_expr(&mut Decoder::new(&bytes)).expect("round trip");
    assert_eq!(back, case);
    assert_eq!(value(&back).expect("case"), Value::text("42"));
    for end in 0..bytes.len() {
        assert!(decode_expr(&mut Decoder::new(&bytes[..end])).is_err());
    }
}

#[test]
fn deep_expressions_are_refused_not_overflowed() {
    let mut deep = Expr::literal(Value::Bool(true), SqlType::Bool);
    for _ in 0..types::limits::EXPRESSION_DEPTH_MAX {
        deep = Expr::Not(Box::new(deep));
    }
    assert_eq!(value(&deep).expect_err("too deep").sqlstate, SqlState::STATEMENT_TOO_COMPLEX);
}
