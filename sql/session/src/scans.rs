//! Which tables a query scans, so that the session can hand over what only it knows of them.

use std::sync::Arc;

use plan::catalog::VirtualTable;
use plan::query::{Query, Rel, Subqueries, WithBody};
use types::TableSchema;

/// What a query scans.
#[derive(Clone, Debug, Default)]
pub struct Scans {
    /// Stored tables, each once.
    pub tables: Vec<Arc<TableSchema>>,
    /// Computed tables.
    pub virtual_tables: Vec<VirtualTable>,
}

/// Everything that a query and the subqueries of its statement scan.
pub fn scans(query: &Query, subqueries: &Subqueries) -> Scans {
    let mut scans = Scans::default();
    visit(&query.root, &mut scans);
    for query in &subqueries.queries {
        visit(&query.root, &mut scans);
    }
    for with in &subqueries.with {
        match &with.body {
            WithBody::Plain(rel) => visit(rel, &mut scans),
            WithBody::Recursive { start, step, .. } => {
                visit(start, &mut scans);
                visit(step, &mut scans);
            }
        }
    }
    scans
}

fn visit(rel: &Rel, scans: &mut Scans) {
    match rel {
        Rel::Scan(scan) => {
            let storage = scan.table.storage_id;
            if !scans.tables.iter().any(|table| table.storage_id == storage) {
                scans.tables.push(scan.table.clone());
            }
        }
        Rel::VirtualScan(scan) => {
            if !scans.virtual_tables.contains(&scan.table) {
                scans.virtual_tables.push(scan.table);
            }
        }
        Rel::OneRow
        | Rel::Values { .. }
        | Rel::FunctionScan(_)
        | Rel::WithScan { .. }
        | Rel::WorkTable { .. } => {}
        Rel::Project { input, .. }
        | Rel::ProjectSet { input, .. }
        | Rel::Filter { input, .. }
        | Rel::Window { input, .. }
        | Rel::Sort { input, .. }
        | Rel::Limit { input, .. }
        | Rel::Distinct { input, .. } => visit(input, scans),
        Rel::Aggregate(aggregate) => visit(&aggregate.input, scans),
        Rel::Join(join) => {
            visit(&join.left, scans);
            visit(&join.right, scans);
        }
        Rel::SetOperation { left, right, .. } => {
            visit(left, scans);
            visit(right, scans);
        }
    }
}
