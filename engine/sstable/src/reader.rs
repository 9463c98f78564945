//! Bytes of pages → columns. Nothing here reads: the caller brings the bytes.

use crate::column::{ColumnVector, Values};
use crate::encoding::string_table::StringTable;
use crate::error::{Section, SstableError};
use crate::fetch::Fetched;
use crate::metadata::{FileColumn, Metadata, PageId, join_timestamp};
use crate::page::{Page, PageCheck};
use crate::selection::Selection;
use alloc::vec;
use alloc::vec::Vec;
use types::{PhysicalType, Timestamp};

/// The hidden columns of some rows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RowMarks {
    /// One a row; empty: all are clear.
    pub(crate) flags: Vec<i16>,
    /// One a row.
    pub(crate) execute_at: Vec<Timestamp>,
}

impl RowMarks {
    pub(crate) fn flags(&self, row: usize) -> i16 {
        self.flags.get(row).copied().unwrap_or(0)
    }
}

impl Metadata {
    pub(crate) fn physical(&self, column: FileColumn) -> PhysicalType {
        match column {
            FileColumn::Stored(position) => self.types[usize::from(position)].physical(),
            FileColumn::Slice => PhysicalType::Int32,
            FileColumn::Flags => PhysicalType::Int16,
            FileColumn::ExecuteAtTime | FileColumn::ExecuteAtOrigin => PhysicalType::Int64,
        }
    }

    pub(crate) fn open_page<'a>(
        &self,
        page: PageId,
        column: FileColumn,
        bytes: &'a [u8],
        check: PageCheck,
    ) -> Result<Page<'a>, SstableError> {
        let offset = self.page_range(page, column).map_or(0, |range| range.offset);
        Page::open(bytes, self.page_row_count(page), self.salt, offset, check)
    }

    /// Appends a page that is not stored.
    fn append_elided(&self, page: PageId, column: FileColumn, out: &mut ColumnVector) {
        let rows = self.page_row_count(page);
        match (&mut out.values, column) {
            (Values::Int32(slices), FileColumn::Slice) => {
                let (slice, _) = self.separator(page);
                slices.resize(slices.len() + rows, i32::from(slice));
            }
            (Values::Int16(flags), FileColumn::Flags) => flags.resize(flags.len() + rows, 0),
            _ => (0..rows).for_each(|_| out.push_null()),
        }
    }

    fn append_page(
        &self,
        page: PageId,
        column: FileColumn,
        bytes: Option<&[u8]>,
        check: PageCheck,
        out: (&mut ColumnVector, &mut StringTable),
    ) -> Result<(), SstableError> {
        let (out, table) = out;
        match (bytes, self.page_range(page, column)) {
            (Some(bytes), Some(range)) => {
                let rows = self.page_row_count(page);
                Page::open(bytes, rows, self.salt, range.offset, check)?.append_to(out, table)
            }
            (_, None) => {
                if let Values::Dictionary(array) = &out.values {
                    out.values = Values::Bytes(array.to_bytes());
                }
                self.append_elided(page, column, out);
                Ok(())
            }
            (None, Some(_)) => {
                let column = self.slot(column).unwrap_or(usize::MAX) as u16;
                Err(SstableError::ColumnNotGiven { column })
            }
        }
    }

    /// One page of one column. `bytes` are those of [`Metadata::page_range`], or nothing if that is nothing.
    ///
    /// # Errors
    /// If the bytes are damaged or were not given.
    ///
    /// # Panics
    /// If there is no such page or column.
    pub fn decode_page(
        &self,
        page: PageId,
        column: FileColumn,
        bytes: Option<&[u8]>,
        check: PageCheck,
    ) -> Result<ColumnVector, SstableError> {
        let mut out = ColumnVector::empty(self.physical(column));
        self.append_page(page, column, bytes, check, (&mut out, &mut StringTable::default()))?;
        Ok(out)
    }

    /// Some pages of one column, one after the other, in ascending order.
    ///
    /// # Errors
    /// If the bytes are damaged or were not fetched.
    ///
    /// # Panics
    /// If there is no such page or column.
    pub fn decode_pages(
        &self,
        pages: &[PageId],
        column: FileColumn,
        fetched: &Fetched<'_>,
        check: PageCheck,
    ) -> Result<ColumnVector, SstableError> {
        let mut out = ColumnVector::empty(self.physical(column));
        let rows = pages.iter().map(|page| self.page_row_count(*page)).sum();
        out.reserve(rows);
        let mut table = StringTable::default();
        let mut fetched = fetched.column(column);
        for page in pages {
            let bytes = fetched.page(*page);
            self.append_page(*page, column, bytes, check, (&mut out, &mut table))?;
        }
        Ok(out)
    }

    /// The selected rows of some pages of one column, in ascending order. Rows are counted over all the pages; pages without a selected row are not looked at.
    ///
    /// # Errors
    /// If the bytes are damaged or were not fetched.
    ///
    /// # Panics
    /// If there is no such page or column, or a selected row lies beyond the pages.
    pub fn decode_selected(
        &self,
        pages: &[PageId],
        column: FileColumn,
        selection: &Selection,
        fetched: &Fetched<'_>,
        check: PageCheck,
    ) -> Result<ColumnVector, SstableError> {
        let Selection::Rows(rows) = selection else {
            return self.decode_pages(pages, column, fetched, check);
        };
        let mut kept = Vec::with_capacity(pages.len());
        let mut within = Vec::with_capacity(rows.len());
        let (mut start, mut kept_rows, mut next) = (0usize, 0usize, 0usize);
        for page in pages {
            let count = self.page_row_count(*page);
            let first = next;
            while next < rows.len() && (rows[next] as usize) < start + count {
                within.push(rows[next] - start as u32 + kept_rows as u32);
                next += 1;
            }
            if next > first {
                kept.push(*page);
                kept_rows += count;
            }
            start += count;
        }
        assert_eq!(next, rows.len(), "selected rows lie in the pages, in order");
        let whole = self.decode_pages(&kept, column, fetched, check)?;
        if within.len() == kept_rows { Ok(whole) } else { Ok(whole.gather(&within)) }
    }

    /// Execute_at and flags of the rows of some pages.
    pub(crate) fn decode_marks(
        &self,
        pages: &[PageId],
        fetched: &Fetched<'_>,
        published_at: Option<Timestamp>,
        check: PageCheck,
    ) -> Result<RowMarks, SstableError> {
        let flags = self.decode_pages(pages, FileColumn::Flags, fetched, check)?;
        let execute_at = if self.is_sealed() {
            vec![published_at.ok_or(SstableError::Unpublished)?; flags.len()]
        } else {
            let times = self.decode_pages(pages, FileColumn::ExecuteAtTime, fetched, check)?;
            let origins = self.decode_pages(pages, FileColumn::ExecuteAtOrigin, fetched, check)?;
            join_columns(&times, &origins)
        };
        match flags.values {
            Values::Int16(flags) => Ok(RowMarks { flags, execute_at }),
            _ => panic!("flags are two-byte integers"),
        }
    }
}

