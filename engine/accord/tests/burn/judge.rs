//! Judges a finished run: replicas agree, answers are kept, every read is the state before it in one order, and that order
//! can be reconciled with real time.

use std::collections::BTreeMap;

use accord::TxnId;
use accord::cluster::Response;
use types::Timestamp;

use crate::cluster::Cluster;
use crate::lists::{Touch, decode};

/// When each transaction that took effect did, by number.
type Fates = BTreeMap<u32, (TxnId, Timestamp)>;

pub fn judge(cluster: &Cluster) -> Result<(), String> {
    let fates = fates(cluster)?;
    agreements_agree(cluster)?;
    answers_are_kept(cluster, &fates)?;
    replicas_hold_the_same(cluster)?;
    reads_are_right(cluster, &fates)?;
    snapshots_are_right(cluster, &fates)?;
    real_time_agrees(cluster, &fates)
}

/// Which transactions took effect, by number.
fn fates(cluster: &Cluster) -> Result<BTreeMap<u32, (TxnId, Timestamp)>, String> {
    let mut fates = BTreeMap::new();
    for txn_id in cluster.invalidated() {
        if cluster.fates.contains_key(&txn_id) {
            return Err(format!("{txn_id} is applied and invalidated"));
        }
    }
    for (txn_id, fate) in &cluster.fates {
        if fates.insert(fate.number, (*txn_id, fate.execute_at)).is_some() {
            return Err(format!("transaction {} took effect twice", fate.number));
        }
    }
    Ok(fates)
}

/// What one replica waits for and another does not never executes before it.
fn agreements_agree(cluster: &Cluster) -> Result<(), String> {
    for (txn_id, dep) in &cluster.disputed {
        if let (Some(fate), Some(other)) = (cluster.fates.get(txn_id), cluster.fates.get(dep))
            && other.execute_at < fate.execute_at
        {
            return Err(format!("agreement: only some replicas wait with {txn_id} for {dep}"));
        }
    }
    Ok(())
}

