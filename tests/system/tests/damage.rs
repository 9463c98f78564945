//! Files that changed under the node, and directories that are not its own: each named in one line, and nothing else hurt.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use postgres::error::SqlState;
use system_tests::Server;

fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("listed").flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

#[test]
fn a_damaged_file_is_named_and_only_its_rows_are_lost() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(directory.path(), 1, &[]);
    let mut client = server.connect();
    client
        .batch_execute("CREATE TABLE sound (id int PRIMARY KEY, v text); INSERT INTO sound SELECT g, 'sound' FROM generate_series(1, 1000) g")
        .expect("made");
    drop(client);
    assert!(server.stop());
    // A start writes table files of what the logs hold.
    assert!(Server::start(directory.path(), 1, &[]).stop());
    let before = files(directory.path(), "sst");
    let server = Server::start(directory.path(), 1, &[]);
    let mut client = server.connect();
    client
        .batch_execute("CREATE TABLE hurt (id int PRIMARY KEY, v text); CREATE TABLE beside (id int PRIMARY KEY, v int)")
        .expect("made");
    let mut writer = client.copy_in("COPY hurt FROM STDIN").expect("begun");
    for id in 0..200_000u64 {
        let line = format!("{id}\t{:x}\n", id.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        std::io::Write::write_all(&mut writer, line.as_bytes()).expect("taken");
    }
    writer.finish().expect("loaded");
    drop(client);
    assert!(server.stop());
    let mut server = Server::start(directory.path(), 1, &[]);
    let loaded: Vec<PathBuf> =
        files(directory.path(), "sst").into_iter().filter(|path| !before.contains(path)).collect();
    let largest =
        loaded.iter().max_by_key(|path| fs::metadata(path).map(|file| file.len()).unwrap_or(0));
    let largest = largest.expect("the load made a file");
    // Beside the running node: every byte of the first half is another.
    let bytes = fs::read(largest).expect("read");
    let half: Vec<u8> = bytes[..bytes.len() / 2].iter().map(|byte| byte ^ 0x20).collect();
    let file = fs::OpenOptions::new().write(true).open(largest).expect("opened");
    file.write_all_at(&half, 0).expect("written");
    file.sync_all().expect("synced");
    let mut client = server.connect();
    let name = largest.file_name().and_then(|name| name.to_str()).expect("plain").to_owned();
    for sql in ["SELECT count(v), min(v) FROM hurt", "SELECT sum(length(v)) FROM hurt"] {
        let error = client.batch_execute(sql).expect_err(sql);
        assert_eq!(error.code(), Some(&SqlState::DATA_CORRUPTED), "{error}");
        let said = error.as_db_error().map(|error| error.message().to_owned()).unwrap_or_default();
        assert!(said.contains(&name), "the file is named: {said}");
        assert!(
            said.chars().any(|c| c.is_ascii_digit()) && said.contains(" at "),
            "the place is named: {said}"
        );
        assert!(!said.contains('\n'), "one line: {said}");
    }
    let lost = (0..200_000).step_by(5_003).filter(|id| {
        match client.query_one("SELECT v FROM hurt WHERE id = $1", &[id]) {
            Ok(row) => {
                let value = format!("{:x}", (*id as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
                assert_eq!(row.get::<_, String>(0), value, "never a wrong value");
                false
            }
            Err(error) => {
                assert_eq!(error.code(), Some(&SqlState::DATA_CORRUPTED), "{error}");
                true
            }
        }
    });
    assert!(lost.count() > 0, "half of the file is damaged");
    let row =
        client.query_one("SELECT count(*), min(v) FROM sound", &[]).expect("other tables live");
    assert_eq!((row.get::<_, i64>(0), row.get::<_, &str>(1)), (1_000, "sound"));
    client.execute("INSERT INTO beside VALUES (1, 1)", &[]).expect("other tables are written");
    assert!(server.is_alive());
    drop(client);
    server.stop();
}

#[test]
fn directories_of_others_and_of_later_formats_are_refused_in_one_line() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    assert!(Server::start(directory.path(), 1, &[]).stop());
    let refused = |path: &Path| {
        let said = Server::try_start(path, 1, &[]).err().expect("refused");
        assert!(said.starts_with("ringfence: ") && !said.contains("panicked"), "{said}");
        said
    };
    // The format's number stands behind the magic bytes of each block of the identity file.
    let identity = directory.path().join("identity");
    let sound = fs::read(&identity).expect("read");
    let magic = b"RINGFNC1";
    let blocks: Vec<usize> =
        (0..sound.len() - 12).filter(|at| sound[*at..].starts_with(magic)).collect();
    assert!(!blocks.is_empty(), "the identity file has its magic bytes");
    let mut later = sound.clone();
    blocks.iter().for_each(|at| later[at + 8] += 1);
    fs::write(&identity, &later).expect("written");
    assert!(refused(directory.path()).contains("another format"));
    fs::write(&identity, vec![0; sound.len()]).expect("written");
    assert!(refused(directory.path()).contains("identity"));
    fs::write(&identity, &sound[..100]).expect("written");
    refused(directory.path());
    fs::write(&identity, &sound).expect("written");
    assert!(Server::start(directory.path(), 2, &[]).stop(), "nothing was changed by refusing");
    let foreign = tempfile::tempdir().expect("a temporary directory");
    fs::write(foreign.path().join("PG_VERSION"), "15\n").expect("written");
    fs::create_dir(foreign.path().join("base")).expect("made");
    assert!(refused(foreign.path()).contains("something else"));
    assert_eq!(fs::read(foreign.path().join("PG_VERSION")).expect("kept"), b"15\n");
    let file = foreign.path().join("PG_VERSION");
    refused(&file);
}
