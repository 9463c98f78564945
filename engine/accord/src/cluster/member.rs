//! One shard core of a member: its replicas, the transactions that it coordinates, its clock, and the gate between what it
//! knows and what it says.
//!
//! [`Member::handle`] takes one event and gives out effects. State moves on at once; **outputs wait**: each carries the log
//! position through which this core's log must be durable before it may leave, so nothing that a crash could take back is
//! ever heard by anybody (section 6.4). The environment logs, holds, delivers and reads; it may reorder, repeat and lose
//! messages, and wake the core as late as it likes.
//!
//! A **node** (one server process) votes; its **cores** each hold some of its replicas, and any of them coordinates. So a
//! request goes to a node and a range, and its answer to the core that asked. What a core says to a replica of its own does
//! not leave it: it is handled in the same turn, and its own vote counts at once, since whatever follows from it waits for
//! the log anyway.

mod rounds;
mod watches;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use types::mutants::live;
use types::prng::Prng;
use types::{CoreId, NodeId, Timestamp};

use super::command::Change;
use super::coordinator::Coordination;
use super::counters::Counters;
use super::message::{Answer, Message, Request};
use super::replica::{Bounds, Minter, RangeReplica, Task};
use super::status::Ballot;
use super::timers::{Timer, Timers};
use super::topology::{RangeId, Topology};
use super::transaction::Transaction;
use crate::clock::ReservedClock;
use crate::effect::RequestId;
use crate::mutants;
use crate::rows::Rows;
use crate::store::LogPosition;
use crate::txn::TxnId;
use crate::workload::{Abort, Record};

/// How long a core waits for others. Nothing but speed depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// A request without an answer is sent again after this, and the fast path is waited for as long.
    pub resend_micros: u64,
    /// A transaction that does not end is taken up after this, at first; doubled each time, with a random part.
    pub patience_micros: u64,
    /// A range has a durability round this often: what all its replicas have applied is let go of.
    pub round_micros: u64,
    /// A sync point lets this pass before it keeps out those that began before it.
    pub sync_point_lag_micros: u64,
    /// Recoveries that one core has under way at most.
    pub recoveries_max: usize,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            resend_micros: 5_000,
            patience_micros: 20_000,
            round_micros: 10_000_000,
            sync_point_lag_micros: 100_000,
            recoveries_max: 64,
        }
    }
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A client asks for a transaction; this core coordinates it.
    Submit { request: RequestId, transaction: Arc<Transaction> },
    /// A client asks for a snapshot of ranges: a timestamp below which everything is decided on one replica of each, and below which is everything that was
    /// acknowledged before.
    Snapshot { request: RequestId, ranges: Vec<RangeId> },
    /// Another core, or this one, says something about a range.
    Message { from: CoreId, range: RangeId, txn_id: TxnId, message: Message },
    /// Rows asked for by [`Effect::Read`].
    Rows { range: RangeId, txn_id: TxnId, to: CoreId, rows: Rows },
    /// A reservation of timestamps is durable.
    Reserved { through: Timestamp },
    /// Time has passed; due at [`Member::next_due`].
    Tick,
}

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// The core of a node that holds the range of the message.
    Replica(NodeId),
    /// A core.
    Core(CoreId),
    /// Every core of a node.
    AllCores(NodeId),
}

/// One thing to do, in order.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Append to the log, at a position that only rises.
    Log { position: LogPosition, entry: LogEntry },
    /// Deliver once the log is durable through `after`.
    Send { to: Address, range: RangeId, txn_id: TxnId, message: Message, after: LogPosition },
    /// Answer a client once the log is durable through `after`.
    Reply { request: RequestId, response: Response, after: LogPosition },
    /// Read the transaction's rows of a range, newest versions **below** `execute_at`, and give them back.
    Read {
        range: RangeId,
        txn_id: TxnId,
        transaction: Arc<Transaction>,
        execute_at: Timestamp,
        to: CoreId,
    },
    /// Apply the writes of a range. They must be durable exactly if the log is through `position`, whose entry says that they are
    /// applied: the environment logs both in one record. Applying again what is there changes nothing.
    Apply {
        range: RangeId,
        txn_id: TxnId,
        transaction: Arc<Transaction>,
        record: Arc<Record>,
        position: LogPosition,
    },
    /// The log need keep nothing of this transaction on this range: what was logged before says enough.
    Forget { range: RangeId, txn_id: TxnId },
}

/// What the log holds.
#[derive(Clone, Debug, PartialEq)]
pub enum LogEntry {
    /// What changed of a command.
    Change { range: RangeId, txn_id: TxnId, change: Change },
    /// Bounds of a replica.
    Bounds { range: RangeId, bounds: Bounds },
    /// A sync point is applied on every replica of a range, which may be others' replicas.
    Universal { range: RangeId, sync_point: TxnId },
    /// Timestamps up to this may be in use.
    Reserve { through: Timestamp },
}

