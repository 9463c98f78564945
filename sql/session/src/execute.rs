//! One execution of a portal: which way the statement goes, and its rows to the client.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use oltp::{
    OltpError, ReadOutcome, StoredRows, TableRows, Targets, finish_read, read_now, resolve,
};
use plan::statement::{
    Select, SetScope, SetTarget, ShowStatement, Statement, TransactionStatement,
};
use types::{SqlState, SqlType, TextSettings, Value};

use crate::analytics::{
    Analytics, AnalyticsRequest, EncodedRows, OwnWrites, QueryPart, RowEncoding, RowStream,
    query_of,
};
use crate::block::{Opener, State};
use crate::compiled::Compiled;
use crate::error::SqlError;
use crate::functions::SessionContext;
use crate::node::{BulkLoad, Node};
use crate::output::{Formats, Output, Severity};
use crate::portal::{Portal, Rows};
use crate::session::Session;
use crate::settings::{Ending, SETTINGS, Scope};

/// What a node's analytics is asked.
type Request<N> = AnalyticsRequest<<<N as Node>::Bulk as BulkLoad>::Files>;

/// Rows written between two looks at the client's buffer.
const ROWS_BETWEEN_DRAINS: usize = 64;
/// Tries of a statement that the server repeats by itself.
pub(crate) const STATEMENT_TRIES_MAX: u32 = 10;

impl<N: Node> Session<N> {
    /// Runs a portal or goes on with it: at most `row_count_max` rows, then how it ended.
    pub(crate) async fn run_portal<O: Output>(
        &mut self,
        portal: &mut Portal<N>,
        row_count_max: Option<u32>,
        out: &mut O,
    ) -> Result<(), SqlError> {
        if matches!(portal.rows, Rows::NotRun) {
            for notice in &portal.compiled.bound.notices {
                let severity = match notice.severity {
                    plan::statement::Severity::Notice => Severity::Notice,
                    plan::statement::Severity::Warning => Severity::Warning,
                };
                out.notice(severity, &SqlError::new(notice.state, notice.message.to_string()));
            }
            let mut tries = 0;
            self.tried_before = false;
            loop {
                let alone = matches!(self.state, State::Idle);
                match self.start(portal, out).await {
                    // Nothing was answered and nothing took effect: plan anew and run again.
                    Err(error) if error.schema_moved && alone && tries < STATEMENT_TRIES_MAX => {
                        tries += 1;
                        self.tried_before = true;
                        self.node.sleep(1).await;
                        portal.compiled = Arc::new(self.compile_again(&portal.compiled)?);
                    }
                    Err(error) => return Err(error),
                    Ok(()) => break,
                }
            }
        }
        self.write_rows(portal, row_count_max, out).await
    }

