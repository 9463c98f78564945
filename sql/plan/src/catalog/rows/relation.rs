//! Tables, indexes and sequences: `pg_class` and what hangs on it.

use super::super::definition::{
    Constraint, ConstraintKind, column_number, key_numbers, nulls_first, quote_identifier,
};
use super::cell::{
    NO, NONE, NULL, Row, YES, char, int2, int2_array, oid, oid_array, text, text_array,
};
use super::{BTREE_OID, HEAP_OID, owner, routine, schema_oid, type_table};
use crate::catalog::{Catalog, VirtualTable, primary_index_oid};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use types::schema::{Generation, IndexState, KeyColumn, Partitioning, SequenceSchema};
use types::text_format::append_text;
use types::{ColumnSchema, ColumnType, SqlType, TableSchema, TextSettings, Value};

/// OIDs of the catalog's own tables, for `pg_depend`.
const PG_CLASS: u32 = 1259;
const PG_ATTRDEF: u32 = 2604;
const PG_CONSTRAINT: u32 = 2606;
const PG_NAMESPACE: u32 = 2615;

/// What differs between rows of `pg_class`.
struct Class<'a> {
    oid: u32,
    name: &'a str,
    namespace: &'a str,
    access_method: u32,
    file: u32,
    has_index: bool,
    is_shared: bool,
    kind: char,
    columns: usize,
    checks: usize,
    replica_identity: char,
    options: Value,
}

impl Class<'_> {
    fn row(self, catalog: &Catalog, owner: u32) -> Row {
        vec![
            oid(self.oid),
            text(self.name),
            oid(schema_oid(catalog, self.namespace)),
            NONE, // reltype: rows of tables are no type of their own
            NONE,
            oid(owner),
            oid(self.access_method),
            oid(self.file),
            NONE,
            Value::Int4(0),
            Value::Float4(-1.0), // reltuples: not known
            Value::Int4(0),
            NONE,
            Value::Bool(self.has_index),
            Value::Bool(self.is_shared),
            char('p'),
            char(self.kind),
            int2(self.columns),
            int2(self.checks),
            NO,
            NO,
            NO,
            NO,
            NO,
            YES, // relispopulated
            char(self.replica_identity),
            NO,
            NONE,
            NONE,
            NONE,
            NULL,
            self.options,
            NULL,
        ]
    }
}

/// All indexes of a table: OID, name, columns, whether it is the primary key's, whether it is complete.
fn indexes(
    table: &TableSchema,
) -> impl Iterator<Item = (u32, &str, &[KeyColumn], bool, bool)> + '_ {
    let primary = table
        .primary_key
        .as_deref()
        .map(|name| (primary_index_oid(table.table_id), name, table.key.as_slice(), true, true));
    let secondary = table.indexes.iter().map(|index| {
        let complete = index.state == IndexState::Public;
        (index.index_id.0, &*index.name, index.columns.as_slice(), false, complete)
    });
    primary.into_iter().chain(secondary)
}

/// The columns that `pg_attribute` shows, dropped ones included.
fn shown_columns(table: &TableSchema) -> impl Iterator<Item = &ColumnSchema> {
    table.columns.iter().filter(|column| !column.hidden)
}

/// `relkind`: the ones with small OIDs are tables in PostgreSQL too.
pub(super) fn virtual_kind(table: VirtualTable) -> char {
    const FIRST_VIEW: u32 = 12_000;
    if table.oid() < FIRST_VIEW { 'r' } else { 'v' }
}

/// Options of `CREATE TABLE … WITH` that differ from the default.
fn table_options(table: &TableSchema) -> Value {
    let columns = match table.partitioning {
        Partitioning::Hash { columns: 1 } | Partitioning::RowId => return NULL,
        Partitioning::Hash { columns } => usize::from(columns),
        Partitioning::Ordered => 0,
    };
    let names: Vec<String> = table.key[..columns]
        .iter()
        .map(|key| quote_identifier(&table.columns[usize::from(key.position)].name))
        .collect();
    let list = if names.is_empty() { String::new() } else { format!("({})", names.join(", ")) };
    text_array([format!("partition_key={list}").as_str()])
}

