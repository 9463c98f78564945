//! The simulated cluster: one queue of events in simulated time, decided by one seed.
//!
//! Several nodes of several cores. A core has a log, of which a crash of its node takes what was not durable; a clock of its own that is off and steps; and
//! a store whose rows are as durable as the log entry that says that they are applied. Messages between nodes are lost, repeated and delayed, and nodes are
//! cut off.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use accord::cluster::codec::{Context, decode_entry, decode_message, encode_entry, encode_message};
use accord::cluster::deps::Deps;
use accord::cluster::message::{Message, Request};
use accord::cluster::status::Status;
use accord::cluster::{
    Address, Counters, Effect, Event, Identity, LogEntry, Member, RangeId, RecoveryRow,
    ReplicatedRange, Response, Topology, Transaction,
};
use accord::{LogPosition, RequestId, Rows, TokenRange, TxnId};
use types::prng::Prng;
use types::{CoreId, NodeId, ShardId, Timestamp, Token};

use crate::lists::{ListCodec, ListTransaction, decode, token};
use crate::plan::Plan;
use crate::wire::Overheard;

/// Figures of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    pub committed: u64,
    pub invalidated: u64,
    pub unknown: u64,
    pub crashes: u64,
    pub cuts: u64,
    pub snapshots: u64,
    pub messages: u64,
    pub trace: u64,
    pub counters: Counters,
}

impl Outcome {
    pub fn add(&mut self, other: &Outcome) {
        self.committed += other.committed;
        self.invalidated += other.invalidated;
        self.unknown += other.unknown;
        self.crashes += other.crashes;
        self.cuts += other.cuts;
        self.snapshots += other.snapshots;
        self.messages += other.messages;
        self.trace = self.trace.rotate_left(7) ^ other.trace;
        self.counters.add(&other.counters);
    }

    /// The rows of the recovery tables with their counts.
    pub fn rows(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        RecoveryRow::ALL.iter().map(|(name, row)| (*name, self.counters.rows[*row as usize]))
    }
}

#[derive(Debug)]
enum Happening {
    Deliver { to: usize, event: Event },
    Durable { core: usize, life: u32, position: LogPosition },
    Wake { core: usize, at: u64 },
    Disturb { node: u32 },
    Restart { node: u32 },
    Heal { node: u32 },
    Submit { client: u32 },
    Snapshot,
    ClientTimeout { request: u32 },
}

/// An output that waits for the log.
#[derive(Debug)]
enum Held {
    Send { to: Address, range: RangeId, txn_id: TxnId, message: Message },
    Reply { request: RequestId, response: Response },
}

/// A row version, and the log position that makes it durable; none once it is.
type Versions = BTreeMap<Timestamp, (LogPosition, Vec<u32>)>;

pub struct Core {
    pub member: Option<Member>,
    life: u32,
    log: Vec<(LogPosition, LogEntry)>,
    /// What survived earlier lives.
    kept: Vec<LogEntry>,
    /// What the log need not keep, once durable.
    forgotten: Vec<(LogPosition, RangeId, TxnId)>,
    /// What counts once the log is durable through it: before, a crash takes it back, and it was never so.
    unproven: VecDeque<(LogPosition, Unproven)>,
    durable: LogPosition,
    held: VecDeque<(LogPosition, Box<Held>)>,
    pub data: BTreeMap<u16, Versions>,
    skew_micros: u64,
    wakes_at: u64,
    /// Of earlier lives.
    counters: Counters,
}

/// Something that a core holds.
#[derive(Debug)]
enum Unproven {
    Agreement { range: RangeId, txn_id: TxnId, deps: Deps },
    Applied { range: RangeId, txn_id: TxnId, number: u32, execute_at: Timestamp },
}

/// What a client knows of its transaction.
#[derive(Clone, Debug)]
pub struct Asked {
    pub transaction: ListTransaction,
    pub submitted: u64,
    pub answered: Option<(u64, Response)>,
    pub given_up: bool,
}

/// A snapshot that was asked for, and what was read there.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub submitted: u64,
    pub taken: Option<(TxnId, BTreeMap<u16, Vec<u32>>)>,
}

/// Requests from here on are for snapshots.
const SNAPSHOTS: u64 = 1 << 60;

/// What became of a transaction, by every replica's account.
#[derive(Clone, Debug)]
pub struct Fate {
    pub number: u32,
    pub execute_at: Timestamp,
}

