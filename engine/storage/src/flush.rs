//! Memtables to table files of level zero, on a background thread.
//!
//! All rows of a memtable go in one job: one file for each table (more if `cuts` ask for it). The job's files are durable, names included, when it
//! ends; they become part of the version by an edit of a few hundred bytes, which the shard installs only when its log is durable through every row in them.

use std::sync::Arc;

use platform::{BlockIo, CancelFlag};
use sstable::{RunCursor, VersionMerge};
use types::mutants;
use types::{SliceId, TableId, Timestamp};

use crate::error::StorageError;
use crate::files::{FileRegistry, Piece};
use crate::layout::TableLayout;
use crate::memtable::FrozenTable;
use crate::mutants::TABLE_NAME_NOT_DURABLE;
use crate::options::StorageOptions;
use crate::table_writer::{FileSequence, table_options};

/// What a flush writes.
pub(crate) struct FlushInput {
    /// Views with the layouts of their tables.
    pub(crate) tables: Vec<(FrozenTable, Arc<TableLayout>)>,
    /// Last slices after which a file ends, ascending; that of the last shard may be left out.
    pub(crate) cuts: Vec<SliceId>,
}

/// Writes the files. On an error nothing of them remains.
pub(crate) fn write_files(
    io: &dyn BlockIo,
    cancel: &CancelFlag,
    registry: &Arc<FileRegistry>,
    options: &StorageOptions,
    input: &FlushInput,
) -> Result<Vec<Piece>, StorageError> {
    let mut pieces: Vec<Piece> = Vec::new();
    for (view, layout) in &input.tables {
        match write_table(io, cancel, registry, options, (view, layout, &input.cuts)) {
            Ok(more) => pieces.extend(more),
            Err(error) => {
                remove_pieces(io, registry, &pieces);
                return Err(error);
            }
        }
    }
    if !pieces.is_empty() && !mutants::live(TABLE_NAME_NOT_DURABLE) {
        io.sync_directory(registry.directory())?;
    }
    Ok(pieces)
}

/// Removes files that no version will name.
pub(crate) fn remove_pieces(io: &dyn BlockIo, registry: &FileRegistry, pieces: &[Piece]) {
    for piece in pieces {
        // What cannot be removed is an orphan, which the next start removes.
        let _ = io.remove(&registry.path_of(piece.entry.file));
    }
}

fn write_table(
    io: &dyn BlockIo,
    cancel: &CancelFlag,
    registry: &Arc<FileRegistry>,
    options: &StorageOptions,
    of: (&FrozenTable, &TableLayout, &[SliceId]),
) -> Result<Vec<Piece>, StorageError> {
    let (view, layout, cuts) = of;
    let sources: Vec<RunCursor> = view.runs().into_iter().map(RunCursor::new).collect();
    // A flush keeps every version: the floor is zero.
    let mut merge = VersionMerge::new(sources, Timestamp::ZERO, |_, _| true);
    let mut files = FileSequence::new(io, cancel, registry, layout, table_options(options), 0);
    loop {
        let Ok(version) = merge.next_version();
        let Some(version) = version else { break };
        let past_cut = |last: SliceId| cuts.iter().any(|cut| last <= *cut && version.slice > *cut);
        if files.last_slice().is_some_and(past_cut)
            && let Err(error) = files.end_file()
        {
            return Err(files.abandon(error));
        }
        if let Err(error) = files.push(&version) {
            return Err(files.abandon(error));
        }
    }
    files.finish()
}

/// The layouts of the tables of some views, leaving out tables that are dropped.
pub(crate) fn with_layouts(
    views: Vec<FrozenTable>,
    layout_of: &dyn Fn(TableId) -> Option<Arc<TableLayout>>,
    is_dropped: &dyn Fn(TableId) -> bool,
) -> Result<Vec<(FrozenTable, Arc<TableLayout>)>, StorageError> {
    views
        .into_iter()
        .filter(|view| !view.is_empty() && !is_dropped(view.table()))
        .map(|view| {
            let table = view.table();
            let layout = layout_of(table).ok_or(StorageError::UnknownTable { table })?;
            Ok((view, layout))
        })
        .collect()
}
