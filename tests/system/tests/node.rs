//! A node as a stranger meets it: statements, transactions, restarts with other shard counts, refusals, bad input.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use postgres::error::SqlState;
use system_tests::{Server, binary};

#[test]
fn rows_survive_restarts_with_other_shard_counts() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut expected = 0i64;
    for (start, shards) in [1u16, 2, 3, 1].into_iter().enumerate() {
        let server = Server::start(directory.path(), shards, &[]);
        let mut client = server.connect();
        if start == 0 {
            client
                .batch_execute(
                    "CREATE TABLE t (id int PRIMARY KEY, v text NOT NULL, n numeric(10,2))",
                )
                .expect("a table is made");
        }
        for id in 0..200 {
            let id = start as i32 * 1_000 + id;
            client
                .execute("INSERT INTO t VALUES ($1, $2, 1.25)", &[&id, &format!("row {id}")])
                .expect("a row is inserted");
            expected += 1;
        }
        let row = client.query_one("SELECT count(*), sum(n)::text FROM t", &[]).expect("counted");
        assert_eq!(row.get::<_, i64>(0), expected);
        assert_eq!(row.get::<_, String>(1), format!("{:.2}", expected as f64 * 1.25));
        let row = client.query_one("SELECT v FROM t WHERE id = 7", &[]).expect("read");
        assert_eq!(row.get::<_, String>(0), "row 7");
        assert!(server.stop());
    }
}

#[test]
fn transfers_keep_their_sum_in_every_answer() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for shards in [1u16, 2] {
        let server = Server::start(&directory.path().join(shards.to_string()), shards, &[]);
        let mut client = server.connect();
        client
            .batch_execute("CREATE TABLE account (id int PRIMARY KEY, balance bigint NOT NULL)")
            .expect("a table is made");
        for id in 0..20i32 {
            client.execute("INSERT INTO account VALUES ($1, 100)", &[&id]).expect("inserted");
        }
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let mut client = server.connect();
                std::thread::spawn(move || {
                    let mut done = 0;
                    for step in 0..60i32 {
                        let (from, to) =
                            ((step * 7 + writer) % 20, (step * 3 + writer * 5 + 1) % 20);
                        if from == to {
                            continue;
                        }
                        let moved = (|| {
                            let mut transaction = client.transaction()?;
                            let sql = "UPDATE account SET balance = balance + $1 WHERE id = $2";
                            transaction.execute(sql, &[&-3i64, &from])?;
                            transaction.execute(sql, &[&3i64, &to])?;
                            transaction.commit()
                        })();
                        match moved {
                            Ok(()) => done += 1,
                            Err(error) => {
                                assert_eq!(
                                    error.code(),
                                    Some(&SqlState::T_R_SERIALIZATION_FAILURE)
                                );
                            }
                        }
                    }
                    done
                })
            })
            .collect();
        while writers.iter().any(|writer| !writer.is_finished()) {
            let row =
                client.query_one("SELECT sum(balance)::bigint FROM account", &[]).expect("summed");
            assert_eq!(row.get::<_, i64>(0), 2_000);
        }
        let done: i32 = writers.into_iter().map(|writer| writer.join().expect("no panic")).sum();
        assert!(done > 100, "deferred updates do not conflict: {done}");
    }
}

#[test]
fn a_commit_is_in_the_next_analytic_answer() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(directory.path(), 2, &[]);
    let mut writer = server.connect();
    let mut reader = server.connect();
    writer.batch_execute("CREATE TABLE t (id int PRIMARY KEY, g int)").expect("a table is made");
    for id in 1..=100i32 {
        writer.execute("INSERT INTO t VALUES ($1, $1 % 3)", &[&id]).expect("inserted");
        let row = reader.query_one("SELECT count(*), max(id) FROM t", &[]).expect("counted");
        assert_eq!((row.get::<_, i64>(0), row.get::<_, i32>(1)), (i64::from(id), id));
    }
}

