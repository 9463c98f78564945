//! Group commit: one flush in flight, the next cohort gathers behind it, no timers in the way of a commit.
//!
//! [`CommitLog::append`] lays the record into the gathering cohort and returns its position at once. The driver task takes whatever has gathered as
//! soon as the device is idle, so a lone commit costs one write and one flush of one block, and a busy log one flush for everything that arrived
//! during the flush before. A cohort may cross into another segment: the same file, so the one flush covers both writes.
//!
//! When the log has been idle for a moment, a block without records carries the last claim to disk; it delays nobody.
//! A device error fences: nothing is retried, every waiter and every later caller gets the error.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use platform::{DiskError, FileHandle, Platform, SchedulingClass, Sleep};
use types::limits::{BLOCK_BYTES, RECORD_BYTES_MAX};
use types::mutants;
use types::{ByteOffset, LogId, ShardId};

use super::progress::{LogProgress, Participants};
use super::record::RecordKind;
use super::segment::{BlockStream, Cohort, SegmentBlocks, SegmentIndex};
use crate::error::StorageError;
use crate::mutants::{
    FLUSH_SKIPPED_AT_SEGMENT_SWITCH, REPLY_BEFORE_FLUSH, SEGMENT_RECYCLED_UNDER_PARTICIPANT,
};
use crate::position::LogPosition;

/// How long the log stays idle before its last claim is written.
const IDLE_BEFORE_CLAIM: Duration = Duration::from_millis(50);

/// A segment in use: what must happen before it may be used again.
#[derive(Debug)]
struct HeldSegment {
    generation: u32,
    segment: SegmentIndex,
    /// Highest record that begins in it, for each shard that takes part in one.
    needs: Vec<LogPosition>,
}

/// Counters of one log since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogCounters {
    /// Records appended.
    pub records: u64,
    /// Payload bytes appended.
    pub payload_bytes: u64,
    /// Flushes that completed.
    pub flushes: u64,
    /// Blocks written.
    pub blocks: u64,
}

#[derive(Debug)]
struct State {
    stream: BlockStream,
    free: VecDeque<SegmentIndex>,
    held: VecDeque<HeldSegment>,
    low_generation: u32,
    appended: LogPosition,
    durable: LogPosition,
    /// The highest claim that is itself on disk.
    claim_on_disk: LogPosition,
    fenced: Option<DiskError>,
    closing: bool,
    stopped: bool,
    driver: Option<Waker>,
    waiters: BTreeMap<(LogPosition, u64), Waker>,
    next_waiter: u64,
    counters: LogCounters,
}

impl State {
    fn wants_claim(&self) -> bool {
        self.appended > LogPosition::NONE
            && self.claim_on_disk <= self.appended
            && self.appended < self.durable
    }
}

struct Inner {
    platform: Platform,
    file: FileHandle,
    log: LogId,
    shard: ShardId,
    progress: Arc<LogProgress>,
    state: RefCell<State>,
}

/// The log of one shard. Clones are the same log. Not `Send`.
#[derive(Clone)]
pub struct CommitLog {
    inner: Rc<Inner>,
}

/// Where a log writes.
pub struct LogPlace {
    /// The device's log file, open for reading and writing.
    pub file: FileHandle,
    /// Blocks of a segment.
    pub geometry: SegmentBlocks,
    /// The shard that owns the log.
    pub shard: ShardId,
    /// Segments that are the shard's, zero-written or recycled; at least one.
    pub segments: Vec<SegmentIndex>,
}

