//! P1: point reads of cached rows. Prepared through `ringfence load`, simple through pgbench, on both servers.

use std::fs;

use anyhow::Result;

use super::{Settings, interleave, sample};
use crate::client::{Load, Pgbench};
use crate::report::Report;
use crate::server::ringfence_binary;

/// Made by `ringfence load --init`, which fills with one COPY; the rest is added in blocks.
const INITIAL_ROWS: u64 = 1_000;
const CLIENTS: [u32; 3] = [1, 16, 32];

pub fn run(settings: &Settings, report: &mut Report) -> Result<()> {
    let binary = ringfence_binary()?;
    let rows = settings.rows;
    interleave(settings, report, |server, round, report| {
        let url = server.url();
        let load = |clients, seconds, init| Load {
            workload: "point-read",
            url: &url,
            clients,
            seconds,
            rows: if init { rows.min(INITIAL_ROWS) } else { rows },
            init,
        };
        load(1, 0, true).run(&binary)?;
        let filler = "abcdefghijkl".repeat(7);
        server.fill("ringfence_load", INITIAL_ROWS, rows, |row| format!("{row}\t0\t{filler}"))?;
        server.settle()?;
        let counted = server.rows("SELECT count(*) FROM ringfence_load")?;
        report.check(
            counted == [[rows.to_string()]],
            format!("{}: the table holds {rows} rows, counted {counted:?}", server.kind().name()),
        );
        let script = server.directory().join("read.sql");
        fs::write(
            &script,
            format!(
                "\\set id random(0, {})\nSELECT filler FROM ringfence_load WHERE id = :id;\n",
                rows - 1
            ),
        )?;
        for clients in CLIENTS {
            let what = format!("prepared, {clients} clients");
            let run = || load(clients, settings.seconds, false).run(&binary);
            report.samples.push(sample(server, round, &what, run)?);
            let pgbench = Pgbench {
                script: &script,
                mode: "simple",
                port: server.port(),
                clients,
                seconds: settings.seconds,
            };
            let what = format!("simple, {clients} clients");
            report.samples.push(sample(server, round, &what, || pgbench.run())?);
        }
        Ok(())
    })
}
