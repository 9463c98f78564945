//! From a bound change of the schema to the next catalog: ids are given, versions grow, and what has to be done to rows is said.

mod alter;

use crate::catalog::{Catalog, CatalogChange};
use crate::error::Result;
use crate::statement::{BoundCheck, Ddl, SequenceDefinition, TableDefinition};
use alloc::sync::Arc;
use alloc::vec::Vec;
use functions::Expr;
use types::key::KeyOrder;
use types::schema::SequenceSchema;
use types::schema::{ColumnSequence, Generation, IndexSchema, KeyColumn, Partitioning};
use types::{
    ColumnId, ColumnSchema, ColumnType, SchemaVersion, SqlType, TableId, TableSchema, Value,
};

/// What a change of the schema comes to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Command tag.
    pub tag: &'static str,
    /// Steps from the catalog to the next, in order. None if there is nothing to do.
    pub changes: Vec<CatalogChange>,
    /// Sequences that start again: at this value, or at their START.
    pub restarted: Vec<(TableId, Option<i64>)>,
    /// What has to be done to rows, in order.
    pub work: Vec<Work>,
}

/// Something to be done to rows.
#[derive(Clone, Debug)]
pub enum Work {
    /// All rows move to a new storage: a key is added or dropped, or a column gets a value of its own in each row.
    Rebuild {
        /// The table as it was.
        from: Arc<TableSchema>,
        /// The table as it is to be; its columns begin with those of `from`, except that a hidden row id may come or be dropped.
        to: Arc<TableSchema>,
        /// Stored positions of `to` and what they hold, over the old stored row.
        values: Vec<(u16, Expr)>,
        /// Over the old stored row: those for which it is not true are left behind.
        keep: Option<Expr>,
    },
    /// Entries of an index for the rows that are there.
    FillIndex {
        /// The table with the index.
        table: Arc<TableSchema>,
        /// The index.
        index: TableId,
    },
    /// Rows that are there must satisfy these.
    Validate {
        /// The table.
        table: Arc<TableSchema>,
        /// Conditions over stored rows (23514).
        checks: Vec<BoundCheck>,
        /// Stored positions that must not be NULL (23502).
        not_null: Vec<u16>,
    },
}

/// The command tag of a change.
pub fn tag(ddl: &Ddl) -> &'static str {
    match ddl {
        Ddl::CreateSchema { .. } => "CREATE SCHEMA",
        Ddl::DropSchema { .. } => "DROP SCHEMA",
        Ddl::CreateTable { source: None, .. } => "CREATE TABLE",
        Ddl::CreateTable { source: Some(_), skip: true, .. } => "CREATE TABLE AS",
        Ddl::CreateTable { source: Some(_), .. } => "SELECT",
        Ddl::DropTable { .. } => "DROP TABLE",
        Ddl::Truncate { .. } => "TRUNCATE TABLE",
        Ddl::AlterTable { .. } => "ALTER TABLE",
        Ddl::CreateIndex { .. } => "CREATE INDEX",
        Ddl::DropIndex { .. } => "DROP INDEX",
        Ddl::CreateSequence { .. } => "CREATE SEQUENCE",
        Ddl::DropSequence { .. } => "DROP SEQUENCE",
        Ddl::RestartSequence { .. } => "ALTER SEQUENCE",
        Ddl::PutRole { role, .. } if role.oid == 0 => "CREATE ROLE",
        Ddl::PutRole { .. } => "ALTER ROLE",
        Ddl::DropRole { .. } => "DROP ROLE",
    }
}

/// Gives ids.
struct Ids<'a>(&'a mut u32);

impl Ids<'_> {
    fn next(&mut self) -> TableId {
        let id = TableId(*self.0);
        *self.0 += 1;
        id
    }
}

