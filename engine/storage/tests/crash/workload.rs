//! One seed: starts of a node one after another over one directory, every disk event of each a crash point.

use std::cell::RefCell;
use std::rc::Rc;

use sim::{CrashPoint, Image, Stopped, Survival, World, WorldOptions};
use storage::StorageOptions;
use types::ShardId;
use types::prng::Prng;

use crate::check::{SharedModel, check_everything, settle};
use crate::clients::run_clients;
use crate::model::{Activity, Model};
use crate::node::{Node, open, options};

const SHARDS_MAX: u64 = 3;
const STARTS: u64 = 3;

/// What was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Disk events before which a crash was tried.
    pub crash_points: u64,
    /// Crashes during the recovery after one.
    pub nested: u64,
    /// Starts, clean or after a crash.
    pub starts: u64,
    /// Crash points that came into each activity.
    pub during: [u64; Activity::COUNT],
    /// The trace of the workload itself and of every recovery.
    pub trace: u128,
}

/// What a run is to look at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plan {
    /// Only the crash point of that number.
    pub only: Option<u64>,
    /// Crash points in between that are left out.
    pub stride: u64,
    /// Flushes do nothing: a canary, which must fail.
    pub flushes_lie: bool,
}

/// Tells which seed failed, and how to see it again.
struct Witness {
    seed: u64,
    crash_point: u64,
}

impl Drop for Witness {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Witness { seed, crash_point } = self;
            println!("failed: replay with SEED={seed} POINT={crash_point}");
        }
    }
}

fn survival(prng: &mut Prng) -> Survival {
    match prng.below(10) {
        0 => Survival::All,
        1 => Survival::None,
        2 | 3 => Survival::Prefix,
        _ => Survival::Torn,
    }
}

/// The directory between two starts.
#[derive(Clone)]
struct Rest {
    image: Image,
    model: Model,
}

/// Looks at crash points of one workload.
#[derive(Clone)]
struct Examiner {
    seed: u64,
    plan: Plan,
    options: StorageOptions,
    counts: Rc<RefCell<Counts>>,
}

/// Runs one seed.
pub fn run_seed(seed: u64, plan: Plan) -> Counts {
    let mut prng = Prng::new(seed);
    let options = options(&mut prng);
    let counts = Rc::new(RefCell::new(Counts::default()));
    let examiner = Examiner { seed, plan, options, counts: counts.clone() };
    let mut rest = Rest { image: Image::default(), model: Model::new() };
    for _ in 0..STARTS {
        rest = examiner.one_start(rest, &mut prng);
    }
    let counts = *counts.borrow();
    counts
}

impl Examiner {
    /// A start over what the last one left: recovery, clients, a clean end or a crash.
    fn one_start(&self, rest: Rest, prng: &mut Prng) -> Rest {
        let shards = 1 + prng.below(SHARDS_MAX) as u16;
        let stepped_jobs_percent = prng.below(2) as u8 * 60;
        let world_options =
            WorldOptions { stepped_jobs_percent, ..WorldOptions::new(prng.next_u64(), shards) };
        let mut world = World::new(world_options, rest.image);
        if self.plan.flushes_lie {
            world.make_flushes_lie();
        }
        let model = Rc::new(RefCell::new(rest.model));
        let watched = (self.clone(), model.clone());
        world.watch_crash_points(move |point| watched.0.examine(&point, &watched.1.borrow()));
        let node = open(&mut world, shards, &self.options).expect("nothing freezes it");
        let node = node.unwrap_or_else(|error| panic!("a sound directory opens: {error}"));
        self.look(&mut world, &node, &model, prng.fork());
        if prng.below(2) == 0 {
            world.crash_at(world.disk_events() + prng.below(500));
        }
        let clean = self.work(&mut world, &node, &model, prng.fork()).is_ok();
        let survival = if clean { Survival::None } else { survival(prng) };
        let image = world.image(survival);
        {
            self.note_trace(&world);
            self.counts.borrow_mut().starts += 1;
        }
        drop(node);
        drop(world);
        let mut model = model.borrow().clone();
        if clean {
            // Nothing is undecided after a clean end, told or not.
            for transaction in &mut model.transactions {
                transaction.acknowledged = true;
            }
        }
        Rest { image, model }
    }

    fn note_trace(&self, world: &World) {
        let mut counts = self.counts.borrow_mut();
        counts.trace = counts.trace.rotate_left(1) ^ world.trace();
    }

    /// What survived is decided, then everything is read.
    fn look(&self, world: &mut World, node: &Rc<Node>, model: &SharedModel, mut prng: Prng) {
        let (node, model) = (node.clone(), model.clone());
        let looked = world.run(ShardId(0), async move {
            let mut settled = model.borrow().clone();
            settle(&node, &mut settled).await;
            check_everything(&node, &settled, &mut prng).await;
            *model.borrow_mut() = settled;
        });
        looked.expect("nothing freezes it");
    }

