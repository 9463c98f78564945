//! Reads a footprint from memory and evaluates a workload on it, noting what was observed and what was missing.

use alloc::borrow::Cow;

use types::{ShardId, Timestamp};

use crate::footprint::{Footprint, RangeEntry, TokenRange};
use crate::part::{LastChange, Part};
pub(super) use crate::part::{NotLoaded, Observed};
use crate::replica::Replica;
use crate::rows::Rows;
use crate::store::{LogPosition, Store};
use crate::view::{RowVersion, RowVisitor, View};
use crate::workload::{Outcome, Workload};

/// The rows that a transaction sees: this shard's from memory, the others' from their answers.
struct Memory<'a, S> {
    replica: &'a Replica,
    part: Part<'a, S>,
    answers: &'a [(ShardId, Rows)],
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
        let part = Part::new(store, footprint, execute_at);
        part.observe(needs);
        let memory = Memory { replica: self, part, answers };
        let outcome = workload.evaluate(execute_at, &memory);
        if let Outcome::Commit(commit) = &outcome {
            for write in &commit.writes {
                debug_assert!(
                    memory.part.is_missing()
                        || footprint.covers_write(write.table, write.token, &write.key),
                    "a workload writes what its footprint declares"
                );
            }
        }
        memory.part.finish(outcome)
    }

    /// Reads this shard's part of a footprint; `needs` is what was observed before.
    pub(super) fn gather<S: Store>(
        &self,
        store: &S,
        footprint: &Footprint,
        at: Timestamp,
        needs: LogPosition,
    ) -> Result<Observed<Rows>, NotLoaded> {
        let part = Part::new(store, footprint, at);
        part.observe(needs);
        let rows = part.gather(self.owned, &|table, tokens| self.tables.last_change(table, tokens));
        part.finish(rows)
    }
}

impl<S: Store> Memory<'_, S> {
    fn own_changed_at(&self, range: &RangeEntry, tokens: TokenRange) -> Timestamp {
        let last: LastChange = self.replica.tables.last_change(range.table, tokens);
        self.part.observe(last.position);
        last.execute_at
    }

    fn declared_range(&self, range: usize) -> &RangeEntry {
        let entry = &self.part.footprint.ranges()[range];
        assert!(entry.access.reads(), "a workload reads what its footprint declares as read");
        entry
    }
}

impl<S: Store> View for Memory<'_, S> {
    fn point(&self, point: usize) -> Option<RowVersion<'_>> {
        let entry = &self.part.footprint.points()[point];
        assert!(entry.access.reads(), "a workload reads what its footprint declares as read");
        if self.replica.owned.contains(entry.token) {
            return self.part.point(entry);
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
                    self.part.range(entry, tokens, visit);
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
