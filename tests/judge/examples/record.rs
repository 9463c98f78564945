//! Records a history from any server, or several that are one database, that speak the Postgres protocol:
//! `cargo run --release -p judge --features postgres --example record -- lists|registers TRANSACTIONS SEED SETTINGS…`, one settings text a node.
//!
//! The history goes to standard output as JSON lines, for `judge -`. The server's default isolation is what is judged. Tables `judge_list` and `judge_register` are made anew. Eight clients,
//! six keys at a time, transactions of one to four operations. Ends with 1 when nobody can be reached any more; what was recorded until then is written.

use judge::json;
use judge::record::postgres::{PostgresSite, TABLES};
use judge::record::{Policy, Registers, Workload, record};
use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::process::ExitCode;

const CLIENTS: u32 = 8;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, transactions, seed, settings @ ..] = &arguments[..] else { return usage() };
    let registers = match what.as_str() {
        "lists" => Registers::None,
        "registers" => Registers::ReadThenWrite,
        _ => return usage(),
    };
    let (Ok(transactions), Ok(seed)) = (transactions.parse::<u64>(), seed.parse()) else {
        return usage();
    };
    if settings.is_empty() {
        return usage();
    }
    match recorded(registers, transactions, seed, settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("record: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: record lists|registers TRANSACTIONS SEED SETTINGS…");
    ExitCode::from(2)
}

fn recorded(
    registers: Registers,
    transactions: u64,
    seed: u64,
    settings: &[String],
) -> Result<(), Box<dyn std::error::Error>> {
    let mut client = postgres::Client::connect(&settings[0], postgres::NoTls)?;
    client.batch_execute(TABLES)?;
    let site = PostgresSite { settings: settings.to_vec(), isolation: None };
    let workload = Workload::new(registers, 0, 6, 4);
    let transactions = transactions.div_ceil(u64::from(CLIENTS));
    let policy = Policy { clients: CLIENTS, transactions, ..Policy::default() };
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut written = Ok(());
    let ended = record(&site, &workload, &policy, seed, |transaction| {
        written = writeln!(out, "{}", json::format(&transaction));
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    written?;
    out.flush()?;
    Ok(ended?)
}
