//! Rows on their way out, without a type of the engine below.

use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use plan::query::OutputColumn;
use types::{SqlType, Value, ValueError, ValueRef};

use crate::error::AnalyticsError;
use crate::lowering::{batch_of, schema_of};
use crate::physical::Cells;
use crate::statistics::QueryStatistics;

/// Some rows of an answer.
#[derive(Clone, Debug)]
pub struct ResultBatch {
    pub(crate) batch: RecordBatch,
    pub(crate) columns: Arc<[OutputColumn]>,
}

impl ResultBatch {
    /// Rows made by hand, for an export of what came over the wire.
    ///
    /// # Errors
    /// XX000 if a value is not of its column's type.
    pub fn from_rows(
        columns: Arc<[OutputColumn]>,
        rows: &[Vec<Value>],
    ) -> Result<ResultBatch, AnalyticsError> {
        let types: Vec<SqlType> =
            columns.iter().map(|column| column.column_type.sql_type).collect();
        let batch = batch_of(&schema_of(&types), &types, rows)?;
        Ok(ResultBatch { batch, columns })
    }

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

/// Takes an answer. All calls come from analytics threads, one after the other, so encoding rows for the client belongs here. None may block the thread.
pub trait ResultSink: Send {
    /// Waits until there is room for a batch; all of the one before has been taken then. Asked once more after the last batch.
    ///
    /// # Errors
    /// If nobody reads any more, or the rows cannot be encoded; the query stops.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SinkError>>;

    /// Takes a batch; there was room.
    ///
    /// # Errors
    /// As [`ResultSink::poll_ready`].
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
