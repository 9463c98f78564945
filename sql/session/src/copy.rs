//! COPY: bytes of the client to rows, and rows to bytes.
//!
//! [`CopyParser`] is a function from bytes to stored rows, so it runs on the session's core for the first rows and on background cores for the rest:
//! a COPY that stays
//! within what a transaction buffers is an ordinary transaction; a larger one goes over to sealed table files ([`crate::node::BulkLoad`]).

use std::sync::Arc;

use functions::CastKind;
use functions::{EvalContext, cast_value, evaluate, evaluate_predicate};
use oltp::modify::{self, Evaluation};
use oltp::{Engine, Surroundings, TableRows};
use plan::statement::{BoundStatement, Copy, CopyDirection, ForceColumns, InsertSource, Statement};
use types::copy_format::{
    self, ColumnChoice, CopyFormat, CopyFormatError, CopyHeader, CopyOptionTexts, CopyReader,
    CopyWriter,
};
use types::{SqlState, TableSchema, Value, binary_format, limits, text_format};

use crate::analytics::{QueryPart, RowEncoding, RowStream};
use crate::block::{Opener, State};
use crate::compiled::Compiled;
use crate::error::SqlError;
use crate::functions::SessionContext;
use crate::node::{BulkLoad, BulkRequest, Loaded, Node};
use crate::output::{Format, Output};
use crate::session::Session;
use crate::settings::Ending;

/// Bytes of COPY input that are kept on the session's core before the load goes over to the background.
const SMALL_COPY_BYTES: usize = 1024 * 1024;
/// Rows that the session's core hands over at once when it must parse a large COPY itself.
const ROWS_PARSED_AT_ONCE: usize = 1_024;

/// Reads the rows of one COPY … FROM.
pub struct CopyParser {
    statement: Arc<BoundStatement>,
    surroundings: Surroundings,
    reader: CopyReader,
    is_binary: bool,
}

/// The parts of a bound COPY … FROM.
struct From<'a> {
    table: &'a Arc<TableSchema>,
    columns: &'a [u16],
    defaults: &'a [(u16, functions::Expr)],
    checks: &'a [plan::statement::BoundCheck],
    filter: Option<&'a functions::Expr>,
}

impl From<'_> {
    /// Whether its expressions can be evaluated on background cores.
    fn is_portable(&self) -> bool {
        let checks = self.checks.iter().map(|check| &check.condition);
        let defaults = self.defaults.iter().map(|(_, default)| default);
        let mut all = defaults.chain(self.filter).chain(checks);
        all.all(|expr| expr.volatility() != functions::Volatility::Volatile)
    }
}

fn from_part(statement: &BoundStatement) -> From<'_> {
    match &statement.statement {
        Statement::Copy(copy) => match &copy.direction {
            CopyDirection::From { table, columns, defaults, checks, filter } => {
                From { table, columns, defaults, checks, filter: filter.as_ref() }
            }
            CopyDirection::To { .. } => unreachable!("asked for the input of COPY TO"),
        },
        other => unreachable!("asked for the input of {other:?}"),
    }
}

impl CopyParser {
    /// A parser of the bytes of a bound COPY … FROM.
    ///
    /// # Errors
    /// Options that do not fit together.
    pub fn new(
        statement: Arc<BoundStatement>,
        surroundings: Surroundings,
    ) -> Result<CopyParser, SqlError> {
        let Statement::Copy(copy) = &statement.statement else {
            unreachable!("asked for the input of another statement")
        };
        let options = reader_options(copy, copy_format::CopyDirection::From)?;
        let is_binary = options.format() == CopyFormat::Binary;
        let from = from_part(&statement);
        let names = from
            .columns
            .iter()
            .map(|position| from.table.columns[usize::from(*position)].name.to_string());
        let reader = CopyReader::new(options, names.collect());
        Ok(CopyParser { statement, surroundings, reader, is_binary })
    }

    /// The table.
    pub fn table(&self) -> &Arc<TableSchema> {
        from_part(&self.statement).table
    }

