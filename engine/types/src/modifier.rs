//! Applying a type's modifier to a value of the type: `varchar(n)`, `char(n)`, `numeric(p, s)`, `timestamp(p)`, `interval(p)`.

use crate::datetime::{round_interval, round_timestamp};
use crate::{ColumnType, SqlState, SqlType, Value, ValueError};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;

/// What happens to a string that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// 22001 unless only blanks are lost: assignment and input.
    Refuse,
    /// Cut: explicit casts.
    Truncate,
}

/// The value as a column of the type would hold it. NULL stays NULL; a type without modifier changes nothing.
///
/// # Errors
/// 22001 for strings, 22003 for numbers.
pub fn apply_modifier(
    value: Value,
    column_type: ColumnType,
    overflow: Overflow,
) -> Result<Value, ValueError> {
    if column_type.modifier < 0 {
        return Ok(value);
    }
    match (value, column_type.sql_type) {
        (Value::Text(text), SqlType::Varchar | SqlType::Bpchar) => {
            apply_length(text, column_type, overflow)
        }
        (Value::Numeric(number), SqlType::Numeric) => {
            let Some((precision, scale)) = column_type.numeric_precision_scale() else {
                return Ok(Value::Numeric(number));
            };
            Ok(Value::Numeric(Box::new(number.with_precision(precision, scale)?)))
        }
        (Value::Timestamp(micros), _) => {
            Ok(Value::Timestamp(round_timestamp(micros, column_type.modifier)?))
        }
        (Value::Timestamptz(micros), _) => {
            Ok(Value::Timestamptz(round_timestamp(micros, column_type.modifier)?))
        }
        (Value::Interval(interval), _) => {
            Ok(Value::Interval(round_interval(interval, column_type.modifier)?))
        }
        (value, _) => Ok(value),
    }
}

fn apply_length(
    text: Box<str>,
    column_type: ColumnType,
    overflow: Overflow,
) -> Result<Value, ValueError> {
    let Some(limit) = column_type.character_limit() else { return Ok(Value::Text(text)) };
    let padded = column_type.sql_type == SqlType::Bpchar;
    // Bytes bound characters from above, so most values need no count.
    if !padded && text.len() <= limit {
        return Ok(Value::Text(text));
    }
    let cut = text.char_indices().nth(limit).map(|(position, _)| position);
    match cut {
        Some(position) => {
            let blank = text[position..].bytes().all(|byte| byte == b' ');
            if overflow == Overflow::Refuse && !blank {
                return Err(ValueError::new(
                    SqlState::STRING_DATA_RIGHT_TRUNCATION,
                    format!("value too long for type {column_type}"),
                ));
            }
            Ok(Value::Text(text[..position].into()))
        }
        None if padded => {
            let missing = limit - text.chars().count();
            if missing == 0 {
                return Ok(Value::Text(text));
            }
            let mut blanks = String::from(text);
            blanks.extend(core::iter::repeat_n(' ', missing));
            Ok(Value::Text(blanks.into_boxed_str()))
        }
        None => Ok(Value::Text(text)),
    }
}
