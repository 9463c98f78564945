//! What must hold in every state: the specification's invariants (section 9.4) that need more than one node to be seen.
//!
//! What was ever said is compared, not only what somebody holds: a message that states a fact is judged when it is sent.
//!
//! - I1: one time of execution, and never together with an end without effect.
//! - I2 and order: a stable transaction waits for **every** conflicting one that is committed below it, on each range. This is
//!   stronger than equality of dependencies: what they may differ in is what does not matter.
//! - I4: what is stable is not being invalidated by a quorum.
//! - I11, I12: what is read or applied comes after everything committed below it.
//! - I13 and H2: an answer means that on one replica of each range everything committed below it is applied.
//! - Answers are what one order by timestamps gives, and that order agrees with real time.
//!
//! I5, I6, I7, I10, I15 are one node's own (`adapter.rs`).

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use accord::cluster::deps::Deps;
use accord::cluster::status::{Ballot, Status};
use accord::cluster::{RangeId, Response};
use types::Timestamp;

use crate::adapter::{Claim, Envelope, Host, Input, Output, Setting};
use crate::explore::{Done, Explorer, State};
use crate::lists::{Touch, decode};

/// Something that was said.
pub enum Item {
    Message { envelope: Rc<Envelope>, claim: Claim },
    Reply { number: usize, response: Response },
}

impl Item {
    /// Whether it must be remembered.
    pub fn claims(&self) -> bool {
        !matches!(self, Item::Message { claim: Claim::Nothing, .. })
    }
}

/// What is claimed of one transaction.
#[derive(Clone, Debug, Default)]
pub struct Fate {
    pub execute_at: Option<Timestamp>,
    pub two_times: bool,
    pub invalidated: bool,
    /// Whether every replica has applied it: nobody need wait for it.
    pub universal: bool,
    pub stable: Vec<(RangeId, Rc<Deps>)>,
    pub reply: Option<Vec<u8>>,
}

impl Fate {
    fn executes(&mut self, at: Timestamp) {
        self.two_times |= self.execute_at.is_some_and(|known| known != at);
        self.execute_at = Some(at);
    }
}

/// What is claimed, by number.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    fates: BTreeMap<usize, Fate>,
}

impl Facts {
    pub fn of<'a>(items: impl Iterator<Item = &'a Item>) -> Facts {
        let mut facts = Facts::default();
        for item in items {
            match item {
                Item::Message { claim, .. } => facts.note(claim),
                Item::Reply { number, response } => {
                    let fate = facts.fates.entry(*number).or_default();
                    match response {
                        Response::Committed { execute_at, reply, .. } => {
                            fate.executes(*execute_at);
                            fate.reply = Some(reply.clone());
                        }
                        Response::Invalidated { .. } => fate.invalidated = true,
                        Response::Aborted { .. }
                        | Response::Unknown { .. }
                        | Response::Snapshot { .. } => {}
                    }
                }
            }
        }
        facts
    }

    fn note(&mut self, claim: &Claim) {
        match claim {
            Claim::Nothing => {}
            Claim::Decided { number, execute_at } => {
                self.fates.entry(*number).or_default().executes(*execute_at);
            }
            Claim::Universal { number } => {
                self.fates.entry(*number).or_default().universal = true;
            }
            Claim::Stable { number, range, execute_at, deps } => {
                let fate = self.fates.entry(*number).or_default();
                fate.executes(*execute_at);
                fate.stable.push((*range, deps.clone()));
            }
            Claim::Invalidated { number } => {
                self.fates.entry(*number).or_default().invalidated = true;
            }
        }
    }

    /// Whose clients were told that they took effect, by bit.
    pub fn answered(&self) -> u8 {
        let told = self.fates.iter().filter(|(_, fate)| fate.reply.is_some());
        told.fold(0, |bits, (number, _)| bits | 1 << number)
    }

    fn committed(&self) -> impl Iterator<Item = (usize, Timestamp)> + '_ {
        self.fates.iter().filter_map(|(number, fate)| Some((*number, fate.execute_at?)))
    }
}

/// Whether a host accepts that something is given up: then it is worth while to count such hosts.
pub fn has_accepted_end(host: &Host, _: u8) -> bool {
    host.statuses().iter().any(|(_, _, status, _)| *status == Status::AcceptedInvalidate)
}

