//! H3: a prober commits one row each millisecond while analytic counts run. Every count must include each row acknowledged before it began.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;

use super::Settings;
use crate::report::Report;
use crate::server::{Kind, Server, rows};

const INTERVAL: Duration = Duration::from_millis(1);

#[derive(Default)]
struct Probe {
    /// Rows sent, acknowledged or not.
    sent: AtomicU64,
    acknowledged: AtomicU64,
    stop: AtomicBool,
}

pub fn run(settings: &Settings, report: &mut Report) -> Result<()> {
    let server = Server::start(Kind::Ringfence)?;
    let mut counter = server.connect()?;
    let mut prober = server.connect()?;
    prober.batch_execute("CREATE TABLE freshness (number bigint PRIMARY KEY)")?;
    let probe = Probe::default();
    let counted = std::thread::scope(|scope| {
        let writing = scope.spawn(|| commit(&mut prober, &probe));
        let counted = count(&mut counter, &probe, Duration::from_secs(settings.seconds), report);
        probe.stop.store(true, Ordering::Relaxed);
        writing.join().expect("the prober does not panic")?;
        counted
    });
    counted?;
    server.stop()
}

/// Commits at its pace; a commit that takes longer than the interval is followed at once by the next.
fn commit(client: &mut postgres::Client, probe: &Probe) -> Result<()> {
    let insert = client.prepare("INSERT INTO freshness VALUES ($1)")?;
    let mut next = Instant::now();
    for number in 0i64.. {
        if probe.stop.load(Ordering::Relaxed) {
            break;
        }
        probe.sent.fetch_add(1, Ordering::SeqCst);
        client.execute(&insert, &[&number]).context("the prober's insert")?;
        probe.acknowledged.fetch_add(1, Ordering::SeqCst);
        next += INTERVAL;
        match next.checked_duration_since(Instant::now()) {
            Some(early) => std::thread::sleep(early),
            None => next = Instant::now(),
        }
    }
    Ok(())
}

fn count(
    client: &mut postgres::Client,
    probe: &Probe,
    time: Duration,
    report: &mut Report,
) -> Result<()> {
    let mut waits = Histogram::<u64>::new(3)?;
    let mut elapsed = Histogram::<u64>::new(3)?;
    let mut stale = 0u64;
    let mut invented = 0u64;
    let mut analytic = true;
    let started = Instant::now();
    while started.elapsed() < time || elapsed.is_empty() {
        let acknowledged = probe.acknowledged.load(Ordering::SeqCst);
        let begun = Instant::now();
        let answer = rows(client, "SELECT count(*) FROM freshness")?.concat().concat();
        elapsed.record(begun.elapsed().as_micros() as u64)?;
        let seen: u64 = answer.parse().context("a count is a number")?;
        stale += u64::from(seen < acknowledged);
        invented += u64::from(seen > probe.sent.load(Ordering::SeqCst));
        let plan = rows(client, "EXPLAIN ANALYZE SELECT count(*) FROM freshness")?;
        let lines: Vec<&str> = plan.iter().flatten().map(String::as_str).collect();
        analytic &= lines.iter().any(|line| line.starts_with("path: olap"));
        let wait = lines.iter().find_map(|line| parse_wait(line));
        waits.record(wait.context("EXPLAIN ANALYZE says how long the snapshot was waited for")?)?;
    }
    let acknowledged = probe.acknowledged.load(Ordering::SeqCst);
    let quantiles = |of: &Histogram<u64>| {
        format!(
            "p50 {} us, p99 {} us, max {} us",
            of.value_at_quantile(0.5),
            of.value_at_quantile(0.99),
            of.max()
        )
    };
    report.figure("wait for the snapshot", quantiles(&waits));
    report.figure("whole count, as the client saw it", quantiles(&elapsed));
    report.figure("commits of the prober", format!("{acknowledged} in {:?}", started.elapsed()));
    report.check(analytic, "every count took the analytic path".into());
    let counts = elapsed.len();
    report
        .check(stale == 0, format!("{stale} of {counts} counts missed a row acknowledged before"));
    report.check(invented == 0, format!("{invented} of {counts} counts held a row never sent"));
    Ok(())
}

/// Microseconds out of `snapshot: waited 41 us`.
fn parse_wait(line: &str) -> Option<u64> {
    line.strip_prefix("snapshot: waited ")?.strip_suffix(" us")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::parse_wait;

    #[test]
    fn waits_are_read() {
        assert_eq!(parse_wait("snapshot: waited 41 us"), Some(41));
        assert_eq!(parse_wait("elapsed: 3.985 ms"), None);
        assert_eq!(parse_wait("snapshot: waited long"), None);
    }
}
