//! Sequences. Source: PostgreSQL 15, `init_params`.

use super::super::Binder;
use crate::catalog::Relation;
use crate::error::{PlanError, Result};
use crate::statement::{Ddl, SequenceDefinition};
use crate::syntax::{AlterSequence, CreateSequence, Name, SequenceOptions};
use alloc::boxed::Box;
use alloc::format;
use types::{SqlState, SqlType, TableId};

impl Binder<'_> {
    pub(super) fn create_sequence(&mut self, create: &CreateSequence) -> Result<Ddl> {
        let (namespace, name) = self.creation_name(&create.name)?;
        let skip = self.catalog.relation(&namespace, &name).is_some();
        if skip {
            let message = format!("relation \"{name}\" already exists");
            let place = create.name.parts[0].position as usize;
            let state = SqlState::DUPLICATE_TABLE;
            self.already_exists(state, message, create.if_not_exists, place)?;
        }
        let definition = self.sequence((namespace, name), &create.options, SqlType::Int8)?;
        Ok(Ddl::CreateSequence { definition, skip })
    }

    /// A sequence with its options and their defaults.
    pub(super) fn sequence(
        &mut self,
        (namespace, name): (Box<str>, Box<str>),
        options: &SequenceOptions,
        default_type: SqlType,
    ) -> Result<SequenceDefinition> {
        let sql_type = match &options.type_name {
            Some(type_name) => self.type_of(type_name)?.sql_type,
            None => default_type,
        };
        let (lowest, highest) = match sql_type {
            SqlType::Int2 => (i64::from(i16::MIN), i64::from(i16::MAX)),
            SqlType::Int4 => (i64::from(i32::MIN), i64::from(i32::MAX)),
            SqlType::Int8 => (i64::MIN, i64::MAX),
            _ => return Err(invalid("sequence type must be smallint, integer, or bigint".into())),
        };
        let increment = options.increment.unwrap_or(1);
        if increment == 0 {
            return Err(invalid("INCREMENT must not be zero".into()));
        }
        if options.cache.is_some_and(|cache| cache < 1) {
            let cache = options.cache.unwrap_or(0);
            return Err(invalid(format!("CACHE ({cache}) must be greater than zero")));
        }
        let up = increment > 0;
        let maximum = options.maximum.flatten().unwrap_or(if up { highest } else { -1 });
        let minimum = options.minimum.flatten().unwrap_or(if up { 1 } else { lowest });
        for (name, value) in [("MAXVALUE", maximum), ("MINVALUE", minimum)] {
            if value < lowest || value > highest {
                return Err(invalid(format!(
                    "{name} ({value}) is out of range for sequence data type {}",
                    sql_type.name()
                )));
            }
        }
        if minimum >= maximum {
            return Err(invalid(format!(
                "MINVALUE ({minimum}) must be less than MAXVALUE ({maximum})"
            )));
        }
        let start = options.start.unwrap_or(if up { minimum } else { maximum });
        if start < minimum {
            return Err(invalid(format!(
                "START value ({start}) cannot be less than MINVALUE ({minimum})"
            )));
        }
        if start > maximum {
            return Err(invalid(format!(
                "START value ({start}) cannot be greater than MAXVALUE ({maximum})"
            )));
        }
        let owned_by = match &options.owned_by {
            Some(name) => Some(self.owner(name)?),
            None => None,
        };
        Ok(SequenceDefinition {
            namespace,
            name,
            sql_type,
            start,
            increment,
            minimum,
            maximum,
            cycle: options.cycle.unwrap_or(false),
            owned_by,
        })
    }

    /// `OWNED BY table.column`
    fn owner(&mut self, name: &Name) -> Result<(TableId, u16)> {
        let Some((column, table)) = name.parts.split_last().filter(|(_, rest)| !rest.is_empty())
        else {
            return Err(PlanError::syntax(
                name.parts[0].position as usize,
                "invalid OWNED BY option",
            )
            .hint("Specify OWNED BY table.column or OWNED BY NONE."));
        };
        let table = self.stored_table(&Name { parts: table.to_vec() })?;
        let position = self.target_column(&table, column)?;
        Ok((table.table_id, position))
    }

    pub(super) fn alter_sequence(&mut self, alter: &AlterSequence) -> Result<Ddl> {
        let place = alter.name.parts[0].position as usize;
        let sequence = match self.find_relation(&alter.name)? {
            Some(Relation::Sequence(sequence)) => sequence,
            Some(other) => {
                return Err(PlanError::at(
                    SqlState::WRONG_OBJECT_TYPE,
                    place,
                    format!("\"{}\" is not a sequence", other.name().1),
                ));
            }
            None if alter.if_exists => {
                let name = super::super::written(&alter.name);
                let message = format!("relation \"{name}\" does not exist, skipping");
                self.notice(SqlState::SUCCESSFUL_COMPLETION, message);
                return Ok(Ddl::DropSequence { sequences: alloc::vec![] });
            }
            None => return Err(super::super::undefined_table(&alter.name)),
        };
        self.depend(sequence.sequence_id, sequence.version);
        let options = &alter.options;
        let only_restart = options.type_name.is_none()
            && options.start.is_none()
            && options.increment.is_none()
            && options.minimum.is_none()
            && options.maximum.is_none()
            && options.cycle.is_none()
            && options.cache.is_none()
            && options.owned_by.is_none();
        if !only_restart {
            return Err(PlanError::unsupported("ALTER SEQUENCE other than RESTART"));
        }
        let with = options.restart.flatten();
        if let Some(value) = with {
            if value < sequence.minimum {
                return Err(invalid(format!(
                    "RESTART value ({value}) cannot be less than MINVALUE ({})",
                    sequence.minimum
                )));
            }
            if value > sequence.maximum {
                return Err(invalid(format!(
                    "RESTART value ({value}) cannot be greater than MAXVALUE ({})",
                    sequence.maximum
                )));
            }
        }
        Ok(Ddl::RestartSequence { sequence: sequence.sequence_id, with })
    }
}

fn invalid(message: alloc::string::String) -> Box<PlanError> {
    PlanError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}
