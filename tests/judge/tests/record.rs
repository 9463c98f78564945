//! The recorder over stores in memory: one that is right, whose connections break in every way, and one that loses updates.
//!
//! The first must be judged clean, whatever its clients were told: that is what the recorder's rules about unknown outcomes are for.

use judge::record::{Client, Ended, Policy, RecordError, Registers, Site, Workload, record};
use judge::{Judge, Operation, Outcome, Random, Transaction};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Lists = Arc<Mutex<BTreeMap<u64, Vec<u64>>>>;

/// How a store treats its clients.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manners {
    /// Right, but connections are refused, lost before and after the commit, and stop answering.
    Rough,
    /// Answers reads from the state at the end of the client's transaction before.
    Loses,
    /// Refuses every transaction.
    RefusesAll,
}

struct Store {
    manners: Manners,
    lists: Lists,
    /// Refuses some of the connections.
    attempts: AtomicU64,
    /// Clients that stopped answering wait for the end of this.
    stopped: Mutex<Vec<Sender<()>>>,
}

impl Store {
    fn new(manners: Manners) -> Store {
        Store {
            manners,
            lists: Lists::default(),
            attempts: AtomicU64::new(0),
            stopped: Mutex::new(Vec::new()),
        }
    }
}

struct Connected {
    manners: Manners,
    lists: Lists,
    random: Random,
    /// What the store held at the end of its transaction before.
    before: BTreeMap<u64, Vec<u64>>,
    released: Receiver<()>,
}

impl Site for Store {
    type Client = Connected;
    type Error = &'static str;

    fn connect(&self, process: u32) -> Result<Connected, &'static str> {
        let attempt = self.attempts.fetch_add(1, Ordering::Relaxed);
        if self.manners == Manners::Rough && attempt % 3 == 1 {
            return Err("refused");
        }
        let (sender, released) = channel();
        self.stopped.lock().expect("no panic").push(sender);
        let random = Random::new(u64::from(process));
        Ok(Connected {
            manners: self.manners,
            lists: self.lists.clone(),
            random,
            before: BTreeMap::new(),
            released,
        })
    }
}

fn executed(lists: &mut BTreeMap<u64, Vec<u64>>, planned: &[Operation]) -> Vec<Operation> {
    let mut done = planned.to_vec();
    for operation in &mut done {
        match operation {
            Operation::Append { key, value } => lists.entry(*key).or_default().push(*value),
            Operation::List { key, values } => {
                *values = lists.get(key).cloned().unwrap_or_default();
            }
            _ => unreachable!("the workload has lists only"),
        }
    }
    done
}

fn writes(planned: &[Operation]) -> impl Iterator<Item = Operation> + '_ {
    let append = |operation: &&Operation| matches!(operation, Operation::Append { .. });
    planned.iter().filter(append).cloned()
}

impl Client for Connected {
    fn run(&mut self, planned: &[Operation], done: &mut Vec<Operation>) -> Ended {
        let committed = Ended::Committed { execute_at: None };
        if self.manners == Manners::RefusesAll {
            return Ended::Failed;
        }
        if self.manners == Manners::Loses {
            let mut stale = self.before.clone();
            done.extend(executed(&mut stale, planned));
            let appends: Vec<Operation> = writes(planned).collect();
            let mut lists = self.lists.lock().expect("no panic");
            executed(&mut lists, &appends);
            self.before = lists.clone();
            return committed;
        }
        let fate = self.random.below(100);
        match fate {
            0 => {
                // Stops answering, and executes only when it is released, at the end of the test.
                let _end = self.released.recv();
                done.extend(executed(&mut self.lists.lock().expect("no panic"), planned));
                committed
            }
            1..=3 => {
                done.extend(writes(planned));
                Ended::Unknown
            }
            4..=9 => {
                done.extend(writes(planned));
                if fate % 2 == 0 { Ended::Failed } else { Ended::FailedAndLost }
            }
            _ => {
                let mut lists = self.lists.lock().expect("no panic");
                let answered = executed(&mut lists, planned);
                drop(lists);
                if fate < 13 {
                    done.extend(writes(planned));
                    return Ended::Unknown;
                }
                done.extend(answered);
                committed
            }
        }
    }
}

