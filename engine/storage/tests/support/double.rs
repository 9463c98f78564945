//! A machine in memory for the tests of this crate: one disk that can crash after any operation, virtual time, tasks polled in seeded order, jobs run in place.
//!
//! The disk keeps, for each 512-byte sector, what is durable and what was written since; a crash keeps any of these for each sector, and any subset of the
//! names not yet synced. Everything is a function of the seed.
#![allow(dead_code, reason = "each test file uses a part of the machine")]

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};

use platform::{
    AlignedBuf, Background, BlockIo, BlockRead, CancelFlag, Clock, Completion, Connecting,
    DirectoryEntry, Disk, DiskError, DiskOperation, FileCloser, FileHandle, Job, JobClass,
    JobRefused, Listener, MonotonicNanos, Network, OpenMode, Platform, PublishedSlots, ReadDone,
    SchedulingClass, SocketError, Spawner, TaskKey, TimerKey, WriteAndSync, completion,
};
use types::prng::Prng;
use types::{ByteCount, ByteOffset};

const SECTOR: usize = 512;

#[derive(Clone, Default)]
struct Contents {
    /// What reads see.
    visible: Vec<u8>,
    /// What each sector written since the last flush held before and in between, oldest first.
    pending: BTreeMap<usize, Vec<Vec<u8>>>,
    durable_length: usize,
}

#[derive(Clone, Default)]
struct DiskState {
    /// File number → contents.
    files: BTreeMap<u64, Contents>,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    next_file: u64,
}

/// What a test makes the disk do.
#[derive(Default)]
struct Faults {
    /// Operations until the machine stops; nothing: never.
    operations_left: Option<u64>,
    crashed: bool,
    /// Bytes that files may have together.
    capacity: Option<usize>,
    /// Writes and flushes fail.
    device_failed: bool,
}

struct Event {
    due: u64,
    run: Box<dyn FnOnce() + Send>,
}

struct Shared {
    disk: Mutex<DiskState>,
    faults: Mutex<Faults>,
    now: Mutex<u64>,
    events: Mutex<Vec<Event>>,
    prng: Mutex<Prng>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no test thread panics while it holds a lock")
}

/// The disk of a machine after it stopped.
#[derive(Clone, Default)]
pub struct Image {
    disk: DiskState,
}

impl Image {
    /// Flips one bit of a file.
    pub fn flip(&mut self, name: &str, byte: usize, bit: u8) {
        let (_, file) =
            self.disk.names.iter().find(|(path, _)| path.ends_with(name)).expect("named");
        self.disk.files.get_mut(file).expect("there").visible[byte] ^= 1 << bit;
    }

    /// Names and lengths of all files.
    pub fn files(&self) -> Vec<(String, usize)> {
        let name = |path: &PathBuf| path.file_name().expect("a file").to_string_lossy().to_string();
        self.disk
            .names
            .iter()
            .filter_map(|(path, file)| Some((name(path), self.disk.files.get(file)?.visible.len())))
            .collect()
    }
}

impl Shared {
    /// Counts an operation; an error once the machine has stopped.
    fn step(&self) -> Result<(), DiskError> {
        let mut faults = lock(&self.faults);
        if faults.crashed {
            return Err(DiskError::Closed);
        }
        if let Some(left) = &mut faults.operations_left {
            if *left == 0 {
                faults.crashed = true;
                return Err(DiskError::Closed);
            }
            *left -= 1;
        }
        Ok(())
    }

    /// The error of a failed device, if it has failed.
    fn check_device(&self, operation: DiskOperation, file: &FileHandle) -> Result<(), DiskError> {
        if lock(&self.faults).device_failed {
            return Err(DiskError::Device {
                operation,
                path: file.path().into(),
                offset: ByteOffset(0),
                source: Arc::new(std::io::Error::other("the device failed")),
            });
        }
        Ok(())
    }

