//! Expressions that travel: every function, operator, cast and node comes back as the same bytes and gives the same answers; what depends on its session is
//! refused; the numbers of functions are pinned; hostile bytes are an error or an expression that encodes to just these bytes and evaluates without a panic.

use std::cell::Cell;
use std::collections::BTreeMap;

use functions::expr::{decode_expr, encode_expr};
use functions::{
    ArgumentType, CastKind, CatalogFunctions, EvalContext, EvalError, Expr, FunctionDefinition,
    NotPortable, Quantifier, Test, VolatileSource, Volatility, evaluate, find_cast,
    functions as all_functions,
};
use types::codec::{Decoder, Encoder};
use types::prng::Prng;
use types::{ColumnType, Interval, Numeric, SqlType, Value};

/// A line for each function: number, name, argument types, type of the answer.
const NUMBERS: &str = include_str!("registry_numbers.txt");

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

fn signature(definition: &FunctionDefinition) -> String {
    let arguments: Vec<String> =
        definition.arguments.iter().map(|argument| argument.oid().to_string()).collect();
    let variadic = if definition.variadic { " variadic" } else { "" };
    let returns = definition.returns.oid();
    format!("{}({}){variadic} {returns}", definition.name, arguments.join(","))
}

#[test]
fn numbers_of_functions_never_change() {
    let here: BTreeMap<u16, String> =
        all_functions().iter().map(|definition| (definition.id.0, signature(definition))).collect();
    assert_eq!(here.len(), all_functions().len(), "a number stands for one function");
    let mut pinned = BTreeMap::new();
    for line in NUMBERS.lines().filter(|line| !line.starts_with('#')) {
        let (number, signature) = line.split_once(' ').expect("number, signature");
        let number: u16 = number.parse().expect("a number");
        assert_eq!(pinned.insert(number, signature.to_owned()), None, "{number} twice");
    }
    for (number, signature) in &pinned {
        assert_eq!(here.get(number), Some(signature), "{number} meant {signature}, and must");
    }
    let new: Vec<String> = here
        .iter()
        .filter(|(number, _)| !pinned.contains_key(number))
        .map(|(number, signature)| format!("{number} {signature}"))
        .collect();
    assert!(new.is_empty(), "add to registry_numbers.txt:\n{}", new.join("\n"));
}

/// Notes whether anybody asks.
#[derive(Default)]
struct Outside(Cell<bool>);

impl CatalogFunctions for Outside {
    fn call(&self, _: &'static str, _: &[&Value]) -> Result<Value, EvalError> {
        self.0.set(true);
        Ok(Value::Null)
    }

    fn find_relation(&self, _: &str) -> Option<u32> {
        self.0.set(true);
        Some(7)
    }

    fn relation_name(&self, _: u32) -> Option<Box<str>> {
        self.0.set(true);
        Some("name".into())
    }
}

impl VolatileSource for Outside {
    fn wall_micros(&self) -> Result<i64, EvalError> {
        self.0.set(true);
        Ok(0)
    }

    fn random_bits(&self) -> Result<u64, EvalError> {
        self.0.set(true);
        Ok(0)
    }
}

fn value(sql_type: SqlType, prng: &mut Prng) -> Value {
    const TEXTS: [&str; 10] =
        ["", "a", "äöü", "%_", "[a-z]+", "day", "12", "{1,2}", "2024-02-29 12:00", "UTC"];
    if prng.below(8) == 0 {
        return Value::Null;
    }
    let small = prng.below(9) as i64 - 3;
    match sql_type {
        SqlType::Bool => Value::Bool(small > 0),
        SqlType::Int2 => Value::Int2(small as i16),
        SqlType::Int4 => Value::Int4(small as i32),
        SqlType::Int8 => Value::Int8(small),
        SqlType::Float4 => Value::Float4(small as f32 / 2.0),
        SqlType::Float8 => Value::Float8(small as f64 / 4.0),
        SqlType::Numeric => {
            let text = ["0", "1", "-1.50", "123.4567", "NaN", "99999999999"][prng.index(6)];
            Value::Numeric(Box::new(Numeric::parse(text).expect("a number")))
        }
        SqlType::Bytea | SqlType::Void => Value::Bytea([0, 255, small as u8].into()),
        SqlType::Date => Value::Date(small as i32 * 400),
        SqlType::Timestamp => Value::Timestamp(small * 86_400_000_001),
        SqlType::Timestamptz => Value::Timestamptz(small * 86_400_000_001),
        SqlType::Interval => {
            Value::Interval(Interval { months: small as i32, days: 2, micros: small * 1_000_001 })
        }
        SqlType::Uuid => Value::Uuid([small as u8; 16]),
        SqlType::Oid | SqlType::Regclass | SqlType::Regtype | SqlType::Regproc => {
            Value::Oid([0, 23, 1259][prng.index(3)])
        }
        other => match other.element() {
            Some(element) => {
                Value::Array((0..prng.index(4)).map(|_| value(element, prng)).collect())
            }
            None => Value::text(TEXTS[prng.index(TEXTS.len())]),
        },
    }
}

