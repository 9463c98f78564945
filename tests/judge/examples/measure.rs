//! How fast the judges are and what they hold: `cargo run --release -p judge --example measure -- black-box|online|replay|write|read TRANSACTIONS [FILE]` (`read` judges the whole file).
//!
//! Only judging is timed, not generating. `write` makes a file and `read` judges it from there, with reading and parsing timed; its peak of resident memory is the judge's alone, since nothing is generated.
//! Lists of up to 32 values, 32 lists at a time, 16 clients, transactions of one to four operations, one in a hundred of unknown outcome.

use judge::generate::{Generator, Shape};
use judge::{Bounds, Judge, Online, RealTime, Replay, Settled, Transaction, Verdict, json};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::time::{Duration, Instant};

/// A line of this process's status, in KiB.
fn resident(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

fn batch(wanted: u64) -> (Duration, Verdict) {
    // The history is generated in pieces and dropped, so that the judge alone stays.
    let mut generator = Generator::new(Shape::default(), 1);
    let mut judge = Judge::new();
    let mut took = Duration::ZERO;
    let mut left = wanted;
    while left > 0 {
        let piece: Vec<Transaction> = generator.by_ref().take(left.min(100_000) as usize).collect();
        left -= piece.len() as u64;
        let began = Instant::now();
        for transaction in &piece {
            judge.feed(transaction).expect("a history");
        }
        took += began.elapsed();
    }
    // What is open has perhaps been seen, so it must end too.
    for transaction in generator.settle() {
        judge.feed(&transaction).expect("a history");
    }
    drop(generator);
    let began = Instant::now();
    let verdict = judge.finish().expect("a history");
    (took + began.elapsed(), verdict)
}

fn online(wanted: u64) -> (Duration, Verdict) {
    let mut generator = Generator::new(Shape::default(), 1);
    let mut judge = Online::new(Bounds::default());
    let mut took = Duration::ZERO;
    let mut fed = 0;
    while fed < wanted {
        let mut piece: Vec<Transaction> = generator.by_ref().take(10_000).collect();
        piece.extend(generator.settle());
        loop {
            fed += piece.len() as u64;
            let began = Instant::now();
            for transaction in &piece {
                judge.feed(transaction).expect("a history");
            }
            let settled = judge.quiescent().expect("a history");
            took += began.elapsed();
            match settled {
                Settled::Judged => break,
                Settled::Waiting { unread } => piece = vec![generator.read_all(&unread)],
            }
        }
    }
    let began = Instant::now();
    let verdict = judge.finish().expect("a history");
    (took + began.elapsed(), verdict)
}

fn replay(wanted: u64) -> (Duration, Verdict) {
    let shape = Shape { ranges: true, register_permille: 500, ..Shape::default() };
    let mut generator = Generator::new(shape, 1);
    let mut history: Vec<Transaction> = generator.by_ref().take(wanted as usize).collect();
    history.extend(generator.settle());
    let began = Instant::now();
    let mut replay = Replay::new(RealTime::OfConflicts);
    for (index, transaction) in history.iter().enumerate() {
        replay.feed(transaction).expect("a history");
        // No client is open for so many transactions of others in these histories.
        if index % 10_000 == 9_999 {
            let settled = history[index - 5_000].execute_at;
            let open = history[index + 1..].iter().take(20_000).filter_map(|it| it.execute_at);
            let earliest = open.min().unwrap_or(u128::MAX);
            replay.advance(settled.unwrap_or(0).min(earliest.saturating_sub(1)));
        }
    }
    let verdict = replay.finish();
    (began.elapsed(), verdict)
}

fn write(wanted: u64, file: &str) -> std::io::Result<()> {
    let mut out = BufWriter::new(File::create(file)?);
    let mut generator = Generator::new(Shape::default(), 1);
    for transaction in generator.by_ref().take(wanted as usize) {
        writeln!(out, "{}", json::format(&transaction))?;
    }
    for transaction in generator.settle() {
        writeln!(out, "{}", json::format(&transaction))?;
    }
    out.flush()
}

fn read(file: &str) -> std::io::Result<(Duration, Verdict)> {
    let began = Instant::now();
    let mut lines = BufReader::with_capacity(1 << 20, File::open(file)?);
    let mut judge = Judge::new();
    let mut line = String::new();
    while lines.read_line(&mut line)? > 0 {
        judge.feed(&json::parse(&line).expect("a line")).expect("a history");
        line.clear();
    }
    let verdict = judge.finish().expect("a history");
    Ok((began.elapsed(), verdict))
}

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wanted = arguments.get(1).and_then(|count| count.parse().ok()).unwrap_or(1_000_000);
    let what = arguments.first().map_or("", String::as_str);
    let file = arguments.get(2).map_or("", String::as_str);
    let before = resident("VmRSS:");
    let (took, verdict) = match what {
        "black-box" => batch(wanted),
        "online" => online(wanted),
        "replay" => replay(wanted),
        "write" => return write(wanted, file),
        "read" => read(file)?,
        _ => {
            eprintln!("usage: measure black-box|online|replay|write|read TRANSACTIONS [FILE]");
            std::process::exit(2);
        }
    };
    let peak = resident("VmHWM:") - before;
    let seconds = took.as_secs_f64();
    println!(
        "{what}: {:.0} transactions a second ({seconds:.2} s); {} bytes a transaction at the peak, generator included if there is one; {verdict}",
        verdict.transactions as f64 / seconds,
        peak * 1024 / verdict.transactions.max(1)
    );
    assert!(verdict.is_clean(), "the generator's histories are right");
    Ok(())
}
