//! Where a session's answers go, and where copied bytes come from. The composition root implements it over the wire protocol.
#![expect(async_fn_in_trait, reason = "connections stay on their core: no future here is Send")]

use plan::query::OutputColumn;
use types::{SqlType, TextSettings, Value, ValueRef};

use crate::error::SqlError;

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// PostgreSQL's text.
    Text,
    /// PostgreSQL's binary.
    Binary,
}

/// The formats that a client asked its results in: none means text for all, one holds for all, else one for each column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Formats(pub Vec<Format>);

impl Formats {
    /// The format of a column.
    pub fn of(&self, column: usize) -> Format {
        match self.0.as_slice() {
            [] => Format::Text,
            [one] => *one,
            many => many.get(column).copied().unwrap_or(Format::Text),
        }
    }
}

/// Something the client is told beside the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// NOTICE
    Notice,
    /// WARNING
    Warning,
}

/// Takes the values of one row.
pub trait RowSink {
    /// The next value.
    fn value(
        &mut self,
        value: ValueRef<'_>,
        sql_type: SqlType,
        format: Format,
        settings: &TextSettings,
    );

    /// The next value, an owned one (arrays come only this way).
    fn owned_value(
        &mut self,
        value: &Value,
        sql_type: SqlType,
        format: Format,
        settings: &TextSettings,
    );
}

/// One client's side of a statement.
pub trait Output {
    /// Describes the rows that follow, for the simple protocol.
    fn describe_rows(&mut self, columns: &[OutputColumn], formats: &Formats);

    /// Writes a row of `columns` values, which `fill` gives one after the other.
    ///
    /// # Errors
    /// What `fill` raises (the row is not written then); 54000 if it is too long for the protocol.
    fn row(
        &mut self,
        columns: u16,
        fill: impl FnOnce(&mut dyn RowSink) -> Result<(), SqlError>,
    ) -> Result<(), SqlError>;

    /// Writes rows that analytics has encoded for this output, and waits while the client takes them.
    ///
    /// # Errors
    /// 08006, fatal, when the client is gone.
    async fn encoded(&mut self, rows: Vec<u8>) -> Result<(), SqlError>;

    /// Says that a statement is done.
    fn complete(&mut self, tag: &str);

    /// Says that a statement is done and how many rows it was about.
    fn complete_rows(&mut self, verb: &str, row_count: u64);

    /// Says that there was no statement.
    fn empty(&mut self);

    /// Says that the row limit of an Execute was reached.
    fn suspended(&mut self);

    /// Tells something that is no error.
    fn notice(&mut self, severity: Severity, notice: &SqlError);

    /// Tells the new value of a reported setting.
    fn setting(&mut self, name: &str, value: &str);

    /// Waits until the client has taken what is over the bound of its buffer.
    ///
    /// # Errors
    /// 08006, fatal, when the client is gone.
    async fn drain(&mut self) -> Result<(), SqlError>;

    /// Asks the client for copied bytes.
    ///
    /// # Errors
    /// 08006, fatal, when the client is gone.
    async fn begin_copy_in(&mut self, format: Format, columns: u16) -> Result<(), SqlError>;

    /// Appends the next copied bytes; `false` when the client has sent all.
    ///
    /// # Errors
    /// 57014 when the client gives up; 08006 when it is gone.
    async fn next_copy_bytes(&mut self, bytes: &mut Vec<u8>) -> Result<bool, SqlError>;

    /// Announces copied bytes to the client.
    fn begin_copy_out(&mut self, format: Format, columns: u16);

    /// One piece of copied bytes.
    ///
    /// # Errors
    /// 54000 if it is too long for the protocol.
    fn copy_out(&mut self, bytes: &[u8]) -> Result<(), SqlError>;

    /// The end of copied bytes.
    fn end_copy_out(&mut self);

    /// Waits until the client, or someone in its name, asks the statement to stop.
    ///
    /// # Cancel safety
    /// Dropping it forgets nothing: a request stays until the statement ends.
    async fn cancelled(&self);
}
