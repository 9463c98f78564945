//! The pure connection at byte level: every message, every state, every lie about a length; pgwire's encoders are the second opinion.

use bytes::{Bytes, BytesMut};
use pgwire::messages::PgWireFrontendMessage as Theirs;
use pgwire::messages::copy::{CopyData, CopyDone, CopyFail};
use pgwire::messages::extendedquery::{Bind, Close, Describe, Execute, Flush, Parse, Sync};
use pgwire::messages::simplequery::Query;
use pgwire::messages::terminate::Terminate;
use types::prng::Prng;

use super::*;
use crate::limits::RECEIVE_BYTES_KEPT;

fn encode(messages: &[Theirs]) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    for message in messages {
        message.encode(&mut bytes).expect("pgwire encodes its own messages");
    }
    bytes.to_vec()
}

fn startup_packet(version: u32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend_from_slice(name.as_bytes());
        body.push(0);
        body.extend_from_slice(value.as_bytes());
        body.push(0);
    }
    body.push(0);
    let mut packet = ((body.len() + 4) as u32).to_be_bytes().to_vec();
    packet.extend(body);
    packet
}

/// A connection in one of its phases.
fn in_phase(phase: Phase) -> Connection {
    Connection { phase, input: InputBuffer::default() }
}

fn ready() -> Connection {
    in_phase(Phase::Ready)
}

fn receive(connection: &mut Connection, bytes: &[u8]) {
    connection.receive_buffer().extend_from_slice(bytes);
}

/// Everything that comes out, as text: events, and rejections after which it goes on.
fn drain(connection: &mut Connection) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        match connection.next_event() {
            Ok(Some(event)) => seen.push(format!("{event:?}")),
            Ok(None) => return seen,
            Err(rejected) => {
                let error = rejected.error.fields();
                seen.push(format!(
                    "{} {} {:?}: {}",
                    error.severity.as_str(),
                    error.sqlstate,
                    rejected.then,
                    error.message
                ));
            }
        }
    }
}

fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(((body.len() + 4) as u32).to_be_bytes());
    bytes.extend(body);
    bytes
}

fn one_of_each() -> Vec<u8> {
    let name = |name: &str| Some(name.to_owned());
    encode(&[
        Theirs::Query(Query::new("select 'ü'".to_owned())),
        Theirs::Parse(Parse::new(name("s1"), "select $1, $2".to_owned(), vec![23, 0])),
        Theirs::Bind(Bind::new(
            name("p1"),
            name("s1"),
            vec![1, 0],
            vec![Some(Bytes::from_static(&[0, 0, 0, 7])), None],
            vec![1],
        )),
        Theirs::Bind(Bind::new(None, None, vec![], vec![Some(Bytes::new())], vec![])),
        Theirs::Describe(Describe::new(b'S', name("s1"))),
        Theirs::Describe(Describe::new(b'P', None)),
        Theirs::Execute(Execute::new(name("p1"), 10)),
        Theirs::Execute(Execute::new(None, 0)),
        Theirs::Close(Close::new(b'P', name("p1"))),
        Theirs::Close(Close::new(b'S', name("s1"))),
        Theirs::Flush(Flush::new()),
        Theirs::Sync(Sync::new()),
        Theirs::Terminate(Terminate::new()),
    ])
}

const ONE_OF_EACH: &[&str] = &[
    r#"Message(Query("select 'ü'"))"#,
    r#"Message(Parse(Parse { statement: "s1", text: "select $1, $2", parameter_types: ParameterTypes([0, 0, 0, 23, 0, 0, 0, 0]) }))"#,
    r#"Message(Bind(Bind { portal: "p1", statement: "s1", parameter_formats: FormatCodes([0, 1, 0, 0]), parameters: Parameters { count: 2, bytes: [0, 0, 0, 4, 0, 0, 0, 7, 255, 255, 255, 255] }, result_formats: FormatCodes([0, 1]) }))"#,
    r#"Message(Bind(Bind { portal: "", statement: "", parameter_formats: FormatCodes([]), parameters: Parameters { count: 1, bytes: [0, 0, 0, 0] }, result_formats: FormatCodes([]) }))"#,
    r#"Message(Describe(Statement("s1")))"#,
    r#"Message(Describe(Portal("")))"#,
    r#"Message(Execute(Execute { portal: "p1", row_count_max: Some(10) }))"#,
    r#"Message(Execute(Execute { portal: "", row_count_max: None }))"#,
    r#"Message(Close(Portal("p1")))"#,
    r#"Message(Close(Statement("s1")))"#,
    "Message(Flush)",
    "Message(Sync)",
    "Message(Terminate)",
];

