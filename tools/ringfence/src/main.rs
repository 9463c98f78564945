//! The product's binary and composition root: the one place that knows all of the house.

mod analytics;
mod bulk;
mod command;
mod config;
mod demo;
mod load;
mod node;
mod pg_backend;
mod pg_client;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Cores allocate and free small things all the time, and background threads free what shard cores made: an allocator with
/// a heap for each thread saves locks and a twentieth of a statement, and gives memory back to the system.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A database for transactions and analytics over one copy of the data.
#[derive(Parser, Debug)]
#[command(name = "ringfence", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Runs a node
    Serve(command::serve::ServeArguments),
    /// Live ingest, questions and transactions on a temporary node, with figures
    Demo(command::demo::DemoArguments),
    /// Runs a workload and measures it
    Load(command::load::LoadArguments),
    /// Runs one query in bulk and writes its rows
    Scan(command::scan::ScanArguments),
    /// Shows what a file or a data directory of a stopped node holds
    Inspect(command::inspect::InspectArguments),
    /// Checks every checksum and invariant of a stopped node's data directory
    Verify(command::inspect::VerifyArguments),
}

fn main() -> ExitCode {
    start_logging();
    let arguments = Arguments::parse();
    let outcome = match &arguments.command {
        Command::Serve(arguments) => command::serve::run(arguments),
        Command::Demo(arguments) => command::demo::run(arguments),
        Command::Load(arguments) => command::load::run(arguments),
        Command::Scan(arguments) => command::scan::run(arguments),
        Command::Inspect(arguments) => command::inspect::inspect(arguments),
        Command::Verify(arguments) => command::inspect::verify(arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line: what, and why.
            let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
            eprintln!("ringfence: {}", causes.join(": "));
            ExitCode::FAILURE
        }
    }
}

/// Logs go to standard error: for people on a terminal, JSON otherwise.
fn start_logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        builder.with_target(false).init();
    } else {
        builder.json().init();
    }
}
