//! The rows of a catalog with every kind of thing in it, beside those that PostgreSQL 15 gave for the same schema (`tests/catalog_rows`).

use super::catalog_rows;
use crate::catalog::{Catalog, CatalogChange, Relation, Role, VirtualSource, VirtualTable};
use std::collections::BTreeSet;
use std::format;
use std::string::{String, ToString};
use std::sync::Arc;
use std::vec::Vec;
use types::key::{KeyOrder, Nulls};
use types::schema::{
    CheckSchema, ColumnSequence, Generation, IndexState, KeyColumn, Partitioning, SequenceSchema,
};
use types::text_format::append_text;
use types::{
    ColumnId, ColumnSchema, ColumnType, IndexSchema, SchemaVersion, SqlType, TableId, TableSchema,
    TextSettings, Value,
};

const ACCOUNTS: TableId = TableId(16_390);
const ACCOUNTS_OWNER: TableId = TableId(16_391);
const LOG: TableId = TableId(16_392);
const ITEMS: TableId = TableId(16_394);
const ITEMS_SEQUENCE: TableId = TableId(16_395);
const ORDERS: TableId = TableId(16_397);
const ORDERS_SEQUENCE: TableId = TableId(16_398);
const TICKETS: TableId = TableId(16_399);

fn column(id: u16, name: &str, column_type: ColumnType) -> ColumnSchema {
    ColumnSchema {
        id: ColumnId(id),
        name: name.into(),
        column_type,
        not_null: false,
        default: None,
        missing: Value::Null,
        dropped: false,
        hidden: false,
        sequence: None,
    }
}

fn plain(id: u16, name: &str, sql_type: SqlType) -> ColumnSchema {
    column(id, name, ColumnType::plain(sql_type))
}

fn not_null(mut column: ColumnSchema) -> ColumnSchema {
    column.not_null = true;
    column
}

fn with_default(mut column: ColumnSchema, text: &str) -> ColumnSchema {
    column.default = Some(text.into());
    column
}

fn fed_by(column: ColumnSchema, sequence_id: TableId, generation: Generation) -> ColumnSchema {
    let mut column = not_null(column);
    column.sequence = Some(ColumnSequence { sequence_id, generation });
    column
}

fn key(position: u16) -> KeyColumn {
    KeyColumn { position, order: KeyOrder { descending: false, nulls: Nulls::Never } }
}

fn table(
    table_id: TableId,
    (namespace, name): (&str, &str),
    columns: Vec<ColumnSchema>,
    positions: &[u16],
) -> TableSchema {
    TableSchema {
        table_id,
        storage_id: table_id,
        version: SchemaVersion(1),
        namespace: namespace.into(),
        name: name.into(),
        columns,
        key: positions.iter().map(|position| key(*position)).collect(),
        primary_key: Some(format!("{name}_pkey").into()),
        partitioning: Partitioning::Hash { columns: 1 },
        indexes: Vec::new(),
        checks: Vec::new(),
    }
}

fn accounts() -> TableSchema {
    let mut gone = plain(4, "gone", SqlType::Int4);
    gone.dropped = true;
    let varchar = ColumnType { sql_type: SqlType::Varchar, modifier: 24 };
    let columns = Vec::from([
        not_null(plain(0, "id", SqlType::Int8)),
        not_null(column(1, "owner", varchar)),
        with_default(column(2, "balance", ColumnType::numeric(10, 2)), "0"),
        plain(3, "note", SqlType::Text),
        gone,
        with_default(plain(5, "opened", SqlType::Timestamptz), "now()"),
    ]);
    let mut table = table(ACCOUNTS, ("public", "accounts"), columns, &[0]);
    let descending = KeyOrder { descending: true, nulls: Nulls::First };
    table.indexes.push(IndexSchema {
        index_id: ACCOUNTS_OWNER,
        name: "accounts_owner_idx".into(),
        columns: Vec::from([key(1), KeyColumn { position: 2, order: descending }]),
        state: IndexState::Public,
    });
    table.checks.push(CheckSchema {
        name: "accounts_balance_check".into(),
        expression: "balance >= 0".into(),
    });
    table
}