    fn open(self: &Arc<Self>, path: &Path, mode: OpenMode) -> Result<FileHandle, DiskError> {
        self.step()?;
        let mut disk = lock(&self.disk);
        let known = disk.names.get(path).copied();
        let file = match (known, mode) {
            (Some(_), OpenMode::CreateNew) => {
                return Err(DiskError::AlreadyExists { path: path.into() });
            }
            (Some(file), _) => file,
            (None, OpenMode::ReadOnly | OpenMode::ReadWrite) => {
                return Err(DiskError::NotFound { path: path.into() });
            }
            (None, _) => {
                disk.next_file += 1;
                let file = disk.next_file;
                disk.files.insert(file, Contents::default());
                disk.names.insert(path.into(), file);
                file
            }
        };
        Ok(FileHandle::new(file, path.into(), Arc::new(Closer)))
    }

    fn read(&self, file: &FileHandle, offset: u64, bytes: usize) -> Result<AlignedBuf, DiskError> {
        self.step()?;
        let disk = lock(&self.disk);
        let contents = &disk.files[&file.raw()].visible;
        let start = (offset as usize).min(contents.len());
        let end = (start + bytes).min(contents.len());
        let mut buffer = AlignedBuf::zeroed(bytes.max(1));
        buffer[..end - start].copy_from_slice(&contents[start..end]);
        buffer.set_len(end - start);
        Ok(buffer)
    }

    fn write(&self, file: &FileHandle, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        platform::assert_direct(ByteOffset(offset), bytes.len());
        self.check_device(DiskOperation::Write, file)?;
        let stopped = self.step();
        let mut disk = lock(&self.disk);
        let capacity = lock(&self.faults).capacity;
        let used: usize = disk.files.values().map(|contents| contents.visible.len()).sum();
        let contents = disk.files.get_mut(&file.raw()).expect("an open file is there");
        let end = offset as usize + bytes.len();
        let grows = end.saturating_sub(contents.visible.len());
        if capacity.is_some_and(|capacity| grows > 0 && used + grows > capacity) {
            return Err(DiskError::NoSpace {
                operation: DiskOperation::Write,
                path: file.path().into(),
                offset: ByteOffset(offset),
                source: Arc::new(std::io::Error::other("full")),
            });
        }
        // A write that the crash meets may have reached the device in part.
        if contents.visible.len() < end {
            contents.visible.resize(end, 0);
        }
        for (index, sector) in bytes.chunks(SECTOR).enumerate() {
            let number = offset as usize / SECTOR + index;
            let at = number * SECTOR;
            let before = contents.visible[at..at + SECTOR].to_vec();
            contents.pending.entry(number).or_default().push(before);
            contents.visible[at..at + SECTOR].copy_from_slice(sector);
        }
        stopped
    }

    fn sync(&self, file: &FileHandle) -> Result<(), DiskError> {
        self.check_device(DiskOperation::Sync, file)?;
        self.step()?;
        let mut disk = lock(&self.disk);
        let contents = disk.files.get_mut(&file.raw()).expect("an open file is there");
        contents.pending.clear();
        contents.durable_length = contents.visible.len();
        Ok(())
    }

    fn set_length(&self, file: &FileHandle, bytes: u64) -> Result<(), DiskError> {
        self.step()?;
        let mut disk = lock(&self.disk);
        let contents = disk.files.get_mut(&file.raw()).expect("an open file is there");
        let length = (bytes as usize).next_multiple_of(SECTOR);
        contents.visible.resize(length, 0);
        contents.visible.truncate(bytes as usize);
        contents.pending.retain(|sector, _| (sector + 1) * SECTOR <= bytes as usize);
        Ok(())
    }

    fn rename(&self, source: &Path, target: &Path) -> Result<(), DiskError> {
        self.step()?;
        let mut disk = lock(&self.disk);
        let file = disk.names.remove(source).ok_or(DiskError::NotFound { path: source.into() })?;
        disk.names.insert(target.into(), file);
        Ok(())
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        self.step()?;
        let removed = lock(&self.disk).names.remove(path);
        removed.map(|_| ()).ok_or(DiskError::NotFound { path: path.into() })
    }

    fn sync_directory(&self, directory: &Path) -> Result<(), DiskError> {
        self.step()?;
        let mut disk = lock(&self.disk);
        let inside = |path: &Path| path.parent() == Some(directory);
        disk.durable_names.retain(|path, _| !inside(path));
        let now: Vec<(PathBuf, u64)> = disk
            .names
            .iter()
            .filter(|(path, _)| inside(path))
            .map(|(path, file)| (path.clone(), *file))
            .collect();
        disk.durable_names.extend(now);
        Ok(())
    }

