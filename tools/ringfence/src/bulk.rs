//! Loads in bulk.

use std::sync::Arc;

use oltp::Committed;
use session::SqlError;
use session::node::{BulkLoad, BulkRequest};
use types::schema::RowAddress;
use types::{TableId, Value};

use crate::node::core::CoreNode;

/// A load.
#[derive(Debug)]
pub struct CoreBulk {
    table: TableId,
}

impl CoreBulk {
    /// Starts one.
    pub fn start(_node: &CoreNode, request: BulkRequest) -> Result<CoreBulk, SqlError> {
        let _ = request;
        Err(SqlError::not_supported("COPY of more than 1 MiB"))
    }
}

impl BulkLoad for CoreBulk {
    async fn bytes(&mut self, _bytes: Vec<u8>) -> Result<(), SqlError> {
        Ok(())
    }
    async fn rows(&mut self, _rows: Vec<(RowAddress, Vec<Value>)>) -> Result<(), SqlError> {
        Ok(())
    }
    async fn finish(&mut self) -> Result<u64, SqlError> {
        Ok(0)
    }
    async fn commit(
        _loads: Vec<Self>,
        _footprint: accord::Footprint,
        _workload: Arc<dyn accord::Workload>,
    ) -> Result<Committed, SqlError> {
        Err(SqlError::not_supported("COPY of more than 1 MiB"))
    }
    fn table(&self) -> TableId {
        self.table
    }
}
