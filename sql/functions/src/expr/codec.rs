//! Expressions as bytes, for what is evaluated away from its session: statements of one turn and deferred writes travel to every replica.
//!
//! A node is its tag byte and its fields, in evaluation order; numbers are varints, types their code and one more than their modifier. Functions are named by
//! their stable id (`tests/registry_numbers.txt` pins it). There is one form of each expression: what is decoded encodes to the same bytes. The version of
//! the library stands beside, once for all expressions of a transaction: who carries them writes [`crate::LIBRARY_VERSION`].

use super::{Expr, NotPortable, Quantifier, Test};
use crate::CastKind;
use crate::registry::FunctionId;
use alloc::boxed::Box;
use alloc::vec::Vec;
use types::codec::{DecodeError, Decoder, Encoder};
use types::limits::EXPRESSION_DEPTH_MAX;
use types::{ColumnType, SqlType, Value};

/// Elements for which a list makes room before it has read them: an element may take forty times its bytes.
const LIST_CAPACITY_MAX: usize = 16;

/// Appends an expression.
///
/// # Errors
/// What [`Expr::check_portable`] refuses; then nothing was appended.
pub fn encode_expr(expr: &Expr, encoder: &mut Encoder) -> Result<(), NotPortable> {
    expr.check_portable()?;
    encode_node(expr, encoder);
    Ok(())
}

/// Reads what [`encode_expr`] wrote.
///
/// # Errors
/// Damaged bytes, a function or a conversion that is not here, what is not portable, nesting beyond `EXPRESSION_DEPTH_MAX`.
pub fn decode_expr(decoder: &mut Decoder<'_>) -> Result<Expr, DecodeError> {
    let error = decoder.invalid("expression that cannot be evaluated here");
    let expr = decode_node(decoder, 0)?;
    expr.check_portable().map_err(|_| error)?;
    Ok(expr)
}

fn encode_type(column_type: ColumnType, encoder: &mut Encoder) {
    encoder.u8(column_type.sql_type.code());
    encoder.varint(u64::from((column_type.modifier as u32).wrapping_add(1)));
}

fn decode_type(decoder: &mut Decoder<'_>) -> Result<ColumnType, DecodeError> {
    let error = decoder.invalid("expression type");
    let sql_type = SqlType::from_code(decoder.u8()?).ok_or(error)?;
    let modifier = decoder.varint_u32("modifier")?.wrapping_sub(1) as i32;
    Ok(ColumnType { sql_type, modifier })
}

fn encode_list(parts: &[Expr], encoder: &mut Encoder) {
    encoder.varint(parts.len() as u64);
    parts.iter().for_each(|part| encode_node(part, encoder));
}

fn encode_pair(left: &Expr, right: &Expr, encoder: &mut Encoder) {
    encode_node(left, encoder);
    encode_node(right, encoder);
}