    fn list(&self, directory: &Path) -> Result<Vec<DirectoryEntry>, DiskError> {
        self.step()?;
        let disk = lock(&self.disk);
        Ok(disk
            .names
            .iter()
            .filter(|(path, _)| path.parent() == Some(directory))
            .map(|(path, file)| DirectoryEntry {
                name: path.file_name().expect("a file").to_string_lossy().to_string(),
                bytes: ByteCount(disk.files[file].visible.len() as u64),
                is_directory: false,
            })
            .collect())
    }

    fn file_bytes(&self, file: &FileHandle) -> Result<ByteCount, DiskError> {
        self.step()?;
        Ok(ByteCount(lock(&self.disk).files[&file.raw()].visible.len() as u64))
    }

    fn at_random_time(&self, run: impl FnOnce() + Send + 'static) {
        let delay = 1_000 + lock(&self.prng).below(200_000);
        let due = *lock(&self.now) + delay;
        lock(&self.events).push(Event { due, run: Box::new(run) });
    }
}

struct Closer;
impl FileCloser for Closer {
    fn close(&self, _raw: u64) {}
}

struct DoubleDisk(Arc<Shared>);

impl DoubleDisk {
    fn later<T: Send + 'static>(
        &self,
        run: impl FnOnce(&Arc<Shared>) -> Result<T, DiskError> + Send + 'static,
    ) -> Completion<Result<T, DiskError>> {
        let (completer, completed) = completion(|| Err(DiskError::Closed));
        let shared = self.0.clone();
        self.0.at_random_time(move || completer.complete(run(&shared)));
        completed
    }
}

impl Disk for DoubleDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> Completion<Result<FileHandle, DiskError>> {
        let path = path.to_path_buf();
        self.later(move |shared| shared.open(&path, mode))
    }
    fn read_at(
        &self,
        file: &FileHandle,
        offset: ByteOffset,
        buffer: AlignedBuf,
    ) -> Completion<Result<ReadDone, DiskError>> {
        platform::assert_direct(offset, buffer.len());
        let file = file.clone();
        self.later(move |shared| {
            let buffer = shared.read(&file, offset.0, buffer.len())?;
            Ok(ReadDone { bytes_read: buffer.len(), buffer })
        })
    }
    fn write_at(
        &self,
        file: &FileHandle,
        offset: ByteOffset,
        buffer: AlignedBuf,
    ) -> Completion<Result<AlignedBuf, DiskError>> {
        let file = file.clone();
        self.later(move |shared| shared.write(&file, offset.0, &buffer).map(|()| buffer))
    }
    fn write_and_sync(
        &self,
        file: &FileHandle,
        writes: WriteAndSync,
    ) -> Completion<Result<Vec<AlignedBuf>, DiskError>> {
        let file = file.clone();
        let (completer, completed) = completion(|| Err(DiskError::Closed));
        let shared = self.0.clone();
        self.0.at_random_time(move || {
            for (offset, buffer) in &writes {
                if let Err(error) = shared.write(&file, offset.0, buffer) {
                    return completer.complete(Err(error));
                }
            }
            let again = shared.clone();
            shared.at_random_time(move || {
                let buffers = writes.into_iter().map(|(_, buffer)| buffer).collect();
                completer.complete(again.sync(&file).map(|()| buffers));
            });
        });
        completed
    }
    fn sync(&self, file: &FileHandle) -> Completion<Result<(), DiskError>> {
        let file = file.clone();
        self.later(move |shared| shared.sync(&file))
    }
    fn file_bytes(&self, file: &FileHandle) -> Completion<Result<ByteCount, DiskError>> {
        let file = file.clone();
        self.later(move |shared| shared.file_bytes(&file))
    }
    fn allocate_zeroed(
        &self,
        file: &FileHandle,
        offset: ByteOffset,
        bytes: ByteCount,
    ) -> Completion<Result<(), DiskError>> {
        let file = file.clone();
        self.later(move |shared| {
            shared.write(&file, offset.0, &vec![0; bytes.0 as usize])?;
            shared.sync(&file)
        })
    }
    fn create_directory(&self, _path: &Path) -> Completion<Result<(), DiskError>> {
        self.later(|shared| shared.step())
    }
    fn rename(&self, source: &Path, target: &Path) -> Completion<Result<(), DiskError>> {
        let (source, target) = (source.to_path_buf(), target.to_path_buf());
        self.later(move |shared| shared.rename(&source, &target))
    }
    fn remove(&self, path: &Path) -> Completion<Result<(), DiskError>> {
        let path = path.to_path_buf();
        self.later(move |shared| shared.remove(&path))
    }
    fn sync_directory(&self, directory: &Path) -> Completion<Result<(), DiskError>> {
        let directory = directory.to_path_buf();
        self.later(move |shared| shared.sync_directory(&directory))
    }
    fn list(&self, directory: &Path) -> Completion<Result<Vec<DirectoryEntry>, DiskError>> {
        let directory = directory.to_path_buf();
        self.later(move |shared| shared.list(&directory))
    }
}

