//! How fast background jobs may use the disk: as fast as the shards' own disk latency allows.
//!
//! Each shard core keeps a moving average of what its reads, writes and flushes take. The budget is
//! a token bucket in bytes: while a shard's average is well above the lowest it has recently been,
//! the rate is cut; otherwise it rises, up to a rate that is no limit. Without shard I/O there is
//! no pacing. Flush jobs are never paced: writes wait for them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use platform::{Clock, MonotonicNanos};
use types::MIB;

/// What one shard core sees of the disk. Stored by the core, read by background threads.
#[derive(Default)]
pub(crate) struct ShardLatency {
    average_nanos: AtomicU64,
    lowest_nanos: AtomicU64,
    observed: AtomicU64,
}

impl ShardLatency {
    /// Adds an operation to the average: one eighth of the new, seven of the old.
    pub(crate) fn observe(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(1);
        let old = self.average_nanos.load(Ordering::Relaxed);
        let average = if old == 0 { nanos } else { old - old / 8 + nanos / 8 };
        self.average_nanos.store(average, Ordering::Relaxed);
        // The lowest creeps up, so that a device that becomes slower for good is accepted in the
        // end.
        let lowest = self.lowest_nanos.load(Ordering::Relaxed);
        let crept = lowest + lowest / 4096 + 1;
        let lowest = if lowest == 0 { average } else { crept.min(average) };
        self.lowest_nanos.store(lowest, Ordering::Relaxed);
        self.observed.store(self.observed.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    fn is_congested(&self) -> bool {
        let lowest = self.lowest_nanos.load(Ordering::Relaxed);
        let tolerated = lowest.saturating_mul(3).saturating_add(TOLERATED_NANOS);
        self.average_nanos.load(Ordering::Relaxed) > tolerated
    }
}

/// Latency that is never called congestion, whatever the device's best.
const TOLERATED_NANOS: u64 = 300_000;
/// Compaction keeps at least this pace, or it would never catch up.
const BYTES_PER_SECOND_MIN: u64 = 64 * MIB;
/// No limit on any device of today.
const BYTES_PER_SECOND_MAX: u64 = 32 * 1024 * MIB;
/// How often the rate follows the latency.
const ADJUST_EVERY: Duration = Duration::from_millis(10);
/// What may be taken at once after a pause, in time at the present rate.
const BURST: Duration = Duration::from_millis(10);

struct Bucket {
    bytes_per_second: u64,
    /// When the bucket is full again, as if everything were paid by waiting.
    paid_until: MonotonicNanos,
    adjusted: MonotonicNanos,
    observed_before: u64,
}

/// The token bucket that all background I/O of a node draws from.
pub(crate) struct IoBudget {
    bucket: Mutex<Bucket>,
    latencies: Vec<Arc<ShardLatency>>,
    clock: Arc<dyn Clock>,
}

impl IoBudget {
    pub(crate) fn new(latencies: Vec<Arc<ShardLatency>>, clock: Arc<dyn Clock>) -> IoBudget {
        let bucket = Bucket {
            bytes_per_second: BYTES_PER_SECOND_MAX,
            paid_until: MonotonicNanos(0),
            adjusted: MonotonicNanos(0),
            observed_before: 0,
        };
        IoBudget { bucket: Mutex::new(bucket), latencies, clock }
    }

    /// Pays for `bytes`; the answer is how long to wait before using them.
    pub(crate) fn draw(&self, bytes: u64) -> Duration {
        let now = self.clock.monotonic();
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        if now.since(bucket.adjusted) >= ADJUST_EVERY {
            self.adjust(&mut bucket, now);
        }
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(bucket.bytes_per_second);
        let earliest = now.0.saturating_sub(BURST.as_nanos() as u64);
        let start = MonotonicNanos(bucket.paid_until.0.max(earliest));
        bucket.paid_until = start + Duration::from_nanos(nanos as u64);
        bucket.paid_until.since(now)
    }

    fn adjust(&self, bucket: &mut Bucket, now: MonotonicNanos) {
        bucket.adjusted = now;
        let observed = self.latencies.iter().map(|one| one.observed.load(Ordering::Relaxed)).sum();
        let shards_active = observed != bucket.observed_before;
        bucket.observed_before = observed;
        let congested = shards_active && self.latencies.iter().any(|one| one.is_congested());
        let rate = bucket.bytes_per_second;
        bucket.bytes_per_second = if congested {
            // From "no limit", begin where it can be felt.
            (rate / 2).clamp(BYTES_PER_SECOND_MIN, 1024 * MIB)
        } else if shards_active {
            (rate + rate / 8).min(BYTES_PER_SECOND_MAX)
        } else {
            (rate * 2).min(BYTES_PER_SECOND_MAX)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct SetClock(AtomicU64);
    impl Clock for SetClock {
        fn wall_micros(&self) -> u64 {
            0
        }
        fn monotonic(&self) -> MonotonicNanos {
            MonotonicNanos(self.0.load(Ordering::Relaxed))
        }
    }

    #[test]
    fn the_rate_falls_under_congestion_and_recovers() {
        let clock = Arc::new(SetClock(AtomicU64::new(1_000_000_000)));
        let latency = Arc::new(ShardLatency::default());
        let budget = IoBudget::new(vec![latency.clone()], clock.clone());
        let draw = |took_micros: u64| {
            clock.0.fetch_add(ADJUST_EVERY.as_nanos() as u64, Ordering::Relaxed);
            for _ in 0..20 {
                latency.observe(Duration::from_micros(took_micros));
            }
            let wait = budget.draw(8 * MIB);
            clock.0.fetch_add(wait.as_nanos() as u64, Ordering::Relaxed);
            wait
        };
        for _ in 0..100 {
            assert_eq!(draw(100), Duration::ZERO, "an unhurried disk is not paced");
        }
        let slowest = (0..20).map(|_| draw(5000)).max().expect("twenty draws");
        assert!(slowest > Duration::from_millis(50), "{slowest:?}");
        for _ in 0..200 {
            draw(100);
        }
        assert_eq!(draw(100), Duration::ZERO);
    }
}