    fn work(
        &self,
        world: &mut World,
        node: &Rc<Node>,
        model: &SharedModel,
        mut prng: Prng,
    ) -> Result<(), Stopped> {
        let size = (1 + prng.below(4), 10 + prng.below(20));
        self.run_clients(world, node, model, prng, size)
    }

    fn run_clients(
        &self,
        world: &mut World,
        node: &Rc<Node>,
        model: &SharedModel,
        prng: Prng,
        size: (u64, u64),
    ) -> Result<(), Stopped> {
        let clients = run_clients(node.clone(), model.clone(), prng, size);
        let node = node.clone();
        let ended = world.run(ShardId(0), async move {
            clients.await?;
            for tree in &node.trees {
                tree.close().await.expect("a healthy log closes");
            }
            Ok::<_, crate::clients::GiveUp>(())
        })?;
        assert!(ended.is_ok(), "a client gave up on a healthy node");
        Ok(())
    }

    /// A crash at one point: recovery, every read; sometimes more work and another crash; sometimes a crash during the recovery itself.
    fn examine(&self, point: &CrashPoint, model: &Model) {
        let number = self.counts.borrow().crash_points;
        self.counts.borrow_mut().crash_points += 1;
        let wanted = self.plan.only.is_none_or(|only| only == number)
            && (self.plan.stride == 0 || number.is_multiple_of(self.plan.stride));
        if !wanted {
            return;
        }
        for activity in model.goes_on(self.options.segments_per_shard_max) {
            self.counts.borrow_mut().during[activity as usize] += 1;
        }
        let _witness = Witness { seed: self.seed, crash_point: number };
        let mut prng = Prng::new(self.seed << 32 ^ number);
        let survival = survival(&mut prng);
        let rest = Rest { image: point.image(survival, &mut prng), model: model.clone() };
        let during_recovery = self.recover(&rest, &mut prng);
        // Now and then a crash at every event of the recovery, else at one.
        let exhaustive = prng.below(64) == 0;
        let chosen = prng.index(during_recovery.len());
        for (index, point) in during_recovery.iter().enumerate() {
            if exhaustive || index == chosen {
                let image = point.image(self::survival(&mut prng), &mut prng);
                self.recover(&Rest { image, model: model.clone() }, &mut prng);
                self.counts.borrow_mut().nested += 1;
            }
        }
    }

    /// Opens what is left and reads everything; gives the crash points of the opening.
    fn recover(&self, rest: &Rest, prng: &mut Prng) -> Vec<CrashPoint> {
        let shards = 1 + prng.below(SHARDS_MAX) as u16;
        let options = WorldOptions {
            stepped_jobs_percent: 0,
            stall_nanos_max: 0,
            ..WorldOptions::new(prng.next_u64(), shards)
        };
        let mut world = World::new(options, rest.image.clone());
        let points = Rc::new(RefCell::new(Vec::new()));
        let sink = points.clone();
        world.watch_crash_points(move |point| sink.borrow_mut().push(point));
        let node = open(&mut world, shards, &self.options).expect("nothing freezes it");
        let node = node.unwrap_or_else(|error| panic!("what a crash left opens: {error}"));
        world.unwatch();
        let model: SharedModel = Rc::new(RefCell::new(rest.model.clone()));
        self.look(&mut world, &node, &model, prng.fork());
        self.note_trace(&world);
        if prng.below(12) == 0 {
            self.go_on(world, &node, &model, prng);
        }
        points.take()
    }

    /// The recovered node works, crashes or ends, and opens once more.
    fn go_on(&self, mut world: World, node: &Rc<Node>, model: &SharedModel, prng: &mut Prng) {
        if prng.below(2) == 0 {
            world.crash_at(world.disk_events() + prng.below(150));
        }
        let size = (1 + prng.below(2), 6 + prng.below(8));
        let clean = self.run_clients(&mut world, node, model, prng.fork(), size).is_ok();
        let survival = if clean { Survival::None } else { survival(prng) };
        let image = world.image(survival);
        drop(world);
        let rest = Rest { image, model: model.borrow().clone() };
        let shards = 1 + prng.below(SHARDS_MAX) as u16;
        let mut world = World::new(WorldOptions::new(prng.next_u64(), shards), rest.image);
        let node = open(&mut world, shards, &self.options).expect("nothing freezes it");
        let node = node.unwrap_or_else(|error| panic!("what a second crash left opens: {error}"));
        self.look(&mut world, &node, &Rc::new(RefCell::new(rest.model)), prng.fork());
    }
}
