//! One shard: the protocol's state, the tree, and the tasks that turn what waits into events.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use accord::{
    Effect, Event, Footprint, LoadId, LogPosition, Now, Placement, Replica, ReplicaOptions,
    RequestId, Response, TokenRange, TxnId, Workload,
};
use platform::{
    Background, BlockIo, JobClass, Mesh, Platform, PublishedSlot, SchedulingClass, spawn,
};
use storage::{StorageError, StorageErrorKind, TableSnapshot, Tree};
use types::{LogId, SchemaVersion, ShardId, TableId, Timestamp};

use crate::client::ShardClient;
use crate::error::{Failure, ShardError};
use crate::hold::Holds;
use crate::inbox::{ShardMessage, WantedTable};
use crate::join::join_all;
use crate::lease::{LeaseId, Leases};
use crate::memory::{Memory, is_fatal, range_of_slice};
use crate::options::{NodeShared, ShardOptions};
use crate::outgoing::Outgoing;
use crate::requests::{Answer, Requests};
use crate::row_ids::{ROW_IDS, RowIds};

/// How often the shards tell one another what their snapshots need, and look whether the history floor can be raised.
const FLOOR_INTERVAL: Duration = Duration::from_secs(1);
/// Into how many steps the retention is cut by which the floor rises.
const FLOOR_STEPS: u64 = 20;
/// How often a full ring is tried again.
const RING_RETRY: Duration = Duration::from_micros(100);
/// How long something waits for room in the log before it is tried again.
pub(crate) const LOG_RETRY: Duration = Duration::from_millis(20);

struct State {
    replica: Replica,
    memory: Memory,
    /// Kept for its capacity.
    effects: Vec<Effect>,
}

pub(crate) struct Inner {
    pub(crate) platform: Platform,
    pub(crate) shard: ShardId,
    pub(crate) placement: Placement,
    pub(crate) options: ShardOptions,
    pub(crate) requests: Requests,
    pub(crate) row_ids: RowIds,
    pub(crate) tree: Tree,
    pub(crate) shared: NodeShared,
    pub(crate) holds: Holds,
    pub(crate) leases: Leases,
    outgoing: Outgoing,
    state: RefCell<State>,
    /// Tables of the analytic snapshots that are on their way.
    wanted: RefCell<BTreeMap<RequestId, Arc<[WantedTable]>>>,
    /// Reservations that are logged: where, and through what.
    reservations: RefCell<VecDeque<(LogPosition, Timestamp)>>,
    /// Waits for something to be held back.
    log_watcher: RefCell<Option<Waker>>,
    published: Cell<Timestamp>,
    /// Snapshots that were taken for somebody who is gone.
    unwanted: RefCell<Vec<Timestamp>>,
    retrying: Cell<bool>,
    stopped: RefCell<Option<Failure>>,
    stop_watchers: RefCell<Vec<Waker>>,
}

/// One core's shard. Clones are the same shard. Not `Send`.
#[derive(Clone)]
pub struct Shard {
    pub(crate) inner: Rc<Inner>,
}

impl Shard {
    /// Starts the shard on its core, over a tree that is started. Its tasks run until the core ends.
    pub fn start(
        platform: Platform,
        mesh: Rc<dyn Mesh<ShardMessage>>,
        tree: Tree,
        shared: NodeShared,
        options: ShardOptions,
    ) -> Shard {
        let shard = tree.shard();
        assert_eq!(shard, mesh.own_shard(), "a shard lives on its core");
        let placement = Placement::new(tree.slice_count(), mesh.shard_count());
        let replica = Replica::new(ReplicaOptions {
            shard,
            node: options.host << 8 | u32::from(shard.0),
            placement,
            log: tree.log_id(),
            floor: options.reservation,
            schema: options.schema.clone(),
        });
        let memory = Memory::new(tree.clone(), shared.sealed.clone());
        let inner = Rc::new(Inner {
            shard,
            placement,
            requests: Requests::new(shard, options.requests_max),
            row_ids: RowIds::new(placement.owned(shard), tree.slice_count()),
            tree,
            shared,
            holds: Holds::default(),
            leases: Leases::default(),
            outgoing: Outgoing::new(mesh.clone()),
            state: RefCell::new(State { replica, memory, effects: Vec::new() }),
            wanted: RefCell::default(),
            reservations: RefCell::default(),
            log_watcher: RefCell::default(),
            published: Cell::new(Timestamp::ZERO),
            unwanted: RefCell::default(),
            retrying: Cell::new(false),
            stopped: RefCell::default(),
            stop_watchers: RefCell::default(),
            options,
            platform,
        });
        let this = Shard { inner };
        this.publish_slot();
        this.spawn_tasks(mesh);
        this
    }

