//! Numbers of fixed width: integers, and floats by their bits.
//!
//! ```text
//! Plain             | value (w bytes) … |
//! Constant          | value (w) |
//! RunLength         | run count (4) | values: block | lengths: block of 4-byte numbers |
//! Dictionary        | distinct count (4) | values (w each) | codes: block of 4-byte numbers |
//! FrameOfReference  | lowest (w) | bits (1) | packed distances |
//! Delta             | first (w) | lowest step (w) | bits (1) | packed distances of the n steps, the first one zero |
//! block             | bytes that follow (4) | encoding (1) | one of the forms above |
//! ```
//! `w` is the type's width; numbers up to four bytes pack in the 32-bit form, others in the 64-bit form. All sums are modulo 2^(8·w), so any range works.

use crate::encoding::Encoding;
use crate::encoding::bit_packing::{
    bits_of, get_32, get_64, pack_32, pack_64, packed_bytes, unpack_32, unpack_64,
};
use alloc::vec;
use alloc::vec::Vec;
use types::codec::{DecodeError, Decoder};

/// A type of fixed width whose bits are packed.
pub(crate) trait Number: Copy + Default + PartialEq {
    const BYTES: usize;
    /// The low bytes of `bits`.
    fn from_bits(bits: u64) -> Self;
    /// Sign-extended bits: their order is that of the integers, any fixed order for floats.
    fn to_signed(self) -> i64;
    /// Sum modulo 2^(8·w).
    fn wrapping_sum(self, other: Self) -> Self;
    /// From little-endian bytes, as many as the width.
    fn extend_from_plain(bytes: &[u8], out: &mut Vec<Self>);
    fn append_plain(self, out: &mut Vec<u8>);
}

