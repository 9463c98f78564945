//! COPY and its options. Source: PostgreSQL 15, `ProcessCopyOptions`.

use super::Binder;
use super::scope::Clause;
use crate::error::{PlanError, Result};
use crate::query::{Query, Rel, Scan};
use crate::statement::{
    Copy, CopyDirection, CopyFormat, CopyHeader, CopyOptions, ForceColumns, Statement,
};
use crate::syntax::{self, CopySource, Ident, Setting, SettingValue};
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use types::{SqlState, TableSchema};

impl Binder<'_> {
    pub(super) fn copy(&mut self, copy: &syntax::Copy) -> Result<Statement> {
        let (direction, names) = match &copy.source {
            CopySource::Query(query) => {
                let query = self.query(query)?;
                let names = query.columns.iter().map(|column| column.name.clone()).collect();
                (CopyDirection::To { query }, names)
            }
            CopySource::Table { name, columns } => {
                let table = self.stored_table(name)?;
                let positions = self.copy_columns(&table, columns)?;
                let names: Vec<Box<str>> = positions
                    .iter()
                    .map(|position| table.columns[usize::from(*position)].name.clone())
                    .collect();
                let direction = if copy.from {
                    self.copy_from(table, positions, copy)?
                } else {
                    CopyDirection::To { query: table_query(&table, positions) }
                };
                (direction, names)
            }
        };
        let table = match &copy.source {
            CopySource::Table { name, .. } => name.parts.last().map_or("", |part| &*part.name),
            CopySource::Query(_) => "",
        };
        let options = self.copy_options(&copy.options, copy.from, (&names, table))?;
        Ok(Statement::Copy(Box::new(Copy { direction, options })))
    }

    fn copy_columns(&self, table: &TableSchema, names: &[Ident]) -> Result<Vec<u16>> {
        if names.is_empty() {
            return Ok(table.visible_columns().map(|(position, _)| position).collect());
        }
        let mut positions = Vec::with_capacity(names.len());
        for name in names {
            let position = self.target_column(table, name)?;
            if positions.contains(&position) {
                return Err(PlanError::at(
                    SqlState::DUPLICATE_COLUMN,
                    name.position as usize,
                    format!("column \"{}\" specified more than once", name.name),
                ));
            }
            positions.push(position);
        }
        Ok(positions)
    }

    fn copy_from(
        &mut self,
        table: alloc::sync::Arc<TableSchema>,
        columns: Vec<u16>,
        copy: &syntax::Copy,
    ) -> Result<CopyDirection> {
        let mut defaults = Vec::new();
        for (position, column) in table.columns.iter().enumerate() {
            let position = position as u16;
            let given = columns.contains(&position);
            if !given && !column.hidden && !column.dropped {
                defaults.push((position, self.default_of(column)?));
            }
        }
        let checks = self.checks(&table, None)?;
        let filter = match &copy.filter {
            Some(filter) => {
                let entry = self.stored_entry(&table, 0);
                let bound = self.over(alloc::vec![entry], Clause::CopyWhere, |binder| {
                    let bound = binder.expression(filter)?;
                    binder.boolean(bound, "WHERE", filter.place())
                })?;
                Some(bound)
            }
            None => None,
        };
        Ok(CopyDirection::From { table, columns, defaults, checks, filter })
    }

    fn copy_options(
        &mut self,
        settings: &[Setting],
        from: bool,
        names: (&[Box<str>], &str),
    ) -> Result<CopyOptions> {
        let mut seen: Vec<&str> = Vec::with_capacity(settings.len());
        let mut chosen = Chosen::default();
        for setting in settings {
            let name = &*setting.name.name;
            if seen.contains(&name) {
                let message = "conflicting or redundant options";
                return Err(PlanError::syntax(setting.name.position as usize, message));
            }
            seen.push(name);
            self.copy_option(setting, from, names, &mut chosen)?;
        }
        chosen.finish()
    }

    fn copy_option(
        &mut self,
        setting: &Setting,
        from: bool,
        (names, table): (&[Box<str>], &str),
        chosen: &mut Chosen,
    ) -> Result<()> {
        let place = setting.name.position as usize;
        let name = &*setting.name.name;
        match name {
            "format" => {
                chosen.format = match &*text(setting)? {
                    "text" => CopyFormat::Text,
                    "csv" => CopyFormat::Csv,
                    "binary" => CopyFormat::Binary,
                    other => {
                        return Err(PlanError::at(
                            SqlState::INVALID_PARAMETER_VALUE,
                            place,
                            format!("COPY format \"{other}\" not recognized"),
                        ));
                    }
                };
            }
            "freeze" => {
                if crate::parse::boolean(setting)? {
                    self.notice(
                        SqlState::SUCCESSFUL_COMPLETION,
                        "rows need no freezing; FREEZE has nothing to do",
                    );
                }
            }
            "delimiter" => chosen.delimiter = Some(text(setting)?),
            "null" => chosen.null = Some(text(setting)?),
            "header" => chosen.header = header(setting, from)?,
            "quote" => chosen.quote = Some(text(setting)?),
            "escape" => chosen.escape = Some(text(setting)?),
            "force_quote" if !from => chosen.force_quote = columns(setting, names, table)?,
            "force_not_null" if from => chosen.force_not_null = columns(setting, names, table)?,
            "force_null" if from => chosen.force_null = columns(setting, names, table)?,
            "force_quote" | "force_not_null" | "force_null" => {
                let way = if from { "TO" } else { "FROM" };
                let option = name.replace('_', " ");
                return Err(PlanError::at(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    place,
                    format!("COPY {option} only available using COPY {way}"),
                ));
            }
            "encoding" => {
                let encoding = text(setting)?.replace(['-', '_'], "").to_ascii_lowercase();
                if !matches!(encoding.as_str(), "utf8" | "unicode") {
                    return Err(
                        PlanError::unsupported("COPY in an encoding other than UTF8").or_at(place)
                    );
                }
            }
            _ => {
                let message = format!("option \"{name}\" not recognized");
                return Err(PlanError::syntax(place, message));
            }
        }
        Ok(())
    }
}

