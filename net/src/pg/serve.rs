//! One connection from accept to end: drives the pure connection, asks the session, sends one batch of answers for each batch received.
//!
//! Everything that has arrived is worked off before anything is sent; then one send, if the client waits for something (Sync, Flush, the end of a
//! simple query) or the bound is passed; then the next receive. So a pipelined exchange costs one system call each way.

use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use pgwire::messages::startup::{
    Authentication as AuthenticationMessage, BackendKeyData, SecretKey,
};
use platform::{Socket, maybe_yield, sleep};
use types::SqlState;

use super::auth::{MECHANISM, NONCE_BYTES, ScramError, ScramExchange, decode_initial_response};
use super::backend::{Authentication, PgBackend, PgSession, SessionStart};
use super::cancel::{CancelKey, CancelRequest, SECRET_BYTES, SHORT_SECRET_BYTES};
use super::client::Client;
use super::connection::{AfterError, Event, Rejected, function_call_refused};
use super::error_response::PgError;
use super::frontend::{Execute, FrontendMessage};
use super::listener::{PgListener, SessionPlace};
use super::response::TransactionStatus;
use super::startup::{StartupRequest, write_negotiation};
use crate::error::ClientGone;
use crate::limits::STATEMENT_BYTES_KEPT;

/// How a conversation ended before it became a session, or in one.
enum Ending {
    /// The client left, or its time ran out: nothing more is said.
    Silent,
    /// The client is told why.
    Told(PgError),
}

impl From<ClientGone> for Ending {
    fn from(_: ClientGone) -> Ending {
        Ending::Silent
    }
}

impl From<PgError> for Ending {
    fn from(error: PgError) -> Ending {
        Ending::Told(error.into_fatal())
    }
}

impl From<Rejected> for Ending {
    fn from(rejected: Rejected) -> Ending {
        Ending::Told(rejected.error.into_fatal())
    }
}

/// Serves one client to its end.
pub(crate) async fn serve<B: PgBackend>(listener: &PgListener<B>, socket: Rc<dyn Socket>) {
    let mut client = Client::new(socket, listener.long_messages());
    let ending = match admit(listener, &mut client).await {
        Ok((mut session, place)) => {
            let mut conversation =
                Conversation { session: &mut session, client: &mut client, scratch: String::new() };
            let ending = conversation.run(listener, &place).await;
            session.terminate().await;
            ending
        }
        Err(ending) => ending,
    };
    if let Ending::Told(error) = ending {
        client.out.error(&error);
        // A client that is gone too does not hear why; nothing is left to do about it.
        let _gone = client.send().await;
    }
}

/// From accept to an open session, within the time that authentication may take.
async fn admit<B: PgBackend>(
    listener: &PgListener<B>,
    client: &mut Client,
) -> Result<(B::Session, SessionPlace), Ending> {
    let settings = listener.settings();
    let seconds = Duration::from_secs(settings.authentication_seconds_max);
    let mut deadline = std::pin::pin!(sleep(listener.spawner(), seconds));
    let request = {
        let mut entry = std::pin::pin!(authenticate(listener, client));
        poll_fn(|cx| {
            if let Poll::Ready(outcome) = entry.as_mut().poll(cx) {
                return Poll::Ready(outcome);
            }
            deadline.as_mut().poll(cx).map(|()| Err(Ending::Silent))
        })
        .await?
    };
    open(listener, client, request).await
}

