//! What SQL functions may ask of a session: the catalog, its settings, its sequences, the clock and random numbers.
//!
//! [`SessionFunctions`] is a picture that any core may hold. [`SessionContext`] adds what only the session's own core can do: sequences. `nextval`
//! cannot wait in the
//! middle of an evaluation, so it fails with a mark when its numbers have run out; the session then reserves more and evaluates the row again, and
//! calls that had
//! succeeded before give the same numbers again ([`SequenceCache`]).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use functions::{CatalogFunctions, EvalContext, EvalError, VolatileSource};
use oltp::transaction::Consistency;
use oltp::{Engine, StatementError, Surroundings};
use plan::catalog::{Catalog, Relation, SearchPath, quote_identifier};
use types::codec::{Decoder, Encoder};
use types::schema::SequenceSchema;
use types::{SqlState, TableId, Value};

use crate::error::SqlError;
use crate::node::Node;
use crate::session::Session;
use crate::settings::Settings;
use crate::system::{self, Kind};

/// Marks "reserve numbers of a sequence and evaluate again"; never reaches a client.
const PENDING: SqlState = SqlState(*b"RFSEQ");
/// Numbers that a session reserves at once.
const NUMBERS_RESERVED: i64 = 32;

/// A session's picture of the catalog and of itself.
pub struct SessionFunctions {
    catalog: Arc<Catalog>,
    search_path: SearchPath,
    settings: Settings,
    generation: u64,
    process_id: u32,
    user: Arc<str>,
    database: Arc<str>,
}

impl SessionFunctions {
    /// Where unqualified names are looked for.
    pub fn search_path(&self) -> &SearchPath {
        &self.search_path
    }

    fn text(value: impl Into<String>) -> Result<Value, EvalError> {
        Ok(Value::text(value))
    }

    fn names(names: impl Iterator<Item = String>) -> Value {
        Value::Array(names.map(Value::text).collect())
    }

    fn is_visible(&self, oid: u32) -> Option<bool> {
        let relation = self.catalog.relation_by_oid(oid)?;
        let (_, name) = relation.name();
        Some(self.catalog.find(&self.search_path, name).is_some_and(|found| found.oid() == oid))
    }

    fn current_setting(&self, arguments: &[&Value]) -> Result<Value, EvalError> {
        let Some(Value::Text(name)) = arguments.first() else { return Ok(Value::Null) };
        match self.settings.show(name) {
            Ok(value) => Self::text(value),
            Err(_) if matches!(arguments.get(1), Some(Value::Bool(true))) => Ok(Value::Null),
            Err(error) => Err(EvalError::new(error.sqlstate, error.message)),
        }
    }

    fn role_name(&self, oid: u32) -> String {
        self.catalog
            .roles()
            .find(|role| role.oid == oid)
            .map_or_else(|| format!("unknown (OID={oid})"), |role| role.name.to_string())
    }

    /// The whole definition, or the name of one of its columns.
    fn index_definition(&self, oid: Option<u32>, column: i64) -> Value {
        let Some(oid) = oid else { return Value::Null };
        if column <= 0 {
            return self.catalog.index_definition(oid).map_or(Value::Null, Value::text);
        }
        let (table, key) = match self.catalog.relation_by_oid(oid) {
            Some(Relation::Index { table, index }) => {
                let key = table.indexes[index].columns.clone();
                (table, key)
            }
            Some(Relation::PrimaryIndex(table)) => {
                let key = table.key.clone();
                (table, key)
            }
            _ => return Value::Null,
        };
        let name = key
            .get(column as usize - 1)
            .map(|column| quote_identifier(&table.columns[usize::from(column.position)].name));
        Value::text(name.unwrap_or_default())
    }

    fn constraint_definition(&self, oid: u32, pretty: bool) -> Value {
        match self.catalog.constraint(oid) {
            Some(text) if pretty => {
                let inner = text.strip_prefix("CHECK ((").and_then(|rest| rest.strip_suffix("))"));
                Value::text(inner.map_or(text.to_string(), |inner| format!("CHECK ({inner})")))
            }
            Some(text) => Value::text(text),
            None => Value::Null,
        }
    }

