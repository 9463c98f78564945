//! Our expressions over arrays: the only code that computes a value in an analytic query.
//!
//! The engine below never sees an operator, a cast or a function of its own. It sees a [`Program`] as one opaque function of columns. Inside, a part of the
//! expression is either a kernel of [`kernels`], proved equal to `functions`' evaluator by a test that walks both, or a call of that evaluator's function
//! row by row. A kernel that meets a row it is not sure of (overflow, division by zero, underflow) asks the evaluator for that row, so values, SQLSTATEs
//! and messages have one source.
//!
//! AND, OR, CASE and COALESCE evaluate a part that can fail only on the rows that reach it, as the row evaluator does. What reads no column is evaluated
//! once; if that fails, the error is kept and raised only where a row asks for it.

mod distinct;
mod kernels;
mod pattern;
mod run;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod udf;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::ArrayRef;
use functions::{
    CastKind, CastMethod, EvalError, Expr, FunctionId, Nulls, Test, Volatility, evaluate, find_cast,
};
use types::{ColumnType, SqlType, Value};

use crate::error::AnalyticsError;
use crate::evaluation::StatementContext;
use crate::physical::single;
use kernels::Kernel;
use pattern::LikePattern;

/// What an expression knows of its surroundings when it is compiled.
pub(crate) struct Surroundings<'a> {
    pub(crate) context: &'a Arc<StatementContext>,
    /// Answers of subqueries that depend on nothing, by their position in the side table. An error is raised only where it is asked for.
    pub(crate) answers: &'a BTreeMap<u32, Result<Value, EvalError>>,
}

/// An expression over the columns of a batch.
#[derive(Debug)]
pub(crate) struct Program {
    /// Tells programs apart; names derive from it.
    pub(crate) number: u64,
    root: Node,
    /// The same over argument positions, for pruning.
    pub(crate) source: Expr,
    /// Types of the columns it reads, in argument order.
    pub(crate) inputs: Vec<SqlType>,
    pub(crate) output: ColumnType,
    pub(crate) volatility: Volatility,
    context: Arc<StatementContext>,
}

#[derive(Debug)]
enum Node {
    Column(usize),
    Constant(Constant),
    /// A part without columns that failed: an error for each row that reaches it.
    Raise(EvalError, SqlType),
    Kernel {
        kernel: Kernel,
        function: FunctionId,
        arguments: Vec<Typed>,
        output: SqlType,
    },
    Like {
        pattern: LikePattern,
        negated: bool,
        argument: Box<Typed>,
    },
    Apply {
        function: FunctionId,
        arguments: Vec<Typed>,
        output: SqlType,
    },
    /// Another name for the same values.
    Relabel(Box<Typed>),
    Cast {
        argument: Box<Typed>,
        to: ColumnType,
        kind: CastKind,
    },
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Test {
        test: Test,
        argument: Box<Typed>,
    },
    Case {
        branches: Vec<(Node, Node)>,
        otherwise: Option<Box<Node>>,
        output: SqlType,
    },
    Coalesce {
        arguments: Vec<Node>,
        output: SqlType,
    },
    InSet {
        argument: Box<Typed>,
        set: kernels::ConstantSet,
        negated: bool,
    },
    /// Anything else: the row evaluator on the whole part.
    Rows {
        expr: Expr,
        columns: Vec<usize>,
        output: SqlType,
    },
}

/// A value that is the same for every row.
#[derive(Clone, Debug)]
struct Constant {
    value: Value,
    /// The value once.
    array: ArrayRef,
}

#[derive(Debug)]
struct Typed {
    node: Node,
    sql_type: SqlType,
}

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(0);

