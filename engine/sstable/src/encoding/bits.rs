//! Booleans: one bit a row, or one for all.

use crate::bitmap::Bitmap;
use crate::encoding::Encoding;
use alloc::vec::Vec;
use types::codec::{DecodeError, Decoder};

pub(crate) fn encode(bits: &Bitmap, out: &mut Vec<u8>) -> Encoding {
    let ones = bits.count_ones();
    if ones == 0 || ones == bits.len() {
        out.push(u8::from(ones > 0));
        return Encoding::Constant;
    }
    out.extend_from_slice(bits.as_bytes());
    Encoding::Plain
}

pub(crate) fn decode(
    encoding: Encoding,
    payload: &[u8],
    row_count: usize,
    out: &mut Bitmap,
) -> Result<(), DecodeError> {
    let decoder = &mut Decoder::new(payload);
    match encoding {
        Encoding::AllNull => out.append_filled(false, row_count),
        Encoding::Constant => {
            let value = decoder.bool("constant")?;
            out.append_filled(value, row_count);
        }
        Encoding::Plain => out.append_bits(decoder.raw(row_count.div_ceil(8))?, row_count),
        _ => return Err(decoder.invalid("encoding")),
    }
    if decoder.remaining() > 0 { Err(decoder.invalid("end of page")) } else { Ok(()) }
}
