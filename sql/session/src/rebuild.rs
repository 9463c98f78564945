//! Rows that a change of the schema makes: of CREATE TABLE AS, of a table that is built anew (ADD PRIMARY KEY), of a new index,
//! and checks of rows that are there.
//!
//! The rows are read at the transaction's snapshot, and COMMIT fails (40001, which the server tries again by itself) if anything
//! in the table has changed since: at
//! that moment the change is alone on the table. A few rows become ordinary writes of the transaction, so that its later statements see them; more of them go
//! over to sealed table files, and neither the rows read nor those made ever leave the background cores ([`BulkLoad::rest`]).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use functions::{EvalContext, Volatility, evaluate};
use oltp::{Engine, Surroundings, TableRows};
use plan::catalog::CatalogChange;
use plan::ddl::{Outcome, Work};
use plan::statement::{BoundCheck, BoundStatement, Ddl};
use types::schema::{Partitioning, make_row_id};
use types::{SqlState, TableId, TableSchema, Value};

use crate::analytics::{QueryPart, RowStream};
use crate::block::{Opener, State};
use crate::compiled::Compiled;
use crate::error::SqlError;
use crate::functions::SessionContext;
use crate::node::{BulkLoad, BulkRequest, Loaded, Node, ScanRequest, TableScan};
use crate::output::Output;
use crate::session::Session;

/// Rows and bytes up to which rows are written like those of an INSERT.
const SMALL_ROWS: usize = 4_096;
const SMALL_BYTES: usize = 1 << 20;
/// How long a change of the schema that others have beaten once holds back writers of its table.
const HOLD_MAX: Duration = Duration::from_secs(60);

/// What becomes of a row that is there.
#[derive(Debug)]
pub struct RowChange {
    /// The table as it is to be.
    pub to: TableRows,
    /// Stored positions and what they hold from now on, over the old row.
    values: Vec<(u16, functions::Expr)>,
    /// Over the old row: those for which it is not true go.
    keep: Option<functions::Expr>,
    /// Parameters of the statement.
    parameters: Vec<Value>,
    /// Conditions over the new row.
    checks: Vec<BoundCheck>,
    /// Stored positions that must not be NULL.
    not_null: BTreeSet<u16>,
    /// What its expressions may know.
    pub surroundings: Surroundings,
}

impl RowChange {
    /// The new row, if the row stays; hidden row ids that come with it are left NULL.
    ///
    /// # Errors
    /// 23502, 23514, or what an expression raises.
    pub fn apply(
        &self,
        mut old: Vec<Value>,
        context: &EvalContext<'_>,
    ) -> Result<Option<Vec<Value>>, SqlError> {
        let parameters = &self.parameters;
        if let Some(keep) = &self.keep
            && evaluate(keep, &old, parameters, context)? != Value::Bool(true)
        {
            return Ok(None);
        }
        let mut made = Vec::with_capacity(self.values.len());
        for (position, expr) in &self.values {
            made.push((usize::from(*position), evaluate(expr, &old, parameters, context)?));
        }
        let columns = &self.to.schema.columns;
        for (value, column) in old.iter_mut().zip(columns) {
            if column.dropped {
                *value = Value::Null;
            }
        }
        let added = columns.iter().skip(old.len()).map(|column| column.missing.clone());
        old.extend(added.collect::<Vec<Value>>());
        for (position, value) in made {
            old[position] = value;
        }
        self.check(&old, context)?;
        Ok(Some(old))
    }

    fn check(&self, row: &[Value], context: &EvalContext<'_>) -> Result<(), SqlError> {
        let schema = &self.to.schema;
        if let Some(position) = self.not_null.iter().find(|at| row[usize::from(**at)].is_null()) {
            let column = &schema.columns[usize::from(*position)].name;
            let message =
                format!("column \"{column}\" of relation \"{}\" contains null values", schema.name);
            return Err(SqlError::new(SqlState::NOT_NULL_VIOLATION, message));
        }
        for check in &self.checks {
            if evaluate(&check.condition, row, &self.parameters, context)? == Value::Bool(false) {
                let message = format!(
                    "check constraint \"{}\" of relation \"{}\" is violated by some row",
                    check.name, schema.name
                );
                return Err(SqlError::new(SqlState::CHECK_VIOLATION, message)
                    .with_constraint(check.name.to_string()));
            }
        }
        Ok(())
    }

    /// Whether background cores can evaluate it.
    fn is_portable(&self) -> bool {
        let values = self.values.iter().map(|(_, expr)| expr).chain(&self.keep);
        let mut all = values.chain(self.checks.iter().map(|check| &check.condition));
        all.all(|expr| expr.volatility() != Volatility::Volatile)
    }
}

