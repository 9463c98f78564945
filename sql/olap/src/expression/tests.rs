//! Both paths: every operator and every cast over the corner values of its types, by programs over arrays and by `functions`' row evaluator.

use std::collections::BTreeMap;
use std::sync::Arc;

use functions::{
    ArgumentType, CastKind, EvalContext, EvalError, Expr, FunctionId, NoCatalog, NoVolatile,
    Volatility, evaluate, find_cast, functions, operators,
};
use types::text_format::parse_text;
use types::{ColumnType, SqlType, TextSettings, Value};

use super::{Program, Surroundings};
use crate::error::AnalyticsError;
use crate::evaluation::StatementContext;
use crate::physical::{Cells, ColumnBuilder};

/// Corner values of a type, NULL among them.
pub(crate) fn corners(sql_type: SqlType) -> Vec<Value> {
    let texts: &[&str] = match sql_type {
        SqlType::Bool => &["t", "f"],
        SqlType::Int2 => &["0", "1", "-1", "7", "32767", "-32768"],
        SqlType::Int4 => &["0", "1", "-1", "7", "2147483647", "-2147483648", "32768"],
        SqlType::Int8 => {
            &["0", "1", "-1", "7", "9223372036854775807", "-9223372036854775808", "2147483648"]
        }
        SqlType::Float4 => {
            &["0", "-0", "1.5", "-1.5", "3.4028235e38", "1e-45", "NaN", "Infinity", "-Infinity"]
        }
        SqlType::Float8 => &[
            "0",
            "-0",
            "1.5",
            "-1.5",
            "1.7976931348623157e308",
            "5e-324",
            "NaN",
            "Infinity",
            "-Infinity",
            "2147483647.5",
            "1e200",
        ],
        SqlType::Numeric => &[
            "0",
            "0.00",
            "1.5",
            "1.50",
            "-1.5",
            "99999999999999999999.99",
            "-0.0001",
            "NaN",
            "2147483648",
            "1e30",
            "Infinity",
        ],
        SqlType::Text | SqlType::Varchar | SqlType::Name => {
            &["", "a", "A", "abc", "a%", "longer than twelve bytes", "é", "12", "a "]
        }
        SqlType::Bpchar => &["", "a", "a  ", "abc", "Z"],
        SqlType::Char => &["", "a", "z"],
        SqlType::Bytea => &["\\x", "\\x00", "\\x0001", "\\xff", "\\x61626364656667686970717273"],
        SqlType::Date => &["2000-01-01", "1999-12-31", "2024-02-29", "infinity", "-infinity"],
        SqlType::Timestamp => &[
            "2000-01-01 00:00:00",
            "1999-12-31 23:59:59.999999",
            "2024-02-29 12:00:00",
            "infinity",
        ],
        SqlType::Timestamptz => {
            &["2000-01-01 00:00:00+00", "2024-02-29 12:00:00+00", "-infinity", "infinity"]
        }
        SqlType::Interval => &[
            "0",
            "1 day",
            "24:00:00",
            "1 mon",
            "30 days",
            "-1 mon 1 day 00:00:01",
            "178000000 years",
        ],
        SqlType::Uuid => {
            &["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"]
        }
        SqlType::Oid | SqlType::Regtype | SqlType::Regproc => &["0", "23", "4294967295"],
        SqlType::TextArray => &["{}", "{a,NULL}", "{a,b}"],
        SqlType::Int2Array | SqlType::Int4Array | SqlType::Int8Array | SqlType::OidArray => {
            &["{}", "{1,2}", "{NULL}"]
        }
        SqlType::Regclass | SqlType::Unknown | SqlType::Void => &[],
    };
    let read = |text: &&str| {
        parse_text(text, sql_type, &TextSettings::DEFAULT)
            .unwrap_or_else(|error| panic!("{sql_type:?} {text}: {error}"))
    };
    let mut values: Vec<Value> = texts.iter().map(read).collect();
    values.push(Value::Null);
    values
}

pub(crate) fn context() -> Arc<StatementContext> {
    Arc::new(StatementContext {
        settings: TextSettings::DEFAULT,
        statement_micros: 0,
        session_user: "".into(),
        current_user: "".into(),
        database: "".into(),
        catalog: Arc::new(NoCatalog),
        volatile: Arc::new(NoVolatile),
        parameters: Arc::from([]),
        stop: crate::evaluation::StopFlag::default(),
    })
}

fn column(index: u32, sql_type: SqlType) -> Expr {
    Expr::Column { index, column_type: ColumnType::plain(sql_type) }
}

