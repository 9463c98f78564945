//! An interactive transaction: reads at a snapshot, writes in a buffer, one validated transaction at COMMIT.
//!
//! Invariants:
//! - Every row that influenced what the client was shown is in `seen` with what was shown of it, or inside a range of `ranges`.
//! - A buffered row knows the row of the snapshot under it (`before`), so that index entries are moved without another read.
//! - A deferred row has shown the client nothing but its existence. Whatever could show more calls [`Transaction::rows`] first, which turns it into
//!   an ordinary one.
//!
//! Cost of COMMIT: one footprint entry for each row seen or written, one record.

mod codec;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use accord::{
    Abort, Access, Commit, Expected, Footprint, Outcome, RangeNeed, SchemaChange, Validation, View,
    Workload, Write,
};
use plan::statement::{BoundStatement, Statement};
use types::schema::{Partitioning, RowAddress};
use types::{SchemaVersion, SqlState, TableId, Timestamp, Value, limits};

use crate::READ_ROWS_MAX;
use crate::access::{Bounds, Targets};
use crate::engine::{Committed, Engine};
use crate::error::{OltpError, StatementError};
use crate::evaluation::Surroundings;
use crate::read::{add_range, read_index_at, read_points_at};
use crate::row::TableRows;
use crate::statement::{assign, index_ranges, put, remove};

/// What COMMIT validates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// Everything read.
    Strict,
    /// Only rows that are written: write skew is possible, and the session asked for it.
    Snapshot,
}

/// One row of this transaction.
#[derive(Clone, Debug)]
pub(crate) struct BufferedRow {
    pub(crate) table: TableRows,
    address: RowAddress,
    /// The row at the snapshot.
    pub(crate) before: Option<Vec<Value>>,
    pub(crate) now: Buffered,
}

/// What this transaction makes of a row.
#[derive(Clone, Debug)]
pub enum Buffered {
    /// This row.
    Put(Vec<Value>),
    /// None.
    Deleted,
    /// What these updates make of the row that is there at COMMIT.
    Deferred {
        /// In statement order.
        updates: Vec<DeferredUpdate>,
        /// The same on the snapshot's row.
        shown: Vec<Value>,
    },
}

/// An UPDATE kept as a function of its row.
#[derive(Clone, Debug)]
pub struct DeferredUpdate {
    /// The UPDATE.
    pub statement: Arc<BoundStatement>,
    /// Its parameters.
    pub parameters: Arc<[Value]>,
    /// What its expressions may know.
    pub surroundings: Arc<Surroundings>,
}

impl DeferredUpdate {
    /// The row after it.
    pub(crate) fn apply(
        &self,
        table: &TableRows,
        row: &[Value],
    ) -> Result<Vec<Value>, StatementError> {
        let Statement::Update(update) = &self.statement.statement else {
            unreachable!("only UPDATE is deferred")
        };
        let context = self.surroundings.context(&functions::NoVolatile);
        let new = assign(row, row, &update.assignments, &self.parameters, &context)?;
        table.check(&new, &update.checks, &self.parameters, &context)?;
        Ok(new)
    }
}

pub(crate) type RowKey = (TableId, Vec<u8>);

/// An open transaction on its session's core.
#[derive(Debug)]
pub struct Transaction {
    pub(crate) snapshot: Timestamp,
    consistency: Consistency,
    planned: BTreeMap<TableId, SchemaVersion>,
    pub(crate) rows: BTreeMap<RowKey, BufferedRow>,
    pub(crate) seen: BTreeMap<RowKey, (types::Token, Expected)>,
    pub(crate) ranges: Vec<Bounds>,
    pub(crate) schema: Vec<SchemaChange>,
    pub(crate) whole: BTreeSet<TableId>,
    /// Storage tables that must not have changed since the snapshot, whatever the session asks of its reads.
    pub(crate) unchanged: BTreeSet<TableId>,
    /// Entries of indexes that this transaction makes, for rows that are there.
    pub(crate) entries: BTreeMap<RowKey, (types::Token, Vec<u8>)>,
    attachment: Vec<u8>,
    pub(crate) bytes: u64,
}

