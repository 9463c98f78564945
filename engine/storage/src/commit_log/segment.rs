//! Segments and blocks: how the stream of records is laid over one preallocated, recycled file. Pure; the writer and the reader both stand on it.
//!
//! A segment is a run of blocks of the log file. Each use of it has a generation of its log, counted from one. A block, drawn byte by byte:
//!
//! ```text
//! offset  bytes
//!      0      4  CRC32C of bytes 4..4096, begun with the salt of (log, generation)
//!      4      4  log
//!      8      4  generation
//!     12      4  number of the block in the file (a misdirected write is not accepted)
//!     16      8  claim: everything below this position was known durable when the block was written
//!     24      2  payload bytes in use
//!     26      2  offset in the payload of the first record that begins here; FFFF if none does
//!     28      4  zero
//!     32   4064  payload
//! ```
//! A cohort ends its block, so a block that holds acknowledged bytes is never written again. Cost of a commit of one small record: one block.

use platform::AlignedBuf;
use types::LogId;
use types::checksum::checksum_append;
use types::limits::BLOCK_BYTES;

use super::record::{RECORD_HEADER_BYTES, RecordHeader, RecordKind, salt};
use crate::position::LogPosition;

/// Bytes of a block before its payload.
pub const BLOCK_HEADER_BYTES: usize = 32;
/// Payload bytes of a block.
pub const BLOCK_PAYLOAD_BYTES: usize = BLOCK_BYTES - BLOCK_HEADER_BYTES;
const NO_RECORD: u16 = u16::MAX;

/// Number of a segment in the log file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentIndex(pub u32);

/// How many blocks a segment has; fixed when the data directory is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentBlocks(pub u32);

impl SegmentBlocks {
    /// Bytes of a segment.
    pub const fn bytes(self) -> u64 {
        self.0 as u64 * BLOCK_BYTES as u64
    }

    /// First block of a segment.
    pub const fn first_block(self, segment: SegmentIndex) -> u64 {
        self.0 as u64 * segment.0 as u64
    }
}

/// What a valid block says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockHeader {
    /// The log that wrote it.
    pub log: LogId,
    /// In which use of the segment.
    pub generation: u32,
    /// Position known durable when it was written.
    pub claim: LogPosition,
    /// Payload bytes in use.
    pub used: u16,
    /// Where the first record begins, if one does.
    pub first_record: Option<u16>,
}

impl BlockHeader {
    /// Reads and verifies the block that stands at `block_number` of the file. Nothing for zeroes, torn, rotten or misdirected blocks.
    pub fn read(block: &[u8], block_number: u64) -> Option<BlockHeader> {
        assert_eq!(block.len(), BLOCK_BYTES, "a whole block");
        let word =
            |at: usize| u32::from_le_bytes(block[at..at + 4].try_into().expect("four bytes"));
        let half = |at: usize| u16::from_le_bytes(block[at..at + 2].try_into().expect("two bytes"));
        let (log, generation) = (LogId(word(4)), word(8));
        if generation == 0 || u64::from(word(12)) != block_number {
            return None;
        }
        if checksum_append(salt(log, generation), &block[4..]) != word(0) {
            return None;
        }
        let claim = LogPosition::from_raw(u64::from(word(16)) | (u64::from(word(20)) << 32));
        let (used, first) = (half(24), half(26));
        let sound =
            usize::from(used) <= BLOCK_PAYLOAD_BYTES && (first == NO_RECORD || first < used);
        sound.then_some(BlockHeader {
            log,
            generation,
            claim,
            used,
            first_record: (first != NO_RECORD).then_some(first),
        })
    }
}

/// Blocks of one segment, next to one another, ready to be written.
#[derive(Debug)]
pub struct CohortPart {
    /// First block in the file.
    pub block_number: u64,
    /// Whole blocks.
    pub buffer: AlignedBuf,
}

