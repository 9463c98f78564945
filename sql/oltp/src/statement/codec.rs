//! [`PointWrite`] as bytes; the form is in [`crate::codec`].

use std::sync::Arc;

use types::codec::{DecodeError, Decoder, Encoder};

use super::PointWrite;
use crate::READ_ROWS_MAX;
use crate::codec::{self, Part};

impl PointWrite {
    pub(super) fn append(&self, out: &mut Vec<u8>) {
        let encoder = &mut Encoder::after(std::mem::take(out));
        codec::encode_head(codec::POINT_WRITE, encoder);
        encoder.varint(u64::from(self.table.slices.get()));
        codec::encode_table(&self.table, encoder);
        codec::encode_surroundings(&self.surroundings, encoder);
        let part = Part::of(&self.statement);
        codec::encode_part(&part, encoder);
        codec::encode_values(codec::parameters_used(&part, &self.parameters), encoder);
        encoder.varint(self.addresses.len() as u64);
        for (position, address) in self.addresses.iter().enumerate() {
            codec::encode_address(address, encoder);
            if part.is_insert() {
                codec::encode_row(&self.table, &self.rows[position], encoder);
            }
        }
        *out = std::mem::take(encoder).into_bytes();
    }

    pub(crate) fn decode(decoder: &mut Decoder<'_>) -> Result<PointWrite, DecodeError> {
        let slices = codec::decode_slices(decoder)?;
        let table = codec::decode_table(slices, decoder)?;
        let surroundings = codec::decode_surroundings(decoder)?;
        let statement = Arc::new(codec::decode_part(&table, decoder)?);
        let part = Part::of(&statement);
        let error = decoder.invalid("parameters");
        let parameters = codec::decode_values(decoder)?;
        if codec::parameters_used(&part, &parameters).len() != parameters.len() {
            return Err(error);
        }
        let error = decoder.invalid("rows");
        let count = decoder.var_count(9, "rows")?;
        if count > READ_ROWS_MAX as usize {
            return Err(error);
        }
        let mut addresses = Vec::with_capacity(count);
        let mut rows = Vec::with_capacity(if part.is_insert() { count } else { 0 });
        for _ in 0..count {
            addresses.push(codec::decode_address(slices, decoder)?);
            if part.is_insert() {
                rows.push(codec::decode_row(&table, decoder)?);
            }
        }
        Ok(PointWrite { statement, table, parameters, surroundings, addresses, rows })
    }
}