/// Fills what a change of the schema made. Gives the rows of CREATE TABLE AS.
pub(crate) async fn fill<N: Node, O: Output>(
    session: &mut Session<N>,
    ddl: &Ddl,
    outcome: &Outcome,
    compiled: &Arc<Compiled>,
    parameters: &[Value],
    out: &mut O,
) -> Result<Option<u64>, SqlError> {
    if let Ddl::CreateTable { source: Some(_), skip: false, .. } = ddl {
        let made = outcome.changes.iter().find_map(|change| match change {
            CatalogChange::PutTable(table) => Some(table.clone()),
            _ => None,
        });
        let table = made.expect("CREATE TABLE AS makes a table");
        return session.fill_from_query(&table, compiled, parameters, out).await.map(Some);
    }
    let rebuilt: Vec<TableId> = outcome
        .work
        .iter()
        .filter_map(|work| match work {
            Work::Rebuild { to, .. } => Some(to.table_id),
            _ => None,
        })
        .collect();
    for work in &outcome.work {
        match work {
            Work::Rebuild { from, to, values, keep } => {
                let values = RowValues { values, keep: keep.as_ref(), parameters };
                session.rebuild((from, to), values, &outcome.work, out).await?;
            }
            Work::FillIndex { table, index } => session.fill_index(table, *index, out).await?,
            // A rebuild has looked at every row.
            Work::Validate { table, .. } if rebuilt.contains(&table.table_id) => {}
            Work::Validate { table, checks, not_null } => {
                session.validate(table, checks, not_null, out).await?;
            }
        }
    }
    Ok(None)
}

impl<N: Node> Session<N> {
    /// The table as it is committed, if its rows are where `schema` says.
    pub(crate) fn committed(&self, schema: &TableSchema) -> Option<Arc<TableSchema>> {
        let catalog = self.node.catalog();
        let known = catalog.table(schema.table_id)?;
        (known.storage_id == schema.storage_id).then(|| known.clone())
    }

    /// Before the snapshot of a change that looks at every row of a table: holds back the table's writers, if such a change was
    /// beaten by one before, or cannot be
    /// tried again by the server because it is in a client's block.
    pub(crate) fn hold_for_change(&mut self, ddl: &Ddl) {
        let table = match ddl {
            Ddl::AlterTable { table: Some(table), .. } | Ddl::CreateIndex { table, .. } => table,
            _ => return,
        };
        let in_block = matches!(&self.state, State::Open(block) if block.opener == Opener::Client);
        if in_block || self.tried_before {
            self.holds.push(self.node.engine().hold_writers(&[table.storage_id], HOLD_MAX));
        }
    }

    /// Whether the open block has loaded in bulk into a table of a statement.
    pub(crate) fn has_load(&self, statement: &BoundStatement) -> bool {
        self.loaded_table(statement).is_some()
    }

    /// A table of a statement into which the open block has loaded in bulk.
    pub(crate) fn loaded_table(&self, statement: &BoundStatement) -> Option<Arc<TableSchema>> {
        let State::Open(block) = &self.state else { return None };
        let loads = block.loads.iter().map(BulkLoad::table);
        let mut named =
            loads.filter(|table| statement.tables.iter().any(|(id, _)| *id == table.table_id));
        named.next().cloned()
    }

    /// CREATE TABLE AS.
    async fn fill_from_query<O: Output>(
        &mut self,
        table: &Arc<TableSchema>,
        compiled: &Arc<Compiled>,
        parameters: &[Value],
        out: &mut O,
    ) -> Result<u64, SqlError> {
        let rows = TableRows::new(table, self.node.engine().slices());
        let part = QueryPart::Source;
        let mut stream = self.analyse(compiled, part, parameters.to_vec(), out).await?;
        let mut filling = Filling::new(&rows, Loaded::Rows, self.surroundings());
        let mut count = 0;
        while let Some(batch) = self.interruptible(stream.next(), out).await?? {
            count += batch.len() as u64;
            let stored = batch.into_iter().map(|mut row| {
                row.resize(table.columns.len(), Value::Null);
                row
            });
            filling.add(self, stored.collect()).await?;
        }
        filling.finish(self).await?;
        Ok(count)
    }

