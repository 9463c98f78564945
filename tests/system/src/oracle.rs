//! PostgreSQL 15 as the judge of answers.

use std::path::Path;
use std::process::Command;

/// PostgreSQL 15 in a temporary directory, stopped when dropped.
pub struct Oracle {
    directory: tempfile::TempDir,
    port: u16,
}

const BIN: &str = "/usr/lib/postgresql/15/bin";

impl Oracle {
    /// Starts it; `None` where it is not installed.
    ///
    /// # Panics
    /// If it is installed and does not start.
    pub fn start() -> Option<Oracle> {
        if !Path::new(BIN).join("postgres").exists() {
            return None;
        }
        let directory = tempfile::Builder::new().prefix("oracle-").tempdir_in("/tmp").ok()?;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").ok()?;
        let port = listener.local_addr().ok()?.port();
        drop(listener);
        let data = directory.path().join("data");
        let socket = directory.path().display();
        let script = format!(
            "{BIN}/initdb -D {data} -A trust -U ringfence --no-sync --locale=C -E UTF8 >/dev/null && \
             {BIN}/pg_ctl -D {data} -w -o '-p {port} -k {socket} -c listen_addresses=127.0.0.1 -c fsync=off -c timezone=UTC' start >/dev/null && \
             {BIN}/createdb -h 127.0.0.1 -p {port} -U ringfence ringfence",
            data = data.display(),
        );
        let status = as_postgres(&script, directory.path());
        assert!(status, "PostgreSQL is installed and starts");
        Some(Oracle { directory, port })
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A client of it.
    ///
    /// # Panics
    /// If it cannot connect.
    pub fn connect(&self) -> postgres::Client {
        let settings = format!("host=127.0.0.1 port={} user=ringfence dbname=ringfence", self.port);
        postgres::Client::connect(&settings, postgres::NoTls).expect("PostgreSQL takes connections")
    }
}

/// Runs a script as somebody whom PostgreSQL accepts: it refuses root.
fn as_postgres(script: &str, directory: &Path) -> bool {
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    if root {
        let _owned = Command::new("chown").arg("postgres").arg(directory).status();
        let run =
            Command::new("runuser").args(["-u", "postgres", "--", "sh", "-c", script]).status();
        return run.is_ok_and(|status| status.success());
    }
    Command::new("sh").args(["-c", script]).status().is_ok_and(|status| status.success())
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let data = self.directory.path().join("data");
        let script = format!("{BIN}/pg_ctl -D {} -m immediate stop >/dev/null", data.display());
        as_postgres(&script, self.directory.path());
    }
}
