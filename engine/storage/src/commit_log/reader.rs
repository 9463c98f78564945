//! Reading the logs back: which blocks are sound, where each log ends, torn tail or damage, and the records in order. Pure: blocks in, records out.
//!
//! Every block of the file is looked at once ([`LogSurvey::add_block`]), because a segment whose first block is lost may still hold claims. Then
//! each log is walked from the generation that the manifest says is still needed: the first position without a sound block is its end if no claim lies
//! above it (a torn tail, never acknowledged), and damage if one does.

use std::collections::BTreeMap;
use std::path::Path;

use types::LogId;
use types::limits::BLOCK_BYTES;
use types::mutants;

use super::record::{RECORD_HEADER_BYTES, RecordHeader, RecordKind};
use super::segment::{BLOCK_HEADER_BYTES, BlockHeader, SegmentBlocks, SegmentIndex};
use crate::error::StorageError;
use crate::mutants::{DAMAGE_TAKEN_FOR_TORN_TAIL, STALE_RECYCLED_RECORD_ACCEPTED};
use crate::position::{LogAddress, LogPosition};

/// What one use of one segment left.
#[derive(Debug)]
struct GenerationBlocks {
    segment: SegmentIndex,
    /// Sound blocks, by their index in the segment.
    sound: Vec<bool>,
}

#[derive(Debug, Default)]
struct LogBlocks {
    generations: BTreeMap<u32, GenerationBlocks>,
    claim: LogPosition,
}

/// What the blocks of the file say, log by log.
#[derive(Debug)]
pub struct LogSurvey {
    geometry: SegmentBlocks,
    logs: BTreeMap<LogId, LogBlocks>,
    sound_blocks: u64,
}

/// One log as found: the blocks that hold it, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogExtent {
    /// The log.
    pub log: LogId,
    /// Segments in order of generation, each with the number of its blocks that belong to the log.
    pub segments: Vec<(u32, SegmentIndex, u32)>,
    /// Everything below was found.
    pub end: LogPosition,
    /// The highest durable claim.
    pub claim: LogPosition,
}

impl LogSurvey {
    /// A survey of a file with segments of that many blocks.
    pub fn new(geometry: SegmentBlocks) -> LogSurvey {
        LogSurvey { geometry, logs: BTreeMap::new(), sound_blocks: 0 }
    }

    /// Looks at the block at `number` of the file.
    pub fn add_block(&mut self, block: &[u8], number: u64) {
        let Some(header) = BlockHeader::read(block, number) else { return };
        self.sound_blocks += 1;
        let segment = SegmentIndex((number / u64::from(self.geometry.0)) as u32);
        let index = (number % u64::from(self.geometry.0)) as usize;
        let log = self.logs.entry(header.log).or_default();
        log.claim = log.claim.max(header.claim);
        let blocks = self.geometry.0 as usize;
        log.generations
            .entry(header.generation)
            .or_insert_with(|| GenerationBlocks { segment, sound: vec![false; blocks] })
            .sound[index] = true;
    }

    /// Blocks that were sound, of any log.
    pub const fn sound_blocks(&self) -> u64 {
        self.sound_blocks
    }

    /// Logs of which a sound block was found.
    pub fn logs(&self) -> impl Iterator<Item = LogId> + '_ {
        self.logs.keys().copied()
    }

    /// Finds where a log ends, from `first_generation` on. An absent log is empty.
    ///
    /// # Errors
    /// [`StorageError::LogDamage`] if a position below a durable claim has no sound block.
    pub fn extent(
        &self,
        path: &Path,
        log: LogId,
        first_generation: u32,
    ) -> Result<LogExtent, StorageError> {
        let start = LogPosition::new(first_generation, 0);
        let nothing = LogBlocks::default();
        let blocks = self.logs.get(&log).unwrap_or(&nothing);
        let mut extent = LogExtent { log, segments: Vec::new(), end: start, claim: blocks.claim };
        let mut generation = first_generation;
        let mut missing_block = 0;
        while let Some(found) = blocks.generations.get(&generation) {
            let mut count =
                found.sound.iter().position(|sound| !sound).unwrap_or(found.sound.len());
            let first = self.geometry.first_block(found.segment);
            missing_block = first + count as u64;
            if mutants::live(STALE_RECYCLED_RECORD_ACCEPTED) {
                count = found.sound.len();
            }
            if count > 0 {
                extent.segments.push((generation, found.segment, count as u32));
                extent.end = LogPosition::new(generation, (count * BLOCK_BYTES) as u32);
            }
            if count < found.sound.len() {
                break;
            }
            generation += 1;
        }
        if extent.end < extent.claim && !mutants::live(DAMAGE_TAKEN_FOR_TORN_TAIL) {
            return Err(StorageError::LogDamage {
                path: path.to_path_buf(),
                log,
                position: extent.end,
                block: missing_block,
                claimed: extent.claim,
            });
        }
        Ok(extent)
    }
}

