//! The front door: one shard's LSM tree.
//!
//! Write path: [`Tree::commit`] lays the record into the commit log's gathering cohort and applies its own shard's rows to the memtable, in one turn;
//! memory advances at once. [`Tree::wait_durable`] is what outputs wait for, with the position that a read reports. Rows of another shard's record come by
//! [`Tree::apply_foreign`], after that record is durable, in the order of that log.
//!
//! Read path: [`Tree::get`] and [`Tree::read_range`] answer without waiting, or say that pages are missing; [`Tree::load`] and [`Tree::load_range`]
//! bring them and keep them while the result is held, so that a turn that must not wait can read.
//!
//! Snapshots: [`Tree::freeze`] gives chunks and files of a table, pinned. Housekeeping (flush, compaction, segments) runs in tasks of its own
//! ([`crate::maintenance`]); [`Tree::admit`] is where writers feel it.

pub(crate) mod inner;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use platform::Platform;
use types::mutants;
use types::token::SliceCount;
use types::{LogId, ShardId, SliceId, TableId, Timestamp};

use crate::block_cache::CachedPage;
use crate::commit_log::progress::Participants;
use crate::commit_log::record::RecordKind;
use crate::commit_log::writer::DurableWait;
use crate::compaction::pacer::delay_for;
use crate::directory::{DataDirectory, ShardStart};
use crate::error::StorageError;
use crate::files::{Piece, TableFile};
use crate::layout::TableLayout;
use crate::maintenance;
use crate::memtable::{FrozenTable, RowVersion};
use crate::mutants::FLOOR_NOT_DURABLE;
use crate::pins::{Pin, PinSummary};
use crate::position::{LogAddress, LogPosition};
use crate::publication::Publication;
use crate::scan::{RangeAnswer, RangeRead, RangeRows};
use crate::stats::TreeStats;
use crate::version_edit::VersionEdit;
use crate::write_batch::WriteBatch;
use inner::{Installed, PointAnswer, TreeInner};

/// One shard's LSM tree. Clones are the same tree. Not `Send`.
#[derive(Clone)]
pub struct Tree {
    inner: Rc<TreeInner>,
}

/// The answer of a point read.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// The newest version at or below the timestamp; without a row it is a tombstone.
    Version(RowVersion),
    /// No version at or below the timestamp is known.
    Absent,
    /// The answer is in a page that is not in memory: [`Tree::load`] brings it.
    NotInMemory,
}

/// The answer of a range read.
#[derive(Clone, Debug)]
pub enum RangeLookup {
    /// The rows.
    Rows(RangeRows),
    /// Pages are not in memory: [`Tree::load_range`] brings them.
    NotInMemory,
}

/// Pages that stay in memory while this is held.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    pages: Vec<Arc<CachedPage>>,
}

impl Loaded {
    /// Holds the pages of another load, too.
    pub fn join(&mut self, other: Loaded) {
        self.pages.extend(other.pages);
    }
}

/// A table as it was when frozen: `Send`, immutable.
#[derive(Clone, Debug)]
pub struct TableSnapshot {
    /// Types of the stored columns and the key.
    pub layout: Arc<TableLayout>,
    /// Rows in memory; those above the snapshot's timestamp are to be filtered by the reader.
    pub frozen: FrozenTable,
    /// Files; of each only the slices of its entry count.
    pub pieces: Vec<Arc<Piece>>,
    /// First and last slice of the shard.
    pub slices: (SliceId, SliceId),
    /// Keeps the versions that the timestamp needs.
    pub pin: Pin,
}

impl Tree {
    /// Starts a shard's tree on its core: opens its manifest, starts its log and its housekeeping.
    ///
    /// # Errors
    /// The disk's.
    pub async fn start(
        platform: Platform,
        directory: Arc<DataDirectory>,
        start: ShardStart,
    ) -> Result<Tree, StorageError> {
        let inner = TreeInner::start(platform, directory, start).await?;
        maintenance::spawn(&inner);
        Ok(Tree { inner })
    }

    /// The shard.
    pub fn shard(&self) -> ShardId {
        self.inner.shard
    }

    /// Slices of the data directory.
    pub fn slice_count(&self) -> SliceCount {
        self.inner.directory.slices()
    }

    /// First and last slice of this shard.
    pub fn slices(&self) -> (SliceId, SliceId) {
        self.inner.slices
    }

    /// Whether a slice is this shard's.
    pub fn owns(&self, slice: SliceId) -> bool {
        self.inner.owns(slice)
    }

