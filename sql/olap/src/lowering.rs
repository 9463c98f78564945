//! From plan's relations to logical plans of the engine below.
//!
//! A [`Relation`] is such a plan with the columns that the relation's positions mean; a column is made once, under a name of its own, so positions can
//! point anywhere and no name is ever looked up. Filters and joins are arranged here ([`joins`]): the engine below is left to prune columns, push limits
//! and pick physical operators.
//!
//! **Subqueries.** One that depends on nothing is answered before the query begins ([`crate::answers`]). One that depends on an outer row is computed for
//! all outer rows at once: the *domain* is the set of distinct outer values that it reads; the subquery is lowered with the domain joined in below, each
//! operator carries the domain's key along (a grouping groups by it too, a limit counts within it), and the result is joined to the outer rows by it. So any
//! correlated subquery can be computed, at any depth, in the cost of joins. The key of a domain is one byte string that is never NULL
//! ([`crate::sort_key::tuple_key`]).

mod aggregates;
mod domain;
mod joins;
mod sources;
mod subqueries;
mod unary;
mod windows;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::{Expr as EngineExpr, Filter, LogicalPlan, Projection};
use functions::{EvalError, Expr, Quantifier, SubqueryKind, Volatility};
use plan::catalog::VirtualTable;
use plan::query::{Rel, Subqueries};
use types::{ColumnType, SqlType, TableSchema, Value};

use crate::error::AnalyticsError;
use crate::evaluation::StatementContext;
use crate::expression::udf::{KeyFunction, ProgramFunction};
use crate::expression::{Program, Surroundings};
use crate::physical::single;
use crate::sort_key::needs_key;

use domain::Domain;
pub(crate) use domain::free_outers;
pub(crate) use sources::{batch_of, schema_of};
pub(crate) use subqueries::{AnswerKind, answered_beforehand};

/// Where rows come from.
pub(crate) trait Sources {
    /// Stored positions `columns` of a table, as columns `c0`, `c1`, ….
    fn table(
        &self,
        table: &Arc<TableSchema>,
        columns: &[u16],
    ) -> Result<Arc<dyn TableProvider>, AnalyticsError>;

    /// Positions `columns` of a computed table.
    fn virtual_table(
        &self,
        table: VirtualTable,
        columns: &[u16],
    ) -> Result<Arc<dyn TableProvider>, AnalyticsError>;

    /// Rows of a WITH query that were computed before; nothing if it is to be computed in place.
    fn with(&self, index: usize) -> Option<Arc<dyn TableProvider>>;

    /// Rows of the round before of a recursive WITH query.
    fn work_table(&self, index: usize) -> Option<Arc<dyn TableProvider>>;
}

/// A logical plan and what its relation's positions mean.
#[derive(Clone, Debug)]
struct Relation {
    plan: LogicalPlan,
    columns: Vec<Column>,
    types: Vec<SqlType>,
    /// What it carries of the domain that it is computed for; nothing if it depends on no outer row.
    carried: Option<Carried>,
}

/// The domain's key and values in a relation.
#[derive(Clone, Debug)]
struct Carried {
    key: Column,
    columns: Vec<Column>,
}

/// Lowers the queries of one statement.
pub(crate) struct Lowering<'a> {
    pub(crate) subqueries: &'a Subqueries,
    pub(crate) context: &'a Arc<StatementContext>,
    pub(crate) answers: &'a BTreeMap<u32, Result<Value, EvalError>>,
    pub(crate) sources: &'a dyn Sources,
    next_name: Cell<usize>,
}

type Result<T, E = AnalyticsError> = std::result::Result<T, E>;

