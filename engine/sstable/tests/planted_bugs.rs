//! Every planted bug of this crate is found by a check that passes without it.
//!
//! In the normal build the checks run without a bug; with `--cfg mutants` each bug is made live in turn and its check must fail. The number of the live bug is
//! global, so there is one test.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "table_file/model.rs"]
mod model;

use model::{Look, Model, Table};
use sstable::{
    Comparison, GarbageRule, KeyShape, Predicate, RowContent, RowVersion, Selection, SortedRun,
    TableOptions, merge_visible,
};
use std::cmp::Reverse;
use types::key::KeyOrder;
use types::mutants::Mutant;
use types::schema::KeyColumn;
use types::{SliceId, SqlType, Timestamp, Value, ValueRef};

fn table() -> Table {
    Table {
        types: vec![SqlType::Int8, SqlType::Int4],
        looks: vec![Look::Any; 2],
        nulls: vec![0; 2],
        key: vec![KeyColumn { position: 0, order: KeyOrder::PRIMARY }],
        slices: 1,
        sealed: false,
    }
}

/// Rows 0 to 99, column = ten times the key, `versions` of each.
fn rows(table: &Table, versions: u64) -> Model {
    let mut model = Model::default();
    for number in 0..100 {
        for version in 1..=versions {
            let row = vec![Value::Int8(number), Value::Int4(number as i32 * 10)];
            let at = Timestamp::new(1, version, 0);
            model.rows.insert((SliceId(0), table.key_of(&row), Reverse(at)), Some(row));
        }
    }
    model
}

fn options() -> TableOptions {
    TableOptions { page_rows: 10, group_rows: 30, ..TableOptions::default() }
}

fn every_key_is_found() {
    let table = table();
    let model = rows(&table, 1);
    let file = model.build_with(options(), &table);
    for (slice, key, _) in model.rows.keys() {
        file.check_point(&model, *slice, key, Timestamp::MAX);
    }
}

fn every_value_is_found() {
    let table = table();
    let model = rows(&table, 1);
    let file = model.build_with(options(), &table);
    for number in 0..100 {
        let literal = ValueRef::Int4(number * 10);
        let predicate = Predicate::compare(1, Comparison::Equal, SqlType::Int4, literal);
        file.matching(&model, &predicate, |row| row[1] == Value::Int4(number * 10));
    }
}

fn every_version_is_found() {
    let table = table();
    let model = rows(&table, 5);
    let file = model.build_with(options(), &table);
    for (slice, key, Reverse(at)) in model.rows.keys() {
        file.check_point(&model, *slice, key, *at);
    }
}

fn a_merge_sees_the_past() {
    let run = |hlc| {
        let mut run = SortedRun::new();
        let execute_at = Timestamp::new(1, hlc, 0);
        let content = RowContent::Row(&[]);
        run.push(RowVersion { slice: SliceId(0), key: &[7; 8], execute_at, content });
        run.merge_run(KeyShape::Word { bytes: 8 }, &Selection::All(1))
    };
    let spans = merge_visible(&[run(9), run(3)], Timestamp::new(1, 5, 0));
    assert_eq!(spans.iter().map(|span| span.run).collect::<Vec<_>>(), [1]);
}

fn a_tombstone_outlives_what_it_hides() {
    let mut rule = GarbageRule::new(Timestamp::new(1, 10, 0));
    assert!(rule.keeps(false, Timestamp::new(1, 4, 0), true, || true));
}

const CHECKS: [(Mutant, fn()); 5] = [
    (sstable::MUTANT_FILTER_WITHOUT_LAST_KEY, every_key_is_found),
    (sstable::MUTANT_ZONE_OFF_BY_ONE, every_value_is_found),
    (sstable::MUTANT_POINT_STOPS_AT_FIRST_VERSION, every_version_is_found),
    (sstable::MUTANT_MERGE_IGNORES_TIMESTAMP, a_merge_sees_the_past),
    (sstable::MUTANT_TOMBSTONE_DROPPED_EARLY, a_tombstone_outlives_what_it_hides),
];

#[test]
fn planted_bugs_are_found_and_nothing_else_is() {
    for (mutant, check) in CHECKS {
        check();
        #[cfg(mutants)]
        {
            types::mutants::set_live(mutant.0);
            let outcome = std::panic::catch_unwind(check);
            types::mutants::set_live(0);
            assert!(outcome.is_err(), "planted bug {} was not found", mutant.0);
        }
        #[cfg(not(mutants))]
        assert!(!types::mutants::live(mutant));
    }
    #[cfg(mutants)]
    println!("count: {} of {0} planted bugs of sstable found", CHECKS.len());
}
