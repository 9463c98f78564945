//! A small blocking Postgres client for our own tools: load generator, demo, bulk scan. Ordinary clients use ordinary drivers.
//!
//! One connection, one thread. Statements may be pipelined: queue as many as you like, [`PgClient::flush`] once, then read one answer each. Values travel as
//! text, but for bulk scans that want them in binary. Errors keep the server's SQLSTATE, so that callers can tell a conflict (40001) from a failure.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use plan::query::OutputColumn;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{Message, RowDescriptionBody};
use postgres_protocol::message::frontend;
use types::{ColumnType, SqlType};

/// Where and as whom to connect.
#[derive(Clone, Debug)]
pub struct ConnectUrl {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Role.
    pub user: String,
    /// Password, if one is needed.
    pub password: Option<String>,
    /// Database.
    pub database: String,
}

/// What can go wrong on a connection.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server answered with an error.
    #[error("{code}: {message}")]
    Server {
        /// SQLSTATE.
        code: String,
        /// First line.
        message: String,
    },
    /// The connection failed or ended.
    #[error("connection: {0}")]
    Connection(#[from] io::Error),
    /// The server broke the protocol.
    #[error("unexpected answer of the server: {0}")]
    Protocol(&'static str),
}

impl ClientError {
    /// The SQLSTATE, if the server gave one.
    pub fn code(&self) -> Option<&str> {
        match self {
            ClientError::Server { code, .. } => Some(code),
            _ => None,
        }
    }
}

impl ConnectUrl {
    /// Parses `postgresql://user:password@host:port/database`; every part but the host may be missing; a
    /// password may come from `PGPASSWORD` or `RINGFENCE_PASSWORD`.
    pub fn parse(url: &str) -> Result<ConnectUrl, String> {
        let rest = url
            .strip_prefix("postgresql://")
            .or_else(|| url.strip_prefix("postgres://"))
            .ok_or_else(|| {
                format!("\"{url}\" is no URL of the form postgresql://user@host:port/database")
            })?;
        let rest = rest.split('?').next().unwrap_or_default();
        let (place, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, address) = match place.rsplit_once('@') {
            Some((login, address)) => (login, address),
            None => ("", place),
        };
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(password.to_owned())),
            None => (login, None),
        };
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) => {
                (host, port.parse().map_err(|_| format!("\"{port}\" is no port number"))?)
            }
            None => (address, 5433),
        };
        let or = |text: &str, default: &str| {
            if text.is_empty() { default.to_owned() } else { text.to_owned() }
        };
        Ok(ConnectUrl {
            host: or(host.trim_matches(['[', ']']), "127.0.0.1"),
            port,
            user: or(user, "ringfence"),
            password: password
                .or_else(|| std::env::var("PGPASSWORD").ok())
                .or_else(|| std::env::var("RINGFENCE_PASSWORD").ok()),
            database: or(database, "ringfence"),
        })
    }
}

/// The answer to one statement.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Rows as text; `None` is NULL.
    pub rows: Vec<Vec<Option<String>>>,
    /// What the server did: `INSERT 0 1`.
    pub tag: String,
}

impl Answer {
    /// Rows that the statement returned or changed, by its tag.
    pub fn row_count(&self) -> u64 {
        self.tag.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0)
    }

    /// First column of the first row.
    pub fn first(&self) -> Option<&str> {
        self.rows.first()?.first()?.as_deref()
    }
}

/// One connection.
pub struct PgClient {
    stream: TcpStream,
    input: BytesMut,
    output: BytesMut,
}

