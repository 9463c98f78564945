//! Random schedules from seeds, and bounded exhaustive search of small scenarios.

use std::collections::{HashSet, hash_map::DefaultHasher};
use std::fmt::Write as _;
use std::hash::Hasher;
use std::sync::Arc;

use types::Timestamp;
use types::prng::Prng;

use crate::judge::{self, Violation};
use crate::script::{Flaw, Key, Kind, Tombstone};
use crate::world::{Act, Config, Phase, World, delete, put};

const STEPS_MAX: usize = 3_000;

/// What a random schedule leans towards. Rare bugs need a world that keeps to their subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lean {
    /// Everything.
    Mixed,
    /// Blind writes and tombstones, flushes, compaction, truncation and crashes.
    Storage,
    /// Transactions of two cores, reads at snapshots and analytic snapshots.
    Snapshots,
    /// Ranges and schema changes.
    Ranges,
}

impl Lean {
    pub const ALL: [Lean; 4] = [Lean::Mixed, Lean::Storage, Lean::Snapshots, Lean::Ranges];
}

/// Which steps are possible besides the clients' own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phases {
    /// Faults and background work too.
    Open,
    /// Only what lets everybody finish.
    Draining,
}

fn client_acts(world: &World, acts: &mut Vec<Act>) {
    for (txn, client) in world.clients.iter().enumerate() {
        match client.phase {
            Phase::New => acts.push(Act::Invoke(txn)),
            Phase::Idle => acts.push(Act::Step(txn)),
            _ => {}
        }
    }
    for ((from, to), queue) in &world.mesh {
        let overtaking = world.config.flaw == Flaw::MessagesOvertake;
        let reach = if overtaking { queue.len() } else { 1 };
        for index in 0..reach {
            acts.push(Act::Deliver { from: *from, to: *to, index });
        }
    }
    for (index, core) in world.cores.iter().enumerate() {
        if core.store.log.durable < core.store.log.records.len() {
            acts.push(Act::Flush(index));
        }
        for load in 0..core.loading.len() {
            acts.push(Act::Load { core: index, index: load });
        }
        for bulk in 0..core.installing.len() {
            acts.push(Act::InstallBulk { core: index, index: bulk });
        }
        if !core.reserving.is_empty() {
            acts.push(Act::Reserve(index));
        }
    }
}

fn background_acts(world: &World, acts: &mut Vec<Act>) {
    for (index, core) in world.cores.iter().enumerate() {
        match &core.frozen {
            Some(frozen) => {
                let held = world.config.flaw != Flaw::InstallNotHeld;
                if !held || frozen.needs.0 as usize <= core.store.log.durable {
                    acts.push(Act::Install(index));
                }
            }
            None => {
                if !core.store.memory.is_empty() && world.freezes < world.config.freezes_max {
                    acts.push(Act::Freeze(index));
                }
            }
        }
        if world.compactions < world.config.compactions_max {
            let filled = core.store.files.iter().filter(|(_, versions)| !versions.is_empty());
            acts.extend(filled.map(|(key, _)| Act::Compact(*key)));
        }
    }
    for log in 0..world.log_count() {
        let of_log = world.log(log);
        let mut through = of_log.truncated;
        let log_id = types::LogId(log as u32);
        while through < of_log.durable {
            let passed = of_log.records[through].writes.iter().all(|write| {
                let complete = world.complete.get(&(usize::from(write.key[0]), log_id));
                complete.is_some_and(|complete| complete.0 as usize > through)
            });
            if !passed {
                break;
            }
            through += 1;
        }
        if through > of_log.truncated {
            acts.push(Act::Truncate { log, through });
        }
    }
}

/// Every combination of log ends that a crash can leave.
fn crash_ends(world: &World) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for log in 0..world.log_count() {
        let log = world.log(log);
        let mut longer = Vec::new();
        for ends in &all {
            for end in log.durable..=log.records.len() {
                let mut ends = ends.clone();
                ends.push(end);
                longer.push(ends);
            }
        }
        all = longer;
    }
    all
}