struct DoubleBlockIo(Arc<Shared>);

impl BlockIo for DoubleBlockIo {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<FileHandle, DiskError> {
        self.0.open(path, mode)
    }
    fn read_many(&self, reads: &[BlockRead]) -> Result<Vec<AlignedBuf>, DiskError> {
        reads.iter().map(|read| self.0.read(&read.file, read.offset.0, read.bytes)).collect()
    }
    fn write_at(
        &self,
        file: &FileHandle,
        offset: ByteOffset,
        buffer: &AlignedBuf,
    ) -> Result<(), DiskError> {
        self.0.write(file, offset.0, buffer)
    }
    fn sync(&self, file: &FileHandle) -> Result<(), DiskError> {
        self.0.sync(file)
    }
    fn file_bytes(&self, file: &FileHandle) -> Result<ByteCount, DiskError> {
        self.0.file_bytes(file)
    }
    fn set_file_bytes(&self, file: &FileHandle, bytes: ByteCount) -> Result<(), DiskError> {
        self.0.set_length(file, bytes.0)
    }
    fn create_directory(&self, _path: &Path) -> Result<(), DiskError> {
        self.0.step()
    }
    fn rename(&self, source: &Path, target: &Path) -> Result<(), DiskError> {
        self.0.rename(source, target)
    }
    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        self.0.remove(path)
    }
    fn sync_directory(&self, directory: &Path) -> Result<(), DiskError> {
        self.0.sync_directory(directory)
    }
    fn list(&self, directory: &Path) -> Result<Vec<DirectoryEntry>, DiskError> {
        self.0.list(directory)
    }
    fn free_bytes(&self, _directory: &Path) -> Result<ByteCount, DiskError> {
        Ok(ByteCount(u64::MAX))
    }
}

struct DoubleBackground(Arc<Shared>);

impl Background for DoubleBackground {
    fn spawn(&self, _class: JobClass, cancel: CancelFlag, job: Job) -> Result<(), JobRefused> {
        let shared = self.0.clone();
        self.0.at_random_time(move || job(&DoubleBlockIo(shared), &cancel));
        Ok(())
    }
    fn block_io(&self, _class: JobClass) -> Arc<dyn BlockIo> {
        Arc::new(DoubleBlockIo(self.0.clone()))
    }
    fn adopt_current_thread(&self, _class: JobClass) {}
    fn core_count(&self) -> usize {
        1
    }
}

struct DoubleClock(Arc<Shared>);

impl Clock for DoubleClock {
    fn wall_micros(&self) -> u64 {
        1_700_000_000_000_000 + *lock(&self.0.now) / 1000
    }
    fn monotonic(&self) -> MonotonicNanos {
        MonotonicNanos(*lock(&self.0.now))
    }
}

struct NoNetwork;

impl Network for NoNetwork {
    fn listen(&self, address: SocketAddr) -> Result<Rc<dyn Listener>, SocketError> {
        let source = Arc::new(std::io::Error::other("no network here"));
        Err(SocketError::AddressUnavailable { address, source })
    }

    fn start_connect(&self, address: SocketAddr) -> Result<Box<dyn Connecting>, SocketError> {
        Err(SocketError::from_connect(address, std::io::Error::other("no network here")))
    }
}

