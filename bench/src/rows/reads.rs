//! P1: point reads of cached rows. Prepared through `ringfence load`, simple through pgbench, on both servers.

use std::fs;

use anyhow::Result;

use super::{Settings, interleave, sample};
use crate::client::{Load, Pgbench};
use crate::report::Report;
use crate::server::{Kind, ringfence_binary};

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
            rows,
            init,
        };
        load(1, 0, true).run(&binary)?;
        if server.kind() != Kind::Ringfence {
            // What its autovacuum would do beside the measurement is done before it.
            server.connect()?.batch_execute("VACUUM ANALYZE ringfence_load; CHECKPOINT")?;
        }
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
