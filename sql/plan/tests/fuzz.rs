//! No text makes the parser or the binder panic, loop or run out of stack: seeded mutations of all statements that the other tests know, and nesting of
//! every kind that the grammar has.

use functions::EvalContext;
use plan::catalog::{Catalog, SearchPath};
use plan::statement::Statement;
use std::path::Path;
use types::SchemaVersion;
use types::prng::Prng;

/// Half of what a thread has by default; debug builds take several times what release builds do.
const STACK_BYTES: usize = if cfg!(debug_assertions) { 4 << 20 } else { 1 << 20 };

fn read(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/answers");
    std::fs::read_to_string(folder.join(name)).expect("the file is there")
}

fn bind_all(text: &str, catalog: &Catalog) {
    let Ok(parsed) = plan::parse(text) else { return };
    for one in &parsed {
        let input = plan::BindInput {
            text,
            catalog,
            search_path: &SearchPath::default(),
            context: EvalContext::PURE,
            parameters: &[],
        };
        match plan::bind(one, &input) {
            Ok(bound) => {
                // The path's reason and the tree can always be printed.
                let _ = (bound.path.to_string(), format!("{bound:?}"));
            }
            Err(error) => {
                assert_ne!(error.state, types::SqlState::INTERNAL_ERROR, "{text}: {error}");
                if let Some(position) = error.position {
                    assert!(position <= text.len(), "{text}: {error} at {position}");
                }
                let _ = error.character_position(text);
            }
        }
    }
}

fn catalog() -> Catalog {
    let mut catalog = Catalog::initial();
    let mut next_id = 16_384;
    for line in read("setup.sql").lines() {
        let parsed = plan::parse(line).expect(line);
        let input = plan::BindInput {
            text: line,
            catalog: &catalog,
            search_path: &SearchPath::default(),
            context: EvalContext::PURE,
            parameters: &[],
        };
        let bound = plan::bind(&parsed[0], &input).expect(line);
        let Statement::Ddl(ddl) = &bound.statement else { panic!("{line}") };
        let outcome = plan::ddl::changes(ddl, &catalog, &mut next_id).expect(line);
        catalog = catalog.apply(SchemaVersion(u64::from(next_id)), &outcome.changes);
    }
    catalog
}

fn words(statement: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut last = ' ';
    for character in statement.chars() {
        let kind = |one: char| (one.is_alphanumeric() || one == '_', one == ' ');
        if kind(character) != kind(last) || (!kind(character).0 && !kind(character).1) {
            words.push(String::new());
        }
        words.last_mut().expect("never empty").push(character);
        last = character;
    }
    words
}

fn mutated(statements: &[&str], prng: &mut Prng) -> String {
    let pick = |prng: &mut Prng, count: usize| prng.below(count as u64) as usize;
    let mut text = words(statements[pick(prng, statements.len())]);
    for _ in 0..1 + pick(prng, 4) {
        if text.is_empty() {
            break;
        }
        let at = pick(prng, text.len());
        match pick(prng, 6) {
            0 => {
                text.remove(at);
            }
            1 => {
                let word = text[at].clone();
                text.insert(at, word);
            }
            2 => {
                let other = pick(prng, text.len());
                text.swap(at, other);
            }
            3 => {
                let other = words(statements[pick(prng, statements.len())]);
                text[at] = other[pick(prng, other.len())].clone();
            }
            4 => {
                let other = words(statements[pick(prng, statements.len())]);
                let from = pick(prng, other.len());
                text.splice(at..at, other[from..].iter().cloned());
            }
            _ => {
                let strange = [
                    "'",
                    "\"",
                    "$1",
                    "(",
                    ")",
                    "::",
                    "--",
                    "/*",
                    "é",
                    "\u{1F600}",
                    "\0",
                    "$$",
                    "E'\\",
                    ".",
                    "*",
                    "null",
                ];
                text.insert(at, strange[pick(prng, strange.len())].to_owned());
            }
        }
    }
    text.concat()
}

fn on_small_stack(body: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(body)
        .expect("a thread")
        .join()
        .expect("no panic");
}

#[test]
fn mutations_are_errors_or_statements() {
    let seeds: u64 =
        std::env::var("SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(6_000);
    on_small_stack(move || {
        let catalog = catalog();
        let all = [read("select.sql"), read("modify.sql"), read("schema.sql")].concat();
        let statements: Vec<&str> =
            all.lines().map(|line| line.split(" --! ").next().unwrap_or(line)).collect();
        for seed in 0..seeds {
            let text = mutated(&statements, &mut Prng::new(seed));
            bind_all(&text, &catalog);
        }
    });
}

/// Repeats `open`, then `middle`, then `close`.
fn nested(open: &str, middle: &str, close: &str, depth: usize) -> String {
    format!("{}{middle}{}", open.repeat(depth), close.repeat(depth))
}

#[test]
fn nesting_is_bounded() {
    on_small_stack(|| {
        let catalog = catalog();
        for depth in [10, 60, 120, 200, 250, 300, 5_000, 20_000] {
            for text in [
                format!("select {}", nested("(", "1", ")", depth)),
                format!("select {}", nested("(select ", "1", ")", depth)),
                format!("select {}", nested("not ", "true", "", depth)),
                format!("select {}", nested("- ", "a", "", depth)) + " from t",
                format!("select 1{}", " + 1".repeat(depth)),
                format!("select 'a'{}", " || 'b'".repeat(depth)),
                format!("select 1{}", "::int4".repeat(depth)),
                format!("select true{}", " and true".repeat(depth)),
                format!("select a from t where {}", nested("(a = 1 or ", "true", ")", depth)),
                format!("select {}", nested("case when true then ", "1", " end", depth)),
                format!("select {}", nested("abs(", "1", ")", depth)),
                format!("select {}", nested("coalesce(null, ", "1", ")", depth)),
                format!("select {}", nested("array[", "1", "]", depth)),
                format!("select a{} from t", "[1]".repeat(depth)),
                format!("select 1{}", " union all select 1".repeat(depth)),
                format!("select 1{}", " intersect select 1".repeat(depth)),
                nested("(", "select 1", ")", depth),
                nested("(", "select 1", ") limit 1", depth),
                format!("select * from {}", nested("(select * from ", "t", ") s", depth)),
                format!("select * from {}t{}", "(".repeat(depth), " join u on true)".repeat(depth)),
                format!("select * from t{}", " join u on true".repeat(depth)),
                format!("select * from t {}", "join t ".repeat(depth)),
                format!("select * from t a0{}", ", lateral (select 1) s".repeat(depth)),
                nested("with q as (", "select 1", ") select * from q", depth),
                nested("explain ", "select 1", "", depth),
                format!("select 1 from t group by {}", nested("rollup (", "a", ")", depth)),
                format!("select 1 from t group by {}", nested("grouping sets (", "a", ")", depth)),
                format!("select a in {}", nested("(select a in ", "(1)", " from t)", depth))
                    + " from t",
                format!("select a{} from t", " between 1 and 2".repeat(depth)),
                format!("select exists {}", nested("(select exists ", "(select 1)", ")", depth)),
                format!("select 1 from t where a = any {}", nested("(array[", "1", "])", depth)),
                format!("select {}", nested("/*", "", "*/", depth)) + " 1",
                format!("prepare {}", nested("z as prepare ", "z as select 1", "", depth)),
            ] {
                bind_all(&text, &catalog);
            }
        }
    });
}
