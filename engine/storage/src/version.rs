//! The files of a shard at one moment, immutable: by table and level. Readers, snapshots and jobs hold one by `Arc` while the shard goes on to the next.
//!
//! Files of level zero may overlap one another; those of one level below never do, so a key has at most one there. Which level a file is on says nothing
//! about how new its rows are: a bulk publication puts old rows above newer ones. Readers ask by execute_at, not by level.

use std::collections::BTreeMap;
use std::sync::Arc;

use types::{SliceId, TableId, Timestamp};

use crate::files::Piece;
use crate::version_edit::{LEVELS, PieceId};

/// The files of one table.
#[derive(Clone, Debug, Default)]
pub struct TableVersion {
    /// Level zero: newest rows first. Below: by first slice and key.
    pub levels: [Vec<Arc<Piece>>; LEVELS],
}

/// The files of a shard.
#[derive(Clone, Debug, Default)]
pub struct Version {
    tables: BTreeMap<TableId, Arc<TableVersion>>,
}

impl TableVersion {
    fn insert(&mut self, piece: Arc<Piece>) {
        let level = &mut self.levels[usize::from(piece.entry.level)];
        level.push(piece.clone());
        if piece.entry.level == 0 {
            level.sort_by_key(|piece| (std::cmp::Reverse(piece.entry.highest), piece.entry.file));
        } else {
            level.sort_by(|a, b| start(a).cmp(&start(b)));
            debug_assert!(
                level.windows(2).all(|pair| !overlap(&pair[0], &pair[1])),
                "pieces of one level below zero do not overlap: {level:?}"
            );
        }
    }

    /// All pieces, level by level.
    pub fn pieces(&self) -> impl Iterator<Item = &Arc<Piece>> {
        self.levels.iter().flatten()
    }

    /// Pieces that may hold a version of a key at or below `at`, those that can hold the newest first.
    pub fn candidates(&self, slice: SliceId, key: &[u8], at: Timestamp) -> Vec<&Arc<Piece>> {
        let mut found: Vec<&Arc<Piece>> = Vec::new();
        for (number, level) in self.levels.iter().enumerate() {
            if number == 0 {
                found.extend(level.iter().filter(|piece| piece.covers(slice, key)));
            } else {
                let after = level.partition_point(|piece| starts_at_or_before(piece, slice, key));
                let piece = after.checked_sub(1).map(|index| &level[index]);
                found.extend(piece.filter(|piece| piece.covers(slice, key)));
            }
        }
        found.retain(|piece| piece.entry.lowest <= at);
        found.sort_by_key(|piece| std::cmp::Reverse(piece.entry.highest));
        found
    }

    /// Bytes of a level.
    pub fn level_bytes(&self, level: usize) -> u64 {
        self.levels[level].iter().map(|piece| piece.byte_share()).sum()
    }
}

impl Piece {
    /// About how many of the file's bytes lie in the piece's slices.
    pub fn byte_share(&self) -> u64 {
        let whole = self.file.metadata.first_position().zip(self.file.metadata.last_position());
        let Some((first, last)) = whole else { return self.entry.byte_count };
        let slices = u64::from(last.slice.0 - first.slice.0) + 1;
        let low = self.entry.slices.0.max(first.slice).0;
        let high = self.entry.slices.1.min(last.slice).0;
        let own = u64::from(high.saturating_sub(low)) + 1;
        self.entry.byte_count * own / slices
    }
}

/// Slice and key at which a piece begins.
pub(crate) fn start(piece: &Piece) -> (SliceId, Vec<u8>) {
    match piece.file.metadata.first_position() {
        Some(first) if first.slice >= piece.entry.slices.0 => (first.slice, first.key),
        _ => (piece.entry.slices.0, Vec::new()),
    }
}

/// Slice at which a piece ends, and the last key if the file ends there.
pub(crate) fn end(piece: &Piece) -> (SliceId, Option<Vec<u8>>) {
    match piece.file.metadata.last_position() {
        Some(last) if last.slice <= piece.entry.slices.1 => (last.slice, Some(last.key)),
        _ => (piece.entry.slices.1, None),
    }
}

fn starts_at_or_before(piece: &Piece, slice: SliceId, key: &[u8]) -> bool {
    let (first_slice, first_key) = start(piece);
    (first_slice, first_key.as_slice()) <= (slice, key)
}

/// Whether two pieces can hold the same key.
pub(crate) fn overlap(a: &Piece, b: &Piece) -> bool {
    let before = |a: &Piece, b: &Piece| {
        let (end_slice, end_key) = end(a);
        let (start_slice, start_key) = start(b);
        match end_key {
            Some(key) => (end_slice, key) < (start_slice, start_key),
            None => end_slice < start_slice,
        }
    };
    !before(a, b) && !before(b, a)
}

impl Version {
    /// The files of a table; nothing if it has none.
    pub fn table(&self, table: TableId) -> Option<&Arc<TableVersion>> {
        self.tables.get(&table)
    }

    /// Tables with files, ascending.
    pub fn tables(&self) -> impl Iterator<Item = (TableId, &Arc<TableVersion>)> {
        self.tables.iter().map(|(table, files)| (*table, files))
    }

    /// Whether a piece is in it.
    pub fn has(&self, piece: PieceId) -> bool {
        self.tables.values().flat_map(|files| files.pieces()).any(|own| own.entry.piece() == piece)
    }

    /// The version after an edit.
    ///
    /// # Panics
    /// If a piece that is removed is not there.
    pub fn after(&self, added: Vec<Piece>, removed: &[PieceId]) -> Version {
        let mut next = self.clone();
        let mut left = removed.len();
        for files in next.tables.values_mut() {
            let named = |piece: &Arc<Piece>| removed.contains(&piece.entry.piece());
            if !files.pieces().any(named) {
                continue;
            }
            for level in &mut Arc::make_mut(files).levels {
                let before = level.len();
                level.retain(|piece| !removed.contains(&piece.entry.piece()));
                left -= before - level.len();
            }
        }
        assert_eq!(left, 0, "an edit removes pieces that are there");
        next.tables.retain(|_, files| files.pieces().next().is_some());
        for piece in added {
            let files = next.tables.entry(piece.entry.table).or_default();
            Arc::make_mut(files).insert(Arc::new(piece));
        }
        next
    }
}