/// The whole rows of a table, these columns.
fn table_query(table: &alloc::sync::Arc<TableSchema>, columns: Vec<u16>) -> Query {
    let outputs = columns
        .iter()
        .map(|position| {
            let column = &table.columns[usize::from(*position)];
            super::label::plain_column(&column.name, column.column_type)
        })
        .collect();
    let root = Rel::Scan(Scan { table: table.clone(), columns });
    Query { root, columns: outputs }
}

/// Options as far as they were written.
struct Chosen {
    format: CopyFormat,
    delimiter: Option<Box<str>>,
    null: Option<Box<str>>,
    header: CopyHeader,
    quote: Option<Box<str>>,
    escape: Option<Box<str>>,
    force_quote: ForceColumns,
    force_not_null: ForceColumns,
    force_null: ForceColumns,
}

impl Default for Chosen {
    fn default() -> Chosen {
        Chosen {
            format: CopyFormat::Text,
            delimiter: None,
            null: None,
            header: CopyHeader::Absent,
            quote: None,
            escape: None,
            force_quote: ForceColumns::Some(Vec::new()),
            force_not_null: ForceColumns::Some(Vec::new()),
            force_null: ForceColumns::Some(Vec::new()),
        }
    }
}

fn wrong(state: SqlState, message: impl Into<alloc::borrow::Cow<'static, str>>) -> Box<PlanError> {
    PlanError::new(state, message)
}

