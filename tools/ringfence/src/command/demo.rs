//! `ringfence demo`: a node of its own, live telemetry, questions, transactions, and what a point read felt meanwhile.

use std::io::{BufRead, BufReader, IsTerminal};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::demo::figures::Figures;
use crate::demo::ingest::Ingest;
use crate::demo::prober::Prober;
use crate::demo::questions::{QUESTIONS, ask};
use crate::demo::telemetry::bucket_of;
use crate::demo::{schema, transactions};
use crate::load::report::Latencies;
use crate::pg_client::{ConnectUrl, PgClient};

/// Ingests telemetry live, answers questions while it comes in, and measures what that does to point reads.
#[derive(Args, Debug)]
pub struct DemoArguments {
    /// Events a second
    #[arg(long, default_value_t = 2_000)]
    rate: u64,
    /// How long events come in
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Assets
    #[arg(long, default_value_t = 100)]
    assets: usize,
    /// One JSON document on standard output and nothing else
    #[arg(long)]
    json: bool,
    /// Leaves the node running at the end
    #[arg(long)]
    keep: bool,
}

/// Least time for a phase of the demo, so that percentiles mean something.
const PHASE_SECONDS_MIN: u64 = 3;

/// A node as a child of this process.
struct Node {
    child: Child,
    url: ConnectUrl,
    keep: bool,
    _directory: Option<tempfile::TempDir>,
}

