//! Evaluating a compiled expression on a batch.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, StringViewArray, UInt32Array, new_null_array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{and_kleene, interleave, is_not_null, is_null, not, or_kleene, take};
use functions::{
    EvalContext, FunctionId, RegexCache, Test, Volatility, apply, cast_value,
    evaluate as evaluate_row,
};
use types::{SqlType, Value};

use super::distinct::Distinct;
use super::kernels::{Vector, compute};
use super::{Node, Program, Typed};
use crate::error::AnalyticsError;
use crate::physical::{Cells, ColumnBuilder, arrow_type};

/// The columns of a batch, or of those of its rows that reach a part.
struct Rows<'a> {
    columns: &'a [ArrayRef],
    row_count: usize,
}

struct Run<'a> {
    context: EvalContext<'a>,
    parameters: &'a [Value],
}

/// The value of a program for each row.
pub(super) fn evaluate(
    program: &Program,
    columns: &[ArrayRef],
    row_count: usize,
) -> Result<ArrayRef, AnalyticsError> {
    let regexes = RegexCache::default();
    let context = EvalContext { regexes: Some(&regexes), ..program.context.borrow() };
    let run = Run { context, parameters: &program.context.parameters };
    let vector = run.node(&program.root, &Rows { columns, row_count })?;
    spread(vector, row_count)
}

/// A column of every row's value.
fn spread(vector: Vector, row_count: usize) -> Result<ArrayRef, AnalyticsError> {
    match vector {
        Vector::Array(array) => Ok(array),
        Vector::Scalar(array) if row_count == 1 => Ok(array),
        Vector::Scalar(array) => Ok(take(&array, &UInt32Array::from_value(0, row_count), None)?),
    }
}

fn booleans(array: &ArrayRef) -> &BooleanArray {
    array.as_any().downcast_ref().expect("conditions are boolean")
}

