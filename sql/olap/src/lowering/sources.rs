//! Relations without an input: tables, literal rows, functions, WITH queries.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::common::{Column, DFSchema, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{EmptyRelation, Expr as EngineExpr, LogicalPlan, TableScanBuilder};
use functions::{Expr, evaluate};
use plan::query::{FunctionScan, Rel, Scan, SetFunction, VirtualScan, WithBody};
use types::{ColumnType, SqlType, Value};

use super::domain::Domain;
use super::subqueries::free_of_outers;
use super::{Lowering, Relation, Result, free_outers, project};
use crate::error::AnalyticsError;
use crate::operators::{Expansion, OwnNode, SetCall, Shape};
use crate::physical::{ColumnBuilder, field};

/// The qualifier of all scans; columns are told apart by their names.
const SCAN: &str = "scan";

/// The batch of literal rows.
pub(crate) fn batch_of(
    schema: &SchemaRef,
    types: &[SqlType],
    rows: impl IntoIterator<Item = impl AsRef<[Value]>>,
) -> Result<RecordBatch> {
    let mut builders: Vec<ColumnBuilder> =
        types.iter().map(|sql_type| ColumnBuilder::new(*sql_type, 0)).collect();
    let mut count = 0;
    for row in rows {
        for (builder, value) in builders.iter_mut().zip(row.as_ref()) {
            builder.push(value)?;
        }
        count += 1;
    }
    let columns = builders.into_iter().map(ColumnBuilder::finish).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(count));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
}

/// A schema of columns `c0`, `c1`, ….
pub(crate) fn schema_of(types: &[SqlType]) -> SchemaRef {
    let fields: Vec<_> =
        types.iter().enumerate().map(|(at, sql_type)| field(format!("c{at}"), *sql_type)).collect();
    Arc::new(Schema::new(fields))
}

