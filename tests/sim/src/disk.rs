//! One core's [`Disk`]: operations leave at the end of the turn, happen at a drawn moment each, and complete at the same or a later one.

use std::cell::RefCell;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use platform::{
    AlignedBuf, Completer, Completion, DirectoryEntry, Disk, DiskError, FileHandle, OpenMode,
    ReadDone, WriteAndSync, completion,
};
use types::checksum::checksum;
use types::{ByteCount, ByteOffset};

use crate::event_queue::Event;
use crate::image::{ChangeId, Coverage};
use crate::machine::Machine;

pub(crate) struct SimDisk {
    machine: Arc<Machine>,
    submissions: RefCell<Vec<Event>>,
}

/// Completes now, or a moment later; until then its changes are in flight.
fn complete<T: Send + 'static>(
    machine: &Arc<Machine>,
    completer: Completer<Result<T, DiskError>>,
    result: Result<T, DiskError>,
    changes: Vec<ChangeId>,
) {
    let finish = move |machine: &Arc<Machine>| {
        {
            let mut state = machine.lock();
            state.trace.fold(u64::from(result.is_ok()));
            changes.iter().for_each(|change| state.completed(*change));
        }
        completer.complete(result);
    };
    if machine.draw(2) == 0 { finish(machine) } else { machine.schedule_device(finish) }
}

impl SimDisk {
    pub(crate) fn new(machine: Arc<Machine>) -> SimDisk {
        SimDisk { machine, submissions: RefCell::default() }
    }

    /// Whether something waits for the end of the turn.
    pub(crate) fn has_submissions(&self) -> bool {
        !self.submissions.borrow().is_empty()
    }

    /// Lets what was asked in this turn leave.
    pub(crate) fn flush(&self) {
        for submission in self.submissions.take() {
            submission(&self.machine);
        }
    }

    /// Forgets what was asked in this turn.
    pub(crate) fn clear(&self) {
        let forgotten = self.submissions.take();
        drop(forgotten);
    }

    fn submit(&self, submission: impl FnOnce(&Arc<Machine>) + Send + 'static) {
        self.submissions.borrow_mut().push(Box::new(submission));
    }

    /// An operation that changes nothing.
    fn ask<T: Send + 'static>(
        &self,
        run: impl FnOnce(&Machine) -> Result<T, DiskError> + Send + 'static,
    ) -> Completion<Result<T, DiskError>> {
        let (completer, completed) = completion(|| Err(DiskError::Closed));
        self.submit(move |machine| {
            machine.schedule_device(move |machine| {
                let result = run(machine);
                complete(machine, completer, result, Vec::new());
            });
        });
        completed
    }

    /// An operation that changes something.
    fn change<T: Send + 'static>(
        &self,
        run: impl FnOnce(&Machine, ChangeId) -> Result<T, DiskError> + Send + 'static,
    ) -> Completion<Result<T, DiskError>> {
        let (completer, completed) = completion(|| Err(DiskError::Closed));
        self.submit(move |machine| {
            let change = machine.lock().submit();
            machine.schedule_device(move |machine| {
                let result = run(machine, change);
                complete(machine, completer, result, vec![change]);
            });
        });
        completed
    }
}

/// Writes that are on their way to one flush.
struct Cohort {
    file: FileHandle,
    writes: WriteAndSync,
    checksums: Vec<u32>,
    changes: Vec<ChangeId>,
    coverage: Coverage,
    left: AtomicUsize,
    outcome: Mutex<Outcome>,
}

struct Outcome {
    completer: Option<Completer<Result<Vec<AlignedBuf>, DiskError>>>,
    error: Option<DiskError>,
}

