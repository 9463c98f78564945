//! Every operator, cast and aggregate of PostgreSQL 15 over edge values of every type that we claim, answered three times: by the shard cores (a row by its
//! key), by the analytic path (a join), and by PostgreSQL. Each answer is the text of the value or the SQLSTATE.
//!
//! PostgreSQL's own catalog says what exists, so nothing can be forgotten. What we refuse must be refused by both paths, with one of [`REFUSALS`], and is
//! listed; an answer that differs fails.

use std::collections::{BTreeMap, BTreeSet};

use postgres::{Client, SimpleQueryMessage};
use system_tests::{Oracle, Server};

/// What a statement gives: a text, NULL, or an SQLSTATE.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    Text(String),
    Null,
    Failed(String),
}

/// Not supported; no such operator; no such function; no such cast; ambiguous because a candidate is missing.
const REFUSALS: [&str; 5] = ["0A000", "42883", "42846", "42725", "42704"];

/// Answers whose last digit is the C library's in PostgreSQL, and correctly rounded here.
const OWN_DIGITS: [&str; 1] = ["||/ {l}"];

/// Expressions that PostgreSQL has for its own index and text search machinery, refused here.
const REFUSED: [&str; 9] = [
    "{l} @@ {r} of text, text",
    "{l} ~<=~ {r} of bpchar, bpchar",
    "{l} ~<=~ {r} of text, text",
    "{l} ~<~ {r} of bpchar, bpchar",
    "{l} ~<~ {r} of text, text",
    "{l} ~>=~ {r} of bpchar, bpchar",
    "{l} ~>=~ {r} of text, text",
    "{l} ~>~ {r} of bpchar, bpchar",
    "{l} ~>~ {r} of text, text",
];

/// The types, with edge values as their texts.
const TYPES: [(&str, &[&str]); 16] = [
    ("bool", &["t", "f"]),
    ("int2", &["0", "1", "-1", "7", "32767", "-32768"]),
    ("int4", &["0", "1", "-1", "7", "2147483647", "-2147483648"]),
    ("int8", &["0", "1", "-1", "7", "9223372036854775807", "-9223372036854775808"]),
    (
        "float4",
        &["0", "-0", "1.5", "-2.5", "3.4028235e38", "1e-45", "NaN", "Infinity", "-Infinity"],
    ),
    (
        "float8",
        &[
            "0",
            "-0",
            "1.5",
            "-2.5",
            "0.1",
            "1.7976931348623157e308",
            "5e-324",
            "NaN",
            "Infinity",
            "-Infinity",
        ],
    ),
    (
        "numeric",
        &[
            "0",
            "1",
            "-1.50",
            "2.5",
            "0.000000000000000001",
            "12345678901234567890.123456789",
            "NaN",
            "Infinity",
            "-Infinity",
        ],
    ),
    ("text", &["", "a", "ab", "B", "äöü", "%", "_a%", "10", " x ", "(a|b)+"]),
    ("varchar", &["", "a", "ab ", "Ä", "10"]),
    ("bpchar", &["", "a", "ab ", "10"]),
    ("bytea", &["\\x", "\\x00", "\\x00ff", "\\x6162"]),
    (
        "date",
        &["2024-02-29", "1970-01-01", "4713-11-24 BC", "5874897-12-31", "infinity", "-infinity"],
    ),
    (
        "timestamp",
        &[
            "2024-02-29 12:34:56.789",
            "1970-01-01",
            "4713-11-24 00:00:00 BC",
            "294276-12-31 23:59:59.999999",
            "infinity",
            "-infinity",
        ],
    ),
    (
        "timestamptz",
        &[
            "2024-02-29 12:34:56.789+00",
            "1969-12-31 23:59:59.999999+00",
            "294276-12-31 23:59:59+00",
            "infinity",
            "-infinity",
        ],
    ),
    (
        "interval",
        &["0", "1 day", "-1 mons +2 days 03:04:05.6", "170000000 years", "00:00:00.000001"],
    ),
    ("uuid", &["00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
];

fn setup(client: &mut Client) {
    for (name, values) in TYPES {
        client
            .batch_execute(&format!("CREATE TABLE e_{name} (id int4 PRIMARY KEY, v {name})"))
            .expect("a table of one type");
        let rows: Vec<String> =
            values.iter().enumerate().map(|(id, value)| format!("({id}, '{value}')")).collect();
        let insert =
            format!("INSERT INTO e_{name} VALUES {}, ({}, NULL)", rows.join(", "), rows.len());
        client.batch_execute(&insert).unwrap_or_else(|error| panic!("{insert}: {error}"));
    }
}

fn values(name: &str) -> &'static [&'static str] {
    TYPES.iter().find(|(known, _)| *known == name).expect("one of the types").1
}

/// The rows of a query as texts, or its SQLSTATE.
fn rows(client: &mut Client, sql: &str) -> Result<Vec<Vec<Answer>>, String> {
    let messages = client.simple_query(sql).map_err(|error| match error.as_db_error() {
        Some(known) => known.code().code().to_owned(),
        None => panic!("{sql}: {error}"),
    })?;
    let mut rows = Vec::new();
    for message in messages {
        if let SimpleQueryMessage::Row(row) = message {
            let cell = |at| row.get(at).map_or(Answer::Null, |text| Answer::Text(text.into()));
            rows.push((0..row.len()).map(cell).collect());
        }
    }
    Ok(rows)
}

fn one(client: &mut Client, sql: &str) -> Answer {
    match rows(client, sql) {
        Ok(mut rows) => {
            assert_eq!(rows.len(), 1, "{sql}");
            rows.remove(0).remove(0)
        }
        Err(state) => Answer::Failed(state),
    }
}

fn strings(client: &mut Client, sql: &str) -> Vec<Vec<String>> {
    let text = |answer| match answer {
        Answer::Text(text) => text,
        Answer::Null | Answer::Failed(_) => String::new(),
    };
    let found = rows(client, sql).unwrap_or_else(|state| panic!("{sql}: {state}"));
    found.into_iter().map(|row| row.into_iter().map(text).collect()).collect()
}

/// What one expression gives for each pair of edge values; the right side may be absent.
struct Walk<'a> {
    server: &'a mut Client,
    oracle: &'a mut Client,
    /// Expressions that neither path knows.
    refused: BTreeSet<String>,
    compared: usize,
    wrong: Vec<String>,
}

