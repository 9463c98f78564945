//! One node with its log, its store and its part of the network: the only file here that knows the protocol's interface.
//!
//! A [`Host`] is a value: [`Host::take`] gives the host after an input and what came out, and the same input on an equal host
//! gives the same. Equal hosts have equal [`Host::fingerprint`]s.
//!
//! Time does not pass. The wall clock of an event is a function of the input alone, far below the hybrid clock, so that
//! nothing is resent and nobody loses patience by accident: patience runs out when the explorer chooses [`Input::Tick`], and
//! the fast path is given up when it chooses to deliver a vote `late`.
//!
//! What a tick starts is everything that is watched: `level` L wakes the watches of the transactions with the lowest L + 1
//! numbers; [`LEVEL_GIVE_UP`] also ends what this node coordinates and begins anew what waits for others.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hasher};
use std::rc::Rc;
use std::sync::Arc;

use accord::cluster::command::Command;
use accord::cluster::deps::Deps;
use accord::cluster::message::{Answer, Message, Request};
use accord::cluster::status::{Ballot, Durability, Status};
use accord::cluster::{
    Address, Effect, Event, Identity, LogEntry, Member, Pace, RangeId, ReplicatedRange, Response,
    Topology, Transaction,
};
use accord::{LogPosition, RequestId, Rows, TokenRange, TxnId};
use types::prng::Prng;
use types::{CoreId, NodeId, ShardId, Timestamp, Token};

use crate::lists::{ListTransaction, Touch, decode, encode};

/// A tick after which nothing that was begun before goes on.
pub const LEVEL_GIVE_UP: u8 = 3;
/// What hybrid clocks start above; wall clocks stay below it.
const FLOOR: u64 = 1_000_000_000_000;
const WALL: u64 = 100;
const RESEND: u64 = 1_000_000_000;
const LATE: u64 = 2 * RESEND;
/// Watches are due at once, and give up far above the ticks of the levels below [`LEVEL_GIVE_UP`].
/// No sync point begins by itself.
const PACE: Pace = Pace {
    resend_micros: RESEND,
    patience_micros: 1,
    round_micros: 1 << 59,
    sync_point_lag_micros: 0,
    recoveries_max: usize::MAX,
};

/// What a world is made of, for its hosts.
#[derive(Clone, Debug)]
pub struct Setting {
    pub topology: Arc<Topology>,
    /// Transaction k is coordinated by node k.
    pub transactions: Vec<ListTransaction>,
    /// By how much a node's clock is ahead at the start.
    pub ahead: Vec<u64>,
    /// Whether the log is durable only when the explorer says so.
    pub lazy_flush: bool,
    /// Whether rows that were read leave before the log is durable.
    pub reads_leave_early: bool,
}

impl Setting {
    /// `ranges` ranges, each on the nodes `0..replicas`, of which the first `electors` vote.
    pub fn new(replicas: u32, electors: u32, ranges: u16) -> Setting {
        let width = (1u64 << 16) / u64::from(ranges);
        let of = |index: u64| {
            let end = index + 1 == u64::from(ranges);
            let last = if end { u64::MAX } else { ((index + 1) * width << 48) - 1 };
            let tokens = TokenRange { first: Token(index * width << 48), last: Token(last) };
            let nodes: Vec<NodeId> = (0..replicas).map(NodeId).collect();
            let electorate = nodes[..electors as usize].to_vec();
            ReplicatedRange::new(tokens, nodes, electorate)
        };
        Setting {
            topology: Arc::new(Topology::new(1, (0..u64::from(ranges)).map(of).collect())),
            transactions: Vec::new(),
            ahead: vec![0; replicas as usize],
            lazy_flush: false,
            reads_leave_early: false,
        }
    }

    /// Adds a transaction; its coordinator is the node of the same number.
    pub fn with(mut self, touches: &[(u16, Touch)]) -> Setting {
        let number = self.transactions.len() as u32;
        let touches = touches.to_vec();
        self.transactions.push(ListTransaction { number, touches, sweep: false });
        self
    }

