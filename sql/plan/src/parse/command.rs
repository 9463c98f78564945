//! Which statement it is; and the short ones: transactions, settings, prepared statements, EXPLAIN, maintenance.

use super::Parser;
use super::keyword::Keyword;
use super::lexer::Kind;
use crate::error::{PlanError, Result};
use crate::statement::{
    DiscardKind, ExplainFormat, Isolation, SetScope, SetStatement, SetTarget, ShowStatement,
    TransactionModes, TransactionStatement,
};
use crate::syntax::{Explain, Setting, SettingValue, Statement};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

impl Parser<'_> {
    pub(super) fn statement(&mut self) -> Result<Statement> {
        // EXPLAIN and PREPARE hold statements.
        self.enter()?;
        let statement = self.any_statement()?;
        self.leave();
        Ok(statement)
    }

    fn any_statement(&mut self) -> Result<Statement> {
        let Some(keyword) = self.keyword() else {
            if self.at_mark(b'(') && self.at_query() {
                return Ok(Statement::Select(Box::new(self.query()?)));
            }
            return Err(self.unexpected());
        };
        match keyword {
            Keyword::Select | Keyword::Values | Keyword::Table => {
                Ok(Statement::Select(Box::new(self.query()?)))
            }
            Keyword::With => self.statement_with(),
            Keyword::Insert => self.insert(None),
            Keyword::Update => self.update(None),
            Keyword::Delete => self.delete(None),
            Keyword::Copy => self.copy(),
            Keyword::Create => self.create(),
            Keyword::Alter => self.alter(),
            Keyword::Drop => self.drop(),
            Keyword::Truncate => self.truncate(),
            Keyword::Begin
            | Keyword::Start
            | Keyword::Commit
            | Keyword::End
            | Keyword::Rollback
            | Keyword::Abort => self.transaction(keyword),
            Keyword::Set => self.set(),
            Keyword::Reset => self.reset(),
            Keyword::Show => self.show(),
            Keyword::Explain => self.explain(),
            Keyword::Prepare => self.prepare(),
            Keyword::Execute => self.execute(),
            Keyword::Deallocate => {
                self.advance();
                self.accept(Keyword::Prepare);
                let name = if self.accept(Keyword::All) { None } else { Some(self.ident()?) };
                Ok(Statement::Deallocate(name))
            }
            Keyword::Discard => self.discard(),
            Keyword::Vacuum
            | Keyword::Analyze
            | Keyword::Analyse
            | Keyword::Checkpoint
            | Keyword::Cluster
            | Keyword::Reindex => self.maintenance(keyword),
            _ => self.not_built(keyword),
        }
    }

    fn statement_with(&mut self) -> Result<Statement> {
        let start = self.at;
        let depth = self.depth;
        let with = self.with_clause()?;
        match self.keyword() {
            Some(Keyword::Insert) => self.insert(with),
            Some(Keyword::Update) => self.update(with),
            Some(Keyword::Delete) => self.delete(with),
            _ => {
                // A query: parsed again with its WITH, once.
                self.at = start;
                self.depth = depth;
                Ok(Statement::Select(Box::new(self.query()?)))
            }
        }
    }

    fn not_built(&mut self, keyword: Keyword) -> Result<Statement> {
        let name = match keyword {
            Keyword::Savepoint => "SAVEPOINT",
            Keyword::Release => "RELEASE SAVEPOINT",
            Keyword::Declare => "DECLARE CURSOR",
            Keyword::Fetch => "FETCH",
            Keyword::Move => "MOVE",
            Keyword::Close => "CLOSE",
            Keyword::Listen => "LISTEN",
            Keyword::Unlisten => "UNLISTEN",
            Keyword::Notify => "NOTIFY",
            Keyword::Lock => "LOCK TABLE",
            Keyword::Comment => "COMMENT",
            Keyword::Grant => "GRANT",
            Keyword::Revoke => "REVOKE",
            Keyword::Do => "DO",
            Keyword::Call => "CALL",
            Keyword::Merge => "MERGE",
            Keyword::Import => "IMPORT FOREIGN SCHEMA",
            Keyword::Load => "LOAD",
            Keyword::Reassign => "REASSIGN OWNED",
            Keyword::Refresh => "REFRESH MATERIALIZED VIEW",
            Keyword::Security => "SECURITY LABEL",
            _ => return Err(self.unexpected()),
        };
        self.unsupported(name)
    }

    fn transaction(&mut self, keyword: Keyword) -> Result<Statement> {
        self.advance();
        let statement = match keyword {
            Keyword::Begin | Keyword::Start => {
                if keyword == Keyword::Start {
                    self.expect(Keyword::Transaction)?;
                } else if !self.accept(Keyword::Work) {
                    self.accept(Keyword::Transaction);
                }
                TransactionStatement::Begin(self.transaction_modes()?)
            }
            Keyword::Commit | Keyword::End => {
                if self.at_keyword(Keyword::Prepared) {
                    return self.unsupported("COMMIT PREPARED");
                }
                TransactionStatement::Commit { chain: self.chain()? }
            }
            _ => {
                if self.at_keyword(Keyword::Prepared) {
                    return self.unsupported("ROLLBACK PREPARED");
                }
                let chain = self.chain()?;
                if self.at_keyword(Keyword::To) {
                    return self.unsupported("ROLLBACK TO SAVEPOINT");
                }
                TransactionStatement::Rollback { chain }
            }
        };
        Ok(Statement::Transaction(statement))
    }

    /// `[WORK | TRANSACTION] [AND [NO] CHAIN]`
    fn chain(&mut self) -> Result<bool> {
        if !self.accept(Keyword::Work) {
            self.accept(Keyword::Transaction);
        }
        if !self.accept(Keyword::And) {
            return Ok(false);
        }
        let no = self.accept(Keyword::No);
        self.expect(Keyword::Chain)?;
        Ok(!no)
    }

    fn transaction_modes(&mut self) -> Result<TransactionModes> {
        let mut modes = TransactionModes::default();
        loop {
            if self.accept_all(&[Keyword::Isolation, Keyword::Level]) {
                modes.isolation = Some(self.isolation()?);
            } else if self.accept_all(&[Keyword::Read, Keyword::Only]) {
                modes.read_only = Some(true);
            } else if self.accept_all(&[Keyword::Read, Keyword::Write]) {
                modes.read_only = Some(false);
            } else if self.accept(Keyword::Deferrable) {
                modes.deferrable = Some(true);
            } else if self.accept_all(&[Keyword::Not, Keyword::Deferrable]) {
                modes.deferrable = Some(false);
            } else {
                return Ok(modes);
            }
            self.accept_mark(b',');
        }
    }

    fn isolation(&mut self) -> Result<Isolation> {
        if self.accept(Keyword::Serializable) {
            Ok(Isolation::Serializable)
        } else if self.accept_all(&[Keyword::Repeatable, Keyword::Read]) {
            Ok(Isolation::RepeatableRead)
        } else if self.accept_all(&[Keyword::Read, Keyword::Committed]) {
            Ok(Isolation::ReadCommitted)
        } else if self.accept_all(&[Keyword::Read, Keyword::Uncommitted]) {
            Ok(Isolation::ReadUncommitted)
        } else {
            Err(self.unexpected())
        }
    }

    fn set(&mut self) -> Result<Statement> {
        self.advance();
        let scope = if self.accept(Keyword::Local) { SetScope::Local } else { SetScope::Session };
        let session = scope == SetScope::Session && self.accept(Keyword::Session);
        if self.accept(Keyword::Transaction) {
            if self.at_keyword(Keyword::Snapshot) {
                return self.unsupported("SET TRANSACTION SNAPSHOT");
            }
            let modes = self.required_modes()?;
            return Ok(Statement::Transaction(TransactionStatement::SetModes(modes)));
        }
        if session && self.accept(Keyword::Characteristics) {
            self.expect(Keyword::As)?;
            self.expect(Keyword::Transaction)?;
            let modes = self.required_modes()?;
            return Ok(Statement::Transaction(TransactionStatement::SetSessionModes(modes)));
        }
        if self.at_keyword(Keyword::Constraints) {
            return self.unsupported("SET CONSTRAINTS");
        }
        if self.at_keyword(Keyword::Role) || self.at_keyword(Keyword::Authorization) {
            return self.unsupported("SET ROLE and SET SESSION AUTHORIZATION");
        }
        let target = if self.accept_all(&[Keyword::Time, Keyword::Zone]) {
            self.set_time_zone()?
        } else if self.accept(Keyword::Names) {
            let name = "client_encoding".into();
            if self.accept(Keyword::Default) || self.at_statement_end() {
                SetTarget::Default { name }
            } else {
                SetTarget::Value { name, value: self.string()?.into_boxed_str() }
            }
        } else {
            self.set_value()?
        };
        Ok(Statement::Set(SetStatement { target, scope }))
    }

    fn at_statement_end(&self) -> bool {
        matches!(self.peek().kind, Kind::End | Kind::Mark(b';'))
    }

    fn required_modes(&mut self) -> Result<TransactionModes> {
        let modes = self.transaction_modes()?;
        if modes == TransactionModes::default() { Err(self.unexpected()) } else { Ok(modes) }
    }

    fn set_time_zone(&mut self) -> Result<SetTarget> {
        let name = "timezone".into();
        if self.accept(Keyword::Default) || self.accept(Keyword::Local) {
            return Ok(SetTarget::Default { name });
        }
        if self.at_keyword(Keyword::Interval) {
            return self.unsupported("SET TIME ZONE INTERVAL");
        }
        Ok(SetTarget::Value { name, value: self.setting_text()? })
    }

    fn set_value(&mut self) -> Result<SetTarget> {
        let name = self.setting_name()?;
        if !self.accept_operator("=") {
            self.expect(Keyword::To)?;
        }
        if self.accept(Keyword::Default) {
            return Ok(SetTarget::Default { name });
        }
        let mut value = String::new();
        loop {
            let quoted = self.peek().kind == Kind::Quoted || self.at_string();
            let part = self.setting_text()?;
            let more = self.at_mark(b',') || !value.is_empty();
            // An element of a list that is no plain word keeps its quotation marks.
            let plain = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if quoted && more && !plain {
                value.push_str(&format!("\"{}\"", part.replace('"', "\"\"")));
            } else {
                value.push_str(&part);
            }
            if !self.accept_mark(b',') {
                let value = value.into_boxed_str();
                return Ok(SetTarget::Value { name, value });
            }
            value.push_str(", ");
        }
    }

    fn setting_name(&mut self) -> Result<Box<str>> {
        let mut name = String::from(&*self.ident()?.name);
        while self.accept_mark(b'.') {
            name.push('.');
            name.push_str(&self.label()?.name);
        }
        name.make_ascii_lowercase();
        Ok(name.into_boxed_str())
    }

    fn reset(&mut self) -> Result<Statement> {
        self.advance();
        let target = if self.accept(Keyword::All) {
            SetTarget::All
        } else if self.accept_all(&[Keyword::Time, Keyword::Zone]) {
            SetTarget::Default { name: "timezone".into() }
        } else if self.accept_all(&[Keyword::Transaction, Keyword::Isolation, Keyword::Level]) {
            SetTarget::Default { name: "transaction_isolation".into() }
        } else if self.accept_all(&[Keyword::Session, Keyword::Authorization]) {
            return self.unsupported("RESET SESSION AUTHORIZATION");
        } else {
            SetTarget::Default { name: self.setting_name()? }
        };
        Ok(Statement::Set(SetStatement { target, scope: SetScope::Session }))
    }

    fn show(&mut self) -> Result<Statement> {
        self.advance();
        let show = if self.accept(Keyword::All) {
            ShowStatement::All
        } else if self.accept_all(&[Keyword::Time, Keyword::Zone]) {
            ShowStatement::One("timezone".into())
        } else if self.accept_all(&[Keyword::Transaction, Keyword::Isolation, Keyword::Level]) {
            ShowStatement::One("transaction_isolation".into())
        } else if self.accept_all(&[Keyword::Session, Keyword::Authorization]) {
            ShowStatement::One("session_authorization".into())
        } else {
            ShowStatement::One(self.setting_name()?)
        };
        Ok(Statement::Show(show))
    }

    fn discard(&mut self) -> Result<Statement> {
        self.advance();
        let kind = match self.advance().kind {
            Kind::Keyword(Keyword::All) => DiscardKind::All,
            Kind::Keyword(Keyword::Plans) => DiscardKind::Plans,
            Kind::Keyword(Keyword::Sequences) => DiscardKind::Sequences,
            Kind::Keyword(Keyword::Temp | Keyword::Temporary) => DiscardKind::Temporary,
            _ => return Err(self.unexpected()),
        };
        Ok(Statement::Discard(kind))
    }

    fn prepare(&mut self) -> Result<Statement> {
        self.advance();
        if self.at_keyword(Keyword::Transaction) {
            return self.unsupported("PREPARE TRANSACTION");
        }
        let name = self.ident()?;
        let types = self.types_in_parentheses()?;
        self.expect(Keyword::As)?;
        let start = self.position();
        match self.statement()? {
            Statement::Select(_)
            | Statement::Insert(_)
            | Statement::Update(_)
            | Statement::Delete(_) => {}
            _ => {
                let near = self.text[start as usize..].split_whitespace().next().unwrap_or("");
                let message = format!("syntax error at or near \"{near}\"");
                return Err(PlanError::syntax(start as usize, message));
            }
        }
        Ok(Statement::Prepare { name, types, body: (start, self.previous_end()) })
    }

    fn execute(&mut self) -> Result<Statement> {
        self.advance();
        let name = self.ident()?;
        let mut arguments = Vec::new();
        if self.accept_mark(b'(') {
            arguments = self.expressions()?;
            self.expect_mark(b')')?;
        }
        Ok(Statement::Execute { name, arguments })
    }

    fn explain(&mut self) -> Result<Statement> {
        self.advance();
        let mut analyze = false;
        let mut verbose = false;
        let mut format = ExplainFormat::Text;
        if self.at_mark(b'(') && !self.at_query() {
            self.advance();
            for option in self.list(Parser::generic_option)? {
                match &*option.name.name {
                    "analyze" | "analyse" => analyze = boolean(&option)?,
                    "verbose" => verbose = boolean(&option)?,
                    "format" => format = explain_format(&option)?,
                    "costs" | "settings" | "generic_plan" | "buffers" | "wal" | "timing"
                    | "summary" => {
                        boolean(&option)?;
                    }
                    name => {
                        return Err(PlanError::syntax(
                            option.name.position as usize,
                            format!("unrecognized EXPLAIN option \"{name}\""),
                        ));
                    }
                }
            }
            self.expect_mark(b')')?;
        } else {
            analyze = self.accept(Keyword::Analyze) || self.accept(Keyword::Analyse);
            verbose = self.accept(Keyword::Verbose);
        }
        match self.keyword() {
            Some(
                Keyword::Select
                | Keyword::Values
                | Keyword::Table
                | Keyword::With
                | Keyword::Insert
                | Keyword::Update
                | Keyword::Delete
                | Keyword::Execute,
            ) => {}
            Some(Keyword::Create) if self.at_keyword_ahead(1, Keyword::Table) => {}
            Some(Keyword::Create) => {
                self.advance();
                return Err(self.unexpected());
            }
            None if self.at_mark(b'(') => {}
            _ => return Err(self.unexpected()),
        }
        let inner = self.statement()?;
        match inner {
            Statement::Select(_)
            | Statement::Insert(_)
            | Statement::Update(_)
            | Statement::Delete(_) => {}
            Statement::Execute { .. } => return self.unsupported("EXPLAIN EXECUTE"),
            Statement::CreateTable(_) => return self.unsupported("EXPLAIN CREATE TABLE AS"),
            _ => return Err(self.unexpected()),
        }
        let explain = Explain { analyze, verbose, format, inner };
        Ok(Statement::Explain(Box::new(explain)))
    }

    /// Commands that ask for what is done anyway.
    fn maintenance(&mut self, keyword: Keyword) -> Result<Statement> {
        self.advance();
        let (tag, notice) = match keyword {
            Keyword::Vacuum => {
                ("VACUUM", "space is reclaimed by compaction; VACUUM has nothing to do")
            }
            Keyword::Checkpoint => {
                ("CHECKPOINT", "commits are durable and flushes go on by themselves")
            }
            Keyword::Cluster => ("CLUSTER", "rows are always stored in key order"),
            Keyword::Reindex => ("REINDEX", "indexes are maintained with their rows"),
            _ => ("ANALYZE", "statistics are kept with the table files"),
        };
        let mut tables = Vec::new();
        if self.accept_mark(b'(') {
            self.list(Parser::generic_option)?;
            self.expect_mark(b')')?;
        }
        match keyword {
            Keyword::Checkpoint => return Ok(Statement::Kept { tag, tables, notice }),
            Keyword::Reindex => {
                self.advance();
                self.accept(Keyword::Concurrently);
                self.name()?;
                return Ok(Statement::Kept { tag, tables, notice });
            }
            Keyword::Cluster => {
                self.accept(Keyword::Verbose);
                if !self.at_statement_end() {
                    tables.push(self.name()?);
                    if self.accept(Keyword::Using) {
                        self.ident()?;
                    }
                }
                return Ok(Statement::Kept { tag, tables, notice });
            }
            _ => {}
        }
        while let Some(
            Keyword::Full
            | Keyword::Freeze
            | Keyword::Verbose
            | Keyword::Analyze
            | Keyword::Analyse,
        ) = self.keyword()
        {
            self.advance();
        }
        if !self.at_statement_end() {
            tables = self.list(|parser| {
                let name = parser.name()?;
                if parser.at_mark(b'(') {
                    parser.idents_in_parentheses()?;
                }
                Ok(name)
            })?;
        }
        Ok(Statement::Kept { tag, tables, notice })
    }
}

/// The value of an option that is on or off; on when none is written.
pub(crate) fn boolean(option: &Setting) -> Result<bool> {
    let text = match &option.value {
        SettingValue::None => return Ok(true),
        SettingValue::Text(text) => text,
        _ => "",
    };
    match text.to_ascii_lowercase().as_str() {
        "true" | "on" | "1" => Ok(true),
        "false" | "off" | "0" => Ok(false),
        _ => Err(PlanError::syntax(
            option.name.position as usize,
            format!("{} requires a Boolean value", option.name.name),
        )),
    }
}

fn explain_format(option: &Setting) -> Result<ExplainFormat> {
    let text = match &option.value {
        SettingValue::Text(text) => &**text,
        _ => "",
    };
    match text.to_ascii_lowercase().as_str() {
        "text" => Ok(ExplainFormat::Text),
        "json" => Ok(ExplainFormat::Json),
        format @ ("xml" | "yaml") => {
            Err(PlanError::unsupported(format!("EXPLAIN (FORMAT {format})")))
        }
        format => Err(PlanError::at(
            types::SqlState::INVALID_PARAMETER_VALUE,
            option.name.position as usize,
            format!("unrecognized value for EXPLAIN option \"format\": \"{format}\""),
        )),
    }
}