/// A row as the transaction sees it.
#[derive(Clone, Debug)]
pub struct OwnRow {
    /// Where it is.
    pub address: RowAddress,
    /// Its stored columns.
    pub values: Vec<Value>,
}

impl Transaction {
    /// A transaction at a snapshot of [`Engine::begin`]. Whoever made it gives the snapshot back.
    pub fn new(snapshot: Timestamp, consistency: Consistency) -> Transaction {
        Transaction {
            snapshot,
            consistency,
            planned: BTreeMap::new(),
            rows: BTreeMap::new(),
            seen: BTreeMap::new(),
            ranges: Vec::new(),
            schema: Vec::new(),
            whole: BTreeSet::new(),
            unchanged: BTreeSet::new(),
            entries: BTreeMap::new(),
            attachment: Vec::new(),
            bytes: 0,
        }
    }

    /// Its snapshot.
    pub fn snapshot(&self) -> Timestamp {
        self.snapshot
    }

    /// Whether it has changed nothing.
    pub fn is_read_only(&self) -> bool {
        self.rows.is_empty() && self.schema.is_empty() && self.entries.is_empty()
    }

    /// Changes a table's schema version at COMMIT; nobody else touches the table (nor `storage`, where its rows are) at that moment.
    pub fn change_schema(
        &mut self,
        change: SchemaChange,
        storage: impl IntoIterator<Item = TableId>,
    ) {
        self.schema.retain(|known| known.table != change.table);
        self.whole.insert(change.table);
        self.whole.extend(storage);
        // Its own statements are planned at versions that only this transaction knows.
        self.planned.remove(&change.table);
        self.schema.push(change);
    }

    /// Whether it has changed rows of a storage table.
    pub fn has_written(&self, table: TableId) -> bool {
        self.rows.keys().any(|(written, _)| *written == table)
    }

    /// Rows that it has changed in a storage table, in key order: key, new row (nothing if deleted).
    pub fn own_rows(&mut self, table: TableId) -> Vec<(RowAddress, Option<Vec<Value>>)> {
        self.materialise_table(table);
        self.rows
            .values()
            .filter(|row| row.table.schema.storage_id == table)
            .map(|row| {
                let values = match &row.now {
                    Buffered::Put(values) | Buffered::Deferred { shown: values, .. } => {
                        Some(values.clone())
                    }
                    Buffered::Deleted => None,
                };
                (row.address.clone(), values)
            })
            .collect()
    }

    /// Takes back what this transaction has done to the rows of a storage table, which ends: what it made of each row it had changed.
    pub fn take_rows(&mut self, table: TableId) -> Vec<(RowAddress, Option<Vec<Value>>)> {
        let rows = self.own_rows(table);
        self.rows.retain(|(written, _), _| *written != table);
        self.entries.retain(|(written, _), _| *written != table);
        rows
    }

    /// Whether it has changed rows of a storage table that were there at its snapshot.
    pub fn has_changed(&self, table: TableId) -> bool {
        self.rows.iter().any(|((written, _), row)| *written == table && row.before.is_some())
    }

    /// The table of rows that it has made has other indexes now.
    pub fn replan(&mut self, table: &TableRows) {
        for row in self.rows.values_mut() {
            if row.table.schema.storage_id == table.schema.storage_id {
                row.table = table.clone();
            }
        }
    }

    /// Writes an entry of an index that this transaction makes, for a row that is there.
    ///
    /// # Errors
    /// 54000 when the transaction is larger than what is buffered.
    pub fn put_entry(
        &mut self,
        index: TableId,
        address: &RowAddress,
        key: Vec<u8>,
        row: Vec<u8>,
    ) -> Result<(), StatementError> {
        self.grow(address, &[])?;
        self.entries.insert((index, key), (address.token, row));
        Ok(())
    }

    /// At COMMIT nothing in a storage table may be other than at the snapshot: a change of the schema has built on all of it.
    pub fn require_unchanged(&mut self, table: TableId) {
        self.unchanged.insert(table);
    }

