//! Clients that lie, stall, hoard or send nonsense: each is told what PostgreSQL's clients expect, and nobody else notices.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use postgres::error::SqlState;
use system_tests::Server;
use system_tests::wire::{Wire, frame, parse, query, startup};

fn bind(statement: &str, formats: &[u16], values: &[&[u8]]) -> Vec<u8> {
    let mut body = [b"\0", statement.as_bytes(), b"\0"].concat();
    body.extend((formats.len() as u16).to_be_bytes());
    formats.iter().for_each(|format| body.extend(format.to_be_bytes()));
    body.extend((values.len() as u16).to_be_bytes());
    for value in values {
        body.extend((value.len() as u32).to_be_bytes());
        body.extend(*value);
    }
    body.extend([0, 0]);
    frame(b'B', &body)
}

fn execute() -> Vec<u8> {
    frame(b'E', b"\0\0\0\0\0")
}

fn sync() -> Vec<u8> {
    frame(b'S', b"")
}

fn answers(server: &Server) {
    let row = server.connect().query_one("SELECT count(*) FROM pg_class", &[]).expect("answered");
    assert!(row.get::<_, i64>(0) > 0);
}

#[test]
fn frames_that_lie_end_their_connection_with_08p01() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(directory.path(), 2, &[]);
    for kind in [b'Q', b'P', b'B', b'D', b'E', b'C', b'S', b'H', b'd', b'c', b'f', b'p', b'F'] {
        for length in [0u32, 3, 0x8000_0000, 0xffff_ffff, 0x7fff_ffff] {
            let mut wire = Wire::session(server.address).expect("a session");
            let lie = [&[kind], length.to_be_bytes().as_slice(), b"xxxx"].concat();
            let answer = wire.ask(&lie).expect("an answer");
            assert_eq!(answer, "E08P01", "{} of length {length}", char::from(kind));
        }
    }
    for kind in [0u8, 1, b'A', b'Z', b'R', 0x7f, 0xff] {
        let mut wire = Wire::session(server.address).expect("a session");
        assert_eq!(wire.ask(&frame(kind, b"xxxx")).expect("an answer"), "E08P01", "{kind}");
    }
    answers(&server);
}

#[test]
fn broken_bodies_are_errors_and_the_session_goes_on() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(directory.path(), 1, &[]);
    let mut wire = Wire::session(server.address).expect("a session");
    let long = "a".repeat(300_000);
    let with_sync = |bytes: &[&[u8]]| [bytes.concat(), sync()].concat();
    for (what, bytes, expected) in [
        ("no zero behind the text", frame(b'Q', b"SELECT 1"), "E08P01 Z"),
        ("text that is not UTF-8", frame(b'Q', b"SELECT '\xff\xfe'\0"), "E22021 Z"),
        ("an overlong form", frame(b'Q', b"SELECT '\xc0\x80'\0"), "E22021 Z"),
        ("a surrogate", frame(b'Q', b"SELECT '\xed\xa0\x80'\0"), "E22021 Z"),
        ("nothing at all", query(""), "I Z"),
        ("no such portal", with_sync(&[&frame(b'E', b"no\0\0\0\0\0")]), "E34000 Z"),
        ("no such statement", with_sync(&[&bind("no", &[], &[])]), "E26000 Z"),
        ("no such target", with_sync(&[&frame(b'D', b"Xno\0")]), "E08P01 Z"),
        ("a count below zero", with_sync(&[&frame(b'B', b"\0\0\xff\xff")]), "E08P01 Z"),
        ("a parse that ends early", with_sync(&[&frame(b'P', b"\0SELECT 1\0\0\x09")]), "E08P01 Z"),
        (
            "too few values",
            with_sync(&[&parse("SELECT $1::int + $2::int"), &bind("", &[], &[b"1"])]),
            "1 E08P01 Z",
        ),
        (
            "a value that is no number",
            with_sync(&[&parse("SELECT $1::int"), &bind("", &[], &[b"one"])]),
            "1 E22P02 Z",
        ),
        (
            "three bytes for an integer",
            with_sync(&[&parse("SELECT $1::int"), &bind("", &[1], &[b"abc"])]),
            "1 E22P03 Z",
        ),
        (
            "nine bytes for an integer",
            with_sync(&[&parse("SELECT $1::int"), &bind("", &[1], &[b"123456789"])]),
            "1 E22P03 Z",
        ),
        (
            "a value that is not UTF-8",
            with_sync(&[&parse("SELECT $1::text"), &bind("", &[1], &[b"\xff"])]),
            "1 E22021 Z",
        ),
        (
            "a zero byte in a text",
            with_sync(&[&parse("SELECT $1::text"), &bind("", &[], &[b"a\0b"])]),
            "1 E22021 Z",
        ),
        (
            "an unknown format",
            with_sync(&[&parse("SELECT $1::int"), &bind("", &[7], &[b"1"])]),
            "1 E22023 Z",
        ),
        (
            "an unknown type",
            with_sync(&[&frame(b'P', b"\0SELECT $1\0\0\x01\x00\x0f\x42\x3f")]),
            "E0A000 Z",
        ),
        ("a very long name", query(&format!("SELECT 1 AS {long}")), "T D C Z"),
        ("a function call", frame(b'F', b"\0\0\0\x01\0\0\0\0\0\0"), "E0A000 Z"),
        ("copied bytes without COPY", with_sync(&[&frame(b'd', b"1\n"), &frame(b'c', b"")]), "Z"),
        ("the end of a session that is none", query("COMMIT"), "N C Z"),
    ] {
        assert_eq!(wire.ask(&bytes).expect("an answer"), expected, "{what}");
        assert_eq!(wire.ask(&query("SELECT 1")).expect("an answer"), "T D C Z", "after {what}");
    }
    let batch = [parse("SELECT 1/0"), bind("", &[], &[]), execute(), parse("SELECT 2"), sync()];
    assert_eq!(wire.ask(&batch.concat()).expect("an answer"), "1 2 E22012 Z");
}

