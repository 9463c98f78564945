//! A change of the schema comes to the right next catalog: ids, versions, sequences, hidden row ids, and the work on rows.

use functions::EvalContext;
use plan::catalog::{Catalog, CatalogChange, Relation, SearchPath};
use plan::ddl::{Outcome, Work};
use plan::statement::Statement;
use std::sync::Arc;
use types::schema::{Generation, Partitioning};
use types::{SchemaVersion, TableId, TableSchema, Value};

struct Schema {
    catalog: Catalog,
    next_id: u32,
}

impl Schema {
    fn new() -> Schema {
        Schema { catalog: Catalog::initial(), next_id: 16_384 }
    }

    fn run(&mut self, text: &str) -> Outcome {
        let parsed = plan::parse(text).expect(text);
        let input = plan::BindInput {
            text,
            catalog: &self.catalog,
            search_path: &SearchPath::default(),
            context: EvalContext::PURE,
            parameters: &[],
        };
        let bound =
            plan::bind(&parsed[0], &input).unwrap_or_else(|error| panic!("{text}: {error}"));
        let Statement::Ddl(ddl) = &bound.statement else { panic!("{text}") };
        let outcome = plan::ddl::changes(ddl, &self.catalog, &mut self.next_id).expect(text);
        let version = SchemaVersion(self.catalog.version().0 + 1);
        self.catalog = self.catalog.apply(version, &outcome.changes);
        outcome
    }

