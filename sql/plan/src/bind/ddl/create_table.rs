//! CREATE TABLE.

use super::super::Binder;
use super::super::query::Unknowns;
use super::super::scope::{Clause, ColumnValue, Entry, ScopeColumn};
use super::check_key_width;
use crate::error::{PlanError, Result};
use crate::query::Query;
use crate::statement::{Ddl, SequenceDefinition, TableDefinition};
use crate::syntax::{
    self, ColumnDefinition, Constraint, ConstraintKind, CreateTable, Ident, SequenceOptions,
    Setting, SettingValue, TableSource,
};
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use types::key::KeyOrder;
use types::schema::{CheckSchema, Generation, KeyColumn, Partitioning};
use types::{ColumnId, ColumnSchema, ColumnType, SqlState, SqlType, Value};

/// Columns that every PostgreSQL table has.
const SYSTEM_COLUMNS: &[&str] = &["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];

impl Binder<'_> {
    pub(super) fn create_table(&mut self, create: &CreateTable) -> Result<Ddl> {
        let place = create.name.parts[0].position as usize;
        let (namespace, name) = self.creation_name(&create.name)?;
        let skip = self.catalog.relation(&namespace, &name).is_some();
        if skip {
            let message = format!("relation \"{name}\" already exists");
            let state = SqlState::DUPLICATE_TABLE;
            self.already_exists(state, message, create.if_not_exists, place)?;
        }
        let mut definition = TableDefinition {
            namespace,
            name,
            columns: Vec::new(),
            sequences: Vec::new(),
            primary_key: None,
            partitioning: Partitioning::RowId,
            checks: Vec::new(),
        };
        let source = match &create.source {
            Some(source) => Some(self.table_source(source, &mut definition)?),
            None => None,
        };
        let mut constraints: Vec<(&Constraint, Option<usize>)> = Vec::new();
        for column in &create.columns {
            let position = definition.columns.len();
            self.add_definition(column, &mut definition)?;
            constraints.extend(column.constraints.iter().map(|one| (one, Some(position))));
        }
        check_column_count(definition.columns.len())?;
        constraints.extend(create.constraints.iter().map(|one| (one, None)));
        for (constraint, column) in constraints {
            self.table_constraint(constraint, column, &mut definition)?;
        }
        self.table_settings(&create.settings, &mut definition)?;
        Ok(Ddl::CreateTable { definition, skip, source })
    }

    /// CREATE TABLE AS: the columns of a query.
    fn table_source(
        &mut self,
        source: &TableSource,
        definition: &mut TableDefinition,
    ) -> Result<Query> {
        let mut query = self.query_with(&source.query, Unknowns::Text)?;
        if source.columns.len() > query.columns.len() {
            return Err(PlanError::syntax(
                source.columns[query.columns.len()].position as usize,
                "too many column names were specified",
            ));
        }
        for (index, output) in query.columns.iter().enumerate() {
            let name = source.columns.get(index).map_or(&output.name, |name| &name.name);
            let ident = Ident { name: name.clone(), position: source.query.position };
            check_new_column(&definition.columns, &ident)?;
            // Catalog types become the nearest type that can be stored.
            let column_type = match output.column_type.sql_type {
                SqlType::Name | SqlType::Char => ColumnType::plain(SqlType::Text),
                _ => output.column_type,
            };
            check_storable(column_type, &ident)?;
            definition.columns.push(plain_column(&definition.columns, name, column_type));
        }
        if !source.with_data {
            query.root = crate::query::Rel::Filter {
                input: Box::new(query.root),
                condition: functions::Expr::literal(Value::Bool(false), SqlType::Bool),
            };
        }
        Ok(query)
    }

    /// A column without its constraints but NOT NULL, DEFAULT and what makes a sequence.
    fn add_definition(
        &mut self,
        column: &ColumnDefinition,
        definition: &mut TableDefinition,
    ) -> Result<()> {
        check_new_column(&definition.columns, &column.name)?;
        let (schema, sequence) = self.column_schema(column, definition)?;
        if let Some((generation, sequence)) = sequence {
            let position = definition.columns.len() as u16;
            definition.sequences.push((position, generation, sequence));
        }
        definition.columns.push(schema);
        Ok(())
    }

    /// A column's own definition, and the sequence that feeds it.
    pub(super) fn column_schema(
        &mut self,
        column: &ColumnDefinition,
        table: &TableDefinition,
    ) -> Result<(ColumnSchema, Option<(Generation, SequenceDefinition)>)> {
        let serial = serial_type(&column.type_name);
        let column_type = match serial {
            Some(sql_type) => ColumnType::plain(sql_type),
            None => self.type_of(&column.type_name)?,
        };
        check_storable(column_type, &column.name)?;
        let mut schema = plain_column(&table.columns, &column.name.name, column_type);
        let mut sequence = serial.map(|_| (Generation::Serial, SequenceOptions::default()));
        let mut nullable: Option<bool> = serial.map(|_| false);
        for constraint in &column.constraints {
            let place = constraint.position as usize;
            match &constraint.kind {
                ConstraintKind::NotNull => {
                    set_nullable(&mut nullable, false, (column, &table.name), place)?
                }
                ConstraintKind::Null => {
                    set_nullable(&mut nullable, true, (column, &table.name), place)?
                }
                ConstraintKind::Default(expression, range) => {
                    if schema.default.is_some() || sequence.is_some() {
                        return Err(twice("default values", column, &table.name, place));
                    }
                    self.check_default(expression, &schema)?;
                    schema.default = Some(self.range_text(*range));
                }
                ConstraintKind::Identity { always, options } => {
                    if sequence.is_some() {
                        let what = "identity specifications";
                        return Err(twice(what, column, &table.name, place));
                    }
                    if schema.default.is_some() {
                        return Err(twice("default values", column, &table.name, place));
                    }
                    if !column_type.sql_type.is_integer() {
                        return Err(PlanError::at(
                            SqlState::INVALID_PARAMETER_VALUE,
                            place,
                            "identity column type must be smallint, integer, or bigint",
                        ));
                    }
                    let generation =
                        if *always { Generation::Always } else { Generation::ByDefault };
                    sequence = Some((generation, options.clone()));
                    set_nullable(&mut nullable, false, (column, &table.name), place)?;
                }
                ConstraintKind::Generated => {
                    return Err(PlanError::unsupported("a generated column").or_at(place));
                }
                _ => {}
            }
        }
        schema.not_null = nullable == Some(false);
        let sequence = match sequence {
            None => None,
            Some((generation, options)) => {
                let taken =
                    |name: &str| table.sequences.iter().any(|(_, _, other)| &*other.name == name);
                let parts = [&*table.name, &*column.name.name];
                let name = self.free_name(&table.namespace, &parts, "seq", &taken);
                let names = (table.namespace.clone(), name);
                let made = self.sequence(names, &options, column_type.sql_type)?;
                Some((generation, made))
            }
        };
        Ok((schema, sequence))
    }

    /// The bytes of the statement that an expression was written in.
    pub(super) fn range_text(&self, range: (u32, u32)) -> Box<str> {
        self.text[range.0 as usize..range.1 as usize].into()
    }

    /// A DEFAULT: names no columns, has a type that can be assigned.
    pub(super) fn check_default(
        &mut self,
        expression: &syntax::Expr,
        column: &ColumnSchema,
    ) -> Result<functions::Expr> {
        let place = expression.position;
        let bound = self.alone(Clause::Default, |binder| binder.expression(expression));
        let bound = bound.map_err(|error| {
            if error.state == SqlState::UNDEFINED_COLUMN {
                return PlanError::at(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    place as usize,
                    "cannot use column reference in DEFAULT expression",
                );
            }
            error
        })?;
        self.assign(bound, column, place, "default expression")
    }

    fn table_constraint(
        &mut self,
        constraint: &Constraint,
        column: Option<usize>,
        definition: &mut TableDefinition,
    ) -> Result<()> {
        let place = constraint.position as usize;
        match &constraint.kind {
            ConstraintKind::PrimaryKey(names) => {
                let positions = match column {
                    Some(position) => alloc::vec![position as u16],
                    None => key_positions(names, &definition.columns, place)?,
                };
                if definition.primary_key.is_some() {
                    return Err(PlanError::at(
                        SqlState::INVALID_TABLE_DEFINITION,
                        place,
                        format!(
                            "multiple primary keys for table \"{}\" are not allowed",
                            definition.name
                        ),
                    ));
                }
                let name = match &constraint.name {
                    Some(name) => {
                        let known = self.catalog.relation(&definition.namespace, &name.name);
                        if known.is_some() || name.name == definition.name {
                            return Err(PlanError::at(
                                SqlState::DUPLICATE_TABLE,
                                name.position as usize,
                                format!("relation \"{}\" already exists", name.name),
                            ));
                        }
                        name.name.clone()
                    }
                    None => {
                        let parts = [&*definition.name];
                        self.free_name(&definition.namespace, &parts, "pkey", &|_| false)
                    }
                };
                let columns = key_columns(&positions, &mut definition.columns)?;
                definition.primary_key = Some((name, columns));
                definition.partitioning = Partitioning::Hash { columns: 1 };
                Ok(())
            }
            ConstraintKind::Check(expression, range) => {
                let names = constraint.name.as_ref();
                let check = self.check(expression, *range, names, column, definition)?;
                definition.checks.push(check);
                Ok(())
            }
            ConstraintKind::Unique => {
                Err(PlanError::unsupported("a UNIQUE constraint").or_at(place))
            }
            ConstraintKind::ForeignKey => {
                Err(PlanError::unsupported("a FOREIGN KEY constraint").or_at(place))
            }
            ConstraintKind::Exclude => {
                Err(PlanError::unsupported("an EXCLUDE constraint").or_at(place))
            }
            _ => Ok(()),
        }
    }

    /// A CHECK over the columns defined so far (a column's own may name all of them).
    pub(super) fn check(
        &mut self,
        expression: &syntax::Expr,
        range: (u32, u32),
        name: Option<&Ident>,
        column: Option<usize>,
        table: &TableDefinition,
    ) -> Result<CheckSchema> {
        let entry = definition_entry(table);
        let bound = self.over(alloc::vec![entry], Clause::Check, |binder| {
            let bound = binder.expression(expression)?;
            binder.boolean(bound, "CHECK", expression.position)
        })?;
        let taken = |name: &str| table.checks.iter().any(|check| &*check.name == name);
        let name = match name {
            Some(name) => {
                if taken(&name.name) {
                    return Err(PlanError::at(
                        SqlState::DUPLICATE_OBJECT,
                        name.position as usize,
                        format!("check constraint \"{}\" already exists", name.name),
                    ));
                }
                name.name.clone()
            }
            None => {
                // Named after the one column it reads, if there is one.
                let mut read = bound.columns_read();
                read.dedup();
                let named = match (column, read.as_slice()) {
                    (Some(position), _) => Some(position),
                    (None, [only]) => Some(*only as usize),
                    _ => None,
                };
                let mut parts: Vec<&str> = alloc::vec![&table.name];
                parts.extend(named.map(|position| &*table.columns[position].name));
                self.free_name("", &parts, "check", &taken)
            }
        };
        Ok(CheckSchema { name, expression: self.range_text(range) })
    }

    fn table_settings(
        &mut self,
        settings: &[Setting],
        definition: &mut TableDefinition,
    ) -> Result<()> {
        for setting in settings {
            if &*setting.name.name == "partition_key" {
                definition.partitioning = partition_key(setting, definition)?;
                continue;
            }
            crate::parse::check_kept_setting(setting)?;
            let text = format!(
                "table parameter \"{}\" has no effect: what it promises is kept without it",
                setting.name.name
            );
            self.notice(SqlState::SUCCESSFUL_COMPLETION, text);
        }
        Ok(())
    }
}

