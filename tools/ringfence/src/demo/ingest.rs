//! Writes events at a rate, from one connection, until told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::demo::telemetry::{Event, Telemetry, insert_events, upsert_latest};
use crate::pg_client::{ClientError, ConnectUrl, PgClient};

/// Events in one INSERT.
const BATCH: usize = 100;

/// A running ingest.
pub struct Ingest {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    thread: JoinHandle<Result<(), ClientError>>,
}

impl Ingest {
    /// Starts writing `rate` events a second for `asset_count` assets.
    pub fn start(url: &ConnectUrl, rate: u64, asset_count: usize) -> Result<Ingest, ClientError> {
        let mut client = PgClient::connect(url)?;
        let stop = Arc::new(AtomicBool::new(false));
        let written = Arc::new(AtomicU64::new(0));
        let (stop_seen, counter) = (stop.clone(), written.clone());
        let thread = thread::spawn(move || {
            let mut telemetry = Telemetry::new(1, asset_count);
            let start = Instant::now();
            while !stop_seen.load(Ordering::Relaxed) {
                let due = (start.elapsed().as_secs_f64() * rate as f64) as u64;
                if counter.load(Ordering::Relaxed) >= due {
                    thread::sleep(Duration::from_millis(2));
                    continue;
                }
                let events: Vec<Event> = (0..BATCH).map(|_| telemetry.next_event()).collect();
                client.simple(&insert_events(&events))?;
                // The latest event of each asset in the batch; one statement changes a row once.
                let mut latest: Vec<Event> = Vec::with_capacity(events.len());
                for event in events.into_iter().rev() {
                    if !latest.iter().any(|known| known.entity_id == event.entity_id) {
                        latest.push(event);
                    }
                }
                client.simple(&upsert_latest(&latest))?;
                counter.fetch_add(BATCH as u64, Ordering::Relaxed);
            }
            Ok(())
        });
        Ok(Ingest { stop, written, thread })
    }

    /// Events acknowledged so far.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Stops and gives the number of events acknowledged.
    ///
    /// # Errors
    /// What ended the ingest early, if something did.
    pub fn stop(self) -> Result<u64, ClientError> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the ingest thread does not panic")?;
        Ok(self.written.load(Ordering::Relaxed))
    }
}
