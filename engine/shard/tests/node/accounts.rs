//! A table of accounts whose balances move and whose sum does not.

use std::collections::BTreeMap;
use std::sync::Arc;

use accord::{
    Abort, Access, Commit, Footprint, Outcome, RangeNeed, SchemaChange, TokenRange, Validation,
    View, Workload, Write,
};
use platform::JobClass;
use shard::{Attachment, Committed, ShardClient, ShardError};
use snapshot::{PinnedFile, ReadAt, SnapshotSource};
use sstable::{Fetch, Joining, PageCheck};
use storage::TableLayout;
use storage::sealed::{SealBatch, SealedFiles, seal};
use types::codec::Encoder;
use types::row::{decode_row, encode_row};
use types::schema::{ColumnSchema, KeyColumn, Partitioning, RowAddress, TableSchema};
use types::token::SliceCount;
use types::{ColumnId, ColumnType, SchemaVersion, SqlType, TableId, Timestamp, Value};

pub const TABLE: TableId = TableId(20_000);
pub const ACCOUNTS: i64 = 40;
pub const BALANCE: i64 = 1_000;
const TYPES: [SqlType; 2] = [SqlType::Int8, SqlType::Int8];

/// The table's schema at its first version.
pub fn schema() -> TableSchema {
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
        name: "account".into(),
        columns: vec![column(1, "id"), column(2, "balance")],
        key: vec![KeyColumn { position: 0, order: types::key::KeyOrder::PRIMARY }],
        primary_key: Some("account_pkey".into()),
        partitioning: Partitioning::Hash { columns: 1 },
        indexes: Vec::new(),
        checks: Vec::new(),
    }
}

fn address(slices: SliceCount, account: u64) -> RowAddress {
    schema().address(slices, &[&Value::Int8(account as i64)])
}

fn row(account: u64, balance: i64) -> Vec<u8> {
    let mut row = Vec::new();
    encode_row(&TYPES, &[Value::Int8(account as i64), Value::Int8(balance)], &mut row);
    row
}

fn balance_of(row: &[u8]) -> i64 {
    match decode_row(&TYPES, row, |_| &Value::Null).as_deref() {
        Ok([_, Value::Int8(balance)]) => *balance,
        other => panic!("a row of accounts holds two numbers: {other:?}"),
    }
}

/// A change of the table's schema version that defines its layout.
#[derive(Debug)]
struct Define {
    version: u64,
}

