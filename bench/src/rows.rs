//! The rows of the suite: what each measures, its goal, and the run of those that are built.

mod demo;
mod echo;
mod freshness;
mod reads;
mod writes;

use anyhow::{Result, ensure};

use crate::client::Measured;
use crate::measure::Counters;
use crate::report::{Report, Sample};
use crate::server::{Kind, Server};

/// What the command line asks of a row.
pub struct Settings {
    /// Seconds of each sample.
    pub seconds: u64,
    /// The other side; none measures ours alone.
    pub peer: Option<Kind>,
    /// Pairs of the interleaving.
    pub rounds: u32,
    /// Rows of P1's table.
    pub rows: u64,
    /// T1's larger scale.
    pub scale: u64,
}

/// The work of a row.
pub type Run = fn(&Settings, &mut Report) -> Result<()>;

/// One row.
pub struct Row {
    /// Its name.
    pub id: &'static str,
    /// What it measures.
    pub sentence: &'static str,
    /// What is to be reached.
    pub goal: &'static str,
    /// Its work; nothing while it is not built.
    pub run: Option<Run>,
}

const fn row(
    id: &'static str,
    sentence: &'static str,
    goal: &'static str,
    run: Option<Run>,
) -> Row {
    Row { id, sentence, goal, run }
}

/// Every row of the suite, in its order.
pub const ROWS: &[Row] = &[
    row(
        "N1",
        "Echo over pgwire framing at 1 and 32 connections",
        "within 15 % of the socket floor at 32",
        Some(echo::run),
    ),
    row(
        "P1",
        "Cached point reads, prepared and simple, beside PostgreSQL",
        "<= 12 us CPU prepared, >= 2.4x PostgreSQL; simple >= 4x",
        Some(reads::run),
    ),
    row(
        "P2",
        "Cold point reads, data far larger than the cache",
        ">= 60 k/s, <= 1.05 I/O a read",
        None,
    ),
    row(
        "W1",
        "Durable one-row inserts of 1, 4 and 16 clients, beside PostgreSQL",
        ">= 90 % of the flush limit; >= 2.5x PostgreSQL at 16",
        Some(writes::inserts),
    ),
    row("W2", "Sustained upserts with compaction", "longest stall <= 50 ms, p99.9 <= 5 ms", None),
    row("E1", "Embedded YCSB A to F", ">= 1.3x the best Rust engine", None),
    row(
        "T1",
        "TPC-B, one hot branch and larger, beside PostgreSQL",
        ">= 4x PostgreSQL in CPU, >= 1.8x in throughput; hot >= 1.0x with < 1 % aborts seen",
        Some(writes::tpcb),
    ),
    row("T2", "TPC-C mix, 10 and 50 warehouses", ">= 2x tpmC, 40001 seen < 1 %", None),
    row("L1", "COPY of TPC-H lineitem", ">= 600 k rows/s/core, >= 2x PostgreSQL", None),
    row(
        "S1",
        "Counts, sums, filters and groups over 100 M rows",
        ">= 2x DataFusion on Parquet, hot sums >= DuckDB",
        None,
    ),
    row(
        "S2",
        "TPC-H, clean and after 10 % random updates",
        "<= 0.8x DataFusion's time, >= 20x PostgreSQL",
        None,
    ),
    row("S3", "Rows by key out of cold column files", "<= 2 I/O a row", None),
    row(
        "D1",
        "The demo's questions during ingest",
        "one window < 0.5 s, 17.7 M rows < 3 s",
        Some(demo::run),
    ),
    row(
        "H1",
        "Isolation: point reads and writes beside endless full scans",
        "p50 <= 1.05, p99 <= 1.25, throughput loss <= 2 %",
        None,
    ),
    row(
        "H3",
        "Freshness: analytic counts beside a prober that commits",
        "age 0 always; wait for the snapshot p50 <= 1 ms, p99 <= 5 ms",
        Some(freshness::run),
    ),
    row(
        "R1",
        "Three replicas, one-row and cross-shard transactions",
        ">= 3x etcd at 64 clients",
        None,
    ),
    row(
        "R2",
        "Kill, pause, partition or slow one node of three",
        "longest stall <= 1 s, nothing lost",
        None,
    ),
    row("C1", "10 to 10,000 sessions, 1 % active", "<= 32 KiB an idle session", None),
    row("C2", "kill -9 at full write load with 1 GiB of log", "serving in <= 5 s", None),
    row(
        "X1",
        "Shards, memory and analytic threads varied",
        "CPU an operation flat within 5 %",
        None,
    ),
];

/// The row of that name, in either case of letters.
pub fn find(id: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.id.eq_ignore_ascii_case(id))
}

/// Runs both sides in turn, each in a fresh directory, and compares them: A, B, A, B …
fn interleave(
    settings: &Settings,
    report: &mut Report,
    mut side: impl FnMut(&mut Server, u32, &mut Report) -> Result<()>,
) -> Result<()> {
    for round in 0..settings.rounds {
        for kind in [Some(Kind::Ringfence), settings.peer].into_iter().flatten() {
            eprintln!("{} round {round}: {}", report.row, kind.name());
            let mut server = Server::start(kind)?;
            side(&mut server, round, report)?;
            server.stop()?;
        }
    }
    if let Some(peer) = settings.peer {
        report.compare(Kind::Ringfence.name(), peer.name());
    }
    Ok(())
}

/// Takes one sample: counts before and after the client's run.
fn sample(
    server: &Server,
    round: u32,
    what: &str,
    run: impl FnOnce() -> Result<Measured>,
) -> Result<Sample> {
    let before = server.counters()?;
    let client = run()?;
    let after = server.counters()?;
    ensure!(client.operations > 0, "{what}: no operation was acknowledged ({:?})", client.error);
    let each = |of: fn(&Counters) -> u64| {
        of(&after).saturating_sub(of(&before)) as f64 / client.operations as f64
    };
    Ok(Sample {
        server: server.kind().name(),
        what: what.to_owned(),
        round,
        cpu_micros_per_operation: each(|c| c.cpu_micros),
        written_bytes_per_operation: each(|c| c.written_bytes),
        device_flushes_per_operation: each(|c| c.device_flushes),
        memory_bytes: after.memory_bytes,
        disk_bytes: server.disk_bytes(),
        client,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found_in_either_case() {
        for row in ROWS {
            let found = find(&row.id.to_lowercase()).expect("every row is found");
            assert_eq!(found.sentence, row.sentence);
        }
        assert!(find("Z9").is_none());
    }
}
