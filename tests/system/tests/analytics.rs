//! Answers in bulk: rows encoded away from the session's core, COPY out, readers that stop reading, `ringfence scan` on running and on stopped nodes, and the
//! whole node on its second driver.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Output};

use postgres::fallible_iterator::FallibleIterator;
use system_tests::{Server, binary};

const ROWS: i32 = 20_000;

fn filled(server: &Server) -> postgres::Client {
    let mut client = server.connect();
    client
        .batch_execute(
            "CREATE TABLE t (id int PRIMARY KEY, name text, x float8, n numeric(10,2), \"at\" timestamp)",
        )
        .expect("a table is made");
    client
        .batch_execute(&format!(
            "INSERT INTO t SELECT i, CASE WHEN i % 10 > 0 THEN 'name ' || i END, i / 8.0, i / 100.0, \
             timestamp '2024-01-01' + i * interval '1 minute' FROM generate_series(1, {ROWS}) i"
        ))
        .expect("rows are inserted");
    client
}

fn scan(arguments: &[&str]) -> Output {
    let scan = Command::new(binary()).arg("scan").args(arguments).env("RUST_LOG", "off").output();
    scan.expect("scan runs")
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("text")
}

#[test]
fn many_rows_come_whole_in_both_formats_and_in_parts() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(directory.path(), 2, &[]);
    let mut client = filled(&server);
    let sql = "SELECT id, name, x, n::text FROM t ORDER BY id";
    let check = |at: usize, id: i32, name: Option<&str>, x: f64, n: &str| {
        let expected = at as i32 + 1;
        assert_eq!(id, expected);
        assert_eq!(name, (id % 10 > 0).then(|| format!("name {id}")).as_deref());
        assert_eq!(x, f64::from(id) / 8.0);
        assert_eq!(n, format!("{}.{:02}", id / 100, id % 100));
    };
    let binary = client.query(sql, &[]).expect("rows");
    for (at, row) in binary.iter().enumerate() {
        check(at, row.get(0), row.get(1), row.get(2), row.get(3));
    }
    assert_eq!(binary.len() as i32, ROWS);
    let rows = client.simple_query(sql).expect("rows");
    let mut count = 0;
    for message in &rows {
        if let postgres::SimpleQueryMessage::Row(row) = message {
            let id = row.get(0).expect("not null").parse().expect("a number");
            let x = row.get(2).expect("not null").parse().expect("a number");
            check(count, id, row.get(1), x, row.get(3).expect("not null"));
            count += 1;
        }
    }
    assert_eq!(count as i32, ROWS);
    // A portal is read in parts of a size that divides no batch.
    let mut transaction = client.transaction().expect("begun");
    let portal = transaction.bind(sql, &[]).expect("bound");
    let mut next = 0;
    loop {
        let rows = transaction.query_portal(&portal, 777).expect("rows");
        for row in &rows {
            check(next, row.get(0), row.get(1), row.get(2), row.get(3));
            next += 1;
        }
        if rows.len() < 777 {
            break;
        }
    }
    assert_eq!(next as i32, ROWS);
}

#[test]
fn copied_rows_are_records() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(directory.path(), 1, &[]);
    let mut client = filled(&server);
    let mut copied = |sql: &str| {
        let mut bytes = Vec::new();
        client.copy_out(sql).expect("begun").read_to_end(&mut bytes).expect("copied");
        bytes
    };
    let rows = "SELECT id, name, n FROM t WHERE id BETWEEN 9 AND 11 ORDER BY id";
    let plain = copied(&format!("COPY ({rows}) TO STDOUT"));
    assert_eq!(
        String::from_utf8_lossy(&plain),
        "9\tname 9\t0.09\n10\t\\N\t0.10\n11\tname 11\t0.11\n"
    );
    let csv = copied(&format!("COPY ({rows}) TO STDOUT WITH (FORMAT csv, HEADER)"));
    assert_eq!(
        String::from_utf8_lossy(&csv),
        "id,name,n\n9,name 9,0.09\n10,,0.10\n11,name 11,0.11\n"
    );
    let binary = copied("COPY (SELECT 7::int8) TO STDOUT WITH (FORMAT binary)");
    let mut expected = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
    expected.extend_from_slice(&[0, 1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 7, 0xff, 0xff]);
    assert_eq!(binary, expected);
    let all = copied("COPY t TO STDOUT");
    assert_eq!(all.iter().filter(|byte| **byte == b'\n').count() as i32, ROWS);
}

