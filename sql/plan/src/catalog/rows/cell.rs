//! Values of the catalog's tables, shortly.

use alloc::vec::Vec;
use types::Value;

/// One row.
pub(super) type Row = Vec<Value>;

pub(super) const NULL: Value = Value::Null;
pub(super) const YES: Value = Value::Bool(true);
pub(super) const NO: Value = Value::Bool(false);
/// No object.
pub(super) const NONE: Value = Value::Oid(0);

pub(super) fn oid(oid: u32) -> Value {
    Value::Oid(oid)
}

pub(super) fn text(text: &str) -> Value {
    Value::Text(text.into())
}

pub(super) fn optional_text(found: Option<&str>) -> Value {
    found.map_or(NULL, text)
}

/// `"char"`; a zero byte is the empty string.
pub(super) fn char(c: char) -> Value {
    if c == '\0' { text("") } else { text(c.encode_utf8(&mut [0; 4])) }
}

pub(super) fn int2(number: usize) -> Value {
    Value::Int2(number as i16)
}

pub(super) fn int2_array(numbers: impl IntoIterator<Item = i16>) -> Value {
    Value::Array(numbers.into_iter().map(Value::Int2).collect())
}

pub(super) fn oid_array(oids: impl IntoIterator<Item = u32>) -> Value {
    Value::Array(oids.into_iter().map(Value::Oid).collect())
}

pub(super) fn text_array<'a>(texts: impl IntoIterator<Item = &'a str>) -> Value {
    Value::Array(texts.into_iter().map(text).collect())
}
