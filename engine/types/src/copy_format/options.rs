//! COPY's options: as written, and checked.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::error::CopyOptionError;
use crate::SqlState;

/// How records are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CopyFormat {
    /// Lines with backslash escapes.
    #[default]
    Text,
    /// Lines with quotes.
    Csv,
    /// Lengths and bytes.
    Binary,
}

/// Which way the data goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyDirection {
    /// Into a table.
    From,
    /// Out of a table or query.
    To,
}

/// Whether there is a line of column names first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CopyHeader {
    /// There is none.
    #[default]
    Absent,
    /// There is one; on the way in it is skipped.
    Present,
    /// There is one, and it must hold the columns' names.
    Match,
}

/// Some of the copied columns, by their place in the list of columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ColumnChoice {
    /// None of them.
    #[default]
    Nothing,
    /// All of them.
    All,
    /// These.
    These(Vec<usize>),
}

impl ColumnChoice {
    /// Whether the column at `index` is chosen.
    pub fn contains(&self, index: usize) -> bool {
        match self {
            ColumnChoice::Nothing => false,
            ColumnChoice::All => true,
            ColumnChoice::These(chosen) => chosen.contains(&index),
        }
    }
}

/// Options as the statement gives them; `None` was not given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopyOptionTexts<'a> {
    /// FORMAT.
    pub format: CopyFormat,
    /// DELIMITER.
    pub delimiter: Option<&'a str>,
    /// NULL.
    pub null: Option<&'a str>,
    /// HEADER.
    pub header: CopyHeader,
    /// QUOTE.
    pub quote: Option<&'a str>,
    /// ESCAPE.
    pub escape: Option<&'a str>,
    /// FORCE_QUOTE.
    pub force_quote: ColumnChoice,
    /// FORCE_NOT_NULL.
    pub force_not_null: ColumnChoice,
    /// FORCE_NULL.
    pub force_null: ColumnChoice,
}

/// Options that fit together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyOptions {
    pub(super) format: CopyFormat,
    pub(super) delimiter: u8,
    pub(super) null: Vec<u8>,
    pub(super) header: CopyHeader,
    pub(super) quote: u8,
    pub(super) escape: u8,
    pub(super) force_quote: ColumnChoice,
    pub(super) force_not_null: ColumnChoice,
    pub(super) force_null: ColumnChoice,
}

impl CopyOptions {
    /// The options of a bare COPY in `format`.
    pub fn plain(format: CopyFormat) -> CopyOptions {
        let is_csv = format == CopyFormat::Csv;
        CopyOptions {
            format,
            delimiter: if is_csv { b',' } else { b'\t' },
            null: if is_csv { Vec::new() } else { b"\\N".to_vec() },
            header: CopyHeader::Absent,
            quote: b'"',
            escape: b'"',
            force_quote: ColumnChoice::Nothing,
            force_not_null: ColumnChoice::Nothing,
            force_null: ColumnChoice::Nothing,
        }
    }

    /// The format.
    pub fn format(&self) -> CopyFormat {
        self.format
    }

    /// Whether a line of column names is written or expected.
    pub fn header(&self) -> CopyHeader {
        self.header
    }

    pub(super) fn is_csv(&self) -> bool {
        self.format == CopyFormat::Csv
    }
}

const SYNTAX: SqlState = SqlState::SYNTAX_ERROR;
const UNSUPPORTED: SqlState = SqlState::FEATURE_NOT_SUPPORTED;
const INVALID: SqlState = SqlState::INVALID_PARAMETER_VALUE;

fn refuse_if(wrong: bool, sqlstate: SqlState, message: &str) -> Result<(), CopyOptionError> {
    if wrong { Err(CopyOptionError { sqlstate, message: message.to_string() }) } else { Ok(()) }
}

/// The one byte of a one-byte text.
fn single(text: &str, what: &str) -> Result<u8, CopyOptionError> {
    match text.as_bytes() {
        [byte] => Ok(*byte),
        _ => {
            let message = alloc::format!("COPY {what} must be a single one-byte character");
            Err(CopyOptionError { sqlstate: UNSUPPORTED, message })
        }
    }
}

