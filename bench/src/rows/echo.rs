//! N1: the `pg_echo` example under pgbench, the floor of every statement.

use std::fs;

use anyhow::Result;

use super::{Settings, sample};
use crate::client::Pgbench;
use crate::report::Report;
use crate::server::{Kind, Server};

pub fn run(settings: &Settings, report: &mut Report) -> Result<()> {
    let server = Server::start(Kind::Echo)?;
    let script = server.directory().join("one.sql");
    fs::write(&script, "SELECT 1;\n")?;
    for round in 0..settings.rounds {
        for mode in ["prepared", "simple"] {
            for clients in [1, 32] {
                let pgbench = Pgbench {
                    script: &script,
                    mode,
                    port: server.port(),
                    clients,
                    seconds: settings.seconds,
                };
                let what = format!("echo {mode}, {clients} connections");
                report.samples.push(sample(&server, round, &what, || pgbench.run())?);
            }
        }
    }
    server.stop()
}
