//! Constants of the format, and the two fixed structures: the header and the trailer. The picture is in the crate's documentation.

use crate::error::{Section, SstableError};
use types::checksum::checksum_append;

/// The format that this program writes, and the highest that it reads.
pub const FORMAT_VERSION: u16 = 1;
/// The first bytes of a file, before the format version.
pub const HEADER_MAGIC: [u8; 6] = *b"RFtabl";
/// Bytes of the header.
pub const HEADER_BYTES: u64 = 8;
/// The last bytes of a file.
pub const TRAILER_MAGIC: [u8; 8] = *b"elbatRF\n";
/// Bytes of the trailer.
pub const TRAILER_BYTES: u64 = 80;
/// What a caller reads from the end of a file to open it; mostly the filter and the metadata are inside.
pub const TAIL_BYTES: u64 = 64 * 1024;
/// Bytes in front of a page's payload.
pub const PAGE_HEADER_BYTES: usize = 8;
/// Most rows of a page.
pub const PAGE_ROWS_MAX: usize = 32 * 1024;
/// Most bytes of an encoded page: a page of one row of the largest size, and its frame.
pub const PAGE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Bytes of a value kept in a page's zone map; longer ones are cut.
pub const PAGE_ZONE_BYTES_MAX: usize = 16;
/// Bytes of a value kept in a row group's zone map.
pub const GROUP_ZONE_BYTES_MAX: usize = 64;

const _: () = {
    assert!(HEADER_MAGIC.len() as u64 + 2 == HEADER_BYTES);
    assert!(PAGE_ROWS_MAX <= u16::MAX as usize);
    assert!(PAGE_BYTES_MAX > 2 * types::limits::ROW_BYTES_MAX);
    assert!(PAGE_BYTES_MAX < i32::MAX as usize);
    assert!(TAIL_BYTES > TRAILER_BYTES);
    // A zone keeps at least a whole value of every fixed-length type.
    assert!(PAGE_ZONE_BYTES_MAX >= 16);
    assert!(GROUP_ZONE_BYTES_MAX >= PAGE_ZONE_BYTES_MAX);
};

/// Bytes of a file: `offset .. offset + bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteRange {
    /// The first byte.
    pub offset: u64,
    /// How many.
    pub bytes: u64,
}

impl ByteRange {
    /// The byte after the last.
    pub const fn end(self) -> u64 {
        self.offset + self.bytes
    }
}

/// Where everything is, as the last bytes of the file say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trailer {
    pub(crate) metadata: ByteRange,
    pub(crate) metadata_checksum: u32,
    pub(crate) filter: ByteRange,
    pub(crate) filter_checksum: u32,
    pub(crate) salt: u64,
    pub(crate) file_bytes: u64,
}

pub(crate) fn header() -> [u8; HEADER_BYTES as usize] {
    let mut header = [0u8; HEADER_BYTES as usize];
    header[..6].copy_from_slice(&HEADER_MAGIC);
    header[6..].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    header
}

/// Checks the first bytes of a file. A reader does not need it (the trailer repeats everything); verification does.
///
/// # Errors
/// If they are not those of a table file of a known format.
pub fn check_header(bytes: &[u8]) -> Result<(), SstableError> {
    let head = bytes.first_chunk::<{ HEADER_BYTES as usize }>();
    let head = head.ok_or(SstableError::NotATable { reason: "it is shorter than a header" })?;
    if head[..6] != HEADER_MAGIC {
        return Err(SstableError::NotATable { reason: "it does not begin as one" });
    }
    check_version(u16::from_le_bytes([head[6], head[7]]))
}

fn check_version(found: u16) -> Result<(), SstableError> {
    if found == 0 || found > FORMAT_VERSION {
        return Err(SstableError::UnknownFormat { found, known: FORMAT_VERSION });
    }
    Ok(())
}

/// Checksum of a part of the file that knows where it is: a block of another file, or of another place, does not pass. Salt and offset choose the value from
/// which
/// the checksum starts (two starts never give the same sum for the same bytes), which costs nothing a byte.
pub(crate) fn placed_checksum(salt: u64, offset: u64, bytes: &[u8]) -> u32 {
    let mut start = salt.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ offset;
    start = (start ^ (start >> 32)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    checksum_append((start >> 32) as u32, bytes)
}

impl Trailer {
    pub(crate) fn encode(&self) -> [u8; TRAILER_BYTES as usize] {
        let mut bytes = [0u8; TRAILER_BYTES as usize];
        let words = [
            self.metadata.offset,
            self.metadata.bytes,
            self.filter.offset,
            self.filter.bytes,
            self.salt,
            self.file_bytes,
        ];
        for (index, word) in words.iter().enumerate() {
            bytes[index * 8..index * 8 + 8].copy_from_slice(&word.to_le_bytes());
        }
        bytes[48..52].copy_from_slice(&self.metadata_checksum.to_le_bytes());
        bytes[52..56].copy_from_slice(&self.filter_checksum.to_le_bytes());
        bytes[64..66].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[72..].copy_from_slice(&TRAILER_MAGIC);
        let sum = placed_checksum(self.salt, self.file_bytes, &bytes);
        bytes[68..72].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads the trailer at the end of `tail`, which ends where the file of `file_bytes` ends.
    pub(crate) fn decode(file_bytes: u64, tail: &[u8]) -> Result<Trailer, SstableError> {
        let bytes = tail.last_chunk::<{ TRAILER_BYTES as usize }>();
        let mut bytes =
            *bytes.ok_or(SstableError::NotATable { reason: "it is shorter than a trailer" })?;
        if bytes[72..] != TRAILER_MAGIC {
            return Err(SstableError::NotATable { reason: "it does not end as one" });
        }
        check_version(u16::from_le_bytes([bytes[64], bytes[65]]))?;
        let (words, _) = bytes.as_chunks::<8>();
        let word = |index: usize| u64::from_le_bytes(words[index]);
        let half = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let trailer = Trailer {
            metadata: ByteRange { offset: word(0), bytes: word(1) },
            filter: ByteRange { offset: word(2), bytes: word(3) },
            salt: word(4),
            file_bytes: word(5),
            metadata_checksum: half(48),
            filter_checksum: half(52),
        };
        let found = half(68);
        bytes[68..72].fill(0);
        let offset = file_bytes.saturating_sub(TRAILER_BYTES);
        if found != placed_checksum(trailer.salt, trailer.file_bytes, &bytes) {
            return Err(SstableError::Checksum { section: Section::Trailer, offset });
        }
        let malformed =
            |reason| Err(SstableError::Malformed { section: Section::Trailer, offset, reason });
        if trailer.file_bytes != file_bytes {
            return malformed("the file has another length than it had");
        }
        let ends = |range: ByteRange| range.offset.checked_add(range.bytes);
        if trailer.filter.offset < HEADER_BYTES
            || ends(trailer.filter) != Some(trailer.metadata.offset)
            || ends(trailer.metadata) != Some(offset)
        {
            return malformed("the sections do not lie one after the other");
        }
        Ok(trailer)
    }
}
