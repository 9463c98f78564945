//! Which function or operator a name and operand types mean. Source: PostgreSQL 15 documentation, chapter 10 (type conversion), sections 10.2, 10.3, 10.5.

use crate::EvalError;
use crate::cast::{CastKind, CastMethod, find_cast};
use crate::registry::{
    ArgumentType, FunctionDefinition, FunctionId, functions_named, operators_named,
};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use types::{SqlState, SqlType};

/// What a call means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// The function.
    pub function: FunctionId,
    /// The type to which each argument is to be cast implicitly; variadic arguments spread.
    pub arguments: Vec<SqlType>,
    /// The type of the answer.
    pub returns: SqlType,
}

/// One function or operator under consideration.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) function: u16,
    pub(crate) arguments: Vec<ArgumentType>,
    pub(crate) returns: ArgumentType,
}

/// Why no candidate was chosen.
pub(crate) enum Failure {
    None,
    Ambiguous,
}

/// `pg_type.typcategory`.
pub(crate) const fn category(sql_type: SqlType) -> u8 {
    match sql_type {
        SqlType::Bool => b'B',
        SqlType::Int2
        | SqlType::Int4
        | SqlType::Int8
        | SqlType::Float4
        | SqlType::Float8
        | SqlType::Numeric
        | SqlType::Oid
        | SqlType::Regclass
        | SqlType::Regtype
        | SqlType::Regproc => b'N',
        SqlType::Text | SqlType::Varchar | SqlType::Bpchar | SqlType::Name => b'S',
        SqlType::Date | SqlType::Timestamp | SqlType::Timestamptz => b'D',
        SqlType::Interval => b'T',
        SqlType::Bytea | SqlType::Uuid => b'U',
        SqlType::Char => b'Z',
        SqlType::TextArray
        | SqlType::Int2Array
        | SqlType::Int4Array
        | SqlType::Int8Array
        | SqlType::OidArray => b'A',
        SqlType::Unknown => b'X',
        SqlType::Void => b'P',
    }
}

/// `pg_type.typispreferred`.
pub(crate) const fn preferred(sql_type: SqlType) -> bool {
    matches!(
        sql_type,
        SqlType::Bool
            | SqlType::Float8
            | SqlType::Oid
            | SqlType::Text
            | SqlType::Timestamptz
            | SqlType::Interval
    )
}

fn argument_category(argument: ArgumentType) -> u8 {
    match argument {
        ArgumentType::Exactly(sql_type) => category(sql_type),
        _ => b'P',
    }
}

fn argument_preferred(argument: ArgumentType, wanted: u8) -> bool {
    match argument {
        ArgumentType::Exactly(sql_type) => preferred(sql_type) && category(sql_type) == wanted,
        _ => false,
    }
}

fn accepts(argument: ArgumentType, actual: SqlType) -> bool {
    match argument {
        ArgumentType::Exactly(wanted) => find_cast(actual, wanted, CastKind::Implicit).is_some(),
        ArgumentType::Any | ArgumentType::AnyElement => true,
        ArgumentType::AnyNonArray => actual.element().is_none(),
        ArgumentType::AnyArray => actual.element().is_some() || actual == SqlType::Unknown,
    }
}

/// The array type of an element type.
pub(crate) fn array_of(element: SqlType) -> Option<SqlType> {
    SqlType::ALL.iter().copied().find(|array| array.element() == Some(element))
}

/// The element type that the polymorphic parameters of a candidate take here; `None` inside if there are no such parameters.
fn element_type(candidate: &Candidate, actual: &[SqlType]) -> Option<Option<SqlType>> {
    let mut elements = Vec::new();
    let mut polymorphic = false;
    for (argument, sql_type) in candidate.arguments.iter().zip(actual) {
        match argument {
            ArgumentType::AnyElement | ArgumentType::AnyNonArray => {
                polymorphic = true;
                elements.push(*sql_type);
            }
            ArgumentType::AnyArray => {
                polymorphic = true;
                elements.push(sql_type.element().unwrap_or(SqlType::Unknown));
            }
            _ => {}
        }
    }
    if !polymorphic {
        return Some(None);
    }
    let common = common_type(&elements, "call").ok()?;
    Some(Some(common))
}

fn concrete(argument: ArgumentType, actual: SqlType, element: Option<SqlType>) -> Option<SqlType> {
    match argument {
        ArgumentType::Exactly(sql_type) => Some(sql_type),
        // Values carry what their text form needs, except names of catalog rows.
        ArgumentType::Any => Some(match actual {
            SqlType::Unknown | SqlType::Regclass | SqlType::Regtype | SqlType::Regproc => {
                SqlType::Text
            }
            other => other,
        }),
        ArgumentType::AnyElement | ArgumentType::AnyNonArray => element,
        ArgumentType::AnyArray => array_of(element?),
    }
}

