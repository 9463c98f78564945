//! Names of types, with the spellings of several words.

use super::Parser;
use super::keyword::Keyword;
use super::lexer::Kind;
use crate::error::Result;
use crate::syntax::{Ident, Name, TypeName};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

impl Parser<'_> {
    pub(super) fn type_name(&mut self) -> Result<TypeName> {
        let position = self.position();
        if self.at_keyword(Keyword::Setof) {
            return self.unsupported("SETOF");
        }
        let mut type_name = match self.keyword() {
            Some(keyword) => match self.type_of_words(keyword, position)? {
                Some(type_name) => type_name,
                None => self.plain_type(position)?,
            },
            None => self.plain_type(position)?,
        };
        self.array_suffix(&mut type_name)?;
        Ok(type_name)
    }

    fn array_suffix(&mut self, type_name: &mut TypeName) -> Result<()> {
        if self.accept(Keyword::Array) {
            type_name.array = true;
        }
        while self.at_mark(b'[') && matches!(self.peek_at(1).kind, Kind::Mark(b']') | Kind::Integer)
        {
            self.advance();
            if self.peek().kind == Kind::Integer {
                self.advance();
            }
            self.expect_mark(b']')?;
            type_name.array = true;
        }
        Ok(())
    }

    fn plain_type(&mut self, position: u32) -> Result<TypeName> {
        if !self.is_function_name(self.peek()) {
            return Err(self.unexpected());
        }
        let mut parts = alloc::vec![self.take_ident()];
        while self.accept_mark(b'.') {
            parts.push(self.label()?);
        }
        let mut type_name = self.type_named(Name { parts }, position)?;
        type_name.modifiers = self.type_modifiers()?;
        Ok(type_name)
    }

    /// A type of this name without anything more.
    pub(super) fn type_named(&self, name: Name, position: u32) -> Result<TypeName> {
        Ok(TypeName { name, modifiers: Vec::new(), array: false, interval_fields: None, position })
    }

    fn type_modifiers(&mut self) -> Result<Vec<crate::syntax::Expr>> {
        if !self.accept_mark(b'(') {
            return Ok(Vec::new());
        }
        let modifiers = self.expressions()?;
        self.expect_mark(b')')?;
        Ok(modifiers)
    }

    fn system_type(&self, name: &str, position: u32) -> Result<TypeName> {
        let ident = Ident { name: name.into(), position };
        self.type_named(Name { parts: alloc::vec![ident] }, position)
    }

    /// The types that SQL spells in key words.
    fn type_of_words(&mut self, keyword: Keyword, position: u32) -> Result<Option<TypeName>> {
        let simple = match keyword {
            Keyword::Int | Keyword::Integer => "int4",
            Keyword::Smallint => "int2",
            Keyword::Bigint => "int8",
            Keyword::Real => "float4",
            Keyword::Boolean => "bool",
            _ => return self.type_with_more(keyword, position),
        };
        self.advance();
        self.system_type(simple, position).map(Some)
    }

    fn type_with_more(&mut self, keyword: Keyword, position: u32) -> Result<Option<TypeName>> {
        let mut type_name = match keyword {
            Keyword::Float => {
                self.advance();
                let bits = self.float_bits()?;
                return self
                    .system_type(if bits <= 24 { "float4" } else { "float8" }, position)
                    .map(Some);
            }
            Keyword::Double => {
                self.advance();
                self.expect(Keyword::Precision)?;
                return self.system_type("float8", position).map(Some);
            }
            Keyword::Decimal | Keyword::Dec | Keyword::Numeric => {
                self.advance();
                self.system_type("numeric", position)?
            }
            Keyword::Varchar => {
                self.advance();
                self.system_type("varchar", position)?
            }
            Keyword::Char | Keyword::Character | Keyword::Nchar | Keyword::National => {
                return self.character_type(keyword, position).map(Some);
            }
            Keyword::Time | Keyword::Timestamp => {
                return self.time_type(keyword, position).map(Some);
            }
            Keyword::Interval => {
                self.advance();
                let mut type_name = self.system_type("interval", position)?;
                type_name.modifiers = self.type_modifiers()?;
                if type_name.modifiers.is_empty() {
                    self.interval_fields(&mut type_name)?;
                }
                return Ok(Some(type_name));
            }
            Keyword::Bit => return self.unsupported("the type bit"),
            _ => return Ok(None),
        };
        type_name.modifiers = self.type_modifiers()?;
        Ok(Some(type_name))
    }

    fn float_bits(&mut self) -> Result<i64> {
        if !self.accept_mark(b'(') {
            return Ok(53);
        }
        let place = self.position() as usize;
        let bits = self.signed_integer()?;
        self.expect_mark(b')')?;
        let state = types::SqlState::INVALID_PARAMETER_VALUE;
        match bits {
            ..=0 => Err(crate::PlanError::at(
                state,
                place,
                "precision for type float must be at least 1 bit",
            )),
            54.. => Err(crate::PlanError::at(
                state,
                place,
                "precision for type float must be less than 54 bits",
            )),
            bits => Ok(bits),
        }
    }

    fn character_type(&mut self, keyword: Keyword, position: u32) -> Result<TypeName> {
        self.advance();
        if keyword == Keyword::National && !self.accept(Keyword::Character) {
            self.expect(Keyword::Char)?;
        }
        let varying = self.accept(Keyword::Varying);
        let mut type_name =
            self.system_type(if varying { "varchar" } else { "bpchar" }, position)?;
        type_name.modifiers = self.type_modifiers()?;
        // `char` without a length is char(1).
        if !varying && type_name.modifiers.is_empty() {
            let one = crate::syntax::ExprKind::Number("1".into());
            type_name.modifiers.push(super::expression::boxed(one, position));
        }
        Ok(type_name)
    }

    fn time_type(&mut self, keyword: Keyword, position: u32) -> Result<TypeName> {
        self.advance();
        let modifiers = self.type_modifiers()?;
        let zone = if self.accept_all(&[Keyword::With, Keyword::Time, Keyword::Zone]) {
            "tz"
        } else {
            self.accept_all(&[Keyword::Without, Keyword::Time, Keyword::Zone]);
            ""
        };
        let mut name = String::from(if keyword == Keyword::Time { "time" } else { "timestamp" });
        name.push_str(zone);
        let mut type_name = self.system_type(&name, position)?;
        type_name.modifiers = modifiers;
        Ok(type_name)
    }

    /// `YEAR TO MONTH` and its kin after an interval.
    pub(super) fn interval_fields(&mut self, type_name: &mut TypeName) -> Result<()> {
        const FIELDS: [Keyword; 6] = [
            Keyword::Year,
            Keyword::Month,
            Keyword::Day,
            Keyword::Hour,
            Keyword::Minute,
            Keyword::Second,
        ];
        let field = |keyword: Option<Keyword>| keyword.filter(|word| FIELDS.contains(word));
        let Some(first) = field(self.keyword()) else { return Ok(()) };
        self.advance();
        let mut text = String::from(first.word());
        let mut last = first;
        if self.at_keyword(Keyword::To)
            && let Kind::Keyword(next) = self.peek_at(1).kind
            && FIELDS.contains(&next)
        {
            self.advance();
            self.advance();
            text.push_str(" to ");
            text.push_str(next.word());
            last = next;
        }
        if last == Keyword::Second {
            type_name.modifiers = self.type_modifiers()?;
        }
        type_name.interval_fields = Some(text.into_boxed_str());
        Ok(())
    }

    /// A list of types in parentheses; none if there is no parenthesis.
    pub(super) fn types_in_parentheses(&mut self) -> Result<Vec<TypeName>> {
        if !self.accept_mark(b'(') {
            return Ok(Vec::new());
        }
        let types = self.list(Parser::type_name)?;
        self.expect_mark(b')')?;
        Ok(types)
    }

    /// Text of a token range, as written.
    pub(super) fn boxed_slice(&self, start: u32, end: u32) -> Box<str> {
        self.text[start as usize..end as usize].into()
    }
}
