//! What a row found: samples of both sides, their ratios within the run, the checks, and the machine they were taken on.

use std::fs;
use std::process::Command;

use serde::Serialize;

use crate::client::Measured;

/// One measured stretch of one server.
#[derive(Clone, Debug, Serialize)]
pub struct Sample {
    /// Which server.
    pub server: &'static str,
    /// What was done, the same words on both sides.
    pub what: String,
    /// Which pair of the interleaving.
    pub round: u32,
    /// What the client saw.
    pub client: Measured,
    /// Processor time of the server for each acknowledged operation.
    pub cpu_micros_per_operation: f64,
    /// Bytes written to the machine's devices for each acknowledged operation.
    pub written_bytes_per_operation: f64,
    /// Flushes of the machine's devices for each acknowledged operation.
    pub device_flushes_per_operation: f64,
    /// Memory of the server at the end.
    pub memory_bytes: u64,
    /// Its files at the end.
    pub disk_bytes: u64,
}

/// Ours against the peer's, over the rounds of one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ratio {
    /// What was done.
    pub what: String,
    /// `throughput` (ours / theirs) or `cpu` (theirs / ours): above 1 is better for us.
    pub of: &'static str,
    /// The median over rounds.
    pub median: f64,
    /// The worst round.
    pub least: f64,
    /// The best round.
    pub most: f64,
}

/// A figure that belongs to no sample.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// What it says.
    pub what: String,
    /// Its value with unit.
    pub value: String,
}

/// Where and when.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Processor.
    pub processor: String,
    /// Cores.
    pub cores: usize,
    /// Kernel release.
    pub kernel: String,
    /// The harness's commit.
    pub commit: String,
    /// Load averages at the start: with other work on the machine only ratios say something.
    pub load_average: String,
}

impl Machine {
    /// This one, now.
    pub fn here() -> Machine {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let info = read("/proc/cpuinfo");
        let processor =
            info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
        let git = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output().ok();
        Machine {
            processor: processor.unwrap_or("unknown").to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            commit: git
                .map_or_else(String::new, |o| String::from_utf8_lossy(&o.stdout).trim().to_owned()),
            load_average: read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" "),
        }
    }
}

/// The whole outcome of a row.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The row.
    pub row: &'static str,
    /// Its goal, as the suite states it.
    pub goal: &'static str,
    /// Where it ran.
    pub machine: Machine,
    /// Seconds of each sample.
    pub seconds: u64,
    /// Every sample, in the order taken.
    pub samples: Vec<Sample>,
    /// The pairs compared.
    pub ratios: Vec<Ratio>,
    /// Limits and single figures.
    pub figures: Vec<Figure>,
    /// Checks that held.
    pub checks_held: Vec<String>,
    /// Checks that did not: the figures are void.
    pub checks_broken: Vec<String>,
}

impl Report {
    /// An empty one.
    pub fn new(row: &'static str, goal: &'static str, seconds: u64) -> Report {
        Report {
            row,
            goal,
            machine: Machine::here(),
            seconds,
            samples: Vec::new(),
            ratios: Vec::new(),
            figures: Vec::new(),
            checks_held: Vec::new(),
            checks_broken: Vec::new(),
        }
    }

    /// Adds a single figure.
    pub fn figure(&mut self, what: impl Into<String>, value: impl Into<String>) {
        self.figures.push(Figure { what: what.into(), value: value.into() });
    }

    /// Files a check under its outcome.
    pub fn check(&mut self, held: bool, what: String) {
        if held { &mut self.checks_held } else { &mut self.checks_broken }.push(what);
    }

    /// Compares `ours` with `peer` in every round that has both.
    pub fn compare(&mut self, ours: &str, peer: &str) {
        let mut whats: Vec<&str> = Vec::new();
        for sample in &self.samples {
            if !whats.contains(&sample.what.as_str()) {
                whats.push(&sample.what);
            }
        }
        let mut ratios = Vec::new();
        for what in whats {
            let (mut throughput, mut cpu) = (Vec::new(), Vec::new());
            for own in self.samples.iter().filter(|s| s.server == ours && s.what == what) {
                let same = |s: &&Sample| s.server == peer && s.what == what && s.round == own.round;
                if let Some(theirs) = self.samples.iter().find(same) {
                    throughput.push(own.client.throughput / theirs.client.throughput);
                    cpu.push(theirs.cpu_micros_per_operation / own.cpu_micros_per_operation);
                }
            }
            ratios.extend(Ratio::over(what, "throughput", throughput));
            ratios.extend(Ratio::over(what, "cpu", cpu));
        }
        self.ratios = ratios;
    }

