//! The workloads: their tables, their choices, one attempt of one operation.
//!
//! An operation is drawn once and then attempted until it is acknowledged, so that a retry repeats the same choice.

use types::prng::{Prng, Ratio};

use super::LoadOptions;
use crate::demo::telemetry::Telemetry;
use crate::pg_client::{ClientError, PgClient};

/// The workloads by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum WorkloadKind {
    /// One row by primary key
    PointRead,
    /// One new row, durable when acknowledged
    Insert,
    /// One column of one row by primary key
    Update,
    /// YCSB A: half reads, half updates
    YcsbA,
    /// YCSB B: 95 % reads, 5 % updates
    YcsbB,
    /// YCSB C: reads only
    YcsbC,
    /// YCSB D: 95 % reads of the latest rows, 5 % inserts
    YcsbD,
    /// YCSB E: 95 % short scans, 5 % inserts
    YcsbE,
    /// YCSB F: half reads, half read-modify-writes
    YcsbF,
    /// TPC-B as pgbench runs it, on tables of its own
    Tpcb,
    /// Telemetry events of the demo, a batch of 20 an operation
    Events,
    /// Half point reads, half updates, while one client in eight groups the whole table
    Htap,
}

const LOAD_TABLE: &str = "CREATE TABLE IF NOT EXISTS ringfence_load \
    (id bigint PRIMARY KEY, counter bigint NOT NULL, filler text NOT NULL)";
const INSERT_TABLE: &str = "CREATE TABLE IF NOT EXISTS ringfence_load_insert \
    (client int NOT NULL, number bigint NOT NULL, filler text NOT NULL, PRIMARY KEY (client, number))";
const TELLERS_PER_BRANCH: u64 = 10;
const EVENTS_PER_OPERATION: usize = 20;
/// Rows in each COPY block of `--init`.
const INIT_BLOCK_ROWS: u64 = 1_000;

impl WorkloadKind {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            WorkloadKind::PointRead => "point-read",
            WorkloadKind::Insert => "insert",
            WorkloadKind::Update => "update",
            WorkloadKind::YcsbA => "ycsb-a",
            WorkloadKind::YcsbB => "ycsb-b",
            WorkloadKind::YcsbC => "ycsb-c",
            WorkloadKind::YcsbD => "ycsb-d",
            WorkloadKind::YcsbE => "ycsb-e",
            WorkloadKind::YcsbF => "ycsb-f",
            WorkloadKind::Tpcb => "tpcb",
            WorkloadKind::Events => "events",
            WorkloadKind::Htap => "htap",
        }
    }

    fn is_ycsb(self) -> bool {
        self.name().starts_with("ycsb")
    }
}

/// Makes and fills the tables of a workload; tables that exist are filled anew.
pub fn initialise(
    client: &mut PgClient,
    kind: WorkloadKind,
    rows: u64,
    progress: &dyn Fn(u64),
) -> Result<(), ClientError> {
    match kind {
        WorkloadKind::Insert => {
            client.simple("DROP TABLE IF EXISTS ringfence_load_insert")?;
            client.simple(INSERT_TABLE).map(drop)
        }
        WorkloadKind::Events => {
            client.simple("DROP TABLE IF EXISTS events")?;
            client.simple(crate::demo::schema::EVENTS).map(drop)
        }
        WorkloadKind::Tpcb => initialise_tpcb(client, rows, progress),
        _ if kind.is_ycsb() => {
            let ordered =
                if kind == WorkloadKind::YcsbE { " WITH (partition_key = '')" } else { "" };
            client.simple("DROP TABLE IF EXISTS usertable")?;
            let fields: Vec<String> = (0..10).map(|i| format!("field{i} text")).collect();
            client.simple(&format!(
                "CREATE TABLE usertable (ycsb_key text PRIMARY KEY, {}){ordered}",
                fields.join(", ")
            ))?;
            let mut prng = Prng::new(1);
            fill(client, "COPY usertable FROM STDIN", rows, progress, |row, out| {
                out.push_str(&ycsb_key(row));
                for _ in 0..10 {
                    out.push('\t');
                    random_text(&mut prng, 100, out);
                }
            })
        }
        _ => {
            client.simple("DROP TABLE IF EXISTS ringfence_load")?;
            client.simple(LOAD_TABLE)?;
            let mut prng = Prng::new(1);
            fill(client, "COPY ringfence_load FROM STDIN", rows, progress, |row, out| {
                out.push_str(&format!("{row}\t0\t"));
                random_text(&mut prng, 84, out);
            })
        }
    }
}