struct TaskWaker(AtomicBool);

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Task {
    key: TaskKey,
    future: Pin<Box<dyn Future<Output = ()>>>,
    waker: Arc<TaskWaker>,
}

struct DoubleSpawner {
    shared: Arc<Shared>,
    incoming: RefCell<VecDeque<Task>>,
    timers: RefCell<BTreeMap<(u64, u64), Waker>>,
    next_key: RefCell<u64>,
}

impl DoubleSpawner {
    fn next_key(&self) -> u64 {
        *self.next_key.borrow_mut() += 1;
        *self.next_key.borrow()
    }
}

impl Spawner for DoubleSpawner {
    fn spawn_boxed(
        &self,
        _class: SchedulingClass,
        _name: &'static str,
        future: Pin<Box<dyn Future<Output = ()>>>,
    ) -> TaskKey {
        let key = TaskKey(self.next_key());
        let waker = Arc::new(TaskWaker(AtomicBool::new(true)));
        self.incoming.borrow_mut().push_back(Task { key, future, waker });
        key
    }
    fn cancel(&self, _task: TaskKey) {
        unimplemented_here("cancel");
    }
    fn now(&self) -> MonotonicNanos {
        MonotonicNanos(*lock(&self.shared.now))
    }
    fn add_timer(&self, deadline: MonotonicNanos, waker: Waker) -> TimerKey {
        let key = self.next_key();
        self.timers.borrow_mut().insert((deadline.0, key), waker);
        TimerKey(key)
    }
    fn cancel_timer(&self, timer: TimerKey) {
        self.timers.borrow_mut().retain(|(_, key), _| *key != timer.0);
    }
    fn should_yield(&self) -> bool {
        false
    }
    fn on_loop_end(&self, _hook: Box<dyn FnMut()>) {
        unimplemented_here("on_loop_end");
    }
}

fn unimplemented_here(what: &str) -> ! {
    panic!("storage does not use {what}")
}

/// A machine with one core.
pub struct Machine {
    shared: Arc<Shared>,
    spawner: Rc<DoubleSpawner>,
    tasks: Vec<Task>,
}

/// The machine stopped before the future was done.
#[derive(Debug)]
pub struct Crashed;

impl Machine {
    /// A machine with this disk.
    pub fn new(seed: u64, image: Image) -> Machine {
        let shared = Arc::new(Shared {
            disk: Mutex::new(image.disk),
            faults: Mutex::new(Faults::default()),
            now: Mutex::new(1),
            events: Mutex::new(Vec::new()),
            prng: Mutex::new(Prng::new(seed)),
        });
        let spawner = Rc::new(DoubleSpawner {
            shared: shared.clone(),
            incoming: RefCell::new(VecDeque::new()),
            timers: RefCell::new(BTreeMap::new()),
            next_key: RefCell::new(0),
        });
        Machine { shared, spawner, tasks: Vec::new() }
    }

    /// Stops the machine after so many more disk operations.
    pub fn crash_after(&self, operations: u64) {
        lock(&self.shared.faults).operations_left = Some(operations);
    }

    /// Bounds the bytes of all files.
    pub fn set_capacity(&self, capacity: Option<usize>) {
        lock(&self.shared.faults).capacity = capacity;
    }

    /// Bytes of all files.
    pub fn disk_bytes(&self) -> usize {
        lock(&self.shared.disk).files.values().map(|contents| contents.visible.len()).sum()
    }

    /// Makes every write and flush fail.
    pub fn fail_device(&self) {
        lock(&self.shared.faults).device_failed = true;
    }

    /// Lets the device answer again.
    pub fn heal_device(&self) {
        lock(&self.shared.faults).device_failed = false;
    }

    /// What storage sees of it.
    pub fn platform(&self) -> Platform {
        Platform {
            disk: Rc::new(DoubleDisk(self.shared.clone())),
            clock: Arc::new(DoubleClock(self.shared.clone())),
            spawner: self.spawner.clone(),
            network: Rc::new(NoNetwork),
            background: Arc::new(DoubleBackground(self.shared.clone())),
            slots: PublishedSlots::new(1),
        }
    }

