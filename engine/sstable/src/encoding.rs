//! How the values of a page become bytes: one encoding a page, chosen by the size that each would take.
//!
//! The choice is exact, not sampled: a page is about a thousand values, and one pass gives its range, its runs, its steps and (for strings) its distinct
//! values. An encoding that is slower to undo must be smaller by a margin. NULL slots repeat the value before them, so they are free in all encodings.

pub(crate) mod bit_packing;
pub(crate) mod bits;
pub(crate) mod integer;
pub(crate) mod string;
pub(crate) mod string_table;

use crate::column::Values;
use crate::encoding::string_table::StringTable;
use alloc::vec::Vec;
use core::ops::Range;
use types::codec::DecodeError;

/// The encoding of a page or of a block inside one; the number is a part of the format and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Encoding {
    /// Values one after the other.
    Plain = 0,
    /// One value for all rows.
    Constant = 1,
    /// Values and how often each is repeated.
    RunLength = 2,
    /// Distinct values and a code for each row.
    Dictionary = 3,
    /// The lowest value and the bit-packed distances from it.
    FrameOfReference = 4,
    /// The first value, the lowest step and the bit-packed distances from that step.
    Delta = 5,
    /// No row has a value; nothing follows.
    AllNull = 6,
}

impl Encoding {
    pub(crate) const fn from_code(code: u8) -> Option<Encoding> {
        Some(match code {
            0 => Encoding::Plain,
            1 => Encoding::Constant,
            2 => Encoding::RunLength,
            3 => Encoding::Dictionary,
            4 => Encoding::FrameOfReference,
            5 => Encoding::Delta,
            6 => Encoding::AllNull,
            _ => return None,
        })
    }
}

/// Appends the encoded form of `values[rows]`. `is_null` speaks of positions in `values`.
///
/// # Panics
/// If the values are dictionary codes: columns are built plain.
pub(crate) fn encode(
    values: &Values,
    rows: Range<usize>,
    is_null: &dyn Fn(usize) -> bool,
    out: &mut Vec<u8>,
) -> Encoding {
    match values {
        Values::Bool(bits) => bits::encode(&bits.slice(rows.start, rows.len()), out),
        Values::Int16(values) => integer::encode(&values[rows], out),
        Values::Int32(values) => integer::encode(&values[rows], out),
        Values::Int64(values) => integer::encode(&values[rows], out),
        Values::Float32(values) => integer::encode(&values[rows], out),
        Values::Float64(values) => integer::encode(&values[rows], out),
        Values::Fixed16(values) => string::encode_fixed(&values[rows], out),
        Values::Bytes(strings) => string::encode(strings, rows, is_null, out),
        Values::Dictionary(_) => panic!("columns are built as plain strings"),
    }
}

/// Appends `row_count` decoded values to `values`. `table` belongs to `values` and knows its dictionary.
///
/// # Errors
/// If the bytes break the format. What was appended by then is of no use.
pub(crate) fn decode(
    encoding: Encoding,
    payload: &[u8],
    row_count: usize,
    values: &mut Values,
    table: &mut StringTable,
) -> Result<(), DecodeError> {
    match values {
        Values::Bool(bits) => bits::decode(encoding, payload, row_count, bits),
        Values::Int16(values) => integer::decode(encoding, payload, row_count, values),
        Values::Int32(values) => integer::decode(encoding, payload, row_count, values),
        Values::Int64(values) => integer::decode(encoding, payload, row_count, values),
        Values::Float32(values) => integer::decode(encoding, payload, row_count, values),
        Values::Float64(values) => integer::decode(encoding, payload, row_count, values),
        Values::Fixed16(values) => string::decode_fixed(encoding, payload, row_count, values),
        Values::Bytes(_) | Values::Dictionary(_) => {
            string::decode(encoding, payload, row_count, values, table)
        }
    }
}
