//! Expressions, by operator precedence. Source: PostgreSQL 15, "Lexical Structure", table 4.2.

use super::Parser;
use super::keyword::Keyword;
use super::lexer::Kind;
use crate::error::Result;
use crate::syntax::{
    Between, Case, Expr, ExprKind, IsTest, Like, LikeKind, Name, Quantified, QuantifiedRight,
};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

/// Precedence, loosest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Or,
    And,
    Not,
    Is,
    Comparison,
    Pattern,
    Operator,
    Add,
    Multiply,
    Power,
    AtTimeZone,
    Collate,
    Sign,
}

impl Level {
    /// The next tighter one: what the right side of a left-associative operator is parsed at.
    const fn tighter(self) -> Level {
        match self {
            Level::Or => Level::And,
            Level::And => Level::Not,
            Level::Not => Level::Is,
            Level::Is => Level::Comparison,
            Level::Comparison => Level::Pattern,
            Level::Pattern => Level::Operator,
            Level::Operator => Level::Add,
            Level::Add => Level::Multiply,
            Level::Multiply => Level::Power,
            Level::Power => Level::AtTimeZone,
            Level::AtTimeZone => Level::Collate,
            Level::Collate | Level::Sign => Level::Sign,
        }
    }
}

pub(super) fn boxed(kind: ExprKind, position: u32) -> Expr {
    Expr { kind, position }
}

