//! Rows taken by lease: SELECT … FOR UPDATE, hot rows, NOWAIT, SKIP LOCKED, deadlocks; and DDL among writers that never stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use postgres::{Client, SimpleQueryMessage};
use system_tests::Server;

const CLIENTS: usize = 16;

fn code(error: &postgres::Error) -> String {
    error.code().map(|code| code.code().to_owned()).unwrap_or_else(|| panic!("{error}"))
}

fn number(client: &mut Client, query: &str) -> i64 {
    let messages = client.simple_query(query).expect("an answer");
    let row = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    row.expect("a row").parse().expect("a number")
}

/// So many transactions of every client over one row; gives how many attempts failed with 40001.
fn contend(server: &Server, read: &'static str, times: usize) -> usize {
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let mut client = server.connect();
            thread::spawn(move || {
                let mut conflicts = 0;
                let mut done = 0;
                while done < times {
                    let attempt = client.batch_execute(&format!(
                        "BEGIN; {read}; UPDATE acc SET bal = bal + 1 WHERE id = 1; COMMIT"
                    ));
                    match attempt {
                        Ok(()) => done += 1,
                        Err(error) => {
                            assert_eq!(code(&error), "40001");
                            conflicts += 1;
                            client.batch_execute("ROLLBACK").expect("rolled back");
                        }
                    }
                }
                conflicts
            })
        })
        .collect();
    clients.into_iter().map(|client| client.join().expect("a client ends")).sum()
}

#[test]
fn one_hot_row_among_many_clients() {
    for shards in [1u16, 2] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let server = Server::start(directory.path(), shards, &[]);
        let mut client = server.connect();
        client
            .batch_execute("CREATE TABLE acc (id int PRIMARY KEY, bal int); INSERT INTO acc SELECT g, 0 FROM generate_series(1, 100) g")
            .expect("made");
        let times = 200;
        let locked = contend(&server, "SELECT bal FROM acc WHERE id = 1 FOR UPDATE", times);
        assert!(locked * 100 < CLIENTS * times, "{locked} conflicts with FOR UPDATE");
        let plain = contend(&server, "SELECT bal FROM acc WHERE id = 1", times);
        assert!(plain * 50 < CLIENTS * times, "{plain} conflicts of plain reads");
        let all = (2 * CLIENTS * times) as i64;
        assert_eq!(number(&mut client, "SELECT bal FROM acc WHERE id = 1"), all);
        assert!(server.stop());
    }
}

#[test]
fn waits_refusals_and_rows_passed_over() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(directory.path(), 2, &[]);
    let (mut one, mut two) = (server.connect(), server.connect());
    one.batch_execute(
        "CREATE TABLE job (id int PRIMARY KEY, state text); CREATE INDEX job_state ON job (state);
         INSERT INTO job SELECT g, 'new' FROM generate_series(1, 5) g",
    )
    .expect("made");
    let next = "SELECT id FROM job WHERE state = 'new' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED";
    one.batch_execute("BEGIN").expect("begun");
    two.batch_execute("BEGIN").expect("begun");
    assert_eq!(number(&mut one, next), 1);
    assert_eq!(number(&mut two, next), 2);
    for client in [&mut one, &mut two] {
        client.batch_execute("DELETE FROM job WHERE id = 1 AND false").expect("nothing");
    }
    one.batch_execute("UPDATE job SET state = 'done' WHERE id = 1; COMMIT").expect("committed");
    two.batch_execute("UPDATE job SET state = 'done' WHERE id = 2; COMMIT").expect("committed");
    assert_eq!(number(&mut one, "SELECT count(*) FROM job WHERE state = 'new'"), 3);

    one.batch_execute("BEGIN; SELECT * FROM job WHERE id = 3 FOR NO KEY UPDATE").expect("taken");
    two.batch_execute("BEGIN").expect("begun");
    let error = two.batch_execute("SELECT * FROM job WHERE id = 3 FOR UPDATE NOWAIT");
    assert_eq!(code(&error.expect_err("another has it")), "55P03");
    two.batch_execute("ROLLBACK; SET lock_timeout = '100ms'; BEGIN").expect("begun again");
    let error = two.batch_execute("SELECT * FROM job WHERE id = 3 FOR SHARE");
    assert_eq!(code(&error.expect_err("another has it")), "55P03");
    two.batch_execute("ROLLBACK; RESET lock_timeout").expect("rolled back");

    // An autocommitted write waits for the holder, whose COMMIT therefore holds.
    let mut three = server.connect();
    let writer = thread::spawn(move || {
        three
            .batch_execute("UPDATE job SET state = state || '!' WHERE id = 3")
            .expect("in the end");
    });
    thread::sleep(Duration::from_millis(50));
    one.batch_execute("UPDATE job SET state = 'mine' WHERE id = 3; COMMIT").expect("committed");
    writer.join().expect("the writer ends");
    assert_eq!(number(&mut one, "SELECT count(*) FROM job WHERE state = 'mine!'"), 1);

    // A client that goes away gives its rows back.
    two.batch_execute("BEGIN; SELECT * FROM job WHERE id = 4 FOR UPDATE").expect("taken");
    drop(two);
    one.batch_execute("BEGIN; SELECT * FROM job WHERE id = 4 FOR UPDATE; COMMIT").expect("free");
    assert!(server.stop());
}

