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

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use platform::{DiskErrorKind, Platform};
use types::mutants;
use types::token::SliceCount;
use types::{LogId, ShardId, SliceId, SstableId, TableId, Timestamp};

use crate::block_cache::{BlockCache, CachedPage, PageName};
use crate::commit_log::progress::Participants;
use crate::commit_log::record::RecordKind;
use crate::commit_log::writer::{CommitLog, DurableWait, LogPlace};
use crate::compaction::pacer::{WriteDebt, delay_for};
use crate::directory::{DataDirectory, RESERVE_FILE_NAME, ShardStart};
use crate::error::{StorageError, StorageErrorKind};
use crate::files::{Piece, TableFile};
use crate::layout::TableLayout;
use crate::local_mutex::LocalMutex;
use crate::maintenance;
use crate::manifest::{ManifestName, ManifestWriter};
use crate::memory::Memory;
use crate::memtable::{FrozenTable, RowBytes, RowVersion};
use crate::mutants::{FLOOR_NOT_DURABLE, POINT_READ_STOPS_AT_FIRST};
use crate::notify::Notify;
use crate::pins::{Pin, PinSummary, Pins};
use crate::position::{LogAddress, LogPosition};
use crate::publication::Publication;
use crate::scan::{RangeAnswer, RangeRead, RangeRows, read_range};
use crate::scrub::NOTHING_SCRUBBED;
use crate::stats::{Counters, TreeStats};
use crate::table_reader::{FileLookup, MissingPage, fetch_pages, lookup};
use crate::version::Version;
use crate::version_edit::VersionEdit;
use crate::write_batch::WriteBatch;

pub(crate) struct TreeInner {
    pub(crate) platform: Platform,
    pub(crate) directory: Arc<DataDirectory>,
    pub(crate) shard: ShardId,
    /// First and last slice of the shard.
    pub(crate) slices: (SliceId, SliceId),
    pub(crate) log: CommitLog,
    pub(crate) manifest: ManifestWriter,
    edits: LocalMutex<()>,
    pub(crate) memory: RefCell<Memory>,
    pub(crate) version: RefCell<Arc<Version>>,
    layouts: RefCell<HashMap<TableId, Arc<TableLayout>, foldhash::fast::FixedState>>,
    dropped: RefCell<BTreeSet<TableId>>,
    cache: RefCell<BlockCache>,
    pub(crate) pins: RefCell<Pins>,
    pub(crate) floor: Cell<Timestamp>,
    pub(crate) reservation: Cell<Timestamp>,
    /// Publications whose edits are not durable yet: no flush may pass them.
    pub(crate) publishing: RefCell<BTreeSet<LogAddress>>,
    pub(crate) failed: RefCell<Option<StorageError>>,
    pub(crate) closing: Cell<bool>,
    /// Free log segments that housekeeping aims for: what a large record once waited for.
    pub(crate) segments_wanted: Cell<usize>,
    /// The file that the scrubber verified last.
    pub(crate) scrubbed: Cell<SstableId>,
    /// What the scrubber found, oldest first.
    pub(crate) damage_found: RefCell<Vec<StorageError>>,
    /// Rung when something changed that housekeeping or a waiting writer may care about.
    pub(crate) bell: Notify,
    pub(crate) counters: Counters,
}