impl Program {
    /// Compiles an expression whose `Column`s are positions of `inputs`.
    ///
    /// # Errors
    /// 0A000 for a part that only lowering could have replaced (an outer column, a correlated subquery).
    pub(crate) fn compile(
        expr: &Expr,
        inputs: Vec<SqlType>,
        surroundings: &Surroundings<'_>,
    ) -> Result<Program, AnalyticsError> {
        let mut source = expr.clone();
        source.transform(&mut |part| {
            let replacement = match part {
                Expr::Subquery { index, column_type, .. } => {
                    match surroundings.answers.get(index) {
                        Some(Ok(value)) => Some((value.clone(), *column_type)),
                        _ => None,
                    }
                }
                Expr::Parameter { index, column_type } => surroundings
                    .context
                    .parameters
                    .get(*index as usize)
                    .map(|value| (value.clone(), *column_type)),
                _ => None,
            };
            if let Some((value, column_type)) = replacement {
                *part = Expr::Literal { value, column_type };
            }
        });
        let mut compiler = Compiler { surroundings, inputs: &inputs };
        let root = compiler.node(&source)?;
        Ok(Program {
            number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
            root,
            inputs,
            output: source.column_type(),
            volatility: volatility_of(&source),
            source,
            context: surroundings.context.clone(),
        })
    }

    /// The value, if it is the same for every row.
    pub(crate) fn constant(&self) -> Option<&Value> {
        match &self.root {
            Node::Constant(constant) => Some(&constant.value),
            _ => None,
        }
    }

    /// The column that it is, unchanged.
    pub(crate) fn plain_column(&self) -> Option<usize> {
        match &self.root {
            Node::Column(column) => Some(*column),
            Node::Relabel(argument) => match argument.node {
                Node::Column(column) => Some(column),
                _ => None,
            },
            _ => None,
        }
    }

    /// The value for each row.
    ///
    /// # Errors
    /// What the expression raises for one of the rows.
    pub(crate) fn evaluate(
        &self,
        columns: &[ArrayRef],
        row_count: usize,
    ) -> Result<ArrayRef, AnalyticsError> {
        if self.context.stop.is_asked() {
            return Err(AnalyticsError::Cancelled);
        }
        run::evaluate(self, columns, row_count)
    }
}

/// Subqueries that are left have a known answer, so they are as stable as the statement.
fn volatility_of(expr: &Expr) -> Volatility {
    let mut without = expr.clone();
    without.transform(&mut |part| {
        if let Expr::Subquery { column_type, .. } = part {
            *part = Expr::Literal { value: Value::Null, column_type: *column_type };
        }
    });
    without.volatility()
}

struct Compiler<'a> {
    surroundings: &'a Surroundings<'a>,
    inputs: &'a [SqlType],
}

