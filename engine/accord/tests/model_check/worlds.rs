//! The worlds. Transaction k is coordinated by node k; nodes that coordinate nothing are those whose patience runs out.

use std::rc::Rc;

use crate::adapter::Setting;
use crate::explore::{Bounds, World};
use crate::lists::Touch::{self, Append, Read, Replace};

/// A key of the first of two ranges, and one of the second.
const LOW: u16 = 1;
const HIGH: u16 = 0x8001;

fn world(name: &'static str, setting: Setting, bounds: Bounds) -> World {
    World { name, setting: Rc::new(setting), bounds }
}

fn pair(electors: u32, one: &[(u16, Touch)], other: &[(u16, Touch)]) -> Setting {
    Setting::new(3, electors, 1).with(one).with(other)
}

const DECISIONS: Bounds = Bounds { decisions_only: true, ..Bounds::NONE };
/// Node 2 recovers once: what node 0 coordinates only (level 0), or everything.
const ONE_RECOVERY: Bounds = Bounds { ticks: 1, tickers: 4, ..DECISIONS };
const OF_ALL: Bounds = Bounds { levels: 2, ..ONE_RECOVERY };

/// Small enough to be explored to the end in every run.
pub fn whole() -> Vec<World> {
    let append = &[(LOW, Append)][..];
    let read = &[(LOW, Read)][..];
    let alone = |electors| Setting::new(3, electors, 1).with(append);
    let crash = Bounds { crashes: 1, late: true, ..ONE_RECOVERY };
    let executed = Bounds { ticks: 1, tickers: 4, late: true, ..Bounds::NONE };
    let both = &[(LOW, Append), (HIGH, Append)][..];
    let two_ranges = Setting::new(3, 3, 2).with(both);
    vec![
        world(
            "one transaction, one recovery, E 3",
            alone(3),
            Bounds { late: true, ..ONE_RECOVERY },
        ),
        world(
            "one transaction, one recovery, E 2",
            alone(2),
            Bounds { late: true, ..ONE_RECOVERY },
        ),
        world("one transaction, one recovery and a crash, E 2", alone(2), crash),
        world("one transaction to its end, one recovery, E 3", alone(3), executed),
        world("two writers, E 3", pair(3, append, append), DECISIONS),
        world("two writers, E 2", pair(2, append, append), DECISIONS),
        world(
            "two writers, the fast path awaited or not, E 3",
            pair(3, append, append),
            Bounds { late: true, ..DECISIONS },
        ),
        world("reader and writer, E 2", pair(2, read, append), DECISIONS),
        world("two ranges, one transaction", two_ranges, DECISIONS),
    ]
}

/// Explored to the end only with more time; every run takes their nearest states.
pub fn large() -> Vec<World> {
    let append = &[(LOW, Append)][..];
    let read = &[(LOW, Read)][..];
    let two_recoveries = Bounds { ticks: 2, tickers: 0b110, late: true, ..DECISIONS };
    let alone = Setting::new(3, 2, 1).with(append);
    vec![
        world("one transaction, two recoveries, E 2", alone, two_recoveries),
        world("two writers, the first recovered, E 3", pair(3, append, append), ONE_RECOVERY),
        world("two writers, the first recovered, E 2", pair(2, append, append), ONE_RECOVERY),
        world("two writers, both recovered, E 3", pair(3, append, append), OF_ALL),
        world("two writers, both recovered, E 2", pair(2, append, append), OF_ALL),
        world(
            "U3: medium path and recovery of both, E 3",
            pair(3, append, append),
            Bounds { late: true, ..OF_ALL },
        ),
        world("reader and writer, both recovered, E 3", pair(3, read, append), OF_ALL),
    ]
}

/// Random deep schedules: what these worlds hold is far beyond their nearest states.
pub fn deep() -> Vec<World> {
    let append = &[(LOW, Append)][..];
    let both = &[(LOW, Append), (HIGH, Replace)][..];
    let blind = &[(LOW, Replace)][..];
    let high = &[(HIGH, Append)][..];
    let all = Bounds {
        ticks: 6,
        tickers: 0xFF,
        levels: 3,
        give_up: true,
        crashes: 1,
        crashers: 0xFF,
        together: false,
        late: true,
        repeats: false,
        decisions_only: false,
    };
    let repeated = Bounds { repeats: true, ..all };
    let three = |electors| pair(electors, append, append).with(append);
    let mixed = |electors| Setting::new(3, electors, 2).with(both).with(blind).with(high);
    let skewed = mixed(3).ahead(&[10, 20, 0]);
    let lazy = |early| {
        let mut setting = mixed(2);
        setting.lazy_flush = true;
        setting.reads_leave_early = early;
        setting
    };
    let five = |electors| Setting::new(5, electors, 1).with(append).with(append).with(append);
    vec![
        world("three writers, E 3", three(3), all),
        world("three writers, E 2", three(2), all),
        world("three writers, repeated messages", three(3), repeated),
        world("U5: two ranges, one answer for each, E 3", mixed(3), all),
        world("U5: two ranges, one answer for each, E 2", mixed(2), repeated),
        world("two ranges, skewed clocks", skewed, all),
        world("log flushed late", lazy(false), all),
        world("U8: rows leave before the log is durable", lazy(true), all),
        world("five replicas, E 5", five(5), all),
        world("five replicas, E 4", five(4), all),
        world("five replicas, E 3", five(3), repeated),
    ]
}
