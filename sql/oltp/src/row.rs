//! A table's rows as values and as bytes, with what a write must satisfy.

use std::sync::Arc;

use functions::{EvalContext, evaluate};
use plan::statement::BoundCheck;
use types::key::Nulls;
use types::row::{RowReader, decode_row, encode_row, value_fits};
use types::schema::RowAddress;
use types::text_format::append_text;
use types::token::SliceCount;
use types::{SqlState, SqlType, TableSchema, Value, ValueRef, limits};

use crate::error::{OltpError, StatementError};

/// A table with what every row operation on it needs.
#[derive(Clone, Debug)]
pub struct TableRows {
    /// The schema planned at.
    pub schema: Arc<TableSchema>,
    /// Types of the stored columns.
    pub types: Arc<[SqlType]>,
    /// Slices of the data directory.
    pub slices: SliceCount,
}

impl TableRows {
    /// Prepares a schema for row operations.
    pub fn new(schema: &Arc<TableSchema>, slices: SliceCount) -> TableRows {
        let types = schema.stored_types().into();
        TableRows { schema: schema.clone(), types, slices }
    }

    /// A stored row from its bytes.
    ///
    /// # Errors
    /// [`OltpError::Damaged`].
    pub fn decode(&self, bytes: &[u8]) -> Result<Vec<Value>, OltpError> {
        decode_row(&self.types, bytes, |column| &self.schema.columns[column].missing).map_err(
            |error| OltpError::Damaged { table: self.schema.storage_id, column: error.column },
        )
    }

    /// As [`TableRows::decode`], for a row whose index entries are to be moved: no NULL where an index's key has no form for one.
    ///
    /// # Errors
    /// [`OltpError::Damaged`].
    pub(crate) fn decode_to_change(&self, bytes: &[u8]) -> Result<Vec<Value>, OltpError> {
        let row = self.decode(bytes)?;
        match self.null_in_key(&row) {
            Some(column) => Err(OltpError::Damaged { table: self.schema.storage_id, column }),
            None => Ok(row),
        }
    }

    /// The first column of an index's key that is NULL and must not be.
    pub(crate) fn null_in_key(&self, row: &[Value]) -> Option<usize> {
        let mut columns = self.schema.indexes.iter().flat_map(|index| &index.columns);
        let null = columns.find(|column| {
            column.order.nulls == Nulls::Never && row[usize::from(column.position)].is_null()
        });
        null.map(|column| usize::from(column.position))
    }

    /// Visits some stored columns of a row, in ascending order of position, without copying them.
    ///
    /// # Errors
    /// [`OltpError::Damaged`].
    pub fn visit(
        &self,
        bytes: &[u8],
        positions: &[u16],
        mut visit: impl FnMut(u16, ValueRef<'_>),
    ) -> Result<(), OltpError> {
        let damaged = |column| OltpError::Damaged { table: self.schema.storage_id, column };
        let mut reader = RowReader::new(bytes).map_err(|error| damaged(error.column))?;
        let mut wanted = positions.iter().copied().peekable();
        for (position, sql_type) in self.types.iter().enumerate() {
            let Some(next) = wanted.peek() else { return Ok(()) };
            let value = reader.next_column(*sql_type).map_err(|error| damaged(error.column))?;
            if usize::from(*next) != position {
                continue;
            }
            match value {
                Some(value) => visit(position as u16, value),
                None => {
                    let missing = &self.schema.columns[position].missing;
                    with_value_ref(missing, |value| visit(position as u16, value));
                }
            }
            wanted.next();
        }
        Ok(())
    }

    /// The bytes of a stored row.
    ///
    /// # Errors
    /// 54000 if the row is too long; XX000 for a value that is not of its column's type: another node planned the statement.
    pub fn encode(&self, row: &[Value]) -> Result<Vec<u8>, StatementError> {
        let mut columns = self.types.iter().zip(row);
        if !columns.all(|(sql_type, value)| value.is_null() || value_fits(*sql_type, value)) {
            let message = "a value is not of the type of its column";
            return Err(StatementError::new(SqlState::INTERNAL_ERROR, message));
        }
        let mut bytes = Vec::with_capacity(64);
        encode_row(&self.types, row, &mut bytes);
        if bytes.len() > limits::ROW_BYTES_MAX {
            return Err(StatementError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("row is too big: {} bytes, maximum {}", bytes.len(), limits::ROW_BYTES_MAX),
            ));
        }
        Ok(bytes)
    }