fn recorded(
    store: &Store,
    policy: &Policy,
    workload: &Workload,
) -> (Vec<Transaction>, Result<(), RecordError>) {
    let mut history = Vec::new();
    let result = record(store, workload, policy, 1, |transaction| {
        history.push(transaction);
        ControlFlow::Continue(())
    });
    (history, result)
}

fn policy() -> Policy {
    Policy {
        clients: 4,
        transactions: 300,
        patience: Duration::from_millis(20),
        pause: Duration::from_millis(1),
        ..Policy::default()
    }
}

#[test]
fn broken_connections_are_no_anomaly() {
    let store = Store::new(Manners::Rough);
    let workload = Workload::new(Registers::None, 0, 4, 3);
    let (history, result) = recorded(&store, &policy(), &workload);
    assert_eq!(result, Ok(()));
    let count = |outcome| history.iter().filter(|it| it.outcome == outcome).count();
    let (unknown, failed) = (count(Outcome::Unknown), count(Outcome::Failed));
    assert!(unknown > 20 && failed > 20, "{unknown} unknown, {failed} failed");
    let mut judge = Judge::new();
    history.iter().for_each(|transaction| judge.feed(transaction).expect("a history"));
    let verdict = judge.finish().expect("a history");
    assert!(verdict.is_clean(), "{verdict}");
    // After an unknown end the client goes on under another number.
    let gone = history.iter().filter(|it| it.outcome == Outcome::Unknown);
    for (process, completed) in gone.map(|it| (it.process, it.completed)) {
        let later = history.iter().any(|it| it.process == process && it.invoked >= completed);
        assert!(!later, "process {process} went on after {completed}");
    }
    // Every list was read at the end by a transaction that committed.
    for key in workload.lists() {
        let read = history.iter().rev().take(workload.lists().len()).any(|it| {
            it.outcome == Outcome::Committed
                && it
                    .operations
                    .iter()
                    .any(|one| matches!(one, Operation::List { key: read, .. } if *read == key))
        });
        assert!(read, "list {key}");
    }
}

#[test]
fn a_store_that_loses_updates_is_found_and_the_caller_may_break_off() {
    let store = Store::new(Manners::Loses);
    let workload = Workload::new(Registers::None, 0, 2, 4);
    let policy = Policy { transactions: 100_000, ..policy() };
    let (mut fed, mut verdict) = (0u64, None);
    let mut judge = Judge::new();
    let result = record(&store, &workload, &policy, 1, |transaction| {
        judge.feed(&transaction).expect("a history");
        fed += 1;
        if fed % 2_000 > 0 {
            return ControlFlow::Continue(());
        }
        verdict = Some(std::mem::take(&mut judge).finish().expect("a history"));
        ControlFlow::Break(())
    });
    assert_eq!(result, Ok(()));
    assert_eq!(fed, 2_000, "nothing comes after the caller broke off");
    let verdict = verdict.expect("it was reached");
    assert!(!verdict.holds(judge::Level::Serializable), "{verdict}");
}

#[test]
fn a_site_that_never_works_ends_with_an_error() {
    let workload = Workload::new(Registers::None, 0, 2, 4);
    let few = Policy { failures: 5, ..policy() };
    let (history, result) = recorded(&Store::new(Manners::RefusesAll), &few, &workload);
    assert!(matches!(result, Err(RecordError::OnlyFailures { .. })), "{result:?}");
    assert_eq!(history.len(), 20, "five of each client");
    struct Nowhere;
    impl Site for Nowhere {
        type Client = Connected;
        type Error = &'static str;
        fn connect(&self, _process: u32) -> Result<Connected, &'static str> {
            Err("nobody is there")
        }
    }
    let policy = Policy { connects: 3, ..policy() };
    let result = record(&Nowhere, &workload, &policy, 1, |_transaction| ControlFlow::Continue(()));
    let Err(RecordError::NoConnection { error, .. }) = result else { panic!("{result:?}") };
    assert_eq!(error, "nobody is there");
}
