//! The white box: every transaction names the timestamp at which it took effect; in that order a map of lists and registers must give every answer that clients got.
//!
//! Complete where the black box is not (registers, ranges, counts, deletes), and linear; but it believes the timestamps, which is why both are needed. Streaming: transactions come in any
//! order, and a *watermark* says that none at or below it is still to come; those are executed and forgotten. Real time is checked on the way:
//!
//! - [`RealTime::OfConflicts`], what strict serializability demands: the order of conflicting transactions and real time have no cycle. Each transaction carries the latest moment of
//!   invocation among itself and those that it follows by conflicts. One that completed before such a moment closes a cycle, and every cycle shows so: if each one in it completed no earlier
//!   than the moments it carries, invocations would grow all the way round. Two numbers a key, and a map of ranges that were read.
//! - [`RealTime::Total`]: also transactions without a conflict are in real-time order. A protocol need not promise that, and Accord does not: timestamps come from several clocks.
//!
//! Transactions whose outcome is unknown take effect if they have a timestamp. Cost: one map look-up an operation; memory grows with the data, not the history.

use crate::anomaly::{Anomaly, Kind, Level, Verdict};
use crate::error::HistoryError;
use crate::history::{KeyRange, Operation, Outcome, Transaction};
use crate::mutants;
use std::collections::BTreeMap;

/// What real time demands of the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RealTime {
    /// Nothing that contradicts conflicts.
    OfConflicts,
    /// That timestamps respect it between any two.
    Total,
}

/// The latest invocation among some transactions, and whose it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Bound {
    invoked: u64,
    number: u64,
}

/// A value of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    List(Vec<u64>),
    Register(u64),
}

/// What the accesses to one key leave behind.
#[derive(Clone, Copy, Default)]
struct Accesses {
    read: Bound,
    written: Bound,
}

/// Executes a history in the order of its timestamps.
pub struct Replay {
    real_time: RealTime,
    model: BTreeMap<u64, Value>,
    accesses: BTreeMap<u64, Accesses>,
    /// From a key to the next in the map, this was read as a range.
    ranges: BTreeMap<u64, Bound>,
    waiting: BTreeMap<u128, Vec<(u64, Transaction)>>,
    watermark: Option<u128>,
    latest: Bound,
    fed: u64,
    verdict: Verdict,
}

impl Replay {
    /// An empty model.
    pub fn new(real_time: RealTime) -> Replay {
        Replay {
            real_time,
            model: BTreeMap::new(),
            accesses: BTreeMap::new(),
            ranges: BTreeMap::new(),
            waiting: BTreeMap::new(),
            watermark: None,
            latest: Bound::default(),
            fed: 0,
            verdict: Verdict::default(),
        }
    }

    /// Adds a transaction, in any order above the watermark.
    ///
    /// # Errors
    /// A committed one without its timestamp; one at or below the watermark; one that completed before it began.
    pub fn feed(&mut self, transaction: &Transaction) -> Result<(), HistoryError> {
        let Transaction { invoked, completed, .. } = *transaction;
        if completed < invoked {
            return Err(HistoryError::Backwards { invoked, completed });
        }
        let number = self.fed;
        self.fed += 1;
        let at = match (transaction.outcome, transaction.execute_at) {
            (Outcome::Failed, _) | (Outcome::Unknown, None) => return Ok(()),
            (Outcome::Committed, None) => return Err(HistoryError::NoTimestamp),
            (_, Some(at)) => at,
        };
        if let Some(watermark) = self.watermark
            && at <= watermark
        {
            return Err(HistoryError::Late { execute_at: at, watermark });
        }
        self.waiting.entry(at).or_default().push((number, transaction.clone()));
        Ok(())
    }

    /// Executes everything at or below a watermark.
    pub fn advance(&mut self, watermark: u128) {
        self.watermark = Some(watermark.max(self.watermark.unwrap_or(0)));
        while let Some(entry) = self.waiting.first_entry() {
            if *entry.key() > watermark {
                return;
            }
            let at = *entry.key();
            let same = entry.remove();
            if let [(first, _), (second, _), ..] = same[..] {
                let text = format!("  T{first} and T{second} both execute at {at}");
                self.finds(Kind::SameTimestamp, Level::Serializable, vec![first, second], text);
            }
            for (number, transaction) in same {
                self.execute(number, &transaction);
            }
        }
    }

    /// What was found so far.
    pub fn so_far(&self) -> &Verdict {
        &self.verdict
    }

    /// The end of the history.
    pub fn finish(mut self) -> Verdict {
        self.advance(u128::MAX);
        self.verdict.transactions = self.fed;
        self.verdict
    }

    fn finds(&mut self, kind: Kind, level: Level, transactions: Vec<u64>, text: String) {
        self.verdict.add(Anomaly { kind, level, transactions, text });
    }

