//! A bank whose every state explains itself: each transfer leaves a line with its number in the ledger, in the same transaction. So any snapshot tells
//! which transfers it holds, and with them what every balance must be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use accord::{
    Abort, Access, Commit, Footprint, Outcome, RangeNeed, SchemaChange, TokenRange, View, Workload,
    Write,
};
use platform::JobClass;
use shard::{Attachment, Committed, ShardClient, ShardError};
use snapshot::{PinnedFile, ReadAt, SnapshotError, SnapshotSource};
use sstable::{Fetch, Joining, PageCheck};
use storage::TableLayout;
use types::row::{decode_row, encode_row};
use types::schema::{ColumnSchema, KeyColumn, Partitioning, RowAddress, TableSchema};
use types::token::SliceCount;
use types::{ColumnId, ColumnType, SchemaVersion, SqlType, TableId, Timestamp, Value};

pub const TABLE: TableId = TableId(20_000);
pub const ACCOUNTS: i64 = 12;
pub const BALANCE: i64 = 1_000;
/// Ids at and above are lines of the ledger.
const LEDGER: i64 = 1_000_000;
const TYPES: [SqlType; 2] = [SqlType::Int8, SqlType::Int8];

fn schema() -> TableSchema {
    let column = |id: u16, name: &str| ColumnSchema {
        id: ColumnId(id),
        name: name.into(),
        column_type: ColumnType { sql_type: SqlType::Int8, modifier: -1 },
        not_null: true,
        default: None,
        missing: Value::Null,
        dropped: false,
        hidden: false,
        sequence: None,
    };
    TableSchema {
        table_id: TABLE,
        storage_id: TABLE,
        version: SchemaVersion(1),
        namespace: "public".into(),
        name: "bank".into(),
        columns: vec![column(1, "id"), column(2, "amount")],
        key: vec![KeyColumn { position: 0, order: types::key::KeyOrder::PRIMARY }],
        primary_key: Some("bank_pkey".into()),
        partitioning: Partitioning::Hash { columns: 1 },
        indexes: Vec::new(),
        checks: Vec::new(),
    }
}

fn write(slices: SliceCount, id: i64, amount: i64) -> Write {
    let RowAddress { token, key, .. } = schema().address(slices, &[&Value::Int8(id)]);
    let mut row = Vec::new();
    encode_row(&TYPES, &[Value::Int8(id), Value::Int8(amount)], &mut row);
    Write { table: TABLE, token, key, row: Some(row) }
}

fn values_of(row: &[u8]) -> (i64, i64) {
    match decode_row(&TYPES, row, |_| &Value::Null).as_deref() {
        Ok([Value::Int8(id), Value::Int8(amount)]) => (*id, *amount),
        other => panic!("a row of the bank holds two numbers: {other:?}"),
    }
}

/// Makes the table.
#[derive(Debug)]
struct Define;

