//! The benchmark suite: runs a row on us and on a peer side by side and says what came out, lost rows included.

mod client;
mod measure;
mod report;
mod rows;
mod server;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};

use crate::report::Report;
use crate::rows::{ROWS, Run, Settings};
use crate::server::Kind;

const METHOD: &str = "\
Method: both servers run on this machine, never at once, in turn (A, B, A, B), each time in a fresh directory below TMPDIR, \
with 1 GiB of memory and the same client. PostgreSQL 15 runs with fsync and synchronous_commit on. Loops are closed: \
throughput is the most these clients get. Ratios are taken within a round and their median, least and most are printed; \
above 1 is better for us. CPU us/op is the server's whole processor time (user and system, all of PostgreSQL's processes) \
over acknowledged operations, retries included. Flushes and bytes are those of all the machine's block devices, whoever asked: \
nothing else should write meanwhile. `~` marks a mean \
where the client gives no percentiles. Write rows end with their consistency check, and once more after a crash (kill -9; \
PostgreSQL: immediate shutdown); a check that fails ends with exit code 1, and its figures are void.

Environment: RINGFENCE_BINARY names the binary under test (else the `ringfence` beside this one), POSTGRES_BIN the directory \
of initdb and pg_ctl (else /usr/lib/postgresql/15/bin).";

#[derive(Parser)]
#[command(about = "Runs a row of the benchmark suite", after_help = METHOD)]
struct Arguments {
    /// The row, or `list` for their names
    row: String,
    /// Seconds of each sample
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// The other side of P1, W1 and T1
    #[arg(long, value_enum, default_value_t = Peer::Postgres)]
    peer: Peer,
    /// How often both sides are run
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Rows of P1's table
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    rows: u64,
    /// Branches of T1's larger run
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    scale: u64,
    /// Writes the report there as JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Peer {
    /// PostgreSQL, read committed
    Postgres,
    /// PostgreSQL, serializable as we are
    PostgresSerializable,
    /// Ours alone
    None,
}

fn list() {
    for row in ROWS {
        let state = if row.run.is_some() { "" } else { " (not built)" };
        println!("{:<3} {}{state}. Goal: {}.", row.id, row.sentence, row.goal);
    }
}

/// Runs the row; true when every check held.
fn measure_row(row: &rows::Row, run: Run, arguments: &Arguments) -> Result<bool> {
    let settings = Settings {
        seconds: arguments.seconds,
        peer: match arguments.peer {
            Peer::Postgres => Some(Kind::Postgres),
            Peer::PostgresSerializable => Some(Kind::PostgresSerializable),
            Peer::None => None,
        },
        rounds: arguments.rounds,
        rows: arguments.rows,
        scale: arguments.scale,
    };
    let mut report = Report::new(row.id, row.goal, settings.seconds);
    run(&settings, &mut report)?;
    report.print();
    if let Some(path) = &arguments.json {
        let document = serde_json::to_vec_pretty(&report).context("writing the report as JSON")?;
        std::fs::write(path, document).with_context(|| format!("writing {}", path.display()))?;
    }
    ensure!(!report.samples.is_empty() || !report.figures.is_empty(), "the row measured nothing");
    Ok(report.checks_broken.is_empty())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.row == "list" {
        list();
        return ExitCode::SUCCESS;
    }
    let Some(row) = rows::find(&arguments.row) else {
        eprintln!("bench: there is no row {:?}; `list` names them", arguments.row);
        return ExitCode::from(2);
    };
    let Some(run) = row.run else {
        eprintln!("bench: {} is not built yet; `list` says which rows are", row.id);
        return ExitCode::FAILURE;
    };
    match measure_row(row, run, &arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("bench: a consistency check of {} failed: its figures are void", row.id);
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("bench: {}: {error:#}", row.id);
            ExitCode::FAILURE
        }
    }
}
