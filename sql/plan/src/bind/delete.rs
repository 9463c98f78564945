//! DELETE.

use super::Binder;
use super::scope::Clause;
use crate::error::Result;
use crate::query::OutputColumn;
use crate::statement::{Delete, Statement};
use crate::syntax;
use alloc::boxed::Box;
use alloc::vec::Vec;

impl Binder<'_> {
    pub(super) fn delete(
        &mut self,
        delete: &syntax::Delete,
    ) -> Result<(Statement, Vec<OutputColumn>)> {
        if let Some(with) = &delete.with {
            self.with_clause(with)?;
        }
        let table = self.stored_table(&delete.table)?;
        let target = self.target_entry(&table, delete.alias.as_ref());
        let more = self.changed_rows_scope(&table, target, &delete.using)?;
        let filter = match &delete.filter {
            Some(filter) => Some(self.condition(filter, Clause::Where)?),
            None => None,
        };
        let returning = self.returning(&delete.returning)?;
        self.scopes.pop();
        let (returning, output) = match returning {
            Some((expressions, columns)) => (Some(expressions), columns),
            None => (None, Vec::new()),
        };
        let (target, filter, footprint) = self.changed_rows(&table, more, filter, &mut []);
        let delete = Delete { target, filter, footprint, returning };
        Ok((Statement::Delete(Box::new(delete)), output))
    }
}
