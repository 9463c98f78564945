//! FROM: tables, subqueries, functions and joins.

use super::Parser;
use super::keyword::Keyword;
use super::lexer::Kind;
use crate::error::{PlanError, Result};
use crate::query::JoinKind;
use crate::syntax::{Alias, JoinOn, JoinRef, TableRef};
use alloc::boxed::Box;
use alloc::vec::Vec;

impl Parser<'_> {
    /// The items of FROM or USING. Each takes a level: a list is joined one by one, so a long one is as deep as a chain of joins.
    pub(super) fn table_refs(&mut self) -> Result<Vec<TableRef>> {
        let mut list = Vec::new();
        loop {
            self.check_depth(list.len())?;
            list.push(self.table_ref()?);
            if !self.accept_mark(b',') {
                return Ok(list);
            }
        }
    }

    pub(super) fn table_ref(&mut self) -> Result<TableRef> {
        self.enter()?;
        let mut left = self.table_primary()?;
        let mut chain = 0;
        loop {
            let position = self.position();
            let Some((kind, natural, cross)) = self.join_words()? else { break };
            chain += 1;
            self.check_depth(chain)?;
            let right =
                if cross || natural { self.table_primary()? } else { self.table_ref_right()? };
            let (on, alias) = if cross {
                (JoinOn::Cross, None)
            } else if natural {
                (JoinOn::Natural, None)
            } else {
                self.join_condition()?
            };
            left = TableRef::Join(Box::new(JoinRef { left, right, kind, on, alias, position }));
        }
        self.leave();
        Ok(left)
    }

    /// The right side of a join with a condition: `a JOIN b JOIN c ON … ON …` nests to the right.
    fn table_ref_right(&mut self) -> Result<TableRef> {
        self.enter()?;
        let mut left = self.table_primary()?;
        let mut chain = 0;
        // Only if another join begins before this one's condition.
        while !matches!(self.keyword(), Some(Keyword::On | Keyword::Using)) {
            let position = self.position();
            let Some((kind, natural, cross)) = self.join_words()? else { break };
            chain += 1;
            self.check_depth(chain)?;
            let right =
                if cross || natural { self.table_primary()? } else { self.table_ref_right()? };
            let (on, alias) = if cross {
                (JoinOn::Cross, None)
            } else if natural {
                (JoinOn::Natural, None)
            } else {
                self.join_condition()?
            };
            left = TableRef::Join(Box::new(JoinRef { left, right, kind, on, alias, position }));
        }
        self.leave();
        Ok(left)
    }

    /// The words of a join: kind, NATURAL, CROSS. Nothing if none begins here.
    fn join_words(&mut self) -> Result<Option<(JoinKind, bool, bool)>> {
        if self.accept_all(&[Keyword::Cross, Keyword::Join]) {
            return Ok(Some((JoinKind::Inner, false, true)));
        }
        let natural = self.accept(Keyword::Natural);
        let kind = match self.keyword() {
            Some(Keyword::Join) => {
                self.advance();
                return Ok(Some((JoinKind::Inner, natural, false)));
            }
            Some(Keyword::Inner) => JoinKind::Inner,
            Some(Keyword::Left) => JoinKind::Left,
            Some(Keyword::Right) => JoinKind::Right,
            Some(Keyword::Full) => JoinKind::Full,
            _ if natural => return Err(self.unexpected()),
            _ => return Ok(None),
        };
        self.advance();
        if kind != JoinKind::Inner {
            self.accept(Keyword::Outer);
        }
        self.expect(Keyword::Join)?;
        Ok(Some((kind, natural, false)))
    }

    fn join_condition(&mut self) -> Result<(JoinOn, Option<Alias>)> {
        if self.accept(Keyword::On) {
            return Ok((JoinOn::On(self.expression()?), None));
        }
        self.expect(Keyword::Using)?;
        let columns = self.idents_in_parentheses()?;
        let alias = if self.accept(Keyword::As) { Some(Alias::bare(self.ident()?)) } else { None };
        Ok((JoinOn::Using(columns), alias))
    }

    fn table_primary(&mut self) -> Result<TableRef> {
        let lateral = self.accept(Keyword::Lateral);
        let position = self.position();
        if self.at_mark(b'(') {
            return self.parenthesised_table(lateral, position);
        }
        if self.at_keyword(Keyword::Rows) && self.at_keyword_ahead(1, Keyword::From) {
            return self.unsupported("ROWS FROM");
        }
        let only = self.accept(Keyword::Only);
        let token = self.peek();
        let is_call = self.peek_at(1).kind == Kind::Mark(b'(')
            || (self.peek_at(1).kind == Kind::Mark(b'.')
                && self.peek_at(3).kind == Kind::Mark(b'('));
        let value_function = matches!(
            self.keyword(),
            Some(
                Keyword::CurrentDate
                    | Keyword::CurrentTimestamp
                    | Keyword::CurrentUser
                    | Keyword::SessionUser
            )
        );
        if !only && (value_function || (is_call && self.is_label(token))) {
            return self.function_table(lateral);
        }
        let name = self.name()?;
        self.accept_operator("*");
        let alias = self.alias()?;
        if self.at_keyword(Keyword::Tablesample) {
            return self.unsupported("TABLESAMPLE");
        }
        Ok(TableRef::Table { name, alias })
    }

    fn parenthesised_table(&mut self, lateral: bool, position: u32) -> Result<TableRef> {
        self.advance();
        if self.at_query() && self.at_query_keyword() {
            let query = Box::new(self.query()?);
            self.expect_mark(b')')?;
            let alias = self.alias()?;
            return Ok(TableRef::Subquery { query, alias, lateral, position });
        }
        // `((SELECT …) UNION …)` or `((a JOIN b …))`: what is inside decides.
        self.enter()?;
        let inner = self.table_ref()?;
        self.leave();
        let inner = match inner {
            TableRef::Subquery { query, alias: None, lateral: false, position: place }
                if self.at_query_continuation() || self.at_mark(b')') =>
            {
                let query = Box::new(self.query_from(*query)?);
                TableRef::Subquery { query, alias: None, lateral: false, position: place }
            }
            inner => inner,
        };
        self.expect_mark(b')')?;
        match inner {
            TableRef::Subquery { query, alias: None, .. } => {
                let alias = self.alias()?;
                Ok(TableRef::Subquery { query, alias, lateral, position })
            }
            TableRef::Join(mut join) => {
                join.alias = self.alias()?.or(join.alias);
                Ok(TableRef::Join(join))
            }
            _ => Err(PlanError::syntax(position as usize, "syntax error at or near \"(\"")),
        }
    }

    fn function_table(&mut self, lateral: bool) -> Result<TableRef> {
        let call = Box::new(match self.keyword() {
            Some(keyword) => self.keyword_primary(keyword)?,
            None => self.name_primary()?,
        });
        let ordinality = self.accept_all(&[Keyword::With, Keyword::Ordinality]);
        if self.at_keyword(Keyword::As) && self.peek_at(1).kind == Kind::Mark(b'(') {
            return self.unsupported("a column definition list");
        }
        let alias = self.alias()?;
        Ok(TableRef::Function { call, ordinality, alias, lateral })
    }

    /// `[AS] name [(columns)]`
    fn alias(&mut self) -> Result<Option<Alias>> {
        let name = if self.accept(Keyword::As) {
            self.ident()?
        } else if self.is_column_name(self.peek()) {
            self.take_ident()
        } else {
            return Ok(None);
        };
        let columns = if self.at_mark(b'(') { self.idents_in_parentheses()? } else { Vec::new() };
        Ok(Some(Alias { name, columns }))
    }
}
