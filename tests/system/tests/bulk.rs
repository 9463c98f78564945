//! Large transactions: TRUNCATE and COPY beyond what a transaction buffers, keys and indexes for loaded tables, all whole or not at all, kill -9 included.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use postgres::Client;
use postgres::error::SqlState;
use system_tests::Server;

/// Rows that are more than one transaction buffers, in text more than a megabyte.
const ROWS: i32 = 120_000;

fn text(rows: impl Iterator<Item = i32>) -> String {
    let mut text = String::new();
    for number in rows {
        writeln!(text, "{number}\t{}\tfiller of row {number}", number % 7).expect("a string grows");
    }
    text
}

fn copy(client: &mut Client, statement: &str, text: &str) -> Result<u64, postgres::Error> {
    let mut writer = client.copy_in(statement)?;
    for piece in text.as_bytes().chunks(100_000) {
        if writer.write_all(piece).is_err() {
            break;
        }
    }
    writer.finish()
}

fn count(client: &mut Client, table: &str) -> (i64, i64) {
    let query = format!("SELECT count(*), coalesce(sum(id), 0)::bigint FROM {table}");
    let row = client.query_one(&query, &[]).expect("the table is there");
    (row.get(0), row.get(1))
}

fn expected(rows: i64) -> (i64, i64) {
    (rows, rows * (rows - 1) / 2)
}

fn state(error: &postgres::Error) -> SqlState {
    error.code().cloned().unwrap_or_else(|| panic!("no answer of the server: {error}"))
}

#[test]
fn load_then_key_then_index() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let text = text(0..ROWS);
    for shards in [1u16, 2] {
        let path = directory.path().join(shards.to_string());
        let server = Server::start(&path, shards, &[]);
        let mut client = server.connect();
        client
            .batch_execute("CREATE TABLE t (id int, kind int, filler text) WITH (fillfactor = 90)")
            .expect("a table is made");
        for round in 0..2 {
            client.batch_execute("BEGIN; TRUNCATE t").expect("truncated");
            let copied = copy(&mut client, "COPY t FROM STDIN WITH (FREEZE ON)", &text);
            assert_eq!(copied.expect("it is loaded"), ROWS as u64);
            let other = count(&mut server.connect(), "t");
            let before = if round == 0 { (0, 0) } else { expected(ROWS.into()) };
            assert_eq!(other, before, "nobody sees it before COMMIT");
            client.batch_execute("COMMIT").expect("committed");
            assert_eq!(count(&mut client, "t"), expected(ROWS.into()));
        }
        client.batch_execute("ALTER TABLE t ADD PRIMARY KEY (id)").expect("the keys are distinct");
        assert_eq!(count(&mut client, "t"), expected(ROWS.into()));
        let row = client.query_one("SELECT filler FROM t WHERE id = 77777", &[]).expect("by key");
        assert_eq!(row.get::<_, String>(0), "filler of row 77777");
        client.batch_execute("CREATE INDEX t_kind ON t (kind, id)").expect("an index is made");
        let row = client
            .query_one("SELECT count(*) FROM t WHERE kind = 3 AND id < 100", &[])
            .expect("by index");
        assert_eq!(row.get::<_, i64>(0), 14);
        client.execute("UPDATE t SET kind = 3 WHERE id = 0", &[]).expect("updated");
        let row = client
            .query_one("SELECT count(*) FROM t WHERE kind = 3 AND id < 100", &[])
            .expect("by index");
        assert_eq!(row.get::<_, i64>(0), 15, "the index is maintained");
        client
            .batch_execute("ALTER TABLE t ADD COLUMN extra int NOT NULL DEFAULT 5; ALTER TABLE t ADD CHECK (extra = 5)")
            .expect("all rows pass");
        let refused = client.batch_execute("ALTER TABLE t ADD CHECK (kind < 6)");
        assert_eq!(state(&refused.expect_err("some row has six")), SqlState::CHECK_VIOLATION);
        client.batch_execute("CREATE TABLE u AS SELECT id, filler FROM t").expect("made");
        assert_eq!(count(&mut client, "u"), expected(ROWS.into()));
        assert!(server.stop());
        let server = Server::start(&path, 3 - shards, &[]);
        let mut client = server.connect();
        assert_eq!(count(&mut client, "t"), expected(ROWS.into()));
        assert_eq!(count(&mut client, "u"), expected(ROWS.into()));
        assert!(server.stop());
    }
}

