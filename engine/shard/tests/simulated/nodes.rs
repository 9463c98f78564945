//! Nodes of shards on simulated cores, and the sessions that use them.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use accord::Abort;
use platform::{Platform, SchedulingClass};
use shard::{NodeShared, Shard, ShardError, ShardMessage, ShardOptions};
use sim::{Stopped, World};
use snapshot::ReadAt;
use storage::commit_log::segment::SegmentBlocks;
use storage::{StorageOptions, Tree};
use types::prng::Prng;
use types::token::SliceCount;
use types::{ByteCount, KIB, SchemaVersion, ShardId};

use crate::bank::{ACCOUNTS, Fate, History, TABLE, lines_of, read_at, read_frozen};

/// Small settings, so that everything happens soon.
pub fn storage_options(prng: &mut Prng) -> StorageOptions {
    StorageOptions {
        slices: SliceCount::new(8).expect("a power of two"),
        segment_blocks: SegmentBlocks(2 + prng.below(6) as u32),
        segments_per_shard: 2 + prng.below(3) as u32,
        segments_per_shard_max: 40,
        memtable_bytes: ByteCount(4 * KIB + prng.below(16 * KIB)),
        frozen_memtables_max: 1 + prng.below(3) as usize,
        chunk_bytes_first: 256 + prng.below(2000) as usize,
        block_cache_bytes: ByteCount(prng.below(60 * KIB)),
        level_zero_files: 2 + prng.below(3) as usize,
        level_one_bytes: ByteCount(4 * KIB + prng.below(32 * KIB)),
        file_bytes: ByteCount(4 * KIB + prng.below(16 * KIB)),
        row_group_rows: 64,
        page_rows: 4 + prng.below(28) as usize,
        manifest_bytes: ByteCount(64 * KIB),
        reserve_bytes: ByteCount(8 * KIB),
    }
}

/// Whether the directory holds the bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bank {
    Founded,
    NotYet,
}

/// What the clients of a core are about to learn: it leaves the core at the end of the turn, after the slot is published, as everything does.
type News = Rc<RefCell<Vec<Learned>>>;

enum Learned {
    Fate(u64, Fate),
    Seen(BTreeMap<i64, i64>),
}

/// A running node.
pub struct Node {
    pub shards: Vec<Shard>,
    pub platforms: Vec<Platform>,
    news: Vec<News>,
}

/// Starts a shard on every core of the world.
pub fn start(
    world: &mut World,
    options: &StorageOptions,
    bank: Bank,
    history: &Rc<RefCell<History>>,
) -> Result<Node, Stopped> {
    let cores = world.cores::<ShardMessage>();
    let platforms: Vec<Platform> = cores.iter().map(|core| core.platform.clone()).collect();
    let count = cores.len() as u16;
    let (first, options) = (platforms[0].clone(), options.clone());
    let opened = world.run(ShardId(0), async move {
        storage::directory::open(&first, Path::new("/data"), count, options).await
    })?;
    let opened = opened.unwrap_or_else(|error| panic!("the directory opens: {error}"));
    let shared = NodeShared::new(count);
    let started: Rc<RefCell<Vec<Option<Shard>>>> =
        Rc::new(RefCell::new(cores.iter().map(|_| None).collect()));
    for (core, start) in cores.into_iter().zip(opened.shards) {
        let (directory, shared, started) =
            (opened.directory.clone(), shared.clone(), started.clone());
        let mut options = ShardOptions::new(opened.reservation);
        options.history_retention = Duration::from_secs(2);
        if bank == Bank::Founded {
            options.schema = vec![(TABLE, SchemaVersion(1))];
        }
        world.spawn(core.shard, async move {
            let tree = Tree::start(core.platform.clone(), directory, start).await;
            // Frozen while it starts: the world tells.
            let Ok(tree) = tree else { return };
            let shard = Shard::start(core.platform, core.mesh, tree, shared, options);
            started.borrow_mut()[core.shard.index()] = Some(shard);
        });
    }
    world.run_until(|| started.borrow().iter().all(Option::is_some))?;
    let shards = started.take().into_iter().flatten().collect();
    let news: Vec<News> = platforms.iter().map(|_| News::default()).collect();
    for (platform, news) in platforms.iter().zip(&news) {
        let (news, history) = (news.clone(), history.clone());
        platform.spawner.on_loop_end(Box::new(move || {
            news.borrow_mut().drain(..).for_each(|learned| learned.tell(&mut history.borrow_mut()));
        }));
    }
    Ok(Node { shards, platforms, news })
}

