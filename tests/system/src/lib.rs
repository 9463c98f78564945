//! Starts real server processes for the tests of this crate, and ends them.
//!
//! The binary is `$RINGFENCE_BINARY`, or `release/ringfence` of the target folder. Every node has a temporary directory, ports chosen by the system, and is
//! killed when its handle is dropped.

pub mod lab;
mod oracle;
pub mod wire;

pub use oracle::Oracle;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The program under test.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("RINGFENCE_BINARY") {
        return path.into();
    }
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    target.join("release/ringfence")
}

/// A running node.
pub struct Server {
    child: Child,
    /// Where Postgres clients connect.
    pub address: SocketAddr,
    /// How long it took until it was ready.
    pub ready_after: Duration,
}

impl Server {
    /// Starts a node on a directory with some shards and further arguments.
    ///
    /// # Panics
    /// If it does not become ready; its output is above.
    pub fn start(directory: &Path, shards: u16, arguments: &[&str]) -> Server {
        Server::try_start(directory, shards, arguments).expect("the node becomes ready")
    }

    /// As [`Server::start`], giving what the node said when it refused to start.
    ///
    /// # Errors
    /// The last line of its standard error.
    pub fn try_start(directory: &Path, shards: u16, arguments: &[&str]) -> Result<Server, String> {
        let started = Instant::now();
        let mut child = Command::new(binary())
            .args(["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--memory", "1GiB"])
            .arg("--data")
            .arg(directory)
            .args(["--shards", &shards.to_string()])
            .args(arguments)
            .env("RUST_LOG", "warn")
            .env_remove("RINGFENCE_PASSWORD")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", binary().display()));
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let ready = loop {
            match lines.next() {
                Some(Ok(line)) if line.starts_with("ready ") => break line,
                Some(Ok(_)) => {}
                _ => {
                    let _status = child.wait();
                    let errors = BufReader::new(child.stderr.take().expect("piped")).lines();
                    let said: Vec<String> = errors.map_while(Result::ok).collect();
                    return Err(said.last().cloned().unwrap_or_default());
                }
            }
        };
        let address = ready
            .split_whitespace()
            .find_map(|word| word.strip_prefix("listen="))
            .and_then(|address| address.parse().ok())
            .expect("the ready line names the address");
        let errors = BufReader::new(child.stderr.take().expect("piped")).lines();
        std::thread::spawn(move || {
            for line in errors.map_while(Result::ok) {
                eprintln!("node: {line}");
            }
        });
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Server { child, address, ready_after: started.elapsed() })
    }

    /// A client of it.
    ///
    /// # Panics
    /// If it cannot connect.
    pub fn connect(&self) -> postgres::Client {
        let settings = format!(
            "host={} port={} user=ringfence dbname=ringfence",
            self.address.ip(),
            self.address.port()
        );
        postgres::Client::connect(&settings, postgres::NoTls).expect("the node takes connections")
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The URL for `ringfence load` and `scan`.
    pub fn url(&self) -> String {
        format!("postgresql://ringfence@{}/ringfence", self.address)
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, as a crash would.
    pub fn kill(mut self) {
        let _killed = self.child.kill();
        let _status = self.child.wait();
    }

    /// Asks it to stop and waits; gives whether it ended with 0.
    ///
    /// # Panics
    /// If it does not end within a minute.
    pub fn stop(mut self) -> bool {
        let _sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return status.success(),
                _ if Instant::now() > deadline => panic!("the node does not stop"),
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _status = self.child.wait();
    }
}