    /// Runs the statement up to its first row; statements without rows run whole and say so.
    async fn start<O: Output>(
        &mut self,
        portal: &mut Portal<N>,
        out: &mut O,
    ) -> Result<(), SqlError> {
        let compiled = portal.compiled.clone();
        portal.rows = Rows::Done;
        let parameters = portal.parameters.clone();
        match &compiled.bound.statement {
            Statement::Empty => out.empty(),
            Statement::Kept { tag } => out.complete(tag),
            Statement::Select(select) => {
                let formats = portal.formats.clone();
                portal.rows = self.select(&compiled, select, parameters, formats, out).await?;
            }
            Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) => {
                let changed = self.modify(&compiled, parameters, out).await?;
                portal.rows_read = changed.row_count;
                let has_rows = !compiled.bound.columns.is_empty();
                if has_rows {
                    let outcome = ReadOutcome::Values(changed.rows);
                    portal.rows = Rows::Short { outcome, next: 0 };
                } else {
                    out.complete_rows(verb(&compiled), changed.row_count);
                }
            }
            Statement::Explain(explain) => {
                let lines = self.explain(explain, &compiled, parameters, out).await?;
                let rows = lines.into_iter().map(|line| vec![Value::text(line)]).collect();
                portal.rows = Rows::Short { outcome: ReadOutcome::Values(rows), next: 0 };
            }
            Statement::Show(show) => {
                let outcome = ReadOutcome::Values(self.show(show)?);
                portal.rows = Rows::Short { outcome, next: 0 };
            }
            Statement::Execute(execute) => {
                let (inner, values) = self.execute_arguments(execute, &parameters)?;
                portal.compiled = inner;
                portal.parameters = values;
                portal.rows = Rows::NotRun;
                Box::pin(self.start(portal, out)).await?;
            }
            Statement::Copy(copy) => self.copy(copy, &compiled, parameters, out).await?,
            Statement::Ddl(ddl) => self.change_schema(ddl, &compiled, parameters, out).await?,
            Statement::Transaction(statement) => {
                self.transaction_statement(statement, out).await?;
            }
            Statement::Set(set) => {
                let scope = match set.scope {
                    SetScope::Session => Scope::Session,
                    SetScope::Local => Scope::Local,
                };
                self.set(&set.target, scope, out)?;
            }
            Statement::Discard(kind) => self.discard(*kind, out)?,
            Statement::Prepare(prepare) => {
                self.parse(&prepare.name, &prepare.text, &prepare.types)?;
                out.complete("PREPARE");
            }
            Statement::Deallocate(name) => {
                self.deallocate(name.as_deref())?;
                out.complete(if name.is_some() { "DEALLOCATE" } else { "DEALLOCATE ALL" });
            }
        }
        Ok(())
    }

    /// SELECT, by the short path if there is one.
    async fn select<O: Output>(
        &mut self,
        compiled: &Arc<Compiled>,
        select: &Select,
        parameters: Vec<Value>,
        formats: Formats,
        out: &mut O,
    ) -> Result<Rows<N>, SqlError> {
        if let Some(short) = &select.short {
            loop {
                let read = if short.lock.is_some() {
                    self.interruptible_read(compiled, short, &parameters, out).await
                } else {
                    self.short_read(compiled, short, &parameters).await
                };
                match read {
                    Ok(outcome) => return Ok(Rows::Short { outcome, next: 0 }),
                    Err(ReadFailure::TooManyRows) => break,
                    Err(ReadFailure::Sleep { milliseconds }) => {
                        let node = self.node.clone();
                        self.interruptible(node.sleep(milliseconds), out).await?;
                        self.awake();
                    }
                    Err(ReadFailure::Sql(error)) => return Err(error),
                }
            }
        }
        let encoding = RowEncoding::Answer { formats, settings: self.text_settings() };
        let request = self.analytics_request(compiled, QueryPart::Select, parameters).await?;
        let stream = self.analyse_encoded(request, encoding, out).await?;
        Ok(Rows::Stream { stream, waiting: EncodedRows::default(), next: 0 })
    }

    /// How many rows a short read gives, for EXPLAIN ANALYZE.
    pub(crate) async fn short_rows(
        &mut self,
        compiled: &Arc<Compiled>,
        parameters: Vec<Value>,
    ) -> Result<usize, SqlError> {
        let Statement::Select(select) = &compiled.bound.statement else { return Ok(0) };
        let Some(short) = &select.short else { return Ok(0) };
        match self.short_read(compiled, short, &parameters).await {
            Ok(outcome) => Ok(outcome.row_count()),
            Err(ReadFailure::TooManyRows) => Err(OltpError::TooManyRows.into()),
            Err(ReadFailure::Sleep { .. }) => Err(SqlError::not_supported("pg_sleep() here")),
            Err(ReadFailure::Sql(error)) => Err(error),
        }
    }

    /// What an EXECUTE of SQL runs: the prepared statement, and its arguments as values of its parameters' types.
    fn execute_arguments(
        &mut self,
        execute: &plan::statement::Execute,
        parameters: &[Value],
    ) -> Result<(Arc<Compiled>, Vec<Value>), SqlError> {
        let inner = self.statement(&execute.name)?;
        let expected = &inner.bound.parameters;
        if expected.len() != execute.arguments.len() {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                format!("wrong number of parameters for prepared statement \"{}\"", execute.name),
            )
            .with_detail(format!(
                "Expected {} parameters but got {}.",
                expected.len(),
                execute.arguments.len()
            )));
        }
        let surroundings = self.surroundings();
        let session = SessionContext::new(self, &surroundings);
        let context = session.context();
        let mut values = Vec::with_capacity(expected.len());
        for (argument, sql_type) in execute.arguments.iter().zip(expected) {
            let value = functions::evaluate(argument, &[], parameters, &context)?;
            let (from, to) = (argument.sql_type(), types::ColumnType::plain(*sql_type));
            let kind = functions::CastKind::Assignment;
            values.push(functions::cast_value(&value, from, to, kind, &context)?);
        }
        session.settle();
        Ok((inner.clone(), values))
    }

    /// Columns of a prepared statement, if it returns rows.
    pub(crate) fn columns_of(&self, name: &str) -> Option<Vec<plan::query::OutputColumn>> {
        let compiled = self.prepared(name)?;
        Portal::<N>::new(compiled, Vec::new(), Formats::default()).columns(self)
    }

    async fn short_read(
        &mut self,
        compiled: &Arc<Compiled>,
        short: &plan::statement::ShortRead,
        parameters: &[Value],
    ) -> Result<ReadOutcome, ReadFailure> {
        loop {
            match self.short_read_once(compiled, short, parameters).await {
                Err(OltpError::TooManyRows) => return Err(ReadFailure::TooManyRows),
                Err(OltpError::Statement(error)) if self.pending_sleep(&error).is_some() => {
                    let milliseconds = self.pending_sleep(&error).unwrap_or(0);
                    return Err(ReadFailure::Sleep { milliseconds });
                }
                // A sequence has numbers again: evaluate once more.
                Err(OltpError::Statement(error)) if self.resolve_pending(&error).await? => {}
                other => return other.map_err(|error| ReadFailure::Sql(error.into())),
            }
        }
    }

    /// A read that may wait for rows that others have taken.
    async fn interruptible_read<O: Output>(
        &mut self,
        compiled: &Arc<Compiled>,
        short: &plan::statement::ShortRead,
        parameters: &[Value],
        out: &O,
    ) -> Result<ReadOutcome, ReadFailure> {
        let timeout = self.settings.milliseconds("statement_timeout");
        let node = self.node.clone();
        let work = self.short_read(compiled, short, parameters);
        interrupted(&*node, timeout, work, out).await?
    }

    async fn short_read_once(
        &mut self,
        compiled: &Arc<Compiled>,
        short: &plan::statement::ShortRead,
        parameters: &[Value],
    ) -> Result<ReadOutcome, OltpError> {
        if short.source.is_some() && self.has_load(&compiled.bound) {
            if short.lock.is_some() {
                let what = "locking rows of";
                let error = self.refused_loaded(compiled, what);
                return Err(unavailable(error));
            }
            // Rows in table files are analytics' to find.
            return Err(OltpError::TooManyRows);
        }
        let surroundings = self.surroundings();
        let Some(source) = &short.source else {
            let session = SessionContext::new(self, &surroundings);
            let context = session.context();
            let outcome = finish_read(short, None, StoredRows::default(), parameters, &context)?;
            session.settle();
            return Ok(outcome);
        };
        let table = compiled.table.as_ref().expect("a short read of a table has it prepared");
        let targets = {
            let session = SessionContext::new(self, &surroundings);
            resolve(table, &source.access, parameters, &session.context())?
        };
        let rows = if matches!(self.state, State::Open(_)) {
            if let Some(lock) = short.lock {
                return self.locked_read(compiled, (short, lock), targets, parameters).await;
            }
            if let Targets::Points(addresses) = &targets {
                self.take_hot(table, addresses).await?;
            }
            self.transaction().await.map_err(unavailable)?.planned_at(&compiled.bound.tables);
            let node = self.node.clone();
            let State::Open(block) = &mut self.state else { unreachable!("checked above") };
            let transaction = block.transaction.as_mut().expect("made above");
            let mut stored = StoredRows::default();
            for row in transaction.rows(node.engine(), table, &targets).await? {
                stored.push(&table.encode(&row.values)?);
            }
            stored
        } else {
            read_now(self.node.engine(), table, &targets, &compiled.bound.tables).await?
        };
        let session = SessionContext::new(self, &surroundings);
        let outcome = finish_read(short, Some(table), rows, parameters, &session.context())?;
        session.settle();
        Ok(outcome)
    }

    /// Starts an analytic query of a statement, for its values.
    pub(crate) async fn analyse<O: Output>(
        &mut self,
        compiled: &Arc<Compiled>,
        part: QueryPart,
        parameters: Vec<Value>,
        out: &O,
    ) -> Result<<N::Analytics as Analytics>::Values, SqlError> {
        let request = self.analytics_request(compiled, part, parameters).await?;
        let node = self.node.clone();
        let starting = node.analytics().run(request);
        self.interruptible(starting, out).await?
    }

    /// Starts an analytic query whose rows go to the client.
    pub(crate) async fn analyse_encoded<O: Output>(
        &self,
        request: Request<N>,
        encoding: RowEncoding,
        out: &O,
    ) -> Result<<N::Analytics as Analytics>::Encoded, SqlError> {
        let node = self.node.clone();
        let starting = node.analytics().run_encoded(request, encoding);
        self.interruptible(starting, out).await?
    }

    /// What analytics must know of a statement's query.
    pub(crate) async fn analytics_request(
        &mut self,
        compiled: &Arc<Compiled>,
        part: QueryPart,
        parameters: Vec<Value>,
    ) -> Result<Request<N>, SqlError> {
        let statement = compiled.bound.clone();
        let Some((query, subqueries)) = query_of(&statement, part) else {
            return Err(SqlError::new(SqlState::INTERNAL_ERROR, "the statement has no such query"));
        };
        let scanned = crate::scans::scans(query, subqueries);
        let catalog = self.catalog();
        let mut request = AnalyticsRequest {
            part,
            parameters,
            surroundings: self.surroundings(),
            tables: Vec::new(),
            at: None,
            own_writes: Vec::new(),
            loads: Vec::new(),
            virtual_rows: self.virtual_rows(&scanned.virtual_tables, &catalog),
            statement: statement.clone(),
        };
        let committed = self.node.catalog();
        for table in &scanned.tables {
            let known = committed.table(table.table_id);
            let known = known.filter(|known| known.storage_id == table.storage_id).cloned();
            request.tables.push((table.clone(), known));
        }
        if matches!(self.state, State::Open(_)) && !scanned.tables.is_empty() {
            let transaction = self.transaction().await?;
            transaction.planned_at(&statement.tables);
            request.at = Some(transaction.snapshot());
            for table in &scanned.tables {
                let table = table.storage_id;
                transaction.read_whole(table);
                let rows = transaction.own_rows(table);
                if !rows.is_empty() {
                    request.own_writes.push(OwnWrites { table, rows });
                }
            }
        }
        if let State::Open(block) = &self.state {
            let loads = block.loads.iter();
            let files = loads.filter_map(|load| Some((load.table().storage_id, load.files()?)));
            request.loads = files.collect();
        }
        Ok(request)
    }

    /// Waits for something that a cancel request or the statement's timeout may end.
    pub(crate) async fn interruptible<O: Output, T>(
        &self,
        work: impl Future<Output = T>,
        out: &O,
    ) -> Result<T, SqlError> {
        let timeout = self.settings.milliseconds("statement_timeout");
        if self.timer.borrow().is_none()
            && let Some(milliseconds) = timeout
        {
            // One for the whole statement, however often it waits.
            let node = self.node.clone();
            let timer = Box::pin(async move { node.sleep(milliseconds).await });
            self.timer.replace(Some(timer));
        }
        let mut work = pin!(work);
        let mut cancelled = pin!(out.cancelled());
        poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(done));
            }
            let cancel = |why: &str| {
                let message = format!("canceling statement due to {why}");
                Poll::Ready(Err(SqlError::new(SqlState::QUERY_CANCELED, message)))
            };
            if cancelled.as_mut().poll(cx).is_ready() {
                return cancel("user request");
            }
            let mut timer = self.timer.borrow_mut();
            if timer.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready()) {
                timer.take();
                return cancel("statement timeout");
            }
            Poll::Pending
        })
        .await
    }

    /// Writes rows of a portal, then how it ended.
    async fn write_rows<O: Output>(
        &mut self,
        portal: &mut Portal<N>,
        row_count_max: Option<u32>,
        out: &mut O,
    ) -> Result<(), SqlError> {
        let limit = row_count_max.filter(|max| *max > 0).map_or(usize::MAX, |max| max as usize);
        let settings = self.text_settings();
        let types = portal.compiled.column_types();
        let table = portal.compiled.table.clone();
        let mut written = 0usize;
        loop {
            match &mut portal.rows {
                Rows::NotRun | Rows::Done => return Ok(()),
                Rows::Short { outcome, next } => {
                    while *next < outcome.row_count() && written < limit {
                        let row = RowOf { outcome, table: table.as_ref(), index: *next };
                        row.write(&types, &portal.formats, &settings, out)?;
                        *next += 1;
                        written += 1;
                        if written.is_multiple_of(ROWS_BETWEEN_DRAINS) {
                            out.drain().await?;
                        }
                    }
                    if *next < outcome.row_count() {
                        out.suspended();
                        return Ok(());
                    }
                    break;
                }
                Rows::Stream { stream, waiting, next } => {
                    let left = waiting.row_count() - *next;
                    if left > 0 {
                        let count = left.min(limit - written);
                        if count == 0 {
                            out.suspended();
                            return Ok(());
                        }
                        let rows = waiting.take(*next, *next + count);
                        *next += count;
                        written += count;
                        out.encoded(rows).await?;
                        continue;
                    }
                    match self.interruptible(stream.next(), out).await?? {
                        Some(rows) => (*waiting, *next) = (rows, 0),
                        None => break,
                    }
                }
            }
        }
        portal.rows = Rows::Done;
        let verb = verb(&portal.compiled);
        let counted = match &portal.compiled.bound.statement {
            Statement::Insert(_) | Statement::Update(_) | Statement::Delete(_) => portal.rows_read,
            _ => written as u64,
        };
        match &portal.compiled.bound.statement {
            Statement::Show(_) => out.complete("SHOW"),
            Statement::Explain(_) => out.complete("EXPLAIN"),
            _ => out.complete_rows(verb, counted),
        }
        Ok(())
    }

    async fn transaction_statement<O: Output>(
        &mut self,
        statement: &TransactionStatement,
        out: &mut O,
    ) -> Result<(), SqlError> {
        let warn = |out: &mut O, message: &str| {
            let sqlstate = SqlState::NO_ACTIVE_SQL_TRANSACTION;
            out.notice(Severity::Warning, &SqlError::new(sqlstate, message));
        };
        match statement {
            TransactionStatement::Begin(modes) => {
                match &mut self.state {
                    State::Open(block) if block.opener == Opener::Client => {
                        let message = "there is already a transaction in progress";
                        let sqlstate = SqlState::ACTIVE_SQL_TRANSACTION;
                        out.notice(Severity::Warning, &SqlError::new(sqlstate, message));
                    }
                    State::Open(block) => block.opener = Opener::Client,
                    _ => self.open_block(Opener::Client, *modes),
                }
                out.complete("BEGIN");
            }
            TransactionStatement::Commit { chain } => {
                let modes = self.block_modes();
                match &self.state {
                    State::Failed(_) => {
                        self.state = State::Idle;
                        self.end_settings(Ending::Rollback, out);
                        self.close_portals();
                        out.complete("ROLLBACK");
                    }
                    State::Open(block) => {
                        if block.opener == Opener::Batch {
                            warn(out, "there is no transaction in progress");
                        }
                        self.commit_block(out).await?;
                        self.close_portals();
                        out.complete("COMMIT");
                    }
                    State::Idle => {
                        warn(out, "there is no transaction in progress");
                        out.complete("COMMIT");
                    }
                }
                self.chain(*chain, modes);
            }
            TransactionStatement::Rollback { chain } => {
                let modes = self.block_modes();
                if matches!(self.state, State::Idle) {
                    warn(out, "there is no transaction in progress");
                }
                self.roll_back().await;
                self.state = State::Idle;
                self.end_settings(Ending::Rollback, out);
                self.close_portals();
                out.complete("ROLLBACK");
                self.chain(*chain, modes);
            }
            TransactionStatement::SetModes(modes) => {
                match &mut self.state {
                    State::Open(block) if block.has_run && modes.isolation.is_some() => {
                        return Err(SqlError::new(
                            SqlState::ACTIVE_SQL_TRANSACTION,
                            "SET TRANSACTION ISOLATION LEVEL must be called before any query",
                        ));
                    }
                    State::Open(block) => {
                        let old = &mut block.modes;
                        old.isolation = modes.isolation.or(old.isolation);
                        old.read_only = modes.read_only.or(old.read_only);
                        old.deferrable = modes.deferrable.or(old.deferrable);
                    }
                    _ => warn(out, "SET TRANSACTION can only be used in transaction blocks"),
                }
                out.complete("SET");
            }
            TransactionStatement::SetSessionModes(modes) => {
                if let Some(isolation) = modes.isolation {
                    let name = "default_transaction_isolation";
                    self.settings.set(name, Some(isolation.name()), Scope::Session)?;
                }
                for (name, value) in [
                    ("default_transaction_read_only", modes.read_only),
                    ("default_transaction_deferrable", modes.deferrable),
                ] {
                    if let Some(value) = value {
                        let value = if value { "on" } else { "off" };
                        if let Some(told) = self.settings.set(name, Some(value), Scope::Session)? {
                            out.setting(told.name, value);
                        }
                    }
                }
                out.complete("SET");
            }
        }
        Ok(())
    }

    fn block_modes(&self) -> plan::statement::TransactionModes {
        match &self.state {
            State::Open(block) => block.modes,
            _ => plan::statement::TransactionModes::default(),
        }
    }

    fn chain(&mut self, chain: bool, modes: plan::statement::TransactionModes) {
        if chain {
            self.open_block(Opener::Client, modes);
        }
    }

    fn set<O: Output>(
        &mut self,
        target: &SetTarget,
        scope: Scope,
        out: &mut O,
    ) -> Result<(), SqlError> {
        if scope == Scope::Local && !matches!(self.state, State::Open(_)) {
            let message = "SET LOCAL can only be used in transaction blocks";
            let sqlstate = SqlState::NO_ACTIVE_SQL_TRANSACTION;
            out.notice(Severity::Warning, &SqlError::new(sqlstate, message));
            out.complete("SET");
            return Ok(());
        }
        let (name, value, tag) = match target {
            SetTarget::Value { name, value } => (name, Some(&**value), "SET"),
            SetTarget::Default { name } => (name, None, "SET"),
            SetTarget::All => {
                for told in self.settings.reset_all() {
                    out.setting(told.name, self.settings.get(told));
                }
                out.complete("RESET");
                return Ok(());
            }
        };
        if let Some(told) = self.settings.set(name, value, scope)? {
            out.setting(told.name, self.settings.get(told));
        }
        out.complete(tag);
        Ok(())
    }

    fn show(&self, show: &ShowStatement) -> Result<Vec<Vec<Value>>, SqlError> {
        match show {
            ShowStatement::One(name) => Ok(vec![vec![Value::text(self.shown(name)?)]]),
            ShowStatement::All => SETTINGS
                .iter()
                .map(|setting| {
                    let value = self.shown(setting.name)?;
                    let cells = [setting.name, value.as_str(), setting.text];
                    Ok(cells.map(Value::text).to_vec())
                })
                .collect(),
        }
    }

    /// A setting's value; those of the transaction come from the block.
    pub(crate) fn shown(&self, name: &str) -> Result<String, SqlError> {
        let modes = self.block_modes();
        let or_default = |known: Option<bool>, default: &str| {
            known.map_or_else(
                || self.settings.show(default).map(str::to_owned),
                |on| Ok(if on { "on" } else { "off" }.to_owned()),
            )
        };
        match name {
            "transaction_isolation" => match modes.isolation {
                Some(isolation) => Ok(isolation.name().to_owned()),
                None => Ok(self.settings.show("default_transaction_isolation")?.to_owned()),
            },
            "transaction_read_only" => or_default(modes.read_only, "default_transaction_read_only"),
            "transaction_deferrable" => {
                or_default(modes.deferrable, "default_transaction_deferrable")
            }
            _ => Ok(self.settings.show(name)?.to_owned()),
        }
    }

    fn discard<O: Output>(
        &mut self,
        kind: plan::statement::DiscardKind,
        out: &mut O,
    ) -> Result<(), SqlError> {
        use plan::statement::DiscardKind;
        match kind {
            DiscardKind::All => {
                if matches!(self.state, State::Open(_)) {
                    return Err(SqlError::new(
                        SqlState::ACTIVE_SQL_TRANSACTION,
                        "DISCARD ALL cannot run inside a transaction block",
                    ));
                }
                self.deallocate(None)?;
                self.close_portals();
                self.sequences.forget();
                for told in self.settings.reset_all() {
                    out.setting(told.name, self.settings.get(told));
                }
                out.complete("DISCARD ALL");
            }
            DiscardKind::Plans => out.complete("DISCARD PLANS"),
            DiscardKind::Sequences => {
                self.sequences.forget();
                out.complete("DISCARD SEQUENCES");
            }
            DiscardKind::Temporary => out.complete("DISCARD TEMP"),
        }
        Ok(())
    }

    /// COMMIT of the open block, with everything that it holds.
    ///
    /// # Errors
    /// 40001 and the like; the block is over in any case.
    pub(crate) async fn commit_block<O: Output>(&mut self, out: &mut O) -> Result<(), SqlError> {
        let State::Open(block) = std::mem::replace(&mut self.state, State::Idle) else {
            return Ok(());
        };
        let outcome = self.commit_contents(*block).await;
        self.holds.clear();
        self.lease = None;
        let ending = if outcome.is_ok() { Ending::Commit } else { Ending::Rollback };
        self.end_settings(ending, out);
        outcome
    }
}

