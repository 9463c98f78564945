//! Who judges the judge: on small histories every order is tried, and the verdict must be the same at every level.
//!
//! The histories are random and about half of them wrong: a serial execution, with answers, outcomes and times then changed at random. For lists agreement is both ways; with registers, whose
//! versions the judge orders only in part, what it finds must be there. `JUDGE_HISTORIES=200000` runs as many as the design asks; CI runs fewer.

use judge::generate::is_write;
use judge::{Bounds, Judge, Level, Online, Operation, Outcome, Random, Settled, Transaction};

const LEVELS: [Level; 3] = [Level::Serializable, Level::Process, Level::RealTime];
const KEYS: u64 = 3;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    Lists,
    Registers,
}

/// Every order of the committed and any of the unknown, as long as answers fit.
struct Orders<'a> {
    history: &'a [Transaction],
    level: Level,
    lists: Vec<Vec<u64>>,
    done: Vec<bool>,
}

impl Orders<'_> {
    fn precedes(&self, a: &Transaction, b: &Transaction) -> bool {
        if a.outcome != Outcome::Committed {
            return false;
        }
        let process = a.process == b.process && a.invoked < b.invoked;
        match self.level {
            Level::Serializable => false,
            Level::Process => process,
            Level::RealTime => process || a.completed < b.invoked,
        }
    }

    fn exists(&mut self) -> bool {
        let open = |(index, transaction): (usize, &Transaction)| {
            !self.done[index] && transaction.outcome == Outcome::Committed
        };
        if !self.history.iter().enumerate().any(open) {
            return true;
        }
        for index in 0..self.history.len() {
            let next = &self.history[index];
            if self.done[index] || next.outcome == Outcome::Failed {
                continue;
            }
            let early = |(other, before): (usize, &Transaction)| {
                other != index && !self.done[other] && self.precedes(before, next)
            };
            if self.history.iter().enumerate().any(early) {
                continue;
            }
            let saved = self.lists.clone();
            self.done[index] = true;
            if self.fits(index) && self.exists() {
                return true;
            }
            self.done[index] = false;
            self.lists = saved;
        }
        false
    }

    /// Executes one; whether its answers are right. A register is a list of one.
    fn fits(&mut self, index: usize) -> bool {
        let history = self.history;
        history[index].operations.iter().all(|operation| match operation {
            Operation::Append { key, value } => {
                self.lists[*key as usize].push(*value);
                true
            }
            Operation::List { key, values } => self.lists[*key as usize] == *values,
            Operation::Write { key, value } => {
                self.lists[*key as usize] = vec![*value];
                true
            }
            Operation::Read { key, value } => {
                self.lists[*key as usize] == value.iter().copied().collect::<Vec<u64>>()
            }
            _ => unreachable!("not generated"),
        })
    }
}

fn explained(history: &[Transaction], level: Level) -> bool {
    let done = vec![false; history.len()];
    let lists = vec![Vec::new(); KEYS as usize];
    Orders { history, level, lists, done }.exists()
}

/// At most seven transactions.
fn history(random: &mut Random, keys: Keys) -> Vec<Transaction> {
    let count = 1 + random.below(7);
    let mut history = executed(random, keys, count, None);
    for _ in 0..random.below(3) {
        spoil(random, &mut history);
    }
    history
}

/// No transaction is open at this time, in a history that was asked to pause.
const PAUSE: u64 = 1_000;

