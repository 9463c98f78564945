//! Scans: which pages survive, which rows of them a snapshot sees, and their columns.
//!
//! Every page can be judged alone: it knows whether its first rows are further versions of a key whose newer version lies in the page before, and that
//! version's execute_at. So pages may be skipped and row groups read in any order and on any core.
//!
//! **When a predicate may skip.** A zone map speaks of row versions. In a file that alone holds the keys of its range (`Overlap::Alone`) a page whose
//! versions do
//! not match can be skipped: whatever it hides, it hides by itself. Where another source holds newer or older versions of the same keys (`Overlap::Merged`),
//! skipping a page would uncover an older version elsewhere that does match; there only conditions on key columns, which all versions of a row share, skip.

use crate::error::SstableError;
use crate::fetch::{Fetch, Fetched, Joining};
use crate::key_schema::{KeyRange, KeyVector, PositionRange};
use crate::merge::MergeRun;
use crate::metadata::{FileColumn, Metadata, PageId};
use crate::page::PageCheck;
use crate::predicate::{Outcome, Predicate};
use crate::record::{
    PAGE_CONTINUES, PAGE_SLICES, PAGE_TOMBSTONES, PAGE_VERSIONS, ROW_SAME_KEY, ROW_TOMBSTONE,
};
use crate::selection::Selection;
use alloc::vec::Vec;
use core::ops::Range;
use types::{SliceId, Timestamp};

/// Whether other sources may hold versions of the same keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// None does, in the positions scanned.
    Alone,
    /// Some may: rows are chosen by a merge.
    Merged,
}

/// What to scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanRequest {
    /// The part of the table. Cuts exactly: splits that share a border share no row.
    pub positions: PositionRange,
    /// Keys within each slice. Cuts exactly.
    pub keys: KeyRange,
    /// Pages without a row for which it may be true are skipped.
    pub predicate: Predicate,
    /// Versions above are not seen.
    pub at: Timestamp,
    /// Execute_at of all rows of a sealed file.
    pub published_at: Option<Timestamp>,
    /// Whether other sources may hold versions of the same keys.
    pub overlap: Overlap,
}

impl ScanRequest {
    /// Everything that a snapshot at `at` sees of a file that has its keys alone.
    pub fn everything(at: Timestamp) -> ScanRequest {
        ScanRequest {
            positions: PositionRange::default(),
            keys: KeyRange::default(),
            predicate: Predicate::Always,
            at,
            published_at: None,
            overlap: Overlap::Alone,
        }
    }
}

/// The pages of one row group that survive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupPlan {
    /// The row group.
    pub group: usize,
    /// Its surviving pages, ascending.
    pub pages: Vec<PageId>,
    /// Rows of these pages, versions and tombstones included.
    pub row_count: usize,
    /// The predicate is true for every row of these pages: no filter is needed above.
    pub all_match: bool,
}

/// The row groups of a file that survive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchPlan {
    /// In order of position.
    pub groups: Vec<GroupPlan>,
}

impl FetchPlan {
    /// Rows of all surviving pages.
    pub fn row_count(&self) -> usize {
        self.groups.iter().map(|group| group.row_count).sum()
    }
}

impl GroupPlan {
    /// What to read for some columns.
    ///
    /// # Panics
    /// If the file has no such column.
    pub fn fetch(&self, metadata: &Metadata, columns: &[FileColumn]) -> Fetch {
        Fetch::new(metadata, &self.pages, columns, Joining::SCAN)
    }
}

