//! CREATE, ALTER, DROP, TRUNCATE.

use super::Parser;
use super::keyword::Keyword;
use super::lexer::Kind;
use crate::error::Result;
use crate::syntax::{
    AlterAction, AlterSequence, AlterTable, ColumnDefinition, Constraint, ConstraintKind,
    CreateIndex, CreateSequence, CreateTable, Drop, DropKind, Expr, OrderItem, RoleStatement,
    SequenceOptions, Setting, SettingValue, Statement, TableSource, Truncate,
};
use alloc::boxed::Box;
use alloc::vec::Vec;

impl Parser<'_> {
    pub(super) fn create(&mut self) -> Result<Statement> {
        self.expect(Keyword::Create)?;
        if self.at_keyword(Keyword::Or) {
            return self.unsupported("CREATE OR REPLACE");
        }
        match self.keyword() {
            Some(Keyword::Temp | Keyword::Temporary | Keyword::Global | Keyword::Local) => {
                self.unsupported("a temporary table")
            }
            Some(Keyword::Unlogged) => self.unsupported("an unlogged table"),
            Some(Keyword::Table) => self.create_table(),
            Some(Keyword::Unique | Keyword::Index) => self.create_index(),
            Some(Keyword::Sequence) => self.create_sequence(),
            Some(Keyword::Schema) => self.create_schema(),
            Some(Keyword::Role | Keyword::User) => {
                self.advance();
                if self.at_keyword(Keyword::Mapping) {
                    return self.unsupported("CREATE USER MAPPING");
                }
                self.role(true)
            }
            Some(keyword) => {
                let word = keyword.word().to_ascii_uppercase();
                self.unsupported(alloc::format!("CREATE {word}"))
            }
            None => Err(self.unexpected()),
        }
    }

    fn create_schema(&mut self) -> Result<Statement> {
        self.advance();
        let if_not_exists = self.if_not_exists();
        let name = if self.accept(Keyword::Authorization) {
            self.label()?
        } else {
            let name = self.ident()?;
            if self.accept(Keyword::Authorization) {
                self.label()?;
            }
            name
        };
        if !matches!(self.peek().kind, Kind::End | Kind::Mark(b';')) {
            return self.unsupported("CREATE SCHEMA with elements");
        }
        Ok(Statement::CreateSchema { name, if_not_exists })
    }

    fn create_table(&mut self) -> Result<Statement> {
        self.advance();
        let if_not_exists = self.if_not_exists();
        let mut table = CreateTable {
            name: self.name()?,
            if_not_exists,
            columns: Vec::new(),
            constraints: Vec::new(),
            settings: Vec::new(),
            source: None,
        };
        if self.at_keyword(Keyword::Of) {
            return self.unsupported("CREATE TABLE OF");
        }
        if self.at_keyword(Keyword::Partition) {
            return self.unsupported("PARTITION OF");
        }
        let mut names = Vec::new();
        if self.at_mark(b'(') {
            // Names alone are the columns of CREATE TABLE AS.
            let bare = self.is_column_name(self.peek_at(1))
                && matches!(self.peek_at(2).kind, Kind::Mark(b',' | b')'));
            if bare {
                names = self.idents_in_parentheses()?;
            } else {
                self.table_elements(&mut table)?;
            }
        } else if !matches!(self.keyword(), Some(Keyword::As | Keyword::With | Keyword::Using)) {
            return Err(self.unexpected());
        }
        self.table_clauses(&mut table)?;
        if self.accept(Keyword::As) {
            if self.at_keyword(Keyword::Execute) {
                return self.unsupported("CREATE TABLE AS EXECUTE");
            }
            let query = self.query()?;
            let with_data = if self.accept_all(&[Keyword::With, Keyword::No, Keyword::Data]) {
                false
            } else {
                self.accept_all(&[Keyword::With, Keyword::Data]);
                true
            };
            table.source = Some(TableSource { query, columns: names, with_data });
        } else if !names.is_empty() {
            return Err(self.unexpected());
        }
        Ok(Statement::CreateTable(Box::new(table)))
    }

    fn table_elements(&mut self, table: &mut CreateTable) -> Result<()> {
        self.expect_mark(b'(')?;
        if self.accept_mark(b')') {
            return Ok(());
        }
        loop {
            match self.keyword() {
                Some(
                    Keyword::Constraint
                    | Keyword::Primary
                    | Keyword::Unique
                    | Keyword::Check
                    | Keyword::Foreign
                    | Keyword::Exclude,
                ) => table.constraints.push(self.table_constraint()?),
                Some(Keyword::Like) => return self.unsupported("CREATE TABLE … (LIKE …)"),
                _ => table.columns.push(self.column_definition()?),
            }
            if !self.accept_mark(b',') {
                break;
            }
        }
        self.expect_mark(b')')
    }

    fn table_clauses(&mut self, table: &mut CreateTable) -> Result<()> {
        loop {
            match self.keyword() {
                Some(Keyword::Inherits) => return self.unsupported("INHERITS"),
                Some(Keyword::Partition) => return self.unsupported("PARTITION BY"),
                Some(Keyword::Tablespace) => return self.unsupported("TABLESPACE"),
                Some(Keyword::On) => return self.unsupported("ON COMMIT"),
                Some(Keyword::Using) => {
                    self.advance();
                    let method = self.ident()?;
                    if &*method.name != "heap" {
                        return self.unsupported("an access method other than heap");
                    }
                }
                Some(Keyword::With) => {
                    self.advance();
                    table.settings = self.storage_settings()?;
                }
                Some(Keyword::Without) => {
                    self.advance();
                    if !self.accept_word("oids") {
                        return Err(self.unexpected());
                    }
                }
                _ => return Ok(()),
            }
        }
    }

    fn column_definition(&mut self) -> Result<ColumnDefinition> {
        let name = self.ident()?;
        let type_name = self.type_name()?;
        let mut constraints = Vec::new();
        loop {
            if self.accept(Keyword::Collate) {
                let collation = self.name()?;
                let last = collation.parts.last().map_or("", |part| &*part.name);
                if !matches!(last, "default" | "C" | "POSIX" | "ucs_basic") {
                    return self.unsupported("a collation other than C");
                }
            }
            if self.at_keyword(Keyword::Storage) || self.at_keyword(Keyword::Compression) {
                return self.unsupported("STORAGE and COMPRESSION of a column");
            }
            match self.column_constraint()? {
                Some(constraint) => constraints.push(constraint),
                None => return Ok(ColumnDefinition { name, type_name, constraints }),
            }
        }
    }

    fn constraint_name(&mut self) -> Result<Option<crate::syntax::Ident>> {
        if self.accept(Keyword::Constraint) { self.ident().map(Some) } else { Ok(None) }
    }

    fn column_constraint(&mut self) -> Result<Option<Constraint>> {
        let position = self.position();
        let name = self.constraint_name()?;
        let Some(keyword) = self.keyword() else {
            return if name.is_some() { Err(self.unexpected()) } else { Ok(None) };
        };
        let kind = match keyword {
            Keyword::Not if self.at_keyword_ahead(1, Keyword::Null) => {
                self.advance();
                self.advance();
                ConstraintKind::NotNull
            }
            Keyword::Null => {
                self.advance();
                ConstraintKind::Null
            }
            Keyword::Default => {
                self.advance();
                let (expression, range) = self.with_range(Parser::restricted_expression)?;
                ConstraintKind::Default(expression, range)
            }
            Keyword::Check => self.check_constraint()?,
            Keyword::Primary => {
                self.advance();
                self.expect(Keyword::Key)?;
                self.index_parameters()?;
                ConstraintKind::PrimaryKey(Vec::new())
            }
            Keyword::Unique => {
                self.advance();
                self.nulls_distinct()?;
                self.index_parameters()?;
                ConstraintKind::Unique
            }
            Keyword::References => {
                self.references()?;
                ConstraintKind::ForeignKey
            }
            Keyword::Generated => self.generated()?,
            _ if name.is_some() => return Err(self.unexpected()),
            _ => return Ok(None),
        };
        self.constraint_attributes()?;
        Ok(Some(Constraint { name, kind, position }))
    }

    fn generated(&mut self) -> Result<ConstraintKind> {
        self.advance();
        let always = self.accept(Keyword::Always);
        if !always {
            self.expect(Keyword::By)?;
            self.expect(Keyword::Default)?;
        }
        self.expect(Keyword::As)?;
        if self.accept(Keyword::Identity) {
            let options = if self.accept_mark(b'(') {
                let options = self.sequence_options()?;
                self.expect_mark(b')')?;
                options
            } else {
                SequenceOptions::default()
            };
            return Ok(ConstraintKind::Identity { always, options });
        }
        self.expect_mark(b'(')?;
        self.expression()?;
        self.expect_mark(b')')?;
        self.expect(Keyword::Stored)?;
        Ok(ConstraintKind::Generated)
    }

    fn table_constraint(&mut self) -> Result<Constraint> {
        let position = self.position();
        let name = self.constraint_name()?;
        let kind = match self.keyword() {
            Some(Keyword::Primary) => {
                self.advance();
                self.expect(Keyword::Key)?;
                if self.at_keyword(Keyword::Using) {
                    return self.unsupported("PRIMARY KEY USING INDEX");
                }
                let columns = self.idents_in_parentheses()?;
                self.index_parameters()?;
                ConstraintKind::PrimaryKey(columns)
            }
            Some(Keyword::Unique) => {
                self.advance();
                if self.at_keyword(Keyword::Using) {
                    return self.unsupported("UNIQUE USING INDEX");
                }
                self.nulls_distinct()?;
                self.idents_in_parentheses()?;
                self.index_parameters()?;
                ConstraintKind::Unique
            }
            Some(Keyword::Check) => self.check_constraint()?,
            Some(Keyword::Foreign) => {
                self.advance();
                self.expect(Keyword::Key)?;
                self.idents_in_parentheses()?;
                self.references()?;
                ConstraintKind::ForeignKey
            }
            Some(Keyword::Exclude) => return self.unsupported("an EXCLUDE constraint"),
            _ => return Err(self.unexpected()),
        };
        self.constraint_attributes()?;
        Ok(Constraint { name, kind, position })
    }

    fn check_constraint(&mut self) -> Result<ConstraintKind> {
        self.advance();
        self.expect_mark(b'(')?;
        let (expression, range) = self.with_range(Parser::expression)?;
        self.expect_mark(b')')?;
        self.accept_all(&[Keyword::No, Keyword::Inherit]);
        Ok(ConstraintKind::Check(expression, range))
    }

    /// An expression and the bytes it was written in.
    fn with_range(
        &mut self,
        parse: impl Fn(&mut Self) -> Result<Expr>,
    ) -> Result<(Expr, (u32, u32))> {
        let start = self.position();
        let expression = parse(self)?;
        Ok((expression, (start, self.previous_end())))
    }

    fn nulls_distinct(&mut self) -> Result<()> {
        if self.accept(Keyword::Nulls) {
            self.accept(Keyword::Not);
            self.expect(Keyword::Distinct)?;
        }
        Ok(())
    }

    /// `WITH (fillfactor = …)` after a key; the promise is kept.
    fn index_parameters(&mut self) -> Result<()> {
        if self.accept(Keyword::Include) {
            return self.unsupported("INCLUDE");
        }
        if self.accept(Keyword::With) {
            self.storage_settings()?;
        }
        if self.accept(Keyword::Using) {
            return self.unsupported("USING INDEX TABLESPACE");
        }
        Ok(())
    }

    fn references(&mut self) -> Result<()> {
        self.expect(Keyword::References)?;
        self.name()?;
        if self.at_mark(b'(') {
            self.idents_in_parentheses()?;
        }
        if self.accept(Keyword::Match) {
            self.advance();
        }
        while self.at_keyword(Keyword::On) {
            self.advance();
            self.advance();
            if self.accept(Keyword::Set) {
                self.advance();
            } else if !self.accept_all(&[Keyword::No, Keyword::Action]) {
                self.advance();
            }
        }
        Ok(())
    }

    fn constraint_attributes(&mut self) -> Result<()> {
        loop {
            if self.accept_all(&[Keyword::Not, Keyword::Deferrable])
                || self.accept_all(&[Keyword::Initially, Keyword::Immediate])
            {
                continue;
            }
            if self.at_keyword(Keyword::Deferrable) || self.at_keyword(Keyword::Initially) {
                return self.unsupported("a deferrable constraint");
            }
            if self.at_keyword(Keyword::Not) && self.at_keyword_ahead(1, Keyword::Valid) {
                return self.unsupported("NOT VALID");
            }
            return Ok(());
        }
    }

    fn create_index(&mut self) -> Result<Statement> {
        let unique = self.accept(Keyword::Unique);
        self.expect(Keyword::Index)?;
        self.accept(Keyword::Concurrently);
        let if_not_exists = self.if_not_exists();
        let name = if self.at_keyword(Keyword::On) { None } else { Some(self.ident()?) };
        self.expect(Keyword::On)?;
        self.accept(Keyword::Only);
        let table = self.name()?;
        let method = if self.accept(Keyword::Using) { Some(self.ident()?) } else { None };
        self.expect_mark(b'(')?;
        let columns = self.list(Parser::index_column)?;
        self.expect_mark(b')')?;
        let include = self.accept(Keyword::Include);
        if include {
            self.idents_in_parentheses()?;
        }
        self.nulls_distinct()?;
        if self.accept(Keyword::With) {
            self.storage_settings()?;
        }
        if self.at_keyword(Keyword::Tablespace) {
            return self.unsupported("TABLESPACE");
        }
        let filter = self.where_clause()?.is_some();
        Ok(Statement::CreateIndex(Box::new(CreateIndex {
            name,
            table,
            unique,
            method,
            columns,
            include,
            filter,
            if_not_exists,
        })))
    }

    fn index_column(&mut self) -> Result<OrderItem> {
        let expression = self.restricted_expression()?;
        // An operator class.
        if self.is_column_name(self.peek()) && !self.at_keyword(Keyword::Nulls) {
            return self.unsupported("an operator class");
        }
        let descending = self.accept(Keyword::Desc);
        if !descending {
            self.accept(Keyword::Asc);
        }
        let nulls_first = if self.accept(Keyword::Nulls) {
            let first = self.accept(Keyword::First);
            if !first {
                self.expect(Keyword::Last)?;
            }
            Some(first)
        } else {
            None
        };
        Ok(OrderItem { expression, descending, nulls_first, using: None })
    }

    fn create_sequence(&mut self) -> Result<Statement> {
        self.advance();
        let if_not_exists = self.if_not_exists();
        let name = self.name()?;
        let options = self.sequence_options()?;
        Ok(Statement::CreateSequence(Box::new(CreateSequence { name, if_not_exists, options })))
    }

    fn sequence_options(&mut self) -> Result<SequenceOptions> {
        let mut options = SequenceOptions::default();
        loop {
            match self.keyword() {
                Some(Keyword::As) => {
                    self.advance();
                    options.type_name = Some(self.type_name()?);
                }
                Some(Keyword::Start) => {
                    self.advance();
                    self.accept(Keyword::With);
                    options.start = Some(self.signed_integer()?);
                }
                Some(Keyword::Restart) => {
                    self.advance();
                    let with = self.accept(Keyword::With)
                        || self.peek().kind == Kind::Integer
                        || self.at_operator("-");
                    options.restart = Some(if with { Some(self.signed_integer()?) } else { None });
                }
                Some(Keyword::Increment) => {
                    self.advance();
                    self.accept(Keyword::By);
                    options.increment = Some(self.signed_integer()?);
                }
                Some(Keyword::Minvalue) => {
                    self.advance();
                    options.minimum = Some(Some(self.signed_integer()?));
                }
                Some(Keyword::Maxvalue) => {
                    self.advance();
                    options.maximum = Some(Some(self.signed_integer()?));
                }
                Some(Keyword::No) => {
                    self.advance();
                    match self.advance().kind {
                        Kind::Keyword(Keyword::Minvalue) => options.minimum = Some(None),
                        Kind::Keyword(Keyword::Maxvalue) => options.maximum = Some(None),
                        Kind::Keyword(Keyword::Cycle) => options.cycle = Some(false),
                        _ => return Err(self.unexpected()),
                    }
                }
                Some(Keyword::Cycle) => {
                    self.advance();
                    options.cycle = Some(true);
                }
                Some(Keyword::Cache) => {
                    self.advance();
                    options.cache = Some(self.signed_integer()?);
                }
                Some(Keyword::Owned) => {
                    self.advance();
                    self.expect(Keyword::By)?;
                    if !self.accept(Keyword::None) {
                        options.owned_by = Some(self.name()?);
                    }
                }
                _ => return Ok(options),
            }
        }
    }

    pub(super) fn alter(&mut self) -> Result<Statement> {
        self.expect(Keyword::Alter)?;
        match self.keyword() {
            Some(Keyword::Table) => self.alter_table(),
            Some(Keyword::Sequence) => {
                self.advance();
                let if_exists = self.if_exists();
                let name = self.name()?;
                if matches!(self.keyword(), Some(Keyword::Rename | Keyword::Set)) {
                    return self.unsupported("this ALTER SEQUENCE");
                }
                let options = if self.accept(Keyword::Owner) {
                    self.expect(Keyword::To)?;
                    self.label()?;
                    SequenceOptions::default()
                } else {
                    self.sequence_options()?
                };
                Ok(Statement::AlterSequence(Box::new(AlterSequence { name, if_exists, options })))
            }
            Some(Keyword::Role | Keyword::User) => {
                self.advance();
                self.role(false)
            }
            Some(keyword) => {
                let word = keyword.word().to_ascii_uppercase();
                self.unsupported(alloc::format!("ALTER {word}"))
            }
            None => Err(self.unexpected()),
        }
    }

    fn alter_table(&mut self) -> Result<Statement> {
        self.advance();
        let if_exists = self.if_exists();
        self.accept(Keyword::Only);
        let name = self.name()?;
        self.accept_operator("*");
        let actions = self.list(Parser::alter_action)?;
        Ok(Statement::AlterTable(Box::new(AlterTable { name, if_exists, actions })))
    }

    fn alter_action(&mut self) -> Result<AlterAction> {
        let start = self.peek();
        match self.advance().kind {
            Kind::Keyword(Keyword::Add) => self.alter_add(),
            Kind::Keyword(Keyword::Drop) => self.alter_drop(),
            Kind::Keyword(Keyword::Alter) => self.alter_column(),
            Kind::Keyword(Keyword::Rename) => {
                if self.accept(Keyword::To) {
                    return Ok(AlterAction::RenameTable(self.ident()?));
                }
                if self.at_keyword(Keyword::Constraint) {
                    return self.unsupported("RENAME CONSTRAINT");
                }
                self.accept(Keyword::Column);
                let from = self.ident()?;
                self.expect(Keyword::To)?;
                Ok(AlterAction::RenameColumn(from, self.ident()?))
            }
            Kind::Keyword(Keyword::Owner) => {
                self.expect(Keyword::To)?;
                self.label()?;
                Ok(AlterAction::Kept)
            }
            Kind::Keyword(Keyword::Cluster) => {
                self.expect(Keyword::On)?;
                self.ident()?;
                Ok(AlterAction::Kept)
            }
            Kind::Keyword(Keyword::Set | Keyword::Reset) if self.at_mark(b'(') => {
                for setting in self.storage_settings()? {
                    check_kept_setting(&setting)?;
                }
                Ok(AlterAction::Kept)
            }
            Kind::Keyword(Keyword::Replica) => self.unsupported("REPLICA IDENTITY"),
            Kind::Keyword(keyword) => {
                let word = keyword.word().to_ascii_uppercase();
                self.unsupported(alloc::format!("ALTER TABLE … {word}"))
            }
            _ => Err(self.unexpected_at(start)),
        }
    }

    fn alter_add(&mut self) -> Result<AlterAction> {
        if matches!(
            self.keyword(),
            Some(
                Keyword::Constraint
                    | Keyword::Primary
                    | Keyword::Unique
                    | Keyword::Check
                    | Keyword::Foreign
                    | Keyword::Exclude
            )
        ) {
            return Ok(AlterAction::AddConstraint(self.table_constraint()?));
        }
        self.accept(Keyword::Column);
        let if_not_exists = self.if_not_exists();
        Ok(AlterAction::AddColumn { column: self.column_definition()?, if_not_exists })
    }

    fn alter_drop(&mut self) -> Result<AlterAction> {
        if self.accept(Keyword::Constraint) {
            let if_exists = self.if_exists();
            let name = self.ident()?;
            self.drop_behaviour();
            return Ok(AlterAction::DropConstraint { name, if_exists });
        }
        self.accept(Keyword::Column);
        let if_exists = self.if_exists();
        let name = self.ident()?;
        let cascade = self.drop_behaviour();
        Ok(AlterAction::DropColumn { name, if_exists, cascade })
    }

    fn alter_column(&mut self) -> Result<AlterAction> {
        self.accept(Keyword::Column);
        let name = self.ident()?;
        if self.accept_all(&[Keyword::Set, Keyword::Not, Keyword::Null]) {
            return Ok(AlterAction::SetNotNull(name));
        }
        if self.accept_all(&[Keyword::Drop, Keyword::Not, Keyword::Null]) {
            return Ok(AlterAction::DropNotNull(name));
        }
        if self.accept_all(&[Keyword::Set, Keyword::Default]) {
            let (expression, range) = self.with_range(Parser::expression)?;
            return Ok(AlterAction::SetDefault(name, expression, range));
        }
        if self.accept_all(&[Keyword::Drop, Keyword::Default]) {
            return Ok(AlterAction::DropDefault(name));
        }
        if self.accept_all(&[Keyword::Set, Keyword::Statistics]) {
            self.signed_integer()?;
            return Ok(AlterAction::Kept);
        }
        if self.accept(Keyword::Type)
            || self.accept_all(&[Keyword::Set, Keyword::Data, Keyword::Type])
        {
            let type_name = self.type_name()?;
            let using = if self.accept(Keyword::Using) { Some(self.expression()?) } else { None };
            return Ok(AlterAction::SetType { name, type_name, using });
        }
        self.unsupported("this ALTER COLUMN")
    }

    /// CASCADE is true, RESTRICT and nothing false.
    fn drop_behaviour(&mut self) -> bool {
        let cascade = self.accept(Keyword::Cascade);
        if !cascade {
            self.accept(Keyword::Restrict);
        }
        cascade
    }

    pub(super) fn drop(&mut self) -> Result<Statement> {
        self.expect(Keyword::Drop)?;
        let kind = match self.keyword() {
            Some(Keyword::Table) => DropKind::Table,
            Some(Keyword::Index) => DropKind::Index,
            Some(Keyword::Sequence) => DropKind::Sequence,
            Some(Keyword::Schema) => DropKind::Schema,
            Some(Keyword::View) => DropKind::View,
            Some(Keyword::Role | Keyword::User) => DropKind::Role,
            Some(keyword) => {
                let word = keyword.word().to_ascii_uppercase();
                return self.unsupported(alloc::format!("DROP {word}"));
            }
            None => return Err(self.unexpected()),
        };
        self.advance();
        if kind == DropKind::Index {
            self.accept(Keyword::Concurrently);
        }
        let if_exists = self.if_exists();
        let names = self.names()?;
        let cascade = self.drop_behaviour();
        Ok(Statement::Drop(Box::new(Drop { kind, names, if_exists, cascade })))
    }

    pub(super) fn truncate(&mut self) -> Result<Statement> {
        self.expect(Keyword::Truncate)?;
        self.accept(Keyword::Table);
        let tables = self.list(|parser| {
            parser.accept(Keyword::Only);
            let name = parser.name()?;
            parser.accept_operator("*");
            Ok(name)
        })?;
        let restart_identity = self.accept_all(&[Keyword::Restart, Keyword::Identity]);
        if !restart_identity {
            self.accept_all(&[Keyword::Continue, Keyword::Identity]);
        }
        self.drop_behaviour();
        Ok(Statement::Truncate(Box::new(Truncate { tables, restart_identity })))
    }

    fn role(&mut self, create: bool) -> Result<Statement> {
        let name = match self.keyword() {
            Some(Keyword::CurrentUser | Keyword::SessionUser | Keyword::CurrentRole) => {
                self.take_ident()
            }
            _ => self.ident()?,
        };
        self.accept(Keyword::With);
        let mut role = RoleStatement { name, create, login: None, superuser: None, password: None };
        loop {
            if self.accept(Keyword::Encrypted) {
                if !self.at_keyword(Keyword::Password) {
                    return Err(self.unexpected());
                }
            } else if self.accept(Keyword::Password) {
                role.password = Some(if self.accept(Keyword::Null) {
                    None
                } else {
                    Some(self.string()?.into_boxed_str())
                });
            } else if self.accept_word("login") {
                role.login = Some(true);
            } else if self.accept_word("nologin") {
                role.login = Some(false);
            } else if self.accept_word("superuser") {
                role.superuser = Some(true);
            } else if self.accept_word("nosuperuser") {
                role.superuser = Some(false);
            } else if matches!(self.peek().kind, Kind::End | Kind::Mark(b';')) {
                return Ok(Statement::Role(Box::new(role)));
            } else {
                let word = self.slice(self.peek()).to_ascii_uppercase();
                return self.unsupported(alloc::format!("the role option {word}"));
            }
        }
    }
}

/// Settings of a table whose promise is kept without them.
pub(crate) fn check_kept_setting(setting: &Setting) -> Result<()> {
    let kept =
        matches!(&*setting.name.name, "fillfactor" | "toast_tuple_target" | "parallel_workers")
            || setting.name.name.starts_with("autovacuum_")
            || setting.name.name.starts_with("toast.autovacuum_");
    if kept {
        return Ok(());
    }
    let position = setting.name.position as usize;
    let _value: &SettingValue = &setting.value;
    Err(crate::PlanError::at(
        types::SqlState::INVALID_PARAMETER_VALUE,
        position,
        alloc::format!("unrecognized parameter \"{}\"", setting.name.name),
    ))
}
