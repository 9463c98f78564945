//! `judge FILE`: judges a history of JSON lines; `-` is standard input. The format is that of `json.rs` and `docs/checker.md`.
//!
//! Histories with timestamps are replayed too; `--black-box` and `--replay` ask for one judge only. Ends with 0 if nothing was found, 1 if something was, 2 if there was nothing to judge.

use judge::{HistoryError, Judge, RealTime, Replay, Transaction, Verdict, json};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::ExitCode;

const USAGE: &str = "usage: judge [--black-box | --replay] [--total-order] FILE
  FILE           one transaction a line, or - for standard input
  --black-box    only what clients saw (the default if no line has \"at\")
  --replay       only the replay in the order of \"at\" (the default with scans, counts and deletes)
  --total-order  timestamps must respect real time also between transactions without a conflict";

/// Which judges were asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Judges {
    Fitting,
    BlackBox,
    Replay,
}

struct Asked {
    judges: Judges,
    real_time: RealTime,
    file: String,
}

fn asked() -> Option<Asked> {
    let (mut judges, mut real_time, mut file) = (Judges::Fitting, RealTime::OfConflicts, None);
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--black-box" if judges == Judges::Fitting => judges = Judges::BlackBox,
            "--replay" if judges == Judges::Fitting => judges = Judges::Replay,
            "--total-order" => real_time = RealTime::Total,
            name if name == "-" || !name.starts_with('-') => {
                if file.replace(argument).is_some() {
                    return None;
                }
            }
            _ => return None,
        }
    }
    file.map(|file| Asked { judges, real_time, file })
}

/// Both judges over one pass of the file, each as long as the history is one that it judges.
struct Both {
    black_box: Result<Judge, HistoryError>,
    replay: Result<Replay, HistoryError>,
    timestamps: bool,
}

impl Both {
    fn feed(&mut self, transaction: &Transaction) {
        self.timestamps |= transaction.execute_at.is_some();
        if let Ok(judge) = &mut self.black_box
            && let Err(error) = judge.feed(transaction)
        {
            self.black_box = Err(error);
        }
        if let Ok(replay) = &mut self.replay
            && let Err(error) = replay.feed(transaction)
        {
            self.replay = Err(error);
        }
    }

    /// The verdicts of the judges that were asked for, or that fit.
    fn verdicts(self, judges: Judges) -> Result<Vec<(&'static str, Verdict)>, HistoryError> {
        let black_box = self.black_box.and_then(Judge::finish);
        let replay = self.replay.map(Replay::finish);
        match judges {
            Judges::BlackBox => Ok(vec![("black box", black_box?)]),
            Judges::Replay => Ok(vec![("replay", replay?)]),
            Judges::Fitting if !self.timestamps => Ok(vec![("black box", black_box?)]),
            Judges::Fitting => match black_box {
                Ok(verdict) => Ok(vec![("black box", verdict), ("replay", replay?)]),
                Err(HistoryError::NotJudged { .. }) => Ok(vec![("replay", replay?)]),
                Err(error) => Err(error),
            },
        }
    }
}

fn judge(asked: &Asked) -> Result<bool, String> {
    let file = &asked.file;
    let input: Box<dyn BufRead> = if file == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        let opened = File::open(file).map_err(|error| format!("{file}: {error}"))?;
        Box::new(BufReader::with_capacity(1 << 20, opened))
    };
    let black_box = match asked.judges {
        Judges::Replay => Err(HistoryError::NotJudged { operation: "it", instead: "--black-box" }),
        _ => Ok(Judge::new()),
    };
    let replay = match asked.judges {
        Judges::BlackBox => Err(HistoryError::NotJudged { operation: "it", instead: "--replay" }),
        _ => Ok(Replay::new(asked.real_time)),
    };
    let mut both = Both { black_box, replay, timestamps: false };
    for (index, line) in input.lines().enumerate() {
        let line = line.map_err(|error| format!("{file}: {error}"))?;
        if line.trim().is_empty() {
            continue;
        }
        let transaction =
            json::parse(&line).map_err(|error| format!("{file}, line {}: {error}", index + 1))?;
        both.feed(&transaction);
    }
    let verdicts = both.verdicts(asked.judges).map_err(|error| format!("{file}: {error}"))?;
    for (name, verdict) in &verdicts {
        println!("{name}: {verdict}");
    }
    Ok(verdicts.iter().all(|(_, verdict)| verdict.is_clean()))
}

fn main() -> ExitCode {
    let Some(asked) = asked() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match judge(&asked) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("judge: {error}");
            ExitCode::from(2)
        }
    }
}
