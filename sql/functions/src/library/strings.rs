//! Functions of any type that make text: `||` with other types, `concat`, `format`, quoting, and sizes.

use super::text::check_length;
use crate::cast::value_text;
use crate::{EvalContext, EvalError};
use alloc::format;
use alloc::string::String;
use types::{Numeric, SqlState, SqlType, Value};

/// A value as its output function prints it. The variant says enough: names of catalog rows have been cast to text by the resolution.
pub(crate) fn output(value: &Value, context: &EvalContext<'_>) -> Result<String, EvalError> {
    let sql_type = match value {
        Value::Oid(_) => SqlType::Oid,
        Value::Array(elements) => match elements.first() {
            Some(Value::Int2(_)) => SqlType::Int2Array,
            Some(Value::Int4(_)) => SqlType::Int4Array,
            Some(Value::Int8(_)) => SqlType::Int8Array,
            Some(Value::Oid(_)) => SqlType::OidArray,
            _ => SqlType::TextArray,
        },
        _ => SqlType::Text,
    };
    value_text(value, sql_type, context)
}

/// A value cast to text, which spells booleans out.
fn as_text(value: &Value, context: &EvalContext<'_>) -> Result<String, EvalError> {
    match value {
        Value::Bool(true) => Ok("true".into()),
        Value::Bool(false) => Ok("false".into()),
        _ => output(value, context),
    }
}

