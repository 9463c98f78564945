//! The views over tables, indexes and sequences that are easier to read than what they are made of.

use super::cell::{NO, NULL, Row, oid, optional_text, text};
use super::owner_name;
use super::relation::{all_indexes, virtual_kind};
use crate::catalog::{Catalog, VirtualTable};
use alloc::vec;
use alloc::vec::Vec;
use types::schema::SequenceSchema;
use types::{TableSchema, Value};

pub(super) fn pg_tables(catalog: &Catalog) -> Vec<Row> {
    let owner = owner_name(catalog);
    let row = |namespace: &str, name: &str, has_index: bool| {
        let has_index = Value::Bool(has_index);
        vec![text(namespace), text(name), text(owner), NULL, has_index, NO, NO, NO]
    };
    let own = catalog.tables().map(|table| {
        let has_index = table.primary_key.is_some() || !table.indexes.is_empty();
        row(&table.namespace, &table.name, has_index)
    });
    let computed = VirtualTable::all()
        .filter(|table| virtual_kind(*table) == 'r')
        .map(|table| row(table.schema(), table.name(), false));
    own.chain(computed).collect()
}

pub(super) fn pg_indexes(catalog: &Catalog) -> Vec<Row> {
    let row = |(table, index, name): (&TableSchema, u32, alloc::string::String)| {
        let definition = catalog.index_definition(index);
        vec![
            text(&table.namespace),
            text(&table.name),
            text(&name),
            NULL,
            optional_text(definition.as_deref()),
        ]
    };
    all_indexes(catalog).into_iter().map(row).collect()
}

/// Without `last_value`: where a sequence stands is a row of its own, not part of the catalog.
pub(super) fn pg_sequences(catalog: &Catalog) -> Vec<Row> {
    let row = |sequence: &SequenceSchema| {
        vec![
            text(&sequence.namespace),
            text(&sequence.name),
            text(owner_name(catalog)),
            oid(sequence.sql_type.oid()),
            Value::Int8(sequence.start),
            Value::Int8(sequence.minimum),
            Value::Int8(sequence.maximum),
            Value::Int8(sequence.increment),
            Value::Bool(sequence.cycle),
            Value::Int8(1),
        ]
    };
    catalog.sequences().map(|sequence| row(sequence)).collect()
}

/// Names only: nothing is counted by table yet.
pub(super) fn pg_stat_tables(catalog: &Catalog, system: bool) -> Vec<Row> {
    let own = catalog
        .tables()
        .map(|table| vec![oid(table.table_id.0), text(&table.namespace), text(&table.name)]);
    let computed = VirtualTable::all()
        .filter(|table| system && virtual_kind(*table) == 'r')
        .map(|table| vec![oid(table.oid()), text(table.schema()), text(table.name())]);
    own.chain(computed).collect()
}

/// Names only, as [`pg_stat_tables`].
pub(super) fn pg_stat_indexes(catalog: &Catalog) -> Vec<Row> {
    let row = |(table, index, name): (&TableSchema, u32, alloc::string::String)| {
        vec![
            oid(table.table_id.0),
            oid(index),
            text(&table.namespace),
            text(&table.name),
            text(&name),
        ]
    };
    all_indexes(catalog).into_iter().map(row).collect()
}
