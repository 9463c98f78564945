//! When to dial again: doubled waits with jitter, bounded, forgotten after a good while.
//!
//! The jitter is drawn over the whole wait ("full jitter"), so that the cores of a cluster that lost one node do not all knock at the same moment when it
//! comes back. Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

use std::time::Duration;

use types::prng::Prng;

use crate::limits::{REDIAL_MILLIS_FIRST, REDIAL_MILLIS_MAX};

/// The waits of one link.
#[derive(Clone, Debug)]
pub struct Backoff {
    prng: Prng,
    failures: u32,
}

impl Backoff {
    /// No failure yet.
    pub fn new(prng: Prng) -> Backoff {
        Backoff { prng, failures: 0 }
    }

    /// The last attempt went well.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// An attempt failed; gives the wait before the next, never below half of [`REDIAL_MILLIS_FIRST`] nor above [`REDIAL_MILLIS_MAX`].
    pub fn failed(&mut self) -> Duration {
        let ceiling = REDIAL_MILLIS_FIRST.saturating_mul(1 << self.failures.min(32));
        let ceiling = ceiling.min(REDIAL_MILLIS_MAX);
        self.failures = self.failures.saturating_add(1);
        let least = REDIAL_MILLIS_FIRST / 2;
        Duration::from_millis(least + self.prng.below(ceiling - least + 1))
    }

    /// The other end refused for a reason that only an operator changes; gives the longest wait.
    pub fn refused(&mut self) -> Duration {
        self.failures = 32;
        self.failed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_bound_and_differ() {
        let mut backoff = Backoff::new(Prng::new(1));
        let waits: Vec<u64> = (0..100).map(|_| backoff.failed().as_millis() as u64).collect();
        assert!(waits[0] <= REDIAL_MILLIS_FIRST);
        assert!(
            waits.iter().all(|wait| (REDIAL_MILLIS_FIRST / 2..=REDIAL_MILLIS_MAX).contains(wait))
        );
        assert!(waits[50..].iter().max() > Some(&(REDIAL_MILLIS_MAX / 2)));
        let other: Vec<u64> = {
            let mut backoff = Backoff::new(Prng::new(2));
            (0..100).map(|_| backoff.failed().as_millis() as u64).collect()
        };
        assert_ne!(waits, other);
        backoff.succeeded();
        assert!(backoff.failed().as_millis() as u64 <= REDIAL_MILLIS_FIRST);
    }
}
