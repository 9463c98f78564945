//! One node: its replicas, the transactions that it coordinates, its clock, and the gate between what it knows and what it
//! says.
//!
//! [`Node::handle`] takes one event and gives out effects. State moves on at once; **outputs wait**: each carries the log
//! position through which this node's log must be durable before it may leave, so nothing that a crash could take back is
//! ever heard by anybody (section 6.4). The environment logs, holds, delivers and reads; it may reorder, repeat and lose
//! messages, and wake the node as late as it likes.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use types::mutants::live;
use types::prng::Prng;
use types::{NodeId, Timestamp};

use super::command::Command;
use super::coordinator::Coordination;
use super::message::{Answer, Message, Request, Transaction};
use super::replica::{Minter, RangeReplica, Task};
use super::status::{Ballot, Status};
use super::topology::{RangeId, Topology};
use crate::clock::ReservedClock;
use crate::effect::RequestId;
use crate::mutants;
use crate::rows::Rows;
use crate::store::LogPosition;
use crate::txn::TxnId;
use crate::workload::{Abort, Record};

const PATIENCE_DOUBLINGS_MAX: u32 = 6;

/// How long a node waits for others. Nothing but speed depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// A request without an answer is sent again after this, and the fast path is waited for as long.
    pub resend_micros: u64,
    /// A transaction that does not end is taken up after this, at first; doubled each time, with a random part.
    pub patience_micros: u64,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { resend_micros: 5_000, patience_micros: 20_000 }
    }
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A client asks for a transaction; this node coordinates it.
    Submit { request: RequestId, transaction: Arc<Transaction> },
    /// Another node says something about a range.
    Message { from: NodeId, range: RangeId, txn_id: TxnId, message: Message },
    /// Rows asked for by [`Effect::Read`].
    Rows { range: RangeId, txn_id: TxnId, to: NodeId, ballot: Ballot, rows: Rows },
    /// A reservation of timestamps is durable.
    Reserved { through: Timestamp },
    /// Time has passed.
    Tick,
}

/// One thing to do, in order.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Append to the log, at a position that only rises.
    Log { position: LogPosition, entry: LogEntry },
    /// Deliver to another node once the log is durable through `after`.
    Send { to: NodeId, range: RangeId, txn_id: TxnId, message: Message, after: LogPosition },
    /// Answer a client once the log is durable through `after`.
    Reply { request: RequestId, response: Response, after: LogPosition },
    /// Read the transaction's rows of a range, newest versions **below** its timestamp, and give them back.
    Read { range: RangeId, txn_id: TxnId, to: NodeId, ballot: Ballot },
    /// Apply the writes of a range.
    Apply { range: RangeId, txn_id: TxnId, record: Arc<Record> },
}

/// What the log holds.
#[derive(Clone, Debug)]
pub enum LogEntry {
    /// A command as it is now; replaces the earlier ones of the same id.
    Command { range: RangeId, txn_id: TxnId, command: Command },
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
    /// This node cannot tell: another node took it up.
    Unknown { txn_id: TxnId },
}

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

/// When a transaction that does not end is looked at next.
#[derive(Clone, Copy, Debug)]
struct Watch {
    due_micros: u64,
    attempts: u32,
}

/// A member of the cluster.
pub struct Node {
    pub(super) node: NodeId,
    pub(super) topology: Arc<Topology>,
    pub(super) replicas: BTreeMap<RangeId, RangeReplica>,
    pub(super) coordinations: BTreeMap<TxnId, Coordination>,
    pub(super) clock: Clock,
    pub(super) prng: Prng,
    pub(super) out: Vec<Effect>,
    pub(super) pace: Pace,
    watches: BTreeMap<(RangeId, TxnId), Watch>,
    stalled: Vec<(RequestId, Arc<Transaction>)>,
    log_end: LogPosition,
}