impl Learned {
    fn tell(self, history: &mut History) {
        match self {
            Learned::Fate(number, fate) => history.transfers[number as usize].1 = fate,
            Learned::Seen(rows) => history.note_seen(&rows),
        }
    }
}

impl Node {
    /// Runs sessions on every core until all have ended; tells whether the node was healthy throughout.
    pub fn run_sessions(
        &self,
        world: &mut World,
        history: &Rc<RefCell<History>>,
        prng: &mut Prng,
        (sessions, steps): (u64, u64),
    ) -> Result<Health, Stopped> {
        let running = Rc::new(Cell::new(0));
        let health = Rc::new(RefCell::new(Health::Sound));
        for core in 0..self.shards.len() {
            for _ in 0..sessions {
                let session = self.session(core, history);
                let (prng, running, health) = (prng.fork(), running.clone(), health.clone());
                running.set(running.get() + 1);
                world.spawn(ShardId(core as u16), async move {
                    if let Err(Gone(told)) = session.run(prng, steps).await {
                        *health.borrow_mut() = Health::Failed(told);
                    }
                    running.set(running.get() - 1);
                });
            }
        }
        // A shard that has stopped ends its node; nobody waits for what it owes the others.
        let stopped = || *health.borrow() != Health::Sound;
        world.run_until(|| running.get() == 0 || stopped())?;
        let ended = health.borrow().clone();
        Ok(ended)
    }

    fn session(&self, core: usize, history: &Rc<RefCell<History>>) -> Session {
        Session {
            shard: self.shards[core].clone(),
            platform: self.platforms[core].clone(),
            history: history.clone(),
            news: self.news[core].clone(),
        }
    }

    /// Ends the node: everything appended becomes durable.
    pub fn close(&self, world: &mut World) -> Result<(), Stopped> {
        for (core, shard) in self.shards.iter().enumerate() {
            let tree = shard.tree().clone();
            let closed = world.run(ShardId(core as u16), async move { tree.close().await })?;
            closed.expect("a healthy log closes");
        }
        Ok(())
    }

    /// Reads the whole bank, by statement and by analytics, on some core.
    pub fn check(
        &self,
        world: &mut World,
        history: &Rc<RefCell<History>>,
        prng: &mut Prng,
    ) -> Result<(), Stopped> {
        let core = prng.index(self.shards.len());
        let session = self.session(core, history);
        world.run(ShardId(core as u16), async move {
            session.check_statement().await.expect("a healthy node reads");
            session.check_analytics().await.expect("a healthy node reads");
        })
    }
}

/// Whether a shard stopped under its sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    Sound,
    /// What a session was told.
    Failed(String),
}

/// The shard has stopped: what it said.
#[derive(Debug)]
struct Gone(String);

impl Gone {
    fn told(error: impl std::fmt::Display) -> Gone {
        Gone(error.to_string())
    }
}

struct Session {
    shard: Shard,
    platform: Platform,
    history: Rc<RefCell<History>>,
    news: News,
}

impl Session {
    async fn run(&self, mut prng: Prng, steps: u64) -> Result<(), Gone> {
        for _ in 0..steps {
            match prng.below(20) {
                0..12 => self.transfer(&mut prng).await?,
                12..15 => self.check_statement().await?,
                15..17 => self.check_analytics().await?,
                _ => {
                    let pause = Duration::from_nanos(prng.below(400_000_000));
                    platform::sleep(&self.platform.spawner, pause).await;
                }
            }
        }
        Ok(())
    }