    fn serial_sequence(&self, arguments: &[&Value]) -> Result<Value, EvalError> {
        let [Value::Text(table), Value::Text(column)] = arguments else { return Ok(Value::Null) };
        let Some(Relation::Table(found)) = self.relation_named(table) else {
            let message = format!("relation \"{table}\" does not exist");
            return Err(EvalError::new(SqlState::UNDEFINED_TABLE, message));
        };
        let Some(position) = found.column_position(column) else {
            let message = format!("column \"{column}\" of relation \"{table}\" does not exist");
            return Err(EvalError::new(SqlState::UNDEFINED_COLUMN, message));
        };
        let sequence = found.columns[usize::from(position)]
            .sequence
            .and_then(|sequence| self.catalog.sequence(sequence.sequence_id));
        Ok(sequence.map_or(Value::Null, |sequence| {
            Value::text(format!(
                "{}.{}",
                quote_identifier(&sequence.namespace),
                quote_identifier(&sequence.name)
            ))
        }))
    }

    fn relation_named(&self, name: &str) -> Option<Relation> {
        let parts = split_name(name);
        match parts.as_slice() {
            [name] => self.catalog.find(&self.search_path, name),
            [namespace, name] => self.catalog.relation(namespace, name),
            [_, namespace, name] => self.catalog.relation(namespace, name),
            _ => None,
        }
    }
}

/// Splits `a."B".c` into its parts, unquoted ones in lower case.
fn split_name(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    let mut chars = name.trim().chars().peekable();
    while let Some(c) = chars.next() {
        let part = parts.last_mut().expect("never empty");
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                part.push('"');
            }
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(String::new()),
            c if quoted => part.push(c),
            c => part.extend(c.to_lowercase()),
        }
    }
    parts
}

