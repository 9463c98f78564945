//! Work that grows with the size of the data, on low-priority threads: jobs are ordinary blocking
//! code over [`BlockIo`].
//!
//! A job is a `Send` closure. It looks at its [`CancelFlag`] between blocks. A panic in it becomes
//! [`JobError::Panicked`]; the node lives.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use types::{ByteCount, ByteOffset};

use crate::{
    AlignedBuf, Completion, DirectoryEntry, DiskError, FileHandle, JobError, OpenMode, completion,
};

/// How a job is weighed against the rest. Order is urgency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobClass {
    /// Writes wait for it sooner or later: normal weight, batch scheduling.
    Flush,
    /// Admission waits for it when debt grows: normal weight, batch scheduling.
    Compaction,
    /// A client waits, the shards do not: idle scheduling where cores are shared.
    Scan,
    /// Nobody waits: idle scheduling.
    Optional,
}

impl JobClass {
    /// All classes, most urgent first.
    pub const ALL: [JobClass; 4] =
        [JobClass::Flush, JobClass::Compaction, JobClass::Scan, JobClass::Optional];
}

/// Set by whoever no longer wants a job's result; read by the job between blocks.
#[derive(Clone, Debug, Default)]
pub struct CancelFlag {
    set: Arc<AtomicBool>,
}

impl CancelFlag {
    /// A flag that is not set.
    pub fn new() -> CancelFlag {
        CancelFlag::default()
    }

    /// Asks the job to stop.
    pub fn cancel(&self) {
        self.set.store(true, Ordering::Relaxed);
    }

    /// True once the job should stop.
    pub fn is_cancelled(&self) -> bool {
        self.set.load(Ordering::Relaxed)
    }
}

/// One read of a batch. Offset and bytes are multiples of [`crate::DISK_ALIGNMENT`].
#[derive(Clone, Debug)]
pub struct BlockRead {
    /// From which file.
    pub file: FileHandle,
    /// From where.
    pub offset: ByteOffset,
    /// How much.
    pub bytes: usize,
}

/// Files for background threads: blocking calls, deeply queued inside, paced so that the shards'
/// disk latency holds. Durability is as for [`crate::Disk`]; so is alignment.
pub trait BlockIo: Send + Sync {
    /// Opens a file for direct I/O.
    fn open(&self, path: &Path, mode: OpenMode) -> Result<FileHandle, DiskError>;

    /// Reads all the blocks, many at a time; answers in the order asked. A buffer is shorter than
    /// asked only where its file ends. A large sequential read given as one block is cut up inside.
    fn read_many(&self, reads: &[BlockRead]) -> Result<Vec<AlignedBuf>, DiskError>;

    /// Writes the whole buffer. Visible, not durable.
    fn write_at(
        &self,
        file: &FileHandle,
        offset: ByteOffset,
        buffer: &AlignedBuf,
    ) -> Result<(), DiskError>;

    /// Flushes the file's data and length: covers every write that returned before the call.
    fn sync(&self, file: &FileHandle) -> Result<(), DiskError>;

    /// The file's length.
    fn file_bytes(&self, file: &FileHandle) -> Result<ByteCount, DiskError>;

    /// Cuts or extends (with a hole) the file to exactly so many bytes; for the padding after a
    /// table's last block.
    fn set_file_bytes(&self, file: &FileHandle, bytes: ByteCount) -> Result<(), DiskError>;

    /// Makes a directory and its missing parents.
    fn create_directory(&self, path: &Path) -> Result<(), DiskError>;

    /// Gives the file another name, replacing what had it.
    fn rename(&self, source: &Path, target: &Path) -> Result<(), DiskError>;

    /// Removes a file's name.
    fn remove(&self, path: &Path) -> Result<(), DiskError>;

    /// Makes the names in `directory` durable.
    fn sync_directory(&self, directory: &Path) -> Result<(), DiskError>;

    /// The names in `directory`, sorted.
    fn list(&self, directory: &Path) -> Result<Vec<DirectoryEntry>, DiskError>;

    /// Bytes that this process may still allocate on the file system of `directory`.
    fn free_bytes(&self, directory: &Path) -> Result<ByteCount, DiskError>;
}

/// What runs on a background thread.
pub type Job = Box<dyn FnOnce(&dyn BlockIo, &CancelFlag) + Send>;

/// The job came back: the queue of its class is full or the pool has shut down.
pub struct JobRefused {
    /// The job, not run.
    pub job: Job,
    /// Why: [`JobError::Refused`] or [`JobError::Closed`].
    pub reason: JobError,
}

/// The node's background threads. Shared by all cores.
pub trait Background: Send + Sync {
    /// Queues a job; never waits.
    ///
    /// # Errors
    /// [`JobRefused`] with the job when the bounded queue of its class is full.
    fn spawn(&self, class: JobClass, cancel: CancelFlag, job: Job) -> Result<(), JobRefused>;

    /// Block I/O in a class for threads that are not the pool's (those of the analytics engine).
    /// Blocking; never for a shard core.
    fn block_io(&self, class: JobClass) -> Arc<dyn BlockIo>;

    /// Gives the calling thread the cores and the weight of a class; for threads that another
    /// engine starts. Called once, at their start.
    fn adopt_current_thread(&self, class: JobClass);

    /// Background cores: how many jobs make sense at one time.
    fn core_count(&self) -> usize;
}

/// A running or queued job; a future of its result.
///
/// # Cancel safety
/// Dropping it sets the job's [`CancelFlag`]: a job whose result nobody can get stops at its next
/// look.
#[must_use = "dropping the handle cancels the job"]
pub struct JobHandle<T> {
    completion: Completion<Result<T, JobError>>,
    cancel: CancelFlag,
}

impl<T> JobHandle<T> {
    /// The flag that stops the job.
    pub fn cancel_flag(&self) -> &CancelFlag {
        &self.cancel
    }
}

impl<T> Future for JobHandle<T> {
    type Output = Result<T, JobError>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.completion).poll(cx)
    }
}

impl<T> Drop for JobHandle<T> {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// Runs a closure on a background thread and gives its result; a panic in it becomes
/// [`JobError::Panicked`], a full queue [`JobError::Refused`].
pub fn run_job<T: Send + 'static>(
    background: &dyn Background,
    class: JobClass,
    work: impl FnOnce(&dyn BlockIo, &CancelFlag) -> T + Send + 'static,
) -> JobHandle<T> {
    let cancel = CancelFlag::new();
    let (completer, completion) = completion(|| Err(JobError::Closed));
    let job: Job = Box::new(move |block_io, cancel| {
        let result = catch_unwind(AssertUnwindSafe(|| work(block_io, cancel)))
            .map_err(|payload| JobError::Panicked { message: panic_message(&*payload) });
        completer.complete(result);
    });
    match background.spawn(class, cancel.clone(), job) {
        Ok(()) => JobHandle { completion, cancel },
        Err(refused) => {
            let reason = refused.reason;
            JobHandle { completion: Completion::ready(Err(reason)), cancel }
        }
    }
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        return (*text).to_string();
    }
    payload.downcast_ref::<String>().cloned().unwrap_or_else(|| "no message".to_string())
}
