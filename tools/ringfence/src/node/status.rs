//! What a node tells about itself: the ready line, `/metrics`, `/healthz`, `/readyz`, and the computed tables about the node.
//!
//! The HTTP side is one thread that answers one short request after the other; it reads numbers that the cores refresh once a second and never asks a
//! core for anything.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use net::pg::listener::PgListener;
use plan::catalog::{VirtualColumn, VirtualTable};
use platform::sleep;
use storage::TreeStats;
use types::{ShardId, SqlType, Value};

use super::core::CoreNode;
use super::state::NodeState;
use crate::pg_backend::Backend;

/// Numbers of one core.
#[derive(Clone, Debug, Default)]
pub struct CoreNumbers {
    /// Open connections.
    pub connections: u32,
    /// Of them, with a session.
    pub sessions: u32,
    /// Requests under way.
    pub requests: u64,
    /// Its storage.
    pub tree: TreeStats,
}

const REFRESH: Duration = Duration::from_secs(1);
/// Longest request that is read.
const REQUEST_BYTES_MAX: usize = 8 * 1024;
/// How long a client may take to send its request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// Refreshes the numbers of a core, once a second.
pub async fn refresh(
    state: Arc<NodeState>,
    shard: ShardId,
    node: Rc<CoreNode>,
    listener: Rc<PgListener<Backend<CoreNode>>>,
) {
    loop {
        let counts = listener.counts();
        let numbers = CoreNumbers {
            connections: counts.connections,
            sessions: counts.sessions,
            requests: node.client().open_requests() as u64,
            tree: node.client().shard().tree().stats(),
        };
        state.numbers.lock().unwrap_or_else(PoisonError::into_inner)[shard.index()] = numbers;
        sleep(&node.platform().spawner, REFRESH).await;
    }
}

/// Prints the line that scripts wait for.
pub fn print_ready(state: &NodeState) {
    let shown = |address: Option<&SocketAddr>| {
        address.map_or_else(|| "none".to_owned(), ToString::to_string)
    };
    let (shards, background) = (state.shard_count, state.background_count);
    let (listen, http) = (shown(state.listen.get()), shown(state.http.get()));
    if state.catalog().roles().all(|role| role.verifier.is_none()) {
        tracing::info!("no password is set: listening on loopback only");
    }
    println!("ready listen={listen} http={http} shards={shards} background={background}");
    let _flushed = std::io::stdout().flush();
}

/// The HTTP thread.
pub struct HttpServer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl HttpServer {
    /// Ends it.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ended = self.thread.join();
    }
}

/// Serves metrics and health on a thread of its own.
///
/// # Errors
/// When the address cannot be had.
pub fn serve_http(state: Arc<NodeState>) -> Result<HttpServer> {
    let address = state.settings.http;
    let listener = TcpListener::bind(address).with_context(|| {
        format!("cannot listen on {address} for metrics; choose another --http")
    })?;
    listener.set_nonblocking(true)?;
    let _ = state.http.set(listener.local_addr()?);
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let thread = std::thread::Builder::new().name("http".into()).spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            match listener.accept() {
                Ok((stream, _)) => {
                    if let Err(error) = answer(stream, &state) {
                        tracing::debug!(%error, "a metrics client went away");
                    }
                }
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    })?;
    Ok(HttpServer { stop, thread })
}

