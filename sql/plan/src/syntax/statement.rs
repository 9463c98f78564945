//! Statements as written.

use super::{Alias, Expr, Ident, Name, OrderItem, Query, SelectItem, TableRef, TypeName, With};
use crate::statement::{
    DiscardKind, ExplainFormat, SetStatement, ShowStatement, TransactionStatement,
};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// A statement.
#[derive(Clone, Debug)]
pub enum Statement {
    Select(Box<Query>),
    Insert(Box<Insert>),
    Update(Box<Update>),
    Delete(Box<Delete>),
    Copy(Box<Copy>),
    CreateTable(Box<CreateTable>),
    CreateIndex(Box<CreateIndex>),
    CreateSequence(Box<CreateSequence>),
    CreateSchema {
        name: Ident,
        if_not_exists: bool,
    },
    AlterTable(Box<AlterTable>),
    AlterSequence(Box<AlterSequence>),
    Drop(Box<Drop>),
    Truncate(Box<Truncate>),
    Role(Box<RoleStatement>),
    Transaction(TransactionStatement),
    Set(SetStatement),
    Show(ShowStatement),
    Discard(DiscardKind),
    Prepare {
        name: Ident,
        types: Vec<TypeName>,
        body: (u32, u32),
    },
    Execute {
        name: Ident,
        arguments: Vec<Expr>,
    },
    Deallocate(Option<Ident>),
    Explain(Box<Explain>),
    /// A command whose promise is kept without it: its tag, the tables named, what the client is told.
    Kept {
        tag: &'static str,
        tables: Vec<Name>,
        notice: &'static str,
    },
}

/// INSERT.
#[derive(Clone, Debug)]
pub struct Insert {
    pub with: Option<With>,
    pub table: Name,
    pub alias: Option<Ident>,
    pub columns: Vec<Ident>,
    pub overriding: Overriding,
    /// Nothing means DEFAULT VALUES.
    pub source: Option<Query>,
    pub on_conflict: Option<OnConflict>,
    pub returning: Vec<SelectItem>,
}

/// OVERRIDING.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overriding {
    No,
    System,
    User,
}

/// ON CONFLICT.
#[derive(Clone, Debug)]
pub struct OnConflict {
    pub target: ConflictTarget,
    /// Nothing means DO NOTHING.
    pub update: Option<(Vec<Assignment>, Option<Expr>)>,
    pub position: u32,
}

/// What may conflict.
#[derive(Clone, Debug)]
pub enum ConflictTarget {
    Any,
    Columns { columns: Vec<Expr>, filter: bool, position: u32 },
    Constraint(Ident),
}

/// `column = value`, or `(a, b) = (x, y)`.
#[derive(Clone, Debug)]
pub struct Assignment {
    pub columns: Vec<Ident>,
    pub value: Expr,
    /// Written with parentheses around the columns.
    pub row: bool,
}

/// UPDATE.
#[derive(Clone, Debug)]
pub struct Update {
    pub with: Option<With>,
    pub table: Name,
    pub alias: Option<Ident>,
    pub assignments: Vec<Assignment>,
    pub from: Vec<TableRef>,
    pub filter: Option<Expr>,
    pub returning: Vec<SelectItem>,
}

/// DELETE.
#[derive(Clone, Debug)]
pub struct Delete {
    pub with: Option<With>,
    pub table: Name,
    pub alias: Option<Ident>,
    pub using: Vec<TableRef>,
    pub filter: Option<Expr>,
    pub returning: Vec<SelectItem>,
}

/// COPY.
#[derive(Clone, Debug)]
pub struct Copy {
    pub source: CopySource,
    pub from: bool,
    pub options: Vec<Setting>,
    pub filter: Option<Expr>,
}

/// What is copied.
#[derive(Clone, Debug)]
pub enum CopySource {
    Table { name: Name, columns: Vec<Ident> },
    Query(Box<Query>),
}

/// `name value` or `name = value` in a list of options.
#[derive(Clone, Debug)]
pub struct Setting {
    pub name: Ident,
    pub value: SettingValue,
}

/// The value of an option.
#[derive(Clone, Debug)]
pub enum SettingValue {
    None,
    Text(Box<str>),
    Names(Vec<Ident>),
    Star,
}

/// CREATE TABLE.
#[derive(Clone, Debug)]
pub struct CreateTable {
    pub name: Name,
    pub if_not_exists: bool,
    pub columns: Vec<ColumnDefinition>,
    pub constraints: Vec<Constraint>,
    pub settings: Vec<Setting>,
    pub source: Option<TableSource>,
}