fn random_crash(world: &World, prng: &mut Prng) -> Act {
    let end = |log: usize, prng: &mut Prng| {
        let log = world.log(log);
        log.durable + prng.index(log.records.len() - log.durable + 1)
    };
    let ends = (0..world.log_count()).map(|log| end(log, prng)).collect();
    let core_count = 1 + prng.index(3);
    let walls = (0..3).map(|_| prng.below(200) * 8).collect();
    Act::Crash { ends, core_count, walls }
}

fn random_acts(world: &World, phases: Phases, prng: &mut Prng) -> Vec<Act> {
    let mut acts = Vec::new();
    client_acts(world, &mut acts);
    if phases == Phases::Draining {
        return acts;
    }
    background_acts(world, &mut acts);
    for core in 0..world.cores.len() {
        acts.push(Act::Tick { core, micros: prng.below(40) });
        if prng.below(8) == 0 {
            let keys = world.cores[core].store.owned_keys();
            if !keys.is_empty() {
                acts.push(Act::Evict { core, key: keys[prng.index(keys.len())] });
            }
        }
    }
    for (txn, client) in world.clients.iter().enumerate() {
        if client.phase == Phase::Idle && !client.expired && prng.below(10) == 0 {
            acts.push(Act::Expire(txn));
        }
    }
    if world.crashes < world.config.crashes_max && prng.below(3) == 0 {
        acts.push(random_crash(world, prng));
    }
    acts
}

fn random_kind(lean: Lean, keys: &[Key], prng: &mut Prng) -> Kind {
    let maybe = |key: Key, one_in: u64, prng: &mut Prng| {
        let dead = prng.below(one_in) == 0;
        (key, if dead { Tombstone::Yes } else { Tombstone::No })
    };
    let (first, second) = (keys[0], keys[1]);
    let known = |reads, writes| Kind::Known { reads, writes };
    let choice = match lean {
        Lean::Mixed => [0, 0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 12][prng.index(16)],
        Lean::Storage => [2, 2, 5, 5, 16, 3, 4, 0, 1, 11][prng.index(10)],
        Lean::Snapshots => [5, 5, 3, 0, 2, 11, 11, 12, 12, 12, 8, 6][prng.index(12)],
        Lean::Ranges => [0, 2, 5, 13, 13, 14, 14, 15, 12, 16][prng.index(10)],
    };
    match choice {
        0 => known(vec![first], vec![put(first)]),
        1 => known(vec![first], vec![]),
        2 => known(vec![], vec![maybe(first, 2, prng)]),
        3 => known(vec![first, second], vec![put(first), put(second)]),
        4 => known(vec![first], vec![maybe(second, 3, prng)]),
        5 => known(vec![], vec![maybe(first, 2, prng), maybe(second, 2, prng)]),
        6 => known(vec![first, second], vec![]),
        7 => known(vec![first, second], vec![put(first)]),
        8 => Kind::Interactive { reads: vec![first], deferred: vec![], writes: vec![put(second)] },
        9 => {
            let writes = if prng.below(2) == 0 { vec![maybe(second, 2, prng)] } else { vec![] };
            Kind::Interactive { reads: vec![], deferred: vec![first], writes }
        }
        10 => Kind::Interactive { reads: vec![first], deferred: vec![second], writes: vec![] },
        11 => Kind::ReadOnly { reads: keys[..2 + prng.index(keys.len() - 1)].to_vec() },
        12 => Kind::Analytic,
        13 => Kind::Scan { write: (prng.below(2) == 0).then_some(first) },
        14 => Kind::InteractiveScan { write: first },
        15 => Kind::Ddl,
        _ => Kind::Bulk { writes: vec![maybe(first, 4, prng), maybe(second, 4, prng)] },
    }
}

