//! Positive controls: PostgreSQL 15 at each isolation level, judged by what its clients saw.
//!
//! READ COMMITTED must be caught with a lost update and with read skew, REPEATABLE READ with write skew, each within a minute; at SERIALIZABLE nothing may be found but cycles of real time, which
//! PostgreSQL does not rule out. A judge that finds nothing at the weaker levels is blind; one that finds something at SERIALIZABLE is wrong. Skipped by name where PostgreSQL is not installed.

use judge::record::postgres::{PostgresSite, TABLES};
use judge::record::{Policy, Registers, Workload, record};
use judge::{Judge, Level, Verdict};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const BIN: &str = "/usr/lib/postgresql/15/bin";

/// PostgreSQL 15 in a temporary directory, stopped when dropped.
struct Server {
    directory: tempfile::TempDir,
    port: u16,
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

impl Server {
    fn start(test: &str) -> Option<Server> {
        if !Path::new(BIN).join("postgres").exists() {
            println!("skipped: {test}: PostgreSQL 15 is not installed ({BIN})");
            return None;
        }
        let directory = tempfile::Builder::new().prefix("judge-").tempdir_in("/tmp");
        let directory = directory.expect("a temporary directory");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        drop(listener);
        let (data, socket) = (directory.path().join("data"), directory.path().display());
        let script = format!(
            "{BIN}/initdb -D {data} -A trust -U judge --no-sync --locale=C -E UTF8 >/dev/null && \
             {BIN}/pg_ctl -D {data} -w -o '-p {port} -k {socket} -c listen_addresses=127.0.0.1 -c fsync=off -c deadlock_timeout=20ms' start >/dev/null",
            data = data.display(),
        );
        assert!(as_postgres(&script, directory.path()), "PostgreSQL is installed and starts");
        Some(Server { directory, port })
    }

    fn settings(&self) -> String {
        format!("host=127.0.0.1 port={} user=judge dbname=postgres", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let data = self.directory.path().join("data");
        let script = format!("{BIN}/pg_ctl -D {} -m immediate stop >/dev/null", data.display());
        as_postgres(&script, self.directory.path());
    }
}

/// What the clients of a round ask for.
#[derive(Clone, Copy, Debug)]
struct Asked {
    registers: Registers,
    /// Of a transaction at most.
    operations: u64,
}

const LISTS: Asked = Asked { registers: Registers::None, operations: 4 };
const REGISTERS: Asked = Asked { registers: Registers::ReadThenWrite, operations: 4 };
/// Nothing but reads and read-then-write of one register, so that the only possible cycle of one missed write is a lost update.
const UPDATES: Asked = Asked { registers: Registers::ReadThenWrite, operations: 1 };

/// One round: a fresh database, some thousand transactions, a verdict.
fn round(server: &Server, isolation: &str, asked: Asked, seed: u64) -> Verdict {
    let settings = server.settings();
    let mut client = postgres::Client::connect(&settings, postgres::NoTls).expect("connects");
    client.batch_execute(TABLES).expect("made");
    let site = PostgresSite { settings: vec![settings], isolation: Some(isolation.into()) };
    let workload = Workload::new(asked.registers, 0, 6, asked.operations);
    let policy = Policy { clients: 6, transactions: 400, ..Policy::default() };
    let mut judge = Judge::new();
    record(&site, &workload, &policy, seed, |transaction| {
        judge.feed(&transaction).expect("the recorder writes histories");
        ControlFlow::Continue(())
    })
    .expect("PostgreSQL takes transactions");
    judge.finish().expect("the recorder writes histories")
}

/// Rounds until an anomaly of one of the names is found.
fn finds(server: &Server, isolation: &str, asked: Asked, names: &[&str]) {
    let began = Instant::now();
    let mut transactions = 0;
    for seed in 0.. {
        let verdict = round(server, isolation, asked, seed);
        transactions += verdict.transactions;
        if let Some(name) = names.iter().find(|name| verdict.has(name)) {
            println!(
                "{isolation}, {asked:?}: {name} after {transactions} transactions, {:.1} s",
                began.elapsed().as_secs_f64()
            );
            let example = verdict.anomalies.iter().find(|anomaly| anomaly.name() == *name);
            println!("{}", example.expect("counted and kept").text);
            return;
        }
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "none of {names:?} at {isolation} in {transactions} transactions: {verdict}"
        );
    }
}

#[test]
fn read_committed_skews_reads() {
    let Some(server) = Server::start("read_committed_skews_reads") else { return };
    finds(&server, "read committed", LISTS, &["G-single"]);
}

#[test]
fn read_committed_loses_updates() {
    let Some(server) = Server::start("read_committed_loses_updates") else { return };
    finds(&server, "read committed", UPDATES, &["G-single"]);
}

#[test]
fn repeatable_read_skews_writes() {
    let Some(server) = Server::start("repeatable_read_skews_writes") else { return };
    finds(&server, "repeatable read", LISTS, &["G2"]);
}

#[test]
fn serializable_is_clean_but_for_real_time() {
    let Some(server) = Server::start("serializable_is_clean_but_for_real_time") else { return };
    let rounds = std::env::var("JUDGE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    let (mut transactions, mut by_time) = (0, 0);
    for seed in 0..rounds.unwrap_or(4) {
        for asked in [LISTS, REGISTERS, UPDATES] {
            let verdict = round(&server, "serializable", asked, seed);
            assert!(verdict.holds(Level::Process), "seed {seed}, {asked:?}: {verdict}");
            transactions += verdict.transactions;
            by_time += verdict.counts.values().sum::<u64>();
        }
    }
    println!("serializable: {transactions} transactions, {by_time} anomalies, all of real time");
}