#[test]
fn messages_beyond_the_bounds_are_refused_before_they_are_read() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(directory.path(), 1, &[]);
    // The length alone is refused: nothing of the announced gigabyte has to come.
    let mut wire = Wire::session(server.address).expect("a session");
    let announced = [&b"Q"[..], &0x4000_0000u32.to_be_bytes()].concat();
    assert_eq!(wire.ask(&announced).expect("an answer"), "E08P01");
    let mut wire = Wire::open(server.address).expect("connected");
    let packet = [&20_000u32.to_be_bytes()[..], &[0, 3, 0, 0]].concat();
    assert_eq!(wire.ask(&packet).expect("an answer"), "E08P01");
    // A message just below the bound is read and judged.
    let mut wire = Wire::session(server.address).expect("a session");
    let long = format!("SELECT length('{}')", "a".repeat(60 << 20));
    let answer = wire.ask(&query(&long)).expect("an answer");
    assert!(answer == "T D C Z" || answer.starts_with("E54000"), "{answer}");
    answers(&server);
}

#[test]
fn nothing_but_a_password_is_heard_before_the_password() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("password");
    std::fs::write(&file, "secret").expect("written");
    let path = file.to_str().expect("a plain path");
    let data = directory.path().join("data");
    let server = Server::start(&data, 1, &["--password-file", path]);
    for kind in 0..=255u8 {
        if kind == b'p' {
            continue;
        }
        let mut wire = Wire::open(server.address).expect("connected");
        wire.send(&startup("ringfence")).expect("sent");
        let (letter, _) = wire.receive().expect("an answer").expect("a challenge");
        assert_eq!(letter, b'R');
        let answer = wire.ask(&frame(kind, b"SELECT 1\0")).expect("an answer");
        assert_eq!(answer, "E08P01", "{kind}");
    }
    for body in [&b"SCRAM-SHA-256\0\xff\xff\xff\xffx"[..], b"MD5\0\0\0\0\0", b"", b"\0\0\0\0\0\0"] {
        let mut wire = Wire::open(server.address).expect("connected");
        wire.send(&startup("ringfence")).expect("sent");
        wire.receive().expect("an answer");
        let answer = wire.ask(&frame(b'p', body)).expect("an answer");
        assert!(answer.starts_with("E08P01") || answer.starts_with("E28"), "{answer}");
    }
    // A role that does not exist is asked the same, and fails the same.
    let connect = |user: &str, password: &str| {
        let mut config = postgres::Config::new();
        config.host("127.0.0.1").port(server.address.port()).dbname("ringfence");
        config.user(user).password(password).connect(postgres::NoTls)
    };
    for (user, password) in [("ringfence", "wrong"), ("nobody", "secret"), ("ringfence", "")] {
        let error = connect(user, password).err().expect("refused");
        let state = error.code().cloned();
        assert!(password.is_empty() || state == Some(SqlState::INVALID_PASSWORD), "{error}");
    }
    connect("ringfence", "secret").expect("let in").query_one("SELECT 1", &[]).expect("answered");
}