fn type_of(argument: ArgumentType) -> SqlType {
    match argument {
        ArgumentType::Exactly(sql_type) => sql_type,
        ArgumentType::AnyArray => SqlType::Int4Array,
        _ => SqlType::Int4,
    }
}

/// An expression of a type, and what it reads in `row` and `parameters`.
struct Maker<'a> {
    prng: &'a mut Prng,
    row: Vec<Value>,
    parameters: Vec<Value>,
}

impl Maker<'_> {
    fn leaf(&mut self, sql_type: SqlType) -> Expr {
        let made = value(sql_type, self.prng);
        let column_type = ColumnType::plain(sql_type);
        match self.prng.below(3) {
            0 => Expr::Literal { value: made, column_type },
            1 => {
                self.row.push(made);
                Expr::Column { index: self.row.len() as u32 - 1, column_type }
            }
            _ => {
                self.parameters.push(made);
                Expr::Parameter { index: self.parameters.len() as u32 - 1, column_type }
            }
        }
    }

    fn call(&mut self, definition: &FunctionDefinition, depth: u32) -> Expr {
        let arguments =
            definition.arguments.iter().map(|of| self.make(type_of(*of), depth)).collect();
        let column_type = ColumnType::plain(type_of(definition.returns));
        Expr::Call { function: definition.id, arguments, column_type }
    }

    fn list(&mut self, sql_type: SqlType, depth: u32) -> Vec<Expr> {
        (0..1 + self.prng.index(3)).map(|_| self.make(sql_type, depth)).collect()
    }

    fn boxed(&mut self, sql_type: SqlType, depth: u32) -> Box<Expr> {
        Box::new(self.make(sql_type, depth))
    }

    fn make(&mut self, sql_type: SqlType, depth: u32) -> Expr {
        if depth == 0 {
            return self.leaf(sql_type);
        }
        let depth = depth - 1;
        let column_type = ColumnType::plain(sql_type);
        match self.prng.below(8) {
            0 => Expr::Coalesce { arguments: self.list(sql_type, depth), column_type },
            1 => {
                let greatest = self.prng.below(2) == 0;
                Expr::Extreme { greatest, arguments: self.list(sql_type, depth), column_type }
            }
            2 => {
                let branch = (self.make(SqlType::Bool, depth), self.make(sql_type, depth));
                let otherwise = (depth % 2 == 0).then(|| self.boxed(sql_type, depth));
                Expr::Case { branches: vec![branch], otherwise, column_type }
            }
            3 if sql_type == SqlType::Bool => self.condition(depth),
            4 if sql_type.element().is_some() => {
                let element = sql_type.element().expect("an array");
                Expr::ArrayLiteral { elements: self.list(element, depth), column_type }
            }
            5 => self.cast(column_type, depth),
            6 | 7 => {
                let fitting: Vec<&FunctionDefinition> = all_functions()
                    .iter()
                    .filter(|definition| {
                        definition.returns == ArgumentType::Exactly(sql_type)
                            && definition.volatility != Volatility::Volatile
                    })
                    .collect();
                if fitting.is_empty() {
                    return self.leaf(sql_type);
                }
                let chosen = fitting[self.prng.index(fitting.len())];
                self.call(chosen, depth)
            }
            _ => self.leaf(sql_type),
        }
    }

    fn cast(&mut self, to: ColumnType, depth: u32) -> Expr {
        let kind = [CastKind::Implicit, CastKind::Assignment, CastKind::Explicit];
        let kind = kind[self.prng.index(3)];
        let sources: Vec<SqlType> = SqlType::ALL
            .iter()
            .copied()
            .filter(|from| find_cast(*from, to.sql_type, kind).is_some())
            .collect();
        if sources.is_empty() {
            return self.leaf(to.sql_type);
        }
        let from = sources[self.prng.index(sources.len())];
        Expr::Cast { argument: self.boxed(from, depth), to, kind }
    }

    fn condition(&mut self, depth: u32) -> Expr {
        let same: Vec<&FunctionDefinition> = all_functions()
            .iter()
            .filter(|definition| definition.name.ends_with("eq") && definition.arguments.len() == 2)
            .collect();
        let equality = same[self.prng.index(same.len())];
        let (left, right) = (type_of(equality.arguments[0]), type_of(equality.arguments[1]));
        let (equality, negated) = (equality.id, self.prng.below(2) == 0);
        match self.prng.below(8) {
            0 => Expr::And(self.list(SqlType::Bool, depth)),
            1 => Expr::Or(self.list(SqlType::Bool, depth)),
            2 => Expr::Not(self.boxed(SqlType::Bool, depth)),
            3 => {
                let test = TESTS[self.prng.index(TESTS.len())];
                Expr::Test { test, argument: self.boxed(SqlType::Bool, depth) }
            }
            4 => {
                let (left, right) = (self.boxed(left, depth), self.boxed(right, depth));
                Expr::Distinct { equality, left, right, negated }
            }
            5 => {
                let argument = self.boxed(left, depth);
                Expr::InList { equality, argument, list: self.list(right, depth), negated }
            }
            6 => {
                let quantifier = if negated { Quantifier::All } else { Quantifier::Any };
                let equality = all_functions().iter().find(|found| found.name == "int4eq");
                let operator = equality.expect("int4eq").id;
                let left = self.boxed(SqlType::Int4, depth);
                let array = self.boxed(SqlType::Int4Array, depth);
                Expr::Quantified { quantifier, operator, left, array }
            }
            _ => {
                let (left_type, column_type) = (SqlType::Bool, ColumnType::plain(SqlType::Bool));
                let equality = all_functions().iter().find(|found| found.name == "booleq");
                let equality = equality.expect("booleq").id;
                let (left, right) = (self.boxed(left_type, depth), self.boxed(left_type, depth));
                Expr::NullIf { equality, left, right, column_type }
            }
        }
    }
}

