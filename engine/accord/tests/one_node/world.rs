//! The world around the replicas of one node: mesh, logs that lose their tails, files, clients, crashes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use accord::{
    Access, Effect, Event, Footprint, Installs, LoadId, LogPosition, Message, Now, Placement,
    RangeNeed, Record, Replica, ReplicaOptions, RequestId, Response, SnapshotAt, TokenRange, TxnId,
    Validation,
};
use types::token::SliceCount;
use types::{LogId, SchemaVersion, ShardId, Timestamp};

use crate::judge::{self, Violation};
use crate::script::{
    self, Flaw, Key, Kind, SLICES, Script, Seen, Shown, TABLE, Tombstone, Txn, token_of, writer_of,
};
use crate::store::{Frozen, Log, ToyStore, Version};

/// What a schedule is made of.
#[derive(Clone, Debug)]
pub struct Config {
    pub kinds: Vec<Kind>,
    /// The core, modulo the number of cores, of each client.
    pub sessions: Vec<usize>,
    /// Clients that are gone when their reply comes.
    pub dead: Vec<bool>,
    pub key_count: usize,
    pub core_count: usize,
    pub walls: Vec<u64>,
    pub crashes_max: usize,
    pub freezes_max: usize,
    pub compactions_max: usize,
    /// Whether rows start out of memory.
    pub cold: bool,
    /// One append in so many is refused by the log.
    pub refuses_every: Option<u64>,
    pub flaw: Flaw,
}

/// How far a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    New,
    /// Between two statements.
    Idle,
    Waiting,
    Committed,
    Aborted,
    /// Its snapshot was too old.
    Refused,
    /// It never learned the outcome.
    Unknown,
}

/// One client's transaction.
#[derive(Clone, Debug)]
pub struct Client {
    pub phase: Phase,
    /// Which had ended before it was asked for.
    pub before: u32,
    pub session: usize,
    pub snapshot: Timestamp,
    pub execute_at: Timestamp,
    pub shown: Vec<Shown>,
    /// What a committed transaction or an analytic snapshot saw.
    pub seen: Vec<(Key, Seen)>,
    pub statement: usize,
    pub parts: usize,
    pub planned: SchemaVersion,
    pub logged: bool,
    pub lost: bool,
    /// Its pin has expired: reads may be refused.
    pub expired: bool,
    pub aborted_by: Option<accord::Abort>,
}

/// A write that happened: the truth by which the judge measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Truth {
    pub execute_at: Timestamp,
    pub txn: Txn,
    pub dead: bool,
}

/// One core.
#[derive(Clone, Debug)]
pub struct Core {
    pub replica: Replica,
    pub store: ToyStore,
    pub wall: u64,
    pub loading: VecDeque<(LoadId, Arc<Footprint>)>,
    pub reserving: VecDeque<Timestamp>,
    pub frozen: Option<Frozen>,
    /// Bulk writes that are durable and not installed.
    pub installing: VecDeque<(TxnId, Arc<Record>, LogId, LogPosition)>,
    seen_records: usize,
}

/// One step of a schedule.
#[derive(Clone, Debug)]
pub enum Act {
    Invoke(Txn),
    Step(Txn),
    Deliver {
        from: usize,
        to: usize,
        index: usize,
    },
    Flush(usize),
    Load {
        core: usize,
        index: usize,
    },
    Reserve(usize),
    InstallBulk {
        core: usize,
        index: usize,
    },
    Evict {
        core: usize,
        key: Key,
    },
    Freeze(usize),
    Install(usize),
    Compact(Key),
    Truncate {
        log: usize,
        through: usize,
    },
    Crash {
        ends: Vec<usize>,
        core_count: usize,
        walls: Vec<u64>,
    },
    Tick {
        core: usize,
        micros: u64,
    },
    /// An interactive transaction's pin expires.
    Expire(Txn),
}

#[derive(Clone, Debug)]
pub struct World {
    pub config: Arc<Config>,
    pub cores: Vec<Core>,
    pub slots: Vec<Timestamp>,
    pub mesh: BTreeMap<(usize, usize), VecDeque<Message>>,
    /// Logs of earlier starts; the present cores' own logs are in their stores.
    pub past_logs: Vec<Log>,
    /// Position through which a key's files are complete, by log.
    pub complete: BTreeMap<(Key, LogId), LogPosition>,
    pub reserved: Timestamp,
    pub clients: Vec<Client>,
    pub ended: u32,
    pub truth: Vec<Vec<Truth>>,
    pub crashes: usize,
    pub freezes: usize,
    pub compactions: usize,
}