    /// Runs until the future is done or the machine stops.
    pub fn run<T: 'static>(
        &mut self,
        future: impl Future<Output = T> + 'static,
    ) -> Result<T, Crashed> {
        let result: Rc<RefCell<Option<T>>> = Rc::default();
        let slot = result.clone();
        self.spawner.spawn_boxed(
            SchedulingClass::Foreground,
            "test",
            Box::pin(async move {
                let value = future.await;
                *slot.borrow_mut() = Some(value);
            }),
        );
        for _ in 0..400_000 {
            if let Some(value) = result.borrow_mut().take() {
                return Ok(value);
            }
            if lock(&self.shared.faults).crashed {
                return Err(Crashed);
            }
            self.turn();
        }
        panic!("nothing makes progress");
    }

    /// Lets so much virtual time pass.
    pub fn pass(&mut self, nanos: u64) -> Result<(), Crashed> {
        let spawner: Rc<dyn Spawner> = self.spawner.clone();
        self.run(
            async move { platform::sleep(&spawner, std::time::Duration::from_nanos(nanos)).await },
        )
    }

    fn turn(&mut self) {
        self.tasks.extend(self.spawner.incoming.borrow_mut().drain(..));
        let ready: Vec<usize> = (0..self.tasks.len())
            .filter(|index| self.tasks[*index].waker.0.load(Ordering::Relaxed))
            .collect();
        if !ready.is_empty() {
            let chosen = ready[lock(&self.shared.prng).index(ready.len())];
            let task = &mut self.tasks[chosen];
            task.waker.0.store(false, Ordering::Relaxed);
            let waker = Waker::from(task.waker.clone());
            let done =
                task.future.as_mut().poll(&mut Context::from_waker(&waker)) == Poll::Ready(());
            if done {
                let task = self.tasks.remove(chosen);
                drop((task.key, task));
            }
            return;
        }
        self.advance();
    }

    /// Runs the next event or timer.
    fn advance(&mut self) {
        let event = {
            let events = lock(&self.shared.events);
            (0..events.len()).min_by_key(|index| events[*index].due)
        };
        let event_due = event.map(|index| lock(&self.shared.events)[index].due);
        let timer = self.spawner.timers.borrow().keys().next().copied();
        match (event_due, timer) {
            (Some(due), timer) if timer.is_none_or(|(deadline, _)| due <= deadline) => {
                let index = event.expect("it has a due time");
                let event = lock(&self.shared.events).swap_remove(index);
                let mut now = lock(&self.shared.now);
                *now = (*now).max(due);
                drop(now);
                (event.run)();
            }
            (_, Some(timer)) => {
                let mut now = lock(&self.shared.now);
                *now = (*now).max(timer.0);
                drop(now);
                let waker = self.spawner.timers.borrow_mut().remove(&timer);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            _ => panic!("every task waits for something that will not come"),
        }
    }

    /// Cuts the power: what was not flushed survives in any part.
    pub fn power_cut(self) -> Image {
        let mut prng = lock(&self.shared.prng).fork();
        let mut disk = lock(&self.shared.disk).clone();
        for contents in disk.files.values_mut() {
            for (sector, mut versions) in std::mem::take(&mut contents.pending) {
                let at = sector * SECTOR;
                if at + SECTOR > contents.visible.len() {
                    continue;
                }
                versions.push(contents.visible[at..at + SECTOR].to_vec());
                let kept = prng.index(versions.len());
                contents.visible[at..at + SECTOR].copy_from_slice(&versions[kept]);
            }
        }
        let mut names = disk.durable_names.clone();
        let all: Vec<PathBuf> =
            disk.names.keys().chain(disk.durable_names.keys()).cloned().collect();
        for path in all {
            if disk.names.get(&path) != disk.durable_names.get(&path) && prng.below(2) == 0 {
                match disk.names.get(&path) {
                    Some(file) => names.insert(path, *file),
                    None => names.remove(&path),
                };
            }
        }
        disk.names.clone_from(&names);
        disk.durable_names = names;
        Image { disk }
    }

    /// Takes the disk as everybody sees it, as after kill -9.
    pub fn kill(self) -> Image {
        Image { disk: lock(&self.shared.disk).clone() }
    }
}
