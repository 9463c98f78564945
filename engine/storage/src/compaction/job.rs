//! Runs a compaction on a background thread: reads its pieces row group by row group, merges versions by the floor rule, writes new files.
//!
//! Memory is bounded by one decoded row group an input and one being built. The job looks at its cancel flag at every block. What it wrote
//! is durable, names included, when it ends; the shard installs the edit.

use std::sync::Arc;

use platform::{BlockIo, BlockRead, CancelFlag, DiskError};
use sstable::{
    GroupPlan, GroupRows, Joining, Overlap, PageCheck, PositionRange, Predicate, RowContent,
    RowVersion, ScanRequest, VersionMerge, VersionSource,
};
use types::mutants;
use types::{SliceId, Timestamp};

use super::picker::Job;
use crate::error::StorageError;
use crate::files::{FileRegistry, Piece, cover, table_damage};
use crate::layout::TableLayout;
use crate::mutants::{
    TABLE_NAME_NOT_DURABLE, TOMBSTONE_DROPPED_EARLY, VERSIONS_ABOVE_FLOOR_DROPPED,
};
use crate::options::StorageOptions;
use crate::table_writer::{FileSequence, table_options};
use crate::version_edit::{FileEntry, PieceId, VersionEdit};

/// How a piece is read.
enum SourceIo<'a> {
    /// Within one job.
    OfJob(&'a dyn BlockIo),
    /// By one job after the other.
    Shared(Arc<dyn BlockIo>),
}

/// Reads the rows of some slices of a piece, in order.
pub(crate) struct PieceSource<'a> {
    io: SourceIo<'a>,
    cancel: CancelFlag,
    piece: Arc<Piece>,
    slices: (SliceId, SliceId),
    plans: std::vec::IntoIter<GroupPlan>,
    rows: Option<GroupRows>,
    row: usize,
    key: Vec<u8>,
    bytes: Vec<u8>,
}

impl PieceSource<'static> {
    /// As [`PieceSource::open`], for a walk that goes over several jobs.
    pub(crate) fn open_shared(
        io: Arc<dyn BlockIo>,
        cancel: &CancelFlag,
        piece: Arc<Piece>,
        slices: (SliceId, SliceId),
    ) -> Result<PieceSource<'static>, StorageError> {
        PieceSource::open_with(SourceIo::Shared(io), cancel, piece, slices)
    }
}

impl<'a> PieceSource<'a> {
    /// Begins at the first row of the piece that lies in `slices`.
    pub(crate) fn open(
        io: &'a dyn BlockIo,
        cancel: &CancelFlag,
        piece: Arc<Piece>,
        slices: (SliceId, SliceId),
    ) -> Result<PieceSource<'a>, StorageError> {
        PieceSource::open_with(SourceIo::OfJob(io), cancel, piece, slices)
    }

    fn open_with(
        io: SourceIo<'a>,
        cancel: &CancelFlag,
        piece: Arc<Piece>,
        slices: (SliceId, SliceId),
    ) -> Result<PieceSource<'a>, StorageError> {
        let slices = (slices.0.max(piece.entry.slices.0), slices.1.min(piece.entry.slices.1));
        let request = ScanRequest {
            positions: PositionRange::of_slices(slices.0, slices.1),
            predicate: Predicate::Always,
            published_at: piece.entry.published_at,
            overlap: Overlap::Merged,
            ..ScanRequest::everything(Timestamp::MAX)
        };
        let plans = piece.file.metadata.plan_scan(&request).groups.into_iter();
        let mut source = PieceSource {
            io,
            cancel: cancel.clone(),
            piece,
            slices,
            plans,
            rows: None,
            row: 0,
            key: Vec::new(),
            bytes: Vec::new(),
        };
        source.settle()?;
        Ok(source)
    }

    fn settle(&mut self) -> Result<(), StorageError> {
        loop {
            if let Some(rows) = &self.rows {
                while self.row < rows.len() && rows.slice(self.row) < self.slices.0 {
                    self.row += 1;
                }
                if self.row < rows.len() {
                    if rows.slice(self.row) > self.slices.1 {
                        self.rows = None;
                        self.plans = Vec::new().into_iter();
                        return Ok(());
                    }
                    rows.key_into(self.row, &mut self.key);
                    self.bytes.clear();
                    if !rows.is_tombstone(self.row) && !rows.row_into(self.row, &mut self.bytes) {
                        let reason = "a value that its type does not allow";
                        let section = sstable::Section::Page;
                        let malformed =
                            sstable::SstableError::Malformed { section, offset: 0, reason };
                        return Err(table_damage(&self.piece.entry, malformed));
                    }
                    return Ok(());
                }
                self.rows = None;
            }
            let Some(plan) = self.plans.next() else { return Ok(()) };
            if self.cancel.is_cancelled() {
                return Err(DiskError::Cancelled.into());
            }
            self.rows = Some(self.read_group(&plan)?);
            self.row = 0;
        }
    }

    fn read_group(&self, plan: &GroupPlan) -> Result<GroupRows, StorageError> {
        let metadata = &self.piece.file.metadata;
        let fetch =
            sstable::Fetch::new(metadata, &plan.pages, &metadata.all_columns(), Joining::SCAN);
        let mut reads = Vec::with_capacity(fetch.ranges().len());
        let mut places = Vec::with_capacity(fetch.ranges().len());
        for range in fetch.ranges() {
            let (offset, bytes, skip) = cover(*range);
            reads.push(BlockRead { file: self.piece.file.handle.clone(), offset, bytes });
            places.push((skip, range.bytes as usize));
        }
        let buffers = match &self.io {
            SourceIo::OfJob(io) => io.read_many(&reads)?,
            SourceIo::Shared(io) => io.read_many(&reads)?,
        };
        let damage = |error| table_damage(&self.piece.entry, error);
        let parts = buffers.iter().zip(&places).map(|(buffer, (skip, bytes))| {
            buffer.get(*skip..(skip + bytes).min(buffer.len())).unwrap_or(&[])
        });
        let fetched = fetch.with(parts).map_err(damage)?;
        metadata
            .decode_rows(&plan.pages, &fetched, self.piece.entry.published_at, PageCheck::Verify)
            .map_err(damage)
    }
}