/// One shard's LSM tree. Clones are the same tree. Not `Send`.
#[derive(Clone)]
pub struct Tree {
    pub(crate) inner: Rc<TreeInner>,
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
        let options = &directory.options;
        let name = ManifestName { start: directory.identity.start, shard: start.shard, number: 0 };
        let manifest = ManifestWriter::open(
            &*platform.disk,
            &directory.path,
            name,
            start.state.clone(),
            options.manifest_bytes,
        )
        .await?;
        let place = LogPlace {
            file: directory.log_file.clone(),
            geometry: directory.segment_blocks(),
            shard: start.shard,
            segments: start.segments,
        };
        let log = CommitLog::start(platform.clone(), place, directory.progress.clone());
        let owned: Vec<SliceId> =
            directory.slices().owned_by(start.shard, directory.shard_count()).collect();
        let slices = owned.first().copied().zip(owned.last().copied());
        let slices = slices.expect("every shard owns a slice");
        let mut memory = Memory::new(options.chunk_bytes_first);
        let pieces: Vec<Piece> = start
            .state
            .files
            .values()
            .map(|entry| Piece { entry: *entry, file: start.files[&entry.file].clone() })
            .collect();
        for piece in &pieces {
            for slice in piece.entry.slices.0.0..=piece.entry.slices.1.0 {
                memory.raise_highest(piece.entry.table, SliceId(slice), piece.entry.highest);
            }
        }
        let layouts = start.state.layouts.iter();
        let layouts = layouts.map(|(table, layout)| (*table, Arc::new(layout.clone()))).collect();
        let inner = Rc::new(TreeInner {
            shard: start.shard,
            slices,
            log,
            manifest,
            edits: LocalMutex::new(()),
            memory: RefCell::new(memory),
            version: RefCell::new(Arc::new(Version::default().after(pieces, &[]))),
            layouts: RefCell::new(layouts),
            dropped: RefCell::new(start.state.dropped.clone()),
            cache: RefCell::new(BlockCache::new(options.block_cache_bytes.0 as usize)),
            pins: RefCell::new(Pins::default()),
            floor: Cell::new(start.state.floor),
            reservation: Cell::new(start.state.reservation),
            publishing: RefCell::new(BTreeSet::new()),
            failed: RefCell::new(None),
            closing: Cell::new(false),
            segments_wanted: Cell::new(1),
            scrubbed: Cell::new(NOTHING_SCRUBBED),
            damage_found: RefCell::new(Vec::new()),
            bell: Notify::default(),
            counters: Counters::default(),
            platform,
            directory,
        });
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
    /// [`StorageErrorKind::NoSpace`] while the disk is full; the error that fenced the shard.
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
        let position = inner.log.append(RecordKind::WRITES, epoch, payload, participants)?;
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
    /// As [`CommitLog::append`].
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
    /// As [`CommitLog::append`].
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

    /// Makes a storage table's rows garbage: its files go as soon as no snapshot holds them. The id never comes back.
    ///
    /// # Errors
    /// The disk's.
    ///
    /// # Cancel safety
    /// Not safe, as [`ManifestWriter::append`].
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
            let missing = match self.inner.get(table, slice, key, at)? {
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
            match self.inner.read_range(read)? {
                RangeAnswer::Rows(_) => return Ok(loaded),
                RangeAnswer::Missing(missing) => self.inner.fetch(&missing, &mut loaded).await?,
            }
        }
    }

    /// The highest execute_at of any version in a slice of a table: what range validation compares. After a restart it may be higher than the truth, never lower.
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
    /// Not safe, as [`ManifestWriter::append`].
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

    /// Logs the record that publishes sealed files, on the home shard's log. Each shard that it names, this one too, then calls [`Tree::publish`] after the
    /// record is durable.
    ///
    /// # Errors
    /// As [`CommitLog::append`].
    pub fn log_publication(
        &self,
        epoch: u32,
        publication: &Publication,
    ) -> Result<LogPosition, StorageError> {
        let inner = &self.inner;
        inner.check_alive()?;
        let mut participants = Participants::one(inner.shard);
        publication.files.iter().for_each(|(shard, _)| participants.add(*shard));
        let payload = publication.encode();
        let position = inner.log.append(RecordKind::PUBLICATION, epoch, &payload, participants)?;
        let address = LogAddress { log: inner.log.log_id(), position };
        publication.definitions.iter().for_each(|layout| self.define(layout));
        if publication.files.iter().any(|(shard, _)| *shard == inner.shard) {
            inner.publishing.borrow_mut().insert(address);
        }
        inner.memory.borrow_mut().active.raise_through(address);
        Ok(position)
    }

    /// Installs this shard's files of a publication whose record is durable at `address`. `files` are those that the sealing jobs gave.
    ///
    /// # Errors
    /// The disk's.
    ///
    /// # Cancel safety
    /// Not safe, as [`ManifestWriter::append`].
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
        let edit = VersionEdit {
            added: added.iter().map(|piece| piece.entry).collect(),
            published: vec![address],
            layouts: publication.definitions.clone(),
            ..VersionEdit::default()
        };
        let installed = inner.install(edit, added).await.map(|_| ());
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

    pub(crate) fn cache_counters(inner: &TreeInner) -> crate::block_cache::CacheCounters {
        inner.cache.borrow().counters()
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

/// Whether an edit took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Installed {
    Done,
    /// A file that it removes was gone already: its table was dropped meanwhile.
    Superseded,
}

pub(crate) enum PointAnswer {
    Known(Lookup),
    Missing(Vec<MissingPage>),
}

impl TreeInner {
    pub(crate) fn owns(&self, slice: SliceId) -> bool {
        self.slices.0 <= slice && slice <= self.slices.1
    }

