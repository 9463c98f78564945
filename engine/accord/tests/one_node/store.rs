//! A toy store: versions in memory and in files, one log, rows that may have to be loaded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use accord::{
    Footprint, Installs, LogPosition, NotLogged, PointRead, RangeQuery, RangeRead, Record,
    RowVisitor, Store, TokenRange,
};
use types::{LogId, TableId, Timestamp, Token};

use crate::script::{CATALOG, Key, TABLE, is_tombstone, token_of};

/// One row version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    pub execute_at: Timestamp,
    pub row: Vec<u8>,
    pub log: LogId,
    pub position: LogPosition,
}

/// One core's commit log. Positions count records from one; what is truncated stays counted.
#[derive(Clone, Debug, Default)]
pub struct Log {
    pub records: Vec<Arc<Record>>,
    pub durable: usize,
    pub truncated: usize,
}

/// A memtable frozen for a flush.
#[derive(Clone, Debug)]
pub struct Frozen {
    pub versions: Vec<(Key, Version)>,
    /// Log positions through which it is complete.
    pub complete: BTreeMap<LogId, LogPosition>,
    /// Own log position that must be durable before it is installed.
    pub needs: LogPosition,
}

/// One core's rows.
#[derive(Clone, Debug)]
pub struct ToyStore {
    pub owned: TokenRange,
    pub key_count: usize,
    pub log_id: LogId,
    pub log: Log,
    pub memory: BTreeMap<Key, Vec<Version>>,
    pub files: BTreeMap<Key, Vec<Version>>,
    pub history_floor: BTreeMap<Key, Timestamp>,
    /// Log positions through which foreign records are applied.
    pub applied: BTreeMap<LogId, LogPosition>,
    /// Keys that must be loaded before they are read.
    pub evicted: BTreeSet<Key>,
    /// Bulk writes that are not installed yet: no flush may say that it is complete through them.
    pub pending: BTreeSet<(LogId, LogPosition)>,
    /// One append in so many is refused.
    pub refuses_every: Option<u64>,
    pub appends_asked: u64,
}

impl ToyStore {
    /// The newest version at or below `at`, tombstones included.
    pub fn newest(&self, key: Key, at: Timestamp) -> Option<&Version> {
        let memory = self.memory.get(&key).into_iter().flatten();
        let files = self.files.get(&key).into_iter().flatten();
        let visible = memory.chain(files).filter(|version| version.execute_at <= at);
        visible.max_by_key(|version| version.execute_at)
    }

    /// Who wrote the row that is seen at `at`.
    pub fn writer(&self, key: Key, at: Timestamp) -> Option<usize> {
        let version = self.newest(key, at)?;
        (!is_tombstone(&version.row)).then(|| crate::script::writer_of(&version.row))
    }

    /// Adds a version unless it is there.
    pub fn put(&mut self, key: Key, version: Version) {
        let versions = self.memory.entry(key).or_default();
        if versions.iter().all(|known| known.execute_at != version.execute_at) {
            versions.push(version);
        }
    }

    /// Keys of this core, the catalog's among them.
    pub fn owned_keys(&self) -> Vec<Key> {
        (0..=self.key_count).filter(|key| self.owned.contains(token_of(*key))).collect()
    }

    /// Loads what a footprint reads here.
    pub fn load(&mut self, footprint: &Footprint) {
        for point in footprint.points() {
            self.evicted.remove(&usize::from(footprint.key_of(point)[0]));
        }
        if !footprint.ranges().is_empty() {
            self.evicted.clear();
        }
    }

    /// Freezes everything in memory.
    pub fn freeze(&self) -> Frozen {
        let mut versions = Vec::new();
        for (key, of_key) in &self.memory {
            versions.extend(of_key.iter().map(|version| (*key, version.clone())));
        }
        let own = versions.iter().filter(|(_, version)| version.log == self.log_id);
        let needs = own.map(|(_, version)| version.position).max().unwrap_or(LogPosition::NONE);
        let mut complete = self.applied.clone();
        complete.insert(self.log_id, LogPosition(self.log.records.len() as u64));
        for (log, position) in &self.pending {
            let complete = complete.entry(*log).or_insert(LogPosition::NONE);
            *complete = (*complete).min(LogPosition(position.0 - 1));
        }
        Frozen { versions, complete, needs }
    }

