//! What the hot loops of the table file do, one core, bytes in memory: build, decode by encoding, scan, point read, filter, merge.
//!
//! `cargo bench -p sstable [-- columns|points|merges]`. Rates are of decoded bytes; each line is the best of several rounds, because the machine is shared.

use sstable::{
    ColumnSpec, Fetch, FileColumn, FinishedTable, Joining, KeyShape, Metadata, PageCheck, PageId,
    PointQuery, PointRead, RowContent, RowVersion, ScanRequest, Selection, SortedRun, TableBuilder,
    TableOptions, TableShape, Values, Versioning, merge_visible,
};
use std::hint::black_box;
use std::time::{Duration, Instant};
use types::key::KeyOrder;
use types::prng::Prng;
use types::row::encode_row;
use types::schema::KeyColumn;
use types::{ColumnId, SliceId, SqlType, TableId, Timestamp, Value};

const ROWS: u64 = 1 << 20;

fn best<T>(mut work: impl FnMut() -> T) -> Duration {
    let once = |work: &mut dyn FnMut() -> T| {
        let start = Instant::now();
        black_box(work());
        start.elapsed()
    };
    (0..7).map(|_| once(&mut work)).min().unwrap_or_default()
}

const COLUMNS: [(&str, SqlType); 9] = [
    ("key, rising", SqlType::Int8),
    ("int8, 12 bits", SqlType::Int8),
    ("int8, any", SqlType::Int8),
    ("int4, 20 bits", SqlType::Int4),
    ("int8, runs of 50", SqlType::Int8),
    ("float8, any", SqlType::Float8),
    ("text, 20 values", SqlType::Text),
    ("text, 24 bytes, any", SqlType::Text),
    ("timestamptz, rising", SqlType::Timestamptz),
];

fn row(prng: &mut Prng, number: u64) -> Vec<Value> {
    let any = prng.next_u64();
    vec![
        Value::Int8(number as i64 * 7),
        Value::Int8(any as i64 & 0xFFF),
        Value::Int8(any as i64),
        Value::Int4(any as i32 & 0xF_FFFF),
        Value::Int8(number as i64 / 50 * 1_000_003),
        Value::Float8((any >> 11) as f64 / 1e3),
        Value::text(format!("category {}", any % 20)),
        Value::text(format!("{:016x}{:08x}", any, number as u32)),
        Value::Timestamptz(700_000_000_000_000 + number as i64 * 1_000 + (any % 700) as i64),
    ]
}

fn shape() -> TableShape {
    let column = |(index, (_, sql_type)): (usize, &(&str, SqlType))| ColumnSpec {
        id: ColumnId(index as u16),
        sql_type: *sql_type,
        missing: Value::Null,
    };
    TableShape {
        table_id: TableId(1),
        salt: 1,
        columns: COLUMNS.iter().enumerate().map(column).collect(),
        key: vec![KeyColumn { position: 0, order: KeyOrder::PRIMARY }],
        versioning: Versioning::PerRow,
    }
}

fn key(number: u64) -> [u8; 8] {
    (number * 7 ^ (1 << 63)).to_be_bytes()
}

fn build(rows: &[Vec<u8>]) -> (Vec<u8>, Metadata) {
    let mut builder = TableBuilder::new(TableOptions::default(), shape());
    let mut bytes = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let at = Timestamp::new(1, 1_000_000 + number as u64 / 3, 1);
        builder
            .push(SliceId(0), &key(number as u64), Some(at), RowContent::Row(row))
            .expect("a row of this table");
        if builder.has_bytes() {
            bytes.extend(builder.take_bytes());
        }
    }
    let FinishedTable { bytes: rest, metadata } = builder.finish().expect("a file");
    bytes.extend(rest);
    (bytes, metadata)
}

fn buffers<'b>(bytes: &'b [u8], fetch: &Fetch) -> Vec<&'b [u8]> {
    let cut = |range: &sstable::ByteRange| &bytes[range.offset as usize..range.end() as usize];
    fetch.ranges().iter().map(cut).collect()
}

fn report(name: &str, rows: u64, bytes: u64, time: Duration) {
    let seconds = time.as_secs_f64();
    let (rate, each) = (bytes as f64 / seconds / 1e9, seconds * 1e9 / rows as f64);
    println!("{name:<44} {rate:>8.2} GB/s {each:>9.2} ns/row");
}

fn columns(bytes: &[u8], metadata: &Metadata) {
    let request = ScanRequest::everything(Timestamp::MAX);
    let plan = metadata.plan_scan(&request);
    for (position, (name, _)) in COLUMNS.iter().enumerate() {
        let column = FileColumn::Stored(position as u16);
        for check in [PageCheck::Verify, PageCheck::Verified] {
            let mut decoded = 0;
            let time = best(|| {
                decoded = 0;
                for group in &plan.groups {
                    let fetch = group.fetch(metadata, &[column]);
                    let fetched = fetch.with(buffers(bytes, &fetch)).expect("all ranges");
                    let vector = metadata
                        .decode_pages(&group.pages, column, &fetched, check)
                        .expect("undamaged");
                    decoded += vector.byte_count() as u64;
                    black_box(vector);
                }
            });
            let statistics = metadata.column_statistics(position as u16);
            let width = statistics.encoded_bytes.0 as f64 / ROWS as f64;
            let name = format!("decode {name} ({width:.2} B), {check:?}");
            report(&name, ROWS, decoded, time);
        }
    }
    let time = best(|| {
        let mut sum = 0i64;
        for group in &plan.groups {
            let fetch = group.fetch(metadata, &[FileColumn::Stored(2)]);
            let fetched = fetch.with(buffers(bytes, &fetch)).expect("all ranges");
            let check = PageCheck::Verified;
            let vector = metadata
                .decode_pages(&group.pages, FileColumn::Stored(2), &fetched, check)
                .expect("undamaged");
            if let Values::Int64(values) = &vector.values {
                sum = values.iter().fold(sum, |sum, value| sum.wrapping_add(*value));
            }
        }
        sum
    });
    report("plan, decode and sum int8, any", ROWS, ROWS * 8, time);
}

