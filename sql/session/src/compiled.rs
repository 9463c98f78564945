//! A bound statement with what every execution of it needs, made once.

use std::sync::Arc;

use functions::Expr;
use oltp::TableRows;
use plan::catalog::Catalog;
use plan::classify::Path;
use plan::query::Subqueries;
use plan::statement::{BoundStatement, CopyDirection, Statement};
use types::token::SliceCount;
use types::{SchemaVersion, SqlType};

/// What a plan was made from.
#[derive(Clone, Debug)]
pub struct Source {
    /// The statement's own text.
    pub text: Box<str>,
    /// Types that the client declared for its parameters.
    pub declared: Box<[SqlType]>,
}

/// A statement that can be executed again and again.
#[derive(Debug)]
pub struct Compiled {
    /// What it was made from.
    pub source: Source,
    /// The plan.
    pub bound: Arc<BoundStatement>,
    /// Version of the catalog that it was bound against.
    pub catalog_version: SchemaVersion,
    /// The table that it reads by key or changes, ready for row operations.
    pub table: Option<TableRows>,
    /// Whether its row expressions can be evaluated where the rows are: no clock, no randomness, no catalog.
    pub is_portable: bool,
}

impl Compiled {
    /// Prepares a bound statement.
    pub fn new(
        bound: BoundStatement,
        source: Source,
        catalog: &Catalog,
        slices: SliceCount,
    ) -> Compiled {
        let table = match &bound.statement {
            Statement::Select(select) => select
                .short
                .as_ref()
                .and_then(|short| short.source.as_ref())
                .map(|source| &source.table),
            Statement::Insert(insert) => Some(&insert.table),
            Statement::Update(update) => Some(&update.target.table),
            Statement::Delete(delete) => Some(&delete.target.table),
            Statement::Copy(copy) => match &copy.direction {
                CopyDirection::From { table, .. } => Some(table),
                CopyDirection::To { .. } => None,
            },
            _ => None,
        };
        let table = table.map(|table| TableRows::new(table, slices));
        let mut is_portable = true;
        row_expressions(&bound, &mut |expr| is_portable &= expr.check_portable().is_ok());
        let catalog_version = catalog.version();
        let bound = Arc::new(bound);
        Compiled { source, bound, catalog_version, table, is_portable }
    }

    /// The empty statement.
    pub fn empty(catalog: &Catalog, slices: SliceCount) -> Compiled {
        let bound = BoundStatement {
            statement: Statement::Empty,
            subqueries: Subqueries::default(),
            parameters: Vec::new(),
            columns: Vec::new(),
            tables: Vec::new(),
            path: Path::Session,
            notices: Vec::new(),
        };
        let source = Source { text: "".into(), declared: [].into() };
        Compiled::new(bound, source, catalog, slices)
    }

    /// COMMIT and ROLLBACK: what a failed block still takes.
    pub fn ends_block(&self) -> bool {
        use plan::statement::TransactionStatement;
        matches!(
            self.bound.statement,
            Statement::Transaction(
                TransactionStatement::Commit { .. } | TransactionStatement::Rollback { .. }
            )
        )
    }

    /// Whether every table that it names is still at the version it was bound at.
    pub fn is_current(&self, catalog: &Catalog) -> bool {
        self.catalog_version == catalog.version()
            || self.bound.tables.iter().all(|(id, version)| {
                let table = catalog.table(*id).map(|table| table.version);
                let sequence = || catalog.sequence(*id).map(|sequence| sequence.version);
                table.or_else(sequence) == Some(*version)
            })
    }

    /// Types of the result's columns.
    pub fn column_types(&self) -> Vec<SqlType> {
        self.bound.columns.iter().map(|column| column.column_type.sql_type).collect()
    }
}

/// Expressions over rows that exist, which one-turn statements evaluate where the rows are.
fn row_expressions<'a>(bound: &'a BoundStatement, visit: &mut dyn FnMut(&'a Expr)) {
    use plan::statement::OnConflict;
    match &bound.statement {
        Statement::Insert(insert) => {
            if let Some(OnConflict::DoUpdate { assignments, filter }) = &insert.on_conflict {
                assignments.iter().for_each(|(_, expr)| visit(expr));
                filter.iter().for_each(&mut *visit);
            }
            insert.checks.iter().for_each(|check| visit(&check.condition));
            insert.returning.iter().flatten().for_each(visit);
        }
        Statement::Update(update) => {
            update.assignments.iter().for_each(|(_, expr)| visit(expr));
            update.filter.iter().for_each(&mut *visit);
            update.checks.iter().for_each(|check| visit(&check.condition));
            update.returning.iter().flatten().for_each(visit);
        }
        Statement::Delete(delete) => {
            delete.filter.iter().for_each(&mut *visit);
            delete.returning.iter().flatten().for_each(visit);
        }
        _ => {}
    }
}
