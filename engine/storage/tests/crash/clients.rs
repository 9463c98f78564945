//! Clients of one start: sessions that write, read, flush, compact, publish and define at once, and a courier for each log that carries its records to
//! the other shards once they are durable, in order, as shards do.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use platform::{ChannelReceiver, ChannelSender, JobClass, SchedulingClass, TrySendError, channel};
use storage::sealed::{SealBatch, SealedFiles, seal};
use storage::{LogAddress, Publication, StorageError, StorageErrorKind, Tree, WriteBatchBuilder};
use types::prng::Prng;
use types::{ShardId, SliceId, TableId};

use crate::check::{SharedModel, check_frozen, check_point, check_slice, read_slice, some_clock};
use crate::model::{Activity, Key, Row, TableState, Transaction};
use crate::node::{COLUMNS_MAX, KEYS, Node, at, key_of, layout, row_of, slice_of, slices};

/// The node ends, or its disk has failed: the client gives up.
pub struct GiveUp;

fn give_up<T>(result: Result<T, StorageError>) -> Result<T, GiveUp> {
    result.map_err(|error| {
        let ends = matches!(
            error.kind(),
            StorageErrorKind::Fenced | StorageErrorKind::Unavailable | StorageErrorKind::NoSpace
        );
        assert!(ends, "{error}");
        GiveUp
    })
}

/// What a courier carries.
enum Parcel {
    Writes { address: LogAddress, payload: Vec<u8>, clock: u64, others: Vec<Tree> },
    Publication { address: LogAddress, publication: Publication, sealed: SealedFiles, clock: u64 },
    End,
}

/// Tables at one time.
const TABLES_MAX: usize = 4;
/// Parcels that a courier may have before it; more than a workload makes.
const PARCELS_MAX: usize = 4096;

#[derive(Clone)]
struct Clients {
    node: Rc<Node>,
    model: SharedModel,
    couriers: Rc<Vec<ChannelSender<Parcel>>>,
}

/// Runs so many sessions of so many steps each, then lets the couriers end.
pub async fn run_clients(
    node: Rc<Node>,
    model: SharedModel,
    mut prng: Prng,
    (sessions, steps): (u64, u64),
) -> Result<(), GiveUp> {
    let mut couriers = Vec::new();
    let mut running = Vec::new();
    for (shard, platform) in node.platforms.iter().enumerate() {
        let (sender, receiver) = channel(PARCELS_MAX);
        couriers.push(sender);
        let work = courier(node.clone(), model.clone(), ShardId(shard as u16), receiver);
        let spawner = &*platform.spawner;
        let class = SchedulingClass::Foreground;
        running.push(platform::spawn_with_result(spawner, class, "courier", work).1);
    }
    let clients = Clients { node: node.clone(), model, couriers: Rc::new(couriers) };
    clients.define_table(&mut prng).await?;
    let mut working = Vec::new();
    for _ in 0..sessions {
        let platform = &node.platforms[prng.index(node.platforms.len())];
        let (clients, prng) = (clients.clone(), prng.fork());
        let work = async move { clients.session(prng, steps).await };
        let class = SchedulingClass::Foreground;
        working.push(platform::spawn_with_result(&*platform.spawner, class, "session", work).1);
    }
    let mut ended = Ok(());
    for session in working {
        ended = ended.and(session.await.expect("nobody cancels it"));
    }
    for sender in &*clients.couriers {
        let _ = sender.try_send(Parcel::End);
    }
    for courier in running {
        ended = ended.and(courier.await.expect("nobody cancels it"));
    }
    ended
}

async fn courier(
    node: Rc<Node>,
    model: SharedModel,
    shard: ShardId,
    mut parcels: ChannelReceiver<Parcel>,
) -> Result<(), GiveUp> {
    let tree = node.trees[shard.index()].clone();
    while let Some(parcel) = parcels.recv().await {
        let clock = match parcel {
            Parcel::Writes { address, payload, clock, others } => {
                give_up(tree.wait_durable(address.position).await)?;
                for other in others {
                    other.apply_foreign(address, &payload).expect("the batch is whole");
                }
                clock
            }
            Parcel::Publication { address, publication, sealed, clock } => {
                give_up(tree.wait_durable(address.position).await)?;
                for other in node.trees.iter().filter(|other| other.shard() != shard) {
                    other.receive_publication(address, &publication).expect("the batch is whole");
                }
                // The files come in while later records are carried.
                let (node, model) = (node.clone(), model.clone());
                let spawner = node.platforms[shard.index()].spawner.clone();
                platform::spawn(&*spawner, SchedulingClass::Foreground, "publish", async move {
                    let files = sealed.table_files();
                    for tree in &node.trees {
                        if tree.publish(address, &publication, &files).await.is_err() {
                            return;
                        }
                    }
                    model.borrow_mut().shown(clock);
                });
                continue;
            }
            Parcel::End => return Ok(()),
        };
        model.borrow_mut().shown(clock);
    }
    Ok(())
}

