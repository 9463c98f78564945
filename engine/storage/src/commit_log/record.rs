//! A record of the commit log, drawn byte by byte. Records follow one another as one stream of bytes over the payloads of blocks and may span blocks and
//! segments.
//!
//! ```text
//! offset  bytes
//!      0      4  payload bytes
//!      4      1  kind
//!      5      3  zero
//!      8      8  position of this record: generation << 32 | offset of this header in its segment
//!     16      4  epoch of the topology
//!     20      4  CRC32C of bytes 0..20 and the payload, begun with the salt of (log, generation)
//!     24      …  payload
//! ```

use types::LogId;
use types::checksum::{checksum, checksum_append};
use types::limits::RECORD_BYTES_MAX;

use crate::position::LogPosition;

/// Bytes of a record before its payload.
pub const RECORD_HEADER_BYTES: usize = 24;

/// What the payload of a record is. Numbers from [`RecordKind::OPAQUE_FIRST`] on belong to the shard layer: storage keeps them until the memtable that
/// was active when they were appended is flushed, and gives them back when the directory is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKind(pub u8);

impl RecordKind {
    /// A [`crate::WriteBatch`].
    pub const WRITES: RecordKind = RecordKind(1);
    /// A [`crate::Publication`] of sealed files.
    pub const PUBLICATION: RecordKind = RecordKind(2);
    /// A [`types::Timestamp`], 16 bytes: no timestamp above it was given out when it was written.
    pub const RESERVATION: RecordKind = RecordKind(3);
    /// First kind of the shard layer.
    pub const OPAQUE_FIRST: RecordKind = RecordKind(128);
}

/// The salt of every checksum in one use of one segment: a stale record or block of an earlier use can never pass.
pub(crate) fn salt(log: LogId, generation: u32) -> u32 {
    let mut bytes = [0u8; 8];
    bytes[..4].copy_from_slice(&log.0.to_le_bytes());
    bytes[4..].copy_from_slice(&generation.to_le_bytes());
    checksum(&bytes)
}

/// The fields of a record's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// Bytes after the header.
    pub payload_bytes: u32,
    /// What the payload is.
    pub kind: RecordKind,
    /// Where the header stands.
    pub position: LogPosition,
    /// Epoch of the topology under which it was written.
    pub epoch: u32,
}

impl RecordHeader {
    /// The header's bytes, checksum included.
    ///
    /// # Panics
    /// If `payload` has not the length that the header names, or exceeds the bound.
    pub fn encode(&self, log: LogId, payload: &[u8]) -> [u8; RECORD_HEADER_BYTES] {
        assert_eq!(payload.len(), self.payload_bytes as usize, "the header names its payload");
        assert!(payload.len() <= RECORD_BYTES_MAX, "records are bounded at the door");
        let mut bytes = [0u8; RECORD_HEADER_BYTES];
        bytes[0..4].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[4] = self.kind.0;
        bytes[8..16].copy_from_slice(&self.position.to_raw().to_le_bytes());
        bytes[16..20].copy_from_slice(&self.epoch.to_le_bytes());
        let begun = checksum_append(salt(log, self.position.generation()), &bytes[..20]);
        let crc = checksum_append(begun, payload);
        bytes[20..24].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a header that should stand at `position`. Nothing if its fields cannot be those of a record there; the checksum is
    /// [`RecordHeader::matches`]'s, because the payload may not be read yet.
    pub fn decode(
        bytes: &[u8; RECORD_HEADER_BYTES],
        position: LogPosition,
    ) -> Option<RecordHeader> {
        let word =
            |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let stored = u64::from(word(8)) | (u64::from(word(12)) << 32);
        let payload_bytes = word(0);
        let known = stored == position.to_raw()
            && bytes[5..8] == [0; 3]
            && payload_bytes as usize <= RECORD_BYTES_MAX;
        known.then(|| RecordHeader {
            payload_bytes,
            kind: RecordKind(bytes[4]),
            position,
            epoch: word(16),
        })
    }

    /// Whether the checksum in `bytes` is that of this header and `payload` in `log`.
    pub fn matches(&self, bytes: &[u8; RECORD_HEADER_BYTES], log: LogId, payload: &[u8]) -> bool {
        let begun = checksum_append(salt(log, self.position.generation()), &bytes[..20]);
        checksum_append(begun, payload).to_le_bytes() == bytes[20..24]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_noticed() {
        let log = LogId(4);
        let position = LogPosition::new(3, 4128);
        let header =
            RecordHeader { payload_bytes: 5, kind: RecordKind::WRITES, position, epoch: 1 };
        let bytes = header.encode(log, b"hello");
        let read = RecordHeader::decode(&bytes, position).expect("sound");
        assert_eq!(read, header);
        assert!(read.matches(&bytes, log, b"hello"));
        assert!(!read.matches(&bytes, LogId(5), b"hello"));
        assert!(!read.matches(&bytes, log, b"hellp"));
        for bit in 0..RECORD_HEADER_BYTES * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            let accepted = RecordHeader::decode(&flipped, position)
                .is_some_and(|read| read.matches(&flipped, log, b"hello"));
            assert!(!accepted, "bit {bit}");
        }
        assert!(RecordHeader::decode(&bytes, LogPosition::new(4, 4128)).is_none());
    }
}
