//! Making an expression have a type: literals are read, parameters decided, everything else cast. Source: PostgreSQL 15, `parse_coerce.c`.

use super::{BindInput, Binder};
use crate::catalog::RelationNames;
use crate::error::{PlanError, Result};
use alloc::format;
use alloc::vec::Vec;
use functions::{CastKind, Expr, Volatility, cast_value, common_type, find_cast};
use types::{ColumnType, SqlState, SqlType, Value};

/// Casts the arguments of EXECUTE to the types of the prepared statement's parameters.
///
/// # Errors
/// 42601 if the numbers differ, 42804 if one cannot be assigned.
pub fn coerce_arguments(
    name: &str,
    arguments: Vec<Expr>,
    parameters: &[SqlType],
    input: &BindInput<'_>,
) -> Result<Vec<Expr>> {
    if arguments.len() != parameters.len() {
        return Err(PlanError::new(
            SqlState::SYNTAX_ERROR,
            format!("wrong number of parameters for prepared statement \"{name}\""),
        )
        .detail(format!(
            "Expected {} parameters but got {}.",
            parameters.len(),
            arguments.len()
        )));
    }
    let names = RelationNames { catalog: input.catalog, search_path: input.search_path };
    let mut binder = Binder::new(input, &names);
    let mut cast = Vec::with_capacity(arguments.len());
    for (position, (argument, wanted)) in arguments.into_iter().zip(parameters).enumerate() {
        let found = argument.sql_type();
        let to = ColumnType::plain(*wanted);
        let Some(argument) = binder.try_coerce(argument, to, CastKind::Assignment)? else {
            return Err(PlanError::new(
                SqlState::DATATYPE_MISMATCH,
                format!(
                    "parameter ${} of type {} cannot be coerced to the expected type {}",
                    position + 1,
                    found.name(),
                    wanted.name()
                ),
            )
            .hint("You will need to rewrite or cast the expression."));
        };
        cast.push(argument);
    }
    Ok(cast)
}