    /// Takes in a piece.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), SqlError> {
        let pushed = self.reader.push(piece);
        pushed.map_err(|error| self.located(of_format(&error), None))
    }

    /// No more pieces follow.
    pub fn finish(&mut self) {
        self.reader.finish();
    }

    /// The next stored row (hidden row ids are left NULL); nothing when more input is needed, or at the end.
    ///
    /// # Errors
    /// What is wrong with the line, with its number.
    pub fn next_row(
        &mut self,
        volatile: &dyn functions::VolatileSource,
    ) -> Result<Option<Vec<Value>>, SqlError> {
        while let Some(mut row) = self.next_fields(volatile)? {
            let surroundings = self.surroundings.clone();
            if self.fill_row(&mut row, &surroundings.context(volatile))? {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    /// The fields of the next line in their columns, without defaults; nothing when more input is needed, or at the end.
    ///
    /// # Errors
    /// What is wrong with the line, with its number.
    pub fn next_fields(
        &mut self,
        volatile: &dyn functions::VolatileSource,
    ) -> Result<Option<Vec<Value>>, SqlError> {
        let statement = self.statement.clone();
        let from = from_part(&statement);
        let surroundings = self.surroundings.clone();
        let context = surroundings.context(volatile);
        let mut row = vec![Value::Null; from.table.columns.len()];
        let record = match self.reader.next_record() {
            Ok(None) => return Ok(None),
            Ok(Some(record)) => record,
            Err(error) => return Err(self.located(of_format(&error), None)),
        };
        for (field, position) in from.columns.iter().enumerate() {
            let column = &from.table.columns[usize::from(*position)];
            let Some(bytes) = record.field(field) else { continue };
            match read_field(bytes, column.column_type, self.is_binary, &context) {
                Ok(value) => row[usize::from(*position)] = value,
                Err(error) => {
                    let shown =
                        (!self.is_binary).then(|| String::from_utf8_lossy(bytes).into_owned());
                    return Err(self.located(error, Some((&column.name, shown))));
                }
            }
        }
        Ok(Some(row))
    }

    /// Fills in defaults and says whether WHERE holds.
    ///
    /// # Errors
    /// What an expression raises, with the line.
    pub fn fill_row(&self, row: &mut [Value], context: &EvalContext<'_>) -> Result<bool, SqlError> {
        let from = from_part(&self.statement);
        self.fill(&from, row, context).map_err(|error| self.located(error, None))
    }

    /// Fills in defaults and says whether WHERE holds.
    fn fill(
        &self,
        from: &From<'_>,
        row: &mut [Value],
        context: &EvalContext<'_>,
    ) -> Result<bool, SqlError> {
        for (position, default) in from.defaults {
            row[usize::from(*position)] = evaluate(default, &[], &[], context)?;
        }
        match from.filter {
            Some(filter) => Ok(evaluate_predicate(filter, row, &[], context)?),
            None => Ok(true),
        }
    }

    /// NOT NULL and CHECK of a row.
    ///
    /// # Errors
    /// 23502, 23514, with the line.
    pub fn check_row(
        &self,
        table: &TableRows,
        row: &[Value],
        context: &EvalContext<'_>,
    ) -> Result<(), SqlError> {
        let from = from_part(&self.statement);
        table
            .check(row, from.checks, &[], context)
            .map_err(|error| self.located(error.into(), None))
    }

    /// Adds where it happened.
    fn located(&self, mut error: SqlError, column: Option<(&str, Option<String>)>) -> SqlError {
        let table = &self.table().name;
        let line = self.reader.line_number();
        error.context = Some(match column {
            Some((name, Some(text))) => {
                format!("COPY {table}, line {line}, column {name}: \"{text}\"")
            }
            Some((name, None)) => format!("COPY {table}, line {line}, column {name}"),
            None => format!("COPY {table}, line {line}"),
        });
        error
    }
}

fn read_field(
    bytes: &[u8],
    column_type: types::ColumnType,
    is_binary: bool,
    context: &EvalContext<'_>,
) -> Result<Value, SqlError> {
    let sql_type = column_type.sql_type;
    let value = if is_binary {
        binary_format::receive(bytes, sql_type)?
    } else {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let byte = bytes.get(error.valid_up_to()).copied().unwrap_or_default();
            SqlError::new(
                SqlState::CHARACTER_NOT_IN_REPERTOIRE,
                format!("invalid byte sequence for encoding \"UTF8\": 0x{byte:02x}"),
            )
        })?;
        if text.contains('\0') {
            return Err(SqlError::new(
                SqlState::CHARACTER_NOT_IN_REPERTOIRE,
                "invalid byte sequence for encoding \"UTF8\": 0x00",
            ));
        }
        text_format::parse_text(text, sql_type, &context.settings)?
    };
    if column_type.modifier < 0 {
        return Ok(value);
    }
    Ok(cast_value(&value, sql_type, column_type, CastKind::Implicit, context)?)
}

