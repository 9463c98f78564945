//! Which files to compact next: a pure function of the version, so that it is tested without I/O.
//!
//! Levelled. Level zero, when it has enough files, goes into level one, slice by slice from the lowest: a job takes of every file of the table the same run of
//! slices, so it stays small however large the files are, and what is left of a file is a piece that begins later. A level that is too large gives its
//! next file, in turn, to the level below with the files that overlap there.
//!
//! Whether a tombstone may go is decided by [`Job::may_hold_older`]: the files outside of the job that can hold an older version of its keys.

use std::sync::Arc;

use types::{SliceId, TableId, Timestamp};

use crate::files::Piece;
use crate::version::{TableVersion, Version, end, overlap, start};
use crate::version_edit::LEVELS;

/// What decides whether a table needs compaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PickerLimits {
    /// Files of level zero that start a compaction.
    pub level_zero_files: usize,
    /// Bytes of level one; each level below holds ten times as much.
    pub level_one_bytes: u64,
    /// Bytes of a job's input beyond which it takes no further slice.
    pub job_bytes: u64,
}

/// A compaction.
#[derive(Clone, Debug)]
pub struct Job {
    /// Whose files.
    pub table: TableId,
    /// The first and the last slice that it compacts.
    pub slices: (SliceId, SliceId),
    /// Pieces that take part, those of level zero newest first.
    pub inputs: Vec<Arc<Piece>>,
    /// Level of what it writes.
    pub output_level: u8,
    /// Pieces of the same table and slices that do not take part.
    pub others: Vec<Arc<Piece>>,
}

impl Job {
    /// Whether a file outside of the job may hold a version of a key at or below `at`.
    pub fn may_hold_older(&self, slice: SliceId, key: &[u8], at: Timestamp) -> bool {
        self.others.iter().any(|piece| {
            piece.entry.lowest <= at
                && piece.covers(slice, key)
                && piece.file.metadata.key_filter().may_contain(key)
        })
    }

    /// Bytes that it reads, roughly.
    pub fn byte_count(&self) -> u64 {
        self.inputs.iter().map(|piece| piece.byte_share()).sum()
    }
}

/// How urgent a table's compaction is, in hundredths of a trigger; a hundred and more wants a job.
fn pressure(files: &TableVersion, level: usize, limits: &PickerLimits) -> u64 {
    if level == 0 {
        // Files of which a part is compacted already count as whole: they cost a read all the same.
        return files.levels[0].len() as u64 * 100 / limits.level_zero_files as u64;
    }
    let wanted = limits.level_one_bytes.saturating_mul(10u64.saturating_pow(level as u32 - 1));
    files.level_bytes(level) * 100 / wanted.max(1)
}

/// The most urgent job; nothing if none is wanted. `turn` makes jobs of one level go round its files; `busy` names tables that have a job already.
pub fn pick(
    version: &Version,
    limits: &PickerLimits,
    turn: u64,
    busy: &dyn Fn(TableId) -> bool,
) -> Option<Job> {
    let mut best: Option<(u64, TableId, &TableVersion, usize)> = None;
    for (table, files) in version.tables() {
        if busy(table) {
            continue;
        }
        for level in 0..LEVELS - 1 {
            let urgency = pressure(files, level, limits);
            if urgency >= 100 && best.is_none_or(|(most, ..)| urgency > most) {
                best = Some((urgency, table, files, level));
            }
        }
    }
    let (_, table, files, level) = best?;
    Some(if level == 0 {
        level_zero_job(table, files, limits)
    } else {
        level_job(table, files, level, turn)
    })
}

/// Compacts everything of a table into its lowest used level; for tests and for an operator.
pub fn everything(version: &Version, table: TableId) -> Option<Job> {
    let files = version.table(table)?;
    let inputs: Vec<Arc<Piece>> = files.pieces().cloned().collect();
    let deepest = inputs.iter().map(|piece| piece.entry.level).max()?;
    let first = inputs.iter().map(|piece| piece.entry.slices.0).min()?;
    let last = inputs.iter().map(|piece| piece.entry.slices.1).max()?;
    Some(Job {
        table,
        slices: (first, last),
        inputs,
        output_level: deepest.max(1),
        others: Vec::new(),
    })
}

fn level_zero_job(table: TableId, files: &TableVersion, limits: &PickerLimits) -> Job {
    let zero = &files.levels[0];
    let first = zero.iter().map(|piece| piece.entry.slices.0).min().expect("there are files");
    let last_of_all = zero.iter().map(|piece| piece.entry.slices.1).max().expect("as above");
    // The longest run of slices from the lowest on whose input stays within bounds.
    let touching = |last: SliceId| {
        let within = move |piece: &&Arc<Piece>| {
            piece.entry.slices.0 <= last && piece.entry.slices.1 >= first
        };
        zero.iter().chain(&files.levels[1]).filter(within)
    };
    let share = |piece: &Arc<Piece>, last: SliceId| {
        let (low, high) = piece.entry.slices;
        let all = u64::from(high.0 - low.0) + 1;
        let own = u64::from(high.min(last).0 - low.max(first).0) + 1;
        piece.byte_share() * own / all
    };
    let mut last = first;
    while last < last_of_all {
        let next = SliceId(last.0 + 1);
        let bytes: u64 = touching(next).map(|piece| share(piece, next)).sum();
        if bytes > limits.job_bytes {
            break;
        }
        last = next;
    }
    let inputs: Vec<Arc<Piece>> = touching(last).cloned().collect();
    job_of(table, files, (first, last), inputs, 1)
}

fn level_job(table: TableId, files: &TableVersion, level: usize, turn: u64) -> Job {
    let candidates = &files.levels[level];
    let chosen = candidates[turn as usize % candidates.len()].clone();
    let mut inputs = vec![chosen.clone()];
    inputs.extend(files.levels[level + 1].iter().filter(|piece| overlap(piece, &chosen)).cloned());
    let first = inputs.iter().map(|piece| start(piece).0).min().expect("one at least");
    let last = inputs.iter().map(|piece| end(piece).0).max().expect("one at least");
    // Whole pieces take part, whatever their slices, so that none is cut at a slice that it shares with a neighbour.
    let slices = (
        inputs.iter().map(|piece| piece.entry.slices.0).min().map_or(first, |low| low.min(first)),
        inputs.iter().map(|piece| piece.entry.slices.1).max().map_or(last, |high| high.max(last)),
    );
    job_of(table, files, slices, inputs, level as u8 + 1)
}

fn job_of(
    table: TableId,
    files: &TableVersion,
    slices: (SliceId, SliceId),
    inputs: Vec<Arc<Piece>>,
    output_level: u8,
) -> Job {
    let takes_part =
        |piece: &Arc<Piece>| inputs.iter().any(|input| input.entry.piece() == piece.entry.piece());
    let others = files
        .pieces()
        .filter(|piece| !takes_part(piece))
        .filter(|piece| piece.entry.slices.0 <= slices.1 && piece.entry.slices.1 >= slices.0)
        .cloned()
        .collect();
    Job { table, slices, inputs, output_level, others }
}
