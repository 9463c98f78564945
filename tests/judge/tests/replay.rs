//! The white box: hand-made histories, and its real-time rule against a search for cycles on small ones.

use judge::{
    HistoryError, KeyRange, Kind, Operation, Outcome, Random, RealTime, Replay, Transaction,
    Verdict,
};

fn committed(at: u128, times: (u64, u64), operations: Vec<Operation>) -> Transaction {
    let (invoked, completed) = times;
    Transaction {
        process: at as u32,
        invoked,
        completed,
        outcome: Outcome::Committed,
        execute_at: Some(at),
        operations,
    }
}

fn judged(history: &[Transaction], real_time: RealTime) -> Verdict {
    let mut replay = Replay::new(real_time);
    history.iter().for_each(|transaction| replay.feed(transaction).expect("a history"));
    replay.finish()
}

fn kinds(history: &[Transaction]) -> Vec<Kind> {
    let verdict = judged(history, RealTime::OfConflicts);
    verdict.anomalies.iter().map(|anomaly| anomaly.kind).collect()
}

fn write(key: u64, value: u64) -> Operation {
    Operation::Write { key, value }
}

fn count(start: u64, end: u64, count: u64) -> Operation {
    Operation::Count { range: KeyRange { start, end }, count }
}

fn scan(start: u64, end: u64, rows: &[(u64, u64)]) -> Operation {
    Operation::Scan { range: KeyRange { start, end }, rows: rows.to_vec() }
}

#[test]
fn answers_are_those_of_the_order() {
    let right = [
        committed(3, (0, 9), vec![Operation::Read { key: 1, value: Some(7) }, count(0, 9, 2)]),
        committed(1, (0, 9), vec![write(1, 7), write(2, 8), count(0, 2, 1)]),
        committed(5, (0, 9), vec![scan(0, 9, &[(1, 7), (2, 8)]), Operation::Delete { key: 1 }]),
        committed(6, (0, 9), vec![scan(0, 9, &[(2, 8)]), scan(9, 0, &[])]),
        committed(7, (0, 9), vec![Operation::Append { key: 20, value: 1 }]),
        committed(8, (0, 9), vec![Operation::List { key: 20, values: vec![1] }, count(0, 99, 1)]),
    ];
    assert_eq!(kinds(&right), []);
    let wrong = [
        (0, vec![Operation::Read { key: 1, value: None }]),
        (0, vec![count(0, 9, 3)]),
        (1, vec![write(1, 7), write(2, 8), count(0, 2, 2)]),
        (2, vec![scan(0, 9, &[(1, 7)])]),
        (2, vec![scan(0, 9, &[(1, 7), (2, 9)])]),
        (5, vec![Operation::List { key: 20, values: vec![] }]),
        (5, vec![Operation::List { key: 20, values: vec![2] }]),
        (5, vec![Operation::Read { key: 20, value: None }]),
        (5, vec![Operation::List { key: 2, values: vec![8] }]),
    ];
    for (place, operations) in wrong {
        let mut history = right.to_vec();
        history[place].operations = operations;
        assert!(kinds(&history).contains(&Kind::WrongRead), "{place}: {:?}", history[place]);
    }
}

#[test]
fn outcomes_decide_what_takes_effect() {
    let mut history = vec![
        committed(1, (0, 9), vec![write(1, 7)]),
        committed(2, (0, 9), vec![Operation::Read { key: 1, value: Some(7) }]),
    ];
    history[0].outcome = Outcome::Unknown;
    assert_eq!(kinds(&history), [], "an unknown one with a timestamp took effect");
    history[0].execute_at = None;
    assert_eq!(kinds(&history), [Kind::WrongRead]);
    history[0] = committed(1, (0, 9), vec![write(1, 7)]);
    history[0].outcome = Outcome::Failed;
    assert_eq!(kinds(&history), [Kind::WrongRead], "a failed one never does");
    history[0] = committed(2, (0, 9), vec![]);
    assert_eq!(judged(&history, RealTime::Total).anomalies[0].kind, Kind::SameTimestamp);
}