/// The next number of a sequence that is the same in every run.
fn next(seed: &mut u64) -> usize {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    (*seed >> 11) as usize
}

#[test]
fn mutated_conversations_neither_hang_nor_kill() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut server = Server::start(directory.path(), 2, &[]);
    server
        .connect()
        .batch_execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
        .expect("a table is made");
    let rounds = std::env::var("RINGFENCE_WIRE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    let mut seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(4_711);
    let sound: Vec<Vec<u8>> = vec![
        query("SELECT 1, 'a', 2.5"),
        query("INSERT INTO t VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET v = 'y'"),
        query("BEGIN; UPDATE t SET v = v || 'z'; COMMIT"),
        query("SELECT v, count(*) FROM t GROUP BY v"),
        query("COPY t FROM STDIN"),
        frame(b'd', b"7\tseven\n"),
        frame(b'c', b""),
        parse("SELECT $1::int, $2::text"),
        bind("", &[0, 1], &[b"12", b"text"]),
        frame(b'D', b"P\0"),
        execute(),
        frame(b'C', b"S\0"),
        frame(b'H', b""),
        sync(),
    ];
    for _ in 0..rounds.unwrap_or(300) {
        let start = seed;
        let mut bytes = startup("ringfence");
        let honest = bytes.len();
        for _ in 0..1 + next(&mut seed) % 12 {
            bytes.extend(&sound[next(&mut seed) % sound.len()]);
        }
        for _ in 0..next(&mut seed) % 6 {
            // Some conversations are damaged from their first byte on.
            let low = if next(&mut seed).is_multiple_of(4) { 0 } else { honest };
            let at = low + next(&mut seed) % (bytes.len() - low).max(1);
            match next(&mut seed) % 4 {
                0 => bytes[at] ^= 1 << (next(&mut seed) % 8),
                1 => bytes[at] = next(&mut seed) as u8,
                2 => bytes.truncate(at.max(1)),
                _ => bytes.insert(at, next(&mut seed) as u8),
            }
            if bytes.len() <= honest {
                break;
            }
        }
        let mut stream = TcpStream::connect(server.address).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("set");
        for piece in bytes.chunks(1 + next(&mut seed) % bytes.len()) {
            let _closed = stream.write_all(piece);
        }
        let _closed = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let ended = stream.read_to_end(&mut answer);
        let hung = ended.err().is_some_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!hung, "SEED={start}: the server neither answers nor closes");
        assert!(server.is_alive(), "SEED={start}: the server ended");
    }
    answers(&server);
}

#[test]
fn slow_and_silent_clients_hold_nobody_up() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(directory.path(), 2, &[]);
    let mut slow = Vec::new();
    for index in 0..300 {
        let mut stream = TcpStream::connect(server.address).expect("connected");
        if index % 3 != 0 {
            stream.write_all(&startup("ringfence")[..index % 20]).expect("sent");
        }
        slow.push(stream);
    }
    for _ in 0..20 {
        answers(&server);
    }
    // One of them that speaks after all is served.
    let mut late = slow.pop().expect("three hundred");
    late.write_all(&startup("ringfence")[299 % 20..]).expect("sent");
    late.set_read_timeout(Some(Duration::from_secs(60))).expect("set");
    let mut first = [0];
    late.read_exact(&mut first).expect("an answer");
    assert_eq!(first, *b"R");
}

