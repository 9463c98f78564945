//! The copy sub-protocol: a statement that reads from its client, and one that writes to it.
//!
//! The session pulls: nothing is received while it works on what it has, so TCP holds the client back and the window is one receive. Copying out is
//! [`ResponseWriter::copy_out_response`], then [`ResponseWriter::copy_data`] a row with [`Client::drain`] between them, then
//! [`ResponseWriter::copy_done`]. The rows inside are `types::copy_format`.
//!
//! [`ResponseWriter::copy_out_response`]: super::response::ResponseWriter::copy_out_response
//! [`ResponseWriter::copy_data`]: super::response::ResponseWriter::copy_data
//! [`ResponseWriter::copy_done`]: super::response::ResponseWriter::copy_done

use types::SqlState;

use super::client::{Client, connection_lost};
use super::connection::CopyStep;
use super::error_response::PgError;
use super::response::Format;
use crate::error::ClientGone;

impl Client {
    /// Asks the client for copied bytes: `columns` columns, all in one format. Then call [`Client::copy_in_next`] until it gives `None`.
    ///
    /// # Errors
    /// 08006, fatal, when the client is gone.
    pub async fn begin_copy_in(&mut self, format: Format, columns: u16) -> Result<(), PgError> {
        self.out.copy_in_response(format, columns);
        self.connection.begin_copy_in();
        self.send().await.map_err(|gone| connection_lost(&gone))
    }

    /// The next bytes, or `None` once the client has sent all. Chunks end anywhere, inside a row or not.
    ///
    /// # Errors
    /// 57014 when the client gives up or the statement is cancelled; fatal ones when the client is gone or breaks the protocol. The copy is over then.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub async fn copy_in_next(&mut self) -> Result<Option<&[u8]>, PgError> {
        let chunk = loop {
            match self.connection.next_copy_step().map_err(|rejected| rejected.error)? {
                Some(CopyStep::Chunk(chunk)) => break chunk,
                Some(CopyStep::Done) => return Ok(None),
                Some(CopyStep::Failed(reason)) => {
                    let text = format!("COPY from stdin failed: {reason}");
                    return Err(PgError::new(SqlState::QUERY_CANCELED, text));
                }
                Some(CopyStep::Terminated) => return Err(connection_lost(&ClientGone::Ended)),
                None => self.receive_in_statement().await?,
            }
        };
        Ok(Some(self.connection.chunk(chunk)))
    }
}
