//! `min` and `max` of strings, by their bytes (collation `C`).

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringViewArray};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::EmitTo;

use super::{Groups, down};

pub(super) struct StringExtreme {
    wanted: Ordering,
    values: Vec<Option<Box<str>>>,
    bytes: usize,
}

impl StringExtreme {
    pub(super) fn new(wanted: Ordering) -> StringExtreme {
        StringExtreme { wanted, values: Vec::new(), bytes: 0 }
    }
}

impl Groups for StringExtreme {
    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::Utf8View]
    }

    fn fresh(&self) -> Box<dyn Groups> {
        Box::new(StringExtreme::new(self.wanted))
    }

    fn resize(&mut self, count: usize) -> Result<()> {
        self.values.resize(count.max(self.values.len()), None);
        Ok(())
    }

    fn update(
        &mut self,
        values: &[ArrayRef],
        rows: &mut dyn Iterator<Item = (usize, usize)>,
    ) -> Result<()> {
        let array: &StringViewArray = down(&values[0]);
        for (row, group) in rows {
            if array.is_null(row) {
                continue;
            }
            let value = array.value(row);
            let held = &mut self.values[group];
            let better = held
                .as_ref()
                .is_none_or(|held| value.as_bytes().cmp(held.as_bytes()) == self.wanted);
            if better {
                self.bytes -= held.as_ref().map_or(0, |held| held.len());
                self.bytes += value.len();
                *held = Some(value.into());
            }
        }
        Ok(())
    }

    fn merge(
        &mut self,
        states: &[ArrayRef],
        rows: &mut dyn Iterator<Item = (usize, usize)>,
    ) -> Result<()> {
        self.update(states, rows)
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let values = emit.take_needed(&mut self.values);
        self.bytes = self.values.iter().flatten().map(|value| value.len()).sum();
        Ok(Arc::new(values.iter().map(|value| value.as_deref()).collect::<StringViewArray>()))
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit)?])
    }

    fn size(&self) -> usize {
        self.values.capacity() * size_of::<Option<Box<str>>>() + self.bytes
    }
}
