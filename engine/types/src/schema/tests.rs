//! Schemas survive their encoded form, and addresses follow the partition key only.

use super::*;
use alloc::vec;

fn column(id: u16, name: &str, sql_type: SqlType) -> ColumnSchema {
    ColumnSchema {
        id: ColumnId(id),
        name: name.into(),
        column_type: ColumnType::plain(sql_type),
        not_null: id == 0,
        default: (id == 2).then(|| "now()".into()),
        missing: Value::Int4(i32::from(id)),
        dropped: id == 3,
        hidden: false,
        sequence: (id == 0)
            .then_some(ColumnSequence { sequence_id: TableId(9), generation: Generation::Always }),
    }
}

fn table() -> TableSchema {
    let key = |position| KeyColumn { position, order: KeyOrder::PRIMARY };
    TableSchema {
        table_id: TableId(16_384),
        storage_id: TableId(16_385),
        version: SchemaVersion(3),
        namespace: "public".into(),
        name: "t".into(),
        columns: vec![
            column(0, "a", SqlType::Int4),
            column(1, "b", SqlType::Text),
            column(2, "c", SqlType::Timestamptz),
            column(3, "gone", SqlType::Int8),
        ],
        key: vec![key(0), key(1)],
        primary_key: Some("t_pkey".into()),
        partitioning: Partitioning::Hash { columns: 1 },
        indexes: vec![IndexSchema {
            index_id: TableId(16_390),
            name: "t_b".into(),
            columns: vec![KeyColumn {
                position: 1,
                order: KeyOrder { descending: true, nulls: Nulls::First },
            }],
            state: IndexState::Public,
        }],
        checks: vec![CheckSchema { name: "t_check".into(), expression: "a > 0".into() }],
    }
}

#[test]
fn tables_round_trip_and_truncations_are_errors() {
    let table = table();
    let bytes = table.encode();
    assert_eq!(TableSchema::decode(&bytes).expect("round trip"), table);
    for end in 0..bytes.len() {
        assert!(TableSchema::decode(&bytes[..end]).is_err());
    }
    assert_eq!(table.column_position("b"), Some(1));
    assert_eq!(table.column_position("gone"), None);
}

#[test]
fn the_token_depends_on_the_partition_key_only() {
    let table = table();
    let slices = SliceCount::DEFAULT;
    let a = Value::Int4(5);
    let first = table.address(slices, &[&a, &Value::text("x")]);
    let second = table.address(slices, &[&a, &Value::text("y")]);
    assert_eq!(first.token, second.token);
    assert!(first.key < second.key);
    assert_eq!(table.index_entry_columns(&table.indexes[0]), vec![1, 0]);
}

#[test]
fn row_ids_name_their_slice() {
    let slices = SliceCount::DEFAULT;
    for slice in [0u16, 1, 40, 63] {
        let row_id = make_row_id(slices, SliceId(slice), 77);
        assert_eq!(slices.slice_of(row_id_token(row_id)), SliceId(slice));
    }
}
