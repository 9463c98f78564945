//! What the parts of a world share: virtual time, the queue, the disk, the seed. Behind one lock, because background jobs may be threads.
//!
//! Nothing is completed, woken or dropped while the lock is held: that may run code of the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use platform::{
    AlignedBuf, DirectoryEntry, DiskError, DiskOperation, FileCloser, FileHandle, OpenMode,
};
use types::checksum::checksum;
use types::prng::Prng;
use types::{ByteCount, ByteOffset};

use crate::background::Baton;
use crate::clock::WallError;
use crate::event_queue::EventQueue;
use crate::faults::Faults;
use crate::image::{ChangeId, Coverage, CrashPoint, DiskState, NameChange, Node};
use crate::trace_hash::TraceHash;
use crate::world::WorldOptions;

/// What a buffer holds before the disk has filled it: whoever reads on past the end is noticed.
const POISON: u8 = 0xDB;

pub(crate) struct Machine {
    state: Mutex<State>,
    /// Handles of each open file. A lock of its own: handles drop anywhere.
    open_handles: Mutex<BTreeMap<u64, Arc<AtomicUsize>>>,
}

pub(crate) struct State {
    pub(crate) now: u64,
    pub(crate) queue: EventQueue,
    pub(crate) prng: Prng,
    pub(crate) trace: TraceHash,
    pub(crate) disk: DiskState,
    pub(crate) faults: Faults,
    pub(crate) wall: WallError,
    pub(crate) options: WorldOptions,
    pub(crate) frozen: bool,
    pub(crate) disk_events: u64,
    pub(crate) crash_at: Option<u64>,
    pub(crate) watching: bool,
    pub(crate) crash_points: Vec<CrashPoint>,
    /// Jobs that are threads.
    pub(crate) batons: Vec<Arc<Baton>>,
    next_change: u64,
    in_flight: BTreeSet<ChangeId>,
}

impl State {
    /// Numbers a change that is submitted now; it is in flight until [`State::completed`].
    pub(crate) fn submit(&mut self) -> ChangeId {
        let change = self.number_change();
        self.in_flight.insert(change);
        change
    }

    /// Numbers a change that is done before anything else happens.
    fn number_change(&mut self) -> ChangeId {
        let change = ChangeId(self.next_change);
        self.next_change += 1;
        change
    }

    pub(crate) fn completed(&mut self, change: ChangeId) {
        self.in_flight.remove(&change);
    }

    /// What a flush that is submitted now covers.
    pub(crate) fn coverage(&self) -> Coverage {
        let below = ChangeId(self.next_change);
        Coverage { below, in_flight: self.in_flight.clone(), linked: Vec::new() }
    }

    /// Counts a change of the disk that is about to happen.
    fn disk_event(&mut self, kind: DiskOperation, detail: u64) -> Result<(), DiskError> {
        if self.frozen {
            return Err(DiskError::Closed);
        }
        if self.watching {
            let disk = self.disk.clone();
            self.crash_points.push(CrashPoint { event: self.disk_events, disk });
        }
        if self.crash_at == Some(self.disk_events) {
            self.frozen = true;
            return Err(DiskError::Closed);
        }
        self.disk_events += 1;
        self.trace.fold(kind as u64 + 100);
        self.trace.fold(detail);
        Ok(())
    }

    fn check(
        &mut self,
        operation: DiskOperation,
        path: &Path,
        offset: u64,
    ) -> Result<(), DiskError> {
        if self.frozen {
            return Err(DiskError::Closed);
        }
        self.faults.meet(operation, path, offset)
    }
}

struct Closer {
    handles: Arc<AtomicUsize>,
}

