//! Reading one unit of a scan: which rows the snapshot sees, which of them the conditions accept, and only of those the other columns.
//!
//! Reads block the thread: analytics runs on threads of its own, and a unit asks for all its bytes in one deeply queued submission (two where conditions decide
//! which pages of the other columns are needed at all).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::{filter_record_batch, prep_null_mask_filter};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::physical_expr::PhysicalExpr;
use snapshot::{BlockError, PinnedFile};
use sstable::{
    ColumnSpec, ColumnVector, ErrorKind, Fetch, Fetched, FileColumn, Joining, KeyRange, MergeRun,
    Overlap, PageCheck, PageId, PositionRange, ScanRequest, Selection, SortedRun, SstableError,
    merge_visible,
};
use types::{SqlState, SqlType};

use crate::column_cache::ColumnCache;
use crate::error::AnalyticsError;
use crate::physical::field;
use crate::record_batch::array_of;
use crate::split::Unit;
use crate::statistics::Counters;

/// How a table is scanned: the same for all its units.
#[derive(Debug)]
pub(crate) struct Reading {
    /// All stored columns of the table.
    pub(crate) columns: Vec<ColumnSpec>,
    /// Stored positions of the columns that conditions read.
    pub(crate) filtered: Vec<u16>,
    /// Conditions over these columns, in this order; each sees the rows that the ones before accepted.
    pub(crate) conditions: Vec<Arc<dyn PhysicalExpr>>,
    /// The batch that conditions see.
    pub(crate) filter_schema: SchemaRef,
    /// Stored positions of the output.
    pub(crate) output: Vec<u16>,
    pub(crate) schema: SchemaRef,
    pub(crate) predicate: sstable::Predicate,
    pub(crate) at: types::Timestamp,
    pub(crate) cache: Arc<ColumnCache>,
    pub(crate) counters: Arc<Counters>,
}

/// Bytes of some columns of some pages of a file.
struct Chunks {
    parts: Vec<(Vec<FileColumn>, Fetch, Vec<Arc<[u8]>>, PageCheck)>,
}

/// Where the rows of a selection are.
enum Origin<'a> {
    Pages { file: &'a PinnedFile, group: usize, pages: &'a [PageId], chunks: Chunks },
    Memory { run: &'a SortedRun },
}

fn file_error(error: SstableError) -> AnalyticsError {
    let sqlstate = match error.kind() {
        ErrorKind::Damage => SqlState::DATA_CORRUPTED,
        ErrorKind::UnknownFormat => SqlState::FEATURE_NOT_SUPPORTED,
        ErrorKind::Row | ErrorKind::Request => SqlState::INTERNAL_ERROR,
    };
    AnalyticsError::Read { file: None, sqlstate, source: Arc::new(error) }
}

fn block_error(error: BlockError) -> AnalyticsError {
    match error {
        BlockError::Cancelled => AnalyticsError::Cancelled,
        device => AnalyticsError::Read {
            file: None,
            sqlstate: SqlState::IO_ERROR,
            source: Arc::new(device),
        },
    }
}

/// Says which file an error is about.
fn in_file(pinned: &PinnedFile) -> impl Fn(AnalyticsError) -> AnalyticsError {
    let id = pinned.sstable_id;
    move |mut error| {
        if let AnalyticsError::Read { file, .. } = &mut error {
            file.get_or_insert(id);
        }
        error
    }
}

/// The batch that conditions over some columns see.
pub(crate) fn schema_of_positions(
    columns: &[ColumnSpec],
    positions: &[u16],
    names: &[String],
) -> SchemaRef {
    let fields: Vec<_> = positions
        .iter()
        .zip(names)
        .map(|(position, name)| field(name.clone(), columns[usize::from(*position)].sql_type))
        .collect();
    Arc::new(Schema::new(fields))
}

impl Chunks {
    fn of(&self, column: FileColumn) -> Result<(Fetched<'_>, PageCheck), AnalyticsError> {
        let part = self.parts.iter().find(|(columns, ..)| columns.contains(&column));
        let (_, fetch, buffers, check) = part.expect("every column that is decoded was fetched");
        let fetched = fetch.with(buffers.iter().map(|buffer| &**buffer)).map_err(file_error)?;
        Ok((fetched, *check))
    }
}

impl Reading {
    /// All rows of a unit that the snapshot sees and the conditions accept.
    pub(crate) fn read(&self, unit: &Unit) -> Result<Vec<RecordBatch>, AnalyticsError> {
        match unit {
            Unit::Alone { file, request, plan } => {
                self.alone(file, request, plan).map_err(in_file(file))
            }
            Unit::Merged { positions, files, runs } => self.merge(positions, files, runs),
        }
    }