fn of_format(error: &CopyFormatError) -> SqlError {
    let mut sql = SqlError::new(error.sqlstate(), error.to_string());
    sql.hint = error.hint().map(str::to_owned);
    sql
}

/// The options of a bound COPY as the reader and the writer take them.
fn reader_options(
    copy: &Copy,
    direction: copy_format::CopyDirection,
) -> Result<copy_format::CopyOptions, SqlError> {
    use plan::statement::{CopyFormat as Planned, CopyHeader as PlannedHeader};
    let options = &copy.options;
    let format = match options.format {
        Planned::Text => CopyFormat::Text,
        Planned::Csv => CopyFormat::Csv,
        Planned::Binary => CopyFormat::Binary,
    };
    let header = match options.header {
        PlannedHeader::Absent => CopyHeader::Absent,
        PlannedHeader::Present => CopyHeader::Present,
        PlannedHeader::Match => CopyHeader::Match,
    };
    let choice = |columns: &ForceColumns| match columns {
        ForceColumns::All => ColumnChoice::All,
        ForceColumns::Some(list) if list.is_empty() => ColumnChoice::Nothing,
        ForceColumns::Some(list) => ColumnChoice::These(list.clone()),
    };
    let byte = |byte: u8| char::from(byte).to_string();
    let (delimiter, quote, escape) =
        (byte(options.delimiter), byte(options.quote), byte(options.escape));
    let is_csv = format == CopyFormat::Csv;
    let is_binary = format == CopyFormat::Binary;
    let texts = CopyOptionTexts {
        format,
        delimiter: (!is_binary).then_some(delimiter.as_str()),
        null: (!is_binary).then_some(&*options.null),
        header,
        quote: is_csv.then_some(quote.as_str()),
        escape: is_csv.then_some(escape.as_str()),
        force_quote: choice(&options.force_quote),
        force_not_null: choice(&options.force_not_null),
        force_null: choice(&options.force_null),
    };
    texts.check(direction).map_err(|error| SqlError::new(error.sqlstate, error.message))
}

impl<N: Node> Session<N> {
    /// COPY.
    pub(crate) async fn copy<O: Output>(
        &mut self,
        copy: &Copy,
        compiled: &Arc<Compiled>,
        parameters: Vec<Value>,
        out: &mut O,
    ) -> Result<(), SqlError> {
        match &copy.direction {
            CopyDirection::To { .. } => self.copy_out(copy, compiled, parameters, out).await,
            CopyDirection::From { columns, .. } => {
                if self.is_read_only() {
                    return Err(SqlError::new(
                        SqlState::READ_ONLY_SQL_TRANSACTION,
                        "cannot execute COPY FROM in a read-only transaction",
                    ));
                }
                let format = match copy.options.format {
                    plan::statement::CopyFormat::Binary => Format::Binary,
                    _ => Format::Text,
                };
                let alone = matches!(self.state, State::Idle);
                if alone {
                    let modes = plan::statement::TransactionModes::default();
                    self.open_block(Opener::Batch, modes);
                }
                let columns = columns.len() as u16;
                let outcome = self.copy_in(compiled, format, columns, out).await;
                let outcome = match outcome {
                    Ok(count) if alone => self.commit_block(out).await.map(|()| count),
                    Err(error) if alone => {
                        self.roll_back().await;
                        self.state = State::Idle;
                        self.end_settings(Ending::Rollback, out);
                        Err(error)
                    }
                    other => other,
                };
                out.complete_rows("COPY", outcome?);
                Ok(())
            }
        }
    }

