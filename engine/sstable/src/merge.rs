//! Merging sorted sources for scans: which rows a snapshot sees.
//!
//! The merge works on columns: it yields spans of (run, rows), never rows, so that the other columns are decoded only for what survives. Where runs do not
//! interleave, a span is found by galloping, in logarithmic time. Order everywhere: slice, key, execute_at falling.

use crate::key_schema::KeyVector;
use crate::record::{ROW_SAME_KEY, ROW_TOMBSTONE};
use crate::selection::Selection;
use alloc::vec::Vec;
use core::cmp::Ordering;
use types::mutants::{self, Mutant};
use types::{SliceId, Timestamp};

/// Planted bug: a merge takes the newest version of a key whether or not the snapshot sees it.
pub const MUTANT_MERGE_IGNORES_TIMESTAMP: Mutant = Mutant(303);
/// One sorted input of a merge: the keys and marks of some rows.
#[derive(Clone, Debug, PartialEq)]
pub struct MergeRun {
    slices: Vec<SliceId>,
    keys: KeyVector,
    execute_at: Vec<Timestamp>,
    /// Tombstone and same-key bits; empty: all are clear.
    flags: Vec<i16>,
    /// What the caller calls each row; nothing: its position.
    rows: Option<Vec<u32>>,
    /// The newest timestamp.
    highest: Timestamp,
}

/// Rows `first .. first + count` of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Which run.
    pub run: u32,
    /// The first row, as the run's caller counts.
    pub first: u32,
    /// How many.
    pub count: u32,
}

impl MergeRun {
    /// Rows in order; the lists agree in length (but for `flags`, which may be empty). Only the rows `inside` take part.
    pub(crate) fn new(
        slices: Vec<SliceId>,
        keys: KeyVector,
        execute_at: Vec<Timestamp>,
        flags: Vec<i16>,
        inside: &Selection,
    ) -> MergeRun {
        assert_eq!(slices.len(), keys.len(), "one slice for each key");
        assert_eq!(slices.len(), execute_at.len(), "one timestamp for each key");
        let flags = if flags.iter().all(|flags| *flags == 0) { Vec::new() } else { flags };
        let run =
            MergeRun { slices, keys, execute_at, flags, rows: None, highest: Timestamp::ZERO };
        let mut run = match inside {
            Selection::All(_) => run,
            Selection::Rows(rows) => run.keep(rows),
        };
        run.highest = run.execute_at.iter().copied().max().unwrap_or(Timestamp::ZERO);
        run
    }

    fn keep(&self, rows: &[u32]) -> MergeRun {
        fn pick<T: Copy>(values: &[T], rows: &[u32]) -> Vec<T> {
            rows.iter().map(|row| values[*row as usize]).collect()
        }
        let keys = match &self.keys {
            KeyVector::Words(words) => KeyVector::Words(pick(words, rows)),
            KeyVector::Bytes(keys) => {
                let mut kept = crate::column::ByteArray::default();
                rows.iter().for_each(|row| kept.push(keys.get(*row as usize)));
                KeyVector::Bytes(kept)
            }
        };
        MergeRun {
            slices: pick(&self.slices, rows),
            keys,
            execute_at: pick(&self.execute_at, rows),
            flags: if self.flags.is_empty() { Vec::new() } else { pick(&self.flags, rows) },
            rows: Some(rows.to_vec()),
            highest: self.highest,
        }
    }

    /// Rows that take part.
    pub fn len(&self) -> usize {
        self.slices.len()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.slices.is_empty()
    }

    /// Every row is the only version of its key, and none is a tombstone.
    fn plain(&self) -> bool {
        self.flags.is_empty()
    }

    fn flags(&self, row: usize) -> i16 {
        self.flags.get(row).copied().unwrap_or(0)
    }

    fn name(&self, row: usize) -> u32 {
        self.rows.as_ref().map_or(row as u32, |rows| rows[row])
    }

    #[inline]
    fn compare_position(&self, row: usize, other: &MergeRun, other_row: usize) -> Ordering {
        self.slices[row]
            .cmp(&other.slices[other_row])
            .then_with(|| self.keys.compare(row, &other.keys, other_row))
    }

