//! Rows on their way out, without a type of the engine below.

use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use plan::query::OutputColumn;
use types::{SqlType, Value, ValueError, ValueRef};

use crate::error::AnalyticsError;
use crate::physical::Cells;
use crate::statistics::QueryStatistics;

/// Some rows of an answer.
#[derive(Clone, Debug)]
pub struct ResultBatch {
    pub(crate) batch: RecordBatch,
    pub(crate) columns: Arc<[OutputColumn]>,
}

impl ResultBatch {
    /// Rows.
    pub fn row_count(&self) -> usize {
        self.batch.num_rows()
    }

    /// What a client sees of each column.
    pub fn columns(&self) -> &[OutputColumn] {
        &self.columns
    }

    /// Bytes that the rows hold in memory, roughly.
    pub fn byte_count(&self) -> usize {
        self.batch.get_array_memory_size()
    }

    /// The batch opened for reading; once for all its rows.
    pub fn reader(&self) -> BatchReader<'_> {
        let cells = self
            .batch
            .columns()
            .iter()
            .zip(self.columns.iter())
            .map(|(array, column)| Cells::new(array, column.column_type.sql_type))
            .collect();
        let types = self.columns.iter().map(|column| column.column_type.sql_type).collect();
        BatchReader { cells, types }
    }
}

/// Reads the values of a batch.
pub struct BatchReader<'a> {
    cells: Vec<Cells<'a>>,
    types: Vec<SqlType>,
}

/// A value of an answer.
#[derive(Clone, Debug)]
pub enum Cell<'a> {
    /// Everything but arrays.
    Borrowed(ValueRef<'a>),
    /// An array.
    Array(Value),
}

impl<'a> BatchReader<'a> {
    /// One value.
    ///
    /// # Errors
    /// XX001 if an array does not decode.
    ///
    /// # Panics
    /// If there is no such row or column.
    pub fn cell(&self, row: usize, column: usize) -> Result<Cell<'a>, ValueError> {
        let cells = &self.cells[column];
        if self.types[column].element().is_some() {
            return cells.owned(row).map(Cell::Array);
        }
        Ok(Cell::Borrowed(cells.get(row)))
    }

    /// One value, owned.
    ///
    /// # Errors
    /// XX001 if a number or an array does not decode.
    ///
    /// # Panics
    /// If there is no such row or column.
    pub fn value(&self, row: usize, column: usize) -> Result<Value, ValueError> {
        self.cells[column].owned(row)
    }
}

/// Nobody reads the answer any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SinkClosed;

/// Takes an answer. All calls come from analytics threads, one after the other, so encoding rows for the client belongs into `send`.
pub trait ResultSink: Send {
    /// Waits until there is room for a batch.
    ///
    /// # Errors
    /// If nobody reads any more; the query stops.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SinkClosed>>;

    /// Takes a batch; there was room.
    ///
    /// # Errors
    /// If nobody reads any more, or the rows cannot be encoded (then say why in `finish`'s stead).
    fn send(&mut self, batch: ResultBatch) -> Result<(), SinkError>;

    /// The end; called once, after all batches, whatever happened.
    fn finish(self: Box<Self>, outcome: Result<QueryStatistics, AnalyticsError>);
}

/// Why a sink takes no more.
#[derive(Clone, Debug)]
pub enum SinkError {
    /// Nobody reads any more.
    Closed,
    /// A value could not be written as the client wants it.
    Failed(AnalyticsError),
}
