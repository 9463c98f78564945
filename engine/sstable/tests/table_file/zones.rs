//! Zone maps: what is skipped has no matching row, at every border of every page, and what is called matching matches.

use crate::model::{Look, Model, STORABLE, Table, value_of};
use sstable::{Comparison, Predicate, TableOptions};
use std::cmp::{Ordering, Reverse};
use types::key::{KeyOrder, append_key_column};
use types::prng::Prng;
use types::schema::KeyColumn;
use types::{SliceId, SqlType, Timestamp, Value, ValueRef};

/// Order of a type's values, blanks at the end of a `char` not counting.
fn compare(a: &Value, b: &Value) -> Ordering {
    let key = |value: &Value| {
        let mut key = Vec::new();
        append_key_column(value, KeyOrder::PRIMARY, &mut key);
        key
    };
    key(a).cmp(&key(b))
}

pub fn trimmed(sql_type: SqlType, value: &Value) -> Value {
    match value {
        Value::Text(text) if sql_type == SqlType::Bpchar => Value::text(text.trim_end_matches(' ')),
        other => other.clone(),
    }
}

fn holds(comparison: Comparison, value: &Value, literal: &Value) -> bool {
    if value.is_null() {
        return false;
    }
    let order = compare(value, literal);
    match comparison {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    }
}

const COMPARISONS: [Comparison; 6] = [
    Comparison::Equal,
    Comparison::NotEqual,
    Comparison::Less,
    Comparison::LessOrEqual,
    Comparison::Greater,
    Comparison::GreaterOrEqual,
];

fn compare_to(
    column: u16,
    comparison: Comparison,
    sql_type: SqlType,
    literal: &Value,
) -> Predicate {
    let mut vector = sstable::ColumnVector::empty(sql_type.physical());
    vector.push_value(literal);
    let literal = vector.value(sql_type, 0).expect("the type's own value");
    Predicate::compare(column, comparison, sql_type, literal)
}

#[test]
fn no_type_loses_a_row_to_its_zone_map() {
    let mut prng = Prng::new(21);
    for sql_type in STORABLE {
        for look in [Look::Any, Look::Narrow, Look::Rising, Look::Few] {
            let table = Table {
                types: vec![SqlType::Int8, sql_type],
                looks: vec![Look::Rising, look],
                nulls: vec![0, 20],
                key: vec![KeyColumn { position: 0, order: KeyOrder::PRIMARY }],
                slices: 1,
                sealed: false,
            };
            let mut model = Model::default();
            for number in 0..150 {
                let row = table.row(&mut prng, number);
                model.add_version(&mut prng, &table, SliceId(0), &row);
            }
            let options = TableOptions { page_rows: 8, group_rows: 40, ..TableOptions::default() };
            let file = model.build_with(options, &table);
            let values: Vec<Value> =
                model.rows.values().flatten().map(|row| trimmed(sql_type, &row[1])).collect();
            for _ in 0..6 {
                let literal = match prng.below(4) {
                    0 => trimmed(sql_type, &value_of(sql_type, prng.next_u64())),
                    _ => values[prng.index(values.len())].clone(),
                };
                for comparison in COMPARISONS {
                    let predicate = compare_to(1, comparison, sql_type, &literal);
                    if literal.is_null() {
                        assert_eq!(predicate, Predicate::Never);
                        continue;
                    }
                    let negated =
                        Predicate::And(vec![predicate.clone(), Predicate::IsNotNull { column: 1 }]);
                    let matches =
                        |row: &[Value]| holds(comparison, &trimmed(sql_type, &row[1]), &literal);
                    file.matching(&model, &predicate, matches);
                    file.matching(&model, &negated, matches);
                }
            }
            let nulls = Predicate::IsNull { column: 1 };
            let matches = |row: &[Value]| row[1].is_null();
            let request = sstable::ScanRequest {
                predicate: nulls,
                ..sstable::ScanRequest::everything(Timestamp::MAX)
            };
            let (_, found) = file.scan(&request).expect("an undamaged file");
            let expected = model.visible(Timestamp::MAX);
            let expected = expected.iter().filter(|(_, _, row)| matches(row)).count();
            assert_eq!(found.iter().filter(|row| matches(row)).count(), expected);
        }
    }
}

