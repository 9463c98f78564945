//! Backend messages out: everything that a session says to its client becomes bytes in one buffer, which leaves in one send a batch.
//!
//! Pure: no socket here. Values are appended straight into the buffer and their lengths patched in afterwards, so a row costs no allocation and no
//! copy of its own. The buffer's bound is a request, not a cap: [`ResponseWriter::over_bound`] tells the writer of rows to wait until the client has
//! taken some ([`crate::pg::client::Client::drain`]); one row may go over it.
//! Messages of the handshake, which are rare, are encoded by pgwire; those of queries are encoded here.
//! Source: PostgreSQL 15, "Message Formats".

use bytes::BytesMut;
use pgwire::messages::Message;
use types::SqlState;

use super::error_response::{PgError, Severity, encode_fields, put_cstring};

/// How a value is represented on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// As PostgreSQL prints it.
    #[default]
    Text,
    /// As PostgreSQL's binary send functions encode it.
    Binary,
}

impl Format {
    /// The code on the wire.
    pub const fn code(self) -> i16 {
        match self {
            Format::Text => 0,
            Format::Binary => 1,
        }
    }
}

/// One column of a row description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Column name.
    pub name: &'a str,
    /// The table's oid if the column is a table's, else 0.
    pub table_oid: u32,
    /// The column's number in that table from 1, else 0.
    pub column_attr: i16,
    /// The type's oid.
    pub type_oid: u32,
    /// Bytes of the type, −1 if it varies.
    pub typlen: i16,
    /// The type modifier, −1 if none.
    pub typmod: i32,
    /// The format of the values; text when a statement is described, since it is not known yet.
    pub format: Format,
}

/// Where a client stands between statements; shown in ReadyForQuery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionStatus {
    /// Not in a transaction block.
    Idle,
    /// In a transaction block.
    InBlock,
    /// In a transaction block that can only be rolled back.
    Failed,
}

impl TransactionStatus {
    const fn code(self) -> u8 {
        match self {
            TransactionStatus::Idle => b'I',
            TransactionStatus::InBlock => b'T',
            TransactionStatus::Failed => b'E',
        }
    }
}

/// Frontend-visible messages as bytes in one buffer.
#[derive(Debug)]
pub struct ResponseWriter {
    buffer: Vec<u8>,
    bytes_bound: usize,
    send_wanted: bool,
}

/// Bytes of the type letter and of the length field.
const HEADER_BYTES: usize = 5;
/// The length field of a NULL.
const NULL_LENGTH: [u8; 4] = (-1_i32).to_be_bytes();

impl ResponseWriter {
    /// An empty buffer that asks to be drained once it holds `bytes_bound`.
    pub fn new(bytes_bound: usize) -> ResponseWriter {
        ResponseWriter { buffer: Vec::new(), bytes_bound, send_wanted: false }
    }

    /// Whether whoever produces rows should let the client take some first.
    #[inline]
    pub fn over_bound(&self) -> bool {
        self.buffer.len() >= self.bytes_bound
    }

    /// Whether something was written that the client waits for.
    #[inline]
    pub fn send_wanted(&self) -> bool {
        self.send_wanted
    }

    /// Bytes written and not yet taken.
    pub fn as_bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// All bytes written, for a writer that serves no connection itself: rows encoded elsewhere go to their client by [`Client::forward`].
    ///
    /// [`Client::forward`]: crate::pg::client::Client::forward
    pub fn into_bytes(self) -> Vec<u8> {
        self.buffer
    }

    /// Appends whole messages that another writer made.
    pub(crate) fn append(&mut self, messages: &[u8]) {
        self.buffer.extend_from_slice(messages);
    }

    /// Asks that everything written so far leaves at the end of the batch.
    #[inline]
    pub fn request_send(&mut self) {
        self.send_wanted = true;
    }

