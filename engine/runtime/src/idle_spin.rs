//! Whether an idle core looks again at once or sleeps.
//!
//! Going to sleep and being woken costs a core more than most requests do (on virtual machines tens
//! of microseconds), so a core that expects work within that time had better look for it. It
//! expects what has happened lately: each spin that found work raises its confidence, each that did
//! not lowers it faster, and a core without confidence tries only now and then. So a core whose
//! work comes rarely spends next to nothing on spinning.

use std::time::Duration;

use platform::MonotonicNanos;

/// About what a sleep and a wake cost: spinning longer than that could not pay.
const SPIN: Duration = Duration::from_micros(25);
const CONFIDENCE_MAX: u32 = 16;
/// A core without confidence spins in one of so many idle periods.
const TRY_EVERY: u32 = 64;

/// One core's decision.
#[derive(Default)]
pub(crate) struct IdleSpin {
    confidence: u32,
    idle_periods: u32,
    since: Option<MonotonicNanos>,
}

impl IdleSpin {
    /// Told that a turn had work.
    pub(crate) fn found_work(&mut self) {
        if self.since.take().is_some() {
            self.confidence = (self.confidence + 1).min(CONFIDENCE_MAX);
        }
    }

    /// Asked when a turn leaves nothing to do: whether to look again instead of sleeping.
    pub(crate) fn look_again(&mut self, now: MonotonicNanos) -> bool {
        let Some(since) = self.since else {
            self.idle_periods = self.idle_periods.wrapping_add(1);
            let spin = self.confidence > 0 || self.idle_periods.is_multiple_of(TRY_EVERY);
            self.since = spin.then_some(now);
            return spin;
        };
        if now.since(since) < SPIN {
            return true;
        }
        self.since = None;
        self.confidence = self.confidence.saturating_sub(2);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Idle periods of one length; gives the share of them in which the core slept.
    fn sleeps(gap: Duration) -> f64 {
        let mut spin = IdleSpin::default();
        let mut now = MonotonicNanos(0);
        let periods = 10_000;
        let mut slept = 0;
        for _ in 0..periods {
            let arrival = now + gap;
            while now < arrival {
                if !spin.look_again(now) {
                    slept += 1;
                    now = arrival;
                } else {
                    now = now + Duration::from_micros(1);
                }
            }
            spin.found_work();
        }
        f64::from(slept) / f64::from(periods)
    }

    #[test]
    fn it_spins_when_work_comes_soon_and_sleeps_when_it_does_not() {
        assert!(sleeps(Duration::from_micros(10)) < 0.05);
        assert!(sleeps(Duration::from_micros(300)) > 0.99);
    }

    #[test]
    fn rare_work_costs_little() {
        let mut spin = IdleSpin::default();
        let spun = (0..6400).filter(|period| spin.look_again(MonotonicNanos(period * 1_000_000)));
        // Each try is asked twice: it begins, and is over when asked again.
        assert!(spun.count() <= 6400 / TRY_EVERY as usize);
    }
}