#[test]
fn errors_have_postgresqls_codes() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(directory.path(), 1, &[]);
    let mut client = server.connect();
    client
        .batch_execute("CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL CHECK (v > 0))")
        .expect("a table is made");
    client.batch_execute("INSERT INTO t VALUES (1, 1)").expect("inserted");
    for (sql, code) in [
        ("SELEC 1", "42601"),
        ("SELECT * FROM nowhere", "42P01"),
        ("SELECT nothing FROM t", "42703"),
        ("SELECT 1/0", "22012"),
        ("SELECT v/0 FROM t", "22012"),
        ("SELECT 2147483647 + 1", "22003"),
        ("SELECT sum(v) / 0 FROM t", "22012"),
        ("INSERT INTO t VALUES (1, 2)", "23505"),
        ("INSERT INTO t VALUES (2, NULL)", "23502"),
        ("INSERT INTO t VALUES (2, -1)", "23514"),
        ("INSERT INTO t VALUES ('x', 1)", "22P02"),
        ("SAVEPOINT a", "0A000"),
        ("SET client_encoding = 'LATIN1'", "22023"),
    ] {
        let error = client.batch_execute(sql).expect_err(sql);
        assert_eq!(error.code().map(SqlState::code), Some(code), "{sql}: {error}");
    }
    let deep = format!("SELECT {}1{}", "(".repeat(20_000), ")".repeat(20_000));
    let error = client.batch_execute(&deep).expect_err("too deep");
    assert_eq!(error.code().map(SqlState::code), Some("54001"));
    assert_eq!(client.query("SELECT v FROM t", &[]).expect("still alive").len(), 1);
}

#[test]
fn garbage_on_the_wire_hurts_nobody_else() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut server = Server::start(directory.path(), 1, &[]);
    let inputs: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[0, 0, 0, 0],
        &[0xff; 64],
        &[0, 0, 0, 8, 0, 3, 0, 0],
        &[0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0],
        b"",
    ];
    for input in inputs {
        let mut stream = TcpStream::connect(server.address).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("set");
        let _sent = stream.write_all(input);
        let _closed = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _read = stream.read_to_end(&mut answer);
    }
    assert!(server.is_alive());
    assert_eq!(server.connect().query("SELECT 1", &[]).expect("answered").len(), 1);
}

#[test]
fn a_second_process_and_a_foreign_directory_are_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(directory.path(), 1, &[]);
    let refused = Server::try_start(directory.path(), 1, &[]).err().expect("refused");
    assert!(refused.contains(&server.pid().to_string()), "{refused}");
    drop(server);
    let foreign = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(foreign.path().join("holiday.jpg"), b"not ours").expect("written");
    let refused = Server::try_start(foreign.path(), 1, &[]).err().expect("refused");
    assert!(!refused.is_empty());
    let refused = Server::try_start(&directory.path().join("x"), 1, &["--join", "a:1"]);
    assert!(refused.err().expect("refused").contains("not built"));
}

#[test]
fn a_password_is_asked_for_and_checked() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("password");
    std::fs::write(&file, "se cret\n").expect("written");
    let data = directory.path().join("data");
    let path = file.to_str().expect("a plain path");
    let server = Server::start(&data, 2, &["--password-file", path]);
    let connect = |password: &str| {
        postgres::Config::new()
            .host("127.0.0.1")
            .port(server.address.port())
            .user("ringfence")
            .dbname("ringfence")
            .password(password)
            .connect(postgres::NoTls)
    };
    let error = connect("wrong").err().expect("refused");
    assert_eq!(error.code(), Some(&SqlState::INVALID_PASSWORD));
    let mut client = connect("se cret").expect("let in");
    client.batch_execute("ALTER ROLE ringfence PASSWORD 'other'").expect("changed");
    assert!(connect("se cret").is_err());
    assert!(connect("other").is_ok());
}

#[test]
fn a_stopped_directory_verifies_and_a_flipped_bit_is_found() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(directory.path(), 1, &[]);
    let mut client = server.connect();
    client.batch_execute("CREATE TABLE t (id int PRIMARY KEY, v text)").expect("made");
    for id in 0..500i32 {
        client.execute("INSERT INTO t VALUES ($1, repeat('x', 100))", &[&id]).expect("inserted");
    }
    drop(client);
    assert!(server.stop());
    // A start flushes what the logs held into table files.
    assert!(Server::start(directory.path(), 1, &[]).stop());
    let verify = || {
        let output = Command::new(binary()).arg("verify").arg(directory.path()).output();
        output.expect("verify runs").status.success()
    };
    assert!(verify());
    let table = std::fs::read_dir(directory.path())
        .expect("listed")
        .flatten()
        .map(|entry| entry.path())
        .find(|path| {
            path.extension().is_some_and(|extension| extension == "sst" || extension == "rftabl")
        })
        .or_else(|| {
            std::fs::read_dir(directory.path()).ok()?.flatten().map(|entry| entry.path()).find(
                |path| {
                    path.is_file()
                        && std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"RFTABL"))
                },
            )
        });
    if let Some(path) = table {
        let mut bytes = std::fs::read(&path).expect("read");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        std::fs::write(&path, bytes).expect("written");
        assert!(!verify(), "a flipped bit in {} is found", path.display());
    }
}

