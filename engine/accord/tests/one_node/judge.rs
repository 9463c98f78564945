//! Judges a finished or crashed schedule: every read against the truth, durability, freshness, and one order of all
//! transactions that agrees with real time.

use std::fmt;

use types::Timestamp;

use crate::script::{self, Key, Kind, Seen, Txn};
use crate::world::{Client, Phase, Truth, World};

/// What went wrong.
#[derive(Clone, Debug)]
pub struct Violation(pub String);

impl Violation {
    pub fn new(text: String) -> Violation {
        Violation(text)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a version written exactly at the time of a read is seen by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    Below,
    AtOrBelow,
}

impl Bound {
    fn admits(self, written: Timestamp, read: Timestamp) -> bool {
        written < read || (self == Bound::AtOrBelow && written == read)
    }
}

/// A read that took effect at a time.
struct Observation {
    key: Key,
    at: Timestamp,
    bound: Bound,
}

fn newest(truth: &[Truth], at: Timestamp, bound: Bound, reader: Txn) -> Seen {
    let visible =
        truth.iter().filter(|write| write.txn != reader && bound.admits(write.execute_at, at));
    visible.max().and_then(|write| (!write.dead).then_some(write.txn))
}

/// Every key's newest version is what the truth says.
pub fn check_newest(world: &World, when: &str) -> Result<(), Violation> {
    for key in 0..=world.config.key_count {
        let found = world.cores[world.core_of(key)].store.writer(key, Timestamp::MAX);
        let expected = newest(&world.truth[key], Timestamp::MAX, Bound::Below, usize::MAX);
        if found != expected {
            let text = format!("{when}: key {key} holds {found:?}, should hold {expected:?}");
            return Err(Violation(text));
        }
    }
    Ok(())
}

/// Every law that holds at any time between two steps.
pub fn check(world: &World) -> Result<(), Violation> {
    let count = world.clients.len();
    let mut took_effect = vec![false; count];
    let mut observations: Vec<Vec<Observation>> = (0..count).map(|_| Vec::new()).collect();
    for (txn, client) in world.clients.iter().enumerate() {
        if client.phase == Phase::Committed && client.logged && client.lost {
            return Err(Violation(format!("durability: acknowledged {txn} is lost")));
        }
        let kind = &world.config.kinds[txn];
        let durable = client.logged && !client.lost;
        let committed = !matches!(kind, Kind::Analytic | Kind::ReadOnly { .. })
            && (client.phase == Phase::Committed || durable);
        if committed {
            took_effect[txn] = true;
            check_schema(world, txn, client)?;
            check_shown_at_commit(world, txn, kind, client)?;
            check_commit_reads(world, txn, client, &mut observations[txn])?;
        } else {
            let reads = snapshot_reads(kind, client);
            took_effect[txn] = !reads.is_empty();
            check_snapshot_reads(world, txn, client, &reads, &mut observations[txn])?;
        }
        check_age(world, txn, client)?;
        if client.phase == Phase::Refused && !client.expired {
            return Err(Violation(format!("floor: {txn} was refused though its snapshot is open")));
        }
        check_abort(txn, client)?;
    }
    check_one_order(world, &took_effect, &observations)
}

/// Every client has its answer, nothing is left over, and the rows are right.
pub fn check_end(world: &World) -> Result<(), Violation> {
    for (txn, client) in world.clients.iter().enumerate() {
        if matches!(client.phase, Phase::New | Phase::Idle | Phase::Waiting) {
            return Err(Violation(format!("deadlock: {txn} never ends")));
        }
    }
    for (index, core) in world.cores.iter().enumerate() {
        if world.mesh.is_empty() && !core.replica.is_idle() {
            let replica = &core.replica;
            return Err(Violation(format!("leak: core {index} is not idle: {replica:?}")));
        }
    }
    check_newest(world, "at the end")?;
    check(world)
}

fn check_schema(world: &World, txn: Txn, client: &Client) -> Result<(), Violation> {
    let found = world.schema_at(client.execute_at);
    if client.planned == found {
        return Ok(());
    }
    let planned = client.planned;
    Err(Violation(format!("schema: {txn} planned at {planned} took effect at {found}")))
}

/// What the client was shown is still so when the transaction takes effect.
fn check_shown_at_commit(
    world: &World,
    txn: Txn,
    kind: &Kind,
    client: &Client,
) -> Result<(), Violation> {
    for shown in &client.shown {
        let truth = &world.truth[shown.key];
        let expected = newest(truth, client.execute_at, Bound::Below, txn);
        let exactly = match kind {
            Kind::Interactive { reads, .. } => reads.contains(&shown.key),
            _ => true,
        };
        let holds = if exactly {
            expected == shown.writer
        } else {
            expected.is_some() == shown.writer.is_some()
        };
        if !holds {
            let text =
                format!("validation: {txn} was shown {shown:?}, at commit it is {expected:?}");
            return Err(Violation(text));
        }
    }
    Ok(())
}

fn check_commit_reads(
    world: &World,
    txn: Txn,
    client: &Client,
    observations: &mut Vec<Observation>,
) -> Result<(), Violation> {
    let at = client.execute_at;
    for (key, seen) in &client.seen {
        let expected = newest(&world.truth[*key], at, Bound::Below, txn);
        if expected != *seen {
            let text = format!("read: {txn} at {at} saw {seen:?} of {key}, is {expected:?}");
            return Err(Violation(text));
        }
        observations.push(Observation { key: *key, at, bound: Bound::Below });
    }
    Ok(())
}

/// What counts as a transaction of reads at the snapshot.
fn snapshot_reads(kind: &Kind, client: &Client) -> Vec<(Key, Seen)> {
    match kind {
        Kind::Analytic if client.phase == Phase::Committed => client.seen.clone(),
        Kind::Analytic => Vec::new(),
        Kind::InteractiveScan { .. } if client.statement == 0 => Vec::new(),
        Kind::InteractiveScan { .. } => {
            client.shown.iter().map(|shown| (shown.key, shown.writer)).collect()
        }
        _ => {
            let shown = client.shown.iter().take(client.statement);
            shown.map(|shown| (shown.key, shown.writer)).collect()
        }
    }
}

fn check_snapshot_reads(
    world: &World,
    txn: Txn,
    client: &Client,
    reads: &[(Key, Seen)],
    observations: &mut Vec<Observation>,
) -> Result<(), Violation> {
    let at = client.snapshot;
    for (key, seen) in reads {
        let expected = newest(&world.truth[*key], at, Bound::AtOrBelow, txn);
        if expected != *seen {
            let text = format!("snapshot: {txn} at {at} saw {seen:?} of {key}, is {expected:?}");
            return Err(Violation(text));
        }
        observations.push(Observation { key: *key, at, bound: Bound::AtOrBelow });
    }
    Ok(())
}

/// A snapshot shows everything acknowledged before it was asked for.
fn check_age(world: &World, txn: Txn, client: &Client) -> Result<(), Violation> {
    if client.snapshot == Timestamp::ZERO {
        return Ok(());
    }
    for (other, acknowledged) in world.clients.iter().enumerate() {
        if client.before >> other & 1 == 1
            && acknowledged.phase == Phase::Committed
            && acknowledged.logged
            && acknowledged.execute_at > client.snapshot
        {
            return Err(Violation(format!("age: the snapshot of {txn} misses {other}")));
        }
    }
    Ok(())
}

fn check_abort(txn: Txn, client: &Client) -> Result<(), Violation> {
    match &client.aborted_by {
        Some(abort) if client.phase == Phase::Aborted && !script::is_expected(abort) => {
            Err(Violation(format!("abort: {txn} was refused by {abort:?}")))
        }
        _ => Ok(()),
    }
}

/// The order of writes of each key, of reads among them, and of real time has no cycle.
fn check_one_order(
    world: &World,
    took_effect: &[bool],
    observations: &[Vec<Observation>],
) -> Result<(), Violation> {
    let count = world.clients.len();
    let mut after = vec![0u32; count];
    for (key, truth) in world.truth.iter().enumerate() {
        let mut writes = truth.clone();
        writes.sort_unstable();
        for pair in writes.windows(2) {
            after[pair[0].txn] |= 1 << pair[1].txn;
        }
        for (reader, of_reader) in observations.iter().enumerate() {
            for observation in of_reader.iter().filter(|observation| observation.key == key) {
                for write in writes.iter().filter(|write| write.txn != reader) {
                    if observation.bound.admits(write.execute_at, observation.at) {
                        after[write.txn] |= 1 << reader;
                    } else {
                        after[reader] |= 1 << write.txn;
                    }
                }
            }
        }
    }
    for (later, client) in world.clients.iter().enumerate().filter(|(txn, _)| took_effect[*txn]) {
        for earlier in (0..count).filter(|txn| took_effect[*txn]) {
            if client.before >> earlier & 1 == 1 {
                after[earlier] |= 1 << later;
            }
        }
    }
    for middle in 0..count {
        for first in 0..count {
            if after[first] >> middle & 1 == 1 {
                after[first] |= after[middle];
            }
        }
    }
    match (0..count).find(|txn| after[*txn] >> txn & 1 == 1) {
        None => Ok(()),
        Some(txn) => Err(Violation(format!("order: a cycle through {txn}"))),
    }
}
