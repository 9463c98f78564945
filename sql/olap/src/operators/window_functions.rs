//! The functions over a window, for one partition at a time. Source: PostgreSQL 15, `windowfuncs.c`'s documented behaviour (chapter 9.22).

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, UInt64Array,
};
use arrow::compute::take;
use datafusion::common::Result;
use plan::query::{FrameExclude, WindowFunction};
use types::{SqlState, SqlType, Value, ValueError};

use super::window_frame::{Bound, FrameSpec, Frames, Peers};
use crate::error::raised;
use crate::evaluation::StatementContext;
use crate::physical::{Cells, ColumnBuilder};

/// `invalid_argument_for_ntile_function`
const INVALID_ARGUMENT_FOR_NTILE: SqlState = SqlState(*b"22014");
/// `invalid_argument_for_nth_value_function`
const INVALID_ARGUMENT_FOR_NTH_VALUE: SqlState = SqlState(*b"22016");

/// One call; `arguments` and `filter` are columns that the operator reads.
#[derive(Clone, Debug)]
pub(crate) struct WindowCallSpec {
    pub(crate) function: WindowFunction,
    pub(crate) arguments: Vec<(usize, SqlType)>,
    pub(crate) filter: Option<usize>,
    pub(crate) frame: FrameSpec,
    pub(crate) output: SqlType,
}

/// One partition: the columns that the operator reads, and its peers.
pub(super) struct Partition<'a> {
    pub(super) columns: &'a [ArrayRef],
    pub(super) peers: &'a Peers,
    pub(super) row_count: usize,
    pub(super) context: &'a Arc<StatementContext>,
}

impl WindowCallSpec {
    /// Whether a row's value needs no rows after it, nor its frame.
    pub(super) fn is_numbering(&self) -> bool {
        matches!(
            self.function,
            WindowFunction::RowNumber | WindowFunction::Rank | WindowFunction::DenseRank
        )
    }

    /// The call's value for each row of a partition.
    pub(super) fn evaluate(&self, partition: &Partition<'_>) -> Result<ArrayRef> {
        let n = partition.row_count;
        let peers = partition.peers;
        Ok(match self.function {
            WindowFunction::RowNumber => {
                Arc::new(Int64Array::from_iter_values((1..=n).map(|row| row as i64)))
            }
            WindowFunction::Rank => Arc::new(Int64Array::from_iter_values(
                (0..n).map(|row| peers.start(row) as i64 + 1),
            )),
            WindowFunction::DenseRank => Arc::new(Int64Array::from_iter_values(
                (0..n).map(|row| i64::from(peers.group[row]) + 1),
            )),
            WindowFunction::PercentRank => {
                let others = n.saturating_sub(1).max(1) as f64;
                Arc::new(Float64Array::from_iter_values(
                    (0..n).map(|row| peers.start(row) as f64 / others),
                ))
            }
            WindowFunction::CumeDist => Arc::new(Float64Array::from_iter_values(
                (0..n).map(|row| peers.end(row) as f64 / n as f64),
            )),
            WindowFunction::Ntile => self.ntile(partition)?,
            WindowFunction::Lag => self.shifted(partition, Direction::Back)?,
            WindowFunction::Lead => self.shifted(partition, Direction::Forward)?,
            WindowFunction::FirstValue | WindowFunction::LastValue | WindowFunction::NthValue => {
                self.of_frame(partition)?
            }
            WindowFunction::Aggregate(aggregate) => self.aggregate(partition, aggregate)?,
        })
    }

