//! One client's conversation: what it prepared, its portals, its transaction block, its settings.
//!
//! Every statement goes one of these ways:
//!
//! | outside a block | inside |
//! |---|---|
//! | rows by key: one turn ([`oltp::statement`]) | rows by key: read at the snapshot, buffered, or deferred ([`oltp::Transaction`]) |
//! | rows found by reading: a transaction of its own, tried again by the server when it conflicts | the same rows, recorded for validation |
//! | analytics over everything acknowledged before | analytics at the snapshot, with the block's own changes |
//!
//! Cost of a prepared point read: one map lookup, one footprint, one submission, one row written; no planning.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use oltp::transaction::Consistency;
use oltp::{Engine, Surroundings, Transaction};
use plan::catalog::Catalog;
use plan::query::OutputColumn;
use plan::statement::{Statement, TransactionModes};
use types::{SqlState, SqlType, TextSettings, Value};

use crate::block::{Block, Opener, State};
use crate::compiled::{Compiled, Source};
use crate::error::SqlError;
use crate::functions::{SequenceCache, SessionFunctions};
use crate::lease::HotRows;
use crate::node::Node;
use crate::output::{Format, Formats, Output};
use crate::planner;
use crate::portal::Portal;
use crate::settings::{Ending, Settings};

/// Statements and portals that one session may keep.
const NAMED_MAX: usize = 10_000;

/// A prepared statement; its plan is made anew when the schema has moved on.
#[derive(Clone, Debug)]
struct PreparedStatement {
    compiled: Arc<Compiled>,
}

/// The end of the time that a statement may take.
pub(crate) type Timer = Pin<Box<dyn Future<Output = ()>>>;

/// One client's conversation.
pub struct Session<N: Node> {
    pub(crate) node: Rc<N>,
    pub(crate) settings: Settings,
    pub(crate) user: Arc<str>,
    pub(crate) database: Arc<str>,
    pub(crate) process_id: u32,
    pub(crate) state: State<N::Bulk>,
    pub(crate) sequences: SequenceCache,
    /// The statement under way was tried before, and something came first.
    pub(crate) tried_before: bool,
    /// Writers that changes of the schema hold back until their block ends.
    pub(crate) holds: Vec<<N::Engine as Engine>::Hold>,
    /// The statement under way has written a table anew.
    pub(crate) wrote_anew: bool,
    /// Rows that the open block has taken.
    pub(crate) lease: Option<<N::Engine as Engine>::Lease>,
    /// Rows that blocks take before they read them.
    pub(crate) hot: HotRows,
    pub(crate) functions: RefCell<Option<Arc<SessionFunctions>>>,
    /// Rings when the statement under way has taken too long; made when it first waits.
    pub(crate) timer: RefCell<Option<Timer>>,
    statements: BTreeMap<Box<str>, PreparedStatement>,
    portals: BTreeMap<Box<str>, Portal<N>>,
}

/// Who a session is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Role.
    pub user: String,
    /// Database.
    pub database: String,
    /// `pg_backend_pid()`
    pub process_id: u32,
    /// Settings of the startup packet.
    pub settings: Vec<(String, String)>,
}

/// Where a session stands, as ReadyForQuery shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Not in a block.
    Idle,
    /// In a block.
    InBlock,
    /// In a block that can only be rolled back.
    Failed,
}

/// What the client sent of a parameter.
pub struct RawParameter<'a> {
    /// Its bytes; nothing is NULL.
    pub bytes: Option<&'a [u8]>,
    /// How they are written.
    pub format: Format,
}

impl<N: Node> Session<N> {
    /// Begins a conversation.
    ///
    /// # Errors
    /// 3D000 for an unknown database; settings that are refused.
    pub fn new(node: Rc<N>, identity: Identity) -> Result<Session<N>, SqlError> {
        if !matches!(identity.database.as_str(), "ringfence" | "postgres") {
            return Err(SqlError::new(
                SqlState::INVALID_CATALOG_NAME,
                format!("database \"{}\" does not exist", identity.database),
            )
            .with_hint("The database is called ringfence."));
        }
        let settings = Settings::at_startup(&identity.user, &identity.settings)?;
        Ok(Session {
            node,
            settings,
            user: identity.user.into(),
            database: identity.database.into(),
            process_id: identity.process_id,
            state: State::Idle,
            sequences: SequenceCache::default(),
            tried_before: false,
            holds: Vec::new(),
            wrote_anew: false,
            lease: None,
            hot: HotRows::default(),
            functions: RefCell::new(None),
            timer: RefCell::new(None),
            statements: BTreeMap::new(),
            portals: BTreeMap::new(),
        })
    }

