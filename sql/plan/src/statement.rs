//! Bound statements: everything that a client can ask, with names resolved and types known.
//!
//! Rows of a table that is written are *stored rows*: one value for each of `TableSchema::columns`, dropped and hidden ones included. An expression over
//! a stored row names stored positions.

use crate::catalog::Role;
use crate::classify::Path;
use crate::point_plan::{Access, ReadOrder, RowBound};
use crate::query::{OutputColumn, Query, SortKey, Subqueries};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use functions::Expr;
use types::schema::{CheckSchema, ColumnSchema, IndexSchema, KeyColumn, Partitioning};
use types::{SchemaVersion, SqlType, TableId, TableSchema};

/// A statement, bound and classified.
#[derive(Clone, Debug)]
pub struct BoundStatement {
    /// What is asked.
    pub statement: Statement,
    /// Subqueries and WITH queries of the whole statement.
    pub subqueries: Subqueries,
    /// Types of the parameters `$1`, `$2`, …
    pub parameters: Vec<SqlType>,
    /// The result's columns; none if it returns no rows.
    pub columns: Vec<OutputColumn>,
    /// Tables and sequences named anywhere in it, at the versions planned at. Sorted.
    pub tables: Vec<(TableId, SchemaVersion)>,
    /// Which path runs it.
    pub path: Path,
    /// What the client is told beside the answer.
    pub notices: Vec<Notice>,
}

/// Something the client is told that is no error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// SQLSTATE, class 00 or 01.
    pub state: types::SqlState,
    /// NOTICE or WARNING.
    pub severity: Severity,
    /// The message.
    pub message: Box<str>,
}

/// How loud a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// NOTICE
    Notice,
    /// WARNING
    Warning,
}

/// What is asked.
#[derive(Clone, Debug)]
pub enum Statement {
    /// An empty statement.
    Empty,
    /// SELECT, VALUES, TABLE.
    Select(Box<Select>),
    /// INSERT.
    Insert(Box<Insert>),
    /// UPDATE.
    Update(Box<Update>),
    /// DELETE.
    Delete(Box<Delete>),
    /// COPY.
    Copy(Box<Copy>),
    /// A change of the schema.
    Ddl(Box<Ddl>),
    /// BEGIN, COMMIT, …
    Transaction(TransactionStatement),
    /// SET, RESET.
    Set(SetStatement),
    /// SHOW.
    Show(ShowStatement),
    /// DISCARD.
    Discard(DiscardKind),
    /// PREPARE.
    Prepare(Box<Prepare>),
    /// EXECUTE.
    Execute(Box<Execute>),
    /// DEALLOCATE; nothing names all.
    Deallocate(Option<Box<str>>),
    /// EXPLAIN.
    Explain(Box<Explain>),
    /// A command whose promise is kept without it (VACUUM, ANALYZE, CHECKPOINT, …): answered by its tag and the notices.
    Kept {
        /// Command tag.
        tag: &'static str,
    },
}

/// SELECT.
#[derive(Clone, Debug)]
pub struct Select {
    /// The query, for either path.
    pub query: Query,
    /// How the shard core runs it, when it is short.
    pub short: Option<ShortRead>,
}

/// A read that a shard core runs without a query engine.
///
/// In this order: rows of `access` (or one row without columns, without a table), `filter`, `sort`, `offset`, `limit`, `output`.
#[derive(Clone, Debug)]
pub struct ShortRead {
    /// The table and the way into it; nothing for a SELECT without FROM.
    pub source: Option<TableAccess>,
    /// What remains of WHERE, over stored rows.
    pub filter: Option<Expr>,
    /// Sort keys over stored rows that the access path does not already satisfy.
    pub sort: Vec<SortKey>,
    /// LIMIT, a bigint.
    pub limit: Option<Expr>,
    /// OFFSET, a bigint.
    pub offset: Option<Expr>,
    /// The result's columns, over stored rows.
    pub output: Vec<Expr>,
    /// Stored positions that filter, sort and output name.
    pub needed: Vec<u16>,
    /// FOR UPDATE and its kin.
    pub lock: Option<RowLock>,
}

/// A table and the way to its rows.
#[derive(Clone, Debug)]
pub struct TableAccess {
    /// The table at the version planned at.
    pub table: Arc<TableSchema>,
    /// How its rows are reached.
    pub access: Access,
    /// Order of the rows.
    pub order: ReadOrder,
    /// What bounds their number.
    pub bound: RowBound,
}

