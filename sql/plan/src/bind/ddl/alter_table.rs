//! ALTER TABLE. Actions are bound in order against the table as the earlier ones leave it.

use super::super::Binder;
use super::super::scope::Clause;
use super::super::table::unplaced;
use super::create_table::{check_system_name, key_positions};
use crate::catalog::Relation;
use crate::error::{PlanError, Result};
use crate::statement::{AlterAction, Ddl, TableDefinition};
use crate::syntax::{self, AlterTable, Constraint, ConstraintKind, Ident};
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use functions::{CastKind, Expr, Volatility, evaluate};
use types::key::KeyOrder;
use types::schema::{KeyColumn, Partitioning};
use types::{ColumnType, SqlState, SqlType, TableSchema};

impl Binder<'_> {
    pub(super) fn alter_table(&mut self, alter: &AlterTable) -> Result<Ddl> {
        if self.find_relation(&alter.name)?.is_none() && alter.if_exists {
            let name = super::super::written(&alter.name);
            let message = format!("relation \"{name}\" does not exist, skipping");
            self.notice(SqlState::SUCCESSFUL_COMPLETION, message);
            return Ok(Ddl::AlterTable { table: None, actions: Vec::new() });
        }
        if let Some(Relation::Sequence(_) | Relation::Index { .. } | Relation::PrimaryIndex(_)) =
            self.find_relation(&alter.name)?
        {
            return Err(PlanError::unsupported("ALTER TABLE of something that is no table"));
        }
        let table = self.stored_table(&alter.name)?;
        let mut working = (*table).clone();
        let mut actions = Vec::with_capacity(alter.actions.len());
        for action in &alter.actions {
            let bound = match action {
                syntax::AlterAction::SetType { name, type_name, using } => {
                    let to = (type_name, using.as_ref());
                    Some(self.set_type(name, to, &table, &mut working)?)
                }
                _ => self.alter_action(action, &mut working, &mut actions)?,
            };
            actions.extend(bound);
        }
        Ok(Ddl::AlterTable { table: Some(table), actions })
    }

    fn alter_action(
        &mut self,
        action: &syntax::AlterAction,
        table: &mut TableSchema,
        before: &mut Vec<AlterAction>,
    ) -> Result<Option<AlterAction>> {
        use syntax::AlterAction as Syntax;
        Ok(Some(match action {
            Syntax::AddColumn { column, if_not_exists } => {
                return self.add_column(column, *if_not_exists, table);
            }
            Syntax::DropColumn { name, if_exists, cascade } => {
                let Some(position) = self.dropped_column(name, *if_exists, table)? else {
                    return Ok(None);
                };
                before.extend(self.drop_column(name, position, *cascade, table)?);
                AlterAction::DropColumn { position }
            }
            Syntax::AddConstraint(constraint) => self.add_constraint(constraint, table)?,
            Syntax::DropConstraint { name, if_exists } => {
                return self.drop_constraint(name, *if_exists, table);
            }
            Syntax::SetNotNull(name) => {
                let position = self.target_column(table, name)?;
                table.columns[usize::from(position)].not_null = true;
                AlterAction::SetNotNull { position }
            }
            Syntax::DropNotNull(name) => self.drop_not_null(name, table)?,
            Syntax::SetDefault(name, expression, range) => {
                let position = self.target_column(table, name)?;
                refuse_identity(table, position)?;
                let column = table.columns[usize::from(position)].clone();
                self.check_default(expression, &column)?;
                let default = Some(self.range_text(*range));
                AlterAction::SetDefault { position, default }
            }
            Syntax::DropDefault(name) => {
                let position = self.target_column(table, name)?;
                refuse_identity(table, position)?;
                AlterAction::SetDefault { position, default: None }
            }
            Syntax::RenameTable(name) => {
                if self.catalog.relation(&table.namespace, &name.name).is_some() {
                    return Err(PlanError::at(
                        SqlState::DUPLICATE_TABLE,
                        name.position as usize,
                        format!("relation \"{}\" already exists", name.name),
                    ));
                }
                table.name = name.name.clone();
                AlterAction::RenameTable { name: name.name.clone() }
            }
            Syntax::RenameColumn(from, to) => self.rename_column(from, to, table)?,
            Syntax::Kept => AlterAction::Kept,
            Syntax::SetType { .. } => unreachable!("bound by the caller"),
        }))
    }

    /// ALTER COLUMN … TYPE: the value of each row is computed from the row as it was before the whole statement.
    fn set_type(
        &mut self,
        name: &Ident,
        (type_name, using): (&syntax::TypeName, Option<&syntax::Expr>),
        before: &Arc<TableSchema>,
        table: &mut TableSchema,
    ) -> Result<AlterAction> {
        let place = name.position as usize;
        let position = self.target_column(table, name)?;
        let index = usize::from(position);
        let known = before.columns.get(index).map(|column| column.column_type);
        let Some(from) = known.filter(|from| *from == table.columns[index].column_type) else {
            return Err(PlanError::unsupported("a second change of a column in one ALTER TABLE")
                .or_at(place));
        };
        let to = self.type_of(type_name)?;
        super::create_table::check_storable(to, name)?;
        let old = match using {
            None => Expr::Column { index: u32::from(position), column_type: from },
            Some(using) => {
                let entry = self.stored_entry(before, 0);
                self.over(alloc::vec![entry], Clause::Default, |binder| binder.expression(using))?
            }
        };
        if old.needs_query() {
            return Err(PlanError::unsupported("a subquery in USING").or_at(place));
        }
        let value = self.try_coerce(old, to, CastKind::Assignment)?.ok_or_else(|| {
            let (what, to) = (&name.name, to.sql_type.name());
            let message = match using {
                None => format!("column \"{what}\" cannot be cast automatically to type {to}"),
                Some(_) => format!(
                    "result of USING clause for column \"{what}\" cannot be cast automatically to type {to}"
                ),
            };
            let error = PlanError::new(SqlState::DATATYPE_MISMATCH, message);
            match using {
                None => error.hint(format!("You might need to specify \"USING {what}::{to}\".")),
                Some(_) => error.hint("You might need to add an explicit cast."),
            }
        })?;
        table.columns[index].column_type = to;
        let column = table.columns[index].clone();
        if column.default.is_some() {
            self.default_of(&column).map_err(|_| {
                PlanError::new(
                    SqlState::DATATYPE_MISMATCH,
                    format!(
                        "default for column \"{}\" cannot be cast automatically to type {}",
                        name.name,
                        to.sql_type.name()
                    ),
                )
            })?;
        }
        let snapshot = Arc::new(table.clone());
        let checks = self.checks(&snapshot, Some(&[position]))?;
        let value = Some(value).filter(|_| using.is_some() || !holds_all(from, to));
        Ok(AlterAction::SetType { position, column_type: to, value, checks })
    }

    fn add_column(
        &mut self,
        column: &syntax::ColumnDefinition,
        if_not_exists: bool,
        table: &mut TableSchema,
    ) -> Result<Option<AlterAction>> {
        check_system_name(&column.name)?;
        let place = column.name.position as usize;
        if table.column_position(&column.name.name).is_some() {
            let message = format!(
                "column \"{}\" of relation \"{}\" already exists",
                column.name.name, table.name
            );
            self.already_exists(SqlState::DUPLICATE_COLUMN, message, if_not_exists, place)?;
            return Ok(None);
        }
        if table.columns.len() + 1 >= types::limits::COLUMNS_MAX {
            return Err(PlanError::new(
                SqlState::TOO_MANY_COLUMNS,
                format!("tables can have at most {} columns", types::limits::COLUMNS_MAX),
            ));
        }
        let mut definition = as_definition(table);
        let (mut schema, sequence) = self.column_schema(column, &definition)?;
        definition.columns.push(schema.clone());
        let mut checks = Vec::new();
        for constraint in &column.constraints {
            match &constraint.kind {
                ConstraintKind::Check(expression, range) => {
                    let last = Some(definition.columns.len() - 1);
                    let name = constraint.name.as_ref();
                    let check = self.check(expression, *range, name, last, &definition)?;
                    definition.checks.push(check.clone());
                    checks.push(check);
                }
                ConstraintKind::PrimaryKey(_) => {
                    return Err(PlanError::unsupported("ADD COLUMN … PRIMARY KEY"));
                }
                ConstraintKind::Unique => {
                    return Err(PlanError::unsupported("a UNIQUE constraint"));
                }
                ConstraintKind::ForeignKey => {
                    return Err(PlanError::unsupported("a FOREIGN KEY constraint"));
                }
                _ => {}
            }
        }
        let mut rewrite = None;
        if sequence.is_some() {
            // Every row takes its own number when the table is written anew.
            rewrite = Some(super::super::table::null_of(schema.column_type));
        } else if schema.default.is_some() {
            let value = self.default_of(&schema).map_err(unplaced)?;
            if value.volatility() == Volatility::Volatile {
                rewrite = Some(value);
            } else {
                schema.missing = evaluate(&value, &[], &[], &self.context)
                    .map_err(|error| Box::<PlanError>::from(error).or_at(place))?;
            }
        }
        table.columns.push(schema.clone());
        table.checks.extend(checks.iter().cloned());
        Ok(Some(AlterAction::AddColumn { column: Box::new(schema), rewrite, sequence, checks }))
    }

    /// The column to drop, or nothing where IF EXISTS lets that pass.
    fn dropped_column(
        &mut self,
        name: &Ident,
        if_exists: bool,
        table: &TableSchema,
    ) -> Result<Option<u16>> {
        if let Some(position) = table.column_position(&name.name) {
            return Ok(Some(position));
        }
        let place = name.position as usize;
        let message =
            format!("column \"{}\" of relation \"{}\" does not exist", name.name, table.name);
        if !if_exists {
            return Err(PlanError::at(SqlState::UNDEFINED_COLUMN, place, message));
        }
        self.notice(SqlState::SUCCESSFUL_COMPLETION, format!("{message}, skipping"));
        Ok(None)
    }

    /// What goes with a column: the CHECKs that name it. One that names others too needs CASCADE.
    fn drop_column(
        &mut self,
        name: &Ident,
        position: u16,
        cascade: bool,
        table: &mut TableSchema,
    ) -> Result<Vec<AlterAction>> {
        let place = name.position as usize;
        if table.primary_key.is_some() && table.key.iter().any(|key| key.position == position) {
            return Err(PlanError::unsupported("DROP COLUMN of a primary key column").or_at(place));
        }
        let snapshot = Arc::new(table.clone());
        let mut gone = Vec::new();
        for check in self.checks(&snapshot, Some(&[position]))? {
            let alone = check.condition.columns_read().len() == 1;
            if !alone && !cascade {
                return Err(PlanError::at(
                    SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                    place,
                    format!(
                        "cannot drop column {} of table {} because other objects depend on it",
                        name.name, table.name
                    ),
                )
                .detail(format!(
                    "constraint {} on table {} depends on column {} of table {}",
                    check.name, table.name, name.name, table.name
                ))
                .hint("Use DROP ... CASCADE to drop the dependent objects too."));
            }
            table.checks.retain(|known| known.name != check.name);
            gone.push(AlterAction::DropCheck { name: check.name });
        }
        table.columns[usize::from(position)].dropped = true;
        Ok(gone)
    }

    fn add_constraint(
        &mut self,
        constraint: &Constraint,
        table: &mut TableSchema,
    ) -> Result<AlterAction> {
        let place = constraint.position as usize;
        match &constraint.kind {
            ConstraintKind::PrimaryKey(names) => {
                if table.primary_key.is_some() {
                    return Err(PlanError::at(
                        SqlState::INVALID_TABLE_DEFINITION,
                        place,
                        format!(
                            "multiple primary keys for table \"{}\" are not allowed",
                            table.name
                        ),
                    ));
                }
                for name in names {
                    self.target_column(table, name)?;
                }
                let positions = key_positions(names, &table.columns, place)?;
                let name = match &constraint.name {
                    Some(name) => {
                        if self.catalog.relation(&table.namespace, &name.name).is_some() {
                            return Err(PlanError::at(
                                SqlState::DUPLICATE_TABLE,
                                name.position as usize,
                                format!("relation \"{}\" already exists", name.name),
                            ));
                        }
                        name.name.clone()
                    }
                    None => self.free_name(&table.namespace, &[&table.name], "pkey", &|_| false),
                };
                let columns: Vec<KeyColumn> = positions
                    .iter()
                    .map(|position| KeyColumn { position: *position, order: KeyOrder::PRIMARY })
                    .collect();
                for position in positions {
                    table.columns[usize::from(position)].not_null = true;
                }
                table.primary_key = Some(name.clone());
                table.key = columns.clone();
                let partitioning = Partitioning::Hash { columns: 1 };
                table.partitioning = partitioning;
                Ok(AlterAction::AddPrimaryKey { name, columns, partitioning })
            }
            ConstraintKind::Check(expression, range) => {
                let definition = as_definition(table);
                let name = constraint.name.as_ref();
                let check = self.check(expression, *range, name, None, &definition)?;
                let snapshot = Arc::new(table.clone());
                let condition = self.check_condition(&snapshot, expression)?;
                table.checks.push(check.clone());
                Ok(AlterAction::AddCheck { check, condition })
            }
            ConstraintKind::Unique => {
                Err(PlanError::unsupported("a UNIQUE constraint").or_at(place))
            }
            ConstraintKind::ForeignKey => {
                Err(PlanError::unsupported("a FOREIGN KEY constraint").or_at(place))
            }
            _ => Err(PlanError::unsupported("this constraint").or_at(place)),
        }
    }

    fn drop_constraint(
        &mut self,
        name: &Ident,
        if_exists: bool,
        table: &mut TableSchema,
    ) -> Result<Option<AlterAction>> {
        if table.primary_key.as_deref() == Some(&*name.name) {
            table.primary_key = None;
            return Ok(Some(AlterAction::DropPrimaryKey));
        }
        if table.checks.iter().any(|check| check.name == name.name) {
            table.checks.retain(|check| check.name != name.name);
            return Ok(Some(AlterAction::DropCheck { name: name.name.clone() }));
        }
        let message =
            format!("constraint \"{}\" of relation \"{}\" does not exist", name.name, table.name);
        if !if_exists {
            let place = name.position as usize;
            return Err(PlanError::at(SqlState::UNDEFINED_OBJECT, place, message));
        }
        self.notice(SqlState::SUCCESSFUL_COMPLETION, format!("{message}, skipping"));
        Ok(None)
    }

    fn drop_not_null(&mut self, name: &Ident, table: &mut TableSchema) -> Result<AlterAction> {
        let position = self.target_column(table, name)?;
        let column = &table.columns[usize::from(position)];
        if table.primary_key.is_some() && table.key.iter().any(|key| key.position == position) {
            return Err(PlanError::at(
                SqlState::INVALID_TABLE_DEFINITION,
                name.position as usize,
                format!("column \"{}\" is in a primary key", name.name),
            ));
        }
        if column
            .sequence
            .is_some_and(|sequence| sequence.generation != types::schema::Generation::Serial)
        {
            return Err(PlanError::at(
                SqlState::SYNTAX_ERROR,
                name.position as usize,
                format!(
                    "column \"{}\" of relation \"{}\" is an identity column",
                    name.name, table.name
                ),
            ));
        }
        table.columns[usize::from(position)].not_null = false;
        Ok(AlterAction::DropNotNull { position })
    }

    fn rename_column(
        &mut self,
        from: &Ident,
        to: &Ident,
        table: &mut TableSchema,
    ) -> Result<AlterAction> {
        check_system_name(to)?;
        let position = table.column_position(&from.name).ok_or_else(|| {
            PlanError::at(
                SqlState::UNDEFINED_COLUMN,
                from.position as usize,
                format!("column \"{}\" does not exist", from.name),
            )
        })?;
        if table.column_position(&to.name).is_some() {
            return Err(PlanError::at(
                SqlState::DUPLICATE_COLUMN,
                to.position as usize,
                format!("column \"{}\" of relation \"{}\" already exists", to.name, table.name),
            ));
        }
        let snapshot = Arc::new(table.clone());
        if !self.checks(&snapshot, Some(&[position]))?.is_empty() {
            // Its text names the column.
            return Err(PlanError::unsupported("RENAME COLUMN of a column that a CHECK names")
                .or_at(from.position as usize));
        }
        table.columns[usize::from(position)].name = to.name.clone();
        Ok(AlterAction::RenameColumn { position, name: to.name.clone() })
    }
}

