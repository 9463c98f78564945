//! Changes of the schema.

use super::Binder;
use crate::error::{PlanError, Result};
use crate::statement::Ddl;
use crate::syntax;

impl Binder<'_> {
    pub(super) fn ddl(&mut self, _statement: &syntax::Statement) -> Result<Ddl> {
        Err(PlanError::unsupported("a change of the schema"))
    }
}
