//! How the rows of a storage table are laid out: what storage must know to turn rows into columns and back, and nothing else of a schema.
//!
//! ```text
//! table (4) | columns (2) { id (2) | type code (1) | missing value (tagged) }* | key columns (2) { position (2) | order (1) }*
//! order: bit 0 descending, bits 1-2: 0 never NULL, 1 NULLs first, 2 NULLs last
//! ```
//! A layout is logged in the batch of the statement that makes the table or adds the column, so it is durable before any such row. Columns are only ever
//! added at the end and the key never changes, so of two layouts of one table the longer one serves all its rows.

use types::codec::{DecodeError, Decoder, Encoder};
use types::key::{KeyOrder, Nulls};
use types::limits::COLUMNS_MAX;
use types::schema::{IndexSchema, KeyColumn, TableSchema};
use types::{ColumnId, SqlType, TableId, Value};

/// One stored column.
#[derive(Clone, Debug, PartialEq)]
pub struct LayoutColumn {
    /// Identity within the table.
    pub id: ColumnId,
    /// Its type.
    pub sql_type: SqlType,
    /// What rows hold that were written before it was added.
    pub missing: Value,
}

/// The layout of one storage table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableLayout {
    /// The storage table (a table's `storage_id`, or an index's id).
    pub table: TableId,
    /// Columns in stored order, dropped ones in their places.
    pub columns: Vec<LayoutColumn>,
    /// The columns of the storage key; their values stand in the row too.
    pub key: Vec<KeyColumn>,
}

impl TableLayout {
    /// The layout of a table's rows.
    pub fn of_table(schema: &TableSchema) -> TableLayout {
        let columns = schema
            .columns
            .iter()
            .map(|column| LayoutColumn {
                id: column.id,
                sql_type: column.column_type.sql_type,
                missing: column.missing.clone(),
            })
            .collect();
        TableLayout { table: schema.storage_id, columns, key: schema.key.clone() }
    }

    /// The layout of an index's entries: the columns of [`TableSchema::index_entry_columns`]; the key is the indexed columns, then the row's key.
    pub fn of_index(schema: &TableSchema, index: &IndexSchema) -> TableLayout {
        let positions = schema.index_entry_columns(index);
        let columns = positions
            .iter()
            .map(|position| {
                let column = &schema.columns[usize::from(*position)];
                LayoutColumn {
                    id: column.id,
                    sql_type: column.column_type.sql_type,
                    missing: column.missing.clone(),
                }
            })
            .collect();
        let key = index
            .columns
            .iter()
            .chain(&schema.key)
            .map(|column| {
                let position = positions
                    .iter()
                    .position(|position| *position == column.position)
                    .expect("every key column is a column of the entry");
                KeyColumn { position: position as u16, order: column.order }
            })
            .collect();
        TableLayout { table: index.index_id, columns, key }
    }

    /// Types of the stored columns.
    pub fn types(&self) -> Vec<SqlType> {
        self.columns.iter().map(|column| column.sql_type).collect()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        encoder.u32(self.table.0);
        encoder.u16(u16::try_from(self.columns.len()).expect("column count is bounded"));
        for column in &self.columns {
            encoder.u16(column.id.0);
            encoder.u8(column.sql_type.code());
            encoder.value(&column.missing);
        }
        encoder.u16(u16::try_from(self.key.len()).expect("column count is bounded"));
        for column in &self.key {
            encoder.u16(column.position);
            let nulls = match column.order.nulls {
                Nulls::Never => 0,
                Nulls::First => 1,
                Nulls::Last => 2,
            };
            encoder.u8(u8::from(column.order.descending) | nulls << 1);
        }
        encoder.into_bytes()
    }

    pub(crate) fn decode(decoder: &mut Decoder<'_>) -> Result<TableLayout, DecodeError> {
        let table = TableId(decoder.u32()?);
        let error = decoder.invalid("columns");
        let column_count = usize::from(decoder.u16()?);
        if column_count > COLUMNS_MAX {
            return Err(error);
        }
        let mut columns = Vec::new();
        for _ in 0..column_count {
            let id = ColumnId(decoder.u16()?);
            let error = decoder.invalid("column type");
            let sql_type = SqlType::from_code(decoder.u8()?).ok_or(error)?;
            columns.push(LayoutColumn { id, sql_type, missing: decoder.value()? });
        }
        let key_count = usize::from(decoder.u16()?);
        let mut key = Vec::new();
        for _ in 0..key_count {
            let error = decoder.invalid("key column");
            let position = decoder.u16()?;
            let order = decoder.u8()?;
            let nulls = match order >> 1 {
                0 => Nulls::Never,
                1 => Nulls::First,
                2 => Nulls::Last,
                _ => return Err(error),
            };
            if usize::from(position) >= column_count {
                return Err(error);
            }
            let order = KeyOrder { descending: order & 1 == 1, nulls };
            key.push(KeyColumn { position, order });
        }
        Ok(TableLayout { table, columns, key })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A table of bigint columns with the first as its key.
    pub(crate) fn layout(table: u32, columns: usize) -> TableLayout {
        let column = |id| LayoutColumn {
            id: ColumnId(id as u16),
            sql_type: SqlType::Int8,
            missing: Value::Int8(5),
        };
        TableLayout {
            table: TableId(table),
            columns: (0..columns).map(column).collect(),
            key: vec![KeyColumn { position: 0, order: KeyOrder::PRIMARY }],
        }
    }

    #[test]
    fn round_trip_and_truncations() {
        let mut wanted = layout(3, 4);
        wanted.key.push(KeyColumn {
            position: 2,
            order: KeyOrder { descending: true, nulls: Nulls::Last },
        });
        let bytes = wanted.encode();
        assert_eq!(TableLayout::decode(&mut Decoder::new(&bytes)), Ok(wanted));
        for end in 0..bytes.len() {
            assert!(TableLayout::decode(&mut Decoder::new(&bytes[..end])).is_err());
        }
    }
}