/// Something goes on while this is held.
struct During {
    model: SharedModel,
    activity: Activity,
}

impl Drop for During {
    fn drop(&mut self) {
        self.model.borrow_mut().running[self.activity as usize] -= 1;
    }
}

impl Clients {
    fn during(&self, activity: Activity) -> During {
        self.model.borrow_mut().running[activity as usize] += 1;
        During { model: self.model.clone(), activity }
    }

    fn platform(&self) -> &platform::Platform {
        &self.node.platforms[0]
    }

    fn some_tree(&self, prng: &mut Prng) -> (ShardId, Tree) {
        let shard = prng.index(self.node.trees.len());
        (ShardId(shard as u16), self.node.trees[shard].clone())
    }

    fn some_live_table(&self, prng: &mut Prng) -> Option<TableId> {
        let live = self.model.borrow().tables_in(TableState::Live);
        (!live.is_empty()).then(|| live[prng.index(live.len())])
    }

    fn carry(&self, home: ShardId, parcel: Parcel) {
        match self.couriers[home.index()].try_send(parcel) {
            // A courier that has ended gave up.
            Ok(()) | Err(TrySendError::Closed(_)) => {}
            Err(TrySendError::Full(_)) => panic!("a workload is smaller than that"),
        }
    }

    async fn session(&self, mut prng: Prng, steps: u64) -> Result<(), GiveUp> {
        for _ in 0..steps {
            match prng.below(100) {
                0..52 => self.transaction(&mut prng).await?,
                52..66 => self.read_keys(&mut prng).await?,
                66..72 => self.read_a_slice(&mut prng).await?,
                72..77 => self.flush(&mut prng).await?,
                77..79 => self.compact(&mut prng).await?,
                79..82 => self.raise_floor(&mut prng).await?,
                82..86 => self.publish(&mut prng).await?,
                86..88 => self.define_table(&mut prng).await?,
                88..90 => self.add_column(&mut prng).await?,
                90..92 => self.drop_table(&mut prng).await?,
                92..94 => self.hold_snapshot(&mut prng).await?,
                94..95 => self.reserve(&mut prng).await?,
                _ => self.sleep(&mut prng, 60_000_000).await,
            }
        }
        Ok(())
    }

    async fn sleep(&self, prng: &mut Prng, nanos_max: u64) {
        let duration = Duration::from_nanos(prng.below(nanos_max));
        platform::sleep(&self.platform().spawner, duration).await;
    }

    // --- writing

    fn some_rows(&self, prng: &mut Prng) -> Vec<(Key, Row)> {
        let model = self.model.borrow();
        let live = model.tables_in(TableState::Live);
        let mut rows: BTreeMap<Key, Row> = BTreeMap::new();
        if live.is_empty() {
            return Vec::new();
        }
        let one_slice = prng.below(2) == 0;
        let slice = SliceId(prng.below(u64::from(slices().get())) as u16);
        for _ in 0..1 + prng.below(6) {
            let table = live[prng.index(live.len())];
            let number = prng.below(KEYS as u64) as i64;
            if one_slice && slice_of(number) != slice {
                continue;
            }
            let text = if prng.below(30) == 0 { 9000 } else { prng.below(40) } as usize;
            let value = prng.next_u64() as i64 >> 8;
            let columns = model.tables[&table].columns;
            let row: Row = (prng.below(4) > 0).then(|| row_of(columns, number, value, text).into());
            rows.insert((table, number), row);
        }
        rows.into_iter().collect()
    }

    /// Conflicting transactions wait until every participant shows the one before; these go away instead.
    fn may_write(&self, rows: &[(Key, Row)]) -> bool {
        let model = self.model.borrow();
        rows.iter()
            .all(|(key, _)| model.state(key.0) == TableState::Live && !model.is_busy(key, u64::MAX))
    }

