//! Pins: who keeps old row versions and files alive, until when, and at which timestamp. Each has a lease, so that a dead client cannot hold garbage for ever.
//!
//! A snapshot's files stay readable while it holds their `Arc`s. What a pin adds is that compaction keeps the versions its timestamp needs, because the
//! floor does not pass it. When the lease has run out the pin counts no more, and whoever reads through it is told so by [`Pin::check`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use platform::MonotonicNanos;
use types::Timestamp;

use crate::error::StorageError;

#[derive(Debug)]
struct PinShared {
    holder: String,
    at: Timestamp,
    /// Nanoseconds on the monotonic clock; zero once given up or found expired.
    lease_until: AtomicU64,
}

/// A pin as its holder has it. `Send`; dropping the last clone gives it up.
#[derive(Clone, Debug)]
pub struct Pin {
    shared: Arc<PinShared>,
    _held: Arc<Held>,
}

/// Ends the lease when the last clone of a pin drops.
#[derive(Debug)]
struct Held(Arc<PinShared>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.lease_until.store(0, Ordering::Release);
    }
}

impl Pin {
    /// The timestamp that is kept readable.
    pub fn at(&self) -> Timestamp {
        self.shared.at
    }

    /// Whether the lease still runs.
    ///
    /// # Errors
    /// [`StorageError::PinExpired`] if not: what is read now may lack versions.
    pub fn check(&self) -> Result<(), StorageError> {
        if self.shared.lease_until.load(Ordering::Acquire) == 0 {
            return Err(StorageError::PinExpired { holder: self.shared.holder.clone() });
        }
        Ok(())
    }

    /// Makes the lease longer, if it still runs.
    ///
    /// # Errors
    /// [`StorageError::PinExpired`] if it does not.
    pub fn renew(&self, until: MonotonicNanos) -> Result<(), StorageError> {
        let renewed =
            self.shared.lease_until.fetch_update(Ordering::AcqRel, Ordering::Acquire, |lease| {
                (lease > 0).then_some(lease.max(until.0))
            });
        renewed
            .map(|_| ())
            .map_err(|_| StorageError::PinExpired { holder: self.shared.holder.clone() })
    }
}

/// One pin as the list of snapshots shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinSummary {
    /// Who holds it.
    pub holder: String,
    /// Which timestamp.
    pub at: Timestamp,
    /// Until when.
    pub lease_until: MonotonicNanos,
}

/// The pins of a shard.
#[derive(Debug, Default)]
pub(crate) struct Pins {
    next: u64,
    pins: BTreeMap<u64, Arc<PinShared>>,
}

impl Pins {
    /// Takes a pin.
    pub(crate) fn take(&mut self, holder: &str, at: Timestamp, until: MonotonicNanos) -> Pin {
        let shared = Arc::new(PinShared {
            holder: holder.to_string(),
            at,
            lease_until: AtomicU64::new(until.0.max(1)),
        });
        self.pins.insert(self.next, shared.clone());
        self.next += 1;
        Pin { _held: Arc::new(Held(shared.clone())), shared }
    }

    /// Forgets pins that are given up or whose lease has run out; from now on those are expired for their holders too.
    pub(crate) fn expire(&mut self, now: MonotonicNanos) {
        self.pins.retain(|_, pin| {
            let kept = pin.lease_until.fetch_update(Ordering::AcqRel, Ordering::Acquire, |lease| {
                (lease <= now.0).then_some(0)
            });
            kept.is_err()
        });
    }

    /// The lowest timestamp that a pin needs.
    pub(crate) fn lowest(&self) -> Option<Timestamp> {
        self.pins.values().map(|pin| pin.at).min()
    }

    /// All of them, oldest first.
    pub(crate) fn list(&self) -> Vec<PinSummary> {
        let summary = |pin: &Arc<PinShared>| PinSummary {
            holder: pin.holder.clone(),
            at: pin.at,
            lease_until: MonotonicNanos(pin.lease_until.load(Ordering::Acquire)),
        };
        self.pins.values().map(summary).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_counts_until_dropped_or_expired() {
        let mut pins = Pins::default();
        let first = pins.take("backup", Timestamp(5), MonotonicNanos(100));
        let second = pins.take("query", Timestamp(3), MonotonicNanos(50));
        pins.expire(MonotonicNanos(10));
        assert_eq!(pins.lowest(), Some(Timestamp(3)));
        second.renew(MonotonicNanos(80)).expect("runs");
        pins.expire(MonotonicNanos(60));
        second.check().expect("runs");
        pins.expire(MonotonicNanos(80));
        assert!(matches!(second.check(), Err(StorageError::PinExpired { .. })));
        assert!(second.renew(MonotonicNanos(500)).is_err());
        assert_eq!(pins.lowest(), Some(Timestamp(5)));
        drop(first);
        pins.expire(MonotonicNanos(60));
        assert_eq!(pins.lowest(), None);
    }
}