impl Node {
    fn start(keep: bool) -> Result<Node> {
        let directory = tempfile::Builder::new()
            .prefix("ringfence-demo-")
            .tempdir_in(std::env::current_dir()?)
            .or_else(|_| tempfile::Builder::new().prefix("ringfence-demo-").tempdir())?;
        let binary = std::env::current_exe().context("cannot find the running program")?;
        let mut child = Command::new(binary)
            .args(["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data"])
            .arg(directory.path())
            .env_remove("RINGFENCE_PASSWORD")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a node")?;
        let stdout = child.stdout.take().expect("standard output is piped");
        let mut lines = BufReader::new(stdout).lines();
        let ready = loop {
            match lines.next() {
                Some(Ok(line)) if line.starts_with("ready ") => break line,
                Some(Ok(_)) => {}
                _ => {
                    let status = child.wait()?;
                    bail!("the node did not start ({status}); its message is above");
                }
            }
        };
        thread::spawn(move || lines.for_each(drop));
        let listen = ready
            .split_whitespace()
            .find_map(|word| word.strip_prefix("listen="))
            .context("the node's ready line names no address")?;
        let url = ConnectUrl::parse(&format!("postgresql://ringfence@{listen}/ringfence"))
            .map_err(anyhow::Error::msg)?;
        let directory = if keep {
            let path = directory.keep();
            eprintln!("the node's data is in {}", path.display());
            None
        } else {
            Some(directory)
        };
        Ok(Node { child, url, keep, _directory: directory })
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        // The node's data is temporary: nothing is lost by an abrupt end.
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

/// Runs the command.
pub fn run(arguments: &DemoArguments) -> Result<()> {
    if arguments.rate == 0 || arguments.assets == 0 {
        bail!("--rate and --assets must be above zero");
    }
    let say = |text: String| {
        if !arguments.json {
            eprintln!("{text}");
        }
    };
    let started = Instant::now();
    say("starting a node in a temporary directory".into());
    let node = Node::start(arguments.keep)?;
    let mut figures = Figures::default();
    figures.add(
        "start to first statement",
        format!("{:.1} s, one process", started.elapsed().as_secs_f64()),
        "about 240 s, ten containers",
    );
    let mut client = PgClient::connect(&node.url)?;
    for sql in [schema::EVENTS, schema::LATEST_STATUS].iter().chain(schema::TRANSACTIONS) {
        client.simple(sql)?;
    }
    say(format!("ingesting {} events/s for {} s", arguments.rate, arguments.seconds));
    let ingest = Ingest::start(&node.url, arguments.rate, arguments.assets)?;
    let begun = Instant::now();
    transactions(&mut client, &node.url, &mut figures)?;
    let phase = Duration::from_secs((arguments.seconds / 4).max(PHASE_SECONDS_MIN));
    wait_for_events(&mut client, arguments.assets)?;
    say(format!("point reads at rest, {} s", phase.as_secs()));
    let rest = measure(&node.url, arguments.assets, phase, || Ok(()))?;
    add_latencies(&mut figures, "point read, only ingest beside it", &rest, "3.1 / – ms");
    let until_end = Duration::from_secs(arguments.seconds).saturating_sub(begun.elapsed() + phase);
    show_progress(arguments, &ingest, until_end);
    say("asking the questions while events come in".into());
    answer(&mut client, &mut figures)?;
    say(format!("point reads during endless full scans, {} s", phase.as_secs()));
    let mut scanner = PgClient::connect(&node.url)?;
    let during = measure(&node.url, arguments.assets, phase, || {
        scanner
            .simple("SELECT event_type, count(*), min(temp_internal_c), max(temp_internal_c) FROM events GROUP BY event_type")
            .map(drop)
            .map_err(Into::into)
    })?;
    add_latencies(
        &mut figures,
        "point read during full scans",
        &during,
        "3.6 / – ms, worst 20.6 ms",
    );
    let written = ingest.stop().context("the ingest failed")?;
    let seconds = begun.elapsed().as_secs_f64();
    let counted = client.simple("SELECT count(*) FROM events")?;
    let counted: u64 = counted.first().and_then(|n| n.parse().ok()).unwrap_or(0);
    if counted != written {
        figures
            .broken
            .push(format!("{written} events were acknowledged and {counted} are counted"));
    }
    figures.add(
        "events ingested and counted",
        format!("{written} in {seconds:.0} s = {:.0}/s", written as f64 / seconds),
        "2,000/s",
    );
    if arguments.json {
        println!("{}", serde_json::to_string(&figures)?);
    } else {
        println!();
        figures.print();
    }
    if node.keep {
        say(format!(
            "the node keeps running: psql -h {} -p {} -U ringfence ringfence",
            node.url.host, node.url.port
        ));
    }
    if !figures.broken.is_empty() {
        bail!("{} checks do not hold", figures.broken.len());
    }
    Ok(())
}

fn transactions(client: &mut PgClient, url: &ConnectUrl, figures: &mut Figures) -> Result<()> {
    let mut checks = transactions::sequence(client)?;
    checks.extend(transactions::airspace(client)?);
    let total = checks.len();
    for check in checks.iter().filter(|check| !check.holds) {
        figures.broken.push(check.text.clone());
    }
    let held = total - figures.broken.len();
    figures.add("sequence and airspace rules that held", format!("{held} of {total}"), "");
    for askers in [8usize, 16, 32] {
        let (check, median) = transactions::contention(url, askers)?;
        if !check.holds {
            figures.broken.push(check.text.clone());
        }
        figures.add(
            format!("{askers} ask at once for 2 airspace slots"),
            format!(
                "{}, median {:.2} ms a grant",
                if check.holds { "2 granted, as it must be" } else { "WRONG NUMBER GRANTED" },
                median as f64 / 1e3
            ),
            if askers == 8 { "grant p50 1.31 ms" } else { "" },
        );
    }
    Ok(())
}

fn wait_for_events(client: &mut PgClient, assets: usize) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let seen = client.simple("SELECT count(*) FROM latest_status")?;
        if seen.first().and_then(|n| n.parse::<usize>().ok()).unwrap_or(0) >= assets {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("no event of every asset within 30 s: is --rate very low for so many --assets?");
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// Probes point reads while `beside` runs again and again.
fn measure(
    url: &ConnectUrl,
    assets: usize,
    phase: Duration,
    mut beside: impl FnMut() -> Result<()>,
) -> Result<Latencies> {
    let prober = Prober::start(url, assets)?;
    let end = Instant::now() + phase;
    while Instant::now() < end {
        let before = Instant::now();
        beside()?;
        if before.elapsed() < Duration::from_millis(1) {
            thread::sleep(Duration::from_millis(10));
        }
    }
    Ok(prober.stop()?)
}

fn add_latencies(figures: &mut Figures, what: &str, latencies: &Latencies, reference: &str) {
    figures.add(
        format!("{what}, p50 / p99"),
        format!(
            "{:.2} / {:.2} ms, worst {:.1} ms",
            latencies.p50 as f64 / 1e3,
            latencies.p99 as f64 / 1e3,
            latencies.max as f64 / 1e3
        ),
        reference,
    );
}

fn show_progress(arguments: &DemoArguments, ingest: &Ingest, duration: Duration) {
    let end = Instant::now() + duration;
    let on_terminal = std::io::stderr().is_terminal() && !arguments.json;
    while Instant::now() < end {
        thread::sleep(
            Duration::from_millis(200).min(end.saturating_duration_since(Instant::now())),
        );
        if on_terminal {
            eprint!("\r{} events", ingest.written());
        }
    }
    if on_terminal {
        eprintln!();
    }
}

fn answer(client: &mut PgClient, figures: &mut Figures) -> Result<()> {
    let micros = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
        .as_micros() as u64;
    let bucket = bucket_of(micros);
    for question in QUESTIONS {
        let answered = ask(client, question, &bucket)
            .with_context(|| format!("question {}: {}", question.number, question.text))?;
        let rows = match (&answered.first, answered.row_count) {
            (Some(count), 1) => format!("count {count}"),
            (_, rows) => format!("{rows} rows"),
        };
        figures.add(
            format!("{}. {}", question.number, question.text),
            format!("{:.1} ms, {rows}", answered.elapsed.as_secs_f64() * 1e3),
            question.reference,
        );
    }
    Ok(())
}
