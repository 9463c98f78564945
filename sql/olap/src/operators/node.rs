//! One logical node for all operators of ours with one input, and the planner that turns it into an execution plan.
//!
//! An operator appends columns to its input's. What it reads are plain columns of the input, found again by position when it becomes physical.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering as AtomicOrdering};

use arrow::datatypes::FieldRef;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::{Column, DFSchema, DFSchemaRef, DataFusionError, Result};
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{
    Expr, Extension, LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};

use super::expand::{ExpandExec, Expansion};
use super::window::{WindowExec, WindowSpec};

/// What an operator does with the columns that it reads.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    Window(Arc<WindowSpec>),
    Expand(Arc<Expansion>),
}

/// An operator of ours over one input.
#[derive(Clone, Debug)]
pub(crate) struct OwnNode {
    number: u64,
    input: LogicalPlan,
    shape: Shape,
    /// The columns it reads, in the order that the shape counts them.
    reads: Vec<Column>,
    schema: DFSchemaRef,
}

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(0);

impl OwnNode {
    /// The operator as a plan: the input's columns, then `appended`.
    pub(crate) fn plan(
        input: LogicalPlan,
        shape: Shape,
        reads: Vec<Column>,
        appended: Vec<FieldRef>,
    ) -> Result<LogicalPlan> {
        let schema = extended(&input, &appended)?;
        let number = NEXT_NUMBER.fetch_add(1, AtomicOrdering::Relaxed);
        let node = OwnNode { number, input, shape, reads, schema };
        Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
    }

    fn appended(&self) -> Vec<FieldRef> {
        let from = self.input.schema().fields().len();
        self.schema.fields().iter().skip(from).cloned().collect()
    }
}

fn extended(input: &LogicalPlan, appended: &[FieldRef]) -> Result<DFSchemaRef> {
    let mut fields: Vec<_> = input
        .schema()
        .iter()
        .map(|(qualifier, field)| (qualifier.cloned(), field.clone()))
        .collect();
    fields.extend(appended.iter().map(|field| (None, field.clone())));
    Ok(Arc::new(DFSchema::new_with_metadata(fields, Default::default())?))
}

impl PartialEq for OwnNode {
    fn eq(&self, other: &OwnNode) -> bool {
        self.number == other.number && self.input == other.input
    }
}

impl Eq for OwnNode {}

impl PartialOrd for OwnNode {
    fn partial_cmp(&self, other: &OwnNode) -> Option<Ordering> {
        self.number.partial_cmp(&other.number).filter(|order| order.is_ne() || self == other)
    }
}

impl Hash for OwnNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
        self.input.hash(state);
    }
}

impl UserDefinedLogicalNodeCore for OwnNode {
    fn name(&self) -> &str {
        match self.shape {
            Shape::Window(_) => "Window",
            Shape::Expand(_) => "Expand",
        }
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        self.reads.iter().cloned().map(Expr::Column).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(UserDefinedLogicalNodeCore::name(self))
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let reads = exprs
            .into_iter()
            .map(|expr| match expr {
                Expr::Column(column) => Ok(column),
                other => Err(DataFusionError::Internal(format!("{other} is not a column"))),
            })
            .collect::<Result<Vec<Column>>>()?;
        let mut inputs = inputs;
        let input = inputs
            .pop()
            .ok_or_else(|| DataFusionError::Internal("an operator of ours without input".into()))?;
        let schema = extended(&input, &self.appended())?;
        Ok(OwnNode { number: self.number, input, shape: self.shape.clone(), reads, schema })
    }
}

/// Plans our nodes; all others are planned as ever.
#[derive(Debug)]
pub(crate) struct OwnPlanner;

#[async_trait]
impl QueryPlanner for OwnPlanner {
    async fn create_physical_plan(
        &self,
        logical_plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(OwnPlanner)]);
        planner.create_physical_plan(logical_plan, session).await
    }
}

#[async_trait]
impl ExtensionPlanner for OwnPlanner {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        _session: &dyn Session,
        _planning: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(node) = node.as_any().downcast_ref::<OwnNode>() else { return Ok(None) };
        let schema = logical_inputs[0].schema();
        let reads = node
            .reads
            .iter()
            .map(|column| schema.index_of_column(column))
            .collect::<Result<Vec<usize>>>()?;
        let input = physical_inputs[0].clone();
        let output = Arc::new(node.schema.as_arrow().clone());
        Ok(Some(match &node.shape {
            Shape::Window(spec) => {
                Arc::new(WindowExec::new(input, spec.clone(), reads, output)?) as _
            }
            Shape::Expand(expansion) => {
                Arc::new(ExpandExec::new(input, expansion.clone(), reads, output)) as _
            }
        }))
    }
}
