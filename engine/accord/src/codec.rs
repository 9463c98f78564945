//! Footprints, records and rows as bytes: what nodes send each other, and what a replica keeps.
//!
//! Each begins with the version byte of its format. A value has one form only: whatever is decoded encodes to the same bytes, so that bytes may be
//! compared and digested instead of values. Numbers are varints but where all bits are random (tokens) or mostly used (timestamps).
//!
//! ```text
//! footprint  version (1) | above (16) | planned { table, version }* | point { table, token (8), access (1), key }*
//!            | range { table, shape (1), first (8)?, last (8)?, low, high?, limit? }*
//! record     version (1) | execute_at (16) | installs (1) | write { table, token (8), key, kind (1), row? }*
//!            | schema { table, kind (1), version? }* | attachment
//! rows       version (1) | point { index, execute_at (16), row }* | range { index, changed_at (16), { key, execute_at (16), row }* }*
//! ```
//! `{ }*` is preceded by its count, a key, row or attachment by its length. Decoding allocates no more than a small multiple of the bytes.

use alloc::vec::Vec;

use types::codec::{DecodeError, Decoder, Encoder};
use types::{SchemaVersion, TableId, Timestamp, Token};

use crate::footprint::{Access, Footprint, RangeNeed, TokenRange};
use crate::rows::Rows;
use crate::validation::{Expected, Validation};
use crate::workload::{Installs, Record, SchemaChange, Write};

const FOOTPRINT_FORMAT: u8 = 1;
const RECORD_FORMAT: u8 = 1;
const ROWS_FORMAT: u8 = 1;

/// The whole ring: neither token follows.
const RANGE_ALL: u8 = 0;
/// One token follows.
const RANGE_ONE: u8 = 1;
/// First and last follow.
const RANGE_FROM_TO: u8 = 2;
const RANGE_TOKENS: u8 = 3;
const RANGE_ACCESS_SHIFT: u32 = 2;
const RANGE_HAS_HIGH: u8 = 1 << 4;
const RANGE_HAS_ROWS: u8 = 1 << 5;
const RANGE_SHAPE_BITS: u8 = 0x3f;

fn format(decoder: &mut Decoder<'_>, known: u8, field: &'static str) -> Result<(), DecodeError> {
    let error = decoder.invalid(field);
    if decoder.u8()? == known { Ok(()) } else { Err(error) }
}

fn timestamp(decoder: &mut Decoder<'_>) -> Result<Timestamp, DecodeError> {
    Ok(Timestamp(decoder.u128()?))
}

fn table(decoder: &mut Decoder<'_>) -> Result<TableId, DecodeError> {
    Ok(TableId(decoder.varint_u32("table")?))
}

const fn access_code(access: Access) -> u8 {
    match access {
        Access::Read => 0,
        Access::Write => 1,
        Access::ReadWrite => 2,
    }
}

fn access_of(code: u8, error: DecodeError) -> Result<Access, DecodeError> {
    match code {
        0 => Ok(Access::Read),
        1 => Ok(Access::Write),
        2 => Ok(Access::ReadWrite),
        _ => Err(error),
    }
}

impl Footprint {
    /// Appends its form in bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut encoder = Encoder::after(core::mem::take(out));
        encoder.u8(FOOTPRINT_FORMAT);
        encoder.u128(self.above().0);
        encoder.varint(self.schema().len() as u64);
        for (table, version) in self.schema() {
            encoder.varint(u64::from(table.0));
            encoder.varint(version.0);
        }
        encoder.varint(self.points().len() as u64);
        for point in self.points() {
            encoder.varint(u64::from(point.table.0));
            encoder.u64(point.token.0);
            encoder.u8(access_code(point.access));
            encoder.var_bytes(self.key_of(point));
        }
        encoder.varint(self.ranges().len() as u64);
        for range in self.ranges() {
            encoder.varint(u64::from(range.table.0));
            let (low, high) = self.bounds_of(range);
            encode_range_shape(range.tokens, range.access, (high, range.need), &mut encoder);
            encoder.var_bytes(low);
            if let Some(high) = high {
                encoder.var_bytes(high);
            }
            if let RangeNeed::Rows { limit } = range.need {
                encoder.varint(u64::from(limit));
            }
        }
        *out = encoder.into_bytes();
    }

    /// Reads what [`Footprint::encode`] appended.
    ///
    /// # Errors
    /// Bytes that it does not make; another format.
    pub fn decode(decoder: &mut Decoder<'_>) -> Result<Footprint, DecodeError> {
        format(decoder, FOOTPRINT_FORMAT, "footprint format")?;
        let mut footprint = Footprint::new();
        footprint.execute_above(timestamp(decoder)?);
        let error = decoder.invalid("planned tables");
        let count = decoder.var_count(2, "planned tables")?;
        let mut planned = Vec::with_capacity(count);
        for _ in 0..count {
            planned.push((table(decoder)?, SchemaVersion(decoder.varint("schema version")?)));
        }
        if !footprint.plan_at_all(planned) {
            return Err(error);
        }
        for _ in 0..decoder.var_count(11, "points")? {
            let table = table(decoder)?;
            let token = Token(decoder.u64()?);
            let error = decoder.invalid("access");
            let access = access_of(decoder.u8()?, error)?;
            footprint.point(table, token, decoder.var_bytes("key")?, access);
        }
        for _ in 0..decoder.var_count(3, "ranges")? {
            decode_range(decoder, &mut footprint)?;
        }
        Ok(footprint)
    }
}

