//! The built-in load generator: closed loop for "how much", open loop for "how fast at this rate".
//!
//! Open loop: every client's arrivals are drawn before the run (Poisson), and a latency counts from the **scheduled** arrival, so that a stall is
//! charged to all
//! who would have come during it (no coordinated omission). A run whose generator was itself late (p99.9 of late sends above
//! [`LATE_SEND_MICROS_MAX`]) is void and
//! says so. One thread and one connection a client.

pub mod report;
pub mod workload;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use types::prng::Prng;

use crate::pg_client::{ClientError, ConnectUrl, PgClient};
use report::Report;
use workload::{Workload, WorkloadKind};

/// A generator that is later than this at p99.9 makes its run void.
pub const LATE_SEND_MICROS_MAX: u64 = 100;
/// Tries of one operation that the server asks to retry (40001).
const TRIES_MAX: u32 = 10;

/// What to run.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Where.
    pub url: ConnectUrl,
    /// What.
    pub workload: WorkloadKind,
    /// Connections.
    pub clients: u32,
    /// Operations a second over all clients; closed loop if there is none.
    pub rate: Option<f64>,
    /// How long.
    pub duration: Duration,
    /// Rows of the workload's tables.
    pub rows: u64,
    /// Seed of all choices.
    pub seed: u64,
}

/// What one client did.
pub struct ClientResult {
    /// Latencies in microseconds.
    pub latencies: Histogram<u64>,
    /// How late sends were, in microseconds.
    pub late_sends: Histogram<u64>,
    /// Operations done in each second of the run.
    pub per_second: Vec<u64>,
    /// Operations that failed for good.
    pub failed: u64,
    /// Attempts that ended with 40001 and were retried.
    pub conflicts: u64,
    /// Operations acknowledged, in this client's own order: those numbered below it are durable.
    pub acknowledged: u64,
    /// Why it ended early.
    pub error: Option<String>,
}

/// Makes the tables of a workload.
pub fn initialise(options: &LoadOptions, progress: &dyn Fn(u64)) -> Result<(), ClientError> {
    let mut client = PgClient::connect(&options.url)?;
    workload::initialise(&mut client, options.workload, options.rows, progress)
}

/// Runs the workload and gathers what its clients saw.
pub fn run(options: &LoadOptions) -> Result<Report, ClientError> {
    let clients = options.clients.max(1);
    let mut ready = Vec::new();
    for index in 0..clients {
        let mut client = PgClient::connect(&options.url)?;
        let work = Workload::prepare(&mut client, options, index)?;
        ready.push((client, work));
    }
    let barrier = Arc::new(Barrier::new(clients as usize + 1));
    let stop = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicU64::new(0));
    let mut threads = Vec::new();
    for (index, (client, work)) in ready.into_iter().enumerate() {
        let (barrier, stop, done) = (barrier.clone(), stop.clone(), done.clone());
        let options = options.clone();
        threads.push(thread::spawn(move || {
            barrier.wait();
            ClientRun::new(&options, index as u32, client, work).run(&stop, &done)
        }));
    }
    barrier.wait();
    let start = Instant::now();
    let results: Vec<ClientResult> = threads
        .into_iter()
        .map(|thread| thread.join().expect("a client thread does not panic"))
        .collect();
    Ok(Report::new(options, start.elapsed(), results))
}

struct ClientRun {
    client: PgClient,
    work: Workload,
    prng: Prng,
    rate: Option<f64>,
    duration: Duration,
    result: ClientResult,
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("the bounds are valid")
}

impl ClientRun {
    fn new(options: &LoadOptions, index: u32, client: PgClient, work: Workload) -> ClientRun {
        ClientRun {
            client,
            work,
            prng: Prng::new(options.seed ^ (u64::from(index) + 1).wrapping_mul(0x9E37_79B9)),
            rate: options.rate.map(|rate| rate / f64::from(options.clients.max(1))),
            duration: options.duration,
            result: ClientResult {
                latencies: histogram(),
                late_sends: histogram(),
                per_second: vec![0; options.duration.as_secs() as usize + 1],
                failed: 0,
                conflicts: 0,
                acknowledged: 0,
                error: None,
            },
        }
    }

    fn run(mut self, stop: &AtomicBool, done: &AtomicU64) -> ClientResult {
        let start = Instant::now();
        let mut scheduled = Duration::ZERO;
        loop {
            let arrival = match self.rate {
                Some(rate) => {
                    scheduled += Duration::from_secs_f64(-(1.0 - self.prng.unit_f64()).ln() / rate);
                    let now = start.elapsed();
                    if scheduled > now {
                        wait(scheduled - now);
                    }
                    if scheduled < start.elapsed() && scheduled > now {
                        let late = (start.elapsed() - scheduled).as_micros() as u64;
                        self.result.late_sends.saturating_record(late.max(1));
                    }
                    scheduled
                }
                None => start.elapsed(),
            };
            if arrival >= self.duration || stop.load(Ordering::Relaxed) {
                return self.result;
            }
            if let Err(error) = self.operate() {
                if error.code().is_none() {
                    // The connection is gone: nothing after this can be acknowledged.
                    self.result.error = Some(error.to_string());
                    return self.result;
                }
                self.result.failed += 1;
                self.result.error = Some(error.to_string());
                continue;
            }
            let now = start.elapsed();
            self.result.acknowledged += 1;
            done.fetch_add(1, Ordering::Relaxed);
            let micros = now.saturating_sub(arrival).as_micros() as u64;
            self.result.latencies.saturating_record(micros.max(1));
            if let Some(second) = self.result.per_second.get_mut(now.as_secs() as usize) {
                *second += 1;
            }
        }
    }

    fn operate(&mut self) -> Result<(), ClientError> {
        self.work.draw(&mut self.prng);
        for attempt in 1.. {
            match self.work.attempt(&mut self.client) {
                Err(error) if error.code() == Some("40001") && attempt < TRIES_MAX => {
                    self.result.conflicts += 1;
                    self.work.recover(&mut self.client)?;
                }
                Err(error) => {
                    if error.code().is_some() {
                        self.work.recover(&mut self.client)?;
                    }
                    return Err(error);
                }
                Ok(()) => return Ok(()),
            }
        }
        Ok(())
    }
}

/// Sleeps most of a wait and spins the rest, since a sleep of the kernel is late by tens of microseconds.
fn wait(duration: Duration) {
    let end = Instant::now() + duration;
    if duration > Duration::from_micros(200) {
        thread::sleep(duration - Duration::from_micros(120));
    }
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}
