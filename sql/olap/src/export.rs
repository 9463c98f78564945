//! An answer as a Parquet or Arrow file, in the types that other programs expect.
//!
//! | SQL type | column of the file |
//! |---|---|
//! | boolean, integers, floats | the same |
//! | oid and its kin | 64-bit integer |
//! | numeric(p, s), p ≤ 38, 0 ≤ s ≤ p | decimal(p, s) |
//! | other numeric | text: nothing else holds any precision, NaN and infinities |
//! | date | date; days since 1970 |
//! | timestamp, timestamptz | microseconds since 1970; the latter in UTC |
//! | interval | months, days, nanoseconds |
//! | strings | text |
//! | bytea | binary |
//! | uuid | sixteen bytes |
//! | arrays | text, as PostgreSQL prints them |
//!
//! What a column cannot hold (an infinite date, a NaN in a decimal) is an error that names the value's type, never another value.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BinaryViewArray, Date32Array, Decimal128Array,
    FixedSizeBinaryArray, Int32Array, Int64Array, IntervalMonthDayNanoArray, RecordBatch,
    StringArray, StringViewArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, IntervalMonthDayNano, IntervalUnit, Schema, TimeUnit};
use arrow::ipc::writer::FileWriter;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use plan::query::OutputColumn;
use types::text_format::append_text;
use types::{ColumnType, Numeric, SqlState, SqlType, TextSettings, ValueError, ValueRef};

use crate::error::AnalyticsError;
use crate::physical::{Cells, arrow_type};
use crate::result::ResultBatch;

/// Days from 1970-01-01 to 2000-01-01.
const EPOCH_DAYS: i32 = 10_957;
/// Microseconds of those days.
const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;
/// Most digits of a decimal column.
const DECIMAL_DIGITS_MAX: u16 = 38;

/// Which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// Parquet, Snappy-compressed.
    Parquet,
    /// Arrow's file format (IPC with footer).
    Arrow,
}

enum Writer<W: Write + Send> {
    Parquet(ArrowWriter<W>),
    Arrow(FileWriter<W>),
}

/// Writes the batches of one answer into a file.
pub struct FileExport<W: Write + Send = BufWriter<File>> {
    writer: Writer<W>,
    schema: Arc<Schema>,
    columns: Arc<[OutputColumn]>,
    settings: TextSettings,
}

impl<W: Write + Send> std::fmt::Debug for FileExport<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileExport").field("schema", &self.schema).finish_non_exhaustive()
    }
}

fn written(error: ParquetError) -> AnalyticsError {
    match error {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(source) => AnalyticsError::Write { source: Arc::new(*source) },
            Err(other) => {
                AnalyticsError::Engine { message: other.to_string(), source: Arc::from(other) }
            }
        },
        other => AnalyticsError::Engine { message: other.to_string(), source: Arc::new(other) },
    }
}

impl FileExport {
    /// Makes the file.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn create(
        path: &Path,
        format: ExportFormat,
        columns: Arc<[OutputColumn]>,
        settings: TextSettings,
    ) -> Result<FileExport, AnalyticsError> {
        let file = File::create(path)
            .map_err(|source| AnalyticsError::Write { source: Arc::new(source) })?;
        FileExport::new(BufWriter::new(file), format, columns, settings)
    }
}

impl<W: Write + Send> FileExport<W> {
    /// Writes into anything.
    ///
    /// # Errors
    /// If the head cannot be written.
    pub fn new(
        out: W,
        format: ExportFormat,
        columns: Arc<[OutputColumn]>,
        settings: TextSettings,
    ) -> Result<FileExport<W>, AnalyticsError> {
        let fields: Vec<Field> = columns
            .iter()
            .map(|column| Field::new(&*column.name, exported_type(column.column_type), true))
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let writer = match format {
            ExportFormat::Parquet => {
                let properties =
                    WriterProperties::builder().set_compression(Compression::SNAPPY).build();
                let writer = ArrowWriter::try_new(out, schema.clone(), Some(properties));
                Writer::Parquet(writer.map_err(written)?)
            }
            ExportFormat::Arrow => Writer::Arrow(FileWriter::try_new(out, &schema)?),
        };
        Ok(FileExport { writer, schema, columns, settings })
    }