macro_rules! number {
    ($name:ty, $bits:ty, $to_bits:expr, $from_bits:expr) => {
        impl Number for $name {
            const BYTES: usize = size_of::<$name>();
            #[inline(always)]
            fn from_bits(bits: u64) -> $name {
                $from_bits(bits as $bits)
            }
            #[inline(always)]
            fn to_signed(self) -> i64 {
                i64::from($to_bits(self))
            }
            #[inline(always)]
            fn wrapping_sum(self, other: $name) -> $name {
                $from_bits($to_bits(self).wrapping_add($to_bits(other)))
            }
            fn extend_from_plain(bytes: &[u8], out: &mut Vec<$name>) {
                let (values, _) = bytes.as_chunks::<{ size_of::<$name>() }>();
                out.extend(values.iter().map(|value| <$name>::from_le_bytes(*value)));
            }
            fn append_plain(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
        }
    };
}

number!(i16, i16, |value: i16| value, |bits: i16| bits);
number!(i32, i32, |value: i32| value, |bits: i32| bits);
number!(i64, i64, |value: i64| value, |bits: i64| bits);
number!(u32, u32, |value: u32| value, |bits: u32| bits);
number!(f32, i32, |value: f32| value.to_bits() as i32, |bits: i32| f32::from_bits(bits as u32));
number!(f64, i64, |value: f64| value.to_bits() as i64, |bits: i64| f64::from_bits(bits as u64));

/// What one pass over a page says about the sizes of its encodings.
struct Profile {
    lowest: i64,
    range_bits: u32,
    run_count: usize,
    run_length_max: usize,
    /// Lowest step and bits of the range of steps; nothing if a step leaves 64 bits.
    steps: Option<(i64, u32)>,
}

fn profile(values: &[i64]) -> Profile {
    let (mut lowest, mut highest) = (values[0], values[0]);
    let (mut step_lowest, mut step_highest) = (i64::MAX, i64::MIN);
    let (mut run_count, mut run_length, mut run_length_max) = (1, 1, 1);
    let mut steps_fit = values.len() > 1;
    for pair in values.windows(2) {
        lowest = lowest.min(pair[1]);
        highest = highest.max(pair[1]);
        match pair[1].checked_sub(pair[0]) {
            Some(step) => {
                step_lowest = step_lowest.min(step);
                step_highest = step_highest.max(step);
            }
            None => steps_fit = false,
        }
        if pair[0] == pair[1] {
            run_length += 1;
        } else {
            run_count += 1;
            run_length = 1;
        }
        run_length_max = run_length_max.max(run_length);
    }
    let range = |low: i64, high: i64| bits_of(high.wrapping_sub(low) as u64);
    Profile {
        lowest,
        range_bits: range(lowest, highest),
        run_count,
        run_length_max,
        steps: steps_fit.then(|| (step_lowest, range(step_lowest, step_highest))),
    }
}

/// The cheapest form so far.
struct Best {
    tenths: usize,
    encoding: Encoding,
}

impl Best {
    /// A form of so many bytes, of which each counts so many tenths.
    fn offer(&mut self, bytes: usize, tenths: usize, encoding: Encoding) {
        if bytes * tenths < self.tenths {
            *self = Best { tenths: bytes * tenths, encoding };
        }
    }
}

/// Distinct values above which a dictionary is not worth its look-ups.
const DISTINCT_MAX: usize = 256;

/// Appends the smallest form; says which.
pub(crate) fn encode<T: Number>(values: &[T], out: &mut Vec<u8>) -> Encoding {
    if values.is_empty() {
        return Encoding::Plain;
    }
    let signed: Vec<i64> = values.iter().map(|value| value.to_signed()).collect();
    let profile = profile(&signed);
    if profile.run_count == 1 {
        values[0].append_plain(out);
        return Encoding::Constant;
    }
    let count = values.len();
    let width_bits = 8 * T::BYTES as u32;
    let plain = count * T::BYTES;
    let packed = T::BYTES + 1 + packed_bytes(count, profile.range_bits);
    // Each form with its size, in tenths of a byte so that slower ones pay a margin.
    let mut best = Best { tenths: plain * 9, encoding: Encoding::Plain };
    if profile.range_bits < width_bits {
        best.offer(packed, 10, Encoding::FrameOfReference);
    }
    if let Some((_, step_bits)) = profile.steps
        && step_bits < width_bits
    {
        best.offer(2 * T::BYTES + 1 + packed_bytes(count, step_bits), 11, Encoding::Delta);
    }
    let run_bits = profile.range_bits + bits_of(profile.run_length_max as u64);
    let runs = (profile.run_count * run_bits as usize).div_ceil(8) + 2 * T::BYTES + 20;
    best.offer(runs, 11, Encoding::RunLength);
    let mut dictionary = None;
    if best.tenths > count * 10 {
        // Everything else takes above a byte a value, so distinct values are worth counting.
        if let Some((distinct, codes)) = distinct(&signed) {
            let code_bits = bits_of(distinct.len() as u64 - 1);
            best.offer(
                distinct.len() * T::BYTES + packed_bytes(count, code_bits) + 16,
                12,
                Encoding::Dictionary,
            );
            dictionary = Some((distinct, codes));
        }
    }
    match (best.encoding, dictionary) {
        (Encoding::FrameOfReference, _) => encode_frame::<T>(&signed, &profile, out),
        (Encoding::Delta, _) => encode_delta(values, &signed, &profile, out),
        (Encoding::RunLength, _) => encode_runs(values, &profile, out),
        (Encoding::Dictionary, Some((distinct, codes))) => {
            out.extend_from_slice(&(distinct.len() as u32).to_le_bytes());
            for value in distinct {
                T::from_bits(value as u64).append_plain(out);
            }
            encode_block(&codes, out);
        }
        _ => values.iter().for_each(|value| value.append_plain(out)),
    }
    best.encoding
}

/// Appends a block: the form with its length and encoding in front.
pub(crate) fn encode_block<T: Number>(values: &[T], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; 5]);
    let encoding = encode(values, out);
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4] = encoding as u8;
}

fn pack<T: Number>(distances: impl Iterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    if T::BYTES <= 4 {
        let narrow: Vec<u32> = distances.map(|distance| distance as u32).collect();
        pack_32(&narrow, width, out);
    } else {
        let wide: Vec<u64> = distances.collect();
        pack_64(&wide, width, out);
    }
}

fn encode_frame<T: Number>(signed: &[i64], profile: &Profile, out: &mut Vec<u8>) {
    T::from_bits(profile.lowest as u64).append_plain(out);
    out.push(profile.range_bits as u8);
    let distances = signed.iter().map(|value| value.wrapping_sub(profile.lowest) as u64);
    pack::<T>(distances, profile.range_bits, out);
}

fn encode_delta<T: Number>(values: &[T], signed: &[i64], profile: &Profile, out: &mut Vec<u8>) {
    let (lowest, bits) = profile.steps.expect("a delta form was offered only if steps fit");
    values[0].append_plain(out);
    T::from_bits(lowest as u64).append_plain(out);
    out.push(bits as u8);
    // A step for the first value too, so that a page of whole blocks stays one.
    let steps = signed.windows(2).map(|pair| (pair[1] - pair[0]).wrapping_sub(lowest) as u64);
    pack::<T>(core::iter::once(0).chain(steps), bits, out);
}

