//! [`platform::Disk`] on a core's ring: direct reads and writes, and a write linked with its flush.
//!
//! A short read or write is continued, an interrupted one repeated; a flush cancelled because its
//! write was short is submitted again after the write is whole. Any other error ends the operation
//! and is never retried. Operations on names and lengths are rare; they run on the node's file
//! thread ([`crate::files`]).
//!
//! Why not one durable write (`RWF_DSYNC`) in place of the pair: on a device with a volatile cache and
//! no forced unit access the kernel flushes for it in a worker bound to the CPU that took the
//! interrupt. On idle CPUs that saved two thirds of the processor time of a flush (19 against 70 us
//! for 4 KiB), but beside any thread that keeps that CPU busy, our own scans among them, the median
//! went from 0.18 ms to 4 ms, a time slice (`examples/flush` beside a compiler). The linked flush
//! runs on threads that may go to any CPU.
//!
//! Cost: one write and its flush are two entries in the core's next submission; one allocation for
//! the completion and one for the group.

use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use platform::{
    AlignedBuf, Completer, Completion, DISK_ALIGNMENT, DirectoryEntry, Disk, DiskError,
    DiskOperation, FileHandle, OpenMode, ReadDone, WriteAndSync, assert_direct, completion,
};
use types::{ByteCount, ByteOffset};

use super::SharedDriver;
use super::ring::{Finished, Operation, Ring, Tag};
use crate::background::io_budget::ShardLatency;
use crate::files::FileThread;
use crate::slab::Slab;

struct PendingRead {
    completer: Completer<Result<ReadDone, DiskError>>,
    started: Instant,
}

enum WriteCompleter {
    Written(Completer<Result<AlignedBuf, DiskError>>),
    WrittenAndSynced(Completer<Result<Vec<AlignedBuf>, DiskError>>),
    Synced(Completer<Result<(), DiskError>>),
}

/// Where a group's flush stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flush {
    /// The group asked for none, or it is done.
    NotNeeded,
    /// To be submitted when all writes are whole.
    Needed,
    /// In flight; covers all writes of the group if it succeeds.
    InFlight,
}

/// Writes that are answered together, with the flush behind them.
struct WriteGroup {
    file: FileHandle,
    buffers: Vec<Option<AlignedBuf>>,
    in_flight: usize,
    flush: Flush,
    failure: Option<DiskError>,
    completer: WriteCompleter,
    started: Instant,
}

/// The disk operations in flight on one core.
pub(crate) struct DiskTable {
    reads: Slab<PendingRead>,
    groups: Slab<WriteGroup>,
    latency: Arc<ShardLatency>,
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN))
}

impl DiskTable {
    pub(crate) fn new(latency: Arc<ShardLatency>) -> DiskTable {
        DiskTable { reads: Slab::new(), groups: Slab::new(), latency }
    }

    /// Drops every completer, which fails what waits with [`DiskError::Closed`].
    pub(crate) fn close(&mut self) {
        self.reads = Slab::new();
        self.groups = Slab::new();
    }

    fn start_read(
        &mut self,
        ring: &mut Ring,
        operation: Operation,
        completer: Completer<Result<ReadDone, DiskError>>,
    ) {
        let index = self.reads.insert(PendingRead { completer, started: Instant::now() });
        ring.start(Tag::Read(index), operation);
    }

    fn start_group(
        &mut self,
        ring: &mut Ring,
        file: FileHandle,
        writes: WriteAndSync,
        flush: Flush,
        completer: WriteCompleter,
    ) {
        let count = writes.len();
        let group = self.groups.insert(WriteGroup {
            file: file.clone(),
            buffers: (0..count).map(|_| None).collect(),
            in_flight: count,
            flush,
            failure: None,
            completer,
            started: Instant::now(),
        });
        let write = |(part, (offset, buffer)): (usize, (ByteOffset, AlignedBuf))| {
            let tag = Tag::WritePart { group, part: part as u32 };
            (tag, Operation::Write { file: file.clone(), offset, buffer, written: 0 })
        };
        if count == 1 && flush == Flush::Needed {
            let first = writes.into_iter().next().expect("counted as one");
            let pending = self.groups.get_mut(group).expect("just inserted");
            pending.flush = Flush::InFlight;
            pending.in_flight += 1;
            let sync = (Tag::Sync(group), Operation::Sync { file: file.clone() });
            ring.start_linked(write((0, first)), sync);
            return;
        }
        for queued in writes.into_iter().enumerate() {
            let (tag, operation) = write(queued);
            ring.start(tag, operation);
        }
        self.settle(ring, group);
    }

