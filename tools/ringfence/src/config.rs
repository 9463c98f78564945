//! Settings of a node: from the command line, a file and the environment, validated once.
//!
//! Node settings may differ between nodes of a cluster (addresses, cores, memory); cluster settings must agree and are fixed when the data directory
//! is made (slices).
//! The command line goes before the file, the file before defaults.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use storage::StorageOptions;
use types::limits::SHARDS_MAX;
use types::{ByteCount, MIB};

/// Which driver turns the cores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeKind {
    /// Our own executor on io_uring
    #[default]
    Uring,
    /// The second driver behind the same seam
    Glommio,
}

/// The settings file (TOML). Every line may be missing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SettingsFile {
    listen: Option<SocketAddr>,
    http: Option<SocketAddr>,
    shards: Option<u16>,
    background_cores: Option<u16>,
    memory: Option<String>,
    connections: Option<u32>,
    runtime: Option<RuntimeKind>,
    pin: Option<bool>,
}

/// What the command line says.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// `--listen`
    pub listen: Option<SocketAddr>,
    /// `--http`
    pub http: Option<SocketAddr>,
    /// `--shards`
    pub shards: Option<u16>,
    /// `--background-cores`
    pub background_cores: Option<u16>,
    /// `--memory`
    pub memory: Option<String>,
    /// `--connections`
    pub connections: Option<u32>,
    /// `--runtime`
    pub runtime: Option<RuntimeKind>,
    /// `--config`
    pub file: Option<PathBuf>,
}

/// Settings of one node.
#[derive(Clone, Debug)]
pub struct NodeSettings {
    /// Where the data is.
    pub data: PathBuf,
    /// Where Postgres clients connect.
    pub listen: SocketAddr,
    /// Where metrics and health are.
    pub http: SocketAddr,
    /// Shard cores; by default what the background leaves.
    pub shards: Option<u16>,
    /// Background cores; by default a quarter, at least one.
    pub background_cores: Option<u16>,
    /// Memory for everything.
    pub memory: ByteCount,
    /// Client sessions at once; by default [`CONNECTIONS_DEFAULT`], or fewer where fewer files may be open.
    pub connections: Option<u32>,
    /// Driver of the cores.
    pub runtime: RuntimeKind,
    /// Whether threads are pinned to their CPUs.
    pub pin: bool,
}

/// Least memory that a node runs with.
const MEMORY_BYTES_MIN: u64 = 256 * MIB;
/// Client sessions at once, when nobody says.
pub const CONNECTIONS_DEFAULT: u32 = 2_000;
/// Most client sessions that a node can be told to take.
const CONNECTIONS_MAX: u32 = 100_000;

impl NodeSettings {
    /// Puts together what the command line and the file say.
    ///
    /// # Errors
    /// With one sentence that says which setting is wrong and what it may be.
    pub fn resolve(data: PathBuf, given: Given) -> Result<NodeSettings> {
        let file = match &given.file {
            Some(path) => read_file(path)?,
            None => SettingsFile::default(),
        };
        let memory = given.memory.or(file.memory);
        let memory = match memory {
            Some(text) => parse_bytes(&text)?,
            None => default_memory(),
        };
        if memory < MEMORY_BYTES_MIN {
            bail!("--memory must be at least {} MiB", MEMORY_BYTES_MIN / MIB);
        }
        let shards = given.shards.or(file.shards);
        if shards.is_some_and(|shards| shards == 0 || shards > SHARDS_MAX) {
            bail!("--shards must be between 1 and {SHARDS_MAX}");
        }
        let connections = given.connections.or(file.connections);
        if connections.is_some_and(|connections| !(1..=CONNECTIONS_MAX).contains(&connections)) {
            bail!("--connections must be between 1 and {CONNECTIONS_MAX}");
        }
        let address = |text: &str| text.parse().expect("the default address is valid");
        Ok(NodeSettings {
            data,
            listen: given.listen.or(file.listen).unwrap_or_else(|| address("127.0.0.1:5433")),
            http: given.http.or(file.http).unwrap_or_else(|| address("127.0.0.1:8088")),
            shards,
            background_cores: given.background_cores.or(file.background_cores),
            memory: ByteCount(memory),
            connections,
            runtime: given.runtime.or(file.runtime).unwrap_or_default(),
            pin: file.pin.unwrap_or(true),
        })
    }

    /// How memory is shared out: (storage of each shard, analytics of the node).
    ///
    /// A fifth stays with the process itself: code, connections, allocator slack. Of the rest, analytics gets two fifths, and the shards share three
    /// fifths between block
    /// caches and memtables (one active and the frozen ones).
    pub fn storage_options(&self, shards: u16) -> StorageOptions {
        let mut options = StorageOptions::default();
        let for_shard = self.memory.0 * 12 / 25 / u64::from(shards.max(1));
        options.block_cache_bytes = ByteCount(for_shard * 2 / 5);
        let memtables = for_shard * 3 / 5 / (options.frozen_memtables_max as u64 + 1);
        options.memtable_bytes = ByteCount(memtables.clamp(2 * MIB, 64 * MIB));
        options
    }

    /// Memory that all analytic queries share.
    pub fn analytics_bytes(&self) -> u64 {
        self.memory.0 * 8 / 25
    }
}

fn read_file(path: &Path) -> Result<SettingsFile> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read the settings file {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("the settings file {} is wrong", path.display()))
}

/// Half of what the machine, or the container around us, has.
fn default_memory() -> u64 {
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let container = limits
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok())
        .min();
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
    });
    let all = machine.unwrap_or(2 * 1024 * MIB).min(container.unwrap_or(u64::MAX));
    (all / 2).max(MEMORY_BYTES_MIN)
}

/// A number of bytes: `512MiB`, `1GiB`, `2g`, or plain bytes.
pub fn parse_bytes(text: &str) -> Result<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..end]
        .parse()
        .with_context(|| format!("\"{text}\" is no number of bytes; write 1GiB or 512MiB"))?;
    let factor = match text[end..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" | "kb" => 1024,
        "m" | "mib" | "mb" => MIB,
        "g" | "gib" | "gb" => 1024 * MIB,
        "t" | "tib" | "tb" => 1024 * 1024 * MIB,
        other => bail!("\"{other}\" is no unit of bytes; write KiB, MiB, GiB or TiB"),
    };
    number.checked_mul(factor).with_context(|| format!("\"{text}\" is more than can be counted"))
}

#[cfg(test)]
mod tests {
    use super::{Given, NodeSettings, parse_bytes};

    #[test]
    fn bytes_have_units() {
        assert_eq!(parse_bytes("1GiB").expect("valid"), 1 << 30);
        assert_eq!(parse_bytes("512 MiB").expect("valid"), 512 << 20);
        assert_eq!(parse_bytes("7").expect("valid"), 7);
        assert!(parse_bytes("much").is_err());
        assert!(parse_bytes("1 parsec").is_err());
    }

    #[test]
    fn shares_stay_within_the_memory() {
        let given = Given { memory: Some("1GiB".into()), ..Given::default() };
        let settings = NodeSettings::resolve("x".into(), given).expect("valid");
        for shards in [1u16, 2, 8] {
            let options = settings.storage_options(shards);
            let memtables = options.memtable_bytes.0 * (options.frozen_memtables_max as u64 + 1);
            let all = (options.block_cache_bytes.0 + memtables) * u64::from(shards)
                + settings.analytics_bytes();
            assert!(all <= settings.memory.0 * 9 / 10, "{shards} shards: {all}");
        }
        let given = Given { shards: Some(0), ..Given::default() };
        assert!(NodeSettings::resolve("x".into(), given).is_err());
    }
}
