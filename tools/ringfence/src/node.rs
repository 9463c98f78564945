//! One node: a shard on each core, sessions on all of them, analytics on the rest.
//!
//! Start: take the directory, recover it on the first core, start a tree and a shard on each, read the catalog, listen. Stop: no new connections,
//! sessions end at their
//! next idle moment, logs become durable, the process ends with 0. A shard that fails ends the process: what it acknowledged is durable, what it did
//! not is unknown.

pub mod boot;
pub mod core;
mod cores;
pub mod offline;
pub mod state;
mod status;

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use storage::directory_lock::DirectoryLock;

use self::core::Duty;
use crate::config::{CONNECTIONS_DEFAULT, NodeSettings};
use cores::{Cores, CpuShares};
use state::NodeState;

/// Runs a node until it is told to stop.
///
/// # Errors
/// With one sentence that says what to change, when the node cannot start.
pub fn run(settings: NodeSettings, password: Option<String>) -> Result<()> {
    std::fs::create_dir_all(&settings.data)
        .with_context(|| format!("cannot make the data directory {}", settings.data.display()))?;
    let _lock = DirectoryLock::acquire(&settings.data, "ringfence serve")?;
    let connections = allowed_connections(settings.connections)?;
    let cpus = CpuShares::plan(&settings)?;
    let (shard_count, background_count) = (cpus.shard_count(), cpus.background_count());
    let state =
        Arc::new(NodeState::new(settings, password, connections, shard_count, background_count));
    let starts = boot::Starts::new(shard_count);
    let http = status::serve_http(state.clone())?;
    let for_cores = state.clone();
    let cores = Cores::start(&cpus, &state.settings, move |core| {
        let (state, start) = (for_cores.clone(), starts.take(core.shard));
        async move { core::run(core, state, start, Duty::Serve).await }
    })?;
    stop_on_signals(cores.shutdown().clone())?;
    cores.join();
    http.stop();
    state.outcome()
}

/// Files that the node keeps open beside its connections: logs, manifests, table files, spills.
const FILES_BESIDE_CONNECTIONS: u64 = 1_024;

/// How many sessions there may be: as many as asked for, each with its descriptor, or by default what the limit of open files allows.
fn allowed_connections(asked: Option<u32>) -> Result<u32> {
    let files = runtime::raise_open_files()?;
    let possible =
        u32::try_from(files.saturating_sub(FILES_BESIDE_CONNECTIONS)).unwrap_or(u32::MAX);
    let wanted = asked.unwrap_or(possible.min(CONNECTIONS_DEFAULT));
    if wanted == 0 || wanted > possible {
        bail!(
            "at most {files} files may be open here, which allows {possible} connections: raise the limit (ulimit -n, \
             LimitNOFILE in a systemd unit, --ulimit nofile in a container) or set --connections lower"
        );
    }
    Ok(wanted)
}

/// SIGTERM and SIGINT ask the node to stop; a second one ends it at once.
fn stop_on_signals(shutdown: platform::Shutdown) -> Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])
        .context("cannot watch for signals")?;
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for (count, signal) in signals.forever().enumerate() {
                if count > 0 {
                    tracing::warn!(signal, "told to stop again: ending at once");
                    std::process::exit(1);
                }
                tracing::info!(signal, "stopping");
                shutdown.request();
            }
        })
        .context("cannot start the signal thread")?;
    Ok(())
}
