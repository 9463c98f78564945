//! Subqueries in expressions.

use super::Binder;
use crate::error::{PlanError, Result};
use crate::query::{Query, Rel};
use crate::syntax::{self, Expr as Syntax, ExprKind};
use alloc::boxed::Box;
use alloc::vec::Vec;
use functions::{Expr, Quantifier, SubqueryKind, resolve_operator};
use types::{ColumnType, SqlState, SqlType, Value};

impl Binder<'_> {
    /// Binds a query inside an expression; the scopes open now are the ones around it.
    fn inner_query(&mut self, query: &syntax::Query, position: u32) -> Result<Query> {
        if let Some(message) = self.clause().refuses_subqueries() {
            let state = SqlState::FEATURE_NOT_SUPPORTED;
            return Err(PlanError::at(state, position as usize, message));
        }
        self.query(query)
    }

    fn push_subquery(&mut self, query: Query, kind: SubqueryKind, answer: ColumnType) -> Expr {
        let index = self.subqueries.queries.len() as u32;
        self.subqueries.queries.push(query);
        Expr::Subquery { index, kind, column_type: answer }
    }

    pub(super) fn exists(&mut self, query: &syntax::Query, position: u32) -> Result<Expr> {
        let query = self.inner_query(query, position)?;
        Ok(self.push_subquery(query, SubqueryKind::Exists, ColumnType::plain(SqlType::Bool)))
    }

    pub(super) fn scalar_query(&mut self, query: &syntax::Query, position: u32) -> Result<Expr> {
        let query = self.inner_query(query, position)?;
        let [column] = query.columns.as_slice() else {
            return Err(PlanError::syntax(
                position as usize,
                "subquery must return only one column",
            ));
        };
        let answer = column.column_type;
        Ok(self.push_subquery(query, SubqueryKind::Scalar, answer))
    }

    pub(super) fn array_query(&mut self, query: &syntax::Query, position: u32) -> Result<Expr> {
        let query = self.inner_query(query, position)?;
        let [column] = query.columns.as_slice() else {
            return Err(PlanError::syntax(
                position as usize,
                "subquery must return only one column",
            ));
        };
        let element = column.column_type.sql_type;
        let array = super::type_name::array_of(element).ok_or_else(|| {
            PlanError::unsupported(alloc::format!("the type {}[]", element.name()))
                .or_at(position as usize)
        })?;
        Ok(self.push_subquery(query, SubqueryKind::Array, ColumnType::plain(array)))
    }

    pub(super) fn in_query(
        &mut self,
        operand: &Syntax,
        query: &syntax::Query,
        negated: bool,
        position: u32,
    ) -> Result<Expr> {
        let fields: Vec<&Syntax> = match &operand.kind {
            ExprKind::Row(fields) => fields.iter().collect(),
            _ => alloc::vec![operand],
        };
        let found = self.quantified_query(fields, "=", Quantifier::Any, query, position)?;
        Ok(if negated { Expr::Not(Box::new(found)) } else { found })
    }

    /// `(left, …) op ANY/ALL (query)`.
    pub(super) fn quantified_query(
        &mut self,
        fields: Vec<&Syntax>,
        operator: &str,
        quantifier: Quantifier,
        query: &syntax::Query,
        position: u32,
    ) -> Result<Expr> {
        let mut left = Vec::with_capacity(fields.len());
        for field in fields {
            left.push((self.expression(field)?, field.place()));
        }
        let query = self.inner_query(query, position)?;
        let place = position as usize;
        if left.len() != query.columns.len() {
            let message = if left.len() < query.columns.len() {
                "subquery has too many columns"
            } else {
                "subquery has too few columns"
            };
            return Err(PlanError::syntax(place, message));
        }
        if left.len() > 1 && !matches!(operator, "=" | "<>") {
            return Err(PlanError::unsupported("an ordering of rows over a subquery").or_at(place));
        }
        let mut operators = Vec::with_capacity(left.len());
        let mut operands = Vec::with_capacity(left.len());
        let mut casts = Vec::with_capacity(left.len());
        for ((field, field_place), column) in left.into_iter().zip(&query.columns) {
            let right = column.column_type.sql_type;
            let found = resolve_operator(operator, field.sql_type(), right)
                .map_err(|error| Box::<PlanError>::from(error).or_at(place))?;
            if found.returns != SqlType::Bool {
                return Err(PlanError::at(
                    SqlState::DATATYPE_MISMATCH,
                    place,
                    "row comparison operator must yield type boolean",
                ));
            }
            operands.push(self.operand(field, found.arguments[0], field_place)?);
            casts.push(ColumnType::plain(found.arguments[1]));
            operators.push(found.function);
        }
        let query = self.cast_columns(query, &casts)?;
        let kind = SubqueryKind::Quantified { quantifier, left: operands, operators };
        Ok(self.push_subquery(query, kind, ColumnType::plain(SqlType::Bool)))
    }

    /// `(left, …) op (query)` of at most one row; more than one is 21000, none gives NULL.
    pub(super) fn single_row_query(
        &mut self,
        fields: Vec<&Syntax>,
        operator: &str,
        quantifier: Quantifier,
        query: &syntax::Query,
        position: u32,
    ) -> Result<Expr> {
        // The number of rows is asked about by a scalar subquery over the same text, which raises 21000 or is NULL.
        let counted = self.inner_query(query, position)?;
        let marker = Expr::literal(Value::Bool(true), SqlType::Bool);
        let width = ColumnType::plain(SqlType::Bool);
        let counted = Query {
            columns: alloc::vec![super::label::plain_column("?column?", width)],
            root: Rel::Project { input: Box::new(counted.root), expressions: alloc::vec![marker] },
        };
        let present = self.push_subquery(counted, SubqueryKind::Scalar, width);
        let compared = self.quantified_query(fields, operator, quantifier, query, position)?;
        let branches = alloc::vec![(present, compared)];
        Ok(Expr::Case { branches, otherwise: None, column_type: width })
    }

    /// The query with its columns cast, if any needs it.
    pub(super) fn cast_columns(&mut self, query: Query, to: &[ColumnType]) -> Result<Query> {
        let same = query
            .columns
            .iter()
            .zip(to)
            .all(|(column, wanted)| column.column_type.sql_type == wanted.sql_type);
        if same {
            return Ok(query);
        }
        let mut expressions = Vec::with_capacity(to.len());
        for (index, (column, wanted)) in query.columns.iter().zip(to).enumerate() {
            let column = Expr::Column { index: index as u32, column_type: column.column_type };
            expressions.push(self.operand(column, wanted.sql_type, 0)?);
        }
        let columns = query
            .columns
            .into_iter()
            .zip(to)
            .map(|(column, wanted)| crate::query::OutputColumn { column_type: *wanted, ..column })
            .collect();
        Ok(Query { root: Rel::Project { input: Box::new(query.root), expressions }, columns })
    }
}
