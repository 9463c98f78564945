//! Where `net` meets `sql`: the wire protocol's idea of a session, implemented by ours. Nothing is decided here, only translated.

use std::net::SocketAddr;
use std::rc::Rc;
use std::str::FromStr;
use std::time::Duration;

use net::pg::auth::Verifier;
use net::pg::backend::{Authentication, PgBackend, PgSession, SessionStart};
use net::pg::cancel::CancelRequest;
use net::pg::client::Client;
use net::pg::error_response::{ErrorSubject, PgError, Severity as WireSeverity};
use net::pg::frontend::{Bind, Execute, Parse, Target};
use net::pg::response::{
    Field, Format as WireFormat, ResponseWriter, RowWriter, TransactionStatus,
};
use net::pg::startup::StartupRequest;
use plan::query::OutputColumn;
use platform::ChannelSender;
use session::node::Node;
use session::output::{Format, Formats, Output, RowSink, Severity};
use session::session::{RawParameter, Status};
use session::{Identity, Session, SqlError};
use types::binary_format::{append_binary, append_binary_ref};
use types::text_format::{append_text, append_text_ref};
use types::{SqlState, SqlType, TextSettings, Value, ValueRef};

use crate::node::offline::Piece;

/// The database of one core, as its listener sees it.
pub struct Backend<N: Node> {
    node: Rc<N>,
    /// Routes a cancel request to the core that runs the session.
    route_cancel: Box<dyn Fn(CancelRequest)>,
}

impl<N: Node> Backend<N> {
    /// A backend on one core's part of the node.
    pub fn new(node: Rc<N>, route_cancel: Box<dyn Fn(CancelRequest)>) -> Backend<N> {
        Backend { node, route_cancel }
    }
}

impl<N: Node + 'static> PgBackend for Backend<N> {
    type Session = WireSession<N>;

    async fn authentication(&self, request: &StartupRequest, _: SocketAddr) -> Authentication {
        let catalog = self.node.catalog();
        let any_password = catalog.roles().any(|role| role.verifier.is_some());
        let known = catalog.role(&request.user);
        match known.and_then(|role| role.verifier.as_deref()) {
            Some(verifier) => match Verifier::from_str(verifier) {
                Ok(verifier) => Authentication::Password(verifier),
                Err(_) => Authentication::Refused(PgError::new(
                    SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
                    format!("the password verifier of role \"{}\" is damaged", request.user),
                )),
            },
            None if known.is_some() && !any_password => Authentication::Trust,
            None if any_password => Authentication::Nobody,
            None => Authentication::Refused(PgError::new(
                SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
                format!("role \"{}\" does not exist", request.user),
            )),
        }
    }

    async fn open_session(&self, start: SessionStart) -> Result<WireSession<N>, PgError> {
        let catalog = self.node.catalog();
        if !catalog.role(&start.request.user).is_some_and(|role| role.login) {
            return Err(PgError::fatal(
                SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
                format!("role \"{}\" is not permitted to log in", start.request.user),
            ));
        }
        let identity = Identity {
            user: start.request.user,
            database: start.request.database,
            process_id: start.cancel_key.process_id,
            settings: start.request.settings,
        };
        let session = Session::new(self.node.clone(), identity)
            .map_err(|error| wire_error(&error).into_fatal())?;
        Ok(WireSession { session })
    }

    fn cancel(&self, request: CancelRequest) {
        (self.route_cancel)(request);
    }
}

/// One session on the wire.
pub struct WireSession<N: Node> {
    session: Session<N>,
}

impl<N: Node> PgSession for WireSession<N> {
    fn report_settings(&self, out: &mut ResponseWriter) {
        for (setting, value) in self.session.settings().reported_values() {
            out.parameter_status(setting.name, &value);
        }
    }

    async fn simple_query(&mut self, text: &str, client: &mut Client) -> Result<(), PgError> {
        let outcome = self.session.simple_query(text, &mut WireOutput { client }).await;
        outcome.map_err(|error| wire_error(&error))
    }

    async fn parse(&mut self, message: Parse<'_>, _: &mut ResponseWriter) -> Result<(), PgError> {
        let mut declared = Vec::new();
        for oid in message.parameter_types.iter() {
            declared.push(declared_type(oid)?);
        }
        let outcome = self.session.parse(message.statement, message.text, &declared);
        self.settle(outcome).await
    }

