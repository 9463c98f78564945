//! Whole conversations over sockets in memory: what each message gets back, how many sends it takes, what memory it leaves.

mod toy;
mod world;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use platform::Spawner;
use types::prng::Prng;

use super::*;
use crate::error::SecretsUnavailable;
use crate::limits::{IDLE_CONNECTION_BYTES_MAX, RESPONSE_BYTES_BOUND};
use crate::pg::cancel::CancelRegistry;
use crate::pg::listener::{PgListenerSettings, SecretSource};
use toy::Toy;
use world::{Door, Tasks, Wire};

struct KnownSecrets;

impl SecretSource for KnownSecrets {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), SecretsUnavailable> {
        bytes.fill(5);
        Ok(())
    }
}

/// A core with a toy database.
struct Core {
    tasks: Rc<Tasks>,
    door: Rc<Door>,
    listener: Rc<PgListener<Toy>>,
    terminated: Rc<Cell<u32>>,
    copied: Rc<RefCell<Vec<u8>>>,
}

fn core() -> Core {
    let tasks = Rc::new(Tasks::default());
    let door = Rc::new(Door::default());
    let registry = CancelRegistry::new(0);
    let terminated = Rc::new(Cell::new(0));
    let copied = Rc::new(RefCell::new(Vec::new()));
    let toy =
        Toy { registry: registry.clone(), terminated: terminated.clone(), copied: copied.clone() };
    let settings = PgListenerSettings {
        sessions_max: 3,
        sessions: std::sync::Arc::default(),
        authentication_seconds_max: 10,
        cluster_secret: [9; 32],
    };
    let listener = PgListener::new(toy, settings, tasks.clone(), Rc::new(KnownSecrets), registry);
    let accepting = listener.clone().accept_on(door.clone());
    platform::spawn(&*tasks, platform::SchedulingClass::Foreground, "accept", accepting);
    tasks.run();
    Core { tasks, door, listener, terminated, copied }
}

impl Core {
    fn connect(&self) -> Rc<Wire> {
        let wire = self.door.connect();
        self.tasks.run();
        wire
    }

    /// Writes, runs until nothing moves, and reads the answers in short form.
    fn ask(&self, wire: &Wire, bytes: &[u8]) -> String {
        wire.write(bytes);
        self.tasks.run();
        summary(&wire.take())
    }

    /// A session of a role that is trusted, its greeting read.
    fn session(&self) -> Rc<Wire> {
        let wire = self.connect();
        let greeting = self.ask(&wire, &startup("trusted"));
        assert!(greeting.starts_with("R0 ") && greeting.ends_with(" K ZI"), "{greeting}");
        wire
    }
}

fn startup(user: &str) -> Vec<u8> {
    let body = [&[0, 3, 0, 0][..], b"user\0", user.as_bytes(), b"\0\0"].concat();
    [&((body.len() + 4) as u32).to_be_bytes()[..], &body].concat()
}

fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &((body.len() + 4) as u32).to_be_bytes(), body].concat()
}

fn query(text: &str) -> Vec<u8> {
    frame(b'Q', &[text.as_bytes(), b"\0"].concat())
}

fn parse(text: &str) -> Vec<u8> {
    frame(b'P', &[b"\0", text.as_bytes(), b"\0\0\0"].concat())
}

fn bind(value: &[u8]) -> Vec<u8> {
    let length = (value.len() as u32).to_be_bytes();
    frame(b'B', &[&b"\0\0\0\0\0\x01"[..], &length, value, &b"\0\0"[..]].concat())
}

fn execute() -> Vec<u8> {
    frame(b'E', b"\0\0\0\0\0")
}

fn sync() -> Vec<u8> {
    frame(b'S', b"")
}

