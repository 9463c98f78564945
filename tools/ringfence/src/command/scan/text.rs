//! Rows as text: aligned columns for people, CSV and JSON for programs.

use std::io::{self, Write};

use plan::query::OutputColumn;
use types::SqlType;

/// Rows of a table that are held back to measure the columns.
const TABLE_ROWS_MEASURED: usize = 1_000;

/// Which text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextKind {
    /// Aligned columns.
    Table,
    /// RFC 4180, with a line of names.
    Csv,
    /// One JSON object a line.
    Json,
}

/// Writes rows of text cells.
pub struct TextRows<W: Write> {
    kind: TextKind,
    columns: Vec<OutputColumn>,
    out: W,
    started: bool,
    held: Vec<Vec<Option<String>>>,
    widths: Vec<usize>,
}

impl<W: Write> TextRows<W> {
    /// Into something.
    pub fn new(out: W, kind: TextKind) -> TextRows<W> {
        let (columns, held, widths) = (Vec::new(), Vec::new(), Vec::new());
        TextRows { kind, columns, out, started: false, held, widths }
    }

    /// The columns; once, before the rows.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn columns(&mut self, columns: Vec<OutputColumn>) -> io::Result<()> {
        self.columns = columns;
        if self.kind != TextKind::Csv {
            return Ok(());
        }
        let names: Vec<Box<str>> = self.columns.iter().map(|column| column.name.clone()).collect();
        let names: Vec<Option<&[u8]>> = names.iter().map(|name| Some(name.as_bytes())).collect();
        self.csv_line(&names)
    }

    /// A row.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn row(&mut self, cells: &[Option<&[u8]>]) -> io::Result<()> {
        match self.kind {
            TextKind::Csv => self.csv_line(cells),
            TextKind::Json => self.json_line(cells),
            TextKind::Table => {
                let cells = cells
                    .iter()
                    .map(|cell| cell.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
                    .collect();
                self.held.push(cells);
                if self.held.len() >= TABLE_ROWS_MEASURED { self.print_held() } else { Ok(()) }
            }
        }
    }

    /// Writes what is held back.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(mut self) -> io::Result<()> {
        if self.kind == TextKind::Table {
            self.print_held()?;
        }
        self.out.flush()
    }

    fn csv_line(&mut self, cells: &[Option<&[u8]>]) -> io::Result<()> {
        for (index, cell) in cells.iter().enumerate() {
            if index > 0 {
                self.out.write_all(b",")?;
            }
            let Some(bytes) = cell else { continue };
            let quoted = bytes.is_empty()
                || bytes.iter().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r'));
            if !quoted {
                self.out.write_all(bytes)?;
                continue;
            }
            self.out.write_all(b"\"")?;
            for byte in *bytes {
                if *byte == b'"' {
                    self.out.write_all(b"\"")?;
                }
                self.out.write_all(&[*byte])?;
            }
            self.out.write_all(b"\"")?;
        }
        self.out.write_all(b"\n")
    }

    fn json_line(&mut self, cells: &[Option<&[u8]>]) -> io::Result<()> {
        self.out.write_all(b"{")?;
        for (index, (column, cell)) in self.columns.iter().zip(cells).enumerate() {
            if index > 0 {
                self.out.write_all(b",")?;
            }
            serde_json::to_writer(&mut self.out, &*column.name)?;
            self.out.write_all(b":")?;
            match cell {
                None => self.out.write_all(b"null")?,
                Some(text) => json_value(&mut self.out, column.column_type.sql_type, text)?,
            }
        }
        self.out.write_all(b"}\n")
    }

    fn print_held(&mut self) -> io::Result<()> {
        if !self.started {
            self.started = true;
            let names: Vec<String> =
                self.columns.iter().map(|column| column.name.to_string()).collect();
            self.widths = names.iter().map(|name| name.chars().count()).collect();
            for row in &self.held {
                for (width, cell) in self.widths.iter_mut().zip(row) {
                    *width = (*width).max(cell.as_deref().map_or(4, |text| text.chars().count()));
                }
            }
            let names: Vec<Option<String>> = names.into_iter().map(Some).collect();
            self.table_line(&names)?;
            let rules: Vec<Option<String>> =
                self.widths.iter().map(|width| Some("-".repeat(*width))).collect();
            self.table_line(&rules)?;
        }
        for row in std::mem::take(&mut self.held) {
            self.table_line(&row)?;
        }
        Ok(())
    }

    fn table_line(&mut self, cells: &[Option<String>]) -> io::Result<()> {
        for (index, cell) in cells.iter().enumerate() {
            let width = self.widths.get(index).copied().unwrap_or(0);
            let text = cell.as_deref().unwrap_or("NULL");
            let separator = if index == 0 { "" } else { "  " };
            // The last column is not filled up with blanks.
            if index + 1 == cells.len() {
                write!(self.out, "{separator}{text}")?;
            } else {
                write!(self.out, "{separator}{text:width$}")?;
            }
        }
        writeln!(self.out)
    }
}

