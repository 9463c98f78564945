//! `ringfence serve`: runs a node until it is told to stop.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::config::{Given, NodeSettings, RuntimeKind};
use crate::node;

/// Runs a node. Makes the data directory if it is empty.
#[derive(Args, Debug)]
pub struct ServeArguments {
    /// Data directory
    #[arg(long)]
    data: PathBuf,
    /// Where Postgres clients connect [default: 127.0.0.1:5433]
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Where metrics and health are [default: 127.0.0.1:8088]
    #[arg(long)]
    http: Option<SocketAddr>,
    /// Shard cores [default: what the background leaves]
    #[arg(long)]
    shards: Option<u16>,
    /// Background cores [default: a quarter, at least one]
    #[arg(long)]
    background_cores: Option<u16>,
    /// Memory for everything, such as 1GiB [default: half of the machine's]
    #[arg(long)]
    memory: Option<String>,
    /// Client sessions at once; one more is refused with 53300 [default: 2000]
    #[arg(long)]
    connections: Option<u32>,
    /// Driver of the cores [default: uring]
    #[arg(long, value_enum)]
    runtime: Option<RuntimeKind>,
    /// Settings file (TOML); the command line goes before it
    #[arg(long)]
    config: Option<PathBuf>,
    /// A node of the cluster to join
    #[arg(long)]
    join: Option<String>,
    /// File that holds the password of a new data directory
    #[arg(long)]
    password_file: Option<PathBuf>,
}

/// Runs the command.
pub fn run(arguments: &ServeArguments) -> Result<()> {
    if arguments.join.is_some() {
        bail!("--join: clusters of more than one node are not built yet; start without it");
    }
    let given = Given {
        listen: arguments.listen,
        http: arguments.http,
        shards: arguments.shards,
        background_cores: arguments.background_cores,
        memory: arguments.memory.clone(),
        connections: arguments.connections,
        runtime: arguments.runtime,
        file: arguments.config.clone(),
    };
    let settings = NodeSettings::resolve(arguments.data.clone(), given)?;
    let password = match &arguments.password_file {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the password file {}", path.display()))?;
            Some(text.trim_end_matches(['\r', '\n']).to_owned())
        }
        None => std::env::var("RINGFENCE_PASSWORD").ok(),
    };
    if password.as_deref() == Some("") {
        bail!("the password is empty; leave RINGFENCE_PASSWORD unset to run without one");
    }
    node::run(settings, password)
}
