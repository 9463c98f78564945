//! Our answers against those that a PostgreSQL 15 server gave (`tests/answers/*.txt`, written by `tests/generate/answers.py`, which also says what the
//! lines mean). An answer differs in value, type, SQLSTATE or message: every character counts.

use functions::cast::{read_text, type_named, value_text};
use functions::{
    CallTarget, CastKind, EvalContext, EvalError, apply, cast_value, resolve_aggregate,
    resolve_call, resolve_operator, resolve_prefix_operator,
};
use std::collections::BTreeMap;
use types::{ColumnType, SqlType, Value};

const CONTEXT: EvalContext<'static> = EvalContext::PURE;

fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some('t') => plain.push('\t'),
                Some('n') => plain.push('\n'),
                Some(other) => plain.push(other),
                None => {}
            },
            _ => plain.push(letter),
        }
    }
    plain
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n")
}

/// A type with its modifier, as the tests spell them.
fn column_type(name: &str) -> ColumnType {
    let (bare, modifier) = match name.split_once('(') {
        Some((bare, rest)) => (bare, rest.trim_end_matches(')')),
        None => (name, ""),
    };
    let sql_type = type_named(bare).unwrap_or_else(|| panic!("no type {name}"));
    let numbers: Vec<i32> = modifier
        .split(',')
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().expect(name))
        .collect();
    match (sql_type, &numbers[..]) {
        (SqlType::Varchar | SqlType::Bpchar, [length]) => {
            ColumnType { sql_type, modifier: length + 4 }
        }
        (SqlType::Numeric, [precision, scale]) => {
            ColumnType::numeric(*precision as u16, *scale as i16)
        }
        (_, [digits]) => ColumnType { sql_type, modifier: *digits },
        _ => ColumnType::plain(sql_type),
    }
}

fn argument(text: &str) -> (SqlType, Vec<Value>) {
    let (name, values) = text.split_once(':').expect("type:value");
    let sql_type = column_type(name).sql_type;
    let read = |text: &str| {
        if text == "\\N" {
            return Value::Null;
        }
        let text = unescape(text);
        read_text(&text, sql_type, &CONTEXT)
            .unwrap_or_else(|error| panic!("{name} {text}: {error}"))
    };
    (sql_type, values.split('\u{1f}').map(read).collect())
}

fn call(
    resolution: &functions::Resolution,
    arguments: &[(SqlType, Value)],
) -> Result<(SqlType, Value), EvalError> {
    let mut values = Vec::new();
    for ((from, value), to) in arguments.iter().zip(&resolution.arguments) {
        values.push(cast_value(
            value,
            *from,
            ColumnType::plain(*to),
            CastKind::Implicit,
            &CONTEXT,
        )?);
    }
    let borrowed: Vec<&Value> = values.iter().collect();
    Ok((resolution.returns, apply(resolution.function, &borrowed, &CONTEXT)?))
}

fn aggregate(name: &str, columns: &[(SqlType, Vec<Value>)]) -> Result<(SqlType, Value), EvalError> {
    let types: Vec<SqlType> = columns.iter().map(|(sql_type, _)| *sql_type).collect();
    let resolution = resolve_aggregate(name, &types)?;
    let definition = resolution.aggregate.definition().expect("resolved");
    let mut whole = definition.new_state(&resolution.arguments);
    // Also in two halves that are merged: integers, numbers, strings and times must not notice.
    let mut halves =
        [definition.new_state(&resolution.arguments), definition.new_state(&resolution.arguments)];
    let mut split = true;
    let rows = columns[0].1.len();
    for row in 0..rows {
        let mut values = Vec::new();
        for ((from, cells), to) in columns.iter().zip(&resolution.arguments) {
            let to = ColumnType::plain(*to);
            values.push(cast_value(&cells[row], *from, to, CastKind::Implicit, &CONTEXT)?);
        }
        let borrowed: Vec<&Value> = values.iter().collect();
        whole.accumulate(&borrowed, &CONTEXT)?;
        split &= halves[usize::from(row >= rows / 2)].accumulate(&borrowed, &CONTEXT).is_ok();
    }
    let answer = whole.finish()?;
    let [mut first, second] = halves;
    let merged = first.merge(&second.partial()).and_then(|()| first.finish());
    let inexact = matches!(answer, Value::Float4(_) | Value::Float8(_));
    if split && !inexact {
        assert_eq!(merged.as_ref(), Ok(&answer), "{name} in halves");
    }
    Ok((resolution.returns, answer))
}