    #[inline]
    fn compare(&self, row: usize, other: &MergeRun, other_row: usize) -> Ordering {
        self.compare_position(row, other, other_row)
            .then_with(|| other.execute_at[other_row].cmp(&self.execute_at[row]))
    }

    /// The first row from `from` on that is not below a row of another run; doubling steps, then halving.
    fn gallop(&self, from: usize, other: &MergeRun, other_row: usize) -> usize {
        let below = |row: usize| self.compare_position(row, other, other_row).is_lt();
        let (mut low, mut step) = (from, 1);
        while low + step < self.len() && below(low + step) {
            low += step;
            step *= 2;
        }
        let mut high = self.len().min(low + step);
        while low < high {
            let middle = low + (high - low) / 2;
            if below(middle) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// Collects neighbouring rows of a run into spans.
#[derive(Debug, Default)]
struct Spans {
    spans: Vec<Span>,
}

impl Spans {
    fn push(&mut self, run: usize, row: u32) {
        match self.spans.last_mut() {
            Some(last) if last.run == run as u32 && last.first + last.count == row => {
                last.count += 1;
            }
            _ => self.spans.push(Span { run: run as u32, first: row, count: 1 }),
        }
    }
}

/// The rows that a snapshot at `at` sees: of each key the newest version at or below `at`, unless it is a tombstone; in order. All runs hold the same table.
/// A run may end inside a key's versions only if the next run in order of position goes on with them.
pub fn merge_visible(runs: &[MergeRun], at: Timestamp) -> Vec<Span> {
    let mut spans = Spans::default();
    // Runs with rows left, the one with the lowest head first.
    let mut heads: Vec<(usize, usize)> =
        (0..runs.len()).filter(|run| !runs[*run].is_empty()).map(|run| (run, 0)).collect();
    let order = |a: &(usize, usize), b: &(usize, usize)| {
        runs[a.0].compare(a.1, &runs[b.0], b.1).then_with(|| a.0.cmp(&b.0))
    };
    heads.sort_by(order);
    let mut last: Option<(usize, usize)> = None;
    let mut decided = false;
    while let Some((run, row)) = heads.first().copied() {
        let own = &runs[run];
        let end = match heads.get(1) {
            Some((next, next_row)) => own.gallop(row, &runs[*next], *next_row).max(row + 1),
            None => own.len(),
        };
        let same = last.is_some_and(|(r, at)| runs[r].compare_position(at, own, row).is_eq());
        decided &= same;
        if own.plain() && own.highest <= at {
            // Every key once and visible: only the first can have been decided by a newer version elsewhere.
            (row + usize::from(decided)..end).for_each(|row| spans.push(run, own.name(row)));
            decided = true;
        } else {
            for row in row..end {
                let flags = own.flags(row);
                let first = last.is_none_or(|last| last != (run, row.wrapping_sub(1)));
                if !first && flags & ROW_SAME_KEY == 0 {
                    decided = false;
                }
                last = Some((run, row));
                let visible =
                    own.execute_at[row] <= at || mutants::live(MUTANT_MERGE_IGNORES_TIMESTAMP);
                if !decided && visible {
                    decided = true;
                    if flags & ROW_TOMBSTONE == 0 {
                        spans.push(run, own.name(row));
                    }
                }
            }
        }
        last = Some((run, end - 1));
        advance(&mut heads, runs, end, order);
    }
    spans.spans
}

/// Moves the first run to its row `to` and puts it back in order; removes it at its end.
fn advance(
    heads: &mut Vec<(usize, usize)>,
    runs: &[MergeRun],
    to: usize,
    order: impl Fn(&(usize, usize), &(usize, usize)) -> Ordering,
) {
    let (run, _) = heads[0];
    if to >= runs[run].len() {
        heads.remove(0);
        return;
    }
    heads[0].1 = to;
    let mut at = 0;
    while at + 1 < heads.len() && order(&heads[at], &heads[at + 1]).is_gt() {
        heads.swap(at, at + 1);
        at += 1;
    }
}
