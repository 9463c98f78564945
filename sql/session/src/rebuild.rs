//! Rows that a change of the schema makes: of CREATE TABLE AS, of a table that is built anew (ADD PRIMARY KEY), of a new index, and checks of rows
//! that are there.

use std::sync::Arc;

use plan::ddl::Outcome;
use plan::statement::Ddl;
use types::Value;

use crate::compiled::Compiled;
use crate::error::SqlError;
use crate::node::Node;
use crate::output::Output;
use crate::session::Session;

/// Fills what a change of the schema made.
pub async fn fill<N: Node, O: Output>(
    _session: &mut Session<N>,
    _ddl: &Ddl,
    _outcome: &Outcome,
    _compiled: &Arc<Compiled>,
    _parameters: &[Value],
    _out: &mut O,
) -> Result<(), SqlError> {
    Ok(())
}
