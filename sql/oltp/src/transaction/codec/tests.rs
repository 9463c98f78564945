//! Statements as clients write them, as workloads: the same bytes and the same outcome after a round trip, hostile bytes refused, sizes bounded.

use std::borrow::Cow;
use std::sync::Arc;

use accord::{
    Expected, Footprint, Outcome, RowVersion, RowVisitor, SchemaChange, View, Workload,
    WorkloadCodec, WorkloadDecodeError,
};
use functions::{EvalContext, NotPortable};
use plan::catalog::{Catalog, CatalogChange, SearchPath};
use plan::statement::{BoundStatement, Statement};
use types::prng::Prng;
use types::schema::{IndexState, RowAddress};
use types::time_zone::TimeZone;
use types::token::SliceCount;
use types::{SchemaVersion, SqlType, TableId, TextSettings, Timestamp, Token, Value};

use crate::evaluation::Surroundings;
use crate::read::ReadRows;
use crate::row::TableRows;
use crate::statement::PointWrite;
use crate::transaction::{Buffered, BufferedRow, Consistency, DeferredUpdate, Transaction};
use crate::{Bounds, SqlWorkloads, Unchanged};

const TABLES: &[&str] = &[
    "create table accounts (id int8 primary key, branch int4 not null, balance numeric(12,2) \
     default 0 check (balance > -1000), note text, changed timestamptz)",
    "create table tellers (id int8 primary key, balance numeric(12,2))",
    "create table branches (id int8 primary key, balance numeric(12,2))",
    "create table history (account int8, amount numeric(12,2), at timestamptz)",
    "create index accounts_branch on accounts (branch, note desc)",
];

const INT8: SqlType = SqlType::Int8;
const NUMERIC: SqlType = SqlType::Numeric;

fn try_bind(text: &str, catalog: &Catalog, parameters: &[SqlType]) -> BoundStatement {
    let parsed = plan::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let input = plan::BindInput {
        text,
        catalog,
        search_path: &SearchPath::default(),
        context: EvalContext::PURE,
        parameters,
    };
    plan::bind(&parsed[0], &input).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn catalog() -> Catalog {
    let mut catalog = Catalog::initial();
    let mut next_id = 16_384;
    for line in TABLES {
        let bound = try_bind(line, &catalog, &[]);
        let Statement::Ddl(ddl) = &bound.statement else { panic!("{line}") };
        let outcome = plan::ddl::changes(ddl, &catalog, &mut next_id).expect(line);
        let changes: Vec<CatalogChange> = outcome
            .changes
            .into_iter()
            .map(|change| match change {
                CatalogChange::PutTable(table) => {
                    let mut table = (*table).clone();
                    table.indexes.iter_mut().for_each(|index| index.state = IndexState::Public);
                    CatalogChange::PutTable(table.into())
                }
                other => other,
            })
            .collect();
        catalog = catalog.apply(SchemaVersion(u64::from(next_id)), &changes);
    }
    catalog
}

fn surroundings() -> Surroundings {
    let time_zone = TimeZone::parse("Europe/Berlin").expect("a zone");
    Surroundings {
        settings: TextSettings {
            time_zone,
            transaction_micros: 812_345_678_901_234,
            ..TextSettings::DEFAULT
        },
        statement_micros: 812_345_678_999_999,
        user: "app".into(),
        database: "shop".into(),
        catalog: Arc::new(functions::NoCatalog),
        random_seed: 9,
    }
}

fn money(text: &str) -> Value {
    Value::Numeric(Box::new(types::Numeric::parse(text).expect("a number")))
}

/// What a test has of a database.
struct Bench {
    catalog: Catalog,
}

impl Bench {
    fn new() -> Bench {
        Bench { catalog: catalog() }
    }

    fn table(&self, name: &str) -> TableRows {
        let mut tables = self.catalog.tables();
        let table = tables.find(|table| &*table.name == name).expect(name);
        TableRows::new(table, SliceCount::DEFAULT)
    }

    fn bind(&self, text: &str, parameters: &[SqlType]) -> Arc<BoundStatement> {
        Arc::new(try_bind(text, &self.catalog, parameters))
    }

    fn address(&self, table: &TableRows, id: i64) -> RowAddress {
        table.schema.address(table.slices, &[&Value::Int8(id)])
    }

    /// An account whose columns are drawn.
    fn account(&self, id: i64, prng: &mut Prng) -> Vec<Value> {
        let note = ["", "a", "hello world", "ä"][prng.index(4)];
        let changed = Value::Timestamptz(prng.below(1 << 50) as i64);
        let changed = if prng.below(3) == 0 { Value::Null } else { changed };
        let balance = money(["0", "12.50", "-999.99", "100000.01"][prng.index(4)]);
        vec![
            Value::Int8(id),
            Value::Int4(prng.below(9) as i32),
            balance,
            Value::text(note),
            changed,
        ]
    }

    fn update(&self, table: &str, text: &str, parameters: Vec<Value>, ids: &[i64]) -> PointWrite {
        let types = [NUMERIC, INT8, SqlType::Text];
        let statement = self.bind(text, &types[..parameters.len()]);
        let table = self.table(table);
        let addresses = ids.iter().map(|id| self.address(&table, *id)).collect();
        PointWrite::of_rows(&statement, table, addresses, parameters, surroundings())
    }

    fn insert(&self, text: &str, rows: Vec<Vec<Value>>) -> PointWrite {
        let table = self.table("accounts");
        let statement = self.bind(text, &[]);
        PointWrite::insert(&statement, table, rows, Vec::new(), surroundings()).expect("it fits")
    }

    /// A block: TPC-B's three deferred updates and its insert.
    fn tpc_b(&self) -> Transaction {
        let mut transaction = Transaction::new(Timestamp::new(0, 77, 1), Consistency::Strict);
        let shared = Arc::new(surroundings());
        for name in ["accounts", "tellers", "branches"] {
            let text = format!("update {name} set balance = balance + $1 where id = $2");
            let update = DeferredUpdate {
                statement: self.bind(&text, &[NUMERIC, INT8]),
                parameters: [money("12.50"), Value::Int8(4)].into(),
                surroundings: shared.clone(),
            };
            deferred(
                &mut transaction,
                &self.table(name),
                self.address(&self.table(name), 4),
                update,
            );
        }
        let history = self.table("history");
        let at = Value::Timestamptz(812_345_678_901_234);
        let mut row = vec![Value::Int8(4), money("12.50"), at];
        row.resize(history.types.len(), Value::Int8(1 << 40));
        let address = history.address(&row).expect("a row id");
        transaction.put(&history, address, None, row).expect("it fits");
        transaction
    }
}

fn deferred(
    transaction: &mut Transaction,
    table: &TableRows,
    address: RowAddress,
    update: DeferredUpdate,
) {
    let key = (table.schema.storage_id, address.key.clone());
    let now = Buffered::Deferred { updates: vec![update], shown: Vec::new() };
    let row = BufferedRow { table: table.clone(), address, before: None, now };
    transaction.rows.insert(key, row);
}

/// Rows by point; every range unchanged.
struct Rows(Vec<Option<Vec<u8>>>);

impl View for Rows {
    fn point(&self, point: usize) -> Option<RowVersion<'_>> {
        let row = self.0.get(point)?.as_ref()?;
        Some(RowVersion { execute_at: Timestamp::new(0, 5, 0), row: Cow::Borrowed(row) })
    }

    fn range(&self, _: usize, visit: &mut RowVisitor<'_>) {
        visit(b"key", Timestamp::new(0, 5, 0), b"row");
    }

    fn changed_at(&self, _: usize) -> Timestamp {
        Timestamp::new(0, 5, 0)
    }
}

