//! A table of a snapshot as the engine below sees it: columns, filters and a limit go in, an execution plan comes out.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use datafusion::physical_plan::ExecutionPlan;
use snapshot::TableSnapshot;
use sstable::{ColumnSpec, Predicate};
use types::{SqlType, Timestamp};

use crate::column_cache::ColumnCache;
use crate::fetch::{Reading, schema_of_positions};
use crate::physical::field;
use crate::pruning::predicate_of;
use crate::snapshot_exec::SnapshotExec;
use crate::split::Splitting;
use crate::statistics::Counters;

/// Some columns of one table of a snapshot, named `c0`, `c1`, ….
#[derive(Debug)]
pub(crate) struct SnapshotTable {
    pub(crate) table: TableSnapshot,
    pub(crate) at: Timestamp,
    /// Stored positions.
    pub(crate) columns: Vec<u16>,
    pub(crate) schema: SchemaRef,
    pub(crate) cache: Arc<ColumnCache>,
    pub(crate) counters: Arc<Counters>,
}

impl SnapshotTable {
    pub(crate) fn new(
        table: TableSnapshot,
        at: Timestamp,
        columns: Vec<u16>,
        cache: Arc<ColumnCache>,
        counters: Arc<Counters>,
    ) -> SnapshotTable {
        let fields: Vec<_> = columns
            .iter()
            .enumerate()
            .map(|(index, position)| {
                let column = &table.schema.columns[usize::from(*position)];
                field(format!("c{index}"), column.column_type.sql_type)
            })
            .collect();
        let schema = Arc::new(Schema::new(fields));
        SnapshotTable { table, at, columns, schema, cache, counters }
    }

    fn position(&self, name: &str) -> Option<(u16, SqlType)> {
        let index = self.schema.index_of(name).ok()?;
        let position = self.columns[index];
        let column = &self.table.schema.columns[usize::from(position)];
        Some((position, column.column_type.sql_type))
    }

    fn specs(&self) -> Vec<ColumnSpec> {
        let columns = self.table.schema.columns.iter();
        columns
            .map(|column| ColumnSpec {
                id: column.id,
                sql_type: column.column_type.sql_type,
                missing: column.missing.clone(),
            })
            .collect()
    }

    fn reading(&self, projection: Option<&Vec<usize>>, filters: &[Expr]) -> Result<Reading> {
        let columns = self.specs();
        let output: Vec<u16> = match projection {
            Some(indices) => indices.iter().map(|index| self.columns[*index]).collect(),
            None => self.columns.clone(),
        };
        let schema = match projection {
            Some(indices) => Arc::new(self.schema.project(indices)?),
            None => self.schema.clone(),
        };
        let mut names: Vec<String> = Vec::new();
        let mut filtered = Vec::new();
        for column in filters.iter().flat_map(|filter| filter.column_refs()) {
            if let Some((position, _)) = self.position(&column.name)
                && !names.contains(&column.name)
            {
                names.push(column.name.clone());
                filtered.push(position);
            }
        }
        let filter_schema = schema_of_positions(&columns, &filtered, &names);
        let seen = DFSchema::try_from(filter_schema.as_ref().clone())?;
        let (properties, planning) = (ExecutionProps::new(), PhysicalPlanningContext::default());
        let conditions = filters
            .iter()
            // Not the session's way to make them, which coerces types and simplifies.
            .map(|filter| create_physical_expr(filter, &seen, &properties, &planning))
            .collect::<Result<Vec<Arc<dyn PhysicalExpr>>>>()?;
        let predicates: Vec<Predicate> = filters
            .iter()
            .map(|filter| predicate_of(filter, &|name| self.position(name)))
            .collect();
        let predicate = match predicates.len() {
            0 => Predicate::Always,
            _ => Predicate::And(predicates),
        };
        Ok(Reading {
            columns,
            filtered,
            conditions,
            filter_schema,
            output,
            schema,
            predicate,
            at: self.at,
            cache: self.cache.clone(),
            counters: self.counters.clone(),
        })
    }
}

#[async_trait]
impl TableProvider for SnapshotTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Exact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let reading = self.reading(projection, filters)?;
        let splitting =
            Splitting { at: self.at, predicate: &reading.predicate, counters: &self.counters };
        let units = splitting.units(&self.table);
        let partitions = state.config().target_partitions();
        Ok(Arc::new(SnapshotExec::new(reading, units, partitions, limit)))
    }
}
