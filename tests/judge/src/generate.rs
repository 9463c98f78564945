//! Seeded histories: right by construction, or spoiled by a named fault of the store.
//!
//! Clients are simulated over one store that executes a whole transaction at one moment between its invocation and its end, so the history is strictly serializable whatever the
//! interleaving. Some end unknown, before or after they took effect, and some of those take effect long after their client gave up; some fail and never do. A [`Fault`] makes the store
//! wrong for some transactions. The moment of execution is kept as `execute_at`, so that the black box and the replay judge the same history.

use crate::history::{KeyRange, Operation, Outcome, Transaction};
use crate::random::Random;
use std::collections::BTreeMap;

/// How a store is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Acknowledges and forgets the writes.
    LosesWrites,
    /// Answers reads from a state some transactions old.
    ReadsStale,
    /// Lets a transaction that failed take effect.
    AppliesFailed,
    /// Executes the first half of a transaction now and the second some transactions later.
    Splits,
    /// Reads at its invocation and writes at its end, without looking for conflicts: lost updates and write skew.
    IgnoresConflicts,
    /// As before, but keeps the first of two writers of one key: snapshot isolation, so write skew only.
    SnapshotOnly,
    /// Takes effect twice.
    AppliesTwice,
    /// Answers a read with the last two values of a list exchanged.
    Reorders,
}

/// Every fault.
pub const FAULTS: &[Fault] = &[
    Fault::LosesWrites,
    Fault::ReadsStale,
    Fault::AppliesFailed,
    Fault::Splits,
    Fault::IgnoresConflicts,
    Fault::SnapshotOnly,
    Fault::AppliesTwice,
    Fault::Reorders,
];

/// What a history looks like.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Clients at once.
    pub processes: u32,
    /// Keys in use at a time.
    pub keys: u64,
    /// Appends to a list before it is replaced by a fresh one.
    pub values_of_list: u64,
    /// Operations of a transaction at most.
    pub operations: u64,
    /// Of a thousand transactions, how many end unknown.
    pub unknown_permille: u64,
    /// Of a thousand, how many fail.
    pub failed_permille: u64,
    /// Of a thousand keys in use, how many are registers.
    pub register_permille: u64,
    /// Whether registers are also deleted, scanned and counted, which the black box does not judge.
    pub ranges: bool,
    /// What is wrong with the store.
    pub fault: Option<Fault>,
    /// Of a thousand transactions, how many suffer the fault.
    pub fault_permille: u64,
}

