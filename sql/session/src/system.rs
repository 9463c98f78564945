//! The table in which the catalog itself is kept: ordinary rows of an ordinary table, so that a change of the schema is a transaction like any other.
//!
//! | kind | id | payload |
//! |---|---|---|
//! | header | empty | version of the catalog (8), next id to give (4) |
//! | table, sequence | number | the schema's encoded form |
//! | namespace | name | OID (4) |
//! | role | name | OID (4), superuser, login, verifier |
//! | sequence state | number | next value to give (8), whether it has run out |
//!
//! All rows share one token: the catalog has one home core, and every change of it is ordered there.

use std::sync::Arc;

use oltp::{Engine, OltpError, TableRows, Targets, Transaction};
use plan::catalog::{Catalog, CatalogChange, Role};
use types::codec::{DecodeError, Decoder, Encoder};
use types::key::KeyOrder;
use types::schema::{ColumnSchema, KeyColumn, Partitioning, RowAddress, SequenceSchema};
use types::token::SliceCount;
use types::{ColumnId, ColumnType, SchemaVersion, SqlState, SqlType, TableId, TableSchema, Value};

/// The system table's identity.
pub const SYSTEM_TABLE: TableId = TableId(1);
/// First id that is given to users' tables.
const FIRST_ID: u32 = plan::catalog::USER_ID_FIRST;

/// What a row of the system table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i16)]
pub enum Kind {
    /// The catalog's version and the next id.
    Header = 0,
    /// A table.
    Table = 1,
    /// A sequence.
    Sequence = 2,
    /// A schema.
    Namespace = 3,
    /// A role.
    Role = 4,
    /// A sequence's position.
    SequenceState = 5,
}

/// The system table's schema: the same in every data directory.
pub fn system_schema() -> TableSchema {
    let column = |id: u16, name: &str, sql_type: SqlType| ColumnSchema {
        id: ColumnId(id),
        name: name.into(),
        column_type: ColumnType::plain(sql_type),
        not_null: true,
        default: None,
        missing: Value::Null,
        dropped: false,
        hidden: false,
        sequence: None,
    };
    let key = |position| KeyColumn { position, order: KeyOrder::PRIMARY };
    TableSchema {
        table_id: SYSTEM_TABLE,
        storage_id: SYSTEM_TABLE,
        version: SchemaVersion(1),
        namespace: "ringfence".into(),
        name: "catalog".into(),
        columns: vec![
            column(0, "partition", SqlType::Int2),
            column(1, "kind", SqlType::Int2),
            column(2, "id", SqlType::Text),
            column(3, "payload", SqlType::Bytea),
        ],
        key: vec![key(0), key(1), key(2)],
        primary_key: Some("catalog_pkey".into()),
        partitioning: Partitioning::Hash { columns: 1 },
        indexes: Vec::new(),
        checks: Vec::new(),
    }
}

/// The system table, ready for row operations.
pub fn system_rows(slices: SliceCount) -> TableRows {
    TableRows::new(&Arc::new(system_schema()), slices)
}

/// A row of the system table.
pub fn system_row(kind: Kind, id: &str, payload: Vec<u8>) -> Vec<Value> {
    vec![
        Value::Int2(0),
        Value::Int2(kind as i16),
        Value::text(id),
        Value::Bytea(payload.into_boxed_slice()),
    ]
}

/// Where a row of the system table is.
pub fn system_address(table: &TableRows, kind: Kind, id: &str) -> RowAddress {
    let key = [Value::Int2(0), Value::Int2(kind as i16), Value::text(id)];
    table.schema.address(table.slices, &[&key[0], &key[1], &key[2]])
}

/// The catalog's version and the next id to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Grows with every change.
    pub version: SchemaVersion,
    /// Never given before.
    pub next_id: u32,
}

impl Header {
    /// Of a data directory without a catalog.
    pub const INITIAL: Header = Header { version: SchemaVersion(0), next_id: FIRST_ID };

    /// The encoded form.
    pub fn encode(self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        encoder.u64(self.version.0);
        encoder.u32(self.next_id);
        encoder.into_bytes()
    }

    /// Inverse of [`Header::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Header, DecodeError> {
        let decoder = &mut Decoder::new(bytes);
        Ok(Header { version: SchemaVersion(decoder.u64()?), next_id: decoder.u32()? })
    }
}

/// The row that a change of the catalog writes: kind, id, and payload (nothing removes the row).
pub fn change_row(change: &CatalogChange) -> (Kind, String, Option<Vec<u8>>) {
    match change {
        CatalogChange::PutTable(table) => {
            (Kind::Table, table.table_id.to_string(), Some(table.encode()))
        }
        CatalogChange::DropTable(id) => (Kind::Table, id.to_string(), None),
        CatalogChange::PutSequence(sequence) => {
            (Kind::Sequence, sequence.sequence_id.to_string(), Some(sequence.encode()))
        }
        CatalogChange::DropSequence(id) => (Kind::Sequence, id.to_string(), None),
        CatalogChange::PutSchema { name, oid } => {
            (Kind::Namespace, name.to_string(), Some(oid.to_le_bytes().to_vec()))
        }
        CatalogChange::DropSchema(name) => (Kind::Namespace, name.to_string(), None),
        CatalogChange::PutRole(role) => {
            (Kind::Role, role.name.to_string(), Some(encode_role(role)))
        }
        CatalogChange::DropRole(name) => (Kind::Role, name.to_string(), None),
    }
}