    /// Prints it for a reader.
    pub fn print(&self) {
        let machine = &self.machine;
        println!("{}: {}", self.row, self.goal);
        println!(
            "{}, {} cores, Linux {}, commit {}, load average {}",
            machine.processor, machine.cores, machine.kernel, machine.commit, machine.load_average
        );
        if !self.samples.is_empty() {
            println!(
                "\n{:<34} {:<22} {:>5} {:>10} {:>9} {:>8} {:>8} {:>9} {:>9} {:>8} {:>9} {:>8}",
                "what",
                "server",
                "round",
                "ops/s",
                "CPU us/op",
                "p50 us",
                "p99 us",
                "p99.9 us",
                "flush/op",
                "B/op",
                "40001",
                "failed"
            );
        }
        for sample in &self.samples {
            let client = &sample.client;
            let latency = |of: fn(&crate::client::Latencies) -> u64| {
                client.latency_micros.as_ref().map_or("-".to_owned(), |l| of(l).to_string())
            };
            let p50 = match (&client.latency_micros, client.mean_micros) {
                (None, Some(mean)) => format!("~{mean:.0}"),
                _ => latency(|l| l.p50),
            };
            println!(
                "{:<34} {:<22} {:>5} {:>10.0} {:>9.1} {:>8} {:>8} {:>9} {:>9.3} {:>8.0} {:>9} {:>8}",
                sample.what,
                sample.server,
                sample.round,
                client.throughput,
                sample.cpu_micros_per_operation,
                p50,
                latency(|l| l.p99),
                latency(|l| l.p999),
                sample.device_flushes_per_operation,
                sample.written_bytes_per_operation,
                client.conflicts,
                client.failed
            );
        }
        if !self.ratios.is_empty() {
            println!("\nabove 1 is better for us; median (least to most) over the rounds");
        }
        for ratio in &self.ratios {
            println!(
                "{:<34} {:<10} {:>7.2} ({:.2} to {:.2})",
                ratio.what, ratio.of, ratio.median, ratio.least, ratio.most
            );
        }
        println!();
        for figure in &self.figures {
            println!("{}: {}", figure.what, figure.value);
        }
        for check in &self.checks_held {
            println!("held: {check}");
        }
        for check in &self.checks_broken {
            println!("BROKEN: {check}");
        }
    }
}

impl Ratio {
    fn over(what: &str, of: &'static str, mut values: Vec<f64>) -> Option<Ratio> {
        // A sample without an operation, or shorter than a clock tick, gives no number.
        values.retain(|value| value.is_finite());
        values.sort_by(f64::total_cmp);
        let (&least, &most) = (values.first()?, values.last()?);
        let median = (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0;
        Some(Ratio { what: what.to_owned(), of, median, least, most })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(server: &'static str, round: u32, throughput: f64, cpu: f64) -> Sample {
        Sample {
            server,
            what: "16 clients".into(),
            round,
            client: Measured { throughput, ..Measured::default() },
            cpu_micros_per_operation: cpu,
            written_bytes_per_operation: 0.0,
            device_flushes_per_operation: 0.0,
            memory_bytes: 0,
            disk_bytes: 0,
        }
    }

    #[test]
    fn ratios_pair_the_rounds() {
        let mut report = Report::new("W1", "", 1);
        report.samples = vec![
            sample("a", 0, 200.0, 10.0),
            sample("b", 0, 100.0, 40.0),
            sample("a", 1, 400.0, 10.0),
            sample("b", 1, 100.0, 20.0),
            sample("a", 2, 1.0, 1.0),
        ];
        report.compare("a", "b");
        let ratio =
            |of, median, least, most| Ratio { what: "16 clients".into(), of, median, least, most };
        assert_eq!(
            report.ratios,
            vec![ratio("throughput", 3.0, 2.0, 4.0), ratio("cpu", 3.0, 2.0, 4.0)]
        );
    }

    #[test]
    fn no_number_is_no_ratio() {
        assert_eq!(Ratio::over("x", "cpu", vec![f64::NAN, f64::INFINITY]), None);
        assert_eq!(Ratio::over("x", "cpu", vec![]), None);
    }

    #[test]
    fn checks_are_filed_by_outcome() {
        let mut report = Report::new("W1", "", 1);
        report.check(true, "a".into());
        report.check(false, "b".into());
        assert_eq!(
            (report.checks_held, report.checks_broken),
            (vec!["a".into()], vec!["b".into()])
        );
    }
}
