//! What parsing and binding cost for the statements that pgbench and point readers send. `cargo bench -p plan`.

use functions::EvalContext;
use plan::catalog::{Catalog, SearchPath};
use plan::statement::Statement;
use std::hint::black_box;
use std::time::Instant;
use types::SchemaVersion;

const TABLES: &[&str] = &[
    "create table pgbench_accounts(aid int primary key, bid int, abalance int, filler char(84))",
    "create table pgbench_tellers(tid int primary key, bid int, tbalance int, filler char(84))",
    "create table pgbench_history(tid int, bid int, aid int, delta int, mtime timestamp, filler char(22))",
];

const STATEMENTS: &[&str] = &[
    "SELECT abalance FROM pgbench_accounts WHERE aid = 4711;",
    "SELECT abalance FROM pgbench_accounts WHERE aid = $1",
    "UPDATE pgbench_accounts SET abalance = abalance + -123 WHERE aid = 4711;",
    "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 2, 3, 4, CURRENT_TIMESTAMP);",
    "BEGIN;",
    "select bid, count(*), sum(abalance) from pgbench_accounts group by bid order by 2 desc limit 10",
];

fn main() {
    let path = SearchPath::default();
    let mut catalog = Catalog::initial();
    let mut next_id = 16_384;
    let bind = |text: &str, catalog: &Catalog| {
        let parsed = plan::parse(text).expect(text);
        let input = plan::BindInput {
            text,
            catalog,
            search_path: &path,
            context: EvalContext::PURE,
            parameters: &[],
        };
        plan::bind(&parsed[0], &input).expect(text)
    };
    for line in TABLES {
        let bound = bind(line, &catalog);
        let Statement::Ddl(ddl) = &bound.statement else { panic!("{line}") };
        let outcome = plan::ddl::changes(ddl, &catalog, &mut next_id).expect(line);
        catalog = catalog.apply(SchemaVersion(u64::from(next_id)), &outcome.changes);
    }
    const ROUNDS: u32 = 20_000;
    for text in STATEMENTS {
        let start = Instant::now();
        for _ in 0..ROUNDS {
            black_box(plan::parse(black_box(text)).expect(text));
        }
        let parsed = start.elapsed() / ROUNDS;
        let start = Instant::now();
        for _ in 0..ROUNDS {
            black_box(bind(black_box(text), &catalog));
        }
        let both = start.elapsed() / ROUNDS;
        println!(
            "parse {:>6.2} us   parse and bind {:>6.2} us   {text}",
            parsed.as_nanos() as f64 / 1e3,
            both.as_nanos() as f64 / 1e3
        );
    }
}