impl Default for Shape {
    fn default() -> Shape {
        Shape {
            processes: 16,
            keys: 32,
            values_of_list: 32,
            operations: 4,
            unknown_permille: 10,
            failed_permille: 30,
            register_permille: 0,
            ranges: false,
            fault: None,
            fault_permille: 20,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    List(Vec<u64>),
    Register(u64),
}

type Store = BTreeMap<u64, Value>;

/// A transaction that a client has open.
struct Open {
    transaction: Transaction,
    /// For faults that read there.
    at_invocation: Option<Store>,
    executed: bool,
    spoiled: bool,
}

/// A stream of transactions in the order of their ends.
pub struct Generator {
    shape: Shape,
    random: Random,
    store: Store,
    /// As the store was at some earlier moments.
    older: Vec<Store>,
    open: Vec<Option<Open>>,
    processes: Vec<u32>,
    next_process: u32,
    /// Gave up; may still take effect, or the second half of one that was split.
    late: Vec<Vec<Operation>>,
    keys: Vec<(u64, u64)>,
    next_key: u64,
    next_value: u64,
    now: u64,
    moment: u128,
    written_at: BTreeMap<u64, u64>,
    begun: BTreeMap<u32, u64>,
}

const OLDER_KEPT: usize = 8;
const LATE_KEPT: usize = 64;

impl Generator {
    /// From a seed.
    pub fn new(shape: Shape, seed: u64) -> Generator {
        let processes: Vec<u32> = (0..shape.processes).collect();
        let keys = (0..shape.keys).map(|key| (key, 0)).collect();
        Generator {
            random: Random::new(seed),
            store: Store::new(),
            older: Vec::new(),
            open: processes.iter().map(|_| None).collect(),
            next_process: shape.processes,
            processes,
            late: Vec::new(),
            keys,
            next_key: shape.keys,
            next_value: 1,
            now: 0,
            moment: 0,
            written_at: BTreeMap::new(),
            begun: BTreeMap::new(),
            shape,
        }
    }

    /// Ends what is open and reads every key in use, so that nothing acknowledged is unread and no transaction open.
    pub fn settle(&mut self) -> Vec<Transaction> {
        let mut ended = Vec::new();
        for client in 0..self.open.len() {
            while self.open[client].is_some() {
                ended.extend(self.step_of(client));
            }
        }
        let keys: Vec<u64> = self.keys.iter().map(|(key, _)| *key).collect();
        ended.push(self.read_all(&keys));
        ended
    }

    /// One transaction that reads lists.
    pub fn read_all(&mut self, keys: &[u64]) -> Transaction {
        let lists = keys.iter().filter(|key| !self.is_register(**key));
        let operations =
            lists.map(|key| Operation::List { key: *key, values: Vec::new() }).collect();
        let mut transaction = self.transaction(u32::MAX, operations);
        for operation in &mut transaction.operations {
            execute(&mut self.store, operation);
        }
        self.moment += 1;
        transaction.execute_at = Some(self.moment);
        transaction.completed = self.tick();
        transaction
    }

    fn tick(&mut self) -> u64 {
        // Equal times now and then: they order nothing.
        self.now += self.random.below(4);
        self.now
    }

    fn transaction(&mut self, process: u32, operations: Vec<Operation>) -> Transaction {
        let invoked = self.tick();
        let outcome = Outcome::Committed;
        Transaction { process, invoked, completed: invoked, outcome, execute_at: None, operations }
    }

    fn is_register(&self, key: u64) -> bool {
        key * 7_919 % 1_000 < self.shape.register_permille
    }

    fn operations(&mut self) -> Vec<Operation> {
        let count = 1 + self.random.below(self.shape.operations);
        (0..count).map(|_| self.operation()).collect()
    }

    fn operation(&mut self) -> Operation {
        let place = self.random.below(self.keys.len() as u64) as usize;
        let key = self.keys[place].0;
        let writes = self.random.permille(500);
        if self.is_register(key) {
            if self.shape.ranges && self.random.permille(200) {
                let range = KeyRange { start: key, end: key + self.random.below(8) };
                return match self.random.below(3) {
                    0 => Operation::Delete { key },
                    1 => Operation::Scan { range, rows: Vec::new() },
                    _ => Operation::Count { range, count: 0 },
                };
            }
            if !writes {
                return Operation::Read { key, value: None };
            }
        } else if !writes {
            return Operation::List { key, values: Vec::new() };
        }
        let value = self.next_value;
        self.next_value += 1;
        if self.is_register(key) {
            return Operation::Write { key, value };
        }
        self.keys[place].1 += 1;
        if self.keys[place].1 >= self.shape.values_of_list {
            self.keys[place] = (self.next_key, 0);
            self.next_key += 1;
        }
        Operation::Append { key, value }
    }

    fn invoke(&mut self, client: usize) {
        let operations = self.operations();
        let spoiled = self.shape.fault.is_some() && self.random.permille(self.shape.fault_permille);
        let at_invocation = match self.shape.fault {
            Some(Fault::IgnoresConflicts | Fault::SnapshotOnly) if spoiled => {
                Some(self.store.clone())
            }
            _ => None,
        };
        self.begun.insert(client as u32, self.moment as u64);
        let transaction = self.transaction(self.processes[client], operations);
        let open = Open { transaction, at_invocation, executed: false, spoiled };
        self.open[client] = Some(open);
    }

    /// Invokes, executes or ends a client's transaction; gives it at its end.
    fn step_of(&mut self, client: usize) -> Option<Transaction> {
        if self.random.permille(100) && !self.late.is_empty() {
            let place = self.random.below(self.late.len() as u64) as usize;
            let mut operations = self.late.swap_remove(place);
            self.moment += 1;
            operations.iter_mut().for_each(|operation| execute(&mut self.store, operation));
        }
        let Some(mut open) = self.open[client].take() else {
            self.invoke(client);
            return None;
        };
        if !open.executed {
            self.decide(client, &mut open);
            if open.transaction.outcome == Outcome::Unknown {
                return Some(self.give_up(client, open));
            }
            self.open[client] = Some(open);
            return None;
        }
        open.transaction.completed = self.tick();
        Some(open.transaction)
    }

    fn decide(&mut self, client: usize, open: &mut Open) {
        open.executed = true;
        let fate = self.random.below(1_000);
        if fate < self.shape.failed_permille {
            open.transaction.outcome = Outcome::Failed;
            if self.shape.fault == Some(Fault::AppliesFailed) && open.spoiled {
                self.execute(client, open);
                open.transaction.execute_at = None;
            }
            let writes = |operation: &Operation| is_write(operation);
            open.transaction.operations.retain(writes);
        } else if fate < self.shape.failed_permille + self.shape.unknown_permille {
            open.transaction.outcome = Outcome::Unknown;
        } else {
            self.execute(client, open);
        }
    }

    /// The client never learns; it goes on under another number.
    fn give_up(&mut self, client: usize, mut open: Open) -> Transaction {
        match self.random.below(3) {
            0 => self.execute(client, &mut open),
            1 if self.late.len() < LATE_KEPT && !self.shape.ranges => {
                self.late.push(open.transaction.operations.clone());
            }
            _ => {}
        }
        let answered = self.random.below(2) == 0 && open.transaction.execute_at.is_some();
        if !answered {
            open.transaction.operations.retain(is_write);
        }
        open.transaction.completed = self.tick();
        self.processes[client] = self.next_process;
        self.next_process += 1;
        open.transaction
    }

    fn execute(&mut self, client: usize, open: &mut Open) {
        self.moment += 1;
        open.transaction.execute_at = Some(self.moment);
        if self.shape.fault == Some(Fault::ReadsStale) {
            if self.older.len() >= OLDER_KEPT {
                self.older.remove(0);
            }
            self.older.push(self.store.clone());
        }
        match self.shape.fault.filter(|_fault| open.spoiled) {
            Some(fault) => self.execute_spoiled(client, open, fault),
            None => {
                let operations = open.transaction.operations.iter_mut();
                operations.for_each(|operation| execute(&mut self.store, operation));
            }
        }
        for operation in open.transaction.operations.iter().filter(|it| is_write(it)) {
            let key = operation.key().unwrap_or(0);
            self.written_at.insert(key, self.moment as u64);
        }
    }

    fn execute_spoiled(&mut self, client: usize, open: &mut Open, fault: Fault) {
        let snapshot = open.at_invocation.take();
        let operations = &mut open.transaction.operations;
        match fault {
            Fault::AppliesFailed => {
                operations.iter_mut().for_each(|operation| execute(&mut self.store, operation));
            }
            Fault::LosesWrites => {
                let mut forgotten = self.store.clone();
                operations.iter_mut().for_each(|operation| execute(&mut forgotten, operation));
            }
            Fault::ReadsStale => {
                let mut stale = self.random.pick(&self.older).clone();
                apart(&mut stale, &mut self.store, operations);
            }
            Fault::IgnoresConflicts => {
                apart(&mut snapshot.unwrap_or_default(), &mut self.store, operations);
            }
            Fault::SnapshotOnly => {
                let begun = self.begun.get(&(client as u32)).copied().unwrap_or(0);
                let conflict = operations.iter().filter(|it| is_write(it)).any(|operation| {
                    let at = operation.key().and_then(|key| self.written_at.get(&key));
                    at.is_some_and(|at| *at > begun)
                });
                let snapshot = snapshot.filter(|_| !conflict);
                let mut snapshot = snapshot.unwrap_or_else(|| self.store.clone());
                apart(&mut snapshot, &mut self.store, operations);
            }
            Fault::AppliesTwice => {
                operations.iter_mut().for_each(|operation| execute(&mut self.store, operation));
                let again = operations.iter().filter(|it| is_write(it)).cloned().collect();
                self.later(again);
            }
            Fault::Splits => {
                let half = operations.len() / 2;
                let (first, second) = operations.split_at_mut(half);
                first.iter_mut().for_each(|operation| execute(&mut self.store, operation));
                let mut imagined = self.store.clone();
                second.iter_mut().for_each(|operation| execute(&mut imagined, operation));
                let second = second.to_vec();
                self.later(second);
            }
            Fault::Reorders => {
                for operation in operations.iter_mut() {
                    execute(&mut self.store, operation);
                    if let Operation::List { values, .. } = operation
                        && let [.., one, other] = &mut values[..]
                    {
                        std::mem::swap(one, other);
                    }
                }
            }
        }
    }

    fn later(&mut self, operations: Vec<Operation>) {
        if self.late.len() < LATE_KEPT {
            self.late.push(operations);
        }
    }
}

impl Iterator for Generator {
    type Item = Transaction;

    fn next(&mut self) -> Option<Transaction> {
        loop {
            let client = self.random.below(self.open.len() as u64) as usize;
            if let Some(ended) = self.step_of(client) {
                return Some(ended);
            }
        }
    }
}

/// Whether an operation changes something.
pub fn is_write(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::Append { .. } | Operation::Write { .. } | Operation::Delete { .. }
    )
}

/// Reads in one state, writes in both.
fn apart(reads: &mut Store, writes: &mut Store, operations: &mut [Operation]) {
    for operation in operations {
        execute(reads, operation);
        if is_write(operation) {
            execute(writes, operation);
        }
    }
}

/// Executes one operation and fills in its answer.
fn execute(store: &mut Store, operation: &mut Operation) {
    match operation {
        Operation::Append { key, value } => {
            let list = store.entry(*key).or_insert_with(|| Value::List(Vec::new()));
            if let Value::List(values) = list {
                values.push(*value);
            }
        }
        Operation::List { key, values } => {
            *values = match store.get(key) {
                Some(Value::List(held)) => held.clone(),
                _ => Vec::new(),
            };
        }
        Operation::Write { key, value } => {
            store.insert(*key, Value::Register(*value));
        }
        Operation::Read { key, value } => {
            *value = match store.get(key) {
                Some(Value::Register(held)) => Some(*held),
                _ => None,
            };
        }
        Operation::Delete { key } => {
            store.remove(key);
        }
        Operation::Scan { range, rows } => *rows = registers(store, *range),
        Operation::Count { range, count } => *count = registers(store, *range).len() as u64,
    }
}

fn registers(store: &Store, range: KeyRange) -> Vec<(u64, u64)> {
    let held = store.range(range.start..range.end.max(range.start));
    held.filter_map(|(key, value)| match value {
        Value::Register(value) => Some((*key, *value)),
        Value::List(_) => None,
    })
    .collect()
}
