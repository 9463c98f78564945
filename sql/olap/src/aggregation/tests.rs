//! Both paths: every aggregate over the corner values of its types, grouped here and accumulated by `functions`' own state.

use std::sync::Arc;

use arrow::array::ArrayRef;
use datafusion::logical_expr::EmitTo;
use functions::aggregate::aggregates;
use functions::{AggregateId, ArgumentType};
use types::{SqlType, Value};

use super::Call;
use crate::error::AnalyticsError;
use crate::expression::tests::{context, corners};
use crate::physical::{Cells, ColumnBuilder};

/// Groups that rows are dealt out to.
const GROUPS: usize = 3;

fn columns(types: &[SqlType], rows: &[Vec<Value>]) -> Vec<ArrayRef> {
    let mut builders: Vec<ColumnBuilder> =
        types.iter().map(|sql_type| ColumnBuilder::new(*sql_type, rows.len())).collect();
    for row in rows {
        for (builder, value) in builders.iter_mut().zip(row) {
            builder.push(value).expect("a value of the type");
        }
    }
    builders.into_iter().map(ColumnBuilder::finish).collect()
}

type Answer = Result<Vec<Value>, AnalyticsError>;

fn values(array: &ArrayRef, sql_type: SqlType) -> Vec<Value> {
    let cells = Cells::new(array, sql_type);
    (0..GROUPS).map(|row| cells.owned(row).expect("decodes")).collect()
}

/// All rows at once.
fn direct(call: &Arc<Call>, rows: &[Vec<Value>]) -> Answer {
    let mut groups = call.groups();
    groups.resize(GROUPS)?;
    let arrays = columns(&call.arguments, rows);
    groups.update(&arrays, &mut (0..rows.len()).map(|row| (row, row % GROUPS)))?;
    Ok(values(&groups.evaluate(EmitTo::All)?, call.output))
}

/// Half of the rows each, then the states merged.
fn in_halves(call: &Arc<Call>, rows: &[Vec<Value>]) -> Answer {
    let mut merged = call.groups();
    merged.resize(GROUPS)?;
    let middle = rows.len() / 2;
    for (start, half) in [(0, &rows[..middle]), (middle, &rows[middle..])] {
        let mut groups = call.groups();
        groups.resize(GROUPS)?;
        let arrays = columns(&call.arguments, half);
        let of = |row: usize| (row, (row + start) % GROUPS);
        groups.update(&arrays, &mut (0..half.len()).map(of))?;
        let states = groups.state(EmitTo::All)?;
        merged.merge(&states, &mut (0..GROUPS).map(|group| (group, group)))?;
    }
    Ok(values(&merged.evaluate(EmitTo::All)?, call.output))
}

/// What `functions`' state says.
fn expected(call: &Arc<Call>, id: AggregateId, rows: &[Vec<Value>]) -> Answer {
    let definition = id.definition().expect("an aggregate of the library");
    let context = context();
    let mut states: Vec<_> = (0..GROUPS).map(|_| definition.new_state(&call.arguments)).collect();
    for (at, row) in rows.iter().enumerate() {
        let arguments: Vec<&Value> = row.iter().collect();
        states[at % GROUPS].accumulate(&arguments, &context.borrow())?;
    }
    let finished = states.iter().map(|state| Ok(state.finish()?));
    finished.collect()
}

fn same(found: &Answer, expected: &Answer) -> bool {
    match (found, expected) {
        (Ok(found), Ok(expected)) => format!("{found:?}") == format!("{expected:?}"),
        (Err(found), Err(expected)) => found.sqlstate() == expected.sqlstate(),
        _ => false,
    }
}

fn types_of(argument: ArgumentType) -> Vec<SqlType> {
    match argument {
        ArgumentType::Exactly(sql_type) => vec![sql_type],
        _ => vec![SqlType::Int4, SqlType::Text],
    }
}

/// Lists of rows: each value alone, and all that are finite, in several orders.
fn samples(types: &[SqlType]) -> Vec<Vec<Vec<Value>>> {
    let corners: Vec<Vec<Value>> = types.iter().map(|sql_type| corners(*sql_type)).collect();
    let count = corners.iter().map(Vec::len).max().unwrap_or(1);
    let row = |at: usize| -> Vec<Value> {
        corners.iter().enumerate().map(|(i, own)| own[(at + i) % own.len()].clone()).collect()
    };
    let mut samples: Vec<Vec<Vec<Value>>> = (0..count).map(|at| vec![row(at)]).collect();
    samples.push(Vec::new());
    samples.push((0..count).map(row).collect());
    samples.push((0..count).rev().map(row).collect());
    // Small values only: nothing overflows, and sums of floats do not depend on their order.
    samples.push((0..7).map(|at| row(if at % 2 == 0 { 0 } else { 2 })).collect());
    samples
}

#[test]
fn every_aggregate_over_every_type() {
    for definition in aggregates() {
        let lists: Vec<Vec<SqlType>> = match definition.arguments {
            [] => vec![vec![]],
            [one] => types_of(*one).into_iter().map(|sql_type| vec![sql_type]).collect(),
            many => vec![many.iter().map(|argument| types_of(*argument)[0]).collect()],
        };
        for types in lists {
            let resolved = functions::resolve_aggregate(definition.name, &types);
            let Ok(resolved) = resolved else { continue };
            if resolved.aggregate != definition.id || types.is_empty() {
                continue;
            }
            let call = Call::library(definition.id, types.clone(), resolved.returns, context());
            let call = Arc::new(call);
            for rows in samples(&types) {
                let wanted = expected(&call, definition.id, &rows);
                let found = direct(&call, &rows);
                let name = definition.name;
                assert!(
                    same(&found, &wanted),
                    "{name}{types:?} of {rows:?}: {found:?}, {wanted:?}"
                );
                let float = types.contains(&SqlType::Float4) || types.contains(&SqlType::Float8);
                if float && rows.len() > 7 {
                    continue;
                }
                let halves = in_halves(&call, &rows);
                assert!(
                    same(&halves, &wanted),
                    "{name}{types:?} of {rows:?} in halves: {halves:?}, {wanted:?}"
                );
            }
        }
    }
}
