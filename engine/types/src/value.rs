//! SQL scalar values, owned and borrowed.
//!
//! Units: dates are days, timestamps microseconds, both since 2000-01-01 (PostgreSQL's epoch, so its binary format is these numbers);
//! `i32::MAX`/`MIN` and `i64::MAX`/`MIN` are infinity and −infinity.

use crate::Numeric;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

/// A span of time in the three units that do not convert into each other exactly.
#[derive(Clone, Copy, Debug, Default)]
pub struct Interval {
    /// Calendar months.
    pub months: i32,
    /// Calendar days.
    pub days: i32,
    /// Microseconds.
    pub micros: i64,
}

impl Interval {
    /// The span PostgreSQL compares by: months of 30 days, days of 24 hours.
    pub const fn comparison_micros(self) -> i128 {
        (self.months as i128 * 30 + self.days as i128) * 86_400_000_000 + self.micros as i128
    }

    /// Sixteen bytes, little-endian: micros, days, months.
    pub fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0u8; 16];
        bytes[..8].copy_from_slice(&self.micros.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.days.to_le_bytes());
        bytes[12..].copy_from_slice(&self.months.to_le_bytes());
        bytes
    }

    /// Inverse of [`Interval::to_bytes`].
    pub fn from_bytes(bytes: [u8; 16]) -> Interval {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes;
        Interval {
            micros: i64::from_le_bytes([a, b, c, d, e, f, g, h]),
            days: i32::from_le_bytes([i, j, k, l]),
            months: i32::from_le_bytes([m, n, o, p]),
        }
    }
}

impl PartialEq for Interval {
    fn eq(&self, other: &Interval) -> bool {
        self.comparison_micros() == other.comparison_micros()
    }
}

impl Eq for Interval {}

impl PartialOrd for Interval {
    fn partial_cmp(&self, other: &Interval) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Interval {
    fn cmp(&self, other: &Interval) -> Ordering {
        self.comparison_micros().cmp(&other.comparison_micros())
    }
}

/// An owned value. Its type is known from the column or the expression; the variant must agree with the type's physical form.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// SQL NULL of any type.
    #[default]
    Null,
    /// `boolean`
    Bool(bool),
    /// `smallint`
    Int2(i16),
    /// `integer`
    Int4(i32),
    /// `bigint`
    Int8(i64),
    /// `real`
    Float4(f32),
    /// `double precision`
    Float8(f64),
    /// `numeric`
    Numeric(Box<Numeric>),
    /// `text`, `varchar`, `char`, `name`, `"char"` and literals of unknown type. Never holds a zero byte.
    Text(Box<str>),
    /// `bytea`
    Bytea(Box<[u8]>),
    /// `date`, days
    Date(i32),
    /// `timestamp`, microseconds
    Timestamp(i64),
    /// `timestamptz`, microseconds, UTC
    Timestamptz(i64),
    /// `interval`
    Interval(Interval),
    /// `uuid`
    Uuid([u8; 16]),
    /// `oid` and the `reg…` types
    Oid(u32),
    /// One-dimensional arrays, in the catalog and in results
    Array(Box<[Value]>),
}

/// A value borrowed from a row, a page or a message.
#[derive(Clone, Copy, Debug)]
pub enum ValueRef<'a> {
    /// SQL NULL.
    Null,
    /// `boolean`
    Bool(bool),
    /// `smallint`
    Int2(i16),
    /// `integer`
    Int4(i32),
    /// `bigint`
    Int8(i64),
    /// `real`
    Float4(f32),
    /// `double precision`
    Float8(f64),
    /// Encoded form of a `numeric` (see [`Numeric::encode`])
    Numeric(&'a [u8]),
    /// Any string type
    Text(&'a str),
    /// `bytea`
    Bytea(&'a [u8]),
    /// `date`
    Date(i32),
    /// `timestamp`
    Timestamp(i64),
    /// `timestamptz`
    Timestamptz(i64),
    /// `interval`
    Interval(Interval),
    /// `uuid`
    Uuid([u8; 16]),
    /// `oid` and the `reg…` types
    Oid(u32),
}

impl ValueRef<'_> {
    /// Copies out. Nothing if a `numeric` does not decode (damaged bytes).
    pub fn to_value(&self) -> Option<Value> {
        Some(match *self {
            ValueRef::Null => Value::Null,
            ValueRef::Bool(v) => Value::Bool(v),
            ValueRef::Int2(v) => Value::Int2(v),
            ValueRef::Int4(v) => Value::Int4(v),
            ValueRef::Int8(v) => Value::Int8(v),
            ValueRef::Float4(v) => Value::Float4(v),
            ValueRef::Float8(v) => Value::Float8(v),
            ValueRef::Numeric(bytes) => Value::Numeric(Box::new(Numeric::decode(bytes)?)),
            ValueRef::Text(v) => Value::Text(v.into()),
            ValueRef::Bytea(v) => Value::Bytea(v.into()),
            ValueRef::Date(v) => Value::Date(v),
            ValueRef::Timestamp(v) => Value::Timestamp(v),
            ValueRef::Timestamptz(v) => Value::Timestamptz(v),
            ValueRef::Interval(v) => Value::Interval(v),
            ValueRef::Uuid(v) => Value::Uuid(v),
            ValueRef::Oid(v) => Value::Oid(v),
        })
    }

    /// Whether it is NULL.
    pub const fn is_null(&self) -> bool {
        matches!(self, ValueRef::Null)
    }
}

/// PostgreSQL's order of floats: −0 equals 0, NaN equals itself and is above everything.
pub fn float_cmp(a: f64, b: f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => {
            if a < b {
                Ordering::Less
            } else if a > b {
                Ordering::Greater
            } else {
                Ordering::Equal
            }
        }
    }
}

