//! The obvious meaning of a relational tree, row by row, with no thought of speed.

use functions::{EvalContext, Expr, Quantifier, SubqueryKind, apply, evaluate};
use plan::query::{
    Aggregate, AggregateCall, FrameBound, FrameUnits, Join, JoinKind, Lateral, Query, Rel,
    SetFunction, SetFunctionKind, SetOperation, SortKey, Subqueries, WindowCall, WindowFunction,
    WithBody,
};
use plan::statement::{Insert, InsertSource};
use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use types::text_format::append_text;
use types::{TableId, TextSettings, Value};

type Row = Vec<Value>;

const CONTEXT: EvalContext<'static> = EvalContext::PURE;

/// Stored rows of every table.
#[derive(Default)]
pub struct Database {
    tables: BTreeMap<TableId, Vec<Row>>,
}

/// One statement being answered.
struct Run<'a> {
    database: &'a Database,
    subqueries: &'a Subqueries,
    work: RefCell<BTreeMap<usize, Vec<Row>>>,
}

impl Database {
    pub fn insert(&mut self, insert: &Insert) {
        let InsertSource::Rows(rows) = &insert.source else { panic!("VALUES only") };
        for row in rows {
            let row = row.iter().map(|value| evaluate(value, &[], &[], &CONTEXT).expect("a value"));
            self.tables.entry(insert.table.table_id).or_default().push(row.collect());
        }
    }

    /// The rows of a query as text, columns separated by `|`, NULL as `~`.
    pub fn text(&self, query: &Query, subqueries: &Subqueries) -> Vec<String> {
        let run = Run { database: self, subqueries, work: RefCell::default() };
        let rows = run.rows(&query.root, &[]);
        let line = |row: Row| {
            let mut bytes = Vec::new();
            for (index, (value, column)) in row.iter().zip(&query.columns).enumerate() {
                if index > 0 {
                    bytes.push(b'|');
                }
                if value.is_null() {
                    bytes.push(b'~');
                } else {
                    let sql_type = column.column_type.sql_type;
                    append_text(value, sql_type, &TextSettings::DEFAULT, &mut bytes);
                }
            }
            String::from_utf8(bytes).expect("text")
        };
        rows.into_iter().map(line).collect()
    }
}

