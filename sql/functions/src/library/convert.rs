//! Between [`Value`]s and the Rust types that functions are written in, and the macro that writes a function's frame.

use crate::EvalError;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use types::{Interval, Numeric, Value};

/// A `date` in days.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Date(pub(crate) i32);
/// A `timestamp` in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timestamp(pub(crate) i64);
/// A `timestamptz` in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timestamptz(pub(crate) i64);
/// Either of the two, where PostgreSQL has one function for both.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp(pub(crate) i64);
/// An `oid` or a `reg…`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Oid(pub(crate) u32);
/// A `uuid`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Uuid(pub(crate) [u8; 16]);
/// A `char(n)`; compares and measures without trailing blanks.
#[derive(Clone, Copy)]
pub(crate) struct Padded<'a>(pub(crate) &'a str);

impl<'a> Padded<'a> {
    /// Without trailing blanks.
    pub(crate) fn trimmed(self) -> &'a str {
        self.0.trim_end_matches(' ')
    }
}

/// Reads an argument.
pub(crate) trait FromValue<'a>: Sized {
    /// # Errors
    /// XX000 if it is of another type: the caller bound the expression wrongly.
    fn from_value(value: &'a Value) -> Result<Self, EvalError>;
}

/// Makes an answer.
pub(crate) trait IntoValue {
    fn into_value(self) -> Value;
}

#[cold]
pub(crate) fn wrong_argument(value: &Value, wanted: &str) -> EvalError {
    EvalError::internal(format!("a {wanted} argument is {value:?}"))
}

#[cold]
pub(crate) fn wrong_count(function: &str, count: usize) -> EvalError {
    EvalError::internal(format!("{function} was called with {count} arguments"))
}

macro_rules! plain {
    ($($rust:ty = $variant:ident),*) => {$(
        impl<'a> FromValue<'a> for $rust {
            fn from_value(value: &'a Value) -> Result<$rust, EvalError> {
                match value {
                    Value::$variant(plain) => Ok(*plain),
                    _ => Err(wrong_argument(value, stringify!($variant))),
                }
            }
        }
        impl IntoValue for $rust {
            fn into_value(self) -> Value {
                Value::$variant(self)
            }
        }
    )*};
}

macro_rules! wrapped {
    ($($rust:ident = $variant:ident),*) => {$(
        impl<'a> FromValue<'a> for $rust {
            fn from_value(value: &'a Value) -> Result<$rust, EvalError> {
                match value {
                    Value::$variant(plain) => Ok($rust(*plain)),
                    _ => Err(wrong_argument(value, stringify!($variant))),
                }
            }
        }
        impl IntoValue for $rust {
            fn into_value(self) -> Value {
                Value::$variant(self.0)
            }
        }
    )*};
}

plain!(bool = Bool, i16 = Int2, i32 = Int4, i64 = Int8, f32 = Float4, f64 = Float8);
plain!(Interval = Interval);
wrapped!(Date = Date, Timestamp = Timestamp, Timestamptz = Timestamptz, Oid = Oid, Uuid = Uuid);

impl<'a> FromValue<'a> for Stamp {
    fn from_value(value: &'a Value) -> Result<Stamp, EvalError> {
        match value {
            Value::Timestamp(micros) | Value::Timestamptz(micros) => Ok(Stamp(*micros)),
            _ => Err(wrong_argument(value, "timestamp")),
        }
    }
}

impl<'a> FromValue<'a> for &'a str {
    fn from_value(value: &'a Value) -> Result<&'a str, EvalError> {
        match value {
            Value::Text(text) => Ok(text),
            _ => Err(wrong_argument(value, "text")),
        }
    }
}

impl<'a> FromValue<'a> for Padded<'a> {
    fn from_value(value: &'a Value) -> Result<Padded<'a>, EvalError> {
        <&str>::from_value(value).map(Padded)
    }
}