impl CatalogFunctions for SessionFunctions {
    fn call(&self, function: &'static str, arguments: &[&Value]) -> Result<Value, EvalError> {
        let oid = |index: usize| match arguments.get(index) {
            Some(Value::Oid(oid)) => Some(*oid),
            Some(Value::Int4(oid)) => Some(*oid as u32),
            Some(Value::Int8(oid)) => u32::try_from(*oid).ok(),
            _ => None,
        };
        match function {
            "version" => Self::text(format!(
                "PostgreSQL {} on {}",
                crate::settings::SERVER_VERSION,
                std::env::consts::ARCH
            )),
            "pg_backend_pid" => Ok(Value::Int4(self.process_id as i32)),
            "current_setting" => self.current_setting(arguments),
            "current_schema" => {
                let schema = self.search_path.creation(&self.catalog);
                Ok(schema.map_or(Value::Null, Value::text))
            }
            "current_schemas" => {
                let with_system = matches!(arguments.first(), Some(Value::Bool(true)));
                let names = self.search_path.effective().filter(|name| {
                    self.catalog.schema_oid(name).is_some()
                        && (with_system || *name != "pg_catalog")
                });
                Ok(Self::names(names.map(str::to_owned)))
            }
            "pg_table_is_visible" => {
                Ok(oid(0).and_then(|oid| self.is_visible(oid)).map_or(Value::Null, Value::Bool))
            }
            "pg_type_is_visible"
            | "pg_function_is_visible"
            | "pg_operator_is_visible"
            | "pg_opclass_is_visible"
            | "pg_collation_is_visible" => Ok(Value::Bool(true)),
            "pg_get_userbyid" => {
                Ok(oid(0).map_or(Value::Null, |oid| Value::text(self.role_name(oid))))
            }
            "pg_get_indexdef" => {
                let column = match arguments.get(1) {
                    Some(Value::Int4(column)) => i64::from(*column),
                    Some(Value::Int2(column)) => i64::from(*column),
                    _ => 0,
                };
                Ok(self.index_definition(oid(0), column))
            }
            "pg_get_constraintdef" => {
                let pretty = matches!(arguments.get(1), Some(Value::Bool(true)));
                Ok(oid(0).map_or(Value::Null, |oid| self.constraint_definition(oid, pretty)))
            }
            // The expression is kept as text, so there is nothing to decompile.
            "pg_get_expr" => Ok((*arguments.first().unwrap_or(&&Value::Null)).clone()),
            "pg_get_serial_sequence" => self.serial_sequence(arguments),
            "obj_description" | "col_description" | "shobj_description" => Ok(Value::Null),
            "pg_is_in_recovery" => Ok(Value::Bool(false)),
            "pg_my_temp_schema" => Ok(Value::Oid(0)),
            "pg_is_other_temp_schema" => Ok(Value::Bool(false)),
            "inet_server_addr" | "inet_client_addr" | "inet_server_port" | "inet_client_port" => {
                Ok(Value::Null)
            }
            // There is one place for tables, and nothing in it has parts, rules, triggers or statistics of its own.
            "pg_tablespace_location" => Self::text(""),
            "pg_get_partkeydef"
            | "pg_get_partition_constraintdef"
            | "pg_get_ruledef"
            | "pg_get_triggerdef"
            | "pg_get_viewdef"
            | "pg_get_statisticsobjdef"
            | "pg_get_statisticsobjdef_columns"
            | "pg_get_replica_identity_index"
            | "pg_describe_object"
            | "pg_get_functiondef"
            | "pg_get_function_arguments"
            | "pg_get_function_identity_arguments"
            | "pg_get_function_result" => Ok(Value::Null),
            "pg_conversion_is_visible"
            | "pg_opfamily_is_visible"
            | "pg_statistics_obj_is_visible"
            | "pg_ts_config_is_visible"
            | "pg_ts_dict_is_visible"
            | "pg_ts_parser_is_visible"
            | "pg_ts_template_is_visible" => Ok(Value::Bool(true)),
            "pg_relation_is_publishable" | "row_security_active" => Ok(Value::Bool(false)),
            // What a table takes on disk is known file by file, in ringfence.sstables.
            "pg_table_size"
            | "pg_total_relation_size"
            | "pg_relation_size"
            | "pg_indexes_size"
            | "pg_database_size" => Ok(Value::Null),
            "pg_relation_filenode" => Ok((*arguments.first().unwrap_or(&&Value::Null)).clone()),
            "has_table_privilege"
            | "has_schema_privilege"
            | "has_database_privilege"
            | "has_column_privilege"
            | "has_sequence_privilege"
            | "has_any_column_privilege"
            | "pg_has_role" => Ok(Value::Bool(true)),
            "current_database" => Self::text(&*self.database),
            "current_user" | "session_user" | "user" => Self::text(&*self.user),
            _ => Err(EvalError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("function {function} cannot be evaluated here"),
            )),
        }
    }

    fn find_relation(&self, name: &str) -> Option<u32> {
        let relation = self.relation_named(name).map(|relation| relation.oid());
        relation.or_else(|| self.catalog.schema_oid(split_name(name).first()?))
    }

    fn relation_name(&self, oid: u32) -> Option<Box<str>> {
        let Some(relation) = self.catalog.relation_by_oid(oid) else {
            let (name, _) = self.catalog.schemas().find(|(_, known)| *known == oid)?;
            return Some(quote_identifier(name).into());
        };
        let (namespace, name) = relation.name();
        let name = quote_identifier(name);
        Some(match self.is_visible(oid) {
            Some(true) => name.into(),
            _ => format!("{}.{name}", quote_identifier(namespace)).into(),
        })
    }
}

/// Numbers of one sequence that this session has reserved.
#[derive(Clone, Copy, Debug)]
struct Reserved {
    next: i64,
    left: i64,
    increment: i64,
}

/// Something that must wait before an evaluation can be repeated.
#[derive(Clone, Debug)]
enum Pending {
    Reserve(TableId),
    Set { sequence: TableId, value: i64, called: bool },
    Sleep { milliseconds: u64 },
}

/// A session's side of sequences.
#[derive(Debug, Default)]
pub struct SequenceCache {
    state: RefCell<SequenceState>,
}

#[derive(Debug, Default)]
struct SequenceState {
    reserved: BTreeMap<TableId, Reserved>,
    last: BTreeMap<TableId, i64>,
    last_of_all: Option<TableId>,
    /// Answers of the evaluation under way, in order of the calls.
    answers: Vec<Value>,
    /// Calls of the present attempt so far.
    calls: usize,
    pending: Option<Pending>,
}

impl SequenceCache {
    /// DISCARD SEQUENCES
    pub fn forget(&self) {
        *self.state.borrow_mut() = SequenceState::default();
    }

    /// Numbers reserved of one sequence are no longer good.
    pub fn forget_one(&self, sequence: TableId) {
        self.state.borrow_mut().reserved.remove(&sequence);
    }
}

/// The context of an evaluation on the session's own core.
pub struct SessionContext<'a, N: Node> {
    session: &'a Session<N>,
    surroundings: &'a Surroundings,
}

