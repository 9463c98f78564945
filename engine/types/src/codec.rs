//! Encode and decode over byte slices. Decoding never panics and never allocates more than the input could fill.

use crate::Value;
use crate::numeric::Numeric;
use crate::value::Interval;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

/// Why bytes could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The input ended inside a field.
    #[error("the bytes end inside a field at offset {offset}")]
    Truncated {
        /// Where the field began.
        offset: usize,
    },
    /// A field holds a value that the format does not allow.
    #[error("the field {field} at offset {offset} holds a value that its format does not allow")]
    Invalid {
        /// What was being read.
        field: &'static str,
        /// Where the field began.
        offset: usize,
    },
}

/// Appends fields to a buffer.
#[derive(Debug, Default)]
pub struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    /// An empty buffer.
    pub const fn new() -> Encoder {
        Encoder { bytes: Vec::new() }
    }

    /// Goes on after what a buffer holds; [`Encoder::into_bytes`] gives the buffer back.
    pub const fn after(bytes: Vec<u8>) -> Encoder {
        Encoder { bytes }
    }

    /// What was appended.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Appends one byte.
    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// Appends a boolean as one byte.
    pub fn bool(&mut self, value: bool) {
        self.bytes.push(u8::from(value));
    }

    /// Appends two bytes.
    pub fn u16(&mut self, value: u16) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Appends four bytes.
    pub fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Appends eight bytes.
    pub fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Appends sixteen bytes.
    pub fn u128(&mut self, value: u128) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Appends eight bytes, two's complement.
    pub fn i64(&mut self, value: i64) {
        self.u64(value as u64);
    }

    /// Appends four bytes, two's complement.
    pub fn i32(&mut self, value: i32) {
        self.u32(value as u32);
    }

    /// Appends a number in as many bytes as it needs, seven bits a byte, the lowest first: small in most messages between nodes.
    pub fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    /// Appends a length ([`Encoder::varint`]) and the bytes.
    pub fn var_bytes(&mut self, value: &[u8]) {
        self.varint(value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    /// Appends a length (four bytes) and the bytes.
    ///
    /// # Panics
    /// If there are 2^32 bytes or more.
    pub fn bytes(&mut self, value: &[u8]) {
        self.u32(u32::try_from(value.len()).expect("a field is below 4 GiB"));
        self.bytes.extend_from_slice(value);
    }

    /// Appends a length and the text.
    pub fn str(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    /// Appends bytes without a length.
    pub fn raw(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
    }

    /// Appends a value with a tag byte, so that it decodes without its type.
    pub fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.u8(0),
            Value::Bool(v) => {
                self.u8(1);
                self.bool(*v);
            }
            Value::Int2(v) => {
                self.u8(2);
                self.u16(*v as u16);
            }
            Value::Int4(v) => {
                self.u8(3);
                self.i32(*v);
            }
            Value::Int8(v) => {
                self.u8(4);
                self.i64(*v);
            }
            Value::Float4(v) => {
                self.u8(5);
                self.u32(v.to_bits());
            }
            Value::Float8(v) => {
                self.u8(6);
                self.u64(v.to_bits());
            }
            Value::Numeric(v) => {
                self.u8(7);
                let mut encoded = Vec::new();
                v.encode(&mut encoded);
                self.bytes(&encoded);
            }
            Value::Text(v) => {
                self.u8(8);
                self.str(v);
            }
            Value::Bytea(v) => {
                self.u8(9);
                self.bytes(v);
            }
            Value::Date(v) => {
                self.u8(10);
                self.i32(*v);
            }
            Value::Timestamp(v) => {
                self.u8(11);
                self.i64(*v);
            }
            Value::Timestamptz(v) => {
                self.u8(12);
                self.i64(*v);
            }
            Value::Interval(v) => {
                self.u8(13);
                self.raw(&v.to_bytes());
            }
            Value::Uuid(v) => {
                self.u8(14);
                self.raw(v);
            }
            Value::Oid(v) => {
                self.u8(15);
                self.u32(*v);
            }
            Value::Array(values) => {
                self.u8(16);
                self.u32(values.len() as u32);
                for value in values.iter() {
                    self.value(value);
                }
            }
        }
    }
}

