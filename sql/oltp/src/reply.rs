//! What a changing statement answers: how many rows, and RETURNING's.

use types::Value;
use types::codec::{DecodeError, Decoder, Encoder};

/// The outcome of INSERT, UPDATE or DELETE.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Rows inserted, updated or deleted.
    pub row_count: u64,
    /// RETURNING's rows, if there is one.
    pub rows: Vec<Vec<Value>>,
}

impl Changed {
    /// For the way between cores.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        encoder.u64(self.row_count);
        encoder.u32(self.rows.len() as u32);
        encoder.u32(self.rows.first().map_or(0, Vec::len) as u32);
        for row in &self.rows {
            for value in row {
                encoder.value(value);
            }
        }
        encoder.into_bytes()
    }

    /// Inverse of [`Changed::encode`].
    pub(crate) fn decode(bytes: &[u8]) -> Result<Changed, DecodeError> {
        let decoder = &mut Decoder::new(bytes);
        let row_count = decoder.u64()?;
        let rows = decoder.u32()? as usize;
        let width = decoder.u32()? as usize;
        let mut changed = Changed { row_count, rows: Vec::new() };
        for _ in 0..rows {
            let mut row = Vec::with_capacity(width.min(decoder.remaining()));
            for _ in 0..width {
                row.push(decoder.value()?);
            }
            changed.rows.push(row);
        }
        Ok(changed)
    }
}