fn points(bytes: &[u8], metadata: &Metadata) {
    let mut prng = Prng::new(3);
    let all: Vec<u16> = (0..COLUMNS.len() as u16).collect();
    let numbers: Vec<u64> = (0..20_000).map(|_| prng.below(ROWS)).collect();
    let time = best(|| {
        for number in &numbers {
            let key = key(*number);
            let at = Timestamp::MAX;
            let query = PointQuery { slice: SliceId(0), key: &key, at, published_at: None };
            let page = metadata.locate(&query).expect("it is there");
            let fetch = metadata.point_fetch(page, &all);
            let fetched = fetch.with(buffers(bytes, &fetch)).expect("all ranges");
            let read = metadata.decode_point(page, &all, &fetched, &query).expect("undamaged");
            assert!(matches!(read, PointRead::Row { .. }));
        }
    });
    report("point read from bytes, 9 columns", numbers.len() as u64, 0, time);
    let page = PageId(3);
    let columns = metadata.point_columns(&all);
    let fetch = Fetch::new(metadata, &[page], &columns, Joining::POINT);
    let fetched = fetch.with(buffers(bytes, &fetch)).expect("all ranges");
    let vectors: Vec<_> = columns
        .iter()
        .map(|column| {
            let bytes = fetched.page(page, *column);
            metadata.decode_page(page, *column, bytes, PageCheck::Verify).expect("undamaged")
        })
        .collect();
    let rows = metadata.page_row_count(page) as u64;
    let first = 3 * rows;
    let time = best(|| {
        for number in first..first + rows {
            let key = key(number);
            let at = Timestamp::MAX;
            let query = PointQuery { slice: SliceId(0), key: &key, at, published_at: None };
            let page = metadata.locate(&query).expect("it is there");
            let column = |wanted| columns.binary_search(&wanted).ok().map(|at| &vectors[at]);
            let read = metadata.read_point(page, &all, &query, &column).expect("undamaged");
            assert!(matches!(read, PointRead::Row { .. }));
        }
    });
    report("point read from decoded pages, 9 columns", rows, 0, time);
    let strangers: Vec<[u8; 8]> = (0..100_000).map(|_| prng.next_u64().to_be_bytes()).collect();
    let time =
        best(|| strangers.iter().filter(|key| metadata.key_filter().may_contain(&key[..])).count());
    report("key filter", strangers.len() as u64, 0, time);
}

fn merges() {
    let run = |stride: u64, count: u64| {
        let mut run = SortedRun::new();
        for number in 0..count {
            run.push(RowVersion {
                slice: SliceId(0),
                key: &(number * stride).to_be_bytes(),
                execute_at: Timestamp::new(1, stride, 0),
                content: RowContent::Row(&[]),
            });
        }
        run.merge_run(KeyShape::Word { bytes: 8 }, &Selection::All(count as usize))
    };
    for (name, runs) in [
        ("merge 1 M rows with 10 k updates", vec![run(10, 1 << 20), run(1000, 10_000)]),
        ("merge 2 x 512 k rows, interleaved", vec![run(2, 1 << 19), run(3, 1 << 19)]),
    ] {
        let rows = runs.iter().map(|run| run.len() as u64).sum();
        let time = best(|| merge_visible(&runs, Timestamp::MAX).len());
        report(name, rows, 0, time);
    }
}

fn main() {
    let mut prng = Prng::new(1);
    let types: Vec<SqlType> = COLUMNS.iter().map(|(_, sql_type)| *sql_type).collect();
    let rows: Vec<Vec<u8>> = (0..ROWS)
        .map(|number| {
            let mut bytes = Vec::new();
            encode_row(&types, &row(&mut prng, number), &mut bytes);
            bytes
        })
        .collect();
    let raw: u64 = rows.iter().map(|row| row.len() as u64).sum();
    let start = Instant::now();
    let (bytes, metadata) = build(&rows);
    report("build, 9 columns", ROWS, raw, start.elapsed());
    println!(
        "{} bytes of rows, {} of file, {} of metadata",
        raw,
        bytes.len(),
        metadata.memory_bytes().0
    );
    let start = Instant::now();
    let tail = bytes.len() - 8 * 1024 * 1024;
    let opened = sstable::open(bytes.len() as u64, &bytes[tail..]).expect("it opens");
    black_box(opened);
    report("open", ROWS, 0, start.elapsed());
    let part = std::env::args().nth(1).filter(|part| !part.starts_with('-'));
    let wanted = |name: &str| part.as_deref().is_none_or(|part| part == name);
    if wanted("columns") {
        columns(&bytes, &metadata);
    }
    if wanted("points") {
        points(&bytes, &metadata);
    }
    if wanted("merges") {
        merges();
    }
}
