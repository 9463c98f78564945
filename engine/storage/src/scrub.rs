//! The scrubber: reads every table file again, page by page, in idle time, and checks all checksums. [`verify_piece`] is also what `verify` runs offline.
//!
//! One file a step, with a pause that makes a terabyte take about a day; the pacing of the optional class keeps the bandwidth small.

use std::rc::Rc;
use std::time::Duration;

use platform::{BlockIo, BlockRead, CancelFlag, DiskError, JobClass, run_job};
use sstable::{ByteRange, Fetch, Joining, PageId};
use types::SstableId;

use crate::error::StorageError;
use crate::files::{Piece, cover, read_range, table_damage};
use crate::stats::add;
use crate::tree::inner::TreeInner;

/// Pause between two files. With files of tens of megabytes: about a terabyte a day.
pub(crate) const PAUSE_BETWEEN_FILES: Duration = Duration::from_secs(5);

/// Verifies the file that comes after the one verified last.
pub(crate) async fn run_step(inner: Rc<TreeInner>) {
    let version = inner.version.borrow().clone();
    let last = inner.scrubbed.get();
    let mut pieces: Vec<&std::sync::Arc<Piece>> =
        version.tables().flat_map(|(_, files)| files.pieces()).collect();
    pieces.sort_by_key(|piece| piece.entry.file);
    let next = pieces.iter().find(|piece| piece.entry.file > last).or(pieces.first());
    let Some(piece) = next.map(|piece| (**piece).clone()) else { return };
    inner.scrubbed.set(piece.entry.file);
    let verified = run_job(&*inner.platform.background, JobClass::Optional, move |io, cancel| {
        verify_piece(io, cancel, &piece)
    })
    .await;
    match verified {
        Ok(Ok(bytes)) => add(&inner.counters.scrubbed_bytes, bytes),
        Ok(Err(error)) => {
            inner.damage_found.borrow_mut().push(error.clone());
            inner.note_failure(&error);
        }
        Err(error) => inner.note_failure(&error.into()),
    }
}

/// Reads a whole file and checks every page. Gives the bytes read.
///
/// # Errors
/// The first damage found, or the disk's.
pub(crate) fn verify_piece(
    io: &dyn BlockIo,
    cancel: &CancelFlag,
    piece: &Piece,
) -> Result<u64, StorageError> {
    let metadata = &piece.file.metadata;
    let damage = |error| table_damage(&piece.entry, error);
    let head = ByteRange { offset: 0, bytes: sstable::HEADER_BYTES };
    let header = read_range(io, &piece.file.handle, head)?;
    sstable::check_header(&header).map_err(damage)?;
    let mut total = 0;
    let columns = metadata.all_columns();
    for group in 0..metadata.group_count() {
        if cancel.is_cancelled() {
            return Err(DiskError::Cancelled.into());
        }
        let pages: Vec<PageId> = metadata.group_pages(group);
        let fetch = Fetch::new(metadata, &pages, &columns, Joining::SCAN);
        let mut reads = Vec::new();
        let mut places = Vec::new();
        for range in fetch.ranges() {
            let (offset, bytes, skip) = cover(*range);
            reads.push(BlockRead { file: piece.file.handle.clone(), offset, bytes });
            places.push((skip, range.bytes as usize));
        }
        let buffers = io.read_many(&reads)?;
        let parts = buffers.iter().zip(&places).map(|(buffer, (skip, bytes))| {
            buffer.get(*skip..(skip + bytes).min(buffer.len())).unwrap_or(&[])
        });
        let fetched = fetch.with(parts).map_err(damage)?;
        for column in &columns {
            sstable::verify_pages(metadata, &pages, *column, &fetched).map_err(damage)?;
        }
        total += fetch.byte_count();
    }
    Ok(total)
}

/// Before every file.
pub(crate) const NOTHING_SCRUBBED: SstableId = SstableId(0);