    async fn bind(&mut self, message: Bind<'_>, _: &mut ResponseWriter) -> Result<(), PgError> {
        let formats = (0..message.result_formats.count())
            .map(|index| format_of(message.result_formats.get(index)))
            .collect();
        let count = message.parameters.count();
        let codes = message.parameter_formats.count();
        if codes > 1 && codes != count {
            let text = format!("bind message has {codes} parameter formats but {count} parameters");
            return Err(PgError::protocol(text));
        }
        let parameters = message.parameters.iter().enumerate().map(|(index, bytes)| RawParameter {
            bytes,
            format: format_of(message.parameter_formats.get(index)),
        });
        let outcome =
            self.session.bind(message.portal, message.statement, parameters, Formats(formats));
        self.settle(outcome).await
    }

    async fn describe(
        &mut self,
        target: Target<'_>,
        out: &mut ResponseWriter,
    ) -> Result<(), PgError> {
        match target {
            Target::Statement(name) => {
                let described = self.session.describe_statement(name);
                let (parameters, columns) = self.settle(described).await?;
                let oids: Vec<u32> = parameters.iter().map(|sql_type| sql_type.oid()).collect();
                out.parameter_description(&oids);
                describe_columns(columns.as_deref(), &Formats::default(), out);
            }
            Target::Portal(name) => {
                let described = self.session.describe_portal(name);
                match self.settle(described).await? {
                    Some((columns, formats)) => describe_columns(Some(&columns), &formats, out),
                    None => describe_columns(None, &Formats::default(), out),
                }
            }
        }
        Ok(())
    }

    async fn execute(&mut self, message: Execute<'_>, client: &mut Client) -> Result<(), PgError> {
        let alone = client.sync_follows();
        let mut out = WireOutput { client };
        let outcome =
            self.session.execute(message.portal, message.row_count_max, alone, &mut out).await;
        outcome.map_err(|error| wire_error(&error))
    }

    async fn close(&mut self, target: Target<'_>, _: &mut ResponseWriter) -> Result<(), PgError> {
        match target {
            Target::Statement(name) => self.session.close_statement(name),
            Target::Portal(name) => self.session.close_portal(name),
        }
        Ok(())
    }

    async fn sync(&mut self, out: &mut ResponseWriter) -> Result<(), PgError> {
        let outcome = self.session.sync(&mut BufferOutput { writer: out }).await;
        outcome.map_err(|error| wire_error(&error))
    }

    fn message_refused(&mut self, _: &PgError) {
        self.session.refuse();
    }

    fn transaction_status(&self) -> TransactionStatus {
        match self.session.status() {
            Status::Idle => TransactionStatus::Idle,
            Status::InBlock => TransactionStatus::InBlock,
            Status::Failed => TransactionStatus::Failed,
        }
    }

    fn idle_in_transaction_max(&self) -> Option<Duration> {
        let setting = "idle_in_transaction_session_timeout";
        self.session.settings().milliseconds(setting).map(Duration::from_millis)
    }

    async fn terminate(&mut self) {
        self.session.terminate().await;
    }
}

impl<N: Node> WireSession<N> {
    /// An error of a message that runs nothing fails the block all the same.
    async fn settle<T>(&mut self, outcome: Result<T, SqlError>) -> Result<T, PgError> {
        if outcome.is_err() {
            self.session.fail().await;
        }
        outcome.map_err(|error| wire_error(&error))
    }
}

fn declared_type(oid: u32) -> Result<SqlType, PgError> {
    if oid == 0 {
        return Ok(SqlType::Unknown);
    }
    SqlType::from_oid(oid).ok_or_else(|| {
        PgError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("type with OID {oid} is not supported"),
        )
    })
}

fn format_of(format: WireFormat) -> Format {
    match format {
        WireFormat::Text => Format::Text,
        WireFormat::Binary => Format::Binary,
    }
}

fn wire_format(format: Format) -> WireFormat {
    match format {
        Format::Text => WireFormat::Text,
        Format::Binary => WireFormat::Binary,
    }
}

/// An error as the wire carries it.
pub fn wire_error(error: &SqlError) -> PgError {
    let mut wire = if error.fatal {
        PgError::fatal(error.sqlstate, error.message.clone())
    } else {
        PgError::new(error.sqlstate, error.message.clone())
    };
    if let Some(detail) = &error.detail {
        wire = wire.detail(detail.clone());
    }
    if let Some(hint) = &error.hint {
        wire = wire.hint(hint.clone());
    }
    if let Some(position) = error.position {
        wire = wire.position(position);
    }
    if let Some(context) = &error.context {
        wire = wire.in_context(context.clone());
    }
    if let Some(constraint) = &error.constraint {
        let subject =
            ErrorSubject { constraint: Some(constraint.clone()), ..ErrorSubject::default() };
        wire = wire.about(subject);
    }
    wire
}