pub(super) fn pg_class(catalog: &Catalog) -> Vec<Row> {
    let owner = owner(catalog);
    let mut rows = Vec::new();
    for table in catalog.tables() {
        let class = Class {
            oid: table.table_id.0,
            name: &table.name,
            namespace: &table.namespace,
            access_method: HEAP_OID,
            file: table.storage_id.0,
            has_index: indexes(table).next().is_some(),
            is_shared: false,
            kind: 'r',
            columns: shown_columns(table).count(),
            checks: table.checks.len(),
            replica_identity: 'd',
            options: table_options(table),
        };
        rows.push(class.row(catalog, owner));
        for (index_oid, name, columns, primary, _) in indexes(table) {
            let class = Class {
                oid: index_oid,
                name,
                namespace: &table.namespace,
                access_method: BTREE_OID,
                file: if primary { table.storage_id.0 } else { index_oid },
                has_index: false,
                is_shared: false,
                kind: 'i',
                columns: columns.len(),
                checks: 0,
                replica_identity: 'n',
                options: NULL,
            };
            rows.push(class.row(catalog, owner));
        }
    }
    for sequence in catalog.sequences() {
        let class = Class {
            oid: sequence.sequence_id.0,
            name: &sequence.name,
            namespace: &sequence.namespace,
            access_method: 0,
            file: sequence.sequence_id.0,
            has_index: false,
            is_shared: false,
            kind: 'S',
            columns: SEQUENCE_COLUMNS.len(),
            checks: 0,
            replica_identity: 'n',
            options: NULL,
        };
        rows.push(class.row(catalog, owner));
    }
    rows.extend(VirtualTable::all().map(|table| virtual_class(table).row(catalog, owner)));
    rows
}

fn virtual_class(table: VirtualTable) -> Class<'static> {
    let kind = virtual_kind(table);
    let shared = ["pg_authid", "pg_auth_members", "pg_database", "pg_tablespace", "pg_shdepend"];
    Class {
        oid: table.oid(),
        name: table.name(),
        namespace: table.schema(),
        access_method: if kind == 'r' { HEAP_OID } else { 0 },
        file: 0,
        has_index: false,
        is_shared: shared.contains(&table.name()),
        kind,
        columns: table.columns().len(),
        checks: 0,
        replica_identity: 'n',
        options: NULL,
    }
}

const SEQUENCE_COLUMNS: [(&str, SqlType); 3] =
    [("last_value", SqlType::Int8), ("log_cnt", SqlType::Int8), ("is_called", SqlType::Bool)];

/// What differs between rows of `pg_attribute`.
struct Attribute<'a> {
    relation: u32,
    name: &'a str,
    column_type: ColumnType,
    number: i16,
    not_null: bool,
    has_default: bool,
    missing: Value,
    identity: char,
    dropped: bool,
}

