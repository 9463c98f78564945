//! Hundreds of statements, good and bad, mean what PostgreSQL 15 says they mean: types of parameters, names and types of columns, or SQLSTATE, place and
//! message. `answers/*.sql` holds the statements, `answers/*.txt` the answers that `answers/generate.py` asked a server for.
//!
//! A statement followed by ` --! CODE` is one where we answer otherwise, by design, with that SQLSTATE or with `ok`.

use functions::EvalContext;
use plan::catalog::{Catalog, SearchPath};
use plan::statement::{BoundStatement, Statement};
use std::path::{Path, PathBuf};
use types::SchemaVersion;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/answers")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).expect("the file is there")
}

fn bind(text: &str, catalog: &Catalog) -> Result<BoundStatement, Box<plan::PlanError>> {
    let parsed = plan::parse(text)?;
    let input = plan::BindInput {
        text,
        catalog,
        search_path: &SearchPath::default(),
        context: EvalContext { database: "postgres", ..EvalContext::PURE },
        parameters: &[],
    };
    match parsed.as_slice() {
        [] => Err(plan::PlanError::new(types::SqlState::SUCCESSFUL_COMPLETION, "empty")),
        [one, ..] => plan::bind(one, &input),
    }
}

fn catalog() -> Catalog {
    let mut catalog = Catalog::initial();
    let mut next_id = 16_384;
    for line in read("setup.sql").lines() {
        let bound = bind(line, &catalog).unwrap_or_else(|error| panic!("{line}: {error}"));
        let Statement::Ddl(ddl) = &bound.statement else { panic!("{line}") };
        let outcome = plan::ddl::changes(ddl, &catalog, &mut next_id).expect(line);
        catalog = catalog.apply(SchemaVersion(u64::from(next_id)), &outcome.changes);
        // Indexes are filled at once: nothing is in the tables.
        let public: Vec<_> = outcome
            .changes
            .iter()
            .filter_map(|change| match change {
                plan::catalog::CatalogChange::PutTable(table) => {
                    let mut table = (**table).clone();
                    for index in &mut table.indexes {
                        index.state = types::schema::IndexState::Public;
                    }
                    Some(plan::catalog::CatalogChange::PutTable(table.into()))
                }
                _ => None,
            })
            .collect();
        catalog = catalog.apply(SchemaVersion(u64::from(next_id)), &public);
    }
    catalog
}

/// The answer in the form of the files.
fn answer(statement: &str, catalog: &Catalog, described: bool) -> String {
    match bind(statement, catalog) {
        Err(error) if error.message == "empty" => "ok".to_owned(),
        Err(error) => {
            let place = error
                .character_position(statement)
                .map_or_else(|| "-".to_owned(), |place| place.to_string());
            format!("{} {place} {}", error.state, error.message)
        }
        Ok(_) if !described => "ok".to_owned(),
        Ok(bound) => {
            let mut text = "ok".to_owned();
            for parameter in &bound.parameters {
                text += &format!(" ${}", parameter.oid());
            }
            for column in &bound.columns {
                text += &format!(" {}:{}", column.name, column.column_type.sql_type.oid());
                if column.column_type.modifier >= 0 {
                    text += &format!("/{}", column.column_type.modifier);
                }
            }
            text
        }
    }
}

/// Whether two answers are one. PostgreSQL does not always say where; we may.
fn same(ours: &str, theirs: &str) -> bool {
    if ours == theirs {
        return true;
    }
    let parts = |text: &str| -> Option<(String, String, String)> {
        let (state, rest) = text.split_once(' ')?;
        let (place, message) = rest.split_once(' ')?;
        Some((state.to_owned(), place.to_owned(), message.to_owned()))
    };
    match (parts(ours), parts(theirs)) {
        (Some(ours), Some(theirs)) if !ours.0.starts_with("ok") => {
            ours.0 == theirs.0 && ours.2 == theirs.2 && (theirs.1 == "-" || ours.1 == theirs.1)
        }
        _ => false,
    }
}

fn check(name: &str, described: bool) {
    let catalog = catalog();
    let answers = read(&format!("{name}.txt"));
    let statements = read(&format!("{name}.sql"));
    assert_eq!(answers.lines().count(), statements.lines().count(), "{name}: generate anew");
    let mut failures = Vec::new();
    for (line, theirs) in statements.lines().zip(answers.lines()) {
        let (statement, by_design) = match line.split_once(" --! ") {
            Some((statement, code)) => (statement, Some(code)),
            None => (line, None),
        };
        let ours = answer(statement, &catalog, described);
        let right = match by_design {
            Some(code) => ours.starts_with(code) && !same(&ours, theirs),
            None => same(&ours, theirs),
        };
        if !right {
            failures.push(format!("{statement}\n  ours:   {ours}\n  theirs: {theirs}"));
        }
    }
    let count = failures.len();
    assert!(failures.is_empty(), "{count} of {name}:\n{}", failures.join("\n"));
}

#[test]
fn queries() {
    check("select", true);
}

#[test]
fn modifications() {
    check("modify", true);
}

#[test]
fn changes_of_the_schema() {
    check("schema", false);
}
