//! Subqueries inside expressions.
//!
//! `EXISTS` and `IN` that a row must satisfy are semi joins, their negations anti joins; where the subquery is a filter over something independent, its
//! condition is the join's condition and no domain is made. Everywhere else a subquery becomes columns joined to the row: its value, whether it has a row,
//! or for IN the three numbers that three-valued logic needs.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::common::{Column, JoinType};
use datafusion::logical_expr::{Aggregate, Expr as EngineExpr, LogicalPlan};
use functions::{Expr, FunctionId, Quantifier, SubqueryKind, Test};
use plan::query::{Rel, Subqueries};
use types::{ColumnType, SqlType, Value};

use super::domain::{Domain, expressions_of, free_outers, inputs_of};
use super::joins::hash_type;
use super::{Lowering, Relation, Result, has_symbol, is_membership, literal, movable, split};
use crate::aggregation::{AggregateFunction, Call, OrderKey};
use crate::error::AnalyticsError;

/// `int8gt`
const GREATER: FunctionId = FunctionId(470);

const BOOLEAN: ColumnType = ColumnType::plain(SqlType::Bool);
const BIGINT: ColumnType = ColumnType::plain(SqlType::Int8);

/// What is kept of the rows of a subquery that depends on nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerKind {
    /// The value of its one row, or 21000.
    Scalar,
    /// Whether there is a row.
    Exists,
    /// All values.
    Array,
}

/// The subqueries inside a relation that are answered before it is computed, innermost first.
pub(crate) fn answered_beforehand(rel: &Rel, subqueries: &Subqueries) -> Vec<(u32, AnswerKind)> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    gather(rel, subqueries, &mut seen, &mut found);
    found
}

fn gather(
    rel: &Rel,
    subqueries: &Subqueries,
    seen: &mut BTreeSet<u32>,
    found: &mut Vec<(u32, AnswerKind)>,
) {
    for expr in expressions_of(rel) {
        let mut parts = Vec::new();
        expr.walk(&mut |part| {
            if let Expr::Subquery { index, kind, .. } = part {
                parts.push((*index, answer_kind(kind)));
            }
        });
        for (index, kind) in parts {
            let root = &subqueries.queries[index as usize].root;
            gather(root, subqueries, seen, found);
            if let Some(kind) = kind
                && free_outers(root, subqueries).is_empty()
                && seen.insert(index)
            {
                found.push((index, kind));
            }
        }
    }
    for (input, _) in inputs_of(rel) {
        gather(input, subqueries, seen, found);
    }
}

fn answer_kind(kind: &SubqueryKind) -> Option<AnswerKind> {
    match kind {
        SubqueryKind::Scalar => Some(AnswerKind::Scalar),
        SubqueryKind::Exists => Some(AnswerKind::Exists),
        SubqueryKind::Array => Some(AnswerKind::Array),
        SubqueryKind::Quantified { quantifier, operators, .. } => {
            (!is_membership(*quantifier, operators) && operators.len() == 1)
                .then_some(AnswerKind::Array)
        }
    }
}

/// Whether a relation has at most one row (for each element of a domain).
fn at_most_one(rel: &Rel) -> bool {
    match rel {
        Rel::OneRow => true,
        Rel::Values { rows, .. } => rows.len() <= 1,
        Rel::Aggregate(aggregate) => aggregate.keys.is_empty() && aggregate.sets.is_empty(),
        Rel::Project { input, .. } | Rel::Filter { input, .. } | Rel::Sort { input, .. } => {
            at_most_one(input)
        }
        Rel::Limit { input, limit, .. } => {
            let one = matches!(
                limit,
                Some(Expr::Literal { value: Value::Int8(count), .. }) if *count <= 1
            );
            one || at_most_one(input)
        }
        _ => false,
    }
}

/// A semi or anti join that a condition asks for.
struct Membership<'e> {
    index: u32,
    /// Comparisons of left expressions with the subquery's columns.
    comparisons: Vec<(&'e Expr, FunctionId)>,
    match_if: MatchIf,
    join_type: JoinType,
}

/// When a row of the subquery matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MatchIf {
    /// All comparisons are true.
    AllTrue,
    /// No comparison is true: what `op ALL` must not find.
    NoneTrue,
    /// No comparison is false: what `NOT (op ANY)` must not find.
    NoneFalse,
}

