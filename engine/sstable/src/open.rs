//! Opening a file without doing I/O: the caller reads what it is told to.
//!
//! The last [`TAIL_BYTES`] nearly always hold filter and metadata of a small file; a large one needs one more read.

use crate::error::{Section, SstableError};
use crate::key_filter::KeyFilter;
use crate::layout::{ByteRange, TAIL_BYTES, Trailer, placed_checksum};
use crate::metadata::Metadata;
use crate::record::MetadataRecord;

/// What opening needs next.
#[derive(Debug)]
pub enum Opened {
    /// Nothing more.
    Ready(Metadata),
    /// These bytes, to be given to [`Opening::supply`].
    Needs(Opening),
}

/// A file whose trailer has been read.
#[derive(Debug)]
pub struct Opening {
    trailer: Trailer,
    range: ByteRange,
}

/// The bytes from which [`open`] begins.
pub fn tail_range(file_bytes: u64) -> ByteRange {
    let bytes = file_bytes.min(TAIL_BYTES);
    ByteRange { offset: file_bytes - bytes, bytes }
}

/// Begins with the last bytes of a file of `file_bytes`; how many is the caller's choice (see [`tail_range`]).
///
/// # Errors
/// If they are not the end of a table file of a known format.
pub fn open(file_bytes: u64, tail: &[u8]) -> Result<Opened, SstableError> {
    let trailer = Trailer::decode(file_bytes, tail)?;
    let range = ByteRange {
        offset: trailer.filter.offset,
        bytes: trailer.filter.bytes + trailer.metadata.bytes,
    };
    let opening = Opening { trailer, range };
    let tail_start = file_bytes.saturating_sub(tail.len() as u64);
    match range.offset.checked_sub(tail_start) {
        Some(skip) => {
            let start = skip as usize;
            let bytes = tail
                .get(start..start + range.bytes as usize)
                .ok_or(SstableError::NotATable { reason: "its sections lie outside of it" })?;
            opening.supply(bytes).map(Opened::Ready)
        }
        None => Ok(Opened::Needs(opening)),
    }
}

impl Opening {
    /// What to read.
    pub const fn range(&self) -> ByteRange {
        self.range
    }

    /// Ends the opening with the bytes of [`Opening::range`].
    ///
    /// # Errors
    /// If they are not what was asked for, or damaged.
    pub fn supply(self, bytes: &[u8]) -> Result<Metadata, SstableError> {
        let ByteRange { offset, bytes: expected } = self.range;
        if bytes.len() as u64 != expected {
            let found = bytes.len() as u64;
            return Err(SstableError::WrongLength { offset, expected, found });
        }
        let trailer = self.trailer;
        let (filter, metadata) = bytes.split_at(trailer.filter.bytes as usize);
        let check = |section, range: ByteRange, bytes: &[u8], sum: u32| {
            if placed_checksum(trailer.salt, range.offset, bytes) == sum {
                Ok(())
            } else {
                Err(SstableError::Checksum { section, offset: range.offset })
            }
        };
        check(Section::KeyFilter, trailer.filter, filter, trailer.filter_checksum)?;
        check(Section::Metadata, trailer.metadata, metadata, trailer.metadata_checksum)?;
        let filter = KeyFilter::decode(filter, trailer.filter.offset)?;
        let record =
            rkyv::from_bytes::<MetadataRecord, rkyv::rancor::Failure>(metadata).map_err(|_| {
                SstableError::Malformed {
                    section: Section::Metadata,
                    offset: trailer.metadata.offset,
                    reason: "not an archive of this format",
                }
            })?;
        Metadata::new(record, filter, trailer.salt, trailer.file_bytes, offset)
    }
}
