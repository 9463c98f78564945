//! Every planted bug of this crate is found by the seeded workload. Only in the build with `--cfg mutants`; elsewhere this file holds nothing.
#![cfg(mutants)]

#[path = "support/double.rs"]
mod double;
#[path = "support/rot.rs"]
mod rot;
#[path = "support/rows.rs"]
mod rows;
#[path = "support/workload.rs"]
mod workload;

use std::panic::{AssertUnwindSafe, catch_unwind};

use workload::{Crashes, run_seed};

/// Seeds after which a bug counts as missed.
const SEEDS: u64 = 250;

/// One look for a bug. Rot is a world of its own: in it a power cut excuses nothing.
fn look(seed: u64) {
    run_seed(1000 + seed, Crashes::Often);
    if seed < 3 {
        rot::check_flipped_bits(seed);
    }
}

#[test]
fn every_planted_bug_is_found() {
    let mut missed = Vec::new();
    std::panic::set_hook(Box::new(|_| {}));
    for (mutant, name) in storage::mutants::ALL {
        types::mutants::set_live(mutant.0);
        let found = (0..SEEDS).find(|seed| catch_unwind(AssertUnwindSafe(|| look(*seed))).is_err());
        types::mutants::set_live(0);
        match found {
            Some(seed) => println!("{name}: found after {} seeds", seed + 1),
            None => missed.push(*name),
        }
    }
    let _ = std::panic::take_hook();
    let all = storage::mutants::ALL.len();
    println!(
        "count: {} of {all} planted bugs of storage found by the workload",
        all - missed.len()
    );
    assert!(missed.is_empty(), "not found: {missed:?}");
}
