//! The one-node transaction rules as a model check of the real code.
//!
//! Real replicas on a toy store: cores with skewed clocks, logs that lose their tails independently, crashes, restart on
//! another number of cores, flush, compaction, truncation, loads. Random schedules from seeds and bounded exhaustive
//! search of small worlds, judged for strict serializability, atomicity, durability and snapshots of age zero.
//! In the `mutants` build (`RUSTFLAGS='--cfg mutants'`) every planted bug must be found.
//!
//! Two rules of the design are kept though no schedule can miss them here, so they have no planted bug: replies that
//! only read raise the slot too (a commit raises it even if its session is gone, which covers what later readers saw),
//! and slots start at the floor (the clocks do, and BEGIN takes its snapshot from the clock).
//!
//! To replay a seed: `ONE_NODE_SEED=<lean>:<seed> cargo test -p accord --test one_node replay -- --nocapture`.

#[path = "one_node/judge.rs"]
mod judge;
#[path = "one_node/schedule.rs"]
mod schedule;
#[path = "one_node/script.rs"]
mod script;
#[path = "one_node/store.rs"]
mod store;
#[path = "one_node/world.rs"]
mod world;

use schedule::{Lean, Ran, run_random, scenarios, search};
use script::Flaw;

/// Random schedules of each lean in a clean run.
const CLEAN_SCHEDULES: u64 = 10_000;
/// States of each scenario in a clean run.
const CLEAN_STATES: usize = 20_000;
/// Random schedules after which a bug counts as not found.
const BUG_SCHEDULES: u64 = 40_000;

#[cfg(not(mutants))]
#[test]
fn random_schedules_hold() {
    hold_random_schedules();
}

fn hold_random_schedules() {
    let mut all = Ran::default();
    for lean in Lean::ALL {
        for seed in 0..CLEAN_SCHEDULES {
            let (result, ran) = run_random(seed, lean, Flaw::None, &mut |_, _| {});
            if let Err(violation) = result {
                panic!("{lean:?} seed {seed}: {violation}");
            }
            all.add(&ran);
        }
    }
    println!("{all:?}");
    assert!(all.crashed > all.schedules / 4, "crashes are part of many schedules");
    assert!(all.committed > all.aborted, "most transactions take effect");
    assert!(all.aborted > 0, "some do not");
}

#[cfg(not(mutants))]
#[test]
fn small_worlds_hold() {
    hold_small_worlds();
}

fn hold_small_worlds() {
    for (index, scenario) in scenarios().iter().enumerate() {
        let (result, searched) = search(scenario, CLEAN_STATES);
        println!("scenario {index}: {searched:?}");
        if let Err(violation) = result {
            panic!("scenario {index} {scenario:?}: {violation}");
        }
        assert!(searched.ends > 0, "a search reaches ends");
    }
}

/// Flaws of the world around the protocol, found without planted bugs in it.
#[cfg(not(mutants))]
#[test]
fn a_flawed_world_is_found_out() {
    let flaws = [
        (Flaw::MessagesOvertake, Lean::Mixed),
        (Flaw::ReplayIgnoresPositions, Lean::Storage),
        (Flaw::InstallNotHeld, Lean::Storage),
        (Flaw::RecoveryDoesNotFlush, Lean::Storage),
        (Flaw::DeferredOnSnapshot, Lean::Mixed),
    ];
    for (flaw, lean) in flaws {
        let found = (0..BUG_SCHEDULES).find_map(|seed| {
            run_random(seed, lean, flaw, &mut |_, _| {}).0.err().map(|v| (seed, v))
        });
        let (seed, violation) = found.unwrap_or_else(|| panic!("{flaw:?} was not found"));
        println!("{flaw:?}: seed {seed}: {violation}");
    }
}

#[test]
fn replay() {
    let Ok(wanted) = std::env::var("ONE_NODE_SEED") else { return };
    let (lean, seed) = wanted.split_once(':').expect("ONE_NODE_SEED=<lean>:<seed>");
    let lean = Lean::ALL.into_iter().find(|known| format!("{known:?}") == lean).expect("a lean");
    let seed = seed.parse().expect("a number");
    #[cfg(mutants)]
    if let Ok(mutant) = std::env::var("ONE_NODE_MUTANT") {
        types::mutants::set_live(mutant.parse().expect("a number"));
    }
    let mut first = true;
    let (result, ran) = run_random(seed, lean, Flaw::None, &mut |world, act| {
        if std::mem::take(&mut first) {
            println!("{:#?}", world.config);
        }
        println!("{act:?}");
    });
    println!("{ran:?} {result:?}");
}

/// One test, because one planted bug at a time is live in the whole process.
#[cfg(mutants)]
#[test]
fn every_planted_bug_is_found() {
    hold_random_schedules();
    hold_small_worlds();
    let mut missed = Vec::new();
    for (name, mutant) in accord::mutants::ALL {
        types::mutants::set_live(mutant.0);
        let found = find_in_random_schedules().or_else(find_in_small_worlds);
        types::mutants::set_live(0);
        match found {
            Some(finding) => println!("{name}: {finding}"),
            None => missed.push(*name),
        }
    }
    let all = accord::mutants::ALL.len();
    println!(
        "count: {} of {all} planted bugs of accord found by its model check",
        all - missed.len()
    );
    assert!(missed.is_empty(), "planted bugs that were not found: {missed:?}");
}

/// A violation, or the failed assertion of a run.
#[cfg(mutants)]
fn violation_of(
    run: impl FnOnce() -> Result<(), judge::Violation> + std::panic::UnwindSafe,
) -> Option<judge::Violation> {
    match std::panic::catch_unwind(run) {
        Ok(result) => result.err(),
        Err(_) => Some(judge::Violation::new("an assertion failed".into())),
    }
}

#[cfg(mutants)]
fn find_in_random_schedules() -> Option<String> {
    (0..BUG_SCHEDULES).find_map(|number| {
        let (lean, seed) = (Lean::ALL[(number % 4) as usize], number / 4);
        let run = || run_random(seed, lean, Flaw::None, &mut |_, _| {}).0;
        violation_of(run).map(|violation| format!("{lean:?}:{seed}: {violation}"))
    })
}

#[cfg(mutants)]
fn find_in_small_worlds() -> Option<String> {
    scenarios().iter().enumerate().find_map(|(index, scenario)| {
        let run = || search(scenario, CLEAN_STATES).0;
        violation_of(run).map(|violation| format!("scenario {index}: {violation}"))
    })
}