    /// The rows of a row group that stands alone.
    fn alone(
        &self,
        file: &PinnedFile,
        request: &ScanRequest,
        plan: &sstable::GroupPlan,
    ) -> Result<Vec<RecordBatch>, AnalyticsError> {
        Counters::add(&self.counters.rows_read, plan.row_count);
        Counters::add(&self.counters.pages_read, plan.pages.len());
        let metadata = &file.metadata;
        let visibility = metadata.visibility_columns(request, plan);
        let mut columns = self.first_columns(file);
        columns.retain(|column| !visibility.contains(column));
        let chunks = self.fetch(file, plan.group, &plan.pages, visibility.clone(), columns)?;
        let selection = if visibility.is_empty() {
            let nothing = Fetch::new(metadata, &[], &[], Joining::SCAN);
            let fetched = nothing.with(std::iter::empty()).map_err(file_error)?;
            metadata.visible_rows(request, plan, &fetched, PageCheck::Verify)
        } else {
            let (fetched, check) = chunks.of(visibility[0])?;
            metadata.visible_rows(request, plan, &fetched, check)
        };
        let selection = selection.map_err(file_error)?;
        let group = plan.group;
        let origin = Origin::Pages { file, group, pages: &plan.pages, chunks };
        Ok(self.rows(&origin, selection)?.into_iter().collect())
    }

    /// What is needed of a file before conditions have chosen rows.
    fn first_columns(&self, file: &PinnedFile) -> Vec<FileColumn> {
        let wanted = if self.conditions.is_empty() { &self.output } else { &self.filtered };
        stored_in(file, wanted)
    }

    fn fetch(
        &self,
        file: &PinnedFile,
        group: usize,
        pages: &[PageId],
        together: Vec<FileColumn>,
        apart: Vec<FileColumn>,
    ) -> Result<Chunks, AnalyticsError> {
        let metadata = &file.metadata;
        let mut all = apart.iter().chain(&together);
        let by_column = all.any(|column| metadata.chunk_range(group, *column).is_some());
        let mut wanted: Vec<Vec<FileColumn>> = Vec::new();
        if by_column {
            // A chunk is a range of its own, so that whoever needs this column finds it in the cache.
            wanted.extend(apart.into_iter().map(|column| vec![column]));
            wanted.push(together);
        } else {
            wanted.push(together.into_iter().chain(apart).collect());
        }
        wanted.retain(|columns| !columns.is_empty());
        let fetches: Vec<(Vec<FileColumn>, Fetch)> = wanted
            .into_iter()
            .map(|columns| {
                let fetch = Fetch::new(metadata, pages, &columns, Joining::SCAN);
                (columns, fetch)
            })
            .collect();
        self.load(file, fetches)
    }

    /// The bytes of some fetches: from the cache, the rest in one submission.
    fn load(
        &self,
        file: &PinnedFile,
        fetches: Vec<(Vec<FileColumn>, Fetch)>,
    ) -> Result<Chunks, AnalyticsError> {
        let mut missing = Vec::new();
        let mut found: Vec<Vec<Option<Arc<[u8]>>>> = Vec::with_capacity(fetches.len());
        for (_, fetch) in &fetches {
            let mut buffers = Vec::with_capacity(fetch.ranges().len());
            for range in fetch.ranges() {
                let cached = self.cache.get(file.sstable_id, *range);
                match &cached {
                    Some(bytes) => Counters::add(&self.counters.bytes_cached, bytes.len()),
                    None => missing.push(*range),
                }
                buffers.push(cached);
            }
            found.push(buffers);
        }
        let read = if missing.is_empty() {
            Vec::new()
        } else {
            file.blocks.read(&missing).map_err(block_error)?
        };
        for (range, bytes) in missing.iter().zip(&read) {
            Counters::add(&self.counters.bytes_read, bytes.len());
            self.cache.offer(file.sstable_id, *range, bytes);
        }
        let mut read = read.into_iter();
        let parts = fetches
            .into_iter()
            .zip(found)
            .map(|((columns, fetch), buffers)| {
                let cached = buffers.iter().all(Option::is_some);
                // A chunk in the cache was decoded, and so verified, by whoever read it.
                let check = if cached { PageCheck::Verified } else { PageCheck::Verify };
                let buffers = buffers
                    .into_iter()
                    .map(|held| held.or_else(|| read.next()).unwrap_or_else(|| Arc::from([])))
                    .collect();
                (columns, fetch, buffers, check)
            })
            .collect();
        Ok(Chunks { parts })
    }