impl World {
    pub fn new(config: Arc<Config>) -> World {
        let session = |txn: usize| config.sessions[txn] % config.core_count;
        let client = |txn| Client {
            phase: Phase::New,
            before: 0,
            session: session(txn),
            snapshot: Timestamp::ZERO,
            execute_at: Timestamp::ZERO,
            shown: Vec::new(),
            seen: Vec::new(),
            statement: 0,
            parts: 0,
            planned: SchemaVersion(1),
            logged: false,
            lost: false,
            expired: false,
            aborted_by: None,
        };
        let clients = (0..config.kinds.len()).map(client).collect();
        let mut world = World {
            cores: Vec::new(),
            slots: Vec::new(),
            mesh: BTreeMap::new(),
            past_logs: Vec::new(),
            complete: BTreeMap::new(),
            reserved: Timestamp::ZERO,
            clients,
            ended: 0,
            truth: vec![Vec::new(); config.key_count + 1],
            crashes: 0,
            freezes: 0,
            compactions: 0,
            config: Arc::clone(&config),
        };
        let files = BTreeMap::new();
        world.boot(config.core_count, &config.walls, files, BTreeMap::new());
        world
    }

    fn boot(
        &mut self,
        core_count: usize,
        walls: &[u64],
        mut files: BTreeMap<Key, Vec<Version>>,
        mut floors: BTreeMap<Key, Timestamp>,
    ) {
        let slices = SliceCount::new(SLICES).expect("a power of two");
        let placement = Placement::new(slices, core_count as u16);
        let key_count = self.config.key_count;
        self.cores.clear();
        self.mesh.clear();
        self.slots.clear();
        for index in 0..core_count {
            let shard = ShardId(index as u16);
            let log_id = LogId((self.past_logs.len() + index) as u32);
            let owned = placement.owned(shard);
            let mine = |key: &Key| owned.contains(token_of(*key));
            let applied = (0..self.past_logs.len())
                .map(|log| (LogId(log as u32), self.past_logs[log].records.len() as u64))
                .map(|(log, end)| (log, LogPosition(end)))
                .collect();
            let store = ToyStore {
                owned,
                key_count,
                log_id,
                log: Log::default(),
                memory: BTreeMap::new(),
                files: files.extract_if(.., |key, _| mine(key)).collect(),
                history_floor: floors.extract_if(.., |key, _| mine(key)).collect(),
                applied,
                evicted: match self.config.cold {
                    true => (0..=key_count).filter(mine).collect(),
                    false => BTreeSet::new(),
                },
                pending: BTreeSet::new(),
                refuses_every: self.config.refuses_every,
                appends_asked: 0,
            };
            let replica = Replica::new(ReplicaOptions {
                shard,
                node: index as u32,
                placement,
                log: log_id,
                floor: self.reserved,
                schema: vec![(TABLE, self.schema_at(Timestamp::MAX))],
            });
            self.slots.push(replica.slot());
            self.cores.push(Core {
                replica,
                store,
                wall: walls[index % walls.len()],
                loading: VecDeque::new(),
                reserving: VecDeque::new(),
                frozen: None,
                installing: VecDeque::new(),
                seen_records: 0,
            });
        }
    }

    /// Schema version of the table as of a timestamp.
    pub fn schema_at(&self, at: Timestamp) -> SchemaVersion {
        let changes = &self.truth[self.config.key_count];
        SchemaVersion(1 + changes.iter().filter(|truth| truth.execute_at < at).count() as u64)
    }

    pub fn core_of(&self, key: Key) -> usize {
        let slices = SliceCount::new(SLICES).expect("a power of two");
        Placement::new(slices, self.cores.len() as u16).owner(token_of(key)).index()
    }

