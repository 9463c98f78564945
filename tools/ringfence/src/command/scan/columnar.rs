//! Rows into a file of columns: their binary form becomes values, a batch at a time.

use std::io::{self, Write};
use std::sync::Arc;

use olap::{ExportFormat, FileExport, ResultBatch};
use plan::query::OutputColumn;
use types::{TextSettings, Value, binary_format};

/// Rows of a batch.
const BATCH_ROWS: usize = 8 * 1024;

/// Writes rows of binary cells into a file.
pub struct Columnar<W: Write + Send> {
    format: ExportFormat,
    /// Until the columns are known.
    out: Option<W>,
    export: Option<FileExport<W>>,
    columns: Arc<[OutputColumn]>,
    held: Vec<Vec<Value>>,
}

impl<W: Write + Send> Columnar<W> {
    /// Into a file.
    pub fn new(out: W, format: ExportFormat) -> Columnar<W> {
        Columnar { format, out: Some(out), export: None, columns: Arc::from([]), held: Vec::new() }
    }

    /// The columns; once, before the rows.
    ///
    /// # Errors
    /// If the file's head cannot be written.
    pub fn columns(&mut self, columns: Vec<OutputColumn>) -> io::Result<()> {
        self.columns = columns.into();
        let Some(out) = self.out.take() else { return Ok(()) };
        let (format, columns) = (self.format, self.columns.clone());
        let export = FileExport::new(out, format, columns, TextSettings::DEFAULT);
        self.export = Some(export.map_err(io::Error::other)?);
        Ok(())
    }

    /// A row of binary cells.
    ///
    /// # Errors
    /// If it cannot be written, or the format has no place for one of its values.
    pub fn row(&mut self, cells: &[Option<&[u8]>]) -> io::Result<()> {
        let mut row = Vec::with_capacity(cells.len());
        for (cell, column) in cells.iter().zip(self.columns.iter()) {
            row.push(match cell {
                None => Value::Null,
                Some(bytes) => binary_format::receive(bytes, column.column_type.sql_type)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?,
            });
        }
        self.held.push(row);
        if self.held.len() == BATCH_ROWS { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> io::Result<()> {
        let Some(export) = &mut self.export else { return Ok(()) };
        let batch = ResultBatch::from_rows(self.columns.clone(), &self.held);
        self.held.clear();
        batch.and_then(|batch| export.write(&batch)).map_err(io::Error::other)
    }

    /// Writes what is held and the file's end.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(mut self) -> io::Result<()> {
        if !self.held.is_empty() {
            self.write()?;
        }
        match self.export {
            Some(export) => export.finish().map(drop).map_err(io::Error::other),
            None => Ok(()),
        }
    }
}
