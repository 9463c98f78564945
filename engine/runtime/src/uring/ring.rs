//! One io_uring instance that owns everything the kernel may still touch.
//!
//! An [`Operation`] carries its buffer and a reference to its file or socket. The ring keeps it
//! from [`Ring::start`] until the completion that says it is the last one, and only then gives it
//! back, so a task that stops waiting (drops its future) cannot free memory under the kernel.
//! Nothing is submitted before [`Ring::submit`]: a full submission queue overflows into a backlog,
//! because the end-of-loop hooks must run before any output leaves.
//!
//! Safety argument: entries point into heap memory owned by the operation (an `AlignedBuf`, a
//! `Vec`, a `Box`), which stays where it is while the operation moves. The operation stays in
//! `operations` until its last completion. Dropping the ring cancels and waits for all of them; if
//! the kernel does not let go, the memory is leaked on purpose. The integration tests
//! (`tests/disk.rs`, `tests/sockets.rs`) drop futures with I/O in flight; Miri has no io_uring.
#![expect(
    unsafe_code,
    reason = "entries carry raw pointers, and entering the ring is unsafe in the crate"
)]

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use io_uring::types::{CancelBuilder, Fd, FsyncFlags, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use platform::{AlignedBuf, FileHandle};
use types::ByteOffset;

use super::buffers::{RECEIVE_GROUP, ReceiveBuffers};
use crate::slab::Slab;
use crate::sys::RawAddress;

/// Entries that fit one submission; more go into the backlog.
const SUBMISSION_ENTRIES: u32 = 512;
/// Completions that fit without the kernel queueing them on its side.
const COMPLETION_ENTRIES: u32 = 4096;
/// How long a dropped ring waits for the kernel to let go of its memory.
const DROP_PATIENCE: Duration = Duration::from_secs(5);

/// What the kernel is asked to do. Owns what the kernel touches.
pub(crate) enum Operation {
    /// Fill `buffer[filled..]` from `offset + filled`.
    Read { file: FileHandle, offset: ByteOffset, buffer: AlignedBuf, filled: usize },
    /// Write `buffer[written..]` to `offset + written`.
    Write { file: FileHandle, offset: ByteOffset, buffer: AlignedBuf, written: usize },
    /// Flush data and length.
    Sync { file: FileHandle },
    /// Accept connections until cancelled.
    Accept { listener: Arc<TcpListener> },
    /// Connect to an address.
    Connect { socket: Arc<TcpStream>, address: Box<RawAddress> },
    /// Receive into the ring's own buffers until cancelled.
    Receive { socket: Arc<TcpStream> },
    /// Send `bytes[sent..]`.
    Send { socket: Arc<TcpStream>, bytes: Vec<u8>, sent: usize },
    /// Wait for the event counter to rise.
    Wake { event: Arc<File>, counter: Box<[u8; 8]> },
    /// Cancel another operation.
    Cancel { target: OperationId },
}

/// Names a started operation until its last completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OperationId(u32);

/// Whom a completion is for. Indexes are into the owner's own slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    Read(u32),
    WritePart { group: u32, part: u32 },
    Sync(u32),
    Accept(u32),
    Connect(u32),
    Receive(u32),
    Send(u32),
    Wake,
    Cancel,
}

/// A completion.
pub(crate) struct Finished {
    pub(crate) tag: Tag,
    /// As the kernel gives it: a count, a descriptor, or a negated error number.
    pub(crate) result: i32,
    /// The receive buffer that was filled; to be given back.
    pub(crate) buffer: Option<u16>,
    /// The operation, with its last completion; `None` while more will come.
    pub(crate) operation: Option<Operation>,
}

impl Finished {
    pub(crate) fn error(&self) -> Option<io::Error> {
        (self.result < 0).then(|| io::Error::from_raw_os_error(-self.result))
    }
}

/// How long [`Ring::submit`] stays in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Submit and run what the kernel has deferred; do not wait.
    No,
    /// Until something completes.
    ForCompletion,
    /// Until something completes or the time is over.
    AtMost(Duration),
}

/// Who uses a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RingUse {
    /// One shard core: made and used by one thread, with receive buffers.
    Core,
    /// Background block I/O: used by one thread at a time, files only.
    Blocks,
}

enum Backlogged {
    One(squeue::Entry),
    Linked([squeue::Entry; 2]),
}

pub(crate) struct Ring {
    /// Dropped first: closing the ring unregisters the receive buffers.
    ring: IoUring,
    ring_use: RingUse,
    operations: Slab<(Tag, Operation)>,
    backlog: VecDeque<Backlogged>,
    receive_buffers: Option<ReceiveBuffers>,
}

