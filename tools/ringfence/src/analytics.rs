//! Where `session` meets `olap`: analytic queries over strict snapshots.

use std::sync::Arc;

use anyhow::Result;
use platform::Platform;
use session::SqlError;
use session::analytics::{Analytics, AnalyticsRequest, QueryCost, RowStream};
use shard::ShardClient;
use storage::DataDirectory;
use types::Value;

use crate::node::state::NodeState;

/// Analytics of the whole node.
pub struct NodeAnalytics;

impl NodeAnalytics {
    /// The analytics of a node; the first core to ask makes it.
    pub fn of(_state: &Arc<NodeState>, _platform: &Platform, _directory: &Arc<DataDirectory>) -> Result<Arc<NodeAnalytics>> {
        Ok(Arc::new(NodeAnalytics))
    }
}

/// Analytics from one core.
pub struct CoreAnalytics { _client: ShardClient }

impl CoreAnalytics {
    /// From one core.
    pub fn new(client: ShardClient, _node: Arc<NodeAnalytics>) -> CoreAnalytics {
        CoreAnalytics { _client: client }
    }
}

/// Rows.
pub struct Rows;

impl RowStream for Rows {
    async fn next(&mut self) -> Result<Option<Vec<Vec<Value>>>, SqlError> { Ok(None) }
    fn cost(&self) -> QueryCost { QueryCost::default() }
}

impl Analytics for CoreAnalytics {
    type Rows = Rows;
    async fn run(&self, _request: AnalyticsRequest) -> Result<Rows, SqlError> {
        Err(SqlError::not_supported("analytics"))
    }
}