/// One word a message: its letter and what tells it apart.
fn summary(mut bytes: &[u8]) -> String {
    let mut words = Vec::new();
    while let Some((kind, rest)) = bytes.split_first() {
        let Some(length) = rest.first_chunk::<4>() else {
            words.push(format!("byte {}", *kind as char));
            bytes = rest;
            continue;
        };
        let length = u32::from_be_bytes(*length) as usize;
        let body = &rest[4..length];
        bytes = &rest[length..];
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_matches('\0').to_owned();
        words.push(match kind {
            b'Z' => format!("Z{}", body[0] as char),
            b'R' => format!("R{}", body[3]),
            b'C' => format!("C[{}]", text(body)),
            b'D' if body.len() < 100 => format!("D[{}]", text(&body[6..])),
            b'd' => format!("d[{}]", text(body).trim_end()),
            b'E' | b'N' => {
                let fields: Vec<String> = body.split(|byte| *byte == 0).map(text).collect();
                format!("{}[{} {}]", *kind as char, &fields[0][1..], &fields[2][1..])
            }
            other => (*other as char).to_string(),
        });
    }
    words.join(" ")
}

#[test]
fn a_greeting_and_simple_queries() {
    let core = core();
    let wire = core.session();
    assert_eq!(wire.sends.get(), 1, "authentication, settings, key and readiness leave at once");
    let ask = |text: &str| core.ask(&wire, &query(text));
    assert_eq!(ask("echo hello"), "D[hello] C[SELECT 1] ZI");
    assert_eq!(ask("echo a; echo b"), "D[a] C[SELECT 1] D[b] C[SELECT 1] ZI");
    assert_eq!(ask(""), "I ZI");
    assert_eq!(ask("begin"), "C[BEGIN] ZT");
    assert_eq!(ask("echo a; fail; echo b"), "D[a] C[SELECT 1] E[ERROR 22012] ZE");
    assert_eq!(ask("commit"), "C[COMMIT] ZI");
    assert_eq!(ask("notice"), "N[NOTICE 01000] C[NOTICE] ZI");
    assert_eq!(ask("nonsense"), "E[ERROR 42601] ZI");
    assert_eq!(core.ask(&wire, &frame(b'F', b"")), "E[ERROR 0A000] ZI");
    assert_eq!(core.ask(&wire, &frame(b'Q', b"x")), "E[ERROR 08P01] ZI");
    assert_eq!(core.listener.counts().sessions, 1);
    assert_eq!(core.ask(&wire, &frame(b'X', b"")), "");
    assert_eq!(core.terminated.get(), 1);
    assert_eq!(core.listener.counts().connections, 0);
}

#[test]
fn the_extended_protocol_in_one_send_a_batch() {
    let core = core();
    let wire = core.session();
    let before = wire.sends.get();
    let batch = [
        parse("echo"),
        frame(b'D', b"S\0"),
        bind(b"one"),
        frame(b'D', b"P\0"),
        execute(),
        bind(b"two"),
        execute(),
        frame(b'E', b"\0\0\0\0\x07"),
        frame(b'C', b"S\0"),
        sync(),
    ];
    let expected = "1 t T 2 T D[one] C[SELECT 1] 2 D[two] C[SELECT 1] s 3 ZI";
    assert_eq!(core.ask(&wire, &batch.concat()), expected);
    assert_eq!(wire.sends.get(), before + 1);
    // Several exchanges that arrive together leave together.
    let exchange = [bind(b"x"), execute(), sync()].concat();
    let answers = core.ask(&wire, &exchange.repeat(3));
    assert_eq!(answers, ["2 D[x] C[SELECT 1] ZI"; 3].join(" "));
    assert_eq!(wire.sends.get(), before + 2);
    // Without Sync or Flush nothing leaves; Flush lets it.
    assert_eq!(core.ask(&wire, &bind(b"y")), "");
    assert_eq!(core.ask(&wire, &execute()), "");
    assert_eq!(core.ask(&wire, &frame(b'H', b"")), "2 D[y] C[SELECT 1]");
    assert_eq!(core.ask(&wire, &sync()), "ZI");
    assert_eq!(wire.sends.get(), before + 4);
}