/// Waits for something that a cancel request or a timeout in milliseconds may end.
async fn interrupted<N: Node, O: Output, T>(
    node: &N,
    timeout: Option<u64>,
    work: impl Future<Output = T>,
    out: &O,
) -> Result<T, SqlError> {
    let mut work = pin!(work);
    let mut cancelled = pin!(out.cancelled());
    let mut expired = pin!(async {
        match timeout {
            Some(milliseconds) => node.sleep(milliseconds).await,
            None => std::future::pending().await,
        }
    });
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Ok(done));
        }
        let cancel = |why: &str| {
            let message = format!("canceling statement due to {why}");
            Poll::Ready(Err(SqlError::new(SqlState::QUERY_CANCELED, message)))
        };
        if cancelled.as_mut().poll(cx).is_ready() {
            return cancel("user request");
        }
        if expired.as_mut().poll(cx).is_ready() {
            return cancel("statement timeout");
        }
        Poll::Pending
    })
    .await
}

enum ReadFailure {
    TooManyRows,
    /// `pg_sleep`: wait so long, then go on.
    Sleep {
        milliseconds: u64,
    },
    Sql(SqlError),
}

impl From<SqlError> for ReadFailure {
    fn from(error: SqlError) -> ReadFailure {
        ReadFailure::Sql(error)
    }
}

