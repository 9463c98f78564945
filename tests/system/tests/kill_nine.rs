//! kill -9 under full load: every acknowledged row is there, and the node serves again. And no commit is acknowledged without a flush of the device.
//!
//! `RINGFENCE_KILLS` sets how often the node is killed, half of the times with one shard and half with two.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use system_tests::{Server, binary};

/// Kills, when nobody says.
const KILLS: usize = 6;
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
    let kills = std::env::var("RINGFENCE_KILLS").ok().and_then(|kills| kills.parse().ok());
    for shards in [1u16, 2] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut acknowledged = [0u64; CLIENTS];
        for round in 0..kills.unwrap_or(KILLS).div_ceil(2) {
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
            let rows: u64 = acknowledged.iter().sum();
            println!("{shards} shards, {rows} rows: ready after {:?}", server.ready_after);
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

/// The figures of the whole block device that holds a path.
fn device_figures(path: &Path) -> Option<PathBuf> {
    let device = std::fs::metadata(path).ok()?.dev();
    let major = (device >> 8 & 0xfff) | (device >> 32 & !0xfff);
    let minor = (device & 0xff) | (device >> 12 & !0xff);
    let block = std::fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).ok()?;
    // Flushes are counted for the disk, not for its partitions.
    let disk = if block.join("partition").exists() { block.parent()?.to_path_buf() } else { block };
    Some(disk.join("stat"))
}

/// Flushes that the device has done: field 16 of its figures.
fn flushes(figures: &Path) -> Option<u64> {
    std::fs::read_to_string(figures).ok()?.split_whitespace().nth(15)?.parse().ok()
}

/// Where the device's flushes are counted, if they are: found out by flushing a file.
fn counted_flushes(directory: &Path) -> Option<PathBuf> {
    let figures = device_figures(directory)?;
    let before = flushes(&figures)?;
    for round in 0..8u8 {
        let file = std::fs::File::create(directory.join("flushed")).ok()?;
        std::os::unix::fs::FileExt::write_all_at(&file, &[round; 4096], 0).ok()?;
        file.sync_all().ok()?;
    }
    (flushes(&figures)? >= before + 8).then_some(figures)
}

#[test]
fn one_client_is_never_faster_than_the_device() {
    const COMMITS: u64 = 500;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let Some(figures) = counted_flushes(directory.path()) else {
        eprintln!(
            "skipped: flushes of the block device below the temporary directory are not counted here"
        );
        return;
    };
    for shards in [1u16, 2] {
        let server = Server::start(&directory.path().join(shards.to_string()), shards, &[]);
        let mut client = server.connect();
        client.batch_execute("CREATE TABLE t (id bigint PRIMARY KEY, v text)").expect("made");
        let insert = client.prepare("INSERT INTO t VALUES ($1, 'x')").expect("prepared");
        let before = flushes(&figures).expect("counted");
        for id in 0..COMMITS {
            client.execute(&insert, &[&(id as i64)]).expect("inserted");
        }
        let done = flushes(&figures).expect("counted") - before;
        println!("{shards} shards: {COMMITS} commits of one client, {done} flushes");
        assert!(done >= COMMITS, "{COMMITS} commits were acknowledged after {done} flushes");
        assert!(server.stop());
    }
}
