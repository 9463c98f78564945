//! The standard's views.

use super::super::definition::{
    Constraint, ConstraintKind, column_number, quote_identifier, without_parentheses,
};
use super::cell::{NULL, Row, optional_text, text};
use super::relation::virtual_kind;
use super::{DATABASE, owner_name, schema_oid, type_table};
use crate::catalog::{Catalog, VirtualTable};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use types::schema::{Generation, SequenceSchema};
use types::{ColumnSchema, ColumnType, SqlType, TableSchema, Value};

pub(super) fn rows(name: &str, catalog: &Catalog) -> Vec<Row> {
    match name {
        "check_constraints" => check_constraints(catalog),
        "columns" => columns(catalog),
        "constraint_column_usage" => constraint_column_usage(catalog),
        "key_column_usage" => key_column_usage(catalog),
        "schemata" => schemata(catalog),
        "sequences" => sequences(catalog),
        "table_constraints" => table_constraints(catalog),
        "tables" => tables(catalog),
        _ => Vec::new(),
    }
}

fn yes_or_no(yes: bool) -> Value {
    text(if yes { "YES" } else { "NO" })
}

fn number(number: impl ToString) -> Value {
    text(&number.to_string())
}

fn schemata(catalog: &Catalog) -> Vec<Row> {
    let row = |(name, _)| vec![text(DATABASE), text(name), text(owner_name(catalog))];
    catalog.schemas().map(row).collect()
}

fn tables(catalog: &Catalog) -> Vec<Row> {
    let row = |namespace: &str, name: &str, kind: &str, own: bool| {
        vec![
            text(DATABASE),
            text(namespace),
            text(name),
            text(kind),
            NULL,
            NULL,
            NULL,
            NULL,
            NULL,
            yes_or_no(own),
            yes_or_no(false),
        ]
    };
    let own = catalog.tables().map(|table| row(&table.namespace, &table.name, "BASE TABLE", true));
    let computed = VirtualTable::all().map(|table| {
        let kind = if virtual_kind(table) == 'r' { "BASE TABLE" } else { "VIEW" };
        row(table.schema(), table.name(), kind, false)
    });
    own.chain(computed).collect()
}

/// What `columns` says of a column.
struct Column<'a> {
    namespace: &'a str,
    table: &'a str,
    name: &'a str,
    number: i16,
    column_type: ColumnType,
    not_null: bool,
    default: Option<String>,
    /// How values are generated, and from what.
    identity: Option<(Generation, &'a SequenceSchema)>,
    own: bool,
}

/// Precision, radix and scale.
fn numeric_shape(column_type: ColumnType) -> [Value; 3] {
    let shape = |precision: i32, radix: i32, scale: Option<i32>| {
        [Value::Int4(precision), Value::Int4(radix), scale.map_or(NULL, Value::Int4)]
    };
    match column_type.sql_type {
        SqlType::Int2 => shape(16, 2, Some(0)),
        SqlType::Int4 => shape(32, 2, Some(0)),
        SqlType::Int8 => shape(64, 2, Some(0)),
        SqlType::Float4 => shape(24, 2, None),
        SqlType::Float8 => shape(53, 2, None),
        SqlType::Numeric => match column_type.numeric_precision_scale() {
            Some((precision, scale)) => shape(i32::from(precision), 10, Some(i32::from(scale))),
            None => [NULL, Value::Int4(10), NULL],
        },
        _ => [NULL, NULL, NULL],
    }
}

fn datetime_precision(column_type: ColumnType) -> Value {
    const FULL: i32 = 6;
    let modifier = column_type.modifier;
    match column_type.sql_type {
        SqlType::Date => Value::Int4(0),
        SqlType::Timestamp | SqlType::Timestamptz if modifier < 0 => Value::Int4(FULL),
        SqlType::Timestamp | SqlType::Timestamptz => Value::Int4(modifier),
        SqlType::Interval if modifier < 0 || modifier & 0xffff == 0xffff => Value::Int4(FULL),
        SqlType::Interval => Value::Int4(modifier & 0xffff),
        _ => NULL,
    }
}