impl<'a> FromValue<'a> for &'a [u8] {
    fn from_value(value: &'a Value) -> Result<&'a [u8], EvalError> {
        match value {
            Value::Bytea(bytes) => Ok(bytes),
            _ => Err(wrong_argument(value, "bytea")),
        }
    }
}

impl<'a> FromValue<'a> for &'a [Value] {
    fn from_value(value: &'a Value) -> Result<&'a [Value], EvalError> {
        match value {
            Value::Array(elements) => Ok(elements),
            _ => Err(wrong_argument(value, "array")),
        }
    }
}

impl<'a> FromValue<'a> for &'a Numeric {
    fn from_value(value: &'a Value) -> Result<&'a Numeric, EvalError> {
        match value {
            Value::Numeric(number) => Ok(number),
            _ => Err(wrong_argument(value, "numeric")),
        }
    }
}

impl<'a> FromValue<'a> for &'a Value {
    fn from_value(value: &'a Value) -> Result<&'a Value, EvalError> {
        Ok(value)
    }
}

impl<'a, T: FromValue<'a>> FromValue<'a> for Option<T> {
    fn from_value(value: &'a Value) -> Result<Option<T>, EvalError> {
        if value.is_null() { Ok(None) } else { T::from_value(value).map(Some) }
    }
}

impl IntoValue for Value {
    fn into_value(self) -> Value {
        self
    }
}

impl IntoValue for Numeric {
    fn into_value(self) -> Value {
        Value::Numeric(Box::new(self))
    }
}

impl IntoValue for String {
    fn into_value(self) -> Value {
        Value::Text(self.into_boxed_str())
    }
}

impl IntoValue for &str {
    fn into_value(self) -> Value {
        Value::Text(self.into())
    }
}

impl IntoValue for Vec<u8> {
    fn into_value(self) -> Value {
        Value::Bytea(self.into_boxed_slice())
    }
}

impl IntoValue for &[u8] {
    fn into_value(self) -> Value {
        Value::Bytea(self.into())
    }
}

impl IntoValue for Vec<Value> {
    fn into_value(self) -> Value {
        Value::Array(self.into_boxed_slice())
    }
}

impl<T: IntoValue> IntoValue for Option<T> {
    fn into_value(self) -> Value {
        self.map_or(Value::Null, T::into_value)
    }
}

/// Writes functions: `fn name[context](a: i32, b: &str) -> i32 { … Ok(…) }` takes its arguments apart and wraps the answer. A parameter of an
/// `Option` type sees NULLs; the others never do (the definition is strict).
macro_rules! functions {
    ($(
        $(#[$attribute:meta])*
        fn $name:ident $([$context:ident])? ($($argument:ident: $rust:ty),*) -> $returns:ty $body:block
    )*) => {$(
        $(#[$attribute])*
        pub(crate) fn $name(
            surroundings: &$crate::EvalContext<'_>,
            arguments: &[&types::Value],
        ) -> Result<types::Value, $crate::EvalError> {
            let [$($argument),*] = arguments else {
                return Err($crate::library::convert::wrong_count(stringify!($name), arguments.len()));
            };
            $(let $argument: $rust = $crate::library::convert::FromValue::from_value($argument)?;)*
            let _ = surroundings;
            $(let $context = surroundings;)?
            // A closure, so that a body may leave early.
            let body = move || -> Result<$returns, $crate::EvalError> { $body };
            body().map($crate::library::convert::IntoValue::into_value)
        }
    )*};
}

/// A one-character text of an ASCII byte; empty for zero.
pub(crate) fn ascii_text(byte: u8) -> &'static str {
    const ASCII: [u8; 128] = {
        let mut all = [0u8; 128];
        let mut byte = 0;
        while byte < 128 {
            all[byte] = byte as u8;
            byte += 1;
        }
        all
    };
    static TABLE: [u8; 128] = ASCII;
    let position = usize::from(byte);
    if byte == 0 || position >= TABLE.len() {
        return "";
    }
    core::str::from_utf8(&TABLE[position..=position]).unwrap_or("")
}