/// A sealed cohort: what one flush makes durable.
#[derive(Debug)]
pub struct Cohort {
    /// One part for each segment that it touches; two or more only at a segment switch.
    pub parts: Vec<CohortPart>,
    /// Everything below is durable once the cohort is.
    pub end: LogPosition,
}

/// Lays records over blocks. Holds the cohort that is gathering.
#[derive(Debug)]
pub struct BlockStream {
    log: LogId,
    geometry: SegmentBlocks,
    segment: SegmentIndex,
    generation: u32,
    /// Block of the segment that is filled next or is being filled.
    block: u32,
    /// Payload bytes in use in the open block; nothing if no block is open.
    open: Option<usize>,
    parts: Vec<(SegmentIndex, u32, u32, AlignedBuf)>,
    spare: Vec<AlignedBuf>,
    bytes_gathered: usize,
}

/// Buffers kept for later cohorts, and the largest that is kept.
const SPARE_BUFFERS: usize = 4;
const SPARE_BYTES_MAX: usize = 1 << 20;

impl BlockStream {
    /// Starts at the beginning of `segment`, generation one.
    pub fn new(log: LogId, geometry: SegmentBlocks, segment: SegmentIndex) -> BlockStream {
        assert!(geometry.0 >= 2, "a segment has at least two blocks");
        BlockStream {
            log,
            geometry,
            segment,
            generation: 1,
            block: 0,
            open: None,
            parts: Vec::new(),
            spare: Vec::new(),
            bytes_gathered: 0,
        }
    }

    /// Generation of the segment in use.
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// The segment in use.
    pub const fn segment(&self) -> SegmentIndex {
        self.segment
    }

    /// True when nothing waits to be written.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Bytes that wait to be written.
    pub const fn bytes_gathered(&self) -> usize {
        self.bytes_gathered
    }

    /// Free segments that a record of `payload_bytes` may need besides the present one.
    pub fn segments_needed(&self, payload_bytes: usize) -> usize {
        let bytes = RECORD_HEADER_BYTES + payload_bytes;
        let blocks = bytes.div_ceil(BLOCK_PAYLOAD_BYTES) + 1;
        let left = (self.geometry.0 - self.block) as usize;
        blocks.saturating_sub(left).div_ceil(self.geometry.0 as usize)
    }

    /// Lays one record. `next_segment` gives a free segment each time one is needed.
    ///
    /// # Panics
    /// If `next_segment` has none: [`BlockStream::segments_needed`] was not heeded.
    pub fn append(
        &mut self,
        kind: RecordKind,
        epoch: u32,
        payload: &[u8],
        next_segment: &mut dyn FnMut() -> Option<SegmentIndex>,
    ) -> LogPosition {
        let fill = self.room(next_segment);
        let position = self.position_at(fill);
        let payload_bytes = u32::try_from(payload.len()).expect("records are bounded");
        let header = RecordHeader { payload_bytes, kind, position, epoch };
        let (_, _, _, buffer) = self.parts.last_mut().expect("room opened a block");
        let start = buffer.len() - BLOCK_BYTES;
        let first = &mut buffer[start + 26..start + 28];
        if first == NO_RECORD.to_le_bytes() {
            first.copy_from_slice(&(fill as u16).to_le_bytes());
        }
        self.lay(&header.encode(self.log, payload), next_segment);
        self.lay(payload, next_segment);
        position
    }

    /// Lays a block without records, so that a claim reaches the disk.
    pub fn append_claim_block(&mut self, next_segment: &mut dyn FnMut() -> Option<SegmentIndex>) {
        assert!(self.parts.is_empty(), "a claim block is for an idle log");
        self.room(next_segment);
    }

    /// Ends the cohort: seals its blocks with `claim` and gives them out. Nothing if there are none.
    pub fn take_cohort(&mut self, claim: LogPosition) -> Option<Cohort> {
        if self.parts.is_empty() {
            return None;
        }
        self.close_block();
        let end = LogPosition::new(self.generation, self.block * BLOCK_BYTES as u32);
        let geometry = self.geometry;
        let log = self.log;
        self.bytes_gathered = 0;
        let parts = std::mem::take(&mut self.parts)
            .into_iter()
            .map(|(segment, generation, first, mut buffer)| {
                let block_number = geometry.first_block(segment) + u64::from(first);
                for (index, block) in buffer.chunks_exact_mut(BLOCK_BYTES).enumerate() {
                    seal(block, log, generation, block_number + index as u64, claim);
                }
                CohortPart { block_number, buffer }
            })
            .collect();
        Some(Cohort { parts, end })
    }