fn encode_node(expr: &Expr, encoder: &mut Encoder) {
    match expr {
        Expr::Literal { value, column_type } => {
            encoder.u8(1);
            encode_type(*column_type, encoder);
            encoder.value(value);
        }
        Expr::Column { index, column_type } => {
            encoder.u8(2);
            encode_type(*column_type, encoder);
            encoder.varint(u64::from(*index));
        }
        Expr::Parameter { index, column_type } => {
            encoder.u8(3);
            encode_type(*column_type, encoder);
            encoder.varint(u64::from(*index));
        }
        Expr::Call { function, arguments, column_type } => {
            encoder.u8(4);
            encode_type(*column_type, encoder);
            encoder.varint(u64::from(function.0));
            encode_list(arguments, encoder);
        }
        Expr::Cast { argument, to, kind } => {
            encoder.u8(5);
            encode_type(*to, encoder);
            encoder.u8(*kind as u8);
            encode_node(argument, encoder);
        }
        Expr::And(parts) => {
            encoder.u8(6);
            encode_list(parts, encoder);
        }
        Expr::Or(parts) => {
            encoder.u8(7);
            encode_list(parts, encoder);
        }
        Expr::Not(argument) => {
            encoder.u8(8);
            encode_node(argument, encoder);
        }
        Expr::Test { test, argument } => {
            encoder.u8(9);
            encoder.u8(*test as u8);
            encode_node(argument, encoder);
        }
        Expr::Distinct { equality, left, right, negated } => {
            encoder.u8(10);
            encoder.varint(u64::from(equality.0));
            encoder.bool(*negated);
            encode_pair(left, right, encoder);
        }
        Expr::Case { branches, otherwise, column_type } => {
            encoder.u8(11);
            encode_type(*column_type, encoder);
            encoder.varint(branches.len() as u64);
            branches.iter().for_each(|(condition, result)| encode_pair(condition, result, encoder));
            encoder.bool(otherwise.is_some());
            if let Some(otherwise) = otherwise {
                encode_node(otherwise, encoder);
            }
        }
        Expr::Coalesce { arguments, column_type } => {
            encoder.u8(12);
            encode_type(*column_type, encoder);
            encode_list(arguments, encoder);
        }
        Expr::NullIf { equality, left, right, column_type } => {
            encoder.u8(13);
            encode_type(*column_type, encoder);
            encoder.varint(u64::from(equality.0));
            encode_pair(left, right, encoder);
        }
        Expr::Extreme { greatest, arguments, column_type } => {
            encoder.u8(14);
            encode_type(*column_type, encoder);
            encoder.bool(*greatest);
            encode_list(arguments, encoder);
        }
        Expr::InList { equality, argument, list, negated } => {
            encoder.u8(15);
            encoder.varint(u64::from(equality.0));
            encoder.bool(*negated);
            encode_node(argument, encoder);
            encode_list(list, encoder);
        }
        Expr::ArrayLiteral { elements, column_type } => {
            encoder.u8(16);
            encode_type(*column_type, encoder);
            encode_list(elements, encoder);
        }
        Expr::Quantified { quantifier, operator, left, array } => {
            encoder.u8(17);
            encoder.bool(*quantifier == Quantifier::All);
            encoder.varint(u64::from(operator.0));
            encode_pair(left, array, encoder);
        }
        Expr::Outer { .. } | Expr::Subquery { .. } => {
            unreachable!("what is not portable was refused before")
        }
    }
}

fn decode_function(decoder: &mut Decoder<'_>) -> Result<FunctionId, DecodeError> {
    let error = decoder.invalid("function id");
    let function = FunctionId(u16::try_from(decoder.varint("function id")?).map_err(|_| error)?);
    if function.definition().is_some() { Ok(function) } else { Err(error) }
}

fn decode_list(decoder: &mut Decoder<'_>, depth: usize) -> Result<Vec<Expr>, DecodeError> {
    let count = decoder.var_count(2, "expression list")?;
    let mut parts = Vec::with_capacity(count.min(LIST_CAPACITY_MAX));
    for _ in 0..count {
        parts.push(decode_node(decoder, depth)?);
    }
    Ok(parts)
}

const TESTS: [Test; 8] = [
    Test::Null,
    Test::NotNull,
    Test::True,
    Test::NotTrue,
    Test::False,
    Test::NotFalse,
    Test::Unknown,
    Test::NotUnknown,
];

