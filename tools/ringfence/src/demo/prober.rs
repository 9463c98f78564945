//! Reads one row by key again and again and keeps the latencies: what transactions feel while something else runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::load::report::Latencies;
use crate::pg_client::{ClientError, ConnectUrl, PgClient};

/// A running prober.
pub struct Prober {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Histogram<u64>, ClientError>>,
}

/// Time between two scheduled reads.
const PERIOD: Duration = Duration::from_millis(1);

impl Prober {
    /// Starts 1,000 reads a second; latency counts from the scheduled time.
    pub fn start(url: &ConnectUrl, asset_count: usize) -> Result<Prober, ClientError> {
        let mut client = PgClient::connect(url)?;
        client.prepare(
            "probe",
            "SELECT speed_mps, altitude_m, risk_score FROM latest_status WHERE entity_id = $1",
        )?;
        let stop = Arc::new(AtomicBool::new(false));
        let stop_seen = stop.clone();
        let thread = thread::spawn(move || {
            let mut latencies =
                Histogram::new_with_bounds(1, 60_000_000, 3).expect("the bounds are valid");
            let start = Instant::now();
            let mut scheduled = Duration::ZERO;
            let mut number = 0usize;
            while !stop_seen.load(Ordering::Relaxed) {
                scheduled += PERIOD;
                if let Some(ahead) = scheduled.checked_sub(start.elapsed()) {
                    thread::sleep(ahead);
                }
                let asked = scheduled.max(start.elapsed().saturating_sub(PERIOD));
                client.execute("probe", &[&format!("asset-{:06}", number % asset_count)])?;
                number += 7;
                let micros = start.elapsed().saturating_sub(asked).as_micros() as u64;
                latencies.saturating_record(micros.max(1));
            }
            Ok(latencies)
        });
        Ok(Prober { stop, thread })
    }

    /// Stops and gives what it saw.
    ///
    /// # Errors
    /// What ended it early, if something did.
    pub fn stop(self) -> Result<Latencies, ClientError> {
        self.stop.store(true, Ordering::Relaxed);
        let latencies = self.thread.join().expect("the prober thread does not panic")?;
        Ok(Latencies::of(&latencies))
    }
}
