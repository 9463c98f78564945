//! What expressions are made of: functions, aggregates, operators, conversions, collations, and the classes that say how an index orders a type.
//! Functions and operators come from `sql/functions`; the classes' numbers from PostgreSQL 15.

use super::cell::{NO, NONE, NULL, Row, YES, char, int2, oid, oid_array, text, text_array};
use super::{BTREE_OID, HEAP_OID, owner};
use crate::catalog::{Catalog, PG_CATALOG_OID};
use alloc::vec;
use alloc::vec::Vec;
use functions::aggregate::{AggregateDefinition, aggregates};
use functions::{
    ArgumentType, CastKind, CastMethod, FunctionDefinition, FunctionId, Nulls, OperatorDefinition,
    Volatility, find_cast, functions, operators,
};
use types::{SqlType, Value};

/// `pg_language.oid`
const INTERNAL_LANGUAGE: u32 = 12;
/// OIDs of rows that nobody names count from here.
const UNNAMED_FIRST: u32 = 10_000;

/// How an index orders a type: class, its name, family, the type it takes.
const OPERATOR_CLASSES: [(u32, &str, u32, u32); 18] = [
    (10_000, "array_ops", 397, 2277),
    (10_003, "bool_ops", 424, 16),
    (10_004, "bpchar_ops", 426, 1042),
    (10_006, "bytea_ops", 428, 17),
    (10_007, "char_ops", 429, 18),
    (3122, "date_ops", 434, 1082),
    (3127, "timestamptz_ops", 434, 1184),
    (3128, "timestamp_ops", 434, 1114),
    (3123, "float8_ops", 1970, 701),
    (10_012, "float4_ops", 1970, 700),
    (1978, "int4_ops", 1976, 23),
    (1979, "int2_ops", 1976, 21),
    (3124, "int8_ops", 1976, 20),
    (10_022, "interval_ops", 1982, 1186),
    (3125, "numeric_ops", 1988, 1700),
    (1981, "oid_ops", 1989, 26),
    (3126, "text_ops", 1994, 25),
    (10_065, "uuid_ops", 2968, 2950),
];

/// Families of classes.
const OPERATOR_FAMILIES: [(u32, &str); 13] = [
    (397, "array_ops"),
    (424, "bool_ops"),
    (426, "bpchar_ops"),
    (428, "bytea_ops"),
    (429, "char_ops"),
    (434, "datetime_ops"),
    (1970, "float_ops"),
    (1976, "integer_ops"),
    (1982, "interval_ops"),
    (1988, "numeric_ops"),
    (1989, "oid_ops"),
    (1994, "text_ops"),
    (2968, "uuid_ops"),
];

/// The comparison of two types in a family: family, left, right, function.
#[rustfmt::skip]
const COMPARISONS: [(u32, u32, u32, u16); 32] = [
    (397, 2277, 2277, 382), (424, 16, 16, 1693), (426, 1042, 1042, 1078), (428, 17, 17, 1954), (429, 18, 18, 358),
    (434, 1082, 1082, 1092), (434, 1082, 1114, 2344), (434, 1082, 1184, 2357), (434, 1114, 1082, 2370), (434, 1114, 1114, 2045),
    (434, 1114, 1184, 2526), (434, 1184, 1082, 2383), (434, 1184, 1114, 2533), (434, 1184, 1184, 1314), (1970, 700, 700, 354),
    (1970, 700, 701, 2194), (1970, 701, 700, 2195), (1970, 701, 701, 355), (1976, 20, 20, 842), (1976, 20, 21, 2193),
    (1976, 20, 23, 2189), (1976, 21, 20, 2192), (1976, 21, 21, 350), (1976, 21, 23, 2190), (1976, 23, 20, 2188),
    (1976, 23, 21, 2191), (1976, 23, 23, 351), (1982, 1186, 1186, 1315), (1988, 1700, 1700, 1769), (1989, 26, 26, 356),
    (1994, 25, 25, 360), (2968, 2950, 2950, 2960),
];

/// The class by which an index orders a type.
pub(super) fn operator_class(sql_type: SqlType) -> u32 {
    let ordered_as = match sql_type {
        SqlType::Varchar => SqlType::Text,
        other => other,
    };
    let found = OPERATOR_CLASSES.iter().find(|(_, _, _, of)| *of == ordered_as.oid());
    found.map_or(0, |(class, ..)| *class)
}

fn family(argument: ArgumentType) -> Option<u32> {
    let found = OPERATOR_CLASSES.iter().find(|(_, _, _, of)| *of == argument.oid());
    found.map(|(_, _, family, _)| *family)
}

