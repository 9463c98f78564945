//! Crashes at every disk event of seeded workloads, and again during the recovery: everything acknowledged is there, everything else is there as a
//! whole or not at all, nothing comes back, old snapshots read as they did.
//!
//! A failing seed prints itself: `SEED=17 POINT=423 cargo test -p storage --release --test crash` looks at that crash alone.

#[path = "crash/check.rs"]
mod check;
#[path = "crash/clients.rs"]
mod clients;
#[path = "crash/model.rs"]
mod model;
#[path = "crash/node.rs"]
mod node;
#[path = "support/rows.rs"]
mod rows;
#[path = "crash/workload.rs"]
mod workload;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use model::Activity;
use workload::{Counts, Plan, run_seed};

/// Crash points that a run looks at; a build without optimisation looks at fewer.
const CRASH_POINTS: u64 = if cfg!(debug_assertions) { 1_000 } else { 10_500 };

fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text}")))
}

#[test]
fn a_crash_at_any_event_loses_nothing_acknowledged() {
    if let Some(seed) = number_from("SEED") {
        let plan = Plan { only: number_from("POINT"), ..Plan::default() };
        println!("{:?}", run_seed(seed, plan));
        return;
    }
    let started = Instant::now();
    let mut total = Counts::default();
    let mut seed = number_from("FIRST_SEED").unwrap_or(0);
    let wanted = number_from("CRASH_POINTS").unwrap_or(CRASH_POINTS);
    while total.crash_points < wanted {
        let counts = run_seed(seed, Plan::default());
        total.crash_points += counts.crash_points;
        total.nested += counts.nested;
        total.starts += counts.starts;
        let during = total.during.iter_mut().zip(counts.during);
        during.for_each(|(all, points)| *all += points);
        seed += 1;
    }
    println!(
        "count: {} crash points of storage and {} crashes during its recovery, {} starts, {seed} seeds, {:.1} s",
        total.crash_points,
        total.nested,
        total.starts,
        started.elapsed().as_secs_f64()
    );
    assert!(total.crash_points >= wanted);
    assert!(total.nested >= total.crash_points, "a recovery has a crash tried in it");
    for (activity, points) in Activity::ALL.iter().zip(total.during) {
        println!("{points} of them during {activity:?}");
        assert!(points > 0, "no crash came into {activity:?}");
    }
}

#[test]
fn a_seed_replays() {
    let mut traces = BTreeSet::new();
    for seed in 0..3 {
        let plan = Plan { stride: 50, ..Plan::default() };
        let counts = run_seed(seed, plan);
        assert_eq!(counts, run_seed(seed, plan), "seed {seed}");
        assert!(traces.insert(counts.trace), "seed {seed} did what another did");
    }
}

/// If this does not fail, the test above proves nothing.
#[test]
fn a_disk_whose_flushes_lie_is_noticed() {
    let plan = Plan { flushes_lie: true, ..Plan::default() };
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let noticed =
        (0..3).any(|seed| catch_unwind(AssertUnwindSafe(|| run_seed(seed, plan))).is_err());
    std::panic::set_hook(hook);
    assert!(noticed, "acknowledged writes were lost and nobody noticed");
}
