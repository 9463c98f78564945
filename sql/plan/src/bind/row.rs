//! Comparisons of row values, written out field by field. Source: PostgreSQL 15 documentation, 9.24.5.

use super::Binder;
use crate::error::{PlanError, Result};
use crate::syntax::{Expr as Syntax, ExprKind, Query};
use alloc::boxed::Box;
use alloc::vec::Vec;
use functions::{Expr, Quantifier};

impl Binder<'_> {
    /// `(a, b) op (c, d)`.
    pub(super) fn row_comparison(
        &mut self,
        operator: &str,
        left: &[Syntax],
        right: &[Syntax],
        position: u32,
    ) -> Result<Expr> {
        if left.len() != right.len() {
            return Err(PlanError::syntax(
                position as usize,
                "unequal number of entries in row expressions",
            ));
        }
        let mut pairs = Vec::with_capacity(left.len());
        for (a, b) in left.iter().zip(right) {
            pairs.push(((self.expression(a)?, a.position), (self.expression(b)?, b.position)));
        }
        self.compare_pairs(operator, pairs, position)
    }

    fn compare_pairs(
        &mut self,
        operator: &str,
        pairs: Vec<((Expr, u32), (Expr, u32))>,
        position: u32,
    ) -> Result<Expr> {
        match operator {
            "=" | "<>" => {
                let mut tests = Vec::with_capacity(pairs.len());
                for (a, b) in pairs {
                    tests.push(self.operator(operator, a, b, position)?);
                }
                Ok(if operator == "=" { Expr::And(tests) } else { Expr::Or(tests) })
            }
            "<" | "<=" | ">" | ">=" => self.compare_in_order(operator, pairs, position),
            _ => Err(PlanError::unsupported(alloc::format!("the operator {operator} of rows"))
                .or_at(position as usize)),
        }
    }

    /// `(a, b) < (c, d)` is `a < c OR (a = c AND b < d)`.
    fn compare_in_order(
        &mut self,
        operator: &str,
        pairs: Vec<((Expr, u32), (Expr, u32))>,
        position: u32,
    ) -> Result<Expr> {
        let strict = if operator.starts_with('<') { "<" } else { ">" };
        let mut result: Option<Expr> = None;
        for (a, b) in pairs.into_iter().rev() {
            result = Some(match result {
                None => self.operator(operator, a, b, position)?,
                Some(rest) => {
                    let before = self.operator(strict, a.clone(), b.clone(), position)?;
                    let equal = self.operator("=", a, b, position)?;
                    Expr::Or(alloc::vec![before, Expr::And(alloc::vec![equal, rest])])
                }
            });
        }
        result.ok_or_else(|| {
            PlanError::unsupported("comparison of rows without fields").or_at(position as usize)
        })
    }

    /// `(a, b) [NOT] IN ((c, d), …)`.
    pub(super) fn row_in_list(
        &mut self,
        fields: &[Syntax],
        list: &[Syntax],
        negated: bool,
        position: u32,
    ) -> Result<Expr> {
        let mut any = Vec::with_capacity(list.len());
        for one in list {
            let ExprKind::Row(right) = &one.kind else {
                return Err(PlanError::syntax(
                    one.position as usize,
                    "a row is compared with something that is none",
                ));
            };
            any.push(self.row_comparison("=", fields, right, position)?);
        }
        let any = Expr::Or(any);
        Ok(if negated { Expr::Not(Box::new(any)) } else { any })
    }

    /// `(a, b) op (SELECT c, d …)`: the query gives at most one row, whose columns are compared.
    pub(super) fn row_query_comparison(
        &mut self,
        operator: &str,
        fields: &[Syntax],
        query: &Query,
        position: u32,
    ) -> Result<Expr> {
        if !matches!(operator, "=" | "<>") {
            return Err(PlanError::unsupported("this comparison of a row with a subquery")
                .or_at(position as usize));
        }
        let fields: Vec<&Syntax> = fields.iter().collect();
        let quantifier = if operator == "=" { Quantifier::Any } else { Quantifier::All };
        self.single_row_query(fields, operator, quantifier, query, position)
    }
}
