//! How SQL values lie in arrays while a query runs, and the only code that takes them apart.
//!
//! | SQL type | array | note |
//! |---|---|---|
//! | boolean | `Boolean` | |
//! | smallint, integer, bigint | `Int16`, `Int32`, `Int64` | |
//! | real, double precision | `Float32`, `Float64` | |
//! | date | `Int32` | days since 2000-01-01 |
//! | timestamp, timestamptz | `Int64` | microseconds since 2000-01-01 |
//! | oid, regclass, regtype, regproc | `Int64` | |
//! | every string type | `Utf8View` | collation `C`: byte order |
//! | bytea | `BinaryView` | |
//! | numeric | `BinaryView` | encoded form: keeps PostgreSQL's display scale and any precision |
//! | interval | `FixedSizeBinary(16)` | [`Interval::to_bytes`] |
//! | uuid | `FixedSizeBinary(16)` | byte order |
//! | arrays | `BinaryView` | count, then each element as flag, length and row bytes |
//! | void | `Utf8View` | the empty string |
//!
//! Dates and times stay plain integers, so no date kernel of the engine below is reachable. Equal values of float, numeric, interval and char(n) may have
//! different bytes here; wherever equality or order matters (grouping, joins, sorting, DISTINCT, windows) their [`crate::sort_key`] form is used.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryViewArray, BooleanArray, FixedSizeBinaryArray, Float32Array,
    Float64Array, Int16Array, Int32Array, Int64Array, StringViewArray,
};
use arrow::array::{
    BinaryViewBuilder, BooleanBuilder, FixedSizeBinaryBuilder, Float32Builder, Float64Builder,
    Int16Builder, Int32Builder, Int64Builder, StringViewBuilder,
};
use arrow::datatypes::{DataType, Field, FieldRef};
use types::row::value_from_bytes;
use types::{Interval, SqlType, Value, ValueError, ValueRef};

/// The array type of a SQL type.
pub(crate) fn arrow_type(sql_type: SqlType) -> DataType {
    match sql_type {
        SqlType::Bool => DataType::Boolean,
        SqlType::Int2 => DataType::Int16,
        SqlType::Int4 | SqlType::Date => DataType::Int32,
        SqlType::Int8
        | SqlType::Timestamp
        | SqlType::Timestamptz
        | SqlType::Oid
        | SqlType::Regclass
        | SqlType::Regtype
        | SqlType::Regproc => DataType::Int64,
        SqlType::Float4 => DataType::Float32,
        SqlType::Float8 => DataType::Float64,
        SqlType::Text
        | SqlType::Varchar
        | SqlType::Bpchar
        | SqlType::Name
        | SqlType::Char
        | SqlType::Unknown
        | SqlType::Void => DataType::Utf8View,
        SqlType::Interval | SqlType::Uuid => DataType::FixedSizeBinary(16),
        SqlType::Bytea
        | SqlType::Numeric
        | SqlType::TextArray
        | SqlType::Int2Array
        | SqlType::Int4Array
        | SqlType::Int8Array
        | SqlType::OidArray => DataType::BinaryView,
    }
}

/// A nullable field.
pub(crate) fn field(name: impl Into<String>, sql_type: SqlType) -> FieldRef {
    Arc::new(Field::new(name, arrow_type(sql_type), true))
}