#[test]
fn an_error_skips_to_sync() {
    let core = core();
    let wire = core.session();
    let after = [bind(b"x"), execute(), query("echo skipped"), sync(), query("echo next")].concat();
    let expected = "E[ERROR 42601] ZI D[next] C[SELECT 1] ZI";
    assert_eq!(core.ask(&wire, &[parse("syntax"), after.clone()].concat()), expected);
    let broken = frame(b'B', b"\0\0\0\0\0\x09");
    let expected = "E[ERROR 08P01] ZI D[next] C[SELECT 1] ZI";
    assert_eq!(core.ask(&wire, &[broken, after].concat()), expected);
    let failing = [parse("fail"), bind(b""), execute(), execute(), sync()].concat();
    assert_eq!(core.ask(&wire, &failing), "1 2 E[ERROR 22012] ZI");
    let at_commit = [parse("fail at commit"), sync()].concat();
    assert_eq!(core.ask(&wire, &at_commit), "1 E[ERROR 40001] ZI");
    let formats = frame(b'B', b"\0\0\0\0\0\0\0\x02\0\0\0\0");
    assert_eq!(core.ask(&wire, &[formats, sync()].concat()), "E[ERROR 08P01] ZI");
    // Outside a block an extended error leaves the session idle; inside it the block has failed.
    assert_eq!(core.ask(&wire, &query("begin")), "C[BEGIN] ZT");
    let broken = [frame(b'D', b""), sync()].concat();
    assert_eq!(core.ask(&wire, &broken), "E[ERROR 08P01] ZE");
}

#[test]
fn fatal_errors_end_the_connection() {
    for (bytes, expected) in [
        (query("die"), "E[FATAL XX000]"),
        (vec![b'?', 0, 0, 0, 4], "E[FATAL 08P01]"),
        (vec![b'Q', 255, 255, 255, 255], "E[FATAL 08P01]"),
        ([query("echo a"), vec![b'S', 0, 0, 0, 0]].concat(), "D[a] C[SELECT 1] ZI E[FATAL 08P01]"),
    ] {
        let core = core();
        let wire = core.session();
        assert_eq!(core.ask(&wire, &bytes), expected);
        assert_eq!(core.listener.counts().connections, 0);
        assert_eq!(core.terminated.get(), 1);
    }
}

#[test]
fn bytes_one_at_a_time() {
    let core = core();
    let wire = core.connect();
    let conversation = [
        vec![0, 0, 0, 8, 4, 210, 22, 47],
        startup("trusted"),
        query("echo hello"),
        [parse("echo"), bind(b"one"), execute(), sync()].concat(),
        query("copyin"),
        frame(b'd', b"1\n"),
        frame(b'c', b""),
    ];
    let mut seen = Vec::new();
    for byte in conversation.concat() {
        wire.write(&[byte]);
        core.tasks.run();
        seen.extend(wire.take());
    }
    assert_eq!(seen[0], b'N');
    let answers = summary(&seen[1..]);
    let end = "K ZI D[hello] C[SELECT 1] ZI 1 2 D[one] C[SELECT 1] ZI G C[COPY 2] ZI";
    assert!(answers.ends_with(end), "{answers}");
}

fn sasl_first(message: &str) -> Vec<u8> {
    let length = (message.len() as u32).to_be_bytes();
    frame(b'p', &[b"SCRAM-SHA-256\0", &length[..], message.as_bytes()].concat())
}