impl Metadata {
    /// The pages that a scan must look at.
    pub fn plan_scan(&self, request: &ScanRequest) -> FetchPlan {
        let predicate = match request.overlap {
            Overlap::Alone => request.predicate.clone(),
            Overlap::Merged => request.predicate.weakened(&|at| self.key_schema.contains(at)),
        };
        let stored = |column: u16| usize::from(column) < self.types.len();
        let pages = self.pages_within(&request.positions);
        let mut groups: Vec<GroupPlan> = Vec::new();
        for group in 0..self.group_count() {
            let entry = &self.record.groups[group];
            let own = entry.first_page..entry.first_page + entry.page_count;
            let own = own.start.max(pages.start)..own.end.min(pages.end);
            if own.is_empty() || self.too_new(group, request) {
                continue;
            }
            let zone = |column| stored(column).then(|| self.group_zone(group, column));
            let whole = predicate.evaluate(&zone);
            if whole == Outcome::NoRow {
                continue;
            }
            let mut plan = GroupPlan { group, pages: Vec::new(), row_count: 0, all_match: true };
            for page in own.map(PageId) {
                let zone = |column| stored(column).then(|| self.page_zone(page, column));
                let outcome =
                    if whole == Outcome::EveryRow { whole } else { predicate.evaluate(&zone) };
                if outcome == Outcome::NoRow || !self.page_meets(page, &request.keys) {
                    continue;
                }
                plan.all_match &= outcome == Outcome::EveryRow;
                plan.row_count += self.page_row_count(page);
                plan.pages.push(page);
            }
            if request.overlap == Overlap::Merged {
                plan.all_match = matches!(request.predicate, Predicate::Always);
            }
            if !plan.pages.is_empty() {
                groups.push(plan);
            }
        }
        FetchPlan { groups }
    }

    fn too_new(&self, group: usize, request: &ScanRequest) -> bool {
        let lowest = self.group(group).lowest_execute_at.or(request.published_at);
        lowest.is_some_and(|lowest| lowest > request.at)
    }

    /// Pages that may hold a position of the range.
    fn pages_within(&self, positions: &PositionRange) -> Range<u32> {
        let first = match &positions.start {
            Some(start) => self.first_page_reaching(start.slice.0, &start.key),
            None => 0,
        };
        let end = match &positions.end {
            Some(end) => {
                self.pages_before(|separator| separator < (end.slice.0, end.key.as_slice()))
            }
            None => self.page_count(),
        };
        let outside = match (&positions.start, self.last_position()) {
            (Some(start), Some(last)) => *start > last,
            _ => false,
        };
        if outside { 0..0 } else { first..end.max(first) }
    }

    /// Whether a page may hold a key of the range in some slice.
    fn page_meets(&self, page: PageId, keys: &KeyRange) -> bool {
        if keys.is_everything() || self.page_flags(page) & PAGE_SLICES != 0 {
            return true;
        }
        let (slice, lowest) = self.separator(page);
        if keys.end.as_ref().is_some_and(|end| lowest >= end.as_slice()) {
            return false;
        }
        if page.0 + 1 >= self.page_count() {
            return true;
        }
        let (next_slice, next) = self.separator(PageId(page.0 + 1));
        // The next page's separator is at most its first key, and above every key of this page unless it goes on with the last one.
        let continues = self.page_flags(PageId(page.0 + 1)) & PAGE_CONTINUES != 0;
        !keys.start.as_ref().is_some_and(|start| {
            next_slice == slice
                && if continues { next < start.as_slice() } else { next <= start.as_slice() }
        })
    }

    /// The columns that [`Metadata::visible_rows`] needs for this group; often none.
    pub fn visibility_columns(&self, request: &ScanRequest, plan: &GroupPlan) -> Vec<FileColumn> {
        let mut columns = Vec::new();
        let trimmed = self.pages_to_trim(request, plan);
        if trimmed.iter().any(|page| self.page_flags(*page) & PAGE_SLICES != 0) {
            columns.push(FileColumn::Slice);
        }
        if self.trims_by_key(request, &trimmed) {
            columns.extend(self.key_columns());
        }
        if !self.all_visible(request, plan) {
            columns.push(FileColumn::Flags);
            if !self.is_sealed() {
                columns.extend([FileColumn::ExecuteAtTime, FileColumn::ExecuteAtOrigin]);
            }
        }
        columns
    }