/// A random world and the generator that goes on to choose its steps.
fn random_config(seed: u64, lean: Lean, flaw: Flaw) -> (Config, Prng) {
    let mut prng = Prng::new(seed);
    let key_count = if lean == Lean::Storage { 2 * (1 + prng.index(2)) } else { 2 + prng.index(3) };
    let client_count = 3 + prng.index(7);
    let storage = lean == Lean::Storage;
    let kinds = (0..client_count)
        .map(|_| {
            let mut keys: Vec<Key> = (0..key_count).collect();
            prng.shuffle(&mut keys);
            random_kind(lean, &keys, &mut prng)
        })
        .collect();
    let bound = |prng: &mut Prng, most: usize| match prng.below(3) {
        0 => 0,
        _ => most,
    };
    let config = Config {
        kinds,
        sessions: (0..client_count).map(|_| prng.index(3)).collect(),
        dead: (0..client_count).map(|_| prng.below(5) == 0).collect(),
        key_count,
        core_count: 2 + prng.index(2),
        walls: (0..3).map(|_| [0, 100, 800, 3_000][prng.index(4)]).collect(),
        crashes_max: if prng.below(3) == 0 { 0 } else { 1 + prng.index(2) },
        freezes_max: bound(&mut prng, if storage { 20 } else { 6 }),
        compactions_max: if storage { 20 } else { 6 },
        cold: prng.below(2) == 0,
        refuses_every: (prng.below(6) == 0).then(|| 1 + prng.below(4)),
        flaw,
    };
    (config, prng)
}

/// What random schedules did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ran {
    pub schedules: usize,
    pub steps: usize,
    /// Schedules with a crash.
    pub crashed: usize,
    /// Transactions that took effect and were acknowledged.
    pub committed: usize,
    /// Transactions that were refused by validation or a schema change.
    pub aborted: usize,
    /// Transactions of which the client never learned the outcome.
    pub unknown: usize,
}

impl Ran {
    pub fn add(&mut self, other: &Ran) {
        self.schedules += other.schedules;
        self.steps += other.steps;
        self.crashed += other.crashed;
        self.committed += other.committed;
        self.aborted += other.aborted;
        self.unknown += other.unknown;
    }

    fn of(world: &World, steps: usize) -> Ran {
        let count = |phase| world.clients.iter().filter(|client| client.phase == phase).count();
        Ran {
            schedules: 1,
            steps,
            crashed: usize::from(world.crashes > 0),
            committed: count(Phase::Committed),
            aborted: count(Phase::Aborted),
            unknown: count(Phase::Unknown),
        }
    }
}

/// Leaves out some steps, so that schedules differ in more than order.
fn bias(acts: &mut Vec<Act>, towards: usize, prng: &mut Prng) {
    if prng.below(2) != 0 {
        return;
    }
    match towards {
        1 => acts.retain(|act| !matches!(act, Act::Tick { .. } | Act::Flush(_))),
        2 => acts.retain(|act| !matches!(act, Act::Tick { .. } | Act::Invoke(_))),
        3 => {
            let background = |act: &Act| {
                matches!(
                    act,
                    Act::Install(_) | Act::Compact(_) | Act::Freeze(_) | Act::Truncate { .. }
                )
            };
            if acts.iter().any(background) {
                acts.retain(background);
            }
        }
        _ => {}
    }
}