#[test]
fn passwords() {
    // Right, wrong and unknown differ in the end only.
    for (user, final_is_sound) in [("alice", true), ("alice", false), ("ghost", true)] {
        let core = core();
        let wire = core.connect();
        assert_eq!(core.ask(&wire, &startup(user)), "R10");
        wire.write(&sasl_first("n,,n=,r=abc"));
        core.tasks.run();
        let answer = wire.take();
        assert_eq!(answer[0], b'R');
        let server_first = String::from_utf8(answer[9..].to_vec()).expect("text");
        let password = if final_is_sound { "secret" } else { "Secret" };
        let client_final =
            crate::pg::auth::tests::client_final(password, "n,,n=,r=abc", &server_first, "n,,");
        let outcome = core.ask(&wire, &frame(b'p', client_final.as_bytes()));
        if user == "alice" && final_is_sound {
            assert!(outcome.starts_with("R12 R0 S "), "{outcome}");
            assert!(outcome.ends_with("K ZI"), "{outcome}");
        } else {
            assert_eq!(outcome, "E[FATAL 28P01]");
            assert_eq!(core.listener.counts().connections, 0);
        }
    }
    // A client may want to be asked before it says anything.
    let core = core();
    let wire = core.connect();
    core.ask(&wire, &startup("alice"));
    let empty = frame(b'p', b"SCRAM-SHA-256\0\xff\xff\xff\xff");
    assert_eq!(core.ask(&wire, &empty), "R11");
    assert_eq!(core.ask(&wire, &frame(b'p', b"n,,n=,r=abc")), "R11");
    assert_eq!(core.ask(&wire, &frame(b'p', b"c=biws,r=abc,p=AAAA")), "E[FATAL 08P01]");
    // Nothing but the exchange is heard before it ends.
    for early in [query("echo a"), sync(), frame(b'X', b""), sasl_first("p=x,,n=,r=a")] {
        let wire = core.connect();
        core.ask(&wire, &startup("alice"));
        assert_eq!(core.ask(&wire, &early), "E[FATAL 08P01]");
    }
    let wire = core.connect();
    assert_eq!(core.ask(&wire, &startup("banned")), "E[FATAL 28000]");
    let wire = core.connect();
    let body = b"\0\x03\0\0user\0u\0database\0missing\0\0";
    let packet = [&((body.len() + 4) as u32).to_be_bytes()[..], body].concat();
    assert_eq!(core.ask(&wire, &packet), "R0 E[FATAL 3D000]");
    assert_eq!(core.listener.counts().connections, 0);
}

#[test]
fn authentication_has_a_deadline_and_sessions_do_not() {
    let core = core();
    let silent = core.connect();
    let slow = core.connect();
    slow.write(&startup("alice")[..15]);
    let session = core.session();
    core.tasks.advance(9);
    assert_eq!(core.listener.counts().connections, 3);
    core.tasks.advance(2);
    assert_eq!(core.listener.counts().connections, 1);
    assert!(silent.take().is_empty());
    assert!(slow.take().is_empty());
    core.tasks.advance(1_000_000);
    assert_eq!(core.ask(&session, &query("echo still here")), "D[still here] C[SELECT 1] ZI");
}

#[test]
fn too_many_sessions() {
    let core = core();
    let first = core.session();
    let _second = core.session();
    let _third = core.session();
    let fourth = core.connect();
    assert_eq!(core.ask(&fourth, &startup("trusted")), "R0 E[FATAL 53300]");
    first.leave();
    core.tasks.run();
    core.session();
}

#[test]
fn a_statement_is_cancelled_by_its_key() {
    let core = core();
    let wire = core.connect();
    wire.write(&startup("trusted"));
    core.tasks.run();
    let greeting = wire.take();
    // BackendKeyData is the message before ReadyForQuery: K, length 12, process id, secret.
    let key = &greeting[greeting.len() - 6 - 8..greeting.len() - 6];
    let request = |key: &[u8]| [&[0, 0, 0, 16, 4, 210, 22, 46][..], key].concat();
    assert_eq!(core.ask(&wire, &query("wait")), "");
    let mut wrong = key.to_vec();
    wrong[7] ^= 1;
    let stranger = core.connect();
    assert_eq!(core.ask(&stranger, &request(&wrong)), "");
    assert_eq!(summary(&wire.take()), "");
    let friend = core.connect();
    assert_eq!(core.ask(&friend, &request(key)), "");
    assert_eq!(summary(&wire.take()), "E[ERROR 57014] ZI");
    // One that comes too late is for no statement.
    let late = core.connect();
    core.ask(&late, &request(key));
    assert_eq!(core.ask(&wire, &query("wait")), "");
    let friend = core.connect();
    core.ask(&friend, &request(key));
    assert_eq!(summary(&wire.take()), "E[ERROR 57014] ZI");
    // A copy that waits for its client is cancelled as well.
    assert_eq!(core.ask(&wire, &query("copyin")), "G");
    let friend = core.connect();
    core.ask(&friend, &request(key));
    assert_eq!(summary(&wire.take()), "E[ERROR 57014] ZI");
    let stray = [frame(b'd', b"1\n"), frame(b'c', b""), query("echo a")].concat();
    assert_eq!(core.ask(&wire, &stray), "D[a] C[SELECT 1] ZI");
}