impl MatchIf {
    fn conditions(self, comparisons: Vec<Expr>) -> Vec<Expr> {
        match self {
            MatchIf::AllTrue => comparisons,
            MatchIf::NoneTrue => {
                vec![Expr::Test { test: Test::NotTrue, argument: Box::new(Expr::Or(comparisons)) }]
            }
            MatchIf::NoneFalse => vec![Expr::Test {
                test: Test::NotFalse,
                argument: Box::new(Expr::And(comparisons)),
            }],
        }
    }
}

/// The condition as a semi or anti join, if it is one.
fn membership(condition: &Expr) -> Option<Membership<'_>> {
    let (negated, inner) = match condition {
        Expr::Not(inner) => (true, &**inner),
        other => (false, other),
    };
    let Expr::Subquery { index, kind, .. } = inner else { return None };
    match (kind, negated) {
        (SubqueryKind::Exists, _) => Some(Membership {
            index: *index,
            comparisons: Vec::new(),
            match_if: MatchIf::AllTrue,
            join_type: if negated { JoinType::LeftAnti } else { JoinType::LeftSemi },
        }),
        (SubqueryKind::Quantified { quantifier: Quantifier::Any, left, operators }, false)
            if left.iter().all(movable) =>
        {
            Some(Membership {
                index: *index,
                comparisons: left.iter().zip(operators.iter().copied()).collect(),
                match_if: MatchIf::AllTrue,
                join_type: JoinType::LeftSemi,
            })
        }
        (SubqueryKind::Quantified { quantifier: Quantifier::Any, left, operators }, true)
            if left.iter().all(movable)
                && (operators.len() > 1 || !is_membership(Quantifier::Any, operators)) =>
        {
            Some(Membership {
                index: *index,
                comparisons: left.iter().zip(operators.iter().copied()).collect(),
                match_if: MatchIf::NoneFalse,
                join_type: JoinType::LeftAnti,
            })
        }
        // NOT IN of one column is hashed where it stands; other comparisons with ALL look for a row that does not hold.
        (SubqueryKind::Quantified { quantifier: Quantifier::All, left, operators }, false)
            if left.iter().all(movable)
                && !is_membership(Quantifier::All, operators)
                && (operators.len() == 1
                    || operators.iter().all(|operator| has_symbol(*operator, "<>"))) =>
        {
            Some(Membership {
                index: *index,
                comparisons: left.iter().zip(operators.iter().copied()).collect(),
                match_if: MatchIf::NoneTrue,
                join_type: JoinType::LeftAnti,
            })
        }
        _ => None,
    }
}

