//! One shard's part in the protocol: its clock, what is registered on its tokens, and what waits.
//!
//! [`Replica::handle`] takes one event and the shard's memory and gives out effects; between two calls nothing changes.
//! The files below are the walks: `turn` (one core), `coordinate` (a home core), `prepare` (a participant), `read`
//! (at a snapshot), `snapshot` (analytic), `registry` (who waits for whom).

mod coordinate;
mod evaluate;
mod floors;
mod prepare;
mod read;
mod registry;
mod snapshot;
mod turn;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use types::mutants::live;
use types::{LogId, SchemaVersion, ShardId, SliceId, TableId, Timestamp};

use crate::clock::{Now, ReservedClock};
use crate::effect::{Effect, LoadId, Response};
use crate::event::Event;
use crate::footprint::{Footprint, TokenRange};
use crate::message::Message;
use crate::mutants;
use crate::outbox::Outbox;
use crate::part::LastChange;
use crate::participants::Placement;
use crate::store::{LogPosition, Store};
use crate::tables::Tables;
use crate::txn::TxnId;
use crate::workload::{Abort, Record};

use floors::Floors;
use read::Reads;
use registry::{Decision, Registry, Waiter};
use snapshot::Snapshots;
use turn::Turn;

/// What a replica is made of.
#[derive(Clone, Debug)]
pub struct ReplicaOptions {
    /// Which shard.
    pub shard: ShardId,
    /// Identity of this core among all minting cores: host << 8 | core.
    pub node: u32,
    /// Who owns which token.
    pub placement: Placement,
    /// This core's commit log.
    pub log: LogId,
    /// Above every timestamp of the node's past: the largest reservation of any core.
    pub floor: Timestamp,
    /// Schema version of every table of the catalog.
    pub schema: Vec<(TableId, SchemaVersion)>,
}

/// The protocol's state on one shard.
#[derive(Clone, Debug)]
pub struct Replica {
    shard: ShardId,
    log: LogId,
    log_end: LogPosition,
    placement: Placement,
    owned: TokenRange,
    clock: ReservedClock,
    floors: Floors,
    tables: Tables,
    outbox: Outbox,
    registry: Registry,
    loads: Loads,
    reads: Reads,
    snapshots: Snapshots,
    stalled: VecDeque<Event>,
    wake: VecDeque<Waiter>,
    #[cfg(mutants)]
    late: VecDeque<(LogPosition, TxnId, Arc<Record>)>,
}

/// What an event is handled with: the shard's memory, the time, and where effects go.
struct Step<'a, S> {
    store: &'a mut S,
    now: Now,
    out: &'a mut Vec<Effect>,
}

/// What goes on when a load is done.
#[derive(Clone, Debug)]
enum AfterLoad {
    Turn(Turn),
    Registered(TxnId),
    Read(read::Read),
}

#[derive(Clone, Debug, Default)]
struct Loads {
    next: u64,
    waiting: BTreeMap<LoadId, AfterLoad>,
}

impl Replica {
    /// A replica that starts with nothing in flight.
    pub fn new(options: ReplicaOptions) -> Replica {
        let owned = options.placement.owned(options.shard);
        let ignored = live(mutants::START_IGNORES_FLOOR);
        let floor = if ignored { Timestamp::ZERO } else { options.floor };
        Replica {
            shard: options.shard,
            log: options.log,
            log_end: LogPosition::NONE,
            placement: options.placement,
            owned,
            clock: ReservedClock::new(options.node, floor),
            floors: Floors::new(),
            tables: Tables::new(options.placement, options.schema),
            outbox: Outbox::new(floor),
            registry: Registry::new(owned),
            loads: Loads::default(),
            reads: Reads::default(),
            snapshots: Snapshots::default(),
            stalled: VecDeque::new(),
            wake: VecDeque::new(),
            #[cfg(mutants)]
            late: VecDeque::new(),
        }
    }