    /// Takes all bytes, to be sent; give the vector back with [`ResponseWriter::restore`].
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.send_wanted = false;
        std::mem::take(&mut self.buffer)
    }

    /// Gives back the vector that [`ResponseWriter::take`] lent, so that its memory is used again.
    pub(crate) fn restore(&mut self, mut sent: Vec<u8>) {
        assert!(self.buffer.is_empty(), "nothing is written while a send is under way");
        sent.clear();
        self.buffer = sent;
    }

    /// Frees the memory of a large answer, once the connection goes idle.
    pub(crate) fn shrink(&mut self, bytes_kept: usize) {
        if self.buffer.is_empty() && self.buffer.capacity() > bytes_kept {
            self.buffer = Vec::new();
        }
    }

    /// Bytes of memory held.
    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    #[inline]
    fn begin(&mut self, kind: u8) -> usize {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[kind, 0, 0, 0, 0]);
        start
    }

    /// Patches the length of the message begun at `start`. A message whose length does not fit is taken back and becomes an error.
    #[inline]
    fn end(&mut self, start: usize) -> Result<(), PgError> {
        end_message(&mut self.buffer, start)
    }

    /// As [`ResponseWriter::end`], for messages that are bounded by construction.
    #[inline]
    fn end_small(&mut self, start: usize) {
        let ended = self.end(start);
        assert!(ended.is_ok(), "only rows and copied bytes can grow past the length field");
    }

    #[inline]
    fn bare(&mut self, kind: u8) {
        self.buffer.extend_from_slice(&[kind, 0, 0, 0, 4]);
    }

    /// A message that pgwire encodes.
    pub(crate) fn handshake(&mut self, message: &impl Message) {
        let mut bytes = BytesMut::new();
        message.encode(&mut bytes).expect("handshake messages are far below pgwire's limits");
        self.buffer.extend_from_slice(&bytes);
        self.send_wanted = true;
    }

    /// The one byte that answers a request for encryption.
    pub(crate) fn encryption_refused(&mut self) {
        self.buffer.push(b'N');
        self.send_wanted = true;
    }

    /// ParseComplete.
    #[inline]
    pub(crate) fn parse_complete(&mut self) {
        self.bare(b'1');
    }

    /// BindComplete.
    #[inline]
    pub(crate) fn bind_complete(&mut self) {
        self.bare(b'2');
    }

    /// CloseComplete.
    pub(crate) fn close_complete(&mut self) {
        self.bare(b'3');
    }

    /// ReadyForQuery; the client waits for it, so the batch leaves.
    #[inline]
    pub(crate) fn ready_for_query(&mut self, status: TransactionStatus) {
        self.buffer.extend_from_slice(&[b'Z', 0, 0, 0, 5, status.code()]);
        self.send_wanted = true;
    }

    /// The value of a setting that clients watch.
    pub fn parameter_status(&mut self, name: &str, value: &str) {
        let start = self.begin(b'S');
        put_cstring(&mut self.buffer, name);
        put_cstring(&mut self.buffer, value);
        self.end_small(start);
    }

    /// The types of a prepared statement's parameters.
    pub fn parameter_description(&mut self, type_oids: &[u32]) {
        let count = u16::try_from(type_oids.len()).expect("Parse counts parameters in 16 bits");
        let start = self.begin(b't');
        self.buffer.extend_from_slice(&count.to_be_bytes());
        for oid in type_oids {
            self.buffer.extend_from_slice(&oid.to_be_bytes());
        }
        self.end_small(start);
    }

    /// The columns of the rows that follow.
    pub fn row_description<'f>(&mut self, fields: impl IntoIterator<Item = Field<'f>>) {
        let start = self.begin(b'T');
        self.buffer.extend_from_slice(&[0, 0]);
        let mut count = 0_i16;
        for field in fields {
            count += 1;
            put_cstring(&mut self.buffer, field.name);
            self.buffer.extend_from_slice(&field.table_oid.to_be_bytes());
            self.buffer.extend_from_slice(&field.column_attr.to_be_bytes());
            self.buffer.extend_from_slice(&field.type_oid.to_be_bytes());
            self.buffer.extend_from_slice(&field.typlen.to_be_bytes());
            self.buffer.extend_from_slice(&field.typmod.to_be_bytes());
            self.buffer.extend_from_slice(&field.format.code().to_be_bytes());
        }
        let count_at = start + HEADER_BYTES;
        self.buffer[count_at..count_at + 2].copy_from_slice(&count.to_be_bytes());
        self.end_small(start);
    }

    /// The statement returns no rows.
    pub fn no_data(&mut self) {
        self.bare(b'n');
    }

    /// Begins a row of `columns` values; write each, then [`RowWriter::finish`]. A row dropped unfinished was never there.
    #[inline]
    pub fn data_row(&mut self, columns: u16) -> RowWriter<'_> {
        let start = self.begin(b'D');
        self.buffer.extend_from_slice(&columns.to_be_bytes());
        RowWriter { buffer: &mut self.buffer, start, columns, written: 0, finished: false }
    }

    /// The statement is done.
    pub fn command_complete(&mut self, tag: &str) {
        let start = self.begin(b'C');
        put_cstring(&mut self.buffer, tag);
        self.end_small(start);
    }

    /// The statement is done: a verb and how many rows (`SELECT 3`; PostgreSQL's insert says `INSERT 0 3`).
    #[inline]
    pub fn command_complete_rows(&mut self, verb: &str, row_count: u64) {
        let start = self.begin(b'C');
        self.buffer.extend_from_slice(verb.as_bytes());
        self.buffer.push(b' ');
        put_decimal(&mut self.buffer, row_count);
        self.buffer.push(0);
        self.end_small(start);
    }

    /// The statement text held nothing.
    pub fn empty_query(&mut self) {
        self.bare(b'I');
    }

    /// The portal has more rows than were asked for.
    pub fn portal_suspended(&mut self) {
        self.bare(b's');
    }

    /// A notice. Notices wait for the end of the batch like everything else.
    pub fn notice(&mut self, notice: &PgError) {
        let start = self.begin(b'N');
        encode_fields(notice.fields(), &mut self.buffer);
        self.end_small(start);
    }

    /// An error. Sessions return errors instead; the connection writes them, since it must also change its own state.
    pub(crate) fn error(&mut self, error: &PgError) {
        let is_error = matches!(error.fields().severity, Severity::Error | Severity::Fatal);
        assert!(is_error, "a notice is not an error");
        let start = self.begin(b'E');
        encode_fields(error.fields(), &mut self.buffer);
        self.end_small(start);
        self.send_wanted |= error.is_fatal();
    }

    /// A message on a channel that the session listens to.
    pub fn notification(&mut self, process_id: u32, channel: &str, payload: &str) {
        let start = self.begin(b'A');
        self.buffer.extend_from_slice(&process_id.to_be_bytes());
        put_cstring(&mut self.buffer, channel);
        put_cstring(&mut self.buffer, payload);
        self.end_small(start);
    }

    /// CopyInResponse; [`crate::pg::client::Client::begin_copy_in`] sends it and turns the connection around.
    pub(crate) fn copy_in_response(&mut self, overall: Format, columns: u16) {
        self.copy_response(b'G', overall, columns);
        self.send_wanted = true;
    }

    /// The rows that follow are copied out: every column in `overall` format.
    pub fn copy_out_response(&mut self, overall: Format, columns: u16) {
        self.copy_response(b'H', overall, columns);
    }

    fn copy_response(&mut self, kind: u8, overall: Format, columns: u16) {
        let start = self.begin(kind);
        self.buffer.push(overall.code() as u8);
        self.buffer.extend_from_slice(&columns.to_be_bytes());
        for _ in 0..columns {
            self.buffer.extend_from_slice(&overall.code().to_be_bytes());
        }
        self.end_small(start);
    }

    /// One message of copied bytes, appended by `write`; PostgreSQL sends one a row.
    ///
    /// # Errors
    /// 54000 when the bytes do not fit one message; then nothing was written.
    pub fn copy_data(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), PgError> {
        let start = self.begin(b'd');
        write(&mut self.buffer);
        self.end(start)
    }

    /// All copied bytes have been written; CommandComplete follows.
    pub fn copy_done(&mut self) {
        self.bare(b'c');
    }
}

