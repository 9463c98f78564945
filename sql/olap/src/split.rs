//! Cutting a table's snapshot into parts that are scanned alone or merged, each small enough for a bounded buffer.
//!
//! The position space of a shard's part is cut where its files begin and end. Between two cuts the set of sources is fixed: one file alone is scanned row group
//! by row group; several sources are merged. Where one file meets rows in memory, only the pages into whose range a row falls are merged, so a few fresh rows
//! over a large table cost a few pages.

use std::sync::Arc;

use snapshot::{Part, PinnedFile, TableSnapshot};
use sstable::{
    GroupPlan, KeyRange, Metadata, Overlap, PageId, Position, PositionRange, Predicate,
    ScanRequest, SortedRun,
};
use types::Timestamp;

use crate::statistics::Counters;

/// Rows of the largest source in one merged unit.
pub(crate) const MERGED_ROWS: usize = 32 * 1024;

/// A part of a scan.
#[derive(Debug)]
pub(crate) enum Unit {
    /// A row group of a file that alone holds its keys.
    Alone { file: Arc<PinnedFile>, request: Arc<ScanRequest>, plan: GroupPlan },
    /// Some positions of several sources, newest first.
    Merged { positions: PositionRange, files: Vec<Arc<PinnedFile>>, runs: Vec<Arc<SortedRun>> },
}

/// What is scanned.
pub(crate) struct Splitting<'a> {
    pub(crate) at: Timestamp,
    pub(crate) predicate: &'a Predicate,
    pub(crate) counters: &'a Counters,
}

/// The position right after one.
fn after(position: &Position) -> Position {
    let mut key = position.key.clone();
    key.push(0);
    Position { slice: position.slice, key }
}

/// Where a file's rows of a part begin and end.
struct Extent {
    file: Arc<PinnedFile>,
    start: Position,
    end: Position,
}