pub(crate) fn resolved(candidate: &Candidate, actual: &[SqlType]) -> Option<Resolution> {
    let element = element_type(candidate, actual)?;
    let mut arguments = Vec::with_capacity(actual.len());
    for (argument, sql_type) in candidate.arguments.iter().zip(actual) {
        arguments.push(concrete(*argument, *sql_type, element)?);
    }
    let returns = concrete(candidate.returns, SqlType::Text, element)?;
    Some(Resolution { function: FunctionId(candidate.function), arguments, returns })
}

fn exact(candidate: &Candidate, actual: &[SqlType]) -> bool {
    candidate
        .arguments
        .iter()
        .zip(actual)
        .all(|(argument, sql_type)| *argument == ArgumentType::Exactly(*sql_type))
}

/// Chooses among candidates with the right number of arguments. `candidates` must not be empty.
pub(crate) fn choose(candidates: Vec<Candidate>, actual: &[SqlType]) -> Result<Candidate, Failure> {
    if let Some(found) = candidates.iter().find(|candidate| exact(candidate, actual)) {
        return Ok(found.clone());
    }
    let mut left: Vec<Candidate> = candidates
        .into_iter()
        .filter(|candidate| {
            candidate
                .arguments
                .iter()
                .zip(actual)
                .all(|(argument, sql_type)| accepts(*argument, *sql_type))
                && element_type(candidate, actual).is_some()
        })
        .collect();
    if left.is_empty() {
        return Err(Failure::None);
    }
    if left.len() > 1 {
        keep_best(&mut left, |candidate| {
            matches_counted(candidate, actual, |argument, sql_type| {
                argument == ArgumentType::Exactly(sql_type)
            })
        });
    }
    if left.len() > 1 {
        keep_best(&mut left, |candidate| {
            matches_counted(candidate, actual, |argument, sql_type| {
                argument == ArgumentType::Exactly(sql_type)
                    || argument_preferred(argument, category(sql_type))
            })
        });
    }
    if left.len() > 1 {
        left = by_unknown_category(left, actual)?;
    }
    if left.len() > 1 {
        left = by_known_type(left, actual)?;
    }
    left.into_iter().next().ok_or(Failure::None)
}

fn matches_counted(
    candidate: &Candidate,
    actual: &[SqlType],
    matches: impl Fn(ArgumentType, SqlType) -> bool,
) -> usize {
    candidate
        .arguments
        .iter()
        .zip(actual)
        .filter(|(argument, sql_type)| {
            **sql_type != SqlType::Unknown && matches(**argument, **sql_type)
        })
        .count()
}

fn keep_best(candidates: &mut Vec<Candidate>, score: impl Fn(&Candidate) -> usize) {
    let best = candidates.iter().map(&score).max().unwrap_or(0);
    candidates.retain(|candidate| score(candidate) == best);
}

/// Rule 4.e: unknown literals are strings if any candidate takes a string there, else of the one category that all agree on.
fn by_unknown_category(
    candidates: Vec<Candidate>,
    actual: &[SqlType],
) -> Result<Vec<Candidate>, Failure> {
    if !actual.contains(&SqlType::Unknown) {
        return Err(Failure::Ambiguous);
    }
    let mut wanted: Vec<Option<(u8, bool)>> = Vec::with_capacity(actual.len());
    for (position, sql_type) in actual.iter().enumerate() {
        if *sql_type != SqlType::Unknown {
            wanted.push(None);
            continue;
        }
        let categories: Vec<u8> = candidates
            .iter()
            .map(|candidate| argument_category(candidate.arguments[position]))
            .collect();
        let chosen = if categories.contains(&b'S') {
            b'S'
        } else if categories.iter().all(|one| *one == categories[0]) {
            categories[0]
        } else {
            return Ok(candidates);
        };
        let has_preferred = candidates
            .iter()
            .any(|candidate| argument_preferred(candidate.arguments[position], chosen));
        wanted.push(Some((chosen, has_preferred)));
    }
    let fits = |candidate: &Candidate| {
        candidate.arguments.iter().zip(&wanted).all(|(argument, wanted)| match wanted {
            None => true,
            Some((chosen, false)) => argument_category(*argument) == *chosen,
            Some((chosen, true)) => argument_preferred(*argument, *chosen),
        })
    };
    let kept: Vec<Candidate> =
        candidates.iter().filter(|candidate| fits(candidate)).cloned().collect();
    Ok(if kept.is_empty() { candidates } else { kept })
}