impl CommitLog {
    /// Starts the log of a shard in its first segment and spawns its driver.
    ///
    /// # Panics
    /// If the place has no segment.
    pub fn start(platform: Platform, place: LogPlace, progress: Arc<LogProgress>) -> CommitLog {
        let mut free: VecDeque<SegmentIndex> = place.segments.into();
        let first = free.pop_front().expect("a log starts with a segment");
        let log = progress.log_of(place.shard);
        let shards = usize::from(progress.shard_count());
        let held =
            HeldSegment { generation: 1, segment: first, needs: vec![LogPosition::NONE; shards] };
        let state = State {
            stream: BlockStream::new(log, place.geometry, first),
            free,
            held: VecDeque::from([held]),
            low_generation: 1,
            appended: LogPosition::NONE,
            durable: LogPosition::NONE,
            claim_on_disk: LogPosition::NONE,
            fenced: None,
            closing: false,
            stopped: false,
            driver: None,
            waiters: BTreeMap::new(),
            next_waiter: 0,
            counters: LogCounters::default(),
        };
        let inner = Rc::new(Inner {
            platform: platform.clone(),
            file: place.file,
            log,
            shard: place.shard,
            progress,
            state: RefCell::new(state),
        });
        platform::spawn(
            &*platform.spawner,
            SchedulingClass::Journal,
            "commit log",
            drive(inner.clone()),
        );
        CommitLog { inner }
    }

    /// This log's id.
    pub fn log_id(&self) -> LogId {
        self.inner.log
    }

    /// Appends a record; returns where it stands. Its durability is another matter ([`CommitLog::wait_durable`]).
    ///
    /// # Errors
    /// Fenced, closing, too large, or [`StorageError::LogFull`] when no segment is free (admission was not asked).
    pub fn append(
        &self,
        kind: RecordKind,
        epoch: u32,
        payload: &[u8],
        participants: Participants,
    ) -> Result<LogPosition, StorageError> {
        if payload.len() > RECORD_BYTES_MAX {
            return Err(StorageError::TooLarge {
                what: "a commit record",
                bytes: payload.len(),
                bytes_max: RECORD_BYTES_MAX,
            });
        }
        let mut state = self.inner.state.borrow_mut();
        let state = &mut *state;
        if let Some(source) = &state.fenced {
            return Err(StorageError::Fenced { source: source.clone() });
        }
        if state.closing {
            return Err(StorageError::Closing);
        }
        if state.stream.segments_needed(payload.len()) > state.free.len() {
            return Err(StorageError::LogFull);
        }
        let (free, held) = (&mut state.free, &mut state.held);
        let position = state.stream.append(kind, epoch, payload, &mut || take_segment(free, held));
        let record_segment = state
            .held
            .iter_mut()
            .rev()
            .find(|held| held.generation == position.generation())
            .expect("the segment of a record just laid is held");
        for shard in participants.iter() {
            record_segment.needs[shard.index()] = position;
        }
        assert!(position > state.appended, "positions only grow");
        state.appended = position;
        state.counters.records += 1;
        state.counters.payload_bytes += payload.len() as u64;
        if let Some(driver) = state.driver.take() {
            driver.wake();
        }
        Ok(position)
    }

    /// Position of the last record; [`LogPosition::NONE`] before the first.
    pub fn appended(&self) -> LogPosition {
        self.inner.state.borrow().appended
    }

    /// Every record below this position is durable.
    pub fn durable(&self) -> LogPosition {
        self.inner.state.borrow().durable
    }

    /// Whether the record at `position` is durable.
    pub fn is_durable(&self, position: LogPosition) -> bool {
        position < self.durable() || position == LogPosition::NONE
    }

    /// Waits until the record at `position` is durable.
    ///
    /// # Errors
    /// The output is [`StorageError::Fenced`] once the log has failed, for every record that was not durable by then.
    ///
    /// # Cancel safety
    /// Safe.
    pub fn wait_durable(&self, position: LogPosition) -> DurableWait {
        DurableWait { log: self.clone(), position, registered: None }
    }

    /// The error that fenced the log.
    pub fn fenced(&self) -> Option<StorageError> {
        let state = self.inner.state.borrow();
        state.fenced.clone().map(|source| StorageError::Fenced { source })
    }

    /// Bytes gathered behind the flush in flight.
    pub fn bytes_gathered(&self) -> usize {
        self.inner.state.borrow().stream.bytes_gathered()
    }

    /// Free segments that a record of so many bytes may need.
    pub fn segments_needed(&self, payload_bytes: usize) -> usize {
        self.inner.state.borrow().stream.segments_needed(payload_bytes)
    }

    /// Segments that wait to be used.
    pub fn free_segments(&self) -> usize {
        self.inner.state.borrow().free.len()
    }

    /// Gives the log more segments, zero-written.
    pub fn add_segment(&self, segment: SegmentIndex) {
        self.inner.state.borrow_mut().free.push_back(segment);
    }

