//! kill -9 under full load: every acknowledged row is there, and the node serves again.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use system_tests::{Server, binary};

const ROUNDS: usize = 6;
const CLIENTS: usize = 8;
/// Rows that a round writes before the node is killed.
const ROWS_BEFORE_KILL: u64 = 1_000;

/// Waits until the load generator is at full speed.
fn wait_for_load(server: &Server, before: u64) {
    let mut client = server.connect();
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let row = client.query_one("SELECT count(*) FROM ringfence_load_insert", &[]);
        let count: i64 = row.expect("the table is there").get(0);
        if count as u64 >= before + ROWS_BEFORE_KILL {
            return;
        }
        assert!(Instant::now() < deadline, "the load generator writes");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn every_acknowledged_insert_survives() {
    for shards in [1u16, 2] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut acknowledged = [0u64; CLIENTS];
        for round in 0..ROUNDS / 2 {
            let server = Server::start(directory.path(), shards, &[]);
            if round == 0 {
                let made = Command::new(binary())
                    .args(["load", "insert", "--init", "--seconds", "0", "--url", &server.url()])
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .status()
                    .expect("the load generator starts");
                // No operation runs in no time, which the generator reports as a failure.
                assert!(made.code().is_some());
            }
            let load = Command::new(binary())
                .args(["load", "insert", "--clients", "8", "--seconds", "120", "--json", "--url"])
                .arg(server.url())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .expect("the load generator starts");
            wait_for_load(&server, acknowledged.iter().sum());
            server.kill();
            let output = load.wait_with_output().expect("the load generator ends");
            let report: serde_json::Value =
                serde_json::from_slice(&output.stdout).expect("it prints one JSON document");
            for (client, count) in
                report["acknowledged"].as_array().expect("a list").iter().enumerate()
            {
                acknowledged[client] += count.as_u64().expect("a number");
            }
            let server = Server::start(directory.path(), shards, &[]);
            assert!(server.ready_after < Duration::from_secs(30), "{:?}", server.ready_after);
            let mut client = server.connect();
            for (index, known) in acknowledged.iter_mut().enumerate() {
                let index = index as i32;
                let row = client
                    .query_one(
                        "SELECT count(*), max(number) FROM ringfence_load_insert WHERE client = $1",
                        &[&index],
                    )
                    .expect("the table is there");
                let (count, highest): (i64, Option<i64>) = (row.get(0), row.get(1));
                let count = count as u64;
                assert!(count >= *known, "client {index}: {known} acknowledged, {count} there");
                assert!(count <= *known + 1, "client {index}: at most one was under way");
                assert_eq!(highest.map_or(0, |number| number as u64 + 1), count, "no hole");
                // What was under way and is there counts as written from now on.
                *known = count;
            }
            assert!(server.stop(), "a node that is asked to stop ends with 0");
        }
    }
}