pub struct Cluster {
    pub plan: Plan,
    pub topology: Arc<Topology>,
    pub cores: Vec<Core>,
    pub asked: Vec<Asked>,
    pub snapshots: Vec<Snapshot>,
    /// What was applied somewhere.
    pub fates: BTreeMap<TxnId, Fate>,
    pub violation: Option<String>,
    /// What replicas have agreed to wait for.
    agreed: BTreeMap<(RangeId, TxnId), Deps>,
    /// Which nodes have applied a transaction on a range.
    applied_by: BTreeMap<(RangeId, TxnId), BTreeSet<NodeId>>,
    /// A transaction, and one that only some of its agreements name.
    pub disputed: BTreeSet<(TxnId, TxnId)>,
    pub overheard: Overheard,
    queue: BTreeMap<(u64, u64), Box<Happening>>,
    sequence: u64,
    now: u64,
    prng: Prng,
    faults: bool,
    /// By node.
    cut: Vec<bool>,
    crashes: u64,
    cuts: u64,
    messages: u64,
    trace: u64,
    print: bool,
}

impl Cluster {
    pub fn new(plan: Plan) -> Cluster {
        let mut prng = Prng::new(plan.seed);
        let topology = Arc::new(place(&plan, &mut prng));
        let cores = (0..plan.nodes * u32::from(plan.cores)).map(|_| Core {
            member: None,
            life: 0,
            log: Vec::new(),
            kept: Vec::new(),
            forgotten: Vec::new(),
            unproven: VecDeque::new(),
            durable: LogPosition::NONE,
            held: VecDeque::new(),
            data: BTreeMap::new(),
            skew_micros: prng.below(plan.skew_micros + 1),
            wakes_at: u64::MAX,
            counters: Counters::default(),
        });
        let cores = cores.collect();
        let mut cluster = Cluster {
            topology,
            cores,
            asked: Vec::new(),
            snapshots: Vec::new(),
            fates: BTreeMap::new(),
            violation: None,
            agreed: BTreeMap::new(),
            applied_by: BTreeMap::new(),
            disputed: BTreeSet::new(),
            overheard: Overheard::default(),
            queue: BTreeMap::new(),
            sequence: 0,
            now: 1_000_000,
            prng,
            faults: true,
            cut: vec![false; plan.nodes as usize],
            crashes: 0,
            cuts: 0,
            messages: 0,
            trace: 0,
            print: std::env::var_os("BURN_SEED").is_some(),
            plan,
        };
        for node in 0..cluster.plan.nodes {
            cluster.start(node);
            cluster.after(3_000, Happening::Disturb { node });
        }
        if cluster.plan.snapshots {
            cluster.after(20_000, Happening::Snapshot);
        }
        for client in 0..cluster.plan.clients {
            cluster.after(100, Happening::Submit { client });
        }
        cluster
    }

    pub fn outcome(&self) -> Outcome {
        let count = |wanted: fn(&Response) -> bool| {
            let answers = self.asked.iter().filter_map(|asked| asked.answered.as_ref());
            answers.filter(|(_, response)| wanted(response)).count() as u64
        };
        let committed = count(|response| matches!(response, Response::Committed { .. }));
        let invalidated = count(|response| matches!(response, Response::Invalidated { .. }));
        let mut counters = Counters::default();
        for core in &self.cores {
            counters.add(&core.counters);
            if let Some(member) = &core.member {
                counters.add(&member.counters());
            }
        }
        Outcome {
            committed,
            invalidated,
            unknown: self.asked.len() as u64 - committed - invalidated,
            crashes: self.crashes,
            cuts: self.cuts,
            snapshots: self.snapshots.iter().filter(|snapshot| snapshot.taken.is_some()).count()
                as u64,
            messages: self.messages,
            trace: self.trace,
            counters,
        }
    }

    fn after(&mut self, most_micros: u64, happening: Happening) {
        let at = self.now + 1 + self.prng.below(most_micros);
        self.at(at, happening);
    }

    fn at(&mut self, at: u64, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((at, self.sequence), Box::new(happening));
    }