impl Compiler<'_> {
    fn typed(&mut self, expr: &Expr) -> Result<Typed, AnalyticsError> {
        Ok(Typed { node: self.node(expr)?, sql_type: expr.sql_type() })
    }

    fn typed_all(&mut self, parts: &[Expr]) -> Result<Vec<Typed>, AnalyticsError> {
        parts.iter().map(|part| self.typed(part)).collect()
    }

    fn nodes(&mut self, parts: &[Expr]) -> Result<Vec<Node>, AnalyticsError> {
        parts.iter().map(|part| self.node(part)).collect()
    }

    fn node(&mut self, expr: &Expr) -> Result<Node, AnalyticsError> {
        if let Some(constant) = self.folded(expr)? {
            return Ok(constant);
        }
        match expr {
            Expr::Column { index, .. } => {
                let index = *index as usize;
                assert!(index < self.inputs.len(), "lowering numbered the columns");
                Ok(Node::Column(index))
            }
            Expr::Call { function, arguments, column_type } => {
                self.call(*function, arguments, column_type.sql_type)
            }
            Expr::Cast { argument, to, kind } => self.cast(argument, *to, *kind),
            Expr::And(parts) => Ok(Node::And(self.nodes(parts)?)),
            Expr::Or(parts) => Ok(Node::Or(self.nodes(parts)?)),
            Expr::Not(argument) => Ok(Node::Not(Box::new(self.node(argument)?))),
            Expr::Test { test, argument } => {
                Ok(Node::Test { test: *test, argument: Box::new(self.typed(argument)?) })
            }
            Expr::Case { branches, otherwise, column_type } => {
                let mut compiled = Vec::with_capacity(branches.len());
                for (condition, result) in branches {
                    compiled.push((self.node(condition)?, self.node(result)?));
                }
                let otherwise = match otherwise {
                    Some(result) => Some(Box::new(self.node(result)?)),
                    None => None,
                };
                Ok(Node::Case { branches: compiled, otherwise, output: column_type.sql_type })
            }
            Expr::Coalesce { arguments, column_type } => Ok(Node::Coalesce {
                arguments: self.nodes(arguments)?,
                output: column_type.sql_type,
            }),
            Expr::InList { equality, argument, list, negated } => {
                self.in_list(expr, *equality, argument, list, *negated)
            }
            Expr::Subquery { index, .. } => match self.surroundings.answers.get(index) {
                Some(Err(error)) => Ok(Node::Raise(error.clone(), expr.sql_type())),
                _ => Err(AnalyticsError::not_supported("a correlated subquery in this place")),
            },
            Expr::Outer { .. } => {
                Err(AnalyticsError::not_supported("a reference to an outer query in this place"))
            }
            _ => self.rows(expr),
        }
    }

    /// A part that reads no column and is not volatile is evaluated now.
    fn folded(&self, expr: &Expr) -> Result<Option<Node>, AnalyticsError> {
        if let Expr::Literal { value, .. } = expr {
            return constant(value.clone(), expr.sql_type()).map(Some);
        }
        let mut reads = false;
        expr.walk(&mut |part| {
            reads |=
                matches!(part, Expr::Column { .. } | Expr::Outer { .. } | Expr::Subquery { .. });
        });
        if reads || expr.volatility() == Volatility::Volatile {
            return Ok(None);
        }
        let context = self.surroundings.context;
        match evaluate(expr, &[], &context.parameters, &context.borrow()) {
            Ok(value) => constant(value, expr.sql_type()).map(Some),
            Err(error) => Ok(Some(Node::Raise(error, expr.sql_type()))),
        }
    }

    fn call(
        &mut self,
        function: FunctionId,
        arguments: &[Expr],
        output: SqlType,
    ) -> Result<Node, AnalyticsError> {
        let arguments = self.typed_all(arguments)?;
        let name = function.definition().map_or("", |definition| definition.name);
        let sql_types: Vec<SqlType> = arguments.iter().map(|argument| argument.sql_type).collect();
        if let Some(kernel) = Kernel::of(name, &sql_types, output) {
            return Ok(Node::Kernel { kernel, function, arguments, output });
        }
        if let [_, Typed { node: Node::Constant(constant), .. }] = &arguments[..]
            && let Some(negated) = pattern::like_function(name)
            && let Value::Text(text) = &constant.value
            && let Some(pattern) = LikePattern::of(text)
        {
            let argument = arguments.into_iter().next().expect("LIKE has two operands");
            return Ok(Node::Like { pattern, negated, argument: Box::new(argument) });
        }
        Ok(Node::Apply { function, arguments, output })
    }

    fn cast(
        &mut self,
        argument: &Expr,
        to: ColumnType,
        kind: CastKind,
    ) -> Result<Node, AnalyticsError> {
        let argument = self.typed(argument)?;
        let method = find_cast(argument.sql_type, to.sql_type, kind);
        let unmodified = to.modifier == -1;
        if unmodified
            && method == Some(CastMethod::Relabel)
            && crate::physical::arrow_type(argument.sql_type)
                == crate::physical::arrow_type(to.sql_type)
            && argument.sql_type != SqlType::Bpchar
            && to.sql_type != SqlType::Bpchar
        {
            return Ok(Node::Relabel(Box::new(argument)));
        }
        if unmodified && let Some(CastMethod::Function(function)) = method {
            let name = function.definition().map_or("", |definition| definition.name);
            if let Some(kernel) = Kernel::of(name, &[argument.sql_type], to.sql_type) {
                let output = to.sql_type;
                return Ok(Node::Kernel { kernel, function, arguments: vec![argument], output });
            }
        }
        Ok(Node::Cast { argument: Box::new(argument), to, kind })
    }

    fn in_list(
        &mut self,
        whole: &Expr,
        equality: FunctionId,
        argument: &Expr,
        list: &[Expr],
        negated: bool,
    ) -> Result<Node, AnalyticsError> {
        let mut values = Vec::with_capacity(list.len());
        for element in list {
            match self.node(element)? {
                Node::Constant(constant) => values.push(constant.value),
                _ => return self.rows(whole),
            }
        }
        let name = equality.definition().map_or("", |definition| definition.name);
        match kernels::ConstantSet::of(name, argument.sql_type(), values) {
            Some(set) => {
                Ok(Node::InSet { argument: Box::new(self.typed(argument)?), set, negated })
            }
            None => self.rows(whole),
        }
    }

    /// The row evaluator on a whole part. A subquery inside it that failed fails the part.
    fn rows(&mut self, expr: &Expr) -> Result<Node, AnalyticsError> {
        let mut failed = None;
        let mut unknown = false;
        expr.walk(&mut |part| match part {
            Expr::Subquery { index, .. } => match self.surroundings.answers.get(index) {
                Some(Err(error)) => failed = Some(error.clone()),
                _ => unknown = true,
            },
            Expr::Outer { .. } => unknown = true,
            _ => {}
        });
        if unknown {
            return Err(AnalyticsError::not_supported("a correlated subquery in this place"));
        }
        if let Some(error) = failed {
            return Ok(Node::Raise(error, expr.sql_type()));
        }
        let columns: Vec<usize> =
            expr.columns_read().into_iter().map(|column| column as usize).collect();
        let dense = expr.map_columns(&|column| {
            let position = columns.binary_search(&(column as usize));
            position.expect("every column read was listed") as u32
        });
        Ok(Node::Rows { expr: dense, columns, output: expr.sql_type() })
    }
}

