//! A page: the values of one column for about a thousand rows, encoded and checksummed on its own.
//!
//! ```text
//! | crc32c (4) | encoding (1) | flags (1) | row count (2) | payload |
//! payload      | null bitmap, bit set = value (⌈rows / 8⌉), if flag 1 | encoded values |
//! with flag 2  | length of the payload (4) | lz4 block of the payload |
//! ```
//! The checksum starts from the file's salt and the page's offset in the file, and covers everything after itself.

use crate::bitmap::Bitmap;
use crate::column::ColumnVector;
use crate::encoding::string_table::StringTable;
use crate::encoding::{self, Encoding, integer, string};
use crate::error::{Section, SstableError};
use crate::layout::{PAGE_BYTES_MAX, PAGE_HEADER_BYTES, placed_checksum};
use alloc::borrow::Cow;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;
use types::codec::Decoder;
use types::{SqlType, Value};

const FLAG_NULLS: u8 = 1;
const FLAG_LZ4: u8 = 2;
/// Payloads below this are not worth compressing: the block that holds them is read anyway.
const LZ4_BYTES_MIN: usize = 512;

/// Whether plain pages are compressed where that saves a quarter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Never.
    Off,
    /// LZ4 block format.
    Lz4,
}

/// Whether the reader still has to look at a page's checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageCheck {
    /// The bytes come from a device.
    Verify,
    /// The bytes were verified when they entered memory.
    Verified,
}

/// Appends one page of `column[rows]` without its checksum, which needs the page's place: see [`seal`].
pub(crate) fn encode_page(
    column: &ColumnVector,
    rows: Range<usize>,
    compression: Compression,
    out: &mut Vec<u8>,
) {
    let row_count = u16::try_from(rows.len()).expect("the rows of a page are bounded");
    let start = out.len();
    out.extend_from_slice(&[0; PAGE_HEADER_BYTES]);
    let mut flags = 0;
    let validity = column.validity.as_ref().map(|bits| bits.slice(rows.start, rows.len()));
    let valid_count = validity.as_ref().map_or(rows.len(), Bitmap::count_ones);
    let encoding = if valid_count == 0 {
        Encoding::AllNull
    } else {
        if let Some(bits) = validity.filter(|_| valid_count < rows.len()) {
            flags |= FLAG_NULLS;
            out.extend_from_slice(bits.as_bytes());
        }
        let is_null = |row: usize| flags & FLAG_NULLS != 0 && column.is_null(row);
        encoding::encode(&column.values, rows, &is_null, out)
    };
    let payload = &out[start + PAGE_HEADER_BYTES..];
    if compression == Compression::Lz4
        && payload.len() >= LZ4_BYTES_MIN
        && pays(column, encoding)
        && let Some(compressed) = compress(payload)
    {
        flags |= FLAG_LZ4;
        out.truncate(start + PAGE_HEADER_BYTES);
        out.extend_from_slice(&compressed);
    }
    assert!(out.len() - start <= PAGE_BYTES_MAX, "the bytes of a page are bounded");
    out[start + 4] = encoding as u8;
    out[start + 5] = flags;
    out[start + 6..start + 8].copy_from_slice(&row_count.to_le_bytes());
}

/// Packed numbers do not compress further; strings and what they are made of may.
fn pays(column: &ColumnVector, encoding: Encoding) -> bool {
    use crate::column::Values;
    match &column.values {
        Values::Bytes(_) | Values::Fixed16(_) => true,
        Values::Float32(_) | Values::Float64(_) => encoding == Encoding::Plain,
        _ => false,
    }
}

fn compress(payload: &[u8]) -> Option<Vec<u8>> {
    let mut compressed = vec![0u8; 4 + lz4_flex::block::get_maximum_output_size(payload.len())];
    compressed[..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    let length = lz4_flex::block::compress_into(payload, &mut compressed[4..]).ok()?;
    compressed.truncate(4 + length);
    (compressed.len() * 4 <= payload.len() * 3).then_some(compressed)
}

/// Writes the checksum of a page that will lie at `offset`.
pub(crate) fn seal(page: &mut [u8], salt: u64, offset: u64) {
    let sum = placed_checksum(salt, offset, &page[4..]);
    page[..4].copy_from_slice(&sum.to_le_bytes());
}

/// An opened page: checksum verified, decompressed.
pub(crate) struct Page<'a> {
    encoding: Encoding,
    row_count: usize,
    nulls: Option<usize>,
    payload: Cow<'a, [u8]>,
    offset: u64,
}

