//! A sorted run of row versions in memory: what a memtable chunk is turned into, once, and what flushes and snapshots then share.
//!
//! Flat buffers: no allocation a row. Order: slice, key, execute_at falling.

use crate::column::{ByteArray, ColumnVector};
use crate::error::SstableError;
use crate::key_schema::{KeyRange, KeyShape, KeyVector, PositionRange};
use crate::merge::MergeRun;
use crate::options::ColumnSpec;
use crate::record::{ROW_SAME_KEY, ROW_TOMBSTONE};
use crate::selection::Selection;
use crate::version::{RowContent, RowVersion, VersionSource};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::convert::Infallible;
use types::row::RowReader;
use types::{SliceId, Timestamp};

/// Row versions in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SortedRun {
    slices: Vec<SliceId>,
    keys: ByteArray,
    execute_at: Vec<Timestamp>,
    tombstones: Vec<bool>,
    rows: ByteArray,
}

impl SortedRun {
    /// No rows.
    pub fn new() -> SortedRun {
        SortedRun::default()
    }

    /// Appends a version.
    ///
    /// # Panics
    /// If it does not come after the last one, or keys or rows together reach 2 GiB.
    pub fn push(&mut self, version: RowVersion<'_>) {
        let RowVersion { slice, key, execute_at, content } = version;
        if let Some(last) = self.len().checked_sub(1) {
            let order = (self.slices[last], self.keys.get(last)).cmp(&(slice, key));
            let newer = order.is_eq() && self.execute_at[last] > execute_at;
            assert!(order.is_lt() || newer, "versions come in order");
        }
        self.slices.push(slice);
        self.keys.push(key);
        self.execute_at.push(execute_at);
        match content {
            RowContent::Row(row) => {
                self.tombstones.push(false);
                self.rows.push(row);
            }
            RowContent::Tombstone => {
                self.tombstones.push(true);
                self.rows.push(&[]);
            }
        }
    }

    /// Number of versions.
    pub fn len(&self) -> usize {
        self.slices.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.slices.is_empty()
    }

    /// Bytes held, for budgets.
    pub fn byte_count(&self) -> usize {
        self.len() * 27 + self.keys.bytes.len() + self.rows.bytes.len()
    }

    /// Slice of a row.
    pub fn slice(&self, row: usize) -> SliceId {
        self.slices[row]
    }

    /// Encoded key of a row.
    pub fn key(&self, row: usize) -> &[u8] {
        self.keys.get(row)
    }

    /// When a row took effect.
    pub fn execute_at(&self, row: usize) -> Timestamp {
        self.execute_at[row]
    }

