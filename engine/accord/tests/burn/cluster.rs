//! The simulated cluster: one queue of events in simulated time, decided by one seed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use accord::cluster::message::Message;
use accord::cluster::{
    Effect, Event, LogEntry, Node, Pace, RangeId, ReplicatedRange, Response, Topology,
};
use accord::{LogPosition, RequestId, Rows, TokenRange, TxnId};
use types::prng::Prng;
use types::{NodeId, Timestamp, Token};

use crate::lists::{ListTransaction, decode, token};

/// What a seed decides before it runs.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub nodes: u32,
    pub replicas: u32,
    pub ranges: u16,
    pub keys: Vec<u16>,
    pub transactions: u32,
    pub clients: u32,
    /// In a thousand messages.
    pub lost: u64,
    pub repeated: u64,
    pub late: u64,
    /// In a thousand ticks of a node.
    pub crashes: u64,
    pub cuts: u64,
    /// Of a clock, at most.
    pub skew_micros: u64,
    /// Of the log, at most.
    pub flush_micros: u64,
    pub pace: Pace,
}

impl Plan {
    pub fn of_seed(seed: u64) -> Plan {
        let mut prng = Prng::new(seed ^ 0xB0B);
        if seed % 3 == 2 {
            return Plan::duel(seed, &mut prng);
        }
        let replicas = [1, 3, 3, 3, 3, 5][prng.index(6)];
        let nodes = replicas + prng.below(2) as u32;
        let ranges = 1 + prng.below(3) as u16;
        let keys = (0..1 + prng.below(8)).map(|_| prng.below(1 << 16) as u16).collect();
        let calm = prng.below(6) == 0;
        let mut up_to = |most: u64| if calm { 0 } else { prng.below(most + 1) };
        Plan {
            seed,
            nodes,
            replicas,
            ranges,
            keys,
            lost: up_to(100),
            repeated: up_to(100),
            late: up_to(60),
            crashes: up_to(6),
            cuts: up_to(6),
            skew_micros: up_to(20_000),
            flush_micros: 1 + up_to(1_000),
            transactions: 200,
            clients: 4 + prng.below(12) as u32,
            pace: Pace { resend_micros: 5_000, patience_micros: 1_000 + prng.below(20_000) },
        }
    }

    /// Few keys, many replicas, nobody patient: recoveries meet each other and living coordinators all the time.
    fn duel(seed: u64, prng: &mut Prng) -> Plan {
        let replicas = [3, 5, 5, 5][prng.index(4)];
        Plan {
            seed,
            nodes: replicas,
            replicas,
            ranges: 1 + prng.below(2) as u16,
            keys: (0..1 + prng.below(3)).map(|_| prng.below(1 << 16) as u16).collect(),
            lost: prng.below(300),
            repeated: prng.below(100),
            late: prng.below(300),
            crashes: prng.below(20),
            cuts: prng.below(10),
            skew_micros: prng.below(2_000),
            flush_micros: 1 + prng.below(3_000),
            transactions: 120,
            clients: 3 + prng.below(8) as u32,
            pace: Pace {
                resend_micros: 500 + prng.below(3_000),
                patience_micros: 300 + prng.below(3_000),
            },
        }
    }
}

/// Figures of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    pub committed: u64,
    pub invalidated: u64,
    pub unknown: u64,
    pub crashes: u64,
    pub messages: u64,
    pub trace: u64,
}

impl Outcome {
    pub fn add(&mut self, other: &Outcome) {
        self.committed += other.committed;
        self.invalidated += other.invalidated;
        self.unknown += other.unknown;
        self.crashes += other.crashes;
        self.messages += other.messages;
        self.trace = self.trace.rotate_left(7) ^ other.trace;
    }
}

#[derive(Debug)]
enum Happening {
    Deliver { to: u32, event: Event },
    Durable { node: u32, life: u32, position: LogPosition },
    Tick { node: u32 },
    Restart { node: u32 },
    Heal { node: u32 },
    Submit { client: u32 },
    ClientTimeout { request: u32 },
}

/// An output that waits for the log.
enum Held {
    Send { to: NodeId, event: Event },
    Reply { request: RequestId, response: Response },
}

