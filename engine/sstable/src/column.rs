//! Decoded columns: typed contiguous buffers that a column engine takes over without a copy.
//!
//! A [`ColumnVector`] has one slot for each row. The slot of a NULL holds any value of its type (an empty string for variable lengths); only the validity
//! bitmap says that it is NULL. Strings come as offsets and bytes, or as codes into a dictionary where every page was dictionary-encoded, so that filters
//! and group-bys can run on codes. Offsets and codes are `i32`, because that is what Arrow's arrays hold.

use crate::bitmap::Bitmap;
use alloc::vec;
use alloc::vec::Vec;
use types::{Interval, PhysicalType, SliceId, SqlType, Value, ValueRef};

/// One column of some rows.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnVector {
    /// The values, one slot a row.
    pub values: Values,
    /// Bit set: the row has a value. Nothing: every row has.
    pub validity: Option<Bitmap>,
}

/// The buffers of a column, by physical type.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Booleans.
    Bool(Bitmap),
    /// Two-byte integers.
    Int16(Vec<i16>),
    /// Four-byte integers and dates.
    Int32(Vec<i32>),
    /// Eight-byte integers and timestamps.
    Int64(Vec<i64>),
    /// Four-byte floats.
    Float32(Vec<f32>),
    /// Eight-byte floats.
    Float64(Vec<f64>),
    /// Sixteen bytes: uuids; intervals as [`Interval::to_bytes`].
    Fixed16(Vec<[u8; 16]>),
    /// Strings, byte strings, encoded numerics.
    Bytes(ByteArray),
    /// The same, as codes.
    Dictionary(DictionaryArray),
}

/// Byte strings one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByteArray {
    /// One more than there are strings; the first is zero, and they never fall.
    pub offsets: Vec<i32>,
    /// The strings.
    pub bytes: Vec<u8>,
}

/// Byte strings as positions in a dictionary without duplicates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DictionaryArray {
    /// One for each row, below the dictionary's length.
    pub codes: Vec<i32>,
    /// The distinct strings in order of appearance.
    pub dictionary: ByteArray,
}

impl Default for ByteArray {
    fn default() -> ByteArray {
        ByteArray { offsets: vec![0], bytes: Vec::new() }
    }
}

impl ByteArray {
    /// Number of strings.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One string.
    ///
    /// # Panics
    /// If `index` is not below the length.
    pub fn get(&self, index: usize) -> &[u8] {
        &self.bytes[self.offsets[index] as usize..self.offsets[index + 1] as usize]
    }

    /// Appends a string.
    ///
    /// # Panics
    /// If all strings together reach 2 GiB; row groups are bounded far below.
    pub fn push(&mut self, string: &[u8]) {
        self.bytes.extend_from_slice(string);
        self.offsets.push(i32::try_from(self.bytes.len()).expect("row groups are bounded"));
    }

    /// Every string in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> + '_ {
        self.offsets.windows(2).map(|pair| &self.bytes[pair[0] as usize..pair[1] as usize])
    }
}

impl DictionaryArray {
    /// The string of a row.
    ///
    /// # Panics
    /// If `index` is not below the number of codes.
    pub fn get(&self, index: usize) -> &[u8] {
        self.dictionary.get(self.codes[index] as usize)
    }

    /// The strings themselves.
    pub fn to_bytes(&self) -> ByteArray {
        let mut strings = ByteArray::default();
        strings.offsets.reserve(self.codes.len());
        for code in &self.codes {
            strings.push(self.dictionary.get(*code as usize));
        }
        strings
    }
}

impl Values {
    /// No values of a physical type.
    pub fn empty(physical: PhysicalType) -> Values {
        match physical {
            PhysicalType::Bool => Values::Bool(Bitmap::new()),
            PhysicalType::Int16 => Values::Int16(Vec::new()),
            PhysicalType::Int32 => Values::Int32(Vec::new()),
            PhysicalType::Int64 => Values::Int64(Vec::new()),
            PhysicalType::Float32 => Values::Float32(Vec::new()),
            PhysicalType::Float64 => Values::Float64(Vec::new()),
            PhysicalType::Fixed16 => Values::Fixed16(Vec::new()),
            PhysicalType::Utf8 | PhysicalType::Bytes => Values::Bytes(ByteArray::default()),
        }
    }