impl<'a> Attribute<'a> {
    fn plain(relation: u32, name: &'a str, column_type: ColumnType, number: i16) -> Attribute<'a> {
        Attribute {
            relation,
            name,
            column_type,
            number,
            not_null: false,
            has_default: false,
            missing: NULL,
            identity: '\0',
            dropped: false,
        }
    }

    fn row(self) -> Row {
        let layout = type_table::layout(self.column_type.sql_type);
        let statistics_target = if self.dropped { 0 } else { -1 };
        vec![
            oid(self.relation),
            text(self.name),
            oid(if self.dropped { 0 } else { self.column_type.sql_type.oid() }),
            Value::Int4(statistics_target),
            Value::Int2(self.column_type.sql_type.typlen()),
            Value::Int2(self.number),
            Value::Int4(i32::from(self.column_type.sql_type.element().is_some())),
            Value::Int4(-1),
            Value::Int4(self.column_type.modifier),
            Value::Bool(layout.by_value),
            char(layout.alignment),
            char(layout.storage),
            char('\0'),
            Value::Bool(self.not_null),
            Value::Bool(self.has_default),
            Value::Bool(!self.missing.is_null()),
            char(self.identity),
            char('\0'),
            Value::Bool(self.dropped),
            YES,
            Value::Int4(0),
            oid(if self.dropped { 0 } else { layout.collation }),
            NULL,
            NULL,
            NULL,
            self.missing,
        ]
    }
}

/// `attmissingval`: an array of the one value.
fn missing(column: &ColumnSchema) -> Value {
    if column.missing.is_null() {
        return NULL;
    }
    let mut bytes = Vec::new();
    let sql_type = column.column_type.sql_type;
    append_text(&column.missing, sql_type, &TextSettings::DEFAULT, &mut bytes);
    text_array([&*String::from_utf8_lossy(&bytes)])
}

fn table_attribute(catalog: &Catalog, table: &TableSchema, column: &ColumnSchema) -> Row {
    let number = column_number(column);
    if column.dropped {
        let name = format!("........pg.dropped.{number}........");
        let mut attribute = Attribute::plain(table.table_id.0, &name, column.column_type, number);
        attribute.dropped = true;
        return attribute.row();
    }
    let mut attribute =
        Attribute::plain(table.table_id.0, &column.name, column.column_type, number);
    attribute.not_null = column.not_null;
    attribute.has_default = catalog.default_text(column).is_some();
    attribute.missing = missing(column);
    attribute.identity = match column.sequence.map(|sequence| sequence.generation) {
        Some(Generation::Always) => 'a',
        Some(Generation::ByDefault) => 'd',
        Some(Generation::Serial) | None => '\0',
    };
    attribute.row()
}

pub(super) fn pg_attribute(catalog: &Catalog) -> Vec<Row> {
    let mut rows = Vec::new();
    for table in catalog.tables() {
        rows.extend(shown_columns(table).map(|column| table_attribute(catalog, table, column)));
        for (index_oid, _, columns, _, _) in indexes(table) {
            rows.extend(columns.iter().zip(1..).map(|(key, number)| {
                let column = &table.columns[usize::from(key.position)];
                Attribute::plain(index_oid, &column.name, column.column_type, number).row()
            }));
        }
    }
    for sequence in catalog.sequences() {
        rows.extend(SEQUENCE_COLUMNS.iter().zip(1..).map(|((name, sql_type), number)| {
            let column_type = ColumnType::plain(*sql_type);
            let mut attribute = Attribute::plain(sequence.sequence_id.0, name, column_type, number);
            attribute.not_null = true;
            attribute.row()
        }));
    }
    for table in VirtualTable::all() {
        rows.extend(table.columns().iter().zip(1..).map(|(column, number)| {
            let column_type = ColumnType::plain(column.sql_type);
            Attribute::plain(table.oid(), column.name, column_type, number).row()
        }));
    }
    rows
}

pub(super) fn pg_attrdef(catalog: &Catalog) -> Vec<Row> {
    let row = |default: super::super::definition::Default<'_>| {
        vec![
            oid(default.oid),
            oid(default.table.table_id.0),
            Value::Int2(column_number(default.column)),
            text(&default.text),
        ]
    };
    catalog.defaults().map(row).collect()
}

pub(super) fn pg_index(catalog: &Catalog) -> Vec<Row> {
    let mut rows = Vec::new();
    for table in catalog.tables() {
        for (index_oid, _, columns, primary, complete) in indexes(table) {
            let types = || {
                columns
                    .iter()
                    .map(|key| table.columns[usize::from(key.position)].column_type.sql_type)
            };
            let option = |key: &KeyColumn| {
                i16::from(key.order.descending) | i16::from(nulls_first(key.order)) << 1
            };
            rows.push(vec![
                oid(index_oid),
                oid(table.table_id.0),
                int2(columns.len()),
                int2(columns.len()),
                Value::Bool(primary),
                NO,
                Value::Bool(primary),
                NO,
                YES,
                NO,
                Value::Bool(complete),
                NO,
                YES,
                YES,
                NO,
                int2_array(key_numbers(table, columns)),
                oid_array(types().map(|sql_type| type_table::layout(sql_type).collation)),
                oid_array(types().map(routine::operator_class)),
                int2_array(columns.iter().map(option)),
                NULL,
                NULL,
            ]);
        }
    }
    rows
}

fn constraint_row(catalog: &Catalog, constraint: &Constraint<'_>) -> Row {
    let (kind, expression) = match constraint.kind {
        ConstraintKind::PrimaryKey => ('p', NULL),
        ConstraintKind::Check(check) => ('c', text(&check.expression)),
    };
    vec![
        oid(constraint.oid),
        text(constraint.name),
        oid(schema_oid(catalog, &constraint.table.namespace)),
        char(kind),
        NO,
        NO,
        YES, // convalidated
        oid(constraint.table.table_id.0),
        NONE,
        oid(constraint.index_oid()),
        NONE,
        NONE,
        char(' '),
        char(' '),
        char(' '),
        YES, // conislocal
        Value::Int4(0),
        Value::Bool(kind == 'p'), // connoinherit
        int2_array(constraint.columns()),
        NULL,
        NULL,
        NULL,
        NULL,
        NULL,
        NULL,
        expression,
    ]
}

