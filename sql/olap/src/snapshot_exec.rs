//! The scan itself: partitions take units from one queue until it is empty, so no core waits for another's share.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use arrow::array::{
    Array, ArrayRef, BinaryViewArray, RecordBatch, RecordBatchOptions, StringViewArray,
};
use arrow::datatypes::SchemaRef;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};
use futures::Stream;

use crate::fetch::Reading;
use crate::split::Unit;
use crate::statistics::Counters;

/// A condition keeps about one row in this many, as far as join sides are chosen by it.
const FILTERED_ROWS_DIVISOR: usize = 5;

/// The operator.
#[derive(Debug)]
pub(crate) struct SnapshotExec {
    reading: Arc<Reading>,
    units: Arc<Vec<Unit>>,
    /// The next unit that nobody has taken.
    next: Arc<AtomicUsize>,
    row_count: usize,
    limit: Option<usize>,
    properties: Arc<PlanProperties>,
}

impl SnapshotExec {
    pub(crate) fn new(
        reading: Reading,
        units: Vec<Unit>,
        partitions: usize,
        limit: Option<usize>,
    ) -> SnapshotExec {
        Counters::add(&reading.counters.units, units.len());
        let partitions = partitions.min(units.len()).max(1);
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(reading.schema.clone()),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        let row_count = units.iter().map(rows_of).sum();
        SnapshotExec {
            reading: Arc::new(reading),
            units: Arc::new(units),
            next: Arc::new(AtomicUsize::new(0)),
            row_count,
            limit,
            properties,
        }
    }
}

/// Row versions of a unit, roughly.
fn rows_of(unit: &Unit) -> usize {
    match unit {
        Unit::Alone { plan, .. } => plan.row_count,
        Unit::Merged { files, runs, .. } => {
            // A merged unit is cut to a bounded number of rows of its largest source.
            let files = files.iter().map(|file| file.metadata.row_count() as usize).max();
            let runs = runs.iter().map(|run| run.len()).max();
            files.max(runs).unwrap_or(0).min(crate::split::MERGED_ROWS)
        }
    }
}

impl DisplayAs for SnapshotExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SnapshotExec: units={}, columns={:?}, conditions={}",
            self.units.len(),
            self.reading.output,
            self.reading.conditions.len()
        )
    }
}

impl ExecutionPlan for SnapshotExec {
    fn name(&self) -> &str {
        "SnapshotExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Arc<Statistics>> {
        let mut rows = self.row_count;
        if !self.reading.conditions.is_empty() {
            rows /= FILTERED_ROWS_DIVISOR;
        }
        if partition.is_some() {
            rows /= self.properties.partitioning.partition_count();
        }
        let mut statistics = Statistics::new_unknown(&self.reading.schema);
        statistics.num_rows = Precision::Inexact(rows);
        Ok(Arc::new(statistics))
    }

    fn execute(
        &self,
        _partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let reservation = MemoryConsumer::new("Scan").register(context.memory_pool());
        Ok(Box::pin(SnapshotStream {
            reading: self.reading.clone(),
            units: self.units.clone(),
            next: self.next.clone(),
            batch_rows: context.session_config().batch_size(),
            left: self.limit.unwrap_or(usize::MAX),
            ready: VecDeque::new(),
            reservation,
        }))
    }
}

struct SnapshotStream {
    reading: Arc<Reading>,
    units: Arc<Vec<Unit>>,
    next: Arc<AtomicUsize>,
    batch_rows: usize,
    /// Rows that anybody still wants.
    left: usize,
    ready: VecDeque<RecordBatch>,
    reservation: MemoryReservation,
}

impl SnapshotStream {
    /// The next batch; reads a unit when none is ready.
    fn advance(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if self.left == 0 {
                self.ready.clear();
                self.reservation.free();
                return Ok(None);
            }
            if let Some(batch) = self.ready.pop_front() {
                let batch = self.cut(batch)?;
                if self.ready.is_empty() {
                    self.reservation.free();
                }
                return Ok(Some(batch));
            }
            let unit = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(unit) = self.units.get(unit) else { return Ok(None) };
            let batches = self.reading.read(unit)?;
            Counters::add(&self.reading.counters.units_done, 1);
            let bytes = batches.iter().map(RecordBatch::get_array_memory_size).sum();
            self.reservation.try_resize(bytes)?;
            self.ready.extend(batches.into_iter().filter(|batch| batch.num_rows() > 0));
        }
    }

    /// At most a batch of the engine's size; the rest waits.
    fn cut(&mut self, batch: RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows().min(self.batch_rows).min(self.left);
        self.left -= rows;
        if rows == batch.num_rows() {
            return Ok(batch);
        }
        self.ready.push_front(batch.slice(rows, batch.num_rows() - rows));
        compact(&batch.slice(0, rows))
    }
}

/// A piece of a batch whose strings do not keep the whole batch's alive: who buffers pieces would otherwise count, and hold, all of it for each.
fn compact(batch: &RecordBatch) -> Result<RecordBatch> {
    let columns = batch
        .columns()
        .iter()
        .map(|column| -> ArrayRef {
            if let Some(strings) = column.as_any().downcast_ref::<StringViewArray>() {
                let held: usize = strings.data_buffers().iter().map(|buffer| buffer.len()).sum();
                if strings.total_buffer_bytes_used() < held / 2 {
                    return Arc::new(strings.gc());
                }
            }
            if let Some(bytes) = column.as_any().downcast_ref::<BinaryViewArray>() {
                let held: usize = bytes.data_buffers().iter().map(|buffer| buffer.len()).sum();
                if bytes.total_buffer_bytes_used() < held / 2 {
                    return Arc::new(bytes.gc());
                }
            }
            column.clone()
        })
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(batch.schema(), columns, &options)?)
}

impl Stream for SnapshotStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.advance().transpose())
    }
}

impl RecordBatchStream for SnapshotStream {
    fn schema(&self) -> SchemaRef {
        self.reading.schema.clone()
    }
}