impl PgClient {
    /// Connects and logs in.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses the login.
    pub fn connect(url: &ConnectUrl) -> Result<PgClient, ClientError> {
        let addresses = (url.host.as_str(), url.port).to_socket_addrs()?;
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
        for address in addresses {
            match TcpStream::connect_timeout(&address, Duration::from_secs(10)) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    let (input, output) = (BytesMut::new(), BytesMut::new());
                    let mut client = PgClient { stream, input, output };
                    client.log_in(url)?;
                    return Ok(client);
                }
                Err(error) => last = error,
            }
        }
        Err(last.into())
    }

    fn log_in(&mut self, url: &ConnectUrl) -> Result<(), ClientError> {
        let options = [
            ("user", url.user.as_str()),
            ("database", url.database.as_str()),
            ("client_encoding", "UTF8"),
        ];
        frontend::startup_message(options, &mut self.output)?;
        self.flush()?;
        let password = url.password.as_deref().unwrap_or_default();
        let mut scram: Option<ScramSha256> = None;
        loop {
            match self.message()? {
                Message::AuthenticationOk => scram = None,
                Message::AuthenticationSasl(body) => {
                    let known =
                        body.mechanisms().any(|mechanism| Ok(mechanism == SCRAM_SHA_256))?;
                    if !known {
                        return Err(ClientError::Protocol("no known authentication mechanism"));
                    }
                    let started =
                        ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
                    frontend::sasl_initial_response(
                        SCRAM_SHA_256,
                        started.message(),
                        &mut self.output,
                    )?;
                    self.flush()?;
                    scram = Some(started);
                }
                Message::AuthenticationSaslContinue(body) => {
                    let running =
                        scram.as_mut().ok_or(ClientError::Protocol("SASL out of order"))?;
                    running.update(body.data())?;
                    frontend::sasl_response(running.message(), &mut self.output)?;
                    self.flush()?;
                }
                Message::AuthenticationSaslFinal(body) => {
                    let running =
                        scram.as_mut().ok_or(ClientError::Protocol("SASL out of order"))?;
                    running.finish(body.data())?;
                }
                Message::ErrorResponse(body) => return Err(server_error(&body)?),
                Message::ReadyForQuery(_) => return Ok(()),
                Message::ParameterStatus(_)
                | Message::BackendKeyData(_)
                | Message::NoticeResponse(_) => {}
                _ => return Err(ClientError::Protocol("an unknown message during login")),
            }
        }
    }

    /// Sends what was queued.
    pub fn flush(&mut self) -> Result<(), ClientError> {
        self.stream.write_all(&self.output)?;
        self.output.clear();
        Ok(())
    }

    /// Runs statements by the simple protocol; the answer is that of the last one.
    pub fn simple(&mut self, sql: &str) -> Result<Answer, ClientError> {
        frontend::query(sql, &mut self.output)?;
        self.flush()?;
        self.read_answer()
    }

    /// Runs one query by the extended protocol and hands each row on as it comes, its cells in text or binary form.
    ///
    /// # Errors
    /// The server's, the connection's, and the taker's own.
    pub fn stream<T: RowTaker>(
        &mut self,
        sql: &str,
        form: CellForm,
        taker: &mut T,
    ) -> Result<(), ClientError> {
        frontend::parse("", sql, [], &mut self.output)?;
        let no_parameters: [&str; 0] = [];
        let bound = frontend::bind(
            "",
            "",
            [],
            no_parameters,
            |_, _| Ok(postgres_protocol::IsNull::Yes),
            [form as i16],
            &mut self.output,
        );
        bound.map_err(|_| ClientError::Protocol("the query is too long for the protocol"))?;
        frontend::describe(b'P', "", &mut self.output)?;
        frontend::execute("", 0, &mut self.output)?;
        frontend::sync(&mut self.output);
        self.flush()?;
        read_rows(|| self.message().map(Some), taker)
    }

    /// Prepares a statement under a name.
    pub fn prepare(&mut self, name: &str, sql: &str) -> Result<(), ClientError> {
        frontend::parse(name, sql, [], &mut self.output)?;
        frontend::sync(&mut self.output);
        self.flush()?;
        self.read_answer().map(drop)
    }

    /// Queues one execution of a prepared statement, without a Sync.
    pub fn queue(&mut self, name: &str, parameters: &[&str]) -> Result<(), ClientError> {
        let bound = frontend::bind(
            "",
            name,
            [],
            parameters,
            |parameter, out| {
                out.extend_from_slice(parameter.as_bytes());
                Ok(postgres_protocol::IsNull::No)
            },
            [],
            &mut self.output,
        );
        bound.map_err(|_| ClientError::Protocol("a parameter is too long for the protocol"))?;
        frontend::execute("", 0, &mut self.output)?;
        Ok(())
    }

    /// Queues a Sync: ends a batch, and the transaction of statements outside BEGIN.
    pub fn queue_sync(&mut self) {
        frontend::sync(&mut self.output);
    }

    /// Runs a prepared statement.
    pub fn execute(&mut self, name: &str, parameters: &[&str]) -> Result<Answer, ClientError> {
        self.queue(name, parameters)?;
        self.queue_sync();
        self.flush()?;
        self.read_answer()
    }

    /// Reads up to the next ReadyForQuery; the answer is that of the last statement.
    pub fn read_answer(&mut self) -> Result<Answer, ClientError> {
        let mut answer = Answer::default();
        let mut failure = None;
        loop {
            match self.message()? {
                Message::RowDescription(body) => {
                    answer.columns =
                        body.fields().map(|field| Ok(field.name().to_owned())).collect()?;
                    answer.rows.clear();
                }
                Message::DataRow(body) => {
                    let mut cells = Vec::new();
                    let mut ranges = body.ranges();
                    while let Some(range) = ranges.next()? {
                        cells.push(range.map(|range| {
                            String::from_utf8_lossy(&body.buffer()[range]).into_owned()
                        }));
                    }
                    answer.rows.push(cells);
                }
                Message::CommandComplete(body) => answer.tag = body.tag()?.to_owned(),
                Message::ErrorResponse(body) => failure = Some(server_error(&body)?),
                Message::ReadyForQuery(_) => return failure.map_or(Ok(answer), Err),
                _ => {}
            }
        }
    }

    /// COPY … FROM STDIN: `fill` appends the next block of text-format rows and says whether there may be more.
    pub fn copy_in(
        &mut self,
        sql: &str,
        mut fill: impl FnMut(&mut Vec<u8>) -> bool,
    ) -> Result<u64, ClientError> {
        frontend::query(sql, &mut self.output)?;
        self.flush()?;
        loop {
            match self.message()? {
                Message::CopyInResponse(_) => break,
                Message::ErrorResponse(body) => {
                    let error = server_error(&body)?;
                    self.read_answer()?;
                    return Err(error);
                }
                _ => {}
            }
        }
        let mut block = Vec::new();
        let mut more = true;
        while more {
            block.clear();
            more = fill(&mut block);
            if !block.is_empty() {
                let data = frontend::CopyData::new(bytes::Bytes::copy_from_slice(&block))?;
                data.write(&mut self.output);
                self.flush()?;
            }
        }
        frontend::copy_done(&mut self.output);
        self.flush()?;
        Ok(self.read_answer()?.row_count())
    }

    fn message(&mut self) -> Result<Message, ClientError> {
        loop {
            if let Some(message) = Message::parse(&mut self.input)? {
                return Ok(message);
            }
            let mut chunk = [0u8; 64 * 1024];
            let count = self.stream.read(&mut chunk)?;
            if count == 0 {
                let ended = io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the server closed the connection",
                );
                return Err(ended.into());
            }
            self.input.extend_from_slice(&chunk[..count]);
        }
    }
}

