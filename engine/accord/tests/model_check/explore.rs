//! Every schedule of a small world, or many deep ones, over the real code.
//!
//! A state is one host for each node, the messages on their way to each, what was ever claimed, and what was spent of the
//! bounds. Any message on its way may be delivered next: so every order and, by never delivering, every loss is a schedule.
//! A crash of a coordinator that never comes back is the loss of all that it would have sent. With [`Bounds::repeats`] a
//! message stays on its way when it is delivered, and so may come again at any time.
//!
//! Hosts, messages and sets are interned and what a host does with a message is computed once, so that most of a step is a
//! look into a table: the real code runs a thousand times less often than states are visited.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use types::prng::Prng;

use crate::adapter::{Claim, Envelope, Host, Input, LEVEL_GIVE_UP, Output, Setting};
use crate::judge::{self, Facts, Item};

pub const NODES_MAX: usize = 5;

/// A world and how far it is explored.
#[derive(Clone)]
pub struct World {
    pub name: &'static str,
    pub setting: Rc<Setting>,
    pub bounds: Bounds,
}

/// What a schedule may contain.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Times that somebody's patience runs out.
    pub ticks: u8,
    /// Whose may, by bit.
    pub tickers: u8,
    /// Levels below this, and perhaps [`LEVEL_GIVE_UP`].
    pub levels: u8,
    pub give_up: bool,
    pub crashes: u8,
    /// Who may crash, by bit.
    pub crashers: u8,
    /// Whether all clients ask before anything else happens.
    pub together: bool,
    /// Whether the fast path may be given up while it is possible.
    pub late: bool,
    /// Whether messages may come again.
    pub repeats: bool,
    /// Whether nothing is executed: only what is decided is of interest.
    pub decisions_only: bool,
}

impl Bounds {
    pub const NONE: Bounds = Bounds {
        ticks: 0,
        tickers: 0xFF,
        levels: 1,
        give_up: false,
        crashes: 0,
        crashers: 0xFF,
        together: true,
        late: false,
        repeats: false,
        decisions_only: false,
    };
}

/// One thing that the explorer lets happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Choice {
    Submit(u8),
    Deliver { node: u8, item: u32, late: bool },
    Tick { node: u8, level: u8 },
    Crash(u8),
    Flush(u8),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    pub hosts: [u32; NODES_MAX],
    /// What is on its way to each node.
    pub inboxes: [u32; NODES_MAX],
    /// Everything claimed, and what the clients were told.
    pub said: u32,
    /// The next tick's lowest level, by node.
    level: [u8; NODES_MAX],
    /// Who was answered when this one was asked for, by bit; the highest bit says that it was.
    pub asked: [u8; NODES_MAX],
    ticks: u8,
    crashes: u8,
}

/// What a choice does to its node.
#[derive(Clone)]
pub struct Step {
    /// Answers that arrive just before, by item.
    pub lead: Vec<u32>,
    pub choice: Choice,
    pub outcome: Result<Rc<Done>, String>,
}

pub struct Done {
    pub host: u32,
    pub sends: Vec<(u8, u32)>,
    pub notes: Vec<Output>,
    /// Whether anything is claimed that must be compared with what others claim.
    pub judged: bool,
}

#[derive(Default)]
pub struct FastHasher(u64);

impl Hasher for FastHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut eight = [0u8; 8];
            eight[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(eight));
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(23) ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }
}

type Fast = BuildHasherDefault<FastHasher>;

/// What was found.
#[derive(Debug, Default, Clone)]
pub struct Report {
    pub states: u64,
    pub steps: u64,
    pub hosts: usize,
    pub messages: usize,
    /// Whether nothing within the bounds was left out.
    pub whole: bool,
    pub violation: Option<Violation>,
}

#[derive(Debug, Clone)]
pub struct Violation {
    pub what: String,
    pub trace: Vec<String>,
}

/// Interned hosts, messages and sets of one world, and what leads from one to another.
pub struct Explorer {
    pub world: World,
    pub hosts: Vec<Rc<Host>>,
    host_ids: HashMap<u64, u32, Fast>,
    but_clock: Vec<u64>,
    pub items: Vec<Item>,
    item_ids: HashMap<u64, u32, Fast>,
    pub sets: Vec<Rc<[u32]>>,
    set_ids: HashMap<Rc<[u32]>, u32, Fast>,
    added: HashMap<(u32, u32), u32, Fast>,
    facts: HashMap<u32, Rc<Facts>, Fast>,
    single: HashMap<(u32, Choice), Rc<Step>, Fast>,
    deliveries: HashMap<(u32, u32), Rc<[Rc<Step>]>, Fast>,
}

