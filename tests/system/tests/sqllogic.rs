//! SQL text tests: every file of `slt/` runs against a node, and against PostgreSQL 15 when it is installed, so that the expected answers are PostgreSQL's.

use std::path::{Path, PathBuf};
use std::process::Command;

use sqllogictest::{DBOutput, DefaultColumnType, Runner};
use system_tests::Server;

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

/// PostgreSQL 15 in a temporary directory.
struct Oracle {
    directory: tempfile::TempDir,
    port: u16,
}

const BIN: &str = "/usr/lib/postgresql/15/bin";

impl Oracle {
    fn start() -> Option<Oracle> {
        if !Path::new(BIN).join("postgres").exists() {
            return None;
        }
        let directory = tempfile::Builder::new().prefix("oracle-").tempdir_in("/tmp").ok()?;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").ok()?;
        let port = listener.local_addr().ok()?.port();
        drop(listener);
        let data = directory.path().join("data");
        let socket = directory.path().display();
        let script = format!(
            "{BIN}/initdb -D {data} -A trust -U ringfence --no-sync --locale=C -E UTF8 >/dev/null && \
             {BIN}/pg_ctl -D {data} -w -o '-p {port} -k {socket} -c listen_addresses=127.0.0.1 -c fsync=off -c timezone=UTC' start >/dev/null && \
             {BIN}/createdb -h 127.0.0.1 -p {port} -U ringfence ringfence",
            data = data.display(),
        );
        let status = as_postgres(&script, directory.path());
        assert!(status, "PostgreSQL is installed and starts");
        Some(Oracle { directory, port })
    }

    fn connect(&self) -> postgres::Client {
        let settings = format!("host=127.0.0.1 port={} user=ringfence dbname=ringfence", self.port);
        postgres::Client::connect(&settings, postgres::NoTls).expect("PostgreSQL takes connections")
    }
}

/// Runs a script as somebody whom PostgreSQL accepts: it refuses root.
fn as_postgres(script: &str, directory: &Path) -> bool {
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    if root {
        let _owned = Command::new("chown").arg("postgres").arg(directory).status();
        let run =
            Command::new("runuser").args(["-u", "postgres", "--", "sh", "-c", script]).status();
        return run.is_ok_and(|status| status.success());
    }
    Command::new("sh").args(["-c", script]).status().is_ok_and(|status| status.success())
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let data = self.directory.path().join("data");
        let script = format!("{BIN}/pg_ctl -D {} -m immediate stop >/dev/null", data.display());
        as_postgres(&script, self.directory.path());
    }
}

#[test]
fn the_expected_answers_are_postgresqls() {
    match Oracle::start() {
        Some(oracle) => run_all(&|| oracle.connect(), "PostgreSQL 15"),
        None => println!("PostgreSQL 15 is not installed: its answers were recorded before"),
    }
}
