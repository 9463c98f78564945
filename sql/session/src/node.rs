//! What a session needs of the node beside transactions and analytics: the catalog, time, randomness, and loading in bulk.
#![expect(async_fn_in_trait, reason = "connections stay on their core: no future here is Send")]

use std::sync::Arc;

use oltp::Engine;
use plan::catalog::{Catalog, VirtualTable};
use plan::statement::BoundStatement;
use types::schema::RowAddress;
use types::{TableId, TableSchema, Timestamp, Value};

use crate::analytics::Analytics;
use crate::error::SqlError;

/// The node, from one core.
pub trait Node {
    /// Transactions.
    type Engine: Engine;
    /// Analytics.
    type Analytics: Analytics;
    /// A load in bulk.
    type Bulk: BulkLoad;

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
}

/// A load to be started.
#[derive(Clone, Debug)]
pub struct BulkRequest {
    /// The table.
    pub table: Arc<TableSchema>,
    /// COPY's bytes and how to read them; nothing if rows are given by [`BulkLoad::rows`].
    pub copy: Option<Arc<BoundStatement>>,
    /// What its expressions may know.
    pub surroundings: oltp::Surroundings,
    /// The transaction's snapshot: keys written after it are checked again at COMMIT.
    pub snapshot: Timestamp,
}

/// Rows on their way into sealed table files, built on background cores. Dropping it deletes the files.
pub trait BulkLoad {
    /// Hands over the next bytes of a COPY; waits while the window is full.
    ///
    /// # Errors
    /// What is wrong with an earlier line; a full disk.
    async fn bytes(&mut self, bytes: Vec<u8>) -> Result<(), SqlError>;

    /// Hands over stored rows; waits while the window is full.
    ///
    /// # Errors
    /// As [`BulkLoad::bytes`].
    async fn rows(&mut self, rows: Vec<(RowAddress, Vec<Value>)>) -> Result<(), SqlError>;

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

    /// The storage table that it loads.
    fn table(&self) -> TableId;
}