/// An array taken apart once, so that reading a value costs no downcast.
#[derive(Clone, Copy)]
pub(crate) enum Slots<'a> {
    Bool(&'a BooleanArray),
    Int16(&'a Int16Array),
    Int32(&'a Int32Array),
    Int64(&'a Int64Array),
    Float32(&'a Float32Array),
    Float64(&'a Float64Array),
    Text(&'a StringViewArray),
    Bytes(&'a BinaryViewArray),
    Fixed(&'a FixedSizeBinaryArray),
}

/// One column with the SQL type of its values.
#[derive(Clone, Copy)]
pub(crate) struct Cells<'a> {
    slots: Slots<'a>,
    sql_type: SqlType,
    array: &'a dyn Array,
}

fn down<T: 'static>(array: &dyn Array) -> &T {
    array.as_any().downcast_ref().expect("the array has the type that its data type says")
}

impl<'a> Cells<'a> {
    /// # Panics
    /// If the array is not of the SQL type's array type: our own lowering made both.
    pub(crate) fn new(array: &'a dyn Array, sql_type: SqlType) -> Cells<'a> {
        assert_eq!(array.data_type(), &arrow_type(sql_type), "array of another type: {sql_type:?}");
        let slots = match array.data_type() {
            DataType::Boolean => Slots::Bool(down(array)),
            DataType::Int16 => Slots::Int16(down(array)),
            DataType::Int32 => Slots::Int32(down(array)),
            DataType::Int64 => Slots::Int64(down(array)),
            DataType::Float32 => Slots::Float32(down(array)),
            DataType::Float64 => Slots::Float64(down(array)),
            DataType::Utf8View => Slots::Text(down(array)),
            DataType::BinaryView => Slots::Bytes(down(array)),
            DataType::FixedSizeBinary(16) => Slots::Fixed(down(array)),
            other => panic!("no SQL type lies in {other}"),
        };
        Cells { slots, sql_type, array }
    }

    /// The value of a row; arrays come as their encoded form in `Bytea` (see [`Cells::owned`]).
    pub(crate) fn get(&self, row: usize) -> ValueRef<'a> {
        if self.array.is_null(row) {
            return ValueRef::Null;
        }
        match self.slots {
            Slots::Bool(array) => ValueRef::Bool(array.value(row)),
            Slots::Int16(array) => ValueRef::Int2(array.value(row)),
            Slots::Int32(array) if self.sql_type == SqlType::Date => {
                ValueRef::Date(array.value(row))
            }
            Slots::Int32(array) => ValueRef::Int4(array.value(row)),
            Slots::Int64(array) => {
                let value = array.value(row);
                match self.sql_type {
                    SqlType::Timestamp => ValueRef::Timestamp(value),
                    SqlType::Timestamptz => ValueRef::Timestamptz(value),
                    SqlType::Int8 => ValueRef::Int8(value),
                    _ => ValueRef::Oid(u32::try_from(value).expect("an oid was stored as one")),
                }
            }
            Slots::Float32(array) => ValueRef::Float4(array.value(row)),
            Slots::Float64(array) => ValueRef::Float8(array.value(row)),
            Slots::Text(array) => ValueRef::Text(array.value(row)),
            Slots::Bytes(array) if self.sql_type == SqlType::Numeric => {
                ValueRef::Numeric(array.value(row))
            }
            Slots::Bytes(array) => ValueRef::Bytea(array.value(row)),
            Slots::Fixed(array) => {
                let bytes: [u8; 16] =
                    array.value(row).try_into().expect("the width of the array type");
                match self.sql_type {
                    SqlType::Interval => ValueRef::Interval(Interval::from_bytes(bytes)),
                    _ => ValueRef::Uuid(bytes),
                }
            }
        }
    }

    /// Bytes of a row's value beyond the fixed part, for budgets.
    pub(crate) fn bytes(&self, row: usize) -> usize {
        match self.slots {
            Slots::Text(array) => array.value(row).len(),
            Slots::Bytes(array) => array.value(row).len(),
            _ => 0,
        }
    }

    /// The value of a row, owned.
    ///
    /// # Errors
    /// XX001 if a number or an array does not decode: damaged bytes got past every checksum.
    pub(crate) fn owned(&self, row: usize) -> Result<Value, ValueError> {
        let value = self.get(row);
        if let (Some(element), ValueRef::Bytea(bytes)) = (self.sql_type.element(), &value) {
            return decode_array(element, bytes).ok_or_else(damaged);
        }
        value.to_value().ok_or_else(damaged)
    }
}

#[cold]
fn damaged() -> ValueError {
    ValueError::new(types::SqlState::DATA_CORRUPTED, "a stored value does not decode")
}

fn decode_array(element: SqlType, bytes: &[u8]) -> Option<Value> {
    let (head, mut rest) = bytes.split_first_chunk::<4>()?;
    let count = u32::from_le_bytes(*head) as usize;
    let mut values = Vec::with_capacity(count.min(rest.len()));
    for _ in 0..count {
        let (flag, tail) = rest.split_first()?;
        rest = tail;
        if *flag == 0 {
            values.push(Value::Null);
            continue;
        }
        let (length, tail) = rest.split_first_chunk::<4>()?;
        let (raw, tail) = tail.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        rest = tail;
        values.push(value_from_bytes(element, raw)?.to_value()?);
    }
    Some(Value::Array(values.into()))
}

fn encode_array(values: &[Value], out: &mut Vec<u8>) {
    out.extend_from_slice(&u32::try_from(values.len()).expect("rows are bounded").to_le_bytes());
    for value in values {
        if value.is_null() {
            out.push(0);
            continue;
        }
        out.push(1);
        let at = out.len();
        out.extend_from_slice(&[0; 4]);
        match value {
            Value::Bool(v) => out.push(u8::from(*v)),
            Value::Int2(v) => out.extend_from_slice(&v.to_le_bytes()),
            Value::Int4(v) | Value::Date(v) => out.extend_from_slice(&v.to_le_bytes()),
            Value::Int8(v) | Value::Timestamp(v) | Value::Timestamptz(v) => {
                out.extend_from_slice(&v.to_le_bytes());
            }
            Value::Oid(v) => out.extend_from_slice(&i64::from(*v).to_le_bytes()),
            Value::Float4(v) => out.extend_from_slice(&v.to_le_bytes()),
            Value::Float8(v) => out.extend_from_slice(&v.to_le_bytes()),
            Value::Uuid(v) => out.extend_from_slice(v),
            Value::Interval(v) => out.extend_from_slice(&v.to_bytes()),
            Value::Text(_) | Value::Bytea(_) | Value::Numeric(_) => {
                value.append_variable_bytes(out);
            }
            Value::Null | Value::Array(_) => panic!("array types have one dimension"),
        }
        let length = u32::try_from(out.len() - at - 4).expect("values are bounded");
        out[at..at + 4].copy_from_slice(&length.to_le_bytes());
    }
}

/// Builds a column value by value.
pub(crate) enum ColumnBuilder {
    Bool(BooleanBuilder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Text(StringViewBuilder),
    Bytes(BinaryViewBuilder, Vec<u8>),
    Fixed(FixedSizeBinaryBuilder),
}

impl ColumnBuilder {
    pub(crate) fn new(sql_type: SqlType, capacity: usize) -> ColumnBuilder {
        match arrow_type(sql_type) {
            DataType::Boolean => ColumnBuilder::Bool(BooleanBuilder::with_capacity(capacity)),
            DataType::Int16 => ColumnBuilder::Int16(Int16Builder::with_capacity(capacity)),
            DataType::Int32 => ColumnBuilder::Int32(Int32Builder::with_capacity(capacity)),
            DataType::Int64 => ColumnBuilder::Int64(Int64Builder::with_capacity(capacity)),
            DataType::Float32 => ColumnBuilder::Float32(Float32Builder::with_capacity(capacity)),
            DataType::Float64 => ColumnBuilder::Float64(Float64Builder::with_capacity(capacity)),
            DataType::Utf8View => ColumnBuilder::Text(StringViewBuilder::with_capacity(capacity)),
            DataType::BinaryView => {
                ColumnBuilder::Bytes(BinaryViewBuilder::with_capacity(capacity), Vec::new())
            }
            _ => ColumnBuilder::Fixed(FixedSizeBinaryBuilder::with_capacity(capacity, 16)),
        }
    }

    pub(crate) fn push_null(&mut self) {
        match self {
            ColumnBuilder::Bool(builder) => builder.append_null(),
            ColumnBuilder::Int16(builder) => builder.append_null(),
            ColumnBuilder::Int32(builder) => builder.append_null(),
            ColumnBuilder::Int64(builder) => builder.append_null(),
            ColumnBuilder::Float32(builder) => builder.append_null(),
            ColumnBuilder::Float64(builder) => builder.append_null(),
            ColumnBuilder::Text(builder) => builder.append_null(),
            ColumnBuilder::Bytes(builder, _) => builder.append_null(),
            ColumnBuilder::Fixed(builder) => builder.append_null(),
        }
    }

    /// # Errors
    /// XX000 if the value is not of the column's type: a function returned what its definition denies.
    pub(crate) fn push(&mut self, value: &Value) -> Result<(), ValueError> {
        match (self, value) {
            (builder, Value::Null) => builder.push_null(),
            (ColumnBuilder::Bool(builder), Value::Bool(v)) => builder.append_value(*v),
            (ColumnBuilder::Int16(builder), Value::Int2(v)) => builder.append_value(*v),
            (ColumnBuilder::Int32(builder), Value::Int4(v) | Value::Date(v)) => {
                builder.append_value(*v);
            }
            (
                ColumnBuilder::Int64(builder),
                Value::Int8(v) | Value::Timestamp(v) | Value::Timestamptz(v),
            ) => builder.append_value(*v),
            (ColumnBuilder::Int64(builder), Value::Oid(v)) => builder.append_value(i64::from(*v)),
            (ColumnBuilder::Float32(builder), Value::Float4(v)) => builder.append_value(*v),
            (ColumnBuilder::Float64(builder), Value::Float8(v)) => builder.append_value(*v),
            (ColumnBuilder::Text(builder), Value::Text(v)) => builder.append_value(v),
            (ColumnBuilder::Bytes(builder, _), Value::Bytea(v)) => builder.append_value(v),
            (ColumnBuilder::Bytes(builder, scratch), Value::Numeric(v)) => {
                scratch.clear();
                v.encode(scratch);
                builder.append_value(&*scratch);
            }
            (ColumnBuilder::Bytes(builder, scratch), Value::Array(values)) => {
                scratch.clear();
                encode_array(values, scratch);
                builder.append_value(&*scratch);
            }
            (ColumnBuilder::Fixed(builder), Value::Uuid(v)) => append_fixed(builder, v),
            (ColumnBuilder::Fixed(builder), Value::Interval(v)) => {
                append_fixed(builder, &v.to_bytes());
            }
            (_, other) => {
                return Err(ValueError::internal(format!("{other:?} in a column of another type")));
            }
        }
        Ok(())
    }

    /// As [`ColumnBuilder::push`], of a borrowed value; an array comes in its encoded form, as [`Cells::get`] gives it.
    ///
    /// # Errors
    /// XX000 if the value is not of the column's type.
    pub(crate) fn push_ref(&mut self, value: ValueRef<'_>) -> Result<(), ValueError> {
        match (self, value) {
            (builder, ValueRef::Null) => builder.push_null(),
            (ColumnBuilder::Bool(builder), ValueRef::Bool(v)) => builder.append_value(v),
            (ColumnBuilder::Int16(builder), ValueRef::Int2(v)) => builder.append_value(v),
            (ColumnBuilder::Int32(builder), ValueRef::Int4(v) | ValueRef::Date(v)) => {
                builder.append_value(v);
            }
            (
                ColumnBuilder::Int64(builder),
                ValueRef::Int8(v) | ValueRef::Timestamp(v) | ValueRef::Timestamptz(v),
            ) => builder.append_value(v),
            (ColumnBuilder::Int64(builder), ValueRef::Oid(v)) => {
                builder.append_value(i64::from(v));
            }
            (ColumnBuilder::Float32(builder), ValueRef::Float4(v)) => builder.append_value(v),
            (ColumnBuilder::Float64(builder), ValueRef::Float8(v)) => builder.append_value(v),
            (ColumnBuilder::Text(builder), ValueRef::Text(v)) => builder.append_value(v),
            (ColumnBuilder::Bytes(builder, _), ValueRef::Bytea(v) | ValueRef::Numeric(v)) => {
                builder.append_value(v);
            }
            (ColumnBuilder::Fixed(builder), ValueRef::Uuid(v)) => append_fixed(builder, &v),
            (ColumnBuilder::Fixed(builder), ValueRef::Interval(v)) => {
                append_fixed(builder, &v.to_bytes());
            }
            (_, other) => {
                return Err(ValueError::internal(format!("{other:?} in a column of another type")));
            }
        }
        Ok(())
    }

    /// Bytes of a `BinaryView` column: a key, a numeric, a bytea.
    ///
    /// # Panics
    /// If the column is not one.
    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) {
        match self {
            ColumnBuilder::Bytes(builder, _) => builder.append_value(bytes),
            _ => panic!("bytes belong into a column of bytes"),
        }
    }

    pub(crate) fn finish(self) -> ArrayRef {
        match self {
            ColumnBuilder::Bool(mut builder) => Arc::new(builder.finish()),
            ColumnBuilder::Int16(mut builder) => Arc::new(builder.finish()),
            ColumnBuilder::Int32(mut builder) => Arc::new(builder.finish()),
            ColumnBuilder::Int64(mut builder) => Arc::new(builder.finish()),
            ColumnBuilder::Float32(mut builder) => Arc::new(builder.finish()),
            ColumnBuilder::Float64(mut builder) => Arc::new(builder.finish()),
            ColumnBuilder::Text(mut builder) => Arc::new(builder.finish()),
            ColumnBuilder::Bytes(mut builder, _) => Arc::new(builder.finish()),
            ColumnBuilder::Fixed(mut builder) => Arc::new(builder.finish()),
        }
    }
}

fn append_fixed(builder: &mut FixedSizeBinaryBuilder, bytes: &[u8; 16]) {
    builder.append_value(bytes).expect("sixteen bytes, as the builder was made for");
}

/// An array of one value.
///
/// # Errors
/// As [`ColumnBuilder::push`].
pub(crate) fn single(value: &Value, sql_type: SqlType) -> Result<ArrayRef, ValueError> {
    let mut builder = ColumnBuilder::new(sql_type, 1);
    builder.push(value)?;
    Ok(builder.finish())
}

#[cfg(test)]
mod tests {
    use super::{Cells, ColumnBuilder};
    use types::{Interval, Numeric, SqlType, Value};

    #[test]
    fn every_type_comes_back_as_it_went_in() {
        let cases: Vec<(SqlType, Value)> = vec![
            (SqlType::Bool, Value::Bool(true)),
            (SqlType::Int2, Value::Int2(-3)),
            (SqlType::Int4, Value::Int4(7)),
            (SqlType::Int8, Value::Int8(i64::MIN)),
            (SqlType::Float4, Value::Float4(1.5)),
            (SqlType::Float8, Value::Float8(f64::NAN)),
            (SqlType::Numeric, Value::Numeric(Box::new(Numeric::from_i128(123_456_789)))),
            (SqlType::Text, Value::text("a string longer than twelve bytes")),
            (SqlType::Bpchar, Value::text("x  ")),
            (SqlType::Bytea, Value::Bytea(vec![0, 255].into())),
            (SqlType::Date, Value::Date(i32::MAX)),
            (SqlType::Timestamp, Value::Timestamp(1)),
            (SqlType::Timestamptz, Value::Timestamptz(2)),
            (SqlType::Interval, Value::Interval(Interval { months: 1, days: -2, micros: 3 })),
            (SqlType::Uuid, Value::Uuid([9; 16])),
            (SqlType::Oid, Value::Oid(u32::MAX)),
            (SqlType::TextArray, Value::Array(vec![Value::text("a"), Value::Null].into())),
            (SqlType::Int8Array, Value::Array(vec![Value::Int8(1)].into())),
        ];
        for (sql_type, value) in cases {
            let mut builder = ColumnBuilder::new(sql_type, 2);
            builder.push(&value).expect("a value of the type");
            builder.push_null();
            let array = builder.finish();
            let cells = Cells::new(&array, sql_type);
            let back = cells.owned(0).expect("decodes");
            assert_eq!(format!("{back:?}"), format!("{value:?}"));
            assert!(cells.get(1).is_null());
        }
    }
}