/// Judges a state that a step of a node has led to.
pub fn judge(
    explorer: &mut Explorer,
    state: &State,
    node: usize,
    done: &Done,
) -> Result<(), String> {
    let facts = explorer.facts(state.said);
    let setting = explorer.world.setting.clone();
    let hosts: Vec<Rc<Host>> = (0..setting.nodes())
        .map(|node| explorer.hosts[state.hosts[node] as usize].clone())
        .collect();
    agreed(&setting, &facts)?;
    not_being_invalidated(&setting, &facts, &hosts)?;
    for note in &done.notes {
        match note {
            Output::Read { number, range } | Output::Applied { number, range } => {
                let before = before_is_applied(&setting, &facts, &hosts[node], *number, *range);
                if let Some(missing) = before {
                    let what = format!("I12: t{number} executes on n{node}, t{missing} has not");
                    return Err(what);
                }
            }
            Output::Reply { number, response: Response::Committed { reply, .. } } => {
                executed_everywhere(&setting, &facts, &hosts, *number)?;
                answered_in_order(&setting, &facts, *number, reply)?;
            }
            Output::Reply { .. } | Output::Send(_) => {}
        }
    }
    agrees_with_real_time(&setting, &facts, &state.asked)
}

fn agreed(setting: &Setting, facts: &Facts) -> Result<(), String> {
    for (number, fate) in &facts.fates {
        if fate.two_times {
            return Err(format!("I1: t{number} executes at two times"));
        }
        if fate.invalidated && fate.execute_at.is_some() {
            return Err(format!("I1: t{number} is committed and invalidated"));
        }
        let Some(at) = fate.execute_at else { continue };
        for (range, deps) in &fate.stable {
            for (other, other_at) in facts.committed() {
                let waits = other == *number
                    || other_at > at
                    || facts.fates[&other].universal
                    || !setting.conflict(*number, other, *range)
                    || deps.iter().any(|dep| crate::adapter::number_of(dep) == other);
                if !waits {
                    return Err(format!("order: t{number} is stable without t{other} before it"));
                }
            }
        }
    }
    Ok(())
}

/// I4: an end that a quorum of the home range has accepted is as good as said.
fn not_being_invalidated(
    setting: &Setting,
    facts: &Facts,
    hosts: &[Rc<Host>],
) -> Result<(), String> {
    for (number, fate) in &facts.fates {
        if fate.stable.is_empty() {
            continue;
        }
        let home = setting.participants(*number)[0];
        let mut accepted: BTreeMap<Ballot, usize> = BTreeMap::new();
        for host in hosts {
            let command = host.command(*number, home);
            if let Some(command) = command.filter(|c| c.status() == Status::AcceptedInvalidate) {
                *accepted.entry(command.accepted()).or_default() += 1;
            }
        }
        let quorum = setting.topology.range(home).slow_quorum();
        if accepted.values().any(|count| *count >= quorum) {
            return Err(format!("I4: t{number} is stable and a quorum accepts its end"));
        }
    }
    Ok(())
}

/// A transaction committed below this one and not applied here.
fn before_is_applied(
    setting: &Setting,
    facts: &Facts,
    host: &Host,
    number: usize,
    range: RangeId,
) -> Option<usize> {
    let at = facts.fates.get(&number)?.execute_at?;
    let mut others = facts.committed();
    let missing = others.find(|(other, other_at)| {
        *other != number
            && *other_at < at
            && setting.conflict(number, *other, range)
            && !host.is_settled(*other, range)
            && host.command(*other, range).is_none_or(|known| known.status() != Status::Applied)
    });
    missing.map(|(other, _)| other)
}

fn executed_everywhere(
    setting: &Setting,
    facts: &Facts,
    hosts: &[Rc<Host>],
    number: usize,
) -> Result<(), String> {
    for range in setting.participants(number) {
        let replicas = setting.topology.range(range).replicas();
        let somewhere = replicas.iter().any(|node| {
            let host = &hosts[node.0 as usize];
            let stable = |known: Status| known >= Status::Stable && known != Status::Invalidated;
            let known = host.command(number, range).is_some_and(|known| stable(known.status()));
            (known || host.is_settled(number, range))
                && before_is_applied(setting, facts, host, number, range).is_none()
        });
        if !somewhere {
            return Err(format!("I13: t{number} is answered and executed nowhere on {range:?}"));
        }
    }
    Ok(())
}

fn answered_in_order(
    setting: &Setting,
    facts: &Facts,
    number: usize,
    reply: &[u8],
) -> Result<(), String> {
    let expected = serial(setting, facts, Some(number)).1;
    let seen = decode(reply);
    if seen == expected {
        Ok(())
    } else {
        Err(format!("order: t{number} saw {seen:?}, not {expected:?}"))
    }
}