    fn cells<'a>(&self, partition: &Partition<'a>, argument: usize) -> Cells<'a> {
        let (column, sql_type) = self.arguments[argument];
        Cells::new(&partition.columns[column], sql_type)
    }

    fn integer(&self, cells: &Cells<'_>, row: usize) -> Result<Option<i64>> {
        Ok(match cells.owned(row).map_err(raised)? {
            Value::Int4(v) => Some(i64::from(v)),
            Value::Int8(v) => Some(v),
            _ => None,
        })
    }

    fn ntile(&self, partition: &Partition<'_>) -> Result<ArrayRef> {
        let n = partition.row_count;
        if n == 0 {
            return Ok(Arc::new(Int32Array::from(Vec::<i32>::new())));
        }
        let Some(buckets) = self.integer(&self.cells(partition, 0), 0)? else {
            return Ok(Arc::new(Int32Array::new_null(n)));
        };
        if buckets <= 0 {
            return Err(raised(ValueError::new(
                INVALID_ARGUMENT_FOR_NTILE,
                "argument of ntile must be greater than zero",
            )));
        }
        let (rows, buckets) = (n as i64, buckets);
        let (each, larger) = (rows / buckets, rows % buckets);
        let in_larger = larger * (each + 1);
        let bucket = |row: i64| {
            if row < in_larger {
                row / (each + 1) + 1
            } else {
                // Without rows for every bucket, each row is a larger bucket of its own and this is not reached.
                larger + (row - in_larger) / each.max(1) + 1
            }
        };
        Ok(Arc::new(Int32Array::from_iter_values((0..rows).map(|row| {
            i32::try_from(bucket(row)).expect("at most as large as the integer argument")
        }))))
    }

    /// `lag` and `lead`.
    fn shifted(&self, partition: &Partition<'_>, direction: Direction) -> Result<ArrayRef> {
        let n = partition.row_count as i64;
        let offsets = (self.arguments.len() > 1).then(|| self.cells(partition, 1));
        let defaults = (self.arguments.len() > 2).then(|| self.cells(partition, 2));
        let values = self.cells(partition, 0);
        let mut builder = ColumnBuilder::new(self.output, partition.row_count);
        for row in 0..n {
            let offset = match &offsets {
                Some(cells) => self.integer(cells, row as usize)?,
                None => Some(1),
            };
            let Some(offset) = offset else {
                builder.push_null();
                continue;
            };
            let from = match direction {
                Direction::Back => row.checked_sub(offset),
                Direction::Forward => row.checked_add(offset),
            };
            let value = match (from.filter(|from| (0..n).contains(from)), &defaults) {
                (Some(from), _) => values.get(from as usize),
                (None, Some(defaults)) => defaults.get(row as usize),
                (None, None) => types::ValueRef::Null,
            };
            builder.push_ref(value).map_err(raised)?;
        }
        Ok(builder.finish())
    }

    fn frames<'a>(&'a self, partition: &'a Partition<'a>) -> Frames<'a> {
        Frames {
            spec: &self.frame,
            peers: partition.peers,
            row_count: partition.row_count,
            columns: partition.columns,
        }
    }

    /// `first_value`, `last_value`, `nth_value`.
    fn of_frame(&self, partition: &Partition<'_>) -> Result<ArrayRef> {
        let frames = self.frames(partition);
        let (column, _) = self.arguments[0];
        let counts = (self.arguments.len() > 1).then(|| self.cells(partition, 1));
        let mut rows: Vec<Option<u64>> = Vec::with_capacity(partition.row_count);
        for (row, (start, end)) in frames.ranges()?.into_iter().enumerate() {
            let mut kept = (start..end).filter(|other| !frames.excludes(row, *other));
            let found = match (self.function, &counts) {
                (WindowFunction::FirstValue, _) => kept.next(),
                (WindowFunction::LastValue, _) => kept.next_back(),
                (_, Some(counts)) => match self.integer(counts, row)? {
                    Some(count) if count > 0 => kept.nth(count as usize - 1),
                    Some(_) => {
                        return Err(raised(ValueError::new(
                            INVALID_ARGUMENT_FOR_NTH_VALUE,
                            "argument of nth_value must be greater than zero",
                        )));
                    }
                    None => None,
                },
                (_, None) => None,
            };
            rows.push(found.map(|found| found as u64));
        }
        Ok(take(&partition.columns[column], &UInt64Array::from(rows), None)?)
    }

    fn aggregate(
        &self,
        partition: &Partition<'_>,
        aggregate: functions::AggregateId,
    ) -> Result<ArrayRef> {
        let definition = aggregate
            .definition()
            .ok_or_else(|| raised(ValueError::internal("an unknown aggregate was planned")))?;
        let types: Vec<SqlType> = self.arguments.iter().map(|(_, sql_type)| *sql_type).collect();
        let frames = self.frames(partition);
        let context = partition.context.borrow();
        let cells: Vec<Cells<'_>> =
            (0..self.arguments.len()).map(|argument| self.cells(partition, argument)).collect();
        let filter: Option<&BooleanArray> = self.filter.map(|column| {
            partition.columns[column].as_any().downcast_ref().expect("filters are boolean")
        });
        let mut builder = ColumnBuilder::new(self.output, partition.row_count);
        let growing = self.frame.start == Bound::UnboundedPreceding
            && self.frame.exclude == FrameExclude::NoOthers;
        let mut state = definition.new_state(&types);
        let mut within = (0, 0);
        let mut answer: Option<Value> = None;
        for (row, (start, end)) in frames.ranges()?.into_iter().enumerate() {
            let same = answer.is_some()
                && within == (start, end)
                && self.frame.exclude == FrameExclude::NoOthers;
            if !same {
                if !growing || end < within.1 {
                    state = definition.new_state(&types);
                    within = (start, start);
                }
                for other in within.1..end {
                    let passes =
                        filter.is_none_or(|filter| filter.is_valid(other) && filter.value(other));
                    if !passes || frames.excludes(row, other) {
                        continue;
                    }
                    let mut values = Vec::with_capacity(cells.len());
                    for cells in &cells {
                        values.push(cells.owned(other).map_err(raised)?);
                    }
                    let borrowed: Vec<&Value> = values.iter().collect();
                    state.accumulate(&borrowed, &context).map_err(raised)?;
                }
                within = (start, end);
                answer = Some(state.finish().map_err(raised)?);
            }
            builder.push(answer.as_ref().unwrap_or(&Value::Null)).map_err(raised)?;
        }
        Ok(builder.finish())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Back,
    Forward,
}
