//! The identity file: what this data directory is, and which start of the node its manifests belong to.
//!
//! ```text
//! slot 0: block, the same block again      slot 1: block, the same block again
//! block:  magic (8) | format (4) | directory id (8) | slice count (2) | blocks of a segment (4) | sequence (8) | start (4) | shards (2)
//!         | first log (4) | CRC32C (4) | zeroes
//! ```
//! A change is written to the slot that is not in use, in one write and flush, so the other slot always holds the state before. Every block stands twice, so
//! that one bad sector loses nothing. The change of `start` is the moment at which a recovery takes effect.

use types::LogId;
use types::checksum::checksum;
use types::codec::{Decoder, Encoder};
use types::limits::{BLOCK_BYTES, SHARDS_MAX};
use types::token::SliceCount;

use crate::commit_log::segment::SegmentBlocks;

/// Version of everything in the directory that this program writes.
pub const FORMAT_VERSION: u32 = 1;
const MAGIC: u64 = u64::from_le_bytes(*b"RINGFNC1");
/// Bytes of the identity file.
pub const IDENTITY_BYTES: usize = 4 * BLOCK_BYTES;

/// What the identity file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Made when the directory is made.
    pub directory_id: u64,
    /// Slices, for ever.
    pub slices: SliceCount,
    /// Blocks of a log segment, for ever.
    pub segment_blocks: SegmentBlocks,
    /// Grows by one with each write of the file.
    pub sequence: u64,
    /// Which manifests count; zero before the first.
    pub start: u32,
    /// How many shards that start has.
    pub shard_count: u16,
    /// The log of its shard zero; those of the others follow.
    pub first_log: LogId,
}

/// Why no slot could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityProblem {
    /// No slot has our magic and a good checksum.
    Unreadable,
    /// Written by a version of the program with another format.
    OtherFormat,
}

impl Identity {
    fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        encoder.u64(MAGIC);
        encoder.u32(FORMAT_VERSION);
        encoder.u64(self.directory_id);
        encoder.u16(self.slices.get());
        encoder.u32(self.segment_blocks.0);
        encoder.u64(self.sequence);
        encoder.u32(self.start);
        encoder.u16(self.shard_count);
        encoder.u32(self.first_log.0);
        let mut bytes = encoder.into_bytes();
        let crc = checksum(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The slot's two blocks.
    pub fn slot_bytes(&self) -> Vec<u8> {
        let mut block = self.encode();
        block.resize(BLOCK_BYTES, 0);
        block.extend_from_within(..);
        block
    }

    /// Offset of the slot in the file.
    pub const fn slot_offset(&self) -> u64 {
        (self.sequence % 2) * 2 * BLOCK_BYTES as u64
    }

    fn decode(block: &[u8]) -> Result<Identity, IdentityProblem> {
        let unreadable = |_| IdentityProblem::Unreadable;
        let mut decoder = Decoder::new(block);
        if decoder.u64().map_err(unreadable)? != MAGIC {
            return Err(IdentityProblem::Unreadable);
        }
        if decoder.u32().map_err(unreadable)? != FORMAT_VERSION {
            return Err(IdentityProblem::OtherFormat);
        }
        let directory_id = decoder.u64().map_err(unreadable)?;
        let slices = decoder.u16().map_err(unreadable)?;
        let segment_blocks = SegmentBlocks(decoder.u32().map_err(unreadable)?);
        let sequence = decoder.u64().map_err(unreadable)?;
        let start = decoder.u32().map_err(unreadable)?;
        let shard_count = decoder.u16().map_err(unreadable)?;
        let first_log = LogId(decoder.u32().map_err(unreadable)?);
        let end = decoder.offset();
        if decoder.u32().map_err(unreadable)? != checksum(&block[..end]) {
            return Err(IdentityProblem::Unreadable);
        }
        let slices = SliceCount::new(slices).ok_or(IdentityProblem::Unreadable)?;
        if segment_blocks.0 < 2 || shard_count > SHARDS_MAX {
            return Err(IdentityProblem::Unreadable);
        }
        Ok(Identity {
            directory_id,
            slices,
            segment_blocks,
            sequence,
            start,
            shard_count,
            first_log,
        })
    }

    /// The newest readable slot of the file's bytes.
    ///
    /// # Errors
    /// Why there is none.
    pub fn read(file: &[u8]) -> Result<Identity, IdentityProblem> {
        let mut newest: Result<Identity, IdentityProblem> = Err(IdentityProblem::Unreadable);
        for block in file.chunks_exact(BLOCK_BYTES) {
            match (Identity::decode(block), &newest) {
                (Ok(read), Ok(known)) if *known != read && read.sequence > known.sequence => {
                    newest = Ok(read);
                }
                (Ok(_), Ok(_)) => {}
                (Ok(read), Err(_)) => newest = Ok(read),
                (Err(IdentityProblem::OtherFormat), Err(_)) => {
                    newest = Err(IdentityProblem::OtherFormat);
                }
                (Err(_), _) => {}
            }
        }
        newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_block_loses_nothing_and_a_torn_slot_leaves_the_state_before() {
        let first = Identity {
            directory_id: 7,
            slices: SliceCount::DEFAULT,
            segment_blocks: SegmentBlocks(16),
            sequence: 4,
            start: 2,
            shard_count: 3,
            first_log: LogId(9),
        };
        let second = Identity { sequence: 5, start: 3, ..first };
        let mut file = vec![0u8; IDENTITY_BYTES];
        for identity in [first, second] {
            let at = identity.slot_offset() as usize;
            file[at..at + 2 * BLOCK_BYTES].copy_from_slice(&identity.slot_bytes());
        }
        assert_eq!(Identity::read(&file), Ok(second));
        for block in 0..4 {
            let mut rotten = file.clone();
            rotten[block * BLOCK_BYTES + 20] ^= 1;
            assert_eq!(Identity::read(&rotten), Ok(second), "block {block}");
        }
        let mut torn = file.clone();
        torn[2 * BLOCK_BYTES..].fill(0);
        assert_eq!(Identity::read(&torn), Ok(first));
        assert_eq!(Identity::read(&[0; IDENTITY_BYTES]), Err(IdentityProblem::Unreadable));
        file[8] ^= 1;
        file[BLOCK_BYTES + 8] ^= 1;
        assert_eq!(Identity::read(&file[..2 * BLOCK_BYTES]), Err(IdentityProblem::OtherFormat));
    }
}