/// The rows after everything committed (below one transaction), and what that one would be told.
fn serial(
    setting: &Setting,
    facts: &Facts,
    until: Option<usize>,
) -> (BTreeMap<u16, Vec<u32>>, Vec<u32>) {
    let mut order: Vec<(Timestamp, usize)> =
        facts.committed().map(|(number, at)| (at, number)).collect();
    order.sort_unstable();
    let mut lists: BTreeMap<u16, Vec<u32>> = BTreeMap::new();
    for (_, number) in order {
        let mut told = Vec::new();
        for (key, touch) in &setting.transactions[number].touches {
            let list = lists.get(key).cloned().unwrap_or_default();
            if *touch != Touch::Replace {
                told.push(list.len() as u32);
                told.extend(&list);
            }
        }
        if until == Some(number) {
            return (lists, told);
        }
        for (key, touch) in &setting.transactions[number].touches {
            let number = number as u32;
            match touch {
                Touch::Read => {}
                Touch::Append => lists.entry(*key).or_default().push(number),
                Touch::Replace => *lists.entry(*key).or_default() = vec![number],
            }
        }
    }
    (lists, Vec::new())
}

/// No chain of conflicts, by timestamps, leads from a transaction back to one that was answered before it was asked for.
fn agrees_with_real_time(setting: &Setting, facts: &Facts, asked: &[u8]) -> Result<(), String> {
    let committed: Vec<(usize, Timestamp)> = facts.committed().collect();
    let ranges: Vec<RangeId> = setting.topology.ranges().map(|(range, _)| range).collect();
    let before = |(one, at): (usize, Timestamp), (other, other_at): (usize, Timestamp)| {
        let conflict = ranges.iter().any(|range| setting.conflict(one, other, *range));
        (conflict && at < other_at) || asked[other] >> one & 1 == 1
    };
    // Few: a path of any length is found by closing the relation once for each member.
    let count = committed.len();
    let mut path: Vec<Vec<bool>> = committed
        .iter()
        .map(|one| committed.iter().map(|other| before(*one, *other)).collect())
        .collect();
    for via in 0..count {
        for from in 0..count {
            for to in 0..count {
                path[from][to] |= path[from][via] && path[via][to];
            }
        }
    }
    match (0..count).find(|at| path[*at][*at]) {
        None => Ok(()),
        Some(at) => Err(format!("strictness: t{} comes before itself", committed[at].0)),
    }
}

/// Lets a state go on without faults: everything ends, the same everywhere.
pub fn come_to_rest(explorer: &mut Explorer, state: &State) -> Result<(), String> {
    let setting = explorer.world.setting.clone();
    let mut hosts: Vec<Host> = (0..setting.nodes())
        .map(|node| (*explorer.hosts[state.hosts[node] as usize]).clone())
        .collect();
    let mut queue: VecDeque<Envelope> = VecDeque::new();
    let mut facts = (*explorer.facts(state.said)).clone();
    for round in 0..40 {
        for node in 0..hosts.len() {
            let (host, outputs) = hosts[node].tick_late(round)?;
            hosts[node] = host;
            take_in(outputs, &mut queue, &mut facts);
        }
        let mut turns = 0;
        while let Some(envelope) = queue.pop_front() {
            turns += 1;
            if turns > 20_000 {
                return Err("liveness: messages without end".into());
            }
            let to = envelope.to.0 as usize;
            let input = Input::Deliver { envelope: Rc::new(envelope), late: false };
            for input in [input, Input::Flush] {
                let (host, outputs) = hosts[to].take(&input)?;
                hosts[to] = host;
                take_in(outputs, &mut queue, &mut facts);
            }
        }
        if hosts.iter().all(Host::is_idle) {
            agreed(&setting, &facts)?;
            return at_rest(&setting, &facts, &hosts);
        }
    }
    let left: Vec<String> = hosts.iter().map(Host::unrest).collect();
    Err(format!("liveness: it does not come to rest: {}", left.join("; ")))
}

fn take_in(outputs: Vec<Output>, queue: &mut VecDeque<Envelope>, facts: &mut Facts) {
    for output in outputs {
        if let Output::Send(envelope) = output {
            facts.note(&envelope.claim());
            queue.push_back(envelope);
        }
    }
}

fn at_rest(setting: &Setting, facts: &Facts, hosts: &[Host]) -> Result<(), String> {
    let (lists, _) = serial(setting, facts, None);
    for (node, host) in hosts.iter().enumerate() {
        for (number, range, status, at) in host.statuses() {
            let fate = facts.fates.get(&number);
            let as_told = match status {
                Status::Applied => fate.is_some_and(|fate| fate.execute_at == Some(at)),
                Status::Invalidated => fate.is_none_or(|fate| fate.execute_at.is_none()),
                _ => false,
            };
            if !as_told {
                return Err(format!("rest: n{node} holds t{number} on {range:?} as {status:?}"));
            }
        }
        if host.rows() != lists {
            return Err(format!("rest: n{node} holds {:?}, not {lists:?}", host.rows()));
        }
    }
    Ok(())
}