    pub(crate) fn check_alive(&self) -> Result<(), StorageError> {
        if let Some(error) = &*self.failed.borrow() {
            return Err(error.clone());
        }
        if self.closing.get() {
            return Err(StorageError::Closing);
        }
        self.log.fenced().map_or(Ok(()), Err)
    }

    fn check_writable(&self) -> Result<(), StorageError> {
        self.check_alive()?;
        if self.directory.registry.is_disk_full() {
            return Err(StorageError::DiskFull);
        }
        Ok(())
    }

    pub(crate) fn check_floor(&self, at: Timestamp) -> Result<(), StorageError> {
        let floor = self.floor.get();
        if at < floor { Err(StorageError::BelowFloor { at, floor }) } else { Ok(()) }
    }

    fn check_tables(&self, batch: &WriteBatch<'_>) -> Result<(), StorageError> {
        let layouts = self.layouts.borrow();
        let mut known: Option<TableId> = None;
        for write in batch.writes() {
            if known == Some(write.table) {
                continue;
            }
            let defined = layouts.contains_key(&write.table)
                || batch.definitions().any(|layout| layout.table == write.table);
            if !defined {
                return Err(StorageError::UnknownTable { table: write.table });
            }
            known = Some(write.table);
        }
        Ok(())
    }

    fn append_own(
        &self,
        kind: RecordKind,
        epoch: u32,
        payload: &[u8],
    ) -> Result<LogPosition, StorageError> {
        let position = self.log.append(kind, epoch, payload, Participants::one(self.shard))?;
        let address = LogAddress { log: self.log.log_id(), position };
        self.memory.borrow_mut().active.raise_through(address);
        Ok(position)
    }

    fn apply(&self, batch: &WriteBatch<'_>, address: LogAddress, position: LogPosition) {
        for layout in batch.definitions() {
            self.define(&layout);
        }
        self.reservation.set(self.reservation.get().max(batch.execute_at()));
        let mut memory = self.memory.borrow_mut();
        for write in batch.writes().filter(|write| self.owns(write.slice)) {
            memory.active.insert(&write, batch.execute_at(), position);
            memory.raise_highest(write.table, write.slice, batch.execute_at());
        }
        memory.active.raise_through(address);
        if memory.active.chunk_bytes() as u64 >= self.directory.options.memtable_bytes.0 {
            memory.rotate();
            drop(memory);
            self.bell.ring();
        }
    }

    pub(crate) fn define(&self, layout: &TableLayout) {
        let mut layouts = self.layouts.borrow_mut();
        let known = layouts.get(&layout.table);
        if known.is_none_or(|known| known.columns.len() < layout.columns.len()) {
            layouts.insert(layout.table, Arc::new(layout.clone()));
        }
    }

    pub(crate) fn layout(&self, table: TableId) -> Option<Arc<TableLayout>> {
        self.layouts.borrow().get(&table).cloned()
    }

    pub(crate) fn is_dropped(&self, table: TableId) -> bool {
        self.dropped.borrow().contains(&table)
    }

    /// Layouts that the manifest does not hold yet.
    pub(crate) fn unsaved_layouts(&self) -> Vec<TableLayout> {
        let state = self.manifest.state();
        let saved = |layout: &TableLayout| {
            let known = state.layouts.get(&layout.table);
            known.is_some_and(|known| known.columns.len() >= layout.columns.len())
        };
        let mut unsaved: Vec<TableLayout> = self
            .layouts
            .borrow()
            .values()
            .filter(|layout| !saved(layout))
            .map(|layout| (**layout).clone())
            .collect();
        unsaved.sort_unstable_by_key(|layout| layout.table);
        unsaved
    }

    fn get(
        &self,
        table: TableId,
        slice: SliceId,
        key: &[u8],
        at: Timestamp,
    ) -> Result<PointAnswer, StorageError> {
        self.check_floor(at)?;
        let mut found = self.memory.borrow().get(table, slice, key, at);
        if found.is_some() && mutants::live(POINT_READ_STOPS_AT_FIRST) {
            return Ok(known(found));
        }
        let version = self.version.borrow();
        let Some(files) = version.table(table) else { return Ok(known(found)) };
        let mut cache = self.cache.borrow_mut();
        let mut missing = Vec::new();
        for piece in files.candidates(slice, key, at) {
            // Candidates come with the newest possible first: once what is found is at least as new as all that is left can be, it is the answer.
            if found.as_ref().is_some_and(|found| found.execute_at >= piece.entry.highest) {
                break;
            }
            match lookup(piece, (slice, key), at, &mut |name| cache.get(name))? {
                FileLookup::Absent => {}
                FileLookup::Missing(page) => {
                    missing.push(MissingPage { piece: piece.clone(), page });
                }
                FileLookup::Found { execute_at, row } => {
                    let newer = found.as_ref().is_none_or(|found| found.execute_at < execute_at);
                    if newer {
                        let row = row.map(|row| RowBytes::Owned(row.into()));
                        found = Some(RowVersion { execute_at, position: LogPosition::NONE, row });
                    }
                    if mutants::live(POINT_READ_STOPS_AT_FIRST) {
                        return Ok(known(found));
                    }
                }
            }
        }
        // A page that is missing matters only if it can hold something newer than what was found.
        missing.retain(|page| {
            found.as_ref().is_none_or(|found| found.execute_at < page.piece.entry.highest)
        });
        if missing.is_empty() { Ok(known(found)) } else { Ok(PointAnswer::Missing(missing)) }
    }