    /// The key columns, each once.
    pub fn key_columns(&self) -> Vec<FileColumn> {
        let mut columns: Vec<FileColumn> =
            self.key_schema.positions().map(FileColumn::Stored).collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// Every row version of these pages is the newest of its key, at or below the timestamp, and no tombstone.
    fn all_visible(&self, request: &ScanRequest, plan: &GroupPlan) -> bool {
        let special = PAGE_TOMBSTONES | PAGE_VERSIONS | PAGE_CONTINUES;
        let highest = self.group(plan.group).highest_execute_at.or(request.published_at);
        highest.is_some_and(|highest| highest <= request.at)
            && plan.pages.iter().all(|page| self.page_flags(*page) & special == 0)
    }

    /// Pages of which some rows may lie outside the positions or keys asked for.
    fn pages_to_trim(&self, request: &ScanRequest, plan: &GroupPlan) -> Vec<PageId> {
        if !request.keys.is_everything() {
            return plan.pages.clone();
        }
        if request.positions.is_everything() {
            return Vec::new();
        }
        let within = self.pages_within(&request.positions);
        let border = |page: &PageId| {
            (request.positions.start.is_some() && self.starts_before(*page, request))
                || (request.positions.end.is_some() && page.0 + 1 == within.end)
        };
        plan.pages.iter().copied().filter(border).collect()
    }

    /// Whether rows at the front of a page may lie before the start.
    fn starts_before(&self, page: PageId, request: &ScanRequest) -> bool {
        request.positions.start.as_ref().is_some_and(|start| {
            let (slice, key) = self.separator(page);
            // A separator below the start says nothing; one at or above it bounds the rows of the page.
            (slice, key) < (start.slice.0, start.key.as_slice())
        })
    }

    /// Whether keys, and not only slices, decide which rows of the trimmed pages are inside.
    fn trims_by_key(&self, request: &ScanRequest, trimmed: &[PageId]) -> bool {
        let keyed = |at: &Option<crate::key_schema::Position>| {
            at.as_ref().is_some_and(|position| !position.key.is_empty())
        };
        !trimmed.is_empty()
            && (!request.keys.is_everything()
                || keyed(&request.positions.start)
                || keyed(&request.positions.end))
    }

    /// The rows of a group's surviving pages that the request's snapshot sees and that lie in its positions and keys. Not for `Overlap::Merged`.
    ///
    /// # Errors
    /// If the bytes are damaged, were not fetched (see [`Metadata::visibility_columns`]), or the file is sealed and not published.
    pub fn visible_rows(
        &self,
        request: &ScanRequest,
        plan: &GroupPlan,
        fetched: &Fetched<'_>,
        check: PageCheck,
    ) -> Result<Selection, SstableError> {
        if self.is_sealed() && request.published_at.is_none() {
            return Err(SstableError::Unpublished);
        }
        let inside = self.rows_inside(request, plan, fetched, check)?;
        if self.all_visible(request, plan) {
            return Ok(inside);
        }
        let marks = self.decode_marks(&plan.pages, fetched, request.published_at, check)?;
        let mut visible: Vec<u32> = Vec::with_capacity(plan.row_count);
        let mut row = 0;
        for page in &plan.pages {
            // A version at or below the timestamp in the pages before hides what continues here.
            let before = self.continuation(*page);
            let mut decided = before.is_some_and(|previous| previous <= request.at);
            for _ in 0..self.page_row_count(*page) {
                let flags = marks.flags(row);
                decided &= flags & ROW_SAME_KEY != 0;
                if !decided && marks.execute_at[row] <= request.at {
                    decided = true;
                    if flags & ROW_TOMBSTONE == 0 {
                        visible.push(row as u32);
                    }
                }
                row += 1;
            }
        }
        Ok(match inside {
            Selection::All(_) => Selection::Rows(visible),
            Selection::Rows(inside) => Selection::Rows(intersect(&visible, &inside)),
        })
    }

    /// The rows that lie in the positions and keys asked for.
    fn rows_inside(
        &self,
        request: &ScanRequest,
        plan: &GroupPlan,
        fetched: &Fetched<'_>,
        check: PageCheck,
    ) -> Result<Selection, SstableError> {
        let trimmed = self.pages_to_trim(request, plan);
        if trimmed.is_empty() {
            return Ok(Selection::All(plan.row_count));
        }
        let slices = self.decode_pages(&trimmed, FileColumn::Slice, fetched, check)?;
        let keys = if self.trims_by_key(request, &trimmed) {
            Some(self.decode_keys(&trimmed, fetched, check)?)
        } else {
            None
        };
        let inside = |row: usize| {
            let slice = slices.slice_at(row);
            match &keys {
                Some(keys) => self.key_inside(request, slice, keys, row),
                None => request.positions.contains(slice, &[]),
            }
        };
        let mut rows: Vec<u32> = Vec::with_capacity(plan.row_count);
        let (mut start, mut trimmed_start, mut next) = (0, 0, 0);
        for page in &plan.pages {
            let count = self.page_row_count(*page);
            if trimmed.get(next) == Some(page) {
                let kept = (0..count).filter(|row| inside(trimmed_start + row));
                rows.extend(kept.map(|row| (start + row) as u32));
                trimmed_start += count;
                next += 1;
            } else {
                rows.extend((start..start + count).map(|row| row as u32));
            }
            start += count;
        }
        let all = rows.len() == plan.row_count;
        Ok(if all { Selection::All(rows.len()) } else { Selection::Rows(rows) })
    }

    fn key_inside(
        &self,
        request: &ScanRequest,
        slice: SliceId,
        keys: &KeyVector,
        row: usize,
    ) -> bool {
        let shape = self.key_schema.shape();
        let compare = |key: &[u8]| keys.compare_bytes(row, key, shape);
        let PositionRange { start, end } = &request.positions;
        let after_start = start
            .as_ref()
            .is_none_or(|start| slice.cmp(&start.slice).then_with(|| compare(&start.key)).is_ge());
        let before_end = end
            .as_ref()
            .is_none_or(|end| slice.cmp(&end.slice).then_with(|| compare(&end.key)).is_lt());
        after_start
            && before_end
            && request.keys.start.as_ref().is_none_or(|start| compare(start).is_ge())
            && request.keys.end.as_ref().is_none_or(|end| compare(end).is_lt())
    }

    /// The keys of some pages, made again from the key columns.
    ///
    /// # Errors
    /// If the bytes are damaged or were not fetched.
    pub fn decode_keys(
        &self,
        pages: &[PageId],
        fetched: &Fetched<'_>,
        check: PageCheck,
    ) -> Result<KeyVector, SstableError> {
        let columns = self
            .key_schema
            .positions()
            .map(|at| self.decode_pages(pages, FileColumn::Stored(at), fetched, check))
            .collect::<Result<Vec<_>, _>>()?;
        let columns: Vec<_> = columns.iter().collect();
        let rows = pages.iter().map(|page| self.page_row_count(*page)).sum();
        self.key_schema.keys(&columns, rows).ok_or_else(|| self.bad_key(pages))
    }

    pub(crate) fn bad_key(&self, pages: &[PageId]) -> SstableError {
        let page = pages.first().copied().unwrap_or_default();
        let column =
            self.key_schema.positions().next().map_or(FileColumn::Slice, FileColumn::Stored);
        SstableError::Malformed {
            section: crate::error::Section::Page,
            offset: self.page_range(page, column).map_or(0, |range| range.offset),
            reason: "values that make no key",
        }
    }

    /// The columns that [`Metadata::merge_run`] needs.
    pub fn merge_columns(&self) -> Vec<FileColumn> {
        let mut columns = self.key_columns();
        columns.extend([FileColumn::Slice, FileColumn::Flags]);
        if !self.is_sealed() {
            columns.extend([FileColumn::ExecuteAtTime, FileColumn::ExecuteAtOrigin]);
        }
        columns
    }

    /// A group's surviving pages as input of a merge; row `i` of the run is row `i` of the pages. Rows outside the request's positions and keys are marked so
    /// and never come out.
    ///
    /// # Errors
    /// If the bytes are damaged, were not fetched (see [`Metadata::merge_columns`]), or the file is sealed and not published.
    pub fn merge_run(
        &self,
        request: &ScanRequest,
        plan: &GroupPlan,
        fetched: &Fetched<'_>,
        check: PageCheck,
    ) -> Result<MergeRun, SstableError> {
        let marks = self.decode_marks(&plan.pages, fetched, request.published_at, check)?;
        let keys = self.decode_keys(&plan.pages, fetched, check)?;
        let slices = self.decode_pages(&plan.pages, FileColumn::Slice, fetched, check)?;
        let inside = self.rows_inside(request, plan, fetched, check)?;
        let slices = (0..plan.row_count).map(|row| slices.slice_at(row)).collect();
        Ok(MergeRun::new(slices, keys, marks.execute_at, marks.flags, &inside))
    }
}

fn intersect(a: &[u32], b: &[u32]) -> Vec<u32> {
    let mut both = Vec::with_capacity(a.len().min(b.len()));
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            core::cmp::Ordering::Less => i += 1,
            core::cmp::Ordering::Greater => j += 1,
            core::cmp::Ordering::Equal => {
                both.push(a[i]);
                i += 1;
                j += 1;
            }
        }
    }
    both
}
