//! A table as evaluation needs it, as bytes: names for messages, types, keys, indexes.
//!
//! ```text
//! table   id | storage id | name | column* | key column* | has primary key (1), name? | partitioning | index*
//! column  name | type (1) | flags (1) | value of rows that are older?
//! index   id | key column*
//! ```

use std::sync::Arc;

use types::codec::{DecodeError, Decoder, Encoder};
use types::key::{KeyOrder, Nulls};
use types::row::value_fits;
use types::schema::{ColumnSchema, IndexSchema, IndexState, KeyColumn, Partitioning};
use types::token::SliceCount;
use types::{ColumnId, ColumnType, SchemaVersion, SqlType, TableId, TableSchema, Value};

use crate::row::TableRows;

const NOT_NULL: u8 = 1;
const DROPPED: u8 = 2;
const HIDDEN: u8 = 4;
const HAS_MISSING: u8 = 8;
const FLAGS: u8 = 15;

pub(crate) fn encode_table(table: &TableRows, encoder: &mut Encoder) {
    let schema = &table.schema;
    encoder.varint(u64::from(schema.table_id.0));
    encoder.varint(u64::from(schema.storage_id.0));
    encoder.var_bytes(schema.name.as_bytes());
    encoder.varint(schema.columns.len() as u64);
    for column in &schema.columns {
        encoder.var_bytes(column.name.as_bytes());
        encoder.u8(column.column_type.sql_type.code());
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        encoder.u8(flag(column.not_null, NOT_NULL)
            | flag(column.dropped, DROPPED)
            | flag(column.hidden, HIDDEN)
            | flag(!column.missing.is_null(), HAS_MISSING));
        if !column.missing.is_null() {
            encoder.value(&column.missing);
        }
    }
    encode_key(&schema.key, encoder);
    encoder.bool(schema.primary_key.is_some());
    if let Some(name) = &schema.primary_key {
        encoder.var_bytes(name.as_bytes());
    }
    match schema.partitioning {
        Partitioning::Hash { columns } => {
            encoder.u8(0);
            encoder.varint(u64::from(columns));
        }
        Partitioning::Ordered => encoder.u8(1),
        Partitioning::RowId => encoder.u8(2),
    }
    encoder.varint(schema.indexes.len() as u64);
    for index in &schema.indexes {
        encoder.varint(u64::from(index.index_id.0));
        encode_key(&index.columns, encoder);
    }
}

pub(crate) fn decode_table(
    slices: SliceCount,
    decoder: &mut Decoder<'_>,
) -> Result<TableRows, DecodeError> {
    let table_id = TableId(decoder.varint_u32("table")?);
    let storage_id = TableId(decoder.varint_u32("storage table")?);
    let name = decoder.var_str("table name")?.into();
    let error = decoder.invalid("columns");
    let count = decoder.var_count(3, "columns")?;
    if count > usize::from(u16::MAX) {
        return Err(error);
    }
    let mut columns = Vec::with_capacity(count.min(64));
    for position in 0..count {
        columns.push(decode_column(position as u16, decoder)?);
    }
    let key = decode_key(columns.len(), decoder)?;
    let primary_key = if decoder.bool("primary key")? {
        Some(decoder.var_str("primary key")?.into())
    } else {
        None
    };
    let error = decoder.invalid("partitioning");
    let partitioning = match decoder.u8()? {
        0 => {
            let columns = u16::try_from(decoder.varint("partitioning")?).map_err(|_| error)?;
            Partitioning::Hash { columns }
        }
        1 => Partitioning::Ordered,
        2 => Partitioning::RowId,
        _ => return Err(error),
    };
    let count = decoder.var_count(2, "indexes")?;
    let mut indexes = Vec::with_capacity(count.min(16));
    for _ in 0..count {
        let index_id = TableId(decoder.varint_u32("index")?);
        let columns = decode_key(columns.len(), decoder)?;
        indexes.push(IndexSchema { index_id, name: "".into(), columns, state: IndexState::Public });
    }
    let schema = TableSchema {
        table_id,
        storage_id,
        version: SchemaVersion(0),
        namespace: "".into(),
        name,
        columns,
        key,
        primary_key,
        partitioning,
        indexes,
        checks: Vec::new(),
    };
    Ok(TableRows::new(&Arc::new(schema), slices))
}

fn decode_column(position: u16, decoder: &mut Decoder<'_>) -> Result<ColumnSchema, DecodeError> {
    let name = decoder.var_str("column name")?.into();
    let error = decoder.invalid("column");
    let sql_type = SqlType::from_code(decoder.u8()?).ok_or(error)?;
    let flags = decoder.u8()?;
    let missing = if flags & HAS_MISSING != 0 { decoder.value()? } else { Value::Null };
    let fits = match flags & HAS_MISSING {
        0 => true,
        _ => value_fits(sql_type, &missing),
    };
    if flags & !FLAGS != 0 || !fits {
        return Err(error);
    }
    Ok(ColumnSchema {
        id: ColumnId(position),
        name,
        column_type: ColumnType::plain(sql_type),
        not_null: flags & NOT_NULL != 0,
        default: None,
        missing,
        dropped: flags & DROPPED != 0,
        hidden: flags & HIDDEN != 0,
        sequence: None,
    })
}

fn encode_key(columns: &[KeyColumn], encoder: &mut Encoder) {
    encoder.varint(columns.len() as u64);
    for column in columns {
        encoder.varint(u64::from(column.position));
        let nulls = match column.order.nulls {
            Nulls::Never => 0,
            Nulls::First => 1,
            Nulls::Last => 2,
        };
        encoder.u8(nulls << 1 | u8::from(column.order.descending));
    }
}

fn decode_key(width: usize, decoder: &mut Decoder<'_>) -> Result<Vec<KeyColumn>, DecodeError> {
    let count = decoder.var_count(2, "key columns")?;
    let mut columns = Vec::with_capacity(count);
    for _ in 0..count {
        let error = decoder.invalid("key column");
        let position = u16::try_from(decoder.varint("key column")?).map_err(|_| error)?;
        let bits = decoder.u8()?;
        let nulls = match bits >> 1 {
            0 => Nulls::Never,
            1 => Nulls::First,
            2 => Nulls::Last,
            _ => return Err(error),
        };
        if usize::from(position) >= width {
            return Err(error);
        }
        let order = KeyOrder { descending: bits & 1 == 1, nulls };
        columns.push(KeyColumn { position, order });
    }
    Ok(columns)
}

/// Whether an assignment could put a NULL there.
pub(super) fn may_be_null_in_key(table: &TableRows, position: u16) -> bool {
    let column = &table.schema.columns[usize::from(position)];
    let is_checked = column.not_null && !column.dropped && !column.hidden;
    let mut keys = table.schema.indexes.iter().flat_map(|index| &index.columns);
    !is_checked && keys.any(|key| key.position == position && key.order.nulls == Nulls::Never)
}