impl Splitting<'_> {
    /// The units of a table, in no particular order.
    pub(crate) fn units(&self, table: &TableSnapshot) -> Vec<Unit> {
        let mut units = Vec::new();
        let own = table.own_writes.as_ref().map(|rows| rows.run());
        if let (true, Some(own)) = (table.parts.is_empty(), &own) {
            // The asking transaction made the table: nothing of it is anywhere else.
            self.merged(PositionRange::default(), Vec::new(), vec![own.clone()], &mut units);
            return units;
        }
        for part in &table.parts {
            let mut runs: Vec<Arc<SortedRun>> = own.iter().cloned().collect();
            runs.extend(
                part.frozen.iter().filter(|rows| rows.row_count() > 0).map(|rows| rows.run()),
            );
            runs.retain(|run| !run.is_empty());
            self.part(part, &runs, &mut units);
        }
        units
    }

    fn part(&self, part: &Part, runs: &[Arc<SortedRun>], units: &mut Vec<Unit>) {
        let whole = part.slices.positions();
        let extents: Vec<Extent> =
            part.files.iter().filter_map(|file| self.extent(file, &whole)).collect();
        let mut cuts: Vec<Position> =
            extents.iter().flat_map(|extent| [extent.start.clone(), extent.end.clone()]).collect();
        cuts.sort();
        cuts.dedup();
        let mut bounds: Vec<Option<Position>> = vec![whole.start.clone()];
        bounds.extend(
            cuts.into_iter()
                .filter(|cut| {
                    whole.start.as_ref().is_none_or(|start| cut > start)
                        && whole.end.as_ref().is_none_or(|end| cut < end)
                })
                .map(Some),
        );
        bounds.push(whole.end.clone());
        for pair in bounds.windows(2) {
            let segment = PositionRange { start: pair[0].clone(), end: pair[1].clone() };
            let files: Vec<&Extent> = extents
                .iter()
                .filter(|extent| {
                    segment.end.as_ref().is_none_or(|end| extent.start < *end)
                        && segment.start.as_ref().is_none_or(|start| extent.end > *start)
                })
                .collect();
            self.segment(&segment, &files, runs, units);
        }
        for extent in &extents {
            Counters::add(&self.counters.files, 1);
            Counters::add(&self.counters.pages, extent.file.metadata.page_count() as usize);
        }
    }

    fn extent(&self, file: &PinnedFile, whole: &PositionRange) -> Option<Extent> {
        let first = file.metadata.first_position()?;
        let end = after(&file.metadata.last_position()?);
        let start = match &whole.start {
            Some(start) if *start > first => start.clone(),
            _ => first,
        };
        let end = match &whole.end {
            Some(last) if *last < end => last.clone(),
            _ => end,
        };
        (start < end).then(|| Extent { file: Arc::new(file.clone()), start, end })
    }

    fn segment(
        &self,
        segment: &PositionRange,
        files: &[&Extent],
        runs: &[Arc<SortedRun>],
        units: &mut Vec<Unit>,
    ) {
        let runs: Vec<Arc<SortedRun>> =
            runs.iter().filter(|run| holds(run, segment)).cloned().collect();
        match (files, runs.is_empty()) {
            ([], true) => {}
            ([only], true) => self.alone(only, segment.clone(), units),
            ([only], false) => self.one_file_and_runs(only, segment, &runs, units),
            (files, _) => {
                let files = files.iter().map(|extent| extent.file.clone()).collect();
                self.merged(segment.clone(), files, runs, units);
            }
        }
    }

    fn alone(&self, extent: &Extent, positions: PositionRange, units: &mut Vec<Unit>) {
        let whole = extent.file.slices.positions();
        // Cutting where the file has no rows would make a reader check keys for nothing.
        let start = match &positions.start {
            Some(start) if *start > extent.start => positions.start.clone(),
            _ => whole.start,
        };
        let end = match &positions.end {
            Some(end) if *end < extent.end => positions.end.clone(),
            _ => whole.end,
        };
        let metadata = &extent.file.metadata;
        let request = Arc::new(ScanRequest {
            positions: PositionRange { start, end },
            keys: KeyRange::default(),
            predicate: self.predicate.clone(),
            at: self.at,
            published_at: extent.file.published_at,
            overlap: Overlap::Alone,
        });
        let plan = metadata.plan_scan(&request);
        if plan.groups.is_empty() && !matches!(self.predicate, Predicate::Always) {
            Counters::add(&self.counters.files_pruned, 1);
        }
        for group in plan.groups {
            let (file, request) = (extent.file.clone(), request.clone());
            units.push(Unit::Alone { file, request, plan: group });
        }
    }

    /// Only the pages between whose separators a row in memory falls are merged.
    fn one_file_and_runs(
        &self,
        extent: &Extent,
        segment: &PositionRange,
        runs: &[Arc<SortedRun>],
        units: &mut Vec<Unit>,
    ) {
        let borders = page_borders(&extent.file.metadata, segment);
        let mut touched = vec![false; borders.len() + 1];
        for run in runs {
            mark(run, segment, &borders, &mut touched);
        }
        let mut first = 0;
        while first < touched.len() {
            let merged = touched[first];
            let mut end = first + 1;
            while end < touched.len() && touched[end] == merged {
                end += 1;
            }
            let border = |at: usize, outer: &Option<Position>| match at {
                0 => outer.clone(),
                at => borders.get(at - 1).cloned().or_else(|| outer.clone()),
            };
            let start = border(first, &segment.start);
            let stop = if end == touched.len() { segment.end.clone() } else { border(end, &None) };
            let positions = PositionRange { start, end: stop };
            if merged {
                self.merged(positions, vec![extent.file.clone()], runs.to_vec(), units);
            } else {
                self.alone(extent, positions, units);
            }
            first = end;
        }
    }

    /// Cuts a merged range so that no unit has too many rows of its largest source.
    fn merged(
        &self,
        positions: PositionRange,
        files: Vec<Arc<PinnedFile>>,
        runs: Vec<Arc<SortedRun>>,
        units: &mut Vec<Unit>,
    ) {
        let mut cuts = cuts_of_largest(&positions, &files, &runs);
        cuts.retain(|cut| {
            positions.start.as_ref().is_none_or(|start| cut > start)
                && positions.end.as_ref().is_none_or(|end| cut < end)
        });
        let mut bounds = vec![positions.start];
        bounds.extend(cuts.into_iter().map(Some));
        bounds.push(positions.end);
        for pair in bounds.windows(2) {
            units.push(Unit::Merged {
                positions: PositionRange { start: pair[0].clone(), end: pair[1].clone() },
                files: files.clone(),
                runs: runs.clone(),
            });
        }
    }
}

