//! A transaction whose snapshot moves on: it has been given a row that others were changing, and reads it as it is now.
//!
//! Everything that its client was shown before must still hold at the new snapshot. Updates kept as functions are evaluated anew on the rows as they are now.

use std::sync::Arc;

use accord::{Abort, Access, Expected, Footprint, RangeNeed};
use types::{TableId, Timestamp, Value, limits};

use crate::engine::Engine;
use crate::error::OltpError;
use crate::transaction::{Buffered, Transaction};

impl Transaction {
    /// Whether its snapshot may move: it has not built on a whole table.
    pub fn is_movable(&self) -> bool {
        self.schema.is_empty() && self.unchanged.is_empty() && self.entries.is_empty()
    }

    /// At COMMIT nobody else touches a storage table: it passes those that are held back.
    pub fn claim(&mut self, table: TableId) {
        self.whole.insert(table);
    }

    /// Takes the rows of a storage table out of the buffer, if the transaction has only added rows to it.
    pub fn take_inserted(&mut self, table: TableId) -> Option<Vec<Vec<Value>>> {
        let own = self.rows.iter().filter(|((written, _), _)| *written == table);
        let rows: Option<Vec<Vec<Value>>> = own
            .map(|(_, row)| match &row.now {
                Buffered::Put(values) if row.before.is_none() => Some(values.clone()),
                _ => None,
            })
            .collect();
        if rows.is_some() {
            self.rows.retain(|(written, _), _| *written != table);
        }
        rows
    }

    /// How many more rows and bytes it may buffer.
    pub fn room(&self) -> (usize, u64) {
        let rows = limits::TRANSACTION_ROWS_BUFFERED_MAX.saturating_sub(self.rows.len());
        let bytes = limits::TRANSACTION_BYTES_BUFFERED_MAX.saturating_sub(self.bytes);
        // Keys count as well.
        (rows, bytes / 2)
    }

    /// Moves to a newer snapshot of [`Engine::begin`]. The old one is still to be given back.
    ///
    /// # Errors
    /// [`OltpError::Aborted`] if something that the client was shown has changed since; those of the engine.
    pub async fn move_to<E: Engine>(
        &mut self,
        engine: &E,
        snapshot: Timestamp,
    ) -> Result<(), OltpError> {
        let mut footprint = Footprint::new();
        let mut points = Vec::with_capacity(self.seen.len());
        for (key, (token, _)) in &self.seen {
            let point = footprint.point(key.0, *token, &key.1, Access::Read);
            points.push((point, key.clone()));
        }
        let mut ranges = Vec::with_capacity(self.ranges.len());
        for bounds in &self.ranges {
            let keys = (bounds.low.as_slice(), bounds.high.as_deref());
            let need = RangeNeed::ChangedAt;
            ranges.push(footprint.range(bounds.table, bounds.tokens, keys, Access::Read, need));
        }
        if points.is_empty() && ranges.is_empty() {
            self.snapshot = snapshot;
            return Ok(());
        }
        let found = engine.read_at(snapshot, Arc::new(footprint)).await?;
        if let Some(range) = ranges.into_iter().find(|at| found.changed_at(*at) > self.snapshot) {
            return Err(OltpError::Aborted(Abort::RangeChanged(range)));
        }
        for (point, key) in points {
            let version = found.point(point);
            let now = version.as_ref().map(|version| version.execute_at);
            let (_, expected) = &self.seen[&key];
            let same = match expected {
                Expected::Version(at) => now == Some(*at),
                Expected::Present => now.is_some(),
                Expected::Absent => now.is_none(),
            };
            if same {
                continue;
            }
            let changed = || OltpError::Aborted(Abort::PointChanged(point));
            let (version, at) = version.as_ref().zip(now).ok_or_else(changed)?;
            let row = self.rows.get_mut(&key).ok_or_else(changed)?;
            let Buffered::Deferred { updates, shown } = &mut row.now else {
                return Err(changed());
            };
            let before = row.table.decode(&version.row)?;
            let mut next = before.clone();
            for update in updates.iter() {
                next = update.apply(&row.table, &next).map_err(|_| changed())?;
            }
            *shown = next;
            row.before = Some(before);
            if let Some((_, expected)) = self.seen.get_mut(&key) {
                *expected = Expected::Version(at);
            }
        }
        self.snapshot = snapshot;
        Ok(())
    }

    /// The rows of some targets, without a trace: nothing of them is validated at COMMIT.
    ///
    /// # Errors
    /// As [`Transaction::rows`].
    pub async fn glance<E: Engine>(
        &mut self,
        engine: &E,
        table: &crate::TableRows,
        targets: &crate::Targets,
    ) -> Result<Vec<crate::transaction::OwnRow>, OltpError> {
        let (seen, ranges) = (self.seen.clone(), self.ranges.clone());
        let rows = self.rows(engine, table, targets).await;
        (self.seen, self.ranges) = (seen, ranges);
        rows
    }
}