    /// Takes buffers back for reuse.
    pub fn recycle(&mut self, buffers: Vec<AlignedBuf>) {
        for mut buffer in buffers {
            if self.spare.len() < SPARE_BUFFERS && buffer.capacity() <= SPARE_BYTES_MAX {
                buffer.clear();
                self.spare.push(buffer);
            }
        }
    }

    fn position_at(&self, fill: usize) -> LogPosition {
        let offset = self.block as usize * BLOCK_BYTES + BLOCK_HEADER_BYTES + fill;
        LogPosition::new(self.generation, u32::try_from(offset).expect("segments are below 4 GiB"))
    }

    /// Makes sure that the open block has room for a byte; gives its fill.
    fn room(&mut self, next_segment: &mut dyn FnMut() -> Option<SegmentIndex>) -> usize {
        if let Some(fill) = self.open {
            if fill < BLOCK_PAYLOAD_BYTES {
                return fill;
            }
            self.close_block();
        }
        if self.block == self.geometry.0 {
            self.segment = next_segment().expect("the caller made sure of free segments");
            self.generation += 1;
            self.block = 0;
        }
        let fits = self.parts.last().is_some_and(|(_, generation, first, buffer)| {
            *generation == self.generation
                && first + (buffer.len() / BLOCK_BYTES) as u32 == self.block
        });
        if !fits {
            let buffer =
                self.spare.pop().unwrap_or_else(|| AlignedBuf::with_capacity(4 * BLOCK_BYTES));
            self.parts.push((self.segment, self.generation, self.block, buffer));
        }
        let (_, _, _, buffer) = self.parts.last_mut().expect("just made sure");
        let mut head = [0u8; BLOCK_HEADER_BYTES];
        head[26..28].copy_from_slice(&NO_RECORD.to_le_bytes());
        buffer.extend_from_slice(&head);
        buffer.pad_to_alignment();
        self.bytes_gathered += BLOCK_BYTES;
        self.open = Some(0);
        0
    }

    fn close_block(&mut self) {
        if let Some(fill) = self.open.take() {
            let (_, _, _, buffer) = self.parts.last_mut().expect("an open block is in a part");
            let start = buffer.len() - BLOCK_BYTES;
            buffer[start + 24..start + 26].copy_from_slice(&(fill as u16).to_le_bytes());
            self.block += 1;
        }
    }

    fn lay(&mut self, bytes: &[u8], next_segment: &mut dyn FnMut() -> Option<SegmentIndex>) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let fill = self.room(next_segment);
            let taken = rest.len().min(BLOCK_PAYLOAD_BYTES - fill);
            let (_, _, _, buffer) = self.parts.last_mut().expect("room opened a block");
            let at = buffer.len() - BLOCK_PAYLOAD_BYTES + fill;
            buffer[at..at + taken].copy_from_slice(&rest[..taken]);
            self.open = Some(fill + taken);
            rest = &rest[taken..];
        }
    }
}

fn seal(block: &mut [u8], log: LogId, generation: u32, number: u64, claim: LogPosition) {
    let number = u32::try_from(number).expect("a log file is below 16 TiB");
    block[4..8].copy_from_slice(&log.0.to_le_bytes());
    block[8..12].copy_from_slice(&generation.to_le_bytes());
    block[12..16].copy_from_slice(&number.to_le_bytes());
    block[16..24].copy_from_slice(&claim.to_raw().to_le_bytes());
    let crc = checksum_append(salt(log, generation), &block[4..]);
    block[..4].copy_from_slice(&crc.to_le_bytes());
}
