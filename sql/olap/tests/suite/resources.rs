//! Budgets, spilling, cancelling, queues.

use olap::{AnalyticsError, ErrorKind, QueryBudget};
use types::{ByteCount, MIB, SqlType, Value};

use crate::world::{World, budget};

/// A table of `rows` rows with as many distinct texts.
fn wide(world: &mut World, rows: i64) {
    world.options.page_rows = 1024;
    world.options.group_rows = 16 * 1024;
    world.table("t", &[("id", SqlType::Int8), ("v", SqlType::Text), ("g", SqlType::Int4)], 1);
    let row = |id: i64| {
        vec![
            Value::Int8(id),
            Value::text(format!("a text that is not inlined {id}")),
            Value::Int4((id % 1000) as i32),
        ]
    };
    world.insert_values("t", (0..rows).map(row));
    world.flush("t");
}

const ROWS: i64 = 400_000;

#[test]
fn groupings_and_sorts_larger_than_the_budget_spill() {
    let memory = 48 * MIB;
    let mut world = World::with(budget(memory), 2);
    wide(&mut world, ROWS);
    let grouping = "SELECT count(*), sum(n) FROM (SELECT v, count(*) AS n FROM t GROUP BY v) s";
    world.check(grouping, &["400000|400000"]);
    let peak = world.statistics(grouping).peak_memory.0;
    // Buffers that are counted only after they were made may exceed the budget by a little.
    assert!(peak <= memory + memory / 4, "{peak}");
    world.check("SELECT id FROM t ORDER BY v DESC, id LIMIT 1", &["99999"]);
    world.check(
        "SELECT count(*) FROM (SELECT v, lag(id) OVER (PARTITION BY g ORDER BY v) AS b FROM t) s WHERE b IS NULL",
        &["1000"],
    );
    world.check(
        "SELECT count(DISTINCT v), max(v) FROM t",
        &["400000|a text that is not inlined 99999"],
    );
    world.check(
        "SELECT g, count(DISTINCT v), count(*) FROM t GROUP BY g ORDER BY g LIMIT 2",
        &["0|400|400", "1|400|400"],
    );
}

#[test]
fn joins_larger_than_the_budget_are_sorted() {
    let mut world = World::with(budget(48 * MIB), 2);
    wide(&mut world, ROWS);
    world.check("SELECT count(*) FROM t a JOIN t b ON a.v = b.v", &["400000"]);
}

#[test]
fn what_can_neither_stay_nor_spill_is_out_of_memory() {
    let tight =
        QueryBudget { memory: ByteCount(2 * MIB), spill_directory: None, spill: ByteCount(0) };
    let mut world = World::with(tight, 1);
    wide(&mut world, ROWS);
    world.check_error("SELECT v, count(*) FROM t GROUP BY v ORDER BY v", "53200");
    world.check_error("SELECT array_agg(v) FROM t", "53200");
    // The next query has its whole share again.
    world.check("SELECT count(*) FROM t", &["400000"]);
}

#[test]
fn a_cancelled_query_says_so_and_its_place_is_free() {
    let mut world = World::new();
    wide(&mut world, 1_000);
    let endless = "SELECT count(*) FROM generate_series(1, 9000000000000000000) g, t";
    let (running, outcome) = world.begin(endless);
    let running = running.expect("begun");
    running.cancel();
    match outcome.recv().expect("a cancelled query ends") {
        Err(AnalyticsError::Cancelled) => {}
        other => panic!("{other:?}"),
    }
    // Dropping the handle cancels as well.
    let (running, outcome) = world.begin(endless);
    drop(running);
    assert!(outcome.recv().expect("a dropped query ends").is_err());
    world.check("SELECT count(*) FROM t", &["1000"]);
}

#[test]
fn too_many_queries_are_refused() {
    let mut world = World::new();
    wide(&mut world, 1_000);
    let endless = "SELECT count(*) FROM generate_series(1, 9000000000000000000) g, t";
    let mut begun = Vec::new();
    // Two run, four wait.
    for _ in 0..6 {
        let (running, outcome) = world.begin(endless);
        begun.push((running.expect("there is a place"), outcome));
    }
    let (refused, _) = world.begin(endless);
    let error = refused.expect_err("no place is left");
    assert_eq!(error.sqlstate().as_str(), "53000");
    assert_eq!(error.kind(), ErrorKind::Resources);
    for (running, _) in &begun {
        running.cancel();
    }
    for (_, outcome) in begun {
        assert!(outcome.recv().expect("a cancelled query ends").is_err());
    }
    world.check("SELECT count(*) FROM t", &["1000"]);
}
