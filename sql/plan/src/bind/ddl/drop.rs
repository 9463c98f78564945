//! DROP.

use super::super::Binder;
use super::{kind_of, undefined_role};
use crate::catalog::Relation;
use crate::error::{PlanError, Result};
use crate::statement::Ddl;
use crate::syntax::{Drop, DropKind, Name};
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use types::{SqlState, TableId};

impl Binder<'_> {
    pub(super) fn drop(&mut self, drop: &Drop) -> Result<Ddl> {
        match drop.kind {
            DropKind::Table => self.drop_tables(drop),
            DropKind::Index => self.drop_indexes(drop),
            DropKind::Sequence => self.drop_sequences(drop),
            DropKind::Schema => self.drop_schemas(drop),
            DropKind::Role => self.drop_roles(drop),
            DropKind::View => {
                for name in &drop.names {
                    self.dropped(drop, name, "view")?;
                }
                Ok(Ddl::DropTable { tables: Vec::new() })
            }
        }
    }

    /// What a name means, or nothing where IF EXISTS lets that pass.
    fn dropped(&mut self, drop: &Drop, name: &Name, kind: &str) -> Result<Option<Relation>> {
        let place = name.parts[0].position as usize;
        if let Some(found) = self.find_relation(name)? {
            let is = kind_of(&found);
            let wanted = if kind == "index" { "an index".into() } else { format!("a {kind}") };
            if is != wanted {
                let (_, own) = found.name();
                return Err(PlanError::at(
                    SqlState::WRONG_OBJECT_TYPE,
                    place,
                    format!("\"{own}\" is not {wanted}"),
                )
                .hint(format!(
                    "Use DROP {} to remove {is}.",
                    is.split(' ').next_back().unwrap_or("").to_ascii_uppercase()
                )));
            }
            return Ok(Some(found));
        }
        let text = super::super::written(name);
        if let [schema, _] = name.parts.as_slice()
            && self.catalog.schema_oid(&schema.name).is_none()
        {
            let message = format!("schema \"{}\" does not exist", schema.name);
            self.missing(drop, SqlState::INVALID_SCHEMA_NAME, message, place)?;
            return Ok(None);
        }
        let state =
            if kind == "index" { SqlState::UNDEFINED_OBJECT } else { SqlState::UNDEFINED_TABLE };
        self.missing(drop, state, format!("{kind} \"{text}\" does not exist"), place)?;
        Ok(None)
    }

    fn missing(
        &mut self,
        drop: &Drop,
        state: SqlState,
        message: alloc::string::String,
        position: usize,
    ) -> Result<()> {
        if !drop.if_exists {
            return Err(PlanError::at(state, position, message));
        }
        self.notice(SqlState::SUCCESSFUL_COMPLETION, format!("{message}, skipping"));
        Ok(())
    }

    fn drop_tables(&mut self, drop: &Drop) -> Result<Ddl> {
        let mut tables: Vec<TableId> = Vec::new();
        for name in &drop.names {
            match self.dropped(drop, name, "table")? {
                Some(Relation::Table(table)) => {
                    self.depend(table.table_id, table.version);
                    if !tables.contains(&table.table_id) {
                        tables.push(table.table_id);
                    }
                }
                Some(Relation::Virtual(table)) => {
                    return Err(PlanError::new(
                        SqlState::INSUFFICIENT_PRIVILEGE,
                        format!("permission denied: \"{}\" is a system catalog", table.name()),
                    ));
                }
                _ => {}
            }
        }
        Ok(Ddl::DropTable { tables })
    }

    fn drop_indexes(&mut self, drop: &Drop) -> Result<Ddl> {
        let mut indexes = Vec::new();
        for name in &drop.names {
            match self.dropped(drop, name, "index")? {
                Some(Relation::Index { table, index }) => {
                    self.depend(table.table_id, table.version);
                    let pair = (table.table_id, table.indexes[index].index_id);
                    if !indexes.contains(&pair) {
                        indexes.push(pair);
                    }
                }
                Some(Relation::PrimaryIndex(table)) => {
                    let key = table.primary_key.as_deref().unwrap_or_default();
                    return Err(PlanError::new(
                        SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                        format!(
                            "cannot drop index {key} because constraint {key} on table {} requires it",
                            table.name
                        ),
                    )
                    .hint(format!("You can drop constraint {key} on table {} instead.", table.name)));
                }
                _ => {}
            }
        }
        Ok(Ddl::DropIndex { indexes })
    }

    fn drop_sequences(&mut self, drop: &Drop) -> Result<Ddl> {
        let mut sequences = Vec::new();
        for name in &drop.names {
            let Some(Relation::Sequence(sequence)) = self.dropped(drop, name, "sequence")? else {
                continue;
            };
            self.depend(sequence.sequence_id, sequence.version);
            let used = self.catalog.tables().find_map(|table| {
                let column = table.columns.iter().find(|column| {
                    !column.dropped
                        && column
                            .sequence
                            .is_some_and(|used| used.sequence_id == sequence.sequence_id)
                })?;
                Some((table.name.clone(), column.name.clone()))
            });
            if let Some((table, column)) = used {
                if drop.cascade {
                    return Err(PlanError::unsupported(
                        "DROP SEQUENCE … CASCADE of a sequence that a column uses",
                    ));
                }
                return Err(depended(
                    &format!("sequence {}", sequence.name),
                    &format!(
                        "default value for column {column} of table {table} depends on sequence {}",
                        sequence.name
                    ),
                ));
            }
            if !sequences.contains(&sequence.sequence_id) {
                sequences.push(sequence.sequence_id);
            }
        }
        Ok(Ddl::DropSequence { sequences })
    }

    fn drop_schemas(&mut self, drop: &Drop) -> Result<Ddl> {
        let mut names: Vec<Box<str>> = Vec::new();
        let mut tables = Vec::new();
        let mut sequences = Vec::new();
        for name in &drop.names {
            let ident = &name.parts[name.parts.len() - 1];
            let place = ident.position as usize;
            if self.catalog.schema_oid(&ident.name).is_none() {
                let message = format!("schema \"{}\" does not exist", ident.name);
                self.missing(drop, SqlState::INVALID_SCHEMA_NAME, message, place)?;
                continue;
            }
            if matches!(&*ident.name, "pg_catalog" | "information_schema" | "ringfence") {
                return Err(PlanError::at(
                    SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                    place,
                    format!(
                        "cannot drop schema {} because it is required by the database system",
                        ident.name
                    ),
                ));
            }
            if !self.catalog.schema_is_empty(&ident.name) {
                if !drop.cascade {
                    let what = format!("schema {}", ident.name);
                    let inside = self.catalog.tables().find(|table| table.namespace == ident.name);
                    let detail = match inside {
                        Some(table) => {
                            format!("table {}.{} depends on {what}", ident.name, table.name)
                        }
                        None => format!("relations depend on {what}"),
                    };
                    return Err(depended(&what, &detail));
                }
                let inside = self.catalog.tables().filter(|table| table.namespace == ident.name);
                tables.extend(inside.map(|table| table.table_id));
                let inside =
                    self.catalog.sequences().filter(|sequence| sequence.namespace == ident.name);
                sequences.extend(inside.map(|sequence| sequence.sequence_id));
            }
            if !names.contains(&ident.name) {
                names.push(ident.name.clone());
            }
        }
        Ok(Ddl::DropSchema { names, tables, sequences })
    }

    fn drop_roles(&mut self, drop: &Drop) -> Result<Ddl> {
        let mut names = Vec::new();
        for name in &drop.names {
            let ident = &name.parts[name.parts.len() - 1];
            let place = ident.position as usize;
            if *ident.name == *self.context.current_user {
                return Err(PlanError::at(
                    SqlState::OBJECT_IN_USE,
                    place,
                    "current user cannot be dropped",
                ));
            }
            if self.catalog.role(&ident.name).is_some() {
                names.push(ident.name.clone());
            } else if drop.if_exists {
                let message = format!("role \"{}\" does not exist, skipping", ident.name);
                self.notice(SqlState::SUCCESSFUL_COMPLETION, message);
            } else {
                return Err(undefined_role(&ident.name, place));
            }
        }
        Ok(Ddl::DropRole { names })
    }
}

fn depended(what: &str, detail: &str) -> Box<PlanError> {
    PlanError::new(
        SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
        format!("cannot drop {what} because other objects depend on it"),
    )
    .detail(detail)
    .hint("Use DROP ... CASCADE to drop the dependent objects too.")
}