    /// Sets by how much each node's clock is ahead.
    pub fn ahead(mut self, ahead: &[u64]) -> Setting {
        self.ahead = ahead.to_vec();
        self
    }

    pub fn nodes(&self) -> usize {
        self.ahead.len()
    }

    /// Ranges of a transaction.
    pub fn participants(&self, number: usize) -> Vec<RangeId> {
        self.transactions[number].transaction(&self.topology).route().to_vec()
    }

    /// Whether two transactions conflict on a range.
    pub fn conflict(&self, one: usize, other: usize, range: RangeId) -> bool {
        let tokens = self.topology.range(range).tokens();
        self.transactions[one].touches.iter().any(|(key, touch)| {
            tokens.contains(crate::lists::token(*key))
                && self.transactions[other].touches.iter().any(|(other_key, other_touch)| {
                    key == other_key && (*touch != Touch::Read || *other_touch != Touch::Read)
                })
        })
    }
}

/// Which transaction an id names: its coordinator's number.
pub fn number_of(txn_id: TxnId) -> usize {
    (txn_id.0.node() >> 8) as usize
}

/// A message on its way.
#[derive(Clone, Debug)]
pub struct Envelope {
    pub from: CoreId,
    pub to: NodeId,
    pub range: RangeId,
    pub txn_id: TxnId,
    pub message: Message,
}

impl Envelope {
    pub fn fingerprint(&self) -> u64 {
        fingerprint(&self)
    }

    /// What its existence says about the transaction.
    pub fn claim(&self) -> Claim {
        let number = number_of(self.txn_id);
        match &self.message {
            Message::Request(Request::Commit { agreement, .. }) => {
                Claim::Decided { number, execute_at: agreement.execute_at }
            }
            Message::Request(
                Request::Read { agreement, .. } | Request::Apply { agreement, .. },
            ) => Claim::Stable {
                number,
                range: self.range,
                execute_at: agreement.execute_at,
                deps: Rc::new(agreement.deps.clone()),
            },
            Message::Request(Request::Invalidate) => Claim::Invalidated { number },
            Message::Request(Request::Durable { durability: Durability::Universal }) => {
                Claim::Universal { number }
            }
            _ => Claim::Nothing,
        }
    }

    /// Whether nobody decides anything by it.
    pub fn is_execution(&self) -> bool {
        matches!(
            self.message,
            Message::Request(Request::Apply { .. } | Request::Durable { .. })
                | Message::Answer { answer: Answer::Rows(_) | Answer::Applied, .. }
        )
    }

    pub fn is_answer(&self) -> bool {
        matches!(self.message, Message::Answer { .. })
    }

    /// Whether it is a vote, for which the fast path may be awaited.
    pub fn is_vote(&self) -> bool {
        matches!(self.message, Message::Answer { answer: Answer::PreAccepted { .. }, .. })
    }

    pub fn brief(&self) -> String {
        let Envelope { from, to, range, txn_id, message } = self;
        let number = number_of(*txn_id);
        format!("t{number} {txn_id} r{} {} -> {}: {}", range.0, from.node(), to.0, brief(message))
    }
}

