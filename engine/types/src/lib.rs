//! Words that every part of the house shares: ids, timestamps, tokens, values, rows, schemas, limits and their codecs.
//!
//! What may live here: values without behaviour beyond their own algebra. No clock, no file, no thread, no randomly seeded map; the crate is
//! `no_std` + `alloc`, so that the protocol and the file format, which stand on it, stay functions of their input.
//! All integers in encoded forms are little-endian unless an order-preserving form says otherwise ([`key`]).
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod binary_format;
pub mod bytes;
pub mod checksum;
pub mod codec;
pub mod copy_format;
pub mod datetime;
pub mod error;
pub mod hybrid_clock;
pub mod id;
pub mod key;
pub mod limits;
pub mod modifier;
pub mod mutants;
pub mod numeric;
pub mod prng;
pub mod row;
pub mod schema;
pub mod sql_type;
pub mod sqlstate;
pub mod text_format;
pub mod time_zone;
pub mod timestamp;
pub mod token;
pub mod value;

pub use bytes::{ByteCount, ByteOffset, KIB, MIB};
pub use error::ValueError;
pub use id::{
    ColumnId, ConnectionId, CoreId, LogId, NodeId, SchemaVersion, ShardId, SliceId, SstableId,
    TableId,
};
pub use numeric::Numeric;
pub use schema::{ColumnSchema, IndexSchema, TableSchema};
pub use sql_type::{ColumnType, PhysicalType, SqlType};
pub use sqlstate::SqlState;
pub use time_zone::{TextSettings, TimeZone};
pub use timestamp::Timestamp;
pub use token::Token;
pub use value::{Interval, Value, ValueRef};
