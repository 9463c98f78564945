//! Whole nodes of shards in the simulated world: transfers across cores, snapshots of both kinds, crashes at disk events, restarts with other numbers of
//! shards, a device that fails. Every snapshot holds what was acknowledged or seen before it, and a state that its ledger explains.
//!
//! A failing seed prints itself: `SEED=17 POINT=423 cargo test -p shard --release --test simulated`.

#[path = "simulated/bank.rs"]
mod bank;
#[path = "simulated/nodes.rs"]
mod nodes;
#[path = "simulated/runs.rs"]
mod runs;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use bank::{Fate, History};
use runs::{Outcome, Plan, Trouble, run_seed};

/// Crash points that a run tries, at every disk event of seed after seed; a build without optimisation tries fewer.
const CRASH_POINTS: u64 = if cfg!(debug_assertions) { 200 } else { 5_000 };
/// Seeds of the tests beside that.
const SEEDS: u64 = if cfg!(debug_assertions) { 2 } else { 12 };

const CRASHES: Plan = Plan { stride: 1, only: None, trouble: Trouble::None };

fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text}")))
}

#[test]
fn every_snapshot_is_a_state_of_the_bank_through_crashes_and_restarts() {
    if let Some(seed) = number_from("SEED") {
        println!("{:?}", run_seed(seed, Plan { only: number_from("POINT"), ..CRASHES }));
        return;
    }
    let started = Instant::now();
    let wanted = number_from("CRASH_POINTS").unwrap_or(CRASH_POINTS);
    let mut total = Outcome::default();
    let mut seed = number_from("FIRST_SEED").unwrap_or(0);
    while total.crash_points < wanted {
        let outcome = run_seed(seed, CRASHES);
        total.crash_points += outcome.crash_points;
        total.nested += outcome.nested;
        total.committed += outcome.committed;
        seed += 1;
    }
    let Outcome { crash_points, nested, committed, .. } = total;
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "count: {crash_points} crash points of whole nodes and {nested} crashes during their recovery, \
         {committed} transfers, {seed} seeds, {seconds:.1} s"
    );
    assert!(crash_points >= wanted);
    assert!(nested > 0, "no recovery was broken off");
    assert!(committed > crash_points / 100, "a bank without customers shows nothing");
}

/// Seed 38: a small log was full when a transaction that had been admitted came to it, and the session was told of a full disk; and in a small block cache
/// two loads of one transaction drove out each other's pages for ever, since a load held only what it had fetched itself.
#[test]
fn a_full_log_and_a_small_cache_stop_nobody() {
    run_seed(38, Plan { stride: 100, ..CRASHES });
}

#[test]
fn a_failed_flush_takes_nothing_acknowledged_along() {
    let plan = Plan { stride: u64::MAX, trouble: Trouble::FailedFlush, ..CRASHES };
    let failed: u64 = (0..SEEDS).map(|seed| run_seed(1_000 + seed, plan).failed).sum();
    assert!(failed > 0, "no flush failed under a session");
}

#[test]
fn a_seed_replays() {
    let mut traces = BTreeSet::new();
    for seed in 2_000..2_004 {
        let run = || run_seed(seed, Plan { stride: 40, ..CRASHES });
        let outcome = run();
        assert_eq!(outcome, run(), "seed {seed}");
        assert!(traces.insert(outcome.trace), "seed {seed} did what another did");
    }
}

/// If this does not fail, the tests above prove nothing.
#[test]
fn a_disk_whose_flushes_lie_is_noticed() {
    let plan = Plan { trouble: Trouble::LyingFlushes, ..CRASHES };
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let look = |seed| catch_unwind(AssertUnwindSafe(|| run_seed(seed, plan)));
    let noticed = (0..3).any(|seed| look(seed).is_err());
    std::panic::set_hook(hook);
    assert!(noticed, "acknowledged transfers were lost and nobody noticed");
}

/// The judge itself: a state that lost half of a transfer does not pass.
#[test]
#[should_panic(expected = "does not explain")]
fn half_a_transfer_is_noticed() {
    let mut history = History::default();
    let transfer = history.ask(0, 1, 5);
    history.transfers[0].1 = Fate::Committed(types::Timestamp::new(0, 1, 0));
    let mut rows: std::collections::BTreeMap<i64, i64> =
        (0..bank::ACCOUNTS).map(|account| (account, bank::BALANCE)).collect();
    rows.insert(1_000_000 + transfer.number as i64, 5);
    rows.insert(0, bank::BALANCE - 5);
    history.check(&rows, &history.committed(), types::Timestamp::new(0, 2, 0));
}