impl Lowering<'_> {
    pub(super) fn one_row(&self) -> Relation {
        let plan = LogicalPlan::EmptyRelation(EmptyRelation {
            produce_one_row: true,
            schema: Arc::new(DFSchema::empty()),
        });
        Relation { plan, columns: Vec::new(), types: Vec::new(), carried: None }
    }

    /// All columns of a provider, under fresh names, restricted by filters over them.
    fn provided(
        &self,
        provider: Arc<dyn TableProvider>,
        types: Vec<SqlType>,
        filters: &[Expr],
    ) -> Result<Relation> {
        let table = TableReference::bare(SCAN);
        let source = provider_as_source(provider);
        let schema = source.schema();
        let scanned: Vec<Column> = schema
            .fields()
            .iter()
            .map(|field| Column::new(Some(table.clone()), field.name()))
            .collect();
        let view = Relation {
            plan: self.one_row().plan,
            columns: scanned.clone(),
            types: types.clone(),
            carried: None,
        };
        let mut pushed = Vec::with_capacity(filters.len());
        for filter in filters {
            pushed.push(self.scalar(filter, &view, None)?);
        }
        let never = pushed.iter().any(|filter| matches!(filter, EngineExpr::Literal(..)));
        let scan_filters = if never { Vec::new() } else { pushed.clone() };
        let scan = TableScanBuilder::new(table, source).with_filters(scan_filters).build()?;
        let mut plan = LogicalPlan::TableScan(scan);
        if never {
            for filter in pushed {
                plan = super::filter(plan, filter)?;
            }
        }
        let names: Vec<String> = scanned.iter().map(|_| self.name()).collect();
        let renamed = scanned
            .into_iter()
            .zip(&names)
            .map(|(column, name)| EngineExpr::Column(column).alias(name))
            .collect();
        Ok(Relation {
            plan: project(plan, renamed)?,
            columns: names.into_iter().map(Column::new_unqualified).collect(),
            types,
            carried: None,
        })
    }

    pub(super) fn scan(&self, scan: &Scan, filters: Vec<Expr>) -> Result<Relation> {
        let provider = self.sources.table(&scan.table, &scan.columns)?;
        let types = scan
            .columns
            .iter()
            .map(|position| scan.table.columns[usize::from(*position)].column_type.sql_type)
            .collect();
        self.provided(provider, types, &filters)
    }

    pub(super) fn virtual_scan(&self, scan: &VirtualScan) -> Result<Relation> {
        let provider = self.sources.virtual_table(scan.table, &scan.columns)?;
        let columns = scan.table.columns();
        let types = scan.columns.iter().map(|at| columns[usize::from(*at)].sql_type).collect();
        self.provided(provider, types, &[])
    }

    /// Rows that are known now.
    fn in_memory(&self, types: Vec<SqlType>, rows: Vec<Vec<Value>>) -> Result<Relation> {
        let schema = schema_of(&types);
        let batch = batch_of(&schema, &types, rows)?;
        let table = MemTable::try_new(schema, vec![vec![batch]])?;
        self.provided(Arc::new(table), types, &[])
    }

    pub(super) fn values(
        &self,
        types: &[ColumnType],
        rows: &[Vec<Expr>],
        domain: Option<&Domain>,
    ) -> Result<Relation> {
        let types: Vec<SqlType> = types.iter().map(|column_type| column_type.sql_type).collect();
        let rows: Vec<Vec<Expr>> = rows
            .iter()
            .map(|row| row.iter().map(|value| self.substitute(value)).collect())
            .collect();
        let known = rows.iter().flatten().all(|value| !value.needs_query());
        if known && !types.is_empty() {
            let context = self.context.borrow();
            let mut values = Vec::with_capacity(rows.len());
            for row in &rows {
                let row = row
                    .iter()
                    .map(|value| evaluate(value, &[], &self.context.parameters, &context))
                    .collect::<Result<Vec<Value>, _>>()?;
                values.push(row);
            }
            return self.in_memory(types, values);
        }
        let mut result: Option<Relation> = None;
        for row in &rows {
            let relation = self.projected(self.one_row(), row, domain)?;
            result = Some(match result {
                Some(before) => self.union(before, relation, domain)?,
                None => relation,
            });
        }
        result.ok_or_else(|| AnalyticsError::not_supported("VALUES without rows"))
    }

    pub(super) fn function_scan(
        &self,
        scan: &FunctionScan,
        domain: Option<&Domain>,
    ) -> Result<Relation> {
        let functions = std::slice::from_ref(&scan.function);
        let relation = self.expanded(self.one_row(), functions, domain)?;
        if !scan.ordinality {
            return Ok(relation);
        }
        let partition = relation.carried.iter().map(|carried| carried.key.clone()).collect();
        let (mut relation, number) = self.row_numbers(relation, partition, Vec::new())?;
        relation.columns.push(number);
        relation.types.push(SqlType::Int8);
        Ok(relation)
    }

    pub(super) fn project_set(
        &self,
        input: &Rel,
        functions: &[SetFunction],
        domain: Option<&Domain>,
    ) -> Result<Relation> {
        let relation = self.plain(input, domain)?;
        self.expanded(relation, functions, domain)
    }

    fn expanded(
        &self,
        relation: Relation,
        functions: &[SetFunction],
        domain: Option<&Domain>,
    ) -> Result<Relation> {
        let width = relation.columns.len();
        let arguments: Vec<Expr> =
            functions.iter().flat_map(|function| function.arguments.iter().cloned()).collect();
        let (mut relation, arguments) = self.with_subqueries(relation, arguments, domain)?;
        debug_assert!(arguments.iter().all(free_of_outers) || relation.carried.is_some());
        let scalars = arguments
            .iter()
            .map(|argument| self.scalar(argument, &relation, domain))
            .collect::<Result<Vec<EngineExpr>>>()?;
        let reads = self.extend(&mut relation, scalars)?;
        relation.columns.truncate(width);
        relation.types.truncate(width);
        let mut arguments = arguments.iter().map(Expr::sql_type);
        let calls: Vec<SetCall> = functions
            .iter()
            .map(|function| SetCall {
                kind: function.kind,
                arguments: arguments.by_ref().take(function.arguments.len()).collect(),
                output: function.column_type.sql_type,
            })
            .collect();
        let names: Vec<String> = calls.iter().map(|_| self.name()).collect();
        let appended =
            names.iter().zip(&calls).map(|(name, call)| field(name.clone(), call.output)).collect();
        relation.types.extend(calls.iter().map(|call| call.output));
        relation.columns.extend(names.into_iter().map(Column::new_unqualified));
        let expansion = Expansion { calls, context: self.context.clone() };
        let shape = Shape::Expand(Arc::new(expansion));
        relation.plan = OwnNode::plan(relation.plan, shape, reads, appended)?;
        Ok(relation)
    }

    pub(super) fn with_scan(&self, index: usize, types: &[ColumnType]) -> Result<Relation> {
        let types: Vec<SqlType> = types.iter().map(|column_type| column_type.sql_type).collect();
        if let Some(rows) = self.sources.with(index) {
            return self.provided(rows, types, &[]);
        }
        match &self.subqueries.with[index].body {
            WithBody::Plain(body) if free_outers(body, self.subqueries).is_empty() => {
                self.filtered(body, Vec::new(), None)
            }
            _ => Err(AnalyticsError::not_supported("a WITH query that reads an outer row")),
        }
    }

    pub(super) fn work_table(&self, index: usize, types: &[ColumnType]) -> Result<Relation> {
        let types = types.iter().map(|column_type| column_type.sql_type).collect();
        match self.sources.work_table(index) {
            Some(rows) => self.provided(rows, types, &[]),
            None => Err(AnalyticsError::not_supported(
                "a recursive reference outside the recursive term",
            )),
        }
    }
}
