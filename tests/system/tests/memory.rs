//! Memory under TPC-B and five grouping queries of a million groups at once: what the node holds stays within a tenth of `--memory`, and no transaction fails.
//!
//! `RINGFENCE_LONG=1` runs it with one shard and with two, a minute each; else with two, and fewer transactions.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use postgres::error::SqlState;
use system_tests::Server;

const ROWS: u64 = 2_000_000;
const KEYS: u64 = 1_000_000;
/// 1.1 GiB, for `--memory 1GiB`.
const RESIDENT_KIB_MAX: u64 = 11 * 1024 * 1024 / 10;

const QUERIES: [&str; 5] = [
    "SELECT k, count(*), sum(v), min(s) FROM wide GROUP BY k",
    "SELECT s, count(*), sum(v), min(k) FROM wide GROUP BY s",
    "SELECT v, k, count(*), sum(id), min(s) FROM wide GROUP BY v, k",
    "SELECT k, count(*), sum(v), max(s) FROM wide GROUP BY k ORDER BY 3 DESC",
    "SELECT k, count(DISTINCT v), min(s) FROM wide GROUP BY k",
];

fn pgbench() -> Option<PathBuf> {
    let installed = Path::new("/usr/lib/postgresql/15/bin/pgbench");
    if installed.exists() {
        return Some(installed.into());
    }
    let found = Command::new("pgbench").arg("--version").stdout(Stdio::null()).status();
    found.is_ok_and(|status| status.success()).then(|| "pgbench".into())
}

fn run_pgbench(program: &Path, server: &Server, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(["-h", "127.0.0.1", "-U", "ringfence", "-p", &server.address.port().to_string()])
        .args(arguments)
        .arg("ringfence")
        .output()
        .expect("pgbench starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

fn load(server: &Server) {
    let mut client = server.connect();
    client
        .batch_execute("CREATE TABLE wide (id bigint PRIMARY KEY, k bigint, v bigint, s text)")
        .expect("a table is made");
    let writer = client.copy_in("COPY wide FROM STDIN").expect("a load begins");
    let mut writer = BufWriter::with_capacity(1 << 16, writer);
    for id in 0..ROWS {
        let (k, v, s) = (id % KEYS, id * 7_919 % 100_003, id * 31 % (KEYS + 3));
        writeln!(writer, "{id}\t{k}\t{v}\tstring value {s}").expect("it is taken");
    }
    let Ok(writer) = writer.into_inner() else { panic!("the rest is taken") };
    assert_eq!(writer.finish().expect("loaded"), ROWS);
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// Runs one of the queries; gives how many groups it found, or nothing if it needed too much memory.
fn groups(server_url: &str, sql: &str) -> Option<u64> {
    let mut client = postgres::Client::connect(server_url, postgres::NoTls).expect("connected");
    let mut count = 0;
    let mut rows = match client.query_raw(sql, std::iter::empty::<&i32>()) {
        Ok(rows) => rows,
        Err(error) => return refused(&error),
    };
    loop {
        match postgres::fallible_iterator::FallibleIterator::next(&mut rows) {
            Ok(Some(_)) => count += 1,
            Ok(None) => return Some(count),
            Err(error) => return refused(&error),
        }
    }
}

fn refused(error: &postgres::Error) -> Option<u64> {
    assert_eq!(error.code(), Some(&SqlState::OUT_OF_MEMORY), "{error}");
    None
}

#[test]
fn five_queries_of_a_million_groups_beside_transactions() {
    let Some(pgbench) = pgbench() else {
        eprintln!("skipped: pgbench is not installed (postgresql-15)");
        return;
    };
    let long = std::env::var_os("RINGFENCE_LONG").is_some();
    let (shard_counts, seconds, scale): (&[u16], _, _) =
        if long { (&[1, 2], "60", "20") } else { (&[2], "20", "2") };
    for shards in shard_counts {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut server = Server::start(directory.path(), *shards, &[]);
        let (pid, highest) = (server.pid(), Arc::new(std::sync::atomic::AtomicU64::new(0)));
        let stop = Arc::new(AtomicBool::new(false));
        let (seen, stopped) = (highest.clone(), stop.clone());
        let watch = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                seen.fetch_max(resident_kib(pid), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(250));
            }
        });
        run_pgbench(&pgbench, &server, &["-i", "-q", "-s", scale]);
        load(&server);
        let begun = Instant::now();
        let url = server.url();
        let report = std::thread::scope(|scope| {
            let bench = scope.spawn(|| {
                let arguments = ["-M", "prepared", "-c", "16", "-T", seconds, "--max-tries=10"];
                run_pgbench(&pgbench, &server, &arguments)
            });
            let running: Vec<_> =
                QUERIES.iter().map(|sql| scope.spawn(|| groups(&url, sql))).collect();
            for (sql, query) in QUERIES.iter().zip(running) {
                let found = query.join().expect("no panic");
                println!("{found:?} groups in {:?}: {sql}", begun.elapsed());
                assert!(found.is_none_or(|found| found >= KEYS), "{found:?} groups: {sql}");
            }
            bench.join().expect("no panic")
        });
        stop.store(true, Ordering::Relaxed);
        watch.join().expect("no panic");
        let highest = highest.load(Ordering::Relaxed);
        println!("{shards} shards: {} MiB resident at most\n{report}", highest / 1024);
        assert!(highest <= RESIDENT_KIB_MAX, "{} MiB resident", highest / 1024);
        assert!(report.contains("number of failed transactions: 0 "), "{report}");
        assert!(server.is_alive());
        let sums = "SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history)";
        assert!(server.connect().query_one(sums, &[]).expect("summed").get::<_, bool>(0));
        assert!(server.stop());
    }
}