    async fn transaction(&self, prng: &mut Prng) -> Result<(), GiveUp> {
        let rows = self.some_rows(prng);
        let (home, tree) = self.some_tree(prng);
        let mut builder = WriteBatchBuilder::new();
        let mut participants: BTreeSet<ShardId> = BTreeSet::new();
        for ((table, number), row) in &rows {
            let (slice, key) = (slice_of(*number), key_of(*number));
            participants.insert(self.node.owner(slice));
            match row {
                Some(row) => builder.put(*table, slice, &key, row),
                None => builder.delete(*table, slice, &key),
            }
        }
        participants.remove(&home);
        give_up(tree.admit(builder.byte_count()).await)?;
        if rows.is_empty() || !self.may_write(&rows) {
            return Ok(());
        }
        // From here to the log nothing waits: a turn.
        let clock = self.model.borrow_mut().tick();
        let payload = builder.encode(at(clock));
        let position = match tree.commit(1, &payload) {
            Ok(position) => position,
            // Another session has used up what this one was admitted to.
            Err(StorageError::LogFull) => return Ok(()),
            Err(error) => return give_up(Err(error)),
        };
        let address = LogAddress { log: tree.log_id(), position };
        let applied = participants.is_empty();
        self.model.borrow_mut().log(Transaction {
            at: clock,
            log: address.log,
            position,
            rows,
            makes: None,
            acknowledged: false,
            applied,
        });
        if !applied {
            let trees = &self.node.trees;
            let others = participants.iter().map(|shard| trees[shard.index()].clone()).collect();
            self.carry(home, Parcel::Writes { address, payload, clock, others });
        }
        self.acknowledge(tree, address, clock, prng).await
    }

    /// The client learns of its commit; some do not wait for it before they go on.
    async fn acknowledge(
        &self,
        tree: Tree,
        address: LogAddress,
        clock: u64,
        prng: &mut Prng,
    ) -> Result<(), GiveUp> {
        let model = self.model.clone();
        let told = async move {
            give_up(tree.wait_durable(address.position).await)?;
            model.borrow_mut().transaction(clock).acknowledged = true;
            Ok(())
        };
        if prng.below(3) > 0 {
            return told.await;
        }
        let spawner = self.platform().spawner.clone();
        platform::spawn(&*spawner, SchedulingClass::Foreground, "client", async move {
            let _: Result<(), GiveUp> = told.await;
        });
        Ok(())
    }

    /// A bulk write: sealed files of one table, that it may make itself, and now and then rows of another, in one record.
    async fn publish(&self, prng: &mut Prng) -> Result<(), GiveUp> {
        let made = if prng.below(3) == 0 { self.table_to_make() } else { None };
        let Some(table) = made.or_else(|| self.some_live_table(prng)) else { return Ok(()) };
        let columns = self.model.borrow().tables[&table].columns;
        let mut rows: BTreeMap<Key, Row> = BTreeMap::new();
        let mut batch = SealBatch::default();
        for _ in 0..1 + prng.below(30) {
            let number = prng.below(KEYS as u64) as i64;
            let value = prng.next_u64() as i64 >> 8;
            let row = row_of(columns, number, value, prng.below(30) as usize);
            if !rows.contains_key(&(table, number)) {
                batch.push(slice_of(number), &key_of(number), &row);
                rows.insert((table, number), Some(row.into()));
            }
        }
        let _during = self.during(Activity::Publication);
        let directory = self.node.directory.clone();
        let background = &*self.platform().background;
        let sealing = platform::run_job(background, JobClass::Flush, move |io, cancel| {
            seal(io, cancel, &directory, &layout(table, columns), &batch)
        });
        let Ok(Ok(mut sealed)) = sealing.await else { return Err(GiveUp) };
        let mut beside = WriteBatchBuilder::new();
        if let Some((other, number)) = self.some_rows(prng).first().map(|(key, _)| *key)
            && prng.below(3) == 0
            && other != table
        {
            beside.delete(other, slice_of(number), &key_of(number));
            rows.insert((other, number), None);
        }
        if made.is_some() {
            sealed.settle_below();
        }
        let definitions: Vec<_> = made.iter().map(|table| layout(*table, columns)).collect();
        let rows: Vec<(Key, Row)> = rows.into_iter().collect();
        let (home, tree) = self.some_tree(prng);
        let bytes = sealed.publication(at(0), definitions.clone()).encode().len() + 64;
        give_up(tree.admit(bytes).await)?;
        let written_before = rows.iter().filter(|((of, _), _)| made != Some(*of)).cloned();
        if prng.below(5) == 0 || !self.may_write(&written_before.collect::<Vec<_>>()) {
            // Rolled back: the files go with whoever held them.
            self.forget_table(made);
            return Ok(());
        }
        let clock = self.model.borrow_mut().tick();
        let mut publication = sealed.publication(at(clock), definitions);
        if !beside.is_empty() {
            publication.rows = beside.encode(at(clock));
        }
        let position = match tree.log_publication(1, &publication) {
            Ok(position) => position,
            Err(StorageError::LogFull) => {
                self.forget_table(made);
                return Ok(());
            }
            Err(error) => return give_up(Err(error)),
        };
        let address = LogAddress { log: tree.log_id(), position };
        self.model.borrow_mut().log(Transaction {
            at: clock,
            log: address.log,
            position,
            rows,
            makes: made,
            acknowledged: false,
            applied: false,
        });
        self.carry(home, Parcel::Publication { address, publication, sealed, clock });
        self.acknowledge(tree, address, clock, prng).await
    }