impl Workload for Define {
    fn evaluate(&self, _execute_at: Timestamp, _view: &dyn View) -> Outcome {
        let version = Some(SchemaVersion(self.version));
        Outcome::Commit(Commit {
            schema: vec![SchemaChange { table: TABLE, version }],
            attachment: attachment_of(schema()).encode(),
            ..Commit::default()
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(202);
        out.extend(self.version.to_le_bytes());
    }
}

fn attachment_of(schema: TableSchema) -> Attachment {
    Attachment::new(vec![TableLayout::of_table(&schema)], Vec::new())
}

pub async fn create_table(client: &ShardClient) {
    let mut footprint = Footprint::new();
    footprint.whole_table(TABLE, Access::Write);
    let created = client.submit(Arc::new(footprint), Arc::new(Define { version: 1 })).await;
    created.expect("it takes effect");
}

/// From version one to `version`.
pub async fn change_schema(client: &ShardClient, version: u64) -> Result<Committed, ShardError> {
    let mut footprint = Footprint::new();
    footprint.planned_at(TABLE, SchemaVersion(1));
    footprint.whole_table(TABLE, Access::Write);
    client.submit(Arc::new(footprint), Arc::new(Define { version })).await
}

/// Inserts every account, in one transaction of all cores.
#[derive(Debug)]
struct InsertAll {
    slices: SliceCount,
}

impl Workload for InsertAll {
    fn evaluate(&self, _execute_at: Timestamp, view: &dyn View) -> Outcome {
        let mut writes = Vec::new();
        for account in 0..ACCOUNTS as u64 {
            if view.point(account as usize).is_some() {
                return Outcome::Abort(Abort::Refused(b"duplicate".to_vec()));
            }
            let RowAddress { token, key, .. } = address(self.slices, account);
            writes.push(Write { table: TABLE, token, key, row: Some(row(account, BALANCE)) });
        }
        Outcome::Commit(Commit { writes, ..Commit::default() })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(203);
        out.extend(self.slices.get().to_le_bytes());
    }
}

pub async fn insert_accounts(client: &ShardClient) {
    let mut footprint = Footprint::new();
    footprint.planned_at(TABLE, SchemaVersion(1));
    for account in 0..ACCOUNTS as u64 {
        let RowAddress { token, key, .. } = address(client.slices(), account);
        footprint.point(TABLE, token, &key, Access::ReadWrite);
    }
    let footprint = Arc::new(footprint);
    let workload = Arc::new(InsertAll { slices: client.slices() });
    client.submit(Arc::clone(&footprint), workload.clone()).await.expect("they are new");
    let again = client.submit(footprint, workload).await;
    assert_eq!(again, Err(ShardError::Aborted(Abort::Refused(b"duplicate".to_vec()))));
}

/// Moves money if there is enough.
#[derive(Debug)]
pub struct Transfer {
    accounts: [(u64, RowAddress); 2],
    amount: i64,
}

impl Transfer {
    pub fn new(slices: SliceCount, source: u64, target: u64, amount: i64) -> Transfer {
        let accounts = [source, target].map(|account| (account, address(slices, account)));
        Transfer { accounts, amount }
    }

    /// Runs it above a snapshot.
    pub async fn submit(
        self,
        client: &ShardClient,
        above: Timestamp,
    ) -> Result<Committed, ShardError> {
        let mut footprint = Footprint::new();
        footprint.execute_above(above);
        footprint.planned_at(TABLE, SchemaVersion(1));
        for (_, address) in &self.accounts {
            footprint.point(TABLE, address.token, &address.key, Access::ReadWrite);
        }
        client.submit(Arc::new(footprint), Arc::new(self)).await
    }
}

impl Workload for Transfer {
    fn evaluate(&self, _execute_at: Timestamp, view: &dyn View) -> Outcome {
        let balances =
            [0, 1].map(|point| view.point(point).map_or(0, |version| balance_of(&version.row)));
        if balances[0] < self.amount {
            return Outcome::Abort(Abort::Refused(b"poor".to_vec()));
        }
        let moved = [balances[0] - self.amount, balances[1] + self.amount];
        let writes = self.accounts.iter().zip(moved).map(|((account, address), balance)| Write {
            table: TABLE,
            token: address.token,
            key: address.key.clone(),
            row: Some(row(*account, balance)),
        });
        Outcome::Commit(Commit { writes: writes.collect(), ..Commit::default() })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(204);
        let mut encoder = Encoder::after(std::mem::take(out));
        for (account, address) in &self.accounts {
            encoder.varint(*account);
            encoder.u64(address.token.0);
            encoder.var_bytes(&address.key);
        }
        encoder.i64(self.amount);
        *out = encoder.into_bytes();
    }
}

/// Sum of all balances as a statement at a snapshot reads them.
pub async fn sum_at(client: &ShardClient, at: Timestamp) -> i64 {
    let mut footprint = Footprint::new();
    let need = RangeNeed::Rows { limit: 10_000 };
    footprint.range(TABLE, TokenRange::ALL, (&[], None), Access::Read, need);
    let rows = client.read_at(at, Arc::new(footprint)).await.expect("the snapshot is open");
    let mut sum = 0;
    let mut count = 0;
    rows.range(0, &mut |_, _, row| {
        sum += balance_of(row);
        count += 1;
    });
    assert!(count == ACCOUNTS || count == 0, "all accounts or none: {count}");
    sum
}

/// Sum of all balances as analytics sees them. Only what is in memory: these tables are small.
pub async fn sum_frozen(client: &ShardClient, at: ReadAt) -> i64 {
    let taken = client.take(&[Arc::new(schema())], at).await.expect("a snapshot");
    let mut newest: BTreeMap<Vec<u8>, (Timestamp, Option<i64>)> = BTreeMap::new();
    for part in &taken.tables[0].parts {
        for file in &part.files {
            read_file(client, file.clone(), taken.timestamp, &mut newest).await;
        }
        for frozen in &part.frozen {
            let run = frozen.run();
            for row in 0..run.len() {
                let version = run.version(row);
                let balance = match version.content {
                    sstable::RowContent::Row(row) => Some(balance_of(row)),
                    _ => None,
                };
                let (key, at) = (version.key, version.execute_at);
                keep_newest(&mut newest, key, at, balance, taken.timestamp);
            }
        }
    }
    newest.values().filter_map(|(_, balance)| *balance).sum()
}

/// Reads the rows of a table file on a background core, as a query would.
async fn read_file(
    client: &ShardClient,
    file: PinnedFile,
    at: Timestamp,
    newest: &mut BTreeMap<Vec<u8>, (Timestamp, Option<i64>)>,
) {
    let slices = file.slices;
    let background = client.shard().background();
    let rows = platform::run_job(&*background, JobClass::Scan, move |_, _| {
        let metadata = &file.metadata;
        let mut rows = Vec::new();
        for group in 0..metadata.group_count() {
            let pages = metadata.group_pages(group);
            let fetch = Fetch::new(metadata, &pages, &metadata.all_columns(), Joining::SCAN);
            let buffers = file.blocks.read(fetch.ranges()).expect("the disk is sound");
            let fetched = fetch.with(buffers.iter().map(|buffer| &buffer[..])).expect("whole");
            let published_at = file.published_at;
            rows.push(
                metadata
                    .decode_rows(&pages, &fetched, published_at, PageCheck::Verify)
                    .expect("sound"),
            );
        }
        rows
    });
    for group in rows.await.expect("the job ran") {
        for row in (0..group.len()).filter(|row| slices.contains(group.slice(*row))) {
            let (mut key, mut bytes) = (Vec::new(), Vec::new());
            group.key_into(row, &mut key);
            let balance = (!group.is_tombstone(row) && group.row_into(row, &mut bytes))
                .then(|| balance_of(&bytes));
            keep_newest(newest, &key, group.execute_at(row), balance, at);
        }
    }
}

fn keep_newest(
    newest: &mut BTreeMap<Vec<u8>, (Timestamp, Option<i64>)>,
    key: &[u8],
    execute_at: Timestamp,
    balance: Option<i64>,
    at: Timestamp,
) {
    if execute_at > at {
        return;
    }
    let entry = newest.entry(key.to_vec()).or_insert((Timestamp::ZERO, None));
    if execute_at > entry.0 {
        *entry = (execute_at, balance);
    }
}

/// A bulk write's own rows and its check that nobody else has written.
#[derive(Debug)]
struct Bulk {
    slices: SliceCount,
    validation: Validation,
}

/// The account that a bulk write gives as a row beside its files.
const BESIDE: u64 = 0;

impl Workload for Bulk {
    fn evaluate(&self, _execute_at: Timestamp, view: &dyn View) -> Outcome {
        if let Err(abort) = self.validation.check(view) {
            return Outcome::Abort(abort);
        }
        let RowAddress { token, key, .. } = address(self.slices, BESIDE);
        let write = Write { table: TABLE, token, key, row: Some(row(BESIDE, BALANCE)) };
        Outcome::Commit(Commit { writes: vec![write], ..Commit::default() })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(205);
        let mut encoder = Encoder::after(std::mem::take(out));
        encoder.u16(self.slices.get());
        self.validation.encode(&mut encoder);
        *out = encoder.into_bytes();
    }
}

/// Seals all accounts but one on a background core.
pub async fn seal_accounts(client: &ShardClient) -> SealedFiles {
    let slices = client.slices();
    let directory = client.shard().tree().directory();
    let background = client.shard().background();
    let sealed = platform::run_job(&*background, JobClass::Flush, move |io, cancel| {
        let mut batch = SealBatch::default();
        for account in (0..ACCOUNTS as u64).filter(|account| *account != BESIDE) {
            let RowAddress { slice, key, .. } = address(slices, account);
            batch.push(slice, &key, &row(account, BALANCE));
        }
        seal(io, cancel, &directory, &TableLayout::of_table(&schema()), &batch)
    });
    sealed.await.expect("the job ran").expect("the disk is sound")
}

/// Publishes sealed accounts if nobody has written the table since `snapshot`.
pub async fn commit_bulk(
    client: &ShardClient,
    files: SealedFiles,
    snapshot: Timestamp,
) -> Result<Committed, ShardError> {
    let mut footprint = Footprint::new();
    footprint.planned_at(TABLE, SchemaVersion(1));
    footprint.execute_above(snapshot);
    let whole = footprint.whole_table(TABLE, Access::ReadWrite);
    let validation = Validation { ranges: vec![(whole, snapshot)], ..Validation::default() };
    let workload = Arc::new(Bulk { slices: client.slices(), validation });
    client.commit_bulk(files, Arc::new(footprint), workload).await
}