/// What a client hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// It took effect, and survives.
    Committed { txn_id: TxnId, execute_at: Timestamp, reply: Vec<u8> },
    /// It took no effect and never will.
    Aborted { txn_id: TxnId, abort: Abort },
    /// It was given up: it took no effect and never will, and may be asked for again.
    Invalidated { txn_id: TxnId },
    /// This core cannot tell: another one took it up.
    Unknown { txn_id: TxnId },
    /// Everything that executes below the sync point is applied on these replicas, and nothing will be added: read versions below it.
    Snapshot { sync_point: TxnId, replicas: Vec<(RangeId, NodeId)> },
}

#[derive(Clone, Debug)]
pub(super) struct Clock {
    pub(super) reserved: ReservedClock,
    pub(super) wall_micros: u64,
}

impl Minter for Clock {
    fn mint_above(&mut self, floor: Timestamp) -> Option<Timestamp> {
        self.reserved.receive(floor);
        self.reserved.can_mint(self.wall_micros).then(|| self.reserved.mint(self.wall_micros))
    }
}

/// Who it is, what it holds, and how patient it is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// This core.
    pub core: CoreId,
    /// The placement of all ranges.
    pub topology: Arc<Topology>,
    /// Which of the node's replicas this core holds.
    pub ranges: Vec<RangeId>,
    /// How long it waits for others.
    pub pace: Pace,
}

/// One shard core of a member of the cluster.
#[derive(Clone)]
pub struct Member {
    pub(super) core: CoreId,
    pub(super) topology: Arc<Topology>,
    pub(super) replicas: BTreeMap<RangeId, RangeReplica>,
    pub(super) coordinations: BTreeMap<TxnId, Coordination>,
    pub(super) clock: Clock,
    pub(super) prng: Prng,
    pub(super) pace: Pace,
    pub(super) timers: Timers,
    pub(super) counters: Counters,
    /// By range: the last sync point that every replica has applied.
    universal: Vec<TxnId>,
    /// Times that a watch was due, for those that are set.
    attempts: BTreeMap<(RangeId, TxnId), u32>,
    stalled: Vec<(RequestId, Arc<Transaction>)>,
    /// To replicas of this core.
    to_itself: VecDeque<(RangeId, TxnId, Message)>,
    out: Vec<Effect>,
    log_end: LogPosition,
}

/// Everything on which its answers depend. Left out are what all members share and what only times its patience.
impl fmt::Debug for Member {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Member")
            .field("core", &self.core)
            .field("replicas", &self.replicas)
            .field("coordinations", &self.coordinations)
            .field("clock", &self.clock.reserved)
            .field("universal", &self.universal)
            .field("attempts", &self.attempts)
            .field("stalled", &self.stalled)
            .finish_non_exhaustive()
    }
}

impl Member {
    /// A core that starts from its log: `entries` in order; nothing for a new one. What the log says is applied is in the
    /// store.
    ///
    /// # Panics
    /// If it is to hold a range that its node does not replicate.
    pub fn start(
        identity: Identity,
        entries: impl IntoIterator<Item = LogEntry>,
        prng: Prng,
        now_micros: u64,
    ) -> (Member, Vec<Effect>) {
        let Identity { core, topology, ranges, pace } = identity;
        let replica = |range: RangeId| {
            let of = topology.range(range);
            assert!(of.replicas().contains(&core.node()), "{core} holds no replica of {range:?}");
            (range, RangeReplica::new(range, of.tokens()))
        };
        let mut replicas: BTreeMap<RangeId, RangeReplica> =
            ranges.into_iter().map(replica).collect();
        let mut universal: Vec<TxnId> = topology.ranges().map(|_| TxnId::default()).collect();
        let mut floor = Timestamp::ZERO;
        for entry in entries {
            match entry {
                LogEntry::Change { range, txn_id, change } => {
                    if let Some(replica) = replicas.get_mut(&range) {
                        replica.restore(txn_id, change);
                    }
                }
                LogEntry::Bounds { range, bounds } => {
                    if let Some(replica) = replicas.get_mut(&range) {
                        replica.restore_bounds(bounds);
                    }
                }
                LogEntry::Universal { range, sync_point } => {
                    let known = &mut universal[usize::from(range.0)];
                    *known = (*known).max(sync_point);
                }
                LogEntry::Reserve { through } => floor = floor.max(through),
            }
        }
        let floor = if live(mutants::RESERVATION_FORGOTTEN) { Timestamp::ZERO } else { floor };
        let reserved = ReservedClock::new(core.0, floor);
        let mut this = Member {
            core,
            topology,
            replicas,
            coordinations: BTreeMap::new(),
            clock: Clock { reserved, wall_micros: now_micros },
            prng,
            pace,
            timers: Timers::default(),
            counters: Counters::default(),
            universal,
            attempts: BTreeMap::new(),
            stalled: Vec::new(),
            to_itself: VecDeque::new(),
            out: Vec::new(),
            log_end: LogPosition::NONE,
        };
        this.restarted();
        let effects = this.finish();
        (this, effects)
    }

