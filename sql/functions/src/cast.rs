//! Which types convert into which, how, and in what situations. Source: PostgreSQL 15, `pg_cast`, and `find_coercion_pathway`'s rule for strings: any type
//! is assigned to a string type, and explicitly read from one, through its text form.

mod cast_table;

use crate::registry::{FunctionId, Volatility};
use crate::{EvalContext, EvalError};
use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use types::modifier::{Overflow, apply_modifier};
use types::text_format::{append_text, parse_text};
use types::{ColumnType, SqlState, SqlType, Value};

/// In what situation a conversion happens; each allows what the one before it allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum CastKind {
    /// An operand.
    Implicit = 0,
    /// INSERT, UPDATE.
    Assignment = 1,
    /// `CAST`, `::`.
    Explicit = 2,
}

/// How a value is converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CastMethod {
    /// Same bytes, other name.
    Relabel,
    /// A function of one argument.
    Function(FunctionId),
    /// Through the text form.
    Text,
    /// An array, element by element through the text form.
    Elements,
}

impl CastMethod {
    /// How long the answer stays true. Text forms of times depend on the session's time zone.
    pub fn volatility(self) -> Volatility {
        match self {
            CastMethod::Relabel => Volatility::Immutable,
            CastMethod::Text | CastMethod::Elements => Volatility::Stable,
            CastMethod::Function(function) => {
                function.definition().map_or(Volatility::Volatile, |found| found.volatility)
            }
        }
    }
}

struct CastDefinition {
    from: SqlType,
    to: SqlType,
    kind: CastKind,
    method: CastMethod,
}

/// The conversion of one type into another; nothing if there is none in this situation. A type converts into itself by [`CastMethod::Relabel`].
pub fn find_cast(from: SqlType, to: SqlType, kind: CastKind) -> Option<CastMethod> {
    if from == to {
        return Some(CastMethod::Relabel);
    }
    if from == SqlType::Unknown {
        return Some(CastMethod::Text);
    }
    let found = cast_table::CASTS
        .binary_search_by(|cast| (cast.from, cast.to).cmp(&(from, to)))
        .map(|position| &cast_table::CASTS[position]);
    if let Ok(cast) = found {
        return (cast.kind <= kind).then_some(cast.method);
    }
    if let (Some(source), Some(target)) = (from.element(), to.element()) {
        return find_cast(source, target, kind).map(|_| CastMethod::Elements);
    }
    if is_string_category(to) && kind >= CastKind::Assignment {
        return Some(CastMethod::Text);
    }
    if is_string_category(from) && kind == CastKind::Explicit {
        return Some(CastMethod::Text);
    }
    None
}

/// `pg_type.typcategory` S.
pub(crate) const fn is_string_category(sql_type: SqlType) -> bool {
    matches!(sql_type, SqlType::Text | SqlType::Varchar | SqlType::Bpchar | SqlType::Name)
}

/// `cannot cast type …`: 42846.
pub fn cannot_cast(from: SqlType, to: SqlType) -> EvalError {
    EvalError::new(
        SqlState::CANNOT_COERCE,
        format!("cannot cast type {} to {}", from.name(), to.name()),
    )
}

/// Converts a value and applies the target's modifier. NULL stays NULL.
///
/// # Errors
/// 42846 if there is no such conversion in this situation, and whatever the conversion raises.
pub fn cast_value(
    value: &Value,
    from: SqlType,
    to: ColumnType,
    kind: CastKind,
    context: &EvalContext<'_>,
) -> Result<Value, EvalError> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    let method =
        find_cast(from, to.sql_type, kind).ok_or_else(|| cannot_cast(from, to.sql_type))?;
    let converted = match method {
        CastMethod::Relabel => relabel(value, to.sql_type),
        CastMethod::Function(function) => {
            // Some pairs share a function whose answer is the target's under another name (smallint to oid).
            relabel(&crate::evaluate::apply(function, &[value], context)?, to.sql_type)
        }
        CastMethod::Text => read_text(&value_text(value, from, context)?, to.sql_type, context)?,
        CastMethod::Elements => cast_elements(value, from, to.sql_type, kind, context)?,
    };
    if to.modifier < 0 {
        return Ok(converted);
    }
    let overflow = if kind == CastKind::Explicit { Overflow::Truncate } else { Overflow::Refuse };
    apply_modifier(converted, to, overflow)
}

fn cast_elements(
    value: &Value,
    from: SqlType,
    to: SqlType,
    kind: CastKind,
    context: &EvalContext<'_>,
) -> Result<Value, EvalError> {
    let (Value::Array(elements), Some(source), Some(target)) =
        (value, from.element(), to.element())
    else {
        return Err(EvalError::internal("an array is expected"));
    };
    let mut converted = Vec::with_capacity(elements.len());
    for element in elements.iter() {
        converted.push(cast_value(element, source, ColumnType::plain(target), kind, context)?);
    }
    Ok(Value::Array(converted.into_boxed_slice()))
}

fn relabel(value: &Value, to: SqlType) -> Value {
    match (value, to) {
        (
            Value::Int4(number),
            SqlType::Oid | SqlType::Regclass | SqlType::Regtype | SqlType::Regproc,
        ) => Value::Oid(*number as u32),
        (Value::Oid(number), SqlType::Int4) => Value::Int4(*number as i32),
        _ => value.clone(),
    }
}