/// Reads fields from a slice.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Decoder<'a> {
    /// Starts at the first byte.
    pub const fn new(bytes: &'a [u8]) -> Decoder<'a> {
        Decoder { bytes, offset: 0 }
    }

    /// Bytes not read yet.
    pub const fn remaining(&self) -> usize {
        self.bytes.len() - self.offset
    }

    /// Position of the next field.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// An error about the field that is read next.
    pub const fn invalid(&self, field: &'static str) -> DecodeError {
        DecodeError::Invalid { field, offset: self.offset }
    }

    /// Takes `count` bytes.
    pub fn raw(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        if self.remaining() < count {
            return Err(DecodeError::Truncated { offset: self.offset });
        }
        let taken = &self.bytes[self.offset..self.offset + count];
        self.offset += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let taken = self.raw(N)?;
        let mut array = [0u8; N];
        array.copy_from_slice(taken);
        Ok(array)
    }

    /// Reads one byte.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    /// Reads a boolean; any byte but 0 and 1 is invalid.
    pub fn bool(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        let error = self.invalid(field);
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(error),
        }
    }

    /// Reads two bytes.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// Reads four bytes.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Reads eight bytes.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Reads sixteen bytes.
    pub fn u128(&mut self) -> Result<u128, DecodeError> {
        Ok(u128::from_le_bytes(self.array()?))
    }

    /// Reads eight bytes, two's complement.
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        Ok(self.u64()? as i64)
    }

    /// Reads four bytes, two's complement.
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        Ok(self.u32()? as i32)
    }

    /// Reads a length and that many bytes.
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.u32()? as usize;
        self.raw(length)
    }

    /// Reads a length and UTF-8 text.
    pub fn str(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        let error = self.invalid(field);
        core::str::from_utf8(self.bytes()?).map_err(|_| error)
    }

    /// Reads a number of [`Encoder::varint`]. There is one form of each number: a longer one is invalid, so that what is decoded encodes to the same bytes.
    pub fn varint(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        let error = self.invalid(field);
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(error);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return if byte == 0 && shift > 0 { Err(error) } else { Ok(value) };
            }
        }
        Err(error)
    }

    /// Reads a number of [`Encoder::varint`] that must fit 32 bits.
    pub fn varint_u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        let error = self.invalid(field);
        u32::try_from(self.varint(field)?).map_err(|_| error)
    }

    /// Reads what [`Encoder::var_bytes`] appended.
    pub fn var_bytes(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let error = self.invalid(field);
        let length = usize::try_from(self.varint(field)?).map_err(|_| error)?;
        self.raw(length)
    }

    /// Reads a length of [`Encoder::var_bytes`] and UTF-8 text.
    pub fn var_str(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        let error = self.invalid(field);
        core::str::from_utf8(self.var_bytes(field)?).map_err(|_| error)
    }

    /// As [`Decoder::count`], for a number of [`Encoder::varint`].
    pub fn var_count(
        &mut self,
        element_bytes_min: usize,
        field: &'static str,
    ) -> Result<usize, DecodeError> {
        let error = self.invalid(field);
        let count = usize::try_from(self.varint(field)?).map_err(|_| error)?;
        if count.saturating_mul(element_bytes_min.max(1)) > self.remaining() {
            return Err(error);
        }
        Ok(count)
    }

    /// Nothing may be left.
    pub fn finish(&self) -> Result<(), DecodeError> {
        if self.remaining() == 0 { Ok(()) } else { Err(self.invalid("end of the bytes")) }
    }

    /// Reads an owned text.
    pub fn string(&mut self, field: &'static str) -> Result<String, DecodeError> {
        Ok(String::from(self.str(field)?))
    }

    /// Reads a number of elements, each of which takes at least `element_bytes_min` bytes, so that a lie cannot make us allocate.
    pub fn count(
        &mut self,
        element_bytes_min: usize,
        field: &'static str,
    ) -> Result<usize, DecodeError> {
        let error = self.invalid(field);
        let count = self.u32()? as usize;
        if count.saturating_mul(element_bytes_min.max(1)) > self.remaining() {
            return Err(error);
        }
        Ok(count)
    }

    /// Reads a value with its tag.
    pub fn value(&mut self) -> Result<Value, DecodeError> {
        self.value_at_depth(0)
    }

    fn value_at_depth(&mut self, depth: u32) -> Result<Value, DecodeError> {
        let error = self.invalid("value");
        Ok(match self.u8()? {
            0 => Value::Null,
            1 => Value::Bool(self.bool("value")?),
            2 => Value::Int2(self.u16()? as i16),
            3 => Value::Int4(self.i32()?),
            4 => Value::Int8(self.i64()?),
            5 => Value::Float4(f32::from_bits(self.u32()?)),
            6 => Value::Float8(f64::from_bits(self.u64()?)),
            7 => Value::Numeric(Box::new(Numeric::decode(self.bytes()?).ok_or(error)?)),
            8 => Value::Text(self.str("value")?.into()),
            9 => Value::Bytea(self.bytes()?.into()),
            10 => Value::Date(self.i32()?),
            11 => Value::Timestamp(self.i64()?),
            12 => Value::Timestamptz(self.i64()?),
            13 => Value::Interval(Interval::from_bytes(self.array()?)),
            14 => Value::Uuid(self.array()?),
            15 => Value::Oid(self.u32()?),
            16 if depth < 4 => {
                let count = self.count(1, "value")?;
                let mut values = Vec::with_capacity(count);
                for _ in 0..count {
                    values.push(self.value_at_depth(depth + 1)?);
                }
                Value::Array(values.into_boxed_slice())
            }
            _ => return Err(error),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Decoder, Encoder};
    use crate::{Interval, Numeric, Value};
    use alloc::boxed::Box;
    use alloc::vec;

    #[test]
    fn values_round_trip_and_every_truncation_is_an_error() {
        let values = vec![
            Value::Null,
            Value::Bool(true),
            Value::Int2(-3),
            Value::Int4(7),
            Value::Int8(i64::MIN),
            Value::Float4(1.5),
            Value::Float8(f64::NAN),
            Value::Numeric(Box::new(Numeric::from_i128(-123_456_789))),
            Value::text("héllo"),
            Value::Bytea(vec![0, 1, 255].into()),
            Value::Date(i32::MAX),
            Value::Timestamp(5),
            Value::Timestamptz(-5),
            Value::Interval(Interval { months: 1, days: -2, micros: 3 }),
            Value::Uuid([9; 16]),
            Value::Oid(u32::MAX),
            Value::Array(vec![Value::text("a"), Value::Null].into()),
        ];
        for value in values {
            let mut encoder = Encoder::new();
            encoder.value(&value);
            let bytes = encoder.into_bytes();
            assert_eq!(Decoder::new(&bytes).value().expect("round trip"), value);
            for end in 0..bytes.len() {
                assert!(Decoder::new(&bytes[..end]).value().is_err());
            }
        }
    }

    #[test]
    fn a_varint_has_one_form() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut encoder = Encoder::after(vec![9]);
            encoder.varint(value);
            let bytes = encoder.into_bytes();
            let mut decoder = Decoder::new(&bytes[1..]);
            assert_eq!(decoder.varint("number"), Ok(value));
            assert_eq!(decoder.finish(), Ok(()));
            for end in 1..bytes.len() {
                assert!(Decoder::new(&bytes[1..end]).varint("number").is_err());
            }
        }
        // A zero that goes on, more than 64 bits, more than ten bytes.
        let beyond = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        for bytes in [&[0x80, 0x00][..], &beyond, &[0xff; 11]] {
            assert!(Decoder::new(bytes).varint("number").is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_count_that_lies_is_refused_before_allocation() {
        let mut encoder = Encoder::new();
        encoder.u32(u32::MAX);
        let bytes = encoder.into_bytes();
        assert!(Decoder::new(&bytes).count(1, "columns").is_err());
    }
}