/// What a bound change comes to. `next_id` is the first id that was never given; it is moved on.
///
/// # Errors
/// When the catalog is not the one that the change was bound against and something is missing.
pub fn changes(ddl: &Ddl, catalog: &Catalog, next_id: &mut u32) -> Result<Outcome> {
    let mut outcome =
        Outcome { tag: tag(ddl), changes: Vec::new(), restarted: Vec::new(), work: Vec::new() };
    let ids = &mut Ids(next_id);
    match ddl {
        Ddl::CreateSchema { skip: true, .. }
        | Ddl::CreateTable { skip: true, .. }
        | Ddl::CreateIndex { skip: true, .. }
        | Ddl::CreateSequence { skip: true, .. } => {}
        Ddl::CreateSchema { name, .. } => {
            let oid = ids.next().0;
            outcome.changes.push(CatalogChange::PutSchema { name: name.clone(), oid });
        }
        Ddl::DropSchema { names, tables, sequences } => {
            drop_tables(tables, catalog, &mut outcome);
            drop_sequences(sequences, &mut outcome);
            outcome.changes.extend(names.iter().cloned().map(CatalogChange::DropSchema));
        }
        Ddl::CreateTable { definition, .. } => create_table(definition, ids, &mut outcome),
        Ddl::DropTable { tables } => drop_tables(tables, catalog, &mut outcome),
        Ddl::Truncate { tables, restart_identity } => {
            for table in tables {
                truncate(table, *restart_identity, ids, &mut outcome);
            }
        }
        Ddl::AlterTable { table: None, .. } => {}
        Ddl::AlterTable { table: Some(table), actions } => {
            alter::alter_table(table, actions, catalog, ids, &mut outcome);
        }
        Ddl::CreateIndex { table, index, .. } => {
            create_index(table, index, ids, &mut outcome);
        }
        Ddl::DropIndex { indexes } => drop_indexes(indexes, catalog, &mut outcome),
        Ddl::CreateSequence { definition, .. } => {
            let sequence = make_sequence(definition, ids.next(), definition.owned_by);
            outcome.changes.push(CatalogChange::PutSequence(Arc::new(sequence)));
        }
        Ddl::DropSequence { sequences } => drop_sequences(sequences, &mut outcome),
        Ddl::RestartSequence { sequence, with } => {
            outcome.restarted.push((*sequence, *with));
            // The change is seen by plans that know the sequence.
            if let Some(known) = catalog.sequence(*sequence) {
                let mut next = (**known).clone();
                next.version = SchemaVersion(known.version.0 + 1);
                outcome.changes.push(CatalogChange::PutSequence(Arc::new(next)));
            }
        }
        Ddl::PutRole { role, .. } => {
            let mut role = role.clone();
            if role.oid == 0 {
                role.oid = ids.next().0;
            }
            outcome.changes.push(CatalogChange::PutRole(role));
        }
        Ddl::DropRole { names } => {
            outcome.changes.extend(names.iter().cloned().map(CatalogChange::DropRole));
        }
    }
    Ok(outcome)
}

fn make_sequence(
    definition: &SequenceDefinition,
    sequence_id: TableId,
    owned_by: Option<(TableId, u16)>,
) -> SequenceSchema {
    SequenceSchema {
        sequence_id,
        version: SchemaVersion(1),
        namespace: definition.namespace.clone(),
        name: definition.name.clone(),
        sql_type: definition.sql_type,
        start: definition.start,
        increment: definition.increment,
        minimum: definition.minimum,
        maximum: definition.maximum,
        cycle: definition.cycle,
        owned_by,
    }
}

/// The hidden row id of a table without primary key, as column number `position`.
fn row_id_column(position: usize) -> (ColumnSchema, KeyColumn) {
    let column = ColumnSchema {
        id: ColumnId(position as u16),
        name: "ringfence_row_id".into(),
        column_type: ColumnType::plain(SqlType::Int8),
        not_null: true,
        default: None,
        missing: Value::Null,
        dropped: false,
        hidden: true,
        sequence: None,
    };
    (column, KeyColumn { position: position as u16, order: KeyOrder::PRIMARY })
}

