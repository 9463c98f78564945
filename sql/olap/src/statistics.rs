//! What a query read and took: shown with every analytic answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use types::{ByteCount, Timestamp};

/// Counted while a query runs; also its progress.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) rows_read: AtomicU64,
    pub(crate) bytes_read: AtomicU64,
    pub(crate) bytes_cached: AtomicU64,
    pub(crate) files: AtomicU64,
    pub(crate) files_pruned: AtomicU64,
    pub(crate) pages: AtomicU64,
    pub(crate) pages_read: AtomicU64,
    pub(crate) units: AtomicU64,
    pub(crate) units_done: AtomicU64,
    pub(crate) rows_returned: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}

/// How far a query has come; cheap to ask from any thread.
#[derive(Clone, Debug)]
pub struct Progress {
    pub(crate) counters: Arc<Counters>,
}

impl Progress {
    /// Rows read from files and memtables so far.
    pub fn rows_read(&self) -> u64 {
        Counters::get(&self.counters.rows_read)
    }

    /// Parts of scans done, and parts known so far.
    pub fn scan_parts(&self) -> (u64, u64) {
        (Counters::get(&self.counters.units_done), Counters::get(&self.counters.units))
    }
}

/// What a finished query read and took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryStatistics {
    /// The snapshot's timestamp: everything at or below it was seen.
    pub snapshot: Timestamp,
    /// Row versions of the pages and memtables that were looked at.
    pub rows_read: u64,
    /// Bytes read from files.
    pub bytes_read: ByteCount,
    /// Bytes that the column cache held already.
    pub bytes_cached: ByteCount,
    /// Files of the tables.
    pub files: u64,
    /// Files of which no page could match.
    pub files_pruned: u64,
    /// Pages of the tables.
    pub pages: u64,
    /// Pages that were looked at; the others could not match.
    pub pages_read: u64,
    /// Rows of the answer.
    pub rows_returned: u64,
    /// The most memory that was reserved at once.
    pub peak_memory: ByteCount,
    /// Time in the queue for a place among the running queries.
    pub queued: Duration,
    /// Time from there to the end.
    pub running: Duration,
}

impl QueryStatistics {
    pub(crate) fn of(
        counters: &Counters,
        snapshot: Timestamp,
        peak_memory: ByteCount,
        queued: Duration,
        running: Duration,
    ) -> QueryStatistics {
        QueryStatistics {
            snapshot,
            rows_read: Counters::get(&counters.rows_read),
            bytes_read: ByteCount(Counters::get(&counters.bytes_read)),
            bytes_cached: ByteCount(Counters::get(&counters.bytes_cached)),
            files: Counters::get(&counters.files),
            files_pruned: Counters::get(&counters.files_pruned),
            pages: Counters::get(&counters.pages),
            pages_read: Counters::get(&counters.pages_read),
            rows_returned: Counters::get(&counters.rows_returned),
            peak_memory,
            queued,
            running,
        }
    }
}
