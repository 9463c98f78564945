//! EXPLAIN: which path runs a statement and why, how its rows are reached, and with ANALYZE what it cost.

use std::sync::Arc;

use functions::Expr;
use plan::classify::Path;
use plan::point_plan::Access;
use plan::query::{Rel, WithBody};
use plan::statement::{BoundStatement, Explain, ExplainFormat, Statement, TableAccess};
use types::Value;

use crate::analytics::{QueryPart, RowStream, query_of};
use crate::compiled::Compiled;
use crate::error::SqlError;
use crate::node::Node;
use crate::output::Output;
use crate::session::Session;

/// What ANALYZE found out.
#[derive(Default)]
struct Analysed {
    row_count: u64,
    elapsed_micros: i64,
    cost: Option<crate::analytics::QueryCost>,
}

impl<N: Node> Session<N> {
    /// The lines of EXPLAIN.
    pub(crate) async fn explain<O: Output>(
        &mut self,
        explain: &Explain,
        compiled: &Arc<Compiled>,
        parameters: Vec<Value>,
        out: &mut O,
    ) -> Result<Vec<String>, SqlError> {
        let inner = &explain.inner;
        let mut lines = vec![inner.path.to_string()];
        lines.extend(tree(inner));
        let analysed = if explain.analyze {
            Some(self.analyse_inner(explain, compiled, parameters, out).await?)
        } else {
            None
        };
        if let Some(analysed) = &analysed {
            lines.push(format!("rows: {}", analysed.row_count));
            if let Some(cost) = &analysed.cost {
                lines.push(format!(
                    "read: {} rows, {} bytes, {} files ({} pruned)",
                    cost.rows_read, cost.bytes_read, cost.files_read, cost.files_pruned
                ));
                lines.push(format!("snapshot: waited {} us", cost.snapshot_wait_micros));
                lines.push(format!("memory: {} bytes at most", cost.memory_bytes_peak));
            }
            lines.push(format!("elapsed: {:.3} ms", analysed.elapsed_micros as f64 / 1e3));
        }
        match explain.format {
            ExplainFormat::Text => Ok(lines),
            ExplainFormat::Json => Ok(vec![json(&lines)]),
        }
    }

    async fn analyse_inner<O: Output>(
        &mut self,
        explain: &Explain,
        compiled: &Arc<Compiled>,
        parameters: Vec<Value>,
        out: &mut O,
    ) -> Result<Analysed, SqlError> {
        let source = compiled.source.clone();
        let catalog = self.catalog();
        let slices = oltp::Engine::slices(self.node.engine());
        let inner = Arc::new(Compiled::new(explain.inner.clone(), source, &catalog, slices));
        let start = self.node.wall_micros();
        let mut analysed = Analysed::default();
        match &inner.bound.statement {
            Statement::Select(select) if select.short.is_some() => {
                let rows = self.short_rows(&inner, parameters).await?;
                analysed.row_count = rows as u64;
            }
            Statement::Select(_) => {
                let part = QueryPart::Select;
                let mut stream = self.analyse(&inner, part, parameters, out).await?;
                while let Some(rows) = self.interruptible(stream.next(), out).await?? {
                    analysed.row_count += rows.len() as u64;
                }
                analysed.cost = Some(stream.cost());
            }
            Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) => {
                analysed.row_count = self.modify(&inner, parameters, out).await?.row_count;
            }
            _ => {}
        }
        analysed.elapsed_micros = self.node.wall_micros() - start;
        Ok(analysed)
    }
}

/// The plan as indented lines.
fn tree(bound: &BoundStatement) -> Vec<String> {
    let mut lines = Vec::new();
    let access = match &bound.statement {
        Statement::Select(select) if matches!(bound.path, Path::Oltp(_)) => {
            select.short.as_ref().and_then(|short| short.source.as_ref())
        }
        Statement::Update(update) if !is_whole(&update.target) => Some(&update.target),
        Statement::Delete(delete) if !is_whole(&delete.target) => Some(&delete.target),
        _ => None,
    };
    if let Some(access) = access {
        lines.push(format!("  {}", describe_access(access)));
        return lines;
    }
    let parts = [QueryPart::Select, QueryPart::Footprint, QueryPart::Source, QueryPart::CopyOut];
    for part in parts {
        let Some((query, subqueries)) = query_of(bound, part) else { continue };
        relation(&query.root, 1, &mut lines);
        for (index, with) in subqueries.with.iter().enumerate() {
            lines.push(format!("  with {index} {}", with.name));
            match &with.body {
                WithBody::Plain(body) => relation(body, 2, &mut lines),
                WithBody::Recursive { start, step, .. } => {
                    relation(start, 2, &mut lines);
                    relation(step, 2, &mut lines);
                }
            }
        }
        for (index, query) in subqueries.queries.iter().enumerate() {
            lines.push(format!("  subquery {index}"));
            relation(&query.root, 2, &mut lines);
        }
    }
    lines
}