#[test]
fn rows_copied_out_end_their_lines() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(directory.path(), 1, &[]);
    let mut client = server.connect();
    for (options, expected) in [
        ("", "1\ta\n2\t\\N\n"),
        (" WITH (FORMAT csv, HEADER)", "number,letter\n1,a\n2,\n"),
        (" WITH (DELIMITER '|', NULL '-')", "1|a\n2|-\n"),
    ] {
        let sql = format!(
            "COPY (SELECT * FROM (VALUES (1, 'a'), (2, NULL)) v (number, letter) ORDER BY 1) TO STDOUT{options}"
        );
        let mut text = String::new();
        client.copy_out(&sql).expect("begun").read_to_string(&mut text).expect("copied");
        assert_eq!(text, expected, "{options}");
    }
}

#[test]
fn analytics_sees_a_table_that_its_own_transaction_made() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(directory.path(), 2, &[]);
    let mut client = server.connect();
    client
        .batch_execute("CREATE TABLE old (id int PRIMARY KEY); INSERT INTO old VALUES (1)")
        .expect("made");
    let mut block = client.transaction().expect("begun");
    block
        .batch_execute(
            "CREATE TABLE keyed (id int PRIMARY KEY, v text); CREATE TABLE plain (v int)",
        )
        .expect("made");
    block
        .batch_execute("INSERT INTO keyed SELECT g, 'x' FROM generate_series(1, 100) g")
        .expect("inserted");
    block
        .batch_execute("INSERT INTO plain VALUES (7), (8); INSERT INTO old VALUES (2)")
        .expect("inserted");
    let sql = "SELECT (SELECT count(*) FROM keyed), (SELECT sum(v) FROM plain), (SELECT count(*) FROM old)";
    let row = block.query_one(sql, &[]).expect("read");
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1), row.get::<_, i64>(2)), (100, 15, 2));
    block.commit().expect("committed");
    let row = client.query_one(sql, &[]).expect("read");
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1), row.get::<_, i64>(2)), (100, 15, 2));
}

#[test]
fn long_and_deep_statements_are_refused_or_run_on_both_paths() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut server = Server::start(directory.path(), 1, &[]);
    let mut client = server.connect();
    client
        .batch_execute("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1)")
        .expect("made");
    // Each around its bound, and far beyond it.
    for depth in [100usize, 200, 250, 256, 300, 2_000, 20_000] {
        let chain = |item: &dyn Fn(usize) -> String| (1..depth).map(item).collect::<String>();
        for sql in [
            format!("SELECT {}1{}", "(".repeat(depth), ")".repeat(depth)),
            format!("SELECT v{} FROM t", "+1".repeat(depth)),
            format!("SELECT sum(v{}) FROM t", "+1".repeat(depth)),
            format!("SELECT v{} FROM t", "::int".repeat(depth)),
            format!("SELECT count(*) FROM t WHERE {} v = 1", "NOT ".repeat(depth)),
            format!("SELECT count(*) FROM t WHERE v = 1{}", " OR v = 1".repeat(depth)),
            format!("SELECT {}1{}", "(SELECT ".repeat(depth), ")".repeat(depth)),
            format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(depth)),
            format!("SELECT {}1{}", "abs(".repeat(depth), ")".repeat(depth)),
            format!("SELECT {}1{}", "CASE WHEN true THEN ".repeat(depth), " END".repeat(depth)),
            format!("{}SELECT 1{}", "WITH a AS (".repeat(depth), ") SELECT * FROM a".repeat(depth)),
            format!("SELECT * FROM {}t{}", "(SELECT * FROM ".repeat(depth), ") x".repeat(depth)),
        ] {
            if let Err(error) = client.batch_execute(&sql) {
                let code = error.code().map(SqlState::code);
                assert_eq!(code, Some("54001"), "{depth}: {}: {error}", &sql[..60]);
            }
        }
        // Planning many tables takes long, so only what is refused is tried; nearer to the bound, a few.
        let depth_of_joins = if depth == 100 { 30 } else { depth };
        if depth_of_joins == 30 || depth > 256 {
            let joins = (1..depth_of_joins).map(|n| format!(", t t{n}")).collect::<String>();
            let keyed = chain(&|n| format!(" JOIN t t{n} USING (id)"));
            for sql in
                [format!("SELECT count(*) FROM t{joins}"), format!("SELECT count(*) FROM t{keyed}")]
            {
                if let Err(error) = client.batch_execute(&sql) {
                    let code = error.code().map(SqlState::code);
                    assert_eq!(code, Some("54001"), "{depth}: {}: {error}", &sql[..60]);
                }
            }
        }
        assert!(server.is_alive());
    }
}
