//! What one transaction writes, encoded once and applied atomically: the payload of a [`crate::RecordKind::WRITES`] record.
//!
//! ```text
//! execute_at (16)
//! definitions (LEB128)  { layout, see [`TableLayout`] }*
//! writes to the end     { table (4) | slice (2) | kind (1): 0 row, 1 tombstone | key bytes (LEB128) | key | [ row bytes (LEB128) | row ] }*
//! ```
//! Rows of several shards may stand in one batch; each shard applies those of its slices. A definition says how the rows of a storage table are
//! laid out in stored order; it stands in the batch of the statement that makes the table or adds the column, so that it is durable before any such row.

use types::codec::{DecodeError, Decoder};
use types::limits::{KEY_BYTES_MAX, ROW_BYTES_MAX};
use types::{SliceId, TableId, Timestamp};

use crate::error::StorageError;
use crate::layout::TableLayout;

const ROW: u8 = 0;
const TOMBSTONE: u8 = 1;

pub(crate) fn append_length(length: usize, out: &mut Vec<u8>) {
    let mut rest = length;
    while rest >= 0x80 {
        out.push((rest as u8 & 0x7f) | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

pub(crate) fn read_length(decoder: &mut Decoder<'_>) -> Result<usize, DecodeError> {
    let error = decoder.invalid("length");
    let mut length = 0usize;
    for shift in (0..35).step_by(7) {
        let byte = decoder.u8()?;
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(length);
        }
    }
    Err(error)
}

/// Builds a batch.
#[derive(Clone, Debug)]
pub struct WriteBatchBuilder {
    definitions: Vec<u8>,
    definition_count: usize,
    writes: Vec<u8>,
    write_count: usize,
}

impl Default for WriteBatchBuilder {
    fn default() -> Self {
        WriteBatchBuilder::new()
    }
}

impl WriteBatchBuilder {
    /// An empty batch.
    pub const fn new() -> WriteBatchBuilder {
        WriteBatchBuilder {
            definitions: Vec::new(),
            definition_count: 0,
            writes: Vec::new(),
            write_count: 0,
        }
    }

    /// Adds a table's layout.
    pub fn define(&mut self, layout: &TableLayout) {
        self.definitions.extend_from_slice(&layout.encode());
        self.definition_count += 1;
    }

    fn head(&mut self, table: TableId, slice: SliceId, kind: u8, key: &[u8]) {
        self.writes.extend_from_slice(&table.0.to_le_bytes());
        self.writes.extend_from_slice(&slice.0.to_le_bytes());
        self.writes.push(kind);
        append_length(key.len(), &mut self.writes);
        self.writes.extend_from_slice(key);
        self.write_count += 1;
    }

    /// Adds a row: the whole row as the row codec encodes it.
    pub fn put(&mut self, table: TableId, slice: SliceId, key: &[u8], row: &[u8]) {
        self.head(table, slice, ROW, key);
        append_length(row.len(), &mut self.writes);
        self.writes.extend_from_slice(row);
    }

    /// Adds a tombstone.
    pub fn delete(&mut self, table: TableId, slice: SliceId, key: &[u8]) {
        self.head(table, slice, TOMBSTONE, key);
    }

    /// Rows and tombstones so far.
    pub const fn write_count(&self) -> usize {
        self.write_count
    }

    /// Bytes so far.
    pub fn byte_count(&self) -> usize {
        self.writes.len() + self.definitions.len() + 20
    }

    /// True when there is nothing to log.
    pub const fn is_empty(&self) -> bool {
        self.write_count == 0 && self.definition_count == 0
    }

    /// The payload. Several batches may be made of one builder with different timestamps (a retry).
    pub fn encode(&self, execute_at: Timestamp) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.byte_count());
        out.extend_from_slice(&execute_at.to_bytes());
        append_length(self.definition_count, &mut out);
        out.extend_from_slice(&self.definitions);
        out.extend_from_slice(&self.writes);
        out
    }
}

/// One row version to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowWrite<'a> {
    /// Storage table.
    pub table: TableId,
    /// The slice of the row's token.
    pub slice: SliceId,
    /// Encoded storage key.
    pub key: &'a [u8],
    /// The row, or nothing for a tombstone.
    pub row: Option<&'a [u8]>,
}

