//! Row versions on their way from one core to another: what a participant or a snapshot read answers with.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use types::Timestamp;

use crate::view::{RowVersion, RowVisitor};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    start: u32,
    end: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct StoredRow {
    key: Span,
    row: Span,
    execute_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct StoredRange {
    range: usize,
    changed_at: Timestamp,
    rows: Vec<StoredRow>,
}

/// Rows by their index in a footprint. One buffer holds all bytes. Two are equal if they hold the same rows in the same order, wherever in the buffer.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    bytes: Vec<u8>,
    /// Rows that exist, ascending by index.
    points: Vec<(usize, StoredRow)>,
    ranges: Vec<StoredRange>,
}

impl Rows {
    /// The row of a point, if there is one here.
    pub fn point(&self, point: usize) -> Option<RowVersion<'_>> {
        let found = self.points.binary_search_by_key(&point, |(index, _)| *index).ok()?;
        let stored = &self.points[found].1;
        Some(RowVersion {
            execute_at: stored.execute_at,
            row: Cow::Borrowed(self.slice(stored.row)),
        })
    }

    /// Visits the rows of a range that are here: key, execute_at, row.
    pub fn range(&self, range: usize, visit: &mut RowVisitor<'_>) {
        for stored in self.ranges.iter().filter(|stored| stored.range == range) {
            for row in &stored.rows {
                visit(self.slice(row.key), row.execute_at, self.slice(row.row));
            }
        }
    }

    /// The highest change of the slices of a range that are covered here.
    pub fn changed_at(&self, range: usize) -> Timestamp {
        let here = self.ranges.iter().filter(|stored| stored.range == range);
        here.map(|stored| stored.changed_at).max().unwrap_or(Timestamp::ZERO)
    }

    /// Bytes of keys and rows held.
    pub fn byte_count(&self) -> usize {
        self.bytes.len()
    }

    /// Adds what another shard answered for the same footprint.
    pub fn absorb(&mut self, other: &Rows) {
        for (point, stored) in &other.points {
            let moved = self.copy(other, stored);
            let at = self.points.partition_point(|(index, _)| index < point);
            self.points.insert(at, (*point, moved));
        }
        for stored in &other.ranges {
            let rows = stored.rows.iter().map(|row| self.copy(other, row)).collect();
            self.ranges.push(StoredRange { rows, ..*stored });
        }
    }

    /// Adds a row; points come in ascending order.
    pub fn push_point(&mut self, point: usize, execute_at: Timestamp, row: &[u8]) {
        debug_assert!(self.points.last().is_none_or(|(last, _)| *last < point), "ascending");
        let stored = self.store(&[], execute_at, row);
        self.points.push((point, stored));
    }

    /// Adds a range without rows; [`Rows::push_row`] then adds to it.
    pub(crate) fn push_range(&mut self, range: usize, changed_at: Timestamp) {
        self.ranges.push(StoredRange { range, changed_at, rows: Vec::new() });
    }

    /// Adds a row to the range pushed last.
    pub(crate) fn push_row(&mut self, key: &[u8], execute_at: Timestamp, row: &[u8]) {
        let stored = self.store(key, execute_at, row);
        let range = self.ranges.last_mut().expect("a row is pushed after its range");
        range.rows.push(stored);
    }

    pub(crate) fn point_count(&self) -> usize {
        self.points.len()
    }

    /// The rows of points: index, execute_at, row.
    pub(crate) fn points(&self) -> impl Iterator<Item = (usize, Timestamp, &[u8])> {
        self.points
            .iter()
            .map(|(point, stored)| (*point, stored.execute_at, self.slice(stored.row)))
    }

    pub(crate) fn range_part_count(&self) -> usize {
        self.ranges.len()
    }

    /// What each shard gave of ranges: index, time of the last change, rows.
    pub(crate) fn range_parts(
        &self,
    ) -> impl Iterator<Item = (usize, Timestamp, impl ExactSizeIterator<Item = (&[u8], Timestamp, &[u8])>)>
    {
        self.ranges.iter().map(|part| {
            let rows = part
                .rows
                .iter()
                .map(|row| (self.slice(row.key), row.execute_at, self.slice(row.row)));
            (part.range, part.changed_at, rows)
        })
    }

    fn store(&mut self, key: &[u8], execute_at: Timestamp, row: &[u8]) -> StoredRow {
        let key = self.push_bytes(key);
        let row = self.push_bytes(row);
        StoredRow { key, row, execute_at }
    }

    fn copy(&mut self, other: &Rows, stored: &StoredRow) -> StoredRow {
        self.store(other.slice(stored.key), stored.execute_at, other.slice(stored.row))
    }

    fn push_bytes(&mut self, bytes: &[u8]) -> Span {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        assert!(self.bytes.len() < u32::MAX as usize, "an answer is bounded by its row limits");
        Span { start: start as u32, end: self.bytes.len() as u32 }
    }

    fn slice(&self, span: Span) -> &[u8] {
        &self.bytes[span.start as usize..span.end as usize]
    }
}

impl PartialEq for Rows {
    fn eq(&self, other: &Rows) -> bool {
        self.points().eq(other.points())
            && self.ranges.len() == other.ranges.len()
            && self
                .range_parts()
                .zip(other.range_parts())
                .all(|(left, right)| (left.0, left.1) == (right.0, right.1) && left.2.eq(right.2))
    }
}

impl Eq for Rows {}

#[cfg(test)]
mod tests {
    use types::Timestamp;

    use super::Rows;

    #[test]
    fn parts_of_two_shards_are_one() {
        let at = |hlc| Timestamp::new(0, hlc, 0);
        let mut first = Rows::default();
        first.push_point(2, at(5), b"two");
        first.push_range(0, at(9));
        first.push_row(b"a", at(3), b"A");
        let mut second = Rows::default();
        second.push_point(1, at(6), b"one");
        second.push_range(0, at(4));
        second.push_row(b"b", at(4), b"B");
        first.absorb(&second);
        assert_eq!(first.point(1).expect("absorbed").row.as_ref(), b"one");
        assert_eq!(first.point(2).expect("its own").execute_at, at(5));
        assert_eq!(first.point(0), None);
        assert_eq!(first.changed_at(0), at(9));
        let mut keys = Vec::new();
        first.range(0, &mut |key, _, _| keys.push(key.to_vec()));
        assert_eq!(keys, [b"a".to_vec(), b"b".to_vec()]);
    }
}
