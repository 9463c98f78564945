//! Windows: rows arrive sorted by partition, then order; each partition gets a column for each call.
//!
//! Numbering (`row_number`, `rank`, `dense_rank`) streams. Other calls may look at the whole partition, so it is held, within the query's budget, until its
//! last row has come.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, make_comparator};
use arrow::compute::{SortOptions, concat_batches};
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{
    EquivalenceProperties, LexRequirement, OrderingRequirements, PhysicalExpr,
    PhysicalSortRequirement,
};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties,
    InputDistributionRequirements, PlanProperties,
};
use futures::{Stream, StreamExt};
use plan::query::WindowFunction;

use super::window_frame::Peers;
use super::window_functions::{Partition, WindowCallSpec};
use crate::evaluation::StatementContext;

/// Calls over one partitioning and order. The operator reads the partition's columns first, then those of the order, then the calls' own.
#[derive(Debug)]
pub(crate) struct WindowSpec {
    pub(crate) partition: usize,
    /// Descending and NULLs first, for each column of the order.
    pub(crate) order: Vec<(bool, bool)>,
    pub(crate) calls: Vec<WindowCallSpec>,
    pub(crate) context: Arc<StatementContext>,
}

/// The operator.
#[derive(Debug)]
pub(super) struct WindowExec {
    input: Arc<dyn ExecutionPlan>,
    spec: Arc<WindowSpec>,
    reads: Vec<usize>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl WindowExec {
    pub(super) fn new(
        input: Arc<dyn ExecutionPlan>,
        spec: Arc<WindowSpec>,
        reads: Vec<usize>,
        schema: SchemaRef,
    ) -> Result<WindowExec> {
        let mut equivalences = EquivalenceProperties::new(schema.clone());
        if let Some(order) = input.output_ordering() {
            equivalences.add_ordering(order.iter().cloned());
        }
        let properties = Arc::new(PlanProperties::new(
            equivalences,
            input.output_partitioning().clone(),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        Ok(WindowExec { input, spec, reads, schema, properties })
    }

    fn column(&self, read: usize) -> Arc<dyn PhysicalExpr> {
        let index = self.reads[read];
        Arc::new(Column::new(self.input.schema().field(index).name(), index))
    }
}

impl DisplayAs for WindowExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WindowExec")
    }
}

impl ExecutionPlan for WindowExec {
    fn name(&self) -> &str {
        "WindowExec"
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

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![if self.spec.partition == 0 {
            Distribution::SinglePartition
        } else {
            Distribution::KeyPartitioned(
                (0..self.spec.partition).map(|read| self.column(read)).collect(),
            )
        }])
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        let partition = (0..self.spec.partition).map(|read| (read, SortOptions::default()));
        let order = self.spec.order.iter().enumerate().map(|(at, (descending, nulls_first))| {
            let options = SortOptions { descending: *descending, nulls_first: *nulls_first };
            (self.spec.partition + at, options)
        });
        let requirements = partition
            .chain(order)
            .map(|(read, options)| PhysicalSortRequirement::new(self.column(read), Some(options)));
        vec![LexRequirement::new(requirements).map(OrderingRequirements::new)]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.swap_remove(0);
        let (spec, reads) = (self.spec.clone(), self.reads.clone());
        Ok(Arc::new(WindowExec::new(input, spec, reads, self.schema.clone())?))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let reservation = MemoryConsumer::new("Window").register(context.memory_pool());
        let numbering = self.spec.calls.iter().all(WindowCallSpec::is_numbering);
        Ok(Box::pin(WindowStream {
            input: self.input.execute(partition, context)?,
            spec: self.spec.clone(),
            reads: self.reads.clone(),
            schema: self.schema.clone(),
            reservation,
            held: Vec::new(),
            last: None,
            counters: numbering.then(Counters::default),
            finished: false,
        }))
    }
}

/// What numbering remembers of the partition so far.
#[derive(Default)]
struct Counters {
    rows: i64,
    rank: i64,
    groups: i64,
}

struct WindowStream {
    input: SendableRecordBatchStream,
    spec: Arc<WindowSpec>,
    reads: Vec<usize>,
    schema: SchemaRef,
    reservation: MemoryReservation,
    /// Rows of the open partition.
    held: Vec<RecordBatch>,
    /// The last row seen, as a batch of one row.
    last: Option<RecordBatch>,
    counters: Option<Counters>,
    finished: bool,
}

/// Whether row `b` of one batch has the same values as row `a` of another, in some columns.
fn same(
    columns: &[usize],
    left: &RecordBatch,
    a: usize,
    right: &RecordBatch,
    b: usize,
) -> Result<bool> {
    for column in columns {
        let compare =
            make_comparator(left.column(*column), right.column(*column), SortOptions::default())?;
        if compare(a, b).is_ne() {
            return Ok(false);
        }
    }
    Ok(true)
}

impl WindowStream {
    fn partition_columns(&self) -> &[usize] {
        &self.reads[..self.spec.partition]
    }

    fn order_columns(&self) -> &[usize] {
        &self.reads[self.spec.partition..self.spec.partition + self.spec.order.len()]
    }