    /// A scan of all rows of a table as this transaction sees them; and the rows that it has made itself, taken out of its buffer if the storage table ends.
    async fn scan(
        &mut self,
        stored: &Arc<TableSchema>,
        shown: &Arc<TableSchema>,
        ends: bool,
    ) -> Result<(N::Scan, Vec<Vec<Value>>), SqlError> {
        let committed = self.committed(stored);
        let transaction = self.transaction().await?;
        if committed.is_some() {
            transaction.require_unchanged(stored.storage_id);
        }
        let at = transaction.snapshot();
        let own = match ends {
            true => transaction.take_rows(stored.storage_id),
            false => transaction.own_rows(stored.storage_id),
        };
        let hidden = own.iter().map(|(address, _)| address.key.clone()).collect();
        let own = own.into_iter().filter_map(|(_, row)| row).collect();
        let node = self.node.clone();
        let State::Open(block) = &self.state else { unreachable!("a change runs in a block") };
        let loads = block.loads.iter();
        let loads = loads.filter(|load| load.table().storage_id == stored.storage_id).collect();
        let table = shown.clone();
        let scan = node.scan_table(ScanRequest { table, committed, at, loads, hidden }).await?;
        Ok((scan, own))
    }

    /// A table whose rows move to a new storage.
    async fn rebuild<O: Output>(
        &mut self,
        (from, to): (&Arc<TableSchema>, &Arc<TableSchema>),
        values: RowValues<'_>,
        work: &[Work],
        out: &mut O,
    ) -> Result<(), SqlError> {
        let mut change = RowChange {
            to: TableRows::new(to, self.node.engine().slices()),
            values: values.values.to_vec(),
            keep: values.keep.cloned(),
            parameters: values.parameters.to_vec(),
            checks: Vec::new(),
            not_null: BTreeSet::new(),
            surroundings: self.surroundings(),
        };
        for work in work {
            if let Work::Validate { table, checks, not_null } = work
                && table.table_id == to.table_id
            {
                change.checks.extend(checks.iter().cloned());
                change.not_null.extend(not_null.iter().copied());
            }
        }
        let (scan, own) = self.scan(from, from, true).await?;
        self.fill_from_scan(scan, own, change, Loaded::Rows, out).await
    }

    /// The entries of a new index.
    async fn fill_index<O: Output>(
        &mut self,
        table: &Arc<TableSchema>,
        index: TableId,
        out: &mut O,
    ) -> Result<(), SqlError> {
        let rows = TableRows::new(table, self.node.engine().slices());
        let transaction = self.transaction().await?;
        assert!(!transaction.has_changed(table.storage_id), "changed rows were written anew");
        // Rows that the transaction has made get their entries when they are written.
        transaction.replan(&rows);
        let (scan, _) = self.scan(table, table, false).await?;
        let change = RowChange {
            to: rows,
            values: Vec::new(),
            keep: None,
            parameters: Vec::new(),
            checks: Vec::new(),
            not_null: BTreeSet::new(),
            surroundings: self.surroundings(),
        };
        self.fill_from_scan(scan, Vec::new(), change, Loaded::Entries(index), out).await
    }

    /// Conditions that rows must satisfy which are there.
    async fn validate<O: Output>(
        &mut self,
        table: &Arc<TableSchema>,
        checks: &[BoundCheck],
        not_null: &[u16],
        out: &mut O,
    ) -> Result<(), SqlError> {
        let (scan, own) = self.scan(table, table, false).await?;
        let change = RowChange {
            to: TableRows::new(table, self.node.engine().slices()),
            values: Vec::new(),
            keep: None,
            parameters: Vec::new(),
            checks: checks.to_vec(),
            not_null: not_null.iter().copied().collect(),
            surroundings: self.surroundings(),
        };
        self.fill_from_scan(scan, own, change, Loaded::Nothing, out).await
    }

    /// Changes the first rows here; if there are more, the background does the rest.
    async fn fill_from_scan<O: Output>(
        &mut self,
        mut scan: N::Scan,
        own: Vec<Vec<Value>>,
        change: RowChange,
        loaded: Loaded,
        out: &mut O,
    ) -> Result<(), SqlError> {
        let mut filling = Filling::new(&change.to, loaded, change.surroundings.clone());
        let change = Arc::new(change);
        let mut batch = Some(own).filter(|own| !own.is_empty());
        loop {
            let rows = match batch.take() {
                Some(rows) => rows,
                None => match self.interruptible(scan.next(), out).await?? {
                    Some(rows) => rows,
                    None => break,
                },
            };
            let mut changed = Vec::with_capacity(rows.len());
            for row in rows {
                changed.extend(self.changed_row(&change, row).await?);
            }
            filling.add(self, changed).await?;
            if change.is_portable()
                && let Some(load) = &mut filling.load
            {
                let rest = load.rest(scan, change);
                self.interruptible(rest, out).await??;
                break;
            }
        }
        filling.finish(self).await
    }

    /// Evaluates a change of one row, again when a sequence had to be asked for more numbers.
    async fn changed_row(
        &self,
        change: &RowChange,
        row: Vec<Value>,
    ) -> Result<Option<Vec<Value>>, SqlError> {
        loop {
            let attempt = {
                let session = SessionContext::new(self, &change.surroundings);
                let attempt = change.apply(row.clone(), &session.context());
                if attempt.is_ok() {
                    session.settle();
                }
                attempt
            };
            match attempt {
                Ok(row) => return Ok(row),
                Err(error) => {
                    let pending = oltp::StatementError::new(error.sqlstate, error.message.clone());
                    if !self.resolve_pending(&pending).await? {
                        return Err(error);
                    }
                }
            }
        }
    }
}