    fn table_to_make(&self) -> Option<TableId> {
        let mut model = self.model.borrow_mut();
        (model.open_tables() < TABLES_MAX).then(|| model.new_table())
    }

    fn forget_table(&self, made: Option<TableId>) {
        if let Some(table) = made {
            self.model.borrow_mut().tables.remove(&table);
        }
    }

    async fn reserve(&self, prng: &mut Prng) -> Result<(), GiveUp> {
        let (_, tree) = self.some_tree(prng);
        give_up(tree.admit(64).await)?;
        let clock = self.model.borrow().clock;
        match tree.reserve(at(clock)) {
            Ok(position) => give_up(tree.wait_durable(position).await),
            Err(StorageError::LogFull) => Ok(()),
            Err(error) => give_up(Err(error)),
        }
    }

    // --- reading

    async fn read_keys(&self, prng: &mut Prng) -> Result<(), GiveUp> {
        for _ in 0..6 {
            let Some(table) = self.some_live_table(prng) else { return Ok(()) };
            let key = (table, prng.below(KEYS as u64) as i64);
            let clock = some_clock(&self.model.borrow(), prng);
            if self.model.borrow().is_busy(&key, clock) {
                continue;
            }
            let slice = slice_of(key.1);
            let tree = self.node.tree_of(slice).clone();
            let found = tree.read(table, slice, &key_of(key.1), at(clock)).await;
            let model = self.model.borrow();
            if clock < model.floor || model.state(table) != TableState::Live {
                continue;
            }
            check_point(&model, &key, clock, give_up(found)?.as_ref());
        }
        Ok(())
    }

    async fn read_a_slice(&self, prng: &mut Prng) -> Result<(), GiveUp> {
        let Some(table) = self.some_live_table(prng) else { return Ok(()) };
        let slice = SliceId(prng.below(u64::from(slices().get())) as u16);
        let clock = some_clock(&self.model.borrow(), prng);
        let busy = (0..KEYS)
            .filter(|number| slice_of(*number) == slice)
            .any(|number| self.model.borrow().is_busy(&(table, number), clock));
        if busy {
            return Ok(());
        }
        let rows_max = 1 + prng.below(8) as usize;
        let found = read_slice(&self.node, table, slice, clock, rows_max).await;
        let model = self.model.borrow();
        if clock >= model.floor && model.state(table) == TableState::Live {
            check_slice(&model, (table, slice), clock, &give_up(found)?);
        }
        Ok(())
    }

    /// A snapshot that is held for a while reads the same at its end, whatever flush and compaction do.
    async fn hold_snapshot(&self, prng: &mut Prng) -> Result<(), GiveUp> {
        let Some(table) = self.some_live_table(prng) else { return Ok(()) };
        let clock = some_clock(&self.model.borrow(), prng);
        if (0..KEYS).any(|number| self.model.borrow().is_busy(&(table, number), clock)) {
            return Ok(());
        }
        self.model.borrow_mut().pin(clock);
        let _during = self.during(Activity::Freeze);
        let lease = Duration::from_secs(600);
        let held: Result<Vec<_>, _> = self
            .node
            .trees
            .iter()
            .map(|tree| tree.freeze(table, at(clock), "held", lease))
            .collect();
        self.sleep(prng, 80_000_000).await;
        let live = self.model.borrow().state(table) == TableState::Live;
        if live && self.node.trees.iter().all(|tree| tree.layout(table).is_some()) {
            check_frozen(&self.node, &self.model.borrow(), table, clock);
        }
        drop(held);
        self.model.borrow_mut().unpin(clock);
        Ok(())
    }