    /// First rows of partitions in a batch, but for one that goes on from the batch before.
    fn borders(&self, batch: &RecordBatch) -> Result<Vec<usize>> {
        let columns = self.partition_columns();
        let mut borders = Vec::new();
        if let Some(last) = &self.last
            && !same(columns, last, 0, batch, 0)?
        {
            borders.push(0);
        }
        let keys: Vec<ArrayRef> = columns.iter().map(|at| batch.column(*at).clone()).collect();
        if !keys.is_empty() {
            let peers = Peers::of(&keys, batch.num_rows())?;
            borders.extend(
                peers.starts.iter().copied().filter(|row| (1..batch.num_rows()).contains(row)),
            );
        }
        Ok(borders)
    }

    /// Numbers the rows of a batch as they come.
    fn number(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let borders = self.borders(batch)?;
        let order: Vec<ArrayRef> =
            self.order_columns().iter().map(|at| batch.column(*at).clone()).collect();
        let peers = Peers::of(&order, batch.num_rows())?;
        let goes_on = match &self.last {
            Some(last) => same(self.order_columns(), last, 0, batch, 0)?,
            None => false,
        };
        let mut counters = self.counters.take().expect("numbering has counters");
        let mut next_border = borders.into_iter().peekable();
        let (mut rows, mut ranks, mut groups) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..batch.num_rows() {
            let mut peer = if row == 0 { goes_on } else { peers.start(row) != row };
            if next_border.peek() == Some(&row) {
                next_border.next();
                counters = Counters::default();
                peer = false;
            }
            counters.rows += 1;
            if !peer || counters.rows == 1 {
                counters.rank = counters.rows;
                counters.groups += 1;
            }
            rows.push(counters.rows);
            ranks.push(counters.rank);
            groups.push(counters.groups);
        }
        self.counters = Some(counters);
        self.last = Some(batch.slice(batch.num_rows() - 1, 1));
        let mut columns = batch.columns().to_vec();
        for call in &self.spec.calls {
            let numbers = match call.function {
                WindowFunction::RowNumber => &rows,
                WindowFunction::Rank => &ranks,
                _ => &groups,
            };
            columns.push(Arc::new(Int64Array::from(numbers.clone())));
        }
        Ok(RecordBatch::try_new(self.schema.clone(), columns)?)
    }

    /// Takes a batch in; the partitions that it completes.
    fn take_in(&mut self, batch: RecordBatch) -> Result<Option<RecordBatch>> {
        let borders = self.borders(&batch)?;
        self.last = Some(batch.slice(batch.num_rows() - 1, 1));
        let bytes = batch.get_array_memory_size();
        let Some(final_border) = borders.last().copied() else {
            self.hold(batch, bytes)?;
            return Ok(None);
        };
        // A slice shares its batch's bytes with the others.
        let share = |rows: usize| bytes / batch.num_rows() * rows;
        let mut complete = Vec::new();
        let mut from = 0;
        for border in borders {
            if border > from {
                self.hold(batch.slice(from, border - from), share(border - from))?;
            }
            complete.push(self.close()?);
            from = border;
        }
        let rest = batch.num_rows() - final_border;
        self.hold(batch.slice(final_border, rest), share(rest))?;
        Ok(Some(concat_batches(&self.schema, &complete)?))
    }

    fn hold(&mut self, batch: RecordBatch, bytes: usize) -> Result<()> {
        self.reservation.try_grow(bytes)?;
        self.held.push(batch);
        Ok(())
    }

    /// The open partition with its calls' columns.
    fn close(&mut self) -> Result<RecordBatch> {
        let held = std::mem::take(&mut self.held);
        if held.is_empty() {
            return Ok(RecordBatch::new_empty(self.schema.clone()));
        }
        let batch = concat_batches(&held[0].schema(), &held)?;
        drop(held);
        let columns: Vec<ArrayRef> =
            self.reads.iter().map(|read| batch.column(*read).clone()).collect();
        let order = self.spec.partition..self.spec.partition + self.spec.order.len();
        let peers = Peers::of(&columns[order], batch.num_rows())?;
        let partition = Partition {
            columns: &columns,
            peers: &peers,
            row_count: batch.num_rows(),
            context: &self.spec.context,
        };
        let mut output = batch.columns().to_vec();
        for call in &self.spec.calls {
            output.push(call.evaluate(&partition)?);
        }
        self.reservation.free();
        Ok(RecordBatch::try_new(self.schema.clone(), output)?)
    }
}

impl Stream for WindowStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if self.finished {
                return Poll::Ready(None);
            }
            match ready!(self.input.poll_next_unpin(cx)) {
                Some(Ok(batch)) if batch.num_rows() == 0 => {}
                Some(Ok(batch)) if self.counters.is_some() => {
                    return Poll::Ready(Some(self.number(&batch)));
                }
                Some(Ok(batch)) => match self.take_in(batch) {
                    Ok(None) => {}
                    Ok(Some(output)) => return Poll::Ready(Some(Ok(output))),
                    Err(error) => return Poll::Ready(Some(Err(error))),
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    self.finished = true;
                    if !self.held.is_empty() {
                        return Poll::Ready(Some(self.close()));
                    }
                }
            }
        }
    }
}

impl RecordBatchStream for WindowStream {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}