    /// Runs until every client is answered and nothing is under way.
    pub fn run_until_answered(&mut self) -> Result<(), String> {
        while let Some(((at, _), happening)) = self.queue.pop_first() {
            self.now = at;
            self.happen(*happening);
            let answered = self.asked.iter().all(|asked| asked.answered.is_some());
            let idle = |core: &Core| core.member.as_ref().is_some_and(Member::is_idle);
            let all = self.asked.len() as u32 >= self.plan.transactions;
            if all && answered && self.cores.iter().all(idle) {
                return Ok(());
            }
        }
        Err("the queue ran dry".into())
    }

    /// Runs until all clients are answered or gone, then without faults until nothing moves and nothing is remembered.
    pub fn run(&mut self) -> Result<(), String> {
        let mut calm_since = None;
        let mut steps = 0u64;
        while let Some(((at, _), happening)) = self.queue.pop_first() {
            self.now = at;
            steps += 1;
            self.trace = self.trace.rotate_left(5) ^ at ^ (happening_kind(&happening) << 56);
            self.happen(*happening);
            if let Some(violation) = self.violation.take() {
                return Err(violation);
            }
            if steps % 64 != 0 {
                continue;
            }
            let all_asked = self.asked.len() as u32 >= self.plan.transactions;
            if all_asked && self.faults {
                self.faults = false;
                self.cut.fill(false);
                calm_since = Some(self.now);
            }
            if let Some(since) = calm_since {
                if self.is_over() {
                    return Ok(());
                }
                if self.now > since + 60_000_000 {
                    return Err(self.describe_stuck());
                }
            }
        }
        Err("the queue ran dry".into())
    }

    /// Everything has ended, and what is remembered of it is let go of.
    fn is_over(&self) -> bool {
        let idle = |core: &Core| {
            core.member.as_ref().is_some_and(|member| {
                member.is_idle()
                    && self.topology.ranges().all(|(range, _)| {
                        member.replica(range).is_none_or(|replica| {
                            replica.commands().all(|(_, command)| command.status().is_over())
                                && replica.blocking().next().is_none()
                                && replica.remembered() <= REMEMBERED_MAX
                        })
                    })
            })
        };
        self.cores.iter().all(idle)
    }