#[test]
fn duplicates_and_bad_lines_leave_nothing() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(directory.path(), 2, &[]);
    let mut client = server.connect();
    client
        .batch_execute("CREATE TABLE t (id int PRIMARY KEY, kind int NOT NULL, filler text); INSERT INTO t VALUES (9, 1, 'there')")
        .expect("a table is made");
    let whole = text(10..ROWS);
    let within = format!("{whole}11\t1\tagain\n");
    let error = copy(&mut client, "COPY t FROM STDIN", &within).expect_err("11 comes twice");
    assert_eq!(state(&error), SqlState::UNIQUE_VIOLATION);
    let detail = error.as_db_error().and_then(|error| error.detail()).unwrap_or_default();
    assert_eq!(detail, "Key (id)=(11) already exists.");
    let taken = format!("{whole}9\t1\tagain\n");
    let error = copy(&mut client, "COPY t FROM STDIN", &taken).expect_err("9 is there");
    assert_eq!(state(&error), SqlState::UNIQUE_VIOLATION);
    let missing = format!("{whole}{ROWS}\t\\N\tno kind\n");
    let error = copy(&mut client, "COPY t FROM STDIN", &missing).expect_err("kind is missing");
    assert_eq!(state(&error), SqlState::NOT_NULL_VIOLATION);
    let wrong = format!("{whole}{ROWS}\tsix\twrong\n");
    let error = copy(&mut client, "COPY t FROM STDIN", &wrong).expect_err("six is no number");
    assert_eq!(state(&error), SqlState::INVALID_TEXT_REPRESENTATION);
    let context = error.as_db_error().and_then(|error| error.where_()).unwrap_or_default();
    assert!(context.contains(&format!("line {}", ROWS - 9)), "{context}");
    assert_eq!(count(&mut client, "t"), (1, 9));
    assert_eq!(copy(&mut client, "COPY t FROM STDIN", &whole).expect("loaded"), ROWS as u64 - 10);
    assert_eq!(count(&mut client, "t").0, i64::from(ROWS) - 9);
    assert!(server.stop());
}

#[test]
fn a_load_into_a_table_that_others_write() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(directory.path(), 2, &[]);
    let mut client = server.connect();
    client
        .batch_execute("CREATE TABLE t (id int PRIMARY KEY, kind int, filler text)")
        .expect("a table is made");
    let mut other = server.connect();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = stop.clone();
    let writer = std::thread::spawn(move || {
        let mut written = 0;
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            let id = 10_000_000 + written;
            other.execute("INSERT INTO t VALUES ($1, 0, 'other')", &[&id]).expect("inserted");
            written += 1;
            std::thread::sleep(Duration::from_millis(20));
        }
        written
    });
    assert_eq!(
        copy(&mut client, "COPY t FROM STDIN", &text(0..ROWS)).expect("loaded"),
        ROWS as u64
    );
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let written = writer.join().expect("the writer ends");
    assert_eq!(count(&mut client, "t").0, i64::from(ROWS) + i64::from(written));
    assert!(server.stop());
}

#[test]
fn kill_nine_during_a_load_leaves_nothing_of_it() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let text = text(0..ROWS);
    for shards in [1u16, 2] {
        let path = directory.path().join(shards.to_string());
        let server = Server::start(&path, shards, &[]);
        let mut client = server.connect();
        client
            .batch_execute("CREATE TABLE t (id int, kind int, filler text); CREATE TABLE kept (id int PRIMARY KEY)")
            .expect("tables are made");
        assert!(server.stop());
        for (round, pause) in [40u64, 150, 400, 900].into_iter().enumerate() {
            let server = Server::start(&path, shards, &[]);
            let mut client = server.connect();
            let round = round as i32;
            client.execute("INSERT INTO kept VALUES ($1)", &[&round]).expect("inserted");
            let before = count(&mut client, "t").0;
            let loaded = text.clone();
            let load = std::thread::spawn(move || {
                client.batch_execute("BEGIN; TRUNCATE t").is_ok()
                    && copy(&mut client, "COPY t FROM STDIN", &loaded).is_ok()
                    && client.batch_execute("COMMIT").is_ok()
            });
            std::thread::sleep(Duration::from_millis(pause));
            server.kill();
            let acknowledged = load.join().expect("the client ends");
            let server = Server::start(&path, 3 - shards, &[]);
            let mut client = server.connect();
            let after = count(&mut client, "t").0;
            let whole = i64::from(ROWS);
            assert!(after == whole || (!acknowledged && after == before), "{before}, {after}");
            assert_eq!(count(&mut client, "kept").0, i64::from(round) + 1);
            assert!(server.stop());
        }
    }
}