pub struct Member {
    pub node: Option<Node>,
    life: u32,
    log: Vec<(LogPosition, LogEntry)>,
    /// What survived earlier lives.
    kept: Vec<LogEntry>,
    durable: LogPosition,
    held: VecDeque<(LogPosition, Held)>,
    pub data: BTreeMap<u16, BTreeMap<Timestamp, Vec<u32>>>,
    skew_micros: u64,
    cut: bool,
}

/// What a client knows of its transaction.
#[derive(Clone, Debug)]
pub struct Asked {
    pub transaction: ListTransaction,
    pub submitted: u64,
    pub answered: Option<(u64, Response)>,
    pub given_up: bool,
}

pub struct Cluster {
    pub plan: Plan,
    pub topology: Arc<Topology>,
    pub members: Vec<Member>,
    pub asked: Vec<Asked>,
    queue: BTreeMap<(u64, u64), Happening>,
    sequence: u64,
    now: u64,
    prng: Prng,
    faults: bool,
    crashes: u64,
    messages: u64,
    trace: u64,
    print: bool,
}

impl Cluster {
    pub fn new(plan: Plan) -> Cluster {
        let mut prng = Prng::new(plan.seed);
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
        let topology = Arc::new(Topology::new(1, ranges.collect()));
        let members = (0..plan.nodes).map(|_| Member {
            node: None,
            life: 0,
            log: Vec::new(),
            kept: Vec::new(),
            durable: LogPosition::NONE,
            held: VecDeque::new(),
            data: BTreeMap::new(),
            skew_micros: prng.below(plan.skew_micros + 1),
            cut: false,
        });
        let members = members.collect();
        let mut cluster = Cluster {
            topology,
            members,
            asked: Vec::new(),
            queue: BTreeMap::new(),
            sequence: 0,
            now: 1_000_000,
            prng,
            faults: true,
            crashes: 0,
            messages: 0,
            trace: 0,
            print: std::env::var_os("BURN_SEED").is_some(),
            plan,
        };
        for node in 0..cluster.plan.nodes {
            cluster.start(node);
            cluster.after(1_000, Happening::Tick { node });
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
        Outcome {
            committed,
            invalidated,
            unknown: self.asked.len() as u64 - committed - invalidated,
            crashes: self.crashes,
            messages: self.messages,
            trace: self.trace,
        }
    }

    fn after(&mut self, most_micros: u64, happening: Happening) {
        let at = self.now + 1 + self.prng.below(most_micros);
        self.sequence += 1;
        self.queue.insert((at, self.sequence), happening);
    }

    /// Runs until all clients are answered or gone, then without faults until nothing moves.
    pub fn run(&mut self) -> Result<(), String> {
        let mut calm_since = None;
        let mut steps = 0u64;
        while let Some(((at, _), happening)) = self.queue.pop_first() {
            self.now = at;
            steps += 1;
            self.trace = self.trace.rotate_left(5) ^ at ^ (happening_kind(&happening) << 56);
            self.happen(happening);
            if steps % 64 != 0 {
                continue;
            }
            let all_asked = self.asked.len() as u32 >= self.plan.transactions;
            if all_asked && self.faults {
                self.heal();
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

    fn heal(&mut self) {
        self.faults = false;
        for node in 0..self.plan.nodes {
            self.members[node as usize].cut = false;
        }
    }

    fn is_over(&self) -> bool {
        self.members.iter().all(|member| {
            member.node.as_ref().is_some_and(|node| {
                node.is_idle()
                    && self.topology.ranges().all(|(range, _)| {
                        node.replica(range).is_none_or(|replica| {
                            replica.commands().all(|(_, command)| command.status.is_over())
                                && replica.blocking().next().is_none()
                        })
                    })
            })
        })
    }

    fn describe_stuck(&self) -> String {
        let mut text = String::from("liveness: after a minute without faults");
        for member in &self.members {
            let Some(node) = &member.node else { continue };
            for (range, _) in self.topology.ranges() {
                let Some(replica) = node.replica(range) else { continue };
                for (txn_id, command) in replica.commands() {
                    if !command.status.is_over() {
                        text += &format!(
                            "\n  {} {range:?} {txn_id} {:?} promised {:?} waits on {:?}",
                            node.id(),
                            command.status,
                            command.promised.0,
                            command.waiting_on
                        );
                    }
                }
                for txn_id in replica.blocking() {
                    text += &format!("\n  {} {range:?} blocked by {txn_id}", node.id());
                }
            }
            if !node.is_idle() {
                text += &format!("\n  {} coordinates", node.id());
            }
        }
        text
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Deliver { to, event } => self.give(to, event),
            Happening::Durable { node, life, position } => {
                if self.members[node as usize].life == life {
                    self.durable(node, position);
                }
            }
            Happening::Tick { node } => {
                self.after(3_000, Happening::Tick { node });
                if self.members[node as usize].node.is_some() {
                    self.disturb(node);
                    self.give(node, Event::Tick);
                }
            }
            Happening::Restart { node } => self.start(node),
            Happening::Heal { node } => self.members[node as usize].cut = false,
            Happening::Submit { client } => self.submit(client),
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
        if !self.faults {
            return;
        }
        if self.prng.below(1000) < self.plan.crashes {
            self.crash(node);
        } else if self.prng.below(1000) < self.plan.cuts {
            self.members[node as usize].cut = true;
            self.after(200_000, Happening::Heal { node });
        } else if self.prng.below(1000) < 5 && self.plan.skew_micros > 0 {
            self.members[node as usize].skew_micros = self.prng.below(self.plan.skew_micros + 1);
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
            transaction: transaction.transaction(),
        };
        let submitted = self.now;
        self.asked.push(Asked { transaction, submitted, answered: None, given_up: false });
        let to = self.prng.below(u64::from(self.plan.nodes)) as u32;
        self.after(200, Happening::Deliver { to, event });
        let at = self.now + 300_000;
        self.sequence += 1;
        self.queue.insert((at, self.sequence), Happening::ClientTimeout { request });
    }

    fn wall(&self, node: u32) -> u64 {
        self.now + self.members[node as usize].skew_micros
    }

    fn give(&mut self, to: u32, event: Event) {
        let wall = self.wall(to);
        if self.print {
            if let Event::Message { from, range, txn_id, message } = &event {
                println!("{} {from} -> {to} {range:?} {txn_id} {}", self.now, brief(message));
            }
        }
        let Some(node) = self.members[to as usize].node.as_mut() else { return };
        let effects = node.handle(event, wall);
        self.perform(to, effects);
    }

    fn perform(&mut self, of: u32, effects: Vec<Effect>) {
        let mut logged = None;
        for effect in effects {
            let member = &mut self.members[of as usize];
            match effect {
                Effect::Log { position, entry } => {
                    member.log.push((position, entry));
                    logged = Some(position);
                }
                Effect::Send { to, range, txn_id, message, after } => {
                    let event = Event::Message { from: NodeId(of), range, txn_id, message };
                    member.held.push_back((after, Held::Send { to, event }));
                }
                Effect::Reply { request, response, after } => {
                    member.held.push_back((after, Held::Reply { request, response }));
                }
                Effect::Read { range, txn_id, to, ballot } => {
                    let rows = read(member, &self.topology, range, txn_id);
                    let event = Event::Rows { range, txn_id, to, ballot, rows };
                    self.after(300, Happening::Deliver { to: of, event });
                }
                Effect::Apply { range, record, .. } => {
                    let tokens = self.topology.range(range).tokens();
                    for write in record.writes.iter().filter(|write| tokens.contains(write.token)) {
                        let key = u16::from_be_bytes(write.key[..].try_into().expect("two bytes"));
                        let list = decode(write.row.as_ref().expect("never deleted"));
                        member.data.entry(key).or_default().insert(record.execute_at, list);
                    }
                }
            }
        }
        if let Some(position) = logged {
            let life = self.members[of as usize].life;
            let flush = self.plan.flush_micros;
            self.after(flush, Happening::Durable { node: of, life, position });
        }
        self.release(of);
    }

    fn durable(&mut self, node: u32, position: LogPosition) {
        let member = &mut self.members[node as usize];
        let before = member.durable;
        if position <= before {
            return;
        }
        member.durable = position;
        let reserved: Vec<Timestamp> = member
            .log
            .iter()
            .filter(|(at, _)| before < *at && *at <= position)
            .filter_map(|(_, entry)| match entry {
                LogEntry::Reserve { through } => Some(*through),
                LogEntry::Command { .. } => None,
            })
            .collect();
        for through in reserved {
            self.give(node, Event::Reserved { through });
        }
        self.release(node);
    }

    fn release(&mut self, of: u32) {
        loop {
            let member = &mut self.members[of as usize];
            let durable = member.durable;
            let Some(at) = member.held.iter().position(|(after, _)| *after <= durable) else {
                return;
            };
            let (_, held) = member.held.remove(at).expect("just found");
            match held {
                Held::Send { to, event } => self.transmit(of, to.0, event),
                Held::Reply { request, response } => self.answer(request, response),
            }
        }
    }

    fn transmit(&mut self, from: u32, to: u32, event: Event) {
        self.messages += 1;
        let local = from == to;
        let cut = self.members[from as usize].cut || self.members[to as usize].cut;
        if !local && self.faults && (cut || self.prng.below(1000) < self.plan.lost) {
            return;
        }
        if !local && self.faults && self.prng.below(1000) < self.plan.repeated {
            let event = event.clone();
            self.after(20_000, Happening::Deliver { to, event });
        }
        let late = !local && self.faults && self.prng.below(1000) < self.plan.late;
        let most = if late { 100_000 } else { 400 };
        self.after(most, Happening::Deliver { to, event });
    }

    fn answer(&mut self, request: RequestId, response: Response) {
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
        let member = &mut self.members[node as usize];
        let durable = member.durable;
        member
            .kept
            .extend(member.log.drain(..).filter(|(at, _)| *at <= durable).map(|(_, entry)| entry));
        member.node = None;
        member.held.clear();
        member.data.clear();
        member.life += 1;
        member.durable = LogPosition::NONE;
        self.after(100_000, Happening::Restart { node });
    }

    fn start(&mut self, id: u32) {
        let prng = self.prng.fork();
        let wall = self.wall(id);
        let entries = self.members[id as usize].kept.clone();
        let (node, effects) =
            Node::start(NodeId(id), self.topology.clone(), entries, (self.plan.pace, prng), wall);
        self.members[id as usize].node = Some(node);
        self.perform(id, effects);
    }

    /// Ids that any member knows.
    pub fn known(&self) -> BTreeSet<TxnId> {
        let mut known = BTreeSet::new();
        for member in &self.members {
            let node = member.node.as_ref().expect("all are up at the end");
            for (range, _) in self.topology.ranges() {
                if let Some(replica) = node.replica(range) {
                    known.extend(replica.commands().map(|(txn_id, _)| txn_id));
                }
            }
        }
        known
    }
}

fn read(member: &Member, topology: &Topology, range: RangeId, txn_id: TxnId) -> Rows {
    let node = member.node.as_ref().expect("it asked just now");
    let command = node.replica(range).and_then(|replica| replica.command(txn_id));
    let command = command.expect("it asked just now");
    let transaction = command.transaction.as_ref().expect("a stable command is defined");
    let tokens = topology.range(range).tokens();
    let mut rows = Rows::default();
    for (index, point) in transaction.footprint.points().iter().enumerate() {
        if !point.access.reads() || !tokens.contains(point.token) {
            continue;
        }
        let key = transaction.footprint.key_of(point);
        let key = u16::from_be_bytes(key.try_into().expect("two bytes"));
        assert_eq!(token(key), point.token);
        let newest = member.data.get(&key);
        let newest = newest.and_then(|list| list.range(..command.execute_at).next_back());
        if let Some((execute_at, list)) = newest {
            rows.push_point(index, *execute_at, &crate::lists::encode(list));
        }
    }
    rows
}

fn happening_kind(happening: &Happening) -> u64 {
    match happening {
        Happening::Deliver { .. } => 1,
        Happening::Durable { .. } => 2,
        Happening::Tick { .. } => 3,
        Happening::Restart { .. } => 4,
        Happening::Heal { .. } => 5,
        Happening::Submit { .. } => 6,
        Happening::ClientTimeout { .. } => 7,
    }
}

fn brief(message: &Message) -> String {
    let text = format!("{message:?}");
    text.chars().take(160).collect()
}