impl Lowering<'_> {
    /// A relation under conditions that are volatile or hold subqueries.
    pub(super) fn late(
        &self,
        relation: Relation,
        conditions: Vec<Expr>,
        domain: Option<&Domain>,
    ) -> Result<Relation> {
        let mut relation = relation;
        for condition in conditions {
            match membership(&condition) {
                Some(member) if !self.answers.contains_key(&member.index) => {
                    relation = self.semi_join(relation, &member, domain)?;
                }
                _ => {
                    let width = relation.columns.len();
                    let (mut with, rewritten) =
                        self.with_subqueries(relation, vec![condition], domain)?;
                    with = self.where_true(with, &rewritten, domain)?;
                    with.columns.truncate(width);
                    with.types.truncate(width);
                    relation = with;
                }
            }
        }
        Ok(relation)
    }

    fn semi_join(
        &self,
        relation: Relation,
        member: &Membership<'_>,
        domain: Option<&Domain>,
    ) -> Result<Relation> {
        let root = &self.subqueries.queries[member.index as usize].root;
        let outers = free_outers(root, self.subqueries);
        if let Some(joined) = self.peeled(&relation, root, member, domain)? {
            return Ok(joined);
        }
        let (mut relation, key, right) = if outers.is_empty() {
            (relation, None, self.filtered(root, Vec::new(), None)?)
        } else {
            let (relation, key, inner) = self.domain_of(relation, &outers, domain)?;
            let right = self.filtered(root, Vec::new(), Some(&inner))?;
            let right = self.dependent(right, Some(&inner))?;
            let right_key = right.carried.as_ref().expect("it was made dependent").key.clone();
            (relation, Some((key, right_key)), right)
        };
        let width = relation.columns.len();
        let mut conditions = member.match_if.conditions(comparisons(member, width, &right.types));
        let equalities = Self::equalities(&mut conditions, width);
        if conditions.iter().any(|condition| !free_of_outers(condition)) {
            relation = self.dependent(relation, domain)?;
        }
        let mut keys = self.key_scalars(&equalities, &relation, &right)?;
        keys.extend(key.map(|(a, b)| (EngineExpr::Column(a), EngineExpr::Column(b))));
        let mut pair = Self::pair(&relation, &right);
        pair.carried = relation.carried.clone();
        let filter = self.join_filter(&conditions, &pair, domain)?;
        let mut result = relation.clone();
        result.plan = self.joined(relation, right, member.join_type, keys, filter)?;
        Ok(result)
    }

    /// The semi join of a subquery that is projections and filters over something independent: its conditions become the join's.
    fn peeled(
        &self,
        relation: &Relation,
        root: &Rel,
        member: &Membership<'_>,
        domain: Option<&Domain>,
    ) -> Result<Option<Relation>> {
        let mut outputs: Vec<Expr> = (0..)
            .zip(root.types())
            .map(|(index, column_type)| Expr::Column { index, column_type })
            .collect();
        let mut conditions = Vec::new();
        let mut base = root;
        loop {
            match base {
                Rel::Project { input, expressions } => {
                    let expressions: Vec<Expr> =
                        expressions.iter().map(|part| self.substitute(part)).collect();
                    for part in outputs.iter_mut().chain(&mut conditions) {
                        part.transform(&mut |part| {
                            if let Expr::Column { index, .. } = part {
                                *part = expressions[*index as usize].clone();
                            }
                        });
                    }
                    base = input;
                }
                Rel::Filter { input, condition } => {
                    split(self.substitute(condition), &mut conditions);
                    base = input;
                }
                // The order of rows says nothing about whether one is there.
                Rel::Sort { input, .. } => base = input,
                _ => break,
            }
        }
        let compared = &outputs[..member.comparisons.len()];
        let simple = conditions.iter().chain(compared).all(movable);
        if !simple || !free_outers(base, self.subqueries).is_empty() {
            return Ok(None);
        }
        let (own, mut between): (Vec<Expr>, Vec<Expr>) =
            conditions.into_iter().partition(free_of_outers);
        let right = self.filtered(base, own, None)?;
        let mut relation = relation.clone();
        let width = relation.columns.len();
        let pairs = member.comparisons.iter().zip(compared);
        let calls: Vec<Expr> = pairs
            .map(|((left, operator), output)| Expr::Call {
                function: *operator,
                arguments: vec![inward(left), output.clone()],
                column_type: BOOLEAN,
            })
            .collect();
        if !calls.is_empty() {
            between.extend(member.match_if.conditions(calls));
        }
        let mut conditions: Vec<Expr> =
            between.into_iter().map(|part| paired(part, width)).collect();
        if !conditions.iter().all(free_of_outers) {
            relation = self.dependent(relation, domain)?;
        }
        let equalities = Self::equalities(&mut conditions, width);
        let keys = self.key_scalars(&equalities, &relation, &right)?;
        let mut pair = Self::pair(&relation, &right);
        pair.carried = relation.carried.clone();
        let filter = self.join_filter(&conditions, &pair, domain)?;
        let mut result = relation.clone();
        result.plan = self.joined(relation, right, member.join_type, keys, filter)?;
        Ok(Some(result))
    }

    /// The relation with a column for each subquery of the expressions, and the expressions over it.
    pub(super) fn with_subqueries(
        &self,
        relation: Relation,
        expressions: Vec<Expr>,
        domain: Option<&Domain>,
    ) -> Result<(Relation, Vec<Expr>)> {
        let mut relation = relation;
        let mut rewritten = Vec::with_capacity(expressions.len());
        for mut expression in expressions {
            expression = self.substitute(&expression);
            loop {
                let Some((index, kind, column_type)) = self.first_open(&expression) else { break };
                let value = self.attach(&mut relation, index, &kind, column_type, domain)?;
                expression.transform(&mut |part| {
                    if matches!(part, Expr::Subquery { index: own, .. } if *own == index) {
                        *part = value.clone();
                    }
                });
            }
            rewritten.push(expression);
        }
        let needs_domain = rewritten.iter().any(|part| !free_of_outers(part));
        if needs_domain {
            relation = self.dependent(relation, domain)?;
        }
        Ok((relation, rewritten))
    }

    /// A subquery without an answer whose own operands hold none: the innermost first.
    fn first_open(&self, expression: &Expr) -> Option<(u32, SubqueryKind, ColumnType)> {
        let mut found = None;
        expression.walk(&mut |part| {
            if let Expr::Subquery { index, kind, column_type } = part
                && !self.answers.contains_key(index)
            {
                // Later ones in a walk are inside earlier ones or beside them.
                found = Some((*index, kind.clone(), *column_type));
            }
        });
        found
    }

    /// Joins a subquery's answer to each row; the expression that it is there.
    fn attach(
        &self,
        relation: &mut Relation,
        index: u32,
        kind: &SubqueryKind,
        column_type: ColumnType,
        domain: Option<&Domain>,
    ) -> Result<Expr> {
        let root = &self.subqueries.queries[index as usize].root;
        let outers = free_outers(root, self.subqueries);
        let (right, key) = if outers.is_empty() {
            (self.filtered(root, Vec::new(), None)?, None)
        } else {
            let (with_key, key, inner) = self.domain_of(relation.clone(), &outers, domain)?;
            *relation = with_key;
            // Rows are carried by the domain from the start, so a subquery of one row has one for each element.
            let right = self.filtered(root, Vec::new(), Some(&inner))?;
            let right = self.dependent(right, Some(&inner))?;
            (right, Some(key))
        };
        match kind {
            SubqueryKind::Scalar => {
                let right = if at_most_one(root) { right } else { self.only_row(right)? };
                self.attach_value(relation, right, key, column_type)
            }
            SubqueryKind::Exists => {
                let marked = self.marked(right)?;
                let mark = self.attach_value(relation, marked, key, BOOLEAN)?;
                Ok(Expr::Test { test: Test::True, argument: Box::new(mark) })
            }
            SubqueryKind::Array => {
                let keys = match root {
                    Rel::Sort { keys, .. } => keys.as_slice(),
                    _ => &[],
                };
                let gathered = self.gathered(right, keys, column_type)?;
                let value = self.attach_value(relation, gathered, key, column_type)?;
                let empty = Expr::Literal { value: Value::Array(Box::default()), column_type };
                Ok(Expr::Coalesce { arguments: vec![value, empty], column_type })
            }
            SubqueryKind::Quantified { quantifier, left, operators } => {
                if !is_membership(*quantifier, operators) || operators.len() != 1 {
                    return Err(AnalyticsError::not_supported(
                        "this comparison with ANY or ALL of a correlated subquery",
                    ));
                }
                let within = self.attach_membership(relation, right, key, &left[0], domain)?;
                Ok(match quantifier {
                    Quantifier::Any => within,
                    Quantifier::All => Expr::Not(Box::new(within)),
                })
            }
        }
    }

    /// Left-joins a relation of at most one row for each key; its first column there.
    fn attach_value(
        &self,
        relation: &mut Relation,
        right: Relation,
        key: Option<Column>,
        column_type: ColumnType,
    ) -> Result<Expr> {
        let positions = self.attach_columns(relation, right, key, Vec::new())?;
        Ok(Expr::Column { index: positions as u32, column_type })
    }

    /// Left-joins a relation by its domain's key and more keys; the position of its first column there.
    fn attach_columns(
        &self,
        relation: &mut Relation,
        right: Relation,
        key: Option<Column>,
        mut keys: Vec<(EngineExpr, EngineExpr)>,
    ) -> Result<usize> {
        if let (Some(key), Some(carried)) = (key, &right.carried) {
            keys.push((EngineExpr::Column(key), EngineExpr::Column(carried.key.clone())));
        }
        let position = relation.columns.len();
        let columns = right.columns.clone();
        let types = right.types.clone();
        relation.plan = self.joined(relation.clone(), right, JoinType::Left, keys, None)?;
        relation.columns.extend(columns);
        relation.types.extend(types);
        Ok(position)
    }

    /// The value of the only row for each key, or 21000.
    fn only_row(&self, right: Relation) -> Result<Relation> {
        let call = Call::single(right.types[0], self.context.clone());
        self.per_key(&right, vec![(call, vec![column(&right.columns[0])])])
    }

    /// True once for each key that has a row.
    fn marked(&self, right: Relation) -> Result<Relation> {
        let mut right = right;
        let truth = literal(&Value::Bool(true), SqlType::Bool)?.alias(self.name());
        let name = Column::new_unqualified(truth.schema_name().to_string());
        let mut expressions = super::all_columns(&right.plan);
        expressions.push(truth);
        right.plan = super::project(right.plan, expressions)?;
        let call = Call::first(SqlType::Bool, self.context.clone());
        right.columns = vec![name.clone()];
        right.types = vec![SqlType::Bool];
        self.per_key(&right, vec![(call, vec![column(&name)])])
    }

    /// All values of the first column for each key, as an array.
    fn gathered(
        &self,
        right: Relation,
        keys: &[plan::query::SortKey],
        column_type: ColumnType,
    ) -> Result<Relation> {
        let mut right = right;
        if right.types[0].is_string() && right.types[0] != SqlType::Text {
            // There is one array of strings, and strings of every type are stored alike.
            right.types[0] = SqlType::Text;
        }
        let element = right.types[0];
        let resolution = functions::resolve_aggregate("array_agg", &[element])?;
        let mut arguments = vec![column(&right.columns[0])];
        let mut order = Vec::new();
        for key in keys {
            // The subquery's own sort keys see its columns.
            arguments.push(self.scalar(&key.expression, &right, None)?);
            order.push(OrderKey {
                sql_type: key.expression.sql_type(),
                descending: key.descending,
                nulls_first: key.nulls_first,
            });
        }
        let arguments = self.extend(&mut right, arguments)?.iter().map(column).collect();
        let call = Call::library(
            resolution.aggregate,
            vec![element],
            column_type.sql_type,
            self.context.clone(),
        );
        self.per_key(&right, vec![(call.collecting(false, order), arguments)])
    }

    /// One row for each key of the domain (one row at all without a domain), with the calls as columns.
    fn per_key(&self, right: &Relation, calls: Vec<(Call, Vec<EngineExpr>)>) -> Result<Relation> {
        let mut aggregates = Vec::with_capacity(calls.len());
        let mut columns = Vec::with_capacity(calls.len());
        let mut types = Vec::with_capacity(calls.len());
        for (call, arguments) in calls {
            let name = self.name();
            columns.push(Column::new_unqualified(&name));
            types.push(call.output());
            aggregates.push(AggregateFunction::call(call, arguments, None).alias(name));
        }
        let groups: Vec<EngineExpr> =
            right.carried.iter().map(|carried| column(&carried.key)).collect();
        let plan = Aggregate::try_new(Arc::new(right.plan.clone()), groups, aggregates)?;
        let carried = right
            .carried
            .as_ref()
            .map(|carried| super::Carried { key: carried.key.clone(), columns: Vec::new() });
        Ok(Relation { plan: LogicalPlan::Aggregate(plan), columns, types, carried })
    }

    /// `left IN (right)` for each row, three-valued.
    fn attach_membership(
        &self,
        relation: &mut Relation,
        right: Relation,
        key: Option<Column>,
        left: &Expr,
        domain: Option<&Domain>,
    ) -> Result<Expr> {
        let right_type = right.types[0];
        let equality = functions::resolve_operator("=", left.sql_type(), right_type)?.function;
        let hashed = hash_type(equality, left.sql_type(), right_type)
            .ok_or_else(|| AnalyticsError::not_supported("IN with a subquery of another type"))?;
        // How many rows there are, and how many values.
        let count = |argument: EngineExpr, sql_type| {
            let call = Call::library(
                functions::aggregate::COUNT_ROWS,
                vec![sql_type],
                SqlType::Int8,
                self.context.clone(),
            );
            (call, vec![argument])
        };
        let rows = literal(&Value::Int8(1), SqlType::Int8)?;
        let counts = self.per_key(
            &right,
            vec![count(rows, SqlType::Int8), count(column(&right.columns[0]), right_type)],
        )?;
        let counted = self.attach_columns(relation, counts, key.clone(), Vec::new())?;
        // Each value once; under names of its own, as the counts have taken the others.
        let mut right = self.renamed(right)?;
        let of_right = Expr::Column { index: 0, column_type: ColumnType::plain(right_type) };
        let value = self.scalar(&super::joins::widened(of_right, hashed), &right, None)?;
        let value = self.key(value, hashed);
        let value = self.extend(&mut right, vec![value])?.remove(0);
        let mut groups = vec![column(&value)];
        groups.extend(right.carried.iter().map(|carried| column(&carried.key)));
        let truth = literal(&Value::Bool(true), SqlType::Bool)?;
        let mark = self.name();
        let first = Call::first(SqlType::Bool, self.context.clone());
        let marks = vec![AggregateFunction::call(first, vec![truth], None).alias(&mark)];
        let plan = Aggregate::try_new(Arc::new(right.plan.clone()), groups, marks)?;
        let matches = Relation {
            plan: LogicalPlan::Aggregate(plan),
            columns: vec![Column::new_unqualified(mark)],
            types: vec![SqlType::Bool],
            carried: right.carried.clone(),
        };
        let (with, mut operands) =
            self.with_subqueries(relation.clone(), vec![left.clone()], domain)?;
        *relation = with;
        let operand = operands.remove(0);
        let wide =
            self.scalar(&super::joins::widened(operand.clone(), hashed), relation, domain)?;
        let wide = self.key(wide, hashed);
        let matched = self.attach_columns(relation, matches, key, vec![(wide, column(&value))])?;
        Ok(three_valued(operand, matched, counted))
    }
}

