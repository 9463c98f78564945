//! Whether keys of a bulk write are taken: sealed files against a table as a snapshot holds it. Runs on background threads.
//!
//! Keys are looked up as point reads do it, by filter and key index, so what is read grows with the bulk write and not with the table. A later round
//! that asks only for what was written since the last one looks from the other side, from the new rows into the sealed files.

use std::sync::Arc;

use platform::{AlignedBuf, BlockIo, BlockRead, CancelFlag, DiskError};
use sstable::{Fetch, PageId, PointQuery, PointRead, RowContent, SortedRun, VersionSource};
use types::{ShardId, SliceId, Timestamp};

use crate::compaction::job::PieceSource;
use crate::error::StorageError;
use crate::files::{Piece, cover, table_damage};
use crate::sealed::{DuplicateKey, SealedFiles};
use crate::tree::TableSnapshot;

/// The last page of a file that was looked at.
struct Page {
    page: PageId,
    fetch: Fetch,
    buffers: Vec<AlignedBuf>,
    places: Vec<(usize, usize)>,
}

/// Looks keys up in one file.
struct FileKeys<'a> {
    io: &'a dyn BlockIo,
    piece: Arc<Piece>,
    last: Option<Page>,
}

impl FileKeys<'_> {
    /// When the newest version at or below `at` was written, and whether it is a row.
    fn find(
        &mut self,
        slice: SliceId,
        key: &[u8],
        at: Timestamp,
    ) -> Result<Option<(Timestamp, bool)>, StorageError> {
        let piece = self.piece.clone();
        if !piece.entry.holds(slice) {
            return Ok(None);
        }
        let query = PointQuery { slice, key, at, published_at: piece.entry.published_at };
        let Some(mut page) = piece.file.metadata.locate(&query) else { return Ok(None) };
        let damage = |error| table_damage(&piece.entry, error);
        loop {
            let bytes = self.page(page)?;
            let parts = bytes.buffers.iter().zip(&bytes.places).map(|(buffer, (skip, length))| {
                buffer.get(*skip..(skip + length).min(buffer.len())).unwrap_or(&[])
            });
            let fetched = bytes.fetch.with(parts).map_err(damage)?;
            match piece.file.metadata.decode_point(page, &[], &fetched, &query).map_err(damage)? {
                PointRead::Row { execute_at, .. } => return Ok(Some((execute_at, true))),
                PointRead::Tombstone { execute_at } => return Ok(Some((execute_at, false))),
                PointRead::Absent => return Ok(None),
                PointRead::NextPage(next) => page = next,
            }
        }
    }

    fn page(&mut self, page: PageId) -> Result<&Page, StorageError> {
        if self.last.as_ref().is_none_or(|last| last.page != page) {
            let fetch = self.piece.file.metadata.point_fetch(page, &[]);
            let (mut reads, mut places) = (Vec::new(), Vec::new());
            for range in fetch.ranges() {
                let (offset, bytes, skip) = cover(*range);
                reads.push(BlockRead { file: self.piece.file.handle.clone(), offset, bytes });
                places.push((skip, range.bytes as usize));
            }
            let buffers = self.io.read_many(&reads)?;
            self.last = Some(Page { page, fetch, buffers, places });
        }
        Ok(self.last.as_ref().expect("just read"))
    }
}

/// What one shard holds of the table above `since`.
struct Held<'a> {
    runs: Vec<Arc<SortedRun>>,
    files: Vec<FileKeys<'a>>,
    at: Timestamp,
    since: Timestamp,
}

impl Held<'_> {
    /// Whether the newest version of a key is a row, and was written above `since`.
    fn has(&mut self, slice: SliceId, key: &[u8]) -> Result<bool, StorageError> {
        let mut newest: Option<(Timestamp, bool)> = None;
        let mut note = |found: (Timestamp, bool)| {
            if newest.is_none_or(|(known, _)| known < found.0) {
                newest = Some(found);
            }
        };
        for run in &self.runs {
            if let Some(row) = run.find(slice, key, self.at) {
                note((run.execute_at(row), run.content(row) != RowContent::Tombstone));
            }
        }
        for file in &mut self.files {
            if let Some(found) = file.find(slice, key, self.at)? {
                note(found);
            }
        }
        Ok(newest.is_some_and(|(written, is_row)| is_row && written > self.since))
    }
}

/// A key of the sealed files that has a row in the table at `at`, written above `since`. Blocking: for a background thread.
///
/// # Errors
/// Why a file could not be read.
pub fn existing_key(
    io: &dyn BlockIo,
    cancel: &CancelFlag,
    sealed: &SealedFiles,
    snapshots: &[(ShardId, TableSnapshot)],
    (since, at): (Timestamp, Timestamp),
) -> Result<Option<DuplicateKey>, StorageError> {
    for (shard, snapshot) in snapshots {
        let own = sealed.pieces_at(Timestamp::MAX).filter(|(of, _)| of == shard);
        let own: Vec<Arc<Piece>> = own.map(|(_, piece)| Arc::new(piece)).collect();
        let newer = |piece: &&Arc<Piece>| piece.entry.highest > since && piece.entry.lowest <= at;
        let files = snapshot.pieces.iter().filter(newer);
        let files = files.map(|piece| FileKeys { io, piece: piece.clone(), last: None }).collect();
        let runs = if snapshot.frozen.highest_execute_at() > since {
            snapshot.frozen.runs()
        } else {
            Vec::new()
        };
        let mut held = Held { runs, files, at, since };
        if held.runs.is_empty() && held.files.is_empty() {
            continue;
        }
        let found = if since > Timestamp::ZERO && held.files.is_empty() {
            new_row_in_files(io, cancel, &mut held, own)?
        } else {
            file_key_in_table(io, cancel, &mut held, own)?
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn file_key_in_table(
    io: &dyn BlockIo,
    cancel: &CancelFlag,
    held: &mut Held<'_>,
    own: Vec<Arc<Piece>>,
) -> Result<Option<DuplicateKey>, StorageError> {
    for piece in own {
        let slices = piece.entry.slices;
        let mut source = PieceSource::open(io, cancel, piece, slices)?;
        while let Some(head) = source.head() {
            if held.has(head.slice, head.key)? {
                let row = match head.content {
                    RowContent::Row(row) => row.to_vec(),
                    RowContent::Tombstone => Vec::new(),
                };
                return Ok(Some(DuplicateKey { slice: head.slice, key: head.key.to_vec(), row }));
            }
            source.advance()?;
        }
    }
    Ok(None)
}

fn new_row_in_files(
    io: &dyn BlockIo,
    cancel: &CancelFlag,
    held: &mut Held<'_>,
    own: Vec<Arc<Piece>>,
) -> Result<Option<DuplicateKey>, StorageError> {
    let mut own: Vec<FileKeys<'_>> =
        own.into_iter().map(|piece| FileKeys { io, piece, last: None }).collect();
    for run in held.runs.clone() {
        for row in 0..run.len() {
            if row % 1024 == 0 && cancel.is_cancelled() {
                return Err(DiskError::Cancelled.into());
            }
            let (written, content) = (run.execute_at(row), run.content(row));
            let RowContent::Row(bytes) = content else { continue };
            if written <= held.since || written > held.at {
                continue;
            }
            let (slice, key) = (run.slice(row), run.key(row));
            for file in &mut own {
                if file.find(slice, key, Timestamp::MAX)?.is_some() && held.has(slice, key)? {
                    let (key, row) = (key.to_vec(), bytes.to_vec());
                    return Ok(Some(DuplicateKey { slice, key, row }));
                }
            }
        }
    }
    Ok(None)
}