pub(super) fn pg_am() -> Vec<Row> {
    let row = |access_method, name, handler, kind| {
        vec![oid(access_method), text(name), oid(handler), char(kind)]
    };
    vec![row(HEAP_OID, "heap", 3, 't'), row(BTREE_OID, "btree", 330, 'i')]
}

pub(super) fn pg_opclass(catalog: &Catalog) -> Vec<Row> {
    let owner = owner(catalog);
    let row = |&(class, name, family, takes): &(u32, &str, u32, u32)| {
        vec![
            oid(class),
            oid(BTREE_OID),
            text(name),
            oid(PG_CATALOG_OID),
            oid(owner),
            oid(family),
            oid(takes),
            YES,
            NONE,
        ]
    };
    OPERATOR_CLASSES.iter().map(row).collect()
}

pub(super) fn pg_opfamily(catalog: &Catalog) -> Vec<Row> {
    let owner = owner(catalog);
    let row = |&(family, name): &(u32, &str)| {
        vec![oid(family), oid(BTREE_OID), text(name), oid(PG_CATALOG_OID), oid(owner)]
    };
    OPERATOR_FAMILIES.iter().map(row).collect()
}

pub(super) fn pg_amop() -> Vec<Row> {
    let strategies = ["<", "<=", "=", ">=", ">"];
    let mut rows = Vec::new();
    for operator in operators() {
        let strategy = strategies.iter().position(|symbol| *symbol == operator.symbol);
        let (Some(strategy), Some(left)) = (strategy, operator.left) else { continue };
        let (Some(of_left), Some(of_right)) = (family(left), family(operator.right)) else {
            continue;
        };
        if of_left != of_right {
            continue;
        }
        rows.push(vec![
            oid(UNNAMED_FIRST + rows.len() as u32),
            oid(of_left),
            oid(left.oid()),
            oid(operator.right.oid()),
            int2(strategy + 1),
            char('s'),
            oid(u32::from(operator.oid)),
            oid(BTREE_OID),
            NONE,
        ]);
    }
    rows
}

pub(super) fn pg_amproc() -> Vec<Row> {
    let there = COMPARISONS.iter().filter(|row| FunctionId(row.3).definition().is_some());
    there
        .zip(UNNAMED_FIRST..)
        .map(|(&(family, left, right, function), row)| {
            vec![
                oid(row),
                oid(family),
                oid(left),
                oid(right),
                Value::Int2(1),
                oid(u32::from(function)),
            ]
        })
        .collect()
}

/// What differs between functions and aggregates in `pg_proc`.
struct Routine<'a> {
    oid: u16,
    name: &'a str,
    kind: char,
    strict: bool,
    volatility: char,
    arguments: &'a [ArgumentType],
    variadic: bool,
    returns: ArgumentType,
    source: &'a str,
}

impl Routine<'_> {
    fn row(self, owner: u32) -> Row {
        let mut arguments: Vec<u32> = self.arguments.iter().map(|taken| taken.oid()).collect();
        let (variadic, modes) = match arguments.last_mut() {
            Some(last) if self.variadic => {
                let element = *last;
                *last = array_of(element);
                let modes = (1..arguments.len()).map(|_| "i").chain(["v"]);
                (element, text_array(modes))
            }
            _ => (0, NULL),
        };
        let all = if self.variadic { oid_array(arguments.iter().copied()) } else { NULL };
        vec![
            oid(u32::from(self.oid)),
            text(self.name),
            oid(PG_CATALOG_OID),
            oid(owner),
            oid(INTERNAL_LANGUAGE),
            Value::Float4(1.0),
            Value::Float4(0.0),
            oid(variadic),
            NONE,
            char(self.kind),
            NO,
            NO,
            Value::Bool(self.strict),
            NO,
            char(self.volatility),
            char('s'),
            int2(arguments.len()),
            Value::Int2(0),
            oid(self.returns.oid()),
            oid_array(arguments),
            all,
            modes,
            NULL,
            NULL,
            NULL,
            text(self.source),
        ]
    }
}

/// The type of a variadic parameter, given its elements'; `"any"` is its own.
fn array_of(element: u32) -> u32 {
    if element == ArgumentType::AnyElement.oid() {
        return ArgumentType::AnyArray.oid();
    }
    let arrays = SqlType::ALL.iter();
    let mut found =
        arrays.filter(|array| array.element().is_some_and(|found| found.oid() == element));
    found.next().map_or(element, |array| array.oid())
}

