//! Names to positions, operands to types: a syntax tree becomes a bound statement, by PostgreSQL's rules and with its errors.
//!
//! One [`Binder`] binds one statement. It keeps a stack of scopes, innermost last; what an inner query names in an outer one becomes `Expr::Outer` with
//! the distance. Types of parameters are inferred on the way: a parameter is of unknown type until the first place that gives it one.

mod aggregate;
mod call;
mod coerce;
mod copy;
mod ddl;
mod delete;
mod expression;
mod from;
mod group;
mod insert;
mod label;
mod predicate;
mod query;
mod row;
mod scope;
mod select;

mod subquery;
mod table;
mod type_name;
mod update;
mod window;

pub use coerce::coerce_arguments;

use crate::catalog::{Catalog, Relation, RelationNames, SearchPath};
use crate::classify::Path;
use crate::error::{PlanError, Result};
use crate::parse::Parsed;
use crate::query::{OutputColumn, Subqueries};
use crate::statement::{
    BoundStatement, Explain, Notice, Prepare, Severity, ShowStatement, Statement,
};
use crate::syntax::{self, Name};
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use functions::EvalContext;
use scope::Scope;
use types::{ColumnType, SchemaVersion, SqlState, SqlType, TableId, TableSchema};

/// What binding may know.
#[derive(Clone, Copy, Debug)]
pub struct BindInput<'a> {
    /// The string that the statement was parsed from.
    pub text: &'a str,
    /// The schema.
    pub catalog: &'a Catalog,
    /// Where unqualified names are looked for.
    pub search_path: &'a SearchPath,
    /// Settings and surroundings for literals that are read while binding. Its own catalog is not asked; [`BindInput::catalog`] is.
    pub context: EvalContext<'a>,
    /// Types of leading parameters as the client declared them; `Unknown` where left open.
    pub parameters: &'a [SqlType],
}

/// Binds a parsed statement and decides its path.
///
/// # Errors
/// PostgreSQL's for names, types and structure; 0A000 for what is not built.
pub fn bind(parsed: &Parsed, input: &BindInput<'_>) -> Result<BoundStatement> {
    let names = RelationNames { catalog: input.catalog, search_path: input.search_path };
    let mut binder = Binder::new(input, &names);
    binder.bind(&parsed.statement)
}

pub(crate) struct Binder<'a> {
    text: &'a str,
    catalog: &'a Catalog,
    search_path: &'a SearchPath,
    context: EvalContext<'a>,
    parameters: Vec<SqlType>,
    subqueries: Subqueries,
    tables: Vec<(TableId, SchemaVersion)>,
    notices: Vec<Notice>,
    scopes: Vec<Scope>,
    with_names: Vec<query::WithName>,
}