    fn restarted(&mut self) {
        let ranges: Vec<RangeId> = self.replicas.keys().copied().collect();
        for range in ranges {
            let replica = self.replicas.get_mut(&range).expect("just listed");
            replica.restarted(&self.universal);
            let all: Vec<TxnId> = replica.commands().map(|(txn_id, _)| txn_id).collect();
            for txn_id in all {
                self.watch_if_unfinished(range, txn_id);
            }
            self.settle(range);
            self.schedule_round(range);
        }
    }

    /// This core.
    pub const fn core(&self) -> CoreId {
        self.core
    }

    /// Its replica of a range.
    pub fn replica(&self, range: RangeId) -> Option<&RangeReplica> {
        self.replicas.get(&range)
    }

    /// What it has done.
    pub fn counters(&self) -> Counters {
        let mut counters = self.counters;
        for replica in self.replicas.values() {
            counters.add(replica.counters());
        }
        counters
    }

    /// Whether it coordinates nothing and sees to nothing but the next round.
    pub fn is_idle(&self) -> bool {
        self.coordinations.is_empty()
            && self.stalled.is_empty()
            && self.timers.all().all(|timer| matches!(timer, Timer::Round(_)))
    }

    /// When [`Event::Tick`] is due, by the wall clock.
    pub fn next_due(&self) -> Option<u64> {
        self.timers.next_due()
    }

    /// Handles one event at a wall clock time, which may step.
    pub fn handle(&mut self, event: Event, wall_micros: u64) -> Vec<Effect> {
        self.clock.wall_micros = wall_micros;
        match event {
            Event::Submit { request, transaction } => self.submit(request, transaction),
            Event::Snapshot { request, ranges } => {
                self.submit(request, Arc::new(Transaction::sync_point(ranges)));
            }
            Event::Message { from, range, txn_id, message } => {
                self.receive(from, range, txn_id, message);
            }
            Event::Rows { range, txn_id, to, rows } => {
                self.answer(to, (range, txn_id), Ballot::ZERO, Answer::Rows(rows));
            }
            Event::Reserved { through } => {
                self.clock.reserved.reserved(through);
                for (request, transaction) in core::mem::take(&mut self.stalled) {
                    self.submit(request, transaction);
                }
            }
            Event::Tick => self.tick(),
        }
        self.finish()
    }

    /// What this core says to itself, then what is to be done.
    fn finish(&mut self) -> Vec<Effect> {
        while let Some((range, txn_id, message)) = self.to_itself.pop_front() {
            self.receive(self.core, range, txn_id, message);
        }
        if let Some(through) = self.clock.reserved.wanted_reservation(self.clock.wall_micros) {
            self.log(LogEntry::Reserve { through });
        }
        core::mem::take(&mut self.out)
    }

    pub(super) fn submit(&mut self, request: RequestId, transaction: Arc<Transaction>) {
        let above = transaction.footprint().map_or(Timestamp::ZERO, |footprint| footprint.above());
        let Some(id) = self.clock.mint_above(above) else {
            self.stalled.push((request, transaction));
            return;
        };
        let at = (self.clock.wall_micros, self.pace);
        self.begin(Coordination::new(TxnId(id), transaction, request, at));
    }

    fn receive(&mut self, from: CoreId, range: RangeId, txn_id: TxnId, message: Message) {
        self.clock.reserved.receive(txn_id.0);
        match message {
            Message::Request(Request::UniversallyApplied) => self.universal_at(range, txn_id),
            Message::Request(request) => {
                for timestamp in timestamps(&request).into_iter().flatten() {
                    self.clock.reserved.receive(timestamp);
                }
                let Some(replica) = self.replicas.get_mut(&range) else { return };
                let answer = replica.handle(from, txn_id, request, &mut self.clock);
                self.settle(range);
                if let Some((ballot, answer)) = answer {
                    self.answer(from, (range, txn_id), ballot, answer);
                }
            }
            Message::Answer { ballot, answer } => {
                if let Answer::PreAccepted { witnessed, .. } = &answer {
                    self.clock.reserved.receive(*witnessed);
                }
                self.on_answer((range, from.node()), txn_id, ballot, answer);
            }
        }
    }