    async fn transfer(&self, prng: &mut Prng) -> Result<(), Gone> {
        let source = prng.below(ACCOUNTS as u64) as i64;
        let target = prng.below(ACCOUNTS as u64) as i64;
        if source == target {
            return Ok(());
        }
        let client = self.shard.client();
        let above = client.begin().await.map_err(Gone::told)?;
        client.end_snapshot(above);
        let transfer = self.history.borrow_mut().ask(source, target, 1 + prng.below(300) as i64);
        let answer = if prng.below(8) == 0 {
            self.detach(transfer, above);
            return Ok(());
        } else {
            transfer.submit(&client, above).await
        };
        self.note(transfer.number, answer)
    }

    /// A client that goes away before its answer: the transfer may take effect all the same.
    fn detach(&self, transfer: crate::bank::Transfer, above: types::Timestamp) {
        let client = self.shard.client();
        let spawner = &*self.platform.spawner;
        platform::spawn(spawner, SchedulingClass::Foreground, "gone", async move {
            let mut asked = Box::pin(transfer.submit(&client, above));
            std::future::poll_fn(|cx| {
                let _ = asked.as_mut().poll(cx);
                std::task::Poll::Ready(())
            })
            .await;
        });
    }

    fn note(&self, number: u64, answer: Result<shard::Committed, ShardError>) -> Result<(), Gone> {
        let learn = |fate| self.news.borrow_mut().push(Learned::Fate(number, fate));
        match answer {
            Ok(committed) => learn(Fate::Committed(committed.execute_at)),
            Err(ShardError::Aborted(Abort::Refused(why))) => {
                assert_eq!(why, b"poor");
                learn(Fate::Refused);
            }
            // It took no effect, and the shard says so.
            Err(error @ ShardError::Failed(_)) => {
                learn(Fate::Refused);
                return Err(Gone::told(error));
            }
            Err(error @ ShardError::Stopped(_)) => return Err(Gone::told(error)),
            Err(error) => panic!("{error}"),
        }
        Ok(())
    }

    /// What was acknowledged or seen, anywhere and by now told or on this core, before a snapshot is asked for is in it.
    fn known(&self) -> BTreeSet<u64> {
        let mut known = self.history.borrow().known();
        for learned in &*self.news.borrow() {
            match learned {
                Learned::Fate(number, Fate::Committed(_)) => {
                    known.insert(*number);
                }
                Learned::Fate(..) => {}
                Learned::Seen(rows) => known.extend(lines_of(rows)),
            }
        }
        known
    }

    fn saw(&self, rows: BTreeMap<i64, i64>) {
        self.news.borrow_mut().push(Learned::Seen(rows));
    }

    async fn check_statement(&self) -> Result<(), Gone> {
        let known = self.known();
        let client = self.shard.client();
        let at = client.begin().await.map_err(Gone::told)?;
        let first = read_at(&client, at).await.map_err(Gone::told)?;
        self.history.borrow().check(&first, &known, at);
        self.saw(first.clone());
        platform::sleep(&self.platform.spawner, Duration::from_millis(3)).await;
        let second = read_at(&client, at).await.map_err(Gone::told)?;
        assert_eq!(first, second, "a snapshot at {at} changed");
        let through = self.history.borrow().committed_through(at);
        self.history.borrow().check(&second, &through, at);
        client.end_snapshot(at);
        Ok(())
    }

    async fn check_analytics(&self) -> Result<(), Gone> {
        let known = self.known();
        let client = self.shard.client();
        let (at, rows) = read_frozen(&client, ReadAt::Strict).await.map_err(Gone::told)?;
        self.history.borrow().check(&rows, &known, at);
        let through = self.history.borrow().committed_through(at);
        self.history.borrow().check(&rows, &through, at);
        self.saw(rows);
        Ok(())
    }
}
