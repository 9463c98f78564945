//! The rows of a table, read on background cores for a change of the schema.

use std::collections::BTreeSet;
use std::sync::Arc;

use oltp::TableRows;
use platform::{Background, JobClass, run_job};
use session::SqlError;
use session::node::{ScanRequest, TableScan};
use types::{ShardId, Value};

use super::{CoreBulk, of_job, of_read, of_storage};
use crate::node::core::CoreNode;

/// Rows that go to the session at once.
const ROWS_AT_ONCE: usize = 1_024;

/// Rows of a table, to be decoded; moves from job to job.
pub struct ScannedRows {
    scan: storage::TableScan,
    rows: TableRows,
    hidden: BTreeSet<Vec<u8>>,
}

impl ScannedRows {
    /// Visits at most so many rows; whether there are more. For a background thread.
    pub(super) fn visit(
        &mut self,
        rows_max: usize,
        mut visit: impl FnMut(Vec<Value>) -> Result<(), SqlError>,
    ) -> Result<bool, SqlError> {
        let (rows, hidden) = (&self.rows, &self.hidden);
        let visited = self.scan.visit(rows_max, |_, key, row| {
            if hidden.contains(key) {
                return Ok(());
            }
            let values = rows.decode(row).map_err(|error| Failed::Sql(error.into()))?;
            visit(values).map_err(Failed::Sql)
        });
        visited.map_err(|failed| match failed {
            Failed::Storage(error) => of_storage(&error),
            Failed::Sql(error) => error,
        })
    }
}

enum Failed {
    Storage(storage::StorageError),
    Sql(SqlError),
}

impl From<storage::StorageError> for Failed {
    fn from(error: storage::StorageError) -> Failed {
        Failed::Storage(error)
    }
}

/// A scan as a session reads it.
pub struct CoreScan {
    background: Arc<dyn Background>,
    /// Nothing at the end.
    rows: Option<Box<ScannedRows>>,
}

impl CoreScan {
    /// Pins the table and begins.
    ///
    /// # Errors
    /// 40001 if the table is not what the transaction knows; 72000; unavailability.
    pub async fn start(
        node: &CoreNode,
        request: ScanRequest<'_, CoreBulk>,
    ) -> Result<CoreScan, SqlError> {
        let client = node.client();
        let parts = match &request.committed {
            None => Vec::new(),
            Some(committed) => {
                let frozen = client.freeze_table(committed, Some(request.at)).await;
                let frozen = frozen.map_err(|error| {
                    let mut error: SqlError = of_read(error);
                    error.schema_moved = error.sqlstate == types::SqlState::SERIALIZATION_FAILURE;
                    error
                });
                frozen?.1
            }
        };
        let background = node.platform().background.clone();
        let sealed: Vec<_> = request
            .loads
            .iter()
            .filter_map(|load| load.finished.as_ref())
            .map(|finished| finished.files.of_table(request.table.storage_id))
            .collect();
        let sealed: Vec<_> = sealed.iter().collect();
        let io = background.block_io(JobClass::Compaction);
        let parts: Vec<(ShardId, storage::TableSnapshot)> = parts;
        let scan = storage::TableScan::new(io, request.at, parts, &sealed);
        let rows = TableRows::new(&request.table, client.slices());
        let rows = Some(Box::new(ScannedRows { scan, rows, hidden: request.hidden }));
        Ok(CoreScan { background, rows })
    }

    /// What is left of it, for a job.
    pub(super) fn into_rows(self) -> Option<Box<ScannedRows>> {
        self.rows
    }
}

impl TableScan for CoreScan {
    async fn next(&mut self) -> Result<Option<Vec<Vec<Value>>>, SqlError> {
        loop {
            let Some(mut rows) = self.rows.take() else { return Ok(None) };
            let job = run_job(&*self.background, JobClass::Compaction, move |_, _| {
                let mut found = Vec::new();
                let more = rows.visit(ROWS_AT_ONCE, |row| {
                    found.push(row);
                    Ok(())
                });
                (rows, found, more)
            });
            let (rows, found, more) = job.await.map_err(|error| of_job(&error))?;
            if more? {
                self.rows = Some(rows);
            }
            if !found.is_empty() {
                return Ok(Some(found));
            }
        }
    }
}

impl std::fmt::Debug for CoreScan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CoreScan").finish_non_exhaustive()
    }
}