impl Run<'_> {
    fn node(&self, node: &Node, rows: &Rows<'_>) -> Result<Vector, AnalyticsError> {
        match node {
            Node::Column(column) => Ok(Vector::Array(rows.columns[*column].clone())),
            Node::Constant(constant) => Ok(Vector::Scalar(constant.array.clone())),
            Node::Raise(error, _) if rows.row_count > 0 => Err(error.clone().into()),
            Node::Raise(_, sql_type) => {
                Ok(Vector::Array(new_null_array(&arrow_type(*sql_type), 0)))
            }
            Node::Kernel { kernel, function, arguments, output } => {
                let vectors = self.typed_all(arguments, rows)?;
                if vectors.iter().all(|vector| matches!(vector, Vector::Scalar(_))) {
                    return self.apply(*function, arguments, &vectors, *output, rows);
                }
                let unsure = |row: usize| self.apply_row(*function, arguments, &vectors, row);
                compute(*kernel, &vectors, *output, rows.row_count, &unsure).map(Vector::Array)
            }
            Node::Like { pattern, negated, argument } => {
                let strings = spread(self.node(&argument.node, rows)?, rows.row_count)?;
                self.once_each(&strings, |strings| {
                    let views: &StringViewArray =
                        strings.as_any().downcast_ref().expect("LIKE is of strings");
                    let matches = BooleanBuffer::collect_bool(views.len(), |row| {
                        views.is_valid(row) && pattern.matches(views.value(row)) != *negated
                    });
                    Ok(Arc::new(BooleanArray::new(matches, views.nulls().cloned())))
                })
            }
            Node::Apply { function, arguments, output } => {
                let vectors = self.typed_all(arguments, rows)?;
                self.apply_compressed(*function, arguments, vectors, *output, rows)
            }
            Node::Relabel(argument) => self.node(&argument.node, rows),
            Node::Cast { argument, to, kind } => {
                let vector = spread(self.node(&argument.node, rows)?, rows.row_count)?;
                self.once_each(&vector, |vector| {
                    let cells = Cells::new(vector, argument.sql_type);
                    let mut builder = ColumnBuilder::new(to.sql_type, vector.len());
                    for row in 0..vector.len() {
                        let (value, from) = (cells.owned(row)?, argument.sql_type);
                        builder.push(&cast_value(&value, from, *to, *kind, &self.context)?)?;
                    }
                    Ok(builder.finish())
                })
            }
            Node::InSet { argument, set, negated } => {
                let vector =
                    Vector::Array(spread(self.node(&argument.node, rows)?, rows.row_count)?);
                Ok(Vector::Array(Arc::new(set.contains(&vector, *negated, rows.row_count))))
            }
            Node::Rows { expr, columns, output } => self.rows(expr, columns, *output, rows),
            _ => self.lazy(node, rows).map(Vector::Array),
        }
    }

    fn typed_all(&self, parts: &[Typed], rows: &Rows<'_>) -> Result<Vec<Vector>, AnalyticsError> {
        parts.iter().map(|part| self.node(&part.node, rows)).collect()
    }

    /// Parts that decide which rows the next part sees.
    fn lazy(&self, node: &Node, rows: &Rows<'_>) -> Result<ArrayRef, AnalyticsError> {
        match node {
            Node::And(parts) => self.connect(parts, rows, false),
            Node::Or(parts) => self.connect(parts, rows, true),
            Node::Not(argument) => {
                let array = self.array(argument, rows)?;
                Ok(Arc::new(not(booleans(&array))?))
            }
            Node::Test { test, argument } => {
                let array = self.array(&argument.node, rows)?;
                Ok(Arc::new(test_column(*test, &array)?))
            }
            Node::Case { branches, otherwise, output } => {
                self.case(branches, otherwise.as_deref(), *output, rows)
            }
            Node::Coalesce { arguments, output } => self.coalesce(arguments, *output, rows),
            _ => panic!("the other nodes are not lazy"),
        }
    }

    fn array(&self, node: &Node, rows: &Rows<'_>) -> Result<ArrayRef, AnalyticsError> {
        spread(self.node(node, rows)?, rows.row_count)
    }

    /// AND (`decisive` false) and OR (`decisive` true).
    fn connect(
        &self,
        parts: &[Node],
        rows: &Rows<'_>,
        decisive: bool,
    ) -> Result<ArrayRef, AnalyticsError> {
        let mut answer = BooleanArray::from(vec![!decisive; rows.row_count]);
        for part in parts {
            let next = if part.can_fail() {
                let open: Vec<u32> = (0..rows.row_count)
                    .filter(|row| answer.is_null(*row) || answer.value(*row) != decisive)
                    .map(|row| row as u32)
                    .collect();
                if open.is_empty() {
                    break;
                }
                if open.len() == rows.row_count {
                    self.array(part, rows)?
                } else {
                    let some = self.on(part, rows, &open)?;
                    scatter(&some, &open, rows.row_count)?
                }
            } else {
                self.array(part, rows)?
            };
            let next = booleans(&next);
            answer = if decisive { or_kleene(&answer, next)? } else { and_kleene(&answer, next)? };
        }
        Ok(Arc::new(answer))
    }

    /// A part's value for some of the rows only.
    fn on(&self, node: &Node, rows: &Rows<'_>, chosen: &[u32]) -> Result<ArrayRef, AnalyticsError> {
        let indices = UInt32Array::from(chosen.to_vec());
        let columns = rows
            .columns
            .iter()
            .map(|column| take(column, &indices, None))
            .collect::<Result<Vec<ArrayRef>, _>>()?;
        self.array(node, &Rows { columns: &columns, row_count: chosen.len() })
    }

    fn case(
        &self,
        branches: &[(Node, Node)],
        otherwise: Option<&Node>,
        output: SqlType,
        rows: &Rows<'_>,
    ) -> Result<ArrayRef, AnalyticsError> {
        let mut choice = Choice::new(output, rows.row_count);
        for (condition, result) in branches {
            if choice.open.is_empty() {
                break;
            }
            let held = self.on_open(condition, rows, &choice.open)?;
            let held = booleans(&held);
            let (taken, open) = choice.split(|at| held.is_valid(at) && held.value(at));
            choice.open = open;
            if !taken.is_empty() {
                choice.give(self.on_open(result, rows, &taken)?, &taken);
            }
        }
        if let Some(result) = otherwise
            && !choice.open.is_empty()
        {
            let open = std::mem::take(&mut choice.open);
            choice.give(self.on_open(result, rows, &open)?, &open);
        }
        choice.finish()
    }

    fn coalesce(
        &self,
        arguments: &[Node],
        output: SqlType,
        rows: &Rows<'_>,
    ) -> Result<ArrayRef, AnalyticsError> {
        let mut choice = Choice::new(output, rows.row_count);
        for argument in arguments {
            if choice.open.is_empty() {
                break;
            }
            let values = self.on_open(argument, rows, &choice.open)?;
            let taken = std::mem::take(&mut choice.open);
            choice.open = taken
                .iter()
                .enumerate()
                .filter(|(at, _)| values.is_null(*at))
                .map(|(_, row)| *row)
                .collect();
            choice.give(values, &taken);
        }
        choice.finish()
    }

    /// As [`Run::on`], without copying when all rows are open.
    fn on_open(
        &self,
        node: &Node,
        rows: &Rows<'_>,
        open: &[u32],
    ) -> Result<ArrayRef, AnalyticsError> {
        if open.len() == rows.row_count {
            self.array(node, rows)
        } else {
            self.on(node, rows, open)
        }
    }

    /// A function of one column, for each distinct value if those are few.
    fn once_each(
        &self,
        array: &ArrayRef,
        compute: impl Fn(&ArrayRef) -> Result<ArrayRef, AnalyticsError>,
    ) -> Result<Vector, AnalyticsError> {
        Ok(Vector::Array(match Distinct::of(array) {
            Some(distinct) => distinct.spread(&compute(&distinct.values)?)?,
            None => compute(array)?,
        }))
    }

    /// As [`Run::apply`]; where one argument is a column and the others are constants, for each distinct value if those are few.
    fn apply_compressed(
        &self,
        function: FunctionId,
        arguments: &[Typed],
        mut vectors: Vec<Vector>,
        output: SqlType,
        rows: &Rows<'_>,
    ) -> Result<Vector, AnalyticsError> {
        let steady = function
            .definition()
            .is_some_and(|definition| definition.volatility != Volatility::Volatile);
        let mut columns = (0..vectors.len()).filter(|at| matches!(vectors[*at], Vector::Array(_)));
        if let (Some(at), None, true) = (columns.next(), columns.next(), steady)
            && let Some(distinct) = Distinct::of(vectors[at].array())
        {
            let few = Rows { columns: &[], row_count: distinct.values.len() };
            vectors[at] = Vector::Array(distinct.values.clone());
            let results = self.apply(function, arguments, &vectors, output, &few)?;
            return Ok(Vector::Array(distinct.spread(results.array())?));
        }
        self.apply(function, arguments, &vectors, output, rows)
    }

    /// A function row by row.
    fn apply(
        &self,
        function: FunctionId,
        arguments: &[Typed],
        vectors: &[Vector],
        output: SqlType,
        rows: &Rows<'_>,
    ) -> Result<Vector, AnalyticsError> {
        let cells: Vec<(Cells<'_>, usize)> = arguments
            .iter()
            .zip(vectors)
            .map(|(argument, vector)| {
                let step = usize::from(matches!(vector, Vector::Array(_)));
                (Cells::new(vector.array(), argument.sql_type), step)
            })
            .collect();
        let mut builder = ColumnBuilder::new(output, rows.row_count);
        let mut values = vec![Value::Null; arguments.len()];
        for row in 0..rows.row_count {
            for (value, (cells, step)) in values.iter_mut().zip(&cells) {
                // What all rows share is read once.
                if row == 0 || *step == 1 {
                    *value = cells.owned(row * step)?;
                }
            }
            let borrowed: Vec<&Value> = values.iter().collect();
            builder.push(&apply(function, &borrowed, &self.context)?)?;
        }
        Ok(Vector::Array(builder.finish()))
    }

    fn apply_row(
        &self,
        function: FunctionId,
        arguments: &[Typed],
        vectors: &[Vector],
        row: usize,
    ) -> Result<Value, AnalyticsError> {
        let mut values = Vec::with_capacity(arguments.len());
        for (argument, vector) in arguments.iter().zip(vectors) {
            let slot = if matches!(vector, Vector::Array(_)) { row } else { 0 };
            values.push(Cells::new(vector.array(), argument.sql_type).owned(slot)?);
        }
        let borrowed: Vec<&Value> = values.iter().collect();
        Ok(apply(function, &borrowed, &self.context)?)
    }

    /// The row evaluator on a whole part.
    fn rows(
        &self,
        expr: &functions::Expr,
        columns: &[usize],
        output: SqlType,
        rows: &Rows<'_>,
    ) -> Result<Vector, AnalyticsError> {
        let mut sql_types = vec![SqlType::Void; columns.len()];
        expr.walk(&mut |part| {
            if let functions::Expr::Column { index, column_type } = part {
                sql_types[*index as usize] = column_type.sql_type;
            }
        });
        let cells: Vec<Cells<'_>> = columns
            .iter()
            .zip(&sql_types)
            .map(|(column, sql_type)| Cells::new(&rows.columns[*column], *sql_type))
            .collect();
        let mut builder = ColumnBuilder::new(output, rows.row_count);
        let mut values = vec![Value::Null; columns.len()];
        for row in 0..rows.row_count {
            for (value, cells) in values.iter_mut().zip(&cells) {
                *value = cells.owned(row)?;
            }
            builder.push(&evaluate_row(expr, &values, self.parameters, &self.context)?)?;
        }
        Ok(Vector::Array(builder.finish()))
    }
}