fn initialise_tpcb(
    client: &mut PgClient,
    rows: u64,
    progress: &dyn Fn(u64),
) -> Result<(), ClientError> {
    let scale = tpcb_scale(rows);
    for table in ["branches", "tellers", "accounts", "history"] {
        client.simple(&format!("DROP TABLE IF EXISTS ringfence_{table}"))?;
    }
    client.simple(
        "CREATE TABLE ringfence_branches (bid int PRIMARY KEY, bbalance int NOT NULL); \
         CREATE TABLE ringfence_tellers (tid int PRIMARY KEY, bid int NOT NULL, tbalance int NOT NULL); \
         CREATE TABLE ringfence_accounts (aid int PRIMARY KEY, bid int NOT NULL, abalance int NOT NULL, filler char(84)); \
         CREATE TABLE ringfence_history (tid int, bid int, aid int, delta int, mtime timestamp)",
    )?;
    fill(client, "COPY ringfence_branches FROM STDIN", scale, &|_| (), |row, out| {
        out.push_str(&format!("{}\t0", row + 1));
    })?;
    fill(
        client,
        "COPY ringfence_tellers FROM STDIN",
        scale * TELLERS_PER_BRANCH,
        &|_| (),
        |row, out| {
            out.push_str(&format!("{}\t{}\t0", row + 1, row / TELLERS_PER_BRANCH + 1));
        },
    )?;
    let per_branch = rows.div_ceil(scale);
    fill(client, "COPY ringfence_accounts FROM STDIN", rows, progress, |row, out| {
        out.push_str(&format!("{}\t{}\t0\t", row + 1, row / per_branch + 1));
    })
}

fn tpcb_scale(rows: u64) -> u64 {
    rows.div_ceil(100_000).max(1)
}

fn fill(
    client: &mut PgClient,
    copy: &str,
    rows: u64,
    progress: &dyn Fn(u64),
    mut line: impl FnMut(u64, &mut String),
) -> Result<(), ClientError> {
    let mut next = 0;
    client.copy_in(copy, |block| {
        let mut text = String::new();
        let end = (next + INIT_BLOCK_ROWS).min(rows);
        for row in next..end {
            line(row, &mut text);
            text.push('\n');
        }
        block.extend_from_slice(text.as_bytes());
        next = end;
        progress(next);
        next < rows
    })?;
    Ok(())
}

fn random_text(prng: &mut Prng, characters: usize, out: &mut String) {
    for _ in 0..characters {
        out.push(char::from(b'a' + prng.below(26) as u8));
    }
}

fn ycsb_key(row: u64) -> String {
    // FNV-1a over the number, as YCSB scatters its keys.
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in row.to_le_bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("user{hash:020}")
}

/// Skewed choice: rank 0 is the most frequent. Source: Gray and others, "Quickly generating billion-record synthetic databases", 1994.
#[derive(Clone, Debug)]
pub struct Zipfian {
    count: u64,
    theta: f64,
    alpha: f64,
    zeta: f64,
    eta: f64,
}

impl Zipfian {
    /// Ranks below `count`, with YCSB's constant of 0.99.
    pub fn new(count: u64) -> Zipfian {
        let theta = 0.99;
        let count = count.max(2);
        // The sum's tail is close to its integral; exact up to a million terms, which bounds the start.
        let exact = count.min(1_000_000);
        let mut zeta: f64 = (1..=exact).map(|rank| (rank as f64).powf(-theta)).sum();
        if count > exact {
            let power = 1.0 - theta;
            zeta += ((count as f64).powf(power) - (exact as f64).powf(power)) / power;
        }
        let zeta2 = 1.0 + 0.5f64.powf(theta);
        let eta = (1.0 - (2.0 / count as f64).powf(1.0 - theta)) / (1.0 - zeta2 / zeta);
        Zipfian { count, theta, alpha: 1.0 / (1.0 - theta), zeta, eta }
    }

    /// The next rank.
    pub fn next(&self, prng: &mut Prng) -> u64 {
        let u = prng.unit_f64();
        let uz = u * self.zeta;
        if uz < 1.0 {
            return 0;
        }
        if uz < 1.0 + 0.5f64.powf(self.theta) {
            return 1;
        }
        let rank = (self.count as f64 * (self.eta * u - self.eta + 1.0).powf(self.alpha)) as u64;
        rank.min(self.count - 1)
    }
}