/// A row lock asked for by SELECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowLock {
    /// Which.
    pub strength: LockStrength,
    /// What to do when another holds it.
    pub wait: LockWait,
}

/// Strengths of a row lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockStrength {
    /// FOR KEY SHARE
    KeyShare,
    /// FOR SHARE
    Share,
    /// FOR NO KEY UPDATE
    NoKeyUpdate,
    /// FOR UPDATE
    Update,
}

/// What to do when another holds a row lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockWait {
    /// Wait.
    Wait,
    /// 55P03.
    NoWait,
    /// Leave the row out.
    SkipLocked,
}

/// A CHECK constraint, bound.
#[derive(Clone, Debug)]
pub struct BoundCheck {
    /// Its name.
    pub name: Box<str>,
    /// Over stored rows; violated when false (NULL passes).
    pub condition: Expr,
}

/// INSERT.
#[derive(Clone, Debug)]
pub struct Insert {
    /// The table.
    pub table: Arc<TableSchema>,
    /// Where rows come from.
    pub source: InsertSource,
    /// CHECK constraints.
    pub checks: Vec<BoundCheck>,
    /// ON CONFLICT.
    pub on_conflict: Option<OnConflict>,
    /// RETURNING, over the stored row as written.
    pub returning: Option<Vec<Expr>>,
}

/// Where inserted rows come from.
#[derive(Clone, Debug)]
pub enum InsertSource {
    /// Stored rows: one expression for each stored column, of its type, defaults filled in (NULL for dropped columns and the hidden row id, which
    /// the writer gives). The expressions see no columns.
    Rows(Vec<Vec<Expr>>),
    /// A query, and one expression for each stored column over the query's row.
    Query {
        /// Gives the rows.
        query: Query,
        /// One for each stored column.
        values: Vec<Expr>,
    },
}

/// ON CONFLICT; the key is always the primary key, the one unique constraint there is.
#[derive(Clone, Debug)]
pub enum OnConflict {
    /// DO NOTHING
    DoNothing,
    /// DO UPDATE
    DoUpdate {
        /// Stored position and value; sees the stored row that is there, then the stored row proposed (`excluded`).
        assignments: Vec<(u16, Expr)>,
        /// WHERE, over the same.
        filter: Option<Expr>,
    },
}

/// UPDATE.
#[derive(Clone, Debug)]
pub struct Update {
    /// Table and way to its rows.
    pub target: TableAccess,
    /// What remains of WHERE, over stored rows.
    pub filter: Option<Expr>,
    /// When the rows are found by reading, or when the way to them may lead to more rows than a shard core reads: gives the stored row, then any more columns
    /// that `assignments` and `returning` name after the stored positions. The whole of WHERE is a part of it.
    pub footprint: Option<Query>,
    /// Stored position and value, over the old row (and the footprint's columns after it).
    pub assignments: Vec<(u16, Expr)>,
    /// CHECK constraints that name a changed column.
    pub checks: Vec<BoundCheck>,
    /// RETURNING, over the row as written (and the footprint's columns after it).
    pub returning: Option<Vec<Expr>>,
    /// Whether it may be kept as a function of the row until COMMIT.
    pub deferred: Deferred,
}

/// Whether an UPDATE may be a deferred write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deferred {
    /// The client learns nothing but that the row exists.
    Possible,
    /// It reads more than that.
    Impossible,
}

/// DELETE.
#[derive(Clone, Debug)]
pub struct Delete {
    /// Table and way to its rows.
    pub target: TableAccess,
    /// What remains of WHERE, over stored rows.
    pub filter: Option<Expr>,
    /// As in [`Update::footprint`].
    pub footprint: Option<Query>,
    /// RETURNING, over the row as it was (and the footprint's columns after it).
    pub returning: Option<Vec<Expr>>,
}

/// COPY.
#[derive(Clone, Debug)]
pub struct Copy {
    /// Where bytes go or come from.
    pub direction: CopyDirection,
    /// How rows are written as bytes.
    pub options: CopyOptions,
}