    fn table(&self, name: &str) -> Arc<TableSchema> {
        match self.catalog.find(&SearchPath::default(), name) {
            Some(Relation::Table(table)) => table,
            other => panic!("{name}: {other:?}"),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.catalog.find(&SearchPath::default(), name).is_some()
    }
}

#[test]
fn tables_get_ids_keys_and_sequences() {
    let mut schema = Schema::new();
    let outcome = schema.run("create table t (id serial primary key, v text not null)");
    assert_eq!(outcome.tag, "CREATE TABLE");
    let table = schema.table("t");
    assert_eq!((table.table_id, table.storage_id), (TableId(16_384), TableId(16_384)));
    assert_eq!(table.version, SchemaVersion(1));
    assert_eq!(table.primary_key.as_deref(), Some("t_pkey"));
    assert_eq!(table.partitioning, Partitioning::Hash { columns: 1 });
    let sequence = table.columns[0].sequence.expect("serial");
    assert_eq!(sequence.generation, Generation::Serial);
    let owner = schema.catalog.sequence(sequence.sequence_id).expect("made").owned_by;
    assert_eq!(owner, Some((table.table_id, 0)));
    assert!(table.columns[0].not_null && schema.has("t_id_seq") && schema.has("t_pkey"));
    schema.run("drop table t");
    assert!(!schema.has("t") && !schema.has("t_id_seq") && !schema.has("t_pkey"));
    assert_eq!(schema.next_id, 16_386);
}

#[test]
fn a_table_without_key_has_a_row_id_until_it_gets_one() {
    let mut schema = Schema::new();
    schema.run("create table t (a int4, b text)");
    let before = schema.table("t");
    assert_eq!(before.partitioning, Partitioning::RowId);
    assert!(before.columns[2].hidden && before.key[0].position == 2);
    assert_eq!(before.visible_columns().count(), 2);
    let outcome = schema.run("alter table t add primary key (a)");
    let after = schema.table("t");
    assert_eq!(after.version, SchemaVersion(2));
    assert_ne!(after.storage_id, before.storage_id);
    assert!(after.columns[2].dropped && after.columns[0].not_null);
    let [Work::Rebuild { from, to, values, .. }, Work::Validate { not_null, .. }] =
        outcome.work.as_slice()
    else {
        panic!("{:?}", outcome.work)
    };
    assert_eq!((from.storage_id, to.storage_id), (before.storage_id, after.storage_id));
    assert!(values.is_empty() && *not_null == [0]);
    schema.run("alter table t drop constraint t_pkey");
    let again = schema.table("t");
    assert!(again.columns[3].hidden && again.primary_key.is_none() && !schema.has("t_pkey"));
}

#[test]
fn partition_keys_are_prefixes_or_nothing() {
    let mut schema = Schema::new();
    schema.run("create table a (x int4, y int4, z int4, primary key (x, y, z)) with (partition_key = '(x, y)')");
    assert_eq!(schema.table("a").partitioning, Partitioning::Hash { columns: 2 });
    schema.run("create table b (x int4 primary key) with (partition_key = '')");
    assert_eq!(schema.table("b").partitioning, Partitioning::Ordered);
}

#[test]
fn columns_come_and_go() {
    let mut schema = Schema::new();
    schema.run("create table t (id int4 primary key, a int4 check (a > 0))");
    schema.run("create index t_a on t (a)");
    let outcome = schema.run("alter table t add column b text not null default 'x'");
    assert!(outcome.work.is_empty(), "instant");
    assert_eq!(schema.table("t").columns[2].missing, Value::text("x"));
    let outcome = schema.run("alter table t add column c serial");
    assert!(matches!(outcome.work.as_slice(), [Work::Rebuild { values, .. }] if values.len() == 1));
    assert!(schema.has("t_c_seq"));
    let storage = schema.table("t").storage_id;
    let outcome = schema.run("alter table t add column d float8 default random()");
    assert!(matches!(outcome.work.as_slice(), [Work::Rebuild { .. }]));
    assert_ne!(schema.table("t").storage_id, storage);
    schema.run("alter table t drop column a, drop column c");
    let table = schema.table("t");
    assert!(table.columns[1].dropped && table.checks.is_empty() && table.indexes.is_empty());
    assert!(!schema.has("t_c_seq") && !schema.has("t_a"));
    schema.run("alter table t rename column b to bb, rename to tt");
    assert_eq!(schema.table("tt").column_position("bb"), Some(2));
    assert!(!schema.has("t") && schema.has("t_pkey"));
}

#[test]
fn truncate_gives_new_places() {
    let mut schema = Schema::new();
    schema.run("create table t (id int4 generated always as identity primary key, a int4)");
    schema.run("create index t_a on t (a)");
    let before = schema.table("t");
    let outcome = schema.run("truncate t restart identity");
    let after = schema.table("t");
    assert_eq!(outcome.tag, "TRUNCATE TABLE");
    assert_eq!(outcome.restarted.len(), 1);
    assert_ne!(before.storage_id, after.storage_id);
    assert_ne!(before.indexes[0].index_id, after.indexes[0].index_id);
    assert_eq!((after.table_id, after.version.0), (before.table_id, before.version.0 + 1));
}

#[test]
fn indexes_are_filled_and_dropped() {
    let mut schema = Schema::new();
    schema.run("create table t (id int4 primary key, a int4, b text)");
    let outcome = schema.run("create index on t (a desc, b)");
    assert!(matches!(outcome.work.as_slice(), [Work::FillIndex { .. }]));
    assert!(schema.has("t_a_b_idx"));
    schema.run("create index on t (a desc, b)");
    assert!(schema.has("t_a_b_idx1"));
    schema.run("drop index t_a_b_idx, t_a_b_idx1");
    assert!(schema.table("t").indexes.is_empty());
}

#[test]
fn what_exists_is_left_alone() {
    let mut schema = Schema::new();
    schema.run("create table t (id int4 primary key)");
    for text in [
        "create table if not exists t (z int4)",
        "drop table if exists nope",
        "alter table if exists nope add column x int4",
        "alter table t set (fillfactor = 50)",
        "create schema if not exists public",
    ] {
        let outcome = schema.run(text);
        assert!(outcome.changes.is_empty() && outcome.work.is_empty(), "{text}");
    }
    assert_eq!(schema.table("t").version, SchemaVersion(1));
    schema.run("create schema app");
    schema.run("create table app.u (id serial)");
    let outcome = schema.run("drop schema app cascade");
    let sequences = outcome
        .changes
        .iter()
        .filter(|change| matches!(change, CatalogChange::DropSequence(_)))
        .count();
    assert_eq!((outcome.changes.len(), sequences), (3, 1));
    assert!(schema.catalog.schema_oid("app").is_none());
}