/// An error of the wire as a session knows it.
fn session_error(error: &PgError) -> SqlError {
    let fields = error.fields();
    let mut sql = SqlError::new(fields.sqlstate, fields.message.clone());
    sql.detail = fields.detail.clone();
    sql.hint = fields.hint.clone();
    sql.fatal = error.is_fatal();
    sql
}

fn describe_columns(columns: Option<&[OutputColumn]>, formats: &Formats, out: &mut ResponseWriter) {
    let Some(columns) = columns else { return out.no_data() };
    out.row_description(columns.iter().enumerate().map(|(index, column)| Field {
        name: &column.name,
        table_oid: column.origin.map_or(0, |(table, _)| table.0),
        column_attr: column.origin.map_or(0, |(_, number)| number),
        type_oid: column.column_type.sql_type.oid(),
        typlen: column.column_type.sql_type.typlen(),
        typmod: column.column_type.modifier,
        format: wire_format(formats.of(index)),
    }));
}

/// Writes the values of one row.
struct WireRow<'w>(RowWriter<'w>);

impl RowSink for WireRow<'_> {
    fn value(
        &mut self,
        value: ValueRef<'_>,
        sql_type: SqlType,
        format: Format,
        settings: &TextSettings,
    ) {
        if value.is_null() {
            return self.0.null();
        }
        self.0.value(|buffer| match format {
            Format::Text => append_text_ref(&value, sql_type, settings, buffer),
            Format::Binary => append_binary_ref(value, sql_type, buffer),
        });
    }

    fn owned_value(
        &mut self,
        value: &Value,
        sql_type: SqlType,
        format: Format,
        settings: &TextSettings,
    ) {
        if value.is_null() {
            return self.0.null();
        }
        self.0.value(|buffer| match format {
            Format::Text => append_text(value, sql_type, settings, buffer),
            Format::Binary => append_binary(value, sql_type, buffer),
        });
    }
}

fn write_row(
    writer: &mut ResponseWriter,
    columns: u16,
    fill: impl FnOnce(&mut dyn RowSink) -> Result<(), SqlError>,
) -> Result<(), SqlError> {
    let mut row = WireRow(writer.data_row(columns));
    fill(&mut row)?;
    row.0.finish().map_err(|error| session_error(&error))
}

fn write_notice(writer: &mut ResponseWriter, severity: Severity, notice: &SqlError) {
    let severity = match severity {
        Severity::Notice => WireSeverity::Notice,
        Severity::Warning => WireSeverity::Warning,
    };
    let mut wire = PgError::with_severity(severity, notice.sqlstate, notice.message.clone());
    if let Some(detail) = &notice.detail {
        wire = wire.detail(detail.clone());
    }
    if let Some(hint) = &notice.hint {
        wire = wire.hint(hint.clone());
    }
    writer.notice(&wire);
}

/// A client that can be waited for.
struct WireOutput<'c> {
    client: &'c mut Client,
}

/// Only a buffer: nothing that waits for the client happens here.
struct BufferOutput<'w> {
    writer: &'w mut ResponseWriter,
}

fn unreachable_rows() -> SqlError {
    SqlError::new(SqlState::INTERNAL_ERROR, "the end of an exchange has no rows")
}

macro_rules! writes {
    ($self:ident => $writer:expr) => {
        fn describe_rows(&mut $self, columns: &[OutputColumn], formats: &Formats) {
            describe_columns(Some(columns), formats, $writer);
        }

        fn row(
            &mut $self,
            columns: u16,
            fill: impl FnOnce(&mut dyn RowSink) -> Result<(), SqlError>,
        ) -> Result<(), SqlError> {
            write_row($writer, columns, fill)
        }

        fn complete(&mut $self, tag: &str) {
            $writer.command_complete(tag);
        }

        fn complete_rows(&mut $self, verb: &str, row_count: u64) {
            $writer.command_complete_rows(verb, row_count);
        }

        fn empty(&mut $self) {
            $writer.empty_query();
        }

        fn suspended(&mut $self) {
            $writer.portal_suspended();
        }

        fn notice(&mut $self, severity: Severity, notice: &SqlError) {
            write_notice($writer, severity, notice);
        }

        fn setting(&mut $self, name: &str, value: &str) {
            $writer.parameter_status(name, value);
        }

        fn begin_copy_out(&mut $self, format: Format, columns: u16) {
            $writer.copy_out_response(wire_format(format), columns);
        }

        fn copy_out(&mut $self, bytes: &[u8]) -> Result<(), SqlError> {
            $writer
                .copy_data(|buffer| buffer.extend_from_slice(bytes))
                .map_err(|error| session_error(&error))
        }

        fn end_copy_out(&mut $self) {
            $writer.copy_done();
        }
    };
}

