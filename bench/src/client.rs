//! The clients that make the load: pgbench and the built-in `ringfence load`, each with the reader of its answer.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// What either client measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Measured {
    /// Operations acknowledged.
    pub operations: u64,
    /// Operations a second.
    pub throughput: f64,
    /// Operations given up.
    pub failed: u64,
    /// Attempts answered with 40001 or 40P01 and made again.
    pub conflicts: u64,
    /// Mean latency, where the client says it.
    pub mean_micros: Option<f64>,
    /// Percentiles, where the client says them.
    pub latency_micros: Option<Latencies>,
    /// For each client, how many operations were acknowledged.
    pub acknowledged: Vec<u64>,
    /// The last error of an operation given up.
    pub error: Option<String>,
}

/// Latencies in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latencies {
    /// Median.
    pub p50: u64,
    /// 90 of 100 are at or below.
    pub p90: u64,
    /// 99 of 100 are at or below.
    pub p99: u64,
    /// 999 of 1000 are at or below.
    pub p999: u64,
    /// The longest.
    pub max: u64,
}

#[derive(Deserialize)]
struct LoadAnswer {
    operations: u64,
    throughput: f64,
    failed: u64,
    conflicts: u64,
    latency_micros: Latencies,
    void: bool,
    acknowledged: Vec<u64>,
    error: Option<String>,
}

/// Reads the document of `ringfence load --json`.
pub fn parse_load(text: &str) -> Result<Measured> {
    let answer: LoadAnswer =
        serde_json::from_str(text).context("`ringfence load --json` answered something else")?;
    if answer.void {
        bail!("the load generator was late for its own schedule: the run is void");
    }
    Ok(Measured {
        operations: answer.operations,
        throughput: answer.throughput,
        failed: answer.failed,
        conflicts: answer.conflicts,
        mean_micros: None,
        latency_micros: Some(answer.latency_micros),
        acknowledged: answer.acknowledged,
        error: answer.error,
    })
}

/// Reads the report pgbench prints at the end.
pub fn parse_pgbench(text: &str) -> Result<Measured> {
    let after = |start: &str| {
        text.lines().find_map(|line| line.trim().strip_prefix(start)?.split_whitespace().next())
    };
    let operations = after("number of transactions actually processed:")
        .and_then(|word| word.split('/').next()?.parse().ok())
        .with_context(|| format!("pgbench did not say what it processed: {}", text.trim()))?;
    let throughput = after("tps =")
        .and_then(|word| word.parse().ok())
        .with_context(|| format!("pgbench said no throughput: {}", text.trim()))?;
    let millis: Option<f64> = after("latency average =").and_then(|word| word.parse().ok());
    Ok(Measured {
        operations,
        throughput,
        failed: after("number of failed transactions:")
            .and_then(|word| word.parse().ok())
            .unwrap_or(0),
        conflicts: after("total number of retries:")
            .and_then(|word| word.parse().ok())
            .unwrap_or(0),
        mean_micros: millis.map(|millis| millis * 1000.0),
        ..Measured::default()
    })
}

/// A run of the built-in generator.
pub struct Load<'a> {
    /// The workload's name.
    pub workload: &'a str,
    /// Where.
    pub url: &'a str,
    /// Connections.
    pub clients: u32,
    /// How long; 0 with `init` only makes the tables.
    pub seconds: u64,
    /// Rows of the tables.
    pub rows: u64,
    /// Makes the tables first.
    pub init: bool,
}

impl Load<'_> {
    /// Runs it to its end.
    pub fn run(&self, binary: &Path) -> Result<Measured> {
        let mut command = Command::new(binary);
        command.args(["load", self.workload, "--json", "--url", self.url]);
        for (option, value) in [
            ("--clients", u64::from(self.clients)),
            ("--seconds", self.seconds),
            ("--rows", self.rows),
        ] {
            command.args([option, &value.to_string()]);
        }
        if self.init {
            command.arg("--init");
        }
        let output = command.output().context("starting `ringfence load`")?;
        let only_tables = self.init && self.seconds == 0;
        if only_tables && output.status.success() {
            return Ok(Measured::default());
        }
        // It ends with 1 when an operation was given up; the document says so itself.
        parse_load(&String::from_utf8_lossy(&output.stdout)).with_context(|| {
            format!("`ringfence load`: {}", String::from_utf8_lossy(&output.stderr).trim())
        })
    }
}

