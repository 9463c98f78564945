//! `ringfence inspect` and `ringfence verify`: what a stopped node's data directory holds, and whether all of it is sound.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use platform::{Background, CancelFlag, JobClass};
use runtime::{DirectIo, Pinning, RuntimeOptions};
use storage::StorageError;
use storage::directory_lock::DirectoryLock;

/// Shows what a data directory or a table file holds.
#[derive(Args, Debug)]
pub struct InspectArguments {
    /// A data directory
    path: PathBuf,
}

/// Reads everything and checks every checksum and invariant.
#[derive(Args, Debug)]
pub struct VerifyArguments {
    /// A data directory
    path: PathBuf,
}

/// Runs `work` with the background's block I/O of a node without shards at work.
fn with_blocks<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce(&dyn platform::BlockIo, &CancelFlag, &Path) -> Result<T, StorageError>
    + Send
    + 'static,
) -> Result<T> {
    if !path.join("identity").exists() {
        bail!("{} is no data directory of Ringfence", path.display());
    }
    let _lock = DirectoryLock::acquire(path, "ringfence inspect")
        .with_context(|| format!("cannot take {}", path.display()))?;
    let options = RuntimeOptions {
        shards: Some(1),
        background_cores: None,
        pinning: Pinning::Floating,
        direct_io: DirectIo::Required,
        data_directory: Some(path.to_path_buf()),
    };
    let node = runtime::start(&options, |core: runtime::Core<()>| async move {
        core.shutdown.requested().await;
    })?;
    let background: Arc<dyn Background> = node.background();
    let blocks = background.block_io(JobClass::Scan);
    let outcome = work(&*blocks, &CancelFlag::new(), path);
    node.shutdown().request();
    node.join();
    outcome.with_context(|| format!("cannot read {}", path.display()))
}

/// Runs `inspect`.
pub fn inspect(arguments: &InspectArguments) -> Result<()> {
    let report = with_blocks(&arguments.path, |io, _, path| storage::inspect::inspect(io, path))?;
    let identity = &report.identity;
    println!("data directory  {}", arguments.path.display());
    println!("slices          {}", identity.slices.get());
    println!("starts          {}", identity.start);
    println!("shards          {} at the last start", identity.shard_count);
    println!("log file        {} bytes", report.log_bytes);
    for (shard, log) in report.logs.iter().enumerate() {
        println!(
            "  log {shard}: {} segments, {} records, {} row versions, {} bytes, ends at {:?}",
            log.segments, log.records, log.rows, log.payload_bytes, log.end
        );
    }
    for (shard, state) in report.shards.iter().enumerate() {
        println!(
            "  shard {shard}: {} tables, {} files, floor {}",
            state.layouts.len(),
            state.files.len(),
            state.floor
        );
        for entry in state.files.values() {
            println!("    {entry:?}");
        }
    }
    for file in &report.unnamed_files {
        println!("  file {file} is named by no manifest");
    }
    for name in &report.unknown_names {
        println!("  {name} belongs to nothing known");
    }
    Ok(())
}

/// Runs `verify`.
pub fn verify(arguments: &VerifyArguments) -> Result<()> {
    let report = with_blocks(&arguments.path, storage::inspect::verify)?;
    println!(
        "{} table files, {} bytes of pages, {} log records",
        report.files, report.bytes, report.records
    );
    if report.damage.is_empty() {
        println!("sound: every checksum and invariant holds");
        return Ok(());
    }
    for damage in &report.damage {
        println!("DAMAGE: {damage}");
    }
    bail!("{} violations; restore the directory from a backup or a replica", report.damage.len());
}