fn encoded(expr: &Expr) -> Result<Vec<u8>, NotPortable> {
    let mut encoder = Encoder::new();
    encode_expr(expr, &mut encoder)?;
    Ok(encoder.into_bytes())
}

/// Round trip, and the same answer (errors included) with nobody asked outside. False if it does not travel.
fn travels(expr: &Expr, row: &[Value], parameters: &[Value]) -> bool {
    let Ok(bytes) = encoded(expr) else { return false };
    let mut decoder = Decoder::new(&bytes);
    let again = decode_expr(&mut decoder).expect("what was encoded decodes");
    assert_eq!(decoder.finish(), Ok(()));
    assert_eq!(encoded(&again).as_deref(), Ok(&bytes[..]), "{expr:?}");
    let outside = Outside::default();
    let context = EvalContext {
        session_user: "somebody",
        current_user: "somebody",
        database: "data",
        catalog: &outside,
        volatile: &outside,
        ..EvalContext::PURE
    };
    // NaN is no equal of itself: answers are compared as they are written.
    let answer = |expr| format!("{:?}", evaluate(expr, row, parameters, &context));
    assert_eq!(answer(expr), answer(&again), "{expr:?}");
    assert!(!outside.0.get(), "a portable expression asked its session: {expr:?}");
    true
}