fn encoded(workload: &dyn Workload) -> Vec<u8> {
    let mut bytes = b"before".to_vec();
    workload.encode(&mut bytes);
    assert_eq!(&bytes[..6], b"before");
    bytes.split_off(6)
}

/// Round trip, and the same outcome on a view.
fn travels(workload: &dyn Workload, view: &dyn View) -> (Vec<u8>, Outcome) {
    let bytes = encoded(workload);
    let again = SqlWorkloads.decode(&bytes).expect("what was encoded decodes");
    assert_eq!(encoded(&*again), bytes);
    let at = Timestamp::new(0, 99, 0);
    let outcome = workload.evaluate(at, view);
    assert_eq!(again.evaluate(at, view), outcome, "{workload:?}");
    (bytes, outcome)
}

fn workloads(bench: &Bench, prng: &mut Prng) -> Vec<Arc<dyn Workload>> {
    let (one, two) = (bench.account(4, prng), bench.account(5, prng));
    let amount = money(["12.50", "-100.00", "-5000"][prng.index(3)]);
    let id = Value::Int8(4);
    let updates: [(&str, Vec<Value>); 4] = [
        (
            "update accounts set balance = balance + $1 where id = $2",
            vec![amount.clone(), id.clone()],
        ),
        (
            "update accounts set note = case when balance > $1 then upper(note) else $3 end, \
             branch = branch + 1 where id = $2 and note is not null returning id, note",
            vec![amount.clone(), id.clone(), Value::text("poor")],
        ),
        ("update accounts set changed = now(), note = current_user where id = 4", Vec::new()),
        (
            "update accounts set note = changed::text || 'x', branch = null where id in (4, 5)",
            Vec::new(),
        ),
    ];
    let mut all: Vec<Arc<dyn Workload>> = vec![Arc::new(ReadRows { points: 1, ranges: 0 })];
    for (text, parameters) in updates {
        all.push(Arc::new(bench.update("accounts", text, parameters, &[4, 5])));
    }
    let delete = "delete from accounts where id = $2 and balance < $1 returning *";
    all.push(Arc::new(bench.update("accounts", delete, vec![amount, id], &[4])));
    for conflict in [
        "",
        "on conflict do nothing returning id",
        "on conflict (id) do update set balance = accounts.balance + excluded.balance \
         where accounts.branch <> excluded.branch returning *",
    ] {
        let text = format!("insert into accounts values (4, 1, 2.5, 'n') {conflict}");
        all.push(Arc::new(bench.insert(&text, vec![one.clone(), two.clone()])));
    }
    all.push(bench.tpc_b().into_commit().1);
    all.push(block(bench, &one, &two).into_commit().1);
    let workload = block(bench, &two, &one).into_commit().1;
    // What changes is from five on.
    let ranges = vec![(0, Timestamp::new(0, 4 + prng.below(2), 0)), (1, Timestamp::new(0, 5, 0))];
    all.push(Arc::new(Unchanged { workload, ranges }));
    all
}