#[test]
fn copies_in_and_out() {
    let core = core();
    let wire = core.session();
    assert_eq!(core.ask(&wire, &query("copyout")), "H d[1] d[2] c C[COPY 2] ZI");
    assert_eq!(core.ask(&wire, &query("copyin; echo after")), "G");
    assert_eq!(core.ask(&wire, &frame(b'd', b"1\n")), "");
    let rest = [frame(b'd', b"2\n"), frame(b'c', b"")].concat();
    assert_eq!(core.ask(&wire, &rest), "C[COPY 4] D[after] C[SELECT 1] ZI");
    assert_eq!(*core.copied.borrow(), b"1\n2\n");
    // libpq sends Sync behind Execute; it is not the end of the copy.
    let begin = [parse("copyin"), bind(b""), execute(), sync()].concat();
    assert_eq!(core.ask(&wire, &begin), "1 2 G");
    let end = [frame(b'd', b"3\n"), frame(b'c', b""), sync()].concat();
    assert_eq!(core.ask(&wire, &end), "C[COPY 2] ZI");
    // The client gives up; the session gives up; the client leaves.
    assert_eq!(core.ask(&wire, &query("copyin")), "G");
    assert_eq!(core.ask(&wire, &frame(b'f', b"no\0")), "E[ERROR 57014] ZI");
    assert_eq!(core.ask(&wire, &query("copyin")), "G");
    let bad = [frame(b'd', b"bad\n"), frame(b'd', b"4\n"), frame(b'c', b"")].concat();
    assert_eq!(core.ask(&wire, &bad), "E[ERROR 22P04] ZI");
    assert_eq!(core.ask(&wire, &query("echo a")), "D[a] C[SELECT 1] ZI");
    let begin = [bind(b""), execute(), frame(b'H', b"")].concat();
    assert_eq!(core.ask(&wire, &begin), "2 G");
    let bad = [frame(b'd', b"bad\n"), frame(b'c', b""), query("echo skipped"), sync()].concat();
    assert_eq!(core.ask(&wire, &bad), "E[ERROR 22P04] ZI");
    assert_eq!(core.ask(&wire, &query("copyin")), "G");
    assert_eq!(core.ask(&wire, &query("echo a")), "E[FATAL 08P01]");
    assert_eq!(core.listener.counts().connections, 0);
    let wire = core.session();
    assert_eq!(core.ask(&wire, &query("copyin")), "G");
    core.ask(&wire, &frame(b'X', b""));
    assert_eq!(core.listener.counts().connections, 0);
}

#[test]
fn a_client_that_does_not_read_holds_its_statement_back() {
    let core = core();
    let wire = core.session();
    wire.set_window(0);
    assert_eq!(core.ask(&wire, &query("rows 10000")), "");
    // Ten megabytes of rows, one bound of memory.
    let mut received = Vec::new();
    for _ in 0..2_000 {
        wire.set_window(10_000);
        core.tasks.run();
        received.extend(wire.take());
    }
    let answers = summary(&received);
    assert!(answers.ends_with("C[SELECT 10000] ZI"));
    assert_eq!(answers.matches("D").count(), 10_000);
    assert!(wire.largest_batch.get() < RESPONSE_BYTES_BOUND + 2_000);
}