/// Rule 4.f: if all known arguments have one type, unknown ones may be of it too.
fn by_known_type(
    candidates: Vec<Candidate>,
    actual: &[SqlType],
) -> Result<Vec<Candidate>, Failure> {
    let mut known = actual.iter().copied().filter(|sql_type| *sql_type != SqlType::Unknown);
    let Some(first) = known.next() else { return Err(Failure::Ambiguous) };
    if !actual.contains(&SqlType::Unknown) || known.any(|other| other != first) {
        return Err(Failure::Ambiguous);
    }
    let mut kept = candidates.into_iter().filter(|candidate| {
        let assumed = alloc::vec![first; actual.len()];
        candidate.arguments.iter().all(|argument| accepts(*argument, first))
            && element_type(candidate, &assumed).is_some()
    });
    match (kept.next(), kept.next()) {
        (Some(only), None) => Ok(Vec::from([only])),
        _ => Err(Failure::Ambiguous),
    }
}

fn type_list(actual: &[SqlType]) -> String {
    let mut list = String::new();
    for (position, sql_type) in actual.iter().enumerate() {
        if position > 0 {
            list.push_str(", ");
        }
        list.push_str(sql_type.name());
    }
    list
}

const CAST_HINT: &str = "You might need to add explicit type casts.";

pub(crate) fn function_failure(name: &str, actual: &[SqlType], failure: &Failure) -> EvalError {
    let list = type_list(actual);
    match failure {
        Failure::None => EvalError::new(
            SqlState::UNDEFINED_FUNCTION,
            format!("function {name}({list}) does not exist"),
        )
        .with_hint(format!("No function matches the given name and argument types. {CAST_HINT}")),
        Failure::Ambiguous => EvalError::new(
            SqlState::AMBIGUOUS_FUNCTION,
            format!("function {name}({list}) is not unique"),
        )
        .with_hint(format!("Could not choose a best candidate function. {CAST_HINT}")),
    }
}

fn spread(function: &FunctionDefinition, count: usize) -> Option<Vec<ArgumentType>> {
    let declared = function.arguments;
    if !function.variadic {
        return (declared.len() == count).then(|| declared.to_vec());
    }
    let last = *declared.last()?;
    if count < declared.len() {
        return None;
    }
    let mut arguments = declared.to_vec();
    arguments.resize(count, last);
    Some(arguments)
}

/// The function that `name(types…)` means; `name` is lower case and unqualified.
///
/// # Errors
/// 42883 if there is none, 42725 if several are as good.
pub fn resolve_function(name: &str, actual: &[SqlType]) -> Result<Resolution, EvalError> {
    if let Some(found) = exact_function(name, actual) {
        return Ok(found);
    }
    let candidates: Vec<Candidate> = functions_named(name)
        .iter()
        .filter_map(|function| {
            Some(Candidate {
                function: function.id.0,
                arguments: spread(function, actual.len())?,
                returns: function.returns,
            })
        })
        .collect();
    let chosen =
        choose(candidates, actual).map_err(|failure| function_failure(name, actual, &failure))?;
    resolved(&chosen, actual).ok_or_else(|| function_failure(name, actual, &Failure::None))
}

/// What `name(types…)` is: a function, or a cast in the shape of one (`text(1)`, `float8('1')`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallTarget {
    /// A function.
    Function(Resolution),
    /// An explicit cast of the one argument.
    Cast(SqlType),
}

/// As [`resolve_function`], but a type's name with one argument is a cast if no function fits exactly and the conversion is a relabelling or goes
/// through text (PostgreSQL's rule, section 10.3, step 3).
///
/// # Errors
/// 42883 if there is none, 42725 if several are as good.
pub fn resolve_call(name: &str, actual: &[SqlType]) -> Result<CallTarget, EvalError> {
    if let [from] = *actual
        && let Some(to) = crate::cast::type_named(name)
        && !functions_named(name)
            .iter()
            .any(|function| function.arguments == [ArgumentType::Exactly(from)])
    {
        let method = find_cast(from, to, CastKind::Explicit);
        if matches!(method, Some(CastMethod::Relabel | CastMethod::Text)) {
            return Ok(CallTarget::Cast(to));
        }
    }
    resolve_function(name, actual).map(CallTarget::Function)
}

/// A function of exactly these types.
fn exact_function(name: &str, actual: &[SqlType]) -> Option<Resolution> {
    let found = functions_named(name).iter().find(|function| {
        let exactly = |(argument, sql_type): (&ArgumentType, &SqlType)| {
            *argument == ArgumentType::Exactly(*sql_type)
        };
        !function.variadic
            && function.arguments.len() == actual.len()
            && function.arguments.iter().zip(actual).all(exactly)
    })?;
    let ArgumentType::Exactly(returns) = found.returns else { return None };
    Some(Resolution { function: found.id, arguments: actual.to_vec(), returns })
}