    fn merge(
        &self,
        positions: &PositionRange,
        files: &[Arc<PinnedFile>],
        runs: &[Arc<SortedRun>],
    ) -> Result<Vec<RecordBatch>, AnalyticsError> {
        let mut inputs: Vec<MergeRun> = Vec::new();
        let inside = narrowed(runs, positions);
        let mut plans = Vec::with_capacity(files.len());
        for file in files {
            let request = ScanRequest {
                positions: positions.clone(),
                keys: KeyRange::default(),
                predicate: self.predicate.clone(),
                at: self.at,
                published_at: file.published_at,
                overlap: Overlap::Merged,
            };
            plans.push((file, file.metadata.plan_scan(&request), request));
        }
        let mut origins = Vec::new();
        let shape = match files.first() {
            Some(file) => file.metadata.key_schema().shape(),
            None => sstable::KeyShape::Bytes,
        };
        for run in &inside {
            Counters::add(&self.counters.rows_read, run.len());
            inputs.push(run.merge_run(shape, &Selection::All(run.len())));
            origins.push(Origin::Memory { run });
        }
        for (file, plan, request) in &plans {
            for group in &plan.groups {
                Counters::add(&self.counters.rows_read, group.row_count);
                Counters::add(&self.counters.pages_read, group.pages.len());
                let keys = file.metadata.merge_columns();
                let mut columns = self.first_columns(file);
                columns.retain(|column| !keys.contains(column));
                let first = keys.first().copied();
                let named = in_file(file);
                let chunks =
                    self.fetch(file, group.group, &group.pages, keys, columns).map_err(&named)?;
                let first = first.expect("a merge reads keys");
                let (fetched, check) = chunks.of(first).map_err(&named)?;
                let run = file.metadata.merge_run(request, group, &fetched, check);
                let run = run.map_err(file_error).map_err(&named)?;
                inputs.push(run);
                let pages = &group.pages;
                origins.push(Origin::Pages { file, group: group.group, pages, chunks });
            }
        }
        let mut chosen: Vec<Vec<u32>> = vec![Vec::new(); inputs.len()];
        for span in merge_visible(&inputs, self.at) {
            chosen[span.run as usize].extend(span.first..span.first + span.count);
        }
        drop(inputs);
        let mut batches = Vec::new();
        for (origin, rows) in origins.iter().zip(chosen) {
            if !rows.is_empty() {
                batches.extend(self.rows(origin, Selection::Rows(rows))?);
            }
        }
        Ok(batches)
    }

    /// The selected rows that the conditions accept.
    fn rows(
        &self,
        origin: &Origin<'_>,
        selection: Selection,
    ) -> Result<Option<RecordBatch>, AnalyticsError> {
        if selection.is_empty() {
            return Ok(None);
        }
        if self.conditions.is_empty() {
            return self.output_batch(origin, &selection, Vec::new()).map(Some);
        }
        let arrays = self.decode(origin, &self.filtered, &selection, None)?;
        let (kept, batch) = self.accepted(arrays, selection.len())?;
        let Some(batch) = batch else { return Ok(None) };
        let selection = match kept {
            Some(rows) => selection.narrow(&Selection::Rows(rows)),
            None => selection,
        };
        let held = self.filtered.iter().copied().zip(batch.columns().iter().cloned()).collect();
        self.output_batch(origin, &selection, held).map(Some)
    }

    /// The rows (by place; nothing for all) that every condition accepts, and the filter columns of them.
    fn accepted(
        &self,
        arrays: Vec<ArrayRef>,
        row_count: usize,
    ) -> Result<(Option<Vec<u32>>, Option<RecordBatch>), AnalyticsError> {
        let options = RecordBatchOptions::new().with_row_count(Some(row_count));
        let mut batch =
            RecordBatch::try_new_with_options(self.filter_schema.clone(), arrays, &options)?;
        let mut kept: Option<Vec<u32>> = None;
        for condition in &self.conditions {
            let truth = condition.evaluate(&batch)?.into_array(batch.num_rows())?;
            let truth: &BooleanArray =
                truth.as_any().downcast_ref().expect("conditions are boolean");
            let truth =
                if truth.null_count() > 0 { prep_null_mask_filter(truth) } else { truth.clone() };
            let count = truth.true_count();
            if count == 0 {
                return Ok((None, None));
            }
            if count == batch.num_rows() {
                continue;
            }
            let places = truth.values().set_indices();
            kept = Some(match kept {
                Some(rows) => places.map(|place| rows[place]).collect(),
                None => places.map(|place| place as u32).collect(),
            });
            batch = filter_record_batch(&batch, &truth)?;
        }
        Ok((kept, Some(batch)))
    }

