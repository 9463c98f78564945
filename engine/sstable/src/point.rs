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
use crate::metadata::{FileColumn, Metadata, PageId, join_timestamp};
use crate::page::PageCheck;
use crate::record::{
    PAGE_CONTINUES, PAGE_SLICES, PAGE_TOMBSTONES, PAGE_VERSIONS, ROW_SAME_KEY, ROW_TOMBSTONE,
};
use alloc::vec::Vec;
use core::cmp::Ordering;
use types::mutants::{self, Mutant};
use types::row::encode_row;
use types::{SliceId, SqlType, Timestamp, Value};

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
        let encoded = EncodedPage::open(self, page, fetched)?;
        self.answer(page, projection, query, &encoded)
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
        let keys = self
            .key_schema
            .positions()
            .map(|at| given(self, column, FileColumn::Stored(at)))
            .collect::<Result<Vec<_>, _>>()?;
        self.answer(page, projection, query, &DecodedPage { metadata: self, keys, column })
    }

    fn answer(
        &self,
        page: PageId,
        projection: &[u16],
        query: &PointQuery<'_>,
        rows: &dyn PageRows,
    ) -> Result<PointRead, SstableError> {
        Ok(match self.find_version(page, query, rows)? {
            Found::Row { row, execute_at } => {
                let mut values = alloc::vec![Value::Null; self.types.len()];
                for position in projection {
                    values[usize::from(*position)] = rows.value(*position, row)?;
                }
                let mut bytes = Vec::with_capacity(64);
                encode_row(&self.types, &values, &mut bytes);
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

    fn find_version(
        &self,
        page: PageId,
        query: &PointQuery<'_>,
        rows: &dyn PageRows,
    ) -> Result<Found, SstableError> {
        let row_count = self.page_row_count(page);
        let plain = self.page_flags(page) & PAGE_MARKED == 0;
        let keys = rows.keys();
        let mut scratch = Vec::with_capacity(query.key.len() + 16);
        let (mut low, mut high) = (0, row_count);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.compare_row(page, query, rows, &keys, middle, &mut scratch)?.is_lt() {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let first = low;
        for row in first..row_count {
            let flags = if plain { 0 } else { rows.flags(row)? };
            // Rows after the first are of the same key exactly if they are marked so.
            let same = if row == first {
                self.compare_row(page, query, rows, &keys, row, &mut scratch)?.is_eq()
            } else {
                flags & ROW_SAME_KEY != 0
            };
            if !same || (row > first && mutants::live(MUTANT_POINT_STOPS_AT_FIRST_VERSION)) {
                return Ok(Found::Absent);
            }
            let execute_at = match (self.is_sealed(), query.published_at) {
                (true, Some(published_at)) => published_at,
                (true, None) => return Err(SstableError::Unpublished),
                (false, _) => rows.execute_at(row)?,
            };
            if execute_at <= query.at {
                return Ok(if flags & ROW_TOMBSTONE != 0 {
                    Found::Tombstone { execute_at }
                } else {
                    Found::Row { row, execute_at }
                });
            }
        }
        Ok(Found::NextPage)
    }

    /// Compares a row's position with the one asked for.
    fn compare_row(
        &self,
        page: PageId,
        query: &PointQuery<'_>,
        rows: &dyn PageRows,
        keys: &[&ColumnVector],
        row: usize,
        scratch: &mut Vec<u8>,
    ) -> Result<Ordering, SstableError> {
        let slice = if self.page_flags(page) & PAGE_SLICES != 0 {
            rows.slice(row)?
        } else {
            SliceId(self.separator(page).0)
        };
        if slice != query.slice {
            return Ok(slice.cmp(&query.slice));
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

/// Pages whose flags column is stored.
const PAGE_MARKED: u8 = PAGE_TOMBSTONES | PAGE_VERSIONS | PAGE_CONTINUES;

/// What a point read asks of a page.
trait PageRows {
    /// The key columns, in key order.
    fn keys(&self) -> Vec<&ColumnVector>;
    /// Asked only of pages that lie in several slices.
    fn slice(&self, row: usize) -> Result<SliceId, SstableError>;
    /// Asked only of pages that store flags.
    fn flags(&self, row: usize) -> Result<i16, SstableError>;
    /// Asked only of files that are not sealed.
    fn execute_at(&self, row: usize) -> Result<Timestamp, SstableError>;
    /// A stored column.
    fn value(&self, position: u16, row: usize) -> Result<Value, SstableError>;
}

fn given<'c>(
    metadata: &Metadata,
    column: &dyn Fn(FileColumn) -> Option<&'c ColumnVector>,
    wanted: FileColumn,
) -> Result<&'c ColumnVector, SstableError> {
    let slot = metadata.slot(wanted).unwrap_or(usize::MAX) as u16;
    column(wanted).ok_or(SstableError::ColumnNotGiven { column: slot })
}

fn number(vector: &ColumnVector, row: usize) -> i64 {
    match &vector.values {
        Values::Int16(values) => i64::from(values[row]),
        Values::Int32(values) => i64::from(values[row]),
        Values::Int64(values) => values[row],
        _ => panic!("hidden columns are integers"),
    }
}

fn owned(
    metadata: &Metadata,
    vector: &ColumnVector,
    position: u16,
    row: usize,
) -> Result<Value, SstableError> {
    let value = vector.value(metadata.types[usize::from(position)], row);
    value.and_then(|value| value.to_value()).ok_or_else(|| metadata.bad_key(&[]))
}

/// A page whose columns the caller has decoded before.
struct DecodedPage<'m, 'c, 'f> {
    metadata: &'m Metadata,
    keys: Vec<&'c ColumnVector>,
    column: &'f dyn Fn(FileColumn) -> Option<&'c ColumnVector>,
}

impl PageRows for DecodedPage<'_, '_, '_> {
    fn keys(&self) -> Vec<&ColumnVector> {
        self.keys.clone()
    }

    fn slice(&self, row: usize) -> Result<SliceId, SstableError> {
        Ok(given(self.metadata, self.column, FileColumn::Slice)?.slice_at(row))
    }

    fn flags(&self, row: usize) -> Result<i16, SstableError> {
        Ok(number(given(self.metadata, self.column, FileColumn::Flags)?, row) as i16)
    }

    fn execute_at(&self, row: usize) -> Result<Timestamp, SstableError> {
        let time = given(self.metadata, self.column, FileColumn::ExecuteAtTime)?;
        let origin = given(self.metadata, self.column, FileColumn::ExecuteAtOrigin)?;
        Ok(join_timestamp(number(time, row), number(origin, row)))
    }

    fn value(&self, position: u16, row: usize) -> Result<Value, SstableError> {
        let vector = given(self.metadata, self.column, FileColumn::Stored(position))?;
        owned(self.metadata, vector, position, row)
    }
}

/// A page as bytes: what the search needs is decoded, of the rest single values are.
struct EncodedPage<'m, 'a> {
    metadata: &'m Metadata,
    page: PageId,
    fetched: &'m Fetched<'a>,
    /// Decoded: key columns, and hidden ones where more than one row may be asked for.
    decoded: Vec<(FileColumn, ColumnVector)>,
}

impl<'m, 'a> EncodedPage<'m, 'a> {
    fn open(
        metadata: &'m Metadata,
        page: PageId,
        fetched: &'m Fetched<'a>,
    ) -> Result<EncodedPage<'m, 'a>, SstableError> {
        let flags = metadata.page_flags(page);
        let mut columns = metadata.key_columns();
        if flags & PAGE_SLICES != 0 {
            columns.push(FileColumn::Slice);
        }
        if flags & PAGE_MARKED != 0 {
            columns.push(FileColumn::Flags);
        }
        if flags & (PAGE_VERSIONS | PAGE_CONTINUES) != 0 && !metadata.is_sealed() {
            columns.extend([FileColumn::ExecuteAtTime, FileColumn::ExecuteAtOrigin]);
        }
        let mut decoded = Vec::with_capacity(columns.len());
        for column in columns {
            let bytes = fetched.page(page, column);
            decoded.push((column, metadata.decode_page(page, column, bytes, PageCheck::Verify)?));
        }
        Ok(EncodedPage { metadata, page, fetched, decoded })
    }

    fn find(&self, wanted: FileColumn) -> Option<&ColumnVector> {
        self.decoded.iter().find(|(column, _)| *column == wanted).map(|(_, vector)| vector)
    }

    /// One value of a column, wherever it is.
    fn one(
        &self,
        column: FileColumn,
        sql_type: SqlType,
        row: usize,
    ) -> Result<Value, SstableError> {
        match self.fetched.page(self.page, column) {
            Some(bytes) => {
                let check = PageCheck::Verify;
                self.metadata.open_page(self.page, column, bytes, check)?.value(sql_type, row)
            }
            None if self.metadata.page_range(self.page, column).is_none() => Ok(Value::Null),
            None => {
                let slot = self.metadata.slot(column).unwrap_or(usize::MAX) as u16;
                Err(SstableError::ColumnNotGiven { column: slot })
            }
        }
    }

    fn hidden(&self, column: FileColumn, row: usize) -> Result<i64, SstableError> {
        match self.find(column) {
            Some(vector) => Ok(number(vector, row)),
            None => match self.one(column, SqlType::Int8, row)? {
                Value::Int8(value) => Ok(value),
                _ => Err(self.metadata.bad_key(&[self.page])),
            },
        }
    }
}

impl PageRows for EncodedPage<'_, '_> {
    fn keys(&self) -> Vec<&ColumnVector> {
        let find = |at| self.find(FileColumn::Stored(at)).expect("key columns are decoded on open");
        self.metadata.key_schema.positions().map(find).collect()
    }

    fn slice(&self, row: usize) -> Result<SliceId, SstableError> {
        self.hidden(FileColumn::Slice, row).map(|slice| SliceId(slice as u16))
    }

    fn flags(&self, row: usize) -> Result<i16, SstableError> {
        self.hidden(FileColumn::Flags, row).map(|flags| flags as i16)
    }

    fn execute_at(&self, row: usize) -> Result<Timestamp, SstableError> {
        let time = self.hidden(FileColumn::ExecuteAtTime, row)?;
        Ok(join_timestamp(time, self.hidden(FileColumn::ExecuteAtOrigin, row)?))
    }

    fn value(&self, position: u16, row: usize) -> Result<Value, SstableError> {
        match self.find(FileColumn::Stored(position)) {
            Some(vector) => owned(self.metadata, vector, position, row),
            None => {
                let sql_type = self.metadata.types[usize::from(position)];
                self.one(FileColumn::Stored(position), sql_type, row)
            }
        }
    }
}
