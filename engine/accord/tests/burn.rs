//! Burn test: several nodes of the whole protocol on a network that loses, repeats, delays and cuts, with clocks that
//! disagree and nodes that crash and come back with what their log held. Every seed is judged: one order of all
//! transactions that agrees with what each has read and with real time, every promise kept, and an end to everything.
//!
//! `BURN_SEED=n` runs one seed and prints its trace; `BURN_SEEDS=a..b` a range.

#[path = "burn/cluster.rs"]
mod cluster;
#[path = "burn/judge.rs"]
mod judge;
#[path = "burn/lists.rs"]
mod lists;
#[path = "burn/plan.rs"]
mod plan;
#[path = "burn/scenarios.rs"]
mod scenarios;
#[path = "burn/wire.rs"]
mod wire;

use cluster::Cluster;
use plan::Plan;

/// Runs one seed to its end and judges it; gives the hash of its trace.
fn run(seed: u64) -> Result<cluster::Outcome, String> {
    let mut cluster = Cluster::new(Plan::of_seed(seed));
    cluster.run()?;
    judge::judge(&cluster)?;
    Ok(cluster.outcome())
}

fn seeds(default: std::ops::Range<u64>) -> std::ops::Range<u64> {
    if let Ok(seed) = std::env::var("BURN_SEED") {
        let seed: u64 = seed.parse().expect("BURN_SEED is a number");
        return seed..seed + 1;
    }
    let Ok(range) = std::env::var("BURN_SEEDS") else { return default };
    let (first, last) = range.split_once("..").expect("BURN_SEEDS is a..b");
    first.parse().expect("a number")..last.parse().expect("a number")
}

#[cfg(not(mutants))]
#[test]
fn every_seed_is_strictly_serializable() {
    let mut total = cluster::Outcome::default();
    let mut ran = 0;
    for seed in seeds(0..200) {
        match run(seed) {
            Ok(outcome) => total.add(&outcome),
            Err(violation) => panic!("seed {seed}: {violation}"),
        }
        ran += 1;
    }
    println!("count: {ran} burn seeds of several nodes: {total:?}");
    for (row, times) in total.rows() {
        println!("  {row}: {times}");
    }
}

/// What docs/protocol.md says of a transaction that meets nobody: decided on the fast path, so many messages to other cores and so
/// many log entries on all three replicas together.
#[cfg(not(mutants))]
#[test]
fn an_uncontended_transaction_costs_what_it_should() {
    let transactions = 400;
    let mut cluster = Cluster::new(Plan::quiet(transactions));
    cluster.run_until_answered().expect("a quiet cluster");
    let counters = cluster.outcome().counters;
    assert_eq!(counters.fast, u64::from(transactions), "all on the fast path");
    assert_eq!((counters.recoveries, counters.rounds), (0, 0));
    let each = u64::from(transactions);
    assert!(counters.messages <= 10 * each, "{} messages", counters.messages);
    // And a reservation of timestamps now and then.
    assert!(counters.log_entries <= 10 * each + 10, "{} log entries", counters.log_entries);
}

#[cfg(not(mutants))]
#[test]
fn the_hard_cases_are_answered_as_specified() {
    scenarios::all().expect("as specified");
}

#[cfg(not(mutants))]
#[test]
fn a_seed_runs_the_same_way_twice() {
    for seed in 1000..1004 {
        let first = run(seed).expect("a clean seed").trace;
        assert_eq!(first, run(seed).expect("a clean seed").trace, "seed {seed}");
    }
}

/// Each planted bug of the cluster is found by some seed.
///
/// `BURN_MUTANT=name` looks for one only.
#[cfg(mutants)]
#[test]
fn every_planted_bug_is_found() {
    let planted = accord::mutants::CLUSTER;
    let mut missed = Vec::new();
    let mut count = 0;
    scenarios::all().expect("nothing is found where no bug is planted");
    run(0).expect("nothing is found where no bug is planted");
    // What a planted bug breaks may be an assertion: its message is expected here.
    std::panic::set_hook(Box::new(|_| {}));
    let only = std::env::var("BURN_MUTANT").ok();
    for (name, mutant) in planted {
        if only.as_deref().is_some_and(|only| only != *name) {
            continue;
        }
        count += 1;
        types::mutants::set_live(mutant.0);
        let by_hand = std::panic::catch_unwind(scenarios::all).map_or(true, |all| all.is_err());
        let found = if by_hand {
            None
        } else {
            seeds(0..400).find(|seed| {
                std::panic::catch_unwind(|| run(*seed)).map_or(true, |judged| judged.is_err())
            })
        };
        types::mutants::set_live(0);
        match found {
            _ if by_hand => println!("{name}: found by hand"),
            Some(seed) => println!("{name}: found by seed {seed}"),
            None => {
                println!("{name}: not found");
                missed.push(*name);
            }
        }
    }
    let _default = std::panic::take_hook();
    println!(
        "count: {} of {count} planted bugs of accord found by its burn test",
        count - missed.len()
    );
    assert!(missed.is_empty(), "not found: {missed:?}");
}