impl Parser<'_> {
    /// Any expression.
    pub(super) fn expression(&mut self) -> Result<Expr> {
        self.expression_at(Level::Or)
    }

    /// An expression without AND, OR, NOT, IS: what may stand after DEFAULT or before an item's other words.
    pub(super) fn restricted_expression(&mut self) -> Result<Expr> {
        self.expression_at(Level::Comparison)
    }

    pub(super) fn expressions(&mut self) -> Result<Vec<Expr>> {
        self.list(Parser::expression)
    }

    pub(super) fn expression_at(&mut self, least: Level) -> Result<Expr> {
        self.enter()?;
        let mut left = self.prefix()?;
        let mut chain = 0;
        while let Some(level) = self.infix_level() {
            if level < least {
                break;
            }
            chain += 1;
            match level {
                Level::And | Level::Or => left = self.connective(left, level)?,
                _ => {
                    self.check_depth(chain)?;
                    left = self.infix(left, level)?;
                    if matches!(level, Level::Comparison | Level::Pattern)
                        && self.infix_level() == Some(level)
                    {
                        return Err(self.unexpected());
                    }
                }
            }
        }
        self.leave();
        Ok(left)
    }

    /// How tightly the operator here binds; nothing if there is none.
    fn infix_level(&self) -> Option<Level> {
        let token = self.peek();
        match token.kind {
            Kind::Keyword(keyword) => self.keyword_level(keyword, 0),
            Kind::Operator => Some(match self.slice(token) {
                "<" | ">" | "=" | "<=" | ">=" | "<>" | "!=" => Level::Comparison,
                "+" | "-" => Level::Add,
                "*" | "/" | "%" => Level::Multiply,
                "^" => Level::Power,
                _ => Level::Operator,
            }),
            _ => None,
        }
    }

    fn keyword_level(&self, keyword: Keyword, ahead: usize) -> Option<Level> {
        match keyword {
            Keyword::Or => Some(Level::Or),
            Keyword::And => Some(Level::And),
            Keyword::Is | Keyword::Isnull | Keyword::Notnull => Some(Level::Is),
            Keyword::Between
            | Keyword::In
            | Keyword::Like
            | Keyword::Ilike
            | Keyword::Similar
            | Keyword::Overlaps => Some(Level::Pattern),
            Keyword::Not if ahead == 0 => match self.peek_at(1).kind {
                Kind::Keyword(
                    next @ (Keyword::Between
                    | Keyword::In
                    | Keyword::Like
                    | Keyword::Ilike
                    | Keyword::Similar),
                ) => self.keyword_level(next, 1),
                _ => None,
            },
            Keyword::Operator if self.peek_at(1).kind == Kind::Mark(b'(') => Some(Level::Operator),
            Keyword::At if self.at_keyword_ahead(1, Keyword::Time) => Some(Level::AtTimeZone),
            Keyword::Collate => Some(Level::Collate),
            _ => None,
        }
    }

    /// AND and OR of any length are one node.
    fn connective(&mut self, left: Expr, level: Level) -> Result<Expr> {
        let position = self.position();
        let keyword = if level == Level::And { Keyword::And } else { Keyword::Or };
        let mut operands = alloc::vec![left];
        while self.accept(keyword) {
            operands.push(self.expression_at(level.tighter())?);
        }
        let kind =
            if level == Level::And { ExprKind::And(operands) } else { ExprKind::Or(operands) };
        Ok(boxed(kind, position))
    }

    fn infix(&mut self, left: Expr, level: Level) -> Result<Expr> {
        match level {
            Level::Is => self.is_test(left),
            Level::Pattern => self.pattern(left),
            Level::AtTimeZone => {
                let position = self.advance().start;
                self.advance();
                self.expect(Keyword::Zone)?;
                let zone = self.expression_at(Level::Collate)?;
                Ok(self.call_of("timezone", alloc::vec![zone, left], position))
            }
            Level::Collate => {
                let position = self.advance().start;
                let collation = self.name()?;
                Ok(boxed(ExprKind::Collate { operand: Box::new(left), collation }, position))
            }
            _ => self.binary(left, level),
        }
    }

    fn binary(&mut self, left: Expr, level: Level) -> Result<Expr> {
        let position = self.position();
        let operator = self.operator_name()?;
        if let Some(Keyword::Any | Keyword::Some | Keyword::All) = self.keyword()
            && self.peek_at(1).kind == Kind::Mark(b'(')
        {
            return self.quantified(left, operator, position);
        }
        let right = Box::new(self.expression_at(level.tighter())?);
        Ok(boxed(ExprKind::Binary { operator, left: Box::new(left), right }, position))
    }

    /// An operator: its characters, or `OPERATOR(schema.characters)`.
    pub(super) fn operator_name(&mut self) -> Result<Box<str>> {
        if self.accept(Keyword::Operator) {
            self.expect_mark(b'(')?;
            if self.is_column_name(self.peek()) {
                let schema = self.ident()?;
                if &*schema.name != "pg_catalog" {
                    return self.unsupported("an operator outside pg_catalog");
                }
                self.expect_mark(b'.')?;
            }
            let operator = self.operator_name()?;
            self.expect_mark(b')')?;
            return Ok(operator);
        }
        let token = self.peek();
        if token.kind != Kind::Operator {
            return Err(self.unexpected());
        }
        self.advance();
        let operator = self.slice(token);
        Ok(if operator == "!=" { "<>".into() } else { operator.into() })
    }

    #[inline(never)]
    fn quantified(&mut self, left: Expr, operator: Box<str>, position: u32) -> Result<Expr> {
        let all = self.advance().kind == Kind::Keyword(Keyword::All);
        self.expect_mark(b'(')?;
        let right = if self.at_query() {
            QuantifiedRight::Query(Box::new(self.query()?))
        } else {
            QuantifiedRight::Array(self.expression()?)
        };
        self.expect_mark(b')')?;
        let quantified = Quantified { left, operator, all, right };
        Ok(boxed(ExprKind::Quantified(Box::new(quantified)), position))
    }

    #[inline(never)]
    fn is_test(&mut self, operand: Expr) -> Result<Expr> {
        let position = self.position();
        let operand = Box::new(operand);
        if self.accept(Keyword::Isnull) {
            let kind = ExprKind::Is { operand, test: IsTest::Null, negated: false };
            return Ok(boxed(kind, position));
        }
        if self.accept(Keyword::Notnull) {
            let kind = ExprKind::Is { operand, test: IsTest::Null, negated: true };
            return Ok(boxed(kind, position));
        }
        self.expect(Keyword::Is)?;
        let negated = self.accept(Keyword::Not);
        let test = match self.keyword() {
            Some(Keyword::Null) => IsTest::Null,
            Some(Keyword::True) => IsTest::True,
            Some(Keyword::False) => IsTest::False,
            Some(Keyword::Unknown) => IsTest::Unknown,
            Some(Keyword::Distinct) => {
                self.advance();
                self.expect(Keyword::From)?;
                let right = Box::new(self.expression_at(Level::Comparison)?);
                let kind = ExprKind::IsDistinct { left: operand, right, negated };
                return Ok(boxed(kind, position));
            }
            Some(Keyword::Document | Keyword::Normalized) => {
                return self.unsupported("this IS test");
            }
            _ => return Err(self.unexpected()),
        };
        self.advance();
        Ok(boxed(ExprKind::Is { operand, test, negated }, position))
    }

    /// [NOT] BETWEEN, IN, LIKE, ILIKE, SIMILAR TO.
    #[inline(never)]
    fn pattern(&mut self, operand: Expr) -> Result<Expr> {
        let position = self.position();
        let negated = self.accept(Keyword::Not);
        match self.advance().kind {
            Kind::Keyword(Keyword::Between) => self.between(operand, negated, position),
            Kind::Keyword(Keyword::In) => self.in_list(operand, negated, position),
            Kind::Keyword(Keyword::Like) => self.like(operand, LikeKind::Like, negated, position),
            Kind::Keyword(Keyword::Ilike) => self.like(operand, LikeKind::ILike, negated, position),
            Kind::Keyword(Keyword::Similar) => {
                self.expect(Keyword::To)?;
                self.like(operand, LikeKind::Similar, negated, position)
            }
            _ => self.unsupported("OVERLAPS"),
        }
    }

    fn between(&mut self, operand: Expr, negated: bool, position: u32) -> Result<Expr> {
        let symmetric = self.accept(Keyword::Symmetric);
        if !symmetric {
            self.accept(Keyword::Asymmetric);
        }
        let low = self.expression_at(Level::Operator)?;
        self.expect(Keyword::And)?;
        let high = self.expression_at(Level::Operator)?;
        let between = Between { operand, low, high, negated, symmetric };
        Ok(boxed(ExprKind::Between(Box::new(between)), position))
    }

    fn in_list(&mut self, operand: Expr, negated: bool, position: u32) -> Result<Expr> {
        let operand = Box::new(operand);
        self.expect_mark(b'(')?;
        let kind = if self.at_query() {
            ExprKind::InQuery { operand, query: Box::new(self.query()?), negated }
        } else {
            ExprKind::In { operand, list: self.expressions()?, negated }
        };
        self.expect_mark(b')')?;
        Ok(boxed(kind, position))
    }

    fn like(
        &mut self,
        operand: Expr,
        kind: LikeKind,
        negated: bool,
        position: u32,
    ) -> Result<Expr> {
        if let Some(Keyword::Any | Keyword::Some | Keyword::All) = self.keyword() {
            let operator = match (kind, negated) {
                (LikeKind::Like, false) => "~~",
                (LikeKind::Like, true) => "!~~",
                (LikeKind::ILike, false) => "~~*",
                (LikeKind::ILike, true) => "!~~*",
                (LikeKind::Similar, _) => return Err(self.unexpected()),
            };
            return self.quantified(operand, operator.into(), position);
        }
        let pattern = self.expression_at(Level::Operator)?;
        let escape = if self.accept(Keyword::Escape) {
            Some(self.expression_at(Level::Operator)?)
        } else {
            None
        };
        let like = Like { kind, operand, pattern, escape, negated };
        Ok(boxed(ExprKind::Like(Box::new(like)), position))
    }

    /// A prefix operator and its operand, or a primary with what follows it.
    fn prefix(&mut self) -> Result<Expr> {
        let token = self.peek();
        match token.kind {
            Kind::Keyword(Keyword::Not) => {
                self.advance();
                let operand = Box::new(self.expression_at(Level::Not)?);
                Ok(boxed(ExprKind::Not(operand), token.start))
            }
            Kind::Operator => self.prefix_operator(),
            Kind::Keyword(Keyword::Operator) if self.peek_at(1).kind == Kind::Mark(b'(') => {
                self.prefix_operator()
            }
            _ => {
                let primary = self.primary()?;
                self.postfix(primary)
            }
        }
    }

    #[inline(never)]
    fn prefix_operator(&mut self) -> Result<Expr> {
        let position = self.position();
        let operator = self.operator_name()?;
        let sign = matches!(&*operator, "+" | "-");
        let operand = self.expression_at(if sign { Level::Sign } else { Level::Operator })?;
        match operand.kind {
            // A sign is a part of the number, so that the smallest bigint can be written.
            ExprKind::Number(digits) if &*operator == "-" => {
                let number = match digits.strip_prefix('-') {
                    Some(positive) => positive.into(),
                    None => {
                        let mut number = String::with_capacity(digits.len() + 1);
                        number.push('-');
                        number.push_str(&digits);
                        number.into_boxed_str()
                    }
                };
                Ok(boxed(ExprKind::Number(number), position))
            }
            kind => {
                let operand = Box::new(Expr { kind, position: operand.position });
                Ok(boxed(ExprKind::Unary { operator, operand }, position))
            }
        }
    }

    /// `::type`, `[index]`, `.field`.
    fn postfix(&mut self, mut operand: Expr) -> Result<Expr> {
        let mut chain = 0;
        loop {
            let token = self.peek();
            match token.kind {
                Kind::TypeCast => {
                    self.advance();
                    let type_name = self.type_name()?;
                    let kind = ExprKind::Cast { operand: Box::new(operand), type_name };
                    operand = boxed(kind, token.start);
                }
                Kind::Mark(b'[') => operand = self.subscript(operand)?,
                Kind::Mark(b'.')
                    if matches!(operand.kind, ExprKind::Row(_) | ExprKind::Scalar(_))
                        || self.peek_at(1).kind != Kind::Mark(b'.') =>
                {
                    self.advance();
                    if self.at_operator("*") {
                        return self.unsupported("expansion of a row value by .*");
                    }
                    let field = self.label()?;
                    let kind = ExprKind::Field { operand: Box::new(operand), field };
                    operand = boxed(kind, token.start);
                }
                _ => return Ok(operand),
            }
            chain += 1;
            self.check_depth(chain)?;
        }
    }

    #[inline(never)]
    fn subscript(&mut self, operand: Expr) -> Result<Expr> {
        let position = self.advance().start;
        let operand = Box::new(operand);
        let lower = if self.at_mark(b':') { None } else { Some(Box::new(self.expression()?)) };
        let kind = if self.accept_mark(b':') {
            let upper = if self.at_mark(b']') { None } else { Some(Box::new(self.expression()?)) };
            ExprKind::Slice { operand, lower, upper }
        } else {
            match lower {
                Some(index) => ExprKind::Subscript { operand, index },
                None => return Err(self.unexpected()),
            }
        };
        self.expect_mark(b']')?;
        Ok(boxed(kind, position))
    }

    fn primary(&mut self) -> Result<Expr> {
        let token = self.peek();
        match token.kind {
            Kind::Integer | Kind::Decimal => {
                self.advance();
                Ok(boxed(ExprKind::Number(self.slice(token).into()), token.start))
            }
            Kind::String | Kind::Escaped | Kind::Dollar => {
                let value = self.string()?.into_boxed_str();
                Ok(boxed(ExprKind::String(value), token.start))
            }
            Kind::Bits => self.unsupported("a bit string"),
            Kind::Parameter => self.parameter(),
            Kind::Mark(b'(') => self.parenthesis(),
            Kind::Keyword(keyword) => self.keyword_primary(keyword),
            Kind::Word | Kind::Quoted => self.name_primary(),
            _ => Err(self.unexpected()),
        }
    }

    fn parameter(&mut self) -> Result<Expr> {
        let token = self.advance();
        let number: u32 = self.slice(token)[1..].parse().unwrap_or(u32::MAX);
        if number == 0 || number as usize > types::limits::PARAMETERS_MAX {
            return Err(crate::PlanError::at(
                types::SqlState::UNDEFINED_PARAMETER,
                token.start as usize,
                alloc::format!("there is no parameter ${number}"),
            ));
        }
        Ok(boxed(ExprKind::Parameter(number - 1), token.start))
    }

    /// `(expression)`, `(a, b)`, `(query)`. A query that begins with a parenthesis shows itself only after it.
    fn parenthesis(&mut self) -> Result<Expr> {
        let position = self.advance().start;
        if self.at_query_keyword() {
            let query = self.query()?;
            self.expect_mark(b')')?;
            return Ok(boxed(ExprKind::Scalar(Box::new(query)), position));
        }
        let first = self.expression()?;
        if let ExprKind::Scalar(_) = first.kind
            && self.at_query_continuation()
        {
            return self.parenthesised_query(first, position);
        }
        if self.at_mark(b',') {
            let mut fields = alloc::vec![first];
            while self.accept_mark(b',') {
                fields.push(self.expression()?);
            }
            self.expect_mark(b')')?;
            return Ok(boxed(ExprKind::Row(fields), position));
        }
        self.expect_mark(b')')?;
        Ok(first)
    }

    #[inline(never)]
    fn parenthesised_query(&mut self, first: Expr, position: u32) -> Result<Expr> {
        let ExprKind::Scalar(query) = first.kind else {
            return Err(self.unexpected());
        };
        let query = self.query_from(*query)?;
        self.expect_mark(b')')?;
        Ok(boxed(ExprKind::Scalar(Box::new(query)), position))
    }

    /// A name with what makes it a column, a star, a call, or a typed literal.
    pub(super) fn name_primary(&mut self) -> Result<Expr> {
        let start = self.peek();
        let mut parts = alloc::vec![self.take_ident()];
        while self.at_mark(b'.') {
            self.advance();
            if self.accept_operator("*") {
                return Ok(boxed(ExprKind::Star(parts), start.start));
            }
            parts.push(self.label()?);
        }
        if self.at_mark(b'(') {
            if parts.len() == 1 && !self.is_function_name(start) {
                return Err(self.unexpected());
            }
            return self.call(Name { parts }, start.start);
        }
        if self.at_string() && self.is_function_name(start) {
            let type_name = self.type_named(Name { parts }, start.start)?;
            return self.typed_literal(type_name);
        }
        if let Kind::Keyword(_) = start.kind
            && !self.is_column_name(start)
        {
            return Err(self.unexpected_at(start));
        }
        Ok(boxed(ExprKind::Column(Name { parts }), start.start))
    }

    /// `type 'text'`
    pub(super) fn typed_literal(&mut self, type_name: crate::syntax::TypeName) -> Result<Expr> {
        let position = self.position();
        let value = self.string()?.into_boxed_str();
        let begin = type_name.position;
        let operand = Box::new(boxed(ExprKind::String(value), position));
        Ok(boxed(ExprKind::Cast { operand, type_name }, begin))
    }

    #[inline(never)]
    pub(super) fn case(&mut self) -> Result<Expr> {
        let position = self.advance().start;
        let operand = if self.at_keyword(Keyword::When) { None } else { Some(self.expression()?) };
        let mut branches = Vec::new();
        while self.accept(Keyword::When) {
            let condition = self.expression()?;
            self.expect(Keyword::Then)?;
            branches.push((condition, self.expression()?));
        }
        if branches.is_empty() {
            return Err(self.unexpected());
        }
        let otherwise = if self.accept(Keyword::Else) { Some(self.expression()?) } else { None };
        self.expect(Keyword::End)?;
        let case = Case { operand, branches, otherwise };
        Ok(boxed(ExprKind::Case(Box::new(case)), position))
    }
}
