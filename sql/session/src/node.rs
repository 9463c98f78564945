//! What a session needs of the node beside transactions and analytics: the catalog, time, randomness, and loading in bulk.
#![expect(async_fn_in_trait, reason = "connections stay on their core: no future here is Send")]

use std::collections::BTreeSet;
use std::sync::Arc;

use oltp::Engine;
use plan::catalog::{Catalog, VirtualTable};
use plan::statement::BoundStatement;
use types::{TableId, TableSchema, Timestamp, Value};

use crate::analytics::Analytics;
use crate::error::SqlError;
use crate::rebuild::RowChange;

/// The node, from one core.
pub trait Node: 'static {
    /// Transactions.
    type Engine: Engine;
    /// Analytics.
    type Analytics: Analytics<Files = <Self::Bulk as BulkLoad>::Files>;
    /// A load in bulk.
    type Bulk: BulkLoad<Scan = Self::Scan>;
    /// The rows of a table on their way to a change of the schema.
    type Scan: TableScan;

    /// Transactions.
    fn engine(&self) -> &Self::Engine;

    /// Analytics.
    fn analytics(&self) -> &Self::Analytics;

    /// The newest catalog that is committed.
    fn catalog(&self) -> Arc<Catalog>;

    /// Makes a committed catalog the newest of the whole node, unless a newer one is known. Storage learns of tables that came or went.
    ///
    /// # Errors
    /// Unavailability.
    async fn publish_catalog(&self, catalog: Arc<Catalog>) -> Result<(), SqlError>;

    /// What the record of a transaction that makes or changes tables carries for the stores: the tables as they will be, and storage tables that end.
    fn attachment(&self, tables: &[Arc<TableSchema>], ended: &[TableId]) -> Vec<u8>;

    /// Microseconds since 2000-01-01 UTC.
    fn wall_micros(&self) -> i64;

    /// Waits.
    async fn sleep(&self, milliseconds: u64);

    /// Sixty-four random bits.
    fn random_bits(&self) -> u64;

    /// Rows of a computed table about the node (`pg_stat_activity`, `ringfence.shards`, …), in the order of its columns.
    fn status_rows(&self, table: VirtualTable) -> Vec<Vec<Value>>;

    /// A SCRAM verifier of a password in clear.
    fn password_verifier(&self, password: &str) -> Box<str>;

    /// Starts a load of many rows into a table, invisible until its transaction commits.
    ///
    /// # Errors
    /// 53000 when too many loads run.
    fn start_bulk(&self, request: BulkRequest) -> Result<Self::Bulk, SqlError>;

    /// Pins a table and starts to read all its rows on background cores.
    ///
    /// # Errors
    /// 40001 if the table is not what the transaction knows; 72000; unavailability.
    async fn scan_table(
        &self,
        request: ScanRequest<'_, Self::Bulk>,
    ) -> Result<Self::Scan, SqlError>;
}

/// What a load makes of each row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// The row, and its entries in every index of its table.
    Rows,
    /// Only its entry in this index.
    Entries(TableId),
    /// Nothing: the rows are only looked at.
    Nothing,
}

/// A load to be started.
#[derive(Clone, Debug)]
pub struct BulkRequest {
    /// The table as it is to be.
    pub table: Arc<TableSchema>,
    /// What to make.
    pub loaded: Loaded,
    /// COPY's bytes and how to read them; nothing if rows are given.
    pub copy: Option<Arc<BoundStatement>>,
    /// What its expressions may know.
    pub surroundings: oltp::Surroundings,
    /// The table as it is committed, if it has rows where these go: their keys are taken.
    pub existing: Option<Arc<TableSchema>>,
}

/// A table to be read whole.
pub struct ScanRequest<'a, B> {
    /// The table, as its rows are to be understood.
    pub table: Arc<TableSchema>,
    /// The table as it is committed, if it has rows at the snapshot.
    pub committed: Option<Arc<TableSchema>>,
    /// The transaction's snapshot.
    pub at: Timestamp,
    /// Loads of the same transaction into the table.
    pub loads: Vec<&'a B>,
    /// Keys of rows that the transaction has changed itself: they are left out.
    pub hidden: BTreeSet<Vec<u8>>,
}

/// The rows of a table. Dropping it stops the reading.
pub trait TableScan {
    /// The next stored rows; nothing at the end.
    ///
    /// # Errors
    /// Damage, a failed disk.
    async fn next(&mut self) -> Result<Option<Vec<Vec<Value>>>, SqlError>;
}

/// Rows on their way into sealed table files, built on background cores. Dropping it deletes the files.
pub trait BulkLoad {
    /// Rows of a table.
    type Scan: TableScan;
    /// Its files, for the transaction's own reads.
    type Files: Clone;

    /// Hands over the next bytes of a COPY; waits while the window is full.
    ///
    /// # Errors
    /// What is wrong with an earlier line; a full disk.
    async fn bytes(&mut self, bytes: Vec<u8>) -> Result<(), SqlError>;

    /// Hands over stored rows; waits while the window is full. A hidden row id that is NULL is given.
    ///
    /// # Errors
    /// As [`BulkLoad::bytes`].
    async fn rows(&mut self, rows: Vec<Vec<Value>>) -> Result<(), SqlError>;

    /// Takes all that is left of a scan, changed, without leaving the background cores.
    ///
    /// # Errors
    /// As [`BulkLoad::bytes`], and what the change raises.
    async fn rest(&mut self, scan: Self::Scan, change: Arc<RowChange>) -> Result<(), SqlError>;

    /// Ends the input: everything is sorted, checked for duplicates among itself, and on disk.
    ///
    /// # Errors
    /// 23505, 23502 and others that its rows raise; a full disk.
    async fn finish(&mut self) -> Result<u64, SqlError>;

    /// Commits finished loads of one transaction together with its other writes.
    ///
    /// # Errors
    /// 23505 for keys that others wrote meanwhile; 40001.
    async fn commit(
        loads: Vec<Self>,
        footprint: accord::Footprint,
        workload: Arc<dyn accord::Workload>,
    ) -> Result<oltp::Committed, SqlError>
    where
        Self: Sized;

    /// The files of a finished load into a table; nothing for one of entries of an index.
    fn files(&self) -> Option<Self::Files>;

    /// The table that it loads.
    fn table(&self) -> &Arc<TableSchema>;
}