#[test]
fn decodes_what_pgwire_encodes() {
    let mut connection = ready();
    receive(&mut connection, &one_of_each());
    assert_eq!(drain(&mut connection), ONE_OF_EACH);
    assert!(connection.is_closed());
}

#[test]
fn segments_of_any_size_give_the_same_messages() {
    let bytes = one_of_each();
    for segment in [1, 2, 3, 5, 7, 11, 64] {
        let mut connection = ready();
        let mut seen = Vec::new();
        for piece in bytes.chunks(segment) {
            receive(&mut connection, piece);
            seen.extend(drain(&mut connection));
        }
        assert_eq!(seen, ONE_OF_EACH, "segments of {segment}");
    }
}

#[test]
fn truncation_at_every_offset_waits_and_goes_on() {
    let bytes = one_of_each();
    for cut in 0..bytes.len() {
        let mut connection = ready();
        receive(&mut connection, &bytes[..cut]);
        let mut seen = drain(&mut connection);
        assert!(!connection.is_closed(), "cut at {cut}");
        receive(&mut connection, &bytes[cut..]);
        seen.extend(drain(&mut connection));
        assert_eq!(seen, ONE_OF_EACH, "cut at {cut}");
    }
}

#[test]
fn parameters_and_formats_iterate_as_sent() {
    let body = encode(&[Theirs::Bind(Bind::new(
        None,
        None,
        vec![1],
        vec![Some(Bytes::from_static(b"ab")), None, Some(Bytes::new())],
        vec![0, 1],
    ))]);
    let mut connection = ready();
    receive(&mut connection, &body);
    let Ok(Some(Event::Message(FrontendMessage::Bind(bind)))) = connection.next_event() else {
        panic!("a Bind was sent");
    };
    let values: Vec<Option<&[u8]>> = bind.parameters.iter().collect();
    assert_eq!(values, [Some(&b"ab"[..]), None, Some(&b""[..])]);
    assert_eq!(bind.parameters.count(), 3);
    use crate::pg::response::Format;
    assert_eq!(bind.parameter_formats.get(2), Format::Binary);
    assert_eq!(bind.result_formats.get(0), Format::Text);
    assert_eq!(bind.result_formats.get(1), Format::Binary);
    assert!(bind.result_formats.check_results(2).is_ok());
    assert!(bind.result_formats.check_results(3).is_err());
}

