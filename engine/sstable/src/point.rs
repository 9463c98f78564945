//! Reading one row: which page, which bytes of it, and the version that a timestamp sees.
//!
//! 1. [`Metadata::locate`]: key range, filter, then a search in the key index. Nothing: the key is certainly not here.
//! 2. [`Metadata::point_fetch`]: the byte ranges of the columns needed, all for one submission.
//! 3. [`Metadata::decode_point`]: the newest version at or below the timestamp, or that it is in the next page.
//!
//! A caller that caches decoded pages uses [`Metadata::point_columns`], [`Metadata::decode_page`] and [`Metadata::read_point`] instead of the last two.

use crate::column::ColumnVector;
use crate::column::Values;
use crate::error::SstableError;
use crate::fetch::{Fetch, Fetched, Joining};
use crate::key_schema::{KeySchema, KeyShape};
use crate::metadata::{
    FileColumn, Metadata, PAGE_CONTINUES, PAGE_SLICES, PageId, ROW_SAME_KEY, ROW_TOMBSTONE,
    join_timestamp,
};
use crate::page::PageCheck;
use alloc::vec::Vec;
use core::cmp::Ordering;
use types::mutants::{self, Mutant};
use types::row::encode_row;
use types::{SliceId, Timestamp, Value};

/// Planted bug: a point read looks at the first version of a key only.
pub const MUTANT_POINT_STOPS_AT_FIRST_VERSION: Mutant = Mutant(305);

/// The answer of a point read.
#[derive(Clone, Debug, PartialEq)]
pub enum PointRead {
    /// The newest version at or below the timestamp.
    Row {
        /// When it took effect.
        execute_at: Timestamp,
        /// The row's bytes (`types::row`); columns that were not asked for are NULL.
        row: Vec<u8>,
    },
    /// The newest version at or below the timestamp says that the row is gone.
    Tombstone {
        /// When it took effect.
        execute_at: Timestamp,
    },
    /// No version at or below the timestamp is in this file.
    Absent,
    /// The key's versions go on in this page.
    NextPage(PageId),
}

/// Where a version was found in a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Row { row: usize, execute_at: Timestamp },
    Tombstone { execute_at: Timestamp },
    Absent,
    NextPage,
}

/// The key that is looked for and the moment at which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PointQuery<'a> {
    /// Slice of the key.
    pub slice: SliceId,
    /// Encoded key.
    pub key: &'a [u8],
    /// Versions above are not seen.
    pub at: Timestamp,
    /// Execute_at of all rows of a sealed file.
    pub published_at: Option<Timestamp>,
}

impl Metadata {
    /// The page that holds the newest version at or below the timestamp, if any page does. Nothing: no version of the key is in this file, or none so old.
    pub fn locate(&self, query: &PointQuery<'_>) -> Option<PageId> {
        let PointQuery { slice, key, .. } = *query;
        if !self.covers(slice, key) || !self.key_filter().may_contain(key) {
            return None;
        }
        let mut page = PageId(self.first_page_reaching(slice.0, key));
        // Skips pages that end with a version of the key that is still too new.
        while let Some(next) = self.goes_on(page, slice, key) {
            match self.continuation(next) {
                Some(previous) if previous > query.at => page = next,
                _ => break,
            }
        }
        Some(page)
    }

    /// The next page, if it begins with a further version of the key.
    fn goes_on(&self, page: PageId, slice: SliceId, key: &[u8]) -> Option<PageId> {
        let next = PageId(page.0 + 1);
        let goes_on = next.0 < self.page_count()
            && self.page_flags(next) & PAGE_CONTINUES != 0
            && self.separator(next) == (slice.0, key);
        goes_on.then_some(next)
    }

