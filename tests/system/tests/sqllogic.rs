//! SQL text tests: every file of `slt/` runs against a node, and against PostgreSQL 15 when it is installed, so that the expected answers are PostgreSQL's.

use std::path::{Path, PathBuf};

use sqllogictest::{DBOutput, DefaultColumnType, Runner};
use system_tests::{Oracle, Server};

/// An error as a text test sees it: code and message.
#[derive(Debug)]
struct SqlError(String);

impl std::fmt::Display for SqlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SqlError {}

impl From<postgres::Error> for SqlError {
    fn from(error: postgres::Error) -> SqlError {
        match error.as_db_error() {
            Some(known) => SqlError(format!("{} {}", known.code().code(), known.message())),
            None => SqlError(error.to_string()),
        }
    }
}

/// A connection that shows every value as its text.
struct Simple(postgres::Client);

impl sqllogictest::DB for Simple {
    type Error = SqlError;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, SqlError> {
        let mut rows = Vec::new();
        let mut columns = 0;
        let mut affected = 0;
        for message in self.0.simple_query(sql)? {
            match message {
                postgres::SimpleQueryMessage::Row(row) => {
                    columns = row.len();
                    let cell = |index| row.get(index).unwrap_or("NULL").to_owned();
                    rows.push((0..row.len()).map(cell).map(shown).collect());
                }
                postgres::SimpleQueryMessage::RowDescription(description) => {
                    columns = description.len();
                }
                postgres::SimpleQueryMessage::CommandComplete(count) => affected = count,
                _ => {}
            }
        }
        if columns == 0 {
            return Ok(DBOutput::StatementComplete(affected));
        }
        Ok(DBOutput::Rows { types: vec![DefaultColumnType::Any; columns], rows })
    }
}

fn shown(text: String) -> String {
    if text.is_empty() { "(empty)".into() } else { text }
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("slt");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "slt"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "there are text tests");
    files
}

fn run_all(connect: &dyn Fn() -> postgres::Client, whose: &str) {
    for file in files() {
        let mut client = connect();
        client
            .batch_execute("DROP TABLE IF EXISTS t, u, v, w, accounts")
            .expect("what earlier files made goes");
        let mut client = Some(client);
        let mut runner = Runner::new(|| {
            let client = client.take().unwrap_or_else(connect);
            async { Ok(Simple(client)) }
        });
        if let Err(error) = runner.run_file(&file) {
            panic!("{} against {whose}:\n{}", file.display(), error.display(false));
        }
    }
}

#[test]
fn answers_are_the_expected_ones_with_one_shard() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(directory.path(), 1, &[]);
    run_all(&|| server.connect(), "Ringfence, one shard");
}

#[test]
fn answers_are_the_expected_ones_with_two_shards() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(directory.path(), 2, &[]);
    run_all(&|| server.connect(), "Ringfence, two shards");
}

#[test]
fn the_expected_answers_are_postgresqls() {
    match Oracle::start() {
        Some(oracle) => run_all(&|| oracle.connect(), "PostgreSQL 15"),
        None => println!("PostgreSQL 15 is not installed: its answers were recorded before"),
    }
}