/// Longest value in characters and in bytes.
fn character_lengths(column_type: ColumnType) -> [Value; 2] {
    const LONGEST_BYTES: i32 = 1 << 30;
    const BYTES_A_CHARACTER: i32 = 4;
    match (column_type.sql_type, column_type.character_limit()) {
        (SqlType::Varchar | SqlType::Bpchar, Some(limit)) => {
            let limit = limit as i32;
            [Value::Int4(limit), Value::Int4(limit.saturating_mul(BYTES_A_CHARACTER))]
        }
        (SqlType::Text | SqlType::Varchar | SqlType::Bpchar, _) => {
            [NULL, Value::Int4(LONGEST_BYTES)]
        }
        _ => [NULL, NULL],
    }
}

impl Column<'_> {
    fn row(self) -> Row {
        let sql_type = self.column_type.sql_type;
        let data_type = if sql_type.element().is_some() { "ARRAY" } else { sql_type.name() };
        let mut row = vec![
            text(DATABASE),
            text(self.namespace),
            text(self.table),
            text(self.name),
            Value::Int4(i32::from(self.number)),
            optional_text(self.default.as_deref()),
            yes_or_no(!self.not_null),
            text(data_type),
        ];
        row.extend(character_lengths(self.column_type));
        row.extend(numeric_shape(self.column_type));
        row.push(datetime_precision(self.column_type));
        // Interval, character set, collation and domain: two, three, three and three columns.
        row.extend((0..11).map(|_| NULL));
        row.extend([text(DATABASE), text("pg_catalog"), text(type_table::name(sql_type))]);
        // Scope and cardinality.
        row.extend((0..4).map(|_| NULL));
        row.push(number(self.number));
        row.push(yes_or_no(false));
        row.push(yes_or_no(self.identity.is_some()));
        match self.identity {
            Some((generation, sequence)) => {
                let always = generation == Generation::Always;
                row.push(text(if always { "ALWAYS" } else { "BY DEFAULT" }));
                row.extend([sequence.start, sequence.increment].map(number));
                row.extend([sequence.maximum, sequence.minimum].map(number));
                row.push(yes_or_no(sequence.cycle));
            }
            None => row.extend([NULL, NULL, NULL, NULL, NULL, yes_or_no(false)]),
        }
        row.extend([text("NEVER"), NULL, yes_or_no(self.own)]);
        row
    }
}

fn own_column<'a>(
    catalog: &'a Catalog,
    table: &'a TableSchema,
    column: &'a ColumnSchema,
) -> Column<'a> {
    let identity = column.sequence.filter(|found| found.generation != Generation::Serial);
    Column {
        namespace: &table.namespace,
        table: &table.name,
        name: &column.name,
        number: column_number(column),
        column_type: column.column_type,
        not_null: column.not_null,
        default: catalog.default_text(column),
        identity: identity.and_then(|identity| {
            let sequence = catalog.sequence(identity.sequence_id)?;
            Some((identity.generation, &**sequence))
        }),
        own: true,
    }
}

fn columns(catalog: &Catalog) -> Vec<Row> {
    let own = catalog.tables().flat_map(|table| {
        table.visible_columns().map(|(_, column)| own_column(catalog, table, column).row())
    });
    let computed = VirtualTable::all().flat_map(|table| {
        table.columns().iter().zip(1..).map(move |(column, number)| {
            let column = Column {
                namespace: table.schema(),
                table: table.name(),
                name: column.name,
                number,
                column_type: ColumnType::plain(column.sql_type),
                not_null: false,
                default: None,
                identity: None,
                own: false,
            };
            column.row()
        })
    });
    own.chain(computed).collect()
}

fn sequences(catalog: &Catalog) -> Vec<Row> {
    let row = |sequence: &SequenceSchema| {
        let mut row = vec![
            text(DATABASE),
            text(&sequence.namespace),
            text(&sequence.name),
            text(sequence.sql_type.name()),
        ];
        row.extend(numeric_shape(ColumnType::plain(sequence.sql_type)));
        row.extend([sequence.start, sequence.minimum, sequence.maximum].map(number));
        row.push(number(sequence.increment));
        row.push(yes_or_no(sequence.cycle));
        row
    };
    // The sequence of an identity column belongs to the column.
    let is_identity = |sequence: &SequenceSchema| {
        sequence.owned_by.is_some_and(|(table, position)| {
            let table = catalog.table(table);
            let column = table.and_then(|table| table.columns.get(usize::from(position)));
            column
                .and_then(|column| column.sequence)
                .is_some_and(|found| found.generation != Generation::Serial)
        })
    };
    catalog
        .sequences()
        .filter(|sequence| !is_identity(sequence))
        .map(|sequence| row(sequence))
        .collect()
}