    // --- housekeeping

    async fn flush(&self, prng: &mut Prng) -> Result<(), GiveUp> {
        let _during = self.during(Activity::Flush);
        let (_, tree) = self.some_tree(prng);
        give_up(tree.flush().await)
    }

    async fn compact(&self, prng: &mut Prng) -> Result<(), GiveUp> {
        let (_, tree) = self.some_tree(prng);
        let Some(table) = self.some_live_table(prng) else { return Ok(()) };
        let _during = self.during(Activity::Compaction);
        match tree.compact_table(table).await {
            // It was dropped meanwhile.
            Err(StorageError::UnknownTable { .. }) => Ok(()),
            compacted => give_up(compacted),
        }
    }

    async fn raise_floor(&self, prng: &mut Prng) -> Result<(), GiveUp> {
        let floor = {
            let mut model = self.model.borrow_mut();
            let highest = model.floor_max();
            let span = highest.saturating_sub(model.floor);
            if span == 0 {
                return Ok(());
            }
            // From now on no read of ours goes below, whether or not a crash comes first.
            model.floor += prng.below(span) + 1;
            model.floor
        };
        let _during = self.during(Activity::Floor);
        for tree in self.node.trees.clone() {
            let raised = give_up(tree.raise_floor(at(floor)).await)?;
            assert!(raised >= at(floor), "no pin of ours is below");
        }
        let mut model = self.model.borrow_mut();
        model.floor_told = model.floor_told.max(floor);
        Ok(())
    }

    // --- tables

    async fn define_table(&self, prng: &mut Prng) -> Result<(), GiveUp> {
        let Some(table) = self.table_to_make() else { return Ok(()) };
        let columns = self.model.borrow().tables[&table].columns;
        self.define(prng, table, columns).await?;
        self.model.borrow_mut().tables.get_mut(&table).expect("just made").state = TableState::Live;
        Ok(())
    }

    async fn add_column(&self, prng: &mut Prng) -> Result<(), GiveUp> {
        let Some(id) = self.some_live_table(prng) else { return Ok(()) };
        let columns = {
            let mut model = self.model.borrow_mut();
            let table = model.tables.get_mut(&id).expect("it is live");
            if table.columns_asked != table.columns || table.columns == COLUMNS_MAX {
                return Ok(());
            }
            table.columns_asked += 1;
            table.columns_asked
        };
        self.define(prng, id, columns).await?;
        self.model.borrow_mut().tables.get_mut(&id).expect("it stays").columns = columns;
        Ok(())
    }

    /// The layout stands in the batch of the statement; the other shards learn it once that is durable.
    async fn define(&self, prng: &mut Prng, table: TableId, columns: usize) -> Result<(), GiveUp> {
        let _during = self.during(Activity::Define);
        let layout = layout(table, columns);
        let mut builder = WriteBatchBuilder::new();
        builder.define(&layout);
        let (_, tree) = self.some_tree(prng);
        let position = loop {
            give_up(tree.admit(builder.byte_count()).await)?;
            let clock = self.model.borrow_mut().tick();
            match tree.commit(1, &builder.encode(at(clock))) {
                Err(StorageError::LogFull) => self.sleep(prng, 1_000_000).await,
                logged => break give_up(logged)?,
            }
        };
        give_up(tree.wait_durable(position).await)?;
        self.node.trees.iter().for_each(|other| other.define(&layout));
        Ok(())
    }

    async fn drop_table(&self, prng: &mut Prng) -> Result<(), GiveUp> {
        let live = self.model.borrow().tables_in(TableState::Live);
        if live.len() < 2 {
            return Ok(());
        }
        let id = live[prng.index(live.len())];
        {
            let mut model = self.model.borrow_mut();
            let table = model.tables.get_mut(&id).expect("it is live");
            if table.columns != table.columns_asked {
                return Ok(());
            }
            table.state = TableState::Dropping;
        }
        // Writers that came before it come first.
        while self.model.borrow().is_table_busy(id) {
            give_up(self.node.trees[0].admit(0).await)?;
            self.sleep(prng, 1_000_000).await;
        }
        let _during = self.during(Activity::Drop);
        for tree in self.node.trees.clone() {
            give_up(tree.drop_table(id).await)?;
        }
        self.model.borrow_mut().tables.get_mut(&id).expect("it was live").state =
            TableState::Dropped;
        Ok(())
    }
}