#[test]
fn a_thousand_sessions_and_one_too_many() {
    const SESSIONS: usize = 1_000;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(directory.path(), 2, &["--connections", "1000"]);
    let mut wires: Vec<Wire> = std::thread::scope(|scope| {
        let openers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let open = || Wire::session(server.address).expect("a session");
                    (0..SESSIONS / 4).map(|_| open()).collect::<Vec<_>>()
                })
            })
            .collect();
        openers.into_iter().flat_map(|opener| opener.join().expect("no panic")).collect()
    });
    let refused = Wire::session(server.address).err().expect("one too many");
    assert_eq!(refused.to_string(), "53300");
    for wire in &mut wires {
        wire.send(&query("SELECT 1")).expect("sent");
    }
    for wire in &mut wires {
        assert_eq!(wire.until_ready().expect("an answer").len(), 4);
    }
    drop(wires);
    let deadline = Instant::now() + Duration::from_secs(60);
    while let Err(error) = Wire::session(server.address) {
        assert!(Instant::now() < deadline, "places come free again: {error}");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(server.stop());
}

#[test]
fn a_client_that_reads_nothing_does_not_stop_the_others() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(directory.path(), 1, &[]);
    let sql = "SELECT g, repeat('x', 200) FROM generate_series(1, 1000000) g";
    let small = "SELECT g, repeat('x', 200) FROM generate_series(1, 30000) g";
    let mut stalled = Vec::new();
    for index in 0..8 {
        let mut wire = Wire::session(server.address).expect("a session");
        wire.send(&query(if index < 4 { small } else { sql })).expect("sent");
        stalled.push(wire);
    }
    answers(&server);
    let mut client = server.connect();
    let row = client.query_one("SELECT count(*) FROM generate_series(1, 1000) g", &[]);
    assert_eq!(row.expect("answered").get::<_, i64>(0), 1_000);
    // Whoever reads after all gets either everything or an error, and a sound stream of messages.
    for mut wire in stalled {
        let answer = wire.until_ready().expect("an answer");
        let kinds: Vec<u8> = answer.iter().map(|(kind, _)| *kind).collect();
        assert!(kinds.ends_with(b"CZ") || kinds.ends_with(b"EZ"));
    }
    assert!(server.stop());
}

#[test]
fn statements_that_run_too_long_are_stopped() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start(directory.path(), 1, &[]);
    let mut client = server.connect();
    let endless = [
        "SELECT count(*) FROM generate_series(1, 1000000000000) g",
        "SELECT g FROM generate_series(1, 1000000000000) g WHERE g < 0",
        "SELECT count(*) FROM generate_series(1, 3000000) a, generate_series(1, 3000000) b WHERE a % 7 = b % 11",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n % 1000 + 1 FROM r) SELECT count(*) FROM r",
        "SELECT g FROM generate_series(1, 1000000000000) g",
    ];
    client.batch_execute("SET statement_timeout = '500ms'").expect("set");
    for sql in endless {
        let error = client.batch_execute(sql).expect_err(sql);
        assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "{sql}: {error}");
    }
    client.batch_execute("SET statement_timeout = 0").expect("set");
    for sql in endless {
        let token = client.cancel_token();
        let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let seen = done.clone();
        let canceller = std::thread::spawn(move || {
            // A cancel that comes before its statement does nothing, so it is sent until it works.
            while !seen.load(std::sync::atomic::Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(200));
                token.cancel_query(postgres::NoTls).expect("the node takes it");
            }
        });
        let error = client.batch_execute(sql).expect_err(sql);
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        canceller.join().expect("no panic");
        assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "{sql}: {error}");
    }
    // What was stopped has really ended: the one thread of analytics is free.
    assert_eq!(
        client.query("SELECT sum(g) FROM generate_series(1, 10) g", &[]).expect("read").len(),
        1
    );
    let mut idle = server.connect();
    idle.batch_execute("SET idle_in_transaction_session_timeout = '200ms'; BEGIN").expect("set");
    std::thread::sleep(Duration::from_secs(1));
    assert!(idle.batch_execute("SELECT 1").is_err());
    assert!(server.stop());
}
