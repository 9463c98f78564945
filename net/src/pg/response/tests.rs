//! What is written here is read back by pgwire.

use bytes::BytesMut;
use pgwire::messages::{DecodeContext, PgWireBackendMessage as Theirs, ProtocolVersion};

use super::*;

fn decode(out: &ResponseWriter) -> Vec<Theirs> {
    let mut bytes = BytesMut::from(out.as_bytes());
    let decoding = DecodeContext::new(ProtocolVersion::PROTOCOL3_0);
    let mut messages = Vec::new();
    while let Some(message) = Theirs::decode(&mut bytes, &decoding).expect("sound messages") {
        messages.push(message);
    }
    assert!(bytes.is_empty(), "everything is a whole message");
    messages
}

fn writer() -> ResponseWriter {
    ResponseWriter::new(1_000)
}

#[test]
fn rows_are_read_back() {
    let mut out = writer();
    let field = Field {
        name: "id",
        table_oid: 16_384,
        column_attr: 1,
        type_oid: 23,
        typlen: 4,
        typmod: -1,
        format: Format::Binary,
    };
    out.row_description([field, Field { name: "t", format: Format::Text, ..field }]);
    let mut row = out.data_row(2);
    row.bytes(&[0, 0, 0, 9]);
    row.null();
    row.finish().expect("a short row");
    let mut row = out.data_row(2);
    row.value(|buffer| buffer.extend_from_slice(b"nine"));
    let mark = row.begin_value();
    row.buffer().extend_from_slice(b"");
    row.end_value(mark);
    row.finish().expect("a short row");
    out.command_complete_rows("SELECT", 2);
    out.command_complete_rows("INSERT 0", u64::MAX);
    assert!(!out.send_wanted());
    out.ready_for_query(TransactionStatus::InBlock);
    assert!(out.send_wanted());
    let messages = decode(&out);
    let Theirs::RowDescription(description) = &messages[0] else { panic!("{messages:?}") };
    assert_eq!(description.fields.len(), 2);
    assert_eq!(description.fields[0].name, "id");
    assert_eq!(description.fields[0].table_id, 16_384);
    assert_eq!(description.fields[0].type_id, 23);
    assert_eq!(description.fields[0].format_code, 1);
    assert_eq!(description.fields[1].format_code, 0);
    let Theirs::DataRow(row) = &messages[1] else { panic!("{messages:?}") };
    assert_eq!(row.field_count, 2);
    assert_eq!(&row.data[..], [0, 0, 0, 4, 0, 0, 0, 9, 255, 255, 255, 255]);
    let Theirs::DataRow(row) = &messages[2] else { panic!("{messages:?}") };
    assert_eq!(&row.data[..], b"\0\0\0\x04nine\0\0\0\0");
    let Theirs::CommandComplete(complete) = &messages[3] else { panic!("{messages:?}") };
    assert_eq!(complete.tag, "SELECT 2");
    let Theirs::CommandComplete(complete) = &messages[4] else { panic!("{messages:?}") };
    assert_eq!(complete.tag, "INSERT 0 18446744073709551615");
    assert!(matches!(messages[5], Theirs::ReadyForQuery(_)));
}

#[test]
fn an_unfinished_row_was_never_there() {
    let mut out = writer();
    out.no_data();
    let before = out.as_bytes().to_vec();
    let mut row = out.data_row(3);
    row.bytes(b"half");
    drop(row);
    assert_eq!(out.as_bytes(), before);
}

#[test]
#[should_panic(expected = "a row holds the values it announced")]
fn a_row_of_another_width_is_our_mistake() {
    let mut out = writer();
    let row = out.data_row(1);
    let _never = row.finish();
}

#[test]
fn errors_carry_all_their_fields() {
    let mut out = writer();
    let error = PgError::new(SqlState::UNIQUE_VIOLATION, "duplicate\0 key")
        .detail("Key (id)=(1) already exists.")
        .hint("h")
        .position(12)
        .in_context("COPY t, line 3");
    let subject = super::super::error_response::ErrorSubject {
        schema: Some("public".to_owned()),
        table: Some("t".to_owned()),
        column: Some("id".to_owned()),
        data_type: Some("int4".to_owned()),
        constraint: Some("t_pkey".to_owned()),
    };
    let error = error.about(subject);
    out.error(&error);
    assert!(!out.send_wanted());
    out.notice(&PgError::with_severity(Severity::Notice, SqlState::WARNING, "n"));
    let messages = decode(&out);
    let Theirs::ErrorResponse(response) = &messages[0] else { panic!("{messages:?}") };
    let fields: String =
        response.fields.iter().map(|(code, text)| format!("{}={text};", *code as char)).collect();
    let expected = "S=ERROR;V=ERROR;C=23505;M=duplicate;D=Key (id)=(1) already exists.;H=h;P=12;\
                    W=COPY t, line 3;s=public;t=t;c=id;d=int4;n=t_pkey;";
    assert_eq!(fields, expected);
    assert!(matches!(&messages[1], Theirs::NoticeResponse(_)));
    out.error(&error.into_fatal());
    assert!(out.send_wanted(), "the last word must leave");
}

#[test]
fn the_small_messages_are_read_back() {
    let mut out = writer();
    out.parse_complete();
    out.bind_complete();
    out.close_complete();
    out.parameter_description(&[23, 25]);
    out.no_data();
    out.empty_query();
    out.portal_suspended();
    out.parameter_status("TimeZone", "UTC");
    out.notification(7, "channel", "payload");
    out.copy_in_response(Format::Text, 2);
    out.copy_out_response(Format::Binary, 1);
    out.copy_data(|buffer| buffer.extend_from_slice(b"1\n")).expect("short");
    out.copy_done();
    let names: Vec<String> = decode(&out)
        .iter()
        .map(|message| format!("{message:?}").split('(').next().expect("a name").to_owned())
        .collect();
    let expected = "ParseComplete BindComplete CloseComplete ParameterDescription NoData \
                    EmptyQueryResponse PortalSuspended ParameterStatus NotificationResponse \
                    CopyInResponse CopyOutResponse CopyData CopyDone";
    assert_eq!(names.join(" "), expected);
}

#[test]
fn the_buffer_is_lent_and_kept() {
    let mut out = ResponseWriter::new(10);
    assert!(!out.over_bound());
    out.command_complete("SELECT 1");
    assert!(out.over_bound());
    let taken = out.take();
    let capacity = taken.capacity();
    out.restore(taken);
    assert!(out.as_bytes().is_empty());
    assert_eq!(out.capacity(), capacity);
    out.shrink(capacity);
    assert_eq!(out.capacity(), capacity);
    out.shrink(capacity - 1);
    assert_eq!(out.capacity(), 0);
}