impl Explorer {
    pub fn new(world: World) -> (Explorer, State) {
        let empty: Rc<[u32]> = Rc::from([]);
        let mut explorer = Explorer {
            hosts: Vec::new(),
            host_ids: HashMap::default(),
            but_clock: Vec::new(),
            items: Vec::new(),
            item_ids: HashMap::default(),
            sets: vec![empty.clone()],
            set_ids: HashMap::from_iter([(empty, 0)]),
            added: HashMap::default(),
            facts: HashMap::default(),
            single: HashMap::default(),
            deliveries: HashMap::default(),
            world,
        };
        let mut state = State::default();
        for node in 0..explorer.nodes() {
            let host = Host::new(&explorer.world.setting, node as u32);
            state.hosts[node] = explorer.intern_host(host);
        }
        (explorer, state)
    }

    pub fn nodes(&self) -> usize {
        self.world.setting.nodes()
    }

    fn intern_host(&mut self, host: Host) -> u32 {
        let next = self.hosts.len() as u32;
        let (whole, but_clock) = host.fingerprints();
        let id = *self.host_ids.entry(whole).or_insert(next);
        if id == next {
            self.but_clock.push(but_clock);
            self.hosts.push(Rc::new(host));
        }
        id
    }

    fn intern_item(&mut self, fingerprint: u64, item: impl FnOnce() -> Item) -> u32 {
        let next = self.items.len() as u32;
        let id = *self.item_ids.entry(fingerprint).or_insert(next);
        if id == next {
            self.items.push(item());
        }
        id
    }

    fn add(&mut self, set: u32, item: u32) -> u32 {
        if let Some(known) = self.added.get(&(set, item)) {
            return *known;
        }
        let mut members = self.sets[set as usize].to_vec();
        let id = match members.binary_search(&item) {
            Ok(_) => set,
            Err(at) => {
                members.insert(at, item);
                self.intern_set(members)
            }
        };
        self.added.insert((set, item), id);
        id
    }

    fn intern_set(&mut self, members: Vec<u32>) -> u32 {
        let members: Rc<[u32]> = Rc::from(members);
        let next = self.sets.len() as u32;
        let id = *self.set_ids.entry(members.clone()).or_insert(next);
        if id == next {
            self.sets.push(members);
        }
        id
    }

    /// Takes out of a node's inbox what has been delivered.
    fn delivered(&mut self, inbox: u32, step: &Step) -> u32 {
        let Choice::Deliver { item, .. } = step.choice else { return inbox };
        let mut left = self.sets[inbox as usize].to_vec();
        left.retain(|other| *other != item && !step.lead.contains(other));
        self.intern_set(left)
    }

    /// Takes out of a node's inbox what comes too late to change anything: it is as good as lost.
    fn without_late(&mut self, state: &State, node: usize) -> u32 {
        let inbox = state.inboxes[node];
        let members = self.sets[inbox as usize].clone();
        let mut left = members.to_vec();
        left.retain(|item| {
            !self.is_late(state, node, *item, |explorer, to, answer| {
                explorer.is_late(state, to, answer, |_, _, _| false)
            })
        });
        if left.len() == members.len() { inbox } else { self.intern_set(left) }
    }

    /// Whether a message changes nothing at its receiver but perhaps the clock, and neither does what that answers.
    fn is_late(
        &mut self,
        state: &State,
        node: usize,
        item: u32,
        mut too: impl FnMut(&mut Explorer, usize, u32) -> bool,
    ) -> bool {
        let Item::Message { envelope, .. } = &self.items[item as usize] else { return false };
        let (host, envelope) = (state.hosts[node], envelope.clone());
        let choice = Choice::Deliver { node: node as u8, item, late: false };
        let step = self.step(host, node as u8, choice, || Input::Deliver { envelope, late: false });
        step.outcome.as_ref().is_ok_and(|done| {
            self.but_clock[done.host as usize] == self.but_clock[host as usize]
                && done.notes.is_empty()
                && done.sends.iter().all(|(to, sent)| {
                    usize::from(*to) < self.nodes() && too(self, usize::from(*to), *sent)
                })
        })
    }

    /// What the messages of a set claim.
    pub fn facts(&mut self, set: u32) -> Rc<Facts> {
        if let Some(known) = self.facts.get(&set) {
            return known.clone();
        }
        let items = self.sets[set as usize].iter().map(|item| &self.items[*item as usize]);
        let facts = Rc::new(Facts::of(items));
        self.facts.insert(set, facts.clone());
        facts
    }

