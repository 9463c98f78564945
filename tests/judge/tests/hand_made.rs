//! Histories written by hand, each with the verdict expected: `histories.txt`. Also through the text format and the binary, with its exit codes.

use judge::{Judge, Operation, Outcome, Transaction, json};
use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

struct Case {
    name: String,
    history: Vec<Transaction>,
    expected: BTreeSet<String>,
}

fn number(word: &str) -> u64 {
    word.parse().unwrap_or_else(|_| panic!("{word} is a number"))
}

fn operation(text: &str) -> Operation {
    let words: Vec<&str> = text.split_whitespace().collect();
    let key = u64::from(words[1].as_bytes()[0]);
    match words[0] {
        "a" => Operation::Append { key, value: number(words[2]) },
        "l" => {
            Operation::List { key, values: words[2..].iter().map(|word| number(word)).collect() }
        }
        "w" => Operation::Write { key, value: number(words[2]) },
        "r" if words[2] == "-" => Operation::Read { key, value: None },
        "r" => Operation::Read { key, value: Some(number(words[2])) },
        other => panic!("{other} is an operation"),
    }
}

fn transaction(line: &str) -> Transaction {
    let (head, operations) = line.split_once(':').expect("a colon before the operations");
    let words: Vec<&str> = head.split_whitespace().collect();
    let (invoked, completed) = words[1].split_once("..").expect("times");
    Transaction {
        process: number(words[0]) as u32,
        invoked: number(invoked),
        completed: number(completed),
        outcome: match words[2] {
            "ok" => Outcome::Committed,
            "fail" => Outcome::Failed,
            "unknown" => Outcome::Unknown,
            other => panic!("{other} is an outcome"),
        },
        execute_at: None,
        operations: operations.split(',').map(operation).collect(),
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let (mut name, mut history) = (String::new(), Vec::new());
    for line in include_str!("histories.txt").lines() {
        if let Some(title) = line.strip_prefix("case ") {
            name = title.into();
        } else if let Some(names) = line.strip_prefix("expect ") {
            let names = names.split_whitespace().filter(|name| *name != "clean");
            let expected = names.map(String::from).collect();
            let history = std::mem::take(&mut history);
            cases.push(Case { name: std::mem::take(&mut name), history, expected });
        } else if line.starts_with(' ') {
            history.push(transaction(line));
        }
    }
    cases
}

#[test]
fn every_verdict_is_the_one_expected() {
    let cases = cases();
    let bad = cases.iter().filter(|case| !case.expected.is_empty()).count();
    assert!(bad >= 25 && cases.len() - bad >= 10, "{bad} bad of {}", cases.len());
    let mut wrong = String::new();
    for case in &cases {
        // In any order of feeding.
        for turn in 0..case.history.len().max(1) {
            let mut history = case.history.clone();
            history.rotate_left(turn);
            let mut judge = Judge::new();
            for transaction in &history {
                judge.feed(transaction).expect("a history");
            }
            let verdict = judge.finish().expect("a history");
            let found: BTreeSet<String> = verdict.counts.keys().cloned().collect();
            // Of two reads that contradict each other the first one fed is believed, and others may then look wrong too.
            let forked = turn > 0 && found.contains("incompatible-order");
            if found != case.expected && !(forked && found.is_superset(&case.expected)) {
                wrong.push_str(&format!(
                    "{}, turn {turn}: expected {:?}\n{verdict}\n\n",
                    case.name, case.expected
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    println!("{bad} bad histories, {} good ones", cases.len() - bad);
}

/// Gives a text to the binary; its exit code and what it prints.
fn run(arguments: &[&str], input: &str) -> (i32, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_judge"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary is built with the tests");
    // A binary that refuses its arguments does not read.
    let _refused = child.stdin.take().expect("piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().expect("no signal"), String::from_utf8(said).expect("text"))
}

fn lines(history: &[Transaction]) -> String {
    history.iter().map(|transaction| json::format(transaction) + "\n").collect()
}

#[test]
fn the_binary_says_the_same_with_its_exit_code() {
    for case in cases() {
        let (code, said) = run(&["-"], &lines(&case.history));
        assert_eq!(code, i32::from(!case.expected.is_empty()), "{}: {said}", case.name);
        for name in &case.expected {
            assert!(said.contains(&format!(" {name}")), "{}: {said}", case.name);
        }
    }
}

#[test]
fn a_report_shows_the_cycle_and_why() {
    let cases = cases();
    let skew = cases.iter().find(|case| case.name == "write skew").expect("it is there");
    let (_, said) = run(&["-"], &lines(&skew.history));
    for text in [
        "T0 (process 0, 0 to 9, committed): read 120 = []; append 1 to 121",
        "T0 is before T1: it read 120 without T1's 1",
        "T1 is before T0: it read 121 without T0's 1",
    ] {
        assert!(said.contains(text), "{text}\n{said}");
    }
}

#[test]
fn what_is_no_history_is_refused() {
    let good = lines(&[transaction("  0 0..9 ok: a x 1")]);
    for (arguments, input) in [
        (vec![], ""),
        (vec!["--what", "-"], ""),
        (vec!["-", "-"], ""),
        (vec!["/no/such/file"], ""),
        (vec!["-"], "{\n"),
        (vec!["-"], &*format!("{good}{good}")),
        (
            vec!["-"],
            r#"{"process":0,"invoked":9,"completed":0,"outcome":"failed","operations":[]}"#,
        ),
        (vec!["--replay", "-"], &good),
        (
            vec!["--black-box", "-"],
            r#"{"process":0,"invoked":0,"completed":9,"outcome":"committed","at":1,"operations":[["delete",1]]}"#,
        ),
    ] {
        let (code, said) = run(&arguments, input);
        assert_eq!(code, 2, "{arguments:?} {input}: {said}");
        assert!(!said.is_empty());
    }
    let overlap = lines(&[transaction("  0 0..9 ok: a x 1"), transaction("  0 5..9 ok: a x 2")]);
    assert_eq!(run(&["-"], &overlap).0, 2);
}