/// Matched: true. No rows: false. NULL on the left, or among the values: unknown. Else false.
fn three_valued(operand: Expr, matched: usize, counted: usize) -> Expr {
    let bigint = |index: usize| Expr::Column { index: index as u32, column_type: BIGINT };
    let zero = Expr::Literal { value: Value::Int8(0), column_type: BIGINT };
    let more = |left: Expr, right: Expr| Expr::Call {
        function: GREATER,
        arguments: vec![left, right],
        column_type: BOOLEAN,
    };
    let test = |test, argument| Expr::Test { test, argument: Box::new(argument) };
    let truth = |value| Expr::Literal { value, column_type: BOOLEAN };
    let matched = Expr::Column { index: matched as u32, column_type: BOOLEAN };
    let some_rows = more(bigint(counted), zero);
    let some_nulls = more(bigint(counted), bigint(counted + 1));
    Expr::Case {
        branches: vec![
            (test(Test::True, matched), truth(Value::Bool(true))),
            (test(Test::NotTrue, some_rows), truth(Value::Bool(false))),
            (test(Test::Null, operand), truth(Value::Null)),
            (some_nulls, truth(Value::Null)),
        ],
        otherwise: Some(Box::new(truth(Value::Bool(false)))),
        column_type: BOOLEAN,
    }
}

