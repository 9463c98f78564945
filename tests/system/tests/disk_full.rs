//! A disk that fills up under a running node: writes answer 53100, reads go on, nothing is lost, and work resumes when space returns.
//!
//! `RINGFENCE_LONG=1` runs it with one shard too. Needs root and a loop device for a small file system; says so and does nothing where it has neither.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use postgres::Client;
use postgres::error::SqlState;
use system_tests::Server;

/// A small ext4 file system in a file. Unmounted when dropped.
struct SmallDisk {
    _directory: tempfile::TempDir,
    mount: PathBuf,
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

impl SmallDisk {
    fn new(mebibytes: u64) -> Option<SmallDisk> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (image, mount) = (directory.path().join("image"), directory.path().join("mount"));
        File::create(&image).and_then(|file| file.set_len(mebibytes << 20)).expect("a file");
        std::fs::create_dir(&mount).expect("a directory");
        let (image, at) = (image.to_str().expect("plain"), mount.to_str().expect("plain"));
        let mounted = succeeds("mkfs.ext4", &["-q", "-F", image])
            && succeeds("mount", &["-o", "loop", image, at]);
        if !mounted {
            eprintln!("skipped: a small file system needs root, mkfs.ext4 and a loop device");
        }
        mounted.then(|| SmallDisk { _directory: directory, mount })
    }

    fn hog(&self) -> PathBuf {
        self.mount.join("hog")
    }

    /// Takes all space but some bytes.
    fn fill(&self, left: u64) {
        let mut file = File::create(self.hog()).expect("a file");
        let block = [0x55u8; 1 << 16];
        while file.write_all(&block).is_ok() {}
        let bytes = file.metadata().map(|metadata| metadata.len()).unwrap_or(0);
        file.set_len(bytes.saturating_sub(left)).expect("cut");
    }

    fn free(&self) {
        std::fs::remove_file(self.hog()).expect("removed");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        succeeds("umount", &["-l", self.mount.to_str().unwrap_or_default()]);
    }
}

fn state(outcome: Result<(), postgres::Error>) -> Option<SqlState> {
    outcome.err().map(|error| error.code().cloned().unwrap_or_else(|| panic!("no answer: {error}")))
}

fn copy(client: &mut Client, table: &str, from: u64, rows: u64) -> Result<(), postgres::Error> {
    let mut writer = client.copy_in(&format!("COPY {table} FROM STDIN"))?;
    let mut text = Vec::new();
    for row in from..from + rows {
        // Digits that do not compress.
        let noise = (1..9u64).map(|n| (row + n).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(7));
        write!(text, "{row}\t{}\t", row % 1000).expect("memory");
        noise.for_each(|word| write!(text, "{word:x}").expect("memory"));
        text.push(b'\n');
        if text.len() > 1 << 16 {
            if writer.write_all(&text).is_err() {
                break;
            }
            text.clear();
        }
    }
    let _failed = writer.write_all(&text);
    writer.finish().map(drop)
}

fn count(client: &mut Client, table: &str) -> i64 {
    let row = client.query_one(&format!("SELECT count(*) FROM {table}"), &[]);
    row.expect("reads go on").get(0)
}

