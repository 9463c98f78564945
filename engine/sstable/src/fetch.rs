//! Which bytes of a file are needed for some pages of some columns, and where each page is among the bytes that came.
//!
//! Pages that lie near each other are read as one range; the gap between them is cheaper to read than to skip.

use crate::error::SstableError;
use crate::layout::ByteRange;
use crate::metadata::{FileColumn, Metadata, PageId};
use alloc::vec::Vec;

/// How ranges are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joining {
    /// Two ranges this near, or nearer, become one.
    pub gap_bytes_max: u64,
    /// No range grows beyond this by joining.
    pub range_bytes_max: u64,
}

impl Joining {
    /// For one row: a block more costs less than a request more.
    pub const POINT: Joining = Joining { gap_bytes_max: 4 * 1024, range_bytes_max: 1 << 20 };
    /// For scans.
    pub const SCAN: Joining = Joining { gap_bytes_max: 32 * 1024, range_bytes_max: 1 << 20 };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct WantedPage {
    column: FileColumn,
    page: PageId,
    range: usize,
    start: usize,
    bytes: usize,
}

/// Byte ranges to read, in ascending order, all in one submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    ranges: Vec<ByteRange>,
    /// Sorted by column and page.
    pages: Vec<WantedPage>,
}

/// A fetch with the bytes that came.
#[derive(Clone, Debug)]
pub struct Fetched<'a> {
    fetch: &'a Fetch,
    buffers: Vec<&'a [u8]>,
}

impl Fetch {
    /// What to read for these pages of these columns. Pages that are not stored need nothing.
    ///
    /// # Panics
    /// If the file has no such page or column.
    pub fn new(
        metadata: &Metadata,
        pages: &[PageId],
        columns: &[FileColumn],
        joining: Joining,
    ) -> Fetch {
        let mut wanted: Vec<(ByteRange, FileColumn, PageId)> = Vec::new();
        for column in columns {
            for page in pages {
                if let Some(range) = metadata.page_range(*page, *column) {
                    wanted.push((range, *column, *page));
                }
            }
        }
        wanted.sort_unstable();
        wanted.dedup();
        let mut ranges: Vec<ByteRange> = Vec::new();
        let mut placed = Vec::with_capacity(wanted.len());
        for (range, column, page) in wanted {
            match ranges.last_mut() {
                Some(last)
                    if range.offset - last.end() <= joining.gap_bytes_max
                        && range.end() - last.offset <= joining.range_bytes_max =>
                {
                    last.bytes = range.end() - last.offset;
                }
                _ => ranges.push(range),
            }
            let index = ranges.len() - 1;
            let start = (range.offset - ranges[index].offset) as usize;
            let bytes = range.bytes as usize;
            placed.push(WantedPage { column, page, range: index, start, bytes });
        }
        placed.sort_unstable_by_key(|wanted| (wanted.column, wanted.page));
        Fetch { ranges, pages: placed }
    }

    /// What to read.
    pub fn ranges(&self) -> &[ByteRange] {
        &self.ranges
    }

    /// Sum of all ranges.
    pub fn byte_count(&self) -> u64 {
        self.ranges.iter().map(|range| range.bytes).sum()
    }

    /// Takes the bytes of the ranges, one buffer each, in their order.
    ///
    /// # Errors
    /// If a buffer is missing or has another length.
    pub fn with<'a>(
        &'a self,
        buffers: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Fetched<'a>, SstableError> {
        let buffers: Vec<&[u8]> = buffers.into_iter().collect();
        for (index, range) in self.ranges.iter().enumerate() {
            let found = buffers.get(index).map_or(0, |buffer| buffer.len() as u64);
            if found != range.bytes {
                let ByteRange { offset, bytes: expected } = *range;
                return Err(SstableError::WrongLength { offset, expected, found });
            }
        }
        Ok(Fetched { fetch: self, buffers })
    }
}

/// The pages of one column among those that were fetched, for a reader that goes forward.
#[derive(Clone, Debug)]
pub(crate) struct ColumnPages<'a> {
    rest: &'a [WantedPage],
    buffers: &'a [&'a [u8]],
}

impl<'a> ColumnPages<'a> {
    /// The bytes of a page after those asked for before; nothing if it was not wanted.
    #[inline]
    pub(crate) fn page(&mut self, page: PageId) -> Option<&'a [u8]> {
        while let Some((first, rest)) = self.rest.split_first() {
            if first.page > page {
                return None;
            }
            self.rest = rest;
            if first.page == page {
                return self.buffers[first.range].get(first.start..first.start + first.bytes);
            }
        }
        None
    }
}

impl<'a> Fetched<'a> {
    /// The pages of a column, in order.
    pub(crate) fn column(&self, column: FileColumn) -> ColumnPages<'_> {
        let pages = &self.fetch.pages;
        let start = pages.partition_point(|wanted| wanted.column < column);
        let count = pages[start..].partition_point(|wanted| wanted.column == column);
        ColumnPages { rest: &pages[start..start + count], buffers: &self.buffers }
    }

    /// The bytes of a page; nothing if it was not wanted.
    pub fn page(&self, page: PageId, column: FileColumn) -> Option<&'a [u8]> {
        let pages = &self.fetch.pages;
        let at = pages
            .binary_search_by_key(&(column, page), |wanted| (wanted.column, wanted.page))
            .ok()?;
        let wanted = &pages[at];
        self.buffers[wanted.range].get(wanted.start..wanted.start + wanted.bytes)
    }
}