impl<'a, N: Node> SessionContext<'a, N> {
    /// Begins an attempt of an evaluation.
    pub fn new(session: &'a Session<N>, surroundings: &'a Surroundings) -> SessionContext<'a, N> {
        session.sequences.state.borrow_mut().calls = 0;
        SessionContext { session, surroundings }
    }

    /// What the evaluator is given.
    pub fn context(&self) -> EvalContext<'_> {
        EvalContext { catalog: self, ..self.surroundings.context(self) }
    }

    /// The evaluation has succeeded: its sequence numbers are used up.
    pub fn settle(&self) {
        let mut state = self.session.sequences.state.borrow_mut();
        state.answers.clear();
        state.calls = 0;
    }

    fn sequence(&self, argument: Option<&&Value>) -> Result<Arc<SequenceSchema>, EvalError> {
        let catalog = self.session.catalog();
        let not_found = |what: String| {
            EvalError::new(SqlState::UNDEFINED_TABLE, format!("relation {what} does not exist"))
        };
        let oid = match argument {
            Some(Value::Oid(oid)) => *oid,
            Some(Value::Text(name)) => self
                .surroundings
                .catalog
                .find_relation(name)
                .ok_or_else(|| not_found(format!("\"{name}\"")))?,
            _ => return Err(EvalError::internal("a sequence function without a sequence")),
        };
        match catalog.sequence(TableId(oid)) {
            Some(sequence) => Ok(sequence.clone()),
            None => Err(EvalError::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!(
                    "\"{}\" is not a sequence",
                    self.surroundings.catalog.relation_name(oid).unwrap_or_default()
                ),
            )),
        }
    }

    fn next_value(&self, sequence: &SequenceSchema) -> Result<Value, EvalError> {
        let mut state = self.session.sequences.state.borrow_mut();
        let call = state.calls;
        state.calls += 1;
        if let Some(answer) = state.answers.get(call) {
            return Ok(answer.clone());
        }
        let id = sequence.sequence_id;
        let Some(reserved) = state.reserved.get_mut(&id).filter(|reserved| reserved.left > 0)
        else {
            state.pending = Some(Pending::Reserve(id));
            return Err(EvalError::new(PENDING, "sequence numbers are being reserved"));
        };
        let value = reserved.next;
        reserved.left -= 1;
        reserved.next = reserved.next.saturating_add(reserved.increment);
        state.last.insert(id, value);
        state.last_of_all = Some(id);
        state.answers.push(Value::Int8(value));
        Ok(Value::Int8(value))
    }

    fn set_value(
        &self,
        sequence: &SequenceSchema,
        arguments: &[&Value],
    ) -> Result<Value, EvalError> {
        let Some(Value::Int8(value)) = arguments.get(1) else { return Ok(Value::Null) };
        let called = !matches!(arguments.get(2), Some(Value::Bool(false)));
        if !(sequence.minimum..=sequence.maximum).contains(value) {
            let message = format!(
                "setval: value {value} is out of bounds for sequence \"{}\" ({}..{})",
                sequence.name, sequence.minimum, sequence.maximum
            );
            return Err(EvalError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message));
        }
        let mut state = self.session.sequences.state.borrow_mut();
        let call = state.calls;
        state.calls += 1;
        if let Some(answer) = state.answers.get(call) {
            return Ok(answer.clone());
        }
        let sequence = sequence.sequence_id;
        state.pending = Some(Pending::Set { sequence, value: *value, called });
        Err(EvalError::new(PENDING, "a sequence is being set"))
    }

    fn sleep(&self, arguments: &[&Value]) -> Result<Value, EvalError> {
        let Some(Value::Float8(seconds)) = arguments.first() else { return Ok(Value::Null) };
        let mut state = self.session.sequences.state.borrow_mut();
        let call = state.calls;
        state.calls += 1;
        if let Some(answer) = state.answers.get(call) {
            return Ok(answer.clone());
        }
        // Rust saturates: what is no number of milliseconds is none, or for ever.
        let milliseconds = (seconds * 1000.0).ceil() as u64;
        state.pending = Some(Pending::Sleep { milliseconds });
        Err(EvalError::new(PENDING, "the session is asleep"))
    }

    fn current_value(&self, sequence: &SequenceSchema) -> Result<Value, EvalError> {
        let state = self.session.sequences.state.borrow();
        match state.last.get(&sequence.sequence_id) {
            Some(value) => Ok(Value::Int8(*value)),
            None => Err(EvalError::new(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!(
                    "currval of sequence \"{}\" is not yet defined in this session",
                    sequence.name
                ),
            )),
        }
    }
}