impl<'a> Binder<'a> {
    pub(crate) fn new(input: &BindInput<'a>, names: &'a RelationNames<'a>) -> Binder<'a> {
        Binder {
            text: input.text,
            catalog: input.catalog,
            search_path: input.search_path,
            context: EvalContext { catalog: names, ..input.context },
            parameters: input.parameters.to_vec(),
            subqueries: Subqueries::default(),
            tables: Vec::new(),
            notices: Vec::new(),
            scopes: Vec::new(),
            with_names: Vec::new(),
        }
    }

    fn bind(&mut self, statement: &syntax::Statement) -> Result<BoundStatement> {
        let (statement, columns) = self.statement(statement)?;
        self.finish(statement, columns)
    }

    fn statement(
        &mut self,
        statement: &syntax::Statement,
    ) -> Result<(Statement, Vec<OutputColumn>)> {
        use syntax::Statement as Syntax;
        let quiet = |statement| Ok((statement, Vec::new()));
        match statement {
            Syntax::Select(query) => self.select_statement(query),
            Syntax::Insert(insert) => self.insert(insert),
            Syntax::Update(update) => self.update(update),
            Syntax::Delete(delete) => self.delete(delete),
            Syntax::Copy(copy) => quiet(self.copy(copy)?),
            Syntax::Transaction(statement) => quiet(Statement::Transaction(statement.clone())),
            Syntax::Set(statement) => quiet(Statement::Set(statement.clone())),
            Syntax::Show(statement) => {
                let columns = show_columns(statement);
                Ok((Statement::Show(statement.clone()), columns))
            }
            Syntax::Discard(kind) => quiet(Statement::Discard(*kind)),
            Syntax::Deallocate(name) => {
                quiet(Statement::Deallocate(name.as_ref().map(|name| name.name.clone())))
            }
            Syntax::Prepare { name, types, body } => {
                let types = types
                    .iter()
                    .map(|one| self.type_of(one).map(|found| found.sql_type))
                    .collect::<Result<Vec<_>>>()?;
                let text = self.text[body.0 as usize..body.1 as usize].into();
                quiet(Statement::Prepare(Box::new(Prepare {
                    name: name.name.clone(),
                    types,
                    text,
                })))
            }
            Syntax::Execute { name, arguments } => self.execute(name, arguments),
            Syntax::Explain(explain) => self.explain(explain),
            Syntax::Kept { tag, tables, notice } => {
                for name in tables {
                    self.stored_table(name)?;
                }
                self.notice(SqlState::SUCCESSFUL_COMPLETION, *notice);
                quiet(Statement::Kept { tag })
            }
            _ => quiet(Statement::Ddl(Box::new(self.ddl(statement)?))),
        }
    }

    fn execute(
        &mut self,
        name: &syntax::Ident,
        arguments: &[syntax::Expr],
    ) -> Result<(Statement, Vec<OutputColumn>)> {
        self.scopes.push(Scope::new(Vec::new(), scope::Clause::Execute));
        let arguments = arguments
            .iter()
            .map(|argument| self.expression(argument))
            .collect::<Result<Vec<_>>>()?;
        self.scopes.pop();
        let execute = crate::statement::Execute { name: name.name.clone(), arguments };
        Ok((Statement::Execute(Box::new(execute)), Vec::new()))
    }

    fn explain(&mut self, explain: &syntax::Explain) -> Result<(Statement, Vec<OutputColumn>)> {
        let (statement, columns) = self.statement(&explain.inner)?;
        let parameters = core::mem::take(&mut self.parameters);
        let inner = BoundStatement {
            path: crate::classify::classify(&statement, &self.subqueries),
            statement,
            subqueries: core::mem::take(&mut self.subqueries),
            parameters: parameters.clone(),
            columns,
            tables: self.tables.clone(),
            notices: Vec::new(),
        };
        self.parameters = parameters;
        let explain = Explain {
            analyze: explain.analyze,
            verbose: explain.verbose,
            format: explain.format,
            inner,
        };
        let column = OutputColumn {
            name: "QUERY PLAN".into(),
            column_type: ColumnType::plain(SqlType::Text),
            origin: None,
        };
        Ok((Statement::Explain(Box::new(explain)), alloc::vec![column]))
    }

    fn finish(
        &mut self,
        statement: Statement,
        columns: Vec<OutputColumn>,
    ) -> Result<BoundStatement> {
        if let Some(open) = self.parameters.iter().position(|found| *found == SqlType::Unknown) {
            return Err(PlanError::new(
                SqlState::INDETERMINATE_DATATYPE,
                format!("could not determine data type of parameter ${}", open + 1),
            ));
        }
        if columns.len() > types::limits::TARGET_LIST_MAX {
            return Err(PlanError::new(
                SqlState::TOO_MANY_COLUMNS,
                format!("target lists can have at most {} entries", types::limits::TARGET_LIST_MAX),
            ));
        }
        self.tables.sort_unstable();
        self.tables.dedup();
        let path = match &statement {
            Statement::Explain(_) => Path::Session,
            statement => crate::classify::classify(statement, &self.subqueries),
        };
        Ok(BoundStatement {
            path,
            statement,
            subqueries: core::mem::take(&mut self.subqueries),
            parameters: core::mem::take(&mut self.parameters),
            columns,
            tables: core::mem::take(&mut self.tables),
            notices: core::mem::take(&mut self.notices),
        })
    }

    fn notice(&mut self, state: SqlState, message: impl Into<Box<str>>) {
        let severity = Severity::Notice;
        self.notices.push(Notice { state, severity, message: message.into() });
    }

    /// What a name in the text means; the plan then depends on it.
    fn relation(&mut self, name: &Name) -> Result<Relation> {
        match self.find_relation(name)? {
            Some(relation) => {
                match &relation {
                    Relation::Table(table) => self.depend(table.table_id, table.version),
                    Relation::Sequence(sequence) => {
                        self.depend(sequence.sequence_id, sequence.version);
                    }
                    _ => {}
                }
                Ok(relation)
            }
            None => Err(undefined_table(name)),
        }
    }

    fn depend(&mut self, id: TableId, version: SchemaVersion) {
        self.tables.push((id, version));
    }

    fn find_relation(&self, name: &Name) -> Result<Option<Relation>> {
        match name.parts.as_slice() {
            [table] => Ok(self.catalog.find(self.search_path, &table.name)),
            [schema, table] => Ok(self.catalog.relation(&schema.name, &table.name)),
            [database, schema, table] => {
                if &*database.name != self.context.database {
                    return Err(PlanError::at(
                        SqlState::FEATURE_NOT_SUPPORTED,
                        database.position as usize,
                        format!(
                            "cross-database references are not implemented: \"{}.{}.{}\"",
                            database.name, schema.name, table.name
                        ),
                    ));
                }
                Ok(self.catalog.relation(&schema.name, &table.name))
            }
            _ => Ok(None),
        }
    }

    /// A table that holds rows of its own, to be changed.
    fn stored_table(&mut self, name: &Name) -> Result<Arc<TableSchema>> {
        match self.relation(name)? {
            Relation::Table(table) => Ok(table),
            Relation::Virtual(table) => Err(PlanError::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("permission denied: \"{}\" is a system catalog", table.name()),
            )),
            other => Err(PlanError::at(
                SqlState::WRONG_OBJECT_TYPE,
                name.parts[0].position as usize,
                format!("\"{}\" is not a table", other.name().1),
            )),
        }
    }
}

