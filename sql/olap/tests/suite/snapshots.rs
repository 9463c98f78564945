//! What a snapshot shows: versions, tombstones, own writes, columns that came later; and what is not read for it.

use types::{MIB, SqlType, Value};

use crate::world::{World, budget};

fn world() -> World {
    let mut world = World::new();
    world.table("t", &[("id", SqlType::Int4), ("v", SqlType::Text), ("n", SqlType::Int8)], 1);
    world
}

#[test]
fn the_newest_version_at_or_below_the_timestamp_is_seen() {
    let mut world = world();
    world.insert("t", &["1|one|1", "2|two|2", "3|three|3"]);
    world.flush("t");
    let first = world.now();
    world.insert("t", &["2|zwei|20"]);
    world.delete("t", "3|x|0");
    world.flush("t");
    let second = world.now();
    world.insert("t", &["3|drei|30", "4|vier|40"]);
    world.delete("t", "1|x|0");
    world.freeze("t");
    let rows = |at| {
        let (rows, types, _) = world.run_at("SELECT * FROM t ORDER BY id", at).expect("answers");
        crate::world::as_text(&rows, &types)
    };
    assert_eq!(rows(first), ["1|one|1", "2|two|2", "3|three|3"]);
    assert_eq!(rows(second), ["1|one|1", "2|zwei|20"]);
    assert_eq!(rows(world.now()), ["2|zwei|20", "3|drei|30", "4|vier|40"]);
    world.check("SELECT count(*), sum(n) FROM t", &["3|90"]);
    // A condition must not uncover what a newer version hides.
    world.check("SELECT id FROM t WHERE v = 'two'", &[]);
    world.check("SELECT id FROM t WHERE n < 5", &[]);
}

#[test]
fn own_writes_hide_what_was_committed() {
    let mut world = world();
    world.insert("t", &["1|one|1", "2|two|2"]);
    world.flush("t");
    world.own_write("t", "2|mine|22", true);
    world.own_write("t", "5|new|5", true);
    world.own_write("t", "1|x|0", false);
    world.check("SELECT * FROM t ORDER BY id", &["2|mine|22", "5|new|5"]);
}

#[test]
fn a_table_of_the_asking_transaction_has_only_its_own_rows() {
    let mut world = world();
    world.uncommitted("t");
    world.check("SELECT count(*) FROM t", &["0"]);
    world.own_write("t", "2|b|2", true);
    world.own_write("t", "1|a|1", true);
    world.check("SELECT * FROM t ORDER BY id", &["1|a|1", "2|b|2"]);
}

#[test]
fn rows_written_before_a_column_was_added_hold_its_missing_value() {
    let mut world = world();
    world.insert("t", &["1|one|1"]);
    world.flush("t");
    world.insert("t", &["2|two|2"]);
    world.freeze("t");
    world.add_column("t", "added", SqlType::Int4, Value::Int4(42));
    world.insert("t", &["3|three|3|NULL", "4|four|4|7"]);
    world.freeze("t");
    world.check("SELECT id, added FROM t ORDER BY id", &["1|42", "2|42", "3|NULL", "4|7"]);
    world.check("SELECT count(*) FROM t WHERE added = 42", &["2"]);
    world.check("SELECT id FROM t WHERE added IS NULL", &["3"]);
}

/// Rows of a table whose keys rise, in one file of small pages.
fn large(rows: i32) -> World {
    let mut world = World::with(budget(256 * MIB), 2);
    world.options.page_rows = 64;
    world.options.group_rows = 512;
    world.table("t", &[("id", SqlType::Int4), ("v", SqlType::Text), ("n", SqlType::Int8)], 1);
    let row = |id: i32| {
        vec![
            Value::Int4(id),
            Value::text(format!("value {}", id % 10)),
            Value::Int8(i64::from(id) * 2),
        ]
    };
    world.insert_values("t", (0..rows).map(row));
    world.flush("t");
    world
}

#[test]
fn zone_maps_skip_pages_and_a_few_fresh_rows_cost_a_few_pages() {
    let mut world = large(20_000);
    let all = world.statistics("SELECT count(*) FROM t");
    assert_eq!(all.pages_read, all.pages);
    // Keys are sorted within a slice, so a range of them lies in a page or two of each.
    let some = world.statistics("SELECT sum(n) FROM t WHERE id BETWEEN 5000 AND 5010");
    assert!(some.pages_read < all.pages_read / 2, "{some:?}");
    let none = world.statistics("SELECT v FROM t WHERE id > 1000000");
    assert_eq!((none.pages_read, none.bytes_read.0, none.files_pruned), (0, 0, 1));
    world.check("SELECT sum(n) FROM t WHERE id BETWEEN 5000 AND 5010", &["110110"]);
    world.insert("t", &["7|fresh|1000000"]);
    world.freeze("t");
    world.check("SELECT count(*), max(n) FROM t", &["20000|1000000"]);
    world.check("SELECT v FROM t WHERE id = 7", &["fresh"]);
    let fresh = world.statistics("SELECT count(*) FROM t WHERE n = 14");
    assert!(fresh.rows_read < 200 + all.rows_read / 10, "{fresh:?} beside {all:?}");
}

#[test]
fn only_the_columns_and_rows_asked_for_are_read() {
    let mut world = large(20_000);
    world.options.layout = sstable::LayoutChoice::Columns;
    let row = |id: i32| vec![Value::Int4(id), Value::text("x".repeat(200)), Value::Int8(0)];
    world.insert_values("t", (20_000..24_000).map(row));
    world.flush("t");
    let narrow = world.statistics("SELECT sum(id) FROM t WHERE id >= 20000").bytes_read.0;
    let wide = world.statistics("SELECT count(DISTINCT v) FROM t WHERE id >= 20000").bytes_read.0;
    assert!(narrow < wide, "{narrow} {wide}");
    // The second time the column chunks come from memory from the third on.
    for _ in 0..2 {
        world.statistics("SELECT sum(id), max(v) FROM t");
    }
    let cached = world.statistics("SELECT sum(id), max(v) FROM t");
    assert!(cached.bytes_read.0 < cached.bytes_cached.0, "{cached:?}");
}

#[test]
fn a_limit_reads_no_more_than_it_needs() {
    let world = large(20_000);
    let few = world.statistics("SELECT id FROM t LIMIT 3");
    assert_eq!(few.rows_returned, 3);
    assert!(few.rows_read < 4_000, "{few:?}");
}