#[test]
fn a_deadlock_ends() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(directory.path(), 2, &[]);
    let (mut one, mut two) = (server.connect(), server.connect());
    one.batch_execute("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3)")
        .expect("made");
    one.batch_execute("BEGIN; SELECT * FROM t WHERE id = 1 FOR UPDATE").expect("taken");
    two.batch_execute("BEGIN; SELECT * FROM t WHERE id = 2 FOR UPDATE").expect("taken");
    let began = Instant::now();
    let other = thread::spawn(move || {
        let waited = one.batch_execute("SELECT * FROM t WHERE id = 2 FOR UPDATE");
        let _ended = one.batch_execute("ROLLBACK");
        waited
    });
    let waited = two.batch_execute("SELECT * FROM t WHERE id = 1 FOR UPDATE");
    two.batch_execute("ROLLBACK").expect("rolled back");
    let outcomes = [waited, other.join().expect("the other ends")];
    let failed: Vec<String> =
        outcomes.iter().filter_map(|outcome| outcome.as_ref().err().map(code)).collect();
    assert_eq!(failed, ["40P01"]);
    assert!(began.elapsed() < Duration::from_secs(20), "found before the wait's own end");
    assert!(server.stop());
}

/// What a writer got acknowledged: ids inserted, and how often each of its rows was counted up.
#[derive(Default)]
struct Acknowledged {
    inserted: Vec<i32>,
    counted: i64,
}

#[test]
fn the_schema_changes_under_writers_that_never_stop() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(directory.path(), 2, &[]);
    let mut client = server.connect();
    client
        .batch_execute("CREATE TABLE t (id int NOT NULL, n int NOT NULL DEFAULT 0, gone int); CREATE TABLE scratch (id int);
             INSERT INTO t (id) SELECT g FROM generate_series(0, 19999) g")
        .expect("made");
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..3)
        .map(|writer: i32| {
            let (mut client, stop) = (server.connect(), stop.clone());
            thread::spawn(move || {
                let mut acknowledged = Acknowledged::default();
                let mut id = 1_000_000 * (writer + 1);
                while !stop.load(Ordering::Relaxed) {
                    id += 1;
                    for statement in [
                        format!("INSERT INTO t (id) VALUES ({id})"),
                        format!("UPDATE t SET n = n + 1 WHERE id = {id}"),
                        format!("INSERT INTO scratch VALUES ({id})"),
                    ] {
                        match client.batch_execute(&statement) {
                            Ok(()) if statement.starts_with("UPDATE") => acknowledged.counted += 1,
                            Ok(()) if statement.starts_with("INSERT INTO t") => {
                                acknowledged.inserted.push(id);
                            }
                            Ok(()) => {}
                            Err(error) => assert_eq!(code(&error), "40001", "{statement}"),
                        }
                    }
                }
                acknowledged
            })
        })
        .collect();
    for statement in [
        "ALTER TABLE t ADD COLUMN extra int NOT NULL DEFAULT 5",
        "ALTER TABLE t ADD PRIMARY KEY (id)",
        "CREATE INDEX t_n ON t (n)",
        "TRUNCATE scratch",
        "ALTER TABLE t ADD COLUMN r float8 NOT NULL DEFAULT random()",
        "ALTER TABLE t DROP COLUMN gone",
        "ALTER TABLE t ALTER COLUMN n TYPE bigint",
        "TRUNCATE scratch",
        "UPDATE t SET extra = extra + 1",
    ] {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            match client.batch_execute(statement) {
                Ok(()) => break,
                Err(error) => assert_eq!(code(&error), "40001", "{statement}"),
            }
            assert!(Instant::now() < deadline, "{statement} never comes to its end");
        }
    }
    stop.store(true, Ordering::Relaxed);
    let (mut inserted, mut counted) = (0, 0);
    for writer in writers {
        let acknowledged = writer.join().expect("a writer ends");
        for id in acknowledged.inserted.iter().rev().take(50) {
            let found = number(&mut client, &format!("SELECT count(*) FROM t WHERE id = {id}"));
            assert_eq!(found, 1, "row {id} was acknowledged");
        }
        inserted += acknowledged.inserted.len() as i64;
        counted += acknowledged.counted;
    }
    assert_eq!(number(&mut client, "SELECT count(*) FROM t"), 20_000 + inserted);
    assert_eq!(number(&mut client, "SELECT count(DISTINCT id) FROM t"), 20_000 + inserted);
    assert_eq!(number(&mut client, "SELECT coalesce(sum(n), 0) FROM t"), counted);
    let indexed = "SELECT count(*) FROM t WHERE n = 1 AND extra > 0";
    assert_eq!(number(&mut client, indexed), counted);
    let lacking = "SELECT count(*) FROM t WHERE extra NOT IN (5, 6) OR r IS NULL";
    assert_eq!(number(&mut client, lacking), 0);
    assert!(server.stop());
}