impl<'a> Lowering<'a> {
    pub(crate) fn new(
        subqueries: &'a Subqueries,
        context: &'a Arc<StatementContext>,
        answers: &'a BTreeMap<u32, Result<Value, EvalError>>,
        sources: &'a dyn Sources,
    ) -> Lowering<'a> {
        Lowering { subqueries, context, answers, sources, next_name: Cell::new(0) }
    }

    /// A whole relation that depends on nothing; its plan's columns are the relation's, named `o0`, `o1`, ….
    pub(crate) fn rel(&self, rel: &Rel) -> Result<LogicalPlan> {
        let relation = self.filtered(rel, Vec::new(), None)?;
        let expressions = relation
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| EngineExpr::Column(column.clone()).alias(format!("o{at}")))
            .collect();
        project(relation.plan, expressions)
    }

    fn name(&self) -> String {
        let number = self.next_name.get();
        self.next_name.set(number + 1);
        format!("c{number}")
    }

    /// Any relation.
    fn plain(&self, rel: &Rel, domain: Option<&Domain>) -> Result<Relation> {
        match rel {
            Rel::OneRow => Ok(self.one_row()),
            Rel::Scan(scan) => self.scan(scan, Vec::new()),
            Rel::VirtualScan(scan) => self.virtual_scan(scan),
            Rel::Values { types, rows } => self.values(types, rows, domain),
            Rel::FunctionScan(scan) => self.function_scan(scan, domain),
            Rel::ProjectSet { input, functions } => self.project_set(input, functions, domain),
            Rel::Filter { .. } | Rel::Project { .. } | Rel::Join(_) | Rel::Sort { .. } => {
                self.filtered(rel, Vec::new(), domain)
            }
            Rel::Aggregate(aggregate) => self.aggregate(aggregate, domain),
            Rel::Window { input, calls } => self.window(input, calls, domain),
            Rel::Limit { input, limit, offset } => {
                self.limit(input, limit.as_ref(), offset.as_ref(), domain)
            }
            Rel::Distinct { input, on } => self.distinct(input, on.as_deref(), domain),
            Rel::SetOperation { operation, all, left, right } => {
                self.set_operation(*operation, *all, left, right, domain)
            }
            Rel::WithScan { index, types } => self.with_scan(*index, types),
            Rel::WorkTable { index, types } => self.work_table(*index, types),
        }
    }

    /// An expression with the answers of subqueries and the values of parameters in their places.
    fn substitute(&self, expr: &Expr) -> Expr {
        let mut substituted = expr.clone();
        substituted.transform(&mut |part| {
            let replacement = match part {
                Expr::Parameter { index, column_type } => self
                    .context
                    .parameters
                    .get(*index as usize)
                    .map(|value| Expr::Literal { value: value.clone(), column_type: *column_type }),
                Expr::Subquery { index, kind, column_type } => {
                    self.answer(*index, kind, *column_type)
                }
                _ => None,
            };
            if let Some(replacement) = replacement {
                *part = replacement;
            }
        });
        substituted
    }

    fn answer(&self, index: u32, kind: &SubqueryKind, column_type: ColumnType) -> Option<Expr> {
        let value = self.answers.get(&index)?.as_ref().ok()?.clone();
        Some(match kind {
            SubqueryKind::Quantified { quantifier, left, operators } => Expr::Quantified {
                quantifier: *quantifier,
                operator: operators[0],
                left: Box::new(left[0].clone()),
                array: Box::new(Expr::Literal {
                    value,
                    // The evaluator takes the elements as they are; the type says only that it is an array.
                    column_type: ColumnType::plain(SqlType::TextArray),
                }),
            },
            _ => Expr::Literal { value, column_type },
        })
    }

    /// A substituted expression over a relation's columns.
    fn scalar(
        &self,
        expr: &Expr,
        relation: &Relation,
        domain: Option<&Domain>,
    ) -> Result<EngineExpr> {
        let (program, arguments) = self.program(expr, relation, domain)?;
        if let Some(column) = program.plain_column() {
            return Ok(EngineExpr::Column(arguments[column].clone()));
        }
        if let Some(value) = program.constant() {
            return literal(value, program.output.sql_type);
        }
        let arguments = arguments.into_iter().map(EngineExpr::Column).collect();
        Ok(ProgramFunction::call(Arc::new(program), arguments))
    }

    /// The compiled expression and the columns that it reads.
    fn program(
        &self,
        expr: &Expr,
        relation: &Relation,
        domain: Option<&Domain>,
    ) -> Result<(Program, Vec<Column>)> {
        let mut resolved = self.substitute(expr);
        let own = relation.columns.len();
        let mut unresolved = false;
        resolved.transform(&mut |part| {
            if let Expr::Outer { level, index, column_type } = part {
                match domain.and_then(|domain| domain.position(*level, *index)) {
                    Some(position) if relation.carried.is_some() => {
                        let index = (own + position) as u32;
                        *part = Expr::Column { index, column_type: *column_type };
                    }
                    _ => unresolved = true,
                }
            }
        });
        if unresolved {
            return Err(AnalyticsError::not_supported("a reference to an outer query here"));
        }
        let read = resolved.columns_read();
        let mut columns = Vec::with_capacity(read.len());
        let mut inputs = Vec::with_capacity(read.len());
        for index in &read {
            let index = *index as usize;
            if index < own {
                columns.push(relation.columns[index].clone());
                inputs.push(relation.types[index]);
            } else {
                let carried = relation.carried.as_ref().expect("checked when it was resolved");
                let domain = domain.expect("checked when it was resolved");
                columns.push(carried.columns[index - own].clone());
                inputs.push(domain.outers[index - own].sql_type);
            }
        }
        let dense = resolved.map_columns(&|column| {
            read.binary_search(&column).expect("every column read was listed") as u32
        });
        let surroundings = Surroundings { context: self.context, answers: self.answers };
        Ok((Program::compile(&dense, inputs, &surroundings)?, columns))
    }

    /// A scalar in the form that grouping, joining and sorting go by.
    fn key(&self, scalar: EngineExpr, sql_type: SqlType) -> EngineExpr {
        if needs_key(sql_type) { KeyFunction::column(sql_type, scalar) } else { scalar }
    }

    /// Adds columns to a relation's plan, without changing what its positions mean. A scalar that is a column already stays one.
    fn extend(&self, relation: &mut Relation, scalars: Vec<EngineExpr>) -> Result<Vec<Column>> {
        let mut made = Vec::new();
        let mut columns = Vec::with_capacity(scalars.len());
        for scalar in scalars {
            match scalar {
                EngineExpr::Column(column) => columns.push(column),
                scalar => {
                    let name = self.name();
                    columns.push(Column::new_unqualified(&name));
                    made.push(scalar.alias(name));
                }
            }
        }
        if !made.is_empty() {
            let mut expressions = all_columns(&relation.plan);
            expressions.extend(made);
            relation.plan = project(relation.plan.clone(), expressions)?;
        }
        Ok(columns)
    }

    /// A filter by a substituted condition.
    fn where_true(
        &self,
        mut relation: Relation,
        conditions: &[Expr],
        domain: Option<&Domain>,
    ) -> Result<Relation> {
        for condition in conditions {
            let scalar = self.scalar(condition, &relation, domain)?;
            relation.plan = filter(relation.plan, scalar)?;
        }
        Ok(relation)
    }
}

