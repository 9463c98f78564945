//! Opening what a start left behind: manifests and logs in, new files and new states out. One job on a background thread.
//!
//! All logs of the last start are read through the ends found; what no file holds yet goes through a memtable into files of level zero. Nothing that
//! exists is changed: the files become part of a state only with the new start's manifests, and those count only when the identity file names the start.
//! So a crash anywhere in a recovery leaves the directory as it was, but for orphans, and recovering twice is recovering once.
//!
//! Which records are replayed. For each slice its owner's manifest says through which position of **each** log its files are complete; a row at or
//! below that position is in a file, or was dropped by compaction since, and must not come back. A publication is skipped if the manifest names it, too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use platform::{BlockIo, BlockRead, CancelFlag, FileHandle, OpenMode};
use types::codec::Decoder;
use types::limits::BLOCK_BYTES;
use types::mutants;
use types::{ByteOffset, LogId, ShardId, SliceId, SstableId, TableId, Timestamp};

use crate::commit_log::reader::{LogExtent, LogRecord, LogSurvey, RecordAssembler};
use crate::commit_log::record::RecordKind;
use crate::error::StorageError;
use crate::files::{FileRegistry, TableFile, parse_table_file_name};
use crate::flush::{FlushInput, with_layouts, write_files};
use crate::identity::Identity;
use crate::layout::TableLayout;
use crate::manifest::{ManifestName, read_manifest};
use crate::memtable::{FrozenTable, Memtable};
use crate::mutants::{FOREIGN_REPLAY_RESURRECTS, PUBLICATION_REPLAYED_TWICE};
use crate::options::StorageOptions;
use crate::position::{LogAddress, LogPosition};
use crate::publication::Publication;
use crate::version_edit::{FileEntry, ShardState};
use crate::write_batch::WriteBatch;

/// Name of the log file in a data directory.
pub const LOG_FILE_NAME: &str = "log";
/// Bytes read at once.
const READ_BYTES: usize = 1 << 20;

/// A record of the shard layer that was still in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpaqueRecord {
    /// Where it stood; the log is gone once the directory is open.
    pub address: LogAddress,
    /// Its kind.
    pub kind: RecordKind,
    /// Epoch of the topology under which it was written.
    pub epoch: u32,
    /// Its payload.
    pub payload: Vec<u8>,
}

/// What a recovery found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Ends of the logs that were read.
    pub log_ends: Vec<LogAddress>,
    /// Records in them.
    pub records: u64,
    /// Bytes of their payloads.
    pub payload_bytes: u64,
    /// Row versions that no file held.
    pub rows_replayed: u64,
    /// Row versions that a file held, or had held.
    pub rows_skipped: u64,
    /// Bulk publications installed.
    pub publications: u64,
    /// Files of no version, removed.
    pub orphans_removed: u64,
    /// Manifest frames of which one copy could not be read.
    pub repaired_frames: u64,
}

/// Everything that the new start needs.
pub(crate) struct Recovered {
    /// By shard of the new start.
    pub(crate) states: Vec<ShardState>,
    pub(crate) files: BTreeMap<SstableId, Arc<TableFile>>,
    pub(crate) registry: Arc<FileRegistry>,
    pub(crate) opaque: Vec<OpaqueRecord>,
    pub(crate) report: RecoveryReport,
    /// Names in the directory when the recovery began.
    pub(crate) names: Vec<String>,
    pub(crate) log_bytes: u64,
}

/// The manifests of the last start, by shard.
pub(crate) fn read_states(
    io: &dyn BlockIo,
    directory: &Path,
    identity: &Identity,
    names: &[String],
) -> Result<(Vec<ShardState>, u64), StorageError> {
    let mut states = Vec::new();
    let mut repaired = 0;
    for shard in (0..identity.shard_count).map(ShardId) {
        let mut candidates: Vec<ManifestName> = names
            .iter()
            .filter_map(|name| ManifestName::parse(name))
            .filter(|name| name.start == identity.start && name.shard == shard)
            .collect();
        candidates.sort_unstable();
        let mut state = None;
        while let Some(name) = candidates.pop() {
            let path = directory.join(name.file_name());
            let bytes = read_file(io, &path)?;
            if let Some(read) = read_manifest(&path, name, &bytes)? {
                repaired += read.repaired_frames;
                state = Some(read.state);
                break;
            }
        }
        states.push(state.ok_or_else(|| StorageError::Damage {
            path: directory.to_path_buf(),
            offset: 0,
            what: "the manifest of a shard is missing",
        })?);
    }
    Ok((states, repaired))
}

