//! Every function, operator, cast and aggregate over edge values of its types, wrong types and wrong counts: an answer or an error, never a panic, and an
//! answer of the declared type.

use functions::aggregate::aggregates;
use functions::{
    ArgumentType, CastKind, EvalContext, cast_value, find_cast, functions as all_functions,
    operators,
};
use types::{ColumnType, Interval, Numeric, SqlType, Value};

const CONTEXT: EvalContext<'static> = EvalContext::PURE;

fn numeric(text: &str) -> Value {
    Value::Numeric(Box::new(Numeric::parse(text).expect(text)))
}

fn edges(sql_type: SqlType) -> Vec<Value> {
    let texts = |texts: &[&str]| texts.iter().map(|text| Value::text(*text)).collect();
    match sql_type {
        SqlType::Bool => vec![Value::Bool(true), Value::Bool(false)],
        SqlType::Int2 => [0, 1, -1, i16::MAX, i16::MIN].map(Value::Int2).to_vec(),
        SqlType::Int4 => [0, 1, -1, 3, 100, i32::MAX, i32::MIN].map(Value::Int4).to_vec(),
        SqlType::Int8 => [0, 1, -1, 3, i64::MAX, i64::MIN].map(Value::Int8).to_vec(),
        SqlType::Float4 => [0.0, -0.0, 1.5, f32::MAX, f32::MIN_POSITIVE, f32::NAN, f32::INFINITY]
            .map(Value::Float4)
            .to_vec(),
        SqlType::Float8 => {
            [0.0, -0.0, 1.5, -700.5, f64::MAX, 5e-324, f64::NAN, f64::INFINITY, f64::NEG_INFINITY]
                .map(Value::Float8)
                .to_vec()
        }
        SqlType::Numeric => [
            "0",
            "1",
            "-1.5",
            "1e-200",
            "-9e300",
            "123456789.123456789",
            "NaN",
            "Infinity",
            "-Infinity",
        ]
        .map(numeric)
        .to_vec(),
        SqlType::Text | SqlType::Varchar | SqlType::Unknown => texts(&[
            "",
            "a",
            "äöü",
            "%_\\",
            "(",
            "[a-z]+(b|c)?",
            "day",
            "hex",
            "2024-02-30",
            "12,34",
            "{1,2}",
            "\u{10ffff}",
            "FM999.00",
            "YYYY-MM-DD HH24:MI",
        ]),
        SqlType::Bpchar => texts(&["", "a  ", "  "]),
        SqlType::Name | SqlType::Char => texts(&["", "a", "UTF8"]),
        SqlType::Bytea | SqlType::Void => {
            vec![Value::Bytea([].into()), Value::Bytea([0, 255, 92].into())]
        }
        SqlType::Date => [0, -1, i32::MAX, i32::MIN, i32::MAX - 1, i32::MIN + 1, -2_451_545]
            .map(Value::Date)
            .to_vec(),
        SqlType::Timestamp => {
            [0, -1, i64::MAX, i64::MIN, i64::MAX - 1, i64::MIN + 1, 9_223_371_331_199_999_999]
                .map(Value::Timestamp)
                .to_vec()
        }
        SqlType::Timestamptz => {
            [0, -1, i64::MAX, i64::MIN, i64::MAX - 1, i64::MIN + 1, 9_223_371_331_199_999_999]
                .map(Value::Timestamptz)
                .to_vec()
        }
        SqlType::Interval => [
            Interval::default(),
            Interval { months: 1, days: -1, micros: 1 },
            Interval { months: i32::MAX, days: i32::MAX, micros: i64::MAX },
            Interval { months: i32::MIN, days: i32::MIN, micros: i64::MIN },
        ]
        .map(Value::Interval)
        .to_vec(),
        SqlType::Uuid => vec![Value::Uuid([0; 16]), Value::Uuid([255; 16])],
        SqlType::Oid | SqlType::Regclass | SqlType::Regtype | SqlType::Regproc => {
            [0, 23, 1259, u32::MAX].map(Value::Oid).to_vec()
        }
        array => {
            let element = array.element().map(edges).unwrap_or_default();
            let mut with_null = element.clone();
            with_null.push(Value::Null);
            vec![
                Value::Array([].into()),
                Value::Array(element.into()),
                Value::Array(with_null.into()),
            ]
        }
    }
}

fn pool(argument: ArgumentType) -> Vec<Value> {
    let mut values = match argument {
        ArgumentType::Exactly(sql_type) => edges(sql_type),
        ArgumentType::AnyArray => edges(SqlType::Int4Array),
        _ => edges(SqlType::Int4),
    };
    values.push(Value::Null);
    values
}

