//! Every query that clients send of their own accord, recorded in `catalog_queries/*.sql`, is understood.

use std::path::Path;
use types::SqlState;

/// (file and number, text) of every recorded statement.
fn statements() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/catalog_queries");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("a readable entry").path())
        .collect();
    paths.sort();
    let mut statements = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("a text");
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let parts = text.split("\n;\n").filter(|part| !part.trim().is_empty());
        let numbered = parts.zip(1..);
        statements
            .extend(numbered.map(|(part, number)| (format!("{name} #{number}"), part.to_owned())));
    }
    statements
}

/// What clients ask for although no server need have it: the answer is 0A000, and they go on or say so.
fn is_not_built(text: &str) -> bool {
    let starts = ["LOCK TABLE", "SAVEPOINT", "ROLLBACK TO SAVEPOINT"];
    starts.iter().any(|start| text.lines().any(|line| line.starts_with(start)))
}

#[test]
fn every_query_parses() {
    let statements = statements();
    assert!(statements.len() > 300);
    let mut failures = Vec::new();
    for (name, text) in &statements {
        match plan::parse::parse(text) {
            Ok(parsed) => assert_eq!(parsed.len(), 1, "{name}"),
            Err(error) if is_not_built(text) => {
                assert_eq!(error.state, SqlState::FEATURE_NOT_SUPPORTED, "{name}");
            }
            Err(error) => failures.push(format!("{name}: {error}")),
        }
    }
    assert!(failures.is_empty(), "{} of {}: {failures:#?}", failures.len(), statements.len());
}