/// Where COPY's bytes go or come from.
#[derive(Clone, Debug)]
pub enum CopyDirection {
    /// `COPY t FROM STDIN`
    From {
        /// The table.
        table: Arc<TableSchema>,
        /// Stored positions of the fields of a line, in order.
        columns: Vec<u16>,
        /// Stored columns not among them, with their default, of the column's type.
        defaults: Vec<(u16, Expr)>,
        /// CHECK constraints.
        checks: Vec<BoundCheck>,
        /// WHERE, over stored rows.
        filter: Option<Expr>,
    },
    /// `COPY t TO STDOUT`, `COPY (query) TO STDOUT`
    To {
        /// Gives the rows.
        query: Query,
    },
}

/// How COPY writes rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyOptions {
    /// Format.
    pub format: CopyFormat,
    /// Byte between fields.
    pub delimiter: u8,
    /// What stands for NULL.
    pub null: Box<str>,
    /// Whether there is, or is to be, a line of names.
    pub header: CopyHeader,
    /// csv: quotation mark.
    pub quote: u8,
    /// csv: what escapes a quotation mark.
    pub escape: u8,
    /// csv, out: which fields are always quoted.
    pub force_quote: ForceColumns,
    /// csv, in: fields whose NULL marker is taken as text.
    pub force_not_null: ForceColumns,
    /// csv, in: fields whose quoted NULL marker is NULL.
    pub force_null: ForceColumns,
}

/// Formats of COPY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyFormat {
    /// PostgreSQL's text.
    Text,
    /// RFC 4180 as PostgreSQL reads it.
    Csv,
    /// PostgreSQL's binary.
    Binary,
}

/// A header line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyHeader {
    /// None.
    Absent,
    /// One line of names.
    Present,
    /// One line whose names must be those of the columns.
    Match,
}

/// Columns that a csv option names, as positions in the list of fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForceColumns {
    /// `*`
    All,
    /// These; often none.
    Some(Vec<usize>),
}

/// A change of the schema.
#[derive(Clone, Debug)]
pub enum Ddl {
    /// CREATE SCHEMA
    CreateSchema {
        /// Name.
        name: Box<str>,
        /// Whether it exists already, and IF NOT EXISTS says that this is no error.
        skip: bool,
    },
    /// DROP SCHEMA
    DropSchema {
        /// Names of those that exist.
        names: Vec<Box<str>>,
        /// Tables that CASCADE drops.
        tables: Vec<TableId>,
        /// Sequences that CASCADE drops.
        sequences: Vec<TableId>,
    },
    /// CREATE TABLE
    CreateTable {
        /// What to make.
        definition: TableDefinition,
        /// It exists already, and IF NOT EXISTS says that this is no error.
        skip: bool,
        /// CREATE TABLE AS: the first rows; the query's columns are the table's visible ones.
        source: Option<Query>,
    },
    /// DROP TABLE
    DropTable {
        /// Those that exist.
        tables: Vec<TableId>,
    },
    /// TRUNCATE
    Truncate {
        /// Tables.
        tables: Vec<Arc<TableSchema>>,
        /// RESTART IDENTITY
        restart_identity: bool,
    },
    /// ALTER TABLE
    AlterTable {
        /// The table; nothing if it does not exist and IF EXISTS says that this is no error.
        table: Option<Arc<TableSchema>>,
        /// What to do, in order.
        actions: Vec<AlterAction>,
    },
    /// CREATE INDEX
    CreateIndex {
        /// Table.
        table: Arc<TableSchema>,
        /// Index to make; its id is not given yet.
        index: IndexSchema,
        /// It exists already, and IF NOT EXISTS says that this is no error.
        skip: bool,
    },
    /// DROP INDEX
    DropIndex {
        /// (table, index), those that exist.
        indexes: Vec<(TableId, TableId)>,
    },
    /// CREATE SEQUENCE
    CreateSequence {
        /// What to make.
        definition: SequenceDefinition,
        /// It exists already, and IF NOT EXISTS says that this is no error.
        skip: bool,
    },
    /// DROP SEQUENCE
    DropSequence {
        /// Those that exist.
        sequences: Vec<TableId>,
    },
    /// ALTER SEQUENCE … RESTART [WITH n]
    RestartSequence {
        /// The sequence.
        sequence: TableId,
        /// Where it starts; nothing means its START.
        with: Option<i64>,
    },
    /// CREATE ROLE, CREATE USER, ALTER ROLE … PASSWORD: the role as it is to be; the password in clear, to be turned into a verifier.
    PutRole {
        /// The role; its verifier is as before.
        role: Role,
        /// What happens to the password.
        password: PasswordChange,
    },
    /// DROP ROLE
    DropRole {
        /// Those that exist.
        names: Vec<Box<str>>,
    },
}