/// A batch read from its payload; borrows it.
#[derive(Clone, Copy, Debug)]
pub struct WriteBatch<'a> {
    execute_at: Timestamp,
    definitions: &'a [u8],
    definition_count: usize,
    writes: &'a [u8],
}

impl<'a> WriteBatch<'a> {
    /// Reads the head and checks that everything in the payload can be read.
    ///
    /// # Errors
    /// [`StorageError::Decode`], or [`StorageError::TooLarge`] for a key or row beyond its bound.
    pub fn parse(payload: &'a [u8]) -> Result<WriteBatch<'a>, StorageError> {
        let mut decoder = Decoder::new(payload);
        let execute_at = Timestamp(decoder.u128()?);
        let definition_count = read_length(&mut decoder)?;
        let start = decoder.offset();
        for _ in 0..definition_count {
            TableLayout::decode(&mut decoder)?;
        }
        let definitions = &payload[start..decoder.offset()];
        let writes = &payload[decoder.offset()..];
        while decoder.remaining() > 0 {
            let write = next_write(&mut decoder)?;
            check_bytes("a key", write.key.len(), KEY_BYTES_MAX)?;
            check_bytes("a row", write.row.map_or(0, <[u8]>::len), ROW_BYTES_MAX)?;
        }
        Ok(WriteBatch { execute_at, definitions, definition_count, writes })
    }

    /// When the transaction takes effect.
    pub const fn execute_at(&self) -> Timestamp {
        self.execute_at
    }

    /// Layouts in the batch.
    pub fn definitions(&self) -> impl Iterator<Item = TableLayout> + 'a {
        let mut decoder = Decoder::new(self.definitions);
        (0..self.definition_count)
            .map(move |_| TableLayout::decode(&mut decoder).expect("checked by parse"))
    }

    /// Row versions in the batch, in the order they were added.
    pub fn writes(&self) -> impl Iterator<Item = RowWrite<'a>> + 'a {
        let mut decoder = Decoder::new(self.writes);
        std::iter::from_fn(move || {
            (decoder.remaining() > 0).then(|| next_write(&mut decoder).expect("checked by parse"))
        })
    }
}

fn check_bytes(what: &'static str, bytes: usize, bytes_max: usize) -> Result<(), StorageError> {
    if bytes > bytes_max { Err(StorageError::TooLarge { what, bytes, bytes_max }) } else { Ok(()) }
}

fn next_write<'a>(decoder: &mut Decoder<'a>) -> Result<RowWrite<'a>, DecodeError> {
    let table = TableId(decoder.u32()?);
    let slice = SliceId(decoder.u16()?);
    let error = decoder.invalid("write kind");
    let kind = decoder.u8()?;
    let key_bytes = read_length(decoder)?;
    let key = decoder.raw(key_bytes)?;
    let row = match kind {
        ROW => {
            let row_bytes = read_length(decoder)?;
            Some(decoder.raw(row_bytes)?)
        }
        TOMBSTONE => None,
        _ => return Err(error),
    };
    Ok(RowWrite { table, slice, key, row })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::tests::layout;

    #[test]
    fn round_trip_and_truncations() {
        let mut builder = WriteBatchBuilder::new();
        builder.define(&layout(7, 2));
        builder.put(TableId(7), SliceId(3), b"key", &[9; 300]);
        builder.delete(TableId(8), SliceId(63), b"");
        let at = Timestamp::new(1, 2, 3);
        let payload = builder.encode(at);
        let batch = WriteBatch::parse(&payload).expect("whole");
        assert_eq!(batch.execute_at(), at);
        assert_eq!(batch.definitions().next().expect("one").columns.len(), 2);
        let writes: Vec<RowWrite<'_>> = batch.writes().collect();
        assert_eq!(writes.len(), 2);
        assert_eq!(writes[0].row, Some(&[9u8; 300][..]));
        assert_eq!(writes[1].row, None);
        assert_eq!(writes[1].slice, SliceId(63));
        for end in 0..payload.len() {
            // A cut at the end of a write leaves a shorter batch; any other is an error. None panics.
            let _ = WriteBatch::parse(&payload[..end]);
        }
        assert!(WriteBatch::parse(&payload[..20]).is_err());
    }
}
