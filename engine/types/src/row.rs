//! A row as bytes: what the commit log, the memtable and the messages between cores carry.
//!
//! ```text
//! | column count (2) | null bitmap (⌈count / 8⌉, bit set = NULL) | values of the columns that are not NULL, in stored order |
//! ```
//! Fixed-length values take their physical width, little-endian; others a LEB128 length and that many bytes. The stored order is the table's column
//! list with dropped columns in their places (they are NULL). A row written before a column was added is shorter than the list; the reader gives the
//! column's `missing` value. Nothing is padded: a row of four small columns costs about eleven bytes above its values.

use crate::sql_type::{PhysicalType, SqlType};
use crate::value::{Interval, Value, ValueRef};
use alloc::vec::Vec;

/// The bytes do not have the shape of a row of this table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the row's bytes are damaged at column {column}")]
pub struct RowError {
    /// Stored position of the column at which reading stopped.
    pub column: usize,
}

/// Appends a row. `types` and `values` agree in length and order.
///
/// # Panics
/// If the lengths differ, a value does not fit its type, or the type is not storable.
pub fn encode_row(types: &[SqlType], values: &[Value], out: &mut Vec<u8>) {
    assert_eq!(types.len(), values.len(), "one value for each column");
    let count = u16::try_from(values.len()).expect("column count is bounded");
    out.extend_from_slice(&count.to_le_bytes());
    let bitmap = out.len();
    out.resize(bitmap + values.len().div_ceil(8), 0);
    for (column, (sql_type, value)) in types.iter().zip(values).enumerate() {
        if value.is_null() {
            out[bitmap + column / 8] |= 1 << (column % 8);
        } else {
            append_column(*sql_type, value, out);
        }
    }
}

fn append_column(sql_type: SqlType, value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Bool(v) => out.push(u8::from(*v)),
        Value::Int2(v) => out.extend_from_slice(&v.to_le_bytes()),
        Value::Int4(v) | Value::Date(v) => out.extend_from_slice(&v.to_le_bytes()),
        Value::Int8(v) | Value::Timestamp(v) | Value::Timestamptz(v) => {
            out.extend_from_slice(&v.to_le_bytes());
        }
        Value::Float4(v) => out.extend_from_slice(&v.to_le_bytes()),
        Value::Float8(v) => out.extend_from_slice(&v.to_le_bytes()),
        Value::Interval(v) => out.extend_from_slice(&v.to_bytes()),
        Value::Uuid(v) => out.extend_from_slice(v),
        Value::Oid(v) => out.extend_from_slice(&i64::from(*v).to_le_bytes()),
        Value::Text(v) => append_variable(v.as_bytes(), out),
        Value::Bytea(v) => append_variable(v, out),
        Value::Numeric(v) => {
            // The encoded length is known without encoding: five bytes and two for each digit.
            append_length(5 + 2 * v.digits().len(), out);
            v.encode(out);
        }
        Value::Null | Value::Array(_) => panic!("not a stored value: {sql_type:?}"),
    }
    debug_assert!(value_fits(sql_type, value), "{value:?} in a column of {sql_type:?}");
}