/// What happens to a role's password.
#[derive(Clone, PartialEq, Eq)]
pub enum PasswordChange {
    /// Nothing.
    Keep,
    /// There is none any more.
    Clear,
    /// This, in clear or as a SCRAM verifier.
    Set(Box<str>),
}

impl core::fmt::Debug for PasswordChange {
    /// A password is never printed.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            PasswordChange::Keep => "Keep",
            PasswordChange::Clear => "Clear",
            PasswordChange::Set(_) => "Set",
        })
    }
}

/// A table to be made: everything but ids.
#[derive(Clone, Debug)]
pub struct TableDefinition {
    /// Schema.
    pub namespace: Box<str>,
    /// Name.
    pub name: Box<str>,
    /// Visible columns in order. `sequence` is nothing here.
    pub columns: Vec<ColumnSchema>,
    /// Sequences to be made with it, for serial and identity columns: (position in `columns`, how, the sequence).
    pub sequences: Vec<(u16, types::schema::Generation, SequenceDefinition)>,
    /// Name of the primary key and its columns; nothing means a hidden row id.
    pub primary_key: Option<(Box<str>, Vec<KeyColumn>)>,
    /// What chooses a row's token.
    pub partitioning: Partitioning,
    /// CHECK constraints.
    pub checks: Vec<CheckSchema>,
}

/// A sequence to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequenceDefinition {
    /// Schema.
    pub namespace: Box<str>,
    /// Name.
    pub name: Box<str>,
    /// `smallint`, `integer` or `bigint`.
    pub sql_type: SqlType,
    /// First value.
    pub start: i64,
    /// Step.
    pub increment: i64,
    /// Lowest value.
    pub minimum: i64,
    /// Highest value.
    pub maximum: i64,
    /// Whether it starts again after the last value.
    pub cycle: bool,
    /// OWNED BY.
    pub owned_by: Option<(TableId, u16)>,
}

/// One action of ALTER TABLE.
#[derive(Clone, Debug)]
pub enum AlterAction {
    /// ADD COLUMN. Without sequence and with a constant default it is instant (`missing` holds the value); a volatile default rewrites.
    AddColumn {
        /// The column; `missing` is filled in when the default is constant.
        column: Box<ColumnSchema>,
        /// Value for each row that is there, when it is not the same for all.
        rewrite: Option<Expr>,
        /// A sequence made with it.
        sequence: Option<(types::schema::Generation, SequenceDefinition)>,
        /// CHECK constraints made with it.
        checks: Vec<CheckSchema>,
    },
    /// DROP COLUMN
    DropColumn {
        /// Stored position.
        position: u16,
    },
    /// ADD PRIMARY KEY: a new table generation.
    AddPrimaryKey {
        /// Constraint name.
        name: Box<str>,
        /// Columns.
        columns: Vec<KeyColumn>,
        /// What chooses a row's token afterwards.
        partitioning: Partitioning,
    },
    /// DROP CONSTRAINT of the primary key: a new table generation with a hidden row id.
    DropPrimaryKey,
    /// Every row is written anew; no statement says so, but an UPDATE or a DELETE of more rows than a transaction buffers becomes one.
    Rewrite {
        /// Stored positions and values, over the old stored row.
        values: Vec<(u16, Expr)>,
        /// Rows for which this is not true go; all stay without it.
        keep: Option<Expr>,
        /// CHECK constraints over the new row.
        checks: Vec<BoundCheck>,
        /// Stored positions that must not be NULL.
        not_null: Vec<u16>,
    },
    /// ALTER COLUMN … TYPE.
    SetType {
        /// Stored position.
        position: u16,
        /// The type from now on.
        column_type: types::ColumnType,
        /// The value over the old stored row; nothing if every old value is one of the new type as it is.
        value: Option<Expr>,
        /// CHECK constraints that name the column, over the new row.
        checks: Vec<BoundCheck>,
    },
    /// ADD CHECK; rows that are there must pass.
    AddCheck {
        /// As stored.
        check: CheckSchema,
        /// Bound, over stored rows.
        condition: Expr,
    },
    /// DROP CONSTRAINT of a CHECK.
    DropCheck {
        /// Name.
        name: Box<str>,
    },
    /// SET NOT NULL; rows that are there must pass.
    SetNotNull {
        /// Stored position.
        position: u16,
    },
    /// DROP NOT NULL
    DropNotNull {
        /// Stored position.
        position: u16,
    },
    /// SET DEFAULT, DROP DEFAULT
    SetDefault {
        /// Stored position.
        position: u16,
        /// SQL text.
        default: Option<Box<str>>,
    },
    /// RENAME TO
    RenameTable {
        /// New name.
        name: Box<str>,
    },
    /// RENAME COLUMN
    RenameColumn {
        /// Stored position.
        position: u16,
        /// New name.
        name: Box<str>,
    },
    /// An action whose promise is kept without it (OWNER TO, SET (fillfactor = …), CLUSTER ON, …).
    Kept,
}