    /// Handles one event. Effects are appended to `out` in the order in which they are to be performed.
    pub fn handle<S: Store>(
        &mut self,
        event: Event,
        now: Now,
        store: &mut S,
        out: &mut Vec<Effect>,
    ) {
        self.receive_slots(&event, now);
        let mut step = Step { store, now, out };
        if may_mint(&event) && !self.clock.can_mint(now.wall_micros) {
            self.stalled.push_back(event);
        } else {
            self.dispatch(event, &mut step);
            self.progress(&mut step);
        }
        while !self.stalled.is_empty() && self.clock.can_mint(now.wall_micros) {
            let event = self.stalled.pop_front().expect("it is not empty");
            self.dispatch(event, &mut step);
            self.progress(&mut step);
        }
        if let Some(through) = self.clock.wanted_reservation(now.wall_micros) {
            step.out.push(Effect::Reserve { through });
        }
    }

    /// This core's slot: to be published before the replies and frozen views put out so far leave.
    pub const fn slot(&self) -> Timestamp {
        self.outbox.slot()
    }

    /// No read that began or will begin on this core is below this, of a snapshot or of a transaction. Garbage collection
    /// drops nothing that a read at the smallest of all cores' floors would see.
    pub fn snapshot_floor(&self) -> Timestamp {
        let open = self.snapshots.oldest_open().unwrap_or(Timestamp::MAX);
        let registered = self.registry.iter().map(|(_, registered)| match registered.decision {
            Decision::Undecided { floor } => floor,
            Decision::Decided { execute_at } => execute_at,
        });
        registered.min().unwrap_or(Timestamp::MAX).min(open).min(self.clock.highest())
    }

    /// The first position of this core's log that an output waits for; [`Event::Durable`] for it is awaited.
    pub fn first_held(&self) -> Option<LogPosition> {
        self.outbox.first_held()
    }

    /// The highest timestamp minted or received here.
    pub const fn highest(&self) -> Timestamp {
        self.clock.highest()
    }

    /// Schema version of a table, as the next turn would find it.
    pub fn schema_version(&self, table: TableId) -> Option<SchemaVersion> {
        self.tables.version(table)
    }

    /// Whether nothing is registered, loading, waiting or held.
    pub fn is_idle(&self) -> bool {
        self.registry.is_empty()
            && self.loads.waiting.is_empty()
            && self.reads.is_empty()
            && self.snapshots.is_idle()
            && self.stalled.is_empty()
            && self.outbox.held_count() == 0
    }

    fn receive_slots(&mut self, event: &Event, now: Now) {
        let ignored = match event {
            Event::Begin { .. } => live(mutants::BEGIN_IGNORES_SLOTS),
            _ => live(mutants::MINT_IGNORES_SLOTS),
        };
        if !ignored {
            self.clock.receive(now.slots);
        }
    }

    fn dispatch<S: Store>(&mut self, event: Event, step: &mut Step<'_, S>) {
        match event {
            Event::Submit { request, footprint, workload } => {
                self.submit(Turn::new(request, footprint, workload), step);
            }
            Event::Begin { request } => self.begin(request, step),
            Event::ReadAt { request, at, footprint } => self.read_at(request, at, footprint, step),
            Event::TakeSnapshot { request, at } => self.take_snapshot(request, at, step),
            Event::EndSnapshot { at } => self.snapshots.close(at),
            Event::Message { from, message } => self.receive(from, message, step),
            Event::Loaded { load } => match self.loads.take(load) {
                AfterLoad::Turn(turn) => self.turn(turn, step),
                AfterLoad::Registered(txn_id) => self.resume(txn_id, step),
                AfterLoad::Read(read) => self.try_read(read, step),
            },
            Event::LoadFailed { load, failure } => self.load_failed(load, failure, step),
            Event::Durable { position } => {
                #[cfg(mutants)]
                self.apply_late(position, step);
                self.outbox.release(position, step.out);
            }
            Event::Installed { txn_id } => self.deregister(txn_id),
            Event::Reserved { through } => self.clock.reserved(through),
        }
    }

