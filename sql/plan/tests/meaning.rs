//! Bound queries mean what their text means to PostgreSQL 15: a naive interpreter of the relational tree answers them, and its rows are compared with
//! those that `answers/generate.py` got from a server. This is what pins down positions, levels of outer columns, groups and their order.

#[path = "meaning/interpreter.rs"]
mod interpreter;

use functions::EvalContext;
use interpreter::Database;
use plan::catalog::{Catalog, SearchPath};
use plan::query::Rel;
use plan::statement::{BoundStatement, Statement};
use std::path::Path;
use types::SchemaVersion;

fn read(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/meaning");
    std::fs::read_to_string(folder.join(name)).expect("the file is there")
}

fn bind(text: &str, catalog: &Catalog) -> Result<BoundStatement, Box<plan::PlanError>> {
    let parsed = plan::parse(text)?;
    let input = plan::BindInput {
        text,
        catalog,
        search_path: &SearchPath::default(),
        context: EvalContext::PURE,
        parameters: &[],
    };
    plan::bind(&parsed[0], &input)
}

fn database() -> (Catalog, Database) {
    let mut catalog = Catalog::initial();
    let mut database = Database::default();
    let mut next_id = 16_384;
    for line in read("setup.sql").lines() {
        let bound = bind(line, &catalog).unwrap_or_else(|error| panic!("{line}: {error}"));
        match &bound.statement {
            Statement::Ddl(ddl) => {
                let outcome = plan::ddl::changes(ddl, &catalog, &mut next_id).expect(line);
                catalog = catalog.apply(SchemaVersion(u64::from(next_id)), &outcome.changes);
            }
            Statement::Insert(insert) => database.insert(insert),
            other => panic!("{other:?}"),
        }
    }
    (catalog, database)
}

/// Whether the order of the rows was asked for.
fn is_ordered(rel: &Rel) -> bool {
    match rel {
        Rel::Sort { .. } => true,
        Rel::Limit { input, .. } | Rel::Project { input, .. } => is_ordered(input),
        _ => false,
    }
}

#[test]
fn rows_are_those_of_postgresql() {
    let (catalog, database) = database();
    let answers = read("queries.txt");
    let queries = read("queries.sql");
    let mut answers = answers.split("\n;\n");
    let mut failures = Vec::new();
    for text in queries.lines() {
        let theirs = answers.next().expect("an answer for each query");
        let bound = match bind(text, &catalog) {
            Ok(bound) => bound,
            Err(error) => {
                failures.push(format!("{text}\n  {error}"));
                continue;
            }
        };
        let Statement::Select(select) = &bound.statement else { panic!("{text}") };
        let mut ours = database.text(&select.query, &bound.subqueries);
        let mut theirs: Vec<&str> = theirs.lines().collect();
        if !is_ordered(&select.query.root) {
            ours.sort_unstable();
            theirs.sort_unstable();
        }
        if ours != theirs {
            failures.push(format!("{text}\n  ours:   {ours:?}\n  theirs: {theirs:?}"));
        }
    }
    let count = failures.len();
    assert!(failures.is_empty(), "{count}:\n{}", failures.join("\n"));
}