fn holds(run: &SortedRun, positions: &PositionRange) -> bool {
    let first = positions.start.as_ref().map_or(0, |start| rows_below(run, start));
    let end = positions.end.as_ref().map_or(run.len(), |end| rows_below(run, end));
    end > first
}

/// Rows of a run before a position.
fn rows_below(run: &SortedRun, position: &Position) -> usize {
    let (mut low, mut high) = (0, run.len());
    while low < high {
        let middle = low + (high - low) / 2;
        if (run.slice(middle), run.key(middle)) < (position.slice, position.key.as_slice()) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// The positions strictly inside a segment at which pages of a file begin, each once.
fn page_borders(metadata: &Metadata, segment: &PositionRange) -> Vec<Position> {
    let mut borders: Vec<Position> = (0..metadata.page_count())
        .map(|page| metadata.page_position(PageId(page)))
        .filter(|position| {
            segment.start.as_ref().is_none_or(|start| position > start)
                && segment.end.as_ref().is_none_or(|end| position < end)
        })
        .collect();
    borders.dedup();
    borders
}

/// Marks the ranges between borders that hold rows of a run.
fn mark(run: &SortedRun, segment: &PositionRange, borders: &[Position], touched: &mut [bool]) {
    let mut row = segment.start.as_ref().map_or(0, |start| rows_below(run, start));
    let end = segment.end.as_ref().map_or(run.len(), |end| rows_below(run, end));
    while row < end {
        let range = borders.partition_point(|border| {
            (border.slice, border.key.as_slice()) <= (run.slice(row), run.key(row))
        });
        touched[range] = true;
        // On to the first row beyond this range.
        row =
            borders.get(range).map_or(end, |border| rows_below(run, border).min(end)).max(row + 1);
    }
}

fn cuts_of_largest(
    positions: &PositionRange,
    files: &[Arc<PinnedFile>],
    runs: &[Arc<SortedRun>],
) -> Vec<Position> {
    let largest_file = files.iter().max_by_key(|file| file.metadata.row_count());
    let largest_run = runs.iter().max_by_key(|run| run.len());
    let file_rows = largest_file.map_or(0, |file| file.metadata.row_count() as usize);
    let run_rows = largest_run.map_or(0, |run| run.len());
    let mut cuts = Vec::new();
    match (largest_file, largest_run) {
        (Some(file), _) if file_rows >= run_rows => {
            let metadata = &file.metadata;
            let mut rows = 0;
            for page in (0..metadata.page_count()).map(PageId) {
                if rows >= MERGED_ROWS {
                    cuts.push(metadata.page_position(page));
                    rows = 0;
                }
                rows += metadata.page_row_count(page);
            }
        }
        (_, Some(run)) => {
            let first = positions.start.as_ref().map_or(0, |start| rows_below(run, start));
            let end = positions.end.as_ref().map_or(run.len(), |end| rows_below(run, end));
            for row in (first..end).step_by(MERGED_ROWS).skip(1) {
                cuts.push(Position { slice: run.slice(row), key: run.key(row).to_vec() });
            }
        }
        _ => {}
    }
    cuts.sort();
    cuts.dedup();
    cuts
}
