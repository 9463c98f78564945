//! Values as self-describing bytes, for states of aggregates that travel between operators and spill files of one query. Not a format that outlives it.

use types::{Interval, Numeric, Value};

/// Appends a value: a tag, then fixed bytes, or a length (4) and bytes.
pub(crate) fn append(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(0),
        Value::Bool(v) => out.extend_from_slice(&[1, u8::from(*v)]),
        Value::Int2(v) => fixed(2, &v.to_le_bytes(), out),
        Value::Int4(v) => fixed(3, &v.to_le_bytes(), out),
        Value::Int8(v) => fixed(4, &v.to_le_bytes(), out),
        Value::Float4(v) => fixed(5, &v.to_le_bytes(), out),
        Value::Float8(v) => fixed(6, &v.to_le_bytes(), out),
        Value::Numeric(v) => {
            let mut bytes = Vec::new();
            v.encode(&mut bytes);
            variable(7, &bytes, out);
        }
        Value::Text(v) => variable(8, v.as_bytes(), out),
        Value::Bytea(v) => variable(9, v, out),
        Value::Date(v) => fixed(10, &v.to_le_bytes(), out),
        Value::Timestamp(v) => fixed(11, &v.to_le_bytes(), out),
        Value::Timestamptz(v) => fixed(12, &v.to_le_bytes(), out),
        Value::Interval(v) => fixed(13, &v.to_bytes(), out),
        Value::Uuid(v) => fixed(14, v, out),
        Value::Oid(v) => fixed(15, &v.to_le_bytes(), out),
        Value::Array(values) => {
            let count = u32::try_from(values.len()).expect("arrays are bounded by memory");
            fixed(16, &count.to_le_bytes(), out);
            for value in values.iter() {
                append(value, out);
            }
        }
    }
}

fn fixed(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    out.extend_from_slice(bytes);
}

fn variable(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    let length = u32::try_from(bytes.len()).expect("values are bounded");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(bytes);
}

/// All values of `bytes`, one after the other; nothing if they are damaged.
pub(crate) fn decode_all(mut bytes: &[u8]) -> Option<Vec<Value>> {
    let mut values = Vec::new();
    while !bytes.is_empty() {
        values.push(decode(&mut bytes)?);
    }
    Some(values)
}

fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<[u8; N]> {
    let (head, tail): (&'a [u8; N], &'a [u8]) = bytes.split_first_chunk::<N>()?;
    *bytes = tail;
    Some(*head)
}

fn take_variable<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u32::from_le_bytes(take::<4>(bytes)?) as usize;
    let (head, tail) = bytes.split_at_checked(length)?;
    *bytes = tail;
    Some(head)
}

fn decode(bytes: &mut &[u8]) -> Option<Value> {
    let [tag] = take::<1>(bytes)?;
    Some(match tag {
        0 => Value::Null,
        1 => Value::Bool(take::<1>(bytes)? == [1]),
        2 => Value::Int2(i16::from_le_bytes(take(bytes)?)),
        3 => Value::Int4(i32::from_le_bytes(take(bytes)?)),
        4 => Value::Int8(i64::from_le_bytes(take(bytes)?)),
        5 => Value::Float4(f32::from_le_bytes(take(bytes)?)),
        6 => Value::Float8(f64::from_le_bytes(take(bytes)?)),
        7 => Value::Numeric(Box::new(Numeric::decode(take_variable(bytes)?)?)),
        8 => Value::text(std::str::from_utf8(take_variable(bytes)?).ok()?),
        9 => Value::Bytea(take_variable(bytes)?.into()),
        10 => Value::Date(i32::from_le_bytes(take(bytes)?)),
        11 => Value::Timestamp(i64::from_le_bytes(take(bytes)?)),
        12 => Value::Timestamptz(i64::from_le_bytes(take(bytes)?)),
        13 => Value::Interval(Interval::from_bytes(take(bytes)?)),
        14 => Value::Uuid(take(bytes)?),
        15 => Value::Oid(u32::from_le_bytes(take(bytes)?)),
        16 => {
            let count = u32::from_le_bytes(take(bytes)?) as usize;
            let mut values = Vec::with_capacity(count.min(bytes.len()));
            for _ in 0..count {
                values.push(decode(bytes)?);
            }
            Value::Array(values.into())
        }
        _ => return None,
    })
}