impl Cohort {
    /// One of the writes happens; after the last, the flush follows.
    fn write(self: Arc<Self>, index: usize, machine: &Arc<Machine>) {
        let (offset, buffer) = &self.writes[index];
        // Nobody but the driver may touch a buffer in flight.
        assert_eq!(checksum(buffer), self.checksums[index], "a buffer in flight was changed");
        let change = self.changes[index];
        if let Err(error) = machine.write(&self.file, offset.0, buffer, Some(change)) {
            self.outcome().error.get_or_insert(error);
        }
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            machine.schedule_device(move |machine| self.flush(machine));
        }
    }

    fn outcome(&self) -> std::sync::MutexGuard<'_, Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn flush(self: Arc<Self>, machine: &Arc<Machine>) {
        let (completer, error) = {
            let mut outcome = self.outcome();
            (outcome.completer.take(), outcome.error.take())
        };
        let result = match error {
            // The kernel cancels a flush that is linked behind a write that failed.
            Some(error) => Err(error),
            None => machine.sync(&self.file, &self.coverage),
        };
        let result = result.map(|()| {
            let this = Arc::into_inner(self);
            let this = this.expect("all writes are done, and each held one reference");
            (this.changes, this.writes.into_iter().map(|(_, buffer)| buffer).collect())
        });
        let completer = completer.expect("a cohort is flushed once");
        match result {
            Ok((changes, buffers)) => complete(machine, completer, Ok(buffers), changes),
            Err(error) => complete(machine, completer, Err(error), Vec::new()),
        }
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> Completion<Result<FileHandle, DiskError>> {
        let path = path.to_path_buf();
        self.change(move |machine, change| machine.open(&path, mode, Some(change)))
    }

    fn read_at(
        &self,
        file: &FileHandle,
        offset: ByteOffset,
        mut buffer: AlignedBuf,
    ) -> Completion<Result<ReadDone, DiskError>> {
        platform::assert_direct(offset, buffer.len());
        let file = file.clone();
        self.ask(move |machine| {
            machine.read(&file, offset.0, &mut buffer)?;
            Ok(ReadDone { bytes_read: buffer.len(), buffer })
        })
    }

    fn write_at(
        &self,
        file: &FileHandle,
        offset: ByteOffset,
        buffer: AlignedBuf,
    ) -> Completion<Result<AlignedBuf, DiskError>> {
        platform::assert_direct(offset, buffer.len());
        let file = file.clone();
        let before = checksum(&buffer);
        self.change(move |machine, change| {
            assert_eq!(checksum(&buffer), before, "a buffer in flight was changed");
            machine.write(&file, offset.0, &buffer, Some(change)).map(|()| buffer)
        })
    }

    fn write_and_sync(
        &self,
        file: &FileHandle,
        writes: WriteAndSync,
    ) -> Completion<Result<Vec<AlignedBuf>, DiskError>> {
        writes.iter().for_each(|(offset, buffer)| platform::assert_direct(*offset, buffer.len()));
        let (completer, completed) = completion(|| Err(DiskError::Closed));
        let file = file.clone();
        self.submit(move |machine| {
            let (changes, coverage) = {
                let mut state = machine.lock();
                let mut coverage = state.coverage();
                coverage.linked = writes.iter().map(|_| state.submit()).collect();
                (coverage.linked.clone(), coverage)
            };
            let checksums = writes.iter().map(|(_, buffer)| checksum(buffer)).collect();
            let count = writes.len();
            let outcome = Mutex::new(Outcome { completer: Some(completer), error: None });
            let left = AtomicUsize::new(count);
            let cohort = Cohort { file, writes, checksums, changes, coverage, left, outcome };
            let cohort = Arc::new(cohort);
            for index in 0..count {
                let cohort = cohort.clone();
                machine.schedule_device(move |machine| cohort.write(index, machine));
            }
            if count == 0 {
                machine.schedule_device(move |machine| cohort.flush(machine));
            }
        });
        completed
    }

    fn sync(&self, file: &FileHandle) -> Completion<Result<(), DiskError>> {
        let file = file.clone();
        let (completer, completed) = completion(|| Err(DiskError::Closed));
        self.submit(move |machine| {
            let coverage = machine.lock().coverage();
            machine.schedule_device(move |machine| {
                let result = machine.sync(&file, &coverage);
                complete(machine, completer, result, Vec::new());
            });
        });
        completed
    }

    fn file_bytes(&self, file: &FileHandle) -> Completion<Result<ByteCount, DiskError>> {
        let file = file.clone();
        self.ask(move |machine| machine.file_bytes(&file))
    }

    fn allocate_zeroed(
        &self,
        file: &FileHandle,
        offset: ByteOffset,
        bytes: ByteCount,
    ) -> Completion<Result<(), DiskError>> {
        let file = file.clone();
        let (completer, completed) = completion(|| Err(DiskError::Closed));
        self.submit(move |machine| {
            let (change, coverage) = {
                let mut state = machine.lock();
                let mut coverage = state.coverage();
                let change = state.submit();
                coverage.linked.push(change);
                (change, coverage)
            };
            machine.schedule_device(move |machine| {
                let written = machine.write_zeroes(&file, offset.0, bytes.0, change);
                if let Err(error) = written {
                    return complete(machine, completer, Err(error), vec![change]);
                }
                machine.schedule_device(move |machine| {
                    let result = machine.sync(&file, &coverage);
                    complete(machine, completer, result, vec![change]);
                });
            });
        });
        completed
    }

    fn create_directory(&self, path: &Path) -> Completion<Result<(), DiskError>> {
        let path = path.to_path_buf();
        self.change(move |machine, change| machine.create_directory(&path, Some(change)))
    }

    fn rename(&self, source: &Path, target: &Path) -> Completion<Result<(), DiskError>> {
        let (source, target) = (source.to_path_buf(), target.to_path_buf());
        self.change(move |machine, change| machine.rename(&source, &target, Some(change)))
    }

    fn remove(&self, path: &Path) -> Completion<Result<(), DiskError>> {
        let path = path.to_path_buf();
        self.change(move |machine, change| machine.remove(&path, Some(change)))
    }

    fn sync_directory(&self, directory: &Path) -> Completion<Result<(), DiskError>> {
        let directory = directory.to_path_buf();
        let (completer, completed) = completion(|| Err(DiskError::Closed));
        self.submit(move |machine| {
            let coverage = machine.lock().coverage();
            machine.schedule_device(move |machine| {
                let result = machine.sync_directory(&directory, &coverage);
                complete(machine, completer, result, Vec::new());
            });
        });
        completed
    }

    fn list(&self, directory: &Path) -> Completion<Result<Vec<DirectoryEntry>, DiskError>> {
        let directory = directory.to_path_buf();
        self.ask(move |machine| machine.list(&directory))
    }
}