/// BEGIN and its kin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionStatement {
    /// BEGIN, START TRANSACTION.
    Begin(TransactionModes),
    /// COMMIT, END.
    Commit {
        /// AND CHAIN
        chain: bool,
    },
    /// ROLLBACK, ABORT.
    Rollback {
        /// AND CHAIN
        chain: bool,
    },
    /// SET TRANSACTION.
    SetModes(TransactionModes),
    /// SET SESSION CHARACTERISTICS AS TRANSACTION.
    SetSessionModes(TransactionModes),
}

/// Modes of a transaction; nothing means the session's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransactionModes {
    /// ISOLATION LEVEL
    pub isolation: Option<Isolation>,
    /// READ ONLY, READ WRITE
    pub read_only: Option<bool>,
    /// DEFERRABLE, NOT DEFERRABLE
    pub deferrable: Option<bool>,
}

/// Isolation levels by name; all mean strict serializability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// READ UNCOMMITTED
    ReadUncommitted,
    /// READ COMMITTED
    ReadCommitted,
    /// REPEATABLE READ
    RepeatableRead,
    /// SERIALIZABLE
    Serializable,
}

impl Isolation {
    /// As `SHOW transaction_isolation` prints it.
    pub const fn name(self) -> &'static str {
        match self {
            Isolation::ReadUncommitted => "read uncommitted",
            Isolation::ReadCommitted => "read committed",
            Isolation::RepeatableRead => "repeatable read",
            Isolation::Serializable => "serializable",
        }
    }
}

/// SET and RESET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetStatement {
    /// What.
    pub target: SetTarget,
    /// For how long.
    pub scope: SetScope,
}

/// What SET sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetTarget {
    /// One setting (lower case), to a value; lists joined by `, ` the way PostgreSQL does.
    Value {
        /// Name.
        name: Box<str>,
        /// Value as text.
        value: Box<str>,
    },
    /// One setting to its default: SET … TO DEFAULT, RESET.
    Default {
        /// Name.
        name: Box<str>,
    },
    /// RESET ALL
    All,
}

/// For how long SET sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetScope {
    /// The session; undone if the transaction rolls back.
    Session,
    /// The transaction.
    Local,
}

/// SHOW.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShowStatement {
    /// One setting, lower case.
    One(Box<str>),
    /// All, with their text.
    All,
}

/// What DISCARD forgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiscardKind {
    /// Everything of the session.
    All,
    /// Cached plans.
    Plans,
    /// Cached sequence values.
    Sequences,
    /// Temporary tables; there are none.
    Temporary,
}

/// PREPARE.
#[derive(Clone, Debug)]
pub struct Prepare {
    /// Name.
    pub name: Box<str>,
    /// Declared types of leading parameters; `Unknown` where left open.
    pub types: Vec<SqlType>,
    /// The statement's own text.
    pub text: String,
}

/// EXECUTE. Arguments become the types of the prepared statement's parameters by [`crate::coerce_arguments`].
#[derive(Clone, Debug)]
pub struct Execute {
    /// Name.
    pub name: Box<str>,
    /// Arguments; they see no columns.
    pub arguments: Vec<Expr>,
}

/// EXPLAIN.
#[derive(Clone, Debug)]
pub struct Explain {
    /// ANALYZE: runs it.
    pub analyze: bool,
    /// VERBOSE
    pub verbose: bool,
    /// FORMAT
    pub format: ExplainFormat,
    /// What is explained.
    pub inner: BoundStatement,
}

/// Formats of EXPLAIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExplainFormat {
    /// Lines of text.
    Text,
    /// One JSON document.
    Json,
}
