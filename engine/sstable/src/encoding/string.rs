//! Strings of any length, and sixteen-byte values.
//!
//! ```text
//! Plain (strings)       | lengths: block of 4-byte numbers | bytes |
//! Plain (sixteen bytes) | value (16) … |
//! Constant              | bytes |
//! Dictionary            | distinct count (4) | lengths: block | bytes of the distinct strings (4 + n) | codes: block |
//! ```
//! A dictionary is sorted, so two pages with the same strings have the same dictionary and the decoder keeps the codes it found for the one before.
//! Sixteen-byte values use the same Dictionary form.

use crate::column::{ByteArray, DictionaryArray, Values};
use crate::encoding::Encoding;
use crate::encoding::integer::{block_body, decode_block, encode_block, get as get_number};
use crate::encoding::string_table::StringTable;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;
use types::codec::{DecodeError, Decoder};

/// Strings of a dictionary above which a decoded column goes over to plain strings.
const DICTIONARY_STRINGS_MAX: usize = 32 * 1024;

/// Appends the smallest form; says which.
pub(crate) fn encode(
    strings: &ByteArray,
    rows: Range<usize>,
    is_null: &dyn Fn(usize) -> bool,
    out: &mut Vec<u8>,
) -> Encoding {
    let count = rows.len();
    let first = strings.offsets[rows.start];
    let total = (strings.offsets[rows.end] - first) as usize;
    if let Some((dictionary, codes)) = distinct(strings, rows.clone(), is_null) {
        if dictionary.len() == 1 {
            out.extend_from_slice(&dictionary.bytes);
            return Encoding::Constant;
        }
        let code_bytes = count * dictionary.len().ilog2() as usize / 8 + 24;
        let size = dictionary.bytes.len() + dictionary.len() + code_bytes;
        if size * 10 < (total + count / 2) * 9 {
            encode_dictionary(&dictionary, &codes, out);
            return Encoding::Dictionary;
        }
    }
    let lengths: Vec<u32> =
        rows.clone().map(|row| (strings.offsets[row + 1] - strings.offsets[row]) as u32).collect();
    encode_block(&lengths, out);
    out.extend_from_slice(&strings.bytes[first as usize..first as usize + total]);
    Encoding::Plain
}

/// The distinct strings, sorted, and a code for each row; nothing if they are too many to pay. A NULL takes the code before it.
fn distinct(
    strings: &ByteArray,
    rows: Range<usize>,
    is_null: &dyn Fn(usize) -> bool,
) -> Option<(ByteArray, Vec<u32>)> {
    let mut table = StringTable::default();
    let mut dictionary = ByteArray::default();
    let mut codes: Vec<u32> = Vec::with_capacity(rows.len());
    let limit = (rows.len() / 2).max(1);
    for (index, row) in rows.clone().enumerate() {
        if is_null(row) {
            codes.push(codes.last().copied().unwrap_or(0));
            continue;
        }
        codes.push(table.find_or_push(&mut dictionary, strings.get(row)));
        let found = dictionary.len();
        if found > limit || (index == 255 && found > 192) {
            return None;
        }
    }
    let mut order: Vec<u32> = (0..dictionary.len() as u32).collect();
    order.sort_unstable_by_key(|position| dictionary.get(*position as usize));
    let mut sorted = ByteArray::default();
    let mut rank = vec![0u32; order.len()];
    for (new, old) in order.iter().enumerate() {
        sorted.push(dictionary.get(*old as usize));
        rank[*old as usize] = new as u32;
    }
    for code in &mut codes {
        *code = rank[*code as usize];
    }
    Some((sorted, codes))
}

fn encode_dictionary(dictionary: &ByteArray, codes: &[u32], out: &mut Vec<u8>) {
    out.extend_from_slice(&(dictionary.len() as u32).to_le_bytes());
    let lengths: Vec<u32> =
        dictionary.offsets.windows(2).map(|pair| (pair[1] - pair[0]) as u32).collect();
    encode_block(&lengths, out);
    out.extend_from_slice(&(dictionary.bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(&dictionary.bytes);
    encode_block(codes, out);
}

/// Offsets from lengths, beginning at `start`; nothing if they do not end after exactly `total` bytes.
fn append_offsets(lengths: &[u32], total: usize, offsets: &mut Vec<i32>) -> Option<()> {
    let mut end = i64::from(*offsets.last()?);
    let last = end + total as i64;
    if last > i64::from(i32::MAX) {
        return None;
    }
    offsets.reserve(lengths.len());
    for length in lengths {
        end += i64::from(*length);
        // Whether the last one is right is checked below; in between, a lie must only not wrap.
        offsets.push(end.min(last) as i32);
    }
    (end == last).then_some(())
}

/// The distinct strings of a dictionary form as they lie, before its codes.
fn dictionary_section<'a>(decoder: &mut Decoder<'a>) -> Result<&'a [u8], DecodeError> {
    let mut ahead = decoder.clone();
    ahead.u32()?;
    ahead.bytes()?;
    ahead.bytes()?;
    decoder.raw(ahead.offset() - decoder.offset())
}