/// (phase, bytes, what comes out)
#[test]
fn malformed_input_gets_its_answer() {
    let startup = Phase::Startup(Negotiated::default());
    let bad_length = "FATAL 08P01 Close: invalid message length";
    let bad_startup = "FATAL 08P01 Close: invalid length of startup packet";
    let layout =
        "FATAL 08P01 Close: invalid startup packet layout: expected terminator as last byte";
    let version = 196_608_u32;
    let cases: Vec<(Phase, Vec<u8>, &str)> = vec![
        // Length lies.
        (Phase::Ready, vec![b'Q', 0, 0, 0, 0], bad_length),
        (Phase::Ready, vec![b'Q', 0, 0, 0, 3], bad_length),
        (Phase::Ready, vec![b'Q', 255, 255, 255, 255], bad_length),
        (Phase::Ready, vec![b'Q', 127, 255, 255, 255], bad_length),
        (Phase::Ready, vec![b'S', 0, 0, 64, 0], bad_length),
        (Phase::SkippingToSync, vec![b'B', 127, 255, 255, 255], bad_length),
        (Phase::Authentication, vec![b'p', 0, 0, 32, 0], bad_length),
        (startup, vec![0, 0, 0, 0], bad_startup),
        (startup, vec![0, 0, 0, 7], bad_startup),
        (startup, vec![255, 255, 255, 255], bad_startup),
        (startup, vec![0, 0, 39, 17], bad_startup),
        (startup, vec![22, 3, 1, 2], bad_startup),
        (startup, b"GET / HTTP/1.1\r\n".to_vec(), bad_startup),
        // Types that do not exist.
        (Phase::Ready, vec![0], "FATAL 08P01 Close: invalid frontend message type 0"),
        (
            Phase::Ready,
            vec![b'p', 0, 0, 0, 4],
            "FATAL 08P01 Close: invalid frontend message type 112",
        ),
        (
            Phase::Authentication,
            vec![b'Q', 0, 0, 0, 5, 0],
            "FATAL 08P01 Close: expected SASL response, got message type 81",
        ),
        // Startup packets.
        (
            startup,
            startup_packet(131_072, &[("user", "u")]),
            "FATAL 0A000 Close: unsupported frontend protocol 2.0: server supports 3.0 to 3.2",
        ),
        (
            startup,
            startup_packet(version, &[]),
            "FATAL 28000 Close: no PostgreSQL user name specified in startup packet",
        ),
        (
            startup,
            startup_packet(version, &[("user", "")]),
            "FATAL 28000 Close: no PostgreSQL user name specified in startup packet",
        ),
        (
            startup,
            startup_packet(version, &[("user", "u"), ("replication", "true")]),
            "FATAL 0A000 Close: the replication protocol is not supported",
        ),
        (
            startup,
            startup_packet(version, &[("user", "u"), ("options", "-x")]),
            "FATAL 42601 Close: invalid command-line argument for server process: -x",
        ),
        (startup, vec![0, 0, 0, 13, 0, 3, 0, 0, b'u', b's', b'e', b'r', 0], layout),
        (startup, vec![0, 0, 0, 8, 0, 3, 0, 0], layout),
        (startup, vec![0, 0, 0, 12, 0, 3, 0, 0, 0, 0, 0, 0], layout),
        (
            startup,
            vec![0, 0, 0, 13, 0, 3, 0, 0, b'u', 255, 0, b'x', 0],
            "FATAL 22021 Close: invalid byte sequence for encoding \"UTF8\": 0xff",
        ),
        (
            startup,
            vec![0, 0, 0, 12, 4, 210, 22, 46, 0, 0, 0, 1],
            "FATAL 08P01 Close: invalid length of cancel request packet",
        ),
        // Sound frames with broken bodies.
        (
            Phase::Ready,
            frame(b'Q', b"select 1"),
            "ERROR 08P01 ReadyForQuery: invalid string in message",
        ),
        (
            Phase::Ready,
            frame(b'Q', b"select 1\0x"),
            "ERROR 08P01 ReadyForQuery: invalid message format",
        ),
        (
            Phase::Ready,
            frame(b'Q', b"sel\xc3(\0"),
            "ERROR 22021 ReadyForQuery: invalid byte sequence for encoding \"UTF8\": 0xc3",
        ),
        (
            Phase::Ready,
            frame(b'P', b"\0select 1\0\0\x01"),
            "ERROR 08P01 SkipToSync: insufficient data left in message",
        ),
        (
            Phase::Ready,
            frame(b'P', b"\0select 1\0\xff\xff"),
            "ERROR 08P01 SkipToSync: insufficient data left in message",
        ),
        (
            Phase::Ready,
            frame(b'B', b"\0\0\0\0\0\x01\0\0\0\x05ab\0\0"),
            "ERROR 08P01 SkipToSync: insufficient data left in message",
        ),
        (
            Phase::Ready,
            frame(b'B', b"\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0"),
            "ERROR 08P01 SkipToSync: insufficient data left in message",
        ),
        (
            Phase::Ready,
            frame(b'B', b"\0\0\0\x02\0\0\0\0\0\x01\xff\xff\xff\xff\0\0"),
            "ERROR 08P01 SkipToSync: bind message has 2 parameter formats but 1 parameters",
        ),
        (
            Phase::Ready,
            frame(b'B', b"\0\0\0\x01\0\x02\0\0\0\0"),
            "ERROR 22023 SkipToSync: unsupported format code: 2",
        ),
        (
            Phase::Ready,
            frame(b'D', b"Xs\0"),
            "ERROR 08P01 SkipToSync: invalid DESCRIBE message subtype 88",
        ),
        (
            Phase::Ready,
            frame(b'C', b""),
            "ERROR 08P01 SkipToSync: insufficient data left in message",
        ),
        (
            Phase::Ready,
            frame(b'E', b"\0\0\0\0"),
            "ERROR 08P01 SkipToSync: insufficient data left in message",
        ),
        (Phase::Ready, frame(b'S', b"x"), "ERROR 08P01 ReadyForQuery: invalid message format"),
    ];
    for (phase, bytes, expected) in cases {
        let mut connection = in_phase(phase);
        receive(&mut connection, &bytes);
        let seen = drain(&mut connection);
        assert_eq!(seen, [expected], "{phase:?} {bytes:?}");
        assert_eq!(connection.is_closed(), expected.starts_with("FATAL"), "{bytes:?}");
    }
}