/// Nobody is on the other side of a wire: pieces are queued for another thread.
pub struct QueueOutput {
    writer: ResponseWriter,
    pieces: ChannelSender<Piece>,
}

/// Bytes of messages that are queued as one piece.
const QUEUED_BYTES: usize = 64 << 10;

impl QueueOutput {
    /// Into a queue.
    pub fn new(pieces: ChannelSender<Piece>) -> QueueOutput {
        QueueOutput { writer: ResponseWriter::new(QUEUED_BYTES), pieces }
    }

    /// Describes the rows that follow.
    pub fn describe(&mut self, columns: &[OutputColumn], formats: &Formats) {
        describe_columns(Some(columns), formats, &mut self.writer);
    }

    /// Queues what was written, and how it ended.
    pub async fn end(mut self, outcome: Result<(), SqlError>) {
        let flushed = self.flush().await;
        if let Err(error) = outcome.and(flushed) {
            // Whoever reads no more needs no reason.
            let _gone = self.pieces.send(Piece::Failed(error)).await;
        }
    }

    async fn send(&self, messages: Vec<u8>) -> Result<(), SqlError> {
        let gone =
            |_| SqlError::new(SqlState::CONNECTION_FAILURE, "nobody reads the answer any more");
        self.pieces.send(Piece::Messages(messages)).await.map_err(gone)
    }

    async fn flush(&mut self) -> Result<(), SqlError> {
        let written = std::mem::replace(&mut self.writer, ResponseWriter::new(QUEUED_BYTES));
        match written.into_bytes() {
            messages if messages.is_empty() => Ok(()),
            messages => self.send(messages).await,
        }
    }
}

impl Output for QueueOutput {
    writes!(self => &mut self.writer);

    async fn drain(&mut self) -> Result<(), SqlError> {
        if self.writer.over_bound() { self.flush().await } else { Ok(()) }
    }

    async fn encoded(&mut self, rows: Vec<u8>) -> Result<(), SqlError> {
        self.flush().await?;
        self.send(rows).await
    }

    async fn begin_copy_in(&mut self, _: Format, _: u16) -> Result<(), SqlError> {
        Err(SqlError::not_supported("COPY … FROM STDIN without a client"))
    }

    async fn next_copy_bytes(&mut self, _: &mut Vec<u8>) -> Result<bool, SqlError> {
        Err(SqlError::not_supported("COPY … FROM STDIN without a client"))
    }

    async fn cancelled(&self) {
        std::future::pending().await
    }
}

impl Output for WireOutput<'_> {
    writes!(self => self.client.out());

    async fn drain(&mut self) -> Result<(), SqlError> {
        self.client.drain().await.map_err(|error| session_error(&error))
    }

    async fn encoded(&mut self, rows: Vec<u8>) -> Result<(), SqlError> {
        self.client.forward(rows).await.map_err(|error| session_error(&error))
    }

    async fn begin_copy_in(&mut self, format: Format, columns: u16) -> Result<(), SqlError> {
        let begun = self.client.begin_copy_in(wire_format(format), columns).await;
        begun.map_err(|error| session_error(&error))
    }

    async fn next_copy_bytes(&mut self, bytes: &mut Vec<u8>) -> Result<bool, SqlError> {
        match self.client.copy_in_next().await {
            Ok(Some(piece)) => {
                bytes.extend_from_slice(piece);
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(error) => Err(session_error(&error)),
        }
    }

    async fn cancelled(&self) {
        self.client.cancelled().await;
    }
}

impl Output for BufferOutput<'_> {
    writes!(self => self.writer);

    async fn drain(&mut self) -> Result<(), SqlError> {
        Ok(())
    }

    async fn encoded(&mut self, _: Vec<u8>) -> Result<(), SqlError> {
        Err(unreachable_rows())
    }

    async fn begin_copy_in(&mut self, _: Format, _: u16) -> Result<(), SqlError> {
        Err(unreachable_rows())
    }

    async fn next_copy_bytes(&mut self, _: &mut Vec<u8>) -> Result<bool, SqlError> {
        Err(unreachable_rows())
    }

    async fn cancelled(&self) {
        std::future::pending().await
    }
}