    /// What a row holds.
    pub fn content(&self, row: usize) -> RowContent<'_> {
        if self.tombstones[row] {
            RowContent::Tombstone
        } else {
            RowContent::Row(self.rows.get(row))
        }
    }

    /// A whole version.
    pub fn version(&self, row: usize) -> RowVersion<'_> {
        RowVersion {
            slice: self.slices[row],
            key: self.keys.get(row),
            execute_at: self.execute_at[row],
            content: self.content(row),
        }
    }

    /// Lowest and highest execute_at; nothing if there are no rows.
    pub fn execute_at_range(&self) -> Option<(Timestamp, Timestamp)> {
        Some((*self.execute_at.iter().min()?, *self.execute_at.iter().max()?))
    }

    pub(crate) fn same_key_as_before(&self, row: usize) -> bool {
        self.slices[row - 1] == self.slices[row] && self.keys.get(row - 1) == self.keys.get(row)
    }

    /// The rows that lie in these positions and keys.
    pub fn inside(&self, positions: &PositionRange, keys: &KeyRange) -> Selection {
        let first = positions.start.as_ref().map_or(0, |at| self.rows_below(at.slice, &at.key));
        let end =
            positions.end.as_ref().map_or(self.len(), |at| self.rows_below(at.slice, &at.key));
        let keep = |row: usize| keys.is_everything() || keys.contains(self.key(row));
        Selection::of(self.len(), first, end.max(first), keep)
    }

    /// The run as input of a merge. `shape` is that of the table's keys. Only the rows `inside` take part.
    pub fn merge_run(&self, shape: KeyShape, inside: &Selection) -> MergeRun {
        let mut keys = KeyVector::empty(shape);
        let mut flags = Vec::with_capacity(self.len());
        for row in 0..self.len() {
            keys.push(self.key(row));
            let same = row > 0 && self.same_key_as_before(row);
            let tombstone = self.content(row) == RowContent::Tombstone;
            let same = if same { ROW_SAME_KEY } else { 0 };
            flags.push(same | if tombstone { ROW_TOMBSTONE } else { 0 });
        }
        let slices = (0..self.len()).map(|row| self.slice(row)).collect();
        let execute_at = (0..self.len()).map(|row| self.execute_at(row)).collect();
        MergeRun::new(slices, keys, execute_at, flags, inside)
    }

    /// Number of rows below a position.
    fn rows_below(&self, slice: SliceId, key: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if (self.slices[middle], self.keys.get(middle)) < (slice, key) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The newest version of a key at or below `at`: its row here.
    pub fn find(&self, slice: SliceId, key: &[u8], at: Timestamp) -> Option<usize> {
        let mut row = self.rows_below(slice, key);
        while row < self.len() && self.slices[row] == slice && self.keys.get(row) == key {
            if self.execute_at[row] <= at {
                return Some(row);
            }
            row += 1;
        }
        None
    }

    /// The rows among `inside` that a snapshot at `at` sees if no other source holds their keys.
    pub fn visible(&self, at: Timestamp, inside: &Selection) -> Selection {
        let mut decided: Option<usize> = None;
        let mut rows = Vec::with_capacity(inside.len());
        for row in inside.to_rows() {
            let row = row as usize;
            let hidden = decided.is_some_and(|newer| {
                self.slices[newer] == self.slices[row] && self.keys.get(newer) == self.keys.get(row)
            });
            if !hidden && self.execute_at[row] <= at {
                decided = Some(row);
                if !self.tombstones[row] {
                    rows.push(row as u32);
                }
            }
        }
        let all = rows.len() == self.len();
        if all { Selection::All(rows.len()) } else { Selection::Rows(rows) }
    }

    /// Some columns of some rows. `columns` are all stored columns of the table, `projection` names those wanted by position. Tombstones give NULLs.
    ///
    /// # Errors
    /// If a row's bytes are damaged.
    ///
    /// # Panics
    /// If a position or a row does not exist.
    pub fn columns(
        &self,
        columns: &[ColumnSpec],
        projection: &[u16],
        rows: &Selection,
    ) -> Result<Vec<ColumnVector>, SstableError> {
        let empty = |at: &u16| ColumnVector::empty(columns[usize::from(*at)].sql_type.physical());
        let mut vectors: Vec<ColumnVector> = projection.iter().map(empty).collect();
        let walked = projection.iter().max().map_or(0, |last| usize::from(*last) + 1);
        let mut targets: Vec<Vec<usize>> = alloc::vec![Vec::new(); walked];
        for (index, position) in projection.iter().enumerate() {
            targets[usize::from(*position)].push(index);
        }
        for row in rows.to_rows() {
            let RowContent::Row(bytes) = self.content(row as usize) else {
                vectors.iter_mut().for_each(ColumnVector::push_null);
                continue;
            };
            let damaged = |source| SstableError::Row { source };
            let mut reader = RowReader::new(bytes).map_err(damaged)?;
            for (position, targets) in targets.iter().enumerate() {
                let spec = &columns[position];
                let value = reader.next_column(spec.sql_type).map_err(damaged)?;
                for target in targets {
                    match value {
                        Some(value) => vectors[*target].push_ref(value),
                        None => vectors[*target].push_value(&spec.missing),
                    }
                }
            }
        }
        Ok(vectors)
    }
}

/// A run read from front to back.
#[derive(Clone, Debug)]
pub struct RunCursor {
    run: Arc<SortedRun>,
    row: usize,
    end: usize,
}

impl RunCursor {
    /// All versions.
    pub fn new(run: Arc<SortedRun>) -> RunCursor {
        let end = run.len();
        RunCursor { run, row: 0, end }
    }

    /// The versions that lie in some positions.
    pub fn within(run: Arc<SortedRun>, positions: &PositionRange) -> RunCursor {
        let below = |at: &crate::key_schema::Position| run.rows_below(at.slice, &at.key);
        let row = positions.start.as_ref().map_or(0, below);
        let end = positions.end.as_ref().map_or(run.len(), below).max(row);
        RunCursor { run, row, end }
    }
}

impl VersionSource for RunCursor {
    type Error = Infallible;

    fn head(&self) -> Option<RowVersion<'_>> {
        (self.row < self.end).then(|| self.run.version(self.row))
    }

    fn advance(&mut self) -> Result<(), Infallible> {
        self.row += 1;
        Ok(())
    }
}