impl Walk<'_> {
    fn note(&mut self, what: &str, path: &str, ours: &Answer, expected: &Answer) {
        self.compared += 1;
        if ours != expected {
            self.wrong.push(format!("{what}, {path}: {ours:?}, PostgreSQL {expected:?}"));
        }
    }

    fn refuses(answer: &Answer, expected: &Answer) -> bool {
        matches!(answer, Answer::Failed(state) if REFUSALS.contains(&state.as_str()))
            && answer != expected
    }

    /// `expression` holds `{l}` and, if it is of two values, `{r}`.
    fn walk(&mut self, expression: &str, left: &str, right: Option<&str>) {
        let label =
            format!("{expression} of {left}{}", right.map_or(String::new(), |r| format!(", {r}")));
        let joined = |filter: &str| {
            let value = expression.replace("{l}", "a.v").replace("{r}", "b.v");
            let other = right.unwrap_or("bool");
            format!(
                "SELECT a.id, b.id, {value} FROM e_{left} a CROSS JOIN e_{other} b {filter} ORDER BY 1, 2"
            )
        };
        let expected = by_pair(self.oracle, &joined, left, right);
        let analytic = by_pair(self.server, &joined, left, right);
        for ((l, r), expected) in &expected {
            let by_key = {
                let value = expression.replace("{l}", "v");
                let value = match right {
                    Some(name) => match values(name).get(*r) {
                        Some(text) => value.replace("{r}", &format!("'{text}'::{name}")),
                        None => value.replace("{r}", &format!("NULL::{name}")),
                    },
                    None => value,
                };
                format!("SELECT {value} FROM e_{left} WHERE id = {l}")
            };
            let short = one(self.server, &by_key);
            let analytic = &analytic[&(*l, *r)];
            if Self::refuses(&short, expected) && Self::refuses(analytic, expected) {
                self.refused.insert(label);
                return;
            }
            let what = format!("{label} at {l}, {r}");
            if OWN_DIGITS.contains(&expression) {
                self.note(&what, "analytic path beside the shard path", analytic, &short);
                continue;
            }
            self.note(&by_key, "shard path", &short, expected);
            self.note(&what, "analytic path", analytic, expected);
        }
    }
}

/// The answer for each pair of rows: all at once, or one by one if some fail.
fn by_pair(
    client: &mut Client,
    joined: &dyn Fn(&str) -> String,
    left: &str,
    right: Option<&str>,
) -> BTreeMap<(usize, usize), Answer> {
    let mut answers = BTreeMap::new();
    let rights = right.map_or(1, |name| values(name).len() + 1);
    let all = if right.is_some() { String::new() } else { "WHERE b.id = 0".into() };
    if let Ok(rows) = rows(client, &joined(&all)) {
        let number = |answer: &Answer| match answer {
            Answer::Text(text) => text.parse().expect("an id"),
            other => panic!("no id: {other:?}"),
        };
        for row in rows {
            answers.insert((number(&row[0]), number(&row[1])), row[2].clone());
        }
        return answers;
    }
    for l in 0..=values(left).len() {
        for r in 0..rights {
            let sql = joined(&format!("WHERE a.id = {l} AND b.id = {r}"));
            let answer = match rows(client, &sql) {
                Ok(rows) => rows[0][2].clone(),
                Err(state) => Answer::Failed(state),
            };
            answers.insert((l, r), answer);
        }
    }
    answers
}

fn names() -> String {
    TYPES.map(|(name, _)| format!("'{name}'::regtype")).join(", ")
}

