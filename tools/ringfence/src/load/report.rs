//! What a run of the load generator found out, for people and for programs.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::{ClientResult, LATE_SEND_MICROS_MAX, LoadOptions, histogram};

/// Latencies in microseconds.
#[derive(Clone, Debug, Serialize)]
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

impl Latencies {
    /// Reads the percentiles of a histogram in microseconds.
    pub fn of(histogram: &Histogram<u64>) -> Latencies {
        Latencies {
            p50: histogram.value_at_quantile(0.5),
            p90: histogram.value_at_quantile(0.9),
            p99: histogram.value_at_quantile(0.99),
            p999: histogram.value_at_quantile(0.999),
            max: histogram.max(),
        }
    }
}

/// The whole outcome.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Name of the workload.
    pub workload: String,
    /// Connections.
    pub clients: u32,
    /// Operations a second asked for; nothing in a closed loop.
    pub rate: Option<f64>,
    /// How long it ran.
    pub seconds: f64,
    /// Operations acknowledged.
    pub operations: u64,
    /// Operations a second.
    pub throughput: f64,
    /// Operations that failed for good.
    pub failed: u64,
    /// Attempts answered with 40001 and retried.
    pub conflicts: u64,
    /// Latencies in microseconds, from the scheduled arrival in an open loop.
    pub latency_micros: Latencies,
    /// How late the generator itself was, p99.9, in microseconds.
    pub late_send_micros_p999: u64,
    /// The generator was too late for its own schedule: the figures say nothing.
    pub void: bool,
    /// Operations done in each second.
    pub per_second: Vec<u64>,
    /// For each client, how many of its operations (in its own order) were acknowledged.
    pub acknowledged: Vec<u64>,
    /// The last error of a client that had one.
    pub error: Option<String>,
}

impl Report {
    /// Adds up the clients.
    pub fn new(options: &LoadOptions, elapsed: Duration, results: Vec<ClientResult>) -> Report {
        let mut latencies = histogram();
        let mut late = histogram();
        let mut per_second = vec![0; options.duration.as_secs() as usize + 1];
        for result in &results {
            latencies.add(&result.latencies).expect("same bounds");
            late.add(&result.late_sends).expect("same bounds");
            for (total, count) in per_second.iter_mut().zip(&result.per_second) {
                *total += count;
            }
        }
        if per_second.last() == Some(&0) {
            per_second.pop();
        }
        let operations: u64 = results.iter().map(|result| result.acknowledged).sum();
        let late_p999 = late.value_at_quantile(0.999);
        Report {
            workload: options.workload.name().to_owned(),
            clients: options.clients,
            rate: options.rate,
            seconds: elapsed.as_secs_f64(),
            operations,
            throughput: operations as f64 / elapsed.as_secs_f64(),
            failed: results.iter().map(|result| result.failed).sum(),
            conflicts: results.iter().map(|result| result.conflicts).sum(),
            latency_micros: Latencies::of(&latencies),
            late_send_micros_p999: late_p999,
            void: options.rate.is_some() && late_p999 > LATE_SEND_MICROS_MAX,
            per_second,
            acknowledged: results.iter().map(|result| result.acknowledged).collect(),
            error: results.into_iter().find_map(|result| result.error),
        }
    }

    /// A few lines for a person.
    pub fn print(&self) {
        let loop_kind = match self.rate {
            Some(rate) => format!("open loop, {rate} operations/s asked for"),
            None => "closed loop".to_owned(),
        };
        println!("workload    {} · {} clients · {loop_kind}", self.workload, self.clients);
        println!(
            "operations  {} in {:.1} s = {:.0}/s · {} failed · {} conflicts retried",
            self.operations, self.seconds, self.throughput, self.failed, self.conflicts
        );
        let l = &self.latency_micros;
        println!(
            "latency     p50 {} µs · p90 {} µs · p99 {} µs · p99.9 {} µs · max {} µs",
            l.p50, l.p90, l.p99, l.p999, l.max
        );
        if self.void {
            println!(
                "void        the generator was late by {} µs at p99.9: use fewer clients or a lower rate",
                self.late_send_micros_p999
            );
        }
        if let Some(error) = &self.error {
            println!("last error  {error}");
        }
    }
}