fn answers_are_kept(cluster: &Cluster, fates: &Fates) -> Result<(), String> {
    for asked in &cluster.asked {
        let number = asked.transaction.number;
        match (&asked.answered, fates.get(&number)) {
            (Some((_, Response::Committed { txn_id, execute_at, .. })), Some(fate))
                if *fate == (*txn_id, *execute_at) => {}
            (Some((_, Response::Committed { .. })), _) => {
                return Err(format!("durability: acknowledged transaction {number} is lost"));
            }
            (Some((_, Response::Invalidated { .. })), Some(_)) => {
                return Err(format!("transaction {number} was given up and took effect"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn replicas_hold_the_same(cluster: &Cluster) -> Result<(), String> {
    for (range, of) in cluster.topology.ranges() {
        let first = cluster.held(range, of.replicas()[0]);
        for node in &of.replicas()[1..] {
            if cluster.held(range, *node) != first {
                return Err(format!("convergence: {range:?} differs on {node}"));
            }
        }
    }
    Ok(())
}

/// In the order of their times, every transaction saw what those before it had left.
fn reads_are_right(cluster: &Cluster, fates: &Fates) -> Result<(), String> {
    let mut order: Vec<(Timestamp, u32)> =
        fates.iter().map(|(number, fate)| (fate.1, *number)).collect();
    order.sort_unstable();
    let mut lists: BTreeMap<u16, Vec<u32>> = BTreeMap::new();
    for (_, number) in order {
        let asked = &cluster.asked[number as usize - 1];
        let mut expected = Vec::new();
        for (key, touch) in &asked.transaction.touches {
            let list = lists.entry(*key).or_default();
            if *touch != Touch::Replace {
                expected.push(list.len() as u32);
                expected.extend(list.iter());
            }
            match touch {
                Touch::Read => {}
                Touch::Append => list.push(number),
                Touch::Replace => *list = vec![number],
            }
        }
        if let Some((_, Response::Committed { reply, .. })) = &asked.answered {
            let seen = decode(reply);
            if seen != expected {
                return Err(format!("order: transaction {number} saw {seen:?}, not {expected:?}"));
            }
        }
    }
    for (range, of) in cluster.topology.ranges() {
        for (key, versions) in cluster.held(range, of.replicas()[0]) {
            let newest = versions.values().next_back().expect("never empty");
            if newest != &lists[&key] {
                return Err(format!("order: key {key} ends as {newest:?}, not {:?}", lists[&key]));
            }
        }
    }
    Ok(())
}

/// A snapshot is what everything below it has left, and everything acknowledged before it was asked for is below.
fn snapshots_are_right(cluster: &Cluster, fates: &Fates) -> Result<(), String> {
    let mut order: Vec<(Timestamp, u32)> =
        fates.iter().map(|(number, fate)| (fate.1, *number)).collect();
    order.sort_unstable();
    for snapshot in &cluster.snapshots {
        let Some((sync_point, lists)) = &snapshot.taken else { continue };
        let mut expected: BTreeMap<u16, Vec<u32>> = BTreeMap::new();
        for (_, number) in order.iter().filter(|(at, _)| *at < sync_point.0) {
            for (key, touch) in &cluster.asked[*number as usize - 1].transaction.touches {
                match touch {
                    Touch::Read => {}
                    Touch::Append => expected.entry(*key).or_default().push(*number),
                    Touch::Replace => *expected.entry(*key).or_default() = vec![*number],
                }
            }
        }
        if *lists != expected {
            return Err(format!("snapshot: at {sync_point} are {lists:?}, not {expected:?}"));
        }
        for asked in &cluster.asked {
            if let Some((at, Response::Committed { execute_at, .. })) = &asked.answered
                && *at < snapshot.submitted
                && *execute_at > sync_point.0
            {
                let number = asked.transaction.number;
                return Err(format!("snapshot: {sync_point} is below transaction {number}"));
            }
        }
    }
    Ok(())
}

/// The conflicts' order and real time have no cycle. Real time is a chain of moments: an answer comes before its moment, a
/// submission after the moments before it.
fn real_time_agrees(cluster: &Cluster, fates: &Fates) -> Result<(), String> {
    let count = cluster.asked.len();
    let mut moments: Vec<(u64, u32)> = Vec::new();
    for asked in &cluster.asked {
        let number = asked.transaction.number;
        if let Some((at, Response::Committed { .. })) = &asked.answered {
            moments.push((*at, number));
        }
    }
    moments.sort_unstable();
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); 1 + count + moments.len()];
    for (index, (_, number)) in moments.iter().enumerate() {
        after[*number as usize].push(1 + count + index);
        if index > 0 {
            after[count + index].push(1 + count + index);
        }
    }
    for asked in &cluster.asked {
        let number = asked.transaction.number as usize;
        let before = moments.partition_point(|(at, _)| *at < asked.submitted);
        if before > 0 && fates.contains_key(&(number as u32)) {
            after[count + before].push(number);
        }
    }
    let mut by_key: BTreeMap<u16, Vec<(Timestamp, u32, bool)>> = BTreeMap::new();
    for (number, fate) in fates {
        for (key, touch) in &cluster.asked[*number as usize - 1].transaction.touches {
            let writes = *touch != Touch::Read;
            by_key.entry(*key).or_default().push((fate.1, *number, writes));
        }
    }
    for touched in by_key.values_mut() {
        touched.sort_unstable();
        let mut reads: Vec<usize> = Vec::new();
        let mut last_write = None;
        for (_, number, writes) in touched.iter() {
            let number = *number as usize;
            if let Some(write) = last_write {
                let edges: &mut Vec<usize> = &mut after[write];
                edges.push(number);
            }
            if *writes {
                for read in reads.drain(..) {
                    after[read].push(number);
                }
                last_write = Some(number);
            } else {
                reads.push(number);
            }
        }
    }
    if let Some(cycle) = find_cycle(&after) {
        let shown: Vec<String> = cycle
            .iter()
            .map(|at| if *at <= count { format!("transaction {at}") } else { "real time".into() })
            .collect();
        return Err(format!("strictness: a cycle of {}", shown.join(" -> ")));
    }
    Ok(())
}

fn find_cycle(after: &[Vec<usize>]) -> Option<Vec<usize>> {
    let mut state = vec![0u8; after.len()];
    for start in 0..after.len() {
        if state[start] != 0 {
            continue;
        }
        let mut path = vec![(start, 0usize)];
        state[start] = 1;
        while let Some((at, next)) = path.last_mut() {
            let Some(&to) = after[*at].get(*next) else {
                state[*at] = 2;
                path.pop();
                continue;
            };
            *next += 1;
            match state[to] {
                0 => {
                    state[to] = 1;
                    path.push((to, 0));
                }
                1 => {
                    let from = path.iter().position(|(on, _)| *on == to).unwrap_or(0);
                    return Some(path[from..].iter().map(|(on, _)| *on).collect());
                }
                _ => {}
            }
        }
    }
    None
}
