//! Every query that clients send of their own accord, recorded in `catalog_queries/*.sql`, is understood.

use functions::EvalContext;
use plan::catalog::{Catalog, CatalogChange, SearchPath};
use std::path::Path;
use std::sync::Arc;
use types::key::{KeyOrder, Nulls};
use types::schema::{KeyColumn, Partitioning};
use types::{
    ColumnId, ColumnSchema, ColumnType, SchemaVersion, SqlState, SqlType, TableId, TableSchema,
    Value,
};

/// (file and number, text) of every recorded statement.
fn statements() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/catalog_queries");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("a readable entry").path())
        .collect();
    paths.sort();
    let mut statements = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("a text");
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let parts = text.split("\n;\n").filter(|part| !part.trim().is_empty());
        let numbered = parts.zip(1..);
        statements
            .extend(numbered.map(|(part, number)| (format!("{name} #{number}"), part.to_owned())));
    }
    statements
}

/// What clients ask for although no server need have it: the answer is 0A000, and they go on or say so.
fn is_not_built(text: &str) -> bool {
    let starts = ["LOCK TABLE", "SAVEPOINT", "ROLLBACK TO SAVEPOINT"];
    starts.iter().any(|start| text.lines().any(|line| line.starts_with(start)))
}

#[test]
fn every_query_parses() {
    let statements = statements();
    assert!(statements.len() > 290);
    let mut failures = Vec::new();
    for (name, text) in &statements {
        match plan::parse::parse(text) {
            Ok(parsed) => assert_eq!(parsed.len(), 1, "{name}"),
            Err(error) if is_not_built(text) => {
                assert_eq!(error.state, SqlState::FEATURE_NOT_SUPPORTED, "{name}");
            }
            Err(error) => failures.push(format!("{name}: {error}")),
        }
    }
    assert!(failures.is_empty(), "{} of {}: {failures:#?}", failures.len(), statements.len());
}

fn table(id: u32, (namespace, name): (&str, &str), columns: &[(&str, SqlType)]) -> CatalogChange {
    let column = |(position, (name, sql_type)): (usize, &(&str, SqlType))| ColumnSchema {
        id: ColumnId(position as u16),
        name: (*name).into(),
        column_type: ColumnType::plain(*sql_type),
        not_null: position == 0,
        default: None,
        missing: Value::Null,
        dropped: false,
        hidden: false,
        sequence: None,
    };
    let order = KeyOrder { descending: false, nulls: Nulls::Never };
    CatalogChange::PutTable(Arc::new(TableSchema {
        table_id: TableId(id),
        storage_id: TableId(id),
        version: SchemaVersion(1),
        namespace: namespace.into(),
        name: name.into(),
        columns: columns.iter().enumerate().map(column).collect(),
        key: vec![KeyColumn { position: 0, order }],
        primary_key: Some(format!("{name}_pkey").into()),
        partitioning: Partitioning::Hash { columns: 1 },
        indexes: Vec::new(),
        checks: Vec::new(),
    }))
}

/// The tables that the recorded statements name.
fn catalog() -> Catalog {
    use SqlType::{Bpchar, Int4, Int8, Numeric, Text, Timestamp, Varchar};
    let public = |name| ("public", name);
    let changes = [
        CatalogChange::PutSchema { name: "shop".into(), oid: 16_400 },
        table(
            16_401,
            public("accounts"),
            &[("id", Int8), ("owner", Varchar), ("balance", Numeric), ("note", Text)],
        ),
        table(
            16_402,
            public("pgbench_accounts"),
            &[("aid", Int4), ("bid", Int4), ("abalance", Int4), ("filler", Bpchar)],
        ),
        table(
            16_403,
            public("pgbench_branches"),
            &[("bid", Int4), ("bbalance", Int4), ("filler", Bpchar)],
        ),
        table(
            16_404,
            public("pgbench_tellers"),
            &[("tid", Int4), ("bid", Int4), ("tbalance", Int4), ("filler", Bpchar)],
        ),
        table(
            16_405,
            public("pgbench_history"),
            &[
                ("tid", Int4),
                ("bid", Int4),
                ("aid", Int4),
                ("delta", Int4),
                ("mtime", Timestamp),
                ("filler", Bpchar),
            ],
        ),
        table(16_406, ("shop", "orders"), &[("id", Int4)]),
    ];
    Catalog::initial().apply(SchemaVersion(1), &changes)
}

/// What the binder still answers. A line goes when what it names is built; none may come.
const NOT_BOUND_YET: &[&str] = &[
    "cannot cast type regclass to text",
    "function acldefault",
    "function pg_get_function_sqlbody",
    "function pg_options_to_table",
    "function pg_partition_tree",
    "function pg_tablespace_size",
    "function pg_timezone_names",
    "function ts_token_type",
    "type \"int4range\"",
    "type \"pg_catalog.trigger\"",
    "type \"regoperator\"",
    "type \"regprocedure\"",
];

#[test]
fn every_query_binds() {
    let statements = statements();
    let known = catalog();
    // What pgbench makes and drops is made and dropped.
    let mut made = Catalog::initial();
    let mut next_id = 20_000;
    let mut failures = Vec::new();
    let mut stale: Vec<&str> = NOT_BOUND_YET.to_vec();
    for (name, text) in &statements {
        let Ok(parsed) = plan::parse::parse(text) else { continue };
        let initial = name.starts_with("pgbench_init");
        let input = plan::BindInput {
            text,
            catalog: if initial { &made } else { &known },
            search_path: &SearchPath::default(),
            context: EvalContext::PURE,
            parameters: &[],
        };
        match plan::bind(&parsed[0], &input) {
            Ok(bound) => {
                if let plan::statement::Statement::Ddl(ddl) = &bound.statement
                    && initial
                {
                    let outcome = plan::ddl::changes(ddl, &made, &mut next_id).expect(name);
                    made = made.apply(SchemaVersion(u64::from(next_id)), &outcome.changes);
                }
            }
            Err(error) if NOT_BOUND_YET.iter().any(|known| error.message.starts_with(known)) => {
                stale.retain(|known| !error.message.starts_with(known));
            }
            Err(error) => failures.push(format!("{name}: {error}")),
        }
    }
    assert!(failures.is_empty(), "{} of {}: {failures:#?}", failures.len(), statements.len());
    assert!(stale.is_empty(), "these bind now: {stale:?}");
}
