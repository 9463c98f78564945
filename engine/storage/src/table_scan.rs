//! All rows of a table as one moment sees them, for bulk writes that are made of a table: of its frozen chunks and files, and of sealed files that nobody
//! else sees yet. Runs on background threads, one job after the other: it owns what it reads.
//!
//! Memory: one decoded row group of each file that overlaps where the scan stands.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use platform::{BlockIo, CancelFlag};
use sstable::{PositionRange, RowContent, RowVersion, RunCursor, VersionMerge, VersionSource};
use types::{ShardId, SliceId, Timestamp};

use crate::compaction::job::PieceSource;
use crate::error::StorageError;
use crate::files::Piece;
use crate::memtable::FrozenTable;
use crate::pins::Pin;
use crate::sealed::SealedFiles;
use crate::tree::TableSnapshot;
use crate::version::overlap;

type OlderMayExist = fn(SliceId, &[u8]) -> bool;

enum Source {
    Run(RunCursor),
    Piece(Box<PieceSource<'static>>),
}

impl VersionSource for Source {
    type Error = StorageError;

    fn head(&self) -> Option<RowVersion<'_>> {
        match self {
            Source::Run(run) => run.head(),
            Source::Piece(piece) => piece.head(),
        }
    }

    fn advance(&mut self) -> Result<(), StorageError> {
        match self {
            Source::Run(run) => run.advance().map_err(|error: Infallible| match error {}),
            Source::Piece(piece) => piece.advance(),
        }
    }
}

/// Sources that may hold the same keys.
struct Part {
    frozen: Option<(FrozenTable, (SliceId, SliceId))>,
    pieces: Vec<Arc<Piece>>,
}

/// A walk over the rows of a table.
pub struct TableScan {
    io: Arc<dyn BlockIo>,
    cancel: CancelFlag,
    at: Timestamp,
    parts: VecDeque<Part>,
    merge: Option<VersionMerge<Source, OlderMayExist>>,
    _pins: Vec<Pin>,
}

impl TableScan {
    /// The rows at `at` of the shards' parts of a table; sealed files count as if they took effect at `at`.
    pub fn new(
        io: Arc<dyn BlockIo>,
        at: Timestamp,
        snapshots: Vec<(ShardId, TableSnapshot)>,
        sealed: &[&SealedFiles],
    ) -> TableScan {
        let mut own: Vec<(ShardId, Arc<Piece>)> = sealed
            .iter()
            .flat_map(|files| files.pieces_at(at))
            .map(|(shard, piece)| (shard, Arc::new(piece)))
            .collect();
        let mut parts = VecDeque::new();
        let mut pins = Vec::new();
        for (shard, snapshot) in snapshots {
            let mut pieces = snapshot.pieces;
            pieces.extend(own.extract_if(.., |(of, _)| *of == shard).map(|(_, piece)| piece));
            if snapshot.frozen.is_empty() {
                parts.extend(connected(pieces));
            } else {
                let frozen = Some((snapshot.frozen, snapshot.slices));
                parts.push_back(Part { frozen, pieces });
            }
            pins.push(snapshot.pin);
        }
        parts.extend(connected(own.into_iter().map(|(_, piece)| piece).collect()));
        let cancel = CancelFlag::new();
        TableScan { io, cancel, at, parts, merge: None, _pins: pins }
    }

    /// Visits at most so many rows: slice, key, row. Gives whether there are more. Blocking: for a background thread.
    ///
    /// # Errors
    /// Why a file could not be read; what `visit` returns.
    pub fn visit<E: From<StorageError>>(
        &mut self,
        rows_max: usize,
        mut visit: impl FnMut(SliceId, &[u8], &[u8]) -> Result<(), E>,
    ) -> Result<bool, E> {
        let mut rows = 0;
        while rows < rows_max {
            let merge = match &mut self.merge {
                Some(merge) => merge,
                None => match self.parts.pop_front() {
                    Some(part) => self.merge.insert(open(&self.io, &self.cancel, self.at, part)?),
                    None => return Ok(false),
                },
            };
            match merge.next_version()? {
                None => self.merge = None,
                Some(version) => {
                    rows += 1;
                    if let RowContent::Row(row) = version.content
                        && version.execute_at <= self.at
                    {
                        visit(version.slice, version.key, row)?;
                    }
                }
            }
        }
        Ok(self.merge.is_some() || !self.parts.is_empty())
    }
}

/// Files without frozen rows beside them: those that overlap one another are one part, so that few are open at a time.
fn connected(mut pieces: Vec<Arc<Piece>>) -> Vec<Part> {
    pieces.sort_by_cached_key(|piece| crate::version::start(piece));
    let mut parts: Vec<Part> = Vec::new();
    for piece in pieces {
        match parts.last_mut() {
            Some(part) if part.pieces.iter().any(|other| overlap(other, &piece)) => {
                part.pieces.push(piece);
            }
            _ => parts.push(Part { frozen: None, pieces: vec![piece] }),
        }
    }
    parts
}

fn open(
    io: &Arc<dyn BlockIo>,
    cancel: &CancelFlag,
    at: Timestamp,
    part: Part,
) -> Result<VersionMerge<Source, OlderMayExist>, StorageError> {
    // Of two versions with the very same time that of the first source counts: the bulk write's own.
    let (own, others): (Vec<_>, Vec<_>) =
        part.pieces.into_iter().partition(|piece| piece.entry.published_at == Some(at));
    let mut sources = Vec::new();
    for piece in own {
        sources.push(open_piece(io, cancel, piece)?);
    }
    if let Some((frozen, slices)) = &part.frozen {
        let positions = PositionRange::of_slices(slices.0, slices.1);
        let runs = frozen.runs().into_iter();
        sources.extend(runs.map(|run| Source::Run(RunCursor::within(run, &positions))));
    }
    for piece in others {
        sources.push(open_piece(io, cancel, piece)?);
    }
    // As if nobody read below: of each key what is above, which the caller leaves out, and the newest at or below, if that is a row.
    Ok(VersionMerge::new(sources, at, |_, _| false))
}

fn open_piece(
    io: &Arc<dyn BlockIo>,
    cancel: &CancelFlag,
    piece: Arc<Piece>,
) -> Result<Source, StorageError> {
    let slices = piece.entry.slices;
    let source = PieceSource::open_shared(io.clone(), cancel, piece, slices)?;
    Ok(Source::Piece(Box::new(source)))
}