/// A serial execution with overlapping times. Before the transaction of a number there may be a pause, and before it somebody reads everything.
fn executed(
    random: &mut Random,
    keys: Keys,
    count: u64,
    pauses_before: Option<u64>,
) -> Vec<Transaction> {
    let key_count = 1 + random.below(KEYS);
    let mut lists = vec![Vec::<u64>::new(); KEYS as usize];
    let mut history = Vec::new();
    let mut value = 0;
    let mut free = [0u64; 4];
    for number in 0..count {
        // Executes at 10 × number, invoked before and completed after, one at a time in a process.
        let mut moment = 10 * number + 20;
        if pauses_before.is_some_and(|pause| number >= pause) {
            moment += 2 * PAUSE;
        }
        if pauses_before == Some(number) {
            history.push(reads_all(&lists));
        }
        let process = random.below(4) as usize;
        let invoked = moment.saturating_sub(random.below(30)).max(free[process]);
        let completed = moment.max(invoked) + random.below(30);
        free[process] = completed + 1;
        let outcome = match random.below(10) {
            0 => Outcome::Failed,
            1 | 2 => Outcome::Unknown,
            _ => Outcome::Committed,
        };
        let happens = match outcome {
            Outcome::Committed => true,
            Outcome::Failed => random.permille(30),
            Outcome::Unknown => random.permille(600),
        };
        let saved = lists.clone();
        let mut operations = Vec::new();
        for _ in 0..1 + random.below(4) {
            let key = random.below(key_count);
            let list = &mut lists[key as usize];
            let write = random.permille(450);
            if write {
                value += 1;
            }
            operations.push(match (keys, write) {
                (Keys::Lists, false) => Operation::List { key, values: list.clone() },
                (Keys::Registers, false) => Operation::Read { key, value: list.first().copied() },
                (Keys::Lists, true) => {
                    list.push(value);
                    Operation::Append { key, value }
                }
                (Keys::Registers, true) => {
                    *list = vec![value];
                    Operation::Write { key, value }
                }
            });
        }
        if !happens {
            lists = saved;
        }
        let process = process as u32;
        history.push(Transaction {
            process,
            invoked,
            completed,
            outcome,
            execute_at: None,
            operations,
        });
    }
    history
}

/// The last before the pause, by a process of its own.
fn reads_all(lists: &[Vec<u64>]) -> Transaction {
    let read = |(key, values): (usize, &Vec<u64>)| Operation::List {
        key: key as u64,
        values: values.clone(),
    };
    Transaction {
        process: 4,
        invoked: PAUSE - 100,
        completed: PAUSE - 50,
        outcome: Outcome::Committed,
        execute_at: None,
        operations: lists.iter().enumerate().map(read).collect(),
    }
}

fn spoil(random: &mut Random, history: &mut [Transaction]) {
    let values = history.iter().flat_map(|one| &one.operations).filter(|it| is_write(it));
    let values = values.count() as u64;
    let place = random.below(history.len() as u64) as usize;
    let transaction = &mut history[place];
    if random.permille(300) {
        // Only when nothing else of its process is in the way.
        if transaction.process < 4 {
            transaction.process = 10 + place as u32;
            let shift = random.below(40);
            transaction.invoked += shift;
            transaction.completed += shift;
        }
        return;
    }
    let at = random.below(transaction.operations.len() as u64) as usize;
    match &mut transaction.operations[at] {
        Operation::List { values: seen, .. } => match random.below(6) {
            0 | 1 if !seen.is_empty() => {
                seen.pop();
            }
            2 if seen.len() > 1 => {
                let last = seen.len() - 1;
                seen.swap(last, last - 1);
            }
            3 if !seen.is_empty() => {
                seen.remove(0);
            }
            _ => seen.push(1 + random.below(values + 1)),
        },
        Operation::Read { value, .. } => {
            *value = match random.below(4) {
                0 => None,
                _ => Some(1 + random.below(values + 1)),
            };
        }
        _ => {
            let outcomes = [Outcome::Committed, Outcome::Failed, Outcome::Unknown];
            transaction.outcome = *random.pick(&outcomes);
        }
    }
}

fn count() -> u64 {
    let asked = std::env::var("JUDGE_HISTORIES").ok();
    asked.map_or(20_000, |asked| asked.parse().expect("JUDGE_HISTORIES is a number"))
}

fn shuffled(random: &mut Random, history: &[Transaction]) -> Vec<Transaction> {
    let mut left = history.to_vec();
    let mut fed = Vec::new();
    while !left.is_empty() {
        fed.push(left.swap_remove(random.below(left.len() as u64) as usize));
    }
    fed
}