fn of_type(value: &Value, sql_type: SqlType) -> bool {
    match (value, sql_type) {
        (Value::Null, _) => true,
        (Value::Text(_), _) => sql_type.is_string() || sql_type == SqlType::Void,
        (Value::Oid(_), _) => matches!(
            sql_type,
            SqlType::Oid | SqlType::Regclass | SqlType::Regtype | SqlType::Regproc
        ),
        (Value::Array(_), _) => sql_type.element().is_some(),
        (Value::Bool(_), SqlType::Bool)
        | (Value::Int2(_), SqlType::Int2)
        | (Value::Int4(_), SqlType::Int4)
        | (Value::Int8(_), SqlType::Int8)
        | (Value::Float4(_), SqlType::Float4)
        | (Value::Float8(_), SqlType::Float8)
        | (Value::Numeric(_), SqlType::Numeric)
        | (Value::Bytea(_), SqlType::Bytea)
        | (Value::Date(_), SqlType::Date)
        | (Value::Timestamp(_), SqlType::Timestamp)
        | (Value::Timestamptz(_), SqlType::Timestamptz)
        | (Value::Interval(_), SqlType::Interval)
        | (Value::Uuid(_), SqlType::Uuid) => true,
        _ => false,
    }
}

/// Calls `visit` with up to `most` combinations, spread over all.
fn combinations(pools: &[Vec<Value>], most: usize, visit: &mut dyn FnMut(&[&Value])) {
    let total = pools.iter().map(Vec::len).fold(1usize, usize::saturating_mul);
    let step = total.div_ceil(most).max(1) | 1;
    let mut index = 0;
    while index < total {
        let mut rest = index;
        let chosen: Vec<&Value> = pools
            .iter()
            .map(|pool| {
                let value = &pool[rest % pool.len()];
                rest /= pool.len();
                value
            })
            .collect();
        visit(&chosen);
        index += step;
    }
}

#[test]
fn functions_answer_with_their_type_or_fail() {
    for definition in all_functions() {
        let pools: Vec<Vec<Value>> =
            definition.arguments.iter().map(|argument| pool(*argument)).collect();
        combinations(&pools, 300, &mut |arguments| {
            if let Ok(value) = functions::apply(definition.id, arguments, &CONTEXT)
                && let ArgumentType::Exactly(returns) = definition.returns
            {
                assert!(
                    of_type(&value, returns),
                    "{} {arguments:?} gave {value:?}",
                    definition.name
                );
            }
        });
        // Wrong types and wrong counts are errors of ours, not panics.
        let wrong =
            [Value::Bool(true), Value::Int8(7), Value::Array([Value::Null].into()), Value::Date(1)];
        for value in &wrong {
            let arguments: Vec<&Value> = definition.arguments.iter().map(|_| value).collect();
            let _ = functions::apply(definition.id, &arguments, &CONTEXT);
            let _ = functions::apply(definition.id, &[value], &CONTEXT);
        }
        let _ = functions::apply(definition.id, &[], &CONTEXT);
    }
}

#[test]
fn tables_are_sorted_and_point_at_each_other() {
    assert!(
        all_functions()
            .windows(2)
            .all(|pair| (pair[0].name, pair[0].id) < (pair[1].name, pair[1].id))
    );
    assert!(
        operators()
            .windows(2)
            .all(|pair| (pair[0].symbol, pair[0].oid) < (pair[1].symbol, pair[1].oid))
    );
    for operator in operators() {
        let function = operator.function.definition().expect("an operator's function exists");
        assert_eq!(
            function.arguments.len(),
            usize::from(operator.left.is_some()) + 1,
            "{}",
            operator.symbol
        );
    }
    for function in all_functions() {
        assert_eq!(function.id.definition().map(|found| found.name), Some(function.name));
    }
}

#[test]
fn casts_answer_with_their_type_or_fail() {
    for from in SqlType::ALL.iter().copied().filter(|from| *from != SqlType::Void) {
        for to in SqlType::ALL.iter().copied().filter(|to| *to != SqlType::Void) {
            for kind in [CastKind::Implicit, CastKind::Assignment, CastKind::Explicit] {
                if find_cast(from, to, kind).is_none() {
                    continue;
                }
                for modifier in [-1, 5, 8, 0x0005_0006] {
                    for value in edges(from) {
                        let column_type = ColumnType { sql_type: to, modifier };
                        if let Ok(converted) = cast_value(&value, from, column_type, kind, &CONTEXT)
                        {
                            assert!(
                                of_type(&converted, to),
                                "{value:?} from {from:?} to {to:?} gave {converted:?}"
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn aggregates_answer_with_their_type_or_fail() {
    for definition in aggregates() {
        let pools: Vec<Vec<Value>> =
            definition.arguments.iter().map(|argument| pool(*argument)).collect();
        let types = vec![SqlType::Int4; definition.arguments.len()];
        let mut state = definition.new_state(&types);
        let mut check = |arguments: &[&Value]| {
            let _ = state.accumulate(arguments, &CONTEXT);
            if let Ok(value) = state.finish()
                && let ArgumentType::Exactly(returns) = definition.returns
            {
                assert!(of_type(&value, returns), "{} gave {value:?}", definition.name);
            }
        };
        combinations(&pools, 200, &mut check);
        check(&[]);
        check(&[&Value::Bool(true), &Value::Bool(true)]);
        let partial = state.partial();
        assert!(definition.new_state(&types).merge(&partial).is_ok(), "{}", definition.name);
        assert!(
            definition.new_state(&types).merge(&[const { Value::Bool(true) }; 9]).is_err(),
            "{}",
            definition.name
        );
    }
}
