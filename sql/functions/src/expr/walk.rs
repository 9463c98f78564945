//! Visiting and rewriting the parts of an expression. Recursion is as deep as the expression, which plan bounds (`EXPRESSION_DEPTH_MAX`).

use super::{Expr, SubqueryKind};
use alloc::boxed::Box;
use alloc::vec::Vec;
use types::limits::EXPRESSION_DEPTH_MAX;
use types::{SqlState, ValueError};

impl Expr {
    /// Direct parts, in evaluation order.
    pub fn children(&self) -> Vec<&Expr> {
        match self {
            Expr::Literal { .. }
            | Expr::Column { .. }
            | Expr::Parameter { .. }
            | Expr::Outer { .. } => Vec::new(),
            Expr::Call { arguments: parts, .. }
            | Expr::And(parts)
            | Expr::Or(parts)
            | Expr::Coalesce { arguments: parts, .. }
            | Expr::Extreme { arguments: parts, .. }
            | Expr::ArrayLiteral { elements: parts, .. } => parts.iter().collect(),
            Expr::Cast { argument, .. } | Expr::Not(argument) | Expr::Test { argument, .. } => {
                Vec::from([&**argument])
            }
            Expr::Distinct { left, right, .. }
            | Expr::NullIf { left, right, .. }
            | Expr::Quantified { left, array: right, .. } => Vec::from([&**left, &**right]),
            Expr::Case { branches, otherwise, .. } => branches
                .iter()
                .flat_map(|(condition, result)| [condition, result])
                .chain(otherwise.as_deref())
                .collect(),
            Expr::InList { argument, list, .. } => {
                core::iter::once(&**argument).chain(list).collect()
            }
            Expr::Subquery { kind, .. } => match kind {
                SubqueryKind::Quantified { left, .. } => left.iter().collect(),
                _ => Vec::new(),
            },
        }
    }

    /// Direct parts, in evaluation order, to be changed.
    pub fn children_mut(&mut self) -> Vec<&mut Expr> {
        match self {
            Expr::Literal { .. }
            | Expr::Column { .. }
            | Expr::Parameter { .. }
            | Expr::Outer { .. } => Vec::new(),
            Expr::Call { arguments: parts, .. }
            | Expr::And(parts)
            | Expr::Or(parts)
            | Expr::Coalesce { arguments: parts, .. }
            | Expr::Extreme { arguments: parts, .. }
            | Expr::ArrayLiteral { elements: parts, .. } => parts.iter_mut().collect(),
            Expr::Cast { argument, .. } | Expr::Not(argument) | Expr::Test { argument, .. } => {
                Vec::from([&mut **argument])
            }
            Expr::Distinct { left, right, .. }
            | Expr::NullIf { left, right, .. }
            | Expr::Quantified { left, array: right, .. } => Vec::from([&mut **left, &mut **right]),
            Expr::Case { branches, otherwise, .. } => branches
                .iter_mut()
                .flat_map(|(condition, result)| [condition, result])
                .chain(otherwise.as_deref_mut())
                .collect(),
            Expr::InList { argument, list, .. } => {
                core::iter::once(&mut **argument).chain(list).collect()
            }
            Expr::Subquery { kind, .. } => match kind {
                SubqueryKind::Quantified { left, .. } => left.iter_mut().collect(),
                _ => Vec::new(),
            },
        }
    }

    /// Calls `visit` for the expression and then for every part below it.
    pub fn walk(&self, visit: &mut dyn FnMut(&Expr)) {
        visit(self);
        for child in self.children() {
            child.walk(visit);
        }
    }

    /// Replaces parts bottom-up: `rewrite` sees each node after its parts.
    pub fn transform(&mut self, rewrite: &mut dyn FnMut(&mut Expr)) {
        for child in self.children_mut() {
            child.transform(rewrite);
        }
        rewrite(self);
    }

    /// A copy with every column index mapped, for moving an expression to another row shape.
    pub fn map_columns(&self, map: &dyn Fn(u32) -> u32) -> Expr {
        let mut moved = self.clone();
        moved.transform(&mut |expr| {
            if let Expr::Column { index, .. } = expr {
                *index = map(*index);
            }
        });
        moved
    }

    /// Positions of the input row that it reads, ascending, each once.
    pub fn columns_read(&self) -> Vec<u32> {
        let mut columns = Vec::new();
        self.walk(&mut |expr| {
            if let Expr::Column { index, .. } = expr {
                columns.push(*index);
            }
        });
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// Levels of nesting; a leaf has one.
    pub fn depth(&self) -> usize {
        1 + self.children().into_iter().map(Expr::depth).max().unwrap_or(0)
    }

    /// Refuses what the evaluator would refuse later.
    ///
    /// # Errors
    /// 54001 beyond `EXPRESSION_DEPTH_MAX`.
    pub fn check_depth(&self) -> Result<(), ValueError> {
        if self.depth() > EXPRESSION_DEPTH_MAX { Err(too_deep()) } else { Ok(()) }
    }

    /// `argument` cast to `to`, or `argument` itself if it has that type already.
    pub fn cast_to(self, to: types::ColumnType, kind: crate::CastKind) -> Expr {
        let from = self.column_type();
        if from.sql_type == to.sql_type && (to.modifier == -1 || from.modifier == to.modifier) {
            return self;
        }
        Expr::Cast { argument: Box::new(self), to, kind }
    }
}

pub(crate) fn too_deep() -> ValueError {
    ValueError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
}
