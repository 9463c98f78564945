//! The forms that an answer's rows take on background threads: owned values for statements that go on with them, messages of the wire for clients.

use net::pg::error_response::PgError;
use net::pg::response::ResponseWriter;
use olap::{BatchReader, Cell, ResultBatch};
use session::analytics::{EncodedRows, RowEncoding};
use session::output::{Format, Formats};
use types::binary_format::{append_binary, append_binary_ref};
use types::copy_format::{CopyFormat, CopyOptions, CopyWriter};
use types::text_format::{append_text, append_text_ref};
use types::{SqlType, TextSettings, Value, ValueError};

/// Bytes of one piece of an answer, beyond which no further row joins it.
const PIECE_BYTES: usize = 64 << 10;

/// What becomes of rows.
pub trait Form: Send + 'static {
    /// Some rows in this form.
    type Rows: Send + 'static;

    /// Rows of a batch from one on, as many as a piece holds, at least one; and the first row that is left.
    ///
    /// # Errors
    /// 54000 for a row that does not fit one message; XX001.
    fn rows(&mut self, batch: &ResultBatch, from: usize)
    -> Result<(Self::Rows, usize), ValueError>;
}

/// Values, for statements that do something with them.
pub struct OwnedValues;

impl Form for OwnedValues {
    type Rows = Vec<Vec<Value>>;

    fn rows(
        &mut self,
        batch: &ResultBatch,
        from: usize,
    ) -> Result<(Self::Rows, usize), ValueError> {
        let reader = batch.reader();
        let columns = batch.columns().len();
        let mut rows = Vec::with_capacity(batch.row_count() - from);
        for row in from..batch.row_count() {
            let values: Result<Vec<Value>, ValueError> =
                (0..columns).map(|column| reader.value(row, column)).collect();
            rows.push(values?);
        }
        Ok((rows, batch.row_count()))
    }
}

/// Messages of the wire: one for each row.
pub struct WireRows {
    kind: Kind,
    settings: TextSettings,
    /// One field of a COPY record.
    field: Vec<u8>,
}

enum Kind {
    Answer(Formats),
    /// COPY's writer is made with the first row, when the columns are known.
    Copy(CopyOptions, Option<CopyWriter>),
}

impl WireRows {
    /// In an encoding.
    pub fn new(encoding: RowEncoding) -> WireRows {
        let (kind, settings) = match encoding {
            RowEncoding::Answer { formats, settings } => (Kind::Answer(formats), settings),
            RowEncoding::Copy { options, settings } => (Kind::Copy(options, None), settings),
        };
        WireRows { kind, settings, field: Vec::new() }
    }
}

fn append(
    cell: &Cell<'_>,
    sql_type: SqlType,
    format: Format,
    settings: &TextSettings,
    out: &mut Vec<u8>,
) {
    match (cell, format) {
        (Cell::Borrowed(value), Format::Text) => append_text_ref(value, sql_type, settings, out),
        (Cell::Borrowed(value), Format::Binary) => {
            append_binary_ref(value.clone(), sql_type, out);
        }
        (Cell::Array(value), Format::Text) => append_text(value, sql_type, settings, out),
        (Cell::Array(value), Format::Binary) => append_binary(value, sql_type, out),
    }
}

fn is_null(cell: &Cell<'_>) -> bool {
    match cell {
        Cell::Borrowed(value) => value.is_null(),
        Cell::Array(value) => value.is_null(),
    }
}

fn too_long(error: &PgError) -> ValueError {
    ValueError::new(error.fields().sqlstate, error.fields().message.clone())
}

impl Form for WireRows {
    type Rows = EncodedRows;

    fn rows(
        &mut self,
        batch: &ResultBatch,
        from: usize,
    ) -> Result<(EncodedRows, usize), ValueError> {
        let reader = batch.reader();
        let types: Vec<SqlType> =
            batch.columns().iter().map(|column| column.column_type.sql_type).collect();
        let mut writer = ResponseWriter::new(PIECE_BYTES);
        let mut ends = Vec::new();
        let mut row = from;
        while row < batch.row_count() && !writer.over_bound() {
            match &mut self.kind {
                Kind::Answer(formats) => {
                    answer_row(&reader, row, &types, formats, &self.settings, &mut writer)?;
                }
                Kind::Copy(options, copy) => {
                    let copy =
                        copy.get_or_insert_with(|| CopyWriter::new(options.clone(), types.len()));
                    let format = match options.format() {
                        CopyFormat::Binary => Format::Binary,
                        CopyFormat::Text | CopyFormat::Csv => Format::Text,
                    };
                    let record = Record { reader: &reader, row, types: &types, format };
                    record.write(copy, &self.settings, &mut self.field, &mut writer)?;
                }
            }
            ends.push(writer.as_bytes().len() as u32);
            row += 1;
        }
        Ok((EncodedRows { bytes: writer.into_bytes(), ends }, row))
    }
}

fn answer_row(
    reader: &BatchReader<'_>,
    row: usize,
    types: &[SqlType],
    formats: &Formats,
    settings: &TextSettings,
    writer: &mut ResponseWriter,
) -> Result<(), ValueError> {
    let mut message = writer.data_row(types.len() as u16);
    for (column, sql_type) in types.iter().enumerate() {
        let cell = reader.cell(row, column)?;
        if is_null(&cell) {
            message.null();
        } else {
            let format = formats.of(column);
            message.value(|out| append(&cell, *sql_type, format, settings, out));
        }
    }
    message.finish().map_err(|error| too_long(&error))
}

/// One record of COPY … TO.
struct Record<'a> {
    reader: &'a BatchReader<'a>,
    row: usize,
    types: &'a [SqlType],
    format: Format,
}

impl Record<'_> {
    fn write(
        &self,
        copy: &CopyWriter,
        settings: &TextSettings,
        field: &mut Vec<u8>,
        writer: &mut ResponseWriter,
    ) -> Result<(), ValueError> {
        let mut outcome = Ok(());
        let written = writer.copy_data(|out| {
            let mut record = copy.row(out);
            for (column, sql_type) in self.types.iter().enumerate() {
                match self.reader.cell(self.row, column) {
                    Ok(cell) if is_null(&cell) => record.field(None),
                    Ok(cell) => {
                        field.clear();
                        append(&cell, *sql_type, self.format, settings, field);
                        record.field(Some(field));
                    }
                    Err(error) => {
                        outcome = Err(error);
                        record.field(None);
                    }
                }
            }
            record.end();
        });
        outcome?;
        written.map_err(|error| too_long(&error))
    }
}