/// A block that has read, inserted, updated, deleted, and changed a schema.
fn block(bench: &Bench, one: &[Value], two: &[Value]) -> Transaction {
    let accounts = bench.table("accounts");
    let mut transaction = bench.tpc_b();
    let at = bench.address(&accounts, 8);
    transaction.put(&accounts, at, Some(one.to_vec()), two.to_vec()).expect("it fits");
    transaction.delete(&accounts, bench.address(&accounts, 9), one.to_vec());
    transaction.see(&accounts, &bench.address(&accounts, 10), Expected::Absent);
    let at = bench.address(&accounts, 11);
    transaction.see(&accounts, &at, Expected::Version(Timestamp::new(0, 5, 0)));
    let (tokens, table) = (accord::TokenRange::ALL, accounts.schema.storage_id);
    transaction.ranges.push(Bounds { table, tokens, low: vec![1], high: None });
    let change = SchemaChange { table: TableId(20_000), version: Some(SchemaVersion(3)) };
    transaction.change_schema(change, [TableId(20_001)]);
    transaction.attach(vec![1, 2, 3]);
    let address =
        RowAddress { token: Token(5), slice: SliceCount::DEFAULT.slice_of(Token(5)), key: vec![4] };
    transaction.put_entry(TableId(30_000), &address, vec![7], vec![8]).expect("it fits");
    transaction
}

fn view(bench: &Bench, prng: &mut Prng) -> Rows {
    let accounts = bench.table("accounts");
    let tellers = bench.table("tellers");
    Rows(
        (0..8)
            .map(|point| {
                let row = bench.account(4 + point, prng);
                let encoded = match prng.below(3) {
                    0 => return None,
                    1 => tellers.encode(&[row[0].clone(), row[2].clone()]),
                    _ => accounts.encode(&row),
                };
                Some(encoded.expect("it fits"))
            })
            .collect(),
    )
}

#[test]
fn workloads_travel_and_do_the_same() {
    let bench = Bench::new();
    let (mut committed, mut aborted) = (0, 0);
    for seed in 0..150 {
        let mut prng = Prng::new(seed);
        for workload in workloads(&bench, &mut prng) {
            match travels(&*workload, &view(&bench, &mut prng)).1 {
                Outcome::Commit(_) => committed += 1,
                Outcome::Abort(_) => aborted += 1,
            }
        }
    }
    assert!(committed > 200 && aborted > 200, "{committed} {aborted}");
}

#[test]
fn a_block_writes_the_same_after_the_journey() {
    let bench = Bench::new();
    let prng = &mut Prng::new(3);
    let account = |prng: &mut Prng| bench.account(4, prng);
    let (one, two) = (account(prng), account(prng));
    let (footprint, workload) = block(&bench, &one, &two).into_commit();
    // The version that `see` names, of each point's own table.
    let row = |footprint: &Footprint, point: usize| {
        let table = footprint.points()[point].table;
        let name = ["accounts", "tellers", "branches"];
        let of = name.into_iter().map(|name| bench.table(name));
        let found = of.into_iter().find(|rows| rows.schema.storage_id == table)?;
        let mut values = one[..found.types.len().min(one.len())].to_vec();
        if found.types.len() == 2 {
            values[1] = one[2].clone();
        }
        // 10 was absent.
        let absent = bench.address(&found, 10).key;
        let key = footprint.key_of(&footprint.points()[point]);
        (key != absent).then(|| found.encode(&values).expect("it fits"))
    };
    let rows = (0..footprint.points().len()).map(|point| row(&footprint, point)).collect();
    let (_, outcome) = travels(&*workload, &Rows(rows));
    let Outcome::Commit(commit) = outcome else { panic!("{outcome:?}") };
    assert!(commit.writes.len() >= 7, "{commit:?}");
    assert_eq!(commit.attachment, [1, 2, 3]);
    assert_eq!(commit.schema.len(), 1);
}

