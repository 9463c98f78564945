//! Bounded range reads on a shard core: a k-way merge over memtables and cached pages of one slice of one table, bounded by rows and bytes.
//!
//! As a point read, a range read never waits: it answers or names pages that are missing, a few ahead of each file's cursor, so that loading takes
//! few rounds. Anything larger than its bounds belongs to the background cores.

use std::sync::Arc;

use sstable::{Overlap, PageId, Position, PositionRange, Predicate, ScanRequest};
use types::{SliceId, TableId, Timestamp};

use crate::block_cache::{CachedPage, PageName};
use crate::error::StorageError;
use crate::files::Piece;
use crate::memory::Memory;
use crate::memtable::{MemtableScan, RowBytes, RowVersion};
use crate::position::LogPosition;
use crate::table_reader::{MissingPage, row_bytes};
use crate::version::Version;

/// Pages of one file that are asked for at once.
const PAGES_AHEAD: usize = 8;

/// A range of keys of one slice at one timestamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeRead {
    /// Storage table.
    pub table: TableId,
    /// Slice.
    pub slice: SliceId,
    /// First key; empty for the lowest.
    pub start: Vec<u8>,
    /// First key that is not read any more; nothing for the end of the slice.
    pub end: Option<Vec<u8>>,
    /// Versions above are not seen.
    pub at: Timestamp,
    /// Rows after which the read stops; at least one.
    pub rows_max: usize,
    /// Bytes of keys and rows after which the read stops.
    pub bytes_max: usize,
}

/// What a range read found.
#[derive(Clone, Debug, Default)]
pub struct RangeRows {
    /// Keys with their newest version at or below the timestamp, ascending; every version has a row.
    pub rows: Vec<(Vec<u8>, RowVersion)>,
    /// Where the next read begins if this one stopped at a bound.
    pub resume: Option<Vec<u8>>,
    /// The highest log position of anything observed, tombstones included: outputs wait for it.
    pub position: LogPosition,
    /// The highest execute_at of anything observed.
    pub highest: Timestamp,
}

enum Source<'a> {
    Memory(MemtableScan<'a>),
    File(FileCursor<'a>),
}

struct FileCursor<'a> {
    piece: &'a Arc<Piece>,
    pages: Vec<PageId>,
    next_page: usize,
    page: Option<Arc<CachedPage>>,
    row: usize,
    key: Vec<u8>,
}

type PageOf<'a> = &'a mut dyn FnMut(PageName) -> Option<Arc<CachedPage>>;

impl FileCursor<'_> {
    /// Makes the cursor stand on a row of the slice at or above `start`, or at the end.
    ///
    /// # Errors
    /// The pages that are missing.
    fn settle(
        &mut self,
        slice: SliceId,
        start: &[u8],
        page_of: PageOf<'_>,
    ) -> Result<(), Vec<MissingPage>> {
        loop {
            if let Some(page) = &self.page {
                if self.row < page.rows.len() {
                    if page.rows.slice(self.row) > slice {
                        self.page = None;
                        self.next_page = self.pages.len();
                        return Ok(());
                    }
                    page.rows.key_into(self.row, &mut self.key);
                    return Ok(());
                }
                self.page = None;
            }
            let Some(page) = self.pages.get(self.next_page) else { return Ok(()) };
            let name = PageName { file: self.piece.entry.file, page: *page };
            let Some(cached) = page_of(name) else {
                let ahead = &self.pages[self.next_page..];
                return Err(ahead
                    .iter()
                    .take(PAGES_AHEAD)
                    .map(|page| MissingPage { piece: self.piece.clone(), page: *page })
                    .collect());
            };
            self.next_page += 1;
            self.row = cached.seek(slice, start, Timestamp::MAX, &mut self.key);
            self.page = Some(cached);
        }
    }

    fn head(&self) -> Option<(&[u8], Timestamp)> {
        let page = self.page.as_ref()?;
        Some((&self.key, page.rows.execute_at(self.row)))
    }
}

impl Source<'_> {
    fn head(&self) -> Option<(&[u8], Timestamp)> {
        match self {
            Source::Memory(scan) => scan.head().map(|entry| (entry.key, entry.execute_at)),
            Source::File(cursor) => cursor.head(),
        }
    }

    fn version(&self) -> Result<RowVersion, StorageError> {
        match self {
            Source::Memory(scan) => Ok(scan.head_version().expect("the head was just seen")),
            Source::File(cursor) => {
                let page = cursor.page.as_ref().expect("the head was just seen");
                let row = row_bytes(cursor.piece, &page.rows, cursor.row)?;
                Ok(RowVersion {
                    execute_at: page.rows.execute_at(cursor.row),
                    position: LogPosition::NONE,
                    row: row.map(|bytes| RowBytes::Owned(bytes.into())),
                })
            }
        }
    }

    fn advance(
        &mut self,
        slice: SliceId,
        start: &[u8],
        page_of: PageOf<'_>,
    ) -> Result<(), Vec<MissingPage>> {
        match self {
            Source::Memory(scan) => {
                scan.advance();
                Ok(())
            }
            Source::File(cursor) => {
                cursor.row += 1;
                cursor.settle(slice, start, page_of)
            }
        }
    }
}