fn constant(value: Value, sql_type: SqlType) -> Result<Node, AnalyticsError> {
    let array = single(&value, sql_type)?;
    Ok(Node::Constant(Constant { value, array }))
}

impl Node {
    /// Whether evaluating it on a row can fail; such a part sees only rows that reach it.
    fn can_fail(&self) -> bool {
        match self {
            Node::Column(_) | Node::Constant(_) => false,
            Node::Raise(..) | Node::Apply { .. } | Node::Cast { .. } | Node::Rows { .. } => true,
            Node::Kernel { kernel, arguments, .. } => {
                kernel.can_fail() || arguments.iter().any(|argument| argument.node.can_fail())
            }
            Node::Like { argument, .. }
            | Node::Relabel(argument)
            | Node::Test { argument, .. }
            | Node::InSet { argument, .. } => argument.node.can_fail(),
            Node::And(parts) | Node::Or(parts) | Node::Coalesce { arguments: parts, .. } => {
                parts.iter().any(Node::can_fail)
            }
            Node::Not(argument) => argument.can_fail(),
            Node::Case { branches, otherwise, .. } => {
                branches.iter().any(|(condition, result)| condition.can_fail() || result.can_fail())
                    || otherwise.as_ref().is_some_and(|result| result.can_fail())
            }
        }
    }
}

/// Whether NULL in any column makes the whole expression not true: then an outer join under a filter by it may become an inner one.
pub(crate) fn rejects_nulls(expr: &Expr) -> bool {
    match expr {
        Expr::Call { function, arguments, .. } => {
            function.definition().is_some_and(|definition| definition.nulls == Nulls::Strict)
                && arguments.iter().any(reads_column)
                && arguments.iter().filter(|part| reads_column(part)).all(passes_nulls)
        }
        _ => false,
    }
}

fn reads_column(expr: &Expr) -> bool {
    !expr.columns_read().is_empty()
}

fn passes_nulls(expr: &Expr) -> bool {
    match expr {
        Expr::Column { .. } => true,
        Expr::Cast { argument, .. } => passes_nulls(argument),
        Expr::Call { .. } => rejects_nulls(expr),
        _ => false,
    }
}