/// What becomes of the columns of a row that is built anew.
struct RowValues<'a> {
    values: &'a [(u16, functions::Expr)],
    keep: Option<&'a functions::Expr>,
    parameters: &'a [Value],
}

/// Rows on their way into a table or an index: into the transaction's buffer while they are few.
struct Filling<N: Node> {
    rows: TableRows,
    loaded: Loaded,
    surroundings: Surroundings,
    waiting: Vec<Vec<Value>>,
    bytes: usize,
    load: Option<N::Bulk>,
}

impl<N: Node> Filling<N> {
    fn new(rows: &TableRows, loaded: Loaded, surroundings: Surroundings) -> Filling<N> {
        let (waiting, load) = (Vec::new(), None);
        Filling { rows: rows.clone(), loaded, surroundings, waiting, bytes: 0, load }
    }

    async fn add(
        &mut self,
        session: &mut Session<N>,
        rows: Vec<Vec<Value>>,
    ) -> Result<(), SqlError> {
        if let Some(load) = &mut self.load {
            return load.rows(rows).await;
        }
        for row in &rows {
            self.bytes += self.rows.encode(row)?.len();
        }
        self.waiting.extend(rows);
        if self.waiting.len() <= SMALL_ROWS && self.bytes <= SMALL_BYTES {
            return Ok(());
        }
        let request = BulkRequest {
            table: self.rows.schema.clone(),
            loaded: self.loaded,
            copy: None,
            surroundings: self.surroundings.clone(),
            existing: None,
        };
        let load = self.load.insert(session.node.start_bulk(request)?);
        load.rows(std::mem::take(&mut self.waiting)).await
    }

    async fn finish(mut self, session: &mut Session<N>) -> Result<(), SqlError> {
        if let Some(mut load) = self.load {
            load.finish().await?;
            if let State::Open(block) = &mut session.state
                && self.loaded != Loaded::Nothing
            {
                block.loads.push(load);
            }
            return Ok(());
        }
        let schema = self.rows.schema.clone();
        let key = usize::from(schema.key[0].position);
        let nameless = |row: &&mut Vec<Value>| row[key].is_null();
        let count = self.waiting.iter_mut().filter(nameless).count() as u64;
        if schema.partitioning == Partitioning::RowId && count > 0 {
            let (slice, first) = session.node.engine().allocate_row_ids(count).await?;
            for (number, row) in (first..).zip(self.waiting.iter_mut().filter(nameless)) {
                row[key] = Value::Int8(make_row_id(self.rows.slices, slice, number));
            }
        }
        match self.loaded {
            Loaded::Nothing => Ok(()),
            Loaded::Rows => self.put_rows(session).await,
            Loaded::Entries(index) => self.put_entries(session, index).await,
        }
    }

    async fn put_rows(self, session: &mut Session<N>) -> Result<(), SqlError> {
        let surroundings = self.surroundings;
        let transaction = session.transaction().await?;
        let mut taken = BTreeSet::new();
        for row in self.waiting {
            let address = self.rows.address(&row)?;
            if !taken.insert(address.key.clone()) {
                let context = surroundings.context(&functions::NoVolatile);
                let duplicate = self.rows.duplicate(&row, &context);
                return Err(unique_index_failed(&self.rows, duplicate.into()));
            }
            transaction.put(&self.rows, address, None, row)?;
        }
        Ok(())
    }

    async fn put_entries(self, session: &mut Session<N>, index: TableId) -> Result<(), SqlError> {
        let indexes = &self.rows.schema.indexes;
        let position = indexes.iter().position(|known| known.index_id == index);
        let position = position.expect("the index was just made");
        let transaction = session.transaction().await?;
        for row in self.waiting {
            let address = self.rows.address(&row)?;
            let key = self.rows.schema.index_key(&indexes[position], &row, &address.key);
            let entry = self.rows.index_row(position, &row);
            transaction.put_entry(index, &address, key, entry)?;
        }
        Ok(())
    }
}

/// 23505 as ADD PRIMARY KEY words it.
pub fn unique_index_failed(rows: &TableRows, duplicate: SqlError) -> SqlError {
    let name = rows.schema.primary_key.as_deref().unwrap_or_default();
    let detail = duplicate.detail.map(|detail| detail.replace("already exists.", "is duplicated."));
    SqlError { message: format!("could not create unique index \"{name}\""), detail, ..duplicate }
}