pub(crate) fn read_file(io: &dyn BlockIo, path: &Path) -> Result<Vec<u8>, StorageError> {
    let file = io.open(path, OpenMode::ReadOnly)?;
    let length = io.file_bytes(&file)?.0;
    let mut bytes = Vec::with_capacity(length as usize);
    while (bytes.len() as u64) < length {
        let left = (length - bytes.len() as u64) as usize;
        let read = BlockRead {
            file: file.clone(),
            offset: ByteOffset(bytes.len() as u64),
            bytes: left.min(READ_BYTES).next_multiple_of(BLOCK_BYTES),
        };
        let buffers = io.read_many(&[read])?;
        if buffers[0].is_empty() {
            break;
        }
        bytes.extend_from_slice(&buffers[0]);
    }
    Ok(bytes)
}

/// Hands blocks `first .. first + count` of a file to `sink`, with their numbers.
fn read_blocks(
    io: &dyn BlockIo,
    file: &FileHandle,
    first: u64,
    count: u64,
    sink: &mut dyn FnMut(u64, &[u8]) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let at_once = (READ_BYTES / BLOCK_BYTES) as u64;
    let mut number = first;
    while number < first + count {
        let blocks = at_once.min(first + count - number);
        let read = BlockRead {
            file: file.clone(),
            offset: ByteOffset(number * BLOCK_BYTES as u64),
            bytes: blocks as usize * BLOCK_BYTES,
        };
        let buffers = io.read_many(&[read])?;
        let mut got = 0;
        for block in buffers[0].chunks_exact(BLOCK_BYTES) {
            sink(number + got, block)?;
            got += 1;
        }
        if got < blocks {
            break;
        }
        number += blocks;
    }
    Ok(())
}

/// The logs of a data directory as found, for recovery and for inspection.
pub(crate) struct FoundLogs {
    pub(crate) file: Option<FileHandle>,
    pub(crate) log_bytes: u64,
    pub(crate) survey: LogSurvey,
}

/// Looks at every block of the log file.
pub(crate) fn survey_log(
    io: &dyn BlockIo,
    directory: &Path,
    identity: &Identity,
    names: &[String],
    mode: OpenMode,
) -> Result<FoundLogs, StorageError> {
    let mut survey = LogSurvey::new(identity.segment_blocks);
    if !names.iter().any(|name| name == LOG_FILE_NAME) {
        return Ok(FoundLogs { file: None, log_bytes: 0, survey });
    }
    let file = io.open(&directory.join(LOG_FILE_NAME), mode)?;
    let log_bytes = io.file_bytes(&file)?.0;
    read_blocks(io, &file, 0, log_bytes / BLOCK_BYTES as u64, &mut |number, block| {
        survey.add_block(block, number);
        Ok(())
    })?;
    Ok(FoundLogs { file: Some(file), log_bytes, survey })
}

/// The extents of the logs of the last start.
pub(crate) fn log_extents(
    found: &FoundLogs,
    directory: &Path,
    identity: &Identity,
    states: &[ShardState],
) -> Result<Vec<LogExtent>, StorageError> {
    let path = directory.join(LOG_FILE_NAME);
    let mut extents = Vec::new();
    for (shard, state) in states.iter().enumerate() {
        let log = LogId(identity.first_log.0 + shard as u32);
        extents.push(found.survey.extent(&path, log, state.low_generation.max(1))?);
    }
    Ok(extents)
}

/// Hands the records of an extent to `sink`, in order.
pub(crate) fn read_records(
    io: &dyn BlockIo,
    directory: &Path,
    identity: &Identity,
    file: &FileHandle,
    extent: &LogExtent,
    sink: &mut dyn FnMut(LogRecord<'_>) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let mut assembler = RecordAssembler::new(extent.log);
    for (generation, segment, blocks) in &extent.segments {
        let first = identity.segment_blocks.first_block(*segment);
        read_blocks(io, file, first, u64::from(*blocks), &mut |number, block| {
            let index = (number - first) as u32;
            assembler.add_block(*generation, index, block, sink)?.map_err(|broken| {
                StorageError::LogDamage {
                    path: directory.join(LOG_FILE_NAME),
                    log: extent.log,
                    position: broken.position,
                    block: number,
                    claimed: extent.claim,
                }
            })
        })?;
    }
    Ok(())
}

struct Replay<'a> {
    identity: &'a Identity,
    states: &'a [ShardState],
    memtable: Memtable,
    layouts: BTreeMap<TableId, TableLayout>,
    dropped: BTreeSet<TableId>,
    published: Vec<FileEntry>,
    reservation: Timestamp,
    opaque: Vec<OpaqueRecord>,
    report: RecoveryReport,
}