fn create_table(definition: &TableDefinition, ids: &mut Ids<'_>, outcome: &mut Outcome) {
    let table_id = ids.next();
    let mut columns = definition.columns.clone();
    for (position, generation, sequence) in &definition.sequences {
        let sequence_id = ids.next();
        let made = make_sequence(sequence, sequence_id, Some((table_id, *position)));
        feed(&mut columns[usize::from(*position)], sequence_id, *generation);
        outcome.changes.push(CatalogChange::PutSequence(Arc::new(made)));
    }
    let (primary_key, key) = match &definition.primary_key {
        Some((name, key)) => (Some(name.clone()), key.clone()),
        None => {
            let (column, key) = row_id_column(columns.len());
            columns.push(column);
            (None, alloc::vec![key])
        }
    };
    let partitioning =
        if primary_key.is_some() { definition.partitioning } else { Partitioning::RowId };
    let table = TableSchema {
        table_id,
        storage_id: table_id,
        version: SchemaVersion(1),
        namespace: definition.namespace.clone(),
        name: definition.name.clone(),
        columns,
        key,
        primary_key,
        partitioning,
        indexes: Vec::new(),
        checks: definition.checks.clone(),
    };
    outcome.changes.push(CatalogChange::PutTable(Arc::new(table)));
}

fn feed(column: &mut ColumnSchema, sequence_id: TableId, generation: Generation) {
    column.sequence = Some(ColumnSequence { sequence_id, generation });
}

fn drop_tables(tables: &[TableId], catalog: &Catalog, outcome: &mut Outcome) {
    for id in tables {
        let owned = catalog
            .sequences()
            .filter(|sequence| sequence.owned_by.is_some_and(|(table, _)| table == *id));
        for sequence in owned {
            outcome.changes.push(CatalogChange::DropSequence(sequence.sequence_id));
        }
        outcome.changes.push(CatalogChange::DropTable(*id));
    }
}

fn drop_sequences(sequences: &[TableId], outcome: &mut Outcome) {
    for id in sequences {
        let known = outcome
            .changes
            .iter()
            .any(|change| matches!(change, CatalogChange::DropSequence(other) if other == id));
        if !known {
            outcome.changes.push(CatalogChange::DropSequence(*id));
        }
    }
}

fn next_version(table: &TableSchema) -> TableSchema {
    let mut next = table.clone();
    next.version = SchemaVersion(table.version.0 + 1);
    next
}

/// The table's rows and index entries go to new, empty places.
fn new_storage(table: &mut TableSchema, ids: &mut Ids<'_>) {
    table.storage_id = ids.next();
    for index in &mut table.indexes {
        index.index_id = ids.next();
    }
}

fn truncate(
    table: &Arc<TableSchema>,
    restart_identity: bool,
    ids: &mut Ids<'_>,
    outcome: &mut Outcome,
) {
    let mut next = next_version(table);
    new_storage(&mut next, ids);
    if restart_identity {
        for column in table.columns.iter().filter(|column| !column.dropped) {
            if let Some(sequence) = column.sequence {
                outcome.restarted.push((sequence.sequence_id, None));
            }
        }
    }
    outcome.changes.push(CatalogChange::PutTable(Arc::new(next)));
}

fn create_index(
    table: &Arc<TableSchema>,
    index: &IndexSchema,
    ids: &mut Ids<'_>,
    outcome: &mut Outcome,
) {
    let mut next = next_version(table);
    let index_id = ids.next();
    next.indexes.push(IndexSchema { index_id, ..index.clone() });
    let next = Arc::new(next);
    outcome.changes.push(CatalogChange::PutTable(next.clone()));
    outcome.work.push(Work::FillIndex { table: next, index: index_id });
}

fn drop_indexes(indexes: &[(TableId, TableId)], catalog: &Catalog, outcome: &mut Outcome) {
    let mut tables: Vec<TableSchema> = Vec::new();
    for (table_id, index_id) in indexes {
        let position = tables.iter().position(|table| table.table_id == *table_id);
        let table = match (position, catalog.table(*table_id)) {
            (Some(position), _) => &mut tables[position],
            (None, Some(table)) => {
                tables.push(next_version(table));
                tables.last_mut().expect("just pushed")
            }
            (None, None) => continue,
        };
        table.indexes.retain(|index| index.index_id != *index_id);
    }
    outcome
        .changes
        .extend(tables.into_iter().map(|table| CatalogChange::PutTable(Arc::new(table))));
}