fn refuse_identity(table: &TableSchema, position: u16) -> Result<()> {
    let column = &table.columns[usize::from(position)];
    let identity = column
        .sequence
        .is_some_and(|sequence| sequence.generation != types::schema::Generation::Serial);
    if identity {
        return Err(PlanError::new(
            SqlState::SYNTAX_ERROR,
            format!(
                "column \"{}\" of relation \"{}\" is an identity column",
                column.name, table.name
            ),
        )
        .hint("Use ALTER TABLE ... ALTER COLUMN ... DROP IDENTITY instead."));
    }
    Ok(())
}

/// Whether every value of one type is one of the other as it is stored.
fn holds_all(from: ColumnType, to: ColumnType) -> bool {
    let longer = from.sql_type == SqlType::Varchar && from.modifier >= 0;
    from.sql_type == to.sql_type
        && (from.modifier == to.modifier
            || to.modifier < 0
            || longer && to.modifier > from.modifier)
}

/// A table that exists, in the form of one to be made.
fn as_definition(table: &TableSchema) -> TableDefinition {
    TableDefinition {
        namespace: table.namespace.clone(),
        name: table.name.clone(),
        columns: table.columns.clone(),
        sequences: Vec::new(),
        primary_key: None,
        partitioning: table.partitioning,
        checks: table.checks.clone(),
    }
}