/// The answer, or the pages that are missing for it.
pub(crate) enum RangeAnswer {
    Rows(RangeRows),
    Missing(Vec<MissingPage>),
}

fn pages_of(piece: &Piece, read: &RangeRead) -> Vec<PageId> {
    let at = |key: &[u8]| Some(Position { slice: read.slice, key: key.to_vec() });
    let after_slice = read
        .slice
        .0
        .checked_add(1)
        .map(|slice| Position { slice: SliceId(slice), key: Vec::new() });
    let request = ScanRequest {
        positions: PositionRange {
            start: at(&read.start),
            end: read.end.as_ref().map_or(after_slice, |end| at(end)),
        },
        predicate: Predicate::Always,
        published_at: piece.entry.published_at,
        overlap: Overlap::Merged,
        ..ScanRequest::everything(read.at)
    };
    let plan = piece.file.metadata.plan_scan(&request);
    plan.groups.into_iter().flat_map(|group| group.pages).collect()
}

/// Reads a range from memory and cached pages.
pub(crate) fn read_range(
    memory: &Memory,
    version: &Version,
    read: &RangeRead,
    page_of: PageOf<'_>,
) -> Result<RangeAnswer, StorageError> {
    assert!(read.rows_max > 0, "a range read asks for at least one row");
    let mut sources: Vec<Source<'_>> = memory
        .memtables()
        .map(|memtable| Source::Memory(memtable.scan(read.table, read.slice, &read.start)))
        .collect();
    let mut missing = Vec::new();
    if let Some(files) = version.table(read.table) {
        for piece in files.pieces() {
            if !piece.entry.holds(read.slice) || piece.entry.lowest > read.at {
                continue;
            }
            let mut cursor = FileCursor {
                piece,
                pages: pages_of(piece, read),
                next_page: 0,
                page: None,
                row: 0,
                key: Vec::new(),
            };
            match cursor.settle(read.slice, &read.start, page_of) {
                Ok(()) => sources.push(Source::File(cursor)),
                Err(pages) => missing.extend(pages),
            }
        }
    }
    if !missing.is_empty() {
        return Ok(RangeAnswer::Missing(missing));
    }
    merge(&mut sources, read, page_of)
}

/// The source with the lowest key and, of that, the newest version.
fn first_source(sources: &[Source<'_>]) -> Option<usize> {
    let mut first: Option<(usize, &[u8], Timestamp)> = None;
    for (index, source) in sources.iter().enumerate() {
        let Some((key, at)) = source.head() else { continue };
        let better = first.is_none_or(|(_, first_key, first_at)| {
            key.cmp(first_key).then_with(|| first_at.cmp(&at)).is_lt()
        });
        if better {
            first = Some((index, key, at));
        }
    }
    first.map(|(index, _, _)| index)
}

fn merge(
    sources: &mut [Source<'_>],
    read: &RangeRead,
    page_of: PageOf<'_>,
) -> Result<RangeAnswer, StorageError> {
    let mut found = RangeRows::default();
    let mut decided: Option<Vec<u8>> = None;
    let mut bytes = 0;
    while let Some(index) = first_source(sources) {
        let (key, at) = sources[index].head().expect("it was chosen for its head");
        if read.end.as_ref().is_some_and(|end| key >= end.as_slice()) {
            break;
        }
        let hidden = at > read.at || decided.as_deref() == Some(key);
        if !hidden {
            if found.rows.len() >= read.rows_max || bytes >= read.bytes_max {
                found.resume = Some(key.to_vec());
                break;
            }
            let key = key.to_vec();
            let version = sources[index].version()?;
            found.position = found.position.max(version.position);
            found.highest = found.highest.max(version.execute_at);
            // Tombstones count too: a range full of them must not hold the core.
            bytes += key.len();
            if let Some(row) = &version.row {
                bytes += row.len();
                found.rows.push((key.clone(), version));
            }
            decided = Some(key);
        }
        if let Err(missing) = sources[index].advance(read.slice, &read.start, page_of) {
            return Ok(RangeAnswer::Missing(missing));
        }
    }
    Ok(RangeAnswer::Rows(found))
}