/// A column that rises by one a row: each literal lies in exactly one page, first and last rows included.
#[test]
fn a_literal_at_a_page_border_reads_one_page() {
    let table = Table {
        types: vec![SqlType::Int8, SqlType::Int4, SqlType::Text],
        looks: vec![Look::Any; 3],
        nulls: vec![0; 3],
        key: vec![KeyColumn { position: 0, order: KeyOrder::PRIMARY }],
        slices: 1,
        sealed: false,
    };
    let mut model = Model::default();
    for number in 0..96i32 {
        let text = Value::text(format!("a string longer than what a zone map keeps {number:03}"));
        let row = vec![Value::Int8(i64::from(number)), Value::Int4(number * 10), text];
        let key = (SliceId(0), table.key_of(&row), Reverse(Timestamp::new(1, 1, 1)));
        model.rows.insert(key, Some(row));
    }
    let options = TableOptions { page_rows: 8, group_rows: 32, ..TableOptions::default() };
    let file = model.build_with(options, &table);
    for number in 0..96i32 {
        let literal = Value::Int4(number * 10);
        let equal = compare_to(1, Comparison::Equal, SqlType::Int4, &literal);
        let (read, hits) = file.matching(&model, &equal, |row| row[1] == literal);
        assert_eq!((read, hits), (8, 1));
        let between = Value::Int4(number * 10 + 5);
        let equal = compare_to(1, Comparison::Equal, SqlType::Int4, &between);
        let (read, _) = file.matching(&model, &equal, |row| row[1] == between);
        assert_eq!(read, if number % 8 == 7 { 0 } else { 8 });
        let above = compare_to(1, Comparison::Greater, SqlType::Int4, &literal);
        let (read, hits) = file.matching(&model, &above, |row| compare(&row[1], &literal).is_gt());
        assert_eq!(hits, 95 - number as usize);
        assert_eq!(read, hits.div_ceil(8) * 8);
        let text = format!("a string longer than what a zone map keeps {number:03}");
        let equal = Predicate::compare(2, Comparison::Equal, SqlType::Text, ValueRef::Text(&text));
        file.matching(&model, &equal, |row| row[2] == Value::text(text.clone()));
    }
    let (read, hits) = file.matching(&model, &Predicate::prefix(2, "a string"), |_| true);
    assert_eq!((read, hits), (96, 96));
    let (read, _) = file.matching(&model, &Predicate::prefix(2, "b"), |_| false);
    assert_eq!(read, 0);
}

/// A page whose versions do not match hides an older version that does; the next page must not show it.
#[test]
fn a_skipped_page_still_hides_what_it_hides() {
    let table = Table {
        types: vec![SqlType::Int8, SqlType::Int4],
        looks: vec![Look::Any; 2],
        nulls: vec![0; 2],
        key: vec![KeyColumn { position: 0, order: KeyOrder::PRIMARY }],
        slices: 1,
        sealed: false,
    };
    let mut model = Model::default();
    for version in 0..40 {
        let row = vec![Value::Int8(5), Value::Int4(version)];
        let at = Timestamp::new(1, 100 + version as u64, 0);
        model.rows.insert((SliceId(0), table.key_of(&row), Reverse(at)), Some(row));
    }
    let options = TableOptions { page_rows: 2, group_rows: 8, ..TableOptions::default() };
    let file = model.build_with(options, &table);
    for version in 0..40 {
        let literal = Value::Int4(version);
        let equal = compare_to(1, Comparison::Equal, SqlType::Int4, &literal);
        let (_, hits) = file.matching(&model, &equal, |row| row[1] == literal);
        assert_eq!(hits, usize::from(version == 39));
        let key = table.key_of(&[Value::Int8(5), Value::Null]);
        file.check_point(&model, SliceId(0), &key, Timestamp::new(1, 100 + version as u64, 0));
    }
}