    fn execute(&mut self, number: u64, transaction: &Transaction) {
        let mut carried = Bound { invoked: transaction.invoked, number };
        for operation in &transaction.operations {
            carried = carried.max(self.followed(operation));
        }
        let before = match self.real_time {
            RealTime::OfConflicts => carried,
            RealTime::Total => carried.max(self.latest),
        };
        self.latest = self.latest.max(carried);
        let ended = transaction.outcome == Outcome::Committed;
        if ended && before.invoked > transaction.completed {
            let text = format!(
                "  T{number} completed at {}, before T{} was invoked at {}, and executes after it",
                transaction.completed, before.number, before.invoked
            );
            let who = vec![before.number, number];
            self.finds(Kind::RealTimeOrder, Level::RealTime, who, text);
        }
        for (place, operation) in transaction.operations.iter().enumerate() {
            if let Some(expected) = self.step(operation) {
                let text = format!(
                    "  T{number}, operation {place}: {operation:?}; the replay has {expected}"
                );
                self.finds(Kind::WrongRead, Level::Serializable, vec![number], text);
            }
            self.leave(operation, carried);
        }
    }

    /// The latest invocation among the conflicts before an operation.
    fn followed(&self, operation: &Operation) -> Bound {
        let of_key = |key: &u64| self.accesses.get(key).copied().unwrap_or_default();
        match operation {
            Operation::List { key, .. } | Operation::Read { key, .. } => of_key(key).written,
            Operation::Append { key, .. }
            | Operation::Write { key, .. }
            | Operation::Delete { key } => {
                let Accesses { read, written } = of_key(key);
                let range = self.ranges.range(..=key).next_back().map(|(_, bound)| *bound);
                read.max(written).max(range.unwrap_or_default())
            }
            Operation::Scan { range, .. } | Operation::Count { range, .. } => self
                .accesses
                .range(range.start..range.end.max(range.start))
                .map(|(_, accesses)| accesses.written)
                .max()
                .unwrap_or_default(),
        }
    }

    /// Makes later conflicts follow an operation.
    fn leave(&mut self, operation: &Operation, carried: Bound) {
        match operation {
            Operation::List { key, .. } | Operation::Read { key, .. } => {
                let accesses = self.accesses.entry(*key).or_default();
                accesses.read = accesses.read.max(carried);
            }
            Operation::Append { key, .. }
            | Operation::Write { key, .. }
            | Operation::Delete { key } => {
                let accesses = self.accesses.entry(*key).or_default();
                accesses.written = accesses.written.max(carried);
            }
            Operation::Scan { range, .. } | Operation::Count { range, .. } => {
                self.leave_range(*range, carried);
            }
        }
    }

    fn leave_range(&mut self, range: KeyRange, carried: Bound) {
        if range.start >= range.end || mutants::live(mutants::REPLAY_RANGE_BOUNDS_FORGOTTEN) {
            return;
        }
        for edge in [range.start, range.end] {
            let here = self.ranges.range(..=edge).next_back().map(|(_, bound)| *bound);
            self.ranges.entry(edge).or_insert(here.unwrap_or_default());
        }
        for (_, bound) in self.ranges.range_mut(range.start..range.end) {
            *bound = (*bound).max(carried);
        }
    }

    /// Executes one operation; gives what the answer should have been if it is another.
    fn step(&mut self, operation: &Operation) -> Option<String> {
        match operation {
            Operation::Append { key, value } => {
                let list = self.model.entry(*key).or_insert_with(|| Value::List(Vec::new()));
                match list {
                    Value::List(values) => values.push(*value),
                    Value::Register(_) => return Some("a register".into()),
                }
                None
            }
            Operation::List { key, values } => {
                let held = match self.model.get(key) {
                    None => &[][..],
                    Some(Value::List(held)) => held,
                    Some(Value::Register(_)) => return Some("a register".into()),
                };
                let same = match mutants::live(mutants::REPLAY_COMPARES_LENGTHS) {
                    true => held.len() == values.len(),
                    false => held == values,
                };
                (!same).then(|| format!("{held:?}"))
            }
            Operation::Write { key, value } => {
                self.model.insert(*key, Value::Register(*value));
                None
            }
            Operation::Read { key, value } => {
                let held = match self.model.get(key) {
                    None => None,
                    Some(Value::Register(held)) => Some(*held),
                    Some(Value::List(_)) => return Some("a list".into()),
                };
                (held != *value).then(|| format!("{held:?}"))
            }
            Operation::Delete { key } => {
                self.model.remove(key);
                None
            }
            Operation::Scan { range, rows } => {
                let held = self.registers(*range);
                (held != *rows).then(|| format!("{held:?}"))
            }
            Operation::Count { range, count } => {
                let held = self.registers(*range).len() as u64;
                (held != *count).then(|| held.to_string())
            }
        }
    }

    fn registers(&self, range: KeyRange) -> Vec<(u64, u64)> {
        let all = self.model.range(range.start..range.end.max(range.start));
        all.filter_map(|(key, value)| match value {
            Value::Register(value) => Some((*key, *value)),
            Value::List(_) => None,
        })
        .collect()
    }
}
