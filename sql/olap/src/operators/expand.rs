//! Set-returning functions: each input row is repeated for each row that the functions return for it; shorter functions give NULL.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning,
    PlanProperties,
};
use futures::{Stream, StreamExt};
use types::{SqlType, Value};

use crate::error::raised;
use crate::evaluation::StatementContext;
use crate::physical::{Cells, ColumnBuilder};
use crate::set_function::SetRows;

/// The functions of one operator.
#[derive(Debug)]
pub(crate) struct Expansion {
    pub(crate) calls: Vec<SetCall>,
    pub(crate) context: Arc<StatementContext>,
}

/// One function; its arguments are the next columns that the operator reads.
#[derive(Debug)]
pub(crate) struct SetCall {
    pub(crate) kind: plan::query::SetFunctionKind,
    pub(crate) arguments: Vec<SqlType>,
    pub(crate) output: SqlType,
}

/// The operator.
#[derive(Debug)]
pub(super) struct ExpandExec {
    input: Arc<dyn ExecutionPlan>,
    expansion: Arc<Expansion>,
    reads: Vec<usize>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl ExpandExec {
    pub(super) fn new(
        input: Arc<dyn ExecutionPlan>,
        expansion: Arc<Expansion>,
        reads: Vec<usize>,
        schema: SchemaRef,
    ) -> ExpandExec {
        let partitions = input.output_partitioning().partition_count();
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(schema.clone()),
            Partitioning::UnknownPartitioning(partitions),
            input.pipeline_behavior(),
            input.boundedness(),
        ));
        ExpandExec { input, expansion, reads, schema, properties }
    }
}

impl DisplayAs for ExpandExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExpandExec")
    }
}

impl ExecutionPlan for ExpandExec {
    fn name(&self) -> &str {
        "ExpandExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.swap_remove(0);
        let (expansion, reads) = (self.expansion.clone(), self.reads.clone());
        Ok(Arc::new(ExpandExec::new(input, expansion, reads, self.schema.clone())))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let batch_rows = context.session_config().batch_size();
        // One input row may become any number of batches, so this stream itself has to give way, or a cancel would not be seen.
        Ok(Box::pin(cooperative(ExpandStream {
            input: self.input.execute(partition, context)?,
            expansion: self.expansion.clone(),
            reads: self.reads.clone(),
            schema: self.schema.clone(),
            batch_rows,
            current: None,
        })))
    }
}

struct ExpandStream {
    input: SendableRecordBatchStream,
    expansion: Arc<Expansion>,
    reads: Vec<usize>,
    schema: SchemaRef,
    batch_rows: usize,
    current: Option<Current>,
}

/// The batch being expanded, and the rows of the functions for the input row in turn.
struct Current {
    batch: RecordBatch,
    next_row: usize,
    open: Option<(usize, Vec<SetRows>)>,
}

impl ExpandStream {
    fn open(&self, batch: &RecordBatch, row: usize) -> Result<Vec<SetRows>> {
        let context = self.expansion.context.borrow();
        let mut reads = self.reads.iter();
        let mut opened = Vec::with_capacity(self.expansion.calls.len());
        for call in &self.expansion.calls {
            let mut arguments = Vec::with_capacity(call.arguments.len());
            for (sql_type, column) in call.arguments.iter().zip(reads.by_ref()) {
                let cells = Cells::new(batch.column(*column), *sql_type);
                arguments.push(cells.owned(row).map_err(raised)?);
            }
            opened.push(SetRows::open(call.kind, &arguments, &context).map_err(raised)?);
        }
        Ok(opened)
    }

    /// The next batch of output out of the current one; nothing when it is used up.
    fn expand(&mut self) -> Result<Option<RecordBatch>> {
        let Some(mut current) = self.current.take() else { return Ok(None) };
        let mut rows: Vec<u32> = Vec::with_capacity(self.batch_rows);
        let mut builders: Vec<ColumnBuilder> = self
            .expansion
            .calls
            .iter()
            .map(|call| ColumnBuilder::new(call.output, self.batch_rows))
            .collect();
        let mut done = false;
        while rows.len() < self.batch_rows {
            let (row, mut sets) = match current.open.take() {
                Some(open) => open,
                None if current.next_row < current.batch.num_rows() => {
                    current.next_row += 1;
                    let row = current.next_row - 1;
                    (row, self.open(&current.batch, row)?)
                }
                None => {
                    done = true;
                    break;
                }
            };
            let context = self.expansion.context.borrow();
            let mut values: Vec<Option<Value>> = Vec::with_capacity(sets.len());
            for set in &mut sets {
                values.push(set.next(&context).map_err(raised)?);
            }
            if values.iter().all(Option::is_none) {
                continue;
            }
            for (builder, value) in builders.iter_mut().zip(values) {
                builder.push(&value.unwrap_or(Value::Null)).map_err(raised)?;
            }
            rows.push(row as u32);
            current.open = Some((row, sets));
        }
        let batch = self.assemble(&current.batch, rows, builders)?;
        if !done {
            self.current = Some(current);
        }
        Ok(Some(batch))
    }

    fn assemble(
        &self,
        input: &RecordBatch,
        rows: Vec<u32>,
        builders: Vec<ColumnBuilder>,
    ) -> Result<RecordBatch> {
        let count = rows.len();
        let indices = UInt32Array::from(rows);
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for column in input.columns() {
            columns.push(take(column, &indices, None)?);
        }
        columns.extend(builders.into_iter().map(ColumnBuilder::finish));
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(count));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?)
    }
}

impl Stream for ExpandStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match self.expand() {
                Ok(Some(batch)) if batch.num_rows() > 0 => return Poll::Ready(Some(Ok(batch))),
                Ok(Some(_)) => continue,
                Ok(None) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
            match ready!(self.input.poll_next_unpin(cx)) {
                Some(Ok(batch)) => {
                    self.current = Some(Current { batch, next_row: 0, open: None });
                }
                other => return Poll::Ready(other),
            }
        }
    }
}

impl RecordBatchStream for ExpandStream {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}