    pub(crate) fn on_finished(&mut self, done: Finished, ring: &mut Ring) {
        match done.tag {
            Tag::Read(index) => self.on_read(index, done, ring),
            Tag::WritePart { group, part } => {
                self.on_write(group, part, done, ring);
                self.settle(ring, group);
            }
            Tag::Sync(group) => {
                self.on_sync(group, &done);
                self.settle(ring, group);
            }
            _ => unreachable!("dispatched by tag"),
        }
    }

    fn on_read(&mut self, index: u32, done: Finished, ring: &mut Ring) {
        let error = done.error();
        let Some(Operation::Read { file, offset, mut buffer, filled }) = done.operation else {
            unreachable!("a read's only completion gives the read back")
        };
        let mut filled = filled;
        let finished = match error {
            Some(error) if is_transient(&error) => None,
            Some(error) => {
                Some(Err(DiskError::from_io(DiskOperation::Read, file.path(), offset, error)))
            }
            None => {
                filled += done.result as usize;
                // A direct read is cut inside a block only by the end of the file.
                let ended = done.result == 0 || !filled.is_multiple_of(DISK_ALIGNMENT);
                (ended || filled == buffer.len()).then_some(Ok(()))
            }
        };
        match finished {
            None => {
                ring.start(Tag::Read(index), Operation::Read { file, offset, buffer, filled });
            }
            Some(result) => {
                // Gone when the core is closing.
                let Some(read) = self.reads.remove(index) else { return };
                self.latency.observe(read.started.elapsed());
                read.completer.complete(result.map(|()| {
                    buffer.set_len(filled);
                    ReadDone { buffer, bytes_read: filled }
                }));
            }
        }
    }

    fn on_write(&mut self, index: u32, part: u32, done: Finished, ring: &mut Ring) {
        let Some(group) = self.groups.get_mut(index) else { return };
        let error = done.error();
        let Some(Operation::Write { file, offset, buffer, written }) = done.operation else {
            unreachable!("a write's only completion gives the write back")
        };
        let mut written = written;
        match error {
            Some(error) if is_transient(&error) => {}
            Some(error) => {
                group.in_flight -= 1;
                let error = DiskError::from_io(DiskOperation::Write, file.path(), offset, error);
                group.failure.get_or_insert(error);
                return;
            }
            None if done.result == 0 => {
                group.in_flight -= 1;
                let error = io::Error::from(io::ErrorKind::WriteZero);
                let error = DiskError::from_io(DiskOperation::Write, file.path(), offset, error);
                group.failure.get_or_insert(error);
                return;
            }
            None => written += done.result as usize,
        }
        if written >= buffer.len() {
            group.in_flight -= 1;
            group.buffers[part as usize] = Some(buffer);
        } else {
            let rest = Operation::Write { file, offset, buffer, written };
            ring.start(Tag::WritePart { group: index, part }, rest);
        }
    }

    fn on_sync(&mut self, index: u32, done: &Finished) {
        let Some(group) = self.groups.get_mut(index) else { return };
        group.in_flight -= 1;
        let writes_whole = group.buffers.iter().all(Option::is_some);
        match done.error() {
            None => {
                assert!(writes_whole, "a linked flush runs only after its write was whole");
                group.flush = Flush::NotNeeded;
            }
            // Its write was short or interrupted, or the flush itself was interrupted: it has said
            // nothing.
            Some(error)
                if is_transient(&error) || error.raw_os_error() == Some(libc::ECANCELED) =>
            {
                group.flush = Flush::Needed;
            }
            Some(error) => {
                let path = group.file.path();
                let error = DiskError::from_io(DiskOperation::Sync, path, ByteOffset(0), error);
                group.failure.get_or_insert(error);
                group.flush = Flush::NotNeeded;
            }
        }
    }

    /// Submits the flush when the writes are whole; answers when nothing is left to do.
    fn settle(&mut self, ring: &mut Ring, index: u32) {
        let Some(group) = self.groups.get_mut(index) else { return };
        if group.in_flight > 0 {
            return;
        }
        if group.failure.is_none() && group.flush == Flush::Needed {
            group.flush = Flush::InFlight;
            group.in_flight = 1;
            ring.start(Tag::Sync(index), Operation::Sync { file: group.file.clone() });
            return;
        }
        let group = self.groups.remove(index).expect("found above");
        self.latency.observe(group.started.elapsed());
        let result = match group.failure {
            Some(error) => Err(error),
            None => {
                Ok(group.buffers.into_iter().map(|buffer| buffer.expect("all writes are whole")))
            }
        };
        match group.completer {
            WriteCompleter::Written(completer) => completer.complete(
                result.map(|mut buffers| buffers.next().expect("this group has one write")),
            ),
            WriteCompleter::WrittenAndSynced(completer) => {
                completer.complete(result.map(Iterator::collect));
            }
            WriteCompleter::Synced(completer) => completer.complete(result.map(|_| ())),
        }
    }
}

