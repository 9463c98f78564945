//! What a connection asks of a database. The composition root implements this over `sql/session`.
//!
//! Everything is on one core: futures are not `Send`, and one task serves a connection from accept to end. A session is asked one thing at a time.
//! Sessions return errors and the connection writes them; all other answers they write themselves, into [`ResponseWriter`] or through [`Client`].
//!
//! - The session writes: RowDescription, ParameterDescription, NoData, DataRow, CommandComplete, EmptyQueryResponse, PortalSuspended,
//!   CopyOutResponse and its data, notices, ParameterStatus.
//! - The connection writes: ParseComplete, BindComplete, CloseComplete, CopyInResponse, ErrorResponse, ReadyForQuery.
#![expect(async_fn_in_trait, reason = "connections stay on their core: no future here is Send")]

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use super::auth::Verifier;
use super::cancel::{CancelKey, CancelRequest, CancelSignal};
use super::client::Client;
use super::error_response::PgError;
use super::frontend::{Bind, Execute, Parse, Target};
use super::response::{ResponseWriter, TransactionStatus};
use super::startup::StartupRequest;

/// What a role must do to get in.
#[derive(Debug)]
pub enum Authentication {
    /// Nothing: no password is set and the listener allows it.
    Trust,
    /// Prove that it knows the password of this verifier.
    Password(Verifier),
    /// It cannot get in, and must not learn whether it exists: the exchange runs as for a wrong password.
    Nobody,
    /// It cannot get in, and is told why (28000 …).
    Refused(PgError),
}

/// What a session knows of its client when it begins.
#[derive(Debug)]
pub struct SessionStart {
    /// Who, which database, which settings.
    pub request: StartupRequest,
    /// Where from.
    pub peer_address: SocketAddr,
    /// The key that cancels this session's statements; its process id is the session's `pg_backend_pid()`.
    pub cancel_key: CancelKey,
    /// Requested while a statement must stop; cleared between statements. The statement answers with 57014.
    pub cancel_signal: Rc<CancelSignal>,
}

/// The database behind a listener, on one core.
pub trait PgBackend: 'static {
    /// One client's conversation.
    type Session: PgSession;

    /// What the client must do to get in. Asked before anything else, so it must cost little.
    async fn authentication(
        &self,
        request: &StartupRequest,
        peer_address: SocketAddr,
    ) -> Authentication;

    /// Begins a session for a client that is in.
    ///
    /// # Errors
    /// Sent as FATAL: unknown database (3D000), bad setting (22023), role without the right to log in (28000), node not ready (57P03).
    async fn open_session(&self, start: SessionStart) -> Result<Self::Session, PgError>;

    /// A cancel request arrived here. Route it to the core at [`CancelRequest::core_index`] and give it to that core's registry.
    fn cancel(&self, request: CancelRequest);
}

/// One client's conversation. Dropping it must roll back what is open.
///
/// An error with severity FATAL ends the connection. After any other error of an extended message the connection skips to the next Sync.
/// # Cancel safety
/// The connection never drops a future of a session, but when the whole node stops.
pub trait PgSession {
    /// Writes the settings that a client is told when the session begins ([`super::startup::ReportedSettings`]).
    fn report_settings(&self, out: &mut ResponseWriter);

    /// Runs a text of any number of statements; each writes its rows and its CommandComplete.
    ///
    /// # Errors
    /// The first statement that fails; the rest does not run.
    async fn simple_query(&mut self, text: &str, client: &mut Client) -> Result<(), PgError>;

    /// Prepares a statement.
    ///
    /// # Errors
    /// As PREPARE.
    async fn parse(&mut self, message: Parse<'_>, out: &mut ResponseWriter) -> Result<(), PgError>;

    /// Makes a portal.
    ///
    /// # Errors
    /// Unknown statement (26000), wrong number of parameters or result formats (08P01), values that do not parse.
    async fn bind(&mut self, message: Bind<'_>, out: &mut ResponseWriter) -> Result<(), PgError>;

    /// Writes what a statement takes and returns (ParameterDescription, then RowDescription or NoData), or what a portal returns.
    ///
    /// # Errors
    /// Unknown statement (26000) or portal (34000).
    async fn describe(
        &mut self,
        target: Target<'_>,
        out: &mut ResponseWriter,
    ) -> Result<(), PgError>;

    /// Runs a portal: rows, then CommandComplete, PortalSuspended or EmptyQueryResponse.
    ///
    /// # Errors
    /// As the statement's.
    async fn execute(&mut self, message: Execute<'_>, client: &mut Client) -> Result<(), PgError>;

    /// Forgets a statement or portal; one that does not exist is no error.
    ///
    /// # Errors
    /// None in ordinary use.
    async fn close(&mut self, target: Target<'_>, out: &mut ResponseWriter) -> Result<(), PgError>;

    /// End of an extended exchange: what is not inside a transaction block is committed, and its portals go.
    ///
    /// # Errors
    /// The commit's.
    async fn sync(&mut self, out: &mut ResponseWriter) -> Result<(), PgError>;

    /// The connection refused a message of the client with this error: the open transaction, if any, has failed.
    fn message_refused(&mut self, error: &PgError);

    /// Where the session stands; shown in ReadyForQuery.
    fn transaction_status(&self) -> TransactionStatus;

    /// How long the client may be silent in an open transaction before the session ends (25P03); `None` for ever.
    fn idle_in_transaction_max(&self) -> Option<Duration> {
        None
    }

    /// The client is gone: roll back what is open.
    async fn terminate(&mut self);
}