    /// Lets a core handle an event and performs what comes out.
    fn handle(&mut self, core: usize, event: Event) {
        let highest = self.slots.iter().copied().max().expect("there is a core");
        let mut out = Vec::new();
        let here = &mut self.cores[core];
        let now = Now { wall_micros: here.wall, slots: highest };
        here.replica.handle(event, now, &mut here.store, &mut out);
        self.slots[core] = here.replica.slot();
        self.note_records(core);
        for effect in out {
            self.perform(core, effect);
        }
    }

    fn note_records(&mut self, core: usize) {
        let here = &mut self.cores[core];
        let fresh = here.store.log.records[here.seen_records..].to_vec();
        here.seen_records = here.store.log.records.len();
        for record in fresh {
            for write in &record.writes {
                let row = write.row.as_deref().expect("scripts write rows, tombstones too");
                let (txn, dead) = (writer_of(row), script::is_tombstone(row));
                let truth = Truth { execute_at: record.execute_at, txn, dead };
                self.truth[usize::from(write.key[0])].push(truth);
                let client = &mut self.clients[txn];
                client.logged = true;
                client.execute_at = record.execute_at;
                client.seen = script::seen_of_row(row);
            }
        }
    }

    fn perform(&mut self, core: usize, effect: Effect) {
        match effect {
            Effect::Load { load, footprint, .. } => {
                self.cores[core].loading.push_back((load, footprint));
            }
            Effect::Send { to, message } => {
                self.mesh.entry((core, to.index())).or_default().push_back(message);
            }
            Effect::Reply { request, response } => self.reply(request.0 as usize, response),
            Effect::Freeze { request, at } => self.take_part(core, request.0 as usize, at),
            Effect::Install { txn_id, record, log, position } => {
                self.cores[core].installing.push_back((txn_id, record, log, position));
            }
            Effect::Reserve { through } => self.cores[core].reserving.push_back(through),
        }
    }

    fn reply(&mut self, txn: Txn, response: Response) {
        let kind = &self.config.kinds[txn];
        let client = &mut self.clients[txn];
        match response {
            Response::Began(at) => {
                client.snapshot = at;
                client.phase = Phase::Idle;
            }
            Response::SnapshotAt(at) => client.snapshot = at,
            Response::Rows(rows) => {
                client.parts += 1;
                if matches!(kind, Kind::InteractiveScan { .. }) {
                    rows.range(0, &mut |key, execute_at, row| {
                        let shown = &mut client.shown[usize::from(key[0])];
                        shown.writer = Some(writer_of(row));
                        shown.version = Some(execute_at);
                    });
                } else if let Some(version) = rows.point(0) {
                    let shown = client.shown.last_mut().expect("the statement's row");
                    shown.writer = Some(writer_of(&version.row));
                    shown.version = Some(version.execute_at);
                }
                self.statement_done(txn);
            }
            // Several parts of one statement may be refused.
            Response::ReadRefused(_) if client.phase == Phase::Waiting => {
                self.end(txn, Phase::Refused);
            }
            Response::ReadRefused(_) => {}
            Response::Committed { execute_at, reply } => {
                client.execute_at = execute_at;
                client.seen = script::decode_seen(&reply);
                self.end(txn, Phase::Committed);
            }
            Response::Aborted(abort) => {
                client.aborted_by = Some(abort);
                self.end(txn, Phase::Aborted);
            }
        }
    }

    fn statement_done(&mut self, txn: Txn) {
        let wanted = match self.config.kinds[txn] {
            Kind::InteractiveScan { .. } => self.cores.len(),
            _ => 1,
        };
        let client = &mut self.clients[txn];
        if client.parts < wanted {
            return;
        }
        client.parts = 0;
        client.statement += 1;
        client.phase = Phase::Idle;
        if let Kind::ReadOnly { reads } = &self.config.kinds[txn]
            && client.statement == reads.len()
        {
            self.end(txn, Phase::Committed);
        }
    }

    fn end(&mut self, txn: Txn, phase: Phase) {
        let dead = self.config.dead[txn];
        let client = &mut self.clients[txn];
        client.phase = if dead { Phase::Unknown } else { phase };
        if !dead {
            self.ended |= 1 << txn;
        }
        if client.snapshot > Timestamp::ZERO && !client.expired {
            let (session, at) = (client.session, client.snapshot);
            self.handle(session, Event::EndSnapshot { at });
        }
    }