/// The text form of a value, as its type's output function prints it.
///
/// # Errors
/// XX000 if the value is not of the type.
pub fn value_text(
    value: &Value,
    sql_type: SqlType,
    context: &EvalContext<'_>,
) -> Result<String, EvalError> {
    if let (Value::Oid(oid), SqlType::Regclass) = (value, sql_type) {
        if *oid == 0 {
            return Ok("-".to_owned());
        }
        let name = context.catalog.relation_name(*oid);
        return Ok(name.map_or_else(|| format!("{oid}"), String::from));
    }
    if let (Value::Oid(oid), SqlType::Regproc) = (value, sql_type) {
        if *oid == 0 {
            return Ok("-".to_owned());
        }
        let found = u16::try_from(*oid).ok().and_then(|id| FunctionId(id).definition());
        return Ok(found.map_or_else(|| format!("{oid}"), |function| function.name.to_owned()));
    }
    let mut bytes = Vec::new();
    append_text(value, sql_type, &context.settings, &mut bytes);
    String::from_utf8(bytes).map_err(|_| EvalError::internal("a text form is not UTF-8"))
}

/// A value from its text form, as its type's input function reads it; without modifier.
///
/// # Errors
/// 22P02 and its like; 42P01 and 42704 for names of `reg…` types that do not exist.
pub fn read_text(
    text: &str,
    sql_type: SqlType,
    context: &EvalContext<'_>,
) -> Result<Value, EvalError> {
    let number = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty();
    match sql_type {
        SqlType::Regclass | SqlType::Regproc if text == "-" => Ok(Value::Oid(0)),
        SqlType::Regclass if !number => {
            context.catalog.find_relation(text).map(Value::Oid).ok_or_else(|| {
                EvalError::new(
                    SqlState::UNDEFINED_TABLE,
                    format!("relation \"{text}\" does not exist"),
                )
            })
        }
        SqlType::Regtype if !number && text != "-" => read_type_name(text),
        SqlType::Regproc if !number => {
            let name = text.strip_prefix("pg_catalog.").unwrap_or(text);
            match crate::registry::functions_named(name) {
                [] => Err(EvalError::new(
                    SqlState::UNDEFINED_FUNCTION,
                    format!("function \"{text}\" does not exist"),
                )),
                [one] => Ok(Value::Oid(u32::from(one.id.0))),
                _ => Err(EvalError::new(
                    SqlState::AMBIGUOUS_FUNCTION,
                    format!("more than one function named \"{text}\""),
                )),
            }
        }
        _ => parse_text(text, sql_type, &context.settings),
    }
}

fn read_type_name(text: &str) -> Result<Value, EvalError> {
    let trimmed = text.trim();
    let name = trimmed.strip_prefix("pg_catalog.").unwrap_or(trimmed);
    let bare = name.split('(').next().unwrap_or(name).trim();
    type_named(bare).map(|sql_type| Value::Oid(sql_type.oid())).ok_or_else(|| {
        EvalError::new(SqlState::UNDEFINED_OBJECT, format!("type \"{text}\" does not exist"))
    })
}

/// The type of a name as SQL or `pg_type` spells it, without modifier and qualification: `int`, `integer`, `int4`, `timestamp with time zone`, `text[]`, …
pub fn type_named(name: &str) -> Option<SqlType> {
    if name == "\"char\"" {
        return Some(SqlType::Char);
    }
    let lower: Box<str> = name.to_ascii_lowercase().into();
    if let Some(element) = lower.strip_suffix("[]").or_else(|| lower.strip_prefix('_')) {
        let element = type_named(element)?;
        return SqlType::ALL.iter().copied().find(|array| array.element() == Some(element));
    }
    Some(match &*lower {
        "bool" | "boolean" => SqlType::Bool,
        "int2" | "smallint" => SqlType::Int2,
        "int" | "int4" | "integer" => SqlType::Int4,
        "int8" | "bigint" => SqlType::Int8,
        "float4" | "real" => SqlType::Float4,
        "float" | "float8" | "double precision" => SqlType::Float8,
        "numeric" | "decimal" | "dec" => SqlType::Numeric,
        "text" => SqlType::Text,
        "varchar" | "character varying" => SqlType::Varchar,
        "bpchar" | "char" | "character" => SqlType::Bpchar,
        "bytea" => SqlType::Bytea,
        "date" => SqlType::Date,
        "timestamp" | "timestamp without time zone" => SqlType::Timestamp,
        "timestamptz" | "timestamp with time zone" => SqlType::Timestamptz,
        "interval" => SqlType::Interval,
        "uuid" => SqlType::Uuid,
        "oid" => SqlType::Oid,
        "name" => SqlType::Name,
        "regclass" => SqlType::Regclass,
        "regtype" => SqlType::Regtype,
        "regproc" => SqlType::Regproc,
        "int2vector" => SqlType::Int2Array,
        "oidvector" => SqlType::OidArray,
        "unknown" => SqlType::Unknown,
        "void" => SqlType::Void,
        _ => return None,
    })
}