/// How cells travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellForm {
    /// PostgreSQL's text.
    Text = 0,
    /// PostgreSQL's binary.
    Binary = 1,
}

/// Takes the rows of one answer.
pub trait RowTaker {
    /// The columns, before the first row.
    ///
    /// # Errors
    /// If it cannot take them.
    fn columns(&mut self, columns: Vec<OutputColumn>) -> io::Result<()>;

    /// A row; `None` is NULL.
    ///
    /// # Errors
    /// If it cannot take it.
    fn row(&mut self, cells: &[Option<&[u8]>]) -> io::Result<()>;
}

fn described(body: &RowDescriptionBody) -> Result<Vec<OutputColumn>, ClientError> {
    let mut columns = Vec::new();
    let mut fields = body.fields();
    while let Some(field) = fields.next()? {
        let sql_type = SqlType::from_oid(field.type_oid()).unwrap_or(SqlType::Text);
        let column_type = ColumnType { sql_type, modifier: field.type_modifier() };
        columns.push(OutputColumn { name: field.name().into(), column_type, origin: None });
    }
    Ok(columns)
}

/// Hands on the messages of one answer; `next` gives nothing at their end.
///
/// # Errors
/// The server's, the connection's, and the taker's own.
pub fn read_rows<T: RowTaker>(
    mut next: impl FnMut() -> Result<Option<Message>, ClientError>,
    taker: &mut T,
) -> Result<(), ClientError> {
    let mut failure = None;
    while let Some(message) = next()? {
        match message {
            Message::RowDescription(body) => taker.columns(described(&body)?)?,
            Message::NoData | Message::CopyInResponse(_) | Message::CopyOutResponse(_) => {
                return Err(ClientError::Protocol("the statement is no query"));
            }
            Message::DataRow(body) => {
                let mut cells: Vec<Option<&[u8]>> = Vec::new();
                let mut ranges = body.ranges();
                while let Some(range) = ranges.next()? {
                    cells.push(range.map(|range| &body.buffer()[range]));
                }
                taker.row(&cells)?;
            }
            Message::ErrorResponse(body) => failure = Some(server_error(&body)?),
            Message::ReadyForQuery(_) => break,
            _ => {}
        }
    }
    failure.map_or(Ok(()), Err)
}

fn server_error(
    body: &postgres_protocol::message::backend::ErrorResponseBody,
) -> Result<ClientError, ClientError> {
    let (mut code, mut message) = (String::new(), String::new());
    let mut fields = body.fields();
    while let Some(field) = fields.next()? {
        let text = String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            b'C' => code = text,
            b'M' => message = text,
            b'D' => message.push_str(&format!(" ({text})")),
            _ => {}
        }
    }
    Ok(ClientError::Server { code, message })
}

#[cfg(test)]
mod tests {
    use super::ConnectUrl;

    #[test]
    fn urls_have_defaults() {
        let url = ConnectUrl::parse("postgresql://me:se:cret@db:99/shop?x=1").expect("valid");
        assert_eq!((url.host.as_str(), url.port), ("db", 99));
        assert_eq!((url.user.as_str(), url.password.as_deref()), ("me", Some("se:cret")));
        assert_eq!(url.database, "shop");
        let url = ConnectUrl::parse("postgres://localhost").expect("valid");
        assert_eq!((url.port, url.user.as_str()), (5433, "ringfence"));
        assert!(ConnectUrl::parse("http://x").is_err());
    }
}