pub(crate) fn unavailable(error: SqlError) -> OltpError {
    OltpError::Unavailable { sqlstate: error.sqlstate, message: error.message }
}

/// The verb of a statement's CommandComplete.
fn verb(compiled: &Compiled) -> &'static str {
    match &compiled.bound.statement {
        Statement::Insert(_) => "INSERT 0",
        Statement::Update(_) => "UPDATE",
        Statement::Delete(_) => "DELETE",
        _ => "SELECT",
    }
}

/// One row of a short outcome.
struct RowOf<'a> {
    outcome: &'a ReadOutcome,
    table: Option<&'a TableRows>,
    index: usize,
}

impl RowOf<'_> {
    fn write<O: Output>(
        &self,
        types: &[SqlType],
        formats: &Formats,
        settings: &TextSettings,
        out: &mut O,
    ) -> Result<(), SqlError> {
        match self.outcome {
            ReadOutcome::Values(rows) => {
                write_values(&rows[self.index], types, formats, settings, out)
            }
            ReadOutcome::Stored { rows, positions } => {
                let table = self.table.expect("stored rows are rows of a table");
                out.row(positions.len() as u16, |row| {
                    let mut column = 0;
                    table.visit(rows.get(self.index), positions, |_, value| {
                        row.value(value, types[column], formats.of(column), settings);
                        column += 1;
                    })?;
                    Ok(())
                })
            }
        }
    }
}

/// Writes one row of owned values.
pub(crate) fn write_values<O: Output>(
    row: &[Value],
    types: &[SqlType],
    formats: &Formats,
    settings: &TextSettings,
    out: &mut O,
) -> Result<(), SqlError> {
    out.row(row.len() as u16, |sink| {
        for (column, value) in row.iter().enumerate() {
            let sql_type = types.get(column).copied().unwrap_or(SqlType::Text);
            sink.owned_value(value, sql_type, formats.of(column), settings);
        }
        Ok(())
    })
}
