//! Planted bugs of the checker itself: with each of them live, what the other tests hold against the judges must fail.
//!
//! Only the build with `--cfg mutants` has them (`RUSTFLAGS='--cfg mutants' cargo test --release -p judge --test planted_bugs`); in the normal build the same comparisons must pass. A small brute force,
//! the hand-made rules below and generated histories stand for the other tests here.

use judge::generate::{Fault, Generator, Shape};
use judge::{
    Bounds, Judge, KeyRange, Level, Online, Operation, Outcome, RealTime, Replay, Settled,
    Transaction, Verdict,
};

fn one(process: u32, times: (u64, u64), outcome: Outcome, operations: &[Operation]) -> Transaction {
    let (invoked, completed) = times;
    let operations = operations.to_vec();
    Transaction { process, invoked, completed, outcome, execute_at: None, operations }
}

fn append(key: u64, value: u64) -> Operation {
    Operation::Append { key, value }
}

fn list(key: u64, values: &[u64]) -> Operation {
    Operation::List { key, values: values.to_vec() }
}

fn black_box(history: &[Transaction]) -> Verdict {
    let mut judge = Judge::new();
    history.iter().for_each(|transaction| judge.feed(transaction).expect("a history"));
    judge.finish().expect("a history")
}

/// Histories, each with the names expected; empty for a good one.
fn rules() -> Vec<(Vec<Transaction>, Vec<&'static str>)> {
    use Outcome::{Committed as Ok, Failed, Unknown};
    vec![
        (
            vec![
                one(0, (0, 9), Ok, &[list(1, &[]), append(2, 1)]),
                one(1, (0, 9), Ok, &[list(2, &[]), append(1, 1)]),
                one(2, (20, 29), Ok, &[list(1, &[1]), list(2, &[1])]),
            ],
            vec!["G2"],
        ),
        (
            vec![one(0, (0, 9), Ok, &[append(1, 1)]), one(1, (10, 19), Ok, &[list(1, &[])])],
            vec!["G-single-realtime", "lost-append-realtime"],
        ),
        (
            vec![
                one(0, (0, 10), Ok, &[append(1, 1)]),
                one(1, (10, 19), Ok, &[list(1, &[])]),
                one(2, (20, 29), Ok, &[list(1, &[1])]),
            ],
            vec![],
        ),
        (
            vec![
                one(0, (0, 9), Unknown, &[append(1, 1)]),
                one(1, (10, 19), Ok, &[list(1, &[])]),
                one(2, (20, 29), Ok, &[list(1, &[1])]),
            ],
            vec![],
        ),
        (
            vec![one(0, (0, 9), Failed, &[append(1, 1)]), one(1, (0, 9), Ok, &[list(1, &[1])])],
            vec!["G1a"],
        ),
        (vec![one(0, (0, 9), Ok, &[append(1, 1), list(1, &[1]), append(1, 2)])], vec![]),
        (
            vec![
                one(0, (0, 9), Ok, &[append(1, 1)]),
                one(1, (0, 9), Ok, &[append(1, 2)]),
                one(2, (0, 9), Ok, &[list(1, &[1, 2])]),
                one(3, (0, 9), Ok, &[list(1, &[2, 1])]),
            ],
            vec!["incompatible-order"],
        ),
        (
            vec![one(0, (0, 9), Ok, &[append(1, 1)]), one(1, (10, 19), Ok, &[list(1, &[1, 1])])],
            vec!["duplicate"],
        ),
        (
            vec![
                one(0, (0, 9), Unknown, &[append(1, 1), list(2, &[])]),
                one(1, (0, 9), Ok, &[append(2, 1), list(1, &[])]),
                one(2, (20, 29), Ok, &[list(1, &[1])]),
            ],
            vec!["G2"],
        ),
        (
            vec![
                one(0, (0, 9), Ok, &[append(1, 1)]),
                // Ends after the moment at which the next two begin, so that only the chain leads to them.
                one(1, (10, 99), Ok, &[]),
                one(2, (2, 15), Ok, &[]),
                one(3, (20, 39), Ok, &[list(1, &[])]),
                one(4, (20, 39), Ok, &[list(1, &[1])]),
            ],
            vec!["G-single-realtime"],
        ),
        (
            vec![
                one(0, (0, 9), Ok, &[append(1, 1), append(1, 2)]),
                one(1, (0, 9), Ok, &[list(1, &[1])]),
            ],
            vec!["G-single", "G1b"],
        ),
        (
            vec![
                one(0, (0, 9), Unknown, &[append(1, 1), append(2, 1)]),
                one(1, (20, 29), Ok, &[list(1, &[1]), list(2, &[])]),
            ],
            vec!["G-single"],
        ),
    ]
}