    async fn copy_in<O: Output>(
        &mut self,
        compiled: &Arc<Compiled>,
        format: Format,
        columns: u16,
        out: &mut O,
    ) -> Result<u64, SqlError> {
        self.transaction().await?.planned_at(&compiled.bound.tables);
        let surroundings = self.surroundings();
        let statement = compiled.bound.clone();
        out.begin_copy_in(format, columns).await?;
        let mut first = Vec::new();
        let mut more = true;
        while more && first.len() < SMALL_COPY_BYTES {
            more = out.next_copy_bytes(&mut first).await?;
        }
        if more || self.has_load(&compiled.bound) {
            return self.copy_in_bulk(compiled, surroundings, (first, more), out).await;
        }
        let mut parser = CopyParser::new(statement, surroundings.clone())?;
        parser.push(&first)?;
        parser.finish();
        let mut rows = Vec::new();
        while let Some(more) = self.parsed_rows(&mut parser, &surroundings).await? {
            rows.extend(more);
        }
        let count = rows.len() as u64;
        self.insert_copied(compiled, rows, &surroundings).await?;
        Ok(count)
    }

    /// Inserts the rows of a small COPY like those of an INSERT.
    async fn insert_copied(
        &mut self,
        compiled: &Arc<Compiled>,
        mut rows: Vec<Vec<Value>>,
        surroundings: &Surroundings,
    ) -> Result<(), SqlError> {
        let table = compiled.table.clone().expect("COPY FROM has its table prepared");
        self.give_row_ids(&table, &mut rows).await?;
        let from = from_part(&compiled.bound);
        let insert = plan::statement::Insert {
            table: table.schema.clone(),
            source: InsertSource::Rows(Vec::new()),
            checks: from.checks.to_vec(),
            on_conflict: None,
            returning: None,
        };
        let State::Open(block) = &mut self.state else { unreachable!("COPY runs in a block") };
        let mut transaction = block.transaction.take().expect("made before");
        let outcome = {
            let session = SessionContext::new(self, surroundings);
            let context = session.context();
            let evaluation = Evaluation { parameters: &[], context: &context };
            let engine = self.node.engine();
            modify::insert(engine, &mut transaction, &table, &insert, rows, evaluation).await
        };
        let State::Open(block) = &mut self.state else { unreachable!("COPY runs in a block") };
        block.transaction = Some(transaction);
        outcome?;
        Ok(())
    }

    /// Hands a large COPY over to the background.
    async fn copy_in_bulk<O: Output>(
        &mut self,
        compiled: &Arc<Compiled>,
        surroundings: Surroundings,
        (first, mut more): (Vec<u8>, bool),
        out: &mut O,
    ) -> Result<u64, SqlError> {
        let table = compiled.table.clone().expect("COPY FROM has its table prepared");
        let portable = from_part(&compiled.bound).is_portable();
        let existing = self.committed(&table.schema);
        let own = self.own_inserted(&table.schema, "a COPY").await?;
        let request = BulkRequest {
            table: table.schema.clone(),
            loaded: Loaded::Rows,
            copy: portable.then(|| compiled.bound.clone()),
            surroundings: surroundings.clone(),
            existing,
        };
        let mut load = self.node.start_bulk(request)?;
        let own_count = own.len() as u64;
        if !own.is_empty() {
            load.rows(own).await?;
        }
        let mut own = match portable {
            true => None,
            false => Some(CopyParser::new(compiled.bound.clone(), surroundings.clone())?),
        };
        let mut piece = first;
        loop {
            match &mut own {
                None => load.bytes(std::mem::take(&mut piece)).await?,
                Some(parser) => {
                    parser.push(&std::mem::take(&mut piece))?;
                    if !more {
                        parser.finish();
                    }
                    while let Some(rows) = self.parsed_rows(parser, &surroundings).await? {
                        load.rows(rows).await?;
                    }
                }
            }
            if !more {
                break;
            }
            more = out.next_copy_bytes(&mut piece).await?;
        }
        let count = load.finish().await? - own_count;
        if let State::Open(block) = &mut self.state {
            block.loads.push(load);
        }
        Ok(count)
    }