    /// Instructions to the stores, which travel in the record: the layouts of tables that come or grow. The last one counts.
    pub fn attach(&mut self, attachment: Vec<u8>) {
        self.attachment = attachment;
    }

    /// States the schema versions that a statement was planned at.
    pub fn planned_at(&mut self, tables: &[(TableId, SchemaVersion)]) {
        for (table, version) in tables {
            if !self.schema.iter().any(|change| change.table == *table) {
                self.planned.entry(*table).or_insert(*version);
            }
        }
    }

    /// Notes that an analytic query read a whole table at the snapshot.
    pub fn read_whole(&mut self, table: TableId) {
        let tokens = accord::TokenRange::ALL;
        self.add_seen_range(Bounds { table, tokens, low: Vec::new(), high: None });
    }

    fn add_seen_range(&mut self, bounds: Bounds) {
        if !self.ranges.contains(&bounds) {
            self.ranges.push(bounds);
        }
    }

    /// The rows of some targets as this transaction sees them, in key order for a range.
    ///
    /// # Errors
    /// [`OltpError::TooManyRows`] beyond [`READ_ROWS_MAX`]; those of the engine.
    pub async fn rows<E: Engine>(
        &mut self,
        engine: &E,
        table: &TableRows,
        targets: &Targets,
    ) -> Result<Vec<OwnRow>, OltpError> {
        match targets {
            Targets::Points(addresses) => self.point_rows(engine, table, addresses).await,
            Targets::Range(bounds) => {
                let mut footprint = Footprint::new();
                let range = add_range(&mut footprint, bounds, Access::Read);
                let found = engine.read_at(self.snapshot, Arc::new(footprint)).await?;
                let mut decoded = Vec::new();
                let mut failure = None;
                found.range(range, &mut |_, _, row| match table.decode(row) {
                    Ok(values) => decoded.push(values),
                    Err(error) => failure = Some(error),
                });
                if let Some(error) = failure {
                    return Err(error);
                }
                if decoded.len() > READ_ROWS_MAX as usize {
                    return Err(OltpError::TooManyRows);
                }
                self.add_seen_range(bounds.clone());
                self.merge_own(table, decoded, |address, _| {
                    bounds.tokens.contains(address.token)
                        && bounds.low <= address.key
                        && bounds.high.as_ref().is_none_or(|high| address.key < *high)
                })
            }
            Targets::Index(index, bounds) => {
                let found = read_index_at(engine, table, *index, bounds, self.snapshot).await?;
                let mut decoded = Vec::with_capacity(found.len());
                for (address, execute_at, row) in &found {
                    // The entry says where the row is; its other columns are shown too.
                    self.see(table, address, Expected::Version(*execute_at));
                    decoded.push(table.decode(row)?);
                }
                self.add_seen_range(bounds.clone());
                let schema = table.schema.clone();
                let index = schema.indexes[*index].clone();
                self.merge_own(table, decoded, |address, values| {
                    let key = schema.index_key(&index, values, &address.key);
                    bounds.low <= key && bounds.high.as_ref().is_none_or(|high| key < *high)
                })
            }
            Targets::Whole => Err(OltpError::TooManyRows),
        }
    }

    fn see(&mut self, table: &TableRows, address: &RowAddress, expected: Expected) {
        let key = (table.schema.storage_id, address.key.clone());
        self.seen.entry(key).or_insert((address.token, expected));
    }