    /// Its settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Where it stands.
    pub fn status(&self) -> Status {
        match &self.state {
            State::Open(block) if block.opener == Opener::Client => Status::InBlock,
            State::Failed(Opener::Client) => Status::Failed,
            _ => Status::Idle,
        }
    }

    /// How values are written and read now.
    pub fn text_settings(&self) -> TextSettings {
        self.settings.text_settings(match &self.state {
            State::Open(block) => block.begun_micros,
            _ => self.node.wall_micros(),
        })
    }

    /// The catalog that statements see now.
    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        let committed = self.node.catalog();
        match &self.state {
            State::Open(block) => block.catalog(committed),
            _ => committed,
        }
    }

    /// What expressions of a statement may know, on any core.
    pub(crate) fn surroundings(&self) -> Surroundings {
        let settings = self.text_settings();
        Surroundings {
            settings,
            statement_micros: self.node.wall_micros(),
            user: self.user.clone(),
            database: self.database.clone(),
            catalog: self.session_functions(),
            random_seed: self.node.random_bits(),
        }
    }

    /// Plans one statement of a text.
    pub(crate) fn compile(
        &self,
        parsed: &plan::Parsed,
        text: &str,
        declared: &[SqlType],
    ) -> Result<Compiled, SqlError> {
        let catalog = self.catalog();
        let surroundings = self.surroundings();
        let functions = self.session_functions();
        let context = surroundings.context(&functions::NoVolatile);
        let search_path = functions.search_path();
        let bound = planner::bind(parsed, text, &catalog, search_path, context, declared)?;
        let source =
            Source { text: text[parsed.start..parsed.end].into(), declared: declared.into() };
        Ok(Compiled::new(bound, source, &catalog, self.node.engine().slices()))
    }

    /// Plans a statement anew, after the schema has moved on under it.
    pub(crate) fn compile_again(&self, compiled: &Compiled) -> Result<Compiled, SqlError> {
        let source = &compiled.source;
        let parsed = planner::parse(&source.text)?;
        let Some(parsed) = parsed.first() else {
            return Ok(Compiled::empty(&self.catalog(), self.node.engine().slices()));
        };
        let again = self.compile(parsed, &source.text, &source.declared)?;
        if again.column_types() != compiled.column_types()
            || again.bound.parameters != compiled.bound.parameters
        {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "cached plan must not change result type",
            ));
        }
        Ok(again)
    }

    /// Runs a text of any number of statements, as the simple protocol does.
    ///
    /// # Errors
    /// The first statement that fails; the rest does not run.
    pub async fn simple_query<O: Output>(
        &mut self,
        text: &str,
        out: &mut O,
    ) -> Result<(), SqlError> {
        self.portals.remove("");
        self.statements.remove("");
        let parsed = planner::parse(text)?;
        if parsed.is_empty() {
            out.empty();
            return Ok(());
        }
        let several = parsed.len() > 1;
        for (position, statement) in parsed.iter().enumerate() {
            let last = position + 1 == parsed.len();
            let outcome = self.simple_statement(statement, text, several, last, out).await;
            if let Err(error) = outcome {
                self.fail().await;
                self.leave_batch().await;
                return Err(error);
            }
        }
        Ok(())
    }

    async fn simple_statement<O: Output>(
        &mut self,
        parsed: &plan::Parsed,
        text: &str,
        several: bool,
        last: bool,
        out: &mut O,
    ) -> Result<(), SqlError> {
        self.refuse_in_failed(|| planner::ends_block(parsed))?;
        let compiled = Arc::new(self.compile(parsed, text, &[])?);
        if !compiled.bound.parameters.is_empty() {
            return Err(SqlError::new(SqlState::UNDEFINED_PARAMETER, "there is no parameter $1"));
        }
        if several && !matches!(compiled.bound.statement, Statement::Transaction(_)) {
            self.open_batch();
        }
        self.timer.take();
        let mut portal = Portal::new(compiled, Vec::new(), Formats::default());
        let columns = portal.columns(self);
        if let Some(columns) = &columns {
            out.describe_rows(columns, &portal.formats);
        }
        self.run_portal(&mut portal, None, out).await?;
        portal.close();
        if last {
            self.commit_batch(out).await?;
        }
        Ok(())
    }

    /// Prepares a statement under a name; empty for the unnamed one.
    ///
    /// # Errors
    /// 42P05 for a name that is taken, 42601 for more than one statement, planning errors.
    pub fn parse(&mut self, name: &str, text: &str, declared: &[SqlType]) -> Result<(), SqlError> {
        if !name.is_empty() && self.statements.contains_key(name) {
            return Err(SqlError::new(
                SqlState::DUPLICATE_PREPARED_STATEMENT,
                format!("prepared statement \"{name}\" already exists"),
            ));
        }
        let parsed = planner::parse(text)?;
        let compiled = match parsed.as_slice() {
            [] => Compiled::empty(&self.catalog(), self.node.engine().slices()),
            [one] => {
                self.refuse_in_failed(|| planner::ends_block(one))?;
                self.compile(one, text, declared)?
            }
            _ => {
                return Err(SqlError::new(
                    SqlState::SYNTAX_ERROR,
                    "cannot insert multiple commands into a prepared statement",
                ));
            }
        };
        self.remember(name, compiled)
    }

    fn remember(&mut self, name: &str, compiled: Compiled) -> Result<(), SqlError> {
        if self.statements.len() >= NAMED_MAX {
            return Err(SqlError::new(
                SqlState::CONFIGURATION_LIMIT_EXCEEDED,
                format!("more than {NAMED_MAX} prepared statements in one session"),
            )
            .with_hint("DEALLOCATE those that are no longer used."));
        }
        let statement = PreparedStatement { compiled: Arc::new(compiled) };
        self.statements.insert(name.into(), statement);
        Ok(())
    }

    /// A prepared statement, planned anew if the schema has moved on.
    pub(crate) fn statement(&mut self, name: &str) -> Result<Arc<Compiled>, SqlError> {
        let Some(prepared) = self.statements.get(name) else {
            let message = if name.is_empty() {
                "unnamed prepared statement does not exist".to_owned()
            } else {
                format!("prepared statement \"{name}\" does not exist")
            };
            return Err(SqlError::new(SqlState::INVALID_SQL_STATEMENT_NAME, message));
        };
        let catalog = self.catalog();
        if prepared.compiled.is_current(&catalog) {
            return Ok(prepared.compiled.clone());
        }
        let compiled = Arc::new(self.compile_again(&prepared.compiled)?);
        if let Some(kept) = self.statements.get_mut(name) {
            kept.compiled = compiled.clone();
        }
        Ok(compiled)
    }

    /// A prepared statement as it was planned last.
    pub(crate) fn prepared(&self, name: &str) -> Option<Arc<Compiled>> {
        self.statements.get(name).map(|prepared| prepared.compiled.clone())
    }

    /// Makes a portal of a statement and its parameters.
    ///
    /// # Errors
    /// 26000 for an unknown statement, 42P03 for a portal name that is taken, 08P01 for a wrong number of values, 22P02 and 22P03 for values that do not parse.
    pub fn bind<'a>(
        &mut self,
        portal: &str,
        statement: &str,
        parameters: impl ExactSizeIterator<Item = RawParameter<'a>>,
        formats: Formats,
    ) -> Result<(), SqlError> {
        let compiled = self.statement(statement)?;
        self.refuse_in_failed(|| compiled.ends_block())?;
        let expected = &compiled.bound.parameters;
        if parameters.len() != expected.len() {
            return Err(SqlError::new(
                SqlState::PROTOCOL_VIOLATION,
                format!(
                    "bind message supplies {} parameters, but prepared statement \"{statement}\" requires {}",
                    parameters.len(),
                    expected.len()
                ),
            ));
        }
        let settings = self.text_settings();
        let mut values = Vec::with_capacity(expected.len());
        for (parameter, sql_type) in parameters.zip(expected) {
            values.push(read_parameter(&parameter, *sql_type, &settings)?);
        }
        let columns = compiled.bound.columns.len();
        if formats.0.len() > 1 && formats.0.len() != columns {
            return Err(SqlError::new(
                SqlState::PROTOCOL_VIOLATION,
                format!(
                    "bind message has {} result formats but query has {columns} columns",
                    formats.0.len()
                ),
            ));
        }
        if !portal.is_empty() && self.portals.contains_key(portal) {
            return Err(SqlError::new(
                SqlState::DUPLICATE_CURSOR,
                format!("cursor \"{portal}\" already exists"),
            ));
        }
        if self.portals.len() >= NAMED_MAX {
            return Err(SqlError::new(
                SqlState::CONFIGURATION_LIMIT_EXCEEDED,
                format!("more than {NAMED_MAX} portals in one session"),
            ));
        }
        self.portals.insert(portal.into(), Portal::new(compiled, values, formats));
        Ok(())
    }

    /// What a prepared statement takes and returns: parameter types, and columns if it returns rows.
    ///
    /// # Errors
    /// 26000 for an unknown statement.
    #[expect(clippy::type_complexity, reason = "two answers to one question")]
    pub fn describe_statement(
        &mut self,
        name: &str,
    ) -> Result<(Vec<SqlType>, Option<Vec<OutputColumn>>), SqlError> {
        let compiled = self.statement(name)?;
        self.refuse_in_failed(|| compiled.ends_block())?;
        let portal = Portal::<N>::new(compiled.clone(), Vec::new(), Formats::default());
        Ok((compiled.bound.parameters.clone(), portal.columns(self)))
    }

    /// What a portal returns: columns and their formats, if it returns rows.
    ///
    /// # Errors
    /// 34000 for an unknown portal.
    pub fn describe_portal(
        &mut self,
        name: &str,
    ) -> Result<Option<(Vec<OutputColumn>, Formats)>, SqlError> {
        let portal = self.portals.get(name).ok_or_else(|| unknown_portal(name))?;
        Ok(portal.columns(self).map(|columns| (columns, portal.formats.clone())))
    }

    /// Runs a portal: rows, at most `row_count_max` of them, then how it ended. `alone` says that a Sync follows, so the statement is a transaction of its own.
    ///
    /// # Errors
    /// The statement's.
    pub async fn execute<O: Output>(
        &mut self,
        name: &str,
        row_count_max: Option<u32>,
        alone: bool,
        out: &mut O,
    ) -> Result<(), SqlError> {
        let mut portal = self.portals.remove(name).ok_or_else(|| unknown_portal(name))?;
        self.refuse_in_failed(|| portal.compiled.ends_block())?;
        self.timer.take();
        if !alone && !matches!(portal.compiled.bound.statement, Statement::Transaction(_)) {
            self.open_batch();
        }
        let outcome = self.run_portal(&mut portal, row_count_max, out).await;
        if outcome.is_ok() {
            self.portals.insert(name.into(), portal);
        } else {
            self.fail().await;
        }
        outcome
    }

    /// Forgets a prepared statement; one that does not exist is no error.
    pub fn close_statement(&mut self, name: &str) {
        self.statements.remove(name);
    }

    /// Forgets a prepared statement by SQL; `None` forgets all.
    pub(crate) fn deallocate(&mut self, name: Option<&str>) -> Result<(), SqlError> {
        match name {
            None => self.statements.clear(),
            Some(name) => {
                if self.statements.remove(name).is_none() {
                    return Err(SqlError::new(
                        SqlState::INVALID_SQL_STATEMENT_NAME,
                        format!("prepared statement \"{name}\" does not exist"),
                    ));
                }
            }
        }
        Ok(())
    }

    /// Forgets a portal; one that does not exist is no error.
    pub fn close_portal(&mut self, name: &str) {
        self.portals.remove(name);
    }

    pub(crate) fn close_portals(&mut self) {
        self.portals.clear();
    }

    /// End of an extended exchange: a batch commits, and portals go unless a block is open.
    ///
    /// # Errors
    /// The commit's.
    pub async fn sync<O: Output>(&mut self, out: &mut O) -> Result<(), SqlError> {
        let outcome = match self.state {
            State::Failed(Opener::Batch) => {
                self.state = State::Idle;
                Ok(())
            }
            _ => self.commit_batch(out).await,
        };
        if matches!(self.state, State::Idle) {
            self.portals.clear();
        }
        outcome
    }

    /// The client is gone: rolls back what is open.
    pub async fn terminate(&mut self) {
        self.portals.clear();
        self.roll_back().await;
        self.state = State::Idle;
    }

    /// Refuses statements in a failed block, but for those that end it.
    fn refuse_in_failed(&self, ends_block: impl FnOnce() -> bool) -> Result<(), SqlError> {
        if matches!(self.state, State::Failed(_)) && !ends_block() {
            return Err(SqlError::new(
                SqlState::IN_FAILED_SQL_TRANSACTION,
                "current transaction is aborted, commands ignored until end of transaction block",
            ));
        }
        Ok(())
    }

    /// After an error: a block has failed, and what it held is given back.
    pub async fn fail(&mut self) {
        if let State::Open(block) = &self.state {
            let opener = block.opener;
            self.roll_back().await;
            self.state = State::Failed(opener);
        }
    }

    /// A message was refused before it reached the session: an open block has failed. What it holds is given back when the block ends.
    pub fn refuse(&mut self) {
        if let State::Open(block) = &mut self.state {
            let opener = block.opener;
            if let Some(transaction) = block.transaction.take() {
                self.node.engine().end_snapshot(transaction.snapshot());
            }
            self.lease = None;
            self.state = State::Failed(opener);
        }
    }

    /// A batch of the simple protocol ends with its first error.
    async fn leave_batch(&mut self) {
        if matches!(self.state, State::Failed(Opener::Batch)) {
            self.end_settings_quietly(Ending::Rollback);
            self.state = State::Idle;
        }
    }

    fn end_settings_quietly(&mut self, ending: Ending) {
        self.settings.end_transaction(ending);
    }

    fn open_batch(&mut self) {
        if matches!(self.state, State::Idle) {
            self.open_block(Opener::Batch, TransactionModes::default());
        }
    }

    pub(crate) fn open_block(&mut self, opener: Opener, modes: TransactionModes) {
        let begun = self.node.wall_micros();
        self.settings.begin_transaction();
        self.state = State::Open(Box::new(Block::new(opener, modes, begun)));
    }

    async fn commit_batch<O: Output>(&mut self, out: &mut O) -> Result<(), SqlError> {
        match &self.state {
            State::Open(block) if block.opener == Opener::Batch => self.commit_block(out).await,
            _ => Ok(()),
        }
    }

    /// The open transaction of a block, begun by its first statement.
    pub(crate) async fn transaction(&mut self) -> Result<&mut Transaction, SqlError> {
        let consistency = self.consistency();
        let engine = self.node.engine();
        let State::Open(block) = &mut self.state else {
            unreachable!("statements of a block run in a block")
        };
        block.has_run = true;
        if block.transaction.is_none() {
            let snapshot = engine.begin().await?;
            block.transaction = Some(Transaction::new(snapshot, consistency));
        }
        Ok(block.transaction.as_mut().expect("made above"))
    }

    pub(crate) fn consistency(&self) -> Consistency {
        match self.settings.show("ringfence.read_consistency") {
            Ok("snapshot") => Consistency::Snapshot,
            _ => Consistency::Strict,
        }
    }

    /// Whether writes are refused now.
    pub(crate) fn is_read_only(&self) -> bool {
        match &self.state {
            State::Open(block) => block
                .modes
                .read_only
                .unwrap_or_else(|| self.settings.is_on("default_transaction_read_only")),
            _ => self.settings.is_on("default_transaction_read_only"),
        }
    }

    /// Gives back what an open block holds.
    pub(crate) async fn roll_back(&mut self) {
        self.holds.clear();
        self.lease = None;
        if let State::Open(block) = &mut self.state {
            if let Some(transaction) = block.transaction.take() {
                self.node.engine().end_snapshot(transaction.snapshot());
            }
            block.loads.clear();
            block.catalog = None;
        }
    }

    /// Ends the settings of a transaction and tells the client which reported ones changed.
    pub(crate) fn end_settings<O: Output>(&mut self, ending: Ending, out: &mut O) {
        for setting in self.settings.end_transaction(ending) {
            out.setting(setting.name, self.settings.get(setting));
        }
    }
}

