//! What a load's jobs work with: rows in, sealed files out. Runs on background threads only, and never waits.

use std::collections::VecDeque;
use std::sync::Arc;

use oltp::{Seeded, TableRows};
use platform::{BlockIo, CancelFlag};
use session::SqlError;
use session::copy::CopyParser;
use session::node::{BulkRequest, Loaded};
use session::rebuild::{RowChange, unique_index_failed};
use storage::sealed::{DuplicateKey, SealBatch, SealError, SealedFiles, seal};
use storage::{DataDirectory, TableLayout};
use types::schema::{Partitioning, make_row_id};
use types::token::SliceCount;
use types::{SliceId, SqlState, Value};

use super::of_storage;
use super::scan::ScannedRows;

/// Rows of a scan that one job takes.
const SCANNED_AT_ONCE: usize = 16 * 1_024;

/// What a job is given.
pub(super) enum Input {
    /// Bytes of a COPY.
    Bytes(Vec<u8>),
    /// Stored rows.
    Rows(Vec<Vec<Value>>),
    /// What is left of a scan, and what becomes of its rows.
    Scan(Box<ScannedRows>, Arc<RowChange>),
    /// Go on.
    Nothing,
    /// Nothing more follows.
    End,
}

/// What a builder waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// The next input.
    Input,
    /// Another job: this one has done its share.
    More,
    /// Hidden row ids.
    RowIds,
}

/// One storage table that is made: the table or an index of it.
struct Target {
    layout: TableLayout,
    /// Into `TableSchema::indexes`; nothing for the table itself.
    index: Option<usize>,
    batch: SealBatch,
}

/// Makes sealed files of rows.
pub(super) struct Builder {
    request: BulkRequest,
    directory: Arc<DataDirectory>,
    rows: TableRows,
    targets: Vec<Target>,
    batch_bytes: usize,
    sealed: SealedFiles,
    count: u64,
    parser: Option<CopyParser>,
    volatile: Seeded,
    row_ids: VecDeque<(SliceId, u64, u64)>,
    row_ids_left: u64,
    /// Rows that wait for a hidden row id.
    waiting: VecDeque<Vec<Value>>,
    scan: Option<(Box<ScannedRows>, Arc<RowChange>)>,
    ended: bool,
}

impl Builder {
    pub(super) fn new(
        request: &BulkRequest,
        slices: SliceCount,
        directory: Arc<DataDirectory>,
        batch_bytes: usize,
    ) -> Result<Builder, SqlError> {
        let schema = &request.table;
        let parser = match &request.copy {
            None => None,
            Some(copy) => Some(CopyParser::new(copy.clone(), request.surroundings.clone())?),
        };
        let of_index = |position: usize| Target {
            layout: TableLayout::of_index(schema, &schema.indexes[position]),
            index: Some(position),
            batch: SealBatch::default(),
        };
        let targets = match request.loaded {
            Loaded::Nothing => Vec::new(),
            Loaded::Entries(id) => {
                let found = schema.indexes.iter().position(|index| index.index_id == id);
                found.map(of_index).into_iter().collect()
            }
            Loaded::Rows => {
                let layout = TableLayout::of_table(schema);
                let table = Target { layout, index: None, batch: SealBatch::default() };
                std::iter::once(table).chain((0..schema.indexes.len()).map(of_index)).collect()
            }
        };
        Ok(Builder {
            directory,
            rows: TableRows::new(schema, slices),
            targets,
            batch_bytes,
            sealed: SealedFiles::default(),
            count: 0,
            parser,
            volatile: Seeded::new(&request.surroundings),
            row_ids: VecDeque::new(),
            row_ids_left: 0,
            waiting: VecDeque::new(),
            scan: None,
            ended: false,
            request: request.clone(),
        })
    }

    /// Adds hidden row ids.
    pub(super) fn add_row_ids(&mut self, slice: SliceId, first: u64, count: u64) {
        self.row_ids.push_back((slice, first, first + count));
        self.row_ids_left += count;
    }

    /// Whether it will soon be short of row ids.
    pub(super) fn wants_row_ids(&self, wanted: u64) -> bool {
        self.request.table.partitioning == Partitioning::RowId
            && self.request.loaded == Loaded::Rows
            && self.row_ids_left < wanted
    }

    /// The files and the number of rows.
    pub(super) fn into_files(self) -> (SealedFiles, u64) {
        (self.sealed, self.count)
    }

    /// Works on one input, or goes on with the last.
    pub(super) fn step(
        &mut self,
        io: &dyn BlockIo,
        cancel: &CancelFlag,
        input: Input,
    ) -> Result<Need, SqlError> {
        match input {
            Input::Bytes(bytes) => {
                if let Some(parser) = &mut self.parser {
                    parser.push(&bytes)?;
                }
            }
            Input::Rows(rows) => self.waiting.extend(rows),
            Input::Scan(rows, change) => self.scan = Some((rows, change)),
            Input::Nothing => {}
            Input::End => {
                self.ended = true;
                if let Some(parser) = &mut self.parser {
                    parser.finish();
                }
            }
        }
        if !self.drain_waiting(io, cancel)? || !self.drain_parser(io, cancel)? {
            return Ok(Need::RowIds);
        }
        if self.scan.is_some() {
            self.drain_scan()?;
            if !self.drain_waiting(io, cancel)? {
                return Ok(Need::RowIds);
            }
            if self.scan.is_some() {
                return Ok(Need::More);
            }
        }
        if self.ended {
            self.seal_all(io, cancel)?;
            let schema = &self.request.table;
            // Row ids were given once, and entries of indexes end with their row's key.
            if schema.partitioning != Partitioning::RowId {
                let distinct = self.sealed.of_table(schema.storage_id).check_distinct(io, cancel);
                let slices = self.rows.slices;
                distinct.map_err(|error| of_seal(&self.request, slices, &error))?;
            }
        }
        Ok(Need::Input)
    }