    fn describe_stuck(&self) -> String {
        let mut text = String::from("liveness: after a minute without faults");
        for core in &self.cores {
            let Some(member) = &core.member else { continue };
            for (range, _) in self.topology.ranges() {
                let Some(replica) = member.replica(range) else { continue };
                if replica.remembered() > REMEMBERED_MAX {
                    text += &format!(
                        "\n  {} {range:?} remembers {} {:?}",
                        member.core(),
                        replica.remembered(),
                        replica.bounds()
                    );
                }
                for (txn_id, command) in replica.commands() {
                    if !command.status().is_over() {
                        text += &format!(
                            "\n  {} {range:?} {txn_id} {:?} promised {:?} waits on {:?}",
                            member.core(),
                            command.status(),
                            command.promised().0,
                            command.waiting_on()
                        );
                    }
                }
                for txn_id in replica.blocking() {
                    text += &format!("\n  {} {range:?} blocked by {txn_id}", member.core());
                }
            }
            if !member.is_idle() {
                text += &format!("\n  {} coordinates", member.core());
            }
            if self.print {
                println!("{member:#?}");
            }
        }
        text
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Deliver { to, event } => self.give(to, event),
            Happening::Durable { core, life, position } => {
                if self.cores[core].life == life {
                    self.durable(core, position);
                }
            }
            Happening::Wake { core, at } => {
                if self.cores[core].wakes_at == at {
                    self.cores[core].wakes_at = u64::MAX;
                    self.give(core, Event::Tick);
                }
            }
            Happening::Disturb { node } => {
                if self.faults {
                    self.after(6_000, Happening::Disturb { node });
                    self.disturb(node);
                }
            }
            Happening::Restart { node } => self.start(node),
            Happening::Heal { node } => self.cut[node as usize] = false,
            Happening::Submit { client } => self.submit(client),
            Happening::Snapshot => self.ask_for_snapshot(),
            Happening::ClientTimeout { request } => {
                let asked = &mut self.asked[request as usize];
                if asked.answered.is_none() && !asked.given_up {
                    asked.given_up = true;
                    self.after(1_000, Happening::Submit { client: 0 });
                }
            }
        }
    }

    fn disturb(&mut self, node: u32) {
        let cores = self.cores_of(node);
        let up = self.cores[cores.start].member.is_some();
        if up && self.prng.below(1000) < self.plan.crashes {
            self.crash(node);
        } else if self.prng.below(1000) < self.plan.cuts {
            self.cuts += 1;
            self.cut[node as usize] = true;
            self.after(200_000, Happening::Heal { node });
        } else if self.prng.below(1000) < 5 && self.plan.skew_micros > 0 {
            let core = cores.start + self.prng.index(cores.len());
            self.cores[core].skew_micros = self.prng.below(self.plan.skew_micros + 1);
        }
    }

    fn submit(&mut self, client: u32) {
        if self.asked.len() as u32 >= self.plan.transactions {
            return;
        }
        let request = self.asked.len() as u32;
        let transaction = ListTransaction::draw(request + 1, &self.plan.keys, &mut self.prng);
        let event = Event::Submit {
            request: RequestId(u64::from(request) << 8 | u64::from(client)),
            transaction: transaction.transaction(&self.topology),
        };
        let submitted = self.now;
        self.asked.push(Asked { transaction, submitted, answered: None, given_up: false });
        let to = self.prng.index(self.cores.len());
        self.after(200, Happening::Deliver { to, event });
        let at = self.now + self.plan.client_patience_micros;
        self.at(at, Happening::ClientTimeout { request });
    }

    fn ask_for_snapshot(&mut self) {
        if self.asked.len() as u32 >= self.plan.transactions {
            return;
        }
        self.after(100_000, Happening::Snapshot);
        let request = RequestId(SNAPSHOTS + self.snapshots.len() as u64);
        self.snapshots.push(Snapshot { submitted: self.now, taken: None });
        let ranges = self.topology.ranges().map(|(range, _)| range).collect();
        let to = self.prng.index(self.cores.len());
        self.give(to, Event::Snapshot { request, ranges });
    }

    /// The newest versions below a sync point, on the replicas that are named.
    fn read_snapshot(
        &self,
        sync_point: TxnId,
        replicas: &[(RangeId, NodeId)],
    ) -> BTreeMap<u16, Vec<u32>> {
        let mut lists = BTreeMap::new();
        for (range, node) in replicas {
            for (key, versions) in self.held(*range, *node) {
                if let Some((_, list)) = versions.range(..sync_point.0).next_back() {
                    lists.insert(key, list.clone());
                }
            }
        }
        lists
    }

    fn wall(&self, core: usize) -> u64 {
        self.now + self.cores[core].skew_micros
    }

    fn cores_of(&self, node: u32) -> std::ops::Range<usize> {
        let first = (node * u32::from(self.plan.cores)) as usize;
        first..first + usize::from(self.plan.cores)
    }

    fn core_id(&self, core: usize) -> CoreId {
        let (node, shard) =
            (core / usize::from(self.plan.cores), core % usize::from(self.plan.cores));
        CoreId::new(NodeId(node as u32), ShardId(shard as u16))
    }

    fn index_of(&self, core: CoreId) -> usize {
        core.node().0 as usize * usize::from(self.plan.cores) + core.shard().index()
    }

    /// The core of a node that holds a range there.
    fn holder(&self, node: NodeId, range: RangeId) -> usize {
        let shard = range.0 % self.plan.cores;
        self.index_of(CoreId::new(node, ShardId(shard)))
    }

    fn give(&mut self, to: usize, event: Event) {
        let wall = self.wall(to);
        if self.print
            && let Event::Message { from, range, txn_id, message } = &event
        {
            let to = self.core_id(to);
            println!("{} {from} -> {to} {range:?} {txn_id} {}", self.now, brief(message));
        }
        let Some(member) = self.cores[to].member.as_mut() else { return };
        let effects = member.handle(event, wall);
        self.perform(to, effects);
        self.wake(to);
    }

    /// Wakes a core when it wants to be, or a little later.
    fn wake(&mut self, index: usize) {
        let core = &self.cores[index];
        let Some(due) = core.member.as_ref().and_then(Member::next_due) else { return };
        let late = self.prng.below(1_000);
        let at = due.saturating_sub(core.skew_micros).max(self.now + 1) + late;
        if at < core.wakes_at {
            self.cores[index].wakes_at = at;
            self.at(at, Happening::Wake { core: index, at });
        }
    }

    fn perform(&mut self, of: usize, effects: Vec<Effect>) {
        let mut logged = None;
        let id = self.core_id(of);
        for effect in effects {
            let core = &mut self.cores[of];
            match effect {
                Effect::Log { position, entry } => {
                    let agreed = match &entry {
                        LogEntry::Change { range, txn_id, change } => change
                            .status
                            .filter(|(status, _)| {
                                status.is_committed() && *status >= Status::Stable
                            })
                            .map(|_| (*range, *txn_id)),
                        _ => None,
                    };
                    if self.plan.wire {
                        self.overheard.log(&entry);
                    }
                    core.log.push((position, entry));
                    logged = Some(position);
                    if let Some((range, txn_id)) = agreed {
                        let member = core.member.as_ref().expect("it logs");
                        let replica = member.replica(range);
                        // A command that was settled in the same turn is gone.
                        if let Some(command) = replica.and_then(|all| all.command(txn_id)) {
                            let deps = command.deps().clone();
                            let agreement = Unproven::Agreement { range, txn_id, deps };
                            core.unproven.push_back((position, agreement));
                        }
                    }
                }
                Effect::Send { to, range, txn_id, message, after } => {
                    self.hold(of, after, Held::Send { to, range, txn_id, message });
                }
                Effect::Reply { request, response, after } => {
                    self.hold(of, after, Held::Reply { request, response });
                }
                Effect::Read { range, txn_id, transaction, execute_at, to } => {
                    let tokens = self.topology.range(range).tokens();
                    let rows = read(core, tokens, &transaction, execute_at);
                    let event = Event::Rows { range, txn_id, to, rows };
                    self.after(300, Happening::Deliver { to: of, event });
                }
                Effect::Apply { range, txn_id, transaction, record, position } => {
                    let tokens = self.topology.range(range).tokens();
                    let number = number_of(&format!("{transaction:?}"));
                    for write in record.writes.iter().filter(|write| tokens.contains(write.token)) {
                        let key = u16::from_be_bytes(write.key[..].try_into().expect("two bytes"));
                        let list = decode(write.row.as_ref().expect("never deleted"));
                        let versions = core.data.entry(key).or_default();
                        if versions.range(record.execute_at..).next().is_some() {
                            let text = format!("{id} applies {txn_id} to {key} out of order");
                            self.violation = Some(text);
                        }
                        versions.insert(record.execute_at, (position, list));
                    }
                    let execute_at = record.execute_at;
                    let applied = Unproven::Applied { range, txn_id, number, execute_at };
                    core.unproven.push_back((position, applied));
                }
                Effect::Forget { range, txn_id } => {
                    let position = core.log.last().map_or(LogPosition::NONE, |(at, _)| *at);
                    core.forgotten.push((position, range, txn_id));
                }
            }
        }
        if let Some(position) = logged {
            let life = self.cores[of].life;
            let flush = self.plan.flush_micros;
            self.after(flush, Happening::Durable { core: of, life, position });
        }
    }

    /// All replicas that hold a transaction's agreement wait for the same, but for what has passed everywhere. Whether others matter is
    /// known at the end.
    fn compare_agreements(&mut self, range: RangeId, txn_id: TxnId, deps: Deps) {
        let first = self.agreed.entry((range, txn_id)).or_insert_with(|| deps.clone()).clone();
        if first == deps {
            return;
        }
        let everywhere = self.topology.range(range).replicas().len();
        let passed = |dep: TxnId| {
            self.applied_by.get(&(range, dep)).is_some_and(|nodes| nodes.len() == everywhere)
        };
        let differ = first.iter().filter(|dep| !deps.contains(*dep));
        let differ = differ.chain(deps.iter().filter(|dep| !first.contains(*dep)));
        let disputed: Vec<TxnId> = differ.filter(|dep| !passed(*dep)).collect();
        self.disputed.extend(disputed.into_iter().map(|dep| (txn_id, dep)));
    }

    /// All replicas that apply a transaction agree on when it executes.
    fn applied(&mut self, txn_id: TxnId, number: u32, execute_at: Timestamp) {
        let fate = self.fates.entry(txn_id).or_insert(Fate { number, execute_at });
        if fate.execute_at != execute_at || fate.number != number {
            self.violation = Some(format!("{txn_id} executes at two times"));
        }
    }

    fn durable(&mut self, index: usize, position: LogPosition) {
        let core = &mut self.cores[index];
        let before = core.durable;
        if position <= before {
            return;
        }
        core.durable = position;
        self.prove(index);
        let core = &mut self.cores[index];
        let first = core.log.partition_point(|(at, _)| *at <= before);
        let newly = core.log[first..].iter().take_while(|(at, _)| *at <= position);
        let reserved: Vec<Timestamp> = newly
            .filter_map(|(_, entry)| match entry {
                LogEntry::Reserve { through } => Some(*through),
                _ => None,
            })
            .collect();
        for through in reserved {
            self.give(index, Event::Reserved { through });
        }
        self.release(index);
    }

    /// Holds an output until the log is durable through `after`; positions rise, so those that wait are in order.
    fn hold(&mut self, of: usize, after: LogPosition, held: Held) {
        let core = &mut self.cores[of];
        if after <= core.durable {
            self.let_go(of, held);
        } else {
            core.held.push_back((after, Box::new(held)));
        }
    }

    /// What is durable is so.
    fn prove(&mut self, of: usize) {
        let core = &mut self.cores[of];
        let durable = core.durable;
        let (now, later): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut core.unproven).into_iter().partition(|(at, _)| *at <= durable);
        core.unproven = later;
        for (_, proven) in now {
            match proven {
                Unproven::Agreement { range, txn_id, deps } => {
                    self.compare_agreements(range, txn_id, deps);
                }
                Unproven::Applied { range, txn_id, number, execute_at } => {
                    let node = self.core_id(of).node();
                    self.applied_by.entry((range, txn_id)).or_default().insert(node);
                    self.applied(txn_id, number, execute_at);
                }
            }
        }
    }

    fn release(&mut self, of: usize) {
        loop {
            let core = &mut self.cores[of];
            let durable = core.durable;
            if core.held.front().is_none_or(|(after, _)| *after > durable) {
                return;
            }
            let (_, held) = core.held.pop_front().expect("just seen");
            self.let_go(of, *held);
        }
    }

    fn let_go(&mut self, of: usize, held: Held) {
        match held {
            Held::Send { to, range, txn_id, message } => {
                self.transmit(of, to, (range, txn_id, message));
            }
            Held::Reply { request, response } => self.answer(request, response),
        }
    }

    fn transmit(&mut self, from: usize, to: Address, said: (RangeId, TxnId, Message)) {
        let cores = match to {
            Address::Replica(node) => {
                let holder = self.holder(node, said.0);
                holder..holder + 1
            }
            Address::Core(core) => {
                let core = self.index_of(core);
                core..core + 1
            }
            Address::AllCores(node) => self.cores_of(node.0),
        };
        let said = if self.plan.wire { self.over_the_wire(&said) } else { said };
        for core in cores.clone().skip(1) {
            self.transmit_to(from, core, said.clone());
        }
        self.transmit_to(from, cores.start, said);
    }

    /// What a message is after it travelled as bytes.
    fn over_the_wire(&mut self, said: &(RangeId, TxnId, Message)) -> (RangeId, TxnId, Message) {
        let mut bytes = Vec::new();
        encode_message(said.0, said.1, &said.2, &mut bytes);
        self.overheard.hear(said);
        let arrived = decode_message(&bytes, self.context()).expect("it was encoded here");
        if arrived != *said {
            self.violation = Some(format!("{said:?} arrives as {arrived:?}"));
        }
        arrived
    }

    fn context(&self) -> Context<'static> {
        Context { workloads: &ListCodec, ranges: self.plan.ranges }
    }

    fn transmit_to(&mut self, from: usize, to: usize, said: (RangeId, TxnId, Message)) {
        self.messages += 1;
        let (here, there) = (self.core_id(from), self.core_id(to));
        let (range, txn_id, message) = said;
        let last = range.0 > 0 && range.0 + 1 == self.plan.ranges;
        let proposal = matches!(message, Message::Request(Request::Accept { .. }));
        let starves = self.faults && last && proposal;
        let event = Event::Message { from: here, range, txn_id, message };
        if here.node() == there.node() {
            self.after(60, Happening::Deliver { to, event });
            return;
        }
        let cut = self.cut[here.node().0 as usize] || self.cut[there.node().0 as usize];
        if self.faults && (cut || self.prng.below(1000) < self.plan.lost) {
            return;
        }
        if starves && self.prng.below(1000) < self.plan.starved {
            return;
        }
        if self.faults && self.prng.below(1000) < self.plan.repeated {
            // Some come when everybody has forgotten what they are about.
            let most = if self.prng.below(4) == 0 { 2_000_000 } else { 20_000 };
            let event = event.clone();
            self.after(most, Happening::Deliver { to, event });
        }
        let late = self.faults && self.prng.below(1000) < self.plan.late;
        let most = if late { 100_000 } else { 400 };
        self.after(most, Happening::Deliver { to, event });
    }

    fn answer(&mut self, request: RequestId, response: Response) {
        if request.0 >= SNAPSHOTS {
            if let Response::Snapshot { sync_point, replicas } = response {
                let lists = self.read_snapshot(sync_point, &replicas);
                let snapshot = &mut self.snapshots[(request.0 - SNAPSHOTS) as usize];
                snapshot.taken = Some((sync_point, lists));
            }
            return;
        }
        let client = (request.0 & 0xFF) as u32;
        let now = self.now;
        let asked = &mut self.asked[(request.0 >> 8) as usize];
        let first = asked.answered.is_none();
        let gone = asked.given_up;
        if first {
            asked.answered = Some((now, response));
        }
        if first && !gone {
            self.after(500, Happening::Submit { client });
        }
    }

    fn crash(&mut self, node: u32) {
        self.crashes += 1;
        for index in self.cores_of(node) {
            let core = &mut self.cores[index];
            let durable = core.durable;
            let log = core.log.drain(..).filter(|(at, _)| *at <= durable);
            core.kept.extend(log.map(|(_, entry)| entry));
            let gone = core.forgotten.drain(..).filter(|(at, ..)| *at <= durable);
            let gone: BTreeSet<(RangeId, TxnId)> =
                gone.map(|(_, range, txn_id)| (range, txn_id)).collect();
            core.kept.retain(|entry| match entry {
                LogEntry::Change { range, txn_id, .. } => !gone.contains(&(*range, *txn_id)),
                _ => true,
            });
            for versions in core.data.values_mut() {
                versions.retain(|_, (position, _)| *position <= durable);
                versions.values_mut().for_each(|(position, _)| *position = LogPosition::NONE);
            }
            core.data.retain(|_, versions| !versions.is_empty());
            if let Some(member) = core.member.take() {
                core.counters.add(&member.counters());
            }
            core.held.clear();
            core.unproven.clear();
            core.life += 1;
            core.durable = LogPosition::NONE;
            core.wakes_at = u64::MAX;
        }
        self.after(100_000, Happening::Restart { node });
    }

    fn start(&mut self, node: u32) {
        for index in self.cores_of(node) {
            let prng = self.prng.fork();
            let wall = self.wall(index);
            let core = self.core_id(index);
            let held = |(range, of): (RangeId, &ReplicatedRange)| {
                let here = of.replicas().contains(&core.node());
                (here && range.0 % self.plan.cores == core.shard().0).then_some(range)
            };
            let ranges = self.topology.ranges().filter_map(held).collect();
            let (topology, pace) = (self.topology.clone(), self.plan.pace);
            let identity = Identity { core, topology, ranges, pace };
            let entries = self.rewritten(index);
            let (member, effects) = Member::start(identity, entries, prng, wall);
            self.cores[index].member = Some(member);
            self.perform(index, effects);
            self.wake(index);
        }
    }

    /// The log that a core starts from; some logs are written anew as bytes, with one entry for each command.
    fn rewritten(&mut self, index: usize) -> Vec<LogEntry> {
        if self.plan.wire {
            let context = self.context();
            let copied = self.cores[index].kept.iter().map(|entry| {
                let mut bytes = Vec::new();
                encode_entry(entry, &mut bytes);
                let read = decode_entry(&bytes, context).expect("it was encoded here");
                assert_eq!(read, *entry);
                read
            });
            let copied: Vec<LogEntry> = copied.collect();
            self.cores[index].kept = copied;
        }
        if self.prng.below(2) == 0 {
            let kept = std::mem::take(&mut self.cores[index].kept);
            self.cores[index].kept = compacted(kept);
        }
        self.cores[index].kept.clone()
    }

    /// Every version of a key that a replica of its range on a node holds.
    pub fn held(
        &self,
        range: RangeId,
        node: NodeId,
    ) -> BTreeMap<u16, BTreeMap<Timestamp, Vec<u32>>> {
        let tokens = self.topology.range(range).tokens();
        let core = &self.cores[self.holder(node, range)];
        let here = core.data.iter().filter(|(key, _)| tokens.contains(token(**key)));
        here.map(|(key, versions)| {
            let lists = versions.iter().map(|(at, (_, list))| (*at, list.clone())).collect();
            (*key, lists)
        })
        .collect()
    }

    /// Ids that some replica knows to take no effect.
    pub fn invalidated(&self) -> BTreeSet<TxnId> {
        let members = self.cores.iter().filter_map(|core| core.member.as_ref());
        let mut ids = BTreeSet::new();
        for member in members {
            for (range, _) in self.topology.ranges() {
                let commands = member.replica(range).into_iter().flat_map(|all| all.commands());
                let ended = commands.filter(|(_, all)| all.status() == Status::Invalidated);
                ids.extend(ended.map(|(txn_id, _)| txn_id));
            }
        }
        ids
    }
}

