//! The row versions of a row group, one after the other: what compaction and range reads on a shard core walk.

use crate::column::ColumnVector;
use crate::error::SstableError;
use crate::fetch::Fetched;
use crate::key_schema::{KeyShape, KeyVector};
use crate::metadata::{FileColumn, Metadata, PageId};
use crate::page::PageCheck;
use crate::record::ROW_TOMBSTONE;
use alloc::vec::Vec;
use types::row::encode_row_refs;
use types::{SliceId, SqlType, Timestamp, ValueRef};

/// Decoded rows of some pages.
#[derive(Clone, Debug)]
pub struct GroupRows {
    types: Vec<SqlType>,
    shape: KeyShape,
    columns: Vec<ColumnVector>,
    slices: ColumnVector,
    keys: KeyVector,
    execute_at: Vec<Timestamp>,
    flags: Vec<i16>,
}

impl Metadata {
    /// All columns: what [`Metadata::decode_rows`] needs.
    pub fn all_columns(&self) -> Vec<FileColumn> {
        let mut columns: Vec<FileColumn> =
            (0..self.types.len() as u16).map(FileColumn::Stored).collect();
        columns.extend([FileColumn::Slice, FileColumn::Flags]);
        if !self.is_sealed() {
            columns.extend([FileColumn::ExecuteAtTime, FileColumn::ExecuteAtOrigin]);
        }
        columns
    }

    /// All pages of a row group.
    ///
    /// # Panics
    /// If there is no such group.
    pub fn group_pages(&self, group: usize) -> Vec<PageId> {
        let entry = &self.record.groups[group];
        (entry.first_page..entry.first_page + entry.page_count).map(PageId).collect()
    }

    /// The rows of some pages, from the bytes of [`Metadata::all_columns`].
    ///
    /// # Errors
    /// If the bytes are damaged or were not fetched, or the file is sealed and not published.
    pub fn decode_rows(
        &self,
        pages: &[PageId],
        fetched: &Fetched<'_>,
        published_at: Option<Timestamp>,
        check: PageCheck,
    ) -> Result<GroupRows, SstableError> {
        let marks = self.decode_marks(pages, fetched, published_at, check)?;
        let columns = (0..self.types.len() as u16)
            .map(|at| self.decode_pages(pages, FileColumn::Stored(at), fetched, check))
            .collect::<Result<Vec<_>, _>>()?;
        let key_columns: Vec<&ColumnVector> =
            self.key_schema.positions().map(|at| &columns[usize::from(at)]).collect();
        let keys = self.key_schema.keys(&key_columns, marks.execute_at.len());
        let keys = keys.ok_or_else(|| self.bad_key(pages))?;
        Ok(GroupRows {
            types: self.types.clone(),
            shape: self.key_schema.shape(),
            slices: self.decode_pages(pages, FileColumn::Slice, fetched, check)?,
            keys,
            columns,
            execute_at: marks.execute_at,
            flags: marks.flags,
        })
    }
}

impl GroupRows {
    /// Number of row versions.
    pub fn len(&self) -> usize {
        self.execute_at.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.execute_at.is_empty()
    }

    /// Slice of a row.
    ///
    /// # Panics
    /// If there is no such row (so all of them).
    pub fn slice(&self, row: usize) -> SliceId {
        self.slices.slice_at(row)
    }

    /// When a row took effect.
    pub fn execute_at(&self, row: usize) -> Timestamp {
        self.execute_at[row]
    }

    /// Whether a row is a tombstone.
    pub fn is_tombstone(&self, row: usize) -> bool {
        self.flags[row] & ROW_TOMBSTONE != 0
    }

    /// Replaces `out` by the encoded key of a row.
    pub fn key_into(&self, row: usize, out: &mut Vec<u8>) {
        out.clear();
        match (&self.keys, self.shape) {
            (KeyVector::Words(words), KeyShape::Word { bytes }) => {
                out.extend_from_slice(&words[row].to_be_bytes()[..bytes]);
            }
            (KeyVector::Bytes(keys), _) => out.extend_from_slice(keys.get(row)),
            (KeyVector::Words(_), KeyShape::Bytes) => panic!("keys of one table have one shape"),
        }
    }

    /// Replaces `out` by the bytes of a row (`types::row`). False if the page's bytes make no row.
    pub fn row_into(&self, row: usize, out: &mut Vec<u8>) -> bool {
        out.clear();
        let values: Option<Vec<ValueRef<'_>>> = self
            .columns
            .iter()
            .zip(&self.types)
            .map(|(column, sql_type)| column.value(*sql_type, row))
            .collect();
        match values {
            Some(values) => {
                encode_row_refs(&self.types, &values, out);
                true
            }
            None => false,
        }
    }

    /// The decoded stored columns, by position.
    pub fn columns(&self) -> &[ColumnVector] {
        &self.columns
    }
}