    fn step(
        &mut self,
        host: u32,
        node: u8,
        choice: Choice,
        input: impl FnOnce() -> Input,
    ) -> Rc<Step> {
        if let Some(known) = self.single.get(&(host, choice)) {
            return known.clone();
        }
        let taken = {
            let (host, input) = (self.hosts[host as usize].clone(), input());
            // A broken assertion of the code is a finding.
            catch_unwind(AssertUnwindSafe(|| host.take(&input))).unwrap_or_else(|panic| {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).into()));
                Err(format!("assertion: {}", text.unwrap_or_default()))
            })
        };
        let outcome = taken.map(|(host, outputs)| Rc::new(self.done(node, host, outputs)));
        let step = Rc::new(Step { lead: Vec::new(), choice, outcome });
        self.single.insert((host, choice), step.clone());
        step
    }

    fn done(&mut self, node: u8, host: Host, outputs: Vec<Output>) -> Done {
        let mut done = Done { host: 0, sends: Vec::new(), notes: Vec::new(), judged: false };
        let clients = self.nodes() as u8;
        for output in outputs {
            match output {
                Output::Send(envelope) => {
                    if self.world.bounds.decisions_only && envelope.is_execution() {
                        continue;
                    }
                    let to = envelope.to.0 as u8;
                    let item = self.intern_envelope(envelope);
                    let Item::Message { claim, .. } = &self.items[item as usize] else { continue };
                    done.judged |= !matches!(claim, Claim::Nothing);
                    done.sends.push((to, item));
                }
                Output::Reply { number, ref response } => {
                    let mut fast = FastHasher::default();
                    fast.write(format!("{number} {response:?}").as_bytes());
                    let fingerprint = fast.finish();
                    let response = response.clone();
                    let item = self.intern_item(fingerprint, || Item::Reply { number, response });
                    done.judged = true;
                    done.sends.push((clients, item));
                    done.notes.push(output);
                }
                note => {
                    done.judged = true;
                    done.notes.push(note);
                }
            }
        }
        let before = self.hosts.len();
        done.host = self.intern_host(host);
        done.judged |=
            before < self.hosts.len() && judge::has_accepted_end(&self.hosts[before], node);
        done
    }

    fn intern_envelope(&mut self, envelope: Envelope) -> u32 {
        self.intern_item(envelope.fingerprint(), || Item::Message {
            claim: envelope.claim(),
            envelope: Rc::new(envelope),
        })
    }

    /// Deliveries after which the receiver has said or kept something.
    ///
    /// An answer that only adds to what a coordinator has counted is not delivered alone but just before the answer that
    /// makes it act: until then nobody can tell whether it has arrived, so it may as well arrive then.
    fn deliveries(&mut self, host: u32, node: u8, inbox: u32) -> Rc<[Rc<Step>]> {
        if let Some(known) = self.deliveries.get(&(host, inbox)) {
            return known.clone();
        }
        let mut steps: Vec<Rc<Step>> = Vec::new();
        let mut counted: HashSet<u32, Fast> = HashSet::from_iter([host]);
        let mut frontier: Vec<(u32, Vec<u32>)> = vec![(host, Vec::new())];
        let members = self.sets[inbox as usize].clone();
        while let Some((from, lead)) = frontier.pop() {
            for item in members.iter().copied() {
                let Item::Message { envelope, .. } = &self.items[item as usize] else { continue };
                let envelope = envelope.clone();
                let (answer, vote) = (envelope.is_answer(), envelope.is_vote());
                if !answer && from != host {
                    continue;
                }
                for late in [false, true] {
                    if late && !(vote && self.world.bounds.late) {
                        continue;
                    }
                    let choice = Choice::Deliver { node, item, late };
                    let envelope = envelope.clone();
                    let step = self.step(from, node, choice, || Input::Deliver { envelope, late });
                    let counts =
                        step.outcome.as_ref().ok().filter(|done| {
                            done.sends.is_empty() && done.notes.is_empty() && answer
                        });
                    match counts.map(|done| done.host) {
                        Some(next) if !late && counted.insert(next) => {
                            let lead = lead.iter().copied().chain([item]).collect();
                            frontier.push((next, lead));
                        }
                        Some(_) => {}
                        None => {
                            steps.push(Rc::new(Step { lead: lead.clone(), ..(*step).clone() }));
                            break;
                        }
                    }
                }
            }
        }
        let steps: Rc<[Rc<Step>]> = Rc::from(steps);
        self.deliveries.insert((host, inbox), steps.clone());
        steps
    }

    /// Everything that may happen next.
    fn enabled(&mut self, state: &State, steps: &mut Vec<Rc<Step>>) {
        steps.clear();
        let bounds = self.world.bounds;
        let submitted = |node: usize| state.asked[node] != 0;
        let transactions = self.world.setting.transactions.len();
        for node in 0..transactions {
            if !submitted(node) {
                let choice = Choice::Submit(node as u8);
                let step = self.step(state.hosts[node], node as u8, choice, || Input::Submit);
                steps.push(step);
                if bounds.together {
                    return;
                }
            }
        }
        for node in 0..self.nodes() {
            let (host, at) = (state.hosts[node], node as u8);
            let deliveries = self.deliveries(host, at, state.inboxes[node]);
            steps.extend(deliveries.iter().cloned());
            if state.ticks < bounds.ticks && bounds.tickers >> node & 1 == 1 {
                let levels = (state.level[node]..bounds.levels)
                    .chain(bounds.give_up.then_some(LEVEL_GIVE_UP));
                for level in levels {
                    let choice = Choice::Tick { node: at, level };
                    steps.push(self.step(host, at, choice, || Input::Tick { level }));
                }
            }
            if state.crashes < bounds.crashes && bounds.crashers >> node & 1 == 1 {
                steps.push(self.step(host, at, Choice::Crash(at), || Input::Crash));
            }
            if self.world.setting.lazy_flush {
                steps.push(self.step(host, at, Choice::Flush(at), || Input::Flush));
            }
        }
        steps.retain(|step| {
            let node = node_of(step.choice);
            !step.outcome.as_ref().is_ok_and(|done| {
                done.host == state.hosts[node] && done.sends.is_empty() && done.notes.is_empty()
            })
        });
    }

    fn apply(&mut self, state: &State, step: &Step, tidy: bool) -> Result<State, String> {
        let done = step.outcome.as_ref().map_err(Clone::clone)?;
        let mut next = *state;
        let node = node_of(step.choice);
        next.hosts[node] = done.host;
        if !self.world.bounds.repeats {
            next.inboxes[node] = self.delivered(next.inboxes[node], step);
        }
        for (to, item) in &done.sends {
            if self.items[*item as usize].claims() {
                next.said = self.add(next.said, *item);
            }
            let at = usize::from(*to);
            if at < self.nodes() {
                next.inboxes[at] = self.add(next.inboxes[at], *item);
            }
        }
        if tidy && !self.world.bounds.repeats {
            for node in 0..self.nodes() {
                next.inboxes[node] = self.without_late(&next, node);
            }
        }
        match step.choice {
            Choice::Submit(_) => {
                let answered = self.facts(state.said).answered();
                next.asked[node] = 0x80 | answered;
            }
            Choice::Tick { level, .. } => {
                next.ticks += 1;
                next.level[node] = level + u8::from(level != LEVEL_GIVE_UP);
            }
            Choice::Crash(_) => next.crashes += 1,
            Choice::Deliver { .. } | Choice::Flush(_) => {}
        }
        if done.judged {
            judge::judge(self, &next, node, done)?;
        }
        Ok(next)
    }

    /// Visits every state within the bounds, nearest first, until `most` are known.
    pub fn breadth_first(&mut self, start: State, most: usize) -> Report {
        let mut known: HashSet<State, Fast> = HashSet::default();
        let mut order: Vec<(State, u32, Option<Rc<Step>>)> = vec![(start, 0, None)];
        known.insert(start);
        let (mut at, mut steps) = (0, 0);
        let mut enabled = Vec::new();
        let mut report = Report { whole: true, ..Report::default() };
        while at < order.len() {
            let state = order[at].0;
            self.enabled(&state, &mut enabled);
            for step in std::mem::take(&mut enabled) {
                steps += 1;
                match self.apply(&state, &step, true) {
                    Ok(next) if order.len() < most => {
                        if known.insert(next) {
                            order.push((next, at as u32, Some(step.clone())));
                        }
                    }
                    Ok(next) => report.whole &= known.contains(&next),
                    Err(what) => {
                        let trace = self.trace(&order, at, &step);
                        report.violation = Some(Violation { what, trace });
                        report.whole = false;
                        self.figures(&mut report, order.len() as u64, steps);
                        return report;
                    }
                }
            }
            at += 1;
        }
        self.figures(&mut report, order.len() as u64, steps);
        report
    }

    fn figures(&self, report: &mut Report, states: u64, steps: u64) {
        report.states = states;
        report.steps = steps;
        report.hosts = self.hosts.len();
        report.messages = self.items.len();
    }

    fn trace(
        &self,
        order: &[(State, u32, Option<Rc<Step>>)],
        mut at: usize,
        last: &Step,
    ) -> Vec<String> {
        let mut steps = vec![last];
        while let (_, before, Some(step)) = &order[at] {
            steps.push(step);
            at = *before as usize;
        }
        steps.reverse();
        steps.into_iter().flat_map(|step| self.describe(step)).collect()
    }

    fn describe(&self, step: &Step) -> Vec<String> {
        let node = node_of(step.choice) as u8;
        let lead = step.lead.iter().map(|item| Choice::Deliver { node, item: *item, late: false });
        lead.chain([step.choice]).map(|choice| self.describe_one(choice)).collect()
    }

    fn describe_one(&self, choice: Choice) -> String {
        match choice {
            Choice::Deliver { item, late, .. } => {
                let Item::Message { envelope, .. } = &self.items[item as usize] else {
                    return "a reply is not delivered".into();
                };
                format!("{}{}", envelope.brief(), if late { " (late)" } else { "" })
            }
            other => format!("{other:?}"),
        }
    }

    /// One thing that may happen, at random; most often something arrives.
    fn draw(&mut self, state: &State, rush: u64, prng: &mut Prng) -> Option<Rc<Step>> {
        let bounds = self.world.bounds;
        let transactions = self.world.setting.transactions.len();
        let waiting: Vec<usize> = (0..transactions).filter(|at| state.asked[*at] == 0).collect();
        if !waiting.is_empty() && (bounds.together || prng.below(8) == 0) {
            let node = waiting[prng.index(waiting.len())];
            let choice = Choice::Submit(node as u8);
            return Some(self.step(state.hosts[node], node as u8, choice, || Input::Submit));
        }
        let node = prng.index(self.nodes());
        let (host, at) = (state.hosts[node], node as u8);
        let bit = |mask: u8| mask >> node & 1 == 1;
        let inbox = self.sets[state.inboxes[node] as usize].clone();
        let lazy = self.world.setting.lazy_flush;
        match prng.below(rush) {
            0 if state.ticks < bounds.ticks && bit(bounds.tickers) => {
                let give_up = bounds.give_up && prng.below(3) == 0;
                let left = u64::from(bounds.levels.saturating_sub(state.level[node]));
                let level = if give_up || left == 0 {
                    LEVEL_GIVE_UP
                } else {
                    state.level[node] + prng.below(left) as u8
                };
                let choice = Choice::Tick { node: at, level };
                Some(self.step(host, at, choice, || Input::Tick { level }))
            }
            1 if state.crashes < bounds.crashes && bit(bounds.crashers) => {
                Some(self.step(host, at, Choice::Crash(at), || Input::Crash))
            }
            2..8 if lazy => Some(self.step(host, at, Choice::Flush(at), || Input::Flush)),
            _ if inbox.is_empty() => None,
            _ => {
                let item = inbox[prng.index(inbox.len())];
                let Item::Message { envelope, .. } = &self.items[item as usize] else {
                    return None;
                };
                let envelope = envelope.clone();
                let late = bounds.late && envelope.is_vote() && prng.below(3) == 0;
                let choice = Choice::Deliver { node: at, item, late };
                Some(self.step(host, at, choice, || Input::Deliver { envelope, late }))
            }
        }
    }

    /// Random schedules, each from the start; every `heal`th is then left without faults until it comes to rest.
    pub fn walk(&mut self, start: State, walks: u64, heal: u64, prng: &mut Prng) -> Report {
        let mut known: HashSet<State, Fast> = HashSet::default();
        let mut report = Report::default();
        let mut steps = 0;
        for walk in 0..walks {
            let mut state = start;
            let mut path = Vec::new();
            let rush = 10 + prng.below(60);
            let mut found = None;
            for _ in 0..20 + prng.index(180) {
                let Some(step) = self.draw(&state, rush, prng) else { continue };
                path.push(step.clone());
                steps += 1;
                match self.apply(&state, &step, false) {
                    Ok(next) => state = next,
                    Err(what) => {
                        found = Some(what);
                        break;
                    }
                }
                known.insert(state);
            }
            if found.is_none() && walk % heal == 0 {
                found = judge::come_to_rest(self, &state).err();
            }
            if let Some(what) = found {
                let trace = path.iter().flat_map(|step| self.describe(step)).collect();
                report.violation = Some(Violation { what, trace });
                break;
            }
        }
        self.figures(&mut report, known.len() as u64, steps);
        report
    }
}

fn node_of(choice: Choice) -> usize {
    usize::from(match choice {
        Choice::Submit(node)
        | Choice::Deliver { node, .. }
        | Choice::Tick { node, .. }
        | Choice::Crash(node)
        | Choice::Flush(node) => node,
    })
}