    /// Rows whose defaults only the session can evaluate; nothing when more input is needed.
    async fn parsed_rows(
        &self,
        parser: &mut CopyParser,
        surroundings: &Surroundings,
    ) -> Result<Option<Vec<Vec<Value>>>, SqlError> {
        let table = TableRows::new(parser.table(), self.node.engine().slices());
        let mut rows = Vec::new();
        while rows.len() < ROWS_PARSED_AT_ONCE {
            let Some(mut row) = parser.next_fields(&functions::NoVolatile)? else { break };
            // A sequence may have to be asked for more numbers; then the row is filled in again.
            loop {
                let mut filled = row.clone();
                let attempt = {
                    let session = SessionContext::new(self, surroundings);
                    let attempt = parser.fill_row(&mut filled, &session.context());
                    if attempt.is_ok() {
                        session.settle();
                    }
                    attempt
                };
                match attempt {
                    Ok(true) => {
                        row = filled;
                        let session = SessionContext::new(self, surroundings);
                        parser.check_row(&table, &row, &session.context())?;
                        rows.push(row);
                        break;
                    }
                    Ok(false) => break,
                    Err(error) => {
                        let pending =
                            oltp::StatementError::new(error.sqlstate, error.message.clone());
                        if !self.resolve_pending(&pending).await? {
                            return Err(error);
                        }
                    }
                }
            }
        }
        Ok(Some(rows).filter(|rows| !rows.is_empty()))
    }

    async fn copy_out<O: Output>(
        &mut self,
        copy: &Copy,
        compiled: &Arc<Compiled>,
        parameters: Vec<Value>,
        out: &mut O,
    ) -> Result<(), SqlError> {
        let options = reader_options(copy, copy_format::CopyDirection::To)?;
        let is_binary = options.format() == CopyFormat::Binary;
        let CopyDirection::To { query } = &copy.direction else {
            unreachable!("asked for the output of COPY FROM")
        };
        let column_count = query.columns.len();
        let settings = self.text_settings();
        let encoding = RowEncoding::Copy { options: options.clone(), settings };
        let request = self.analytics_request(compiled, QueryPart::CopyOut, parameters).await?;
        let mut stream = self.analyse_encoded(request, encoding, out).await?;
        let format = if is_binary { Format::Binary } else { Format::Text };
        let has_header = options.header() != CopyHeader::Absent;
        let writer = CopyWriter::new(options, column_count);
        out.begin_copy_out(format, column_count as u16);
        let mut piece = Vec::new();
        writer.begin(&mut piece);
        if has_header {
            writer.header(query.columns.iter().map(|column| &*column.name), &mut piece);
        }
        if !is_binary && !piece.is_empty() {
            out.copy_out(&piece)?;
            piece.clear();
        }
        let mut count = 0u64;
        while let Some(rows) = self.interruptible(stream.next(), out).await?? {
            count += rows.row_count() as u64;
            // Clients read row by row: the binary header comes in the first row's message, as from PostgreSQL.
            let bytes = if piece.is_empty() { rows.bytes } else { led_by(&piece, &rows.bytes) };
            piece.clear();
            out.encoded(bytes).await?;
        }
        writer.end(&mut piece);
        if !piece.is_empty() {
            out.copy_out(&piece)?;
        }
        out.end_copy_out();
        out.complete_rows("COPY", count);
        Ok(())
    }
}

/// The first of some CopyData messages with `lead` before its bytes, and the others.
///
/// Layout (PostgreSQL 15, 55.7): `'d'`, length as i32 with itself counted, bytes.
fn led_by(lead: &[u8], messages: &[u8]) -> Vec<u8> {
    let mut all = Vec::with_capacity(messages.len() + lead.len());
    let Some((start, rest)) = messages.split_first_chunk::<5>() else {
        return all;
    };
    let [kind, length @ ..] = *start;
    debug_assert_eq!(kind, b'd', "rows of COPY are CopyData messages");
    all.push(kind);
    all.extend((i32::from_be_bytes(length) + lead.len() as i32).to_be_bytes());
    all.extend(lead);
    all.extend(rest);
    all
}

const _: () = assert!(SMALL_COPY_BYTES < limits::TRANSACTION_BYTES_BUFFERED_MAX as usize);