/// Puts values back to their rows, the others NULL.
fn scatter(
    values: &ArrayRef,
    chosen: &[u32],
    row_count: usize,
) -> Result<ArrayRef, AnalyticsError> {
    let mut indices: Vec<Option<u32>> = vec![None; row_count];
    for (at, row) in chosen.iter().enumerate() {
        indices[*row as usize] = Some(at as u32);
    }
    Ok(take(values, &UInt32Array::from(indices), None)?)
}

fn test_column(test: Test, array: &ArrayRef) -> Result<BooleanArray, AnalyticsError> {
    let truth = |wanted: bool, answer: bool| {
        let values = booleans(array);
        BooleanArray::new(
            BooleanBuffer::collect_bool(values.len(), |row| {
                (values.is_valid(row) && values.value(row) == wanted) == answer
            }),
            None,
        )
    };
    Ok(match test {
        Test::Null | Test::Unknown => is_null(array)?,
        Test::NotNull | Test::NotUnknown => is_not_null(array)?,
        Test::True => truth(true, true),
        Test::NotTrue => truth(true, false),
        Test::False => truth(false, true),
        Test::NotFalse => truth(false, false),
    })
}

/// Rows that take their values from different arrays.
struct Choice {
    arrays: Vec<ArrayRef>,
    /// For each row: which array, which of its rows. The first array is one NULL.
    from: Vec<(usize, usize)>,
    /// Rows without a value yet.
    open: Vec<u32>,
}

impl Choice {
    fn new(output: SqlType, row_count: usize) -> Choice {
        Choice {
            arrays: vec![new_null_array(&arrow_type(output), 1)],
            from: vec![(0, 0); row_count],
            open: (0..row_count as u32).collect(),
        }
    }

    /// Splits the open rows by a property of their place among the open ones.
    fn split(&self, holds: impl Fn(usize) -> bool) -> (Vec<u32>, Vec<u32>) {
        let (mut taken, mut open) = (Vec::new(), Vec::new());
        for (at, row) in self.open.iter().enumerate() {
            if holds(at) {
                taken.push(*row);
            } else {
                open.push(*row);
            }
        }
        (taken, open)
    }

    fn give(&mut self, values: ArrayRef, rows: &[u32]) {
        self.arrays.push(values);
        let array = self.arrays.len() - 1;
        for (at, row) in rows.iter().enumerate() {
            self.from[*row as usize] = (array, at);
        }
    }

    fn finish(self) -> Result<ArrayRef, AnalyticsError> {
        let arrays: Vec<&dyn Array> = self.arrays.iter().map(|array| &**array).collect();
        Ok(interleave(&arrays, &self.from)?)
    }
}