    /// A core freezes its part of an analytic snapshot.
    fn take_part(&mut self, core: usize, txn: Txn, at: Timestamp) {
        let store = &self.cores[core].store;
        let mut refused = false;
        let mut seen = Vec::new();
        for key in store.owned_keys().into_iter().filter(|key| *key < self.config.key_count) {
            refused |= store.history_floor.get(&key).is_some_and(|floor| at < *floor);
            seen.push((key, store.writer(key, at)));
        }
        let client = &mut self.clients[txn];
        client.seen.extend(seen);
        client.parts += 1;
        if refused {
            client.aborted_by = Some(accord::Abort::SnapshotTooOld);
        }
        if client.parts == self.cores.len() {
            let refused = self.clients[txn].aborted_by.is_some();
            self.end(txn, if refused { Phase::Refused } else { Phase::Committed });
        }
    }

    fn invoke(&mut self, txn: Txn) {
        let planned = self.schema_at(Timestamp::MAX);
        let client = &mut self.clients[txn];
        client.before = self.ended;
        client.phase = Phase::Waiting;
        client.session %= self.cores.len();
        client.planned = planned;
        let session = client.session;
        let request = RequestId(txn as u64);
        match &self.config.kinds[txn] {
            Kind::Known { .. } | Kind::Scan { .. } | Kind::Ddl | Kind::Bulk { .. } => {
                self.submit(txn)
            }
            Kind::Analytic => {
                self.handle(session, Event::TakeSnapshot { request, at: SnapshotAt::Strict });
            }
            _ => self.handle(session, Event::Begin { request }),
        }
    }

    fn expire(&mut self, txn: Txn) {
        let client = &mut self.clients[txn];
        client.expired = true;
        let (session, at) = (client.session, client.snapshot);
        self.handle(session, Event::EndSnapshot { at });
    }

    fn submit(&mut self, txn: Txn) {
        let kind = &self.config.kinds[txn];
        let client = &self.clients[txn];
        let (reads, writes) = kind.points();
        let deferred_seen = match (kind, self.config.flaw) {
            (Kind::Interactive { deferred, .. }, Flaw::DeferredOnSnapshot) => {
                let shown = client.shown.iter().filter(|shown| deferred.contains(&shown.key));
                shown.map(|shown| (shown.key, shown.writer)).collect()
            }
            _ => Vec::new(),
        };
        let validation = match kind {
            Kind::Interactive { .. } | Kind::InteractiveScan { .. } => {
                script::validation_of(kind, &client.shown, client.snapshot)
            }
            _ => Validation::default(),
        };
        let script = Script {
            txn,
            key_count: self.config.key_count,
            reads,
            writes,
            scans: matches!(kind, Kind::Scan { .. }),
            validation,
            deferred_seen,
            installs: match kind {
                Kind::Bulk { .. } => Installs::WhenDurable,
                _ => Installs::AtOnce,
            },
            schema: matches!(kind, Kind::Ddl).then_some(SchemaVersion(client.planned.0 + 1)),
        };
        let footprint = Arc::new(script.footprint(client.planned, client.snapshot));
        let asking = ShardId(client.session as u16);
        let slices = SliceCount::new(SLICES).expect("a power of two");
        let placement = Placement::new(slices, self.cores.len() as u16);
        let home = placement.home(&footprint, asking).expect("it touches something").index();
        let request = RequestId(txn as u64);
        self.handle(home, Event::Submit { request, footprint, workload: Arc::new(script) });
    }

    fn next_statement(&mut self, txn: Txn) {
        let request = RequestId(txn as u64);
        let client = &mut self.clients[txn];
        client.phase = Phase::Waiting;
        let (at, statement) = (client.snapshot, client.statement);
        let mut footprint = Footprint::new();
        if let Kind::InteractiveScan { .. } = self.config.kinds[txn] {
            if statement > 0 {
                return self.submit(txn);
            }
            let none = |key| Shown { key, writer: None, version: None };
            client.shown = (0..self.config.key_count).map(none).collect();
            let need = RangeNeed::Rows { limit: 100 };
            footprint.range(TABLE, TokenRange::ALL, (&[], None), Access::Read, need);
            let footprint = Arc::new(footprint);
            for core in 0..self.cores.len() {
                let footprint = Arc::clone(&footprint);
                self.handle(core, Event::ReadAt { request, at, footprint });
            }
            return;
        }
        let (reads, _) = self.config.kinds[txn].points();
        let Some(key) = reads.get(statement).copied() else { return self.submit(txn) };
        client.shown.push(Shown { key, writer: None, version: None });
        footprint.point(TABLE, token_of(key), &[key as u8], Access::Read);
        let owner = self.core_of(key);
        self.handle(owner, Event::ReadAt { request, at, footprint: Arc::new(footprint) });
    }

