//! One-dimensional arrays. Elements compare as their type does; arrays of the catalog are short, so everything is linear.

use super::strings::output;
use crate::{EvalContext, EvalError};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use types::{SqlState, Value};

fn same(a: &Value, b: &Value) -> bool {
    a.sql_cmp(b).is_eq()
}

fn dimension(elements: &[Value], wanted: i32, answer: usize) -> Option<i32> {
    (wanted == 1 && !elements.is_empty()).then_some(answer as i32)
}

functions! {
    fn array_length(a: &[Value], wanted: i32) -> Option<i32> { Ok(dimension(a, wanted, a.len())) }
    fn array_upper(a: &[Value], wanted: i32) -> Option<i32> { Ok(dimension(a, wanted, a.len())) }
    fn array_lower(a: &[Value], wanted: i32) -> Option<i32> { Ok(dimension(a, wanted, 1)) }
    fn array_ndims(a: &[Value]) -> Option<i32> { Ok((!a.is_empty()).then_some(1)) }
    fn array_dims(a: &[Value]) -> Option<String> {
        Ok((!a.is_empty()).then(|| format!("[1:{}]", a.len())))
    }
    fn array_cardinality(a: &[Value]) -> i32 { Ok(a.len() as i32) }
    fn array_append(a: Option<&[Value]>, element: &Value) -> Vec<Value> {
        let mut longer = a.unwrap_or(&[]).to_vec();
        longer.push(element.clone());
        Ok(longer)
    }
    fn array_prepend(element: &Value, a: Option<&[Value]>) -> Vec<Value> {
        let mut longer = Vec::from([element.clone()]);
        longer.extend_from_slice(a.unwrap_or(&[]));
        Ok(longer)
    }
    fn array_cat(a: Option<&[Value]>, b: Option<&[Value]>) -> Option<Vec<Value>> {
        Ok(match (a, b) {
            (None, None) => None,
            (a, b) => Some([a.unwrap_or(&[]), b.unwrap_or(&[])].concat()),
        })
    }
    fn array_position(a: Option<&[Value]>, wanted: &Value) -> Option<i32> {
        Ok(a.and_then(|a| position(a, wanted, 0)))
    }
    fn array_position_start(a: Option<&[Value]>, wanted: &Value, start: Option<i32>) -> Option<i32> {
        let Some(a) = a else { return Ok(None) };
        let start = start.ok_or_else(|| EvalError::new(
            SqlState::NULL_VALUE_NOT_ALLOWED,
            "initial position must not be null",
        ))?;
        Ok(position(a, wanted, (i64::from(start) - 1).max(0) as usize))
    }
    fn array_positions(a: Option<&[Value]>, wanted: &Value) -> Option<Vec<Value>> {
        Ok(a.map(|a| {
            a.iter()
                .enumerate()
                .filter(|(_, element)| same(element, wanted))
                .map(|(at, _)| Value::Int4(at as i32 + 1))
                .collect()
        }))
    }
    fn array_remove(a: Option<&[Value]>, unwanted: &Value) -> Option<Vec<Value>> {
        Ok(a.map(|a| a.iter().filter(|element| !same(element, unwanted)).cloned().collect()))
    }
    fn array_replace(a: Option<&[Value]>, from: &Value, to: &Value) -> Option<Vec<Value>> {
        Ok(a.map(|a| {
            a.iter().map(|element| if same(element, from) { to } else { element }).cloned().collect()
        }))
    }
    fn arraycontains(a: &[Value], b: &[Value]) -> bool { Ok(contains(a, b)) }
    fn arraycontained(a: &[Value], b: &[Value]) -> bool { Ok(contains(b, a)) }
    fn arrayoverlap(a: &[Value], b: &[Value]) -> bool {
        Ok(a.iter().any(|x| !x.is_null() && b.iter().any(|y| same(x, y))))
    }
    fn trim_array(a: &[Value], count: i32) -> Vec<Value> {
        let Some(kept) = usize::try_from(count).ok().and_then(|count| a.len().checked_sub(count)) else {
            return Err(EvalError::new(
                SqlState::ARRAY_SUBSCRIPT_ERROR,
                format!("number of elements to trim must be between 0 and {}", a.len()),
            ));
        };
        Ok(a[..kept].to_vec())
    }
    fn array_to_text[context](a: &[Value], separator: &str) -> String {
        joined(a, separator, None, context)
    }
    fn array_to_text_null[context](a: Option<&[Value]>, separator: Option<&str>, null: Option<&str>) -> Option<String> {
        match (a, separator) {
            (Some(a), Some(separator)) => joined(a, separator, null, context).map(Some),
            _ => Ok(None),
        }
    }
    fn text_to_array(text: Option<&str>, separator: Option<&str>) -> Option<Vec<Value>> {
        Ok(text.map(|text| split(text, separator, None)))
    }
    fn text_to_array_null(text: Option<&str>, separator: Option<&str>, null: Option<&str>) -> Option<Vec<Value>> {
        Ok(text.map(|text| split(text, separator, null)))
    }
    // own 16002 array_element(AnyArray, Int4) AnyElement immutable
    fn array_element(a: &[Value], index: i32) -> Value {
        let at = index.checked_sub(1).and_then(|at| usize::try_from(at).ok());
        Ok(at.and_then(|at| a.get(at)).cloned().unwrap_or(Value::Null))
    }
    // own 16003 array_slice(AnyArray, Int4, Int4) AnyArray immutable
    fn array_slice(a: &[Value], low: i32, high: i32) -> Vec<Value> {
        let from = (i64::from(low) - 1).clamp(0, a.len() as i64) as usize;
        let to = i64::from(high).clamp(0, a.len() as i64) as usize;
        Ok(a.get(from..to).unwrap_or(&[]).to_vec())
    }
    // own 16004 vector_element(Int2Array, Int4) Int2 immutable
    fn int2vector_element(a: &[Value], index: i32) -> Value {
        // int2vector counts from zero.
        Ok(usize::try_from(index).ok().and_then(|at| a.get(at)).cloned().unwrap_or(Value::Null))
    }
}

fn position(elements: &[Value], wanted: &Value, start: usize) -> Option<i32> {
    let found = elements.iter().skip(start).position(|element| same(element, wanted))?;
    Some((start + found) as i32 + 1)
}

fn contains(a: &[Value], b: &[Value]) -> bool {
    b.iter().all(|y| !y.is_null() && a.iter().any(|x| same(x, y)))
}

fn joined(
    elements: &[Value],
    separator: &str,
    null: Option<&str>,
    context: &EvalContext<'_>,
) -> Result<String, EvalError> {
    let mut answer = String::new();
    let mut first = true;
    for element in elements {
        let shown = match (element, null) {
            (Value::Null, None) => continue,
            (Value::Null, Some(null)) => null.into(),
            (element, _) => output(element, context)?,
        };
        if !first {
            answer.push_str(separator);
        }
        first = false;
        answer.push_str(&shown);
        super::text::check_length(answer.len())?;
    }
    Ok(answer)
}

fn split(text: &str, separator: Option<&str>, null: Option<&str>) -> Vec<Value> {
    let element = |field: &str| {
        if null == Some(field) { Value::Null } else { Value::text(field) }
    };
    if text.is_empty() {
        return Vec::new();
    }
    match separator {
        None => text.chars().map(|character| element(character.encode_utf8(&mut [0; 4]))).collect(),
        Some("") => Vec::from([element(text)]),
        Some(separator) => text.split(separator).map(element).collect(),
    }
}
