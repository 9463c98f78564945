//! Calls: plain functions, functions that return sets; aggregates and window functions are handed on.

use super::Binder;
use super::scope::SET_MARK;
use crate::error::{PlanError, Result};
use crate::query::{SetFunction, SetFunctionKind};
use crate::syntax::{Call, Expr as Syntax, ExprKind};
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use functions::{CastKind, Expr, common_type, resolve_function};
use types::{ColumnType, SqlState, SqlType};

impl Binder<'_> {
    /// A call in an expression.
    #[inline(never)]
    pub(super) fn call(&mut self, call: &Call, position: u32) -> Result<Expr> {
        let name = self.function_name(call, position)?;
        if let Some(kind) = set_function(&name) {
            return self.set_call(kind, &name, call, position);
        }
        if super::window::is_window_function(&name) || call.over.is_some() {
            return self.window_call(&name, call, position);
        }
        if functions::aggregate::is_aggregate(&name) {
            return self.aggregate_call(&name, call, position);
        }
        self.refuse_aggregate_clauses(&name, call, position)?;
        if call.variadic {
            let feature = "VARIADIC";
            return Err(PlanError::unsupported(feature).or_at(position as usize));
        }
        if let [argument] = call.arguments.as_slice()
            && let Some(cast) = self.cast_by_function(&name, argument, position)?
        {
            return Ok(cast);
        }
        let arguments = self.arguments(&call.arguments)?;
        if let ("current_timestamp" | "localtimestamp", [_]) = (&*name, arguments.as_slice()) {
            return self.rounded_time(&name, call, position);
        }
        self.plain_call(value_function(&name), arguments, position)
    }

    /// `current_timestamp(p)`: the time with fewer digits.
    fn rounded_time(&mut self, name: &str, call: &Call, position: u32) -> Result<Expr> {
        let ExprKind::Number(digits) = &call.arguments[0].kind else {
            return Err(super::call::no_such_function(name, &[SqlType::Unknown], position));
        };
        let time = self.plain_call(value_function(name), Vec::new(), position)?;
        let modifier = digits.parse::<i32>().unwrap_or(6).min(6);
        let to = ColumnType { modifier, ..time.column_type() };
        Ok(time.cast_to(to, CastKind::Explicit))
    }

    /// The plain name of what is called; functions live in `pg_catalog` and `ringfence`.
    fn function_name(&self, call: &Call, position: u32) -> Result<Box<str>> {
        match call.name.parts.as_slice() {
            [name] => Ok(name.name.clone()),
            [schema, name] if matches!(&*schema.name, "pg_catalog" | "information_schema") => {
                Ok(name.name.clone())
            }
            [schema, name] if &*schema.name == "ringfence" => {
                Ok(format!("ringfence.{}", name.name).into())
            }
            [schema, name] if self.catalog.schema_oid(&schema.name).is_some() => {
                Err(PlanError::at(
                    SqlState::UNDEFINED_FUNCTION,
                    position as usize,
                    format!("function {}.{} does not exist", schema.name, name.name),
                ))
            }
            [schema, _] => Err(PlanError::at(
                SqlState::INVALID_SCHEMA_NAME,
                position as usize,
                format!("schema \"{}\" does not exist", schema.name),
            )),
            parts => Err(PlanError::at(
                SqlState::FEATURE_NOT_SUPPORTED,
                position as usize,
                format!(
                    "cross-database references are not implemented: {}",
                    parts.iter().map(|part| &*part.name).collect::<Vec<_>>().join(".")
                ),
            )),
        }
    }

    pub(super) fn arguments(&mut self, syntax: &[Syntax]) -> Result<Vec<(Expr, u32)>> {
        if syntax.len() > 100 {
            return Err(PlanError::at(
                SqlState::TOO_MANY_ARGUMENTS,
                syntax[100].place() as usize,
                "cannot pass more than 100 arguments to a function",
            ));
        }
        let mut arguments = Vec::with_capacity(syntax.len());
        for one in syntax {
            arguments.push((self.expression(one)?, one.position));
        }
        Ok(arguments)
    }

    fn refuse_aggregate_clauses(&self, name: &str, call: &Call, position: u32) -> Result<()> {
        let what = if call.star {
            return Err(PlanError::at(
                SqlState::WRONG_OBJECT_TYPE,
                position as usize,
                format!("{name}(*) specified, but {name} is not an aggregate function"),
            ));
        } else if call.distinct {
            "DISTINCT"
        } else if !call.within_group.is_empty() {
            "WITHIN GROUP"
        } else if !call.order_by.is_empty() {
            "ORDER BY"
        } else if call.filter.is_some() {
            "FILTER"
        } else {
            return Ok(());
        };
        Err(PlanError::at(
            SqlState::WRONG_OBJECT_TYPE,
            position as usize,
            format!("{what} specified, but {name} is not an aggregate function"),
        ))
    }

    /// `float8(x)`, `text(x)`, …: a type's name called like a function is a cast, if no function has that name and argument.
    fn cast_by_function(
        &mut self,
        name: &str,
        argument: &Syntax,
        position: u32,
    ) -> Result<Option<Expr>> {
        let Some(sql_type) = super::type_name::type_by_name(name) else { return Ok(None) };
        let bound = self.expression(argument)?;
        if resolve_function(name, &[bound.sql_type()]).is_ok() {
            let arguments = alloc::vec![(bound, argument.place())];
            return self.plain_call(name, arguments, position).map(Some);
        }
        let to = ColumnType::plain(sql_type);
        self.explicit_cast(bound, to, position, argument.place()).map(Some)
    }

    /// A set-returning function in a select list: its rows multiply the row.
    fn set_call(
        &mut self,
        kind: SetFunctionKind,
        name: &str,
        call: &Call,
        position: u32,
    ) -> Result<Expr> {
        let clause = self.clause();
        if !clause.allows_sets() {
            return Err(PlanError::at(
                SqlState::FEATURE_NOT_SUPPORTED,
                position as usize,
                format!("set-returning functions are not allowed in {}", clause.name()),
            ));
        }
        let function = self.set_function(kind, name, call, position)?;
        let column_type = function.column_type;
        let scope = self.scopes.last_mut().expect("a clause that allows sets has a scope");
        scope.sets.push(function);
        let index = SET_MARK + (scope.sets.len() - 1) as u32;
        Ok(Expr::Column { index, column_type })
    }

    /// A set-returning function with its arguments.
    pub(super) fn set_function(
        &mut self,
        kind: SetFunctionKind,
        name: &str,
        call: &Call,
        position: u32,
    ) -> Result<SetFunction> {
        self.refuse_aggregate_clauses(name, call, position)?;
        let arguments = self.arguments(&call.arguments)?;
        let types: Vec<SqlType> = arguments.iter().map(|(one, _)| one.sql_type()).collect();
        let Some((wanted, returns)) = set_signature(kind, &types) else {
            return Err(no_such_function(name, &types, position));
        };
        let mut cast = Vec::with_capacity(arguments.len());
        for ((argument, place), wanted) in arguments.into_iter().zip(wanted) {
            cast.push(self.operand(argument, wanted, place)?);
        }
        Ok(SetFunction { kind, arguments: cast, column_type: ColumnType::plain(returns) })
    }
}