fn encode_range_shape(
    tokens: TokenRange,
    access: Access,
    (high, need): (Option<&[u8]>, RangeNeed),
    encoder: &mut Encoder,
) {
    let shape = if tokens == TokenRange::ALL {
        RANGE_ALL
    } else if tokens.first == tokens.last {
        RANGE_ONE
    } else {
        RANGE_FROM_TO
    };
    let mut bits = shape | access_code(access) << RANGE_ACCESS_SHIFT;
    if high.is_some() {
        bits |= RANGE_HAS_HIGH;
    }
    if matches!(need, RangeNeed::Rows { .. }) {
        bits |= RANGE_HAS_ROWS;
    }
    encoder.u8(bits);
    if shape != RANGE_ALL {
        encoder.u64(tokens.first.0);
    }
    if shape == RANGE_FROM_TO {
        encoder.u64(tokens.last.0);
    }
}

fn decode_range(decoder: &mut Decoder<'_>, footprint: &mut Footprint) -> Result<(), DecodeError> {
    let table = table(decoder)?;
    let error = decoder.invalid("range");
    let bits = decoder.u8()?;
    if bits & !RANGE_SHAPE_BITS != 0 {
        return Err(error);
    }
    let access = access_of(bits >> RANGE_ACCESS_SHIFT & 3, error)?;
    let tokens = match bits & RANGE_TOKENS {
        RANGE_ALL => TokenRange::ALL,
        RANGE_ONE => TokenRange::one(Token(decoder.u64()?)),
        RANGE_FROM_TO => {
            let (first, last) = (Token(decoder.u64()?), Token(decoder.u64()?));
            let tokens = TokenRange { first, last };
            if first >= last || tokens == TokenRange::ALL {
                return Err(error);
            }
            tokens
        }
        _ => return Err(error),
    };
    let low = decoder.var_bytes("low")?;
    let high = if bits & RANGE_HAS_HIGH != 0 { Some(decoder.var_bytes("high")?) } else { None };
    let need = if bits & RANGE_HAS_ROWS != 0 {
        RangeNeed::Rows { limit: decoder.varint_u32("limit")? }
    } else {
        RangeNeed::ChangedAt
    };
    footprint.range(table, tokens, (low, high), access, need);
    Ok(())
}

impl Write {
    /// Appends its form in bytes.
    pub fn encode(&self, encoder: &mut Encoder) {
        encoder.varint(u64::from(self.table.0));
        encoder.u64(self.token.0);
        encoder.var_bytes(&self.key);
        encoder.bool(self.row.is_some());
        if let Some(row) = &self.row {
            encoder.var_bytes(row);
        }
    }

    /// Reads what [`Write::encode`] appended.
    ///
    /// # Errors
    /// Bytes that it does not make.
    pub fn decode(decoder: &mut Decoder<'_>) -> Result<Write, DecodeError> {
        let table = table(decoder)?;
        let token = Token(decoder.u64()?);
        let key = decoder.var_bytes("key")?.to_vec();
        let row = if decoder.bool("whether there is a row")? {
            Some(decoder.var_bytes("row")?.to_vec())
        } else {
            None
        };
        Ok(Write { table, token, key, row })
    }

    /// Bytes of the smallest encoded one.
    pub const ENCODED_BYTES_MIN: usize = 11;
}

impl SchemaChange {
    /// Appends its form in bytes.
    pub fn encode(&self, encoder: &mut Encoder) {
        encoder.varint(u64::from(self.table.0));
        encoder.bool(self.version.is_some());
        if let Some(version) = self.version {
            encoder.varint(version.0);
        }
    }

    /// Reads what [`SchemaChange::encode`] appended.
    ///
    /// # Errors
    /// Bytes that it does not make.
    pub fn decode(decoder: &mut Decoder<'_>) -> Result<SchemaChange, DecodeError> {
        let table = table(decoder)?;
        let version = if decoder.bool("whether there is a version")? {
            Some(SchemaVersion(decoder.varint("schema version")?))
        } else {
            None
        };
        Ok(SchemaChange { table, version })
    }

    /// Bytes of the smallest encoded one.
    pub const ENCODED_BYTES_MIN: usize = 2;
}

