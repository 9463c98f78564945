//! What the shards of one start of a node tell one another about their logs: how far each participant's files are complete, and who should flush early.
//!
//! A record on one shard's log can carry rows of other shards. Its segment is kept until the manifest of every shard that the record names has
//! passed it. These few words are all that shards share of their state: atomics, stored by one shard each and read by any.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use types::{LogId, ShardId};

use super::segment::SegmentIndex;
use crate::position::LogPosition;

/// Which shards a record carries rows for, as a set of at most 64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Participants(u64);

impl Participants {
    /// Nobody.
    pub const NONE: Participants = Participants(0);

    /// One shard.
    pub fn one(shard: ShardId) -> Participants {
        let mut set = Participants::NONE;
        set.add(shard);
        set
    }

    /// Adds a shard.
    pub fn add(&mut self, shard: ShardId) {
        self.0 |= 1 << shard.0;
    }

    /// Whether the shard is among them.
    pub const fn contains(self, shard: ShardId) -> bool {
        self.0 >> shard.0 & 1 == 1
    }

    /// In ascending order.
    pub fn iter(self) -> impl Iterator<Item = ShardId> {
        (0..64u16).map(ShardId).filter(move |shard| self.contains(*shard))
    }
}

/// Shared by the shards of one start of a node.
#[derive(Debug)]
pub struct LogProgress {
    first_log: LogId,
    shard_count: u16,
    /// Through which position of log i the files of shard j are complete, at i × shards + j.
    passed: Vec<AtomicU64>,
    flush_wanted: Vec<AtomicBool>,
    next_segment: AtomicU32,
}

impl LogProgress {
    /// For logs `first_log ..` of so many shards; the log file ends before `next_segment`.
    pub fn new(first_log: LogId, shard_count: u16, next_segment: SegmentIndex) -> LogProgress {
        let shards = usize::from(shard_count);
        LogProgress {
            first_log,
            shard_count,
            passed: (0..shards * shards).map(|_| AtomicU64::new(0)).collect(),
            flush_wanted: (0..shards).map(|_| AtomicBool::new(false)).collect(),
            next_segment: AtomicU32::new(next_segment.0),
        }
    }

    /// Shards of this start.
    pub const fn shard_count(&self) -> u16 {
        self.shard_count
    }

    /// The log of a shard.
    pub const fn log_of(&self, shard: ShardId) -> LogId {
        LogId(self.first_log.0 + shard.0 as u32)
    }

    fn index(&self, log: LogId, participant: ShardId) -> usize {
        let shard = (log.0 - self.first_log.0) as usize;
        shard * usize::from(self.shard_count) + participant.index()
    }

    /// The manifest of `participant` holds files complete through `position` of `log`.
    pub fn pass(&self, log: LogId, participant: ShardId, position: LogPosition) {
        self.passed[self.index(log, participant)].fetch_max(position.to_raw(), Ordering::Release);
    }

    /// Through which position of `log` the files of `participant` are complete.
    pub fn passed(&self, log: LogId, participant: ShardId) -> LogPosition {
        let raw = self.passed[self.index(log, participant)].load(Ordering::Acquire);
        LogPosition::from_raw(raw)
    }

    /// Asks a shard to flush before its memtable is full, because it holds a segment back.
    pub fn want_flush(&self, shard: ShardId) {
        self.flush_wanted[shard.index()].store(true, Ordering::Release);
    }

    /// Whether somebody asked; forgets it.
    pub fn take_flush_wanted(&self, shard: ShardId) -> bool {
        self.flush_wanted[shard.index()].swap(false, Ordering::AcqRel)
    }

    /// Segments of the file.
    pub fn segment_count(&self) -> u32 {
        self.next_segment.load(Ordering::Relaxed)
    }

    /// Claims a segment at the end of the file for zero-writing, if the file may grow; then it belongs to the caller.
    pub fn claim_segment(&self, segments_max: u32) -> Option<SegmentIndex> {
        self.next_segment
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
                (next < segments_max).then_some(next + 1)
            })
            .ok()
            .map(SegmentIndex)
    }
}
