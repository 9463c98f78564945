//! Planted bugs that crashes must bring to light. Only in the build with `--cfg mutants`; elsewhere this file holds nothing.
#![cfg(mutants)]

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

use std::panic::{AssertUnwindSafe, catch_unwind};

use storage::mutants;
use types::mutants::Mutant;
use workload::{Plan, run_seed};

/// Seeds after which a bug counts as missed; of each, one crash point in a few.
const SEEDS: u64 = 40;
const STRIDE: u64 = 5;

/// What rot brings to light is for `planted_bugs.rs`: a crash alone damages nothing.
fn needs_rot(mutant: Mutant) -> bool {
    mutant == mutants::DAMAGE_TAKEN_FOR_TORN_TAIL
}

#[test]
fn crashes_find_every_planted_bug() {
    std::panic::set_hook(Box::new(|_| {}));
    let plan = Plan { stride: STRIDE, ..Plan::default() };
    // What fails without a bug proves nothing with one.
    for seed in 0..6 {
        run_seed(seed, plan);
    }
    let mut missed = Vec::new();
    for (mutant, name) in mutants::ALL.iter().filter(|(mutant, _)| !needs_rot(*mutant)) {
        types::mutants::set_live(mutant.0);
        let look = |seed: u64| catch_unwind(AssertUnwindSafe(|| run_seed(seed, plan)));
        let found = (0..SEEDS).find(|seed| look(*seed).is_err());
        types::mutants::set_live(0);
        match found {
            Some(seed) => println!("{name}: found by seed {seed}"),
            None => missed.push(*name),
        }
    }
    let _ = std::panic::take_hook();
    let all = mutants::ALL.len() - usize::from(mutants::ALL.iter().any(|(one, _)| needs_rot(*one)));
    println!("count: {} of {all} planted bugs of storage found by crashes", all - missed.len());
    assert!(missed.is_empty(), "not found: {missed:?}");
}