fn answer(mut stream: TcpStream, state: &NodeState) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(REQUEST_TIMEOUT))?;
    stream.set_write_timeout(Some(REQUEST_TIMEOUT))?;
    let mut request = Vec::new();
    let mut chunk = [0u8; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let count = stream.read(&mut chunk)?;
        if count == 0 || request.len() + count > REQUEST_BYTES_MAX {
            return Ok(());
        }
        request.extend_from_slice(&chunk[..count]);
    }
    let text = String::from_utf8_lossy(&request);
    let mut words = text.lines().next().unwrap_or_default().split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (status, kind, body) = match (method, path.split('?').next().unwrap_or_default()) {
        ("GET", "/metrics") => ("200 OK", "text/plain; version=0.0.4", metrics(state)),
        ("GET", "/healthz") => ("200 OK", "text/plain", "ok\n".to_owned()),
        ("GET", "/readyz") if state.is_ready() => ("200 OK", "text/plain", "ready\n".to_owned()),
        ("GET", "/readyz") => ("503 Service Unavailable", "text/plain", "starting\n".to_owned()),
        ("GET", _) => {
            ("404 Not Found", "text/plain", "see /metrics, /healthz, /readyz\n".to_owned())
        }
        _ => ("405 Method Not Allowed", "text/plain", "only GET\n".to_owned()),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// One metric: name, help, kind, and how it is read off a core.
type Metric = (&'static str, &'static str, &'static str, fn(&CoreNumbers) -> u64);

const METRICS: &[Metric] = &[
    ("ringfence_connections", "Open client connections.", "gauge", |n| n.connections.into()),
    ("ringfence_sessions", "Client connections with a session.", "gauge", |n| n.sessions.into()),
    ("ringfence_requests", "Requests to shards under way.", "gauge", |n| n.requests),
    ("ringfence_memtable_bytes", "Bytes of memtables.", "gauge", |n| n.tree.memory_bytes),
    ("ringfence_flushes_total", "Memtables written to files.", "counter", |n| n.tree.flushes),
    ("ringfence_flushed_bytes_total", "Bytes that flushes wrote.", "counter", |n| {
        n.tree.flushed_bytes
    }),
    ("ringfence_compactions_total", "Compactions finished.", "counter", |n| n.tree.compactions),
    ("ringfence_compaction_read_bytes_total", "Bytes that compactions read.", "counter", |n| {
        n.tree.compaction_bytes_read
    }),
    ("ringfence_compaction_written_bytes_total", "Bytes that compactions wrote.", "counter", |n| {
        n.tree.compaction_bytes_written
    }),
    (
        "ringfence_compactions_failed_total",
        "Compactions that ended with an error.",
        "counter",
        |n| n.tree.compactions_failed,
    ),
    (
        "ringfence_admission_waits_total",
        "Writes that waited for flush or compaction.",
        "counter",
        |n| n.tree.admission_waits,
    ),
    ("ringfence_log_segments_held", "Log segments that are still needed.", "gauge", |n| {
        n.tree.log_segments_held
    }),
    ("ringfence_log_segments_free", "Log segments that wait to be used.", "gauge", |n| {
        n.tree.log_segments_free
    }),
    ("ringfence_pins", "Snapshots that keep history.", "gauge", |n| n.tree.pins),
    ("ringfence_scrubbed_bytes_total", "Bytes that the scrubber has verified.", "counter", |n| {
        n.tree.scrubbed_bytes
    }),
    ("ringfence_disk_full", "Whether the disk was full when last written to.", "gauge", |n| {
        n.tree.disk_full.into()
    }),
];

fn metrics(state: &NodeState) -> String {
    let numbers = state.numbers.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut text = String::new();
    for (name, help, kind, read) in METRICS {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (shard, numbers) in numbers.iter().enumerate() {
            let _ = writeln!(text, "{name}{{shard=\"{shard}\"}} {}", read(numbers));
        }
    }
    let name = "ringfence_uptime_seconds";
    let seconds = state.started.elapsed().as_secs();
    let _ = writeln!(
        text,
        "# HELP {name} Time since the start.\n# TYPE {name} gauge\n{name} {seconds}"
    );
    text
}

/// Rows of a computed table about the node, in the order of its columns. What is not known is NULL; tables that nothing is known for are empty.
pub fn rows(state: &NodeState, table: VirtualTable) -> Vec<Vec<Value>> {
    if (table.schema(), table.name()) != ("ringfence", "shards") {
        return Vec::new();
    }
    let numbers = state.numbers.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let slices = types::token::SliceCount::DEFAULT;
    let row = |(shard, numbers): (usize, &CoreNumbers)| {
        let tree = &numbers.tree;
        let owned = slices.owned_by(ShardId(shard as u16), state.shard_count).count();
        let cell = |column: &VirtualColumn| {
            let number = match column.name {
                "shard" | "shard_id" | "core" => shard as u64,
                "slices" => owned as u64,
                "sessions" => numbers.sessions.into(),
                "connections" => numbers.connections.into(),
                "requests" => numbers.requests,
                "memtable_bytes" | "memory_bytes" => tree.memory_bytes,
                "frozen_memtables" => tree.frozen_memtables,
                "sstables" | "files" => tree.level_files.iter().sum(),
                "sstable_bytes" | "file_bytes" => tree.level_bytes.iter().sum(),
                "flushes" => tree.flushes,
                "compactions" => tree.compactions,
                "pins" | "snapshots" => tree.pins,
                "log_segments" | "log_segments_held" => tree.log_segments_held,
                _ => return Value::Null,
            };
            match column.sql_type {
                SqlType::Int4 => Value::Int4(i32::try_from(number).unwrap_or(i32::MAX)),
                SqlType::Int8 => Value::Int8(i64::try_from(number).unwrap_or(i64::MAX)),
                _ => Value::Null,
            }
        };
        table.columns().iter().map(cell).collect()
    };
    numbers.iter().enumerate().map(row).collect()
}