fn column(column: &Column) -> EngineExpr {
    EngineExpr::Column(column.clone())
}

pub(super) fn free_of_outers(expr: &Expr) -> bool {
    let mut free = true;
    expr.walk(&mut |part| free &= !matches!(part, Expr::Outer { .. }));
    free
}

/// An expression of the outer row, seen from inside the subquery.
fn inward(expr: &Expr) -> Expr {
    let mut inner = expr.clone();
    inner.transform(&mut |part| match part {
        Expr::Column { index, column_type } => {
            *part = Expr::Outer { level: 1, index: *index, column_type: *column_type };
        }
        Expr::Outer { level, .. } => *level += 1,
        _ => {}
    });
    inner
}

/// A condition inside a subquery over the outer row's columns followed by the subquery's.
fn paired(expr: Expr, width: usize) -> Expr {
    let mut both = expr;
    both.transform(&mut |part| match part {
        Expr::Column { index, .. } => *index += width as u32,
        Expr::Outer { level: 1, index, column_type } => {
            *part = Expr::Column { index: *index, column_type: *column_type };
        }
        Expr::Outer { level, .. } => *level -= 1,
        _ => {}
    });
    both
}

fn comparisons(member: &Membership<'_>, width: usize, types: &[SqlType]) -> Vec<Expr> {
    let pairs = member.comparisons.iter().zip(types).enumerate();
    pairs
        .map(|(at, ((left, operator), sql_type))| {
            let index = (width + at) as u32;
            let right = Expr::Column { index, column_type: ColumnType::plain(*sql_type) };
            Expr::Call {
                function: *operator,
                arguments: vec![(*left).clone(), right],
                column_type: BOOLEAN,
            }
        })
        .collect()
}