fn log() -> TableSchema {
    let mut row_id = not_null(plain(3, "", SqlType::Int8));
    row_id.hidden = true;
    let char_3 = ColumnType { sql_type: SqlType::Bpchar, modifier: 7 };
    let columns = Vec::from([
        plain(0, "at", SqlType::Timestamp),
        plain(1, "line", SqlType::Text),
        column(2, "code", char_3),
        row_id,
    ]);
    let mut table = table(LOG, ("public", "log"), columns, &[3]);
    table.primary_key = None;
    table.partitioning = Partitioning::RowId;
    table
}

fn items() -> TableSchema {
    let columns = Vec::from([
        fed_by(plain(0, "id", SqlType::Int4), ITEMS_SEQUENCE, Generation::Serial),
        not_null(plain(1, "kind", SqlType::Int4)),
        plain(2, "name", SqlType::Text),
    ]);
    table(ITEMS, ("public", "items"), columns, &[1, 0])
}

fn orders() -> TableSchema {
    let columns = Vec::from([
        fed_by(plain(0, "id", SqlType::Int4), ORDERS_SEQUENCE, Generation::Always),
        plain(1, "ref", SqlType::Uuid),
        with_default(not_null(plain(2, "paid", SqlType::Bool)), "false"),
        plain(3, "data", SqlType::Bytea),
        plain(4, "w", SqlType::Float8),
        plain(5, "r", SqlType::Float4),
        plain(6, "s", SqlType::Int2),
        plain(7, "d", SqlType::Date),
        plain(8, "i", SqlType::Interval),
    ]);
    table(ORDERS, ("shop", "orders"), columns, &[0])
}

fn sequence(
    id: TableId,
    (namespace, name): (&str, &str),
    owner: Option<TableId>,
) -> SequenceSchema {
    SequenceSchema {
        sequence_id: id,
        version: SchemaVersion(1),
        namespace: namespace.into(),
        name: name.into(),
        sql_type: SqlType::Int4,
        start: 1,
        increment: 1,
        minimum: 1,
        maximum: i64::from(i32::MAX),
        cycle: false,
        owned_by: owner.map(|table| (table, 0)),
    }
}

/// The schema of `tests/catalog_rows/schema.sql`.
fn catalog() -> Catalog {
    let tickets = SequenceSchema {
        sql_type: SqlType::Int2,
        start: 5,
        increment: 5,
        maximum: 1000,
        cycle: true,
        ..sequence(TICKETS, ("shop", "tickets"), None)
    };
    let role = Role {
        oid: 10,
        name: "ringfence".into(),
        superuser: true,
        login: true,
        verifier: Some("secret".into()),
    };
    let items_sequence = sequence(ITEMS_SEQUENCE, ("public", "items_id_seq"), Some(ITEMS));
    let orders_sequence = sequence(ORDERS_SEQUENCE, ("shop", "orders_id_seq"), Some(ORDERS));
    let mut changes = Vec::from([
        CatalogChange::PutSchema { name: "shop".into(), oid: 16_396 },
        CatalogChange::PutRole(role),
    ]);
    for table in [accounts(), log(), items(), orders()] {
        changes.push(CatalogChange::PutTable(Arc::new(table)));
    }
    for sequence in [items_sequence, orders_sequence, tickets] {
        changes.push(CatalogChange::PutSequence(Arc::new(sequence)));
    }
    Catalog::initial().apply(SchemaVersion(1), &changes)
}

fn virtual_table(name: &str) -> VirtualTable {
    VirtualTable::all().find(|table| table.name() == name).expect("a computed table")
}

/// Columns that the fixture shows as `regclass`.
const RELATIONS: &[&str] = &[
    "attrelid",
    "indexrelid",
    "indrelid",
    "conrelid",
    "conindid",
    "confrelid",
    "adrelid",
    "seqrelid",
    "typrelid",
    "objid",
    "refobjid",
];

fn relation_text(catalog: &Catalog, oid: u32) -> String {
    if oid == 0 {
        return "-".to_string();
    }
    match catalog.relation_by_oid(oid).as_ref().map(Relation::name) {
        Some(("public", name)) => name.to_string(),
        Some((namespace, name)) => format!("{namespace}.{name}"),
        None => oid.to_string(),
    }
}