/// The startup packet and the proof of who it is.
async fn authenticate<B: PgBackend>(
    listener: &PgListener<B>,
    client: &mut Client,
) -> Result<StartupRequest, Ending> {
    let request = loop {
        match client.connection.next_event()? {
            None => client.receive().await?,
            Some(Event::EncryptionRequested) => {
                client.out.encryption_refused();
                client.send().await?;
            }
            Some(Event::Cancel { process_id, secret }) => {
                let secret = secret.to_vec();
                listener.backend().cancel(CancelRequest { process_id, secret });
                return Err(Ending::Silent);
            }
            Some(Event::Startup(request)) => break request,
            Some(Event::Authentication(_) | Event::Message(_)) => {
                unreachable!("the first event of a conversation is its startup")
            }
        }
    };
    write_negotiation(&request, &mut client.out);
    let peer_address = client.socket.peer_address();
    let exchange = match listener.backend().authentication(&request, peer_address).await {
        Authentication::Trust => None,
        Authentication::Password(verifier) => Some(ScramExchange::with_verifier(verifier)),
        Authentication::Nobody => {
            let secret = &listener.settings().cluster_secret;
            Some(ScramExchange::of_nobody(&request.user, secret))
        }
        Authentication::Refused(error) => return Err(error.into()),
    };
    if let Some(exchange) = exchange {
        check_password(listener, client, exchange, &request.user).await?;
    }
    client.out.handshake(&AuthenticationMessage::Ok);
    client.connection.authenticated();
    Ok(request)
}

async fn check_password<B: PgBackend>(
    listener: &PgListener<B>,
    client: &mut Client,
    mut exchange: ScramExchange,
    user: &str,
) -> Result<(), Ending> {
    let told = |error: ScramError| match error {
        ScramError::Protocol(error) => Ending::from(error),
        ScramError::WrongPassword => {
            let text = format!("password authentication failed for user \"{user}\"");
            Ending::from(PgError::new(SqlState::INVALID_PASSWORD, text))
        }
    };
    client.out.handshake(&AuthenticationMessage::SASL(vec![MECHANISM.to_owned()]));
    client.send().await?;
    let mut mechanism_is_chosen = false;
    loop {
        let Some(event) = client.connection.next_event()? else {
            client.receive().await?;
            continue;
        };
        let Event::Authentication(body) = event else {
            unreachable!("nothing else is handed out before authentication ends")
        };
        if exchange.is_challenged() {
            let server_final = exchange.verify(body).map_err(told)?;
            let data = Bytes::from(server_final);
            client.out.handshake(&AuthenticationMessage::SASLFinal(data));
            return Ok(());
        }
        let first = if mechanism_is_chosen { Some(body) } else { decode_initial_response(body)? };
        mechanism_is_chosen = true;
        let answer = match first {
            Some(first) => {
                let mut nonce = [0; NONCE_BYTES];
                fill_with_secrets(listener, &mut nonce)?;
                exchange.challenge(first, nonce).map_err(told)?
            }
            // The client wants to be asked first.
            None => String::new(),
        };
        client.out.handshake(&AuthenticationMessage::SASLContinue(Bytes::from(answer)));
        client.send().await?;
    }
}

fn fill_with_secrets<B: PgBackend>(
    listener: &PgListener<B>,
    bytes: &mut [u8],
) -> Result<(), Ending> {
    listener
        .secrets()
        .fill(bytes)
        .map_err(|error| PgError::new(SqlState::INTERNAL_ERROR, error.to_string()).into())
}

/// Opens the session and says what a client waits for before its first query.
async fn open<B: PgBackend>(
    listener: &PgListener<B>,
    client: &mut Client,
    request: StartupRequest,
) -> Result<(B::Session, SessionPlace), Ending> {
    let mut secret = [0; SECRET_BYTES];
    fill_with_secrets(listener, &mut secret)?;
    let place = listener.take_place(secret)?;
    let registration = place.registration();
    client.cancel_signal = Some(Rc::clone(registration.signal()));
    let has_long_secret = request.has_long_secret();
    let start = SessionStart {
        request,
        peer_address: client.socket.peer_address(),
        cancel_key: registration.key(),
        cancel_signal: Rc::clone(registration.signal()),
    };
    let session = listener.backend().open_session(start).await?;
    session.report_settings(&mut client.out);
    client.out.handshake(&key_message(registration.key(), has_long_secret));
    client.out.ready_for_query(session.transaction_status());
    Ok((session, place))
}