    fn log_mut(&mut self, log: usize) -> &mut Log {
        let past = self.past_logs.len();
        if log < past { &mut self.past_logs[log] } else { &mut self.cores[log - past].store.log }
    }

    pub fn log(&self, log: usize) -> &Log {
        let past = self.past_logs.len();
        if log < past { &self.past_logs[log] } else { &self.cores[log - past].store.log }
    }

    pub fn log_count(&self) -> usize {
        self.past_logs.len() + self.cores.len()
    }

    /// Performs one step.
    pub fn step(&mut self, act: &Act) -> Result<(), Violation> {
        match act {
            Act::Invoke(txn) => self.invoke(*txn),
            Act::Step(txn) => self.next_statement(*txn),
            Act::Deliver { from, to, index } => {
                let queue = self.mesh.get_mut(&(*from, *to)).expect("it was enumerated");
                let message = queue.remove(*index).expect("it was enumerated");
                if queue.is_empty() {
                    self.mesh.remove(&(*from, *to));
                }
                self.handle(*to, Event::Message { from: ShardId(*from as u16), message });
            }
            Act::Flush(core) => {
                let log = &mut self.cores[*core].store.log;
                log.durable = log.records.len();
                let position = LogPosition(log.durable as u64);
                self.handle(*core, Event::Durable { position });
            }
            Act::Load { core, index } => {
                let here = &mut self.cores[*core];
                let (load, footprint) = here.loading.remove(*index).expect("it was enumerated");
                here.store.load(&footprint);
                self.handle(*core, Event::Loaded { load });
            }
            Act::Reserve(core) => {
                let reserving = &mut self.cores[*core].reserving;
                let through = reserving.pop_front().expect("it was enumerated");
                self.reserved = self.reserved.max(through);
                self.handle(*core, Event::Reserved { through });
            }
            Act::InstallBulk { core, index } => {
                let here = &mut self.cores[*core];
                let found = here.installing.remove(*index);
                let (txn_id, record, log, position) = found.expect("it was enumerated");
                here.store.install_bulk(&record, log, position);
                self.handle(*core, Event::Installed { txn_id });
            }
            Act::Evict { core, key } => {
                self.cores[*core].store.evicted.insert(*key);
            }
            Act::Freeze(core) => {
                self.freezes += 1;
                let frozen = self.cores[*core].store.freeze();
                self.cores[*core].frozen = Some(frozen);
            }
            Act::Install(core) => self.install(*core),
            Act::Compact(key) => self.compact(*key),
            Act::Truncate { log, through } => self.log_mut(*log).truncated = *through,
            Act::Crash { ends, core_count, walls } => self.crash(ends, *core_count, walls)?,
            Act::Expire(txn) => self.expire(*txn),
            Act::Tick { core, micros } => self.cores[*core].wall += micros,
        }
        Ok(())
    }

    fn install(&mut self, core: usize) {
        let frozen = self.cores[core].frozen.take().expect("it was enumerated");
        let store = &mut self.cores[core].store;
        store.install(&frozen);
        for key in store.owned_keys() {
            for (log, position) in &frozen.complete {
                let complete = self.complete.entry((key, *log)).or_insert(LogPosition::NONE);
                *complete = (*complete).max(*position);
            }
        }
    }

