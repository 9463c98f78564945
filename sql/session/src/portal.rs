//! A statement with its parameters, and how far its rows have been read.

use std::sync::Arc;

use oltp::ReadOutcome;
use plan::query::OutputColumn;
use plan::statement::{ShowStatement, Statement};
use types::{ColumnType, SqlType, Value};

use crate::analytics::{Analytics, EncodedRows};
use crate::compiled::Compiled;
use crate::node::Node;
use crate::output::Formats;
use crate::session::Session;

/// Rows that were computed and not read yet.
pub enum Rows<N: Node> {
    /// The portal has not run.
    NotRun,
    /// All of them, and the next to read.
    Short {
        /// The rows.
        outcome: ReadOutcome,
        /// First not read.
        next: usize,
    },
    /// A running query, and rows of it that came and were not read.
    Stream {
        /// The query.
        stream: <N::Analytics as Analytics>::Encoded,
        /// Rows that came.
        waiting: EncodedRows,
        /// How many of them have been written.
        next: usize,
    },
    /// It has run to its end.
    Done,
}

/// A statement with its parameters.
pub struct Portal<N: Node> {
    /// The statement.
    pub compiled: Arc<Compiled>,
    /// Its parameters.
    pub parameters: Vec<Value>,
    /// The formats of its rows.
    pub formats: Formats,
    /// How far it has run.
    pub rows: Rows<N>,
    /// Rows read so far.
    pub rows_read: u64,
}

impl<N: Node> Portal<N> {
    /// A portal that has not run.
    pub fn new(compiled: Arc<Compiled>, parameters: Vec<Value>, formats: Formats) -> Portal<N> {
        Portal { compiled, parameters, formats, rows: Rows::NotRun, rows_read: 0 }
    }

    /// Columns of its rows, if it returns rows.
    pub fn columns(&self, session: &Session<N>) -> Option<Vec<OutputColumn>> {
        let text = |name: &str| OutputColumn {
            name: name.into(),
            column_type: ColumnType::plain(SqlType::Text),
            origin: None,
        };
        match &self.compiled.bound.statement {
            Statement::Show(ShowStatement::All) => {
                Some(vec![text("name"), text("setting"), text("description")])
            }
            Statement::Show(ShowStatement::One(name)) => {
                let shown = crate::settings::find(name).map_or(&**name, |found| found.name);
                Some(vec![text(shown)])
            }
            Statement::Explain(_) => Some(vec![text("QUERY PLAN")]),
            Statement::Execute(execute) => session.columns_of(&execute.name),
            _ if self.compiled.bound.columns.is_empty() && !self.selects_nothing() => None,
            _ => Some(self.compiled.bound.columns.clone()),
        }
    }

    /// `SELECT` without columns returns rows of no columns.
    fn selects_nothing(&self) -> bool {
        matches!(self.compiled.bound.statement, Statement::Select(_))
    }

    /// Stops what still runs.
    pub fn close(&mut self) {
        self.rows = Rows::Done;
    }
}