fn decode_node(decoder: &mut Decoder<'_>, depth: usize) -> Result<Expr, DecodeError> {
    let error = decoder.invalid("expression");
    if depth >= EXPRESSION_DEPTH_MAX {
        return Err(error);
    }
    let depth = depth + 1;
    Ok(match decoder.u8()? {
        1 => {
            let column_type = decode_type(decoder)?;
            let value = decoder.value()?;
            let is_array = matches!(value, Value::Array(_));
            if !value.is_null() && is_array != column_type.sql_type.element().is_some() {
                return Err(error);
            }
            Expr::Literal { value, column_type }
        }
        2 => {
            let column_type = decode_type(decoder)?;
            Expr::Column { index: decoder.varint_u32("index")?, column_type }
        }
        3 => {
            let column_type = decode_type(decoder)?;
            Expr::Parameter { index: decoder.varint_u32("index")?, column_type }
        }
        4 => {
            let column_type = decode_type(decoder)?;
            let function = decode_function(decoder)?;
            Expr::Call { function, arguments: decode_list(decoder, depth)?, column_type }
        }
        5 => {
            let to = decode_type(decoder)?;
            let kind = match decoder.u8()? {
                0 => CastKind::Implicit,
                1 => CastKind::Assignment,
                2 => CastKind::Explicit,
                _ => return Err(error),
            };
            Expr::Cast { argument: boxed(decoder, depth)?, to, kind }
        }
        6 => Expr::And(decode_list(decoder, depth)?),
        7 => Expr::Or(decode_list(decoder, depth)?),
        8 => Expr::Not(boxed(decoder, depth)?),
        9 => {
            let test = *TESTS.get(usize::from(decoder.u8()?)).ok_or(error)?;
            Expr::Test { test, argument: boxed(decoder, depth)? }
        }
        tag => return decode_compound(decoder, tag, depth, error),
    })
}

fn decode_compound(
    decoder: &mut Decoder<'_>,
    tag: u8,
    depth: usize,
    error: DecodeError,
) -> Result<Expr, DecodeError> {
    Ok(match tag {
        10 => {
            let equality = decode_function(decoder)?;
            let negated = decoder.bool("negated")?;
            let left = boxed(decoder, depth)?;
            Expr::Distinct { equality, left, right: boxed(decoder, depth)?, negated }
        }
        11 => {
            let column_type = decode_type(decoder)?;
            let count = decoder.var_count(4, "branches")?;
            let mut branches = Vec::with_capacity(count.min(LIST_CAPACITY_MAX));
            for _ in 0..count {
                let condition = decode_node(decoder, depth)?;
                branches.push((condition, decode_node(decoder, depth)?));
            }
            let has_otherwise = decoder.bool("otherwise")?;
            let otherwise = if has_otherwise { Some(boxed(decoder, depth)?) } else { None };
            Expr::Case { branches, otherwise, column_type }
        }
        12 => {
            let column_type = decode_type(decoder)?;
            Expr::Coalesce { arguments: decode_list(decoder, depth)?, column_type }
        }
        13 => {
            let column_type = decode_type(decoder)?;
            let equality = decode_function(decoder)?;
            let left = boxed(decoder, depth)?;
            Expr::NullIf { equality, left, right: boxed(decoder, depth)?, column_type }
        }
        14 => {
            let column_type = decode_type(decoder)?;
            let greatest = decoder.bool("greatest")?;
            Expr::Extreme { greatest, arguments: decode_list(decoder, depth)?, column_type }
        }
        15 => {
            let equality = decode_function(decoder)?;
            let negated = decoder.bool("negated")?;
            let argument = boxed(decoder, depth)?;
            Expr::InList { equality, argument, list: decode_list(decoder, depth)?, negated }
        }
        16 => {
            let column_type = decode_type(decoder)?;
            Expr::ArrayLiteral { elements: decode_list(decoder, depth)?, column_type }
        }
        17 => {
            let all = decoder.bool("quantifier")?;
            let quantifier = if all { Quantifier::All } else { Quantifier::Any };
            let operator = decode_function(decoder)?;
            let left = boxed(decoder, depth)?;
            Expr::Quantified { quantifier, operator, left, array: boxed(decoder, depth)? }
        }
        _ => return Err(error),
    })
}

fn boxed(decoder: &mut Decoder<'_>, depth: usize) -> Result<Box<Expr>, DecodeError> {
    Ok(Box::new(decode_node(decoder, depth)?))
}