impl Replay<'_> {
    fn record(&mut self, record: LogRecord<'_>) -> Result<(), StorageError> {
        self.report.records += 1;
        self.report.payload_bytes += record.payload.len() as u64;
        match record.kind {
            RecordKind::WRITES => self.writes(record),
            RecordKind::PUBLICATION => self.publication(record),
            RecordKind::RESERVATION => {
                let reserved = Timestamp(Decoder::new(record.payload).u128()?);
                self.reservation = self.reservation.max(reserved);
                Ok(())
            }
            _ => {
                self.opaque.push(OpaqueRecord {
                    address: record.address,
                    kind: record.kind,
                    epoch: record.epoch,
                    payload: record.payload.to_vec(),
                });
                Ok(())
            }
        }
    }

    /// Through which position of a log the files of a shard are complete.
    fn complete(&self, shard: ShardId, address: LogAddress) -> LogPosition {
        let own = address.log.0 == self.identity.first_log.0 + u32::from(shard.0);
        if mutants::live(FOREIGN_REPLAY_RESURRECTS) && !own {
            return LogPosition::NONE;
        }
        self.states[shard.index()].through.get(&address.log).copied().unwrap_or_default()
    }

    fn writes(&mut self, record: LogRecord<'_>) -> Result<(), StorageError> {
        self.rows(&WriteBatch::parse(record.payload)?, record.address);
        Ok(())
    }

    fn rows(&mut self, batch: &WriteBatch<'_>, address: LogAddress) {
        for layout in batch.definitions() {
            crate::version_edit::define(&mut self.layouts, &layout);
        }
        self.reservation = self.reservation.max(batch.execute_at());
        for write in batch.writes() {
            let owner = self.identity.slices.owner(write.slice, self.identity.shard_count);
            let held = address.position <= self.complete(owner, address);
            if held || self.dropped.contains(&write.table) {
                self.report.rows_skipped += 1;
                continue;
            }
            self.memtable.insert(&write, batch.execute_at(), LogPosition::NONE);
            self.report.rows_replayed += 1;
        }
    }

    fn publication(&mut self, record: LogRecord<'_>) -> Result<(), StorageError> {
        let publication = Publication::decode(record.payload)?;
        for layout in &publication.definitions {
            crate::version_edit::define(&mut self.layouts, layout);
        }
        self.reservation = self.reservation.max(publication.execute_at);
        if let Some(batch) = publication.batch()? {
            self.rows(&batch, record.address);
        }
        for (shard, entries) in publication.files {
            let Some(state) = self.states.get(shard.index()) else { continue };
            let named = state.published.contains(&record.address)
                && !mutants::live(PUBLICATION_REPLAYED_TWICE);
            if named || record.address.position <= self.complete(shard, record.address) {
                continue;
            }
            self.report.publications += 1;
            let kept = entries.into_iter().filter(|entry| !self.dropped.contains(&entry.table));
            self.published.extend(kept);
        }
        Ok(())
    }
}

/// Splits what the last start's shards had among the shards of the new one.
fn distribute(
    identity: &Identity,
    states: &[ShardState],
    entries: Vec<FileEntry>,
    shard_count: u16,
) -> Vec<ShardState> {
    let mut merged = ShardState::default();
    for state in states {
        merged.floor = merged.floor.max(state.floor);
        merged.reservation = merged.reservation.max(state.reservation);
        merged.dropped.extend(state.dropped.iter().copied());
    }
    let mut next: Vec<ShardState> = (0..shard_count).map(|_| merged.clone()).collect();
    for (shard, state) in next.iter_mut().enumerate() {
        let shard = ShardId(shard as u16);
        let owned: Vec<SliceId> = identity.slices.owned_by(shard, shard_count).collect();
        let (Some(first), Some(last)) = (owned.first(), owned.last()) else { continue };
        let mut parts: Vec<FileEntry> = entries
            .iter()
            .filter(|entry| entry.slices.0 <= *last && entry.slices.1 >= *first)
            .map(|entry| FileEntry {
                slices: (entry.slices.0.max(*first), entry.slices.1.min(*last)),
                ..*entry
            })
            .collect();
        parts.sort_unstable_by_key(|entry| (entry.file, entry.level, entry.slices));
        for part in parts {
            // Pieces that two shards of the last start had of one file may be neighbours now.
            let neighbour = state.files.values_mut().find(|known| {
                known.file == part.file
                    && known.level == part.level
                    && known.slices.1.0.checked_add(1) == Some(part.slices.0.0)
            });
            match neighbour {
                Some(known) => known.slices.1 = part.slices.1,
                None => {
                    state.files.insert(part.piece(), part);
                }
            }
        }
    }
    next
}