    /// This shard's log.
    pub fn log_id(&self) -> LogId {
        self.inner.log.log_id()
    }

    // --- writing

    /// Waits until a write of about so many bytes may come: slows down smoothly as flush and compaction fall behind.
    ///
    /// # Errors
    /// [`crate::StorageErrorKind::NoSpace`] while the disk is full; the error that fenced the shard.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn admit(&self, bytes: usize) -> Result<(), StorageError> {
        let inner = &self.inner;
        let mut delayed = false;
        loop {
            inner.check_writable()?;
            let debt = inner.write_debt(bytes);
            if debt.is_over() {
                let wanted = inner.segments_wanted.get().max(debt.log_segments_needed);
                inner.segments_wanted.set(wanted);
                inner.bell.ring();
                let rung = inner.bell.count();
                inner.counters.admission_waits.set(inner.counters.admission_waits.get() + 1);
                let tick = platform::sleep(&inner.platform.spawner, Duration::from_millis(50));
                maintenance::either(inner.bell.after(rung), tick).await;
                continue;
            }
            match delay_for(&debt) {
                Some(delay) if !delayed => {
                    delayed = true;
                    platform::sleep(&inner.platform.spawner, delay).await;
                }
                _ => return Ok(()),
            }
        }
    }

    /// Logs a batch of row versions and applies those of this shard, in one turn. Rows of other shards in it are theirs to apply once the record is durable.
    ///
    /// # Errors
    /// If the batch is not well-formed or names an unknown table, the log refuses it, or the shard is fenced. Then nothing has happened.
    pub fn commit(&self, epoch: u32, payload: &[u8]) -> Result<LogPosition, StorageError> {
        let inner = &self.inner;
        inner.check_alive()?;
        let batch = WriteBatch::parse(payload)?;
        inner.check_tables(&batch)?;
        let mut participants = Participants::NONE;
        let shard_count = inner.directory.shard_count();
        for write in batch.writes() {
            participants.add(inner.directory.slices().owner(write.slice, shard_count));
        }
        if batch.definitions().next().is_some() || participants == Participants::NONE {
            participants.add(inner.shard);
        }
        let position = inner.append(RecordKind::WRITES, epoch, payload, participants)?;
        inner.apply(&batch, LogAddress { log: inner.log.log_id(), position }, position);
        Ok(position)
    }

    /// Applies this shard's rows of a record that is durable on another shard's log. Calls for one log come in the order of its records.
    ///
    /// # Errors
    /// If the batch is not well-formed.
    pub fn apply_foreign(&self, address: LogAddress, payload: &[u8]) -> Result<(), StorageError> {
        let batch = WriteBatch::parse(payload)?;
        self.inner.apply(&batch, address, LogPosition::NONE);
        Ok(())
    }

    /// Appends a record of the shard layer. It is kept until what is in memory now is flushed; when the directory is opened it is given back.
    ///
    /// # Errors
    /// As [`crate::commit_log::writer::CommitLog::append`].
    ///
    /// # Panics
    /// If the kind is one of storage's own.
    pub fn append(
        &self,
        kind: RecordKind,
        epoch: u32,
        payload: &[u8],
    ) -> Result<LogPosition, StorageError> {
        assert!(kind >= RecordKind::OPAQUE_FIRST, "kinds below are storage's own");
        self.inner.check_alive()?;
        self.inner.append_own(kind, epoch, payload)
    }

    /// Reserves timestamps: after a crash, clocks start at or above the highest reservation that is durable.
    ///
    /// # Errors
    /// As [`crate::commit_log::writer::CommitLog::append`].
    pub fn reserve(&self, reservation: Timestamp) -> Result<LogPosition, StorageError> {
        let inner = &self.inner;
        inner.check_alive()?;
        let payload = reservation.to_bytes();
        let position = inner.append_own(RecordKind::RESERVATION, 0, &payload)?;
        inner.reservation.set(inner.reservation.get().max(reservation));
        Ok(position)
    }

    /// Position of the last record of this shard's log.
    pub fn appended(&self) -> LogPosition {
        self.inner.log.appended()
    }

    /// Every record below this position is durable.
    pub fn durable(&self) -> LogPosition {
        self.inner.log.durable()
    }

    /// Whether the record at a position is durable.
    pub fn is_durable(&self, position: LogPosition) -> bool {
        self.inner.log.is_durable(position)
    }

    /// Waits until the record at a position is durable: the one gate that every output passes.
    ///
    /// # Errors
    /// The output is the error that fenced the log.
    ///
    /// # Cancel safety
    /// Safe.
    pub fn wait_durable(&self, position: LogPosition) -> DurableWait {
        self.inner.log.wait_durable(position)
    }

    // --- tables

    /// Learns a layout that another shard's record defines.
    pub fn define(&self, layout: &TableLayout) {
        self.inner.define(layout);
    }

    /// The layout of a storage table.
    pub fn layout(&self, table: TableId) -> Option<Arc<TableLayout>> {
        self.inner.layout(table)
    }

    /// Storage tables with a layout, ascending.
    pub fn tables(&self) -> Vec<TableId> {
        let mut tables: Vec<TableId> = self.inner.layouts.borrow().keys().copied().collect();
        tables.sort_unstable();
        tables
    }

    /// What the shards of the data directory share.
    pub fn directory(&self) -> Arc<DataDirectory> {
        self.inner.directory.clone()
    }

    /// Makes a storage table's rows garbage: its files go as soon as no snapshot holds them. The id never comes back.
    ///
    /// # Errors
    /// The disk's.
    ///
    /// # Cancel safety
    /// Not safe, as [`crate::manifest::ManifestWriter::append`].
    pub async fn drop_table(&self, table: TableId) -> Result<(), StorageError> {
        let inner = &self.inner;
        inner.dropped.borrow_mut().insert(table);
        loop {
            let version = inner.version.borrow().clone();
            let removed = version.table(table).map_or_else(Vec::new, |files| {
                files.pieces().map(|piece| piece.entry.piece()).collect()
            });
            let edit = VersionEdit { dropped: vec![table], removed, ..VersionEdit::default() };
            if inner.install(edit, Vec::new()).await? == Installed::Done {
                break;
            }
        }
        inner.layouts.borrow_mut().remove(&table);
        Ok(())
    }

    // --- reading

    /// The newest version of a key at or below `at`, from memory and cached pages.
    ///
    /// # Errors
    /// [`StorageError::BelowFloor`], or damage found in a cached page.
    pub fn get(
        &self,
        table: TableId,
        slice: SliceId,
        key: &[u8],
        at: Timestamp,
    ) -> Result<Lookup, StorageError> {
        match self.inner.get(table, slice, key, at)? {
            PointAnswer::Known(answer) => Ok(answer),
            PointAnswer::Missing(_) => Ok(Lookup::NotInMemory),
        }
    }

    /// Brings every page into memory that [`Tree::get`] needs for a key, and keeps them there while the result is held.
    ///
    /// # Errors
    /// [`StorageError::BelowFloor`], damage, or the disk's.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn load(
        &self,
        table: TableId,
        slice: SliceId,
        key: &[u8],
        at: Timestamp,
    ) -> Result<Loaded, StorageError> {
        let mut loaded = Loaded::default();
        loop {
            let look = |inner: &TreeInner| inner.get(table, slice, key, at);
            let missing = match self.inner.hold_what(&mut loaded, look)? {
                PointAnswer::Known(_) => return Ok(loaded),
                PointAnswer::Missing(missing) => missing,
            };
            self.inner.fetch(&missing, &mut loaded).await?;
        }
    }

    /// The newest version of a key at or below `at`, wherever it is. No row: absent or deleted.
    ///
    /// # Errors
    /// As [`Tree::load`].
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn read(
        &self,
        table: TableId,
        slice: SliceId,
        key: &[u8],
        at: Timestamp,
    ) -> Result<Option<RowVersion>, StorageError> {
        let mut loaded = Loaded::default();
        loop {
            match self.inner.get(table, slice, key, at)? {
                PointAnswer::Known(Lookup::Version(version)) => return Ok(Some(version)),
                PointAnswer::Known(_) => return Ok(None),
                PointAnswer::Missing(missing) => self.inner.fetch(&missing, &mut loaded).await?,
            }
        }
    }

    /// A bounded range of one slice from memory and cached pages.
    ///
    /// # Errors
    /// [`StorageError::BelowFloor`], or damage found in a cached page.
    pub fn read_range(&self, read: &RangeRead) -> Result<RangeLookup, StorageError> {
        match self.inner.read_range(read)? {
            RangeAnswer::Rows(rows) => Ok(RangeLookup::Rows(rows)),
            RangeAnswer::Missing(_) => Ok(RangeLookup::NotInMemory),
        }
    }

    /// Brings every page into memory that [`Tree::read_range`] needs, and keeps them there while the result is held.
    ///
    /// # Errors
    /// As [`Tree::load`].
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn load_range(&self, read: &RangeRead) -> Result<Loaded, StorageError> {
        let mut loaded = Loaded::default();
        loop {
            match self.inner.hold_what(&mut loaded, |inner| inner.read_range(read))? {
                RangeAnswer::Rows(_) => return Ok(loaded),
                RangeAnswer::Missing(missing) => self.inner.fetch(&missing, &mut loaded).await?,
            }
        }
    }

    /// The highest execute_at of any version in a slice of a table: what range validation compares. After a restart it may be higher than the truth, never
    /// lower.
    pub fn maximum_version(&self, table: TableId, slice: SliceId) -> Timestamp {
        self.inner.memory.borrow().highest(table, slice)
    }

    // --- snapshots

    /// Freezes a table for readers at `at`, in one turn: chunks, files and a pin. Whoever gets it must not see it before the log is durable through
    /// [`Tree::appended`] as it is now.
    ///
    /// # Errors
    /// [`StorageError::BelowFloor`], [`StorageError::UnknownTable`].
    pub fn freeze(
        &self,
        table: TableId,
        at: Timestamp,
        holder: &str,
        lease: Duration,
    ) -> Result<TableSnapshot, StorageError> {
        let inner = &self.inner;
        inner.check_floor(at)?;
        let layout = inner.layout(table).ok_or(StorageError::UnknownTable { table })?;
        let frozen = inner.memory.borrow().freeze(table);
        let version = inner.version.borrow().clone();
        let pieces = version.table(table).map_or_else(Vec::new, |files| {
            files.pieces().filter(|piece| piece.entry.lowest <= at).cloned().collect()
        });
        let until = inner.platform.clock.monotonic() + lease;
        let pin = inner.pins.borrow_mut().take(holder, at, until);
        Ok(TableSnapshot { layout, frozen, pieces, slices: inner.slices, pin })
    }

    /// Takes a pin without freezing anything: what a BEGIN holds so that its reads stay possible.
    ///
    /// # Errors
    /// [`StorageError::BelowFloor`].
    pub fn pin(&self, at: Timestamp, holder: &str, lease: Duration) -> Result<Pin, StorageError> {
        self.inner.check_floor(at)?;
        let until = self.inner.platform.clock.monotonic() + lease;
        Ok(self.inner.pins.borrow_mut().take(holder, at, until))
    }

    /// The pins of this shard.
    pub fn pins(&self) -> Vec<PinSummary> {
        self.inner.pins.borrow().list()
    }

    /// Raises the floor as far as `wanted` and the pins allow: versions below it, but for the newest of each key, become garbage. Durable when this returns.
    ///
    /// # Errors
    /// The disk's.
    ///
    /// # Cancel safety
    /// Not safe, as [`crate::manifest::ManifestWriter::append`].
    pub async fn raise_floor(&self, wanted: Timestamp) -> Result<Timestamp, StorageError> {
        let inner = &self.inner;
        let now = inner.platform.clock.monotonic();
        let lowest_pin = {
            let mut pins = inner.pins.borrow_mut();
            pins.expire(now);
            pins.lowest()
        };
        let floor = lowest_pin.map_or(wanted, |pin| wanted.min(pin));
        if floor <= inner.floor.get() {
            return Ok(inner.floor.get());
        }
        // Reads below it are refused from now on, before anything is dropped.
        inner.floor.set(floor);
        if mutants::live(FLOOR_NOT_DURABLE) {
            return Ok(floor);
        }
        let edit = VersionEdit { floor: Some(floor), ..VersionEdit::default() };
        inner.install(edit, Vec::new()).await?;
        inner.bell.ring();
        Ok(floor)
    }

    /// The retention floor: reads below it are refused.
    pub fn floor(&self) -> Timestamp {
        self.inner.floor.get()
    }

    // --- bulk publication

    /// Logs the record that publishes sealed files, on the home shard's log, and applies this shard's rows of it. Each shard that has files in it, this
    /// one too, then calls [`Tree::publish`] after the record is durable; another shard calls [`Tree::receive_publication`] first.
    ///
    /// # Errors
    /// As [`crate::commit_log::writer::CommitLog::append`].
    pub fn log_publication(
        &self,
        epoch: u32,
        publication: &Publication,
    ) -> Result<LogPosition, StorageError> {
        let inner = &self.inner;
        inner.check_alive()?;
        let mut participants = Participants::one(inner.shard);
        publication.files.iter().for_each(|(shard, _)| participants.add(*shard));
        let batch = publication.batch()?;
        if let Some(batch) = &batch {
            inner.check_tables(batch)?;
            let shard_count = inner.directory.shard_count();
            for write in batch.writes() {
                participants.add(inner.directory.slices().owner(write.slice, shard_count));
            }
        }
        let payload = publication.encode();
        let position = inner.append(RecordKind::PUBLICATION, epoch, &payload, participants)?;
        let address = LogAddress { log: inner.log.log_id(), position };
        inner.take_publication(publication, batch.as_ref(), address, position);
        Ok(position)
    }

    /// Applies this shard's rows of a publication that is durable on another shard's log, and holds back flushes past it until its files are published.
    /// In the order of that log, as [`Tree::apply_foreign`].
    ///
    /// # Errors
    /// If its rows are not well-formed.
    pub fn receive_publication(
        &self,
        address: LogAddress,
        publication: &Publication,
    ) -> Result<(), StorageError> {
        let batch = publication.batch()?;
        self.inner.take_publication(publication, batch.as_ref(), address, LogPosition::NONE);
        Ok(())
    }

    /// Installs this shard's files of a publication whose record is durable at `address`. `files` are those that the sealing jobs gave.
    ///
    /// # Errors
    /// The disk's.
    ///
    /// # Cancel safety
    /// Not safe, as [`crate::manifest::ManifestWriter::append`].
    pub async fn publish(
        &self,
        address: LogAddress,
        publication: &Publication,
        files: &[Arc<TableFile>],
    ) -> Result<(), StorageError> {
        let inner = &self.inner;
        publication.definitions.iter().for_each(|layout| self.define(layout));
        inner.publishing.borrow_mut().insert(address);
        let own = publication.files.iter().filter(|(shard, _)| *shard == inner.shard);
        let mut added = Vec::new();
        for entry in own.flat_map(|(_, entries)| entries) {
            let file = files.iter().find(|file| file.id == entry.file);
            let file = file.expect("a publication comes with its files").clone();
            added.push(Piece { entry: *entry, file });
        }
        {
            let mut memory = inner.memory.borrow_mut();
            for piece in &added {
                for slice in piece.entry.slices.0.0..=piece.entry.slices.1.0 {
                    let table = piece.entry.table;
                    memory.raise_highest(table, SliceId(slice), publication.execute_at);
                }
            }
        }
        let installed = inner.install_published(address, added).await;
        inner.publishing.borrow_mut().remove(&address);
        if installed.is_ok() {
            inner.memory.borrow_mut().active.raise_through(address);
        }
        inner.bell.ring();
        installed
    }

    // --- the rest

    /// Freezes the active memtable and waits until everything in memory is in files.
    ///
    /// # Errors
    /// The error that fenced the shard, or "no space".
    ///
    /// # Cancel safety
    /// Safe; the flush goes on.
    pub async fn flush(&self) -> Result<(), StorageError> {
        let inner = &self.inner;
        let wanted = {
            let mut memory = inner.memory.borrow_mut();
            memory.rotate();
            inner.counters.flushes.get() + memory.frozen.len() as u64
        };
        inner.bell.ring();
        loop {
            inner.check_alive()?;
            if inner.counters.flushes.get() >= wanted {
                return Ok(());
            }
            if inner.directory.registry.is_disk_full() {
                return Err(StorageError::DiskFull);
            }
            let rung = inner.bell.count();
            inner.bell.after(rung).await;
        }
    }

    /// Damage that the scrubber has found and nobody has taken yet.
    pub fn take_damage_found(&self) -> Vec<StorageError> {
        std::mem::take(&mut self.inner.damage_found.borrow_mut())
    }

    /// Numbers for metrics.
    pub fn stats(&self) -> TreeStats {
        TreeStats::of(&self.inner)
    }

    /// Compacts all files of a table into one level, dropping every version that the floor allows; for an operator and for tests.
    ///
    /// # Errors
    /// What stopped it.
    ///
    /// # Cancel safety
    /// Not safe, as [`crate::manifest::ManifestWriter::append`].
    pub async fn compact_table(&self, table: TableId) -> Result<(), StorageError> {
        let version = self.inner.version.borrow().clone();
        match crate::compaction::picker::everything(&version, table) {
            Some(job) => maintenance::compact_one(&self.inner, job).await,
            None => Ok(()),
        }
    }

    /// Stops: everything appended becomes durable, housekeeping ends. Nothing is flushed to files; the next start replays the log.
    ///
    /// # Errors
    /// The error that fenced the shard.
    ///
    /// # Cancel safety
    /// The tree stays closing.
    pub async fn close(&self) -> Result<(), StorageError> {
        self.inner.closing.set(true);
        self.inner.bell.ring();
        self.inner.log.close().await
    }
}
