//! Names of types to types, with their modifiers.

use super::Binder;
use crate::error::{PlanError, Result};
use crate::syntax::{ExprKind, TypeName};
use alloc::format;
use alloc::vec::Vec;
use types::{ColumnType, SqlState, SqlType};

/// Types that PostgreSQL has and we have not.
const NOT_BUILT: &[&str] = &[
    "aclitem",
    "bit",
    "box",
    "cidr",
    "circle",
    "datemultirange",
    "daterange",
    "inet",
    "int4range",
    "int8range",
    "json",
    "jsonb",
    "jsonpath",
    "line",
    "lseg",
    "macaddr",
    "macaddr8",
    "money",
    "numrange",
    "path",
    "pg_lsn",
    "point",
    "polygon",
    "time",
    "timetz",
    "tsquery",
    "tsrange",
    "tstzrange",
    "tsvector",
    "txid_snapshot",
    "varbit",
    "xml",
    "record",
    "cstring",
    "xid",
    "cid",
    "tid",
];

/// The type of a plain name.
pub(super) fn type_by_name(name: &str) -> Option<SqlType> {
    Some(match name {
        "bool" => SqlType::Bool,
        "int2" => SqlType::Int2,
        "int4" => SqlType::Int4,
        "int8" => SqlType::Int8,
        "float4" => SqlType::Float4,
        "float8" => SqlType::Float8,
        "numeric" => SqlType::Numeric,
        "text" => SqlType::Text,
        "varchar" => SqlType::Varchar,
        "bpchar" => SqlType::Bpchar,
        "bytea" => SqlType::Bytea,
        "date" => SqlType::Date,
        "timestamp" => SqlType::Timestamp,
        "timestamptz" => SqlType::Timestamptz,
        "interval" => SqlType::Interval,
        "uuid" => SqlType::Uuid,
        "oid" => SqlType::Oid,
        "name" => SqlType::Name,
        "char" => SqlType::Char,
        // A schema is named as a relation is: no id is both.
        "regclass" | "regnamespace" => SqlType::Regclass,
        "regtype" => SqlType::Regtype,
        "regproc" => SqlType::Regproc,
        "int2vector" | "_int2" => SqlType::Int2Array,
        "oidvector" | "_oid" => SqlType::OidArray,
        "_text" => SqlType::TextArray,
        "_int4" => SqlType::Int4Array,
        "_int8" => SqlType::Int8Array,
        "unknown" => SqlType::Unknown,
        "void" => SqlType::Void,
        _ => return None,
    })
}

/// The array type of an element type, if there is one here.
pub(super) fn array_of(element: SqlType) -> Option<SqlType> {
    match element {
        SqlType::Text | SqlType::Varchar | SqlType::Name => Some(SqlType::TextArray),
        SqlType::Int2 => Some(SqlType::Int2Array),
        SqlType::Int4 => Some(SqlType::Int4Array),
        SqlType::Int8 => Some(SqlType::Int8Array),
        SqlType::Oid | SqlType::Regclass | SqlType::Regtype | SqlType::Regproc => {
            Some(SqlType::OidArray)
        }
        _ => None,
    }
}