impl CopyOptionTexts<'_> {
    /// Checks that the options fit together, in PostgreSQL's order.
    ///
    /// # Errors
    /// PostgreSQL's code and text.
    pub fn check(&self, direction: CopyDirection) -> Result<CopyOptions, CopyOptionError> {
        let is_csv = self.format == CopyFormat::Csv;
        let is_binary = self.format == CopyFormat::Binary;
        let mut options = CopyOptions::plain(self.format);
        let is_match_out = self.header == CopyHeader::Match && direction == CopyDirection::To;
        refuse_if(is_match_out, UNSUPPORTED, "cannot use \"match\" with HEADER in COPY TO")?;
        let text = "cannot specify DELIMITER in BINARY mode";
        refuse_if(is_binary && self.delimiter.is_some(), SYNTAX, text)?;
        let text = "cannot specify NULL in BINARY mode";
        refuse_if(is_binary && self.null.is_some(), SYNTAX, text)?;
        if let Some(delimiter) = self.delimiter {
            options.delimiter = single(delimiter, "delimiter")?;
        }
        if let Some(null) = self.null {
            options.null = null.as_bytes().to_vec();
        }
        let is_line_end = |byte: &u8| [b'\n', b'\r'].contains(byte);
        let text = "COPY delimiter cannot be newline or carriage return";
        refuse_if(is_line_end(&options.delimiter), INVALID, text)?;
        let text = "COPY null representation cannot use newline or carriage return";
        refuse_if(options.null.iter().any(is_line_end), INVALID, text)?;
        let confusing = b"\\.abcdefghijklmnopqrstuvwxyz0123456789".contains(&options.delimiter);
        let text = alloc::format!("COPY delimiter cannot be \"{}\"", char::from(options.delimiter));
        refuse_if(!is_csv && confusing, INVALID, &text)?;
        let has_header = self.header != CopyHeader::Absent;
        refuse_if(is_binary && has_header, UNSUPPORTED, "cannot specify HEADER in BINARY mode")?;
        options.header = self.header;
        self.check_quotes(is_csv, &mut options)?;
        self.check_choices(is_csv, direction)?;
        options.force_quote.clone_from(&self.force_quote);
        options.force_not_null.clone_from(&self.force_not_null);
        options.force_null.clone_from(&self.force_null);
        let text = "COPY delimiter must not appear in the NULL specification";
        refuse_if(!is_binary && options.null.contains(&options.delimiter), UNSUPPORTED, text)?;
        let text = "CSV quote character must not appear in the NULL specification";
        refuse_if(is_csv && options.null.contains(&options.quote), UNSUPPORTED, text)?;
        Ok(options)
    }

    fn check_quotes(&self, is_csv: bool, options: &mut CopyOptions) -> Result<(), CopyOptionError> {
        let text = "COPY quote available only in CSV mode";
        refuse_if(!is_csv && self.quote.is_some(), UNSUPPORTED, text)?;
        if let Some(quote) = self.quote {
            options.quote = single(quote, "quote")?;
            options.escape = options.quote;
        }
        let text = "COPY delimiter and quote must be different";
        refuse_if(is_csv && options.delimiter == options.quote, INVALID, text)?;
        let text = "COPY escape available only in CSV mode";
        refuse_if(!is_csv && self.escape.is_some(), UNSUPPORTED, text)?;
        if let Some(escape) = self.escape {
            options.escape = single(escape, "escape")?;
        }
        Ok(())
    }

    fn check_choices(&self, is_csv: bool, direction: CopyDirection) -> Result<(), CopyOptionError> {
        let choices = [
            (&self.force_quote, "force quote", CopyDirection::To, "COPY TO"),
            (&self.force_not_null, "force not null", CopyDirection::From, "COPY FROM"),
            (&self.force_null, "force null", CopyDirection::From, "COPY FROM"),
        ];
        for (choice, name, its_direction, statement) in choices {
            let is_chosen = *choice != ColumnChoice::Nothing;
            let text = alloc::format!("COPY {name} available only in CSV mode");
            refuse_if(is_chosen && !is_csv, UNSUPPORTED, &text)?;
            let text = alloc::format!("COPY {name} only available using {statement}");
            refuse_if(is_chosen && direction != its_direction, UNSUPPORTED, &text)?;
        }
        Ok(())
    }
}