fn is_whole(target: &TableAccess) -> bool {
    matches!(target.access, Access::Whole)
}

fn describe_access(access: &TableAccess) -> String {
    let table = &access.table.name;
    match &access.access {
        Access::Points(keys) if keys.len() == 1 => format!("point read of {table}"),
        Access::Points(keys) => format!("{} point reads of {table}", keys.len()),
        Access::Among(_) => format!("point reads of {table}, by the elements of an array"),
        Access::KeyRange(range) => {
            format!("key range of {table}, {} columns equal", range.equal.len())
        }
        Access::IndexRange { index, range } => format!(
            "index {} of {table}, {} columns equal",
            access.table.indexes[*index].name,
            range.equal.len()
        ),
        Access::Nothing => "no rows: the condition is never true".into(),
        Access::Whole => format!("whole table {table}"),
    }
}

fn relation(rel: &Rel, depth: usize, lines: &mut Vec<String>) {
    let mut line = |text: String| lines.push(format!("{}{text}", "  ".repeat(depth)));
    let columns =
        |count: usize| if count == 1 { "1 column".into() } else { format!("{count} columns") };
    match rel {
        Rel::OneRow => line("one row".into()),
        Rel::Scan(scan) => {
            line(format!("scan {} ({})", scan.table.name, columns(scan.columns.len())));
        }
        Rel::VirtualScan(scan) => line(format!("scan {}", scan.table.name())),
        Rel::Values { rows, .. } => line(format!("{} literal rows", rows.len())),
        Rel::FunctionScan(scan) => line(format!("function {:?}", scan.function.kind)),
        Rel::WithScan { index, .. } => line(format!("scan of with {index}")),
        Rel::WorkTable { index, .. } => line(format!("work table of with {index}")),
        Rel::Project { input, expressions } => {
            line(format!("project ({})", columns(expressions.len())));
            relation(input, depth + 1, lines);
        }
        Rel::ProjectSet { input, .. } => {
            line("project sets".into());
            relation(input, depth + 1, lines);
        }
        Rel::Filter { input, condition } => {
            line(format!("filter ({} conditions)", conditions(condition)));
            relation(input, depth + 1, lines);
        }
        Rel::Join(join) => {
            line(format!("{:?} join", join.kind).to_lowercase());
            relation(&join.left, depth + 1, lines);
            relation(&join.right, depth + 1, lines);
        }
        Rel::Aggregate(aggregate) => {
            line(format!(
                "aggregate ({} keys, {} calls)",
                aggregate.keys.len(),
                aggregate.calls.len()
            ));
            relation(&aggregate.input, depth + 1, lines);
        }
        Rel::Window { input, calls } => {
            line(format!("window ({} calls)", calls.len()));
            relation(input, depth + 1, lines);
        }
        Rel::Sort { input, keys } => {
            line(format!("sort ({} keys)", keys.len()));
            relation(input, depth + 1, lines);
        }
        Rel::Limit { input, .. } => {
            line("limit".into());
            relation(input, depth + 1, lines);
        }
        Rel::Distinct { input, .. } => {
            line("distinct".into());
            relation(input, depth + 1, lines);
        }
        Rel::SetOperation { operation, all, left, right } => {
            let all = if *all { " all" } else { "" };
            line(format!("{operation:?}{all}").to_lowercase());
            relation(left, depth + 1, lines);
            relation(right, depth + 1, lines);
        }
    }
}

fn conditions(condition: &Expr) -> usize {
    match condition {
        Expr::And(parts) => parts.len(),
        _ => 1,
    }
}

fn json(lines: &[String]) -> String {
    let quoted: Vec<String> = lines
        .iter()
        .map(|line| format!("\"{}\"", line.replace('\\', "\\\\").replace('"', "\\\"")))
        .collect();
    format!("[{{\"Plan\": [{}]}}]", quoted.join(", "))
}