    /// The columns that a point read of these stored columns needs.
    pub fn point_columns(&self, projection: &[u16]) -> Vec<FileColumn> {
        let mut columns = self.key_columns();
        columns.extend(projection.iter().map(|position| FileColumn::Stored(*position)));
        columns.extend([FileColumn::Slice, FileColumn::Flags]);
        if !self.is_sealed() {
            columns.extend([FileColumn::ExecuteAtTime, FileColumn::ExecuteAtOrigin]);
        }
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// What to read for one page and these stored columns, all in one submission.
    ///
    /// # Panics
    /// If the file has no such page or column.
    pub fn point_fetch(&self, page: PageId, projection: &[u16]) -> Fetch {
        Fetch::new(self, &[page], &self.point_columns(projection), Joining::POINT)
    }

    /// The answer from the bytes of [`Metadata::point_fetch`] with the same page and projection.
    ///
    /// # Errors
    /// If the bytes are damaged or were not fetched, or the file is sealed and not published.
    pub fn decode_point(
        &self,
        page: PageId,
        projection: &[u16],
        fetched: &Fetched<'_>,
        query: &PointQuery<'_>,
    ) -> Result<PointRead, SstableError> {
        let decode =
            |column| self.decode_page(page, column, fetched.page(page, column), PageCheck::Verify);
        let marks = self.key_columns().into_iter().chain(self.mark_columns());
        let vectors = marks
            .map(|column| Ok((column, decode(column)?)))
            .collect::<Result<Vec<_>, SstableError>>()?;
        let column =
            |wanted| vectors.iter().find(|(own, _)| *own == wanted).map(|(_, vector)| vector);
        let found = self.find_version(page, query, &column)?;
        self.answer(page, query, found, |row| {
            let mut values = alloc::vec![Value::Null; self.types.len()];
            for position in projection {
                let at = usize::from(*position);
                let wanted = FileColumn::Stored(*position);
                values[at] = match (column(wanted), fetched.page(page, wanted)) {
                    (Some(vector), _) => self.owned(page, vector, *position, row)?,
                    (None, Some(bytes)) => self
                        .open_page(page, wanted, bytes, PageCheck::Verify)?
                        .value(self.types[at], row)?,
                    (None, None) if self.page_range(page, wanted).is_none() => Value::Null,
                    (None, None) => {
                        return Err(SstableError::ColumnNotGiven { column: *position });
                    }
                };
            }
            Ok(values)
        })
    }

    /// The answer from decoded columns of the page, which `column` gives: those of [`Metadata::point_columns`].
    ///
    /// # Errors
    /// If a column is not given, or the file is sealed and not published.
    pub fn read_point<'c>(
        &self,
        page: PageId,
        projection: &[u16],
        query: &PointQuery<'_>,
        column: &dyn Fn(FileColumn) -> Option<&'c ColumnVector>,
    ) -> Result<PointRead, SstableError> {
        let found = self.find_version(page, query, column)?;
        self.answer(page, query, found, |row| {
            let mut values = alloc::vec![Value::Null; self.types.len()];
            for position in projection {
                let vector = self.given(column, FileColumn::Stored(*position))?;
                values[usize::from(*position)] = self.owned(page, vector, *position, row)?;
            }
            Ok(values)
        })
    }

    fn answer(
        &self,
        page: PageId,
        query: &PointQuery<'_>,
        found: Found,
        values: impl FnOnce(usize) -> Result<Vec<Value>, SstableError>,
    ) -> Result<PointRead, SstableError> {
        Ok(match found {
            Found::Row { row, execute_at } => {
                let mut bytes = Vec::with_capacity(64);
                encode_row(&self.types, &values(row)?, &mut bytes);
                PointRead::Row { execute_at, row: bytes }
            }
            Found::Tombstone { execute_at } => PointRead::Tombstone { execute_at },
            Found::Absent => PointRead::Absent,
            Found::NextPage => match self.goes_on(page, query.slice, query.key) {
                Some(next) => PointRead::NextPage(next),
                None => PointRead::Absent,
            },
        })
    }

    fn owned(
        &self,
        page: PageId,
        vector: &ColumnVector,
        position: u16,
        row: usize,
    ) -> Result<Value, SstableError> {
        let value = vector.value(self.types[usize::from(position)], row);
        value.and_then(|value| value.to_value()).ok_or_else(|| self.bad_key(&[page]))
    }

    /// The hidden columns of a point read.
    fn mark_columns(&self) -> impl Iterator<Item = FileColumn> + use<> {
        let all = [
            FileColumn::Slice,
            FileColumn::Flags,
            FileColumn::ExecuteAtTime,
            FileColumn::ExecuteAtOrigin,
        ];
        let count = if self.is_sealed() { 2 } else { 4 };
        all.into_iter().take(count)
    }