    /// Number of slots.
    pub fn len(&self) -> usize {
        match self {
            Values::Bool(values) => values.len(),
            Values::Int16(values) => values.len(),
            Values::Int32(values) => values.len(),
            Values::Int64(values) => values.len(),
            Values::Float32(values) => values.len(),
            Values::Float64(values) => values.len(),
            Values::Fixed16(values) => values.len(),
            Values::Bytes(values) => values.len(),
            Values::Dictionary(values) => values.codes.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes held, for budgets.
    pub fn byte_count(&self) -> usize {
        match self {
            Values::Bool(values) => values.as_bytes().len(),
            Values::Int16(values) => values.len() * 2,
            Values::Int32(values) => values.len() * 4,
            Values::Int64(values) => values.len() * 8,
            Values::Float32(values) => values.len() * 4,
            Values::Float64(values) => values.len() * 8,
            Values::Fixed16(values) => values.len() * 16,
            Values::Bytes(values) => values.offsets.len() * 4 + values.bytes.len(),
            Values::Dictionary(values) => {
                values.codes.len() * 4
                    + values.dictionary.offsets.len() * 4
                    + values.dictionary.bytes.len()
            }
        }
    }

    fn gather(&self, rows: &[u32]) -> Values {
        fn pick<T: Copy>(values: &[T], rows: &[u32]) -> Vec<T> {
            rows.iter().map(|row| values[*row as usize]).collect()
        }
        match self {
            Values::Bool(values) => Values::Bool(values.gather(rows)),
            Values::Int16(values) => Values::Int16(pick(values, rows)),
            Values::Int32(values) => Values::Int32(pick(values, rows)),
            Values::Int64(values) => Values::Int64(pick(values, rows)),
            Values::Float32(values) => Values::Float32(pick(values, rows)),
            Values::Float64(values) => Values::Float64(pick(values, rows)),
            Values::Fixed16(values) => Values::Fixed16(pick(values, rows)),
            Values::Bytes(values) => {
                let mut gathered = ByteArray::default();
                gathered.offsets.reserve(rows.len());
                for row in rows {
                    gathered.push(values.get(*row as usize));
                }
                Values::Bytes(gathered)
            }
            Values::Dictionary(values) => Values::Dictionary(DictionaryArray {
                codes: pick(&values.codes, rows),
                dictionary: values.dictionary.clone(),
            }),
        }
    }
}

impl ColumnVector {
    /// No rows of a physical type.
    pub fn empty(physical: PhysicalType) -> ColumnVector {
        ColumnVector { values: Values::empty(physical), validity: None }
    }

    /// `row_count` times one value: what a reader gives for a column that was added after the file was written.
    ///
    /// # Panics
    /// If the value does not have the type.
    pub fn repeated(sql_type: SqlType, value: &Value, row_count: usize) -> ColumnVector {
        let mut column = ColumnVector::empty(sql_type.physical());
        for _ in 0..row_count {
            column.push_value(value);
        }
        column
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes held, for budgets.
    pub fn byte_count(&self) -> usize {
        self.values.byte_count() + self.validity.as_ref().map_or(0, |bits| bits.as_bytes().len())
    }

    /// Whether a row is NULL.
    ///
    /// # Panics
    /// If `row` is not below the length.
    pub fn is_null(&self, row: usize) -> bool {
        self.validity.as_ref().is_some_and(|validity| !validity.get(row))
    }

    /// Rows that are NULL.
    pub fn null_count(&self) -> usize {
        self.validity.as_ref().map_or(0, |validity| validity.len() - validity.count_ones())
    }

    /// The rows at `rows`, in that order.
    ///
    /// # Panics
    /// If one is not below the length.
    pub fn gather(&self, rows: &[u32]) -> ColumnVector {
        ColumnVector {
            values: self.values.gather(rows),
            validity: self.validity.as_ref().map(|validity| validity.gather(rows)),
        }
    }

    /// The value of a row. Nothing if the column does not have that type, or its bytes are not UTF-8.
    ///
    /// # Panics
    /// If `row` is not below the length.
    pub fn value(&self, sql_type: SqlType, row: usize) -> Option<ValueRef<'_>> {
        if self.is_null(row) {
            return Some(ValueRef::Null);
        }
        Some(match (&self.values, sql_type) {
            (Values::Bool(values), SqlType::Bool) => ValueRef::Bool(values.get(row)),
            (Values::Int16(values), SqlType::Int2) => ValueRef::Int2(values[row]),
            (Values::Int32(values), SqlType::Int4) => ValueRef::Int4(values[row]),
            (Values::Int32(values), SqlType::Date) => ValueRef::Date(values[row]),
            (Values::Int64(values), SqlType::Int8) => ValueRef::Int8(values[row]),
            (Values::Int64(values), SqlType::Timestamp) => ValueRef::Timestamp(values[row]),
            (Values::Int64(values), SqlType::Timestamptz) => ValueRef::Timestamptz(values[row]),
            (
                Values::Int64(values),
                SqlType::Oid | SqlType::Regclass | SqlType::Regtype | SqlType::Regproc,
            ) => ValueRef::Oid(u32::try_from(values[row]).ok()?),
            (Values::Float32(values), SqlType::Float4) => ValueRef::Float4(values[row]),
            (Values::Float64(values), SqlType::Float8) => ValueRef::Float8(values[row]),
            (Values::Fixed16(values), SqlType::Uuid) => ValueRef::Uuid(values[row]),
            (Values::Fixed16(values), SqlType::Interval) => {
                ValueRef::Interval(Interval::from_bytes(values[row]))
            }
            (Values::Bytes(values), _) => {
                return types::row::value_from_bytes(sql_type, values.get(row));
            }
            (Values::Dictionary(values), _) => {
                return types::row::value_from_bytes(sql_type, values.get(row));
            }
            _ => return None,
        })
    }

    /// The slice of a row of the hidden slice column.
    pub(crate) fn slice_at(&self, row: usize) -> SliceId {
        match &self.values {
            Values::Int32(slices) => SliceId(slices[row] as u16),
            _ => panic!("slices are four-byte integers"),
        }
    }

    /// Appends NULL.
    pub fn push_null(&mut self) {
        let length = self.len();
        self.validity.get_or_insert_with(|| Bitmap::filled(true, length)).push(false);
        // The slot repeats the value before it, so that a NULL neither widens a range nor breaks a run.
        match &mut self.values {
            Values::Bool(values) => {
                let value = length > 0 && values.get(length - 1);
                values.push(value);
            }
            Values::Int16(values) => values.push(values.last().copied().unwrap_or_default()),
            Values::Int32(values) => values.push(values.last().copied().unwrap_or_default()),
            Values::Int64(values) => values.push(values.last().copied().unwrap_or_default()),
            Values::Float32(values) => values.push(values.last().copied().unwrap_or_default()),
            Values::Float64(values) => values.push(values.last().copied().unwrap_or_default()),
            Values::Fixed16(values) => values.push(values.last().copied().unwrap_or_default()),
            Values::Bytes(values) => values.push(&[]),
            Values::Dictionary(_) => panic!("columns are built as plain strings"),
        }
    }

    /// Appends a value of the column's physical type.
    ///
    /// # Panics
    /// If the value has another.
    pub fn push_ref(&mut self, value: ValueRef<'_>) {
        match (&mut self.values, value) {
            (_, ValueRef::Null) => return self.push_null(),
            (Values::Bool(values), ValueRef::Bool(v)) => values.push(v),
            (Values::Int16(values), ValueRef::Int2(v)) => values.push(v),
            (Values::Int32(values), ValueRef::Int4(v) | ValueRef::Date(v)) => values.push(v),
            (
                Values::Int64(values),
                ValueRef::Int8(v) | ValueRef::Timestamp(v) | ValueRef::Timestamptz(v),
            ) => values.push(v),
            (Values::Int64(values), ValueRef::Oid(v)) => values.push(i64::from(v)),
            (Values::Float32(values), ValueRef::Float4(v)) => values.push(v),
            (Values::Float64(values), ValueRef::Float8(v)) => values.push(v),
            (Values::Fixed16(values), ValueRef::Uuid(v)) => values.push(v),
            (Values::Fixed16(values), ValueRef::Interval(v)) => values.push(v.to_bytes()),
            (Values::Bytes(values), ValueRef::Text(v)) => values.push(v.as_bytes()),
            (Values::Bytes(values), ValueRef::Bytea(v) | ValueRef::Numeric(v)) => values.push(v),
            (_, other) => panic!("{other:?} in a column of another physical type"),
        }
        if let Some(validity) = &mut self.validity {
            validity.push(true);
        }
    }

    /// Appends an owned value of the column's physical type.
    ///
    /// # Panics
    /// If the value has another.
    pub fn push_value(&mut self, value: &Value) {
        let mut number = Vec::new();
        let borrowed = match value {
            Value::Null => ValueRef::Null,
            Value::Bool(v) => ValueRef::Bool(*v),
            Value::Int2(v) => ValueRef::Int2(*v),
            Value::Int4(v) => ValueRef::Int4(*v),
            Value::Int8(v) => ValueRef::Int8(*v),
            Value::Float4(v) => ValueRef::Float4(*v),
            Value::Float8(v) => ValueRef::Float8(*v),
            Value::Numeric(v) => {
                v.encode(&mut number);
                ValueRef::Numeric(&number)
            }
            Value::Text(v) => ValueRef::Text(v),
            Value::Bytea(v) => ValueRef::Bytea(v),
            Value::Date(v) => ValueRef::Date(*v),
            Value::Timestamp(v) => ValueRef::Timestamp(*v),
            Value::Timestamptz(v) => ValueRef::Timestamptz(*v),
            Value::Interval(v) => ValueRef::Interval(*v),
            Value::Uuid(v) => ValueRef::Uuid(*v),
            Value::Oid(v) => ValueRef::Oid(*v),
            Value::Array(_) => panic!("no column holds an array"),
        };
        self.push_ref(borrowed);
    }
}