impl Chosen {
    /// Defaults, and the rules between the options.
    fn finish(self) -> Result<CopyOptions> {
        let syntax = SqlState::SYNTAX_ERROR;
        let invalid = SqlState::INVALID_PARAMETER_VALUE;
        let refused = SqlState::FEATURE_NOT_SUPPORTED;
        if self.format == CopyFormat::Binary {
            if self.delimiter.is_some() {
                return Err(wrong(syntax, "cannot specify DELIMITER in BINARY mode"));
            }
            if self.null.is_some() {
                return Err(wrong(syntax, "cannot specify NULL in BINARY mode"));
            }
            if self.header != CopyHeader::Absent {
                return Err(wrong(refused, "cannot specify HEADER in BINARY mode"));
            }
        }
        let csv = self.format == CopyFormat::Csv;
        let none = ForceColumns::Some(Vec::new());
        for (given, name) in [
            (self.quote.is_some(), "quote"),
            (self.escape.is_some(), "escape"),
            (self.force_quote != none, "force quote"),
            (self.force_not_null != none, "force not null"),
            (self.force_null != none, "force null"),
        ] {
            if given && !csv {
                let message = format!("COPY {name} available only in CSV mode");
                return Err(wrong(refused, message));
            }
        }
        let delimiter = match &self.delimiter {
            None => {
                if csv {
                    b','
                } else {
                    b'\t'
                }
            }
            Some(text) => single_byte(text, "delimiter")?,
        };
        if matches!(delimiter, b'\n' | b'\r') {
            let message = "COPY delimiter cannot be newline or carriage return";
            return Err(wrong(invalid, message));
        }
        let letters = b"\\.abcdefghijklmnopqrstuvwxyz0123456789";
        if !csv && self.format == CopyFormat::Text && letters.contains(&delimiter) {
            let message = format!("COPY delimiter cannot be \"{}\"", char::from(delimiter));
            return Err(wrong(invalid, message));
        }
        let null = self.null.unwrap_or_else(|| if csv { "".into() } else { "\\N".into() });
        if null.contains(['\n', '\r']) {
            let message = "COPY null representation cannot use newline or carriage return";
            return Err(wrong(invalid, message));
        }
        let quote = match &self.quote {
            None => b'"',
            Some(text) => single_byte(text, "quote")?,
        };
        let escape = match &self.escape {
            None => quote,
            Some(text) => single_byte(text, "escape")?,
        };
        if csv && delimiter == quote {
            return Err(wrong(invalid, "COPY delimiter and quote must be different"));
        }
        if self.format != CopyFormat::Binary && null.as_bytes().contains(&delimiter) {
            let message = "COPY delimiter must not appear in the NULL specification";
            return Err(wrong(refused, message));
        }
        if csv && null.as_bytes().contains(&quote) {
            let message = "CSV quote character must not appear in the NULL specification";
            return Err(wrong(refused, message));
        }
        Ok(CopyOptions {
            format: self.format,
            delimiter,
            null,
            header: self.header,
            quote,
            escape,
            force_quote: self.force_quote,
            force_not_null: self.force_not_null,
            force_null: self.force_null,
        })
    }
}

fn single_byte(text: &str, name: &str) -> Result<u8> {
    match text.as_bytes() {
        [byte] => Ok(*byte),
        _ => Err(wrong(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("COPY {name} must be a single one-byte character"),
        )),
    }
}

fn text(setting: &Setting) -> Result<Box<str>> {
    match &setting.value {
        SettingValue::Text(text) => Ok(text.clone()),
        _ => Err(PlanError::syntax(
            setting.name.position as usize,
            format!("{} requires a parameter", setting.name.name),
        )),
    }
}

fn header(setting: &Setting, from: bool) -> Result<CopyHeader> {
    if let SettingValue::Text(text) = &setting.value
        && text.eq_ignore_ascii_case("match")
    {
        if !from {
            return Err(wrong(
                SqlState::FEATURE_NOT_SUPPORTED,
                "cannot use \"match\" with HEADER in COPY TO",
            ));
        }
        return Ok(CopyHeader::Match);
    }
    Ok(if crate::parse::boolean(setting)? { CopyHeader::Present } else { CopyHeader::Absent })
}

fn columns(setting: &Setting, names: &[Box<str>], table: &str) -> Result<ForceColumns> {
    match &setting.value {
        SettingValue::Star => Ok(ForceColumns::All),
        SettingValue::Names(list) => {
            let mut positions = Vec::with_capacity(list.len());
            for name in list {
                let found = names.iter().position(|known| *known == name.name);
                positions.push(found.ok_or_else(|| {
                    let message = if table.is_empty() {
                        format!("column \"{}\" does not exist", name.name)
                    } else {
                        format!("column \"{}\" of relation \"{table}\" does not exist", name.name)
                    };
                    let place = name.position as usize;
                    PlanError::at(SqlState::UNDEFINED_COLUMN, place, message)
                })?);
            }
            Ok(ForceColumns::Some(positions))
        }
        _ => Err(PlanError::syntax(
            setting.name.position as usize,
            format!("argument to option \"{}\" must be a list of column names", setting.name.name),
        )),
    }
}
