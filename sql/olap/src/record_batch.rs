//! Decoded columns of table files and memtables as arrays, without copying where the layouts agree (everything but strings' views).

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BinaryViewArray, BooleanArray, FixedSizeBinaryArray, Int32Array,
    PrimitiveArray, StringArray, StringViewArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::take;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
};
use arrow::error::ArrowError;
use sstable::{Bitmap, ByteArray, ColumnVector, Values};
use types::SqlType;

use crate::physical::arrow_type;

/// The array of a column.
///
/// # Errors
/// If bytes that should be text are not UTF-8.
///
/// # Panics
/// If the column's physical type is not that of the SQL type: file and schema disagree.
pub(crate) fn array_of(column: ColumnVector, sql_type: SqlType) -> Result<ArrayRef, ArrowError> {
    let nulls = column.validity.map(nulls_of);
    Ok(match (column.values, arrow_type(sql_type)) {
        (Values::Bool(bits), DataType::Boolean) => {
            Arc::new(BooleanArray::new(bits_of(bits), nulls))
        }
        (Values::Int16(values), DataType::Int16) => primitive::<Int16Type>(values, nulls),
        (Values::Int32(values), DataType::Int32) => primitive::<Int32Type>(values, nulls),
        (Values::Int64(values), DataType::Int64) => primitive::<Int64Type>(values, nulls),
        (Values::Float32(values), DataType::Float32) => primitive::<Float32Type>(values, nulls),
        (Values::Float64(values), DataType::Float64) => primitive::<Float64Type>(values, nulls),
        (Values::Fixed16(values), DataType::FixedSizeBinary(16)) => {
            let bytes = Buffer::from_vec(values.into_flattened());
            Arc::new(FixedSizeBinaryArray::try_new(16, bytes, nulls)?)
        }
        (Values::Bytes(strings), data_type) => views(strings, nulls, &data_type)?,
        (Values::Dictionary(strings), data_type) => {
            let dictionary = views(strings.dictionary, None, &data_type)?;
            let codes = Int32Array::new(strings.codes.into(), nulls);
            take(&dictionary, &codes, None)?
        }
        (values, data_type) => {
            panic!("a column of {} rows does not lie as {data_type}", values.len())
        }
    })
}

fn bits_of(bits: Bitmap) -> BooleanBuffer {
    let length = bits.len();
    BooleanBuffer::new(Buffer::from_vec(bits.into_bytes()), 0, length)
}

fn nulls_of(validity: Bitmap) -> NullBuffer {
    NullBuffer::new(bits_of(validity))
}

fn primitive<T: ArrowPrimitiveType>(values: Vec<T::Native>, nulls: Option<NullBuffer>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::from(values), nulls))
}

/// Views into the strings' own buffer.
fn views(
    strings: ByteArray,
    nulls: Option<NullBuffer>,
    data_type: &DataType,
) -> Result<ArrayRef, ArrowError> {
    let offsets = OffsetBuffer::new(ScalarBuffer::from(strings.offsets));
    let bytes = Buffer::from_vec(strings.bytes);
    Ok(match data_type {
        DataType::Utf8View => {
            Arc::new(StringViewArray::from(&StringArray::try_new(offsets, bytes, nulls)?))
        }
        _ => Arc::new(BinaryViewArray::from(&BinaryArray::try_new(offsets, bytes, nulls)?)),
    })
}