/// One row being written.
#[derive(Debug)]
pub struct RowWriter<'a> {
    buffer: &'a mut Vec<u8>,
    start: usize,
    columns: u16,
    written: u16,
    finished: bool,
}

impl RowWriter<'_> {
    /// A NULL.
    #[inline]
    pub fn null(&mut self) {
        self.written += 1;
        self.buffer.extend_from_slice(&NULL_LENGTH);
    }

    /// A value that exists as bytes.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.value(|buffer| buffer.extend_from_slice(bytes));
    }

    /// A value that `write` appends to the buffer; its length is patched in afterwards. `write` must not touch what is there already.
    #[inline]
    pub fn value<R>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let mark = self.begin_value();
        let result = write(self.buffer);
        self.end_value(mark);
        result
    }

    /// Begins a value whose bytes are appended to [`RowWriter::buffer`]; for callers behind a trait object, who cannot pass a closure.
    #[inline]
    pub fn begin_value(&mut self) -> ValueMark {
        let mark = ValueMark(self.buffer.len());
        self.buffer.extend_from_slice(&[0; 4]);
        mark
    }

    /// Where the bytes of the begun value go. Append only.
    #[inline]
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        self.buffer
    }

    /// Ends the value begun at `mark`.
    #[inline]
    pub fn end_value(&mut self, mark: ValueMark) {
        let value_start = mark.0 + 4;
        assert!(self.buffer.len() >= value_start, "values are appended, never taken away");
        // A value too long for its length field makes the row too long as well: `finish` refuses it.
        let bytes = u32::try_from(self.buffer.len() - value_start).unwrap_or(u32::MAX);
        self.buffer[mark.0..value_start].copy_from_slice(&bytes.to_be_bytes());
        self.written += 1;
    }

    /// Ends the row.
    ///
    /// # Errors
    /// 54000 when the row does not fit one message; then it was never there.
    ///
    /// # Panics
    /// When the number of values is not the number announced.
    #[inline]
    pub fn finish(mut self) -> Result<(), PgError> {
        assert_eq!(self.written, self.columns, "a row holds the values it announced");
        self.finished = true;
        end_message(self.buffer, self.start)
    }
}

impl Drop for RowWriter<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.buffer.truncate(self.start);
        }
    }
}

/// Where a value's length is patched in.
#[derive(Debug)]
pub struct ValueMark(usize);

/// Patches the length of the message that begins at `start`; too long a message is taken back.
#[inline]
fn end_message(buffer: &mut Vec<u8>, start: usize) -> Result<(), PgError> {
    let bytes = buffer.len() - start - 1;
    match i32::try_from(bytes) {
        Ok(length) => {
            buffer[start + 1..start + HEADER_BYTES].copy_from_slice(&length.to_be_bytes());
            Ok(())
        }
        Err(_) => {
            buffer.truncate(start);
            let text = format!("an answer of {bytes} bytes does not fit one message");
            Err(PgError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, text))
        }
    }
}

/// Appends a number in decimal, without the formatting machinery.
#[inline]
fn put_decimal(buffer: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    buffer.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests;
