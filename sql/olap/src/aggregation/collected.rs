//! Aggregates with DISTINCT or ORDER BY: the rows of each group are kept, sorted, and given to the aggregate's state at the end.
//!
//! A row is two byte strings: a key that sorts as the call wants (the ORDER BY keys, then with DISTINCT the arguments themselves, which DISTINCT sorts by)
//! and the arguments. With DISTINCT, equal keys are equal arguments, because PostgreSQL allows only arguments in the ORDER BY of such a call.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryViewArray, BinaryViewBuilder};
use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::EmitTo;
use types::{Value, ValueError};

use super::{Call, Groups, down};
use crate::error::raised;
use crate::physical::{Cells, ColumnBuilder};
use crate::{sort_key, value_codec};

/// Pointers and lengths of a kept row, and its share of the tree.
const ROW_BYTES: usize = 64;

type Bytes = Box<[u8]>;

enum Rows {
    Distinct(BTreeMap<Bytes, Bytes>),
    /// In order of arrival.
    All(Vec<(Bytes, Bytes)>),
}

impl Rows {
    /// Bytes that the row added.
    fn add(&mut self, key: &[u8], arguments: &[u8]) -> usize {
        let bytes = key.len() + arguments.len() + ROW_BYTES;
        match self {
            Rows::Distinct(rows) if rows.contains_key(key) => return 0,
            Rows::Distinct(rows) => {
                rows.insert(key.into(), arguments.into());
            }
            Rows::All(rows) => rows.push((key.into(), arguments.into())),
        }
        bytes
    }

    fn bytes(&self) -> usize {
        let of = |(key, arguments): (&Bytes, &Bytes)| key.len() + arguments.len() + ROW_BYTES;
        match self {
            Rows::Distinct(rows) => rows.iter().map(of).sum(),
            Rows::All(rows) => rows.iter().map(|(key, arguments)| of((key, arguments))).sum(),
        }
    }

    /// In order of arrival, or of the keys.
    fn into_rows(self) -> Vec<(Bytes, Bytes)> {
        match self {
            Rows::Distinct(rows) => rows.into_iter().collect(),
            Rows::All(rows) => rows,
        }
    }
}

pub(super) struct CollectedGroups {
    call: Arc<Call>,
    groups: Vec<Rows>,
    bytes: usize,
}

#[cold]
fn damaged() -> DataFusionError {
    raised(ValueError::internal("a partial aggregate is damaged"))
}

impl CollectedGroups {
    pub(super) fn new(call: Arc<Call>) -> CollectedGroups {
        CollectedGroups { call, groups: Vec::new(), bytes: 0 }
    }

    fn take(&mut self, emit: EmitTo) -> Vec<Rows> {
        let taken = emit.take_needed(&mut self.groups);
        self.bytes = self.groups.iter().map(Rows::bytes).sum();
        taken
    }
}

impl Groups for CollectedGroups {
    fn state_types(&self) -> Vec<DataType> {
        vec![DataType::BinaryView]
    }

    fn fresh(&self) -> Box<dyn Groups> {
        Box::new(CollectedGroups::new(self.call.clone()))
    }

    fn resize(&mut self, count: usize) -> Result<()> {
        while self.groups.len() < count {
            self.groups.push(if self.call.distinct {
                Rows::Distinct(BTreeMap::new())
            } else {
                Rows::All(Vec::new())
            });
        }
        Ok(())
    }

    fn update(
        &mut self,
        values: &[ArrayRef],
        rows: &mut dyn Iterator<Item = (usize, usize)>,
    ) -> Result<()> {
        let call = self.call.clone();
        let (arguments, order) = values.split_at(call.arguments.len());
        let argument_cells: Vec<Cells<'_>> = arguments
            .iter()
            .zip(&call.arguments)
            .map(|(array, sql_type)| Cells::new(array, *sql_type))
            .collect();
        let order_cells: Vec<Cells<'_>> = order
            .iter()
            .zip(&call.order)
            .map(|(array, key)| Cells::new(array, key.sql_type))
            .collect();
        let (mut key, mut row_bytes) = (Vec::new(), Vec::new());
        for (row, group) in rows {
            key.clear();
            row_bytes.clear();
            for (cells, order) in order_cells.iter().zip(&call.order) {
                let value = cells.owned(row).map_err(raised)?;
                sort_key::append_ordered(&value, *order, &mut key);
            }
            for (cells, sql_type) in argument_cells.iter().zip(&call.arguments) {
                let value = cells.owned(row).map_err(raised)?;
                if call.distinct {
                    sort_key::append(&value, *sql_type, &mut key);
                }
                value_codec::append(&value, &mut row_bytes);
            }
            self.bytes += self.groups[group].add(&key, &row_bytes);
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
            let values = value_codec::decode_all(partials.value(row)).ok_or_else(damaged)?;
            for pair in values.chunks_exact(2) {
                let [Value::Bytea(key), Value::Bytea(arguments)] = pair else {
                    return Err(damaged());
                };
                self.bytes += self.groups[group].add(key, arguments);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let groups = self.take(emit);
        let context = self.call.context.borrow();
        let mut builder = ColumnBuilder::new(self.call.output, groups.len());
        for group in groups {
            let mut rows = group.into_rows();
            // Stable: equal keys stay in order of arrival.
            rows.sort_by(|(a, _), (b, _)| a.cmp(b));
            let mut state = self.call.new_state()?;
            for (_, arguments) in rows {
                let values = value_codec::decode_all(&arguments).ok_or_else(damaged)?;
                let arguments: Vec<&Value> = values.iter().collect();
                state.accumulate(&arguments, &context).map_err(raised)?;
            }
            builder.push(&state.finish().map_err(raised)?).map_err(raised)?;
        }
        Ok(builder.finish())
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        let groups = self.take(emit);
        let mut builder = BinaryViewBuilder::with_capacity(groups.len());
        let mut bytes = Vec::new();
        for group in groups {
            bytes.clear();
            for (key, arguments) in group.into_rows() {
                value_codec::append(&Value::Bytea(key), &mut bytes);
                value_codec::append(&Value::Bytea(arguments), &mut bytes);
            }
            builder.append_value(&bytes);
        }
        Ok(vec![Arc::new(builder.finish())])
    }

    fn size(&self) -> usize {
        self.groups.capacity() * size_of::<Rows>() + self.bytes
    }
}
