//! Queries: SELECT, VALUES, TABLE, set operations, WITH, and the clauses around them.

use super::Parser;
use super::keyword::{Keyword, Label};
use super::lexer::Kind;
use crate::error::Result;
use crate::query::{FrameExclude, FrameUnits, SetOperation};
use crate::statement::{LockStrength, LockWait};
use crate::syntax::{
    Alias, Distinct, Expr, ExprKind, Frame, FrameBound, GroupItem, Ident, LockClause, OrderItem,
    Query, QueryBody, Select, SelectItem, TableRef, With, WithItem,
};
use alloc::boxed::Box;
use alloc::vec::Vec;

impl Parser<'_> {
    /// Whether a query begins here, parentheses looked through.
    pub(super) fn at_query(&self) -> bool {
        let mut ahead = 0;
        while self.peek_at(ahead).kind == Kind::Mark(b'(') {
            ahead += 1;
        }
        matches!(
            self.peek_at(ahead).kind,
            Kind::Keyword(Keyword::Select | Keyword::Values | Keyword::With | Keyword::Table)
        )
    }

    pub(super) fn at_query_keyword(&self) -> bool {
        matches!(
            self.keyword(),
            Some(Keyword::Select | Keyword::Values | Keyword::With | Keyword::Table)
        )
    }

    /// Whether what stands here continues a query in parentheses.
    pub(super) fn at_query_continuation(&self) -> bool {
        matches!(
            self.keyword(),
            Some(
                Keyword::Union
                    | Keyword::Intersect
                    | Keyword::Except
                    | Keyword::Order
                    | Keyword::Limit
                    | Keyword::Offset
                    | Keyword::Fetch
                    | Keyword::For
            )
        )
    }

    /// A whole query.
    pub(super) fn query(&mut self) -> Result<Query> {
        self.enter_query()?;
        let position = self.position();
        let with = self.with_clause()?;
        let mut query = self.set_operations(0)?;
        if let Some(with) = with {
            if query.with.is_some() || is_clothed(&query) {
                query = Query { with: Some(with), ..wrap(query) };
            } else {
                query.with = Some(with);
            }
            query.position = position;
        }
        let query = self.query_clauses(query)?;
        self.leave_query();
        Ok(query)
    }

    /// A query whose first operand has been parsed, in parentheses.
    pub(super) fn query_from(&mut self, first: Query) -> Result<Query> {
        self.enter_query()?;
        let query = self.set_operations_from(first, 0)?;
        let query = self.query_clauses(query)?;
        self.leave_query();
        Ok(query)
    }

    pub(super) fn with_clause(&mut self) -> Result<Option<With>> {
        if !self.accept(Keyword::With) {
            return Ok(None);
        }
        let recursive = self.accept(Keyword::Recursive);
        let queries = self.list(|parser| {
            let name = parser.ident()?;
            let columns =
                if parser.at_mark(b'(') { parser.idents_in_parentheses()? } else { Vec::new() };
            parser.expect(Keyword::As)?;
            if !parser.accept_all(&[Keyword::Not, Keyword::Materialized]) {
                parser.accept(Keyword::Materialized);
            }
            parser.expect_mark(b'(')?;
            if let Some(Keyword::Insert | Keyword::Update | Keyword::Delete) = parser.keyword() {
                return parser.unsupported("a data-modifying statement in WITH");
            }
            let query = parser.query()?;
            parser.expect_mark(b')')?;
            if let Some(Keyword::Search | Keyword::Cycle) = parser.keyword() {
                return parser.unsupported("SEARCH and CYCLE");
            }
            Ok(WithItem { name, columns, query })
        })?;
        Ok(Some(With { recursive, queries }))
    }

    /// UNION and EXCEPT bind loosest, INTERSECT tighter.
    fn set_operations(&mut self, least: u8) -> Result<Query> {
        let first = self.query_operand()?;
        self.set_operations_from(first, least)
    }

    fn set_operations_from(&mut self, mut left: Query, least: u8) -> Result<Query> {
        let mut chain = 0;
        loop {
            let (operation, level) = match self.keyword() {
                Some(Keyword::Union) => (SetOperation::Union, 0),
                Some(Keyword::Except) => (SetOperation::Except, 0),
                Some(Keyword::Intersect) => (SetOperation::Intersect, 1),
                _ => return Ok(left),
            };
            if level < least {
                return Ok(left);
            }
            chain += 1;
            self.check_depth(chain)?;
            self.advance();
            let all = self.accept(Keyword::All);
            if !all {
                self.accept(Keyword::Distinct);
            }
            let right = Box::new(self.set_operations(level + 1)?);
            let position = left.position;
            let body = QueryBody::Set { operation, all, left: Box::new(left), right };
            left = bare(body, position);
        }
    }

    /// SELECT, VALUES, TABLE, or a query in parentheses.
    fn query_operand(&mut self) -> Result<Query> {
        let position = self.position();
        match self.peek().kind {
            Kind::Mark(b'(') => {
                self.advance();
                let query = self.query()?;
                self.expect_mark(b')')?;
                Ok(query)
            }
            Kind::Keyword(Keyword::Select) => {
                let select = self.select()?;
                Ok(bare(QueryBody::Select(Box::new(select)), position))
            }
            Kind::Keyword(Keyword::Values) => {
                self.advance();
                let rows = self.list(|parser| {
                    parser.expect_mark(b'(')?;
                    let row = parser.expressions()?;
                    parser.expect_mark(b')')?;
                    Ok(row)
                })?;
                Ok(bare(QueryBody::Values(rows), position))
            }
            Kind::Keyword(Keyword::Table) => {
                self.advance();
                let name = self.name()?;
                let star = Expr { kind: ExprKind::Star(Vec::new()), position };
                let select = Select {
                    distinct: Distinct::No,
                    items: alloc::vec![SelectItem { expression: star, alias: None }],
                    from: alloc::vec![TableRef::Table { name, alias: None }],
                    filter: None,
                    group_by: Vec::new(),
                    having: None,
                    windows: Vec::new(),
                    into: None,
                };
                Ok(bare(QueryBody::Select(Box::new(select)), position))
            }
            _ => Err(self.unexpected()),
        }
    }

    fn select(&mut self) -> Result<Select> {
        self.expect(Keyword::Select)?;
        let distinct = if self.accept(Keyword::Distinct) {
            if self.accept(Keyword::On) {
                self.expect_mark(b'(')?;
                let on = self.expressions()?;
                self.expect_mark(b')')?;
                Distinct::On(on)
            } else {
                Distinct::Yes
            }
        } else {
            self.accept(Keyword::All);
            Distinct::No
        };
        let ends = matches!(self.peek().kind, Kind::End | Kind::Mark(b';' | b')'))
            || matches!(
                self.keyword(),
                Some(
                    Keyword::From
                        | Keyword::Where
                        | Keyword::Group
                        | Keyword::Having
                        | Keyword::Order
                        | Keyword::Limit
                        | Keyword::Union
                        | Keyword::Into
                )
            );
        let items = if ends { Vec::new() } else { self.select_items()? };
        let into = if self.at_keyword(Keyword::Into) {
            return self.unsupported("SELECT INTO");
        } else {
            None
        };
        let from = if self.accept(Keyword::From) { self.table_refs()? } else { Vec::new() };
        let filter = self.where_clause()?;
        let group_by = self.group_by()?;
        let having = if self.accept(Keyword::Having) { Some(self.expression()?) } else { None };
        let windows = if self.accept(Keyword::Window) {
            self.list(|parser| {
                let name = parser.ident()?;
                parser.expect(Keyword::As)?;
                Ok((name, parser.window()?))
            })?
        } else {
            Vec::new()
        };
        Ok(Select { distinct, items, from, filter, group_by, having, windows, into })
    }

    pub(super) fn where_clause(&mut self) -> Result<Option<Expr>> {
        if !self.accept(Keyword::Where) {
            return Ok(None);
        }
        if self.accept_all(&[Keyword::Current, Keyword::Of]) {
            return self.unsupported("WHERE CURRENT OF");
        }
        self.expression().map(Some)
    }

    pub(super) fn select_items(&mut self) -> Result<Vec<SelectItem>> {
        self.list(|parser| {
            let token = parser.peek();
            if parser.accept_operator("*") {
                let expression = Expr { kind: ExprKind::Star(Vec::new()), position: token.start };
                return Ok(SelectItem { expression, alias: None });
            }
            let expression = parser.expression()?;
            let alias = if parser.accept(Keyword::As) {
                Some(parser.label()?)
            } else {
                match parser.peek().kind {
                    Kind::Word | Kind::Quoted => Some(parser.take_ident()),
                    Kind::Keyword(keyword) if keyword.label() == Label::Bare => {
                        Some(parser.take_ident())
                    }
                    _ => None,
                }
            };
            Ok(SelectItem { expression, alias })
        })
    }

    fn group_by(&mut self) -> Result<Vec<GroupItem>> {
        if !self.accept(Keyword::Group) {
            return Ok(Vec::new());
        }
        self.expect(Keyword::By)?;
        if self.at_keyword(Keyword::Distinct) {
            return self.unsupported("GROUP BY DISTINCT");
        }
        self.accept(Keyword::All);
        self.list(Parser::group_item)
    }

    fn group_item(&mut self) -> Result<GroupItem> {
        self.enter()?;
        let open = self.peek_at(1).kind == Kind::Mark(b'(');
        let item = match self.peek().kind {
            Kind::Mark(b'(') if self.peek_at(1).kind == Kind::Mark(b')') => {
                self.advance();
                self.advance();
                GroupItem::Empty
            }
            Kind::Keyword(Keyword::Rollup) if open => {
                self.advance();
                GroupItem::Rollup(self.group_lists()?)
            }
            Kind::Keyword(Keyword::Cube) if open => {
                self.advance();
                GroupItem::Cube(self.group_lists()?)
            }
            Kind::Keyword(Keyword::Grouping) if self.at_keyword_ahead(1, Keyword::Sets) => {
                self.advance();
                self.advance();
                self.expect_mark(b'(')?;
                let sets = self.list(Parser::group_item)?;
                self.expect_mark(b')')?;
                GroupItem::Sets(sets)
            }
            _ => {
                let expression = self.expression()?;
                match expression.kind {
                    ExprKind::Row(fields) => GroupItem::List(fields),
                    kind => GroupItem::Expression(Expr { kind, position: expression.position }),
                }
            }
        };
        self.leave();
        Ok(item)
    }

    /// `( a, (b, c), … )` of ROLLUP and CUBE.
    fn group_lists(&mut self) -> Result<Vec<Vec<Expr>>> {
        self.expect_mark(b'(')?;
        let lists = self.list(|parser| {
            let expression = parser.expression()?;
            Ok(match expression.kind {
                ExprKind::Row(fields) => fields,
                kind => alloc::vec![Expr { kind, position: expression.position }],
            })
        })?;
        self.expect_mark(b')')?;
        Ok(lists)
    }

    pub(super) fn order_items(&mut self) -> Result<Vec<OrderItem>> {
        self.list(|parser| {
            let expression = parser.expression()?;
            let mut using = None;
            let descending = if parser.accept(Keyword::Desc) {
                true
            } else if parser.accept(Keyword::Using) {
                using = Some(parser.operator_name()?);
                false
            } else {
                parser.accept(Keyword::Asc);
                false
            };
            let nulls_first = if parser.accept(Keyword::Nulls) {
                if parser.accept(Keyword::First) {
                    Some(true)
                } else {
                    parser.expect(Keyword::Last)?;
                    Some(false)
                }
            } else {
                None
            };
            Ok(OrderItem { expression, descending, nulls_first, using })
        })
    }

    /// ORDER BY, LIMIT, OFFSET, FETCH, FOR: after any query, in parentheses or not.
    fn query_clauses(&mut self, query: Query) -> Result<Query> {
        if !self.at_query_continuation() {
            return Ok(query);
        }
        // A query in parentheses that has clauses already becomes the body of another one.
        let mut query = if is_clothed(&query) { wrap(query) } else { query };
        if self.accept(Keyword::Order) {
            self.expect(Keyword::By)?;
            query.order_by = self.order_items()?;
        }
        loop {
            match self.keyword() {
                Some(Keyword::Limit) if query.limit.is_none() => {
                    self.advance();
                    let all = self.accept(Keyword::All);
                    let null = Expr { kind: ExprKind::Null, position: self.position() };
                    query.limit = Some(if all { null } else { self.expression()? });
                }
                Some(Keyword::Offset) if query.offset.is_none() => {
                    self.advance();
                    query.offset = Some(self.expression()?);
                    if !self.accept(Keyword::Row) {
                        self.accept(Keyword::Rows);
                    }
                }
                Some(Keyword::Fetch) if query.limit.is_none() => self.fetch_clause(&mut query)?,
                Some(Keyword::For) => {
                    let lock = self.lock_clause()?;
                    query.locks.extend(lock);
                }
                _ => return Ok(query),
            }
        }
    }

    fn fetch_clause(&mut self, query: &mut Query) -> Result<()> {
        self.advance();
        if !self.accept(Keyword::First) {
            self.expect(Keyword::Next)?;
        }
        let position = self.position();
        query.limit = Some(if matches!(self.keyword(), Some(Keyword::Row | Keyword::Rows)) {
            Expr { kind: ExprKind::Number("1".into()), position }
        } else {
            self.expression_at(super::expression::Level::Add)?
        });
        if !self.accept(Keyword::Row) {
            self.expect(Keyword::Rows)?;
        }
        if self.accept_all(&[Keyword::With, Keyword::Ties]) {
            query.with_ties = true;
            return self.unsupported("WITH TIES");
        }
        self.expect(Keyword::Only)
    }

    fn lock_clause(&mut self) -> Result<Option<LockClause>> {
        let position = self.advance().start;
        let strength = if self.accept_all(&[Keyword::No, Keyword::Key, Keyword::Update]) {
            LockStrength::NoKeyUpdate
        } else if self.accept_all(&[Keyword::Key, Keyword::Share]) {
            LockStrength::KeyShare
        } else if self.accept(Keyword::Share) {
            LockStrength::Share
        } else if self.accept_all(&[Keyword::Read, Keyword::Only]) {
            return Ok(None);
        } else {
            self.expect(Keyword::Update)?;
            LockStrength::Update
        };
        let of = if self.accept(Keyword::Of) { self.list(Parser::ident)? } else { Vec::new() };
        let wait = if self.accept(Keyword::Nowait) {
            LockWait::NoWait
        } else if self.accept_all(&[Keyword::Skip, Keyword::Locked]) {
            LockWait::SkipLocked
        } else {
            LockWait::Wait
        };
        Ok(Some(LockClause { strength, of, wait, position }))
    }

    /// The frame of a window, if one is written.
    pub(super) fn frame(&mut self) -> Result<Option<Frame>> {
        let position = self.position();
        let units = match self.keyword() {
            Some(Keyword::Rows) => FrameUnits::Rows,
            Some(Keyword::Range) => FrameUnits::Range,
            Some(Keyword::Groups) => FrameUnits::Groups,
            _ => return Ok(None),
        };
        self.advance();
        let between = self.accept(Keyword::Between);
        let mut positions = [position, self.position(), position];
        let start = self.frame_bound()?;
        let end = if between {
            self.expect(Keyword::And)?;
            positions[2] = self.position();
            self.frame_bound()?
        } else {
            FrameBound::CurrentRow
        };
        let exclude = if self.accept(Keyword::Exclude) {
            if self.accept_all(&[Keyword::Current, Keyword::Row]) {
                FrameExclude::CurrentRow
            } else if self.accept(Keyword::Group) {
                FrameExclude::Group
            } else if self.accept(Keyword::Ties) {
                FrameExclude::Ties
            } else {
                self.expect(Keyword::No)?;
                self.expect(Keyword::Others)?;
                FrameExclude::NoOthers
            }
        } else {
            FrameExclude::NoOthers
        };
        Ok(Some(Frame { units, start, end, exclude, positions }))
    }

    fn frame_bound(&mut self) -> Result<FrameBound> {
        if self.accept(Keyword::Unbounded) {
            if self.accept(Keyword::Preceding) {
                return Ok(FrameBound::UnboundedPreceding);
            }
            self.expect(Keyword::Following)?;
            return Ok(FrameBound::UnboundedFollowing);
        }
        if self.accept_all(&[Keyword::Current, Keyword::Row]) {
            return Ok(FrameBound::CurrentRow);
        }
        let offset = Box::new(self.expression()?);
        if self.accept(Keyword::Preceding) {
            return Ok(FrameBound::Preceding(offset));
        }
        self.expect(Keyword::Following)?;
        Ok(FrameBound::Following(offset))
    }
}

fn bare(body: QueryBody, position: u32) -> Query {
    Query {
        with: None,
        body,
        order_by: Vec::new(),
        limit: None,
        with_ties: false,
        offset: None,
        locks: Vec::new(),
        position,
    }
}

/// Whether a query has clauses of its own around its body.
fn is_clothed(query: &Query) -> bool {
    !query.order_by.is_empty()
        || query.limit.is_some()
        || query.offset.is_some()
        || !query.locks.is_empty()
}

/// `(query)` as a query: `SELECT * FROM (query)`.
fn wrap(query: Query) -> Query {
    let position = query.position;
    let star = Expr { kind: ExprKind::Star(Vec::new()), position };
    let alias = Some(Alias::bare(Ident { name: "unnamed_subquery".into(), position }));
    let subquery = TableRef::Subquery { query: Box::new(query), alias, lateral: false, position };
    let select = Select {
        distinct: Distinct::No,
        items: alloc::vec![SelectItem { expression: star, alias: None }],
        from: alloc::vec![subquery],
        filter: None,
        group_by: Vec::new(),
        having: None,
        windows: Vec::new(),
        into: None,
    };
    bare(QueryBody::Select(Box::new(select)), position)
}
