//! From an access path with its parameters to keys and ranges of keys.

use std::collections::BTreeSet;

use accord::TokenRange;
use functions::{EvalContext, Expr, evaluate};
use plan::point_plan::{Access, KeyRange};
use types::key::{KeyOrder, Nulls, append_key_column, prefix_end};
use types::schema::{KeyColumn, Partitioning, RowAddress};
use types::{SqlType, TableId, Token, Value};

use crate::error::StatementError;
use crate::row::TableRows;

/// Neighbouring keys of one storage table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Table or index.
    pub table: TableId,
    /// Tokens of the rows.
    pub tokens: TokenRange,
    /// First key inside.
    pub low: Vec<u8>,
    /// First key behind; nothing means to the end.
    pub high: Option<Vec<u8>>,
}

/// Rows that a statement names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// These, each once, in the order named.
    Points(Vec<RowAddress>),
    /// Those in a range of the table's keys.
    Range(Bounds),
    /// Those whose entries are in a range of an index (position in the schema's list).
    Index(usize, Bounds),
    /// Every row.
    Whole,
}

/// Evaluates an access path. NULL in a key matches nothing.
///
/// # Errors
/// What the key expressions raise.
pub fn resolve(
    table: &TableRows,
    access: &Access,
    parameters: &[Value],
    context: &EvalContext<'_>,
) -> Result<Targets, StatementError> {
    let value = |expr: &Expr| evaluate(expr, &[], parameters, context);
    match access {
        Access::Nothing => Ok(Targets::Points(Vec::new())),
        Access::Whole => Ok(Targets::Whole),
        Access::Points(keys) => {
            let mut addresses: Vec<RowAddress> = Vec::with_capacity(keys.len());
            for key in keys {
                let values = key.iter().map(value).collect::<Result<Vec<Value>, _>>()?;
                if values.iter().any(Value::is_null) {
                    continue;
                }
                let references: Vec<&Value> = values.iter().collect();
                let address = table.schema.address(table.slices, &references);
                if !addresses.iter().any(|known| known.key == address.key) {
                    addresses.push(address);
                }
            }
            Ok(Targets::Points(addresses))
        }
        Access::Among(array) => {
            let Value::Array(elements) = value(array)? else {
                return Ok(Targets::Points(Vec::new()));
            };
            if elements.len() > crate::READ_ROWS_MAX as usize {
                return Ok(Targets::Whole);
            }
            let key = &table.schema.columns[usize::from(table.schema.key[0].position)];
            let mut known: BTreeSet<Vec<u8>> = BTreeSet::new();
            let mut addresses = Vec::with_capacity(elements.len());
            for element in elements.iter() {
                let Some(element) = as_integer(element, key.column_type.sql_type) else { continue };
                let address = table.schema.address(table.slices, &[&element]);
                if known.insert(address.key.clone()) {
                    addresses.push(address);
                }
            }
            Ok(Targets::Points(addresses))
        }
        Access::KeyRange(range) => {
            let Some((values, (low, high))) =
                key_bounds(&table.schema.key, range, parameters, context)?
            else {
                return Ok(Targets::Points(Vec::new()));
            };
            let tokens = match table.schema.partitioning {
                Partitioning::Hash { columns } => {
                    let mut partition = Vec::new();
                    for (column, value) in
                        table.schema.key.iter().zip(&values).take(usize::from(columns))
                    {
                        append_key_column(value, column.order, &mut partition);
                    }
                    TokenRange::one(Token::of_bytes(&partition))
                }
                Partitioning::Ordered => TokenRange {
                    first: Token::of_ordered_key(&low),
                    last: high.as_deref().map_or(Token(u64::MAX), Token::of_ordered_key),
                },
                Partitioning::RowId => TokenRange::ALL,
            };
            Ok(Targets::Range(Bounds { table: table.schema.storage_id, tokens, low, high }))
        }
        Access::IndexRange { index, range } => {
            let schema = &table.schema.indexes[*index];
            let Some((_, (low, high))) = key_bounds(&schema.columns, range, parameters, context)?
            else {
                return Ok(Targets::Points(Vec::new()));
            };
            let tokens = TokenRange::ALL;
            Ok(Targets::Index(*index, Bounds { table: schema.index_id, tokens, low, high }))
        }
    }
}

/// An element of an array as a key column holds it; nothing for NULL and for what the column cannot hold.
fn as_integer(element: &Value, to: SqlType) -> Option<Value> {
    let number = match element {
        Value::Null => return None,
        Value::Int2(number) => i64::from(*number),
        Value::Int4(number) => i64::from(*number),
        Value::Int8(number) => *number,
        other => return Some(other.clone()),
    };
    Some(match to {
        SqlType::Int2 => Value::Int2(i16::try_from(number).ok()?),
        SqlType::Int4 => Value::Int4(i32::try_from(number).ok()?),
        _ => Value::Int8(number),
    })
}

type KeyBounds = (Vec<Value>, (Vec<u8>, Option<Vec<u8>>));

/// The equal values and the encoded bounds of a range; nothing if it is empty.
fn key_bounds(
    columns: &[KeyColumn],
    range: &KeyRange,
    parameters: &[Value],
    context: &EvalContext<'_>,
) -> Result<Option<KeyBounds>, StatementError> {
    let value = |expr: &Expr| evaluate(expr, &[], parameters, context);
    let mut prefix = Vec::new();
    let mut equal = Vec::with_capacity(range.equal.len());
    for (column, expr) in columns.iter().zip(&range.equal) {
        let found = value(expr)?;
        if found.is_null() {
            return Ok(None);
        }
        append_key_column(&found, column.order, &mut prefix);
        equal.push(found);
    }
    let mut low = prefix.clone();
    let mut high = prefix_end(&prefix);
    let Some(next) =
        columns.get(range.equal.len()).filter(|_| range.lower.is_some() || range.upper.is_some())
    else {
        return Ok(Some((equal, (low, high))));
    };
    // A condition on the column leaves NULLs out, whichever end they are at.
    match next.order.nulls {
        Nulls::Never => {}
        Nulls::First => low.push(1),
        Nulls::Last => high = Some([prefix.as_slice(), &[2]].concat()),
    }
    for (bound, is_lower) in [(&range.lower, true), (&range.upper, false)] {
        let Some(bound) = bound else { continue };
        let found = value(&bound.value)?;
        if found.is_null() {
            return Ok(None);
        }
        let mut at = prefix.clone();
        append_key_column(&found, next.order, &mut at);
        match bound_place(next.order, is_lower, bound.inclusive) {
            Place::LowFrom => low = at,
            Place::LowAfter => match prefix_end(&at) {
                Some(end) => low = end,
                None => return Ok(None),
            },
            Place::HighBefore => high = Some(at),
            Place::HighThrough => high = prefix_end(&at),
        }
    }
    if high.as_ref().is_some_and(|high| *high <= low) {
        return Ok(None);
    }
    Ok(Some((equal, (low, high))))
}

/// What a bound on a column does to the range of encoded keys.
enum Place {
    /// The range begins with keys that start so.
    LowFrom,
    /// It begins after all of them.
    LowAfter,
    /// It ends before them.
    HighBefore,
    /// It ends after all of them.
    HighThrough,
}

fn bound_place(order: KeyOrder, is_lower: bool, inclusive: bool) -> Place {
    match (is_lower != order.descending, inclusive) {
        (true, true) => Place::LowFrom,
        (true, false) => Place::LowAfter,
        (false, true) => Place::HighThrough,
        (false, false) => Place::HighBefore,
    }
}