#[test]
fn lists_are_judged_as_by_brute_force() {
    let (mut wrong, mut right) = ([0u64; 3], [0u64; 3]);
    for seed in 0..count() {
        let mut random = Random::new(seed);
        let history = history(&mut random, Keys::Lists);
        let mut judge = Judge::new();
        for transaction in shuffled(&mut random, &history) {
            judge.feed(&transaction).expect("a history");
        }
        let verdict = judge.finish().expect("a history");
        for (place, level) in LEVELS.into_iter().enumerate() {
            let expected = explained(&history, level);
            assert_eq!(
                verdict.holds(level),
                expected,
                "seed {seed}, {level:?}: brute force says {expected}; {verdict}\n{history:#?}"
            );
            *(if expected { &mut right[place] } else { &mut wrong[place] }) += 1;
        }
        assert!(!verdict.search_cut_short, "seed {seed}: nothing to cut short here");
    }
    println!("lists: {} histories; right {right:?}, wrong {wrong:?} by level", count());
    for place in 0..3 {
        assert!(right[place] * 5 > count() && wrong[place] * 10 > count(), "a fair mix");
    }
    assert!(wrong[2] > wrong[0] + count() / 100, "some are wrong by their times only");
}

/// The online judge against the judge of the whole, which the first test holds against brute force.
#[test]
fn online_is_judged_as_the_whole() {
    let (mut wrong, mut settled, mut missed) = (0u64, 0u64, 0u64);
    for seed in 0..count() {
        let mut random = Random::new(seed ^ 0x1234_0000);
        let pause = 1 + random.below(7);
        let number = pause + 1 + random.below(7);
        let mut history = executed(&mut random, Keys::Lists, number, Some(pause));
        for _ in 0..random.below(3) {
            spoil(&mut random, &mut history);
        }
        let (mut whole, mut online) = (Judge::new(), Online::new(Bounds::default()));
        let early = history.iter().filter(|one| one.invoked < PAUSE).count();
        let (early, late) = history.split_at(early);
        for transaction in shuffled(&mut random, early) {
            whole.feed(&transaction).expect("a history");
            online.feed(&transaction).expect("a history");
        }
        settled += u64::from(online.quiescent() == Ok(Settled::Judged));
        for transaction in shuffled(&mut random, late) {
            whole.feed(&transaction).expect("a history");
            online.feed(&transaction).expect("a history");
        }
        let whole = whole.finish().expect("a history");
        let online = online.finish().expect("a history");
        assert_eq!(online.transactions, number + 1, "seed {seed}");
        assert!(
            online.is_clean() || !whole.is_clean(),
            "seed {seed}: there is an order; {online}\n{history:#?}"
        );
        let carried = early.iter().any(|one| one.outcome == Outcome::Unknown);
        assert!(
            whole.is_clean() || !online.is_clean() || carried,
            "seed {seed}: not found: {whole}\n{history:#?}"
        );
        missed += u64::from(!whole.is_clean() && online.is_clean());
        wrong += u64::from(!whole.is_clean());
    }
    println!("online: {} histories, {settled} settled; {wrong} wrong, {missed} missed", count());
    assert!(wrong * 5 > count() && settled * 2 > count() && missed * 50 < wrong, "a fair mix");
}

#[test]
fn what_is_found_in_registers_is_there() {
    let (mut found, mut wrong) = (0u64, 0u64);
    for seed in 0..count() {
        let mut random = Random::new(seed ^ 0xABCD_0000);
        let history = history(&mut random, Keys::Registers);
        let mut judge = Judge::new();
        for transaction in shuffled(&mut random, &history) {
            judge.feed(&transaction).expect("a history");
        }
        let verdict = judge.finish().expect("a history");
        for level in LEVELS {
            let expected = explained(&history, level);
            assert!(
                verdict.holds(level) || !expected,
                "seed {seed}, {level:?}: there is an order; {verdict}\n{history:#?}"
            );
            found += u64::from(!verdict.holds(level));
            wrong += u64::from(!expected);
        }
    }
    println!("registers: {found} of {wrong} wrong ones found");
    assert!(found * 10 > wrong * 7, "{found} of {wrong} wrong ones found");
}