/// The functions behind the names that SQL calls without parentheses.
fn value_function(name: &str) -> &str {
    match name {
        "current_timestamp" => "now",
        "current_role" | "user" => "current_user",
        "current_catalog" => "current_database",
        other => other,
    }
}

pub(super) fn set_function(name: &str) -> Option<SetFunctionKind> {
    Some(match name {
        "generate_series" => SetFunctionKind::GenerateSeries,
        "unnest" => SetFunctionKind::Unnest,
        "generate_subscripts" => SetFunctionKind::GenerateSubscripts,
        "regexp_split_to_table" => SetFunctionKind::RegexpSplitToTable,
        "string_to_table" => SetFunctionKind::StringToTable,
        _ => return None,
    })
}

/// Types that the arguments become, and the type of the column.
fn set_signature(kind: SetFunctionKind, types: &[SqlType]) -> Option<(Vec<SqlType>, SqlType)> {
    match kind {
        SetFunctionKind::GenerateSeries => series_signature(types),
        SetFunctionKind::Unnest => {
            let [array] = types else { return None };
            Some((alloc::vec![*array], array.element()?))
        }
        SetFunctionKind::GenerateSubscripts => {
            let (array, rest) = types.split_first()?;
            array.element()?;
            let wanted = match rest {
                [_] => alloc::vec![*array, SqlType::Int4],
                [_, _] => alloc::vec![*array, SqlType::Int4, SqlType::Bool],
                _ => return None,
            };
            Some((wanted, SqlType::Int4))
        }
        SetFunctionKind::RegexpSplitToTable | SetFunctionKind::StringToTable => {
            let fits = |one: &SqlType| one.is_string();
            (matches!(types.len(), 2 | 3) && types.iter().all(fits))
                .then(|| (alloc::vec![SqlType::Text; types.len()], SqlType::Text))
        }
    }
}

fn series_signature(types: &[SqlType]) -> Option<(Vec<SqlType>, SqlType)> {
    let bounds = types.get(..2)?;
    if types.len() > 3 {
        return None;
    }
    let of_time =
        |one: SqlType| matches!(one, SqlType::Timestamp | SqlType::Timestamptz | SqlType::Date);
    if bounds.iter().any(|one| of_time(*one)) {
        let both = |wanted| bounds.iter().all(|one| *one == wanted || *one == SqlType::Unknown);
        // Dates become timestamptz, the preferred type of their kind.
        let common =
            if both(SqlType::Timestamp) { SqlType::Timestamp } else { SqlType::Timestamptz };
        let step = matches!(types.get(2)?, SqlType::Interval | SqlType::Unknown);
        return step.then(|| (alloc::vec![common, common, SqlType::Interval], common));
    }
    if !types.iter().all(|one| one.is_numeric() || *one == SqlType::Unknown) {
        return None;
    }
    let common = match common_type(types, "generate_series").ok()? {
        SqlType::Int2 | SqlType::Int4 => SqlType::Int4,
        SqlType::Int8 => SqlType::Int8,
        SqlType::Numeric => SqlType::Numeric,
        SqlType::Text => SqlType::Int4,
        _ => return None,
    };
    Some((alloc::vec![common; types.len()], common))
}

pub(super) fn no_such_function(name: &str, types: &[SqlType], position: u32) -> Box<PlanError> {
    let list: Vec<&str> = types.iter().map(|one| one.name()).collect();
    PlanError::at(
        SqlState::UNDEFINED_FUNCTION,
        position as usize,
        format!("function {name}({}) does not exist", list.join(", ")),
    )
    .hint(
        "No function matches the given name and argument types. You might need to add explicit type casts.",
    )
}
