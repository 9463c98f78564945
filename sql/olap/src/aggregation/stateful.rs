//! Any aggregate of `functions`: one of its states for each group. A state travels as the bytes of its partial values.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryViewArray, BinaryViewBuilder};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::EmitTo;
use functions::AggregateState;
use types::{Value, ValueError};

use super::{Call, Groups, down};
use crate::error::raised;
use crate::physical::{Cells, ColumnBuilder};
use crate::value_codec;

/// What a boxed state takes besides what it says of its heap.
const STATE_BYTES: usize = 96;

pub(super) struct StatefulGroups {
    call: Arc<Call>,
    states: Vec<Box<dyn AggregateState>>,
    heap_bytes: usize,
}

impl StatefulGroups {
    pub(super) fn new(call: Arc<Call>) -> StatefulGroups {
        StatefulGroups { call, states: Vec::new(), heap_bytes: 0 }
    }

    fn take(&mut self, emit: EmitTo) -> Vec<Box<dyn AggregateState>> {
        let taken = emit.take_needed(&mut self.states);
        self.heap_bytes = self.states.iter().map(|state| state.heap_bytes()).sum();
        taken
    }
}

impl Groups for StatefulGroups {
    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::BinaryView]
    }

    fn fresh(&self) -> Box<dyn Groups> {
        Box::new(StatefulGroups::new(self.call.clone()))
    }

    fn resize(&mut self, count: usize) -> Result<()> {
        while self.states.len() < count {
            self.states.push(self.call.new_state()?);
        }
        Ok(())
    }

    fn update(
        &mut self,
        values: &[ArrayRef],
        rows: &mut dyn Iterator<Item = (usize, usize)>,
    ) -> Result<()> {
        let call = self.call.clone();
        let context = call.context.borrow();
        let cells: Vec<Cells<'_>> = values
            .iter()
            .zip(&call.arguments)
            .map(|(array, sql_type)| Cells::new(array, *sql_type))
            .collect();
        let mut owned = vec![Value::Null; cells.len()];
        for (row, group) in rows {
            for (value, cells) in owned.iter_mut().zip(&cells) {
                *value = cells.owned(row).map_err(raised)?;
            }
            let arguments: Vec<&Value> = owned.iter().collect();
            let state = &mut self.states[group];
            let before = state.heap_bytes();
            state.accumulate(&arguments, &context).map_err(raised)?;
            self.heap_bytes = self.heap_bytes + state.heap_bytes() - before;
        }
        Ok(())
    }

    fn merge(
        &mut self,
        states: &[ArrayRef],
        rows: &mut dyn Iterator<Item = (usize, usize)>,
    ) -> Result<()> {
        let partials: &BinaryViewArray = down(&states[0]);
        for (row, group) in rows {
            let values = value_codec::decode_all(partials.value(row))
                .ok_or_else(|| raised(ValueError::internal("a partial aggregate is damaged")))?;
            let state = &mut self.states[group];
            let before = state.heap_bytes();
            state.merge(&values).map_err(raised)?;
            self.heap_bytes = self.heap_bytes + state.heap_bytes() - before;
        }
        Ok(())
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let states = self.take(emit);
        let mut builder = ColumnBuilder::new(self.call.output, states.len());
        for state in states {
            builder.push(&state.finish().map_err(raised)?).map_err(raised)?;
        }
        Ok(builder.finish())
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        let states = self.take(emit);
        let mut builder = BinaryViewBuilder::with_capacity(states.len());
        let mut bytes = Vec::new();
        for state in states {
            bytes.clear();
            for value in state.partial() {
                value_codec::append(&value, &mut bytes);
            }
            builder.append_value(&bytes);
        }
        Ok(vec![Arc::new(builder.finish())])
    }

    fn size(&self) -> usize {
        self.states.capacity() * size_of::<Box<dyn AggregateState>>()
            + self.states.len() * STATE_BYTES
            + self.heap_bytes
    }
}