#[test]
fn every_type_byte_in_every_phase() {
    for byte in 0..=255_u8 {
        let body = frame(byte, b"");
        // Before authentication nothing but its own messages gets through.
        let mut connection = in_phase(Phase::Authentication);
        receive(&mut connection, &body);
        let seen = drain(&mut connection);
        match byte {
            b'p' => assert_eq!(seen, ["Authentication([])"]),
            _ => assert!(seen[0].starts_with("FATAL 08P01"), "{byte}: {seen:?}"),
        }
        // As a first packet every one of them is a lie about the length.
        let mut connection = Connection::new();
        receive(&mut connection, &frame(byte, b"xxxx"));
        let seen = drain(&mut connection);
        assert!(connection.is_closed() || seen.is_empty(), "{byte}: {seen:?}");
        for phase in [Phase::Ready, Phase::SkippingToSync] {
            let mut connection = in_phase(phase);
            receive(&mut connection, &body);
            let seen = drain(&mut connection);
            match (Kind::of(byte), phase) {
                (None, _) => assert!(seen[0].starts_with("FATAL 08P01"), "{byte}: {seen:?}"),
                (Some(Kind::Terminate), _) => assert_eq!(seen, ["Message(Terminate)"]),
                (Some(Kind::Sync), _) => assert_eq!(seen, ["Message(Sync)"]),
                (Some(_), Phase::SkippingToSync) => assert!(seen.is_empty(), "{byte}: {seen:?}"),
                (Some(Kind::CopyData | Kind::CopyDone | Kind::CopyFail), _) => {
                    assert!(seen.is_empty(), "{byte}: {seen:?}");
                }
                (Some(Kind::Flush), _) => assert_eq!(seen, ["Message(Flush)"]),
                (Some(Kind::FunctionCall), _) => assert_eq!(seen, ["Message(FunctionCall)"]),
                (Some(_), _) => assert!(seen[0].starts_with("ERROR 08P01"), "{byte}: {seen:?}"),
            }
        }
        let mut connection = in_phase(Phase::CopyIn);
        receive(&mut connection, &body);
        let step = connection.next_copy_step();
        match Kind::of(byte) {
            Some(Kind::CopyData) => assert!(matches!(step, Ok(Some(CopyStep::Chunk(_))))),
            Some(Kind::CopyDone) => assert_eq!(step, Ok(Some(CopyStep::Done))),
            Some(Kind::Flush | Kind::Sync) => assert_eq!(step, Ok(None)),
            Some(Kind::Terminate) => assert_eq!(step, Ok(Some(CopyStep::Terminated))),
            _ => {
                let rejected = step.expect_err("nothing else is allowed inside a copy");
                assert_eq!(rejected.then, AfterError::Close);
                assert!(rejected.error.is_fatal());
            }
        }
    }
}

