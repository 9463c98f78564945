//! Visiting the expressions of a query, subqueries included, with the number of query boundaries between them and where the walk began.

use super::{AggregateCall, FrameBound, Rel, SortKey, Subqueries, WindowCall};
use crate::query::Lateral;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use functions::Expr;

/// A visitor of whole expressions (not their parts) and their depth.
pub type Visit<'a> = &'a mut dyn FnMut(&mut Expr, u32);

impl Rel {
    /// Visits the expressions of the tree, those of its nodes and below. The right side of a dependent join is one deeper. Subqueries of expressions are
    /// not entered; see [`Subqueries::visit_outer`].
    pub fn visit(&mut self, depth: u32, visit: Visit<'_>) {
        match self {
            Rel::OneRow
            | Rel::Scan(_)
            | Rel::VirtualScan(_)
            | Rel::WithScan { .. }
            | Rel::WorkTable { .. } => {}
            Rel::Values { rows, .. } => {
                rows.iter_mut().flatten().for_each(|expression| visit(expression, depth));
            }
            Rel::FunctionScan(scan) => {
                scan.function.arguments.iter_mut().for_each(|one| visit(one, depth));
            }
            Rel::Project { input, expressions } => {
                input.visit(depth, visit);
                expressions.iter_mut().for_each(|one| visit(one, depth));
            }
            Rel::ProjectSet { input, functions } => {
                input.visit(depth, visit);
                for function in functions {
                    function.arguments.iter_mut().for_each(|one| visit(one, depth));
                }
            }
            Rel::Filter { input, condition } => {
                input.visit(depth, visit);
                visit(condition, depth);
            }
            Rel::Join(join) => {
                join.left.visit(depth, visit);
                let deeper = u32::from(join.lateral == Lateral::Dependent);
                join.right.visit(depth + deeper, visit);
                if let Some(condition) = &mut join.condition {
                    visit(condition, depth);
                }
            }
            Rel::Aggregate(aggregate) => {
                aggregate.input.visit(depth, visit);
                aggregate.keys.iter_mut().for_each(|one| visit(one, depth));
                aggregate.calls.iter_mut().for_each(|call| call.visit(depth, visit));
            }
            Rel::Window { input, calls } => {
                input.visit(depth, visit);
                calls.iter_mut().for_each(|call| call.visit(depth, visit));
            }
            Rel::Sort { input, keys } => {
                input.visit(depth, visit);
                visit_keys(keys, depth, visit);
            }
            Rel::Limit { input, limit, offset } => {
                input.visit(depth, visit);
                limit.iter_mut().chain(offset).for_each(|one| visit(one, depth));
            }
            Rel::Distinct { input, .. } => input.visit(depth, visit),
            Rel::SetOperation { left, right, .. } => {
                left.visit(depth, visit);
                right.visit(depth, visit);
            }
        }
    }
}

fn visit_keys(keys: &mut [SortKey], depth: u32, visit: Visit<'_>) {
    keys.iter_mut().for_each(|key| visit(&mut key.expression, depth));
}

impl AggregateCall {
    /// Visits its expressions.
    pub fn visit(&mut self, depth: u32, visit: Visit<'_>) {
        self.arguments.iter_mut().chain(&mut self.filter).for_each(|one| visit(one, depth));
        visit_keys(&mut self.order, depth, visit);
    }
}

impl WindowCall {
    /// Visits its expressions.
    pub fn visit(&mut self, depth: u32, visit: Visit<'_>) {
        self.arguments
            .iter_mut()
            .chain(&mut self.filter)
            .chain(&mut self.partition)
            .for_each(|one| visit(one, depth));
        visit_keys(&mut self.order, depth, visit);
        for bound in [&mut self.frame.start, &mut self.frame.end] {
            if let FrameBound::Preceding(offset) | FrameBound::Following(offset) = bound {
                visit(offset, depth);
            }
        }
    }
}

impl Subqueries {
    /// Rewrites every `Outer` at or above the row that an expression sees: `rewrite(level, index)`, where `level` 1 is that row. Subqueries already in
    /// `done` are passed over, since copies of one expression share theirs.
    pub fn visit_outer(
        &mut self,
        expression: &Expr,
        done: &mut BTreeSet<u32>,
        rewrite: &mut dyn FnMut(&mut Expr, u32),
    ) {
        let mut pending: Vec<(u32, u32)> = Vec::new();
        collect(expression, 0, &mut pending);
        self.visit_pending(pending, done, rewrite);
    }

    /// The same for all expressions of a tree, whose own outer columns have `base` boundaries above them: 0 for the right side of a join that turned out
    /// not to depend on the left.
    pub fn visit_outer_of_rel(
        &mut self,
        rel: &mut Rel,
        done: &mut BTreeSet<u32>,
        rewrite: &mut dyn FnMut(&mut Expr, u32),
    ) {
        let mut pending: Vec<(u32, u32)> = Vec::new();
        rel.visit(1, &mut |expression, depth| {
            expression.transform(&mut |part| {
                if let Expr::Outer { level, .. } = part
                    && *level >= depth
                {
                    rewrite(part, depth);
                }
            });
            collect(expression, depth, &mut pending);
        });
        self.visit_pending(pending, done, rewrite);
    }

    fn visit_pending(
        &mut self,
        mut pending: Vec<(u32, u32)>,
        done: &mut BTreeSet<u32>,
        rewrite: &mut dyn FnMut(&mut Expr, u32),
    ) {
        while let Some((index, depth)) = pending.pop() {
            if !done.insert(index) {
                continue;
            }
            let mut deeper = Vec::new();
            let query = &mut self.queries[index as usize];
            query.root.visit(depth, &mut |expression, depth| {
                expression.transform(&mut |part| {
                    if let Expr::Outer { level, .. } = part
                        && *level >= depth
                    {
                        rewrite(part, depth);
                    }
                });
                collect(expression, depth, &mut deeper);
            });
            pending.append(&mut deeper);
        }
    }
}

/// The subqueries of an expression, each with the depth of the expressions inside it.
fn collect(expression: &Expr, depth: u32, pending: &mut Vec<(u32, u32)>) {
    expression.walk(&mut |part| {
        if let Expr::Subquery { index, .. } = part {
            pending.push((*index, depth + 1));
        }
    });
}