impl<N: Node> CatalogFunctions for SessionContext<'_, N> {
    fn call(&self, function: &'static str, arguments: &[&Value]) -> Result<Value, EvalError> {
        match function {
            "nextval" => self.next_value(&*self.sequence(arguments.first())?),
            "currval" => self.current_value(&*self.sequence(arguments.first())?),
            "setval" => self.set_value(&*self.sequence(arguments.first())?, arguments),
            "pg_sleep" => self.sleep(arguments),
            "lastval" => {
                let state = self.session.sequences.state.borrow();
                let last = state.last_of_all.and_then(|id| state.last.get(&id));
                last.map(|value| Value::Int8(*value)).ok_or_else(|| {
                    EvalError::new(
                        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                        "lastval is not yet defined in this session",
                    )
                })
            }
            _ => self.surroundings.catalog.call(function, arguments),
        }
    }

    fn find_relation(&self, name: &str) -> Option<u32> {
        self.surroundings.catalog.find_relation(name)
    }

    fn relation_name(&self, oid: u32) -> Option<Box<str>> {
        self.surroundings.catalog.relation_name(oid)
    }
}

impl<N: Node> VolatileSource for SessionContext<'_, N> {
    fn wall_micros(&self) -> Result<i64, EvalError> {
        Ok(self.session.node.wall_micros())
    }

    fn random_bits(&self) -> Result<u64, EvalError> {
        Ok(self.session.node.random_bits())
    }
}

impl<N: Node> Session<N> {
    /// The picture that functions see, made anew when the catalog or a setting has changed.
    pub(crate) fn session_functions(&self) -> Arc<SessionFunctions> {
        let catalog = self.catalog();
        let generation = self.settings.generation();
        let mut kept = self.functions.borrow_mut();
        if let Some(functions) = &*kept
            && Arc::ptr_eq(&functions.catalog, &catalog)
            && functions.generation == generation
        {
            return functions.clone();
        }
        let path = self.settings.search_path().into_iter().map(String::into_boxed_str);
        let functions = Arc::new(SessionFunctions {
            catalog,
            search_path: SearchPath::new(path, &self.user),
            settings: self.settings.clone(),
            generation,
            process_id: self.process_id,
            user: self.user.clone(),
            database: self.database.clone(),
        });
        *kept = Some(functions.clone());
        functions
    }

    /// Whether an evaluation only waits for sequence numbers; then they are there now, and it may be repeated.
    pub(crate) async fn resolve_pending(&self, error: &StatementError) -> Result<bool, SqlError> {
        if error.sqlstate != PENDING {
            return Ok(false);
        }
        let pending = self.sequences.state.borrow_mut().pending.take();
        match pending {
            None => Ok(false),
            Some(Pending::Reserve(id)) => {
                self.reserve_numbers(id).await?;
                Ok(true)
            }
            Some(Pending::Sleep { .. }) => Err(SqlError::not_supported("pg_sleep() here")),
            Some(Pending::Set { sequence, value, called }) => {
                self.set_sequence(sequence, value, called).await?;
                let mut state = self.sequences.state.borrow_mut();
                state.reserved.remove(&sequence);
                if called {
                    state.last.insert(sequence, value);
                    state.last_of_all = Some(sequence);
                }
                state.answers.push(Value::Int8(value));
                Ok(true)
            }
        }
    }

    /// For how long the evaluation that ended with an error asks to wait, if that is what it asks for.
    pub(crate) fn pending_sleep(&self, error: &StatementError) -> Option<u64> {
        let state = self.sequences.state.borrow();
        match state.pending {
            Some(Pending::Sleep { milliseconds }) if error.sqlstate == PENDING => {
                Some(milliseconds)
            }
            _ => None,
        }
    }

    /// The wait is over: the evaluation may be repeated.
    pub(crate) fn awake(&self) {
        let mut state = self.sequences.state.borrow_mut();
        state.pending = None;
        state.answers.push(Value::text(""));
    }

