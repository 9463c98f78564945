//! Rows of table files on a shard core: which page may hold a key, whether it is in the cache, and fetching all pages that are not in one submission.
//!
//! Looking up never waits: it answers from cached pages or names the page that is missing. Fetching waits and fills the cache.

use std::sync::Arc;

use platform::{AlignedBuf, Completion, Disk, DiskError, ReadDone};
use sstable::{Fetch, GroupRows, Joining, PageCheck, PageId, PointQuery};
use types::{SliceId, Timestamp};

use crate::block_cache::{CachedPage, PageName};
use crate::error::StorageError;
use crate::files::{Piece, cover, table_damage};

/// A page that has to be fetched before the answer is known.
#[derive(Clone, Debug)]
pub(crate) struct MissingPage {
    pub(crate) piece: Arc<Piece>,
    pub(crate) page: PageId,
}

impl MissingPage {
    pub(crate) fn name(&self) -> PageName {
        PageName { file: self.piece.entry.file, page: self.page }
    }
}

/// What one file says about a key.
pub(crate) enum FileLookup {
    /// Its newest version at or below the timestamp; no row: a tombstone.
    Found { execute_at: Timestamp, row: Option<Vec<u8>> },
    /// Nothing.
    Absent,
    /// Not known without this page.
    Missing(PageId),
}

/// Looks a key up in one file.
pub(crate) fn lookup(
    piece: &Piece,
    key: (SliceId, &[u8]),
    at: Timestamp,
    page_of: &mut dyn FnMut(PageName) -> Option<Arc<CachedPage>>,
) -> Result<FileLookup, StorageError> {
    let (slice, key) = key;
    let metadata = &piece.file.metadata;
    let query = PointQuery { slice, key, at, published_at: piece.entry.published_at };
    let Some(mut page) = metadata.locate(&query) else { return Ok(FileLookup::Absent) };
    let mut scratch = Vec::with_capacity(key.len() + 16);
    loop {
        let name = PageName { file: piece.entry.file, page };
        let Some(cached) = page_of(name) else { return Ok(FileLookup::Missing(page)) };
        let rows = &cached.rows;
        let row = cached.seek(slice, key, at, &mut scratch);
        if row < rows.len() {
            rows.key_into(row, &mut scratch);
            if rows.slice(row) != slice || scratch != key {
                return Ok(FileLookup::Absent);
            }
            return Ok(FileLookup::Found {
                execute_at: rows.execute_at(row),
                row: row_bytes(piece, rows, row)?,
            });
        }
        // All versions in this page are above the timestamp; the key may go on in the next.
        page = PageId(page.0 + 1);
        if page.0 >= metadata.page_count() {
            return Ok(FileLookup::Absent);
        }
        let next = metadata.page_position(page);
        if next.slice != slice || next.key != key {
            return Ok(FileLookup::Absent);
        }
    }
}

/// The bytes of a row; nothing for a tombstone.
pub(crate) fn row_bytes(
    piece: &Piece,
    rows: &GroupRows,
    row: usize,
) -> Result<Option<Vec<u8>>, StorageError> {
    if rows.is_tombstone(row) {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(64);
    if !rows.row_into(row, &mut bytes) {
        let reason = "a value that its type does not allow";
        let malformed =
            sstable::SstableError::Malformed { section: sstable::Section::Page, offset: 0, reason };
        return Err(table_damage(&piece.entry, malformed));
    }
    Ok(Some(bytes))
}

type PendingRead = (Completion<Result<ReadDone, DiskError>>, usize, usize);

/// Reads pages, all in one submission, and decodes them.
///
/// # Cancel safety
/// Safe: nothing is kept before all is there.
pub(crate) async fn fetch_pages(
    disk: &dyn Disk,
    missing: &[MissingPage],
) -> Result<Vec<(PageName, Arc<CachedPage>)>, StorageError> {
    let mut pending: Vec<(Fetch, Vec<PendingRead>)> = Vec::with_capacity(missing.len());
    for wanted in missing {
        let metadata = &wanted.piece.file.metadata;
        let fetch = Fetch::new(metadata, &[wanted.page], &metadata.all_columns(), Joining::POINT);
        let reads = fetch
            .ranges()
            .iter()
            .map(|range| {
                let (offset, bytes, skip) = cover(*range);
                let buffer = AlignedBuf::zeroed(bytes);
                let read = disk.read_at(&wanted.piece.file.handle, offset, buffer);
                (read, skip, range.bytes as usize)
            })
            .collect();
        pending.push((fetch, reads));
    }
    let mut pages = Vec::with_capacity(missing.len());
    for (wanted, (fetch, reads)) in missing.iter().zip(pending) {
        let mut buffers = Vec::with_capacity(reads.len());
        for (read, skip, bytes) in reads {
            buffers.push((read.await?.buffer, skip, bytes));
        }
        let damage = |error| table_damage(&wanted.piece.entry, error);
        // A file that is too short gives a shorter buffer, which `with` refuses.
        let parts = buffers.iter().map(|(buffer, skip, bytes)| {
            buffer.get(*skip..(*skip + *bytes).min(buffer.len())).unwrap_or(&[])
        });
        let fetched = fetch.with(parts).map_err(damage)?;
        let metadata = &wanted.piece.file.metadata;
        let published_at = wanted.piece.entry.published_at;
        let rows = metadata
            .decode_rows(&[wanted.page], &fetched, published_at, PageCheck::Verify)
            .map_err(damage)?;
        pages.push((wanted.name(), Arc::new(CachedPage::new(rows))));
    }
    Ok(pages)
}