/// An identifier in double quotes if it needs them.
pub(crate) fn quoted_identifier(name: &str) -> String {
    let plain = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && KEYWORDS.binary_search(&name).is_err();
    if plain { name.into() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// A string literal.
pub(crate) fn quoted_literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if text.contains('\\') {
        format!("E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

/// Keywords that are not unreserved: as names they need quotes. Source: `pg_get_keywords()`.
#[rustfmt::skip]
static KEYWORDS: [&str; 151] = [
    "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric", "authorization", "between", "bigint", "binary", "bit", "boolean",
    "both", "case", "cast", "char", "character", "check", "coalesce", "collate", "collation", "column", "concurrently", "constraint", "create", "cross",
    "current_catalog", "current_date", "current_role", "current_schema", "current_time", "current_timestamp", "current_user", "dec", "decimal",
    "default", "deferrable", "desc", "distinct", "do", "else", "end", "except", "exists", "extract", "false", "fetch", "float", "for", "foreign",
    "freeze", "from", "full", "grant", "greatest", "group", "grouping", "having", "ilike", "in", "initially", "inner", "inout", "int", "integer",
    "intersect", "interval", "into", "is", "isnull", "join", "lateral", "leading", "least", "left", "like", "limit", "localtime", "localtimestamp",
    "national", "natural", "nchar", "none", "normalize", "not", "notnull", "null", "nullif", "numeric", "offset", "on", "only", "or", "order", "out",
    "outer", "overlaps", "overlay", "placing", "position", "precision", "primary", "real", "references", "returning", "right", "row", "select",
    "session_user", "setof", "similar", "smallint", "some", "substring", "symmetric", "table", "tablesample", "then", "time", "timestamp", "to",
    "trailing", "treat", "trim", "true", "union", "unique", "user", "using", "values", "varchar", "variadic", "verbose", "when", "where", "window",
    "with", "xmlattributes", "xmlconcat", "xmlelement", "xmlexists", "xmlforest", "xmlnamespaces", "xmlparse", "xmlpi", "xmlroot", "xmlserialize", "xmltable",
];

functions! {
    // pg_proc 2003
    fn textanycat[context](a: &str, b: &Value) -> String {
        let tail = as_text(b, context)?;
        check_length(a.len() + tail.len())?;
        Ok([a, &tail].concat())
    }
    // pg_proc 2004
    fn anytextcat[context](a: &Value, b: &str) -> String {
        let mut head = as_text(a, context)?;
        check_length(head.len() + b.len())?;
        head.push_str(b);
        Ok(head)
    }
    fn quote_ident(name: &str) -> String { Ok(quoted_identifier(name)) }
    fn quote_literal(text: &str) -> String { Ok(quoted_literal(text)) }
    // pg_proc 1285
    fn quote_literal_any[context](value: &Value) -> String {
        Ok(quoted_literal(&as_text(value, context)?))
    }
    fn quote_nullable(text: Option<&str>) -> String {
        Ok(text.map_or_else(|| "NULL".into(), quoted_literal))
    }
    // pg_proc 1290
    fn quote_nullable_any[context](value: &Value) -> String {
        if value.is_null() {
            return Ok("NULL".into());
        }
        Ok(quoted_literal(&as_text(value, context)?))
    }
    fn pg_size_pretty(bytes: i64) -> String { Ok(pretty(i128::from(bytes))) }
    fn pg_size_pretty_numeric(bytes: &Numeric) -> String { pretty_numeric(bytes) }
}

const SIZE_UNITS: [&str; 6] = ["bytes", "kB", "MB", "GB", "TB", "PB"];
/// From this size on the next unit is used.
const SIZE_UNIT_MAX: i128 = 10 * 1024;

/// Bytes shown in the largest unit that leaves less than ten thousand and some, halves rounded away from zero.
fn pretty(bytes: i128) -> String {
    if bytes.abs() < SIZE_UNIT_MAX {
        return format!("{bytes} bytes");
    }
    // One bit more than shown is kept until the end, for the rounding.
    let mut halves = bytes / 512;
    let mut unit = 1;
    while halves.abs() >= SIZE_UNIT_MAX * 2 - 1 && unit + 1 < SIZE_UNITS.len() {
        halves /= 1024;
        unit += 1;
    }
    let rounded = (halves + halves.signum()) / 2;
    format!("{rounded} {}", SIZE_UNITS[unit])
}

fn pretty_numeric(bytes: &Numeric) -> Result<String, EvalError> {
    let limit = Numeric::from_i128(SIZE_UNIT_MAX);
    if bytes.clone().abs() < limit {
        return Ok(format!("{} bytes", super::numeric::text(bytes)));
    }
    if !bytes.is_finite() {
        return Ok(format!("{} PB", super::numeric::text(bytes)));
    }
    match bytes.truncated(0).to_i128() {
        Some(whole) => Ok(pretty(whole)),
        None => {
            let shown = bytes.div(&Numeric::from_i128(1 << 50))?.rounded(0);
            Ok(format!("{} PB", super::numeric::text(&shown)))
        }
    }
}

/// `concat(VARIADIC "any")`: NULLs are nothing.
pub(crate) fn text_concat(
    context: &EvalContext<'_>,
    arguments: &[&Value],
) -> Result<Value, EvalError> {
    join(context, arguments, "")
}

/// `concat_ws(text, VARIADIC "any")`: NULLs are passed over, a NULL separator makes NULL.
pub(crate) fn text_concat_ws(
    context: &EvalContext<'_>,
    arguments: &[&Value],
) -> Result<Value, EvalError> {
    match arguments {
        [Value::Text(separator), rest @ ..] => join(context, rest, separator),
        [Value::Null, ..] => Ok(Value::Null),
        _ => Err(super::convert::wrong_count("concat_ws", arguments.len())),
    }
}

fn join(
    context: &EvalContext<'_>,
    arguments: &[&Value],
    separator: &str,
) -> Result<Value, EvalError> {
    let mut answer = String::new();
    let mut first = true;
    for argument in arguments.iter().filter(|argument| !argument.is_null()) {
        if !first {
            answer.push_str(separator);
        }
        first = false;
        answer.push_str(&output(argument, context)?);
        check_length(answer.len())?;
    }
    Ok(Value::text(answer))
}

/// `num_nulls(VARIADIC "any")`
pub(crate) fn pg_num_nulls(
    _context: &EvalContext<'_>,
    arguments: &[&Value],
) -> Result<Value, EvalError> {
    Ok(Value::Int4(arguments.iter().filter(|argument| argument.is_null()).count() as i32))
}

/// `num_nonnulls(VARIADIC "any")`
pub(crate) fn pg_num_nonnulls(
    _context: &EvalContext<'_>,
    arguments: &[&Value],
) -> Result<Value, EvalError> {
    Ok(Value::Int4(arguments.iter().filter(|argument| !argument.is_null()).count() as i32))
}

/// `format(text)`
pub(crate) fn text_format_nv(
    context: &EvalContext<'_>,
    arguments: &[&Value],
) -> Result<Value, EvalError> {
    text_format(context, arguments)
}

/// `format(text, VARIADIC "any")`: `%[position$][flags][width](s|I|L|%)`.
pub(crate) fn text_format(
    context: &EvalContext<'_>,
    arguments: &[&Value],
) -> Result<Value, EvalError> {
    let (template, arguments) = match arguments {
        [Value::Text(template), rest @ ..] => (template, rest),
        [Value::Null, ..] => return Ok(Value::Null),
        _ => return Err(super::convert::wrong_count("format", arguments.len())),
    };
    let mut answer = String::new();
    let mut rest = template.chars().peekable();
    let mut next_argument = 0;
    while let Some(character) = rest.next() {
        if character != '%' {
            answer.push(character);
            continue;
        }
        if rest.peek() == Some(&'%') {
            rest.next();
            answer.push('%');
            continue;
        }
        let specifier = read_specifier(&mut rest)?;
        let mut width = match specifier.width {
            Width::None => 0,
            Width::Fixed(width) => width,
            Width::Argument(position) => {
                let at = take(position, &mut next_argument, arguments.len())?;
                match arguments[at] {
                    Value::Null => 0,
                    Value::Int4(width) => i64::from(*width),
                    Value::Int2(width) => i64::from(*width),
                    other => output(other, context)?
                        .parse::<i64>()
                        .map_err(|_| EvalError::out_of_range("integer"))?,
                }
            }
        };
        let at = take(specifier.position, &mut next_argument, arguments.len())?;
        let argument = arguments[at];
        let shown = match (specifier.kind, argument) {
            ('s', Value::Null) => String::new(),
            ('L', Value::Null) => "NULL".into(),
            ('I', Value::Null) => {
                return Err(EvalError::new(
                    SqlState::NULL_VALUE_NOT_ALLOWED,
                    "null values cannot be formatted as an SQL identifier",
                ));
            }
            ('I', value) => quoted_identifier(&output(value, context)?),
            ('L', value) => quoted_literal(&output(value, context)?),
            (_, value) => output(value, context)?,
        };
        let left = specifier.left || width < 0;
        width = width.saturating_abs();
        check_length(width as usize)?;
        let blanks = (width as usize).saturating_sub(shown.chars().count());
        if !left {
            answer.extend(core::iter::repeat_n(' ', blanks));
        }
        answer.push_str(&shown);
        if left {
            answer.extend(core::iter::repeat_n(' ', blanks));
        }
        check_length(answer.len())?;
    }
    Ok(Value::text(answer))
}

enum Width {
    None,
    Fixed(i64),
    Argument(Option<usize>),
}

struct Specifier {
    position: Option<usize>,
    left: bool,
    width: Width,
    kind: char,
}

type Letters<'a> = core::iter::Peekable<core::str::Chars<'a>>;

#[cold]
fn format_error(message: impl Into<String>) -> EvalError {
    EvalError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

#[cold]
fn unterminated() -> EvalError {
    format_error("unterminated format() type specifier").with_hint("For a single \"%\" use \"%%\".")
}

fn number(rest: &mut Letters<'_>) -> Result<Option<i64>, EvalError> {
    let mut found = None;
    while let Some(digit) = rest.peek().and_then(|character| character.to_digit(10)) {
        rest.next();
        let sum = found.unwrap_or(0i64) * 10 + i64::from(digit);
        if sum > i64::from(i32::MAX) {
            return Err(EvalError::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                "number is out of range",
            ));
        }
        found = Some(sum);
    }
    Ok(found)
}

fn position(number: i64) -> Result<usize, EvalError> {
    if number == 0 {
        return Err(format_error("format specifies argument 0, but arguments are numbered from 1"));
    }
    Ok(number as usize - 1)
}

fn read_specifier(rest: &mut Letters<'_>) -> Result<Specifier, EvalError> {
    let mut specifier = Specifier { position: None, left: false, width: Width::None, kind: 's' };
    let first = number(rest)?;
    let mut width_read = false;
    if let Some(first) = first {
        if rest.next_if_eq(&'$').is_some() {
            specifier.position = Some(position(first)?);
        } else {
            specifier.width = Width::Fixed(first);
            width_read = true;
        }
    }
    if !width_read {
        while rest.next_if_eq(&'-').is_some() {
            specifier.left = true;
        }
        if rest.next_if_eq(&'*').is_some() {
            let at = number(rest)?;
            if let Some(at) = at {
                if rest.next_if_eq(&'$').is_none() {
                    return Err(format_error("width argument position must be ended by \"$\""));
                }
                specifier.width = Width::Argument(Some(position(at)?));
            } else {
                specifier.width = Width::Argument(None);
            }
        } else if let Some(width) = number(rest)? {
            specifier.width = Width::Fixed(width);
        }
    }
    match rest.next() {
        None => Err(unterminated()),
        Some(kind @ ('s' | 'I' | 'L')) => Ok(Specifier { kind, ..specifier }),
        Some(other) => {
            Err(format_error(format!("unrecognized format() type specifier \"{other}\""))
                .with_hint("For a single \"%\" use \"%%\"."))
        }
    }
}

fn take(position: Option<usize>, next: &mut usize, count: usize) -> Result<usize, EvalError> {
    let at = position.unwrap_or(*next);
    *next = at + 1;
    if at < count { Ok(at) } else { Err(format_error("too few arguments for format()")) }
}