/// Numbers and truth values as JSON has them, everything else (NaN and infinities too) as its text.
fn json_value(out: &mut impl Write, sql_type: SqlType, text: &[u8]) -> io::Result<()> {
    match sql_type {
        SqlType::Bool => out.write_all(if text == b"t" { b"true" } else { b"false" }),
        SqlType::Int2
        | SqlType::Int4
        | SqlType::Int8
        | SqlType::Float4
        | SqlType::Float8
        | SqlType::Numeric
            if text.last().is_some_and(u8::is_ascii_digit) =>
        {
            out.write_all(text)
        }
        _ => Ok(serde_json::to_writer(out, &*String::from_utf8_lossy(text))?),
    }
}

#[cfg(test)]
mod tests {
    use super::{TextKind, TextRows};
    use plan::query::OutputColumn;
    use types::{ColumnType, SqlType};

    fn written(kind: TextKind) -> String {
        let column = |name: &str, sql_type| OutputColumn {
            name: name.into(),
            column_type: ColumnType::plain(sql_type),
            origin: None,
        };
        let columns = vec![
            column("id", SqlType::Int8),
            column("ok", SqlType::Bool),
            column("x", SqlType::Float8),
            column("a \"name\"", SqlType::Text),
        ];
        let mut out = Vec::new();
        let mut rows = TextRows::new(&mut out, kind);
        rows.columns(columns).expect("memory");
        let row: [Option<&[u8]>; 4] =
            [Some(b"-7"), Some(b"t"), Some(b"1e+100"), Some(b"a,\"b\"\nc")];
        rows.row(&row).expect("memory");
        rows.row(&[None, Some(b"f"), Some(b"NaN"), Some(b"")]).expect("memory");
        rows.finish().expect("memory");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn csv_quotes_what_needs_it() {
        let expected = "id,ok,x,\"a \"\"name\"\"\"\n-7,t,1e+100,\"a,\"\"b\"\"\nc\"\n,f,NaN,\"\"\n";
        assert_eq!(written(TextKind::Csv), expected);
    }

    #[test]
    fn json_has_numbers_and_truth() {
        let json = written(TextKind::Json);
        let lines: Vec<serde_json::Value> =
            json.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
        assert_eq!(lines[0]["id"], -7);
        assert_eq!(lines[0]["ok"], true);
        assert_eq!(lines[0]["x"], 1e100);
        assert_eq!(lines[0]["a \"name\""], "a,\"b\"\nc");
        assert!(lines[1]["id"].is_null());
        assert_eq!(lines[1]["x"], "NaN");
    }

    #[test]
    fn tables_are_aligned() {
        let table = written(TextKind::Table);
        assert_eq!(table.lines().next(), Some("id    ok  x       a \"name\""));
    }
}