/// Whether a substituted expression may be moved and evaluated more or less often: nothing volatile and no subquery left in it.
fn movable(expr: &Expr) -> bool {
    expr.volatility() != Volatility::Volatile
}

/// The conjuncts of a substituted condition.
fn split(condition: Expr, out: &mut Vec<Expr>) {
    match condition {
        Expr::And(parts) => parts.into_iter().for_each(|part| split(part, out)),
        other => out.push(other),
    }
}

fn literal(value: &Value, sql_type: SqlType) -> Result<EngineExpr> {
    let array = single(value, sql_type)?;
    Ok(EngineExpr::Literal(ScalarValue::try_from_array(&array, 0)?, None))
}

fn all_columns(plan: &LogicalPlan) -> Vec<EngineExpr> {
    plan.schema().columns().into_iter().map(EngineExpr::Column).collect()
}

fn project(plan: LogicalPlan, expressions: Vec<EngineExpr>) -> Result<LogicalPlan> {
    Ok(LogicalPlan::Projection(Projection::try_new(expressions, Arc::new(plan))?))
}

fn filter(plan: LogicalPlan, condition: EngineExpr) -> Result<LogicalPlan> {
    if let EngineExpr::Literal(ScalarValue::Boolean(truth), _) = &condition {
        return Ok(match truth {
            Some(true) => plan,
            _ => LogicalPlan::EmptyRelation(datafusion::logical_expr::EmptyRelation {
                produce_one_row: false,
                schema: plan.schema().clone(),
            }),
        });
    }
    Ok(LogicalPlan::Filter(Filter::try_new(condition, Arc::new(plan))?))
}

/// The quantified comparisons that are hashed: IN and NOT IN.
fn is_membership(quantifier: Quantifier, operators: &[functions::FunctionId]) -> bool {
    match quantifier {
        Quantifier::Any => operators.iter().all(|operator| has_symbol(*operator, "=")),
        Quantifier::All => operators.len() == 1 && has_symbol(operators[0], "<>"),
    }
}

fn has_symbol(function: functions::FunctionId, symbol: &str) -> bool {
    functions::operators()
        .iter()
        .any(|operator| operator.function == function && operator.symbol == symbol)
}
