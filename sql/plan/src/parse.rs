//! Text to syntax trees: a recursive-descent parser of PostgreSQL 15's grammar, as far as we have its features.
//!
//! It is our own, and not a dialect of a general parser, for four reasons. Errors need PostgreSQL's words and the byte they happened at, also when a name
//! is resolved much later. The nesting of what it returns is bounded here, once: chains of operators count as nesting too, since a tree is walked and
//! dropped recursively by everyone below. `OPERATOR(pg_catalog.~)`, `COPY`, `VACUUM`, `WITH (partition_key = …)` and reserved words are plain grammar.
//! And a point SELECT costs a few microseconds, because tokens borrow from the text.
//!
//! What PostgreSQL parses and we have not built is 0A000, naming itself; what it does not parse is 42601.

mod command;
mod copy;
mod ddl;
mod dml;
mod expression;
mod from;
mod function;
pub(crate) mod keyword;
mod lexer;
mod select;
mod type_name;

use crate::error::{PlanError, Result};
use crate::syntax::{Expr, Ident, Name, Statement};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
pub(crate) use command::boolean;
pub(crate) use ddl::check_kept_setting;
use keyword::{Category, Keyword};
use lexer::{Kind, Token};
use types::SqlState;
use types::limits::{EXPRESSION_DEPTH_MAX, STATEMENT_BYTES_MAX};

/// One statement of a string of statements.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// What it is.
    pub statement: Statement,
    /// First byte of its text.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
}

/// Parses a string of statements; empty ones are left out.
///
/// # Errors
/// 42601 at the first place that is not SQL, 0A000 for what is not built, 54001 for nesting beyond the bound, 54000 for a text beyond it.
pub fn parse(text: &str) -> Result<Vec<Parsed>> {
    let mut parser = Parser::new(text)?;
    let mut statements = Vec::new();
    loop {
        while parser.accept_mark(b';') {}
        if parser.peek().kind == Kind::End {
            return Ok(statements);
        }
        let start = parser.position() as usize;
        let statement = parser.statement()?;
        if !matches!(parser.peek().kind, Kind::End | Kind::Mark(b';')) {
            return Err(parser.unexpected());
        }
        statements.push(Parsed { statement, start, end: parser.previous_end() as usize });
    }
}

/// Parses one expression: a DEFAULT or a CHECK as the catalog holds it.
///
/// # Errors
/// As [`parse`].
pub fn parse_expression(text: &str) -> Result<Expr> {
    let mut parser = Parser::new(text)?;
    let expression = parser.expression()?;
    if parser.peek().kind != Kind::End {
        return Err(parser.unexpected());
    }
    Ok(expression)
}

/// Parses one type name, as in `'integer'::regtype`.
///
/// # Errors
/// As [`parse`].
pub fn parse_type(text: &str) -> Result<crate::syntax::TypeName> {
    let mut parser = Parser::new(text)?;
    let type_name = parser.type_name()?;
    if parser.peek().kind != Kind::End {
        return Err(parser.unexpected());
    }
    Ok(type_name)
}