    /// What sessions of this core use.
    pub fn client(&self) -> ShardClient {
        ShardClient::new(self.clone())
    }

    /// The tree under the shard.
    pub fn tree(&self) -> &Tree {
        &self.inner.tree
    }

    /// The node's background threads.
    pub fn background(&self) -> Arc<dyn Background> {
        Arc::clone(&self.inner.platform.background)
    }

    /// Reads of files for background threads, in a class.
    pub(crate) fn block_io(&self, class: JobClass) -> Arc<dyn BlockIo> {
        self.inner.platform.background.block_io(class)
    }

    /// Waits until the shard has failed; the node must then end.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn failed(&self) -> Failure {
        poll_fn(|cx| {
            if let Some(failure) = &*self.inner.stopped.borrow() {
                return Poll::Ready(failure.clone());
            }
            self.inner.stop_watchers.borrow_mut().push(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Schema version of a table as the next transaction on this core finds it.
    pub fn schema_version(&self, table: TableId) -> Option<SchemaVersion> {
        self.inner.state.borrow().replica.schema_version(table)
    }

    fn spawn_tasks(&self, mesh: Rc<dyn Mesh<ShardMessage>>) {
        let spawner = Rc::clone(&self.inner.platform.spawner);
        let shard = self.clone();
        spawner.on_loop_end(Box::new(move || shard.publish_slot()));
        let shard = self.clone();
        spawn(&*spawner, SchedulingClass::Foreground, "shard inbox", async move {
            loop {
                let (from, message) = mesh.recv().await;
                shard.receive(from, message);
            }
        });
        let shard = self.clone();
        spawn(&*spawner, SchedulingClass::Foreground, "durable outputs", async move {
            shard.watch_log().await;
        });
        let shard = self.clone();
        spawn(&*spawner, SchedulingClass::Maintenance, "history floor", async move {
            shard.raise_floors().await;
        });
    }

    /// Stores this core's slot, before anything of this loop leaves.
    fn publish_slot(&self) {
        let inner = &self.inner;
        let slot = inner.state.borrow().replica.slot();
        if slot != inner.published.get() {
            inner.published.set(slot);
            let (high, low) = slot.halves();
            inner.platform.slots.publish(inner.shard, PublishedSlot { high, low });
        }
    }

    fn now(&self) -> Now {
        let platform = &self.inner.platform;
        let slots = platform.slots.read_all();
        let highest = slots.max().expect("a node has a core");
        let slots = Timestamp::from_halves(highest.high, highest.low);
        Now { wall_micros: platform.clock.wall_micros(), slots }
    }

    /// Lets the protocol handle one event, and performs what it asks for. Never waits.
    pub(crate) fn handle(&self, event: Event) {
        if self.inner.stopped.borrow().is_some() {
            return;
        }
        let now = self.now();
        let mut effects = {
            let mut state = self.inner.state.borrow_mut();
            let State { replica, memory, effects } = &mut *state;
            let mut effects = std::mem::take(effects);
            replica.handle(event, now, memory, &mut effects);
            effects
        };
        for effect in effects.drain(..) {
            self.perform(effect);
        }
        let held = {
            let mut state = self.inner.state.borrow_mut();
            if state.effects.capacity() < effects.capacity() {
                state.effects = effects;
            }
            state.replica.first_held().is_some()
        };
        if held {
            self.wake_log_watcher();
        }
        self.end_unwanted();
    }

    fn wake_log_watcher(&self) {
        if let Some(waker) = self.inner.log_watcher.borrow_mut().take() {
            waker.wake();
        }
    }

    fn perform(&self, effect: Effect) {
        match effect {
            Effect::Load { load, footprint, at } => self.load(load, footprint, at),
            Effect::Send { to, message } => self.send(to, ShardMessage::Protocol(message)),
            Effect::Reply { request, response } => {
                let asker = Requests::asker(request);
                if asker == self.inner.shard {
                    self.deliver(request, Answer::Response(response));
                } else {
                    self.send(asker, ShardMessage::Answer { request, response });
                }
            }
            Effect::Freeze { request, at } => {
                let part = self.freeze(request, at);
                let asker = Requests::asker(request);
                if asker == self.inner.shard {
                    self.deliver(request, Answer::Part(self.inner.shard, part));
                } else {
                    self.send(asker, ShardMessage::Part { request, part });
                }
            }
            Effect::Install { txn_id, log, position, .. } => self.install(txn_id, log, position),
            Effect::Reserve { through } => self.reserve(through),
        }
    }

    /// Logs a reservation of timestamps. A log without room is no reason to stop: reads go on, and there is room once a flush has come.
    fn reserve(&self, through: Timestamp) {
        match self.inner.tree.reserve(through) {
            Ok(position) => {
                let position = LogPosition(position.to_raw());
                self.inner.reservations.borrow_mut().push_back((position, through));
                self.wake_log_watcher();
            }
            Err(StorageError::LogFull) => {
                let shard = self.clone();
                let spawner = &*self.inner.platform.spawner;
                spawn(spawner, SchedulingClass::Foreground, "reservation", async move {
                    platform::sleep(&shard.inner.platform.spawner, LOG_RETRY).await;
                    shard.reserve(through);
                });
            }
            Err(error) => self.stop(&error),
        }
    }

    pub(crate) fn send(&self, target: ShardId, message: ShardMessage) {
        let inner = &self.inner;
        inner.outgoing.send(target, message);
        if inner.outgoing.is_waiting() && !inner.retrying.replace(true) {
            let shard = self.clone();
            spawn(&*inner.platform.spawner, SchedulingClass::Foreground, "full ring", async move {
                while shard.inner.outgoing.is_waiting() {
                    platform::sleep(&shard.inner.platform.spawner, RING_RETRY).await;
                    shard.inner.outgoing.retry();
                }
                shard.inner.retrying.set(false);
            });
        }
    }

    fn receive(&self, from: ShardId, message: ShardMessage) {
        match message {
            ShardMessage::Protocol(message) => self.handle(Event::Message { from, message }),
            ShardMessage::Submit { request, footprint, workload, lease } => {
                self.submit_leased(lease, request, footprint, workload);
            }
            ShardMessage::TakeLease { request, take, row } => self.take_lease(request, take, row),
            ShardMessage::Leased { request, outcome } => {
                self.deliver(request, Answer::Lease(outcome));
            }
            ShardMessage::EndLease { lease } => self.end_lease(lease),
            ShardMessage::ReadAt { request, at, footprint } => {
                self.handle(Event::ReadAt { request, at, footprint });
            }
            ShardMessage::Hold { hold, tables, at_most } => self.hold(hold, tables, at_most),
            ShardMessage::Release { hold } => self.release(hold),
            ShardMessage::Answer { request, response } => {
                self.deliver(request, Answer::Response(response));
            }
            ShardMessage::FreezeTables { request, tables } => self.want_tables(request, tables),
            ShardMessage::Part { request, part } => {
                self.deliver(request, Answer::Part(from, part));
            }
        }
        self.end_unwanted();
    }

    /// Hands an answer to whoever asked. A snapshot that nobody wants any more ends here.
    pub(crate) fn deliver(&self, request: RequestId, answer: Answer) {
        let unwanted = self.inner.requests.answer(request, answer);
        self.forget(unwanted);
    }

    /// Notes the snapshots in answers that nobody took.
    fn forget(&self, answers: impl IntoIterator<Item = Answer>) {
        for answer in answers {
            if let Answer::Response(Response::Began(at) | Response::SnapshotAt(at)) = answer {
                self.inner.unwanted.borrow_mut().push(at);
            }
        }
    }

    /// Ends snapshots that nobody took. Not while effects are being performed: events have an order.
    fn end_unwanted(&self) {
        let unwanted = std::mem::take(&mut *self.inner.unwanted.borrow_mut());
        for at in unwanted {
            self.handle(Event::EndSnapshot { at });
        }
    }

    /// Opens a request that will get so many answers.
    pub(crate) fn open(&self, expected: usize) -> Result<Pending, ShardError> {
        let request = self.inner.requests.open(expected)?;
        Ok(Pending { shard: self.clone(), request })
    }

    /// Submits a transaction whose home is here when no row that it writes is another's by lease, or has been for long enough.
    pub(crate) fn submit_leased(
        &self,
        lease: Option<LeaseId>,
        request: RequestId,
        footprint: Arc<Footprint>,
        workload: Arc<dyn Workload>,
    ) {
        let free = self.keep_if_leased(lease, request, footprint, workload);
        if let Some((request, footprint, workload)) = free {
            self.submit_unleased(request, footprint, workload);
        }
    }

    /// Submits a transaction whose home is here as soon as the tree admits its writes: at once, nearly always.
    pub(crate) fn submit_unleased(
        &self,
        request: RequestId,
        footprint: Arc<Footprint>,
        workload: Arc<dyn Workload>,
    ) {
        if !footprint.writes() {
            self.handle(Event::Submit { request, footprint, workload });
            return;
        }
        let Some((request, footprint, workload)) = self.keep_if_held(request, footprint, workload)
        else {
            return;
        };
        let bytes = footprint.key_byte_count();
        let admitted = {
            let admission = pin!(self.inner.tree.admit(bytes));
            admission.poll(&mut Context::from_waker(Waker::noop()))
        };
        match admitted {
            Poll::Ready(admitted) => self.submit_if(admitted, request, footprint, workload),
            Poll::Pending => {
                let shard = self.clone();
                let spawner = &*self.inner.platform.spawner;
                spawn(spawner, SchedulingClass::Foreground, "admission", async move {
                    let admitted = shard.inner.tree.admit(bytes).await;
                    shard.submit_if(admitted, request, footprint, workload);
                });
            }
        }
    }

    fn submit_if(
        &self,
        admitted: Result<(), StorageError>,
        request: RequestId,
        footprint: Arc<Footprint>,
        workload: Arc<dyn Workload>,
    ) {
        match admitted {
            Ok(()) => self.handle(Event::Submit { request, footprint, workload }),
            Err(error) => {
                let abort = accord::Abort::NotLogged(Failure::from(&error).encode());
                let response = Response::Aborted(abort);
                self.perform(Effect::Reply { request, response });
            }
        }
    }

    pub(crate) fn want_tables(&self, request: RequestId, tables: Arc<[WantedTable]>) {
        self.inner.wanted.borrow_mut().insert(request, tables);
    }

    fn freeze(&self, request: RequestId, at: Timestamp) -> Result<Vec<TableSnapshot>, ShardError> {
        let inner = &self.inner;
        let wanted = inner.wanted.borrow_mut().remove(&request);
        let wanted = wanted.expect("the tables are named before the snapshot is announced");
        let mut parts = Vec::with_capacity(wanted.len());
        for table in wanted.iter() {
            let version = inner.state.borrow().replica.schema_version(table.table);
            if version != Some(table.version) {
                return Err(ShardError::SchemaChanged { table: table.table });
            }
            let lease = inner.options.snapshot_lease;
            let frozen = inner.tree.freeze(table.storage, at, "analytics", lease);
            parts.push(frozen.map_err(|error| ShardError::from(&error))?);
        }
        Ok(parts)
    }

    // --- what waits

    /// Publishes this shard's files of a bulk write, then lets go of its tokens.
    fn install(&self, txn_id: TxnId, log: LogId, position: LogPosition) {
        let inner = &self.inner;
        let (id, publication) = inner.state.borrow_mut().memory.take_publication(log, position);
        let own = publication.files.iter().any(|(shard, _)| *shard == inner.shard);
        let files = inner.shared.sealed.get(id).table_files();
        let position = storage::LogPosition::from_raw(position.0);
        let address = storage::LogAddress { log, position };
        let shard = self.clone();
        let spawner = &*inner.platform.spawner;
        spawn(spawner, SchedulingClass::Foreground, "publish", async move {
            if own && let Err(error) = shard.inner.tree.publish(address, &publication, &files).await
            {
                shard.stop(&error);
                return;
            }
            drop(files);
            shard.inner.shared.sealed.installed(id);
            shard.handle(Event::Installed { txn_id });
        });
    }

    fn load(&self, load: LoadId, footprint: Arc<Footprint>, at: Timestamp) {
        let shard = self.clone();
        let spawner = &*self.inner.platform.spawner;
        spawn(spawner, SchedulingClass::Foreground, "load", async move {
            match shard.load_rows(&footprint, at).await {
                // The pages stay in memory until the event has been handled.
                Ok(pages) => {
                    shard.handle(Event::Loaded { load });
                    drop(pages);
                }
                Err(error) => {
                    let failure = Failure::from(&error).encode();
                    shard.handle(Event::LoadFailed { load, failure });
                    if is_fatal(&error) {
                        shard.stop(&error);
                    }
                }
            }
        });
    }

    /// Brings the pages that a footprint's reads need on this shard, all at once.
    async fn load_rows(
        &self,
        footprint: &Footprint,
        at: Timestamp,
    ) -> Result<Vec<storage::Loaded>, StorageError> {
        let tree = &self.inner.tree;
        let owned = self.inner.placement.owned(self.inner.shard);
        let slices = self.inner.placement.slices();
        let points = footprint.points().iter();
        let points = points.filter(|point| point.access.reads() && owned.contains(point.token));
        let points = points.map(|point| {
            let slice = slices.slice_of(point.token);
            tree.load(point.table, slice, footprint.key_of(point), at)
        });
        let mut loaded = Vec::new();
        for result in join_all(points.collect()).await {
            loaded.push(result?);
        }
        for range in footprint.ranges().iter().filter(|range| range.access.reads()) {
            let Some(tokens) = range.tokens.intersection(owned) else { continue };
            if let accord::RangeNeed::Rows { limit } = range.need {
                let bounds = footprint.bounds_of(range);
                self.load_range(range.table, tokens, bounds, (at, limit), &mut loaded).await?;
            }
        }
        Ok(loaded)
    }

    async fn load_range(
        &self,
        table: TableId,
        tokens: TokenRange,
        (low, high): (&[u8], Option<&[u8]>),
        (at, limit): (Timestamp, u32),
        loaded: &mut Vec<storage::Loaded>,
    ) -> Result<(), StorageError> {
        let query = accord::RangeQuery { table, tokens, low, high, at, limit };
        let slices = self.inner.state.borrow().memory.slices_of(tokens);
        let mut rows_left = limit as usize;
        for slice in slices {
            let mut read = range_of_slice(&query, slice, rows_left);
            while rows_left > 0 {
                read.rows_max = rows_left;
                loaded.push(self.inner.tree.load_range(&read).await?);
                let storage::RangeLookup::Rows(found) = self.inner.tree.read_range(&read)? else {
                    continue;
                };
                rows_left -= found.rows.len();
                match found.resume {
                    Some(resume) => read.start = resume,
                    None => break,
                }
            }
        }
        Ok(())
    }

    /// Tells the protocol how far the log is durable, as soon as something waits for it.
    async fn watch_log(&self) {
        loop {
            let position = self.next_awaited().await;
            let position = storage::LogPosition::from_raw(position.0);
            if let Err(error) = self.inner.tree.wait_durable(position).await {
                self.stop(&error);
                return;
            }
            // Records below `durable` are durable; positions are the starts of records.
            let through = LogPosition(self.inner.tree.durable().to_raw() - 1);
            self.handle(Event::Durable { position: through });
            loop {
                let mut reservations = self.inner.reservations.borrow_mut();
                let due = reservations.front().is_some_and(|(position, _)| *position <= through);
                if !due {
                    break;
                }
                let (_, through) = reservations.pop_front().expect("it is due");
                drop(reservations);
                self.handle(Event::Reserved { through });
            }
        }
    }

    /// The first log position that an output or a reservation waits for.
    async fn next_awaited(&self) -> LogPosition {
        poll_fn(|cx| {
            let held = self.inner.state.borrow().replica.first_held();
            let reservation = self.inner.reservations.borrow().front().map(|(at, _)| *at);
            match [held, reservation].into_iter().flatten().min() {
                Some(position) => Poll::Ready(position),
                None => {
                    *self.inner.log_watcher.borrow_mut() = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Raises the history floor as retention and open snapshots allow: by a part of the retention at a time, since each step is an edit of the manifest,
    /// and only when something was logged, since otherwise nothing can be garbage.
    async fn raise_floors(&self) {
        let inner = &self.inner;
        let retention = inner.options.history_retention;
        let retention_micros = u64::try_from(retention.as_micros()).unwrap_or(u64::MAX);
        let step_micros = retention_micros / FLOOR_STEPS;
        let mut raised_at = inner.tree.appended();
        loop {
            let own = inner.state.borrow().replica.snapshot_floor();
            let (high, low) = own.halves();
            inner.shared.floors.publish(inner.shard, PublishedSlot { high, low });
            platform::sleep(&inner.platform.spawner, FLOOR_INTERVAL).await;
            let floors = inner.shared.floors.read_all();
            let lowest = floors.min().expect("a node has a core");
            let lowest = Timestamp::from_halves(lowest.high, lowest.low);
            let retained = inner.platform.clock.wall_micros().saturating_sub(retention_micros);
            let floor = lowest.min(Timestamp::new(lowest.epoch(), retained, 0));
            let appended = inner.tree.appended();
            let far = floor.hlc() >= inner.tree.floor().hlc().saturating_add(step_micros);
            if appended == raised_at || !far {
                continue;
            }
            raised_at = appended;
            if let Err(error) = self.raise_floor(floor).await
                && is_fatal(&error)
            {
                self.stop(&error);
                return;
            }
        }
    }

    /// Raises the floor as far as pins allow, and lets go of tables that ended below it.
    async fn raise_floor(&self, wanted: Timestamp) -> Result<(), StorageError> {
        let floor = self.inner.tree.raise_floor(wanted).await?;
        let ended = self.inner.state.borrow_mut().memory.take_dropped(floor);
        for table in ended {
            self.inner.tree.drop_table(table).await?;
        }
        Ok(())
    }

    /// Lets go of every storage table that is not among `known`: what a transaction ended shortly before the last stop. Once, before anybody reads.
    ///
    /// # Errors
    /// The disk's.
    ///
    /// # Cancel safety
    /// Not safe: the shard must then be started anew.
    pub async fn drop_unknown_tables(&self, known: &BTreeSet<TableId>) -> Result<(), ShardError> {
        let tree = &self.inner.tree;
        for table in tree.tables() {
            if table != ROW_IDS && !known.contains(&table) {
                tree.drop_table(table).await.map_err(|error| ShardError::from(&error))?;
            }
        }
        Ok(())
    }

    /// The shard cannot be trusted any more: every client is told, nothing more is done.
    pub(crate) fn stop(&self, error: &StorageError) {
        let failure = Failure::from(error);
        let failure = match failure.kind {
            StorageErrorKind::Fenced => failure,
            _ => Failure { kind: StorageErrorKind::Fenced, ..failure },
        };
        self.inner.stopped.borrow_mut().get_or_insert(failure.clone());
        self.inner.requests.stop(failure);
        for waker in self.inner.stop_watchers.borrow_mut().drain(..) {
            waker.wake();
        }
    }
}

/// A request under way. Dropping it forgets the answers, not what was asked for.
pub(crate) struct Pending {
    shard: Shard,
    pub(crate) request: RequestId,
}

impl Pending {
    /// The next answer.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn next(&mut self) -> Result<Answer, ShardError> {
        self.shard.inner.requests.next(self.request).await
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let untaken = self.shard.inner.requests.close(self.request);
        self.shard.forget(untaken);
        self.shard.end_unwanted();
    }
}
