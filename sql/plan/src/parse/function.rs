//! Primaries that begin with a key word, calls, and the functions with a grammar of their own (EXTRACT, SUBSTRING, TRIM, …), which become plain calls.

use super::Parser;
use super::expression::{Level, boxed};
use super::keyword::{Category, Keyword};
use super::lexer::Kind;
use crate::error::Result;
use crate::syntax::{Call, Expr, ExprKind, Ident, Name, Over, Window};
use alloc::boxed::Box;
use alloc::vec::Vec;

impl Parser<'_> {
    /// A call of a function by its plain name.
    pub(super) fn call_of(&self, name: &str, arguments: Vec<Expr>, position: u32) -> Expr {
        let name = Name { parts: alloc::vec![Ident { name: name.into(), position }] };
        boxed(ExprKind::Call(Box::new(Call::plain(name, arguments))), position)
    }

    pub(super) fn keyword_primary(&mut self, keyword: Keyword) -> Result<Expr> {
        let position = self.position();
        let next = self.peek_at(1).kind;
        let simple = match keyword {
            Keyword::Null => Some(ExprKind::Null),
            Keyword::True => Some(ExprKind::Bool(true)),
            Keyword::False => Some(ExprKind::Bool(false)),
            Keyword::Default => Some(ExprKind::Default),
            _ => None,
        };
        if let Some(kind) = simple {
            self.advance();
            return Ok(boxed(kind, position));
        }
        match keyword {
            Keyword::Case => return self.case(),
            Keyword::Cast if next == Kind::Mark(b'(') => return self.cast(),
            Keyword::Exists if next == Kind::Mark(b'(') => {
                self.advance();
                self.advance();
                let query = Box::new(self.query()?);
                self.expect_mark(b')')?;
                return Ok(boxed(ExprKind::Exists(query), position));
            }
            Keyword::Array => return self.array(),
            Keyword::Row if next == Kind::Mark(b'(') => {
                self.advance();
                let fields = self.arguments()?;
                return Ok(boxed(ExprKind::Row(fields), position));
            }
            Keyword::Interval => {
                if let Some(literal) = self.interval_literal()? {
                    return Ok(literal);
                }
            }
            _ => {}
        }
        if next == Kind::Mark(b'(')
            && let Some(special) = self.special_call(keyword, position)?
        {
            return Ok(special);
        }
        if let Some(value) = self.value_function(keyword, position)? {
            return Ok(value);
        }
        if self.at_type_literal(keyword) {
            let type_name = self.type_name()?;
            return self.typed_literal(type_name);
        }
        match keyword.category() {
            Category::Reserved => Err(self.unexpected()),
            _ => self.name_primary(),
        }
    }

    fn cast(&mut self) -> Result<Expr> {
        let position = self.advance().start;
        self.expect_mark(b'(')?;
        let operand = Box::new(self.expression()?);
        self.expect(Keyword::As)?;
        let type_name = self.type_name()?;
        self.expect_mark(b')')?;
        Ok(boxed(ExprKind::Cast { operand, type_name }, position))
    }

    fn array(&mut self) -> Result<Expr> {
        let position = self.advance().start;
        if self.accept_mark(b'(') {
            let query = Box::new(self.query()?);
            self.expect_mark(b')')?;
            return Ok(boxed(ExprKind::ArrayQuery(query), position));
        }
        self.expect_mark(b'[')?;
        if self.accept_mark(b']') {
            return Ok(boxed(ExprKind::Array(Vec::new()), position));
        }
        if self.at_mark(b'[') {
            return self.unsupported("an array of more than one dimension");
        }
        let elements = self.expressions()?;
        self.expect_mark(b']')?;
        Ok(boxed(ExprKind::Array(elements), position))
    }

    /// `INTERVAL 'text' [fields]`, `INTERVAL (p) 'text'`; nothing if `interval` is a name here.
    fn interval_literal(&mut self) -> Result<Option<Expr>> {
        let is_string = |kind| matches!(kind, Kind::String | Kind::Escaped | Kind::Dollar);
        let precision = self.peek_at(1).kind == Kind::Mark(b'(')
            && self.peek_at(2).kind == Kind::Integer
            && self.peek_at(3).kind == Kind::Mark(b')')
            && is_string(self.peek_at(4).kind);
        if !precision && !is_string(self.peek_at(1).kind) {
            return Ok(None);
        }
        let position = self.position();
        let mut type_name = if precision {
            self.type_name()?
        } else {
            let name = self.take_ident();
            self.type_named(Name { parts: alloc::vec![name] }, position)?
        };
        let place = self.position();
        let value = self.string()?.into_boxed_str();
        if !precision {
            self.interval_fields(&mut type_name)?;
        }
        let operand = Box::new(boxed(ExprKind::String(value), place));
        Ok(Some(boxed(ExprKind::Cast { operand, type_name }, position)))
    }

    /// Whether a type and a string follow, as in `double precision '1'`.
    fn at_type_literal(&self, keyword: Keyword) -> bool {
        let next = self.peek_at(1).kind;
        let string = matches!(next, Kind::String | Kind::Escaped | Kind::Dollar);
        match keyword {
            Keyword::Double => next == Kind::Keyword(Keyword::Precision),
            Keyword::Time | Keyword::Timestamp => {
                string
                    || next == Kind::Mark(b'(')
                    || ((self.at_keyword_ahead(1, Keyword::With)
                        || self.at_keyword_ahead(1, Keyword::Without))
                        && self.at_keyword_ahead(2, Keyword::Time))
            }
            Keyword::Bit
            | Keyword::Bigint
            | Keyword::Boolean
            | Keyword::Char
            | Keyword::Character
            | Keyword::Dec
            | Keyword::Decimal
            | Keyword::Float
            | Keyword::Int
            | Keyword::Integer
            | Keyword::Nchar
            | Keyword::National
            | Keyword::Numeric
            | Keyword::Real
            | Keyword::Smallint
            | Keyword::Varchar => {
                string
                    || next == Kind::Mark(b'(')
                    || next == Kind::Keyword(Keyword::Varying)
                    || (keyword == Keyword::National && matches!(next, Kind::Keyword(_)))
            }
            _ => false,
        }
    }

    /// CURRENT_DATE and its kin: functions without parentheses.
    #[inline(never)]
    fn value_function(&mut self, keyword: Keyword, position: u32) -> Result<Option<Expr>> {
        let name = match keyword {
            Keyword::CurrentDate => "current_date",
            Keyword::CurrentTimestamp => "current_timestamp",
            Keyword::Localtimestamp => "localtimestamp",
            Keyword::CurrentTime | Keyword::Localtime => {
                return self.unsupported("the type time");
            }
            Keyword::CurrentUser => "current_user",
            Keyword::CurrentRole => "current_role",
            Keyword::SessionUser => "session_user",
            Keyword::User => "user",
            Keyword::CurrentCatalog => "current_catalog",
            Keyword::CurrentSchema if self.peek_at(1).kind != Kind::Mark(b'(') => "current_schema",
            _ => return Ok(None),
        };
        self.advance();
        let mut arguments = Vec::new();
        if matches!(keyword, Keyword::CurrentTimestamp | Keyword::Localtimestamp)
            && self.accept_mark(b'(')
        {
            let token = self.peek();
            if token.kind != Kind::Integer {
                return Err(self.unexpected());
            }
            self.advance();
            arguments.push(boxed(ExprKind::Number(self.slice(token).into()), token.start));
            self.expect_mark(b')')?;
        }
        Ok(Some(self.call_of(name, arguments, position)))
    }

    /// Functions whose arguments have a grammar of their own. At the key word; a parenthesis follows.
    #[inline(never)]
    fn special_call(&mut self, keyword: Keyword, position: u32) -> Result<Option<Expr>> {
        match keyword {
            Keyword::Coalesce => {
                self.advance();
                let arguments = self.arguments()?;
                if arguments.is_empty() {
                    return Err(self.unexpected());
                }
                Ok(Some(boxed(ExprKind::Coalesce(arguments), position)))
            }
            Keyword::Greatest | Keyword::Least => {
                self.advance();
                let arguments = self.arguments()?;
                if arguments.is_empty() {
                    return Err(self.unexpected());
                }
                let greatest = keyword == Keyword::Greatest;
                Ok(Some(boxed(ExprKind::Extreme { greatest, arguments }, position)))
            }
            Keyword::Grouping => {
                self.advance();
                Ok(Some(boxed(ExprKind::Grouping(self.arguments()?), position)))
            }
            Keyword::Nullif => {
                self.open_call();
                let left = Box::new(self.expression()?);
                self.expect_mark(b',')?;
                let right = Box::new(self.expression()?);
                self.expect_mark(b')')?;
                Ok(Some(boxed(ExprKind::NullIf(left, right), position)))
            }
            Keyword::Extract => self.extract(position).map(Some),
            Keyword::Position => {
                self.open_call();
                let part = self.expression_at(Level::Operator)?;
                self.expect(Keyword::In)?;
                let whole = self.expression_at(Level::Operator)?;
                self.expect_mark(b')')?;
                Ok(Some(self.call_of("position", alloc::vec![whole, part], position)))
            }
            Keyword::Substring => self.substring(position).map(Some),
            Keyword::Overlay => self.overlay(position).map(Some),
            Keyword::Trim => self.trim(position).map(Some),
            Keyword::Treat
            | Keyword::Normalize
            | Keyword::Xmlconcat
            | Keyword::Xmlelement
            | Keyword::Xmlexists
            | Keyword::Xmlforest
            | Keyword::Xmlparse
            | Keyword::Xmlpi
            | Keyword::Xmlroot
            | Keyword::Xmlserialize => self.unsupported(keyword.word().to_ascii_uppercase()),
            _ => Ok(None),
        }
    }

    /// Past the function's name and the parenthesis.
    fn open_call(&mut self) {
        self.advance();
        self.advance();
    }

    fn extract(&mut self, position: u32) -> Result<Expr> {
        self.open_call();
        let place = self.position();
        let field =
            if self.at_string() { self.string()?.into_boxed_str() } else { self.label()?.name };
        self.expect(Keyword::From)?;
        let source = self.expression()?;
        self.expect_mark(b')')?;
        let field = boxed(ExprKind::String(field), place);
        Ok(self.call_of("extract", alloc::vec![field, source], position))
    }

    fn substring(&mut self, position: u32) -> Result<Expr> {
        self.open_call();
        let mut arguments = alloc::vec![self.expression()?];
        if self.accept_mark(b',') {
            arguments.extend(self.expressions()?);
        } else if self.accept(Keyword::From) {
            arguments.push(self.expression()?);
            if self.accept(Keyword::For) {
                arguments.push(self.expression()?);
            }
        } else if self.accept(Keyword::For) {
            let count = self.expression()?;
            let start = if self.accept(Keyword::From) {
                self.expression()?
            } else {
                boxed(ExprKind::Number("1".into()), position)
            };
            arguments.push(start);
            arguments.push(count);
        } else if self.at_keyword(Keyword::Similar) {
            return self.unsupported("SUBSTRING … SIMILAR");
        }
        self.expect_mark(b')')?;
        Ok(self.call_of("substring", arguments, position))
    }

    fn overlay(&mut self, position: u32) -> Result<Expr> {
        self.open_call();
        let mut arguments = alloc::vec![self.expression()?];
        if self.accept_mark(b',') {
            arguments.extend(self.expressions()?);
        } else {
            self.expect(Keyword::Placing)?;
            arguments.push(self.expression()?);
            self.expect(Keyword::From)?;
            arguments.push(self.expression()?);
            if self.accept(Keyword::For) {
                arguments.push(self.expression()?);
            }
        }
        self.expect_mark(b')')?;
        Ok(self.call_of("overlay", arguments, position))
    }

    fn trim(&mut self, position: u32) -> Result<Expr> {
        self.open_call();
        let name = match self.keyword() {
            Some(Keyword::Leading) => "ltrim",
            Some(Keyword::Trailing) => "rtrim",
            _ => "btrim",
        };
        if let Some(Keyword::Leading | Keyword::Trailing | Keyword::Both) = self.keyword() {
            self.advance();
        }
        let mut arguments = Vec::new();
        if !self.accept(Keyword::From) {
            let first = self.expression()?;
            if self.accept(Keyword::From) {
                arguments.extend(self.expressions()?);
                arguments.push(first);
            } else {
                arguments.push(first);
                if self.accept_mark(b',') {
                    arguments.extend(self.expressions()?);
                }
            }
        } else {
            arguments.extend(self.expressions()?);
        }
        self.expect_mark(b')')?;
        Ok(self.call_of(name, arguments, position))
    }

    /// `( [expressions] )`
    fn arguments(&mut self) -> Result<Vec<Expr>> {
        self.expect_mark(b'(')?;
        if self.accept_mark(b')') {
            return Ok(Vec::new());
        }
        let arguments = self.expressions()?;
        self.expect_mark(b')')?;
        Ok(arguments)
    }

    /// A call; at the parenthesis.
    #[inline(never)]
    pub(super) fn call(&mut self, name: Name, position: u32) -> Result<Expr> {
        let mut call = Call::plain(name, Vec::new());
        self.expect_mark(b'(')?;
        if self.accept_operator("*") {
            call.star = true;
        } else if !self.at_mark(b')') {
            if self.accept(Keyword::Distinct) {
                call.distinct = true;
            } else {
                self.accept(Keyword::All);
            }
            loop {
                call.variadic = self.accept(Keyword::Variadic);
                if self.is_label(self.peek()) && self.peek_at(1).kind == Kind::Assign {
                    return self.unsupported("a call with named arguments");
                }
                call.arguments.push(self.expression()?);
                if call.variadic || !self.accept_mark(b',') {
                    break;
                }
            }
            if self.accept(Keyword::Order) {
                self.expect(Keyword::By)?;
                call.order_by = self.order_items()?;
            }
        }
        self.expect_mark(b')')?;
        self.call_clauses(&mut call)?;
        Ok(boxed(ExprKind::Call(Box::new(call)), position))
    }

    fn call_clauses(&mut self, call: &mut Call) -> Result<()> {
        if self.accept_all(&[Keyword::Within, Keyword::Group]) {
            self.expect_mark(b'(')?;
            self.expect(Keyword::Order)?;
            self.expect(Keyword::By)?;
            call.within_group = self.order_items()?;
            self.expect_mark(b')')?;
        }
        if self.at_keyword(Keyword::Filter) && self.peek_at(1).kind == Kind::Mark(b'(') {
            self.open_call();
            self.expect(Keyword::Where)?;
            call.filter = Some(self.expression()?);
            self.expect_mark(b')')?;
        }
        if self.accept(Keyword::Over) {
            call.over = Some(if self.at_mark(b'(') {
                Over::Window(self.window()?)
            } else {
                Over::Name(self.ident()?)
            });
        }
        Ok(())
    }

    /// `( [name] [PARTITION BY …] [ORDER BY …] [frame] )`
    pub(super) fn window(&mut self) -> Result<Window> {
        let position = self.position();
        self.expect_mark(b'(')?;
        let frame_word = matches!(
            self.keyword(),
            Some(Keyword::Partition | Keyword::Range | Keyword::Rows | Keyword::Groups)
        );
        let base = if !frame_word && self.is_column_name(self.peek()) {
            Some(self.ident()?)
        } else {
            None
        };
        let partition_by = if self.accept(Keyword::Partition) {
            self.expect(Keyword::By)?;
            self.expressions()?
        } else {
            Vec::new()
        };
        let order_by = if self.accept(Keyword::Order) {
            self.expect(Keyword::By)?;
            self.order_items()?
        } else {
            Vec::new()
        };
        let frame = self.frame()?;
        self.expect_mark(b')')?;
        Ok(Window { base, partition_by, order_by, frame, position })
    }
}

impl Call {
    /// A call without clauses.
    pub fn plain(name: Name, arguments: Vec<Expr>) -> Call {
        Call {
            name,
            arguments,
            star: false,
            variadic: false,
            distinct: false,
            order_by: Vec::new(),
            within_group: Vec::new(),
            filter: None,
            over: None,
        }
    }
}