    fn compact(&mut self, key: Key) {
        self.compactions += 1;
        let floors = self.cores.iter().map(|core| core.replica.snapshot_floor());
        let floor = floors.min().expect("there is a core");
        let core = self.core_of(key);
        let store = &mut self.cores[core].store;
        let known = store.history_floor.entry(key).or_insert(Timestamp::ZERO);
        *known = (*known).max(floor);
        let floor = *known;
        let Some(files) = store.files.get_mut(&key) else { return };
        let below = files.iter().map(|version| version.execute_at).filter(|at| *at <= floor);
        let Some(newest_below) = below.max() else { return };
        let in_memory = store.memory.get(&key).into_iter().flatten();
        let keep_tombstone = in_memory.into_iter().any(|known| known.execute_at < newest_below);
        files.retain(|version| {
            version.execute_at > newest_below
                || (version.execute_at == newest_below
                    && (keep_tombstone || !script::is_tombstone(&version.row)))
        });
    }

    fn crash(&mut self, ends: &[usize], core_count: usize, walls: &[u64]) -> Result<(), Violation> {
        self.crashes += 1;
        let flushes = self.config.flaw != Flaw::RecoveryDoesNotFlush;
        let mut files = BTreeMap::new();
        let mut floors = BTreeMap::new();
        for core in self.cores.drain(..) {
            files.extend(core.store.files);
            floors.extend(core.store.history_floor);
            self.past_logs.push(core.store.log);
        }
        for (log, end) in ends.iter().enumerate() {
            let lost = self.past_logs[log].records.split_off(*end);
            if flushes {
                self.past_logs[log].durable = *end;
            }
            for record in lost {
                self.lose(&record, &files)?;
            }
        }
        for client in &mut self.clients {
            if matches!(client.phase, Phase::Idle | Phase::Waiting) {
                client.phase = Phase::Unknown;
            }
        }
        self.boot(core_count, walls, files, floors);
        self.replay();
        judge::check_newest(self, "after recovery")?;
        judge::check(self)
    }

    /// A record is gone with its log's tail. Its transaction never happened, unless files kept all of it.
    fn lose(
        &mut self,
        record: &accord::Record,
        files: &BTreeMap<Key, Vec<Version>>,
    ) -> Result<(), Violation> {
        let in_files = |key: Key| {
            let versions = files.get(&key).into_iter().flatten();
            versions.into_iter().any(|version| version.execute_at == record.execute_at)
        };
        let kept = record.writes.iter().filter(|write| in_files(usize::from(write.key[0]))).count();
        if kept > 0 && kept < record.writes.len() {
            return Err(Violation::new(format!("atomicity: half of {record:?} is in files")));
        }
        if kept > 0 {
            return Ok(());
        }
        for write in &record.writes {
            let txn = writer_of(write.row.as_deref().expect("scripts write rows"));
            self.clients[txn].lost = true;
            self.truth[usize::from(write.key[0])].retain(|truth| truth.txn != txn);
        }
        Ok(())
    }

    fn replay(&mut self) {
        let skips = self.config.flaw != Flaw::ReplayIgnoresPositions;
        for log in 0..self.past_logs.len() {
            let log_id = LogId(log as u32);
            for index in self.past_logs[log].truncated..self.past_logs[log].records.len() {
                let position = LogPosition(index as u64 + 1);
                let record = Arc::clone(&self.past_logs[log].records[index]);
                for write in &record.writes {
                    let key = usize::from(write.key[0]);
                    let complete = self.complete.get(&(key, log_id));
                    if skips && complete.is_some_and(|complete| position <= *complete) {
                        continue;
                    }
                    let owner = self.core_of(key);
                    let store = &mut self.cores[owner].store;
                    let files = store.files.get(&key).into_iter().flatten();
                    let execute_at = record.execute_at;
                    if files.into_iter().any(|known| known.execute_at == execute_at) {
                        continue;
                    }
                    let row = write.row.clone().expect("scripts write rows");
                    store.put(key, Version { execute_at, row, log: log_id, position });
                }
            }
        }
    }

    /// Whether a schema change or tombstone flag makes a client's outcome final.
    pub fn is_over(&self) -> bool {
        let over =
            |client: &Client| !matches!(client.phase, Phase::New | Phase::Idle | Phase::Waiting);
        self.clients.iter().all(over)
    }
}

/// A short form for scenarios.
pub fn put(key: Key) -> (Key, Tombstone) {
    (key, Tombstone::No)
}

/// A short form for scenarios.
pub fn delete(key: Key) -> (Key, Tombstone) {
    (key, Tombstone::Yes)
}
