//! Expressions. Each function returns an expression whose operands have exactly the types that its function takes.

use super::Binder;
use super::scope::{Clause, find_column, find_entry};
use crate::error::{PlanError, Result};
use crate::syntax::{Case, Expr as Syntax, ExprKind, Name, Quantified, QuantifiedRight};
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use functions::{Expr, Quantifier, resolve_operator, resolve_prefix_operator};
use types::{ColumnType, SqlState, SqlType, Value};

impl Binder<'_> {
    /// Binds an expression of the innermost scope. It may be of unknown type.
    pub(super) fn expression(&mut self, syntax: &Syntax) -> Result<Expr> {
        let position = syntax.position;
        match &syntax.kind {
            ExprKind::Null => Ok(Expr::literal(Value::Null, SqlType::Unknown)),
            ExprKind::Bool(value) => Ok(Expr::literal(Value::Bool(*value), SqlType::Bool)),
            ExprKind::Number(digits) => self.number(digits),
            ExprKind::String(text) => {
                Ok(Expr::literal(Value::Text(text.clone()), SqlType::Unknown))
            }
            ExprKind::Parameter(index) => Ok(self.parameter(*index)),
            ExprKind::Column(name) => self.column(name),
            ExprKind::And(operands) => self.connective(operands, "AND").map(Expr::And),
            ExprKind::Or(operands) => self.connective(operands, "OR").map(Expr::Or),
            ExprKind::Not(operand) => {
                let bound = self.expression(operand)?;
                let bound = self.boolean(bound, "NOT", operand.place())?;
                Ok(Expr::Not(Box::new(bound)))
            }
            ExprKind::Unary { operator, operand } => self.unary(operator, operand, position),
            ExprKind::Binary { operator, left, right } => {
                self.binary(operator, left, right, position)
            }
            ExprKind::Cast { operand, type_name } => {
                let to = self.type_of(type_name)?;
                let bound = self.cast_operand(operand, to)?;
                self.explicit_cast(bound, to, position, operand.place())
            }
            _ => self.longer_expression(syntax),
        }
    }

    /// The kinds that take more room; apart, so that the frequent ones keep a small stack frame.
    #[inline(never)]
    fn longer_expression(&mut self, syntax: &Syntax) -> Result<Expr> {
        let position = syntax.position;
        match &syntax.kind {
            ExprKind::Is { operand, test, negated } => self.is_test(operand, *test, *negated),
            ExprKind::IsDistinct { left, right, negated } => {
                self.is_distinct(left, right, *negated, position)
            }
            ExprKind::Like(like) => self.like(like, position),
            ExprKind::Between(between) => self.between(between, position),
            ExprKind::In { operand, list, negated } => {
                self.in_list(operand, list, *negated, position)
            }
            ExprKind::InQuery { operand, query, negated } => {
                self.in_query(operand, query, *negated, position)
            }
            ExprKind::Quantified(quantified) => self.quantified(quantified, position),
            ExprKind::Exists(query) => self.exists(query, position),
            ExprKind::Scalar(query) => self.scalar_query(query, position),
            ExprKind::ArrayQuery(query) => self.array_query(query, position),
            ExprKind::Array(elements) => self.array(elements, None, position),
            ExprKind::Case(case) => self.case(case),
            ExprKind::Call(call) => self.call(call, position),
            ExprKind::Coalesce(arguments) => {
                let (arguments, column_type) = self.common(arguments, "COALESCE")?;
                Ok(Expr::Coalesce { arguments, column_type })
            }
            ExprKind::Extreme { greatest, arguments } => {
                let name = if *greatest { "GREATEST" } else { "LEAST" };
                let (arguments, column_type) = self.common(arguments, name)?;
                Ok(Expr::Extreme { greatest: *greatest, arguments, column_type })
            }
            ExprKind::NullIf(left, right) => self.null_if(left, right, position),
            ExprKind::Grouping(arguments) => self.grouping(arguments, position),
            ExprKind::Collate { operand, collation } => self.collate(operand, collation, position),
            ExprKind::Subscript { operand, index } => self.subscript(operand, index, position),
            ExprKind::Row(_) => {
                Err(PlanError::unsupported("a row value here").or_at(position as usize))
            }
            ExprKind::Star(_) => Err(PlanError::syntax(
                position as usize,
                "row expansion via \"*\" is not supported here",
            )),
            ExprKind::Field { .. } => {
                Err(PlanError::unsupported("selection of a field").or_at(position as usize))
            }
            ExprKind::Slice { operand, lower, upper } => {
                self.slice(operand, lower.as_deref(), upper.as_deref(), position)
            }
            ExprKind::Default => {
                Err(PlanError::syntax(position as usize, "DEFAULT is not allowed in this context"))
            }
            _ => Err(PlanError::new(SqlState::INTERNAL_ERROR, "an expression went astray")),
        }
    }

    /// ARRAY[…] directly under a cast takes its type from there.
    fn cast_operand(&mut self, operand: &Syntax, to: ColumnType) -> Result<Expr> {
        match (&operand.kind, to.sql_type.element()) {
            (ExprKind::Array(elements), Some(_)) => {
                self.array(elements, Some(to.sql_type), operand.place())
            }
            _ => self.expression(operand),
        }
    }

    /// A column name, of this query or one around it.
    fn column(&mut self, name: &Name) -> Result<Expr> {
        let found = match find_column(&self.scopes, name) {
            Ok(found) => found,
            Err(error) => return self.explain_missing_column(name, error),
        };
        let position = name.parts[0].position;
        let depth = self.scopes.len() - 1 - found.level as usize;
        let expression = found.column.expression();
        if found.level == 0 {
            self.scopes[depth].note_named(&expression, position);
            return Ok(expression);
        }
        if self.scopes[depth].refuses_lateral {
            let table =
                if name.parts.len() > 1 { &name.parts[name.parts.len() - 2].name } else { "" };
            return Err(PlanError::at(
                SqlState::INVALID_COLUMN_REFERENCE,
                position as usize,
                format!("invalid reference to FROM-clause entry for table \"{table}\""),
            )
            .detail("The combining JOIN type must be INNER or LEFT for a LATERAL reference."));
        }
        self.scopes[depth].used_from_inside = true;
        self.scopes[depth].note_named(&expression, position);
        let level = found.level;
        match expression {
            Expr::Column { index, column_type } => Ok(Expr::Outer { level, index, column_type }),
            mut merged => {
                merged.transform(&mut |part| {
                    if let Expr::Column { index, column_type } = *part {
                        *part = Expr::Outer { level, index, column_type };
                    }
                });
                Ok(merged)
            }
        }
    }

    /// A name that is no column may be a table, or a column that every table has in PostgreSQL.
    fn explain_missing_column(&self, name: &Name, error: Box<PlanError>) -> Result<Expr> {
        let position = name.parts[0].position as usize;
        if let [table] = name.parts.as_slice()
            && find_entry(&self.scopes, None, &table.name, position).is_ok()
        {
            return Err(PlanError::unsupported("a whole-row reference").or_at(position));
        }
        let system = ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];
        let (last, qualifier) = name.parts.split_last().expect("a name has parts");
        if !system.contains(&&*last.name) || error.state != SqlState::UNDEFINED_COLUMN {
            return Err(error);
        }
        let entry = match qualifier {
            [table] => find_entry(&self.scopes, None, &table.name, position)?.0,
            _ => match self.scopes.last().and_then(|scope| scope.entries.first()) {
                Some(entry) => entry,
                None => return Err(error),
            },
        };
        let origin = entry.columns.first().and_then(|column| column.origin);
        match origin {
            Some((table, _)) if &*last.name == "tableoid" => {
                Ok(Expr::literal(Value::Oid(table.0), SqlType::Oid))
            }
            _ => {
                let feature = format!("the system column {}", last.name);
                Err(PlanError::unsupported(feature).or_at(position))
            }
        }
    }

    fn connective(&mut self, operands: &[Syntax], name: &str) -> Result<Vec<Expr>> {
        let mut bound = Vec::with_capacity(operands.len());
        for operand in operands {
            let expression = self.expression(operand)?;
            bound.push(self.boolean(expression, name, operand.place())?);
        }
        Ok(bound)
    }

    fn common(&mut self, syntax: &[Syntax], name: &str) -> Result<(Vec<Expr>, ColumnType)> {
        let mut bound = Vec::with_capacity(syntax.len());
        for one in syntax {
            bound.push((self.expression(one)?, one.position));
        }
        self.unify(bound, name)
    }

    fn unary(&mut self, operator: &str, operand: &Syntax, position: u32) -> Result<Expr> {
        let bound = self.expression(operand)?;
        let found = resolve_prefix_operator(operator, bound.sql_type())
            .map_err(|error| Box::<PlanError>::from(error).or_at(position as usize))?;
        let argument = self.operand(bound, found.arguments[0], operand.place())?;
        Ok(Expr::Call {
            function: found.function,
            arguments: alloc::vec![argument],
            column_type: ColumnType::plain(found.returns),
        })
    }

    fn binary(
        &mut self,
        operator: &str,
        left: &Syntax,
        right: &Syntax,
        position: u32,
    ) -> Result<Expr> {
        if let (ExprKind::Row(left), ExprKind::Row(right)) = (&left.kind, &right.kind) {
            return self.row_comparison(operator, left, right, position);
        }
        if let (ExprKind::Row(fields), ExprKind::Scalar(query)) = (&left.kind, &right.kind) {
            return self.row_query_comparison(operator, fields, query, position);
        }
        let left_bound = self.expression(left)?;
        let right_bound = self.expression(right)?;
        self.operator(operator, (left_bound, left.place()), (right_bound, right.place()), position)
    }

    /// An operator over bound operands.
    pub(super) fn operator(
        &mut self,
        symbol: &str,
        left: (Expr, u32),
        right: (Expr, u32),
        position: u32,
    ) -> Result<Expr> {
        let found = resolve_operator(symbol, left.0.sql_type(), right.0.sql_type())
            .map_err(|error| Box::<PlanError>::from(error).or_at(position as usize))?;
        let left = self.operand(left.0, found.arguments[0], left.1)?;
        let right = self.operand(right.0, found.arguments[1], right.1)?;
        Ok(Expr::Call {
            function: found.function,
            arguments: alloc::vec![left, right],
            column_type: ColumnType::plain(found.returns),
        })
    }

    /// `x op ANY (array)`, `x op ALL (query)`.
    fn quantified(&mut self, syntax: &Quantified, position: u32) -> Result<Expr> {
        let quantifier = if syntax.all { Quantifier::All } else { Quantifier::Any };
        let array = match &syntax.right {
            QuantifiedRight::Query(query) => {
                let left = match &syntax.left.kind {
                    ExprKind::Row(fields) => fields.iter().collect(),
                    _ => alloc::vec![&syntax.left],
                };
                return self.quantified_query(left, &syntax.operator, quantifier, query, position);
            }
            QuantifiedRight::Array(array) => array,
        };
        let left = self.expression(&syntax.left)?;
        let right = match &array.kind {
            ExprKind::Array(elements) if elements.is_empty() => {
                let wanted = super::type_name::array_of(left.sql_type());
                self.array(elements, wanted, array.place())?
            }
            _ => self.expression(array)?,
        };
        let right_type = right.sql_type();
        let element = match right_type {
            SqlType::Unknown => SqlType::Unknown,
            other => other.element().ok_or_else(|| {
                PlanError::at(
                    SqlState::WRONG_OBJECT_TYPE,
                    position as usize,
                    "op ANY/ALL (array) requires array on right side",
                )
            })?,
        };
        let found = resolve_operator(&syntax.operator, left.sql_type(), element)
            .map_err(|error| Box::<PlanError>::from(error).or_at(position as usize))?;
        if found.returns != SqlType::Bool {
            return Err(PlanError::at(
                SqlState::WRONG_OBJECT_TYPE,
                position as usize,
                "op ANY/ALL (array) requires operator to yield boolean",
            ));
        }
        let left = self.operand(left, found.arguments[0], syntax.left.place())?;
        let wanted = super::type_name::array_of(found.arguments[1]).ok_or_else(|| {
            PlanError::unsupported(format!("the type {}[]", found.arguments[1].name()))
                .or_at(array.place() as usize)
        })?;
        let right = self.operand(right, wanted, array.place())?;
        Ok(Expr::Quantified {
            quantifier,
            operator: found.function,
            left: Box::new(left),
            array: Box::new(right),
        })
    }

    /// ARRAY[…]; `wanted` is the array type that a cast around it asks for.
    pub(super) fn array(
        &mut self,
        elements: &[Syntax],
        wanted: Option<SqlType>,
        position: u32,
    ) -> Result<Expr> {
        if elements.is_empty() {
            let Some(array) = wanted else {
                return Err(PlanError::at(
                    SqlState::INDETERMINATE_DATATYPE,
                    position as usize,
                    "cannot determine type of empty array",
                )
                .hint("Explicitly cast to the desired type, for example ARRAY[]::integer[]."));
            };
            let column_type = ColumnType::plain(array);
            return Ok(Expr::ArrayLiteral { elements: Vec::new(), column_type });
        }
        if let Some(array) = wanted
            && let Some(element) = array.element()
        {
            let mut bound = Vec::with_capacity(elements.len());
            for one in elements {
                let expression = self.expression(one)?;
                let to = ColumnType::plain(element);
                bound.push(self.explicit_cast(expression, to, one.position, one.position)?);
            }
            return Ok(Expr::ArrayLiteral {
                elements: bound,
                column_type: ColumnType::plain(array),
            });
        }
        let (bound, common) = self.common(elements, "ARRAY")?;
        let array = super::type_name::array_of(common.sql_type).ok_or_else(|| {
            PlanError::unsupported(format!("the type {}[]", common.sql_type.name()))
                .or_at(position as usize)
        })?;
        let to = ColumnType::plain(array.element().unwrap_or(common.sql_type));
        let mut elements = Vec::with_capacity(bound.len());
        for expression in bound {
            elements.push(self.explicit_cast(expression, to, position, position)?);
        }
        Ok(Expr::ArrayLiteral { elements, column_type: ColumnType::plain(array) })
    }

    #[inline(never)]
    fn case(&mut self, case: &Case) -> Result<Expr> {
        let operand = match &case.operand {
            // Every branch compares with it, so it has a type before the first.
            Some(operand) => {
                let bound = self.expression(operand)?;
                Some((self.text_if_unknown(bound)?, operand.place()))
            }
            None => None,
        };
        let mut conditions = Vec::with_capacity(case.branches.len());
        let mut results = Vec::with_capacity(case.branches.len() + 1);
        for (condition, result) in &case.branches {
            let bound = self.expression(condition)?;
            let bound = match &operand {
                Some(operand) => self.operator(
                    "=",
                    operand.clone(),
                    (bound, condition.place()),
                    condition.place(),
                )?,
                None => bound,
            };
            conditions.push(self.boolean(bound, "CASE/WHEN", condition.place())?);
            results.push((self.expression(result)?, result.place()));
        }
        let otherwise = match &case.otherwise {
            Some(otherwise) => (self.expression(otherwise)?, otherwise.place()),
            None => (Expr::literal(Value::Null, SqlType::Unknown), 0),
        };
        // PostgreSQL lets ELSE choose first.
        results.insert(0, otherwise);
        let (mut results, column_type) = self.unify(results, "CASE")?;
        let otherwise = results.remove(0);
        let otherwise = match (&case.otherwise, otherwise) {
            (None, _) => None,
            (Some(_), otherwise) => Some(Box::new(otherwise)),
        };
        let branches = conditions.into_iter().zip(results).collect();
        Ok(Expr::Case { branches, otherwise, column_type })
    }

    fn null_if(&mut self, left: &Syntax, right: &Syntax, position: u32) -> Result<Expr> {
        let left_bound = self.expression(left)?;
        let right_bound = self.expression(right)?;
        let (left_type, right_type) = (left_bound.sql_type(), right_bound.sql_type());
        let found = resolve_operator("=", left_type, right_type)
            .map_err(|error| Box::<PlanError>::from(error).or_at(position as usize))?;
        // The answer has the left operand's own type.
        let column_type = if left_type == SqlType::Unknown {
            ColumnType::plain(found.arguments[0])
        } else {
            left_bound.column_type()
        };
        let left = self.operand(left_bound, found.arguments[0], left.place())?;
        let right = self.operand(right_bound, found.arguments[1], right.place())?;
        if left.sql_type() == column_type.sql_type {
            return Ok(Expr::NullIf {
                equality: found.function,
                left: Box::new(left),
                right: Box::new(right),
                column_type,
            });
        }
        let inner = left.column_type();
        let compared = Expr::NullIf {
            equality: found.function,
            left: Box::new(left),
            right: Box::new(right),
            column_type: inner,
        };
        self.explicit_cast(compared, column_type, position, position)
    }

    fn collate(&mut self, operand: &Syntax, collation: &Name, position: u32) -> Result<Expr> {
        let bound = self.expression(operand)?;
        let name = collation.parts.last().map_or("", |part| &*part.name);
        if !matches!(name, "default" | "C" | "POSIX" | "ucs_basic" | "C.UTF-8" | "C.utf8") {
            return Err(PlanError::at(
                SqlState::UNDEFINED_OBJECT,
                position as usize,
                format!("collation \"{name}\" for encoding \"UTF8\" does not exist"),
            ));
        }
        let bound = self.text_if_unknown(bound)?;
        if !bound.sql_type().is_string() {
            return Err(PlanError::at(
                SqlState::DATATYPE_MISMATCH,
                position as usize,
                format!("collations are not supported by type {}", bound.sql_type().name()),
            ));
        }
        Ok(bound)
    }

    fn subscript(&mut self, operand: &Syntax, index: &Syntax, position: u32) -> Result<Expr> {
        let array = self.expression(operand)?;
        let Some(element) = array.sql_type().element() else {
            return Err(PlanError::at(
                SqlState::DATATYPE_MISMATCH,
                operand.place() as usize,
                format!(
                    "cannot subscript type {} because it does not support subscripting",
                    array.sql_type().name()
                ),
            ));
        };
        let bound = self.expression(index)?;
        let mut bound = self.exactly(bound, SqlType::Int4, "array subscript", index.place())?;
        if is_vector(operand) {
            // Vectors count from zero.
            let one = Expr::literal(Value::Int4(1), SqlType::Int4);
            let place = index.place();
            bound = self.operator("+", (bound, place), (one, place), place)?;
        }
        let arguments = alloc::vec![(array, operand.place()), (bound, index.place())];
        let mut call = self.plain_call("array_element", arguments, position)?;
        if let Expr::Call { column_type, .. } = &mut call {
            *column_type = ColumnType::plain(element);
        }
        Ok(call)
    }

    fn slice(
        &mut self,
        operand: &Syntax,
        lower: Option<&Syntax>,
        upper: Option<&Syntax>,
        position: u32,
    ) -> Result<Expr> {
        let array = self.expression(operand)?;
        if array.sql_type().element().is_none() || is_vector(operand) {
            return Err(PlanError::at(
                SqlState::DATATYPE_MISMATCH,
                operand.place() as usize,
                format!(
                    "cannot subscript type {} because it does not support subscripting",
                    array.sql_type().name()
                ),
            ));
        }
        let mut arguments = alloc::vec![(array, operand.place())];
        for (bound, open) in [(lower, 1), (upper, i32::MAX)] {
            arguments.push(match bound {
                Some(bound) => {
                    let place = bound.position;
                    let bound = self.expression(bound)?;
                    (self.exactly(bound, SqlType::Int4, "array subscript", place)?, place)
                }
                None => (Expr::literal(Value::Int4(open), SqlType::Int4), position),
            });
        }
        self.plain_call("array_slice", arguments, position)
    }

    /// The clause that the innermost scope is in, for the time of `body`.
    pub(super) fn within<T>(
        &mut self,
        clause: Clause,
        body: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let depth = self.scopes.len() - 1;
        let before = core::mem::replace(&mut self.scopes[depth].clause, clause);
        let result = body(self);
        // On an error the binder is not used again.
        if result.is_ok() {
            self.scopes[depth].clause = before;
        }
        result
    }

    pub(super) fn clause(&self) -> Clause {
        self.scopes.last().map_or(Clause::Values, |scope| scope.clause)
    }
}

/// Columns of the catalog whose type is `int2vector` or `oidvector`, which count from zero.
fn is_vector(operand: &Syntax) -> bool {
    const VECTORS: &[&str] = &[
        "indkey",
        "indoption",
        "indclass",
        "indcollation",
        "proargtypes",
        "tgattr",
        "partattrs",
        "partclass",
        "partcollation",
        "stxkeys",
    ];
    match &operand.kind {
        ExprKind::Column(name) => {
            name.parts.last().is_some_and(|part| VECTORS.contains(&&*part.name))
        }
        _ => false,
    }
}
