//! The code of every function, by subject. Functions are named as in `pg_proc.prosrc`, which is how the generated tables find them.

#[macro_use]
mod convert;

pub(crate) mod array;
pub(crate) mod boolean;
pub(crate) mod bytes;
pub(crate) mod catalog;
pub(crate) mod compare;
pub(crate) mod datetime;
pub(crate) mod datetime_fields;
mod digest;
pub(crate) mod float;
pub(crate) mod format_datetime;
pub(crate) mod format_number;
pub(crate) mod integer;
pub(crate) mod numeric;
pub(crate) mod pattern;
mod real;
mod regex;
pub(crate) mod regex_functions;
pub(crate) mod strings;
pub(crate) mod text;

pub(crate) use catalog::asks_session;
pub use regex::RegexCache;