    async fn point_rows<E: Engine>(
        &mut self,
        engine: &E,
        table: &TableRows,
        addresses: &[RowAddress],
    ) -> Result<Vec<OwnRow>, OltpError> {
        let storage = table.schema.storage_id;
        let unknown: Vec<RowAddress> = addresses
            .iter()
            .filter(|address| !self.rows.contains_key(&(storage, address.key.clone())))
            .cloned()
            .collect();
        let found = read_points_at(engine, table, unknown.clone(), self.snapshot).await?;
        let found: BTreeMap<&[u8], (Timestamp, &[u8])> = found
            .iter()
            .map(|(address, at, row)| (address.key.as_slice(), (*at, row.as_slice())))
            .collect();
        for address in &unknown {
            let version = found.get(address.key.as_slice());
            let expected = version.map_or(Expected::Absent, |(at, _)| Expected::Version(*at));
            self.see(table, address, expected);
        }
        let mut rows = Vec::with_capacity(addresses.len());
        for address in addresses {
            let key = (storage, address.key.clone());
            if self.rows.contains_key(&key) {
                self.materialise(&key);
                if let Buffered::Put(values) = &self.rows[&key].now {
                    rows.push(OwnRow { address: address.clone(), values: values.clone() });
                }
            } else if let Some((_, row)) = found.get(address.key.as_slice()) {
                rows.push(OwnRow { address: address.clone(), values: table.decode(row)? });
            }
        }
        Ok(rows)
    }

    /// Lays this transaction's own rows over rows of the snapshot.
    fn merge_own(
        &mut self,
        table: &TableRows,
        snapshot_rows: Vec<Vec<Value>>,
        belongs: impl Fn(&RowAddress, &[Value]) -> bool,
    ) -> Result<Vec<OwnRow>, OltpError> {
        let storage = table.schema.storage_id;
        self.materialise_table(storage);
        let mut rows = Vec::with_capacity(snapshot_rows.len());
        for values in snapshot_rows {
            let address = table.address(&values)?;
            if !self.rows.contains_key(&(storage, address.key.clone())) {
                rows.push(OwnRow { address, values });
            }
        }
        let unchanged = rows.len();
        for row in self.rows.values().filter(|row| row.table.schema.storage_id == storage) {
            if let Buffered::Put(values) = &row.now
                && belongs(&row.address, values)
            {
                rows.push(OwnRow { address: row.address.clone(), values: values.clone() });
            }
        }
        if rows.len() > unchanged {
            rows.sort_by(|a, b| a.address.key.cmp(&b.address.key));
        }
        Ok(rows)
    }

    /// Turns a deferred row into an ordinary one: what it was at the snapshot is now a validated read.
    fn materialise(&mut self, key: &RowKey) {
        let Some(row) = self.rows.get_mut(key) else { return };
        if let Buffered::Deferred { shown, .. } = &mut row.now {
            let shown = std::mem::take(shown);
            row.now = Buffered::Put(shown);
        }
    }

    fn materialise_table(&mut self, table: TableId) {
        let keys: Vec<RowKey> =
            self.rows.keys().filter(|(written, _)| *written == table).cloned().collect();
        for key in keys {
            self.materialise(&key);
        }
    }

    /// Writes a row; `before` is what the transaction saw there before this statement.
    ///
    /// # Errors
    /// 54000 when the transaction is larger than what is buffered.
    pub fn put(
        &mut self,
        table: &TableRows,
        address: RowAddress,
        before: Option<Vec<Value>>,
        row: Vec<Value>,
    ) -> Result<(), StatementError> {
        self.grow(&address, &row)?;
        self.change(table, address, before, Buffered::Put(row));
        Ok(())
    }

    /// Deletes a row that the transaction saw.
    pub fn delete(&mut self, table: &TableRows, address: RowAddress, before: Vec<Value>) {
        self.change(table, address, Some(before), Buffered::Deleted);
    }

    fn change(
        &mut self,
        table: &TableRows,
        address: RowAddress,
        before: Option<Vec<Value>>,
        now: Buffered,
    ) {
        let key = (table.schema.storage_id, address.key.clone());
        match self.rows.get_mut(&key) {
            // What was at the snapshot stays what it was.
            Some(row) => row.now = now,
            None => {
                let row = BufferedRow { table: table.clone(), address, before, now };
                self.rows.insert(key, row);
            }
        }
    }

