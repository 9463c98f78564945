//! Plain threads: those that do a shard's disk operations, and those that run background jobs.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use platform::{
    AlignedBuf, Background, BlockIo, CancelFlag, Completion, DirectoryEntry, Disk, DiskError,
    FileHandle, Job, JobClass, JobError, JobRefused, OpenMode, ReadDone, WriteAndSync, completion,
};
use types::{ByteCount, ByteOffset};

use crate::files::Files;
use crate::outbox::Outbox;

/// Jobs that may wait.
const QUEUED_JOBS_MAX: usize = 1024;

type Work = Box<dyn FnOnce() + Send>;

struct Queue {
    work: VecDeque<Work>,
    ending: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    arrived: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut queue = self.lock();
        loop {
            if let Some(work) = queue.work.pop_front() {
                drop(queue);
                // A panic is the work's own affair; its completer tells whoever waits.
                let _ = catch_unwind(AssertUnwindSafe(work));
                queue = self.lock();
            } else if queue.ending {
                return;
            } else {
                queue = self.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

/// Some threads with one queue.
pub(crate) struct Threads {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Threads {
    pub(crate) fn start(name: &str, count: usize) -> io::Result<Threads> {
        let queue = Mutex::new(Queue { work: VecDeque::new(), ending: false });
        let shared = Arc::new(Shared { queue, arrived: Condvar::new() });
        let threads: io::Result<Vec<_>> = (0..count)
            .map(|_| {
                let shared = shared.clone();
                std::thread::Builder::new().name(name.to_string()).spawn(move || shared.run())
            })
            .collect();
        Ok(Threads { shared, threads: Mutex::new(threads?) })
    }

    /// Gives the work back when the queue is at `limit`.
    fn push(&self, work: Work, limit: usize) -> Result<(), Work> {
        let mut queue = self.shared.lock();
        if queue.work.len() >= limit || queue.ending {
            return Err(work);
        }
        queue.work.push_back(work);
        drop(queue);
        self.shared.arrived.notify_one();
        Ok(())
    }

    /// Drops what waits, ends after what runs.
    pub(crate) fn end(&self) {
        let dropped = {
            let mut queue = self.shared.lock();
            queue.ending = true;
            std::mem::take(&mut queue.work)
        };
        drop(dropped);
        self.shared.arrived.notify_all();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // Panics of the work are caught.
            let _ = thread.join();
        }
    }
}

/// The background pool: flushes and compactions on one queue, scans and optional work on another.
pub(crate) struct BackgroundThreads {
    pub(crate) urgent: Threads,
    pub(crate) patient: Threads,
    pub(crate) files: Files,
    pub(crate) cores: usize,
}

impl BackgroundThreads {
    fn queue_of(&self, class: JobClass) -> &Threads {
        match class {
            JobClass::Flush | JobClass::Compaction => &self.urgent,
            JobClass::Scan | JobClass::Optional => &self.patient,
        }
    }
}

impl Background for BackgroundThreads {
    fn spawn(&self, class: JobClass, cancel: CancelFlag, job: Job) -> Result<(), JobRefused> {
        // The job is kept apart from its closure, so that a refusal can give it back.
        let place = Arc::new(Mutex::new(Some(job)));
        let (taken, files) = (place.clone(), self.files.clone());
        let work = Box::new(move || {
            let job = taken.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(job) = job {
                job(&files, &cancel);
            }
        });
        if self.queue_of(class).push(work, QUEUED_JOBS_MAX).is_ok() {
            return Ok(());
        }
        let job = place.lock().unwrap_or_else(PoisonError::into_inner).take();
        Err(JobRefused { job: job.expect("refused work has not run"), reason: JobError::Refused })
    }

    fn block_io(&self, _class: JobClass) -> Arc<dyn BlockIo> {
        Arc::new(self.files.clone())
    }

    /// Threads keep the weight they have: this driver does not weigh.
    fn adopt_current_thread(&self, _class: JobClass) {}

    fn core_count(&self) -> usize {
        self.cores
    }
}

/// [`platform::Disk`]: each operation on one of the node's file threads.
pub(crate) struct ThreadedDisk {
    pub(crate) files: Files,
    pub(crate) threads: Arc<Threads>,
    pub(crate) outbox: Rc<Outbox>,
}

impl ThreadedDisk {
    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Files) -> Result<T, DiskError> + Send + 'static,
    ) -> Completion<Result<T, DiskError>> {
        let (completer, completion) = completion(|| Err(DiskError::Closed));
        let (files, threads) = (self.files.clone(), self.threads.clone());
        self.outbox.push(move || {
            let work = Box::new(move || completer.complete(work(&files)));
            // Bounded by the tasks that wait; work refused at the end says so by its completer.
            let _ = threads.push(work, usize::MAX);
        });
        completion
    }
}

impl Disk for ThreadedDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> Completion<Result<FileHandle, DiskError>> {
        let path = path.to_path_buf();
        self.run(move |files| files.open(&path, mode))
    }

