//! Time as the engine may see it: a wall clock that can step, and a monotonic clock that cannot.

use std::ops::Add;
use std::time::Duration;

/// A point on the monotonic clock of one node; meaningful only against another point of the same
/// process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonotonicNanos(pub u64);

impl MonotonicNanos {
    /// Time from `earlier` to this point; zero if `earlier` is later.
    pub fn since(self, earlier: MonotonicNanos) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for MonotonicNanos {
    type Output = MonotonicNanos;
    fn add(self, duration: Duration) -> MonotonicNanos {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        MonotonicNanos(self.0.saturating_add(nanos))
    }
}

/// The clocks of one node. Cheap enough to be read for every statement.
pub trait Clock: Send + Sync {
    /// Microseconds since the Unix epoch. May step in either direction; never used for ordering by
    /// itself.
    fn wall_micros(&self) -> u64;

    /// Never goes back.
    fn monotonic(&self) -> MonotonicNanos;
}
