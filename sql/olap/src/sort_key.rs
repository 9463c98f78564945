//! Values in a form whose bytes compare as SQL compares, for grouping, joining, sorting and DISTINCT.
//!
//! | SQL type | form |
//! |---|---|
//! | float4, float8 | the same with −0 as 0 and one NaN: the total order of IEEE bits is then PostgreSQL's |
//! | numeric | order-preserving bytes without the display scale: 1.0 = 1.00 |
//! | interval | its comparison span, order-preserving |
//! | char(n) | without trailing blanks |
//! | arrays | order-preserving bytes of the elements |
//! | others | themselves |
//!
//! Where two rows are equal by this form but differ in bytes (1.0 and 1.00), the row that is shown is one of the two, as in PostgreSQL.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Float32Array, Float64Array, StringViewArray, StringViewBuilder,
};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use types::key::{KeyOrder, Nulls, append_key_column};
use types::{SqlType, Value, ValueError};

use crate::aggregation::OrderKey;
use crate::physical::{Cells, ColumnBuilder, arrow_type};

/// Whether equal values of the type may have different bytes.
pub(crate) fn needs_key(sql_type: SqlType) -> bool {
    matches!(
        sql_type,
        SqlType::Float4 | SqlType::Float8 | SqlType::Numeric | SqlType::Interval | SqlType::Bpchar
    ) || sql_type.element().is_some()
}

/// The array type of the form.
pub(crate) fn key_type(sql_type: SqlType) -> DataType {
    match sql_type {
        SqlType::Interval => DataType::BinaryView,
        other => arrow_type(other),
    }
}

/// The form of a column.
///
/// # Errors
/// XX001 if a value does not decode.
pub(crate) fn key_column(array: &ArrayRef, sql_type: SqlType) -> Result<ArrayRef, ValueError> {
    match sql_type {
        SqlType::Float4 => {
            let floats: &Float32Array = down(array);
            Ok(Arc::new(
                floats.unary::<_, Float32Type>(|v| if v.is_nan() { f32::NAN } else { v + 0.0 }),
            ))
        }
        SqlType::Float8 => {
            let floats: &Float64Array = down(array);
            Ok(Arc::new(
                floats.unary::<_, Float64Type>(|v| if v.is_nan() { f64::NAN } else { v + 0.0 }),
            ))
        }
        SqlType::Bpchar => {
            let strings: &StringViewArray = down(array);
            let mut builder = StringViewBuilder::with_capacity(strings.len());
            for string in strings {
                builder.append_option(string.map(|string| string.trim_end_matches(' ')));
            }
            Ok(Arc::new(builder.finish()))
        }
        _ if needs_key(sql_type) => encoded(array, sql_type),
        _ => Ok(array.clone()),
    }
}

fn down<T: 'static>(array: &ArrayRef) -> &T {
    array.as_any().downcast_ref().expect("the array has the type that lowering gave it")
}

fn encoded(array: &ArrayRef, sql_type: SqlType) -> Result<ArrayRef, ValueError> {
    let cells = Cells::new(array, sql_type);
    let mut builder = ColumnBuilder::new(SqlType::Bytea, array.len());
    let mut bytes = Vec::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            builder.push_null();
            continue;
        }
        bytes.clear();
        append(&cells.owned(row)?, sql_type, &mut bytes);
        builder.push_bytes(&bytes);
    }
    Ok(builder.finish())
}

/// Appends the order-preserving form of a value, NULL after all values; ends itself, so that several can follow each other.
pub(crate) fn append(value: &Value, sql_type: SqlType, out: &mut Vec<u8>) {
    const LAST: KeyOrder = KeyOrder { descending: false, nulls: Nulls::Last };
    match value {
        Value::Array(elements) => {
            let element = sql_type.element().unwrap_or(SqlType::Unknown);
            out.push(1);
            for value in elements.iter() {
                // A mark below the end of the array's would make a prefix sort above; the end is 0, every element begins above it.
                out.push(1);
                append(value, element, out);
            }
            out.push(0);
        }
        Value::Text(text) if sql_type == SqlType::Bpchar => {
            append_key_column(&Value::text(text.trim_end_matches(' ')), LAST, out);
        }
        other => append_key_column(other, LAST, out),
    }
}

/// Appends the form of a value as an ORDER BY key wants it; ends itself.
pub(crate) fn append_ordered(value: &Value, key: OrderKey, out: &mut Vec<u8>) {
    if value.is_null() {
        return out.push(if key.nulls_first { 0 } else { 2 });
    }
    out.push(1);
    let start = out.len();
    append(value, key.sql_type, out);
    if key.descending {
        for byte in &mut out[start..] {
            *byte = !*byte;
        }
    }
}

/// One key for several columns, never NULL, so that a join on it treats NULLs as equal: what correlated subqueries are joined by.
///
/// # Errors
/// XX001 if a value does not decode.
pub(crate) fn tuple_key(
    arrays: &[ArrayRef],
    sql_types: &[SqlType],
    row_count: usize,
) -> Result<ArrayRef, ValueError> {
    let cells: Vec<Cells<'_>> = arrays
        .iter()
        .zip(sql_types)
        .map(|(array, sql_type)| Cells::new(array, *sql_type))
        .collect();
    let mut builder = ColumnBuilder::new(SqlType::Bytea, row_count);
    let mut bytes = Vec::new();
    for row in 0..row_count {
        bytes.clear();
        for (cells, sql_type) in cells.iter().zip(sql_types) {
            append(&cells.owned(row)?, *sql_type, &mut bytes);
        }
        builder.push_bytes(&bytes);
    }
    Ok(builder.finish())
}