/// Lengths and bytes of the distinct strings.
fn read_dictionary<'a>(decoder: &mut Decoder<'a>) -> Result<(Vec<u32>, &'a [u8]), DecodeError> {
    let error = decoder.invalid("distinct count");
    let count = decoder.u32()? as usize;
    let (encoding, body) = block_body(decoder)?;
    let bytes = decoder.bytes()?;
    // Distinct strings but one are at least a byte each, which bounds what a lie can make us allocate.
    if count > bytes.len() + 1 {
        return Err(error);
    }
    let mut lengths = Vec::new();
    super::integer::decode(encoding, body, count, &mut lengths)?;
    Ok((lengths, bytes))
}

fn dictionary_strings(section: &[u8]) -> Result<ByteArray, DecodeError> {
    let decoder = &mut Decoder::new(section);
    let error = decoder.invalid("strings");
    let (lengths, bytes) = read_dictionary(decoder)?;
    let mut strings = ByteArray { offsets: vec![0], bytes: bytes.to_vec() };
    append_offsets(&lengths, bytes.len(), &mut strings.offsets).ok_or(error)?;
    Ok(strings)
}

/// Appends `row_count` strings. Stays in dictionary form as long as every page was one.
pub(crate) fn decode(
    encoding: Encoding,
    payload: &[u8],
    row_count: usize,
    values: &mut Values,
    table: &mut StringTable,
) -> Result<(), DecodeError> {
    let decoder = &mut Decoder::new(payload);
    let error = decoder.invalid("strings");
    match encoding {
        Encoding::Plain => {
            let (lengths_encoding, body) = block_body(decoder)?;
            let bytes = decoder.raw(decoder.remaining())?;
            let mut lengths: Vec<u32> = Vec::new();
            super::integer::decode(lengths_encoding, body, row_count, &mut lengths)?;
            let strings = plain(values, table);
            append_offsets(&lengths, bytes.len(), &mut strings.offsets).ok_or(error)?;
            strings.bytes.extend_from_slice(bytes);
        }
        Encoding::Constant | Encoding::AllNull => {
            let mut page = ByteArray::default();
            page.push(decoder.raw(decoder.remaining())?);
            match as_codes(values, table, &page) {
                Some(array) => {
                    let code = table.codes_of(array, &page)[0];
                    array.codes.resize(array.codes.len() + row_count, code);
                }
                None => append_strings(plain(values, table), &page, &vec![0; row_count])?,
            }
        }
        Encoding::Dictionary => {
            let section = dictionary_section(decoder)?;
            let (codes_encoding, body) = block_body(decoder)?;
            let known = matches!(values, Values::Dictionary(_)) && table.is_latest(section);
            let page = if known { ByteArray::default() } else { dictionary_strings(section)? };
            match as_codes(values, table, &page) {
                Some(array) => {
                    if !known {
                        table.codes_of(array, &page);
                        table.set_latest(section);
                    }
                    let start = array.codes.len();
                    super::integer::decode(codes_encoding, body, row_count, &mut array.codes)?;
                    table.translate(&mut array.codes[start..]).ok_or(error)?;
                }
                None => {
                    let page = if known { dictionary_strings(section)? } else { page };
                    let mut codes: Vec<i32> = Vec::new();
                    super::integer::decode(codes_encoding, body, row_count, &mut codes)?;
                    append_strings(plain(values, table), &page, &codes)?;
                }
            }
        }
        _ => return Err(error),
    }
    if decoder.remaining() > 0 { Err(decoder.invalid("end of page")) } else { Ok(()) }
}

/// The column as plain strings, converted if it was codes.
fn plain<'v>(values: &'v mut Values, table: &mut StringTable) -> &'v mut ByteArray {
    table.clear();
    if let Values::Dictionary(array) = values {
        *values = Values::Bytes(array.to_bytes());
    }
    match values {
        Values::Bytes(strings) => strings,
        _ => panic!("a column of strings"),
    }
}

