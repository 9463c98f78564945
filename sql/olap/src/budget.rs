//! The memory that one query may hold, as DataFusion's memory pool, and the directory that it spills to.
//!
//! The node gives analytics a fixed number of bytes and runs a fixed number of queries at once ([`crate::WorkerPool`]), so each query owns an equal
//! share from its first byte: what another query does can never make this one fail. Within the share, operators that can spill get equal parts of what
//! those that cannot (hash join build sides, windows, scans) have left, and never more than three quarters of the whole; an operator that
//! cannot go on fails the query with 53200. The peak is kept for the
//! statistics that every answer shows.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datafusion::common::DataFusionError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use types::ByteCount;

use crate::error::AnalyticsError;

/// What one query may take.
#[derive(Clone, Debug)]
pub struct QueryBudget {
    /// Memory of operators and scan buffers.
    pub memory: ByteCount,
    /// Where operators spill; nothing forbids spilling.
    pub spill_directory: Option<PathBuf>,
    /// Bytes on disk at any time.
    pub spill: ByteCount,
}

/// How the engine below names its merges of sorted runs.
const SORT_MERGE: &str = "ExternalSorterMerge";
/// How it names its sorts.
const SORT: &str = "ExternalSorter[";

#[derive(Debug, Default)]
struct Reserved {
    /// Operators that can spill.
    spillers: usize,
    spillable_bytes: usize,
    unspillable_bytes: usize,
}

/// One query's share.
#[derive(Debug)]
pub(crate) struct QueryPool {
    limit_bytes: usize,
    /// By which one partition's sort is measured. Its batches in memory count twice; when they are merged, they and their keys count once more, and that
    /// merge cannot make do with less. So a run is spilled at three halves of this, and a merge gets five quarters: one of spilled runs takes all it
    /// can get, and makes do with fewer runs at once if it gets less.
    sort_part_bytes: usize,
    reserved: Mutex<Reserved>,
    peak_bytes: AtomicUsize,
}

impl QueryPool {
    /// `threads` is how many partitions an operator has.
    pub(crate) fn new(limit: ByteCount, threads: usize) -> QueryPool {
        let limit_bytes = usize::try_from(limit.0).unwrap_or(usize::MAX);
        QueryPool {
            limit_bytes,
            sort_part_bytes: limit_bytes / 4 / threads,
            reserved: Mutex::default(),
            peak_bytes: AtomicUsize::new(0),
        }
    }

    /// The most that was ever reserved at once.
    pub(crate) fn peak(&self) -> ByteCount {
        ByteCount(self.peak_bytes.load(Ordering::Relaxed) as u64)
    }

    fn lock(&self) -> MutexGuard<'_, Reserved> {
        // Nothing panics while the lock is held, so a poisoned state is whole.
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse(
        &self,
        reserved: &Reserved,
        reservation: &MemoryReservation,
        additional: usize,
    ) -> DataFusionError {
        DataFusionError::ResourcesExhausted(format!(
            "{} holds {} bytes and needs {additional} more; operators that can spill ({}) hold {} and others {} of the query's {}",
            reservation.consumer().name(),
            reservation.size(),
            reserved.spillers,
            reserved.spillable_bytes,
            reserved.unspillable_bytes,
            self.limit_bytes
        ))
    }

    fn note_peak(&self, reserved: &Reserved) {
        let bytes = reserved.spillable_bytes + reserved.unspillable_bytes;
        self.peak_bytes.fetch_max(bytes, Ordering::Relaxed);
    }
}

impl fmt::Display for QueryPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "query of {} bytes", self.limit_bytes)
    }
}

impl MemoryPool for QueryPool {
    fn name(&self) -> &str {
        "query"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        if consumer.can_spill() {
            self.lock().spillers += 1;
        }
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        if consumer.can_spill() {
            let mut reserved = self.lock();
            assert!(reserved.spillers > 0, "a consumer is unregistered once");
            reserved.spillers -= 1;
        }
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        let mut reserved = self.lock();
        if reservation.consumer().can_spill() {
            reserved.spillable_bytes += additional;
        } else {
            reserved.unspillable_bytes += additional;
        }
        self.note_peak(&reserved);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        let mut reserved = self.lock();
        if reservation.consumer().can_spill() {
            reserved.spillable_bytes -= shrink;
        } else {
            reserved.unspillable_bytes -= shrink;
        }
    }

    fn try_grow(
        &self,
        reservation: &MemoryReservation,
        additional: usize,
    ) -> datafusion::common::Result<()> {
        let mut reserved = self.lock();
        let left = self.limit_bytes.saturating_sub(reserved.unspillable_bytes);
        if reservation.consumer().can_spill() {
            let total = reserved.unspillable_bytes + reserved.spillable_bytes + additional;
            let own = reservation.size() + additional;
            let fair = left.min(self.limit_bytes / 4 * 3) / reserved.spillers.max(1);
            // Most of those that could spill never hold much, so one may take more than its part while a quarter of the whole is free.
            let roomy = own <= self.limit_bytes / 4 && total <= self.limit_bytes / 4 * 3;
            // One that holds nothing has nothing to spill.
            let first = reservation.size() == 0 && own <= self.limit_bytes / 4;
            let sort = reservation.consumer().name().starts_with(SORT);
            let long_run = sort && own > self.sort_part_bytes / 2 * 3;
            if total > self.limit_bytes / 8 * 7 || (!first && (long_run || own > fair && !roomy)) {
                return Err(self.refuse(&reserved, reservation, additional));
            }
            reserved.spillable_bytes += additional;
        } else {
            let merge = reservation.consumer().name().starts_with(SORT_MERGE);
            if additional > left.saturating_sub(reserved.spillable_bytes)
                || (merge && reservation.size() + additional > self.sort_part_bytes / 4 * 5)
            {
                return Err(self.refuse(&reserved, reservation, additional));
            }
            reserved.unspillable_bytes += additional;
        }
        self.note_peak(&reserved);
        Ok(())
    }

    fn reserved(&self) -> usize {
        let reserved = self.lock();
        reserved.spillable_bytes + reserved.unspillable_bytes
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.limit_bytes)
    }
}

/// DataFusion's view of the budget.
pub(crate) fn runtime_environment(
    budget: &QueryBudget,
    pool: Arc<QueryPool>,
) -> Result<Arc<RuntimeEnv>, AnalyticsError> {
    let mode = match &budget.spill_directory {
        Some(directory) => DiskManagerMode::Directories(vec![directory.clone()]),
        None => DiskManagerMode::Disabled,
    };
    let disk =
        DiskManagerBuilder::default().with_mode(mode).with_max_temp_directory_size(budget.spill.0);
    Ok(RuntimeEnvBuilder::new()
        .with_disk_manager_builder(disk)
        .with_memory_pool(pool)
        .build_arc()?)
}