impl Ring {
    pub(crate) fn new(ring_use: RingUse) -> io::Result<Ring> {
        let mut builder = IoUring::builder();
        builder.setup_cqsize(COMPLETION_ENTRIES).setup_submit_all().dontfork();
        match ring_use {
            RingUse::Core => {
                builder.setup_single_issuer().setup_defer_taskrun().setup_taskrun_flag()
            }
            RingUse::Blocks => builder.setup_coop_taskrun().setup_taskrun_flag(),
        };
        let ring: IoUring = builder.build(SUBMISSION_ENTRIES)?;
        let receive_buffers = match ring_use {
            RingUse::Core => {
                // Saves a reference count an entry; a kernel that cannot do it works all the same.
                let _ = ring.submitter().register_ring_fd();
                Some(ReceiveBuffers::register(&ring)?)
            }
            RingUse::Blocks => None,
        };
        Ok(Ring {
            ring,
            ring_use,
            operations: Slab::new(),
            backlog: VecDeque::new(),
            receive_buffers,
        })
    }

    /// The crate's ring, for registrations that concern no memory.
    pub(crate) fn io_uring(&self) -> &IoUring {
        &self.ring
    }

    /// Operations started and not finished.
    pub(crate) fn in_flight(&self) -> usize {
        self.operations.len()
    }

    /// Queues an operation; it is submitted by the next [`Self::submit`].
    pub(crate) fn start(&mut self, tag: Tag, operation: Operation) -> OperationId {
        let (id, entry) = self.keep(tag, operation);
        self.backlog_or_push(Backlogged::One(entry));
        id
    }

    /// Queues two operations of which the second begins only after the first succeeded in full;
    /// otherwise it completes with ECANCELED.
    pub(crate) fn start_linked(&mut self, first: (Tag, Operation), second: (Tag, Operation)) {
        let (_, first) = self.keep(first.0, first.1);
        let (_, second) = self.keep(second.0, second.1);
        self.backlog_or_push(Backlogged::Linked([first.flags(squeue::Flags::IO_LINK), second]));
    }

    /// Queues the cancellation of an operation; its last completion comes as usual, perhaps with
    /// ECANCELED.
    pub(crate) fn cancel(&mut self, target: OperationId) {
        self.start(Tag::Cancel, Operation::Cancel { target });
    }

    /// Hands everything queued to the kernel and waits as asked.
    pub(crate) fn submit(&mut self, wait: Wait) -> io::Result<()> {
        while !self.move_backlog() {
            self.enter(Wait::No)?;
        }
        self.enter(wait)
    }

    /// The bytes that a completion of a receive delivered.
    pub(crate) fn received(&self, buffer: u16, length: usize) -> &[u8] {
        let buffers = self.receive_buffers.as_ref();
        buffers.expect("only a core's ring receives").bytes(buffer, length)
    }

    /// Gives a receive buffer back to the kernel.
    pub(crate) fn give_back(&mut self, buffer: u16) {
        let buffers = self.receive_buffers.as_mut();
        buffers.expect("only a core's ring receives").give_back(buffer);
    }

    /// Moves the completions that have arrived into `finished`.
    pub(crate) fn reap(&mut self, finished: &mut Vec<Finished>) {
        for completion in self.ring.completion() {
            let index = u32::try_from(completion.user_data()).expect("we gave a 32-bit index");
            let flags = completion.flags();
            let (tag, operation) = if cqueue::more(flags) {
                let (tag, _) = self.operations.get(index).expect("kept until the last completion");
                (*tag, None)
            } else {
                let (tag, operation) =
                    self.operations.remove(index).expect("kept until the last completion");
                (tag, Some(operation))
            };
            finished.push(Finished {
                tag,
                result: completion.result(),
                buffer: cqueue::buffer_select(flags),
                operation,
            });
        }
    }

    fn keep(&mut self, tag: Tag, operation: Operation) -> (OperationId, squeue::Entry) {
        let index = self.operations.insert((tag, operation));
        let (_, operation) = self.operations.get_mut(index).expect("just inserted");
        (OperationId(index), entry_of(operation).user_data(u64::from(index)))
    }

    fn backlog_or_push(&mut self, queued: Backlogged) {
        if !self.backlog.is_empty() || !self.push(&queued) {
            self.backlog.push_back(queued);
        }
    }

    /// True when the backlog is empty.
    fn move_backlog(&mut self) -> bool {
        while let Some(queued) = self.backlog.pop_front() {
            if !self.push(&queued) {
                self.backlog.push_front(queued);
                return false;
            }
        }
        true
    }

    fn push(&mut self, queued: &Backlogged) -> bool {
        let mut submission = self.ring.submission();
        // SAFETY: the operation that owns the memory is in `operations` and stays there until its
        // last completion.
        let pushed = unsafe {
            match queued {
                Backlogged::One(entry) => submission.push(entry),
                Backlogged::Linked(entries) => submission.push_multiple(entries),
            }
        };
        pushed.is_ok()
    }

