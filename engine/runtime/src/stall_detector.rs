//! Names a task that held its core too long, so that the code that needs a
//! [`platform::maybe_yield`] is found.

use std::time::Duration;

use platform::MonotonicNanos;

/// Longer than any turn should take; far above what the kernel's own scheduling adds on an unshared
/// core.
const STALL: Duration = Duration::from_millis(20);
/// At most one line in so much time, so that a slow machine does not drown in them.
const QUIET: Duration = Duration::from_secs(5);

/// One core's detector.
#[derive(Default)]
pub(crate) struct StallDetector {
    reported: Option<MonotonicNanos>,
    unreported: u32,
}

impl StallDetector {
    /// Told of every poll. Logs the first stall, then at most one in a while, with the number kept
    /// back.
    pub(crate) fn observe(&mut self, task: &'static str, held: Duration, now: MonotonicNanos) {
        if held < STALL {
            return;
        }
        if self.reported.is_some_and(|reported| now.since(reported) < QUIET) {
            self.unreported += 1;
            return;
        }
        let kept_back = std::mem::take(&mut self.unreported);
        self.reported = Some(now);
        let held_micros = u64::try_from(held.as_micros()).unwrap_or(u64::MAX);
        tracing::warn!(task, held_micros, kept_back, "a task held its core too long");
    }
}
