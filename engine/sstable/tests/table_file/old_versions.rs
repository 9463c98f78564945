//! Files that earlier programs wrote stay readable. Each format has one, with every type, several versions, tombstones and both layouts.
//!
//! The contents are spelled out here, apart from the random tables, so that nothing but a change of format can break this.

use crate::model::{File, Look, Model, STORABLE, Table, open_bytes};
use sstable::{LayoutChoice, TableOptions};
use std::cmp::Reverse;
use types::key::KeyOrder;
use types::schema::KeyColumn;
use types::{Interval, Numeric, SliceId, SqlType, Timestamp, Value};

fn table() -> Table {
    let mut types = vec![SqlType::Int8];
    types.extend(STORABLE);
    let columns = types.len();
    Table {
        types,
        looks: vec![Look::Any; columns],
        nulls: vec![0; columns],
        key: vec![
            KeyColumn { position: 0, order: KeyOrder::PRIMARY },
            KeyColumn { position: 8, order: KeyOrder { descending: true, ..KeyOrder::PRIMARY } },
        ],
        slices: 4,
        sealed: false,
    }
}

fn value(sql_type: SqlType, number: i64) -> Value {
    if number % 9 == 4 && sql_type != SqlType::Text {
        return Value::Null;
    }
    match sql_type {
        SqlType::Bool => Value::Bool(number % 3 == 0),
        SqlType::Int2 => Value::Int2((number / 25) as i16),
        SqlType::Int4 => Value::Int4(7),
        SqlType::Int8 => Value::Int8(number * 1_000_003),
        SqlType::Float4 => Value::Float4(number as f32 / 3.0),
        SqlType::Float8 => Value::Float8([0.5, 1e300, -7.25][number as usize % 3]),
        SqlType::Numeric => Value::Numeric(Box::new(Numeric::from_parts(
            number % 2 == 1,
            0,
            2,
            vec![number as i16 + 1, 2500],
        ))),
        SqlType::Text => Value::text(format!("row {number} of a file that must stay readable")),
        SqlType::Varchar => Value::text(["red", "green", "blue"][number as usize % 3]),
        SqlType::Bpchar => Value::text(format!("{:<8}", number % 5)),
        SqlType::Bytea => Value::Bytea(vec![number as u8; number as usize % 4].into()),
        SqlType::Date => Value::Date(8_000 + number as i32),
        SqlType::Timestamp => Value::Timestamp(700_000_000_000_000 + number * 1_000_000),
        SqlType::Timestamptz => {
            Value::Timestamptz(if number % 50 == 0 { i64::MAX } else { number })
        }
        SqlType::Interval => {
            Value::Interval(Interval { months: number as i32, days: 1, micros: 5 })
        }
        SqlType::Uuid => Value::Uuid([number as u8; 16]),
        other => panic!("{other:?} is not in the file"),
    }
}

fn contents(table: &Table) -> Model {
    let mut model = Model::default();
    for number in 0..200i64 {
        let mut row = vec![Value::Int8(number / 2)];
        row.extend(STORABLE.iter().map(|sql_type| value(*sql_type, number)));
        let slice = SliceId((number / 50) as u16);
        let key = table.key_of(&row);
        let at = |hlc| Reverse(Timestamp::new(1, 1_700_000_000_000_000 + hlc, 256));
        model.rows.insert((slice, key.clone(), at(number as u64)), Some(row.clone()));
        if number % 10 == 3 {
            model.rows.insert((slice, key.clone(), at(1_000 + number as u64)), None);
        }
        if number == 120 {
            for version in 0..60 {
                row[3] = Value::Int4(version);
                model
                    .rows
                    .insert((slice, key.clone(), at(2_000 + version as u64)), Some(row.clone()));
            }
        }
    }
    model
}

const FORMAT_1: &[u8] = include_bytes!("../files/format_1.rftabl");

#[test]
fn format_1_is_readable() {
    let table = table();
    let model = contents(&table);
    let metadata = open_bytes(FORMAT_1, 300).expect("a file of format 1");
    let file = File { table, bytes: FORMAT_1.to_vec(), metadata, published_at: None };
    file.check_rows(&model);
    for (slice, key, Reverse(at)) in model.rows.keys() {
        file.check_point(&model, *slice, key, *at);
        file.check_point(&model, *slice, key, Timestamp::MAX);
    }
    let mut prng = types::prng::Prng::new(1);
    file.check_scans(&mut prng, &model);
}

/// A new format needs a file of its own here. With `RINGFENCE_WRITE_FORMAT_FILE` set to a path, this writes it.
#[test]
fn the_format_of_today_has_a_file() {
    assert_eq!(sstable::FORMAT_VERSION, 1, "a file for every format");
    let table = table();
    let options = TableOptions {
        page_rows: 20,
        group_rows: 100,
        layout: LayoutChoice::ByWidth { point_read_bytes: 1_600 },
        ..TableOptions::default()
    };
    let file = contents(&table).build_with(options, &table);
    file.check_rows(&contents(&table));
    if let Some(path) = std::env::var_os("RINGFENCE_WRITE_FORMAT_FILE") {
        std::fs::write(path, &file.bytes).expect("the file is written");
    }
}