fn is_relation(table: &str, column: &str) -> bool {
    RELATIONS.contains(&column) || (table, column) == ("pg_class", "oid")
}

fn cell_text(catalog: &Catalog, table: VirtualTable, position: usize, value: &Value) -> String {
    let column = table.columns()[position];
    match value {
        Value::Null => return "\\N".to_string(),
        Value::Oid(oid) if column.sql_type == SqlType::Regproc => return oid.to_string(),
        Value::Oid(oid) if is_relation(table.name(), column.name) => {
            return relation_text(catalog, *oid);
        }
        Value::Oid(oid) if column.name.ends_with("namespace") => {
            let mut schemas = catalog.schemas();
            let found = schemas.find(|(_, schema)| schema == oid).expect("a schema");
            return found.0.to_string();
        }
        _ => {}
    }
    let mut bytes = Vec::new();
    append_text(value, column.sql_type, &TextSettings::DEFAULT, &mut bytes);
    String::from_utf8(bytes).expect("text")
}

/// Whether a row is of the sample's own relations, as far as it is of any.
fn is_own(catalog: &Catalog, table: VirtualTable, row: &[Value]) -> bool {
    let cells = row.iter().zip(table.columns());
    cells.into_iter().all(|(value, column)| match (value, column.name) {
        (Value::Text(name), "schemaname" | "table_schema" | "sequence_schema") => {
            matches!(&**name, "public" | "shop")
        }
        (Value::Oid(oid), name) if is_relation(table.name(), name) => {
            !matches!(catalog.relation_by_oid(*oid), Some(Relation::Virtual(_)))
        }
        // Only what ties relations to relations is recorded.
        (Value::Oid(oid), "classid" | "refclassid") => *oid == 1259,
        _ => true,
    })
}

/// The lines of a table as the fixture has them.
fn lines(catalog: &Catalog, table: &str, columns: &[&str]) -> BTreeSet<String> {
    let table = virtual_table(table);
    let position = |name: &&str| {
        table.columns().iter().position(|column| column.name == *name).expect("a column")
    };
    let positions: Vec<usize> = columns.iter().map(position).collect();
    let mut lines = BTreeSet::new();
    for row in catalog_rows(table, catalog) {
        if is_own(catalog, table, &row) {
            let cells: Vec<String> =
                positions.iter().map(|at| cell_text(catalog, table, *at, &row[*at])).collect();
            lines.insert(cells.join("|"));
        }
    }
    lines
}

#[test]
fn rows_are_those_of_postgresql() {
    let catalog = catalog();
    let recorded = include_str!("../../../tests/catalog_rows/expected.txt");
    let mut sections: Vec<(&str, BTreeSet<String>)> = Vec::new();
    for line in recorded.lines() {
        if line.contains('|') {
            sections.last_mut().expect("a heading comes first").1.insert(line.to_string());
        } else {
            sections.push((line, BTreeSet::new()));
        }
    }
    assert!(sections.len() > 15);
    for (heading, expected) in sections {
        let (table, columns) = heading.split_once(' ').expect("a table and its columns");
        let columns: Vec<&str> = columns.split(' ').collect();
        let found = lines(&catalog, table, &columns);
        let missing: Vec<_> = expected.difference(&found).collect();
        let extra: Vec<_> = found.difference(&expected).collect();
        assert!(missing.is_empty() && extra.is_empty(), "{table}: {missing:#?} became {extra:#?}");
    }
}

fn agrees(value: &Value, sql_type: SqlType) -> bool {
    use SqlType as T;
    match value {
        Value::Null => true,
        Value::Bool(_) => sql_type == T::Bool,
        Value::Int2(_) => sql_type == T::Int2,
        Value::Int4(_) => sql_type == T::Int4,
        Value::Int8(_) => sql_type == T::Int8,
        Value::Float4(_) => sql_type == T::Float4,
        Value::Oid(_) => matches!(sql_type, T::Oid | T::Regproc | T::Regclass | T::Regtype),
        Value::Text(_) => matches!(sql_type, T::Text | T::Varchar | T::Name | T::Char),
        Value::Array(elements) => sql_type
            .element()
            .is_some_and(|element| elements.iter().all(|value| agrees(value, element))),
        _ => false,
    }
}