impl VersionSource for PieceSource<'_> {
    type Error = StorageError;

    fn head(&self) -> Option<RowVersion<'_>> {
        let rows = self.rows.as_ref()?;
        let content = if rows.is_tombstone(self.row) {
            RowContent::Tombstone
        } else {
            RowContent::Row(&self.bytes)
        };
        Some(RowVersion {
            slice: rows.slice(self.row),
            key: &self.key,
            execute_at: rows.execute_at(self.row),
            content,
        })
    }

    fn advance(&mut self) -> Result<(), StorageError> {
        self.row += 1;
        self.settle()
    }
}

/// What a compaction made.
pub(crate) struct Compacted {
    /// The files.
    pub(crate) pieces: Vec<Piece>,
    /// Bytes of its input, roughly.
    pub(crate) bytes_read: u64,
}

/// Runs a job. On an error nothing of it remains.
pub(crate) fn run(
    io: &dyn BlockIo,
    cancel: &CancelFlag,
    registry: &Arc<FileRegistry>,
    options: &StorageOptions,
    of: (&Job, &TableLayout, Timestamp),
) -> Result<Compacted, StorageError> {
    let (job, layout, floor) = of;
    let mut sources = Vec::with_capacity(job.inputs.len());
    for piece in &job.inputs {
        sources.push(PieceSource::open(io, cancel, piece.clone(), job.slices)?);
    }
    let floor = if mutants::live(VERSIONS_ABOVE_FLOOR_DROPPED) { Timestamp::MAX } else { floor };
    let older = |slice: SliceId, key: &[u8]| {
        !mutants::live(TOMBSTONE_DROPPED_EARLY) && job.may_hold_older(slice, key, floor)
    };
    let mut merge = VersionMerge::new(sources, floor, older);
    let sizes = table_options(options);
    let mut files = FileSequence::new(io, cancel, registry, layout, sizes, job.output_level);
    let mut last_key: (SliceId, Vec<u8>) = (SliceId(0), Vec::new());
    let written = loop {
        let version = match merge.next_version() {
            Ok(Some(version)) => version,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        };
        // All versions of a key stay in one file, so that files of a level never overlap.
        let same_key = (last_key.0, last_key.1.as_slice()) == (version.slice, version.key);
        let large = files.byte_estimate() >= options.file_bytes.0;
        let new_slice = files.last_slice().is_some_and(|last| last != version.slice);
        let worth_a_cut = new_slice && files.byte_estimate() >= options.file_bytes.0 / 4;
        if !same_key
            && (large || worth_a_cut)
            && let Err(error) = files.end_file()
        {
            break Err(error);
        }
        if !same_key {
            last_key.0 = version.slice;
            last_key.1.clear();
            last_key.1.extend_from_slice(version.key);
        }
        if let Err(error) = files.push(&version) {
            break Err(error);
        }
    };
    if let Err(error) = written {
        return Err(files.abandon(error));
    }
    let pieces = files.finish()?;
    if !pieces.is_empty() && !mutants::live(TABLE_NAME_NOT_DURABLE) {
        io.sync_directory(registry.directory())?;
    }
    Ok(Compacted { pieces, bytes_read: job.byte_count() })
}

/// The edit that puts a job's output in the place of its input. Pieces that reach beyond the job's slices are replaced by what is left of them.
pub(crate) fn edit_of(job: &Job, compacted: &Compacted) -> (VersionEdit, Vec<Piece>) {
    let mut added = compacted.pieces.clone();
    let mut removed: Vec<PieceId> = Vec::new();
    for input in &job.inputs {
        removed.push(input.entry.piece());
        let (low, high) = input.entry.slices;
        let left = [
            (low < job.slices.0).then(|| (low, SliceId(job.slices.0.0 - 1))),
            (high > job.slices.1).then(|| (SliceId(job.slices.1.0 + 1), high)),
        ];
        for slices in left.into_iter().flatten() {
            let entry = FileEntry { slices, ..input.entry };
            added.push(Piece { entry, file: input.file.clone() });
        }
    }
    let edit = VersionEdit {
        added: added.iter().map(|piece| piece.entry).collect(),
        removed,
        ..VersionEdit::default()
    };
    (edit, added)
}