    fn given<'c>(
        &self,
        column: &dyn Fn(FileColumn) -> Option<&'c ColumnVector>,
        wanted: FileColumn,
    ) -> Result<&'c ColumnVector, SstableError> {
        let slot = self.slot(wanted).unwrap_or(usize::MAX) as u16;
        column(wanted).ok_or(SstableError::ColumnNotGiven { column: slot })
    }

    fn find_version<'c>(
        &self,
        page: PageId,
        query: &PointQuery<'_>,
        column: &dyn Fn(FileColumn) -> Option<&'c ColumnVector>,
    ) -> Result<Found, SstableError> {
        let row_count = self.page_row_count(page);
        let keys = self
            .key_schema
            .positions()
            .map(|at| self.given(column, FileColumn::Stored(at)))
            .collect::<Result<Vec<_>, _>>()?;
        let first = self.first_row(page, query, &keys, column)?;
        let flags = match &self.given(column, FileColumn::Flags)?.values {
            Values::Int16(flags) => flags,
            _ => panic!("flags are two-byte integers"),
        };
        let mut row = first;
        let mut scratch = Vec::new();
        while row < row_count {
            // Rows after the first are of the same key exactly if they are marked so.
            let same = if row == first {
                self.compare_row(page, query, &keys, column, row, &mut scratch)?.is_eq()
            } else {
                flags[row] & ROW_SAME_KEY != 0
            };
            if !same || (row > first && mutants::live(MUTANT_POINT_STOPS_AT_FIRST_VERSION)) {
                return Ok(Found::Absent);
            }
            let execute_at = self.execute_at(query, column, row)?;
            if execute_at <= query.at {
                return Ok(if flags[row] & ROW_TOMBSTONE != 0 {
                    Found::Tombstone { execute_at }
                } else {
                    Found::Row { row, execute_at }
                });
            }
            row += 1;
        }
        Ok(Found::NextPage)
    }

    fn execute_at<'c>(
        &self,
        query: &PointQuery<'_>,
        column: &dyn Fn(FileColumn) -> Option<&'c ColumnVector>,
        row: usize,
    ) -> Result<Timestamp, SstableError> {
        if self.is_sealed() {
            return query.published_at.ok_or(SstableError::Unpublished);
        }
        let times = &self.given(column, FileColumn::ExecuteAtTime)?.values;
        let origins = &self.given(column, FileColumn::ExecuteAtOrigin)?.values;
        match (times, origins) {
            (Values::Int64(times), Values::Int64(origins)) => {
                Ok(join_timestamp(times[row], origins[row]))
            }
            _ => panic!("times and origins are eight-byte integers"),
        }
    }

    /// The first row of the page at or above the key.
    fn first_row<'c>(
        &self,
        page: PageId,
        query: &PointQuery<'_>,
        keys: &[&ColumnVector],
        column: &dyn Fn(FileColumn) -> Option<&'c ColumnVector>,
    ) -> Result<usize, SstableError> {
        let mut scratch = Vec::with_capacity(query.key.len() + 16);
        let (mut low, mut high) = (0, self.page_row_count(page));
        while low < high {
            let middle = low + (high - low) / 2;
            let order = self.compare_row(page, query, keys, column, middle, &mut scratch)?;
            if order.is_lt() {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// Compares a row's position with the one asked for.
    fn compare_row<'c>(
        &self,
        page: PageId,
        query: &PointQuery<'_>,
        keys: &[&ColumnVector],
        column: &dyn Fn(FileColumn) -> Option<&'c ColumnVector>,
        row: usize,
        scratch: &mut Vec<u8>,
    ) -> Result<Ordering, SstableError> {
        if self.page_flags(page) & PAGE_SLICES != 0 {
            let slice = self.given(column, FileColumn::Slice)?.slice_at(row);
            if slice != query.slice {
                return Ok(slice.cmp(&query.slice));
            }
        } else if self.separator(page).0 != query.slice.0 {
            return Ok(self.separator(page).0.cmp(&query.slice.0));
        }
        if let (KeyShape::Word { bytes: 8 }, [vector]) = (self.key_schema.shape(), keys)
            && let Some(word) = self.key_schema.word_at(vector, row)
        {
            return Ok(word.cmp(&KeySchema::word(query.key)));
        }
        scratch.clear();
        if !self.key_schema.append_row_key(keys, row, scratch) {
            return Err(self.bad_key(&[page]));
        }
        Ok(scratch.as_slice().cmp(query.key))
    }
}