/// What is attempted next.
#[derive(Clone, Debug)]
enum Operation {
    Execute { name: &'static str, parameters: Vec<String> },
    ReadThenExecute { read: String, name: &'static str, parameters: Vec<String> },
    Tpcb { aid: u64, tid: u64, bid: u64, delta: i64 },
    Simple(String),
}

/// One client's state of a workload.
pub struct Workload {
    kind: WorkloadKind,
    client_index: u32,
    clients: u32,
    rows: u64,
    number: u64,
    zipfian: Option<Zipfian>,
    telemetry: Option<Telemetry>,
    operation: Operation,
}

impl Workload {
    /// Prepares the statements on a connection.
    pub fn prepare(
        client: &mut PgClient,
        options: &LoadOptions,
        client_index: u32,
    ) -> Result<Workload, ClientError> {
        let kind = options.workload;
        let mut workload = Workload {
            kind,
            client_index,
            clients: options.clients.max(1),
            rows: options.rows.max(1),
            number: 0,
            zipfian: None,
            telemetry: None,
            operation: Operation::Simple(String::new()),
        };
        match kind {
            WorkloadKind::Insert => {
                if client_index == 0 {
                    client.simple(INSERT_TABLE)?;
                }
                // A run goes on where an earlier one stopped, so that acknowledged numbers stay a prefix.
                let last = client.simple(&format!(
                    "SELECT count(*) FROM ringfence_load_insert WHERE client = {client_index}"
                ))?;
                workload.number = last.first().and_then(|n| n.parse().ok()).unwrap_or(0);
                client
                    .prepare("insert", "INSERT INTO ringfence_load_insert VALUES ($1, $2, $3)")?;
            }
            WorkloadKind::Tpcb => prepare_tpcb(client)?,
            WorkloadKind::Events => {
                workload.telemetry = Some(Telemetry::new(u64::from(client_index), 100));
            }
            _ if kind.is_ycsb() => {
                workload.zipfian = Some(Zipfian::new(workload.rows));
                client.prepare("read", "SELECT * FROM usertable WHERE ycsb_key = $1")?;
                client.prepare("update", "UPDATE usertable SET field0 = $2 WHERE ycsb_key = $1")?;
                if matches!(kind, WorkloadKind::YcsbD | WorkloadKind::YcsbE) {
                    client.prepare(
                        "insert",
                        "INSERT INTO usertable (ycsb_key, field0) VALUES ($1, $2)",
                    )?;
                }
                if kind == WorkloadKind::YcsbE {
                    client.prepare(
                        "scan",
                        "SELECT * FROM usertable WHERE ycsb_key >= $1 ORDER BY ycsb_key LIMIT 50",
                    )?;
                }
            }
            _ => {
                client.prepare("read", "SELECT filler FROM ringfence_load WHERE id = $1")?;
                client.prepare(
                    "update",
                    "UPDATE ringfence_load SET counter = counter + 1 WHERE id = $1",
                )?;
            }
        }
        Ok(workload)
    }

    /// Chooses the next operation.
    pub fn draw(&mut self, prng: &mut Prng) {
        let half = Ratio { numerator: 1, denominator: 2 };
        let rare = Ratio { numerator: 1, denominator: 20 };
        let id = prng.below(self.rows).to_string();
        let by_id = |name, id| Operation::Execute { name, parameters: vec![id] };
        self.operation = match self.kind {
            WorkloadKind::PointRead => by_id("read", id),
            WorkloadKind::Update => by_id("update", id),
            WorkloadKind::Htap if self.client_index % 8 == 7 => Operation::Simple(
                "SELECT id % 100, count(*), sum(counter), max(filler) FROM ringfence_load GROUP BY 1".into(),
            ),
            WorkloadKind::Htap => by_id(if prng.chance(half) { "read" } else { "update" }, id),
            WorkloadKind::Insert => {
                let mut filler = String::new();
                random_text(prng, 80, &mut filler);
                let number = self.number;
                self.number += 1;
                Operation::Execute {
                    name: "insert",
                    parameters: vec![self.client_index.to_string(), number.to_string(), filler],
                }
            }
            WorkloadKind::Tpcb => {
                let scale = tpcb_scale(self.rows);
                Operation::Tpcb {
                    aid: prng.below(self.rows) + 1,
                    tid: prng.below(scale * TELLERS_PER_BRANCH) + 1,
                    bid: prng.below(scale) + 1,
                    delta: prng.below(10_001) as i64 - 5_000,
                }
            }
            WorkloadKind::Events => {
                let telemetry = self.telemetry.as_mut().expect("made in prepare");
                Operation::Simple(telemetry.insert_statement(EVENTS_PER_OPERATION))
            }
            WorkloadKind::YcsbA => self.read_or_update(prng, half),
            WorkloadKind::YcsbB => self.read_or_update(prng, rare),
            WorkloadKind::YcsbC => by_id("read", self.skewed_key(prng)),
            WorkloadKind::YcsbD if prng.chance(rare) => self.insert(prng),
            WorkloadKind::YcsbD => {
                let rank = self.zipfian.as_ref().expect("made in prepare").next(prng);
                by_id("read", ycsb_key(self.rows.saturating_sub(rank + 1)))
            }
            WorkloadKind::YcsbE if prng.chance(rare) => self.insert(prng),
            WorkloadKind::YcsbE => by_id("scan", self.skewed_key(prng)),
            WorkloadKind::YcsbF if prng.chance(half) => by_id("read", self.skewed_key(prng)),
            WorkloadKind::YcsbF => {
                let key = self.skewed_key(prng);
                let mut text = String::new();
                random_text(prng, 100, &mut text);
                Operation::ReadThenExecute {
                    read: key.clone(),
                    name: "update",
                    parameters: vec![key, text],
                }
            }
        };
    }

    fn skewed_key(&self, prng: &mut Prng) -> String {
        ycsb_key(self.zipfian.as_ref().expect("made in prepare").next(prng))
    }

    fn read_or_update(&self, prng: &mut Prng, updates: Ratio) -> Operation {
        let key = self.skewed_key(prng);
        if !prng.chance(updates) {
            return Operation::Execute { name: "read", parameters: vec![key] };
        }
        let mut text = String::new();
        random_text(prng, 100, &mut text);
        Operation::Execute { name: "update", parameters: vec![key, text] }
    }

    fn insert(&mut self, prng: &mut Prng) -> Operation {
        let row = self.rows + self.number * u64::from(self.clients) + u64::from(self.client_index);
        self.number += 1;
        let mut text = String::new();
        random_text(prng, 100, &mut text);
        Operation::Execute { name: "insert", parameters: vec![ycsb_key(row), text] }
    }

    /// Tries the drawn operation once.
    pub fn attempt(&self, client: &mut PgClient) -> Result<(), ClientError> {
        match &self.operation {
            Operation::Execute { name, parameters } => {
                let parameters: Vec<&str> = parameters.iter().map(String::as_str).collect();
                client.execute(name, &parameters).map(drop)
            }
            Operation::ReadThenExecute { read, name, parameters } => {
                client.simple("BEGIN")?;
                client.execute("read", &[read])?;
                let parameters: Vec<&str> = parameters.iter().map(String::as_str).collect();
                client.execute(name, &parameters)?;
                client.simple("COMMIT").map(drop)
            }
            Operation::Tpcb { aid, tid, bid, delta } => {
                let [aid, tid, bid] = [aid, tid, bid].map(u64::to_string);
                let delta = delta.to_string();
                client.execute("begin", &[])?;
                client.execute("account", &[&delta, &aid])?;
                client.execute("balance", &[&aid])?;
                client.execute("teller", &[&delta, &tid])?;
                client.execute("branch", &[&delta, &bid])?;
                client.execute("history", &[&tid, &bid, &aid, &delta])?;
                client.execute("end", &[]).map(drop)
            }
            Operation::Simple(sql) => client.simple(sql).map(drop),
        }
    }

    /// Leaves a failed transaction block, if the operation opened one.
    pub fn recover(&self, client: &mut PgClient) -> Result<(), ClientError> {
        match self.operation {
            Operation::Tpcb { .. } | Operation::ReadThenExecute { .. } => {
                client.simple("ROLLBACK").map(drop)
            }
            _ => Ok(()),
        }
    }
}

fn prepare_tpcb(client: &mut PgClient) -> Result<(), ClientError> {
    for (name, sql) in [
        ("begin", "BEGIN"),
        ("account", "UPDATE ringfence_accounts SET abalance = abalance + $1 WHERE aid = $2"),
        ("balance", "SELECT abalance FROM ringfence_accounts WHERE aid = $1"),
        ("teller", "UPDATE ringfence_tellers SET tbalance = tbalance + $1 WHERE tid = $2"),
        ("branch", "UPDATE ringfence_branches SET bbalance = bbalance + $1 WHERE bid = $2"),
        (
            "history",
            "INSERT INTO ringfence_history (tid, bid, aid, delta, mtime) VALUES ($1, $2, $3, $4, CURRENT_TIMESTAMP)",
        ),
        ("end", "END"),
    ] {
        client.prepare(name, sql)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Zipfian, ycsb_key};
    use types::prng::Prng;

    #[test]
    fn zipfian_is_skewed_and_in_range() {
        let zipfian = Zipfian::new(1_000);
        let mut prng = Prng::new(1);
        let mut first = 0;
        for _ in 0..10_000 {
            let rank = zipfian.next(&mut prng);
            assert!(rank < 1_000);
            first += u32::from(rank == 0);
        }
        assert!((900..2_000).contains(&first), "{first}");
        assert_ne!(ycsb_key(1), ycsb_key(2));
    }
}