fn brief(message: &Message) -> String {
    let at =
        |timestamp: Timestamp| format!("{}.{}", timestamp.hlc() - FLOOR, timestamp.node() >> 8);
    let deps = |deps: &Deps| deps.iter().map(|dep| at(dep.0)).collect::<Vec<_>>().join(",");
    match message {
        Message::Request(Request::PreAccept { .. }) => "PreAccept".into(),
        Message::Request(Request::Accept { proposal, agreement, .. }) => {
            format!("Accept {proposal:?} {} [{}]", at(agreement.execute_at), deps(&agreement.deps))
        }
        Message::Request(Request::Commit { agreement, .. }) => {
            format!("Commit {} [{}]", at(agreement.execute_at), deps(&agreement.deps))
        }
        Message::Request(Request::Read { agreement, .. }) => {
            format!("Read {} [{}]", at(agreement.execute_at), deps(&agreement.deps))
        }
        Message::Request(Request::Apply { .. }) => "Apply".into(),
        Message::Answer { answer: Answer::PreAccepted { witnessed, deps: found }, .. } => {
            format!("PreAccepted {} [{}]", at(*witnessed), deps(found))
        }
        Message::Answer { answer: Answer::Recovered(vote), .. } => format!(
            "Recovered {:?} voted {} superseded {} wait {}",
            vote.status,
            vote.voted,
            vote.superseded,
            vote.earlier_wait.len()
        ),
        other => {
            let text = format!("{other:?}");
            let text = text.trim_start_matches("Request(").trim_start_matches("Answer { ");
            text.chars().take(160).collect()
        }
    }
}

/// What a message says that must be true for ever.
#[derive(Clone, Debug)]
pub enum Claim {
    Nothing,
    Decided {
        number: usize,
        execute_at: Timestamp,
    },
    Stable {
        number: usize,
        range: RangeId,
        execute_at: Timestamp,
        deps: Rc<Deps>,
    },
    Invalidated {
        number: usize,
    },
    /// Every replica has applied it.
    Universal {
        number: usize,
    },
}

/// What a host does next.
#[derive(Clone, Debug)]
pub enum Input {
    /// The client of the node's transaction asks.
    Submit,
    Deliver {
        envelope: Rc<Envelope>,
        late: bool,
    },
    Tick {
        level: u8,
    },
    /// It stops, loses what is not durable, and comes back.
    Crash,
    Flush,
}

/// What came out.
#[derive(Clone, Debug)]
pub enum Output {
    Send(Envelope),
    Reply {
        number: usize,
        response: Response,
    },
    /// Rows of a transaction were read.
    Read {
        number: usize,
        range: RangeId,
    },
    /// The writes of a transaction were applied.
    Applied {
        number: usize,
        range: RangeId,
    },
}

#[derive(Clone, Debug)]
enum Held {
    Send(Envelope),
    Reply { number: usize, response: Response },
}

/// One node, its log and its rows.
#[derive(Clone)]
pub struct Host {
    setting: Rc<Setting>,
    id: NodeId,
    node: Member,
    /// The durable log, folded: the last command of each id.
    durable: BTreeMap<(RangeId, TxnId), Command>,
    reserved: Timestamp,
    /// Logged and not durable.
    pending: Vec<(LogPosition, LogEntry)>,
    through: LogPosition,
    held: VecDeque<(LogPosition, Held)>,
    /// By key, with the log position that makes a version durable.
    data: BTreeMap<u16, BTreeMap<Timestamp, (LogPosition, Vec<u32>)>>,
    /// Ids and ballots of earlier lives, and of this one: none is ever minted twice.
    minted: [BTreeSet<Timestamp>; 2],
    /// A promise that was broken on the way.
    broken: Option<String>,
}

impl Host {
    pub fn new(setting: &Rc<Setting>, id: u32) -> Host {
        let reserved = Timestamp::new(0, FLOOR + setting.ahead[id as usize], 0);
        let (node, effects) = start(setting, id, &BTreeMap::new(), reserved);
        let mut host = Host {
            setting: setting.clone(),
            id: NodeId(id),
            node,
            durable: BTreeMap::new(),
            reserved,
            pending: Vec::new(),
            through: LogPosition::NONE,
            held: VecDeque::new(),
            data: BTreeMap::new(),
            minted: Default::default(),
            broken: None,
        };
        let mut out = Vec::new();
        host.perform(effects, &mut out);
        host.flush(&mut out);
        host
    }