#[test]
fn statements_that_change_more_rows_than_a_transaction_buffers() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for shards in [1u16, 2] {
        let path = directory.path().join(shards.to_string());
        let server = Server::start(&path, shards, &[]);
        let mut client = server.connect();
        let mut run = |statement: &str| client.execute(statement, &[]).expect(statement);
        run("CREATE TABLE big (id int PRIMARY KEY, x bigint NOT NULL CHECK (x >= 0), s text)");
        run("CREATE INDEX big_x ON big (x)");
        let many = 200_000;
        let filled =
            run("INSERT INTO big SELECT g, 0, 'row ' || g FROM generate_series(1, 200000) g");
        assert_eq!(filled, many);
        assert_eq!(run("UPDATE big SET x = x + 1"), many);
        assert_eq!(run("UPDATE big SET x = x + id WHERE id % 2 = 0"), many / 2);
        assert_eq!(run("DELETE FROM big WHERE id > 100000"), many / 2);
        assert_eq!(run("UPDATE big SET x = x + 1 WHERE id = 7"), 1);
        let checked =
            client.execute("UPDATE big SET x = x - 2", &[]).expect_err("x stays positive");
        assert_eq!(state(&checked), SqlState::CHECK_VIOLATION);
        let sums = "SELECT count(*), sum(x)::bigint, count(DISTINCT id) FROM big";
        let row = client.query_one(sums, &[]).expect("sums");
        let even: i64 = (1..=50_000i64).map(|half| half * 2).sum();
        let expected = (100_000i64, 100_000 + even + 1, 100_000i64);
        assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1), row.get::<_, i64>(2)), expected);
        let row = client.query_one("SELECT s FROM big WHERE x = 99999", &[]).expect("by index");
        assert_eq!(row.get::<_, &str>(0), "row 99998");
        assert_eq!(client.execute("DELETE FROM big", &[]).expect("emptied"), 100_000);
        assert_eq!(count(&mut client, "big").0, 0);
        assert!(server.stop());
    }
}

#[test]
fn a_transaction_sees_and_changes_what_it_has_loaded() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(directory.path(), 2, &[]);
    let mut client = server.connect();
    client
        .batch_execute(
            "CREATE TABLE t (id int PRIMARY KEY, kind int, filler text); INSERT INTO t VALUES (-1, 0, 'old'), (-2, 0, 'old')",
        )
        .expect("made");
    client.batch_execute("BEGIN; INSERT INTO t VALUES (-3, 0, 'own')").expect("begun");
    assert_eq!(
        copy(&mut client, "COPY t FROM STDIN", &text(0..ROWS)).expect("loaded"),
        ROWS as u64
    );
    let all = i64::from(ROWS) + 3;
    assert_eq!(count(&mut client, "t").0, all);
    let row = client.query_one("SELECT filler FROM t WHERE id = 77777", &[]).expect("by key");
    assert_eq!(row.get::<_, &str>(0), "filler of row 77777");
    client.batch_execute("INSERT INTO t VALUES (-4, 0, 'later')").expect("inserted");
    assert_eq!(client.execute("UPDATE t SET kind = 9 WHERE id < 0", &[]).expect("updated"), 4);
    assert_eq!(client.execute("DELETE FROM t WHERE kind = 3", &[]).expect("deleted"), 17_143);
    client.batch_execute("CREATE INDEX t_kind ON t (kind)").expect("an index is made");
    assert_eq!(count(&mut client, "t").0, all + 1 - 17_143);
    assert_eq!(count(&mut server.connect(), "t").0, 2, "nobody else sees it");
    client.batch_execute("COMMIT").expect("committed");
    assert_eq!(count(&mut server.connect(), "t").0, all + 1 - 17_143);
    let row = client.query_one("SELECT count(*) FROM t WHERE kind = 9", &[]).expect("by index");
    assert_eq!(row.get::<_, i64>(0), 4);
    client
        .batch_execute(
            "BEGIN; UPDATE t SET kind = 10 WHERE id = -1; CREATE INDEX t_filler ON t (filler); COMMIT",
        )
        .expect("an index of a table that the block has changed");
    let row = client.query_one("SELECT kind FROM t WHERE filler = 'old' AND id = -1", &[]);
    assert_eq!(row.expect("by index").get::<_, i32>(0), 10);
    assert!(server.stop());
}