    fn output_batch(
        &self,
        origin: &Origin<'_>,
        selection: &Selection,
        held: Vec<(u16, ArrayRef)>,
    ) -> Result<RecordBatch, AnalyticsError> {
        let missing: Vec<u16> = self
            .output
            .iter()
            .copied()
            .filter(|position| !held.iter().any(|(own, _)| own == position))
            .collect();
        let second = match origin {
            Origin::Pages { file, group, pages, .. } if !self.conditions.is_empty() => {
                let columns = stored_in(file, &missing);
                let pages = pages_with(&file.metadata, pages, selection);
                Some(self.fetch(file, *group, &pages, Vec::new(), columns)?)
            }
            _ => None,
        };
        let decoded = self.decode(origin, &missing, selection, second.as_ref())?;
        let columns = self
            .output
            .iter()
            .map(|position| {
                let own = held.iter().find(|(own, _)| own == position).map(|(_, array)| array);
                let other = missing.iter().position(|own| own == position).map(|at| &decoded[at]);
                own.or(other).expect("every output column was decoded").clone()
            })
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(selection.len()));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?)
    }

    /// Some columns of the selected rows.
    fn decode(
        &self,
        origin: &Origin<'_>,
        positions: &[u16],
        selection: &Selection,
        second: Option<&Chunks>,
    ) -> Result<Vec<ArrayRef>, AnalyticsError> {
        match origin {
            Origin::Memory { run } => run
                .columns(&self.columns, positions, selection)
                .map_err(file_error)?
                .into_iter()
                .zip(positions)
                .map(|(column, position)| Ok(array_of(column, self.type_of(*position))?))
                .collect(),
            Origin::Pages { file, pages, chunks, .. } => positions
                .iter()
                .map(|position| {
                    let sql_type = self.type_of(*position);
                    let column = self.page_column(
                        file,
                        pages,
                        second.unwrap_or(chunks),
                        *position,
                        selection,
                    )?;
                    Ok(array_of(column, sql_type)?)
                })
                .collect(),
        }
    }

    fn page_column(
        &self,
        file: &PinnedFile,
        pages: &[PageId],
        chunks: &Chunks,
        position: u16,
        selection: &Selection,
    ) -> Result<ColumnVector, AnalyticsError> {
        let metadata = &file.metadata;
        if usize::from(position) >= metadata.types().len() {
            let spec = &self.columns[usize::from(position)];
            return Ok(ColumnVector::repeated(spec.sql_type, &spec.missing, selection.len()));
        }
        let column = FileColumn::Stored(position);
        let (fetched, check) = chunks.of(column).map_err(in_file(file))?;
        let decoded = metadata.decode_selected(pages, column, selection, &fetched, check);
        decoded.map_err(file_error).map_err(in_file(file))
    }

    fn type_of(&self, position: u16) -> SqlType {
        self.columns[usize::from(position)].sql_type
    }
}

/// The columns that a file has; later ones were added after it was written.
fn stored_in(file: &PinnedFile, positions: &[u16]) -> Vec<FileColumn> {
    let mut columns: Vec<FileColumn> = positions
        .iter()
        .filter(|position| usize::from(**position) < file.metadata.types().len())
        .map(|position| FileColumn::Stored(*position))
        .collect();
    columns.sort_unstable();
    columns.dedup();
    columns
}

/// The pages with a selected row; rows are counted over all of `pages`.
fn pages_with(
    metadata: &sstable::Metadata,
    pages: &[PageId],
    selection: &Selection,
) -> Vec<PageId> {
    let Selection::Rows(rows) = selection else { return pages.to_vec() };
    let mut kept = Vec::new();
    let (mut start, mut next) = (0, 0);
    for page in pages {
        let end = start + metadata.page_row_count(*page);
        if next < rows.len() && (rows[next] as usize) < end {
            kept.push(*page);
        }
        while next < rows.len() && (rows[next] as usize) < end {
            next += 1;
        }
        start = end;
    }
    kept
}

/// The rows of runs in some positions, as runs of their own: a merge should not walk a whole memtable for each unit.
fn narrowed(runs: &[Arc<SortedRun>], positions: &PositionRange) -> Vec<SortedRun> {
    let mut narrowed = Vec::with_capacity(runs.len());
    for run in runs {
        let inside = run.inside(positions, &KeyRange::default());
        if inside.is_empty() {
            continue;
        }
        let mut part = SortedRun::new();
        for row in inside.to_rows() {
            part.push(run.version(row as usize));
        }
        narrowed.push(part);
    }
    narrowed
}
