//! A database that knows a dozen sentences.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;

use types::SqlState;

use crate::pg::auth::Verifier;
use crate::pg::backend::{Authentication, PgBackend, PgSession, SessionStart};
use crate::pg::cancel::{CancelRegistry, CancelRequest, CancelSignal};
use crate::pg::client::Client;
use crate::pg::error_response::{PgError, Severity};
use crate::pg::frontend::{Bind, Execute, Parse, Target};
use crate::pg::response::{Field, Format, ResponseWriter, TransactionStatus};
use crate::pg::startup::{ReportedSettings, StartupRequest};

pub struct Toy {
    pub registry: Rc<CancelRegistry>,
    pub terminated: Rc<Cell<u32>>,
    pub copied: Rc<RefCell<Vec<u8>>>,
}

pub struct ToySession {
    user: String,
    cancel_signal: Rc<CancelSignal>,
    statement: String,
    bound: Vec<Option<Vec<u8>>>,
    status: TransactionStatus,
    terminated: Rc<Cell<u32>>,
    copied: Rc<RefCell<Vec<u8>>>,
}

impl PgBackend for Toy {
    type Session = ToySession;

    async fn authentication(&self, request: &StartupRequest, _: SocketAddr) -> Authentication {
        match request.user.as_str() {
            "alice" => Authentication::Password(Verifier::of_password("secret", [1; 16])),
            "banned" => Authentication::Refused(PgError::new(
                SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
                "role \"banned\" is not permitted to log in",
            )),
            "ghost" => Authentication::Nobody,
            _ => Authentication::Trust,
        }
    }

    async fn open_session(&self, start: SessionStart) -> Result<ToySession, PgError> {
        if start.request.database == "missing" {
            let text = "database \"missing\" does not exist";
            return Err(PgError::new(SqlState::INVALID_CATALOG_NAME, text));
        }
        Ok(ToySession {
            user: start.request.user,
            cancel_signal: start.cancel_signal,
            statement: String::new(),
            bound: Vec::new(),
            status: TransactionStatus::Idle,
            terminated: self.terminated.clone(),
            copied: self.copied.clone(),
        })
    }

    fn cancel(&self, request: CancelRequest) {
        self.registry.cancel(&request, 0);
    }
}

impl ToySession {
    async fn run(&mut self, text: &str, client: &mut Client) -> Result<(), PgError> {
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        match verb {
            "" => client.out().empty_query(),
            "echo" => {
                let mut row = client.out().data_row(1);
                match self.bound.first() {
                    Some(None) => row.null(),
                    Some(Some(value)) => row.bytes(value),
                    None => row.bytes(rest.as_bytes()),
                }
                row.finish()?;
                client.out().command_complete_rows("SELECT", 1);
            }
            "rows" => {
                let count: u64 = rest.parse().expect("the tests write a number");
                for _ in 0..count {
                    let mut row = client.out().data_row(1);
                    row.bytes(&[b'x'; 1_000]);
                    row.finish()?;
                    client.drain().await?;
                }
                client.out().command_complete_rows("SELECT", count);
            }
            "fail" => {
                self.fail();
                return Err(PgError::new(SqlState::DIVISION_BY_ZERO, "division by zero"));
            }
            "die" => return Err(PgError::fatal(SqlState::INTERNAL_ERROR, "died")),
            "begin" => {
                self.status = TransactionStatus::InBlock;
                client.out().command_complete("BEGIN");
            }
            "commit" => {
                self.status = TransactionStatus::Idle;
                client.out().command_complete("COMMIT");
            }
            "notice" => {
                let notice = PgError::with_severity(Severity::Notice, SqlState::WARNING, "heard");
                client.out().notice(&notice);
                client.out().command_complete("NOTICE");
            }
            "wait" => {
                self.cancel_signal.requested().await;
                let text = "canceling statement due to user request";
                return Err(PgError::new(SqlState::QUERY_CANCELED, text));
            }
            "copyin" => {
                client.begin_copy_in(Format::Text, 1).await?;
                let mut bytes = 0;
                while let Some(chunk) = client.copy_in_next().await? {
                    if chunk == b"bad\n" {
                        let text = "bad row";
                        return Err(PgError::new(SqlState::BAD_COPY_FILE_FORMAT, text));
                    }
                    bytes += chunk.len();
                    self.copied.borrow_mut().extend_from_slice(chunk);
                }
                client.out().command_complete_rows("COPY", bytes as u64);
            }
            "copyout" => {
                client.out().copy_out_response(Format::Text, 1);
                for line in ["1\n", "2\n"] {
                    client.out().copy_data(|buffer| buffer.extend_from_slice(line.as_bytes()))?;
                    client.drain().await?;
                }
                client.out().copy_done();
                client.out().command_complete_rows("COPY", 2);
            }
            _ => return Err(PgError::new(SqlState::SYNTAX_ERROR, "no such sentence")),
        }
        Ok(())
    }

    fn fail(&mut self) {
        if self.status == TransactionStatus::InBlock {
            self.status = TransactionStatus::Failed;
        }
    }
}

const FIELD: Field<'static> = Field {
    name: "echo",
    table_oid: 0,
    column_attr: 0,
    type_oid: 25,
    typlen: -1,
    typmod: -1,
    format: Format::Text,
};

impl PgSession for ToySession {
    fn report_settings(&self, out: &mut ResponseWriter) {
        ReportedSettings { session_authorization: &self.user, ..Default::default() }.write(out);
    }

    async fn simple_query(&mut self, text: &str, client: &mut Client) -> Result<(), PgError> {
        self.bound.clear();
        for statement in text.split(';') {
            self.run(statement.trim(), client).await?;
        }
        Ok(())
    }

    async fn parse(&mut self, message: Parse<'_>, _: &mut ResponseWriter) -> Result<(), PgError> {
        if message.text == "syntax" {
            return Err(PgError::new(SqlState::SYNTAX_ERROR, "syntax error").position(1));
        }
        self.statement = message.text.to_owned();
        Ok(())
    }

    async fn bind(&mut self, message: Bind<'_>, _: &mut ResponseWriter) -> Result<(), PgError> {
        message.result_formats.check_results(1)?;
        self.bound = message.parameters.iter().map(|value| value.map(<[u8]>::to_vec)).collect();
        Ok(())
    }

    async fn describe(
        &mut self,
        target: Target<'_>,
        out: &mut ResponseWriter,
    ) -> Result<(), PgError> {
        if let Target::Statement(_) = target {
            out.parameter_description(&[25]);
        }
        out.row_description([FIELD]);
        Ok(())
    }

    async fn execute(&mut self, message: Execute<'_>, client: &mut Client) -> Result<(), PgError> {
        if message.row_count_max == Some(7) {
            client.out().portal_suspended();
            return Ok(());
        }
        let statement = self.statement.clone();
        self.run(&statement, client).await
    }

    async fn close(&mut self, _: Target<'_>, _: &mut ResponseWriter) -> Result<(), PgError> {
        Ok(())
    }

    async fn sync(&mut self, _: &mut ResponseWriter) -> Result<(), PgError> {
        if self.statement == "fail at commit" {
            self.statement.clear();
            return Err(PgError::new(SqlState::SERIALIZATION_FAILURE, "could not serialize"));
        }
        Ok(())
    }

    fn message_refused(&mut self, _: &PgError) {
        self.fail();
    }

    fn transaction_status(&self) -> TransactionStatus {
        self.status
    }

    async fn terminate(&mut self) {
        self.terminated.set(self.terminated.get() + 1);
    }
}