/// `serial` and its kin, which are no types.
fn serial_type(type_name: &syntax::TypeName) -> Option<SqlType> {
    let [name] = type_name.name.parts.as_slice() else { return None };
    match &*name.name {
        "serial" | "serial4" => Some(SqlType::Int4),
        "bigserial" | "serial8" => Some(SqlType::Int8),
        "smallserial" | "serial2" => Some(SqlType::Int2),
        _ => None,
    }
}

pub(super) fn plain_column(
    before: &[ColumnSchema],
    name: &str,
    column_type: ColumnType,
) -> ColumnSchema {
    ColumnSchema {
        id: ColumnId(before.len() as u16),
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

fn check_column_count(count: usize) -> Result<()> {
    let most = types::limits::COLUMNS_MAX;
    if count >= most {
        return Err(PlanError::new(
            SqlState::TOO_MANY_COLUMNS,
            format!("tables can have at most {most} columns"),
        ));
    }
    Ok(())
}

fn check_new_column(columns: &[ColumnSchema], name: &Ident) -> Result<()> {
    let place = name.position as usize;
    if SYSTEM_COLUMNS.contains(&&*name.name) {
        return Err(PlanError::at(
            SqlState::DUPLICATE_COLUMN,
            place,
            format!("column name \"{}\" conflicts with a system column name", name.name),
        ));
    }
    if columns.iter().any(|column| column.name == name.name) {
        return Err(PlanError::at(
            SqlState::DUPLICATE_COLUMN,
            place,
            format!("column \"{}\" specified more than once", name.name),
        ));
    }
    Ok(())
}

pub(super) fn check_system_name(name: &Ident) -> Result<()> {
    check_new_column(&[], name)
}

pub(super) fn check_storable(column_type: ColumnType, name: &Ident) -> Result<()> {
    let sql_type = column_type.sql_type;
    if sql_type.storable() {
        return Ok(());
    }
    if matches!(sql_type, SqlType::Unknown | SqlType::Void) {
        return Err(PlanError::at(
            SqlState::INVALID_TABLE_DEFINITION,
            name.position as usize,
            format!("column \"{}\" has pseudo-type {}", name.name, sql_type.name()),
        ));
    }
    Err(PlanError::unsupported(format!("a column of type {}", sql_type.name()))
        .or_at(name.position as usize))
}

fn set_nullable(
    nullable: &mut Option<bool>,
    wanted: bool,
    (column, table): (&ColumnDefinition, &str),
    position: usize,
) -> Result<()> {
    if nullable.is_some_and(|known| known != wanted) {
        return Err(PlanError::syntax(
            position,
            format!(
                "conflicting NULL/NOT NULL declarations for column \"{}\" of table \"{table}\"",
                column.name.name
            ),
        ));
    }
    *nullable = Some(wanted);
    Ok(())
}

fn twice(what: &str, column: &ColumnDefinition, table: &str, position: usize) -> Box<PlanError> {
    PlanError::syntax(
        position,
        format!(
            "multiple {what} specified for column \"{}\" of table \"{table}\"",
            column.name.name
        ),
    )
}

/// Positions of the columns that a key names.
pub(super) fn key_positions(
    names: &[Ident],
    columns: &[ColumnSchema],
    constraint: usize,
) -> Result<Vec<u16>> {
    check_key_width(names.len())?;
    let mut positions = Vec::with_capacity(names.len());
    for name in names {
        let found = columns
            .iter()
            .position(|column| column.name == name.name && !column.dropped && !column.hidden);
        let position = found.ok_or_else(|| {
            PlanError::at(
                SqlState::UNDEFINED_COLUMN,
                constraint,
                format!("column \"{}\" named in key does not exist", name.name),
            )
        })? as u16;
        if positions.contains(&position) {
            return Err(PlanError::at(
                SqlState::DUPLICATE_COLUMN,
                constraint,
                format!("column \"{}\" appears twice in primary key constraint", name.name),
            ));
        }
        positions.push(position);
    }
    Ok(positions)
}

/// A primary key over these columns, which become NOT NULL.
fn key_columns(positions: &[u16], columns: &mut [ColumnSchema]) -> Result<Vec<KeyColumn>> {
    check_key_width(positions.len())?;
    let mut key = Vec::with_capacity(positions.len());
    for position in positions {
        columns[usize::from(*position)].not_null = true;
        key.push(KeyColumn { position: *position, order: KeyOrder::PRIMARY });
    }
    Ok(key)
}

/// `partition_key = '(a, b)'`: so many leading key columns choose the token; `''` orders the table by its key.
fn partition_key(setting: &Setting, definition: &TableDefinition) -> Result<Partitioning> {
    let place = setting.name.position as usize;
    let wrong = |message: &'static str| {
        Err(PlanError::at(SqlState::INVALID_PARAMETER_VALUE, place, message))
    };
    let SettingValue::Text(text) = &setting.value else {
        return wrong("partition_key is a list of columns, as in '(a, b)'");
    };
    let Some((_, key)) = &definition.primary_key else {
        return Err(PlanError::at(
            SqlState::INVALID_TABLE_DEFINITION,
            place,
            "partition_key needs a primary key",
        ));
    };
    let inner = text.trim();
    let inner = inner.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(inner);
    if inner.trim().is_empty() {
        return Ok(Partitioning::Ordered);
    }
    let mut count = 0u16;
    for name in inner.split(',') {
        let name = name.trim();
        let name = match name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(quoted) => quoted.replace("\"\"", "\""),
            None => name.to_ascii_lowercase(),
        };
        let expected = key
            .get(usize::from(count))
            .map(|column| &*definition.columns[usize::from(column.position)].name);
        if expected != Some(&*name) {
            return wrong("partition_key names leading columns of the primary key, in their order");
        }
        count += 1;
    }
    Ok(Partitioning::Hash { columns: count })
}

/// Names of the columns of a table that does not exist yet.
fn definition_entry(table: &TableDefinition) -> Entry {
    let columns = table
        .columns
        .iter()
        .enumerate()
        .filter(|(_, column)| !column.dropped && !column.hidden)
        .map(|(position, column)| ScopeColumn {
            name: column.name.clone(),
            column_type: column.column_type,
            value: ColumnValue::At(position as u32),
            origin: None,
        })
        .collect();
    let mut entry = Entry::unnamed(columns);
    entry.name = Some(table.name.clone());
    entry
}
