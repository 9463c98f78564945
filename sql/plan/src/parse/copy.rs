//! COPY and lists of options in parentheses.

use super::Parser;
use super::keyword::Keyword;
use super::lexer::Kind;
use crate::error::Result;
use crate::syntax::{Copy, CopySource, Ident, Setting, SettingValue, Statement};
use alloc::boxed::Box;
use alloc::vec::Vec;

impl Parser<'_> {
    pub(super) fn copy(&mut self) -> Result<Statement> {
        self.expect(Keyword::Copy)?;
        self.accept(Keyword::Binary);
        let source = if self.accept_mark(b'(') {
            let query = Box::new(if self.at_query() {
                self.query()?
            } else {
                return self.unsupported("COPY of a data-modifying statement");
            });
            self.expect_mark(b')')?;
            CopySource::Query(query)
        } else {
            let name = self.name()?;
            let columns =
                if self.at_mark(b'(') { self.idents_in_parentheses()? } else { Vec::new() };
            CopySource::Table { name, columns }
        };
        let from = if self.accept(Keyword::From) {
            if let CopySource::Query(_) = source {
                return Err(self.unexpected());
            }
            true
        } else {
            self.expect(Keyword::To)?;
            false
        };
        match self.keyword() {
            Some(Keyword::Stdin | Keyword::Stdout) => {
                self.advance();
            }
            Some(Keyword::Program) => return self.unsupported("COPY to or from a program"),
            _ if self.at_string() => {
                return self.unsupported("COPY to or from a file of the server");
            }
            _ => return Err(self.unexpected()),
        }
        let options = self.copy_options()?;
        let filter = if from { self.where_clause()? } else { None };
        Ok(Statement::Copy(Box::new(Copy { source, from, options, filter })))
    }

    fn copy_options(&mut self) -> Result<Vec<Setting>> {
        self.accept(Keyword::With);
        if self.accept_mark(b'(') {
            let options = self.list(Parser::generic_option)?;
            self.expect_mark(b')')?;
            return Ok(options);
        }
        let mut options = Vec::new();
        while let Some(keyword) = self.keyword() {
            let name = match keyword {
                Keyword::Where => break,
                Keyword::Binary | Keyword::Csv => {
                    let format = self.take_ident();
                    options.push(Setting {
                        name: Ident { name: "format".into(), position: format.position },
                        value: SettingValue::Text(format.name),
                    });
                    continue;
                }
                Keyword::Delimiter
                | Keyword::Null
                | Keyword::Header
                | Keyword::Quote
                | Keyword::Escape
                | Keyword::Freeze
                | Keyword::Encoding => self.take_ident(),
                Keyword::Force => self.force_option()?,
                _ => return Err(self.unexpected()),
            };
            self.accept(Keyword::As);
            let value = match keyword {
                Keyword::Header | Keyword::Freeze => SettingValue::None,
                Keyword::Force if self.accept_operator("*") => SettingValue::Star,
                Keyword::Force => SettingValue::Names(self.list(Parser::ident)?),
                _ => SettingValue::Text(self.string()?.into_boxed_str()),
            };
            options.push(Setting { name, value });
        }
        Ok(options)
    }

    fn force_option(&mut self) -> Result<Ident> {
        let position = self.advance().start;
        let name = if self.accept(Keyword::Quote) {
            "force_quote"
        } else if self.accept_all(&[Keyword::Not, Keyword::Null]) {
            "force_not_null"
        } else {
            self.expect(Keyword::Null)?;
            "force_null"
        };
        Ok(Ident { name: name.into(), position })
    }

    /// `name [value]`, as in COPY's and EXPLAIN's lists.
    pub(super) fn generic_option(&mut self) -> Result<Setting> {
        let name = self.label()?;
        let token = self.peek();
        let value = match token.kind {
            Kind::Mark(b',' | b')') => SettingValue::None,
            Kind::Mark(b'(') => SettingValue::Names(self.idents_in_parentheses()?),
            Kind::Operator if self.accept_operator("*") => SettingValue::Star,
            _ => SettingValue::Text(self.setting_text()?),
        };
        Ok(Setting { name, value })
    }

    /// `( name [= value], … )` of WITH and SET.
    pub(super) fn storage_settings(&mut self) -> Result<Vec<Setting>> {
        self.expect_mark(b'(')?;
        let settings = self.list(|parser| {
            let mut name = parser.label()?;
            while parser.accept_mark(b'.') {
                let part = parser.label()?;
                name.name = alloc::format!("{}.{}", name.name, part.name).into_boxed_str();
            }
            let value = if parser.accept_operator("=") {
                SettingValue::Text(parser.setting_text()?)
            } else {
                SettingValue::None
            };
            Ok(Setting { name, value })
        })?;
        self.expect_mark(b')')?;
        Ok(settings)
    }

    /// A word, a string or a number, as text.
    pub(super) fn setting_text(&mut self) -> Result<Box<str>> {
        let token = self.peek();
        match token.kind {
            Kind::Word | Kind::Quoted | Kind::Keyword(_) => Ok(self.take_ident().name),
            Kind::String | Kind::Escaped | Kind::Dollar => Ok(self.string()?.into_boxed_str()),
            Kind::Integer | Kind::Decimal => {
                self.advance();
                Ok(self.boxed_slice(token.start, token.end))
            }
            Kind::Operator if matches!(self.slice(token), "+" | "-") => {
                self.advance();
                let number = self.peek();
                if !matches!(number.kind, Kind::Integer | Kind::Decimal) {
                    return Err(self.unexpected());
                }
                self.advance();
                let start = if self.slice(token) == "-" { token.start } else { number.start };
                Ok(self.boxed_slice(start, number.end))
            }
            _ => Err(self.unexpected()),
        }
    }
}