#[test]
fn the_watermark_is_a_promise() {
    let mut replay = Replay::new(RealTime::OfConflicts);
    replay.feed(&committed(5, (0, 9), vec![write(1, 1)])).expect("a history");
    replay.advance(5);
    let late = committed(5, (0, 9), vec![]);
    assert_eq!(replay.feed(&late), Err(HistoryError::Late { execute_at: 5, watermark: 5 }));
    replay.feed(&committed(6, (0, 9), vec![Operation::Read { key: 1, value: None }])).expect("fed");
    assert!(replay.so_far().is_clean());
    replay.advance(6);
    assert!(replay.so_far().has("wrong-read"));
    let mut nowhere = committed(7, (0, 9), vec![]);
    nowhere.execute_at = None;
    assert_eq!(replay.feed(&nowhere), Err(HistoryError::NoTimestamp));
}

#[test]
fn real_time_binds_what_conflicts() {
    // Timestamps against real time: without a conflict that is nobody's business.
    let apart =
        [committed(2, (0, 9), vec![write(1, 1)]), committed(1, (20, 29), vec![write(2, 1)])];
    assert!(judged(&apart, RealTime::OfConflicts).is_clean());
    assert!(judged(&apart, RealTime::Total).has("order-realtime"));
    let same = [committed(2, (0, 9), vec![write(1, 1)]), committed(1, (20, 29), vec![write(1, 2)])];
    assert!(judged(&same, RealTime::OfConflicts).has("order-realtime"));
    // A range that was read before a key of it was written, by their timestamps only.
    let range =
        [committed(2, (0, 9), vec![write(5, 1)]), committed(1, (20, 29), vec![scan(3, 8, &[])])];
    assert!(judged(&range, RealTime::OfConflicts).has("order-realtime"));
    let beside =
        [committed(2, (0, 9), vec![write(8, 1)]), committed(1, (20, 29), vec![scan(3, 8, &[])])];
    assert!(judged(&beside, RealTime::OfConflicts).is_clean());
}

/// Whether conflicts in the order of timestamps and real time have a cycle: by closure.
fn has_cycle(history: &[Transaction]) -> bool {
    let count = history.len();
    let touches = |operation: &Operation, key: u64| match operation {
        Operation::Scan { range, .. } | Operation::Count { range, .. } => {
            range.start <= key && key < range.end
        }
        other => other.key() == Some(key),
    };
    let conflicts = |a: &Transaction, b: &Transaction| {
        (0..8).any(|key| {
            let writes = |it: &Transaction| it.operations.contains(&Operation::Delete { key });
            let uses = |it: &Transaction| it.operations.iter().any(|one| touches(one, key));
            (writes(a) && uses(b)) || (uses(a) && writes(b))
        })
    };
    let mut before = vec![vec![false; count]; count];
    for a in 0..count {
        for b in 0..count {
            let (one, other) = (&history[a], &history[b]);
            let follows = one.execute_at < other.execute_at && conflicts(one, other);
            let ended = one.outcome == Outcome::Committed && one.completed < other.invoked;
            before[a][b] = a != b && (follows || ended);
        }
    }
    for middle in 0..count {
        for a in 0..count {
            for b in 0..count {
                before[a][b] |= before[a][middle] && before[middle][b];
            }
        }
    }
    (0..count).any(|index| before[index][index])
}

#[test]
fn the_real_time_rule_is_the_absence_of_cycles() {
    let (mut cycles, mut total) = (0, 0);
    for seed in 0..30_000 {
        let mut random = Random::new(seed);
        // Deletes are the writes, so that answers are always right: only order is judged.
        let history: Vec<Transaction> = (0..1 + random.below(7))
            .map(|at| {
                let invoked = (10 * at + 40).saturating_sub(random.below(40));
                let operations = (0..1 + random.below(3))
                    .map(|_| {
                        let key = random.below(6);
                        match random.below(4) {
                            0 => Operation::Read { key, value: None },
                            1 => scan(key, key + random.below(3), &[]),
                            _ => Operation::Delete { key },
                        }
                    })
                    .collect();
                let mut one =
                    committed(u128::from(at), (invoked, invoked + random.below(40)), operations);
                if random.permille(200) {
                    one.outcome = Outcome::Unknown;
                }
                one
            })
            .collect();
        let verdict = judged(&history, RealTime::OfConflicts);
        let expected = has_cycle(&history);
        assert_eq!(!verdict.is_clean(), expected, "seed {seed}: {verdict}\n{history:#?}");
        cycles += u32::from(expected);
        total += 1;
    }
    assert!(cycles > total / 20 && cycles < total / 2, "{cycles} of {total} have cycles");
}
