//! Long histories: right by construction, and with every fault of a store, for all judges.

use judge::generate::{FAULTS, Fault, Generator, Shape};
use judge::{
    Bounds, Judge, Level, Online, Operation, Outcome, RealTime, Replay, Settled, Transaction,
    Verdict,
};
use std::collections::BTreeSet;

fn black_box(history: &[Transaction]) -> Verdict {
    let mut judge = Judge::new();
    history.iter().for_each(|transaction| judge.feed(transaction).expect("a history"));
    judge.finish().expect("a history")
}

fn replayed(history: &[Transaction], real_time: RealTime) -> Verdict {
    let mut replay = Replay::new(real_time);
    history.iter().for_each(|transaction| replay.feed(transaction).expect("a history"));
    replay.finish()
}

/// Often enough to show: an old state that is read among sixteen clients is mostly a state that could be read.
fn faulty(fault: Fault) -> Shape {
    Shape { fault: Some(fault), fault_permille: 200, ..Shape::default() }
}

fn generated(shape: &Shape, seed: u64, count: usize) -> Vec<Transaction> {
    let mut generator = Generator::new(shape.clone(), seed);
    let mut history: Vec<Transaction> = generator.by_ref().take(count).collect();
    history.extend(generator.settle());
    history
}

/// Feeds pieces of a history to the online judge, reading what it wants read.
fn online(shape: &Shape, seed: u64, pieces: usize) -> Verdict {
    let mut generator = Generator::new(shape.clone(), seed);
    let mut judge = Online::new(Bounds::default());
    for _ in 0..pieces {
        let mut piece: Vec<Transaction> = generator.by_ref().take(200).collect();
        piece.extend(generator.settle());
        for turn in 0.. {
            piece.iter().for_each(|transaction| judge.feed(transaction).expect("a history"));
            match judge.quiescent().expect("a history") {
                Settled::Judged => break,
                // A store that forgets what it acknowledged never shows it.
                Settled::Waiting { .. } if turn == 3 => return judge.finish().expect("a history"),
                Settled::Waiting { unread } => piece = vec![generator.read_all(&unread)],
            }
        }
    }
    judge.finish().expect("a history")
}

#[test]
fn right_histories_are_clean() {
    for seed in 0..60 {
        let mut shape = Shape {
            processes: 1 + seed as u32 % 20,
            keys: 1 + seed % 7 * 6,
            values_of_list: 4 + seed % 30,
            operations: 1 + seed % 9,
            unknown_permille: seed % 4 * 60,
            failed_permille: seed % 3 * 80,
            register_permille: seed % 5 * 250,
            ..Shape::default()
        };
        let verdict = black_box(&generated(&shape, seed, 3_000));
        assert!(verdict.is_clean(), "seed {seed}: {verdict}");
        shape.register_permille = 0;
        let verdict = online(&shape, seed, 12);
        assert!(verdict.is_clean(), "seed {seed}, online: {verdict}");
        assert!(verdict.transactions >= 2_400, "seed {seed}: {}", verdict.transactions);
        let shape = Shape { ranges: true, register_permille: 600, ..shape };
        for real_time in [RealTime::OfConflicts, RealTime::Total] {
            let verdict = replayed(&generated(&shape, seed, 3_000), real_time);
            assert!(verdict.is_clean(), "seed {seed}, {real_time:?}: {verdict}");
        }
    }
}

/// What an unknown transaction wrote may be read long after the point that it took effect before.
#[test]
fn right_histories_are_clean_online_though_only_what_must_be_read_is() {
    let mut carried = 0;
    for seed in 0..40 {
        let shape =
            Shape { unknown_permille: 150, keys: 48, values_of_list: 6, ..Shape::default() };
        let mut generator = Generator::new(shape, seed);
        let mut judge = Online::new(Bounds::default());
        let mut lists = BTreeSet::new();
        let mut feed = |judge: &mut Online, transaction: &Transaction| {
            lists.extend(transaction.operations.iter().filter_map(Operation::key));
            judge.feed(transaction).expect("a history");
        };
        for _ in 0..20 {
            let mut piece: Vec<Transaction> = generator.by_ref().take(100).collect();
            piece.extend(generator.settle());
            let _without_the_read_of_all = piece.pop();
            carried += piece.iter().filter(|it| it.outcome == Outcome::Unknown).count();
            piece.iter().for_each(|transaction| feed(&mut judge, transaction));
            while let Settled::Waiting { unread } = judge.quiescent().expect("a history") {
                feed(&mut judge, &generator.read_all(&unread));
            }
        }
        let all: Vec<u64> = lists.into_iter().collect();
        judge.feed(&generator.read_all(&all)).expect("a history");
        let verdict = judge.finish().expect("a history");
        assert!(verdict.is_clean(), "seed {seed}: {verdict}");
    }
    assert!(carried > 5_000, "{carried} unknown transactions");
}

#[test]
fn every_fault_is_found_in_every_history() {
    for fault in FAULTS {
        for seed in 0..12 {
            let shape = faulty(*fault);
            let verdict = black_box(&generated(&shape, seed, 3_000));
            assert!(!verdict.is_clean(), "{fault:?}, seed {seed}");
            let verdict = online(&shape, seed, 15);
            assert!(!verdict.is_clean(), "{fault:?}, seed {seed}, online");
            let replay = replayed(&generated(&shape, seed, 3_000), RealTime::OfConflicts);
            assert!(!replay.is_clean(), "{fault:?}, seed {seed}, replay");
        }
    }
}

#[test]
fn faults_have_their_names() {
    for (fault, names) in [
        (Fault::LosesWrites, &["lost-append-realtime"][..]),
        (Fault::ReadsStale, &["G-single-realtime", "G-single", "lost-append-realtime"]),
        (Fault::AppliesFailed, &["G1a"]),
        (Fault::AppliesTwice, &["duplicate"]),
        (Fault::Reorders, &["incompatible-order"]),
        (Fault::SnapshotOnly, &["G2"]),
    ] {
        let found = (0..12).any(|seed| {
            let shape = faulty(fault);
            let verdict = black_box(&generated(&shape, seed, 3_000));
            names.iter().any(|name| verdict.has(name))
        });
        assert!(found, "{fault:?} is found as one of {names:?}");
    }
}

#[test]
fn registers_with_faults_are_found_too() {
    for fault in [Fault::AppliesFailed, Fault::ReadsStale, Fault::IgnoresConflicts] {
        for seed in 0..12 {
            let shape = Shape { register_permille: 1_000, ..faulty(fault) };
            let verdict = black_box(&generated(&shape, seed, 3_000));
            assert!(!verdict.is_clean(), "{fault:?}, seed {seed}");
        }
    }
}

#[test]
fn a_verdict_does_not_depend_on_the_order_of_feeding() {
    for seed in 0..8 {
        let fault = Some(Fault::IgnoresConflicts);
        let shape = Shape { fault, fault_permille: 3, ..Shape::default() };
        let mut history = generated(&shape, seed, 2_000);
        let first = black_box(&history);
        history.reverse();
        let second = black_box(&history);
        for level in [Level::Serializable, Level::Process, Level::RealTime] {
            assert_eq!(first.holds(level), second.holds(level), "seed {seed}, {level:?}");
        }
    }
}