#[test]
fn a_client_that_stops_reading_holds_up_nobody_else() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(directory.path(), 1, &["--background-cores", "1"]);
    let mut client = filled(&server);
    // Answers far larger than what the sockets hold: one whose query is long done, one that never would be.
    for (times, bytes) in [(1, 5_000), (20, 100)] {
        let mut lazy = server.connect();
        let many = format!("SELECT repeat('x', {bytes}) FROM t, generate_series(1, {times})");
        let mut rows = lazy.query_raw(&many, &[] as &[&str; 0]).expect("begun");
        assert!(rows.next().expect("a row").is_some());
        for _ in 0..5 {
            let row = client.query_one("SELECT count(*) FROM t", &[]).expect("answered");
            assert_eq!(row.get::<_, i64>(0), i64::from(ROWS));
        }
        let mut count = 1;
        while rows.next().expect("rows").is_some() {
            count += 1;
        }
        assert_eq!(count, ROWS * times);
    }
}

#[test]
fn a_stopped_directory_is_scanned_and_a_held_one_is_not() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let data = directory.path().to_str().expect("a name");
    let server = Server::start(directory.path(), 2, &[]);
    drop(filled(&server));
    let held = scan(&["--data", data, "SELECT 1"]);
    assert_eq!(held.status.code(), Some(1));
    let said = String::from_utf8_lossy(&held.stderr).into_owned();
    assert!(said.contains("ringfence serve") && said.contains(&server.pid().to_string()), "{said}");
    let sql = "SELECT count(*) AS rows, sum(n) AS n, min(name) AS name FROM t";
    let running = text(&scan(&["--url", &server.url(), "--format", "json", sql]));
    assert_eq!(running, "{\"rows\":20000,\"n\":2000100.00,\"name\":\"name 1\"}\n");
    // Not stopped but killed: the rows are in the log only.
    server.kill();
    assert_eq!(text(&scan(&["--data", data, "--format", "json", sql])), running);
    let csv =
        text(&scan(&["--data", data, "--format", "csv", "SELECT id, name FROM t WHERE id = 7"]));
    assert_eq!(csv, "id,name\n7,name 7\n");
    let changed = scan(&["--data", data, "INSERT INTO t (id) VALUES (0) RETURNING id"]);
    assert_eq!(changed.status.code(), Some(1));
    let said = String::from_utf8_lossy(&changed.stderr).into_owned();
    assert!(said.contains("25006"), "{said}");
    let wrong = scan(&["--data", data, "SELECT 1 / (id - id) FROM t"]);
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("22012"));
    for (format, magic) in [("parquet", &b"PAR1"[..]), ("arrow", b"ARROW1")] {
        let file = directory.path().with_extension(format);
        let name = file.to_str().expect("a name");
        let written = scan(&["--data", data, "--format", format, "-o", name, "SELECT * FROM t"]);
        assert_eq!(text(&written), "");
        let bytes = std::fs::read(&file).expect("written");
        std::fs::remove_file(&file).expect("ours");
        assert!(bytes.starts_with(magic) && bytes.ends_with(magic) && bytes.len() > 100_000);
    }
    let nothing = scan(&["--data", "/nowhere/at/all", "SELECT 1"]);
    assert!(!nothing.status.success() && !Path::new("/nowhere/at/all").exists());
    // The directory serves as before.
    let mut client = Server::start(directory.path(), 1, &[]);
    assert!(client.is_alive());
}

#[test]
fn the_second_driver_serves_and_survives_a_kill() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut rows = 0i64;
    for (shards, runtime) in [(2, "glommio"), (1, "glommio"), (2, "uring")] {
        let server = Server::start(directory.path(), shards, &["--runtime", runtime]);
        let mut client = server.connect();
        client
            .batch_execute("CREATE TABLE IF NOT EXISTS t (id bigint PRIMARY KEY, g int)")
            .expect("a table is there");
        let found = client.query_one("SELECT count(*), count(DISTINCT g) FROM t", &[]);
        let found = found.expect("counted");
        assert_eq!(found.get::<_, i64>(0), rows);
        assert_eq!(found.get::<_, i64>(1), rows.min(10));
        for id in rows..rows + 100 {
            client.execute("INSERT INTO t VALUES ($1, $1 % 10)", &[&id]).expect("inserted");
        }
        rows += 100;
        let mut transaction = client.transaction().expect("begun");
        transaction.execute("UPDATE t SET g = g + 10 WHERE id < 50", &[]).expect("changed");
        transaction.execute("UPDATE t SET g = g - 10 WHERE id < 50", &[]).expect("changed");
        transaction.commit().expect("committed");
        server.kill();
    }
}