    /// Counters since the start.
    pub fn counters(&self) -> LogCounters {
        self.inner.state.borrow().counters
    }

    /// The first generation that a participant still needs, if it is above what was released last. The manifest must hold it before
    /// [`CommitLog::release`] makes the segments below it usable again.
    pub fn releasable(&self) -> Option<u32> {
        let state = self.inner.state.borrow();
        let mut low = state.low_generation;
        for held in &state.held {
            let current = held.generation == state.stream.generation();
            if current || !self.passed_by_all(held) {
                break;
            }
            low = held.generation + 1;
        }
        (low > state.low_generation).then_some(low)
    }

    fn passed_by_all(&self, held: &HeldSegment) -> bool {
        held.needs.iter().enumerate().all(|(shard, need)| {
            let shard = ShardId(shard as u16);
            if mutants::live(SEGMENT_RECYCLED_UNDER_PARTICIPANT) && shard != self.inner.shard {
                return true;
            }
            self.inner.progress.passed(self.inner.log, shard) >= *need
        })
    }

    /// Makes the segments below `low_generation` usable again. Only after the manifest durably says so.
    pub fn release(&self, low_generation: u32) {
        let mut state = self.inner.state.borrow_mut();
        while state.held.front().is_some_and(|held| held.generation < low_generation) {
            let held = state.held.pop_front().expect("just seen");
            state.free.push_back(held.segment);
        }
        state.low_generation = state.low_generation.max(low_generation);
    }

    /// Asks whoever holds back the oldest segment to flush early; tells whether this log's own shard is among them.
    pub fn want_release(&self) -> bool {
        let state = self.inner.state.borrow();
        let Some(oldest) = state.held.front() else { return false };
        let mut own = false;
        for (shard, need) in oldest.needs.iter().enumerate() {
            let shard = ShardId(shard as u16);
            if self.inner.progress.passed(self.inner.log, shard) < *need {
                if shard == self.inner.shard {
                    own = true;
                } else {
                    self.inner.progress.want_flush(shard);
                }
            }
        }
        own
    }

    /// Segments that hold records which some participant still needs, the present one included.
    pub fn held_segments(&self) -> usize {
        self.inner.state.borrow().held.len()
    }

    /// Stops the driver after everything appended is durable. Later appends are refused.
    ///
    /// # Errors
    /// [`StorageError::Fenced`] if the last flush failed.
    ///
    /// # Cancel safety
    /// The log stays closing.
    pub async fn close(&self) -> Result<(), StorageError> {
        let appended = {
            let mut state = self.inner.state.borrow_mut();
            state.closing = true;
            if let Some(driver) = state.driver.take() {
                driver.wake();
            }
            state.appended
        };
        self.wait_durable(appended).await?;
        poll_fn(|cx| {
            let mut state = self.inner.state.borrow_mut();
            if state.stopped {
                return Poll::Ready(());
            }
            let id = state.next_waiter;
            state.next_waiter += 1;
            state.waiters.insert((LogPosition::MAX, id), cx.waker().clone());
            Poll::Pending
        })
        .await;
        Ok(())
    }
}

fn take_segment(
    free: &mut VecDeque<SegmentIndex>,
    held: &mut VecDeque<HeldSegment>,
) -> Option<SegmentIndex> {
    let segment = free.pop_front()?;
    let last = held.back().expect("the present segment is held");
    let (generation, shards) = (last.generation + 1, last.needs.len());
    held.push_back(HeldSegment { generation, segment, needs: vec![LogPosition::NONE; shards] });
    Some(segment)
}

/// A future of one record's durability.
pub struct DurableWait {
    log: CommitLog,
    position: LogPosition,
    registered: Option<u64>,
}

impl Future for DurableWait {
    type Output = Result<(), StorageError>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mut state = this.log.inner.state.borrow_mut();
        let state = &mut *state;
        if let Some(id) = this.registered.take() {
            state.waiters.remove(&(this.position, id));
        }
        let durable = this.position < state.durable || this.position == LogPosition::NONE;
        if durable || mutants::live(REPLY_BEFORE_FLUSH) {
            return Poll::Ready(Ok(()));
        }
        if let Some(source) = &state.fenced {
            return Poll::Ready(Err(StorageError::Fenced { source: source.clone() }));
        }
        let id = state.next_waiter;
        state.next_waiter += 1;
        state.waiters.insert((this.position, id), cx.waker().clone());
        this.registered = Some(id);
        Poll::Pending
    }
}