impl FileCloser for Closer {
    fn close(&self, _raw: u64) {
        self.handles.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Machine {
    pub(crate) fn new(options: WorldOptions, disk: DiskState) -> Machine {
        let mut prng = Prng::new(options.seed);
        let wall = WallError {
            drift: prng.below(401) as i64 - 200,
            offset: prng.below(20_000_000) as i64 - 10_000_000,
        };
        let state = State {
            now: 1,
            queue: EventQueue::default(),
            trace: TraceHash::default(),
            disk,
            faults: Faults::default(),
            wall,
            frozen: false,
            disk_events: 0,
            crash_at: None,
            watching: false,
            crash_points: Vec::new(),
            batons: Vec::new(),
            next_change: 0,
            in_flight: BTreeSet::new(),
            prng,
            options,
        };
        Machine { state: Mutex::new(state), open_handles: Mutex::default() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A test that panicked in a job must not hide its message behind a poisoned lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> u64 {
        self.lock().now
    }

    /// Draws below a bound.
    pub(crate) fn draw(&self, bound: u64) -> u64 {
        self.lock().prng.below(bound)
    }

    pub(crate) fn schedule_at(&self, due: u64, event: impl FnOnce(&Arc<Machine>) + Send + 'static) {
        let mut state = self.lock();
        let tie = state.prng.next_u64();
        state.queue.add(due, tie, Box::new(event));
    }

    /// Schedules what a device does: soon, now and then late, rarely very late.
    pub(crate) fn schedule_device(&self, event: impl FnOnce(&Arc<Machine>) + Send + 'static) {
        let due = {
            let mut state = self.lock();
            let latency = state.options.disk_nanos_max;
            let stall = state.options.stall_nanos_max;
            let delay = match state.prng.below(400) {
                0 if stall > 0 => state.prng.below(stall),
                1..40 => state.prng.below(latency * 8),
                _ => state.prng.below(latency),
            };
            state.now + 1 + delay
        };
        self.schedule_at(due, event);
    }

    fn handle(&self, file: u64, path: &Path) -> FileHandle {
        let mut open = self.open_handles.lock().unwrap_or_else(PoisonError::into_inner);
        let handles = open.entry(file).or_default().clone();
        handles.fetch_add(1, Ordering::Relaxed);
        FileHandle::new(file, path.into(), Arc::new(Closer { handles }))
    }

    fn collect(&self, state: &mut State) {
        let mut open = self.open_handles.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, handles| handles.load(Ordering::Relaxed) > 0);
        state.disk.collect(&|file| open.contains_key(&file));
    }

    // --- what the disk does, at the moment when it does it

    pub(crate) fn open(
        &self,
        path: &Path,
        mode: OpenMode,
        change: Option<ChangeId>,
    ) -> Result<FileHandle, DiskError> {
        let file = {
            let mut state = self.lock();
            let known = state.disk.names.get(path).copied();
            match (known, mode) {
                (Some(Node::Directory), _) => {
                    panic!("{} is a directory and is opened as a file", path.display())
                }
                (Some(_), OpenMode::CreateNew) => {
                    return Err(DiskError::AlreadyExists { path: path.into() });
                }
                (Some(Node::File(file)), _) => {
                    // An old file may be opened on a device that takes no writes.
                    state.check(DiskOperation::Stat, path, 0)?;
                    file
                }
                (None, OpenMode::ReadOnly | OpenMode::ReadWrite) => {
                    state.check(DiskOperation::Stat, path, 0)?;
                    return Err(DiskError::NotFound { path: path.into() });
                }
                (None, OpenMode::CreateNew | OpenMode::CreateOrOpen) => {
                    state.check(DiskOperation::Open, path, 0)?;
                    state.disk_event(DiskOperation::Open, 0)?;
                    let change = change.unwrap_or_else(|| state.number_change());
                    let file = state.disk.create(change, path.into());
                    if file.is_multiple_of(32) {
                        self.collect(&mut state);
                    }
                    file
                }
            }
        };
        Ok(self.handle(file, path))
    }

    /// Fills the buffer's bytes in use; its length becomes what there was.
    pub(crate) fn read(
        &self,
        file: &FileHandle,
        offset: u64,
        buffer: &mut AlignedBuf,
    ) -> Result<(), DiskError> {
        platform::assert_direct(ByteOffset(offset), buffer.len());
        let mut state = self.lock();
        state.check(DiskOperation::Read, file.path(), offset)?;
        buffer.fill(POISON);
        let bytes = state.disk.file(file.raw()).read(offset, buffer);
        state.trace.fold(offset);
        buffer.set_len(bytes);
        Ok(())
    }

    pub(crate) fn write(
        &self,
        file: &FileHandle,
        offset: u64,
        bytes: &[u8],
        change: Option<ChangeId>,
    ) -> Result<(), DiskError> {
        platform::assert_direct(ByteOffset(offset), bytes.len());
        let mut state = self.lock();
        self.begin_write(&mut state, (file, DiskOperation::Write), offset, bytes.len() as u64)?;
        state.disk_event(DiskOperation::Write, offset ^ u64::from(checksum(bytes)))?;
        let change = change.unwrap_or_else(|| state.number_change());
        state.disk.file_mut(file.raw()).write(offset, bytes, change);
        Ok(())
    }

    pub(crate) fn write_zeroes(
        &self,
        file: &FileHandle,
        offset: u64,
        bytes: u64,
        change: ChangeId,
    ) -> Result<(), DiskError> {
        platform::assert_direct(ByteOffset(offset), bytes as usize);
        let mut state = self.lock();
        self.begin_write(&mut state, (file, DiskOperation::Allocate), offset, bytes)?;
        state.disk_event(DiskOperation::Allocate, offset)?;
        state.disk.file_mut(file.raw()).write_zeroes(offset, bytes, change);
        Ok(())
    }

    /// Whether the device takes a write, and has room for it.
    fn begin_write(
        &self,
        state: &mut State,
        (file, operation): (&FileHandle, DiskOperation),
        offset: u64,
        bytes: u64,
    ) -> Result<(), DiskError> {
        state.check(operation, file.path(), offset)?;
        let grows = (offset + bytes).saturating_sub(state.disk.file(file.raw()).bytes);
        self.check_space(state, grows, (operation, file.path(), offset))
    }

    fn check_space(
        &self,
        state: &State,
        grows: u64,
        (operation, path, offset): (DiskOperation, &Path, u64),
    ) -> Result<(), DiskError> {
        match state.faults.capacity {
            Some(capacity) if grows > 0 && state.disk.byte_count() + grows > capacity => {
                Err(Faults::no_space(operation, path, offset))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn sync(&self, file: &FileHandle, coverage: &Coverage) -> Result<(), DiskError> {
        let mut state = self.lock();
        state.check(DiskOperation::Sync, file.path(), 0)?;
        state.disk_event(DiskOperation::Sync, file.raw())?;
        if !state.faults.flushes_lie {
            state.disk.file_mut(file.raw()).sync(coverage);
        }
        Ok(())
    }

    pub(crate) fn set_file_bytes(&self, file: &FileHandle, bytes: u64) -> Result<(), DiskError> {
        let mut state = self.lock();
        state.check(DiskOperation::Allocate, file.path(), bytes)?;
        let grows = bytes.saturating_sub(state.disk.file(file.raw()).bytes);
        self.check_space(&state, grows, (DiskOperation::Allocate, file.path(), bytes))?;
        state.disk_event(DiskOperation::Allocate, bytes)?;
        let change = state.number_change();
        state.disk.file_mut(file.raw()).set_bytes(bytes, change);
        Ok(())
    }

    pub(crate) fn file_bytes(&self, file: &FileHandle) -> Result<ByteCount, DiskError> {
        let mut state = self.lock();
        state.check(DiskOperation::Stat, file.path(), 0)?;
        Ok(ByteCount(state.disk.file(file.raw()).bytes))
    }

    pub(crate) fn create_directory(
        &self,
        path: &Path,
        change: Option<ChangeId>,
    ) -> Result<(), DiskError> {
        let mut state = self.lock();
        let mut missing: Vec<PathBuf> = path
            .ancestors()
            .filter(|path| path.parent().is_some() && !state.disk.names.contains_key(*path))
            .map(Path::to_path_buf)
            .collect();
        while let Some(path) = missing.pop() {
            state.check(DiskOperation::CreateDirectory, &path, 0)?;
            state.disk_event(DiskOperation::CreateDirectory, 0)?;
            let change = change.unwrap_or_else(|| state.number_change());
            let node = Node::Directory;
            state.disk.change_names(change, NameChange::Set { path, node });
        }
        Ok(())
    }

    pub(crate) fn rename(
        &self,
        source: &Path,
        target: &Path,
        change: Option<ChangeId>,
    ) -> Result<(), DiskError> {
        let mut state = self.lock();
        state.check(DiskOperation::Rename, source, 0)?;
        let node = state.disk.names.get(source).copied();
        let node = node.ok_or(DiskError::NotFound { path: source.into() })?;
        state.disk_event(DiskOperation::Rename, 0)?;
        let change = change.unwrap_or_else(|| state.number_change());
        let (source, target) = (source.into(), target.into());
        state.disk.change_names(change, NameChange::Rename { source, target, node });
        Ok(())
    }

    pub(crate) fn remove(&self, path: &Path, change: Option<ChangeId>) -> Result<(), DiskError> {
        let mut state = self.lock();
        state.check(DiskOperation::Remove, path, 0)?;
        if !state.disk.names.contains_key(path) {
            return Err(DiskError::NotFound { path: path.into() });
        }
        state.disk_event(DiskOperation::Remove, 0)?;
        let change = change.unwrap_or_else(|| state.number_change());
        state.disk.change_names(change, NameChange::Remove { path: path.into() });
        Ok(())
    }

    pub(crate) fn sync_directory(
        &self,
        directory: &Path,
        coverage: &Coverage,
    ) -> Result<(), DiskError> {
        let mut state = self.lock();
        state.check(DiskOperation::Sync, directory, 0)?;
        state.disk_event(DiskOperation::Sync, u64::MAX)?;
        if !state.faults.flushes_lie {
            state.disk.sync_directory(directory, coverage);
        }
        Ok(())
    }

    pub(crate) fn list(&self, directory: &Path) -> Result<Vec<DirectoryEntry>, DiskError> {
        let mut state = self.lock();
        state.check(DiskOperation::List, directory, 0)?;
        let known = directory.parent().is_none() || state.disk.names.contains_key(directory);
        if !known {
            return Err(DiskError::NotFound { path: directory.into() });
        }
        let inside = state.disk.names.iter().filter(|(path, _)| path.parent() == Some(directory));
        let entries = inside.map(|(path, node)| {
            let name = path.file_name().expect("names inside a directory have a last part");
            let (bytes, is_directory) = match node {
                Node::File(file) => (state.disk.file(*file).bytes, false),
                Node::Directory => (0, true),
            };
            let name = name.to_string_lossy().to_string();
            DirectoryEntry { name, bytes: ByteCount(bytes), is_directory }
        });
        Ok(entries.collect())
    }

    pub(crate) fn free_bytes(&self) -> ByteCount {
        let state = self.lock();
        let used = state.disk.byte_count();
        ByteCount(state.faults.capacity.map_or(u64::MAX, |all| all.saturating_sub(used)))
    }
}
