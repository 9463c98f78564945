//! Changes of the schema: what is named exists, what is made does not, and definitions make sense. Ids are given later (`crate::ddl`).

mod alter_table;
mod create_table;
mod drop;
mod sequence;

use super::Binder;
use crate::catalog::{Relation, Role};
use crate::error::{PlanError, Result};
use crate::statement::{Ddl, PasswordChange};
use crate::syntax::{self, Name, Statement};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use types::key::{KeyOrder, Nulls};
use types::schema::{IndexSchema, IndexState, KeyColumn};
use types::{SqlState, TableId, TableSchema};

impl Binder<'_> {
    pub(super) fn ddl(&mut self, statement: &Statement) -> Result<Ddl> {
        match statement {
            Statement::CreateTable(create) => self.create_table(create),
            Statement::CreateIndex(create) => self.create_index(create),
            Statement::CreateSequence(create) => self.create_sequence(create),
            Statement::CreateSchema { name, if_not_exists } => {
                self.create_schema(name, *if_not_exists)
            }
            Statement::AlterTable(alter) => self.alter_table(alter),
            Statement::AlterSequence(alter) => self.alter_sequence(alter),
            Statement::Drop(drop) => self.drop(drop),
            Statement::Truncate(truncate) => self.truncate(truncate),
            Statement::Role(role) => self.role(role),
            _ => Err(PlanError::new(SqlState::INTERNAL_ERROR, "a statement went astray")),
        }
    }

    fn create_schema(&mut self, name: &syntax::Ident, if_not_exists: bool) -> Result<Ddl> {
        let place = name.position as usize;
        if name.name.starts_with("pg_") {
            return Err(PlanError::at(
                SqlState::RESERVED_NAME,
                place,
                format!("unacceptable schema name \"{}\"", name.name),
            )
            .detail("The prefix \"pg_\" is reserved for system schemas."));
        }
        let exists = self.catalog.schema_oid(&name.name).is_some();
        if exists {
            let message = format!("schema \"{}\" already exists", name.name);
            self.already_exists(SqlState::DUPLICATE_SCHEMA, message, if_not_exists, place)?;
        }
        Ok(Ddl::CreateSchema { name: name.name.clone(), skip: exists })
    }

    /// What exists already is an error, or with IF NOT EXISTS a notice.
    fn already_exists(
        &mut self,
        state: SqlState,
        message: String,
        if_not_exists: bool,
        position: usize,
    ) -> Result<()> {
        if !if_not_exists {
            return Err(PlanError::at(state, position, message));
        }
        self.notice(state, format!("{message}, skipping"));
        Ok(())
    }

    /// The schema a new relation goes to, and its name.
    fn creation_name(&self, name: &Name) -> Result<(Box<str>, Box<str>)> {
        let position = name.parts[0].position as usize;
        let (schema, relation) = match name.parts.as_slice() {
            [relation] => {
                let schema = self.search_path.creation(self.catalog).ok_or_else(|| {
                    PlanError::at(
                        SqlState::INVALID_SCHEMA_NAME,
                        position,
                        "no schema has been selected to create in",
                    )
                })?;
                (schema.into(), relation.name.clone())
            }
            [schema, relation] | [_, schema, relation] => {
                if self.catalog.schema_oid(&schema.name).is_none() {
                    return Err(PlanError::at(
                        SqlState::INVALID_SCHEMA_NAME,
                        position,
                        format!("schema \"{}\" does not exist", schema.name),
                    ));
                }
                (schema.name.clone(), relation.name.clone())
            }
            _ => return Err(super::undefined_table(name)),
        };
        let schema: Box<str> = schema;
        if matches!(&*schema, "pg_catalog" | "information_schema" | "ringfence") {
            return Err(PlanError::at(
                SqlState::INSUFFICIENT_PRIVILEGE,
                position,
                format!("permission denied to create \"{schema}.{relation}\""),
            )
            .detail("System catalog modifications are currently disallowed."));
        }
        Ok((schema, relation))
    }

    /// A name like PostgreSQL makes them: `table_column_suffix`, cut to what an identifier may hold, with a number if it is taken.
    fn free_name(
        &self,
        schema: &str,
        parts: &[&str],
        suffix: &str,
        taken: &dyn Fn(&str) -> bool,
    ) -> Box<str> {
        for number in 0u32.. {
            let suffix =
                if number == 0 { String::from(suffix) } else { format!("{suffix}{number}") };
            let room = types::limits::IDENTIFIER_BYTES_MAX - suffix.len() - parts.len();
            let mut kept: Vec<&str> = parts.to_vec();
            while kept.iter().map(|part| part.len()).sum::<usize>() > room {
                let longest = (0..kept.len())
                    .max_by_key(|index| kept[*index].len())
                    .expect("a name has parts");
                let part = kept[longest];
                let end =
                    (0..part.len()).rev().find(|end| part.is_char_boundary(*end)).unwrap_or(0);
                kept[longest] = &part[..end];
            }
            let name = format!("{}_{suffix}", kept.join("_"));
            if self.catalog.relation(schema, &name).is_none() && !taken(&name) {
                return name.into();
            }
        }
        unreachable!("there are more numbers than relations")
    }

    // --- indexes

    fn create_index(&mut self, create: &syntax::CreateIndex) -> Result<Ddl> {
        let table = self.stored_table(&create.table)?;
        if create.unique {
            return Err(PlanError::unsupported("a unique index"));
        }
        if create.include {
            return Err(PlanError::unsupported("INCLUDE"));
        }
        if create.filter {
            return Err(PlanError::unsupported("a partial index"));
        }
        if let Some(method) = &create.method
            && &*method.name != "btree"
        {
            let known = ["hash", "gist", "gin", "spgist", "brin"];
            let place = method.position as usize;
            return Err(if known.contains(&&*method.name) {
                PlanError::unsupported(format!("the access method {}", method.name)).or_at(place)
            } else {
                PlanError::at(
                    SqlState::UNDEFINED_OBJECT,
                    place,
                    format!("access method \"{}\" does not exist", method.name),
                )
            });
        }
        let columns = self.index_columns(create, &table)?;
        let (name, skip) = match &create.name {
            Some(name) => {
                let exists = self.catalog.relation(&table.namespace, &name.name).is_some();
                if exists {
                    let message = format!("relation \"{}\" already exists", name.name);
                    let place = name.position as usize;
                    let state = SqlState::DUPLICATE_TABLE;
                    self.already_exists(state, message, create.if_not_exists, place)?;
                }
                (name.name.clone(), exists)
            }
            None => {
                let mut parts: Vec<&str> = alloc::vec![&table.name];
                parts.extend(
                    columns.iter().map(|key| &*table.columns[usize::from(key.position)].name),
                );
                (self.free_name(&table.namespace, &parts, "idx", &|_| false), false)
            }
        };
        let index =
            IndexSchema { index_id: TableId(0), name, columns, state: IndexState::WriteOnly };
        Ok(Ddl::CreateIndex { table, index, skip })
    }

    fn index_columns(
        &self,
        create: &syntax::CreateIndex,
        table: &TableSchema,
    ) -> Result<Vec<KeyColumn>> {
        check_key_width(create.columns.len())?;
        let mut columns = Vec::with_capacity(create.columns.len());
        for item in &create.columns {
            let Some(name) = item.expression.as_plain_column() else {
                return Err(PlanError::unsupported("an index on an expression")
                    .or_at(item.expression.position as usize));
            };
            let position = table.column_position(&name.name).ok_or_else(|| {
                PlanError::at(
                    SqlState::UNDEFINED_COLUMN,
                    name.position as usize,
                    format!("column \"{}\" does not exist", name.name),
                )
            })?;
            let first = item.nulls_first.unwrap_or(item.descending);
            let nulls = if first { Nulls::First } else { Nulls::Last };
            let order = KeyOrder { descending: item.descending, nulls };
            columns.push(KeyColumn { position, order });
        }
        Ok(columns)
    }

    fn truncate(&mut self, truncate: &syntax::Truncate) -> Result<Ddl> {
        let mut tables = Vec::with_capacity(truncate.tables.len());
        for name in &truncate.tables {
            let table = self.stored_table(name)?;
            let known = tables
                .iter()
                .any(|one: &alloc::sync::Arc<TableSchema>| one.table_id == table.table_id);
            if !known {
                tables.push(table);
            }
        }
        Ok(Ddl::Truncate { tables, restart_identity: truncate.restart_identity })
    }

    // --- roles

    fn role(&mut self, statement: &syntax::RoleStatement) -> Result<Ddl> {
        let place = statement.name.position as usize;
        let name = match &*statement.name.name {
            "current_user" | "session_user" | "current_role" if !statement.create => {
                self.context.current_user.into()
            }
            name => Box::<str>::from(name),
        };
        let known = self.catalog.role(&name).cloned();
        let role = match (known, statement.create) {
            (Some(_), true) => {
                return Err(PlanError::at(
                    SqlState::DUPLICATE_OBJECT,
                    place,
                    format!("role \"{name}\" already exists"),
                ));
            }
            (None, false) => return Err(undefined_role(&name, place)),
            (Some(role), false) => role,
            (None, true) => {
                if name.starts_with("pg_") {
                    return Err(PlanError::at(
                        SqlState::RESERVED_NAME,
                        place,
                        format!("role name \"{name}\" is reserved"),
                    )
                    .detail("Role names starting with \"pg_\" are reserved."));
                }
                Role { oid: 0, name, superuser: false, login: false, verifier: None }
            }
        };
        let role = Role {
            superuser: statement.superuser.unwrap_or(role.superuser),
            login: statement.login.unwrap_or(role.login),
            ..role
        };
        let password = match &statement.password {
            None => PasswordChange::Keep,
            Some(None) => PasswordChange::Clear,
            Some(Some(password)) => PasswordChange::Set(password.clone()),
        };
        Ok(Ddl::PutRole { role, password })
    }
}

fn undefined_role(name: &str, position: usize) -> Box<PlanError> {
    PlanError::at(SqlState::UNDEFINED_OBJECT, position, format!("role \"{name}\" does not exist"))
}

fn check_key_width(columns: usize) -> Result<()> {
    let most = types::limits::KEY_COLUMNS_MAX;
    if columns > most {
        return Err(PlanError::new(
            SqlState::TOO_MANY_COLUMNS,
            format!("cannot use more than {most} columns in an index"),
        ));
    }
    Ok(())
}

/// What a name means instead of what was asked for, in the words of an error.
fn kind_of(relation: &Relation) -> &'static str {
    match relation {
        Relation::Table(_) | Relation::Virtual(_) => "a table",
        Relation::Sequence(_) => "a sequence",
        Relation::Index { .. } | Relation::PrimaryIndex(_) => "an index",
    }
}