    /// Where a stored row lives.
    ///
    /// # Errors
    /// 54000 if its key is too long.
    pub fn address(&self, row: &[Value]) -> Result<RowAddress, StatementError> {
        let address = self.schema.address_of_row(self.slices, row);
        if address.key.len() > limits::KEY_BYTES_MAX {
            return Err(StatementError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!(
                    "key is too big: {} bytes, maximum {}",
                    address.key.len(),
                    limits::KEY_BYTES_MAX
                ),
            ));
        }
        Ok(address)
    }

    /// NOT NULL and CHECK of a row about to be written.
    ///
    /// # Errors
    /// 23502, 23514, or what a condition raises.
    pub fn check(
        &self,
        row: &[Value],
        checks: &[BoundCheck],
        parameters: &[Value],
        context: &EvalContext<'_>,
    ) -> Result<(), StatementError> {
        for (column, value) in self.schema.columns.iter().zip(row) {
            // A hidden row id may not have been given yet; nobody else can set it.
            if column.not_null && !column.dropped && !column.hidden && value.is_null() {
                let message = format!(
                    "null value in column \"{}\" of relation \"{}\" violates not-null constraint",
                    column.name, self.schema.name
                );
                return Err(StatementError::new(SqlState::NOT_NULL_VIOLATION, message)
                    .with_detail(format!(
                        "Failing row contains {}.",
                        self.show_row(row, context)
                    )));
            }
        }
        for check in checks {
            let verdict = evaluate(&check.condition, row, parameters, context)?;
            if matches!(verdict, Value::Bool(false)) {
                let message = format!(
                    "new row for relation \"{}\" violates check constraint \"{}\"",
                    self.schema.name, check.name
                );
                return Err(StatementError::new(SqlState::CHECK_VIOLATION, message)
                    .with_detail(format!("Failing row contains {}.", self.show_row(row, context)))
                    .with_constraint(check.name.to_string()));
            }
        }
        Ok(())
    }

    /// 23505 for a row whose key is taken.
    pub fn duplicate(&self, row: &[Value], context: &EvalContext<'_>) -> StatementError {
        let constraint = self.schema.primary_key.as_deref().unwrap_or("row id");
        let names: Vec<&str> = self
            .schema
            .key
            .iter()
            .map(|column| &*self.schema.columns[usize::from(column.position)].name)
            .collect();
        let values: Vec<String> = self
            .schema
            .key
            .iter()
            .map(|column| self.show(usize::from(column.position), row, context))
            .collect();
        StatementError::new(
            SqlState::UNIQUE_VIOLATION,
            format!("duplicate key value violates unique constraint \"{constraint}\""),
        )
        .with_detail(format!("Key ({})=({}) already exists.", names.join(", "), values.join(", ")))
        .with_constraint(constraint)
    }

    fn show_row(&self, row: &[Value], context: &EvalContext<'_>) -> String {
        let values: Vec<String> = self
            .schema
            .visible_columns()
            .map(|(position, _)| self.show(usize::from(position), row, context))
            .collect();
        format!("({})", values.join(", "))
    }

    fn show(&self, position: usize, row: &[Value], context: &EvalContext<'_>) -> String {
        let text = match &row[position] {
            Value::Null => return "null".into(),
            value => {
                let mut text = Vec::new();
                append_text(value, self.types[position], &context.settings, &mut text);
                String::from_utf8_lossy(&text).into_owned()
            }
        };
        // PostgreSQL cuts long values in messages at 64 characters.
        match text.char_indices().nth(64) {
            Some((end, _)) => format!("{}...", &text[..end]),
            None => text,
        }
    }

    /// Keys of a row's entries in the table's indexes, in the order of `schema.indexes`.
    pub fn index_keys(&self, row: &[Value], row_key: &[u8]) -> Vec<Vec<u8>> {
        self.schema.indexes.iter().map(|index| self.schema.index_key(index, row, row_key)).collect()
    }

    /// The bytes of a row's entry in an index: the indexed columns and the key, as a row of the index's storage table.
    pub fn index_row(&self, index: usize, row: &[Value]) -> Vec<u8> {
        let positions = self.schema.index_entry_columns(&self.schema.indexes[index]);
        let types: Vec<SqlType> =
            positions.iter().map(|position| self.types[usize::from(*position)]).collect();
        let values: Vec<Value> =
            positions.iter().map(|position| row[usize::from(*position)].clone()).collect();
        let mut bytes = Vec::with_capacity(32);
        encode_row(&types, &values, &mut bytes);
        bytes
    }
}

/// Lends a value; a `numeric` is encoded for the time of the call.
pub fn with_value_ref<R>(value: &Value, use_it: impl FnOnce(ValueRef<'_>) -> R) -> R {
    if let Value::Numeric(number) = value {
        let mut bytes = Vec::new();
        number.encode(&mut bytes);
        return use_it(ValueRef::Numeric(&bytes));
    }
    use_it(match value {
        Value::Null | Value::Array(_) | Value::Numeric(_) => ValueRef::Null,
        Value::Bool(v) => ValueRef::Bool(*v),
        Value::Int2(v) => ValueRef::Int2(*v),
        Value::Int4(v) => ValueRef::Int4(*v),
        Value::Int8(v) => ValueRef::Int8(*v),
        Value::Float4(v) => ValueRef::Float4(*v),
        Value::Float8(v) => ValueRef::Float8(*v),
        Value::Text(v) => ValueRef::Text(v),
        Value::Bytea(v) => ValueRef::Bytea(v),
        Value::Date(v) => ValueRef::Date(*v),
        Value::Timestamp(v) => ValueRef::Timestamp(*v),
        Value::Timestamptz(v) => ValueRef::Timestamptz(*v),
        Value::Interval(v) => ValueRef::Interval(*v),
        Value::Uuid(v) => ValueRef::Uuid(*v),
        Value::Oid(v) => ValueRef::Oid(*v),
    })
}