fn encode_runs<T: Number>(values: &[T], profile: &Profile, out: &mut Vec<u8>) {
    let mut starts: Vec<T> = Vec::with_capacity(profile.run_count);
    let mut lengths: Vec<u32> = Vec::with_capacity(profile.run_count);
    for value in values {
        // Runs are told apart by bits, as the profile does: a NaN equals itself here, and −0 is not 0.
        match (starts.last(), lengths.last_mut()) {
            (Some(last), Some(length)) if last.to_signed() == value.to_signed() => *length += 1,
            _ => {
                starts.push(*value);
                lengths.push(1);
            }
        }
    }
    out.extend_from_slice(&(starts.len() as u32).to_le_bytes());
    encode_block(&starts, out);
    encode_block(&lengths, out);
}

/// Distinct values in order of appearance and each row's code; nothing if there are too many.
fn distinct(values: &[i64]) -> Option<(Vec<i64>, Vec<u32>)> {
    const SLOTS: usize = 4 * DISTINCT_MAX;
    let mut slots = vec![0u16; SLOTS];
    let mut found: Vec<i64> = Vec::new();
    let mut codes = Vec::with_capacity(values.len());
    let limit = DISTINCT_MAX.min(values.len() / 4);
    for value in values {
        let hash = (*value as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let mut slot = hash as usize % SLOTS;
        loop {
            match slots[slot] {
                0 if found.len() >= limit => return None,
                0 => {
                    found.push(*value);
                    slots[slot] = found.len() as u16;
                    codes.push(found.len() as u32 - 1);
                    break;
                }
                code if found[usize::from(code) - 1] == *value => {
                    codes.push(u32::from(code) - 1);
                    break;
                }
                _ => slot = (slot + 1) % SLOTS,
            }
        }
    }
    Some((found, codes))
}

/// Appends `row_count` values in one of the forms.
pub(crate) fn decode<T: Number>(
    encoding: Encoding,
    payload: &[u8],
    row_count: usize,
    out: &mut Vec<T>,
) -> Result<(), DecodeError> {
    let decoder = &mut Decoder::new(payload);
    decode_form(encoding, decoder, row_count, out)?;
    if decoder.remaining() > 0 { Err(decoder.invalid("end of page")) } else { Ok(()) }
}

fn one<T: Number>(decoder: &mut Decoder<'_>) -> Result<T, DecodeError> {
    let mut value = [0u8; 8];
    value[..T::BYTES].copy_from_slice(decoder.raw(T::BYTES)?);
    Ok(T::from_bits(u64::from_le_bytes(value)))
}

fn decode_form<T: Number>(
    encoding: Encoding,
    decoder: &mut Decoder<'_>,
    row_count: usize,
    out: &mut Vec<T>,
) -> Result<(), DecodeError> {
    let error = decoder.invalid("encoding");
    match encoding {
        Encoding::AllNull => out.resize(out.len() + row_count, T::default()),
        Encoding::Plain => T::extend_from_plain(decoder.raw(row_count * T::BYTES)?, out),
        Encoding::Constant => {
            let value = one(decoder)?;
            out.resize(out.len() + row_count, value);
        }
        Encoding::FrameOfReference => {
            let lowest: T = one(decoder)?;
            let slots = grow(out, row_count);
            unpack(decoder, slots, lowest)?;
        }
        Encoding::Delta if row_count > 0 => {
            let first: T = one(decoder)?;
            let step: T = one(decoder)?;
            let slots = grow(out, row_count);
            unpack(decoder, slots, step)?;
            slots[0] = first;
            let mut sum = first;
            for slot in &mut slots[1..] {
                sum = sum.wrapping_sum(*slot);
                *slot = sum;
            }
        }
        Encoding::RunLength => decode_runs(decoder, row_count, out)?,
        Encoding::Dictionary => {
            let count = decoder.count(T::BYTES, "distinct count")?;
            let mut distinct: Vec<T> = Vec::with_capacity(count);
            T::extend_from_plain(decoder.raw(count * T::BYTES)?, &mut distinct);
            let codes = decode_block::<u32>(decoder, row_count)?;
            out.reserve(row_count);
            for code in codes {
                out.push(*distinct.get(code as usize).ok_or(error)?);
            }
        }
        Encoding::Delta => return Err(error),
    }
    Ok(())
}

fn grow<T: Number>(out: &mut Vec<T>, row_count: usize) -> &mut [T] {
    let start = out.len();
    out.resize(start + row_count, T::default());
    &mut out[start..]
}

fn width_of<T: Number>(decoder: &mut Decoder<'_>) -> Result<u32, DecodeError> {
    let error = decoder.invalid("bits");
    let width = u32::from(decoder.u8()?);
    if width > 8 * T::BYTES as u32 { Err(error) } else { Ok(width) }
}

fn unpack<T: Number>(
    decoder: &mut Decoder<'_>,
    slots: &mut [T],
    add: T,
) -> Result<(), DecodeError> {
    let width = width_of::<T>(decoder)?;
    let packed = decoder.raw(packed_bytes(slots.len(), width))?;
    if T::BYTES <= 4 {
        unpack_32(packed, width, slots, |value| T::from_bits(u64::from(value)).wrapping_sum(add));
    } else {
        unpack_64(packed, width, slots, |value| T::from_bits(value).wrapping_sum(add));
    }
    Ok(())
}

/// Reads a block of `count` values.
pub(crate) fn decode_block<T: Number>(
    decoder: &mut Decoder<'_>,
    count: usize,
) -> Result<Vec<T>, DecodeError> {
    let (encoding, body) = block_body(decoder)?;
    let mut values = Vec::new();
    decode(encoding, body, count, &mut values)?;
    Ok(values)
}

/// The encoding and the bytes of a block.
pub(crate) fn block_body<'a>(
    decoder: &mut Decoder<'a>,
) -> Result<(Encoding, &'a [u8]), DecodeError> {
    let error = decoder.invalid("block");
    let body = decoder.bytes()?;
    let (code, body) = body.split_first().ok_or(error)?;
    match Encoding::from_code(*code) {
        Some(Encoding::AllNull) | None => Err(error),
        Some(encoding) => Ok((encoding, body)),
    }
}