/// Two sync points, one applied everywhere and one that lost to it, and something of theirs.
const REMEMBERED_MAX: usize = 4;

fn place(plan: &Plan, prng: &mut Prng) -> Topology {
    let width = (1u64 << 16) / u64::from(plan.ranges);
    let ranges = (0..u64::from(plan.ranges)).map(|index| {
        let last = if index + 1 == u64::from(plan.ranges) {
            u64::MAX
        } else {
            ((index + 1) * width << 48) - 1
        };
        let tokens = TokenRange { first: Token(index * width << 48), last: Token(last) };
        let of = |offset: u32| NodeId((index as u32 + offset) % plan.nodes);
        let replicas: Vec<NodeId> = (0..plan.replicas).map(of).collect();
        let spare = (plan.replicas - 1) / 2;
        let fewer = prng.below(u64::from(spare) + 1) as usize;
        let electorate = replicas[..replicas.len() - fewer].to_vec();
        ReplicatedRange::new(tokens, replicas, electorate)
    });
    Topology::new(1, ranges.collect())
}

/// One entry for each command, all of it; the rest as it was.
fn compacted(kept: Vec<LogEntry>) -> Vec<LogEntry> {
    let mut commands: BTreeMap<(RangeId, TxnId), accord::cluster::command::Command> =
        BTreeMap::new();
    let mut others = Vec::new();
    for entry in kept {
        match entry {
            LogEntry::Change { range, txn_id, change } => {
                commands.entry((range, txn_id)).or_default().fold(change);
            }
            other => others.push(other),
        }
    }
    let whole = commands.into_iter().map(|((range, txn_id), command)| LogEntry::Change {
        range,
        txn_id,
        change: command.whole(),
    });
    others.into_iter().chain(whole).collect()
}