/// Levels of nesting that a query counts as.
const QUERY_LEVELS: usize = 4;

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Parser<'a>> {
        if text.len() > STATEMENT_BYTES_MAX {
            return Err(PlanError::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("a statement may have at most {STATEMENT_BYTES_MAX} bytes"),
            ));
        }
        Ok(Parser { text, tokens: lexer::tokenize(text)?, at: 0, depth: 0 })
    }

    fn peek(&self) -> Token {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> Token {
        let last = self.tokens.len() - 1;
        self.tokens[(self.at + ahead).min(last)]
    }

    fn advance(&mut self) -> Token {
        let token = self.peek();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn position(&self) -> u32 {
        self.peek().start
    }

    fn previous_end(&self) -> u32 {
        if self.at == 0 { 0 } else { self.tokens[self.at - 1].end }
    }

    fn slice(&self, token: Token) -> &'a str {
        &self.text[token.start as usize..token.end as usize]
    }

    /// `syntax error at or near …`
    fn unexpected(&self) -> Box<PlanError> {
        self.unexpected_at(self.peek())
    }

    fn unexpected_at(&self, token: Token) -> Box<PlanError> {
        let position = token.start as usize;
        if token.kind == Kind::End {
            PlanError::syntax(position, "syntax error at end of input")
        } else {
            let near = self.slice(token);
            PlanError::syntax(position, format!("syntax error at or near \"{near}\""))
        }
    }

    fn unsupported<T>(&self, feature: impl core::fmt::Display) -> Result<T> {
        Err(PlanError::unsupported(feature).or_at(self.position() as usize))
    }

    // --- key words

    fn at_keyword(&self, keyword: Keyword) -> bool {
        self.peek().kind == Kind::Keyword(keyword)
    }

    fn at_keyword_ahead(&self, ahead: usize, keyword: Keyword) -> bool {
        self.peek_at(ahead).kind == Kind::Keyword(keyword)
    }

    fn accept(&mut self, keyword: Keyword) -> bool {
        let here = self.at_keyword(keyword);
        if here {
            self.at += 1;
        }
        here
    }

    /// All of them in a row, or none.
    fn accept_all(&mut self, keywords: &[Keyword]) -> bool {
        let here =
            keywords.iter().enumerate().all(|(ahead, word)| self.at_keyword_ahead(ahead, *word));
        if here {
            self.at += keywords.len();
        }
        here
    }

    fn expect(&mut self, keyword: Keyword) -> Result<()> {
        if self.accept(keyword) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// The key word here, if it is one.
    fn keyword(&self) -> Option<Keyword> {
        match self.peek().kind {
            Kind::Keyword(keyword) => Some(keyword),
            _ => None,
        }
    }

    /// A word that PostgreSQL does not list as a key word, such as the name of an option.
    fn accept_word(&mut self, word: &str) -> bool {
        let here = matches!(self.peek().kind, Kind::Word | Kind::Keyword(_))
            && self.slice(self.peek()).eq_ignore_ascii_case(word);
        if here {
            self.at += 1;
        }
        here
    }

    fn if_exists(&mut self) -> bool {
        self.accept_all(&[Keyword::If, Keyword::Exists])
    }

    fn if_not_exists(&mut self) -> bool {
        self.accept_all(&[Keyword::If, Keyword::Not, Keyword::Exists])
    }

    // --- marks and operators

    fn at_mark(&self, mark: u8) -> bool {
        self.peek().kind == Kind::Mark(mark)
    }

    fn accept_mark(&mut self, mark: u8) -> bool {
        let here = self.at_mark(mark);
        if here {
            self.at += 1;
        }
        here
    }

    fn expect_mark(&mut self, mark: u8) -> Result<()> {
        if self.accept_mark(mark) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn at_operator(&self, operator: &str) -> bool {
        let token = self.peek();
        token.kind == Kind::Operator && self.slice(token) == operator
    }

    fn accept_operator(&mut self, operator: &str) -> bool {
        let here = self.at_operator(operator);
        if here {
            self.at += 1;
        }
        here
    }

    // --- names

    /// Whether the token may be a name of a column or a table.
    fn is_column_name(&self, token: Token) -> bool {
        match token.kind {
            Kind::Word | Kind::Quoted => true,
            Kind::Keyword(keyword) => {
                matches!(keyword.category(), Category::Unreserved | Category::ColumnName)
            }
            _ => false,
        }
    }

    /// Whether the token may be the name of a function or a type.
    fn is_function_name(&self, token: Token) -> bool {
        match token.kind {
            Kind::Word | Kind::Quoted => true,
            Kind::Keyword(keyword) => {
                matches!(keyword.category(), Category::Unreserved | Category::TypeOrFunction)
            }
            _ => false,
        }
    }

    fn is_label(&self, token: Token) -> bool {
        matches!(token.kind, Kind::Word | Kind::Quoted | Kind::Keyword(_))
    }

    fn take_ident(&mut self) -> Ident {
        let token = self.advance();
        let name: Cow<'_, str> = lexer::identifier(token, self.text);
        Ident { name: name.into_owned().into_boxed_str(), position: token.start }
    }

    /// A name of a column, table, schema, …
    fn ident(&mut self) -> Result<Ident> {
        if self.is_column_name(self.peek()) {
            Ok(self.take_ident())
        } else {
            Err(self.unexpected())
        }
    }

    /// Any word at all: what follows AS or a point.
    fn label(&mut self) -> Result<Ident> {
        if self.is_label(self.peek()) { Ok(self.take_ident()) } else { Err(self.unexpected()) }
    }

    /// A possibly qualified name.
    fn name(&mut self) -> Result<Name> {
        let mut parts = alloc::vec![self.ident()?];
        while self.accept_mark(b'.') {
            parts.push(self.label()?);
        }
        if parts.len() > 3 {
            let first = &parts[0];
            return Err(PlanError::syntax(
                first.position as usize,
                format!(
                    "improper qualified name (too many dotted names): {}",
                    parts.iter().map(|part| &*part.name).collect::<Vec<_>>().join(".")
                ),
            ));
        }
        Ok(Name { parts })
    }

    fn idents_in_parentheses(&mut self) -> Result<Vec<Ident>> {
        self.expect_mark(b'(')?;
        let list = self.list(Parser::ident)?;
        self.expect_mark(b')')?;
        Ok(list)
    }

    fn names(&mut self) -> Result<Vec<Name>> {
        self.list(Parser::name)
    }

    /// One or more, separated by commas.
    fn list<T>(&mut self, one: impl Fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut list = alloc::vec![one(self)?];
        while self.accept_mark(b',') {
            list.push(one(self)?);
        }
        Ok(list)
    }

    // --- literals

    fn at_string(&self) -> bool {
        matches!(self.peek().kind, Kind::String | Kind::Escaped | Kind::Dollar)
    }

    fn string(&mut self) -> Result<String> {
        if !self.at_string() {
            return Err(self.unexpected());
        }
        let token = self.advance();
        lexer::string_value(token, self.text)
    }

    /// A whole number with an optional sign.
    fn signed_integer(&mut self) -> Result<i64> {
        let negative = self.accept_operator("-");
        if !negative {
            self.accept_operator("+");
        }
        let token = self.peek();
        if token.kind != Kind::Integer {
            return Err(self.unexpected());
        }
        self.advance();
        let magnitude: i128 = self.slice(token).parse().unwrap_or(i128::MAX);
        let value = if negative { -magnitude } else { magnitude };
        i64::try_from(value).map_err(|_| {
            PlanError::at(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                token.start as usize,
                format!("value \"{}\" is out of range for type bigint", self.slice(token)),
            )
        })
    }

    // --- nesting

    fn enter(&mut self) -> Result<()> {
        self.depth += 1;
        self.check_depth(0)
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }

    /// A query takes the stack of several expressions, here and in everything that walks it.
    fn enter_query(&mut self) -> Result<()> {
        self.depth += QUERY_LEVELS;
        self.check_depth(0)
    }

    fn leave_query(&mut self) {
        self.depth -= QUERY_LEVELS;
    }

    /// Whether `more` levels fit below the ones open.
    fn check_depth(&self, more: usize) -> Result<()> {
        if self.depth + more > EXPRESSION_DEPTH_MAX {
            return Err(PlanError::at(
                SqlState::STATEMENT_TOO_COMPLEX,
                self.position() as usize,
                "stack depth limit exceeded",
            )
            .hint(format!("A statement may nest at most {EXPRESSION_DEPTH_MAX} levels deep.")));
        }
        Ok(())
    }
}