fn free_table_id(names: &[String], entries: &[FileEntry]) -> SstableId {
    let in_directory = names.iter().filter_map(|name| parse_table_file_name(name));
    let named = entries.iter().map(|entry| entry.file);
    let highest = in_directory.chain(named).map(|file| file.0).max().unwrap_or(0);
    SstableId(highest + 1)
}

/// Reads manifests and logs, writes what only logs hold to files, and works out the states of the new start's shards.
pub(crate) fn recover(
    io: &dyn BlockIo,
    cancel: &CancelFlag,
    directory: &Path,
    identity: &Identity,
    shard_count: u16,
    options: &StorageOptions,
) -> Result<Recovered, StorageError> {
    let names: Vec<String> = io.list(directory)?.into_iter().map(|entry| entry.name).collect();
    let (states, repaired_frames) = read_states(io, directory, identity, &names)?;
    let found = survey_log(io, directory, identity, &names, OpenMode::ReadOnly)?;
    let mut entries: Vec<FileEntry> =
        states.iter().flat_map(|state| state.files.values().copied()).collect();
    let mut replay = Replay {
        identity,
        states: &states,
        memtable: Memtable::new(options.chunk_bytes_first),
        layouts: BTreeMap::new(),
        dropped: states.iter().flat_map(|state| state.dropped.iter().copied()).collect(),
        published: Vec::new(),
        reservation: Timestamp::ZERO,
        opaque: Vec::new(),
        report: RecoveryReport { repaired_frames, ..RecoveryReport::default() },
    };
    for layout in states.iter().flat_map(|state| state.layouts.values()) {
        crate::version_edit::define(&mut replay.layouts, layout);
    }
    if let Some(file) = &found.file {
        for extent in log_extents(&found, directory, identity, &states)? {
            let end = LogAddress { log: extent.log, position: extent.end };
            replay.report.log_ends.push(end);
            read_records(io, directory, identity, file, &extent, &mut |record| {
                replay.record(record)
            })?;
        }
    }
    let Replay { memtable, layouts, dropped, published, reservation, opaque, report, .. } = replay;
    entries.extend(published);
    let registry =
        Arc::new(FileRegistry::new(directory.to_path_buf(), free_table_id(&names, &entries)));
    let pieces = flush_recovered(
        io,
        cancel,
        &registry,
        options,
        FlushOf {
            memtable: &memtable,
            layouts: &layouts,
            dropped: &dropped,
            cuts: shard_cuts(identity, shard_count),
        },
    )?;
    entries.extend(pieces.iter().map(|piece| piece.entry));
    entries.retain(|entry| !dropped.contains(&entry.table));
    let mut files: BTreeMap<SstableId, Arc<TableFile>> =
        pieces.into_iter().map(|piece| (piece.entry.file, piece.file)).collect();
    for entry in &entries {
        if !files.contains_key(&entry.file) {
            files.insert(entry.file, Arc::new(TableFile::open(io, &registry, entry)?));
        }
    }
    let mut states = distribute(identity, &states, entries, shard_count);
    for state in &mut states {
        state.layouts.clone_from(&layouts);
        state.layouts.retain(|table, _| !dropped.contains(table));
        state.reservation = state.reservation.max(reservation);
    }
    Ok(Recovered { states, files, registry, opaque, report, names, log_bytes: found.log_bytes })
}

/// Last slices of the shards of a start.
pub(crate) fn shard_cuts(identity: &Identity, shard_count: u16) -> Vec<SliceId> {
    (0..shard_count)
        .filter_map(|shard| identity.slices.owned_by(ShardId(shard), shard_count).last())
        .collect()
}

struct FlushOf<'a> {
    memtable: &'a Memtable,
    layouts: &'a BTreeMap<TableId, TableLayout>,
    dropped: &'a BTreeSet<TableId>,
    cuts: Vec<SliceId>,
}

fn flush_recovered(
    io: &dyn BlockIo,
    cancel: &CancelFlag,
    registry: &Arc<FileRegistry>,
    options: &StorageOptions,
    of: FlushOf<'_>,
) -> Result<Vec<crate::files::Piece>, StorageError> {
    let views = of
        .memtable
        .tables()
        .into_iter()
        .map(|table| {
            let mut view = FrozenTable::empty(table);
            of.memtable.freeze_into(&mut view);
            view
        })
        .collect();
    let tables =
        with_layouts(views, &|table| of.layouts.get(&table).cloned().map(Arc::new), &|table| {
            of.dropped.contains(&table)
        })?;
    write_files(io, cancel, registry, options, &FlushInput { tables, cuts: of.cuts })
}