pub(super) fn pg_constraint(catalog: &Catalog) -> Vec<Row> {
    catalog.constraints().map(|constraint| constraint_row(catalog, &constraint)).collect()
}

pub(super) fn pg_sequence(catalog: &Catalog) -> Vec<Row> {
    let row = |sequence: &SequenceSchema| {
        vec![
            oid(sequence.sequence_id.0),
            oid(sequence.sql_type.oid()),
            Value::Int8(sequence.start),
            Value::Int8(sequence.increment),
            Value::Int8(sequence.maximum),
            Value::Int8(sequence.minimum),
            Value::Int8(1),
            Value::Bool(sequence.cycle),
        ]
    };
    catalog.sequences().map(|sequence| row(sequence)).collect()
}

/// (catalog table, object): what depends, or what it depends on.
type Object = (u32, u32);

fn depend(object: Object, on: Object, column: i16, kind: char) -> Row {
    vec![
        oid(object.0),
        oid(object.1),
        Value::Int4(0),
        oid(on.0),
        oid(on.1),
        Value::Int4(i32::from(column)),
        char(kind),
    ]
}

pub(super) fn pg_depend(catalog: &Catalog) -> Vec<Row> {
    let mut rows = Vec::new();
    let namespace = |name: &str| (PG_NAMESPACE, schema_oid(catalog, name));
    for table in catalog.tables() {
        let this = (PG_CLASS, table.table_id.0);
        rows.push(depend(this, namespace(&table.namespace), 0, 'n'));
        for (index_oid, _, columns, primary, _) in indexes(table) {
            let on = if primary { Vec::new() } else { key_numbers(table, columns) };
            let columns = on.into_iter();
            rows.extend(columns.map(|column| depend((PG_CLASS, index_oid), this, column, 'a')));
        }
    }
    for constraint in catalog.constraints() {
        let this = (PG_CONSTRAINT, constraint.oid);
        let table = (PG_CLASS, constraint.table.table_id.0);
        rows.extend(
            constraint.columns().into_iter().map(|column| depend(this, table, column, 'a')),
        );
        if constraint.index_oid() != 0 {
            rows.push(depend((PG_CLASS, constraint.index_oid()), this, 0, 'i'));
        }
    }
    for default in catalog.defaults() {
        let this = (PG_ATTRDEF, default.oid);
        let column = column_number(default.column);
        rows.push(depend(this, (PG_CLASS, default.table.table_id.0), column, 'a'));
        if let Some(sequence) = default.column.sequence {
            rows.push(depend(this, (PG_CLASS, sequence.sequence_id.0), 0, 'n'));
        }
    }
    for sequence in catalog.sequences() {
        let this = (PG_CLASS, sequence.sequence_id.0);
        rows.push(depend(this, namespace(&sequence.namespace), 0, 'n'));
        rows.extend(owning_column(catalog, sequence, this));
    }
    rows
}

/// What ties a sequence to its column: internally for an identity, so that neither goes without the other.
fn owning_column(catalog: &Catalog, sequence: &SequenceSchema, this: Object) -> Option<Row> {
    let (table_id, position) = sequence.owned_by?;
    let column = catalog.table(table_id)?.columns.get(usize::from(position))?;
    let is_identity = column.sequence.is_some_and(|found| {
        found.sequence_id == sequence.sequence_id && found.generation != Generation::Serial
    });
    let kind = if is_identity { 'i' } else { 'a' };
    Some(depend(this, (PG_CLASS, table_id.0), column_number(column), kind))
}

/// The indexes of all tables: their table, OID and name.
pub(super) fn all_indexes(catalog: &Catalog) -> Vec<(&TableSchema, u32, String)> {
    let tables = catalog.tables();
    tables
        .flat_map(|table| {
            indexes(table).map(move |(oid, name, ..)| (&**table, oid, name.to_owned()))
        })
        .collect()
}
