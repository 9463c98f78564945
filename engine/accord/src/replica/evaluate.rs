//! Reads a footprint from memory and evaluates a workload on it, noting what was observed and what was missing.

use alloc::borrow::Cow;
use core::cell::Cell;

use types::mutants::live;
use types::{ShardId, Timestamp};

use crate::footprint::{Footprint, PointEntry, RangeEntry, RangeNeed, TokenRange};
use crate::mutants;
use crate::replica::Replica;
use crate::rows::Rows;
use crate::store::{LogPosition, PointRead, RangeQuery, RangeRead, Store};
use crate::view::{RowVersion, RowVisitor, View};
use crate::workload::{Outcome, Workload};

/// A result, and the position of this core's log through which it has observed.
#[derive(Debug)]
pub(super) struct Observed<T> {
    pub(super) result: T,
    pub(super) needs: LogPosition,
}

/// Rows are missing in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotLoaded;

/// The rows that a transaction sees: this shard's from memory, the others' from their answers.
struct Memory<'a, S> {
    replica: &'a Replica,
    store: &'a S,
    footprint: &'a Footprint,
    at: Timestamp,
    answers: &'a [(ShardId, Rows)],
    observed: Cell<LogPosition>,
    missing: Cell<bool>,
}

impl Replica {
    /// Evaluates a workload at `execute_at`; `answers` are the other participants'.
    pub(super) fn evaluate<S: Store>(
        &self,
        store: &S,
        footprint: &Footprint,
        workload: &dyn Workload,
        execute_at: Timestamp,
        answers: &[(ShardId, Rows)],
    ) -> Result<Observed<Outcome>, NotLoaded> {
        let (schema, needs) = self.tables.check_schema(footprint);
        if let Err(abort) = schema {
            return Ok(Observed { result: Outcome::Abort(abort), needs });
        }
        let memory = Memory::new(self, store, footprint, execute_at, answers);
        memory.observe(needs);
        let outcome = workload.evaluate(execute_at, &memory);
        if let Outcome::Commit(commit) = &outcome {
            for write in &commit.writes {
                debug_assert!(
                    memory.missing.get()
                        || footprint.covers_write(write.table, write.token, &write.key),
                    "a workload writes what its footprint declares"
                );
            }
        }
        memory.finish(outcome)
    }

    /// Reads this shard's part of a footprint; `needs` is what was observed before.
    pub(super) fn gather<S: Store>(
        &self,
        store: &S,
        footprint: &Footprint,
        at: Timestamp,
        needs: LogPosition,
    ) -> Result<Observed<Rows>, NotLoaded> {
        let memory = Memory::new(self, store, footprint, at, &[]);
        memory.observe(needs);
        let mut rows = Rows::default();
        for (index, point) in footprint.points().iter().enumerate() {
            if point.access.reads()
                && self.owned.contains(point.token)
                && let Some(version) = memory.own_point(point)
            {
                rows.push_point(index, version.execute_at, &version.row);
            }
        }
        for (index, range) in footprint.ranges().iter().enumerate() {
            let Some(tokens) = range.tokens.intersection(self.owned) else { continue };
            if range.access.reads() {
                rows.push_range(index, memory.own_changed_at(range, tokens));
                memory.own_range(range, tokens, &mut |key, execute_at, row| {
                    rows.push_row(key, execute_at, row);
                });
            }
        }
        memory.finish(rows)
    }
}

impl<'a, S: Store> Memory<'a, S> {
    fn new(
        replica: &'a Replica,
        store: &'a S,
        footprint: &'a Footprint,
        at: Timestamp,
        answers: &'a [(ShardId, Rows)],
    ) -> Memory<'a, S> {
        let observed = Cell::new(LogPosition::NONE);
        let missing = Cell::new(false);
        Memory { replica, store, footprint, at, answers, observed, missing }
    }

    fn finish<T>(self, result: T) -> Result<Observed<T>, NotLoaded> {
        if self.missing.get() {
            return Err(NotLoaded);
        }
        Ok(Observed { result, needs: self.observed.get() })
    }

    fn observe(&self, position: LogPosition) {
        self.observed.set(self.observed.get().max(position));
    }

    fn own_point(&self, point: &PointEntry) -> Option<RowVersion<'_>> {
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

    fn own_range(&self, range: &RangeEntry, tokens: TokenRange, visit: &mut RowVisitor<'_>) {
        let RangeNeed::Rows { limit } = range.need else { return };
        let (low, high) = self.footprint.bounds_of(range);
        let at = self.at;
        let query = RangeQuery { table: range.table, tokens, low, high, at, limit };
        match self.store.range(query, visit) {
            RangeRead::Visited { position } => self.observe(position),
            RangeRead::NotLoaded => self.missing.set(true),
        }
    }

    fn own_changed_at(&self, range: &RangeEntry, tokens: TokenRange) -> Timestamp {
        let last = self.replica.tables.last_change(range.table, tokens);
        self.observe(last.position);
        last.execute_at
    }

    fn declared_range(&self, range: usize) -> &RangeEntry {
        let entry = &self.footprint.ranges()[range];
        assert!(entry.access.reads(), "a workload reads what its footprint declares as read");
        entry
    }
}

impl<S: Store> View for Memory<'_, S> {
    fn point(&self, point: usize) -> Option<RowVersion<'_>> {
        let entry = &self.footprint.points()[point];
        assert!(entry.access.reads(), "a workload reads what its footprint declares as read");
        if self.replica.owned.contains(entry.token) {
            return self.own_point(entry);
        }
        let owner = self.replica.placement.owner(entry.token);
        let (_, rows) = self.answers.iter().find(|(shard, _)| *shard == owner)?;
        rows.point(point).map(|version| RowVersion {
            execute_at: version.execute_at,
            row: Cow::Owned(version.row.into_owned()),
        })
    }

    fn range(&self, range: usize, visit: &mut RowVisitor<'_>) {
        let entry = self.declared_range(range);
        for shard in self.replica.placement.owners(entry).iter() {
            if shard == self.replica.shard {
                if let Some(tokens) = entry.tokens.intersection(self.replica.owned) {
                    self.own_range(entry, tokens, visit);
                }
            } else if let Some((_, rows)) = self.answers.iter().find(|(of, _)| *of == shard) {
                rows.range(range, visit);
            }
        }
    }

    fn changed_at(&self, range: usize) -> Timestamp {
        let entry = self.declared_range(range);
        let others = self.answers.iter().map(|(_, rows)| rows.changed_at(range));
        let others = others.max().unwrap_or(Timestamp::ZERO);
        match entry.tokens.intersection(self.replica.owned) {
            Some(tokens) => others.max(self.own_changed_at(entry, tokens)),
            None => others,
        }
    }
}