impl Drop for DurableWait {
    fn drop(&mut self) {
        if let Some(id) = self.registered.take() {
            self.log.inner.state.borrow_mut().waiters.remove(&(self.position, id));
        }
    }
}

/// Why the driver woke up.
enum Wake {
    Cohort(Cohort),
    Stop,
}

async fn drive(inner: Rc<Inner>) {
    while let Wake::Cohort(cohort) = next_cohort(&inner).await {
        let end = cohort.end;
        let claim = inner.state.borrow().durable;
        let result = write_cohort(&inner, cohort).await;
        let woken = {
            let mut state = inner.state.borrow_mut();
            match result {
                Ok(buffers) => {
                    state.stream.recycle(buffers);
                    assert!(end > state.durable, "the durable end only grows");
                    state.durable = end;
                    state.claim_on_disk = claim;
                    state.counters.flushes += 1;
                    let still_waiting = state.waiters.split_off(&(end, 0));
                    std::mem::replace(&mut state.waiters, still_waiting)
                }
                Err(error) => {
                    state.fenced = Some(error);
                    state.stopped = true;
                    std::mem::take(&mut state.waiters)
                }
            }
        };
        for (_, waker) in woken {
            waker.wake();
        }
        if inner.state.borrow().stopped {
            return;
        }
    }
    let woken = {
        let mut state = inner.state.borrow_mut();
        state.stopped = true;
        std::mem::take(&mut state.waiters)
    };
    for (_, waker) in woken {
        waker.wake();
    }
}

/// Waits for records, or for an idle moment long enough to write the last claim.
async fn next_cohort(inner: &Rc<Inner>) -> Wake {
    let mut idle: Option<Sleep> = None;
    poll_fn(|cx| {
        let mut state = inner.state.borrow_mut();
        let state = &mut *state;
        let claim = state.durable;
        if let Some(cohort) = state.stream.take_cohort(claim) {
            return Poll::Ready(Wake::Cohort(cohort));
        }
        if state.closing && !state.wants_claim() {
            return Poll::Ready(Wake::Stop);
        }
        if state.wants_claim() {
            let sleep = idle
                .get_or_insert_with(|| platform::sleep(&inner.platform.spawner, IDLE_BEFORE_CLAIM));
            let due = state.closing || Pin::new(sleep).poll(cx).is_ready();
            // A full segment without a successor cannot take the claim; the next record will carry it.
            if due && state.stream.segments_needed(0) <= state.free.len() {
                let (free, held) = (&mut state.free, &mut state.held);
                state.stream.append_claim_block(&mut || take_segment(free, held));
                let cohort = state.stream.take_cohort(claim).expect("a block was laid");
                return Poll::Ready(Wake::Cohort(cohort));
            }
            if due && state.closing {
                return Poll::Ready(Wake::Stop);
            }
        }
        state.driver = Some(cx.waker().clone());
        Poll::Pending
    })
    .await
}

async fn write_cohort(
    inner: &Rc<Inner>,
    cohort: Cohort,
) -> Result<Vec<platform::AlignedBuf>, DiskError> {
    let mut blocks = 0;
    let mut writes = Vec::with_capacity(cohort.parts.len());
    for part in cohort.parts {
        blocks += (part.buffer.len() / BLOCK_BYTES) as u64;
        writes.push((ByteOffset(part.block_number * BLOCK_BYTES as u64), part.buffer));
    }
    inner.state.borrow_mut().counters.blocks += blocks;
    if mutants::live(FLUSH_SKIPPED_AT_SEGMENT_SWITCH) && writes.len() > 1 {
        let mut buffers = Vec::new();
        for (offset, buffer) in writes {
            buffers.push(inner.platform.disk.write_at(&inner.file, offset, buffer).await?);
        }
        return Ok(buffers);
    }
    inner.platform.disk.write_and_sync(&inner.file, writes).await
}