impl<'a> Page<'a> {
    /// Opens the page of `row_count` rows that lies at `offset`.
    pub(crate) fn open(
        bytes: &'a [u8],
        row_count: usize,
        salt: u64,
        offset: u64,
        check: PageCheck,
    ) -> Result<Page<'a>, SstableError> {
        let malformed = |reason| SstableError::Malformed { section: Section::Page, offset, reason };
        let (head, payload) = bytes
            .split_first_chunk::<PAGE_HEADER_BYTES>()
            .ok_or(malformed("shorter than its header"))?;
        let sum = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
        if check == PageCheck::Verify && sum != placed_checksum(salt, offset, &bytes[4..]) {
            return Err(SstableError::Checksum { section: Section::Page, offset });
        }
        let encoding = Encoding::from_code(head[4]).ok_or(malformed("unknown encoding"))?;
        let flags = head[5];
        if flags & !(FLAG_NULLS | FLAG_LZ4) != 0 {
            return Err(malformed("unknown flags"));
        }
        if usize::from(u16::from_le_bytes([head[6], head[7]])) != row_count {
            return Err(malformed("another number of rows than the metadata says"));
        }
        let payload = if flags & FLAG_LZ4 != 0 {
            let (length, block) =
                payload.split_first_chunk::<4>().ok_or(malformed("no length before lz4"))?;
            let length = u32::from_le_bytes(*length) as usize;
            if length > PAGE_BYTES_MAX {
                return Err(malformed("a payload above the bound"));
            }
            let mut raw = vec![0u8; length];
            match lz4_flex::block::decompress_into(block, &mut raw) {
                Ok(written) if written == length => Cow::Owned(raw),
                _ => return Err(malformed("lz4 block")),
            }
        } else {
            Cow::Borrowed(payload)
        };
        let nulls = (flags & FLAG_NULLS != 0).then(|| row_count.div_ceil(8));
        if nulls.is_some_and(|length| length > payload.len()) {
            return Err(malformed("a null bitmap that does not fit"));
        }
        Ok(Page { encoding, row_count, nulls, payload, offset })
    }

    fn values(&self) -> &[u8] {
        &self.payload[self.nulls.unwrap_or(0)..]
    }

    fn malformed(&self) -> SstableError {
        let reason = "values that their encoding does not allow";
        SstableError::Malformed { section: Section::Page, offset: self.offset, reason }
    }

    /// Appends the page's rows to `column`, whose dictionary `table` knows.
    pub(crate) fn append_to(
        &self,
        column: &mut ColumnVector,
        table: &mut StringTable,
    ) -> Result<(), SstableError> {
        let before = column.len();
        encoding::decode(self.encoding, self.values(), self.row_count, &mut column.values, table)
            .map_err(|_| self.malformed())?;
        match (self.encoding, self.nulls) {
            (Encoding::AllNull, _) => column
                .validity
                .get_or_insert_with(|| Bitmap::filled(true, before))
                .append_filled(false, self.row_count),
            (_, Some(length)) => column
                .validity
                .get_or_insert_with(|| Bitmap::filled(true, before))
                .append_bits(&self.payload[..length], self.row_count),
            (_, None) => {
                if let Some(validity) = &mut column.validity {
                    validity.append_filled(true, self.row_count);
                }
            }
        }
        Ok(())
    }

    /// One row's value without decoding the others where the encoding allows.
    pub(crate) fn value(&self, sql_type: SqlType, row: usize) -> Result<Value, SstableError> {
        use types::PhysicalType;
        let null = match self.nulls {
            Some(_) => self.payload[row >> 3] >> (row & 7) & 1 == 0,
            None => self.encoding == Encoding::AllNull,
        };
        if null {
            return Ok(Value::Null);
        }
        let (payload, count) = (self.values(), self.row_count);
        let damaged = |_| self.malformed();
        let mut raw = Vec::with_capacity(16);
        macro_rules! number {
            ($name:ty) => {{
                let value: $name =
                    integer::get(self.encoding, payload, count, row).map_err(damaged)?;
                raw.extend_from_slice(&value.to_le_bytes());
            }};
        }
        match sql_type.physical() {
            PhysicalType::Bool => {
                let bit = match self.encoding {
                    Encoding::Constant => payload.first().map(|byte| byte & 1),
                    _ => payload.get(row >> 3).map(|byte| byte >> (row & 7) & 1),
                };
                raw.push(bit.ok_or(self.malformed())?);
            }
            PhysicalType::Int16 => number!(i16),
            PhysicalType::Int32 => number!(i32),
            PhysicalType::Int64 => number!(i64),
            PhysicalType::Float32 => number!(f32),
            PhysicalType::Float64 => number!(f64),
            PhysicalType::Fixed16 if self.encoding == Encoding::Plain => {
                let mut decoder = Decoder::new(payload);
                decoder.raw(16 * row).map_err(damaged)?;
                raw.extend_from_slice(decoder.raw(16).map_err(damaged)?);
            }
            PhysicalType::Fixed16 | PhysicalType::Utf8 | PhysicalType::Bytes => {
                raw = string::get(self.encoding, payload, count, row).map_err(damaged)?;
            }
        }
        types::row::value_from_bytes(sql_type, &raw)
            .and_then(|value| value.to_value())
            .ok_or(self.malformed())
    }
}