fn answer(fields: &[&str]) -> Result<(SqlType, Value), EvalError> {
    let [kind, name, arguments @ ..] = fields else { panic!("{fields:?}") };
    if *kind == "agg" {
        let columns: Vec<(SqlType, Vec<Value>)> = arguments
            .iter()
            .map(|text| match text.strip_suffix(":\\E") {
                Some(name) => (column_type(name).sql_type, Vec::new()),
                None => argument(text),
            })
            .collect();
        return aggregate(name, &columns);
    }
    let arguments: Vec<(SqlType, Value)> = arguments
        .iter()
        .map(|text| {
            let (sql_type, mut values) = argument(text);
            (sql_type, values.pop().expect("one value"))
        })
        .collect();
    let types: Vec<SqlType> = arguments.iter().map(|(sql_type, _)| *sql_type).collect();
    match *kind {
        "op" if types.len() == 1 => call(&resolve_prefix_operator(name, types[0])?, &arguments),
        "op" => call(&resolve_operator(name, types[0], types[1])?, &arguments),
        "fn" => match resolve_call(name, &types)? {
            CallTarget::Function(resolution) => call(&resolution, &arguments),
            CallTarget::Cast(to) => {
                let (from, value) = &arguments[0];
                let plain = ColumnType::plain(to);
                Ok((to, cast_value(value, *from, plain, CastKind::Explicit, &CONTEXT)?))
            }
        },
        "cast" => {
            let to = column_type(name);
            let (from, value) = &arguments[0];
            Ok((to.sql_type, cast_value(value, *from, to, CastKind::Explicit, &CONTEXT)?))
        }
        other => panic!("kind {other}"),
    }
}

fn shown(answer: Result<(SqlType, Value), EvalError>) -> String {
    match answer {
        Ok((sql_type, Value::Null)) => format!("={}:\\N", sql_type.name()),
        Ok((sql_type, value)) => {
            let text = value_text(&value, sql_type, &CONTEXT).expect("a text form");
            format!("={}:{}", sql_type.name(), escape(&text))
        }
        Err(error) => format!("!{} {}", error.sqlstate, escape(&error.message)),
    }
}

/// Functions whose last digit depends on the C library's own approximation.
const APPROXIMATE: [&str; 11] =
    ["cbrt", "||/", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "asin", "acos", "tan"];

/// Whether two answers are doubles at most two units in the last place apart.
fn close(wanted: &str, given: &str) -> bool {
    let number = |text: &str| {
        text.strip_prefix("=double precision:").and_then(|text| text.parse::<f64>().ok())
    };
    match (number(wanted), number(given)) {
        (Some(a), Some(b)) => a.to_bits().abs_diff(b.to_bits()) <= 2,
        _ => false,
    }
}

/// Compares a file; `allowed` names the lines (by their beginning) that are known to differ, each with its reason in `docs`.
fn compare(name: &str) {
    let path = format!("{}/tests/answers/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let known = std::fs::read_to_string(format!(
        "{}/tests/known_differences.txt",
        env!("CARGO_MANIFEST_DIR")
    ))
    .expect("known differences");
    let known: Vec<&str> =
        known.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let text = std::fs::read_to_string(&path).expect("answers");
    let mut differences: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut count = 0;
    for line in text.split('\n').filter(|line| !line.is_empty()) {
        let fields: Vec<&str> = line.split('\t').collect();
        let (wanted, fields) = fields.split_last().expect("an answer");
        count += 1;
        let given = shown(answer(fields));
        let excused = APPROXIMATE.contains(&fields[1]) && close(wanted, &given)
            || fields[1] == "age" && line.contains("infinity");
        if given != *wanted && !excused && !known.iter().any(|known| line.starts_with(known)) {
            let group = format!("{} {}", fields[0], fields[1]);
            differences
                .entry(group)
                .or_default()
                .push(format!("{}\n      wanted {wanted}\n      given  {given}", fields.join(" ")));
        }
    }
    assert!(count > 0, "{name} has no answers");
    let total: usize = differences.values().map(Vec::len).sum();
    let most = std::env::var("SHOW").ok().and_then(|most| most.parse().ok()).unwrap_or(3);
    for (group, lines) in &differences {
        println!("{group}: {}", lines.len());
        for line in lines.iter().take(most) {
            println!("    {line}");
        }
    }
    assert_eq!(total, 0, "{name}: {total} of {count} answers differ");
}

macro_rules! files {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            compare(stringify!($name));
        }
    )*};
}

files! { operators functions casts inputs resolution aggregates numerics floats formats by_hand }