pub(crate) fn join_columns(times: &ColumnVector, origins: &ColumnVector) -> Vec<Timestamp> {
    match (&times.values, &origins.values) {
        (Values::Int64(times), Values::Int64(origins)) => {
            times.iter().zip(origins).map(|(time, origin)| join_timestamp(*time, *origin)).collect()
        }
        _ => panic!("times and origins are eight-byte integers"),
    }
}

impl ColumnVector {
    /// Makes room for more rows.
    pub(crate) fn reserve(&mut self, rows: usize) {
        match &mut self.values {
            Values::Bool(_) => {}
            Values::Int16(values) => values.reserve(rows),
            Values::Int32(values) => values.reserve(rows),
            Values::Int64(values) => values.reserve(rows),
            Values::Float32(values) => values.reserve(rows),
            Values::Float64(values) => values.reserve(rows),
            Values::Fixed16(values) => values.reserve(rows),
            Values::Bytes(values) => values.offsets.reserve(rows),
            Values::Dictionary(values) => values.codes.reserve(rows),
        }
    }
}

/// Checks every page of a column against its checksum and decodes it: what verification and the scrubber do.
///
/// # Errors
/// If a page is damaged.
pub fn verify_pages(
    metadata: &Metadata,
    pages: &[PageId],
    column: FileColumn,
    fetched: &Fetched<'_>,
) -> Result<(), SstableError> {
    let decoded = metadata.decode_pages(pages, column, fetched, PageCheck::Verify)?;
    let malformed = |reason| SstableError::Malformed {
        section: Section::Page,
        offset: pages
            .first()
            .and_then(|page| metadata.page_range(*page, column))
            .map_or(0, |range| range.offset),
        reason,
    };
    if let FileColumn::Stored(position) = column {
        let sql_type = metadata.types[usize::from(position)];
        if (0..decoded.len()).any(|row| decoded.value(sql_type, row).is_none()) {
            return Err(malformed("a value that its type does not allow"));
        }
    }
    match &decoded.validity {
        Some(validity) if validity.len() != decoded.len() => {
            Err(malformed("a null bitmap of another length"))
        }
        _ => Ok(()),
    }
}
