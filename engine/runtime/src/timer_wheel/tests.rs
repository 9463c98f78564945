//! The wheel against a sorted map, over random additions, cancellations and jumps of time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Wake;

use platform::Prng;

use super::*;

struct Count(AtomicU64);
impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

const TICK: u64 = 1 << TICK_BITS;

#[test]
fn fires_what_is_due_and_nothing_early_like_a_sorted_map() {
    for seed in 0..if cfg!(miri) { 2 } else { 60 } {
        let mut prng = Prng::new(seed);
        let mut now = prng.below(1 << 50);
        let mut wheel = TimerWheel::new(MonotonicNanos(now));
        let mut model: BTreeMap<u64, (u64, TimerKey, Arc<Count>)> = BTreeMap::new();
        let mut next = 0_u64;
        for _ in 0..if cfg!(miri) { 50 } else { 2000 } {
            match prng.below(10) {
                0..=4 => {
                    let distance_bits = prng.below(44);
                    let deadline = now + prng.below(1 << distance_bits);
                    let count = Arc::new(Count(AtomicU64::new(0)));
                    let key = wheel.add(MonotonicNanos(deadline), Waker::from(count.clone()));
                    model.insert(next, (deadline, key, count));
                    next += 1;
                }
                5 | 6 => {
                    let chosen = prng.below(next.max(1));
                    if let Some((_, key, count)) = model.remove(&chosen) {
                        wheel.cancel(key);
                        assert_eq!(Arc::strong_count(&count), 1, "its waker is dropped");
                        wheel.cancel(key);
                    }
                }
                _ => {
                    let distance_bits = prng.below(40);
                    let mut target = now + prng.below(1 << distance_bits);
                    if prng.below(2) == 0
                        && let Some(wake) = wheel.next_wake()
                    {
                        target = wake.0.max(now);
                    }
                    now = target;
                    wheel.fire(MonotonicNanos(now));
                    model.retain(|_, (deadline, _, count)| {
                        let fired = count.0.load(Ordering::Relaxed);
                        if fired > 0 {
                            assert_eq!(fired, 1);
                            assert!(*deadline <= now, "fired early");
                        } else {
                            assert!(*deadline + 2 * TICK > now, "fired late");
                        }
                        fired == 0
                    });
                }
            }
            assert_eq!(wheel.len(), model.len());
            if let Some(wake) = wheel.next_wake() {
                let first = model.values().map(|(deadline, ..)| *deadline).min();
                let first = first.expect("the wheel is not empty");
                assert!(wake.0 <= first.max(now) + 2 * TICK, "would sleep past a timer");
            } else {
                assert!(model.is_empty());
            }
        }
    }
}