/// Appends a row from borrowed values: the same bytes as [`encode_row`].
///
/// # Panics
/// If the lengths differ.
pub fn encode_row_refs(types: &[SqlType], values: &[ValueRef<'_>], out: &mut Vec<u8>) {
    assert_eq!(types.len(), values.len(), "one value for each column");
    let count = u16::try_from(values.len()).expect("column count is bounded");
    out.extend_from_slice(&count.to_le_bytes());
    let bitmap = out.len();
    out.resize(bitmap + values.len().div_ceil(8), 0);
    for (column, value) in values.iter().enumerate() {
        match *value {
            ValueRef::Null => out[bitmap + column / 8] |= 1 << (column % 8),
            ValueRef::Bool(v) => out.push(u8::from(v)),
            ValueRef::Int2(v) => out.extend_from_slice(&v.to_le_bytes()),
            ValueRef::Int4(v) | ValueRef::Date(v) => out.extend_from_slice(&v.to_le_bytes()),
            ValueRef::Int8(v) | ValueRef::Timestamp(v) | ValueRef::Timestamptz(v) => {
                out.extend_from_slice(&v.to_le_bytes());
            }
            ValueRef::Float4(v) => out.extend_from_slice(&v.to_le_bytes()),
            ValueRef::Float8(v) => out.extend_from_slice(&v.to_le_bytes()),
            ValueRef::Interval(v) => out.extend_from_slice(&v.to_bytes()),
            ValueRef::Uuid(v) => out.extend_from_slice(&v),
            ValueRef::Oid(v) => out.extend_from_slice(&i64::from(v).to_le_bytes()),
            ValueRef::Text(v) => append_variable(v.as_bytes(), out),
            ValueRef::Bytea(v) | ValueRef::Numeric(v) => append_variable(v, out),
        }
    }
}

/// Whether a column of a type can store a value. NULL is no value, and nobody stores an array.
pub fn value_fits(sql_type: SqlType, value: &Value) -> bool {
    let physical = match value {
        Value::Bool(_) => PhysicalType::Bool,
        Value::Int2(_) => PhysicalType::Int16,
        Value::Int4(_) | Value::Date(_) => PhysicalType::Int32,
        Value::Int8(_) | Value::Timestamp(_) | Value::Timestamptz(_) | Value::Oid(_) => {
            PhysicalType::Int64
        }
        Value::Float4(_) => PhysicalType::Float32,
        Value::Float8(_) => PhysicalType::Float64,
        Value::Interval(_) | Value::Uuid(_) => PhysicalType::Fixed16,
        Value::Text(_) => PhysicalType::Utf8,
        Value::Bytea(_) | Value::Numeric(_) => PhysicalType::Bytes,
        Value::Null | Value::Array(_) => return false,
    };
    physical == sql_type.physical()
}

fn append_length(length: usize, out: &mut Vec<u8>) {
    let mut rest = length;
    while rest >= 0x80 {
        out.push((rest as u8 & 0x7f) | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn append_variable(bytes: &[u8], out: &mut Vec<u8>) {
    append_length(bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// Walks the columns of an encoded row in stored order, without allocation.
#[derive(Clone, Debug)]
pub struct RowReader<'a> {
    bytes: &'a [u8],
    bitmap: &'a [u8],
    offset: usize,
    column: usize,
    count: usize,
}

impl<'a> RowReader<'a> {
    /// Reads the header.
    pub fn new(bytes: &'a [u8]) -> Result<RowReader<'a>, RowError> {
        let head = bytes.first_chunk::<2>().ok_or(RowError { column: 0 })?;
        let count = usize::from(u16::from_le_bytes(*head));
        let end = 2 + count.div_ceil(8);
        let bitmap = bytes.get(2..end).ok_or(RowError { column: 0 })?;
        Ok(RowReader { bytes, bitmap, offset: end, column: 0, count })
    }

    /// Columns that the row holds; later columns of the table take their `missing` value.
    pub const fn column_count(&self) -> usize {
        self.count
    }

    /// The next column, whose type is given; nothing after the last one.
    pub fn next_column(&mut self, sql_type: SqlType) -> Result<Option<ValueRef<'a>>, RowError> {
        if self.column >= self.count {
            return Ok(None);
        }
        let column = self.column;
        self.column += 1;
        if self.bitmap[column / 8] >> (column % 8) & 1 == 1 {
            return Ok(Some(ValueRef::Null));
        }
        let length = match sql_type.physical().fixed_bytes() {
            Some(length) => length,
            None => self.length(column)?,
        };
        let end = self.offset.checked_add(length).ok_or(RowError { column })?;
        let raw = self.bytes.get(self.offset..end).ok_or(RowError { column })?;
        self.offset = end;
        value_from_bytes(sql_type, raw).map(Some).ok_or(RowError { column })
    }

    fn length(&mut self, column: usize) -> Result<usize, RowError> {
        let mut length = 0usize;
        for shift in (0..35).step_by(7) {
            let byte = *self.bytes.get(self.offset).ok_or(RowError { column })?;
            self.offset += 1;
            length |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(length);
            }
        }
        Err(RowError { column })
    }
}

/// A value from the bytes that a row or a page holds for it (little-endian). Nothing if the length or the UTF-8 is wrong.
pub fn value_from_bytes(sql_type: SqlType, raw: &[u8]) -> Option<ValueRef<'_>> {
    Some(match sql_type {
        SqlType::Bool => match raw {
            [0] => ValueRef::Bool(false),
            [1] => ValueRef::Bool(true),
            _ => return None,
        },
        SqlType::Int2 => ValueRef::Int2(i16::from_le_bytes(raw.try_into().ok()?)),
        SqlType::Int4 => ValueRef::Int4(i32::from_le_bytes(raw.try_into().ok()?)),
        SqlType::Int8 => ValueRef::Int8(i64::from_le_bytes(raw.try_into().ok()?)),
        SqlType::Float4 => ValueRef::Float4(f32::from_le_bytes(raw.try_into().ok()?)),
        SqlType::Float8 => ValueRef::Float8(f64::from_le_bytes(raw.try_into().ok()?)),
        SqlType::Date => ValueRef::Date(i32::from_le_bytes(raw.try_into().ok()?)),
        SqlType::Timestamp => ValueRef::Timestamp(i64::from_le_bytes(raw.try_into().ok()?)),
        SqlType::Timestamptz => ValueRef::Timestamptz(i64::from_le_bytes(raw.try_into().ok()?)),
        SqlType::Interval => ValueRef::Interval(Interval::from_bytes(raw.try_into().ok()?)),
        SqlType::Uuid => ValueRef::Uuid(raw.try_into().ok()?),
        SqlType::Oid | SqlType::Regclass | SqlType::Regtype | SqlType::Regproc => {
            ValueRef::Oid(u32::try_from(i64::from_le_bytes(raw.try_into().ok()?)).ok()?)
        }
        SqlType::Numeric => ValueRef::Numeric(raw),
        SqlType::Bytea => ValueRef::Bytea(raw),
        SqlType::Text
        | SqlType::Varchar
        | SqlType::Bpchar
        | SqlType::Name
        | SqlType::Char
        | SqlType::Unknown => ValueRef::Text(core::str::from_utf8(raw).ok()?),
        SqlType::TextArray
        | SqlType::Int2Array
        | SqlType::Int4Array
        | SqlType::Int8Array
        | SqlType::OidArray
        | SqlType::Void => return None,
    })
}

/// Decodes a whole row into owned values, columns that it is too short for taking `missing`.
pub fn decode_row<'m>(
    types: &[SqlType],
    bytes: &[u8],
    mut missing: impl FnMut(usize) -> &'m Value,
) -> Result<Vec<Value>, RowError> {
    let mut reader = RowReader::new(bytes)?;
    let mut values = Vec::with_capacity(types.len());
    for (column, sql_type) in types.iter().enumerate() {
        values.push(match reader.next_column(*sql_type)? {
            Some(value) => value.to_value().ok_or(RowError { column })?,
            None => missing(column).clone(),
        });
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::{RowReader, decode_row, encode_row, encode_row_refs};
    use crate::{Interval, Numeric, SqlType, Value, ValueRef};
    use alloc::boxed::Box;
    use alloc::vec;
    use alloc::vec::Vec;

    fn sample() -> (Vec<SqlType>, Vec<Value>) {
        let long = Value::text("x".repeat(300));
        (
            vec![
                SqlType::Int4,
                SqlType::Text,
                SqlType::Bool,
                SqlType::Numeric,
                SqlType::Interval,
                SqlType::Uuid,
                SqlType::Float8,
                SqlType::Bytea,
                SqlType::Timestamptz,
                SqlType::Int2,
            ],
            vec![
                Value::Int4(-7),
                long,
                Value::Null,
                Value::Numeric(Box::new(Numeric::from_i128(1_234_567))),
                Value::Interval(Interval { months: 1, days: 2, micros: 3 }),
                Value::Uuid([4; 16]),
                Value::Float8(2.5),
                Value::Bytea(vec![1, 0, 2].into()),
                Value::Timestamptz(99),
                Value::Null,
            ],
        )
    }

    #[test]
    fn round_trip_and_added_columns() {
        let (mut types, values) = sample();
        let mut bytes = Vec::new();
        encode_row(&types, &values, &mut bytes);
        let null = Value::Null;
        assert_eq!(decode_row(&types, &bytes, |_| &null).expect("whole row"), values);
        let mut reader = RowReader::new(&bytes).expect("whole row");
        let next = |sql_type: &SqlType| reader.next_column(*sql_type).expect("whole row");
        let borrowed: Vec<ValueRef<'_>> = types.iter().filter_map(next).collect();
        let mut again = Vec::new();
        encode_row_refs(&types, &borrowed, &mut again);
        assert_eq!(again, bytes);
        types.push(SqlType::Int4);
        let fallback = Value::Int4(42);
        let longer = decode_row(&types, &bytes, |_| &fallback).expect("shorter row");
        assert_eq!(longer.last(), Some(&Value::Int4(42)));
    }

    #[test]
    fn damaged_rows_are_errors_not_panics() {
        let (types, values) = sample();
        let mut bytes = Vec::new();
        encode_row(&types, &values, &mut bytes);
        let null = Value::Null;
        for end in 0..bytes.len() {
            assert!(decode_row(&types, &bytes[..end], |_| &null).is_err());
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                // Any answer but a panic: the checksum around the row is what detects a flip.
                let _ = decode_row(&types, &flipped, |_| &null);
            }
        }
        assert!(RowReader::new(&[]).is_err());
    }
}