    /// The same for equal hosts; and the same for hosts that are equal but for their clocks.
    pub fn fingerprints(&self) -> (u64, u64) {
        let lazy = self.setting.lazy_flush.then_some((&self.durable, &self.pending, &self.held));
        let rest = fingerprint(&(self.reserved, lazy, &self.data, &self.minted));
        let node = format!("{:?}", self.node);
        let clock = node.find(", clock: ").unwrap_or(node.len());
        let after = node[clock..].find(", universal: ").map_or(node.len(), |at| clock + at);
        (fingerprint(&(rest, &node)), fingerprint(&(rest, &node[..clock], &node[after..])))
    }

    /// What it knows of a transaction on a range.
    pub fn command(&self, number: usize, range: RangeId) -> Option<&Command> {
        let mut commands = self.node.replica(range)?.commands();
        commands.find(|(txn_id, _)| number_of(*txn_id) == number).map(|(_, command)| command)
    }

    /// Whether it was applied by every replica, and only that is remembered.
    pub fn is_settled(&self, number: usize, range: RangeId) -> bool {
        self.node
            .replica(range)
            .is_some_and(|replica| replica.settled().any(|txn_id| number_of(txn_id) == number))
    }

    fn commands(&self) -> Vec<(RangeId, TxnId, Command)> {
        let mut all = Vec::new();
        for (range, _) in self.setting.topology.ranges() {
            let Some(replica) = self.node.replica(range) else { continue };
            all.extend(replica.commands().map(|(id, command)| (range, id, command.clone())));
        }
        all
    }

    /// How far everything came that it knows of.
    pub fn statuses(&self) -> Vec<(usize, RangeId, Status, Timestamp)> {
        let of = |(range, txn_id, command): (RangeId, TxnId, Command)| {
            (number_of(txn_id), range, command.status(), command.execute_at())
        };
        self.commands().into_iter().map(of).collect()
    }

    pub fn is_idle(&self) -> bool {
        let over = |(_, _, command): &(_, _, Command)| command.status().is_over();
        self.node.is_idle() && self.commands().iter().all(over)
    }

    /// What keeps it from rest.
    pub fn unrest(&self) -> String {
        let open = self.statuses().into_iter().filter(|(_, _, status, _)| !status.is_over());
        let open: Vec<String> = open
            .map(|(number, range, status, _)| format!("t{number} {range:?} {status:?}"))
            .collect();
        let text = format!("{:?}", self.node);
        let steps: Vec<&str> = text
            .match_indices("step: ")
            .map(|(at, _)| &text[at + 6..(at + 300).min(text.len())])
            .collect();
        format!(
            "n{} idle {}, {}, coordinates {steps:?}",
            self.id,
            self.node.is_idle(),
            open.join(", ")
        )
    }

    pub fn rows(&self) -> BTreeMap<u16, Vec<u32>> {
        let newest = |(key, versions): (&u16, &BTreeMap<Timestamp, (LogPosition, Vec<u32>)>)| {
            (*key, versions.values().next_back().expect("never empty").1.clone())
        };
        self.data.iter().map(newest).collect()
    }

    /// The host after an input, and what came out.
    ///
    /// # Errors
    /// If it broke a promise of its own.
    pub fn take(&self, input: &Input) -> Result<(Host, Vec<Output>), String> {
        let mut next = self.clone();
        let mut out = Vec::new();
        next.feed(input, &mut out);
        if !self.setting.lazy_flush {
            next.flush(&mut out);
        }
        if let Some(broken) = next.broken.take() {
            return Err(broken);
        }
        next.check_against(self, matches!(input, Input::Crash))?;
        next.check_outputs(&out)?;
        Ok((next, out))
    }