impl Node {
    /// A node that starts from its log: `entries` in order; nothing for a new one. `floor` is above every timestamp that
    /// it minted before.
    pub fn start(
        node: NodeId,
        topology: Arc<Topology>,
        entries: impl IntoIterator<Item = LogEntry>,
        (pace, prng): (Pace, Prng),
        now_micros: u64,
    ) -> (Node, Vec<Effect>) {
        let mut replicas: BTreeMap<RangeId, RangeReplica> = topology
            .ranges()
            .filter(|(_, range)| range.replicas().contains(&node))
            .map(|(id, range)| (id, RangeReplica::new(id, range.tokens())))
            .collect();
        let mut floor = Timestamp::ZERO;
        for entry in entries {
            match entry {
                LogEntry::Command { range, txn_id, command } => {
                    if let Some(replica) = replicas.get_mut(&range) {
                        replica.restore(txn_id, command);
                    }
                }
                LogEntry::Reserve { through } => floor = floor.max(through),
            }
        }
        let reserved = ReservedClock::new(node.0 << 8, floor);
        let mut this = Node {
            node,
            topology,
            replicas,
            coordinations: BTreeMap::new(),
            clock: Clock { reserved, wall_micros: now_micros },
            prng,
            out: Vec::new(),
            pace,
            watches: BTreeMap::new(),
            stalled: Vec::new(),
            log_end: LogPosition::NONE,
        };
        let ranges: Vec<RangeId> = this.replicas.keys().copied().collect();
        for range in ranges {
            let replica = this.replicas.get_mut(&range).expect("just listed");
            replica.restarted();
            let all: Vec<(TxnId, Command)> =
                replica.commands().map(|(txn_id, command)| (txn_id, command.clone())).collect();
            let unfinished: Vec<TxnId> = all
                .into_iter()
                .filter(|(_, command)| !this.is_finished(range, command))
                .map(|(txn_id, _)| txn_id)
                .collect();
            for txn_id in unfinished {
                this.watch(range, txn_id);
            }
            this.settle(range);
        }
        this.reserve();
        let effects = core::mem::take(&mut this.out);
        (this, effects)
    }

    /// Its id.
    pub const fn id(&self) -> NodeId {
        self.node
    }

    /// Its replica of a range.
    pub fn replica(&self, range: RangeId) -> Option<&RangeReplica> {
        self.replicas.get(&range)
    }

    /// Whether it coordinates nothing and sees to nothing.
    pub fn is_idle(&self) -> bool {
        self.coordinations.is_empty() && self.stalled.is_empty() && self.watches.is_empty()
    }

    /// Handles one event at a wall clock time, which may step.
    pub fn handle(&mut self, event: Event, wall_micros: u64) -> Vec<Effect> {
        self.clock.wall_micros = wall_micros;
        match event {
            Event::Submit { request, transaction } => self.submit(request, transaction),
            Event::Message { from, range, txn_id, message } => {
                self.receive(from, range, txn_id, message);
            }
            Event::Rows { range, txn_id, to, ballot, rows } => {
                self.answer(to, range, txn_id, ballot, Answer::Read(rows));
            }
            Event::Reserved { through } => {
                self.clock.reserved.reserved(through);
                for (request, transaction) in core::mem::take(&mut self.stalled) {
                    self.submit(request, transaction);
                }
            }
            Event::Tick => self.tick(),
        }
        self.reserve();
        core::mem::take(&mut self.out)
    }

    fn submit(&mut self, request: RequestId, transaction: Arc<Transaction>) {
        let Some(id) = self.clock.mint_above(Timestamp::ZERO) else {
            self.stalled.push((request, transaction));
            return;
        };
        let participants = self.topology.participants(&transaction.footprint);
        let now = self.clock.wall_micros;
        let coordination =
            Coordination::new(TxnId(id), transaction, participants, request, (now, self.pace));
        self.begin(coordination);
    }

    fn receive(&mut self, from: NodeId, range: RangeId, txn_id: TxnId, message: Message) {
        self.clock.reserved.receive(txn_id.0);
        match message {
            Message::Request(request) => {
                for timestamp in timestamps(&request) {
                    self.clock.reserved.receive(timestamp);
                }
                let Some(replica) = self.replicas.get_mut(&range) else { return };
                let answer = replica.handle(from, txn_id, request, &mut self.clock);
                self.settle(range);
                if let Some((ballot, answer)) = answer {
                    self.answer(from, range, txn_id, ballot, answer);
                }
            }
            Message::Answer { ballot, answer } => {
                if let Answer::PreAccepted { witnessed, .. } = &answer {
                    self.clock.reserved.receive(*witnessed);
                }
                self.on_answer(from, range, txn_id, ballot, answer);
            }
        }
    }

    /// Logs what a turn changed and gives out what it wants done.
    fn settle(&mut self, range: RangeId) {
        let replica = self.replicas.get_mut(&range).expect("its own range");
        let changed = replica.take_changed();
        let tasks = replica.take_tasks();
        for txn_id in changed {
            let replica = &self.replicas[&range];
            let command = replica.command(txn_id).expect("it changed").clone();
            let over = self.is_finished(range, &command);
            self.log(LogEntry::Command { range, txn_id, command });
            if over {
                self.watches.remove(&(range, txn_id));
            } else {
                self.watch(range, txn_id);
            }
        }
        for task in tasks {
            self.out.push(match task {
                Task::Read { txn_id, to, ballot } => Effect::Read { range, txn_id, to, ballot },
                Task::Apply { txn_id, record } => Effect::Apply { range, txn_id, record },
            });
        }
    }

    fn log(&mut self, entry: LogEntry) {
        self.log_end = LogPosition(self.log_end.0 + 1);
        self.out.push(Effect::Log { position: self.log_end, entry });
    }