impl Record {
    /// Appends its form in bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut encoder = Encoder::after(core::mem::take(out));
        encoder.u8(RECORD_FORMAT);
        encoder.u128(self.execute_at.0);
        encoder.bool(self.installs == Installs::WhenDurable);
        encoder.varint(self.writes.len() as u64);
        self.writes.iter().for_each(|write| write.encode(&mut encoder));
        encoder.varint(self.schema.len() as u64);
        self.schema.iter().for_each(|change| change.encode(&mut encoder));
        encoder.var_bytes(&self.attachment);
        *out = encoder.into_bytes();
    }

    /// Reads what [`Record::encode`] appended.
    ///
    /// # Errors
    /// Bytes that it does not make; another format.
    pub fn decode(decoder: &mut Decoder<'_>) -> Result<Record, DecodeError> {
        format(decoder, RECORD_FORMAT, "record format")?;
        let execute_at = timestamp(decoder)?;
        let installs =
            if decoder.bool("installs")? { Installs::WhenDurable } else { Installs::AtOnce };
        let count = decoder.var_count(Write::ENCODED_BYTES_MIN, "writes")?;
        let mut writes = Vec::with_capacity(count);
        for _ in 0..count {
            writes.push(Write::decode(decoder)?);
        }
        let count = decoder.var_count(SchemaChange::ENCODED_BYTES_MIN, "schema changes")?;
        let mut schema = Vec::with_capacity(count);
        for _ in 0..count {
            schema.push(SchemaChange::decode(decoder)?);
        }
        let attachment = decoder.var_bytes("attachment")?.to_vec();
        Ok(Record { execute_at, writes, schema, attachment, installs })
    }
}

impl Rows {
    /// Appends its form in bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut encoder = Encoder::after(core::mem::take(out));
        encoder.u8(ROWS_FORMAT);
        encoder.varint(self.point_count() as u64);
        for (point, execute_at, row) in self.points() {
            encoder.varint(point as u64);
            encoder.u128(execute_at.0);
            encoder.var_bytes(row);
        }
        encoder.varint(self.range_part_count() as u64);
        for (range, changed_at, rows) in self.range_parts() {
            encoder.varint(range as u64);
            encoder.u128(changed_at.0);
            encoder.varint(rows.len() as u64);
            for (key, execute_at, row) in rows {
                encoder.var_bytes(key);
                encoder.u128(execute_at.0);
                encoder.var_bytes(row);
            }
        }
        *out = encoder.into_bytes();
    }

    /// Reads what [`Rows::encode`] appended.
    ///
    /// # Errors
    /// Bytes that it does not make; another format.
    pub fn decode(decoder: &mut Decoder<'_>) -> Result<Rows, DecodeError> {
        format(decoder, ROWS_FORMAT, "rows format")?;
        let mut rows = Rows::default();
        let mut above: Option<u32> = None;
        for _ in 0..decoder.var_count(18, "points")? {
            let error = decoder.invalid("point");
            let point = decoder.varint_u32("point")?;
            if above.is_some_and(|above| point <= above) {
                return Err(error);
            }
            above = Some(point);
            let execute_at = timestamp(decoder)?;
            rows.push_point(point as usize, execute_at, decoder.var_bytes("row")?);
        }
        for _ in 0..decoder.var_count(18, "ranges")? {
            let range = decoder.varint_u32("range")?;
            let changed_at = timestamp(decoder)?;
            rows.push_range(range as usize, changed_at);
            for _ in 0..decoder.var_count(18, "rows")? {
                let key = decoder.var_bytes("key")?;
                let execute_at = timestamp(decoder)?;
                rows.push_row(key, execute_at, decoder.var_bytes("row")?);
            }
        }
        Ok(rows)
    }
}

impl Validation {
    /// Appends its form in bytes.
    pub fn encode(&self, encoder: &mut Encoder) {
        encoder.varint(self.points.len() as u64);
        for (point, expected) in &self.points {
            encoder.varint(*point as u64);
            match expected {
                Expected::Absent => encoder.u8(0),
                Expected::Present => encoder.u8(1),
                Expected::Version(execute_at) => {
                    encoder.u8(2);
                    encoder.u128(execute_at.0);
                }
            }
        }
        encoder.varint(self.ranges.len() as u64);
        for (range, snapshot) in &self.ranges {
            encoder.varint(*range as u64);
            encoder.u128(snapshot.0);
        }
    }

    /// Reads what [`Validation::encode`] appended.
    ///
    /// # Errors
    /// Bytes that it does not make.
    pub fn decode(decoder: &mut Decoder<'_>) -> Result<Validation, DecodeError> {
        let count = decoder.var_count(2, "validated points")?;
        let mut points = Vec::with_capacity(count);
        for _ in 0..count {
            let point = decoder.varint_u32("validated point")? as usize;
            let error = decoder.invalid("what is expected");
            let expected = match decoder.u8()? {
                0 => Expected::Absent,
                1 => Expected::Present,
                2 => Expected::Version(timestamp(decoder)?),
                _ => return Err(error),
            };
            points.push((point, expected));
        }
        let count = decoder.var_count(17, "validated ranges")?;
        let mut ranges = Vec::with_capacity(count);
        for _ in 0..count {
            let range = decoder.varint_u32("validated range")? as usize;
            ranges.push((range, timestamp(decoder)?));
        }
        Ok(Validation { points, ranges })
    }
}

#[cfg(test)]
mod tests;