/// The column as codes, if it is or can be and room is left for the strings of a page.
fn as_codes<'v>(
    values: &'v mut Values,
    table: &mut StringTable,
    page: &ByteArray,
) -> Option<&'v mut DictionaryArray> {
    if let Values::Bytes(strings) = values
        && strings.is_empty()
    {
        table.clear();
        let codes = Vec::with_capacity(strings.offsets.capacity());
        *values = Values::Dictionary(DictionaryArray { codes, dictionary: ByteArray::default() });
    }
    match values {
        Values::Dictionary(array)
            if array.dictionary.len() + page.len() <= DICTIONARY_STRINGS_MAX =>
        {
            Some(array)
        }
        _ => None,
    }
}

fn append_strings(
    strings: &mut ByteArray,
    page: &ByteArray,
    codes: &[i32],
) -> Result<(), DecodeError> {
    let error = Decoder::new(&[]).invalid("code");
    if codes.iter().any(|code| *code as u32 as usize >= page.len()) {
        return Err(error);
    }
    let total: usize = codes.iter().map(|code| page.get(*code as usize).len()).sum();
    if strings.bytes.len() + total > i32::MAX as usize {
        return Err(error);
    }
    codes.iter().for_each(|code| strings.push(page.get(*code as usize)));
    Ok(())
}

/// One of `row_count` strings, without building the others.
pub(crate) fn get(
    encoding: Encoding,
    payload: &[u8],
    row_count: usize,
    row: usize,
) -> Result<Vec<u8>, DecodeError> {
    let decoder = &mut Decoder::new(payload);
    let error = decoder.invalid("strings");
    let (lengths, bytes, index) = match encoding {
        Encoding::AllNull => return Ok(Vec::new()),
        Encoding::Constant => return Ok(payload.to_vec()),
        Encoding::Plain => {
            let lengths = decode_block::<u32>(decoder, row_count)?;
            (lengths, decoder.raw(decoder.remaining())?, row)
        }
        Encoding::Dictionary => {
            let (lengths, bytes) = read_dictionary(decoder)?;
            let (codes_encoding, body) = block_body(decoder)?;
            let code = get_number::<u32>(codes_encoding, body, row_count, row)?;
            (lengths, bytes, code as usize)
        }
        _ => return Err(error),
    };
    let length = *lengths.get(index).ok_or(error)? as usize;
    let start: usize = lengths[..index].iter().map(|length| *length as usize).sum();
    bytes.get(start..).and_then(|rest| rest.get(..length)).map(<[u8]>::to_vec).ok_or(error)
}

/// Appends sixteen-byte values in the smallest form; says which.
pub(crate) fn encode_fixed(values: &[[u8; 16]], out: &mut Vec<u8>) -> Encoding {
    let mut strings = ByteArray::default();
    for value in values {
        strings.push(value);
    }
    if let Some((dictionary, codes)) = distinct(&strings, 0..values.len(), &|_| false) {
        if dictionary.len() == 1 {
            out.extend_from_slice(&dictionary.bytes);
            return Encoding::Constant;
        }
        if dictionary.len() * 17 + values.len() * 2 + 24 < values.len() * 14 {
            encode_dictionary(&dictionary, &codes, out);
            return Encoding::Dictionary;
        }
    }
    values.iter().for_each(|value| out.extend_from_slice(value));
    Encoding::Plain
}

/// Appends `row_count` sixteen-byte values.
pub(crate) fn decode_fixed(
    encoding: Encoding,
    payload: &[u8],
    row_count: usize,
    out: &mut Vec<[u8; 16]>,
) -> Result<(), DecodeError> {
    let decoder = &mut Decoder::new(payload);
    let error = decoder.invalid("sixteen-byte values");
    match encoding {
        Encoding::AllNull => out.resize(out.len() + row_count, [0; 16]),
        Encoding::Constant => {
            let (value, _) = decoder.raw(16)?.as_chunks::<16>();
            out.resize(out.len() + row_count, value[0]);
        }
        Encoding::Plain => {
            let (values, _) = decoder.raw(16 * row_count)?.as_chunks::<16>();
            out.extend_from_slice(values);
        }
        Encoding::Dictionary => {
            let (lengths, bytes) = read_dictionary(decoder)?;
            if lengths.iter().any(|length| *length != 16) || bytes.len() != 16 * lengths.len() {
                return Err(error);
            }
            let (distinct, _) = bytes.as_chunks::<16>();
            let codes = decode_block::<u32>(decoder, row_count)?;
            out.reserve(row_count);
            for code in codes {
                out.push(*distinct.get(code as usize).ok_or(error)?);
            }
        }
        _ => return Err(error),
    }
    if decoder.remaining() > 0 { Err(decoder.invalid("end of page")) } else { Ok(()) }
}