    async fn reserve_numbers(&self, id: TableId) -> Result<(), SqlError> {
        let catalog = self.catalog();
        let sequence = catalog
            .sequence(id)
            .cloned()
            .ok_or_else(|| SqlError::new(SqlState::UNDEFINED_TABLE, "the sequence was dropped"))?;
        let reserved = self
            .sequence_transaction(&sequence, |position| take_numbers(&sequence, position))
            .await?;
        self.sequences.state.borrow_mut().reserved.insert(id, reserved);
        Ok(())
    }

    /// Sets a sequence's position.
    pub(crate) async fn set_sequence(
        &self,
        id: TableId,
        value: i64,
        called: bool,
    ) -> Result<(), SqlError> {
        let catalog = self.catalog();
        let sequence = catalog
            .sequence(id)
            .cloned()
            .ok_or_else(|| SqlError::new(SqlState::UNDEFINED_TABLE, "the sequence was dropped"))?;
        self.sequence_transaction(&sequence, |_| {
            let position = if called { after(&sequence, value) } else { Some(value) };
            Ok((position, ()))
        })
        .await
    }

    /// Changes a sequence's position in a transaction of its own, as PostgreSQL does: a rollback around it brings no numbers back.
    async fn sequence_transaction<T>(
        &self,
        sequence: &SequenceSchema,
        change: impl Fn(Option<i64>) -> Result<(Option<i64>, T), SqlError>,
    ) -> Result<T, SqlError> {
        let engine = self.node.engine();
        let id = sequence.sequence_id.to_string();
        let table = system::system_rows(engine.slices());
        let address = system::system_address(&table, Kind::SequenceState, &id);
        loop {
            let snapshot = engine.begin().await?;
            let mut transaction = oltp::Transaction::new(snapshot, Consistency::Strict);
            let attempt = async {
                let targets = oltp::Targets::Points(vec![address.clone()]);
                let rows = transaction.rows(engine, &table, &targets).await?;
                let position = match rows.first().map(|row| &row.values[3]) {
                    Some(Value::Bytea(payload)) => decode_position(payload),
                    _ => Some(sequence.start),
                };
                let (next, answer) = change(position)?;
                let payload = encode_position(next);
                let kind = Kind::SequenceState;
                system::write_row(engine, &mut transaction, kind, &id, Some(payload)).await?;
                transaction.commit(engine).await?;
                Ok::<T, SqlError>(answer)
            }
            .await;
            engine.end_snapshot(snapshot);
            match attempt {
                Err(error) if error.sqlstate == SqlState::SERIALIZATION_FAILURE => {}
                other => return other,
            }
        }
    }
}

/// The position after a value; nothing when the sequence has run out.
fn after(sequence: &SequenceSchema, value: i64) -> Option<i64> {
    let next = value.checked_add(sequence.increment);
    next.filter(|next| (sequence.minimum..=sequence.maximum).contains(next)).or({
        match (sequence.cycle, sequence.increment > 0) {
            (false, _) => None,
            (true, true) => Some(sequence.minimum),
            (true, false) => Some(sequence.maximum),
        }
    })
}

/// Takes numbers from a position on: the position after them, and the numbers.
fn take_numbers(
    sequence: &SequenceSchema,
    position: Option<i64>,
) -> Result<(Option<i64>, Reserved), SqlError> {
    let Some(first) = position else {
        let (word, bound) = if sequence.increment > 0 {
            ("maximum", sequence.maximum)
        } else {
            ("minimum", sequence.minimum)
        };
        return Err(SqlError::new(
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("nextval: reached {word} value of sequence \"{}\" ({bound})", sequence.name),
        ));
    };
    let mut last = first;
    let mut left = 1;
    while left < NUMBERS_RESERVED {
        let step = last.checked_add(sequence.increment);
        match step.filter(|next| (sequence.minimum..=sequence.maximum).contains(next)) {
            Some(next) => last = next,
            None => break,
        }
        left += 1;
    }
    let reserved = Reserved { next: first, left, increment: sequence.increment };
    Ok((after(sequence, last), reserved))
}

pub(crate) fn encode_position(position: Option<i64>) -> Vec<u8> {
    let mut encoder = Encoder::new();
    encoder.i64(position.unwrap_or(0));
    encoder.bool(position.is_none());
    encoder.into_bytes()
}

fn decode_position(payload: &[u8]) -> Option<i64> {
    let mut decoder = Decoder::new(payload);
    let position = decoder.i64().ok()?;
    let exhausted = decoder.bool("exhausted").ok()?;
    (!exhausted).then_some(position)
}
