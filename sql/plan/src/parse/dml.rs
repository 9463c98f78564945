//! INSERT, UPDATE, DELETE.

use super::Parser;
use super::keyword::Keyword;
use super::lexer::Kind;
use crate::error::Result;
use crate::syntax::{
    Assignment, ConflictTarget, Delete, Expr, ExprKind, Insert, OnConflict, Overriding, SelectItem,
    Statement, Update, With,
};
use alloc::boxed::Box;
use alloc::vec::Vec;

impl Parser<'_> {
    pub(super) fn insert(&mut self, with: Option<With>) -> Result<Statement> {
        self.expect(Keyword::Insert)?;
        self.expect(Keyword::Into)?;
        let table = self.name()?;
        let alias = if self.accept(Keyword::As) { Some(self.ident()?) } else { None };
        let mut columns = Vec::new();
        // A parenthesis begins the list of columns, unless a query is in it.
        if self.at_mark(b'(') && !self.at_query() {
            self.advance();
            columns = self.list(|parser| {
                let column = parser.ident()?;
                if matches!(parser.peek().kind, Kind::Mark(b'.' | b'[')) {
                    return parser.unsupported("assignment to a part of a column");
                }
                Ok(column)
            })?;
            self.expect_mark(b')')?;
        }
        let overriding = if self.accept(Keyword::Overriding) {
            let kind = if self.accept(Keyword::System) {
                Overriding::System
            } else {
                self.expect(Keyword::User)?;
                Overriding::User
            };
            self.expect(Keyword::Value)?;
            kind
        } else {
            Overriding::No
        };
        let source = if self.accept_all(&[Keyword::Default, Keyword::Values]) {
            None
        } else if self.at_query() {
            Some(self.query()?)
        } else {
            return Err(self.unexpected());
        };
        let on_conflict = self.on_conflict()?;
        let returning = self.returning()?;
        Ok(Statement::Insert(Box::new(Insert {
            with,
            table,
            alias,
            columns,
            overriding,
            source,
            on_conflict,
            returning,
        })))
    }

    fn on_conflict(&mut self) -> Result<Option<OnConflict>> {
        let position = self.position();
        if !self.accept_all(&[Keyword::On, Keyword::Conflict]) {
            return Ok(None);
        }
        let place = self.position();
        let target = if self.accept_mark(b'(') {
            let columns = self.list(|parser| {
                let column = parser.expression()?;
                if let Some(Keyword::Asc | Keyword::Desc) = parser.keyword() {
                    return Err(parser.unexpected());
                }
                Ok(column)
            })?;
            self.expect_mark(b')')?;
            let filter = self.where_clause()?.is_some();
            ConflictTarget::Columns { columns, filter, position: place }
        } else if self.accept_all(&[Keyword::On, Keyword::Constraint]) {
            ConflictTarget::Constraint(self.ident()?)
        } else {
            ConflictTarget::Any
        };
        self.expect(Keyword::Do)?;
        let update = if self.accept(Keyword::Nothing) {
            None
        } else {
            self.expect(Keyword::Update)?;
            self.expect(Keyword::Set)?;
            Some((self.assignments()?, self.where_clause()?))
        };
        Ok(Some(OnConflict { target, update, position }))
    }

    fn returning(&mut self) -> Result<Vec<SelectItem>> {
        if self.accept(Keyword::Returning) { self.select_items() } else { Ok(Vec::new()) }
    }

    fn assignments(&mut self) -> Result<Vec<Assignment>> {
        self.list(|parser| {
            let row = parser.at_mark(b'(');
            let columns = if row {
                parser.idents_in_parentheses()?
            } else {
                let column = parser.ident()?;
                if matches!(parser.peek().kind, Kind::Mark(b'.' | b'[')) {
                    return parser.unsupported("assignment to a part of a column");
                }
                alloc::vec![column]
            };
            let equals = parser.accept_operator("=");
            if !equals {
                return Err(parser.unexpected());
            }
            let value = parser.expression()?;
            Ok(Assignment { columns, value, row })
        })
    }

    pub(super) fn update(&mut self, with: Option<With>) -> Result<Statement> {
        self.expect(Keyword::Update)?;
        self.accept(Keyword::Only);
        let table = self.name()?;
        self.accept_operator("*");
        let alias = self.target_alias(Keyword::Set)?;
        self.expect(Keyword::Set)?;
        let assignments = self.assignments()?;
        let from = if self.accept(Keyword::From) { self.table_refs()? } else { Vec::new() };
        let filter = self.where_clause()?;
        let returning = self.returning()?;
        let update = Update { with, table, alias, assignments, from, filter, returning };
        Ok(Statement::Update(Box::new(update)))
    }

    fn target_alias(&mut self, not: Keyword) -> Result<Option<crate::syntax::Ident>> {
        if self.accept(Keyword::As) {
            return self.ident().map(Some);
        }
        if self.is_column_name(self.peek()) && !self.at_keyword(not) {
            return Ok(Some(self.take_ident()));
        }
        Ok(None)
    }

    pub(super) fn delete(&mut self, with: Option<With>) -> Result<Statement> {
        self.expect(Keyword::Delete)?;
        self.expect(Keyword::From)?;
        self.accept(Keyword::Only);
        let table = self.name()?;
        self.accept_operator("*");
        let alias = self.target_alias(Keyword::Using)?;
        let using = if self.accept(Keyword::Using) { self.table_refs()? } else { Vec::new() };
        let filter = self.where_clause()?;
        let returning = self.returning()?;
        let delete = Delete { with, table, alias, using, filter, returning };
        Ok(Statement::Delete(Box::new(delete)))
    }
}

impl Expr {
    /// The column that the expression is, if it is nothing but one unqualified column.
    pub fn as_plain_column(&self) -> Option<&crate::syntax::Ident> {
        match &self.kind {
            ExprKind::Column(name) if name.parts.len() == 1 => name.parts.first(),
            _ => None,
        }
    }
}