#[test]
fn the_stop_ends_idle_sessions_first() {
    let core = core();
    let idle = core.session();
    let busy = core.session();
    let entering = core.connect();
    core.ask(&busy, &query("copyin"));
    core.listener.stop();
    core.tasks.run();
    assert_eq!(summary(&idle.take()), "E[FATAL 57P01]");
    assert_eq!(core.ask(&entering, &startup("trusted")), "R0 E[FATAL 57P03]");
    assert_eq!(core.ask(&busy, &frame(b'c', b"")), "C[COPY 0] ZI E[FATAL 57P01]");
    let drained = Rc::new(Cell::new(false));
    let (listener, seen) = (core.listener.clone(), drained.clone());
    let waiting = async move {
        listener.drained().await;
        seen.set(true);
    };
    platform::spawn(&*core.tasks, platform::SchedulingClass::Foreground, "drain", waiting);
    core.tasks.run();
    assert!(drained.get());
    assert_eq!(core.tasks.now().0, 0);
}

#[test]
fn long_messages_share_a_bound() {
    use crate::limits::{LARGE_MESSAGE_BYTES_MAX, LARGE_MESSAGES_BYTES_MAX};
    let shared = Rc::default();
    let mut clients = Vec::new();
    let mut refused = 0;
    for _ in 0..=LARGE_MESSAGES_BYTES_MAX / LARGE_MESSAGE_BYTES_MAX {
        let mut client = Client::new(Wire::new(), &shared);
        client.connection.receive_buffer().reserve_exact(LARGE_MESSAGE_BYTES_MAX);
        refused += u32::from(client.account().is_err());
        clients.push(client);
    }
    assert_eq!(refused, 1);
    drop(clients);
    assert_eq!(shared.get(), 0);
}

#[test]
fn an_idle_client_holds_little_memory() {
    let wire = Wire::new();
    let mut client = Client::new(wire.clone(), &Rc::default());
    client.connection.receive_buffer().extend_from_slice(&startup("trusted"));
    client.connection.next_event().expect("a startup packet");
    client.connection.authenticated();
    let long = query(&"x".repeat(1_000_000));
    client.connection.receive_buffer().extend_from_slice(&long);
    client.connection.next_event().expect("a query");
    client.out.copy_data(|buffer| buffer.resize(1_000_000, 0)).expect("it fits");
    let sent = client.out.take();
    client.out.restore(sent);
    client.shrink();
    assert!(client.buffer_bytes() <= IDLE_CONNECTION_BYTES_MAX);
}

#[test]
fn noise_never_panics_and_never_hangs() {
    let mut prng = Prng::new(7);
    let words: Vec<Vec<u8>> = vec![
        query("echo a"),
        query("copyin"),
        query("fail; echo b"),
        query("begin"),
        parse("echo"),
        parse("copyin"),
        bind(b"v"),
        execute(),
        sync(),
        frame(b'H', b""),
        frame(b'd', b"row\n"),
        frame(b'd', b"bad\n"),
        frame(b'c', b""),
        frame(b'f', b"no\0"),
        frame(b'D', b"S\0"),
        frame(b'C', b"P\0"),
        frame(b'F', b"junk"),
    ];
    for _ in 0..3_000 {
        let core = core();
        let wire = core.session();
        for _ in 0..20 {
            let mut bytes = words[prng.index(words.len())].clone();
            if prng.below(12) == 0 {
                let at = prng.index(bytes.len());
                bytes[at] = prng.next_u64() as u8;
            }
            wire.write(&bytes);
            if prng.below(3) == 0 {
                core.tasks.run();
            }
        }
        core.tasks.run();
        wire.leave();
        core.tasks.run();
        assert_eq!(core.listener.counts().connections, 0);
        assert_eq!(core.terminated.get(), 1);
        summary(&wire.take());
    }
}