#[test]
fn an_extended_error_skips_to_sync() {
    let mut connection = ready();
    connection.skip_to_sync();
    receive(&mut connection, &frame(b'Q', b"skipped too\0"));
    receive(&mut connection, &frame(b'B', b"not even decoded"));
    receive(&mut connection, &frame(b'S', b""));
    receive(&mut connection, &frame(b'Q', b"select 1\0"));
    assert_eq!(drain(&mut connection), ["Message(Sync)", r#"Message(Query("select 1"))"#]);
}

#[test]
fn a_copy_hands_out_its_bytes_in_place() {
    let mut connection = ready();
    connection.begin_copy_in();
    receive(
        &mut connection,
        &encode(&[
            Theirs::CopyData(CopyData::new(Bytes::from_static(b"1\t2\n"))),
            Theirs::Sync(Sync::new()),
            Theirs::CopyData(CopyData::new(Bytes::new())),
            Theirs::CopyDone(CopyDone::new()),
            Theirs::CopyFail(CopyFail::new("late".to_owned())),
            Theirs::Sync(Sync::new()),
        ]),
    );
    let Ok(Some(CopyStep::Chunk(chunk))) = connection.next_copy_step() else {
        panic!("copied bytes were sent");
    };
    assert_eq!(connection.chunk(chunk), b"1\t2\n");
    let empty = connection.next_copy_step();
    assert!(matches!(empty, Ok(Some(CopyStep::Chunk(chunk))) if chunk.is_empty()));
    assert_eq!(connection.next_copy_step(), Ok(Some(CopyStep::Done)));
    assert_eq!(drain(&mut connection), ["Message(Sync)"]);

    connection.begin_copy_in();
    receive(&mut connection, &encode(&[Theirs::CopyFail(CopyFail::new("no".to_owned()))]));
    assert_eq!(connection.next_copy_step(), Ok(Some(CopyStep::Failed("no".to_owned()))));
}

#[test]
fn encryption_is_asked_once_of_each_kind_and_alone() {
    let tls = [0, 0, 0, 8, 4, 210, 22, 47];
    let gss = [0, 0, 0, 8, 4, 210, 22, 48];
    let mut connection = Connection::new();
    receive(&mut connection, &gss);
    assert_eq!(drain(&mut connection), ["EncryptionRequested"]);
    receive(&mut connection, &tls);
    assert_eq!(drain(&mut connection), ["EncryptionRequested"]);
    receive(&mut connection, &tls);
    let twice =
        "FATAL 0A000 Close: unsupported frontend protocol 1234.5679: server supports 3.0 to 3.2";
    assert_eq!(drain(&mut connection), [twice]);

    // Bytes behind the request were sent before the answer could be known.
    let mut connection = Connection::new();
    let mut injected = tls.to_vec();
    injected.extend(startup_packet(196_608, &[("user", "mallory")]));
    receive(&mut connection, &injected);
    let stuffed = "FATAL 08P01 Close: received unencrypted data after SSL request";
    assert_eq!(drain(&mut connection), [stuffed]);
    assert_eq!(connection.pending_bytes(), 0);
}

#[test]
fn a_cancel_request_ends_the_conversation() {
    let mut connection = Connection::new();
    receive(&mut connection, &[0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 9, 1, 2, 3, 4, b'Q']);
    assert_eq!(drain(&mut connection), ["Cancel { process_id: 9, secret: [1, 2, 3, 4] }"]);
    assert!(connection.is_closed());
}

#[test]
fn memory_follows_what_arrives_not_what_is_announced() {
    let mut connection = ready();
    let announced = (LARGE_MESSAGE_BYTES_MAX as u32).to_be_bytes();
    receive(&mut connection, &[&b"Q"[..], &announced, &[b'x'; 100]].concat());
    assert_eq!(drain(&mut connection), [""; 0]);
    for _ in 0..20 {
        receive(&mut connection, &[b'x'; 4_096]);
        drain(&mut connection);
        let most = 2 * connection.pending_bytes().max(RECEIVE_BYTES_KEPT) + 4_096;
        assert!(connection.capacity_bytes() <= most, "{}", connection.capacity_bytes());
    }
    // A long message's memory is given back once it has been worked off.
    let mut connection = ready();
    receive(&mut connection, &frame(b'Q', &[vec![b'x'; 100_000], vec![0]].concat()));
    assert_eq!(drain(&mut connection).len(), 1);
    connection.shrink(RECEIVE_BYTES_KEPT);
    assert!(connection.capacity_bytes() <= RECEIVE_BYTES_KEPT);
}

#[test]
fn random_bytes_never_panic_and_hold_bounded_memory() {
    let mut prng = Prng::new(0x5eed);
    let template = one_of_each();
    for round in 0..20_000_u32 {
        let mut connection = match round % 4 {
            0 => Connection::new(),
            1 => in_phase(Phase::Authentication),
            2 => in_phase(Phase::CopyIn),
            _ => ready(),
        };
        // Half the rounds mutate sound messages, half are noise.
        let mut bytes = if round % 2 == 0 { vec![0; 64] } else { template.clone() };
        let changes = if round % 2 == 0 { bytes.len() } else { 4 };
        for _ in 0..changes {
            let at = prng.next_u64() as usize % bytes.len();
            bytes[at] = prng.next_u64() as u8;
        }
        for piece in bytes.chunks(1 + prng.next_u64() as usize % 40) {
            receive(&mut connection, piece);
            if connection.phase == Phase::CopyIn {
                while let Ok(Some(CopyStep::Chunk(_))) = connection.next_copy_step() {}
            } else {
                drain(&mut connection);
            }
            assert!(connection.capacity_bytes() <= 2 * RECEIVE_BYTES_KEPT + 1_024);
        }
    }
}
