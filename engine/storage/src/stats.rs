//! Numbers of one shard's storage, for metrics and for the command line.

use std::cell::Cell;

use platform::MonotonicNanos;

use crate::block_cache::CacheCounters;
use crate::commit_log::writer::LogCounters;
use crate::tree::inner::TreeInner;
use crate::version_edit::LEVELS;

/// What a shard counts as it goes.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Memtables that are in files.
    pub(crate) flushes: Cell<u64>,
    pub(crate) flushed_bytes: Cell<u64>,
    pub(crate) compactions: Cell<u64>,
    pub(crate) compaction_bytes_read: Cell<u64>,
    pub(crate) compaction_bytes_written: Cell<u64>,
    pub(crate) compactions_failed: Cell<u64>,
    pub(crate) admission_waits: Cell<u64>,
    pub(crate) files_removed: Cell<u64>,
    pub(crate) scrubbed_bytes: Cell<u64>,
    /// Since when a compaction runs.
    pub(crate) compaction_since: Cell<Option<MonotonicNanos>>,
}

/// Adds to a counter.
pub(crate) fn add(counter: &Cell<u64>, amount: u64) {
    counter.set(counter.get() + amount);
}

/// The state of one shard's storage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeStats {
    /// Bytes of memtable chunks, frozen ones included.
    pub memory_bytes: u64,
    /// Memtables on their way to files.
    pub frozen_memtables: u64,
    /// Files by level.
    pub level_files: [u64; LEVELS],
    /// Bytes by level.
    pub level_bytes: [u64; LEVELS],
    /// The log.
    pub log: LogCounters,
    /// Segments that hold records which somebody still needs.
    pub log_segments_held: u64,
    /// Segments that wait to be used.
    pub log_segments_free: u64,
    /// Decoded pages.
    pub cache: CacheCounters,
    /// Memtables written to files.
    pub flushes: u64,
    /// Bytes of the files that flushes wrote.
    pub flushed_bytes: u64,
    /// Compactions finished.
    pub compactions: u64,
    /// Bytes that compactions read.
    pub compaction_bytes_read: u64,
    /// Bytes that compactions wrote.
    pub compaction_bytes_written: u64,
    /// Compactions that ended with an error.
    pub compactions_failed: u64,
    /// Whether one runs now.
    pub compaction_running: bool,
    /// How often a write had to wait for flush or compaction.
    pub admission_waits: u64,
    /// Table files removed.
    pub files_removed: u64,
    /// Bytes that the scrubber has verified.
    pub scrubbed_bytes: u64,
    /// Pins that count.
    pub pins: u64,
    /// Whether the disk was full when last written to.
    pub disk_full: bool,
}

impl TreeStats {
    pub(crate) fn of(inner: &TreeInner) -> TreeStats {
        let mut stats = TreeStats::default();
        let version = inner.version.borrow().clone();
        for (_, files) in version.tables() {
            for (level, pieces) in files.levels.iter().enumerate() {
                stats.level_files[level] += pieces.len() as u64;
                stats.level_bytes[level] += files.level_bytes(level);
            }
        }
        let memory = inner.memory.borrow();
        let counters = &inner.counters;
        stats.memory_bytes = memory.chunk_bytes() as u64;
        stats.frozen_memtables = memory.frozen.len() as u64;
        stats.log = inner.log.counters();
        stats.log_segments_held = inner.log.held_segments() as u64;
        stats.log_segments_free = inner.log.free_segments() as u64;
        stats.cache = inner.cache_counters();
        stats.flushes = counters.flushes.get();
        stats.flushed_bytes = counters.flushed_bytes.get();
        stats.compactions = counters.compactions.get();
        stats.compaction_bytes_read = counters.compaction_bytes_read.get();
        stats.compaction_bytes_written = counters.compaction_bytes_written.get();
        stats.compactions_failed = counters.compactions_failed.get();
        stats.compaction_running = counters.compaction_since.get().is_some();
        stats.admission_waits = counters.admission_waits.get();
        stats.files_removed = counters.files_removed.get();
        stats.scrubbed_bytes = counters.scrubbed_bytes.get();
        stats.pins = inner.pins.borrow().list().len() as u64;
        stats.disk_full = inner.directory.registry.is_disk_full();
        stats
    }
}