/// Tables of things that do not exist here.
const EMPTY: &[&str] = &[
    "pg_auth_members",
    "pg_available_extensions",
    "pg_conversion",
    "pg_db_role_setting",
    "pg_default_acl",
    "pg_description",
    "pg_enum",
    "pg_event_trigger",
    "pg_extension",
    "pg_foreign_data_wrapper",
    "pg_foreign_server",
    "pg_foreign_table",
    "pg_group",
    "pg_inherits",
    "pg_init_privs",
    "pg_largeobject_metadata",
    "pg_matviews",
    "pg_parameter_acl",
    "pg_partitioned_table",
    "pg_policies",
    "pg_policy",
    "pg_publication",
    "pg_publication_namespace",
    "pg_publication_rel",
    "pg_publication_tables",
    "pg_range",
    "pg_rewrite",
    "pg_rules",
    "pg_seclabel",
    "pg_seclabels",
    "pg_shdepend",
    "pg_shdescription",
    "pg_shseclabel",
    "pg_statistic_ext",
    "pg_stats",
    "pg_subscription",
    "pg_transform",
    "pg_trigger",
    "pg_ts_config",
    "pg_ts_config_map",
    "pg_ts_dict",
    "pg_ts_parser",
    "pg_ts_template",
    "pg_user_mapping",
    "pg_user_mappings",
    "pg_views",
    "referential_constraints",
    "views",
];

#[test]
fn every_row_fits_its_table() {
    let catalog = catalog();
    for table in VirtualTable::all() {
        let rows = catalog_rows(table, &catalog);
        let is_empty = table.source() == VirtualSource::Session || EMPTY.contains(&table.name());
        assert_eq!(rows.is_empty(), is_empty, "{}", table.name());
        for row in rows {
            assert_eq!(row.len(), table.columns().len(), "{}", table.name());
            for (value, column) in row.iter().zip(table.columns()) {
                let fits = agrees(value, column.sql_type);
                assert!(fits, "{}.{}: {value:?}", table.name(), column.name);
            }
        }
    }
}

#[test]
fn oids_are_found_and_unique() {
    let mut seen = BTreeSet::new();
    let mut last = 0;
    for table in VirtualTable::all() {
        assert!(table.oid() > last, "{} is out of order", table.name());
        last = table.oid();
        assert_eq!(VirtualTable::from_oid(table.oid()), Some(table));
    }
    let catalog = catalog();
    for table in ["pg_class", "pg_constraint", "pg_attrdef", "pg_proc", "pg_operator", "pg_type"] {
        seen.clear();
        for row in catalog_rows(virtual_table(table), &catalog) {
            let Value::Oid(oid) = row[0] else { panic!("an oid comes first") };
            assert!(seen.insert(oid), "{table} has {oid} twice");
        }
    }
}

#[test]
fn definitions_are_texts() {
    let catalog = catalog();
    let texts: Vec<String> = catalog_rows(virtual_table("pg_constraint"), &catalog)
        .iter()
        .map(|row| {
            let Value::Oid(oid) = row[0] else { panic!("an oid comes first") };
            catalog.constraint(oid).expect("a constraint")
        })
        .collect();
    assert_eq!(
        texts,
        [
            "PRIMARY KEY (id)",
            "CHECK ((balance >= 0))",
            "PRIMARY KEY (kind, id)",
            "PRIMARY KEY (id)"
        ]
    );
    assert_eq!(catalog.constraint(1), None);
    let defaults: Vec<Value> = catalog_rows(virtual_table("pg_attrdef"), &catalog)
        .into_iter()
        .map(|mut row| row.remove(3))
        .collect();
    let defaults: Vec<&str> = defaults
        .iter()
        .map(|value| if let Value::Text(text) = value { &**text } else { "" })
        .collect();
    assert_eq!(defaults, ["0", "now()", "nextval('items_id_seq'::regclass)", "false"]);
}

#[test]
fn verifiers_stay_inside() {
    let catalog = catalog();
    for table in VirtualTable::all() {
        let printed = format!("{:?}", catalog_rows(table, &catalog));
        assert!(!printed.contains("secret"), "{}", table.name());
    }
}