fn function_row(function: &FunctionDefinition, owner: u32) -> Row {
    let volatility = match function.volatility {
        Volatility::Immutable => 'i',
        Volatility::Stable => 's',
        Volatility::Volatile => 'v',
    };
    let routine = Routine {
        oid: function.id.0,
        name: function.name,
        kind: 'f',
        strict: function.nulls == Nulls::Strict,
        volatility,
        arguments: function.arguments,
        variadic: function.variadic,
        returns: function.returns,
        source: function.name,
    };
    routine.row(owner)
}

fn aggregate_row(aggregate: &AggregateDefinition, owner: u32) -> Row {
    let routine = Routine {
        oid: aggregate.id.0,
        name: aggregate.name,
        kind: 'a',
        strict: false,
        volatility: 'i',
        arguments: aggregate.arguments,
        variadic: false,
        returns: aggregate.returns,
        source: "aggregate_dummy",
    };
    routine.row(owner)
}

pub(super) fn pg_proc(catalog: &Catalog) -> Vec<Row> {
    let owner = owner(catalog);
    let scalar = functions().iter().map(|function| function_row(function, owner));
    scalar.chain(aggregates().iter().map(|aggregate| aggregate_row(aggregate, owner))).collect()
}

pub(super) fn pg_operator(catalog: &Catalog) -> Vec<Row> {
    let owner = owner(catalog);
    let row = |operator: &OperatorDefinition| {
        let result = operator.function.definition().map_or(0, |found| found.returns.oid());
        let is_equality = Value::Bool(operator.symbol == "=");
        vec![
            oid(u32::from(operator.oid)),
            text(operator.symbol),
            oid(PG_CATALOG_OID),
            oid(owner),
            char(if operator.left.is_some() { 'b' } else { 'l' }),
            is_equality.clone(),
            is_equality,
            oid(operator.left.map_or(0, ArgumentType::oid)),
            oid(operator.right.oid()),
            oid(result),
            oid(u32::from(operator.commutator)),
            oid(u32::from(operator.negator)),
            oid(u32::from(operator.function.0)),
            NONE,
            NONE,
        ]
    };
    operators().iter().map(row).collect()
}

/// The function and the situations of a conversion that has a row: not those through the text form.
fn conversion(from: SqlType, to: SqlType) -> Option<(u16, char)> {
    let kinds = [(CastKind::Implicit, 'i'), (CastKind::Assignment, 'a'), (CastKind::Explicit, 'e')];
    let (method, context) = kinds
        .into_iter()
        .find_map(|(kind, context)| Some((find_cast(from, to, kind)?, context)))?;
    match method {
        CastMethod::Relabel => Some((0, context)),
        CastMethod::Function(function) => Some((function.0, context)),
        CastMethod::Text | CastMethod::Elements => None,
    }
}

pub(super) fn pg_cast() -> Vec<Row> {
    let pairs =
        SqlType::ALL.iter().flat_map(|from| SqlType::ALL.iter().map(move |to| (*from, *to)));
    let rows = pairs.filter(|(from, to)| from != to && *from != SqlType::Unknown);
    rows.filter_map(|(from, to)| Some((from, to, conversion(from, to)?)))
        .zip(UNNAMED_FIRST..)
        .map(|((from, to, (function, context)), row)| {
            vec![
                oid(row),
                oid(from.oid()),
                oid(to.oid()),
                oid(u32::from(function)),
                char(context),
                char(if function == 0 { 'b' } else { 'f' }),
            ]
        })
        .collect()
}

pub(super) fn pg_collation(catalog: &Catalog) -> Vec<Row> {
    let owner = owner(catalog);
    let row = |collation, name, provider, locale: Value| {
        vec![
            oid(collation),
            text(name),
            oid(PG_CATALOG_OID),
            oid(owner),
            char(provider),
            YES,
            Value::Int4(-1),
            locale.clone(),
            locale,
        ]
    };
    vec![
        row(100, "default", 'd', NULL),
        row(950, "C", 'c', text("C")),
        row(951, "POSIX", 'c', text("POSIX")),
    ]
}

pub(super) fn pg_language(catalog: &Catalog) -> Vec<Row> {
    let owner = owner(catalog);
    let validator = 2246;
    vec![vec![
        oid(INTERNAL_LANGUAGE),
        text("internal"),
        oid(owner),
        NO,
        NO,
        NONE,
        NONE,
        oid(validator),
    ]]
}