    /// Keeps an UPDATE of one row as a function. Gives whether there is a row.
    ///
    /// # Errors
    /// What the UPDATE raises on the row of the snapshot; those of the engine.
    pub async fn defer<E: Engine>(
        &mut self,
        engine: &E,
        table: &TableRows,
        address: RowAddress,
        update: DeferredUpdate,
    ) -> Result<bool, OltpError> {
        let key = (table.schema.storage_id, address.key.clone());
        if let Some(row) = self.rows.get_mut(&key) {
            match &mut row.now {
                Buffered::Deleted => return Ok(false),
                Buffered::Put(values) => *values = update.apply(table, values)?,
                Buffered::Deferred { updates, shown } => {
                    *shown = update.apply(table, shown)?;
                    updates.push(update);
                }
            }
            return Ok(true);
        }
        let known = self.seen.contains_key(&key);
        let found =
            read_points_at(engine, table, vec![address.clone()], self.snapshot).await?.pop();
        let Some((_, execute_at, bytes)) = found else {
            self.see(table, &address, Expected::Absent);
            return Ok(false);
        };
        let before = table.decode(&bytes)?;
        let shown = match update.apply(table, &before) {
            Ok(shown) => shown,
            Err(error) => {
                // The client learns that the row was such as to fail.
                self.see(table, &address, Expected::Version(execute_at));
                return Err(error.into());
            }
        };
        self.grow(&address, &shown)?;
        let now = if known {
            Buffered::Put(shown)
        } else {
            Buffered::Deferred { updates: vec![update], shown }
        };
        self.see(table, &address, Expected::Version(execute_at));
        self.change(table, address, Some(before), now);
        Ok(true)
    }

    fn grow(&mut self, address: &RowAddress, row: &[Value]) -> Result<(), StatementError> {
        let variable: usize = row
            .iter()
            .map(|value| match value {
                Value::Text(text) => text.len(),
                Value::Bytea(bytes) => bytes.len(),
                Value::Numeric(number) => number.digits().len() * 2,
                _ => 8,
            })
            .sum();
        self.bytes += (address.key.len() + variable) as u64;
        let too_many = self.rows.len() >= limits::TRANSACTION_ROWS_BUFFERED_MAX;
        if too_many || self.bytes > limits::TRANSACTION_BYTES_BUFFERED_MAX {
            return Err(StatementError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!(
                    "the transaction changes more than {} rows or {} bytes",
                    limits::TRANSACTION_ROWS_BUFFERED_MAX,
                    limits::TRANSACTION_BYTES_BUFFERED_MAX
                ),
            )
            .with_hint("Load large amounts with COPY, or split the transaction."));
        }
        Ok(())
    }

    /// Commits what was buffered. A transaction that wrote nothing needs no commit.
    ///
    /// # Errors
    /// [`OltpError::Aborted`] when what was seen has changed; those of the engine.
    pub async fn commit<E: Engine>(self, engine: &E) -> Result<Committed, OltpError> {
        let (footprint, workload) = self.into_commit();
        engine.submit(Arc::new(footprint), workload).await
    }

    /// The one transaction of COMMIT, for whoever submits it together with something else.
    pub fn into_commit(self) -> (Footprint, Arc<dyn Workload>) {
        let mut footprint = Footprint::new();
        let mut validation = Validation::default();
        for (table, version) in &self.planned {
            footprint.planned_at(*table, *version);
        }
        footprint.execute_above(self.snapshot);
        for table in &self.whole {
            footprint.whole_table(*table, Access::Write);
        }
        for table in &self.unchanged {
            let range = footprint.whole_table(*table, Access::Read);
            validation.ranges.push((range, self.snapshot));
        }
        for ((index, key), (token, _)) in &self.entries {
            footprint.point(*index, *token, key, Access::Write);
        }
        let strict = self.consistency == Consistency::Strict;
        for (key, (token, expected)) in &self.seen {
            if strict && !self.rows.contains_key(key) {
                let point = footprint.point(key.0, *token, &key.1, Access::Read);
                validation.points.push((point, *expected));
            }
        }
        if strict {
            for bounds in &self.ranges {
                let keys = (bounds.low.as_slice(), bounds.high.as_deref());
                let need = RangeNeed::ChangedAt;
                let range = footprint.range(bounds.table, bounds.tokens, keys, Access::Read, need);
                validation.ranges.push((range, self.snapshot));
            }
        }
        let mut rows = Vec::with_capacity(self.rows.len());
        for (key, row) in self.rows {
            let token = row.address.token;
            let seen = self.seen.get(&key).map(|(_, expected)| *expected);
            // A fresh row id is in nobody's way: nothing is read for it.
            let blind = seen.is_none() && row.table.schema.partitioning == Partitioning::RowId;
            let access = if blind { Access::Write } else { Access::ReadWrite };
            let point = footprint.point(key.0, token, &key.1, access);
            match (&row.now, seen) {
                (Buffered::Deferred { .. }, _) => {
                    validation.points.push((point, Expected::Present));
                }
                (_, Some(expected)) => validation.points.push((point, expected)),
                (_, None) => {}
            }
            index_ranges(&mut footprint, &row.table, std::iter::once(token));
            rows.push((point, row));
        }
        let (schema, entries, attachment) = (self.schema, self.entries, self.attachment);
        let commit = CommitTransaction { validation, rows, schema, entries, attachment };
        (footprint, Arc::new(commit))
    }
}

