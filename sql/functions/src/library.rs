//! The code of every function, by subject. Functions are named as in `pg_proc.prosrc`, which is how the generated tables find them.

#[macro_use]
mod convert;

pub(crate) mod boolean;
pub(crate) mod compare;
pub(crate) mod integer;