    fn feed(&mut self, input: &Input, out: &mut Vec<Output>) {
        match input {
            Input::Submit => {
                let number = self.id.0 as usize;
                let transaction =
                    self.setting.transactions[number].transaction(&self.setting.topology);
                let request = RequestId(number as u64);
                self.give(Event::Submit { request, transaction }, wall(number), out);
            }
            Input::Deliver { envelope, late } => {
                let Envelope { from, range, txn_id, message, .. } = (**envelope).clone();
                let at = if *late { LATE } else { wall(number_of(txn_id)) };
                self.give(Event::Message { from, range, txn_id, message }, at, out);
            }
            Input::Tick { level: LEVEL_GIVE_UP } => self.give(Event::Tick, WALL + 40 + RESEND, out),
            Input::Tick { level } => self.give(Event::Tick, wall(usize::from(*level)) + 2, out),
            Input::Flush => self.flush(out),
            Input::Crash => {
                self.pending.clear();
                self.held.clear();
                let through = self.through;
                for versions in self.data.values_mut() {
                    versions.retain(|_, (position, _)| *position <= through);
                    versions.values_mut().for_each(|(position, _)| *position = LogPosition::NONE);
                }
                self.data.retain(|_, versions| !versions.is_empty());
                self.through = LogPosition::NONE;
                let lived = std::mem::take(&mut self.minted[1]);
                self.minted[0].extend(lived);
                let (node, effects) = start(&self.setting, self.id.0, &self.durable, self.reserved);
                self.node = node;
                self.perform(effects, out);
                // A node is up when it has reserved timestamps.
                self.flush(out);
            }
        }
    }

    /// A tick of a node that has been left alone for `round` long times.
    pub fn tick_late(&self, round: u64) -> Result<(Host, Vec<Output>), String> {
        let mut next = self.clone();
        let mut out = Vec::new();
        next.give(Event::Tick, LATE + (round + 1) * 2 * RESEND, &mut out);
        next.flush(&mut out);
        Ok((next, out))
    }

    fn give(&mut self, event: Event, wall: u64, out: &mut Vec<Output>) {
        let effects = self.node.handle(event, wall);
        self.perform(effects, out);
    }

    fn perform(&mut self, effects: Vec<Effect>, out: &mut Vec<Output>) {
        let mut rows_read = Vec::new();
        for effect in effects {
            match effect {
                Effect::Log { position, entry } => self.pending.push((position, entry)),
                Effect::Send { to, range, txn_id, message, after } => {
                    let to = match to {
                        Address::Replica(node) | Address::AllCores(node) => node,
                        Address::Core(core) => core.node(),
                    };
                    let from = core_of(self.id.0);
                    let envelope = Envelope { from, to, range, txn_id, message };
                    self.note_minted(&envelope);
                    let rows =
                        matches!(envelope.message, Message::Answer { answer: Answer::Rows(_), .. });
                    let early = rows && self.setting.reads_leave_early;
                    let after = if early { LogPosition::NONE } else { after };
                    self.held.push_back((after, Held::Send(envelope)));
                }
                Effect::Reply { request, response, after } => {
                    let number = request.0 as usize;
                    self.held.push_back((after, Held::Reply { number, response }));
                }
                Effect::Read { range, txn_id, transaction, execute_at, to } => {
                    out.push(Output::Read { number: number_of(txn_id), range });
                    let rows = self.read(range, &transaction, execute_at);
                    rows_read.push(Event::Rows { range, txn_id, to, rows });
                }
                Effect::Forget { .. } => {}
                Effect::Apply { range, txn_id, record, position, .. } => {
                    out.push(Output::Applied { number: number_of(txn_id), range });
                    let tokens = self.setting.topology.range(range).tokens();
                    for write in record.writes.iter().filter(|write| tokens.contains(write.token)) {
                        let key = u16::from_be_bytes(write.key[..].try_into().expect("two bytes"));
                        let list = decode(write.row.as_ref().expect("never deleted"));
                        self.data
                            .entry(key)
                            .or_default()
                            .insert(record.execute_at, (position, list));
                    }
                }
            }
        }
        for event in rows_read {
            self.give(event, WALL, out);
        }
        self.release(out);
    }