fn read(core: &Core, tokens: TokenRange, transaction: &Transaction, below: Timestamp) -> Rows {
    let footprint = transaction.footprint().expect("a sync point does not read");
    let mut rows = Rows::default();
    for (index, point) in footprint.points().iter().enumerate() {
        if !point.access.reads() || !tokens.contains(point.token) {
            continue;
        }
        let key = footprint.key_of(point);
        let key = u16::from_be_bytes(key.try_into().expect("two bytes"));
        assert_eq!(token(key), point.token);
        let newest = core.data.get(&key);
        let newest = newest.and_then(|list| list.range(..below).next_back());
        if let Some((execute_at, (_, list))) = newest {
            rows.push_point(index, *execute_at, &crate::lists::encode(list));
        }
    }
    rows
}

fn number_of(text: &str) -> u32 {
    let rest = text.split("number: ").nth(1).expect("a list transaction has a number");
    rest.split(',').next().and_then(|number| number.parse().ok()).expect("a number")
}

fn happening_kind(happening: &Happening) -> u64 {
    match happening {
        Happening::Deliver { .. } => 1,
        Happening::Durable { .. } => 2,
        Happening::Wake { .. } => 3,
        Happening::Restart { .. } => 4,
        Happening::Heal { .. } => 5,
        Happening::Submit { .. } => 6,
        Happening::ClientTimeout { .. } => 7,
        Happening::Disturb { .. } => 8,
        Happening::Snapshot => 9,
    }
}

fn brief(message: &Message) -> String {
    let text = format!("{message:?}");
    text.chars().take(160).collect()
}