fn decode_runs<T: Number>(
    decoder: &mut Decoder<'_>,
    row_count: usize,
    out: &mut Vec<T>,
) -> Result<(), DecodeError> {
    let error = decoder.invalid("run count");
    let run_count = decoder.u32()? as usize;
    if run_count > row_count {
        return Err(error);
    }
    let starts = decode_block::<T>(decoder, run_count)?;
    let lengths = decode_block::<u32>(decoder, run_count)?;
    let total: u64 = lengths.iter().map(|length| u64::from(*length)).sum();
    if total != row_count as u64 {
        return Err(error);
    }
    out.reserve(row_count);
    for (value, length) in starts.iter().zip(&lengths) {
        out.resize(out.len() + *length as usize, *value);
    }
    Ok(())
}

/// One of `row_count` values without decoding the others where the form allows.
pub(crate) fn get<T: Number>(
    encoding: Encoding,
    payload: &[u8],
    row_count: usize,
    row: usize,
) -> Result<T, DecodeError> {
    let decoder = &mut Decoder::new(payload);
    let error = decoder.invalid("encoding");
    match encoding {
        Encoding::AllNull => Ok(T::default()),
        Encoding::Constant => one(decoder),
        Encoding::Plain => {
            decoder.raw(row * T::BYTES)?;
            one(decoder)
        }
        Encoding::FrameOfReference => {
            let lowest: T = one(decoder)?;
            let width = width_of::<T>(decoder)?;
            let packed = decoder.raw(packed_bytes(row_count, width))?;
            let distance = if T::BYTES <= 4 {
                u64::from(get_32(packed, width, row_count, row))
            } else {
                get_64(packed, width, row_count, row)
            };
            Ok(T::from_bits(distance).wrapping_sum(lowest))
        }
        Encoding::Dictionary => {
            let count = decoder.count(T::BYTES, "distinct count")?;
            let distinct = decoder.raw(count * T::BYTES)?;
            let (codes_encoding, body) = block_body(decoder)?;
            let code = get::<u32>(codes_encoding, body, row_count, row)? as usize;
            let value = distinct.chunks_exact(T::BYTES).nth(code).ok_or(error)?;
            one(&mut Decoder::new(value))
        }
        Encoding::RunLength | Encoding::Delta => {
            let mut values = Vec::new();
            decode(encoding, payload, row_count, &mut values)?;
            values.get(row).copied().ok_or(error)
        }
    }
}