    fn read(&self, range: RangeId, transaction: &Transaction, below: Timestamp) -> Rows {
        let footprint = transaction.footprint().expect("a sync point does not read");
        let tokens = self.setting.topology.range(range).tokens();
        let mut rows = Rows::default();
        for (index, point) in footprint.points().iter().enumerate() {
            if !point.access.reads() || !tokens.contains(point.token) {
                continue;
            }
            let key = footprint.key_of(point);
            let key = u16::from_be_bytes(key.try_into().expect("two bytes"));
            let newest = self.data.get(&key);
            let newest = newest.and_then(|list| list.range(..below).next_back());
            if let Some((execute_at, (_, list))) = newest {
                rows.push_point(index, *execute_at, &encode(list));
            }
        }
        rows
    }

    /// Everything logged is durable.
    fn flush(&mut self, out: &mut Vec<Output>) {
        while !self.pending.is_empty() {
            for (position, entry) in std::mem::take(&mut self.pending) {
                self.through = position;
                match entry {
                    LogEntry::Change { range, txn_id, change } => {
                        self.durable.entry((range, txn_id)).or_default().fold(change);
                    }
                    LogEntry::Bounds { .. } | LogEntry::Universal { .. } => {
                        unreachable!("there are no sync points here")
                    }
                    LogEntry::Reserve { through } => {
                        self.reserved = through;
                        self.give(Event::Reserved { through }, WALL, out);
                    }
                }
            }
            self.release(out);
        }
        self.release(out);
    }

    /// Lets out what need not wait any more.
    fn release(&mut self, out: &mut Vec<Output>) {
        while let Some(at) = self.held.iter().position(|(after, _)| *after <= self.through) {
            let (_, held) = self.held.remove(at).expect("just found");
            match held {
                Held::Send(envelope) => out.push(Output::Send(envelope)),
                Held::Reply { number, response } => out.push(Output::Reply { number, response }),
            }
        }
    }

    fn note_minted(&mut self, envelope: &Envelope) {
        let minted = match &envelope.message {
            Message::Request(Request::PreAccept { .. }) => envelope.txn_id.0,
            Message::Request(
                Request::Recover { ballot, .. } | Request::PromiseUnknown { ballot },
            ) => ballot.0,
            _ => return,
        };
        if self.minted[0].contains(&minted) {
            self.broken = Some(format!("I15: {minted} was minted in an earlier life"));
        }
        self.minted[1].insert(minted);
    }

    /// I5, I6 and I7: what is known only grows, and survives a crash as it was.
    fn check_against(&self, before: &Host, crashed: bool) -> Result<(), String> {
        for (range, txn_id, old) in before.commands() {
            let replica = self.node.replica(range);
            if replica.is_some_and(|replica| replica.is_settled(txn_id)) {
                continue;
            }
            let Some(new) = replica.and_then(|replica| replica.command(txn_id)) else {
                let durable = before.durable.contains_key(&(range, txn_id));
                if crashed && !durable {
                    continue;
                }
                return Err(format!("I6: {} forgot transaction {txn_id}", self.id));
            };
            if crashed {
                let kept = before.durable.get(&(range, txn_id));
                let same = kept.is_some_and(|kept| {
                    kept.voted() == new.voted()
                        && (kept.status() == new.status() || new.status() == Status::Applied)
                        && kept.execute_at() == new.execute_at()
                        && kept.promised() == new.promised()
                        && kept.accepted() == new.accepted()
                        && kept.deps() == new.deps()
                });
                let unlogged = !self.setting.lazy_flush
                    && (old.status() > new.status() || old.voted() != new.voted());
                if !same || unlogged {
                    return Err(format!("I7: {} came back otherwise with {txn_id}", self.id));
                }
            } else {
                grows(&old, new).map_err(|what| format!("I6: {what} of {txn_id}"))?;
            }
        }
        for (_, txn_id, command) in self.commands() {
            sound(txn_id, &command).map_err(|what| format!("I5: {what} of {txn_id}"))?;
        }
        Ok(())
    }