    /// Appends rows.
    ///
    /// # Errors
    /// If they cannot be written, or hold a value that the file cannot.
    pub fn write(&mut self, batch: &ResultBatch) -> Result<(), AnalyticsError> {
        let arrays = batch
            .batch
            .columns()
            .iter()
            .zip(self.columns.iter())
            .map(|(array, column)| exported(array, column.column_type, &self.settings))
            .collect::<Result<Vec<ArrayRef>, AnalyticsError>>()?;
        let options =
            arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.row_count()));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)?;
        match &mut self.writer {
            Writer::Parquet(writer) => writer.write(&batch).map_err(written),
            Writer::Arrow(writer) => Ok(writer.write(&batch)?),
        }
    }

    /// Writes the file's end.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(self) -> Result<W, AnalyticsError> {
        let mut out = match self.writer {
            Writer::Parquet(writer) => writer.into_inner().map_err(written)?,
            Writer::Arrow(mut writer) => {
                writer.finish()?;
                writer.into_inner()?
            }
        };
        out.flush().map_err(|source| AnalyticsError::Write { source: Arc::new(source) })?;
        Ok(out)
    }
}

/// Digits and scale of a numeric that a decimal column holds.
fn decimal(column_type: ColumnType) -> Option<(u8, i8)> {
    let (digits, scale) = column_type.numeric_precision_scale()?;
    let scale = u16::try_from(scale).ok()?;
    (digits <= DECIMAL_DIGITS_MAX && scale <= digits).then_some((digits as u8, scale as i8))
}

fn exported_type(column_type: ColumnType) -> DataType {
    match column_type.sql_type {
        SqlType::Date => DataType::Date32,
        SqlType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        SqlType::Timestamptz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        SqlType::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
        SqlType::Numeric => match decimal(column_type) {
            Some((digits, scale)) => DataType::Decimal128(digits, scale),
            None => DataType::Utf8,
        },
        SqlType::Bytea => DataType::Binary,
        sql_type if sql_type.element().is_some() || sql_type.is_string() => DataType::Utf8,
        SqlType::Void => DataType::Utf8,
        sql_type => arrow_type(sql_type),
    }
}

#[cold]
fn unfit(what: &str) -> AnalyticsError {
    ValueError::new(
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        format!("{what} has no place in a file of this format"),
    )
    .into()
}

fn down<T: 'static>(array: &ArrayRef) -> &T {
    array.as_any().downcast_ref().expect("the array has the type that lowering gave it")
}

fn exported(
    array: &ArrayRef,
    column_type: ColumnType,
    settings: &TextSettings,
) -> Result<ArrayRef, AnalyticsError> {
    match column_type.sql_type {
        SqlType::Date => {
            let days: &Int32Array = down(array);
            let moved =
                days.try_unary::<_, arrow::datatypes::Date32Type, AnalyticsError>(|days| {
                    let finite = days != i32::MAX && days != i32::MIN;
                    let moved = days.checked_add(EPOCH_DAYS).filter(|_| finite);
                    moved.ok_or_else(|| unfit("an infinite date"))
                })?;
            Ok(Arc::new(Date32Array::from(moved.into_data())))
        }
        SqlType::Timestamp | SqlType::Timestamptz => {
            let micros: &Int64Array = down(array);
            let mut moved = Vec::with_capacity(micros.len());
            for value in micros {
                moved.push(match value {
                    None => None,
                    Some(i64::MAX | i64::MIN) => return Err(unfit("an infinite timestamp")),
                    Some(value) => Some(
                        value
                            .checked_add(EPOCH_MICROS)
                            .ok_or_else(|| unfit("a timestamp this late"))?,
                    ),
                });
            }
            let array = TimestampMicrosecondArray::from(moved);
            let utc = column_type.sql_type == SqlType::Timestamptz;
            Ok(Arc::new(if utc { array.with_timezone("UTC") } else { array }))
        }
        SqlType::Interval => intervals(array),
        SqlType::Numeric => match decimal(column_type) {
            Some((digits, scale)) => decimals(array, digits, scale),
            None => texts(array, column_type.sql_type, settings),
        },
        SqlType::Bytea => {
            let bytes: &BinaryViewArray = down(array);
            Ok(Arc::new(bytes.iter().collect::<BinaryArray>()))
        }
        sql_type if sql_type.element().is_some() => texts(array, sql_type, settings),
        sql_type if sql_type.is_string() || sql_type == SqlType::Void => {
            let strings: &StringViewArray = down(array);
            Ok(Arc::new(strings.iter().collect::<StringArray>()))
        }
        _ => Ok(array.clone()),
    }
}