impl Binder<'_> {
    /// What a type name means.
    pub(super) fn type_of(&self, type_name: &TypeName) -> Result<ColumnType> {
        let position = type_name.position as usize;
        let name = match type_name.name.parts.as_slice() {
            [name] => &*name.name,
            [schema, name] if &*schema.name == "pg_catalog" => &*name.name,
            [schema, name] if self.catalog.schema_oid(&schema.name).is_some() => {
                return Err(undefined_type(&format!("{}.{}", schema.name, name.name), position));
            }
            [schema, ..] => {
                return Err(PlanError::at(
                    SqlState::INVALID_SCHEMA_NAME,
                    position,
                    format!("schema \"{}\" does not exist", schema.name),
                ));
            }
            [] => return Err(undefined_type("", position)),
        };
        if NOT_BUILT.contains(&name) {
            return Err(PlanError::unsupported(format!("the type {name}")).or_at(position));
        }
        let Some(sql_type) = type_by_name(name) else {
            return Err(undefined_type(name, position));
        };
        if type_name.array {
            let array = array_of(sql_type).ok_or_else(|| {
                PlanError::unsupported(format!("the type {}[]", sql_type.name())).or_at(position)
            })?;
            return Ok(ColumnType::plain(array));
        }
        if let Some(fields) = &type_name.interval_fields {
            let any = ["day to second", "second"];
            if !any.contains(&&**fields) {
                let feature = format!("interval {fields}");
                return Err(PlanError::unsupported(feature).or_at(position));
            }
        }
        let modifier = self.modifier(sql_type, type_name)?;
        Ok(ColumnType { sql_type, modifier })
    }

    fn modifier(&self, sql_type: SqlType, type_name: &TypeName) -> Result<i32> {
        if type_name.modifiers.is_empty() {
            return Ok(-1);
        }
        let position = type_name.position as usize;
        let mut numbers: Vec<i64> = Vec::new();
        for modifier in &type_name.modifiers {
            let number = match &modifier.kind {
                ExprKind::Number(digits) => digits.parse::<i32>().ok().map(i64::from),
                _ => None,
            };
            let Some(number) = number else {
                let place = modifier.position as usize;
                let message = "type modifiers must be simple constants or identifiers";
                return Err(PlanError::syntax(place, message));
            };
            numbers.push(number);
        }
        let invalid = |message: alloc::string::String| {
            PlanError::at(SqlState::INVALID_PARAMETER_VALUE, position, message)
        };
        match (sql_type, numbers.as_slice()) {
            (SqlType::Varchar | SqlType::Bpchar, [length]) => {
                let name = if sql_type == SqlType::Varchar { "varchar" } else { "char" };
                match *length {
                    ..=0 => Err(invalid(format!("length for type {name} must be at least 1"))),
                    10_485_761.. => {
                        Err(invalid(format!("length for type {name} cannot exceed 10485760")))
                    }
                    length => Ok(length as i32 + 4),
                }
            }
            (SqlType::Numeric, [precision, rest @ ..]) if rest.len() <= 1 => {
                let scale = rest.first().copied().unwrap_or(0);
                if !(1..=1000).contains(precision) {
                    return Err(invalid(format!(
                        "NUMERIC precision {precision} must be between 1 and 1000"
                    )));
                }
                if !(-1000..=1000).contains(&scale) {
                    return Err(invalid(format!(
                        "NUMERIC scale {scale} must be between -1000 and 1000"
                    )));
                }
                Ok(ColumnType::numeric(*precision as u16, scale as i16).modifier)
            }
            (SqlType::Numeric, _) => Err(invalid("invalid NUMERIC type modifier".into())),
            (SqlType::Timestamp | SqlType::Timestamptz | SqlType::Interval, [precision]) => {
                match *precision {
                    ..=-1 => Err(invalid(format!(
                        "{}({precision}) precision must not be negative",
                        if sql_type == SqlType::Interval { "INTERVAL" } else { "TIMESTAMP" }
                    ))),
                    // PostgreSQL warns and takes the most.
                    precision => Ok(precision.min(6) as i32),
                }
            }
            (SqlType::Varchar | SqlType::Bpchar | SqlType::Timestamp | SqlType::Timestamptz, _) => {
                Err(invalid("invalid type modifier".into()))
            }
            _ => Err(PlanError::syntax(
                position,
                format!(
                    "type modifier is not allowed for type \"{}\"",
                    type_name.name.parts.last().map_or("", |part| &*part.name)
                ),
            )),
        }
    }
}

pub(super) fn undefined_type(name: &str, position: usize) -> alloc::boxed::Box<PlanError> {
    PlanError::at(SqlState::UNDEFINED_OBJECT, position, format!("type \"{name}\" does not exist"))
}