    fn enter(&mut self, wait: Wait) -> io::Result<()> {
        let result = match wait {
            Wait::No => {
                let submission = self.ring.submission();
                let (queued, deferred) = (submission.len(), submission.taskrun());
                drop(submission);
                if queued == 0 && !deferred {
                    return Ok(());
                }
                let queued = u32::try_from(queued).expect("bounded by the queue");
                const GET_EVENTS: u32 = 1;
                // SAFETY: no argument is passed, so no memory is involved beyond the queue's own.
                unsafe {
                    self.ring.submitter().enter::<libc::sigset_t>(queued, 0, GET_EVENTS, None)
                }
            }
            Wait::ForCompletion => self.ring.submit_and_wait(1),
            Wait::AtMost(duration) => {
                let timespec =
                    Timespec::new().sec(duration.as_secs()).nsec(duration.subsec_nanos());
                let arguments = SubmitArgs::new().timespec(&timespec);
                self.ring.submitter().submit_with_args(1, &arguments)
            }
        };
        match result {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                // Over in time, interrupted, or completions must be reaped first: the loop comes
                // back.
                Some(libc::ETIME | libc::EINTR | libc::EAGAIN | libc::EBUSY) => Ok(()),
                _ => Err(error),
            },
        }
    }

    fn drain(&mut self) -> io::Result<()> {
        let started = std::time::Instant::now();
        let mut finished = Vec::new();
        self.submit(Wait::No)?;
        while self.in_flight() > 0 && started.elapsed() < DROP_PATIENCE {
            // What is being cancelled may be starting just now, so ask again each time round.
            let any = CancelBuilder::any().all();
            let _ = self.ring.submitter().register_sync_cancel(None, any);
            self.submit(Wait::AtMost(Duration::from_millis(10)))?;
            self.reap(&mut finished);
            for done in finished.drain(..) {
                if done.tag != Tag::Wake
                    && let (0.., Tag::Accept(_)) = (done.result, done.tag)
                {
                    drop(crate::sys::adopt_descriptor(done.result));
                }
            }
        }
        Ok(())
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let drained = self.drain();
        if drained.is_err() || self.in_flight() > 0 {
            tracing::error!(
                in_flight = self.in_flight(),
                ring_use = ?self.ring_use,
                "the kernel still holds buffers of a closed ring; their memory is leaked"
            );
            std::mem::forget(std::mem::replace(&mut self.operations, Slab::new()));
            std::mem::forget(self.receive_buffers.take());
        }
    }
}

fn raw(file: &FileHandle) -> Fd {
    Fd(RawFd::try_from(file.raw()).expect("a handle of this driver holds a descriptor"))
}

fn remaining(length: usize) -> u32 {
    // A request of the kernel is at most 2^31 bytes; a longer one is done in parts, as a short one
    // is.
    u32::try_from(length).unwrap_or(u32::MAX).min(1 << 30)
}

fn entry_of(operation: &mut Operation) -> squeue::Entry {
    match operation {
        Operation::Read { file, offset, buffer, filled } => {
            let start = buffer.as_mut_ptr().wrapping_add(*filled);
            opcode::Read::new(raw(file), start, remaining(buffer.len() - *filled))
                .offset(offset.0 + *filled as u64)
                .build()
        }
        Operation::Write { file, offset, buffer, written } => {
            let start = buffer.as_ptr().wrapping_add(*written);
            opcode::Write::new(raw(file), start, remaining(buffer.len() - *written))
                .offset(offset.0 + *written as u64)
                .build()
        }
        Operation::Sync { file } => {
            opcode::Fsync::new(raw(file)).flags(FsyncFlags::DATASYNC).build()
        }
        Operation::Accept { listener } => {
            opcode::AcceptMulti::new(Fd(listener.as_raw_fd())).flags(libc::SOCK_CLOEXEC).build()
        }
        Operation::Connect { socket, address } => {
            opcode::Connect::new(Fd(socket.as_raw_fd()), address.as_ptr(), address.bytes()).build()
        }
        Operation::Receive { socket } => {
            opcode::RecvMulti::new(Fd(socket.as_raw_fd()), RECEIVE_GROUP).build()
        }
        Operation::Send { socket, bytes, sent } => {
            let start = bytes.as_ptr().wrapping_add(*sent);
            opcode::Send::new(Fd(socket.as_raw_fd()), start, remaining(bytes.len() - *sent))
                .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
                .build()
        }
        Operation::Wake { event, counter } => {
            opcode::Read::new(Fd(event.as_raw_fd()), counter.as_mut_ptr(), 8).build()
        }
        Operation::Cancel { target } => opcode::AsyncCancel::new(u64::from(target.0)).build(),
    }
}
