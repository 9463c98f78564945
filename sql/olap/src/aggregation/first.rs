//! The value of each group's first row.

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::EmitTo;
use types::{SqlState, SqlType, ValueError};

use super::{Groups, Rows};
use crate::error::raised;
use crate::physical::{Cells, ColumnBuilder, arrow_type};

pub(super) struct FirstGroups {
    sql_type: SqlType,
    /// Groups whose value is known, in group order; all rows of a group arrive after its number was given, and numbers are given in row order.
    builder: ColumnBuilder,
    known: usize,
    count: usize,
    bytes: usize,
    rows: Rows,
}

impl FirstGroups {
    pub(super) fn new(sql_type: SqlType, rows: Rows) -> FirstGroups {
        let builder = ColumnBuilder::new(sql_type, 0);
        FirstGroups { sql_type, builder, known: 0, count: 0, bytes: 0, rows }
    }

    fn push(&mut self, cells: &Cells<'_>, row: usize) -> Result<()> {
        self.builder.push_ref(cells.get(row)).map_err(raised)?;
        self.bytes += cells.bytes(row);
        self.known += 1;
        Ok(())
    }

    fn take(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        while self.known < self.count {
            self.builder.push_null();
            self.known += 1;
        }
        let builder = std::mem::replace(&mut self.builder, ColumnBuilder::new(self.sql_type, 0));
        let all = builder.finish();
        self.known = 0;
        self.bytes = 0;
        match emit {
            EmitTo::All => {
                self.count = 0;
                Ok(all)
            }
            EmitTo::First(first) => {
                let rest = all.slice(first, all.len() - first);
                self.count = rest.len();
                let cells = Cells::new(&rest, self.sql_type);
                for row in 0..rest.len() {
                    self.push(&cells, row)?;
                }
                Ok(all.slice(0, first))
            }
        }
    }
}

impl Groups for FirstGroups {
    fn state_types(&self) -> Vec<DataType> {
        vec![arrow_type(self.sql_type)]
    }

    fn fresh(&self) -> Box<dyn Groups> {
        Box::new(FirstGroups::new(self.sql_type, self.rows))
    }

    fn resize(&mut self, count: usize) -> Result<()> {
        self.count = self.count.max(count);
        Ok(())
    }

    fn update(
        &mut self,
        values: &[ArrayRef],
        rows: &mut dyn Iterator<Item = (usize, usize)>,
    ) -> Result<()> {
        let cells = Cells::new(&values[0], self.sql_type);
        for (row, group) in rows {
            if group < self.known {
                if self.rows == Rows::One {
                    return Err(raised(ValueError::new(
                        SqlState::CARDINALITY_VIOLATION,
                        "more than one row returned by a subquery used as an expression",
                    )));
                }
                continue;
            }
            while self.known < group {
                self.builder.push_null();
                self.known += 1;
            }
            self.push(&cells, row)?;
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
        self.take(emit)
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.take(emit)?])
    }

    fn size(&self) -> usize {
        self.known * 16 + self.bytes
    }
}