impl Workload for Define {
    fn evaluate(&self, _execute_at: Timestamp, _view: &dyn View) -> Outcome {
        let layouts = vec![TableLayout::of_table(&schema())];
        Outcome::Commit(Commit {
            schema: vec![SchemaChange { table: TABLE, version: Some(SchemaVersion(1)) }],
            attachment: Attachment::new(layouts, Vec::new()).encode(),
            ..Commit::default()
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(206);
    }
}

/// Opens all accounts.
#[derive(Debug)]
struct OpenAccounts(SliceCount);

impl Workload for OpenAccounts {
    fn evaluate(&self, _execute_at: Timestamp, _view: &dyn View) -> Outcome {
        let writes = (0..ACCOUNTS).map(|account| write(self.0, account, BALANCE)).collect();
        Outcome::Commit(Commit { writes, ..Commit::default() })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(207);
        out.extend(self.0.get().to_le_bytes());
    }
}

/// Makes the table and opens all accounts.
pub async fn found_bank(client: &ShardClient) -> Result<(), ShardError> {
    let mut footprint = Footprint::new();
    footprint.whole_table(TABLE, Access::Write);
    client.submit(Arc::new(footprint), Arc::new(Define)).await?;
    let mut footprint = Footprint::new();
    footprint.planned_at(TABLE, SchemaVersion(1));
    for account in 0..ACCOUNTS {
        let at = write(client.slices(), account, 0);
        footprint.point(TABLE, at.token, &at.key, Access::Write);
    }
    client.submit(Arc::new(footprint), Arc::new(OpenAccounts(client.slices()))).await?;
    Ok(())
}

/// Moves money if there is enough, and writes a line.
#[derive(Clone, Copy, Debug)]
pub struct Transfer {
    pub number: u64,
    pub source: i64,
    pub target: i64,
    pub amount: i64,
}

#[derive(Debug)]
struct Moving {
    slices: SliceCount,
    transfer: Transfer,
}

impl Transfer {
    pub async fn submit(
        self,
        client: &ShardClient,
        above: Timestamp,
    ) -> Result<Committed, ShardError> {
        let mut footprint = Footprint::new();
        footprint.execute_above(above);
        footprint.planned_at(TABLE, SchemaVersion(1));
        for account in [self.source, self.target] {
            let at = write(client.slices(), account, 0);
            footprint.point(TABLE, at.token, &at.key, Access::ReadWrite);
        }
        let line = write(client.slices(), LEDGER + self.number as i64, 0);
        footprint.point(TABLE, line.token, &line.key, Access::Write);
        let workload = Moving { slices: client.slices(), transfer: self };
        client.submit(Arc::new(footprint), Arc::new(workload)).await
    }
}

impl Workload for Moving {
    fn evaluate(&self, _execute_at: Timestamp, view: &dyn View) -> Outcome {
        let balance = |point: usize| view.point(point).map_or(0, |found| values_of(&found.row).1);
        let Transfer { number, source, target, amount } = self.transfer;
        if balance(0) < amount {
            return Outcome::Abort(Abort::Refused(b"poor".to_vec()));
        }
        let writes = vec![
            write(self.slices, source, balance(0) - amount),
            write(self.slices, target, balance(1) + amount),
            write(self.slices, LEDGER + number as i64, amount),
        ];
        Outcome::Commit(Commit { writes, ..Commit::default() })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(208);
        let Transfer { number, source, target, amount } = self.transfer;
        out.extend(self.slices.get().to_le_bytes());
        out.extend(number.to_le_bytes());
        [source, target, amount].iter().for_each(|part| out.extend(part.to_le_bytes()));
    }
}

/// What its client knows of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// No answer yet, or none that says.
    Unknown,
    /// It took effect, then.
    Committed(Timestamp),
    /// It took no effect.
    Refused,
}

/// The transfers whose lines are there.
pub fn lines_of(rows: &BTreeMap<i64, i64>) -> impl Iterator<Item = u64> {
    rows.range(LEDGER..).map(|(line, _)| (line - LEDGER) as u64)
}

/// What all clients know.
#[derive(Clone, Default)]
pub struct History {
    pub transfers: Vec<(Transfer, Fate)>,
    /// Lines that some snapshot has shown.
    seen: BTreeSet<u64>,
}

impl History {
    /// Notes a transfer that is about to be asked for; it gets its number.
    pub fn ask(&mut self, source: i64, target: i64, amount: i64) -> Transfer {
        let number = self.transfers.len() as u64;
        let transfer = Transfer { number, source, target, amount };
        self.transfers.push((transfer, Fate::Unknown));
        transfer
    }

    pub fn committed(&self) -> BTreeSet<u64> {
        let committed = |(transfer, fate): &(Transfer, Fate)| {
            matches!(fate, Fate::Committed(_)).then_some(transfer.number)
        };
        self.transfers.iter().filter_map(committed).collect()
    }

    /// Transfers that every later snapshot holds: those acknowledged, and those that anybody has seen.
    pub fn known(&self) -> BTreeSet<u64> {
        self.committed().union(&self.seen).copied().collect()
    }

    /// Notes what a snapshot has shown.
    pub fn note_seen(&mut self, rows: &BTreeMap<i64, i64>) {
        self.seen.extend(lines_of(rows));
    }

    /// Asserts that rows are a state of the bank: it holds `present` at least, nothing that was refused, and balances that its ledger explains.
    pub fn check(&self, rows: &BTreeMap<i64, i64>, present: &BTreeSet<u64>, at: Timestamp) {
        let mut balances: Vec<i64> = vec![BALANCE; ACCOUNTS as usize];
        let mut missing = present.clone();
        for (line, amount) in rows.range(LEDGER..) {
            let (transfer, fate) = self.transfers[(line - LEDGER) as usize];
            assert_ne!(fate, Fate::Refused, "{transfer:?} was refused and is there");
            if let Fate::Committed(execute_at) = fate {
                assert!(execute_at <= at, "{transfer:?} at {execute_at} is in a snapshot at {at}");
            }
            assert_eq!(*amount, transfer.amount);
            balances[transfer.source as usize] -= amount;
            balances[transfer.target as usize] += amount;
            missing.remove(&transfer.number);
        }
        assert!(missing.is_empty(), "acknowledged before {at} and not there: {missing:?}");
        let found: Vec<i64> = rows.range(..LEDGER).map(|(_, balance)| *balance).collect();
        assert_eq!(found, balances, "at {at}: the ledger does not explain the balances");
        assert_eq!(found.iter().sum::<i64>(), ACCOUNTS * BALANCE, "at {at}");
    }