#[test]
fn hostile_bytes_are_refused_or_encode_to_themselves() {
    let bench = Bench::new();
    let mut accepted = 0;
    for seed in 0..60 {
        let prng = &mut Prng::new(seed);
        for workload in workloads(&bench, prng) {
            let bytes = encoded(&*workload);
            let cut = prng.index(bytes.len());
            assert!(SqlWorkloads.decode(&bytes[..cut]).is_err(), "cut at {cut}");
            assert!(SqlWorkloads.decode(&[&bytes[..], &[0]].concat()).is_err());
            for _ in 0..60 {
                let mut hostile = bytes.clone();
                for _ in 0..1 + prng.index(3) {
                    let at = prng.index(hostile.len());
                    hostile[at] = match prng.below(3) {
                        0 => prng.next_u64() as u8,
                        1 => hostile[at] ^ 1 << prng.below(8),
                        _ => 0xff,
                    };
                }
                let Ok(decoded) = SqlWorkloads.decode(&hostile) else { continue };
                assert_eq!(encoded(&*decoded), hostile);
                // Any outcome will do; a panic is what must not come.
                drop(decoded.evaluate(Timestamp::new(0, 99, 0), &view(&bench, prng)));
                accepted += 1;
            }
        }
    }
    assert!(accepted > 1_000, "{accepted} mutated workloads were well formed");
}

#[test]
fn another_library_and_another_kind_are_named() {
    let bench = Bench::new();
    let mut bytes = encoded(&*bench.tpc_b().into_commit().1);
    bytes[2] = 2;
    let refused = SqlWorkloads.decode(&bytes).map(drop);
    let error = WorkloadDecodeError::UnknownLibraryVersion { found: 2, oldest: 1, newest: 1 };
    assert_eq!(refused, Err(error));
    bytes[0] = 63;
    let refused = SqlWorkloads.decode(&bytes).map(drop);
    assert_eq!(refused, Err(WorkloadDecodeError::UnknownKind { kind: 63 }));
    assert!(matches!(SqlWorkloads.decode(&[16, 2]), Err(WorkloadDecodeError::Malformed(_))));
}

#[test]
fn what_asks_its_session_is_known_before_it_is_sent() {
    let bench = Bench::new();
    for (value, function) in
        [("random()::text", "random"), ("current_setting('a')", "current_setting")]
    {
        let text = format!("update accounts set note = {value} where id = 4");
        let bound = bench.bind(&text, &[]);
        let Statement::Update(update) = &bound.statement else { panic!("{text}") };
        let refused = update.assignments[0].1.check_portable();
        let volatile = NotPortable::Volatile { function };
        let session = NotPortable::Session { function };
        assert!(refused == Err(volatile) || refused == Err(session), "{text}: {refused:?}");
    }
}

#[test]
fn typical_transactions_are_small() {
    let bench = Bench::new();
    let prng = &mut Prng::new(1);
    let of = |footprint: &Footprint, workload: &dyn Workload| {
        let mut bytes = Vec::new();
        footprint.encode(&mut bytes);
        (bytes.len(), encoded(workload).len())
    };
    let insert = "insert into accounts values (4, 1, 2.5, 'n')";
    let insert = bench.insert(insert, vec![bench.account(4, prng)]);
    let update = "update accounts set balance = balance + $1 where id = $2";
    let update = bench.update("accounts", update, vec![money("1"), Value::Int8(4)], &[4]);
    let accounts = bench.table("accounts");
    let mut read = Footprint::new();
    let address = bench.address(&accounts, 4);
    read.point(accounts.schema.storage_id, address.token, &address.key, accord::Access::Read);
    let mut reads = bench.tpc_b();
    for id in 100..110 {
        let expected = Expected::Version(Timestamp::new(0, 5, 0));
        reads.see(&accounts, &bench.address(&accounts, id), expected);
    }
    let (tpc_b, commit) = (bench.tpc_b().into_commit(), reads.into_commit());
    let sizes = [
        ("point insert", of(&insert.footprint(), &insert), (80, 260)),
        ("point update", of(&update.footprint(), &update), (80, 260)),
        ("point read", of(&read, &ReadRows { points: 1, ranges: 0 }), (60, 4)),
        ("TPC-B", of(&tpc_b.0, &*tpc_b.1), (180, 700)),
        ("TPC-B and 10 reads", of(&commit.0, &*commit.1), (420, 900)),
    ];
    for (name, (footprint, workload), bounds) in sizes {
        println!("{name}: footprint {footprint}, workload {workload} bytes");
        assert!(footprint <= bounds.0 && workload <= bounds.1, "{name}: {footprint} {workload}");
    }
}