impl Value {
    /// A `text`.
    pub fn text(text: impl Into<String>) -> Value {
        Value::Text(text.into().into_boxed_str())
    }

    /// Whether it is NULL.
    pub const fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// Compares two values of one type the way `ORDER BY` does, NULL above all. Strings compare by bytes (collation `C`); `char(n)` must have been
    /// trimmed by the caller. Values of different variants compare by variant, which never happens to bound expressions.
    pub fn sql_cmp(&self, other: &Value) -> Ordering {
        use Value::*;
        match (self, other) {
            (Null, Null) => Ordering::Equal,
            (Null, _) => Ordering::Greater,
            (_, Null) => Ordering::Less,
            (Bool(a), Bool(b)) => a.cmp(b),
            (Int2(a), Int2(b)) => a.cmp(b),
            (Int4(a), Int4(b)) => a.cmp(b),
            (Int8(a), Int8(b)) => a.cmp(b),
            (Float4(a), Float4(b)) => float_cmp(f64::from(*a), f64::from(*b)),
            (Float8(a), Float8(b)) => float_cmp(*a, *b),
            (Numeric(a), Numeric(b)) => a.cmp(b),
            (Text(a), Text(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Bytea(a), Bytea(b)) => a.cmp(b),
            (Date(a), Date(b)) => a.cmp(b),
            (Timestamp(a), Timestamp(b)) => a.cmp(b),
            (Timestamptz(a), Timestamptz(b)) => a.cmp(b),
            (Interval(a), Interval(b)) => a.cmp(b),
            (Uuid(a), Uuid(b)) => a.cmp(b),
            (Oid(a), Oid(b)) => a.cmp(b),
            (Array(a), Array(b)) => {
                for (x, y) in a.iter().zip(b.iter()) {
                    let order = x.sql_cmp(y);
                    if order != Ordering::Equal {
                        return order;
                    }
                }
                a.len().cmp(&b.len())
            }
            _ => self.variant().cmp(&other.variant()),
        }
    }

    const fn variant(&self) -> u8 {
        match self {
            Value::Null => 0,
            Value::Bool(_) => 1,
            Value::Int2(_) => 2,
            Value::Int4(_) => 3,
            Value::Int8(_) => 4,
            Value::Float4(_) => 5,
            Value::Float8(_) => 6,
            Value::Numeric(_) => 7,
            Value::Text(_) => 8,
            Value::Bytea(_) => 9,
            Value::Date(_) => 10,
            Value::Timestamp(_) => 11,
            Value::Timestamptz(_) => 12,
            Value::Interval(_) => 13,
            Value::Uuid(_) => 14,
            Value::Oid(_) => 15,
            Value::Array(_) => 16,
        }
    }

    /// Appends the bytes of a variable-length value as a row or a page holds them; nothing for fixed-length ones.
    pub fn append_variable_bytes(&self, out: &mut Vec<u8>) -> bool {
        match self {
            Value::Text(text) => out.extend_from_slice(text.as_bytes()),
            Value::Bytea(bytes) => out.extend_from_slice(bytes),
            Value::Numeric(number) => number.encode(out),
            _ => return false,
        }
        true
    }
}

impl PartialEq for Value {
    /// Equality of values of one type by [`Value::sql_cmp`]; NULL equals NULL here (this is not SQL's `=`).
    fn eq(&self, other: &Value) -> bool {
        self.sql_cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}