/// A core's disk.
pub(crate) struct UringDisk {
    driver: SharedDriver,
    files: Arc<FileThread>,
}

impl UringDisk {
    pub(crate) fn new(driver: SharedDriver, files: Arc<FileThread>) -> Rc<UringDisk> {
        Rc::new(UringDisk { driver, files })
    }

    fn write_group(
        &self,
        file: &FileHandle,
        writes: WriteAndSync,
        flush: Flush,
        completer: WriteCompleter,
    ) {
        let mut ring = self.driver.ring.borrow_mut();
        let mut table = self.driver.disk.borrow_mut();
        table.start_group(&mut ring, file.clone(), writes, flush, completer);
    }
}

impl Disk for UringDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> Completion<Result<FileHandle, DiskError>> {
        self.files.open(path, mode)
    }

    fn read_at(
        &self,
        file: &FileHandle,
        offset: ByteOffset,
        buffer: AlignedBuf,
    ) -> Completion<Result<ReadDone, DiskError>> {
        assert_direct(offset, buffer.len());
        if buffer.is_empty() {
            return Completion::ready(Ok(ReadDone { buffer, bytes_read: 0 }));
        }
        let (completer, completion) = completion(|| Err(DiskError::Closed));
        let operation = Operation::Read { file: file.clone(), offset, buffer, filled: 0 };
        let mut ring = self.driver.ring.borrow_mut();
        self.driver.disk.borrow_mut().start_read(&mut ring, operation, completer);
        completion
    }

    fn write_at(
        &self,
        file: &FileHandle,
        offset: ByteOffset,
        buffer: AlignedBuf,
    ) -> Completion<Result<AlignedBuf, DiskError>> {
        assert_direct(offset, buffer.len());
        if buffer.is_empty() {
            return Completion::ready(Ok(buffer));
        }
        let (completer, completion) = completion(|| Err(DiskError::Closed));
        let completer = WriteCompleter::Written(completer);
        self.write_group(file, vec![(offset, buffer)], Flush::NotNeeded, completer);
        completion
    }

    fn write_and_sync(
        &self,
        file: &FileHandle,
        writes: WriteAndSync,
    ) -> Completion<Result<Vec<AlignedBuf>, DiskError>> {
        for (offset, buffer) in &writes {
            assert_direct(*offset, buffer.len());
            assert!(!buffer.is_empty(), "an empty write has nothing to make durable");
        }
        let (completer, completion) = completion(|| Err(DiskError::Closed));
        let completer = WriteCompleter::WrittenAndSynced(completer);
        self.write_group(file, writes, Flush::Needed, completer);
        completion
    }

    fn sync(&self, file: &FileHandle) -> Completion<Result<(), DiskError>> {
        let (completer, completion) = completion(|| Err(DiskError::Closed));
        self.write_group(file, Vec::new(), Flush::Needed, WriteCompleter::Synced(completer));
        completion
    }

    fn file_bytes(&self, file: &FileHandle) -> Completion<Result<ByteCount, DiskError>> {
        let file = file.clone();
        self.files.run(move |files| files.file_bytes(&file))
    }

    fn allocate_zeroed(
        &self,
        file: &FileHandle,
        offset: ByteOffset,
        bytes: ByteCount,
    ) -> Completion<Result<(), DiskError>> {
        let file = file.clone();
        self.files.run_apart(move |files| files.allocate_zeroed(&file, offset, bytes))
    }

    fn create_directory(&self, path: &Path) -> Completion<Result<(), DiskError>> {
        let path = path.to_path_buf();
        self.files.run(move |files| files.create_directory(&path))
    }

    fn rename(&self, source: &Path, target: &Path) -> Completion<Result<(), DiskError>> {
        let (source, target) = (source.to_path_buf(), target.to_path_buf());
        self.files.run(move |files| files.rename(&source, &target))
    }

    fn remove(&self, path: &Path) -> Completion<Result<(), DiskError>> {
        let path = path.to_path_buf();
        self.files.run(move |files| files.remove(&path))
    }

    fn sync_directory(&self, directory: &Path) -> Completion<Result<(), DiskError>> {
        let directory = directory.to_path_buf();
        self.files.run(move |files| files.sync_directory(&directory))
    }

    fn list(&self, directory: &Path) -> Completion<Result<Vec<DirectoryEntry>, DiskError>> {
        let directory = directory.to_path_buf();
        self.files.run(move |files| files.list(&directory))
    }
}