fn rules_hold() -> bool {
    rules().into_iter().all(|(history, names)| {
        let verdict = black_box(&history);
        let found: Vec<&str> = verdict.counts.keys().map(String::as_str).collect();
        found == names
    })
}

fn generated(shape: Shape, seed: u64) -> Vec<Transaction> {
    let mut generator = Generator::new(shape, seed);
    let mut history: Vec<Transaction> = generator.by_ref().take(1_000).collect();
    history.extend(generator.settle());
    history
}

fn generated_are_judged() -> bool {
    let clean = (0..4).all(|seed| {
        let shape = Shape { unknown_permille: 50, ..Shape::default() };
        black_box(&generated(shape, seed)).is_clean()
    });
    clean
        && (0..4).all(|seed| {
            let fault = Some(Fault::Splits);
            let shape = Shape { fault, fault_permille: 200, ..Shape::default() };
            !black_box(&generated(shape, seed)).holds(Level::Serializable)
        })
}

fn replay_is_right() -> bool {
    let at = |execute_at: u128, times, operations: &[Operation]| Transaction {
        execute_at: Some(execute_at),
        ..one(execute_at as u32, times, Outcome::Committed, operations)
    };
    let verdict = |history: &[Transaction]| {
        let mut replay = Replay::new(RealTime::OfConflicts);
        history.iter().for_each(|transaction| replay.feed(transaction).expect("a history"));
        replay.finish()
    };
    let range = KeyRange { start: 0, end: 9 };
    let reordered =
        [at(1, (0, 9), &[append(1, 1), append(1, 2)]), at(2, (0, 9), &[list(1, &[2, 1])])];
    let before_its_time = [
        at(2, (0, 9), &[Operation::Write { key: 5, value: 1 }]),
        at(1, (20, 29), &[Operation::Count { range, count: 0 }]),
    ];
    verdict(&reordered).has("wrong-read") && verdict(&before_its_time).has("order-realtime")
}

fn online_is_right() -> bool {
    let mut judge = Online::new(Bounds::default());
    for transaction in [
        one(0, (0, 9), Outcome::Committed, &[append(1, 1)]),
        one(1, (10, 19), Outcome::Committed, &[list(1, &[1])]),
    ] {
        judge.feed(&transaction).expect("a history");
    }
    let settled = judge.quiescent() == Ok(Settled::Judged);
    judge.feed(&one(0, (30, 39), Outcome::Committed, &[list(1, &[])])).expect("a history");
    settled && judge.finish().expect("a history").has("lost-append-realtime")
}

/// An unknown transaction took effect before the quiescent point, and is seen only after it.
fn the_doubtful_are_carried() -> bool {
    let mut judge = Online::new(Bounds::default());
    for transaction in [
        one(0, (0, 9), Outcome::Unknown, &[list(1, &[]), append(2, 1)]),
        one(1, (10, 19), Outcome::Committed, &[append(1, 1)]),
        one(1, (20, 29), Outcome::Committed, &[list(1, &[1])]),
    ] {
        judge.feed(&transaction).expect("a history");
    }
    let settled = judge.quiescent() == Ok(Settled::Judged);
    judge.feed(&one(1, (30, 39), Outcome::Committed, &[list(2, &[1])])).expect("a history");
    settled && judge.finish().expect("a history").is_clean()
}

fn all_hold() -> bool {
    rules_hold()
        && generated_are_judged()
        && replay_is_right()
        && online_is_right()
        && the_doubtful_are_carried()
}

#[cfg(not(mutants))]
#[test]
fn without_a_bug_all_hold() {
    assert!(rules_hold());
    assert!(generated_are_judged());
    assert!(replay_is_right());
    assert!(online_is_right());
    assert!(the_doubtful_are_carried());
    assert!(all_hold());
}

#[cfg(mutants)]
#[test]
fn every_planted_bug_is_found() {
    use judge::mutants;
    assert!(all_hold(), "with no bug live");
    let mut missed = Vec::new();
    for (mutant, name) in mutants::ALL {
        // A bug that makes the judge panic is found too.
        let held = std::panic::catch_unwind(|| mutants::with(*mutant, all_hold));
        if held.unwrap_or(false) {
            missed.push(*name);
        }
    }
    let all = mutants::ALL.len();
    println!("count: {} of {all} planted bugs of the judge found", all - missed.len());
    assert!(missed.is_empty(), "not found: {missed:?}");
}
