//! What a tree is made of, and the steps that its front door and its housekeeping share: applying a record, looking a key up, installing an edit.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use platform::{DiskErrorKind, Platform};
use types::mutants;
use types::{ShardId, SliceId, SstableId, TableId, Timestamp};

use super::{Loaded, Lookup};
use crate::block_cache::{BlockCache, CacheCounters, CachedPage, PageName};
use crate::commit_log::progress::Participants;
use crate::commit_log::record::RecordKind;
use crate::commit_log::writer::{CommitLog, LogPlace};
use crate::compaction::pacer::WriteDebt;
use crate::directory::{DataDirectory, RESERVE_FILE_NAME, ShardStart};
use crate::error::{StorageError, StorageErrorKind};
use crate::files::Piece;
use crate::layout::TableLayout;
use crate::local_mutex::LocalMutex;
use crate::manifest::{ManifestName, ManifestWriter};
use crate::memory::Memory;
use crate::memtable::{RowBytes, RowVersion};
use crate::mutants::POINT_READ_STOPS_AT_FIRST;
use crate::notify::Notify;
use crate::pins::Pins;
use crate::position::{LogAddress, LogPosition};
use crate::publication::Publication;
use crate::scan::{RangeAnswer, RangeRead, read_range};
use crate::scrub::NOTHING_SCRUBBED;
use crate::stats::Counters;
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
    pub(crate) layouts: RefCell<HashMap<TableId, Arc<TableLayout>, foldhash::fast::FixedState>>,
    pub(crate) dropped: RefCell<BTreeSet<TableId>>,
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
    /// Opens the shard's manifest and starts its log.
    pub(crate) async fn start(
        platform: Platform,
        directory: Arc<DataDirectory>,
        start: ShardStart,
    ) -> Result<Rc<TreeInner>, StorageError> {
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
        Ok(inner)
    }

    pub(crate) fn cache_counters(&self) -> CacheCounters {
        self.cache.borrow().counters()
    }

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

    pub(crate) fn check_writable(&self) -> Result<(), StorageError> {
        self.check_alive()?;
        if self.directory.registry.is_disk_full() {
            return Err(StorageError::DiskFull);
        }
        Ok(())
    }

    pub(crate) fn take_publication(
        &self,
        publication: &Publication,
        batch: Option<&WriteBatch<'_>>,
        address: LogAddress,
        position: LogPosition,
    ) {
        publication.definitions.iter().for_each(|layout| self.define(layout));
        if publication.files.iter().any(|(shard, _)| *shard == self.shard) {
            self.publishing.borrow_mut().insert(address);
        }
        match batch {
            Some(batch) => self.apply(batch, address, position),
            None => self.memory.borrow_mut().active.raise_through(address),
        }
    }

    pub(crate) fn check_floor(&self, at: Timestamp) -> Result<(), StorageError> {
        let floor = self.floor.get();
        if at < floor { Err(StorageError::BelowFloor { at, floor }) } else { Ok(()) }
    }

    pub(crate) fn check_tables(&self, batch: &WriteBatch<'_>) -> Result<(), StorageError> {
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

    /// Appends to the log; if that has no room, asks for it.
    pub(crate) fn append(
        &self,
        kind: RecordKind,
        epoch: u32,
        payload: &[u8],
        participants: Participants,
    ) -> Result<LogPosition, StorageError> {
        let appended = self.log.append(kind, epoch, payload, participants);
        if matches!(appended, Err(StorageError::LogFull)) {
            let needed = self.log.segments_needed(payload.len());
            self.segments_wanted.set(self.segments_wanted.get().max(needed));
            self.bell.ring();
        }
        appended
    }

    pub(crate) fn append_own(
        &self,
        kind: RecordKind,
        epoch: u32,
        payload: &[u8],
    ) -> Result<LogPosition, StorageError> {
        let position = self.append(kind, epoch, payload, Participants::one(self.shard))?;
        let address = LogAddress { log: self.log.log_id(), position };
        self.memory.borrow_mut().active.raise_through(address);
        Ok(position)
    }

    pub(crate) fn apply(&self, batch: &WriteBatch<'_>, address: LogAddress, position: LogPosition) {
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

    pub(crate) fn get(
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

    pub(crate) fn read_range(&self, read: &RangeRead) -> Result<RangeAnswer, StorageError> {
        self.check_floor(read.at)?;
        let memory = self.memory.borrow();
        let version = self.version.borrow();
        let mut cache = self.cache.borrow_mut();
        read_range(&memory, &version, read, &mut |name| cache.get(name))
    }

    pub(crate) async fn fetch(
        &self,
        missing: &[MissingPage],
        loaded: &mut Loaded,
    ) -> Result<(), StorageError> {
        let pages: Vec<(PageName, Arc<CachedPage>)> =
            fetch_pages(&*self.platform.disk, missing).await?;
        let mut cache = self.cache.borrow_mut();
        for (name, page) in pages {
            loaded.pages.push(cache.insert(name, page));
        }
        Ok(())
    }

    /// Holds every page in `loaded` that a look finds in memory: what is not held may go while others are fetched, and each of two loads would drive out
    /// what the other brought for ever.
    pub(crate) fn hold_what<T>(&self, loaded: &mut Loaded, look: impl FnOnce(&Self) -> T) -> T {
        self.cache.borrow_mut().remember_touched();
        let found = look(self);
        loaded.pages = self.cache.borrow_mut().take_touched();
        found
    }

    pub(crate) fn write_debt(&self, bytes: usize) -> WriteDebt {
        let options = &self.directory.options;
        let memory = self.memory.borrow();
        let version = self.version.borrow();
        let level_zero = version.tables().map(|(_, files)| files.levels[0].len()).max();
        let memory_bytes = (memory.chunk_bytes() + bytes) as u64;
        let memory_bytes_max = options.memtable_bytes.0 * (options.frozen_memtables_max as u64 + 1);
        // Without a frozen memtable there is nothing to wait for, however large the write is.
        let waits = !memory.frozen.is_empty();
        let memory_bytes = if waits { memory_bytes } else { memory_bytes.min(memory_bytes_max) };
        WriteDebt {
            memory_bytes,
            memory_bytes_max,
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

    /// Makes the edit of a publication durable. A full disk is waited out: the record is logged, so there is no way back.
    pub(crate) async fn install_published(
        &self,
        address: LogAddress,
        added: Vec<Piece>,
    ) -> Result<(), StorageError> {
        loop {
            let edit = VersionEdit {
                added: added.iter().map(|piece| piece.entry).collect(),
                published: vec![address],
                layouts: self.unsaved_layouts(),
                ..VersionEdit::default()
            };
            match self.install(edit, added.clone()).await {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == StorageErrorKind::NoSpace => {
                    self.check_alive()?;
                    platform::sleep(&self.platform.spawner, Duration::from_secs(1)).await;
                }
                Err(error) => return Err(error),
            }
        }
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