impl<N: Node> Drop for Session<N> {
    fn drop(&mut self) {
        if let State::Open(block) = &mut self.state
            && let Some(transaction) = block.transaction.take()
        {
            self.node.engine().end_snapshot(transaction.snapshot());
        }
    }
}

fn unknown_portal(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_CURSOR_NAME, format!("portal \"{name}\" does not exist"))
}

fn read_parameter(
    parameter: &RawParameter<'_>,
    sql_type: SqlType,
    settings: &TextSettings,
) -> Result<Value, SqlError> {
    let Some(bytes) = parameter.bytes else { return Ok(Value::Null) };
    let value = match parameter.format {
        Format::Binary => types::binary_format::receive(bytes, sql_type),
        Format::Text => {
            let text = std::str::from_utf8(bytes).map_err(|_| {
                SqlError::new(
                    SqlState::CHARACTER_NOT_IN_REPERTOIRE,
                    "invalid byte sequence for encoding \"UTF8\"",
                )
            })?;
            if text.contains('\0') {
                return Err(SqlError::new(
                    SqlState::CHARACTER_NOT_IN_REPERTOIRE,
                    "invalid byte sequence for encoding \"UTF8\": 0x00",
                ));
            }
            types::text_format::parse_text(text, sql_type, settings)
        }
    };
    value.map_err(SqlError::from)
}
