//! Which path runs a statement, how its rows are reached, and what may wait until COMMIT.

use functions::{EvalContext, Expr};
use plan::catalog::{Catalog, CatalogChange, SearchPath};
use plan::point_plan::{Access, KeyRange, ReadOrder, RowBound};
use plan::statement::{BoundStatement, Deferred, Statement, TableAccess};
use types::schema::IndexState;
use types::{SchemaVersion, SqlType, Value};

const TABLES: &[&str] = &[
    "create table t (id int4 primary key, a int4, b text)",
    "create table w (id int8 primary key, a int2, v varchar(10), z char(3))",
    "create table e (bucket text, shard int4, event_id uuid, at timestamptz, v float8, \
     primary key (bucket, shard, event_id)) with (partition_key = '(bucket, shard)')",
    "create table l (user_id int8, seq int8, v text, primary key (user_id, seq))",
    "create table o (a int4, b int4, primary key (a, b)) with (partition_key = '')",
    "create table h (x int4, y text)",
    "create table i (id int4 primary key, x int4, y text not null, z int4)",
    "create index i_xy on i (x, y)",
    "create index i_z on i (z desc)",
];

fn bind(text: &str, catalog: &Catalog, parameters: &[SqlType]) -> BoundStatement {
    let parsed = plan::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let input = plan::BindInput {
        text,
        catalog,
        search_path: &SearchPath::default(),
        context: EvalContext::PURE,
        parameters,
    };
    plan::bind(&parsed[0], &input).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn catalog() -> Catalog {
    let mut catalog = Catalog::initial();
    let mut next_id = 16_384;
    for line in TABLES {
        let bound = bind(line, &catalog, &[]);
        let Statement::Ddl(ddl) = &bound.statement else { panic!("{line}") };
        let outcome = plan::ddl::changes(ddl, &catalog, &mut next_id).expect(line);
        let changes: Vec<CatalogChange> = outcome
            .changes
            .into_iter()
            .map(|change| match change {
                CatalogChange::PutTable(table) => {
                    let mut table = (*table).clone();
                    table.indexes.iter_mut().for_each(|index| index.state = IndexState::Public);
                    CatalogChange::PutTable(table.into())
                }
                other => other,
            })
            .collect();
        catalog = catalog.apply(SchemaVersion(u64::from(next_id)), &changes);
    }
    catalog
}

fn value(expr: &Expr) -> String {
    match expr {
        Expr::Literal { value: Value::Text(text), .. } => format!("'{text}'"),
        Expr::Literal { value: Value::Int2(number), .. } => format!("{number}s"),
        Expr::Literal { value: Value::Int4(number), .. } => format!("{number}"),
        Expr::Literal { value: Value::Int8(number), .. } => format!("{number}l"),
        Expr::Literal { value, .. } => format!("{value:?}"),
        Expr::Parameter { index, .. } => format!("${}", index + 1),
        Expr::Cast { argument, to, .. } => format!("{}::{to}", value(argument)),
        Expr::Case { .. } => "case".to_owned(),
        Expr::Call { arguments, .. } => {
            let arguments: Vec<String> = arguments.iter().map(value).collect();
            format!("f({})", arguments.join(","))
        }
        other => format!("{other:?}"),
    }
}

fn range(range: &KeyRange) -> String {
    let mut text = range.equal.iter().map(value).collect::<Vec<_>>().join(",");
    if let Some(lower) = &range.lower {
        text += &format!(" >{}{}", if lower.inclusive { "=" } else { "" }, value(&lower.value));
    }
    if let Some(upper) = &range.upper {
        text += &format!(" <{}{}", if upper.inclusive { "=" } else { "" }, value(&upper.value));
    }
    text
}

fn way(target: &TableAccess) -> String {
    let mut text = match &target.access {
        Access::Points(keys) => {
            let keys: Vec<String> = keys
                .iter()
                .map(|key| key.iter().map(value).collect::<Vec<_>>().join(","))
                .collect();
            format!("points [{}]", keys.join("]["))
        }
        Access::Among(array) => format!("among {}", value(array)),
        Access::KeyRange(key) => format!("range [{}]", range(key)),
        Access::IndexRange { index, range: key } => format!("index {index} [{}]", range(key)),
        Access::Nothing => "nothing".to_owned(),
        Access::Whole => "whole".to_owned(),
    };
    match target.order {
        ReadOrder::Any => {}
        ReadOrder::Forward => text += " forward",
        ReadOrder::Backward => text += " backward",
    }
    if target.bound == RowBound::Limit {
        text += " limited";
    }
    text
}

/// What is decided about a statement, in one line.
fn decided(text: &str, catalog: &Catalog) -> String {
    let bound = bind(text, catalog, &[]);
    let mut line = bound.path.to_string();
    let (target, filter) = match &bound.statement {
        Statement::Select(select) => match &select.short {
            Some(short) => {
                if !short.sort.is_empty() {
                    line += " sort";
                }
                (short.source.as_ref(), short.filter.as_ref())
            }
            None => (None, None),
        },
        Statement::Update(update) => {
            if update.deferred == Deferred::Possible {
                line += " deferred";
            }
            (Some(&update.target), update.filter.as_ref())
        }
        Statement::Delete(delete) => (Some(&delete.target), delete.filter.as_ref()),
        _ => (None, None),
    };
    if let Some(target) = target {
        line += &format!(" | {}", way(target));
    }
    if filter.is_some() {
        line += " + filter";
    }
    line
}

fn check(cases: &[(&str, &str)]) {
    let catalog = catalog();
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(statement, expected)| {
            let found = decided(statement, &catalog);
            (found != *expected).then(|| format!("{statement}\n  {found}\n  expected: {expected}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn whole_keys_are_points() {
    check(&[
        ("select * from t where id = 5", "path: oltp (point, 1 shard) | points [5]"),
        ("select * from t where 5 = id", "path: oltp (point, 1 shard) | points [5]"),
        ("select b from t where id = $1", "path: oltp (point, 1 shard) | points [$1]"),
        ("select * from t where id = '7'", "path: oltp (point, 1 shard) | points [7]"),
        ("select * from t where id in (1, 2, 3)", "path: oltp (3 points) | points [1][2][3]"),
        ("select * from t where id = 1 or id = 2", "path: oltp (2 points) | points [1][2]"),
        (
            "select * from t where id = 1 and b = 'x'",
            "path: oltp (point, 1 shard) | points [1] + filter",
        ),
        (
            "select * from t where id = 1 and id = 2",
            "path: oltp (point, 1 shard) | points [1] + filter",
        ),
        ("select * from t where id = 1 and true", "path: oltp (point, 1 shard) | points [1]"),
        (
            "select * from t where id = 1 order by b limit 1",
            "path: oltp (point, 1 shard) | points [1]",
        ),
        (
            "select * from t where id in (1, 2) order by b",
            "path: oltp (2 points) sort | points [1][2]",
        ),
        ("select * from t where id = 1 for update", "path: oltp (point, 1 shard) | points [1]"),
        (
            "select * from e where bucket = 'x' and shard in (1, 2) and event_id = $1",
            "path: oltp (2 points) | points ['x',1,$1]['x',2,$1]",
        ),
        ("select * from o where a = 1 and b = 2", "path: oltp (point, 1 shard) | points [1,2]"),
        ("select * from t where id = null", "path: oltp (0 points) | nothing"),
        ("select * from t where false", "path: oltp (0 points) | nothing"),
        ("select * from t where id = 99999999999", "path: oltp (0 points) | nothing"),
        ("select * from t where id = 5::int8", "path: oltp (point, 1 shard) | points [5]"),
        ("select * from t where id = $1::int8", "path: oltp (point, 1 shard) | points [case]"),
        ("select * from w where id = 5", "path: oltp (point, 1 shard) | points [5l]"),
        (
            "select * from w where id = $1::int4",
            "path: oltp (point, 1 shard) | points [$1::bigint]",
        ),
        ("select * from t where id = 1 + 1", "path: oltp (point, 1 shard) | points [f(1,1)]"),
    ]);
}

#[test]
fn what_is_no_point() {
    check(&[
        ("select * from t where id = 5.0", "path: olap (no condition fixes the key)"),
        ("select * from t where id = a", "path: olap (no condition fixes the key)"),
        ("select * from t where id + 1 = 5", "path: olap (no condition fixes the key)"),
        ("select * from t where id <> 5", "path: olap (no condition fixes the key)"),
        ("select * from t where id not in (5)", "path: olap (no condition fixes the key)"),
        ("select * from t where id = 5 or a = 5", "path: olap (no condition fixes the key)"),
        ("select * from t where not id = 5", "path: olap (no condition fixes the key)"),
        ("select * from t where b = 'x'", "path: olap (no condition fixes the key)"),
        ("select * from t", "path: olap (no condition fixes the key)"),
        ("select * from h where x = 1", "path: olap (no condition fixes the key)"),
        ("select * from t where id = (select 1)", "path: olap (subquery)"),
        ("select * from t x join t y on x.id = y.id", "path: olap (join)"),
        ("select count(*) from t where id = 1", "path: olap (aggregate)"),
        ("select a from t where id = 1 union select 1", "path: olap (set operation)"),
        ("select distinct a from t where id = 1", "path: olap (DISTINCT)"),
        ("select row_number() over () from t", "path: olap (window function)"),
        ("with q as (select 1) select * from q", "path: olap (WITH query)"),
        ("select * from generate_series(1, 5)", "path: olap (set-returning function)"),
        ("select relname from pg_class", "path: olap (catalog)"),
        ("select 1", "path: oltp (no table)"),
        ("select 1 where 1 = 2", "path: oltp (no table) + filter"),
        ("select now(), $1::int4", "path: oltp (no table)"),
    ]);
}

#[test]
fn neighbours_are_ranges() {
    check(&[
        ("select * from l where user_id = 1", "path: oltp (key range, 1 shard) | range [1l]"),
        (
            "select * from l where user_id = 1 order by seq desc limit 10",
            "path: oltp (key range, 1 shard) | range [1l] backward limited",
        ),
        (
            "select * from l where user_id = 1 and seq > 5 order by seq limit 10",
            "path: oltp (key range, 1 shard) | range [1l >5l] forward limited",
        ),
        (
            "select * from l where user_id = 1 and seq between 5 and 9",
            "path: oltp (key range, 1 shard) | range [1l >=5l <=9l]",
        ),
        (
            "select * from l where user_id = 1 and seq >= 5 and seq > 7",
            "path: oltp (key range, 1 shard) | range [1l >=5l] + filter",
        ),
        (
            "select * from l where user_id = 1 and v = 'x' order by user_id, seq limit 1",
            "path: oltp (key range, 1 shard) | range [1l] forward + filter",
        ),
        (
            "select * from l where user_id = 1 order by v limit 1",
            "path: oltp (key range, 1 shard) sort | range [1l]",
        ),
        (
            "select * from e where bucket = $1 and shard = $2 limit 3",
            "path: oltp (key range, 1 shard) | range [$1,$2] limited",
        ),
        ("select * from e where bucket = 'x'", "path: olap (no condition fixes the key)"),
        ("select * from o where a = 1", "path: olap (no condition fixes the key)"),
        ("select * from l where seq = 1", "path: olap (no condition fixes the key)"),
    ]);
}

#[test]
fn indexes_are_used_by_prefix() {
    check(&[
        ("select * from i where x = 1", "path: oltp (index, all shards) | index 0 [1]"),
        (
            "select * from i where x = 1 and y = 'a'",
            "path: oltp (index, all shards) | index 0 [1,'a']",
        ),
        (
            "select * from i where x = 1 and y > 'a'",
            "path: oltp (index, all shards) | index 0 [1 >'a'] + filter",
        ),
        ("select * from i where z = 3", "path: oltp (index, all shards) | index 1 [3]"),
        ("select * from i where z > 3", "path: olap (no condition fixes the key)"),
        ("select * from i where y = 'a'", "path: olap (no condition fixes the key)"),
        (
            "select * from i where id = 1 and x = 1",
            "path: oltp (point, 1 shard) | points [1] + filter",
        ),
        (
            "select * from i where x = 1 order by id limit 5",
            "path: oltp (index, all shards) sort | index 0 [1]",
        ),
    ]);
}

#[test]
fn changes_are_short_when_their_rows_are_named() {
    check(&[
        (
            "update t set a = a + $1 where id = $2",
            "path: oltp (point, 1 shard) deferred | points [$2]",
        ),
        (
            "update t set a = 1, b = b || 'x' where id = 1",
            "path: oltp (point, 1 shard) deferred | points [1]",
        ),
        ("update t set a = 1 where id = 1 returning a", "path: oltp (point, 1 shard) | points [1]"),
        (
            "update t set a = 1 where id = 1 and b = 'x'",
            "path: oltp (point, 1 shard) | points [1] + filter",
        ),
        ("update t set id = 2 where id = 1", "path: oltp (point, 1 shard) | points [1]"),
        ("update t set a = 1 where id in (1, 2)", "path: oltp (2 points) | points [1][2]"),
        (
            "update t set a = random()::int4 where id = 1",
            "path: oltp (point, 1 shard) | points [1]",
        ),
        ("update i set x = 1 where id = 1", "path: oltp (point, 1 shard) | points [1]"),
        ("update t set a = 1", "path: olap (rows to change are found by reading) | whole"),
        (
            "update t set a = 1 where b = 'x'",
            "path: olap (rows to change are found by reading) | whole",
        ),
        (
            "update t set a = (select max(x) from h) where id = 1",
            "path: olap (rows to change are found by reading) | whole",
        ),
        (
            "update t set a = h.x from h where t.id = 1",
            "path: olap (rows to change are found by reading) | whole",
        ),
        ("delete from t where id = 1", "path: oltp (point, 1 shard) | points [1]"),
        ("delete from l where user_id = 1", "path: oltp (key range, 1 shard) | range [1l]"),
        (
            "delete from i where x = 1 and z = 2",
            "path: oltp (index, all shards) | index 0 [1] + filter",
        ),
        ("delete from h", "path: olap (rows to change are found by reading) | whole"),
        ("insert into t values (1, 2, 'x')", "path: oltp (insert)"),
        ("insert into t select * from t", "path: olap (no condition fixes the key)"),
    ]);
}