/// A run of pgbench with a script of ours.
pub struct Pgbench<'a> {
    /// The script.
    pub script: &'a Path,
    /// `simple` or `prepared`.
    pub mode: &'a str,
    /// Port on the loopback.
    pub port: u16,
    /// Connections.
    pub clients: u32,
    /// How long.
    pub seconds: u64,
}

impl Pgbench<'_> {
    /// Runs it to its end.
    pub fn run(&self) -> Result<Measured> {
        let output = Command::new("pgbench")
            .args(["-h", "127.0.0.1", "-U", "ringfence", "-n", "-j", "1", "-M", self.mode])
            .args(["-p", &self.port.to_string(), "-c", &self.clients.to_string()])
            .args(["-T", &self.seconds.to_string(), "-f"])
            .arg(self.script)
            .arg("ringfence")
            .output()
            .context("starting pgbench; Debian and Ubuntu: apt-get install postgresql-contrib")?;
        if !output.status.success() {
            bail!("pgbench: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        parse_pgbench(&String::from_utf8_lossy(&output.stdout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PGBENCH: &str = "pgbench (15.14 (Debian 15.14-0+deb12u1))\n\
        transaction type: read.sql\nscaling factor: 1\nquery mode: simple\nnumber of clients: 16\n\
        number of threads: 1\nmaximum number of tries: 1\nduration: 2 s\n\
        number of transactions actually processed: 48151\n\
        number of failed transactions: 3 (0.006%)\nlatency average = 0.664 ms\n\
        initial connection time = 5.731 ms\ntps = 24092.131690 (without initial connection time)\n";

    #[test]
    fn pgbench_report_is_read() {
        let measured = parse_pgbench(PGBENCH).expect("a report of pgbench 15");
        assert_eq!(measured.operations, 48_151);
        assert_eq!(measured.failed, 3);
        assert!((measured.throughput - 24_092.131_69).abs() < 1e-6);
        assert!((measured.mean_micros.expect("it says the mean") - 664.0).abs() < 1e-6);
        assert_eq!(measured.latency_micros, None);
    }

    #[test]
    fn a_run_by_count_says_both_numbers() {
        let text = "number of transactions actually processed: 10/10\ntps = 5.0 (x)\n";
        assert_eq!(parse_pgbench(text).expect("operations and throughput").operations, 10);
    }

    #[test]
    fn an_answer_without_figures_is_an_error() {
        assert!(parse_pgbench("pgbench: error: connection refused").is_err());
        assert!(parse_pgbench("number of transactions actually processed: 10\n").is_err());
        assert!(parse_load("").is_err());
        assert!(parse_load("{\"operations\":1}").is_err());
    }

    const LOAD: &str = r#"{"workload":"insert","clients":2,"rate":null,"seconds":2.0,"operations":163,"throughput":81.2,
        "failed":1,"conflicts":4,"latency_micros":{"p50":1,"p90":2,"p99":3,"p999":4,"max":5},"late_send_micros_p999":0,
        "void":false,"per_second":[82,80,1],"acknowledged":[100,63],"error":"40001: x"}"#;

    #[test]
    fn load_document_is_read() {
        let measured = parse_load(LOAD).expect("a document of `ringfence load`");
        assert_eq!((measured.operations, measured.failed, measured.conflicts), (163, 1, 4));
        assert_eq!(measured.acknowledged, vec![100, 63]);
        assert_eq!(measured.latency_micros.map(|l| (l.p50, l.p999)), Some((1, 4)));
    }

    #[test]
    fn a_late_generator_voids_the_run() {
        assert!(parse_load(&LOAD.replace("\"void\":false", "\"void\":true")).is_err());
    }
}