    /// Logs what a turn changed and gives out what it wants done.
    fn settle(&mut self, range: RangeId) {
        let replica = self.replicas.get_mut(&range).expect("its own range");
        if !replica.has_news() {
            return;
        }
        let changes = replica.take_changes();
        let bounds = replica.take_changed_bounds();
        let tasks = replica.take_tasks();
        let (blocking, forgotten) = (replica.take_newly_blocking(), replica.take_forgotten());
        let mut logged: Vec<(TxnId, LogPosition)> = Vec::with_capacity(changes.len());
        for (txn_id, change) in changes {
            self.log(LogEntry::Change { range, txn_id, change });
            logged.push((txn_id, self.log_end));
            self.watch_if_unfinished(range, txn_id);
        }
        if let Some(bounds) = bounds {
            self.log(LogEntry::Bounds { range, bounds });
        }
        for txn_id in blocking {
            self.watch_if_unfinished(range, txn_id);
        }
        for task in tasks {
            match task {
                Task::Read { txn_id, transaction, execute_at, to } => {
                    self.out.push(Effect::Read { range, txn_id, transaction, execute_at, to });
                }
                Task::Apply { txn_id, transaction, record } => {
                    let position = logged.iter().find(|(changed, _)| *changed == txn_id);
                    let position = position.expect("it is applied in this turn").1;
                    let effect = Effect::Apply { range, txn_id, transaction, record, position };
                    self.out.push(effect);
                }
                Task::Applied { txn_id, to } => {
                    self.answer(to, (range, txn_id), Ballot::ZERO, Answer::Applied);
                }
            }
        }
        for txn_id in forgotten {
            self.unwatch(range, txn_id);
            self.out.push(Effect::Forget { range, txn_id });
        }
    }

    fn log(&mut self, entry: LogEntry) {
        self.log_end = LogPosition(self.log_end.0 + 1);
        self.counters.log_entries += 1;
        self.out.push(Effect::Log { position: self.log_end, entry });
    }

    fn answer(
        &mut self,
        to: CoreId,
        (range, txn_id): (RangeId, TxnId),
        ballot: Ballot,
        answer: Answer,
    ) {
        let message = Message::Answer { ballot, answer };
        if to == self.core {
            self.to_itself.push_back((range, txn_id, message));
        } else {
            self.send_message(Address::Core(to), range, txn_id, message);
        }
    }

    pub(super) fn send(&mut self, to: NodeId, range: RangeId, txn_id: TxnId, request: Request) {
        let message = Message::Request(request);
        if to == self.core.node() && self.replicas.contains_key(&range) {
            self.to_itself.push_back((range, txn_id, message));
        } else {
            self.send_message(Address::Replica(to), range, txn_id, message);
        }
    }

    pub(super) fn send_to_all_cores(
        &mut self,
        to: NodeId,
        range: RangeId,
        txn_id: TxnId,
        request: Request,
    ) {
        self.send_message(Address::AllCores(to), range, txn_id, Message::Request(request));
    }

    fn send_message(&mut self, to: Address, range: RangeId, txn_id: TxnId, message: Message) {
        let after =
            if live(mutants::SEND_BEFORE_DURABLE) { LogPosition::NONE } else { self.log_end };
        self.counters.messages += 1;
        self.out.push(Effect::Send { to, range, txn_id, message, after });
    }

    pub(super) fn reply(&mut self, request: RequestId, response: Response) {
        self.out.push(Effect::Reply { request, response, after: self.log_end });
    }

    fn tick(&mut self) {
        let now = self.clock.wall_micros;
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Coordination(txn_id) => self.coordination_is_due(txn_id),
                Timer::Watch(range, txn_id) => self.watch_is_due(range, txn_id),
                Timer::Round(range) => self.round_is_due(range),
            }
        }
    }
}

/// Timestamps of a request that the clock must be above.
fn timestamps(request: &Request) -> [Option<Timestamp>; 2] {
    match request {
        Request::Accept { ballot, agreement, .. } | Request::Commit { ballot, agreement, .. } => {
            [Some(ballot.0), Some(agreement.execute_at)]
        }
        Request::Read { agreement, .. } | Request::Apply { agreement, .. } => {
            [Some(agreement.execute_at), None]
        }
        Request::AcceptInvalidate { ballot }
        | Request::Recover { ballot, .. }
        | Request::PromiseUnknown { ballot } => [Some(ballot.0), None],
        Request::PreAccept { .. }
        | Request::Invalidate
        | Request::Durable { .. }
        | Request::UniversallyApplied => [None, None],
    }
}
