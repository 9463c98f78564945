//! The engine below, set up so that nothing of its own computes a value.
//!
//! No function, aggregate, window function, cast planner or SQL planner is registered; no analyzer rule runs, so no type is coerced. Of its logical rules only
//! those run that prune columns and push limits; conditions and joins are placed by [`crate::lowering`]. Of its physical rules those run that distribute,
//! sort, choose join sides, combine and limit.

use std::sync::Arc;

use datafusion::common::DataFusionError;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::TaskContext;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::OptimizerRule;
use datafusion::optimizer::eliminate_limit::EliminateLimit;
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::optimizer::push_down_limit::PushDownLimit;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::combine_partial_final_agg::CombinePartialFinalAggregate;
use datafusion::physical_optimizer::ensure_coop::EnsureCooperative;
use datafusion::physical_optimizer::ensure_requirements::EnsureRequirements;
use datafusion::physical_optimizer::join_selection::JoinSelection;
use datafusion::physical_optimizer::limit_pushdown::LimitPushdown;
use datafusion::physical_optimizer::limited_distinct_aggregation::LimitedDistinctAggregation;
use datafusion::physical_optimizer::output_requirements::OutputRequirements;
use datafusion::physical_optimizer::projection_pushdown::ProjectionPushdown;
use datafusion::physical_optimizer::sanity_checker::SanityCheckPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::{ExecutionPlan, displayable, execute_stream};
use datafusion::prelude::SessionConfig;
use types::{ByteCount, MIB};

use crate::error::AnalyticsError;
use crate::operators::OwnPlanner;

/// Rows of a batch.
const BATCH_ROWS: usize = 8 * 1024;
/// What a sort keeps back for merging what it spilled.
const SORT_RESERVATION_BYTES_MAX: u64 = 10 * MIB;

/// How joins are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joins {
    /// By hashing one side in memory.
    Hashed,
    /// By sorting both, which spills.
    Sorted,
}

/// Plans and runs logical plans of one query.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    state: SessionState,
}

fn logical_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    vec![
        Arc::new(EliminateLimit::new()),
        Arc::new(PushDownLimit::new()),
        Arc::new(OptimizeProjections::new()),
    ]
}

fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    vec![
        Arc::new(OutputRequirements::new_add_mode()),
        Arc::new(JoinSelection::new()),
        Arc::new(LimitedDistinctAggregation::new()),
        Arc::new(EnsureRequirements::new()),
        Arc::new(CombinePartialFinalAggregate::new()),
        Arc::new(ProjectionPushdown::new()),
        Arc::new(OutputRequirements::new_remove_mode()),
        Arc::new(LimitPushdown::new()),
        Arc::new(ProjectionPushdown::new()),
        Arc::new(EnsureCooperative::new()),
        Arc::new(CooperativeJoins),
        Arc::new(SanityCheckPlan::new()),
    ]
}

/// Joins give way too: one batch of input may become any number of batches, between which nothing else would see a cancel.
#[derive(Debug)]
struct CooperativeJoins;

impl PhysicalOptimizerRule for CooperativeJoins {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let wrap = |node: Arc<dyn ExecutionPlan>| {
            let is_join = node.name().ends_with("JoinExec");
            Ok(if is_join {
                Transformed::yes(Arc::new(CooperativeExec::new(node)) as Arc<dyn ExecutionPlan>)
            } else {
                Transformed::no(node)
            })
        };
        plan.transform_up(wrap).data()
    }

    fn name(&self) -> &str {
        "cooperative_joins"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

impl Engine {
    pub(crate) fn new(
        runtime: Arc<RuntimeEnv>,
        threads: usize,
        memory: ByteCount,
        joins: Joins,
    ) -> Engine {
        let mut options = ConfigOptions::new();
        options.execution.target_partitions = threads;
        let reservation = SORT_RESERVATION_BYTES_MAX.min(memory.0 / 16 / threads as u64);
        options.execution.sort_spill_reservation_bytes = reservation as usize;
        options.optimizer.prefer_hash_join = joins == Joins::Hashed;
        options.optimizer.enable_dynamic_filter_pushdown = false;
        options.optimizer.enable_topk_dynamic_filter_pushdown = false;
        options.optimizer.enable_join_dynamic_filter_pushdown = false;
        options.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
        options.optimizer.skip_failed_rules = false;
        let state = SessionStateBuilder::new()
            .with_config(SessionConfig::from(options).with_batch_size(BATCH_ROWS))
            .with_runtime_env(runtime)
            .with_analyzer_rules(Vec::new())
            .with_optimizer_rules(logical_rules())
            .with_physical_optimizer_rules(physical_rules())
            .with_query_planner(Arc::new(OwnPlanner))
            .build();
        Engine { state }
    }

    /// The execution plan of a logical plan.
    pub(crate) async fn plan(
        &self,
        plan: &LogicalPlan,
    ) -> Result<Arc<dyn ExecutionPlan>, AnalyticsError> {
        Ok(self.state.create_physical_plan(plan).await?)
    }

    /// Starts it; rows of all partitions, in the plan's order if it has one.
    pub(crate) fn start(
        &self,
        plan: Arc<dyn ExecutionPlan>,
    ) -> Result<SendableRecordBatchStream, AnalyticsError> {
        Ok(execute_stream(plan, Arc::new(TaskContext::from(&self.state)))?)
    }

    pub(crate) fn pool(&self) -> &RuntimeEnv {
        self.state.runtime_env()
    }
}

/// An execution plan as lines of text.
pub(crate) fn lines(plan: &dyn ExecutionPlan) -> Vec<String> {
    displayable(plan).indent(false).to_string().lines().map(String::from).collect()
}

/// Whether a plan builds a hash table of a join side.
pub(crate) fn hashes_joins(plan: &dyn ExecutionPlan) -> bool {
    plan.name() == "HashJoinExec" || plan.children().iter().any(|child| hashes_joins(&***child))
}
