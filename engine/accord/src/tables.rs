//! What a core knows of each table: its schema version, and when each of its slices last changed.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use types::mutants::live;
use types::{SchemaVersion, SliceId, TableId};

use crate::footprint::{Footprint, TokenRange};
use crate::mutants;
use crate::part::LastChange;
use crate::participants::Placement;
use crate::store::LogPosition;
use crate::workload::{Abort, SchemaChange};

#[derive(Clone, Debug, Default)]
struct Table {
    version: Option<SchemaVersion>,
    /// Where this core's log holds the change to that version.
    version_position: LogPosition,
    /// By slice; empty until the first change.
    changes: Vec<LastChange>,
}

/// Every table of the catalog and every storage table that was written.
#[derive(Clone, Debug)]
pub(crate) struct Tables {
    placement: Placement,
    tables: BTreeMap<TableId, Table>,
}

impl Tables {
    pub(crate) fn new(
        placement: Placement,
        versions: impl IntoIterator<Item = (TableId, SchemaVersion)>,
    ) -> Tables {
        let table = |version| Table { version: Some(version), ..Table::default() };
        let tables = versions.into_iter().map(|(id, version)| (id, table(version))).collect();
        Tables { placement, tables }
    }

    /// Whether the tables are at the versions at which the footprint was planned; and the log position through which
    /// that was observed, in either case.
    pub(crate) fn check_schema(&self, footprint: &Footprint) -> (Result<(), Abort>, LogPosition) {
        let mut observed = LogPosition::NONE;
        if live(mutants::SCHEMA_NOT_CHECKED) {
            return (Ok(()), observed);
        }
        for (table, planned) in footprint.schema() {
            let known = self.tables.get(table);
            let found = known.and_then(|table| table.version);
            let position = known.map_or(LogPosition::NONE, |table| table.version_position);
            if !live(mutants::SCHEMA_NOT_HELD) {
                observed = observed.max(position);
            }
            if found != Some(*planned) {
                return (Err(Abort::SchemaChanged { table: *table, found }), observed);
            }
        }
        (Ok(()), observed)
    }

    pub(crate) fn version(&self, table: TableId) -> Option<SchemaVersion> {
        self.tables.get(&table).and_then(|table| table.version)
    }

    pub(crate) fn change_schema(&mut self, change: &SchemaChange, position: LogPosition) {
        let table = self.tables.entry(change.table).or_default();
        table.version = change.version;
        table.version_position = position;
        if change.version.is_none() {
            table.changes = Vec::new();
        }
    }

    pub(crate) fn note_write(&mut self, table: TableId, slice: SliceId, change: LastChange) {
        let changes = &mut self.tables.entry(table).or_default().changes;
        if changes.is_empty() {
            changes.resize(usize::from(self.placement.slices().get()), LastChange::default());
        }
        let last = &mut changes[slice.index()];
        last.execute_at = last.execute_at.max(change.execute_at);
        last.position = last.position.max(change.position);
    }

    /// The last change of the slices that `tokens` covers.
    pub(crate) fn last_change(&self, table: TableId, tokens: TokenRange) -> LastChange {
        let mut last = LastChange::default();
        let Some(table) = self.tables.get(&table) else { return last };
        let first_slice = self.placement.slice_of(tokens.first).index();
        let last_slice = self.placement.slice_of(tokens.last).index();
        for change in table.changes.iter().take(last_slice + 1).skip(first_slice) {
            last.execute_at = last.execute_at.max(change.execute_at);
            last.position = last.position.max(change.position);
        }
        last
    }
}