fn show_columns(statement: &ShowStatement) -> Vec<OutputColumn> {
    let text = |name: &str| OutputColumn {
        name: name.into(),
        column_type: ColumnType::plain(SqlType::Text),
        origin: None,
    };
    match statement {
        ShowStatement::One(name) => alloc::vec![text(display_name(name))],
        ShowStatement::All => alloc::vec![text("name"), text("setting"), text("description")],
    }
}

/// The settings whose names PostgreSQL writes with capitals.
fn display_name(name: &str) -> &str {
    match name {
        "timezone" => "TimeZone",
        "datestyle" => "DateStyle",
        "intervalstyle" => "IntervalStyle",
        other => other,
    }
}

fn undefined_table(name: &Name) -> Box<PlanError> {
    let position = name.parts[0].position as usize;
    let text = written(name);
    PlanError::at(
        SqlState::UNDEFINED_TABLE,
        position,
        format!("relation \"{text}\" does not exist"),
    )
}

/// A name as written, without quotation marks.
fn written(name: &Name) -> alloc::string::String {
    name.parts.iter().map(|part| &*part.name).collect::<Vec<_>>().join(".")
}

impl From<functions::EvalError> for Box<PlanError> {
    fn from(error: functions::EvalError) -> Box<PlanError> {
        Box::new(PlanError {
            state: error.sqlstate,
            message: alloc::string::String::from(error.message).into(),
            position: None,
            detail: error.detail,
            hint: error.hint,
        })
    }
}