/// NOT NULL as the standard sees it, a constraint with a name of its own: (table, column, name).
fn not_nulls(catalog: &Catalog) -> impl Iterator<Item = (&TableSchema, &ColumnSchema, String)> {
    catalog.tables().flat_map(move |table| {
        let schema = schema_oid(catalog, &table.namespace);
        let columns = table.visible_columns().filter(|(_, column)| column.not_null);
        columns.map(move |(_, column)| {
            let number = column_number(column);
            let name = format!("{schema}_{}_{number}_not_null", table.table_id.0);
            (&**table, column, name)
        })
    })
}

fn table_constraints(catalog: &Catalog) -> Vec<Row> {
    let row = |table: &TableSchema, name: &str, kind: &str| {
        vec![
            text(DATABASE),
            text(&table.namespace),
            text(name),
            text(DATABASE),
            text(&table.namespace),
            text(&table.name),
            text(kind),
            yes_or_no(false),
            yes_or_no(false),
            yes_or_no(true),
        ]
    };
    let named = catalog.constraints().map(|constraint| {
        let kind = match constraint.kind {
            ConstraintKind::PrimaryKey => "PRIMARY KEY",
            ConstraintKind::Check(_) => "CHECK",
        };
        row(constraint.table, constraint.name, kind)
    });
    named.chain(not_nulls(catalog).map(|(table, _, name)| row(table, &name, "CHECK"))).collect()
}

fn check_constraints(catalog: &Catalog) -> Vec<Row> {
    let row = |namespace: &str, name: &str, clause: &str| {
        vec![text(DATABASE), text(namespace), text(name), text(clause)]
    };
    let checks = catalog.constraints().filter_map(|constraint| match constraint.kind {
        ConstraintKind::PrimaryKey => None,
        ConstraintKind::Check(check) => {
            let clause = format!("(({}))", without_parentheses(&check.expression));
            Some(row(&constraint.table.namespace, constraint.name, &clause))
        }
    });
    let not_nulls = not_nulls(catalog).map(|(table, column, name)| {
        let clause = format!("{} IS NOT NULL", quote_identifier(&column.name));
        row(&table.namespace, &name, &clause)
    });
    checks.chain(not_nulls).collect()
}

/// The columns of a constraint, by name.
fn constraint_columns<'a>(constraint: &Constraint<'a>) -> Vec<&'a str> {
    let table = constraint.table;
    let numbers = constraint.columns().into_iter();
    let found = numbers
        .filter_map(|number| table.columns.iter().find(|column| column_number(column) == number));
    found.map(|column| &*column.name).collect()
}

fn key_column_usage(catalog: &Catalog) -> Vec<Row> {
    let keys =
        catalog.constraints().filter(|found| matches!(found.kind, ConstraintKind::PrimaryKey));
    let rows = keys.flat_map(|constraint| {
        let columns = constraint_columns(&constraint);
        columns.into_iter().zip(1..).map(move |(column, position)| {
            vec![
                text(DATABASE),
                text(&constraint.table.namespace),
                text(constraint.name),
                text(DATABASE),
                text(&constraint.table.namespace),
                text(&constraint.table.name),
                text(column),
                Value::Int4(position),
            ]
        })
    });
    rows.collect()
}

fn constraint_column_usage(catalog: &Catalog) -> Vec<Row> {
    let rows = catalog.constraints().flat_map(|constraint| {
        let columns = constraint_columns(&constraint);
        columns.into_iter().map(move |column| {
            vec![
                text(DATABASE),
                text(&constraint.table.namespace),
                text(&constraint.table.name),
                text(column),
                text(DATABASE),
                text(&constraint.table.namespace),
                text(constraint.name),
            ]
        })
    });
    rows.collect()
}