fn compare(keys: &[SortKey], a: &[Value], b: &[Value]) -> Ordering {
    for ((key, a), b) in keys.iter().zip(a).zip(b) {
        let order = match (a.is_null(), b.is_null()) {
            (true, true) => Ordering::Equal,
            (true, false) if key.nulls_first => Ordering::Less,
            (true, false) => Ordering::Greater,
            (false, true) if key.nulls_first => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) if key.descending => b.sql_cmp(a),
            (false, false) => a.sql_cmp(b),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

fn distinct(rows: Vec<Row>) -> Vec<Row> {
    let mut kept: Vec<Row> = Vec::new();
    for row in rows {
        if !kept.contains(&row) {
            kept.push(row);
        }
    }
    kept
}

impl Run<'_> {
    fn rows(&self, rel: &Rel, outer: &[Row]) -> Vec<Row> {
        match rel {
            Rel::OneRow => vec![Vec::new()],
            Rel::Scan(scan) => {
                let all = self.database.tables.get(&scan.table.table_id);
                let pick = |row: &Row| {
                    scan.columns.iter().map(|at| row[usize::from(*at)].clone()).collect()
                };
                all.map_or_else(Vec::new, |rows| rows.iter().map(pick).collect())
            }
            Rel::VirtualScan(_) => panic!("no catalog here"),
            Rel::Values { rows, .. } => rows.iter().map(|row| self.all(row, &[], outer)).collect(),
            Rel::FunctionScan(scan) => {
                let mut rows: Vec<Row> = self.set(&scan.function, &[], outer);
                if scan.ordinality {
                    for (index, row) in rows.iter_mut().enumerate() {
                        row.push(Value::Int8(index as i64 + 1));
                    }
                }
                rows
            }
            Rel::Project { input, expressions } => {
                let rows = self.rows(input, outer);
                rows.iter().map(|row| self.all(expressions, row, outer)).collect()
            }
            Rel::ProjectSet { input, functions } => self.project_set(input, functions, outer),
            Rel::Filter { input, condition } => {
                let mut rows = self.rows(input, outer);
                rows.retain(|row| self.holds(condition, row, outer));
                rows
            }
            Rel::Join(join) => self.join(join, outer),
            Rel::Aggregate(aggregate) => self.aggregate(aggregate, outer),
            Rel::Window { input, calls } => self.window(input, calls, outer),
            Rel::Sort { input, keys } => {
                let mut rows = self.rows(input, outer);
                rows.sort_by_cached_key(|row| Sorted { keys, values: self.keys(keys, row, outer) });
                rows
            }
            Rel::Limit { input, limit, offset } => {
                let count = |expr: &Option<Expr>| {
                    expr.as_ref().and_then(|expr| match self.value(expr, &[], outer) {
                        Value::Int8(count) => Some(count as usize),
                        _ => None,
                    })
                };
                let (limit, offset) = (count(limit), count(offset));
                let rows = self.rows(input, outer).into_iter().skip(offset.unwrap_or(0));
                rows.take(limit.unwrap_or(usize::MAX)).collect()
            }
            Rel::Distinct { input, on: None } => distinct(self.rows(input, outer)),
            Rel::Distinct { input, on: Some(on) } => {
                let mut seen: Vec<Row> = Vec::new();
                let mut rows = self.rows(input, outer);
                rows.retain(|row| {
                    let key: Row = on.iter().map(|at| row[*at].clone()).collect();
                    let fresh = !seen.contains(&key);
                    seen.push(key);
                    fresh
                });
                rows
            }
            Rel::SetOperation { operation, all, left, right } => {
                let left = self.rows(left, outer);
                let right = self.rows(right, outer);
                set_operation(*operation, *all, left, right)
            }
            Rel::WithScan { index, .. } => self.with(*index, outer),
            Rel::WorkTable { index, .. } => self.work.borrow()[index].clone(),
        }
    }

    fn with(&self, index: usize, outer: &[Row]) -> Vec<Row> {
        match &self.subqueries.with[index].body {
            WithBody::Plain(rel) => self.rows(rel, outer),
            WithBody::Recursive { start, step, all } => {
                let mut round = self.rows(start, outer);
                if !all {
                    round = distinct(round);
                }
                let mut result = round.clone();
                while !round.is_empty() {
                    self.work.borrow_mut().insert(index, round);
                    let mut next = self.rows(step, outer);
                    if !all {
                        next = distinct(next);
                        next.retain(|row| !result.contains(row));
                    }
                    result.extend(next.iter().cloned());
                    round = next;
                }
                result
            }
        }
    }

    fn project_set(&self, input: &Rel, functions: &[SetFunction], outer: &[Row]) -> Vec<Row> {
        let mut result = Vec::new();
        for row in self.rows(input, outer) {
            let sets: Vec<Vec<Row>> =
                functions.iter().map(|function| self.set(function, &row, outer)).collect();
            let most = sets.iter().map(Vec::len).max().unwrap_or(0);
            for index in 0..most {
                let mut longer = row.clone();
                longer.extend(
                    sets.iter().map(|set| set.get(index).map_or(Value::Null, |one| one[0].clone())),
                );
                result.push(longer);
            }
        }
        result
    }

    fn set(&self, function: &SetFunction, row: &[Value], outer: &[Row]) -> Vec<Row> {
        let arguments = self.all(&function.arguments, row, outer);
        if arguments.iter().any(Value::is_null) {
            return Vec::new();
        }
        match (function.kind, arguments.as_slice()) {
            (SetFunctionKind::GenerateSeries, [Value::Int4(from), Value::Int4(to)]) => {
                (*from..=*to).map(|one| vec![Value::Int4(one)]).collect()
            }
            (SetFunctionKind::Unnest, [Value::Array(elements)]) => {
                elements.iter().map(|one| vec![one.clone()]).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    fn join(&self, join: &Join, outer: &[Row]) -> Vec<Row> {
        let left = self.rows(&join.left, outer);
        let (left_width, right_width) = (join.left.types().len(), join.right.types().len());
        let fixed = match join.lateral {
            Lateral::Independent => Some(self.rows(&join.right, outer)),
            Lateral::Dependent => None,
        };
        let mut matched_right = vec![false; fixed.as_ref().map_or(0, Vec::len)];
        let mut result = Vec::new();
        for row in left {
            let right = match &fixed {
                Some(rows) => rows.clone(),
                None => {
                    let mut inner = outer.to_vec();
                    inner.push(row.clone());
                    self.rows(&join.right, &inner)
                }
            };
            let mut matched = false;
            for (index, other) in right.iter().enumerate() {
                let both: Row = row.iter().chain(other).cloned().collect();
                let holds = join.condition.as_ref().is_none_or(|one| self.holds(one, &both, outer));
                if holds {
                    matched = true;
                    if let Some(flag) = matched_right.get_mut(index) {
                        *flag = true;
                    }
                    result.push(both);
                }
            }
            if !matched && matches!(join.kind, JoinKind::Left | JoinKind::Full) {
                let mut longer = row;
                longer.resize(left_width + right_width, Value::Null);
                result.push(longer);
            }
        }
        if matches!(join.kind, JoinKind::Right | JoinKind::Full) {
            for (other, matched) in fixed.into_iter().flatten().zip(matched_right) {
                if !matched {
                    let mut longer = vec![Value::Null; left_width];
                    longer.extend(other);
                    result.push(longer);
                }
            }
        }
        result
    }

    fn aggregate(&self, aggregate: &Aggregate, outer: &[Row]) -> Vec<Row> {
        let rows = self.rows(&aggregate.input, outer);
        let everything: Vec<usize> = (0..aggregate.keys.len()).collect();
        let sets =
            if aggregate.sets.is_empty() { vec![everything] } else { aggregate.sets.clone() };
        let mut result = Vec::new();
        for set in sets {
            let mut groups: Vec<(Row, Vec<&Row>)> = Vec::new();
            for row in &rows {
                let mut key = self.all(&aggregate.keys, row, outer);
                for (index, value) in key.iter_mut().enumerate() {
                    if !set.contains(&index) {
                        *value = Value::Null;
                    }
                }
                match groups.iter_mut().find(|(known, _)| *known == key) {
                    Some((_, members)) => members.push(row),
                    None => groups.push((key, vec![row])),
                }
            }
            if set.is_empty() && groups.is_empty() {
                groups.push((vec![Value::Null; aggregate.keys.len()], Vec::new()));
            }
            for (mut row, members) in groups {
                for call in &aggregate.calls {
                    row.push(self.aggregate_value(call, &members, outer));
                }
                for asked in &aggregate.groupings {
                    let bits =
                        asked.iter().fold(0, |bits, key| bits * 2 + i32::from(!set.contains(key)));
                    row.push(Value::Int4(bits));
                }
                result.push(row);
            }
        }
        result
    }

    fn aggregate_value(&self, call: &AggregateCall, rows: &[&Row], outer: &[Row]) -> Value {
        let definition = call.function.definition().expect("a known aggregate");
        let types: Vec<_> = call.arguments.iter().map(Expr::sql_type).collect();
        let mut state = definition.new_state(&types);
        let mut rows: Vec<&Row> = rows
            .iter()
            .copied()
            .filter(|row| call.filter.as_ref().is_none_or(|one| self.holds(one, row, outer)))
            .collect();
        rows.sort_by_cached_key(|row| Sorted {
            keys: &call.order,
            values: self.keys(&call.order, row, outer),
        });
        let mut seen: Vec<Row> = Vec::new();
        for row in rows {
            let arguments = self.all(&call.arguments, row, outer);
            if call.distinct && seen.contains(&arguments) {
                continue;
            }
            let borrowed: Vec<&Value> = arguments.iter().collect();
            state.accumulate(&borrowed, &CONTEXT).expect("no overflow");
            seen.push(arguments);
        }
        state.finish().expect("no overflow")
    }

    fn window(&self, input: &Rel, calls: &[WindowCall], outer: &[Row]) -> Vec<Row> {
        let rows = self.rows(input, outer);
        let mut result = rows.clone();
        for call in calls {
            for (index, row) in rows.iter().enumerate() {
                let partition = self.all(&call.partition, row, outer);
                let mut members: Vec<usize> = (0..rows.len())
                    .filter(|other| self.all(&call.partition, &rows[*other], outer) == partition)
                    .collect();
                members.sort_by_cached_key(|other| Sorted {
                    keys: &call.order,
                    values: self.keys(&call.order, &rows[*other], outer),
                });
                let at = members.iter().position(|other| *other == index).expect("its own");
                let members: Vec<&Row> = members.iter().map(|other| &rows[*other]).collect();
                result[index].push(self.window_value(call, &members, at, outer));
            }
        }
        result
    }

    fn window_value(&self, call: &WindowCall, rows: &[&Row], at: usize, outer: &[Row]) -> Value {
        let keys = |row: &Row| self.keys(&call.order, row, outer);
        let peers = |other: usize| {
            compare(&call.order, &keys(rows[other]), &keys(rows[at])) == Ordering::Equal
        };
        let offset = |expr: &Expr| match self.value(expr, &[], outer) {
            Value::Int8(count) => count,
            other => panic!("{other:?}"),
        };
        let bound = |bound: &FrameBound, last: bool| -> i64 {
            let edge = |last: bool| {
                let all = 0..rows.len();
                let found = if last {
                    all.rev().find(|i| peers(*i))
                } else {
                    all.clone().find(|i| peers(*i))
                };
                found.expect("its own peer") as i64
            };
            match bound {
                FrameBound::UnboundedPreceding => 0,
                FrameBound::UnboundedFollowing => rows.len() as i64 - 1,
                FrameBound::CurrentRow if call.frame.units == FrameUnits::Rows => at as i64,
                FrameBound::CurrentRow => edge(last),
                FrameBound::Preceding(expr) => at as i64 - offset(expr),
                FrameBound::Following(expr) => at as i64 + offset(expr),
            }
        };
        let start = bound(&call.frame.start, false).max(0) as usize;
        let end = (bound(&call.frame.end, true) + 1).clamp(0, rows.len() as i64) as usize;
        let frame = if start < end { &rows[start..end] } else { &[] };
        let argument = |row: &Row, index: usize| self.value(&call.arguments[index], row, outer);
        let neighbour = |distance: i64| {
            let wanted = at as i64 + distance;
            match usize::try_from(wanted).ok().and_then(|wanted| rows.get(wanted)) {
                Some(row) => argument(row, 0),
                None if call.arguments.len() > 2 => argument(rows[at], 2),
                None => Value::Null,
            }
        };
        let count = || match call.arguments.get(1).map(|_| argument(rows[at], 1)) {
            Some(Value::Int4(count)) => i64::from(count),
            _ => 1,
        };
        match call.function {
            WindowFunction::RowNumber => Value::Int8(at as i64 + 1),
            WindowFunction::Rank => {
                Value::Int8((0..rows.len()).find(|i| peers(*i)).expect("itself") as i64 + 1)
            }
            WindowFunction::DenseRank => {
                let mut before: Vec<Row> = rows[..at].iter().map(|row| keys(row)).collect();
                before.retain(|key| compare(&call.order, key, &keys(rows[at])) != Ordering::Equal);
                Value::Int8(distinct(before).len() as i64 + 1)
            }
            WindowFunction::Lag => neighbour(-count()),
            WindowFunction::Lead => neighbour(count()),
            WindowFunction::FirstValue => frame.first().map_or(Value::Null, |row| argument(row, 0)),
            WindowFunction::LastValue => frame.last().map_or(Value::Null, |row| argument(row, 0)),
            WindowFunction::Aggregate(function) => {
                let call = AggregateCall {
                    function,
                    arguments: call.arguments.clone(),
                    distinct: false,
                    order: Vec::new(),
                    filter: call.filter.clone(),
                    column_type: call.column_type,
                };
                self.aggregate_value(&call, frame, outer)
            }
            other => panic!("{other:?}"),
        }
    }

    // --- expressions

    fn all(&self, expressions: &[Expr], row: &[Value], outer: &[Row]) -> Row {
        expressions.iter().map(|one| self.value(one, row, outer)).collect()
    }

    fn keys(&self, keys: &[SortKey], row: &[Value], outer: &[Row]) -> Row {
        keys.iter().map(|key| self.value(&key.expression, row, outer)).collect()
    }

    fn holds(&self, condition: &Expr, row: &[Value], outer: &[Row]) -> bool {
        matches!(self.value(condition, row, outer), Value::Bool(true))
    }

    /// Outer columns and subqueries become literals; the rest is the library's.
    fn value(&self, expression: &Expr, row: &[Value], outer: &[Row]) -> Value {
        let mut flat = expression.clone();
        flat.transform(&mut |part| match part {
            Expr::Outer { level, index, column_type } => {
                let row = &outer[outer.len() - *level as usize];
                let value = row[*index as usize].clone();
                *part = Expr::Literal { value, column_type: *column_type };
            }
            Expr::Subquery { index, kind, column_type } => {
                let mut inner = outer.to_vec();
                inner.push(row.to_vec());
                let rows = self.rows(&self.subqueries.queries[*index as usize].root, &inner);
                let value = self.answer(kind, rows, row);
                *part = Expr::Literal { value, column_type: *column_type };
            }
            _ => {}
        });
        evaluate(&flat, row, &[], &CONTEXT).unwrap_or_else(|error| panic!("{error}: {flat:?}"))
    }

    fn answer(&self, kind: &SubqueryKind, rows: Vec<Row>, row: &[Value]) -> Value {
        match kind {
            SubqueryKind::Exists => Value::Bool(!rows.is_empty()),
            SubqueryKind::Scalar => {
                assert!(rows.len() <= 1, "21000");
                rows.into_iter().next().map_or(Value::Null, |row| row[0].clone())
            }
            SubqueryKind::Array => {
                Value::Array(rows.into_iter().map(|mut row| row.remove(0)).collect())
            }
            SubqueryKind::Quantified { quantifier, left, operators } => {
                let left: Row =
                    left.iter().map(|one| evaluate(one, row, &[], &CONTEXT).expect("ok")).collect();
                let mut unknown = false;
                for other in rows {
                    let mut all = Some(true);
                    for ((a, b), operator) in left.iter().zip(&other).zip(operators) {
                        let one = if a.is_null() || b.is_null() {
                            Value::Null
                        } else {
                            apply(*operator, &[a, b], &CONTEXT).expect("comparable")
                        };
                        all = match (all, one) {
                            (Some(false), _) | (_, Value::Bool(false)) => Some(false),
                            (None, _) | (_, Value::Null) => None,
                            _ => Some(true),
                        };
                    }
                    match (quantifier, all) {
                        (Quantifier::Any, Some(true)) => return Value::Bool(true),
                        (Quantifier::All, Some(false)) => return Value::Bool(false),
                        (_, None) => unknown = true,
                        _ => {}
                    }
                }
                if unknown { Value::Null } else { Value::Bool(*quantifier == Quantifier::All) }
            }
        }
    }
}

/// A row's sort key with the order it is compared by.
struct Sorted<'a> {
    keys: &'a [SortKey],
    values: Row,
}

impl PartialEq for Sorted<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Sorted<'_> {}

impl PartialOrd for Sorted<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sorted<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(self.keys, &self.values, &other.values)
    }
}

fn set_operation(operation: SetOperation, all: bool, left: Vec<Row>, right: Vec<Row>) -> Vec<Row> {
    let mut right = right;
    let mut result = Vec::new();
    match operation {
        SetOperation::Union => {
            result = left;
            result.append(&mut right);
        }
        SetOperation::Intersect | SetOperation::Except => {
            let keep = operation == SetOperation::Intersect;
            for row in left {
                let found = right.iter().position(|other| *other == row);
                if let Some(found) = found
                    && all
                {
                    right.remove(found);
                }
                if found.is_some() == keep {
                    result.push(row);
                }
            }
        }
    }
    if all { result } else { distinct(result) }
}