    /// Adds the rows that wait; false if row ids are missing.
    fn drain_waiting(&mut self, io: &dyn BlockIo, cancel: &CancelFlag) -> Result<bool, SqlError> {
        while let Some(row) = self.waiting.pop_front() {
            if let Some(row) = self.add(row, io, cancel)? {
                self.waiting.push_front(row);
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Adds the rows that the parser has; false if row ids are missing.
    fn drain_parser(&mut self, io: &dyn BlockIo, cancel: &CancelFlag) -> Result<bool, SqlError> {
        let Some(mut parser) = self.parser.take() else { return Ok(true) };
        let outcome = self.drain_from(&mut parser, io, cancel);
        self.parser = Some(parser);
        outcome
    }

    fn drain_from(
        &mut self,
        parser: &mut CopyParser,
        io: &dyn BlockIo,
        cancel: &CancelFlag,
    ) -> Result<bool, SqlError> {
        let surroundings = self.request.surroundings.clone();
        while let Some(row) = parser.next_row(&self.volatile)? {
            parser.check_row(&self.rows, &row, &surroundings.context(&self.volatile))?;
            if let Some(row) = self.add(row, io, cancel)? {
                self.waiting.push_back(row);
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn drain_scan(&mut self) -> Result<(), SqlError> {
        let Some((mut scan, change)) = self.scan.take() else { return Ok(()) };
        let waiting = &mut self.waiting;
        let context = change.surroundings.context(&self.volatile);
        let keep = self.request.loaded != Loaded::Nothing;
        let more = scan.visit(SCANNED_AT_ONCE, |row| {
            let row = change.apply(row, &context)?;
            waiting.extend(row.filter(|_| keep));
            Ok(())
        })?;
        if more {
            self.scan = Some((scan, change));
        }
        Ok(())
    }

    /// Adds a row to the batches; gives it back if it needs a row id and none is left.
    fn add(
        &mut self,
        mut row: Vec<Value>,
        io: &dyn BlockIo,
        cancel: &CancelFlag,
    ) -> Result<Option<Vec<Value>>, SqlError> {
        let schema = self.rows.schema.clone();
        if schema.partitioning == Partitioning::RowId {
            let position = usize::from(schema.key[0].position);
            if row[position].is_null() {
                let Some(row_id) = self.next_row_id() else { return Ok(Some(row)) };
                row[position] = Value::Int8(row_id);
            }
        }
        let address = self.rows.address(&row)?;
        self.count += 1;
        let mut bytes = 0;
        for target in &mut self.targets {
            match target.index {
                None => {
                    let encoded = self.rows.encode(&row)?;
                    target.batch.push(address.slice, &address.key, &encoded);
                }
                Some(index) => {
                    let key = schema.index_key(&schema.indexes[index], &row, &address.key);
                    let entry = self.rows.index_row(index, &row);
                    target.batch.push(address.slice, &key, &entry);
                }
            }
            bytes += target.batch.byte_count();
        }
        if bytes >= self.batch_bytes {
            self.seal_all(io, cancel)?;
        }
        Ok(None)
    }

    fn next_row_id(&mut self) -> Option<i64> {
        let (slice, next, end) = self.row_ids.front_mut()?;
        let row_id = make_row_id(self.rows.slices, *slice, *next);
        *next += 1;
        self.row_ids_left -= 1;
        if next == end {
            self.row_ids.pop_front();
        }
        Some(row_id)
    }

    fn seal_all(&mut self, io: &dyn BlockIo, cancel: &CancelFlag) -> Result<(), SqlError> {
        for target in &mut self.targets {
            if target.batch.is_empty() {
                continue;
            }
            let sealed = seal(io, cancel, &self.directory, &target.layout, &target.batch);
            let sealed =
                sealed.map_err(|error| of_seal(&self.request, self.rows.slices, &error))?;
            self.sealed.join(sealed);
            target.batch.clear();
        }
        Ok(())
    }
}

/// A failed batch as a client is told.
pub(super) fn of_seal(request: &BulkRequest, slices: SliceCount, error: &SealError) -> SqlError {
    match error {
        SealError::Duplicate(found) => duplicate(request, slices, found),
        SealError::Storage(error) => of_storage(error),
    }
}

/// 23505 for a key.
pub(super) fn duplicate(
    request: &BulkRequest,
    slices: SliceCount,
    found: &DuplicateKey,
) -> SqlError {
    let rows = TableRows::new(&request.table, slices);
    let row = match rows.decode(&found.row) {
        Ok(row) => row,
        Err(error) => return error.into(),
    };
    let seeded = Seeded::new(&request.surroundings);
    let context = request.surroundings.context(&seeded);
    let mut error: SqlError = rows.duplicate(&row, &context).into();
    if request.copy.is_some() {
        error.context = Some(format!("COPY {}", request.table.name));
        return error;
    }
    match request.existing {
        Some(_) => error,
        None if error.sqlstate == SqlState::UNIQUE_VIOLATION => unique_index_failed(&rows, error),
        None => error,
    }
}