    fn receive<S: Store>(&mut self, from: ShardId, message: Message, step: &mut Step<'_, S>) {
        match message {
            Message::Prepare { txn_id, footprint } => self.prepare(from, txn_id, footprint, step),
            Message::PrepareOk { txn_id, floor } => self.prepare_ok(from, txn_id, floor, step),
            Message::Commit { txn_id, execute_at } => self.commit(txn_id, execute_at, step),
            Message::Executed { txn_id, answer } => self.executed(from, txn_id, answer, step),
            Message::Apply { txn_id, record, log, position } => {
                self.apply(txn_id, record, log, position, step);
            }
            Message::Release { txn_id } => self.release(txn_id),
            Message::Highest { request } => {
                let highest = self.clock.highest();
                send(from, Message::HighestOk { request, highest }, step);
            }
            Message::HighestOk { request, highest } => {
                self.highest_ok(from, request, highest, step);
            }
            Message::Announce { request, at } => self.announce(request, at, step),
        }
    }

    /// Lets everything run whose wait has ended.
    fn progress<S: Store>(&mut self, step: &mut Step<'_, S>) {
        while let Some(waiter) = self.wake.pop_front() {
            match waiter {
                Waiter::Txn(txn_id) => self.check(txn_id, step),
                Waiter::Read(read_id) => {
                    if let Some(read) = self.reads.take(read_id) {
                        self.try_read(read, step);
                    }
                }
                Waiter::Snapshot(request) => self.check_freeze(request, step),
            }
        }
    }

    fn load_failed<S: Store>(&mut self, load: LoadId, failure: Vec<u8>, step: &mut Step<'_, S>) {
        let abort = Abort::ReadFailed(failure);
        match self.loads.take(load) {
            AfterLoad::Turn(turn) => {
                let response = Response::Aborted(abort);
                step.out.push(Effect::Reply { request: turn.request, response });
            }
            AfterLoad::Registered(txn_id) => self.refuse(txn_id, abort, step),
            AfterLoad::Read(read) => {
                let response = Response::ReadRefused(abort);
                step.out.push(Effect::Reply { request: read.request, response });
            }
        }
    }

    /// Notes what a record changed on this shard. `position`: in this core's own log, if it is there.
    fn note_record(&mut self, record: &Record, footprint: &Footprint, position: LogPosition) {
        let change = LastChange { execute_at: record.execute_at, position };
        if !record.attachment.is_empty() {
            self.note_attachment(footprint, change);
        }
        for write in record.writes.iter().filter(|write| self.owned.contains(write.token)) {
            self.tables.note_write(write.table, self.placement.slice_of(write.token), change);
        }
        for change in &record.schema {
            self.tables.change_schema(change, position);
        }
        self.floors.note_write(record.execute_at);
    }

    /// An attachment changes whatever the footprint declares as a written range.
    fn note_attachment(&mut self, footprint: &Footprint, change: LastChange) {
        for range in footprint.ranges().iter().filter(|range| range.access.writes()) {
            let Some(tokens) = range.tokens.intersection(self.owned) else { continue };
            let first = self.placement.slice_of(tokens.first).0;
            for slice in first..=self.placement.slice_of(tokens.last).0 {
                self.tables.note_write(range.table, SliceId(slice), change);
            }
        }
    }
}

impl Loads {
    fn take(&mut self, load: LoadId) -> AfterLoad {
        self.waiting.remove(&load).expect("each load ends once")
    }

    fn start(
        &mut self,
        footprint: Arc<Footprint>,
        at: Timestamp,
        then: AfterLoad,
        out: &mut Vec<Effect>,
    ) {
        let load = LoadId(self.next);
        self.next += 1;
        self.waiting.insert(load, then);
        out.push(Effect::Load { load, footprint, at });
    }
}

/// Whether handling the event may take a timestamp. Such events wait for a reservation; each takes one at most.
const fn may_mint(event: &Event) -> bool {
    matches!(
        event,
        Event::Submit { .. }
            | Event::Begin { .. }
            | Event::TakeSnapshot { .. }
            | Event::Loaded { .. }
            | Event::Message { message: Message::PrepareOk { .. } | Message::HighestOk { .. }, .. }
    )
}

fn send<S>(to: ShardId, message: Message, step: &mut Step<'_, S>) {
    step.out.push(Effect::Send { to, message });
}