fn operator_failure(symbol: &str, actual: &[SqlType], failure: &Failure) -> EvalError {
    let expression = match actual {
        [operand] => format!("{symbol} {}", operand.name()),
        [left, right] => format!("{} {symbol} {}", left.name(), right.name()),
        _ => String::from(symbol),
    };
    match failure {
        Failure::None => EvalError::new(
            SqlState::UNDEFINED_FUNCTION,
            format!("operator does not exist: {expression}"),
        )
        .with_hint(format!("No operator matches the given name and argument types. {CAST_HINT}")),
        Failure::Ambiguous => EvalError::new(
            SqlState::AMBIGUOUS_FUNCTION,
            format!("operator is not unique: {expression}"),
        )
        .with_hint(format!("Could not choose a best candidate operator. {CAST_HINT}")),
    }
}

/// The function behind `left symbol right`.
///
/// # Errors
/// 42883 if there is none, 42725 if several are as good.
pub fn resolve_operator(
    symbol: &str,
    left: SqlType,
    right: SqlType,
) -> Result<Resolution, EvalError> {
    let symbol = if symbol == "!=" { "<>" } else { symbol };
    let actual = [left, right];
    // An operator of exactly these types, an open side taken to be of the other's: nearly every call ends here, and nothing is allocated for the others.
    let assumed = match actual {
        [SqlType::Unknown, known] | [known, SqlType::Unknown] => [known, known],
        same => same,
    };
    let named = operators_named(symbol);
    if let Some(found) = exact_operator(named, actual).or_else(|| exact_operator(named, assumed)) {
        return Ok(found);
    }
    let candidates: Vec<Candidate> = named
        .iter()
        .filter_map(|operator| {
            Some(Candidate {
                function: operator.function.0,
                arguments: Vec::from([operator.left?, operator.right]),
                returns: operator.function.definition()?.returns,
            })
        })
        .collect();
    let chosen = choose(candidates, &actual)
        .map_err(|failure| operator_failure(symbol, &actual, &failure))?;
    resolved(&chosen, &actual).ok_or_else(|| operator_failure(symbol, &actual, &Failure::None))
}

fn exact_operator(
    named: &'static [crate::OperatorDefinition],
    [left, right]: [SqlType; 2],
) -> Option<Resolution> {
    let found = named.iter().find(|operator| {
        operator.left == Some(ArgumentType::Exactly(left))
            && operator.right == ArgumentType::Exactly(right)
    })?;
    let ArgumentType::Exactly(returns) = found.function.definition()?.returns else { return None };
    Some(Resolution { function: found.function, arguments: Vec::from([left, right]), returns })
}

/// The function behind `symbol operand`.
///
/// # Errors
/// 42883 if there is none, 42725 if several are as good.
pub fn resolve_prefix_operator(symbol: &str, operand: SqlType) -> Result<Resolution, EvalError> {
    let actual = [operand];
    let candidates: Vec<Candidate> = operators_named(symbol)
        .iter()
        .filter(|operator| operator.left.is_none())
        .filter_map(|operator| {
            Some(Candidate {
                function: operator.function.0,
                arguments: Vec::from([operator.right]),
                returns: operator.function.definition()?.returns,
            })
        })
        .collect();
    let chosen = choose(candidates, &actual)
        .map_err(|failure| operator_failure(symbol, &actual, &failure))?;
    resolved(&chosen, &actual).ok_or_else(|| operator_failure(symbol, &actual, &Failure::None))
}

/// The type of `CASE`, `COALESCE`, `IN`, `ARRAY`, `GREATEST`, `VALUES` and `UNION`; `construct` names it in the message. All unknown is `text`.
///
/// # Errors
/// 42804 if the types are of different categories.
pub fn common_type(inputs: &[SqlType], construct: &str) -> Result<SqlType, EvalError> {
    let mut chosen: Option<SqlType> = None;
    for &next in inputs.iter().filter(|sql_type| **sql_type != SqlType::Unknown) {
        let Some(current) = chosen else {
            chosen = Some(next);
            continue;
        };
        if next == current {
            continue;
        }
        if category(next) != category(current) {
            return Err(EvalError::new(
                SqlState::DATATYPE_MISMATCH,
                format!(
                    "{construct} types {} and {} cannot be matched",
                    current.name(),
                    next.name()
                ),
            ));
        }
        let forward = find_cast(current, next, CastKind::Implicit).is_some();
        let back = find_cast(next, current, CastKind::Implicit).is_some();
        if !preferred(current) && forward && !back {
            chosen = Some(next);
        }
    }
    Ok(chosen.unwrap_or(SqlType::Text))
}