    /// The transfers whose commits are at or below a timestamp.
    pub fn committed_through(&self, at: Timestamp) -> BTreeSet<u64> {
        let within = |(transfer, fate): &(Transfer, Fate)| {
            matches!(fate, Fate::Committed(when) if *when <= at).then_some(transfer.number)
        };
        self.transfers.iter().filter_map(within).collect()
    }
}

/// Every row as a statement at a snapshot reads it.
pub async fn read_at(
    client: &ShardClient,
    at: Timestamp,
) -> Result<BTreeMap<i64, i64>, ShardError> {
    let mut footprint = Footprint::new();
    let need = RangeNeed::Rows { limit: 10_000 };
    footprint.range(TABLE, TokenRange::ALL, (&[], None), Access::Read, need);
    let found = client.read_at(at, Arc::new(footprint)).await?;
    let mut rows = BTreeMap::new();
    found.range(0, &mut |_, _, row| {
        let (id, amount) = values_of(row);
        assert!(rows.insert(id, amount).is_none(), "a row comes once");
    });
    Ok(rows)
}

/// Every row as analytics sees it, and when.
pub async fn read_frozen(
    client: &ShardClient,
    at: ReadAt,
) -> Result<(Timestamp, BTreeMap<i64, i64>), SnapshotError> {
    let taken = client.take(&[Arc::new(schema())], at).await?;
    let mut newest: BTreeMap<Vec<u8>, (Timestamp, Option<(i64, i64)>)> = BTreeMap::new();
    let mut keep = |key: &[u8], execute_at: Timestamp, row: Option<(i64, i64)>| {
        let known = newest.get(key).is_some_and(|(known, _)| *known >= execute_at);
        if execute_at <= taken.timestamp && !known {
            newest.insert(key.to_vec(), (execute_at, row));
        }
    };
    for part in &taken.tables[0].parts {
        for file in &part.files {
            for (key, execute_at, row) in read_file(client, file.clone()).await {
                keep(&key, execute_at, row);
            }
        }
        for frozen in &part.frozen {
            let run = frozen.run();
            for row in 0..run.len() {
                let version = run.version(row);
                let values = match version.content {
                    sstable::RowContent::Row(row) => Some(values_of(row)),
                    _ => None,
                };
                keep(version.key, version.execute_at, values);
            }
        }
    }
    Ok((taken.timestamp, newest.into_values().filter_map(|(_, row)| row).collect()))
}

type FoundRow = (Vec<u8>, Timestamp, Option<(i64, i64)>);

/// Reads the rows of a table file on a background core, as a query would.
async fn read_file(client: &ShardClient, file: PinnedFile) -> Vec<FoundRow> {
    let background = client.shard().background();
    let rows = platform::run_job(&*background, JobClass::Scan, move |_, _| {
        let metadata = &file.metadata;
        let mut found = Vec::new();
        for group in 0..metadata.group_count() {
            let pages = metadata.group_pages(group);
            let fetch = Fetch::new(metadata, &pages, &metadata.all_columns(), Joining::SCAN);
            let buffers = file.blocks.read(fetch.ranges()).expect("the disk is sound");
            let fetched = fetch.with(buffers.iter().map(|buffer| &buffer[..])).expect("whole");
            let rows = metadata
                .decode_rows(&pages, &fetched, file.published_at, PageCheck::Verify)
                .expect("sound");
            for row in (0..rows.len()).filter(|row| file.slices.contains(rows.slice(*row))) {
                let (mut key, mut bytes) = (Vec::new(), Vec::new());
                rows.key_into(row, &mut key);
                let values = (!rows.is_tombstone(row) && rows.row_into(row, &mut bytes))
                    .then(|| values_of(&bytes));
                found.push((key, rows.execute_at(row), values));
            }
        }
        found
    });
    rows.await.expect("the job ran")
}
