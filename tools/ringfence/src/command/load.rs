//! `ringfence load`: the built-in load generator.

use std::io::{self, IsTerminal};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::load::workload::WorkloadKind;
use crate::load::{LoadOptions, initialise, run as run_load};
use crate::pg_client::ConnectUrl;

/// Runs a workload against a node (or any PostgreSQL) and prints what its clients saw.
#[derive(Args, Debug)]
pub struct LoadArguments {
    /// What to run
    #[arg(value_enum)]
    workload: WorkloadKind,
    /// Where: postgresql://user@host:port/database
    #[arg(long, default_value = "postgresql://ringfence@127.0.0.1:5433/ringfence")]
    url: String,
    /// Connections
    #[arg(long, default_value_t = 16)]
    clients: u32,
    /// Operations a second over all clients: an open loop; a closed loop if not given
    #[arg(long)]
    rate: Option<f64>,
    /// How long; 0 with --init makes the tables and ends
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Rows of the workload's tables
    #[arg(long, default_value_t = 100_000)]
    rows: u64,
    /// Seed of all choices
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Makes and fills the tables first
    #[arg(long)]
    init: bool,
    /// One JSON document on standard output and nothing else
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(arguments: &LoadArguments) -> Result<()> {
    if arguments.rate.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
        bail!("--rate must be above zero");
    }
    let options = LoadOptions {
        url: ConnectUrl::parse(&arguments.url).map_err(anyhow::Error::msg)?,
        workload: arguments.workload,
        clients: arguments.clients.max(1),
        rate: arguments.rate,
        duration: Duration::from_secs(arguments.seconds),
        rows: arguments.rows.max(1),
        seed: arguments.seed,
    };
    if arguments.init {
        let bar = bar(options.rows);
        initialise(&options, &|done| bar.set_position(done))
            .with_context(|| format!("cannot make the tables at {}", arguments.url))?;
        bar.finish_and_clear();
    }
    if arguments.init && options.duration.is_zero() {
        // Only the tables were asked for.
        if arguments.json {
            println!("{}", serde_json::json!({ "rows": options.rows }));
        }
        return Ok(());
    }
    let report = run_load(&options).with_context(|| {
        format!("cannot run at {}; are the tables there (--init)?", arguments.url)
    })?;
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        report.print();
    }
    if report.operations == 0 {
        bail!(
            "no operation succeeded: {}",
            report.error.as_deref().unwrap_or("the time was too short")
        );
    }
    Ok(())
}

fn bar(rows: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(rows);
    if let Ok(style) =
        ProgressStyle::with_template("{bar:40} {pos}/{len} rows, {per_sec}, {eta} left")
    {
        bar.set_style(style);
    }
    bar
}
