//! Reads what a footprint names from the store, noting what was observed and what was missing.
//!
//! One reader for both protocols: a shard alone reads for its own turn ([`crate::Replica`]), a replica of a cluster reads the part of one range for
//! whoever coordinates. What is read is a function of the store's history at `at` and of nothing else.

use core::cell::Cell;

use types::mutants::live;
use types::{TableId, Timestamp};

use crate::footprint::{Footprint, PointEntry, RangeEntry, RangeNeed, TokenRange};
use crate::mutants;
use crate::rows::Rows;
use crate::store::{LogPosition, PointRead, RangeQuery, RangeRead, Store};
use crate::view::{RowVersion, RowVisitor};

/// A result, and the position of this core's log through which it has observed.
#[derive(Debug)]
pub struct Observed<T> {
    /// The result.
    pub result: T,
    /// It may leave when the log is durable through this.
    pub needs: LogPosition,
}

/// Rows are missing in memory: load them and read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotLoaded;

/// When something last changed, and where this core's log holds that if it may not be durable yet.
#[derive(Clone, Copy, Debug, Default)]
pub struct LastChange {
    /// When.
    pub execute_at: Timestamp,
    /// Where.
    pub position: LogPosition,
}

/// A read of a footprint's entries under way.
pub(crate) struct Part<'a, S> {
    pub(crate) store: &'a S,
    pub(crate) footprint: &'a Footprint,
    pub(crate) at: Timestamp,
    observed: Cell<LogPosition>,
    missing: Cell<bool>,
}

impl<'a, S: Store> Part<'a, S> {
    pub(crate) fn new(store: &'a S, footprint: &'a Footprint, at: Timestamp) -> Part<'a, S> {
        let (observed, missing) = (Cell::new(LogPosition::NONE), Cell::new(false));
        Part { store, footprint, at, observed, missing }
    }

    pub(crate) fn is_missing(&self) -> bool {
        self.missing.get()
    }

    pub(crate) fn observe(&self, position: LogPosition) {
        self.observed.set(self.observed.get().max(position));
    }

    pub(crate) fn finish<T>(&self, result: T) -> Result<Observed<T>, NotLoaded> {
        if self.missing.get() {
            return Err(NotLoaded);
        }
        Ok(Observed { result, needs: self.observed.get() })
    }

    pub(crate) fn point(&self, point: &PointEntry) -> Option<RowVersion<'a>> {
        let key = self.footprint.key_of(point);
        match self.store.point(point.table, point.token, key, self.at) {
            PointRead::Found { execute_at, row, position } => {
                self.observe(position);
                Some(RowVersion { execute_at, row })
            }
            PointRead::Absent { position } => {
                if !live(mutants::ABSENCE_NOT_HELD) {
                    self.observe(position);
                }
                None
            }
            PointRead::NotLoaded => {
                self.missing.set(true);
                None
            }
        }
    }

    pub(crate) fn range(&self, range: &RangeEntry, tokens: TokenRange, visit: &mut RowVisitor<'_>) {
        let RangeNeed::Rows { limit } = range.need else { return };
        let (low, high) = self.footprint.bounds_of(range);
        let at = self.at;
        let query = RangeQuery { table: range.table, tokens, low, high, at, limit };
        match self.store.range(query, visit) {
            RangeRead::Visited { position } => self.observe(position),
            RangeRead::NotLoaded => self.missing.set(true),
        }
    }

    /// Everything that the footprint reads of `tokens`.
    pub(crate) fn gather(
        &self,
        tokens: TokenRange,
        last_change: &dyn Fn(TableId, TokenRange) -> LastChange,
    ) -> Rows {
        let mut rows = Rows::default();
        for (index, point) in self.footprint.points().iter().enumerate() {
            if point.access.reads()
                && tokens.contains(point.token)
                && let Some(version) = self.point(point)
            {
                rows.push_point(index, version.execute_at, &version.row);
            }
        }
        for (index, range) in self.footprint.ranges().iter().enumerate() {
            let Some(tokens) = range.tokens.intersection(tokens) else { continue };
            if range.access.reads() {
                let last = last_change(range.table, tokens);
                self.observe(last.position);
                rows.push_range(index, last.execute_at);
                self.range(range, tokens, &mut |key, execute_at, row| {
                    rows.push_row(key, execute_at, row);
                });
            }
        }
        rows
    }
}

/// Reads what `footprint` reads of `tokens`: newest versions at or below `at`. `last_change` says when tokens of a table last changed.
///
/// # Errors
/// [`NotLoaded`] if that needs what is not in memory.
pub fn read_part<S: Store>(
    store: &S,
    footprint: &Footprint,
    tokens: TokenRange,
    at: Timestamp,
    last_change: &dyn Fn(TableId, TokenRange) -> LastChange,
) -> Result<Observed<Rows>, NotLoaded> {
    let part = Part::new(store, footprint, at);
    let rows = part.gather(tokens, last_change);
    part.finish(rows)
}