fn intervals(array: &ArrayRef) -> Result<ArrayRef, AnalyticsError> {
    let fixed: &FixedSizeBinaryArray = down(array);
    let cells = Cells::new(fixed, SqlType::Interval);
    let mut values = Vec::with_capacity(fixed.len());
    for row in 0..fixed.len() {
        values.push(match cells.get(row) {
            ValueRef::Interval(span) => {
                let nanoseconds =
                    span.micros.checked_mul(1_000).ok_or_else(|| unfit("an interval this long"))?;
                Some(IntervalMonthDayNano { months: span.months, days: span.days, nanoseconds })
            }
            _ => None,
        });
    }
    Ok(Arc::new(IntervalMonthDayNanoArray::from(values)))
}

fn decimals(array: &ArrayRef, digits: u8, scale: i8) -> Result<ArrayRef, AnalyticsError> {
    let numbers: &BinaryViewArray = down(array);
    let mut values = Vec::with_capacity(numbers.len());
    for number in numbers {
        values.push(match number {
            None => None,
            Some(bytes) => {
                let number = Numeric::decode(bytes).ok_or_else(|| {
                    ValueError::new(SqlState::DATA_CORRUPTED, "a stored number does not decode")
                })?;
                Some(unscaled(&number, scale).ok_or_else(|| unfit("NaN or an infinity"))?)
            }
        });
    }
    Ok(Arc::new(Decimal128Array::from(values).with_precision_and_scale(digits, scale)?))
}

/// The number times ten to the scale, if that is an integer of 128 bits.
fn unscaled(number: &Numeric, scale: i8) -> Option<i128> {
    if !number.is_finite() {
        return None;
    }
    let mut value: i128 = 0;
    for digit in number.digits() {
        value = value.checked_mul(10_000)?.checked_add(i128::from(*digit))?;
    }
    // The last digit stands for 10000 ^ (weight - count + 1).
    let exponent = (i32::from(number.weight()) - number.digits().len() as i32 + 1) * 4;
    let mut shift = exponent + i32::from(scale);
    if number.is_zero() {
        return Some(0);
    }
    while shift > 0 {
        value = value.checked_mul(10)?;
        shift -= 1;
    }
    while shift < 0 {
        if value % 10 != 0 {
            return None;
        }
        value /= 10;
        shift += 1;
    }
    Some(if number.is_negative() { -value } else { value })
}

fn texts(
    array: &ArrayRef,
    sql_type: SqlType,
    settings: &TextSettings,
) -> Result<ArrayRef, AnalyticsError> {
    let cells = Cells::new(array, sql_type);
    let mut values: Vec<Option<String>> = Vec::with_capacity(array.len());
    for row in 0..array.len() {
        let value = cells.owned(row)?;
        values.push(if value.is_null() {
            None
        } else {
            let mut text = Vec::new();
            append_text(&value, sql_type, settings, &mut text);
            Some(String::from_utf8_lossy(&text).into_owned())
        });
    }
    Ok(Arc::new(StringArray::from(values)))
}
