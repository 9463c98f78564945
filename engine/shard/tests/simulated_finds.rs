//! Planted bugs of the protocol that whole nodes in the simulated world bring to light soon, too. Only in the build with `--cfg mutants`.
//!
//! `accord/tests/one_node.rs` must find every one of them; here stand those that a bank without ranges, schema changes and loads can show in a few seeds.
#![cfg(mutants)]

#[path = "simulated/bank.rs"]
mod bank;
#[path = "simulated/nodes.rs"]
mod nodes;
#[path = "simulated/runs.rs"]
mod runs;

use std::panic::{AssertUnwindSafe, catch_unwind};

use accord::mutants;
use runs::{Plan, Trouble, run_seed};
use types::mutants::Mutant;

/// Seeds after which a bug counts as missed.
const SEEDS: u64 = 30;

const SHOWN: [(&str, Mutant); 17] = [
    ("prepare does not register", mutants::PREPARE_DOES_NOT_REGISTER),
    ("undecided Prepare ignored by a snapshot", mutants::SNAPSHOT_IGNORES_UNDECIDED),
    ("undecided Prepare ignored by a read", mutants::READ_IGNORES_UNDECIDED),
    ("commit acknowledged before it is durable", mutants::COMMIT_REPLY_NOT_HELD),
    ("BEGIN without the other cores' slots", mutants::BEGIN_IGNORES_SLOTS),
    ("a participant's rows leave early", mutants::ANSWER_NOT_HELD),
    ("Commit does not raise the clock", mutants::COMMIT_DOES_NOT_RAISE_CLOCK),
    ("the slot does not show commits", mutants::SLOT_IGNORES_COMMITS),
    ("a read does not wait for the decided", mutants::READ_IGNORES_OPEN),
    ("Apply before the record is durable", mutants::APPLY_NOT_HELD),
    ("a turn queues until decided only", mutants::TURN_QUEUES_UNTIL_DECIDED),
    ("a start ignores the floor", mutants::START_IGNORES_FLOOR),
    ("a snapshot does not wait for the decided", mutants::SNAPSHOT_IGNORES_OPEN),
    ("ranges do not conflict", mutants::RANGE_DOES_NOT_CONFLICT),
    ("Commit answers before applied", mutants::COMMIT_ANSWERS_BEFORE_APPLIED),
    ("the last change is not noted", mutants::CHANGE_NOT_NOTED),
    ("a participant is released at its answer", mutants::RELEASE_AT_ANSWER),
];

#[test]
fn the_bank_finds_planted_bugs() {
    std::panic::set_hook(Box::new(|_| {}));
    let plan = Plan { stride: 20, only: None, trouble: Trouble::None };
    // What fails without a bug proves nothing with one.
    for seed in 0..SEEDS {
        run_seed(seed, plan);
    }
    let mut missed = Vec::new();
    for (name, mutant) in SHOWN {
        types::mutants::set_live(mutant.0);
        let look = |seed: u64| catch_unwind(AssertUnwindSafe(|| run_seed(seed, plan)));
        let found = (0..SEEDS).find(|seed| look(*seed).is_err());
        types::mutants::set_live(0);
        match found {
            Some(seed) => println!("{name}: found by seed {seed}"),
            None => missed.push(name),
        }
    }
    let _ = std::panic::take_hook();
    let all = SHOWN.len();
    println!("count: {} of {all} planted bugs of accord found by whole nodes", all - missed.len());
    assert!(missed.is_empty(), "not found: {missed:?}");
}