fn walk_operators(walk: &mut Walk) {
    let list = names();
    let found = strings(
        walk.oracle,
        &format!(
            "SELECT oprname, (SELECT typname FROM pg_type WHERE oid = oprleft), \
                    (SELECT typname FROM pg_type WHERE oid = oprright) \
             FROM pg_operator WHERE oprnamespace = 'pg_catalog'::regnamespace \
               AND oprright IN ({list}) AND (oprleft IN ({list}) OR oprleft = 0) ORDER BY 1, 2, 3"
        ),
    );
    assert!(found.len() > 300, "{} operators", found.len());
    for operator in found {
        let [name, left, right] = &operator[..] else { unreachable!("three columns") };
        if left.is_empty() {
            walk.walk(&format!("{name} {{l}}"), right, None);
        } else {
            walk.walk(&format!("{{l}} {name} {{r}}"), left, Some(right));
        }
    }
}

fn walk_casts(walk: &mut Walk) {
    for (from, _) in TYPES {
        for (to, _) in TYPES {
            walk.walk(&format!("{{l}}::{to}"), from, None);
        }
    }
}

/// Aggregates over all rows, over each single row, over pairs, and over none.
fn walk_aggregates(walk: &mut Walk) {
    let list = names();
    let found = strings(
        walk.oracle,
        &format!(
            "SELECT proname, (SELECT typname FROM pg_type WHERE oid = proargtypes[0]) FROM pg_proc \
             WHERE prokind = 'a' AND pronamespace = 'pg_catalog'::regnamespace AND pronargs = 1 \
               AND proargtypes[0] IN ({list}, '\"any\"'::regtype) \
               AND proname NOT IN (SELECT proname FROM pg_proc p JOIN pg_aggregate a ON a.aggfnoid = p.oid WHERE a.aggkind <> 'n') \
             ORDER BY 1, 2"
        ),
    );
    assert!(found.len() > 60, "{} aggregates", found.len());
    for aggregate in found {
        let [name, over] = &aggregate[..] else { unreachable!("two columns") };
        let over: Vec<&str> =
            if over == "any" { TYPES.map(|(name, _)| name).to_vec() } else { vec![over] };
        for over in over {
            one_aggregate(walk, name, over);
        }
    }
}

fn one_aggregate(walk: &mut Walk, name: &str, over: &str) {
    let count = values(over).len();
    let mut filters = vec!["true".to_owned(), "false".to_owned(), format!("id = {count}")];
    filters.extend((0..count).map(|id| format!("id = {id}")));
    filters.extend((1..count).map(|id| format!("id IN ({}, {id})", id - 1)));
    for filter in &filters {
        for form in ["{a}(v)", "{a}(DISTINCT v)"] {
            let call = form.replace("{a}", name);
            let sql = format!("SELECT {call} FROM e_{over} WHERE {filter}");
            let expected = one(walk.oracle, &sql);
            let ours = one(walk.server, &sql);
            if Walk::refuses(&ours, &expected) {
                walk.refused.insert(format!("{call} of {over}"));
                continue;
            }
            // The order in which floats are added up, and which of 0 and -0 stands for both, is promised by neither side.
            let inexact = over.starts_with("float")
                && (filter == "true" || (form.contains("DISTINCT") && filter.contains("IN")));
            if !inexact {
                walk.note(&sql, "analytic path", &ours, &expected);
            }
        }
    }
    let sql = format!("SELECT id % 3, {name}(v) FROM e_{over} GROUP BY id % 3 ORDER BY 1");
    let (ours, expected) = (rows(walk.server, &sql), rows(walk.oracle, &sql));
    if !matches!(&ours, Err(state) if REFUSALS.contains(&state.as_str()))
        && !over.starts_with("float")
    {
        walk.compared += 1;
        if ours != expected {
            walk.wrong.push(format!("{sql}: {ours:?}, PostgreSQL {expected:?}"));
        }
    }
}

#[test]
fn both_paths_answer_as_postgresql() {
    let Some(oracle) = Oracle::start() else {
        println!("skipped: PostgreSQL 15 is not installed, and only it can say what is right");
        return;
    };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(directory.path(), 1, &[]);
    let (mut ours, mut theirs) = (server.connect(), oracle.connect());
    for client in [&mut ours, &mut theirs] {
        client.batch_execute("SET TimeZone = 'UTC'").expect("a setting");
        setup(client);
    }
    let mut walk = Walk {
        server: &mut ours,
        oracle: &mut theirs,
        refused: BTreeSet::new(),
        compared: 0,
        wrong: Vec::new(),
    };
    walk_operators(&mut walk);
    walk_casts(&mut walk);
    walk_aggregates(&mut walk);
    println!("{} answers compared, {} expressions refused", walk.compared, walk.refused.len());
    for wrong in walk.wrong.iter().take(200) {
        println!("wrong: {wrong}");
    }
    let refused: Vec<&str> = walk.refused.iter().map(String::as_str).collect();
    assert_eq!(refused, REFUSED, "what is refused has changed");
    assert!(walk.wrong.is_empty(), "{} answers differ", walk.wrong.len());
    assert!(walk.compared > 20_000, "only {} answers were compared", walk.compared);
}
