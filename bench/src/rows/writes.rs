//! W1 and T1: durable writes, each run followed by its consistency check, and the check again after a crash.

use std::collections::BTreeMap;

use anyhow::Result;

use super::{Settings, interleave, sample};
use crate::client::Load;
use crate::measure;
use crate::report::Report;
use crate::server::{Server, ringfence_binary};

const INSERT_CLIENTS: [u32; 3] = [1, 4, 16];
const TPCB_CLIENTS: u32 = 16;
const ACCOUNTS_PER_BRANCH: u64 = 100_000;

/// W1: one-row inserts.
pub fn inserts(settings: &Settings, report: &mut Report) -> Result<()> {
    let binary = ringfence_binary()?;
    let probe = tempfile::tempdir()?;
    let flush = measure::flush_time(probe.path())?;
    for clients in INSERT_CLIENTS {
        let limit = f64::from(clients) / flush.as_secs_f64();
        report.figure(
            format!("flush limit of {clients} clients"),
            format!("{limit:.0}/s (4 KiB written and flushed in {} us, median)", flush.as_micros()),
        );
    }
    interleave(settings, report, |server, round, report| {
        let url = server.url();
        for clients in INSERT_CLIENTS {
            let load = |seconds, init| Load {
                workload: "insert",
                url: &url,
                clients,
                seconds,
                rows: 1,
                init,
            };
            load(0, true).run(&binary)?;
            let what = format!("insert, {clients} clients");
            let taken =
                sample(server, round, &what, || load(settings.seconds, false).run(&binary))?;
            let acknowledged = taken.client.acknowledged.clone();
            report.samples.push(taken);
            check_inserts(server, report, &what, &acknowledged)?;
            if clients == INSERT_CLIENTS[INSERT_CLIENTS.len() - 1] {
                server.crash_and_restart()?;
                check_inserts(server, report, &format!("{what}, after a crash"), &acknowledged)?;
            }
        }
        Ok(())
    })
}

/// Every client's acknowledged rows are there; an answer that did not arrive may have left one more for each client.
fn check_inserts(
    server: &Server,
    report: &mut Report,
    what: &str,
    acknowledged: &[u64],
) -> Result<()> {
    let rows = server.rows("SELECT client, count(*) FROM ringfence_load_insert GROUP BY client")?;
    let held = inserts_hold(&rows, acknowledged);
    let total: u64 = acknowledged.iter().sum();
    let name = server.kind().name();
    report.check(
        held,
        format!("{name}: {what}: all {total} acknowledged rows are there, none twice"),
    );
    Ok(())
}

fn inserts_hold(rows: &[Vec<String>], acknowledged: &[u64]) -> bool {
    let counts: BTreeMap<usize, u64> = rows
        .iter()
        .filter_map(|row| Some((row.first()?.parse().ok()?, row.get(1)?.parse().ok()?)))
        .collect();
    counts.len() == rows.len()
        && counts.keys().all(|&client| client < acknowledged.len())
        && acknowledged.iter().enumerate().all(|(client, &acknowledged)| {
            let there = counts.get(&client).copied().unwrap_or(0);
            there == acknowledged || there == acknowledged + 1
        })
}

/// T1: TPC-B, on one hot branch and on `--scale` branches.
pub fn tpcb(settings: &Settings, report: &mut Report) -> Result<()> {
    let binary = ringfence_binary()?;
    interleave(settings, report, |server, round, report| {
        let url = server.url();
        let isolation = server.rows("SHOW transaction_isolation")?.concat().concat();
        if round == 0 {
            report.figure(format!("{} runs", server.kind().name()), isolation);
        }
        for scale in [1, settings.scale] {
            let load = |seconds, init| Load {
                workload: "tpcb",
                url: &url,
                clients: TPCB_CLIENTS,
                seconds,
                // One account and one branch with its tellers; the rest is added in blocks.
                rows: if init { 1 } else { scale * ACCOUNTS_PER_BRANCH },
                init,
            };
            load(0, true).run(&binary)?;
            fill_tpcb(server, scale)?;
            let what = format!("TPC-B scale {scale}, {TPCB_CLIENTS} clients");
            let taken =
                sample(server, round, &what, || load(settings.seconds, false).run(&binary))?;
            let (done, failed) = (taken.client.operations, taken.client.failed);
            report.samples.push(taken);
            check_sums(server, report, &what, done, failed)?;
            if scale == settings.scale {
                server.crash_and_restart()?;
                check_sums(server, report, &format!("{what}, after a crash"), done, failed)?;
                break;
            }
        }
        Ok(())
    })
}

fn fill_tpcb(server: &Server, scale: u64) -> Result<()> {
    server.fill("ringfence_branches", 2, scale + 1, |bid| format!("{bid}\t0"))?;
    server.fill("ringfence_tellers", 11, scale * 10 + 1, |tid| {
        format!("{tid}\t{}\t0", (tid - 1) / 10 + 1)
    })?;
    server.fill("ringfence_accounts", 2, scale * ACCOUNTS_PER_BRANCH + 1, |aid| {
        format!("{aid}\t{}\t0\t", (aid - 1) / ACCOUNTS_PER_BRANCH + 1)
    })?;
    server.settle()
}

/// The balances of accounts, tellers and branches add up to the history, which holds every acknowledged transaction once.
fn check_sums(
    server: &Server,
    report: &mut Report,
    what: &str,
    done: u64,
    failed: u64,
) -> Result<()> {
    let one = |sql: &str| -> Result<String> { Ok(server.rows(sql)?.concat().concat()) };
    let accounts = one("SELECT sum(abalance) FROM ringfence_accounts")?;
    let tellers = one("SELECT sum(tbalance) FROM ringfence_tellers")?;
    let branches = one("SELECT sum(bbalance) FROM ringfence_branches")?;
    let history = one("SELECT sum(delta) FROM ringfence_history")?;
    let count: u64 = one("SELECT count(*) FROM ringfence_history")?.parse()?;
    let equal = accounts == tellers && tellers == branches && branches == history;
    // A transaction given up on a lost answer may have been committed; one refused was not.
    let held = equal && (done..=done + failed).contains(&count);
    let name = server.kind().name();
    report.check(
        held,
        format!(
            "{name}: {what}: accounts {accounts}, tellers {tellers}, branches {branches}, history {history}; \
             {count} in history, {done} acknowledged, {failed} given up"
        ),
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::inserts_hold;

    fn rows(counts: &[(u64, u64)]) -> Vec<Vec<String>> {
        counts.iter().map(|(client, count)| vec![client.to_string(), count.to_string()]).collect()
    }

    #[test]
    fn a_lost_row_and_a_row_too_many_are_seen() {
        assert!(inserts_hold(&rows(&[(0, 5), (1, 4)]), &[5, 4]));
        assert!(inserts_hold(&rows(&[(1, 4), (0, 6)]), &[5, 4]));
        assert!(inserts_hold(&rows(&[(0, 5)]), &[5, 0]));
        assert!(!inserts_hold(&rows(&[(0, 4), (1, 4)]), &[5, 4]));
        assert!(!inserts_hold(&rows(&[(0, 7), (1, 4)]), &[5, 4]));
        assert!(!inserts_hold(&rows(&[(0, 5)]), &[5, 4]));
        assert!(!inserts_hold(&rows(&[(0, 5), (2, 1)]), &[5, 0]));
        assert!(!inserts_hold(&rows(&[(0, 5), (0, 5)]), &[5]));
    }
}