    /// I10: who voted for a transaction names it to every later one.
    fn check_outputs(&self, out: &[Output]) -> Result<(), String> {
        for output in out {
            let Output::Send(envelope) = output else { continue };
            let Message::Answer { answer: Answer::PreAccepted { deps, .. }, .. } =
                &envelope.message
            else {
                continue;
            };
            let asked = number_of(envelope.txn_id);
            for (range, txn_id, command) in self.commands() {
                let named = deps.contains(txn_id)
                    || txn_id >= envelope.txn_id
                    || range != envelope.range
                    || !command.voted()
                    || command.status() == Status::Invalidated
                    || !self.setting.conflict(asked, number_of(txn_id), range);
                if !named {
                    return Err(format!("I10: {} hides {txn_id} from t{asked}", self.id));
                }
            }
        }
        Ok(())
    }
}

fn grows(old: &Command, new: &Command) -> Result<(), &'static str> {
    let accepts = |status| matches!(status, Status::Accepted | Status::AcceptedInvalidate);
    if new.status() < old.status() && !(accepts(old.status()) && accepts(new.status())) {
        return Err("the status goes back");
    }
    if new.promised() < old.promised() || new.accepted() < old.accepted() {
        return Err("a ballot goes back");
    }
    if old.voted() && !new.voted()
        || new.voted() && !old.voted() && old.status() != Status::NotDefined
    {
        return Err("a vote changes");
    }
    if old.transaction().is_some() && new.transaction().is_none() {
        return Err("the definition is forgotten");
    }
    if old.status() == Status::PreAccepted
        && new.status() == Status::PreAccepted
        && old.execute_at() != new.execute_at()
    {
        return Err("the witnessed timestamp changes");
    }
    Ok(())
}

fn sound(txn_id: TxnId, command: &Command) -> Result<(), &'static str> {
    if command.accepted() > command.promised() {
        return Err("the accepted ballot is above the promise");
    }
    let agreed = command.status() == Status::Accepted || command.status().is_committed();
    if agreed && command.execute_at() < txn_id.0 {
        return Err("execution is before the id");
    }
    if agreed && command.deps().last().is_some_and(|last| last.0 >= command.execute_at()) {
        return Err("a dependency is above");
    }
    if command.voted() && command.transaction().is_none() {
        return Err("a vote has no definition");
    }
    let _: Ballot = command.promised();
    Ok(())
}

fn wall(number: usize) -> u64 {
    WALL + 3 * number as u64
}

fn core_of(node: u32) -> CoreId {
    CoreId::new(NodeId(node), ShardId(0))
}

fn start(
    setting: &Setting,
    id: u32,
    durable: &BTreeMap<(RangeId, TxnId), Command>,
    reserved: Timestamp,
) -> (Member, Vec<Effect>) {
    let commands = durable.iter().map(|((range, txn_id), command)| LogEntry::Change {
        range: *range,
        txn_id: *txn_id,
        change: command.whole(),
    });
    let entries: Vec<LogEntry> =
        commands.chain([LogEntry::Reserve { through: reserved }]).collect();
    let identity = Identity {
        core: core_of(id),
        topology: setting.topology.clone(),
        ranges: setting.topology.ranges().map(|(range, _)| range).collect(),
        pace: PACE,
    };
    Member::start(identity, entries, Prng::new(1), WALL)
}

struct Hashing(DefaultHasher);

impl fmt::Write for Hashing {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

/// Of everything that `Debug` shows.
fn fingerprint(value: &dyn fmt::Debug) -> u64 {
    let mut hashing = Hashing(DefaultHasher::new());
    write!(hashing, "{value:?}").expect("hashing never fails");
    hashing.0.finish()
}