/// Runs one random schedule to its end and judges it. `trace` is called with each step.
pub fn run_random(
    seed: u64,
    lean: Lean,
    flaw: Flaw,
    trace: &mut dyn FnMut(&World, &Act),
) -> (Result<(), Violation>, Ran) {
    let (config, mut prng) = random_config(seed, lean, flaw);
    let mut world = World::new(Arc::new(config));
    reserve_all(&mut world);
    let faults_until = 30 + prng.index(170);
    let crashes_from = prng.index(100);
    let towards = prng.index(4);
    let mut steps = 0;
    loop {
        let draining = steps > faults_until;
        let phases = if draining { Phases::Draining } else { Phases::Open };
        let mut acts = random_acts(&world, phases, &mut prng);
        if acts.is_empty() {
            break;
        }
        if steps > STEPS_MAX {
            return (Err(Violation::new("livelock".into())), Ran::of(&world, steps));
        }
        steps += 1;
        if !draining {
            bias(&mut acts, towards, &mut prng);
        }
        if steps < crashes_from {
            acts.retain(|act| !matches!(act, Act::Crash { .. }));
        }
        if acts.is_empty() {
            continue;
        }
        let act = acts[prng.index(acts.len())].clone();
        trace(&world, &act);
        if let Err(violation) = world.step(&act) {
            return (Err(violation), Ran::of(&world, steps));
        }
    }
    let mut result = judge::check_end(&world);
    if result.is_ok() && prng.below(2) == 0 {
        let ends = (0..world.log_count()).map(|log| world.log(log).durable).collect();
        let core_count = 1 + prng.index(3);
        result = world.step(&Act::Crash { ends, core_count, walls: vec![0] });
    }
    (result, Ran::of(&world, steps))
}

/// Lets every core make its first reservation, which is not what most schedules are about.
fn reserve_all(world: &mut World) {
    for core in 0..world.cores.len() {
        let through = Timestamp::new(0, 5_000_000, u32::MAX);
        world.cores[core].reserving.push_back(through);
        world.step(&Act::Reserve(core)).expect("nothing is judged here");
    }
}

/// A small world to be searched whole.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub kinds: Vec<Kind>,
    pub core_count: usize,
    pub key_count: usize,
    pub crashes_max: usize,
    pub freezes_max: usize,
    pub compactions_max: usize,
    pub walls: Vec<u64>,
    pub cold: bool,
}

/// What a search saw.
#[derive(Clone, Copy, Debug, Default)]
pub struct Searched {
    pub states: usize,
    pub ends: usize,
    pub complete: bool,
}

/// The small worlds.
pub fn scenarios() -> Vec<Scenario> {
    let known = |reads: Vec<Key>, writes: Vec<(Key, Tombstone)>| Kind::Known { reads, writes };
    let both = || known(vec![0, 1], vec![put(0), put(1)]);
    let update = |key: Key| known(vec![key], vec![put(key)]);
    let read_only = |reads: Vec<Key>| Kind::ReadOnly { reads };
    let interactive = |reads, deferred, writes| Kind::Interactive { reads, deferred, writes };
    let scenario = |kinds: Vec<Kind>, crashes_max, walls: Vec<u64>| Scenario {
        kinds,
        core_count: 2,
        key_count: 2,
        crashes_max,
        freezes_max: 0,
        compactions_max: 0,
        walls,
        cold: false,
    };
    let stored = |scenario: Scenario, freezes_max, compactions_max| Scenario {
        freezes_max,
        compactions_max,
        ..scenario
    };
    let cold = |scenario: Scenario| Scenario { cold: true, ..scenario };
    vec![
        scenario(vec![both(), both(), update(0)], 1, vec![800, 0]),
        scenario(vec![update(0), update(1), read_only(vec![0, 1])], 1, vec![800, 0]),
        scenario(vec![both(), update(1), Kind::Analytic], 1, vec![0, 800]),
        stored(
            scenario(
                vec![known(vec![], vec![put(0), put(1)]), known(vec![], vec![put(0)])],
                1,
                vec![800, 0],
            ),
            1,
            1,
        ),
        scenario(vec![interactive(vec![0], vec![1], vec![]), update(1)], 1, vec![800, 0]),
        scenario(
            vec![
                interactive(vec![0], vec![], vec![put(1)]),
                interactive(vec![1], vec![], vec![put(0)]),
            ],
            0,
            vec![800, 0],
        ),
        scenario(vec![update(0), update(1), Kind::Analytic], 1, vec![800, 0]),
        scenario(
            vec![
                known(vec![], vec![put(0), put(1)]),
                known(vec![0], vec![delete(0)]),
                read_only(vec![1, 0]),
            ],
            0,
            vec![0, 800],
        ),
        stored(scenario(vec![both(), update(1)], 1, vec![800, 0]), 1, 0),
        cold(scenario(vec![both(), update(1), read_only(vec![0])], 0, vec![800, 0])),
        cold(scenario(vec![update(0), both()], 1, vec![0, 800])),
        scenario(vec![both(), both(), read_only(vec![1, 0]), update(1)], 0, vec![0, 800]),
        scenario(vec![both(), update(1), read_only(vec![0, 1]), Kind::Analytic], 0, vec![800, 0]),
        stored(
            scenario(vec![Kind::Bulk { writes: vec![put(0), put(1)] }, update(0)], 1, vec![0, 800]),
            1,
            0,
        ),
        scenario(vec![Kind::Ddl, update(0), both()], 0, vec![800, 0]),
        scenario(vec![Kind::Ddl, known(vec![0], vec![])], 1, vec![800, 0]),
        scenario(vec![Kind::Scan { write: Some(0) }, update(1)], 1, vec![800, 0]),
        scenario(
            vec![Kind::InteractiveScan { write: 0 }, known(vec![], vec![put(1)])],
            0,
            vec![0, 800],
        ),
    ]
}