/// A record read back.
#[derive(Debug, Clone, Copy)]
pub struct LogRecord<'a> {
    /// Where it stands.
    pub address: LogAddress,
    /// What its payload is.
    pub kind: RecordKind,
    /// Epoch of the topology under which it was written.
    pub epoch: u32,
    /// The payload.
    pub payload: &'a [u8],
}

/// Turns the blocks of one log's extent, given in order, into its records.
#[derive(Debug)]
pub struct RecordAssembler {
    log: LogId,
    /// Bytes of the record that is being assembled, header included.
    pending: Vec<u8>,
    pending_position: LogPosition,
    /// False until the first record that begins in the extent: what stands before it ended a record of a released segment.
    begun: bool,
}

/// A record that stands below the end found does not verify: the file is damaged in a way that the blocks' checksums did not show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrokenRecord {
    /// Where.
    pub position: LogPosition,
}

impl RecordAssembler {
    /// For the log of an extent.
    pub fn new(log: LogId) -> RecordAssembler {
        RecordAssembler {
            log,
            pending: Vec::new(),
            pending_position: LogPosition::NONE,
            begun: false,
        }
    }

    /// Adds the block with index `index` of its segment; hands each record that is complete to `sink`.
    ///
    /// # Errors
    /// [`BrokenRecord`] if a record's own checksum or position is wrong although its blocks are sound, or what `sink` returns.
    pub fn add_block<E>(
        &mut self,
        generation: u32,
        index: u32,
        block: &[u8],
        sink: &mut dyn FnMut(LogRecord<'_>) -> Result<(), E>,
    ) -> Result<Result<(), BrokenRecord>, E> {
        let used = usize::from(u16::from_le_bytes(
            block[24..26].try_into().expect("a block has a header"),
        ));
        let first = u16::from_le_bytes(block[26..28].try_into().expect("a block has a header"));
        let payload = &block[BLOCK_HEADER_BYTES..];
        let mut at = 0;
        if !self.begun {
            if usize::from(first) >= used {
                return Ok(Ok(()));
            }
            at = usize::from(first);
            self.begun = true;
        }
        while at < used {
            if self.pending.is_empty() {
                let offset = index as usize * BLOCK_BYTES + BLOCK_HEADER_BYTES + at;
                self.pending_position = LogPosition::new(generation, offset as u32);
            }
            let wanted = match self.wanted() {
                Ok(wanted) => wanted,
                Err(broken) => return Ok(Err(broken)),
            };
            let taken = (wanted - self.pending.len()).min(used - at);
            self.pending.extend_from_slice(&payload[at..at + taken]);
            at += taken;
            match self.complete(sink)? {
                Ok(()) => {}
                Err(broken) => return Ok(Err(broken)),
            }
        }
        Ok(Ok(()))
    }

    /// True if the last record is incomplete: its cohort was torn.
    pub fn ends_inside_record(&self) -> bool {
        !self.pending.is_empty()
    }

    fn header(&self) -> Result<Option<(RecordHeader, [u8; RECORD_HEADER_BYTES])>, BrokenRecord> {
        let Some(bytes) = self.pending.first_chunk::<RECORD_HEADER_BYTES>() else {
            return Ok(None);
        };
        match RecordHeader::decode(bytes, self.pending_position) {
            Some(header) => Ok(Some((header, *bytes))),
            None => Err(BrokenRecord { position: self.pending_position }),
        }
    }

    /// Bytes that the pending record has at least.
    fn wanted(&self) -> Result<usize, BrokenRecord> {
        Ok(match self.header()? {
            None => RECORD_HEADER_BYTES,
            Some((header, _)) => RECORD_HEADER_BYTES + header.payload_bytes as usize,
        })
    }

    fn complete<E>(
        &mut self,
        sink: &mut dyn FnMut(LogRecord<'_>) -> Result<(), E>,
    ) -> Result<Result<(), BrokenRecord>, E> {
        let (header, bytes) = match self.header() {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(Ok(())),
            Err(broken) => return Ok(Err(broken)),
        };
        let payload = &self.pending[RECORD_HEADER_BYTES..];
        if payload.len() < header.payload_bytes as usize {
            return Ok(Ok(()));
        }
        if !header.matches(&bytes, self.log, payload) {
            return Ok(Err(BrokenRecord { position: self.pending_position }));
        }
        let address = LogAddress { log: self.log, position: header.position };
        sink(LogRecord { address, kind: header.kind, epoch: header.epoch, payload })?;
        self.pending.clear();
        Ok(Ok(()))
    }
}