/// The one transaction of COMMIT.
#[derive(Debug)]
pub(crate) struct CommitTransaction {
    validation: Validation,
    rows: Vec<(usize, BufferedRow)>,
    schema: Vec<SchemaChange>,
    entries: BTreeMap<RowKey, (types::Token, Vec<u8>)>,
    attachment: Vec<u8>,
}

impl Workload for CommitTransaction {
    fn evaluate(&self, _execute_at: Timestamp, view: &dyn View) -> Outcome {
        if let Err(abort) = self.validation.check(view) {
            return Outcome::Abort(abort);
        }
        let mut writes: Vec<Write> = Vec::with_capacity(self.rows.len());
        for (point, row) in &self.rows {
            if let Err(abort) = write_row(*point, row, view, &mut writes) {
                return Outcome::Abort(abort);
            }
        }
        // What a row's own writes say of an entry is newer.
        let written: BTreeSet<(TableId, &[u8])> =
            writes.iter().map(|write| (write.table, write.key.as_slice())).collect();
        let entries = self
            .entries
            .iter()
            .filter(|((index, key), _)| !written.contains(&(*index, key.as_slice())));
        let entries: Vec<Write> = entries
            .map(|((index, key), (token, row))| Write {
                table: *index,
                token: *token,
                key: key.clone(),
                row: Some(row.clone()),
            })
            .collect();
        writes.extend(entries);
        let (schema, attachment) = (self.schema.clone(), self.attachment.clone());
        Outcome::Commit(Commit { writes, schema, attachment, ..Commit::default() })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.append(out);
    }
}

fn write_row(
    point: usize,
    row: &BufferedRow,
    view: &dyn View,
    writes: &mut Vec<Write>,
) -> Result<(), Abort> {
    let before = row.before.as_deref();
    match &row.now {
        Buffered::Put(values) => put(&row.table, &row.address, before, values, writes)
            .map_err(StatementError::into_abort),
        Buffered::Deleted => {
            if let Some(before) = before {
                remove(&row.table, &row.address, before, writes);
            }
            Ok(())
        }
        Buffered::Deferred { updates, .. } => {
            let version = view.point(point).ok_or(Abort::PointChanged(point))?;
            // What held on the snapshot's row and fails on this one is a conflict: the retry reports it at its statement.
            let conflict = |_| Abort::PointChanged(point);
            let old =
                row.table.decode_to_change(&version.row).map_err(|_| Abort::PointChanged(point))?;
            let mut new = old.clone();
            for update in updates {
                new = update.apply(&row.table, &new).map_err(conflict)?;
            }
            put(&row.table, &row.address, Some(&old), &new, writes).map_err(conflict)
        }
    }
}

/// Whether an abort means that trying again may succeed.
pub fn is_conflict(abort: &Abort) -> bool {
    matches!(abort, Abort::PointChanged(_) | Abort::RangeChanged(_))
}
