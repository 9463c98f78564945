//! psql's commands that begin with a backslash, beside PostgreSQL 15 over the same schema: what a newcomer types first.

use std::process::Command;

use system_tests::{Oracle, Server};

const SCHEMA: &str = "
CREATE TABLE customers (id serial PRIMARY KEY, name text NOT NULL, email varchar(100),
    created timestamptz DEFAULT now(), stock int NOT NULL DEFAULT 0 CHECK (stock >= 0), balance numeric(10,2));
CREATE INDEX customers_name ON customers (name);
CREATE INDEX customers_email ON customers (email DESC, name);
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int, total float8, note text);
CREATE TABLE nokey (a int, b bytea);
ALTER TABLE nokey ADD COLUMN c uuid;
ALTER TABLE nokey DROP COLUMN a;
";

/// Their text is PostgreSQL's.
const EQUAL: &[&str] = &[
    r"\d",
    r"\dt",
    r"\di",
    r"\ds",
    r"\dv",
    r"\dm",
    r"\df",
    r"\dT",
    r"\dD",
    r"\d customers",
    r"\d orders",
    r"\d nokey",
    r"\d+ nokey",
    r"\d customers_name",
    r"\d customers_email",
    r"\d customers_pkey",
    r"\d customers_id_seq",
    r"\d nosuch",
    r"\dt cust*",
    r"\x \\ SELECT 1 AS a, NULL AS b",
    r"\pset null '(null)' \\ SELECT NULL AS x",
    r"\gdesc",
    r"SELECT 1 AS one, 'x' AS two \gdesc",
    r"\copy nokey TO STDOUT",
];

/// They answer, with words of our own.
const ANSWERED: &[&str] = &[
    r"\l",
    r"\l+",
    r"\du",
    r"\du+",
    r"\dn",
    r"\dn+",
    r"\db",
    r"\dp",
    r"\z",
    r"\dC",
    r"\do +",
    r"\dt+",
    r"\di+",
    r"\d+ customers",
    r"\d customers",
    r"\d+",
    r"\dconfig statement_timeout",
    r"\conninfo",
    r"\encoding",
    r"\dA",
    r"\dO",
    r"\dL",
    r"\dy",
    r"\dF",
    r"\ddp",
    r"\dx",
    r"\dRp",
];

/// Standard output and errors of a command.
fn psql(port: u16, command: &str) -> String {
    let script: String = command.split(r" \\ ").map(|line| format!("{line}\n")).collect();
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), script).expect("it is written");
    let output = Command::new("psql")
        .args(["-X", "-h", "127.0.0.1", "-U", "ringfence", "-d", "ringfence"])
        .args(["-p", &port.to_string(), "-f"])
        .arg(file.path())
        .env("PGTZ", "UTC")
        .output()
        .expect("psql is installed with PostgreSQL");
    let text = [output.stdout, output.stderr].concat();
    let name = file.path().display().to_string();
    String::from_utf8_lossy(&text).replace(&name, "script")
}

#[test]
fn backslash_commands_answer_as_beside_postgresql() {
    let Some(oracle) = Oracle::start() else { return };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(directory.path(), 2, &[]);
    oracle.connect().batch_execute(SCHEMA).expect("PostgreSQL takes the schema");
    server.connect().batch_execute(SCHEMA).expect("the node takes the schema");
    let mut different = Vec::new();
    for command in EQUAL {
        let (expected, found) = (psql(oracle.port(), command), psql(server.port(), command));
        if expected != found {
            different.push(format!("{command}\n--- PostgreSQL\n{expected}--- Ringfence\n{found}"));
        }
    }
    for command in ANSWERED {
        let found = psql(server.port(), command);
        if found.contains("ERROR") || found.is_empty() {
            different.push(format!("{command}\n{found}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(server.stop());
}