    fn read_at(
        &self,
        file: &FileHandle,
        offset: ByteOffset,
        mut buffer: AlignedBuf,
    ) -> Completion<Result<ReadDone, DiskError>> {
        let file = file.clone();
        self.run(move |files| {
            let bytes_read = files.read_at(&file, offset, &mut buffer)?;
            Ok(ReadDone { buffer, bytes_read })
        })
    }

    fn write_at(
        &self,
        file: &FileHandle,
        offset: ByteOffset,
        buffer: AlignedBuf,
    ) -> Completion<Result<AlignedBuf, DiskError>> {
        let file = file.clone();
        self.run(move |files| files.write_at(&file, offset, &buffer).map(|()| buffer))
    }

    fn write_and_sync(
        &self,
        file: &FileHandle,
        writes: WriteAndSync,
    ) -> Completion<Result<Vec<AlignedBuf>, DiskError>> {
        let file = file.clone();
        self.run(move |files| {
            for (offset, buffer) in &writes {
                files.write_at(&file, *offset, buffer)?;
            }
            files.sync(&file)?;
            Ok(writes.into_iter().map(|(_, buffer)| buffer).collect())
        })
    }

    fn sync(&self, file: &FileHandle) -> Completion<Result<(), DiskError>> {
        let file = file.clone();
        self.run(move |files| files.sync(&file))
    }

    fn file_bytes(&self, file: &FileHandle) -> Completion<Result<ByteCount, DiskError>> {
        let file = file.clone();
        self.run(move |files| files.file_bytes(&file))
    }

    fn allocate_zeroed(
        &self,
        file: &FileHandle,
        offset: ByteOffset,
        bytes: ByteCount,
    ) -> Completion<Result<(), DiskError>> {
        let file = file.clone();
        self.run(move |files| files.allocate_zeroed(&file, offset, bytes))
    }

    fn create_directory(&self, path: &Path) -> Completion<Result<(), DiskError>> {
        let path = path.to_path_buf();
        self.run(move |files| files.create_directory(&path))
    }

    fn rename(&self, source: &Path, target: &Path) -> Completion<Result<(), DiskError>> {
        let (source, target) = (source.to_path_buf(), target.to_path_buf());
        self.run(move |files| files.rename(&source, &target))
    }

    fn remove(&self, path: &Path) -> Completion<Result<(), DiskError>> {
        let path = path.to_path_buf();
        self.run(move |files| files.remove(&path))
    }

    fn sync_directory(&self, directory: &Path) -> Completion<Result<(), DiskError>> {
        let directory = directory.to_path_buf();
        self.run(move |files| files.sync_directory(&directory))
    }

    fn list(&self, directory: &Path) -> Completion<Result<Vec<DirectoryEntry>, DiskError>> {
        let directory = directory.to_path_buf();
        self.run(move |files| files.list(&directory))
    }
}