impl Binder<'_> {
    /// The expression with this type; nothing if there is no such conversion in this situation.
    pub(super) fn try_coerce(
        &mut self,
        expression: Expr,
        to: ColumnType,
        kind: CastKind,
    ) -> Result<Option<Expr>> {
        let from = expression.column_type();
        if from == to || (from.sql_type == to.sql_type && to.modifier < 0) {
            return Ok(Some(expression));
        }
        if from.sql_type == SqlType::Unknown {
            return self.decide_unknown(expression, to, kind).map(Some);
        }
        let Some(method) = find_cast(from.sql_type, to.sql_type, kind) else { return Ok(None) };
        if let Expr::Literal { value, .. } = &expression
            && method.volatility() == Volatility::Immutable
            && let Ok(value) = cast_value(value, from.sql_type, to, kind, &self.context)
        {
            return Ok(Some(Expr::Literal { value, column_type: to }));
        }
        Ok(Some(expression.cast_to(to, kind)))
    }

    /// A literal or parameter whose type was open gets it.
    fn decide_unknown(&mut self, expression: Expr, to: ColumnType, kind: CastKind) -> Result<Expr> {
        match expression {
            Expr::Literal { value, .. } => {
                let value = cast_value(&value, SqlType::Unknown, to, kind, &self.context)?;
                Ok(Expr::Literal { value, column_type: to })
            }
            Expr::Parameter { index, .. } => {
                let decided = &mut self.parameters[index as usize];
                if *decided == SqlType::Unknown {
                    *decided = to.sql_type;
                } else if *decided != to.sql_type {
                    return Err(PlanError::new(
                        SqlState::AMBIGUOUS_PARAMETER,
                        format!("inconsistent types deduced for parameter ${}", index + 1),
                    )
                    .detail(format!(
                        "{} versus {}",
                        decided.name(),
                        to.sql_type.name()
                    )));
                }
                let parameter =
                    Expr::Parameter { index, column_type: ColumnType::plain(to.sql_type) };
                Ok(parameter.cast_to(to, kind))
            }
            other => Ok(other.cast_to(to, kind)),
        }
    }

    /// What an operand becomes after its function was chosen.
    pub(super) fn operand(&mut self, expression: Expr, to: SqlType, position: u32) -> Result<Expr> {
        let from = expression.sql_type();
        if from == to {
            return Ok(expression);
        }
        let coerced = self
            .try_coerce(expression, ColumnType::plain(to), CastKind::Implicit)
            .map_err(|error| error.or_at(position as usize))?;
        coerced.ok_or_else(|| cannot_cast(from, to, position))
    }

    /// `CAST`, `::`.
    pub(super) fn explicit_cast(
        &mut self,
        expression: Expr,
        to: ColumnType,
        position: u32,
        operand_position: u32,
    ) -> Result<Expr> {
        let from = expression.sql_type();
        let coerced = self
            .try_coerce(expression, to, CastKind::Explicit)
            .map_err(|error| error.or_at(operand_position as usize))?;
        coerced.ok_or_else(|| cannot_cast(from, to.sql_type, position))
    }

    /// A condition: of type boolean or 42804.
    pub(super) fn boolean(
        &mut self,
        expression: Expr,
        construct: &str,
        position: u32,
    ) -> Result<Expr> {
        self.exactly(expression, SqlType::Bool, construct, position)
    }

    /// An argument of a clause that takes one type only.
    pub(super) fn exactly(
        &mut self,
        expression: Expr,
        to: SqlType,
        construct: &str,
        position: u32,
    ) -> Result<Expr> {
        let from = expression.sql_type();
        let kind = CastKind::Assignment;
        let coerced = self
            .try_coerce(expression, ColumnType::plain(to), kind)
            .map_err(|error| error.or_at(position as usize))?;
        coerced.ok_or_else(|| {
            PlanError::at(
                SqlState::DATATYPE_MISMATCH,
                position as usize,
                format!(
                    "argument of {construct} must be type {}, not type {}",
                    to.name(),
                    from.name()
                ),
            )
        })
    }

    /// All expressions with their common type; `construct` names them in messages.
    pub(super) fn unify(
        &mut self,
        expressions: Vec<(Expr, u32)>,
        construct: &str,
    ) -> Result<(Vec<Expr>, ColumnType)> {
        let types: Vec<SqlType> = expressions.iter().map(|(one, _)| one.sql_type()).collect();
        let common = common_type(&types, construct).map_err(|error| {
            let place = mismatch_place(&expressions);
            alloc::boxed::Box::<PlanError>::from(error).or_at(place as usize)
        })?;
        // A modifier that all share is kept.
        let modifier = expressions.first().map_or(-1, |(first, _)| first.column_type().modifier);
        let same = expressions
            .iter()
            .all(|(one, _)| one.column_type() == ColumnType { sql_type: common, modifier });
        let to = ColumnType { sql_type: common, modifier: if same { modifier } else { -1 } };
        let mut unified = Vec::with_capacity(expressions.len());
        for (expression, position) in expressions {
            let from = expression.sql_type();
            let coerced = self
                .try_coerce(expression, ColumnType::plain(common), CastKind::Implicit)
                .map_err(|error| error.or_at(position as usize))?;
            let coerced = coerced.ok_or_else(|| {
                PlanError::at(
                    SqlState::CANNOT_COERCE,
                    position as usize,
                    format!(
                        "{construct} could not convert type {} to {}",
                        from.name(),
                        common.name()
                    ),
                )
            })?;
            unified.push(coerced);
        }
        Ok((unified, to))
    }

    /// A value for a column: INSERT, UPDATE, DEFAULT.
    pub(super) fn assign(
        &mut self,
        expression: Expr,
        column: &types::ColumnSchema,
        position: u32,
        what: &str,
    ) -> Result<Expr> {
        let from = expression.sql_type();
        let coerced = self
            .try_coerce(expression, column.column_type, CastKind::Assignment)
            .map_err(|error| error.or_at(position as usize))?;
        coerced.ok_or_else(|| {
            PlanError::at(
                SqlState::DATATYPE_MISMATCH,
                position as usize,
                format!(
                    "column \"{}\" is of type {} but {what} is of type {}",
                    column.name,
                    column.column_type.sql_type.name(),
                    from.name()
                ),
            )
            .hint("You will need to rewrite or cast the expression.")
        })
    }

    /// Text, if nothing has given it a type.
    pub(super) fn text_if_unknown(&mut self, expression: Expr) -> Result<Expr> {
        if expression.sql_type() != SqlType::Unknown {
            return Ok(expression);
        }
        self.decide_unknown(expression, ColumnType::plain(SqlType::Text), CastKind::Implicit)
    }

    /// Parameter `index` wherever it stands.
    pub(super) fn parameter(&mut self, index: u32) -> Expr {
        let wanted = index as usize + 1;
        if self.parameters.len() < wanted {
            self.parameters.resize(wanted, SqlType::Unknown);
        }
        let sql_type = self.parameters[index as usize];
        Expr::Parameter { index, column_type: ColumnType::plain(sql_type) }
    }

    /// An integer, a bigint or a numeric, whichever holds the digits.
    pub(super) fn number(&self, digits: &str) -> Result<Expr> {
        if let Ok(small) = digits.parse::<i32>() {
            return Ok(Expr::literal(Value::Int4(small), SqlType::Int4));
        }
        if let Ok(large) = digits.parse::<i64>() {
            return Ok(Expr::literal(Value::Int8(large), SqlType::Int8));
        }
        let numeric = ColumnType::plain(SqlType::Numeric);
        let kind = CastKind::Implicit;
        let value =
            cast_value(&Value::text(digits), SqlType::Unknown, numeric, kind, &self.context)?;
        Ok(Expr::Literal { value, column_type: numeric })
    }
}

/// Where the first expression stands whose type is of another category than those before.
fn mismatch_place(expressions: &[(Expr, u32)]) -> u32 {
    let mut seen: Vec<SqlType> = Vec::new();
    for (expression, position) in expressions {
        seen.push(expression.sql_type());
        if common_type(&seen, "").is_err() {
            return *position;
        }
    }
    expressions.first().map_or(0, |(_, position)| *position)
}

pub(super) fn cannot_cast(
    from: SqlType,
    to: SqlType,
    position: u32,
) -> alloc::boxed::Box<PlanError> {
    PlanError::at(
        SqlState::CANNOT_COERCE,
        position as usize,
        format!("cannot cast type {} to {}", from.name(), to.name()),
    )
}
