//! The whole crate against a `BTreeMap`: seeded workloads of cross-shard transactions, reads at old timestamps, range reads, flushes, compactions, floors,
//! sealed files, dropped power at any disk operation (in the middle of a recovery too), and reopening with another number of shards.

#[path = "support/double.rs"]
mod double;
#[path = "support/rows.rs"]
mod rows;
#[path = "support/workload.rs"]
mod workload;

use workload::{Crashes, run_seed};

#[test]
fn without_crashes_every_read_agrees() {
    for seed in 0..12 {
        run_seed(seed, Crashes::Never);
    }
}

#[test]
fn with_crashes_nothing_acknowledged_is_lost() {
    for seed in 100..140 {
        run_seed(seed, Crashes::Often);
    }
}