fn encode_role(role: &Role) -> Vec<u8> {
    let mut encoder = Encoder::new();
    encoder.u32(role.oid);
    encoder.bool(role.superuser);
    encoder.bool(role.login);
    encoder.bool(role.verifier.is_some());
    if let Some(verifier) = &role.verifier {
        encoder.str(verifier);
    }
    encoder.into_bytes()
}

fn decode_change(
    kind: i16,
    id: &str,
    payload: &[u8],
) -> Result<Option<CatalogChange>, DecodeError> {
    let decoder = &mut Decoder::new(payload);
    Ok(Some(match kind {
        1 => CatalogChange::PutTable(Arc::new(TableSchema::decode(payload)?)),
        2 => CatalogChange::PutSequence(Arc::new(SequenceSchema::decode(payload)?)),
        3 => CatalogChange::PutSchema { name: id.into(), oid: decoder.u32()? },
        4 => CatalogChange::PutRole(Role {
            name: id.into(),
            oid: decoder.u32()?,
            superuser: decoder.bool("superuser")?,
            login: decoder.bool("login")?,
            verifier: if decoder.bool("verifier")? {
                Some(decoder.str("verifier")?.into())
            } else {
                None
            },
        }),
        _ => return Ok(None),
    }))
}

fn damaged(what: impl std::fmt::Display) -> OltpError {
    OltpError::Statement(
        oltp::StatementError::new(
            SqlState::DATA_CORRUPTED,
            format!("the catalog cannot be read: {what}"),
        )
        .with_hint("Stop the node and run `ringfence verify` on its data directory."),
    )
}

/// The catalog that some rows of the system table make: all of them, when the node starts.
///
/// # Errors
/// A row that does not decode.
pub fn catalog_of_rows(rows: &[Vec<Value>]) -> Result<Catalog, OltpError> {
    let mut header = Header::INITIAL;
    let mut changes = Vec::new();
    for row in rows {
        let [_, Value::Int2(kind), Value::Text(id), Value::Bytea(payload)] = &row[..] else {
            return Err(damaged("a row has not the columns of the catalog"));
        };
        if *kind == Kind::Header as i16 {
            header = Header::decode(payload).map_err(damaged)?;
        } else if let Some(change) = decode_change(*kind, id, payload).map_err(damaged)? {
            changes.push(change);
        }
    }
    // Tables name schemas, so those come first.
    changes.sort_by_key(|change| !matches!(change, CatalogChange::PutSchema { .. }));
    Ok(Catalog::initial().apply(header.version, &changes))
}

/// Reads the header inside a transaction.
///
/// # Errors
/// Those of the engine; a header that does not decode.
pub async fn read_header<E: Engine>(
    engine: &E,
    transaction: &mut Transaction,
) -> Result<Header, OltpError> {
    let table = system_rows(engine.slices());
    let address = system_address(&table, Kind::Header, "");
    let rows = transaction.rows(engine, &table, &Targets::Points(vec![address])).await?;
    match rows.first().map(|row| &row.values[3]) {
        None => Ok(Header::INITIAL),
        Some(Value::Bytea(payload)) => Header::decode(payload).map_err(damaged),
        Some(other) => Err(damaged(format!("the header is {other:?}"))),
    }
}

/// Writes or removes a row of the system table inside a transaction.
///
/// # Errors
/// Those of the engine.
pub async fn write_row<E: Engine>(
    engine: &E,
    transaction: &mut Transaction,
    kind: Kind,
    id: &str,
    payload: Option<Vec<u8>>,
) -> Result<(), OltpError> {
    let table = system_rows(engine.slices());
    let address = system_address(&table, kind, id);
    let targets = Targets::Points(vec![address.clone()]);
    let before = transaction.rows(engine, &table, &targets).await?.pop().map(|row| row.values);
    match (payload, before) {
        (Some(payload), before) => {
            transaction.put(&table, address, before, system_row(kind, id, payload))?;
        }
        (None, Some(before)) => transaction.delete(&table, address, before),
        (None, None) => {}
    }
    Ok(())
}

/// Makes the roles of a new data directory, in a transaction of its own. Gives the catalog with them.
///
/// # Errors
/// Those of the engine.
pub async fn make_roles<E: Engine>(
    engine: &E,
    catalog: &Catalog,
    verifier: Option<Box<str>>,
    attachment: Vec<u8>,
) -> Result<Catalog, OltpError> {
    let snapshot = engine.begin().await?;
    let outcome = async {
        let mut transaction = Transaction::new(snapshot, oltp::transaction::Consistency::Strict);
        transaction.attach(attachment);
        let mut header = read_header(engine, &mut transaction).await?;
        header.version = SchemaVersion(header.version.0 + 1);
        let changes: Vec<CatalogChange> = [("ringfence", 10), ("postgres", 11)]
            .map(|(name, oid)| {
                CatalogChange::PutRole(Role {
                    oid,
                    name: name.into(),
                    superuser: true,
                    login: true,
                    verifier: verifier.clone(),
                })
            })
            .into();
        for change in &changes {
            let (kind, id, payload) = change_row(change);
            write_row(engine, &mut transaction, kind, &id, payload).await?;
        }
        write_row(engine, &mut transaction, Kind::Header, "", Some(header.encode())).await?;
        transaction.commit(engine).await?;
        Ok(catalog.apply(header.version, &changes))
    }
    .await;
    engine.end_snapshot(snapshot);
    outcome
}