fn key_message(key: CancelKey, has_long_secret: bool) -> BackendKeyData {
    let secret_bytes = if has_long_secret { SECRET_BYTES } else { SHORT_SECRET_BYTES };
    let process_id = i32::try_from(key.process_id).expect("process ids are positive");
    let secret = Bytes::copy_from_slice(&key.secret[..secret_bytes]);
    BackendKeyData::new(process_id, SecretKey::Bytes(secret))
}

/// The query phase.
struct Conversation<'a, S> {
    session: &'a mut S,
    client: &'a mut Client,
    /// Holds the text of a simple query or a portal's name while the receive buffer goes on being used; kept for its memory.
    scratch: String,
}

impl<S: PgSession> Conversation<'_, S> {
    async fn run<B: PgBackend>(
        &mut self,
        listener: &PgListener<B>,
        place: &SessionPlace,
    ) -> Ending {
        loop {
            match self.work_off(listener).await {
                Ok(Next::Receive) => {}
                Ok(Next::End) => return Ending::Silent,
                Err(ending) => return ending,
            }
            let bytes_wait = self.client.out.send_wanted() || self.client.out.over_bound();
            if bytes_wait && let Err(gone) = self.client.send().await {
                return gone.into();
            }
            self.shrink();
            if let Err(ending) = self.receive_or_shutdown(listener, place).await {
                return ending;
            }
        }
    }

    /// Executes everything that has arrived.
    #[inline]
    async fn work_off<B: PgBackend>(&mut self, listener: &PgListener<B>) -> Result<Next, Ending> {
        loop {
            let message = match self.client.connection.next_event() {
                Ok(Some(Event::Message(message))) => message,
                Ok(Some(_)) => unreachable!("the query phase has messages only"),
                Ok(None) => return Ok(Next::Receive),
                Err(rejected) => {
                    self.refuse(rejected)?;
                    continue;
                }
            };
            let out = &mut self.client.out;
            match message {
                FrontendMessage::Bind(bind) => match self.session.bind(bind, out).await {
                    Ok(()) => out.bind_complete(),
                    Err(error) => self.fail_extended(&error)?,
                },
                FrontendMessage::Execute(execute) => {
                    self.scratch.clear();
                    self.scratch.push_str(execute.portal);
                    let row_count_max = execute.row_count_max;
                    self.execute(row_count_max).await?;
                    maybe_yield(&**listener.spawner()).await;
                }
                FrontendMessage::Sync => self.sync().await?,
                FrontendMessage::Parse(parse) => match self.session.parse(parse, out).await {
                    Ok(()) => out.parse_complete(),
                    Err(error) => self.fail_extended(&error)?,
                },
                FrontendMessage::Describe(target) => {
                    if let Err(error) = self.session.describe(target, out).await {
                        self.fail_extended(&error)?;
                    }
                }
                FrontendMessage::Close(target) => match self.session.close(target, out).await {
                    Ok(()) => out.close_complete(),
                    Err(error) => self.fail_extended(&error)?,
                },
                FrontendMessage::Flush => out.request_send(),
                FrontendMessage::Query(text) => {
                    self.scratch.clear();
                    self.scratch.push_str(text);
                    self.simple_query().await?;
                    maybe_yield(&**listener.spawner()).await;
                }
                FrontendMessage::FunctionCall => self.refuse(Rejected {
                    error: function_call_refused(),
                    then: AfterError::ReadyForQuery,
                })?,
                FrontendMessage::Terminate => return Ok(Next::End),
                FrontendMessage::CopyData(_)
                | FrontendMessage::CopyDone
                | FrontendMessage::CopyFail(_) => {
                    unreachable!("copied bytes are handed out inside a copy only")
                }
            }
            if self.client.out.over_bound() {
                self.client.send().await?;
            }
        }
    }

    async fn execute(&mut self, row_count_max: Option<u32>) -> Result<(), Ending> {
        let execute = Execute { portal: &self.scratch, row_count_max };
        let outcome = self.session.execute(execute, self.client).await;
        self.client.connection.end_copy_in();
        match outcome {
            Ok(()) => Ok(()),
            Err(error) => self.fail_extended(&error),
        }
    }

    async fn simple_query(&mut self) -> Result<(), Ending> {
        let outcome = self.session.simple_query(&self.scratch, self.client).await;
        self.client.connection.end_copy_in();
        if let Err(error) = outcome {
            self.fail(&error)?;
        }
        self.client.out.ready_for_query(self.session.transaction_status());
        Ok(())
    }

    #[inline]
    async fn sync(&mut self) -> Result<(), Ending> {
        if let Err(error) = self.session.sync(&mut self.client.out).await {
            self.fail(&error)?;
        }
        self.client.out.ready_for_query(self.session.transaction_status());
        Ok(())
    }

    /// A message that the session never saw.
    #[cold]
    fn refuse(&mut self, rejected: Rejected) -> Result<(), Ending> {
        self.session.message_refused(&rejected.error);
        self.fail(&rejected.error)?;
        if rejected.then == AfterError::ReadyForQuery {
            self.client.out.ready_for_query(self.session.transaction_status());
        }
        Ok(())
    }

    #[cold]
    fn fail_extended(&mut self, error: &PgError) -> Result<(), Ending> {
        self.fail(error)?;
        self.client.connection.skip_to_sync();
        Ok(())
    }

    /// Tells the client; a fatal error is told last, by the caller of all.
    #[cold]
    fn fail(&mut self, error: &PgError) -> Result<(), Ending> {
        if error.is_fatal() {
            return Err(Ending::Told(error.clone()));
        }
        self.client.out.error(error);
        Ok(())
    }

    fn shrink(&mut self) {
        self.client.shrink();
        if self.scratch.capacity() > STATEMENT_BYTES_KEPT {
            self.scratch = String::new();
        }
    }

    /// Waits for the client between batches; only here may the node's stop end a session.
    #[inline]
    async fn receive_or_shutdown<B: PgBackend>(
        &mut self,
        listener: &PgListener<B>,
        place: &SessionPlace,
    ) -> Result<(), Ending> {
        let idle_max = match self.session.transaction_status() {
            TransactionStatus::Idle => None,
            _ => self.session.idle_in_transaction_max(),
        };
        let mut silence =
            std::pin::pin!(idle_max.map(|duration| sleep(listener.spawner(), duration)));
        let client = &mut *self.client;
        let received = client.connection.receive_buffer();
        let outcome = poll_fn(|cx| {
            if let Poll::Ready(outcome) = client.socket.poll_recv(cx, received) {
                return Poll::Ready(Wait::Received(outcome));
            }
            if listener.poll_stopping(place, cx).is_ready() {
                return Poll::Ready(Wait::Stopping);
            }
            match silence.as_mut().as_pin_mut() {
                Some(silence) => silence.poll(cx).map(|()| Wait::TooLong),
                None => Poll::Pending,
            }
        })
        .await;
        match outcome {
            Wait::Received(Ok(0) | Err(_)) => Err(Ending::Silent),
            Wait::Received(Ok(_)) => {
                // A cancel that came while nothing ran is for no statement.
                place.registration().signal().clear();
                Ok(client.account()?)
            }
            Wait::Stopping => {
                let text = "terminating connection due to administrator command";
                Err(PgError::fatal(SqlState::ADMIN_SHUTDOWN, text).into())
            }
            Wait::TooLong => {
                let text = "terminating connection due to idle-in-transaction timeout";
                let sqlstate = SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT;
                Err(PgError::fatal(sqlstate, text).into())
            }
        }
    }
}

/// What ends the wait between batches.
enum Wait {
    Received(Result<usize, platform::SocketError>),
    Stopping,
    TooLong,
}

/// What follows when everything that arrived has been worked off.
enum Next {
    Receive,
    End,
}

#[cfg(test)]
mod tests;
