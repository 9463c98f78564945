//! `ringfence scan`: one query in bulk, from a running node.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use crate::pg_client::{ConnectUrl, PgClient};

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScanFormat {
    /// Aligned columns, for people
    Table,
    /// RFC 4180, with a line of names
    Csv,
    /// One JSON object a line
    Json,
}

/// Runs one query and writes its rows.
#[derive(Args, Debug)]
pub struct ScanArguments {
    /// The node: postgresql://user@host:port/database
    #[arg(long, default_value = "postgresql://ringfence@127.0.0.1:5433/ringfence")]
    url: String,
    /// The query
    sql: String,
    /// How rows are written
    #[arg(long, value_enum, default_value = "table")]
    format: ScanFormat,
    /// Where to; standard output if not given
    #[arg(short, long)]
    output: Option<PathBuf>,
}

/// Rows of a table that are held back to measure the columns.
const TABLE_ROWS_MEASURED: usize = 1_000;

/// Runs the command.
pub fn run(arguments: &ScanArguments) -> Result<()> {
    let url = ConnectUrl::parse(&arguments.url).map_err(anyhow::Error::msg)?;
    let mut client = PgClient::connect(&url).with_context(|| {
        format!("cannot reach {}; is `ringfence serve` running?", arguments.url)
    })?;
    let out: Box<dyn Write> = match &arguments.output {
        Some(path) => Box::new(
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?,
        ),
        None => Box::new(io::stdout().lock()),
    };
    let progress = progress(arguments.output.is_some());
    let mut rows = Rows::new(arguments.format, BufWriter::with_capacity(1 << 16, out));
    let mut failure: Option<io::Error> = None;
    let columns: std::cell::RefCell<Vec<String>> = std::cell::RefCell::default();
    let mut count = 0u64;
    client.stream(
        &arguments.sql,
        |names| *columns.borrow_mut() = names.to_vec(),
        |cells| {
            if failure.is_none()
                && let Err(error) = rows.row(&columns.borrow(), cells)
            {
                failure = Some(error);
            }
            count += 1;
            progress.set_position(count);
        },
    )?;
    progress.finish_and_clear();
    if let Some(error) = failure {
        bail!("cannot write the rows: {error}");
    }
    rows.finish(&columns.borrow()).context("cannot write the rows")
}

/// A counter on a terminal; rows that go to the terminal themselves are progress enough.
fn progress(to_file: bool) -> ProgressBar {
    if !to_file || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} rows, {per_sec}, {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

struct Rows<W: Write> {
    format: ScanFormat,
    out: W,
    started: bool,
    held: Vec<Vec<Option<String>>>,
    widths: Vec<usize>,
}

impl<W: Write> Rows<W> {
    fn new(format: ScanFormat, out: W) -> Rows<W> {
        Rows { format, out, started: false, held: Vec::new(), widths: Vec::new() }
    }

    fn row(&mut self, columns: &[String], cells: &[Option<&[u8]>]) -> io::Result<()> {
        match self.format {
            ScanFormat::Csv => {
                if !self.started {
                    self.started = true;
                    let names: Vec<Option<&[u8]>> =
                        columns.iter().map(|name| Some(name.as_bytes())).collect();
                    self.csv_line(&names)?;
                }
                self.csv_line(cells)
            }
            ScanFormat::Json => self.json_line(columns, cells),
            ScanFormat::Table => {
                let cells = cells
                    .iter()
                    .map(|cell| cell.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
                    .collect();
                self.held.push(cells);
                if self.held.len() >= TABLE_ROWS_MEASURED {
                    self.print_held(columns)
                } else {
                    Ok(())
                }
            }
        }
    }

    fn finish(mut self, columns: &[String]) -> io::Result<()> {
        match self.format {
            ScanFormat::Table => self.print_held(columns)?,
            ScanFormat::Csv if !self.started => {
                let names: Vec<Option<&[u8]>> =
                    columns.iter().map(|name| Some(name.as_bytes())).collect();
                self.csv_line(&names)?;
            }
            _ => {}
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

    fn json_line(&mut self, columns: &[String], cells: &[Option<&[u8]>]) -> io::Result<()> {
        let mut object = serde_json::Map::new();
        for (name, cell) in columns.iter().zip(cells) {
            let value = match cell {
                None => serde_json::Value::Null,
                Some(bytes) => String::from_utf8_lossy(bytes).into_owned().into(),
            };
            object.insert(name.clone(), value);
        }
        serde_json::to_writer(&mut self.out, &object)?;
        self.out.write_all(b"\n")
    }

    fn print_held(&mut self, columns: &[String]) -> io::Result<()> {
        if !self.started {
            self.started = true;
            self.widths = columns.iter().map(|name| name.chars().count()).collect();
            for row in &self.held {
                for (width, cell) in self.widths.iter_mut().zip(row) {
                    *width = (*width).max(cell.as_deref().map_or(4, |text| text.chars().count()));
                }
            }
            let names: Vec<Option<String>> = columns.iter().cloned().map(Some).collect();
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
            write!(self.out, "{separator}{text:width$}")?;
        }
        writeln!(self.out)
    }
}
