//! `ringfence scan`: one query in bulk, from a running node or from the data directory of a stopped one, into a table for people or a file for programs.

mod columnar;
mod text;

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use bytes::BytesMut;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use olap::ExportFormat;
use plan::query::OutputColumn;
use postgres_protocol::message::backend::Message;
use session::output::Format;

use crate::node::offline::{Offline, Piece};
use crate::pg_client::{CellForm, ClientError, ConnectUrl, PgClient, RowTaker, read_rows};
use columnar::Columnar;
use text::{TextKind, TextRows};

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScanFormat {
    /// Aligned columns, for people
    Table,
    /// RFC 4180, with a line of names
    Csv,
    /// One JSON object a line
    Json,
    /// An Arrow IPC file
    Arrow,
    /// A Parquet file
    Parquet,
}

/// Runs one query and writes its rows.
#[derive(Args, Debug)]
pub struct ScanArguments {
    /// The node: postgresql://user@host:port/database [default: the one on this machine]
    #[arg(long, conflicts_with = "data")]
    url: Option<String>,
    /// The data directory of a stopped node, in place of a running one
    #[arg(long)]
    data: Option<PathBuf>,
    /// The query
    sql: String,
    /// How rows are written
    #[arg(long, value_enum, default_value = "table")]
    format: ScanFormat,
    /// Where to; standard output if not given
    #[arg(short, long)]
    output: Option<PathBuf>,
}

/// Where a node is if nothing is said.
const DEFAULT_URL: &str = "postgresql://ringfence@127.0.0.1:5433/ringfence";

type Out = BufWriter<Box<dyn Write + Send>>;

/// What writes the rows.
enum Writer {
    Text(TextRows<Out>),
    Columnar(Box<Columnar<Out>>),
}

/// Counts rows on their way to their writer.
struct Rows {
    writer: Writer,
    progress: ProgressBar,
    count: u64,
}

impl RowTaker for Rows {
    fn columns(&mut self, columns: Vec<OutputColumn>) -> io::Result<()> {
        match &mut self.writer {
            Writer::Text(rows) => rows.columns(columns),
            Writer::Columnar(rows) => rows.columns(columns),
        }
    }

    fn row(&mut self, cells: &[Option<&[u8]>]) -> io::Result<()> {
        self.count += 1;
        self.progress.set_position(self.count);
        match &mut self.writer {
            Writer::Text(rows) => rows.row(cells),
            Writer::Columnar(rows) => rows.row(cells),
        }
    }
}

/// Runs the command.
pub fn run(arguments: &ScanArguments) -> Result<()> {
    let columnar = match arguments.format {
        ScanFormat::Arrow => Some(ExportFormat::Arrow),
        ScanFormat::Parquet => Some(ExportFormat::Parquet),
        ScanFormat::Table | ScanFormat::Csv | ScanFormat::Json => None,
    };
    if columnar.is_some() && arguments.output.is_none() && io::stdout().is_terminal() {
        bail!("this format is not for terminals; name a file with -o");
    }
    let form = if columnar.is_some() { CellForm::Binary } else { CellForm::Text };
    let source = Source::open(arguments, form)?;
    let out: Box<dyn Write + Send> = match &arguments.output {
        Some(path) => Box::new(
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?,
        ),
        None => Box::new(io::stdout()),
    };
    let out = BufWriter::with_capacity(1 << 16, out);
    let writer = match (columnar, arguments.format) {
        (Some(format), _) => Writer::Columnar(Box::new(Columnar::new(out, format))),
        (None, ScanFormat::Csv) => Writer::Text(TextRows::new(out, TextKind::Csv)),
        (None, ScanFormat::Json) => Writer::Text(TextRows::new(out, TextKind::Json)),
        (None, _) => Writer::Text(TextRows::new(out, TextKind::Table)),
    };
    let progress = progress(arguments.output.is_some());
    let rows = Rows { writer, progress, count: 0 };
    let outcome = written(source, &arguments.sql, form, rows);
    if let (Err(_), Some(path)) = (&outcome, &arguments.output) {
        // Half an answer is none.
        std::fs::remove_file(path)
            .with_context(|| format!("cannot remove the unfinished {}", path.display()))?;
    }
    outcome
}

fn written(source: Source, sql: &str, form: CellForm, mut rows: Rows) -> Result<()> {
    source.read(sql, form, &mut rows)?;
    rows.progress.finish_and_clear();
    let finished = match rows.writer {
        Writer::Text(text) => text.finish(),
        Writer::Columnar(columnar) => columnar.finish(),
    };
    finished.context("cannot write the rows")
}

/// Where the rows come from.
enum Source {
    Node(PgClient),
    Directory(Offline),
}

impl Source {
    fn open(arguments: &ScanArguments, form: CellForm) -> Result<Source> {
        if let Some(data) = &arguments.data {
            return Source::directory(data, &arguments.sql, form);
        }
        let text = arguments.url.as_deref().unwrap_or(DEFAULT_URL);
        let url = ConnectUrl::parse(text).map_err(anyhow::Error::msg)?;
        let client = PgClient::connect(&url)
            .with_context(|| format!("cannot reach {text}; is `ringfence serve` running?"))?;
        Ok(Source::Node(client))
    }

    fn directory(data: &Path, sql: &str, form: CellForm) -> Result<Source> {
        let format = match form {
            CellForm::Text => Format::Text,
            CellForm::Binary => Format::Binary,
        };
        Ok(Source::Directory(Offline::start(data, sql.to_owned(), format)?))
    }

    fn read(self, sql: &str, form: CellForm, rows: &mut Rows) -> Result<()> {
        match self {
            Source::Node(mut client) => Ok(client.stream(sql, form, rows)?),
            Source::Directory(mut offline) => {
                let mut input = BytesMut::new();
                let read = read_rows(|| next_message(&mut offline, &mut input), rows);
                offline.finish()?;
                read.map_err(|error| anyhow!(error))
            }
        }
    }
}

fn next_message(
    offline: &mut Offline,
    input: &mut BytesMut,
) -> Result<Option<Message>, ClientError> {
    loop {
        if let Some(message) = Message::parse(input)? {
            return Ok(Some(message));
        }
        match offline.next() {
            None => return Ok(None),
            Some(Piece::Messages(bytes)) => input.extend_from_slice(&bytes),
            Some(Piece::Failed(error)) => {
                let (code, message) = (error.sqlstate.as_str().to_owned(), error.message);
                return Err(ClientError::Server { code, message });
            }
        }
    }
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
