//! The one place where a session plans: text to bound statements, with errors as the client sees them.

use functions::EvalContext;
use plan::catalog::{Catalog, SearchPath};
use plan::statement::BoundStatement;
use plan::{BindInput, Parsed, PlanError};
use types::SqlType;

use crate::error::SqlError;

/// Splits and parses a text of statements.
///
/// # Errors
/// 42601 with its position, 0A000, 54001.
pub fn parse(text: &str) -> Result<Vec<Parsed>, SqlError> {
    plan::parse(text).map_err(|error| of_plan(&error, text))
}

/// Binds one statement of a text.
///
/// # Errors
/// Everything that planning raises, with positions in `text`.
pub fn bind(
    parsed: &Parsed,
    text: &str,
    catalog: &Catalog,
    search_path: &SearchPath,
    context: EvalContext<'_>,
    parameters: &[SqlType],
) -> Result<BoundStatement, SqlError> {
    let input = BindInput { text, catalog, search_path, context, parameters };
    plan::bind(parsed, &input).map_err(|error| of_plan(&error, text))
}

/// Whether a statement may run in a failed block.
pub fn ends_block(parsed: &Parsed) -> bool {
    parsed.statement.ends_block()
}

fn of_plan(error: &PlanError, text: &str) -> SqlError {
    let mut sql = SqlError::new(error.state, error.message.to_string());
    sql.detail = error.detail.as_deref().map(str::to_owned);
    sql.hint = error.hint.as_deref().map(str::to_owned);
    sql.position = error.character_position(text).and_then(|at| u32::try_from(at).ok());
    sql
}