#[test]
fn every_function_travels_or_is_refused_by_name() {
    let mut prng = Prng::new(11);
    let mut refused = BTreeMap::new();
    for definition in all_functions() {
        for _ in 0..40 {
            let mut maker = Maker { prng: &mut prng, row: Vec::new(), parameters: Vec::new() };
            let call = maker.call(definition, 0);
            let (row, parameters) = (maker.row, maker.parameters);
            if !travels(&call, &row, &parameters) {
                refused.insert(definition.name, encoded(&call).expect_err("it was refused"));
            }
        }
        if definition.volatility == Volatility::Volatile {
            let function = definition.name;
            assert_eq!(refused.get(function), Some(&NotPortable::Volatile { function }));
        }
    }
    for function in ["random", "nextval", "clock_timestamp", "gen_random_uuid", "setval"] {
        assert_eq!(refused.get(function), Some(&NotPortable::Volatile { function }));
    }
    for function in ["current_setting", "pg_table_is_visible", "current_schema"] {
        assert_eq!(refused.get(function), Some(&NotPortable::Session { function }));
    }
    for function in ["now", "lower", "date_trunc", "to_char", "substring", "int4pl"] {
        assert_eq!(refused.get(function), None, "{function}");
    }
}

#[test]
fn drawn_expressions_travel() {
    let mut kinds = BTreeMap::new();
    let mut count = 0;
    for seed in 0..20_000 {
        let mut prng = Prng::new(seed);
        let sql_type = SqlType::ALL[prng.index(SqlType::ALL.len())];
        let mut maker = Maker { prng: &mut prng, row: Vec::new(), parameters: Vec::new() };
        let expr = maker.make(sql_type, 4);
        if travels(&expr, &maker.row, &maker.parameters) {
            count += 1;
            expr.walk(&mut |part| {
                *kinds.entry(encoded(part).expect("a part of what travels")[0]).or_insert(0) += 1;
            });
        }
    }
    assert!(count > 10_000, "{count} travelled");
    assert_eq!(kinds.keys().copied().collect::<Vec<u8>>(), (1..=17).collect::<Vec<u8>>());
}

#[test]
fn what_looks_up_a_name_does_not_travel() {
    let name = Expr::literal(Value::text("t"), SqlType::Text);
    let to = ColumnType::plain(SqlType::Regclass);
    let cast = Expr::Cast { argument: Box::new(name), to, kind: CastKind::Explicit };
    assert_eq!(encoded(&cast), Err(NotPortable::RelationName));
    let outer = Expr::Outer { level: 1, index: 0, column_type: to };
    assert_eq!(encoded(&Expr::Not(Box::new(outer))), Err(NotPortable::Query));
}

#[test]
fn hostile_bytes_are_refused_or_encode_to_themselves() {
    let mut accepted = 0;
    for seed in 0..4_000 {
        let mut prng = Prng::new(seed);
        let mut maker = Maker { prng: &mut prng, row: Vec::new(), parameters: Vec::new() };
        let expr = maker.make(SqlType::Bool, 3);
        let (row, parameters) = (maker.row, maker.parameters);
        let Ok(bytes) = encoded(&expr) else { continue };
        let cut = prng.index(bytes.len());
        assert!(decode_expr(&mut Decoder::new(&bytes[..cut])).is_err(), "cut at {cut}");
        for _ in 0..8 {
            let mut hostile = bytes.clone();
            for _ in 0..1 + prng.index(3) {
                let at = prng.index(hostile.len());
                hostile[at] = prng.next_u64() as u8;
            }
            let mut decoder = Decoder::new(&hostile);
            let Ok(decoded) = decode_expr(&mut decoder) else { continue };
            let read = decoder.offset();
            assert_eq!(encoded(&decoded).as_deref(), Ok(&hostile[..read]));
            // Any answer or error will do; a panic is what must not come.
            drop(evaluate(&decoded, &row, &parameters, &EvalContext::PURE));
            accepted += 1;
        }
    }
    assert!(accepted > 500, "{accepted} mutated expressions were well formed");
}

#[test]
fn nesting_is_bounded_before_the_stack_is() {
    let nots = [&vec![8u8; 1 << 20][..], &[1, 1, 0, 1, 1]].concat();
    assert!(decode_expr(&mut Decoder::new(&nots)).is_err());
    // A list of two to the thirty-second elements in nine bytes.
    assert!(decode_expr(&mut Decoder::new(&[6, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 1, 0])).is_err());
}