/// Waits until writes are taken again.
fn wait_for_writes(client: &mut Client, id: i64) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while let Err(error) = client.execute("INSERT INTO t VALUES ($1, 0, 'after')", &[&id]) {
        assert_eq!(error.code(), Some(&SqlState::DISK_FULL), "{error}");
        assert!(Instant::now() < deadline, "writes resume when space has returned");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Inserts until the disk is full; gives how many were acknowledged.
fn insert_until_full(client: &mut Client, from: i64) -> i64 {
    for done in 0..20_000 {
        let value =
            format!("{:x}", (done as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)).repeat(1_200);
        if let Err(error) =
            client.execute("INSERT INTO t VALUES ($1, 1, $2)", &[&(from + done), &value])
        {
            assert_eq!(error.code(), Some(&SqlState::DISK_FULL), "{error}");
            return done;
        }
    }
    panic!("four hundred megabytes fit a full disk");
}

fn fills_and_recovers(disk: &SmallDisk, directory: &Path, shards: u16) {
    let mut server = Server::start(directory, shards, &[]);
    let mut client = server.connect();
    client
        .batch_execute("CREATE TABLE t (id bigint PRIMARY KEY, k int, s text); CREATE TABLE u (id bigint, k int, s text)")
        .expect("tables are made");
    copy(&mut client, "u", 0, 100_000).expect("loaded");
    disk.fill(0);
    let mut rows = insert_until_full(&mut client, 0);
    // A few bytes may still fit what is left of the log.
    for (sql, change) in [
        ("INSERT INTO t VALUES (-1, 0, 'x')", 1),
        ("DELETE FROM t WHERE id = 1", -1),
        ("CREATE TABLE v (a int)", 0),
    ] {
        match state(client.batch_execute(sql)) {
            None => rows += change,
            refused => assert_eq!(refused, Some(SqlState::DISK_FULL), "{sql}"),
        }
    }
    for sql in [
        "CREATE INDEX u_k ON u (k)",
        "ALTER TABLE u ADD PRIMARY KEY (id)",
        "CREATE TABLE w AS SELECT * FROM u",
    ] {
        assert_eq!(state(client.batch_execute(sql)), Some(SqlState::DISK_FULL), "{sql}");
    }
    let loaded = copy(&mut client, "u", 1_000_000, 300_000);
    assert_eq!(state(loaded), Some(SqlState::DISK_FULL));
    assert_eq!((count(&mut client, "t"), count(&mut client, "u")), (rows, 100_000));
    let one = client.query_one("SELECT k FROM u WHERE id = 77777", &[]).expect("reads go on");
    assert_eq!(one.get::<_, i32>(0), 777);
    disk.free();
    wait_for_writes(&mut client, -2);
    rows += 1;
    client.batch_execute("CREATE INDEX u_k ON u (k)").expect("there is room again");
    // The disk fills while a load, and then compactions, are under way.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(300));
            disk.fill(0);
        });
        let loaded = state(copy(&mut client, "u", 2_000_000, 1_200_000));
        assert_eq!(loaded, Some(SqlState::DISK_FULL));
    });
    assert_eq!(count(&mut client, "u"), 100_000);
    disk.free();
    wait_for_writes(&mut client, -3);
    rows += 1;
    disk.fill(3 << 20);
    for round in 0..60i64 {
        let value = format!("{round:x}").repeat(400);
        match state(client.execute("UPDATE t SET s = $1", &[&value]).map(drop)) {
            None => {}
            Some(SqlState::DISK_FULL) => break,
            Some(SqlState::T_R_SERIALIZATION_FAILURE) => {}
            Some(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(count(&mut client, "t"), rows);
    assert!(server.is_alive());
    drop(client);
    server.kill();
    // A node that has no room to recover says so in one line; with room, everything is there.
    disk.fill(0);
    if let Err(said) = Server::try_start(directory, shards, &[]) {
        assert!(said.contains("no space left"), "{said}");
    }
    disk.free();
    let server = Server::start(directory, 3 - shards, &[]);
    let mut client = server.connect();
    assert_eq!((count(&mut client, "t"), count(&mut client, "u")), (rows, 100_000));
    wait_for_writes(&mut client, -4);
    assert!(server.stop());
}

#[test]
fn writes_wait_for_space_and_reads_do_not() {
    let long = std::env::var_os("RINGFENCE_LONG").is_some();
    let shard_counts: &[u16] = if long { &[1, 2] } else { &[2] };
    for shards in shard_counts.iter().copied() {
        let Some(disk) = SmallDisk::new(256 + 64 * u64::from(shards)) else { return };
        fills_and_recovers(&disk, &disk.mount.join("data"), shards);
    }
}