fn run(
    expr: &Expr,
    types: &[SqlType],
    rows: &[&Vec<Value>],
    context: &Arc<StatementContext>,
) -> Result<Vec<Value>, AnalyticsError> {
    let answers = BTreeMap::new();
    let surroundings = Surroundings { context, answers: &answers };
    let program = Program::compile(expr, types.to_vec(), &surroundings)?;
    let mut builders: Vec<ColumnBuilder> =
        types.iter().map(|sql_type| ColumnBuilder::new(*sql_type, rows.len())).collect();
    for row in rows {
        for (builder, value) in builders.iter_mut().zip(*row) {
            builder.push(value)?;
        }
    }
    let columns: Vec<_> = builders.into_iter().map(ColumnBuilder::finish).collect();
    let array = program.evaluate(&columns, rows.len())?;
    let cells = Cells::new(&array, expr.sql_type());
    (0..rows.len()).map(|row| Ok(cells.owned(row)?)).collect()
}

fn same(found: &[Value], expected: &[&Value]) -> bool {
    // Debug forms tell −0 from 0 and 1.5 from 1.50, which equality does not.
    found.len() == expected.len()
        && found.iter().zip(expected).all(|(a, b)| format!("{a:?}") == format!("{b:?}"))
}

/// The program and the evaluator agree on all rows: on those with a value in one batch, on the others one by one.
fn agree(expr: &Expr, types: &[SqlType], rows: &[Vec<Value>], context: &Arc<StatementContext>) {
    let answers: Vec<Result<Value, EvalError>> =
        rows.iter().map(|row| evaluate(expr, row, &[], &context.borrow())).collect();
    let (mut good, mut expected) = (Vec::new(), Vec::new());
    for (row, answer) in rows.iter().zip(&answers) {
        match answer {
            Ok(value) => {
                good.push(row);
                expected.push(value);
            }
            Err(error) => match run(expr, types, &[row], context) {
                Err(AnalyticsError::Value(found)) => {
                    assert_eq!(found.sqlstate, error.sqlstate, "{expr:?} of {row:?}");
                    assert_eq!(found.message, error.message, "{expr:?} of {row:?}");
                }
                other => panic!("{expr:?} of {row:?}: {other:?} instead of {error:?}"),
            },
        }
    }
    let found = run(expr, types, &good, context)
        .unwrap_or_else(|error| panic!("{expr:?} over {good:?}: {error}"));
    assert!(same(&found, &expected), "{expr:?} over {good:?}: {found:?}, expected {expected:?}");
}

/// Types for a parameter: itself, or for what takes anything a few.
fn types_of(argument: ArgumentType) -> Vec<SqlType> {
    match argument {
        ArgumentType::Exactly(sql_type) => vec![sql_type],
        ArgumentType::AnyArray => vec![SqlType::Int4Array, SqlType::TextArray],
        _ => vec![SqlType::Int4, SqlType::Text, SqlType::Numeric],
    }
}

fn call(function: FunctionId, arguments: Vec<Expr>, output: SqlType) -> Expr {
    Expr::Call { function, arguments, column_type: ColumnType::plain(output) }
}

/// Every pair of values; and each value beside each as a literal, on either side.
fn check_pair(function: FunctionId, left: SqlType, right: SqlType, output: SqlType) {
    let context = context();
    let (lefts, rights) = (corners(left), corners(right));
    let rows: Vec<Vec<Value>> =
        lefts.iter().flat_map(|a| rights.iter().map(move |b| vec![a.clone(), b.clone()])).collect();
    let columns = call(function, vec![column(0, left), column(1, right)], output);
    agree(&columns, &[left, right], &rows, &context);
    for value in &rights {
        let literal = Expr::literal(value.clone(), right);
        let rows: Vec<Vec<Value>> = lefts.iter().map(|value| vec![value.clone()]).collect();
        let expr = call(function, vec![column(0, left), literal], output);
        agree(&expr, &[left], &rows, &context);
    }
    for value in &lefts {
        let literal = Expr::literal(value.clone(), left);
        let rows: Vec<Vec<Value>> = rights.iter().map(|value| vec![value.clone()]).collect();
        let expr = call(function, vec![literal, column(0, right)], output);
        agree(&expr, &[right], &rows, &context);
    }
}

