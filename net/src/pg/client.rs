//! The client as a session sees it: where rows go, how to wait for it, where copied bytes come from.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use platform::Socket;
use types::SqlState;

use super::cancel::CancelSignal;
use super::connection::Connection;
use super::error_response::PgError;
use super::response::ResponseWriter;
use crate::error::ClientGone;
use crate::limits::{
    LARGE_MESSAGES_BYTES_MAX, RECEIVE_BYTES_KEPT, RESPONSE_BYTES_BOUND, RESPONSE_BYTES_KEPT,
};

/// The receive memory of one core beyond what every connection may keep.
pub(crate) type LongMessageBytes = Rc<Cell<usize>>;

/// One connection's share of [`LongMessageBytes`].
struct Charge {
    core: LongMessageBytes,
    bytes: usize,
}

impl Charge {
    /// Accounts for a receive buffer of `capacity` bytes.
    #[inline]
    fn adjust(&mut self, capacity: usize) {
        let bytes = if capacity > RECEIVE_BYTES_KEPT { capacity } else { 0 };
        if bytes != self.bytes {
            self.core.set(self.core.get() - self.bytes + bytes);
            self.bytes = bytes;
        }
    }

    fn is_too_much(&self) -> bool {
        self.bytes > 0 && self.core.get() > LARGE_MESSAGES_BYTES_MAX
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.adjust(0);
    }
}

/// One client on its socket.
pub struct Client {
    pub(crate) socket: Rc<dyn Socket>,
    pub(crate) connection: Connection,
    pub(crate) out: ResponseWriter,
    pub(crate) cancel_signal: Option<Rc<CancelSignal>>,
    charge: Charge,
}

impl Client {
    /// A client just accepted.
    pub(crate) fn new(socket: Rc<dyn Socket>, long_messages: &LongMessageBytes) -> Client {
        Client {
            socket,
            connection: Connection::new(),
            out: ResponseWriter::new(RESPONSE_BYTES_BOUND),
            cancel_signal: None,
            charge: Charge { core: Rc::clone(long_messages), bytes: 0 },
        }
    }

    /// Where answers are written.
    #[inline]
    pub fn out(&mut self) -> &mut ResponseWriter {
        &mut self.out
    }

    /// Whether the next message that has arrived is a Sync. An execution before it ends its transaction, so it may run as one turn.
    #[inline]
    pub fn sync_follows(&self) -> bool {
        self.connection.sync_follows()
    }

    /// Waits until somebody asks the running statement to stop; for ever, if nobody can.
    ///
    /// # Cancel safety
    /// Dropping it forgets nothing.
    pub async fn cancelled(&self) {
        match &self.cancel_signal {
            Some(signal) => signal.requested().await,
            None => std::future::pending().await,
        }
    }

    /// Waits until the client has taken what was written, if that is over the bound. Whoever writes many rows calls it between rows.
    ///
    /// # Errors
    /// 08006, fatal, when the client is gone.
    ///
    /// # Cancel safety
    /// Dropping it loses the buffer's memory for reuse, no bytes.
    #[inline]
    pub async fn drain(&mut self) -> Result<(), PgError> {
        if self.out.over_bound() {
            self.send().await.map_err(|gone| connection_lost(&gone))?;
        }
        Ok(())
    }

    /// Hands on whole messages that another [`ResponseWriter`] made: few bytes join what is written here and leave with it, many leave at once without
    /// being copied.
    ///
    /// # Errors
    /// 08006, fatal, when the client is gone.
    ///
    /// # Cancel safety
    /// Not safe: dropping it while bytes leave loses them.
    pub async fn forward(&mut self, messages: Vec<u8>) -> Result<(), PgError> {
        if self.out.as_bytes().len() + messages.len() < RESPONSE_BYTES_BOUND {
            self.out.append(&messages);
            return Ok(());
        }
        self.send().await.map_err(|gone| connection_lost(&gone))?;
        let sent = platform::send(&*self.socket, messages).await;
        sent.map(drop).map_err(|error| connection_lost(&ClientGone::Socket(error)))
    }

    /// Sends everything written, and waits until it has left.
    pub(crate) async fn send(&mut self) -> Result<(), ClientGone> {
        if self.out.as_bytes().is_empty() {
            return Ok(());
        }
        let sent = platform::send(&*self.socket, self.out.take()).await?;
        self.out.restore(sent);
        Ok(())
    }

    /// Waits for bytes from the client.
    pub(crate) async fn receive(&mut self) -> Result<(), ClientGone> {
        let received = self.connection.receive_buffer();
        match platform::recv(&*self.socket, received).await? {
            0 => Err(ClientGone::Ended),
            _ => Ok(()),
        }
    }

    /// Waits for bytes from the client while a statement runs that may be cancelled.
    pub(crate) async fn receive_in_statement(&mut self) -> Result<(), PgError> {
        let signal = self.cancel_signal.clone();
        let Client { socket, connection, .. } = self;
        let received = connection.receive_buffer();
        let mut cancelled = std::pin::pin!(async {
            match signal {
                Some(signal) => signal.requested().await,
                None => std::future::pending().await,
            }
        });
        poll_fn(|cx| {
            if cancelled.as_mut().poll(cx).is_ready() {
                let text = "canceling statement due to user request";
                return Poll::Ready(Err(PgError::new(SqlState::QUERY_CANCELED, text)));
            }
            socket.poll_recv(cx, received).map(|outcome| match outcome {
                Ok(0) => Err(connection_lost(&ClientGone::Ended)),
                Ok(_) => Ok(()),
                Err(error) => Err(connection_lost(&ClientGone::Socket(error))),
            })
        })
        .await?;
        self.account()
    }

    /// Accounts for what has been received.
    ///
    /// # Errors
    /// 53200, fatal, when the core's clients together have long messages under way beyond its bound.
    #[inline]
    pub(crate) fn account(&mut self) -> Result<(), PgError> {
        self.charge.adjust(self.connection.capacity_bytes());
        if self.charge.is_too_much() {
            let text = "too many long messages are arriving at once";
            return Err(PgError::fatal(SqlState::OUT_OF_MEMORY, text));
        }
        Ok(())
    }

    /// Gives the memory of long messages and answers back, once they are gone.
    #[inline]
    pub(crate) fn shrink(&mut self) {
        self.connection.shrink(RECEIVE_BYTES_KEPT);
        self.out.shrink(RESPONSE_BYTES_KEPT);
        self.charge.adjust(self.connection.capacity_bytes());
    }

    /// Bytes of memory held in buffers.
    #[cfg(test)]
    pub(crate) fn buffer_bytes(&self) -> usize {
        self.connection.capacity_bytes() + self.out.capacity()
    }
}

/// What a session is told when its client is gone; nobody reads it.
pub(crate) fn connection_lost(gone: &ClientGone) -> PgError {
    PgError::fatal(SqlState::CONNECTION_FAILURE, "connection to client lost")
        .detail(gone.to_string())
}
