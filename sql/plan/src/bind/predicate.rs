//! IS, LIKE, BETWEEN, IN: predicates with a grammar of their own.

use super::Binder;
use crate::error::{PlanError, Result};
use crate::syntax::{Between, Expr as Syntax, ExprKind, IsTest, Like, LikeKind};
use alloc::boxed::Box;
use alloc::vec::Vec;
use functions::{Expr, Test, common_type, resolve_operator};
use types::{ColumnType, SqlType};

impl Binder<'_> {
    pub(super) fn is_test(
        &mut self,
        operand: &Syntax,
        test: IsTest,
        negated: bool,
    ) -> Result<Expr> {
        if let ExprKind::Row(fields) = &operand.kind
            && test == IsTest::Null
        {
            // A row is (not) null if every field is.
            let mut tests = Vec::with_capacity(fields.len());
            for field in fields {
                tests.push(self.is_test(field, test, negated)?);
            }
            return Ok(Expr::And(tests));
        }
        let bound = self.expression(operand)?;
        let (bound, test) = match (test, negated) {
            (IsTest::Null, false) => (self.text_if_unknown(bound)?, Test::Null),
            (IsTest::Null, true) => (self.text_if_unknown(bound)?, Test::NotNull),
            (truth, negated) => {
                let (name, test) = match (truth, negated) {
                    (IsTest::True, false) => ("IS TRUE", Test::True),
                    (IsTest::True, true) => ("IS NOT TRUE", Test::NotTrue),
                    (IsTest::False, false) => ("IS FALSE", Test::False),
                    (IsTest::False, true) => ("IS NOT FALSE", Test::NotFalse),
                    (_, false) => ("IS UNKNOWN", Test::Unknown),
                    (_, true) => ("IS NOT UNKNOWN", Test::NotUnknown),
                };
                (self.boolean(bound, name, operand.place())?, test)
            }
        };
        Ok(Expr::Test { test, argument: Box::new(bound) })
    }

    pub(super) fn is_distinct(
        &mut self,
        left: &Syntax,
        right: &Syntax,
        negated: bool,
        position: u32,
    ) -> Result<Expr> {
        if let (ExprKind::Row(_), _) | (_, ExprKind::Row(_)) = (&left.kind, &right.kind) {
            return Err(PlanError::unsupported("IS DISTINCT FROM of rows").or_at(position as usize));
        }
        // `x IS DISTINCT FROM NULL` is a plain test.
        if matches!(right.kind, ExprKind::Null) {
            return self.is_test(left, IsTest::Null, !negated);
        }
        if matches!(left.kind, ExprKind::Null) {
            return self.is_test(right, IsTest::Null, !negated);
        }
        let left_bound = self.expression(left)?;
        let right_bound = self.expression(right)?;
        let found = resolve_operator("=", left_bound.sql_type(), right_bound.sql_type())
            .map_err(|error| Box::<PlanError>::from(error).or_at(position as usize))?;
        let left = self.operand(left_bound, found.arguments[0], left.place())?;
        let right = self.operand(right_bound, found.arguments[1], right.place())?;
        Ok(Expr::Distinct {
            equality: found.function,
            left: Box::new(left),
            right: Box::new(right),
            negated,
        })
    }

    #[inline(never)]
    pub(super) fn like(&mut self, like: &Like, position: u32) -> Result<Expr> {
        let operand = (self.expression(&like.operand)?, like.operand.place());
        let mut pattern = (self.expression(&like.pattern)?, like.pattern.place());
        let symbol = match (like.kind, like.negated) {
            (LikeKind::Like, false) => "~~",
            (LikeKind::Like, true) => "!~~",
            (LikeKind::ILike, false) => "~~*",
            (LikeKind::ILike, true) => "!~~*",
            (LikeKind::Similar, false) => "~",
            (LikeKind::Similar, true) => "!~",
        };
        let function = if like.kind == LikeKind::Similar {
            Some("similar_to_escape")
        } else {
            like.escape.as_ref().map(|_| "like_escape")
        };
        if let Some(name) = function {
            let mut arguments = alloc::vec![pattern];
            if let Some(escape) = &like.escape {
                arguments.push((self.expression(escape)?, escape.place()));
            }
            pattern = (self.plain_call(name, arguments, position)?, like.pattern.place());
        }
        self.operator(symbol, operand, pattern, position)
    }

    #[inline(never)]
    pub(super) fn between(&mut self, between: &Between, position: u32) -> Result<Expr> {
        let Between { operand, low, high, negated, symmetric } = between;
        let place = operand.place();
        let value = self.expression(operand)?;
        let low = (self.expression(low)?, low.place());
        let high = (self.expression(high)?, high.place());
        let inside = self.range(&value, place, low.clone(), high.clone(), position)?;
        let inside = if *symmetric {
            let swapped = self.range(&value, place, high, low, position)?;
            Expr::Or(alloc::vec![inside, swapped])
        } else {
            inside
        };
        // The way PostgreSQL writes it: NOT BETWEEN is `x < low OR x > high`, which is the negation of this.
        Ok(if *negated { Expr::Not(Box::new(inside)) } else { inside })
    }

    fn range(
        &mut self,
        value: &Expr,
        place: u32,
        low: (Expr, u32),
        high: (Expr, u32),
        position: u32,
    ) -> Result<Expr> {
        let above = self.operator(">=", (value.clone(), place), low, position)?;
        let below = self.operator("<=", (value.clone(), place), high, position)?;
        Ok(Expr::And(alloc::vec![above, below]))
    }

    #[inline(never)]
    pub(super) fn in_list(
        &mut self,
        operand: &Syntax,
        list: &[Syntax],
        negated: bool,
        position: u32,
    ) -> Result<Expr> {
        if let ExprKind::Row(fields) = &operand.kind {
            return self.row_in_list(fields, list, negated, position);
        }
        let value = self.expression(operand)?;
        let mut elements = Vec::with_capacity(list.len());
        for one in list {
            if let ExprKind::Row(_) = one.kind {
                return Err(PlanError::unsupported("a row value here").or_at(one.position as usize));
            }
            elements.push((self.expression(one)?, one.position));
        }
        let types: Vec<SqlType> = core::iter::once(value.sql_type())
            .chain(elements.iter().map(|(one, _)| one.sql_type()))
            .collect();
        let common = common_type(&types, "IN").ok().and_then(|common| {
            let found = resolve_operator("=", common, common).ok()?;
            Some((found.arguments[0], found.arguments[1], found.function))
        });
        let Some((left, right, equality)) = common else {
            return self.in_list_by_pairs((value, operand.place()), elements, negated, position);
        };
        let argument = self.operand(value, left, operand.place())?;
        let mut cast = Vec::with_capacity(elements.len());
        for (element, place) in elements {
            cast.push(self.operand(element, right, place)?);
        }
        Ok(Expr::InList { equality, argument: Box::new(argument), list: cast, negated })
    }

    /// No common type: each element is compared by an operator of its own.
    fn in_list_by_pairs(
        &mut self,
        value: (Expr, u32),
        elements: Vec<(Expr, u32)>,
        negated: bool,
        position: u32,
    ) -> Result<Expr> {
        let mut comparisons = Vec::with_capacity(elements.len());
        for element in elements {
            comparisons.push(self.operator("=", value.clone(), element, position)?);
        }
        let any = Expr::Or(comparisons);
        Ok(if negated { Expr::Not(Box::new(any)) } else { any })
    }

    /// A function of the library by its plain name, over bound arguments.
    pub(super) fn plain_call(
        &mut self,
        name: &str,
        arguments: Vec<(Expr, u32)>,
        position: u32,
    ) -> Result<Expr> {
        let types: Vec<SqlType> = arguments.iter().map(|(one, _)| one.sql_type()).collect();
        let found = functions::resolve_function(name, &types)
            .map_err(|error| Box::<PlanError>::from(error).or_at(position as usize))?;
        let mut cast = Vec::with_capacity(arguments.len());
        for ((argument, place), wanted) in arguments.into_iter().zip(&found.arguments) {
            cast.push(self.operand(argument, *wanted, place)?);
        }
        Ok(Expr::Call {
            function: found.function,
            arguments: cast,
            column_type: ColumnType::plain(found.returns),
        })
    }
}