#[test]
fn every_operator_over_every_type() {
    let mut checked = 0;
    for operator in operators() {
        let definition = operator.function.definition().expect("an operator has a function");
        if definition.volatility == Volatility::Volatile {
            continue;
        }
        for right in types_of(operator.right) {
            let output = |operand: SqlType| match definition.returns {
                ArgumentType::Exactly(sql_type) => sql_type,
                ArgumentType::AnyElement => operand.element().unwrap_or(operand),
                _ => operand,
            };
            match operator.left {
                None => {
                    let context = context();
                    let rows: Vec<Vec<Value>> =
                        corners(right).into_iter().map(|value| vec![value]).collect();
                    let expr = call(operator.function, vec![column(0, right)], output(right));
                    agree(&expr, &[right], &rows, &context);
                }
                Some(left) => {
                    for left in types_of(left) {
                        let polymorphic = !matches!(operator.right, ArgumentType::Exactly(_));
                        let array = left.element().is_some() || right.element().is_some();
                        if polymorphic && left != right && !array {
                            continue;
                        }
                        if polymorphic && array && left != right {
                            continue;
                        }
                        check_pair(operator.function, left, right, output(left));
                    }
                }
            }
            checked += 1;
        }
    }
    assert!(checked > 200, "only {checked} operators were checked");
}

#[test]
fn every_cast_over_every_type() {
    let context = context();
    for from in SqlType::ALL {
        for to in SqlType::ALL {
            let Some(method) = find_cast(*from, *to, CastKind::Explicit) else { continue };
            if matches!(to, SqlType::Regclass | SqlType::Void | SqlType::Unknown)
                || method.volatility() == Volatility::Volatile
            {
                continue;
            }
            let rows: Vec<Vec<Value>> =
                corners(*from).into_iter().map(|value| vec![value]).collect();
            let modifiers: &[ColumnType] = match to {
                SqlType::Numeric => &[ColumnType::numeric(6, 2)],
                SqlType::Varchar | SqlType::Bpchar => {
                    &[ColumnType { sql_type: *to, modifier: 4 + 2 }]
                }
                _ => &[],
            };
            for target in modifiers.iter().copied().chain([ColumnType::plain(*to)]) {
                let argument = Box::new(column(0, *from));
                let expr = Expr::Cast { argument, to: target, kind: CastKind::Explicit };
                agree(&expr, &[*from], &rows, &context);
            }
        }
    }
}

#[test]
fn every_function_of_one_argument() {
    let context = context();
    for definition in functions() {
        let [ArgumentType::Exactly(sql_type)] = definition.arguments else { continue };
        let ArgumentType::Exactly(output) = definition.returns else { continue };
        if definition.volatility == Volatility::Volatile || output == SqlType::Void {
            continue;
        }
        let rows: Vec<Vec<Value>> =
            corners(*sql_type).into_iter().map(|value| vec![value]).collect();
        let expr = call(definition.id, vec![column(0, *sql_type)], output);
        agree(&expr, &[*sql_type], &rows, &context);
    }
}

/// A division that fails on the rows that the condition keeps away.
#[test]
fn parts_that_can_fail_see_only_the_rows_that_reach_them() {
    let context = context();
    let id = |symbol: &str| {
        functions::resolve_operator(symbol, SqlType::Int4, SqlType::Int4)
            .expect("an operator of integers")
            .function
    };
    let literal = |value| Expr::literal(Value::Int4(value), SqlType::Int4);
    let x = || column(0, SqlType::Int4);
    let divided = || call(id("/"), vec![literal(100), x()], SqlType::Int4);
    let not_zero = || call(id("<>"), vec![x(), literal(0)], SqlType::Bool);
    let zero = || call(id("="), vec![x(), literal(0)], SqlType::Bool);
    let large = || call(id(">"), vec![divided(), literal(20)], SqlType::Bool);
    let integer = ColumnType::plain(SqlType::Int4);
    let rows: Vec<Vec<Value>> = corners(SqlType::Int4).into_iter().map(|v| vec![v]).collect();
    let guarded = [
        Expr::And(vec![not_zero(), large()]),
        Expr::Or(vec![zero(), large()]),
        Expr::Case {
            branches: vec![(not_zero(), divided())],
            otherwise: None,
            column_type: integer,
        },
        Expr::Case {
            branches: vec![(zero(), literal(-1))],
            otherwise: Some(Box::new(divided())),
            column_type: integer,
        },
        Expr::Coalesce {
            arguments: vec![
                Expr::Case {
                    branches: vec![(zero(), literal(0))],
                    otherwise: None,
                    column_type: integer,
                },
                divided(),
            ],
            column_type: integer,
        },
    ];
    for expr in &guarded {
        for row in &rows {
            assert!(evaluate(expr, row, &[], &EvalContext::PURE).is_ok());
        }
        agree(expr, &[SqlType::Int4], &rows, &context);
    }
    agree(&Expr::And(vec![large(), not_zero()]), &[SqlType::Int4], &rows, &context);
}