    fn reserve(&mut self) {
        if let Some(through) = self.clock.reserved.wanted_reservation(self.clock.wall_micros) {
            self.log(LogEntry::Reserve { through });
        }
    }

    /// Whether this replica has nothing more to see to: the home range sees to it that every replica has the writes.
    fn is_finished(&self, range: RangeId, command: &Command) -> bool {
        let home = command.transaction.as_ref().is_some_and(|transaction| {
            self.topology.participants(&transaction.footprint).first() == Some(&range)
        });
        command.status == Status::Invalidated
            || (command.status == Status::Applied && (!home || command.durable))
    }

    fn watch(&mut self, range: RangeId, txn_id: TxnId) {
        let patience = self.pace.patience_micros;
        let due_micros = self.clock.wall_micros + patience + self.prng.below(patience);
        self.watches.entry((range, txn_id)).or_insert(Watch { due_micros, attempts: 0 });
    }

    fn answer(
        &mut self,
        to: NodeId,
        range: RangeId,
        txn_id: TxnId,
        ballot: Ballot,
        answer: Answer,
    ) {
        self.send_message(to, range, txn_id, Message::Answer { ballot, answer });
    }

    pub(super) fn send(&mut self, to: NodeId, range: RangeId, txn_id: TxnId, request: Request) {
        self.send_message(to, range, txn_id, Message::Request(request));
    }

    fn send_message(&mut self, to: NodeId, range: RangeId, txn_id: TxnId, message: Message) {
        let after =
            if live(mutants::SEND_BEFORE_DURABLE) { LogPosition::NONE } else { self.log_end };
        self.out.push(Effect::Send { to, range, txn_id, message, after });
    }

    pub(super) fn reply(&mut self, request: RequestId, response: Response) {
        self.out.push(Effect::Reply { request, response, after: self.log_end });
    }

    /// Sends again what got no answer, and takes up what does not end.
    fn tick(&mut self) {
        self.resend();
        for (range, replica) in &self.replicas {
            let unknown =
                |txn_id: &TxnId| replica.command(*txn_id).is_none_or(|c| !c.status.is_over());
            let blocking: Vec<TxnId> = replica.blocking().filter(unknown).collect();
            for txn_id in blocking {
                let now = self.clock.wall_micros;
                let due_micros = now + self.pace.patience_micros;
                let watch = Watch { due_micros, attempts: 0 };
                self.watches.entry((*range, txn_id)).or_insert(watch);
            }
        }
        let now = self.clock.wall_micros;
        let due: Vec<(RangeId, TxnId)> = self
            .watches
            .iter()
            .filter(|(_, watch)| watch.due_micros <= now)
            .map(|(watched, _)| *watched)
            .collect();
        for (range, txn_id) in due {
            let watch = self.watches.get_mut(&(range, txn_id)).expect("just listed");
            watch.attempts += 1;
            let patience = self.pace.patience_micros << watch.attempts.min(PATIENCE_DOUBLINGS_MAX);
            watch.due_micros = now + patience + self.prng.below(patience);
            if self.coordinations.contains_key(&txn_id) {
                continue;
            }
            let known = self.replicas[&range].command(txn_id).cloned().unwrap_or_default();
            if !self.is_finished(range, &known) {
                self.take_up(range, txn_id, known);
            }
        }
    }

    fn take_up(&mut self, range: RangeId, txn_id: TxnId, known: Command) {
        let Some(ballot) = self.clock.mint_above(Timestamp::ZERO) else { return };
        let ballot = Ballot(ballot);
        let now = self.clock.wall_micros;
        let coordination = match known.transaction {
            Some(transaction) if known.status != Status::NotDefined => {
                let participants = self.topology.participants(&transaction.footprint);
                Coordination::recovery(txn_id, transaction, participants, ballot, (now, self.pace))
            }
            _ => Coordination::inquiry(txn_id, range, ballot, (now, self.pace)),
        };
        self.begin(coordination);
    }
}

/// Timestamps of a request that the clock must be above.
fn timestamps(request: &Request) -> Vec<Timestamp> {
    match request {
        Request::Accept { ballot, agreement, .. } | Request::Commit { ballot, agreement, .. } => {
            Vec::from([ballot.0, agreement.execute_at])
        }
        Request::Stable { agreement, .. } | Request::Apply { agreement, .. } => {
            Vec::from([agreement.execute_at])
        }
        Request::AcceptInvalidate { ballot }
        | Request::Recover { ballot, .. }
        | Request::PromiseUnknown { ballot } => Vec::from([ballot.0]),
        Request::PreAccept(_) | Request::Invalidate | Request::Durable | Request::Inquire => {
            Vec::new()
        }
    }
}