/// Searches a scenario to its end or to `states_max` states.
pub fn search(scenario: &Scenario, states_max: usize) -> (Result<(), Violation>, Searched) {
    let count = scenario.kinds.len();
    let config = Arc::new(Config {
        kinds: scenario.kinds.clone(),
        sessions: (0..count).collect(),
        dead: vec![false; count],
        key_count: scenario.key_count,
        core_count: scenario.core_count,
        walls: scenario.walls.clone(),
        crashes_max: scenario.crashes_max,
        freezes_max: scenario.freezes_max,
        compactions_max: scenario.compactions_max,
        cold: scenario.cold,
        refuses_every: None,
        flaw: Flaw::None,
    });
    let mut searched = Searched { complete: true, ..Searched::default() };
    let mut known = HashSet::new();
    let mut start = World::new(config);
    reserve_all(&mut start);
    let mut stack = vec![start];
    while let Some(world) = stack.pop() {
        let mut acts = Vec::new();
        client_acts(&world, &mut acts);
        if acts.is_empty() || world.is_over() {
            searched.ends += 1;
            if let Err(violation) = judge_end(&world, acts.is_empty()) {
                return (Err(violation), searched);
            }
        }
        if !world.is_over() {
            background_acts(&world, &mut acts);
            if world.crashes < scenario.crashes_max {
                for ends in crash_ends(&world) {
                    let core_count = scenario.core_count;
                    acts.push(Act::Crash { ends, core_count, walls: scenario.walls.clone() });
                }
            }
        }
        for act in acts {
            let mut next = world.clone();
            if let Err(violation) = next.step(&act) {
                return (Err(violation), searched);
            }
            if known.insert(fingerprint(&next)) {
                stack.push(next);
            }
        }
        searched.states = known.len();
        if known.len() > states_max {
            searched.complete = false;
            return (Ok(()), searched);
        }
    }
    (Ok(()), searched)
}

/// Judges a world whose clients are done, or that cannot go on. What still travels or is being installed is no leak.
fn judge_end(world: &World, stands_still: bool) -> Result<(), Violation> {
    if stands_still { judge::check_end(world) } else { judge::check(world) }
}

struct HashWriter(DefaultHasher);

impl std::fmt::Write for HashWriter {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

/// Two worlds that print alike are alike.
fn fingerprint(world: &World) -> u64 {
    let mut writer = HashWriter(DefaultHasher::new());
    write!(writer, "{world:?}").expect("hashing does not fail");
    writer.0.finish()
}
