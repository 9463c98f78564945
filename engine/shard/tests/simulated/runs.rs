//! One seed: the bank is founded, money moves through several starts of a node, crashes are tried on the way.

use std::cell::RefCell;
use std::rc::Rc;

use platform::DiskOperation;
use sim::{CrashPoint, Fault, FaultKind, Image, Survival, World, WorldOptions};
use storage::StorageOptions;
use types::ShardId;
use types::prng::Prng;

use crate::bank::{History, found_bank};
use crate::nodes::{Bank, Health, start, storage_options};

const CORES_MAX: u64 = 3;

/// What goes wrong with the disk of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    None,
    /// A flush fails somewhere on the way.
    FailedFlush,
    /// Flushes do nothing: a canary, which must be noticed.
    LyingFlushes,
}

/// Tells which seed failed.
struct Witness {
    seed: u64,
    point: Option<u64>,
}

impl Drop for Witness {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let point = self.point.map_or(String::new(), |point| format!(" POINT={point}"));
            println!("failed: replay with SEED={}{point}", self.seed);
        }
    }
}

#[derive(Clone)]
struct Run {
    seed: u64,
    options: StorageOptions,
    outcome: Rc<RefCell<Outcome>>,
    plan: Plan,
}

fn world_options(prng: &mut Prng) -> WorldOptions {
    let cores = 1 + prng.below(CORES_MAX) as u16;
    WorldOptions {
        stepped_jobs_percent: 40 * prng.below(2) as u8,
        ring_capacity: 4 + prng.below(60) as usize,
        ..WorldOptions::new(prng.next_u64(), cores)
    }
}

fn survival(prng: &mut Prng) -> Survival {
    [Survival::All, Survival::None, Survival::Prefix, Survival::Torn, Survival::Torn][prng.index(5)]
}

/// What to look at.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// One crash point in so many,
    pub stride: u64,
    /// or only this one.
    pub only: Option<u64>,
    pub trouble: Trouble,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The trace of the workload and of every recovery.
    pub trace: u128,
    /// Disk events of the workload.
    pub events: u64,
    /// Those at which a crash was tried.
    pub crash_points: u64,
    /// Crashes tried during the recovery after one.
    pub nested: u64,
    /// Transfers that were acknowledged.
    pub committed: u64,
    /// Starts that ended because a shard had stopped.
    pub failed: u64,
}

/// Founds the bank and moves money through several starts.
pub fn run_seed(seed: u64, plan: Plan) -> Outcome {
    let _witness = Witness { seed, point: None };
    let trouble = plan.trouble;
    let mut prng = Prng::new(seed);
    let options = storage_options(&mut prng);
    let run = Run { seed, options, outcome: Rc::default(), plan };
    let history: Rc<RefCell<History>> = Rc::default();
    let mut image = Image::default();
    let mut bank = Bank::NotYet;
    for _ in 0..3 {
        let mut world = World::new(world_options(&mut prng), image);
        if trouble == Trouble::LyingFlushes {
            world.make_flushes_lie();
        }
        let node = start(&mut world, &run.options, bank, &history).expect("nothing freezes it");
        if bank == Bank::NotYet {
            let client = node.shards[0].client();
            let founded = world.run(ShardId(0), async move { found_bank(&client).await });
            founded.expect("nothing freezes it").expect("a healthy node");
            bank = Bank::Founded;
        }
        let watched = (run.clone(), history.clone());
        world.watch_crash_points(move |point| watched.0.examine(&point, &watched.1.borrow()));
        node.check(&mut world, &history, &mut prng).expect("nothing freezes it");
        if trouble == Trouble::FailedFlush {
            let (operation, kind) = (DiskOperation::Sync, FaultKind::Once);
            world.inject(Fault { operation, after: 20 + prng.below(60), kind });
        } else if prng.below(2) == 0 {
            world.crash_at(world.disk_events() + prng.below(300));
        }
        let size = (1 + prng.below(3), 10 + prng.below(16));
        let ended = node.run_sessions(&mut world, &history, &mut prng, size);
        if trouble != Trouble::FailedFlush {
            let sound = !matches!(ended, Ok(Health::Failed(_)));
            assert!(sound, "a shard stopped on a healthy disk: {ended:?}");
        }
        if ended == Ok(Health::Sound) {
            // The crash may come now.
            let _ = node.close(&mut world);
        }
        run.outcome.borrow_mut().failed += u64::from(matches!(ended, Ok(Health::Failed(_))));
        run.note_trace(&world);
        image = world.image(survival(&mut prng));
        drop(node);
        drop(world);
    }
    run.recover(image, &history.borrow(), &mut prng);
    let mut outcome = *run.outcome.borrow();
    outcome.committed = history.borrow().committed().len() as u64;
    outcome
}

impl Run {
    fn note_trace(&self, world: &World) {
        let mut outcome = self.outcome.borrow_mut();
        outcome.trace = outcome.trace.rotate_left(1) ^ world.trace();
    }

    fn examine(&self, point: &CrashPoint, history: &History) {
        let number = self.outcome.borrow().events;
        self.outcome.borrow_mut().events += 1;
        let wanted =
            self.plan.only.map_or(number.is_multiple_of(self.plan.stride), |only| only == number);
        if !wanted {
            return;
        }
        self.outcome.borrow_mut().crash_points += 1;
        let _witness = Witness { seed: self.seed, point: Some(number) };
        let mut prng = Prng::new(self.seed << 32 ^ number);
        let image = point.image(survival(&mut prng), &mut prng);
        let during_recovery = self.recover(image, history, &mut prng);
        if prng.below(3) == 0 {
            let point = &during_recovery[prng.index(during_recovery.len())];
            let image = point.image(survival(&mut prng), &mut prng);
            self.recover(image, history, &mut prng);
            self.outcome.borrow_mut().nested += 1;
        }
    }

    /// Opens what a crash left on some number of cores: everything acknowledged is there, and money moves again. Gives the crash points of the opening.
    fn recover(&self, image: Image, history: &History, prng: &mut Prng) -> Vec<CrashPoint> {
        let mut world = World::new(world_options(prng), image);
        let points = Rc::new(RefCell::new(Vec::new()));
        let sink = points.clone();
        world.watch_crash_points(move |point| sink.borrow_mut().push(point));
        let history = Rc::new(RefCell::new(history.clone()));
        let node =
            start(&mut world, &self.options, Bank::Founded, &history).expect("nothing freezes it");
        world.unwatch();
        node.check(&mut world, &history, prng).expect("nothing freezes it");
        if prng.below(4) == 0 {
            let ended = node.run_sessions(&mut world, &history, prng, (1, 6));
            assert_eq!(ended, Ok(Health::Sound));
            node.check(&mut world, &history, prng).expect("nothing freezes it");
        }
        self.note_trace(&world);
        points.take()
    }
}