/// CREATE TABLE AS.
#[derive(Clone, Debug)]
pub struct TableSource {
    pub query: Query,
    pub columns: Vec<Ident>,
    pub with_data: bool,
}

/// A column.
#[derive(Clone, Debug)]
pub struct ColumnDefinition {
    pub name: Ident,
    pub type_name: TypeName,
    pub constraints: Vec<Constraint>,
}

/// A constraint of a column or a table.
#[derive(Clone, Debug)]
pub struct Constraint {
    pub name: Option<Ident>,
    pub kind: ConstraintKind,
    pub position: u32,
}

/// Kinds of constraint.
#[derive(Clone, Debug)]
pub enum ConstraintKind {
    NotNull,
    Null,
    /// The expression and its text's byte range.
    Default(Expr, (u32, u32)),
    Check(Expr, (u32, u32)),
    /// Column list; empty in a column's own constraint.
    PrimaryKey(Vec<Ident>),
    Unique,
    ForeignKey,
    Identity {
        always: bool,
        options: SequenceOptions,
    },
    Generated,
    Exclude,
}

/// CREATE INDEX.
#[derive(Clone, Debug)]
pub struct CreateIndex {
    pub name: Option<Ident>,
    pub table: Name,
    pub unique: bool,
    pub method: Option<Ident>,
    pub columns: Vec<OrderItem>,
    pub include: bool,
    pub filter: bool,
    pub if_not_exists: bool,
}

/// CREATE SEQUENCE.
#[derive(Clone, Debug)]
pub struct CreateSequence {
    pub name: Name,
    pub if_not_exists: bool,
    pub options: SequenceOptions,
}

/// Options of a sequence.
#[derive(Clone, Debug, Default)]
pub struct SequenceOptions {
    pub type_name: Option<TypeName>,
    pub start: Option<i64>,
    pub restart: Option<Option<i64>>,
    pub increment: Option<i64>,
    pub minimum: Option<Option<i64>>,
    pub maximum: Option<Option<i64>>,
    pub cycle: Option<bool>,
    pub cache: Option<i64>,
    pub owned_by: Option<Name>,
}

/// ALTER SEQUENCE.
#[derive(Clone, Debug)]
pub struct AlterSequence {
    pub name: Name,
    pub if_exists: bool,
    pub options: SequenceOptions,
}

/// ALTER TABLE.
#[derive(Clone, Debug)]
pub struct AlterTable {
    pub name: Name,
    pub if_exists: bool,
    pub actions: Vec<AlterAction>,
}

/// An action of ALTER TABLE.
#[derive(Clone, Debug)]
pub enum AlterAction {
    AddColumn { column: ColumnDefinition, if_not_exists: bool },
    DropColumn { name: Ident, if_exists: bool, cascade: bool },
    AddConstraint(Constraint),
    DropConstraint { name: Ident, if_exists: bool },
    SetNotNull(Ident),
    DropNotNull(Ident),
    SetDefault(Ident, Expr, (u32, u32)),
    DropDefault(Ident),
    SetType { name: Ident, type_name: TypeName, using: Option<Expr> },
    RenameTable(Ident),
    RenameColumn(Ident, Ident),
    Kept,
}

/// DROP of any kind.
#[derive(Clone, Debug)]
pub struct Drop {
    pub kind: DropKind,
    pub names: Vec<Name>,
    pub if_exists: bool,
    pub cascade: bool,
}

/// What is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropKind {
    Table,
    Index,
    Sequence,
    Schema,
    Role,
    View,
}

/// TRUNCATE.
#[derive(Clone, Debug)]
pub struct Truncate {
    pub tables: Vec<Name>,
    pub restart_identity: bool,
}

/// CREATE ROLE, ALTER ROLE.
#[derive(Clone, Debug)]
pub struct RoleStatement {
    pub name: Ident,
    pub create: bool,
    pub login: Option<bool>,
    pub superuser: Option<bool>,
    pub password: Option<Option<Box<str>>>,
}

/// EXPLAIN.
#[derive(Clone, Debug)]
pub struct Explain {
    pub analyze: bool,
    pub verbose: bool,
    pub format: ExplainFormat,
    pub inner: Statement,
}

/// A target with its alias, as in UPDATE and DELETE.
impl Alias {
    /// A bare alias.
    pub fn bare(name: Ident) -> Alias {
        Alias { name, columns: Vec::new() }
    }
}

impl Statement {
    /// Whether it ends a transaction block, and so may be run in one that has failed.
    pub const fn ends_block(&self) -> bool {
        matches!(
            self,
            Statement::Transaction(
                TransactionStatement::Commit { .. } | TransactionStatement::Rollback { .. }
            )
        )
    }
}
