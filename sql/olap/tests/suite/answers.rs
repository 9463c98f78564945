//! Hundreds of queries have PostgreSQL 15's answers: `answers/*.sql` holds them, `answers/*.txt` what `answers/generate.py` asked a server for.
//!
//! The tables' rows lie in two files that overlap, with older versions and tombstones under them, and in frozen rows of two memtables, so that every query
//! goes through merges. A query followed by ` --! any` is one where we answer otherwise, by design.

use std::path::{Path, PathBuf};

use crate::world::World;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/answers")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The tables of `schema.sql` with the rows of `*.rows`.
pub fn world() -> World {
    let mut world = World::new();
    for line in read("schema.sql").lines() {
        world.create(line);
    }
    for name in world.table_names() {
        let text = read(&format!("{name}.rows"));
        let rows: Vec<&str> = text.lines().collect();
        fill(&mut world, &name, &rows);
    }
    world
}

/// The rows in four places, over garbage.
fn fill(world: &mut World, name: &str, rows: &[&str]) {
    if rows.is_empty() {
        return;
    }
    let (first, rest) = rows.split_at(rows.len() / 2);
    let (second, third) = rest.split_at(rest.len() / 2);
    // Older versions of all rows, one of which comes back after it was deleted.
    world.insert(name, rows);
    world.delete(name, rows[0]);
    world.flush(name);
    world.insert(name, first);
    world.flush(name);
    world.insert(name, second);
    world.freeze(name);
    world.insert(name, third);
    world.freeze(name);
}

struct Answer {
    head: String,
    rows: Vec<String>,
}

fn answers(name: &str) -> Vec<Answer> {
    let mut answers: Vec<Answer> = Vec::new();
    for line in read(name).lines() {
        match (line.strip_prefix('\t'), answers.last_mut()) {
            (Some(row), Some(answer)) => answer.rows.push(row.to_string()),
            _ => answers.push(Answer { head: line.to_string(), rows: Vec::new() }),
        }
    }
    answers
}

fn check(name: &str) {
    let world = world();
    let text = read(&format!("{name}.sql"));
    let queries: Vec<&str> =
        text.lines().filter(|line| !line.is_empty() && !line.starts_with("--")).collect();
    let answers = answers(&format!("{name}.txt"));
    assert_eq!(queries.len(), answers.len(), "an answer for each query");
    let mut wrong = Vec::new();
    for (line, answer) in queries.iter().zip(&answers) {
        let (query, any) = match line.split_once(" --! ") {
            Some((query, _)) => (query, true),
            None => (*line, false),
        };
        if any {
            continue;
        }
        let found = world.try_query(query);
        let differs = match (&found, answer.head.as_str()) {
            (Ok(rows), "ok") => {
                let (mut rows, mut expected) = (rows.clone(), answer.rows.clone());
                if !query.contains("order by") {
                    rows.sort();
                    expected.sort();
                }
                rows != expected
            }
            (Err(error), head) => error.split(':').next() != Some(head),
            (Ok(_), _) => true,
        };
        if differs {
            wrong.push(format!(
                "{query}\n  expected {} {:?}\n  found {found:?}",
                answer.head, answer.rows
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), queries.len(), wrong.join("\n"));
}

#[test]
fn joins_and_subqueries() {
    check("joins");
}

#[test]
fn groups_windows_and_sets() {
    check("groups");
}

#[test]
fn values_of_every_type() {
    check("values");
}
