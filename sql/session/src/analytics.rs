//! Analytics as the session sees it. The composition root passes `sql/olap` in.
#![expect(async_fn_in_trait, reason = "connections stay on their core: no future here is Send")]

use std::sync::Arc;

use oltp::Surroundings;
use plan::catalog::VirtualTable;
use plan::query::{Query, Subqueries};
use plan::statement::BoundStatement;
use types::copy_format::CopyOptions;
use types::schema::RowAddress;
use types::{TableId, TableSchema, TextSettings, Timestamp, Value};

use crate::error::SqlError;
use crate::output::Formats;

/// Which query of a statement is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryPart {
    /// The SELECT itself.
    Select,
    /// The rows that an UPDATE or DELETE changes.
    Footprint,
    /// The rows that an INSERT … SELECT inserts, or the source of CREATE TABLE AS.
    Source,
    /// The rows that COPY … TO writes.
    CopyOut,
}

/// A query to run over one snapshot.
#[derive(Clone, Debug)]
pub struct AnalyticsRequest<F> {
    /// The statement that it is a part of.
    pub statement: Arc<BoundStatement>,
    /// Which part.
    pub part: QueryPart,
    /// Values of `$1`, `$2`, …
    pub parameters: Vec<Value>,
    /// What its expressions may know.
    pub surroundings: Surroundings,
    /// The stored tables that it scans, as planned, and as they are committed (nothing for one that the asking transaction has made).
    pub tables: Vec<(Arc<TableSchema>, Option<Arc<TableSchema>>)>,
    /// The snapshot of an open transaction; nothing means: everything acknowledged before now.
    pub at: Option<Timestamp>,
    /// What the asking transaction has changed itself.
    pub own_writes: Vec<OwnWrites>,
    /// What it has loaded in bulk: storage tables and files.
    pub loads: Vec<(TableId, F)>,
    /// Rows of the computed tables that it scans.
    pub virtual_rows: Vec<(VirtualTable, Vec<Vec<Value>>)>,
}

/// Changes of the asking transaction in one storage table, in key order.
#[derive(Clone, Debug)]
pub struct OwnWrites {
    /// The storage table.
    pub table: TableId,
    /// Address and new row; nothing where it was deleted.
    pub rows: Vec<(RowAddress, Option<Vec<Value>>)>,
}

/// The query of a part of a statement.
pub fn query_of(statement: &BoundStatement, part: QueryPart) -> Option<(&Query, &Subqueries)> {
    use plan::statement::{CopyDirection, Ddl, InsertSource, Statement};
    let query = match (&statement.statement, part) {
        (Statement::Select(select), QueryPart::Select) => Some(&select.query),
        (Statement::Update(update), QueryPart::Footprint) => update.footprint.as_ref(),
        (Statement::Delete(delete), QueryPart::Footprint) => delete.footprint.as_ref(),
        (Statement::Insert(insert), QueryPart::Source) => match &insert.source {
            InsertSource::Query { query, .. } => Some(query),
            InsertSource::Rows(_) => None,
        },
        (Statement::Ddl(ddl), QueryPart::Source) => match &**ddl {
            Ddl::CreateTable { source, .. } => source.as_ref(),
            _ => None,
        },
        (Statement::Copy(copy), QueryPart::CopyOut) => match &copy.direction {
            CopyDirection::To { query } => Some(query),
            CopyDirection::From { .. } => None,
        },
        _ => None,
    }?;
    Some((query, &statement.subqueries))
}

/// What a query cost, for EXPLAIN ANALYZE and `ringfence.queries`.
#[derive(Clone, Debug, Default)]
pub struct QueryCost {
    /// Rows read from storage.
    pub rows_read: u64,
    /// Bytes read from storage.
    pub bytes_read: u64,
    /// Table files that held nothing of interest.
    pub files_pruned: u64,
    /// Table files read.
    pub files_read: u64,
    /// Microseconds until the snapshot was taken.
    pub snapshot_wait_micros: u64,
    /// The most memory it held, in bytes.
    pub memory_bytes_peak: u64,
}

/// How the rows of a query become bytes.
#[derive(Clone, Debug)]
pub enum RowEncoding {
    /// Rows of an answer.
    Answer {
        /// The formats that the client asked for.
        formats: Formats,
        /// How values are printed.
        settings: TextSettings,
    },
    /// Rows of COPY … TO, without its header and its end.
    Copy {
        /// What the statement says.
        options: CopyOptions,
        /// How values are printed.
        settings: TextSettings,
    },
}

/// Rows as the client takes them, encoded on background cores.
#[derive(Debug, Default)]
pub struct EncodedRows {
    /// All rows, one after the other.
    pub bytes: Vec<u8>,
    /// Where each row ends in `bytes`.
    pub ends: Vec<u32>,
}

impl EncodedRows {
    /// Rows.
    pub fn row_count(&self) -> usize {
        self.ends.len()
    }

    /// The bytes of rows `start..end`.
    ///
    /// # Panics
    /// If there are no such rows.
    pub fn take(&mut self, start: usize, end: usize) -> Vec<u8> {
        if start == 0 && end == self.ends.len() {
            return std::mem::take(&mut self.bytes);
        }
        let at = |row: usize| if row == 0 { 0 } else { self.ends[row - 1] as usize };
        self.bytes[at(start)..at(end)].to_vec()
    }
}

/// The rows of a running query. Dropping it stops the query.
pub trait RowStream {
    /// Some rows.
    type Rows;

    /// The next rows, in order; nothing at the end.
    ///
    /// # Errors
    /// What the query raises: SQLSTATEs of its expressions, 53200 without memory, 57014 when cancelled.
    ///
    /// # Cancel safety
    /// Dropping the future loses no rows.
    async fn next(&mut self) -> Result<Option<Self::Rows>, SqlError>;

    /// What it has cost so far.
    fn cost(&self) -> QueryCost;
}

/// The analytics engine, from one core.
pub trait Analytics {
    /// A running query that gives values.
    type Values: RowStream<Rows = Vec<Vec<Value>>>;
    /// A running query that gives what a client takes.
    type Encoded: RowStream<Rows = EncodedRows>;
    /// Finished files of a load.
    type Files;

    /// Takes a snapshot and starts a query over it on the background cores.
    ///
    /// # Errors
    /// 53000 when too many queries wait, 72000 for a snapshot too old, 0A000 for what it cannot do.
    async fn run(&self, request: AnalyticsRequest<Self::Files>) -> Result<Self::Values, SqlError>;

    /// As [`Analytics::run`]; rows become bytes on the background cores too, so that the session's core only hands them on.
    ///
    /// # Errors
    /// As [`Analytics::run`].
    async fn run_encoded(
        &self,
        request: AnalyticsRequest<Self::Files>,
        encoding: RowEncoding,
    ) -> Result<Self::Encoded, SqlError>;
}
