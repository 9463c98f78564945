//! Rows that a change of the schema concerns. Building a table or an index anew from rows that are there is not built yet, so such a change is
//! refused unless there is no row: then there is nothing to do. The emptiness is validated at COMMIT like every read.

use std::sync::Arc;

use accord::TokenRange;
use oltp::{Bounds, OltpError, TableRows, Targets};
use plan::ddl::{Outcome, Work};
use plan::statement::Ddl;
use types::{TableSchema, Value};

use crate::compiled::Compiled;
use crate::error::SqlError;
use crate::node::Node;
use crate::output::Output;
use crate::session::Session;

/// Does what a change of the schema asks of rows.
///
/// # Errors
/// 0A000 if there are rows, and for CREATE TABLE AS.
pub async fn fill<N: Node, O: Output>(
    session: &mut Session<N>,
    ddl: &Ddl,
    outcome: &Outcome,
    _compiled: &Arc<Compiled>,
    _parameters: &[Value],
    _out: &mut O,
) -> Result<(), SqlError> {
    if matches!(ddl, Ddl::CreateTable { source: Some(_), skip: false, .. }) {
        return Err(SqlError::not_supported("CREATE TABLE AS")
            .with_hint("Create the table, then INSERT … SELECT."));
    }
    for work in &outcome.work {
        let table = match work {
            Work::Rebuild { from, .. } => from,
            Work::FillIndex { table, .. } | Work::Validate { table, .. } => table,
        };
        refuse_rows(session, table, outcome.tag).await?;
    }
    Ok(())
}

async fn refuse_rows<N: Node>(
    session: &mut Session<N>,
    table: &Arc<TableSchema>,
    tag: &str,
) -> Result<(), SqlError> {
    let node = session.node.clone();
    let engine = node.engine();
    let rows = TableRows::new(table, oltp::Engine::slices(engine));
    let bounds =
        Bounds { table: table.storage_id, tokens: TokenRange::ALL, low: Vec::new(), high: None };
    let transaction = session.transaction().await?;
    match transaction.rows(engine, &rows, &Targets::Range(bounds)).await {
        Ok(found) if found.is_empty() => Ok(()),
        Ok(_) | Err(OltpError::TooManyRows) => Err(SqlError::not_supported(format!(
            "{tag} that needs the rows of a table to be built or checked anew"
        ))
        .with_hint("Declare keys, indexes and checks before rows are inserted.")),
        Err(error) => Err(error.into()),
    }
}