    fn read_range(&self, read: &RangeRead) -> Result<RangeAnswer, StorageError> {
        self.check_floor(read.at)?;
        let memory = self.memory.borrow();
        let version = self.version.borrow();
        let mut cache = self.cache.borrow_mut();
        read_range(&memory, &version, read, &mut |name| cache.get(name))
    }

    async fn fetch(
        &self,
        missing: &[MissingPage],
        loaded: &mut Loaded,
    ) -> Result<(), StorageError> {
        let pages: Vec<(PageName, Arc<CachedPage>)> =
            fetch_pages(&*self.platform.disk, missing).await?;
        let mut cache = self.cache.borrow_mut();
        for (name, page) in pages {
            loaded.pages.push(page.clone());
            cache.insert(name, page);
        }
        Ok(())
    }

    pub(crate) fn write_debt(&self, bytes: usize) -> WriteDebt {
        let options = &self.directory.options;
        let memory = self.memory.borrow();
        let version = self.version.borrow();
        let level_zero = version.tables().map(|(_, files)| files.levels[0].len()).max();
        WriteDebt {
            memory_bytes: (memory.chunk_bytes() + bytes) as u64,
            memory_bytes_max: options.memtable_bytes.0 * (options.frozen_memtables_max as u64 + 1),
            level_zero_files: level_zero.unwrap_or(0),
            level_zero_files_wanted: options.level_zero_files,
            log_segments_free: self.log.free_segments(),
            log_segments_needed: self.log.segments_needed(bytes),
        }
    }

    /// Makes an edit durable and then the version that follows from it visible. One at a time.
    pub(crate) async fn install(
        &self,
        edit: VersionEdit,
        added: Vec<Piece>,
    ) -> Result<Installed, StorageError> {
        let _turn = self.edits.lock().await;
        if !edit.removed.iter().all(|piece| self.version.borrow().has(*piece)) {
            return Ok(Installed::Superseded);
        }
        let disk = &*self.platform.disk;
        let mut result = self.manifest.append(disk, &edit).await;
        if let Err(error) = &result
            && error.kind() == StorageErrorKind::NoSpace
        {
            // This is what the reserve file is for.
            match disk.remove(&self.directory.path.join(RESERVE_FILE_NAME)).await {
                Ok(()) => result = self.manifest.append(disk, &edit).await,
                Err(error) if error.kind() == DiskErrorKind::NotFound => {}
                Err(error) => result = Err(error.into()),
            }
        }
        result.inspect_err(|error| self.note_failure(error))?;
        let before = self.version.borrow().clone();
        added.iter().for_each(|piece| piece.file.name_piece());
        let next = before.after(added, &edit.removed);
        *self.version.borrow_mut() = Arc::new(next);
        for (_, files) in before.tables() {
            for piece in files.pieces() {
                if edit.removed.contains(&piece.entry.piece()) {
                    piece.file.forget_piece();
                }
            }
        }
        Ok(Installed::Done)
    }

    /// Fences the shard after a device error; notes a full disk.
    pub(crate) fn note_failure(&self, error: &StorageError) {
        match error.kind() {
            StorageErrorKind::NoSpace => self.directory.registry.set_disk_full(true),
            StorageErrorKind::Fenced => self.fence(error.clone()),
            _ => {}
        }
    }

    /// Refuses everything from now on, with this error.
    pub(crate) fn fence(&self, error: StorageError) {
        self.failed.borrow_mut().get_or_insert(error);
        self.bell.ring();
    }
}

fn known(found: Option<RowVersion>) -> PointAnswer {
    PointAnswer::Known(found.map_or(Lookup::Absent, Lookup::Version))
}