    /// Moves a frozen memtable into the files.
    pub fn install(&mut self, frozen: &Frozen) {
        for (key, version) in &frozen.versions {
            if let Some(in_memory) = self.memory.get_mut(key) {
                in_memory.retain(|known| known.execute_at != version.execute_at);
            }
            let files = self.files.entry(*key).or_default();
            if files.iter().all(|known| known.execute_at != version.execute_at) {
                files.push(version.clone());
                files.sort_by_key(|version| version.execute_at);
            }
        }
        self.memory.retain(|_, versions| !versions.is_empty());
    }

    fn own_position(&self, version: &Version) -> LogPosition {
        if version.log == self.log_id { version.position } else { LogPosition::NONE }
    }
}

/// The key index that an encoded key of a known table names.
fn index_of(table: TableId, key: &[u8]) -> Key {
    assert!(table == TABLE || table == CATALOG);
    usize::from(key[0])
}

impl Store for ToyStore {
    fn point(&self, table: TableId, token: Token, key: &[u8], at: Timestamp) -> PointRead<'_> {
        assert!(self.owned.contains(token), "one reads what one owns");
        let key = index_of(table, key);
        if self.evicted.contains(&key) {
            return PointRead::NotLoaded;
        }
        match self.newest(key, at) {
            None => PointRead::Absent { position: LogPosition::NONE },
            Some(version) if is_tombstone(&version.row) => {
                PointRead::Absent { position: self.own_position(version) }
            }
            Some(version) => PointRead::Found {
                execute_at: version.execute_at,
                row: (&version.row[..]).into(),
                position: self.own_position(version),
            },
        }
    }

    fn range(&self, query: RangeQuery<'_>, visit: &mut RowVisitor<'_>) -> RangeRead {
        let mut highest = LogPosition::NONE;
        for key in (0..self.key_count).filter(|key| query.tokens.contains(token_of(*key))) {
            match self.point(query.table, token_of(key), &[key as u8], query.at) {
                PointRead::Found { execute_at, row, position } => {
                    highest = highest.max(position);
                    visit(&[key as u8], execute_at, &row);
                }
                PointRead::Absent { position } => highest = highest.max(position),
                PointRead::NotLoaded => return RangeRead::NotLoaded,
            }
        }
        RangeRead::Visited { position: highest }
    }

    fn history_floor(&self, _table: TableId, tokens: TokenRange) -> Timestamp {
        let covered = self.history_floor.iter().filter(|(key, _)| tokens.contains(token_of(**key)));
        covered.map(|(_, floor)| *floor).max().unwrap_or(Timestamp::ZERO)
    }

    fn append(&mut self, record: &Record) -> Result<LogPosition, NotLogged> {
        self.appends_asked += 1;
        if self.refuses_every.is_some_and(|every| self.appends_asked.is_multiple_of(every)) {
            return Err(NotLogged(Vec::new()));
        }
        self.log.records.push(Arc::new(record.clone()));
        Ok(LogPosition(self.log.records.len() as u64))
    }

    fn apply(&mut self, record: &Record, log: LogId, position: LogPosition) {
        if record.installs == Installs::WhenDurable {
            self.pending.insert((log, position));
        } else {
            self.put_rows(record, log, position);
        }
        if log != self.log_id {
            let applied = self.applied.entry(log).or_insert(LogPosition::NONE);
            *applied = (*applied).max(position);
        }
    }
}

impl ToyStore {
    /// Installs a bulk write.
    pub fn install_bulk(&mut self, record: &Record, log: LogId, position: LogPosition) {
        assert!(self.pending.remove(&(log, position)), "it was applied before");
        self.put_rows(record, log, position);
    }

    fn put_rows(&mut self, record: &Record, log: LogId, position: LogPosition) {
        let owned = self.owned;
        for write in record.writes.iter().filter(|write| owned.contains(write.token)) {
            let row = write.row.clone().expect("scripts write rows, tombstones too");
            let version = Version { execute_at: record.execute_at, row, log, position };
            self.put(index_of(write.table, &write.key), version);
        }
    }
}
